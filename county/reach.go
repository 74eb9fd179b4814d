package county

import (
	"context"
	"slices"
	"strconv"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// reachStore keeps what receipts tell, and what they should have told.
type reachStore interface {
	Reach(ctx context.Context, q store.ReachQuery) (store.ReachReport, error)
	Account(ctx context.Context, due []store.Due, upTo time.Time) error
	Accounted(ctx context.Context) (time.Time, error)
	localStore
}

// reach reports whom airings reached, and records the airings of which no
// receipt has come.
type reach struct {
	base
	store     reachStore
	documents *documents
	fleet     *fleet
}

const (
	// accountAfter is how long after its deadline an airing is taken to be one
	// without a receipt: long enough for a sync or two.
	accountAfter = 5 * time.Minute

	// accountBack is how far back accounting begins if it has never been done.
	accountBack = 24 * time.Hour

	// accountStep is how much is accounted for at once: what was done is kept.
	accountStep = 24 * time.Hour

	// longestDeadline is from the due instant of an airing to its latest deadline.
	longestDeadline = 25 * time.Hour
)

// account records what fell due by the manifests in force and has no receipt.
// It continues from where it was, so that nothing is left out while the county
// was down.
func (r *reach) account(ctx context.Context) error {
	last, err := r.store.Accounted(ctx)
	if err != nil {
		return err
	}
	now := r.now().Add(-accountAfter)
	if last.IsZero() {
		last = now.Add(-accountBack)
	}
	for last.Before(now) {
		to := now
		if next := last.Add(accountStep); next.Before(now) {
			to = next
		}
		if err := r.accountFor(ctx, last, to); err != nil {
			return err
		}
		last = to
	}
	return nil
}

// accountFor accounts for the airings whose deadline lies in (from, to].
func (r *reach) accountFor(ctx context.Context, from, to time.Time) error {
	all, err := r.timeline(ctx, r.documents, from.Add(-longestDeadline))
	if err != nil {
		return err
	}
	fleet, err := r.fleet.active(ctx)
	if err != nil {
		return err
	}
	locals, err := r.store.Locals(ctx)
	if err != nil {
		return err
	}
	for id, l := range locals { // its own slots are none of the county's reach
		locals[id] = playlist.Local{Zone: l.Zone, Exceptions: l.Exceptions, Calendar: l.Calendar}
	}
	kinds, err := kindsOf(fleet, locals, all)
	if err != nil {
		return err
	}
	var due []store.Due
	for _, k := range kinds {
		due = append(due, r.dueOn(k, all, from, to)...)
	}
	return r.store.Account(ctx, due, to)
}

// dueOn lists the airings whose deadline lies in (from, to] that controllers of a kind
// should have aired by the manifests that were in force as they fell due.
func (r *reach) dueOn(k *kind, all []published, from, to time.Time) (due []store.Due) {
	one := k.of
	one.Outputs = slices.Clone(one.Outputs)
	for i := range one.Outputs {
		one.Outputs[i].Name = strconv.Itoa(i) // the same on all of the kind
	}
	for _, s := range stretches(all, from.Add(-longestDeadline), to.Add(1)) {
		x := r.mix(one, k.own, s.all())
		for _, a := range x.Timetable().Due(s.from.Add(-1), s.to.Add(-1)) {
			deadline := a.Slot.Latest(a.Due, x.Site.Zone)
			if !deadline.After(from) || deadline.After(to) {
				continue
			}
			d := store.Due{Slot: a.Slot.Name, Due: a.Due, Items: a.Slot.Count}
			for _, name := range a.Slot.Outputs {
				n, _ := strconv.Atoi(name)
				for _, c := range k.all {
					if c.Made.Before(a.Due) {
						d.Outputs = append(d.Outputs, c.Outputs[n].ID)
					}
				}
			}
			if len(d.Outputs) > 0 {
				due = append(due, d)
			}
		}
	}
	return due
}

// Rate is a share with what it is made of, all in one unit.
type Rate struct {
	Numerator   int64    `json:"numerator"`
	Denominator int64    `json:"denominator"`
	Unknown     int64    `json:"unknown"` // of the denominator: nothing tells whether it belongs to the numerator
	Value       *float64 `json:"value"`   // null if the denominator is 0
}

func rate(n, d, unknown int64) Rate {
	r := Rate{Numerator: n, Denominator: d, Unknown: unknown}
	if d != 0 {
		v := float64(n) / float64(d)
		r.Value = &v
	}
	return r
}

// ReachLine is a line of a reach report with its rates.
type ReachLine struct {
	asrun.Reach
	Audible    *int     `json:"audible"`    // always null: no sensor tells
	Completion Rate     `json:"completion"` // completed / planned
	ReachRate  Rate     `json:"reach_rate"` // reached / residents
	Frequency  *float64 `json:"frequency"`  // person_airings / reached
}

// ReachReport is whom the airings reached.
type ReachReport struct {
	By    store.Grouping `json:"by"`
	From  playlist.Date  `json:"from,omitempty"`
	To    playlist.Date  `json:"to,omitempty"`
	Area  playlist.Area  `json:"area,omitempty"`
	Lines []ReachLine    `json:"lines"`
	Total ReachLine      `json:"total"`

	// Changed are the outputs that had not the same residents at all airings. The figures
	// go by airing: see [asrun.Reach].
	Changed []store.Change `json:"changed"`
}

func lineOf(r asrun.Reach) ReachLine {
	l := ReachLine{Reach: r}
	l.Completion = rate(int64(r.Completed), int64(r.Planned), int64(r.Unknown))
	l.ReachRate = rate(int64(r.Reached), int64(r.Residents), int64(r.ResidentsUnknown))
	if v, ok := r.Frequency(); ok {
		l.Frequency = &v
	}
	return l
}

// report tells whom the airings reached.
func (r *reach) report(ctx context.Context, q store.ReachQuery) (ReachReport, error) {
	rep, err := r.store.Reach(ctx, q)
	if err != nil {
		return ReachReport{}, err
	}
	out := ReachReport{By: q.By, From: q.From, To: q.To, Area: q.Area, Lines: []ReachLine{}, Total: lineOf(rep.Total), Changed: append([]store.Change{}, rep.Changed...)}
	for _, l := range rep.Lines {
		out.Lines = append(out.Lines, lineOf(l))
	}
	return out, nil
}
