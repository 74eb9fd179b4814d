package county

import (
	"context"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// outcomeStore keeps what became of alerts.
type outcomeStore interface {
	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	Targets(ctx context.Context, id playlist.AlertID) ([]store.Target, error)
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	Rows(ctx context.Context, q store.RowQuery) ([]store.RowOf, error)
}

// outcomes tells what became of alerts.
type outcomes struct {
	store  outcomeStore
	orders *orders
}

// Ladder is how many of something came how far.
type Ladder struct {
	Targeted  int `json:"targeted"`
	Online    int `json:"online"`    // seen within minutes before the order
	Delivered int `json:"delivered"` // told that it has the order
	Started   int `json:"started"`   // some frame was played, if only of the tone
	Completed int `json:"completed"` // a whole pass of what the alert says was heard
}

// AlertAccount is what became of an alert, as far as receipts tell.
type AlertAccount struct {
	Alert       store.Alert `json:"alert"`
	Controllers Ladder      `json:"controllers"` // completed: on every output of it that was meant
	Outputs     Ladder      `json:"outputs"`
	Residents   Ladder      `json:"residents"`

	// CoverageRate is residents of outputs that completed / residents of the
	// outputs targeted. Unknown are the residents of those of which no receipt has come.
	CoverageRate Rate `json:"coverage_rate"`

	// ResBrdStat counts what aired it: platforms (this one, if any controller
	// did), adapters (controllers with a completed output), transmitters (0: we
	// have none), terminals (outputs that completed).
	ResBrdStat [4]int `json:"res_brd_stat"`

	Short []Shortfall `json:"short,omitempty"` // where it is not sent, or otherwise than it came

	Silent []AlertTarget `json:"silent"` // nothing is known to have sounded there
	All    []AlertTarget `json:"all"`
}

// AlertTarget is what one controller did about an alert.
type AlertTarget struct {
	Controller playlist.ControllerID `json:"controller"`
	Name       string                `json:"name"`
	Area       playlist.Area         `json:"area"`
	Residents  int                   `json:"residents"`
	Online     bool                  `json:"online"`
	Delivered  time.Time             `json:"delivered,omitzero"`
	Started    time.Time             `json:"started,omitzero"`
	Ended      time.Time             `json:"ended,omitzero"`
	Completed  int                   `json:"completed"` // outputs
	Outputs    int                   `json:"outputs"`
	Used       []asrun.Used          `json:"used,omitempty"`
	State      emergency.State       `json:"state,omitempty"` // on the controller, as it last told
	Why        emergency.Reason      `json:"why,omitempty"`   // of that state
}

// mostRows bounds the rows of one alert.
const mostRows = 1 << 20

// place is an output of a controller.
type place struct {
	controller playlist.ControllerID
	output     string
}

// account tells what became of an alert.
func (o *outcomes) account(ctx context.Context, id playlist.AlertID) (AlertAccount, error) {
	a, err := o.store.Alert(ctx, id)
	if err != nil {
		return AlertAccount{}, noAlert(err, id)
	}
	acc := AlertAccount{Alert: a, Short: o.orders.shortfalls(id), Silent: []AlertTarget{}, All: []AlertTarget{}}
	targets, err := o.store.Targets(ctx, id)
	if err != nil || len(targets) == 0 {
		return acc, err
	}
	q := store.FleetQuery{}
	known := map[playlist.ControllerID]store.Target{}
	for _, t := range targets {
		q.IDs = append(q.IDs, t.Controller)
		known[t.Controller] = t
	}
	list, err := o.store.Fleet(ctx, q)
	if err != nil {
		return acc, err
	}
	rows, err := o.store.Rows(ctx, store.RowQuery{Alert: id, Limit: mostRows})
	if err != nil {
		return acc, err
	}
	of := map[place][]asrun.Row{}
	for _, r := range rows {
		p := place{r.Controller, r.Output}
		of[p] = append(of[p], r.Row)
	}
	unknown := 0
	for _, k := range list {
		unknown += acc.add(k, known[k.ID], of)
	}
	acc.ResBrdStat[3] = acc.Outputs.Completed
	if acc.ResBrdStat[1] > 0 {
		acc.ResBrdStat[0] = 1
	}
	acc.CoverageRate = rate(int64(acc.Residents.Completed), int64(acc.Residents.Targeted), int64(unknown))
	return acc, nil
}

// add adds a controller and its outputs. It returns how many residents have outputs that
// no row tells of.
func (acc *AlertAccount) add(k store.Controller, t store.Target, rows map[place][]asrun.Row) (unknown int) {
	at := AlertTarget{Controller: k.ID, Name: k.Name, Area: k.Area, Online: t.Online, Delivered: t.Delivered, State: t.State, Why: t.Why}
	delivered := !t.Delivered.IsZero()
	for _, o := range k.Outputs {
		of := rows[place{k.ID, o.Name}]
		if o.Gone && len(of) == 0 || !acc.Alert.MayBeFor(k.PlaceOf(o)) {
			continue
		}
		heard := emergency.Heard(of)
		completed := heard.Whole > 0
		delivered = delivered || len(of) > 0
		if len(of) == 0 {
			unknown += o.Residents
		}
		at.add(o, heard)
		acc.Outputs.count(1, t.Online, delivered, heard.Sounded, completed)
		acc.Residents.count(o.Residents, t.Online, delivered, heard.Sounded, completed)
	}
	acc.Controllers.count(1, t.Online, delivered, !at.Started.IsZero(), at.Outputs > 0 && at.Completed == at.Outputs)
	if at.Completed > 0 {
		acc.ResBrdStat[1]++
	}
	if at.Started.IsZero() {
		acc.Silent = append(acc.Silent, at)
	}
	acc.All = append(acc.All, at)
	return unknown
}

// add adds what was heard on an output.
func (at *AlertTarget) add(o store.Output, heard emergency.Passes) {
	if heard.Sounded && (at.Started.IsZero() || heard.Started.Before(at.Started)) {
		at.Started = heard.Started
	}
	if heard.Ended.After(at.Ended) {
		at.Ended = heard.Ended
	}
	for _, u := range heard.Used {
		if !slices.Contains(at.Used, u) {
			at.Used = append(at.Used, u)
		}
	}
	at.Outputs++
	at.Residents += o.Residents
	if heard.Whole > 0 {
		at.Completed++
	}
}

func (l *Ladder) count(n int, online, delivered, started, completed bool) {
	l.Targeted += n
	for _, rung := range []struct {
		yes bool
		to  *int
	}{{online, &l.Online}, {delivered, &l.Delivered}, {started, &l.Started}, {completed, &l.Completed}} {
		if rung.yes {
			*rung.to += n
		}
	}
}
