package player_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
)

// count is a stream whose every sample tells its own number, so that a
// recording shows which frames of which stream sounded when.
type count struct{ base, next, end int }

func (c *count) Stream(samples [][2]float64) (int, bool) {
	n := 0
	for n < len(samples) && c.next < c.end {
		v := float64(c.value(c.next)) / (1 << 15)
		samples[n] = [2]float64{v, v}
		n++
		c.next++
	}
	return n, n > 0
}

func (c *count) Err() error { return nil }

func (c *count) value(i int) int16 { return int16(c.base + i%1000) }

// frameOf is the number of the frame, modulo 1000, that a sample shows; -1 if
// it is none of the stream's.
func (c *count) frameOf(v int16) int {
	if i := int(v) - c.base; i >= 0 && i < 1000 {
		return i
	}
	return -1
}

type room struct {
	t    *testing.T
	path string
	ch   *player.Channel
	stop func()
}

// newRoom runs a channel onto a WAV file; call it in a bubble.
func newRoom(t *testing.T, open player.OpenDevice, change ...func(*playlist.Output)) *room {
	t.Helper()
	r := &room{t: t, path: filepath.Join(t.TempDir(), "out.wav")}
	if open == nil {
		open = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			return devices.Open(ctx, o, devices.Options{})
		}
	}
	out := playlist.Output{Name: "room", Device: "wav:" + r.path}
	for _, f := range change {
		f(&out)
	}
	r.ch = player.NewChannel(out, open, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.ch.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return r
}

// heard is what the file holds; the channel must have been stopped.
func (r *room) heard() []int16 {
	r.t.Helper()
	return readWAV(r.t, r.path)
}

func readWAV(t *testing.T, path string) []int16 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 44 || string(b[:4]) != "RIFF" {
		t.Fatalf("%s is no WAV file", path)
	}
	// As they lie in memory: with the race detector a loop takes far longer.
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(b[44:]))), len(b[44:])/2)
}

func (r *room) sound(base, frames int) (*count, *player.Sound) {
	c := &count{base: base, end: frames}
	s := player.NewSound(c, 0, nil)
	if err := s.Ready(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return c, s
}

func TestASoundStartsAtItsInstantToTheFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, nil)
		begin := time.Now()
		time.Sleep(500 * time.Millisecond)
		c, s := r.sound(5000, 3*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		due := begin.Add(2*time.Second + 7*time.Millisecond + 13*time.Microsecond)
		take := turn.Play(player.Cue{Sound: s, At: due})
		<-take.Done()
		turn.End()
		h := take.Heard()
		r.stop()
		if h.Frames != 3*playlist.Rate || h.Cut != player.CutNone {
			t.Errorf("heard %+v", h)
		}
		if late := h.Started.Sub(due); late.Abs() > 30*time.Microsecond {
			t.Errorf("started %v after its instant", late)
		}
		file := r.heard()
		for i := range 3 * playlist.Rate {
			if got := file[h.AtFrame+int64(i)]; got != c.value(i) {
				t.Fatalf("frame %d: %d, want %d", i, got, c.value(i))
			}
		}
		if file[h.AtFrame-1] != 0 || file[h.AtFrame+h.Frames] != 0 {
			t.Error("silence wanted on both sides")
		}
	})
}

// steps is the largest jump between neighbouring samples: a click.
func steps(frames []int16) int {
	most := 0
	for i := 1; i < len(frames); i++ {
		d := int(frames[i]) - int(frames[i-1])
		most = max(most, d, -d)
	}
	return most
}

type flat struct{ level, left int }

func (f *flat) Stream(samples [][2]float64) (int, bool) {
	n := min(len(samples), f.left)
	for i := range n {
		samples[i] = [2]float64{float64(f.level) / (1 << 15), 0}
	}
	f.left -= n
	return n, n > 0
}
func (f *flat) Err() error { return nil }

func TestAnEmergencyCutsInAndTheLessonRejoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, nil)
		_, lesson := r.sound(5000, 4*playlist.Rate)
		defer lesson.Close()
		_, alarm := r.sound(12000, playlist.Rate)
		defer alarm.Close()
		a := r.ch.Join(playlist.RankScheduled+5, "")
		first := a.Play(player.Cue{Sound: lesson, At: time.Now().Add(300 * time.Millisecond)})
		time.Sleep(1337 * time.Millisecond)
		b := r.ch.Join(playlist.RankEmergency1, "")
		ordered := time.Now()
		cut := b.Play(player.Cue{Sound: alarm})
		<-first.Done()
		h1 := first.Heard()
		second := a.Play(player.Cue{Sound: lesson, At: time.Now(), Resumed: true, First: true})
		<-cut.Done()
		b.End()
		<-second.Done()
		a.End()
		h2, h3 := cut.Heard(), second.Heard()
		r.stop()
		if h1.Cut != player.CutPreempt || h1.By != playlist.RankEmergency1 {
			t.Errorf("first part: %+v", h1)
		}
		if late := h2.Started.Sub(ordered); late < 0 || late > 40*time.Millisecond {
			t.Errorf("the alarm came %v after the order", late)
		}
		if h1.Frames+h3.Frames != 4*playlist.Rate {
			t.Errorf("parts of %d and %d frames do not make the whole of %d", h1.Frames, h3.Frames, 4*playlist.Rate)
		}
		file := r.heard()
		c := &count{base: 5000}
		for i := h1.AtFrame; i < h1.AtFrame+h1.Frames-600; i++ {
			if got := c.frameOf(file[i]); got != int(i-h1.AtFrame)%1000 {
				t.Fatalf("first part, frame %d shows %d", i-h1.AtFrame, got)
			}
		}
		// Behind the fade-in it goes on with the very next frames.
		for i := int64(1000); i < h3.Frames; i++ {
			if got := c.frameOf(file[h3.AtFrame+i]); got != int(h1.Frames+i)%1000 {
				t.Fatalf("second part, frame %d shows %d, want %d", i, got, int(h1.Frames+i)%1000)
			}
		}
		if h2.AtFrame != h1.AtFrame+h1.Frames || h2.Frames != playlist.Rate {
			t.Errorf("alarm at %d for %d frames, lesson ended at %d", h2.AtFrame, h2.Frames, h1.AtFrame+h1.Frames)
		}
	})
}

func TestNoCutClicks(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(r *room, turn *player.Turn)
	}{
		{"preempted at once", func(r *room, _ *player.Turn) {
			b := r.ch.Join(playlist.RankEmergency1, "")
			s := player.NewSound(&flat{0, playlist.Rate / 10}, 0, nil)
			<-b.Play(player.Cue{Sound: s}).Done()
			b.End()
			s.Close()
		}},
		{"preempted on schedule", func(r *room, _ *player.Turn) {
			b := r.ch.Join(playlist.RankScheduled+9, "")
			s := player.NewSound(&flat{0, playlist.Rate / 10}, 0, nil)
			<-b.Play(player.Cue{Sound: s, At: time.Now().Add(500 * time.Millisecond)}).Done()
			b.End()
			s.Close()
		}},
		{"turn ended", func(_ *room, turn *player.Turn) { turn.End() }},
		{"daemon stopped", func(*room, *player.Turn) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, nil)
				turn := r.ch.Join(playlist.RankScheduled, "")
				s := player.NewSound(&flat{20000, 10 * playlist.Rate}, 0, nil)
				defer s.Close()
				take := turn.Play(player.Cue{Sound: s, At: time.Now().Add(time.Second)})
				time.Sleep(2 * time.Second)
				c.cut(r, turn)
				time.Sleep(100 * time.Millisecond)
				turn.End()
				r.stop()
				<-take.Done()
				h := take.Heard()
				file := r.heard()
				from := h.AtFrame + 1 // the sound itself begins with a step
				if most := steps(file[from:]); most > 100 {
					t.Errorf("a step of %d in a sound of 20000", most)
				}
				if end := h.AtFrame + h.Frames; end > int64(len(file)) || end < int64(len(file)) && file[end] != 0 {
					t.Errorf("%d frames heard, the file says otherwise", h.Frames)
				}
				if h.Cut == player.CutNone {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

func TestRankAndQueue(t *testing.T) {
	const s = playlist.Rate
	for _, c := range []struct {
		name   string
		ranks  [2]playlist.Rank
		at     [2]time.Duration
		within time.Duration // the second's deadline
		want   [2]player.Cut
		starts time.Duration // of the second
	}{
		{"equal ranks queue", [2]playlist.Rank{105, 105}, [2]time.Duration{time.Second, 2 * time.Second}, time.Minute, [2]player.Cut{"", ""}, 4 * time.Second},
		{"the lower waits", [2]playlist.Rank{105, 101}, [2]time.Duration{time.Second, 2 * time.Second}, time.Minute, [2]player.Cut{"", ""}, 4 * time.Second},
		{"the lower waits in vain", [2]playlist.Rank{105, 101}, [2]time.Duration{time.Second, 2 * time.Second}, time.Second, [2]player.Cut{"", player.CutExpired}, 0},
		{"the higher cuts at its instant", [2]playlist.Rank{105, 109}, [2]time.Duration{time.Second, 2 * time.Second}, time.Minute, [2]player.Cut{player.CutPreempt, ""}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, nil)
				defer r.stop()
				begin := time.Now()
				var (
					turns [2]*player.Turn
					takes [2]*player.Take
				)
				for i := range 2 {
					_, snd := r.sound(3000*(i+1), 3*s)
					defer snd.Close()
					turns[i] = r.ch.Join(c.ranks[i], "")
					defer turns[i].End()
					at := begin.Add(c.at[i])
					takes[i] = turns[i].Play(player.Cue{Sound: snd, At: at, Deadline: at.Add(c.within)})
				}
				for i, k := range takes {
					<-k.Done()
					turns[i].End() // until then it has the output, silent or not
					if got := k.Heard().Cut; got != c.want[i] {
						t.Errorf("take %d ended by %q, want %q", i+1, got, c.want[i])
					}
				}
				if c.starts > 0 {
					if got := takes[1].Heard().Started.Sub(begin); got < c.starts-time.Millisecond || got > c.starts+200*time.Millisecond {
						t.Errorf("the second started after %v, want %v", got, c.starts)
					}
				}
			})
		})
	}
}

func TestASoundEndsWhereQuietBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, nil)
		_, s := r.sound(5000, 10*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		at := time.Now().Add(time.Second)
		take := turn.Play(player.Cue{Sound: s, At: at, Until: at.Add(2 * time.Second)})
		<-take.Done()
		turn.End()
		r.stop()
		h := take.Heard()
		if h.Cut != player.CutUntil || h.Frames < 2*playlist.Rate-2 || h.Frames > 2*playlist.Rate+2 {
			t.Errorf("%+v", h)
		}
	})
}

// flaky is a device that breaks when told.
type flaky struct {
	player.Device
	broken *atomic.Bool
}

var errUnplugged = errors.New("unplugged")

func (f flaky) Write(b []int16) error {
	if f.broken.Load() {
		return errUnplugged
	}
	return f.Device.Write(b)
}

func TestALostDeviceComesBackAndNoFrameIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if broken.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		}
		r := newRoom(t, open)
		c, s := r.sound(5000, 5*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		take := turn.Play(player.Cue{Sound: s, At: time.Now().Add(500 * time.Millisecond)})
		time.Sleep(2 * time.Second)
		broken.Store(true)
		time.Sleep(3 * time.Second)
		broken.Store(false)
		<-take.Done()
		turn.End()
		r.stop()
		h := take.Heard()
		if h.Frames != 5*playlist.Rate || h.Cut != player.CutNone {
			t.Fatalf("%+v", h)
		}
		if away := h.Ended.Sub(h.Started); away < 7*time.Second {
			t.Errorf("ended %v after its start, with the device away for 3 s", away)
		}
		file := r.heard()[h.AtFrame:]
		next, shown := 0, 0
		for _, v := range file {
			if n := c.frameOf(v); n == next%1000 {
				next++
			} else if v != 0 {
				shown++ // within a fade
			}
		}
		if next < 5*playlist.Rate-3000 || shown > 3000 {
			t.Errorf("%d frames in order, %d out of it", next, shown)
		}
	})
}

func TestADeviceThatStaysAwayEndsTheTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if broken.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		}
		r := newRoom(t, open)
		_, s := r.sound(5000, 5*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		at := time.Now().Add(500 * time.Millisecond)
		take := turn.Play(player.Cue{Sound: s, At: at})
		time.Sleep(2 * time.Second)
		broken.Store(true)
		<-take.Done()
		h := take.Heard()
		if h.Cut != player.CutDevice || h.Frames < playlist.Rate || h.Frames > 2*playlist.Rate {
			t.Errorf("%+v", h)
		}
		turn.End()
		r.stop()
	})
}

func TestADeviceThatFailsAsItOpensIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken, opens atomic.Bool
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if broken.Load() && !opens.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		}
		r := newRoom(t, open)
		_, s := r.sound(5000, 5*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		take := turn.Play(player.Cue{Sound: s, At: time.Now().Add(500 * time.Millisecond)})
		time.Sleep(2 * time.Second)
		broken.Store(true)
		time.Sleep(time.Second)
		opens.Store(true) // it opens again, but does not take a frame
		time.Sleep(time.Second)
		broken.Store(false)
		<-take.Done()
		turn.End()
		r.stop()
		if h := take.Heard(); h.Frames != 5*playlist.Rate || h.Cut != player.CutNone {
			t.Errorf("%+v", h)
		}
	})
}

func TestADeviceLostBehindTheDeadlineOfWhatSoundsComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if broken.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		}
		r := newRoom(t, open)
		_, s := r.sound(5000, 5*playlist.Rate)
		defer s.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		at := time.Now().Add(500 * time.Millisecond)
		take := turn.Play(player.Cue{Sound: s, At: at, Deadline: at.Add(time.Second)})
		time.Sleep(3 * time.Second)
		broken.Store(true)
		time.Sleep(time.Second)
		broken.Store(false)
		<-take.Done()
		turn.End()
		r.stop()
		if h := take.Heard(); h.Frames != 5*playlist.Rate || h.Cut != player.CutNone {
			t.Errorf("%+v", h)
		}
	})
}

func TestALateCutDoesNotClick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, nil)
		turn := r.ch.Join(playlist.RankScheduled, "")
		s := player.NewSound(&flat{20000, 10 * playlist.Rate}, 0, nil)
		defer s.Close()
		take := turn.Play(player.Cue{Sound: s, At: time.Now().Add(time.Second)})
		time.Sleep(2 * time.Second)
		b := r.ch.Join(playlist.RankScheduled+9, "")
		s2 := player.NewSound(&flat{0, playlist.Rate / 10}, 0, nil)
		defer s2.Close()
		<-b.Play(player.Cue{Sound: s2, At: time.Now().Add(-time.Second)}).Done()
		b.End()
		turn.End()
		r.stop()
		<-take.Done()
		file := r.heard()
		if most := steps(file[take.Heard().AtFrame+1:]); most > 100 {
			t.Errorf("a step of %d in a sound of 20000", most)
		}
	})
}

func TestATurnEndedInAnothersSoundLeavesItOnTheAir(t *testing.T) {
	for off := time.Duration(0); off < 220*time.Millisecond; off += 2 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(t, nil)
			_, lesson := r.sound(5000, 4*playlist.Rate)
			defer lesson.Close()
			_, tone := r.sound(12000, playlist.Rate)
			defer tone.Close()
			a := r.ch.Join(playlist.RankScheduled, "")
			b := r.ch.Join(playlist.RankTechnician, "")
			at := time.Now().Add(time.Second)
			second := a.Play(player.Cue{Sound: lesson, At: at.Add(100 * time.Millisecond)})
			first := b.Play(player.Cue{Sound: tone, At: at})
			time.Sleep(1880*time.Millisecond + off)
			b.End()
			<-first.Done()
			<-second.Done()
			a.End()
			h := second.Heard()
			r.stop()
			if h.Cut != player.CutNone || h.Frames != 4*playlist.Rate {
				t.Errorf("%v: the lesson ended with the tone: %+v, tone %+v", off, h, first.Heard())
			}
		})
	}
}

func TestAnOutputThatRestsIsOpenOnlyWhileItIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := 0
		var r *room
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			opens++
			return devices.Open(ctx, o, devices.Options{})
		}
		r = newRoom(t, open, func(o *playlist.Output) { o.CloseIdle = true })
		var heard []player.Heard
		for range 2 {
			time.Sleep(time.Minute)
			if state := r.ch.State(); r.ch.Up() || state.Up || state.Err != nil {
				t.Errorf("with nothing due: %+v", state)
			}
			_, s := r.sound(5000, playlist.Rate)
			due := time.Now().Add(2 * time.Second)
			turn := r.ch.Join(playlist.RankScheduled, "")
			take := turn.Play(player.Cue{Sound: s, At: due})
			<-take.Done()
			time.Sleep(17 * time.Millisecond) // silence sounds meanwhile
			turn.End()
			s.Close()
			h := take.Heard()
			heard = append(heard, h)
			if late := h.Started.Sub(due); late.Abs() > time.Millisecond || h.Frames != playlist.Rate {
				t.Errorf("%v late: %+v", late, h)
			}
		}
		time.Sleep(time.Second)
		r.stop()
		if opens != 2 {
			t.Errorf("opened %d times, want 2", opens)
		}
		file := r.heard()
		c := &count{base: 5000}
		for _, h := range heard {
			for i := range h.Frames {
				if c.frameOf(file[h.AtFrame+i]) != int(i)%1000 {
					t.Fatalf("frame %d of the take at %d is not on tape", i, h.AtFrame)
				}
			}
		}
		if seconds := len(file) / playlist.Rate; seconds > 10 {
			t.Errorf("%d s on tape of two sounds of one", seconds)
		}
	})
}

func TestTheStateOfAnOutputTellsSinceWhenAndWhyItIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken, missing atomic.Bool
		missing.Store(true)
		errMissing := errors.New("no such card")
		r := newRoom(t, func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if missing.Load() {
				return nil, errMissing
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		})
		unrun := player.NewChannel(playlist.Output{Name: "room"}, nil, time.Now, slog.New(slog.DiscardHandler))
		if got := unrun.State(); got != (player.ChannelState{}) {
			t.Errorf("before the first report: %+v", got)
		}
		want := func(when string, up bool, since time.Time, why error) {
			t.Helper()
			got := r.ch.State()
			if off := got.Since.Sub(since); got.Up != up || off < 0 || off > time.Second || !errors.Is(got.Err, why) || (why == nil) != (got.Err == nil) {
				t.Errorf("%s: %+v, want up %v since %v for %v", when, got, up, since, why)
			}
		}
		begun := time.Now()
		time.Sleep(10 * time.Second)
		want("never opened", false, begun, errMissing)
		missing.Store(false)
		opened := time.Now()
		time.Sleep(10 * time.Second)
		want("open", true, opened, nil)
		broken.Store(true)
		lost := time.Now()
		time.Sleep(10 * time.Second)
		want("lost", false, lost, errUnplugged)
		missing.Store(true)
		time.Sleep(10 * time.Second)
		want("lost, and does not open", false, lost, errMissing)
		broken.Store(false)
		missing.Store(false)
		back := time.Now()
		time.Sleep(10 * time.Second)
		want("back", true, back, nil)
		stopped := time.Now()
		r.stop()
		want("stopped", false, stopped, nil)
	})
}

func TestATurnEndedBeforeItsCutIsHeardGivesTheSoundsBackInOrder(t *testing.T) {
	for before := 40 * time.Millisecond; before < 220*time.Millisecond; before += 12 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(t, nil)
			first, chime := r.sound(5000, playlist.Rate)
			defer chime.Close()
			second, lesson := r.sound(12000, playlist.Rate)
			defer lesson.Close()
			_, other := r.sound(20000, playlist.Rate)
			defer other.Close()
			a := r.ch.Join(playlist.RankScheduled, "")
			b := r.ch.Join(playlist.RankScheduled+9, "")
			at := time.Now().Add(time.Second)
			cut := at.Add(time.Second + 50*time.Millisecond) // just after the lesson begins
			takes := []*player.Take{a.Play(player.Cue{Sound: chime, At: at}), a.Play(player.Cue{Sound: lesson})}
			gone := b.Play(player.Cue{Sound: other, At: cut})
			time.Sleep(time.Until(cut.Add(-before)))
			b.End()
			<-gone.Done()
			for i, k := range takes {
				<-k.Done()
				if h := k.Heard(); h.Frames != playlist.Rate || h.Cut != player.CutNone {
					t.Errorf("ended %v before: take %d: %+v", before, i+1, h)
				}
			}
			a.End()
			r.stop()
			h1, h2 := takes[0].Heard(), takes[1].Heard()
			if h2.AtFrame != h1.AtFrame+h1.Frames {
				t.Fatalf("ended %v before: the chime at %d for %d frames, the lesson at %d", before, h1.AtFrame, h1.Frames, h2.AtFrame)
			}
			file, wrong := r.heard()[h1.AtFrame:], 0
			for i := range 2 * playlist.Rate {
				if c, j := []*count{first, second}[i/playlist.Rate], i%playlist.Rate; i >= len(file) || file[i] != c.value(j) {
					wrong++
				}
			}
			if wrong > 2500 { // fades
				t.Errorf("ended %v before: %d frames are not as recorded", before, wrong)
			}
		})
	}
}
