package diagnose

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"dalaba/controller/clock"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// rtcApart is how far the clock and the battery clock may differ.
const rtcApart = 5 * time.Second

// clock looks whether the clock is trusted, and why not.
func (d *examination) clock(ctx context.Context) {
	synced, err := devices.Synchronised()
	synced = synced && err == nil
	if behind := d.health.Floor.Sub(d.now); behind > clock.Slack && !synced {
		d.add("clock", Fail, say.M("doctor.clock_behind", behind.Round(time.Second), d.health.Floor.In(d.zone()).Format(time.DateTime)),
			"timedatectl set-ntp true", say.M("doctor.clock_set"), say.M("doctor.clock_right", d.now.In(d.zone()).Format(time.DateTime)),
			"dalaba doctor --clock-is-right -c "+d.file)
		return
	}
	if d.status == nil { // else the daemon knows
		if d.noConfig("clock") {
			return
		}
		if d.unread != nil {
			d.add("clock", Skip, say.M("doctor.store_unread"))
			return
		}
	}
	source := d.clockSource()
	state := d.clockState(ctx, source)
	switch {
	case state != playlist.ClockTrusted:
		d.add("clock", Fail, say.M("doctor.clock_untrusted", string(source)), "timedatectl set-ntp true", say.M("doctor.clock_do"))
		return
	case synced:
		d.add("clock", OK, say.M("doctor.clock_ntp"))
		return
	case source == playlist.ClockBattery:
		d.battery()
		return
	}
	d.add("clock", OK, say.M("doctor.clock_trusted", string(source)))
}

// clockSource returns the source of the config; empty if that is not known.
func (d *examination) clockSource() playlist.ClockSource {
	if d.cfg == nil {
		return ""
	}
	return d.cfg.Site.Clock
}

// battery holds the clock to the battery clock, which the config trusts.
func (d *examination) battery() {
	text, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch")
	if err != nil {
		d.add("clock", Warn, say.M("doctor.clock_no_rtc"), say.M("doctor.clock_no_rtc_do"))
		return
	}
	s, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return
	}
	if apart := time.Since(time.Unix(s, 0)); apart.Abs() > rtcApart {
		d.add("clock", Warn, say.M("doctor.clock_rtc_apart", apart.Round(time.Second).Abs()), "hwclock --systohc")
		return
	}
	d.add("clock", OK, say.M("doctor.clock_battery"))
}

// timeZone tells which zone the site lives by.
func (d *examination) timeZone(context.Context) {
	if d.noConfig("zone") {
		return
	}
	at := d.now.In(d.cfg.Site.Zone)
	d.add("zone", OK, say.M("doctor.zone_ok", d.cfg.Site.Zone.String(), at.Format("01-02 15:04:05")))
}

// clockState returns the clock's state as the running daemon tells it, else as a
// daemon that starts now would find it.
func (d *examination) clockState(ctx context.Context, source playlist.ClockSource) playlist.ClockState {
	if d.status != nil {
		return playlist.ClockState(d.status.Clock)
	}
	if d.running && d.store != nil {
		if c, err := d.store.Clock(ctx); err == nil {
			return c
		}
	}
	w := clock.NewWatch(source, func() time.Time { return d.now }, readOnly{d.store, d.health.Floor}, slog.New(slog.DiscardHandler))
	w.Look(ctx)
	return w.Trust()
}

// readOnly is what a watch remembers, in a store that is only looked at.
type readOnly struct {
	store *data.Store // nil if there is none yet
	floor time.Time
}

func (r readOnly) Floor(context.Context) (time.Time, error)                 { return r.floor, nil }
func (r readOnly) SetFloor(context.Context, time.Time) error                { return nil }
func (r readOnly) SetClockVouched(context.Context, string, time.Time) error { return nil }
func (r readOnly) ClockVouched(ctx context.Context) (string, time.Time, error) {
	if r.store == nil {
		return "", time.Time{}, nil
	}
	return r.store.ClockVouched(ctx)
}
