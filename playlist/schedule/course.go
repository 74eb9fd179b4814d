package schedule

import (
	"cmp"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

const (
	// Gap is the silence between two clips of one airing, and before what has waited
	// for its output.
	Gap = 300 * time.Millisecond

	// ChimeLength is how long the station tone sounds, its own tail included.
	ChimeLength = 1400 * time.Millisecond

	// ClaimAhead is how long before an airing begins its first clip is taken from the
	// playlist.
	ClaimAhead = time.Second

	// NextAhead is how much of a clip is left when the next one is taken.
	NextAhead = 1500 * time.Millisecond

	// LateBy is how long after its due instant a start is called late.
	LateBy = time.Second

	// RejoinWithin is how long an interrupted airing waits for its output; then
	// it is over.
	RejoinWithin = time.Hour
)

// Course is what the rules need to know of an airing on one output that is not
// over. Both the player and [Plan] take it through them.
type Course struct {
	playlist.Airing
	From     time.Time `json:"from"`            // its window counts from then: its due instant or, once shifted, the end of quiet hours
	MakeGood bool      `json:"make_good"`       // it is owed: it takes what no slot wants
	Begun    bool      `json:"begun"`           // something of it has sounded
	Broken   time.Time `json:"broken,omitzero"` // its wait to go on with its clip counts from then: when that was interrupted, or the end of quiet hours since; zero: neither was
}

// NewCourse is the course of an airing of which nothing has happened yet.
func NewCourse(a playlist.Airing) Course { return Course{Airing: a, From: a.Due} }

// Rank is its place on the ladder: the slot's, or, for a make-good, the lowest of all
// slots, so that those of today go first.
func (c Course) Rank() playlist.Rank {
	if c.MakeGood {
		return playlist.RankScheduled
	}
	return c.Slot.Rank()
}

// Place is its place in the line among those of its rank.
func (c Course) Place() Place { return Place{c.Due, c.Order} }

// Place orders what waits for an output with the same rank: what was due earlier goes
// first, then the slot that the config lists first.
type Place struct {
	Due   time.Time
	Order int // of the slot in the programme
}

// Compare is below zero if a goes before b.
func (a Place) Compare(b Place) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Order, b.Order))
}

// window is the last instant of its window.
func (c Course) window() time.Time { return c.From.Add(c.Slot.Window) }

// Deadline is the last instant at which it may begin or, if it was interrupted, go on.
func (c Course) Deadline(zone *time.Location) time.Time {
	if !c.Broken.IsZero() {
		return c.Broken.Add(RejoinWithin)
	}
	return later(c.window(), c.Slot.Deadline(c.Due, zone))
}

// Owes reports whether it becomes a make-good at that instant: it waits still, and its
// window is over.
func (c Course) Owes(at time.Time) bool {
	return !c.MakeGood && !c.Begun && c.Broken.IsZero() && c.Slot.Missed == playlist.MissedMakeGood && at.After(c.window())
}

// LeadIn is what sounds before the clip of an item, or is silent: the station tone
// before the first, a gap before the others. A clip that goes on has none.
func (c Course) LeadIn(item int, resumed bool) time.Duration {
	switch {
	case resumed:
		return 0
	case item > 1:
		return Gap
	case c.Slot.Chime:
		return ChimeLength
	}
	return 0
}

// Late reports whether a first clip that began then was late.
func (c Course) Late(began time.Time) bool {
	return began.Sub(c.Due) > LateBy+c.LeadIn(1, false)
}

// Clearance says whether quiet hours let a clip begin.
type Clearance struct {
	Begin bool

	// If it may begin: quiet hours begin then, while it sounds, and it ends there; zero:
	// they do not. If not: it waits until then, without a place in the line; zero: it
	// will not sound any more.
	Until time.Time
}

// Clear decides about a clip of the airing that could begin at an instant and takes
// so long, what leads in to it included.
func (c Course) Clear(p *playlist.Programme, at time.Time, length time.Duration) Clearance {
	start, ok := p.QuietFrom(at, at.Add(max(length, 1)))
	if !ok {
		return Clearance{Begin: true}
	}
	waits := start.Equal(at) // since before they began
	policy := c.Slot.IntoQuiet
	if !waits && policy != playlist.QuietShift && policy != playlist.QuietSuppress {
		return Clearance{Begin: true, Until: start}
	}
	last := c.Slot.Last(c.Due, p.Site.Zone).Add(-1) // an instant before it
	patient := c.Slot.Missed != playlist.MissedSkip
	switch {
	case policy == playlist.QuietShift:
		return Clearance{Until: room(p, start, length, c.Due.Add(playlist.ShiftWithin))}
	case patient && policy == playlist.QuietSuppress && !c.Begun && (waits || at.After(c.window())):
		return Clearance{Until: room(p, start, length, last)}
	case patient && waits:
		return Clearance{Until: room(p, start, 0, last)}
	}
	return Clearance{}
}

// room is the end of the quiet hours that hold at, or of those after them, from which
// on so much time is free; zero if that is not by the limit.
func room(p *playlist.Programme, at time.Time, length time.Duration, limit time.Time) time.Time {
	for {
		at = p.QuietUntil(at)
		if at.After(limit) {
			return time.Time{}
		}
		start, ok := p.QuietFrom(at, at.Add(length))
		if !ok {
			return at
		}
		if start.Equal(at) {
			return time.Time{} // no end of them within a week
		}
		at = start
	}
}

// PutOff is the course after quiet hours until which it had to wait.
func (c Course) PutOff(until time.Time) Course {
	if c.Slot.IntoQuiet == playlist.QuietShift {
		c.From = until
	}
	if c.Begun || !c.Broken.IsZero() {
		c.Broken = until
	}
	return c
}

// Breaks is the course once its clip is interrupted at an instant. The wait of one that
// begins again counts from its first interruption: else it could begin for ever.
func (c Course) Breaks(at time.Time) Course {
	if c.Broken.IsZero() || c.Slot.After != playlist.AfterRestart {
		c.Broken = at
	}
	return c
}

// Follow is what comes after a part of a clip that something ended.
type Follow int

const (
	FollowNext    Follow = iota // the next clip
	FollowRejoin                // the clip, from where it stopped
	FollowRestart               // the clip, from its start
	FollowEnd                   // nothing: the airing is over
)

// Interrupted says what follows on a clip that a higher rank has interrupted after so
// much of it was heard.
func (c Course) Interrupted(heard, of time.Duration) Follow {
	switch {
	case asrun.HeardWhole(heard, of):
		return FollowNext
	case c.Slot.After == playlist.AfterDrop:
		return FollowEnd
	case c.Slot.After == playlist.AfterRestart:
		return FollowRestart
	}
	return FollowRejoin
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
