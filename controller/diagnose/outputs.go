package diagnose

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

const (
	levelApart = 1.5 // dB that a card's steps may differ from level_db
	relayTime  = 5 * time.Second
)

// outputs looks at each output of the config.
func (d *examination) outputs(ctx context.Context) {
	if d.noConfig("output") {
		d.cards()
		return
	}
	for i, o := range d.cfg.Outputs {
		now := status.Output{State: status.Unknown}
		if d.status != nil && i < len(d.status.Outputs) && d.status.Outputs[i].Name == o.Name {
			now = d.status.Outputs[i]
		}
		d.output(ctx, o, now)
	}
	if len(d.cfg.Outputs) == 0 {
		d.cards()
	}
}

// output looks at an output: as the running daemon has it, else at its device.
func (d *examination) output(ctx context.Context, o playlist.Output, now status.Output) {
	if d.running {
		d.outputNow(o, now)
	}
	kind, path, _ := strings.Cut(o.Device, ":")
	switch {
	case d.running && (now.State != status.Unknown || site.OnCard(o.Device)):
	case kind == "wav":
		d.recording(o.Name, path)
	case kind == "null":
		d.add("output", Warn, say.M("doctor.output_null", o.Name), say.M("doctor.output_null_do"))
	}
	if site.OnCard(o.Device) {
		d.soundCard(ctx, o, now)
	}
}

// outputNow tells how the running daemon has an output.
func (d *examination) outputNow(o playlist.Output, now status.Output) {
	switch {
	case now.State == status.Away:
		remedy := say.M("doctor.output_away_do")
		if o.Device == site.AutoDevice {
			remedy = say.M("doctor.auto_gone_do")
		}
		d.add("output", Fail, say.M("doctor.output_away", o.Name, now.Problem), remedy)
	case now.State == status.Idle || now.State == status.Airing:
		d.add("output", OK, say.M("doctor.output_ours", o.Name, o.Device, d.pid))
	case site.OnCard(o.Device):
		d.add("output", Info, say.M("doctor.output_unknown", o.Name))
	}
}

// soundCard looks at the card of an output. A card in use is not opened beside its
// user, and no mixer is moved.
func (d *examination) soundCard(ctx context.Context, o playlist.Output, now status.Output) {
	if o.Device == site.AutoDevice && d.unread != nil {
		d.add("output", Skip, say.M("doctor.auto_unread", o.Name))
		return
	}
	look, err := devices.Inspect(site.Card(ctx, d.store, o).Device, !d.running)
	switch {
	case err != nil && d.running && now.State == status.Away:
		return // outputNow has told
	case err != nil:
		remedy := say.M("doctor.output_bad_do")
		if o.Device == site.AutoDevice && errors.Is(err, devices.ErrNoCard) {
			remedy = say.M("doctor.auto_gone_do")
		}
		d.add("output", Fail, say.M("doctor.output_bad", o.Name, err), remedy)
		return
	case !d.running:
		d.add("output", OK, say.M("doctor.output_opens", o.Name, look.Device))
	}
	d.mixer(o, look)
}

// cards tells what can be said of sound if no output is known.
func (d *examination) cards() {
	l, err := devices.List()
	switch {
	case err != nil:
		d.add("output", Fail, say.M("doctor.as_is", err), "dalaba devices")
	case len(l.Cards) == 0:
		if d.cfg != nil { // else it may want none
			d.add("output", Warn, say.M("doctor.no_cards"), say.M("doctor.no_cards_do"))
		}
	default:
		d.add("output", OK, say.M("doctor.some_cards", len(l.Cards)))
	}
}

// recording looks at a WAV file without making one.
func (d *examination) recording(output, path string) {
	fi, err := os.Stat(path)
	switch {
	case err == nil && !fi.Mode().IsRegular():
		d.add("output", Fail, say.M("doctor.wav_bad", output, path), say.M("doctor.wav_bad_do"))
	case err == nil && d.user().may(path, unix.W_OK) != nil:
		d.add("output", Fail, say.M("doctor.wav_denied", output, path), "sudo chown "+d.user().name+" "+path)
	case err != nil && !d.canWrite("output", filepath.Dir(path), output):
	default:
		d.add("output", OK, say.M("doctor.wav_ok", output, path))
	}
}

// mixer compares a card's mixer with level_db. The daemon sets it when it opens the
// card; later another program may change it.
func (d *examination) mixer(o playlist.Output, look devices.Look) {
	command := func(control, to string) string {
		return fmt.Sprintf("amixer -D %s sset '%s' %s", look.Mixer, control, to)
	}
	for _, name := range look.Muted {
		if d.running {
			d.add("mixer", Fail, say.M("doctor.mixer_muted", o.Name, name), command(name, "unmute"))
		} else {
			d.add("mixer", Warn, say.M("doctor.mixer_muted_off", o.Name, name), command(name, "unmute"))
		}
	}
	c := look.Level
	switch {
	case c == nil:
		if len(look.Muted) == 0 {
			d.add("mixer", OK, say.M("doctor.mixer_none", o.Name))
		}
		return
	case !c.Scale:
		state := Warn
		if o.LevelDB != 0 {
			state = Fail // "dalaba check" refuses it
		}
		d.add("mixer", state, say.M("doctor.mixer_no_scale", o.Name, c.Name), "alsamixer -D "+look.Mixer+" && alsactl store")
		return
	}
	want := o.LevelDB
	if want < c.MinDB-levelApart || want > c.MaxDB+levelApart {
		want = max(c.MinDB, min(c.MaxDB, 0)) // the level is set in software
	}
	switch {
	case math.Abs(c.DB-want) <= levelApart:
		if len(look.Muted) == 0 {
			d.add("mixer", OK, say.M("doctor.mixer_ok", o.Name, c.Name, c.DB))
		}
	case d.running:
		d.add("mixer", Warn, say.M("doctor.mixer_level", o.Name, c.Name, c.DB, want), command(c.Name, fmt.Sprintf("%.2fdB", want)))
	default:
		d.add("mixer", Info, say.M("doctor.mixer_level_off", o.Name, c.Name, c.DB, want))
	}
}

// relay tries the amplifier's relay by switching it off, which it is while no
// daemon runs.
func (d *examination) relay(ctx context.Context) {
	if d.noConfig("relay") || d.cfg.Amplifier.Relay == "" || d.running {
		return
	}
	spec := d.cfg.Amplifier.Relay
	relay, err := devices.OpenRelay(spec)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, relayTime)
		err = errors.Join(relay.Switch(ctx, false), relay.Close())
		cancel()
	}
	if err != nil {
		d.add("relay", Fail, say.M("doctor.as_is", err), say.M("doctor.relay_do"))
		return
	}
	d.add("relay", OK, say.M("doctor.relay_ok", spec))
}
