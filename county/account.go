package county

import (
	"context"
	"errors"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Ladder is how many of something came how far.
type Ladder struct {
	Targeted  int `json:"targeted"`
	Online    int `json:"online"`    // seen within minutes before the order
	Delivered int `json:"delivered"` // said that it has the order
	Started   int `json:"started"`   // some frame sounded, if only of the tone
	Completed int `json:"completed"` // a whole pass of what the alert says was heard
}

// AlertAccount is what became of an alert, as far as receipts tell.
type AlertAccount struct {
	Alert       store.Alert `json:"alert"`
	Controllers Ladder      `json:"controllers"` // completed: on every output of it that was meant
	Outputs     Ladder      `json:"outputs"`
	Residents   Ladder      `json:"residents"`

	// CoverageRate is residents of outputs that completed / residents of the
	// outputs targeted. Unknown are the outputs of which no receipt has come.
	CoverageRate Rate `json:"coverage_rate"`

	// ResBrdStat counts what aired it: platforms (this one, if any controller
	// did), adapters (controllers with a completed output), transmitters (0: we
	// have none), terminals (outputs that completed).
	ResBrdStat [4]int `json:"res_brd_stat"`

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
	Used       []playlist.Used       `json:"used,omitempty"`
}

// AlertAccount gives an account of an alert.
func (c *County) AlertAccount(ctx context.Context, id playlist.AlertID) (AlertAccount, error) {
	a, err := c.Store.Alert(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return AlertAccount{}, fault{store.ErrNotFound, say.M("county.no_alert", string(id))}
	}
	if err != nil {
		return AlertAccount{}, err
	}
	acc := AlertAccount{Alert: a, Silent: []AlertTarget{}, All: []AlertTarget{}}
	targets, err := c.Store.Targets(ctx, id)
	if err != nil || len(targets) == 0 {
		return acc, err
	}
	q := store.FleetQuery{}
	for _, t := range targets {
		q.IDs = append(q.IDs, t.Controller)
	}
	fleet, err := c.Store.Fleet(ctx, q)
	if err != nil {
		return acc, err
	}
	rows, err := c.Store.Rows(ctx, store.RowQuery{Alert: id, Limit: 1 << 20})
	if err != nil {
		return acc, err
	}
	type place struct {
		controller playlist.ControllerID
		output     string
	}
	of := map[place][]playlist.Row{}
	for _, r := range rows {
		p := place{r.Controller, r.Output}
		of[p] = append(of[p], r.Row)
	}
	known := map[playlist.ControllerID]store.Target{}
	for _, t := range targets {
		known[t.Controller] = t
	}
	unknown := 0
	for _, k := range fleet {
		t := known[k.ID]
		at := AlertTarget{Controller: k.ID, Name: k.Name, Area: k.Area, Online: t.Online, Delivered: t.Delivered}
		delivered := !t.Delivered.IsZero()
		for _, o := range k.Outputs {
			rows := of[place{k.ID, o.Name}]
			if o.Gone && len(rows) == 0 || !a.MayConcern(o.Area) {
				continue
			}
			heard := emergency.Heard(rows)
			started, completed := heard.Sounded, heard.Whole > 0
			if started && (at.Started.IsZero() || heard.Started.Before(at.Started)) {
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
			delivered = delivered || len(rows) > 0
			if len(rows) == 0 {
				unknown++
			}
			at.Outputs++
			at.Residents += o.Residents
			if completed {
				at.Completed++
			}
			for _, l := range []struct {
				ladder *Ladder
				n      int
			}{{&acc.Outputs, 1}, {&acc.Residents, o.Residents}} {
				l.ladder.count(l.n, t.Online, delivered, started, completed)
			}
		}
		acc.Controllers.count(1, t.Online, delivered, !at.Started.IsZero(), at.Outputs > 0 && at.Completed == at.Outputs)
		if at.Completed > 0 {
			acc.ResBrdStat[1]++
		}
		if at.Started.IsZero() {
			acc.Silent = append(acc.Silent, at)
		}
		acc.All = append(acc.All, at)
	}
	acc.ResBrdStat[3] = acc.Outputs.Completed
	if acc.ResBrdStat[1] > 0 {
		acc.ResBrdStat[0] = 1
	}
	acc.CoverageRate = rate(int64(acc.Residents.Completed), int64(acc.Residents.Targeted), int64(unknown))
	return acc, nil
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
