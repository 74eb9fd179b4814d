package playlist

import (
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
	Wins      Winner
	Protected []Span // hours in which nothing of the county's sounds but alerts
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
// manifest airs on the outputs that its scope holds; f says which scopes are
// the controller's, and the first of its areas is the one that the county gave it. The
// programme itself is not changed.
func (p *Programme) With(f Follower, manifests []Manifest) *Programme {
	out := *p
	if len(f.Areas) > 0 {
		out.Member = f.Areas[0]
	}
	out.Playlists, out.Slots = slices.Clone(p.Playlists), slices.Clone(p.Slots)
	out.Versions = map[Scope]int64{}
	for _, m := range manifests {
		if !f.Follows(m.Scope) {
			continue
		}
		outputs := out.under(m.Scope)
		if len(outputs) == 0 {
			continue
		}
		out.Versions[m.Scope] = m.Version
		for _, l := range m.Playlists {
			if l.Title == "" {
				l.Title = l.Name
			}
			l.Name = CountyName(m.Scope, l.Name)
			out.Playlists = append(out.Playlists, l)
		}
		for _, s := range m.Slots {
			s.Name, s.Playlist, s.Outputs = CountyName(m.Scope, s.Name), CountyName(m.Scope, s.Playlist), outputs
			s.Above = p.County.Wins == WinsCounty
			out.Slots = append(out.Slots, s.Under(p.Calendar))
		}
	}
	if p.County.Wins == WinsLocal {
		for i := range p.Slots {
			out.Slots[i].Above = true
		}
	}
	return &out
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
