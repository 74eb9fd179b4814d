package county

import (
	"context"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// statusStore tells how the store itself is.
type statusStore interface {
	Ping(ctx context.Context) error
	Kind() string
	LastBackup() (at time.Time, n int, err error)
	Losses(ctx context.Context) ([]store.Loss, error)
	Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error)
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
	AlertsInReview(ctx context.Context) ([]store.Alert, error)
}

// overview tells how the county is.
type overview struct {
	base
	store     statusStore
	documents *documents
	orders    *orders
	fixed     CountyStatus // what does not change while the program runs
}

// CountyStatus is how a county is.
type CountyStatus struct {
	Name      string        `json:"name"`
	Area      playlist.Area `json:"area"`
	Version   string        `json:"version"`
	Signs     bool          `json:"signs"` // the playlist key lies here
	Fleet     int           `json:"fleet"` // active
	Online    int           `json:"online"`
	Pending   int           `json:"pending"`
	Residents int           `json:"residents"`
	Alerts    int           `json:"alerts"` // in force
	Unsent    int           `json:"unsent"` // of them, those that are not sent to each of their scopes
	Review    int           `json:"review"` // alerts that wait for a person
	Store     string        `json:"store"`  // "ok", or what is wrong
	URL       string        `json:"url"`    // at which controllers reach us
	Servers   []string      `json:"servers"`
	Zone      string        `json:"zone"`
	Trust     int64         `json:"trust"` // version
	Print     string        `json:"fingerprint"`
	Keys      []TrustedKey  `json:"keys"`

	// TrustAhead is the highest version of the trust document that a controller
	// holds, if the county's is lower: the county lost some and cannot verify that
	// one. 0: none.
	TrustAhead int64 `json:"trust_ahead,omitempty"`

	LastBackup time.Time    `json:"last_backup,omitzero"` // of an SQLite database
	Backups    int          `json:"backups"`
	Losses     []store.Loss `json:"losses,omitempty"` // each time a backup had to take its place
	Database   string       `json:"database"`         // sqlite or postgres
}

// TrustedKey is a key of the trust document, for people to compare.
type TrustedKey struct {
	Role        link.Role `json:"role"`
	Fingerprint string    `json:"fingerprint"`
}

func newOverview(o Options, b base, d *documents, orders *orders) *overview {
	s := CountyStatus{
		Name: o.Name, Area: o.Area, Version: o.Version, Store: "ok", Servers: o.Servers,
		Zone: o.Zone.String(), Database: o.Store.Kind(),
	}
	if len(o.ClipURLs) > 0 {
		s.URL = o.ClipURLs[0]
	}
	return &overview{base: b, store: o.Store, documents: d, orders: orders, fixed: s}
}

func (o *overview) status(ctx context.Context) (s CountyStatus, err error) {
	s = o.fixed
	if err := o.store.Ping(ctx); err != nil {
		s.Store = err.Error()
	}
	if s.LastBackup, s.Backups, err = o.store.LastBackup(); err != nil {
		return s, err
	}
	if s.Losses, err = o.store.Losses(ctx); err != nil {
		return s, err
	}
	list, err := o.store.Fleet(ctx, store.FleetQuery{})
	if err != nil {
		return s, err
	}
	for _, k := range list {
		switch k.State {
		case store.Pending:
			s.Pending++
		case store.Active:
			s.Fleet++
			s.Residents += k.Residents()
			s.TrustAhead = max(s.TrustAhead, k.Have[haveKey(link.KindTrust, "")])
			if o.online(k) {
				s.Online++
			}
		}
	}
	inForce, err := o.store.AlertsInForce(ctx)
	if err != nil {
		return s, err
	}
	waiting, err := o.store.AlertsInReview(ctx)
	if err != nil {
		return s, err
	}
	s.Alerts, s.Unsent, s.Review = len(inForce), o.orders.unsent(), len(waiting)
	t, err := o.documents.trust(ctx)
	if err != nil {
		return s, err
	}
	if s.TrustAhead <= t.Version {
		s.TrustAhead = 0
	}
	s.Signs = o.documents.keys.signsManifests(t)
	s.Trust, s.Print, s.Keys = t.Version, t.Fingerprint(), TrustedKeys(t)
	return s, nil
}

// TrustedKeys lists the keys of a trust document.
func TrustedKeys(t link.Trust) (all []TrustedKey) {
	for _, role := range []link.Role{link.RoleRoot, link.RolePlaylist, link.RoleAlert, link.RoleFleet, link.RoleEdge} {
		for _, id := range t.Roles[role].Keys {
			all = append(all, TrustedKey{role, t.Keys[id].Fingerprint()})
		}
	}
	return all
}
