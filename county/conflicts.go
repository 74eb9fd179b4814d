package county

import (
	"context"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// Conflict is an airing of the coming week that will not go as its slot says.
type Conflict struct {
	Due        time.Time         `json:"due"` // the first of them
	Slot       string            `json:"slot"`
	Scope      playlist.Scope    `json:"scope"` // of the slot; empty: the site's own
	Kind       schedule.FlagKind `json:"kind"`
	Other      string            `json:"other,omitempty"`       // the slot it collides with
	OtherScope playlist.Scope    `json:"other_scope,omitempty"` // empty, with Other: the site's own
	Times      int               `json:"times"`                 // in that week, on one output; the most in any village

	Controllers int      `json:"controllers"` // that have it
	Residents   int      `json:"residents"`
	Names       []string `json:"names"` // of a few of those
}

// Foresight is how far conflicts were looked for.
type Foresight struct {
	Untold int `json:"untold,omitempty"` // controllers that have not told what their sites have of their own
	Unseen int `json:"unseen,omitempty"` // controllers for which no week was planned, because there are too many kinds of villages
}

// mostKinds is for how many kinds of villages a week is planned.
const mostKinds = 100

// conflicts plans the coming week for each kind of village among the controllers, with a
// manifest and all else that is in force.
func (p *programmes) conflicts(ctx context.Context, m playlist.Manifest, fleet []store.Controller) (all []Conflict, f Foresight, err error) {
	start := p.now()
	if m.NotBefore.After(start) {
		start = m.NotBefore
	}
	now, _, err := p.inForce(ctx, start)
	if err != nil {
		return nil, f, err
	}
	manifests := []playlist.Manifest{m}
	for _, other := range now {
		if other.Scope != m.Scope {
			manifests = append(manifests, other.Manifest)
		}
	}
	locals, err := p.locals.Locals(ctx)
	if err != nil {
		return nil, f, err
	}
	kinds, err := kindsOf(fleet, locals, manifests)
	if err != nil {
		return nil, f, err
	}
	type key struct {
		slot, other       string
		scope, otherScope playlist.Scope
		kind              schedule.FlagKind
	}
	at := map[key]int{}
	for i, k := range kinds {
		if k.own == nil {
			f.Untold += len(k.all)
		}
		if i >= mostKinds {
			f.Unseen += len(k.all)
			continue
		}
		for _, c := range ofOneKind(p.mix(k.of, k.own, manifests), m.Scope, start) {
			c.Controllers, c.Residents = len(k.all), k.size
			for _, one := range k.all[:min(len(k.all), mostNamed)] {
				c.Names = append(c.Names, nameAndID(one))
			}
			of := key{c.Slot, c.Other, c.Scope, c.OtherScope, c.Kind}
			j, known := at[of]
			if !known {
				at[of] = len(all)
				all = append(all, c)
				continue
			}
			have := &all[j]
			if c.Due.Before(have.Due) {
				have.Due = c.Due
			}
			have.Times = max(have.Times, c.Times)
			have.Controllers, have.Residents = have.Controllers+c.Controllers, have.Residents+c.Residents
			have.Names = append(have.Names, c.Names...)[:min(len(have.Names)+len(c.Names), mostNamed)]
		}
	}
	slices.SortStableFunc(all, func(a, b Conflict) int { return a.Due.Compare(b.Due) })
	return append([]Conflict{}, all...), f, nil
}

// ofOneKind lists the conflicts of a village's week that have to do with a scope.
func ofOneKind(x mix, scope playlist.Scope, start time.Time) (all []Conflict) {
	type key struct {
		slot   string
		kind   schedule.FlagKind
		other  origin
		output string
	}
	times := map[key]int{}
	for _, planned := range x.plan(start) {
		o := x.from[planned.Slot.Name]
		for _, f := range planned.Flags {
			other := x.ofAiring(f.Other)
			if o.scope != scope && (f.Other == "" || other.scope != scope) {
				continue
			}
			times[key{planned.Slot.Name, f.Kind, other, planned.Output}]++
			n := times[key{planned.Slot.Name, f.Kind, other, planned.Output}]
			i := slices.IndexFunc(all, func(c Conflict) bool {
				return c.Slot == o.slot && c.Scope == o.scope && c.Kind == f.Kind && c.Other == other.slot && c.OtherScope == other.scope
			})
			if i < 0 {
				all = append(all, Conflict{Due: planned.Due, Slot: o.slot, Scope: o.scope, Kind: f.Kind, Other: other.slot, OtherScope: other.scope, Times: 1})
				continue
			}
			all[i].Times = max(all[i].Times, n)
		}
	}
	return all
}
