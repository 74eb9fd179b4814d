package data_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// perDay is how many clips air each day of the year. What each airing leaves
// behind is what is measured, so that few of them show as much as many.
const perDay = 10

// A year of airings on one store, kept for 60 days: memory, goroutines, files
// and disk that the daemon uses after a hundred days are what it uses after a
// year.
func TestAYearUsesNoMoreMemoryOrDiskThanAHundredDays(t *testing.T) {
	t.Run("with a county that acknowledges each day", func(t *testing.T) { aYear(t, true) })
	t.Run("without a county", func(t *testing.T) { aYear(t, false) })
}

func aYear(t *testing.T, county bool) {
	dir := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "dalaba-test-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(shm) })
		dir = shm // 3,650 airings sync the disk some 13,000 times
	}
	now := time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC)
	s, err := data.Open(t.Context(), dir, data.Options{Log: slog.New(slog.DiscardHandler), Boot: "b", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := slog.New(s.LogHandler(slog.NewTextHandler(io.Discard, nil)))
	ctx := t.Context()
	measure := func() (heap uint64, goroutines, files int, disk int64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dalaba.db", "dalaba.db-wal"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				disk += info.Size()
			}
		}
		return m.HeapAlloc, runtime.NumGoroutine(), len(fds), disk
	}
	var heap0 uint64
	var goroutines0, files0 int
	var disk0 int64
	for day := range 365 {
		for n := range perDay {
			due := now.Add(time.Duration(n) * time.Hour)
			r := asrun.Row{
				Airing: playlist.NewAiringID("slot", due), Output: "east", Item: 1, Part: 1, Slot: "slot", Playlist: "p",
				Clip: playlist.ClipID(fmt.Sprintf("%064x", n)), Due: due, Cued: due, OfFrames: 1000, Clock: playlist.ClockTrusted, Boot: "b",
			}
			before, err := s.Cursor(ctx, "p")
			if err != nil {
				t.Fatal(err)
			}
			after := playlist.Cursor{Round: day, Index: n, Last: r.Clip}
			if err := s.Claim(ctx, asrun.Claim{Row: r, Before: &before, After: &after}); err != nil {
				t.Fatal(err)
			}
			if err := s.Checkpoint(ctx, r.Key(), due, 0, 500); err != nil {
				t.Fatal(err)
			}
			if err := s.End(ctx, r.Key(), asrun.End{Started: due, Ended: due.Add(time.Minute), Frames: 1000, Outcome: asrun.Complete}); err != nil {
				t.Fatal(err)
			}
			log.Info("clip ended", "airing", r.Airing)
		}
		now = now.AddDate(0, 0, 1)
		if county {
			h, err := s.Health(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Acknowledge(ctx, h.Epoch, h.Seq); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Prune(ctx, now, 60*24*time.Hour, county); err != nil {
			t.Fatal(err)
		}
		if day%30 == 0 {
			if _, err := s.BackupDue(ctx, now, 7); err != nil {
				t.Fatal(err)
			}
			if err := s.Tend(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if day == 100 {
			heap0, goroutines0, files0, disk0 = measure()
		}
	}
	heap, goroutines, files, disk := measure()
	t.Logf("after 100 days and a year: heap %d and %d KiB, goroutines %d and %d, files %d and %d, disk %d and %d KiB",
		heap0>>10, heap>>10, goroutines0, goroutines, files0, files, disk0>>10, disk>>10)
	aired := uint64(perDay * (365 - 101)) // since the hundredth day
	if most := heap0 + heap0/2 + 128*aired; heap > most || goroutines > goroutines0+2 || files > files0+2 {
		t.Errorf("a year takes more than a hundred days: heap %d KiB of %d, goroutines %d of %d, files %d of %d",
			heap>>10, most>>10, goroutines, goroutines0+2, files, files0+2)
	}
	if rows, most := rowCount(t, s), 61*perDay; rows > most {
		t.Errorf("%d rows are kept, want %d at most", rows, most)
	}
	// The device log keeps its 50,000 lines, of which a year here makes 3,650.
	if most := disk0 + disk0/2 + 512*int64(aired); disk > most {
		t.Errorf("the database grew from %d to %d KiB, want %d at most", disk0>>10, disk>>10, most>>10)
	}
}
