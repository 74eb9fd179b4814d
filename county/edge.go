package county

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// edgeStore keeps what controllers tell.
type edgeStore interface {
	controllerFinder
	Seen(ctx context.Context, id playlist.ControllerID, r store.Report) error
	AddEvents(ctx context.Context, id playlist.ControllerID, events []link.Event) error
	Delivered(ctx context.Context, controller playlist.ControllerID, ids []playlist.AlertID, told []store.Standing) error
	Mark(ctx context.Context, id playlist.ControllerID, epoch string) (mark int64, ok bool, err error)
	AddReceipts(ctx context.Context, b link.Batch) (mark int64, err error)
}

// edge is the county as controllers ask it. It is a [link.EdgeStore].
type edge struct {
	base
	store      edgeStore
	documents  *documents
	members    *members
	programmes *programmes
	orders     *orders
	alerts     *alerts
	course     *course

	recovering sync.Mutex // one document that was lost is taken back at a time
}

// Registered finds a controller. One that is not approved yet counts as
// disabled. A retired one is still told that it is, and may hand in on a stick
// what it holds.
func (e *edge) Registered(ctx context.Context, id playlist.ControllerID) (link.Registered, error) {
	k, err := e.store.Controller(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return link.Registered{}, fmt.Errorf("%w: %s", link.ErrUnknown, id)
	}
	if err != nil {
		return link.Registered{}, err
	}
	key, err := link.ParsePublicKey(k.Key)
	if err != nil {
		return link.Registered{}, fmt.Errorf("%w: %s", link.ErrUnknown, id)
	}
	return link.Registered{Key: key, Follower: k.Follower(), Disabled: k.State == store.Disabled || k.State == store.Pending}, nil
}

// Trust is the trust document in force.
func (e *edge) Trust(ctx context.Context) (link.Trust, error) { return e.documents.trust(ctx) }

// Versions lists the documents in force for a follower.
func (e *edge) Versions(ctx context.Context, who playlist.Follower) ([]link.Have, error) {
	list, err := e.documents.InForce(ctx, append(link.FollowedScopes(who), ""))
	all := make([]link.Have, 0, len(list))
	for _, v := range list {
		all = append(all, haveOf(v))
	}
	return all, err
}

// Envelope is one of those.
func (e *edge) Envelope(ctx context.Context, h link.Have) ([]byte, error) {
	v, err := e.documents.Envelope(ctx, h.Kind, h.Scope, h.Version)
	return v.Bytes, err
}

// Marks returns how far the county has the receipts of these epochs. It leaves out those
// that belong to another key.
func (e *edge) Marks(ctx context.Context, id playlist.ControllerID, epochs []string) ([]link.Mark, error) {
	all := make([]link.Mark, 0, len(epochs))
	for _, name := range epochs {
		seq, ok, err := e.store.Mark(ctx, id, name)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, link.Mark{Epoch: name, Seq: seq})
		}
	}
	return all, nil
}

// Commit stores a batch and returns the mark.
func (e *edge) Commit(ctx context.Context, b link.Batch) (link.Mark, error) {
	seq, err := e.store.AddReceipts(ctx, b)
	if err == nil {
		e.course.received(b)
	}
	return link.Mark{Epoch: b.Epoch, Seq: seq}, err
}

// Seen notes what a controller told, and renews its member document.
func (e *edge) Seen(ctx context.Context, s link.Seen) error {
	q := s.Request
	report, err := reportOf(q)
	if err != nil {
		return err
	}
	if err := e.store.Seen(ctx, q.Controller, report); err != nil {
		return err
	}
	var told []store.Standing
	for _, a := range q.Health.Alerts {
		told = append(told, store.Standing{Alert: a.ID, State: emergency.State(a.State), Why: emergency.Reason(a.Why)})
	}
	if err := e.store.Delivered(ctx, q.Controller, e.orders.heldBy(q), told); err != nil {
		return err
	}
	if len(q.Events) > 0 {
		if err := e.store.AddEvents(ctx, q.Controller, q.Events); err != nil {
			return err
		}
	}
	return e.lenient(e.members.renew(ctx, q.Controller))
}

// lenient logs that the versions of a document are used up and returns nil: the
// controller must go on to sync, or it could not get the trust document that takes
// the role from the key.
func (e *edge) lenient(err error) error {
	if errors.Is(err, store.ErrUsedUp) {
		e.log.Error("versions of a document are used up: replace the key", "err", err)
		return nil
	}
	return err
}

// reportOf is what the store keeps of a sync.
func reportOf(q link.SyncRequest) (r store.Report, err error) {
	r = store.Report{
		Version: q.Health.Program, Unsent: int64(q.Health.Unsent), Clock: string(q.Clock), Have: map[string]int64{}, Outputs: []store.Output{},
		Fault: faulty(q.Health), Site: q.Health.Area, Local: q.Local,
	}
	for _, h := range q.Have {
		r.Have[haveKey(h.Kind, h.Scope)] = h.Version
	}
	for _, o := range q.Health.Outputs {
		area := o.Area
		if area == "" {
			area = q.Health.Area
		}
		r.Outputs = append(r.Outputs, store.Output{Name: o.Name, Area: area, Residents: o.Residents})
	}
	r.Health, err = json.Marshal(q.Health)
	return r, err
}

func haveKey(k link.Kind, s playlist.Scope) string {
	return strings.TrimSpace(string(k) + " " + string(s))
}

// Recover takes back a document that this county has lost, having been
// restored from a backup. It is in force again, and what is issued next stands
// above it. What was issued here since, under a lower version or the same one,
// is the later word and goes out again above it.
func (e *edge) Recover(ctx context.Context, d link.Document) error {
	e.recovering.Lock() // a whole fleet may show it at once
	defer e.recovering.Unlock()
	ours, err := e.documents.current(ctx, d.Kind, d.Scope)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if ours.Version > d.Version {
		return nil // another controller showed it before, or we have issued more without it
	}
	same := ours.Version == d.Version
	if same && ours.Digest == d.Digest && d.Kind == link.KindManifest {
		return nil
	}
	if !same {
		lost := store.Envelope{Kind: d.Kind, Scope: d.Scope, Version: d.Version, Digest: d.Digest, Bytes: d.Raw, Note: "recovered"}
		if err := e.documents.AddEnvelope(ctx, lost); err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	switch d.Kind {
	case link.KindTrust:
		return e.documents.settle(ctx)
	case link.KindAlerts:
		// An alert that controllers hold in force must not be cancelled because this
		// county has lost it.
		if err := e.alerts.adopt(ctx, *d.Alerts); err != nil {
			return err
		}
		return e.lenient(e.orders.issue(ctx, d.Scope))
	case link.KindMember:
		return e.lenient(e.members.issue(ctx, d.Member.Controller))
	case link.KindManifest:
		return e.programmes.restore(ctx, d, ours)
	}
	return nil
}
