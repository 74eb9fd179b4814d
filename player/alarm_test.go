package player_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// siren is a stage with an alarm beside its player.
type siren struct {
	*stage
	alarm *player.Alarm
	here  [3]atomic.Bool // the alert's clip, its text spoken, a clip for its kind: clips 1, 2 and 3
	doubt atomic.Bool    // for a test's clock
	words atomic.Bool    // the words before a drill: clip 3
	keep  player.AlertKeeper
}

func (s *siren) Sound(_ context.Context, _ emergency.Record, as asrun.Used) (player.AlertSound, error) {
	i := map[asrun.Used]int{asrun.UsedClip: 0, asrun.UsedSpeech: 1, asrun.UsedGeneric: 2, asrun.UsedPreamble: 2}[as]
	if as == asrun.UsedPreamble && !s.words.Load() || as != asrun.UsedPreamble && !s.here[i].Load() {
		return player.AlertSound{}, errors.New("not here")
	}
	_, path, err := s.store.Clip(context.Background(), s.clips[i].ID)
	return player.AlertSound{Clip: s.clips[i], Path: path}, err
}

func newSiren(t *testing.T, outputs ...string) *siren {
	s := &siren{stage: newStage(t, outputs...)}
	s.programme.Alerts = playlist.AlertRules{Passes: 1, Unsigned: []playlist.AlertSource{playlist.AlertByHand}}
	return s
}

func (s *siren) start() {
	s.t.Helper()
	s.stage.start()
	if s.keep == nil {
		s.keep = s.store
	}
	s.alarm = player.NewAlarm(s.player, s.keep, s)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.alarm.Run(ctx) }()
	stop := s.stop
	s.stop = func() {
		if cancel != nil {
			cancel()
			cancel = nil
			if err := <-ended; err != nil {
				s.t.Errorf("alarm: %v", err)
			}
		}
		stop()
	}
}

func alert(id playlist.AlertID, change ...func(*emergency.Record)) emergency.Record {
	r := emergency.Record{Source: playlist.AlertByHand, Alert: emergency.Alert{
		ID: id, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Event: "flood",
		Areas: []playlist.Area{"320924000000"}, Texts: []emergency.Text{{Language: "zh-CN", Title: "汛情", Text: "请转移"}},
	}}
	for _, f := range change {
		f(&r)
	}
	return r
}

// withClip says that the alert's clip is to come.
func withClip(r *emergency.Record) { r.Audio = []emergency.Audio{{Name: "a.mp3"}} }

func level(l emergency.Level) func(*emergency.Record) {
	return func(r *emergency.Record) { r.Level = l }
}

func (s *siren) receive(r emergency.Record) emergency.Record {
	s.t.Helper()
	got, _, err := s.alarm.Receive(s.t.Context(), r, []byte("raw"))
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *siren) state(id playlist.AlertID) emergency.State {
	s.t.Helper()
	all, err := s.alarm.Records(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range all {
		if r.ID == id {
			return r.State
		}
	}
	return ""
}

// parts is what became of an alert on the outputs, one word a row.
func (s *siren) parts(id playlist.AlertID) string {
	s.t.Helper()
	var words []string
	for _, r := range s.rows() {
		if r.Alert == id {
			w := r.Output + "/" + string(r.Used) + ":" + string(r.Outcome)
			if r.Reason != "" {
				w += ":" + string(r.Reason)
			}
			words = append(words, w)
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// heardSo holds every row of an alert against the recording: clips sample by
// sample, the tone by its three notes.
func (s *siren) heardSo() {
	s.t.Helper()
	for _, r := range s.rows() {
		if r.Alert == "" || r.Frames == 0 {
			continue
		}
		got := readWAV(s.t, s.wav(r.Output))[r.AtFrame : r.AtFrame+r.Frames]
		if r.Used == asrun.UsedTone {
			for i, hz := range []float64{650, 820, 1040} {
				from := i * playlist.Rate * 3 / 10
				if p := power(got[from:from+playlist.Rate/4], hz); p < 0.05 {
					s.t.Errorf("%s item %d: note of %.0f Hz has power %.3f", r.Airing, r.Item, hz, p)
				}
			}
			continue
		}
		_, path, err := s.store.Clip(s.t.Context(), r.Clip)
		if err != nil {
			s.t.Fatal(err)
		}
		want := decoded(s.t, path)[:r.Frames]
		if n := differ(want, got); r.Outcome == asrun.Complete && n > 0 || n > 2000 {
			s.t.Errorf("%s %s: %d of %d frames differ from the recording", r.Airing, r.Used, n, r.Frames)
		}
	}
}

// power is a sine's part of the frames' power, by Goertzel's algorithm: 0.5
// for a full-scale sine of that frequency.
func power(frames []int16, hz float64) float64 {
	w := 2 * math.Cos(2*math.Pi*hz/playlist.Rate)
	var a, b float64
	for _, f := range frames {
		a, b = float64(f)/32768+w*a-b, a
	}
	n := float64(len(frames))
	return 2 * (a*a + b*b - w*a*b) / (n * n)
}

func TestAnAlertCutsInWithTheToneAndTheLessonRejoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.slot("lesson", "1 0 * * *")
		s.here[0].Store(true)
		s.start()
		defer s.close()
		time.Sleep(62 * time.Second)
		began := s.now()
		s.receive(alert("A", withClip))
		if got := s.state("A"); got != emergency.StateWaiting && got != emergency.StateAiring {
			t.Errorf("state %s", got)
		}
		time.Sleep(2 * time.Minute)
		if got := s.state("A"); got != emergency.StateDone {
			t.Errorf("state %s", got)
		}
		s.stop()
		if got := s.parts("A"); got != "east/clip:complete east/tone:complete" {
			t.Error(got)
		}
		var tone, clip, before, after asrun.Row
		for _, r := range s.rows() {
			switch {
			case r.Used == asrun.UsedTone:
				tone = r
			case r.Used == asrun.UsedClip:
				clip = r
			case r.Part == 1:
				before = r
			default:
				after = r
			}
		}
		if late := tone.Started.Sub(began); late < 0 || late > 20*time.Millisecond {
			t.Errorf("the tone sounds %v after the order", late)
		}
		if before.Outcome != asrun.Preempted || after.Outcome != asrun.Complete || after.FromFrame != before.Frames {
			t.Errorf("lesson: %+v then %+v", before, after)
		}
		if gap := clip.Started.Sub(tone.Ended); gap < 200*time.Millisecond || gap > 300*time.Millisecond {
			t.Errorf("%v between tone and clip", gap)
		}
		if length := tone.Ended.Sub(tone.Started); length < 4*time.Second || length > 6*time.Second {
			t.Errorf("the tone lasts %v", length)
		}
		s.heardSo()
	})
}

func TestTheToneSoundsUntilThereIsSomethingToHear(t *testing.T) {
	for _, c := range []struct {
		name    string
		here    []int         // from the start
		clip    time.Duration // the alert's clip comes after; 0: never
		expects bool          // the alert says that it has a clip
		used    asrun.Used
		tone    [2]time.Duration
		state   emergency.State
	}{
		{"the clip comes while it sounds", []int{1}, 9 * time.Second, true, asrun.UsedClip, [2]time.Duration{9 * time.Second, 12 * time.Second}, emergency.StateDone},
		{"the clip never comes, the text is spoken", []int{1, 2}, 0, true, asrun.UsedSpeech, [2]time.Duration{19 * time.Second, 21 * time.Second}, emergency.StateDone},
		{"no clip is to come, the text is spoken at once", []int{1}, 0, false, asrun.UsedSpeech, [2]time.Duration{4 * time.Second, 6 * time.Second}, emergency.StateDone},
		{"nobody can speak, a clip for the event", []int{2}, 0, true, asrun.UsedGeneric, [2]time.Duration{19 * time.Second, 21 * time.Second}, emergency.StateDone},
		{"there is nothing but the tone", nil, 0, true, asrun.UsedTone, [2]time.Duration{19 * time.Second, 21 * time.Second}, emergency.StatePartial},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				for _, i := range c.here {
					s.here[i].Store(true)
				}
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				a := alert("A", func(r *emergency.Record) {
					if c.expects {
						withClip(r)
					}
					r.NotAfter = s.now().Add(90 * time.Second)
				})
				s.receive(a)
				if c.clip > 0 {
					time.Sleep(c.clip)
					s.here[0].Store(true)
				}
				time.Sleep(2 * time.Minute)
				if got := s.state("A"); got != c.state {
					t.Errorf("state %s, want %s", got, c.state)
				}
				s.stop()
				var used []asrun.Used
				for _, r := range s.rows() {
					if length := r.Ended.Sub(r.Started); r.Used == asrun.UsedTone && (length < c.tone[0] || length > c.tone[1]) {
						t.Errorf("the tone lasts %v", length)
					}
					used = append(used, r.Used)
				}
				if !slices.Contains(used, c.used) || c.used != asrun.UsedTone && len(used) != 2 || c.used == asrun.UsedTone && len(used) < 3 {
					t.Errorf("heard %v", used)
				}
				s.heardSo()
			})
		})
	}
}

// An alert that has nothing to say sounds its tone as often as it is to sound, and lets
// another of its level go first.
func TestAnAlertThatHasNothingToSayEndsWithItsPasses(t *testing.T) {
	for _, words := range []string{"", "！！！"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSiren(t, "east")
			s.here[1].Store(true) // text can be spoken
			s.start()
			defer s.close()
			time.Sleep(time.Second)
			s.receive(alert("A", func(r *emergency.Record) {
				r.Texts, r.Passes, r.NotAfter = []emergency.Text{{Text: words}}, 4, s.now().Add(time.Hour)
			}))
			time.Sleep(7 * time.Second)
			s.receive(alert("B", func(r *emergency.Record) { r.Passes, r.NotAfter = 1, s.now().Add(time.Hour) }))
			time.Sleep(2 * time.Minute)
			if a, b := s.state("A"), s.state("B"); a != emergency.StatePartial || b != emergency.StateDone {
				t.Errorf("%q: A is %s, B is %s", words, a, b)
			}
			s.stop()
			var tones []time.Time
			var other time.Time
			for _, r := range s.rows() {
				switch {
				case r.Alert == "A" && r.Used == asrun.UsedTone:
					tones = append(tones, r.Started)
				case r.Alert == "B" && r.Used == asrun.UsedSpeech:
					other = r.Started
				}
			}
			slices.SortFunc(tones, time.Time.Compare)
			if len(tones) != 4 || other.Before(tones[0]) || other.After(tones[1]) {
				t.Errorf("%q: tones at %v, the other alert at %v", words, tones, other)
			}
			s.heardSo()
		})
	}
}

// What is to follow the tone may take its time: the log, the screen and the ledger
// know of the tone meanwhile.
func TestTheToneIsToldOfWhileItSounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip))
		time.Sleep(time.Second)
		s.mu.Lock()
		log := s.log.String()
		s.mu.Unlock()
		if !strings.Contains(log, "alert on air") {
			t.Error("the log does not tell that it is on air")
		}
		time.Sleep(6 * time.Second)
		if rows := s.rows(); len(rows) != 1 || rows[0].Started.IsZero() || rows[0].Frames < playlist.Rate {
			t.Errorf("%+v", rows)
		}
		s.stop()
	})
}

func TestACancelStopsTheSoundAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.programme.Alerts.Passes = 5
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip))
		time.Sleep(6 * time.Second)
		at := s.now()
		s.receive(alert("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"} }))
		time.Sleep(10 * time.Second)
		if a, c := s.state("A"), s.state("C"); a != emergency.StateCancelled || c != emergency.StateLogged {
			t.Errorf("states %s, %s", a, c)
		}
		s.stop()
		if got := s.parts("A"); got != "east/clip:partial:cancelled east/tone:complete" {
			t.Error(got)
		}
		for _, r := range s.rows() {
			if late := r.Ended.Sub(at); late > 50*time.Millisecond {
				t.Errorf("%s sounds on for %v", r.Used, late)
			}
		}
		s.heardSo()
		log := s.log.String()
		for said, times := range map[string]int{`msg="alert received" alert=A`: 1, `msg="alert cancelled" alert=A`: 1, `msg="message about alerts received" alert=C`: 1} {
			if n := strings.Count(log, said); n != times {
				t.Errorf("the log says %d times %s", n, said)
			}
		}
	})
}

func TestTheHigherAlertCutsInAndTheEqualOneQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("orange", withClip, level(emergency.Orange)))
		time.Sleep(8 * time.Second)
		s.receive(alert("red", withClip))
		s.receive(alert("red2", withClip))
		time.Sleep(5 * time.Minute)
		s.stop()
		if got := s.parts("red") + " " + s.parts("red2"); got != "east/clip:complete east/tone:complete east/clip:complete east/tone:complete" {
			t.Error(got)
		}
		if got := s.parts("orange"); got != "east/clip:complete east/clip:preempted:preempted east/tone:complete east/tone:complete" {
			t.Error(got)
		}
		rows := s.rows()
		slices.SortFunc(rows, func(a, b asrun.Row) int { return a.Started.Compare(b.Started) })
		order := ""
		for i, r := range rows {
			if i > 0 && rows[i-1].Ended.After(r.Started.Add(time.Millisecond)) {
				t.Errorf("%s and %s overlap", rows[i-1].Alert, r.Alert)
			}
			order += string(r.Alert) + " "
		}
		if order != "orange orange red red red2 red2 orange orange " {
			t.Error(order)
		}
		s.heardSo()
	})
}

func TestAnUpdateTakesThePlaceOfWhatItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip))
		time.Sleep(7 * time.Second)
		s.receive(alert("B", withClip, level(emergency.Blue), func(r *emergency.Record) {
			r.Kind, r.Refs = emergency.KindUpdate, []playlist.AlertID{"A"}
		}))
		time.Sleep(2 * time.Minute)
		if a, b := s.state("A"), s.state("B"); a != emergency.StateCancelled || b != emergency.StateDone {
			t.Errorf("states %s, %s", a, b)
		}
		s.stop()
		for _, r := range s.rows() {
			if r.Alert == "B" && r.Rank != playlist.RankEmergency1 {
				t.Errorf("rank %d is not inherited", r.Rank)
			}
		}
	})
}

func TestARestartGoesOnWithWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.programme.Alerts.Passes = 3
		s.start()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip))
		s.receive(alert("short", withClip, level(emergency.Blue), func(r *emergency.Record) { r.NotAfter = s.now().Add(3 * time.Minute) }))
		s.receive(alert("gone", withClip, level(emergency.Blue)))
		s.receive(alert("C", func(r *emergency.Record) {
			r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"gone", "not yet come"}
		}))
		time.Sleep(20 * time.Second) // the first pass is over, the second under way
		s.stop()
		if _, err := s.store.CloseOpen(t.Context(), s.now(), asrun.ReasonPowerLost); err != nil {
			t.Fatal(err)
		}
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute) // off; "short" has expired meanwhile
		s.open()
		s.keep = s.store
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		if r := s.receive(alert("not yet come", withClip)); r.State != emergency.StateCancelled {
			t.Errorf("a cancel that came first is forgotten: %s", r.State)
		}
		time.Sleep(4 * time.Minute)
		for id, want := range map[playlist.AlertID]emergency.State{
			"A": emergency.StateDone, "short": emergency.StateFailed, "gone": emergency.StateCancelled,
		} {
			if got := s.state(id); got != want {
				t.Errorf("%s is %s, want %s", id, got, want)
			}
		}
		whole := 0
		for _, r := range s.rows() {
			if r.Alert == "A" && r.Used == asrun.UsedClip && r.Outcome == asrun.Complete {
				whole++
			}
			if (r.Alert == "short" || r.Alert == "gone") && r.Frames > 0 { // one may have had the output for no time
				t.Errorf("%s sounded: %+v", r.Alert, r)
			}
		}
		if whole != 3 {
			t.Errorf("%d whole passes, 3 wanted", whole)
		}
		s.stop()
	})
}

func TestABetterProvenCopyIsHeardInPlaceOfAForgedOne(t *testing.T) {
	signed := func(r *emergency.Record) {
		r.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "met"}
	}
	forged := func(r *emergency.Record) {
		r.Texts = []emergency.Text{{Language: "zh-CN", Title: "平安无事", Text: "请回家"}}
	}
	for _, c := range []struct {
		name   string
		first  func(*emergency.Record)
		after  time.Duration // the first came
		parts  string
		reboot bool
	}{
		{"while the forged one sounds", forged, 6 * time.Second,
			"east/clip:complete east/clip:partial:cancelled east/tone:complete east/tone:complete", false},
		{"once the forged one was heard", forged, time.Minute,
			"east/clip:complete east/clip:complete east/tone:complete east/tone:complete", false},
		{"once the forged one was heard, and the power fails", forged, time.Minute,
			"east/clip:complete east/clip:complete east/clip:missed:stopped east/tone:complete east/tone:complete east/tone:partial:stopped", true},
		{"while one that says the same sounds", func(*emergency.Record) {}, 6 * time.Second, "east/clip:complete east/tone:complete", false},
		{"once one that says the same was heard", func(*emergency.Record) {}, time.Minute, "east/clip:complete east/tone:complete", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				s.here[0].Store(true)
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				s.receive(alert("A", withClip, c.first))
				time.Sleep(c.after)
				s.receive(alert("A", withClip, signed))
				if c.reboot {
					time.Sleep(2 * time.Second) // its tone sounds
					s.stop()
					if err := s.store.Close(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					s.open()
					s.keep = s.store
					s.start()
				}
				time.Sleep(2 * time.Minute)
				if got := s.state("A"); got != emergency.StateDone {
					t.Errorf("state %s", got)
				}
				s.stop()
				if got := s.parts("A"); got != c.parts {
					t.Errorf("heard %s\n want %s", got, c.parts)
				}
				last := asrun.Row{}
				for _, r := range s.rows() {
					if r.Used == asrun.UsedTone && r.Item >= last.Item {
						last = r
					}
				}
				if last.Title != "汛情" {
					t.Errorf("the last pass says %q", last.Title)
				}
				s.heardSo()
			})
		})
	}
}

// An alert that comes late sounds its passes once, and a power cut in between
// neither ends nor prolongs its life.
func TestALateAlertSoundsItsPassesOnceThoughThePowerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.programme.Alerts.Passes = 2
		s.start()
		time.Sleep(time.Second)
		sent := func(before time.Duration) func(*emergency.Record) {
			return func(r *emergency.Record) { r.Sent, r.NotBefore = s.now().Add(-before), s.now().Add(-before) }
		}
		if r := s.receive(alert("old", withClip, sent(5*365*24*time.Hour))); r.State != emergency.StateRefused || r.Reason != emergency.ReasonExpired {
			t.Errorf("one of five years ago is %s (%s)", r.State, r.Reason)
		}
		late := s.receive(alert("late", withClip, sent(6*time.Hour)))
		if !late.Late || late.State != emergency.StateWaiting {
			t.Errorf("late %v, %s (%s)", late.Late, late.State, late.Reason)
		}
		time.Sleep(15 * time.Second) // the second pass is under way
		s.stop()
		if _, err := s.store.CloseOpen(t.Context(), s.now(), asrun.ReasonPowerLost); err != nil {
			t.Fatal(err)
		}
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		s.open()
		s.keep = s.store
		s.start()
		defer s.close()
		time.Sleep(2 * time.Minute)
		all, err := s.alarm.Records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.ID == "late" && (r.State != emergency.StateDone || !r.Late || !r.Expires(playlist.AlertRules{}).Equal(late.Until)) {
				t.Errorf("%s, late %v, until %v; want it done, late, until %v", r.State, r.Late, r.Until, late.Until)
			}
		}
		if r := s.receive(alert("late", withClip, sent(7*time.Hour))); r.State != emergency.StateDone {
			t.Errorf("a copy is %s", r.State)
		}
		time.Sleep(time.Minute)
		s.stop()
		whole := 0
		for _, r := range s.rows() {
			if r.Used == asrun.UsedClip && r.Outcome == asrun.Complete {
				whole++
			}
		}
		if whole != 2 || s.parts("old") != "" {
			t.Errorf("%d whole passes, 2 wanted; of the old one %q", whole, s.parts("old"))
		}
	})
}

func TestEmergenciesIgnoreQuietHoursAndCeilingsAndDrillsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.words.Store(true)
		s.programme.Quiet = []playlist.Quiet{{Span: playlist.Span{From: 0, To: 5}}} // to 00:05
		s.programme.Site.CeilingDB = -20
		s.programme.Alerts.Drills = true
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("drill", withClip, func(r *emergency.Record) { r.Class = emergency.ClassDrillActual }))
		s.receive(alert("A", withClip))
		time.Sleep(8 * time.Minute)
		s.stop()
		if got := s.parts("drill"); got != "east/clip:complete east/preamble:complete east/tone:complete" {
			t.Error(got)
		}
		quietEnds := time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC)
		for _, r := range s.rows() {
			if want := map[playlist.AlertID]float64{"A": 0, "drill": -20}[r.Alert]; r.LevelDB != want {
				t.Errorf("%s %s at %v dB, want %v", r.Alert, r.Used, r.LevelDB, want)
			}
			if r.Alert == "drill" && r.Started.Before(quietEnds) || r.Alert == "A" && !r.Started.Before(quietEnds) {
				t.Errorf("%s %s at %v", r.Alert, r.Used, r.Started)
			}
		}
	})
}

func TestADrillWithoutItsWordIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.programme.Alerts.Drills = true
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("drill", withClip, func(r *emergency.Record) {
			r.Class, r.NotAfter = emergency.ClassDrillSimulated, s.now().Add(20*time.Second)
		}))
		time.Sleep(time.Minute)
		if got := s.state("drill"); got != emergency.StateFailed {
			t.Errorf("state %s", got)
		}
		s.stop()
		if got := s.parts("drill"); got != "east/preamble:failed:clip_unready" {
			t.Error(got)
		}
		for _, v := range readWAV(t, s.wav("east")) {
			if v != 0 {
				t.Fatal("something is heard")
			}
		}
	})
}

func TestADamagedClipIsToldOfAndTheNextBestHeard(t *testing.T) {
	for _, c := range []struct {
		name    string
		here    []int
		damaged []int
		used    asrun.Used
	}{
		{"the text is spoken", []int{0, 1, 2}, []int{0}, asrun.UsedSpeech},
		{"nobody can speak, a clip for the event", []int{0, 2}, []int{0}, asrun.UsedGeneric},
		{"the speech is damaged too", []int{0, 1, 2}, []int{0, 1}, asrun.UsedGeneric},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				for _, i := range c.here {
					s.here[i].Store(true)
				}
				for _, i := range c.damaged {
					s.damage(i)
				}
				told := make(chan playlist.ClipID, 10)
				s.options.Unfit = func(id playlist.ClipID) { told <- id }
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				s.receive(alert("A", withClip))
				time.Sleep(time.Minute)
				if got := s.state("A"); got != emergency.StateDone {
					t.Errorf("state %s", got)
				}
				s.stop()
				if got, want := s.parts("A"), "east/"+string(c.used)+":complete east/tone:complete"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
				for _, r := range s.rows() {
					if length := r.Ended.Sub(r.Started); r.Used == asrun.UsedTone && length > 6*time.Second {
						t.Errorf("the tone lasts %v", length)
					}
				}
				for _, i := range c.damaged {
					if len(told) == 0 || <-told != s.clips[i].ID {
						t.Errorf("clip %d is not told of", i+1)
					}
				}
				s.heardSo()
			})
		})
	}
}

// damage changes a byte in the middle of a clip's file.
func (s *siren) damage(clip int) {
	s.t.Helper()
	b, err := os.ReadFile(s.path(clip))
	if err != nil {
		s.t.Fatal(err)
	}
	b[len(b)/2]++
	if err := errors.Join(os.Chmod(s.path(clip), 0o600), os.WriteFile(s.path(clip), b, 0o600)); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnAlertWaitsForItsTime(t *testing.T) {
	for _, c := range []struct {
		name   string
		early  time.Duration
		sent   time.Duration // after it came, says the sender's clock
		change func(*siren)
		from   time.Duration // when it sounds, after it came; 0: never
		lesson string        // what becomes of what airs meanwhile
	}{
		{"by four minutes", 4 * time.Minute, 0, nil, 4 * time.Minute, "complete"},
		{"by half a minute: its sender's clock may be ahead", 30 * time.Second, 0, nil, time.Millisecond, "preempted"},
		{"but not for when it was sent, whatever the sender's clock", 4 * time.Minute, 4 * time.Minute, nil, time.Millisecond, "preempted"},
		{"and is cancelled meanwhile", 4 * time.Minute, 0, func(s *siren) {
			s.receive(alert("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"} }))
		}, 0, "complete"},
		{"until the clock is not trusted any more", 4 * time.Minute, 0, func(s *siren) { s.doubt.Store(true) }, 2 * time.Minute, "complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				s.slot("lesson", "1 0 * * *")
				s.here[0].Store(true)
				s.programme.Alerts.Life = 3 * time.Minute // from when it may sound
				s.options.Trust = func() playlist.ClockState {
					if s.doubt.Load() {
						return playlist.ClockUntrusted
					}
					return playlist.ClockTrusted
				}
				s.start()
				defer s.close()
				time.Sleep(62 * time.Second)
				came := s.now()
				s.receive(alert("A", withClip, func(r *emergency.Record) { r.Sent, r.NotBefore = came.Add(c.sent), came.Add(c.early) }))
				time.Sleep(2 * time.Minute)
				if got := s.state("A"); c.from > 2*time.Minute && got != emergency.StateWaiting {
					t.Errorf("state %s", got)
				}
				if c.change != nil {
					c.change(s)
				}
				time.Sleep(4 * time.Minute)
				s.stop()
				first := map[playlist.AlertID]asrun.Row{}
				for _, r := range s.rows() {
					if _, ok := first[r.Alert]; !ok || r.Started.Before(first[r.Alert].Started) {
						first[r.Alert] = r
					}
				}
				if got := string(first[""].Outcome); got != c.lesson {
					t.Errorf("the lesson is %s, want %s", got, c.lesson)
				}
				row, sounded := first["A"]
				if sounded != (c.from > 0) {
					t.Fatalf("it sounded: %v", sounded)
				}
				if after := row.Started.Sub(came); sounded && (after < c.from || after > c.from+2*time.Second) {
					t.Errorf("it sounds after %v, want %v", after, c.from)
				}
			})
		})
	}
}

func TestAReloadTakesAnAlertToTheOutputsThereAre(t *testing.T) {
	for _, c := range []struct {
		name    string
		outputs []string // after the reload, of which there were east and west
		want    string
		state   emergency.State
	}{
		{"one is gone", []string{"west"}, "east/clip:complete east/tone:complete west/clip:complete west/clip:complete west/tone:complete west/tone:complete", emergency.StateDone},
		{"one is renamed", []string{"west", "new"}, "east/clip:complete east/tone:complete new/clip:complete new/clip:complete new/tone:complete new/tone:complete " +
			"west/clip:complete west/clip:complete west/tone:complete west/tone:complete", emergency.StateDone},
		{"all are", []string{"new"}, "east/clip:complete east/tone:complete new/clip:complete new/clip:complete new/tone:complete new/tone:complete " +
			"west/clip:complete west/tone:complete", emergency.StateDone},
		{"none is left", nil, "east/clip:complete east/tone:complete west/clip:complete west/tone:complete", emergency.StateDone},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east", "west")
				s.here[0].Store(true)
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				s.receive(alert("A", withClip, func(r *emergency.Record) { r.Passes, r.Gap = 2, 20*time.Second }))
				time.Sleep(20 * time.Second) // it waits for its second pass
				changed := *s.programme
				changed.Outputs = nil
				for _, name := range c.outputs {
					changed.Outputs = append(changed.Outputs, playlist.Output{Name: name, Device: "wav:" + s.wav(name), Area: "320924000000"})
				}
				if err := s.player.Reload(t.Context(), &changed); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				if got := s.state("A"); got != c.state {
					t.Errorf("state %s", got)
				}
				s.stop()
				if got := s.parts("A"); got != c.want {
					t.Error(got)
				}
			})
		})
	}
}

// slowly is a keeper whose disk hangs for half a minute at each write.
type slowly struct{ player.AlertKeeper }

func (k slowly) SaveAlerts(ctx context.Context, c emergency.Change, raw []byte) error {
	time.Sleep(30 * time.Second)
	return k.AlertKeeper.SaveAlerts(ctx, c, raw)
}

// sluggish is a ledger whose disk hangs for half a minute at each write.
type sluggish struct{ player.Ledger }

func (l sluggish) Claim(ctx context.Context, c asrun.Claim) error {
	time.Sleep(30 * time.Second)
	return l.Ledger.Claim(ctx, c)
}

func (l sluggish) End(ctx context.Context, k asrun.RowKey, e asrun.End) error {
	time.Sleep(30 * time.Second)
	return l.Ledger.End(ctx, k, e)
}

func TestADiskThatHangsHoldsUpNoPassOfAnAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.programme.Alerts.Passes, s.programme.Alerts.Gap = 3, 2*time.Second
		s.here[0].Store(true)
		s.ledger = sluggish{s.store}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		came := s.now()
		s.receive(alert("A", withClip))
		time.Sleep(5 * time.Minute)
		s.stop()
		want := "east/clip:complete east/clip:complete east/clip:complete east/tone:complete east/tone:complete east/tone:complete"
		if got := s.parts("A"); got != want {
			t.Error(got)
		}
		for _, r := range s.rows() {
			if took := r.Ended.Sub(came); took > time.Minute {
				t.Errorf("pass %d, %s ends after %v", r.Item, r.Used, took)
			}
		}
	})
}

// failing is a keeper whose disk is full for some calls.
type failing struct {
	player.AlertKeeper
	left *atomic.Int64
}

func (k failing) SaveAlerts(ctx context.Context, c emergency.Change, raw []byte) error {
	if k.left.Add(-1) >= 0 {
		return errBroken
	}
	return k.AlertKeeper.SaveAlerts(ctx, c, raw)
}

func TestAnAlertThatCouldNotBeStoredIsStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		left := &atomic.Int64{}
		left.Store(7)
		s.keep = failing{s.store, left}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		if _, _, err := s.alarm.Receive(t.Context(), alert("A", withClip), []byte("raw")); !errors.Is(err, player.ErrNotStored) {
			t.Errorf("acknowledged: %v", err)
		}
		time.Sleep(2 * time.Minute)
		records, err := s.store.Alerts(t.Context())
		if err != nil || len(records) != 1 || records[0].State != emergency.StateDone {
			t.Errorf("%+v, %v", records, err)
		}
		if raw, err := s.store.AlertRaw(t.Context(), "A"); err != nil || string(raw) != "raw" {
			t.Errorf("its message is %q, %v", raw, err)
		}
		s.stop()
		if n := strings.Count(s.log.String(), "alert not stored"); n != 3 { // as it came, began and ended; not at each trial
			t.Errorf("the log says %d times that it is not stored", n)
		}
	})
}

func TestAnAlertIsSpokenAtALaterPassIfItCouldNotBeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.programme.Alerts.Passes, s.programme.Alerts.Gap = 3, 10*time.Second
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A"))
		time.Sleep(15 * time.Second) // whatever was in the way is over by the next pass
		s.here[1].Store(true)
		time.Sleep(3 * time.Minute)
		s.stop()
		if got := s.parts("A"); !strings.Contains(got, "east/speech:complete") {
			t.Error(got)
		}
	})
}

func TestADiskThatHangsHoldsUpNoAlertAndNoCancel(t *testing.T) {
	for _, c := range []struct {
		name   string
		cancel time.Duration // after it came; 0: never
		want   string
		state  emergency.State
	}{
		{"heard", 0, "east/clip:complete east/tone:complete", emergency.StateDone},
		{"cancelled", 2 * time.Second, "east/clip:missed:cancelled east/tone:partial:cancelled", emergency.StateCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				s.here[0].Store(true)
				s.keep = slowly{s.store}
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				var work sync.WaitGroup
				came := s.now()
				work.Go(func() { s.receive(alert("A", withClip)) })
				if c.cancel > 0 {
					time.Sleep(c.cancel)
					work.Go(func() {
						s.receive(alert("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"} }))
					})
				}
				time.Sleep(20 * time.Second)
				if got := s.state("A"); got != c.state {
					t.Errorf("state %s", got)
				}
				work.Wait()
				s.stop()
				if got := s.parts("A"); got != c.want {
					t.Error(got)
				}
				for _, r := range s.rows() {
					if took := r.Ended.Sub(came); took > 12*time.Second || c.cancel > 0 && took > c.cancel+time.Second {
						t.Errorf("%s ends after %v", r.Used, took)
					}
				}
				records, err := s.store.Alerts(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					if r.ID == "A" && r.State != c.state {
						t.Errorf("kept as %s", r.State)
					}
				}
			})
		})
	}
}

func TestAnUntrustedClockHoldsNoAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.options.Trust = func() playlist.ClockState { return playlist.ClockUntrusted }
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip, func(r *emergency.Record) { r.NotAfter = s.now().Add(-24 * time.Hour) }))
		time.Sleep(2 * time.Minute)
		s.stop()
		if got := s.parts("A"); got != "east/clip:complete east/tone:complete" {
			t.Error(got)
		}
		for _, r := range s.rows() {
			if r.Clock != playlist.ClockUntrusted {
				t.Errorf("row says %s", r.Clock)
			}
		}
	})
}

func TestWhatNobodyCanHearWithAnUnknownClockEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.programme.Alerts.Life = 5 * time.Minute
		s.options.Trust = func() playlist.ClockState { return playlist.ClockUntrusted }
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip)) // and there is nothing but the tone
		time.Sleep(6 * time.Minute)
		if got := s.state("A"); got != emergency.StatePartial {
			t.Errorf("state %s", got)
		}
		s.stop()
	})
}

func TestWhatItsCountyWithdrawsFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("A", withClip, func(r *emergency.Record) { r.Source, r.Scope = playlist.AlertByLink, "group:x" }))
		time.Sleep(6 * time.Second)
		if err := s.alarm.PutInForce(t.Context(), "group:x", nil, nil); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		if got := s.state("A"); got != emergency.StateCancelled {
			t.Errorf("state %s", got)
		}
		s.stop()
		if got := s.parts("A"); got != "east/clip:partial:cancelled east/tone:complete" {
			t.Error(got)
		}
		if log := s.log.String(); strings.Count(log, `msg="alert received"`) != 1 || !strings.Contains(log, `msg="alert withdrawn" alert=A`) {
			t.Error("the log does not say that it is withdrawn, or that it was received again")
		}
	})
}

// A county that has no room for an alert names it again when there is some.
func TestWhatItsCountyHasInForceAgainSoundsAgain(t *testing.T) {
	for _, pause := range []time.Duration{time.Millisecond, 5 * time.Second} { // it is still falling silent, or is silent
		synctest.Test(t, func(t *testing.T) {
			s := newSiren(t, "east")
			s.here[0].Store(true)
			s.start()
			defer s.close()
			time.Sleep(time.Second)
			a := alert("A", withClip, func(r *emergency.Record) { r.Source, r.Scope = playlist.AlertByLink, "group:x" })
			s.receive(a)
			time.Sleep(6 * time.Second)
			if err := s.alarm.PutInForce(t.Context(), "group:x", nil, nil); err != nil {
				t.Error(err)
			}
			time.Sleep(pause)
			s.receive(a)
			time.Sleep(2 * time.Minute)
			if got := s.state("A"); got != emergency.StateDone {
				t.Errorf("state %s", got)
			}
			s.stop()
			if got := s.parts("A"); !strings.HasPrefix(got, "east/clip:complete") && !strings.Contains(got, " east/clip:complete") {
				t.Error(got)
			}
		})
	}
}

func TestOnlyTheOutputsConcernedSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east", "west", "far")
		s.here[0].Store(true)
		for i, area := range []playlist.Area{"320924100201", "320924100202", "320925100201"} {
			s.programme.Outputs[i].Area = area
		}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.receive(alert("one", withClip, func(r *emergency.Record) { r.Areas = []playlist.Area{"320924100201"} }))
		s.receive(alert("none", withClip, func(r *emergency.Record) { r.Areas = []playlist.Area{"110000000000"} }))
		time.Sleep(2 * time.Minute)
		s.receive(alert("town", withClip, func(r *emergency.Record) { r.Areas = []playlist.Area{"320924100000"} }))
		time.Sleep(2 * time.Minute)
		s.stop()
		if got := s.parts("one") + "|" + s.parts("none") + "|" + s.parts("town"); got !=
			"east/clip:complete east/tone:complete||east/clip:complete east/tone:complete west/clip:complete west/tone:complete" {
			t.Error(got)
		}
	})
}

// broken keeps nothing.
type broken struct{}

var errBroken = errors.New("the disk is full")

func (broken) SaveAlerts(context.Context, emergency.Change, []byte) error { return errBroken }
func (broken) KeptAlerts(context.Context) (emergency.Kept, error) {
	return emergency.Kept{}, errBroken
}
func (broken) ForgetAlerts(context.Context, []playlist.AlertID) error { return errBroken }

// deaf is a ledger that writes nothing.
type deaf struct{ player.Ledger }

func (deaf) Claim(context.Context, asrun.Claim) error                     { return errBroken }
func (deaf) End(context.Context, asrun.RowKey, asrun.End) error           { return errBroken }
func (deaf) Rows(context.Context, playlist.AiringID) ([]asrun.Row, error) { return nil, errBroken }
func (deaf) Checkpoint(context.Context, asrun.RowKey, time.Time, int64, int64) error {
	return errBroken
}

func TestAnAlertSoundsThoughNothingCanBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.here[0].Store(true)
		s.keep = broken{}
		s.ledger = deaf{s.store}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		if _, _, err := s.alarm.Receive(t.Context(), alert("A", withClip), nil); !errors.Is(err, player.ErrNotStored) {
			t.Errorf("acknowledged: %v", err)
		}
		time.Sleep(time.Minute)
		s.stop()
		got := readWAV(t, s.wav("east"))
		want := decoded(t, s.path(0))
		if at := find(got, want); at < 4*playlist.Rate {
			t.Errorf("the clip is heard at frame %d", at)
		}
	})
}

func (s *siren) path(clip int) string {
	_, path, err := s.store.Clip(context.Background(), s.clips[clip].ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// find is where a sound stands in another, sample by sample; -1: nowhere.
func find(in, sound []int16) int {
	from := slices.IndexFunc(sound, func(v int16) bool { return v > 1000 })
	probe := sound[from : from+playlist.Rate]
	for i := 0; i+len(probe) <= len(in); i++ {
		if in[i] == probe[0] && slices.Equal(in[i:i+len(probe)], probe) {
			return i - from
		}
	}
	return -1
}
