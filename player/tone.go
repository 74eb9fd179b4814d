package player

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/faiface/beep"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// Tone is a sine of hz at levelDB below full scale, with 10 ms of fade at
// both ends.
func Tone(hz, levelDB float64, length time.Duration) beep.Streamer {
	return &bell{partials: []partial{{hz: hz, amp: math.Pow(10, levelDB/20), to: playlist.FramesIn(length)}}}
}

// Chime is the station tone before a lesson: three falling notes, G5 E5 C5,
// schedule.ChimeLength long. It is no alerting signal of any country.
func Chime() beep.Streamer {
	notes := []float64{783.99, 659.26, 523.25}
	step := playlist.FramesIn(350 * time.Millisecond)
	end := playlist.FramesIn(schedule.ChimeLength)
	b := &bell{}
	for i, hz := range notes {
		from := int64(i) * step
		b.partials = append(b.partials,
			partial{hz: hz, amp: 0.22, from: from, to: end, decay: 0.35},
			partial{hz: 2 * hz, amp: 0.06, from: from, to: end, decay: 0.2})
	}
	return b
}

// bell adds up decaying sines.
type bell struct {
	partials []partial
	at       int64
}

type partial struct {
	hz, amp  float64
	from, to int64
	decay    float64 // seconds to fall to 1/e; 0: held
}

//go:norace
func (b *bell) Stream(samples [][2]float64) (n int, ok bool) {
	end := int64(0)
	for _, p := range b.partials {
		end = max(end, p.to)
	}
	const edge = playlist.Rate / 100
	for n < len(samples) && b.at < end {
		v := 0.0
		for _, p := range b.partials {
			if b.at < p.from || b.at >= p.to {
				continue
			}
			i := b.at - p.from
			a := p.amp * min(1, float64(i)/edge) * min(1, float64(p.to-b.at)/edge)
			if p.decay > 0 {
				a *= math.Exp(-float64(i) / playlist.Rate / p.decay)
			}
			v += a * math.Sin(2*math.Pi*p.hz*float64(i)/playlist.Rate)
		}
		samples[n] = [2]float64{v, v}
		n++
		b.at++
	}
	return n, n > 0
}

func (b *bell) Err() error { return nil }

// attention is the tone that goes ahead of an alert: three rising notes, 650,
// 820 and 1040 Hz, 300 ms each, and a pause of 200 ms, again and again. It is
// no protected signal of any country. It sounds for its least time, then until
// enough is called, and no longer than its most, always to the end of the
// figure.
type attention struct {
	bell
	figure      int64 // frames of one
	least, most int64 // frames, whole figures
	at          int64
	over        atomic.Bool
}

func newAttention(least, most time.Duration) *attention {
	const note, rest = 300 * time.Millisecond, 200 * time.Millisecond
	t := &attention{figure: playlist.FramesIn(3*note + rest)}
	for i, hz := range []float64{650, 820, 1040} {
		from := playlist.FramesIn(time.Duration(i) * note)
		t.partials = append(t.partials, partial{hz: hz, amp: 0.5, from: from, to: from + playlist.FramesIn(note)})
	}
	// The rest is a note without loudness.
	t.partials = append(t.partials, partial{from: t.figure - 1, to: t.figure})
	figures := func(d time.Duration) int64 { return max(1, (playlist.FramesIn(d)+t.figure-1)/t.figure) * t.figure }
	t.least = figures(least)
	t.most = max(t.least, playlist.FramesIn(most)/t.figure*t.figure)
	return t
}

func (t *attention) enough() { t.over.Store(true) }

func (t *attention) Stream(samples [][2]float64) (n int, ok bool) {
	for n < len(samples) {
		if t.bell.at >= t.figure {
			if t.at >= t.most || t.at >= t.least && t.over.Load() {
				break
			}
			t.bell.at = 0
		}
		m, _ := t.bell.Stream(samples[n:])
		n += m
		t.at += int64(m)
	}
	return n, n > 0
}
