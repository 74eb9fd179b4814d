package devices_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/playlist"
)

// rig is one kind of device as the suite tries it.
type rig struct {
	open func(t *testing.T) devices.Device

	// heard is all that the device has consumed, one channel; nil where the
	// device keeps nothing.
	heard func(t *testing.T) []int16

	// slack is how far its clock may seem off, in frames, for what it measures
	// in real time; 0 in a bubble.
	slack int64
}

// ramp is n frames that tell where they came from; none is silent.
func ramp(from, n int) []int16 {
	f := make([]int16, n)
	for i := range f {
		f[i] = int16((from+i)%30000 + 1)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func shut(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func position(t *testing.T, d devices.Device) playlist.Position {
	t.Helper()
	p, err := d.Position()
	must(t, err)
	return p
}

// await polls until the device's position is as wished.
func await(t *testing.T, d devices.Device, what string, ok func(playlist.Position) bool) playlist.Position {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		p := position(t, d)
		if ok(p) {
			return p
		}
		if time.Now().After(end) {
			t.Fatalf("%s: still at %+v", what, p)
		}
	}
}

// gaps finds the longest time between two looks.
type gaps struct {
	last    time.Time
	longest time.Duration
}

func (g *gaps) look() {
	now := time.Now()
	if !g.last.IsZero() {
		g.longest = max(g.longest, now.Sub(g.last))
	}
	g.last = now
}

// stalled reports whether a ring may have run dry or played out because nobody
// ran to feed it or to stop it.
func (g *gaps) stalled() bool { return g.longest > playlist.Length(devices.Ring)/2 }

// steadily tries what a stall of the machine would spoil, again where there was
// one. A try looks at the gaps in its loop and judges nothing once they tell of
// a stall; a device that stalls the loop each time is at fault itself.
func steadily(t *testing.T, try func(g *gaps)) {
	t.Helper()
	const tries = 5
	for range tries {
		var g gaps
		if try(&g); !g.stalled() {
			return
		}
		t.Logf("stalled for %v", g.longest)
	}
	t.Fatalf("stalled in each of %d tries", tries)
}

// sounded is what the device has consumed since there was that much.
func (r rig) sounded(t *testing.T, since int) []int16 {
	t.Helper()
	if r.heard == nil {
		return nil
	}
	return r.heard(t)[since:]
}

// suite is what every output must pass.
func suite(t *testing.T, run func(t *testing.T, name string, f func(t *testing.T, r rig))) {
	run(t, "it consumes at its clock's pace and never runs backwards", func(t *testing.T, r rig) {
		steadily(t, func(g *gaps) {
			d := r.open(t)
			defer shut(t, d)
			before := len(r.sounded(t, 0))
			start := position(t, d)
			if start.Underruns != 0 {
				t.Fatalf("a new device counts %d underruns", start.Underruns)
			}
			var first, last playlist.Position
			const periods = 150
			for i := range periods {
				must(t, d.Write(ramp(i*devices.Period, devices.Period)))
				p := position(t, d)
				g.look()
				if p.Consumed < last.Consumed || p.At.Before(last.At) {
					t.Fatalf("after %+v came %+v", last, p)
				}
				written := start.Consumed + int64((i+1)*devices.Period)
				if queued := written - p.Consumed; queued < 0 || queued > devices.Ring {
					t.Fatalf("%d frames queued after %d periods", queued, i+1)
				}
				if i == 30 {
					first = p
				}
				last = p
			}
			if g.stalled() {
				return
			}
			got, want := last.Consumed-first.Consumed, playlist.FramesIn(last.At.Sub(first.At))
			if abs(got-want) > 1+r.slack {
				t.Errorf("consumed %d frames in %v, want %d", got, last.At.Sub(first.At), want)
			}
			if last.Underruns != 0 {
				t.Errorf("%d underruns", last.Underruns)
			}
			end := start.Consumed + periods*devices.Period
			p := await(t, d, "the end", func(p playlist.Position) bool { return p.Underruns > 0 })
			if p.Consumed != end {
				t.Errorf("consumed %d in the end, want %d", p.Consumed, end)
			}
			if r.heard != nil {
				same(t, r.sounded(t, before), ramp(0, periods*devices.Period))
			}
		})
	})
	run(t, "a flush drops what is queued and sounds what comes next", func(t *testing.T, r rig) {
		steadily(t, func(g *gaps) {
			d := r.open(t)
			defer shut(t, d)
			before := len(r.sounded(t, 0))
			base := position(t, d).Consumed
			g.look()
			must(t, d.Write(ramp(0, devices.Ring)))
			await(t, d, "sound", func(p playlist.Position) bool {
				g.look()
				return p.Consumed >= base+3*devices.Period
			})
			must(t, d.Flush())
			p := position(t, d)
			if g.look(); g.stalled() {
				return
			}
			cut := int(p.Consumed - base)
			if cut < 3*devices.Period || cut >= devices.Ring {
				t.Fatalf("flushed at frame %d", cut)
			}
			time.Sleep(50 * time.Millisecond)
			if q := position(t, d); q.Consumed != p.Consumed || q.Underruns != 0 {
				t.Errorf("flushed and idle it went from %+v to %+v", p, q)
			}
			must(t, d.Write(ramp(20000, 2*devices.Period)))
			p = await(t, d, "the end", func(p playlist.Position) bool { return p.Underruns > 0 })
			if got := int(p.Consumed - base); got != cut+2*devices.Period {
				t.Errorf("consumed %d frames, want %d before the flush and %d after", got, cut, 2*devices.Period)
			}
			if r.heard != nil {
				same(t, r.sounded(t, before), append(ramp(0, cut), ramp(20000, 2*devices.Period)...))
			}
		})
	})
	run(t, "a flush of nothing is no underrun", func(t *testing.T, r rig) {
		d := r.open(t)
		defer shut(t, d)
		must(t, d.Flush())
		must(t, d.Flush())
		if p := position(t, d); p.Underruns != 0 {
			t.Errorf("%d underruns", p.Underruns)
		}
	})
	run(t, "a dry ring is counted once and the next write sounds", func(t *testing.T, r rig) {
		d := r.open(t)
		defer shut(t, d)
		base := position(t, d).Consumed
		must(t, d.Write(ramp(0, 3*devices.Period)))
		p := await(t, d, "dry", func(p playlist.Position) bool { return p.Underruns > 0 })
		if p.Consumed != base+3*devices.Period {
			t.Errorf("dry at frame %d, want %d", p.Consumed-base, 3*devices.Period)
		}
		time.Sleep(50 * time.Millisecond)
		if q := position(t, d); q.Consumed != p.Consumed || q.Underruns != 1 {
			t.Errorf("a dry device went from %+v to %+v", p, q)
		}
		must(t, d.Write(ramp(5000, 2*devices.Period)))
		p = await(t, d, "dry again", func(p playlist.Position) bool { return p.Underruns > 1 })
		if p.Consumed != base+5*devices.Period {
			t.Errorf("dry again at frame %d, want %d", p.Consumed-base, 5*devices.Period)
		}
		if r.heard != nil {
			same(t, r.heard(t), append(ramp(0, 3*devices.Period), ramp(5000, 2*devices.Period)...))
		}
	})
	run(t, "close stops at once and twice is no error", func(t *testing.T, r rig) {
		steadily(t, func(g *gaps) {
			d := r.open(t)
			before := len(r.sounded(t, 0))
			base := position(t, d).Consumed
			g.look()
			must(t, d.Write(ramp(0, devices.Ring)))
			await(t, d, "sound", func(p playlist.Position) bool {
				g.look()
				return p.Consumed > base
			})
			must(t, d.Close())
			g.look()
			must(t, d.Close())
			if err := d.Write(ramp(0, 1)); !errors.Is(err, devices.ErrClosed) {
				t.Errorf("write after close: %v", err)
			}
			if _, err := d.Position(); !errors.Is(err, devices.ErrClosed) {
				t.Errorf("position after close: %v", err)
			}
			if err := d.Flush(); !errors.Is(err, devices.ErrClosed) {
				t.Errorf("flush after close: %v", err)
			}
			if n := len(r.sounded(t, before)); n >= devices.Ring && !g.stalled() {
				t.Errorf("%d frames sounded", n)
			}
		})
	})
}

func same(t *testing.T, got, want []int16) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("frame %d is %d, want %d", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
}

func abs(n int64) int64 { return max(n, -n) }

func TestNull(t *testing.T) {
	suite(t, func(t *testing.T, name string, f func(*testing.T, rig)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, rig{open: func(t *testing.T) devices.Device { return open(t, "null:") }})
			})
		})
	})
}

func open(t *testing.T, device string) devices.Device {
	t.Helper()
	d, err := devices.Open(t.Context(), playlist.Output{Name: "square", Device: device}, devices.Options{})
	must(t, err)
	return d
}

func TestPaceIsExactHoweverLong(t *testing.T) {
	for _, c := range []struct {
		in   time.Duration
		want int64
	}{
		{0, 0},
		{20_833 * time.Nanosecond, 0},
		{20_834 * time.Nanosecond, 1},
		{10 * time.Millisecond, 480},
		{1000 * time.Hour, 1000 * 3600 * playlist.Rate},
		{1000*time.Hour + 20_834*time.Nanosecond, 1000*3600*playlist.Rate + 1},
	} {
		if got := devices.SoundedIn(c.in); got != c.want {
			t.Errorf("%v: %d frames, want %d", c.in, got, c.want)
		}
	}
}

func TestOpenRefusesWhatNamesNoDevice(t *testing.T) {
	for _, name := range []string{"", "wav:"} {
		_, err := devices.Open(t.Context(), playlist.Output{Name: "square", Device: name}, devices.Options{})
		if !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("device %q: %v", name, err)
		}
	}
}
