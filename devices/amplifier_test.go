package devices_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
)

// diary is a relay that records when it was switched.
type diary struct {
	start time.Time

	mu    sync.Mutex
	lines []string
	fail  error
}

func (d *diary) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) Switch(_ context.Context, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	word := "off"
	if on {
		word = "on"
	}
	if d.fail != nil {
		word += " failed"
	}
	d.lines = append(d.lines, fmt.Sprint(time.Since(d.start), " ", word))
	return d.fail
}

func (d *diary) Close() error { return nil }

const sec = time.Second

func TestTheAmplifierIsSwitchedOnBeforeASoundAndOffAfterIt(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, a *devices.Amplifier, d *diary)
		want []string
	}{
		{"it warms up before the sound and holds after it", func(t *testing.T, a *devices.Amplifier, d *diary) {
			must(t, a.On(t.Context(), d.start.Add(10*sec)))
			at(t, d, 10*sec)
			time.Sleep(20 * sec)
			a.Off()
			time.Sleep(60 * sec)
		}, []string{"8s on", "35s off"}},
		{"a relay that a crash left on is switched off", func(t *testing.T, a *devices.Amplifier, d *diary) {
			time.Sleep(60 * sec)
		}, []string{"5s off"}},
		{"a sound due now waits only for the warm-up", func(t *testing.T, a *devices.Amplifier, d *diary) {
			must(t, a.On(t.Context(), d.start))
			at(t, d, 2*sec)
			a.Off()
			time.Sleep(60 * sec)
		}, []string{"0s on", "7s off"}},
		{"a warm amplifier does not delay a sound and is not switched in between", func(t *testing.T, a *devices.Amplifier, d *diary) {
			must(t, a.On(t.Context(), d.start))
			a.Off()
			time.Sleep(4 * sec)
			must(t, a.On(t.Context(), d.start.Add(60*sec)))
			at(t, d, 6*sec)
			time.Sleep(60 * sec)
			a.Off()
			time.Sleep(60 * sec)
		}, []string{"0s on", "1m11s off"}},
		{"it stays on until the last of two sounds ends", func(t *testing.T, a *devices.Amplifier, d *diary) {
			must(t, a.On(t.Context(), d.start))
			must(t, a.On(t.Context(), d.start))
			a.Off()
			time.Sleep(30 * sec)
			a.Off()
			time.Sleep(30 * sec)
		}, []string{"0s on", "37s off"}},
		{"an airing cancelled before the warm-up never switches it on", func(t *testing.T, a *devices.Amplifier, d *diary) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*sec)
			defer cancel()
			if err := a.On(ctx, d.start.Add(10*sec)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			time.Sleep(30 * sec)
		}, []string{"8s off"}},
		{"a relay that fails delays no sound and is tried again", func(t *testing.T, a *devices.Amplifier, d *diary) {
			d.breaks(errors.New("stuck"))
			must(t, a.On(t.Context(), d.start.Add(10*sec)))
			at(t, d, 8*sec)
			d.breaks(nil)
			must(t, a.On(t.Context(), d.start.Add(10*sec)))
			at(t, d, 10*sec)
			a.Off()
			a.Off()
			d.breaks(errors.New("stuck"))
			time.Sleep(10 * sec)
			d.breaks(nil)
			time.Sleep(60 * sec)
		}, []string{"8s on failed", "8s on", "15s off failed", "25s off"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{start: time.Now()}
				a := devices.NewAmplifier(d, 2*sec, 5*sec, nil)
				c.do(t, a, d)
				if got := d.read(); !slices.Equal(got, c.want) {
					t.Errorf("%q, want %q", got, c.want)
				}
				must(t, a.Close())
				must(t, a.Close())
			})
		})
	}
}

func at(t *testing.T, d *diary, want time.Duration) {
	t.Helper()
	if got := time.Since(d.start); got != want {
		t.Errorf("ready at %v, want %v", got, want)
	}
}

// stuck is a relay that hangs and ignores its context.
type stuck chan struct{}

func (s stuck) Switch(context.Context, bool) error { <-s; return nil }
func (s stuck) Close() error                       { return nil }

func TestARelayThatHangsDelaysOtherCallsOnlyBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := make(stuck)
		defer close(relay)
		a := devices.NewAmplifier(relay, 2*sec, 5*sec, nil)
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		time.AfterFunc(sec, cancel) // the daemon is told to end
		if err := a.On(ctx, begun); !errors.Is(err, context.Canceled) || time.Since(begun) != sec {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		begun = time.Now()
		if err := a.Close(); err == nil || time.Since(begun) > sec {
			t.Errorf("closed with %v after %v", err, time.Since(begun))
		}
	})
}

func TestASoundDoesNotWaitForARelayThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := make(stuck)
		defer close(relay)
		a := devices.NewAmplifier(relay, 2*sec, 5*sec, nil)
		begun := time.Now()
		if err := a.On(t.Context(), begun); err != nil || time.Since(begun) > 5*sec {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		a.Off()
		_ = a.Close()
	})
}

func TestClosingSwitchesTheAmplifierOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{start: time.Now()}
		a := devices.NewAmplifier(d, 2*sec, 5*sec, nil)
		must(t, a.On(t.Context(), time.Now()))
		must(t, a.Close())
		time.Sleep(60 * sec)
		if want := []string{"0s on", "2s off"}; !slices.Equal(d.read(), want) {
			t.Errorf("%q, want %q", d.read(), want)
		}
	})
}
