package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// runCmd is the daemon.
func (a *app) runCmd() *cobra.Command {
	d := &daemon{app: a}
	c := a.JSONFlag(&cobra.Command{
		Use:   "run",
		Short: a.Say("run.short"),
		RunE:  func(c *cobra.Command, _ []string) error { return d.run(c.Context()) },
	})
	c.Flags().DurationVar(&d.length, "for", 0, a.Say("run.flag_for"))
	c.Flags().IntVar(&d.reachAfter, "reach-after", 0, a.Say("run.flag_reach"))
	return c
}

// daemon is `dalaba run`: the parts of a controller, wired.
type daemon struct {
	*app
	length     time.Duration // ends by itself after this; 0: never
	reachAfter int           // shows the reach table once after so many clips; 0: never

	now       func() time.Time    // the wall clock
	site      *site               // its programme holds the county's too
	own       *config.Config      // as the file has it
	begun     *config.Config      // in force as the daemon began
	following []part              // they are told when another config is in force
	before    *playlist.Programme // in force when the daemon last stopped, where it was another
	log       *slog.Logger
	clock     *clockWatch
	player    *player.Player
	alarm     *alarm
	county    *countyLink
	opener    *devices.Opener
	card      string                        // the opener's, as it is kept
	live      atomic.Pointer[config.Config] // in force, for other goroutines than attend's

	hup        chan os.Signal // the config is to be read again
	full       bool           // no room could be made: told once
	arrived    chan struct{}  // a clip came in through the inbox
	rearranged chan struct{}  // the county's programme has changed
}

// Facts kept in the store for the verbs that look.
const (
	stateClock   = "clock"   // playlist.ClockState
	stateStarted = "started" // RFC 3339
	stateConfig  = "config"  // when the config in force was read, RFC 3339
)

// errDamaged ends a daemon whose store was found damaged while it ran; the
// next start restores it.
var errDamaged = errors.New("the store is damaged; start again to restore the last backup")

func (d *daemon) run(ctx context.Context) (err error) {
	d.Stream = true
	told := ctx
	defer func() {
		if told.Err() != nil && errors.Is(err, context.Canceled) && !errors.Is(err, errDamaged) {
			err = nil // it was told to end before it had begun
		}
	}()
	if d.length < 0 {
		return cli.Refuse(say.M("run.bad_length"))
	}
	text, err := d.readConfig()
	if err != nil {
		return err
	}
	dir, err := d.dataDir(ctx, text)
	if err != nil {
		return err
	}
	// Before the lock tells anybody whom to signal.
	d.hup = make(chan os.Signal, 1)
	signal.Notify(d.hup, syscall.SIGHUP)
	defer signal.Stop(d.hup)
	ctx, damaged := context.WithCancelCause(ctx)
	defer damaged(nil)
	d.now = wallClock()
	console := d.console()
	store, err := openForDaemon(ctx, dir, data.Options{
		Log: slog.New(console), Boot: bootID(), Mono: uptime, Now: d.now,
		OnDamage: func(error) { damaged(errDamaged) }, Spare: true,
	})
	if err != nil {
		if cfg, _ := config.Read(d.config, text, &library{ctx: ctx}); cfg != nil && d.Lang == "" {
			d.Lang = string(d.Language(cfg.Site.Language))
		}
		return err
	}
	defer func() {
		if cause := context.Cause(ctx); errors.Is(cause, errDamaged) {
			err = errors.Join(err, cause)
		}
		err = errors.Join(err, store.Close())
	}()
	d.log = slog.New(store.LogHandler(console))
	cfg, err := d.load(ctx, store, dir, text)
	if err != nil {
		return err
	}
	d.own = cfg
	if cfg, err = withCounty(ctx, store, cfg); err != nil {
		d.log.Error("county's programme cannot be read", "err", err)
	}
	d.site = &site{cfg, store}
	if d.Lang == "" {
		d.Lang = string(d.Language(cfg.Site.Language))
	}
	return d.serve(ctx)
}

// openForDaemon opens the store and holds it. One that cannot be written is
// copied into memory: a pole goes on airing. One that belongs to somebody else
// is refused: nobody could keep two daemons from airing the same slots.
func openForDaemon(ctx context.Context, dir string, o data.Options) (*data.Store, error) {
	held, err := data.Lock(dir)
	if err != nil {
		return nil, err
	}
	o.Lock = held
	store, err := data.Open(ctx, dir, o)
	if err == nil {
		return store, nil
	}
	if errors.Is(err, data.ErrNewer) || errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return nil, err
	}
	o.Log.Error("store does not open", "path", dir, "err", err)
	store, volatile := data.OpenVolatile(ctx, dir, o)
	if volatile != nil {
		return nil, errors.Join(err, volatile)
	}
	return store, nil
}

// load reads the config for the daemon. Where it is refused and an earlier
// one was in force, that one is: a pole must not fall silent at the next
// power cut because somebody mistyped a line.
func (d *daemon) load(ctx context.Context, store *data.Store, dir string, text []byte) (*config.Config, error) {
	lib := &library{ctx: ctx, store: store, keep: true}
	cfg, problems := config.Read(d.config, text, lib)
	d.tell(problems)
	good := lastGood(dir)
	if !config.Refused(problems) {
		if old, err := os.ReadFile(good); err == nil && !bytes.Equal(old, text) {
			if was, _ := config.Read(d.config, old, lib); was != nil {
				was, _ = withCounty(ctx, store, was) // the file's own, where that cannot be read
				d.before = &was.Programme
			}
		}
		d.keepConfig(dir, text)
		return cfg, nil
	}
	text, err := os.ReadFile(good)
	if err != nil {
		return nil, cli.Refuse(cli.ErrTold)
	}
	if cfg, problems = config.Read(d.config, text, lib); config.Refused(problems) {
		return nil, cli.Refuse(cli.ErrTold)
	}
	d.log.Error("config refused, the last good one is in force", "config", d.config, "last_good", good)
	return cfg, nil
}

// lastGood is where the config in force is kept for a day on which the file
// itself is broken.
func lastGood(dir string) string { return filepath.Join(dir, "dalaba.toml.good") }

func (d *daemon) keepConfig(dir string, text []byte) {
	if old, err := os.ReadFile(lastGood(dir)); err == nil && bytes.Equal(old, text) {
		return
	}
	if err := data.KeepFile(lastGood(dir), text, 0o600); err != nil {
		d.log.Error("config in force not kept", "err", err)
	}
}

// console is where log lines go beside the store: the terminal shows what
// airs instead, and only what a person must know of the log.
func (d *daemon) console() slog.Handler {
	level := slog.LevelInfo
	if cli.IsTerminal(d.Err) || cli.IsTerminal(d.Out) {
		level = slog.LevelError
	}
	return slog.NewTextHandler(d.Err, &slog.HandlerOptions{Level: level})
}

func (d *daemon) serve(ctx context.Context) error {
	store, log, cfg := d.site.store, d.log, d.site.Config
	d.since(ctx, &cfg.Programme, d.before)
	d.live.Store(cfg)
	d.begun, d.following = cfg, d.parts()
	d.clock = newClockWatch(cfg.Site.Clock, d.now, store, log)
	d.checkClock(ctx)
	cut, err := store.CloseOpen(ctx, d.now(), playlist.ReasonPowerLost)
	if err != nil {
		return err
	}
	d.recallCard(ctx)
	if err := d.autoHasCard(); err != nil {
		return err
	}
	log.Info("started", "pid", os.Getpid(), "config", d.config, "outputs", len(cfg.Outputs), "slots", len(cfg.Slots), "cut_off", len(cut))
	d.keep(ctx, stateStarted, d.now().UTC().Format(time.RFC3339))
	d.keep(ctx, stateConfig, d.now().UTC().Format(time.RFC3339))
	show := newShow(d.app, d.live.Load, store, d.now, d.reachAfter)
	show.begin(d.clock.trust())
	options := player.Options{
		Ledger: store, Log: log, Boot: bootID(), Uptime: uptime, Watch: d.watch(show), Unfit: func(playlist.ClipID) { nudge(d.county.hash) }, Trust: d.clock.trust, Wall: d.now, Before: d.before,
		Open: func(ctx context.Context, o playlist.Output) (player.Device, error) { return d.opener.Open(ctx, o) },
	}
	if cfg.Amplifier.Relay != "" {
		relay, err := devices.OpenRelay(cfg.Amplifier.Relay)
		if err != nil {
			log.Error("relay does not open, the amplifier is left as it is", "relay", cfg.Amplifier.Relay, "err", err)
		} else {
			amp := devices.NewAmplifier(relay, cfg.Amplifier.WarmUp, cfg.Amplifier.Hold, log)
			defer func() {
				if err := amp.Close(); err != nil {
					log.Warn("relay does not close", "err", err)
				}
			}()
			options.Amp, options.WarmUp = amp, cfg.Amplifier.WarmUp
		}
	}
	d.arrived, d.rearranged = make(chan struct{}, 1), make(chan struct{}, 1)
	d.county = newCountyLink(d, store)
	d.player = player.New(&cfg.Programme, options)
	d.alarm = newAlarm(d, store)
	if _, err := trusted(cfg.Alert); err != nil {
		log.Error("alerts will be refused until this is put right", "err", err)
	}
	if d.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.length)
		defer cancel()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.player.Run(ctx) })
	group.Go(func() error { return d.alarm.run(ctx) })
	group.Go(func() error { return d.control(ctx) })
	group.Go(func() error { return d.heartbeat(ctx) })
	group.Go(func() error { return d.attend(ctx) })
	group.Go(func() error { return show.run(ctx) })
	group.Go(func() error { return d.county.run(ctx) })
	for _, p := range d.following {
		group.Go(func() error { return d.follow(ctx, p) })
	}
	err = group.Wait()
	log.Info("stopped")
	show.end()
	return err
}

// autoHasCard refuses to play into nothing: where an output wants any sound
// card and there is none, the operator must say what else. One that was chosen
// before is waited for.
func (d *daemon) autoHasCard() error {
	for _, o := range d.site.Outputs {
		if o.Device == autoDevice && d.card == "" && !hasCard() {
			return say.M("run.no_card", o.Name)
		}
	}
	return nil
}

// attend does what must be done now and then.
func (d *daemon) attend(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	hour := time.NewTicker(time.Hour)
	defer hour.Stop()
	d.keepCard(ctx)
	d.maintain(ctx)
	for {
		select {
		case <-second.C:
			before := d.clock.trust()
			d.checkClock(ctx)
			d.keepCard(ctx)
			if d.clock.trust() == playlist.ClockTrusted {
				d.disbelieve(ctx)
				if before != playlist.ClockTrusted {
					d.backUp(ctx) // it waited for that
				}
			}
		case <-minute.C:
			d.makeRoom(ctx)
		case <-hour.C:
			d.maintain(ctx)
		case <-d.hup:
			d.reload(ctx)
		case <-d.arrived:
			d.reload(ctx) // a series may have grown
		case <-d.rearranged:
			d.rearrange(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// roomWanted is how much of the disk is kept free, by giving up clips that no
// slot needs.
const roomWanted = 64 << 20

// makeRoom gives up the least-needed clips where the disk fills.
func (d *daemon) makeRoom(ctx context.Context) {
	free, err := d.site.store.Free()
	if err != nil || free >= roomWanted {
		return // a disk that cannot be asked is told of elsewhere
	}
	needed := d.alarm.needs(ctx)
	d.county.needs(ctx, needed)
	for _, l := range d.site.Playlists {
		for _, id := range l.Clips {
			needed[id] = true
		}
	}
	freed, err := d.site.store.Shed(ctx, roomWanted-free, func(id playlist.ClipID) bool { return needed[id] })
	if errors.Is(err, data.ErrReadOnly) {
		return // told when the store went over to memory
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("room not made", "err", err)
	}
	if freed > 0 || err == nil && !d.full {
		d.log.Warn("disk nearly full", "free", free, "freed", freed)
	}
	d.full = freed == 0
}

// maintain keeps the store in order.
func (d *daemon) maintain(ctx context.Context) {
	store := d.site.store
	d.backUp(ctx)
	if err := store.Tend(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("store not tended", "err", err)
	}
	if days := d.site.Store.Days; days > 0 && d.clock.trust() == playlist.ClockTrusted { // a wrong clock would make all rows old
		if _, err := store.Prune(ctx, d.now(), time.Duration(days)*24*time.Hour, d.county.waits(ctx)); err != nil && ctx.Err() == nil {
			d.log.Warn("as-run log not pruned", "err", err)
		}
	}
}

// backUp makes a backup where one is due. A clock that is not trusted cannot
// say: one that lost the time would have one made after each power cut, and
// those of earlier days removed. Only the first does not wait.
func (d *daemon) backUp(ctx context.Context) {
	store := d.site.store
	if d.clock.trust() != playlist.ClockTrusted {
		if h, err := store.Health(ctx); err != nil || h.Backups > 0 {
			return
		}
	}
	if path, err := store.BackupDue(ctx, d.now(), d.live.Load().Store.Backups); err != nil && ctx.Err() == nil {
		d.log.Error("backup not made", "err", err)
	} else if path != "" {
		d.log.Info("backup made", "path", path)
	}
}

// watchdogGrace is how long the player may give no sign of life before systemd
// is left to think that the daemon hangs.
const watchdogGrace = 30 * time.Second

// heartbeat tells systemd that the daemon is ready once the schedule is asked,
// and from then on that it lives, as long as what makes the sound does. What
// else the daemon does may take as long as a slow disk has it take.
func (d *daemon) heartbeat(ctx context.Context) error {
	defer d.notify(sd.SdNotifyStopping)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for ready := false; ; {
		select {
		case <-second.C:
		case <-ctx.Done():
			return nil
		}
		if !ready && d.player.Ready() {
			ready = true
			d.notify(sd.SdNotifyReady)
		}
		if time.Since(d.player.Answered()) < watchdogGrace {
			d.notify(sd.SdNotifyWatchdog)
		}
	}
}

// notify tells systemd, where it started the daemon.
func (d *daemon) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		d.log.Warn("systemd does not listen", "err", err)
	}
}

func (d *daemon) checkClock(ctx context.Context) {
	if d.clock.look(ctx) {
		d.keep(ctx, stateClock, string(d.clock.trust()))
		if d.clock.trust() == playlist.ClockTrusted {
			if err := d.site.store.NoteBoot(ctx, bootID(), d.now().Add(-uptime())); err != nil && ctx.Err() == nil {
				d.log.Error("boot time not kept", "err", err)
			}
		}
	}
}

// disbelieve puts right what a wrong clock, which ran ahead, said of when the
// slots came into force: by that, none would fall due for years.
func (d *daemon) disbelieve(ctx context.Context) {
	ahead := d.now().Add(floorSlack)
	if !slices.ContainsFunc(d.site.Slots, func(s playlist.Slot) bool { return s.Since.After(ahead) }) {
		return
	}
	cfg := *d.site.Config
	cfg.Slots = slices.Clone(cfg.Slots) // the player reads the others
	d.since(ctx, &cfg.Programme)
	if d.player.Reload(ctx, &cfg.Programme) == nil {
		d.site.Config = &cfg
		d.live.Store(&cfg)
	}
}

func (d *daemon) keep(ctx context.Context, key, value string) {
	if err := d.site.store.SetState(ctx, key, value); err != nil && ctx.Err() == nil {
		d.log.Error("state not kept", "key", key, "err", err)
	}
}

// rearrange puts the county's programme, which has changed, in force beside
// the site's own.
func (d *daemon) rearrange(ctx context.Context) {
	if cfg := d.inForce(ctx); cfg != nil {
		d.log.Info("county's programme in force", "slots", len(cfg.Slots)-len(d.own.Slots))
	}
}

// inForce puts the site's own config and the county's programme in force; nil
// where the daemon stops.
func (d *daemon) inForce(ctx context.Context) *config.Config {
	cfg, err := withCounty(ctx, d.site.store, d.own)
	if err != nil {
		d.log.Error("county's programme cannot be read", "err", err)
	}
	d.since(ctx, &cfg.Programme, &d.site.Programme)
	if err := d.player.Reload(ctx, &cfg.Programme); err != nil {
		return nil
	}
	d.site.Config = cfg
	d.live.Store(cfg)
	for _, p := range d.following {
		nudge(p.changed)
	}
	return cfg
}

// watch shows what happens to airings, and wakes the link when there is a
// receipt.
func (d *daemon) watch(show *show) func(player.Moment) {
	return func(m player.Moment) {
		show.watch(m)
		if m.Kind == player.MomentEnded || m.Kind == player.MomentSilent {
			d.county.wake()
		}
	}
}
