package player

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

const (
	lineEvery  = 100 * time.Millisecond // how often an airing looks whether others are before it
	oweEvery   = 5 * time.Second        // between a break and the attempt to make it good
	staleTries = 16
	setBack    = 5 * time.Second // more than the desk needs to see a clock set back
)

// errSetBack says that the clock was set back to long before the airing: the
// airing leaves the line, and the desk will hand it out again.
var errSetBack = errors.New("clock set back")

// unaired is the reason for which items of an airing will not sound.
type unaired asrun.Reason

func (u unaired) Error() string { return "not aired: " + string(u) }

// outcome is what such items are recorded as.
func (u unaired) outcome() asrun.Outcome {
	switch asrun.Reason(u) {
	case asrun.ReasonQuiet:
		return asrun.Suppressed
	case asrun.ReasonClip:
		return asrun.Failed
	}
	return asrun.Missed
}

// performance is one airing on one output, from cue to the last row.
type performance struct {
	p         *Player
	programme *playlist.Programme
	due       schedule.Due
	out       playlist.Output
	ch        *Channel // nil: the output is no longer there
	log       *slog.Logger

	turn    *Turn
	course  schedule.Course
	power   *power         // nil: not asked for
	at      time.Time      // the instant that it waits for: of its first sample, or since when it could go on
	goesOn  bool           // the latter
	until   time.Time      // quiet hours begin
	kept    playlist.Rank  // of what kept it waiting last; zero: nothing did
	draw    *draw          // of the clip that it will take next; nil: none
	resumed bool           // its clip was interrupted: nothing leads in to it again
	sounded bool           // an earlier part of the airing was heard
	owing   sync.WaitGroup // rows that the ledger has not taken yet

	// For other goroutines.
	mu    sync.Mutex
	shown schedule.Open // how it stands
	over  bool          // all that is left is to write its rows
}

// account performs the airing until nothing of it is owed any more. An error
// means that it still is, or that rows are missing.
func (f *performance) account(ctx context.Context) error {
	// The airing leaves the line first, and stays in hand until its rows are
	// written.
	defer f.owing.Wait()
	defer f.leaveLine()
	defer f.drawn()
	for {
		s, err := f.stand(ctx, later(f.due.Due.Add(f.due.Slot.Window), f.due.Slot.Deadline(f.due.Due, f.programme.Site.Zone)))
		if errors.Is(err, errStore) {
			return f.record(ctx, 1, asrun.Missed, asrun.ReasonStore)
		}
		if err != nil {
			return err
		}
		switch {
		case !s.Perform:
			return f.record(ctx, s.First, s.Outcome, s.Reason)
		case f.ch == nil:
			return f.record(ctx, s.First, asrun.Missed, asrun.ReasonNoOutput)
		}
		was := f.course.Rank()
		f.takeUp(s)
		if f.course.Rank() != was || f.turn.Ended() {
			f.rejoin()
		}
		if err := f.perform(ctx, s.First); err != nil {
			return err
		}
		f.hide()
		f.leaveLine() // what follows may wait for a disk
		if s, err = f.stand(ctx, time.Time{}); err != nil || !s.Perform {
			return err
		}
		f.takeUp(s)
		if err := sleepUntil(ctx, f.p.Wall, f.p.Wall().Add(oweEvery)); err != nil {
			return err
		}
	}
}

// takeUp goes by what was decided about the airing.
func (f *performance) takeUp(s schedule.Standing) {
	f.course, f.resumed = s.Course, false
	f.waitFor(s.Course.From)
	f.show(func(o *schedule.Open) { *o = schedule.Open{Output: o.Output, Item: s.First} })
}

// waitFor has the airing wait for an instant of the schedule.
func (f *performance) waitFor(at time.Time) { f.at, f.goesOn = at, false }

// waitOn has it wait to go on as soon as it can.
func (f *performance) waitOn() { f.at, f.goesOn = f.p.Wall(), true }

// stand asks what must be done about the airing on this output, until that
// instant.
func (f *performance) stand(ctx context.Context, until time.Time) (schedule.Standing, error) {
	var rows []asrun.Row
	err := f.insist(ctx, until, func() (err error) {
		rows, err = f.p.Ledger.Rows(context.WithoutCancel(ctx), f.due.ID)
		return err
	})
	if err != nil {
		return schedule.Standing{}, err
	}
	rows = slices.DeleteFunc(rows, func(r asrun.Row) bool { return r.Output != f.out.Name })
	return schedule.Stand(f.programme, f.due, rows, f.p.Wall()), nil
}

func (f *performance) insist(ctx context.Context, until time.Time, call func() error) error {
	return f.p.insist(ctx, f.log, until, call)
}

// record writes rows for the items from first on, none of which sounded.
func (f *performance) record(ctx context.Context, first int, o asrun.Outcome, why asrun.Reason) error {
	rows := f.silent(first, o, why)
	if len(rows) == 0 {
		return nil
	}
	f.hide()
	f.leaveLine() // this may wait for a disk
	if err := f.p.record(ctx, f.log, rows...); err != nil {
		return err
	}
	f.log.Warn("airing did not sound", "outcome", o, "reason", why)
	return nil
}

// silent are the rows of the items from first on, none of which sounded.
func (f *performance) silent(first int, o asrun.Outcome, why asrun.Reason) []asrun.Row {
	var rows []asrun.Row
	for n := first; n <= f.due.Slot.Count; n++ {
		r := f.row(n, 0)
		r.Outcome, r.Reason = o, why
		r.Ended = f.p.Wall().UTC()
		rows = append(rows, r)
	}
	return rows
}

func (f *performance) row(item, n int) asrun.Row {
	r := asrun.Row{
		Airing: f.due.ID, Output: f.out.Name, Item: item, Part: n,
		Slot: f.due.Slot.Name, Playlist: f.due.Slot.Playlist, Rank: f.course.Rank(), Due: f.due.Due,
		Clock: f.p.Trust(), Boot: f.p.Boot, MonoMS: f.p.Uptime().Milliseconds(),
	}
	f.setEarshot(&r)
	return r
}

// setEarshot gives a row the area of its output and its residents in earshot. A reload may
// have changed them; of an output that is gone they are the last that it had.
func (f *performance) setEarshot(r *asrun.Row) {
	if now, ok := f.p.Programme().Output(f.out.Name); ok {
		f.out.Residents, f.out.Area = now.Residents, now.Area
	}
	r.Residents, r.Area = f.out.Residents, f.out.Area
}

// perform airs the items from first on, and records those that do not sound.
func (f *performance) perform(ctx context.Context, first int) error {
	next, err := f.air(ctx, first)
	var why unaired
	if errors.As(err, &why) {
		return f.record(ctx, next, why.outcome(), asrun.Reason(why))
	}
	return err
}

// air airs the items from first on. If the error is unaired, those from next
// on do not sound.
func (f *performance) air(ctx context.Context, first int) (next int, err error) {
	f.power = nil
	defer func() {
		f.drawn()
		f.power.release()
	}()
	c, err := f.ready(ctx, first)
	if errors.Is(err, asrun.ErrClaimed) {
		return first, nil
	}
	if err != nil {
		return first, err
	}
	mono, deadline := f.together(), f.deadline()
	lead := f.course.LeadIn(first, false)
	if lead > 0 && first == 1 {
		chime := NewSound(Chime(), f.level(), nil)
		defer chime.Close()
		f.turn.Play(Cue{Sound: chime, At: f.at, Mono: mono, Deadline: deadline, Until: f.until})
	}
	f.play(c, Cue{At: f.at, Mono: mono, Deadline: deadline.Add(lead)})
	f.begins(c, later(f.at, f.p.Wall()), lead)
	return f.airAll(ctx, c)
}

// waits is how long an airing that is late waits for its other outputs.
func (f *performance) waits() time.Duration {
	if len(f.due.Slot.Outputs) == 1 {
		return 0
	}
	late := f.p.Wall().Sub(f.at)
	if late <= 0 {
		return 0
	}
	return min(lateWait, late) + f.p.slowest()
}

// together is the monotonic instant at which an airing that is late begins, so
// that all its outputs that are as late begin at once; zero: at its own instant.
func (f *performance) together() time.Time {
	wait := f.waits()
	if wait == 0 || f.p.Wall().Add(wait).After(f.deadline()) {
		return time.Time{}
	}
	if _, free := f.ch.becameFree(); time.Until(free) > agreeLast+f.out.ExtraDelay {
		return free // with those that were claimed before they were kept waiting
	}
	return f.p.instants.agree(string(f.due.ID), time.Time{}, time.Now().Add(wait))
}

// airAll airs an item that is in line, and those that follow.
func (f *performance) airAll(ctx context.Context, c *entry) (next int, err error) {
	for {
		h, err := f.hear(ctx, c, c.row.Item < f.due.Slot.Count)
		if err != nil || h.next == nil {
			return h.rest, err
		}
		c = h.next
	}
}

// ready cues the item, waits until it may sound and claims it.
func (f *performance) ready(ctx context.Context, item int) (*entry, error) {
	if until := f.course.From; until.After(f.due.Due) && f.ahead() > 0 { // the daemon was started in quiet hours
		if err := f.sleep(ctx, until, asrun.ReasonNone); err != nil {
			return nil, err
		}
	}
	if f.ahead() <= 0 {
		// It is late: wait in line before the clip is opened, for many airings
		// may be late at once.
		if err := f.line(ctx); err != nil {
			return nil, err
		}
	}
	c, err := f.cueFirst(ctx, item)
	if err != nil {
		return nil, err
	}
	if err := f.wayIsFree(ctx, c); err != nil {
		c.sound.Close()
		return nil, err
	}
	c, err = f.claimFresh(ctx, c, f.deadline())
	if errors.Is(err, errStore) && ctx.Err() == nil {
		return nil, unaired(asrun.ReasonStore)
	}
	return c, err
}

// cueFirst cues the item that the airing begins with.
func (f *performance) cueFirst(ctx context.Context, item int) (*entry, error) {
	c, err := f.cued(ctx, item, f.deadline())
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errStore):
		return nil, unaired(asrun.ReasonStore)
	}
	return nil, f.noClip(err)
}

// noClip tells that no clip of the playlist will air.
func (f *performance) noClip(err error) error {
	f.log.Error("no clip of the playlist will air", "playlist", f.due.Slot.Playlist, "err", err)
	return unaired(asrun.ReasonClip)
}

// wayIsFree waits until nothing is left to do before the item's first sample
// but to claim it.
func (f *performance) wayIsFree(ctx context.Context, c *entry) error {
	if f.power == nil && f.clearAt(c, f.begin()).Begin { // else clearOfQuiet puts it off
		f.power = f.p.power(ctx, f.at)
	}
	for waited := true; waited; {
		if err := f.awaitDue(ctx); err != nil {
			return err
		}
		if err := f.line(ctx); err != nil {
			return err
		}
		if f.early() {
			return errSetBack
		}
		if err := f.clearOfQuiet(ctx, c); err != nil {
			return err
		}
		if f.power == nil { // the clock was set back a little
			f.power = f.p.power(ctx, f.at)
		}
		if err := f.power.warm(ctx, f.at.Sub(f.p.Wall())); err != nil {
			return err
		}
		var err error
		if waited, err = f.levelled(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// ahead is how long it is until the first clip is claimed.
func (f *performance) ahead() time.Duration { return f.at.Add(-schedule.ClaimAhead).Sub(f.p.Wall()) }

// awaitDue waits until it is time to claim the first clip.
func (f *performance) awaitDue(ctx context.Context) error {
	for wait := f.ahead(); wait > 0; wait = f.ahead() {
		if f.early() {
			return errSetBack
		}
		if err := pause(ctx, min(wait, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// early reports whether the clock was set back to so long before the due instant that
// the desk will hand the airing out again.
func (f *performance) early() bool {
	return f.due.Due.Sub(f.p.Wall()) > schedule.ClaimAhead+schedule.Lead+f.p.WarmUp+setBack
}

// line waits until no other is before the airing, so that no clip is taken from
// the playlist for an airing that may never sound. If others hold the output
// past the deadline, or until quiet hours that end too late for it, the error is
// unaired; an airing that makes good waits on, behind all others.
func (f *performance) line(ctx context.Context) error {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for waited := false; ; waited = true {
		if f.turn.Ended() { // a reload has put another device in place
			f.rejoin()
		}
		begin := f.begin()
		by, behind := f.turn.Behind(begin)
		if !behind {
			if waited {
				f.drawsNow(ctx)
			}
			return ctx.Err()
		}
		f.kept = by
		if f.draw == nil || !f.draw.at.IsZero() {
			f.announce(time.Time{})
		}
		switch now := f.p.Wall(); {
		case f.owes():
		case now.After(f.deadline()):
			return unaired(busyBehind(by))
		case f.programme.QuietAt(begin): // they have begun while it waits
			if err := f.putOff(ctx, f.course.Clear(f.programme, begin, 0).Until, asrun.ReasonNone); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// owes makes the airing a make-good if it is one from now on: it goes to its new place
// in the line.
func (f *performance) owes() bool {
	if !f.course.Owes(f.p.Wall()) {
		return false
	}
	f.course.MakeGood = true
	f.rejoin()
	f.log.Info("airing becomes a make-good", "until", f.deadline())
	return true
}

// begin is when the airing would begin, or go on, if it could at once.
func (f *performance) begin() time.Time {
	now := f.p.Wall()
	if f.goesOn && f.at.After(now) { // the clock was set back
		f.at = now
		if f.course.Broken.After(now) {
			f.course.Broken = now
		}
	}
	at := later(f.at, now)
	if _, free := f.ch.becameFree(); f.at.Before(now) && !free.IsZero() {
		at = later(at, now.Add(time.Until(free)))
	}
	return at
}

// deadline is the last instant at which it may begin or go on.
func (f *performance) deadline() time.Time { return f.course.Deadline(f.programme.Site.Zone) }

// announce says when the next clip will be taken from the playlist; zero: once its output
// is free.
func (f *performance) announce(at time.Time) {
	f.drawn()
	f.draw = f.p.draws.announce(draw{list: f.due.Slot.Playlist, at: at, rank: f.course.Rank(), place: f.course.Place()})
}

// drawn says that no clip will be taken, or that it is.
func (f *performance) drawn() {
	f.p.draws.over(f.draw)
	f.draw = nil
}

// drawsNow says that the next clip is taken now: the output has become free. If others
// take clips from the same playlist, it waits for those that became free at that instant,
// but not so long that its outputs would not begin together.
func (f *performance) drawsNow(ctx context.Context) {
	left, free := f.ch.becameFree()
	settle := drawSettles
	if until := time.Until(free); until < 0 {
		left = time.Now()
	} else {
		settle = min(settle, until-f.p.slowest()-drawClaims)
	}
	f.announce(left)
	if f.p.draws.contested(f.draw) {
		_ = pause(ctx, settle)
	}
}

// busyBehind names what kept an airing off its output.
func busyBehind(rank playlist.Rank) asrun.Reason {
	if rank > playlist.RankScheduled && !rank.Scheduled() {
		return asrun.ReasonPreempted
	}
	return asrun.ReasonBusy
}

// rejoin gets in line again, with the rank and the place that the airing has now.
func (f *performance) rejoin() {
	f.turn.End()
	f.ch, f.turn = f.p.join(f.out.Name, f.ch, f.joins)
}

// joins gets in line on a channel.
func (f *performance) joins(c *Channel) *Turn {
	return c.JoinAt(f.course.Rank(), f.due.ID, f.course.Place(), f.at)
}

// leaveLine gives up the airing's place, so that no other waits for it.
func (f *performance) leaveLine() {
	if f.turn != nil {
		f.turn.Leave(f.p.instants.agree("after "+string(f.due.ID), time.Time{}, time.Now().Add(schedule.Gap+f.p.slowest())))
	}
}

// levelled waits for a device that is away: only an open one says whether it
// has a level of its own. Then it gives the item the gain that it needs. If a
// reload has put another device in its place, it waits for that, in its line. waited
// reports that the airing may not begin by now.
func (f *performance) levelled(ctx context.Context, c *entry) (waited bool, err error) {
	for !f.ch.Up() && !f.p.Wall().After(f.deadline()) {
		waited = true
		f.drawn()
		if f.turn.Ended() {
			f.rejoin()
		}
		if f.owes() || f.programme.QuietAt(f.soonest()) {
			return true, nil
		}
		if err := sleepUntil(ctx, f.p.Wall, f.p.Wall().Add(lineEvery)); err != nil {
			return true, err
		}
	}
	if level := f.level(); level != c.row.LevelDB {
		c.sound.Close()
		c.row.LevelDB = level
		err = c.load(ctx)
	}
	return waited, err
}

// level is the software gain in dB: the slot's and the daypart's and, if the
// device has no level of its own, the output's; never above full scale.
func (f *performance) level() float64 {
	return f.ch.Gain(f.due.Slot.LevelDB+f.programme.LevelAt(later(f.due.Due, f.p.Wall())), f.programme.Site.CeilingDB)
}

// clearAt says whether quiet hours let the item begin at that instant.
func (f *performance) clearAt(c *entry, at time.Time) schedule.Clearance {
	return f.course.Clear(f.programme, at, f.course.LeadIn(c.row.Item, f.resumed)+playlist.Length(c.row.OfFrames-c.row.FromFrame))
}

// soonest is when the airing would begin, or go on, after its wait for its other outputs.
func (f *performance) soonest() time.Time { return later(f.begin(), f.p.Wall().Add(f.waits())) }

// clearOfQuiet waits until the item may begin: at once, or after the quiet
// hours that it would run into, by the programme in force at that time. If it
// will not begin the error is unaired.
func (f *performance) clearOfQuiet(ctx context.Context, c *entry) error {
	for {
		begin := f.soonest()
		clear := f.clearAt(c, begin)
		if clear.Begin {
			f.until, _ = f.programme.QuietFrom(begin, begin.Add(24*time.Hour))
			return nil
		}
		why := asrun.ReasonQuiet
		if !f.course.Begun && f.programme.QuietAt(begin) {
			why = asrun.ReasonNone // they have begun while it waited
		}
		if err := f.putOff(ctx, clear.Until, why); err != nil {
			return err
		}
		if err := f.line(ctx); err != nil {
			return err
		}
	}
}

// putOff waits until quiet hours are about to be over, and gets in line again for the
// instant at which they are. If that is zero it will not sound: the error is unaired for
// that reason or, if that is none, for what kept it waiting.
func (f *performance) putOff(ctx context.Context, until time.Time, why asrun.Reason) error {
	switch {
	case !until.IsZero():
	case why != asrun.ReasonNone:
		return unaired(why)
	case f.course.Begun:
		return unaired(asrun.ReasonQuiet)
	case f.kept == 0:
		return unaired(f.due.Why)
	default:
		return unaired(busyBehind(f.kept))
	}
	if err := f.sleep(ctx, until, why); err != nil {
		return err
	}
	return sleepUntil(ctx, f.p.Wall, f.at.Add(-schedule.ClaimAhead))
}

// sleep leaves the line until shortly before quiet hours are over: time to warm the
// amplifier up, and to cue a clip.
func (f *performance) sleep(ctx context.Context, until time.Time, why asrun.Reason) error {
	f.drawn()
	f.log.Info("airing waits for the end of quiet hours", "until", until)
	f.leaveLine() // no other airing waits for one that sleeps
	f.power.release()
	f.show(func(o *schedule.Open) { o.Until = until })
	if err := sleepUntil(ctx, f.p.Wall, until.Add(-schedule.Lead-f.p.WarmUp)); err != nil {
		return err
	}
	if !f.renew() {
		return unaired(asrun.ReasonNoSlot)
	}
	if end := f.programme.QuietUntil(until); end.After(until) { // a reload has made them longer
		return f.putOff(ctx, f.course.Clear(f.programme, until, 0).Until, why)
	}
	f.course = f.course.PutOff(until)
	f.waitFor(until)
	f.show(func(*schedule.Open) {})
	f.power = f.p.power(ctx, f.at)
	f.rejoin()
	f.announce(time.Now().Add(f.ahead()))
	return nil
}

// renew goes by the programme now in force; false if that does not have the
// slot on this output any more.
func (f *performance) renew() bool {
	f.programme = f.p.Programme()
	slot, ok := f.programme.Slot(f.due.Slot.Name)
	if !ok || !slices.Contains(slot.Outputs, f.out.Name) {
		return false
	}
	f.due.Slot, f.course.Slot = slot, slot
	if out, ok := f.programme.Output(f.out.Name); ok {
		f.out = out
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sleepUntil(ctx context.Context, wall func() time.Time, at time.Time) error {
	// Short steps: the wall clock may be set meanwhile.
	for d := at.Sub(wall()); d > 0; d = at.Sub(wall()) {
		if err := pause(ctx, min(d, time.Second)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
