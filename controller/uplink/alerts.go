package uplink

import (
	"context"

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
	var all []emergency.Record
	for _, a := range d.Alerts.Alerts {
		r := emergency.Record{Alert: a.Alert, Clip: a.Clip, Scope: d.Scope, Source: playlist.AlertByLink}
		switch {
		case a.Clip != nil:
		case a.Order:
			r.Audio = []emergency.Audio{{Name: "clip"}} // it is to come
		default:
			r.Audio = nil // none is to come: the text is spoken here
		}
		all = append(all, r)
	}
	u.put(ctx, d.Scope, all, d.Unread)
	for _, a := range d.Alerts.Alerts {
		if a.Clip != nil && len(a.Inline) > 0 {
			u.Inline(*a.Clip, a.Inline)
		}
	}
}

// put puts these alerts of a scope in force. Of the others, only those in stay may stay
// so.
func (u *Uplink) put(ctx context.Context, scope playlist.Scope, all []emergency.Record, stay []playlist.AlertID) {
	if err := u.Alarm.PutInForce(ctx, scope, all, stay); err != nil && ctx.Err() == nil {
		u.Log.Error("alerts not put in force", "scope", scope, "err", err)
	}
}
