package county

import (
	"context"
	"maps"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// loginStore keeps which users of the broker are revoked.
type loginStore interface {
	Revoke(ctx context.Context, user string, at time.Time) error
	Revoked(ctx context.Context) (map[string]time.Time, error)
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	Sharing(ctx context.Context, k store.Controller) ([]playlist.ControllerID, error)
}

// logins is the broker's account of this county's controllers.
type logins struct {
	base
	store     loginStore
	authority *link.Authority
	push      func(context.Context, *link.Authority) error

	mu     sync.Mutex
	pushed map[string]time.Time // the users revoked in the account that the broker has; nil: not known yet
}

// revoke revokes a user of the broker.
func (l *logins) revoke(ctx context.Context, user string) error {
	if err := l.store.Revoke(ctx, user, l.now()); err != nil {
		return err
	}
	return l.pushAccount(ctx)
}

// outlast waits until a login that is made now for a user of the broker is later than
// those that are revoked. The broker compares whole seconds, so that a box that is enrolled
// again within a second of its revocation would be shut out for good.
func (l *logins) outlast(ctx context.Context, user string) error {
	revoked, err := l.store.Revoked(ctx)
	at, ok := revoked[user]
	left := time.Until(at.Add(time.Second))
	if err != nil || !ok || left <= 0 || left > time.Second { // more: the clock was set back, and waiting does not help
		return err
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pushAccount gives the broker the county's account, unless the one that the
// broker has revokes all users that the store says are revoked. Each replica has
// an account of its own; because they all go by the store, none takes back what
// another has revoked.
func (l *logins) pushAccount(ctx context.Context) error {
	if l.push == nil || l.authority == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pushed == nil {
		if err := l.collect(ctx); err != nil {
			return err
		}
	}
	for {
		revoked, err := l.store.Revoked(ctx)
		if err != nil || maps.Equal(revoked, l.pushed) || len(revoked) == 0 {
			return err
		}
		if err := l.authority.RevokeSince(revoked); err != nil {
			return err
		}
		if err := l.push(ctx, l.authority); err != nil {
			return err
		}
		l.pushed = revoked // another replica may have pushed meanwhile: the store shows it in the next turn
	}
}

// collect adds to the store what was revoked before the store kept that.
func (l *logins) collect(ctx context.Context) error {
	known, err := l.store.Revoked(ctx)
	if err != nil {
		return err
	}
	missing, err := l.authority.Revoked()
	if err != nil {
		return err
	}
	disabled, err := l.store.Fleet(ctx, store.FleetQuery{State: store.Disabled})
	if err != nil {
		return err
	}
	for _, k := range disabled {
		others, err := l.store.Sharing(ctx, k)
		if err != nil {
			return err
		}
		if len(others) > 0 { // their login is the same
			continue
		}
		if _, ok := missing[k.User]; !ok && k.User != "" {
			missing[k.User] = l.now()
		}
	}
	for user, at := range missing {
		if _, ok := known[user]; ok {
			continue
		}
		if err := l.store.Revoke(ctx, user, at); err != nil {
			return err
		}
	}
	return nil
}
