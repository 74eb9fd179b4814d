package clock

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
)

// pole is a machine as a Watch sees it, and what it remembers.
type pole struct {
	t      *testing.T
	wall   time.Time
	mono   time.Duration
	kernel bool
	boot   string
	floor  time.Time
	vouch  string // the boot last vouched for
	began  time.Time
	log    bytes.Buffer
	watch  *Watch
}

func (p *pole) Floor(context.Context) (time.Time, error)       { return p.floor, nil }
func (p *pole) SetFloor(_ context.Context, at time.Time) error { p.floor = at; return nil }
func (p *pole) ClockVouched(context.Context) (string, time.Time, error) {
	return p.vouch, p.began, nil
}
func (p *pole) SetClockVouched(_ context.Context, boot string, began time.Time) error {
	p.vouch, p.began = boot, began
	return nil
}

func newPole(t *testing.T, source playlist.ClockSource) *pole {
	p := &pole{
		t: t, wall: time.Date(2026, 3, 5, 7, 30, 0, 0, time.UTC), mono: time.Minute, boot: "boot-1",
	}
	p.start(source)
	return p
}

// start is the daemon's.
func (p *pole) start(source playlist.ClockSource) {
	w := NewWatch(source, func() time.Time { return p.wall }, p, slog.New(slog.NewTextHandler(&p.log, nil)))
	w.mono, w.kernel, w.boot = func() time.Duration { return p.mono }, func() bool { return p.kernel }, p.boot
	p.watch = w
}

// passes is time going by, looked at each second for a while and then at its end.
func (p *pole) passes(d time.Duration) {
	for range min(d/time.Second, 5) {
		p.wall, p.mono, d = p.wall.Add(time.Second), p.mono+time.Second, d-time.Second
		p.watch.Look(p.t.Context())
	}
	p.wall, p.mono = p.wall.Add(d), p.mono+d
	p.watch.Look(p.t.Context())
}

func (p *pole) is(want playlist.ClockState) {
	p.t.Helper()
	p.watch.Look(p.t.Context())
	if got := p.watch.Trust(); got != want {
		p.t.Errorf("the clock is %s, want %s\n%s", got, want, p.log.String())
	}
}

func (p *pole) told(message string, times int) {
	p.t.Helper()
	if n := strings.Count(p.log.String(), message); n != times {
		p.t.Errorf("%q told %d times, want %d\n%s", message, n, times, p.log.String())
	}
}

const (
	trustedClock = playlist.ClockTrusted
	untrusted    = playlist.ClockUntrusted
)

func TestAClockIsTrustedOnceItIsVouchedFor(t *testing.T) {
	p := newPole(t, playlist.ClockNTP)
	p.is(untrusted)
	p.passes(time.Hour)
	p.is(untrusted)
	p.kernel = true
	p.is(trustedClock)
	// The link breaks, and after hours the kernel says that it is not sure.
	p.kernel = false
	p.passes(30 * 24 * time.Hour)
	p.is(trustedClock)
}

func TestAClockThatIsSetIsTrustedIfThatIsVouchedFor(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -3 * time.Second, 3 * time.Second, 365 * 24 * time.Hour} {
		p := newPole(t, playlist.ClockNTP)
		p.kernel = true
		p.is(trustedClock)
		p.wall = p.wall.Add(step) // by NTP
		p.is(trustedClock)
		p.kernel = false
		p.passes(time.Minute)
		p.is(trustedClock)
		p.wall = p.wall.Add(step)
		p.is(untrusted)
		p.told("no source confirms it", 1)
		p.passes(time.Hour)
		p.is(untrusted)
		p.kernel = true
		p.is(trustedClock)
	}
}

func TestTrustOutlastsARestartOfTheDaemonAndNotOneOfTheMachine(t *testing.T) {
	p := newPole(t, playlist.ClockNTP)
	p.kernel = true
	p.is(trustedClock)
	p.kernel = false
	p.passes(time.Hour)
	p.start(playlist.ClockNTP)
	p.is(trustedClock)
	p.wall = p.wall.Add(-10 * time.Minute) // set while nobody looked
	p.start(playlist.ClockNTP)
	p.is(untrusted)
	p.wall = p.wall.Add(10 * time.Minute)
	p.boot, p.mono = "boot-2", time.Minute
	p.start(playlist.ClockNTP)
	p.is(untrusted)
}

func TestAWrongTimeOnceRecordedDoesNotHoldTheSiteForGood(t *testing.T) {
	year := 365 * 24 * time.Hour
	t.Run("the kernel's word", func(t *testing.T) {
		p := newPole(t, playlist.ClockNTP)
		p.floor = p.wall.Add(year)
		p.is(untrusted)
		p.told("behind what was recorded", 1)
		p.kernel = true
		p.is(trustedClock)
		p.told("earlier records were ahead of it", 1)
		if !p.floor.Equal(p.wall) {
			t.Errorf("the floor is %v", p.floor)
		}
		p.kernel = false
		p.passes(time.Hour)
		p.is(trustedClock)
	})
	t.Run("a battery clock does not vouch for itself", func(t *testing.T) {
		p := newPole(t, playlist.ClockBattery)
		p.is(trustedClock)
		p.floor = p.wall.Add(year) // as a row would raise it
		p.is(untrusted)
		p.passes(time.Hour)
		p.is(untrusted)
		p.told("behind what was recorded", 1)
		p.floor = p.wall // by hand
		p.is(trustedClock)
	})
	t.Run("a program's word", func(t *testing.T) {
		p := newPole(t, "command:true")
		p.floor = p.wall.Add(year)
		p.is(trustedClock)
		p.told("earlier records were ahead of it", 1)
	})
	t.Run("the county's time", func(t *testing.T) {
		p := newPole(t, playlist.ClockNTP)
		p.floor = p.wall.Add(year)
		p.is(untrusted)
		p.watch.County(p.wall.Add(time.Second), 3*time.Second)
		p.is(trustedClock)
		p.passes(time.Hour)
		p.is(trustedClock)
	})
}

func TestAClockThatIsOffTheCountysTimeIsNotTrusted(t *testing.T) {
	p := newPole(t, playlist.ClockBattery)
	p.is(trustedClock)
	p.watch.County(p.wall.Add(-time.Hour), 3*time.Second)
	p.is(untrusted)
	p.watch.County(p.wall.Add(-time.Hour), 3*time.Second)
	p.passes(time.Hour)
	p.is(untrusted)
	p.told("off_ms=3600000", 1)
	p.wall = p.wall.Add(-time.Hour)
	p.watch.County(p.wall, 3*time.Second)
	p.is(trustedClock)
	// What the battery clock itself says is worth as much as before.
	p.passes(time.Hour)
	p.is(trustedClock)
}
