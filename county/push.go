package county

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Draft is what an operator wants controllers of a scope to air.
type Draft struct {
	Scope     playlist.Scope      `json:"scope"`
	NotBefore time.Time           `json:"not_before,omitzero"`
	Partial   bool                `json:"partial,omitempty"`
	Note      string              `json:"note,omitempty"`
	Playlists []playlist.Playlist `json:"playlists"`
	Slots     []playlist.Slot     `json:"slots"`
}

// Change is one line of the difference between two manifests.
type Change struct {
	What string `json:"what"` // slot, playlist or clip
	How  string `json:"how"`  // added, removed or changed
	Name string `json:"name"`
	Clip string `json:"clip,omitempty"` // its ID
}

// Conflict is an airing of the coming week that will not go as its slot says.
type Conflict struct {
	Due   time.Time         `json:"due"`
	Slot  string            `json:"slot"`
	Scope playlist.Scope    `json:"scope"` // of the slot
	Kind  playlist.FlagKind `json:"kind"`
	Other string            `json:"other,omitempty"` // the slot it collides with
	Times int               `json:"times"`           // in that week
}

// Reaches is whom something is for.
type Reaches struct {
	Controllers int             `json:"controllers"`
	Online      int             `json:"online"`
	Outputs     int             `json:"outputs"`
	Residents   int             `json:"residents"`
	Areas       []playlist.Area `json:"areas"`
	Names       []string        `json:"names"` // of the controllers
}

// Proposal is a manifest that has not been issued.
type Proposal struct {
	Manifest  playlist.Manifest `json:"manifest"`
	Over      int64             `json:"over"` // the version in force now; 0: none
	Changes   []Change          `json:"changes"`
	Reaches   Reaches           `json:"reaches"`
	Conflicts []Conflict        `json:"conflicts"`
	Bytes     int64             `json:"bytes"`  // of clips that it adds
	Signed    bool              `json:"signed"` // the server can sign it itself
}

// Propose looks at what a draft would do, and does nothing.
func (c *County) Propose(ctx context.Context, d Draft) (Proposal, error) {
	if _, err := playlist.ParseScope(string(d.Scope)); err != nil {
		return Proposal{}, err
	}
	if a, ok := d.Scope.Area(); ok && !a.Within(c.Area) {
		return Proposal{}, invalid("county.not_ours", string(a), string(c.Area))
	}
	next, err := c.Store.NextVersion(ctx, link.KindManifest, d.Scope)
	if err != nil {
		return Proposal{}, err
	}
	m := playlist.Manifest{
		Scope: d.Scope, Version: next, Issued: c.now(), NotBefore: d.NotBefore, Partial: d.Partial, Note: d.Note,
		Playlists: d.Playlists, Slots: d.Slots, Clips: []playlist.Clip{},
	}
	seen := map[playlist.ClipID]bool{}
	for _, l := range d.Playlists {
		for _, id := range l.Clips {
			if seen[id] {
				continue
			}
			seen[id] = true
			clip, _, err := c.Store.Clip(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				return Proposal{}, invalid("county.no_clip", id.Short(), plain(l.Name))
			}
			if err != nil {
				return Proposal{}, err
			}
			clip.Text = ""
			m.Clips = append(m.Clips, clip)
		}
	}
	if err := m.Check(); err != nil {
		return Proposal{}, err
	}
	return c.propose(ctx, m)
}

func (c *County) propose(ctx context.Context, m playlist.Manifest) (Proposal, error) {
	p := Proposal{Manifest: m, Signed: c.Keys.Playlist != nil, Changes: []Change{}, Conflicts: []Conflict{}}
	var before playlist.Manifest
	e, err := c.Store.Envelope(ctx, link.KindManifest, m.Scope, 0)
	switch {
	case err == nil:
		if before, err = manifestOf(e); err != nil {
			return p, err
		}
		p.Over = before.Version
	case !errors.Is(err, store.ErrNotFound):
		return p, err
	}
	p.Changes = Diff(before, m)
	held := map[playlist.ClipID]bool{}
	for _, clip := range before.Clips {
		held[clip.ID] = true
	}
	for _, clip := range m.Clips {
		if !held[clip.ID] {
			p.Bytes += clip.Size
		}
	}
	fleet, err := c.who(ctx, m.Scope)
	if err != nil {
		return p, err
	}
	p.Reaches = c.reaches(fleet)
	p.Conflicts, err = c.conflicts(ctx, m, fleet)
	return p, err
}

func (c *County) reaches(fleet []store.Controller) Reaches {
	r := Reaches{Areas: []playlist.Area{}, Names: []string{}}
	for _, k := range fleet {
		r.Controllers++
		r.Names = append(r.Names, cmp.Or(k.Name, string(k.ID)))
		if c.Online(k) {
			r.Online++
		}
		if !slices.Contains(r.Areas, k.Area) {
			r.Areas = append(r.Areas, k.Area)
		}
		for _, o := range k.Outputs {
			if !o.Gone {
				r.Outputs++
				r.Residents += o.Residents
			}
		}
	}
	return r
}

// Diff lists what a manifest changes of the one before it: slots, then
// playlists, then clips, each kind by how it changed and by name.
func Diff(before, after playlist.Manifest) []Change {
	all := slices.Concat(
		diff(before.Slots, after.Slots, playlist.Slot.Equal, func(s playlist.Slot) (string, Change) {
			return s.Name, Change{What: "slot", Name: s.Name}
		}),
		diff(before.Playlists, after.Playlists, playlist.Playlist.Equal, func(l playlist.Playlist) (string, Change) {
			return l.Name, Change{What: "playlist", Name: l.Name}
		}),
		diff(before.Clips, after.Clips, func(a, b playlist.Clip) bool {
			return a.Title == b.Title && a.Series == b.Series && a.Issue == b.Issue
		}, func(k playlist.Clip) (string, Change) {
			return string(k.ID), Change{What: "clip", Name: k.Title, Clip: string(k.ID)}
		}),
	)
	rank := map[string]int{"slot": 0, "playlist": 1, "clip": 2}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(rank[a.What]-rank[b.What], strings.Compare(a.How, b.How), strings.Compare(a.Name, b.Name), strings.Compare(a.Clip, b.Clip))
	})
	return append([]Change{}, all...) // never nil: it goes out as JSON
}

// diff lists what was added, changed and removed among things of one kind.
// named returns the key of a thing and the change that names it.
func diff[T any](before, after []T, equal func(a, b T) bool, named func(T) (key string, ch Change)) []Change {
	var all []Change
	was := map[string]T{}
	note := func(ch Change, how string) {
		ch.How = how
		all = append(all, ch)
	}
	for _, x := range before {
		key, _ := named(x)
		was[key] = x
	}
	for _, x := range after {
		key, ch := named(x)
		old, there := was[key]
		delete(was, key)
		switch {
		case !there:
			note(ch, "added")
		case !equal(old, x):
			note(ch, "changed")
		}
	}
	for _, x := range was {
		_, ch := named(x)
		note(ch, "removed")
	}
	return all
}

// foreseen is how far ahead conflicts are looked for.
const foreseen = 7 * 24 * time.Hour

// conflicts plays the coming week through on one output that airs the manifest
// and all others that some controller of the fleet follows as well. What a
// site airs of its own the county does not know.
func (c *County) conflicts(ctx context.Context, m playlist.Manifest, fleet []store.Controller) ([]Conflict, error) {
	manifests := []playlist.Manifest{m}
	latest, err := c.Store.Latest(ctx, link.KindManifest)
	if err != nil {
		return nil, err
	}
	for _, e := range latest {
		if e.Scope == m.Scope || !slices.ContainsFunc(fleet, func(k store.Controller) bool { return k.Follower().Follows(e.Scope) }) {
			continue
		}
		other, err := manifestOf(e)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, other)
	}
	type origin struct {
		scope playlist.Scope
		slot  string
	}
	const output = "*"
	p := playlist.Programme{Site: playlist.Site{Zone: c.Zone, Area: c.Area}, Outputs: []playlist.Output{{Name: output, Area: c.Area}}}
	clips := map[playlist.ClipID]playlist.Clip{}
	from := map[string]origin{}
	for _, m := range manifests {
		for _, clip := range m.Clips {
			clips[clip.ID] = clip
		}
		for _, l := range m.Playlists {
			l.Name = string(m.Scope) + " " + l.Name
			p.Playlists = append(p.Playlists, l)
		}
		for _, s := range m.Slots {
			o := origin{m.Scope, s.Name}
			s.Name, s.Playlist, s.Outputs = string(m.Scope)+" "+s.Name, string(m.Scope)+" "+s.Playlist, []string{output}
			from[s.Name] = o
			p.Slots = append(p.Slots, s)
		}
	}
	start := c.now()
	if m.NotBefore.After(start) {
		start = m.NotBefore
	}
	all := []Conflict{}
	at := map[[3]string]int{}
	plan := p.Plan(start, start.Add(foreseen), playlist.Outlook{Clip: func(id playlist.ClipID) (playlist.Clip, bool) {
		clip, ok := clips[id]
		return clip, ok
	}})
	for _, planned := range plan {
		o := from[planned.Slot.Name]
		for _, f := range planned.Flags {
			other, _, _ := strings.Cut(string(f.Other), "@")
			if o.scope != m.Scope && from[other].scope != m.Scope {
				continue // not of this manifest's making
			}
			k := [3]string{planned.Slot.Name, string(f.Kind), other}
			if i, ok := at[k]; ok {
				all[i].Times++
				continue
			}
			at[k] = len(all)
			all = append(all, Conflict{Due: planned.Due, Slot: o.slot, Scope: o.scope, Kind: f.Kind, Other: from[other].slot, Times: 1})
		}
	}
	return all, nil
}

// ErrNoKey says that the playlist key does not lie here: the manifest has to
// be signed elsewhere.
var ErrNoKey = errors.New("no playlist key here")

// Issue signs a draft's manifest and publishes it.
func (c *County) Issue(ctx context.Context, d Draft) (store.Envelope, error) {
	p, err := c.Propose(ctx, d)
	if err != nil {
		return store.Envelope{}, err
	}
	return c.sign(ctx, p.Manifest, 0)
}

// sign issues a manifest; where only is not 0, as that version or, when it is
// taken, not at all: [store.ErrStale].
func (c *County) sign(ctx context.Context, m playlist.Manifest, only int64) (store.Envelope, error) {
	if c.Keys.Playlist == nil {
		return store.Envelope{}, fault{ErrNoKey, say.M("county.no_playlist_key")}
	}
	e, err := c.issue(ctx, link.KindManifest, m.Scope, func(v int64) (link.Envelope, string, error) {
		if only != 0 && v != only {
			return link.Envelope{}, "", store.ErrStale
		}
		m.Version, m.Issued = v, c.now()
		e, err := link.SealManifest(m, c.Keys.Playlist)
		return e, m.Note, err
	})
	if err == nil {
		c.Log.Info("manifest issued", "scope", m.Scope, "version", e.Version, "slots", len(m.Slots), "clips", len(m.Clips))
	}
	return e, err
}

// Unsigned is a manifest's envelope for those who hold the playlist key to
// sign; [County.Publish] takes it back.
func (c *County) Unsigned(m playlist.Manifest) ([]byte, error) {
	env, err := link.SealManifest(m)
	return env.Bytes(), err
}

// IssueSigned publishes a manifest that was signed elsewhere. Its version must
// be above all before it.
func (c *County) IssueSigned(ctx context.Context, raw []byte) (store.Envelope, error) {
	t, err := c.trust(ctx)
	if err != nil {
		return store.Envelope{}, err
	}
	d, err := link.Open(raw, t)
	if err != nil {
		return store.Envelope{}, err
	}
	if d.Manifest == nil {
		return store.Envelope{}, link.ErrWrongType
	}
	for _, clip := range d.Manifest.Clips {
		if _, _, err := c.Store.Clip(ctx, clip.ID); err != nil {
			return store.Envelope{}, err
		}
	}
	c.issuing.Lock()
	defer c.issuing.Unlock()
	e := store.Envelope{Kind: link.KindManifest, Scope: d.Scope, Version: d.Version, Digest: d.Digest, Bytes: raw, Note: d.Manifest.Note}
	if err := c.Store.AddEnvelope(ctx, e); err != nil {
		if errors.Is(err, store.ErrStale) {
			err = fault{store.ErrStale, say.M("county.stale", string(d.Scope), d.Version)}
		}
		return store.Envelope{}, err
	}
	c.say(ctx, link.KindManifest, d.Scope, raw)
	return e, nil
}

// Earlier is a manifest of an earlier version, ready to be issued again above
// all others. Version 0 is the latest.
func (c *County) Earlier(ctx context.Context, scope playlist.Scope, version int64) (playlist.Manifest, error) {
	e, err := c.Store.Envelope(ctx, link.KindManifest, scope, version)
	if errors.Is(err, store.ErrNotFound) {
		return playlist.Manifest{}, fault{store.ErrNotFound, say.M("county.no_version", string(scope), version)}
	}
	if err != nil {
		return playlist.Manifest{}, err
	}
	m, err := manifestOf(e)
	if err != nil {
		return playlist.Manifest{}, err
	}
	next, err := c.Store.NextVersion(ctx, link.KindManifest, scope)
	if err != nil {
		return playlist.Manifest{}, err
	}
	m.Note = strings.TrimSpace(fmt.Sprintf("%s (v%d)", m.Note, m.Version))
	m.Version, m.Issued, m.NotBefore = next, c.now(), time.Time{}
	return m, nil
}

// ProposeEarlier looks at what rolling back would do.
func (c *County) ProposeEarlier(ctx context.Context, scope playlist.Scope, version int64) (Proposal, error) {
	m, err := c.Earlier(ctx, scope, version)
	if err != nil {
		return Proposal{}, err
	}
	return c.propose(ctx, m)
}

// Rollback issues an earlier version again, above all others: controllers
// take no lower version than they hold.
func (c *County) Rollback(ctx context.Context, scope playlist.Scope, version int64) (store.Envelope, error) {
	m, err := c.Earlier(ctx, scope, version)
	if err != nil {
		return store.Envelope{}, err
	}
	return c.sign(ctx, m, 0)
}

// Step is how far a controller is with a manifest.
type Step string

// The steps of a delivery, in order.
const (
	StepWaiting   Step = "waiting"   // it has not said that it has it
	StepDelivered Step = "delivered" // it has it, and fetches clips
	StepFetched   Step = "fetched"   // its clips are there, their hashes right
	StepActive    Step = "active"    // it airs by it
)

// Delivered is how far one controller is.
type Delivered struct {
	Controller playlist.ControllerID `json:"controller"`
	Name       string                `json:"name"`
	Step       Step                  `json:"step"`
	Clips      int                   `json:"clips"`   // that it needs
	Present    int                   `json:"present"` // that it has
	Online     bool                  `json:"online"`
	Why        string                `json:"why,omitempty"` // not active
}

// Delivery is how far each controller of a scope is with a version of its
// manifest.
func (c *County) Delivery(ctx context.Context, scope playlist.Scope, version int64) ([]Delivered, error) {
	fleet, err := c.who(ctx, scope)
	if err != nil {
		return nil, err
	}
	all := make([]Delivered, 0, len(fleet))
	for _, k := range fleet {
		d := Delivered{Controller: k.ID, Name: k.Name, Step: StepWaiting, Online: c.Online(k)}
		h, err := health(k)
		if err != nil {
			return nil, err
		}
		if k.Have[haveKey(link.KindManifest, scope)] >= version {
			d.Step = StepDelivered
		}
		for _, p := range h.Progress {
			if p.Scope != scope || p.Version < version {
				continue
			}
			d.Clips, d.Present, d.Why = p.Clips, p.Present, p.Why
			switch {
			case p.Active:
				d.Step = StepActive
			case p.Present >= p.Clips:
				d.Step = StepFetched
			default:
				d.Step = StepDelivered
			}
		}
		all = append(all, d)
	}
	return all, nil
}
