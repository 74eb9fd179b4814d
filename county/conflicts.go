package county

import (
	"context"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// Conflict is an airing of the coming week that will not go as its slot says.
type Conflict struct {
	Due   time.Time         `json:"due"`
	Slot  string            `json:"slot"`
	Scope playlist.Scope    `json:"scope"` // of the slot
	Kind  schedule.FlagKind `json:"kind"`
	Other string            `json:"other,omitempty"` // the slot it collides with
	Times int               `json:"times"`           // in that week
}

// foreseen is how far ahead conflicts are looked for.
const foreseen = 7 * 24 * time.Hour

// conflicts plans the coming week on one output that airs the manifest and all
// others that some controller of the fleet follows as well. The county does not
// know what a site airs of its own.
func (p *programmes) conflicts(ctx context.Context, m playlist.Manifest, fleet []store.Controller) ([]Conflict, error) {
	beside, err := p.beside(ctx, m.Scope, fleet)
	if err != nil {
		return nil, err
	}
	mix := p.mix(append([]playlist.Manifest{m}, beside...))
	start := p.now()
	if m.NotBefore.After(start) {
		start = m.NotBefore
	}
	all := []Conflict{}
	at := map[[3]string]int{}
	plan := schedule.Plan(&mix.Programme, start, start.Add(foreseen), schedule.Outlook{Clip: func(id playlist.ClipID) (playlist.Clip, bool) {
		clip, ok := mix.clips[id]
		return clip, ok
	}})
	for _, planned := range plan {
		o := mix.from[planned.Slot.Name]
		for _, f := range planned.Flags {
			other, _, _ := strings.Cut(string(f.Other), "@")
			if o.scope != m.Scope && mix.from[other].scope != m.Scope {
				continue // it has nothing to do with this manifest
			}
			k := [3]string{planned.Slot.Name, string(f.Kind), other}
			if i, ok := at[k]; ok {
				all[i].Times++
				continue
			}
			at[k] = len(all)
			all = append(all, Conflict{Due: planned.Due, Slot: o.slot, Scope: o.scope, Kind: f.Kind, Other: mix.from[other].slot, Times: 1})
		}
	}
	return all, nil
}

// beside lists the manifests of other scopes in force that some of the
// controllers follow.
func (p *programmes) beside(ctx context.Context, scope playlist.Scope, fleet []store.Controller) (all []playlist.Manifest, err error) {
	latest, err := p.documents.Latest(ctx, link.KindManifest)
	if err != nil {
		return nil, err
	}
	for _, e := range latest {
		if e.Scope == scope || !slices.ContainsFunc(fleet, func(k store.Controller) bool { return k.Follower().Follows(e.Scope) }) {
			continue
		}
		m, err := manifestOf(e)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// mix is several manifests as one programme on one output.
type mix struct {
	playlist.Programme
	clips map[playlist.ClipID]playlist.Clip
	from  map[string]origin // by the name of a slot in the programme
}

// origin is the scope that a slot comes from, and its name there.
type origin struct {
	scope playlist.Scope
	slot  string
}

func (p *programmes) mix(manifests []playlist.Manifest) mix {
	const output = "*"
	x := mix{
		Programme: playlist.Programme{Site: playlist.Site{Zone: p.zone, Area: p.area}, Outputs: []playlist.Output{{Name: output, Area: p.area}}},
		clips:     map[playlist.ClipID]playlist.Clip{}, from: map[string]origin{},
	}
	for _, m := range manifests {
		for _, clip := range m.Clips {
			x.clips[clip.ID] = clip
		}
		for _, l := range m.Playlists {
			l.Name = string(m.Scope) + " " + l.Name
			x.Playlists = append(x.Playlists, l)
		}
		for _, s := range m.Slots {
			o := origin{m.Scope, s.Name}
			s.Name, s.Playlist, s.Outputs = string(m.Scope)+" "+s.Name, string(m.Scope)+" "+s.Playlist, []string{output}
			x.from[s.Name] = o
			x.Slots = append(x.Slots, s)
		}
	}
	return x
}
