package playlist

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Winner says whose slots go first if the county's and the site's own want an output
// at once.
type Winner string

const (
	WinsPriority Winner = "priority" // each by its priority; equal ones queue
	WinsCounty   Winner = "county"   // the county's, whatever the priority
	WinsLocal    Winner = "local"    // the site's own, whatever the priority
)

// CountyRules say how the county's programme and the site's own live
// together.
type CountyRules struct {
	Wins       Winner
	Protected  []Span      // hours in which nothing of the county's sounds but alerts
	Exceptions []Exception // from the county's slots
}

// countyMark begins the names of what came from the county: no name in a
// config may hold it.
const countyMark = "county:"

// FromCounty reports whether a slot or playlist came from the county.
func FromCounty(name string) bool { return strings.HasPrefix(name, countyMark) }

// CountyName is the name under which a slot or playlist of a scope is known on
// the controller. It is the same in every version, so that a playlist keeps
// its place.
func CountyName(scope Scope, name string) string {
	return countyMark + strings.ReplaceAll(string(scope), ":", ".") + "/" + name
}

// OwnName is the name of a slot or playlist without what says that it came from the
// county.
func OwnName(name string) string {
	if !FromCounty(name) {
		return name
	}
	_, own, _ := strings.Cut(name, "/")
	return own
}

// ProtectedAt reports whether the instant falls in hours that are the site's
// own.
func (p *Programme) ProtectedAt(at time.Time) bool {
	local := at.In(p.Site.Zone)
	return slices.ContainsFunc(p.County.Protected, func(s Span) bool { return s.Holds(local, p.Calendar) })
}

// With is the programme with the county's manifests in it. Each slot of a
// manifest airs on the outputs that its scope holds, save for what a narrower scope has
// in its place and for exceptions: the site's own come first, then those of the narrowest
// scope. f says which scopes are
// the controller's, and the first of its areas is the one that the county gave it. The
// programme itself is not changed.
func (p *Programme) With(f Follower, manifests []Manifest) *Programme {
	out := *p
	if len(f.Areas) > 0 {
		out.Member = f.Areas[0]
	}
	out.Playlists, out.Slots = slices.Clone(p.Playlists), slices.Clone(p.Slots)
	out.Versions = map[Scope]int64{}
	var all []followed
	for _, m := range manifests {
		if !f.Follows(m.Scope) {
			continue
		}
		outputs := out.under(m.Scope)
		if len(outputs) == 0 {
			continue
		}
		out.Versions[m.Scope] = m.Version
		all = append(all, followed{m, outputs})
	}
	for _, m := range all {
		for _, l := range m.Playlists {
			if l.Title == "" {
				l.Title = l.Name
			}
			l.Name = CountyName(m.Scope, l.Name)
			out.Playlists = append(out.Playlists, l)
		}
		for _, s := range m.Slots {
			s = p.exempted(s, m, all).Under(p.Calendar)
			s.Name, s.Playlist = CountyName(m.Scope, s.Name), CountyName(m.Scope, s.Playlist)
			s.Above = p.County.Wins == WinsCounty
			if len(s.Outputs) == 0 {
				out.Replaced = append(out.Replaced, s)
				continue
			}
			out.Slots = append(out.Slots, s)
		}
	}
	if p.County.Wins == WinsLocal {
		for i := range p.Slots {
			out.Slots[i].Above = true
		}
	}
	return &out
}

// IdleExceptions lists the slots that the site's own exceptions name and that no manifest of
// the county has for it, in a programme that [Programme.With] returned.
func (p *Programme) IdleExceptions() (slots []string) {
	for _, e := range p.County.Exceptions {
		is := func(s Slot) bool { return FromCounty(s.Name) && OwnName(s.Name) == e.Slot }
		if !slices.ContainsFunc(p.Slots, is) && !slices.ContainsFunc(p.Replaced, is) && !slices.Contains(slots, e.Slot) {
			slots = append(slots, e.Slot)
		}
	}
	return slots
}

// followed is a manifest that the controller follows, with the outputs that its scope
// holds.
type followed struct {
	Manifest
	outputs []string
}

// exempted returns a slot of a manifest with its outputs and exceptions. An output on
// which another slot always airs in its place is not among them.
func (p *Programme) exempted(s Slot, of followed, all []followed) Slot {
	s.Outputs = slices.Clone(of.outputs)
	s.Exempt = slices.DeleteFunc(slices.Clone(p.County.Exceptions), func(e Exception) bool { return e.Slot != s.Name })
	all = slices.DeleteFunc(slices.Clone(all), func(n followed) bool { return n.Scope.Narrowness() <= of.Scope.Narrowness() })
	slices.SortStableFunc(all, func(a, b followed) int {
		return cmp.Or(b.Scope.Narrowness()-a.Scope.Narrowness(), strings.Compare(string(a.Scope), string(b.Scope)))
	})
	for _, n := range all {
		for _, e := range n.Exceptions {
			if e.Slot == s.Name {
				e.By, e.Outputs = n.Scope, n.outputs
				s.Exempt = append(s.Exempt, e)
			}
		}
		for _, t := range n.Slots {
			if !t.Instead || t.Name != s.Name {
				continue
			}
			s.Exempt = append(s.Exempt, Exception{Slot: s.Name, From: t.From, To: t.To, By: n.Scope, Instead: true, Outputs: n.outputs})
			if t.From == "" && t.To == "" {
				s.Outputs = slices.DeleteFunc(s.Outputs, func(o string) bool { return slices.Contains(n.outputs, o) })
			}
		}
	}
	if len(s.Exempt) == 0 {
		s.Exempt = nil
	}
	return s
}

// under are the outputs that a scope holds.
func (p *Programme) under(s Scope) (names []string) {
	a, isArea := s.Area()
	for _, o := range p.Outputs {
		if !isArea || p.PlaceOf(o).Airs().Within(a) {
			names = append(names, o.Name)
		}
	}
	return names
}
