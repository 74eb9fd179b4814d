// Package hand plays a tone or a clip by hand, for a technician. That is no
// airing: it has no row in the as-run log and counts for no reach.
package hand

import (
	"context"
	"errors"
	"math"
	"time"

	"dalaba/controller/files"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Order is what to play: a tone if Clip and File are empty, else one of them.
type Order struct {
	Output  string          `json:"output"`
	HZ      float64         `json:"hz,omitempty"`       // 20 to 20,000
	Seconds float64         `json:"seconds,omitempty"`  // 0.1 to 600
	LevelDB float64         `json:"level_db,omitempty"` // of a tone: -60 to 0, 0 is full scale
	Clip    playlist.ClipID `json:"clip,omitempty"`     // of the library
	File    string          `json:"file,omitempty"`     // absolute path
	User    string          `json:"-"`                  // on whose orders; empty: unknown
}

// Report is how far an order has come.
type Report struct {
	Frames   int64     `json:"frames"` // that have left the device so far
	OfFrames int64     `json:"of_frames"`
	Started  time.Time `json:"started,omitzero"`
	Complete bool      `json:"complete"`
	Stopped  bool      `json:"stopped,omitempty"` // because the technician said so
}

// The bounds of an order.
const (
	minHZ, maxHZ         = 20, 20000
	minLength, maxLength = 100 * time.Millisecond, 10 * time.Minute
	minLevelDB           = -60
)

const (
	turnTimeout = 10 * time.Second       // for the device to open, and for what sounds before
	reportEvery = 200 * time.Millisecond // while it sounds
)

// IsTone reports whether the order is a tone.
func (o Order) IsTone() bool { return o.Clip == "" && o.File == "" }

// Check returns what is wrong with the order, for the technician.
func (o Order) Check() error {
	switch {
	case o.Clip != "" && o.File != "":
		return say.M("technician.bad_order")
	case !o.IsTone():
		return nil
	case math.IsNaN(o.HZ) || o.HZ < minHZ || o.HZ > maxHZ:
		return say.M("technician.bad_hz", minHZ, maxHZ)
	case !(o.Seconds >= minLength.Seconds() && o.Seconds <= maxLength.Seconds()):
		return say.M("technician.bad_seconds", minLength.Seconds(), maxLength.Seconds())
	case !(o.LevelDB >= minLevelDB && o.LevelDB <= 0):
		return say.M("technician.bad_level", minLevelDB)
	}
	return nil
}

// Hand is what playing by hand needs of the site.
type Hand struct {
	Ceiling float64          // the site's, in dB
	Amp     player.Amplifier // nil: none
	Find    func(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	Wall    func() time.Time
}

// ErrAway means that the output's device is not there.
var ErrAway = errors.New("the device is away")

// Play sounds an order on a channel until it is over, and reports progress on the
// way. When ctx ends it fades the sound out, and still returns what was heard. It
// takes the output from what is on schedule, but not from an emergency or a drill.
func (h Hand) Play(ctx context.Context, ch *player.Channel, o Order, report func(Report)) (r Report, err error) {
	// Join first: that opens an idle output. Only an open device says whether it
	// has its own volume control.
	turn := ch.Join(playlist.RankTechnician, playlist.ByHand(o.User))
	defer turn.End()
	if err := waitUp(ctx, ch); err != nil {
		return r, err
	}
	if h.Amp != nil {
		if err := h.Amp.On(ctx, time.Now()); err != nil {
			return r, err
		}
		defer h.Amp.Off()
	}
	sound, frames, err := h.open(ctx, o, ch.Gain)
	if err != nil {
		return r, err
	}
	defer sound.Close()
	if err := sound.Ready(ctx); err != nil {
		return r, err
	}
	r.OfFrames = frames
	take := turn.Play(player.Cue{Sound: sound, Deadline: h.Wall().Add(turnTimeout)})
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	stop := ctx.Done()
	for over := false; !over; {
		select {
		case <-take.Done():
			over = true
		case <-stop:
			turn.End() // fades out; the take is over once that is heard
			stop = nil
		case <-tick.C:
			if r.Frames, _, r.Started = take.Progress(); !r.Started.IsZero() {
				report(r)
			}
		}
	}
	heard := take.Heard()
	r.Frames, r.Started = heard.Frames, heard.Started
	r.Complete = heard.Cut == player.CutNone && r.Frames > 0
	return r, fault(ctx, heard)
}

// waitUp waits until the channel's device is open.
func waitUp(ctx context.Context, ch *player.Channel) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(turnTimeout); !ch.Up(); {
		if time.Now().After(end) {
			return ErrAway
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fault returns what ended a take before its time, for the technician.
func fault(ctx context.Context, h player.Heard) error {
	switch h.Cut {
	case player.CutNone:
		if h.Frames == 0 {
			return say.M("technician.nothing")
		}
		return nil
	case player.CutPreempt:
		return say.M("technician.preempted")
	case player.CutExpired:
		if h.By == 0 {
			return ErrAway
		}
		return say.M("technician.busy", int(turnTimeout.Seconds()))
	case player.CutDevice:
		return ErrAway
	case player.CutDecode:
		return say.M("technician.decode", h.Err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return say.M("technician.ended")
}

func (h Hand) open(ctx context.Context, o Order, gain func(want, ceiling float64) float64) (*player.Sound, int64, error) {
	if o.IsTone() {
		length := time.Duration(o.Seconds * float64(time.Second))
		tone := player.Tone(o.HZ, gain(o.LevelDB, h.Ceiling), length)
		return player.NewSound(tone, 0, nil), playlist.FramesIn(length), nil
	}
	path, id := o.File, o.Clip
	if path == "" {
		var err error
		if _, path, err = h.Find(ctx, id); err != nil {
			return nil, 0, say.M("technician.no_file", id.Short(), err)
		}
	}
	info, err := files.Scan(path)
	if err != nil {
		return nil, 0, say.M("technician.bad_file", path, err)
	}
	if id != "" && info.ID != id {
		return nil, 0, say.M("technician.damaged", id.Short(), path)
	}
	sound, err := player.OpenSound(path, gain(0, h.Ceiling))
	return sound, info.Frames, err
}
