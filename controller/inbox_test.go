package controller_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/controller/control"
)

// drop puts a clip into the inbox, under a name of its own in its folder.
func (r *running) drop(clip, name string) {
	r.t.Helper()
	sound, err := os.ReadFile(filepath.Join("..", "data", "course", "testdata", clip))
	if err != nil {
		r.t.Fatal(err)
	}
	path := filepath.Join(r.dir, "inbox", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// logged returns how often the log has said something.
func (r *running) logged(message string) (n int) {
	r.t.Helper()
	events, err := r.daemon.Events(r.t.Context(), 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		if e.Message == message {
			n++
		}
	}
	return n
}

func TestAClipInTheInboxJoinsThePlaylistsOfItsSeriesAtOnce(t *testing.T) {
	const nowhere = "series is in no playlist, its clips do not air"
	text := strings.Replace(village, "[site]\n", "[site]\ninbox = \"inbox\"\n", 1)
	r := start(t, text)
	r.drop("clip1.mp3", "健康微课堂/第10期 咳嗽.mp3")
	r.await("a clip of a series in no playlist", func() bool { return r.logged(nowhere) == 1 })
	r.drop("clip2.mp3", "健康微课堂/第2期 发烧.mp3")
	r.await("the second clip", func() bool { return r.logged("inbox file taken") == 2 })
	if n := r.logged(nowhere); n != 1 {
		t.Errorf("told %d times that the series is in no playlist", n)
	}

	r.write(text + "[[playlist]]\nname = \"课\"\nseries = \"健康微课堂\"\n[[slot]]\nname = \"早\"\nplaylist = \"课\"\ncron = \"30 7 * * *\"\n")
	if _, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file}); err != nil {
		t.Fatal(err)
	}
	if n := len(r.c.Config().Playlists[0].Clips); n != 2 {
		t.Fatalf("%d clips of the series air", n)
	}
	first := r.c.Config().Playlists[0].Clips[0]
	r.drop("clip3.mp3", "健康微课堂第1期.mp3") // in no subfolder: its name says the series
	r.await("the clip in the playlist", func() bool { return len(r.c.Config().Playlists[0].Clips) == 3 })
	if got := r.c.Config().Playlists[0].Clips; got[1] != first {
		t.Errorf("issue 1 is not before issue 2: %v", got)
	}
	if n := r.logged(nowhere); n != 1 {
		t.Errorf("told %d times that the series is in no playlist", n)
	}
}
