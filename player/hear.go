package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// airingEntry is how rows of airings are told of.
var airingEntry = &entryKind{
	silent: MomentSilent,
	onAir: func(log *slog.Logger, row asrun.Row) {
		if row.Item == 1 && row.Part == 1 {
			log = log.With("lateness_ms", row.Lateness().Milliseconds())
		}
		if row.Rejoins() {
			log = log.With("from_frame", row.FromFrame)
		}
		log.Info("clip on air", "clip", row.Clip, "title", row.Title, "issue", row.Issue)
	},
	ended: func(log *slog.Logger, row asrun.Row, err error) {
		level := slog.LevelInfo
		if row.Outcome != asrun.Complete {
			level = slog.LevelWarn
		}
		if row.Rejoins() {
			log = log.With("from_frame", row.FromFrame)
		}
		if err != nil {
			log = log.With("err", err)
		}
		log.Log(context.Background(), level, "clip ended", "clip", row.Clip, "item", row.Item, "part", row.Part, "outcome", row.Outcome,
			"reason", row.Reason, "frames", row.Frames, "of_frames", row.OfFrames)
	},
	notKept: func(log *slog.Logger, row asrun.Row, _ bool, err error) {
		log.Error("row not closed", "item", row.Item, "part", row.Part, "err", err)
	},
}

// entry is a new one of that row.
func (f *performance) entry(ctx context.Context, row asrun.Row, path string) *entry {
	owe := func(retry func(context.Context)) bool {
		f.owing.Go(func() { retry(ctx) })
		return true
	}
	return &entry{p: f.p, kind: airingEntry, log: f.log, owe: owe, row: row, path: path}
}

// play gets an item in line.
func (f *performance) play(c *entry, cue Cue) {
	cue.Sound, cue.Until = c.sound, f.until
	c.take = f.turn.Play(cue)
}

// begins notes that an item is about to sound, after what leads in to it.
func (f *performance) begins(c *entry, at time.Time, lead time.Duration) {
	if f.course.Begun, f.kept = true, 0; !f.resumed {
		f.course.Broken = time.Time{}
	}
	f.show(func(o *schedule.Open) {
		if o.Began.IsZero() {
			o.Began = at
		}
		o.Item, o.Heard, o.Sounds, o.Until, o.Resumed = c.row.Item, playlist.Length(c.row.FromFrame), at.Add(lead), time.Time{}, false
	})
}

// breaks notes that a higher rank has the output: the airing waits to go on with an
// item, of which so many frames were heard.
func (f *performance) breaks(item int, heard int64) {
	f.waitOn()
	f.course = f.course.Breaks(f.at)
	f.course.Begun = true
	f.show(func(o *schedule.Open) {
		o.Item, o.Heard, o.Sounds, o.Resumed = item, playlist.Length(heard), time.Time{}, f.resumed
	})
}

// cued cues an item, and tries again until that instant if the ledger fails.
func (f *performance) cued(ctx context.Context, item int, until time.Time) (c *entry, err error) {
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

// claimFresh claims an item that was cued, and tries again until that instant
// if the ledger fails. If the playlist's cursor has moved meanwhile it cues the
// item again. If another has claimed it the error is [asrun.ErrClaimed].
// After an error the item's sound is closed.
func (f *performance) claimFresh(ctx context.Context, c *entry, until time.Time) (*entry, error) {
	f.p.draws.turn(ctx, f.draw)
	defer f.drawn()
	for range staleTries {
		err := f.claim(ctx, c, until)
		if err == nil {
			return c, nil
		}
		c.sound.Close()
		if errors.Is(err, asrun.ErrClaimed) {
			f.log.Warn("row exists already, not aired again")
		}
		if !errors.Is(err, asrun.ErrStale) {
			return nil, err
		}
		if c, err = f.cued(ctx, c.row.Item, until); err != nil {
			return nil, err
		}
	}
	c.sound.Close()
	return nil, fmt.Errorf("%w: %d times in a row", asrun.ErrStale, staleTries)
}

// claim opens the row of an item or a part: see [entry.claimUntil].
func (f *performance) claim(ctx context.Context, e *entry, until time.Time) error {
	f.setEarshot(&e.row)
	return e.claimUntil(ctx, until)
}

// hearing is what follows on an item that was heard.
type hearing struct {
	next *entry // in line behind it; nil: none
	rest int    // if the error is unaired: the items from here on do not sound
}

// hear waits for an item to end, with the parts that follow if it is
// interrupted, and closes their rows. Toward its end it cues the next item, if
// there are more, and gets it in line. An error that is unaired means that the
// airing ends here.
func (f *performance) hear(ctx context.Context, c *entry, more bool) (hearing, error) {
	defer func() { c.sound.Close() }()
	var next *entry
	for {
		next = f.wait(ctx, c, more, next)
		h := c.take.Heard()
		v := f.judge(c, h)
		if v.then == thenNext {
			f.course.Broken = time.Time{}
		}
		f.resumed = v.then != thenNext
		switch over := v.then == thenStop || v.then == thenNext && !more; {
		case over:
			f.hide()
			f.leaveLine() // what follows may wait for a disk
		case h.Cut == CutPreempt && f.resumed:
			f.breaks(c.row.Item, c.row.FromFrame+h.Frames)
		case h.Cut == CutPreempt:
			f.breaks(c.row.Item+1, 0)
		}
		if h.Cut == CutPreempt {
			next.hold()
		}
		if v.then != thenAgain {
			f.close(ctx, c, h, v)
		}
		switch v.then {
		case thenRejoin, thenRestart, thenAgain:
			resumed, err := f.resume(ctx, c, h, v.then)
			if err != nil {
				return f.breakOff(ctx, c, next, v.reason, err)
			}
			c = resumed
		case thenStop:
			switch { // all of it was heard; the rest will not be
			case v.outcome == asrun.Complete && h.Cut == CutUntil:
				v.reason = asrun.ReasonQuiet
			case v.outcome == asrun.Complete:
				v.reason = asrun.ReasonStopped
			}
			return f.breakOff(ctx, c, next, v.reason, unaired(v.reason))
		default:
			return f.goOn(ctx, c, next, more)
		}
	}
}

// goOn is what follows on an item that was heard to its end.
func (f *performance) goOn(ctx context.Context, c, next *entry, more bool) (hearing, error) {
	if !more {
		return hearing{}, nil
	}
	if next != nil && next.take == nil {
		err := f.goOnWith(ctx, next, Cue{Lead: playlist.FramesIn(schedule.Gap)})
		return hearing{next: next, rest: next.row.Item + 1}, err
	}
	if next == nil {
		// The clip was over before the next one could be cued, or that must wait
		// until quiet hours are over.
		var err error
		if next, err = f.follow(ctx, c.row.Item+1, nil); err != nil {
			return hearing{rest: c.row.Item + 1}, err
		}
	}
	f.begins(next, f.p.Wall(), schedule.Gap)
	return hearing{next: next}, nil
}

// hold takes an item out of the line again that was to follow, and returns what was
// heard of it: nothing, unless it had begun.
func (e *entry) hold() (h Heard) {
	if e == nil || e.take == nil {
		return h
	}
	e.take.withdraw()
	<-e.take.Done()
	h, e.take = e.take.Heard(), nil
	return h
}

// breakOff ends the airing at an item, and the row of the next one if that is
// claimed.
func (f *performance) breakOff(ctx context.Context, c, next *entry, why asrun.Reason, err error) (hearing, error) {
	if errors.Is(err, errStore) && ctx.Err() == nil {
		why, err = asrun.ReasonStore, unaired(asrun.ReasonStore)
	}
	rest := c.row.Item + 1
	if next != nil {
		f.leaveLine()
		f.close(ctx, next, next.hold(), ruling{outcome: asrun.Missed, reason: why})
		next.sound.Close()
		rest++
	}
	return hearing{rest: rest}, err
}

// wait waits until an item is over. When it is time it cues the next one, if
// there are more, gets it in line and returns it.
func (f *performance) wait(ctx context.Context, c *entry, more bool, next *entry) *entry {
	c.watch(ctx, func(row asrun.Row) time.Duration {
		f.show(func(o *schedule.Open) { o.Sounds = row.Started })
		ahead := f.left(row) - schedule.NextAhead
		switch {
		case !more || next != nil && next.take != nil:
			return watchEvery
		case ahead > 0:
			if f.draw == nil && next == nil {
				f.announce(time.Now().Add(ahead))
			}
			return max(ahead, looksEvery)
		}
		more = false
		var err error
		if next != nil {
			err = f.followHeld(row, next)
		} else {
			next, err = f.follow(ctx, row.Item+1, &row)
		}
		f.drawn()
		var why unaired
		if err != nil && !errors.As(err, &why) {
			// What sounds goes on; when it is over, this is tried once more.
			f.log.Error("next clip not claimed", "item", row.Item+1, "err", err)
		}
		return watchEvery
	})
	f.drawn()
	return next
}

// left is how long a row that sounds still will: by its start, which outputs in step
// have in common, or by its frames, if a clock was set meanwhile or the device stands still.
func (f *performance) left(row asrun.Row) time.Duration {
	byStart := endOf(row).Sub(f.p.Wall())
	byFrames := playlist.Length(row.OfFrames - row.FromFrame - row.Frames)
	if (byStart - byFrames).Abs() > playlist.Length(3*period) {
		return byFrames
	}
	return byStart
}

// follow cues and claims an item and gets it in line behind the current one. nil
// says that nothing sounds any more: only then does it wait for its output, for quiet
// hours to end and for the ledger. If the item will not air the error is unaired.
func (f *performance) follow(ctx context.Context, item int, current *asrun.Row) (*entry, error) {
	until := time.Unix(0, 0) // what sounds is not kept waiting
	alone := current == nil
	if alone {
		until = f.p.Wall().Add(f.due.Slot.Window)
		f.show(func(o *schedule.Open) { o.Item, o.Heard, o.Sounds, o.Resumed = item, 0, time.Time{}, false })
	}
	c, err := f.cued(ctx, item, until)
	if errors.Is(err, errStore) {
		return nil, f.unkept(ctx, err, alone)
	}
	if err != nil {
		return nil, f.noClip(err)
	}
	if err := f.followsNow(ctx, c, current); err != nil {
		c.sound.Close()
		return nil, err
	}
	c, err = f.claimFresh(ctx, c, until)
	switch {
	case errors.Is(err, errStore):
		return nil, f.unkept(ctx, err, alone)
	case errors.Is(err, asrun.ErrClaimed):
		return nil, unaired(asrun.ReasonInterrupted)
	case err != nil:
		return nil, err
	}
	f.playBehind(c, current)
	return c, nil
}

// followHeld gets an item that is claimed in line again behind the current one.
func (f *performance) followHeld(current asrun.Row, next *entry) error {
	if !f.clearAt(next, endOf(current)).Begin {
		return unaired(asrun.ReasonQuiet)
	}
	f.playBehind(next, &current)
	return nil
}

// playBehind gets an item in line behind the current one, if there is one.
func (f *performance) playBehind(c *entry, current *asrun.Row) {
	cue := Cue{Lead: playlist.FramesIn(f.gap(current))}
	if current != nil { // whatever the clock does, they belong together
		cue.Mono, cue.Within = time.Now(), schedule.RejoinWithin
	} else {
		cue.At, cue.Deadline = f.at, f.p.Wall().Add(schedule.RejoinWithin)
	}
	f.play(c, cue)
}

// endOf is when a row that sounds will be over.
func endOf(row asrun.Row) time.Time {
	return row.Started.Add(playlist.Length(row.OfFrames - row.FromFrame))
}

// gap is the silence between the item that sounds and the next. If the
// airing's outputs are out of step by less, it brings them into step again.
func (f *performance) gap(current *asrun.Row) time.Duration {
	if current == nil || len(f.due.Slot.Outputs) == 1 {
		return schedule.Gap
	}
	left := endOf(*current).Sub(f.p.Wall())
	if left < 0 || left > schedule.NextAhead {
		return schedule.Gap // the clock was set
	}
	end := time.Now().Add(left)
	at := f.p.instants.agree(fmt.Sprint(f.due.ID, " item ", current.Item+1), end.Add(schedule.Gap/2), end.Add(schedule.Gap))
	return min(at.Sub(end), 2*schedule.Gap)
}

// followsNow returns nil once the item may begin; an item behind another does
// not wait for quiet hours to end.
func (f *performance) followsNow(ctx context.Context, c *entry, current *asrun.Row) error {
	if current != nil {
		if !f.clearAt(c, endOf(*current)).Begin {
			return unaired(asrun.ReasonQuiet)
		}
		return nil
	}
	f.waitOn()
	if _, behind := f.turn.Behind(f.at); behind && f.course.Broken.IsZero() {
		f.breaks(c.row.Item, 0)
	}
	if err := f.line(ctx); err != nil {
		return err
	}
	if err := f.clearOfQuiet(ctx, c); err != nil {
		return err
	}
	return f.power.warm(ctx, f.at.Sub(f.p.Wall()))
}

// unkept is the error of an item that the ledger did not take: behind another
// it is tried once more.
func (f *performance) unkept(ctx context.Context, err error, alone bool) error {
	if alone && ctx.Err() == nil {
		return unaired(asrun.ReasonStore)
	}
	return err
}

// close ends an item's row.
func (f *performance) close(ctx context.Context, c *entry, h Heard, r ruling) {
	row := c.end(ctx, h, r.outcome, r.reason)
	f.sounded = f.sounded || row.Frames > 0
}

// resume has an interrupted clip go on once its output is free: from the frame at which
// it stopped, or from its start, in another row; or in the same row, if nothing of it
// was heard.
func (f *performance) resume(ctx context.Context, c *entry, h Heard, how then) (*entry, error) {
	e := c
	if how != thenAgain {
		e = c.next()
		if err := f.another(ctx, c, e, h, how); err != nil {
			e.sound.Close()
			return nil, err
		}
	}
	f.show(func(o *schedule.Open) { o.Heard = playlist.Length(e.row.FromFrame) })
	f.log.Info("interrupted clip waits to resume", "clip", e.row.Clip, "from_frame", e.row.FromFrame)
	if err := f.goOnWith(ctx, e, Cue{Resumed: e.row.FromFrame > 0}); err != nil {
		return nil, err
	}
	return e, nil
}

// another claims the part e that follows on c.
func (f *performance) another(ctx context.Context, c, e *entry, h Heard, how then) error {
	if how == thenRejoin {
		e.row.FromFrame += h.Frames
	} else {
		e.row.FromFrame = 0
		c.sound.Close()
		if err := e.load(ctx); err != nil {
			return err
		}
	}
	return f.claim(ctx, e, f.deadline())
}

// goOnWith waits until a claimed item may sound again, and gets it in line. If it will
// not, its row is closed, and the error is unaired.
func (f *performance) goOnWith(ctx context.Context, e *entry, cue Cue) error {
	err := f.line(ctx)
	if err == nil {
		err = f.clearOfQuiet(ctx, e)
	}
	if err == nil {
		err = f.power.warm(ctx, f.at.Sub(f.p.Wall()))
	}
	if ctx.Err() != nil {
		err = unaired(asrun.ReasonStopped)
	}
	var why unaired
	if errors.As(err, &why) {
		f.leaveLine()
		f.close(ctx, e, Heard{}, ruling{outcome: why.outcome(), reason: asrun.Reason(why)})
		e.sound.Close()
	}
	if err != nil {
		return err
	}
	f.drawn() // its clip is taken
	cue.At, cue.Deadline, cue.First = f.at, f.deadline(), true
	f.play(e, cue)
	f.begins(e, f.begin(), playlist.Length(cue.Lead))
	return nil
}
