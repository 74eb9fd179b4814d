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

// nextAhead is how much of a clip is left when the next one is cued.
const nextAhead = 1500 * time.Millisecond

// airingEntry is how rows of airings are told of.
var airingEntry = &entryKind{
	silent: MomentSilent,
	onAir: func(log *slog.Logger, row asrun.Row) {
		if row.Item == 1 && row.Part == 1 {
			log = log.With("lateness_ms", row.Lateness().Milliseconds())
		}
		log.Info("clip on air", "clip", row.Clip, "title", row.Title, "issue", row.Issue)
	},
	ended: func(log *slog.Logger, row asrun.Row, err error) {
		level := slog.LevelInfo
		if row.Outcome != asrun.Complete {
			level = slog.LevelWarn
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
	if cue.Deadline.IsZero() {
		cue.Deadline = f.deadline
	}
	c.take = f.turn.Play(cue)
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
	for range staleTries {
		err := c.claimUntil(ctx, until)
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
		next = f.wait(ctx, c, more && next == nil, next)
		h := c.take.Heard()
		v := f.judge(c, h)
		if v.then == thenAgain {
			f.play(c, v.cue)
			continue
		}
		if v.then == thenStop || v.then == thenNext && !more {
			f.leaveLine() // what follows may wait for a disk
		}
		f.close(ctx, c, h, v)
		switch v.then {
		case thenRejoin, thenRestart:
			resumed, err := f.resume(ctx, c, h, v.then)
			if err != nil {
				return f.breakOff(ctx, c, next, v.reason, err)
			}
			c = resumed
		case thenStop:
			if v.outcome == asrun.Complete {
				v.reason = asrun.ReasonStopped // all of it was heard; the rest will not be
			}
			return f.breakOff(ctx, c, next, v.reason, unaired(v.reason))
		default:
			return f.goOn(ctx, c, next, more)
		}
	}
}

// goOn is what follows on an item that was heard to its end.
func (f *performance) goOn(ctx context.Context, c, next *entry, more bool) (hearing, error) {
	if !more || next != nil {
		return hearing{next: next}, nil
	}
	// The clip was over before the next one could be cued, or that must wait
	// until quiet hours are over.
	next, err := f.follow(ctx, c.row.Item+1, nil)
	return hearing{next: next, rest: c.row.Item + 1}, err
}

// breakOff ends the airing at an item, and the row of the next one if that is
// in line behind it.
func (f *performance) breakOff(ctx context.Context, c, next *entry, why asrun.Reason, err error) (hearing, error) {
	if errors.Is(err, errStore) && ctx.Err() == nil {
		why, err = asrun.ReasonStore, unaired(asrun.ReasonStore)
	}
	rest := c.row.Item + 1
	if next != nil {
		f.leaveLine()
		<-next.take.Done()
		f.close(ctx, next, next.take.Heard(), ruling{outcome: asrun.Missed, reason: why})
		next.sound.Close()
		rest++
	}
	return hearing{rest: rest}, err
}

// wait waits until an item is over. When it is time it cues the next one, if
// there are more, and returns it.
func (f *performance) wait(ctx context.Context, c *entry, more bool, next *entry) *entry {
	c.watch(ctx, func(row asrun.Row) {
		left := playlist.Length(row.OfFrames - row.FromFrame - row.Frames)
		if !more || left >= nextAhead {
			return
		}
		more = false
		var err error
		next, err = f.follow(ctx, row.Item+1, &row)
		var why unaired
		if err != nil && !errors.As(err, &why) {
			// What sounds goes on; when it is over, this is tried once more.
			f.log.Error("next clip not claimed", "item", row.Item+1, "err", err)
		}
	})
	return next
}

// follow cues and claims an item and gets it in line behind the current one. nil
// says that nothing sounds any more: only then does it wait for quiet hours to
// end and for the ledger. If the item will not air the error is unaired.
func (f *performance) follow(ctx context.Context, item int, current *asrun.Row) (*entry, error) {
	until := time.Unix(0, 0) // what sounds is not kept waiting
	alone := current == nil
	if alone {
		until = f.p.Wall().Add(f.due.Slot.Window)
	}
	c, err := f.cued(ctx, item, until)
	if errors.Is(err, errStore) {
		return nil, f.unkept(ctx, err, alone)
	}
	if err != nil {
		return nil, f.noClip(err)
	}
	if err := f.followsNow(ctx, c, alone); err != nil {
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
	f.play(c, Cue{At: f.at, Lead: playlist.FramesIn(f.gap(current)), Deadline: f.p.Wall().Add(schedule.RejoinWithin)})
	return c, nil
}

// gap is the silence between the item that sounds and the next. If the
// airing's outputs are out of step by less, it brings them into step again.
func (f *performance) gap(current *asrun.Row) time.Duration {
	if current == nil || len(f.due.Slot.Outputs) == 1 {
		return schedule.Gap
	}
	left := current.Started.Add(playlist.Length(current.OfFrames - current.FromFrame)).Sub(f.p.Wall())
	if left < 0 || left > nextAhead {
		return schedule.Gap // the clock was set
	}
	end := time.Now().Add(left)
	at := f.p.instants.agree(fmt.Sprint(f.due.ID, " item ", current.Item+1), end.Add(schedule.Gap/2), end.Add(schedule.Gap))
	return min(at.Sub(end), 2*schedule.Gap)
}

// followsNow returns nil once the item may begin; an item behind another does
// not wait for quiet hours to end.
func (f *performance) followsNow(ctx context.Context, c *entry, alone bool) error {
	if alone {
		return f.clearOfQuiet(ctx, c)
	}
	if !f.fits(c) {
		return unaired(asrun.ReasonQuiet)
	}
	return nil
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

// resume claims the next part of an interrupted clip and gets it in line: from
// the frame at which it stopped, or from its start.
func (f *performance) resume(ctx context.Context, c *entry, h Heard, how then) (*entry, error) {
	e := c.next()
	cue := Cue{At: f.p.Wall(), Deadline: f.p.Wall().Add(schedule.RejoinWithin), First: true}
	if how == thenRejoin {
		e.row.FromFrame += h.Frames
		cue.Resumed = true
	} else {
		e.row.FromFrame = 0
		c.sound.Close()
		if err := e.load(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.claimUntil(ctx, cue.Deadline); err != nil {
		e.sound.Close()
		return nil, err
	}
	f.log.Info("interrupted clip waits to resume", "clip", e.row.Clip, "from_frame", e.row.FromFrame)
	f.play(e, cue)
	return e, nil
}
