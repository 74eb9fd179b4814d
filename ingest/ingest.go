package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The levels of every clip: integrated loudness and the highest true peak, as
// the pole decodes it.
const (
	TargetLUFS  = -16.0
	CeilingDBTP = -1.5
)

// Recipe names how ingest makes clips. A source made into a clip by another
// recipe is made anew.
const Recipe = "air 1: 48 kHz mono 64 kbit/s, -16 LUFS, -1.5 dBTP, 200 ms"

const (
	kbps       = 64
	keepFrames = playlist.Rate / 5 // silence kept at each end
	mpegFrame  = 1152
)

// ErrRefused marks input that cannot become a clip. Such errors hold a
// [say.Message] with the reason and what to do.
var ErrRefused = errors.New("refused")

// ErrNoProgram marks a refusal that installing a program would solve.
var ErrNoProgram = errors.New("program missing")

// refusal is an ErrRefused whose text is its message.
type refusal struct {
	say.Message
	cause error
}

func (r refusal) Unwrap() error { return r.Message }
func (r refusal) Is(target error) bool {
	return target == ErrRefused || r.cause != nil && errors.Is(r.cause, target)
}

func refuse(key string, args ...any) error { return refusal{Message: say.M(key, args...)} }

// Samples is a clip being decoded: mono S16 frames at [playlist.Rate], io.EOF
// at the end. player.Decoder is one.
type Samples interface {
	Read(frames []int16) (int, error)
}

// Limits bound what one source may cost. Zero values mean the defaults.
type Limits struct {
	Length time.Duration // of the sound; default 3 h
	Short  time.Duration // what is shorter than this after trimming is not a clip; default 500 ms
	Bytes  int64         // of the source; default 4 GiB
	Wall   time.Duration // run time of one program; default 15 min
	Memory int64         // address space of each child, in bytes; default 2 GiB
}

func (l Limits) filled() Limits {
	def := func(v, d int64) int64 {
		if v == 0 {
			return d
		}
		return v
	}
	return Limits{
		Length: time.Duration(def(int64(l.Length), int64(3*time.Hour))),
		Short:  time.Duration(def(int64(l.Short), int64(500*time.Millisecond))),
		Bytes:  def(l.Bytes, 4<<30),
		Wall:   time.Duration(def(int64(l.Wall), int64(15*time.Minute))),
		Memory: def(l.Memory, 2<<30),
	}
}

// Ingester makes clips. Door and Decode must be set.
type Ingester struct {
	// FFmpeg and FFprobe are the programs; if empty, they are looked up on
	// PATH. If there are none, only files that already match the air profile
	// are accepted.
	FFmpeg, FFprobe string

	// Speech turns text into sound.
	Speech Speech

	// Door is the player's check of a clip: it returns the clip with ID, Frames
	// and Size if the clip is fit to air, else an error that holds a
	// say.Message.
	Door func(io.Reader) (playlist.Clip, error)

	// Decode is the player's decoder.
	Decode func(io.Reader) (Samples, error)

	Limits Limits

	// TempDir is the folder in which clips are made; if empty, the system's.
	// Nothing is left there but the Result's file.
	TempDir string

	urgent   bool
	within   string // a folder of others: all that is read is in it, and no link is followed there; empty: anywhere
	arriving bool   // more of the source may still come
}

// Progress is called with how far the work has come, in percent, never
// backwards. It may be nil.
type Progress func(percent float64)

// Result is a clip that was compared with its source and found right.
type Result struct {
	Clip    playlist.Clip
	Path    string // the clip's file; the caller moves or removes it
	Figures Figures
}

// Figures are what ingest measured and changed. Loudness is in LUFS, peaks
// are true peaks in dBTP.
type Figures struct {
	Format      string  `json:"format"` // container and codec, as ffprobe names them
	SourceRate  int     `json:"source_rate,omitempty"`
	Channels    int     `json:"channels,omitempty"`
	Seconds     float64 `json:"seconds"`           // of the source
	TrimmedHead float64 `json:"trimmed_head"`      // seconds of silence removed
	TrimmedTail float64 `json:"trimmed_tail"`      //
	LUFSBefore  Decibel `json:"lufs_before"`       //
	PeakBefore  Decibel `json:"peak_before"`       //
	GainDB      float64 `json:"gain_db"`           //
	LimitedDB   float64 `json:"limited_db"`        // the largest cut by the limiter, as a negative number
	LUFS        Decibel `json:"lufs"`              // of the clip as the player decodes it
	Peak        Decibel `json:"peak"`              //
	SNR         Decibel `json:"snr_db"`            // the player's decoder against ffmpeg's
	Correlation float64 `json:"correlation"`       // of clip and source, 80 Hz to 4 kHz; 1 if Kept
	Worst       float64 `json:"worst"`             // the same, of the worst tenth of a second that is not quiet
	Kbps        int     `json:"kbps"`              //
	Faults      int     `json:"faults"`            // errors of decoding that ffmpeg reported in the source
	Missing     Damage  `json:"missing,omitempty"` // what the source lacks
	Cut         bool    `json:"cut,omitempty"`     // it ends inside a frame
	Kept        bool    `json:"kept"`              // the clip is the source, byte for byte
	Unproven    bool    `json:"unproven"`          // no ffmpeg was there to compare with
	Spent       Spent   `json:"spent_seconds"`     //

	Changes []say.Message `json:"changes,omitempty"` // for people
}

// Damaged returns the ErrRefused with which an import refuses such a source if it
// is not told to take it as it is, or nil.
func (f *Figures) Damaged() error { return damaged(f.Missing, f.Faults, f.Seconds) }

// Warnings returns what a person should know of before the clip airs.
func (f *Figures) Warnings() []say.Message {
	all := f.faults()
	for _, m := range f.Changes {
		if m.Key == "ingest.faint" || m.Key == "ingest.unlevelled" {
			all = append(all, m)
		}
	}
	return all
}

// faults returns what is wrong with the source.
func (f *Figures) faults() (all []say.Message) {
	for _, m := range f.Missing.Messages() {
		all = append(all, say.M("ingest.missing_part", m))
	}
	if n := len(f.Missing); f.Cut && (n == 0 || f.Missing[n-1].Of == 0) {
		all = append(all, say.M("ingest.cut", position(f.Seconds)))
	}
	if f.Faults > 0 {
		all = append(all, say.M("ingest.faulty", f.Faults))
	}
	return all
}

// Decibel is a level that JSON can hold even if it is infinite: as null.
type Decibel float64

// MarshalJSON writes null for a value that is not finite.
func (d Decibel) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(d), 0) || math.IsNaN(float64(d)) {
		return []byte("null"), nil
	}
	return json.Marshal(math.Round(float64(d)*100) / 100)
}

// UnmarshalJSON reads null as minus infinity.
func (d *Decibel) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*d = Decibel(math.Inf(-1))
		return nil
	}
	return json.Unmarshal(b, (*float64)(d))
}

// Spent is how long each step took, in seconds.
type Spent struct {
	Probe   float64 `json:"probe"`   // opening, hashing, ffprobe
	Measure float64 `json:"measure"` // first pass: decode, loudness, silence
	Encode  float64 `json:"encode"`  // second pass: decode, gain, limiter, encode
	Prove   float64 `json:"prove"`   // decode twice, compare
	Speak   float64 `json:"speak,omitempty"`
}

// Total returns the sum of the steps.
func (s Spent) Total() float64 { return s.Probe + s.Measure + s.Encode + s.Prove + s.Speak }

// since returns the seconds since *t and sets *t to now.
func since(t *time.Time) float64 {
	now := time.Now()
	d := now.Sub(*t).Seconds()
	*t = now
	return d
}

// File makes a clip from the sound in a regular file. If the file cannot become
// a clip the error is an ErrRefused; other errors are this machine's. The clip
// gets its metadata from meta, and what meta leaves empty from the sidecar, the
// tags and the file's name.
func (g *Ingester) File(ctx context.Context, path string, meta Meta, progress Progress) (Result, error) {
	src, err := g.openSource(path)
	if err != nil {
		return Result{}, err
	}
	defer src.Close()
	return g.item(ctx, Item{Path: path, Meta: meta}, src, progress)
}

// convert makes a clip from an open source. describe returns its metadata, by the tags of
// the source.
func (g *Ingester) convert(ctx context.Context, src *os.File, describe func(tags Meta) Meta, asIs bool, fig Figures, progress Progress) (res Result, err error) {
	w := &making{g: g, fig: &fig, asIs: asIs, progress: steady(progress)}
	w.progress(0)
	ffmpeg, probe, err := g.programs()
	if err != nil {
		return g.asItIs(src, describe(Meta{}), fig)
	}
	ctx, cancel := context.WithTimeout(ctx, g.Limits.filled().Wall)
	defer cancel()
	defer func() {
		// Children that are killed with the context fail in many ways; return
		// the cause instead.
		switch {
		case err == nil || ctx.Err() == nil:
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			err = refuse("ingest.slow", g.Limits.filled().Wall)
		default:
			err = ctx.Err()
		}
	}()
	if err := w.study(ctx, src, ffmpeg, probe); err != nil {
		return Result{}, err
	}
	file, finish, err := g.clipFile()
	if err != nil {
		return Result{}, err
	}
	w.file = file
	defer finish(&res, &err)
	clip, kept, err := w.keep(ctx)
	if err == nil && !kept {
		clip, err = w.convert(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	w.progress(100)
	return Result{Clip: describe(w.s.tags).on(clip), Path: file.Name(), Figures: fig}, nil
}

func (f *Figures) record(p proof) {
	f.LUFS, f.Peak, f.SNR = Decibel(p.lufs), Decibel(p.peak), Decibel(p.snr)
	f.Correlation, f.Worst = p.correlation, p.worst
}

// steady wraps progress, which may be nil, and keeps it from going backwards.
func steady(p Progress) Progress {
	last := -1.0
	return func(percent float64) {
		if p != nil && percent > last {
			last = percent
			p(min(percent, 100))
		}
	}
}

// programs returns the paths of ffmpeg and ffprobe.
func (g *Ingester) programs() (ffmpeg, probe string, err error) {
	find := func(name, fallback string) string {
		if name == "" {
			name = fallback
		}
		path, lookErr := lookPath(name)
		if lookErr != nil {
			err = errors.Join(err, refusal{say.M("ingest.no_program", name), ErrNoProgram})
		}
		return path
	}
	return find(g.FFmpeg, "ffmpeg"), find(g.FFprobe, "ffprobe"), err
}

// lookPath returns an absolute path of a program, because children run in a
// folder of their own.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Ready returns nil if ffmpeg and ffprobe are installed, else an ErrNoProgram
// that says what to install.
func (g *Ingester) Ready() error {
	_, _, err := g.programs()
	return err
}

// clipFile makes the file for a clip. finish closes it and, if the work has
// failed, deletes it.
func (g *Ingester) clipFile() (file *os.File, finish func(*Result, *error), err error) {
	file, err = os.CreateTemp(g.TempDir, "dalaba-clip-*.mp3")
	if err != nil {
		return nil, nil, err
	}
	return file, func(res *Result, err *error) {
		*err = errors.Join(*err, file.Close())
		if *err != nil {
			*err = errors.Join(*err, os.Remove(file.Name()))
			*res = Result{}
		}
	}, nil
}

// asItIs makes a clip, without ffmpeg, from a file that already matches the air
// profile.
func (g *Ingester) asItIs(src *os.File, meta Meta, fig Figures) (res Result, err error) {
	file, finish, err := g.clipFile()
	if err != nil {
		return Result{}, err
	}
	defer finish(&res, &err)
	t := time.Now()
	clip, err := g.copyFit(src, file)
	if err != nil {
		var why say.Message
		if errors.As(err, &why) {
			return Result{}, refusal{say.M("ingest.convert", why, recommend(src.Name())), ErrNoProgram}
		}
		return Result{}, err
	}
	air, err := g.Decode(io.NewSectionReader(file, 0, clip.Size))
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	meter := NewLoudness()
	n, err := pump(air, func(frames []float32) { meter.Add(frames) })
	if err != nil {
		return Result{}, refuse("ingest.decode", err)
	}
	switch {
	case n != clip.Frames:
		return Result{}, refuse("ingest.length", clip.Length(), playlist.Length(n))
	case math.IsInf(meter.LUFS(), -1):
		return Result{}, refuse("ingest.silent")
	}
	fig.Spent.Prove = since(&t)
	fig.Format, fig.SourceRate, fig.Channels = "mp3", playlist.Rate, 1
	fig.Seconds = clip.Length().Seconds()
	fig.LUFSBefore, fig.PeakBefore = Decibel(meter.LUFS()), Decibel(meter.Peak())
	fig.LUFS, fig.Peak, fig.Unproven = fig.LUFSBefore, fig.PeakBefore, true
	fig.Kept, fig.Correlation, fig.Worst = true, 1, 1
	fig.Changes = append(fig.Changes, say.M("ingest.unchanged"))
	if math.Abs(meter.LUFS()-TargetLUFS) > 1 || meter.Peak() > CeilingDBTP {
		fig.Changes = append(fig.Changes, say.M("ingest.unlevelled", meter.LUFS(), meter.Peak()))
	}
	return Result{Clip: meta.on(clip), Path: file.Name(), Figures: fig}, nil
}
