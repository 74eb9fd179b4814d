package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // to fill a store without the daemon

	"dalaba/data"
)

// start measures from the start of the program until it has logged that it is
// ready and an output is open. The peer is a full check of the same file by
// SQLite's own shell.
func (b *bench) start(ctx context.Context) ([]Figure, error) {
	rows, rounds := 1_000_000, 7
	if b.short {
		rows, rounds = 50_000, 3
	}
	s, err := b.newSite("start")
	if err != nil {
		return nil, err
	}
	for i := range lanes {
		s.output(fmt.Sprintf("p%d", i), "null:")
	}
	// Windows so short that nothing sounds, because that would not be the same
	// each time. Names so short that the config stays within its 1 MiB.
	const window = "window = \"1s\"\n"
	for i, spec := range specs(slots) {
		s.slot(fmt.Sprintf("s%d", i), spec, window, fmt.Sprintf("p%d", i%lanes))
	}
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	if err := b.fillStore(ctx, s.data(), rows); err != nil {
		return nil, err
	}
	// Once without counting: it imports the clips and makes the day's backup.
	d, err := b.startDaemon(ctx, config)
	if err != nil {
		return nil, err
	}
	_, err = d.waitForLog(ctx, `msg="backup made"`, 1)
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	var ours, theirs []float64
	for range rounds {
		took, err := b.ready(ctx, config)
		if err != nil {
			return nil, err
		}
		ours = append(ours, took)
		if took, err = quickCheck(ctx, s.data()); err != nil {
			return nil, err
		}
		theirs = append(theirs, took)
	}
	name := fmt.Sprintf("start to ready, 10,000 slots, %d rows, ", rows)
	const peer = "sqlite3 PRAGMA quick_check of the store"
	return []Figure{
		figure(name+"p50", median(ours), "ms", peer, median(theirs), rounds),
		figure(name+"worst", quantile(ours, 1), "ms", peer, quantile(theirs, 1), rounds),
	}, nil
}

// ready starts the daemon, and ends it once it is ready. It returns how many
// milliseconds the start took.
func (b *bench) ready(ctx context.Context, config string) (float64, error) {
	d, err := b.startDaemon(ctx, config)
	if err != nil {
		return 0, err
	}
	at, err := d.ready(ctx)
	if err := errors.Join(err, d.end()); err != nil {
		return 0, err
	}
	return millis(at.Sub(d.began)), nil
}

// ready returns when the daemon logged that it was ready or when its first
// output was open, whichever was later.
func (d *daemon) ready(ctx context.Context) (time.Time, error) {
	opened, err := d.waitForLog(ctx, `msg="output opened"`, 1)
	ready, err2 := d.waitForLog(ctx, "msg=ready", 1)
	if ready.Before(opened) {
		ready = opened
	}
	return ready, errors.Join(err, err2)
}

// fillStore makes a store of n closed rows, one every five minutes back from
// now, whose receipts the county has.
func (b *bench) fillStore(ctx context.Context, dir string, n int) error {
	store, err := data.Open(ctx, dir, data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	return execute(ctx, dir,
		`INSERT INTO billing (id, clip, title, series, issue)
		VALUES (1, printf('%064d', 7), '发热怎么办', '健康微课堂', 1)`,
		fmt.Sprintf(`WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < %d)
		INSERT INTO asrun (airing, output, item, part, slot, playlist, billing, rank, due, cued, started, ended,
			from_frame, frames, of_frames, at_frame, level_db, residents, area, outcome, reason, clock, boot, mono_ms, seq)
		SELECT 'morning@' || i, 'p0', 1, 1, 'morning', 'lessons', 1, 105, at, at - 2000000, at, at + 60000000,
			0, 2880000, 2880000, i * 2880000, -3.5, 420, '320924100201',
			'complete', '', 'trusted', '5f0c4f3a-5b0e-4c1e-9a43-f2c3a4a7d2aa', i, i
		FROM (SELECT i, %d - (%d - i) * 300000000 AS at FROM k)`, n, time.Now().Add(-time.Hour).UnixMicro(), n),
		`INSERT INTO receipt (epoch, seq, asrun, made, sent) SELECT 1, id, id, due, due FROM asrun`,
		fmt.Sprintf(`UPDATE store SET seq = %d`, n))
}

// execute runs statements on the store's database.
func execute(ctx context.Context, dir string, statements ...string) (err error) {
	db, err := sql.Open("sqlite3", "file:"+database(dir)+"?_journal_mode=WAL&_synchronous=OFF")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func database(dir string) string { return filepath.Join(dir, "dalaba.db") }

// quickCheck returns how many milliseconds a check of every page takes.
func quickCheck(ctx context.Context, dir string) (float64, error) {
	began := time.Now()
	said, err := exec.CommandContext(ctx, "sqlite3", "-readonly", database(dir), "PRAGMA quick_check").CombinedOutput()
	if err != nil || string(said) != "ok\n" {
		return 0, fmt.Errorf("sqlite3: %w: %s", err, said)
	}
	return millis(time.Since(began)), nil
}
