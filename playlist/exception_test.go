package playlist_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
)

const (
	aCounty   = playlist.Scope("area:320924000000")
	aTown     = playlist.Scope("area:320924100000")
	aVillage  = playlist.Scope("area:320924100201")
	aNeighbor = playlist.Scope("area:320924100202")
)

// heard lists what falls due from Monday, 23 to Wednesday, 25 November 2026, on which
// outputs.
func heard(t *testing.T, p *playlist.Programme) []string {
	t.Helper()
	zone := p.Site.Zone
	all := []string{}
	for _, a := range p.Timetable().Due(playlisttest.At(t, zone, "2026-11-22 23:59:59"), playlisttest.At(t, zone, "2026-11-25 23:59:59")) {
		scope, _, _ := strings.Cut(a.Slot.Name, "/")
		all = append(all, fmt.Sprint(a.Due.In(zone).Format("02 15:04 "), scope[len(scope)-4:], " ", strings.Join(a.Slot.Outputs, "+")))
	}
	return all
}

func TestASlotAirsOtherwiseWhereANarrowerScopeSaysSo(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	morning := func(change ...func(*playlist.Slot)) []playlist.Slot {
		s := playlisttest.Slot(t, "早", "30 7 * * *")
		for _, f := range change {
			f(&s)
		}
		return []playlist.Slot{s}
	}
	eight := func(s *playlist.Slot) { s.Cron = playlisttest.Cron(t, "0 8 * * *") }
	instead := func(s *playlist.Slot) { s.Instead = true }
	onTuesday := func(s *playlist.Slot) { s.From, s.To = "2026-11-24", "2026-11-24" }
	exception := func(e playlist.Exception) []playlist.Exception { e.Slot = "早"; return []playlist.Exception{e} }
	tuesday := []playlist.Date{"2026-11-24"}
	for _, c := range []struct {
		name string
		own  []playlist.Exception
		more []playlist.Manifest // beside the county's
		want []string
	}{
		{"nothing else is said", nil, nil, []string{"23 07:30 0000 东+西", "24 07:30 0000 东+西", "25 07:30 0000 东+西"}},
		{
			"a town has a slot of its own beside the county's", nil, []playlist.Manifest{{Scope: aTown, Slots: morning(eight)}},
			[]string{"23 07:30 0000 东+西", "23 08:00 0000 东+西", "24 07:30 0000 东+西", "24 08:00 0000 东+西", "25 07:30 0000 东+西", "25 08:00 0000 东+西"},
		},
		{
			"a town's slot stands instead", nil, []playlist.Manifest{{Scope: aTown, Slots: morning(eight, instead)}},
			[]string{"23 08:00 0000 东+西", "24 08:00 0000 东+西", "25 08:00 0000 东+西"},
		},
		{
			"a village's slot stands instead on its output", nil, []playlist.Manifest{{Scope: aVillage, Slots: morning(eight, instead)}},
			[]string{"23 07:30 0000 西", "23 08:00 0201 东", "24 07:30 0000 西", "24 08:00 0201 东", "25 07:30 0000 西", "25 08:00 0201 东"},
		},
		{
			"a town's slot of one day stands instead on that day", nil, []playlist.Manifest{{Scope: aTown, Slots: morning(eight, instead, onTuesday)}},
			[]string{"23 07:30 0000 东+西", "24 08:00 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"a slot of another name stands beside it", nil, []playlist.Manifest{{Scope: aTown, Slots: morning(eight, instead, onTuesday, func(s *playlist.Slot) { s.Name = "晨" })}},
			[]string{"23 07:30 0000 东+西", "24 07:30 0000 东+西", "24 08:00 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"one of a wider scope does not", nil, []playlist.Manifest{{Scope: "area:320900000000", Slots: morning(eight, instead, onTuesday)}},
			[]string{"23 07:30 0000 东+西", "24 07:30 0000 东+西", "24 08:00 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"the site leaves a day out", exception(playlist.Exception{Days: tuesday}), nil,
			[]string{"23 07:30 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"the site moves a day", exception(playlist.Exception{Days: tuesday, At: []playlist.TimeOfDay{9 * 60}}), nil,
			[]string{"23 07:30 0000 东+西", "24 09:00 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"to before its time, and to twice", exception(playlist.Exception{From: "2026-11-24", At: []playlist.TimeOfDay{18 * 60, 6 * 60}}), nil,
			[]string{"23 07:30 0000 东+西", "24 06:00 0000 东+西", "24 18:00 0000 东+西", "25 06:00 0000 东+西", "25 18:00 0000 东+西"},
		},
		{
			"the county has it for one village", nil, []playlist.Manifest{{Scope: aNeighbor, Exceptions: exception(playlist.Exception{To: "2026-11-24", At: []playlist.TimeOfDay{9 * 60}})}},
			[]string{"23 07:30 0000 东", "23 09:00 0000 西", "24 07:30 0000 东", "24 09:00 0000 西", "25 07:30 0000 东+西"},
		},
		{
			"the narrower scope decides, and the site before it", exception(playlist.Exception{Days: tuesday}), []playlist.Manifest{
				{Scope: aTown, Exceptions: exception(playlist.Exception{To: "2026-11-24", At: []playlist.TimeOfDay{9 * 60}})},
				{Scope: "controller:box", Exceptions: exception(playlist.Exception{To: "2026-11-23", At: []playlist.TimeOfDay{10 * 60}})},
			},
			[]string{"23 10:00 0000 东+西", "25 07:30 0000 东+西"},
		},
		{
			"an exception is for those of its scope", nil, []playlist.Manifest{{Scope: "group:schools", Exceptions: exception(playlist.Exception{Days: tuesday})}, {Scope: "group:other", Exceptions: exception(playlist.Exception{From: "2026-11-01"})}},
			[]string{"23 07:30 0000 东+西", "25 07:30 0000 东+西"},
		},
	} {
		p := &playlist.Programme{
			Site:    playlist.Site{Zone: zone, Area: "320924100201"},
			Outputs: []playlist.Output{{Name: "东", Area: "320924100201"}, {Name: "西", Area: "320924100202"}},
			County:  playlist.CountyRules{Exceptions: c.own},
		}
		f := playlist.Follower{ID: "box", Areas: []playlist.Area{"320924100000", "320924100201", "320924100202"}, Groups: []string{"schools"}}
		county := morning()
		got := heard(t, p.With(f, append([]playlist.Manifest{{Scope: aCounty, Slots: county}}, c.more...)))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if len(county[0].Outputs)+len(county[0].Exempt) > 0 {
			t.Errorf("%s: the manifest itself has changed: %+v", c.name, county[0])
		}
	}
}

func TestAnExceptionFromNothingIsIdle(t *testing.T) {
	p := &playlist.Programme{
		Site: playlist.Site{Zone: playlisttest.Shanghai(t), Area: "320924100201"}, Outputs: []playlist.Output{{Name: "东"}},
		Slots:  []playlist.Slot{playlisttest.Slot(t, "村务", "0 8 * * *", "东")},
		County: playlist.CountyRules{Exceptions: []playlist.Exception{{Slot: "早"}, {Slot: "村务"}, {Slot: "晨"}, {Slot: "晚"}}},
	}
	night, day := playlisttest.Slot(t, "晚", "0 8 * * *"), playlisttest.Slot(t, "早", "0 8 * * *")
	instead := night
	instead.Instead = true
	got := p.With(playlist.Follower{Areas: []playlist.Area{"320924100201"}}, []playlist.Manifest{
		{Scope: aCounty, Slots: []playlist.Slot{day, night}}, {Scope: aTown, Slots: []playlist.Slot{instead}},
	}).IdleExceptions()
	if want := []string{"村务", "晨"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What Next skips to is what On says of each minute.
func TestTheNextOfAnExceptionIsTheNextMinuteThatIsDue(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		zone := playlisttest.Shanghai(t)
		if seed%3 == 0 {
			zone, _ = time.LoadLocation("America/New_York") // its clocks are set back on 1 November 2026
		}
		day := func() playlist.Date { return playlist.Date(fmt.Sprintf("2026-%02d-%02d", 10+r.IntN(2), 28+r.IntN(3))) }
		s := playlisttest.Slot(t, "早", []string{"30 7 * * *", "*/40 1-2 * * *", "0 12 * * 1,3,5", "30 1 1 11 *"}[r.IntN(4)], "东", "西")
		if r.IntN(3) == 0 {
			s.Days = 1<<r.IntN(7) | 1<<time.Saturday
		}
		if r.IntN(3) == 0 {
			s.Except = []playlist.Date{day()}
		}
		for range 1 + r.IntN(3) {
			var e playlist.Exception
			switch r.IntN(3) {
			case 0:
				e.Days = []playlist.Date{day(), day()}
			case 1:
				e.From = day()
			default:
				e.To = day()
			}
			for range r.IntN(3) {
				e.At = append(e.At, playlist.TimeOfDay(r.IntN(24*60)))
			}
			e.Outputs = [][]string{nil, {"东"}, {"西"}}[r.IntN(3)]
			s.Exempt = append(s.Exempt, e)
		}
		from := time.Date(2026, 10, 30, 0, 0, 0, 0, zone)
		var want []string
		for at := from; at.Before(from.AddDate(0, 0, 4)); at = at.Add(time.Minute) {
			if on := s.On(at, zone); len(on.Outputs) > 0 && fallsOn(s, at, zone) {
				want = append(want, at.UTC().Format(time.DateTime))
			}
		}
		var got []string
		for at := from.Add(-1); ; {
			due, ok := s.Next(at, zone)
			if !ok || !due.Before(from.AddDate(0, 0, 4)) {
				break
			}
			got = append(got, due.UTC().Format(time.DateTime))
			at = due
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, %v %+v:\n%v\nwant\n%v", seed, s.Cron, s.Exempt, got, want)
		}
	}
}

// fallsOn reports whether the slot without its exceptions is due on the local day.
func fallsOn(s playlist.Slot, at time.Time, zone *time.Location) bool {
	s.Exempt = nil
	y, m, d := at.In(zone).Date()
	due, ok := s.Next(playlist.StartOfDay(y, m, d, zone).Add(-1), zone)
	return ok && due.Before(playlist.StartOfDay(y, m, d+1, zone))
}

func TestAnExceptionIsChecked(t *testing.T) {
	day := []playlist.Date{"2026-11-24"}
	for want, e := range map[string]playlist.Exception{
		"it names no slot":     {Days: day},
		"it names no days":     {Slot: "早"},
		"days and from or to":  {Slot: "早", Days: day, To: "2026-11-24"},
		`"2026-02-30" is no`:   {Slot: "早", From: "2026-02-30"},
		"a day is empty":       {Slot: "早", Days: []playlist.Date{""}},
		"at 1440 minutes":      {Slot: "早", Days: day, At: []playlist.TimeOfDay{24 * 60}},
		"more than 400 days":   {Slot: "早", Days: slices.Repeat(day, 401)},
		"have a day in common": {Slot: "晚", To: "2026-11-24"},
		"400 days or 48 times": {Slot: "早", Days: day, At: make([]playlist.TimeOfDay, 49)},
	} {
		m := playlist.Manifest{Scope: aTown, Version: 1, Exceptions: []playlist.Exception{{Slot: "晚", From: "2026-11-24"}, e}}
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
}
