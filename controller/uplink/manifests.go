package uplink

import (
	"context"
	"reflect"
	"slices"
	"time"

	"dalaba/link"
	"dalaba/playlist"
)

const (
	inspectEvery = time.Minute // for a manifest whose day has come
	rehashEvery  = time.Hour   // each clip
)

// attend puts manifests in force once they may be, and says which clips are
// wanted, until ctx ends.
func (u *Uplink) attend(ctx context.Context) {
	tick := time.NewTicker(inspectEvery)
	defer tick.Stop()
	hourly := time.NewTicker(rehashEvery)
	defer hourly.Stop()
	if m, err := u.member(ctx); err == nil {
		u.placed = m.Follower()
	}
	for {
		rehash := false
		select {
		case <-u.news:
		case <-tick.C:
		case <-hourly.C:
			rehash = true
		case <-u.rehash:
			rehash = true
		case <-ctx.Done():
			return
		}
		changed, err := u.inspect(ctx, rehash)
		if err != nil && ctx.Err() == nil {
			u.Log.Error("manifests not inspected", "err", err)
		}
		if changed {
			u.Changed()
			u.Wake()
		}
	}
}

// inspection is one look at all that the county wants in force here.
type inspection struct {
	*Uplink
	rehash   bool // read the bytes of every clip
	member   link.Member
	follower playlist.Follower
	trust    link.Trust
	inForce  map[playlist.Scope]playlist.Manifest
	wanted   []link.Wanted
	changed  bool // a manifest came into force or went out of it, or the controller was moved
}

// inspect looks at every alert and manifest, and wants the clips that are
// missing.
func (u *Uplink) inspect(ctx context.Context, rehash bool) (changed bool, err error) {
	docs, err := u.store.Documents(ctx)
	if err != nil {
		return false, err
	}
	m, err := u.member(ctx)
	if err != nil {
		return false, nil // not enrolled, or not known yet: what is in force stays
	}
	i := &inspection{Uplink: u, rehash: rehash, member: m, follower: m.Follower(), trust: trustOf(docs)}
	i.alerts(ctx)
	if i.inForce, err = u.store.Manifests(ctx); err != nil {
		return false, err
	}
	if err := i.dropVoided(ctx); err != nil {
		return i.changed, err
	}
	if !reflect.DeepEqual(u.placed, i.follower) { // outputs air by the area that the county gave
		u.placed, i.changed = i.follower, true
	}
	followed := map[playlist.Scope]bool{}
	for _, s := range docs {
		if s.Kind != link.KindManifest || m.Retired || !i.follower.Follows(s.Scope) {
			continue
		}
		followed[s.Scope] = true
		if err := i.manifest(ctx, s); err != nil {
			return i.changed, err
		}
	}
	for scope := range i.inForce {
		if followed[scope] {
			continue
		}
		if err := u.store.DropManifest(ctx, scope); err != nil {
			return i.changed, err
		}
		i.changed = true
		u.Log.Info("manifest out of force", "scope", scope)
	}
	u.clips.Want(i.wanted)
	return i.changed, nil
}

// dropVoided puts the manifests out of force whose documents were deleted because
// their keys lost the role. The store did so too, in the transaction that deleted
// them, but an inspection that had read them before may have put one in force since.
func (i *inspection) dropVoided(ctx context.Context) error {
	i.mu.Lock()
	scopes := slices.Clone(i.voided)
	i.mu.Unlock()
	for _, scope := range scopes {
		if err := i.store.DropManifest(ctx, scope); err != nil {
			return err
		}
		delete(i.inForce, scope)
		i.changed = true
		i.Log.Info("manifest out of force", "scope", scope)
	}
	i.mu.Lock()
	i.voided = i.voided[len(scopes):]
	i.mu.Unlock()
	return nil
}

// alerts wants the clips of alerts in force, and withdraws alerts of scopes that
// the controller follows no more.
func (i *inspection) alerts(ctx context.Context) {
	records, err := i.Alarm.Records(ctx)
	if err != nil {
		return
	}
	for _, r := range records {
		switch {
		case r.State.Over():
		case r.Source == playlist.AlertByLink && (i.member.Retired || !i.follower.FollowsAlerts(r.Scope)):
			i.put(ctx, r.Scope, nil, nil)
		case r.Source == playlist.AlertByLink && i.orphan(r.Scope):
			i.put(ctx, r.Scope, nil, nil)
		case r.Clip != nil:
			i.lacks(ctx, *r.Clip, true)
		}
	}
}

// orphan reports whether alerts of a scope came in a document that is void by now,
// because its key has lost the role, and the county has no other for the scope: the
// key may have been stolen. It is so only once a sync has brought all that the county
// has, so that an alert of the county itself goes on under its new key.
func (i *inspection) orphan(scope playlist.Scope) bool {
	if ctl := i.Controller(); ctl == nil || ctl.Has(link.KindAlerts, scope) {
		delete(i.orphans, scope)
		return false
	}
	since, known := i.orphans[scope]
	if !known {
		i.orphans[scope] = time.Now()
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked.After(since)
}

// manifest puts a manifest in force if it may be.
func (i *inspection) manifest(ctx context.Context, s link.Stored) error {
	if have, ok := i.inForce[s.Scope]; ok && have.Version == s.Version {
		for _, clip := range have.Clips { // one may have been damaged since
			i.lacks(ctx, clip, false)
		}
		return nil
	}
	d, err := link.Open(s.Raw, i.trust)
	if err != nil {
		i.Log.Error("stored manifest invalid", "scope", s.Scope, "err", err)
		return nil
	}
	missing := 0
	for _, clip := range d.Manifest.Clips {
		if i.lacks(ctx, clip, false) {
			missing++
		}
	}
	if i.waitsFor(*d.Manifest, missing) != "" {
		return nil
	}
	if err := i.replace(ctx, i.inForce[s.Scope].Clips, d.Manifest.Clips); err != nil {
		return err
	}
	if err := i.store.PutManifest(ctx, *d.Manifest); err != nil {
		return err
	}
	i.changed = true
	i.Log.Info("manifest in force", "scope", s.Scope, "version", s.Version, "slots", len(d.Manifest.Slots), "missing", missing)
	return nil
}

// replace notes which clips of the manifest that was in force are other clips of the
// same lesson in the next one.
func (i *inspection) replace(ctx context.Context, was, next []playlist.Clip) error {
	stays := map[playlist.ClipID]bool{}
	for _, c := range next {
		stays[c.ID] = true
	}
	for _, old := range was {
		at := slices.IndexFunc(next, old.SameLesson)
		if stays[old.ID] || at < 0 {
			continue
		}
		if err := i.store.ReplaceClip(ctx, old.ID, next[at].ID); err != nil {
			return err
		}
	}
	return nil
}

// lacks reports whether a clip is missing or, when clips are read, damaged, and
// if so wants it.
func (i *inspection) lacks(ctx context.Context, clip playlist.Clip, urgent bool) bool {
	_, _, err := i.store.Clip(ctx, clip.ID)
	here := err == nil
	if here && i.rehash {
		here, err = i.store.HasClip(ctx, clip.ID)
		if err == nil && !here {
			i.Log.Warn("clip damaged, fetched anew", "clip", clip.ID)
		}
	}
	if !here {
		i.wanted = append(i.wanted, link.Wanted{Clip: clip, Urgent: urgent})
	}
	return !here
}

// waitsFor returns what keeps a manifest of which so many clips are missing from
// coming into force: "clips", "not_before" or nothing.
func (u *Uplink) waitsFor(m playlist.Manifest, missing int) string {
	switch {
	case missing > 0 && (!m.Partial || missing == len(m.Clips)):
		return "clips"
	case !m.NotBefore.IsZero() && (u.Clock.Trust() != playlist.ClockTrusted || u.Now().Before(m.NotBefore)):
		return "not_before"
	}
	return ""
}

// progress returns how far each manifest is, for the county.
func (u *Uplink) progress(ctx context.Context) (all []link.Progress) {
	docs, err := u.store.Documents(ctx)
	if err != nil {
		return nil
	}
	inForce, err := u.store.Manifests(ctx)
	if err != nil {
		return nil
	}
	trust := trustOf(docs)
	planned := u.Config().Versions
	for _, s := range docs {
		if s.Kind != link.KindManifest {
			continue
		}
		d, err := link.Open(s.Raw, trust)
		if err != nil {
			continue
		}
		p := link.Progress{Scope: s.Scope, Version: s.Version, Clips: len(d.Manifest.Clips), Active: inForce[s.Scope].Version == s.Version}
		for _, clip := range d.Manifest.Clips {
			if _, _, err := u.store.Clip(ctx, clip.ID); err == nil {
				p.Present++
			}
		}
		switch {
		case !p.Active:
			p.Why = u.waitsFor(*d.Manifest, p.Clips-p.Present)
		case planned[s.Scope] == s.Version:
			p.Planned = true
		default:
			p.Why = "no_output"
		}
		all = append(all, p)
		if airs := planned[s.Scope]; airs > 0 && airs != s.Version { // it airs by an earlier one until then
			all = append(all, link.Progress{Scope: s.Scope, Version: airs, Active: true, Planned: true})
		}
	}
	return all
}

// Needs returns the clips that the county's documents name, in force or not yet.
func (u *Uplink) Needs(ctx context.Context) (needed []playlist.ClipID) {
	docs, err := u.store.Documents(ctx)
	if err != nil {
		return nil
	}
	trust := trustOf(docs)
	for _, s := range docs {
		if d, err := link.Open(s.Raw, trust); err == nil {
			for _, clip := range d.Clips() {
				needed = append(needed, clip.ID)
			}
		}
	}
	return needed
}
