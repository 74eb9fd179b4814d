package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dalaba/data/sqlite"
)

//go:embed migrations/sqlite/*.sql
var sqliteFiles embed.FS

// fullCheckUpTo is the size up to which every page is checked at the start; a
// year of a county's receipts takes minutes to read.
const fullCheckUpTo = 256 << 20

type sqliteDB struct{ db *sqlite.DB }

func (s sqliteDB) reader() *sql.DB { return s.db.Reader() }
func (s sqliteDB) close() error    { return s.db.Close() }

func (s sqliteDB) write(ctx context.Context, f func(*sql.Tx) error) error { return s.db.Write(ctx, f) }

func (s *Store) file() string        { return filepath.Join(s.dir, "county.db") }
func (s *Store) suspectFile() string { return filepath.Join(s.dir, "county.db.suspect") }
func (s *Store) backups() sqlite.Backups {
	return sqlite.Backups{Dir: filepath.Join(s.dir, "backup"), Name: "county"}
}

// errVanished says that there are backups but no database.
var errVanished = errors.New("the database is missing though there are backups of it")

// openSQLite opens the database in the store's folder, or what a backup holds
// if it is damaged or missing.
func (s *Store) openSQLite(ctx context.Context) (*Loss, error) {
	if err := os.MkdirAll(s.backups().Dir, 0o700); err != nil {
		return nil, err
	}
	all, err := s.backups().All()
	if err != nil {
		return nil, err
	}
	upTo := int64(fullCheckUpTo)
	if _, err := os.Stat(s.suspectFile()); err == nil {
		upTo = 0
	}
	open := func() (*sqlite.DB, error) {
		return sqlite.Open(ctx, s.file(), sub(sqliteFiles, "migrations/sqlite"),
			sqlite.Options{CheckUpTo: upTo, Readers: 8, Damaged: s.foundDamage})
	}
	var db *sqlite.DB
	if fi, serr := os.Stat(s.file()); len(all) > 0 && (errors.Is(serr, fs.ErrNotExist) || serr == nil && fi.Size() == 0) {
		err = errVanished
	} else {
		db, err = open()
	}
	var loss *Loss
	if errors.Is(err, sqlite.ErrDamaged) || errors.Is(err, errVanished) {
		db, loss, err = s.repair(ctx, err, all, open)
	}
	if err != nil {
		return nil, err
	}
	s.back = sqliteDB{db}
	if db.Checked() {
		_ = os.Remove(s.suspectFile())
	}
	return loss, nil
}

// repair sets a damaged database aside and restores the newest good backup.
// If there is none it touches nothing: a county that has forgotten its fleet is
// of no use.
func (s *Store) repair(ctx context.Context, why error, all []sqlite.Backup, open func() (*sqlite.DB, error)) (*sqlite.DB, *Loss, error) {
	good := false
	for _, b := range all {
		good = good || sqlite.CheckFile(ctx, b.Path) == nil
	}
	if !good {
		return nil, nil, fmt.Errorf("%w: no backup is any good: %w", ErrDamaged, why)
	}
	loss := &Loss{At: s.now().UTC(), Why: why.Error()}
	var err error
	if loss.Aside, err = sqlite.SetAside(s.file(), s.now()); err != nil {
		return nil, nil, err
	}
	db, from, err := s.backups().Restore(ctx, s.file(), open, func(b sqlite.Backup, err error) {
		s.log.Error("backup damaged", "path", b.Path, "err", err)
	})
	if err == nil && db == nil {
		err = fmt.Errorf("%w: no backup is any good: %w", ErrDamaged, why)
	}
	loss.Backup, loss.Kept = from.Path, from.At
	return db, loss, err
}

// Loss is one time that an SQLite database was found damaged or missing.
type Loss struct {
	At     time.Time `json:"at"` // when it was found
	Why    string    `json:"why"`
	Aside  string    `json:"aside,omitempty"` // path of the damaged file now; empty: there was none
	Backup string    `json:"backup"`          // what was restored
	Kept   time.Time `json:"kept"`            // when that was made: what was recorded since is lost
}

// ownAhead is how far counters of our own jump after a loss: no county makes so
// many signatures in the time between two backups.
const ownAhead = 100_000

// lose notes a loss, and leaves out the numbers that may have been used since
// the backup was made.
func (s *Store) lose(ctx context.Context, l Loss) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		if err := tx.exec(ctx, "UPDATE certificate SET counter = counter + ?1 WHERE name LIKE 'own %'", int64(ownAhead)); err != nil {
			return err
		}
		// The backup may hold sessions that were ended since.
		if err := tx.exec(ctx, "DELETE FROM session"); err != nil {
			return err
		}
		return tx.exec(ctx, "INSERT INTO loss (at, why, aside, backup, kept) VALUES (?1, ?2, ?3, ?4, ?5)",
			l.At.UnixMicro(), clean(l.Why), l.Aside, l.Backup, l.Kept.UnixMicro())
	})
}

// Losses are all that the store remembers, the oldest first.
func (s *Store) Losses(ctx context.Context) (all []Loss, err error) {
	err = s.read().each(ctx, "SELECT at, why, aside, backup, kept FROM loss ORDER BY id", nil, func(scan func(...any) error) error {
		var (
			l        Loss
			at, kept int64
		)
		err := scan(&at, &l.Why, &l.Aside, &l.Backup, &kept)
		l.At, l.Kept = time.UnixMicro(at).UTC(), time.UnixMicro(kept).UTC()
		all = append(all, l)
		return err
	})
	return all, err
}

// foundDamage leaves word for the next Open and tells the owner.
func (s *Store) foundDamage(err error) {
	s.damaged.Do(func() {
		s.log.Error("store is damaged", "err", err)
		if werr := os.WriteFile(s.suspectFile(), []byte(err.Error()+"\n"), 0o600); werr != nil {
			s.log.Error("store damage could not be marked", "err", werr)
		}
		if s.onDamage != nil {
			s.wait.Go(func() { s.onDamage(err) })
		}
	})
}

// check reads every page of a database too large for that at the start.
func (s *Store) check(ctx context.Context, db *sqlite.DB) {
	switch err := db.Check(ctx); {
	case errors.Is(err, sqlite.ErrDamaged):
		s.foundDamage(err)
	case err != nil && ctx.Err() == nil:
		s.log.Warn("store could not be checked", "err", err)
	}
}

// BackupDue checks every page of an SQLite store's database and backs it up
// if the last backup is more than 24 hours old; the last keep of them stay.
// It returns the path of the new one, empty if none was due. PostgreSQL has
// pg_dump for it.
func (s *Store) BackupDue(ctx context.Context, now time.Time, keep int) (string, error) {
	b, ok := s.back.(sqliteDB)
	if !ok {
		return "", nil
	}
	path, err := s.backups().Due(ctx, b.db, now, keep)
	if errors.Is(err, sqlite.ErrDamaged) {
		s.foundDamage(err)
	}
	return path, err
}

// LastBackup is when the newest backup of an SQLite store was made, and how
// many there are; zero if there is none, or PostgreSQL makes them.
func (s *Store) LastBackup() (at time.Time, n int, err error) {
	if s.pg {
		return at, 0, nil
	}
	all, err := s.backups().All()
	if n = len(all); n > 0 {
		at = all[n-1].At
	}
	return at, n, err
}

// Backup writes a whole copy of an SQLite store's database to path while
// others read and write.
func (s *Store) Backup(ctx context.Context, path string) error {
	b, ok := s.back.(sqliteDB)
	if !ok {
		return errNoBackup
	}
	return b.db.Backup(ctx, path)
}
