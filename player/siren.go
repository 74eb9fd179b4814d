package player

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

const (
	sirenLook = 50 * time.Millisecond // how often an alert looks whether it may go on
	sirenLead = playlist.Rate / 4     // frames of silence between the tone and what follows
	sirenHold = 15 * time.Second      // up to which an alert keeps the output between two passes
)

// siren is an alert on one output: pass after pass of tone and sound.
type siren struct {
	a      *Alarm
	s      *sounding
	out    playlist.Output
	choice *choice
	again  bool // it may have sounded before the daemon was last stopped
	log    *slog.Logger
	ch     *Channel
	turn   *Turn
	rules  playlist.AlertRules
	began  time.Time
	lead   int64 // frames of silence before the next tone
}

// latest is the alert as it now stands.
func (n *siren) latest() emergency.Record {
	r := <-n.s.record
	n.s.record <- r
	return r
}

// sound airs the passes that are still owed; it returns when they have been
// heard, the alert's time is over, or ctx ends.
func (n *siren) sound(ctx context.Context) {
	n.rules, n.began = n.a.p.Programme().Alerts.Filled(), time.Now()
	if !n.due(ctx) {
		return
	}
	n.began = time.Now()
	item, heard := 0, 0
	if n.again {
		before := n.done(ctx)
		item, heard = before.Last, before.Whole
	}
	// What a drill begins with may take a while to make, and is not waited for
	// in line.
	if _, err := n.words(ctx); err != nil {
		n.mute(ctx, item+1)
		return
	}
	if !n.await(ctx) {
		return
	}
	power := n.a.p.power(ctx, n.a.p.Wall())
	defer power.release()
	defer func() { n.turn.End() }()
	for passes := n.passes(); heard < passes && !n.over(ctx) && !n.dropped(); {
		whole, err := n.pass(ctx, item+1)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			n.mute(ctx, item+1)
			return
		}
		item++
		gap := time.Second // a higher rank or a lost device cut it off: once more
		if whole {
			heard++
			gap = n.gap()
		}
		if heard < passes && !n.rest(ctx, gap) {
			return
		}
	}
}

func (n *siren) passes() int {
	if p := n.latest().Passes; p > 0 {
		return p
	}
	return n.rules.Passes
}

func (n *siren) gap() time.Duration {
	if g := n.latest().Gap; g > 0 {
		return g
	}
	return n.rules.Gap
}

// due waits for the instant before which the alert must not sound, as long as
// the clock is trusted to tell it. It is not in line meanwhile.
func (n *siren) due(ctx context.Context) bool {
	trusted := func() bool { return n.a.p.Trust() == playlist.ClockTrusted }
	r := n.latest()
	if !trusted() || !r.Early(n.a.p.Wall()) {
		return true
	}
	n.log.Info("alert waits for its time", "not_before", r.NotBefore)
	for trusted() && n.a.p.Wall().Before(r.NotBefore) && !n.over(ctx) {
		if pause(ctx, time.Second) != nil {
			return false
		}
	}
	return true
}

// await waits for the output's channel, which a player just started has not
// made yet, and gets in line.
func (n *siren) await(ctx context.Context) bool {
	for {
		if ch, ok := n.a.p.Channel(n.out.Name); ok {
			n.ch, n.turn = n.a.p.join(n.out.Name, ch, n.latest().EffectiveRank())
			return true
		}
		if n.over(ctx) || n.dropped() || pause(ctx, sirenLook) != nil {
			return false
		}
	}
}

// dropped reports whether a reload has taken the output away. What still
// sounds on it goes on.
func (n *siren) dropped() bool {
	if _, ok := n.a.p.Programme().Output(n.out.Name); ok {
		return false
	}
	return n.turn == nil || n.turn.Ended()
}

// done is what was heard of the alert on this output before.
func (n *siren) done(ctx context.Context) emergency.Passes {
	rows, err := n.a.p.Ledger.Rows(ctx, n.latest().ID.Airing())
	if err != nil {
		n.log.Error("alert's rows cannot be read", "err", err)
	}
	return emergency.Heard(slices.DeleteFunc(rows, func(r playlist.Row) bool { return r.Output != n.out.Name }))
}

// over reports whether the alert's time is over, as far as anybody knows the
// time.
func (n *siren) over(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	r := n.latest()
	if n.a.p.Trust() != playlist.ClockTrusted || r.Clock != playlist.ClockTrusted && r.NotAfter.IsZero() {
		return time.Since(n.began) > n.rules.Life // what time it is, or was when it came, nobody knows
	}
	return n.a.p.Wall().After(r.Expires(n.rules))
}

// rest lets time pass between two passes. A short one is silent; in a longer
// one the output is free for others.
func (n *siren) rest(ctx context.Context, d time.Duration) bool {
	n.lead = 0
	if d <= sirenHold {
		n.lead = playlist.FramesIn(d)
		return true
	}
	n.turn.End()
	if pause(ctx, d) != nil {
		return false
	}
	n.ch, n.turn = n.a.p.join(n.out.Name, n.ch, n.latest().EffectiveRank())
	return true
}

// clear waits until the output is open and nobody is before the alert in its
// line, and, for what is no emergency, until no quiet hours forbid it.
func (n *siren) clear(ctx context.Context) bool {
	for !n.over(ctx) {
		_, behind := n.turn.Behind()
		quiet := !n.latest().EffectiveRank().Emergency() && n.a.p.Programme().QuietAt(n.a.p.Wall())
		if n.turn.Ended() { // a reload has put another channel in place, or none
			n.ch, n.turn = n.a.p.join(n.out.Name, n.ch, n.latest().EffectiveRank())
			if n.dropped() {
				return false
			}
			behind = true // nobody has looked yet
		}
		if !behind && !quiet && n.ch.Up() {
			return true
		}
		if pause(ctx, sirenLook) != nil {
			return false
		}
	}
	return false
}

// level is the software gain in dB. Ceilings bind what is no emergency.
func (n *siren) level() float64 {
	level := min(0, n.rules.LevelDB+n.ch.Level())
	if !n.latest().EffectiveRank().Emergency() {
		level = min(level, n.a.p.Programme().Site.CeilingDB)
	}
	return level
}

// words are what a drill begins with; without them it does not sound. What is
// no drill needs none.
func (n *siren) words(ctx context.Context) (found AlertSound, err error) {
	if !n.latest().Class.Drill() {
		return found, nil
	}
	found, err = n.choice.sound(ctx, playlist.UsedPreamble)
	if err != nil && ctx.Err() == nil {
		n.log.Error("alert has no sound", "used", playlist.UsedPreamble, "err", err)
	}
	return found, err
}

// mute records that a drill could not be sounded for want of its words.
func (n *siren) mute(ctx context.Context, item int) {
	if ctx.Err() != nil {
		return
	}
	row := n.row(item, 0, playlist.UsedPreamble)
	row.Ended, row.Outcome, row.Reason = n.a.p.Wall().UTC(), playlist.Failed, playlist.ReasonClip
	if err := n.a.p.Ledger.Record(context.WithoutCancel(ctx), row); err != nil {
		n.log.Error("alert's row not opened", "used", row.Used, "err", err)
		return
	}
	n.a.p.Watch(Moment{MomentEnded, row})
}

// pass is one round of tone and sound. It returns whether the whole of what
// the alert has to say was heard; an error is a drill's whose words are not
// there, of which nothing is heard.
func (n *siren) pass(ctx context.Context, item int) (whole bool, err error) {
	words, err := n.words(ctx)
	if err != nil || !n.clear(ctx) {
		return false, err
	}
	// Also while the record of an earlier part waits for a disk.
	defer context.AfterFunc(ctx, n.turn.End)()
	began := time.Now()
	var next []*sirenPart
	if n.latest().Class.Drill() {
		first, err := n.load(ctx, n.row(item, 2, playlist.UsedPreamble), words)
		if err != nil {
			return false, err
		}
		defer first.sound.Close()
		next = append(next, first)
	}
	level := n.level()
	tone := newAttention(n.rules.ToneMin, n.rules.ToneMax)
	sound := NewSound(tone, level, nil)
	defer sound.Close()
	if sound.Ready(ctx) != nil {
		return false, nil
	}
	// At once; the record follows while it sounds. A crash in between costs a
	// line of the log, a disk that is slow would cost seconds of warning.
	first := n.turn.Play(Cue{Sound: sound, Lead: n.lead})
	row := n.row(item, 1, playlist.UsedTone)
	row.OfFrames, row.LevelDB = tone.least, level
	parts := []*sirenPart{{row: row, take: first}}
	n.claim(parts[0])
	n.a.started(ctx, row.Alert)

	var unfit []playlist.Used
	for ready := false; !ready; {
		used, found, ok := n.choice.take(ctx, began, n.rules, unfit)
		if !ok {
			break
		}
		last, err := n.load(ctx, n.row(item, 2+len(next), used), found)
		if err != nil {
			unfit = append(unfit, used) // the next best, while the tone sounds on
			continue
		}
		ready = true
		for _, part := range append(next, last) {
			part.take = n.turn.Play(Cue{Sound: part.sound, Lead: sirenLead})
			n.claim(part)
			parts = append(parts, part)
		}
	}
	tone.enough()
	rows := make([]playlist.Row, 0, len(parts))
	for _, part := range parts {
		rows = append(rows, n.hear(ctx, part))
	}
	return emergency.Heard(rows).Whole > 0, nil
}

// sirenPart is one sound of a pass on its way.
type sirenPart struct {
	row     playlist.Row
	take    *Take
	sound   *Sound
	claimed chan error
}

// load opens a sound for the part of that row. One that will not air is told
// of.
func (n *siren) load(ctx context.Context, row playlist.Row, found AlertSound) (*sirenPart, error) {
	level := n.level()
	frames, err := Verify(found.Clip.ID, found.Path)
	var sound *Sound
	if err == nil {
		sound, err = OpenSound(found.Path, level)
	}
	if err == nil {
		if err = sound.Ready(ctx); err != nil {
			sound.Close()
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			n.log.Error("alert's sound will not air", "used", row.Used, "clip", found.Clip.ID, "err", err)
			n.a.p.Unfit(found.Clip.ID)
		}
		return nil, err
	}
	row.Clip, row.OfFrames, row.LevelDB = found.Clip.ID, frames, level
	if found.Clip.Title != "" {
		row.Title = found.Clip.Title
	}
	return &sirenPart{row: row, sound: sound}, nil
}

// claim opens the part's row while it already sounds.
func (n *siren) claim(part *sirenPart) {
	row := part.row
	part.claimed = make(chan error, 1)
	go func() { part.claimed <- n.a.p.Ledger.Claim(context.Background(), playlist.Claim{Row: row}) }()
}

func (n *siren) row(item, part int, used playlist.Used) playlist.Row {
	r := n.latest()
	p := n.a.p
	row := playlist.Row{
		Airing: r.ID.Airing(), Output: n.out.Name, Item: item, Part: part,
		Alert: r.ID, Used: used, Title: r.Headline(), Rank: r.EffectiveRank(), Due: r.Received, Cued: p.Wall().UTC(),
		Residents: n.out.Residents, Area: n.out.Area,
		Clock: p.Trust(), Boot: p.Boot, MonoMS: p.Uptime().Milliseconds(),
	}
	return row
}

// hear waits for a part to end and closes its row, which it returns.
func (n *siren) hear(ctx context.Context, part *sirenPart) playlist.Row {
	p := n.a.p
	ledger := context.WithoutCancel(ctx)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var (
		kept     time.Time
		keeping  sync.Mutex
		told     bool
		recorded = true
	)
	stop := ctx.Done()
	for over := false; !over; {
		select {
		case <-part.take.Done():
			over = true
		case <-stop:
			n.turn.End() // it fades out at once
			stop = nil
		case <-tick.C:
			row := part.row
			row.Frames, row.AtFrame, row.Started = part.take.Progress()
			if row.Started.IsZero() {
				continue
			}
			if !told {
				told = true
				n.log.Warn("alert on air", "used", row.Used, "clip", row.Clip, "pass", row.Item)
				p.Watch(Moment{MomentStarted, row})
			}
			p.Watch(Moment{MomentProgress, row})
			if time.Since(kept) >= checkpointEvery && keeping.TryLock() {
				kept = time.Now()
				go func() {
					defer keeping.Unlock()
					if err := p.Ledger.Checkpoint(ledger, row.Key(), row.Started, row.AtFrame, row.Frames); err != nil {
						n.log.Error("checkpoint not kept", "err", err)
					}
				}()
			}
		}
	}
	keeping.Lock() // the last checkpoint is over
	if part.sound != nil {
		part.sound.Close()
	}
	if err := <-part.claimed; err != nil {
		recorded = false
		n.log.Error("alert's row not opened", "used", part.row.Used, "err", err)
	}
	h := part.take.Heard()
	row := part.row
	row.Started, row.Ended, row.Frames, row.AtFrame = h.Started, h.Ended, h.Frames, h.AtFrame
	row.Outcome, row.Reason = n.judge(ctx, row, h)
	if row.Ended.IsZero() {
		row.Ended = p.Wall().UTC()
	}
	if recorded {
		end := playlist.End{Started: row.Started, Ended: row.Ended, Frames: row.Frames, AtFrame: row.AtFrame, Outcome: row.Outcome, Reason: row.Reason}
		if err := p.Ledger.End(ledger, row.Key(), end); err != nil {
			n.log.Error("alert's row not closed", "used", row.Used, "err", err)
		}
	}
	p.Watch(Moment{MomentEnded, row})
	return row
}

// judge says what became of a part.
func (n *siren) judge(ctx context.Context, row playlist.Row, h Heard) (playlist.Outcome, playlist.Reason) {
	outcome := row.Judge()
	if outcome == playlist.Complete {
		return outcome, playlist.ReasonNone
	}
	if h.Frames == 0 {
		outcome = playlist.Missed
	}
	switch h.Cut {
	case CutNone, CutStopped:
		if row.Used == playlist.UsedMic && h.Frames > 0 {
			return playlist.Complete, playlist.ReasonNone // it is as long as somebody speaks
		}
	case CutPreempt, CutExpired:
		return playlist.Preempted, playlist.ReasonPreempted
	case CutDevice:
		return outcome, playlist.ReasonDevice
	case CutDecode:
		return outcome, playlist.ReasonDecode
	}
	if errors.Is(context.Cause(ctx), errRetired) {
		return outcome, playlist.ReasonCancelled
	}
	return outcome, playlist.ReasonStopped
}

// choice settles, for all outputs of an alert, what is heard after the tone.
type choice struct {
	a   *Alarm
	s   *sounding
	ctx context.Context // of the sounding

	begun   sync.Once
	spoken  chan struct{} // closed once speech is made or cannot be; nil: there is no text
	speech  AlertSound
	noWords error
	unfit   atomic.Bool // the alert's clip would not air: it is not waited for
}

func newChoice(ctx context.Context, a *Alarm, s *sounding) *choice {
	c := &choice{a: a, s: s, ctx: ctx}
	r := <-s.record
	s.record <- r
	if _, ok := r.Text(""); ok {
		c.spoken = make(chan struct{})
		// Made at once, so that it is ready should the clip not come.
		a.work.Go(func() {
			if _, err := c.sound(ctx, playlist.UsedClip); err != nil {
				c.speak()
			}
		})
	}
	return c
}

// sound is the alert, as it now stands, in one of its forms.
func (c *choice) sound(ctx context.Context, as playlist.Used) (AlertSound, error) {
	r := <-c.s.record
	c.s.record <- r
	return c.a.sounds.Sound(ctx, r, as)
}

// speak has the text spoken, once.
func (c *choice) speak() {
	if c.spoken == nil {
		return
	}
	c.begun.Do(func() {
		c.a.work.Go(func() {
			defer close(c.spoken)
			c.speech, c.noWords = c.sound(c.ctx, playlist.UsedSpeech)
			if c.noWords != nil && c.ctx.Err() == nil {
				r := <-c.s.record
				c.s.record <- r
				c.a.p.Log.Error("alert cannot be spoken", "alert", r.ID, "err", c.noWords)
			}
		})
	})
}

// take waits, while the tone sounds, for the best there is that was not found
// unfit: the alert's clip; its text spoken, at once where no clip is to come
// and else when the tone has sounded its longest; a clip for its kind of
// event. ok is false where there is none of them.
func (c *choice) take(ctx context.Context, began time.Time, rules playlist.AlertRules, unfit []playlist.Used) (playlist.Used, AlertSound, bool) {
	fit := func(u playlist.Used) bool { return !slices.Contains(unfit, u) }
	if !fit(playlist.UsedClip) {
		c.unfit.Store(true)
	}
	for {
		r := <-c.s.record
		c.s.record <- r
		if fit(playlist.UsedClip) {
			if found, err := c.a.sounds.Sound(ctx, r, playlist.UsedClip); err == nil {
				return playlist.UsedClip, found, true
			}
		}
		c.speak()
		late := time.Since(began) >= rules.ToneMax
		spoken, said := c.said()
		if expected := r.Clip != nil || len(r.Audio) > 0; !expected || late || c.unfit.Load() {
			if said && spoken && fit(playlist.UsedSpeech) {
				return playlist.UsedSpeech, c.speech, true
			}
			if (said || late) && fit(playlist.UsedGeneric) {
				if found, err := c.a.sounds.Sound(ctx, r, playlist.UsedGeneric); err == nil {
					return playlist.UsedGeneric, found, true
				}
			}
			if late {
				return playlist.UsedTone, AlertSound{}, false
			}
		}
		if pause(ctx, sirenLook) != nil {
			return playlist.UsedTone, AlertSound{}, false
		}
	}
}

// said reports whether speaking is over, and whether it gave a sound.
func (c *choice) said() (ok, over bool) {
	if c.spoken == nil {
		return false, true
	}
	select {
	case <-c.spoken:
		return c.noWords == nil, true
	default:
		return false, false
	}
}
