package player

import (
	"context"
	"time"
)

// ChannelState is what a channel last reported of its output.
type ChannelState struct {
	Up    bool      // the device is open and plays
	Since time.Time // of the wall clock, when Up last changed; zero before the first report
	Err   error     // why the device is away: the last loss, or why it does not open; nil if it is up or rests
}

// State is the state of the output, as the log tells it: a device that opens
// and breaks off again at once is away until it has played for a while. Any
// goroutine may call it.
func (c *Channel) State() ChannelState { return *c.state.Load() }

// report puts the output's state on record.
func (c *Channel) report(up bool, err error) {
	was := c.State()
	now := ChannelState{Up: up, Since: was.Since, Err: err}
	if up != was.Up || was.Since.IsZero() {
		now.Since = c.wall()
	}
	c.state.Store(&now)
}

// acquire opens the device on a goroutine of its own: a card may take any time
// to open, and requests are served meanwhile. A device that opens after ctx has
// ended is closed there.
func (c *Channel) acquire(ctx context.Context) (Device, error) {
	type result struct {
		dev Device
		err error
	}
	got := make(chan result, 1)
	go func() {
		dev, err := c.open(ctx, c.out)
		got <- result{dev, err}
	}()
	look := time.NewTicker(backoff1)
	defer look.Stop()
	for {
		select {
		case a := <-got:
			return a.dev, a.err
		case <-look.C:
			c.giveUp()
		case <-c.mail.ring:
			c.serve(false)
		case <-ctx.Done():
			select {
			case a := <-got:
				return a.dev, a.err
			case <-time.After(goodbye):
			}
			c.log.Error("output does not respond to open", "device", c.out.Device)
			go func() {
				if a := <-got; a.dev != nil {
					_ = a.dev.Close()
				}
			}()
			return nil, ctx.Err()
		}
	}
}

// trouble logs, once, why there is no device, and lets a little more time pass
// before the next attempt.
func (c *Channel) trouble(what string, err error) {
	c.backoff = min(max(2*c.backoff, backoff0), backoff1)
	if text := what + err.Error(); c.shown || !c.told[text] {
		c.log.Error(what, "device", c.out.Device, "err", err)
		c.told[text] = true
	}
	c.shown = false
	c.report(false, err)
}

// close closes a device, and does not wait for one that hangs.
func (c *Channel) close(dev Device) {
	done := make(chan error, 1)
	go func() { done <- dev.Close() }()
	select {
	case err := <-done:
		if err != nil {
			c.log.Warn("output does not close", "err", err)
		}
	case <-time.After(goodbye):
		c.log.Warn("output does not respond to close", "device", c.out.Device)
	}
}

// rest closes the device and waits until a turn gets in line.
func (c *Channel) rest(ctx context.Context) {
	if c.dev != nil {
		// Measured to its end: the next device's frames are counted from here.
		err := c.dev.Flush()
		if pos, lost := c.dev.Position(); err == nil && lost == nil {
			c.consumed = min(c.base+pos.Consumed, c.written)
		}
		c.close(c.dev)
		c.dev = nil
		c.up.Store(false)
		c.written = c.consumed // what the device had queued was silence
		c.shown = false
		c.log.Info("output closed")
		c.report(false, nil)
	}
	for len(c.turns) == 0 {
		select {
		case <-c.mail.ring:
			c.serve(false)
		case <-ctx.Done():
			return
		}
	}
	c.lostAt, c.backoff = time.Now(), 0
}

// idleFor serves requests while there is no device.
func (c *Channel) idleFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		c.giveUp()
		select {
		case <-timer.C:
			return true
		case <-c.mail.ring:
			c.serve(false)
		case <-ctx.Done():
			return false
		}
	}
}

// giveUp ends the takes that cannot wait for the device any longer.
func (c *Channel) giveUp() {
	c.tellTimes()
	now := c.wall()
	for _, t := range c.turns {
		// What has begun to sound has no deadline any more.
		for k := t.head(); k != nil && k.phase == phaseWaiting && !k.Deadline.IsZero() && now.After(k.Deadline); k = t.head() {
			c.leave(k, 0, Heard{Cut: CutDevice})
		}
	}
	if time.Since(c.lostAt) < loss || len(c.inflight) == 0 {
		return
	}
	for _, k := range c.inflight {
		h := k.reckon(c, c.consumed)
		h.Cut = CutDevice
		c.release(k)
		k.finish(h)
	}
	c.cur, c.inflight = nil, nil
	c.written = c.consumed
}

func (c *Channel) opened(dev Device) {
	c.dev, c.measured = dev, false
	c.underruns = 0
	pos, err := dev.Position()
	if err != nil {
		c.lost(err)
		return
	}
	// A device may count on from an earlier run (a WAV file that grew): the
	// row's AtFrame is in its count, so ours follows it if it can.
	if c.written == 0 {
		c.written, c.consumed = pos.Consumed, pos.Consumed
		c.base = 0
	} else {
		c.base = c.consumed - pos.Consumed
	}
	c.moved, c.first = time.Now(), c.consumed
	c.hard.Store(dev.Levelled())
	// The frames that the lost device had queued but not played go first.
	if n := c.written - c.consumed; n > 0 {
		again := c.remembered(c.consumed, c.written)
		ramp(again, 0, 1, fadeIn)
		if err := dev.Write(again); err != nil {
			c.lost(err)
		}
	}
}

// back notes that the device moves. That it opened says little: a card may
// open and play nothing. A device that keeps breaking off is logged as opened
// once it has played for a while.
func (c *Channel) back() {
	if !c.up.Load() {
		c.up.Store(true)
		c.backAt = time.Now()
	}
	if c.shown || c.flapping && time.Since(c.backAt) < steady {
		return
	}
	c.log.Info("output opened", "device", c.out.Device, "away_ms", c.backAt.Sub(c.lostAt).Milliseconds())
	c.shown, c.flapping, c.backoff = true, false, 0
	clear(c.told)
	c.report(true, nil)
}

func (c *Channel) lost(err error) {
	if c.dev == nil {
		return
	}
	c.trouble("output lost", err)
	c.close(c.dev)
	c.dev = nil
	if c.up.Swap(false) {
		c.lostAt = time.Now()
		c.flapping = c.lostAt.Sub(c.backAt) < steady
	}
}
