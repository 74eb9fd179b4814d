package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// The sources of what the county itself says.
const (
	// FromLink is the source of an alert that a controller had, and the county had
	// lost. Its counter was spent when it first came.
	FromLink = "link"

	// FromHand is the source of what an operator of the county wrote or handed in.
	FromHand = "hand"
)

// Alert is an emergency message as the county remembers it.
type Alert struct {
	emergency.Alert
	Received time.Time       `json:"received"`
	Changed  time.Time       `json:"changed"`
	Source   string          `json:"source"` // ebd, cap, feed, hand or [FromLink]
	State    emergency.State `json:"state"`
	Why      string          `json:"why,omitempty"`
	Detail   AlertDetail     `json:"detail"`
	Raw      []byte          `json:"-"`
	Ends     time.Time       `json:"ends,omitzero"` // when it is over
	Owed     time.Time       `json:"owed,omitzero"` // when its sender is to be told again; zero: it knows

	// Held is until when it waits for a person, in [emergency.StateReview].
	Held time.Time `json:"held,omitzero"`
}

// Ordered is when the alert was ordered to sound: when it was released, if it waited for
// a person, else when it came.
func (a Alert) Ordered() time.Time {
	if a.Detail.Released.IsZero() {
		return a.Received
	}
	return a.Detail.Released
}

// Proof is how well it is proven who sent the message, which was accepted.
func (a Alert) Proof() emergency.Proof {
	return emergency.ProofOf(a.Signature, a.Source == FromHand || a.Source == FromLink)
}

// TellAgain is how long after news of an alert its sender is told them once
// more, if it did not acknowledge them.
const TellAgain = 30 * time.Second

// Owe notes news of an alert that its sender is to be told.
func (a *Alert) Owe(news Told) {
	a.Detail.Told = news
	if a.Detail.EBD != nil {
		a.Owed = news.At.Add(TellAgain)
	}
}

// AlertDetail is what the county adds to a message.
type AlertDetail struct {
	Scopes []playlist.Scope `json:"scopes,omitempty"`  // to which it is issued
	Clip   *playlist.Clip   `json:"clip,omitempty"`    // the air clip made of it
	Spoken bool             `json:"spoken,omitempty"`  // the clip was made of its text
	NoClip string           `json:"no_clip,omitempty"` // why its own sound is not used
	EBD    *EBDOrigin       `json:"ebd,omitempty"`     // the sender to report to
	By     playlist.AlertID `json:"by,omitempty"`      // the message that retired it
	Told   Told             `json:"told,omitzero"`
	Late   bool             `json:"late,omitempty"` // its time was over when it came, and yet it sounds

	// Rank is the highest of the alerts whose place it took, as an update does.
	Rank playlist.Rank `json:"rank,omitempty"`

	// Spared are alerts in force that the message refers to and may not end.
	Spared []playlist.AlertID `json:"spared,omitempty"`

	First    string `json:"first,omitempty"`    // the user who ordered it by hand
	Second   bool   `json:"second,omitempty"`   // it sounds only if another user confirms it
	Declined string `json:"declined,omitempty"` // why a person refused to have it sounded
	Decider  string `json:"decider,omitempty"`  // the user who released or declined it; empty: none, its wait had ended

	// Released is when it was ordered to sound, having waited for a person.
	Released time.Time `json:"released,omitzero"`
}

// EBDOrigin is the sender of an EBM, which is to be told how it went.
type EBDOrigin struct {
	EBDID string `json:"ebd_id"`
	From  string `json:"from"` // EBRID
	URL   string `json:"url,omitempty"`
}

// Told is the figures of an alert that its sender was last told.
type Told struct {
	At        time.Time `json:"at"`
	Started   int       `json:"started"`   // outputs
	Completed int       `json:"completed"` // outputs

	State emergency.State `json:"state,omitempty"` // 0.1 does not keep it
}

// AddAlert decides about a message that came in, by the facts given and what
// the store knows of it (its counter, and what has retired it), and keeps it,
// with those it is for if it is to sound. One that is known is [ErrConflict],
// unless it was refused and now is not, or is better proven and says something
// else: then it takes the place of that copy, which a stranger may have sent in its
// name. If it says the same, it is a conflict too, but its better proof is kept.
// The counter of its signature is spent. What it refers to, if it is an update or a
// cancel that may, is retired whether or not it has come. AddAlert returns the
// message as it is kept, and the alerts in force that it ended, with the copy whose
// place it took.
//
// All of that is done or nothing: if the county dies over it, the message can
// come again.
func (s *Store) AddAlert(ctx context.Context, a Alert, f emergency.Facts, targets []Target) (kept Alert, ended []Alert, err error) {
	var same error
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		d, err := s.decided(ctx, tx, a, f, s.spendCounter)
		if err != nil {
			return err
		}
		if kept, same, ended = d.Alert, nil, nil; d.same {
			same = fmt.Errorf("%w: alert %s", ErrConflict, a.ID)
			return s.insertAlert(ctx, tx, kept)
		}
		if err := s.insertAlert(ctx, tx, kept); err != nil {
			return err
		}
		if err := pruneDoubted(ctx, tx, kept); err != nil {
			return err
		}
		if kept.State != emergency.StateReview { // what it refers to sounds on until then
			ended, err = s.retire(ctx, tx, kept, f.Retirers)
		}
		if err != nil {
			return err
		}
		if d.was != nil {
			ended = append(ended, *d.was)
		}
		if kept.State.Over() || kept.State == emergency.StateReview {
			return nil
		}
		return addTargets(ctx, tx, kept.ID, targets)
	})
	return kept, ended, errors.Join(err, same)
}

// EndReview has decide change an alert that waits for a person as [Store.ChangeAlert]
// does, and retires what it refers to, if it now may. If it does not wait any more, the
// error is [ErrConflict].
func (s *Store) EndReview(ctx context.Context, id playlist.AlertID, retirers []string, targets []Target, decide func(*Alert) error) (kept Alert, ended []Alert, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		a, err := scanAlert(tx.row(ctx, alertColumns+"WHERE id = ?1", clean(string(id))).Scan)
		if err != nil {
			return found(err, "alert", id)
		}
		if kept, ended = a, nil; a.State != emergency.StateReview {
			return fmt.Errorf("%w: alert %s does not wait", ErrConflict, id)
		}
		if err := decide(&kept); err != nil {
			return err
		}
		if err := s.setAlert(ctx, tx, kept); err != nil {
			return err
		}
		if ended, err = s.retire(ctx, tx, kept, retirers); err != nil || kept.State.Over() {
			return err
		}
		return addTargets(ctx, tx, id, targets)
	})
	return kept, ended, err
}

// WeighAlert returns a message as [Store.AddAlert] would keep it, or its
// error, and changes nothing.
func (s *Store) WeighAlert(ctx context.Context, a Alert, f emergency.Facts) (Alert, error) {
	d, err := s.decided(ctx, s.read(), a, f, s.seeCounter)
	if err == nil && d.same {
		err = fmt.Errorf("%w: alert %s", ErrConflict, a.ID)
	}
	return d.Alert, err
}

// decision is a message with what was decided about it.
type decision struct {
	Alert
	same bool   // it is a better proven copy of what is kept, and says the same: nothing but its proof is new
	was  *Alert // a copy in force whose place it takes
}

// decided decides about a message. counter is called with the counter of its
// signature, if that counts.
func (s *Store) decided(ctx context.Context, tx conn, a Alert, f emergency.Facts, counter func(context.Context, conn, emergency.Signature) error) (decision, error) {
	known, err := alertsOf(ctx, tx, "WHERE id = ?1", clean(string(a.ID)))
	if err != nil {
		return decision{Alert: a}, err
	}
	retired, err := s.retiredBy(ctx, tx, a, f.Retirers)
	if err != nil {
		return decision{Alert: a}, err
	}
	if retired != nil {
		f.Retired = retired.Kind.Ending()
	}
	state, reason := emergency.Decide(a.Alert, f)
	conflict := fmt.Errorf("%w: alert %s", ErrConflict, a.ID)
	spent := false // the counter, by this very message
	if len(known) > 0 {
		old := known[0]
		if state == emergency.StateRefused || old.stands(a) {
			return decision{Alert: a}, conflict
		}
		sig := old.Signature
		sig.Key = cmp.Or(sig.Key, a.Signature.Key) // the program one version back did not keep it
		spent = old.retires() && sig == a.Signature
	}
	sig := a.Signature
	counts := !f.Vouched && sig.State == emergency.SignatureVerified && (sig.Key != "" || sig.Counter > 0) // CAP has no counters
	if counts && !spent && (state != emergency.StateRefused || a.Retires(state, reason)) {
		err := counter(ctx, tx, sig)
		if errors.Is(err, ErrStale) {
			if len(known) > 0 {
				return decision{Alert: a}, conflict
			}
			f.Replayed = true
			state, reason = emergency.Decide(a.Alert, f)
		} else if err != nil {
			return decision{Alert: a}, err
		}
	}
	a.State, a.Why = state, string(reason)
	if state != emergency.StateReview {
		a.Held = time.Time{}
	}
	if state == emergency.StateRefused {
		a.Raw = nil // anyone can send it
		if reason == emergency.ReasonSignature || reason == emergency.ReasonUnsigned {
			a.Alert = a.Simplified(emergency.Steps)
		}
	}
	if state == emergency.StateCancelled {
		a.Detail.By = retired.ID
	}
	if state.Over() {
		a.Detail.Scopes = nil
	}
	if len(known) > 0 {
		return a.inPlaceOf(known[0]), nil
	}
	return decision{Alert: a}, nil
}

// stands reports whether what was decided about a message holds against a copy of it: if
// it was not refused, or a person refused it, against one that is proven no better.
func (a Alert) stands(against Alert) bool {
	decided := a.State != emergency.StateRefused || a.Why == string(emergency.ReasonDeclined)
	return decided && against.Proof() <= a.Proof()
}

// inPlaceOf is the decision about a copy of a message that is kept. If it says the
// same, it goes on where that stands, unless that was retired by what may not end
// this one, or only this one is.
func (a Alert) inPlaceOf(old Alert) (d decision) {
	retired := a.State == emergency.StateCancelled || old.State == emergency.StateCancelled
	if old.State != emergency.StateRefused && !retired && a.Same(old.Alert, false) {
		old.Alert, old.Source, old.Raw = a.Alert, a.Source, a.Raw
		return decision{Alert: old, same: true}
	}
	d.Alert = a
	if !old.State.Over() {
		d.was = &old
	}
	return d
}

// retiredBy returns the message that ends an alert; nil if there is none.
func (s *Store) retiredBy(ctx context.Context, tx conn, a Alert, authorities []string) (*Alert, error) {
	ids := []any{clean(string(a.ID)), clean(string(a.ID.Timeless()))}
	noted, err := alertsOf(ctx, tx, `WHERE id IN (SELECT by FROM retirement WHERE id IN (?1, ?2))
		ORDER BY id IN (SELECT by FROM retired_alert WHERE id IN (?1, ?2)) DESC, received, id`, ids...)
	if err != nil {
		return nil, err
	}
	for _, by := range noted {
		if by.MayEnd(by.Proof(), a.Alert, a.Proof(), authorities) {
			return &by, nil
		}
	}
	// What an earlier program has noted.
	before, err := alertsOf(ctx, tx, `WHERE id IN (SELECT by FROM retired_alert WHERE id IN (?1, ?2)
		AND NOT EXISTS (SELECT 1 FROM retirement WHERE retirement.id = retired_alert.id AND retirement.by = retired_alert.by)) ORDER BY received, id`, ids...)
	for _, by := range before {
		if by.MayRetire(a.Alert) {
			return &by, nil
		}
	}
	return nil, err
}

// retires reports whether a message, as it was kept, ends what it names.
func (a Alert) retires() bool { return a.Retires(a.State, emergency.Reason(a.Why)) }

func (s *Store) insertAlert(ctx context.Context, tx conn, a Alert) error {
	message, err := json.Marshal(a.Alert)
	if err != nil {
		return err
	}
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return err
	}
	return tx.exec(ctx, `INSERT INTO alert (id, received, changed, source, state, why, message, detail, raw, ends, held)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET received = excluded.received, changed = excluded.changed,
		source = excluded.source, state = excluded.state, why = excluded.why, message = excluded.message, detail = excluded.detail,
		raw = excluded.raw, ends = excluded.ends, held = excluded.held`,
		clean(string(a.ID)), a.Received.UnixMicro(), s.now().UnixMicro(), a.Source, a.kept(), clean(a.Why),
		clean(string(message)), clean(string(detail)), append([]byte{}, a.Raw...), micros(a.Ends), micros(a.Held))
}

// kept is the state as the store has it. An alert that waits for a person is kept as one
// that is to sound: so the program one version back takes it, which knows of no such wait.
func (a Alert) kept() string {
	if a.State == emergency.StateReview {
		return string(emergency.StateWaiting)
	}
	return string(a.State)
}

// named is an alert that a message names, and the message by whose right it ends.
type named struct {
	id playlist.AlertID
	by Alert
}

// retire ends what an update or a cancel names, and notes what it may not. An update that it
// ends while that waits for a person would have ended others: those end with it.
func (s *Store) retire(ctx context.Context, tx conn, a Alert, authorities []string) (ended []Alert, err error) {
	if !a.retires() {
		return nil, nil
	}
	again := "NOTHING"
	if a.RetiresAll() {
		again = "UPDATE SET by = excluded.by" // who named it before may not have been in earnest
	}
	open, err := s.open(ctx, tx, alertsOpen)
	if err != nil {
		return nil, err
	}
	var refs []named
	for _, ref := range a.Refs {
		refs = append(refs, named{ref, a})
	}
	for i := 0; i < len(refs); i++ {
		ref, by := refs[i].id, refs[i].by
		if ref == "" {
			continue
		}
		err := tx.exec(ctx, "INSERT INTO retired_alert (id, by, at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO "+again,
			clean(string(ref)), clean(string(a.ID)), s.now().UnixMicro())
		if err != nil {
			return nil, err
		}
		err = tx.exec(ctx, "INSERT INTO retirement (id, by, at) VALUES (?1, ?2, ?3) ON CONFLICT (id, by) DO NOTHING",
			clean(string(ref)), clean(string(a.ID)), s.now().UnixMicro())
		if err != nil {
			return nil, err
		}
		for _, old := range open {
			if old.ID == a.ID || !ref.Means(old.ID) || slices.ContainsFunc(ended, func(e Alert) bool { return e.ID == old.ID }) {
				continue
			}
			if !by.MayEnd(by.Proof(), old.Alert, old.Proof(), authorities) {
				a.Detail.Spared = append(a.Detail.Spared, old.ID)
				continue
			}
			if old.State == emergency.StateReview && old.Kind == emergency.KindUpdate {
				for _, further := range old.Refs {
					refs = append(refs, named{further, old})
				}
			}
			if a.Kind == emergency.KindUpdate {
				a.Detail.Rank = max(a.Detail.Rank, old.Precedence(old.Detail.Rank, old.Received).Rank)
			}
			old.State, old.Why, old.Detail.By, old.Held = emergency.StateCancelled, string(a.Kind.Ending()), a.ID, time.Time{}
			news := old.Detail.Told
			news.At = a.Received
			old.Owe(news)
			if err := s.setAlert(ctx, tx, old); err != nil {
				return nil, err
			}
			ended = append(ended, old)
		}
	}
	if len(a.Detail.Spared) == 0 && a.Detail.Rank == 0 {
		return ended, nil
	}
	return ended, s.setAlert(ctx, tx, a)
}

// mostDoubted is how many messages that were not believed are kept: anyone can send
// them, and they serve to find out why a sender is not heard.
const mostDoubted = 1000

// pruneDoubted deletes messages that were not believed, the oldest first, if the one
// that was just kept is one too many.
func pruneDoubted(ctx context.Context, tx conn, kept Alert) error {
	if kept.State != emergency.StateRefused {
		return nil
	}
	const doubted = "FROM alert WHERE state = 'refused' AND why IN (?1, ?2)"
	args := []any{string(emergency.ReasonSignature), string(emergency.ReasonUnsigned), int64(mostDoubted)}
	return tx.exec(ctx, "DELETE "+doubted+" AND received < (SELECT received "+doubted+` ORDER BY received DESC LIMIT 1 OFFSET ?3)
		AND id NOT IN (SELECT by FROM retired_alert) AND id NOT IN (SELECT by FROM retirement)`, args...)
}

// ChangeAlert has f change the state, the reason, the detail and what is owed of
// an alert as they are now, while no other writer does. If f returns false,
// nothing is changed, and changed is false. f may not call the store.
func (s *Store) ChangeAlert(ctx context.Context, id playlist.AlertID, f func(*Alert) bool) (changed bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		a, err := scanAlert(tx.row(ctx, alertColumns+"WHERE id = ?1", clean(string(id))).Scan)
		if err != nil {
			return found(err, "alert", id)
		}
		if changed = f(&a); !changed {
			return nil
		}
		return s.setAlert(ctx, tx, a)
	})
	return changed && err == nil, err
}

func (s *Store) setAlert(ctx context.Context, tx conn, a Alert) error {
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return err
	}
	return tx.exec(ctx, "UPDATE alert SET state = ?2, why = ?3, detail = ?4, changed = ?5, owed = ?6, held = ?7 WHERE id = ?1",
		clean(string(a.ID)), a.kept(), clean(a.Why), clean(string(detail)), s.now().UnixMicro(), micros(a.Owed), micros(a.Held))
}

const (
	alertColumns = "SELECT id, received, changed, source, state, why, message, detail, raw, ends, owed, held FROM alert "
	bareColumns  = "SELECT id, received, changed, source, state, why, message, detail, NULL, ends, owed, held FROM alert "
)

// errUnreadable says that an alert of the store is damaged.
var errUnreadable = errors.New("damaged")

func scanAlert(scan func(...any) error) (a Alert, err error) {
	var (
		id                playlist.AlertID
		received, changed int64
		message, detail   string
		ends, owed, held  sql.NullInt64
	)
	if err := scan(&id, &received, &changed, &a.Source, &a.State, &a.Why, &message, &detail, &a.Raw, &ends, &owed, &held); err != nil {
		return a, err
	}
	if err := errors.Join(json.Unmarshal([]byte(message), &a.Alert), json.Unmarshal([]byte(detail), &a.Detail)); err != nil {
		a.ID = id
		return a, fmt.Errorf("%w: alert %s: %w", errUnreadable, id, err)
	}
	a.Received, a.Changed, a.Ends = time.UnixMicro(received).UTC(), time.UnixMicro(changed).UTC(), instant(ends)
	a.Owed, a.Held = instant(owed), instant(held)
	if a.State == emergency.StateWaiting && !a.Held.IsZero() {
		a.State = emergency.StateReview
	}
	return a, nil
}

// Alert finds a message.
func (s *Store) Alert(ctx context.Context, id playlist.AlertID) (Alert, error) {
	a, err := scanAlert(s.read().row(ctx, alertColumns+"WHERE id = ?1", string(id)).Scan)
	return a, found(err, "alert", id)
}

// Alerts are the latest messages, the latest first, without the bytes that came.
func (s *Store) Alerts(ctx context.Context, limit int) ([]Alert, error) {
	return alertsOf(ctx, s.read(), "ORDER BY received DESC, id LIMIT ?1", int64(limit))
}

// AlertsBetween are the messages that were received from one instant on and before
// another, in that order, without the bytes that came. An instant that is zero is no bound.
func (s *Store) AlertsBetween(ctx context.Context, from, to time.Time) ([]Alert, error) {
	if to.IsZero() {
		to = time.UnixMicro(math.MaxInt64)
	}
	return alertsOf(ctx, s.read(), "WHERE received >= ?1 AND received < ?2 ORDER BY received, id", from.UnixMicro(), to.UnixMicro())
}

// AlertsInForce are those that are to sound, or do, in the order in which they
// were received, without the bytes that came.
func (s *Store) AlertsInForce(ctx context.Context) ([]Alert, error) {
	return s.open(ctx, s.read(), alertsInForce)
}

// AlertsInReview are those that wait for a person, in the order in which their wait ends,
// without the bytes that came.
func (s *Store) AlertsInReview(ctx context.Context) ([]Alert, error) {
	return s.open(ctx, s.read(), alertsInReview)
}

// open leaves out what cannot be read, if the store was damaged: it must not
// keep the others from being sounded.
func (s *Store) open(ctx context.Context, c conn, where string) (all []Alert, err error) {
	err = c.each(ctx, bareColumns+where, nil, func(scan func(...any) error) error {
		a, err := scanAlert(scan)
		if errors.Is(err, errUnreadable) {
			if _, told := s.unreadable.LoadOrStore(a.ID, true); !told {
				s.log.Error("alert in the store cannot be read; it is left out", "alert", a.ID, "err", err)
			}
			return nil
		}
		all = append(all, a)
		return err
	})
	return all, err
}

// AlertsOwed are those whose senders are to be told again by now.
func (s *Store) AlertsOwed(ctx context.Context, now time.Time) ([]Alert, error) {
	return alertsOf(ctx, s.read(), "WHERE owed <= ?1 ORDER BY owed, id", now.UnixMicro())
}

const (
	alertsOpen     = "WHERE state IN ('waiting', 'airing') ORDER BY received, id"
	alertsInForce  = "WHERE (state = 'airing' OR state = 'waiting' AND held IS NULL) ORDER BY received, id" // the program one version back has what is held sounded
	alertsInReview = "WHERE state = 'waiting' AND held IS NOT NULL ORDER BY held, id"
)

// alertsOf lists alerts, without the messages as they came.
func alertsOf(ctx context.Context, c conn, where string, args ...any) (all []Alert, err error) {
	err = c.each(ctx, bareColumns+where, args, func(scan func(...any) error) error {
		a, err := scanAlert(scan)
		all = append(all, a)
		return err
	})
	return all, err
}

// Target is a controller that an alert was for when it was issued.
type Target struct {
	Controller playlist.ControllerID `json:"controller"`
	Online     bool                  `json:"online"` // it had been seen shortly before
	Delivered  time.Time             `json:"delivered,omitzero"`
	State      emergency.State       `json:"state,omitempty"` // on the controller, as it last told
	Why        emergency.Reason      `json:"why,omitempty"`   // of that state
}

// Standing is how an alert stands on a controller.
type Standing struct {
	Alert playlist.AlertID
	State emergency.State
	Why   emergency.Reason
}

func addTargets(ctx context.Context, tx conn, id playlist.AlertID, targets []Target) error {
	var rows [][]any
	for _, t := range targets {
		rows = append(rows, []any{clean(string(id)), string(t.Controller), flag(t.Online)})
	}
	return insertMany(ctx, tx, "INSERT INTO alert_target (alert, controller, online) VALUES ", " ON CONFLICT (alert, controller) DO NOTHING", rows)
}

// Delivered notes that a controller has alerts, and how those that it tells of stand there.
func (s *Store) Delivered(ctx context.Context, controller playlist.ControllerID, ids []playlist.AlertID, told []Standing) error {
	var open []playlist.AlertID
	err := s.read().each(ctx, "SELECT alert FROM alert_target WHERE controller = ?1 AND delivered IS NULL", []any{string(controller)},
		func(scan func(...any) error) error {
			var id playlist.AlertID
			err := scan(&id)
			if slices.Contains(ids, id) {
				open = append(open, id)
			}
			return err
		})
	if err != nil {
		return err
	}
	if told, err = s.newlyTold(ctx, controller, told); err != nil || len(open) == 0 && len(told) == 0 {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		for _, id := range open {
			err := tx.exec(ctx, "UPDATE alert_target SET delivered = ?3 WHERE alert = ?1 AND controller = ?2 AND delivered IS NULL",
				string(id), string(controller), s.now().UnixMicro())
			if err != nil {
				return err
			}
		}
		for _, t := range told {
			err := tx.exec(ctx, "UPDATE alert_target SET state = ?3, why = ?4 WHERE alert = ?1 AND controller = ?2",
				string(t.Alert), string(controller), clean(string(t.State)), clean(string(t.Why)))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// newlyTold returns what differs from what a controller told before.
func (s *Store) newlyTold(ctx context.Context, controller playlist.ControllerID, told []Standing) (news []Standing, err error) {
	for _, t := range told {
		var before Standing
		err := s.read().row(ctx, "SELECT alert, state, why FROM alert_target WHERE alert = ?1 AND controller = ?2", string(t.Alert), string(controller)).
			Scan(&before.Alert, &before.State, &before.Why)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, err
		case before != t:
			news = append(news, t)
		}
	}
	return news, nil
}

// Targets are the controllers that an alert was for.
func (s *Store) Targets(ctx context.Context, id playlist.AlertID) (all []Target, err error) {
	err = s.read().each(ctx, "SELECT controller, online, delivered, state, why FROM alert_target WHERE alert = ?1 ORDER BY controller", []any{string(id)},
		func(scan func(...any) error) error {
			var (
				t         Target
				online    int64
				delivered sql.NullInt64
			)
			err := scan(&t.Controller, &online, &delivered, &t.State, &t.Why)
			t.Online, t.Delivered = online != 0, instant(delivered)
			all = append(all, t)
			return err
		})
	return all, err
}

// EBD is a message of the emergency system, in or out.
type EBD struct {
	At     time.Time `json:"at"`
	Out    bool      `json:"out"`
	ID     string    `json:"ebd_id"`
	Type   string    `json:"type"`
	Peer   string    `json:"peer"`
	Result string    `json:"result"`
	Raw    []byte    `json:"-"` // to be kept; none of a heartbeat, nor of what is no news

	Size int64 `json:"size,omitempty"` // bytes of it, as [Store.EBDs] lists it
}

// mostUnkept is how many messages of which no bytes are kept are kept track of, and
// pruneEach after how many more the oldest go: anyone can send them.
const (
	mostUnkept = 5000
	pruneEach  = 100
)

// LogEBD keeps a message.
func (s *Store) LogEBD(ctx context.Context, m EBD) error {
	way := "in"
	if m.Out {
		way = "out"
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		if len(m.Raw) == 0 && !m.Out && s.unkept.Add(1)%pruneEach == 1 {
			err := tx.exec(ctx, `DELETE FROM ebd WHERE way = 'in' AND length(raw) = 0
				AND id <= (SELECT id FROM ebd WHERE way = 'in' AND length(raw) = 0 ORDER BY id DESC LIMIT 1 OFFSET ?1)`, int64(mostUnkept-1))
			if err != nil {
				return err
			}
		}
		return tx.exec(ctx, "INSERT INTO ebd (at, way, ebd_id, type, peer, result, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
			s.now().UnixMicro(), way, clean(m.ID), clean(m.Type), clean(m.Peer), clean(m.Result), append([]byte{}, m.Raw...))
	})
}

// PruneEBD deletes messages of the emergency system that came or went before
// an instant, and returns how many. If none has since then, it deletes nothing,
// as [Store.Prune] does.
func (s *Store) PruneEBD(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		var gone int64
		err := s.write(ctx, func(ctx context.Context, tx conn) (err error) {
			gone, err = tx.change(ctx, `DELETE FROM ebd WHERE id <= (SELECT max(id) FROM (SELECT id, at FROM ebd ORDER BY id LIMIT ?2) AS oldest WHERE at < ?1)
				AND ?1 <= (SELECT at FROM ebd ORDER BY id DESC LIMIT 1)`, before.UnixMicro(), int64(pruneBite))
			return err
		})
		n += gone
		if err != nil || gone == 0 {
			return n, err
		}
	}
}

// EBDs are the latest messages, the latest first.
func (s *Store) EBDs(ctx context.Context, limit int) (all []EBD, err error) {
	err = s.read().each(ctx, "SELECT at, way, ebd_id, type, peer, result, length(raw) FROM ebd ORDER BY id DESC LIMIT ?1", []any{int64(limit)},
		func(scan func(...any) error) error {
			var (
				m   EBD
				at  int64
				way string
			)
			err := scan(&at, &way, &m.ID, &m.Type, &m.Peer, &m.Result, &m.Size)
			m.At, m.Out = time.UnixMicro(at).UTC(), way == "out"
			all = append(all, m)
			return err
		})
	return all, err
}

// spendCounter raises the counter of the certificate that signed. If the signature's
// counter makes it a replay, the error is [ErrStale].
func (s *Store) spendCounter(ctx context.Context, tx conn, sig emergency.Signature) error {
	if err := s.seeCounter(ctx, tx, sig); err != nil || sig.Counter == 0 {
		return err
	}
	n, err := tx.change(ctx, `INSERT INTO certificate (name, counter, at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE
		SET counter = excluded.counter, at = excluded.at WHERE certificate.counter < excluded.counter`,
		clean(sig.CounterName()), int64(sig.Counter), s.now().UnixMicro())
	if err == nil && n == 0 { // another replica was faster
		err = staleCounter(sig)
	}
	return err
}

// byNumber is how long the counter counts that the program one version back kept under
// the number of a certificate, which need not be the number of one only.
const byNumber = 31 * 24 * time.Hour

// seeCounter returns what [Store.spendCounter] would, and spends nothing.
func (s *Store) seeCounter(ctx context.Context, tx conn, sig emergency.Signature) error {
	known := emergency.Counters{}
	for _, name := range []string{sig.By, sig.CounterName()} {
		var since, last int64
		if name != sig.CounterName() {
			since = s.now().Add(-byNumber).UnixMicro()
		}
		if err := tx.row(ctx, "SELECT coalesce(max(counter), 0) FROM certificate WHERE name = ?1 AND at >= ?2", clean(name), since).Scan(&last); err != nil {
			return err
		}
		known[name] = uint32(min(max(last, 0), math.MaxUint32))
	}
	if known.Replayed(sig) {
		return staleCounter(sig)
	}
	return nil
}

func staleCounter(sig emergency.Signature) error {
	return fmt.Errorf("%w: counter %d of certificate %s", ErrStale, sig.Counter, sig.By)
}

// NextCounter is the next number of a counter of our own, whose name begins
// with "own ". None is given out twice, nor after a backup was restored.
func (s *Store) NextCounter(ctx context.Context, name string) (n uint32, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.row(ctx, `INSERT INTO certificate (name, counter, at) VALUES (?1, 1 + CAST(?3 AS BIGINT) * (SELECT count(*) FROM loss), ?2)
			ON CONFLICT (name) DO UPDATE SET counter = certificate.counter + 1, at = excluded.at RETURNING counter`,
			clean(name), s.now().UnixMicro(), int64(ownAhead)).Scan(&n)
	})
	return n, err
}
