package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	backupEvery = 24 * time.Hour
	asideKept   = 3
	stamp       = "20060102T150405Z"
)

// Backups is a folder of copies of a database, made once a day.
type Backups struct {
	Dir  string
	Name string // prefix of the file names
}

// Backup is one of the copies.
type Backup struct {
	Path   string
	Number int // counts up, whatever the clock shows
	At     time.Time
}

// All returns the backups, the oldest first.
func (b Backups) All() ([]Backup, error) {
	entries, err := os.ReadDir(b.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Backup
	for _, e := range entries {
		var (
			one  Backup
			when string
		)
		if n, _ := fmt.Sscanf(e.Name(), b.Name+"-%06d-%16s", &one.Number, &when); n != 2 || filepath.Ext(e.Name()) != ".db" {
			continue
		}
		if one.At, err = time.Parse(stamp, when); err != nil {
			continue
		}
		one.Path = filepath.Join(b.Dir, e.Name())
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Backup) int { return a.Number - b.Number })
	return all, nil
}

// Due checks every page of the database and makes a backup if the last one is
// more than 24 hours old or has a time in the future; it keeps the last keep
// backups. It returns the path of the new one, empty if none was due. It
// returns [ErrDamaged] if the database is damaged.
func (b Backups) Due(ctx context.Context, db *DB, now time.Time, keep int) (string, error) {
	all, err := b.All()
	if err != nil {
		return "", err
	}
	number := 1
	if len(all) > 0 {
		last := all[len(all)-1]
		number = last.Number + 1
		if age := now.Sub(last.At); age >= 0 && age < backupEvery {
			return "", nil
		}
	}
	// Files that a power cut left of an earlier backup.
	left, err := filepath.Glob(filepath.Join(b.Dir, "*.tmp*"))
	if err != nil {
		return "", err
	}
	for _, l := range left {
		if err := os.Remove(l); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := db.Check(ctx); err != nil {
		return "", err
	}
	one := Backup{Number: number, At: now.UTC()}
	one.Path = filepath.Join(b.Dir, fmt.Sprintf("%s-%06d-%s.db", b.Name, number, one.At.Format(stamp)))
	if err := db.Backup(ctx, one.Path); err != nil {
		return "", err
	}
	all = append(all, one)
	for len(all) > max(keep, 1) {
		if err := os.Remove(all[0].Path); err != nil {
			return one.Path, err
		}
		all = all[1:]
	}
	return one.Path, nil
}

// Restore copies the newest good backup to path and opens it by open. The
// database that was at path must have been moved away ([SetAside]). bad is
// called for each backup that is not good. If none is good, db is nil and there
// is no file at path. Restore stops at [ErrFull] and [ErrNewer].
func (b Backups) Restore(ctx context.Context, path string, open func() (*DB, error), bad func(Backup, error)) (db *DB, from Backup, err error) {
	all, err := b.All()
	if err != nil {
		return nil, from, err
	}
	for _, one := range slices.Backward(all) {
		err := CheckFile(ctx, one.Path)
		if err == nil {
			err = CopyFile(one.Path, path)
		}
		if err == nil {
			if db, err = open(); err == nil {
				return db, one, nil
			}
		}
		if errors.Is(err, ErrFull) || errors.Is(err, ErrNewer) || ctx.Err() != nil {
			return nil, from, err
		}
		bad(one, err)
		if err := Remove(path); err != nil {
			return nil, from, err
		}
	}
	return nil, from, nil
}

// SetAside renames a database that no program has open, and its log files, to
// <path>.damaged-<time>; it keeps the last few of those. It returns the new
// path, empty if there was no database.
func SetAside(path string, now time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format(stamp))
	for n := 1; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.damaged-%s-%d", path, now.UTC().Format(stamp), n)
	}
	moved := ""
	// The log first: after a power cut in between, it must not be replayed into
	// the file that takes the old one's place.
	for _, part := range []string{"-wal", "-shm", ""} {
		err := os.Rename(path+part, aside+part)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil {
			moved = aside
		}
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	return moved, removeOldest(path)
}

// removeOldest deletes all but the last few databases set aside, so that they
// do not fill a failing card.
func removeOldest(path string) error {
	all, err := filepath.Glob(path + ".damaged-*")
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p string) bool {
		return strings.HasSuffix(p, "-wal") || strings.HasSuffix(p, "-shm")
	})
	age := func(p string) time.Time {
		fi, err := os.Stat(p)
		if err != nil {
			return time.Time{}
		}
		return fi.ModTime()
	}
	slices.SortFunc(all, func(a, b string) int { return age(a).Compare(age(b)) })
	for len(all) > asideKept {
		if err := Remove(all[0]); err != nil {
			return err
		}
		all = all[1:]
	}
	return nil
}

// Remove deletes a database and its log files.
func Remove(path string) error {
	for _, part := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// CopyFile copies a database that is one file, such as a backup, to path.
// Afterwards path holds all of it or is unchanged.
func CopyFile(from, path string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	tmp := path + ".tmp"
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, private)
	if err != nil {
		return Classify(err)
	}
	_, err = io.Copy(out, in)
	err = Classify(errors.Join(err, out.Close()))
	if err == nil {
		err = Keep(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
