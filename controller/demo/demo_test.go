package demo

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dalaba/controller/files"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/data/course"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// earlier makes a demo's folder as a demo of yesterday left it: all lessons
// there, and the schedule asked up to then.
func earlier(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	store, err := data.Open(ctx, filepath.Join(dir, "data"), data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	lessons, err := course.Lessons()
	if err != nil {
		t.Fatal(err)
	}
	maker := site.NewIngester(config.Ingest{}, dir)
	clips := []string{"clip1.mp3", "clip2.mp3", "clip3.mp3"}
	for i, l := range lessons {
		path := filepath.Join("..", "..", "data", "course", "testdata", clips[i%3])
		info, err := files.Scan(path)
		if err != nil {
			t.Fatal(err)
		}
		c := playlist.Clip{ID: info.ID, Title: l.Title, Series: l.Series, Issue: l.Issue, Frames: info.Frames, Size: info.Size}
		if err := keepLesson(ctx, store, c, path, lessonSource(maker, l)); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := store.SetWatermark(ctx, yesterday); err != nil {
		t.Fatal(err)
	}
	row := asrun.Row{
		Airing: playlist.NewAiringID("often", yesterday), Slot: "often", Output: "村东大喇叭", Item: 1,
		Due: yesterday, Ended: time.Now(), Outcome: asrun.Missed, Reason: asrun.ReasonOff,
	}
	if err := store.Record(ctx, row); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dalaba.toml": mark + "\n", "east.wav": "old", "data/dalaba.toml.good": mark + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADemoKeepsTheLessonsOfAnEarlierOneAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	earlier(t, dir)
	d := &Demo{Dir: dir, Log: slog.New(slog.DiscardHandler), Note: func(say.Message) {}, Progress: func(int, int, string) {}}
	if err := d.clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Complete without a speech program's doing.
	t.Setenv("PATH", "")
	if err := d.course(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := data.OpenReadOnly(t.Context(), filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if clips, err := store.Clips(t.Context(), ""); err != nil || len(clips) != 3 {
		t.Errorf("%d clips, %v", len(clips), err)
	}
	if at, err := store.Watermark(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("the schedule was asked up to %v, %v", at, err)
	}
	for r, err := range store.AsRun(t.Context(), data.Query{}) {
		t.Errorf("a row of the earlier one: %+v, %v", r, err)
	}
	for _, name := range []string{"east.wav", "data/dalaba.toml.good", "data.new"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}
