package devices

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The ring buffer of every device, in frames.
const (
	Ring   = playlist.Rate / 5   // 200 ms: the most that may be queued
	Period = playlist.Rate / 100 // 10 ms: a device starts to sound once this much is queued
)

// StallLimit is how long a device may accept no frames before it counts as
// lost.
const StallLimit = 300 * time.Millisecond

// Errors for which a caller may test. The errors that wrap them carry a
// sentence for the operator; see [say.In].
var (
	ErrBusy    = errors.New("device busy")
	ErrNoCard  = errors.New("no such sound card")
	ErrNoALSA  = errors.New("no ALSA in this build")
	ErrStalled = errors.New("device stalled")
	ErrFull    = errors.New("file full")
	ErrForeign = errors.New("not a recording of ours")
	ErrClosed  = errors.New("device closed")
)

// Device is one open loudspeaker output. Only one goroutine may use it. After
// any error the device is lost.
type Device interface {
	// Write queues frames after those already queued, and waits for room while
	// they sound. If the device accepts nothing for [StallLimit], Write returns
	// [ErrStalled]. If the ring has run empty, the sound continues once the
	// next [Period] is queued.
	Write(frames []int16) error

	// Position returns how far the sound has come.
	Position() (playlist.Position, error)

	// Flush drops what is queued and has not sounded yet.
	Flush() error

	// Levelled reports whether level_db was set in hardware.
	Levelled() bool

	// Close stops at once and drops what is queued. Closing twice is not an
	// error.
	Close() error
}

// Options are the options of an opener; the zero value is valid.
type Options struct {
	Log *slog.Logger // for faults that a device recovered from; nil: none
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// Open opens an output's device by the kind that its name begins with:
//
//   - "wav:PATH" writes what would have sounded to a WAV file, see below;
//   - "null:" drops it, at a card's pace. No hardware waits for the frames of
//     either: those that come up to 30 s late count as in time;
//   - "auto" is the first sound card, by index, that can play;
//   - anything else is the name of an ALSA PCM, such as "plughw:CARD=Device".
//
// It does not wait. It returns [ErrBusy] if another program plays there,
// [ErrNoCard] if no card of that name is plugged in, and [ErrNoALSA] if this
// build has no ALSA.
//
// A WAV file holds exactly the frames consumed, mono, and is valid after every
// write; Open makes its folder. An existing file is appended to, and
// [playlist.Position].Consumed counts on from its length, so that a position is
// always an offset in the file. After a crash the file's size is used, not its
// header. Before the file exceeds 2 GiB, Write returns [ErrFull]; the next Open
// renames the file to name-<UTC time>.wav and begins again at frame 0. A file
// of another format is [ErrForeign] and is left as it is; a file that another
// device writes is [ErrBusy].
func Open(ctx context.Context, out playlist.Output, o Options) (Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch kind, rest, _ := strings.Cut(out.Device, ":"); {
	case kind == "wav":
		return openWAV(rest, o)
	case kind == "null":
		return &paced{}, nil
	case out.Device == "auto":
		name, err := firstCard()
		if err != nil {
			return nil, err
		}
		out.Device = name
		return openCard(out, o)
	case out.Device == "":
		return nil, fault{playlist.ErrInvalid, say.M("device.unnamed", out.Name)}
	}
	return openCard(out, o)
}

// Opener opens devices for as long as a program runs. If an output's device is
// "auto", it chooses a card once and keeps it until Forget is called: it waits
// for a card that is unplugged, and never moves the sound to another one by
// itself. Any goroutine may use it.
type Opener struct {
	o     Options
	first func() (string, error)

	mu     sync.Mutex
	chosen string
}

// NewOpener makes an opener whose chosen card is known from before; empty: none
// yet.
func NewOpener(o Options, chosen string) *Opener {
	return &Opener{o: o, first: firstCard, chosen: chosen}
}

// Chosen returns the card chosen for "auto"; empty: none yet.
func (p *Opener) Chosen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chosen
}

// Forget makes the next Open of "auto" choose again.
func (p *Opener) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chosen = ""
}

// Open is [Open], except for "auto".
func (p *Opener) Open(ctx context.Context, out playlist.Output) (Device, error) {
	if out.Device != "auto" {
		return Open(ctx, out, p.o)
	}
	name, err := p.choose()
	if err != nil {
		return nil, err
	}
	out.Device = name
	d, err := Open(ctx, out, p.o)
	if errors.Is(err, ErrNoCard) {
		return nil, fault{ErrNoCard, say.M("device.auto_gone", name)}
	}
	return d, err
}

func (p *Opener) choose() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chosen == "" {
		name, err := p.first()
		if err != nil {
			return "", err
		}
		p.o.log().Info("card chosen", "device", name)
		p.chosen = name
	}
	return p.chosen, nil
}

// fault is a sentence for the operator that wraps a sentinel.
type fault struct {
	kind error
	say.Message
}

func (f fault) Is(target error) bool { return target == f.kind }
func (f fault) Unwrap() error        { return f.Message }
