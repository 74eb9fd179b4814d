package player_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"
	"unsafe"

	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// stage is a controller without its command: a real store, real clips, WAV
// outputs, all in a bubble where hours cost nothing. A bubble begins at
// midnight UTC, 1 January 2000.
type stage struct {
	t         *testing.T
	dir       string
	store     *data.Store
	programme *playlist.Programme
	clips     []playlist.Clip
	log       bytes.Buffer
	mu        sync.Mutex
	wall      time.Duration // added to the bubble's clock
	options   player.Options
	ledger    player.Ledger     // nil: the store
	device    player.OpenDevice // nil: as the output says
	player    *player.Player
	stop      func()
}

func (s *stage) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.wall)
}

func (s *stage) step(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall += d
}

func newStage(t *testing.T, outputs ...string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.programme = &playlist.Programme{Site: playlist.Site{Zone: time.UTC}}
	for i, name := range outputs {
		s.programme.Outputs = append(s.programme.Outputs, playlist.Output{
			Name: name, Device: "wav:" + s.wav(name), Residents: 100 * (i + 1), Area: "320924000000",
		})
	}
	s.open()
	list := playlist.Playlist{Name: "lessons", Order: playlist.Sequence}
	for _, name := range []string{"clip1", "clip2", "clip3"} {
		b, err := os.ReadFile(filepath.Join("..", "data", "course", "testdata", name+".mp3"))
		if err != nil {
			t.Fatal(err)
		}
		c := s.clip(b, name)
		s.clips = append(s.clips, c)
		list.Clips = append(list.Clips, c.ID)
	}
	s.programme.Playlists = []playlist.Playlist{list}
	return s
}

// clip puts an MP3 file into the store.
func (s *stage) clip(mp3 []byte, title string) playlist.Clip {
	s.t.Helper()
	info, err := player.Scan(bytes.NewReader(mp3))
	if err != nil {
		s.t.Fatal(err)
	}
	c := playlist.Clip{ID: info.ID, Title: title, Frames: info.Frames, Size: info.Size}
	if err := s.store.AddClip(s.t.Context(), c, bytes.NewReader(mp3)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *stage) wav(output string) string { return filepath.Join(s.dir, output+".wav") }

func (s *stage) open() {
	s.t.Helper()
	var err error
	if s.store, err = data.Open(s.t.Context(), s.dir, data.Options{Log: slog.New(slog.DiscardHandler), Boot: "boot", Now: s.now}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) slot(name, cron string, change ...func(*playlist.Slot)) {
	s.t.Helper()
	c, err := playlist.ParseCron(cron)
	if err != nil {
		s.t.Fatal(err)
	}
	slot := playlist.Slot{
		Name: name, Playlist: "lessons", Cron: c, Count: 1, Priority: playlist.DefaultPriority,
		Window: playlist.DefaultWindow, Missed: playlist.MissedSkip, After: playlist.AfterRejoin,
	}
	for _, o := range s.programme.Outputs {
		slot.Outputs = append(slot.Outputs, o.Name)
	}
	for _, f := range change {
		f(&slot)
	}
	s.programme.Slots = append(s.programme.Slots, slot)
}

// start runs the player until s.stop.
func (s *stage) start() {
	s.t.Helper()
	s.options.Ledger, s.options.Boot, s.options.Wall = s.store, "boot", s.now
	if s.ledger != nil {
		s.options.Ledger = s.ledger
	}
	s.options.Log = slog.New(slog.NewTextHandler(s, nil))
	s.options.Open = func(ctx context.Context, o playlist.Output) (player.Device, error) {
		return devices.Open(ctx, o, devices.Options{})
	}
	if s.device != nil {
		s.options.Open = s.device
	}
	s.player = player.New(s.programme, s.options)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.player.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
}

// close stops everything and shows the log of a test that failed.
func (s *stage) close() {
	s.stop()
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	if s.t.Failed() {
		s.t.Log("\n" + s.log.String())
	}
}

func (s *stage) rows() []asrun.Row {
	s.t.Helper()
	var rows []asrun.Row
	for r, err := range s.store.AsRun(s.t.Context(), data.Query{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// summary is what the rows say, one word a row.
func (s *stage) summary() string {
	var words []string
	for _, r := range s.rows() {
		w := r.Slot + "/" + r.Output + "/" + r.Title + ":" + string(r.Outcome)
		if r.Reason != "" {
			w += ":" + string(r.Reason)
		}
		words = append(words, w)
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// verify holds every row that sounded against the recording, frame by frame.
func (s *stage) verify() {
	s.t.Helper()
	files := map[string][]int16{}
	for _, r := range s.rows() {
		if r.Frames == 0 {
			continue
		}
		if files[r.Output] == nil {
			files[r.Output] = readWAV(s.t, s.wav(r.Output))
		}
		_, path, err := s.store.Clip(s.t.Context(), r.Clip)
		if err != nil {
			s.t.Fatal(err)
		}
		want := decoded(s.t, path)[r.FromFrame : r.FromFrame+r.Frames]
		got := files[r.Output][r.AtFrame : r.AtFrame+r.Frames]
		n := differ(want, got)
		// Fades, where it was cut or went on in its middle.
		if limit := 2000; n > limit || r.Outcome == asrun.Complete && r.FromFrame == 0 && n > 0 {
			s.t.Errorf("%s part %d: %d of %d frames differ from the recording", r.Airing, r.Part, n, r.Frames)
		}
	}
}

var clipsDecoded sync.Map // path's name, which tells the bytes -> frames

func decoded(t *testing.T, path string) []int16 {
	t.Helper()
	if all, ok := clipsDecoded.Load(filepath.Base(path)); ok {
		return all.([]int16)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := player.OpenClip(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []int16
	buf := make([]int16, 4096)
	for {
		n, err := d.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			clipsDecoded.Store(filepath.Base(path), all)
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// differ is how many of the frames do.
func differ(a, b []int16) (n int) {
	raw := func(s []int16) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 2*len(s)) }
	if bytes.Equal(raw(a), raw(b)) {
		return 0
	}
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func TestASequenceAirsOnEveryOutputOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east", "west")
		s.slot("each", "* * * * *")
		s.start()
		defer s.close()
		time.Sleep(4*time.Minute + 30*time.Second)
		s.stop()
		want := "each/east/clip1:complete each/east/clip1:complete each/east/clip2:complete each/east/clip3:complete " +
			"each/west/clip1:complete each/west/clip1:complete each/west/clip2:complete each/west/clip3:complete"
		if got := s.summary(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, r := range s.rows() {
			if late := r.Lateness(); late.Abs() > time.Millisecond {
				t.Errorf("%s on %s is %v late", r.Airing, r.Output, late)
			}
			if r.Frames != r.OfFrames || r.Cued.After(r.Due) || r.Seq == 0 {
				t.Errorf("%+v", r)
			}
		}
		s.verify()
	})
}

func TestSeveralClipsAnAiringAndAChime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("trio", "1 0 * * *", func(x *playlist.Slot) { x.Count, x.Chime = 4, true })
		s.start()
		defer s.close()
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "trio/east/clip1:complete trio/east/clip1:complete trio/east/clip2:complete trio/east/clip3:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		rows := s.rows()
		for i := 1; i < len(rows); i++ {
			gap := rows[i].AtFrame - rows[i-1].AtFrame - rows[i-1].Frames
			if gap != playlist.FramesIn(schedule.Gap) {
				t.Errorf("%d frames between clips %d and %d", gap, i, i+1)
			}
		}
		file := readWAV(t, s.wav("east"))
		chime := file[rows[0].AtFrame-playlist.FramesIn(schedule.ChimeLength) : rows[0].AtFrame]
		if steps(chime) == 0 {
			t.Error("no chime before the first clip")
		}
		s.verify()
	})
}

func TestOverlaps(t *testing.T) {
	higher := func(x *playlist.Slot) { x.Priority = 8 }
	two := func(x *playlist.Slot) { x.Count = 2 }
	long := func(x *playlist.Slot) { x.Count = 6 } // some 26 s
	short := func(x *playlist.Slot) { x.Window = 10 * time.Second }
	for _, c := range []struct {
		name string
		with func(*stage)
		want string
	}{
		{"the lower waits and is late", func(s *stage) {
			s.slot("low", "1 0 * * *")
			s.slot("high", "1 0 * * *", higher)
		}, "high/east/clip1:complete low/east/clip2:complete:late"},
		{"the lower waits in vain", func(s *stage) {
			s.slot("low", "1 0 * * *", short)
			s.slot("high", "1 0 * * *", higher, long)
		}, "high/east/clip1:complete high/east/clip1:complete high/east/clip2:complete high/east/clip2:complete " +
			"high/east/clip3:complete high/east/clip3:complete low/east/:missed:output_busy"},
		{"the higher preempts and the lower rejoins", func(s *stage) {
			s.slot("low", "1 0 * * *", two)
			s.slot("high", "5 1 0 * * *", higher)
		}, "high/east/clip3:complete low/east/clip1:complete low/east/clip2:complete low/east/clip2:preempted:preempted"},
		{"the higher preempts and the lower restarts", func(s *stage) {
			s.slot("low", "1 0 * * *", two, func(x *playlist.Slot) { x.After = playlist.AfterRestart })
			s.slot("high", "5 1 0 * * *", higher)
		}, "high/east/clip3:complete low/east/clip1:complete low/east/clip2:complete low/east/clip2:preempted:preempted"},
		{"the higher preempts and the lower drops", func(s *stage) {
			s.slot("low", "1 0 * * *", func(x *playlist.Slot) { x.After, x.Count = playlist.AfterDrop, 3 })
			s.slot("high", "5 1 0 * * *", higher)
		}, "high/east/clip3:complete low/east/:missed:preempted low/east/clip1:complete low/east/clip2:preempted:preempted"},
		{"the lower makes good what it could not air", func(s *stage) {
			s.slot("low", "1 0 * * *", short, func(x *playlist.Slot) { x.Missed, x.Until = playlist.MissedMakeGood, 60 })
			s.slot("high", "1 0 * * *", higher, long)
		}, "high/east/clip1:complete high/east/clip1:complete high/east/clip2:complete high/east/clip2:complete " +
			"high/east/clip3:complete high/east/clip3:complete low/east/clip1:complete:make_good"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				c.with(s)
				s.start()
				defer s.close()
				time.Sleep(3 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				s.verify()
			})
		})
	}
}

func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 4}}}
		s.slot("before", "58 1 0 * * *")
		s.slot("within", "3 0 * * *", func(x *playlist.Slot) { x.Missed = playlist.MissedMakeGood })
		s.slot("after", "4 0 * * *")
		s.start()
		defer s.close()
		time.Sleep(5 * time.Minute)
		s.stop()
		if got, want := s.summary(), "after/east/clip2:complete before/east/clip1:partial:quiet_hours within/east/:suppressed:quiet_hours"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for i, v := range readWAV(t, s.wav("east")) {
			if minute := i / playlist.Rate / 60; v != 0 && (minute == 2 || minute == 3) {
				t.Fatalf("sound in quiet hours, at second %d", i/playlist.Rate)
			}
		}
		s.verify()
	})
}

func TestAClipThatWouldRunIntoQuietHours(t *testing.T) {
	for _, c := range []struct {
		policy playlist.QuietPolicy
		want   string
	}{
		{playlist.QuietCut, "before/east/:suppressed:quiet_hours before/east/clip1:partial:quiet_hours"},
		{playlist.QuietSuppress, "before/east/:suppressed:quiet_hours before/east/:suppressed:quiet_hours"},
		{playlist.QuietShift, "before/east/clip1:complete:late before/east/clip2:complete"},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 4}}}
				s.slot("before", "58 1 0 * * *", func(x *playlist.Slot) { x.Count, x.IntoQuiet = 2, c.policy })
				s.start()
				defer s.close()
				time.Sleep(3 * time.Minute)
				// The policy outlasts a restart in the quiet hours.
				s.stop()
				s.start()
				time.Sleep(3 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				for i, v := range readWAV(t, s.wav("east")) {
					if minute := i / playlist.Rate / 60; v != 0 && (minute == 2 || minute == 3) {
						t.Fatalf("sound in quiet hours, at second %d", i/playlist.Rate)
					}
				}
				s.verify()
			})
		})
	}
}

// amp is an amplifier that notes when it was on.
type amp struct {
	mu    sync.Mutex
	users int
	on    []time.Time
	off   []time.Time
}

func (a *amp) On(ctx context.Context, by time.Time) error {
	const warm = 2 * time.Second
	select {
	case <-time.After(time.Until(by.Add(-warm))):
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users++; a.users == 1 {
		a.on = append(a.on, time.Now())
	}
	time.Sleep(warm)
	return nil
}

func (a *amp) Off() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users--; a.users == 0 {
		a.off = append(a.off, time.Now())
	}
}

func TestTheAmplifierIsOnAroundTheSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("once", "1 0 * * *")
		s.start()
		s.stop()
		a := &amp{}
		s.options.Amp, s.options.WarmUp = a, 2*time.Second
		s.start()
		defer s.close()
		time.Sleep(2 * time.Minute)
		s.stop()
		r := s.rows()[0]
		if len(a.on) != 1 || len(a.off) != 1 || !a.on[0].Equal(r.Due.Add(-2*time.Second)) || a.off[0].Before(r.Ended) {
			t.Errorf("on %v, off %v, sound from %v to %v", a.on, a.off, r.Started, r.Ended)
		}
		if r.Lateness().Abs() > time.Millisecond {
			t.Errorf("%v late", r.Lateness())
		}
	})
}

func TestTheAmplifierIsOffWhileAnAiringWaitsForTheEndOfQuietHours(t *testing.T) {
	for _, c := range []struct {
		name string
		due  string
		on   []time.Duration
	}{
		{"all of it", "58 1 0 * * *", []time.Duration{4*time.Minute - 2*time.Second}},
		{"what is left of it", "50 1 0 * * *", []time.Duration{108 * time.Second, 4*time.Minute - 2*time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 4}}}
				s.slot("before", c.due, func(x *playlist.Slot) { x.Count, x.IntoQuiet = 3, playlist.QuietShift })
				midnight, a := time.Now(), &amp{}
				s.options.Amp, s.options.WarmUp = a, 2*time.Second
				s.start()
				defer s.close()
				time.Sleep(5 * time.Minute)
				s.stop()
				var on []time.Duration
				for _, at := range a.on {
					on = append(on, at.Sub(midnight))
				}
				if !slices.Equal(on, c.on) || len(a.off) != len(c.on) {
					t.Errorf("on after %v, want %v; off at %v", on, c.on, a.off)
				}
				for i, off := range a.off[:len(a.off)-1] {
					if off.After(midnight.Add(2 * time.Minute)) {
						t.Errorf("switched off as late as %v, time %d", off, i+1)
					}
				}
				for _, r := range s.rows() {
					if r.Outcome != asrun.Complete {
						t.Errorf("%+v", r)
					}
				}
			})
		})
	}
}

func TestAClipThatWillNotAirIsToldOfAndTheNextIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		_, path, err := s.store.Clip(t.Context(), s.clips[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s.slot("each", "* * * * *")
		s.start()
		defer s.close()
		time.Sleep(59 * time.Second)
		s.mu.Lock()
		told := strings.Contains(s.log.String(), "clip unusable")
		s.mu.Unlock()
		if !told {
			t.Error("nothing was said before air time")
		}
		time.Sleep(110 * time.Second)
		s.stop()
		if got, want := s.summary(), "each/east/clip2:complete each/east/clip3:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestNothingToAirIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		for _, c := range s.clips {
			if err := s.store.RemoveClipFile(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
		s.slot("once", "1 0 * * *")
		s.start()
		defer s.close()
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "once/east/:failed:clip_unready"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestRestarts(t *testing.T) {
	late := func(x *playlist.Slot) { x.Missed, x.Until = playlist.MissedLate, 60 }
	makeGood := func(x *playlist.Slot) { x.Missed, x.Until = playlist.MissedMakeGood, 60 }
	for _, c := range []struct {
		name     string
		change   func(*playlist.Slot)
		off, on  time.Duration // the daemon is off from, until
		want     string
		contains string
	}{
		{"off over its time", func(*playlist.Slot) {}, 50 * time.Second, 5 * time.Minute, "once/east/:missed:off", ""},
		{"back within its window", func(*playlist.Slot) {}, 50 * time.Second, 90 * time.Second, "once/east/clip1:complete:late", ""},
		{"late is allowed", late, 50 * time.Second, 5 * time.Minute, "once/east/clip1:complete:late", ""},
		{"owed", makeGood, 50 * time.Second, 5 * time.Minute, "once/east/clip1:complete:make_good", ""},
		{"stopped while it sounds", func(*playlist.Slot) {}, 62 * time.Second, 70 * time.Second, "once/east/clip1:partial:stopped", ""},
		{"stopped while it sounds, and made good", makeGood, 62 * time.Second, 70 * time.Second, "once/east/clip1:complete:make_good once/east/clip1:partial:stopped", ""},
		{"stopped between claim and start", func(*playlist.Slot) {}, 59*time.Second + 500*time.Millisecond, 65 * time.Second, "once/east/clip1:complete:late once/east/clip1:missed:stopped", ""},
		{"stopped between cue and start", func(*playlist.Slot) {}, 58*time.Second + 500*time.Millisecond, 65 * time.Second, "once/east/clip1:complete:late", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.slot("once", "1 0 * * *", c.change)
				s.start()
				time.Sleep(c.off)
				s.stop()
				if err := s.store.Close(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.on - c.off)
				s.open()
				if _, err := s.store.CloseOpen(t.Context(), s.now(), asrun.ReasonPowerLost); err != nil {
					t.Fatal(err)
				}
				s.start()
				defer s.close()
				time.Sleep(3 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				s.verify()
			})
		})
	}
}

func TestClockSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration
		step time.Duration
		want string
	}{
		{"set forward over an airing", 90 * time.Second, time.Hour, "each/east/clip1:complete each/east/:missed:clock_step"},
		{"set back: nothing twice", 130 * time.Second, -time.Minute, "each/east/clip1:complete each/east/clip2:complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.slot("each", "1,2 0 * * *")
				s.start()
				defer s.close()
				time.Sleep(c.at)
				s.step(c.step)
				time.Sleep(2 * time.Minute)
				s.stop()
				want := strings.Fields(c.want)
				slices.Sort(want)
				if got := s.summary(); got != strings.Join(want, " ") {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
}

func TestAnUntrustedClockHoldsRoutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("each", "1,5 0 * * *")
		trusted := false
		s.options.Trust = func() playlist.ClockState {
			s.mu.Lock()
			defer s.mu.Unlock()
			if trusted {
				return playlist.ClockTrusted
			}
			return playlist.ClockUntrusted
		}
		s.start()
		defer s.close()
		time.Sleep(140 * time.Second)
		if rows := s.rows(); len(rows) > 0 {
			t.Errorf("aired by an untrusted clock: %+v", rows)
		}
		s.mu.Lock()
		trusted, s.wall = true, 50*time.Second
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "each/east/:missed:clock_untrusted each/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestReloadCutsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("old", "1 0 * * *")
		s.start()
		defer s.close()
		time.Sleep(61 * time.Second)
		next := *s.programme
		next.Slots = nil
		next.Outputs = []playlist.Output{{Name: "east", Device: "wav:" + s.wav("east2"), Residents: 7}}
		s.programme = &next
		s.slot("new", "2 0 * * *")
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "new/east/clip2:complete old/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		file := readWAV(t, s.wav("east2"))
		if r := s.rows()[1]; r.Residents != 7 || r.AtFrame+r.Frames > int64(len(file)) {
			t.Errorf("%+v in a file of %d frames", r, len(file))
		}
	})
}

func TestAPartThatIsOpenedAfterAReloadHasTheResidentsOfThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("low", "1 0 * * *")
		s.slot("high", "2 1 0 * * *", func(x *playlist.Slot) { x.Priority = 9 })
		s.start()
		defer s.close()
		time.Sleep(61 * time.Second)
		next := *s.programme
		next.Outputs = slices.Clone(next.Outputs)
		next.Outputs[0].Residents = 7
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.stop()
		var got []int
		for _, r := range s.rows() {
			if r.Slot == "low" {
				got = append(got, r.Residents)
			}
		}
		if !slices.Equal(got, []int{100, 7}) {
			t.Errorf("residents by part: %v", got)
		}
	})
}

func TestAReloadWhileAnAiringWaitsForTheEndOfQuietHours(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *stage, next *playlist.Programme)
		at     time.Duration // it sounds
		want   string
	}{
		{"another device", func(s *stage, next *playlist.Programme) {
			next.Outputs = []playlist.Output{{Name: "east", Device: "wav:" + s.wav("east2"), Residents: 7}}
		}, 4 * time.Minute, "before/east/clip1:complete:late"},
		{"quiet hours last longer", func(_ *stage, next *playlist.Programme) {
			next.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 6}}}
		}, 6 * time.Minute, "before/east/clip1:complete:late"},
		{"quiet hours last longer, and it may be cut there", func(_ *stage, next *playlist.Programme) {
			next.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 6}}}
			next.Slots[0].IntoQuiet = playlist.QuietCut
		}, 0, "before/east/:suppressed:quiet_hours"},
		{"its slot is gone", func(_ *stage, next *playlist.Programme) { next.Slots = nil }, 0, "before/east/:missed:no_slot"},
		{"its slot has left the output", func(_ *stage, next *playlist.Programme) { next.Slots[0].Outputs = nil }, 0, "before/east/:missed:no_slot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 4}}}
				s.slot("before", "58 1 0 * * *", func(x *playlist.Slot) { x.IntoQuiet = playlist.QuietShift })
				s.start()
				defer s.close()
				midnight := time.Now()
				time.Sleep(3 * time.Minute)
				next := *s.programme
				next.Slots = slices.Clone(next.Slots)
				c.change(s, &next)
				if err := s.player.Reload(t.Context(), &next); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				for _, r := range s.rows() {
					if at := r.Started.Sub(midnight); r.Frames > 0 && (at-c.at).Abs() > time.Millisecond {
						t.Errorf("it sounded after %v, want %v", at, c.at)
					}
				}
			})
		})
	}
}

func TestAReloadPutsADeviceRightThatAnAiringWaitsFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		reload time.Duration // after the due instant
		change func(*playlist.Slot)
		want   string
	}{
		{"within its window", 30 * time.Second, func(x *playlist.Slot) { x.Window = 2 * time.Minute }, "low/east/clip1:complete:late"},
		{"while it is owed", 3 * time.Minute, func(x *playlist.Slot) { x.Missed = playlist.MissedMakeGood }, "low/east/clip1:complete:make_good"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.programme.Outputs[0].Device = "wav:/proc/none.wav"
				s.slot("low", "1 0 * * *", c.change)
				s.start()
				defer s.close()
				time.Sleep(time.Minute + c.reload)
				next := *s.programme
				next.Outputs = []playlist.Output{{Name: "east", Device: "wav:" + s.wav("east"), Residents: 7}}
				if err := s.player.Reload(t.Context(), &next); err != nil {
					t.Fatal(err)
				}
				time.Sleep(4 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				s.verify()
			})
		})
	}
}

func TestAnUntrustedClockMovesNoWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("each", "1 0 * * *")
		was := s.now()
		if err := s.store.SetWatermark(t.Context(), was); err != nil {
			t.Fatal(err)
		}
		s.step(-29 * 365 * 24 * time.Hour)
		s.options.Trust = func() playlist.ClockState { return playlist.ClockUntrusted }
		s.start()
		time.Sleep(time.Minute)
		s.stop()
		if at, err := s.store.Watermark(t.Context()); err != nil || at.Before(was) {
			t.Errorf("watermark %v, was %v, %v", at, was, err)
		}
		// The power is cut before the time is known; at the next start it is at once.
		s.step(29 * 365 * 24 * time.Hour)
		s.options.Trust = nil
		s.start()
		defer s.close()
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "each/east/clip1:complete"; got != want {
			t.Errorf("got  %d rows %.300s\nwant %s", len(s.rows()), got, want)
		}
	})
}

func TestAStartInQuietHoursEatsNoLesson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 2, To: 4}}}
		s.slot("before", "58 1 0 * * *")
		s.slot("after", "5 0 * * *")
		s.start()
		time.Sleep(100 * time.Second)
		s.stop()
		time.Sleep(40 * time.Second) // 00:02:20, within the window
		s.start()
		defer s.close()
		time.Sleep(4 * time.Minute)
		s.stop()
		if got, want := s.summary(), "after/east/clip1:complete before/east/:missed:off"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, r := range s.rows() {
			if r.Slot == "before" && (r.Frames != 0 || !r.Started.IsZero()) {
				t.Errorf("%d frames in quiet hours: %+v", r.Frames, r)
			}
		}
	})
}

func TestAChimeDoesNotMakeItsLessonMissTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("high", "1 0 * * *", func(x *playlist.Slot) { x.Priority, x.Count = 8, 2 })
		s.slot("low", "1 0 * * *", func(x *playlist.Slot) { x.Chime = true; x.Window = 9 * time.Second })
		s.start()
		defer s.close()
		time.Sleep(3 * time.Minute)
		s.stop()
		t.Log(playlist.Length(s.clips[0].Frames), playlist.Length(s.clips[1].Frames))
		if got, want := s.summary(), "high/east/clip1:complete high/east/clip2:complete low/east/clip3:complete:late"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAChimeAndAShortWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("low", "1 0 * * *", func(x *playlist.Slot) { x.Chime = true; x.Window = time.Second })
		s.start()
		defer s.close()
		time.Sleep(3 * time.Minute)
		s.stop()
		if got, want := s.summary(), "low/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAReloadAsksWhatFallsDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("old", "1 0 * * *")
		s.options.WarmUp = 20 * time.Second
		s.start()
		defer s.close()
		time.Sleep(100 * time.Second)
		next := *s.programme
		next.Slots = nil
		s.programme = &next
		s.slot("new", "2 0 * * *")
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s.stop()
		if got, want := s.summary(), "new/east/clip2:complete old/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAStopNearTheEndOfAClipGivesItsReason(t *testing.T) {
	for _, end := range []time.Duration{200 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, "east")
			s.slot("trio", "1 0 * * *", func(x *playlist.Slot) { x.Count, x.Missed = 3, playlist.MissedMakeGood })
			s.start()
			defer s.close()
			time.Sleep(time.Minute + playlist.Length(s.clips[0].Frames) - end)
			s.stop()
			for _, r := range s.rows() {
				if r.Outcome == asrun.Missed && r.Reason != asrun.ReasonStopped {
					t.Errorf("item %d: %s for %q", r.Item, r.Outcome, r.Reason)
				}
			}
		})
	}
}

func TestAClockSetBackLeavesNobodyInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.step(58 * time.Minute)
		s.slot("first", "0 1 * * *")
		s.slot("second", "30 0 * * *", func(x *playlist.Slot) { x.Window = 10 * time.Second })
		s.start()
		defer s.close()
		time.Sleep(118 * time.Second) // 00:59:58, the first is in hand
		s.step(-time.Hour + 28*time.Minute)
		time.Sleep(5 * time.Minute)
		s.stop()
		if got, want := s.summary(), "second/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
