package player

import (
	"math"
	"sync"
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
// figure, and as long on every output that sounds it.
type attention struct {
	least, most int64 // figures

	mu    sync.Mutex
	begun int64 // figures, on the output that is furthest
	last  int64 // figures in all; 0: not decided
}

const (
	attentionNote = 300 * time.Millisecond
	attentionRest = 200 * time.Millisecond
)

// figure is the tone's figure, which every alert begins with.
var figure = sync.OnceValue(func() [][2]float64 {
	var b bell
	for i, hz := range []float64{650, 820, 1040} {
		from := playlist.FramesIn(time.Duration(i) * attentionNote)
		b.partials = append(b.partials, partial{hz: hz, amp: 0.5, from: from, to: from + playlist.FramesIn(attentionNote)})
	}
	f := make([][2]float64, playlist.FramesIn(3*attentionNote+attentionRest))
	b.Stream(f)
	return f
})

func newAttention(least, most time.Duration) *attention {
	one := int64(len(figure()))
	t := &attention{least: max(1, (playlist.FramesIn(least)+one-1)/one)}
	t.most = max(t.least, playlist.FramesIn(most)/one)
	return t
}

// shortest is how many frames it is at least.
func (t *attention) shortest() int64 { return t.least * int64(len(figure())) }

// enough ends the tone as soon as every output can, and returns how many frames
// it is in all.
func (t *attention) enough() (frames int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == 0 {
		t.last = max(t.least, t.begun)
	}
	return t.last * int64(len(figure()))
}

// more reports whether a further figure sounds after that many.
func (t *attention) more(sounded int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == 0 && sounded >= t.most {
		t.last = t.most
	}
	if t.last > 0 && sounded >= t.last {
		return false
	}
	t.begun = max(t.begun, sounded+1)
	return true
}

// attentionOn is the tone on one output.
type attentionOn struct {
	*attention
	sounded int64 // figures
	left    [][2]float64
}

func (t *attentionOn) Stream(samples [][2]float64) (n int, ok bool) {
	for n < len(samples) {
		if len(t.left) == 0 {
			if !t.more(t.sounded) {
				break
			}
			t.sounded++
			t.left = figure()
		}
		m := copy(samples[n:], t.left)
		t.left = t.left[m:]
		n += m
	}
	return n, n > 0
}

func (t *attentionOn) Err() error { return nil }
