package county

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// mix is what a controller airs, with clips that stand for those of the site's own.
type mix struct {
	playlist.Programme
	clips map[playlist.ClipID]playlist.Clip
	from  map[string]origin // by the name of a slot in the programme
	part  bool              // some of what the site has of its own is not in it
}

// origin is the scope that a slot comes from, empty for the site's own, and its name there.
type origin struct {
	scope playlist.Scope
	slot  string
}

// ofAiring is the origin of the slot of an airing.
func (x mix) ofAiring(id playlist.AiringID) origin {
	name := string(id)
	return x.from[name[:max(strings.LastIndexByte(name, '@'), 0)]]
}

// mix is what a controller airs by manifests and by what its site has of its own, as far as
// it has told: nil if it has not.
func (b base) mix(k store.Controller, own *playlist.Local, manifests []playlist.Manifest) mix {
	x := mix{
		Programme: playlist.Programme{Site: playlist.Site{Zone: b.zone, Area: k.SiteArea}},
		clips:     map[playlist.ClipID]playlist.Clip{}, from: map[string]origin{},
	}
	for _, o := range k.Outputs {
		if !o.Gone {
			x.Outputs = append(x.Outputs, playlist.Output{Name: o.Name, Area: o.Area, Residents: o.Residents})
		}
	}
	if own == nil {
		x.part = true
	} else {
		x.local(*own, b.now())
	}
	for _, m := range manifests {
		for _, clip := range m.Clips {
			x.clips[clip.ID] = clip
		}
		for _, s := range m.Slots {
			x.from[playlist.CountyName(m.Scope, s.Name)] = origin{m.Scope, s.Name}
		}
	}
	x.Programme = *x.With(k.Follower(), manifests)
	return x
}

// mostOwn is how many airings a week the county plans of a site's own slots: any controller
// can tell what it likes of them.
const mostOwn = 10_000

// longestOwn bounds the length of an airing of those.
const longestOwn = 24 * time.Hour

// local adds what a site has of its own. What is none of this program's is left out, and so
// are slots that are too many for one week from now.
func (x *mix) local(own playlist.Local, now time.Time) {
	x.part = own.More > 0
	room := mostOwn
	fits := func(s playlist.Slot) bool {
		for at, ok := s.Next(now, x.Site.Zone); ok && at.Before(now.Add(foreseen)); at, ok = s.Next(at, x.Site.Zone) {
			if room--; room < 0 {
				return false
			}
		}
		return true
	}
	if zone, err := time.LoadLocation(own.Zone); err == nil && own.Zone != "" {
		x.Site.Zone = zone
	}
	x.Calendar = own.Calendar
	for _, s := range own.Quiet {
		if s.Valid() {
			x.Quiet = append(x.Quiet, playlist.Quiet{Span: s})
		}
	}
	x.County.Wins = own.Wins
	x.County.Protected = slices.DeleteFunc(slices.Clone(own.Protected), func(s playlist.Span) bool { return !s.Valid() })
	x.County.Exceptions = slices.DeleteFunc(slices.Clone(own.Exceptions), func(e playlist.Exception) bool { return e.Check() != nil })
	for _, s := range own.Slots {
		s.Slot = s.Under(own.Calendar)
		if s.Check() != nil || playlist.FromCounty(s.Name) || s.Length < 0 || s.Length > longestOwn || !fits(s.Slot) {
			x.part = true
			continue
		}
		sum := sha256.Sum256([]byte(s.Name))
		clip := playlist.Clip{ID: playlist.ClipID(hex.EncodeToString(sum[:])), Title: s.Title, Frames: playlist.FramesIn(cmp.Or(s.Length, time.Minute))}
		x.clips[clip.ID] = clip
		s.Playlist, s.Count = s.Name, 1
		x.Playlists = append(x.Playlists, playlist.Playlist{Name: s.Name, Title: s.Title, Clips: []playlist.ClipID{clip.ID}, Order: playlist.Sequence})
		x.from[s.Name] = origin{slot: s.Name}
		x.Slots = append(x.Slots, s.Slot)
	}
}

// plan plans what falls due in [from, to).
func (x mix) plan(from, to time.Time) []schedule.Planned {
	return schedule.Plan(&x.Programme, from.Add(-1), to.Add(-1), schedule.Outlook{Clip: func(id playlist.ClipID) (playlist.Clip, bool) {
		clip, ok := x.clips[id]
		return clip, ok
	}})
}

// foreseen is how far ahead the county plans.
const foreseen = 7 * 24 * time.Hour

// Week is what airs in the week from an instant on, by all that is in force then and comes
// into force meanwhile.
type Week struct {
	Scope playlist.Scope `json:"scope"`
	From  time.Time      `json:"from"`
	To    time.Time      `json:"to"`

	// Controller is the one that is shown: that of the scope, or the only one of its area.
	Controller playlist.ControllerID `json:"controller,omitempty"`
	Name       string                `json:"name,omitempty"`
	Nobody     Doubt                 `json:"nobody,omitempty"` // no controller is active there

	Sources  []Source         `json:"sources"`            // the programmes in force at the beginning, the widest scope first
	Later    []Source         `json:"later,omitempty"`    // published, and in force from a later day on
	Narrower []playlist.Scope `json:"narrower,omitempty"` // of programmes for a part of the scope
	Slots    []WeekSlot       `json:"slots"`
	Airings  []WeekAiring     `json:"airings"`

	// Own is what the site has of its own; nil if no controller is shown, or it has not
	// told.
	Own  *playlist.Local `json:"own,omitempty"`
	Part bool            `json:"part,omitempty"` // there is more of its own than is planned here
}

// Source is a programme that the county published.
type Source struct {
	Scope   playlist.Scope `json:"scope"`
	Version int64          `json:"version"`
	By      string         `json:"by,omitempty"` // who had it published
	At      time.Time      `json:"at"`
	Begins  time.Time      `json:"begins"` // when it came into force, or will
	Note    string         `json:"note,omitempty"`
}

// WeekSlot is a slot of a [Week].
type WeekSlot struct {
	Scope      playlist.Scope `json:"scope"` // that it comes from; empty: the site's own
	Title      string         `json:"title"` // of its playlist
	Slot       playlist.Slot  `json:"slot"`
	Exceptions []WeekExempt   `json:"exceptions,omitempty"`
	Replaced   bool           `json:"replaced,omitempty"` // it airs on no output: another airs in its place
	Begins     time.Time      `json:"begins,omitzero"`    // if it is in force only from within the week on
	Ends       time.Time      `json:"ends,omitzero"`      // if it is only until then
}

// WeekExempt is an exception from a slot.
type WeekExempt struct {
	playlist.Exception
	By      playlist.Scope `json:"by"` // the scope whose programme has it; empty: the site's own config
	Instead bool           `json:"instead,omitempty"`
	On      []string       `json:"on,omitempty"` // the outputs that it concerns; empty: all
}

// WeekAiring is an airing of a [Week] on an output.
type WeekAiring struct {
	Due    time.Time      `json:"due"`
	Start  time.Time      `json:"start,omitzero"` // zero: it will not sound
	End    time.Time      `json:"end,omitzero"`
	Scope  playlist.Scope `json:"scope"`
	Slot   string         `json:"slot"`
	Output string         `json:"output"`
	Flags  []WeekFlag     `json:"flags,omitempty"`
}

// WeekFlag is why an airing does not go as its slot says.
type WeekFlag struct {
	Kind       schedule.FlagKind `json:"kind"`
	Other      string            `json:"other,omitempty"` // the slot that it collides with
	OtherScope playlist.Scope    `json:"other_scope,omitempty"`
}

// week shows what airs for a scope in the week from an instant on.
func (p *programmes) week(ctx context.Context, scope playlist.Scope, from time.Time) (Week, error) {
	if _, err := playlist.ParseScope(string(scope)); err != nil {
		return Week{}, err
	}
	all, err := p.timeline(ctx, p.documents, from)
	if err != nil {
		return Week{}, err
	}
	fleet, err := p.fleet.followers(ctx, scope)
	if err != nil {
		return Week{}, err
	}
	k, own, err := p.standIn(ctx, scope, fleet)
	if err != nil {
		return Week{}, err
	}
	w := Week{
		Scope: scope, Controller: k.ID, Name: k.Name, From: from, To: from.Add(foreseen), Own: own, Sources: []Source{}, Slots: []WeekSlot{}, Airings: []WeekAiring{},
	}
	if len(fleet) == 0 && k.ID == "" {
		w.Nobody = noReceivers(scope)
	}
	slices.SortStableFunc(all, func(a, b published) int { return a.Scope.Narrowness() - b.Scope.Narrowness() })
	for _, m := range all {
		switch {
		case !k.Follower().Follows(m.Scope):
			if part(m.Scope, scope, fleet) && !slices.Contains(w.Narrower, m.Scope) {
				w.Narrower = append(w.Narrower, m.Scope)
			}
		case m.holds(from):
			w.Sources = append(w.Sources, m.source())
		case m.begins.After(from):
			w.Later = append(w.Later, m.source())
		}
	}
	for _, s := range stretches(all, w.From, w.To) {
		w.add(p.mix(k, own, s.all()), s)
	}
	slices.SortStableFunc(w.Slots, func(a, b WeekSlot) int { return a.Scope.Narrowness() - b.Scope.Narrowness() })
	return w, nil
}

// part reports whether a scope is one of a part of another one, of which these are the
// controllers.
func part(scope, of playlist.Scope, fleet []store.Controller) bool {
	wide, isWide := of.Area()
	if a, isArea := scope.Area(); isArea {
		return isWide && a.Within(wide)
	}
	return slices.ContainsFunc(fleet, func(k store.Controller) bool { return k.Follower().Follows(scope) })
}

func (m published) source() Source {
	return Source{m.Scope, m.Version, m.by, m.at, m.begins, m.Note}
}

// standIn returns the controller of a scope, or the only one in its area, and what its site
// has of its own; else a controller that has nothing but the area or group of the scope.
func (p *programmes) standIn(ctx context.Context, scope playlist.Scope, fleet []store.Controller) (k store.Controller, own *playlist.Local, err error) {
	id, isController := scope.Controller()
	area, isArea := scope.Area()
	switch {
	case isController:
		list, err := p.fleet.store.Fleet(ctx, store.FleetQuery{IDs: []playlist.ControllerID{id}})
		if err != nil {
			return k, nil, err
		}
		if len(list) == 0 {
			return k, nil, missing(store.ErrNotFound, "county.no_controller", string(id))
		}
		k = list[0]
	case isArea && len(fleet) == 1:
		k = fleet[0]
	default:
		if !isArea {
			area = p.area
			group, _ := scope.Group()
			k.Groups = []string{group}
		}
		k.Area, k.SiteArea = area, area
		k.Outputs = []store.Output{{Name: "*", Area: area}}
		return k, nil, nil
	}
	locals, err := p.locals.Locals(ctx)
	if l, told := locals[k.ID]; told {
		own = &l
	}
	return k, own, err
}

// add adds what a controller airs in a part of the week.
func (w *Week) add(x mix, part stretch) {
	w.Part = w.Own != nil && x.part
	version := map[playlist.Scope]published{}
	for _, m := range part.manifests {
		version[m.Scope] = m
	}
	note := func(s playlist.Slot, replaced bool) {
		shown := x.shown(s)
		m := version[shown.Scope]
		if shown.Replaced = replaced; m.begins.After(w.From) {
			shown.Begins = m.begins
		}
		if !m.ends.IsZero() && m.ends.Before(w.To) {
			shown.Ends = m.ends
		}
		same := func(t WeekSlot) bool {
			return t.Scope == shown.Scope && t.Replaced == replaced && t.Begins.Equal(shown.Begins) && t.Slot.Equal(shown.Slot)
		}
		if !slices.ContainsFunc(w.Slots, same) {
			w.Slots = append(w.Slots, shown)
		}
	}
	for _, s := range x.Slots {
		note(s, false)
	}
	for _, s := range x.Replaced {
		note(s, true)
	}
	for _, a := range x.plan(part.from, part.to) {
		o := x.from[a.Slot.Name]
		shown := WeekAiring{Due: a.Due, Start: a.Start, End: a.End, Scope: o.scope, Slot: o.slot, Output: a.Output}
		for _, f := range a.Flags {
			flag := WeekFlag{Kind: f.Kind}
			if f.Other != "" {
				other := x.ofAiring(f.Other)
				flag.Other, flag.OtherScope = other.slot, other.scope
			}
			shown.Flags = append(shown.Flags, flag)
		}
		w.Airings = append(w.Airings, shown)
	}
}

// shown is a slot under the name that it has where it comes from.
func (x mix) shown(s playlist.Slot) WeekSlot {
	o := x.from[s.Name]
	list, _ := x.Playlist(s.Playlist)
	w := WeekSlot{Scope: o.scope, Title: cmp.Or(list.Title, playlist.OwnName(s.Playlist)), Slot: s}
	for _, e := range s.Exempt {
		shown := WeekExempt{Exception: e, By: e.By, Instead: e.Instead}
		if len(e.Outputs) < len(x.Outputs) {
			shown.On = e.Outputs
		}
		w.Exceptions = append(w.Exceptions, shown)
	}
	w.Slot.Name, w.Slot.Playlist = o.slot, playlist.OwnName(s.Playlist)
	return w
}

// kind is the controllers that air the same.
type kind struct {
	of   store.Controller // one of them
	own  *playlist.Local
	all  []store.Controller
	size int // their residents
}

// kindsOf groups controllers by what they air of manifests and have of their own. The
// kinds with the most residents come first.
func kindsOf(list []store.Controller, locals map[playlist.ControllerID]playlist.Local, manifests []published) (all []*kind, err error) {
	by := map[string]*kind{}
	for _, k := range list {
		key := ""
		var own *playlist.Local
		if l, told := locals[k.ID]; told {
			text, err := json.Marshal(l)
			if err != nil {
				return nil, err
			}
			key, own = string(text), &l
		}
		for _, m := range manifests {
			if k.Follower().Follows(m.Scope) {
				key += "\n" + string(m.Scope)
			}
			a, isArea := m.Scope.Area()
			for i, o := range k.Outputs {
				if !o.Gone && (!isArea || k.PlaceOf(o).Airs().Within(a)) {
					key += fmt.Sprint(" ", i)
				}
			}
		}
		if by[key] == nil {
			by[key] = &kind{of: k, own: own}
			all = append(all, by[key])
		}
		by[key].all = append(by[key].all, k)
		by[key].size += k.Residents()
	}
	slices.SortStableFunc(all, func(a, b *kind) int { return cmp.Or(b.size-a.size, len(b.all)-len(a.all)) })
	return all, nil
}
