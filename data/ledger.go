package data

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Claim opens a row before its first sample, and moves the playlist's cursor
// from Before to After if they are given.
//
// It returns [asrun.ErrClaimed] if the row exists. It returns
// [asrun.ErrStale] if the cursor is not at Before; if another output or an
// earlier part has already chosen the item's clip and this claim names another
// one or would move the cursor once more; or if Before and After are nil but
// the clip chosen has been returned to the playlist.
func (s *Store) Claim(ctx context.Context, c asrun.Claim) error {
	r := c.Row
	if r.Outcome != "" || r.Part < 1 || r.Item < 1 || (c.Before == nil) != (c.After == nil) {
		return fmt.Errorf("claim %v: not the claim of a part", r.Key())
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		there, err := exists(ctx, tx, r.Key())
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: %v", asrun.ErrClaimed, r.Key())
		}
		var chosen []playlist.ClipID
		if r.Alert == "" { // one output may play an alert's clip, another its text as speech
			if chosen, err = chosenClips(ctx, tx, r.Airing, r.Item); err != nil {
				return err
			}
		}
		if len(chosen) > 0 && (c.Before != nil || !slices.Contains(chosen, r.Clip)) {
			return fmt.Errorf("%w: %v airs clip %s", asrun.ErrStale, r.Key(), chosen[0].Short())
		}
		var before, after any
		switch {
		case c.Before != nil:
			at, err := cursor(ctx, tx, r.Playlist)
			if err != nil {
				return err
			}
			if at != *c.Before {
				return fmt.Errorf("%w: playlist %s", asrun.ErrStale, r.Playlist)
			}
			if err := setCursor(ctx, tx, r.Playlist, *c.After); err != nil {
				return err
			}
			if before, after, err = encodeCursors(*c.Before, *c.After); err != nil {
				return err
			}
		case len(chosen) == 0 && r.Playlist != "":
			return fmt.Errorf("%w: the clip of %v was given back", asrun.ErrStale, r.Key())
		}
		if _, err := insertRow(ctx, tx, r, before, after); err != nil {
			return err
		}
		return raiseFloor(ctx, tx, r)
	})
}

// chosenClips returns the clips chosen for an item: those of its rows that
// sounded or may still sound.
func chosenClips(ctx context.Context, tx *sql.Tx, id playlist.AiringID, item int) ([]playlist.ClipID, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT DISTINCT coalesce(b.clip, '') FROM asrun a LEFT JOIN billing b ON b.id = a.billing
		WHERE a.airing = ? AND a.item = ? AND a.part > 0
		AND (a.outcome = '' OR a.frames > 0 OR a.started IS NOT NULL)`, id, item)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []playlist.ClipID
	for rows.Next() {
		var c playlist.ClipID
		if err := rows.Scan(&c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Checkpoint records how far an open row has come. It does not change a closed
// row; it returns [ErrNotFound] if the row was never claimed.
func (s *Store) Checkpoint(ctx context.Context, k asrun.RowKey, started time.Time, atFrame, frames int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE asrun SET started = ?, at_frame = ?, frames = ?, noted = ?
			WHERE airing = ? AND output = ? AND item = ? AND part = ? AND outcome = ''`,
			micros(started), atFrame, frames, micros(s.now()), k.Airing, k.Output, k.Item, k.Part)
		if err != nil {
			return err
		}
		return changedOrThere(ctx, tx, res, k)
	})
}

// End closes an open row and makes its receipt. If nothing of the item sounded
// on any output, none of its rows is open and the cursor has not moved since,
// the clip is returned to the playlist. Ending a closed row changes nothing;
// End returns [ErrNotFound] if the row was never claimed.
func (s *Store) End(ctx context.Context, k asrun.RowKey, e asrun.End) error {
	if e.Outcome == "" {
		return fmt.Errorf("end of %v: no outcome", k)
	}
	return s.write(ctx, func(tx *sql.Tx) error { return end(ctx, tx, k, e, s.now()) })
}

func end(ctx context.Context, tx *sql.Tx, k asrun.RowKey, e asrun.End, made time.Time) error {
	var (
		id  int64
		row asrun.Row
	)
	err := tx.QueryRowContext(ctx, `UPDATE asrun
		SET started = ?, ended = ?, frames = ?, at_frame = ?, outcome = ?, reason = ?
		WHERE airing = ? AND output = ? AND item = ? AND part = ? AND outcome = ''
		RETURNING id, playlist, clock`,
		micros(e.Started), micros(e.Ended), e.Frames, e.AtFrame, e.Outcome, e.Reason,
		k.Airing, k.Output, k.Item, k.Part).Scan(&id, &row.Playlist, &row.Clock)
	if errors.Is(err, sql.ErrNoRows) {
		there, err := exists(ctx, tx, k)
		if err == nil && !there {
			err = fmt.Errorf("%w: row %v", ErrNotFound, k)
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := receipt(ctx, tx, id, made); err != nil {
		return err
	}
	if err := giveBack(ctx, tx, k, row.Playlist); err != nil {
		return err
	}
	row.Started, row.Ended = e.Started, e.Ended
	return raiseFloor(ctx, tx, row)
}

// giveBack returns an item's clip to its playlist if all its rows are closed
// and none sounded. Once one has sounded, it deletes the cursors that would be
// needed for that.
func giveBack(ctx context.Context, tx *sql.Tx, k asrun.RowKey, list string) error {
	var open, sounded int
	err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(outcome = ''), 0),
		coalesce(sum(outcome != '' AND (frames > 0 OR started IS NOT NULL)), 0)
		FROM asrun WHERE airing = ? AND item = ? AND part > 0`, k.Airing, k.Item).Scan(&open, &sounded)
	if err != nil || open > 0 && sounded == 0 {
		return err
	}
	if sounded == 0 {
		var b, a string
		err := tx.QueryRowContext(ctx, `SELECT cursor_before, cursor_after FROM asrun
			WHERE airing = ? AND item = ? AND cursor_after IS NOT NULL
			ORDER BY id DESC LIMIT 1`, k.Airing, k.Item).Scan(&b, &a)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		var before, after playlist.Cursor
		if err := errors.Join(json.Unmarshal([]byte(b), &before), json.Unmarshal([]byte(a), &after)); err != nil {
			return err
		}
		at, err := cursor(ctx, tx, list)
		if err != nil {
			return err
		}
		if at == after {
			if err := setCursor(ctx, tx, list, before); err != nil {
				return err
			}
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE asrun SET cursor_before = NULL, cursor_after = NULL
		WHERE airing = ? AND item = ? AND cursor_after IS NOT NULL`, k.Airing, k.Item)
	return err
}

// Record writes rows that never sounded, and their receipts, in one
// transaction. It does not change a row that exists.
func (s *Store) Record(ctx context.Context, rows ...asrun.Row) error {
	for _, r := range rows {
		if r.Outcome == "" {
			return fmt.Errorf("record of %v: no outcome", r.Key())
		}
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, r := range rows {
			if err := record(ctx, tx, r, s.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func record(ctx context.Context, tx *sql.Tx, r asrun.Row, made time.Time) error {
	there, err := exists(ctx, tx, r.Key())
	if err != nil || there {
		return err
	}
	id, err := insertRow(ctx, tx, r, nil, nil)
	if err != nil {
		return err
	}
	if err := receipt(ctx, tx, id, made); err != nil {
		return err
	}
	return raiseFloor(ctx, tx, r)
}

// CloseOpen closes, at the start, the rows that a crash or power cut left open.
// By the frames last recorded they are complete or partial; a partial row gets
// the reason given. A row ended when those frames had sounded; if nothing is
// known of it, when it was cued, else when it was due. now is when the receipts
// are made. Clips that did not sound are returned to their playlists. CloseOpen
// returns the closed rows, the latest first.
func (s *Store) CloseOpen(ctx context.Context, now time.Time, reason asrun.Reason) ([]asrun.Row, error) {
	var closed []asrun.Row
	err := s.write(ctx, func(tx *sql.Tx) error {
		closed = nil
		type open struct {
			row   asrun.Row
			noted time.Time
		}
		var left []open
		// The latest first: in this order the cursor can be moved back over the
		// items of one airing.
		err := eachRaw(ctx, tx, "WHERE a.outcome = '' ORDER BY a.id DESC", nil, func(r asrun.Row, noted, _ time.Time) bool {
			left = append(left, open{r, noted})
			return true
		})
		if err != nil {
			return err
		}
		for _, o := range left {
			r := o.row
			e := asrun.End{Started: r.Started, Frames: r.Frames, AtFrame: r.AtFrame, Outcome: r.Judge()}
			if e.Outcome != asrun.Complete {
				e.Reason = reason
			}
			switch {
			case !r.Started.IsZero():
				e.Ended = r.Started.Add(playlist.Length(r.Frames))
			case !o.noted.IsZero():
				e.Ended = o.noted
			case !r.Cued.IsZero():
				e.Ended = r.Cued
			default:
				e.Ended = r.Due
			}
			if err := end(ctx, tx, r.Key(), e, now); err != nil {
				return err
			}
			err := eachRow(ctx, tx, "WHERE a.airing = ? AND a.output = ? AND a.item = ? AND a.part = ?",
				[]any{r.Airing, r.Output, r.Item, r.Part}, func(r asrun.Row, _ time.Time) bool {
					closed = append(closed, r)
					return true
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return closed, err
}

// receipt makes the receipt of a row that was just closed.
func receipt(ctx context.Context, tx *sql.Tx, id int64, made time.Time) error {
	var epoch, seq int64
	err := tx.QueryRowContext(ctx, "UPDATE store SET seq = seq + 1 RETURNING epoch, seq").Scan(&epoch, &seq)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE asrun SET seq = ? WHERE id = ?", seq, id); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO receipt (epoch, seq, asrun, made) VALUES (?, ?, ?, ?)",
		epoch, seq, id, micros(made))
	return err
}

func insertRow(ctx context.Context, tx *sql.Tx, r asrun.Row, before, after any) (int64, error) {
	var billing any
	if r.Clip != "" || r.Title != "" || r.Series != "" || r.Issue != 0 {
		var id int64
		err := tx.QueryRowContext(ctx, `INSERT INTO billing (clip, title, series, issue, last) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET last = max(coalesce(last, excluded.last), excluded.last) RETURNING id`,
			r.Clip, r.Title, r.Series, r.Issue, micros(r.Due)).Scan(&id)
		if err != nil {
			return 0, err
		}
		billing = id
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO asrun (airing, output, item, part, slot, playlist, billing, rank,
		due, cued, started, ended, from_frame, frames, of_frames, at_frame, level_db, residents, area,
		outcome, reason, clock, boot, mono_ms, alert, used, seq, cursor_before, cursor_after)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`,
		r.Airing, r.Output, r.Item, r.Part, r.Slot, r.Playlist, billing, int(r.Rank),
		r.Due.UnixMicro(), micros(r.Cued), micros(r.Started), micros(r.Ended), r.FromFrame, r.Frames, r.OfFrames,
		r.AtFrame, r.LevelDB, r.Residents, r.Area, r.Outcome, r.Reason, r.Clock, r.Boot, r.MonoMS, r.Alert, r.Used, before, after)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

func exists(ctx context.Context, tx *sql.Tx, k asrun.RowKey) (yes bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM asrun
		WHERE airing = ? AND output = ? AND item = ? AND part = ?)`, k.Airing, k.Output, k.Item, k.Part).Scan(&yes)
	return yes, err
}

func changedOrThere(ctx context.Context, tx *sql.Tx, res sql.Result, k asrun.RowKey) error {
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	there, err := exists(ctx, tx, k)
	if err == nil && !there {
		err = fmt.Errorf("%w: row %v", ErrNotFound, k)
	}
	return err
}

// Cursor returns the cursor of a playlist; the zero Cursor if it never aired.
func (s *Store) Cursor(ctx context.Context, list string) (playlist.Cursor, error) {
	return cursor(ctx, s.db().Reader(), list)
}

// querier is a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// CursorsGivenBack are the cursors that the next start moves back, by playlist: those of
// clips of open rows of which nothing sounded on any output. It is for who looks while no
// daemon runs.
func (s *Store) CursorsGivenBack(ctx context.Context) (map[string]playlist.Cursor, error) {
	rows, err := s.db().Reader().QueryContext(ctx, `SELECT playlist, cursor_before, cursor_after FROM asrun a
		WHERE outcome = '' AND cursor_after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM asrun
			WHERE airing = a.airing AND item = a.item AND part > 0 AND (frames > 0 OR started IS NOT NULL))
		ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	back := map[string]playlist.Cursor{}
	for rows.Next() {
		var (
			list, b, a    string
			before, after playlist.Cursor
		)
		if err := rows.Scan(&list, &b, &a); err != nil {
			return nil, err
		}
		if err := errors.Join(json.Unmarshal([]byte(b), &before), json.Unmarshal([]byte(a), &after)); err != nil {
			return nil, err
		}
		at, ok := back[list]
		if !ok {
			if at, err = cursor(ctx, s.db().Reader(), list); err != nil {
				return nil, err
			}
		}
		if at == after {
			back[list] = before
		}
	}
	return back, rows.Err()
}

func cursor(ctx context.Context, q querier, list string) (c playlist.Cursor, err error) {
	err = q.QueryRowContext(ctx, "SELECT round, place, last FROM cursor WHERE playlist = ?", list).
		Scan(&c.Round, &c.Index, &c.Last)
	if errors.Is(err, sql.ErrNoRows) {
		return playlist.Cursor{}, nil
	}
	return c, err
}

func setCursor(ctx context.Context, tx *sql.Tx, list string, c playlist.Cursor) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO cursor (playlist, round, place, last) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET round = excluded.round, place = excluded.place, last = excluded.last`,
		list, c.Round, c.Index, c.Last)
	return err
}

func encodeCursors(before, after playlist.Cursor) (b, a string, err error) {
	x, err1 := json.Marshal(before)
	y, err2 := json.Marshal(after)
	return string(x), string(y), errors.Join(err1, err2)
}

// Watermark returns the instant up to which all that fell due has its row; zero
// in a new store. Only SetWatermark moves it.
func (s *Store) Watermark(ctx context.Context) (time.Time, error) { return s.instant(ctx, "watermark") }

// SetWatermark moves the watermark, forward or back.
func (s *Store) SetWatermark(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE store SET watermark = ?", micros(at))
		return err
	})
}

// Floor returns the latest instant that a trusted clock is known to have
// passed; zero in a new store.
func (s *Store) Floor(ctx context.Context) (time.Time, error) { return s.instant(ctx, "floor") }

// RaiseFloor records that a trusted clock has passed at. It never lowers the
// floor.
func (s *Store) RaiseFloor(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error { return raiseFloorTo(ctx, tx, at) })
}

// SetFloor sets the floor, forward or back, for a caller that knows the time.
func (s *Store) SetFloor(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE store SET floor = ?", micros(at))
		return err
	})
}

func (s *Store) instant(ctx context.Context, column string) (time.Time, error) {
	var us sql.NullInt64
	err := s.db().Reader().QueryRowContext(ctx, "SELECT "+column+" FROM store").Scan(&us)
	return instant(us), err
}

// raiseFloor raises the floor to the latest instant that a row says has passed.
// Its due instant does not count, because a row may be claimed ahead of it; nor
// does any instant from an untrusted clock.
func raiseFloor(ctx context.Context, tx *sql.Tx, r asrun.Row) error {
	if r.Clock != playlist.ClockTrusted {
		return nil
	}
	latest := r.Cued
	for _, t := range []time.Time{r.Started, r.Ended} {
		if t.After(latest) {
			latest = t
		}
	}
	if latest.IsZero() {
		return nil
	}
	return raiseFloorTo(ctx, tx, latest)
}

func raiseFloorTo(ctx context.Context, tx *sql.Tx, at time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE store SET floor = ?1 WHERE floor IS NULL OR floor < ?1", at.UnixMicro())
	return err
}

// micros returns an instant as the store keeps it; NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func instant(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}
