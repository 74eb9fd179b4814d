package playlist

import (
	"fmt"
	"time"
)

// TimeOfDay is minutes after local midnight, 0 to 1440 (24:00, as an end).
type TimeOfDay int

// ParseTimeOfDay reads "HH:MM", 00:00 to 24:00.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	var h, m int
	if len(s) != 5 || s[2] != ':' {
		return 0, fmt.Errorf("%w: %q is no time of day: HH:MM wanted", ErrInvalid, s)
	}
	for i, c := range s {
		if i != 2 && (c < '0' || c > '9') {
			return 0, fmt.Errorf("%w: %q is no time of day: HH:MM wanted", ErrInvalid, s)
		}
	}
	h = int(s[0]-'0')*10 + int(s[1]-'0')
	m = int(s[3]-'0')*10 + int(s[4]-'0')
	if m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, fmt.Errorf("%w: %q is no time of day: 00:00 to 24:00 wanted", ErrInvalid, s)
	}
	return TimeOfDay(h*60 + m), nil
}

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// On returns the instant of t on the local day of at. If a daylight-saving change
// skips it, that is the first instant after the gap; if clocks show it twice, the first
// of the two.
func (t TimeOfDay) On(at time.Time, zone *time.Location) time.Time {
	y, m, d := at.In(zone).Date()
	on := time.Date(y, m, d, int(t)/60, int(t)%60, 0, 0, zone)
	// In a gap Go returns an instant an hour early or late; which is not defined.
	wanted := time.Date(y, m, d, int(t)/60, int(t)%60, 0, 0, time.UTC)
	_, offset := on.Zone()
	start, end := on.ZoneBounds()
	if !start.IsZero() {
		_, before := start.Add(-1).Zone()
		if first := on.Add(time.Duration(offset-before) * time.Second); before > offset && first.Before(start) {
			return first
		}
	}
	switch wanted.Compare(on.UTC().Add(time.Duration(offset) * time.Second)) {
	case 1:
		return end
	case -1:
		return start
	}
	return on
}

// ShownTwice reports whether clocks show the time of that instant at another instant too,
// because they are set back.
func ShownTwice(at time.Time, zone *time.Location) bool {
	at = at.In(zone)
	_, offset := at.Zone()
	start, end := at.ZoneBounds()
	shift := func(edge time.Time) time.Duration { // to the instant that reads the same with the offset there
		_, other := edge.Zone()
		return time.Duration(offset-other) * time.Second
	}
	return !start.IsZero() && at.Add(shift(start.Add(-1))).Before(start) || !end.IsZero() && !at.Add(shift(end)).Before(end)
}

// StartOfDay is the first instant of a calendar day: midnight or, where the clocks skip
// that, the end of the gap. Days beyond a month's end count on into the next.
func StartOfDay(y int, m time.Month, d int, zone *time.Location) time.Time {
	return TimeOfDay(0).On(time.Date(y, m, d, 12, 0, 0, 0, zone), zone)
}

func minuteOf(local time.Time) TimeOfDay { return TimeOfDay(local.Hour()*60 + local.Minute()) }

// Weekdays is a set of days: bit 0 Sunday to bit 6 Saturday, [Workdays] and
// [Holidays]. Zero means every day.
type Weekdays uint16

// The days that go by the [Calendar]. They are beyond a byte, in which release 0.1 has
// the set: it refuses a manifest with them, and does not leave its slot silent.
const (
	Workdays Weekdays = 1 << (8 + iota)
	Holidays

	everyDay = 1<<7 - 1 | Workdays | Holidays
)

// ByCalendar reports whether workdays or holidays are in the set.
func (w Weekdays) ByCalendar() bool { return w&(Workdays|Holidays) != 0 }

// Has reports whether the day of a local instant is in the set.
func (w Weekdays) Has(local time.Time, c *Calendar) bool {
	if w == 0 || w&(1<<local.Weekday()) != 0 {
		return true
	}
	if !w.ByCalendar() {
		return false
	}
	if c.Workday(local) {
		return w&Workdays != 0
	}
	return w&Holidays != 0
}

// Span is a daily stretch of local time from From up to but not including To. If To
// is not after From, it runs over midnight and belongs to the day on which it began.
type Span struct {
	From TimeOfDay `json:"from"`
	To   TimeOfDay `json:"to"`
	Days Weekdays  `json:"days,omitempty"`
}

// Valid reports whether the span did not come from a program that knows other spans.
func (s Span) Valid() bool {
	return min(s.From, s.To) >= 0 && max(s.From, s.To) <= 24*60 && s.Days&^everyDay == 0
}

// Holds reports whether the local instant falls in the span.
func (s Span) Holds(local time.Time, c *Calendar) bool {
	m := minuteOf(local)
	if s.From < s.To {
		return m >= s.From && m < s.To && s.Days.Has(local, c)
	}
	year, month, day := local.Date()
	yesterday := time.Date(year, month, day-1, 0, 0, 0, 0, time.UTC) // in local's zone clocks may skip it
	return m >= s.From && s.Days.Has(local, c) || m < s.To && s.Days.Has(yesterday, c)
}

// anyWeek is four weeks in which each day of the week is worked and off, after a day
// that is worked and after one that is off.
var anyWeek = func() (c Calendar) {
	for d := range 28 {
		day := Date(aSunday.AddDate(0, 0, d).Format(time.DateOnly))
		if d < 7 || d >= 14 && d%2 == 0 {
			c.Off = append(c.Off, day)
		} else {
			c.On = append(c.On, day)
		}
	}
	return c
}()

var aSunday = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)

// Overlaps reports whether some minute lies in both spans, by some calendar.
func (s Span) Overlaps(t Span) bool {
	edges := func(a, b Span) bool {
		for d := range 28 {
			if at := a.From.On(aSunday.AddDate(0, 0, d), time.UTC); a.Holds(at, &anyWeek) && b.Holds(at, &anyWeek) {
				return true
			}
		}
		return false
	}
	return edges(s, t) || edges(t, s)
}

// Quiet is a stretch in which nothing routine sounds (免打扰).
type Quiet struct{ Span }

// Daypart is a stretch with a level of its own (时段).
type Daypart struct {
	Span
	LevelDB float64
}

// QuietAt reports whether the instant lies in quiet hours.
func (p *Programme) QuietAt(at time.Time) bool {
	local := at.In(p.Site.Zone)
	for _, q := range p.Quiet {
		if q.Holds(local, p.Calendar) {
			return true
		}
	}
	return false
}

// QuietFrom returns the first instant in [at, until) that lies in quiet hours; ok
// is false if there is none.
func (p *Programme) QuietFrom(at, until time.Time) (start time.Time, ok bool) {
	if len(p.Quiet) == 0 || !at.Before(until) {
		return time.Time{}, false
	}
	if p.QuietAt(at) {
		return at, true
	}
	// Spans change on whole minutes only, daylight saving included.
	for t := at.Truncate(time.Minute).Add(time.Minute); t.Before(until); t = t.Add(time.Minute) {
		if p.QuietAt(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

// QuietUntil is the first instant from at on that lies in no quiet hours, as
// far as a week ahead.
func (p *Programme) QuietUntil(at time.Time) time.Time {
	if !p.QuietAt(at) {
		return at
	}
	end := at.Add(7 * 24 * time.Hour)
	for t := at.Truncate(time.Minute).Add(time.Minute); t.Before(end); t = t.Add(time.Minute) {
		if !p.QuietAt(t) {
			return t
		}
	}
	return end
}

// LevelAt is the level of the daypart that holds the instant, 0 dB outside
// all of them. The first listed wins.
func (p *Programme) LevelAt(at time.Time) float64 {
	local := at.In(p.Site.Zone)
	for _, d := range p.Dayparts {
		if d.Holds(local, p.Calendar) {
			return d.LevelDB
		}
	}
	return 0
}
