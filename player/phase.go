package player

import (
	"slices"
)

// phase is how far a take has come. A take goes through the phases in their
// order; only a flush, which takes frames back from the device, can send it
// back. All that changes a phase is in this file:
//
//	waiting  -> sounding         begin
//	sounding -> ending           leave
//	waiting  -> over             leave
//	ending   -> over             finish
//	sounding, ending -> waiting  rewind, by a flush before its first frame was heard
//	ending   -> sounding         reopen, by a flush before its cut was heard
type phase int

const (
	phaseWaiting  phase = iota // in its turn's queue; none of its frames is written
	phaseSounding              // in flight, and in its turn's queue still; more frames follow
	phaseEnding                // in flight; its last frame is written, the device has not consumed it
	phaseOver                  // Heard holds
)

// begin makes frame the first of the take.
func (c *Channel) begin(k *Take, frame int64) {
	k.phase, k.start = phaseSounding, frame
	c.lead(k.turn)
	k.anchor = c.instant(frame)
	c.inflight = append(c.inflight, k)
}

// leave writes no more of the take: it ends before that frame. If none of it
// was written it is over.
func (c *Channel) leave(k *Take, end int64, why Heard) {
	c.release(k)
	if why.Cut == CutPreempt {
		c.fallBack(k.turn, why)
	}
	if k.phase == phaseWaiting {
		k.finish(why)
		return
	}
	k.phase, k.end = phaseEnding, end
	k.heard.Cut, k.heard.By, k.heard.Err = why.Cut, why.By, why.Err
}

// finish says what became of the take. Later calls change nothing.
func (k *Take) finish(h Heard) {
	if k.phase == phaseOver {
		return
	}
	k.phase, k.heard = phaseOver, h
	close(k.done)
}

// rewind makes a take wait again of which nothing was heard.
func (c *Channel) rewind(k *Take) {
	c.release(k)
	k.phase, k.start = phaseWaiting, 0
	k.heard = Heard{}
	k.turn.queue = slices.Insert(k.turn.queue, 0, k)
}

// reopen lets a take go on whose first frames are heard, but not its cut.
func (k *Take) reopen() {
	k.phase = phaseSounding
	k.heard.Cut, k.heard.By, k.heard.Err = CutNone, 0, nil
	k.fading = fadeIn
	if !slices.Contains(k.turn.queue, k) {
		k.turn.queue = slices.Insert(k.turn.queue, 0, k)
	}
}

// release takes k off the air and out of its turn's queue.
func (c *Channel) release(k *Take) {
	if i := slices.Index(k.turn.queue, k); i >= 0 {
		k.turn.queue = slices.Delete(k.turn.queue, i, i+1)
	}
	if c.cur == k {
		c.cur = nil
	}
}

// flushed is what a flush has taken back from the device.
type flushed struct {
	from   int64   // number of the first frame
	frames []int16 // as they were written
	tail   []int16 // the first of them faded out, to be written again; nil if they were silent
}

// kept is the number of the first frame that is not heard at all.
func (d flushed) kept() int64 { return d.from + int64(len(d.tail)) }

// takeBack is what a flush does to a take in flight. Its frames behind the
// tail go back into its sound. The take then ends for why, or, if why is nil,
// goes on later. inFlight is false if nothing of it was heard.
func (c *Channel) takeBack(k *Take, d flushed, why *Heard) (inFlight bool) {
	end, kept := d.from+int64(len(d.frames)), d.kept()
	if k.phase == phaseEnding {
		end = min(end, k.end)
	}
	if a := max(k.start, kept); end > a {
		k.Sound.giveBack(d.frames[a-d.from : end-d.from])
	}
	switch {
	case k.start >= kept && why != nil:
		c.rewind(k)
		c.leave(k, kept, *why)
		return false
	case k.start >= kept:
		c.rewind(k)
		return false
	case k.phase == phaseEnding && k.end <= kept: // its last frame is heard
	case why != nil:
		c.leave(k, kept, *why)
	default:
		k.reopen()
	}
	return true
}
