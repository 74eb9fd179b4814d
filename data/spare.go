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
	retryEvery   = 15 * time.Second // how often a store in memory checks whether its disk can be written again
	roomToReturn = 1 << 20          // bytes that must be free on the disk for that
	closeTimeout = time.Second
	closeDelay   = 10 * time.Second // how long a database that was switched from stays open: it may still be read
)

// Facts that a database in memory keeps about itself.
const (
	stateSpareRows   = "spare.rows"   // the last row that was copied
	stateSpareEvents = "spare.events" // the last event that was copied
	stateSpareWhole  = "spare.whole"  // whether all of the database on the disk was copied
)

// OpenVolatile opens a store in memory if [Open] cannot open the one on the
// disk, because the disk is read-only, full or failing. It holds a copy of what
// can still be read of the database in dir, or of its newest good backup, or
// else is empty; clips are those of dir. All methods work as usual. Once the
// disk can be written again, at the latest when the next daemon opens the
// store, what was recorded meanwhile is written to the disk, each row once; it
// is lost if the machine is switched off before that. A damaged or missing
// database in dir is then restored, as [Open] does. Receipts are numbered in an
// epoch of their own.
//
// If a daemon that has ended left a store in memory, that one is used.
func OpenVolatile(ctx context.Context, dir string, o Options) (*Store, error) {
	o = o.filled()
	o.Spare = true
	s := &Store{dir: dir, clips: clips.Folder(clipDir(dir)), now: o.Now, o: o, raw: o.Log}
	db, spare, err := s.makeSpare(ctx, true)
	if err != nil {
		return nil, err
	}
	s.cur.Store(db)
	s.spare, s.why = spare, o.Why
	s.startEvents()
	if s.inUse() {
		s.log.Error("store is locked by another program: records go to memory", "path", dir)
	} else {
		s.log.Error("store cannot be written: records go to memory", "path", dir)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.wait.Go(func() { s.watch(background) })
	return s, nil
}

// inMemory reports whether the store is in memory.
func (s *Store) inMemory() bool {
	s.dbLock.RLock()
	defer s.dbLock.RUnlock()
	return s.spare != ""
}

// inUse reports whether the store is in memory because another program holds locks on
// the one on the disk.
func (s *Store) inUse() bool {
	s.dbLock.RLock()
	defer s.dbLock.RUnlock()
	return s.spare != "" && errors.Is(s.why, ErrInUse)
}

// Aside returns a path in memory that belongs to the data folder dir, for files
// that another program must find and that cannot be written in dir.
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

// Ours reports whether the file at a path in memory was made by root, by this
// user or by the owner of dir: anyone may make files in the folder that holds
// it.
func Ours(dir, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode()&os.ModeSymlink != 0 {
		return false
	}
	uid := fi.Sys().(*syscall.Stat_t).Uid
	return trusts(dir, uid)
}

// spareOf returns the folder of the store in memory, and whether it exists.
func spareOf(dir string) (path string, ok bool) {
	path = Aside(dir)
	fi, err := os.Lstat(path)
	return path, err == nil && fi.IsDir() && fi.Mode().Perm() == 0o700 && Ours(dir, path)
}

// makeSpare opens a database in memory: if again is set, the one that an
// earlier daemon left there, else a copy of the best one that can be read.
func (s *Store) makeSpare(ctx context.Context, again bool) (db *sqlite.DB, path string, err error) {
	path, ok := spareOf(s.dir)
	if !ok {
		if err := os.Mkdir(path, 0o700); err != nil {
			// It belongs to another user. Use a new folder, though other
			// programs will not find it.
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

// beginSpare starts an epoch, and records which rows and events were copied.
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

// copyTo copies the database of the data folder, or its newest good backup, or
// else makes an empty one; whole says that the copy is the complete database.
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

// switchToMemory continues in memory because the disk fails, unless another
// goroutine has already switched. It reports whether the store can be written
// now.
func (s *Store) switchToMemory(ctx context.Context, from *sqlite.DB, why error) bool {
	s.dbLock.Lock()
	defer s.dbLock.Unlock()
	if s.db() != from {
		return true
	}
	db, path, err := s.makeSpare(context.WithoutCancel(ctx), false)
	if err != nil {
		s.raw.Error("store cannot switch to memory", "err", err)
		return false
	}
	s.onDisk, s.spare, s.why = from, path, why
	s.cur.Store(db)
	s.log.Error("store cannot be written: records go to memory", "path", s.dir, "err", why)
	return true
}

// watch returns a store in memory to its disk as soon as that can be written.
func (s *Store) watch(ctx context.Context) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.inMemory() {
			if err := s.returnToDisk(ctx); err != nil && ctx.Err() == nil {
				s.raw.Debug("store cannot be written yet", "err", err)
			}
		}
	}
}

// returnToDisk writes what was recorded in memory to the disk and continues
// there.
func (s *Store) returnToDisk(ctx context.Context) error {
	if err := makeFolders(s.dir); err != nil {
		return err
	}
	if room, err := free(s.dir); err != nil || room < roomToReturn {
		return errors.Join(sqlite.ErrFull, err)
	}
	if s.onDisk == nil { // used only by watch and, after it, by Close
		// Repair damage here: a daemon that restarted because of it would find
		// the same disk.
		home, loss, err := s.openOrRepair(ctx)
		if err != nil {
			return err
		}
		s.logLoss(loss)
		s.dbLock.Lock()
		s.onDisk = home
		s.dbLock.Unlock()
	}
	err := s.onDisk.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE store SET checked = checked")
		return err
	})
	if err != nil {
		return err
	}
	s.dbLock.Lock()
	defer s.dbLock.Unlock()
	rows, err := merge(ctx, s.onDisk, file(s.spare))
	if err != nil {
		if errors.Is(err, sqlite.ErrDamaged) {
			s.foundDamage(err)
		}
		return err
	}
	old, path := s.db(), s.spare
	s.cur.Store(s.onDisk)
	s.onDisk, s.spare = nil, ""
	if err := os.RemoveAll(path); err != nil {
		s.raw.Warn("store in memory not removed", "path", path, "err", err)
	}
	s.log.Warn("store can be written again", "path", s.dir, "rows", rows)
	s.closing.Go(func() {
		linger, done := context.WithTimeout(context.Background(), closeDelay)
		defer done()
		stopped := context.AfterFunc(ctx, done)
		defer stopped()
		<-linger.Done()
		_ = old.Close() // its files were deleted above
	})
	return nil
}

// adopt writes to the disk what an earlier daemon left in memory.
func (s *Store) adopt(ctx context.Context) {
	path, ok := spareOf(s.dir)
	if _, err := os.Stat(file(path)); !ok || err != nil {
		return
	}
	// Open it once, to complete its write-ahead log and migrate its schema.
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
		s.log.Error("records of an earlier run in memory cannot be restored", "path", path, "err", err)
		return
	}
	s.log.Warn("store can be written again", "path", s.dir, "rows", rows)
}

// The tables that merge handles one by one; it copies all others whole.
var merged = []string{"store", "epoch", "asrun", "billing", "receipt", "event", "loss"}

// merge writes what was recorded in the database in memory at path into the
// database home, in one transaction. It does so once: if home already has the
// epoch of the other, it changes nothing. It returns how many rows of the
// as-run log are new.
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
			// Rows that were open when the disk failed.
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
			// Another program may have added clips meanwhile; the daemon alone
			// writes the other tables.
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
