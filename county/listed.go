package county

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// Listed is a message as a list shows it. Its state is the one that people are told.
type Listed struct {
	store.Alert
	Short       []Shortfall `json:"short,omitempty"` // where it is not sent, or otherwise than it came
	Controllers Ladder      `json:"controllers"`
	Ended       *Ending     `json:"ended,omitempty"`   // by what it was cancelled
	Cancels     Cancelled   `json:"cancels,omitempty"` // of a cancel: why it is not shown with what it cancelled
}

// Ending is the message that ended another one.
type Ending struct {
	By     playlist.AlertID `json:"by"`
	Kind   emergency.Kind   `json:"kind,omitempty"`
	Sender string           `json:"sender,omitempty"`
	Source string           `json:"source,omitempty"`
	At     time.Time        `json:"at"`
}

// Cancelled is what a cancel did that ended no alert.
type Cancelled string

const (
	CancelledUnknown Cancelled = "unknown" // it names none that has come; if one comes, it does not sound
	CancelledSpared  Cancelled = "spared"  // it may not end what it names
	CancelledNothing Cancelled = "nothing" // what it names was over
)

// unsent reports whether a message is not sent to each of its scopes.
func (l Listed) unsent() bool {
	return slices.ContainsFunc(l.Short, func(s Shortfall) bool { return s.Unsent })
}

// latest lists the messages that wait for a person, then those in force, first those that are not sent to each of their
// scopes, then the others in the order in which they may sound. The latest messages
// that are over follow, as far as there are no more than limit in all. A cancel is told
// with what it ended; only one that ended nothing is listed by itself.
func (o *outcomes) latest(ctx context.Context, limit int) (all []Listed, err error) {
	waiting, err := o.store.AlertsInReview(ctx)
	if err != nil {
		return nil, err
	}
	inForce, err := o.store.AlertsInForce(ctx)
	if err != nil {
		return nil, err
	}
	fleet, err := o.store.Fleet(ctx, store.FleetQuery{})
	if err != nil {
		return nil, err
	}
	for _, m := range inForce {
		l, err := o.listed(ctx, m, fleet)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(x, y Listed) int {
		if x.unsent() != y.unsent() {
			if x.unsent() {
				return -1
			}
			return 1
		}
		return foremost(x.Alert, y.Alert)
	})
	for _, m := range slices.Backward(waiting) {
		all = slices.Insert(all, 0, Listed{Alert: m})
	}
	if len(all) >= limit {
		return all, nil
	}
	over, err := o.latestOver(ctx, limit-len(all), inForce)
	for _, m := range over {
		l, lerr := o.listed(ctx, m.Alert, fleet)
		if lerr != nil {
			return nil, lerr
		}
		l.Cancels = m.Cancels
		all = append(all, l)
	}
	return all, err
}

// latestOver lists the latest messages that are over, without the cancels that are told
// with what they ended.
func (o *outcomes) latestOver(ctx context.Context, limit int, inForce []store.Alert) (all []Listed, err error) {
	for read := 2*limit + len(inForce); ; read *= 2 {
		list, err := o.store.Alerts(ctx, read)
		if err != nil {
			return nil, err
		}
		all = nil
		for _, m := range list {
			if !m.State.Over() || len(all) == limit {
				continue
			}
			l := Listed{Alert: m}
			if m.Kind == emergency.KindCancel && m.State == emergency.StateLogged {
				ended := false
				if l.Cancels, ended, err = o.cancelled(ctx, m, list); err != nil {
					return nil, err
				}
				if ended {
					continue
				}
			}
			all = append(all, l)
		}
		if len(all) == limit || len(list) < read {
			return all, nil
		}
	}
}

// cancelled tells what a cancel did: whether it ended an alert and, if not, why. It looks
// at the messages listed before it asks the store.
func (o *outcomes) cancelled(ctx context.Context, c store.Alert, listed []store.Alert) (why Cancelled, ended bool, err error) {
	if len(c.Detail.Spared) > 0 {
		why = CancelledSpared
	}
	for _, ref := range c.Refs {
		meant := slices.DeleteFunc(slices.Clone(listed), func(m store.Alert) bool { return m.ID == c.ID || !ref.Means(m.ID) })
		if len(meant) == 0 {
			m, err := o.store.Alert(ctx, ref)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return "", false, err
			}
			meant = append(meant, m)
		}
		if slices.ContainsFunc(meant, func(m store.Alert) bool { return m.Detail.By == c.ID }) {
			return "", true, nil
		}
		why = cmp.Or(why, CancelledNothing)
	}
	return cmp.Or(why, CancelledUnknown), false, nil
}

// listed is a message with what a list tells of it.
func (o *outcomes) listed(ctx context.Context, m store.Alert, fleet []store.Controller) (Listed, error) {
	l := Listed{Short: o.orders.shortfalls(m.ID)}
	known, err := o.of(ctx, m, fleet)
	if err != nil {
		return l, err
	}
	acc := known.account()
	l.Alert, l.Controllers = acc.Alert, acc.Controllers
	l.Ended, err = o.ending(ctx, m)
	return l, err
}

// ending tells of the message that ended another one; nil if none did.
func (o *outcomes) ending(ctx context.Context, m store.Alert) (*Ending, error) {
	if m.Detail.By == "" {
		return nil, nil
	}
	by, err := o.store.Alert(ctx, m.Detail.By)
	if errors.Is(err, store.ErrNotFound) {
		return &Ending{By: m.Detail.By, At: m.Changed}, nil
	}
	return &Ending{By: by.ID, Kind: by.Kind, Sender: cmp.Or(by.SenderName, by.Sender), Source: by.Source, At: by.Ordered()}, err
}
