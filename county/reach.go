package county

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// health is what a controller last told of itself.
func health(k store.Controller) (h link.Health, err error) {
	if len(k.Health) == 0 {
		return h, nil
	}
	return h, json.Unmarshal(k.Health, &h)
}

// accountAfter is how long after its deadline an airing is taken to be one of
// which no receipt speaks: long enough for a sync or two.
const accountAfter = 5 * time.Minute

// accountBack is how far back accounting begins where it has never been done.
const accountBack = 24 * time.Hour

// account notes what fell due by the manifests in force and of which nobody
// has spoken. It goes on from where it was, so that nothing is left out while
// the county was down.
func (c *County) account(ctx context.Context) error {
	last, err := c.Store.Accounted(ctx)
	if err != nil {
		return err
	}
	now := c.now().Add(-accountAfter)
	if last.IsZero() {
		last = now.Add(-accountBack)
	}
	for last.Before(now) { // a day at a time: so is it soon kept
		to := now
		if next := last.Add(24 * time.Hour); next.Before(now) {
			to = next
		}
		if err := c.accountFor(ctx, last, to); err != nil {
			return err
		}
		last = to
	}
	return nil
}

// accountFor accounts for the airings whose deadline lies in (from, to].
func (c *County) accountFor(ctx context.Context, from, to time.Time) error {
	const longest = 25 * time.Hour // from due to the latest deadline
	list, err := c.Store.ManifestsSince(ctx, from.Add(-longest))
	if err != nil {
		return err
	}
	fleet, err := c.Store.Fleet(ctx, store.FleetQuery{State: store.Active})
	if err != nil {
		return err
	}
	var due []store.Due
	for i, e := range list {
		m, err := manifestOf(e)
		if err != nil {
			c.Log.Warn("manifest cannot be accounted for", "scope", e.Scope, "version", e.Version, "err", err)
			continue
		}
		begins, ends := e.At, time.Time{}
		if m.NotBefore.After(begins) {
			begins = m.NotBefore
		}
		if i+1 < len(list) && list[i+1].Scope == e.Scope {
			ends = list[i+1].At
		}
		type zone struct {
			id    int64
			since time.Time
		}
		var zones []zone
		for _, k := range fleet {
			if !k.Follower().Follows(e.Scope) {
				continue
			}
			area, isArea := e.Scope.Area()
			for _, o := range k.Outputs {
				if !o.Gone && (!isArea || o.Area.Within(area)) {
					zones = append(zones, zone{o.ID, k.Made})
				}
			}
		}
		if len(zones) == 0 {
			continue
		}
		p := playlist.Programme{Site: playlist.Site{Zone: c.Zone}, Slots: m.Slots}
		for _, a := range p.Timetable().Due(from.Add(-longest), to) {
			deadline := a.Slot.Deadline(a.Due, c.Zone)
			if !deadline.After(from) || deadline.After(to) || a.Due.Before(begins) || !ends.IsZero() && !a.Due.Before(ends) {
				continue
			}
			d := store.Due{Slot: playlist.CountyName(e.Scope, a.Slot.Name), Due: a.Due, Items: a.Slot.Count}
			for _, z := range zones {
				if z.since.Before(a.Due) {
					d.Outputs = append(d.Outputs, z.id)
				}
			}
			if len(d.Outputs) > 0 {
				due = append(due, d)
			}
		}
	}
	return c.Store.Account(ctx, due, to)
}

// Rate is a share with what it is made of.
type Rate struct {
	Numerator   int64    `json:"numerator"`
	Denominator int64    `json:"denominator"`
	Unknown     int64    `json:"unknown"`
	Value       *float64 `json:"value"` // null where the denominator is 0
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
	playlist.Reach
	Audible    *int     `json:"audible"`    // always null: no sensor says so
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
}

func lineOf(r playlist.Reach) ReachLine {
	l := ReachLine{Reach: r}
	l.Completion = rate(int64(r.Completed), int64(r.Planned), int64(r.Unknown))
	l.ReachRate = rate(int64(r.Reached), int64(r.Residents), int64(r.Unknown))
	if v, ok := r.Frequency(); ok {
		l.Frequency = &v
	}
	return l
}

// Reach reports whom the airings reached.
func (c *County) Reach(ctx context.Context, q store.ReachQuery) (ReachReport, error) {
	rep, err := c.Store.Reach(ctx, q)
	if err != nil {
		return ReachReport{}, err
	}
	out := ReachReport{By: q.By, From: q.From, To: q.To, Area: q.Area, Lines: []ReachLine{}, Total: lineOf(rep.Total)}
	for _, l := range rep.Lines {
		out.Lines = append(out.Lines, lineOf(l))
	}
	return out, nil
}

// Status is how a controller of the fleet does, for people.
type Status struct {
	store.Controller
	Online bool     `json:"online"`
	Faults []string `json:"faults"` // what a person must mend
}

// FleetStatus is the fleet and what is wrong with it.
func (c *County) FleetStatus(ctx context.Context, q store.FleetQuery, silent, faulty bool) ([]Status, error) {
	fleet, err := c.Store.Fleet(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []Status{}
	for _, k := range fleet {
		s := Status{Controller: k, Online: c.Online(k), Faults: []string{}}
		h, err := health(k)
		if err != nil {
			return nil, err
		}
		if h.Store != "" && h.Store != "ok" {
			s.Faults = append(s.Faults, "store: "+h.Store)
		}
		for _, o := range h.Outputs {
			if o.State != "" && o.State != "ok" {
				s.Faults = append(s.Faults, o.Name+": "+o.State)
			}
		}
		for _, p := range h.Progress {
			if !p.Active && p.Why != "" && p.Why != "not_before" { // what waits for its day is well
				s.Faults = append(s.Faults, string(p.Scope)+": "+p.Why)
			}
		}
		if silent && (s.Online || k.State != store.Active) || faulty && len(s.Faults) == 0 {
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

// LogLine is an event of a controller or a row of its as-run log.
type LogLine struct {
	At    time.Time     `json:"at"`
	Event *store.Event  `json:"event,omitempty"`
	Row   *playlist.Row `json:"row,omitempty"`
}

// ControllerLog is the latest of what a controller told, events and rows, in
// order of time.
func (c *County) ControllerLog(ctx context.Context, id playlist.ControllerID, limit int) ([]LogLine, error) {
	if _, err := c.find(ctx, id); err != nil {
		return nil, err
	}
	events, err := c.Store.Events(ctx, id, limit)
	rows, rerr := c.Store.Rows(ctx, store.RowQuery{Controller: id, Limit: limit})
	if err = errors.Join(err, rerr); err != nil {
		return nil, err
	}
	all := []LogLine{}
	for _, e := range events {
		all = append(all, LogLine{At: e.At, Event: &e})
	}
	for _, r := range rows {
		at := r.Due
		if !r.Ended.IsZero() {
			at = r.Ended
		}
		all = append(all, LogLine{At: at, Row: &r.Row})
	}
	slices.SortStableFunc(all, func(a, b LogLine) int { return a.At.Compare(b.At) })
	if len(all) > limit {
		all = all[len(all)-limit:]
	}
	return all, nil
}
