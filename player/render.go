package player

import (
	"math"
	"slices"
	"time"

	"dalaba/playlist"
)

// render fills the block and returns how many frames it holds: a period, or
// fewer if a decoder is behind.
func (c *Channel) render() int {
	c.tellTimes()
	start := c.instant(c.written)
	for i := 0; i < period; {
		at := start.Add(playlist.Length(int64(i)))
		c.choose(at, int64(i))
		n := period - i
		fade := int64(math.MaxInt64) // frames until a foreseen cut
		if cut, ok := c.foreseen(); ok {
			fade = max(0, roundFrames(cut.Sub(at)))
			if fade > 0 && fade < int64(n) {
				n = int(fade)
			}
		}
		if c.cur == nil {
			if due, ok := c.nextStart(at); ok && due < int64(n) {
				n = int(max(1, due))
			}
			clear(c.block[i : i+n])
			i += n
			continue
		}
		got := c.draw(c.block[i:i+n], int64(i), fade)
		if got < 0 {
			return i
		}
		i += got
	}
	return period
}

// draw renders frames of the current take and returns how many; -1 if its
// decoder is behind.
func (c *Channel) draw(into []int16, offset, fade int64) int {
	k := c.cur
	if k.Lead > 0 {
		n := min(int64(len(into)), k.Lead)
		clear(into[:n])
		k.Lead -= n
		return int(n)
	}
	frames, over := c.paced(k, into, offset)
	if len(frames) > 0 && k.phase == phaseWaiting {
		c.begin(k, c.written+offset)
	}
	shape := frames
	if k.fading > 0 {
		ramp(shape, float64(fadeIn-k.fading)/fadeIn, 1, fadeIn)
		k.fading = max(0, k.fading-int64(len(frames)))
	}
	if fade-int64(len(frames)) < fadeOut {
		for j := range shape {
			if left := fade - int64(j); left < fadeOut {
				shape[j] = int16(float64(shape[j]) * float64(max(left, 0)) / fadeOut)
			}
		}
	}
	if over {
		cut := CutNone
		if k.Sound.err != nil {
			cut = CutDecode
		}
		c.leave(k, c.written+offset+int64(len(frames)), Heard{Cut: cut, Err: k.Sound.err})
	} else if len(frames) == 0 {
		return -1
	}
	return len(frames)
}

// ramp scales frames from gain upwards by step 1/over a frame, to at most to.
func ramp(frames []int16, gain, to float64, over int64) {
	for i := range frames {
		if gain >= to {
			return
		}
		frames[i] = int16(float64(frames[i]) * gain)
		gain += 1 / float64(over)
	}
}

// choose puts on the air the take that is to be heard at that instant, which is
// the block's frame at offset.
func (c *Channel) choose(at time.Time, offset int64) {
	frame := c.written + offset
	if k := c.cur; k != nil && k.pastUntil(at) {
		c.leave(k, frame, Heard{Cut: CutUntil})
	}
	best := c.best(at)
	if best == nil || best == c.cur {
		return
	}
	if c.cur != nil {
		if best.turn.rank <= c.cur.turn.rank {
			return
		}
		c.leave(c.cur, frame, Heard{Cut: CutPreempt, By: best.turn.rank})
	}
	c.cur = best
}

// best is the take of the highest rank that may sound at that instant; of equal
// ranks, the one that joined first. It ends the takes that are too late.
func (c *Channel) best(at time.Time) *Take {
	var best *Take
	for _, t := range c.turns {
		for k := t.head(); k != nil && k.phase == phaseWaiting && k != c.cur; k = t.head() {
			why := c.tooLate(k, at)
			if why.Cut == CutNone {
				break
			}
			c.leave(k, 0, why)
		}
		k := t.head()
		if k == nil {
			continue
		}
		if due, ok := c.startOf(k, at); !ok || due > 0 {
			continue
		}
		if best == nil || t.rank > best.turn.rank {
			best = k
		}
	}
	return best
}

// tooLate is why a take that waits will not sound any more; CutNone if it may.
func (c *Channel) tooLate(k *Take, at time.Time) Heard {
	switch {
	case k.pastUntil(at):
		return Heard{Cut: CutUntil}
	case k.Deadline.IsZero() || !at.After(k.Deadline):
		return Heard{}
	case c.cur != nil:
		return Heard{Cut: CutExpired, By: c.cur.turn.rank}
	case c.heldBack(k):
		by, _ := k.turn.before(holding)
		return Heard{Cut: CutExpired, By: by}
	case !c.up.Load():
		return Heard{Cut: CutDevice} // it is open, but nothing has left it yet
	}
	return Heard{Cut: CutExpired}
}

// pastUntil reports whether the take must have ended by that instant.
func (k *Take) pastUntil(at time.Time) bool {
	return !k.Until.IsZero() && roundFrames(k.Until.Sub(at)) <= 0
}

// foreseen is the next instant at which the current take will be cut.
func (c *Channel) foreseen() (time.Time, bool) {
	if c.cur == nil {
		return time.Time{}, false
	}
	at := c.cur.Until
	for _, t := range c.turns {
		if k := t.head(); k != nil && t.rank > c.cur.turn.rank && !k.At.IsZero() && (at.IsZero() || k.At.Before(at)) {
			at = k.At
		}
	}
	return at, !at.IsZero()
}

// nextStart is how many frames after at the next waiting take starts.
func (c *Channel) nextStart(at time.Time) (int64, bool) {
	next, ok := int64(math.MaxInt64), false
	for _, t := range c.turns {
		if k := t.head(); k != nil {
			if due, soon := c.startOf(k, at); soon {
				next, ok = min(next, due), true
			}
		}
	}
	return next, ok
}

// startOf is how many frames after at a turn's next take may begin, zero or
// below if it may at once; ok is false while a turn before it holds the output.
func (c *Channel) startOf(k *Take, at time.Time) (frames int64, ok bool) {
	if k.phase != phaseWaiting {
		return 0, true
	}
	start := k.At
	if !start.IsZero() && start.Before(c.leftAt.Add(-2*alertWait)) && c.freeAt.After(start) {
		start = c.freeAt
	}
	if !start.IsZero() {
		frames = roundFrames(start.Sub(at))
	}
	return frames, !c.heldBack(k)
}

// heldBack reports whether a turn that goes before the take's holds the output.
func (c *Channel) heldBack(k *Take) bool {
	_, held := k.turn.before(holding)
	return held
}

// holding reports whether a turn has begun to sound: then it has the output
// until it ends.
func holding(t *Turn) bool { return t.begun }

func roundFrames(d time.Duration) int64 {
	// A clock that is years off must not overflow.
	if d > time.Hour {
		d = time.Hour
	}
	if d < -time.Hour {
		d = -time.Hour
	}
	return int64(math.Round(d.Seconds() * playlist.Rate))
}

// urge cuts lower ranks off for a take that does not wait, or that was queued
// too late for render to foresee and fade the cut.
func (c *Channel) urge(k *Take) {
	if c.dev == nil || k.turn.head() != k {
		return
	}
	c.tellTimes()
	notice := c.written // up to here all is settled
	if c.cur != nil {
		notice += fadeOut
	}
	if start, ok := c.startOf(k, c.instant(notice)); !ok || start > 0 || start == 0 && !k.At.IsZero() {
		return
	}
	for _, t := range c.turns {
		if t != k.turn && t.rank >= k.turn.rank && (c.cur != nil && c.cur.turn == t) {
			return
		}
	}
	for _, f := range c.inflight {
		if f.turn.rank >= k.turn.rank {
			return // its last frames are still to be heard
		}
	}
	c.cutOff(func(*Take) bool { return true }, Heard{Cut: CutPreempt, By: k.turn.rank}, k.At)
}

// cutOff drops what the device has queued and fades out from there: until that
// instant, if it is near, so that outputs that are in step are cut at the same
// place; zero: at once. Of the takes that lose frames by it, those that match end
// as why says; the others get their frames back and go on.
func (c *Channel) cutOff(match func(*Take) bool, why Heard, until time.Time) {
	d := c.flush(until)
	flying := c.inflight
	c.inflight = nil
	// The last one first: each goes to the front of its turn's queue.
	for _, k := range slices.Backward(flying) {
		var ends *Heard
		if match(k) {
			ends = &why
		}
		if c.takeBack(k, d, ends) {
			c.inflight = append(c.inflight, k)
		}
	}
	slices.Reverse(c.inflight)
	if k := c.cur; k != nil && k.phase == phaseWaiting && match(k) {
		c.leave(k, c.written, why)
	}
	tail := d.tail
	if len(tail) == 0 && len(d.frames) > 0 && len(c.inflight) == 0 {
		// The next frame's instant is known once the device runs again.
		tail = make([]int16, fadeMin)
	}
	if len(tail) > 0 && c.dev != nil {
		if err := c.write(tail); err != nil {
			c.lost(err)
		}
	}
}

// flush takes back from the device what it has queued, and fades the first of
// it out, until that instant if it is near. That tail is heard: it belongs to
// what was sounding.
func (c *Channel) flush(until time.Time) flushed {
	if c.dev != nil {
		if err := c.dev.Flush(); err != nil {
			c.lost(err)
		} else if pos, err := c.dev.Position(); err != nil {
			c.lost(err)
		} else {
			c.consumed, c.at = min(c.base+pos.Consumed, c.written), pos.At
		}
	}
	c.tally()
	d := flushed{from: c.consumed, frames: c.remembered(c.consumed, c.written)}
	c.written, c.measured = c.consumed, false
	c.origin = time.Since(c.epoch) - playlist.Length(c.consumed)
	heard := int64(fadeTail)
	if !until.IsZero() {
		heard = max(fadeMin, roundFrames(until.Sub(c.instant(c.consumed))))
	}
	tail := slices.Clone(d.frames[:min(int64(len(d.frames)), heard)])
	fade := tail[max(0, len(tail)-fadeMax):]
	for i := range fade {
		fade[i] = int16(float64(fade[i]) * float64(len(fade)-i) / float64(len(fade)))
	}
	loud := slices.ContainsFunc(tail, func(v int16) bool { return v != 0 })
	if loud {
		d.tail = tail
	}
	return d
}
