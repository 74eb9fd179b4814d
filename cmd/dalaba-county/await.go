package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// followed is an alert that was taken in, and what became of it, as `--wait --json`.
type followed struct {
	county.Verdict
	Account county.AlertAccount `json:"account"`
}

// await shows how far an alert is until each controller has aired it, or the time is over.
// It is an error if some have not. If ctx ends, the alert goes on.
func (a *app) await(ctx context.Context, k *client, id playlist.AlertID, wait time.Duration) (acc county.AlertAccount, err error) {
	end := time.Now().Add(wait)
	stopped := sayM("county.await_stopped", string(id), string(id))
	for {
		err := k.get(ctx, "/api/account", url.Values{"id": {string(id)}}, &acc)
		switch {
		case ctx.Err() != nil:
			return acc, stopped
		case err != nil && unanswered(err) && time.Now().Before(end): // it may be starting again
			select {
			case <-ctx.Done():
				return acc, stopped
			case <-time.After(followEvery):
			}
			continue
		case err != nil && unanswered(err):
			return acc, errors.Join(sayM("county.await_lost", string(id), string(id)), err)
		case err != nil:
			return acc, err
		}
		n := acc.Controllers
		over := acc.Alert.State.Over() || acc.Alert.State != emergency.StateReview && n.Completed == n.Targeted
		done := over || !time.Now().Before(end)
		if !a.JSON {
			line := a.Say("county.await", n.Targeted, n.Delivered, n.Started, n.Completed)
			if acc.Alert.State == emergency.StateReview {
				line = a.Word("county.alert_", string(acc.Alert.State))
			}
			a.progress(line, done)
		}
		if done {
			return acc, a.allHeard(acc)
		}
		select {
		case <-ctx.Done():
			return acc, stopped
		case <-time.After(followEvery):
		}
	}
}

// allHeard returns which controllers have not aired an alert whole.
func (a *app) allHeard(acc county.AlertAccount) error {
	switch acc.Alert.State {
	case emergency.StateReview, emergency.StateRefused, emergency.StateCancelled:
		if e := acc.Ended; e != nil && e.Kind == emergency.KindUpdate {
			return sayM("county.await_updated", string(acc.Alert.ID), string(e.By), acc.Controllers.Completed, len(acc.All))
		}
		if acc.Alert.State == emergency.StateCancelled {
			return sayM("county.await_cancelled", string(acc.Alert.ID), acc.Controllers.Completed, len(acc.All))
		}
		return sayM("county.await_unsounded", string(acc.Alert.ID), a.Word("county.alert_", string(acc.Alert.State)))
	}
	var left []string
	n := 0
	for _, t := range acc.All {
		if t.Outputs > 0 && t.Completed == t.Outputs {
			continue
		}
		if n++; n <= mostNamed {
			left = append(left, a.Say("county.delivery_one", string(t.Controller), cli.Printable(t.Name), a.heardSoFar(t)))
		}
	}
	switch {
	case n == 0:
		return nil
	case n > mostNamed:
		left = append(left, a.Say("county.delivery_more", n-mostNamed))
	}
	return sayM("county.await_left", n, len(acc.All), strings.Join(left, "\n  "))
}

// heardSoFar puts into words how far a controller is with an alert.
func (a *app) heardSoFar(t county.AlertTarget) string {
	switch {
	case t.Why != emergency.ReasonNone:
		return a.Word("alerts.reason_", string(t.Why))
	case !t.Started.IsZero():
		return a.Say("county.await_started")
	case !t.Delivered.IsZero():
		return a.Say("county.await_delivered")
	case !t.Online:
		return a.Say("county.why_offline")
	}
	return a.Say("county.await_undelivered")
}
