package player

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist"
)

const (
	period   = playlist.Rate / 20         // frames rendered at a time: each time wakes the machine
	queue    = 190 * playlist.Rate / 1000 // frames at most that a device is given ahead, less than its 200 ms ring
	fadeOut  = 20 * playlist.Rate / 1000  // before a cut that is foreseen
	fadeTail = 12 * playlist.Rate / 1000  // after a cut that is not
	fadeIn   = 20 * playlist.Rate / 1000  // when a sound goes on in its middle
	history  = playlist.Rate              // frames remembered: more than any device queues
	stall    = 300 * time.Millisecond     // a queue that has not moved for this long is lost
	proof    = playlist.Rate / 50         // frames that must leave a device newly opened before it counts as back
	steady   = 5 * time.Second            // a device lost sooner than this after it came back is a bad one
	loss     = 10 * time.Second           // an airing waits this long for its device to come back
	backoff0 = 20 * time.Millisecond      // before the first new attempt at a lost device
	backoff1 = 500 * time.Millisecond     // at most
	goodbye  = 500 * time.Millisecond     // for the last fade to leave the device, and for the device to close
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
	lostAt    time.Time       // when the device last moved and was lost
	backAt    time.Time       // when it last came back
	first     int64           // what was consumed when it was opened
	shown     bool            // the log says that it is open
	told      map[string]bool // what the log says of why it is not
	flapping  bool            // it was lost as soon as it had come back
	backoff   time.Duration   // before it is opened again
	past      []int16         // ring of the last frames written
	block     []int16
	turns     []*Turn
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

// requests are functions that other goroutines have the channel's run, in order.
type requests struct {
	ring   chan struct{} // something is waiting
	mu     sync.Mutex
	queue  []func()
	closed bool
}

// post has f run on the channel's goroutine, and does not wait for it; false
// if the channel has ended, and f will not run.
func (c *Channel) post(f func()) bool {
	c.mail.mu.Lock()
	defer c.mail.mu.Unlock()
	if c.mail.closed {
		return false
	}
	c.mail.queue = append(c.mail.queue, f)
	select {
	case c.mail.ring <- struct{}{}:
	default:
	}
	return true
}

// serve runs what was posted. The last call closes the channel to more.
func (c *Channel) serve(last bool) {
	c.mail.mu.Lock()
	all := c.mail.queue
	c.mail.queue, c.mail.closed = nil, last
	c.mail.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// ask has f run on the channel's goroutine and waits for it; false if the
// channel has ended.
func (c *Channel) ask(f func()) bool {
	ran := make(chan struct{})
	if !c.post(func() { defer close(ran); f() }) {
		return false
	}
	<-ran
	return true
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
			c.log.Error("output hangs as it is opened", "device", c.out.Device)
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
		c.log.Warn("output hangs as it is closed", "device", c.out.Device)
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
	c.cutOff(func(*Take) bool { return true }, Heard{Cut: CutStopped})
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
