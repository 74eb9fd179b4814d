package data

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"dalaba/playlist"
)

// NoteBoot settles when a boot of the machine began, by a clock that is
// trusted: its present reading less the time since boot. From then on rows
// written in that boot while the clock was not trusted read with their
// instants put right, as [playlist.ClockRepaired]; the rows themselves are
// never edited. The first word stands. Rows that have receipts already get
// another each, which puts the first one right.
func (s *Store) NoteBoot(ctx context.Context, boot string, began time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "INSERT INTO boot (boot, began, known) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			boot, began.UnixMicro(), micros(s.now()))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return correct(ctx, tx, boot, s.now())
	})
}

// correct makes receipts for the rows of a boot that were closed before its
// time was known.
func correct(ctx context.Context, tx *sql.Tx, boot string, now time.Time) error {
	rows, err := tx.QueryContext(ctx, `SELECT a.id, r.epoch, r.seq FROM asrun a JOIN receipt r ON r.asrun = a.id
		WHERE a.boot = ? AND a.clock = ? AND a.outcome != '' ORDER BY r.epoch, r.seq`, boot, playlist.ClockUntrusted)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	type first struct{ asrun, epoch, seq int64 }
	var all []first
	for rows.Next() {
		var f first
		if err := rows.Scan(&f.asrun, &f.epoch, &f.seq); err != nil {
			return err
		}
		all = append(all, f)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, f := range all {
		var epoch, seq int64
		if err := tx.QueryRowContext(ctx, "UPDATE store SET seq = seq + 1 RETURNING epoch, seq").Scan(&epoch, &seq); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO receipt (epoch, seq, asrun, made, corrects_epoch, corrects_seq)
			VALUES (?, ?, ?, ?, ?, ?)`, epoch, seq, f.asrun, micros(now), f.epoch, f.seq)
		if err != nil {
			return err
		}
	}
	return nil
}

// longRow is longer than any row lasts. Where a clock was put right by more
// while a row was open, its later instants are told from the earlier ones: they
// are right already.
const longRow = 2 * time.Hour

// repair puts a row's instants right, whose boot is known to have begun then.
// Its MonoMS was taken when it was cued or, where nothing was, when it ended.
func repair(r *playlist.Row, began time.Time) {
	told := r.Cued
	if told.IsZero() {
		told = r.Ended
	}
	if told.IsZero() {
		told = r.Due
	}
	right := began.Add(time.Duration(r.MonoMS) * time.Millisecond)
	off := right.Sub(told)
	for _, t := range []*time.Time{&r.Due, &r.Cued, &r.Started, &r.Ended} {
		if !t.IsZero() && (off.Abs() < longRow || t.Sub(told).Abs() <= t.Sub(right).Abs()) {
			*t = t.Add(off)
		}
	}
	r.Clock = playlist.ClockRepaired
}
