package uplink

import (
	"context"
	"slices"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// deliverAlerts puts the county's alerts in force as they come, until ctx ends.
func (u *Uplink) deliverAlerts(ctx context.Context) {
	for {
		select {
		case <-u.alertNews:
		case <-ctx.Done():
			return
		}
		for d, ok := u.nextAlerts(); ok; d, ok = u.nextAlerts() {
			u.putInForce(ctx, d)
		}
		nudge(u.news) // their clips are wanted
		u.Wake()
	}
}

func (u *Uplink) nextAlerts() (d link.Document, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.alerts) == 0 {
		return d, false
	}
	d, u.alerts = u.alerts[0], u.alerts[1:]
	return d, true
}

// putInForce puts one document's alerts in force, and withdraws those of its
// scope that it no longer names.
func (u *Uplink) putInForce(ctx context.Context, d link.Document) {
	if m, err := u.member(ctx); err != nil || m.Retired {
		return
	}
	ids := slices.Clone(d.Unread)
	for _, a := range d.Alerts.Alerts {
		ids = append(ids, a.Alert.ID)
		r := emergency.Record{Alert: a.Alert, Clip: a.Clip, Scope: d.Scope, Source: playlist.AlertByLink}
		switch {
		case a.Clip != nil:
		case a.Order:
			r.Audio = []emergency.Audio{{Name: "clip"}} // it is to come
		default:
			r.Audio = nil // none is to come: the text is spoken here
		}
		if _, _, err := u.Alarm.Receive(ctx, r, nil); err != nil && ctx.Err() == nil {
			u.Log.Error("alert not stored", "alert", a.Alert.ID, "err", err)
		}
	}
	u.withdraw(ctx, d.Scope, ids)
}

// withdraw ends the alerts of a scope that are not among those IDs.
func (u *Uplink) withdraw(ctx context.Context, scope playlist.Scope, keep []playlist.AlertID) {
	if err := u.Alarm.InForce(ctx, scope, keep); err != nil && ctx.Err() == nil {
		u.Log.Error("alerts not withdrawn", "scope", scope, "err", err)
	}
}
