package player_test

import (
	"context"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// uneven is a ledger that takes its time, another for each output.
type uneven struct{ player.Ledger }

func (u uneven) wait(output string) {
	h := fnv.New32()
	_, _ = h.Write([]byte(output))
	time.Sleep(time.Duration(h.Sum32()%97) * time.Millisecond)
}

func (u uneven) Claim(ctx context.Context, c asrun.Claim) error {
	u.wait(c.Row.Output)
	return u.Ledger.Claim(ctx, c)
}

func (u uneven) End(ctx context.Context, k asrun.RowKey, e asrun.End) error {
	u.wait(k.Output)
	return u.Ledger.End(ctx, k, e)
}

// unlike makes the outputs differ in all that they may differ in: their devices
// open at different times, and so are fed at different times, the sound takes
// longer to one horn, and the disk keeps them waiting for differently long.
func (s *siren) unlike() {
	s.programme.Outputs[2].ExtraDelay = 150 * time.Millisecond
	s.ledger = uneven{s.store}
	s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
		time.Sleep(map[string]time.Duration{"east": 0, "west": 33 * time.Millisecond, "north": 101 * time.Millisecond}[o.Name])
		return devices.Open(ctx, o, devices.Options{})
	}
}

// away runs the player but for the time from off to on after the start.
func (s *siren) away(off, on time.Duration) {
	s.start()
	time.Sleep(off)
	s.stop()
	time.Sleep(on - off)
	s.start()
}

// inStep checks that all rows that are the same but for their output began at
// one instant, and that there are as many of them as outputs.
func (s *siren) inStep() (kinds int) {
	s.t.Helper()
	type kind struct {
		airing     playlist.AiringID
		item, part int
	}
	began := map[kind][]time.Time{}
	for _, r := range s.rows() {
		k := kind{r.Airing, r.Item, r.Part}
		began[k] = append(began[k], r.Started)
	}
	for k, at := range began {
		slices.SortFunc(at, time.Time.Compare)
		if apart := at[len(at)-1].Sub(at[0]); apart > 200*time.Microsecond || len(at) != len(s.programme.Outputs) {
			s.t.Errorf("%s item %d part %d: %d outputs began within %v", k.airing, k.item, k.part, len(at), apart)
		}
	}
	return len(began)
}

func TestOutputsBeginTogether(t *testing.T) {
	for _, c := range []struct {
		name  string
		does  func(s *siren)
		kinds int
	}{
		{"an airing whose instant passed before the start", func(s *siren) {
			s.slot("lesson", "1 0 * * *", func(x *playlist.Slot) { x.Count = 2 })
			s.away(50*time.Second, 80*time.Second)
			time.Sleep(30 * time.Second)
		}, 2},
		{"one with a chime", func(s *siren) {
			s.slot("lesson", "1 0 * * *", func(x *playlist.Slot) { x.Chime = true })
			s.away(50*time.Second, 80*time.Second)
			time.Sleep(30 * time.Second)
		}, 1},
		{"a lesson that an alert of three passes interrupts", func(s *siren) {
			s.slot("lesson", "1 0 * * *")
			s.programme.Alerts.Passes, s.programme.Alerts.Gap = 3, 5*time.Second
			s.here[0].Store(true)
			s.start()
			time.Sleep(62 * time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(time.Minute)
		}, 2 + 3*2},
		{"one that starts again after it", func(s *siren) {
			s.slot("lesson", "1 0 * * *", func(x *playlist.Slot) { x.After = playlist.AfterRestart })
			s.here[0].Store(true)
			s.start()
			time.Sleep(62*time.Second + 7*time.Millisecond)
			s.receive(alert("A", withClip))
			time.Sleep(time.Minute)
		}, 2 + 2},
		{"an airing that fell due while the alert sounded", func(s *siren) {
			s.slot("lesson", "1 0 * * *")
			s.here[0].Store(true)
			s.start()
			time.Sleep(59 * time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(time.Minute)
		}, 1 + 2},
		{"a lesson that an alert interrupts which is cancelled", func(s *siren) {
			s.slot("lesson", "1 0 * * *")
			s.here[0].Store(true)
			s.start()
			time.Sleep(62 * time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(9 * time.Second)
			s.receive(alert("B", func(r *emergency.Record) {
				r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"}
			}))
			time.Sleep(time.Minute)
		}, 2 + 2},
		{"an alert whose clip comes while its tone sounds", func(s *siren) {
			s.start()
			time.Sleep(time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(9*time.Second + 30*time.Millisecond)
			s.here[0].Store(true)
			time.Sleep(time.Minute)
		}, 2},
		{"an alert, the microphone, and the alert again", func(s *siren) {
			s.programme.Alerts.Passes = 2
			s.here[0].Store(true)
			s.start()
			time.Sleep(time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(3 * time.Second)
			s.speak(3 * time.Second)
			time.Sleep(time.Minute)
		}, 1 + 2 + 2},
		{"an alert whose passes leave room between them", func(s *siren) {
			s.slot("lesson", "1 0 * * *")
			s.programme.Alerts.Passes, s.programme.Alerts.Gap = 2, 20*time.Second
			s.here[0].Store(true)
			s.start()
			time.Sleep(62 * time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(time.Minute)
		}, 2 + 4},
		{"a lesson that another of a higher priority cuts off", func(s *siren) {
			s.slot("lesson", "1 0 * * *")
			s.slot("first", "1 0 * * *", func(x *playlist.Slot) { x.Priority = playlist.MaxPriority })
			s.start()
			time.Sleep(90 * time.Second)
		}, 2},
		{"an alert between whose passes the clock is set back", func(s *siren) {
			s.programme.Alerts.Passes = 2
			s.here[0].Store(true)
			s.start()
			time.Sleep(time.Second)
			s.receive(alert("A", withClip))
			time.Sleep(11 * time.Second)
			s.step(-time.Hour)
			time.Sleep(time.Minute)
		}, 4},
		{"an alert that was in force before the start", func(s *siren) {
			s.programme.Alerts.Passes = 2
			s.here[0].Store(true)
			s.start()
			s.receive(alert("A", withClip))
			time.Sleep(30 * time.Millisecond)
			s.stop()
			s.start()
			time.Sleep(time.Minute)
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east", "west", "north")
				s.unlike()
				c.does(s)
				s.stop()
				defer s.close()
				if got := s.inStep(); got != c.kinds {
					t.Errorf("%d rows an output, want %d", got, c.kinds)
				}
				if t.Failed() {
					for _, r := range s.rows() {
						t.Log(r.Started.Format("15:04:05.0000"), r.Output, r.Airing, r.Item, r.Part, r.Used, r.FromFrame, r.Frames, r.Outcome)
					}
				}
			})
		})
	}
}

// tardy is a ledger that takes seconds to open the row of a second clip.
type tardy struct{ player.Ledger }

func (d tardy) Claim(ctx context.Context, c asrun.Claim) error {
	if c.Row.Slot == "first" && c.Row.Item == 2 {
		time.Sleep(7 * time.Second)
	}
	return d.Ledger.Claim(ctx, c)
}

func TestNothingElseSoundsBetweenTheSoundsOfOne(t *testing.T) {
	lesson := func(s *siren) { s.slot("lesson", "1 0 * * *") }
	for _, c := range []struct {
		name string
		does func(s *siren)
		is   func(asrun.Row) bool // what sounds by turns with silence
		n    int                  // its rows
	}{
		{"an alert of three passes", func(s *siren) {
			lesson(s)
			s.programme.Alerts.Passes = 3
			s.here[0].Store(true)
			s.start()
			time.Sleep(62 * time.Second)
			s.receive(alert("A", withClip))
		}, func(r asrun.Row) bool { return r.Alert != "" }, 6},
		{"a drill of three passes", func(s *siren) {
			lesson(s)
			s.programme.Alerts.Passes, s.programme.Alerts.Drills = 3, true
			s.here[0].Store(true)
			s.words.Store(true)
			s.start()
			time.Sleep(62 * time.Second)
			s.receive(alert("A", withClip, func(r *emergency.Record) { r.Class = emergency.ClassDrillActual }))
		}, func(r asrun.Row) bool { return r.Alert != "" }, 9},
		{"an airing of two clips and a slow disk", func(s *siren) {
			s.slot("lesson", "1 0 * * *", func(x *playlist.Slot) { x.Count = 15 })
			s.slot("first", "2 0 * * *", func(x *playlist.Slot) { x.Priority, x.Count = playlist.MaxPriority, 2 })
			s.ledger = tardy{s.store}
			s.start()
		}, func(r asrun.Row) bool { return r.Slot == "first" }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				c.does(s)
				time.Sleep(3 * time.Minute)
				s.stop()
				defer s.close()
				heard := readWAV(t, s.wav("east"))
				var from, to int64
				n := 0
				for _, r := range s.rows() {
					switch {
					case c.is(r):
						if from == 0 || r.AtFrame < from {
							from = r.AtFrame
						}
						to = max(to, r.AtFrame+r.Frames)
						clear(heard[r.AtFrame : r.AtFrame+r.Frames])
						n++
					case r.Frames < playlist.Rate/2:
						t.Errorf("%s part %d: %d frames", r.Airing, r.Part, r.Frames)
					}
				}
				if n != c.n {
					t.Errorf("%d rows, want %d", n, c.n)
				}
				if i := slices.IndexFunc(heard[from:to], func(v int16) bool { return v != 0 }); i >= 0 {
					t.Errorf("something else sounds %v after it has begun", playlist.Length(int64(i)))
				}
			})
		})
	}
}

// hesitant is a device that a busy machine feeds late after it was flushed.
type hesitant struct {
	player.Device
	flushed *atomic.Bool
}

func (h hesitant) Flush() error {
	h.flushed.Store(true)
	return h.Device.Flush()
}

func (h hesitant) Write(b []int16) error {
	if h.flushed.Swap(false) {
		time.Sleep(7 * time.Millisecond)
	}
	return h.Device.Write(b)
}

// A sound that is handed in when the silence before it is on its way already is on
// time, and no frame of it is squeezed afterwards to be so.
func TestASoundThatIsHandedInLateIsOnTimeAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flushed atomic.Bool
		r := newRoom(t, func(ctx context.Context, o playlist.Output) (player.Device, error) {
			d, err := devices.Open(ctx, o, devices.Options{})
			return hesitant{d, &flushed}, err
		})
		time.Sleep(time.Second)
		_, sound := r.sound(3000, 10*playlist.Rate)
		defer sound.Close()
		turn := r.ch.Join(playlist.RankScheduled, "")
		at := time.Now().Add(30 * time.Millisecond)
		take := turn.Play(player.Cue{Sound: sound, At: at})
		<-take.Done()
		turn.End()
		r.stop()
		h := take.Heard()
		if late := h.Started.Sub(at); late.Abs() > 200*time.Microsecond {
			t.Errorf("%v late", late)
		}
		heard := r.heard()[h.AtFrame:]
		for i := range 10 * playlist.Rate {
			if want := int16(3000 + i%1000); heard[i] != want {
				t.Fatalf("frame %d of it is %d, want %d", i, heard[i], want)
			}
		}
	})
}
