package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"dalaba/data/sqlite"
)

// Loss records one time that stored data was lost.
type Loss struct {
	At     time.Time `json:"at"` // when it was found
	Why    string    `json:"why"`
	Aside  string    `json:"aside,omitempty"`  // where the damaged file lies now; empty: there was none
	Backup string    `json:"backup,omitempty"` // what was restored; empty: nothing
	Newest time.Time `json:"newest,omitzero"`  // due instant of the newest row that was kept
}

// Losses returns all recorded losses, the oldest first.
func (s *Store) Losses(ctx context.Context) ([]Loss, error) {
	rows, err := s.db().Reader().QueryContext(ctx, "SELECT at, why, aside, backup, newest FROM loss ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Loss
	for rows.Next() {
		var (
			l          Loss
			at, newest sql.NullInt64
		)
		if err := rows.Scan(&at, &l.Why, &l.Aside, &l.Backup, &newest); err != nil {
			return nil, err
		}
		l.At, l.Newest = instant(at), instant(newest)
		all = append(all, l)
	}
	return all, rows.Err()
}

func noteLoss(ctx context.Context, tx *sql.Tx, l Loss) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO loss (at, why, aside, backup, newest) VALUES (?, ?, ?, ?, ?)",
		l.At.UnixMicro(), l.Why, l.Aside, l.Backup, micros(l.Newest))
	return err
}

// backups returns the copies of the database in a store's folder.
func backups(dir string) sqlite.Backups {
	return sqlite.Backups{Dir: backupDir(dir), Name: "dalaba"}
}

func (s *Store) logLoss(l *Loss) {
	if l != nil {
		s.log.Error("store was damaged or missing", "why", l.Why, "aside", l.Aside, "backup", l.Backup, "newest_row", l.Newest)
	}
}

// repair sets a damaged database aside, restores the newest good backup and
// records the loss in s.lost. If the disk has no room for the backup it returns
// [sqlite.ErrFull] and changes nothing.
func (s *Store) repair(ctx context.Context, why error) (*sqlite.DB, error) {
	if s.o.Lock == nil {
		// No other program may have the file open while it is replaced.
		held, err := Lock(s.dir)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", sqlite.ErrDamaged, errors.Join(why, err))
		}
		defer func() { _ = held.Release() }()
		// Another process may have repaired it in the meantime.
		if db, err := s.openDB(ctx); err == nil {
			return db, nil
		}
	}
	if err := s.roomToRestore(); err != nil {
		return nil, err
	}
	aside, err := sqlite.SetAside(file(s.dir), s.now())
	if err != nil {
		return nil, err
	}
	if s.lost == nil {
		s.lost = &Loss{At: s.now().UTC(), Why: why.Error()}
	}
	if aside != "" {
		s.lost.Aside = aside
	}
	open := func() (*sqlite.DB, error) {
		return sqlite.Open(ctx, file(s.dir), migrations(), sqlite.Options{Damaged: s.foundDamage})
	}
	db, from, err := backups(s.dir).Restore(ctx, file(s.dir), open, func(b sqlite.Backup, err error) {
		s.raw.Error("backup damaged", "path", b.Path, "err", err)
	})
	if err != nil {
		return nil, err
	}
	if s.lost.Backup = from.Path; db == nil {
		db, err = open()
	}
	return db, err
}

// roomToRestore returns [sqlite.ErrFull] if the largest backup, and what is
// written after it, do not fit on the disk.
func (s *Store) roomToRestore() error {
	all, err := backups(s.dir).All()
	if err != nil {
		return err
	}
	need := int64(roomToReturn)
	for _, b := range all {
		if fi, err := os.Stat(b.Path); err == nil {
			need = max(need, roomToReturn+fi.Size())
		}
	}
	room, err := free(s.dir)
	if err == nil && room < need {
		err = fmt.Errorf("%w: %d bytes to restore the database, %d are free", sqlite.ErrFull, need, room)
	}
	return err
}

// BackupDue checks every page and makes a backup if the last one is more than
// 24 hours old or has a time in the future; it keeps the last keep backups. It
// returns the path of the new backup, empty if none was due. A store in memory
// makes none.
func (s *Store) BackupDue(ctx context.Context, now time.Time, keep int) (string, error) {
	if s.inMemory() {
		return "", nil
	}
	path, err := backups(s.dir).Due(ctx, s.db(), now, keep)
	if errors.Is(err, sqlite.ErrDamaged) {
		s.foundDamage(err)
	}
	if err != nil || path == "" {
		return path, err
	}
	return path, s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE store SET checked = ?", micros(now))
		return err
	})
}
