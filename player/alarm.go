package player

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// forgetAfter is how long an alert that is over is remembered, so that a late
// copy of it is known for what it is.
const forgetAfter = 31 * 24 * time.Hour

// AlertKeeper is what survives a restart of the alerts. Each call is one
// transaction, durable when it returns. data.Store is one.
type AlertKeeper interface {
	// SaveAlerts keeps alerts as they now stand, and what was retired with
	// them. raw is the first one's message; nil leaves what is kept of it.
	SaveAlerts(ctx context.Context, c emergency.Change, raw []byte) error

	// KeptAlerts is all that was kept.
	KeptAlerts(ctx context.Context) (emergency.Kept, error)

	// ForgetAlerts deletes alerts of which no late copy can come any more.
	ForgetAlerts(ctx context.Context, ids []playlist.AlertID) error
}

// AlertSound is something fit to air that an alert can be sounded with.
type AlertSound struct {
	Clip playlist.Clip
	Path string
}

// AlertSounds finds what an alert is sounded with. It is asked from many
// goroutines, again for each pass.
type AlertSounds interface {
	// Sound finds the alert as [asrun.UsedClip], which is an error until the
	// clip is here; as [asrun.UsedSpeech], which may take its time; as
	// [asrun.UsedGeneric]; or the words that a drill begins with, as
	// [asrun.UsedPreamble].
	Sound(ctx context.Context, r emergency.Record, as asrun.Used) (AlertSound, error)
}

// ErrNotStored says that an alert is in force, but would be forgotten if the
// power failed now: it must not be acknowledged.
var ErrNotStored = errors.New("alert not stored")

// Alarm keeps the book of alerts and sounds them on a player's channels: each
// pass begins with the attention tone, at once, whatever was sounding before,
// and goes on with the best sound that is there by then.
type Alarm struct {
	p      *Player
	keep   AlertKeeper
	sounds AlertSounds
	do     chan func()
	gone   chan struct{} // closed when Run is about to return

	// The rest belongs to Run's goroutine.
	life   context.Context // of what sounds
	book   *emergency.Book
	on     map[playlist.AlertID]*sounding
	seen   *playlist.Programme // the one whose outputs sound what is in force
	forgot time.Time
	wrote  chan struct{} // closed once the keeper's last call has returned
	owed   []owedSave    // changes that the keeper did not keep
	saved  time.Time     // when they were last tried again
	work   sync.WaitGroup
}

// sounding is an alert on its outputs.
type sounding struct {
	record   atomic.Pointer[emergency.Record] // the alert as it now stands
	stop     context.CancelCauseFunc
	stopped  bool    // stop was called: what is in force under its ID then begins when it has fallen silent
	choice   *choice // nil for the microphone
	outputs  []playlist.Output
	now      map[string]bool // outputs on which it still sounds
	rows     []asrun.Row     // of the outputs on which it has ended
	starters *starters       // of its outputs, before the first sound

	mu   sync.Mutex
	pass *pass // the last one
}

func newSounding(r emergency.Record, outputs int) *sounding {
	s := &sounding{now: map[string]bool{}, starters: newStarters(outputs)}
	s.record.Store(&r)
	return s
}

// latest is the alert as it now stands.
func (s *sounding) latest() emergency.Record { return *s.record.Load() }

// NewAlarm makes the alarm of a player. Both must be run.
func NewAlarm(p *Player, keep AlertKeeper, sounds AlertSounds) *Alarm {
	return &Alarm{
		p: p, keep: keep, sounds: sounds, do: make(chan func()), gone: make(chan struct{}),
		book: emergency.NewBook(emergency.Kept{}), on: map[playlist.AlertID]*sounding{},
	}
}

// Causes for which an alert falls silent.
var (
	errRetired = errors.New("alert retired")
	errStopped = errors.New("the daemon stops")
)

// Run sounds the alerts that were in force when it last ran and those received,
// until ctx ends.
func (a *Alarm) Run(ctx context.Context) error {
	kept, err := a.keep.KeptAlerts(ctx)
	if err != nil {
		// The alerts received before are lost; those to come must sound all the same.
		a.p.Log.Error("alerts cannot be read", "err", err)
	}
	a.book = emergency.NewBook(kept)
	defer a.work.Wait()
	defer close(a.gone)
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopped)
	a.life = life
	a.seen = a.p.Programme()
	for _, r := range a.book.InForce() {
		a.begin(r, true, nil)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case f := <-a.do:
			f()
		case <-tick.C:
			a.follow()
			a.saveOwed()
			a.tidy(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// errGone says that the alarm is not running any more.
var errGone = errors.New("the alarm has ended")

// ask has f run on the alarm's goroutine and waits for it.
func (a *Alarm) ask(ctx context.Context, f func()) error {
	ran := make(chan struct{})
	select {
	case a.do <- func() { defer close(ran); f() }:
		<-ran
		return nil
	case <-a.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive takes a message in. It may be acknowledged only if the error is nil;
// with ErrNotStored it is in force all the same. The record is the message's as
// it now stands; known says that it had come before.
func (a *Alarm) Receive(ctx context.Context, r emergency.Record, raw []byte) (rec emergency.Record, known bool, err error) {
	var (
		c    emergency.Change
		kept <-chan error
	)
	err = a.ask(ctx, func() {
		c, kept = a.enter(r, raw)
		rec, _ = a.book.Record(r.ID)
	})
	if err != nil {
		return rec, false, err
	}
	return rec, c.Known, <-kept
}

// enter enters a message that comes now; the channel is that of [Alarm.save].
func (a *Alarm) enter(r emergency.Record, raw []byte) (emergency.Change, <-chan error) {
	r.Received, r.Clock = a.p.Wall().UTC(), a.p.Trust()
	r.Boot, r.MonoMS = a.p.Boot, a.p.Uptime().Milliseconds()
	c := a.book.Receive(r, a.p.Programme())
	kept := a.save(c, raw)
	a.enact(c)
	return c, kept
}

// PutInForce puts the alerts of a scope in force that the county's document names. Others
// of the scope that came with its documents fall silent, but for those in stay. It does not wait for
// the disk: what cannot be kept is in force all the same, and is logged. The caller
// keeps the document, which brings them again after a restart.
func (a *Alarm) PutInForce(ctx context.Context, scope playlist.Scope, all []emergency.Record, stay []playlist.AlertID) error {
	return a.ask(ctx, func() {
		ids := slices.Clone(stay)
		for _, r := range all {
			ids = append(ids, r.ID)
			a.enter(r, nil)
		}
		c := a.book.Withdraw(scope, ids, a.p.Wall().UTC())
		a.save(c, nil)
		a.enact(c)
	})
}

// Records are all alerts that are remembered, the latest received first.
func (a *Alarm) Records(ctx context.Context) (all []emergency.Record, err error) {
	err = a.ask(ctx, func() { all = a.book.Records() })
	return all, err
}

// write calls the keeper after its calls before, in the order of the book, and
// does not wait: a disk that hangs must hold up no alert and no cancel.
func (a *Alarm) write(f func()) {
	before, mine := a.wrote, make(chan struct{})
	a.wrote = mine
	a.work.Go(func() {
		defer close(mine)
		if before != nil {
			<-before
		}
		f()
	})
}

// owedSave is a change that could not be kept, with the message that made it.
type owedSave struct {
	emergency.Change
	raw []byte
}

// oweSave notes a change that could not be kept. One that only says where an alert stands is
// part of an earlier one.
func (a *Alarm) oweSave(c emergency.Change, raw []byte) {
	if raw == nil && len(c.Retired)+len(c.Restored)+len(c.Counters) == 0 {
		c.Records = slices.DeleteFunc(slices.Clone(c.Records), func(r emergency.Record) bool {
			return slices.ContainsFunc(a.owed, func(o owedSave) bool {
				return slices.ContainsFunc(o.Records, func(was emergency.Record) bool { return was.ID == r.ID })
			})
		})
		if len(c.Records) == 0 {
			return
		}
	}
	a.owed = append(a.owed, owedSave{c, raw})
}

// saveAgain is how long a change that could not be kept waits before it is tried again.
const saveAgain = 5 * time.Second

// saveOwed tries to keep what could not be kept before, as the book has it by now.
func (a *Alarm) saveOwed() {
	if len(a.owed) == 0 || time.Since(a.saved) < saveAgain {
		return
	}
	all := a.owed
	a.owed, a.saved = nil, time.Now()
	for _, o := range all {
		for i, r := range o.Records {
			if now, ok := a.book.Record(r.ID); ok {
				o.Records[i] = now
			}
		}
		a.keepChange(o.Change, o.raw, true)
	}
}

// save keeps a change; the channel yields once it is durable, or cannot be. Then it is
// tried again later.
func (a *Alarm) save(c emergency.Change, raw []byte) <-chan error { return a.keepChange(c, raw, false) }

func (a *Alarm) keepChange(c emergency.Change, raw []byte, again bool) <-chan error {
	kept := make(chan error, 1)
	if len(c.Records) == 0 && len(c.Retired) == 0 && len(c.Restored) == 0 {
		kept <- nil
		return kept
	}
	a.write(func() {
		err := a.keep.SaveAlerts(context.Background(), c, raw)
		switch {
		case err == nil && again:
			a.p.Log.Info("alert stored after all", "alert", c.Records[0].ID)
		case err != nil && !again:
			a.p.Log.Error("alert not stored", "alert", c.Records[0].ID, "err", err)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNotStored, err)
			defer func() { _ = a.ask(context.Background(), func() { a.oweSave(c, raw) }) }()
		}
		kept <- err
	})
	return kept
}

// enact starts and ends sounds as the book now has it.
func (a *Alarm) enact(c emergency.Change) {
	for i, r := range c.Records {
		s, on := a.on[r.ID]
		switch {
		case on && (r.State.Over() || i == 0 && c.Anew):
			s.stopped = true
			s.stop(errRetired)
		case on:
			s.record.Store(&r) // one that was stopped begins anew when it has ended
		case !r.State.Over():
			a.begin(r, c.Replaces, nil)
		}
		switch {
		case r.State == emergency.StateCancelled && (i > 0 || r.Reason == emergency.ReasonWithdrawn):
			a.logRetired(r)
		case i == 0 && !c.Known || r.State.Over():
			a.logReceived(r)
		}
		if i == 0 && !c.Known {
			for _, id := range r.Spared {
				a.p.Log.Warn("alert not retired: sender not entitled", "alert", id, "by", r.ID)
			}
		}
	}
}

// logReceived logs a message as it now stands. A cancel and an answer are no
// emergency.
func (a *Alarm) logReceived(r emergency.Record) {
	if r.Kind == emergency.KindCancel || r.Kind == emergency.KindAnswer {
		a.p.Log.Info("message about alerts received", "alert", r.ID, "kind", r.Kind, "refs", r.Refs, "state", r.State, "reason", r.Reason)
		return
	}
	a.p.Log.Warn("alert received", "alert", r.ID, "kind", r.Kind, "class", r.Class, "level", r.Level, "state", r.State, "reason", r.Reason,
		"sent", r.Sent, "until", r.Until, "late", r.Late, "clock", r.Clock)
}

// logRetired logs that an alert was in force and is no more.
func (a *Alarm) logRetired(r emergency.Record) {
	switch r.Reason {
	case emergency.ReasonSuperseded:
		a.p.Log.Warn("alert superseded", "alert", r.ID)
	case emergency.ReasonWithdrawn:
		a.p.Log.Warn("alert withdrawn", "alert", r.ID)
	default:
		a.p.Log.Warn("alert cancelled", "alert", r.ID)
	}
}

// begin sounds an alert on each output that it concerns. again says that it
// may have sounded before, by rows that the ledger has or by those.
func (a *Alarm) begin(r emergency.Record, again bool, rows []asrun.Row) {
	ctx, stop := context.WithCancelCause(a.life)
	outputs := r.Concerned(a.p.Programme())
	s := newSounding(r, len(outputs))
	s.stop, s.rows = stop, rows
	if len(outputs) == 0 { // it was concerned once: the site has changed
		stop(nil)
		a.advance(r.ID, emergency.StateFailed)
		return
	}
	a.on[r.ID] = s
	s.choice = newChoice(ctx, a, s)
	for _, o := range outputs {
		a.start(ctx, r.ID, s, o, again)
	}
}

// start sounds an alert on one output.
func (a *Alarm) start(ctx context.Context, id playlist.AlertID, s *sounding, o playlist.Output, again bool) {
	if !slices.ContainsFunc(s.outputs, func(x playlist.Output) bool { return x.Name == o.Name }) {
		s.outputs = append(s.outputs, o)
	}
	s.now[o.Name] = true
	n := &siren{a: a, s: s, out: o, again: again, log: a.p.Log.With("alert", id, "output", o.Name), ready: sync.OnceFunc(s.starters.ready)}
	a.work.Go(func() {
		n.run(ctx)
		n.ready()
		if !errors.Is(context.Cause(ctx), errStopped) { // else it is still in force
			a.ended(id, s, o.Name, n.rows)
		}
	})
}

// follow sounds the alerts in force on outputs that a reload has brought. An
// output that has sounded an alert to its end has nothing left to do.
func (a *Alarm) follow() {
	p := a.p.Programme()
	if p == a.seen {
		return
	}
	a.seen = p
	for _, r := range a.book.InForce() {
		s := a.on[r.ID]
		if s == nil {
			continue
		}
		for _, o := range r.Concerned(p) {
			if !s.now[o.Name] {
				a.start(s.choice.ctx, r.ID, s, o, true)
			}
		}
	}
}

// started notes that an alert is heard.
func (a *Alarm) started(ctx context.Context, id playlist.AlertID) {
	_ = a.ask(ctx, func() { a.advance(id, emergency.StateAiring) })
}

// ended notes that an alert has ended on one of its outputs, with those rows,
// and, after the last of them, what became of it.
func (a *Alarm) ended(id playlist.AlertID, s *sounding, output string, rows []asrun.Row) {
	silent := func() bool { return len(s.now) == 0 }
	last := false
	_ = a.ask(context.Background(), func() {
		delete(s.now, output)
		s.rows = append(s.rows, rows...)
		a.follow() // it may have ended there because it is to sound elsewhere
		last = silent()
	})
	if !last {
		return
	}
	kept, err := a.p.Ledger.Rows(context.Background(), id.Airing())
	if err != nil {
		a.p.Log.Error("alert rows cannot be read", "alert", id, "err", err)
	}
	_ = a.ask(context.Background(), func() {
		if !silent() { // a reload has brought another output meanwhile
			return
		}
		delete(a.on, id)
		s.stop(nil)
		r, _ := a.book.Record(id)
		if s.stopped && !r.State.Over() { // another copy of the message has taken its place
			a.begin(r, true, s.rows)
			return
		}
		a.advance(id, r.Outcome(overlay(kept, s.rows), s.outputs))
	})
}

// overlay are the rows that the ledger has kept, from before a restart too, and
// in place of them those just heard: the ledger may not have taken them yet.
func overlay(kept, heard []asrun.Row) []asrun.Row {
	all := slices.Clone(heard)
	for _, r := range kept {
		if !slices.ContainsFunc(heard, func(h asrun.Row) bool { return h.Key() == r.Key() }) {
			all = append(all, r)
		}
	}
	return all
}

// owe runs a retry on a goroutine that Run waits for; false if Run has ended.
func (a *Alarm) owe(retry func(ctx context.Context)) bool {
	return a.ask(context.Background(), func() {
		life := a.life
		a.work.Go(func() { retry(life) })
	}) == nil
}

// advance puts an alert's new state in the book and reports it.
func (a *Alarm) advance(id playlist.AlertID, state emergency.State) {
	r, changed := a.book.Advance(id, state, a.p.Wall().UTC())
	if !changed {
		return
	}
	a.p.Log.Info("alert", "alert", id, "state", state)
	a.save(emergency.Change{Records: []emergency.Record{r}}, nil) // which logs what fails
}

// tidy forgets, each hour, the alerts that are long over.
func (a *Alarm) tidy(ctx context.Context) {
	if a.p.Trust() != playlist.ClockTrusted || time.Since(a.forgot) < time.Hour {
		return
	}
	a.forgot = time.Now()
	gone := a.book.Forget(a.p.Wall().Add(-forgetAfter), a.p.Programme().Alerts.Filled())
	a.write(func() {
		if err := a.keep.ForgetAlerts(ctx, gone); err != nil && ctx.Err() == nil {
			a.p.Log.Error("old alerts not deleted", "err", err)
		}
	})
}
