// Package controller is the daemon of a village: it joins the player, the devices,
// the store, the alerts and the link to the county, and keeps them going through
// power cuts, full disks and bad configs.
package controller

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"dalaba/controller/clock"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// ErrDamaged means that the store was found damaged while the daemon ran. The next
// start restores it.
var ErrDamaged = errors.New("the store is damaged; start again to restore the last backup")

// ErrRefused means that the config is refused and no earlier one was in force.
var ErrRefused = errors.New("the config is refused")

// Options are what a controller needs.
type Options struct {
	File     string                     // the config file
	Text     []byte                     // its contents as the daemon starts
	Program  string                     // the program's version, for the county
	Console  slog.Handler               // where log lines go beside the store
	Language func(site string) say.Lang // for people, by what the site's config says
	Problems func(all []config.Problem) // called with what is wrong with the config as it starts
	Hangup   <-chan os.Signal           // a signal has the config read again
	Watch    func(player.Moment)        // called from many goroutines, must be quick; nil: not called

	// What else tells who watches the daemon what is in force; each must be quick, nil
	// is not called.
	Reloads func(r control.Reloaded, refused error) // the config was read again; refused is for people at the site
	Renewed func(changes []config.Change)           // clips have come or gone
	County  func(changes []config.Change)           // the county's programme has changed
}

// Controller is a village's daemon.
type Controller struct {
	Options
	now       func() time.Time
	log       *slog.Logger
	held      *data.Held // the data folder
	store     *data.Store
	damaged   <-chan struct{}
	clock     *clock.Watch
	programme *programme
	card      *card
	player    *player.Player
	amplifier *devices.Amplifier // nil: none
	alerts    *alerts
	mic       *microphone
	uplink    *uplink.Uplink
	upkeep    *upkeep
	control   *control.Server
	requests  chan func() // for attend, which calls them
}

// New opens the store that the config names, takes hold of it and puts the config
// in force; if it is refused, the last one that was not. It sounds nothing before
// Run, which must follow, or Close.
//
// Errors are [ErrRefused], data.ErrLocked, data.ErrNewer, what is wrong with the
// data folder, or that there is no sound card where the config wants any.
func New(ctx context.Context, o Options) (*Controller, error) {
	damaged := make(chan struct{})
	now := clock.Wall()
	dir := config.DataDir(o.File, o.Text)
	held, err := data.Lock(dir)
	if err != nil {
		return nil, err
	}
	private := data.MakePrivate(dir)
	store, err := openStore(ctx, dir, data.Options{
		Log: slog.New(o.Console), Boot: clock.Boot(), Mono: clock.Uptime, Now: now, Lock: held,
		OnDamage: func(error) { close(damaged) }, Spare: true,
	})
	if err != nil {
		return nil, errors.Join(err, held.Release())
	}
	c := &Controller{
		Options: o, now: now, held: held, store: store, log: slog.New(store.LogHandler(o.Console)), damaged: damaged, requests: make(chan func()),
	}
	private.Tell(c.log, dir)
	if err := c.assemble(ctx, dir); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openStore opens the store. If it cannot be written, the daemon works on a copy in
// memory: a pole goes on airing. A store of another owner is refused: nothing would
// keep two daemons from airing the same slots.
func openStore(ctx context.Context, dir string, o data.Options) (*data.Store, error) {
	store, err := data.Open(ctx, dir, o)
	if err == nil {
		return store, nil
	}
	if errors.Is(err, data.ErrNewer) || errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return nil, err
	}
	o.Log.Error("store does not open", "path", dir, "err", err)
	o.Why = err
	store, volatile := data.OpenVolatile(ctx, dir, o)
	if volatile != nil {
		return nil, errors.Join(err, volatile)
	}
	return store, nil
}

// assemble makes the parts, in the order in which they need each other.
func (c *Controller) assemble(ctx context.Context, dir string) error {
	var err error
	if c.programme, err = loadProgramme(ctx, c, dir); err != nil {
		return err
	}
	cfg := c.Config()
	c.clock = clock.NewWatch(cfg.Site.Clock, c.now, c.store, c.log)
	c.upkeep = &upkeep{
		store: c.store, log: c.log, now: c.now, trust: c.clock.Trust, config: c.Config,
		needs: c.neededClips, waits: func(ctx context.Context) bool { return c.uplink.Waits(ctx) },
	}
	c.checkClock(ctx)
	cut, err := c.store.CloseOpen(ctx, c.now(), asrun.ReasonPowerLost)
	if err != nil {
		return err
	}
	c.card = newCard(ctx, c.store, c.log)
	if err := c.card.available(cfg.Outputs); err != nil {
		return err
	}
	c.log.Info("started", "pid", os.Getpid(), "config", c.File, "outputs", len(cfg.Outputs), "slots", len(cfg.Slots), "cut_off", len(cut))
	c.tellFailedStarts()
	c.keep(ctx, "started", c.store.SetStarted(ctx, c.now()))
	c.keep(ctx, "config", c.store.SetConfigRead(ctx, c.now()))
	c.player = player.New(&cfg.Programme, c.playerOptions(cfg))
	c.programme.player = c.player
	c.alerts = newAlerts(c.player, c.store, c.Config, c.log)
	c.mic = &microphone{config: c.Config, alarm: c.alerts.alarm, now: c.now, log: c.log, lang: c.lang}
	c.uplink = uplink.New(uplink.Options{
		Store: c.store, Dir: cfg.Site.DataDir, Log: c.log, Config: c.Config, Outputs: c.outputHealth, Changed: c.programme.rearranged,
		Inline: c.alerts.aside.with,
		Clock:  c.clock, Alarm: c.alerts.alarm, Program: c.Program, Boot: clock.Boot(), Mono: clock.Uptime, Now: c.now,
	})
	c.control = &control.Server{Daemon: c, Dir: cfg.Site.DataDir, Config: c.File, Log: c.log}
	_, faults := site.Senders(cfg.Alert)
	for _, f := range faults {
		c.log.Error("alerts of a sender will be refused until this is fixed", "err", f)
	}
	return nil
}

func (c *Controller) playerOptions(cfg *config.Config) player.Options {
	o := player.Options{
		Ledger: c.store, Log: c.log, Boot: clock.Boot(), Uptime: clock.Uptime, Wall: c.now, Trust: c.clock.Trust, Before: c.programme.before,
		Watch: c.watch, Unfit: func(playlist.ClipID) { c.uplink.Rehash() }, Open: c.card.open,
	}
	if spec := cfg.Amplifier.Relay; spec != "" {
		relay, err := devices.OpenRelay(spec)
		if err != nil {
			c.log.Error("relay does not open, the amplifier is left as it is", "relay", spec, "err", err)
			return o
		}
		c.amplifier = devices.NewAmplifier(relay, cfg.Amplifier.WarmUp, cfg.Amplifier.Hold, c.log)
		o.Amp, o.WarmUp = c.amplifier, cfg.Amplifier.WarmUp
	}
	return o
}

// Config returns the config in force, with the county's programme. Any goroutine
// may call it.
func (c *Controller) Config() *config.Config { return c.programme.inForce() }

// Store returns the store. The controller closes it.
func (c *Controller) Store() *data.Store { return c.store }

// Trust returns the state of the clock.
func (c *Controller) Trust() playlist.ClockState { return c.clock.Trust() }

// Now returns the time by the clock that the controller goes by.
func (c *Controller) Now() time.Time { return c.now() }

// lang is the language for people at the site.
func (c *Controller) lang() say.Lang { return c.Language(c.Config().Site.Language) }

// watch passes on what happens to airings, and has the link send receipts.
func (c *Controller) watch(m player.Moment) {
	if c.Watch != nil {
		c.Watch(m)
	}
	if m.Kind == player.MomentEnded || m.Kind == player.MomentSilent {
		c.uplink.Wake()
	}
}

// Run airs until ctx ends, then stops every part. It returns [ErrDamaged] if the
// store was found damaged.
func (c *Controller) Run(ctx context.Context) error {
	followers := c.followers()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-c.damaged:
			return ErrDamaged
		case <-ctx.Done():
			return nil
		}
	})
	for _, run := range []func(context.Context) error{
		c.player.Run, c.alerts.run, c.control.Run, c.heartbeat, c.attend, c.uplink.Run,
	} {
		group.Go(func() error { return run(ctx) })
	}
	for _, p := range followers {
		group.Go(func() error { return c.programme.follow(ctx, p) })
	}
	err := group.Wait()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, context.Canceled) { // the store has told of damage
		c.log.Error("daemon failed", "err", err)
	}
	c.tellFailedStarts() // of others beside it
	c.log.Info("stopped")
	return err
}

// Close switches the amplifier off, closes the store and lets the data folder go.
// Run must have returned.
func (c *Controller) Close() error {
	if c.amplifier != nil {
		if err := c.amplifier.Close(); err != nil {
			c.log.Warn("relay does not close", "err", err)
		}
	}
	return errors.Join(c.store.Close(), c.held.Release())
}

// attend does what must be done now and then.
func (c *Controller) attend(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	hour := time.NewTicker(time.Hour)
	defer hour.Stop()
	c.card.keep(ctx, c.Config().Outputs)
	c.upkeep.maintain(ctx)
	for {
		select {
		case <-second.C:
			c.eachSecond(ctx)
		case <-minute.C:
			c.upkeep.makeRoom(ctx)
		case <-hour.C:
			c.upkeep.maintain(ctx)
			c.tellFailedStarts()
		case do := <-c.requests:
			do()
		case <-c.Hangup:
			_, _ = c.reload(ctx, c.lang()) // the log tells
		case <-c.programme.clipArrived:
			_, _ = c.renew(ctx, c.lang()) // a series may have grown
		case <-c.programme.countyChanged:
			if changes := c.programme.rearrange(ctx); len(changes) > 0 && c.County != nil {
				c.County(changes)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Controller) eachSecond(ctx context.Context) {
	before := c.clock.Trust()
	c.checkClock(ctx)
	c.card.keep(ctx, c.Config().Outputs)
	if c.clock.Trust() != playlist.ClockTrusted {
		return
	}
	c.programme.disbelieve(ctx)
	if before != playlist.ClockTrusted {
		c.upkeep.backUp(ctx) // it waited for that
	}
}

// checkClock looks at the clock, and notes a change of its state.
func (c *Controller) checkClock(ctx context.Context) {
	if !c.clock.Look(ctx) {
		return
	}
	c.keep(ctx, "clock", c.store.SetClock(ctx, c.clock.Trust()))
	if c.clock.Trust() != playlist.ClockTrusted {
		return
	}
	if err := c.store.NoteBoot(ctx, clock.Boot(), c.now().Add(-clock.Uptime())); err != nil && ctx.Err() == nil {
		c.log.Error("boot time not stored", "err", err)
	}
}

// keep logs that a fact could not be written.
func (c *Controller) keep(ctx context.Context, key string, err error) {
	if err != nil && ctx.Err() == nil {
		c.log.Error("fact not stored", "key", key, "err", err)
	}
}

// neededClips returns the clips that must not be given up for their room.
func (c *Controller) neededClips(ctx context.Context) map[playlist.ClipID]bool {
	needed := c.alerts.needs(ctx)
	for _, id := range c.uplink.Needs(ctx) {
		needed[id] = true
	}
	for _, l := range c.Config().Playlists {
		for _, id := range l.Clips {
			needed[id] = true
		}
	}
	return needed
}
