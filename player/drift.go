package player

import (
	"math"
	"time"

	"dalaba/playlist"
)

const (
	apart   = 2 * time.Millisecond   // a sound this far from the wall clock is brought back
	near    = apart / 8              // until it is this near
	astray  = 250 * time.Millisecond // beyond, the clock was set or the device away: not chased
	slipIn  = 480                    // frames at least into which one is slipped
	slipOut = 960                    // output frames between two slips: 0.1 % at most, two cents in pitch
)

// slip is a place at which a take was squeezed or stretched by a frame.
type slip struct {
	at int64 // in the channel's count
	by int64 // frames of the sound beyond those of the output
}

// paced copies the next frames of k's sound into the output. The clocks of
// cards are up to some 100 ppm off, and neighbouring loudspeakers would drift
// apart: if the sound is ahead of the wall clock or behind it, a run of frames
// is stretched or squeezed by one.
func (c *Channel) paced(k *Take, into []int16, offset int64) (frames []int16, over bool) {
	by := c.slip(k, len(into), offset)
	if k.chasing && len(into) > slipIn {
		into = into[:slipIn] // short runs are more often at hand in one piece
	}
	if by != 0 {
		k.Sound.gather(len(into) + by)
	}
	src, over := k.Sound.next(len(into) + by)
	if by == 0 || len(src) != len(into)+by {
		if len(src) > len(into) {
			// Fewer than asked for, yet more than there is room: not at a block's end.
			k.Sound.giveBack(src[len(into):])
			src, over = src[:len(into)], false
		}
		return into[:copy(into, src)], over
	}
	scale := float64(len(src)-1) / float64(len(into)-1)
	for i := range into {
		x := float64(i) * scale
		j := min(int(x), len(src)-2)
		f := x - float64(j)
		into[i] = int16(math.Round(float64(src[j])*(1-f) + float64(src[j+1])*f))
	}
	k.slips = append(k.slips, slip{c.written + offset + int64(len(into)) - 1, int64(by)})
	return into, over
}

// slip is how many more frames of the sound than of the output a run of n
// frames must hold: 1, 0 or -1.
func (c *Channel) slip(k *Take, n int, offset int64) int {
	if k.phase == phaseWaiting || n < slipIn || !c.measured || k.fading > 0 {
		return 0
	}
	at := c.written + offset
	err := c.instant(at).Sub(k.anchor.Add(playlist.Length(k.until(at))))
	if err > astray || err < -astray {
		k.anchor = k.anchor.Add(err)
		k.drift, k.chasing = 0, false
		return 0
	}
	k.drift += (err - k.drift) / 32
	switch {
	case k.drift.Abs() > apart:
		k.chasing = true
	case k.drift.Abs() < near:
		k.chasing = false
	}
	if !k.chasing || len(k.slips) > 0 && at-k.slips[len(k.slips)-1].at < slipOut {
		return 0
	}
	if k.drift > 0 {
		return 1 // late: more of the sound into the same time
	}
	return -1
}
