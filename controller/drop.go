package controller

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/shared"
	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// dropFolder takes messages out of the drop folder for alerts.
func (c *Controller) dropFolder(ctx context.Context, cfg *config.Config) error {
	if cfg.Alert.Drop == "" {
		return nil
	}
	p := &dropped{
		dir: cfg.Alert.Drop, lang: c.Language(cfg.Site.Language), log: c.log, read: readDropped,
		whole: func(raw []byte, last bool) error { return wholeMessage(ctx, raw, c.Config().Alert, last) },
		receive: func(ctx context.Context, raw []byte) (emergency.Record, error) {
			r, _, err := c.alerts.take(ctx, raw, playlist.AlertByDrop)
			return r, err
		},
		attempts: c.attempts("drop", true),
	}
	return p.run(ctx)
}

// wholeMessage returns an error if a message is none, or only a part of one. A package
// that is cut off between two members has no blocks of zeros at its end. Some senders
// leave them out: then nothing that the package names may be missing, nor its
// signature, unless it is the last look.
func wholeMessage(ctx context.Context, raw []byte, c config.Alert, last bool) error {
	m, err := ReadAlert(ctx, raw, c)
	if err != nil {
		return err
	}
	if m.Unended && (len(m.Unsupplied) > 0 || m.SignedMember == "" && !last) {
		return say.M("alerts.tar_unended")
	}
	return nil
}

// dropped watches the drop folder for alerts, a way in that needs no network. Each
// file is read on a goroutine of its own: one whose disk hangs holds up no other. Such
// a read cannot be ended, so that the end of the daemon does not wait for it either.
type dropped struct {
	dir       string
	lang      say.Lang
	log       *slog.Logger
	read      func(dir *shared.Folder, name string) ([]byte, error)
	whole     func(raw []byte, last bool) error // nil: it is a message, and all of it; last: nothing more is to come of it
	receive   func(context.Context, []byte) (emergency.Record, error)
	attempts  *ingest.Attempts
	seen      map[string]*arrival
	lastFault string // as the log has it
}

// arrival is a file as it was last seen.
type arrival struct {
	size  int64
	mtime time.Time
	since time.Time   // it has been so
	first time.Time   // it was seen
	tried time.Time   // as it is now; zero: not yet
	fault error       // of that
	named bool        // in the log, as not whole
	stuck bool        // it was taken but could not be moved away: once is enough
	asked chan result // of an attempt that goes on; nil: none does
}

// result is what an attempt to take a file came to.
type result struct {
	err   error
	taken bool // it was a message, which r is
	last  bool // nothing more is to come of it
	r     emergency.Record
}

func (f *arrival) is(info fs.FileInfo) bool {
	return f.size == info.Size() && f.mtime.Equal(info.ModTime())
}

const (
	dropEvery    = time.Second
	dropPatience = 200 * time.Millisecond // for one file, before the next one is looked at
	dropSettle   = 10 * time.Second       // what is no whole message and does not change for so long is none, unless a program has it open to write
	dropLarge    = 1 << 20                // bytes above which a file is not tried each second
	dropUnknown  = time.Minute            // the same if the system does not tell whether one does
	dropMost     = 20_000                 // files that are watched at a time
	dropListed   = 200_000                // files and folders that are looked through
)

func (p *dropped) run(ctx context.Context) error {
	if err := p.make(); err != nil {
		p.log.Error("alert folder cannot be made", "path", p.dir, "err", err)
	}
	for pause(ctx, dropEvery) == nil {
		if err := p.sweep(ctx); err != nil && err.Error() != p.lastFault {
			p.lastFault = err.Error()
			p.log.Error("alert folder cannot be read", "path", p.dir, "err", err)
		}
	}
	return nil
}

// make makes the folder, and those inside it for what is dealt with.
func (p *dropped) make() error {
	dir, err := shared.Make(p.dir)
	if err != nil {
		return err
	}
	errs := []error{nil}
	for _, name := range []string{"taken", "refused"} {
		sub, err := dir.MakeSub(name)
		if err == nil {
			err = sub.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, dir.Close())...)
}

// sweep takes each file that is a whole message.
func (p *dropped) sweep(ctx context.Context) (err error) {
	if ingest.InStore(p.dir) {
		return errDropStore
	}
	dir, err := shared.Open(p.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	still := map[string]*arrival{}
	err = dir.Each(dropListed, func(e fs.DirEntry) error {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".txt") {
			return nil
		}
		if len(still) == dropMost { // the rest waits until some are dealt with
			return say.M("shared.many", playlist.Legible(p.dir), dropMost)
		}
		f := p.seen[e.Name()]
		if info, err := e.Info(); err == nil {
			f = f.now(info, time.Now())
		}
		if f == nil {
			return nil
		}
		still[e.Name()] = f
		if !f.stuck {
			p.look(ctx, dir, e.Name(), f)
		}
		return nil
	})
	p.seen = still
	return err
}

// now returns what is known of a file as it is now.
func (f *arrival) now(info fs.FileInfo, at time.Time) *arrival {
	switch {
	case f == nil:
		f = &arrival{first: at}
	case f.is(info):
		return f
	}
	f.size, f.mtime, f.since, f.tried = info.Size(), info.ModTime(), at, time.Time{}
	return f
}

// errDropStore says that the folder is no place to take files from.
var errDropStore = errors.New("the folder holds the controller's own store; name another as drop")

// look tries a file that has changed, and again once it has not for long; it goes by
// what became of that as soon as it is known.
func (p *dropped) look(ctx context.Context, dir *shared.Folder, name string, f *arrival) {
	defer p.name(name, f)
	if f.asked == nil {
		if !f.due(time.Now()) {
			return
		}
		f.tried = time.Now()
		f.asked = make(chan result, 1)
		go func(out chan<- result, was arrival) { out <- p.attempt(ctx, name, was) }(f.asked, *f)
		select {
		case got := <-f.asked:
			f.asked <- got
		case <-time.After(dropPatience):
		case <-ctx.Done():
		}
	}
	if len(f.asked) == 0 {
		f.fault = errSlow
		return
	}
	got := <-f.asked
	f.asked, f.fault = nil, got.err
	if ctx.Err() != nil || !got.taken && !got.last {
		return
	}
	if info, err := dir.Lstat(name); err != nil || !f.is(info) {
		return // what was read is there no more
	}
	f.named = true // by what follows
	if err := p.away(dir, name, got); err != nil {
		p.log.Error("alert file cannot be moved", "path", p.path(name), "err", err)
		f.stuck = true
	}
}

var errSlow = errors.New("reading it takes long")

// due reports whether the file is to be tried: once as it is and, when it should have
// been whole long ago, again and again.
func (f *arrival) due(now time.Time) bool {
	again := dropEvery
	if f.size > dropLarge {
		again = dropSettle
	}
	return f.tried.IsZero() || now.Sub(f.since) >= dropSettle && now.Sub(f.tried) >= again
}

// attempt reads a file and takes it if it is a whole message.
func (p *dropped) attempt(ctx context.Context, name string, f arrival) (got result) {
	dir, err := shared.Open(p.dir) // its own: it may be held up
	if err != nil {
		got.err = err
		return got
	}
	defer func() { _ = dir.Close() }()
	got.last = f.given(dir, name, time.Now())
	read, err := p.attempts.Begin(dir.Path(name))
	defer read()
	if err != nil {
		got.taken, got.err = true, err
		return got
	}
	var raw []byte
	if raw, got.err = p.read(dir, name); got.err != nil {
		return got
	}
	if int64(len(raw)) != f.size {
		got.err, got.last = say.M("alerts.drop_grows"), false
		return got
	}
	if got.err = p.whole(raw, got.last); got.err != nil {
		return got
	}
	got.taken = true
	got.r, got.err = p.receive(ctx, raw)
	return got
}

// name has the log tell, once, of a file that has been there for long and is not whole.
func (p *dropped) name(name string, f *arrival) {
	if f.named || f.stuck || f.fault == nil || time.Since(f.first) < dropSettle {
		return
	}
	f.named = true
	p.log.Warn("alert file not whole yet", "path", p.path(name), "err", f.fault)
}

// given reports whether nothing more is to come of a file: it has not changed for
// long, and no program has it open to write.
func (f arrival) given(dir *shared.Folder, name string, now time.Time) bool {
	quiet := now.Sub(f.since)
	if quiet < dropSettle {
		return false
	}
	written, known := beingWritten(dir, name)
	return known && !written || !known && quiet >= dropUnknown
}

// beingWritten reports whether a program has a file open to write; known is false
// if the system does not tell.
func beingWritten(dir *shared.Folder, name string) (written, known bool) {
	f, err := dir.Open(name)
	if err != nil {
		return false, true // a pipe, a file that may not be read: waiting does not mend it
	}
	defer func() { _ = f.Close() }() // which ends the lease
	// A read lease is only to be had on a file that no program has open to write.
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if errors.Is(err, unix.EAGAIN) {
		return true, true
	}
	return false, err == nil
}

// path returns the path of a file, for people.
func (p *dropped) path(name string) string { return playlist.Legible(filepath.Join(p.dir, name)) }

// away moves a file away that is dealt with: one that was refused has a note beside it
// that says why.
func (p *dropped) away(dir *shared.Folder, name string, got result) error {
	err := got.err
	if errors.Is(err, player.ErrNotStored) {
		return err // it sounds; after a power cut it must be found again
	}
	if err == nil && got.r.State != emergency.StateRefused {
		_, err = dir.Move(name, filepath.Join("taken", name))
		return err
	}
	if err == nil {
		err = say.Word("alerts.reason_", string(got.r.Reason))
	}
	p.log.Warn("alert file refused", "path", p.path(name), "err", err)
	now, moveErr := dir.Move(name, filepath.Join("refused", name))
	if moveErr != nil {
		return moveErr
	}
	return dir.Note(now+".txt", say.In(p.lang, err)+"\n", time.Time{})
}

// readDropped reads a message's file in the drop folder.
func readDropped(dir *shared.Folder, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	raw, err := readMessage(f)
	return raw, errors.Join(err, f.Close())
}
