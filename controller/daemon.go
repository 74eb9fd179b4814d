package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"strings"

	"dalaba/controller/control"
	"dalaba/controller/hand"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/link"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

// A Controller is what its control API drives.
var _ control.Daemon = (*Controller)(nil)

// Status returns how the controller is.
func (c *Controller) Status(ctx context.Context, lang say.Lang) (status.Status, error) {
	return status.Of(ctx, &site.Site{Config: c.Config(), Store: c.store}, c.File, c.now(), true, &status.Live{
		PID: os.Getpid(), Clock: c.clock.Trust(), Channel: c.channelState, Lang: lang, State: c.State(ctx),
	})
}

// State is what sounds, waits and is owed.
func (c *Controller) State(ctx context.Context) schedule.State { return c.player.State(ctx) }

func (c *Controller) channelState(output string) (player.ChannelState, bool) {
	ch, ok := c.player.Channel(output)
	if !ok {
		return player.ChannelState{}, false
	}
	return ch.State(), true
}

// outputHealth returns how the outputs are, for the county.
func (c *Controller) outputHealth(ctx context.Context) (all []link.OutputHealth) {
	airs := map[string]string{}
	if rows, err := c.store.OpenRows(ctx); err == nil {
		for _, r := range rows {
			airs[r.Output] = r.Title
		}
	}
	for _, o := range c.Config().Outputs {
		out := link.OutputHealth{
			Name: o.Name, Device: devices.Describe(site.Card(ctx, c.store, o)).In(c.lang()), Area: o.Area, Residents: o.Residents,
			Airing: airs[o.Name], State: "ok",
		}
		state, ok := c.channelState(o.Name)
		if status.Device(o, state, ok) != status.Idle {
			out.State = "away"
		}
		all = append(all, out)
	}
	return all
}

// Reload reads the config file again. Automatic means that clips have come or gone, or
// the site has been enrolled: the file is not looked at.
func (c *Controller) Reload(ctx context.Context, automatic bool, lang say.Lang) (r control.Reloaded, err error) {
	done := make(chan struct{})
	select {
	case c.requests <- func() {
		defer close(done)
		if automatic {
			r, err = c.renew(ctx, lang)
		} else {
			r, err = c.reload(ctx, lang)
		}
	}:
		<-done
		return r, err
	case <-ctx.Done():
		return r, ctx.Err()
	}
}

// reload reads the config file again, as a person has asked. Its answer, what watches
// and the log tell how that went.
func (c *Controller) reload(ctx context.Context, lang say.Lang) (control.Reloaded, error) {
	file, err := c.programme.reload(ctx)
	if err != nil {
		if ctx.Err() == nil {
			why := err
			if errors.Is(err, ErrRefused) {
				why = faults(file.problems)
			}
			c.log.Error("config refused, the old one stays in force", "config", c.File, "sha256", file.sum, "why", why)
			c.tellReload(control.Reloaded{}, refusal(config.Faults(file.problems), err, c.lang()))
		}
		return control.Reloaded{}, refusal(file.problems, err, lang)
	}
	c.programme.tellCalendar(c.programme.own, c.lang())
	c.uplink.Reenrol() // it may have been enrolled meanwhile
	r := c.inForce(file.changes)
	c.clock.Follow(c.Config().Site.Clock)
	keys := strings.Join(r.NextStart, ", ")
	if keys != "" {
		c.log.Warn("changed keys take effect at the next start", "keys", keys)
	}
	if len(r.Changes) == 0 {
		c.log.Info("config read again, nothing has changed", "config", c.File, "sha256", file.sum)
	} else {
		c.log.Info("config in force", "config", c.File, "sha256", file.sum, "outputs", r.Outputs, "slots", r.Slots, "next_start", keys)
	}
	c.tellReload(r, nil)
	r.Warnings = words(file.problems, lang)
	return r, nil
}

// renew reads the lists of clips again, and logs it if that does not work. Who watches
// is told of it if it changes anything.
func (c *Controller) renew(ctx context.Context, lang say.Lang) (control.Reloaded, error) {
	c.uplink.Reenrol() // it may have been enrolled meanwhile
	changes, err := c.programme.renew(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Error("clip lists not renewed", "err", err)
		}
		return control.Reloaded{}, web.Status(http.StatusUnprocessableEntity, web.WithProblems(say.M("run.not_renewed"), strings.Split(say.In(lang, err), "\n")))
	}
	if len(changes) > 0 && c.Renewed != nil {
		c.Renewed(changes)
	}
	return c.inForce(changes), nil
}

// inForce describes the config in force, and what has just changed in it.
func (c *Controller) inForce(changes []config.Change) control.Reloaded {
	cfg := c.Config()
	sum := sha256.Sum256(c.programme.text)
	return control.Reloaded{
		Config: c.File, SHA256: hex.EncodeToString(sum[:]), Outputs: len(cfg.Outputs), Slots: len(cfg.Slots),
		NextStart: lasting(c.programme.begun, cfg), Changes: changes,
	}
}

// refusal is the answer to who wanted a config in force that is refused.
func refusal(problems []config.Problem, err error, lang say.Lang) error {
	why := []string{say.In(lang, err)}
	if errors.Is(err, ErrRefused) {
		why = words(problems, lang)
	}
	return web.Status(http.StatusUnprocessableEntity, web.WithProblems(say.M("run.reload_refused"), why))
}

// tellReload tells who watches the daemon how a reload went.
func (c *Controller) tellReload(r control.Reloaded, refused error) {
	if c.Reloads != nil {
		c.Reloads(r, refused)
	}
}

// faults are the problems that refuse a config, as one error.
func faults(problems []config.Problem) error {
	var all []error
	for _, p := range config.Faults(problems) {
		all = append(all, p)
	}
	return errors.Join(all...)
}

func words(problems []config.Problem, lang say.Lang) (all []string) {
	for _, p := range problems {
		all = append(all, p.In(lang))
	}
	return all
}

// Play sounds an order on an output of the config in force.
func (c *Controller) Play(ctx context.Context, o hand.Order, report func(hand.Report)) (r hand.Report, err error) {
	ch, ok := c.player.Channel(o.Output)
	if !ok {
		return r, say.M("technician.not_in_force", o.Output)
	}
	h := hand.Hand{Ceiling: c.Config().Site.CeilingDB, Amp: c.player.Amp, Find: c.store.Clip, Wall: c.now}
	r, err = h.Play(ctx, ch, o, report)
	if errors.Is(err, hand.ErrAway) {
		why := ""
		if state := ch.State(); state.Err != nil {
			why = say.In(c.lang(), state.Err)
		}
		err = say.M("technician.away", o.Output, why)
	}
	what := []any{"user", o.User, "output", o.Output, "frames", r.Frames, "of_frames", r.OfFrames}
	switch {
	case o.IsTone():
		what = append(what, "hz", o.HZ, "level_db", o.LevelDB)
	case o.Clip != "":
		what = append(what, "clip", o.Clip)
	default:
		what = append(what, "file", o.File)
	}
	switch {
	case r.Frames > 0:
		c.log.Info("played by hand", what...)
	case err != nil && ctx.Err() == nil:
		c.log.Info("not played by hand", append(what, "err", err)...)
	}
	return r, err
}

// SpeakLive opens the emergency microphone until ctx ends.
func (c *Controller) SpeakLive(ctx context.Context, report func(hand.Report)) (hand.Report, error) {
	return c.mic.speak(ctx, report)
}

// TakeAlert takes in a message handed in by hand.
func (c *Controller) TakeAlert(ctx context.Context, raw []byte) (control.Taken, error) {
	return taken(c.alerts.take(ctx, raw, playlist.AlertByHand))
}

// TakeMade takes in an alert that was made at the site.
func (c *Controller) TakeMade(ctx context.Context, raw []byte, retires []playlist.AlertID) (control.Taken, error) {
	return taken(c.alerts.takeMade(ctx, raw, retires))
}

func taken(got emergency.Record, known bool, err error) (control.Taken, error) {
	t := control.Taken{Record: got, Known: known}
	if errors.Is(err, player.ErrNotStored) {
		t.NotKept, err = true, nil
	}
	if err != nil {
		return t, web.Status(http.StatusUnprocessableEntity, err)
	}
	return t, nil
}

// CancelAlert ends an alert by hand.
func (c *Controller) CancelAlert(ctx context.Context, id playlist.AlertID) (control.Taken, error) {
	now := c.now().UTC()
	r := emergency.Record{Source: playlist.AlertAtSite, Alert: emergency.Alert{
		ID: playlist.AlertID("hand," + now.Format("20060102T150405.000000Z")), Format: "hand", Sent: now,
		Kind: emergency.KindCancel, Refs: []playlist.AlertID{id}, Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}}
	got, _, err := c.alerts.alarm.Receive(ctx, r, nil)
	return control.Taken{Record: got}, err
}

// Carry takes in what a stick from the county brings.
func (c *Controller) Carry(ctx context.Context, dir string, lang say.Lang) (control.Carried, error) {
	ctl := c.uplink.Controller()
	if ctl == nil {
		return control.Carried{}, say.M("enrol.not_enrolled")
	}
	return Carry(ctx, ctl, dir, lang)
}

// Carry has a controller take in what a stick brings.
func Carry(ctx context.Context, ctl *link.Controller, dir string, lang say.Lang) (control.Carried, error) {
	got, err := ctl.Import(ctx, link.Carrier{Dir: dir})
	c := control.Carried{
		Accepted: len(got.Accepted), Known: got.Known, Others: got.Others,
		Clips: len(got.Clips), Missing: len(got.Missing), Receipts: got.Receipts,
	}
	for name, err := range got.Refused {
		if c.Refused == nil {
			c.Refused = map[string]string{}
		}
		c.Refused[name] = say.In(lang, err)
	}
	return c, err
}

// CarryAlone takes in what a stick brings with no daemon: it is in force from the
// next start on.
func CarryAlone(ctx context.Context, dataDir, dir string, lang say.Lang, o data.Options) (c control.Carried, err error) {
	store, err := data.Open(ctx, dataDir, o)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctl, _, err := uplink.NewController(ctx, dataDir, store)
	if errors.Is(err, os.ErrNotExist) {
		return c, say.M("enrol.not_enrolled")
	}
	if err != nil {
		return c, err
	}
	ctl.Log = o.Log
	return Carry(ctx, ctl, dir, lang)
}

// Alerts returns the alerts that came, the latest first.
func (c *Controller) Alerts(ctx context.Context) ([]emergency.Record, error) {
	return c.alerts.alarm.Records(ctx)
}

// Clips returns what the library has.
func (c *Controller) Clips(ctx context.Context) (s control.Shelf, err error) {
	if s.Clips, err = c.store.Clips(ctx, ""); err == nil {
		s.Replaced, err = c.store.Lineage(ctx)
	}
	return s, err
}

// Events returns events of the device log.
func (c *Controller) Events(ctx context.Context, after int64, limit int) ([]asrun.Event, error) {
	return c.store.Events(ctx, after, limit)
}
