package county

import (
	"cmp"
	"context"
	"slices"
	"strings"
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
	Untold int `json:"untold,omitempty"` // controllers that have not told all that their sites have of their own
	Unseen int `json:"unseen,omitempty"` // controllers for which no week was planned, because there is too much to plan
}

// mostKinds is for how many kinds of villages a week is planned, and mostPlanned after how
// many airings in all no other one is.
const (
	mostKinds   = 100
	mostPlanned = 200_000
)

// clash is what a [Conflict] is about.
type clash struct {
	slot, other origin
	kind        schedule.FlagKind
}

// conflicts plans the week from the day on which a manifest would come into force, for each
// kind of village among the controllers, with all else that is in force then. What it lists
// has to do with slots of the manifest, or comes about because of what it says of others.
func (p *programmes) conflicts(ctx context.Context, m playlist.Manifest, before []published, fleet []store.Controller) (all []Conflict, f Foresight, err error) {
	after, start := over(before, m, p.now())
	locals, err := p.locals.Locals(ctx)
	if err != nil {
		return nil, f, err
	}
	kinds, err := kindsOf(fleet, locals, after)
	if err != nil {
		return nil, f, err
	}
	at := map[clash]int{}
	planned := 0
	for i, k := range kinds {
		if i >= mostKinds || planned > mostPlanned {
			f.Unseen += len(k.all)
			continue
		}
		was := p.clashes(k, before, start)
		is := p.clashes(k, after, start)
		planned += was.planned + is.planned
		if is.part {
			f.Untold += len(k.all)
		}
		for what, c := range is.all {
			if _, there := was.all[what]; there && what.slot.scope != m.Scope && what.other.scope != m.Scope {
				continue // it has nothing to do with this manifest
			}
			c.Controllers, c.Residents = len(k.all), k.size
			for _, one := range k.all[:min(len(k.all), mostNamed)] {
				c.Names = append(c.Names, nameAndID(one))
			}
			j, known := at[what]
			if !known {
				at[what] = len(all)
				all = append(all, c)
				continue
			}
			all[j] = all[j].and(c)
		}
	}
	slices.SortStableFunc(all, func(a, b Conflict) int {
		return cmp.Or(a.Due.Compare(b.Due), strings.Compare(a.Slot, b.Slot), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Other, b.Other))
	})
	return append([]Conflict{}, all...), f, nil
}

// and joins the same conflict of two kinds of villages. Those that have it first are named
// first.
func (c Conflict) and(d Conflict) Conflict {
	if d.Due.Before(c.Due) {
		c, d = d, c
	}
	c.Times = max(c.Times, d.Times)
	c.Controllers, c.Residents = c.Controllers+d.Controllers, c.Residents+d.Residents
	c.Names = append(c.Names, d.Names...)
	c.Names = c.Names[:min(len(c.Names), mostNamed)]
	return c
}

// clashes is what will not go as slots say in the week of a kind of village.
type clashes struct {
	all     map[clash]Conflict
	planned int  // airings
	part    bool // see [mix]
}

func (p *programmes) clashes(k *kind, all []published, start time.Time) clashes {
	found := clashes{all: map[clash]Conflict{}}
	type on struct {
		clash
		output string
	}
	times := map[on]int{}
	for _, s := range stretches(all, start, start.Add(foreseen)) {
		x := p.mix(k.of, k.own, s.all())
		found.part = x.part
		for _, planned := range x.plan(s.from, s.to) {
			found.planned++
			for _, f := range planned.Flags {
				what := clash{x.from[planned.Slot.Name], origin{}, f.Kind}
				if f.Other != "" {
					what.other = x.ofAiring(f.Other)
				}
				c, known := found.all[what]
				if !known {
					c = Conflict{Due: planned.Due, Slot: what.slot.slot, Scope: what.slot.scope, Kind: f.Kind, Other: what.other.slot, OtherScope: what.other.scope}
				}
				times[on{what, planned.Output}]++
				c.Times = max(c.Times, times[on{what, planned.Output}])
				found.all[what] = c
			}
		}
	}
	return found
}
