package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"dalaba/devices/vcard"
	"dalaba/playlist"
)

func TestATapeHasTheInstantOfEachFrame(t *testing.T) {
	zero := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	after := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	// 10 ms and 10 ms without a gap, then 5 ms of nothing, then 10 ms.
	tape := tape{runs: []vcard.Run{{At: zero, Frames: 480}, {At: after(10), Frames: 480}, {At: after(25), Frames: 480}}}
	for _, c := range []struct {
		name string
		n    int
		at   time.Time
		ok   bool
	}{
		{"the first frame", 0, zero, true},
		{"a frame within a run", 48, after(1), true},
		{"the first of a later run", 960, after(25), true},
		{"a frame that it has not heard", 1440, time.Time{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if at, ok := tape.when(c.n); ok != c.ok || !at.Equal(c.at) {
				t.Errorf("frame %d at %v, %v", c.n, at, ok)
			}
		})
	}
	for _, c := range []struct {
		name string
		at   time.Time
		n    int
	}{
		{"before all", after(-1), 0},
		{"within a run", after(15), 721},
		{"in the gap", after(22), 960},
		{"after all", after(99), 1440},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := tape.before(c.at); n != c.n {
				t.Errorf("%d frames, want %d", n, c.n)
			}
		})
	}
	if n := tape.gaps(zero, after(99)); n != 1 {
		t.Errorf("%d gaps, want 1", n)
	}
	if n := tape.gaps(after(26), after(99)); n != 0 {
		t.Errorf("%d gaps after the last, want 0", n)
	}
	if !tape.ends().Equal(after(35)) {
		t.Errorf("it ends at %v", tape.ends())
	}
}

func TestTheBeginningOfAToneIsFoundToTheFrame(t *testing.T) {
	// A lesson of low pitch that is faded out at the frame at which the tone
	// begins.
	const at = 4801
	zero := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	heard := make([]int16, playlist.Rate/2)
	for i := range at + 100 {
		heard[i] = int16(8000 * math.Sin(float64(i)/30))
	}
	copy(heard[at:], theTone())
	tape := tape{heard, []vcard.Run{{At: zero, Frames: int64(len(heard))}}}
	all, err := tape.latencies([]time.Time{zero.Add(90 * time.Millisecond)})
	if err != nil || len(all) != 1 || math.Abs(all[0]-(1000*at/float64(playlist.Rate)-90)) > 0.001 {
		t.Errorf("latencies %v: %v", all, err)
	}
	if _, err := tape.latencies([]time.Time{zero.Add(420 * time.Millisecond)}); err == nil || !strings.Contains(err.Error(), "at 0 of 1 orders") {
		t.Errorf("an order into silence: %v", err)
	}
	clear(heard[at:])
	if _, err := tape.latencies([]time.Time{zero.Add(90 * time.Millisecond)}); err == nil || !strings.Contains(err.Error(), "no tone") {
		t.Errorf("an order that nobody carried out: %v", err)
	}
}

func TestAChildThatEndedByItselfIsAnError(t *testing.T) {
	c, err := launch(t.Context(), "", "sh", "-c", "echo no card; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if err := c.end(); err == nil || !strings.Contains(err.Error(), "no card") {
		t.Errorf("%v", err)
	}
	if c, err = launch(t.Context(), "", "sh", "-c", "while :; do :; done"); err != nil {
		t.Fatal(err)
	}
	if err := c.end(); err != nil {
		t.Error(err)
	}
}
