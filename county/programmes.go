package county

import (
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

// clipFinder finds the clips that a draft names.
type clipFinder interface {
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
}

// localStore keeps what sites have of their own.
type localStore interface {
	Locals(ctx context.Context) (map[playlist.ControllerID]playlist.Local, error)
}

// programmes is the manifests: what controllers air and when.
type programmes struct {
	base
	clips     clipFinder
	locals    localStore
	documents *documents
	fleet     *fleet
	features  []link.Feature
	key       link.Signer // nil: manifests are signed elsewhere
}

// Draft is what an operator wants controllers of a scope to air.
type Draft struct {
	Scope     playlist.Scope      `json:"scope"`
	NotBefore time.Time           `json:"not_before,omitzero"`
	Partial   bool                `json:"partial,omitempty"`
	Note      string              `json:"note,omitempty"`
	Playlists []playlist.Playlist `json:"playlists"`
	Slots     []playlist.Slot     `json:"slots"`

	Exceptions []playlist.Exception `json:"exceptions,omitempty"`

	Anyway bool `json:"anyway,omitempty"` // issue it despite [Proposal.Doubts]

	// Over is [Proposal.Over] as the operator has seen it. A draft is issued over that
	// version alone; nil is refused then.
	Over *int64 `json:"over,omitempty"`

	// Withdraw says that nothing is to air: the draft has no slots, and some are in force.
	Withdraw bool `json:"withdraw,omitempty"`
}

// Proposal is a manifest that has not been issued.
type Proposal struct {
	Manifest  playlist.Manifest `json:"manifest"`
	Over      int64             `json:"over"` // the latest version, in force or waiting for its day; 0: none
	Changes   []Change          `json:"changes"`
	Reaches   Reaches           `json:"reaches"`
	Waiting   *Source           `json:"waiting,omitempty"`  // a version that waits for its day, and that this one has never come into force
	Doubts    []Doubt           `json:"doubts,omitempty"`   // it is not issued unless these are agreed to
	NoSlots   []string          `json:"no_slots,omitempty"` // of which its exceptions speak, or instead of which its slots are, and that no wider scope has
	Orphans   []Orphan          `json:"orphans,omitempty"`
	Conflicts []Conflict        `json:"conflicts"`
	Foresight Foresight         `json:"foresight"` // how far those were looked for
	Bytes     int64             `json:"bytes"`     // of clips that it adds
	Signed    bool              `json:"signed"`    // the server can sign it itself
}

// propose shows what a draft would do, and does nothing.
func (p *programmes) propose(ctx context.Context, d Draft) (Proposal, error) {
	if _, err := playlist.ParseScope(string(d.Scope)); err != nil {
		return Proposal{}, err
	}
	if a, ok := d.Scope.Area(); ok && !a.Within(p.area) {
		return Proposal{}, invalid("county.not_ours", string(a), string(p.area))
	}
	next, err := p.documents.NextVersion(ctx, link.KindManifest, d.Scope)
	if err != nil {
		return Proposal{}, err
	}
	m := playlist.Manifest{
		Scope: d.Scope, Version: next, Issued: p.now(), NotBefore: d.NotBefore, Partial: d.Partial, Note: d.Note,
		Playlists: d.Playlists, Slots: d.Slots, Exceptions: d.Exceptions,
	}
	if m.Clips, err = p.clipsOf(ctx, d.Playlists); err != nil {
		return Proposal{}, err
	}
	if err := m.Check(); err != nil {
		return Proposal{}, err
	}
	out, err := p.compare(ctx, m)
	if err == nil && d.Withdraw && len(out.Changes) == 0 {
		err = invalid("county.nothing_to_withdraw", string(d.Scope))
	}
	return out, err
}

// clipsOf lists the clips of playlists, each once and without its text.
func (p *programmes) clipsOf(ctx context.Context, lists []playlist.Playlist) ([]playlist.Clip, error) {
	all := []playlist.Clip{}
	seen := map[playlist.ClipID]bool{}
	for _, l := range lists {
		for _, id := range l.Clips {
			if seen[id] {
				continue
			}
			seen[id] = true
			clip, _, err := p.clips.Clip(ctx, id)
			if err != nil {
				return nil, missingClip(err, id, l.Name)
			}
			clip.Text = ""
			all = append(all, clip)
		}
	}
	return all, nil
}

// missingClip puts into words that a playlist names a clip that is not there.
func missingClip(err error, id playlist.ClipID, list string) error {
	if errors.Is(err, store.ErrNotFound) {
		return invalid("county.no_clip", id.Short(), plain(list))
	}
	return err
}

// compare makes a proposal of a manifest: what it changes, whom it reaches, and
// what it collides with. A manifest that a controller would not understand is
// refused.
func (p *programmes) compare(ctx context.Context, m playlist.Manifest) (Proposal, error) {
	out := Proposal{Manifest: m, Changes: []Change{}, Conflicts: []Conflict{}}
	if err := p.understood(ctx, m); err != nil {
		return out, err
	}
	switch err := p.canSign(ctx); {
	case err == nil:
		out.Signed = true
	case !errors.Is(err, errNoKey):
		return out, err
	}
	var before playlist.Manifest
	e, err := p.documents.current(ctx, link.KindManifest, m.Scope)
	switch {
	case err == nil:
		if before, err = manifestOf(e); err != nil {
			return out, err
		}
		out.Over = before.Version
	case !errors.Is(err, store.ErrNotFound):
		return out, err
	}
	out.Changes = diffOf(before, m)
	held := map[playlist.ClipID]bool{}
	for _, clip := range before.Clips {
		held[clip.ID] = true
	}
	for _, clip := range m.Clips {
		if !held[clip.ID] {
			out.Bytes += clip.Size
		}
	}
	followers, err := p.fleet.followers(ctx, m.Scope)
	if err != nil {
		return out, err
	}
	out.Reaches = p.reaches(within(m.Scope, followers))
	out.Doubts = p.doubts(m, followers)
	all, err := p.timeline(ctx, p.documents, p.now())
	if err != nil {
		return out, err
	}
	for _, other := range all {
		if other.Scope == m.Scope && other.begins.After(p.now()) {
			source := other.source()
			out.Waiting = &source
		}
	}
	if out.NoSlots = idle(m, all, followers); len(out.NoSlots) > 0 {
		out.Doubts = append(out.Doubts, DoubtNoSlot)
	}
	if out.Orphans = orphans(before, m, all, followers); len(out.Orphans) > 0 {
		out.Doubts = append(out.Doubts, DoubtOrphans)
	}
	out.Conflicts, out.Foresight, err = p.conflicts(ctx, m, all, followers)
	return out, err
}

// Doubt is why a push is most likely not what its author means.
type Doubt string

// The doubts about a push.
const (
	DoubtArea       Doubt = "no_receivers"  // no active controller is in the area
	DoubtGroup      Doubt = "no_group"      // no active controller is of the group
	DoubtController Doubt = "no_controller" // there is no active controller of that ID
	DoubtPast       Doubt = "past"          // the day from which it is to be in force is over
	DoubtOver       Doubt = "over"          // the last days of all its slots and exceptions are over
	DoubtNoSlot     Doubt = "no_slot"       // [Proposal.NoSlots]
	DoubtOrphans    Doubt = "orphans"       // [Proposal.Orphans]
)

// spokenOf lists the slots of wider scopes of which a manifest speaks.
func spokenOf(m playlist.Manifest) (names []string) {
	for _, e := range m.Exceptions {
		names = append(names, e.Slot)
	}
	for _, s := range m.Slots {
		if s.Instead {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func anyFollows(list []store.Controller, s playlist.Scope) bool {
	return slices.ContainsFunc(list, func(k store.Controller) bool { return k.Follower().Follows(s) })
}

func hasSlot(m playlist.Manifest, name string) bool {
	return slices.ContainsFunc(m.Slots, func(s playlist.Slot) bool { return s.Name == name })
}

// idle lists the slots of which a manifest speaks and that no manifest of a wider scope has,
// as far as the controllers follow those.
func idle(m playlist.Manifest, all []published, followers []store.Controller) []string {
	return slices.DeleteFunc(spokenOf(m), func(name string) bool {
		return slices.ContainsFunc(all, func(wider published) bool {
			return wider.Scope.Narrowness() < m.Scope.Narrowness() && hasSlot(wider.Manifest, name) && anyFollows(followers, wider.Scope)
		})
	})
}

// Orphan is a slot that a push takes away and of which the programme of a narrower scope
// speaks.
type Orphan struct {
	Slot  string         `json:"slot"`
	Scope playlist.Scope `json:"scope"` // the narrower one
}

// orphans lists the slots that a manifest takes away and of which others speak.
func orphans(before, m playlist.Manifest, all []published, followers []store.Controller) (lost []Orphan) {
	for _, s := range before.Slots {
		if hasSlot(m, s.Name) {
			continue
		}
		for _, narrower := range all {
			o := Orphan{s.Name, narrower.Scope}
			if narrower.Scope.Narrowness() > m.Scope.Narrowness() && slices.Contains(spokenOf(narrower.Manifest), s.Name) && anyFollows(followers, narrower.Scope) &&
				!slices.Contains(lost, o) {
				lost = append(lost, o)
			}
		}
	}
	return lost
}

// doubts lists what there is to doubt about a manifest for those who would follow it.
func (p *programmes) doubts(m playlist.Manifest, followers []store.Controller) (all []Doubt) {
	if len(followers) == 0 {
		all = append(all, noReceivers(m.Scope))
	}
	now := p.now()
	if !m.NotBefore.IsZero() && m.NotBefore.Before(now) {
		all = append(all, DoubtPast)
	}
	if m.NotBefore.After(now) {
		now = m.NotBefore
	}
	today := playlist.Date(now.In(p.zone).Format(time.DateOnly))
	lasts := slices.ContainsFunc(m.Slots, func(s playlist.Slot) bool { return s.To == "" || s.To >= today }) ||
		slices.ContainsFunc(m.Exceptions, func(e playlist.Exception) bool { return !e.Over(today) })
	if len(m.Slots)+len(m.Exceptions) > 0 && !lasts {
		all = append(all, DoubtOver)
	}
	return all
}

// noReceivers is the doubt about what goes to a scope that no active controller follows.
func noReceivers(s playlist.Scope) Doubt {
	if _, ok := s.Area(); ok {
		return DoubtArea
	}
	if _, ok := s.Controller(); ok {
		return DoubtController
	}
	return DoubtGroup
}

// InWords tells of a doubt about the proposal.
func (p Proposal) InWords(d Doubt) say.Message {
	word := say.Word("county.doubt_", string(d))
	switch d {
	case DoubtNoSlot:
		return say.M("county.doubt_about", word, plain(strings.Join(p.NoSlots, ", ")))
	case DoubtOrphans:
		var all []string
		for _, o := range p.Orphans {
			all = append(all, plain(o.Slot)+" ("+string(o.Scope)+")")
		}
		return say.M("county.doubt_about", word, strings.Join(all, ", "))
	}
	return word
}

// agreed returns an error if there are doubts about a manifest that is to be issued.
func (p Proposal) agreed(anyway bool) error {
	if len(p.Doubts) == 0 || anyway {
		return nil
	}
	return invalid("county.doubtful", p.InWords(p.Doubts[0]))
}

// within returns controllers with those of their outputs that air by a scope.
func within(scope playlist.Scope, list []store.Controller) []store.Controller {
	area, isArea := scope.Area()
	if !isArea {
		return list
	}
	all := slices.Clone(list)
	for i, k := range all {
		all[i].Outputs = slices.DeleteFunc(slices.Clone(k.Outputs), func(o store.Output) bool { return !k.PlaceOf(o).Airs().Within(area) })
	}
	return all
}

// errNoKey says that the playlist key does not lie here: the manifest has to
// be signed elsewhere.
var errNoKey = errors.New("no playlist key here")

// canSign returns errNoKey if the playlist key does not lie here, or controllers would
// refuse what it signs: the operator has moved the role to a key elsewhere.
func (p *programmes) canSign(ctx context.Context) error {
	t, err := p.documents.trust(ctx)
	if err == nil && !(Keys{Playlist: p.key}).signsManifests(t) {
		err = fault{errNoKey, say.M("county.no_playlist_key")}
	}
	return err
}

// issue signs a draft's manifest and publishes it.
func (p *programmes) issue(ctx context.Context, d Draft) (store.Envelope, error) {
	if d.Over == nil {
		return store.Envelope{}, invalid("county.no_over")
	}
	proposal, err := p.propose(ctx, d)
	if err != nil {
		return store.Envelope{}, err
	}
	if err := proposal.agreed(d.Anyway); err != nil {
		return store.Envelope{}, err
	}
	return p.sign(ctx, proposal.Manifest, p.over(d.Scope, *d.Over))
}

// over checks that the version in force of a scope is the one over which an operator has
// seen what a push would change. If another was published meanwhile, the error is
// [store.ErrConflict].
func (p *programmes) over(scope playlist.Scope, seen int64) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		e, err := p.documents.current(ctx, link.KindManifest, scope)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err != nil || e.Version == seen {
			return err
		}
		at := e.At.In(p.zone).Format("2006-01-02 15:04")
		if e.By == "" {
			return fault{store.ErrConflict, say.M("county.overtaken", string(scope), e.Version, at)}
		}
		return fault{store.ErrConflict, say.M("county.overtaken_by", string(scope), e.Version, plain(e.By), at)}
	}
}

// sign issues a manifest, unless check refuses it, which is asked with the version that it
// would have. What others have issued by then counts.
func (p *programmes) sign(ctx context.Context, m playlist.Manifest, check func(ctx context.Context, version int64) error) (store.Envelope, error) {
	if err := p.canSign(ctx); err != nil {
		return store.Envelope{}, err
	}
	if err := p.understood(ctx, m); err != nil {
		return store.Envelope{}, err
	}
	e, err := p.documents.issue(ctx, link.KindManifest, m.Scope, func(v int64) (link.Envelope, string, error) {
		if err := check(ctx, v); err != nil {
			return link.Envelope{}, "", err
		}
		m.Version, m.Issued = v, p.now()
		e, err := link.SealManifest(m, p.key)
		return e, m.Note, err
	})
	if err == nil {
		p.log.Info("manifest issued", "scope", m.Scope, "version", e.Version, "slots", len(m.Slots), "clips", len(m.Clips))
	}
	return e, err
}

// unsigned is a manifest's envelope, for the holder of the playlist key to sign.
// [programmes.issueSigned] accepts it then.
func unsigned(m playlist.Manifest) ([]byte, error) {
	env, err := link.SealManifest(m)
	return env.Bytes(), err
}

// issueSigned publishes a manifest that was signed elsewhere. Its version must
// be above all before it.
func (p *programmes) issueSigned(ctx context.Context, raw []byte, anyway bool) (store.Envelope, error) {
	d, err := p.openSigned(ctx, raw)
	if err != nil {
		return store.Envelope{}, err
	}
	proposal, err := p.compare(ctx, *d.Manifest)
	if err == nil {
		err = proposal.agreed(anyway)
	}
	if err != nil {
		return store.Envelope{}, err
	}
	for _, clip := range d.Manifest.Clips {
		if _, _, err := p.clips.Clip(ctx, clip.ID); err != nil {
			return store.Envelope{}, err
		}
	}
	e := store.Envelope{Kind: link.KindManifest, Scope: d.Scope, Version: d.Version, Digest: d.Digest, Bytes: raw, Note: d.Manifest.Note, By: userOf(ctx)}
	err = p.documents.add(ctx, e)
	if errors.Is(err, store.ErrStale) {
		err = fault{store.ErrStale, say.M("county.stale", string(d.Scope), d.Version)}
	}
	if err != nil {
		return store.Envelope{}, err
	}
	return e, nil
}

// openSigned reads a manifest that was signed elsewhere.
func (p *programmes) openSigned(ctx context.Context, raw []byte) (link.Document, error) {
	t, err := p.documents.trust(ctx)
	if err != nil {
		return link.Document{}, err
	}
	d, err := link.Open(raw, t)
	if err == nil && d.Manifest == nil {
		err = link.ErrWrongType
	}
	return d, err
}

// proposeSigned shows what a manifest that was signed elsewhere would do.
func (p *programmes) proposeSigned(ctx context.Context, raw []byte) (Proposal, error) {
	d, err := p.openSigned(ctx, raw)
	if err != nil {
		return Proposal{}, err
	}
	out, err := p.compare(ctx, *d.Manifest)
	out.Signed = true // nothing is left to be signed
	return out, err
}

// versions lists all manifests of a scope, or of all scopes if it is empty.
func (p *programmes) versions(ctx context.Context, scope playlist.Scope) ([]store.Envelope, error) {
	return p.documents.Versions(ctx, link.KindManifest, scope)
}

// earlier is a manifest of an earlier version, ready to be issued again above
// all others. Version 0 is the latest.
func (p *programmes) earlier(ctx context.Context, scope playlist.Scope, version int64) (playlist.Manifest, error) {
	e, err := p.documents.Envelope(ctx, link.KindManifest, scope, version)
	if err != nil {
		return playlist.Manifest{}, missing(err, "county.no_version", string(scope), version)
	}
	m, err := manifestOf(e)
	if err != nil {
		return playlist.Manifest{}, err
	}
	next, err := p.documents.NextVersion(ctx, link.KindManifest, scope)
	if err != nil {
		return playlist.Manifest{}, err
	}
	m.Note = strings.TrimSpace(fmt.Sprintf("%s (v%d)", m.Note, m.Version))
	m.Version, m.Issued, m.NotBefore = next, p.now(), time.Time{}
	return m, nil
}

// proposeEarlier shows what a rollback would do.
func (p *programmes) proposeEarlier(ctx context.Context, scope playlist.Scope, version int64) (Proposal, error) {
	m, err := p.earlier(ctx, scope, version)
	if err != nil {
		return Proposal{}, err
	}
	return p.compare(ctx, m)
}

// rollback issues an earlier version again, above all others: controllers
// accept no lower version than they hold. over is [Proposal.Over] as the operator has seen
// it.
func (p *programmes) rollback(ctx context.Context, scope playlist.Scope, version, over int64, anyway bool) (store.Envelope, error) {
	proposal, err := p.proposeEarlier(ctx, scope, version)
	if err == nil {
		err = proposal.agreed(anyway)
	}
	if err != nil {
		return store.Envelope{}, err
	}
	return p.sign(ctx, proposal.Manifest, p.over(scope, over))
}

// restore takes back a manifest that controllers hold and this county has lost,
// having been restored from a backup. ours is the latest that it has. If that is
// the later word, it goes out again above the one that was lost.
func (p *programmes) restore(ctx context.Context, lost link.Document, ours store.Envelope) error {
	if ours.Version < lost.Version {
		if ours.Version == 0 {
			return nil
		}
		m, err := manifestOf(ours)
		if err != nil {
			return err
		}
		if !m.Issued.After(lost.Issued) {
			return nil
		}
	}
	m, err := p.earlier(ctx, lost.Scope, ours.Version)
	if err == nil {
		_, err = p.sign(ctx, m, func(_ context.Context, v int64) error {
			if v != lost.Version+1 {
				return store.ErrStale
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, store.ErrStale) { // stale: an operator has pushed meanwhile
		p.log.Error("manifest must be pushed again: controllers hold a later version", "scope", lost.Scope, "version", lost.Version, "err", err)
	}
	return nil
}
