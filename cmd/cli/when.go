package cli

import (
	"strconv"
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
		if since, _, err = ParseWhen(p.Since, now, zone); err != nil {
			return since, until, err
		}
	}
	if p.Until != "" {
		var day bool
		if until, day, err = ParseWhen(p.Until, now, zone); err != nil {
			return since, until, err
		}
		if day { // the whole day
			until = Midnight(until, zone, 1)
		}
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return since, until, Refused{say.M("view.no_period", p.Since, p.Until)}
	}
	return since, until, nil
}

var days = map[string]int{
	"today": 0, "今天": 0, "yesterday": -1, "昨天": -1, "前天": -2, "tomorrow": 1, "明天": 1, "后天": 2,
}

// ParseWhen parses an instant as people type it: a date, a date and a time, a
// time of today, RFC 3339, "now", today or yesterday with or without a time, or
// a time ago ("7d", "24h", "30m"). day reports that it is a whole day.
func ParseWhen(text string, now time.Time, zone *time.Location) (at time.Time, day bool, err error) {
	at, wall, day, err := parseWhen(text, now, zone)
	if wall {
		noon := time.Date(at.Year(), at.Month(), at.Day(), 12, 0, 0, 0, zone)
		at = playlist.TimeOfDay(60*at.Hour()+at.Minute()).On(noon, zone).Add(time.Duration(at.Second()) * time.Second)
	}
	return at, day, err
}

// ParseMoments is ParseWhen for a caller that must know which instant was
// meant: it returns both if clocks showed that time twice, and an error if they
// never showed it.
func ParseMoments(text string, now time.Time, zone *time.Location) (at []time.Time, day bool, err error) {
	one, wall, day, err := parseWhen(text, now, zone)
	switch {
	case err != nil:
		return nil, false, err
	case !wall:
		return []time.Time{one}, false, nil
	case day:
		return []time.Time{playlist.StartOfDay(one.Year(), one.Month(), one.Day(), zone)}, true, nil
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

// parseWhen returns the instant or, if wall is set, the local time written as
// if it were UTC.
func parseWhen(text string, now time.Time, zone *time.Location) (at time.Time, wall, day bool, err error) {
	bad := Refused{say.M("cli.bad_time", text)}
	s := strings.ToLower(strings.TrimSpace(strings.ReplaceAll(text, "：", ":")))
	if s == "now" || s == "现在" {
		return now, false, false, nil
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err == nil {
		return t, false, false, nil
	}
	if ago, ok := parseAgo(s); ok {
		return now.Add(-ago), false, false, nil
	}
	date, clock, timed := strings.Cut(strings.Replace(s, "t", " ", 1), " ")
	for name, offset := range days { // "today" contains a t
		if rest, ok := strings.CutPrefix(s, name); ok {
			date, clock = Midnight(now, zone, offset).Format(time.DateOnly), strings.TrimSpace(rest)
			timed = clock != ""
		}
	}
	if !timed && strings.Contains(date, ":") {
		date, clock, timed = now.In(zone).Format(time.DateOnly), date, true
	}
	if !timed {
		if at, err = time.Parse("2006-1-2", date); err != nil {
			return time.Time{}, false, false, bad
		}
		return at, true, true, nil
	}
	for _, layout := range []string{"2006-1-2 15:04", "2006-1-2 15:04:05"} {
		if at, err = time.Parse(layout, date+" "+strings.TrimSpace(clock)); err == nil {
			return at, true, false, nil
		}
	}
	return time.Time{}, false, false, bad
}

func parseAgo(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	return time.Duration(n) * unit, ok && err == nil
}

// Midnight returns the start of the local day that is on days after at.
func Midnight(at time.Time, zone *time.Location, on int) time.Time {
	y, m, d := at.In(zone).Date()
	return playlist.StartOfDay(y, m, d+on, zone)
}
