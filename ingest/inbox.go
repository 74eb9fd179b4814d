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

// Inbox is a folder whose files are taken as they arrive, be it a share or a
// USB stick. What was taken moves into its subfolder taken/, what was refused
// into refused/, with a .txt beside it that says why. A folder that holds a
// controller's store, or lies in one, is never touched, whatever the config
// says.
type Inbox struct {
	Dir string

	// Collect finds the items that arrived files hold; Ingester.Collect.
	Collect func(paths []string) ([]Item, []Refusal)

	// Take takes one item. An ErrRefused is final; any other error leaves the
	// file where it is, to be tried again.
	Take func(ctx context.Context, item Item) (Outcome, error)

	Language say.Lang
	Log      *slog.Logger

	// Every is how often the folder is looked through; default 2 s. It is
	// looked at, not watched, since shares and sticks tell nobody of changes.
	Every time.Duration

	// Settle is how long a file must rest unchanged; default 5 s.
	Settle time.Duration

	seen map[string]arrival
}

// arrival is a file as it was last seen.
type arrival struct {
	size  int64
	mtime time.Time
	since time.Time // it has been so since then
	done  bool      // dealt with, though it could not be moved away
	retry time.Time // not before then, after a failure of ours
	holds []string  // files that wait with it, where it is a list to be tried again
}

const (
	takenDir   = "taken"
	refusedDir = "refused"
	retryAfter = time.Minute
)

// Run looks after the folder until the context ends. It makes the folder
// where there is none, as soon as that can be: a share may be mounted late.
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
		if !made { // one that goes later is a stick pulled out, and not to be made on the disk below
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
			level := slog.LevelWarn // a stick pulled out: once is enough
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

// errStore says that the inbox is no place to take files from.
var errStore = errors.New("the folder holds the controller's own store; name another as inbox")

// storeFile lies in every folder that is a controller's store.
const storeFile = "dalaba.db"

func holdsStore(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, storeFile))
	return err == nil
}

// InStore reports whether a folder is a store, or lies in one, links followed:
// it is no place to take files from.
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

// sweep looks through the folder once and takes what has come to rest.
func (b *Inbox) sweep(ctx context.Context) error {
	if b.seen == nil {
		b.seen = map[string]arrival{}
	}
	settle := b.Settle
	if settle == 0 {
		settle = 5 * time.Second
	}
	if InStore(b.Dir) {
		return errStore
	}
	now := time.Now()
	still := map[string]arrival{}
	var lists, ready []string
	unsettled, listed := false, false
	err := filepath.WalkDir(b.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == b.Dir:
			return err
		case err != nil:
			return nil // gone meanwhile, or closed to us: the next sweep will tell
		case path == b.Dir:
			return nil
		case d.IsDir():
			if strings.HasPrefix(d.Name(), ".") || filepath.Dir(path) == filepath.Clean(b.Dir) && (d.Name() == takenDir || d.Name() == refusedDir) || holdsStore(path) {
				return filepath.SkipDir
			}
			return nil
		case skip(d.Name()) && !isList(path):
			return nil
		case Item{Path: path}.isText() && hasSound(path):
			return nil // it goes where its sound goes
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		a, known := b.seen[path]
		if !known || a.size != info.Size() || !a.mtime.Equal(info.ModTime()) {
			a = arrival{size: info.Size(), mtime: info.ModTime(), since: now}
		}
		still[path] = a
		listed = listed || isList(path) && !a.done
		switch {
		case a.done || now.Before(a.retry):
		case now.Sub(a.since) < settle:
			unsettled = true
		case isList(path):
			lists = append(lists, path)
		default:
			ready = append(ready, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.seen = still
	// A list speaks of files that may still be arriving, and those that have
	// arrived wait for what it says of them.
	if listed && unsettled {
		return nil
	}
	for _, path := range lists {
		b.deal(ctx, path)
	}
	held := map[string]bool{}
	for _, a := range b.seen {
		for _, path := range a.holds {
			held[path] = true
		}
	}
	for _, path := range ready {
		if ctx.Err() != nil {
			return nil
		}
		// What is no longer there, a list took along.
		if real, err := filepath.EvalSymlinks(path); err == nil && held[real] {
			continue
		}
		if _, err := os.Lstat(path); err == nil {
			b.deal(ctx, path)
		}
	}
	return nil
}

// deal takes one file, or all that a list names, and moves it aside. A list's
// files stay where they are until all are dealt with: what ends it midway
// must find them again.
func (b *Inbox) deal(ctx context.Context, path string) {
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
			err = named{r.Name, err}
		}
		why = append(why, err)
	}
	for _, item := range items {
		if met[item.Path] {
			continue // a jingle between lessons
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
				why = append(why, named{item.Path, err})
				moves = append(moves, move{item.Path, refusedDir, err})
			}
		case err != nil:
			b.Log.Error("inbox file could not be taken, will be tried again", "path", item.Path, "err", err)
			a.retry = time.Now().Add(retryAfter)
			if isList(path) {
				for _, item := range items {
					a.holds = append(a.holds, item.Path)
				}
			}
			b.seen[path] = a
			return
		default:
			b.Log.Info("inbox file taken", "path", item.Path, "clip", out.Clip.ID, "title", out.Clip.Title)
			if item.Path != path {
				moves = append(moves, move{item.Path, takenDir, nil})
			}
		}
	}
	b.seen[path] = a
	// The list goes first: it would look for its files in vain.
	if len(why) > 0 {
		b.away(path, refusedDir, errors.Join(why...))
	} else {
		b.away(path, takenDir, nil)
	}
	for _, m := range moves {
		b.away(m.path, m.folder, m.why)
	}
}

// named is an error of one entry of a list.
type named struct {
	name string
	err  error
}

func (n named) Error() string { return n.name + ": " + n.err.Error() }
func (n named) Unwrap() error { return n.err }

// away moves a file, and what goes with it by name, into a subfolder.
func (b *Inbox) away(path, folder string, why error) {
	if why != nil {
		b.Log.Warn("inbox file refused", "path", path, "err", why)
	}
	err := b.move(path, folder, why)
	if err != nil {
		// A stick that cannot be written: its files stay, and are left alone.
		b.Log.Warn("inbox file cannot be moved", "path", path, "err", err)
		a := b.seen[path]
		a.done = true
		b.seen[path] = a
	}
}

func (b *Inbox) move(path, folder string, why error) error {
	rel, err := filepath.Rel(b.Dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil // reached by a link within; what lies elsewhere is not ours to move
	}
	if InStore(filepath.Dir(path)) {
		return nil // a list named it
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
		_ = os.Remove(dir) // only where it is empty now
	}
	if why == nil {
		return nil
	}
	text := fmt.Sprintf("%s\n\n%s\n", filepath.Base(path), say.In(b.Language, why))
	return os.WriteFile(free(to+".txt"), []byte("\ufeff"+text), 0o644)
}

// free is a name that nothing bears yet: name.mp3, name (2).mp3, ...
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
