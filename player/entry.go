package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

const (
	watchEvery      = 500 * time.Millisecond // progress is reported
	looksEvery      = 20 * time.Millisecond  // at most, while a clip's end draws near
	checkpointEvery = 5 * time.Second        // progress is written to the ledger
	storeRetry0     = 250 * time.Millisecond // before the ledger is called again after an error
	storeRetry1     = 10 * time.Second       // at most
)

// errStore says that every call of the ledger failed until it was too late.
var errStore = errors.New("the store does not answer")

// entry is one row of the as-run log and the sound that it is about: a clip of
// an airing, a sound of an alert, or what is said into the microphone. It is
// claimed, before its sound or beside it, reports progress, writes checkpoints
// and is ended once. A call that the ledger fails is tried again.
//
// One goroutine uses an entry. It calls the ledger on another goroutine if the
// sound must not wait for the disk, but never for two things at once.
type entry struct {
	p    *Player
	kind *entryKind
	log  *slog.Logger // names the airing or the alert, and the output
	owe  owe

	row           asrun.Row
	before, after *playlist.Cursor // of the playlist, if this clip moves it
	path          string           // of the clip's file, for an airing
	sound         *Sound           // nil if it belongs to another
	take          *Take

	// Written by calls beside the sound; read after busy is closed.
	claimed bool          // the row is open
	tried   bool          // a claim failed: the row may be open all the same
	busy    chan struct{} // closed when the last call beside the sound has returned; nil: there was none

	told bool      // that it is on air
	kept time.Time // when the last checkpoint was written
}

// entryKind is how airings and alerts differ in what they log and report.
type entryKind struct {
	silent  MomentKind // reported at the end if no frame was heard
	onAir   func(log *slog.Logger, row asrun.Row)
	ended   func(log *slog.Logger, row asrun.Row, err error)
	notKept func(log *slog.Logger, row asrun.Row, opened bool, err error)
}

// owe runs a retry, which may last until the store works again, on a goroutine
// that the owner waits for when it stops; ctx ends then. It returns false if
// the owner has stopped already.
type owe func(retry func(ctx context.Context)) bool

// next is the entry of the part that follows on e: the same sound, another row.
func (e *entry) next() *entry {
	row := e.row
	row.Part++
	return &entry{p: e.p, kind: e.kind, log: e.log, owe: e.owe, row: row, path: e.path, sound: e.sound}
}

// claimUntil opens the row before its sound starts. It tries until that
// instant, then returns errStore.
func (e *entry) claimUntil(ctx context.Context, until time.Time) error {
	return e.p.insist(ctx, e.log, until, func() error {
		e.row.Clock = e.p.Trust()
		return e.claim(ctx)
	})
}

// claimBeside opens the row while its sound has started already: a warning
// does not wait for a disk. If it fails, the checkpoints and the end try again.
func (e *entry) claimBeside(ctx context.Context) {
	e.beside(func() { _ = e.claim(ctx) })
}

// claim opens the row, if it is not open.
func (e *entry) claim(ctx context.Context) error {
	if e.claimed {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := e.p.Ledger.Claim(ctx, asrun.Claim{Row: e.row, Before: e.before, After: e.after})
	switch {
	case !errors.Is(err, asrun.ErrClaimed):
		e.tried = err != nil
	case e.tried: // the call before may have opened it, and failed after that
		err = e.findOwn(ctx)
	}
	e.claimed = err == nil
	return err
}

// findOwn returns nil if an earlier claim of e opened the row that the ledger
// has.
func (e *entry) findOwn(ctx context.Context) error {
	rows, err := e.p.Ledger.Rows(ctx, e.row.Airing)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Key() == e.row.Key() && r.Outcome == "" && r.Boot == e.row.Boot && r.MonoMS == e.row.MonoMS {
			return nil
		}
	}
	return asrun.ErrClaimed
}

// watch waits until the take is over. Meanwhile it reports progress and writes
// checkpoints; after each report it calls each, if that is not nil, which says how long
// it need not be called again.
func (e *entry) watch(ctx context.Context, each func(row asrun.Row) time.Duration) {
	tick := time.NewTimer(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.take.Done():
			return
		case <-tick.C:
		}
		wait := watchEvery
		if row, started := e.progress(ctx); started && each != nil {
			wait = min(wait, each(row))
		}
		tick.Reset(wait)
	}
}

// progress reports how far the sound has come; started is false before its
// first frame was heard.
func (e *entry) progress(ctx context.Context) (row asrun.Row, started bool) {
	row = e.row
	row.Frames, row.AtFrame, row.Started = e.take.Progress()
	if row.Started.IsZero() {
		return row, false
	}
	if !e.told {
		e.told = true
		e.kind.onAir(asOf(e.log, row.Started), row)
		e.p.Watch(Moment{MomentStarted, row})
	}
	e.p.Watch(Moment{MomentProgress, row})
	if time.Since(e.kept) >= checkpointEvery && e.idle() {
		e.kept = time.Now()
		e.beside(func() { e.checkpoint(ctx, row) })
	}
	return row, true
}

// checkpoint writes how far the row has come.
func (e *entry) checkpoint(ctx context.Context, row asrun.Row) {
	ctx = context.WithoutCancel(ctx)
	err := e.claim(ctx)
	if err == nil {
		err = e.p.Ledger.Checkpoint(ctx, row.Key(), row.Started, row.AtFrame, row.Frames)
	}
	if err != nil {
		e.log.Error("checkpoint not stored", "err", err)
	}
}

// end closes the row with what was heard and returns it as it is in the
// ledger, or will be: if that fails, it is tried again beside what follows.
func (e *entry) end(ctx context.Context, h Heard, outcome asrun.Outcome, reason asrun.Reason) asrun.Row {
	row := e.ended(h, outcome, reason)
	e.store(ctx, row)
	e.tellEnd(row, h)
	return row
}

// endBeside is end for a warning: what follows does not wait for the disk. The row is
// written on a goroutine that run starts; nothing else uses the entry from then on.
func (e *entry) endBeside(ctx context.Context, run func(func()), h Heard, outcome asrun.Outcome, reason asrun.Reason) asrun.Row {
	row := e.ended(h, outcome, reason)
	run(func() { e.store(ctx, row) })
	e.tellEnd(row, h)
	return row
}

// ended is the row with what was heard and what became of it.
func (e *entry) ended(h Heard, outcome asrun.Outcome, reason asrun.Reason) asrun.Row {
	row := e.heard(h)
	row.Outcome, row.Reason = outcome, reason
	if row.Ended.IsZero() {
		row.Ended = e.p.Wall().UTC()
	}
	return row
}

// store writes the end of the row, after all that is being written of it.
func (e *entry) store(ctx context.Context, row asrun.Row) {
	e.await()
	e.p.keep(e.log, e.owe, func() error { return e.write(ctx, row) }, func(err error) {
		e.kind.notKept(e.log, row, e.claimed, err)
	})
}

// tellEnd logs and reports the end of the row.
func (e *entry) tellEnd(row asrun.Row, h Heard) {
	e.kind.ended(asOf(e.log, row.Ended), row, h.Err)
	kind := MomentEnded
	if row.Frames == 0 {
		kind = e.kind.silent
	}
	e.p.Watch(Moment{kind, row})
}

// heard is the row with what was heard of it.
func (e *entry) heard(h Heard) asrun.Row {
	row := e.row
	row.Started, row.Ended, row.Frames, row.AtFrame = h.Started, h.Ended, h.Frames, h.AtFrame
	return row
}

// write closes the row in the ledger, and opens it before if it is not open.
func (e *entry) write(ctx context.Context, row asrun.Row) error {
	if err := e.claim(ctx); err != nil {
		return err
	}
	return e.p.Ledger.End(context.WithoutCancel(ctx), row.Key(), asrun.End{
		Started: row.Started, Ended: row.Ended, Frames: row.Frames, AtFrame: row.AtFrame,
		Outcome: row.Outcome, Reason: row.Reason,
	})
}

// beside calls the ledger on another goroutine, after the call before.
func (e *entry) beside(call func()) {
	e.await()
	done := make(chan struct{})
	e.busy = done
	go func() { // end waits for it
		defer close(done)
		call()
	}()
}

// await waits for the last call beside the sound.
func (e *entry) await() {
	if e.busy != nil {
		<-e.busy
	}
}

// idle reports whether no call beside the sound is under way.
func (e *entry) idle() bool {
	if e.busy == nil {
		return true
	}
	select {
	case <-e.busy:
		return true
	default:
		return false
	}
}

// keep calls the ledger once, and, if that fails, again beside what follows
// until it works. failed is told if the owner stops before it has worked, or
// if it cannot work.
func (p *Player) keep(log *slog.Logger, owe owe, call func() error, failed func(error)) {
	err := call()
	if err == nil {
		return
	}
	owed := owe(func(ctx context.Context) {
		if err := p.insist(ctx, log, time.Time{}, call); err != nil {
			failed(err)
		}
	})
	if !owed {
		failed(err)
	}
}

// record writes rows of which nothing sounded, and tries until it works or ctx
// ends.
func (p *Player) record(ctx context.Context, log *slog.Logger, rows ...asrun.Row) error {
	err := p.insist(ctx, log, time.Time{}, func() error {
		return p.Ledger.Record(context.WithoutCancel(ctx), rows...)
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		p.Watch(Moment{MomentSilent, r})
	}
	return nil
}

// insist calls the ledger, and again while that fails, until that instant;
// zero: without end. It returns errStore if no call worked by then.
func (p *Player) insist(ctx context.Context, log *slog.Logger, until time.Time, call func() error) error {
	told := false
	for wait := storeRetry0; ; wait = min(2*wait, storeRetry1) {
		err := call()
		if err == nil || errors.Is(err, asrun.ErrClaimed) || errors.Is(err, asrun.ErrStale) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		if !until.IsZero() && p.Wall().After(until) {
			if !errors.Is(err, errStore) {
				err = fmt.Errorf("%w: %w", errStore, err)
			}
			return err
		}
		if !told {
			told = true
			log.Error("store call failed, trying again", "err", err)
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

// asOf returns a logger whose records bear the time of what they tell of: the log then
// has the same instant as the row.
func asOf(log *slog.Logger, at time.Time) *slog.Logger {
	if at.IsZero() {
		return log
	}
	return slog.New(dated{log.Handler(), at})
}

type dated struct {
	slog.Handler
	at time.Time
}

func (d dated) Handle(ctx context.Context, r slog.Record) error {
	r.Time = d.at
	return d.Handler.Handle(ctx, r)
}

func (d dated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return dated{d.Handler.WithAttrs(attrs), d.at}
}

func (d dated) WithGroup(name string) slog.Handler { return dated{d.Handler.WithGroup(name), d.at} }
