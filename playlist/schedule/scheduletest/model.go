// Package scheduletest is a second reading of "The rules of the schedule" in
// README.md: a model of what airs, written from those sentences alone, against
// which tests hold the plan and the player. It is slow and shares no decision with
// them; it must not, or both would be wrong together. Only tests import it.
package scheduletest

import (
	"cmp"
	"slices"
	"time"

	"dalaba/playlist"
)

// The lengths that the rules name.
const (
	gap     = 300 * time.Millisecond
	chime   = 1400 * time.Millisecond
	ahead   = 1500 * time.Millisecond // of the end of a clip the next one is taken
	enough  = 95                      // per cent of a clip: as good as all of it
	longest = time.Hour               // that an interrupted airing waits
	reach   = 24 * time.Hour          // of shift, from the due instant
)

// Near is how close a decision must be to be remembered in [Course.Margin].
const Near = 5 * time.Second

// Fate is how an airing ended on an output.
type Fate string

// The fates of an airing.
const (
	Complete   Fate = "complete"   // all its clips were heard to their ends
	Ended      Fate = "ended"      // it sounded, but ended early
	Missed     Fate = "missed"     // it never began: its time passed
	Suppressed Fate = "suppressed" // it never began: quiet hours forbade it
	Empty      Fate = "empty"      // its playlist has no clip
)

// Course is what became of an airing on one output.
type Course struct {
	Slot, Output string
	Due          time.Time
	Fate         Fate
	Parts        []Part

	// Margin is by how little the closest of all decisions was made that came
	// before the airing was over, Near if none was closer: an instant that moves
	// by more than that may change the course. It is 0 if the airing is not over two
	// days after the last one that was asked for.
	Margin time.Duration
}

// Part is a stretch of a clip that sounds without a break, its chime and the gaps
// around it not included.
type Part struct {
	Item       int // from 1, within the airing
	Clip       playlist.ClipID
	From       time.Duration // its place in the clip
	Start, End time.Time
}

// Model returns the course of every airing due in [from, to), by due instant, slot
// and output, as a daemon airs them that starts at from with nothing heard and
// nothing owed. Later airings may interrupt these. All playlists are in sequence,
// all clips have a length.
func Model(p *playlist.Programme, lengths map[playlist.ClipID]time.Duration, from, to time.Time) []Course {
	m := &model{p: p, lengths: lengths, cal: newCalendar(p, from), lists: map[string]*list{}, to: to}
	for _, l := range p.Playlists {
		m.lists[l.Name] = &list{clips: l.Clips}
	}
	for _, o := range p.Outputs {
		m.outputs = append(m.outputs, &output{name: o.Name})
	}
	m.run(from)
	return m.courses()
}

type model struct {
	p       *playlist.Programme
	lengths map[playlist.ClipID]time.Duration
	cal     *calendar
	lists   map[string]*list
	outputs []*output
	to      time.Time
	turns   []*turn // due before to
	all     []*turn
	close   []decision
}

// decision is one that was made by a small margin.
type decision struct {
	at     time.Time
	margin time.Duration
}

// list is a playlist and where it stands.
type list struct {
	clips   []playlist.ClipID
	next    int
	taker   *airing // of the last clip
	takenAt time.Time
}

// airing is one occurrence of a slot, on all its outputs.
type airing struct {
	slot  *playlist.Slot
	place int // of the slot in the file
	due   time.Time
	until time.Time         // zero under skip
	clips []playlist.ClipID // taken so far, by item
}

// turn is an airing on one output.
type turn struct {
	*airing
	output *output
	course Course
	over   time.Time // zero until it has its fate

	item   int           // which sounds or is next
	from   time.Duration // how far into its clip it is
	begun  bool
	owed   bool      // it is a make-good, for it began or slept past its window
	since  time.Time // from when the window counts, or the hour once begun
	sleeps time.Time // it waits for the end of quiet hours, then
	cut    time.Time // its clip was first interrupted then, or quiet hours since ended
}

// output is a loudspeaker and the line of those that wait for it.
type output struct {
	name       string
	line       []*turn
	air        *turn     // has the output: it sounds, or is between two clips
	began      time.Time // with its chime
	start, end time.Time // of its clip, the last one if it is between two
	between    bool
	freed      time.Time // when it was last let go
	freedBy    int       // with that priority
}

func (m *model) note(at time.Time, margin time.Duration) {
	if margin = margin.Abs(); margin < Near {
		m.close = append(m.close, decision{at, margin})
	}
}

// run takes minute by minute, and what happens within each in order.
func (m *model) run(from time.Time) {
	specs := make([]spec, len(m.p.Slots))
	for i, s := range m.p.Slots {
		specs[i] = parseSpec(s.Cron.String())
	}
	last := from.Add(-1)
	for n := m.cal.number(from); m.cal.instant(n).Before(m.to) || m.unsettled(m.cal.instant(n-1)); n++ {
		m.giveUp(m.cal.instant(n).Add(-Near))
		var due []*airing
		for i := range m.p.Slots {
			for _, at := range m.cal.dues(&m.p.Slots[i], specs[i], n) {
				if !at.Before(from) {
					due = append(due, &airing{slot: &m.p.Slots[i], place: i, due: at})
				}
			}
		}
		for {
			at, ok := m.nextInstant(last, n, due)
			if !ok {
				break
			}
			m.step(at, due)
			last = at
		}
	}
}

// giveUp takes those out of the lines whose last chance has passed, whether or not it
// was their turn.
func (m *model) giveUp(at time.Time) {
	for _, o := range m.outputs {
		for _, t := range slices.Clone(o.line) {
			if at.After(t.lastChance()) && !t.sleeps.After(at) {
				t.finish(Missed, t.lastChance())
			}
		}
	}
}

// unsettled reports whether some turn may still sound at or after that instant.
func (m *model) unsettled(at time.Time) bool {
	return slices.ContainsFunc(m.turns, func(t *turn) bool {
		return t.over.IsZero() || t.over.After(at)
	})
}

// nextInstant is the first after last in the minute at which something happens.
func (m *model) nextInstant(last time.Time, n int, due []*airing) (time.Time, bool) {
	next := m.cal.instant(n + 1)
	consider := func(at time.Time) {
		if at.After(last) && at.Before(next) {
			next = at
		}
	}
	if m.cal.minute(n).quiet != m.cal.minute(n-1).quiet {
		consider(m.cal.instant(n))
	}
	for _, a := range due {
		consider(a.due)
	}
	for _, o := range m.outputs {
		if o.air != nil {
			consider(o.end.Add(-ahead))
			consider(o.end)
			consider(o.end.Add(gap))
		} else {
			consider(o.freed.Add(gap))
		}
	}
	return next, next.Before(m.cal.instant(n + 1))
}

// step does all that happens at one instant.
func (m *model) step(at time.Time, due []*airing) {
	for _, o := range m.outputs {
		m.endClip(o, at)
	}
	m.takeAhead(at)
	if m.cal.quiet(at) && !m.cal.quiet(at.Add(-1)) {
		m.quietBegins(at)
	}
	for _, a := range due {
		if a.due.Equal(at) {
			m.fallDue(a)
		}
	}
	if m.cal.quiet(at) {
		return
	}
	for {
		t := m.nextToBegin(at)
		if t == nil {
			return
		}
		m.begin(t, at)
	}
}

// fallDue puts the airing into the line of each of its outputs. (Rules 1 and 3.)
func (m *model) fallDue(a *airing) {
	if a.slot.Missed != playlist.MissedSkip {
		a.until = m.cal.until(a.slot.Until, a.due)
	}
	for _, o := range m.outputs {
		if len(a.slot.Outputs) > 0 && !slices.Contains(a.slot.Outputs, o.name) {
			continue
		}
		t := &turn{airing: a, output: o, item: 1, since: a.due, course: Course{Slot: a.slot.Name, Output: o.name, Due: a.due}}
		m.all = append(m.all, t)
		if a.due.Before(m.to) {
			m.turns = append(m.turns, t)
		}
		if m.cal.quiet(a.due) {
			t.finish(Suppressed, a.due)
			continue
		}
		o.line = append(o.line, t)
	}
}

// nextToBegin is which of those that may begin on some output at that instant takes
// its clip first: as if they stood in one line. (Rule 4.)
func (m *model) nextToBegin(at time.Time) *turn {
	var first *turn
	for _, o := range m.outputs {
		t := m.mayBegin(o, at)
		if t != nil && (first == nil || t.before(first, at)) {
			first = t
		}
	}
	return first
}

// mayBegin is which airing may begin a clip on the output at that instant, if any.
// (Rule 2.)
func (m *model) mayBegin(o *output, at time.Time) *turn {
	if o.air == nil {
		first := m.firstInLine(o, at)
		if first != nil && (first.falls(at) || !at.Before(o.freed.Add(gap))) {
			return first
		}
		return nil
	}
	var next *turn
	if o.between && !at.Before(o.end.Add(gap)) {
		next = o.air
	}
	for _, t := range o.line {
		if t.falls(at) && t.priority(at) > o.air.priority(at) && (next == nil || next == o.air || t.before(next, at)) {
			next = t
		}
	}
	return next
}

// firstInLine is which of those that wait for the output goes first. What could
// begin now, but too late, leaves the line. (Rules 2, 3 and 6.)
func (m *model) firstInLine(o *output, at time.Time) *turn {
	free := o.freed.Add(gap)
	for {
		var first *turn
		for _, t := range o.line {
			if t.sleeps.After(at) || at.Before(free) && at.After(t.lastChance()) {
				continue
			}
			if t.slot.Missed == playlist.MissedMakeGood && !t.begun {
				m.note(at, at.Sub(t.windowEnd()))
			}
			if first == nil || t.before(first, at) {
				first = t
			}
		}
		if first == nil {
			return nil
		}
		m.note(at, at.Sub(first.lastChance()))
		if !at.After(first.lastChance()) {
			return first
		}
		first.finish(Missed, first.lastChance())
	}
}

// falls reports whether the turn's airing falls due at that instant.
func (t *turn) falls(at time.Time) bool {
	return t.due.Equal(at) && !t.begun && t.sleeps.IsZero()
}

// before reports whether t goes before u in the line. (Rule 2.)
func (t *turn) before(u *turn, at time.Time) bool {
	return cmp.Or(cmp.Compare(u.priority(at), t.priority(at)), t.due.Compare(u.due), cmp.Compare(t.place, u.place)) < 0
}

func (t *turn) windowEnd() time.Time { return t.since.Add(t.slot.Window) }

// priority is the slot's, or 0 for an airing that is owed. (Rule 3.)
func (t *turn) priority(at time.Time) int {
	late := !t.begun && t.slot.Missed == playlist.MissedMakeGood && at.After(t.windowEnd())
	switch {
	case t.owed || late:
		return 0
	case t.slot.Above:
		return t.slot.Priority + playlist.MaxPriority
	}
	return t.slot.Priority
}

// lastChance is by when the turn must begin, or go on. (Rules 3 and 6.)
func (t *turn) lastChance() time.Time {
	if t.begun {
		return t.since.Add(longest)
	}
	if t.until.After(t.windowEnd()) {
		return t.until
	}
	return t.windowEnd()
}

// finish gives the turn its fate, which is Ended instead if it had begun, and takes
// it off its output.
func (t *turn) finish(f Fate, at time.Time) {
	if t.begun && f != Complete {
		f = Ended
	}
	t.course.Fate, t.over = f, at
	t.output.letGo(t, at)
	t.output.line = slices.DeleteFunc(t.output.line, func(u *turn) bool { return u == t })
}

// letGo frees the output if the turn has it.
func (o *output) letGo(t *turn, at time.Time) {
	if o.air == t {
		o.air, o.freed, o.freedBy, o.between = nil, at, t.priority(at), false
	}
}

// clip is what the turn airs next: what its airing has taken on another output, or
// what its playlist stands at. (Rule 4.)
func (m *model) clip(t *turn) playlist.ClipID {
	if t.item <= len(t.clips) {
		return t.clips[t.item-1]
	}
	if l := m.lists[t.slot.Playlist]; l != nil && len(l.clips) > 0 {
		return l.clips[l.next]
	}
	return ""
}

// take takes the turn's next clip, if its airing has not, at that instant.
func (m *model) take(t *turn, item int, at time.Time) {
	l := m.lists[t.slot.Playlist]
	if item <= len(t.clips) || len(l.clips) == 0 {
		return
	}
	if l.taker != nil && l.taker != t.airing && !l.takenAt.Equal(at) {
		m.note(at.Add(time.Second), at.Sub(l.takenAt))
	}
	t.clips = append(t.clips, l.clips[l.next])
	l.next, l.taker, l.takenAt = (l.next+1)%len(l.clips), t.airing, at
}

// takeAhead takes the clips that follow those which are about to end. (Rule 4.)
func (m *model) takeAhead(at time.Time) {
	var takers []*turn
	for _, o := range m.outputs {
		if t := o.air; t != nil && !o.between && !at.Before(o.end.Add(-ahead)) && t.item < t.slot.Count {
			takers = append(takers, t)
		}
	}
	slices.SortFunc(takers, func(a, b *turn) int {
		if a.before(b, at) {
			return -1
		}
		return 1
	})
	for _, t := range takers {
		m.take(t, t.item+1, at)
	}
}

// giveBack gives back the turn's next clip if nothing sounded of it. (Rule 4.)
func (m *model) giveBack(t *turn, at time.Time) {
	if t.item != len(t.clips) || slices.ContainsFunc(m.all, func(u *turn) bool { return u.airing == t.airing && u.heard(t.item) }) {
		return
	}
	l := m.lists[t.slot.Playlist]
	if l.taker != t.airing {
		m.note(at, 0) // others have taken since: the rules do not say what is next
		return
	}
	t.clips = t.clips[:t.item-1]
	l.next = (l.next + len(l.clips) - 1) % len(l.clips)
}

func (t *turn) heard(item int) bool {
	return slices.ContainsFunc(t.course.Parts, func(q Part) bool { return q.Item == item }) ||
		t.output.air == t && !t.output.between && t.item == item
}

// need is how long the turn's next clip sounds, chime included.
func (m *model) need(t *turn) time.Duration {
	d := m.lengths[m.clip(t)] - t.from
	if !t.begun && t.slot.Chime {
		d += chime
	}
	return d
}

// begin begins the turn's next clip, if quiet hours leave room for it. (Rules 2 and 5.)
func (m *model) begin(t *turn, at time.Time) {
	clip, o := m.clip(t), t.output
	if clip == "" {
		t.finish(Empty, at)
		return
	}
	end := at.Add(m.need(t))
	start := end.Add(t.from - m.lengths[clip])
	if quiet, ok := m.cal.quietBefore(at, end.Add(Near)); ok {
		m.note(at, end.Sub(quiet))
		if t.slot.IntoQuiet == playlist.QuietCut {
			m.note(at, start.Sub(quiet))
		} else if quiet.Before(end) {
			m.noRoom(t, at, quiet)
			return
		}
	}
	switch {
	case o.air != nil && o.air != t:
		m.interrupt(o, at)
	case o.air == nil && t.falls(at):
		m.noteFree(t, at)
	}
	switch {
	case t.falls(at):
		m.take(t, t.item, at.Add(-time.Second))
	case o.air == nil && !t.sleeps.Equal(at):
		m.take(t, t.item, o.freed)
	default:
		m.take(t, t.item, at)
	}
	t.owed = t.priority(at) == 0
	t.begun = true
	o.line = slices.DeleteFunc(o.line, func(u *turn) bool { return u == t })
	o.air, o.began, o.start, o.end, o.between = t, at, start, end, false
}

// noteFree notes by how little the turn interrupts nothing as it falls due, and what
// waits in line has not begun.
func (m *model) noteFree(t *turn, at time.Time) {
	o := t.output
	if t.priority(at) > o.freedBy {
		m.note(at, at.Sub(o.freed))
	}
	if free := o.freed.Add(gap); at.Before(free) && len(o.line) > 1 {
		m.note(at, free.Sub(at))
	}
}

// endClip lets the output's clip end where it does.
func (m *model) endClip(o *output, at time.Time) {
	t := o.air
	if t == nil || o.between || o.end.After(at) {
		return
	}
	m.sounded(o, o.end)
	t.item, t.from, t.cut, o.between = t.item+1, 0, time.Time{}, true
	if t.item > t.slot.Count {
		t.finish(Complete, o.end)
	}
}

// sounded writes down what sounded of the output's clip by then.
func (m *model) sounded(o *output, at time.Time) {
	if at.After(o.start) && !o.between {
		t := o.air
		t.course.Parts = append(t.course.Parts, Part{t.item, t.clips[t.item-1], t.from, o.start, at})
	}
}

// interrupt takes the output from its airing. (Rule 6.)
func (m *model) interrupt(o *output, at time.Time) {
	t := o.air
	for _, edge := range []time.Time{o.began, o.start, o.end} {
		m.note(at, at.Sub(edge))
	}
	m.sounded(o, at)
	heard := t.from + max(0, at.Sub(o.start))
	if full := m.lengths[m.clip(t)]; !o.between && heard >= full*enough/100 {
		t.item, t.from, t.cut = t.item+1, 0, time.Time{}
		if t.item > t.slot.Count {
			t.finish(Complete, at)
			return
		}
		t.since = at
		o.letGo(t, at)
		o.line = append(o.line, t)
		return
	}
	if !o.between && at.After(o.start) && t.slot.After == playlist.AfterRejoin {
		t.from += at.Sub(o.start)
	} else {
		t.from = 0
	}
	if t.slot.After == playlist.AfterDrop {
		t.finish(Ended, at)
		return
	}
	if t.since = at; t.slot.After == playlist.AfterRestart {
		if t.cut.IsZero() {
			t.cut = at
		}
		t.since = t.cut
	}
	o.letGo(t, at)
	o.line = append(o.line, t)
}

// noRoom is for a turn whose next clip would run into quiet hours that begin then.
// (Rule 5.)
func (m *model) noRoom(t *turn, at, quiet time.Time) {
	end, o := m.roomAfter(quiet, t.due.Add(reach), m.need(t)), t.output
	waits := t.slot.IntoQuiet == playlist.QuietShift && !end.After(t.due.Add(reach))
	if t.slot.IntoQuiet == playlist.QuietSuppress && !t.begun && t.until.After(end) {
		m.note(at, at.Sub(t.windowEnd()))
		waits = at.After(t.windowEnd())
	}
	free := at
	if o.air == t {
		free = o.end
	}
	m.giveBack(t, at)
	if !waits {
		t.finish(Suppressed, free)
		return
	}
	if o.air == t {
		o.letGo(t, free)
		o.line = append(o.line, t)
	}
	t.sleep(at, end)
}

// roomAfter returns the end of the first quiet hours, those that begin then or later
// ones, after which there is that much time before the next; or of those in which
// last lies.
func (m *model) roomAfter(quiet, last time.Time, need time.Duration) time.Time {
	for {
		end := m.cal.quietEnd(quiet)
		room := end.Add(need)
		next, ok := m.cal.quietBefore(end, room.Add(Near))
		if ok {
			m.note(end, room.Sub(next))
		}
		if !ok || !next.Before(room) || end.After(last) {
			return end
		}
		quiet = next
	}
}

// sleep has the turn wait for the end of quiet hours. (Rules 5 and 6.)
func (t *turn) sleep(at, end time.Time) {
	t.owed = t.priority(at) == 0
	t.sleeps = end
	if !t.cut.IsZero() {
		t.cut = end
	}
	if t.begun || t.slot.IntoQuiet == playlist.QuietShift {
		t.since = end
	}
}

// quietBegins ends what sounds, and what waits and may not wait on. (Rule 5.)
func (m *model) quietBegins(at time.Time) {
	end := m.cal.quietEnd(at)
	for _, o := range m.outputs {
		switch {
		case o.air == nil:
		case o.between:
			m.note(at, at.Sub(o.end))
			m.noRoom(o.air, at, at)
		default:
			m.sounded(o, at)
			o.air.finish(Ended, at)
		}
		for _, t := range slices.Clone(o.line) {
			if t.sleeps.After(at) {
				continue
			}
			shift := t.slot.IntoQuiet == playlist.QuietShift
			if shift {
				m.note(at, at.Sub(t.lastChance()))
			}
			switch {
			case at.After(t.lastChance()):
				t.finish(Missed, t.lastChance())
			case shift && !end.After(t.due.Add(reach)), !shift && t.until.After(end):
				t.sleep(at, end)
			default:
				t.finish(Missed, at)
			}
		}
	}
}

// courses returns what became of each turn, with its margin.
func (m *model) courses() []Course {
	// What is decided within a second after the end of an airing may be meant for it.
	slices.SortStableFunc(m.close, func(a, b decision) int { return a.at.Compare(b.at) })
	var all []Course
	for _, t := range m.turns {
		if t.over.IsZero() {
			all = append(all, t.course) // it goes on for ever
			continue
		}
		t.course.Margin = Near
		for _, d := range m.close {
			if d.at.After(t.over.Add(time.Second)) {
				break
			}
			t.course.Margin = min(t.course.Margin, d.margin)
		}
		all = append(all, t.course)
	}
	return all
}
