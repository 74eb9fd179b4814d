package county

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// Store is a county's memory; [store.Store] is one. What a writing method was
// given is on the disk when it returns nil.
type Store interface {
	ChangeController(ctx context.Context, id playlist.ControllerID, f func(*store.Controller) error) (store.Controller, error)
	Revoke(ctx context.Context, user string, at time.Time) error
	Revoked(ctx context.Context) (map[string]time.Time, error)
	Seen(ctx context.Context, id playlist.ControllerID, r store.Report) error
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	Controller(ctx context.Context, id playlist.ControllerID) (store.Controller, error)

	AddCode(ctx context.Context, c store.Code) error
	Code(ctx context.Context, id string) (store.Code, error)
	UseCode(ctx context.Context, id string, who store.Controller) (store.Controller, error)
	Codes(ctx context.Context) ([]store.Code, error)

	AddEvents(ctx context.Context, id playlist.ControllerID, events []link.Event) error
	Events(ctx context.Context, id playlist.ControllerID, limit int) ([]store.Event, error)

	AddEnvelope(ctx context.Context, e store.Envelope) error
	NextVersion(ctx context.Context, kind link.Kind, scope playlist.Scope) (int64, error)
	RaiseVersion(ctx context.Context, kind link.Kind, scope playlist.Scope, v int64) error
	Latest(ctx context.Context, kind link.Kind) ([]store.Envelope, error)
	Envelope(ctx context.Context, kind link.Kind, scope playlist.Scope, version int64) (store.Envelope, error)
	Versions(ctx context.Context, kind link.Kind, scope playlist.Scope) ([]store.Envelope, error)
	ManifestsSince(ctx context.Context, since time.Time) ([]store.Envelope, error)
	InForce(ctx context.Context, scopes []playlist.Scope) ([]store.Envelope, error)

	AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	Clips(ctx context.Context, series string) ([]playlist.Clip, error)
	OpenClip(id playlist.ClipID) (*os.File, error)
	VerifyClip(ctx context.Context, id playlist.ClipID) error
	SetFigures(ctx context.Context, id playlist.ClipID, figures json.RawMessage) error
	SourceKnown(ctx context.Context, src playlist.ClipSource) (playlist.ClipID, bool, error)
	NoteSource(ctx context.Context, src playlist.ClipSource, id playlist.ClipID) error

	AddReceipts(ctx context.Context, b link.Batch) (mark int64, err error)
	Mark(ctx context.Context, id playlist.ControllerID, epoch string) (int64, error)
	Rows(ctx context.Context, q store.RowQuery) ([]store.RowOf, error)
	Reach(ctx context.Context, q store.ReachQuery) (store.ReachReport, error)
	Account(ctx context.Context, due []store.Due, upTo time.Time) error
	Accounted(ctx context.Context) (time.Time, error)

	AddAlert(ctx context.Context, a store.Alert, f emergency.Facts, targets []store.Target) (kept store.Alert, ended []store.Alert, err error)
	WeighAlert(ctx context.Context, a store.Alert, f emergency.Facts) (store.Alert, error)
	ChangeAlert(ctx context.Context, id playlist.AlertID, f func(*store.Alert) bool) (changed bool, err error)
	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	Alerts(ctx context.Context, limit int) ([]store.Alert, error)
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
	AlertsOwed(ctx context.Context, now time.Time) ([]store.Alert, error)
	Targets(ctx context.Context, id playlist.AlertID) ([]store.Target, error)
	Delivered(ctx context.Context, controller playlist.ControllerID, ids []playlist.AlertID) error

	LogEBD(ctx context.Context, m store.EBD) error
	EBDs(ctx context.Context, limit int) ([]store.EBD, error)
	NextCounter(ctx context.Context, name string) (uint32, error)

	SetAdmin(ctx context.Context, name, password string) error
	Login(ctx context.Context, name, password string, expires time.Time) (token string, err error)
	Session(ctx context.Context, token string) (admin string, err error)
	Logout(ctx context.Context, token string) error
	Ping(ctx context.Context) error
	Kind() string
	LastBackup() (at time.Time, n int, err error)
	Losses(ctx context.Context) ([]store.Loss, error)
}

// Keys are the private keys that lie here. Playlist may be nil: manifests are
// then signed elsewhere and brought.
type Keys struct {
	Fleet, Edge, Alert, Playlist link.Signer
}

// County is a county media centre. Its exported fields are set before it is
// used and not changed after.
type County struct {
	Name  string
	Area  playlist.Area
	Zone  *time.Location
	Store Store
	Log   *slog.Logger
	Now   func() time.Time // default time.Now

	Keys      Keys
	Authority *link.Authority
	Servers   []string // of the broker, as controllers are told
	ClipURLs  []string // as controllers are told
	CA        string   // PEM, likewise

	// Publish says a document to all who are there; [link.Publisher.Publish].
	Publish func(ctx context.Context, scope playlist.Scope, k link.Kind, raw []byte) error

	// PushAccount keeps the authority and gives the broker its account, after a
	// login was revoked by this county or by another replica of it.
	PushAccount func(context.Context, *link.Authority) error

	Ingest *ingest.Ingester // nil: only clips that are here already
	Alerts AlertRules
	EBD    EBD // how we speak to the emergency system

	issuing    sync.Mutex // one document at a time gets its version
	ordering   sync.Mutex // so does one state of alerts, which waits for no other document
	recovering sync.Mutex // and one that was lost is taken back
	login      login
	work       sync.WaitGroup
	members    members
	orders     orders
}

// Online is how long after its last sync a controller counts as online: syncs
// come each 60 s, give or take a half.
const Online = 3 * time.Minute

func (c *County) now() time.Time {
	if c.Now == nil {
		return time.Now().UTC()
	}
	return c.Now().UTC()
}

// Wait waits for what the county does beside those who asked for it.
func (c *County) Wait() { c.work.Wait() }

// Run does what falls due by itself, until ctx ends: accounts for airings that
// nobody spoke of, ends alerts whose time is over, speaks to the emergency
// system.
func (c *County) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	every := func(d time.Duration, f func(context.Context) error, what string) {
		parts.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					c.Log.Error(what, "err", err)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	if err := c.resume(ctx); err != nil && ctx.Err() == nil {
		c.Log.Error("alerts in force could not be taken up again", "err", err)
	}
	every(time.Minute, c.account, "airings could not be accounted for")
	every(time.Minute, c.pushAccount, "the broker does not know who is revoked; they may still listen there")
	every(settleEvery, c.settle, "alerts could not be settled")
	if c.EBD.Upstream != "" && c.EBD.Heartbeat > 0 {
		every(c.EBD.Heartbeat, c.heartbeat, "the emergency system did not take our heartbeat")
	}
	for _, f := range c.Alerts.Feeds {
		parts.Go(func() { c.poll(ctx, f) })
	}
	parts.Wait()
	c.work.Wait()
	return nil
}

// issue makes the next version of a document, keeps it and says it. Whoever is
// not there to hear it finds it in the next sync. What seal reads of the store
// is no older than the version that it is given: no document can say less than
// one below it did.
func (c *County) issue(ctx context.Context, k link.Kind, scope playlist.Scope,
	seal func(version int64) (e link.Envelope, note string, err error)) (store.Envelope, error) {
	turn := &c.issuing
	if k == link.KindAlerts {
		turn = &c.ordering
	}
	turn.Lock()
	defer turn.Unlock()
	for {
		v, err := c.Store.NextVersion(ctx, k, scope)
		if err != nil {
			return store.Envelope{}, err
		}
		env, note, err := seal(v)
		if err != nil {
			return store.Envelope{}, err
		}
		e := store.Envelope{Kind: k, Scope: scope, Version: v, Digest: env.Digest(), Bytes: env.Bytes(), Note: note}
		err = c.Store.AddEnvelope(ctx, e)
		if errors.Is(err, store.ErrStale) {
			continue // another replica took the version
		}
		if err != nil {
			return store.Envelope{}, err
		}
		c.say(ctx, k, scope, e.Bytes)
		return e, nil
	}
}

func (c *County) say(ctx context.Context, k link.Kind, scope playlist.Scope, raw []byte) {
	if c.Publish == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := c.Publish(bounded, scope, k, raw); err != nil {
		c.Log.Warn("document not said; controllers find it at their next sync", "kind", k, "scope", scope, "err", err)
	}
}

// manifestOf reads a manifest that was issued here. Whoever signed it may have lost
// the role since.
func manifestOf(e store.Envelope) (playlist.Manifest, error) {
	d, err := kept(e)
	if err != nil {
		return playlist.Manifest{}, err
	}
	if d.Manifest == nil {
		return playlist.Manifest{}, link.ErrWrongType
	}
	return *d.Manifest, nil
}

// kept reads an envelope of our store.
func kept(e store.Envelope) (link.Document, error) {
	h := link.Have{Kind: e.Kind, Scope: e.Scope, Version: e.Version, Digest: e.Digest}
	d, err := link.OpenKept(link.Stored{Have: h, Raw: e.Bytes})
	if err != nil {
		err = fmt.Errorf("%s of %s, version %d: %w", e.Kind, e.Scope, e.Version, err)
	}
	return d, err
}

// trust is the trust document in force.
func (c *County) trust(ctx context.Context) (link.Trust, error) {
	e, err := c.Store.Envelope(ctx, link.KindTrust, "", 0)
	if errors.Is(err, store.ErrNotFound) {
		return link.Trust{}, link.ErrNoTrust
	}
	if err != nil {
		return link.Trust{}, err
	}
	return link.AcceptTrust(e.Bytes, nil)
}
