package ingest

import (
	"math"
	"slices"
)

// The arithmetic on samples, here and in the limiter and the proof, has the
// directive go:norace: each function works on data of one goroutine only, and a
// program built with -race would spend nine tenths of its time watching it.

// Loudness measures mono sound at 48 kHz: integrated loudness as ITU-R
// BS.1770-4 gates it, and the true peak four times oversampled. Its memory
// grows by 80 bytes a second of sound.
type Loudness struct {
	shelf, high biquad
	sum         float64 // weighted energy of the present block
	n           int
	blocks      []float64 // mean weighted energy of each 100 ms
	peak        truePeak
}

const blockFrames = 4800

// NewLoudness returns a meter that has measured nothing yet.
func NewLoudness() *Loudness {
	l := &Loudness{
		// BS.1770-4, tables 1 and 2: the shelf filter of the head and the RLB
		// high-pass, for 48 kHz.
		shelf: biquad{b0: 1.53512485958697, b1: -2.69169618940638, b2: 1.19839281085285, a1: -1.69065929318241, a2: 0.73248077421585},
		high:  biquad{b0: 1, b1: -2, b2: 1, a1: -1.99004745483398, a2: 0.99007225036621},
	}
	l.peak.tail = make([]float32, peakTaps) // the silence before
	return l
}

// Add measures more frames; full scale is 1.
//
//go:norace
func (l *Loudness) Add(frames []float32) {
	l.peak.add(frames)
	for _, x := range frames {
		y := l.high.run(l.shelf.run(float64(x)))
		l.sum += y * y
		if l.n++; l.n == blockFrames {
			l.blocks = append(l.blocks, l.sum/blockFrames)
			l.sum, l.n = 0, 0
		}
	}
}

// LUFS returns the integrated loudness; minus infinity if all is below the
// absolute gate of -70 LUFS or there is less than 400 ms.
func (l *Loudness) LUFS() float64 {
	loud := func(energy float64) float64 { return -0.691 + 10*math.Log10(energy) }
	mean := func(gate float64) float64 {
		sum, n := 0.0, 0
		for i := 0; i+4 <= len(l.blocks); i++ {
			e := (l.blocks[i] + l.blocks[i+1] + l.blocks[i+2] + l.blocks[i+3]) / 4
			if e > 0 && loud(e) > gate {
				sum += e
				n++
			}
		}
		if n == 0 {
			return math.Inf(-1)
		}
		return loud(sum / float64(n))
	}
	return mean(max(-70, mean(-70)-10))
}

// Peak returns the true peak in dBTP, with silence before and after.
func (l *Loudness) Peak() float64 {
	end := truePeak{l.peak.max, slices.Clone(l.peak.tail)}
	end.add(make([]float32, peakStep+2*peakTaps))
	return 20 * math.Log10(end.max)
}

// biquad is one second-order filter section, a0 being 1.
type biquad struct {
	b0, b1, b2, a1, a2 float64
	z1, z2             float64
}

//go:norace
func (f *biquad) run(x float64) float64 {
	y := f.b0*x + f.z1
	f.z1 = f.b1*x - f.a1*y + f.z2
	f.z2 = f.b2*x - f.a2*y
	if f.z1 < 1e-25 && f.z1 > -1e-25 {
		f.z1 = 0 // denormals after silence would make it a hundred times slower
	}
	return y
}

// lowpass returns a Butterworth low-pass of even order at 48 kHz.
func lowpass(hz float64, order int) []biquad {
	var out []biquad
	w := 2 * math.Pi * hz / 48000
	for k := range order / 2 {
		q := 1 / (2 * math.Cos(math.Pi*(2*float64(k)+1)/(2*float64(order))))
		alpha, c := math.Sin(w)/(2*q), math.Cos(w)
		out = append(out, biquad{
			b0: (1 - c) / 2 / (1 + alpha), b1: (1 - c) / (1 + alpha), b2: (1 - c) / 2 / (1 + alpha),
			a1: -2 * c / (1 + alpha), a2: (1 - alpha) / (1 + alpha),
		})
	}
	return out
}

// highpass returns a second-order Butterworth high-pass at 48 kHz.
func highpass(hz float64) biquad {
	w := 2 * math.Pi * hz / 48000
	alpha, c := math.Sin(w)/math.Sqrt2, math.Cos(w)
	return biquad{
		b0: (1 + c) / 2 / (1 + alpha), b1: -(1 + c) / (1 + alpha), b2: (1 + c) / 2 / (1 + alpha),
		a1: -2 * c / (1 + alpha), a2: (1 - alpha) / (1 + alpha),
	}
}

// phases interpolate three points between two samples: windowed sincs.
var phases = func() (p [3][peakTaps]float32) {
	for k := range p {
		at := float64(k+1)/4 + peakTaps/2 - 1
		sum := 0.0
		var taps [peakTaps]float64
		for i := range taps {
			x := math.Pi * (float64(i) - at)
			taps[i] = math.Sin(x) / x * (0.5 + 0.5*math.Cos(x/(peakTaps/2+1)))
			sum += taps[i]
		}
		for i := range taps {
			p[k][i] = float32(taps[i] / sum)
		}
	}
	return p
}()

const peakTaps = 24

// overshoot is a bound on how far above its neighbours a point between samples
// can lie: the largest sum of a phase's magnitudes.
var overshoot = func() (most float64) {
	for _, p := range phases {
		sum := 0.0
		for _, t := range p {
			sum += math.Abs(float64(t))
		}
		most = max(most, sum)
	}
	return most
}()

// between returns the largest magnitude among w[peakTaps/2-1], which is a
// sample, and the points between it and the next.
//
//go:norace
func between(w []float32) float64 {
	w = w[:peakTaps]
	most := max(w[peakTaps/2-1], -w[peakTaps/2-1])
	for k := range phases {
		sum := float32(0)
		for i, t := range &phases[k] {
			sum += t * w[i]
		}
		most = max(most, sum, -sum)
	}
	return float64(most)
}

// truePeak follows the largest magnitude on and between samples.
type truePeak struct {
	max  float64
	tail []float32
}

// peakStep is how many frames are examined together: most stretches are too
// quiet to hold a new peak and are skipped whole.
const peakStep = 64

//go:norace
func (t *truePeak) add(frames []float32) {
	t.tail = append(t.tail, frames...)
	w := t.tail
	for len(w) >= peakStep+peakTaps {
		if float64(loudest(w[:peakStep+peakTaps]))*overshoot > t.max {
			for i := range peakStep {
				t.max = max(t.max, between(w[i:]))
			}
		}
		w = w[peakStep:]
	}
	// The rest is examined again with the frames that follow; its samples count
	// now.
	t.max = max(t.max, float64(loudest(w)))
	t.tail = t.tail[:copy(t.tail, w)]
}

//go:norace
func loudest(frames []float32) (most float32) {
	for _, x := range frames {
		most = max(most, x, -x)
	}
	return most
}
