package data_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"dalaba/data"
	"dalaba/data/sqlite"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// BenchmarkOpenAMillionRows measures start to ready: open a store of 1,000,000
// as-run rows, all with receipts, and read what airs and what is unsent.
func BenchmarkOpenAMillionRows(b *testing.B) {
	dir := b.TempDir()
	s, err := data.Open(b.Context(), dir, options())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	fill(b, filepath.Join(dir, "dalaba.db"), 1_000_000)
	fi, err := os.Stat(filepath.Join(dir, "dalaba.db"))
	if err != nil {
		b.Fatal(err)
	}
	check := time.Now()
	if err := sqlite.CheckFile(b.Context(), filepath.Join(dir, "dalaba.db")); err != nil {
		b.Fatal(err)
	}
	checked := time.Since(check)
	var opening time.Duration
	for b.Loop() {
		before := time.Now()
		s, err := data.Open(b.Context(), dir, options())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.OpenRows(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Watermark(b.Context()); err != nil {
			b.Fatal(err)
		}
		opening += time.Since(before)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(fi.Size())/(1<<20), "MiB")
	b.ReportMetric(float64(checked.Milliseconds()), "ms/quick_check")
	b.ReportMetric(float64(opening.Milliseconds())/float64(b.N), "ms/open")
}

// fill writes n closed rows with acknowledged receipts.
func fill(tb testing.TB, path string, n int) {
	tb.Helper()
	exec(tb, path,
		`INSERT INTO billing (id, clip, title, series, issue)
		VALUES (1, printf('%064d', 7), '发热怎么办', '健康微课堂', 1)`,
		fmt.Sprintf(`WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < %d)
		INSERT INTO asrun (airing, output, item, part, slot, playlist, billing, rank, due, cued, started, ended,
			from_frame, frames, of_frames, at_frame, level_db, residents, area, outcome, reason, clock, boot, mono_ms, seq)
		SELECT 'morning@' || i, 'square', 1, 1, 'morning', 'health', 1, 105, i * 600000000, i * 600000000 - 2000000,
			i * 600000000, i * 600000000 + 60000000, 0, 2880000, 2880000, i * 2880000, -3.5, 420, '330781105201',
			'complete', '', 'trusted', '5f0c4f3a-5b0e-4c1e-9a43-f2c3a4a7d2aa', i, i FROM k`, n),
		`INSERT INTO receipt (epoch, seq, asrun, made, sent) SELECT 1, id, id, due, due FROM asrun`,
		fmt.Sprintf(`UPDATE store SET seq = %d`, n))
}

// exec runs statements on the database without the store.
func exec(tb testing.TB, path string, statements ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=OFF")
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			tb.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkAiring measures what one airing of a minute costs the store: a
// claim, a checkpoint every 5 s, the end; and the bytes it writes to the disk.
func BenchmarkAiring(b *testing.B) {
	s, err := data.Open(b.Context(), b.TempDir(), options())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	before, n := written(b), 0
	for b.Loop() {
		n++
		r := row("square", 1, 1, clipID("a"))
		r.Due = due.Add(time.Duration(n) * time.Hour)
		r.Airing = playlist.NewAiringID("morning", r.Due)
		at, err := s.Cursor(b.Context(), "health")
		if err != nil {
			b.Fatal(err)
		}
		after := playlist.Cursor{Round: n, Last: r.Clip}
		if err := s.Claim(b.Context(), asrun.Claim{Row: r, Before: &at, After: &after}); err != nil {
			b.Fatal(err)
		}
		for i := range int64(12) {
			if err := s.Checkpoint(b.Context(), r.Key(), r.Due, 0, i*240000); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.End(b.Context(), r.Key(), heard(2880000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(written(b)-before)/float64(n)/1024, "KiB/airing")
}

// written returns how many bytes this process has written to the disk.
func written(tb testing.TB) (n int64) {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		tb.Fatal(err)
	}
	return n
}
