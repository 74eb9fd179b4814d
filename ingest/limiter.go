package ingest

import "math"

// limiter keeps the true peak at or below a ceiling. It looks 2 ms ahead, so
// that it need not clip, releases with a time constant of 12 ms, and does not
// change what is below the ceiling. This is fast: it reduces the peaks of a
// voice and no more, and by measurement the result is more like the source than
// that of slower limiters of the same loudness.
type limiter struct {
	ceiling float64
	least   float64 // the smallest gain applied so far

	in          []float32 // not yet processed, after a few that are needed as neighbours
	taken, left int64     // frames in and out

	at    int       // frames processed
	delay []float32 // the last latency frames, as a ring
	needs []need    // gains needed by the last lookAhead frames: only the smaller ones, rising
	held  []float64 // gains to average, as a ring
	hold  float64
	sum   float64 // of held
}

type need struct {
	at   int
	gain float64
}

const (
	lookAhead = 96
	latency   = lookAhead - 1
	release   = 1.0 / 600 // share of the way back to 1, each frame
)

func newLimiter(ceilingDB float64) *limiter {
	l := &limiter{ceiling: math.Pow(10, ceilingDB/20), least: 1, hold: 1, sum: lookAhead}
	l.in = make([]float32, peakTaps/2-1)
	l.delay = make([]float32, latency)
	l.held = make([]float64, lookAhead)
	for i := range l.held {
		l.held[i] = 1
	}
	return l
}

// run takes frames and appends the limited ones to out.
func (l *limiter) run(out, frames []float32) []float32 {
	l.taken += int64(len(frames))
	return l.weigh(out, frames)
}

// flush appends the remaining frames; run must not be called after it.
func (l *limiter) flush(out []float32) []float32 {
	end := len(out) + int(l.taken-l.left)
	return l.weigh(out, make([]float32, latency+2*(peakStep+peakTaps)))[:end]
}

//go:norace
func (l *limiter) weigh(out, frames []float32) []float32 {
	l.in = append(l.in, frames...)
	w := l.in
	for len(w) >= peakStep+peakTaps {
		loud := float64(loudest(w[:peakStep+peakTaps]))*overshoot > l.ceiling
		for i := range peakStep {
			gain := 1.0
			if loud {
				gain = min(1, l.ceiling/between(w[i:]))
			}
			out = l.push(out, w[i+peakTaps/2-1], gain)
		}
		w = w[peakStep:]
	}
	l.in = l.in[:copy(l.in, w)]
	return out
}

// push takes a frame that needs this gain; the frame that came a latency
// earlier leaves. The gain applied to that one is the mean of the lowest gains
// that it and the frames around it need, so that the gain is fully reduced when
// the peak comes.
//
//go:norace
func (l *limiter) push(out []float32, x float32, gain float64) []float32 {
	for len(l.needs) > 0 && l.needs[len(l.needs)-1].gain >= gain {
		l.needs = l.needs[:len(l.needs)-1]
	}
	l.needs = append(l.needs, need{l.at, gain})
	if l.needs[0].at <= l.at-lookAhead {
		l.needs = l.needs[1:]
	}
	l.hold = min(l.needs[0].gain, l.hold+(1-l.hold)*release)
	if l.hold > 0.99999 {
		l.hold = 1
	}
	i := l.at % lookAhead
	l.sum += l.hold - l.held[i]
	l.held[i] = l.hold

	at := l.at % latency
	y := l.delay[at]
	l.delay[at] = x
	l.at++
	if l.at <= latency {
		return out
	}
	mean := min(1, l.sum/lookAhead)
	l.least = min(l.least, mean)
	l.left++
	return append(out, float32(float64(y)*mean))
}
