package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dalaba/playlist/say"
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
		got, day, err := ParseWhen(c.text, Back, now, zone)
		if err != nil || got.In(zone).Format(time.DateTime) != c.want || day != c.day {
			t.Errorf("%q: %v, %v, %v", c.text, got.In(zone), day, err)
		}
	}
	for _, text := range []string{"", "soon", "2026-13-01", "2026-02-30", "25:00", "07:60", "-7d", "d", "7w", "99999d"} {
		if got, _, err := ParseWhen(text, Back, now, zone); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

// It is noon of Saturday, 28 November 2026.
func TestDaysAndTimesAreReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 10, 0, time.UTC)
	for _, c := range []struct{ text, back, ahead string }{
		// dates
		{"2026/11/20", "2026-11-20", "2026-11-20"},
		{"2026.11.20", "2026-11-20", "2026-11-20"},
		{"2026年11月20日", "2026-11-20", "2026-11-20"},
		{"2026年1月2号", "2026-01-02", "2026-01-02"},
		{"２０２６－１１－２０", "2026-11-20", "2026-11-20"},
		{"11-28", "2026-11-28", "2026-11-28"},
		{"11/27", "2026-11-27", "2027-11-27"},
		{"11/29", "2025-11-29", "2026-11-29"},
		{"11月27日", "2026-11-27", "2027-11-27"},
		{"11.28", "2026-11-28", "2026-11-28"},
		{"7.30", "2026-07-30", "2027-07-30"},
		{"20261127", "2026-11-27", "2026-11-27"},
		{"20261127 07:30", "2026-11-27 07:30:00", "2026-11-27 07:30:00"},
		{"26-11-28", "2026-11-28", "2026-11-28"},
		{"25.1.2", "2025-01-02", "2025-01-02"},
		{"last friday", "2026-11-27", "2026-11-27"},
		{"last sat 7pm", "2026-11-21 19:00:00", "2026-11-21 19:00:00"},
		{"12月1号", "2025-12-01", "2026-12-01"},
		{"十一月二十七日", "2026-11-27", "2027-11-27"},
		{"2月29日", "2024-02-29", "2028-02-29"},
		{"28日", "2026-11-28", "2026-11-28"},
		{"27号", "2026-11-27", "2026-12-27"},
		{"29日", "2026-10-29", "2026-11-29"},
		{"31日", "2026-10-31", "2026-12-31"},
		// words
		{"大前天", "2026-11-25", "2026-11-25"},
		{"前天", "2026-11-26", "2026-11-26"},
		{"昨日", "2026-11-27", "2026-11-27"},
		{"大后天", "2026-12-01", "2026-12-01"},
		{"the day before yesterday", "2026-11-26", "2026-11-26"},
		// days of the week
		{"周五", "2026-11-27", "2026-12-04"},
		{"周六", "2026-11-28", "2026-11-28"},
		{"星期三", "2026-11-25", "2026-12-02"},
		{"礼拜天", "2026-11-22", "2026-11-29"},
		{"上周五", "2026-11-20", "2026-11-20"},
		{"上周日", "2026-11-22", "2026-11-22"},
		{"上上个星期一", "2026-11-09", "2026-11-09"},
		{"这周三", "2026-11-25", "2026-11-25"},
		{"本周日", "2026-11-29", "2026-11-29"},
		{"下周一", "2026-11-30", "2026-11-30"},
		{"Fri", "2026-11-27", "2026-12-04"},
		{"wednesday", "2026-11-25", "2026-12-02"},
		{"Tues", "2026-11-24", "2026-12-01"},
		// times of today
		{"7点", "2026-11-28 07:00:00", "2026-11-28 07:00:00"},
		{"7点半", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"７：３０", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"七点半", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"两点零五分", "2026-11-28 02:05:00", "2026-11-28 02:05:00"},
		{"19点05分", "2026-11-28 19:05:00", "2026-11-28 19:05:00"},
		{"19点05", "2026-11-28 19:05:00", "2026-11-28 19:05:00"},
		{"19时5分30秒", "2026-11-28 19:05:30", "2026-11-28 19:05:30"},
		{"早上7点半", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"上午10点整", "2026-11-28 10:00:00", "2026-11-28 10:00:00"},
		{"下午3点", "2026-11-28 15:00:00", "2026-11-28 15:00:00"},
		{"下午 3:20", "2026-11-28 15:20:00", "2026-11-28 15:20:00"},
		{"下午15点", "2026-11-28 15:00:00", "2026-11-28 15:00:00"},
		{"晚上8点一刻", "2026-11-28 20:15:00", "2026-11-28 20:15:00"},
		{"晚上八点三刻", "2026-11-28 20:45:00", "2026-11-28 20:45:00"},
		{"凌晨12点", "2026-11-28 00:00:00", "2026-11-28 00:00:00"},
		{"零点", "2026-11-28 00:00:00", "2026-11-28 00:00:00"},
		{"中午", "2026-11-28 12:00:00", "2026-11-28 12:00:00"},
		{"中午1点", "2026-11-28 13:00:00", "2026-11-28 13:00:00"},
		{"7pm", "2026-11-28 19:00:00", "2026-11-28 19:00:00"},
		{"12am", "2026-11-28 00:00:00", "2026-11-28 00:00:00"},
		{"12:30 PM", "2026-11-28 12:30:00", "2026-11-28 12:30:00"},
		{"noon", "2026-11-28 12:00:00", "2026-11-28 12:00:00"},
		// both
		{"昨天 7点半", "2026-11-27 07:30:00", "2026-11-27 07:30:00"},
		{"昨天晚上8点", "2026-11-27 20:00:00", "2026-11-27 20:00:00"},
		{"昨晚8点", "2026-11-27 20:00:00", "2026-11-27 20:00:00"},
		{"今早七点半", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"昨天中午", "2026-11-27 12:00:00", "2026-11-27 12:00:00"},
		{"yesterday 7:30pm", "2026-11-27 19:30:00", "2026-11-27 19:30:00"},
		{"fri 7pm", "2026-11-27 19:00:00", "2026-12-04 19:00:00"},
		{"周三三点", "2026-11-25 03:00:00", "2026-12-02 03:00:00"},
		{"上周五下午3点", "2026-11-20 15:00:00", "2026-11-20 15:00:00"},
		{"11月27日7点半", "2026-11-27 07:30:00", "2027-11-27 07:30:00"},
		{"11-27　07：30", "2026-11-27 07:30:00", "2027-11-27 07:30:00"},
		{"11-28 19:00", "2026-11-28 19:00:00", "2026-11-28 19:00:00"},
		{"28日 07:30", "2026-11-28 07:30:00", "2026-11-28 07:30:00"},
		{"24:00", "2026-11-29 00:00:00", "2026-11-29 00:00:00"},
		{"昨天24点", "2026-11-28 00:00:00", "2026-11-28 00:00:00"},
		// ago
		{"3天前", "2026-11-25 12:00:10", "2026-11-25 12:00:10"},
		{"7天", "2026-11-21 12:00:10", "2026-11-21 12:00:10"},
		{"24小时", "2026-11-27 12:00:10", "2026-11-27 12:00:10"},
		{"两天前", "2026-11-26 12:00:10", "2026-11-26 12:00:10"},
		{"三小时前", "2026-11-28 09:00:10", "2026-11-28 09:00:10"},
		{"三个小时前", "2026-11-28 09:00:10", "2026-11-28 09:00:10"},
		{"十五分钟前", "2026-11-28 11:45:10", "2026-11-28 11:45:10"},
		{"一周前", "2026-11-21 12:00:10", "2026-11-21 12:00:10"},
		{"两个星期前", "2026-11-14 12:00:10", "2026-11-14 12:00:10"},
		{"2 days ago", "2026-11-26 12:00:10", "2026-11-26 12:00:10"},
		{"1 hour ago", "2026-11-28 11:00:10", "2026-11-28 11:00:10"},
	} {
		for look, want := range map[Look]string{Back: c.back, Ahead: c.ahead} {
			got, day, err := ParseWhen(c.text, look, now, time.UTC)
			text := got.Format(time.DateTime)
			if day {
				text = got.Format(time.DateOnly)
			}
			if err != nil || text != want {
				t.Errorf("%q, looking %d: %v, %v; want %s", c.text, look, text, err, want)
			}
		}
	}
}

func TestWhatIsNoTimeIsRefusedWithExamples(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 10, 0, time.UTC)
	for _, c := range []struct{ name, text, key string }{
		{"a day that no month has", "2月30日", "cli.no_such_day"},
		{"a day that no month has, with a time", "2-30 07:30", "cli.no_such_day"},
		{"a day that this year has not", "2026-02-29", "cli.no_such_day"},
		{"day and month the other way round", "28/11", "cli.no_such_day"},
		{"the 32nd", "32日", "cli.no_such_day"},
		{"midnight of two days", "晚上12点", "cli.bad_time"},
		{"one at night, of two days", "昨天晚上1点", "cli.bad_time"},
		{"a part of a day that has no such hour", "早上19点", "cli.bad_time"},
		{"an hour of the clock with 24 hours", "19:30am", "cli.bad_time"},
		{"Tuesday at ten, or Tuesday the 20th", "周二十点", "cli.bad_time"},
		{"minutes in one digit", "7点5", "cli.bad_time"},
		{"a number", "7", "cli.bad_time"},
		{"a date that begins with the day", "28-11-26", "cli.no_such_day"},
		{"a minute after the end of the day", "24:01", "cli.bad_time"},
		{"hours with a point", "1.5h", "cli.bad_time"},
		{"digits of a day that no month has", "20261131", "cli.no_such_day"},
		{"a date without an end", "11-287", "cli.bad_time"},
		{"a date run into a time", "2026-11-2007:30", "cli.bad_time"},
		{"sixty minutes", "7点60分", "cli.bad_time"},
	} {
		got, _, err := ParseWhen(c.text, Back, now, time.UTC)
		var m say.Message
		if !errors.As(err, &m) || m.Key != c.key || !errors.As(err, new(Refused)) {
			t.Errorf("%s: %q: %v, %v", c.name, c.text, got, err)
			continue
		}
		if zh := m.In(say.Chinese); !strings.Contains(zh, c.text) || !strings.Contains(zh, "2026-11-23、11-23") {
			t.Errorf("%s: %s", c.name, zh)
		}
	}
}

func TestADayIsReadWithoutATime(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	now := time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC) // the 28th in the zone
	for text, want := range map[string]string{
		"昨天": "2026-11-27", "7d": "2026-11-21", "11/27": "2026-11-27", "上周一": "2026-11-16", "3天前": "2026-11-25",
		"7天": "2026-11-21", "上周": "", "昨晚": "", "昨天 7点": "", "07:30": "", "now": "", "2月30日": "",
	} {
		if got, err := ParseDay(text, now, zone); string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, text := range []string{
		"2026-11-20 07:30:15", "11/28", "2月30日", "上周五下午3点", "周三三点", "昨晚八点一刻", "昨晚", "上个月", "24:00", "last fri", "26.11.28", "fri 7:30pm", "７：３０", "3天前", "now",
		"2026-11-20t07:30:00+08:00", "十一月二十七日", "28日", "0000-01-01", "9999-12-31 23:59", "1026-11-20 07:30:15",
	} {
		f.Add(text, int64(1795867210))
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		now := time.Unix(unix%(1<<33), 0)
		for _, look := range []Look{Back, Ahead} {
			at, day, err := ParseWhen(text, look, now, zone)
			switch {
			case err != nil && !errors.As(err, new(Refused)):
				t.Errorf("%q: %v", text, err)
			case err == nil && day && !Midnight(at, zone, 0).Equal(at):
				t.Errorf("%q: the day %v does not begin then", text, at)
			}
			if err != nil || day {
				continue
			}
			if _, off := at.Zone(); off%60 != 0 {
				continue // before there were zones: RFC 3339 has no seconds for the offset
			}
			if again, _, err := ParseWhen(at.Format(time.RFC3339), look, now, zone); at.Year() > 0 && at.Year() < 10000 && (err != nil || !again.Equal(at.Truncate(time.Second))) {
				t.Errorf("%q: %v reads back as %v, %v", text, at, again, err)
			}
		}
		_, _, _ = ParseMoments(text, now, zone)
	})
}

func TestAPeriodEndsWithItsLastDay(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ since, until, from, to string }{
		{"2026-11-20", "2026-11-20", "2026-11-20 00:00:00", "2026-11-21 00:00:00"},
		{"2026-11-20 06:00", "2026-11-20 07:00", "2026-11-20 06:00:00", "2026-11-20 07:00:00"},
		{"", "yesterday", "0001-01-01 00:00:00", "2026-11-23 00:00:00"},
		{"昨晚", "昨晚", "2026-11-22 17:00:00", "2026-11-23 00:00:00"},
		{"last night", "今早", "2026-11-22 17:00:00", "2026-11-23 12:00:00"},
		{"昨天下午", "今晚", "2026-11-22 12:00:00", "2026-11-24 00:00:00"},
		{"上周", "上周", "2026-11-16 00:00:00", "2026-11-23 00:00:00"},
		{"last week", "本周", "2026-11-16 00:00:00", "2026-11-30 00:00:00"},
		{"上个月", "上个月", "2026-10-01 00:00:00", "2026-11-01 00:00:00"},
		{"本月", "this month", "2026-11-01 00:00:00", "2026-12-01 00:00:00"},
		{"2026-11-20", "2026-11-20 24:00", "2026-11-20 00:00:00", "2026-11-21 00:00:00"},
	} {
		from, to, err := Period{c.since, c.until}.Span(now, time.UTC)
		if err != nil || from.Format(time.DateTime) != c.from || to.Format(time.DateTime) != c.to {
			t.Errorf("%s to %s: %v to %v, %v", c.since, c.until, from, to, err)
		}
	}
}

func TestAPartOfADayIsNoMoment(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]bool{"昨晚": true, "上周": true, "昨天": true, "昨晚8点": false, "昨天24:00": false} {
		if at, span, err := ParseMoments(text, now, time.UTC); err != nil || span != want || len(at) != 1 {
			t.Errorf("%s: %v, %v, %v", text, at, span, err)
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

func TestADayWithoutAYearIsTheClosestOne(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"11-30 7:30": "2026-11-30 07:30", "11月25日 7:30": "2026-11-25 07:30", "1-5 7:30": "2027-01-05 07:30", "6-1 7:30": "2026-06-01 07:30",
	} {
		at, _, err := ParseMoments(text, now, time.UTC)
		if err != nil || len(at) != 1 || at[0].Format("2006-01-02 15:04") != want {
			t.Errorf("%s: %v, %v; want %s", text, at, err, want)
		}
	}
}
