package data_test

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/data"
	"dalaba/playlist/say"
)

func TestTheDeviceLogKeepsRecordsAndPassesThemOn(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	var next strings.Builder
	log := slog.New(s.LogHandler(slog.NewTextHandler(&next, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Debug("too small to keep")
	log.With("output", "square").WithGroup("card").Info("output opened",
		"id", "CARD0", "delay", 20*time.Millisecond, slog.Group("format", "rate", 48000), "gain", math.Inf(1))
	log.Error("output gone", "err", errors.New("no such device"), "why", say.M("store.command_first", "df"), "list", []int{1, 2}, "none", nil)
	must(t, s.Close())
	if n := strings.Count(next.String(), "\n"); n != 3 {
		t.Errorf("%d lines went on: %s", n, next.String())
	}
	look, err := data.OpenReadOnly(ctx, dir)
	must(t, err)
	defer func() { _ = look.Close() }()
	all, err := look.Events(ctx, 0, 10)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	first, second := all[0], all[1]
	for k, want := range map[string]any{
		"output": "square", "card.id": "CARD0", "card.delay": "20ms", "card.format.rate": 48000.0, "card.gain": "+Inf",
	} {
		if first.Attrs[k] != want {
			t.Errorf("%s is %v, want %v", k, first.Attrs[k], want)
		}
	}
	if first.Message != "output opened" || first.Level != int(slog.LevelInfo) || first.Boot != "boot-1" ||
		first.MonoMS != 60_000 || first.At.IsZero() {
		t.Errorf("%+v", first)
	}
	if second.Attrs["err"] != "no such device" || len(second.Attrs["list"].([]any)) != 2 || second.Level != int(slog.LevelError) {
		t.Errorf("%+v", second)
	}
	if second.Attrs["err.zh"] != "设备不存在" || second.Attrs["why"] != say.M("store.command_first", "df").In(say.English) ||
		second.Attrs["why.zh"] != say.M("store.command_first", "df").In(say.Chinese) {
		t.Errorf("not kept in both languages: %+v", second.Attrs)
	}
	if rest, err := look.Events(ctx, first.ID, 10); len(rest) != 1 || rest[0].ID != second.ID || err != nil {
		t.Errorf("%+v, %v", rest, err)
	}
	if last, err := look.Events(ctx, 0, 1); len(last) != 1 || last[0].ID != second.ID || err != nil {
		t.Errorf("%+v, %v", last, err)
	}
}

// pass lets the bubble's time pass and waits until all that happens in it is
// done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAWarningIsWrittenAtOnceWithTheLinesBeforeIt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, dir), t.Context()
		log := slog.New(s.LogHandler(nil))
		log.Info("first")
		log.Warn("second")
		synctest.Wait() // no time passes
		all, err := s.Events(ctx, 0, 10)
		must(t, err)
		if len(all) != 2 || all[0].Message != "first" || all[1].Message != "second" {
			t.Errorf("on the disk: %+v; want the lines \"first\" and \"second\"", all)
		}
	})
}

func TestManyWarningsAreWrittenInFewTransactions(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, dir), t.Context()
		log := slog.New(s.LogHandler(nil))
		wal := func() int64 {
			fi, err := os.Stat(filepath.Join(dir, "dalaba.db-wal"))
			must(t, err)
			return fi.Size()
		}
		before := wal()
		const storm = 200
		for range storm {
			log.Warn("underrun")
			pass(5 * time.Millisecond)
		}
		pass(time.Second)
		all, err := s.Events(ctx, 0, 0)
		must(t, err)
		if len(all) != storm {
			t.Errorf("a second after the last of them %d of %d are kept", len(all), storm)
		}
		// One transaction for each line would be several pages of 4 KiB each.
		if grown, most := wal()-before, int64(storm*4096/2); grown > most {
			t.Errorf("%d KiB were written, want %d at most", grown>>10, most>>10)
		}
	})
}

func TestTheDeviceLogKeepsItsLastLines(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	must(t, open(t, dir).Close())
	exec(t, filepath.Join(dir, "dalaba.db"), `WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 60000)
		INSERT INTO event (at, boot, mono_ms, level, message, attrs) SELECT i, 'b', i, 0, 'old', '{}' FROM k`)
	s := open(t, dir)
	slog.New(s.LogHandler(nil)).Warn("new")
	must(t, s.Close())
	s = open(t, dir)
	all, err := s.Events(ctx, 1, 0)
	if len(all) != 50000 || err != nil || all[len(all)-1].Message != "new" {
		t.Errorf("%d events, %v", len(all), err)
	}
}

func TestDroppedRecordsAreCounted(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	log := slog.New(s.LogHandler(nil))
	const rush = 20000
	for range rush {
		log.Info("underrun")
	}
	must(t, s.Close())
	s = open(t, dir)
	all, err := s.Events(ctx, 0, 0)
	must(t, err)
	kept, dropped := 0, 0
	for _, e := range all {
		if e.Message == "underrun" {
			kept++
			continue
		}
		dropped += int(e.Attrs["records"].(float64))
	}
	if kept+dropped != rush {
		t.Errorf("%d kept, %d dropped", kept, dropped)
	}
}
