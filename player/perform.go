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
	claimAhead = time.Second            // a first clip is claimed this long before its due instant
	lineEvery  = 100 * time.Millisecond // how often an airing looks whether others are before it
	oweEvery   = 5 * time.Second        // between a break and the attempt to make it good
	lateBy     = time.Second            // a start later than this is called late
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

	turn     *Turn
	power    *power    // nil: not asked for
	at       time.Time // the first sample's instant
	deadline time.Time
	until    time.Time // quiet hours begin
	makeGood bool
	sounded  bool           // an earlier part of the airing was heard
	owing    sync.WaitGroup // rows that the ledger has not taken yet
}

// account performs the airing until nothing of it is owed any more. An error
// means that it still is, or that rows are missing.
func (f *performance) account(ctx context.Context) error {
	// The airing leaves the line first, and stays in hand until its rows are
	// written.
	defer f.owing.Wait()
	defer f.leaveLine()
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
		f.at, f.deadline, f.until = f.due.Due, s.Deadline, s.Until
		if s.MakeGood != f.makeGood || f.turn.Ended() {
			f.makeGood = s.MakeGood
			f.rejoin()
		}
		if err := f.perform(ctx, s.First); err != nil {
			return err
		}
		f.leaveLine() // what follows may wait for a disk
		if s, err = f.stand(ctx, time.Time{}); err != nil || !s.Perform {
			return err
		}
		if err := sleepUntil(ctx, f.p.Wall, f.p.Wall().Add(oweEvery)); err != nil {
			return err
		}
	}
}

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
	return asrun.Row{
		Airing: f.due.ID, Output: f.out.Name, Item: item, Part: n,
		Slot: f.due.Slot.Name, Playlist: f.due.Slot.Playlist, Rank: f.rank(), Due: f.due.Due,
		Residents: f.out.Residents, Area: f.out.Area,
		Clock: f.p.Trust(), Boot: f.p.Boot, MonoMS: f.p.Uptime().Milliseconds(),
	}
}

// rank is the slot's; a make-good has the lowest of all slots, so that those of
// today go first.
func (f *performance) rank() playlist.Rank {
	if f.makeGood {
		return playlist.RankScheduled
	}
	return f.due.Slot.Rank()
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
	defer func() { f.power.release() }()
	c, err := f.ready(ctx, first)
	if errors.Is(err, asrun.ErrClaimed) {
		return first, nil
	}
	if err != nil {
		return first, err
	}
	mono := f.together()
	if f.due.Slot.Chime {
		chime := NewSound(Chime(), f.level(), nil)
		defer chime.Close()
		f.turn.Play(Cue{Sound: chime, At: f.at, Mono: mono, Deadline: f.deadline, Until: f.until})
	}
	f.play(c, Cue{At: f.at, Mono: mono, Deadline: f.deadline.Add(f.preamble())})
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
	if wait == 0 || f.p.Wall().Add(wait).After(f.deadline) {
		return time.Time{}
	}
	if free := f.ch.becomesFree(); time.Until(free) > agreeLast+f.out.ExtraDelay {
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
	c, err = f.claimFresh(ctx, c, f.deadline)
	if errors.Is(err, errStore) && ctx.Err() == nil {
		return nil, unaired(asrun.ReasonStore)
	}
	return c, err
}

// cueFirst cues the item that the airing begins with.
func (f *performance) cueFirst(ctx context.Context, item int) (*entry, error) {
	c, err := f.cued(ctx, item, f.deadline)
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
	if f.fits(c) { // else clearOfQuiet puts it off
		f.power = f.p.power(ctx, f.at)
	}
	if err := f.awaitDue(ctx); err != nil {
		return err
	}
	if err := f.line(ctx); err != nil {
		return err
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
	return f.levelled(ctx, c)
}

// ahead is how long it is until the first clip is claimed.
func (f *performance) ahead() time.Duration { return f.at.Add(-claimAhead).Sub(f.p.Wall()) }

// awaitDue waits until it is time to claim the first clip.
func (f *performance) awaitDue(ctx context.Context) error {
	for wait := f.ahead(); wait > 0; wait = f.ahead() {
		if wait > schedule.Lead+f.p.WarmUp+setBack {
			return errSetBack
		}
		if err := pause(ctx, min(wait, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// line waits until no other is before the airing, so that no clip is taken from
// the playlist for an airing that may never sound. If others hold the output
// past the deadline the error is unaired; an airing that makes good then waits
// on, behind all others.
func (f *performance) line(ctx context.Context) error {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		rank, waiting := f.turn.Behind()
		if !waiting {
			return nil
		}
		switch now := f.p.Wall(); {
		case !now.After(f.deadline):
		case f.due.Slot.Missed == playlist.MissedMakeGood && !f.makeGood:
			f.makeGood = true
			f.deadline = f.due.Slot.Deadline(f.due.Due, f.programme.Site.Zone)
			f.rejoin()
			f.log.Info("airing becomes a make-good", "until", f.deadline)
		default:
			return unaired(busyBehind(rank))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// busyBehind names what kept an airing off its output.
func busyBehind(rank playlist.Rank) asrun.Reason {
	if rank > playlist.RankScheduled && !rank.Scheduled() {
		return asrun.ReasonPreempted
	}
	return asrun.ReasonBusy
}

// rejoin goes to the end of the line, with the rank that the airing has now.
func (f *performance) rejoin() {
	f.turn.End()
	f.ch, f.turn = f.p.join(f.out.Name, f.ch, f.rank())
}

// leaveLine gives up the airing's place, so that no other waits for it.
func (f *performance) leaveLine() {
	if f.turn != nil {
		f.turn.Leave(f.p.instants.agree("after "+string(f.due.ID), time.Time{}, time.Now().Add(schedule.Gap+f.p.slowest())))
	}
}

// levelled waits for a device that is away: only an open one says whether it
// has a level of its own. Then it gives the item the gain that it needs. If a
// reload has put another device in its place, it waits for that, in its line.
func (f *performance) levelled(ctx context.Context, c *entry) error {
	for !f.ch.Up() && !f.p.Wall().After(f.deadline) {
		if f.turn.Ended() {
			f.rejoin()
			if err := f.line(ctx); err != nil {
				return err
			}
		}
		if err := sleepUntil(ctx, f.p.Wall, f.p.Wall().Add(lineEvery)); err != nil {
			return err
		}
	}
	level := f.level()
	if level == c.row.LevelDB {
		return nil
	}
	c.sound.Close()
	c.row.LevelDB = level
	return c.load(ctx)
}

// level is the software gain in dB: the slot's and the daypart's and, if the
// device has no level of its own, the output's; never above full scale.
func (f *performance) level() float64 {
	return f.ch.Gain(f.due.Slot.LevelDB+f.programme.LevelAt(later(f.due.Due, f.p.Wall())), f.programme.Site.CeilingDB)
}

// fits reports whether the item may begin now: it ends before quiet hours
// begin, or its slot lets it be cut there.
func (f *performance) fits(c *entry) bool {
	if f.until.IsZero() || f.due.Slot.IntoQuiet != playlist.QuietShift && f.due.Slot.IntoQuiet != playlist.QuietSuppress {
		return true
	}
	begin := later(f.at, f.p.Wall().Add(f.waits())).Add(f.preamble())
	return !begin.Add(playlist.Length(c.row.OfFrames - c.row.FromFrame)).After(f.until)
}

// clearOfQuiet waits until the item may begin: at once, or after the quiet
// hours that it would run into, by the programme in force at that time. If it
// will not begin the error is unaired.
func (f *performance) clearOfQuiet(ctx context.Context, c *entry) error {
	for !f.fits(c) {
		if f.due.Slot.IntoQuiet != playlist.QuietShift {
			return unaired(asrun.ReasonQuiet)
		}
		end := f.programme.QuietUntil(f.until)
		if next, ok := f.programme.QuietFrom(end, end.Add(24*time.Hour)); ok && next.Sub(end) < playlist.Length(c.row.OfFrames)+f.preamble() {
			return unaired(asrun.ReasonQuiet) // it is longer than the time between them
		}
		f.log.Info("airing waits for the end of quiet hours", "until", end)
		f.leaveLine() // no other airing waits for one that sleeps
		f.power.release()
		if err := sleepUntil(ctx, f.p.Wall, end.Add(-claimAhead-f.p.WarmUp)); err != nil {
			return err
		}
		if !f.renew() {
			return unaired(asrun.ReasonNoSlot)
		}
		f.at, f.deadline = end, end.Add(f.due.Slot.Window)
		f.until, _ = f.programme.QuietFrom(end, end.Add(24*time.Hour))
		if f.until.Equal(end) && f.due.Slot.IntoQuiet == playlist.QuietShift {
			continue // a reload has made them longer
		}
		if err := f.lineAfterQuiet(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lineAfterQuiet gets in line again for the instant at which quiet hours end.
func (f *performance) lineAfterQuiet(ctx context.Context) error {
	f.power = f.p.power(ctx, f.at)
	if err := sleepUntil(ctx, f.p.Wall, f.at.Add(-claimAhead)); err != nil {
		return err
	}
	f.rejoin()
	return f.line(ctx)
}

// renew goes by the programme now in force; false if that does not have the
// slot on this output any more.
func (f *performance) renew() bool {
	f.programme = f.p.Programme()
	slot, ok := f.programme.Slot(f.due.Slot.Name)
	if !ok || !slices.Contains(slot.Outputs, f.out.Name) {
		return false
	}
	f.due.Slot = slot
	return true
}

// preamble is how long the airing sounds before its first clip does.
func (f *performance) preamble() time.Duration {
	if f.due.Slot.Chime {
		return schedule.ChimeLength
	}
	return 0
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
