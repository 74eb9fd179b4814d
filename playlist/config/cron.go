package config

import (
	"strconv"
	"strings"

	"dalaba/playlist/say"
)

// field is one field of a cron spec and what it may hold.
type field struct {
	word   string // key of its name
	lo, hi int
	names  []string // names of lo, lo+1, ...
}

var (
	second  = field{"config.cron_second", 0, 59, nil}
	minute  = field{"config.cron_minute", 0, 59, nil}
	hour    = field{"config.cron_hour", 0, 23, nil}
	day     = field{"config.cron_day", 1, 31, nil}
	month   = field{"config.cron_month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")}
	weekday = field{"config.cron_weekday", 0, 6, strings.Fields("sun mon tue wed thu fri sat")}
)

var nicknames = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

// faultOfCron says what is wrong with a spec, in words that point at the field; bad is
// false if it finds nothing.
func faultOfCron(spec string) (what, remedy say.Message, bad bool) {
	s := strings.TrimSpace(spec)
	example := say.M("config.cron_remedy")
	switch {
	case s == "":
		return say.M("config.empty"), example, true
	case len(s) > 256:
		return say.M("config.long", 256), say.M("config.long_remedy"), true
	case strings.Contains(s, "TZ="):
		return say.M("config.cron_zone"), say.M("config.cron_zone_remedy"), true
	case strings.HasPrefix(s, "@every"):
		return say.M("config.cron_every"), say.M("config.cron_every_remedy"), true
	case strings.HasPrefix(s, "@"):
		for _, n := range nicknames {
			if s == n {
				return what, remedy, false
			}
		}
		return say.M("config.cron_nickname", shown(s)), say.M("config.known_remedy", all(nicknames)), true
	}
	parts := strings.Fields(s)
	fields := fieldsOf(len(parts))
	if fields == nil {
		return say.M("config.cron_fields", len(parts)), example, true
	}
	for i, f := range fields {
		if what, remedy, bad := f.explain(i+1, parts[i]); bad {
			return what, remedy, bad
		}
	}
	return what, remedy, false
}

// fieldsOf are the fields of a spec of so many; nil if there is no such spec.
func fieldsOf(n int) []field {
	switch n {
	case 5:
		return []field{minute, hour, day, month, weekday}
	case 6:
		return []field{second, minute, hour, day, month, weekday}
	}
	return nil
}

// hourly finds a spec of six fields whose first two are a minute and an hour, as
// people write it who do not know that seconds come first.
func hourly(spec string) (what, remedy say.Message, found bool) {
	parts := strings.Fields(spec)
	if len(parts) != 6 || parts[2] != "*" {
		return what, remedy, false
	}
	s, okS := second.number(parts[0])
	m, okM := minute.number(parts[1])
	if !okS || !okM || m > hour.hi {
		return what, remedy, false
	}
	return say.M("config.cron_hourly", m, s), say.M("config.cron_hourly_remedy", strings.Join(parts[:5], " ")), true
}

func (f field) valid(text string) bool {
	_, _, bad := f.explain(1, text)
	return !bad && text != "*" && text != "?"
}

// explain judges one field: a list of *, N, N-M, each perhaps with /STEP.
func (f field) explain(nth int, text string) (what, remedy say.Message, bad bool) {
	name := say.M(f.word)
	allowed := say.M("config.cron_range_remedy", f.lo, f.hi)
	if f.names != nil {
		allowed = say.M("config.cron_named_remedy", f.lo, f.hi, f.names[0], f.names[len(f.names)-1])
	}
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			return say.M("config.cron_gap", nth, name, shown(text)), say.M("config.cron_gap_remedy"), true
		}
		stretch, step, stepped := strings.Cut(item, "/")
		if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || !digits(step)) {
			return say.M("config.cron_step", nth, name, shown(item)), say.M("config.cron_step_remedy"), true
		}
		if stretch == "*" || stretch == "?" {
			continue
		}
		from, to, ranged := strings.Cut(stretch, "-")
		a, okA := f.number(from)
		b, okB := a, okA
		if ranged {
			b, okB = f.number(to)
		}
		switch {
		case !okA || !okB:
			return say.M("config.cron_word", nth, name, shown(item)), allowed, true
		case f.lo == 0 && f.hi == 6 && (a == 7 || b == 7):
			return say.M("config.cron_sunday", nth, name), say.M("config.cron_sunday_remedy"), true
		case a < f.lo || a > f.hi || b < f.lo || b > f.hi:
			return say.M("config.cron_range", nth, name, shown(item)), allowed, true
		case a > b:
			return say.M("config.cron_backwards", nth, name, shown(item)), say.M("config.cron_backwards_remedy"), true
		}
	}
	return what, remedy, false
}

// wideStep finds a step so wide that only the start of its stretch is left, as
// */100 is minute 0.
func wideStep(spec string) (what, remedy say.Message, wide bool) {
	parts := strings.Fields(spec)
	for i, f := range fieldsOf(len(parts)) {
		for _, item := range strings.Split(parts[i], ",") {
			stretch, step, stepped := strings.Cut(item, "/")
			from, to, ranged := strings.Cut(stretch, "-")
			a, b := f.lo, f.hi
			if stretch != "*" && stretch != "?" {
				a, _ = f.number(from)
				if ranged {
					b, _ = f.number(to)
				}
			}
			if n, err := strconv.Atoi(step); stepped && err == nil && n > b-a {
				return say.M("config.cron_wide", i+1, say.M(f.word), shown(item), a), say.M("config.cron_wide_remedy", a), true
			}
		}
	}
	return what, remedy, false
}

func (f field) number(s string) (int, bool) {
	for i, n := range f.names {
		if strings.EqualFold(n, s) {
			return f.lo + i, true
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && digits(s)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
