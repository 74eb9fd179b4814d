package playlist_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
)

// The instants are worked out by hand from the rules of the zones.
func TestASlotFallsDueAsTheClocksOfItsVillageShow(t *testing.T) {
	slot := func(spec string, change ...func(*playlist.Slot)) playlist.Slot {
		s := playlisttest.Slot(t, "早", spec)
		for _, c := range change {
			c(&s)
		}
		return s
	}
	for _, c := range []struct {
		name, zone string
		slot       playlist.Slot
		after      string
		want       string
	}{
		// Lord Howe: 5 April 2026 02:00 (+11) is 01:30 (+10:30), 4 October 02:00 is 02:30.
		{"half an hour shown twice", "Australia/Lord_Howe", slot("45 1 * * *"), "2026-04-04T00:00:00Z",
			"2026-04-04T14:45:00Z 2026-04-04T15:15:00Z 2026-04-05T15:15:00Z"},
		{"the first minute shown twice", "Australia/Lord_Howe", slot("30 1 5 4 *"), "2026-04-01T00:00:00Z",
			"2026-04-04T14:30:00Z 2026-04-04T15:00:00Z 2027-04-04T15:00:00Z"},
		{"the time at which clocks go back", "Australia/Lord_Howe", slot("0 2 5 4 *"), "2026-04-01T00:00:00Z",
			"2026-04-04T15:30:00Z 2027-04-04T15:30:00Z"},
		{"the half hour skipped", "Australia/Lord_Howe", slot("15 2 * * *"), "2026-10-02T00:00:00Z",
			"2026-10-02T15:45:00Z 2026-10-04T15:15:00Z"},
		{"the first minute after half an hour skipped", "Australia/Lord_Howe", slot("30 2 * * *"), "2026-10-02T20:00:00Z",
			"2026-10-03T15:30:00Z 2026-10-04T15:30:00Z"},
		{"the morning after half an hour skipped", "Australia/Lord_Howe", slot("0 7 4 10 *"), "2026-01-01T00:00:00Z",
			"2026-10-03T20:00:00Z 2027-10-03T20:00:00Z"},
		{"every hour over half an hour skipped", "Australia/Lord_Howe", slot("0 * * * *"), "2026-10-03T14:00:00Z",
			"2026-10-03T14:30:00Z 2026-10-03T16:00:00Z 2026-10-03T17:00:00Z"},

		// Cairo: 24 April 2026 00:00 (+2) is 01:00 (+3), 30 October 00:00 is 23:00 of the 29th.
		{"the hour after a midnight skipped", "Africa/Cairo", slot("30 0 * * *"), "2026-04-22T00:00:00Z",
			"2026-04-22T22:30:00Z 2026-04-24T21:30:00Z"},
		{"a midnight skipped", "Africa/Cairo", slot("@daily"), "2026-04-22T00:00:00Z",
			"2026-04-22T22:00:00Z 2026-04-24T21:00:00Z"},
		{"the morning after a midnight skipped", "Africa/Cairo", slot("0 7 24 4 *"), "2026-01-01T00:00:00Z",
			"2026-04-24T04:00:00Z 2027-04-24T05:00:00Z"},
		{"the hour before midnight shown twice", "Africa/Cairo", slot("30 23 * * *"), "2026-10-29T00:00:00Z",
			"2026-10-29T20:30:00Z 2026-10-29T21:30:00Z 2026-10-30T21:30:00Z"},
		{"a midnight at which clocks go back", "Africa/Cairo", slot("0 0 * * *"), "2026-10-29T00:00:00Z",
			"2026-10-29T22:00:00Z 2026-10-30T22:00:00Z"},
		{"the day after an exception begins at one", "Africa/Cairo", slot("0 * * * *", func(s *playlist.Slot) { s.Except = []playlist.Date{"2026-04-23"} }), "2026-04-22T21:30:00Z",
			"2026-04-23T22:00:00Z 2026-04-23T23:00:00Z"},
		{"an exception of twenty-five hours", "Africa/Cairo", slot("0 * * * *", func(s *playlist.Slot) { s.Except = []playlist.Date{"2026-10-29"} }), "2026-10-28T20:00:00Z",
			"2026-10-29T22:00:00Z 2026-10-29T23:00:00Z"},
		{"the first day begins at one", "Africa/Cairo", slot("0 * * * *", func(s *playlist.Slot) { s.From = "2026-04-24" }), "2026-01-01T00:00:00Z",
			"2026-04-23T22:00:00Z 2026-04-23T23:00:00Z"},
		{"the last day has twenty-five hours", "Africa/Cairo", slot("0 * * * *", func(s *playlist.Slot) { s.To = "2026-10-29" }), "2026-10-29T19:30:00Z",
			"2026-10-29T20:00:00Z 2026-10-29T21:00:00Z"},

		// Beirut: 29 March 2026 00:00 (+2) is 01:00 (+3), 25 October 00:00 is 23:00 of the 24th.
		{"a Sunday without its first hour", "Asia/Beirut", slot("30 0 * * sun"), "2026-03-27T00:00:00Z",
			"2026-04-04T21:30:00Z 2026-04-11T21:30:00Z"},
		{"noon on a Sunday without its first hour", "Asia/Beirut", slot("0 12 * * sun"), "2026-03-27T00:00:00Z",
			"2026-03-29T09:00:00Z 2026-04-05T09:00:00Z"},
		{"a Saturday with its last hour twice", "Asia/Beirut", slot("15 23 * * sat"), "2026-10-24T00:00:00Z",
			"2026-10-24T20:15:00Z 2026-10-24T21:15:00Z 2026-10-31T21:15:00Z"},

		// São Paulo: 4 November 2018 00:00 (-3) is 01:00 (-2). Havana: 8 March 2026 00:00 (-5) is 01:00 (-4), 1 November 01:00 is 00:00.
		{"a midnight skipped west of Greenwich", "America/Sao_Paulo", slot("0 0,1 * * *"), "2018-11-03T04:30:00Z",
			"2018-11-04T03:00:00Z 2018-11-05T02:00:00Z 2018-11-05T03:00:00Z"},
		{"a midnight skipped in Havana", "America/Havana", slot("0 0 * * sun"), "2026-03-07T00:00:00Z",
			"2026-03-15T04:00:00Z 2026-03-22T04:00:00Z"},
		{"a midnight shown twice", "America/Havana", slot("0 0 * * *"), "2026-10-31T12:00:00Z",
			"2026-11-01T04:00:00Z 2026-11-01T05:00:00Z 2026-11-02T05:00:00Z"},

		// St. John's: 7 November 2010 00:01 (-2:30) is 23:01 (-3:30) of the 6th.
		{"an exception that clocks come back to", "America/St_Johns", slot("* * * * *", func(s *playlist.Slot) { s.Except = []playlist.Date{"2010-11-06"} }), "2010-11-06T03:00:00Z",
			"2010-11-07T02:30:00Z 2010-11-07T03:30:00Z 2010-11-07T03:31:00Z"},
		{"a last day that clocks come back to", "America/St_Johns", slot("30 23 * * *", func(s *playlist.Slot) { s.To = "2010-11-06" }), "2010-11-06T03:00:00Z",
			"2010-11-07T02:00:00Z 2010-11-07T03:00:00Z"},

		{"a day skipped", "Pacific/Apia", slot("0 7 * * *"), "2011-12-29T00:00:00Z",
			"2011-12-29T17:00:00Z 2011-12-30T17:00:00Z"},
		{"the day that was skipped, each year", "Pacific/Apia", slot("0 7 30 12 *"), "2011-06-01T00:00:00Z",
			"2012-12-29T17:00:00Z 2013-12-29T17:00:00Z"},
		{"two hours skipped", "Antarctica/Troll", slot("30 1,2 * * *"), "2026-03-28T03:00:00Z",
			"2026-03-29T23:30:00Z 2026-03-30T00:30:00Z"},
		{"two hours shown twice", "Antarctica/Troll", slot("30 1 * * *"), "2026-10-24T00:00:00Z",
			"2026-10-24T23:30:00Z 2026-10-25T01:30:00Z 2026-10-26T01:30:00Z"},
		{"an offset of 45 minutes", "Pacific/Chatham", slot("0 3 * * *"), "2026-09-25T00:00:00Z",
			"2026-09-25T14:15:00Z 2026-09-27T13:15:00Z"},
		{"an offset with seconds", "Africa/Monrovia", slot("0 7 * * *"), "1971-12-01T00:00:00Z",
			"1971-12-01T07:44:30Z 1971-12-02T07:44:30Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := utc(t, c.after)
			for _, want := range strings.Fields(c.want) {
				due, ok := c.slot.Next(at, zoneOf(t, c.zone))
				if !ok || !due.Equal(utc(t, want)) {
					t.Fatalf("%q in %s after %s: %s (%v), want %s", c.slot.Cron, c.zone, at.Format(time.RFC3339), due.Format(time.RFC3339), ok, want)
				}
				at = due
			}
			if c.slot.To != "" {
				if due, ok := c.slot.Next(at, zoneOf(t, c.zone)); ok {
					t.Errorf("due %v, after its last day", due)
				}
			}
		})
	}
}

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The clocks of Cairo show 23:00 to 24:00 twice on 29 October 2026.
func TestATimeShownTwiceAirsTwiceAndEachOnce(t *testing.T) {
	p := &playlist.Programme{Site: playlist.Site{Zone: zoneOf(t, "Africa/Cairo")}, Slots: []playlist.Slot{
		playlisttest.Slot(t, "晚", "30 23 * * *"), playlisttest.Slot(t, "夜", "*/20 * * * *"),
	}}
	from, to := utc(t, "2026-10-29T18:00:00Z"), utc(t, "2026-10-29T23:00:00Z")
	var whole, late []playlist.AiringID
	for _, a := range p.Timetable().Due(from, to) {
		whole = append(whole, a.ID)
		if a.Slot.Name == "晚" {
			late = append(late, a.ID)
		}
	}
	if want := []playlist.AiringID{"晚@20261029T203000Z", "晚@20261029T213000Z"}; !slices.Equal(late, want) {
		t.Errorf("%v, want %v", late, want)
	}
	if ids := slices.Compact(slices.Sorted(slices.Values(whole))); len(ids) != len(whole) || len(whole) != 2+5*3 {
		t.Errorf("%d airings, %d of them different, want 17: %v", len(whole), len(ids), whole)
	}
	table := p.Timetable()
	var ticks []playlist.AiringID
	for at := from; at.Before(to); at = at.Add(7 * time.Second) {
		for _, a := range table.Due(at, minTime(at.Add(7*time.Second), to)) {
			ticks = append(ticks, a.ID)
		}
	}
	if !slices.Equal(ticks, whole) {
		t.Errorf("asked every seven seconds %v, asked once %v", ticks, whole)
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// plain is a spec of six fields, read as text: which values fit each field.
type plain struct {
	text [6]string
	fits [6][60]bool
	open bool // the day or the weekday is *, so that both must fit
}

var lows, highs = [6]int{0, 0, 0, 1, 1, 0}, [6]int{59, 59, 23, 31, 12, 6}

func read(text ...string) (p plain) {
	copy(p.text[:], text)
	for field := range p.text {
		for _, item := range strings.Split(p.text[field], ",") {
			stretch, step, stepped := strings.Cut(item, "/")
			from, to, every := lows[field], highs[field], 1
			if stretch != "*" && stretch != "?" {
				a, b, ranged := strings.Cut(stretch, "-")
				from, _ = strconv.Atoi(a)
				if ranged {
					to, _ = strconv.Atoi(b)
				} else if !stepped {
					to = from
				}
			}
			if stepped {
				every, _ = strconv.Atoi(step)
			}
			for value := from; value <= to; value += every {
				p.fits[field][value] = true
			}
			if (field == 3 || field == 5) && (item == "*" || item == "?" || item == "*/1") {
				p.open = true
			}
		}
	}
	return p
}

// names reports whether the spec names the local time.
func (p *plain) names(at time.Time) bool {
	if h, m, s := at.Clock(); !p.fits[0][s] || !p.fits[1][m] || !p.fits[2][h] {
		return false
	}
	_, m, d := at.Date()
	date, weekday := p.fits[3][d], p.fits[5][at.Weekday()]
	return p.fits[4][m] && (date && weekday || !p.open && (date || weekday))
}

func (p *plain) cron(t *testing.T) playlist.Cron {
	t.Helper()
	return playlisttest.Cron(t, strings.Join(p.text[:], " "))
}

// anyField writes a field with values between lo and hi.
func anyField(r *rand.Rand, field, lo, hi int) string {
	one := func() string {
		a := lo + r.IntN(hi-lo+1)
		b := a + r.IntN(hi-a+1)
		return []string{
			"*", strconv.Itoa(a), fmt.Sprintf("%d-%d", a, b), fmt.Sprintf("%d-%d/%d", a, b, 1+r.IntN(4)),
			fmt.Sprintf("*/%d", 1+r.IntN(9)), fmt.Sprintf("%d/%d", a, 1+r.IntN(highs[field])),
		}[r.IntN(6)]
	}
	items := []string{one()}
	for r.IntN(3) == 0 {
		items = append(items, one())
	}
	return strings.Join(items, ",")
}

// These clocks change between 2024 and 2028, in every way that any zone has.
var changing = strings.Fields(`
	Africa/Cairo Africa/Casablanca Africa/Ceuta America/Adak America/Anchorage America/Asuncion America/Boise America/Chicago America/Coyhaique
	America/Denver America/Detroit America/Halifax America/Havana America/Los_Angeles America/Miquelon America/New_York America/Nuuk America/Port-au-Prince
	America/Santiago America/Scoresbysund America/St_Johns America/Thule America/Tijuana Antarctica/Macquarie Antarctica/Troll Arctic/Longyearbyen
	Asia/Almaty Asia/Beirut Asia/Famagusta Asia/Gaza Asia/Jerusalem Asia/Qostanay Atlantic/Azores Atlantic/Bermuda Atlantic/Canary Australia/Adelaide
	Australia/Broken_Hill Australia/Hobart Australia/Lord_Howe Australia/Sydney Europe/Berlin Europe/Chisinau Europe/Dublin Europe/Kyiv Europe/Lisbon
	Europe/London Pacific/Auckland Pacific/Chatham Pacific/Easter Pacific/Norfolk`)

// These changed in ways that none does now: by a day, by seconds, at a minute past
// midnight, four times a year.
var historic = strings.Fields(`
	Africa/Cairo Africa/Casablanca Africa/Monrovia America/Caracas America/Havana America/Juneau America/New_York America/Sao_Paulo America/St_Johns
	America/Toronto Antarctica/Troll Asia/Beirut Asia/Kathmandu Asia/Manila Asia/Pyongyang Asia/Shanghai Asia/Singapore Asia/Tehran Australia/Lord_Howe
	Europe/Amsterdam Europe/Dublin Pacific/Apia Pacific/Chatham Pacific/Kiritimati Pacific/Kwajalein`)

// changes returns the instants in [from, to) at which the clocks of a zone change.
func changes(zone *time.Location, from, to time.Time) (all []time.Time) {
	offset := func(at time.Time) int { _, o := at.In(zone).Zone(); return o }
	const stride = 3 * time.Hour
	for at := from; at.Before(to); at = at.Add(stride) {
		if offset(at) == offset(at.Add(stride)) {
			continue
		}
		before, after := at, at.Add(stride)
		for after.Sub(before) > time.Second {
			if middle := before.Add(after.Sub(before) / 2).Truncate(time.Second); offset(middle) == offset(at) {
				before = middle
			} else {
				after = middle
			}
		}
		all = append(all, after)
	}
	return all
}

// agree compares Next with a look at each instant, one of which lies at every
// whole multiple of step after from.
func agree(t *testing.T, r *rand.Rand, zone *time.Location, from, to time.Time, step time.Duration, specs int) {
	t.Helper()
	var local []time.Time
	for at := from.Add(step); !at.After(to); at = at.Add(step) {
		local = append(local, at.In(zone))
	}
	for range specs {
		f := []string{"0", anyField(r, 1, 0, 59), anyField(r, 2, 0, 23), "*", "*", "*"}
		if r.IntN(2) == 0 {
			f[2] = anyField(r, 2, 0, 4) // when most clocks change
		}
		if step < time.Minute {
			f[0] = anyField(r, 0, 0, 59)
		}
		if r.IntN(3) == 0 {
			d := local[len(local)/2].Day()
			f[3], f[4], f[5] = anyField(r, 3, max(1, d-1), min(31, d+1)), anyField(r, 4, 1, 12), anyField(r, 5, 0, 6)
		}
		p := read(f...)
		c := p.cron(t)
		next, ok := c.Next(from.In(zone))
		for _, at := range local {
			if !p.names(at) {
				continue
			}
			if !ok || !next.Equal(at) {
				t.Fatalf("%q in %s: next %v (%v), but it names %v", c, zone, next, ok, at)
			}
			next, ok = c.Next(next)
		}
		if ok && !next.After(to) {
			t.Fatalf("%q in %s: next %v, which it does not name", c, zone, next)
		}
	}
}

func TestNextAgreesWithALookAtEachMinuteWhereClocksChange(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 11))
	met := 0
	look := func(name string, from, to time.Time, around time.Duration, specs int) {
		zone := zoneOf(t, name)
		for _, at := range changes(zone, from, to) {
			met++
			_, before := at.Add(-time.Second).In(zone).Zone()
			_, after := at.In(zone).Zone()
			switch {
			case before%60 != 0 || after%60 != 0:
				agree(t, r, zone, at.Add(-2*time.Hour), at.Add(2*time.Hour), time.Second, specs)
			case max(before-after, after-before) >= 12*3600: // a day skipped or shown twice
				agree(t, r, zone, at.Add(-30*time.Hour), at.Add(30*time.Hour), time.Minute, 10*specs)
			default:
				agree(t, r, zone, at.Add(-around), at.Add(around), time.Minute, specs)
			}
		}
	}
	for _, name := range changing {
		was := met
		look(name, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC), 26*time.Hour, 5)
		if met == was {
			t.Errorf("the clocks of %s do not change", name)
		}
	}
	for _, name := range historic {
		look(name, time.Date(1840, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), 5*time.Hour, 2)
	}
	if met < 1500 {
		t.Errorf("only %d changes looked at", met)
	}
}

func TestNextAgreesWithALookAtEachSecondWhereClocksChange(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 12))
	for _, name := range changing {
		zone := zoneOf(t, name)
		for _, at := range changes(zone, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
			agree(t, r, zone, at.Add(-30*time.Minute), at.Add(150*time.Minute), time.Second, 3)
		}
	}
}

// Go's table of changes ends in 2037 or before; then come rules, and a leap year's
// last day is past the end that it gives them.
func TestNextAgreesOverTheEndOfALeapYearFarAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 13))
	for _, name := range changing {
		at := time.Date(2048, 12, 31, 12, 0, 0, 0, time.UTC)
		agree(t, r, zoneOf(t, name), at.Add(-36*time.Hour), at.Add(36*time.Hour), time.Minute, 4)
	}
}

// Every second of a day, and the noons of twelve years.
func TestNextAgreesWithALookAtEachDayAndTime(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 14))
	for range 10 {
		at := time.Date(1900+r.IntN(200), 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(365))
		agree(t, r, time.UTC, at, at.AddDate(0, 0, 1), time.Second, 5)
	}
	for range 400 {
		p := read("0", "0", "12", anyField(r, 3, 1, 31), anyField(r, 4, 1, 12), anyField(r, 5, 0, 6))
		c := p.cron(t)
		from := time.Date(1964+r.IntN(120), 1, 1, 0, 0, 0, 0, time.UTC)
		next, ok := c.Next(from)
		for at := from.Add(12 * time.Hour); at.Before(from.AddDate(12, 0, 0)); at = at.AddDate(0, 0, 1) {
			if !p.names(at) {
				continue
			}
			if !ok || !next.Equal(at) {
				t.Fatalf("%q: next %v (%v), but it names %v", c, next, ok, at)
			}
			next, ok = c.Next(at)
		}
	}
}

func TestASpecThatNoCalendarFitsHasNoNext(t *testing.T) {
	for _, name := range []string{"Asia/Shanghai", "Australia/Lord_Howe", "Africa/Cairo"} {
		for _, y := range []int{1890, 1969, 2026, 2047} {
			at := time.Date(y, 2, 28, 13, 0, 0, 5, zoneOf(t, name))
			for _, spec := range []string{"0 0 30 2 *", "0 0 31 4,6,9,11 *", "30 12 30,31 feb ?"} {
				if next, ok := playlisttest.Cron(t, spec).Next(at); ok {
					t.Errorf("%q after %v: %v", spec, at, next)
				}
			}
			want := time.Date((y+3)/4*4, 2, 29, 7, 0, 0, 0, at.Location())
			if next, ok := playlisttest.Cron(t, "0 7 29 2 *").Next(at); !ok || !next.Equal(want) {
				t.Errorf("leap day after %v: %v (%v), want %v", at, next, ok, want)
			}
		}
	}
	if next, ok := playlisttest.Cron(t, "0 7 29 2 *").Next(time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("a leap day within five years of 2096: %v", next)
	}
}
