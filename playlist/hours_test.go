package playlist_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
)

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestParseTimeOfDay(t *testing.T) {
	for s, want := range map[string]playlist.TimeOfDay{"00:00": 0, "06:30": 390, "23:59": 1439, "24:00": 1440} {
		if got, err := playlist.ParseTimeOfDay(s); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "6:30", "24:01", "12:60", "-1:00", "12-30", "12:3a", "12:30:00", "１２:30"} {
		if got, err := playlist.ParseTimeOfDay(s); err == nil {
			t.Errorf("%q was taken as %v", s, got)
		}
	}
}

func TestTimeOfDayOnDaysOfDaylightSaving(t *testing.T) {
	for _, c := range []struct {
		name, zone, day, clock, want string
	}{
		{"an ordinary day", "America/New_York", "2026-01-15", "02:30", "2026-01-15T02:30:00-05:00"},
		{"in the hour skipped", "America/New_York", "2026-03-08", "02:30", "2026-03-08T03:00:00-04:00"},
		{"at the first minute skipped", "America/New_York", "2026-03-08", "02:00", "2026-03-08T03:00:00-04:00"},
		{"in the hour skipped east of Greenwich", "Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:00:00+02:00"},
		{"where midnight itself is skipped", "America/Sao_Paulo", "2018-11-04", "00:00", "2018-11-04T01:00:00-02:00"},
		{"24:00 before such a midnight", "America/Sao_Paulo", "2018-11-03", "24:00", "2018-11-04T01:00:00-02:00"},
		{"in the hour that is shown twice", "America/New_York", "2026-11-01", "01:30", "2026-11-01T01:30:00-04:00"},
		{"the same east of Greenwich", "Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T02:30:00+02:00"},
		{"half an hour shown twice", "Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"},
		{"just behind it", "Australia/Lord_Howe", "2026-04-05", "02:00", "2026-04-05T02:00:00+10:30"},
		{"in China", "Asia/Shanghai", "2026-03-29", "24:00", "2026-03-30T00:00:00+08:00"},
	} {
		zone := zoneOf(t, c.zone)
		noon, err := time.ParseInLocation("2006-01-02 15:04", c.day+" 12:00", zone)
		if err != nil {
			t.Fatal(err)
		}
		clock, err := playlist.ParseTimeOfDay(c.clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := clock.On(noon, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestATimeThatIsShownTwice(t *testing.T) {
	for _, c := range []struct {
		zone, at string
		want     bool
	}{
		{"America/New_York", "2026-11-01T01:00:00-04:00", true},
		{"America/New_York", "2026-11-01T01:59:59-05:00", true},
		{"America/New_York", "2026-11-01T00:59:59-04:00", false},
		{"America/New_York", "2026-11-01T02:00:00-05:00", false},
		{"America/New_York", "2026-03-08T03:00:00-04:00", false}, // set forward
		{"Australia/Lord_Howe", "2026-04-05T01:45:00+11:00", true},
		{"Australia/Lord_Howe", "2026-04-05T01:45:00+10:30", true},
		{"Australia/Lord_Howe", "2026-04-05T02:00:00+10:30", false},
		{"Asia/Shanghai", "2026-04-05T01:45:00+08:00", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := playlist.ShownTwice(at, zoneOf(t, c.zone)); got != c.want {
			t.Errorf("%s in %s: %v", c.at, c.zone, got)
		}
	}
}

func TestTheStartOfADayWhereClocksSkipMidnight(t *testing.T) {
	for _, c := range []struct{ zone, want string }{
		{"America/Havana", "2026-03-08T01:00:00-04:00"},
		{"Africa/Cairo", "2026-03-08T00:00:00+02:00"},
		{"Asia/Shanghai", "2026-03-08T00:00:00+08:00"},
	} {
		if got := playlist.StartOfDay(2026, 3, 8, zoneOf(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s, want %s", c.zone, got, c.want)
		}
	}
}

func TestASpanOverMidnightBelongsToTheDayItBeganOn(t *testing.T) {
	fridays := playlist.Span{From: 22 * 60, To: 6 * 60, Days: 1 << time.Friday}
	for _, c := range []struct {
		at   string
		want bool
	}{
		{"2026-11-27 21:59", false}, // a Friday
		{"2026-11-27 22:00", true},
		{"2026-11-28 05:59", true},
		{"2026-11-28 06:00", false},
		{"2026-11-28 22:00", false},
		{"2026-11-27 05:00", false},
	} {
		at, err := time.Parse("2006-01-02 15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := fridays.Holds(at, nil); got != c.want {
			t.Errorf("%s: %v", c.at, got)
		}
	}
}

func TestOverlapsAgreesWithCountingMinutes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() playlist.Span {
		s := playlist.Span{From: playlist.TimeOfDay(r.IntN(48) * 30), To: playlist.TimeOfDay(r.IntN(49) * 30), Days: playlist.Weekdays(r.IntN(128))}
		if s.From == s.To {
			s.To = 24 * 60
		}
		if r.IntN(2) == 0 {
			s.Days = s.Days&playlist.Weekdays(r.IntN(128)) | []playlist.Weekdays{playlist.Workdays, playlist.Holidays}[r.IntN(2)]
		}
		return s
	}
	sunday := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	// both counts the minutes of a day if that and the day before are worked or not.
	both := func(a, b playlist.Span, day time.Time, works, worked bool) (n int) {
		var c playlist.Calendar
		for d, on := range map[time.Time]bool{day: works, day.AddDate(0, 0, -1): worked} {
			list := &c.Off
			if on {
				list = &c.On
			}
			*list = append(*list, playlist.Date(d.Format(time.DateOnly)))
			slices.Sort(*list)
		}
		for at := day; at.Before(day.AddDate(0, 0, 1)); at = at.Add(30 * time.Minute) {
			if a.Holds(at, &c) && b.Holds(at, &c) {
				n++
			}
		}
		return n
	}
	for range 2000 {
		a, b := random(), random()
		want := false
		for d := 0; d < 28 && !want; d++ {
			want = both(a, b, sunday.AddDate(0, 0, d%7), d/7&1 == 1, d/14 == 1) > 0
		}
		if got := a.Overlaps(b); got != want || b.Overlaps(a) != want {
			t.Fatalf("%+v and %+v: %v, want %v", a, b, got, want)
		}
	}
}

func TestQuietHoursOverDaylightSaving(t *testing.T) {
	p := playlist.Programme{
		Site:  playlist.Site{Zone: zoneOf(t, "America/New_York")},
		Quiet: []playlist.Quiet{{Span: playlist.Span{From: 60 + 30, To: 2*60 + 30}}},
	}
	quiet := func(from, until string) (n int) {
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		end, err := time.Parse(time.RFC3339, until)
		if err != nil {
			t.Fatal(err)
		}
		for ; at.Before(end); at = at.Add(time.Minute) {
			if p.QuietAt(at) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		name, from, until string
		want              int
	}{
		{"an ordinary night", "2026-01-15T00:00:00-05:00", "2026-01-15T12:00:00-05:00", 60},
		{"the night that skips an hour", "2026-03-08T00:00:00-05:00", "2026-03-08T12:00:00-04:00", 30},
		{"the night that repeats an hour", "2026-11-01T00:00:00-04:00", "2026-11-01T12:00:00-05:00", 90},
	} {
		if got := quiet(c.from, c.until); got != c.want {
			t.Errorf("%s: %d quiet minutes, want %d", c.name, got, c.want)
		}
	}
	at := time.Date(2026, 3, 8, 5, 59, 30, 0, time.UTC) // 00:59:30
	if start, ok := p.QuietFrom(at, at.Add(time.Hour)); !ok || !start.Equal(time.Date(2026, 3, 8, 6, 30, 0, 0, time.UTC)) {
		t.Errorf("quiet from %v, %v", start, ok)
	}
	if _, ok := p.QuietFrom(at, at.Add(30*time.Minute)); ok {
		t.Error("quiet before it begins")
	}
}
