package ingest

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"slices"

	"dalaba/playlist"
)

// What a clip must reach to be accepted.
const (
	minSNR         = 50.0 // dB, the player's decoder against ffmpeg's
	minCorrelation = 0.91 // with the source, over the whole clip; bits at random that decode as speech reach 0.906
	minWorst       = 0.6  // and over any tenth of a second that is not quiet
)

// proof is the result of comparing a finished clip.
type proof struct {
	lufs, peak         float64
	snr                float64
	correlation, worst float64
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
		return proof{}, refuse("ingest.peer", byFFmpeg(err.Error()))
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
		if err := c.against.end(); err != nil {
			return p, err
		}
		p.correlation, p.worst = c.against.result()
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
// horn reproduces, 80 Hz to 4 kHz, piece by piece. The clip is later by the delay
// of the coding, which is known: no sound has to tell where it belongs, as a
// steady tone could not.
type likeness struct {
	in           *monoReader
	source, made track
	late         int // frames of the clip that come before the source begins
	pieces       []cross
}

// codecDelay is by how many frames the decoded clip is later than its source: 576
// by the encoder and 529 by the decoder, as LAME's documentation says.
const codecDelay = 576 + 529

// track is sound that is filtered and not yet compared.
type track struct {
	filters    []biquad
	frames     []float32
	whole, cut float64 // energy before and after the filters
}

// piece is how many frames are summed up together.
const piece = playlist.Rate / 20

// cross sums products of source and clip.
type cross struct {
	xy, xx, yy float64
	n          int
}

func (c cross) plus(d cross) cross { return cross{c.xy + d.xy, c.xx + d.xx, c.yy + d.yy, c.n + d.n} }

func (c cross) correlation() float64 {
	if c.xx == 0 || c.yy == 0 {
		return 0
	}
	return c.xy / math.Sqrt(c.xx*c.yy)
}

func newLikeness(in *monoReader) *likeness {
	l := &likeness{in: in, late: codecDelay}
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
	for len(l.source.frames)+l.late < len(l.made.frames) {
		part, _, err := l.in.trimmed()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		l.source.hear(part)
	}
	l.compare()
	return nil
}

//go:norace
func (l *likeness) compare() {
	if late := min(l.late, len(l.made.frames)); late > 0 {
		l.made.drop(late)
		l.late -= late
	}
	n := min(len(l.source.frames), len(l.made.frames))
	for i := range n {
		if k := len(l.pieces); k == 0 || l.pieces[k-1].n == piece {
			l.pieces = append(l.pieces, cross{})
		}
		c := &l.pieces[len(l.pieces)-1]
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

// end compares what is left of the source once the clip has ended: what the clip
// lacks is silence.
func (l *likeness) end() error {
	for {
		part, _, err := l.in.trimmed()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		l.source.hear(part)
	}
	if rest := len(l.source.frames) + l.late - len(l.made.frames); rest > 0 {
		l.made.frames = append(l.made.frames, make([]float32, rest)...)
	}
	l.compare()
	return nil
}

// result returns the mean correlation of all windows of two pieces, weighted by
// their energy, and that of the worst window that is not quiet. Each window has a
// gain of its own: the limiter lowers the loud ones.
func (l *likeness) result() (all, worst float64) {
	var sum cross
	var windows []cross
	for i, c := range l.pieces {
		sum = sum.plus(c)
		if i > 0 {
			windows = append(windows, l.pieces[i-1].plus(c))
		}
	}
	if l.source.cut < l.source.whole/1000 || sum.xx == 0 || sum.yy == 0 {
		return 0, 0 // such as a whistle: outside of the band of a horn
	}
	energy := make([]float64, len(windows)) // of the louder one of source and clip
	for i, c := range windows {
		energy[i] = max(c.xx*sum.yy/sum.xx, c.yy)
	}
	weight := 0.0
	worst = 1
	for i, c := range windows {
		all += energy[i] * c.correlation()
		weight += energy[i]
		near := slices.Max(energy[max(0, i-masked):min(i+masked+1, len(energy))])
		if energy[i] > near*quiet && energy[i]/float64(c.n) > faint*sum.yy/float64(sum.n) {
			worst = min(worst, c.correlation())
		}
	}
	return all / weight, worst
}

// A window is quiet if its energy is less than this part of that of one at most so
// many pieces away, whose coding noise it holds, or of the mean.
const (
	quiet  = 0.01
	masked = 6
	faint  = 0.0001
)
