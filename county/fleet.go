package county

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// fleetStore keeps the controllers and what they told.
type fleetStore interface {
	controllerFinder
	ChangeController(ctx context.Context, id playlist.ControllerID, f func(*store.Controller) error) (store.Controller, error)
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	SharedKeys(ctx context.Context) (map[string][]playlist.ControllerID, error)
	Sharing(ctx context.Context, k store.Controller) ([]playlist.ControllerID, error)
	Events(ctx context.Context, id playlist.ControllerID, limit int) ([]store.Event, error)
	Rows(ctx context.Context, q store.RowQuery) ([]store.RowOf, error)
}

// fleet is the controllers of the county.
type fleet struct {
	base
	store   fleetStore
	members *members
	logins  *logins
}

// ours reports what is wrong with an area and groups for a controller of this
// county.
func (b base) ours(area playlist.Area, groups []string) error {
	if _, err := playlist.ParseArea(string(area)); err != nil {
		return invalid("county.bad_area", string(area))
	}
	if !area.Within(b.area) {
		return invalid("county.not_ours", string(area), string(b.area))
	}
	for _, g := range groups {
		if !playlist.IsToken(g) {
			return invalid("county.no_token", g)
		}
	}
	return nil
}

// Approval is what a person has seen and agrees to when a controller is approved.
type Approval struct {
	Replace bool `json:"replace,omitempty"` // the other controllers with the same key are retired
	Anyway  bool `json:"anyway,omitempty"`  // its own config has it elsewhere
}

// approve admits a controller that has come with its code. One that was revoked
// is not admitted again this way: the broker refuses the login it has.
func (f *fleet) approve(ctx context.Context, id playlist.ControllerID, a Approval) error {
	k, err := f.find(ctx, id)
	if err != nil {
		return err
	}
	others, err := f.store.Sharing(ctx, k)
	if err != nil {
		return err
	}
	if len(others) > 0 && !a.Replace {
		return fault{store.ErrConflict, say.M("county.key_in_use", string(id), Joined(others))}
	}
	err = f.change(ctx, id, func(k *store.Controller) error {
		switch {
		case k.State != store.Active && k.State != store.Pending:
			return invalid("county.not_pending", string(id), say.M("county.state_"+string(k.State)))
		case !a.Anyway:
			if err := astray(*k); err != nil {
				return err
			}
		}
		k.State = store.Active
		return nil
	})
	for _, other := range others {
		if err == nil {
			err = f.retire(ctx, other)
		}
	}
	return err
}

// astray refuses a controller whose own config has it outside of the area that the county
// gives it.
func astray(k store.Controller) error {
	if elsewhere := k.Astray(); len(elsewhere) > 0 {
		return invalid("county.astray", string(k.ID), Joined(elsewhere), string(k.Area))
	}
	return nil
}

// Joined lists names for people.
func Joined[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// Moved is what changes of a controller; what is null stays.
type Moved struct {
	Name   *string        `json:"name"`
	Area   *playlist.Area `json:"area"`
	Groups *[]string      `json:"groups"`
	Anyway bool           `json:"anyway,omitempty"` // even if its own config has it elsewhere
}

// move gives a controller another name, area or groups.
func (f *fleet) move(ctx context.Context, id playlist.ControllerID, m Moved) error {
	return f.change(ctx, id, func(k *store.Controller) error {
		was := k.Area
		if m.Name != nil {
			k.Name = *m.Name
		}
		if m.Area != nil {
			k.Area = *m.Area
		}
		if m.Groups != nil {
			k.Groups = *m.Groups
		}
		if err := f.ours(k.Area, k.Groups); err != nil || m.Anyway || k.Area == was {
			return err
		}
		return astray(*k)
	})
}

// change changes what a controller is, and tells it if that is news to it.
func (f *fleet) change(ctx context.Context, id playlist.ControllerID, do func(*store.Controller) error) error {
	if _, err := f.store.ChangeController(ctx, id, do); err != nil {
		return unknown(err, id)
	}
	return f.members.update(ctx, id)
}

// retire dismisses a controller for good. What the county sent it goes out of
// force there, and its connection is closed; receipts that it still holds can
// come on a stick.
func (f *fleet) retire(ctx context.Context, id playlist.ControllerID) error {
	if _, err := f.store.ChangeController(ctx, id, to(store.Retired)); err != nil {
		return unknown(err, id)
	}
	return f.members.issue(ctx, id)
}

// revoke shuts out a controller whose key is in other hands: the county no
// longer replies to it, and the broker no longer admits it.
func (f *fleet) revoke(ctx context.Context, id playlist.ControllerID) error {
	k, err := f.store.ChangeController(ctx, id, to(store.Disabled))
	if err != nil {
		return unknown(err, id)
	}
	others, err := f.store.Sharing(ctx, k)
	if err != nil || k.User == "" {
		return err
	}
	if len(others) > 0 { // their login is the same
		f.log.Warn("login of a revoked controller is not revoked: others have the same key", "controller", id, "others", Joined(others))
		return nil
	}
	return f.logins.revoke(ctx, k.User)
}

func to(s store.State) func(*store.Controller) error {
	return func(k *store.Controller) error {
		k.State = s
		return nil
	}
}

func (f *fleet) find(ctx context.Context, id playlist.ControllerID) (store.Controller, error) {
	k, err := f.store.Controller(ctx, id)
	return k, unknown(err, id)
}

// unknown puts into words that there is no such controller.
func unknown(err error, id playlist.ControllerID) error {
	return missing(err, "county.no_controller", string(id))
}

// active lists the controllers that are part of the county.
func (f *fleet) active(ctx context.Context) ([]store.Controller, error) {
	return f.store.Fleet(ctx, store.FleetQuery{State: store.Active})
}

// followers lists the active controllers that follow a scope.
func (f *fleet) followers(ctx context.Context, scope playlist.Scope) (all []store.Controller, err error) {
	active, err := f.active(ctx)
	for _, k := range active {
		if k.Follower().Follows(scope) {
			all = append(all, k)
		}
	}
	return all, err
}

// Reaches is whom something is for.
type Reaches struct {
	Controllers int             `json:"controllers"`
	Online      int             `json:"online"`
	Outputs     int             `json:"outputs"`
	Residents   int             `json:"residents"`
	Areas       []playlist.Area `json:"areas"`
	Names       []string        `json:"names"` // of the controllers
}

// reaches sums up controllers and their outputs.
func (b base) reaches(list []store.Controller) Reaches {
	r := Reaches{Areas: []playlist.Area{}, Names: []string{}}
	for _, k := range list {
		r.Controllers++
		r.Names = append(r.Names, cmp.Or(k.Name, string(k.ID)))
		if b.online(k) {
			r.Online++
		}
		if !slices.Contains(r.Areas, k.Area) {
			r.Areas = append(r.Areas, k.Area)
		}
		for _, o := range k.Outputs {
			if !o.Gone {
				r.Outputs++
				r.Residents += o.Residents
			}
		}
	}
	return r
}

// health is what a controller last told of itself.
func health(k store.Controller) (h link.Health, err error) {
	if len(k.Health) == 0 {
		return h, nil
	}
	return h, json.Unmarshal(k.Health, &h)
}

// faulty reports whether a controller says of itself that a person must come.
func faulty(h link.Health) bool {
	return h.Store != "" && h.Store != "ok" ||
		slices.ContainsFunc(h.Outputs, func(o link.OutputHealth) bool { return o.State != "" && o.State != "ok" })
}

// Status is how a controller of the fleet is, for people.
type Status struct {
	store.Controller
	Online bool                    `json:"online"`
	Faults []string                `json:"faults"`               // what a person must mend
	Astray []playlist.Area         `json:"astray,omitempty"`     // where its own config has it, outside of the area that we gave it
	Deaf   bool                    `json:"deaf,omitempty"`       // it is astray, and its program does not hear alerts for that area
	Shares []playlist.ControllerID `json:"shares_key,omitempty"` // other active controllers with its key
}

// ill reports whether a person must mend something.
func (s Status) ill() bool { return len(s.Faults) > 0 || len(s.Astray) > 0 || len(s.Shares) > 0 }

// list tells how each controller that the query names is. silent narrows that
// to active ones that are not online, faulty to those with faults.
func (f *fleet) list(ctx context.Context, q store.FleetQuery, silent, faulty bool) ([]Status, error) {
	list, err := f.store.Fleet(ctx, q)
	if err != nil {
		return nil, err
	}
	keys, err := f.store.SharedKeys(ctx)
	if err != nil {
		return nil, err
	}
	all := []Status{}
	for _, k := range list {
		s := Status{Controller: k, Online: f.online(k)}
		if k.State == store.Active || k.State == store.Pending {
			s.Astray = k.Astray()
			s.Deaf = len(s.Astray) > 0 && !k.Seen.IsZero() && !understands(k, link.MemberHears)
			s.Shares = slices.DeleteFunc(slices.Clone(keys[k.Key]), func(id playlist.ControllerID) bool { return id == k.ID })
		}
		h, err := health(k)
		if err != nil {
			return nil, err
		}
		s.Faults = faultsOf(h)
		if silent && (s.Online || k.State != store.Active) || faulty && !s.ill() {
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

// faultsOf lists what a person must mend at a controller.
func faultsOf(h link.Health) []string {
	all := []string{}
	if h.Store != "" && h.Store != "ok" {
		all = append(all, "store: "+h.Store)
	}
	for _, o := range h.Outputs {
		if o.State != "" && o.State != "ok" {
			all = append(all, o.Name+": "+o.State)
		}
	}
	for _, p := range h.Progress {
		if !p.Active && p.Why != "" && p.Why != "not_before" { // to wait for its day is no fault
			all = append(all, string(p.Scope)+": "+p.Why)
		}
	}
	return all
}

// LogLine is an event of a controller or a row of its as-run log.
type LogLine struct {
	At    time.Time    `json:"at"`
	Event *store.Event `json:"event,omitempty"`
	Row   *asrun.Row   `json:"row,omitempty"`
}

// history lists the latest that a controller told, events and rows, in order of
// time.
func (f *fleet) history(ctx context.Context, id playlist.ControllerID, limit int) ([]LogLine, error) {
	if _, err := f.find(ctx, id); err != nil {
		return nil, err
	}
	events, err := f.store.Events(ctx, id, limit)
	rows, rerr := f.store.Rows(ctx, store.RowQuery{Controller: id, Limit: limit})
	if err = errors.Join(err, rerr); err != nil {
		return nil, err
	}
	all := []LogLine{}
	for _, e := range events {
		all = append(all, LogLine{At: e.At, Event: &e})
	}
	for _, r := range rows {
		at := r.Due
		if !r.Ended.IsZero() {
			at = r.Ended
		}
		all = append(all, LogLine{At: at, Row: &r.Row})
	}
	slices.SortStableFunc(all, func(a, b LogLine) int { return a.At.Compare(b.At) })
	if len(all) > limit {
		all = all[len(all)-limit:]
	}
	return all, nil
}
