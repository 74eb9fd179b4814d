package config

import (
	"reflect"
	"time"

	"dalaba/playlist"
)

// Change is a part that a config has and an earlier one had not, or otherwise; or the
// other way round.
type Change struct {
	How  string `json:"how"`  // "added", "changed" or "removed"
	What string `json:"what"` // "output", "playlist", "slot", "calendar" or "setting"
	Name string `json:"name"` // of a setting or the calendar, its section
}

// Changes returns what one config has otherwise than another: what is added first, then
// what is changed, then what is removed. When slots came into force does not count.
func Changes(was, now *Config) []Change {
	var c changes
	compare(&c, "output", was.Outputs, now.Outputs, func(o playlist.Output) string { return o.Name }, func(a, b playlist.Output) bool { return a == b })
	compare(&c, "playlist", was.Playlists, now.Playlists, func(l playlist.Playlist) string { return l.Name }, playlist.Playlist.Equal)
	compare(&c, "slot", was.Slots, now.Slots, func(s playlist.Slot) string { return s.Name }, func(a, b playlist.Slot) bool {
		a.Since, b.Since = time.Time{}, time.Time{}
		return a.Equal(b)
	})
	switch a, b := was.Calendar, now.Calendar; {
	case reflect.DeepEqual(a, b):
	case a == nil:
		c.added = append(c.added, Change{"added", "calendar", "calendar"})
	case b == nil:
		c.removed = append(c.removed, Change{"removed", "calendar", "calendar"})
	default:
		c.changed = append(c.changed, Change{"changed", "calendar", "calendar"})
	}
	for _, s := range []struct {
		name     string
		was, now any
	}{
		{"site", []any{was.Site, was.Inbox}, []any{now.Site, now.Inbox}}, {"quiet", was.Quiet, now.Quiet}, {"daypart", was.Dayparts, now.Dayparts},
		{"alert", []any{was.Alerts, was.Alert}, []any{now.Alerts, now.Alert}}, {"county", []any{was.County, was.Cache}, []any{now.County, now.Cache}},
		{"ingest", was.Ingest, now.Ingest}, {"amplifier", was.Amplifier, now.Amplifier},
		{"store", was.Store, now.Store}, {"microphone", was.Mic, now.Mic},
	} {
		if !reflect.DeepEqual(s.was, s.now) {
			c.changed = append(c.changed, Change{"changed", "setting", s.name})
		}
	}
	return append(append(append([]Change{}, c.added...), c.changed...), c.removed...)
}

type changes struct{ added, changed, removed []Change }

// compare adds how the parts of a kind differ.
func compare[T any](c *changes, what string, was, now []T, name func(T) string, equal func(a, b T) bool) {
	before := map[string]T{}
	for _, x := range was {
		before[name(x)] = x
	}
	for _, x := range now {
		old, known := before[name(x)]
		delete(before, name(x))
		switch {
		case !known:
			c.added = append(c.added, Change{"added", what, name(x)})
		case !equal(old, x):
			c.changed = append(c.changed, Change{"changed", what, name(x)})
		}
	}
	for _, x := range was {
		if _, gone := before[name(x)]; gone {
			c.removed = append(c.removed, Change{"removed", what, name(x)})
		}
	}
}
