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
}

// order is a document that names the alerts in force for a scope.
type order struct {
	version int64
	raw     []byte
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
		held: map[playlist.Scope]order{}, wrong: map[playlist.Scope]wrongOrder{},
	}
}

// says reports whether the order is what would be issued for the alerts now.
func (h order) says(alerts []store.Alert) bool {
	return slices.EqualFunc(alerts, h.ids, func(a store.Alert, id playlist.AlertID) bool { return a.ID == id }) &&
		slices.EqualFunc(alerts, h.clips, func(a store.Alert, id playlist.ClipID) bool {
			return a.Detail.Clip == nil && id == "" || a.Detail.Clip != nil && a.Detail.Clip.ID == id
		})
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

// inScope lists the alerts, among those in force, that the order of a scope
// names.
func inScope(scope playlist.Scope, inForce []store.Alert) (all []store.Alert) {
	for _, a := range inForce {
		if slices.Contains(a.Detail.Scopes, scope) && len(all) < link.MaxAlerts {
			all = append(all, a)
		}
	}
	return all
}

// issue issues what is in force for a scope.
func (o *orders) issue(ctx context.Context, scope playlist.Scope) error {
	var issued order
	e, err := o.documents.issue(ctx, link.KindAlerts, scope, func(v int64) (link.Envelope, string, error) {
		inForce, err := o.store.AlertsInForce(ctx)
		if err != nil {
			return link.Envelope{}, "", err
		}
		issued = order{}
		state := link.AlertsState{Scope: scope, Version: v, Issued: o.now(), Alerts: []link.AlertInForce{}}
		inline := 0
		for _, a := range inScope(scope, inForce) {
			f, err := o.inForce(a, link.MaxInlineTotal-inline)
			if err != nil {
				return link.Envelope{}, "", err
			}
			inline += len(f.Inline)
			issued.add(a.ID, f.Clip)
			issued.lasts(a.Ends)
			state.Alerts = append(state.Alerts, f)
		}
		o.fit(ctx, scope, state.Alerts)
		env, err := link.SealAlerts(state, o.key)
		return env, issued.note(), err
	})
	if err != nil {
		return err
	}
	issued.version, issued.raw = e.Version, e.Bytes
	o.hold(scope, issued, 0)
	return nil
}

// inForce is an alert as an order names it, with the bytes of its clip if there
// is room for them.
func (o *orders) inForce(a store.Alert, room int) (link.AlertInForce, error) {
	f := link.AlertInForce{Alert: a.Alert, Received: a.Received, Order: a.Detail.Clip == nil}
	if f.Alert.NotAfter.IsZero() || !a.Ends.IsZero() && a.Ends.Before(f.Alert.NotAfter) {
		f.Alert.NotAfter = a.Ends // by the rules of the county, not of each controller
	}
	if a.Detail.Clip == nil {
		return f, nil
	}
	clip := *a.Detail.Clip
	clip.Text = ""
	f.Clip = &clip
	if clip.Size > link.MaxInline || int(clip.Size) > room {
		return f, nil
	}
	var err error
	f.Inline, err = o.bytesOf(clip.ID)
	if errors.Is(err, store.ErrNotFound) { // another replica has it; a controller that lacks it fetches it
		o.log.Warn("clip of alert is not here", "alert", a.ID, "clip", clip.ID)
		err = nil
	}
	return f, err
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
// force: a replica may have died between the change and the order.
func (o *orders) catchUp(ctx context.Context, inForce []store.Alert) error {
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
		if o.mend(scope, h.version, h.says(inScope(scope, inForce))) {
			o.log.Warn("alerts in force were not said; they are now", "scope", scope, "version", h.version)
			err = errors.Join(err, o.issue(ctx, scope))
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
	h = order{version: e.Version, raw: e.Bytes}
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
	if known, _, err := o.store.Clip(ctx, clip.ID); err == nil {
		clip = known // with its text
	}
	return o.store.AddClip(ctx, clip, bytes.NewReader(raw))
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
