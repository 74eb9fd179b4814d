package player_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faiface/beep"

	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// hush is the sound of a silent clip, without the work of decoding it.
func hush(path string, levelDB float64) (*player.Sound, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return player.NewSound(beep.Silence(int(info.Size()/frameBytes*1152)), levelDB, nil), nil
}

// list makes a playlist of silent clips, of so many seconds each.
func (s *stage) list(name string, seconds ...float64) {
	s.t.Helper()
	l := playlist.Playlist{Name: name, Order: playlist.Sequence}
	for i, sec := range seconds {
		b := silence(int(sec*playlist.Rate/1152), fmt.Sprint(name, i))
		l.Clips = append(l.Clips, s.clip(b, fmt.Sprint(name, i+1)).ID)
	}
	s.programme.Playlists = append(s.programme.Playlists, l)
}

// foresee plans what falls due up to that time from now, from the player's state.
func (s *stage) foresee(ahead time.Duration) []schedule.Planned {
	s.t.Helper()
	o := schedule.Outlook{
		Clip: func(id playlist.ClipID) (playlist.Clip, bool) {
			c, _, err := s.store.Clip(s.t.Context(), id)
			return c, err == nil
		},
		Cursors: map[string]playlist.Cursor{}, State: s.player.State(s.t.Context()),
	}
	for _, l := range s.programme.Playlists {
		c, err := s.store.Cursor(s.t.Context(), l.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		o.Cursors[l.Name] = c
	}
	return schedule.Plan(s.programme, s.now(), s.now().Add(ahead), o)
}

// course is what became, or is to become, of an airing on an output, in words: each part
// of a clip that sounds after an instant, and how it ends. Instants are in whole seconds.
type course struct {
	parts []schedule.Part
	fate  string
}

func (c course) String() string {
	var words []string
	for _, p := range c.parts {
		words = append(words, fmt.Sprintf("%d:%s+%.1f %s-%s", p.Item, p.Clip.Short(), p.From.Seconds(), p.Start.Format("04:05.0"), p.End.Format("04:05.0")))
	}
	return strings.Join(append(words, c.fate), " ")
}

// fate is an outcome as far as a plan can tell.
func fate(o asrun.Outcome, sounded bool) string {
	if sounded && o != asrun.Complete {
		return "broken off"
	}
	return string(o)
}

func foreseen(p schedule.Planned, after time.Time) course {
	c := course{fate: fate(p.Outcome, !p.Start.IsZero())}
	for _, part := range p.Parts {
		if part.End.After(after) {
			c.parts = append(c.parts, part)
		}
	}
	return c
}

// happened is what the rows say of an airing on an output.
func happened(rows []asrun.Row, slot playlist.Slot, after time.Time) course {
	var c course
	sounded, complete, last := false, 0, asrun.Outcome("")
	for _, r := range rows {
		sounded = sounded || r.Frames > 0
		if r.Outcome == asrun.Complete {
			complete++
		}
		last = r.Outcome
		if r.Frames > 0 && r.Ended.After(after) {
			c.parts = append(c.parts, schedule.Part{Item: r.Item, Clip: r.Clip, From: playlist.Length(r.FromFrame), Start: r.Started, End: r.Ended})
		}
	}
	if complete == slot.Count {
		last = asrun.Complete
	} else if last == asrun.Complete {
		last = asrun.Partial
	}
	c.fate = fate(last, sounded)
	slices.SortStableFunc(c.parts, func(a, b schedule.Part) int { return a.Start.Compare(b.Start) })
	return c
}

func alike(a, b course) bool {
	const tolerance = time.Second
	near := func(x, y time.Time) bool { return x.Sub(y).Abs() <= tolerance }
	return a.fate == b.fate && slices.EqualFunc(a.parts, b.parts, func(p, q schedule.Part) bool {
		return p.Item == q.Item && p.Clip == q.Clip && (p.From-q.From).Abs() <= tolerance && near(p.Start, q.Start) && near(p.End, q.End)
	})
}

// holds compares a plan made at an instant with what the rows say in the end.
func (s *stage) holds(plan []schedule.Planned, made, until time.Time) {
	s.t.Helper()
	type place struct {
		airing playlist.AiringID
		output string
	}
	rows := map[place][]asrun.Row{}
	for _, r := range s.rows() {
		rows[place{r.Airing, r.Output}] = append(rows[place{r.Airing, r.Output}], r)
	}
	for _, p := range plan {
		want, got := foreseen(p, made), happened(rows[place{p.ID, p.Output}], p.Slot, made)
		if !alike(want, got) {
			s.t.Errorf("plan of %s: %s on %s\n\tplanned  %v %v\n\thappened %v", made.Format("04:05"), p.ID, p.Output, want, p.Flags, got)
		}
		delete(rows, place{p.ID, p.Output})
	}
	for k, r := range rows {
		if !r[0].Due.After(until) && r[len(r)-1].Ended.After(made.Add(time.Second)) {
			s.t.Errorf("plan of %s does not have %s on %s: %v", made.Format("04:05"), k.airing, k.output, happened(r, playlist.Slot{}, made))
		}
	}
}

func TestThePlanIsWhatHappens(t *testing.T) {
	count := func(n int) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Count = n } }
	priority := func(n int) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Priority = n } }
	after := func(a playlist.AfterPolicy) func(*playlist.Slot) { return func(s *playlist.Slot) { s.After = a } }
	window := func(d time.Duration) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Window = d } }
	missed := func(m playlist.MissedPolicy, until playlist.TimeOfDay) func(*playlist.Slot) {
		return func(s *playlist.Slot) { s.Missed, s.Until = m, until }
	}
	on := func(outputs ...string) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Outputs = outputs } }
	list := func(name string) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Playlist = name } }
	quiet := func(q playlist.QuietPolicy) func(*playlist.Slot) {
		return func(s *playlist.Slot) { s.IntoQuiet = q }
	}
	chime := func(s *playlist.Slot) { s.Chime = true }
	const (
		late, good = playlist.MissedLate, playlist.MissedMakeGood
		shift, sup = playlist.QuietShift, playlist.QuietSuppress
	)
	span := func(from, to playlist.TimeOfDay) playlist.Quiet {
		return playlist.Quiet{Span: playlist.Span{From: from, To: to}}
	}

	for _, c := range []struct {
		name  string
		slots func(s *stage)
		quiet []playlist.Quiet
	}{
		{name: "equals queue, with gaps and chimes", slots: func(s *stage) {
			s.slot("one", "1 0 * * *", list("a"), count(2), on("east"), chime)
			s.slot("two", "1 0 * * *", list("b"), on("east"), window(10*time.Minute), chime)
			s.slot("three", "2 0 * * *", list("a"), on("east"), window(10*time.Minute))
		}},
		{name: "one comes a second before another ends, and as it ends", slots: func(s *stage) {
			s.slot("one", "1 0 * * *", list("b"), on("east"))
			s.slot("two", "59 1 0 * * *", list("b"), on("east"))
			s.slot("three", "0 2 0 * * *", list("a"), on("east"))
		}},
		{name: "a higher one two seconds after a lower, whose clip is not lost", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("a"), on("east"))
			s.slot("high", "2 1 0 * * *", list("a"), on("east"), priority(9))
		}},
		{name: "a higher one during the chime, after all of which the clip goes on", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("a"), on("east"), chime, window(5*time.Second))
			s.slot("high", "1 1 0 * * *", list("b"), on("east"), priority(9))
		}},
		{name: "a higher one in the gap between two clips", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("b"), on("east"), count(2))
			s.slot("high", "0 2 0 * * *", list("a"), on("east"), priority(9))
		}},
		{name: "a higher one in the last seconds of a clip that counts as heard", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("c"), on("east"), count(2))
			s.slot("high", "58 3 0 * * *", list("a"), on("east"), priority(9))
		}},
		{name: "two shared outputs take clips by priority", slots: func(s *stage) {
			s.slot("low", "1,5 0 * * *", list("a"), on("east"))
			s.slot("high", "1,5 0 * * *", list("a"), on("west"), priority(9))
		}},
		{name: "two shared outputs take clips in the file's order, and the clips behind them too", slots: func(s *stage) {
			s.slot("one", "1,9 0 * * *", list("d"), on("west"), count(3))
			s.slot("two", "1,9 0 * * *", list("d"), on("east"), count(3))
		}},
		{name: "what waited on two outputs takes clips by priority", slots: func(s *stage) {
			s.slot("hold", "1,5 0 * * *", list("b"), on("east", "west"), priority(9))
			s.slot("low", "1,5 0 * * *", list("a"), on("east"))
			s.slot("high", "1,5 0 * * *", list("a"), on("west"), priority(6))
		}},
		{name: "both outputs of an airing, one of them busy", slots: func(s *stage) {
			s.slot("hold", "30 0 0 * * *", list("b"), on("east"))
			s.slot("both", "1 0 * * *", list("a"), on("east", "west"), count(3))
		}},
		{name: "restarted, twice", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("b"), on("east"), after(playlist.AfterRestart), count(2))
			s.slot("high", "40 1 0 * * *", list("a"), on("east"), priority(9))
			s.slot("mid", "0 3 0 * * *", list("a"), on("east"), priority(7))
		}},
		{name: "dropped", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("a"), on("east"), after(playlist.AfterDrop), count(3))
			s.slot("high", "10 2 0 * * *", list("b"), on("east"), priority(9))
		}},
		{name: "three ranks, nested", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("b"), on("east"), count(2))
			s.slot("mid", "20 1 0 * * *", list("b"), on("east"), priority(7), count(2))
			s.slot("high", "40 1 0 * * *", list("a"), on("east"), priority(9), count(2))
			s.slot("equal", "50 1 0 * * *", list("a"), on("east"), window(30*time.Minute))
		}},
		{name: "missed, late and owed behind a long one", slots: func(s *stage) {
			s.slot("long", "1 0 * * *", list("c"), on("east"), count(2))
			s.slot("skip", "2 0 * * *", list("a"), on("east"))
			s.slot("late", "2 0 * * *", list("a"), on("east"), missed(late, 15))
			s.slot("owed", "2 0 * * *", list("a"), on("east"), missed(good, 20), priority(5))
			s.slot("low", "4 0 * * *", list("b"), on("east"), priority(1), window(30*time.Minute))
			s.slot("too-late", "2 0 * * *", list("a"), on("east"), missed(late, 5))
		}},
		{name: "a make-good gives way and goes on", slots: func(s *stage) {
			s.slot("long", "1 0 * * *", list("c"), on("east"), priority(9))
			s.slot("owed", "1 0 * * *", list("b"), on("east"), missed(good, 20), window(time.Minute))
			s.slot("low", "30 4 0 * * *", list("a"), on("east"), priority(1))
		}},
		{name: "cut by quiet hours, and what waits is missed", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("long", "2 0 * * *", list("c"), on("east"), count(2))
			s.slot("waits", "3 0 * * *", list("a"), on("east"), window(10*time.Minute))
			s.slot("in", "5 0 * * *", list("a"), on("east"))
			s.slot("after", "6 0 * * *", list("a"), on("east"))
		}},
		{name: "left out before quiet hours, with what follows", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("some", "2 0 * * *", list("b"), on("east"), count(3), quiet(sup))
			s.slot("none", "30 3 0 * * *", list("b"), on("west"), quiet(sup))
			s.slot("after", "7 0 * * *", list("b"), on("east"))
		}},
		{name: "shifted, the rest of it too", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("some", "2 0 * * *", list("b"), on("east"), count(3), quiet(shift))
			s.slot("all", "30 3 0 * * *", list("b"), on("west"), quiet(shift))
		}},
		{name: "shifted against one that is due as quiet hours end: the earlier due first", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("new", "6 0 * * *", list("b"), on("east"))
			s.slot("shifted", "30 3 0 * * *", list("b"), on("east"), quiet(shift))
		}},
		{name: "shifted against a higher one that is due as quiet hours end", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("new", "6 0 * * *", list("b"), on("east"), priority(9))
			s.slot("shifted", "30 3 0 * * *", list("b"), on("east"), quiet(shift))
		}},
		{name: "waits as quiet hours begin, and is shifted", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("long", "2 0 * * *", list("c"), on("east"))
			s.slot("waits", "30 3 0 * * *", list("a"), on("east"), quiet(shift))
		}},
		{name: "shifted to the first time that is long enough", quiet: []playlist.Quiet{span(4, 6), span(7, 8)}, slots: func(s *stage) {
			s.slot("long", "3 0 * * *", list("c"), on("east"), quiet(shift))
			s.slot("short", "30 3 0 * * *", list("b"), on("west"), quiet(shift))
		}},
		{name: "late and owed as quiet hours begin, with time after them, and without", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("long", "1 0 * * *", list("c"), on("east"), priority(9))
			s.slot("late", "2 0 * * *", list("a"), on("east"), missed(late, 10), window(time.Minute))
			s.slot("owed", "2 0 * * *", list("b"), on("east"), missed(good, 10), window(time.Minute))
			s.slot("not", "2 0 * * *", list("b"), on("east"), missed(good, 6), window(time.Minute))
		}},
		{name: "owed, and would run into quiet hours that it rather would not", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("long", "30 0 0 * * *", list("c"), on("east"), priority(9))
			s.slot("owed", "1 0 * * *", list("b"), on("east"), missed(good, 10), window(time.Minute), quiet(sup))
		}},
		{name: "interrupted, and what interrupts it sounds into quiet hours", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("cut", "2 0 * * *", list("b"), on("east"))
			s.slot("high", "30 2 0 * * *", list("c"), on("east", "west"), priority(9))
			s.slot("shifts", "2 0 * * *", list("b"), on("west"), quiet(shift))
		}},
		{name: "goes on just before quiet hours", quiet: []playlist.Quiet{span(4, 6)}, slots: func(s *stage) {
			s.slot("restarts", "2 0 * * *", list("b"), on("east"), after(playlist.AfterRestart), quiet(shift))
			s.slot("leaves", "2 0 * * *", list("b"), on("west"), after(playlist.AfterRestart), quiet(sup))
			s.slot("high", "20 2 0 * * *", list("a"), on("east", "west"), priority(9), count(2))
		}},
		{name: "the county's, which goes before all of the site's own", slots: func(s *stage) {
			s.slot("own", "1 0 * * *", list("b"), on("east"), count(2), priority(9))
			s.slot("county", "30 1 0 * * *", list("a"), on("east"), priority(1), func(x *playlist.Slot) { x.Above = true })
		}},
		{name: "more clips than the list has", slots: func(s *stage) {
			s.slot("many", "1 0 * * *", list("a"), on("east"), count(7))
			s.slot("then", "8 0 * * *", list("a"), on("west"))
		}},
		{name: "every minute on three priorities, all of one list", slots: func(s *stage) {
			s.slot("low", "*/3 * * * *", list("a"), on("east"), priority(1), count(2), missed(late, 0))
			s.slot("mid", "*/2 * * * *", list("a"), on("east", "west"), priority(5), window(20*time.Minute))
			s.slot("high", "30 */5 * * * *", list("a"), on("west"), priority(9))
		}},
		{name: "a higher one takes its clip before one goes on to its next that was interrupted", slots: func(s *stage) {
			s.slot("low", "1 0 * * *", list("b"), on("east"), count(3))
			s.slot("cut", "30 1 0 * * *", list("e"), on("east"), priority(9))
			s.slot("high", "20 2 0 * * *", list("b"), on("west"), priority(9))
		}},
		{name: "no list, and one that is empty", slots: func(s *stage) {
			s.slot("empty", "1 0 * * *", list("none"), on("east"), priority(9))
			s.slot("low", "50 0 0 * * *", list("b"), on("east"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east", "west")
				for i := range s.programme.Outputs {
					s.programme.Outputs[i].Device, s.programme.Outputs[i].CloseIdle = "null:", true // nothing is rendered while nothing airs
				}
				s.programme.Playlists = nil
				s.list("a", 20.016, 30, 45.6)
				s.list("b", 60, 60)
				s.list("c", 180)
				s.list("d", 40.8, 40.8, 40.8, 40.8)
				s.list("e", 20.304) // low goes on to its next clip 0.1 s after high takes its own
				s.list("none")
				s.programme.Quiet = c.quiet
				c.slots(s)
				s.options.Sound = hush
				s.start()
				defer s.close()
				const length = 14 * time.Minute
				type made struct {
					at   time.Time
					plan []schedule.Planned
				}
				var plans []made
				begun := time.Now()
				for _, at := range []time.Duration{10 * time.Second, 59500 * time.Millisecond, 61100 * time.Millisecond, 75 * time.Second, 99200 * time.Millisecond, 111 * time.Second, 155 * time.Second, 235 * time.Second, 242 * time.Second, 5 * time.Minute, 357500 * time.Millisecond, 365 * time.Second} {
					time.Sleep(time.Until(begun.Add(at)))
					plans = append(plans, made{s.now(), s.foresee(begun.Add(length - 8*time.Minute).Sub(s.now()))})
				}
				time.Sleep(time.Until(begun.Add(length)))
				s.stop()
				for _, m := range plans {
					s.holds(m.plan, m.at, begun.Add(length-8*time.Minute))
				}
			})
		})
	}
}

func TestAMakeGoodWhosePowerComesBackInQuietHoursAirsAfterThem(t *testing.T) {
	for _, c := range []struct {
		name  string
		off   [2]time.Duration
		until playlist.TimeOfDay
		want  string
		at    time.Duration
	}{
		{"missed while off", [2]time.Duration{50 * time.Second, 5 * time.Minute}, 10, "owed/east/clip1:complete:make_good", 6 * time.Minute},
		{"broken off", [2]time.Duration{62 * time.Second, 5 * time.Minute}, 10, "owed/east/clip1:complete:make_good owed/east/clip1:partial:stopped", 6 * time.Minute},
		{"too late then", [2]time.Duration{50 * time.Second, 5 * time.Minute}, 6, "owed/east/:missed:off", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 4, To: 6}}}
				s.slot("owed", "1 0 * * *", func(x *playlist.Slot) { x.Missed, x.Until = playlist.MissedMakeGood, c.until })
				begun := time.Now()
				s.start()
				time.Sleep(c.off[0])
				s.stop()
				time.Sleep(time.Until(begun.Add(c.off[1])))
				s.start()
				defer s.close()
				time.Sleep(5 * time.Minute)
				s.stop()
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				for _, r := range s.rows() {
					if at := r.Started.Sub(begun); r.Reason == asrun.ReasonMakeGood && (at-c.at).Abs() > time.Second {
						t.Errorf("it sounded after %v, want %v", at, c.at)
					}
				}
			})
		})
	}
}

func TestTheStateNamesASoundByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		ch, _ := s.player.Channel("east")
		turn := ch.Join(playlist.RankTechnician, playlist.ByHand("root"))
		take := turn.Play(player.Cue{Sound: player.NewSound(beep.Silence(playlist.Rate), 0, nil)})
		time.Sleep(100 * time.Millisecond)
		if state := s.player.State(t.Context()); len(state.Held) != 1 || state.Held[0].By != playlist.ByHand("root") {
			t.Errorf("held by %+v", state.Held)
		}
		<-take.Done()
		turn.End()
	})
}

func TestAMakeGoodWhoseDeviceComesBackInQuietHoursAirsAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.programme.Outputs[0].Device = "wav:/proc/none.wav"
		s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 4, To: 6}}}
		s.slot("owed", "1 0 * * *", func(x *playlist.Slot) { x.Missed, x.Until = playlist.MissedMakeGood, 10 })
		begun := time.Now()
		s.start()
		defer s.close()
		time.Sleep(5 * time.Minute)
		next := *s.programme
		next.Outputs = []playlist.Output{{Name: "east", Device: "wav:" + s.wav("east")}}
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		s.stop()
		if got, want := s.summary(), "owed/east/clip1:complete:make_good"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, r := range s.rows() {
			if at := r.Started.Sub(begun); (at - 6*time.Minute).Abs() > time.Second {
				t.Errorf("it sounded after %v", at)
			}
		}
		s.verify()
	})
}
