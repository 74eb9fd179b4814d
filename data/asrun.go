package data

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Query selects rows of the as-run log. The zero Query selects all.
type Query struct {
	Since, Until time.Time // due in [Since, Until); zero: no bound
	Output       string    // empty: any
	Slot         string
	Clip         playlist.ClipID
	After        int64 // only closed rows of the present epoch whose receipt has a higher number
	Limit        int   // 0: no limit
}

// AsRun yields the as-run log in due order, including open rows, and reads from
// the disk as it goes. It ends after an error.
func (s *Store) AsRun(ctx context.Context, q Query) iter.Seq2[asrun.Row, error] {
	var (
		where []string
		args  []any
	)
	and := func(condition string, arg any) { where, args = append(where, condition), append(args, arg) }
	if !q.Since.IsZero() {
		and("a.due >= ?", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		and("a.due < ?", q.Until.UnixMicro())
	}
	if q.Output != "" {
		and("a.output = ?", q.Output)
	}
	if q.Slot != "" {
		and("a.slot = ?", q.Slot)
	}
	if q.Clip != "" {
		and("a.billing IN (SELECT id FROM billing WHERE clip = ?)", q.Clip)
	}
	if q.After > 0 {
		and(`a.id IN (SELECT asrun FROM receipt WHERE epoch = (SELECT epoch FROM store) AND seq > ?)`, q.After)
	}
	tail := "ORDER BY a.due, a.id"
	if len(where) > 0 {
		tail = "WHERE " + strings.Join(where, " AND ") + " " + tail
	}
	if q.Limit > 0 {
		tail += " LIMIT ?"
		args = append(args, q.Limit)
	}
	return func(yield func(asrun.Row, error) bool) {
		goOn := true
		err := eachRow(ctx, s.db().Reader(), tail, args, func(r asrun.Row, _ time.Time) bool {
			goOn = yield(r, nil)
			return goOn
		})
		if err != nil && goOn {
			yield(asrun.Row{}, err)
		}
	}
}

// Rows returns the rows of one airing on all outputs, ordered by output, item
// and part.
func (s *Store) Rows(ctx context.Context, id playlist.AiringID) ([]asrun.Row, error) {
	return s.rows(ctx, "WHERE a.airing = ? ORDER BY a.output, a.item, a.part", id)
}

// OpenRows returns the rows that are claimed and not yet ended: what airs now,
// or what a crash left open. The one claimed first comes first.
func (s *Store) OpenRows(ctx context.Context) ([]asrun.Row, error) {
	return s.rows(ctx, "WHERE a.outcome = '' ORDER BY a.id")
}

func (s *Store) rows(ctx context.Context, tail string, args ...any) ([]asrun.Row, error) {
	var all []asrun.Row
	err := eachRow(ctx, s.db().Reader(), tail, args, func(r asrun.Row, _ time.Time) bool {
		all = append(all, r)
		return true
	})
	return all, err
}

// eachRow calls f with each row and when its frames were last recorded, until f
// returns false.
func eachRow(ctx context.Context, q querier, tail string, args []any, f func(asrun.Row, time.Time) bool) error {
	return eachRaw(ctx, q, tail, args, func(r asrun.Row, noted, began time.Time) bool {
		if !began.IsZero() {
			repairRow(&r, began)
		}
		return f(r, noted)
	})
}

// eachRaw is eachRow with the instants as they were written. began is when the
// row's boot began, if the instants are to be corrected by it.
func eachRaw(ctx context.Context, q querier, tail string, args []any, f func(r asrun.Row, noted, began time.Time) bool) error {
	rows, err := q.QueryContext(ctx, `SELECT a.airing, a.output, a.item, a.part, a.slot, a.playlist,
		coalesce(b.clip, ''), coalesce(b.title, ''), coalesce(b.series, ''), coalesce(b.issue, 0), a.rank,
		a.due, a.cued, a.started, a.ended, a.from_frame, a.frames, a.of_frames, a.at_frame, a.level_db,
		a.residents, a.area, a.outcome, a.reason, a.clock, a.boot, a.mono_ms, a.alert, a.used, a.seq, a.noted, t.began
		FROM asrun a LEFT JOIN billing b ON b.id = a.billing
		LEFT JOIN boot t ON a.clock = 'untrusted' AND t.boot = a.boot `+tail, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			r                                       asrun.Row
			due, cued, started, ended, noted, began sql.NullInt64
		)
		err := rows.Scan(&r.Airing, &r.Output, &r.Item, &r.Part, &r.Slot, &r.Playlist,
			&r.Clip, &r.Title, &r.Series, &r.Issue, &r.Rank,
			&due, &cued, &started, &ended, &r.FromFrame, &r.Frames, &r.OfFrames, &r.AtFrame, &r.LevelDB,
			&r.Residents, &r.Area, &r.Outcome, &r.Reason, &r.Clock, &r.Boot, &r.MonoMS, &r.Alert, &r.Used, &r.Seq, &noted, &began)
		if err != nil {
			return err
		}
		r.Due, r.Cued, r.Started, r.Ended = instant(due), instant(cued), instant(started), instant(ended)
		if !f(r, instant(noted), instant(began)) {
			return nil
		}
	}
	return rows.Err()
}

// Unsent returns how many receipts the county has not acknowledged, and when
// the oldest of them was made.
func (s *Store) Unsent(ctx context.Context) (n int, oldest time.Time, err error) {
	var us sql.NullInt64
	err = s.db().Reader().QueryRowContext(ctx, "SELECT count(*) FROM receipt WHERE sent IS NULL").Scan(&n)
	if err != nil || n == 0 {
		return n, time.Time{}, err
	}
	err = s.db().Reader().QueryRowContext(ctx,
		"SELECT made FROM receipt WHERE sent IS NULL ORDER BY epoch, seq LIMIT 1").Scan(&us)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	return n, instant(us), err
}

// Acknowledge records that the county has every receipt of the epoch up to and
// including seq. If that is more than were ever made here, the store has lost
// some: it starts a new epoch, so that no number is used twice, and records the
// loss.
func (s *Store) Acknowledge(ctx context.Context, epoch string, seq int64) error {
	var lost int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		lost = 0
		_, err := tx.ExecContext(ctx, `UPDATE receipt SET sent = ? WHERE sent IS NULL AND seq <= ?
			AND epoch = (SELECT id FROM epoch WHERE name = ?)`, micros(s.now()), seq, epoch)
		if err != nil {
			return err
		}
		var made int64
		err = tx.QueryRowContext(ctx, `SELECT s.seq FROM store s JOIN epoch e ON e.id = s.epoch
			WHERE e.name = ?`, epoch).Scan(&made)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || made >= seq {
			return err
		}
		lost = seq - made
		if err := newEpoch(ctx, tx, s.now()); err != nil {
			return err
		}
		return noteLoss(ctx, tx, Loss{At: s.now(), Why: "the county holds receipts that are no longer here"})
	})
	if err == nil && lost > 0 {
		s.log.Error("store lost receipts that the county has", "receipts", lost)
	}
	return err
}

// Renumber gives the receipts of an epoch that are not acknowledged the numbers of a
// new epoch, in the same order. Later receipts follow them there if the epoch is the one
// in which receipts are made.
func (s *Store) Renumber(ctx context.Context, epoch string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var old, mark int64
		err := tx.QueryRowContext(ctx, `SELECT e.id, min(r.seq) - 1 FROM epoch e JOIN receipt r ON r.epoch = e.id AND r.sent IS NULL
			WHERE e.name = ? GROUP BY e.id`, epoch).Scan(&old, &mark)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		next, err := addEpoch(ctx, tx, s.now())
		if err != nil {
			return err
		}
		for _, statement := range []string{
			// Those above the mark are all that are not acknowledged: see [Store.SetMark].
			"UPDATE receipt SET epoch = ?1, seq = seq - ?3, refused = NULL WHERE epoch = ?2 AND seq > ?3",
			"UPDATE receipt SET corrects_epoch = ?1, corrects_seq = corrects_seq - ?3 WHERE corrects_epoch = ?2 AND corrects_seq > ?3",
			"UPDATE asrun SET seq = seq - ?3 WHERE id IN (SELECT asrun FROM receipt WHERE epoch = ?1)",
			"UPDATE store SET epoch = ?1, seq = seq - ?3 WHERE epoch = ?2",
		} {
			if _, err := tx.ExecContext(ctx, statement, next, old, mark); err != nil {
				return err
			}
		}
		return nil
	})
}

// Prune deletes closed rows of the as-run log that fell due longer than keep
// before now, which must be a trusted time. If sentOnly is set, rows stay until
// the county has acknowledged all their receipts. It returns how many rows it
// deleted.
//
// The age of a row written under an untrusted clock is taken from when its boot
// began, or else from the next row with a trusted instant; if there is none,
// the row stays.
func (s *Store) Prune(ctx context.Context, now time.Time, keep time.Duration, sentOnly bool) (int64, error) {
	var total int64
	for {
		var n int64
		// In small batches, so that an airing never waits long for the one
		// writer.
		err := s.write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM asrun WHERE id IN (
				SELECT a.id FROM asrun a LEFT JOIN boot t ON t.boot = a.boot WHERE due < ?1 AND outcome != ''
				AND CASE WHEN clock != 'untrusted' THEN due ELSE coalesce(began + mono_ms * 1000,
					(SELECT b.due FROM asrun b WHERE b.id > a.id AND b.clock != 'untrusted' ORDER BY b.id LIMIT 1)) END < ?1
				AND EXISTS (SELECT 1 FROM receipt WHERE asrun = a.id)
				AND NOT (?2 AND EXISTS (SELECT 1 FROM receipt WHERE asrun = a.id AND sent IS NULL))
				ORDER BY due LIMIT 2000)`, now.Add(-keep).UnixMicro(), sentOnly)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}
