package player

import (
	"math"
	"slices"
	"time"

	"dalaba/playlist"
)

// render fills the block; it answers fewer frames than a period only where a
// decoder is behind.
func (c *Channel) render() int {
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

// draw renders from the current take; -1 where its decoder is behind.
func (c *Channel) draw(into []int16, offset, fade int64) int {
	k := c.cur
	if k.Lead > 0 {
		n := min(int64(len(into)), k.Lead)
		clear(into[:n])
		k.Lead -= n
		return int(n)
	}
	frames, over := c.paced(k, into, offset)
	if len(frames) > 0 && !k.begun {
		k.begun, k.start = true, c.written+offset
		k.anchor = c.instant(k.start)
		c.inflight = append(c.inflight, k)
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

// choose settles who is heard at that instant, which is the block's frame at
// offset.
func (c *Channel) choose(at time.Time, offset int64) {
	frame := c.written + offset
	if k := c.cur; k != nil && !k.Until.IsZero() && roundFrames(k.Until.Sub(at)) <= 0 {
		c.leave(k, frame, Heard{Cut: CutUntil})
	}
	var best *Take
	for i := 0; i < len(c.turns); i++ {
		t := c.turns[i]
		for k := t.head(); k != nil && !k.begun && k != c.cur; k = t.head() {
			h := Heard{Cut: CutExpired}
			switch {
			case !k.Until.IsZero() && roundFrames(k.Until.Sub(at)) <= 0:
				h.Cut = CutUntil
			case k.Deadline.IsZero() || !at.After(k.Deadline):
				h.Cut = CutNone
			case c.cur != nil:
				h.By = c.cur.turn.rank
			case !c.up.Load():
				h.Cut = CutDevice // it is open, but nothing has left it yet
			}
			if h.Cut == CutNone {
				break
			}
			c.expire(t, h)
		}
		k := t.head()
		if k == nil || !k.At.IsZero() && roundFrames(k.At.Sub(at)) > 0 {
			continue
		}
		if best == nil || t.rank > best.turn.rank {
			best = k
		}
	}
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
		if k := t.head(); k != nil && !k.At.IsZero() {
			next, ok = min(next, roundFrames(k.At.Sub(at))), true
		}
	}
	return next, ok
}

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

// leave ends the current take's rendering at that frame.
func (c *Channel) leave(k *Take, end int64, why Heard) {
	k.end = end
	k.heard.Cut, k.heard.By, k.heard.Err = why.Cut, why.By, why.Err
	if len(k.turn.queue) > 0 && k.turn.queue[0] == k {
		k.turn.queue = k.turn.queue[1:]
	}
	if !k.begun {
		k.finish(Heard{Cut: why.Cut, By: why.By, Err: why.Err})
	}
	if c.cur == k {
		c.cur = nil
	}
}

func (c *Channel) expire(t *Turn, h Heard) {
	k := t.queue[0]
	t.queue = t.queue[1:]
	k.finish(h)
}

// urge cuts lower ranks off for a take that may not wait, or that came too late
// for the cut to be foreseen and faded.
func (c *Channel) urge(k *Take) {
	if c.dev == nil || k.turn.head() != k {
		return
	}
	late := c.cur != nil && k.At.Before(c.instant(c.written+fadeOut))
	if !k.At.IsZero() && !late {
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
	c.cutOff(func(*Take) bool { return true }, Heard{Cut: CutPreempt, By: k.turn.rank})
}

// cutOff drops what the device has queued and fades out from there. Of the
// takes that lose frames by it, those that match end as why says; the rest
// get their frames back and go on.
func (c *Channel) cutOff(match func(*Take) bool, why Heard) {
	if c.dev != nil {
		if err := c.dev.Flush(); err != nil {
			c.lost(err)
		} else if pos, err := c.dev.Position(); err != nil {
			c.lost(err)
		} else {
			c.consumed, c.at = min(c.base+pos.Consumed, c.written), pos.At
		}
	}
	c.settle()
	end := c.written
	dropped := c.remembered(c.consumed, end)
	from := c.consumed
	c.written, c.settled = c.consumed, false
	c.origin = time.Since(c.epoch) - playlist.Length(c.consumed)
	// The tail is heard: it belongs to what was sounding.
	tail := slices.Clone(dropped[:min(len(dropped), fadeTail)])
	loud := false
	for i := range tail {
		tail[i] = int16(float64(tail[i]) * float64(len(tail)-i) / float64(len(tail)))
		loud = loud || tail[i] != 0
	}
	if !loud {
		tail = nil
	}
	kept := from + int64(len(tail))
	flying := c.inflight
	c.inflight = nil
	for _, k := range flying {
		last := k.end
		if last < 0 {
			last = end
		}
		// Frames of k within what was dropped, beyond the tail.
		a, b := max(k.start, kept), min(last, end)
		if b > a {
			k.Sound.giveBack(dropped[a-from : b-from])
		}
		switch {
		case k.start >= kept: // not heard at all: it starts anew, later
			k.begun, k.end, k.start = false, -1, 0
			k.heard = Heard{}
			if match(k) {
				k.finish(why)
				k.drop()
			} else if k.turn.head() != k {
				k.turn.queue = append([]*Take{k}, k.turn.queue...)
			}
			if c.cur == k {
				c.cur = nil
			}
		case k.end >= 0 && k.end <= kept: // its last frame is heard yet
			c.inflight = append(c.inflight, k)
		case !match(k): // its first frames are in the tail; the others follow
			k.end, k.heard.Cut, k.heard.By, k.heard.Err = -1, CutNone, 0, nil
			k.fading = fadeIn
			if k.turn.head() != k {
				k.turn.queue = append([]*Take{k}, k.turn.queue...)
			}
			c.inflight = append(c.inflight, k)
		default:
			k.end = kept
			k.heard.Cut, k.heard.By = why.Cut, why.By
			k.drop()
			if c.cur == k {
				c.cur = nil
			}
			c.inflight = append(c.inflight, k)
		}
	}
	if k := c.cur; k != nil && match(k) && !k.begun {
		k.drop()
		k.finish(why)
		c.cur = nil
	}
	if len(tail) > 0 && c.dev != nil {
		if err := c.write(tail); err != nil {
			c.lost(err)
		}
	}
}
