package schedule

import (
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Standing is what is decided about an airing on one output.
type Standing struct {
	Perform bool
	Course  Course // if it is performed
	First   int    // the item to begin with; those before are settled

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
	s := Standing{First: 1, Course: NewCourse(d.Airing)}
	if len(rows) > 0 {
		owed, makeGood := d.owed(rows, now)
		if owed == 0 {
			s.First = len(byItem(rows)) + 1
			s.Outcome, s.Reason = asrun.Missed, brokenOff(rows)
			return s
		}
		s.First, s.Course.MakeGood = owed, makeGood
	}
	if rule := forbidden(p, d.Airing); rule != asrun.ReasonNone {
		s.Outcome, s.Reason = asrun.Suppressed, rule
		return s
	}
	if end := s.Course.shifted(p); !end.IsZero() && now.After(s.Course.Deadline(p.Site.Zone)) {
		s.Course = s.Course.PutOff(end)
	}
	if now.After(s.Course.Deadline(p.Site.Zone)) {
		s.Outcome, s.Reason = asrun.Missed, d.Why
		return s
	}
	s.Course.MakeGood = s.Course.MakeGood || s.Course.Owes(now)
	s.Perform = true
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

// shifted returns the end of the quiet hours that an airing might run into, if its slot
// then airs it after them; zero if it does not. Which clip it will take is not known.
func (c Course) shifted(p *playlist.Programme) time.Time {
	const longest = 3 * time.Hour // that an airing is assumed to sound
	start, ok := p.QuietFrom(c.Due, c.Due.Add(longest))
	if !ok || c.Slot.IntoQuiet != playlist.QuietShift {
		return time.Time{}
	}
	return c.Clear(p, start, 0).Until
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
	if last := items[len(items)]; d.Slot.Missed == playlist.MissedMakeGood && len(items) < d.Slot.Count && last.Outcome == asrun.Complete {
		return len(items) + 1, true // the power was cut between two clips
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
