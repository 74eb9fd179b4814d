package playlist

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Cron is a schedule: five fields (minute hour day month weekday), or six with
// seconds first, or one of the @daily family. It names every instant at which
// the clocks of a zone show a date and a time that fit: a time that they skip
// names none, a time that they show twice names both.
type Cron struct {
	spec   string
	fields *cron.SpecSchedule // only its bit sets are used, not its Next: that one is wrong where clocks change by half an hour or at midnight
}

// star is set beside the bits of a field written as * or ?. If the day or the
// weekday is, both must fit, else one of them.
const star = 1 << 63

// ParseCron reads a spec. It refuses what would not mean the same instant on
// every restart or in the site's zone: @every, and zones within the spec.
func ParseCron(spec string) (c Cron, err error) {
	s := strings.TrimSpace(spec)
	bad := func(why string) (Cron, error) {
		return Cron{}, fmt.Errorf("%w: cron spec %q: %s", ErrInvalid, spec, why)
	}
	switch {
	case s == "":
		return bad("empty")
	case len(s) > 256:
		return bad("longer than 256 bytes")
	case strings.HasPrefix(s, "TZ=") || strings.HasPrefix(s, "CRON_TZ="):
		return bad("a zone belongs to the site, not to the spec")
	case strings.HasPrefix(s, "@every"):
		return bad("@every counts from the start of the daemon and so names no instant")
	}
	fields := len(strings.Fields(s))
	options := cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	switch {
	case strings.HasPrefix(s, "@"):
		options = cron.Descriptor
	case fields == 6:
		options |= cron.Second
	case fields != 5:
		return bad(fmt.Sprintf("%d fields; five wanted (minute hour day month weekday), or six with seconds first", fields))
	}
	// The parser takes these for an empty set of minutes, which costs seconds
	// to find out, and for all of them.
	for _, f := range strings.Fields(s) {
		for _, item := range strings.Split(f, ",") {
			if item == "" {
				return bad("nothing between two commas")
			}
			if strings.HasPrefix(item, "*-") || strings.HasPrefix(item, "?-") {
				return bad("* begins no range")
			}
		}
	}
	// The parser has panicked on crafted text before.
	defer func() {
		if r := recover(); r != nil {
			c, err = Cron{}, fmt.Errorf("%w: cron spec %q: %v", ErrInvalid, spec, r)
		}
	}()
	sched, err := cron.NewParser(options).Parse(s)
	if err != nil {
		return bad(err.Error())
	}
	set, ok := sched.(*cron.SpecSchedule)
	if !ok {
		return bad("it names no dates and times")
	}
	return Cron{spec: s, fields: set}, nil
}

// String is the spec as written.
func (c Cron) String() string { return c.spec }

// MarshalText is the spec as written.
func (c Cron) MarshalText() ([]byte, error) { return []byte(c.spec), nil }

// UnmarshalText is [ParseCron].
func (c *Cron) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCron(string(text))
	return err
}

// Next is the first instant strictly after at that the spec names in at's zone;
// ok is false if none comes within five years (30 February).
func (c Cron) Next(at time.Time) (time.Time, bool) {
	return c.next(at, at.Add(fiveYears), nil)
}

const (
	daySeconds = 24 * 60 * 60
	fiveYears  = (5*365 + 2) * daySeconds * time.Second
)

// next is the first instant after at, up to until, that the spec names in at's
// zone on a day for which on is true. A day is given as its midnight in UTC; a
// nil on is true for every day.
//
// It goes through the stretches between two changes of the zone's offset: there
// local time is UTC and the offset, so that the calendar is arithmetic and a
// skipped or doubled time needs no rule.
func (c Cron) next(at, until time.Time, on func(day time.Time) bool) (time.Time, bool) {
	if c.fields == nil {
		return time.Time{}, false
	}
	zone := at.Location()
	for from, past := at.Unix()+1, until.Unix()+1; from < past; {
		offset, change := stretch(time.Unix(from, 0).In(zone))
		change = min(change, past)
		if local, ok := c.firstIn(from+offset, change+offset, on); ok {
			return time.Unix(local-offset, 0).In(zone), true
		}
		from = change
	}
	return time.Time{}, false
}

// stretch returns the offset of local time from UTC at an instant, in seconds, and
// an instant in Unix seconds up to which it stays.
func stretch(at time.Time) (offset, until int64) {
	_, seconds := at.Zone()
	_, end := at.ZoneBounds()
	switch {
	case end.IsZero():
		until = math.MaxInt64 / 2
	case end.After(at):
		until = end.Unix()
	default:
		// Beyond its table of changes Go ends a year after 365 days: on the last
		// day of a leap year it names an instant in the past.
		until = (at.Unix()/daySeconds + 1) * daySeconds
	}
	return int64(seconds), until
}

// firstIn is the first local time in [from, end) that the spec names, in seconds
// since 1970 began on a clock that never changes; see next for on.
func (c Cron) firstIn(from, end int64, on func(day time.Time) bool) (int64, bool) {
	y, m, d := time.Unix(from, 0).UTC().Date()
	month := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	for month.Unix() < end {
		m++
		next := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		for days := c.days(month, next) >> d << d; days != 0; days &= days - 1 {
			midnight := month.Unix() + int64(bits.TrailingZeros64(days)-1)*daySeconds
			if midnight >= end {
				return 0, false
			}
			if on != nil && !on(time.Unix(midnight, 0).UTC()) {
				continue
			}
			if second, ok := c.timeOfDay(max(0, from-midnight)); ok {
				return midnight + second, midnight+second < end
			}
		}
		month, d = next, 1
	}
	return 0, false
}

// days returns the days of a month that the spec names, day 1 as bit 1. The month
// and the one after it are given by their first midnights, in UTC.
func (c Cron) days(month, next time.Time) uint64 {
	f := c.fields
	if f.Month>>month.Month()&1 == 0 {
		return 0
	}
	const everyWeek = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	first := month.Weekday()
	week := (f.Dow&0x7f>>first | f.Dow<<(7-first)) & 0x7f // bit 0: the weekday of day 1
	days := f.Dom | week*everyWeek<<1
	if (f.Dom|f.Dow)&star != 0 {
		days = f.Dom & (week * everyWeek << 1)
	}
	length := (next.Unix() - month.Unix()) / daySeconds
	return days & (1<<(length+1) - 2)
}

// timeOfDay is the first time of day not before from that the spec names, in
// seconds after midnight.
func (c Cron) timeOfDay(from int64) (int64, bool) {
	f, h, m, s := c.fields, from/3600, from/60%60, from%60
	hour := firstBit(f.Hour, h)
	if hour > h {
		m, s = 0, 0
	}
	minute := firstBit(f.Minute, m)
	if minute > m {
		s = 0
	}
	second := firstBit(f.Second, s)
	if second > 59 {
		minute, second = firstBit(f.Minute, minute+1), firstBit(f.Second, 0)
	}
	if minute > 59 {
		hour, minute, second = firstBit(f.Hour, hour+1), firstBit(f.Minute, 0), firstBit(f.Second, 0)
	}
	return (hour*60+minute)*60 + second, hour < 24
}

// firstBit is the number of the first bit of a field not below n, or above 63.
func firstBit(field uint64, n int64) int64 {
	return n + int64(bits.TrailingZeros64(field&^star>>n))
}

// CronFields are the numbers that the fields of a cron spec name, in order. A field is nil
// if it names all.
type CronFields struct {
	Second, Minute, Hour []int
	Day, Month, Weekday  []int // weekday 0 is Sunday
}

// Fields are the numbers that the spec names.
func (c Cron) Fields() (f CronFields) {
	if c.fields == nil {
		return f
	}
	return CronFields{
		Second: numbers(c.fields.Second, 60), Minute: numbers(c.fields.Minute, 60), Hour: numbers(c.fields.Hour, 24),
		Day: numbers(c.fields.Dom, 31), Month: numbers(c.fields.Month, 12), Weekday: numbers(c.fields.Dow&0x7f|c.fields.Dow&star, 7),
	}
}

// numbers are the bits that are set in a field; nil if all of its so many values are.
func numbers(field uint64, all int) (set []int) {
	if field&star != 0 {
		return nil
	}
	for ; field != 0; field &= field - 1 {
		set = append(set, bits.TrailingZeros64(field))
	}
	if len(set) == all {
		return nil
	}
	return set
}
