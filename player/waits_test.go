package player_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faiface/beep"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

func TestAShiftedAiringOfADaemonThatStartsInQuietHoursAirsAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 4, To: 30}}}
		s.slot("before", "3 0 * * *", func(x *playlist.Slot) { x.IntoQuiet = playlist.QuietShift })
		s.start()
		time.Sleep(2 * time.Minute)
		s.stop()
		time.Sleep(13 * time.Minute)
		s.start()
		defer s.close()
		time.Sleep(20 * time.Minute)
		s.stop()
		if got, want := s.summary(), "before/east/clip1:complete:late"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestHowAPlayerStandsIsKnownWhileADriverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs, letGo := make(chan struct{}), make(chan struct{})
		s := newStage(t, "east", "west")
		s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			d, err := devices.Open(ctx, o, devices.Options{})
			if err == nil && o.Name == "west" {
				d = frozen{d, hangs, letGo}
			}
			return d, err
		}
		s.slot("each", "* * * * *")
		s.start()
		defer s.close()
		time.Sleep(30 * time.Second)
		ch, _ := s.player.Channel("east")
		turn := ch.Join(playlist.RankTechnician, playlist.ByHand("root"))
		sound := player.NewSound(beep.Silence(60*playlist.Rate), 0, nil)
		defer sound.Close()
		turn.Play(player.Cue{Sound: sound})
		time.Sleep(time.Second)
		close(hangs)
		time.Sleep(time.Second)
		asked := time.Now()
		got := make(chan schedule.State, 1)
		go func() { got <- s.player.State(t.Context()) }()
		select {
		case state := <-got:
			if len(state.Held) != 1 || state.Held[0].Output != "east" {
				t.Errorf("held: %+v", state.Held)
			}
		case <-time.After(time.Minute):
			t.Error("it is not known")
		}
		if took := time.Since(asked); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		close(letGo)
		turn.End()
	})
}

func TestAnInterruptedClipGoesOnThoughTheClockIsSetBackMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
	}{{"back by half an hour", -30 * time.Minute}, {"back by a day", -24 * time.Hour}, {"forward by half an hour", 30 * time.Minute}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.slot("low", "1 1 * * *", func(x *playlist.Slot) { x.Count = 2 })
				s.step(time.Hour)
				s.start()
				defer s.close()
				time.Sleep(62 * time.Second)
				ch, _ := s.player.Channel("east")
				turn := ch.Join(playlist.RankTechnician, playlist.ByHand("root"))
				take := turn.Play(player.Cue{Sound: player.NewSound(beep.Silence(20*playlist.Rate), 0, nil)})
				time.Sleep(5 * time.Second)
				s.step(c.step)
				<-take.Done()
				turn.End()
				over := s.now()
				time.Sleep(20 * time.Second)
				s.stop()
				if got, want := s.summary(), "low/east/clip1:complete low/east/clip1:preempted:preempted low/east/clip2:complete"; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				for _, r := range s.rows() {
					if r.Part == 2 && r.Started.Sub(over).Abs() > time.Second {
						t.Errorf("it goes on %v after its output was free", r.Started.Sub(over))
					}
					// The log has the same seconds as the row, and says what goes on.
					for at, said := range map[time.Time]string{r.Started: "clip on air", r.Ended: "clip ended"} {
						line := regexp.MustCompile("time=" + at.Format("2006-01-02T15:04:05") + `[^ ]* level=\w+ msg="` + said + `".*`).FindString(s.log.String())
						if line == "" || strings.Contains(line, "from_frame=") != (r.Part == 2) {
							t.Errorf("%s of part %d at %v: %q", said, r.Part, at, line)
						}
					}
				}
			})
		})
	}
}

func TestTheClipsOfAnAiringFollowEachOtherWhateverTheClockDoes(t *testing.T) {
	for _, c := range []struct {
		name     string
		at, step time.Duration
	}{
		{"back, in the first clip", 61 * time.Second, -30 * time.Minute},
		{"back, as the next is in line", 63 * time.Second, -30 * time.Minute},
		{"forward, in the first clip", 61 * time.Second, 3 * time.Hour},
		{"forward, as the next is in line", 63 * time.Second, 3 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.slot("each", "1 1 * * *", func(x *playlist.Slot) { x.Count = 3 })
				s.step(time.Hour)
				s.start()
				defer s.close()
				time.Sleep(c.at)
				s.step(c.step)
				time.Sleep(30 * time.Second)
				s.stop()
				if got, want := s.summary(), "each/east/clip1:complete each/east/clip2:complete each/east/clip3:complete"; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				rows := s.rows()
				for i := 1; i < len(rows); i++ {
					if gap := rows[i].AtFrame - rows[i-1].AtFrame - rows[i-1].Frames; gap != playlist.FramesIn(schedule.Gap) {
						t.Errorf("%d frames between clips %d and %d", gap, i, i+1)
					}
				}
			})
		})
	}
}

func TestAWaitingAiringIsNotLostWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("waits", "1 1 * * *", func(x *playlist.Slot) { x.Window = time.Hour })
		s.step(time.Hour)
		s.start()
		defer s.close()
		time.Sleep(30 * time.Second)
		ch, _ := s.player.Channel("east")
		turn := ch.Join(playlist.RankTechnician, playlist.ByHand("root"))
		take := turn.Play(player.Cue{Sound: player.NewSound(beep.Silence(60*playlist.Rate), 0, nil)})
		time.Sleep(50 * time.Second)
		s.step(-30 * time.Minute)
		<-take.Done()
		turn.End()
		time.Sleep(time.Minute)
		for _, r := range s.rows() {
			t.Errorf("a row 28 minutes ahead of its time: %+v", r)
		}
		if plan := s.foresee(time.Hour); len(plan) != 1 || plan[0].Start.Sub(plan[0].Due).Abs() > time.Second {
			t.Errorf("planned: %+v", plan)
		}
		time.Sleep(29 * time.Minute)
		s.stop()
		if got, want := s.summary(), "waits/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// full is a disk on which no row can be closed.
type full struct {
	player.Ledger
	told atomic.Bool
}

func (f *full) End(ctx context.Context, k asrun.RowKey, e asrun.End) error {
	if f.told.Load() {
		return errors.New("disk full")
	}
	return f.Ledger.End(ctx, k, e)
}

func TestAnAiringWhoseRowsAreNotWrittenIsOverAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		f := &full{Ledger: s.store}
		s.ledger = f
		f.told.Store(true)
		s.slot("each", "1 0 * * *")
		s.start()
		defer s.close()
		time.Sleep(90 * time.Second)
		if state := s.player.State(t.Context()); len(state.Open) != 0 {
			t.Errorf("open: %+v", state.Open)
		}
		f.told.Store(false)
		time.Sleep(time.Minute)
		s.stop()
		if got, want := s.summary(), "each/east/clip1:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// unplugged is a device that can be pulled out: it tells no position then.
type unplugged struct{ flaky }

func (u unplugged) Position() (playlist.Position, error) {
	if u.broken.Load() {
		return playlist.Position{}, errUnplugged
	}
	return u.Device.Position()
}

func TestAnInterruptedClipGoesOnOnTheDeviceThatAReloadPutsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Bool
		s := newStage(t, "east")
		s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if o.Device != "null:" {
				return devices.Open(ctx, o, devices.Options{})
			}
			if told.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return unplugged{flaky{d, &told}}, err
		}
		good := *s.programme
		good.Outputs = []playlist.Output{{Name: "east", Device: "wav:" + s.wav("east")}}
		s.programme.Outputs[0].Device = "null:"
		s.slot("low", "1 0 * * *", func(x *playlist.Slot) { x.Count = 2 })
		s.slot("high", "2 1 0 * * *", func(x *playlist.Slot) { x.Count, x.Priority = 6, 9 }) // some 26 s
		s.start()
		defer s.close()
		time.Sleep(65 * time.Second)
		told.Store(true)
		time.Sleep(3 * time.Second)
		good.Slots = s.programme.Slots
		if err := s.player.Reload(t.Context(), &good); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.stop()
		for _, r := range s.rows() {
			if r.Slot == "low" && r.Reason == asrun.ReasonStopped {
				t.Errorf("item %d part %d: %s, %s", r.Item, r.Part, r.Outcome, r.Reason)
			}
		}
		if got := s.summary(); !strings.Contains(got, "low/east/clip1:complete") {
			t.Error(got)
		}
	})
}
