package schedule

import (
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

const (
	// Lead is how long before its due instant an airing is handed out: time to open,
	// hash and begin to decode its first clip.
	Lead = 3 * time.Second

	// Horizon is how far back airings that fell due while the controller was off are
	// recorded one by one. Earlier ones are unknown.
	Horizon = 31 * 24 * time.Hour

	// backStep is how far the clock may seem to go back before it counts as set.
	backStep = 2 * time.Second
)

// Reading is what the clocks say at one moment.
type Reading struct {
	Wall  time.Time
	Since time.Duration // since the desk was opened, by a clock that cannot step
	Trust playlist.ClockState
}

// Due is an airing that is handed out, and the reason for which it is missed if its
// time has passed already.
type Due struct {
	playlist.Airing
	Why asrun.Reason
}

// Desk reads the timetable again and again and hands out every due airing once,
// whatever the clock does: untrusted for a while, set forward or back, or off. It may
// hand an airing out twice if the clock was set back: [Stand] then finds it in the
// as-run log. One goroutine uses it.
type Desk struct {
	Ahead time.Duration // airings are handed out this much earlier than Lead

	programme *playlist.Programme // in force
	timetable *playlist.Timetable // of the same
	before    *playlist.Programme // see Resume
	last      time.Time           // asked up to here; zero: not yet
	now       time.Time           // when it was last asked with a trusted clock
	since     time.Duration       // the same, by the clock that cannot step
	asked     bool                // with a trusted clock, once at least
	held      bool
}

// NewDesk opens the desk. All that fell due up to the watermark is accounted
// for; a zero watermark is a controller's first day.
func NewDesk(p *playlist.Programme, watermark time.Time) *Desk {
	return &Desk{programme: p, timetable: p.Timetable(), last: watermark}
}

// Resume names the programme that was in force before the desk was opened: what fell
// due while the daemon was off fell due by that one. It must be called before the
// first Ask; without it the programme was the same.
func (d *Desk) Resume(before *playlist.Programme) { d.before = before }

// fell returns what fell due in (from, to] while the daemon was off. Airings of slots
// that are gone now will be missed; the others follow the present rules of their
// slots.
func (d *Desk) fell(from, to time.Time) []playlist.Airing {
	airings := d.before.Timetable().Due(from, to)
	for i, a := range airings {
		now, ok := d.programme.Slot(a.Slot.Name)
		if now = now.On(a.Due, d.programme.Site.Zone); ok && len(now.Outputs) > 0 {
			airings[i].Slot = now
		} else {
			airings[i].Slot.Window, airings[i].Slot.Missed = -Horizon, playlist.MissedSkip
		}
	}
	return airings
}

// Change puts another programme in force. Airings that fall due by it within Lead are
// handed out too: the old programme did not have them.
func (d *Desk) Change(p *playlist.Programme) {
	d.programme, d.timetable = p, p.Timetable()
	if !d.now.IsZero() && d.now.Before(d.last) {
		d.last = d.now
	}
}

// Note is what [Desk.Ask] noticed of the clock.
type Note string

const (
	NoteNone    Note = ""
	NoteHeld    Note = "clock untrusted, routine airings held"
	NoteTrusted Note = "clock trusted, routine airings go on"
	NoteBack    Note = "clock set back"
	NoteHorizon Note = "off for too long to record each airing"
)

// Ask hands out what has fallen due since the last call, and what will within Lead.
func (d *Desk) Ask(r Reading) (due []Due, note Note) {
	if r.Trust != playlist.ClockTrusted {
		if !d.held {
			d.held, note = true, NoteHeld
		}
		return nil, note
	}
	// With a monotonic reading left in them, two readings could not be seen to
	// have a step between them.
	r.Wall = r.Wall.Round(0)
	d.now = r.Wall
	opened, why := r.Wall.Add(-r.Since), asrun.ReasonClockStep
	if d.held {
		d.held, note, why = false, NoteTrusted, asrun.ReasonClock
	}
	if d.last.IsZero() {
		d.last = opened
	}
	ahead := r.Wall.Add(Lead + d.Ahead)
	switch {
	case ahead.Before(d.last.Add(-backStep)):
		// By the clock as it is now, this is up to when it was asked before.
		d.last, note = r.Wall.Add(d.since-r.Since), NoteBack
	case r.Wall.Sub(d.last) > Horizon:
		d.last, note = r.Wall.Add(-Horizon), NoteHorizon
	}
	d.since = r.Since
	var airings []playlist.Airing
	if from := d.last; d.before != nil {
		if from.Before(opened) {
			airings, from = d.fell(from, opened), opened
		}
		d.before = nil
		airings = append(airings, d.timetable.Due(from, ahead)...)
	} else {
		airings = d.timetable.Due(from, ahead)
	}
	for _, a := range airings {
		if !d.asked && a.Due.Before(opened) {
			due = append(due, Due{a, asrun.ReasonOff})
		} else {
			due = append(due, Due{a, why})
		}
	}
	d.asked = true
	if ahead.After(d.last) {
		d.last = ahead
	}
	return due, note
}

// Asked is the instant up to which all that fell due was handed out.
func (d *Desk) Asked() time.Time { return d.last }

// Watermark returns the instant up to which every airing has its rows, given the due
// instants of those that are not finished; zero if the desk was never asked.
func (d *Desk) Watermark(now time.Time, inHand func(func(time.Time) bool)) time.Time {
	at := d.last
	if at.IsZero() {
		return at
	}
	if now.Before(at) {
		at = now
	}
	for due := range inHand {
		if before := due.Add(-time.Millisecond); before.Before(at) {
			at = before
		}
	}
	return at
}
