package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"dalaba/playlist"
)

// lameScale is the factor by which LAME multiplies all sound by default; ffmpeg
// has no option to change it.
const lameScale = 0.95

// encode is the second pass: it sends the source, trimmed, through gain,
// limiter and MP3 encoder into the file. limited is the largest cut by the
// limiter, in dB.
func (g *Ingester) encode(ctx context.Context, s *sound, gainDB, ceilingDB float64, to *os.File, progress Progress) (limited float64, err error) {
	if err := rewind(to); err != nil {
		return 0, err
	}
	in, err := g.decode(ctx, s)
	if err != nil {
		return 0, err
	}
	defer in.stop()

	enc, errs := g.command(ctx, nil, s.ffmpeg, "-hide_banner", "-nostdin", "-v", "error", "-threads", "1",
		"-protocol_whitelist", "pipe", "-f", "f32le", "-ar", strconv.Itoa(playlist.Rate), "-ac", "1", "-i", "pipe:0",
		"-map_metadata", "-1", "-c:a", "libmp3lame", "-b:a", strconv.Itoa(kbps)+"k", "-write_xing", "0", "-id3v2_version", "0",
		"-f", "mp3", "pipe:1")
	most := int64(float64(s.to-s.from)/playlist.Rate*kbps*1000/8) + 1<<16
	enc.Stdout = &capped{to, most}
	pipe, err := enc.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := g.start(enc); err != nil {
		return 0, err
	}

	var raw []byte
	write := func(frames []float32) error {
		raw = raw[:0]
		for _, x := range frames {
			b := math.Float32bits(x / lameScale)
			raw = append(raw, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
		}
		_, err := pipe.Write(raw)
		return err
	}
	limited, err = s.level(in, gainDB, ceilingDB, write, progress)
	err = errors.Join(err, pipe.Close())
	if waitErr := enc.Wait(); waitErr != nil {
		err = &childError{err: errors.Join(err, waitErr), stderr: errs.String()}
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("ffmpeg, encoding: %w", err)
	}
	return limited, nil
}

// level puts the trimmed source through gain and limiter and calls do with the
// result.
func (s *sound) level(in *child, gainDB, ceilingDB float64, do func([]float32) error, progress Progress) (limited float64, err error) {
	lim := newLimiter(ceilingDB)
	gain := float32(math.Pow(10, gainDB/20))
	pcm := s.mono(in)
	var loud, out []float32
	for {
		part, at, err := pcm.trimmed()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		loud = loud[:0]
		for i, x := range part {
			loud = append(loud, x*gain*s.fade(at+int64(i)))
		}
		out = lim.run(out[:0], loud)
		if err := do(out); err != nil {
			return 0, err
		}
		progress(float64(at-s.from) / float64(s.to-s.from))
	}
	return 20 * math.Log10(lim.least), do(lim.flush(out[:0]))
}

// rehearse finds the gain at which the limited source reaches a loudness. It
// tries gains on the excerpt, and assumes that the whole loses as much to the
// limiter. A sound that consists of short peaks cannot reach it with a
// reasonable gain and is refused.
func (s *sound) rehearse(target, ceilingDB float64) (gainDB float64, err error) {
	gainDB = target - s.lufs
	if s.peak+gainDB <= ceilingDB {
		return gainDB, nil // nothing would exceed the ceiling
	}
	most := gainDB + 12
	try := func(gainDB, ceilingDB float64) float64 {
		meter, lim := NewLoudness(), newLimiter(ceilingDB)
		gain := float32(math.Pow(10, gainDB/20))
		var loud, out []float32
		for _, block := range s.excerpt.blocks {
			loud = loud[:0]
			for _, x := range block {
				loud = append(loud, x*gain)
			}
			out = lim.run(out[:0], loud)
			meter.Add(out)
		}
		meter.Add(lim.flush(out[:0]))
		return meter.LUFS()
	}
	plain := try(0, 200) // no ceiling
	if math.IsInf(plain, -1) {
		return gainDB, nil
	}
	slope := 0.75 // dB of loudness gained by a dB of gain
	lastGain, last := 0.0, 0.0
	for n := range 6 {
		got := s.lufs + try(gainDB, ceilingDB) - plain
		if math.Abs(got-target) < 0.1 {
			break
		}
		if gainDB == most && got < target-1 {
			return 0, refuse("ingest.level", got, ceilingDB)
		}
		if n > 0 && gainDB == lastGain {
			break // it is the most
		}
		if n > 0 {
			slope = min(max((got-last)/(gainDB-lastGain), 0.2), 1)
		}
		lastGain, last = gainDB, got
		gainDB = min(gainDB+(target-got)/slope, most)
	}
	return gainDB, nil
}

// excerpt keeps evenly spaced blocks of a sound: at first every block, then, as
// it grows, every second, every fourth.
type excerpt struct {
	blocks  [][]float32
	at      int  // frames into the present block
	keeping bool // the present block is kept, as the last of blocks
	n       int  // blocks begun
	stride  int
}

const (
	excerptBlock = 10 * playlist.Rate
	excerptMost  = 12
)

func (e *excerpt) add(frames []float32) {
	for len(frames) > 0 {
		if len(e.blocks) == 0 || e.at == excerptBlock {
			e.begin()
		}
		n := min(len(frames), excerptBlock-e.at)
		if last := len(e.blocks) - 1; e.keeping {
			e.blocks[last] = append(e.blocks[last], frames[:n]...)
		}
		e.at += n
		frames = frames[n:]
	}
}

// begin starts the next block, whether it is kept or not.
func (e *excerpt) begin() {
	e.at = 0
	e.keeping = e.n%max(e.stride, 1) == 0
	e.n++
	if !e.keeping {
		return
	}
	if len(e.blocks) == excerptMost {
		for i := range excerptMost / 2 {
			e.blocks[i] = e.blocks[2*i]
		}
		e.blocks = e.blocks[:excerptMost/2]
		e.stride = 2 * max(e.stride, 1)
	}
	e.blocks = append(e.blocks, nil)
}

// fade returns the gain of a frame near a cut: 10 ms up and down, none if
// nothing was cut.
func (s *sound) fade(at int64) float32 {
	const n = playlist.Rate / 100
	gain := float32(1)
	if s.from > 0 && at < s.from+n {
		gain = float32(at-s.from) / n
	}
	if s.to < s.frames && at >= s.to-n {
		gain = min(gain, float32(s.to-at)/n)
	}
	return gain
}

// pump reads a clip to its end, as floats, and returns its number of frames.
func pump(air Samples, do func([]float32)) (int64, error) {
	buf := make([]int16, 4096)
	frames := make([]float32, len(buf))
	var total int64
	for {
		n, err := air.Read(buf)
		for i, x := range buf[:n] {
			frames[i] = float32(x) / 32768
		}
		do(frames[:n])
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
