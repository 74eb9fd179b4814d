package scheduletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
)

// calendar says what the clocks of a place show in each minute, and which minutes
// are quiet hours. It takes every minute as it comes, so that times which the
// clocks skip or show twice need no thought.
type calendar struct {
	zone    *time.Location
	hours   []playlist.Quiet
	named   map[playlist.Date]bool // by the site's calendar: worked
	first   time.Time
	minutes []minute
}

type minute struct {
	month, day, weekday int
	ofDay               int  // minutes that the clocks show after 00:00
	works, worked       bool // the day is a workday; the day before was
	quiet               bool
}

// newCalendar begins two days ahead of from.
func newCalendar(p *playlist.Programme, from time.Time) *calendar {
	c := &calendar{zone: p.Site.Zone, hours: p.Quiet, named: map[playlist.Date]bool{}, first: from.Truncate(time.Minute).Add(-48 * time.Hour)}
	if p.Calendar != nil {
		for _, d := range p.Calendar.Off {
			c.named[d] = false
		}
		for _, d := range p.Calendar.On {
			c.named[d] = true
		}
	}
	return c
}

// workday says how a day counts, the day before it at -1.
func (c *calendar) workday(local time.Time, days int) bool {
	noon := time.Date(local.Year(), local.Month(), local.Day()+days, 12, 0, 0, 0, time.UTC)
	if works, ok := c.named[playlist.Date(noon.Format(time.DateOnly))]; ok {
		return works
	}
	return 1 <= noon.Weekday() && noon.Weekday() <= 5
}

func (c *calendar) number(at time.Time) int { return int(at.Sub(c.first) / time.Minute) }

func (c *calendar) instant(n int) time.Time { return c.first.Add(time.Duration(n) * time.Minute) }

func (c *calendar) minute(n int) minute {
	for len(c.minutes) <= n {
		local := c.instant(len(c.minutes)).In(c.zone)
		m := minute{
			month: int(local.Month()), day: local.Day(), weekday: int(local.Weekday()),
			ofDay: local.Hour()*60 + local.Minute(),
			works: c.workday(local, 0), worked: c.workday(local, -1),
		}
		m.quiet = slices.ContainsFunc(c.hours, func(q playlist.Quiet) bool { return holds(q, m) })
		c.minutes = append(c.minutes, m)
	}
	return c.minutes[n]
}

// holds reports whether the minute lies in the span, which belongs to the day on
// which it begins.
func holds(q playlist.Quiet, m minute) bool {
	from, to := int(q.From), int(q.To)
	today, yesterday := on(q.Days, m.weekday, m.works), on(q.Days, (m.weekday+6)%7, m.worked)
	if from < to {
		return today && from <= m.ofDay && m.ofDay < to
	}
	return today && from <= m.ofDay || yesterday && m.ofDay < to
}

func on(days playlist.Weekdays, weekday int, works bool) bool {
	counts := playlist.Holidays
	if works {
		counts = playlist.Workdays
	}
	return days == 0 || days>>weekday&1 == 1 || days&counts == counts
}

func (c *calendar) quiet(at time.Time) bool { return c.minute(c.number(at)).quiet }

// quietBefore returns when quiet hours begin between at, which lies in none, and end.
func (c *calendar) quietBefore(at, end time.Time) (time.Time, bool) {
	for n := c.number(at) + 1; c.instant(n).Before(end); n++ {
		if c.minute(n).quiet {
			return c.instant(n), true
		}
	}
	return time.Time{}, false
}

// quietEnd returns when the quiet hours that hold at are over, at most nine days on.
func (c *calendar) quietEnd(at time.Time) time.Time {
	n := c.number(at)
	for last := n + 9*24*60; n < last && c.minute(n).quiet; {
		n++
	}
	return c.instant(n)
}

// until returns the time of day on the local day of at, 0 being the end of the
// day: the first minute in which the clocks show it or have passed it.
func (c *calendar) until(t playlist.TimeOfDay, at time.Time) time.Time {
	n := c.number(at)
	today := c.minute(n).day
	for n > 0 && c.minute(n-1).day == today {
		n--
	}
	for c.minute(n).day == today && (t == 0 || c.minute(n).ofDay < int(t)) {
		n++
	}
	return c.instant(n)
}

// spec is a cron spec, field by field.
type spec struct {
	seconds, minutes, hours, days, months, weekdays map[int]bool
	anyDay, anyWeekday                              bool
}

var families = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var (
	monthNames   = []string{"", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

// parseSpec panics on what is no spec: a programme holds none such.
func parseSpec(text string) spec {
	if s, ok := families[text]; ok {
		text = s
	}
	fields := strings.Fields(strings.ToLower(text))
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	anyOf := func(f string) bool { return strings.Trim(f, "*?") == "" }
	return spec{
		seconds: parseField(fields[0], 0, 59, nil), minutes: parseField(fields[1], 0, 59, nil),
		hours: parseField(fields[2], 0, 23, nil), days: parseField(fields[3], 1, 31, nil),
		months: parseField(fields[4], 1, 12, monthNames), weekdays: parseField(fields[5], 0, 6, weekdayNames),
		anyDay: anyOf(fields[3]), anyWeekday: anyOf(fields[5]),
	}
}

// parseField reads "*", "3", "3-7", "*/5", "3/5", "3-7/2" and lists of these.
func parseField(field string, low, high int, names []string) map[int]bool {
	value := func(s string) int {
		if i := slices.Index(names, s); i >= 0 {
			return i
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(fmt.Sprintf("cron field %q: %v", field, err))
		}
		return n
	}
	set := map[int]bool{}
	for item := range strings.SplitSeq(field, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			step = value(stepText)
		}
		first, last, ranged := strings.Cut(span, "-")
		from, to := low, high
		if first != "*" && first != "?" {
			from = value(first)
			switch {
			case ranged:
				to = value(last)
			case !stepped:
				to = from
			}
		}
		for n := from; n <= to; n += step {
			set[n] = true
		}
	}
	return set
}

// holds reports whether the spec names the minute, some second of it.
func (s spec) holds(m minute) bool {
	if !s.minutes[m.ofDay%60] || !s.hours[m.ofDay/60] || !s.months[m.month] {
		return false
	}
	day, weekday := s.days[m.day], s.weekdays[m.weekday]
	if !s.anyDay && !s.anyWeekday {
		return day || weekday
	}
	return day && weekday
}

// dues returns the instants of the minute at which the slot falls due.
func (c *calendar) dues(slot *playlist.Slot, s spec, n int) []time.Time {
	if m := c.minute(n); !s.holds(m) || !on(slot.Days, m.weekday, m.works) {
		return nil
	}
	day := playlist.Date(c.instant(n).In(c.zone).Format(time.DateOnly))
	if slot.From != "" && day < slot.From || slot.To != "" && day > slot.To || slices.Contains(slot.Except, day) {
		return nil
	}
	var dues []time.Time
	for second := range 60 {
		if at := c.instant(n).Add(time.Duration(second) * time.Second); s.seconds[second] && !at.Before(slot.Since) {
			dues = append(dues, at)
		}
	}
	return dues
}
