package cli

import (
	"testing"
	"time"
)

func TestTimesAreParsedAsPeopleTypeThem(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 10, 0, zone)
	for _, c := range []struct {
		text, want string
		day        bool
	}{
		{"2026-11-20", "2026-11-20 00:00:00", true},
		{"2026-1-2", "2026-01-02 00:00:00", true},
		{"2026-11-20 07:30", "2026-11-20 07:30:00", false},
		{"2026-11-20 07:30:15", "2026-11-20 07:30:15", false},
		{"2026-11-20T07:30", "2026-11-20 07:30:00", false},
		{" 2026-11-20  07:30 ", "2026-11-20 07:30:00", false},
		{"2026-11-20T00:30:00Z", "2026-11-20 08:30:00", false},
		{"2026-11-20t07:30:00+08:00", "2026-11-20 07:30:00", false},
		{"07:30", "2026-11-23 07:30:00", false},
		{"7:30", "2026-11-23 07:30:00", false},
		{"07：30", "2026-11-23 07:30:00", false},
		{"07:30:15", "2026-11-23 07:30:15", false},
		{"today", "2026-11-23 00:00:00", true},
		{"今天", "2026-11-23 00:00:00", true},
		{"Yesterday", "2026-11-22 00:00:00", true},
		{"昨天 07:30", "2026-11-22 07:30:00", false},
		{"昨天07:30", "2026-11-22 07:30:00", false},
		{"yesterday 07:30", "2026-11-22 07:30:00", false},
		{"前天", "2026-11-21 00:00:00", true},
		{"明天 6:00", "2026-11-24 06:00:00", false},
		{"now", "2026-11-23 12:00:10", false},
		{"现在", "2026-11-23 12:00:10", false},
		{"7d", "2026-11-16 12:00:10", false},
		{"24h", "2026-11-22 12:00:10", false},
		{"30m", "2026-11-23 11:30:10", false},
	} {
		got, day, err := ParseWhen(c.text, now, zone)
		if err != nil || got.In(zone).Format(time.DateTime) != c.want || day != c.day {
			t.Errorf("%q: %v, %v, %v", c.text, got.In(zone), day, err)
		}
	}
	for _, text := range []string{"", "soon", "2026-13-01", "2026-02-30", "25:00", "07:60", "今天 下午", "-7d", "d", "7w", "2026-11-20 07:30 pm", "99999d"} {
		if got, _, err := ParseWhen(text, now, zone); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestAPeriodEndsWithItsLastDay(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ since, until, from, to string }{
		{"2026-11-20", "2026-11-20", "2026-11-20 00:00:00", "2026-11-21 00:00:00"},
		{"2026-11-20 06:00", "2026-11-20 07:00", "2026-11-20 06:00:00", "2026-11-20 07:00:00"},
		{"", "yesterday", "0001-01-01 00:00:00", "2026-11-23 00:00:00"},
	} {
		from, to, err := Period{c.since, c.until}.Span(now, time.UTC)
		if err != nil || from.Format(time.DateTime) != c.from || to.Format(time.DateTime) != c.to {
			t.Errorf("%s to %s: %v to %v, %v", c.since, c.until, from, to, err)
		}
	}
}

func TestATimeThatClocksShowTwiceOrNeverIsReported(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ zone, text, want string }{
		{"Asia/Shanghai", "2026-11-20 07:30", "2026-11-19T23:30:00Z"},
		{"America/New_York", "2026-03-08 01:59", "2026-03-08T06:59:00Z"},
		{"America/New_York", "2026-03-08 02:00", "there was no 2026-03-08 02:00: clocks went from 02:00 straight to 03:00 that day; name another time"},
		{"America/New_York", "2026-03-08 02:59:59", "there was no 2026-03-08 02:59: clocks went from 02:00 straight to 03:00 that day; name another time"},
		{"America/New_York", "2026-03-08 03:00", "2026-03-08T07:00:00Z"},
		{"America/New_York", "2026-11-01 00:59", "2026-11-01T04:59:00Z"},
		{"America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00Z 2026-11-01T06:30:00Z"},
		{"America/New_York", "2026-11-01 02:00", "2026-11-01T07:00:00Z"},
		{"America/New_York", "2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00Z"},
		{"Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04T14:45:00Z 2026-04-04T15:15:00Z"},
		{"Australia/Lord_Howe", "2026-10-04 02:15", "there was no 2026-10-04 02:15: clocks went from 02:00 straight to 02:30 that day; name another time"},
		{"Pacific/Apia", "2011-12-30 12:00", "there was no 2011-12-30 12:00: clocks went from 00:00 straight to 00:00 that day; name another time"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		all, day, err := ParseMoments(c.text, now, zone)
		got := ""
		if err != nil {
			got = err.Error()
		}
		for i, at := range all {
			if i > 0 {
				got += " "
			}
			got += at.UTC().Format(time.RFC3339)
		}
		if got != c.want || day {
			t.Errorf("%s, %s: %s, want %s", c.zone, c.text, got, c.want)
		}
	}
}
