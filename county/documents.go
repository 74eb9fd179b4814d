package county

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// envelopes keeps signed documents.
type envelopes interface {
	AddEnvelope(ctx context.Context, e store.Envelope) error
	NextVersion(ctx context.Context, kind link.Kind, scope playlist.Scope) (int64, error)
	Void(ctx context.Context, t link.Trust) ([]store.Envelope, error)
	Envelope(ctx context.Context, kind link.Kind, scope playlist.Scope, version int64) (store.Envelope, error)
	Versions(ctx context.Context, kind link.Kind, scope playlist.Scope) ([]store.Envelope, error)
	Latest(ctx context.Context, kind link.Kind) ([]store.Envelope, error)
	InForce(ctx context.Context, scopes []playlist.Scope) ([]store.Envelope, error)
}

// documents issues signed documents: it gives each its version, keeps it and
// publishes it. What it keeps is read by the methods of its store.
type documents struct {
	base
	envelopes
	keys    Keys // those that lie here
	publish func(ctx context.Context, scope playlist.Scope, k link.Kind, raw []byte) error

	issuing  sync.Mutex // one document at a time gets its version
	ordering sync.Mutex // so does one state of alerts, which waits for no other document
}

// NextVersion is the store's, with words for people if there is none.
func (d *documents) NextVersion(ctx context.Context, k link.Kind, scope playlist.Scope) (int64, error) {
	v, err := d.envelopes.NextVersion(ctx, k, scope)
	if errors.Is(err, store.ErrUsedUp) {
		err = fault{store.ErrUsedUp, say.M("county.used_up", k.Words(), string(scope), string(k.Role()))}
	}
	return v, err
}

// issue makes the next version of a document, keeps it and publishes it. A
// controller that is not connected gets it when it syncs. What seal reads of the
// store is no older than the version that it is given: no document can say less
// than one below it did.
func (d *documents) issue(ctx context.Context, k link.Kind, scope playlist.Scope,
	seal func(version int64) (e link.Envelope, note string, err error)) (store.Envelope, error) {
	turn := &d.issuing
	if k == link.KindAlerts {
		turn = &d.ordering
	}
	turn.Lock()
	defer turn.Unlock()
	for {
		v, err := d.NextVersion(ctx, k, scope)
		if err != nil {
			return store.Envelope{}, err
		}
		env, note, err := seal(v)
		if err != nil {
			return store.Envelope{}, err
		}
		e := store.Envelope{Kind: k, Scope: scope, Version: v, Digest: env.Digest(), Bytes: env.Bytes(), Note: note, By: userOf(ctx)}
		err = d.AddEnvelope(ctx, e)
		if errors.Is(err, store.ErrStale) {
			continue // another replica took the version
		}
		if err != nil {
			return store.Envelope{}, err
		}
		d.announce(ctx, k, scope, e.Bytes)
		return e, nil
	}
}

// add keeps a document that was signed elsewhere, and publishes it. If its
// version is not above all before it, the error is [store.ErrStale].
func (d *documents) add(ctx context.Context, e store.Envelope) error {
	d.issuing.Lock()
	defer d.issuing.Unlock()
	if err := d.AddEnvelope(ctx, e); err != nil {
		return err
	}
	d.announce(ctx, e.Kind, e.Scope, e.Bytes)
	return nil
}

// publishWithin is how long the broker may take to accept a document.
const publishWithin = 2 * time.Second

// announce publishes a document to the controllers that are connected.
func (d *documents) announce(ctx context.Context, k link.Kind, scope playlist.Scope, raw []byte) {
	if d.publish == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	if err := d.publish(bounded, scope, k, raw); err != nil {
		d.log.Warn("document not said; controllers find it at their next sync", "kind", k, "scope", scope, "err", err)
	}
}

// current finds the latest version of a document.
func (d *documents) current(ctx context.Context, k link.Kind, scope playlist.Scope) (store.Envelope, error) {
	return d.Envelope(ctx, k, scope, 0)
}

// trust is the trust document in force.
func (d *documents) trust(ctx context.Context) (link.Trust, error) {
	e, err := d.current(ctx, link.KindTrust, "")
	if errors.Is(err, store.ErrNotFound) {
		return link.Trust{}, link.ErrNoTrust
	}
	if err != nil {
		return link.Trust{}, err
	}
	return link.AcceptTrust(e.Bytes, nil)
}

// addTrust puts a trust document in force that follows from the one before.
func (d *documents) addTrust(ctx context.Context, raw []byte) error {
	held, err := d.trust(ctx)
	var before *link.Trust
	switch {
	case err == nil:
		before = &held
	case !errors.Is(err, link.ErrNoTrust):
		return err
	}
	t, err := link.AcceptTrust(raw, before)
	if err != nil {
		return err
	}
	env, err := link.ParseEnvelope(raw)
	if err != nil {
		return err
	}
	err = d.AddEnvelope(ctx, store.Envelope{Kind: link.KindTrust, Version: t.Version, Digest: env.Digest(), Bytes: raw})
	if errors.Is(err, store.ErrStale) {
		err = fault{store.ErrStale, say.M("county.trust_stale", t.Version)}
	}
	if err != nil {
		return err
	}
	err = d.settle(ctx)
	d.announce(ctx, link.KindTrust, playlist.AreaScope(d.area), raw)
	return err
}

// settle does what a new trust document asks of the documents that are kept: it sets
// those aside that used up the versions of a scope and whose keys have lost the role.
// It also looks whether controllers that were away can follow the trust documents to
// the one in force.
func (d *documents) settle(ctx context.Context) error {
	t, err := d.trust(ctx)
	if errors.Is(err, link.ErrNoTrust) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, role := range d.keys.unnamed(t) {
		d.log.Error("key here has no role in the trust document, what it signs is refused", "role", role)
	}
	gone, err := d.Void(ctx, t)
	for _, e := range gone {
		d.log.Error("document of a key that lost its role set aside, its version counts no more", "kind", e.Kind, "scope", e.Scope, "version", e.Version)
	}
	if err != nil {
		return err
	}
	all, err := d.trusts(ctx)
	if err != nil {
		return err
	}
	var before *link.Trust
	for _, e := range all {
		next, err := link.AcceptTrust(e.Bytes, before)
		if err != nil && before != nil {
			d.log.Error("trust document missing: controllers that were away cannot verify the later ones", "after_version", before.Version, "before_version", e.Version, "err", err)
			next, err = link.AcceptTrust(e.Bytes, nil)
		}
		if err != nil {
			return err
		}
		before = &next
	}
	return nil
}

// trusts are all trust documents that were ever in force here, the first one first.
func (d *documents) trusts(ctx context.Context) (all []store.Envelope, err error) {
	list, err := d.Versions(ctx, link.KindTrust, "")
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Backward(list) {
		e, err := d.Envelope(ctx, link.KindTrust, "", v.Version)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// Held is a document that a carrier takes to controllers.
type Held struct {
	link.Have
	Raw json.RawMessage `json:"raw"`
}

// held lists all documents in force, for a carrier, and the trust documents before
// the one in force, in the order in which a controller must accept them.
func (d *documents) held(ctx context.Context) ([]Held, error) {
	list, err := d.trusts(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := d.Latest(ctx, "")
	for _, e := range latest {
		if e.Kind != link.KindTrust {
			list = append(list, e)
		}
	}
	all := []Held{}
	for _, e := range list {
		all = append(all, Held{haveOf(e), e.Bytes})
	}
	return all, err
}

// haveOf names an envelope of the store as the link does.
func haveOf(e store.Envelope) link.Have {
	return link.Have{Kind: e.Kind, Scope: e.Scope, Version: e.Version, Digest: e.Digest}
}

// openKept reads an envelope of the store.
func openKept(e store.Envelope) (link.Document, error) {
	d, err := link.OpenKept(link.Stored{Have: haveOf(e), Raw: e.Bytes})
	if err != nil {
		err = fmt.Errorf("%s of %s, version %d: %w", e.Kind, e.Scope, e.Version, err)
	}
	return d, err
}

// manifestOf reads a manifest that was issued here. The key that signed it may
// have lost the role since.
func manifestOf(e store.Envelope) (playlist.Manifest, error) {
	d, err := openKept(e)
	if err != nil {
		return playlist.Manifest{}, err
	}
	if d.Manifest == nil {
		return playlist.Manifest{}, link.ErrWrongType
	}
	return *d.Manifest, nil
}
