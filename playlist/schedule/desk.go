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
		if now, ok := d.programme.Slot(a.Slot.Name); ok {
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

// Standing is what is decided about an airing on one output.
type Standing struct {
	Perform  bool
	MakeGood bool      // it is owed: it takes what no slot wants
	First    int       // the item to begin with; those before are settled
	Deadline time.Time // it must have started by then
	Until    time.Time // quiet hours begin; zero: not within a day

	// If it is not performed, the items from First on, up to the slot's Count, are
	// recorded with these.
	Outcome asrun.Outcome
	Reason  asrun.Reason
}

// Stand decides about an airing on one output from its rows there, by item and part,
// the time, and the reason for which it would be missed. It is performed at most
// once, except that a slot with make-good owes once what a power cut or the device
// broke off.
func Stand(p *playlist.Programme, d Due, rows []asrun.Row, now time.Time) Standing {
	s := Standing{First: 1, Deadline: d.Due.Add(d.Slot.Window)}
	last := d.Slot.Deadline(d.Due, p.Site.Zone)
	if end, ok := shifted(p, d.Airing); ok && end.Add(d.Slot.Window).After(last) {
		last = end.Add(d.Slot.Window)
	}
	if len(rows) > 0 {
		owed, makeGood := d.owed(rows, now)
		if owed == 0 {
			s.First = len(byItem(rows)) + 1
			s.Outcome, s.Reason = asrun.Missed, brokenOff(rows)
			return s
		}
		s.First, s.MakeGood = owed, makeGood
	}
	if rule := forbidden(p, d.Airing); rule != asrun.ReasonNone {
		s.Outcome, s.Reason = asrun.Suppressed, rule
		return s
	}
	switch {
	case now.After(last):
		s.Outcome, s.Reason = asrun.Missed, d.Why
		return s
	case now.After(s.Deadline):
		if p.QuietAt(now) && d.Slot.IntoQuiet != playlist.QuietShift {
			s.Outcome, s.Reason = asrun.Suppressed, asrun.ReasonQuiet
			return s
		}
		s.MakeGood = s.MakeGood || d.Slot.Missed == playlist.MissedMakeGood
		s.Deadline = last
	}
	if s.MakeGood || d.Slot.Missed == playlist.MissedLate {
		s.Deadline = last
	}
	s.Perform = true
	start := d.Due
	if now.After(start) {
		start = now
	}
	s.Until, _ = p.QuietFrom(start, start.Add(24*time.Hour))
	return s
}

// forbidden returns the rule by which an airing is suppressed at its due instant:
// quiet hours, or the site's own hours if it is the county's; [asrun.ReasonNone] if
// there is none.
func forbidden(p *playlist.Programme, a playlist.Airing) asrun.Reason {
	switch {
	case p.QuietAt(a.Due):
		return asrun.ReasonQuiet
	case playlist.FromCounty(a.Slot.Name) && p.ProtectedAt(a.Due):
		return asrun.ReasonLocalHours
	}
	return asrun.ReasonNone
}

// shifted returns the end of the quiet hours that an airing would run into, if its
// slot then airs it after them.
func shifted(p *playlist.Programme, a playlist.Airing) (time.Time, bool) {
	const longest = 3 * time.Hour // that an airing is assumed to sound
	if a.Slot.IntoQuiet != playlist.QuietShift || p.QuietAt(a.Due) {
		return time.Time{}, false
	}
	start, ok := p.QuietFrom(a.Due, a.Due.Add(longest))
	if !ok {
		return time.Time{}, false
	}
	return p.QuietUntil(start), true
}

// byItem returns the last part of each item, which stands for the item.
func byItem(rows []asrun.Row) map[int]asrun.Row {
	items := map[int]asrun.Row{}
	for _, r := range rows {
		items[r.Item] = r
	}
	return items
}

// owed returns the first item that must still air; 0 if none must.
func (d Due) owed(rows []asrun.Row, now time.Time) (item int, makeGood bool) {
	items := byItem(rows)
	for n := 1; n <= len(items); n++ {
		r := items[n]
		switch {
		case r.Part == 0 && r.Ended.After(now.Add(time.Minute)):
			// Called missed by a clock that has since gone back.
			return n, false
		case r.Part > 0 && r.Frames == 0 && r.Reason == asrun.ReasonStopped && !now.After(d.Due.Add(d.Slot.Window)):
			// The daemon was stopped between claim and start: nothing sounded.
			return n, false
		case d.Slot.Missed != playlist.MissedMakeGood || r.Outcome == asrun.Complete || r.Outcome == "":
		case r.Reason == asrun.ReasonPowerLost || r.Reason == asrun.ReasonDevice || r.Reason == asrun.ReasonStopped:
			if brokenParts(rows, n) <= 1 {
				return n, true
			}
		}
	}
	return 0, false
}

// brokenParts returns how many parts of an item a power cut, a stop or the device
// broke off; parts that a higher rank interrupted do not count.
func brokenParts(rows []asrun.Row, item int) (n int) {
	for _, r := range rows {
		switch r.Reason {
		case asrun.ReasonPowerLost, asrun.ReasonDevice, asrun.ReasonStopped:
			if r.Item == item && r.Part > 0 {
				n++
			}
		}
	}
	return n
}

// brokenOff returns why the items after the last row never aired.
func brokenOff(rows []asrun.Row) asrun.Reason {
	switch r := rows[len(rows)-1].Reason; r {
	case asrun.ReasonNone, asrun.ReasonLate, asrun.ReasonMakeGood:
		return asrun.ReasonPowerLost
	default:
		return r
	}
}
