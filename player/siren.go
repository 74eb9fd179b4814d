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
	"dalaba/playlist/emergency"
	"dalaba/playlist/schedule"
)

const (
	sirenLook = 50 * time.Millisecond // how often an alert looks whether it may go on
	sirenLead = playlist.Rate / 4     // frames of silence between the tone and what follows
	sirenHold = 15 * time.Second      // up to which an alert keeps the output between two passes
)

// alertEntry is how rows of alerts are told of.
var alertEntry = &entryKind{
	silent: MomentEnded,
	onAir: func(log *slog.Logger, row asrun.Row) {
		log.Warn("alert on air", "used", row.Used, "clip", row.Clip, "pass", row.Item)
	},
	ended: func(*slog.Logger, asrun.Row, error) {},
	notKept: func(log *slog.Logger, row asrun.Row, opened bool, err error) {
		if opened {
			log.Error("alert row not closed", "used", row.Used, "err", err)
		} else {
			log.Error("alert row not opened", "used", row.Used, "err", err)
		}
	},
}

// siren is an alert on one output: pass after pass of tone and sound. It is the
// microphone too.
type siren struct {
	a      *Alarm
	s      *sounding
	out    playlist.Output
	again  bool // it may have sounded before the daemon was last stopped
	log    *slog.Logger
	ch     *Channel
	turn   *Turn
	rules  playlist.AlertRules
	began  time.Time
	ready  func()      // tells the alert's other outputs that this one is ready, or will be later
	waited bool        // before this pass, for others, for its device or for quiet hours
	next   time.Time   // when the next pass is to begin; zero: at once; monotonic
	soon   time.Time   // before which it must not, though others do
	rows   []asrun.Row // of what has ended
	before emergency.Passes
}

func (n *siren) latest() emergency.Record { return n.s.latest() }

// run airs the passes that are still owed. It returns when they have been
// heard, when the alert's time is over, or when ctx ends.
func (n *siren) run(ctx context.Context) {
	n.rules, n.began = n.a.p.Programme().Alerts.Filled(), time.Now()
	if !n.due(ctx) {
		return
	}
	n.began = time.Now()
	if n.again {
		n.before = n.done(ctx)
	}
	// What a drill begins with may take a while to make: it is made before the
	// alert gets in line.
	if _, err := n.words(ctx); err != nil {
		n.mute(ctx, n.before.Last+1)
		return
	}
	if !n.await(ctx) {
		return
	}
	power := n.a.p.power(ctx, n.a.p.Wall())
	defer power.release()
	defer func() { n.leaver()() }()
	n.repeat(ctx)
}

// repeat airs one pass after another.
func (n *siren) repeat(ctx context.Context) {
	item, heard := n.before.Last, n.before.Whole
	for passes := n.passes(); heard < passes && !n.over(ctx) && !n.dropped(); {
		got, end, err := n.pass(ctx, item+1, heard+1 == passes)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			n.mute(ctx, item+1)
			return
		}
		item++
		gap := time.Second // a higher rank or a lost device cut it off: once more
		if got != passCut {
			gap = n.gap()
		}
		if got == passWhole || got == passTone && n.s.choice.hopeless() {
			heard++
		}
		if now := time.Now(); got != passWhole || now.Sub(end) > lateWait {
			end = now // it did not go as it was meant to
		}
		if heard < passes && !n.rest(ctx, end, gap, got == passTone) {
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
	n.ready()
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
			n.ch = ch
			n.join()
			return true
		}
		n.ready()
		if n.over(ctx) || n.dropped() || pause(ctx, sirenLook) != nil {
			return false
		}
	}
}

// join gets in line on the output's channel now in force, with the rank that
// the alert has now.
func (n *siren) join() {
	n.ch, n.turn = n.a.p.join(n.out.Name, n.ch, func(c *Channel) *Turn { return c.Join(n.latest().EffectiveRank(), n.latest().ID.Airing()) })
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
		n.log.Error("alert rows cannot be read", "err", err)
	}
	_ = n.a.ask(ctx, func() { rows = overlay(rows, n.s.rows) })
	return n.latest().Heard(slices.DeleteFunc(rows, func(r asrun.Row) bool { return r.Output != n.out.Name }))
}

// over reports whether the alert's time is over, as far as the time is known.
func (n *siren) over(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	r := n.latest()
	if n.a.p.Trust() != playlist.ClockTrusted || r.Clock != playlist.ClockTrusted && r.NotAfter.IsZero() {
		return time.Since(n.began) > n.rules.Life // the time now, or when it came, is not known
	}
	return n.a.p.Wall().After(r.Expires(n.rules))
}

// rest lets time pass after a pass that ended then. A short rest is silent; in a
// longer one, or if it yields, the output is free for others, and those of its rank that
// wait go before it. An output that is out of step with
// the alert's others may come into step by half of it.
func (n *siren) rest(ctx context.Context, end time.Time, gap time.Duration, yields bool) bool {
	n.soon, n.next = end.Add(gap/2), end.Add(gap)
	yields = yields || gap > sirenHold
	if yields {
		n.leaver()()
	}
	if pause(ctx, time.Until(n.next)-lateWait-n.a.p.slowest()) != nil {
		return false
	}
	if yields {
		n.join()
	}
	return true
}

// leaver is how the siren leaves the line that it is in now. What was interrupted
// goes on after it, on all outputs at once.
func (n *siren) leaver() func() {
	turn, name := n.turn, "after "+string(n.latest().ID)
	return func() {
		turn.Leave(n.a.p.instants.agree(name, time.Time{}, time.Now().Add(schedule.Gap+n.a.p.slowest())))
	}
}

// meet is the next pass, the same on all outputs of the alert that are ready for
// it now.
func (n *siren) meet() *pass {
	at := n.instant()
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	if n.s.pass == nil || !n.s.pass.at.Equal(at) {
		n.s.pass = &pass{at, newAttention(n.rules.ToneMin, n.rules.ToneMax)}
	}
	return n.s.pass
}

// instant is when the siren's next sound begins, on all outputs that are ready for
// it now.
func (n *siren) instant() time.Time {
	n.ready()
	n.s.starters.wait()
	now := time.Now()
	begin := now.Add(n.a.p.slowest())
	switch alone := len(n.latest().Concerned(n.a.p.Programme())) == 1; {
	case !n.next.IsZero():
		begin = later(n.next, begin.Add(lateWait))
	case alone:
		begin = now
	case n.waited:
		begin = begin.Add(lateWait)
	default:
		begin = begin.Add(alertWait)
	}
	return n.a.p.instants.agree(string(n.latest().ID), n.soon, begin)
}

// pass is one round of tone and sound, on all outputs that are in step.
type pass struct {
	at   time.Time // the tone's first frame; monotonic
	tone *attention
}

// clear waits until the output is open and no other is before the alert in its
// line, and, if the alert is no emergency, until quiet hours are over.
func (n *siren) clear(ctx context.Context) bool {
	for n.waited = false; !n.over(ctx); n.waited = true {
		_, behind := n.turn.Behind(time.Time{})
		quiet := !n.latest().EffectiveRank().Emergency() && n.a.p.Programme().QuietAt(n.a.p.Wall())
		if n.turn.Ended() { // a reload has put another channel in place, or none
			n.join()
			if n.dropped() {
				return false
			}
			behind = true // until the next look
		}
		if !behind && !quiet && n.ch.Up() {
			return true
		}
		n.ready()
		if pause(ctx, sirenLook) != nil {
			return false
		}
	}
	return false
}

// level is the software gain in dB. Ceilings bind all but emergencies.
func (n *siren) level() float64 {
	level := min(0, n.rules.LevelDB+n.ch.Level())
	if !n.latest().EffectiveRank().Emergency() {
		level = min(level, n.a.p.Programme().Site.CeilingDB)
	}
	return level
}

// words are what a drill begins with; without them it does not sound. An alert
// that is no drill needs none.
func (n *siren) words(ctx context.Context) (found AlertSound, err error) {
	if !n.latest().Class.Drill() {
		return found, nil
	}
	found, err = n.s.choice.sound(ctx, asrun.UsedPreamble)
	if err != nil && ctx.Err() == nil {
		n.log.Error("alert has no sound", "used", asrun.UsedPreamble, "err", err)
	}
	return found, err
}

// mute records that a drill could not be sounded because its words are missing.
func (n *siren) mute(ctx context.Context, item int) {
	if ctx.Err() != nil {
		return
	}
	row := n.row(item, 0, asrun.UsedPreamble)
	row.Ended, row.Outcome, row.Reason = n.a.p.Wall().UTC(), asrun.Failed, asrun.ReasonClip
	n.rows = append(n.rows, row)
	n.a.p.keep(n.log, n.a.owe, func() error {
		return n.a.p.Ledger.Record(context.WithoutCancel(ctx), row)
	}, func(err error) { alertEntry.notKept(n.log, row, false, err) })
	n.a.p.Watch(Moment{MomentEnded, row})
}

// passHeard is what was heard of a pass.
type passHeard int

const (
	passCut   passHeard = iota // not all of what was to be heard
	passTone                   // the tone, for want of anything else
	passWhole                  // all that the alert has to say
)

// pass is one round of tone and sound; after the last one the output is free. It returns
// what was heard, and when that ended. The error is a drill's that has
// no words: nothing of it is heard.
func (n *siren) pass(ctx context.Context, item int, last bool) (got passHeard, end time.Time, err error) {
	words, err := n.words(ctx)
	if err != nil || !n.clear(ctx) {
		return passCut, end, err
	}
	defer context.AfterFunc(ctx, n.leaver())() // it falls silent at once
	began := time.Now()
	var next []*entry
	if n.latest().Class.Drill() {
		first, err := n.load(ctx, n.row(item, 2, asrun.UsedPreamble), words)
		if err != nil {
			return passCut, end, err
		}
		defer first.sound.Close()
		next = append(next, first)
	}
	level, p := n.level(), n.meet()
	sound := NewSound(&attentionOn{attention: p.tone}, level, nil)
	defer sound.Close()
	if sound.Ready(ctx) != nil {
		return passCut, end, nil
	}
	row := n.row(item, 1, asrun.UsedTone)
	row.OfFrames, row.LevelDB = p.tone.shortest(), level
	first := n.entry(row)
	n.play(ctx, first, Cue{Sound: sound, Mono: p.at})
	n.a.started(ctx, row.Alert)
	var heard sync.WaitGroup
	heard.Go(func() { row = n.hear(ctx, first, func(asrun.Row) {}) })
	said := n.say(ctx, item, began, next)
	end = p.at.Add(playlist.Length(p.tone.enough()))
	for _, part := range said {
		begin := end.Add(playlist.Length(sirenLead))
		n.play(ctx, part, Cue{Sound: part.sound, Mono: begin})
		end = begin.Add(playlist.Length(part.row.OfFrames))
	}
	var rows []asrun.Row
	for i, part := range said {
		n.rows = append(n.rows, n.hear(ctx, part, func(row asrun.Row) {
			rows = append(rows, row)
			if emergency.Heard(rows).Whole == 0 {
				return
			}
			if got = passWhole; last && i == len(said)-1 {
				n.leaver()()
			}
		}))
	}
	heard.Wait()
	n.rows = append(n.rows, row)
	if len(said) == 0 && row.Outcome == asrun.Complete {
		got = passTone
	}
	return got, end, nil
}

// say waits, while the tone sounds, for the best that there is to be heard of the
// alert. It returns what is loaded for that pass with it: nothing if there is
// nothing but the tone.
func (n *siren) say(ctx context.Context, item int, began time.Time, loaded []*entry) []*entry {
	var unfit []asrun.Used
	for {
		used, found, ok := n.s.choice.best(ctx, began, n.rules, unfit)
		if !ok {
			return nil
		}
		last, err := n.load(ctx, n.row(item, 2+len(loaded), used), found)
		if err != nil {
			unfit = append(unfit, used) // the next best, while the tone sounds on
			continue
		}
		return append(loaded, last)
	}
}

// play gets a sound in line at once; its row is opened meanwhile. A crash in
// between costs a line of the log, but a slow disk would cost seconds of
// warning.
func (n *siren) play(ctx context.Context, part *entry, cue Cue) {
	part.take = n.turn.Play(cue)
	part.claimBeside(ctx)
}

// load opens a sound for the part of that row. If it will not air it tells so.
func (n *siren) load(ctx context.Context, row asrun.Row, found AlertSound) (*entry, error) {
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
			n.log.Error("alert sound cannot be played", "used", row.Used, "clip", found.Clip.ID, "err", err)
			n.a.p.Unfit(found.Clip.ID)
		}
		return nil, err
	}
	row.Clip, row.OfFrames, row.LevelDB = found.Clip.ID, frames, level
	if found.Clip.Title != "" {
		row.Title = found.Clip.Title
	}
	part := n.entry(row)
	part.sound = sound
	return part, nil
}

// entry is a new one of that row.
func (n *siren) entry(row asrun.Row) *entry {
	return &entry{p: n.a.p, kind: alertEntry, log: n.log, owe: n.a.owe, row: row}
}

func (n *siren) row(item, part int, used asrun.Used) asrun.Row {
	r := n.latest()
	p := n.a.p
	return asrun.Row{
		Airing: r.ID.Airing(), Output: n.out.Name, Item: item, Part: part,
		Alert: r.ID, Used: used, Title: r.Headline(), Rank: r.EffectiveRank(), Due: r.Received, Cued: p.Wall().UTC(),
		Residents: n.out.Residents, Area: n.out.Area,
		Clock: p.Trust(), Boot: p.Boot, MonoMS: p.Uptime().Milliseconds(),
	}
}

// hear waits for a part to end, calls tell and has the part's row closed. What follows
// does not wait for the disk; nothing follows on the microphone.
func (n *siren) hear(ctx context.Context, part *entry, tell func(asrun.Row)) asrun.Row {
	part.watch(ctx, nil)
	if part.sound != nil {
		part.sound.Close()
	}
	h := part.take.Heard()
	row := part.heard(h)
	row.Outcome, row.Reason = n.judge(ctx, row, h.Cut)
	tell(row)
	if row.Used == asrun.UsedMic {
		return part.end(ctx, h, row.Outcome, row.Reason)
	}
	return part.endBeside(ctx, n.a.work.Go, h, row.Outcome, row.Reason)
}

// judge decides what became of a part.
func (n *siren) judge(ctx context.Context, row asrun.Row, cut Cut) (asrun.Outcome, asrun.Reason) {
	outcome := row.Judge()
	if outcome == asrun.Complete {
		return outcome, asrun.ReasonNone
	}
	if row.Frames == 0 {
		outcome = asrun.Missed
	}
	switch cut {
	case CutNone, CutStopped:
		if row.Used == asrun.UsedMic && row.Frames > 0 {
			return asrun.Complete, asrun.ReasonNone // it is as long as the speech
		}
	case CutPreempt, CutExpired:
		return asrun.Preempted, asrun.ReasonPreempted
	case CutDevice:
		return outcome, asrun.ReasonDevice
	case CutDecode:
		return outcome, asrun.ReasonDecode
	}
	if errors.Is(context.Cause(ctx), errRetired) {
		return outcome, asrun.ReasonCancelled
	}
	return outcome, asrun.ReasonStopped
}
