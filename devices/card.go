//go:build cgo && !noalsa

package devices

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// card is a sound card as a Device.
type card struct {
	pcm      *pcm
	name     string
	log      *slog.Logger
	levelled bool

	base      int64 // consumed before the PCM was last prepared
	queued    int64 // written since
	consumed  int64
	moved     time.Time // when consumed last changed, or the sound began
	underruns int64
	err       error // why it is lost
}

func openCard(out playlist.Output, o Options) (Device, error) {
	p, err := openPCM(out.Device)
	if err != nil {
		return nil, cardFault(out.Device, err)
	}
	c := &card{pcm: p, name: out.Device, log: o.log().With("output", out.Name, "device", out.Device)}
	if c.levelled, err = setLevel(mixerOf(out.Device), out.LevelDB, c.log); err != nil {
		// It sounds all the same, at a level set in software: a card is no
		// reason for a pole to be silent in an emergency.
		level := slog.LevelWarn
		if out.LevelDB != 0 {
			level = slog.LevelError // what the config asks for cannot be had
		}
		c.log.Log(context.Background(), level, "level not set in hardware", "err", err)
	}
	return c, nil
}

// cardFault puts what libasound answered into a sentence.
func cardFault(name string, err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		if by := holders(name); len(by) > 0 {
			return fault{ErrBusy, say.M("device.card_held", name, by[0].Name, by[0].PID)}
		}
		return fault{ErrBusy, say.M("device.card_busy", name)}
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENXIO):
		return fault{ErrNoCard, say.M("device.no_card", name)}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return say.M("device.card_denied", name)
	case errors.Is(err, syscall.EINVAL):
		return say.M("device.card_format", name)
	}
	return fault{err, say.M("device.card_failed", name, err)}
}

func (c *card) fail(err error) error {
	c.err = err
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		c.err = cardFault(c.name, no)
	}
	return c.err
}

// begin counts what was written as sounded, but for the frames dropped, and
// readies the PCM for more.
func (c *card) begin(dropped int64) error {
	c.base += c.queued - dropped
	c.consumed, c.queued = max(c.consumed, c.base), 0
	c.base = c.consumed
	return c.pcm.prepare()
}

// mend goes on after an underrun or a suspend; any other error is the end.
func (c *card) mend(err error) error {
	switch {
	case errors.Is(err, syscall.EPIPE):
		c.underruns++
		return c.begin(0)
	case errors.Is(err, syscall.ESTRPIPE):
		return c.wake()
	case errors.Is(err, syscall.EINTR):
		return nil
	}
	return err
}

// wakeAttempts is how often a suspended card is told to resume, at least, however
// long that takes: on a busy machine the StallLimit may pass between two attempts.
const wakeAttempts = 10

// wake has a card that was suspended go on where it stopped. A card that is
// suspended still after StallLimit and wakeAttempts is lost: what it had queued
// did not sound.
func (c *card) wake() error {
	end := time.Now().Add(StallLimit)
	for attempt := 1; ; attempt++ {
		err := c.pcm.resume()
		if err == nil { // libasound returns nil also for some that are suspended still
			var s status
			if s, err = c.pcm.status(); err == nil && s.state == suspended {
				err = syscall.EAGAIN
			}
		}
		switch {
		case err == nil:
			c.log.Warn("card was suspended")
			c.moved = time.Now()
			return nil
		case !errors.Is(err, syscall.EAGAIN):
			return err
		case attempt >= wakeAttempts && time.Now().After(end):
			return fault{ErrStalled, say.M("device.card_stalled", c.name)}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// measure brings consumed up to date and returns when that was.
func (c *card) measure() (time.Time, error) {
	asked := time.Now()
	s, err := c.pcm.status()
	if err != nil {
		return s.at, c.mend(err)
	}
	delay, now := c.queued, time.Now() // a driver stamps the last move, not the measure
	switch s.state {
	case prepared:
		c.moved = now // too little is queued to begin
	case xrun:
		return s.at, c.mend(syscall.EPIPE)
	case suspended:
		return s.at, c.mend(syscall.ESTRPIPE)
	case disconnected:
		return s.at, syscall.ENODEV
	case running:
		delay = min(max(s.delay, 0), c.queued)
	default:
		return s.at, syscall.EBADFD
	}
	if n := c.base + c.queued - delay; n > c.consumed {
		c.consumed, c.moved = n, now
	}
	if asked.Sub(c.moved) >= StallLimit { // not now: we may have been kept waiting since the card was asked
		return s.at, fault{ErrStalled, say.M("device.card_stalled", c.name)}
	}
	return s.at, nil
}

func (c *card) Write(frames []int16) error {
	for c.err == nil && len(frames) > 0 {
		n, err := c.pcm.write(frames)
		if c.queued == 0 {
			c.moved = time.Now()
		}
		frames = frames[n:]
		c.queued += int64(n)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			if err = c.pcm.wait(20 * time.Millisecond); err == nil {
				_, err = c.measure()
			}
		case err != nil:
			err = c.mend(err)
		}
		if err != nil {
			return c.fail(err)
		}
	}
	return c.err
}

func (c *card) Position() (playlist.Position, error) {
	if c.err != nil {
		return playlist.Position{}, c.err
	}
	at, err := c.measure()
	if err != nil {
		return playlist.Position{}, c.fail(err)
	}
	return playlist.Position{Consumed: c.consumed, At: at, Underruns: c.underruns}, nil
}

func (c *card) Flush() error {
	if c.err != nil {
		return c.err
	}
	asked := time.Now()
	if _, err := c.measure(); err != nil {
		return c.fail(err)
	}
	if c.queued == 0 {
		return nil
	}
	dropped := c.base + c.queued - c.consumed
	if err := c.pcm.drop(); err != nil {
		return c.fail(err)
	}
	if s, err := c.pcm.status(); err == nil {
		dropped -= soundedSince(dropped, dropped-int64(c.pcm.ring)+s.empty, time.Since(asked))
	}
	if err := c.begin(dropped); err != nil {
		return c.fail(err)
	}
	return nil
}

// soundedSince is how many of the frames that were queued at a measure sounded
// before they were dropped. said is what the card says of that after the drop,
// passed the time since before the measure. A busy machine may let many sound.
// If it is more than time has passed, a plugin has forgotten what it held.
func soundedSince(queued, said int64, passed time.Duration) int64 {
	most := playlist.FramesIn(passed)
	if said <= 0 || said > most+Period || said >= queued && said > most {
		return 0
	}
	return min(said, queued)
}

func (c *card) Levelled() bool { return c.levelled }

func (c *card) Close() error {
	if c.err == ErrClosed {
		return nil
	}
	c.err = ErrClosed
	if err := c.pcm.close(); err != nil {
		return cardFault(c.name, err)
	}
	return nil
}
