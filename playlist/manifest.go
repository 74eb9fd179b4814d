package playlist

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scope says which controllers a document is for: those of an area and all below
// it, of a group, or one. Its text form is "area:320924100000", "group:NAME" or
// "controller:ID".
type Scope string

// The three kinds of scope.
const (
	scopeArea       = "area:"
	scopeGroup      = "group:"
	scopeController = "controller:"
)

// AreaScope is the scope of an area and all below it.
func AreaScope(a Area) Scope { return Scope(scopeArea + string(a)) }

// GroupScope is the scope of a group.
func GroupScope(name string) Scope { return Scope(scopeGroup + name) }

// ControllerScope is the scope of one controller.
func ControllerScope(id ControllerID) Scope { return Scope(scopeController + string(id)) }

// ParseScope reads the text form.
func ParseScope(s string) (Scope, error) {
	if code, ok := strings.CutPrefix(s, scopeArea); ok {
		a, err := ParseArea(code)
		return AreaScope(a), err
	}
	for _, kind := range []string{scopeGroup, scopeController} {
		if name, ok := strings.CutPrefix(s, kind); ok {
			if !IsToken(name) {
				return "", fmt.Errorf("%w: scope %q: letters, digits, - and _ wanted, 64 at most", ErrInvalid, s)
			}
			return Scope(s), nil
		}
	}
	return "", fmt.Errorf("%w: scope %q: area:CODE, group:NAME or controller:ID wanted", ErrInvalid, s)
}

// Area is the scope's area, if it is one.
func (s Scope) Area() (Area, bool) {
	code, ok := strings.CutPrefix(string(s), scopeArea)
	return Area(code), ok
}

// Group is the scope's group, if it is one.
func (s Scope) Group() (string, bool) { return strings.CutPrefix(string(s), scopeGroup) }

// Controller is the scope's controller, if it is one.
func (s Scope) Controller() (ControllerID, bool) {
	id, ok := strings.CutPrefix(string(s), scopeController)
	return ControllerID(id), ok
}

// Narrowness orders scopes: the larger is the closer to the controller. Areas
// count their digits, a group lies between the areas and the controller.
func (s Scope) Narrowness() int {
	if a, ok := s.Area(); ok {
		return len(a.trim())
	}
	if _, ok := s.Group(); ok {
		return 20
	}
	return 30
}

// ControllerID names a controller at its county: a [IsToken] of the county's
// choosing.
type ControllerID string

// IsToken reports whether a name may be part of a subject, a path and a scope:
// 1 to 64 letters, digits, - and _ of ASCII.
func IsToken(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Follower is a controller as scopes see it.
type Follower struct {
	ID     ControllerID `json:"id"`
	Areas  []Area       `json:"areas"` // that the county gave it, and then those of its outputs in there
	Groups []string     `json:"groups,omitempty"`
	Hears  []Area       `json:"hears,omitempty"` // areas whose alerts it follows as well
}

// MaxAreas is how many areas a controller follows at the most, those included whose
// alerts alone it follows.
const MaxAreas = 16

// FollowsAlerts reports whether the alerts of a scope are for the controller.
func (f Follower) FollowsAlerts(s Scope) bool {
	return f.Follows(s) || Follower{Areas: f.Hears}.Follows(s)
}

// Follows reports whether the scope is one of the controller's: it follows
// every ancestor of its areas, its groups and itself.
func (f Follower) Follows(s Scope) bool {
	if a, ok := s.Area(); ok {
		for _, own := range f.Areas {
			if own.Within(a) {
				return true
			}
		}
		return false
	}
	if g, ok := s.Group(); ok {
		for _, own := range f.Groups {
			if own == g {
				return true
			}
		}
		return false
	}
	id, ok := s.Controller()
	return ok && id == f.ID
}

// Within reports whether a is b or lies below it.
func (a Area) Within(b Area) bool { return strings.HasPrefix(string(a), b.trim()) }

// Manifest is what the county has the controllers of a scope air. Names are
// its own: a playlist may be called as one of the site's is.
type Manifest struct {
	Scope     Scope      `json:"scope"`
	Version   int64      `json:"version"`
	Issued    time.Time  `json:"issued"`
	NotBefore time.Time  `json:"not_before,omitzero"` // in force from then; zero: at once
	Partial   bool       `json:"partial,omitempty"`   // may come into force before all its clips are there
	Note      string     `json:"note,omitempty"`      // for people: what it is
	Playlists []Playlist `json:"playlists"`
	Slots     []Slot     `json:"slots"`
	Clips     []Clip     `json:"clips"` // without their texts

	// Exceptions are from slots of wider scopes.
	Exceptions []Exception `json:"exceptions,omitempty"`
}

// MaxVersion is the highest version that a signed document of any kind may have. A
// county that issued one each second would reach it in 285 million years, and every
// program that reads JSON numbers as floating point still reads it right.
const MaxVersion int64 = 1 << 53

// IsVersion reports whether a document may have the version.
func IsVersion(v int64) bool { return v >= 1 && v <= MaxVersion }

// MaxManifestClips bounds a manifest; with a kilobyte each it stays below
// what the link carries.
const MaxManifestClips = 2000

// Check returns what is wrong with a manifest; nil if it could come into force.
func (m Manifest) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: manifest of %s, version %d: %s", ErrInvalid, m.Scope, m.Version, fmt.Sprintf(what, args...))
	}
	if _, err := ParseScope(string(m.Scope)); err != nil {
		return err
	}
	if !IsVersion(m.Version) {
		return bad("versions count from 1 to %d", MaxVersion)
	}
	if max(len(m.Clips), len(m.Slots), len(m.Playlists), len(m.Exceptions)) > MaxManifestClips {
		return bad("more than %d clips, slots, playlists or exceptions", MaxManifestClips)
	}
	clips := map[ClipID]bool{}
	for _, c := range m.Clips {
		if !IsClipID(string(c.ID)) || string(c.ID) != strings.ToLower(string(c.ID)) {
			return bad("%q is no clip ID", c.ID)
		}
		if c.Frames < 1 || c.Size < 1 {
			return bad("clip %s has no frames or no bytes", c.ID.Short())
		}
		clips[c.ID] = true
	}
	lists := map[string]bool{}
	for _, l := range m.Playlists {
		switch {
		case l.Name == "":
			return bad("a playlist has no name")
		case lists[l.Name]:
			return bad("two playlists are called %q", l.Name)
		case len(l.Clips) == 0:
			return bad("playlist %q has no clips", l.Name)
		case l.Order != Sequence && l.Order != Shuffle:
			return bad("playlist %q: order %q", l.Name, l.Order)
		}
		lists[l.Name] = true
		for _, id := range l.Clips {
			if !clips[id] {
				return bad("playlist %q names clip %s, which the manifest does not have", l.Name, id.Short())
			}
		}
	}
	slots := map[string]bool{}
	for _, s := range m.Slots {
		if err := s.Check(); err != nil {
			return bad("%v", err)
		}
		if slots[s.Name] {
			return bad("two slots are called %q", s.Name)
		}
		if !lists[s.Playlist] {
			return bad("slot %q airs playlist %q, which the manifest does not have", s.Name, s.Playlist)
		}
		if len(s.Outputs) > 0 {
			return bad("slot %q names outputs: the county does not know them", s.Name)
		}
		slots[s.Name] = true
	}
	for i, e := range m.Exceptions {
		if err := e.Check(); err != nil {
			return bad("%v", err)
		}
		if slices.ContainsFunc(m.Exceptions[:i], e.Clashes) {
			return bad("two exceptions from slot %q have a day in common", e.Slot)
		}
	}
	return nil
}
