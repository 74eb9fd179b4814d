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

// Backups is a folder of copies of a database, one a day.
type Backups struct {
	Dir  string
	Name string // what their names begin with
}

// Backup is one of them.
type Backup struct {
	Path   string
	Number int // counts up, whatever the clock does
	At     time.Time
}

// All are those there are, the oldest first.
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

// Due checks every page of the database and makes a backup where the last is
// more than 24 hours old, or bears a time that has not come yet; the last keep
// of them stay. It answers the path of the new one, empty where none was due.
// A damaged database is [ErrDamaged].
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
	// What a power cut left of an earlier one.
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

// Restore puts the newest backup without a fault in the place of the database
// at path, which must be out of the way ([SetAside]), and opens it by open;
// bad is told of each that is no good. Where none is good, db is nil and
// nothing is there. It gives up on [ErrFull] and [ErrNewer].
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

// SetAside renames a database that nobody has open, and what belongs to it, to
// <path>.damaged-<time>; the last few of those stay. The answer is empty where
// there was nothing.
func SetAside(path string, now time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format(stamp))
	for n := 1; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.damaged-%s-%d", path, now.UTC().Format(stamp), n)
	}
	moved := ""
	// The log first: a cut in between must not let it be replayed into the
	// file that takes the old one's place.
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
	return moved, forget(path)
}

// forget removes all but the last few databases set aside, so that a failing
// card does not fill up with them.
func forget(path string) error {
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

// Remove deletes a database and what belongs to it.
func Remove(path string) error {
	for _, part := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// CopyFile copies a database that is one file, such as a backup, to path: all
// of it is there afterwards, or nothing new.
func CopyFile(from, path string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	tmp := path + ".tmp"
	out, err := os.Create(tmp)
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
