package devices_test

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/playlist"
)

// rig is one kind of device for the suite. Its clock is the test's: it moves
// only by pass and by a write that waits for room, so that the number of frames
// that the device must have consumed is known exactly, however busy the machine
// is.
type rig struct {
	open func(t *testing.T) devices.Device

	// heard returns all that the device has consumed, one channel; nil if the
	// device keeps nothing.
	heard func(t *testing.T) []int16

	now  func(t *testing.T) time.Time        // by the device's clock
	pass func(t *testing.T, d time.Duration) // moves it

	// patience is how late a frame may come before the ring counts as empty.
	patience time.Duration
}

// bubble returns a rig in a synctest bubble.
func bubble(open func(t *testing.T) devices.Device, heard func(t *testing.T) []int16) rig {
	return rig{
		open:     open,
		heard:    heard,
		now:      func(*testing.T) time.Time { return time.Now() },
		pass:     func(_ *testing.T, d time.Duration) { time.Sleep(d) },
		patience: devices.Patience,
	}
}

// ramp returns n frames that show where they came from; none is silent.
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
		t.Fatalf("%v, want no error", err)
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

// await polls until ok is true for the device's position.
func await(t *testing.T, d devices.Device, what string, ok func(playlist.Position) bool) playlist.Position {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		p := position(t, d)
		if ok(p) {
			return p
		}
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s, the position is still %+v", what, p)
		}
	}
}

// trial drives a device of a rig and checks each of its positions: the frames
// consumed lie on the straight line of the device's clock, the position is that
// of now, and each underrun is counted once.
//
// A card that has consumed nothing for [devices.StallLimit] of the machine's
// time is lost. So the suite moves the clock before it asks a sounding device
// for a position: then it does not matter how long the machine delays it.
type trial struct {
	t *testing.T
	r rig
	d devices.Device

	before    int // frames heard before this device
	underruns int64
	last      playlist.Position
	total     int64 // what will have been consumed once all that is queued has sounded
	waits     int   // writes that waited for room

	// The present run of sound; the instants just before and after it began.
	sounding bool
	base     int64
	early    time.Time
	late     time.Time
}

func (r rig) begin(t *testing.T) *trial {
	t.Helper()
	tr := &trial{t: t, r: r, d: r.open(t)}
	if r.heard != nil {
		tr.before = len(r.heard(t))
	}
	tr.total = position(t, tr.d).Consumed
	tr.position()
	return tr
}

// due returns the least and the greatest number of frames consumed if the
// device was asked between the two instants.
func (tr *trial) due(from, to time.Time) (least, most int64) {
	if !tr.sounding {
		return tr.total, tr.total
	}
	// A card computes in floating point: it may miss the instant by a frame.
	least = tr.base + sounds(from.Sub(tr.late)) - 1
	most = tr.base + sounds(to.Sub(tr.early)) + 1
	return min(max(least, tr.base), tr.total), min(most, tr.total)
}

// sounds returns how many frames sound fully in d.
func sounds(d time.Duration) int64 { return int64(d) * playlist.Rate / int64(time.Second) }

func (tr *trial) position() playlist.Position {
	tr.t.Helper()
	from, asked := tr.r.now(tr.t), time.Now()
	p := position(tr.t, tr.d)
	told, to := time.Now(), tr.r.now(tr.t)
	if p.At.Before(asked) || p.At.After(told) {
		tr.t.Errorf("asked between %v and %v, the position is of %v", asked, told, p.At)
	}
	if p.Consumed < tr.last.Consumed || p.At.Before(tr.last.At) {
		tr.t.Fatalf("it runs backwards: after %+v came %+v", tr.last, p)
	}
	if least, most := tr.due(from, to); p.Consumed < least || p.Consumed > most {
		tr.t.Fatalf("consumed %d frames, want %d to %d", p.Consumed, least, most)
	}
	if p.Underruns != tr.underruns {
		tr.t.Fatalf("%d underruns, want %d", p.Underruns, tr.underruns)
	}
	if queued := tr.total - p.Consumed; queued > devices.Ring {
		tr.t.Fatalf("%d frames are queued, the ring holds %d", queued, devices.Ring)
	}
	tr.last = p
	return p
}

func (tr *trial) write(frames []int16) {
	tr.t.Helper()
	from := tr.r.now(tr.t)
	must(tr.t, tr.d.Write(frames))
	to := tr.r.now(tr.t)
	if !tr.sounding {
		tr.sounding, tr.base, tr.early, tr.late = true, tr.total, from, to
	}
	tr.total += int64(len(frames))
	if to.Sub(from) < atOnce {
		return
	}
	tr.waits++
	if _, most := tr.due(to, to); tr.total-most < devices.Ring-2*devices.Period {
		tr.t.Fatalf("a write waited for %v and left %d frames queued, want as many as the ring of %d holds", to.Sub(from), tr.total-most, devices.Ring)
	}
}

// flush drops what is queued and returns how much has been consumed.
func (tr *trial) flush() int64 {
	tr.t.Helper()
	from := tr.r.now(tr.t)
	must(tr.t, tr.d.Flush())
	to := tr.r.now(tr.t)
	if took := to.Sub(from); took >= atOnce {
		tr.t.Fatalf("a flush took %v, want less than %v", took, atOnce)
	}
	p := position(tr.t, tr.d)
	if least, most := tr.due(from, to); p.Consumed < least || p.Consumed > most {
		tr.t.Fatalf("flushed with %d frames consumed, want %d to %d", p.Consumed, least, most)
	}
	tr.total, tr.sounding = p.Consumed, false
	return p.Consumed
}

const (
	beside = 2 * time.Millisecond // the suite asks this long before and after an instant
	atOnce = time.Millisecond     // a call that does not wait takes less, by the device's clock
)

// left returns how long what is queued will sound.
func (tr *trial) left() time.Duration { return playlist.Length(tr.total - tr.last.Consumed) }

// dry lets the ring run empty: the underrun is counted then and not before.
func (tr *trial) dry() {
	tr.t.Helper()
	tr.r.pass(tr.t, tr.left()-beside)
	tr.position()
	tr.r.pass(tr.t, tr.left()+tr.r.patience+beside)
	tr.underruns++
	tr.sounding = false
	tr.position()
}

// same checks what the device has consumed, if it keeps that.
func (tr *trial) same(want []int16) {
	tr.t.Helper()
	if tr.r.heard != nil {
		same(tr.t, tr.r.heard(tr.t)[tr.before:], want)
	}
}

// suite is the test that every output must pass.
func suite(t *testing.T, run func(t *testing.T, name string, f func(t *testing.T, r rig))) {
	run(t, "it consumes at its clock's pace and never runs backwards", func(t *testing.T, r rig) {
		tr := r.begin(t)
		defer shut(t, tr.d)
		const periods = 150
		for i := range periods {
			tr.write(ramp(i*devices.Period, devices.Period))
			r.pass(t, 4*time.Millisecond)
			tr.position()
		}
		if tr.waits == 0 {
			t.Errorf("none of %d writes waited for room", periods)
		}
		tr.dry()
		tr.same(ramp(0, periods*devices.Period))
	})
	run(t, "a write of much more than the ring waits until the rest fits", func(t *testing.T, r rig) {
		tr := r.begin(t)
		defer shut(t, tr.d)
		tr.write(ramp(0, 5*devices.Ring+7))
		r.pass(t, time.Millisecond)
		tr.position()
		tr.dry()
		tr.same(ramp(0, 5*devices.Ring+7))
	})
	run(t, "a flush drops what is queued and sounds what comes next", func(t *testing.T, r rig) {
		tr := r.begin(t)
		defer shut(t, tr.d)
		base := tr.total
		tr.write(ramp(0, devices.Ring))
		r.pass(t, 35*time.Millisecond)
		tr.position()
		r.pass(t, time.Millisecond)
		cut := tr.flush()
		r.pass(t, 2*r.patience+time.Second)
		tr.position()
		tr.write(ramp(20000, 2*devices.Period))
		r.pass(t, 10*time.Millisecond)
		tr.position()
		tr.dry()
		tr.same(append(ramp(0, int(cut-base)), ramp(20000, 2*devices.Period)...))
	})
	run(t, "a flush of nothing is no underrun", func(t *testing.T, r rig) {
		tr := r.begin(t)
		defer shut(t, tr.d)
		tr.flush()
		tr.flush()
		tr.position()
	})
	run(t, "a dry ring is counted once and the next write sounds", func(t *testing.T, r rig) {
		tr := r.begin(t)
		defer shut(t, tr.d)
		tr.write(ramp(0, 3*devices.Period))
		r.pass(t, 10*time.Millisecond)
		tr.position()
		tr.dry()
		r.pass(t, 2*r.patience+time.Second)
		tr.position()
		tr.write(ramp(5000, 2*devices.Period))
		r.pass(t, 10*time.Millisecond)
		tr.position()
		// This time the next write finds the ring empty, not a position.
		r.pass(t, tr.left()+r.patience+beside)
		tr.underruns++
		tr.sounding = false
		tr.write(ramp(9000, 2*devices.Period))
		r.pass(t, 10*time.Millisecond)
		tr.position()
		tr.dry()
		tr.same(slices.Concat(ramp(0, 3*devices.Period), ramp(5000, 2*devices.Period), ramp(9000, 2*devices.Period)))
	})
	run(t, "close stops at once and twice is no error", func(t *testing.T, r rig) {
		tr := r.begin(t)
		base := tr.total
		tr.write(ramp(0, devices.Ring))
		r.pass(t, 50*time.Millisecond)
		tr.position()
		from := r.now(t)
		must(t, tr.d.Close())
		to := r.now(t)
		least, most := tr.due(from, to)
		if took := to.Sub(from); took >= atOnce {
			t.Errorf("close took %v, want less than %v", took, atOnce)
		}
		must(t, tr.d.Close())
		r.pass(t, time.Second)
		if err := tr.d.Write(ramp(0, 1)); !errors.Is(err, devices.ErrClosed) {
			t.Errorf("write after close: %v, want %v", err, devices.ErrClosed)
		}
		if _, err := tr.d.Position(); !errors.Is(err, devices.ErrClosed) {
			t.Errorf("position after close: %v, want %v", err, devices.ErrClosed)
		}
		if err := tr.d.Flush(); !errors.Is(err, devices.ErrClosed) {
			t.Errorf("flush after close: %v, want %v", err, devices.ErrClosed)
		}
		if r.heard == nil {
			return
		}
		n := int64(len(r.heard(t)) - tr.before)
		if n < least-base || n > most-base {
			t.Fatalf("closed after %d frames, want %d to %d", n, least-base, most-base)
		}
		tr.same(ramp(0, int(n)))
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

func TestNull(t *testing.T) {
	suite(t, func(t *testing.T, name string, f func(*testing.T, rig)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, bubble(func(t *testing.T) devices.Device { return open(t, "null:") }, nil))
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

// An output that is not hardware waits for frames that come late.
func TestFramesThatComeLateCountAsInTimeWithinPatience(t *testing.T) {
	for _, kind := range []string{"null:", "wav:"} {
		for _, c := range []struct {
			name string
			do   func(t *testing.T, d devices.Device, want func(consumed int64, at time.Duration, underruns int64)) []int16
		}{
			{"frames that come late count as in time", func(t *testing.T, d devices.Device, want func(int64, time.Duration, int64)) []int16 {
				must(t, d.Write(ramp(0, 1440)))
				time.Sleep(30 * time.Millisecond)
				want(1440, 30*time.Millisecond, 0)
				time.Sleep(devices.Patience)
				want(1440, 30*time.Millisecond, 0) // it has not moved since
				must(t, d.Write(ramp(1440, 480)))
				want(1920, 40*time.Millisecond, 0)
				now := time.Now()
				must(t, d.Write(ramp(1920, 5*devices.Ring)))
				if waited := time.Since(now); waited != 0 {
					t.Errorf("a write of frames long due waited for %v", waited)
				}
				want(1920+5*devices.Ring, 1040*time.Millisecond, 0)

				// All that is due by now, and a period: now it is in time
				// again.
				due := int(sounds(devices.Patience + 30*time.Millisecond))
				must(t, d.Write(ramp(1920+5*devices.Ring, due+480-1920-5*devices.Ring)))
				want(int64(due), devices.Patience+30*time.Millisecond, 0)
				time.Sleep(5 * time.Millisecond)
				want(int64(due)+240, devices.Patience+35*time.Millisecond, 0)
				return ramp(0, due+480)
			}},
			{"frames that come too late start the sound again", func(t *testing.T, d devices.Device, want func(int64, time.Duration, int64)) []int16 {
				must(t, d.Write(ramp(0, 1440)))
				time.Sleep(30*time.Millisecond + devices.Patience)
				want(1440, 30*time.Millisecond, 0)
				time.Sleep(time.Nanosecond)
				began := 30*time.Millisecond + devices.Patience + time.Nanosecond
				want(1440, began, 1)
				must(t, d.Write(ramp(5000, 480)))
				time.Sleep(5 * time.Millisecond)
				want(1440+240, began+5*time.Millisecond, 1)
				time.Sleep(time.Second)
				want(1440+480, began+10*time.Millisecond, 1)
				return append(ramp(0, 1440), ramp(5000, 480)...)
			}},
			{"a flush ends the wait for late frames", func(t *testing.T, d devices.Device, want func(int64, time.Duration, int64)) []int16 {
				must(t, d.Write(ramp(0, 1440)))
				time.Sleep(10 * time.Second)
				must(t, d.Flush())
				want(1440, 10*time.Second, 0)
				time.Sleep(2 * devices.Patience)
				began := 10*time.Second + 2*devices.Patience
				want(1440, began, 0)
				must(t, d.Write(ramp(5000, 480)))
				time.Sleep(5 * time.Millisecond)
				want(1440+240, began+5*time.Millisecond, 0)
				time.Sleep(5 * time.Millisecond)
				want(1440+480, began+10*time.Millisecond, 0)
				return append(ramp(0, 1440), ramp(5000, 480)...)
			}},
		} {
			t.Run(kind+" "+c.name, func(t *testing.T) {
				device, path := kind, filepath.Join(t.TempDir(), "square.wav")
				if kind == "wav:" {
					device += path
				}
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					d := open(t, device)
					sound := c.do(t, d, func(consumed int64, at time.Duration, underruns int64) {
						t.Helper()
						p := position(t, d)
						if got := p.At.Sub(began); p.Consumed != consumed || got != at || p.Underruns != underruns {
							t.Fatalf("%d frames consumed at %v with %d underruns, want %d at %v with %d",
								p.Consumed, got, p.Underruns, consumed, at, underruns)
						}
					})
					time.Sleep(time.Second)
					must(t, d.Close())
					if kind == "wav:" {
						same(t, recorded(t, path), sound)
					}
				})
			})
		}
	}
}

func TestThePaceIsExactForAnyLength(t *testing.T) {
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

func TestOpenRefusesNamesOfNoDevice(t *testing.T) {
	for _, name := range []string{"", "wav:"} {
		_, err := devices.Open(t.Context(), playlist.Output{Name: "square", Device: name}, devices.Options{})
		if !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("device %q: %v", name, err)
		}
	}
}
