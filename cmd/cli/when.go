package cli

import (
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Period holds --since and --until as typed.
type Period struct{ Since, Until string }

// PeriodFlags adds --since and --until to a verb.
func (a *App) PeriodFlags(c *cobra.Command, p *Period) {
	c.Flags().StringVar(&p.Since, "since", "", a.Say("view.flag_since"))
	c.Flags().StringVar(&p.Until, "until", "", a.Say("view.flag_until"))
}

// Span returns the period as instants, [since, until); zero for one that was
// not typed.
func (p Period) Span(now time.Time, zone *time.Location) (since, until time.Time, err error) {
	if p.Since != "" {
		if since, _, err = ParseWhen(p.Since, Back, now, zone); err != nil {
			return since, until, err
		}
	}
	if p.Until != "" {
		w, err := parseWhen(p.Until, Back, now, zone)
		if err != nil {
			return since, until, err
		}
		until = w.instant(w.at, zone)
		if !w.end.IsZero() {
			until = w.instant(w.end, zone)
		}
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return since, until, Refused{say.M("view.no_period", p.Since, p.Until)}
	}
	return since, until, nil
}

// Look is which way a verb looks in time. It decides which day is meant by a date
// without a year and by a day of the week.
type Look int

const (
	Back  Look = iota // the latest such day up to today
	Ahead             // the next such day from today on
	Near              // of dates without a year or month the one that is closest; else as Back
)

// ParseWhen parses an instant as people type it: a day with or without a time, a
// time of today, RFC 3339, "now", or a time ago ("7d", "24h", "30m"). A day is a date
// (2026-11-23, 11/23, 11月23日, 23日), a word (昨天, yesterday) or one of the week
// (周五, fri); a time is 07:30, 7点半, 下午3点 or 7pm. A week, a month and a part of a
// day (上周, 本月, 昨晚) are when they begin. day reports that it is a whole day.
func ParseWhen(text string, look Look, now time.Time, zone *time.Location) (at time.Time, day bool, err error) {
	w, err := parseWhen(text, look, now, zone)
	return w.instant(w.at, zone), w.day(), err
}

// when is what was typed.
type when struct {
	at   time.Time
	end  time.Time // of the day, week, month or part of a day that was named; zero: an instant was
	wall bool      // both are local times, written as if they were UTC
}

// day reports whether it is a whole day.
func (w when) day() bool { return !w.end.IsZero() && w.at.AddDate(0, 0, 1).Equal(w.end) }

// instant is that of one of its times.
func (w when) instant(t time.Time, zone *time.Location) time.Time {
	if !w.wall {
		return t
	}
	noon := time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, zone)
	return playlist.TimeOfDay(60*t.Hour()+t.Minute()).On(noon, zone).Add(time.Duration(t.Second()) * time.Second)
}

// ParseMoments is ParseWhen, which looks for the closest day, for a caller that must know which instant
// was meant: it returns both if clocks showed that time twice, and an error if they
// never showed it. span reports that it is a day or longer, or a part of a day.
func ParseMoments(text string, now time.Time, zone *time.Location) (at []time.Time, span bool, err error) {
	w, err := parseWhen(text, Near, now, zone)
	one := w.at
	switch {
	case err != nil:
		return nil, false, err
	case !w.wall:
		return []time.Time{one}, false, nil
	case !w.end.IsZero():
		return []time.Time{w.instant(w.at, zone)}, true, nil
	}
	// With the zone's offset of the day before and that of the day after.
	for _, days := range []int{-1, 1} {
		_, offset := one.AddDate(0, 0, days).In(zone).Zone()
		t := one.Add(-time.Duration(offset) * time.Second).In(zone)
		if t.Format(time.DateTime) == one.Format(time.DateTime) && (len(at) == 0 || !at[0].Equal(t)) {
			at = append(at, t)
		}
	}
	if len(at) == 0 {
		after := time.Date(one.Year(), one.Month(), one.Day(), one.Hour(), one.Minute(), one.Second(), 0, zone)
		step, end := after.ZoneBounds()
		if one.Format(time.DateTime) > after.Format(time.DateTime) {
			step = end
		}
		_, offset := step.Add(-time.Second).In(zone).Zone()
		before := step.In(time.FixedZone("", offset))
		return nil, false, Refused{say.M("cli.no_such_time", one.Format("2006-01-02 15:04"), before.Format("15:04"), step.In(zone).Format("15:04"))}
	}
	return at, false, nil
}

func parseWhen(text string, look Look, now time.Time, zone *time.Location) (when, error) {
	s := plain(text)
	if s == "now" || s == "现在" {
		return when{at: now}, nil
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err == nil {
		return when{at: t}, nil
	}
	if ago, ok := parseAgo(s); ok {
		return when{at: now.Add(-ago)}, nil
	}
	y, m, d := now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if from, to, ok := parseSpan(s, today); ok {
		return when{at: from, end: to, wall: true}, nil
	}
	date, rest, found := parseDay(s, look, today)
	switch {
	case date.IsZero() && found:
		return when{}, Refused{say.M("cli.no_such_day", text)}
	case found && rest == "":
		return when{at: date, end: date.AddDate(0, 0, 1), wall: true}, nil
	case !found:
		date, rest = today, s
	}
	if clock, ok := parseClock(rest); ok {
		return when{at: date.Add(clock), wall: true}, nil
	}
	if from, to, ok := parsePart(rest); ok {
		return when{at: date.Add(from), end: date.Add(to), wall: true}, nil
	}
	return when{}, Refused{say.M("cli.bad_time", text)}
}

// ParseDay parses a day as people type it, looking back: what [ParseWhen] takes for a
// day, or so many days ago.
func ParseDay(text string, now time.Time, zone *time.Location) (playlist.Date, error) {
	at, day, err := ParseWhen(text, Back, now, zone)
	if err != nil {
		return "", err
	}
	if _, ago := parseAgo(plain(text)); !day && !ago {
		return "", Refused{say.M("cli.no_day", text)}
	}
	return playlist.Date(at.In(zone).Format(time.DateOnly)), nil
}

var timeAgo = regexp.MustCompile(`^(\d{1,4}) ?(?:(m|分钟前?|min(?:ute)?s? ago)|(h|个?小时前?|hours? ago)|(d|天前?|days? ago)|(?:周前?|个?(?:星期|礼拜)前?|weeks? ago))$`)

func parseAgo(s string) (time.Duration, bool) {
	m := timeAgo.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	unit := 7 * 24 * time.Hour
	for i, u := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
		if m[2+i] != "" {
			unit = u
		}
	}
	return time.Duration(atoi(m[1])) * unit, true
}

// Midnight returns the start of the local day that is on days after at.
func Midnight(at time.Time, zone *time.Location, on int) time.Time {
	y, m, d := at.In(zone).Date()
	return playlist.StartOfDay(y, m, d+on, zone)
}
