package emergency

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Reached is what the as-run log proves of an alert on one output.
type Reached string

const (
	ReachedWhole   Reached = "whole"   // a whole pass was heard, once or more
	ReachedPart    Reached = "part"    // something sounded, but never all that it says
	ReachedTone    Reached = "tone"    // only the tone sounded, which says nothing
	ReachedNot     Reached = "none"    // rows say that nothing sounded
	ReachedUnknown Reached = "unknown" // no row tells, or it only begins to sound
)

// OutputReach is what one output sounded of an alert.
type OutputReach struct {
	Output    string  `json:"output"`
	Residents int     `json:"residents"` // the largest figure of its rows; without a row, today's
	Reached   Reached `json:"reached"`
	Whole     int     `json:"whole"` // passes heard whole: see [Heard]
}

// Reach is whom one alert reached.
type Reach struct {
	ID        playlist.AlertID `json:"id"`
	Title     string           `json:"title"`
	Received  time.Time        `json:"received"`
	Outputs   []OutputReach    `json:"outputs"`   // those that it is for, and others on which it sounded
	Reached   int              `json:"reached"`   // residents of the outputs on which it was heard whole
	Residents int              `json:"residents"` // of all of them
	Unknown   int              `json:"unknown"`   // outputs of which it is not known

	Record Record        `json:"-"` // zero if the store has forgotten it, or it was said into the microphone
	Rank   playlist.Rank `json:"-"`
}

// Rate is Reached / Residents; ok is false if there are no residents to reach, or if of
// no output it is known.
func (r Reach) Rate() (rate float64, ok bool) {
	if r.Unknown == len(r.Outputs) {
		return 0, false
	}
	return asrun.Reach{Reached: r.Reached, Residents: r.Residents}.Rate()
}

// Report returns whom the alerts reached that came in [since, until), by when they came;
// a zero bound is none. An alert that was to sound and of which no row tells stands
// there too, and what became of it is unknown.
func Report(p *playlist.Programme, records []Record, rows iter.Seq2[asrun.Row, error], since, until time.Time) ([]Reach, error) {
	within := func(t time.Time) bool { return !t.Before(since) && (until.IsZero() || t.Before(until)) }
	of := map[playlist.AlertID][]asrun.Row{}
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		if r.Alert != "" && within(r.Due) {
			of[r.Alert] = append(of[r.Alert], r)
		}
	}
	var all []Reach
	for _, r := range records {
		if mine := of[r.ID]; len(mine) > 0 || within(r.Received) && r.wasToSound() {
			all = append(all, r.reach(mine, r.Concerned(p)))
		}
		delete(of, r.ID)
	}
	for id, mine := range of {
		first := mine[0]
		got := Record{Alert: Alert{ID: id}}.reach(mine, nil)
		got.Title, got.Received, got.Record = first.Title, first.Due, Record{}
		all = append(all, got)
	}
	slices.SortFunc(all, func(a, b Reach) int { return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// wasToSound reports whether the alert was one to be sounded here, and its time had come.
func (r Record) wasToSound() bool {
	_, sounds := r.Alert.Rank()
	return sounds && r.State != StateRefused && r.State != StateLogged && r.State != StateWaiting
}

// reach sums up the alert's rows by output.
func (r Record) reach(rows []asrun.Row, concerned []playlist.Output) Reach {
	got := Reach{ID: r.ID, Title: r.Headline(), Received: r.Received, Outputs: []OutputReach{}, Record: r}
	of := map[string][]asrun.Row{}
	var names []string
	residents := map[string]int{}
	for _, o := range concerned {
		names = append(names, o.Name)
		residents[o.Name] = o.Residents
	}
	for _, row := range rows {
		got.Rank = max(got.Rank, row.Rank)
		if of[row.Output] == nil {
			residents[row.Output] = 0 // its rows say how many there were
			if !slices.Contains(names, row.Output) {
				names = append(names, row.Output)
			}
		}
		of[row.Output] = append(of[row.Output], row)
		residents[row.Output] = asrun.OutputResidents(residents[row.Output], row.Residents)
	}
	for _, name := range names {
		passes := r.Heard(of[name])
		o := OutputReach{Output: name, Residents: residents[name], Whole: passes.Whole, Reached: ReachedNot}
		switch {
		case passes.Whole > 0:
			o.Reached = ReachedWhole
			got.Reached += o.Residents
		case passes.Said:
			o.Reached = ReachedPart
		case passes.Sounded:
			o.Reached = ReachedTone
		case len(of[name]) == 0 || slices.ContainsFunc(of[name], func(x asrun.Row) bool { return x.Outcome == "" }):
			o.Reached = ReachedUnknown
			got.Unknown++
		}
		got.Residents += o.Residents
		got.Outputs = append(got.Outputs, o)
	}
	return got
}
