package county

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// controllerFinder finds a controller of the fleet.
type controllerFinder interface {
	Controller(ctx context.Context, id playlist.ControllerID) (store.Controller, error)
}

// members issues member documents: who a controller is, what it follows, and
// how it reaches the county.
type members struct {
	base
	store     controllerFinder
	documents *documents
	logins    *logins
	authority *link.Authority
	key       link.Signer
	servers   []string
	clipURLs  []string
	ca        string

	mu   sync.Mutex
	told map[playlist.ControllerID]string // [basis] of what each controller was last told
}

// basis is what of a controller its member document depends on.
func basis(k store.Controller) string {
	return fmt.Sprint(k.State, k.User, followed(follower(k)), understands(k, link.MemberCounty))
}

// follower is the controller as its member document describes it: without what its
// program does not understand.
func follower(k store.Controller) playlist.Follower {
	f := k.Follower()
	if !understands(k, link.MemberHears) {
		f.Hears = nil
	}
	return f
}

// countyOf is the name of the county in a controller's member document.
func (m *members) countyOf(k store.Controller) string {
	if !understands(k, link.MemberCounty) {
		return ""
	}
	return m.name
}

func followed(f playlist.Follower) string {
	sorted := func(all []playlist.Area) []playlist.Area { return slices.Sorted(slices.Values(all)) }
	return fmt.Sprint(f.Areas[:min(1, len(f.Areas))], sorted(f.Areas), slices.Sorted(slices.Values(f.Groups)), sorted(f.Hears))
}

// outdated reports whether an active controller has no member document that
// says what it should.
func (m *members) outdated(ctx context.Context, k store.Controller) (bool, error) {
	if k.State != store.Active {
		return false, nil
	}
	e, err := m.documents.current(ctx, link.KindMember, playlist.ControllerScope(k.ID))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	t, err := m.documents.trust(ctx)
	if err != nil {
		return false, err
	}
	d, err := link.Open(e.Bytes, t)
	if err != nil {
		return true, nil // signed by a key that no longer has the role
	}
	held := d.Member
	return held.Retired || held.User() != k.User || followed(held.Follower()) != followed(follower(k)) ||
		held.County != m.countyOf(k) || !slices.Equal(held.Servers, m.servers) || !slices.Equal(held.Clips, m.clipURLs) || held.CA != m.ca, nil
}

// renew issues a controller's member document again if the one in force no
// longer says what it should.
func (m *members) renew(ctx context.Context, id playlist.ControllerID) error {
	k, err := m.store.Controller(ctx, id)
	if err != nil || k.State != store.Active {
		return err
	}
	m.mu.Lock()
	told := m.told[id]
	m.mu.Unlock()
	if told == basis(k) {
		return nil
	}
	needed, err := m.outdated(ctx, k)
	if err != nil {
		return err
	}
	if !needed { // another replica issued it
		m.remember(k)
		return nil
	}
	return m.issueIf(ctx, id, m.outdated)
}

func (m *members) remember(k store.Controller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told[k.ID] = basis(k)
}

// issue issues a controller's member document, whatever it was told before.
func (m *members) issue(ctx context.Context, id playlist.ControllerID) error {
	return m.issueIf(ctx, id, func(context.Context, store.Controller) (bool, error) { return true, nil })
}

// update issues a controller's member document if it is outdated.
func (m *members) update(ctx context.Context, id playlist.ControllerID) error {
	return m.issueIf(ctx, id, m.outdated)
}

// errNotNeeded ends the issue of a document that would say nothing new.
var errNotNeeded = errors.New("it is told already")

// issueIf issues a controller's member document if it is needed, by the
// controller as the store has it at that moment.
func (m *members) issueIf(ctx context.Context, id playlist.ControllerID, needed func(context.Context, store.Controller) (bool, error)) error {
	k, err := m.store.Controller(ctx, id)
	if err == nil && k.State == store.Active {
		err = m.logins.outlast(ctx, k.User)
	}
	if err != nil {
		return err
	}
	_, err = m.documents.issue(ctx, link.KindMember, playlist.ControllerScope(id), func(v int64) (e link.Envelope, note string, err error) {
		if k, err = m.store.Controller(ctx, id); err != nil {
			return e, "", err
		}
		if yes, err := needed(ctx, k); err != nil || !yes {
			return e, "", cmp.Or(err, errNotNeeded)
		}
		e, err = m.seal(k, v)
		return e, "", err
	})
	if err != nil && !errors.Is(err, errNotNeeded) {
		return err
	}
	m.remember(k)
	return nil
}

func (m *members) seal(k store.Controller, version int64) (link.Envelope, error) {
	f := follower(k)
	jwt, err := m.authority.Controller(f, k.User, time.Time{})
	if err != nil {
		return link.Envelope{}, err
	}
	return link.SealMember(link.Member{
		Controller: k.ID, Version: version, Issued: m.now(), Areas: f.Areas, Groups: f.Groups, Hears: f.Hears, County: m.countyOf(k), Retired: k.State == store.Retired,
		JWT: jwt, Servers: m.servers, Clips: m.clipURLs, CA: m.ca,
	}, m.key)
}
