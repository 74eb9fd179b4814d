package playlist_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
)

// around is the calendar of a National Day: Thursday to Wednesday off, the Saturday
// after it and the Sunday before it worked.
var around = &playlist.Calendar{
	Off: []playlist.Date{"2026-10-01", "2026-10-02", "2026-10-03", "2026-10-04", "2026-10-05", "2026-10-06", "2026-10-07"},
	On:  []playlist.Date{"2026-09-27", "2026-10-10"},
}

func TestWorkdaysAndHolidays(t *testing.T) {
	for _, c := range []struct {
		name, day         string
		calendar          *playlist.Calendar
		workdays, holiday bool
		saturday          bool
	}{
		{"an ordinary Friday", "2026-09-25", around, true, false, false},
		{"an ordinary Saturday", "2026-09-26", around, false, true, true},
		{"a Sunday that makes up", "2026-09-27", around, true, false, false},
		{"a Thursday off", "2026-10-01", around, false, true, false},
		{"a Saturday off", "2026-10-03", around, false, true, true},
		{"a Saturday that makes up", "2026-10-10", around, true, false, true},
		{"a Thursday without a calendar", "2026-10-01", nil, true, false, false},
		{"a Sunday without a calendar", "2026-09-27", nil, false, true, false},
		{"a year that the calendar does not name", "2027-10-01", around, true, false, false},
	} {
		at := playlisttest.At(t, playlisttest.Shanghai(t), c.day+" 23:59")
		for days, want := range map[playlist.Weekdays]bool{
			playlist.Workdays: c.workdays, playlist.Holidays: c.holiday, 1 << time.Saturday: c.saturday, 0: true,
			playlist.Workdays | 1<<time.Saturday: c.workdays || c.saturday, playlist.Workdays | playlist.Holidays: true,
		} {
			if got := days.Has(at, c.calendar); got != want {
				t.Errorf("%s: in %b: %v", c.name, days, got)
			}
		}
	}
}

func TestASlotOfWorkdaysFallsDueOnThem(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	dues := func(days playlist.Weekdays, c *playlist.Calendar) (all []string) {
		s := playlisttest.Slot(t, "早", "30 0 * * *") // on the day before, in UTC
		s.Days = days
		s = s.Under(c)
		for at := playlisttest.At(t, zone, "2026-09-25 00:00"); len(all) < 4; {
			due, ok := s.Next(at, zone)
			if !ok {
				break
			}
			all, at = append(all, due.In(zone).Format("01-02")), due
		}
		return all
	}
	for _, c := range []struct {
		name     string
		days     playlist.Weekdays
		calendar *playlist.Calendar
		want     []string
	}{
		{"workdays", playlist.Workdays, around, []string{"09-25", "09-27", "09-28", "09-29"}},
		{"holidays", playlist.Holidays, around, []string{"09-26", "10-01", "10-02", "10-03"}},
		{"workdays and Saturdays", playlist.Workdays | 1<<time.Saturday, around, []string{"09-25", "09-26", "09-27", "09-28"}},
		{"Mondays alone", 1 << time.Monday, around, []string{"09-28", "10-05", "10-12", "10-19"}},
		{"workdays without a calendar", playlist.Workdays, nil, []string{"09-25", "09-28", "09-29", "09-30"}},
	} {
		if got := dues(c.days, c.calendar); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnotherCalendarMakesAnotherSlotOfWorkdays(t *testing.T) {
	other := &playlist.Calendar{Off: around.Off, On: around.On[:1]}
	for _, c := range []struct {
		name string
		days playlist.Weekdays
		same bool
	}{
		{"every day", 0, true},
		{"weekdays", 1 << time.Monday, true},
		{"workdays", playlist.Workdays, false},
		{"Mondays and holidays", 1<<time.Monday | playlist.Holidays, false},
	} {
		s := aSlot(t)
		s.Days = c.days
		of := func(c *playlist.Calendar) playlist.Slot { return s.Under(c) }
		again := &playlist.Calendar{Off: slices.Clone(around.Off), On: slices.Clone(around.On)}
		if a, b := of(around), of(again); !a.Equal(b) || a.DueKey(time.UTC) != b.DueKey(time.UTC) {
			t.Errorf("%s: one calendar, read twice, makes two slots", c.name)
		}
		for _, was := range []*playlist.Calendar{nil, around} {
			a, b := of(was), of(other)
			if a.Equal(b) != c.same || (a.DueKey(time.UTC) == b.DueKey(time.UTC)) != c.same {
				t.Errorf("%s: from %v: %q, %q", c.name, was, a.DueKey(time.UTC), b.DueKey(time.UTC))
			}
		}
	}
	// Older programs read the keys of slots that know no calendar.
	s := aSlot(t)
	s.Days = 1<<time.Monday | 1<<time.Friday
	if got, want := s.Under(around).DueKey(time.UTC), "morning|30 6 * * *|||[2026-10-01]|34|UTC"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSlotsWithoutTheWordsTravelAsBefore(t *testing.T) {
	s := aSlot(t)
	for days, want := range map[playlist.Weekdays]string{0: "", 34: `,"days":34`, playlist.Workdays: `,"days":256`} {
		s.Days = days
		text, err := json.Marshal(s.Under(around))
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"name":"morning","playlist":"lessons","cron":"30 6 * * *","outputs":["east"],"count":1,"except":["2026-10-01"]` + want +
			`,"priority":0,"window":0,"missed":"","after":"","into_quiet":"","level_db":0}`; string(text) != want {
			t.Errorf("%s\nwant %s", text, want)
		}
		// A program that has a byte for the set refuses the words.
		var old struct{ Days uint8 }
		if err := json.Unmarshal(text, &old); (err != nil) != days.ByCalendar() {
			t.Errorf("read into a byte: %v", err)
		}
	}
	s = playlisttest.Slot(t, "a", "* * * * *")
	s.IntoQuiet = playlist.QuietCut
	for days, good := range map[playlist.Weekdays]bool{127: true, playlist.Workdays | playlist.Holidays | 1: true, 128: false, 1 << 10: false} {
		if s.Days = days; (s.Check() == nil) != good {
			t.Errorf("days %d: %v", days, s.Check())
		}
	}
}

func TestAProgrammeKnowsTheYearsThatItsCalendarLacks(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	workdays := playlist.Span{Days: playlist.Workdays}
	of := func(p playlist.Programme) playlist.Programme {
		p.Site.Zone = zone
		return p
	}
	slot := playlist.Programme{Slots: []playlist.Slot{{Days: playlist.Holidays}}}
	known := slot
	known.Calendar = around
	for _, c := range []struct {
		name     string
		p        playlist.Programme
		from, to string
		want     []int
	}{
		{"nothing goes by it", playlist.Programme{Slots: []playlist.Slot{{Days: 1}}}, "2026-01-01 00:00", "2027-01-01 00:00", nil},
		{"no calendar", slot, "2026-12-31 23:59", "2027-01-01 00:00", []int{2026, 2027}},
		{"within its year", known, "2026-01-01 00:00", "2026-12-31 23:59", nil},
		{"into the next, by local time", known, "2026-12-01 00:00", "2027-01-01 00:00", []int{2027}},
		{"quiet hours", playlist.Programme{Quiet: []playlist.Quiet{{Span: workdays}}}, "2026-01-01 00:00", "2026-01-01 00:00", []int{2026}},
		{"dayparts", playlist.Programme{Dayparts: []playlist.Daypart{{Span: workdays}}}, "2026-01-01 00:00", "2026-01-01 00:00", []int{2026}},
		{"hours of the site's own", playlist.Programme{County: playlist.CountyRules{Protected: []playlist.Span{workdays}}}, "2026-01-01 00:00", "2026-01-01 00:00", []int{2026}},
	} {
		p := of(c.p)
		if got := p.Uncovered(playlisttest.At(t, zone, c.from), playlisttest.At(t, zone, c.to)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestQuietHoursOfWorkdaysGoByTheCalendar(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	night := playlist.Span{From: 22 * 60, To: 6 * 60, Days: playlist.Workdays}
	p := playlist.Programme{
		Site: playlist.Site{Zone: zone}, Calendar: around, Quiet: []playlist.Quiet{{Span: night}},
		Dayparts: []playlist.Daypart{{Span: night, LevelDB: -6}}, County: playlist.CountyRules{Protected: []playlist.Span{night}},
	}
	for at, want := range map[string]bool{
		"2026-09-26 23:00": false, // a Saturday
		"2026-09-27 23:00": true,  // worked
		"2026-09-30 23:00": true,
		"2026-10-01 05:00": true, // of the night before
		"2026-10-01 23:00": false,
		"2026-10-08 05:00": false,
	} {
		i := playlisttest.At(t, zone, at)
		if p.QuietAt(i) != want || p.ProtectedAt(i) != want || (p.LevelAt(i) != 0) != want {
			t.Errorf("%s: quiet %v, local hours %v, level %v", at, p.QuietAt(i), p.ProtectedAt(i), p.LevelAt(i))
		}
	}
}

func TestACountysSlotsGoByTheCalendarOfTheSite(t *testing.T) {
	s := aSlot(t)
	s.Days, s.Outputs = playlist.Workdays, nil
	p := playlist.Programme{Site: playlist.Site{Area: "320924100201"}, Outputs: []playlist.Output{{Name: "east"}}, Calendar: around}
	m := playlist.Manifest{Scope: "area:320924000000", Slots: []playlist.Slot{s}}
	got := p.With(playlist.Follower{Areas: []playlist.Area{"320924100201"}}, []playlist.Manifest{m})
	if fmt.Sprint(got.Slots[0].Calendar) != fmt.Sprint(around) || m.Slots[0].Calendar != nil {
		t.Errorf("%v, and in the manifest %v", got.Slots[0].Calendar, m.Slots[0].Calendar)
	}
}
