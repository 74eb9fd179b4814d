package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalaba/playlist/say"
)

// Inbox is a folder, such as a share or a USB stick, whose files are imported
// when they arrive. A file that was imported moves to the subfolder taken/, one
// that was refused to refused/, with a .txt beside it that says why. A folder
// that holds a controller's store, or is inside one, is never touched, whatever
// the config says.
type Inbox struct {
	Dir string

	// Collect finds the items in files that have arrived; Ingester.Collect.
	Collect func(paths []string) ([]Item, []Refusal)

	// Take imports one item. An ErrRefused is final; after any other error the
	// file stays where it is and is tried again.
	Take func(ctx context.Context, item Item) (Outcome, error)

	Language say.Lang
	Log      *slog.Logger

	// Every is how often the folder is looked through; default 2 s. It is
	// looked at, not watched: shares and sticks report no changes.
	Every time.Duration

	// Settle is how long a file must be unchanged before it is imported;
	// default 5 s.
	Settle time.Duration

	seen map[string]arrival
}

// arrival is a file as the last scan found it.
type arrival struct {
	size  int64
	mtime time.Time
	since time.Time // it has been so since then
	done  bool      // dealt with, though it could not be moved away
	retry time.Time // not before then, after a failure of ours
	holds []string  // files that wait with it, if it is a list to be tried again
}

const (
	takenDir   = "taken"
	refusedDir = "refused"
	retryAfter = time.Minute
)

// Run looks after the folder until the context ends. It makes the folder if there
// is none, as soon as that can be done: a share may be mounted late.
func (b *Inbox) Run(ctx context.Context) error {
	every := b.Every
	if every == 0 {
		every = 2 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	made, missing := false, false
	for {
		var err error
		if !made { // make it once only: if it disappears later, a stick was pulled out, and the folder must not be made on the disk under it
			err = os.MkdirAll(b.Dir, 0o755)
			made = err == nil
		}
		if made {
			err = b.sweep(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !missing:
			level := slog.LevelWarn // a stick pulled out is logged once
			if errors.Is(err, errStore) {
				level = slog.LevelError
			}
			b.Log.Log(ctx, level, "inbox cannot be read", "path", b.Dir, "err", err)
		}
		missing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errStore says that the inbox folder must not be used.
var errStore = errors.New("the folder holds the controller's own store; name another as inbox")

// storeFile is in every folder that is a controller's store.
const storeFile = "dalaba.db"

func holdsStore(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, storeFile))
	return err == nil
}

// InStore reports whether a folder is a store, or is inside one, after links
// are followed. Files must not be imported from there.
func InStore(dir string) bool {
	at, err := filepath.Abs(dir)
	if err != nil {
		return true
	}
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	for ; !holdsStore(at); at = filepath.Dir(at) {
		if at == filepath.Dir(at) {
			return false
		}
	}
	return true
}

// sweep looks through the folder once and takes the files that no longer change.
func (b *Inbox) sweep(ctx context.Context) error {
	if b.seen == nil {
		b.seen = map[string]arrival{}
	}
	if InStore(b.Dir) {
		return errStore
	}
	f, err := b.look(time.Now())
	if err != nil {
		return err
	}
	b.seen = f.seen
	// A list may name files that are still arriving, and files that have arrived
	// wait for the list.
	if f.listed && f.unsettled {
		return nil
	}
	for _, path := range f.lists {
		b.importFile(ctx, path)
	}
	held := map[string]bool{}
	for _, a := range b.seen {
		for _, path := range a.holds {
			held[path] = true
		}
	}
	for _, path := range f.ready {
		if ctx.Err() != nil {
			return nil
		}
		// A file that is gone went with a list.
		if real, err := filepath.EvalSymlinks(path); err == nil && held[real] {
			continue
		}
		if _, err := os.Lstat(path); err == nil {
			b.importFile(ctx, path)
		}
	}
	return nil
}

// finds are the files that one look at the folder found.
type finds struct {
	seen         map[string]arrival
	lists, ready []string // that may be taken now
	listed       bool     // a list is there that was not dealt with
	unsettled    bool     // some file may still be arriving
}

// look finds the files in the folder.
func (b *Inbox) look(now time.Time) (finds, error) {
	f := finds{seen: map[string]arrival{}}
	err := filepath.WalkDir(b.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == b.Dir:
			return err
		case err != nil:
			return nil // it is gone, or may not be read: the next sweep tries again
		case d.IsDir() && b.passes(path, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || skip(d.Name()) && !isList(path):
			return nil
		case Item{Path: path}.isText() && hasSound(path):
			return nil // it is moved together with its sound
		}
		if info, err := d.Info(); err == nil {
			b.note(&f, path, info, now)
		}
		return nil
	})
	return f, err
}

// passes reports whether sweep leaves a subfolder alone: a hidden one, one of
// its own, or a controller's store.
func (b *Inbox) passes(path, name string) bool {
	ours := filepath.Dir(path) == filepath.Clean(b.Dir) && (name == takenDir || name == refusedDir)
	return strings.HasPrefix(name, ".") || ours || holdsStore(path)
}

// note adds a file to the finds.
func (b *Inbox) note(f *finds, path string, info fs.FileInfo, now time.Time) {
	settle := b.Settle
	if settle == 0 {
		settle = 5 * time.Second
	}
	a, known := b.seen[path]
	if !known || a.size != info.Size() || !a.mtime.Equal(info.ModTime()) {
		a = arrival{size: info.Size(), mtime: info.ModTime(), since: now}
	}
	f.seen[path] = a
	f.listed = f.listed || isList(path) && !a.done
	switch {
	case a.done || now.Before(a.retry):
	case now.Sub(a.since) < settle:
		f.unsettled = true
	case isList(path):
		f.lists = append(f.lists, path)
	default:
		f.ready = append(f.ready, path)
	}
}

// importFile imports one file, or all that a list names, and moves it away. The
// files of a list stay where they are until all are imported, so that they are
// found again if the program ends before that.
func (b *Inbox) importFile(ctx context.Context, path string) {
	items, refused := b.Collect([]string{path})
	a := b.seen[path]
	a.holds = nil
	var why []error
	type move struct {
		path, folder string
		why          error
	}
	var moves []move
	met := map[string]bool{}
	for _, r := range refused {
		err := r.Err
		if r.Name != path {
			err = entryError{r.Name, err}
		}
		why = append(why, err)
	}
	for _, item := range items {
		if met[item.Path] {
			continue // listed more than once, such as a jingle
		}
		met[item.Path] = true
		out, err := b.Take(ctx, item)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrRefused):
			if item.Path == path {
				why = append(why, err)
			} else {
				why = append(why, entryError{item.Path, err})
				moves = append(moves, move{item.Path, refusedDir, err})
			}
		case err != nil:
			b.Log.Error("inbox file could not be taken, will be tried again", "path", item.Path, "err", err)
			b.seen[path] = a.later(path, items)
			return
		default:
			b.Log.Info("inbox file taken", "path", item.Path, "clip", out.Clip.ID, "title", out.Clip.Title)
			if item.Path != path {
				moves = append(moves, move{item.Path, takenDir, nil})
			}
		}
	}
	b.seen[path] = a
	// Move the list first: on its own it would not find its files.
	if len(why) > 0 {
		b.moveTo(path, refusedDir, errors.Join(why...))
	} else {
		b.moveTo(path, takenDir, nil)
	}
	for _, m := range moves {
		b.moveTo(m.path, m.folder, m.why)
	}
}

// later is the arrival after a failure of ours: it is tried again, and the files
// of a list wait with it.
func (a arrival) later(path string, items []Item) arrival {
	a.retry = time.Now().Add(retryAfter)
	if isList(path) {
		for _, item := range items {
			a.holds = append(a.holds, item.Path)
		}
	}
	return a
}

// entryError is the error of one entry of a list.
type entryError struct {
	name string
	err  error
}

func (n entryError) Error() string { return n.name + ": " + n.err.Error() }
func (n entryError) Unwrap() error { return n.err }

// moveTo moves a file, and the files that belong to it by name, into a subfolder.
func (b *Inbox) moveTo(path, folder string, why error) {
	if why != nil {
		b.Log.Warn("inbox file refused", "path", path, "err", why)
	}
	err := b.move(path, folder, why)
	if err != nil {
		// A stick that cannot be written: its files stay and are not imported
		// again.
		b.Log.Warn("inbox file cannot be moved", "path", path, "err", err)
		a := b.seen[path]
		a.done = true
		b.seen[path] = a
	}
}

func (b *Inbox) move(path, folder string, why error) error {
	rel, err := filepath.Rel(b.Dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil // reached by a link inside; a file outside of the folder is not ours to move
	}
	if InStore(filepath.Dir(path)) {
		return nil // a list names it
	}
	to := filepath.Join(b.Dir, folder, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	to = free(to)
	if err := os.Rename(path, to); err != nil {
		return err
	}
	ext := filepath.Ext(path)
	stem := strings.TrimSuffix(path, ext)
	for _, with := range []string{".toml", ".txt"} {
		if beside := stem + with; beside != path && !isList(path) && !hasSound(beside) {
			if err := os.Rename(beside, strings.TrimSuffix(to, ext)+with); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if dir := filepath.Dir(path); dir != filepath.Clean(b.Dir) {
		_ = os.Remove(dir) // only if it is empty now
	}
	if why == nil {
		return nil
	}
	text := fmt.Sprintf("%s\n\n%s\n", filepath.Base(path), say.In(b.Language, why))
	return os.WriteFile(free(to+".txt"), []byte("\ufeff"+text), 0o644)
}

// free returns a name that is not in use: name.mp3, name (2).mp3, ...
func free(path string) string {
	ext := filepath.Ext(path)
	stem := strings.TrimSuffix(path, ext)
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); err != nil {
			return path
		}
		path = fmt.Sprintf("%s (%d)%s", stem, n, ext)
	}
}
