package data

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// NoteBoot records when a boot of the machine began, by a trusted clock: its
// present reading less the time since boot. From then on, rows written in that
// boot while the clock was untrusted are read with corrected instants, as
// [playlist.ClockRepaired]; the rows themselves are never edited. A second call
// for the same boot changes nothing. Rows that already have receipts get
// another one each, which corrects the first.
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
		return correctReceipts(ctx, tx, boot, s.now())
	})
}

// correctReceipts makes receipts for the rows of a boot that were closed before
// its start was known.
func correctReceipts(ctx context.Context, tx *sql.Tx, boot string, now time.Time) error {
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

// longRow is longer than any row lasts. If the clock was corrected by more than
// that while a row was open, the instants noted after the correction can be
// told from those noted before it: they are right already.
const longRow = 2 * time.Hour

// repairRow corrects the instants of a row whose boot began then. The row's
// MonoMS was noted when it was cued, or, if nothing was cued, when it ended.
func repairRow(r *asrun.Row, began time.Time) {
	noted := r.Cued
	if noted.IsZero() {
		noted = r.Ended
	}
	if noted.IsZero() {
		noted = r.Due
	}
	right := began.Add(time.Duration(r.MonoMS) * time.Millisecond)
	off := right.Sub(noted)
	for _, t := range []*time.Time{&r.Due, &r.Cued, &r.Started, &r.Ended} {
		if !t.IsZero() && (off.Abs() < longRow || t.Sub(noted).Abs() <= t.Sub(right).Abs()) {
			*t = t.Add(off)
		}
	}
	r.Clock = playlist.ClockRepaired
}
