package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// handOrder is what a technician asks for by hand: one JSON line on the
// control socket.
type handOrder struct {
	Do      string           `json:"do"` // tone or play; alert or cancel; mic; carrier
	Output  string           `json:"output"`
	HZ      float64          `json:"hz,omitempty"`
	Seconds float64          `json:"seconds,omitempty"`
	LevelDB float64          `json:"level_db,omitempty"` // of a tone, below full scale
	Clip    playlist.ClipID  `json:"clip,omitempty"`     // of the library
	File    string           `json:"file,omitempty"`     // or an absolute path
	AlertID playlist.AlertID `json:"alert_id,omitempty"` // to cancel
	Lang    say.Lang         `json:"lang,omitempty"`     // of the answer
}

// handReport answers an order, a JSON line each time something has changed.
// The last one has Over.
type handReport struct {
	Frames   int64     `json:"frames"` // that have left the device so far
	OfFrames int64     `json:"of_frames"`
	Started  time.Time `json:"started,omitzero"`
	Over     bool      `json:"over"`
	Complete bool      `json:"complete"`
	Stopped  bool      `json:"stopped,omitempty"` // by whoever asked
	Error    string    `json:"error,omitempty"`   // why it did not sound to its end

	Alert   *alertAnswer   `json:"alert,omitempty"`   // of an order about alerts
	Carried *carriedAnswer `json:"carried,omitempty"` // of a stick
}

// The bounds of what may be asked for by hand.
const (
	minHZ, maxHZ     = 20, 20000
	minHand, maxHand = 100 * time.Millisecond, 10 * time.Minute
	minHandDB        = -60

	handWait    = 10 * time.Second // for the device, and for who is in line before
	handEvery   = 200 * time.Millisecond
	handQuiet   = 2*handWait + 30*time.Second // nothing is told while the amplifier warms up, at most 30 s of it
	handAlive   = 5 * time.Second             // how often what has nothing to show says that it goes on
	controlRead = 5 * time.Second             // an order must have come by then, and an answer be taken
	controlSize = 8 << 10
	controlMost = 8 // connections at once
	socketPath  = 107
)

func (o handOrder) check() error {
	switch {
	case o.Do == "tone" && (math.IsNaN(o.HZ) || o.HZ < minHZ || o.HZ > maxHZ):
		return say.M("technician.bad_hz", minHZ, maxHZ)
	case o.Do == "tone" && !(o.Seconds >= minHand.Seconds() && o.Seconds <= maxHand.Seconds()):
		return say.M("technician.bad_seconds", minHand.Seconds(), maxHand.Seconds())
	case o.Do == "tone" && !(o.LevelDB >= minHandDB && o.LevelDB <= 0):
		return say.M("technician.bad_level", minHandDB)
	case o.Do == "play" && (o.Clip == "") != (o.File == ""), o.Do == "tone",
		o.Do == "alert" && o.File != "", o.Do == "carrier" && o.File != "", o.Do == "cancel" && o.AlertID != "", o.Do == "mic":
		return nil
	}
	return say.M("technician.bad_order")
}

// hand plays one thing by hand on a channel.
type hand struct {
	order   handOrder
	ceiling float64
	amp     player.Amplifier // nil: none
	find    func(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	wall    func() time.Time
}

// play sounds the order on the channel until it is over or ctx ends, which
// fades it out, and tells how it comes along. It takes the output from what is
// on schedule, never from an emergency or a drill. It is no airing: it has no
// row in the as-run log and counts for no reach.
func (h hand) play(ctx context.Context, ch *player.Channel, tell func(handReport)) (r handReport, err error) {
	// In line at once: an output that rests is opened for whoever is. Where the
	// device has its own level is known once it is open.
	turn := ch.Join(playlist.RankTechnician)
	defer turn.End()
	for end := time.Now().Add(handWait); !ch.Up(); {
		if time.Now().After(end) {
			return r, errAway
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return r, err
		}
	}
	if h.amp != nil {
		if err := h.amp.On(ctx, time.Now()); err != nil {
			return r, err
		}
		defer h.amp.Off()
	}
	sound, frames, err := h.open(ctx, ch.Gain)
	if err != nil {
		return r, err
	}
	defer sound.Close()
	if err := sound.Ready(ctx); err != nil {
		return r, err
	}
	r.OfFrames = frames
	take := turn.Play(player.Cue{Sound: sound, Deadline: h.wall().Add(handWait)})
	tick := time.NewTicker(handEvery)
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
				tell(r)
			}
		}
	}
	heard := take.Heard()
	r.Frames, r.Started, r.Over = heard.Frames, heard.Started, true
	r.Complete = heard.Cut == player.CutNone && r.Frames > 0
	return r, handFault(ctx, heard)
}

var errAway = errors.New("the device is away")

// handFault is what ended a take before its time, as a person should hear it.
func handFault(ctx context.Context, h player.Heard) error {
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
			return errAway
		}
		return say.M("technician.busy", int(handWait.Seconds()))
	case player.CutDevice:
		return errAway
	case player.CutDecode:
		return say.M("technician.decode", h.Err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return say.M("technician.ended")
}

func (h hand) open(ctx context.Context, gain func(want, ceiling float64) float64) (*player.Sound, int64, error) {
	o := h.order
	if o.Do == "tone" {
		length := time.Duration(o.Seconds * float64(time.Second))
		tone := player.Tone(o.HZ, gain(o.LevelDB, h.ceiling), length)
		return player.NewSound(tone, 0, nil), playlist.FramesIn(length), nil
	}
	path, id := o.File, o.Clip
	if path == "" {
		var err error
		if _, path, err = h.find(ctx, id); err != nil {
			return nil, 0, say.M("technician.no_file", id.Short(), err)
		}
	}
	info, err := scanFile(path)
	if err != nil {
		return nil, 0, say.M("technician.bad_file", path, err)
	}
	if id != "" && info.ID != id {
		return nil, 0, say.M("technician.damaged", id.Short(), path)
	}
	sound, err := player.OpenSound(path, gain(0, h.ceiling))
	return sound, info.Frames, err
}

// scanFile looks through a file that may be anything.
func scanFile(path string) (info player.Info, err error) {
	f, err := openRegular(path)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return player.Scan(f)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// socketOf is where the daemon of a data folder listens: there or, where the
// disk takes no socket, in memory.
func socketOf(dataDir string) string {
	aside := data.Aside(dataDir) + ".sock"
	if fi, err := os.Lstat(aside); err == nil && fi.Mode().Type() == fs.ModeSocket && data.Ours(dataDir, aside) {
		return aside
	}
	return homeSocket(dataDir)
}

func homeSocket(dataDir string) string { return filepath.Join(dataDir, "dalaba.sock") }

// control answers technicians on a socket in the data folder, which belongs
// to the daemon as the lock on that folder does. Sound does not hang on it:
// where it cannot listen it says so, and the daemon goes on.
func (d *daemon) control(ctx context.Context) error {
	dir := d.live.Load().Site.DataDir
	path, aside := homeSocket(dir), data.Aside(dir)+".sock"
	if data.Ours(dir, aside) { // left behind
		_ = os.Remove(aside)
	}
	ln, err := listen(path)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		path = aside
		ln, err = listen(path)
	}
	if err != nil {
		d.log.Warn("control socket does not open", "path", path, "err", err)
		return nil
	}
	defer func() { _ = os.Remove(path) }()
	var work sync.WaitGroup
	defer work.Wait()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	places := make(chan struct{}, controlMost)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			d.log.Warn("control socket does not accept", "err", err)
			if pause(ctx, time.Second) != nil {
				return nil
			}
			continue
		}
		select {
		case places <- struct{}{}:
			work.Go(func() {
				defer func() { <-places }()
				d.attendHand(ctx, conn)
			})
		default:
			_ = conn.Close()
		}
	}
}

// listen takes the path whatever lies there. The socket has its mode before
// it has its name.
func listen(path string) (net.Listener, error) {
	fresh := path + ".new"
	if len(fresh) > socketPath {
		return nil, say.M("technician.long_path", path, socketPath-len(".new"))
	}
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err = os.Chmod(fresh, 0o600); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close(), os.Remove(fresh))
	}
	return ln, nil
}

// attendHand serves one connection: an order, then reports. When the other
// side ends its half, the sound is faded out.
func (d *daemon) attendHand(daemon context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(daemon)
	defer cancel()
	_ = conn.SetReadDeadline(time.Now().Add(controlRead))
	lines := json.NewDecoder(io.LimitReader(conn, controlSize))
	lines.DisallowUnknownFields()
	var o handOrder
	lang := d.Language()
	answer := func(r handReport) {
		_ = conn.SetWriteDeadline(time.Now().Add(controlRead))
		if json.NewEncoder(conn).Encode(r) != nil {
			cancel()
		}
	}
	err := lines.Decode(&o)
	if errors.Is(err, io.EOF) {
		return // somebody only looked whether we listen
	}
	if o.Lang != "" {
		lang = say.Choose(string(o.Lang))
	}
	if err != nil {
		answer(handReport{Over: true, Error: say.In(lang, say.M("technician.bad_order"))})
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	var watch sync.WaitGroup
	defer watch.Wait()
	defer func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }() // ends the watch
	watch.Go(func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	})
	r, err := d.byHand(ctx, o, answer)
	switch {
	case daemon.Err() != nil && !r.Complete:
		err = say.M("technician.ended")
	case errors.Is(err, context.Canceled):
		r.Stopped, err = true, nil
	}
	r.Over = true
	if err != nil {
		r.Error = say.In(lang, err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(controlRead))
	_ = json.NewEncoder(conn).Encode(r)
}

// byHand carries out an order on a channel of the daemon's player.
func (d *daemon) byHand(ctx context.Context, o handOrder, tell func(handReport)) (r handReport, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	switch o.Do {
	case "alert", "cancel":
		r.Alert, err = d.alertOrder(ctx, o)
		return r, err
	case "mic":
		return d.speakLive(ctx, tell)
	case "carrier":
		ctl := d.county.controller()
		if ctl == nil {
			return r, say.M("enrol.not_enrolled")
		}
		quiet := keepTelling(tell)
		c, err := carry(ctx, ctl, o.File, say.Choose(string(o.Lang)))
		quiet()
		r.Carried = &c
		return r, err
	}
	ch, ok := d.player.Channel(o.Output)
	if !ok {
		return r, say.M("technician.not_in_force", o.Output)
	}
	h := hand{order: o, ceiling: d.live.Load().Site.CeilingDB, amp: d.player.Amp, find: d.site.store.Clip, wall: d.now}
	r, err = h.play(ctx, ch, tell)
	if errors.Is(err, errAway) {
		err = say.M("technician.away", o.Output, d.trouble(ctx, o.Output))
	}
	what := []any{"output", o.Output, "frames", r.Frames, "of_frames", r.OfFrames}
	if o.Do == "tone" {
		what = append(what, "hz", o.HZ, "level_db", o.LevelDB)
	} else if o.Clip != "" {
		what = append(what, "clip", o.Clip)
	} else {
		what = append(what, "file", o.File)
	}
	switch {
	case r.Frames > 0:
		d.log.Info("played by hand", what...)
	case err != nil && ctx.Err() == nil:
		d.log.Info("not played by hand", append(what, "err", err)...)
	}
	return r, err
}

// keepTelling tells that an order is being carried out until quiet is called.
// Nothing more is told once that returns.
func keepTelling(tell func(handReport)) (quiet func()) {
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(handAlive)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				tell(handReport{})
			}
		}
	})
	return func() {
		close(done)
		work.Wait()
	}
}

// trouble is what was last recorded of an output's device.
func (d *daemon) trouble(ctx context.Context, output string) string {
	events, err := deviceEvents(ctx, d.site.store)
	if err != nil {
		return ""
	}
	return outputNow(playlist.Output{Name: output}, status{Running: true}, nil, events).Problem
}

// outputNamed is the output of that name; where none was named, the only one.
func outputNamed(cfg *config.Config, name string) (playlist.Output, error) {
	var names []string
	for _, o := range cfg.Outputs {
		if o.Name == name {
			return o, nil
		}
		names = append(names, o.Name)
	}
	switch {
	case name != "":
		return playlist.Output{}, cli.Refuse(say.M("technician.no_output", name, strings.Join(names, " ")))
	case len(names) == 1:
		return cfg.Outputs[0], nil
	}
	return playlist.Output{}, cli.Refuse(say.M("technician.which_output", strings.Join(names, " ")))
}

// askDaemon has the running daemon play the order. Where ctx ends, it stops
// the sound and still brings home what was heard.
func askDaemon(ctx context.Context, socket string, o handOrder, tell func(handReport)) (r handReport, err error) {
	if len(socket) > socketPath {
		return r, say.M("technician.long_path", socket, socketPath-len(".new"))
	}
	conn, err := net.DialTimeout("unix", socket, controlRead)
	if err != nil {
		return r, say.M("technician.no_socket", socket, err)
	}
	defer func() { _ = conn.Close() }()
	if err := json.NewEncoder(conn).Encode(o); err != nil {
		return r, say.M("technician.no_socket", socket, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.(*net.UnixConn).CloseWrite() })
	defer stop()
	lines := json.NewDecoder(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(handQuiet))
		r = handReport{}
		if err := lines.Decode(&r); err != nil {
			return r, say.M("technician.broke_off", err)
		}
		if r.Over {
			break
		}
		tell(r)
	}
	switch {
	case r.Error != "":
		return r, errors.New(r.Error)
	case r.Stopped:
		return r, context.Canceled
	}
	return r, nil
}

// playHere plays the order with no daemon: the output is opened as the config
// says, and closed when it is over.
func (a *app) playHere(ctx context.Context, s *site, out playlist.Output, o handOrder, tell func(handReport)) (r handReport, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	out = autoCard(ctx, s.store, out)
	opener := devices.NewOpener(devices.Options{}, "")
	// Opened at once, so that a fault shows as itself.
	first := make(chan player.Device, 1)
	dev, err := opener.Open(ctx, out)
	if err != nil {
		return r, err
	}
	first <- dev
	defer func() {
		select {
		case unused := <-first:
			err = errors.Join(err, unused.Close())
		default:
		}
	}()
	h := hand{order: o, ceiling: s.Site.CeilingDB, wall: time.Now}
	if s.store != nil {
		h.find = s.store.Clip
	}
	// A relay that fails does not stop the sound, but it would not be heard.
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	if c := s.Amplifier; c.Relay != "" {
		relay, err := devices.OpenRelay(c.Relay)
		if err != nil {
			return r, err
		}
		amp := devices.NewAmplifier(relay, c.WarmUp, c.Hold, log)
		defer func() { err = errors.Join(err, amp.Close()) }()
		h.amp = amp
	}
	ch := player.NewChannel(out, func(ctx context.Context, out playlist.Output) (player.Device, error) {
		select {
		case dev := <-first:
			return dev, nil
		default:
			return opener.Open(ctx, out)
		}
	}, time.Now, log)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { _ = ch.Run(running) })
	defer work.Wait()
	defer stop()
	r, err = h.play(ctx, ch, tell)
	if errors.Is(err, errAway) {
		err = say.M("technician.away", out.Name, devices.Describe(out))
	}
	return r, err
}

// played is `dalaba tone --json` and `dalaba play --json`.
type played struct {
	Output   string          `json:"output"`
	Device   string          `json:"device"`
	ByDaemon bool            `json:"by_daemon"`
	HZ       float64         `json:"hz,omitempty"`
	LevelDB  float64         `json:"level_db,omitempty"`
	Clip     playlist.ClipID `json:"clip,omitempty"`
	Title    string          `json:"title,omitempty"`
	File     string          `json:"file,omitempty"`
	Started  time.Time       `json:"started,omitzero"`
	Frames   int64           `json:"frames"`
	OfFrames int64           `json:"of_frames"`
	Complete bool            `json:"complete"`
	Error    string          `json:"error,omitempty"`
}

// sound plays an order through the daemon where one runs, else directly, and
// shows how it comes along. name is what sounds, for people.
func (a *app) sound(ctx context.Context, s *site, out playlist.Output, o handOrder, name, title string) error {
	o.Output, o.Lang = out.Name, a.Language()
	shown := false
	tell := func(r handReport) {
		if !a.JSON && cli.IsTerminal(a.Out) {
			at, whole := playlist.Length(r.Frames), playlist.Length(r.OfFrames)
			fmt.Fprintf(a.Out, "\r\x1b[K  %s %s %4.0f/%.0fs %s", out.Name, gauge(24, at, whole), at.Seconds(), whole.Seconds(), name)
			shown = true
		}
	}
	_, byDaemon := data.Running(s.Site.DataDir)
	var (
		r   handReport
		err error
	)
	if byDaemon {
		r, err = askDaemon(ctx, socketOf(s.Site.DataDir), o, tell)
	} else {
		r, err = a.playHere(ctx, s, out, o, tell)
	}
	if shown {
		fmt.Fprint(a.Out, "\r\x1b[K")
	}
	stopped := errors.Is(err, context.Canceled)
	if stopped {
		err = nil
	}
	if a.JSON {
		p := played{
			Output: out.Name, Device: out.Device, ByDaemon: byDaemon, HZ: o.HZ, LevelDB: o.LevelDB, Clip: o.Clip, Title: title,
			File: o.File, Started: r.Started, Frames: r.Frames, OfFrames: r.OfFrames, Complete: r.Complete,
		}
		if err != nil {
			p.Error = say.In(a.Language(), err)
		}
		if jsonErr := json.NewEncoder(a.Out).Encode(p); jsonErr != nil {
			return jsonErr
		}
		return err
	}
	if err != nil {
		if r.Frames > 0 {
			a.Println(a.Say("technician.partly", out.Name, name, playlist.Length(r.Frames).Seconds(), playlist.Length(r.OfFrames).Seconds()))
		}
		return err
	}
	if stopped {
		a.Println(a.Say("technician.stopped", out.Name, name, playlist.Length(r.Frames).Seconds()))
		return nil
	}
	a.Println(a.Say("technician.heard", out.Name, name, playlist.Length(r.Frames).Seconds(), devices.Describe(playlist.Output{Name: out.Name, Device: out.Device})))
	return nil
}
