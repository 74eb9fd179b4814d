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
	Alerts(ctx context.Context, limit int) ([]store.Alert, error)
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
	AlertsInReview(ctx context.Context) ([]store.Alert, error)
	AlertsBetween(ctx context.Context, from, to time.Time) ([]store.Alert, error)
	Targets(ctx context.Context, id playlist.AlertID) ([]store.Target, error)
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	Rows(ctx context.Context, q store.RowQuery) ([]store.RowOf, error)
}

// outcomes tells what became of alerts.
type outcomes struct {
	base
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
	// Alert has the state that people are told, which [AlertAccount.state] decides.
	Alert store.Alert `json:"alert"`
	Ended *Ending     `json:"ended,omitempty"` // by what it was cancelled

	Controllers Ladder `json:"controllers"` // completed: on every output of it that was meant
	Outputs     Ladder `json:"outputs"`
	Residents   Ladder `json:"residents"`

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
	State      emergency.State       `json:"state,omitempty"`  // on the controller, as it last told
	Why        emergency.Reason      `json:"why,omitempty"`    // of that state
	Silent     Silence               `json:"silent,omitempty"` // why nothing is known to have sounded there
	Reason     asrun.Reason          `json:"reason,omitempty"` // why nothing was heard when it was tried
	Seen       time.Time             `json:"seen,omitzero"`    // when the controller last spoke to the county

	near     bool // in contact with the county now
	tried    bool // it has rows of the alert
	finished int  // outputs that have sounded as many whole passes as the alert asks for
}

// mostRows bounds the rows of one alert.
const mostRows = 1 << 20

// place is an output of a controller.
type place struct {
	controller playlist.ControllerID
	output     string
}

// outcome is what is known of an alert: of whom it is for, what they told and what
// their receipts say. What people are told of it follows from that alone.
type outcome struct {
	alert   store.Alert
	fleet   []store.Controller
	targets []store.Target
	rows    []store.RowOf
	now     time.Time
}

// of collects what is known of an alert. fleet may hold more than those it is for.
func (o *outcomes) of(ctx context.Context, a store.Alert, fleet []store.Controller) (outcome, error) {
	targets, err := o.store.Targets(ctx, a.ID)
	if err != nil || len(targets) == 0 {
		return outcome{alert: a, now: o.now()}, err
	}
	rows, err := o.store.Rows(ctx, store.RowQuery{Alert: a.ID, Limit: mostRows})
	return outcome{a, fleet, targets, rows, o.now()}, err
}

// account tells what became of an alert.
func (o *outcomes) account(ctx context.Context, id playlist.AlertID) (AlertAccount, error) {
	a, err := o.store.Alert(ctx, id)
	if err != nil {
		return AlertAccount{}, noAlert(err, id)
	}
	targets, err := o.store.Targets(ctx, id)
	if err != nil {
		return AlertAccount{}, err
	}
	var fleet []store.Controller
	if len(targets) > 0 {
		q := store.FleetQuery{}
		for _, t := range targets {
			q.IDs = append(q.IDs, t.Controller)
		}
		if fleet, err = o.store.Fleet(ctx, q); err != nil {
			return AlertAccount{}, err
		}
	}
	known, err := o.of(ctx, a, fleet)
	if err != nil {
		return AlertAccount{}, err
	}
	acc := known.account()
	acc.Short = o.orders.shortfalls(id)
	acc.Ended, err = o.ending(ctx, a)
	return acc, err
}

// account adds up what is known.
func (o outcome) account() AlertAccount {
	acc := AlertAccount{Alert: o.alert, Silent: []AlertTarget{}, All: []AlertTarget{}}
	known := map[playlist.ControllerID]store.Target{}
	for _, t := range o.targets {
		known[t.Controller] = t
	}
	of := map[place][]asrun.Row{}
	for _, r := range o.rows {
		p := place{r.Controller, r.Output}
		of[p] = append(of[p], r.Row)
	}
	unknown := 0
	for _, k := range o.fleet {
		if t, ok := known[k.ID]; ok {
			unknown += acc.add(k, t, of, o.now)
		}
	}
	acc.ResBrdStat[3] = acc.Outputs.Completed
	if acc.ResBrdStat[1] > 0 {
		acc.ResBrdStat[0] = 1
	}
	acc.CoverageRate = rate(int64(acc.Residents.Completed), int64(acc.Residents.Targeted), int64(unknown))
	acc.Alert.State = acc.state(o.now)
	return acc
}

// state is the state of the alert that people are told. While it is in force, villages
// that come back may still sound it; but it airs only until its passes are over wherever
// it has begun, or is expected to begin.
func (acc AlertAccount) state(now time.Time) emergency.State {
	goesOn, unheard := false, len(acc.All) > 0
	for _, at := range acc.All {
		goesOn = goesOn || at.goesOn(acc.Alert, now)
		unheard = unheard && at.toldOver() && !at.toldHeard()
	}
	over := !goesOn && (acc.Outputs.Started > 0 || unheard)
	return nextState(acc.Alert.State, acc.Outputs, over)
}

// silentAfter is how long after an order a controller that tells nothing of it is no
// longer expected to sound it now: long enough for a sync or two.
const silentAfter = 5 * time.Minute

// goesOn reports whether the alert sounds at a controller, will again, or is expected to
// begin.
func (at AlertTarget) goesOn(a store.Alert, now time.Time) bool {
	switch began := !at.Started.IsZero(); {
	case began && at.finished == at.Outputs:
		return false
	case at.toldOver():
		return !began && at.toldHeard() && at.near // its receipts are on the way
	case began:
		return at.near || now.Sub(at.Ended) < silentAfter
	}
	return now.Sub(ordered(a)) < silentAfter
}

// toldOver reports whether the controller has told that the alert is over there.
func (at AlertTarget) toldOver() bool { return at.State != "" && at.State.Over() }

// toldHeard reports whether the controller has told that the alert was heard there.
func (at AlertTarget) toldHeard() bool {
	return at.State == emergency.StateDone || at.State == emergency.StatePartial
}

// ordered is the instant from which an alert is to sound as soon as it can: when it was
// taken, or released if it waited for a person, or the later one that it names itself.
func ordered(a store.Alert) time.Time {
	at := a.Ordered()
	if a.Early(at) {
		return a.NotBefore
	}
	return at
}

// add adds a controller and its outputs. It returns how many residents have outputs that
// no row tells of.
func (acc *AlertAccount) add(k store.Controller, t store.Target, rows map[place][]asrun.Row, now time.Time) (unknown int) {
	at := AlertTarget{
		Controller: k.ID, Name: k.Name, Area: k.Area, Online: t.Online, Delivered: t.Delivered, State: t.State, Why: t.Why, Seen: k.Seen, near: seenLately(k, now),
	}
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
		at.add(o, of, heard)
		if acc.Alert.Passes > 0 && heard.Whole >= acc.Alert.Passes {
			at.finished++
		}
		acc.Outputs.count(1, t.Online, delivered, heard.Sounded, completed)
		acc.Residents.count(o.Residents, t.Online, delivered, heard.Sounded, completed)
	}
	acc.Controllers.count(1, t.Online, delivered, !at.Started.IsZero(), at.Outputs > 0 && at.Completed == at.Outputs)
	if at.Completed > 0 {
		acc.ResBrdStat[1]++
	}
	if at.Started.IsZero() {
		at.Silent = silence(acc.Alert, at, k)
		acc.Silent = append(acc.Silent, at)
	}
	acc.All = append(acc.All, at)
	return unknown
}

// add adds what was heard on an output.
func (at *AlertTarget) add(o store.Output, rows []asrun.Row, heard emergency.Passes) {
	for _, r := range rows {
		at.tried = true
		if r.Frames == 0 && r.Reason != asrun.ReasonNone {
			at.Reason = r.Reason
		}
	}
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
