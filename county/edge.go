package county

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// Edge is the county as [link.Edge] asks it.
type Edge struct{ C *County }

// Registered finds a controller. Whoever is not approved yet is as good as
// disabled. A retired one may still hear that it is, and hand in on a stick
// what it holds.
func (e Edge) Registered(ctx context.Context, id playlist.ControllerID) (link.Registered, error) {
	k, err := e.C.Store.Controller(ctx, id)
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
func (e Edge) Trust(ctx context.Context) (link.Trust, error) { return e.C.trust(ctx) }

// Versions are the documents in force for a follower.
func (e Edge) Versions(ctx context.Context, who playlist.Follower) ([]link.Have, error) {
	list, err := e.C.Store.InForce(ctx, append(link.FollowedScopes(who), ""))
	all := make([]link.Have, 0, len(list))
	for _, v := range list {
		all = append(all, link.Have{Kind: v.Kind, Scope: v.Scope, Version: v.Version, Digest: v.Digest})
	}
	return all, err
}

// Envelope is one of those.
func (e Edge) Envelope(ctx context.Context, h link.Have) ([]byte, error) {
	v, err := e.C.Store.Envelope(ctx, h.Kind, h.Scope, h.Version)
	return v.Bytes, err
}

// Marks are how far the county has the receipts of these epochs.
func (e Edge) Marks(ctx context.Context, id playlist.ControllerID, epochs []string) ([]link.Mark, error) {
	all := make([]link.Mark, 0, len(epochs))
	for _, name := range epochs {
		seq, err := e.C.Store.Mark(ctx, id, name)
		if err != nil {
			return nil, err
		}
		all = append(all, link.Mark{Epoch: name, Seq: seq})
	}
	return all, nil
}

// Commit stores a batch and answers the mark.
func (e Edge) Commit(ctx context.Context, b link.Batch) (link.Mark, error) {
	seq, err := e.C.Store.AddReceipts(ctx, b)
	if err == nil {
		e.C.heard(b)
	}
	return link.Mark{Epoch: b.Epoch, Seq: seq}, err
}

// Seen notes what a controller told.
func (e Edge) Seen(ctx context.Context, s link.Seen) error {
	q := s.Request
	r := store.Report{
		Version: q.Health.Program, Unsent: int64(q.Health.Unsent), Clock: string(q.Clock), Have: map[string]int64{}, Outputs: []store.Output{},
		Fault: faulty(q.Health),
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
	var err error
	if r.Health, err = json.Marshal(q.Health); err != nil {
		return err
	}
	if err := e.C.Store.Seen(ctx, q.Controller, r); err != nil {
		return err
	}
	if err := e.C.Store.Delivered(ctx, q.Controller, e.C.alertsOf(q)); err != nil {
		return err
	}
	if len(q.Events) > 0 {
		if err := e.C.Store.AddEvents(ctx, q.Controller, q.Events); err != nil {
			return err
		}
	}
	return e.C.renew(ctx, q.Controller)
}

func haveKey(k link.Kind, s playlist.Scope) string {
	return strings.TrimSpace(string(k) + " " + string(s))
}

// faulty reports whether a controller says of itself that a person must come.
func faulty(h link.Health) bool {
	return h.Store != "" && h.Store != "ok" ||
		slices.ContainsFunc(h.Outputs, func(o link.OutputHealth) bool { return o.State != "" && o.State != "ok" })
}

// Recover takes back a document that this county has lost, having been
// restored from a backup. It is in force again, and what is issued next stands
// above it. What was issued here since, under a lower version or the same one,
// is the later word and goes out again above it.
func (e Edge) Recover(ctx context.Context, d link.Document) error {
	c := e.C
	c.recovering.Lock() // a whole fleet may show it at once
	defer c.recovering.Unlock()
	kind := d.Kind
	ours, err := c.Store.Envelope(ctx, kind, d.Scope, 0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if ours.Version > d.Version {
		return nil // somebody showed it before, or we have got beyond it without
	}
	same := ours.Version == d.Version
	if same && ours.Digest == d.Digest && d.Kind == link.KindManifest {
		return nil
	}
	if !same {
		lost := store.Envelope{Kind: kind, Scope: d.Scope, Version: d.Version, Digest: d.Digest, Bytes: d.Raw, Note: "recovered"}
		if err := c.Store.AddEnvelope(ctx, lost); err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	if err := c.Store.RaiseVersion(ctx, kind, d.Scope, d.Version); err != nil {
		return err
	}
	switch d.Kind {
	case link.KindAlerts:
		// What they hold in force must not be cancelled by our not knowing of it.
		if err := c.adopt(ctx, *d.Alerts); err != nil {
			return err
		}
		return c.issueAlerts(ctx, d.Scope)
	case link.KindMember:
		return c.issueMember(ctx, d.Member.Controller)
	case link.KindManifest:
		if !same {
			if ours.Version == 0 {
				return nil
			}
			m, err := manifestOf(ours)
			if err != nil {
				return err
			}
			if !m.Issued.After(d.Issued) {
				return nil
			}
		}
		m, err := c.Earlier(ctx, d.Scope, ours.Version)
		if err == nil {
			_, err = c.sign(ctx, m, d.Version+1)
		}
		if err != nil && !errors.Is(err, store.ErrStale) { // stale: somebody has pushed meanwhile
			c.Log.Error("manifest must be pushed again: controllers hold a later version", "scope", d.Scope, "version", d.Version, "err", err)
		}
	}
	return nil
}

// members remembers what each controller was told of itself.
type members struct {
	sync.Mutex
	told map[playlist.ControllerID]string
}

// standing is what a controller's member document depends on.
func standing(k store.Controller) string {
	return fmt.Sprint(k.State, k.User, followed(k.Follower()))
}

func followed(f playlist.Follower) string {
	return fmt.Sprint(slices.Sorted(slices.Values(f.Areas)), slices.Sorted(slices.Values(f.Groups)))
}

// untold reports whether a controller in force has not been told what it
// should: nothing was as yet, or something has changed.
func (c *County) untold(ctx context.Context, k store.Controller) (bool, error) {
	if k.State != store.Active {
		return false, nil
	}
	e, err := c.Store.Envelope(ctx, link.KindMember, playlist.ControllerScope(k.ID), 0)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	t, err := c.trust(ctx)
	if err != nil {
		return false, err
	}
	d, err := link.Open(e.Bytes, t)
	if err != nil {
		return true, nil // signed by a key that counts no longer
	}
	m := d.Member
	return m.Retired || m.User() != k.User || followed(m.Follower()) != followed(k.Follower()) ||
		!slices.Equal(m.Servers, c.Servers) || !slices.Equal(m.Clips, c.ClipURLs) || m.CA != c.CA, nil
}

// renew issues a controller's member document anew where it no longer says
// what it should.
func (c *County) renew(ctx context.Context, id playlist.ControllerID) error {
	k, err := c.Store.Controller(ctx, id)
	if err != nil || k.State != store.Active {
		return err
	}
	c.members.Lock()
	told := c.members.told[id]
	c.members.Unlock()
	if told == standing(k) {
		return nil
	}
	needed, err := c.untold(ctx, k)
	if err != nil {
		return err
	}
	if !needed { // another replica told it
		c.remember(k)
		return nil
	}
	return c.tellMember(ctx, id, c.untold)
}

func (c *County) remember(k store.Controller) {
	c.members.Lock()
	defer c.members.Unlock()
	if c.members.told == nil {
		c.members.told = map[playlist.ControllerID]string{}
	}
	c.members.told[k.ID] = standing(k)
}

// issueMember tells a controller who it is and how it gets here.
func (c *County) issueMember(ctx context.Context, id playlist.ControllerID) error {
	return c.tellMember(ctx, id, func(context.Context, store.Controller) (bool, error) { return true, nil })
}

// errTold ends the issue of a document that says nothing new.
var errTold = errors.New("it is told already")

// tellMember issues a controller's member document where, as the controller
// stands by then, there is need.
func (c *County) tellMember(ctx context.Context, id playlist.ControllerID, needed func(context.Context, store.Controller) (bool, error)) error {
	var k store.Controller
	_, err := c.issue(ctx, link.KindMember, playlist.ControllerScope(id), func(v int64) (e link.Envelope, note string, err error) {
		if k, err = c.Store.Controller(ctx, id); err != nil {
			return e, "", err
		}
		if yes, err := needed(ctx, k); err != nil || !yes {
			return e, "", cmp.Or(err, errTold)
		}
		f := k.Follower()
		jwt, err := c.Authority.Controller(f, k.User, time.Time{})
		if err != nil {
			return e, "", err
		}
		e, err = link.SealMember(link.Member{
			Controller: id, Version: v, Issued: c.now(), Areas: f.Areas, Groups: f.Groups, Retired: k.State == store.Retired,
			JWT: jwt, Servers: c.Servers, Clips: c.ClipURLs, CA: c.CA,
		}, c.Keys.Fleet)
		return e, "", err
	})
	if err != nil && !errors.Is(err, errTold) {
		return err
	}
	c.remember(k)
	return nil
}
