package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dalaba/playlist"
)

const (
	claimAhead      = time.Second             // a first clip is claimed this long before its due instant
	lineEvery       = 100 * time.Millisecond  // the line before it is looked at
	nextAhead       = 1500 * time.Millisecond // the next clip is cued when this much of the current one is left
	oweEvery        = 5 * time.Second         // between a break and the attempt to make it good
	watchEvery      = 500 * time.Millisecond  // progress is looked at
	checkpointEvery = 5 * time.Second         // and written
	lateBy          = time.Second             // a start later than this is called late
	staleTries      = 16
	storeRetry0     = 250 * time.Millisecond // before the ledger is asked again after an error
	storeRetry1     = 10 * time.Second       // at most
	setBack         = 5 * time.Second        // more than the desk needs to see a clock set back
)

// errSetBack says that the clock was set back to long before the airing: it
// leaves the line, and the desk will hand it out again.
var errSetBack = errors.New("clock set back")

// errStore says that the ledger did not answer until it was too late.
var errStore = errors.New("the store does not answer")

// performance is one airing on one output, from cue to the last row.
type performance struct {
	p         *Player
	programme *playlist.Programme
	due       playlist.Due
	out       playlist.Output
	ch        *Channel // nil: the output is no longer there
	log       *slog.Logger

	turn     *Turn
	power    *power    // nil: not asked for
	at       time.Time // the first sample's instant
	deadline time.Time
	until    time.Time // quiet hours begin
	makeGood bool
	sounded  bool           // a part of it, before
	owing    sync.WaitGroup // rows that the ledger has not taken yet
}

// part is one clip of the airing, or what is left of one, on its way.
type part struct {
	row   playlist.Row
	path  string
	sound *Sound
	take  *Take

	before, after *playlist.Cursor
	tried         bool // it was to be claimed, and the ledger did not answer
}

// account performs the airing until nothing of it is owed any more. An error
// means that it still is, or that rows are missing.
func (f *performance) account(ctx context.Context) error {
	// Until its rows are written it is in hand, but in nobody's way.
	defer f.owing.Wait()
	defer func() {
		if f.turn != nil {
			f.turn.End()
		}
	}()
	for {
		s, err := f.stand(ctx, later(f.due.Due.Add(f.due.Slot.Window), f.due.Slot.Deadline(f.due.Due, f.programme.Site.Zone)))
		if errors.Is(err, errStore) {
			return f.record(ctx, 1, playlist.Missed, playlist.ReasonStore)
		}
		if err != nil {
			return err
		}
		switch {
		case !s.Perform:
			return f.record(ctx, s.First, s.Outcome, s.Reason)
		case f.ch == nil:
			return f.record(ctx, s.First, playlist.Missed, playlist.ReasonNoOutput)
		}
		f.at, f.deadline, f.until = f.due.Due, s.Deadline, s.Until
		if s.MakeGood != f.makeGood || f.turn.Ended() {
			f.makeGood = s.MakeGood
			f.rejoin()
		}
		if err := f.perform(ctx, s.First); err != nil {
			return err
		}
		f.turn.End() // nobody shall wait for a disk
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
func (f *performance) stand(ctx context.Context, until time.Time) (playlist.Standing, error) {
	var rows []playlist.Row
	err := f.insist(ctx, until, func() (err error) {
		rows, err = f.p.Ledger.Rows(context.WithoutCancel(ctx), f.due.ID)
		return err
	})
	if err != nil {
		return playlist.Standing{}, err
	}
	rows = slices.DeleteFunc(rows, func(r playlist.Row) bool { return r.Output != f.out.Name })
	return f.programme.Stand(f.due, rows, f.p.Wall()), nil
}

// insist has the ledger do something, and again where its disk does not
// answer, until that instant; zero: without end. errStore means that it was in
// vain.
func (f *performance) insist(ctx context.Context, until time.Time, do func() error) error {
	return f.p.insist(ctx, f.log, until, do)
}

func (p *Player) insist(ctx context.Context, log *slog.Logger, until time.Time, do func() error) error {
	told := false
	for wait := storeRetry0; ; wait = min(2*wait, storeRetry1) {
		err := do()
		if err == nil || errors.Is(err, playlist.ErrClaimed) || errors.Is(err, playlist.ErrStale) {
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
			log.Error("store does not answer, asked again", "err", err)
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// record writes rows for the items from first on that did not sound.
func (f *performance) record(ctx context.Context, first int, o playlist.Outcome, why playlist.Reason) error {
	rows := f.silent(first, o, why)
	if len(rows) == 0 {
		return nil
	}
	err := f.insist(ctx, time.Time{}, func() error {
		err := f.p.Ledger.Record(context.WithoutCancel(ctx), rows...)
		if err != nil && f.turn != nil {
			f.turn.End() // nobody shall wait for a disk
		}
		return err
	})
	if err != nil {
		return err
	}
	f.log.Warn("airing did not sound", "outcome", o, "reason", why)
	for _, r := range rows {
		f.p.Watch(Moment{MomentSilent, r})
	}
	return nil
}

// silent are the rows of the items from first on, none of which sounded.
func (f *performance) silent(first int, o playlist.Outcome, why playlist.Reason) []playlist.Row {
	var rows []playlist.Row
	for n := first; n <= f.due.Slot.Count; n++ {
		r := f.row(n, 0)
		r.Outcome, r.Reason = o, why
		r.Ended = f.p.Wall().UTC()
		rows = append(rows, r)
	}
	return rows
}

func (f *performance) row(item, n int) playlist.Row {
	return playlist.Row{
		Airing: f.due.ID, Output: f.out.Name, Item: item, Part: n,
		Slot: f.due.Slot.Name, Playlist: f.due.Slot.Playlist, Rank: f.rank(), Due: f.due.Due,
		Residents: f.out.Residents, Area: f.out.Area,
		Clock: f.p.Trust(), Boot: f.p.Boot, MonoMS: f.p.Uptime().Milliseconds(),
	}
}

// rank is the slot's; a make-good takes what no slot of today wants.
func (f *performance) rank() playlist.Rank {
	if f.makeGood {
		return playlist.RankScheduled
	}
	return f.due.Slot.Rank()
}

func (f *performance) perform(ctx context.Context, first int) error {
	if f.ahead() <= 0 {
		// Late: it is cued when its turn has come, for many may wait.
		if ahead, err := f.line(ctx); err != nil {
			return err
		} else if ahead > 0 {
			return f.record(ctx, first, playlist.Missed, busyBehind(ahead))
		}
	}
	cur, err := f.cued(ctx, first, f.deadline)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errStore) {
			return f.record(ctx, first, playlist.Missed, playlist.ReasonStore)
		}
		f.log.Error("no clip of the playlist will air", "playlist", f.due.Slot.Playlist, "err", err)
		return f.record(ctx, first, playlist.Failed, playlist.ReasonClip)
	}
	defer func() {
		if cur != nil {
			cur.sound.Close()
		}
	}()
	f.power = nil
	if f.fits(cur) { // else it is put off
		f.power = f.p.power(ctx, f.at)
	}
	defer func() { f.power.release() }()
	for wait := f.ahead(); wait > 0; wait = f.ahead() {
		if wait > playlist.Lead+f.p.WarmUp+setBack {
			return errSetBack
		}
		if err := pause(ctx, min(wait, time.Second)); err != nil {
			return err
		}
	}
	ahead, err := f.line(ctx)
	if err != nil {
		return err
	}
	if ahead > 0 {
		return f.record(ctx, first, playlist.Missed, busyBehind(ahead))
	}
	if why, err := f.clearOfQuiet(ctx, cur); err != nil {
		return err
	} else if why != playlist.ReasonNone {
		return f.record(ctx, first, unheard(why), why)
	}
	if f.power == nil { // the clock was set back a little
		f.power = f.p.power(ctx, f.at)
	}
	if err := f.power.warm(ctx, f.at.Sub(f.p.Wall())); err != nil {
		return err
	}
	if ahead, err = f.levelled(ctx, cur); err != nil {
		return err
	} else if ahead > 0 {
		return f.record(ctx, first, playlist.Missed, busyBehind(ahead))
	}
	if cur, err = f.claimFresh(ctx, cur, f.deadline); errors.Is(err, errStore) && ctx.Err() == nil {
		return f.record(ctx, first, playlist.Missed, playlist.ReasonStore)
	} else if err != nil || cur == nil {
		return err
	}
	if f.due.Slot.Chime {
		chime := NewSound(Chime(), f.level(), nil)
		defer chime.Close()
		f.turn.Play(Cue{Sound: chime, At: f.at, Deadline: f.deadline, Until: f.until})
	}
	f.play(cur, Cue{At: f.at, Deadline: f.deadline.Add(f.preamble())})
	for item := first; ; item++ {
		next, over, why, err := f.hear(ctx, cur, item < f.due.Slot.Count)
		cur.sound.Close()
		cur = next
		if err != nil {
			return err
		}
		if over {
			if next != nil {
				item++
			}
			return f.record(ctx, item+1, unheard(why), why)
		}
		if next == nil {
			return nil
		}
	}
}

// unheard is what an item is called that did not sound for that reason.
func unheard(why playlist.Reason) playlist.Outcome {
	switch why {
	case playlist.ReasonQuiet:
		return playlist.Suppressed
	case playlist.ReasonClip:
		return playlist.Failed
	}
	return playlist.Missed
}

// line waits until nobody is before the airing, so that no clip is taken from
// the playlist for one that may never sound. It answers the rank that held
// the output to the last, 0 where the way is free. An airing that makes good
// then waits on behind all others.
func (f *performance) line(ctx context.Context) (playlist.Rank, error) {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		rank, waiting := f.turn.Behind()
		if !waiting {
			return 0, nil
		}
		switch now := f.p.Wall(); {
		case !now.After(f.deadline):
		case f.due.Slot.Missed == playlist.MissedMakeGood && !f.makeGood:
			f.makeGood = true
			f.deadline = f.due.Slot.Deadline(f.due.Due, f.programme.Site.Zone)
			f.rejoin()
			f.log.Info("airing becomes a make-good", "until", f.deadline)
		default:
			return rank, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// levelled waits for a device that is away, for whether it has a level of its
// own is known once it is open, and has the part at the gain that it then needs.
// Where a reload has put another device in its place, that is waited for, and
// its line; it answers the rank that held that one to the last.
func (f *performance) levelled(ctx context.Context, c *part) (playlist.Rank, error) {
	for !f.ch.Up() && !f.p.Wall().After(f.deadline) {
		if f.turn.Ended() {
			f.rejoin()
			if ahead, err := f.line(ctx); err != nil || ahead > 0 {
				return ahead, err
			}
		}
		if err := sleepUntil(ctx, f.p.Wall, f.p.Wall().Add(lineEvery)); err != nil {
			return 0, err
		}
	}
	level := f.level()
	if level == c.row.LevelDB {
		return 0, nil
	}
	c.sound.Close()
	c.row.LevelDB = level
	return 0, c.load(ctx)
}

// rejoin goes to the end of the line, with the rank it has now.
func (f *performance) rejoin() {
	f.turn.End()
	f.ch, f.turn = f.p.join(f.out.Name, f.ch, f.rank())
}

// busyBehind names what kept an airing off its output.
func busyBehind(rank playlist.Rank) playlist.Reason {
	if rank > playlist.RankScheduled && !rank.Scheduled() {
		return playlist.ReasonPreempted
	}
	return playlist.ReasonBusy
}

// ahead is how long it is until the first clip is claimed.
func (f *performance) ahead() time.Duration { return f.at.Add(-claimAhead).Sub(f.p.Wall()) }

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

func (f *performance) play(c *part, cue Cue) {
	cue.Sound, cue.Until = c.sound, f.until
	if cue.Deadline.IsZero() {
		cue.Deadline = f.deadline
	}
	c.take = f.turn.Play(cue)
}

// level is the software gain in dB: the slot's and the daypart's and, where
// the device has no level of its own, the output's; never above full scale.
func (f *performance) level() float64 {
	return f.ch.Gain(f.due.Slot.LevelDB+f.programme.LevelAt(later(f.due.Due, f.p.Wall())), f.programme.Site.CeilingDB)
}

// cued is cue, again until that instant where the ledger does not answer.
func (f *performance) cued(ctx context.Context, item int, until time.Time) (c *part, err error) {
	unasked := f.insist(ctx, until, func() error {
		if c, err = f.cue(ctx, item); errors.Is(err, errStore) {
			return err
		}
		return nil // a clip that will not air will not air the next time
	})
	if unasked != nil {
		return nil, unasked
	}
	return c, err
}

// claimFresh claims the part, again until that instant where the ledger does
// not answer; where the cursor moved meanwhile it cues again. Nil without an
// error: somebody claimed it before.
func (f *performance) claimFresh(ctx context.Context, c *part, until time.Time) (*part, error) {
	for range staleTries {
		err := f.insist(ctx, until, func() error { return f.claim(ctx, c) })
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, playlist.ErrClaimed):
			f.log.Warn("claimed before, not aired again")
			c.sound.Close()
			return nil, nil
		case !errors.Is(err, playlist.ErrStale):
			c.sound.Close()
			return nil, err
		}
		item := c.row.Item
		c.sound.Close()
		if c, err = f.cued(ctx, item, until); err != nil {
			return nil, err
		}
	}
	c.sound.Close()
	return nil, fmt.Errorf("%w: %d times in a row", playlist.ErrStale, staleTries)
}

func (f *performance) claim(ctx context.Context, c *part) error {
	ctx = context.WithoutCancel(ctx)
	c.row.Clock = f.p.Trust()
	err := f.p.Ledger.Claim(ctx, playlist.Claim{Row: c.row, Before: c.before, After: c.after})
	if !errors.Is(err, playlist.ErrClaimed) || !c.tried {
		c.tried = err != nil
		return err
	}
	// It may be our own, of which we had no answer.
	rows, err := f.p.Ledger.Rows(ctx, c.row.Airing)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Key() == c.row.Key() && r.Outcome == "" && r.Boot == c.row.Boot && r.MonoMS == c.row.MonoMS {
			return nil
		}
	}
	return playlist.ErrClaimed
}

// hear waits for a part to end, with the parts that follow where it is
// interrupted, and closes their rows. Toward the end it cues the next item,
// if there is one, and returns it playing. over means that the airing ends
// here, and why.
func (f *performance) hear(ctx context.Context, c *part, more bool) (next *part, over bool, why playlist.Reason, err error) {
	for {
		next = f.wait(ctx, c, more && next == nil, next)
		h := c.take.Heard()
		verdict := f.judge(c, h)
		if verdict.then == again {
			f.play(c, verdict.cue)
			continue
		}
		f.close(ctx, c, h, verdict)
		switch verdict.then {
		case rejoin, restart:
			err := f.resume(ctx, c, h, verdict.then)
			if err == nil {
				continue
			}
			why := verdict.reason
			if errors.Is(err, errStore) && ctx.Err() == nil {
				why, err = playlist.ReasonStore, nil
			}
			if next != nil && err == nil {
				f.turn.End()
				<-next.take.Done()
				f.close(ctx, next, next.take.Heard(), ruling{outcome: playlist.Missed, reason: why})
			}
			return next, true, why, err
		case stop:
			why := verdict.reason
			if verdict.outcome == playlist.Complete {
				why = playlist.ReasonStopped // all of it was heard; the rest will not be
			}
			if next != nil {
				// It was cued behind this one and never sounded.
				f.turn.End()
				<-next.take.Done()
				f.close(ctx, next, next.take.Heard(), ruling{outcome: playlist.Missed, reason: why})
				return next, true, why, nil
			}
			return nil, true, why, nil
		}
		if more && next == nil {
			// The clip was over before the next could be cued, or that must wait
			// for quiet hours to pass.
			if next, why, err = f.follow(ctx, c.row.Item+1, true); next == nil {
				return nil, true, why, err
			}
		}
		return next, false, playlist.ReasonNone, nil
	}
}

// wait waits for the take to end, keeping the row's checkpoint, and cues the
// next item when it is time.
func (f *performance) wait(ctx context.Context, c *part, more bool, next *part) *part {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var kept time.Time
	for {
		select {
		case <-c.take.Done():
			return next
		case <-tick.C:
		}
		frames, at, started := c.take.Progress()
		if started.IsZero() {
			continue
		}
		row := c.row
		row.Started, row.Frames, row.AtFrame = started, frames, at
		if kept.IsZero() {
			log := f.log
			if row.Item == 1 && row.Part == 1 {
				log = log.With("lateness_ms", row.Lateness().Milliseconds())
			}
			log.Info("clip on air", "clip", row.Clip, "title", row.Title, "issue", row.Issue)
			f.p.Watch(Moment{MomentStarted, row})
		}
		f.p.Watch(Moment{MomentProgress, row})
		if kept.IsZero() || time.Since(kept) >= checkpointEvery {
			kept = time.Now()
			if err := f.p.Ledger.Checkpoint(context.WithoutCancel(ctx), row.Key(), started, at, frames); err != nil {
				f.log.Error("checkpoint not kept", "err", err)
			}
		}
		if left := playlist.Length(row.OfFrames - row.FromFrame - frames); more && left < nextAhead {
			more = false
			var err error
			if next, _, err = f.follow(ctx, row.Item+1, false); err != nil {
				// What sounds goes on; when it is over, this is tried once more.
				f.log.Error("next clip not claimed", "item", row.Item+1, "err", err)
			}
		}
	}
}

// follow cues, claims and queues the next item behind the current one; nil,
// and why, where it will not air. Quiet hours before it are waited for only
// where nothing sounds any more.
func (f *performance) follow(ctx context.Context, item int, alone bool) (*part, playlist.Reason, error) {
	until := time.Unix(0, 0) // what sounds is not kept waiting
	if alone {
		until = f.p.Wall().Add(f.due.Slot.Window)
	}
	c, err := f.cued(ctx, item, until)
	if errors.Is(err, errStore) {
		return f.unkept(ctx, err, alone)
	}
	if err != nil {
		f.log.Error("no clip of the playlist will air", "playlist", f.due.Slot.Playlist, "err", err)
		return nil, playlist.ReasonClip, nil
	}
	if !f.fits(c) {
		why := playlist.ReasonQuiet
		if alone {
			why, err = f.clearOfQuiet(ctx, c)
		}
		if err != nil || why != playlist.ReasonNone {
			c.sound.Close()
			return nil, why, err
		}
	}
	if c, err = f.claimFresh(ctx, c, until); errors.Is(err, errStore) {
		return f.unkept(ctx, err, alone)
	} else if c == nil || err != nil {
		return nil, playlist.ReasonInterrupted, err
	}
	f.play(c, Cue{At: f.at, Lead: playlist.FramesIn(playlist.Gap), Deadline: f.p.Wall().Add(playlist.RejoinWithin)})
	return c, playlist.ReasonNone, nil
}

// unkept says what follow answers where the ledger does not: behind what
// sounds it is tried once more.
func (f *performance) unkept(ctx context.Context, err error, alone bool) (*part, playlist.Reason, error) {
	if alone && ctx.Err() == nil {
		err = nil
	}
	return nil, playlist.ReasonStore, err
}

// fits reports whether the part may begin now: it ends before quiet hours do
// begin, or its slot lets it be cut there.
func (f *performance) fits(c *part) bool {
	if f.until.IsZero() || f.due.Slot.IntoQuiet != playlist.QuietShift && f.due.Slot.IntoQuiet != playlist.QuietSuppress {
		return true
	}
	begin := later(f.at, f.p.Wall()).Add(f.preamble())
	return !begin.Add(playlist.Length(c.row.OfFrames - c.row.FromFrame)).After(f.until)
}

// clearOfQuiet waits until the part may begin: not at all, or behind the quiet
// hours that it would run into, as the programme then in force has them. Where
// it will not begin it answers why.
func (f *performance) clearOfQuiet(ctx context.Context, c *part) (playlist.Reason, error) {
	for !f.fits(c) {
		if f.due.Slot.IntoQuiet != playlist.QuietShift {
			return playlist.ReasonQuiet, nil
		}
		end := f.programme.QuietUntil(f.until)
		if next, ok := f.programme.QuietFrom(end, end.Add(24*time.Hour)); ok && next.Sub(end) < playlist.Length(c.row.OfFrames)+f.preamble() {
			return playlist.ReasonQuiet, nil // it is longer than the time between them
		}
		f.log.Info("airing waits for the end of quiet hours", "until", end)
		f.turn.End() // nobody shall wait for one that sleeps
		f.power.release()
		if err := sleepUntil(ctx, f.p.Wall, end.Add(-claimAhead-f.p.WarmUp)); err != nil {
			return playlist.ReasonNone, err
		}
		if !f.renew() {
			return playlist.ReasonNoSlot, nil
		}
		f.at, f.deadline = end, end.Add(f.due.Slot.Window)
		f.until, _ = f.programme.QuietFrom(end, end.Add(24*time.Hour))
		if f.until.Equal(end) && f.due.Slot.IntoQuiet == playlist.QuietShift {
			continue // they last longer by now
		}
		f.power = f.p.power(ctx, end)
		if err := sleepUntil(ctx, f.p.Wall, end.Add(-claimAhead)); err != nil {
			return playlist.ReasonNone, err
		}
		f.rejoin()
		if ahead, err := f.line(ctx); err != nil || ahead > 0 {
			return busyBehind(ahead), err
		}
	}
	return playlist.ReasonNone, nil
}

// renew goes by the programme now in force; false where that does not have the
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
		return playlist.ChimeLength
	}
	return 0
}

// close ends the part's row.
func (f *performance) close(ctx context.Context, c *part, h Heard, r ruling) {
	end := playlist.End{
		Started: h.Started, Ended: h.Ended, Frames: h.Frames, AtFrame: h.AtFrame,
		Outcome: r.outcome, Reason: r.reason,
	}
	if end.Ended.IsZero() {
		end.Ended = f.p.Wall().UTC()
	}
	f.end(ctx, c.row.Key(), end)
	f.sounded = f.sounded || end.Frames > 0
	row := c.row
	row.Started, row.Ended, row.Frames, row.AtFrame = end.Started, end.Ended, end.Frames, end.AtFrame
	row.Outcome, row.Reason = end.Outcome, end.Reason
	level := slog.LevelInfo
	if row.Outcome != playlist.Complete {
		level = slog.LevelWarn
	}
	log := f.log
	if h.Err != nil {
		log = log.With("err", h.Err)
	}
	log.Log(ctx, level, "clip ended", "clip", row.Clip, "item", row.Item, "part", row.Part, "outcome", row.Outcome,
		"reason", row.Reason, "frames", row.Frames, "of_frames", row.OfFrames)
	kind := MomentEnded
	if row.Frames == 0 {
		kind = MomentSilent
	}
	f.p.Watch(Moment{kind, row})
}

// end closes a row in the ledger. Where that does not answer the airing goes
// on, and the row is closed as soon as it does.
func (f *performance) end(ctx context.Context, k playlist.RowKey, e playlist.End) {
	do := func() error { return f.p.Ledger.End(context.WithoutCancel(ctx), k, e) }
	if do() == nil {
		return
	}
	f.owing.Go(func() {
		if err := f.insist(ctx, time.Time{}, do); err != nil {
			f.log.Error("row not closed", "item", k.Item, "part", k.Part, "err", err)
		}
	})
}

// resume claims the next part of an interrupted clip and gets in line for it:
// from where it stopped, or from its start.
func (f *performance) resume(ctx context.Context, c *part, h Heard, how then) error {
	c.before, c.after = nil, nil
	c.row.Part++
	cue := Cue{At: f.p.Wall(), Deadline: f.p.Wall().Add(playlist.RejoinWithin), First: true}
	if how == rejoin {
		c.row.FromFrame += h.Frames
		cue.Resumed = true
	} else {
		c.row.FromFrame = 0
		c.sound.Close()
		if err := c.load(ctx); err != nil {
			return err
		}
	}
	c.tried = false
	if err := f.insist(ctx, cue.Deadline, func() error { return f.claim(ctx, c) }); err != nil {
		return err
	}
	f.log.Info("interrupted clip waits to go on", "clip", c.row.Clip, "from_frame", c.row.FromFrame)
	f.play(c, cue)
	return nil
}
