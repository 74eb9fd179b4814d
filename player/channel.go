package player

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"dalaba/playlist"
)

const (
	period   = playlist.Rate / 20         // frames rendered at a time: each time wakes the machine
	queue    = 190 * playlist.Rate / 1000 // frames at most that a device is given ahead, less than its 200 ms ring
	fadeOut  = 20 * playlist.Rate / 1000  // before a cut that is foreseen
	fadeTail = 12 * playlist.Rate / 1000  // after a cut that is not
	fadeMin  = 10 * playlist.Rate / 1000  // before one for a sound that is about to begin; no device starts with less
	fadeMax  = fadeOut
	fadeIn   = 20 * playlist.Rate / 1000 // when a sound goes on in its middle
	history  = playlist.Rate             // frames remembered: more than any device queues
	stall    = 300 * time.Millisecond    // a queue that has not moved for this long is lost
	proof    = playlist.Rate / 50        // frames that must leave a device newly opened before it counts as back
	steady   = 5 * time.Second           // a device lost sooner than this after it came back is a bad one
	loss     = 10 * time.Second          // an airing waits this long for its device to come back
	backoff0 = 20 * time.Millisecond     // before the first new attempt at a lost device
	backoff1 = 500 * time.Millisecond    // at most
	goodbye  = 500 * time.Millisecond    // for the last fade to leave the device, and for the device to close
)

// Channel owns one output. Its goroutine alone feeds the device, without a
// gap, silence included, and decides each period which turn is heard. No other
// goroutine waits for a device: one that hangs as it is opened holds up no
// request and no other output.
type Channel struct {
	out  playlist.Output
	open OpenDevice
	log  *slog.Logger
	wall func() time.Time

	mail requests
	gone chan struct{} // closed when Run has returned
	busy atomic.Int32  // turns in line
	up   atomic.Bool   // the device is open and moves
	hard atomic.Bool   // and has set the output's level itself

	state atomic.Pointer[ChannelState]

	called atomic.Bool  // the goroutine is asked for a sign of life
	lives  atomic.Int64 // when it last gave one, as a duration since the player began

	// Below belongs to Run's goroutine. Frames are counted from the first
	// device's first frame, through every reopening.
	dev       Device
	base      int64         // of the frames counted, those before this device
	written   int64         // frames queued so far
	consumed  int64         // frames that have left
	at        time.Time     // when consumed was measured
	origin    time.Duration // smoothed: when frame 0 would have left, against epoch
	measured  bool          // origin holds
	epoch     time.Time     // a monotonic anchor
	moved     time.Time     // when consumed last grew
	underruns int64
	lostAt    time.Time       // when the device was last lost after it had moved
	backAt    time.Time       // when it last moved again after that
	first     int64           // frames consumed when it was opened
	shown     bool            // the log says that it is open
	told      map[string]bool // reasons logged since then why it is not
	flapping  bool            // it was lost soon after it had come back
	backoff   time.Duration   // before it is opened again
	past      []int16         // ring of the last frames written
	block     []int16
	turns     []*Turn
	left      time.Time // when a turn left the line, monotonic
	free      time.Time // what that has kept waiting does not begin before, monotonic
	leftAt    time.Time // the same two on the wall clock as it now goes
	freeAt    time.Time
	cur       *Take
	inflight  []*Take // sounding or ending, in the order of their first frames
}

// NewChannel makes the channel of an output. wall is the wall clock.
func NewChannel(out playlist.Output, open OpenDevice, wall func() time.Time, log *slog.Logger) *Channel {
	c := &Channel{
		out: out, open: open, wall: func() time.Time { return wall().Round(0) }, log: log.With("output", out.Name),
		mail: requests{ring: make(chan struct{}, 1)}, gone: make(chan struct{}), told: map[string]bool{},
		past: make([]int16, history), block: make([]int16, period),
	}
	c.state.Store(&ChannelState{})
	return c
}

// Idle reports whether no turn is in line.
func (c *Channel) Idle() bool { return c.busy.Load() == 0 }

// Up reports whether the device is open and takes sound.
func (c *Channel) Up() bool { return c.up.Load() }

// Gain is the software gain, in dB, with which a sound meant to be heard at
// want above or below the output's own level is heard so, and never above the
// ceiling, wherever that level was set. It lifts nothing above full scale.
func (c *Channel) Gain(want, ceiling float64) float64 {
	total := min(ceiling, want+c.out.LevelDB)
	if c.hard.Load() {
		total -= c.out.LevelDB
	}
	return min(0, total)
}

// answered is when, since began, the channel's goroutine last gave a sign of
// life, and asks it for another.
func (c *Channel) answered(began time.Time) time.Duration {
	now := time.Since(began)
	c.lives.CompareAndSwap(0, int64(max(now, 1))) // its first second
	at := time.Duration(c.lives.Load())
	if c.called.CompareAndSwap(false, true) && !c.post(func() {
		c.lives.Store(int64(time.Since(began)))
		c.called.Store(false)
	}) {
		c.called.Store(false)
		return now // it has ended, as it was told to
	}
	return at
}

// Level is the software gain, in dB, that the output's level_db asks for.
func (c *Channel) Level() float64 {
	if c.hard.Load() {
		return 0
	}
	return c.out.LevelDB
}

// Run feeds the device until ctx ends, then fades out and closes it. A device
// that is lost is opened again without end; it never moves to another.
func (c *Channel) Run(ctx context.Context) error {
	defer close(c.gone)
	c.epoch = time.Now()
	c.lostAt = c.epoch
	for ctx.Err() == nil {
		if c.out.CloseIdle && len(c.turns) == 0 && len(c.inflight) == 0 {
			c.rest(ctx)
			continue
		}
		if c.dev == nil {
			if !c.idleFor(ctx, c.backoff) {
				break
			}
			dev, err := c.acquire(ctx)
			switch {
			case ctx.Err() != nil:
				if dev != nil {
					c.close(dev)
				}
			case err != nil:
				c.trouble("output does not open", err)
			default:
				c.opened(dev)
			}
			continue
		}
		if err := c.step(ctx); err != nil {
			c.lost(err)
		}
	}
	c.shut()
	return nil
}

// step waits for room in the device, serving requests meanwhile, and renders
// and queues one period.
func (c *Channel) step(ctx context.Context) error {
	if err := c.observe(); err != nil {
		return err
	}
	if over := c.written + period - queue - c.consumed; over > 0 {
		c.wait(ctx, playlist.Length(over))
		return nil
	}
	n := c.render()
	if n == 0 { // the decoder is behind
		c.wait(ctx, time.Millisecond)
		return nil
	}
	return c.write(c.block[:n])
}

// wait serves requests for a while; one request ends the wait.
func (c *Channel) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.mail.ring:
		c.serve(false)
	case <-ctx.Done():
	}
}

var errStalled = errors.New("the device has stopped moving")

// observe measures how far the device has come and notes what was heard.
func (c *Channel) observe() error {
	pos, err := c.dev.Position()
	if err != nil {
		return err
	}
	consumed := c.base + pos.Consumed
	if consumed > c.consumed || c.written == c.consumed {
		c.moved = pos.At
	} else if pos.At.Sub(c.moved) > stall {
		return errStalled
	}
	if pos.Underruns > c.underruns {
		c.log.Warn("underrun", "count", pos.Underruns)
		c.underruns, c.measured = pos.Underruns, false
	}
	c.consumed, c.at = min(consumed, c.written), pos.At
	if c.consumed-c.first >= proof {
		c.back()
	}
	origin := pos.At.Sub(c.epoch) - playlist.Length(c.consumed)
	switch {
	case c.written == c.consumed:
		c.measured = false // an empty queue tells nothing of the next frame's delay
		c.origin = origin
	case !c.measured:
		c.origin, c.measured = origin, true
	default:
		c.origin += (origin - c.origin) / 16
	}
	c.tally()
	return nil
}

// instant is when the frame of that number leaves the loudspeaker, on the wall clock.
func (c *Channel) instant(frame int64) time.Time {
	now, wall := c.clocks()
	at := c.epoch.Add(c.origin + playlist.Length(frame))
	return wall.Add(at.Sub(now)).Add(c.out.ExtraDelay)
}

// clocks reads both clocks at one moment. A busy machine may stop us between the
// two readings for longer than a sound may drift: of several pairs it takes the
// closest.
func (c *Channel) clocks() (now, wall time.Time) {
	closest := time.Duration(math.MaxInt64)
	for range 8 {
		a := time.Now()
		b := c.wall()
		if gap := time.Since(a); gap < closest {
			closest, now, wall = gap, a, b
		}
		if closest < apart/16 {
			break
		}
	}
	return now, wall
}

// tellTime gives a take with a monotonic instant that instant, and its deadline if that
// counts from there, on the wall clock as it now goes.
func (c *Channel) tellTime(k *Take) {
	if k.Mono.IsZero() {
		return
	}
	k.At = c.wallAt(k.Mono)
	if k.Within != 0 {
		k.Deadline = k.At.Add(k.Within)
	}
}

// tellTimes does so for all that wait.
func (c *Channel) tellTimes() {
	for _, t := range c.turns {
		for _, k := range t.queue {
			if k.phase == phaseWaiting {
				c.tellTime(k)
			}
		}
	}
	if !c.free.IsZero() {
		c.leftAt, c.freeAt = c.wallAt(c.left), c.wallAt(c.free)
	}
}

// wallAt is a monotonic instant on the wall clock as it now goes.
func (c *Channel) wallAt(mono time.Time) time.Time {
	now, wall := c.clocks()
	return wall.Add(mono.Sub(now))
}

// stamp is an instant for the as-run log: no clock here is good for more.
func (c *Channel) stamp(frame int64) time.Time {
	return c.instant(frame).UTC().Round(100 * time.Microsecond)
}

// tally notes what the device has consumed of the takes in flight, and
// finishes those whose last frame it was.
func (c *Channel) tally() {
	for len(c.inflight) > 0 {
		k := c.inflight[0]
		if c.consumed > k.start && k.startedAt.Load() == 0 {
			k.heard.Started = c.stamp(k.start)
			k.startedAt.Store(k.heard.Started.UnixNano())
		}
		if k.phase != phaseEnding || c.consumed < k.end {
			if k.startedAt.Load() != 0 {
				k.progress.Store(k.until(c.consumed))
			}
			return
		}
		c.inflight = c.inflight[1:]
		k.finish(k.reckon(c, k.end))
	}
}

func (c *Channel) write(frames []int16) error {
	for at, rest := c.written, frames; len(rest) > 0; {
		n := copy(c.past[at%history:], rest)
		at, rest = at+int64(n), rest[n:]
	}
	dry := c.written == c.consumed
	err := c.dev.Write(frames)
	c.written += int64(len(frames)) // on an error it is written again to the next device
	if dry {
		c.moved = time.Now() // it had nothing to move before, however long we were kept waiting
	}
	return err
}

// remembered is what was written from one frame to another, at most history.
func (c *Channel) remembered(from, to int64) []int16 {
	if from = max(from, to-history); from >= to {
		return nil
	}
	frames := make([]int16, to-from)
	for i := range frames {
		frames[i] = c.past[(from+int64(i))%history]
	}
	return frames
}

// shut fades out, finishes all takes and closes the device.
func (c *Channel) shut() {
	c.cutOff(func(*Take) bool { return true }, Heard{Cut: CutStopped}, time.Time{})
	if c.dev != nil {
		quiet := make([]int16, period)
		for give := time.Now().Add(goodbye); c.consumed < c.written && len(c.inflight) > 0 && time.Now().Before(give); {
			// The device may wait for a whole period before it starts.
			if err := c.write(quiet); err != nil {
				break
			}
			if err := c.observe(); err != nil {
				break
			}
		}
		c.close(c.dev)
		c.dev = nil
		c.up.Store(false)
	}
	c.serve(true)
	for _, k := range c.inflight {
		h := k.reckon(c, min(c.consumed, k.end))
		h.Cut = CutStopped
		k.finish(h)
	}
	for _, t := range c.turns {
		t.ended = true
		for _, k := range t.queue {
			k.finish(Heard{Cut: CutStopped})
		}
	}
	c.log.Info("output closed")
	c.report(false, nil)
}
