package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/schedule"
)

func TestDue(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{
		playlisttest.Slot(t, "low", "0 7,8,9 * * *", "a"),
		playlisttest.Slot(t, "high", "0 8 * * *", "a"),
	}}
	p.Slots[1].Priority = 9
	for _, c := range []struct {
		name, last, now string
		want            []string
	}{
		{"an ordinary second", "07:59:59", "08:00", []string{"high", "low"}},
		{"the instant itself belongs to what came before", "08:00", "08:00:01", nil},
		{"a long sleep catches up", "06:30", "09:10", []string{"low", "high", "low", "low"}},
		{"clock set back", "07:30", "06:10", nil},
		{"no time has passed", "08:00", "08:00", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, a := range p.Timetable().Due(playlisttest.At(t, zone, "2026-11-23 "+c.last), playlisttest.At(t, zone, "2026-11-23 "+c.now)) {
				got = append(got, a.Slot.Name)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("due %v, want %v", got, c.want)
			}
		})
	}
}

func TestDueAnswersTheSameInAnyOrderOfAsking(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}}
	for i := range 20 {
		p.Slots = append(p.Slots, playlisttest.Slot(t, fmt.Sprint("s", i), fmt.Sprintf("%d */%d * * *", i*3, i%5+1), "a"))
	}
	begin := playlisttest.At(t, zone, "2026-11-23 00:00")
	whole := p.Timetable().Due(begin, begin.Add(72*time.Hour))
	tt := p.Timetable()
	var pieces []playlist.Airing
	for h := range 72 {
		tt.Due(begin.Add(time.Duration(71-h)*time.Hour), begin.Add(100*time.Hour)) // a question in between
		pieces = append(pieces, tt.Due(begin.Add(time.Duration(h)*time.Hour), begin.Add(time.Duration(h+1)*time.Hour))...)
	}
	if len(whole) != len(pieces) || len(whole) == 0 {
		t.Fatalf("%d airings at once, %d by the hour", len(whole), len(pieces))
	}
	for i := range whole {
		if whole[i].ID != pieces[i].ID {
			t.Fatalf("airing %d: %s at once, %s by the hour", i, whole[i].ID, pieces[i].ID)
		}
	}
	i := 0
	for a := range tt.After(begin) {
		if i == len(whole) {
			break
		}
		if a.ID != whole[i].ID {
			t.Fatalf("airing %d: After yields %s, Due %s", i, a.ID, whole[i].ID)
		}
		i++
	}
}

func TestWhatFellDueWhileOffFellDueByTheConfigOfThatTime(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	was := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{
		playlisttest.Slot(t, "kept", "0 7 * * *", "a"), playlisttest.Slot(t, "moved", "30 7 * * *", "a"), playlisttest.Slot(t, "gone", "0 8 * * *", "a"),
	}}
	is := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{
		playlisttest.Slot(t, "kept", "0 7 * * *", "a"), playlisttest.Slot(t, "moved", "45 7 * * *", "a"), playlisttest.Slot(t, "new", "15 7 * * *", "a"),
		playlisttest.Slot(t, "soon", "31 9 * * *", "a"),
	}}
	d := schedule.NewDesk(is, playlisttest.At(t, zone, "2026-11-23 06:00"))
	d.Resume(was)
	now := playlisttest.At(t, zone, "2026-11-23 09:30")
	ask := func(now time.Time, since time.Duration) (got []string) {
		due, _ := d.Ask(schedule.Reading{Wall: now, Since: since, Trust: playlist.ClockTrusted})
		for _, a := range due {
			s := schedule.Stand(is, a, nil, now)
			got = append(got, fmt.Sprint(a.Slot.Name, " ", a.Due.In(zone).Format("15:04"), " ", s.Perform, " ", s.Reason))
		}
		return got
	}
	got := fmt.Sprint(ask(now, time.Second), ask(now.Add(time.Minute), 61*time.Second))
	want := "[kept 07:00 false off moved 07:30 false off gone 08:00 false off] [soon 09:31 true ]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAStepBackIsFollowedByNoSilence(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{playlisttest.Slot(t, "s", "* * * * *", "a")}}
	d := schedule.NewDesk(p, time.Time{})
	now := time.Now()
	ask := func(wall time.Time) int {
		due, _ := d.Ask(schedule.Reading{Wall: wall, Trust: playlist.ClockTrusted})
		return len(due)
	}
	ask(now)
	if n := ask(now.Add(-time.Hour)); n > 1 {
		t.Errorf("%d airings due after a step back", n)
	}
	if n := ask(now.Add(-55 * time.Minute)); n < 4 {
		t.Errorf("%d airings in five minutes after a step back: the desk slept", n)
	}
}

// village is a controller reduced to what the domain knows of it: a desk, an
// as-run log, and the clocks of a badly kept box.
type village struct {
	t         *testing.T
	rng       *rand.Rand
	programme *playlist.Programme
	desk      *schedule.Desk
	rows      map[playlist.AiringID][]asrun.Row
	hand      map[playlist.AiringID]busy
	mark      time.Time // persisted now and then
	mono      time.Duration
	opened    time.Duration
	wall      time.Time // at mono 0; steps move it
	trusted   bool
	latest    time.Time // the latest the wall clock has ever shown while trusted
}

type busy struct {
	due  schedule.Due
	item int
	part int
	ends time.Duration
}

func (v *village) now() time.Time { return v.wall.Add(v.mono) }

func (v *village) reading() schedule.Reading {
	trust := playlist.ClockUntrusted
	if v.trusted {
		trust = playlist.ClockTrusted
	}
	return schedule.Reading{Wall: v.now(), Since: v.mono - v.opened, Trust: trust}
}

func (v *village) tick() {
	for id, b := range v.hand {
		if v.mono >= b.ends {
			v.row(id, b, asrun.Complete, asrun.ReasonNone)
		}
	}
	due, _ := v.desk.Ask(v.reading())
	if v.trusted && v.now().After(v.latest) {
		v.latest = v.now()
	}
	for _, d := range due {
		if _, busy := v.hand[d.ID]; busy {
			continue
		}
		rows := v.rows[d.ID]
		s := schedule.Stand(v.programme, d, rows, v.now())
		if !s.Perform {
			if s.First <= d.Slot.Count {
				v.rows[d.ID] = append(rows, asrun.Row{Airing: d.ID, Item: s.First, Outcome: s.Outcome, Reason: s.Reason, Ended: v.now()})
			}
			continue
		}
		part := 1
		for _, r := range rows {
			part = max(part, r.Part+1)
		}
		v.hand[d.ID] = busy{d, s.First, part, v.mono + time.Duration(20+v.rng.IntN(60))*time.Second}
	}
}

func (v *village) row(id playlist.AiringID, b busy, o asrun.Outcome, why asrun.Reason) {
	v.rows[id] = append(v.rows[id], asrun.Row{Airing: id, Item: b.item, Part: b.part, Outcome: o, Reason: why, Ended: v.now()})
	delete(v.hand, id)
}

func (v *village) save() {
	at := v.desk.Watermark(v.now(), func(yield func(time.Time) bool) {
		for _, b := range v.hand {
			if !yield(b.due.Due) {
				return
			}
		}
	})
	if !at.IsZero() {
		v.mark = at
	}
}

// restart cuts the power for a while.
func (v *village) restart(off time.Duration) {
	for id, b := range v.hand {
		v.row(id, b, asrun.Partial, asrun.ReasonPowerLost)
	}
	v.mono += off
	v.opened = v.mono
	v.desk = schedule.NewDesk(v.programme, v.mark)
}

func TestAYearOnABadlyKeptBox(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Quiet: []playlist.Quiet{
		{Span: playlist.Span{From: 21 * 60, To: 6 * 60}},
		{Span: playlist.Span{From: 12*60 + 30, To: 14 * 60, Days: 1<<time.Saturday | 1<<time.Sunday}},
	}}
	policies := []playlist.MissedPolicy{playlist.MissedSkip, playlist.MissedLate, playlist.MissedMakeGood}
	for i := range 40 {
		s := playlisttest.Slot(t, fmt.Sprintf("slot%02d", i), fmt.Sprintf("%d %d,%d * * %s", i*7%60, 5+i%9, 14+i%10, []string{"*", "1-5", "0,6"}[i%3]), "a")
		s.Missed = policies[i%3]
		s.Until = playlist.TimeOfDay(20 * 60)
		if i%8 == 0 {
			s.From, s.To, s.Except = "2026-03-01", "2026-10-31", []playlist.Date{"2026-05-01", "2026-10-01"}
		}
		p.Slots = append(p.Slots, s)
	}
	for seed, days := range []int{365, 100, 100} {
		t.Run(fmt.Sprintf("seed %d, %d days", seed, days), func(t *testing.T) {
			begin := playlisttest.At(t, zone, "2026-01-01 00:00")
			v := &village{
				t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), programme: p, wall: begin, trusted: true,
				rows: map[playlist.AiringID][]asrun.Row{}, hand: map[playlist.AiringID]busy{},
			}
			v.desk = schedule.NewDesk(p, time.Time{})
			v.latest = begin
			var back time.Duration // a wrong step that is put right later
			for v.mono < time.Duration(days)*24*time.Hour {
				v.mono += time.Duration(1+v.rng.IntN(20)) * time.Second
				v.tick()
				switch v.rng.IntN(20000) {
				case 0, 1, 2:
					v.restart(time.Duration(v.rng.IntN(3*3600)) * time.Second)
				case 3:
					v.restart(time.Duration(v.rng.IntN(5*24)) * time.Hour)
				case 4: // the clock jumps ahead, for good or until it is put right
					back = time.Duration(v.rng.IntN(36*3600)) * time.Second
					v.wall = v.wall.Add(back)
				case 5:
					v.wall = v.wall.Add(-back)
					back = 0
				case 6:
					v.wall = v.wall.Add(-time.Duration(v.rng.IntN(7200)) * time.Second)
				case 7:
					v.trusted = false
				case 8, 9, 10:
					v.trusted = true
				case 11, 12, 13, 14, 15, 16, 17, 18, 19, 20:
					v.save()
				}
			}
			v.trusted = true
			v.tick()
			v.mono += 2 * time.Minute // all that is in hand ends
			v.tick()

			total, tally := 0, map[asrun.Outcome]int{}
			for _, a := range p.Timetable().Due(begin, v.now().Add(-5*time.Minute)) {
				rows := v.rows[a.ID]
				total++
				if len(rows) == 0 {
					t.Fatalf("%s has no row", a.ID)
				}
				sounded, complete := 0, 0
				for _, r := range rows {
					if r.Part > 0 {
						sounded++
					}
					if r.Outcome == asrun.Complete {
						complete++
					}
				}
				owed := 0
				if a.Slot.Missed == playlist.MissedMakeGood {
					owed = 1
				}
				if complete > 1 || sounded > 1+owed {
					t.Errorf("%s sounded %d times, %d of them complete: %+v", a.ID, sounded, complete, rows)
				}
				last := rows[len(rows)-1]
				tally[last.Outcome]++
				if p.QuietAt(a.Due) && sounded > 0 {
					t.Errorf("%s sounded in quiet hours", a.ID)
				}
				if last.Outcome == asrun.Missed && last.Reason == "" {
					t.Errorf("%s was missed for no reason", a.ID)
				}
			}
			if total < 15000*days/365 || tally[asrun.Complete] < total/5 || tally[asrun.Missed] == 0 || tally[asrun.Suppressed] == 0 || days == 365 && tally[asrun.Partial] == 0 {
				t.Errorf("%d airings: %v", total, tally)
			}
			t.Logf("%d airings: %v", total, tally)
		})
	}
}

func TestAskTellsWhyAnAiringIsLate(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{playlisttest.Slot(t, "s", "0 * * * *", "a")}}
	now := playlisttest.At(t, zone, "2026-11-23 08:30")
	since := 100 * time.Minute // opened at 06:50
	d := schedule.NewDesk(p, playlisttest.At(t, zone, "2026-11-23 05:30"))
	if due, note := d.Ask(schedule.Reading{Wall: playlisttest.At(t, zone, "1970-01-01 08:00"), Since: 40 * time.Minute, Trust: playlist.ClockUntrusted}); due != nil || note != schedule.NoteHeld {
		t.Fatalf("%v, %q with an untrusted clock", due, note)
	}
	due, note := d.Ask(schedule.Reading{Wall: now, Since: since, Trust: playlist.ClockTrusted})
	if note != schedule.NoteTrusted || len(due) != 3 {
		t.Fatalf("%v, %q", due, note)
	}
	for i, why := range []asrun.Reason{asrun.ReasonOff, asrun.ReasonClock, asrun.ReasonClock} {
		if due[i].Why != why {
			t.Errorf("%s: %s, want %s", due[i].ID, due[i].Why, why)
		}
	}
	due, _ = d.Ask(schedule.Reading{Wall: now.Add(time.Hour), Since: since + time.Second, Trust: playlist.ClockTrusted})
	if len(due) != 1 || due[0].Why != asrun.ReasonClockStep {
		t.Errorf("after a step: %+v", due)
	}
}

func TestALessonThatWasPreemptedIsStillMadeGood(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	due := playlisttest.At(t, zone, "2026-03-02 07:00")
	slot := playlisttest.Slot(t, "morning", "0 7 * * *", "a")
	slot.Missed = playlist.MissedMakeGood
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{slot}}
	d := schedule.Due{Airing: playlist.Airing{ID: playlist.NewAiringID("morning", due), Slot: slot, Due: due}}
	part := func(n int, o asrun.Outcome, why asrun.Reason) asrun.Row {
		return asrun.Row{Airing: d.ID, Output: "a", Item: 1, Part: n, Due: due, Started: due, Ended: due.Add(time.Minute), Frames: 1000, OfFrames: 100000, Outcome: o, Reason: why}
	}
	rows := []asrun.Row{part(1, asrun.Preempted, asrun.ReasonPreempted), part(2, asrun.Partial, asrun.ReasonPowerLost)}
	if s := schedule.Stand(p, d, rows, due.Add(time.Hour)); !s.Perform || !s.Course.MakeGood || s.First != 1 {
		t.Errorf("preempted, resumed, then cut by power: %+v", s)
	}
	rows = append(rows, part(3, asrun.Partial, asrun.ReasonPowerLost))
	if s := schedule.Stand(p, d, rows, due.Add(time.Hour)); s.Perform {
		t.Errorf("made good a second time: %+v", s)
	}
}

func TestAClockSetBackLosesNothingThatFellDueMeanwhile(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	for _, c := range []struct {
		name  string
		quiet time.Duration // held for so long
	}{
		{"at once", time.Second},
		{"held for a while", 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &playlist.Programme{Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{playlisttest.Slot(t, "morning", "0 7 * * *", "a")}}
			d := schedule.NewDesk(p, time.Time{})
			wrong := playlisttest.At(t, zone, "2026-03-02 08:30")
			d.Ask(schedule.Reading{Wall: wrong, Since: time.Minute, Trust: playlist.ClockTrusted})
			since := time.Minute
			if c.quiet > time.Second {
				since += time.Second
				d.Ask(schedule.Reading{Wall: wrong.Add(-time.Hour), Since: since, Trust: playlist.ClockUntrusted})
			}
			since = time.Minute + c.quiet
			// The lesson fell due half a second ago.
			due, note := d.Ask(schedule.Reading{Wall: playlisttest.At(t, zone, "2026-03-02 07:00").Add(500 * time.Millisecond), Since: since, Trust: playlist.ClockTrusted})
			if note == schedule.NoteNone || len(due) != 1 {
				t.Errorf("%q, %d airings, one wanted", note, len(due))
			}
		})
	}
}
