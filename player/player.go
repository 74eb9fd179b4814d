package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

const watermarkEvery = 10 * time.Minute

// Options are what a player works with. Ledger, Open and Log are needed.
type Options struct {
	Ledger Ledger
	Open   OpenDevice
	Log    *slog.Logger
	Boot   string                                             // the machine's boot ID, for the rows
	Uptime func() time.Duration                               // since that boot; nil: zero
	Wall   func() time.Time                                   // the wall clock; nil: time.Now
	Trust  func() playlist.ClockState                         // asked each second; nil: trusted
	Watch  func(Moment)                                       // called from many goroutines, must be quick; nil: not called
	Unfit  func(playlist.ClipID)                              // told of a clip whose file will not air, must be quick; nil: not called
	Before *playlist.Programme                                // in force until the daemon stopped, if it was another
	Sound  func(path string, levelDB float64) (*Sound, error) // opens a clip's file; nil: [OpenSound]
	Amp    Amplifier                                          // switched on ahead of sound; nil: none
	WarmUp time.Duration                                      // how long before its sound an amplifier must be on
}

// Amplifier is the power amplifier behind the outputs. devices.Amplifier is
// one.
type Amplifier interface {
	// On keeps it on until the matching Off and returns once it is warm: at
	// by, if that lies far enough ahead. If ctx ends first it returns the
	// error of ctx, and must not be followed by Off.
	On(ctx context.Context, by time.Time) error
	Off()
}

// Player airs a programme.
type Player struct {
	Options
	orders chan order
	began  time.Time    // monotonic
	asked  atomic.Int64 // when the schedule was last asked, as a duration since began

	instants instants
	draws    draws

	mu         sync.Mutex
	channels   map[string]*Channel
	inHand     map[hand]time.Time    // due instants of what is being performed
	performing map[hand]*performance // of those, what is not recorded in a group
	handedOut  time.Time             // what falls due up to then is in hand, or over

	live atomic.Pointer[playlist.Programme] // in force, for other goroutines than Run's

	// The rest belongs to Run's goroutine.
	programme *playlist.Programme
	desk      *schedule.Desk // nil until the watermark is known
	marked    time.Time      // when the watermark was last set, monotonic
	kept      chan struct{}  // closed once it is written; nil: not yet set
	groups    int            // of missed airings recorded together, so far
	runs      map[string]context.CancelFunc
	work      sync.WaitGroup
}

type hand struct {
	airing playlist.AiringID
	output string
}

type order struct {
	programme *playlist.Programme
	done      chan struct{}
}

// New makes a player of the programme.
func New(p *playlist.Programme, o Options) *Player {
	wall := o.Wall
	if wall == nil {
		wall = time.Now
	}
	// Without the monotonic reading, which would hide that the clock was set.
	o.Wall = func() time.Time { return wall().Round(0) }
	if o.Trust == nil {
		o.Trust = func() playlist.ClockState { return playlist.ClockTrusted }
	}
	if o.Uptime == nil {
		o.Uptime = func() time.Duration { return 0 }
	}
	if o.Unfit == nil {
		o.Unfit = func(playlist.ClipID) {}
	}
	if o.Sound == nil {
		o.Sound = OpenSound
	}
	if o.Watch == nil {
		o.Watch = func(Moment) {}
	}
	made := &Player{
		Options: o, programme: p, orders: make(chan order),
		began:    time.Now(),
		channels: map[string]*Channel{}, inHand: map[hand]time.Time{}, performing: map[hand]*performance{}, runs: map[string]context.CancelFunc{},
	}
	made.live.Store(p)
	return made
}

// Programme is the one in force.
func (p *Player) Programme() *playlist.Programme { return p.live.Load() }

// Run airs until ctx ends, then fades out, closes the rows of what was
// sounding and returns.
func (p *Player) Run(ctx context.Context) error {
	// Rows are closed after ctx has ended.
	ledger := context.WithoutCancel(ctx)
	defer func() { p.setMark(ledger, p.accounted()) }()
	defer p.work.Wait()
	p.arrange(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := p.ask(ctx); err != nil && ctx.Err() == nil {
			p.Log.Error("schedule not read", "err", err)
		}
		select {
		case <-tick.C:
			p.arrange(ctx)
			if time.Since(p.marked) > watermarkEvery && !p.marking() {
				p.keepMark(ledger, p.accounted(), make(chan struct{}))
			}
		case o := <-p.orders:
			at := p.accounted() // up to now the old programme was in force
			p.programme = o.programme
			p.live.Store(o.programme)
			if p.desk != nil {
				p.desk.Change(o.programme)
			}
			p.arrange(ctx)
			p.keepMark(ledger, at, o.done)
		case <-ctx.Done():
			return nil
		}
	}
}

// Reload puts another programme in force, and returns once the ledger knows
// how far all was accounted for by then. What is airing goes on to its end; an
// output whose device changed moves once it is idle.
func (p *Player) Reload(ctx context.Context, programme *playlist.Programme) error {
	o := order{programme, make(chan struct{})}
	select {
	case p.orders <- o:
		<-o.done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready reports whether the schedule has been asked at all.
func (p *Player) Ready() bool { return p.asked.Load() > 0 }

// Answered is when the player last gave a sign of life, with its monotonic
// reading: since then the schedule was asked, which happens each second, and
// every output's goroutine replied to an earlier call of Answered, with or
// without its device. It waits for no disk and no device.
func (p *Player) Answered() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := time.Duration(p.asked.Load())
	for _, c := range p.channels {
		oldest = min(oldest, c.answered(p.began))
	}
	return p.began.Add(oldest)
}

// Channel is the channel of an output in force.
func (p *Player) Channel(output string) (*Channel, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.channels[output]
	return c, ok
}

// slowest is the extra delay of the output that is latest: others begin no
// earlier than it can.
func (p *Player) slowest() (d time.Duration) {
	for _, o := range p.Programme().Outputs {
		d = max(d, o.ExtraDelay)
	}
	return d
}

// join gets in line for an output: on the channel in force, which may be another
// than the one known, after a reload.
func (p *Player) join(output string, known *Channel, in func(*Channel) *Turn) (*Channel, *Turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.channels[output]; c != nil {
		known = c
	}
	return known, in(known)
}

// arrange starts and ends channels by the programme's outputs. A channel in use
// is left alone until it is idle, unless its device is away: the turns that
// wait for that device get in line for the new one.
func (p *Player) arrange(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted, leaving := map[string]playlist.Output{}, map[string]*Channel{}
	for _, o := range p.programme.Outputs {
		wanted[o.Name] = o
	}
	for name, c := range p.channels {
		o, ok := wanted[name]
		same := ok && o.Device == c.out.Device && o.LevelDB == c.out.LevelDB && o.ExtraDelay == c.out.ExtraDelay && o.CloseIdle == c.out.CloseIdle
		if same || !c.Idle() && c.Up() {
			continue
		}
		p.runs[name]()
		leaving[name] = c
		delete(p.channels, name)
	}
	for name, o := range wanted {
		if p.channels[name] != nil {
			continue
		}
		run, stop := context.WithCancel(ctx)
		c := NewChannel(o, p.openAfter(leaving[name]), p.Wall, p.Log)
		p.channels[name], p.runs[name] = c, stop
		p.work.Go(func() {
			if err := c.Run(run); err != nil {
				p.Log.Error("channel ended", "output", name, "err", err)
			}
		})
	}
}

// openAfter opens devices once the channel that had the output before has
// closed its own.
func (p *Player) openAfter(old *Channel) OpenDevice {
	if old == nil {
		return p.Open
	}
	return func(ctx context.Context, o playlist.Output) (Device, error) {
		select {
		case <-old.gone:
			return p.Open(ctx, o)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask starts to perform the airings that fell due since it was last called.
func (p *Player) ask(ctx context.Context) error {
	if err := p.openDesk(ctx); err != nil {
		return err
	}
	if p.asked.Load() == 0 {
		p.Log.Info("ready")
	}
	p.asked.Store(max(1, int64(time.Since(p.began))))
	due, note := p.desk.Ask(schedule.Reading{Wall: p.Wall(), Since: time.Since(p.began), Trust: p.Trust()})
	if note != schedule.NoteNone {
		p.Log.Warn(string(note))
	}
	var gone []schedule.Due
	for _, d := range due {
		if !schedule.Stand(p.programme, d, nil, p.Wall()).Perform {
			gone = append(gone, d)
			continue
		}
		for _, name := range d.Slot.Outputs {
			p.start(ctx, d, name)
		}
	}
	p.mu.Lock()
	p.handedOut = p.desk.Asked()
	p.mu.Unlock()
	p.recordMissed(ctx, gone)
	return nil
}

// openDesk begins at the watermark, once that is known.
func (p *Player) openDesk(ctx context.Context) error {
	if p.desk != nil {
		return nil
	}
	mark, err := p.Ledger.Watermark(ctx)
	if err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	p.desk = schedule.NewDesk(p.programme, mark)
	p.desk.Ahead = p.WarmUp
	if p.Before != nil {
		p.desk.Resume(p.Before)
	}
	return nil
}

func (p *Player) performance(programme *playlist.Programme, d schedule.Due, output string) *performance {
	out, _ := programme.Output(output)
	f := &performance{p: p, programme: programme, due: d, out: out}
	f.out.Name = output
	f.course = schedule.NewCourse(d.Airing)
	f.waitFor(d.Due)
	f.show(func(o *schedule.Open) { *o = schedule.Open{Output: output, Item: 1} })
	f.log = p.Log.With("airing", d.ID, "slot", d.Slot.Name, "output", output)
	return f
}

// start performs one airing on one output, unless it is in hand.
func (p *Player) start(ctx context.Context, d schedule.Due, output string) {
	h := hand{d.ID, output}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.inHand[h]; ok {
		return
	}
	p.inHand[h] = d.Due
	programme := p.live.Load()
	f := p.performance(programme, d, output)
	if _, known := programme.Output(output); known {
		f.ch = p.channels[output]
	}
	if f.ch != nil {
		// In line at once, in order of due instant and rank: the airing that
		// starts first knows which others are about to.
		f.turn = f.joins(f.ch)
		f.announce(time.Now().Add(f.ahead()))
	}
	p.performing[h] = f
	p.work.Go(func() {
		if err := f.account(ctx); err != nil && !errors.Is(err, errSetBack) {
			// It stays in hand: the watermark stays behind it, and the next
			// start asks again.
			if ctx.Err() == nil {
				f.log.Error("airing not accounted for", "err", err)
			}
			return
		}
		p.mu.Lock()
		delete(p.inHand, h)
		delete(p.performing, h)
		p.mu.Unlock()
	})
}

// accounted is the instant up to which all is accounted for: now, or the first
// airing that is still in hand; zero if that is not known.
func (p *Player) accounted() time.Time {
	if p.desk == nil || p.Trust() != playlist.ClockTrusted {
		return time.Time{} // the instants of an untrusted clock count for nothing
	}
	p.marked = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.desk.Watermark(p.Wall(), maps.Values(p.inHand))
}

// keepMark sets the watermark after the ones before it, and closes done then.
// It does not wait: a slow disk must not hold up the schedule.
func (p *Player) keepMark(ctx context.Context, at time.Time, done chan struct{}) {
	before := p.kept
	p.kept = done
	p.work.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		p.setMark(ctx, at)
	})
}

// marking reports whether a watermark is still being written.
func (p *Player) marking() bool {
	if p.kept == nil {
		return false
	}
	select {
	case <-p.kept:
		return false
	default:
		return true
	}
}

func (p *Player) setMark(ctx context.Context, at time.Time) {
	if at.IsZero() {
		return
	}
	if err := p.Ledger.SetWatermark(ctx, at); err != nil {
		p.Log.Error("watermark not stored", "err", err)
	}
}
