package county

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// fault is an error that a person reads and a caller decides on.
type fault struct {
	is  error
	msg say.Message
}

func (f fault) Error() string        { return f.msg.Error() }
func (f fault) Unwrap() error        { return f.msg }
func (f fault) Is(target error) bool { return errors.Is(f.is, target) }

func invalid(key string, args ...any) error { return fault{playlist.ErrInvalid, say.M(key, args...)} }

// NewCode is what an operator says of a controller that is to enrol.
type NewCode struct {
	Controller playlist.ControllerID `json:"controller,omitempty"` // empty: one is made of the area
	Name       string                `json:"name,omitempty"`       // empty: what the controller calls its site
	Area       playlist.Area         `json:"area"`
	Groups     []string              `json:"groups,omitempty"`
	Approve    bool                  `json:"approve,omitempty"` // the code alone is approval enough
}

// MadeCode is a code to be told to whoever enrols the controller.
type MadeCode struct {
	Code       string                `json:"code"`
	Controller playlist.ControllerID `json:"controller"`
	Expires    time.Time             `json:"expires"`
}

// AddCode makes a one-time enrolment code.
func (c *County) AddCode(ctx context.Context, n NewCode) (MadeCode, error) {
	if err := c.ours(n.Area, n.Groups); err != nil {
		return MadeCode{}, err
	}
	if n.Controller == "" {
		for i := 1; ; i++ {
			n.Controller = playlist.ControllerID(fmt.Sprintf("%s-%d", n.Area, i))
			_, err := c.Store.Controller(ctx, n.Controller)
			taken, cerr := c.promised(ctx, n.Controller)
			if cerr != nil {
				return MadeCode{}, cerr
			}
			if errors.Is(err, store.ErrNotFound) && !taken {
				break
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return MadeCode{}, err
			}
		}
	}
	if !playlist.IsToken(string(n.Controller)) {
		return MadeCode{}, invalid("county.no_token", n.Controller)
	}
	text, code := link.NewCode(c.now())
	err := c.Store.AddCode(ctx, store.Code{
		ID: code.ID, Secret: code.Secret, Controller: n.Controller, Name: n.Name, Area: n.Area, Groups: n.Groups, Approve: n.Approve, Expires: code.Expires,
	})
	if errors.Is(err, store.ErrConflict) {
		return MadeCode{}, fault{store.ErrConflict, say.M("county.controller_there", string(n.Controller))}
	}
	return MadeCode{Code: text, Controller: n.Controller, Expires: code.Expires}, err
}

// promised reports whether a code waits for a controller of that name.
func (c *County) promised(ctx context.Context, id playlist.ControllerID) (bool, error) {
	codes, err := c.Store.Codes(ctx)
	for _, k := range codes {
		if k.Controller == id {
			return true, err
		}
	}
	return false, err
}

// ours reports what is wrong with an area and groups for a controller of this
// county.
func (c *County) ours(area playlist.Area, groups []string) error {
	if _, err := playlist.ParseArea(string(area)); err != nil {
		return invalid("county.bad_area", string(area))
	}
	if !area.Within(c.Area) {
		return invalid("county.not_ours", string(area), string(c.Area))
	}
	for _, g := range groups {
		if !playlist.IsToken(g) {
			return invalid("county.no_token", g)
		}
	}
	return nil
}

// EnrolCode finds a code for [link.EnrolHandler].
func (e Edge) EnrolCode(ctx context.Context, id string) (link.Code, error) {
	k, err := e.C.Store.Code(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return link.Code{}, link.ErrCode
	}
	return link.Code{ID: k.ID, Secret: k.Secret, Expires: k.Expires}, err
}

// Enrol notes who came with a code and answers how that stands.
func (e Edge) Enrol(ctx context.Context, code link.Code, _ time.Time, r link.EnrolRequest) (link.Decision, error) {
	c := e.C
	k, err := c.Store.UseCode(ctx, code.ID, store.Controller{
		Name: r.Site, Key: r.Key.String(), Fingerprint: r.Key.Fingerprint(), User: r.User, Version: r.Program,
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return link.Decision{}, link.ErrCodeUsed
	case errors.Is(err, store.ErrNotFound):
		return link.Decision{}, link.ErrCode
	case err != nil:
		return link.Decision{}, err
	}
	switch {
	case k.Key != r.Key.String():
		return link.Decision{State: link.EnrolRefused, Reason: "another controller has this name now"}, nil
	case k.State == store.Pending:
		return link.Decision{State: link.EnrolPending}, nil
	case k.State != store.Active:
		return link.Decision{State: link.EnrolRefused, Reason: string(k.State)}, nil
	}
	if err := c.renew(ctx, k.ID); err != nil {
		return link.Decision{}, err
	}
	trust, err := c.Store.Envelope(ctx, link.KindTrust, "", 0)
	if err != nil {
		return link.Decision{}, err
	}
	member, err := c.Store.Envelope(ctx, link.KindMember, playlist.ControllerScope(k.ID), 0)
	return link.Decision{State: link.EnrolGranted, Trust: trust.Bytes, Member: member.Bytes}, err
}

// Approve takes a controller in that has come with its code. One that was
// revoked is not taken in again so: the broker refuses the login it has.
func (c *County) Approve(ctx context.Context, id playlist.ControllerID) error {
	return c.change(ctx, id, func(k *store.Controller) error {
		switch k.State {
		case store.Active, store.Pending:
			k.State = store.Active
			return nil
		}
		return invalid("county.not_pending", string(id), say.M("county.state_"+string(k.State)))
	})
}

// Move gives a controller another name, area or groups; what is nil stays.
func (c *County) Move(ctx context.Context, id playlist.ControllerID, name *string, area *playlist.Area, groups *[]string) error {
	return c.change(ctx, id, func(k *store.Controller) error {
		if name != nil {
			k.Name = *name
		}
		if area != nil {
			k.Area = *area
		}
		if groups != nil {
			k.Groups = *groups
		}
		return c.ours(k.Area, k.Groups)
	})
}

// change changes what a controller is, and tells it where that is news to it.
func (c *County) change(ctx context.Context, id playlist.ControllerID, f func(*store.Controller) error) error {
	if _, err := c.Store.ChangeController(ctx, id, f); err != nil {
		return unknown(err, id)
	}
	return c.tellMember(ctx, id, c.untold)
}

// Retire lets a controller go for good. What the county sent it goes out of
// force there, and its line is closed; receipts that it still holds can come
// on a stick.
func (c *County) Retire(ctx context.Context, id playlist.ControllerID) error {
	if _, err := c.Store.ChangeController(ctx, id, to(store.Retired)); err != nil {
		return unknown(err, id)
	}
	return c.issueMember(ctx, id)
}

// Revoke shuts out a controller whose key is in other hands: it is answered
// nothing any more, and the broker no longer lets it in.
func (c *County) Revoke(ctx context.Context, id playlist.ControllerID) error {
	k, err := c.Store.ChangeController(ctx, id, to(store.Disabled))
	if err != nil {
		return unknown(err, id)
	}
	if k.User == "" {
		return nil
	}
	if err := c.Store.Revoke(ctx, k.User, c.now()); err != nil {
		return err
	}
	return c.pushAccount(ctx)
}

func to(s store.State) func(*store.Controller) error {
	return func(k *store.Controller) error {
		k.State = s
		return nil
	}
}

// login is the broker's account of this county's controllers as it was last
// given to the broker.
type login struct {
	sync.Mutex
	pushed map[string]time.Time // who was revoked in it; nil: not yet
}

// pushAccount gives the broker the county's account where it does not have it
// as the store says who is revoked. Each replica has an account of its own; by
// the store none takes back what another has revoked.
func (c *County) pushAccount(ctx context.Context) error {
	if c.PushAccount == nil || c.Authority == nil {
		return nil
	}
	c.login.Lock()
	defer c.login.Unlock()
	if c.login.pushed == nil {
		if err := c.recollect(ctx); err != nil {
			return err
		}
	}
	for {
		revoked, err := c.Store.Revoked(ctx)
		if err != nil || maps.Equal(revoked, c.login.pushed) || len(revoked) == 0 {
			return err
		}
		if err := c.Authority.RevokeSince(revoked); err != nil {
			return err
		}
		if err := c.PushAccount(ctx, c.Authority); err != nil {
			return err
		}
		c.login.pushed = revoked // another may have pushed between; the store says so by now
	}
}

// recollect brings the store what was revoked before it kept that.
func (c *County) recollect(ctx context.Context) error {
	known, err := c.Store.Revoked(ctx)
	if err != nil {
		return err
	}
	missing, err := c.Authority.Revoked()
	if err != nil {
		return err
	}
	disabled, err := c.Store.Fleet(ctx, store.FleetQuery{State: store.Disabled})
	if err != nil {
		return err
	}
	for _, k := range disabled {
		if _, ok := missing[k.User]; !ok && k.User != "" {
			missing[k.User] = c.now()
		}
	}
	for user, at := range missing {
		if _, ok := known[user]; ok {
			continue
		}
		if err := c.Store.Revoke(ctx, user, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *County) find(ctx context.Context, id playlist.ControllerID) (store.Controller, error) {
	k, err := c.Store.Controller(ctx, id)
	return k, unknown(err, id)
}

// unknown puts into words that there is no such controller.
func unknown(err error, id playlist.ControllerID) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault{store.ErrNotFound, say.M("county.no_controller", string(id))}
	}
	return err
}

// Online reports whether a controller was seen lately.
func (c *County) Online(k store.Controller) bool {
	return !k.Seen.IsZero() && c.now().Sub(k.Seen) < Online
}

// who are the controllers of a scope that are active.
func (c *County) who(ctx context.Context, scope playlist.Scope) ([]store.Controller, error) {
	fleet, err := c.Store.Fleet(ctx, store.FleetQuery{State: store.Active})
	var all []store.Controller
	for _, k := range fleet {
		if k.Follower().Follows(scope) {
			all = append(all, k)
		}
	}
	return all, err
}

// plain is a name without what would break a line.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }
