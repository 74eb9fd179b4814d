package asrun

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"dalaba/playlist"
)

// Grouping is what a reach report has a line for.
type Grouping string

const (
	ByClip   Grouping = "clip"  // clips that replaced one another are one
	ByIssue  Grouping = "issue" // of a series; clips without an issue number each by itself
	BySeries Grouping = "series"
	ByDay    Grouping = "day"
	ByOutput Grouping = "output"
	BySlot   Grouping = "slot"
)

// Groupings are all of them.
var Groupings = []Grouping{ByClip, ByIssue, BySeries, ByDay, ByOutput, BySlot}

// Reach is one line of a reach report: what the as-run log proves of a group
// of airings. The counts go down the ladder of evidence; each is of clips
// times outputs. Who listened is unknown: audible stays unknown without a feedback
// sensor.
//
// Residents are always those that the output had in earshot at the airing, never
// today's. An output counts once, with the largest figure of its airings
// ([OutputResidents]):
//
//	PersonAirings = sum over completed airings of the residents at the airing
//	Reached       = sum over outputs of the largest figure of their completed airings
//	Residents     = sum over outputs of the largest figure of all their airings
//
// So Reached <= Residents, and if Reached is not 0 the frequency lies between 1 and the
// number of airings that one output completed.
type Reach struct {
	Key    string `json:"key"` // clip ID, series and issue, series, day, output or slot; of sounds by hand what [playlist.ByHand] names
	Title  string `json:"title"`
	Series string `json:"series,omitempty"`
	Issue  int    `json:"issue,omitempty"`

	Planned   int `json:"planned"`
	Delivered int `json:"delivered"` // a sound clip was at hand
	Started   int `json:"started"`
	Completed int `json:"completed"` // frames the device consumed >= 0.95 of the clip's
	Unknown   int `json:"unknown"`   // of the planned: nothing says how they ended

	PersonAirings int64 `json:"person_airings"` // sum of residents at the airing over completed
	Reached       int   `json:"reached"`        // residents of outputs with a completed airing, each output once
	Residents     int   `json:"residents"`      // of all outputs targeted

	// ResidentsUnknown are those of outputs that are not reached as far as is known, and of
	// whose airings some are unknown: Reached <= whom it was <= Reached + ResidentsUnknown.
	ResidentsUnknown int `json:"residents_unknown"`
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

// OutputResidents returns the residents that an output counts with, once, after one more
// of its airings: counted is what it counted with before, 0 at first. Residents may have
// changed between airings: 400 at first and 300 later are 400 people, of whom 100 were not
// there for the later ones.
func OutputResidents(counted, atAiring int) int { return max(counted, atAiring) }

// Figure is how many residents an output had in earshot from an airing on.
type Figure struct {
	Residents int       `json:"residents"`
	Since     time.Time `json:"since"` // due instant of that airing
}

// Change is an output that had not the same residents at all airings of a report.
type Change struct {
	Output  string   `json:"output"`
	Figures []Figure `json:"figures"` // in order of due instant
}

// AddFigure adds the figure of the next airing unless the last airing had the same
// residents.
func AddFigure(figures []Figure, f Figure) []Figure {
	if n := len(figures); n > 0 && figures[n-1].Residents == f.Residents {
		return figures
	}
	return append(figures, f)
}

// Tally derives reach from rows of the as-run log. Add them in order of due
// instant; the parts of one airing must follow one another.
type Tally struct {
	by      Grouping
	zone    *time.Location
	lessons map[playlist.ClipID]playlist.ClipID
	lines   map[string]*tallyLine
	total   tallyLine
	figures map[string][]Figure // by output
	due     time.Time
	items   map[itemKey]item
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
	targeted, reached map[string]int // residents that each output counts with
	unknown           map[string]int // of those with unknown airings
}

// NewTally begins a report. An airing belongs to the day on which it fell due in the
// zone, even if it sounded on the next.
func NewTally(by Grouping, zone *time.Location) *Tally {
	return &Tally{by: by, zone: zone, lines: map[string]*tallyLine{}, figures: map[string][]Figure{}, items: map[itemKey]item{}}
}

// Lessons says which clips are one lesson, as [playlist.Lineage.First] has it.
func (t *Tally) Lessons(first map[playlist.ClipID]playlist.ClipID) *Tally {
	t.lessons = first
	return t
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
	keys := slices.SortedFunc(maps.Keys(t.items), func(a, b itemKey) int {
		return cmp.Or(cmp.Compare(a.output, b.output), cmp.Compare(a.airing, b.airing), cmp.Compare(a.item, b.item))
	})
	for _, k := range keys {
		it := t.items[k]
		t.figures[k.output] = AddFigure(t.figures[k.output], Figure{it.row.Residents, it.row.Due})
		key, title := t.group(it.row)
		line := t.lines[key]
		if line == nil {
			line = &tallyLine{}
			t.lines[key] = line
		}
		line.Key, line.Title = key, title // as it was called last
		if t.by == ByClip || t.by == ByIssue {
			line.Series, line.Issue = it.row.Series, it.row.Issue
		}
		if t.by == ByClip {
			line.Key = string(it.row.Clip)
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
	case BySlot:
		if _, hand := r.Airing.Hand(); hand {
			return string(playlist.ByHand("")), ""
		}
		return r.Slot, r.Slot
	}
	if t.by == ByIssue && r.Issue > 0 {
		return fmt.Sprintf("%s/%d", r.Series, r.Issue), r.Title
	}
	if lesson, ok := t.lessons[r.Clip]; ok {
		return string(lesson), r.Title
	}
	return string(r.Clip), r.Title
}

func (l *tallyLine) count(it item) {
	if l.targeted == nil {
		l.targeted, l.reached = map[string]int{}, map[string]int{}
	}
	out, residents := it.row.Output, it.row.Residents
	l.targeted[out] = OutputResidents(l.targeted[out], residents)
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
		l.PersonAirings += int64(residents)
		l.reached[out] = OutputResidents(l.reached[out], residents)
	case !it.closed:
		l.Unknown++
		l.unsure(out, residents)
	}
}

// unsure notes an output with an unknown airing.
func (l *tallyLine) unsure(output string, residents int) {
	if l.unknown == nil {
		l.unknown = map[string]int{}
	}
	l.unknown[output] = OutputResidents(l.unknown[output], residents)
}

func (l *tallyLine) reach() Reach {
	r := l.Reach
	for _, n := range l.targeted {
		r.Residents += n
	}
	for _, n := range l.reached {
		r.Reached += n
	}
	for output, n := range l.unknown {
		if _, reached := l.reached[output]; !reached {
			r.ResidentsUnknown += n
		}
	}
	return r
}

// AddUnknown counts an airing that fell due on an output and has no row. residents are
// those of the output's last airing before it: no row says whether they had changed.
func (t *Tally) AddUnknown(slot playlist.Slot, due time.Time, output string, residents int) {
	t.settle()
	for n := range slot.Count {
		t.items[itemKey{playlist.NewAiringID(slot.Name, due), output, n + 1}] = item{row: Row{
			Airing: playlist.NewAiringID(slot.Name, due), Slot: slot.Name, Output: output, Item: n + 1, Due: due, Residents: residents,
		}}
	}
	t.settle()
}

// InHand is how long after the last instant at which an airing may start its
// row may still be on its way.
const InHand = time.Minute

// Summary is a reach report: a line a group, the total of all, and the outputs whose
// residents changed in the period.
type Summary struct {
	Lines   []Reach
	Total   Reach
	Changed []Change
}

// Report returns the reach of the airings due in [since, until); a zero bound is
// none. rows are the as-run log in order of due instant; rows before since are not
// reported.
//
// An airing that fell due and has no row is unknown. Such airings count from the
// first row on that shows the slot in force on that output with the times it has
// now, so that rows from some time before since make the report better. Report goes
// over the rows once and holds only those of one due instant.
func Report(p *playlist.Programme, rows iter.Seq2[Row, error], by Grouping, since, until, now time.Time) (Summary, error) {
	type place struct {
		name, output string // of a slot, or of an airing
	}
	var (
		tally  = NewTally(by, p.Site.Zone).Lessons(p.Lessons)
		seen   = map[place]bool{}
		active = map[place]bool{}
		latest = map[string]int{} // residents of each output at its last airing
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
				_, known := p.Output(name)
				switch {
				case seen[place{string(airing.ID), name}]:
					active[slot] = true
				case known && active[slot] && within(airing.Due) && now.After(airing.Slot.Latest(airing.Due, p.Site.Zone).Add(InHand)):
					tally.AddUnknown(airing.Slot, airing.Due, name, latest[name])
				}
			}
		}
	}
	for r, err := range rows {
		if err != nil {
			return Summary{}, err
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
		latest[r.Output] = r.Residents
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
	lines, total := tally.Lines()
	return Summary{lines, total, tally.Changed()}, nil
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

// Changed returns the outputs whose residents changed, by name.
func (t *Tally) Changed() (all []Change) {
	t.settle()
	for _, output := range slices.Sorted(maps.Keys(t.figures)) {
		if figures := t.figures[output]; len(figures) > 1 {
			all = append(all, Change{output, figures})
		}
	}
	return all
}

func (g Grouping) String() string { return string(g) }

// ParseGrouping reads a grouping's name.
func ParseGrouping(s string) (Grouping, error) {
	if g := Grouping(s); slices.Contains(Groupings, g) {
		return g, nil
	}
	return "", fmt.Errorf("%w: no grouping %q: one of %v", playlist.ErrInvalid, s, Groupings)
}
