package data

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"dalaba/data/clips"
	"dalaba/data/sqlite"
)

const (
	homeEvery = 15 * time.Second // how often a store in memory looks whether its disk can be written again
	homeRoom  = 1 << 20          // and has at least so much room
	closing   = time.Second
	lingers   = 10 * time.Second // until a database that was left is closed: somebody may still read it
)

// Facts that a database in memory keeps of itself.
const (
	stateSpareRows   = "spare.rows"   // the last row that was copied
	stateSpareEvents = "spare.events" // the last event
	stateSpareWhole  = "spare.whole"  // all of the database on the disk was copied
)

// OpenVolatile opens a store for when [Open] cannot, because the disk is
// read-only, full or failing: a copy in memory of what can still be read of
// the database in dir, or of its newest good backup, or else an empty one,
// with the clips of dir. All works as ever. Once the disk can be written
// again, at the latest when the next daemon opens it, what was recorded
// meanwhile is brought home, each row once; it is lost where the machine is
// switched off before. What is damaged or missing there is restored then, as
// [Open] does. Receipts are numbered in an epoch of their own.
//
// Where a daemon that ended left such a store behind, it goes on.
func OpenVolatile(ctx context.Context, dir string, o Options) (*Store, error) {
	o = o.filled()
	o.Spare = true
	s := &Store{dir: dir, clips: clips.Folder(clipDir(dir)), now: o.Now, o: o, raw: o.Log}
	db, spare, err := s.makeSpare(ctx, true)
	if err != nil {
		return nil, err
	}
	s.cur.Store(db)
	s.spare = spare
	s.startEvents()
	s.log.Error("store cannot be written: it goes on in memory", "path", dir)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.wait.Go(func() { s.watch(background) })
	return s, nil
}

// away reports whether the store is in memory.
func (s *Store) away() bool {
	s.turn.RLock()
	defer s.turn.RUnlock()
	return s.spare != ""
}

// Aside is a path in memory that belongs to the data folder dir, for what must
// be found again and cannot lie there.
func Aside(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	memory := "/dev/shm"
	if fi, err := os.Stat(memory); err != nil || !fi.IsDir() {
		memory = os.TempDir()
	}
	name := sha256.Sum256([]byte(dir))
	return filepath.Join(memory, "dalaba-"+hex.EncodeToString(name[:8]))
}

// Ours reports whether what lies at a path in memory was made by somebody who
// may: the folder it lies in belongs to everybody.
func Ours(dir, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode()&os.ModeSymlink != 0 {
		return false
	}
	uid := fi.Sys().(*syscall.Stat_t).Uid
	if uid == 0 || uid == uint32(os.Geteuid()) {
		return true
	}
	home, err := os.Stat(dir)
	return err == nil && home.Sys().(*syscall.Stat_t).Uid == uid
}

// spareOf is the folder of the store in memory, and whether there is one.
func spareOf(dir string) (path string, ok bool) {
	path = Aside(dir)
	fi, err := os.Lstat(path)
	return path, err == nil && fi.IsDir() && fi.Mode().Perm() == 0o700 && Ours(dir, path)
}

// makeSpare opens a database in memory: the one that was left behind there,
// where again is set, else a copy of the best there is.
func (s *Store) makeSpare(ctx context.Context, again bool) (db *sqlite.DB, path string, err error) {
	path, ok := spareOf(s.dir)
	if !ok {
		if err := os.Mkdir(path, 0o700); err != nil {
			// Somebody else's: nobody will find ours, but it will do.
			if path, err = os.MkdirTemp(filepath.Dir(path), "dalaba-"); err != nil {
				return nil, "", err
			}
		}
	}
	if _, err := os.Stat(file(path)); err == nil && again {
		if db, err := sqlite.Open(ctx, file(path), migrations(), sqlite.Options{}); err == nil {
			return db, path, nil
		}
	}
	db, whole, err := s.copyTo(ctx, path)
	if err == nil {
		if err = s.beginSpare(ctx, db, whole); err != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, os.RemoveAll(path))
	}
	return db, path, nil
}

// beginSpare begins an epoch, and notes what was there before.
func (s *Store) beginSpare(ctx context.Context, db *sqlite.DB, whole bool) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		if err := newEpoch(ctx, tx, s.now()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO state (key, value) VALUES
			(?, (SELECT coalesce(max(id), 0) FROM asrun)), (?, (SELECT coalesce(max(id), 0) FROM event)), (?, ?)`,
			stateSpareRows, stateSpareEvents, stateSpareWhole, fmt.Sprint(whole))
		return err
	})
}

// copyTo opens a copy of the best there is in the data folder; whole says that
// it is all there was.
func (s *Store) copyTo(ctx context.Context, dir string) (db *sqlite.DB, whole bool, err error) {
	tries := []func() error{func() error {
		db, err := sqlite.OpenReadOnly(ctx, file(s.dir), migrations())
		if err != nil {
			return err
		}
		return errors.Join(db.Backup(ctx, file(dir)), db.Close())
	}}
	all, err := backups(s.dir).All()
	if err != nil {
		s.raw.Error("backups cannot be read", "err", err)
	}
	for _, b := range slices.Backward(all) {
		tries = append(tries, func() error { return sqlite.CopyFile(b.Path, file(dir)) })
	}
	for i, try := range tries {
		err := sqlite.Remove(file(dir))
		if err == nil {
			err = try()
		}
		if err == nil {
			if db, err = sqlite.Open(ctx, file(dir), migrations(), sqlite.Options{}); err == nil {
				return db, i == 0, nil
			}
		}
		s.raw.Error("database cannot be copied", "err", err)
	}
	if err := sqlite.Remove(file(dir)); err != nil {
		return nil, false, err
	}
	db, err = sqlite.Open(ctx, file(dir), migrations(), sqlite.Options{})
	return db, false, err
}

// leave goes over to memory, because the disk fails, unless another has
// already. It reports whether the store can be written now.
func (s *Store) leave(ctx context.Context, from *sqlite.DB, why error) bool {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.db() != from {
		return true
	}
	db, path, err := s.makeSpare(context.WithoutCancel(ctx), false)
	if err != nil {
		s.raw.Error("store cannot go on in memory", "err", err)
		return false
	}
	s.home, s.spare = from, path
	s.cur.Store(db)
	s.log.Error("store cannot be written: it goes on in memory", "path", s.dir, "err", why)
	return true
}

// watch brings a store in memory home as soon as its disk can be written.
func (s *Store) watch(ctx context.Context) {
	tick := time.NewTicker(homeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.away() {
			if err := s.comeBack(ctx); err != nil && ctx.Err() == nil {
				s.raw.Debug("store cannot be written yet", "err", err)
			}
		}
	}
}

// comeBack goes back to the disk, with what was recorded in memory.
func (s *Store) comeBack(ctx context.Context) error {
	if err := makeFolders(s.dir); err != nil {
		return err
	}
	if room, err := free(s.dir); err != nil || room < homeRoom {
		return errors.Join(sqlite.ErrFull, err)
	}
	if s.home == nil { // only the watch and then Close look at it
		// Damage is put right here: a daemon that ended for it would come back
		// to the same disk.
		home, loss, err := s.openSound(ctx)
		if err != nil {
			return err
		}
		s.tellLoss(loss)
		s.turn.Lock()
		s.home = home
		s.turn.Unlock()
	}
	err := s.home.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE store SET checked = checked")
		return err
	})
	if err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	rows, err := merge(ctx, s.home, file(s.spare))
	if err != nil {
		if errors.Is(err, sqlite.ErrDamaged) {
			s.foundDamage(err)
		}
		return err
	}
	old, path := s.db(), s.spare
	s.cur.Store(s.home)
	s.home, s.spare = nil, ""
	if err := os.RemoveAll(path); err != nil {
		s.raw.Warn("store in memory not removed", "path", path, "err", err)
	}
	s.log.Warn("store can be written again", "path", s.dir, "rows", rows)
	s.gone.Go(func() {
		linger, done := context.WithTimeout(context.Background(), lingers)
		defer done()
		stopped := context.AfterFunc(ctx, done)
		defer stopped()
		<-linger.Done()
		_ = old.Close() // its files have gone already
	})
	return nil
}

// adopt brings home what an earlier daemon left in memory.
func (s *Store) adopt(ctx context.Context) {
	path, ok := spareOf(s.dir)
	if _, err := os.Stat(file(path)); !ok || err != nil {
		return
	}
	// Opened once, so that its log is whole and its schema ours.
	db, err := sqlite.Open(ctx, file(path), migrations(), sqlite.Options{})
	if err == nil {
		err = db.Close()
	}
	rows := int64(0)
	if err == nil {
		rows, err = merge(ctx, s.db(), file(path))
	}
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err != nil {
		s.log.Error("what an earlier run recorded in memory cannot be brought home", "path", path, "err", err)
		return
	}
	s.log.Warn("store can be written again", "path", s.dir, "rows", rows)
}

// The tables of which merge knows more than that they hold facts.
var merged = []string{"store", "epoch", "asrun", "billing", "receipt", "event", "loss"}

// merge brings into the database what was recorded in the one in memory at
// that path, in one transaction, and once: where the other's epoch is known
// already, that has been done. It answers how many rows of the as-run log are
// new.
func merge(ctx context.Context, home *sqlite.DB, path string) (rows int64, err error) {
	err = home.Join(ctx, path, func(tx *sql.Tx) error {
		rows = 0
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM epoch WHERE name =
			(SELECT e.name FROM other.epoch e JOIN other.store s ON s.epoch = e.id))`).Scan(&known)
		if err != nil || known {
			return err
		}
		facts, err := texts(ctx, tx, `SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
		if err != nil {
			return err
		}
		columns, err := texts(ctx, tx, `SELECT name FROM pragma_table_info('asrun') WHERE name NOT IN ('id', 'billing')`)
		if err != nil {
			return err
		}
		whole, err := texts(ctx, tx, "SELECT value FROM other.state WHERE key = ?", stateSpareWhole)
		if err != nil {
			return err
		}
		type step struct {
			query string
			args  []any
		}
		const same = "a.airing = x.airing AND a.output = x.output AND a.item = x.item AND a.part = x.part"
		all := strings.Join(columns, ", ")
		steps := []step{
			{"PRAGMA defer_foreign_keys = ON", nil},
			{"INSERT INTO epoch (name, made) SELECT name, made FROM other.epoch WHERE name NOT IN (SELECT name FROM main.epoch) ORDER BY id", nil},
			{`INSERT INTO billing (clip, title, series, issue, last) SELECT clip, title, series, issue, last FROM other.billing WHERE true
				ON CONFLICT DO UPDATE SET last = max(coalesce(last, excluded.last), excluded.last)`, nil},
			// What was open when the disk failed.
			{`UPDATE asrun AS a SET (started, ended, frames, at_frame, outcome, reason, seq, noted, cursor_before, cursor_after) =
				(x.started, x.ended, x.frames, x.at_frame, x.outcome, x.reason, x.seq, x.noted, x.cursor_before, x.cursor_after)
				FROM other.asrun x WHERE a.outcome = '' AND ` + same, nil},
			{`INSERT INTO asrun (billing, ` + all + `) SELECT (SELECT b.id FROM billing b JOIN other.billing o
				ON o.clip = b.clip AND o.title = b.title AND o.series = b.series AND o.issue = b.issue WHERE o.id = x.billing), ` + all + `
				FROM other.asrun x WHERE x.id > (SELECT CAST(value AS INTEGER) FROM other.state WHERE key = ?)
				AND NOT EXISTS (SELECT 1 FROM main.asrun a WHERE ` + same + `) ORDER BY x.id`, []any{stateSpareRows}},
			{`INSERT OR IGNORE INTO receipt (epoch, seq, asrun, made, sent, refused, corrects_epoch, corrects_seq)
				SELECT e.id, r.seq, a.id, r.made, r.sent, r.refused, (SELECT c.id FROM main.epoch c JOIN other.epoch o ON o.name = c.name
				WHERE o.id = r.corrects_epoch), r.corrects_seq FROM other.receipt r JOIN other.epoch o ON o.id = r.epoch
				JOIN main.epoch e ON e.name = o.name JOIN other.asrun x ON x.id = r.asrun JOIN main.asrun a ON ` + same, nil},
			{`UPDATE receipt AS m SET sent = r.sent, refused = r.refused FROM other.receipt r JOIN other.epoch o ON o.id = r.epoch
				JOIN main.epoch e ON e.name = o.name WHERE m.epoch = e.id AND m.seq = r.seq AND (m.sent IS NOT r.sent OR m.refused IS NOT r.refused)`, nil},
			{`INSERT INTO event (at, boot, mono_ms, level, message, attrs) SELECT at, boot, mono_ms, level, message, attrs
				FROM other.event WHERE id > (SELECT CAST(value AS INTEGER) FROM other.state WHERE key = ?) ORDER BY id`, []any{stateSpareEvents}},
			{`INSERT INTO loss (at, why, aside, backup, newest) SELECT at, why, aside, backup, newest FROM other.loss o
				WHERE NOT EXISTS (SELECT 1 FROM main.loss l WHERE l.at = o.at AND l.why = o.why) ORDER BY id`, nil},
			{"UPDATE store SET watermark = (SELECT watermark FROM other.store), floor = (SELECT floor FROM other.store)", nil},
		}
		for _, t := range facts {
			if slices.Contains(merged, t) {
				continue
			}
			// A clip may have come beside the daemon; the rest is the daemon's own.
			if t != "clip" && t != "source" && slices.Equal(whole, []string{"true"}) {
				steps = append(steps, step{"DELETE FROM main." + t, nil})
			}
			steps = append(steps, step{fmt.Sprintf("INSERT OR REPLACE INTO main.%s SELECT * FROM other.%s", t, t), nil})
		}
		steps = append(steps, step{"DELETE FROM main.state WHERE key LIKE 'spare.%'", nil})
		for _, st := range steps {
			res, err := tx.ExecContext(ctx, st.query, st.args...)
			if err != nil {
				return err
			}
			if strings.HasPrefix(st.query, "INSERT INTO asrun") {
				if rows, err = res.RowsAffected(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return rows, err
}

func texts(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}
