package ingest

import (
	"context"
	"errors"
	"io"
	"math"
	"os"

	"dalaba/playlist"
)

// What a clip must reach to be accepted.
const (
	minSNR         = 50.0 // dB, the player's decoder against ffmpeg's
	minCorrelation = 0.9  // with the source, over the whole clip
	minWorst       = 0.6  // and over any ten seconds that are not silent
)

// proof is the result of comparing a finished clip.
type proof struct {
	lufs, peak         float64
	snr                float64
	correlation, worst float64
	lag                int64
}

// prove decodes a finished clip with the player's decoder and compares it with
// ffmpeg's decoding of it and, if withSource, with the source. It refuses a clip
// of which the two decodings differ.
func (g *Ingester) prove(ctx context.Context, s *sound, file *os.File, withSource bool, progress Progress) (proof, error) {
	info, err := file.Stat()
	if err != nil {
		return proof{}, err
	}
	air, err := g.Decode(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return proof{}, refuse("ingest.decode", err)
	}
	peer, err := g.open(ctx, file, s.ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-threads", "1",
		"-protocol_whitelist", "file", "-f", "mp3", "-i", source, "-ac", "1", "-f", "s16le", "pipe:1")
	if err != nil {
		return proof{}, err
	}
	defer peer.stop()
	blocks, stop := decodeAhead(ctx, air)
	defer stop()

	c := comparison{peer: peer, meter: NewLoudness(), raw: make([]byte, 2*4096)}
	length := float64(s.frames)
	if withSource {
		length = float64(s.to - s.from)
		in, err := g.decode(ctx, s)
		if err != nil {
			return proof{}, err
		}
		defer in.stop()
		c.against = newLikeness(s.mono(in))
	}
	for b := range blocks {
		if b.err != nil {
			return proof{}, refuse("ingest.decode", b.err)
		}
		if err := c.add(b.frames); err != nil {
			return proof{}, err
		}
		progress(float64(c.frames) / length)
	}
	if ctx.Err() != nil {
		return proof{}, ctx.Err()
	}
	if rest, err := io.Copy(io.Discard, peer); err != nil || rest > 2*mpegFrame {
		return proof{}, errors.Join(err, refuse("ingest.peer_length"))
	}
	if err := peer.wait(); err != nil {
		return proof{}, refuse("ingest.peer", err)
	}
	return c.proof()
}

// block is some decoded frames, or why there are no more.
type block struct {
	frames []float32
	err    error
}

// decodeAhead decodes a clip on a goroutine of its own, a little ahead of the
// caller: the player's decoder is the slowest of the four, and so has a core of
// its own. stop ends the goroutine.
func decodeAhead(ctx context.Context, air Samples) (ahead <-chan block, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	blocks, done := make(chan block, 8), make(chan struct{})
	go func() {
		defer close(done)
		defer close(blocks)
		_, err := pump(air, func(frames []float32) {
			select {
			case blocks <- block{frames: append([]float32(nil), frames...)}:
			case <-ctx.Done():
			}
		})
		if err != nil {
			select {
			case blocks <- block{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return blocks, func() { cancel(); <-done }
}

// comparison compares the frames of a clip, block by block.
type comparison struct {
	peer          io.Reader // ffmpeg's decoding
	against       *likeness // with the source; nil: not compared
	meter         *Loudness
	raw           []byte
	signal, noise float64
	frames        int64
}

func (c *comparison) add(frames []float32) error {
	n, err := io.ReadFull(c.peer, c.raw[:2*len(frames)])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n < 2*len(frames) {
		return refuse("ingest.peer_length")
	}
	for i, x := range frames {
		want := float64(int16(c.raw[2*i])|int16(c.raw[2*i+1])<<8) / 32768
		d := want - float64(x)
		c.signal += want * want
		c.noise += d * d
	}
	c.meter.Add(frames)
	c.frames += int64(len(frames))
	if c.against == nil {
		return nil
	}
	return c.against.add(frames)
}

// proof returns the figures once all blocks are added. It refuses a clip of which
// the two decodings differ.
func (c *comparison) proof() (proof, error) {
	p := proof{lufs: c.meter.LUFS(), peak: c.meter.Peak(), snr: 10 * math.Log10(c.signal/max(c.noise, 1e-12))}
	if p.snr < minSNR {
		return p, refuse("ingest.snr", p.snr, minSNR)
	}
	if c.against != nil {
		p.correlation, p.worst, p.lag = c.against.result()
	}
	return p, nil
}

// proofErr refuses a clip that is too unlike its source.
func proofErr(f Figures) error {
	if f.Correlation < minCorrelation || f.Worst < minWorst {
		return refuse("ingest.unlike", f.Correlation, f.Worst)
	}
	return nil
}

// likeness compares a source with the clip made from it, in the band that a
// horn reproduces, 80 Hz to 4 kHz. It finds once by how much the clip is later,
// and then compares the two with that lag.
type likeness struct {
	in           *monoReader
	source, made track
	lag          int64
	aligned      bool
	segments     []cross // of segment frames each
}

// track is sound that is filtered and not yet compared.
type track struct {
	filters    []biquad
	frames     []float32
	whole, cut float64 // energy before and after the filters
}

const (
	segment  = 10 * playlist.Rate
	alignOn  = 20 * playlist.Rate // frames of both that are read before they are aligned
	earliest = -playlist.Rate / 50
	latest   = playlist.Rate / 10
)

// cross sums products of source and clip.
type cross struct {
	xy, xx, yy float64
	n          int
}

func (c cross) correlation() float64 {
	if c.xx == 0 || c.yy == 0 {
		return 0
	}
	return c.xy / math.Sqrt(c.xx*c.yy)
}

func newLikeness(in *monoReader) *likeness {
	l := &likeness{in: in}
	for _, t := range []*track{&l.source, &l.made} {
		t.filters = append(lowpass(4000, 8), highpass(80))
	}
	return l
}

//go:norace
func (t *track) hear(frames []float32) {
	for _, x := range frames {
		y := float64(x)
		for i := range t.filters {
			y = t.filters[i].run(y)
		}
		t.frames = append(t.frames, float32(y))
		t.whole += float64(x) * float64(x)
		t.cut += y * y
	}
}

// add takes more of the clip, reads as much of the source, and compares them.
func (l *likeness) add(made []float32) error {
	l.made.hear(made)
	for len(l.source.frames) < len(l.made.frames) {
		part, _, err := l.in.trimmed()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		l.source.hear(part)
	}
	if l.aligned || len(l.made.frames) >= alignOn && len(l.source.frames) >= alignOn {
		l.compare()
	}
	return nil
}

// result returns the correlation overall and in the worst segment that is not
// quiet, and the lag in frames.
func (l *likeness) result() (all, worst float64, lag int64) {
	l.compare()
	var sum cross
	for _, s := range l.segments {
		sum.xy, sum.xx, sum.yy, sum.n = sum.xy+s.xy, sum.xx+s.xx, sum.yy+s.yy, sum.n+s.n
	}
	if l.source.cut < l.source.whole/1000 {
		return 0, 0, l.lag // such as a whistle: outside of the band of a horn
	}
	all, worst = sum.correlation(), sum.correlation()
	for _, s := range l.segments {
		if s.n >= playlist.Rate && s.xx/float64(s.n) > sum.xx/float64(sum.n)/100 {
			worst = min(worst, s.correlation())
		}
	}
	return all, worst, l.lag
}

//go:norace
func (l *likeness) compare() {
	if !l.aligned {
		l.align()
		l.aligned = true
	}
	n := min(len(l.source.frames), len(l.made.frames))
	for i := range n {
		if k := len(l.segments); k == 0 || l.segments[k-1].n == segment {
			l.segments = append(l.segments, cross{})
		}
		c := &l.segments[len(l.segments)-1]
		x, y := float64(l.source.frames[i]), float64(l.made.frames[i])
		c.xy += x * y
		c.xx += x * x
		c.yy += y * y
		c.n++
	}
	l.source.drop(n)
	l.made.drop(n)
}

func (t *track) drop(n int) {
	n = min(n, len(t.frames))
	t.frames = t.frames[:copy(t.frames, t.frames[n:])]
}

// align finds the lag over the loudest two seconds read so far: first among
// every sixth frame, which is enough for the band, then to the frame.
//
//go:norace
func (l *likeness) align() {
	x, y := l.source.frames, l.made.frames
	from, n := loudestPart(x, min(len(x), 2*playlist.Rate))
	at := func(lag, step int) float64 {
		var c cross
		for i := from; i < from+n; i += step {
			if k := i + lag; k >= 0 && k < len(y) {
				c.xy += float64(x[i]) * float64(y[k])
				c.yy += float64(y[k]) * float64(y[k])
			}
		}
		return c.xy / math.Sqrt(c.yy+1e-12)
	}
	best, most := 0, math.Inf(-1)
	try := func(lag, step int) {
		if v := at(lag, step); v > most {
			best, most = lag, v
		}
	}
	for lag := earliest; lag <= latest; lag += 3 {
		try(lag, 6)
	}
	near := best
	most = math.Inf(-1)
	for lag := near - 6; lag <= near+6; lag++ {
		try(lag, 1)
	}
	l.lag = int64(best)
	l.made.drop(max(best, 0))
	l.source.drop(max(-best, 0))
}

// loudestPart finds the n frames with the most energy, to half a second.
func loudestPart(x []float32, n int) (from, length int) {
	most := -1.0
	for at := 0; at+n <= len(x); at += playlist.Rate / 2 {
		sum := 0.0
		for _, v := range x[at : at+n] {
			sum += float64(v) * float64(v)
		}
		if sum > most {
			from, most = at, sum
		}
	}
	return from, n
}
