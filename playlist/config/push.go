package config

import (
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Push is what a push file says: playlists, slots for all outputs of the controllers it is
// pushed to, and exceptions from slots of wider scopes.
type Push struct {
	Playlists  []playlist.Playlist
	Slots      []playlist.Slot
	Exceptions []playlist.Exception
}

// pushed are the tables of a push file.
var pushed = tables{
	lists:    []string{"playlist", "slot", "exception"},
	importer: "dalaba-county import",
}

// ReadPush reads a push file: the playlists, slots and exceptions of a dalaba.toml, by the
// same rules, and no other table of it. A slot may be instead of that of its name of wider
// scopes. zone is that of the controllers. It
// reports problems as [Read] does, and the push is nil if one of them is a
// [Fault].
func ReadPush(file string, text []byte, zone *time.Location, lib Library) (*Push, []Problem) {
	r := newReader(file, text, pushed)
	r.lib, r.out.Site.Zone = lib, zone
	if !r.legible() {
		return nil, r.problems
	}
	r.keys = ourKeys()
	if r.root = r.parse(); r.root != nil {
		r.useless()
		r.mend(r.root)
		r.readPlaylists(r.many(r.root, "playlist"))
		r.slots(r.many(r.root, "slot"))
		r.unusedPlaylists()
		r.out.County.Exceptions = r.exceptions(r.many(r.root, "exception"))
	}
	r.finish()
	if Refused(r.problems) {
		return nil, r.problems
	}
	p := &Push{Playlists: r.out.Playlists, Slots: r.out.Slots, Exceptions: r.out.County.Exceptions}
	for i := range p.Slots {
		p.Slots[i].Outputs = nil // all that a controller has
	}
	return p, r.problems
}

// useless reports the tables that a dalaba.toml has and a push file does not.
func (r *reader) useless() {
	for _, e := range r.root.entries {
		if !slices.Contains(r.tables.lists, e.key) && slices.Contains(slices.Concat(ours.singles, ours.lists), e.key) {
			e.seen = true
			r.fault(e.at, e.key, say.M("county.push_table"), say.M("county.push_table_remedy"))
		}
	}
}
