package ingest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The limiter is tested directly: in a clip, the encoder would hide what it
// does.
func TestTheLimiterChangesOnlyWhatExceedsTheCeiling(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		frame func(i int) float64
		least float64 // the limiter's least gain must be at least this
	}{
		{"what is below the ceiling is not changed", func(i int) float64 { return 0.5 * math.Sin(float64(i)/20) }, 1},
		{"a click", func(i int) float64 {
			if i == 5000 {
				return 1.9
			}
			return 0.1 * math.Sin(float64(i)/30)
		}, 0.35},
		{"noise that is far too loud", func(int) float64 { return 4 * (rng.Float64()*2 - 1) }, 0.1},
		{"peaks between samples", func(i int) float64 { return math.Sin(math.Pi/2*float64(i) + math.Pi/4) }, 0.6},
		{"a tone that swells", func(i int) float64 { return float64(i) / 20000 * math.Sin(float64(i)/15) }, 0.5},
	} {
		const n, ceiling = 30000, -1.5
		in := make([]float32, n)
		for i := range in {
			in[i] = float32(c.frame(i))
		}
		l := newLimiter(ceiling)
		var out []float32
		for at := 0; at < n; {
			size := min(1+rng.IntN(3000), n-at)
			out = l.run(out, in[at:at+size])
			at += size
		}
		out = l.flush(out)
		if len(out) != n {
			t.Fatalf("%s: %d frames in, %d out", c.name, n, len(out))
		}
		meter := NewLoudness()
		meter.Add(out)
		meter.Add(make([]float32, 200))
		if meter.Peak() > ceiling+0.1 {
			t.Errorf("%s: peaks at %.2f dBTP", c.name, meter.Peak())
		}
		if l.least < c.least {
			t.Errorf("%s: gain down to %.2f", c.name, l.least)
		}
		changed := 0
		for i := range in {
			if math.Abs(float64(out[i]-in[i])) > 1e-4 {
				changed++
			}
		}
		if c.least == 1 && changed > 0 {
			t.Errorf("%s: %d frames changed", c.name, changed)
		}
		if c.name == "a click" && (out[100] != in[100] || out[4500] != in[4500] || math.Abs(float64(out[25000]/in[25000])-1) > 0.01) {
			t.Errorf("%s: it is not let go", c.name)
		}
	}
	for _, n := range []int{0, 1, 7, 63, 64, 239, 240, 500} {
		l := newLimiter(-1)
		if got := l.flush(l.run(nil, make([]float32, n))); len(got) != n {
			t.Errorf("%d frames in, %d out", n, len(got))
		}
	}
}
