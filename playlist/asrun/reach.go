package asrun

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"dalaba/playlist"
)

// Grouping is what a reach report has a line for.
type Grouping string

const (
	ByClip   Grouping = "clip"
	BySeries Grouping = "series"
	ByDay    Grouping = "day"
	ByOutput Grouping = "output"
)

// Reach is one line of a reach report: what the as-run log proves of a group
// of airings. The counts go down the ladder of evidence; each is of clips
// times outputs. Who listened is unknown: audible stays unknown without a feedback
// sensor.
type Reach struct {
	Key    string `json:"key"` // clip ID, series, day or output
	Title  string `json:"title"`
	Series string `json:"series,omitempty"`
	Issue  int    `json:"issue,omitempty"`

	Planned   int `json:"planned"`
	Delivered int `json:"delivered"` // a sound clip was at hand
	Started   int `json:"started"`
	Completed int `json:"completed"` // frames the device consumed >= 0.95 of the clip's
	Unknown   int `json:"unknown"`   // of the planned: nothing says how they ended

	PersonAirings int64 `json:"person_airings"` // sum of residents in earshot over completed
	Reached       int   `json:"reached"`        // residents of outputs with a completed airing, each output once
	Residents     int   `json:"residents"`      // of all outputs targeted
}

// Rate is the reach rate (到达率): Reached / Residents. ok is false if there are no
// residents to reach.
func (r Reach) Rate() (rate float64, ok bool) { return ratio(float64(r.Reached), float64(r.Residents)) }

// Frequency is how often, on average, a reached resident was reached:
// PersonAirings / Reached.
func (r Reach) Frequency() (float64, bool) {
	return ratio(float64(r.PersonAirings), float64(r.Reached))
}

// Completion is Completed / Planned.
func (r Reach) Completion() (float64, bool) {
	return ratio(float64(r.Completed), float64(r.Planned))
}

func ratio(a, b float64) (float64, bool) {
	if b == 0 {
		return 0, false
	}
	return a / b, true
}

// Tally derives reach from rows of the as-run log. Add them in order of due
// instant; the parts of one airing must follow one another.
type Tally struct {
	by    Grouping
	zone  *time.Location
	lines map[string]*tallyLine
	total tallyLine
	due   time.Time
	items map[itemKey]item
}

type itemKey struct {
	airing playlist.AiringID
	output string
	item   int
}

// item is what all parts of one clip of one airing on one output prove.
type item struct {
	row                        Row
	delivered, started, closed bool
	completed                  bool
}

type tallyLine struct {
	Reach
	heard     map[string]bool
	residents map[string]int
}

// NewTally begins a report; days are counted in the zone.
func NewTally(by Grouping, zone *time.Location) *Tally {
	return &Tally{by: by, zone: zone, lines: map[string]*tallyLine{}, items: map[itemKey]item{}}
}

// Add counts one row. Rows of alerts do not count: alerts have figures of their own.
func (t *Tally) Add(r Row) {
	if r.Alert != "" {
		return
	}
	if !r.Due.Equal(t.due) {
		t.settle()
		t.due = r.Due
	}
	k := itemKey{r.Airing, r.Output, r.Item}
	it := t.items[k]
	if it.row.Airing == "" || r.Clip != "" {
		it.row = r
	}
	it.delivered = it.delivered || !r.Cued.IsZero() || r.Frames > 0
	it.started = it.started || r.Frames > 0
	it.completed = it.completed || r.Outcome == Complete
	it.closed = r.Outcome != "" // the last part decides
	t.items[k] = it
}

func (t *Tally) settle() {
	for _, it := range t.items {
		key, title := t.group(it.row)
		line := t.lines[key]
		if line == nil {
			line = &tallyLine{Reach: Reach{Key: key, Title: title}}
			if t.by == ByClip {
				line.Series, line.Issue = it.row.Series, it.row.Issue
			}
			t.lines[key] = line
		}
		line.count(it)
		t.total.count(it)
	}
	clear(t.items)
}

func (t *Tally) group(r Row) (key, title string) {
	switch t.by {
	case BySeries:
		return r.Series, r.Series
	case ByDay:
		day := r.Due.In(t.zone).Format(time.DateOnly)
		return day, day
	case ByOutput:
		return r.Output, r.Output
	}
	return string(r.Clip), r.Title
}

func (l *tallyLine) count(it item) {
	if l.residents == nil {
		l.heard, l.residents = map[string]bool{}, map[string]int{}
	}
	l.residents[it.row.Output] = it.row.Residents
	l.Planned++
	if it.delivered {
		l.Delivered++
	}
	if it.started {
		l.Started++
	}
	switch {
	case it.completed:
		l.Completed++
		l.PersonAirings += int64(it.row.Residents)
		l.heard[it.row.Output] = true
	case !it.closed:
		l.Unknown++
	}
}

func (l *tallyLine) reach() Reach {
	r := l.Reach
	for out, n := range l.residents {
		r.Residents += n
		if l.heard[out] {
			r.Reached += n
		}
	}
	return r
}

// AddUnknown counts an airing that fell due on an output and has no row.
func (t *Tally) AddUnknown(slot playlist.Slot, due time.Time, out playlist.Output) {
	t.settle()
	for n := range slot.Count {
		t.items[itemKey{playlist.NewAiringID(slot.Name, due), out.Name, n + 1}] = item{row: Row{
			Airing: playlist.NewAiringID(slot.Name, due), Output: out.Name, Item: n + 1, Due: due, Residents: out.Residents,
		}}
	}
	t.settle()
}

// InHand is how long after the last instant at which an airing may start its
// row may still be on its way.
const InHand = time.Minute

// Report returns the reach of the airings due in [since, until); a zero bound is
// none. rows are the as-run log in order of due instant; rows before since are not
// reported.
//
// An airing that fell due and has no row is unknown. Such airings count from the
// first row on that shows the slot in force on that output with the times it has
// now, so that rows from some time before since make the report better. Report goes
// over the rows once and holds only those of one due instant.
func Report(p *playlist.Programme, rows iter.Seq2[Row, error], by Grouping, since, until, now time.Time) (lines []Reach, total Reach, err error) {
	type place struct {
		name, output string // of a slot, or of an airing
	}
	var (
		tally  = NewTally(by, p.Site.Zone)
		seen   = map[place]bool{}
		active = map[place]bool{}
		next   func() (playlist.Airing, bool)
		due    time.Time
		airing playlist.Airing
		more   bool
	)
	within := func(t time.Time) bool { return !t.Before(since) && (until.IsZero() || t.Before(until)) }
	// expect goes through what fell due before at.
	expect := func(at time.Time) {
		for ; more && airing.Due.Before(at); airing, more = next() {
			for _, name := range airing.Slot.Outputs {
				slot := place{airing.Slot.Name, name}
				out, known := p.Output(name)
				switch {
				case seen[place{string(airing.ID), name}]:
					active[slot] = true
				case known && active[slot] && within(airing.Due) && now.After(airing.Slot.Deadline(airing.Due, p.Site.Zone).Add(InHand)):
					tally.AddUnknown(airing.Slot, airing.Due, out)
				}
			}
		}
	}
	for r, err := range rows {
		if err != nil {
			return nil, Reach{}, err
		}
		if next == nil {
			var stop func()
			next, stop = iter.Pull(p.Timetable().After(r.Due.Add(-time.Nanosecond)))
			defer stop()
			airing, more = next()
		}
		if !r.Due.Equal(due) {
			expect(r.Due)
			due = r.Due
			clear(seen)
		}
		seen[place{string(r.Airing), r.Output}] = true
		if within(r.Due) {
			tally.Add(r)
		}
	}
	end := now
	if !until.IsZero() && until.Before(now) {
		end = until
	}
	if end.After(due) {
		expect(end)
	}
	lines, total = tally.Lines()
	return lines, total, nil
}

// Lines returns the report: a line a group, and the total of all. Clips stand by
// series and issue, the rest by key.
func (t *Tally) Lines() (lines []Reach, total Reach) {
	t.settle()
	for _, l := range t.lines {
		lines = append(lines, l.reach())
	}
	slices.SortFunc(lines, func(a, b Reach) int {
		return cmp.Or(cmp.Compare(a.Series, b.Series), cmp.Compare(a.Issue, b.Issue), cmp.Compare(a.Key, b.Key))
	})
	return lines, t.total.reach()
}

func (g Grouping) String() string { return string(g) }

// ParseGrouping reads a grouping's name.
func ParseGrouping(s string) (Grouping, error) {
	switch g := Grouping(s); g {
	case ByClip, BySeries, ByDay, ByOutput:
		return g, nil
	}
	return "", fmt.Errorf("%w: no grouping %q: clip, series, day or output", playlist.ErrInvalid, s)
}
