package controller

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"testing"

	"dalaba/data"
	"dalaba/playlist"
)

func idOf(t *testing.T, raw []byte) playlist.ClipID {
	t.Helper()
	id, err := playlist.ClipIDOf(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestASoundOfAnAlertThatTheStoreDoesNotTakeIsHeardAllTheSame(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	store, err := data.Open(t.Context(), t.TempDir(), data.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	a := &alerts{store: store, aside: newAside(), log: quiet}
	whole := bytes.Repeat([]byte("x"), 100)
	lesson := playlist.Clip{ID: idOf(t, whole), Title: "发烧先别慌", Series: "健康微课堂", Issue: 1, Frames: 48000, Size: 100}
	if err := store.AddClip(t.Context(), lesson, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	// The same sound comes with an alert.
	if err := a.shelve(t.Context(), playlist.Clip{ID: lesson.ID, Title: "洪水", Frames: 48000, Size: 100}, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	if c, _, err := store.Clip(t.Context(), lesson.ID); err != nil || c.Title != lesson.Title || c.Series != lesson.Series || c.Issue != 1 {
		t.Errorf("the library has %+v, %v", c, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	made, inline := []byte("made"), []byte("inline")
	clip := func(raw []byte) playlist.Clip {
		return playlist.Clip{ID: idOf(t, raw), Title: "洪水", Frames: 1, Size: int64(len(raw))}
	}
	if err := a.shelve(t.Context(), clip(made), bytes.NewReader(made)); err != nil {
		t.Error(err)
	}
	a.aside.with(clip(inline), inline)
	held := func(raw []byte) bool {
		s, err := a.find(t.Context(), clip(raw).ID)
		if err != nil {
			return false
		}
		got, err := os.ReadFile(s.Path)
		return err == nil && bytes.Equal(got, raw) && s.Clip.Title == "洪水"
	}
	if !held(made) || !held(inline) {
		t.Error("a sound of an alert is lost")
	}
	a.aside.tidy(map[playlist.ClipID]bool{clip(inline).ID: true}, false)
	if !held(made) || !held(inline) {
		t.Error("a sound is given up while an alert is in force")
	}
	a.aside.tidy(nil, true)
	if held(made) || held(inline) {
		t.Error("sounds are kept though no alert is in force")
	}
	dir := a.aside.dir
	if err := a.aside.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %s", dir)
	}
}
