package playlist

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Cron is a schedule: five fields (minute hour day month weekday), or six with
// seconds first, or one of the @daily family.
type Cron struct {
	spec     string
	schedule cron.Schedule
}

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
	return Cron{spec: s, schedule: sched}, nil
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

// Next is the first instant strictly after at, read in at's zone; ok is false
// if none comes within five years (30 February).
func (c Cron) Next(at time.Time) (time.Time, bool) {
	if c.schedule == nil {
		return time.Time{}, false
	}
	next := c.schedule.Next(at)
	return next, !next.IsZero()
}
