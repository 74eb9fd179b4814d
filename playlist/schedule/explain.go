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
	// slots as SlotName, instants as time.Time, clips as ClipName, outcomes, reasons
	// and what an alert sounded with by their types, days of the week, seconds as
	// float64, counts as int.
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

// Explain tells for each output and slot what sounded at the instant, what fell due
// then and did not sound, and why; or, of a time to come, what will happen. An
// instant on the full minute stands for the minute. rows are those of the as-run
// log due in the day before the instant and up to a minute after it, in the order
// of due instants; alive is whether the daemon runs, without which no open row goes
// on.
func Explain(p *playlist.Programme, rows []asrun.Row, at, now time.Time, alive bool) []Explanation {
	e := explainer{p: p, rows: rows, at: at, end: at.Add(time.Second), now: now, alive: alive}
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
	p       *playlist.Programme
	rows    []asrun.Row
	at, end time.Time // [at, end)
	now     time.Time
	alive   bool
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
	for _, r := range e.rows {
		ended := r.Ended
		if r.Outcome == "" {
			ended = e.now.Add(time.Second)
		}
		sounded := !r.Started.IsZero() && r.Started.Before(e.end) && ended.After(e.at)
		begins := r.Item == 1 && e.asks(r.Due)
		if (sounded || begins) && !slices.Contains(e.items, itemOf(r)) {
			e.item(r)
		}
	}
}

func (e *explainer) asks(due time.Time) bool { return !due.Before(e.at) && due.Before(e.end) }

// item tells the story of one clip of one airing on one output.
func (e *explainer) item(first asrun.Row) {
	key := itemOf(first)
	e.items = append(e.items, key)
	begun := false
	for _, r := range e.rows {
		if itemOf(r) != key {
			continue
		}
		switch {
		case r.Alert != "":
			begun = e.alert(r) || begun
		case r.Started.IsZero() && r.Outcome == "":
			e.add("about_to", r.Output, SlotName(r.Slot), r.Due, clipOf(r))
		case r.Started.IsZero():
			e.add("silent", r.Output, SlotName(r.Slot), r.Due, reason(r))
		default:
			e.part(r, begun)
			begun = true
		}
	}
	if first.Clock == playlist.ClockUntrusted {
		e.then("untrusted")
	}
}

// alert tells of a row of an alert, and reports whether it sounded.
func (e *explainer) alert(r asrun.Row) (sounded bool) {
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
	case r.FromFrame > 0:
		e.then("rejoined", r.Started, playlist.Length(r.FromFrame).Seconds())
	default:
		e.then("again", r.Started)
	}
	heard, of := playlist.Length(r.FromFrame+r.Frames).Seconds(), playlist.Length(r.OfFrames).Seconds()
	by, taken := e.by(r)
	switch {
	case r.Outcome == "" && !e.alive:
		e.then("broke_off", heard, of)
	case r.Outcome == "":
		e.then("goes_on")
	case r.Outcome == asrun.Complete && r.Reason == asrun.ReasonNone:
		e.then("complete", r.Ended)
	case r.Outcome == asrun.Complete:
		e.then("complete_but", r.Ended, reason(r))
	case r.Outcome == asrun.Preempted && !taken:
		e.then("preempted", r.Ended, heard, of)
	case r.Outcome == asrun.Preempted && by.Alert != "":
		e.then("preempted_alert", r.Ended, heard, of, by.Title)
	case r.Outcome == asrun.Preempted:
		e.then("preempted_by", r.Ended, heard, of, SlotName(by.Slot))
	default:
		e.then("cut", r.Ended, heard, of, reason(r))
	}
}

// by is what took the output from the part.
func (e *explainer) by(r asrun.Row) (asrun.Row, bool) {
	i := slices.IndexFunc(e.rows, func(o asrun.Row) bool {
		gap := o.Started.Sub(r.Ended)
		return o.Output == r.Output && o.Rank > r.Rank && !o.Started.IsZero() && gap > -2*time.Second && gap < 4*time.Second
	})
	if i < 0 {
		return asrun.Row{}, false
	}
	return e.rows[i], true
}

// reason is why a row ended as it did: its reason, else its outcome.
func reason(r asrun.Row) any {
	if r.Reason == asrun.ReasonNone {
		return r.Outcome
	}
	return r.Reason
}

func clipOf(r asrun.Row) ClipName { return ClipName{r.Clip, r.Title, r.Series, r.Issue} }

// due tells of what the timetable has in the time asked about and no row
// speaks of.
func (e *explainer) due() {
	for _, a := range e.p.Timetable().Due(e.at.Add(-time.Nanosecond), e.end.Add(-time.Nanosecond)) {
		for _, out := range a.Slot.Outputs {
			if slices.ContainsFunc(e.rows, func(r asrun.Row) bool { return r.Airing == a.ID && r.Output == out }) {
				continue
			}
			_, known := e.p.Output(out)
			deadline := a.Slot.Deadline(a.Due, e.p.Site.Zone)
			quiet := e.p.QuietAt(a.Due)
			ahead := a.Due.After(e.now)
			var s Standing
			if ahead {
				s = Stand(e.p, Due{Airing: a}, nil, a.Due)
			}
			switch {
			case !known:
				e.add("no_output", out, SlotName(a.Slot.Name), a.Due)
			case ahead && s.Perform:
				e.add("will", out, SlotName(a.Slot.Name), a.Due, SlotName(e.title(a.Slot.Playlist)), a.Slot.Count)
			case ahead && s.Reason == asrun.ReasonLocalHours:
				e.add("will_not_local", out, SlotName(a.Slot.Name), a.Due)
			case ahead:
				e.add("will_not", out, SlotName(a.Slot.Name), a.Due)
			case !quiet && !e.alive:
				e.add("off", out, SlotName(a.Slot.Name), a.Due)
			case !quiet && !e.now.After(deadline.Add(asrun.InHand)):
				e.add("may_yet", out, SlotName(a.Slot.Name), a.Due, deadline)
			case quiet:
				e.add("unknown_quiet", out, SlotName(a.Slot.Name), a.Due)
			default:
				e.add("unknown", out, SlotName(a.Slot.Name), a.Due)
			}
		}
	}
}

func (e *explainer) title(list string) string {
	if l, ok := e.p.Playlist(list); ok && l.Title != "" {
		return l.Title
	}
	return list
}

// excluded tells of slots whose cron spec names the time but whose days or
// dates do not.
func (e *explainer) excluded() {
	for _, s := range e.p.Slots {
		due, ok := s.Cron.Next(e.at.Add(-time.Nanosecond).In(e.p.Site.Zone))
		if !ok || !due.Before(e.end) {
			continue
		}
		local := due.In(e.p.Site.Zone)
		day := playlist.Date(local.Format(time.DateOnly))
		switch {
		case s.From != "" && day < s.From:
			e.add("not_yet", SlotName(s.Name), string(s.From))
		case s.To != "" && day > s.To:
			e.add("no_more", SlotName(s.Name), string(s.To))
		case slices.Contains(s.Except, day):
			e.add("except", SlotName(s.Name), string(day))
		case !s.Days.Has(local.Weekday()):
			e.add("not_this_day", SlotName(s.Name), local.Weekday())
		}
	}
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
