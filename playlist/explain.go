package playlist

import (
	"slices"
	"time"

	"dalaba/playlist/say"
)

// looksBack and looksAhead bound the search for the airing before and after an
// instant in which nothing was due, step by step.
var (
	looksBack  = []time.Duration{time.Hour, 24 * time.Hour, 8 * 24 * time.Hour, 370 * 24 * time.Hour}
	looksAhead = 5 * 366 * 24 * time.Hour
)

// Explain says in a sentence or two for each output and slot what sounded at
// the instant, what fell due then and did not sound, and why; or, of a time
// to come, what will happen. An instant on the full minute stands for the
// minute. rows are those of the as-run log due in the day before the instant
// and up to a minute after it, in the order of due instants; alive is whether
// the daemon runs, without which no open row goes on.
func Explain(p *Programme, rows []Row, at, now time.Time, alive bool) []say.Message {
	e := explainer{p: p, rows: rows, at: at, end: at.Add(time.Second), now: now, alive: alive}
	if at.Truncate(time.Minute).Equal(at) {
		e.end = at.Add(time.Minute)
	}
	e.heard()
	e.due()
	e.excluded()
	if len(e.say) == 0 {
		e.nothing()
	}
	return e.say
}

type explainer struct {
	p       *Programme
	rows    []Row
	at, end time.Time // [at, end)
	now     time.Time
	alive   bool
	say     []say.Message
	told    []RowKey // items of which a row has been told: Part is 0
}

func (e *explainer) add(key string, args ...any) { e.say = append(e.say, why(key, args)) }

// why is a sentence in which slots of the county are called as people call
// them.
func why(key string, args []any) say.Message {
	for i, a := range args {
		if name, ok := a.(string); ok && FromCounty(name) {
			args[i] = SlotTitle(name)
		}
	}
	return say.M("why."+key, args...)
}

// then puts a sentence behind the last one.
func (e *explainer) then(key string, args ...any) {
	last := len(e.say) - 1
	e.say[last] = say.M("why.then", e.say[last], why(key, args))
}

// clock is an instant for people: with the date where it is another day's.
func (e *explainer) clock(t time.Time) string {
	local, day := t.In(e.p.Site.Zone), e.at.In(e.p.Site.Zone)
	if local.Format(time.DateOnly) == day.Format(time.DateOnly) {
		return local.Format(time.TimeOnly)
	}
	return local.Format(time.DateTime)
}

func itemOf(r Row) RowKey { return RowKey{r.Airing, r.Output, r.Item, 0} }

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
		if (sounded || begins) && !slices.Contains(e.told, itemOf(r)) {
			e.item(r)
		}
	}
}

func (e *explainer) asks(due time.Time) bool { return !due.Before(e.at) && due.Before(e.end) }

// item tells the story of one clip of one airing on one output.
func (e *explainer) item(first Row) {
	key := itemOf(first)
	e.told = append(e.told, key)
	begun := false
	for _, r := range e.rows {
		if itemOf(r) != key {
			continue
		}
		switch {
		case r.Alert != "" && !r.Started.IsZero():
			e.add("alert", r.Output, r.Title, e.clock(r.Started), say.M("why.used_"+string(r.Used)), Length(r.Frames).Seconds())
			begun = true
			if r.Outcome != Complete && r.Outcome != "" {
				e.then("alert_cut", e.reason(r))
			}
			continue
		case r.Alert != "":
			e.add("alert_silent", r.Output, r.Title, e.clock(r.Due), e.reason(r))
			continue
		case r.Outcome == "" && r.Started.IsZero():
			e.add("about_to", r.Output, r.Slot, e.clock(r.Due), bill(r))
			continue
		case r.Started.IsZero():
			e.add("silent", r.Output, r.Slot, e.clock(r.Due), e.reason(r))
			continue
		case !begun:
			e.add("heard", r.Output, r.Slot, e.clock(r.Due), e.clock(r.Started), bill(r))
		case r.FromFrame > 0:
			e.then("rejoined", e.clock(r.Started), Length(r.FromFrame).Seconds())
		default:
			e.then("again", e.clock(r.Started))
		}
		begun = true
		heard, of := Length(r.FromFrame+r.Frames).Seconds(), Length(r.OfFrames).Seconds()
		switch {
		case r.Outcome == "" && !e.alive:
			e.then("broke_off", heard, of)
		case r.Outcome == "":
			e.then("goes_on")
		case r.Outcome == Complete && r.Reason == ReasonNone:
			e.then("complete", e.clock(r.Ended))
		case r.Outcome == Complete:
			e.then("complete_but", e.clock(r.Ended), e.reason(r))
		case r.Outcome == Preempted:
			if by, ok := e.by(r); ok {
				if by.Alert != "" {
					e.then("preempted_alert", e.clock(r.Ended), heard, of, by.Title)
				} else {
					e.then("preempted_by", e.clock(r.Ended), heard, of, by.Slot)
				}
			} else {
				e.then("preempted", e.clock(r.Ended), heard, of)
			}
		default:
			e.then("cut", e.clock(r.Ended), heard, of, e.reason(r))
		}
	}
	if first.Clock == ClockUntrusted {
		e.then("untrusted")
	}
}

// by is what took the output from the part.
func (e *explainer) by(r Row) (Row, bool) {
	i := slices.IndexFunc(e.rows, func(o Row) bool {
		gap := o.Started.Sub(r.Ended)
		return o.Output == r.Output && o.Rank > r.Rank && !o.Started.IsZero() && gap > -2*time.Second && gap < 4*time.Second
	})
	if i < 0 {
		return Row{}, false
	}
	return e.rows[i], true
}

func (e *explainer) reason(r Row) say.Message {
	if r.Reason == ReasonNone {
		return say.M("outcome." + string(r.Outcome))
	}
	return say.M("reason." + string(r.Reason))
}

// bill names the clip of a row.
func bill(r Row) say.Message {
	switch {
	case r.Title == "":
		return say.M("why.bare", r.Clip.Short())
	case r.Issue > 0 && r.Series != "":
		return say.M("why.issue", r.Series, r.Issue, r.Title)
	}
	return say.M("why.title", r.Title)
}

// due tells of what the timetable has in the time asked about and no row
// speaks of.
func (e *explainer) due() {
	for _, a := range e.p.Timetable().Due(e.at.Add(-time.Nanosecond), e.end.Add(-time.Nanosecond)) {
		for _, out := range a.Slot.Outputs {
			if slices.ContainsFunc(e.rows, func(r Row) bool { return r.Airing == a.ID && r.Output == out }) {
				continue
			}
			_, known := e.p.Output(out)
			deadline := a.Slot.Deadline(a.Due, e.p.Site.Zone)
			switch quiet := e.p.QuietAt(a.Due); {
			case !known:
				e.add("no_output", out, a.Slot.Name, e.clock(a.Due))
			case a.Due.After(e.now) && FromCounty(a.Slot.Name) && e.p.ProtectedAt(a.Due):
				e.add("will_not_local", out, a.Slot.Name, e.clock(a.Due))
			case a.Due.After(e.now) && quiet:
				e.add("will_not", out, a.Slot.Name, e.clock(a.Due))
			case a.Due.After(e.now):
				e.add("will", out, a.Slot.Name, e.clock(a.Due), e.title(a.Slot.Playlist), a.Slot.Count)
			case !quiet && !e.alive:
				e.add("off", out, a.Slot.Name, e.clock(a.Due))
			case !quiet && !e.now.After(deadline.Add(inHand)):
				e.add("may_yet", out, a.Slot.Name, e.clock(a.Due), e.clock(deadline))
			case quiet:
				e.add("unknown_quiet", out, a.Slot.Name, e.clock(a.Due))
			default:
				e.add("unknown", out, a.Slot.Name, e.clock(a.Due))
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
		day := Date(local.Format(time.DateOnly))
		switch {
		case s.From != "" && day < s.From:
			e.add("not_yet", s.Name, string(s.From))
		case s.To != "" && day > s.To:
			e.add("no_more", s.Name, string(s.To))
		case slices.Contains(s.Except, day):
			e.add("except", s.Name, string(day))
		case !s.Days.Has(local.Weekday()):
			e.add("not_this_day", s.Name, say.M("why.day"+string(rune('0'+local.Weekday()))))
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
			e.then("before", e.clock(last.Due), last.Slot.Name)
			break
		}
	}
	for next := range t.After(e.end.Add(-time.Nanosecond)) {
		if next.Due.Sub(e.at) < looksAhead {
			e.then("after", e.clock(next.Due), next.Slot.Name)
		}
		return
	}
	e.then("none_after")
}
