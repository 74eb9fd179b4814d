package controller

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// A copy that takes its time is no broken message; one that stays broken is
// refused; a folder that is a store is left alone.
func TestAMessageThatIsStillArrivingIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var got []string
		p := &dropped{dir: dir, lang: say.English, log: slog.New(slog.DiscardHandler), receive: func(_ context.Context, raw []byte) (emergency.Record, error) {
			if string(raw) != "a whole message" {
				return emergency.Record{}, errors.New("no message")
			}
			got = append(got, string(raw))
			return emergency.Record{}, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx) }()
		put := func(name, text string, age time.Duration) {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age) // two writes of one length must differ
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		there := func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		}
		pass(1500 * time.Millisecond)
		put("slow.xml", "a wh", 0)
		put("broken.xml", "a", 0)
		put("whole.xml", "a whole message", 0)
		pass(3 * time.Second)
		if !there("taken/whole.xml") || !there("slow.xml") || !there("broken.xml") {
			t.Error("the whole one waits, or the others are not waited for")
		}
		put("slow.xml", "a whole", 0)
		pass(4 * time.Second)
		if !there("slow.xml") || !there("refused/broken.xml") {
			t.Error("the slow one is not waited for, or the broken one still is")
		}
		put("slow.xml", "a whole message", 0)
		pass(3 * time.Second)
		if !there("taken/slow.xml") || len(got) != 2 {
			t.Errorf("the slow one was not taken in the end: %q", got)
		}
		put("dalaba.db", "a whole message", 0)
		pass(10 * time.Second)
		if !there("dalaba.db") {
			t.Error("a store was taken for a message")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
