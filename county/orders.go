package county

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// orderStore keeps what is in force, and the clips that travel with it.
type orderStore interface {
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error
	OpenClip(id playlist.ClipID) (*os.File, error)
}

// orders issues the documents that name the alerts in force, one for each scope.
type orders struct {
	base
	store     orderStore
	documents *documents
	fleet     *fleet
	features  []link.Feature
	key       link.Signer

	mu    sync.Mutex
	held  map[playlist.Scope]order // the latest of each scope
	wrong map[playlist.Scope]wrongOrder

	packing sync.Mutex // one set is made at a time
	sets    map[playlist.Scope]set
	usedUp  map[playlist.Scope]bool // there is no version for another order
	weights map[version]weighed
	seals   int
}

// order is a document that names the alerts in force for a scope.
type order struct {
	version int64
	raw     []byte
	sum     string // see [sumOf]
	ids     []playlist.AlertID
	clips   []playlist.ClipID // of each alert; empty: none yet
	until   time.Time         // when the last of them is over
}

// wrongOrder is the version of an order that does not name what is in force, and
// when it is to be issued again.
type wrongOrder struct {
	version int64
	at      time.Time
}

const (
	// mendAfter is how long what is in force and the order may differ, as they do
	// while a replica issues it, and mendAgain is when that is tried again.
	mendAfter = 3 * time.Second
	mendAgain = 30 * time.Second
)

func newOrders(b base, st orderStore, d *documents, f *fleet, key link.Signer) *orders {
	return &orders{
		base: b, store: st, documents: d, fleet: f, features: link.Features(), key: key,
		held: map[playlist.Scope]order{}, wrong: map[playlist.Scope]wrongOrder{}, sets: map[playlist.Scope]set{},
		usedUp: map[playlist.Scope]bool{}, weights: map[version]weighed{},
	}
}

// orderOf is the order that says a set.
func orderOf(s set) (h order) {
	h.sum = s.sum
	for i, f := range s.alerts {
		h.add(f.Alert.ID, f.Clip)
		h.lasts(s.ends[i])
	}
	return h
}

// says reports whether the order names the alerts of a set, with their clips.
func (h order) says(s set) bool {
	want := orderOf(s)
	return slices.Equal(h.ids, want.ids) && slices.Equal(h.clips, want.clips)
}

func (h *order) add(id playlist.AlertID, clip *playlist.Clip) {
	h.ids = append(h.ids, id)
	var of playlist.ClipID
	if clip != nil {
		of = clip.ID
	}
	h.clips = append(h.clips, of)
}

func (h *order) lasts(ends time.Time) {
	if ends.After(h.until) {
		h.until = ends
	}
}

// note names the alerts of the order, for people.
func (h order) note() string {
	all := make([]string, len(h.ids))
	for i, id := range h.ids {
		all[i] = string(id)
	}
	return strings.Join(all, " ")
}

// issue issues what is in force for a scope.
func (o *orders) issue(ctx context.Context, scope playlist.Scope) error {
	_, err := o.publish(ctx, scope, true)
	return err
}

// renew issues what is in force for a scope, unless the latest order says just
// that. It returns what the order says. If the versions of the scope are used up, that
// is no error: the alerts are kept, and the set says that they are not sent.
func (o *orders) renew(ctx context.Context, scope playlist.Scope) (set, error) {
	s, err := o.publish(ctx, scope, false)
	if errors.Is(err, errUnchanged) || errors.Is(err, store.ErrUsedUp) {
		err = nil
	}
	return s, err
}

func (o *orders) publish(ctx context.Context, scope playlist.Scope, anyway bool) (s set, err error) {
	e, err := o.documents.issue(ctx, link.KindAlerts, scope, func(v int64) (env link.Envelope, note string, err error) {
		inForce, err := o.store.AlertsInForce(ctx)
		if err != nil {
			return env, "", err
		}
		s, env, err = o.seal(ctx, scope, v, inScope(scope, inForce), func(s set) bool { return !anyway && o.said(scope, v-1, s) })
		return env, orderOf(s).note(), err
	})
	if errors.Is(err, store.ErrUsedUp) {
		inForce, ferr := o.store.AlertsInForce(ctx)
		if ferr != nil {
			return s, ferr
		}
		return o.cannot(scope, inForce), err
	}
	if err != nil {
		return s, err
	}
	issued := orderOf(s)
	issued.version, issued.raw = e.Version, e.Bytes
	o.hold(scope, issued, 0)
	return s, nil
}

// said reports whether the order of that version says the set.
func (o *orders) said(scope playlist.Scope, version int64, s set) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.held[scope]
	return h.version == version && h.sum == s.sum
}

func (o *orders) bytesOf(id playlist.ClipID) ([]byte, error) {
	f, err := o.store.OpenClip(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// hold remembers an order in the place of an earlier one, or of the version void,
// which was set aside with the key that signed it. One in which all was cancelled is
// repeated until the last of what it cancelled would have been over.
func (o *orders) hold(scope playlist.Scope, h order, void int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.held[scope]
	if before.version >= h.version && before.version != void {
		return
	}
	if h.until.IsZero() {
		h.until = before.until
	}
	o.held[scope] = h
}

// standing lists the orders that are to be repeated.
func (o *orders) standing() (all []link.Standing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for scope, h := range o.held {
		if h.version == 0 { // set aside
			continue
		}
		all = append(all, link.Standing{Scope: scope, Version: h.version, Raw: h.raw, Until: h.until})
	}
	return all
}

// heldBy lists the alerts that a controller has, by what it tells in a sync.
func (o *orders) heldBy(q link.SyncRequest) (all []playlist.AlertID) {
	for _, a := range q.Health.Alerts {
		all = append(all, a.ID)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range q.Have {
		if held := o.held[h.Scope]; h.Kind == link.KindAlerts && held.version > 0 && h.Version >= held.version {
			all = append(all, held.ids...)
		}
	}
	return all
}

// catchUp takes note of the orders that other replicas have issued, so that they
// are repeated if those end, and issues again those that do not name what is in
// force: a replica may have died between the change and the order. seen is what
// [orders.seen] returned before inForce was read.
func (o *orders) catchUp(ctx context.Context, inForce []store.Alert, seen int) error {
	held := o.current()
	for _, a := range inForce {
		for _, scope := range a.Detail.Scopes {
			if _, ok := held[scope]; !ok {
				held[scope] = order{}
			}
		}
	}
	if len(held) == 0 {
		return nil
	}
	latest, err := o.documents.InForce(ctx, slices.Collect(maps.Keys(held)))
	if err != nil {
		return err
	}
	latest = slices.DeleteFunc(latest, func(e store.Envelope) bool { return e.Kind != link.KindAlerts })
	for _, e := range latest {
		before := held[e.Scope].version
		if e.Version == before {
			continue
		}
		h, err := o.read(ctx, e)
		if err != nil {
			return err
		}
		held[e.Scope] = h
		o.hold(e.Scope, h, before)
	}
	for scope, h := range held { // its order may have been set aside with the key that signed it
		if h.version > 0 && !slices.ContainsFunc(latest, func(e store.Envelope) bool { return e.Scope == scope }) {
			held[scope] = order{}
			o.hold(scope, order{until: h.until}, h.version)
		}
	}
	for scope, h := range held {
		if o.mend(scope, h.version, h.says(o.belongs(scope, inForce, seen))) {
			ierr := o.issue(ctx, scope)
			if ierr == nil {
				o.log.Warn("alerts in force were not said; they are now", "scope", scope, "version", h.version)
			}
			err = errors.Join(err, ierr)
		}
	}
	return err
}

// current is the orders held, without those that need not be repeated any more.
func (o *orders) current() map[playlist.Scope]order {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.held, func(_ playlist.Scope, h order) bool { return len(h.ids) == 0 && now.After(h.until) })
	return maps.Clone(o.held)
}

// read reads an order that another replica issued, and keeps the clips in it:
// that replica's may be gone with it. If the key that signed it has lost its
// role, no controller accepts it: then it names nothing, and what is in force is
// issued again.
func (o *orders) read(ctx context.Context, e store.Envelope) (h order, err error) {
	if e, err = o.documents.Envelope(ctx, e.Kind, e.Scope, e.Version); err != nil {
		return h, err
	}
	d, err := openKept(e)
	if err != nil {
		return h, err
	}
	if d.Alerts == nil {
		return h, link.ErrWrongType
	}
	t, err := o.documents.trust(ctx)
	if err != nil {
		return h, err
	}
	_, void := link.Open(e.Bytes, t)
	h = order{version: e.Version, raw: e.Bytes, sum: sumOf(d.Alerts.Alerts)}
	if void != nil {
		h.sum = ""
	}
	for _, f := range d.Alerts.Alerts {
		if void == nil {
			h.add(f.Alert.ID, f.Clip)
		}
		h.lasts(f.Alert.NotAfter)
		if f.Clip != nil && len(f.Inline) > 0 {
			if err := o.keepClip(ctx, *f.Clip, f.Inline); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

// keepClip keeps a clip if it is not here.
func (o *orders) keepClip(ctx context.Context, clip playlist.Clip, raw []byte) error {
	file, err := o.store.OpenClip(clip.ID)
	if err == nil {
		return file.Close()
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return putClip(ctx, o.store, clip, bytes.NewReader(raw))
}

// mend reports whether the order of a scope is to be issued again: it does not
// name what it should, and the replica that changed that has had time to issue
// it.
func (o *orders) mend(scope playlist.Scope, version int64, right bool) bool {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if right {
		delete(o.wrong, scope)
		return false
	}
	known, ok := o.wrong[scope]
	if !ok || known.version != version {
		o.wrong[scope] = wrongOrder{version, now.Add(mendAfter)}
		return false
	}
	if now.Before(known.at) {
		return false
	}
	o.wrong[scope] = wrongOrder{version, now.Add(mendAgain)}
	return true
}
