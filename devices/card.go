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

// card is a sound card as a [Device].
type card struct {
	pcm      *pcm
	name     string
	log      *slog.Logger
	levelled bool

	base      int64 // frames consumed before the PCM was last prepared
	queued    int64 // frames written since
	consumed  int64
	moved     time.Time // when consumed last changed, or the sound began
	underruns int64
	err       error // why the device is lost
}

func openCard(out playlist.Output, o Options) (Device, error) {
	p, err := openPCM(out.Device)
	if err != nil {
		return nil, cardFault(out.Device, err)
	}
	c := &card{pcm: p, name: out.Device, log: o.log().With("output", out.Name, "device", out.Device)}
	if c.levelled, err = setLevel(mixerOf(out.Device), out.LevelDB, c.log); err != nil {
		// The card plays all the same, at a level set in software: its mixer
		// must not silence a pole in an emergency.
		level := slog.LevelWarn
		if out.LevelDB != 0 {
			level = slog.LevelError // the level in the config cannot be reached
		}
		c.log.Log(context.Background(), level, "level not set in hardware", "err", err)
	}
	return c, nil
}

// cardFault turns an error of libasound into a sentence for the operator.
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

// restart counts what was written as sounded, except for the frames dropped,
// and prepares the PCM for more.
func (c *card) restart(dropped int64) error {
	c.base += c.queued - dropped
	c.consumed, c.queued = max(c.consumed, c.base), 0
	c.base = c.consumed
	return c.pcm.prepare()
}

// recoverFrom continues after an underrun or a suspend; it returns any other error.
func (c *card) recoverFrom(err error) error {
	switch {
	case errors.Is(err, syscall.EPIPE):
		c.underruns++
		return c.restart(0)
	case errors.Is(err, syscall.ESTRPIPE):
		return c.wake()
	case errors.Is(err, syscall.EINTR):
		return nil
	}
	return err
}

// wakeAttempts is the least number of times that a suspended card is told to
// resume, however long that takes: on a busy machine StallLimit may pass
// between two attempts.
const wakeAttempts = 10

// wake makes a card that was suspended continue where it stopped. If the card
// is still suspended after both StallLimit and wakeAttempts, it is lost: what
// it had queued did not sound.
func (c *card) wake() error {
	end := time.Now().Add(StallLimit)
	for attempt := 1; ; attempt++ {
		err := c.pcm.resume()
		if err == nil { // libasound returns nil for some cards that are still suspended
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

// measure updates consumed and returns the instant that it is valid for.
func (c *card) measure() (time.Time, error) {
	asked := time.Now()
	s, err := c.pcm.status()
	if err != nil {
		return s.at, c.recoverFrom(err)
	}
	delay, now := c.queued, time.Now() // a driver's timestamp is that of the last move, not of this call
	switch s.state {
	case prepared:
		c.moved = now // too little is queued for the card to start
	case xrun:
		return s.at, c.recoverFrom(syscall.EPIPE)
	case suspended:
		return s.at, c.recoverFrom(syscall.ESTRPIPE)
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
	if asked.Sub(c.moved) >= StallLimit { // not time.Now(): this goroutine may have been delayed since it asked the card
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
			err = c.recoverFrom(err)
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
	if err := c.restart(dropped); err != nil {
		return c.fail(err)
	}
	return nil
}

// soundedSince returns how many of the frames that were queued at a measurement
// sounded before they were dropped. said is that number according to the card
// after the drop, passed the time since before the measurement. A busy machine
// may let many sound; but a number that is too large for the time passed comes
// from a plugin that has lost count, and counts as 0.
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
