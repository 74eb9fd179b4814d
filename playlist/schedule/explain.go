package schedule

import (
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// What is what an explanation says; it is also the name of its sentence.
type What string

// Explanation is a thing that explains why an output sounded at an instant, or did
// not.
type Explanation struct {
	What What

	// About is what it speaks of, in the order of its sentence: outputs as strings,
	// slots as SlotName, scopes and times of day by their types, instants as time.Time, clips as ClipName, outcomes, reasons
	// and what an alert sounded with by their types, days of the week, seconds as
	// float64, counts as int, years as []int.
	About []any

	Then []Explanation // what happened next, in that order
}

// SlotName is the name of a slot or of a playlist.
type SlotName string

// ClipName is what a clip goes by in a row.
type ClipName struct {
	ID     playlist.ClipID
	Title  string // may be empty
	Series string // may be empty
	Issue  int    // 0: none
}

// looksBack and looksAhead bound the search for the airing before and after an
// instant in which nothing was due, step by step.
var (
	looksBack  = []time.Duration{time.Hour, 24 * time.Hour, 8 * 24 * time.Hour, 370 * 24 * time.Hour}
	looksAhead = 5 * 366 * 24 * time.Hour
)

// Evidence is what an explanation goes by.
type Evidence struct {
	Rows    []asrun.Row // of the as-run log, due in the day before the instant and up to a minute after it, by due instant
	Planned []Planned   // up to a minute after the instant, from the controller's state now: [Plan]
	Mark    time.Time   // up to then all is accounted for; zero: nothing is, yet
	Started time.Time   // when the daemon started last; zero: never
	First   time.Time   // when it started first; zero: never, or an older program did
	Held    []Held      // what has outputs now that is no airing
	Alive   bool        // the daemon runs: without it no open row goes on

	Clip func(playlist.ClipID) (playlist.Clip, bool) // names what is planned; nil: clips have no names
}

// Explain tells for each output and slot what sounded at the instant, what fell due
// then and did not sound, and why; or, of a time to come, what will happen. An
// instant on the full minute stands for the minute.
func Explain(p *playlist.Programme, ev Evidence, at, now time.Time) []Explanation {
	e := explainer{p: p, Evidence: ev, at: at, end: at.Add(time.Second), now: now}
	if at.Truncate(time.Minute).Equal(at) {
		e.end = at.Add(time.Minute)
	}
	e.heard()
	e.due()
	e.excluded()
	if len(e.told) == 0 {
		e.nothing()
	}
	return e.told
}

type explainer struct {
	Evidence
	p       *playlist.Programme
	at, end time.Time // [at, end)
	now     time.Time
	told    []Explanation
	items   []asrun.RowKey // of which a row has been told: Part is 0
}

func (e *explainer) add(what What, about ...any) {
	e.told = append(e.told, Explanation{What: what, About: about})
}

// then adds what happened after the thing told last.
func (e *explainer) then(what What, about ...any) {
	last := &e.told[len(e.told)-1]
	last.Then = append(last.Then, Explanation{What: what, About: about})
}

func itemOf(r asrun.Row) asrun.RowKey {
	return asrun.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}
}

// heard tells of each clip of which a part sounded in the time asked about,
// and of each that should have begun in it, with all its parts.
func (e *explainer) heard() {
	for _, r := range e.Rows {
		begins := r.Item == 1 && e.asks(r.Due)
		if (e.sounded(r) || begins) && !slices.Contains(e.items, itemOf(r)) {
			e.item(r)
		}
	}
}

// sounded reports whether a row sounded in the time asked about.
func (e *explainer) sounded(r asrun.Row) bool {
	ended := r.Ended
	if r.Outcome == "" {
		ended = e.now.Add(time.Second)
	}
	return !r.Started.IsZero() && r.Started.Before(e.end) && ended.After(e.at)
}

func (e *explainer) asks(due time.Time) bool { return !due.Before(e.at) && due.Before(e.end) }

// item tells the story of one clip of one airing on one output.
func (e *explainer) item(first asrun.Row) {
	key := itemOf(first)
	e.items = append(e.items, key)
	begun := false
	for _, r := range e.Rows {
		if itemOf(r) != key {
			continue
		}
		switch {
		case r.Alert != "":
			begun = e.alert(r) || begun
		case r.Started.IsZero() && r.Outcome == "" && begun:
			e.then("waits_on")
		case r.Started.IsZero() && r.Outcome == "":
			e.add("about_to", r.Output, SlotName(r.Slot), r.Due, clipOf(r))
		case r.Started.IsZero():
			e.silent(r, begun)
		default:
			e.part(r, begun)
			begun = true
		}
	}
	if first.Clock == playlist.ClockUntrusted {
		e.then("untrusted")
	}
	e.toCome(key)
}

// silent tells of a row that did not sound, beside parts of its clip that did, if it is
// not the first.
func (e *explainer) silent(r asrun.Row, begun bool) {
	by := asrun.Row{}
	if r.Reason == asrun.ReasonBusy || r.Reason == asrun.ReasonPreempted {
		by, _ = e.behind(r, r.Ended)
	}
	if !begun && r.Part > 0 && slices.ContainsFunc(e.Rows, func(o asrun.Row) bool { return itemOf(o) == itemOf(r) && o.Part > r.Part && !o.Started.IsZero() }) {
		return // a later part tells of it
	}
	switch {
	case begun:
		e.then("not_on", reason(r))
	case by.Airing != "":
		e.add("silent_behind", r.Output, SlotName(r.Slot), r.Due, by.Airing)
	default:
		e.add("silent", r.Output, SlotName(r.Slot), r.Due, reason(r))
	}
}

// toCome tells what is still to come of an airing whose last row has been told.
func (e *explainer) toCome(key asrun.RowKey) {
	last := asrun.Row{}
	for _, r := range e.Rows {
		if r.Airing == key.Airing && r.Output == key.Output {
			last = r
		}
	}
	i := slices.IndexFunc(e.Planned, func(p Planned) bool { return p.ID == key.Airing && p.Output == key.Output })
	if i < 0 || itemOf(last) != key || last.Outcome == "" && !last.Started.IsZero() && e.Alive {
		return
	}
	for _, part := range e.Planned[i].Parts {
		if part.Start.After(e.now) {
			e.then("to_come", part.Start, e.Planned[i].End)
			return
		}
	}
}

// alert tells of a row of an alert, and reports whether it sounded.
func (e *explainer) alert(r asrun.Row) (sounded bool) {
	if r.Outcome == "" && e.Alive {
		e.add("alert_now", r.Output, r.Title, r.Due, r.Used)
		return true
	}
	if r.Started.IsZero() {
		e.add("alert_silent", r.Output, r.Title, r.Due, reason(r))
		return false
	}
	e.add("alert", r.Output, r.Title, r.Started, r.Used, playlist.Length(r.Frames).Seconds())
	if r.Outcome != asrun.Complete && r.Outcome != "" {
		e.then("alert_cut", reason(r))
	}
	return true
}

// part tells of a part of a clip that sounded: how it began, if parts of the clip
// had begun before, and how it ended.
func (e *explainer) part(r asrun.Row, begun bool) {
	switch {
	case !begun:
		e.add("heard", r.Output, SlotName(r.Slot), r.Due, r.Started, clipOf(r))
		if r.Item == 1 && e.courseOf(r).Late(r.Started) {
			e.late(r)
		}
	case r.FromFrame > 0:
		e.then("rejoined", r.Started, playlist.Length(r.FromFrame).Seconds())
	default:
		e.then("again", r.Started)
	}
	heard, of := playlist.Length(r.FromFrame+r.Frames).Seconds(), playlist.Length(r.OfFrames).Seconds()
	switch {
	case r.Outcome == "" && !e.Alive:
		e.then("broke_off", heard, of)
	case r.Outcome == "":
		e.then("goes_on")
	case r.Outcome == asrun.Complete && r.Reason == asrun.ReasonNone:
		e.then("complete", r.Ended)
	case r.Outcome == asrun.Complete:
		e.then("complete_but", r.Ended, reason(r))
	case r.Outcome == asrun.Preempted:
		e.preempted(r, heard, of)
	default:
		e.then("cut", r.Ended, heard, of, reason(r))
	}
}

// preempted tells what took the output from a part.
func (e *explainer) preempted(r asrun.Row, heard, of float64) {
	i := slices.IndexFunc(e.Rows, func(o asrun.Row) bool {
		gap := o.Started.Sub(r.Ended)
		return o.Output == r.Output && o.Rank > r.Rank && !o.Started.IsZero() && gap > -2*time.Second && gap < 4*time.Second
	})
	switch {
	case i >= 0 && e.Rows[i].Alert != "":
		e.then("preempted_alert", r.Ended, heard, of, e.Rows[i].Title)
	case i >= 0:
		e.then("preempted_by", r.Ended, heard, of, e.Rows[i].Airing)
	default:
		e.then("preempted", r.Ended, heard, of)
	}
}

// courseOf is the course of a row's airing, by the slot as it is now.
func (e *explainer) courseOf(r asrun.Row) Course {
	slot, known := e.p.Slot(r.Slot)
	slot.Chime = slot.Chime || !known
	return NewCourse(playlist.Airing{ID: r.Airing, Slot: slot, Due: r.Due})
}

// reason is why a row ended as it did: its reason, else its outcome.
func reason(r asrun.Row) any {
	if r.Reason == asrun.ReasonNone {
		return r.Outcome
	}
	return r.Reason
}

func (e *explainer) named(id playlist.ClipID) ClipName {
	var c playlist.Clip
	if e.Clip != nil {
		c, _ = e.Clip(id)
	}
	return ClipName{id, c.Title, c.Series, c.Issue}
}

func clipOf(r asrun.Row) ClipName { return ClipName{r.Clip, r.Title, r.Series, r.Issue} }

// late tells why a clip began late: what it waited for.
func (e *explainer) late(r asrun.Row) {
	quiet, into := e.p.QuietFrom(r.Due, r.Started)
	switch {
	case into && !e.p.QuietUntil(quiet).After(r.Started):
		e.then("late_quiet", e.p.QuietUntil(quiet))
	case e.tellBehind(r):
	case e.Started.After(r.Due) && e.Started.Before(r.Started):
		e.then("late_off", e.Started)
	}
}

// tellBehind tells what a row that began late waited for, and reports whether that is
// known.
func (e *explainer) tellBehind(r asrun.Row) bool {
	by, ok := e.behind(r, r.Started)
	if ok {
		e.then("behind", by.Airing)
	}
	return ok
}

// behind is what kept a row from its output until an instant, and whether that is known.
// It is what sounded last there meanwhile.
func (e *explainer) behind(r asrun.Row, until time.Time) (by asrun.Row, ok bool) {
	for _, o := range e.Rows {
		if o.Output == r.Output && o.Airing != r.Airing && !o.Started.IsZero() && o.Started.Before(until) &&
			(o.Ended.IsZero() || o.Ended.After(r.Due)) && o.Started.After(by.Started) {
			by = o
		}
	}
	return by, by.Airing != ""
}

// due tells of what is to come, or was due, in the time asked about, and of which no row
// speaks.
func (e *explainer) due() {
	told := map[string]bool{}
	for _, p := range e.Planned {
		if !e.spoken(p.ID, p.Output) && (e.asks(p.Due) || p.Due.Before(e.at) && p.soundsIn(e.at, e.end)) {
			told[string(p.ID)+" "+p.Output] = true
			e.expect(p)
		}
	}
	for _, a := range e.p.Timetable().Due(e.at.Add(-time.Nanosecond), e.end.Add(-time.Nanosecond)) {
		for _, out := range a.Slot.Outputs {
			if !told[string(a.ID)+" "+out] && !e.spoken(a.ID, out) {
				e.unspoken(a, out)
			}
		}
	}
	for _, h := range e.Held {
		here := func(r asrun.Row) bool { return r.Output == h.Output && e.sounded(r) }
		if !e.now.Before(e.at) && e.now.Before(e.end) && !slices.ContainsFunc(e.Rows, here) {
			e.add("held", h.Output, h.By)
		}
	}
}

// spoken reports whether a row speaks of the airing on that output.
func (e *explainer) spoken(id playlist.AiringID, out string) bool {
	return slices.ContainsFunc(e.Rows, func(r asrun.Row) bool { return r.Airing == id && r.Output == out })
}

// soundsIn reports whether a part of it is expected to sound in [from, to).
func (p Planned) soundsIn(from, to time.Time) bool {
	return slices.ContainsFunc(p.Parts, func(part Part) bool { return part.Start.Before(to) && part.End.After(from) })
}

// unspoken tells of an airing of which no row speaks.
func (e *explainer) unspoken(a playlist.Airing, out string) {
	_, known := e.p.Output(out)
	slot := SlotName(a.Slot.Name)
	switch {
	case !known:
		e.add("no_output", out, slot, a.Due)
	case forbidden(e.p, a) != asrun.ReasonNone:
		e.add("unknown_quiet", out, slot, a.Due)
	case !e.Alive && !e.Mark.IsZero() && a.Due.After(e.Mark):
		e.add("off", out, slot, a.Due)
	case e.First.IsZero() && e.Started.IsZero():
		e.add("never_ran", out, slot, a.Due)
	case a.Due.Before(e.First):
		e.add("before_first", out, slot, a.Due, e.First)
	default:
		e.add("unknown", out, slot, a.Due)
	}
}

// expect tells what is planned of an airing.
func (e *explainer) expect(p Planned) {
	slot := SlotName(p.Slot.Name)
	switch late := p.Start.Sub(p.Due) > LateBy; {
	case !p.Silent() && late:
		e.add("will_late", p.Output, slot, p.Due, p.Start, SlotName(e.title(p.Slot.Playlist)), len(p.Clips))
	case !p.Silent():
		e.add("will", p.Output, slot, p.Due, SlotName(e.title(p.Slot.Playlist)), len(p.Clips))
	case p.Reason() == asrun.ReasonLocalHours:
		e.add("will_not_local", p.Output, slot, p.Due)
	case p.Reason() == asrun.ReasonQuiet && e.p.QuietAt(p.Due):
		e.add("will_not", p.Output, slot, p.Due)
	case p.Reason() == asrun.ReasonQuiet:
		e.add("will_not_into", p.Output, slot, p.Due)
	default:
		e.add("will_be_silent", p.Output, slot, p.Due)
	}
	for _, f := range p.Flags {
		switch {
		case f.Kind == FlagQuiet, f.Kind == FlagLocal, f.Kind == FlagOnAir:
		case f.Clip != "":
			e.then("flag_unready", e.named(f.Clip))
		case f.Kind.Collides():
			e.then(What("flag_"+f.Kind), f.Other)
		default:
			e.then(What("flag_" + f.Kind))
		}
	}
	switch {
	case p.Silent():
	case p.Outcome == asrun.Complete:
		e.then("will_end", p.End)
	default:
		e.then("will_stop", p.End)
	}
}

func (e *explainer) title(list string) string {
	if l, ok := e.p.Playlist(list); ok && l.Title != "" {
		return l.Title
	}
	return list
}

// excluded tells of slots whose cron spec names the time but whose days or
// dates do not. It tells of a year without a calendar if that may be why, or what is to
// come depends on it.
func (e *explainer) excluded() {
	byCalendar := false
	for _, s := range slices.Concat(e.p.Slots, e.p.Replaced) {
		due, ok := s.Cron.Next(e.at.Add(-time.Nanosecond).In(e.p.Site.Zone))
		if !ok || !due.Before(e.end) {
			continue
		}
		local := due.In(e.p.Site.Zone)
		byCalendar = byCalendar || s.Days.ByCalendar() && (e.at.After(e.now) || !s.Days.Has(local, s.Calendar))
		day := playlist.Date(local.Format(time.DateOnly))
		switch {
		case s.From != "" && day < s.From:
			e.add("not_yet", SlotName(s.Name), string(s.From))
		case s.To != "" && day > s.To:
			e.add("no_more", SlotName(s.Name), string(s.To))
		case slices.Contains(s.Except, day):
			e.add("except", SlotName(s.Name), string(day))
		case s.Days.Has(local, s.Calendar):
			e.exempt(s, day)
		case !s.Days.ByCalendar():
			e.add("not_this_day", SlotName(s.Name), local.Weekday())
		case s.Calendar.Workday(local):
			e.add("worked_that_day", SlotName(s.Name), string(day), local.Weekday())
		default:
			e.add("off_that_day", SlotName(s.Name), string(day), local.Weekday())
		}
	}
	if u, found := Uncovered(e.p, e.at, e.at); found && byCalendar && len(e.told) > 0 {
		e.then(u.What, u.About...)
	}
}

// exempt tells of the outputs on which a slot that is due airs at other times on that day,
// or not at all.
func (e *explainer) exempt(s playlist.Slot, day playlist.Date) {
	for _, o := range e.p.Outputs {
		x, exempt := s.Exception(day, o.Name)
		of := slices.Contains(s.Outputs, o.Name) || len(x.Outputs) > 0 || len(s.Outputs) == 0
		switch {
		case !exempt || !of:
			continue
		case x.Instead:
			e.add("replaced", o.Name, SlotName(s.Name), string(day), x.By)
			continue
		case len(x.At) == 0:
			e.add("left_out", o.Name, SlotName(s.Name), string(day))
		default:
			e.add("moved", o.Name, SlotName(s.Name), string(day), x.At)
		}
		if x.By == "" {
			e.then("exempt_here")
		} else {
			e.then("exempt_by", x.By)
		}
	}
}

// Uncovered says that days from one instant to another go by the calendar, which does not
// name any day of their years.
func Uncovered(p *playlist.Programme, from, to time.Time) (e Explanation, found bool) {
	years := p.Uncovered(from, to)
	e = Explanation{What: "uncovered", About: []any{years}}
	if p.CalendarFaulty {
		e.What = "unread_calendar"
	}
	return e, len(years) > 0
}

// nothing says what came before and what comes after.
func (e *explainer) nothing() {
	if e.at.After(e.now) {
		e.add("nothing_will")
	} else {
		e.add("nothing")
	}
	if e.p.QuietAt(e.at) {
		e.then("quiet")
	}
	t := e.p.Timetable()
	for _, back := range looksBack {
		if before := t.Due(e.at.Add(-back), e.at.Add(-time.Nanosecond)); len(before) > 0 {
			last := before[len(before)-1]
			e.then("before", last.Due, SlotName(last.Slot.Name))
			break
		}
	}
	for next := range t.After(e.end.Add(-time.Nanosecond)) {
		if next.Due.Sub(e.at) < looksAhead {
			e.then("after", next.Due, SlotName(next.Slot.Name))
		}
		return
	}
	e.then("none_after")
}
