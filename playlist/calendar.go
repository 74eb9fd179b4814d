package playlist

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Calendar names the days that are off or worked whatever their weekday: public
// holidays (节假日), and the days that make up for them (调休上班). Both lists are
// sorted and have no day in common. A nil Calendar names no day.
type Calendar struct {
	Off []Date `json:"off"`
	On  []Date `json:"on"`
}

// Workday reports whether the day of a local instant is worked. A day that the
// calendar does not name is, from Monday to Friday. Every other day is a holiday.
func (c *Calendar) Workday(local time.Time) bool {
	if c != nil {
		day := Date(local.Format(time.DateOnly))
		if _, on := slices.BinarySearch(c.On, day); on {
			return true
		}
		if _, off := slices.BinarySearch(c.Off, day); off {
			return false
		}
	}
	return local.Weekday() != time.Saturday && local.Weekday() != time.Sunday
}

// covers reports whether the calendar names any day of the year.
func (c *Calendar) covers(year int) bool {
	if c == nil {
		return false
	}
	in := func(d Date) bool { return strings.HasPrefix(string(d), fmt.Sprintf("%04d-", year)) }
	return slices.ContainsFunc(c.Off, in) || slices.ContainsFunc(c.On, in)
}

// key is the same for two calendars if they name the same days.
func (c *Calendar) key() string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, c.Off, c.On)))[:16]
}

// Uncovered returns the years from one instant to another of which the calendar names
// no day: workdays are Monday to Friday there. It returns none if nothing in the
// programme goes by the calendar.
func (p *Programme) Uncovered(from, to time.Time) (years []int) {
	if !p.byCalendar() {
		return nil
	}
	for y := from.In(p.Site.Zone).Year(); y <= to.In(p.Site.Zone).Year(); y++ {
		if !p.Calendar.covers(y) {
			years = append(years, y)
		}
	}
	return years
}

// byCalendar reports whether some days of the programme go by the calendar.
func (p *Programme) byCalendar() bool {
	return slices.ContainsFunc(p.Slots, func(s Slot) bool { return s.Days.ByCalendar() }) ||
		slices.ContainsFunc(p.Quiet, func(q Quiet) bool { return q.Days.ByCalendar() }) ||
		slices.ContainsFunc(p.Dayparts, func(d Daypart) bool { return d.Days.ByCalendar() }) ||
		slices.ContainsFunc(p.County.Protected, func(s Span) bool { return s.Days.ByCalendar() })
}
