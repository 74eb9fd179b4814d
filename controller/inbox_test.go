package controller_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"dalaba/controller/control"
	"dalaba/playlist/asrun"
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

// events returns the log.
func (r *running) events() []asrun.Event {
	r.t.Helper()
	events, err := r.daemon.Events(r.t.Context(), 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return events
}

// logged returns how often the log has said something.
func (r *running) logged(message string) (n int) {
	r.t.Helper()
	for _, e := range r.events() {
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

// A clip that comes renews the lists of clips. What else the file says by now waits for
// a reload, and so does its calendar.
func TestAnEditedFileWaitsForAReloadWhenAClipComes(t *testing.T) {
	const rest = "\n[calendar]\nfiles = [\"days.txt\"]\n[[playlist]]\nname = \"课\"\nseries = \"健康微课堂\"\n[[slot]]\nname = \"早\"\nplaylist = \"课\"\ncron = \"30 7 * * *\"\n"
	text := strings.Replace(village, "[site]\n", "[site]\ninbox = \"inbox\"\n", 1)
	r := start(t, text)
	days := filepath.Join(r.dir, "days.txt")
	if err := os.WriteFile(days, []byte("2026-10-01 休\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.drop("clip1.mp3", "健康微课堂/第1期 咳嗽.mp3")
	r.await("the first clip", func() bool { return r.logged("inbox file taken") == 1 })
	r.write(text + rest)
	if _, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file}); err != nil {
		t.Fatal(err)
	}
	calendar, since := r.c.Config().Calendar, r.status().Config.Since
	if calendar == nil {
		t.Fatal("there is no calendar")
	}
	if err := os.WriteFile(days, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.await("the reload in the log", func() bool { return r.logged("config in force") == 1 })
	for i, edited := range []string{strings.ReplaceAll(text+rest, "420", "999"), "[[half a li"} {
		r.write(edited)
		r.drop("clip"+strconv.Itoa(i+2)+".mp3", "健康微课堂/第"+strconv.Itoa(i+2)+"期 发烧.mp3")
		r.await("the clip in the playlist", func() bool { return len(r.c.Config().Playlists[0].Clips) == i+2 })
		if cfg := r.c.Config(); cfg.Outputs[0].Residents != 420 || !reflect.DeepEqual(cfg.Calendar, calendar) {
			t.Errorf("edit %d is in force: %+v", i, cfg.Outputs)
		}
	}
	r.await("both clips in the log", func() bool { return r.logged("inbox file taken") == 3 })
	if n := r.logged("config in force"); n != 1 {
		t.Errorf("a config is in force %d times", n)
	}
	if now := r.status().Config.Since; !now.Equal(since) {
		t.Errorf("in force since %v, not %v", now, since)
	}
	if n := r.logged("config refused, the old one stays in force"); n != 0 {
		t.Error("the edited file is refused")
	}
}
