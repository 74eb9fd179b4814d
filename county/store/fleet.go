package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/link"
	"dalaba/playlist"
)

// State is what a controller is to its county.
type State string

// The states of a controller.
const (
	Pending  State = "pending"  // enrolled, not yet approved
	Active   State = "active"   // one of ours
	Disabled State = "disabled" // revoked: it gets no answer to anything
	Retired  State = "retired"  // gone for good; its log is kept
)

// Controller is one controller as the county knows it.
type Controller struct {
	ID          playlist.ControllerID `json:"id"`
	Name        string                `json:"name"`
	Area        playlist.Area         `json:"area"`
	Groups      []string              `json:"groups,omitempty"`
	Key         string                `json:"key,omitempty"` // its public key
	Fingerprint string                `json:"fingerprint,omitempty"`
	User        string                `json:"broker_user,omitempty"`
	State       State                 `json:"state"`
	Made        time.Time             `json:"made"`
	Seen        time.Time             `json:"seen,omitzero"` // last sync
	Version     string                `json:"version,omitempty"`
	Have        map[string]int64      `json:"have,omitempty"` // "kind scope" -> version, as it last said
	Health      json.RawMessage       `json:"health,omitempty"`
	Unsent      int64                 `json:"unsent"` // receipts it still holds
	Clock       string                `json:"clock,omitempty"`
	Fault       bool                  `json:"fault"`               // its health names something a person must mend
	SiteArea    playlist.Area         `json:"site_area,omitempty"` // by its own config, as it last said
	Said        Said                  `json:"said,omitzero"`       // when it asked to be enrolled
	Outputs     []Output              `json:"outputs,omitempty"`
}

// Said is what a controller said of itself when it asked to be enrolled.
type Said struct {
	Site      string          `json:"site,omitempty"`
	Areas     []playlist.Area `json:"areas,omitempty"` // of its outputs
	Outputs   int             `json:"outputs,omitempty"`
	Residents int             `json:"residents,omitempty"` // in earshot of all outputs
}

// Output is a loudspeaker zone as its controller names it.
type Output struct {
	ID         int64                 `json:"-"`
	Controller playlist.ControllerID `json:"-"`
	Name       string                `json:"name"`
	Area       playlist.Area         `json:"area"`
	Residents  int                   `json:"residents"`
	Gone       bool                  `json:"gone,omitempty"` // its controller no longer lists it
}

// Follower is the controller as scopes see it. It follows the area that its county gave
// it, with those of its outputs that lie within, and the alerts of all other areas in
// which it may be: see [playlist.Whereabouts].
func (c Controller) Follower() playlist.Follower {
	f := playlist.Follower{ID: c.ID, Areas: []playlist.Area{c.Area}, Groups: c.Groups}
	follow := func(list *[]playlist.Area, a playlist.Area) {
		if !slices.Contains(f.Areas, a) && !slices.Contains(f.Hears, a) && len(f.Areas)+len(f.Hears) < playlist.MaxAreas {
			*list = append(*list, a)
		}
	}
	where := c.Places()
	for _, w := range where {
		if !w.Astray() {
			follow(&f.Areas, w.Airs())
		}
	}
	for _, w := range where {
		for _, a := range w.Hears() {
			follow(&f.Hears, a)
		}
	}
	return f
}

// Places returns the places of the controller's outputs; if none are known, that of the
// area that the county gave it.
func (c Controller) Places() (all []playlist.Whereabouts) {
	for _, o := range c.Outputs {
		if !o.Gone {
			all = append(all, c.PlaceOf(o))
		}
	}
	if len(all) > 0 {
		return all
	}
	return []playlist.Whereabouts{{Output: c.Area, Member: c.Area}}
}

// PlaceOf is where one of the outputs is.
func (c Controller) PlaceOf(o Output) playlist.Whereabouts {
	return playlist.Whereabouts{Output: o.Area, Site: c.SiteArea, Member: c.Area}
}

// Astray lists the areas in which the controller's own config has its outputs, and that
// lie outside of the one that the county gave it.
func (c Controller) Astray() (all []playlist.Area) {
	for _, w := range c.Places() {
		if w.Astray() && !slices.Contains(all, w.Output) {
			all = append(all, w.Output)
		}
	}
	return all
}

// Residents are those in earshot of the controller's outputs.
func (c Controller) Residents() int {
	n := 0
	for _, o := range c.Outputs {
		if !o.Gone {
			n += o.Residents
		}
	}
	return n
}

// addController takes a controller into the fleet. Its ID must be new, or that
// of one that is retired or still pending: [ErrConflict] otherwise.
func (s *Store) addController(ctx context.Context, tx conn, c Controller) error {
	groups, err := json.Marshal(append([]string{}, c.Groups...))
	if err != nil {
		return err
	}
	said, err := json.Marshal(c.Said)
	if err != nil {
		return err
	}
	n, err := tx.change(ctx, `INSERT INTO controller (id, name, area, groups, public_key, fingerprint, state, made, changed, broker_user,
		site_area, said, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, area = excluded.area, groups = excluded.groups,
		public_key = excluded.public_key, fingerprint = excluded.fingerprint, state = excluded.state, changed = excluded.changed,
		broker_user = excluded.broker_user, health = '{}', have = '{}', seen = NULL, site_area = excluded.site_area, said = excluded.said,
		version = excluded.version WHERE controller.state IN ('pending', 'retired')`,
		string(c.ID), clean(c.Name), string(c.Area), string(groups), clean(c.Key), clean(c.Fingerprint), string(c.State), s.now().UnixMicro(),
		clean(c.User), string(c.SiteArea), clean(string(said)), clean(c.Version))
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: controller %s", ErrConflict, c.ID)
	}
	if err != nil {
		return err
	}
	if c.Outputs == nil {
		c.Outputs = c.unnamed()
	}
	return setOutputs(ctx, tx, c.ID, c.Outputs)
}

// unnamedMark begins the names of outputs of which it is known only that they are there.
const unnamedMark = "?"

// unnamed makes outputs of what a controller of release 0.1 says of itself when it
// enrols, with all residents at the first. Its first sync names them.
func (c Controller) unnamed() (all []Output) {
	for i := range min(c.Said.Outputs, playlist.MaxAreas) {
		o := Output{Name: fmt.Sprint(unnamedMark, i+1), Area: c.Area}
		if i == 0 {
			o.Residents = c.Said.Residents
		}
		if n := len(c.Said.Areas); n > 0 {
			o.Area = c.Said.Areas[min(i, n-1)]
		}
		all = append(all, o)
	}
	return all
}

// ChangeController has f change the name, the area, the groups and the state of
// a controller as they are now, while no other writer does, and returns it as f
// left it. If f returns an error, nothing is changed. f may not call the store. One that
// becomes active takes over the receipts of its ID, whatever key sent them.
func (s *Store) ChangeController(ctx context.Context, id playlist.ControllerID, f func(*Controller) error) (k Controller, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		if k, err = controller(ctx, tx, id); err != nil {
			return err
		}
		was := k.State
		if err := f(&k); err != nil {
			return err
		}
		groups, err := json.Marshal(append([]string{}, k.Groups...))
		if err != nil {
			return err
		}
		err = tx.exec(ctx, "UPDATE controller SET name = ?2, area = ?3, groups = ?4, state = ?5, changed = ?6 WHERE id = ?1",
			string(id), clean(k.Name), string(k.Area), string(groups), string(k.State), s.now().UnixMicro())
		if err != nil || was == Active || k.State != Active {
			return err
		}
		return takeEpochs(ctx, tx, id)
	})
	return k, err
}

// Sharing lists the other active controllers that have the key of one.
func (s *Store) Sharing(ctx context.Context, k Controller) ([]playlist.ControllerID, error) {
	return sharing(ctx, s.read(), k.ID, k.Key)
}

// SharedKeys lists, by key, the active controllers that have one, if there are several or
// a pending one has it too.
func (s *Store) SharedKeys(ctx context.Context) (map[string][]playlist.ControllerID, error) {
	all := map[string][]playlist.ControllerID{}
	err := s.read().each(ctx, `SELECT public_key, id FROM controller WHERE state = 'active' AND public_key IN
		(SELECT public_key FROM controller WHERE public_key != '' AND state IN ('active', 'pending') GROUP BY public_key HAVING count(*) > 1)
		ORDER BY id`, nil, func(scan func(...any) error) error {
		var key string
		var id playlist.ControllerID
		err := scan(&key, &id)
		all[key] = append(all[key], id)
		return err
	})
	return all, err
}

func sharing(ctx context.Context, from conn, id playlist.ControllerID, key string) (all []playlist.ControllerID, err error) {
	if key == "" {
		return nil, nil
	}
	err = from.each(ctx, "SELECT id FROM controller WHERE public_key = ?1 AND id != ?2 AND state = 'active' ORDER BY id", []any{clean(key), string(id)},
		func(scan func(...any) error) error {
			var other playlist.ControllerID
			err := scan(&other)
			all = append(all, other)
			return err
		})
	return all, err
}

// takeEpochs gives the epochs of a controller to the key that it has now.
func takeEpochs(ctx context.Context, tx conn, id playlist.ControllerID) error {
	return tx.exec(ctx, "UPDATE epoch SET public_key = (SELECT public_key FROM controller WHERE id = ?1) WHERE controller = ?1", string(id))
}

// revokedUser is before a broker user in the key of the setting that says since
// when its logins are revoked.
const revokedUser = "revoked "

// Revoke notes that a broker's user is revoked: logins made until then are
// worth nothing. An earlier instant does not take a later one's place.
func (s *Store) Revoke(ctx context.Context, user string, at time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error { return raise(ctx, tx, revokedUser+user, at.Unix()) })
}

// Revoked are all broker users that were ever revoked, with the instant up to
// which they are.
func (s *Store) Revoked(ctx context.Context) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	err := s.read().each(ctx, "SELECT key, value FROM setting WHERE key LIKE '"+revokedUser+"%'", nil, func(scan func(...any) error) error {
		var key, value string
		var at int64
		if err := scan(&key, &value); err != nil {
			return err
		}
		_, err := fmt.Sscan(value, &at)
		all[strings.TrimPrefix(key, revokedUser)] = time.Unix(at, 0).UTC()
		return err
	})
	return all, err
}

// Report is what a controller says of itself when it syncs.
type Report struct {
	Version string
	Have    map[string]int64
	Health  json.RawMessage
	Unsent  int64
	Clock   string
	Fault   bool
	Site    playlist.Area // of the site
	Outputs []Output      // nil: it did not say

	Local json.RawMessage // a [playlist.Local]; empty: as it said before
}

// Seen records a sync.
func (s *Store) Seen(ctx context.Context, id playlist.ControllerID, r Report) error {
	have, err := json.Marshal(r.Have)
	if err != nil {
		return err
	}
	health := "{}"
	if len(r.Health) > 0 && json.Valid(r.Health) {
		health = clean(string(r.Health))
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		n, err := tx.change(ctx, `UPDATE controller SET seen = ?2, version = ?3, have = ?4, health = ?5, unsent = ?6, clock = ?7, fault = ?8,
			site_area = ?9, local = CASE WHEN ?10 = '' THEN local ELSE ?10 END WHERE id = ?1`, string(id), s.now().UnixMicro(), clean(r.Version), string(have), health, r.Unsent, clean(r.Clock),
			flag(r.Fault), clean(string(r.Site)), clean(string(r.Local)))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: controller %s", ErrNotFound, id)
		}
		if err != nil || r.Outputs == nil {
			return err
		}
		return setOutputs(ctx, tx, id, r.Outputs)
	})
}

// Locals returns what the sites of controllers have of their own. One that has not told is
// not among them.
func (s *Store) Locals(ctx context.Context) (map[playlist.ControllerID]playlist.Local, error) {
	all := map[playlist.ControllerID]playlist.Local{}
	err := s.read().each(ctx, "SELECT id, local FROM controller WHERE local <> ''", nil, func(scan func(...any) error) error {
		var id playlist.ControllerID
		var text string
		if err := scan(&id, &text); err != nil {
			return err
		}
		var l playlist.Local
		if json.Unmarshal([]byte(text), &l) == nil { // else it is a later program's
			all[id] = l
		}
		return nil
	})
	return all, err
}

// setOutputs makes the list of a controller's outputs be the one given.
func setOutputs(ctx context.Context, tx conn, id playlist.ControllerID, outputs []Output) error {
	if outputs == nil {
		return nil
	}
	was, err := loadOutputs(ctx, tx, " WHERE controller = ?1", string(id))
	if err != nil {
		return err
	}
	for _, o := range outputs {
		i := slices.IndexFunc(was, func(w Output) bool { return w.Name == clean(o.Name) })
		if i >= 0 && was[i].Area == o.Area && was[i].Residents == o.Residents && !was[i].Gone {
			continue
		}
		err := tx.exec(ctx, `INSERT INTO output (controller, name, area, residents, gone) VALUES (?1, ?2, ?3, ?4, 0)
			ON CONFLICT (controller, name) DO UPDATE SET area = excluded.area, residents = excluded.residents, gone = 0`,
			string(id), clean(o.Name), string(o.Area), int64(o.Residents))
		if err != nil {
			return err
		}
	}
	for _, w := range was {
		if !w.Gone && !slices.ContainsFunc(outputs, func(o Output) bool { return clean(o.Name) == w.Name }) {
			if err := tx.exec(ctx, "UPDATE output SET gone = 1 WHERE id = ?1", w.ID); err != nil {
				return err
			}
			if !strings.HasPrefix(w.Name, unnamedMark) {
				continue
			}
			// Those that have names by now tell what aired.
			if err := tx.exec(ctx, "DELETE FROM silence WHERE output = ?1", w.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func loadOutputs(ctx context.Context, c conn, where string, args ...any) (all []Output, err error) {
	err = c.each(ctx, "SELECT id, controller, name, area, residents, gone FROM output"+where, args, func(scan func(...any) error) error {
		var o Output
		var gone int64
		if err := scan(&o.ID, &o.Controller, &o.Name, &o.Area, &o.Residents, &gone); err != nil {
			return err
		}
		o.Gone = gone != 0
		all = append(all, o)
		return nil
	})
	return all, err
}

// FleetQuery narrows [Store.Fleet]; the zero value names all but the retired.
type FleetQuery struct {
	Area  playlist.Area
	Group string
	State State
	IDs   []playlist.ControllerID
}

const controllerColumns = `SELECT id, name, area, groups, public_key, fingerprint, state, made, seen, version, have, health,
	unsent, clock, fault, broker_user, site_area, said FROM controller`

func scanController(scan func(...any) error) (c Controller, err error) {
	var (
		groups, have, health, said string
		made, seen                 sql.NullInt64
		fault                      int64
	)
	err = scan(&c.ID, &c.Name, &c.Area, &groups, &c.Key, &c.Fingerprint, &c.State, &made, &seen, &c.Version, &have, &health,
		&c.Unsent, &c.Clock, &fault, &c.User, &c.SiteArea, &said)
	if err != nil {
		return c, err
	}
	c.Made, c.Seen, c.Fault, c.Health = instant(made), instant(seen), fault != 0, json.RawMessage(health)
	return c, errors.Join(json.Unmarshal([]byte(groups), &c.Groups), json.Unmarshal([]byte(have), &c.Have), json.Unmarshal([]byte(said), &c.Said))
}

// Fleet is the controllers that the query names, by area and ID, with their
// outputs.
func (s *Store) Fleet(ctx context.Context, q FleetQuery) ([]Controller, error) {
	var (
		all  []Controller
		at   = map[playlist.ControllerID]int{}
		want = map[playlist.ControllerID]bool{}
	)
	for _, id := range q.IDs {
		want[id] = true
	}
	c := s.read()
	outputs := map[playlist.ControllerID][]Output{}
	list, err := loadOutputs(ctx, c, " ORDER BY controller, id")
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		outputs[o.Controller] = append(outputs[o.Controller], o)
	}
	err = c.each(ctx, controllerColumns+` WHERE (?1 = '' AND state != 'retired' OR state = ?1) ORDER BY area, id`,
		[]any{string(q.State)}, func(scan func(...any) error) error {
			k, err := scanController(scan)
			if err != nil {
				return err
			}
			k.Outputs = outputs[k.ID]
			switch {
			case len(want) > 0 && !want[k.ID]:
			case q.Group != "" && !slices.Contains(k.Groups, q.Group):
			case q.Area != "" && !k.Follower().Follows(playlist.AreaScope(q.Area)):
			default:
				at[k.ID] = len(all)
				all = append(all, k)
			}
			return nil
		})
	return all, err
}

// Controller finds one controller.
func (s *Store) Controller(ctx context.Context, id playlist.ControllerID) (Controller, error) {
	return controller(ctx, s.read(), id)
}

func controller(ctx context.Context, from conn, id playlist.ControllerID) (Controller, error) {
	c, err := scanController(from.row(ctx, controllerColumns+" WHERE id = ?1", string(id)).Scan)
	if err != nil {
		return c, found(err, "controller", id)
	}
	c.Outputs, err = loadOutputs(ctx, from, " WHERE controller = ?1 ORDER BY id", string(id))
	return c, err
}

// Code is a one-time enrolment code and what the controller that brings it becomes.
type Code struct {
	ID         string                `json:"-"` // derived from the code, and no secret
	Secret     []byte                `json:"-"` // derived from the code
	Controller playlist.ControllerID `json:"controller"`
	Name       string                `json:"name,omitempty"`
	Area       playlist.Area         `json:"area"`
	Groups     []string              `json:"groups,omitempty"`
	Approve    bool                  `json:"approve"` // it alone is approval enough
	Made       time.Time             `json:"made"`
	Expires    time.Time             `json:"expires"`
}

// AddCode keeps a code for a controller that is new, retired or still pending:
// [ErrConflict] otherwise.
func (s *Store) AddCode(ctx context.Context, c Code) error {
	groups, err := json.Marshal(append([]string{}, c.Groups...))
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		var state string
		err := tx.row(ctx, "SELECT state FROM controller WHERE id = ?1", string(c.Controller)).Scan(&state)
		switch {
		case err == nil && state != string(Pending) && state != string(Retired):
			return fmt.Errorf("%w: controller %s is %s", ErrConflict, c.Controller, state)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		return tx.exec(ctx, `INSERT INTO code (id, secret, controller, name, area, groups, approve, made, expires)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`, c.ID, c.Secret, string(c.Controller), clean(c.Name), string(c.Area),
			string(groups), flag(c.Approve), s.now().UnixMicro(), c.Expires.UnixMicro())
	})
}

const codeColumns = "SELECT id, secret, controller, name, area, groups, approve, made, expires FROM code "

func scanCode(scan func(...any) error) (c Code, err error) {
	var (
		groups                 string
		approve, made, expires int64
	)
	if err := scan(&c.ID, &c.Secret, &c.Controller, &c.Name, &c.Area, &groups, &approve, &made, &expires); err != nil {
		return c, err
	}
	c.Approve, c.Made, c.Expires = approve != 0, time.UnixMicro(made).UTC(), time.UnixMicro(expires).UTC()
	return c, json.Unmarshal([]byte(groups), &c.Groups)
}

// Code finds a code, used or not.
func (s *Store) Code(ctx context.Context, id string) (Code, error) {
	c, err := scanCode(s.read().row(ctx, codeColumns+"WHERE id = ?1", id).Scan)
	return c, found(err, "code", id)
}

// UseCode spends a code on a key and takes the controller in, in one
// transaction. The first key to come has the code: another is [ErrConflict],
// and one that never came before its expiry [ErrNotFound]. The same key may
// come as often as it likes. UseCode returns the controller as it is then: pending, unless
// the code alone is approval enough and no other active controller has the key. One that is
// active takes over the receipts of its ID, whatever key sent them.
func (s *Store) UseCode(ctx context.Context, id string, who Controller) (Controller, error) {
	err := s.write(ctx, func(ctx context.Context, tx conn) error {
		c, err := scanCode(tx.row(ctx, codeColumns+"WHERE id = ?1", id).Scan)
		if err != nil {
			return found(err, "code", id)
		}
		var key string
		if err := tx.row(ctx, "SELECT public_key FROM code WHERE id = ?1", id).Scan(&key); err != nil {
			return err
		}
		who.ID = c.Controller
		switch {
		case key == who.Key:
			return nil
		case key != "":
			return fmt.Errorf("%w: code of %s", ErrConflict, c.Controller)
		case !s.now().Before(c.Expires):
			return fmt.Errorf("%w: code of %s: it has expired", ErrNotFound, c.Controller)
		}
		who.Area, who.Groups, who.State = c.Area, c.Groups, Pending
		if c.Name != "" {
			who.Name = c.Name
		}
		sharing, err := sharing(ctx, tx, who.ID, who.Key)
		if err != nil {
			return err
		}
		if c.Approve && len(sharing) == 0 && len(who.Astray()) == 0 { // else a person is to look at it
			who.State = Active
		}
		if err := s.addController(ctx, tx, who); err != nil {
			return err
		}
		if who.State == Active {
			if err := takeEpochs(ctx, tx, who.ID); err != nil {
				return err
			}
		}
		return tx.exec(ctx, "UPDATE code SET used = ?2, public_key = ?3 WHERE id = ?1", id, s.now().UnixMicro(), who.Key)
	})
	if err != nil {
		return Controller{}, err
	}
	return s.Controller(ctx, who.ID)
}

// Codes are the codes not yet used and not expired.
func (s *Store) Codes(ctx context.Context) (all []Code, err error) {
	err = s.read().each(ctx, codeColumns+"WHERE used IS NULL AND expires > ?1 ORDER BY expires, controller",
		[]any{s.now().UnixMicro()}, func(scan func(...any) error) error {
			c, err := scanCode(scan)
			all = append(all, c)
			return err
		})
	return all, err
}

// Event is a [link.Event] as the county keeps it.
type Event struct {
	Controller playlist.ControllerID `json:"controller"`
	At         time.Time             `json:"at"`
	Level      int                   `json:"level"` // as log/slog counts
	Message    string                `json:"message"`
	Attrs      json.RawMessage       `json:"attrs,omitempty"`
	Boot       string                `json:"boot,omitempty"`
	MonoMS     int64                 `json:"mono_ms,omitempty"` // since that boot
	Number     int64                 `json:"number"`            // the controller's own; with Boot and MonoMS it names the event
}

// mostEvents is how many events of one controller are kept.
const mostEvents = 5000

// AddEvents keeps events of a controller, each once; the oldest make room.
func (s *Store) AddEvents(ctx context.Context, id playlist.ControllerID, events []link.Event) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		for _, e := range events {
			attrs, err := json.Marshal(e.Attrs)
			if err != nil {
				return err
			}
			err = tx.exec(ctx, `INSERT INTO event (controller, at, level, message, attrs, boot, mono_ms, number)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (controller, number, boot, mono_ms) DO NOTHING`,
				string(id), e.At.UnixMicro(), int64(e.Level), clean(e.Message), clean(string(attrs)), clean(e.Boot), e.MonoMS, e.ID)
			if err != nil {
				return err
			}
		}
		return tx.exec(ctx, `DELETE FROM event WHERE controller = ?1 AND id < (SELECT id FROM event WHERE controller = ?1
			ORDER BY id DESC LIMIT 1 OFFSET ?2)`, string(id), int64(mostEvents))
	})
}

// Events are the latest events of a controller, oldest first.
func (s *Store) Events(ctx context.Context, id playlist.ControllerID, limit int) (all []Event, err error) {
	err = s.read().each(ctx, `SELECT at, level, message, attrs, boot, mono_ms, number FROM event WHERE controller = ?1 ORDER BY id DESC LIMIT ?2`,
		[]any{string(id), int64(limit)}, func(scan func(...any) error) error {
			var (
				e     = Event{Controller: id}
				at    int64
				attrs string
			)
			if err := scan(&at, &e.Level, &e.Message, &attrs, &e.Boot, &e.MonoMS, &e.Number); err != nil {
				return err
			}
			e.At, e.Attrs = time.UnixMicro(at).UTC(), json.RawMessage(attrs)
			all = append(all, e)
			return nil
		})
	slices.Reverse(all)
	return all, err
}
