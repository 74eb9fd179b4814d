package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalaba/data/shared"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Inbox is a folder, such as a share or a USB stick, whose files are imported
// when they arrive. A file that was imported moves to the subfolder taken/, one
// that was refused to refused/, with a .txt beside it that says why. One that was
// taken though it is damaged has such a .txt too. What often lies beside sounds, such
// as a picture, goes with the sound of its name, or stays. The subfolders stay, as
// people copy into them again. A file in refused/ that has changed since comes back
// and is looked at anew. A folder that holds a controller's store, or is inside one,
// is never touched, whatever the config says.
//
// A file that is still arriving is waited for: as long as a program of this
// machine has it open to write it, and then until it has not changed for Settle.
// A writer on another machine is not seen: a file that is not whole is waited
// for until it has not changed for Patience.
type Inbox struct {
	Dir string

	// Collect finds the items in files of the folder that have arrived;
	// Ingester.CollectIn.
	Collect func(dir string, paths []string) Collection

	// Take imports one item. An ErrRefused is final; after any other error the
	// file stays where it is and is tried again.
	Take func(ctx context.Context, item Item) (Outcome, error)

	// Attempts keeps a file that ends the program from doing so twice; nil: it is
	// not kept from that.
	Attempts *Attempts

	Language say.Lang
	Log      *slog.Logger

	// Every is how often the folder is looked through; default 2 s. It is
	// looked at, not watched: shares and sticks report no changes.
	Every time.Duration

	// Settle is how long a file must be unchanged before it is imported;
	// default 5 s.
	Settle time.Duration

	// Patience is how long a file that is not whole must be unchanged before it
	// is taken or refused as it is; default 10 min.
	Patience time.Duration

	seen  map[string]arrival
	since time.Time // files have been there since then; zero: none are
	many  bool      // the log says that there are too many files
}

// arrival is a file as the last scan found it.
type arrival struct {
	size  int64
	mtime time.Time
	since time.Time // it has been so since then
	done  bool      // dealt with, though it could not be moved away
	retry time.Time // not before then, after a failure of ours
	holds []string  // files that wait with it, if it is a list to be tried again
	told  bool      // the log says that it is waited for
}

const (
	takenDir   = "taken"
	refusedDir = "refused"
	retryAfter = time.Minute
	mostSeen   = 20_000 // files that are looked after at a time
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
			b.Log.Log(ctx, level, "inbox cannot be read", "path", playlist.Legible(b.Dir), "err", err)
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
	b.takeBack()
	f, err := b.look(time.Now())
	if err != nil {
		return err
	}
	b.seen = f.seen
	if !f.unsettled && len(f.lists) == 0 && len(f.ready) == 0 {
		b.since = time.Time{}
	} else if b.since.IsZero() {
		b.since = time.Now()
	}
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
	f, all := finds{seen: map[string]arrival{}}, listing{}
	dir, err := shared.Open(b.Dir)
	if err != nil {
		return f, err
	}
	defer func() { _ = dir.Close() }()
	err = dir.Walk(maxListed, func(name string, d fs.DirEntry, err error) error {
		path := filepath.Join(b.Dir, name)
		switch {
		case err != nil:
			return nil // it is gone, or may not be read: the next sweep tries again
		case d.IsDir() && b.passes(path, d.Name()):
			return fs.SkipDir
		case d.IsDir(), skip(d.Name()), hasExt(path, unfinished): // a download is renamed when it is whole
			return nil
		case all.belongs(path):
			return nil // it is moved together with its sound
		case len(f.seen) == mostSeen:
			return shared.ErrMany
		}
		if info, err := d.Info(); err == nil {
			b.sort(&f, dir, name, info, now)
		}
		return nil
	})
	if many := errors.Is(err, shared.ErrMany); many != b.many {
		if b.many = many; many {
			b.Log.Warn("inbox holds too many files, the rest waits", "path", playlist.Legible(b.Dir), "count", len(f.seen))
		}
	}
	if errors.Is(err, shared.ErrMany) {
		err = nil
	}
	slices.SortFunc(f.lists, playlist.CompareNames)
	slices.SortFunc(f.ready, playlist.CompareNames)
	return f, err
}

// passes reports whether sweep leaves a subfolder alone: a hidden one, one of
// its own, or a controller's store.
func (b *Inbox) passes(path, name string) bool {
	ours := filepath.Dir(path) == filepath.Clean(b.Dir) && (name == takenDir || name == refusedDir)
	return strings.HasPrefix(name, ".") || ours || holdsStore(path)
}

// sort adds a file to the finds.
func (b *Inbox) sort(f *finds, dir *shared.Folder, name string, info fs.FileInfo, now time.Time) {
	path := filepath.Join(b.Dir, name)
	settle := b.Settle
	if settle == 0 {
		settle = 5 * time.Second
	}
	a, known := b.seen[path]
	if !known || a.size != info.Size() || !a.mtime.Equal(info.ModTime()) {
		a = arrival{size: info.Size(), mtime: info.ModTime(), since: now}
	}
	f.listed = f.listed || isList(path) && !a.done
	switch {
	case a.done || now.Before(a.retry):
	case now.Sub(a.since) < settle:
		f.unsettled = true
	case beingWritten(dir, name):
		f.unsettled = true
		if !a.told {
			b.Log.Info("inbox file is still being written", "path", playlist.Legible(path))
			a.told = true
		}
	case isList(path):
		f.lists = append(f.lists, path)
	default:
		f.ready = append(f.ready, path)
	}
	f.seen[path] = a
}

// importFile imports one file, or all that a list names, and moves it away. The
// files of a list stay where they are until all are imported, so that they are
// found again if the program ends before that.
func (b *Inbox) importFile(ctx context.Context, path string) {
	found := b.Collect(b.Dir, []string{path})
	a := b.seen[path]
	a.holds = nil
	own := move{path: path, folder: takenDir}
	var why []error
	var moves []move
	met := map[string]bool{}
	for _, r := range found.Refused {
		err := r.Err
		if r.Name != path {
			err = entryError{r.Name, err}
		}
		why = append(why, err)
	}
	for _, item := range found.Items {
		if met[item.Path] {
			continue // listed more than once, such as a jingle
		}
		met[item.Path] = true
		item.Folder = b.seriesOf(item.Path)
		m, retry := b.take(ctx, path, item)
		switch {
		case ctx.Err() != nil:
			return
		case !retry.IsZero():
			b.seen[path] = a.later(path, found.Items, retry)
			return
		case item.Path == path:
			own = m
			continue
		}
		moves = append(moves, m)
		if m.why != nil {
			why = append(why, entryError{item.Path, m.why})
		}
	}
	b.seen[path] = a
	if own.why != nil {
		why = append(why, own.why)
	}
	if len(why) > 0 {
		own = move{path: path, folder: refusedDir, why: errors.Join(why...)}
	}
	// Move the list first: on its own it would not find its files.
	for _, m := range append([]move{own}, moves...) {
		b.moveTo(m)
	}
}

// seriesOf returns the series for which the subfolder of a file stands.
func (b *Inbox) seriesOf(path string) string {
	root, err1 := realPath(b.Dir)
	file, err2 := realPath(path)
	if err1 != nil || err2 != nil {
		return ""
	}
	if rel, err := filepath.Rel(root, file); err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return seriesOf(root, file)
}

// take imports an item of a file, which may be a list. It returns where the
// item's file goes, or when the item is to be tried again.
func (b *Inbox) take(ctx context.Context, path string, item Item) (m move, retry time.Time) {
	whole := b.wholeBy(path, item)
	item.Arriving, item.Since = time.Now().Before(whole), b.since
	read, err := b.Attempts.Begin(item.Path)
	var out Outcome
	if err == nil {
		out, err = b.Take(ctx, item)
	}
	read()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		b.Log.Info("inbox file taken", "path", playlist.Legible(item.Path), "clip", out.Clip.ID, "title", out.Clip.Title)
		for _, old := range out.Replaced {
			b.Log.Info("clip replaces an earlier one", "clip", out.Clip.ID, "replaced", old.ID, "issue", out.Clip.Issue)
		}
		for _, other := range out.Beside {
			b.Log.Warn("two clips have one issue number", "clip", out.Clip.ID, "other", other.ID, "issue", out.Clip.Issue)
		}
		m = move{path: item.Path, folder: takenDir, notes: out.Figures.Warnings()}
	case item.Arriving && errors.Is(err, ErrIncomplete):
		b.Log.Info("inbox file is not whole, the rest is waited for", "path", playlist.Legible(item.Path), "until", whole, "err", err)
		retry = whole
	case errors.Is(err, ErrRefused):
		m = move{path: item.Path, folder: refusedDir, why: err}
	default:
		b.Log.Error("inbox file could not be taken, will be tried again", "path", playlist.Legible(item.Path), "err", err)
		retry = time.Now().Add(retryAfter)
	}
	return m, retry
}

// move is a file that was dealt with and goes into a subfolder.
type move struct {
	path, folder string
	why          error         // it was refused
	notes        []say.Message // it was taken, and this is wrong with it
}

// wholeBy returns until when the rest of an item is waited for, if it is not
// whole. An item of a list may be outside of the folder: then the list counts.
func (b *Inbox) wholeBy(path string, item Item) time.Time {
	a, ok := b.seen[item.Path]
	if !ok {
		a = b.seen[path]
	}
	patience := b.Patience
	if patience == 0 {
		patience = 10 * time.Minute
	}
	return a.since.Add(patience)
}

// later is the arrival of a file that is tried again at a time, and the files of
// a list wait with it.
func (a arrival) later(path string, items []Item, at time.Time) arrival {
	a.retry = at
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

func (n entryError) Error() string { return playlist.Legible(n.name) + ": " + n.err.Error() }
func (n entryError) Unwrap() error { return n.err }

// moveTo moves a file, and the files that belong to it by name, into a subfolder.
// One that has changed while it was dealt with stays: it is looked at anew.
func (b *Inbox) moveTo(m move) {
	a, known := b.seen[m.path]
	if info, err := os.Lstat(m.path); known && err == nil && (info.Size() != a.size || !info.ModTime().Equal(a.mtime)) {
		return
	}
	if m.why != nil {
		b.Log.Warn("inbox file refused", "path", playlist.Legible(m.path), "err", m.why)
	}
	for _, n := range m.notes {
		b.Log.Warn("inbox file taken though damaged", "path", playlist.Legible(m.path), "why", n.In(b.Language))
	}
	if err := b.move(m); err != nil {
		// A stick that cannot be written: its files stay and are not imported
		// again.
		b.Log.Warn("inbox file cannot be moved", "path", playlist.Legible(m.path), "err", err)
		a.done = true
		b.seen[m.path] = a
	}
}

func (b *Inbox) move(m move) (err error) {
	name, ok := shared.Rel(b.Dir, m.path)
	if !ok {
		return nil // a file outside of the folder is not ours to move
	}
	if InStore(filepath.Dir(m.path)) {
		return nil // a list names it
	}
	dir, err := shared.Open(b.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	to, err := rename(dir, name, filepath.Join(m.folder, name))
	if err != nil {
		return err
	}
	return b.note(dir, m, to)
}

// rename moves a file, and the files that belong to it by name. It returns the file's
// new name.
func rename(dir *shared.Folder, name, to string) (string, error) {
	to, err := dir.Move(name, to)
	if err != nil {
		return "", err
	}
	own, left := rank(filepath.Base(name)), listing{}.namesakes(dir.Path(name))
	if slices.ContainsFunc(left, func(name string) bool { return rank(name) >= own }) {
		return to, nil // they belong to that one, too
	}
	for _, beside := range left {
		if rank(beside) < 0 && !hasExt(beside, companions) {
			continue
		}
		with := strings.TrimSuffix(to, filepath.Ext(to)) + filepath.Ext(beside)
		if _, err := dir.Move(filepath.Join(filepath.Dir(name), beside), with); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return to, err
		}
	}
	return to, nil
}

// note writes beside a file that was moved what is wrong with it. The note bears
// the time of the file: a file that is newer has changed since.
func (b *Inbox) note(dir *shared.Folder, m move, to string) error {
	var lines []string
	if m.why != nil {
		lines = append(lines, say.In(b.Language, m.why))
	}
	for _, n := range m.notes {
		lines = append(lines, n.In(b.Language))
	}
	if len(lines) == 0 {
		return nil
	}
	text := fmt.Sprintf("%s\n\n%s\n", nameOf(m.path), strings.Join(lines, "\n"))
	info, err := dir.Lstat(to)
	if err != nil {
		return err
	}
	return dir.Note(to+extNote, "\ufeff"+text, info.ModTime())
}

const extNote = ".txt"

// takeBack moves the files out of refused/ that have changed since they were
// refused: a slow writer has gone on, or a person has mended them.
func (b *Inbox) takeBack() {
	dir, err := shared.Open(b.Dir)
	if err != nil {
		return // looking for new files tells that
	}
	defer func() { _ = dir.Close() }()
	refused, err := dir.Sub(refusedDir)
	if err != nil {
		return // nothing was refused
	}
	defer func() { _ = refused.Close() }()
	_ = refused.Walk(maxListed, func(note string, d fs.DirEntry, err error) error {
		name, ok := strings.CutSuffix(note, extNote)
		if err != nil || !ok || d.IsDir() {
			return nil
		}
		file, err := refused.Lstat(name)
		if err != nil || !file.Mode().IsRegular() {
			return nil
		}
		about, err := d.Info()
		if err != nil || !file.ModTime().After(about.ModTime()) {
			return nil
		}
		if err = refused.Remove(note); err == nil {
			_, err = rename(dir, filepath.Join(refusedDir, name), name)
		}
		if err != nil {
			b.Log.Warn("inbox file cannot be moved", "path", playlist.Legible(refused.Path(name)), "err", err)
		} else {
			b.Log.Info("refused inbox file has changed and is tried again", "path", playlist.Legible(refused.Path(name)))
		}
		return nil
	})
}
