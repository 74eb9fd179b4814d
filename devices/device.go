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

// The ring of every device, in frames and in time.
const (
	Ring   = playlist.Rate / 5   // 200 ms: what may be queued
	Period = playlist.Rate / 100 // 10 ms: a device sounds once this much is queued
)

// StallLimit is how long a device may take nothing before it is given up.
const StallLimit = 300 * time.Millisecond

// What a caller may decide on. The errors that answer to these carry a
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

// Device is one open loudspeaker output. Only one goroutine may use it. Any
// error means that it is lost.
type Device interface {
	// Write queues frames behind those already queued, waiting for room as
	// they sound. A device that takes nothing for [StallLimit] answers
	// [ErrStalled]. After the ring has run dry, the sound goes on with the next
	// [Period] queued.
	Write(frames []int16) error

	// Position says how far the sound has come.
	Position() (playlist.Position, error)

	// Flush drops what is queued but not yet sounding.
	Flush() error

	// Levelled reports whether level_db was set in hardware.
	Levelled() bool

	// Close stops at once and drops what is queued. Closing twice is no error.
	Close() error
}

// Options are what an opener may be given; the zero value will do.
type Options struct {
	Log *slog.Logger // where a device tells of what it coped with; nil: nowhere
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// Open opens an output's device by the kind its name tells:
//
//   - "wav:PATH" writes what would have sounded to a WAV file, see below;
//   - "null:" drops it, at a card's pace. No hardware waits for the frames of
//     either: those that come up to 30 s late count as in time;
//   - "auto" is the first sound card, by index, that can play;
//   - anything else is the name of an ALSA PCM, such as "plughw:CARD=Device".
//
// It answers at once: [ErrBusy] where somebody else plays there, [ErrNoCard]
// where no card of that name is plugged in, [ErrNoALSA] where this build
// knows no cards.
//
// A WAV file holds exactly the frames consumed, mono, and is valid after
// every write; its folder is made. Opened again it is appended to, and
// [playlist.Position].Consumed counts on from its length, so that a position
// is always an offset in the file. After a crash the file's size is trusted,
// not its header. Before it outgrows 2 GiB, Write answers [ErrFull]; the next
// Open sets the file aside as name-<UTC time>.wav and begins again at frame 0.
// A file of another shape is [ErrForeign] and is left as it is; one that
// another device writes is [ErrBusy].
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

// Opener opens devices for as long as a program runs. Where an output's
// device is "auto", it chooses a card once and stays with it until it is told
// to forget: one that is unplugged is waited for, and the sound never moves to
// another by itself. Any goroutine may use it.
type Opener struct {
	o     Options
	first func() (string, error)

	mu     sync.Mutex
	chosen string
}

// NewOpener makes an opener that has chosen a card before; empty: none yet.
func NewOpener(o Options, chosen string) *Opener {
	return &Opener{o: o, first: firstCard, chosen: chosen}
}

// Chosen is the card that it stays with; empty: none yet.
func (p *Opener) Chosen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chosen
}

// Forget has it choose anew the next time.
func (p *Opener) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chosen = ""
}

// Open is [Open], but for "auto".
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

// fault is a sentence for the operator that answers to a sentinel.
type fault struct {
	kind error
	say.Message
}

func (f fault) Is(target error) bool { return target == f.kind }
func (f fault) Unwrap() error        { return f.Message }
