package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"dalaba/county/notice"
	"dalaba/playlist/emergency"
)

// Watch is what is known of a thing about which there are notices.
type Watch struct {
	Subject string
	State   string // JSON; empty: forget it
}

// Watched lists what is known of the things of a kind.
func (s *Store) Watched(ctx context.Context, k notice.Kind) ([]Watch, error) {
	return watched(ctx, s.read(), k)
}

func watched(ctx context.Context, c conn, k notice.Kind) (all []Watch, err error) {
	err = c.each(ctx, "SELECT subject, state FROM watch WHERE kind = ?1", []any{string(k)}, func(scan func(...any) error) error {
		var w Watch
		err := scan(&w.Subject, &w.State)
		all = append(all, w)
		return err
	})
	slices.SortFunc(all, func(a, b Watch) int { return cmp.Compare(a.Subject, b.Subject) })
	return all, err
}

// Attend has f decide what is new of the things of a kind. f is given what is known of
// them, and returns what has changed of that and the notices about it. All of it is kept or
// nothing; a notice whose key there is already is not kept again.
func (s *Store) Attend(ctx context.Context, k notice.Kind, f func(known []Watch) (changed []Watch, news []notice.Notice, err error)) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		known, err := watched(ctx, tx, k)
		if err != nil {
			return err
		}
		changed, news, err := f(known)
		if err != nil {
			return err
		}
		for _, w := range changed {
			if w.State == "" {
				err = tx.exec(ctx, "DELETE FROM watch WHERE kind = ?1 AND subject = ?2", string(k), clean(w.Subject))
			} else {
				err = tx.exec(ctx, `INSERT INTO watch (kind, subject, state) VALUES (?1, ?2, ?3)
					ON CONFLICT (kind, subject) DO UPDATE SET state = excluded.state`, string(k), clean(w.Subject), clean(w.State))
			}
			if err != nil {
				return err
			}
		}
		for _, n := range news {
			if _, err := addNotice(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func addNotice(ctx context.Context, tx conn, n notice.Notice) (added bool, err error) {
	rows, err := tx.change(ctx, `INSERT INTO notice (key, recipient, kind, level, text, at, state, next, tries, ended, why)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (key) DO NOTHING`,
		clean(n.Key), clean(n.To), string(n.Kind), int64(n.Level), clean(n.Text), n.At.UnixMicro(), string(n.State), n.Next.UnixMicro(), int64(n.Tries),
		micros(n.Ended), clean(n.Why))
	return rows > 0, err
}

// AddNotice keeps a notice. added is false if there is one with its key.
func (s *Store) AddNotice(ctx context.Context, n notice.Notice) (added bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		added, err = addNotice(ctx, tx, n)
		return err
	})
	return added, err
}

// ClaimNotice takes a notice that is due or held in hand, so that no other replica sends
// it: until the instant given, or until [Store.EndNotice]. ok is false if another has it.
func (s *Store) ClaimNotice(ctx context.Context, id int64, now, until time.Time) (ok bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		n, err := tx.change(ctx, "UPDATE notice SET state = 'due', next = ?3, tries = tries + 1 WHERE id = ?1 AND state IN ('due', 'held') AND next <= ?2",
			id, now.UnixMicro(), until.UnixMicro())
		ok = n > 0
		return err
	})
	return ok, err
}

// EndNotice keeps what became of a notice that was claimed: its State, Next, Ended and Why.
func (s *Store) EndNotice(ctx context.Context, n notice.Notice) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, "UPDATE notice SET state = ?2, next = ?3, ended = ?4, why = ?5 WHERE id = ?1",
			n.ID, string(n.State), n.Next.UnixMicro(), micros(n.Ended), clean(n.Why))
	})
}

// HoldNotices holds notices that are due.
func (s *Store) HoldNotices(ctx context.Context, all []notice.Notice) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		for _, n := range all {
			if err := tx.exec(ctx, "UPDATE notice SET state = 'held', why = ?2 WHERE id = ?1 AND state = 'due' AND tries = 0", n.ID, n.Why); err != nil {
				return err
			}
		}
		return nil
	})
}

// GatherNotices puts a summary in the place of notices that are held. The error is
// [ErrStale] if another replica has gathered any of them.
func (s *Store) GatherNotices(ctx context.Context, held []notice.Notice, summary notice.Notice) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		for _, n := range held {
			changed, err := tx.change(ctx, "UPDATE notice SET state = 'gathered' WHERE id = ?1 AND state = 'held'", n.ID)
			if err != nil {
				return err
			}
			if changed == 0 {
				return ErrStale
			}
		}
		_, err := addNotice(ctx, tx, summary)
		return err
	})
}

// PruneNotices deletes notices that ended, or were gathered, before an instant.
func (s *Store) PruneNotices(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		n, err = tx.change(ctx, "DELETE FROM notice WHERE state NOT IN ('due', 'held') AND coalesce(ended, at) < ?1", before.UnixMicro())
		return err
	})
	return n, err
}

// OpenNotices lists the notices that are still to be told, the first first.
func (s *Store) OpenNotices(ctx context.Context) ([]notice.Notice, error) {
	return s.notices(ctx, "WHERE state IN ('due', 'held') ORDER BY id")
}

// EndedNotices lists the notices that came to a state since an instant.
func (s *Store) EndedNotices(ctx context.Context, state notice.State, since time.Time) ([]notice.Notice, error) {
	return s.notices(ctx, "WHERE state = ?1 AND ended > ?2 ORDER BY id", string(state), since.UnixMicro())
}

// Notices lists the latest notices, the latest first.
func (s *Store) Notices(ctx context.Context, limit int) ([]notice.Notice, error) {
	return s.notices(ctx, "ORDER BY id DESC LIMIT ?1", int64(limit))
}

// NoticeByKey is the notice with a key.
func (s *Store) NoticeByKey(ctx context.Context, key string) (notice.Notice, error) {
	all, err := s.notices(ctx, "WHERE key = ?1", key)
	if err == nil && len(all) == 0 {
		err = found(sql.ErrNoRows, "notice", key)
	}
	if err != nil {
		return notice.Notice{}, err
	}
	return all[0], nil
}

func (s *Store) notices(ctx context.Context, which string, args ...any) (all []notice.Notice, err error) {
	err = s.read().each(ctx, "SELECT id, key, recipient, kind, level, text, at, state, next, tries, ended, why FROM notice "+which, args,
		func(scan func(...any) error) error {
			var (
				n                      notice.Notice
				kind, state            string
				level, at, next, tries int64
				ended                  sql.NullInt64
			)
			err := scan(&n.ID, &n.Key, &n.To, &kind, &level, &n.Text, &at, &state, &next, &tries, &ended, &n.Why)
			n.Kind, n.State, n.Level, n.Tries = notice.Kind(kind), notice.State(state), emergency.Level(level), int(tries)
			n.At, n.Next, n.Ended = time.UnixMicro(at).UTC(), time.UnixMicro(next).UTC(), instant(ended)
			all = append(all, n)
			return err
		})
	return all, err
}
