package county

import (
	"context"
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
	ManifestsSince(ctx context.Context, since time.Time) ([]store.Envelope, error)
}

// reach reports whom airings reached, and records the airings of which no
// receipt has come.
type reach struct {
	base
	store reachStore
	fleet *fleet
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
	list, err := r.store.ManifestsSince(ctx, from.Add(-longestDeadline))
	if err != nil {
		return err
	}
	fleet, err := r.fleet.active(ctx)
	if err != nil {
		return err
	}
	var due []store.Due
	for i, e := range list {
		m, err := manifestOf(e)
		if err != nil {
			r.log.Warn("manifest cannot be accounted for", "scope", e.Scope, "version", e.Version, "err", err)
			continue
		}
		begins, ends := e.At, time.Time{}
		if m.NotBefore.After(begins) {
			begins = m.NotBefore
		}
		if i+1 < len(list) && list[i+1].Scope == e.Scope {
			ends = list[i+1].At
		}
		inForce := func(at time.Time) bool { return !at.Before(begins) && (ends.IsZero() || at.Before(ends)) }
		due = append(due, r.dueBy(m, zonesOf(e.Scope, fleet), from, to, inForce)...)
	}
	return r.store.Account(ctx, due, to)
}

// zone is an output and since when its controller is part of the county.
type zone struct {
	id    int64
	since time.Time
}

// zonesOf lists the outputs on which the manifest of a scope airs.
func zonesOf(scope playlist.Scope, fleet []store.Controller) (all []zone) {
	area, isArea := scope.Area()
	for _, k := range fleet {
		if !k.Follower().Follows(scope) {
			continue
		}
		for _, o := range k.Outputs {
			if !o.Gone && (!isArea || k.PlaceOf(o).Airs().Within(area)) {
				all = append(all, zone{o.ID, k.Made})
			}
		}
	}
	return all
}

// dueBy lists the airings of a manifest whose deadline lies in (from, to], with
// the outputs that should have aired them.
func (r *reach) dueBy(m playlist.Manifest, zones []zone, from, to time.Time, inForce func(time.Time) bool) (all []store.Due) {
	if len(zones) == 0 {
		return nil
	}
	p := playlist.Programme{Site: playlist.Site{Zone: r.zone}, Slots: m.Slots}
	for _, a := range p.Timetable().Due(from.Add(-longestDeadline), to) {
		deadline := a.Slot.Latest(a.Due, r.zone)
		if !deadline.After(from) || deadline.After(to) || !inForce(a.Due) {
			continue
		}
		d := store.Due{Slot: playlist.CountyName(m.Scope, a.Slot.Name), Due: a.Due, Items: a.Slot.Count}
		for _, z := range zones {
			if z.since.Before(a.Due) {
				d.Outputs = append(d.Outputs, z.id)
			}
		}
		if len(d.Outputs) > 0 {
			all = append(all, d)
		}
	}
	return all
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
