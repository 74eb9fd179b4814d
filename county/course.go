package county

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// courseStore keeps the states of alerts.
type courseStore interface {
	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
	ChangeAlert(ctx context.Context, id playlist.AlertID, f func(*store.Alert) bool) (changed bool, err error)
}

// course takes alerts through their states, as time passes and receipts come.
type course struct {
	base
	store    courseStore
	orders   *orders
	sounds   *sounds
	outcomes *outcomes
	work     *errands
	changed  func(context.Context, playlist.AlertID) // called when the state or the figures of an alert have changed

	mu      sync.Mutex
	receipt map[playlist.AlertID]bool // of which rows have come since they were last looked at
	looked  map[playlist.AlertID]time.Time
}

const (
	// tellEvery is how often the figures of an alert are reported at the most.
	tellEvery = 5 * time.Second

	// lookEvery is how often an alert is looked at of which no row comes to this
	// process: rows may have come to a replica that has died.
	lookEvery = time.Minute
)

func newCourse(b base, st courseStore, o *orders, s *sounds, f *outcomes, work *errands) *course {
	return &course{
		base: b, store: st, orders: o, sounds: s, outcomes: f, work: work,
		receipt: map[playlist.AlertID]bool{}, looked: map[playlist.AlertID]time.Time{},
	}
}

// resume issues again what was in force when the county ended, and makes the
// clips that are missing.
func (c *course) resume(ctx context.Context) error {
	inForce, err := c.store.AlertsInForce(ctx)
	if err != nil {
		return err
	}
	scopes := map[playlist.Scope]bool{}
	for _, a := range inForce {
		for _, s := range a.Detail.Scopes {
			scopes[s] = true
		}
	}
	for s := range scopes {
		err = errors.Join(err, c.orders.issue(ctx, s))
	}
	for _, a := range inForce {
		if a.Detail.Clip == nil {
			c.work.do(func(ctx context.Context) { c.remake(ctx, a) })
		}
	}
	return err
}

// remake makes the clip of an alert that another run, or another replica, took in.
func (c *course) remake(ctx context.Context, a store.Alert) {
	if whole, err := c.store.Alert(ctx, a.ID); err == nil {
		a = whole
	}
	c.sounds.make(ctx, withSound(ctx, a))
}

// received notes that rows of alerts have come.
func (c *course) received(b link.Batch) {
	for _, r := range b.Receipts {
		if r.Row.Alert != "" {
			c.lookAgain(r.Row.Alert)
		}
	}
}

// lookAgain has an alert looked at in the next turn.
func (c *course) lookAgain(id playlist.AlertID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipt[id] = true
}

// advance updates the alerts in force: an alert is airing once an output has
// started it, and over at its end.
func (c *course) advance(ctx context.Context) error {
	seen := c.orders.seen()
	inForce, err := c.store.AlertsInForce(ctx)
	if err != nil {
		return err
	}
	err = c.orders.catchUp(ctx, inForce, seen)
	ended := map[playlist.Scope]bool{}
	for _, a := range inForce {
		if c.sounds.abandoned(a) {
			c.work.do(func(ctx context.Context) { c.remake(ctx, a) })
		}
		over := !c.now().Before(a.Ends)
		if !c.isDue(a.ID) && !over {
			continue
		}
		moved, merr := c.update(ctx, a.ID, over)
		if merr != nil {
			return errors.Join(err, merr)
		}
		if moved && over {
			c.sounds.stop(a.ID)
			for _, s := range a.Detail.Scopes {
				ended[s] = true
			}
		}
	}
	ids := map[playlist.AlertID]bool{}
	for _, a := range inForce {
		ids[a.ID] = true
	}
	err = errors.Join(err, c.correct(ctx, ids))
	c.forget(ids)
	for s := range ended {
		_, rerr := c.orders.renew(ctx, s)
		err = errors.Join(err, rerr)
	}
	return err
}

// correct looks at alerts that are over and of which rows have come since: the
// figures that were reported may be too low.
func (c *course) correct(ctx context.Context, inForce map[playlist.AlertID]bool) (err error) {
	for _, id := range c.late(inForce) {
		a, aerr := c.store.Alert(ctx, id)
		switch {
		case errors.Is(aerr, store.ErrNotFound):
			continue
		case aerr == nil && (!a.State.Over() || c.now().Sub(a.Ends) > owedFor):
			continue
		case aerr == nil:
			_, aerr = c.update(ctx, id, false)
		}
		if aerr != nil {
			c.lookAgain(id)
			err = errors.Join(err, aerr)
		}
	}
	return err
}

// late takes out the alerts that are not in force and of which rows have come.
func (c *course) late(inForce map[playlist.AlertID]bool) (all []playlist.AlertID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.receipt {
		if !inForce[id] {
			all = append(all, id)
			delete(c.receipt, id)
		}
	}
	return all
}

// update updates the alert's state from its receipts and reports changes to the
// sender. One that is over stays as it is; only its figures are reported.
func (c *course) update(ctx context.Context, id playlist.AlertID, over bool) (changed bool, err error) {
	acc, err := c.outcomes.account(ctx, id)
	if err != nil {
		return false, err
	}
	later := false
	told := store.Told{At: c.now(), Started: acc.Outputs.Started, Completed: acc.Outputs.Completed, State: acc.Alert.State}
	changed, err = c.store.ChangeAlert(ctx, id, func(a *store.Alert) bool {
		if a.State == emergency.StateRefused || a.State == emergency.StateLogged {
			return false
		}
		before := a.Detail.Told
		to := nextState(a.State, acc.Outputs, over)
		settled := told.State != before.State && told.State.Over() // the passes are over, and the alert is in force yet
		news := a.Detail.EBD != nil && (told.Started != before.Started || told.Completed != before.Completed || settled)
		if since := told.At.Sub(before.At); to == a.State && news && since >= 0 && since < tellEvery {
			news, later = false, true
		}
		if to == a.State && !news {
			return false
		}
		a.State = to
		a.Owe(told)
		return true
	})
	if later {
		c.lookAgain(id)
	}
	if changed {
		c.changed(ctx, id)
	}
	return changed, err
}

// nextState is the state that follows from how many outputs of an alert came how far.
func nextState(now emergency.State, outputs Ladder, over bool) emergency.State {
	switch {
	case now.Over():
		return now
	case over && outputs.Completed > 0 && outputs.Completed == outputs.Targeted:
		return emergency.StateDone
	case over && outputs.Started > 0:
		return emergency.StatePartial
	case over:
		return emergency.StateFailed
	case outputs.Started > 0:
		return emergency.StateAiring
	}
	return now
}

// isDue reports whether an alert is to be looked at now, and notes that it is.
func (c *course) isDue(id playlist.AlertID) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Sub(c.looked[id])
	if !c.receipt[id] && since >= 0 && since < lookEvery {
		return false
	}
	delete(c.receipt, id)
	c.looked[id] = now
	return true
}

// forget forgets the alerts that are not in force.
func (c *course) forget(inForce map[playlist.AlertID]bool) {
	c.mu.Lock()
	keepOnly(c.looked, inForce)
	c.mu.Unlock()
	c.sounds.forget(inForce)
}

// keepOnly deletes what is not of the alerts given.
func keepOnly[V any](m map[playlist.AlertID]V, ids map[playlist.AlertID]bool) {
	maps.DeleteFunc(m, func(id playlist.AlertID, _ V) bool { return !ids[id] })
}
