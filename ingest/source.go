package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"dalaba/data/shared"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Open opens the file of an item, as [Ingester.openSource] does.
func (g *Ingester) Open(item Item) (*os.File, error) { return g.in(item).openSource(item.Path) }

// in returns the ingester that takes a file of the item's for nothing that is
// elsewhere.
func (g *Ingester) in(item Item) *Ingester {
	if item.Within == "" || g.within != "" {
		return g
	}
	taker := *g
	taker.within = item.Within
	return &taker
}

// openSource opens a file to import if it is a regular file under its own name:
// no link, no pipe, no device. Below the folder within which it must be, no folder is
// a link either. For anything else the error is an ErrRefused.
func (g *Ingester) openSource(path string) (*os.File, error) {
	top, name := filepath.Dir(path), filepath.Base(path)
	if g.within != "" {
		var ok bool
		if name, ok = shared.Rel(g.within, path); !ok {
			return nil, refuse("ingest.list_outside")
		}
		top = g.within
	}
	dir, err := shared.Open(top)
	var f *os.File
	if err == nil {
		f, err = dir.Open(name)
		err = errors.Join(err, dir.Close())
	}
	switch {
	case errors.Is(err, shared.ErrLink):
		return nil, refuse("ingest.link")
	case errors.Is(err, shared.ErrSpecial), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return nil, refuse("ingest.special")
	case errors.Is(err, shared.ErrFolder):
		return nil, refuse("ingest.folder")
	case errors.Is(err, shared.ErrTwice):
		return nil, refuse("ingest.twice")
	case errors.Is(err, os.ErrNotExist), errors.Is(err, shared.ErrFile), errors.Is(err, syscall.ENOTDIR):
		return nil, refuse("ingest.missing")
	case errors.Is(err, os.ErrPermission):
		return nil, refuse("ingest.forbidden")
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	most := g.Limits.filled().Bytes
	switch {
	case err != nil:
	case info.Size() == 0:
		err = refusal{say.M("ingest.empty"), ErrIncomplete}
	case info.Size() > most:
		err = refuse("ingest.big", info.Size()>>20, most>>20)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sound is a source that ffmpeg can read, and what is known about it.
type sound struct {
	src              *os.File
	ffmpeg           string
	format           string // container and codec
	container, codec string // as ffprobe names them
	tags             Meta
	stream           int
	rate             int
	channels         int
	declared         float64 // seconds according to the container; 0: not reliable
	part             float64 // how much of the sound is there according to its header, 1 for all

	asIs     bool // it is taken however much is missing
	arriving bool // more of it may still come

	mix        mix
	frames     int64 // at playlist.Rate
	from, to   int64 // the frames left after trimming
	lufs, peak float64
	faults     int    // errors of decoding
	missing    Damage // what the source lacks
	cut        bool   // it ends inside a frame
	excerpt    excerpt
}

// mix is how two channels become one.
type mix int

const (
	mixBoth mix = iota
	mixLeft
	mixRight
)

// probe asks ffprobe what a file contains.
func (g *Ingester) probe(ctx context.Context, probe string, src *os.File) (*sound, error) {
	args := append([]string{"-hide_banner", "-v", "error", "-probesize", "32M", "-analyzeduration", "20M"}, input()...)
	// Without validation, tags that are not UTF-8 come as they are.
	args = append(args, "-of", "json=string_validation=ignore", "-show_entries",
		"format=format_name,duration:format_tags=title,album,track:"+
			"stream=index,codec_type,codec_name,sample_rate,channels,duration:stream_disposition=default:stream_tags=title,album,track")
	cmd, errs := g.command(ctx, src, probe, args...)
	var out bytes.Buffer
	cmd.Stdout = &capped{&out, 4 << 20}
	if err := g.start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if strings.Contains(string(errs.buf), "not on whitelist") {
			return nil, refuse("ingest.no_media")
		}
		if strings.Contains(string(errs.buf), "moov atom not found") {
			return nil, refusal{say.M("ingest.not_sound", byFFmpeg(errs.String())), ErrIncomplete} // its index comes last
		}
		return nil, refuse("ingest.not_sound", byFFmpeg(errs.String()))
	}
	var found struct {
		Format struct {
			Name     string `json:"format_name"`
			Duration string `json:"duration"`
			Tags     fileTags
		} `json:"format"`
		Streams []struct {
			Index       int    `json:"index"`
			Type        string `json:"codec_type"`
			Codec       string `json:"codec_name"`
			Rate        string `json:"sample_rate"`
			Channels    int    `json:"channels"`
			Duration    string `json:"duration"`
			Disposition struct {
				Default int `json:"default"`
			} `json:"disposition"`
			Tags fileTags
		} `json:"streams"`
	}
	if err := json.Unmarshal(escaped(out.Bytes()), &found); err != nil {
		return nil, fmt.Errorf("ffprobe: %w", err)
	}
	best, alone := -1, true
	for i, s := range found.Streams {
		alone = alone && s.Type == "audio"
		if s.Type == "audio" && s.Channels > 0 && (best < 0 || s.Disposition.Default > found.Streams[best].Disposition.Default) {
			best = i
		}
	}
	if best < 0 {
		return nil, refuse("ingest.no_audio")
	}
	a := found.Streams[best]
	container, _, _ := strings.Cut(found.Format.Name, ",")
	s := &sound{
		src: src, format: found.Format.Name + "/" + a.Codec, container: container, codec: a.Codec,
		stream: a.Index, channels: a.Channels, tags: tagsMeta(found.Format.Tags, a.Tags),
	}
	s.rate, _ = strconv.Atoi(a.Rate) // shown to people only
	// The length of a bare stream is only a guess, and a film's is not that of
	// its sound.
	seconds, err := strconv.ParseFloat(a.Duration, 64)
	if err != nil && alone {
		seconds, err = strconv.ParseFloat(found.Format.Duration, 64)
	}
	s.part = containerPart(src, container)
	if err == nil && slices.Contains(exact, container) {
		s.declared = seconds
	}
	if stated := asfLength(src, container); stated > 0 {
		s.declared = stated
	}
	if most := g.Limits.filled().Length; s.declared > 0 && seconds > most.Seconds() {
		return nil, refuse("ingest.long", round(seconds), most)
	}
	return s, nil
}

// exact are the containers, as ffprobe names them, that state how long the sound
// is.
var exact = []string{"wav", "mov", "ogg", "flac", "matroska", "aiff", "caf", "w64", "au", "wv", "tta", "ape"}

func round(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds)) * time.Second
}

// decode starts ffmpeg on the source: 48 kHz, 32-bit floats, one channel if the
// source is mono, else two.
func (g *Ingester) decode(ctx context.Context, s *sound) (*child, error) {
	return g.open(ctx, s.src, s.ffmpeg, s.decoding()...)
}

func (s *sound) decoding() []string {
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error", "-threads", "1"}, input()...)
	return append(args, "-map", "0:"+strconv.Itoa(s.stream), "-map_metadata", "-1",
		"-ac", strconv.Itoa(min(s.channels, 2)), "-ar", strconv.Itoa(playlist.Rate), "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1")
}

// decodeTimed is decode, with the gaps between the times of the decoded frames.
// gaps waits until the child has ended, and must be called.
func (g *Ingester) decodeTimed(ctx context.Context, s *sound) (c *child, gaps func() []Gap, err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	args := append(s.decoding(), "-map", "0:"+strconv.Itoa(s.stream), "-c:a", "pcm_s16le", "-f", "framecrc", "pipe:4")
	c, err = g.openWith(ctx, []*os.File{s.src, in}, s.ffmpeg, args...)
	if err := errors.Join(err, in.Close()); err != nil {
		return nil, nil, errors.Join(err, out.Close())
	}
	found := make(chan []Gap, 1)
	go func() {
		found <- timeline(out)
		_ = out.Close()
	}()
	return c, sync.OnceValue(func() []Gap { return <-found }), nil
}

// timeline reads what ffmpeg's framecrc writes, a line for each frame: stream,
// decoding time, time, duration, size and checksum. It returns the gaps between
// one frame and the next.
func timeline(r io.Reader) (gaps []Gap) {
	unit, end, begun := 0.0, int64(0), false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var num, den float64
		if n, _ := fmt.Sscanf(lines.Text(), "#tb 0: %g/%g", &num, &den); n == 2 && den > 0 {
			unit = num / den
		}
		fields := strings.Split(lines.Text(), ",")
		if len(fields) < 5 {
			continue
		}
		at, err1 := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		length, err2 := strconv.ParseInt(strings.TrimSpace(fields[3]), 10, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		if lost := float64(at-end) * unit; begun && lost >= minGap {
			gaps = append(gaps, Gap{At: float64(end) * unit, Seconds: lost})
		}
		begun, end = true, at+length
	}
	return gaps
}

// measure is the first pass: it reads the whole source once.
func (g *Ingester) measure(ctx context.Context, s *sound, progress Progress) error {
	for {
		heard, err := g.listen(ctx, s, progress)
		if err != nil {
			return err
		}
		// If one of two channels is inverted they cancel each other: then use
		// one of them.
		if s.channels > 1 && s.mix == mixBoth && heard.both < 0.05*max(heard.left, heard.right) {
			s.mix = mixLeft
			if heard.right > heard.left {
				s.mix = mixRight
			}
			continue
		}
		if s.frames == 0 {
			return refuse("ingest.no_audio")
		}
		if s.missing, s.cut, err = s.damage(heard.gaps, float64(s.frames)/playlist.Rate); err != nil {
			return err
		}
		if err := s.damaged(); err != nil {
			return err
		}
		l := g.Limits.filled()
		switch {
		case s.frames < playlist.FramesIn(l.Short):
			return refuse("ingest.short", playlist.Length(s.frames).Round(time.Millisecond), l.Short)
		case s.lufs < -60 || s.peak < -60:
			return refuse("ingest.silent")
		}
		s.trim(heard.energy)
		if s.to-s.from < playlist.FramesIn(l.Short) {
			return refuse("ingest.short", playlist.Length(s.to-s.from).Round(time.Millisecond), l.Short)
		}
		return nil
	}
}

// damaged refuses a source that is damaged, unless it is to be taken as it is. Of
// a file that may still be arriving nothing may be missing.
func (s *sound) damaged() error {
	switch {
	case s.asIs:
		return nil
	case s.arriving && len(s.missing) > 0:
		return s.missing.refusal()
	case s.arriving && s.cut:
		return refusal{say.M("ingest.incomplete", say.M("ingest.gap_open", position(float64(s.frames)/playlist.Rate))), ErrIncomplete}
	}
	return damaged(s.missing, s.faults, float64(s.frames)/playlist.Rate)
}

// damaged is the refusal of a source that lacks too much, or that cannot be
// decoded in too many places for its length in seconds; else nil.
func damaged(missing Damage, faults int, seconds float64) error {
	if err := missing.Err(); err != nil {
		return err
	}
	if faults > 20+int(seconds) {
		return refuse("ingest.corrupt", faults)
	}
	return nil
}

// heard is what the first pass measures of a source.
type heard struct {
	left, right, both float64
	gaps              []Gap     // between the times of decoded frames
	energy            []float32 // mean square of each silenceBlock
}

const silenceBlock = playlist.Rate / 100

func (g *Ingester) listen(ctx context.Context, s *sound, progress Progress) (heard, error) {
	var h heard
	meter := NewLoudness()
	most := playlist.FramesIn(g.Limits.filled().Length)
	s.frames, s.faults, s.excerpt = 0, 0, excerpt{}
	var sum float64
	n := 0
	c, gaps, err := g.decodeTimed(ctx, s)
	if err != nil {
		return h, err
	}
	defer gaps()
	defer c.stop()
	in := s.mono(c)
	for {
		frames, _, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return h, err
		}
		s.frames += int64(len(frames))
		if s.frames > most {
			return h, refuse("ingest.long", playlist.Length(s.frames).Round(time.Second), g.Limits.filled().Length)
		}
		meter.Add(frames)
		s.excerpt.add(frames)
		for _, x := range frames {
			sum += float64(x) * float64(x)
			if n++; n == silenceBlock {
				h.energy = append(h.energy, float32(sum/silenceBlock))
				h.both += sum
				sum, n = 0, 0
			}
		}
		if s.declared > 0 {
			progress(float64(s.frames) / playlist.Rate / s.declared)
		}
	}
	h.left, h.right = in.left, in.right
	h.both += sum
	if err := c.wait(); err != nil {
		if ctx.Err() != nil {
			return h, ctx.Err()
		}
		return h, refuse("ingest.not_sound", byFFmpeg(c.tail.String()))
	}
	h.gaps = gaps()
	if s.faults = c.tail.faults; strings.HasPrefix(s.codec, "amr_") {
		s.faults = 0 // ffmpeg calls the frames that stand for a pause errors
	}
	s.lufs, s.peak = meter.LUFS(), meter.Peak()
	return h, nil
}

// monoReader reads a decoded source, mixed to one channel.
type monoReader struct {
	s           *sound
	r           io.Reader
	raw         []byte
	frames      []float32
	at          int64
	left, right float64 // energy of each channel so far
}

func (s *sound) mono(r io.Reader) *monoReader {
	const n = 8192
	return &monoReader{s: s, r: r, raw: make([]byte, 4*min(s.channels, 2)*n), frames: make([]float32, n)}
}

// next returns the next frames and their position in the source; io.EOF after
// the last. The frames are valid until the next call.
//
//go:norace
func (m *monoReader) next() (frames []float32, at int64, err error) {
	n, err := io.ReadFull(m.r, m.raw)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, m.at, err
	}
	if m.s.channels == 1 {
		n /= 4
		for i := range n {
			m.frames[i] = sample(m.raw[4*i:])
		}
	} else {
		n /= 8
		for i := range n {
			l, r := sample(m.raw[8*i:]), sample(m.raw[8*i+4:])
			m.left += float64(l) * float64(l)
			m.right += float64(r) * float64(r)
			switch m.s.mix {
			case mixLeft:
				m.frames[i] = l
			case mixRight:
				m.frames[i] = r
			default:
				m.frames[i] = (l + r) / 2
			}
		}
	}
	at = m.at
	m.at += int64(n)
	return m.frames[:n], at, nil
}

// trimmed is next without the frames that trimming removes.
func (m *monoReader) trimmed() (frames []float32, at int64, err error) {
	frames, at, err = m.next()
	n := int64(len(frames))
	from := min(max(m.s.from-at, 0), n)
	to := min(max(m.s.to-at, from), n)
	return frames[from:to], at + from, err
}

// sample reads a float. A value that is not a number or is far too large, as
// files of floats may hold, is read as silence.
func sample(b []byte) float32 {
	_ = b[3]
	x := math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
	if x > -64 && x < 64 {
		return x
	}
	return 0
}

// trim finds where the sound begins and ends, and keeps keepFrames of silence
// around it. Silence is 40 dB below the loudness of the whole.
func (s *sound) trim(energy []float32) {
	quiet := float32(math.Pow(10, max(s.lufs-40, -75)/10))
	loud := func(e float32) bool { return e > quiet }
	first := slices.IndexFunc(energy, loud)
	if first < 0 {
		s.from, s.to = 0, s.frames
		return
	}
	last := len(energy) - 1
	for !loud(energy[last]) {
		last--
	}
	s.from = max(0, int64(first)*silenceBlock-keepFrames)
	s.to = min(s.frames, int64(last+1)*silenceBlock+keepFrames)
}

// changes returns, for people, what was done to the source.
func (s *sound) changes(f Figures) []say.Message {
	out := []say.Message{say.M("ingest.encoded", f.Format, kbps), say.M("ingest.levelled", f.GainDB)}
	if f.LimitedDB < -0.5 {
		out = append(out, say.M("ingest.limited", -f.LimitedDB))
	}
	if f.TrimmedHead > 0.05 || f.TrimmedTail > 0.05 {
		out = append(out, say.M("ingest.trimmed", f.TrimmedHead, f.TrimmedTail))
	}
	if s.channels > 1 && s.mix == mixBoth {
		out = append(out, say.M("ingest.mixed", s.channels))
	}
	if s.mix != mixBoth {
		out = append(out, say.M("ingest.antiphase"))
	}
	if s.lufs < -40 {
		out = append(out, say.M("ingest.faint", s.lufs))
	}
	return out
}

// copyFit copies a source that Door accepts.
func (g *Ingester) copyFit(src *os.File, to *os.File) (playlist.Clip, error) {
	if err := rewind(to); err != nil {
		return playlist.Clip{}, err
	}
	info, err := src.Stat()
	if err != nil {
		return playlist.Clip{}, err
	}
	return g.Door(io.TeeReader(io.NewSectionReader(src, 0, info.Size()), to))
}

// keep uses the source unchanged if it airs right; kept is false if it must be
// made anew.
func (g *Ingester) keep(src *os.File, s *sound, to *os.File) (clip playlist.Clip, kept bool, err error) {
	if math.Abs(s.lufs-TargetLUFS) > 1 || s.peak > CeilingDBTP || s.frames-(s.to-s.from) > playlist.Rate/2 {
		return clip, false, nil
	}
	clip, err = g.copyFit(src, to)
	if err != nil {
		var why say.Message
		if errors.As(err, &why) {
			return clip, false, nil
		}
		return clip, false, err
	}
	return clip, true, nil
}

// admit checks a finished clip with Door.
func (g *Ingester) admit(file *os.File) (playlist.Clip, error) {
	info, err := file.Stat()
	if err != nil {
		return playlist.Clip{}, err
	}
	return g.Door(io.NewSectionReader(file, 0, info.Size()))
}

func rewind(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// recommend returns the command that turns a file into an air clip on a machine
// with ffmpeg, quoted for a shell.
func recommend(name string) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	in := name
	if !strings.HasPrefix(in, "/") {
		in = "./" + in
	}
	out := strings.TrimSuffix(in, ".mp3") + ".air.mp3"
	return "ffmpeg -i file:" + quote(in) + " -map 0:a:0 -map_metadata -1 -af loudnorm=I=-16:TP=-1.5 -ac 1 -ar 48000 -c:a libmp3lame -b:a 64k" +
		" -write_xing 0 -id3v2_version 0 file:" + quote(out)
}
