package player

import (
	"slices"
	"sync/atomic"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// Cut says what ended a take before its sound was over.
type Cut string

const (
	CutNone    Cut = ""        // nothing did
	CutPreempt Cut = "preempt" // a higher rank took the output
	CutUntil   Cut = "until"   // its last instant came
	CutExpired Cut = "expired" // its deadline passed before it could start
	CutStopped Cut = "stopped" // the turn or the channel was ended
	CutDecode  Cut = "decode"  // the sound broke off: Err says how
	CutDevice  Cut = "device"  // the device did not come back
)

// Heard is what became of a take.
type Heard struct {
	Started, Ended time.Time // of its first and last frame; zero if none left the device
	AtFrame        int64     // the device's count of frames at its first frame
	Frames         int64     // frames of the sound that left the device
	Cut            Cut
	By             playlist.Rank // of what held the output, for CutPreempt and CutExpired
	Err            error
}

// Cue is a sound and when it may sound.
type Cue struct {
	Sound    *Sound
	At       time.Time     // first frame leaves the loudspeaker then; zero: at once, cutting a lower rank off
	Mono     time.Time     // if not zero, what counts instead of At: an instant that no clock that is set moves
	Deadline time.Time     // if it has not started by then, it will not; zero: none
	Within   time.Duration // if not zero, what counts instead of Deadline: so long after Mono
	Until    time.Time     // it is faded out to end then; zero: never
	Lead     int64         // frames of silence first, if it follows another on the same turn
	Resumed  bool          // it goes on in the middle of a sound: fade in
	First    bool          // before what its turn has queued, not behind
}

// Turn is a place in the line for an output. From the first frame of its first
// take until it ends, silence between its takes included, none that is behind
// it in the line begins.
type Turn struct {
	c      *Channel
	rank   playlist.Rank
	place  schedule.Place    // among those of its rank, if it has one
	from   time.Time         // on the wall clock: it keeps no other waiting that can begin before
	of     playlist.AiringID // what it is for, to tell of it
	queue  []*Take
	begun  bool // a take of it has begun
	broken bool // and it was interrupted since
	ended  bool
}

// Take is one sound's time on the output.
type Take struct {
	Cue
	turn       *Turn
	phase      phase
	fading     int64         // frames of fade-in still to come
	anchor     time.Time     // when its first frame left; the frames after it are held to it
	drift      time.Duration // smoothed: how late the sound is
	chasing    bool
	slips      []slip
	start, end int64 // in the channel's count: its first frame, once it sounds, and the one behind its last, once it ends
	heard      Heard
	done       chan struct{} // closed when it is over
	progress   atomic.Int64
	startedAt  atomic.Int64 // Unix nanoseconds; 0 before
}

// Join gets in line behind equal ranks. of names what for, to tell of it; it may be
// empty. End the turn.
func (c *Channel) Join(rank playlist.Rank, of playlist.AiringID) *Turn {
	return c.join(&Turn{c: c, rank: rank, of: of}, func(*Turn) bool { return false })
}

// JoinAt gets in line for something that will not begin before that instant of the
// wall clock. Of equal ranks those with an earlier place go first, except that nothing
// goes before what has begun and was not interrupted. End the turn.
func (c *Channel) JoinAt(rank playlist.Rank, of playlist.AiringID, place schedule.Place, from time.Time) *Turn {
	return c.join(&Turn{c: c, rank: rank, of: of, place: place, from: from}, (&Turn{rank: rank, place: place}).placed)
}

// join puts a turn in line before the first turn that is after it.
func (c *Channel) join(t *Turn, after func(*Turn) bool) *Turn {
	c.busy.Add(1)
	// Not waited for: the caller must not hang on a device.
	if !c.post(func() { c.insert(t, after) }) {
		c.busy.Add(-1)
	}
	return t
}

func (c *Channel) insert(t *Turn, after func(*Turn) bool) {
	i := slices.IndexFunc(c.turns, after)
	if i < 0 {
		i = len(c.turns)
	}
	c.turns = slices.Insert(c.turns, i, t)
}

// placed reports whether u, of the same rank, is after t by its place.
func (t *Turn) placed(u *Turn) bool {
	return u.rank == t.rank && !u.holds() && t.place.Compare(u.place) < 0
}

// holds reports whether the turn has begun and was not interrupted.
func (t *Turn) holds() bool { return t.begun && !t.broken }

// lead puts a turn that has begun before all others of its rank.
func (c *Channel) lead(t *Turn) {
	t.begun, t.broken = true, false
	c.move(t, func(u *Turn) bool { return u.rank == t.rank })
}

// fallBack gives a turn that was interrupted its place again. What it has queued is
// over too.
func (c *Channel) fallBack(t *Turn, why Heard) {
	if t.place == (schedule.Place{}) {
		return // it goes on before all that came after it
	}
	t.broken = true
	c.move(t, t.placed)
	for _, k := range t.queue {
		k.finish(why)
	}
	t.queue = nil
}

func (c *Channel) move(t *Turn, after func(*Turn) bool) {
	if i := slices.Index(c.turns, t); i >= 0 {
		c.turns = slices.Delete(c.turns, i, i+1)
		c.insert(t, after)
	}
}

// Play queues a cue on the turn. The cue's sound stays the caller's to close,
// once the take is done.
func (t *Turn) Play(cue Cue) *Take {
	k := &Take{Cue: cue, turn: t, done: make(chan struct{})}
	if cue.Resumed {
		k.fading = fadeIn
	}
	ok := t.c.post(func() {
		if t.ended {
			k.finish(Heard{Cut: CutStopped})
			return
		}
		t.c.tellTime(k)
		if k.First {
			t.queue = append([]*Take{k}, t.queue...)
		} else {
			t.queue = append(t.queue, k)
		}
		t.c.urge(k)
	})
	if !ok {
		k.finish(Heard{Cut: CutStopped})
	}
	return k
}

// Ended reports whether the turn has left the line.
func (t *Turn) Ended() (ended bool) {
	if !t.c.ask(func() { ended = t.ended }) {
		return true
	}
	return ended
}

// Behind returns the highest rank in line that must sound before the turn can begin, at
// that instant of the wall clock or later, and whether there is any: a higher one, or an
// equal one that goes first. The zero instant stands for any.
func (t *Turn) Behind(begin time.Time) (by playlist.Rank, ok bool) {
	t.c.ask(func() {
		by, ok = t.before(func(u *Turn) bool { return u.begun || begin.IsZero() || !u.from.After(begin) })
	})
	return by, ok
}

// before is the highest rank of those turns that go before t, and whether there is one.
func (t *Turn) before(those func(*Turn) bool) (by playlist.Rank, ok bool) {
	mine := slices.Index(t.c.turns, t)
	for i, u := range t.c.turns {
		if u != t && (u.rank > t.rank || u.rank == t.rank && i < mine) && those(u) && (!ok || u.rank > by) {
			by, ok = u.rank, true
		}
	}
	return by, ok
}

// End leaves the line. What still sounds is faded out at once.
func (t *Turn) End() { t.Leave(time.Time{}) }

// Leave is [Turn.End]. What it has kept waiting does not begin before free, which
// is monotonic; zero: at once. What has just come does not wait.
func (t *Turn) Leave(free time.Time) {
	c := t.c
	c.ask(func() { // waited for: its sounds may be closed then
		if t.ended {
			return
		}
		t.ended = true
		if t.begun && free.After(c.free) {
			c.left, c.free = time.Now(), free
		}
		if i := slices.Index(c.turns, t); i >= 0 {
			c.turns = slices.Delete(c.turns, i, i+1)
			c.busy.Add(-1)
		}
		if c.cur != nil && c.cur.turn == t || slices.ContainsFunc(c.inflight, func(k *Take) bool { return k.turn == t }) {
			c.cutOff(func(k *Take) bool { return k.turn == t }, Heard{Cut: CutStopped}, time.Time{})
		}
		for _, k := range t.queue {
			k.finish(Heard{Cut: CutStopped})
		}
		t.queue = nil
	})
}

// becameFree is when a turn last left the line, and when what it has kept waiting
// begins; monotonic.
func (c *Channel) becameFree() (left, free time.Time) {
	c.ask(func() { left, free = c.left, c.free })
	return left, free
}

// withdraw takes back a take that waits. Nothing of it has sounded; it is over as if
// its turn had ended.
func (k *Take) withdraw() {
	c := k.turn.c
	c.ask(func() {
		if k.phase == phaseWaiting {
			c.leave(k, 0, Heard{Cut: CutStopped})
		}
	})
}

// head is the take that a turn would sound, if any.
func (t *Turn) head() *Take {
	if len(t.queue) == 0 {
		return nil
	}
	return t.queue[0]
}

// Done is closed when the take is over and Heard holds.
func (k *Take) Done() <-chan struct{} { return k.done }

// Heard is what became of the take; it holds once Done is closed.
func (k *Take) Heard() Heard { return k.heard }

// Progress is how many frames of the sound have left the device, the device's
// count of frames at its first one, and when that left; zero before it does.
func (k *Take) Progress() (frames, atFrame int64, started time.Time) {
	ns := k.startedAt.Load()
	if ns == 0 {
		return 0, 0, time.Time{}
	}
	return k.progress.Load(), k.start, time.Unix(0, ns).UTC() // start was set before startedAt, and stays
}

// until is how many frames of the sound the output's frames up to end hold.
func (k *Take) until(end int64) int64 {
	n := max(0, end-k.start)
	for _, s := range k.slips {
		if s.at < end {
			n += s.by
		}
	}
	return n
}

// reckon is what of the take was heard, had it ended at that frame.
func (k *Take) reckon(c *Channel, end int64) Heard {
	h := k.heard
	h.Frames = k.until(end)
	if h.Frames == 0 {
		return Heard{Cut: h.Cut, By: h.By, Err: h.Err}
	}
	if h.Started.IsZero() {
		h.Started = c.stamp(k.start)
	}
	h.AtFrame = k.start
	h.Ended = h.Started.Add(playlist.Length(end - k.start))
	if wall := c.stamp(end); k.phase == phaseEnding && wall.After(h.Ended) {
		h.Ended = wall // the device was away for a while
	}
	k.progress.Store(h.Frames)
	return h
}
