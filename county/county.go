package county

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/playlist"
)

// Keys are the private keys that lie on this server. Playlist may be nil: then
// manifests are signed elsewhere and handed in.
type Keys struct {
	Fleet, Edge, Alert, Playlist link.Signer
}

// Options of [New]. Area, Zone, Store, Log, Keys and Authority must be given.
type Options struct {
	Name  string
	Area  playlist.Area
	Zone  *time.Location
	Store *store.Store
	Log   *slog.Logger
	Now   func() time.Time // default time.Now

	Keys      Keys
	Authority *link.Authority // over the broker's users
	Servers   []string        // addresses of the broker for controllers
	ClipURLs  []string        // addresses of the clips for controllers
	CA        string          // certificates that controllers are to accept, as PEM

	// Publish sends a document to all controllers that are connected; nil: they
	// find it when they sync. [link.Publisher.Publish] is one.
	Publish func(ctx context.Context, scope playlist.Scope, k link.Kind, raw []byte) error

	// PushAccount keeps the authority and gives the broker its account, after
	// this county or another replica of it revoked a login.
	PushAccount func(context.Context, *link.Authority) error

	Ingest *ingest.Ingester // nil: no new clips are made
	Alerts AlertRules
	EBD    EBD

	Notify    []Notify    // who is told what a duty officer must know
	Connected func() bool // reports whether the broker is reached; nil: it is not known

	Token   string // opens the API without a login; empty: none does
	Version string // of this program
}

// County is a county media centre. Make one with [New].
type County struct {
	base
	parts
	every time.Duration // how often alerts are advanced
	work  *errands
	api   *api
}

// parts are what a county is made of. Each keeps its own state and knows only
// the parts that it is given.
type parts struct {
	documents   *documents  // signed and issued, of every kind
	members     *members    // the documents that tell a controller who it is
	logins      *logins     // the broker's account, and the users revoked in it
	fleet       *fleet      // the controllers
	enrolment   *enrolment  // how a controller joins
	clipLibrary *library    // the clips
	programmes  *programmes // manifests: proposed, issued, followed
	reach       *reach      // whom the airings reached
	orders      *orders     // the documents that name the alerts in force
	sounds      *sounds     // the clips of alerts
	outcomes    *outcomes   // the figures of alerts
	alerts      *alerts     // messages, as they come in
	course      *course     // alerts, as time passes and receipts come
	ebd         *ebd        // the emergency system
	feeds       []*feed     // of CAP messages
	edge        *edge       // the county as controllers ask it
	overview    *overview   // how the county is
	notices     *notices    // what the duty phone is told
}

// base is what every part knows of the county that it belongs to.
type base struct {
	name string
	area playlist.Area
	zone *time.Location
	log  *slog.Logger
	now  func() time.Time // in UTC
}

// onlineFor is how long after its last sync a controller counts as online. A
// controller syncs each 60 s, give or take a half.
const onlineFor = 3 * time.Minute

// online reports whether a controller was seen lately.
func (b base) online(k store.Controller) bool { return seenLately(k, b.now()) }

func seenLately(k store.Controller, now time.Time) bool {
	return !k.Seen.IsZero() && now.Sub(k.Seen) < onlineFor
}

// New makes a county. It does nothing by itself until [County.Run].
func New(o Options) *County {
	b := base{name: o.Name, area: o.Area, zone: o.Zone, log: o.Log, now: utc(o.Now)}
	work := newErrands()
	var p parts
	p.documents = &documents{base: b, envelopes: o.Store, keys: o.Keys, publish: o.Publish}
	p.logins = &logins{base: b, store: o.Store, authority: o.Authority, push: o.PushAccount}
	p.members = &members{
		base: b, store: o.Store, documents: p.documents, logins: p.logins, authority: o.Authority, key: o.Keys.Fleet,
		servers: o.Servers, clipURLs: o.ClipURLs, ca: o.CA, told: map[playlist.ControllerID]string{},
	}
	p.fleet = &fleet{base: b, store: o.Store, members: p.members, logins: p.logins}
	p.enrolment = &enrolment{base: b, store: o.Store, members: p.members, documents: p.documents}
	p.clipLibrary = &library{store: o.Store, ingest: o.Ingest}
	p.programmes = &programmes{base: b, clips: o.Store, locals: o.Store, documents: p.documents, fleet: p.fleet, features: link.Features(), key: o.Keys.Playlist}
	p.reach = &reach{base: b, store: o.Store, documents: p.documents, fleet: p.fleet}
	p.orders = newOrders(b, o.Store, p.documents, p.fleet, o.Keys.Alert)
	p.sounds = newSounds(b, o.Store, o.Ingest, p.orders, o.Alerts)
	p.outcomes = &outcomes{base: b, store: o.Store, orders: p.orders}
	p.alerts = &alerts{base: b, store: o.Store, rules: o.Alerts, fleet: p.fleet, orders: p.orders, sounds: p.sounds, work: work}
	p.course = newCourse(b, o.Store, p.orders, p.sounds, p.outcomes, work)
	p.ebd = &ebd{base: b, store: o.Store, settings: o.EBD, alerts: p.alerts, outcomes: p.outcomes, work: work, senders: newSenders(b, o.Store)}
	p.alerts.changed, p.course.changed = p.ebd.tell, p.ebd.tell
	for _, f := range o.Alerts.Feeds {
		p.feeds = append(p.feeds, newFeed(b, f, o.EBD.client(), p.alerts))
	}
	p.edge = &edge{
		base: b, store: o.Store, documents: p.documents, members: p.members, programmes: p.programmes, orders: p.orders, alerts: p.alerts, course: p.course,
	}
	p.overview = newOverview(o, b, p.documents, p.orders)
	p.notices = newNotices(o, b, p)
	c := &County{base: b, parts: p, every: time.Second, work: work}
	c.api = newAPI(o, b, p)
	return c
}

// utc is a clock in UTC; time.Now if there is none.
func utc(now func() time.Time) func() time.Time {
	if now == nil {
		now = time.Now
	}
	return func() time.Time { return now().UTC() }
}

// Edge is the county as [link.Edge] asks it.
func (c *County) Edge() link.EdgeStore { return c.edge }

// Standing is what [link.Publisher] is to repeat.
func (c *County) Standing(context.Context) ([]link.Standing, error) { return c.orders.standing(), nil }

// Run does what falls due by itself, until ctx ends: it records airings without
// a receipt, ends alerts whose time is over, reads feeds and reports to the
// emergency system.
func (c *County) Run(ctx context.Context) error {
	var group sync.WaitGroup
	every := func(d time.Duration, f func(context.Context) error, what string) {
		group.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					c.log.Error(what, "err", err)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	if err := c.documents.settle(ctx); err != nil && ctx.Err() == nil {
		c.log.Error("documents could not be compared with the trust document", "err", err)
	}
	if err := c.course.resume(ctx); err != nil && ctx.Err() == nil {
		c.log.Error("alerts in force could not be taken up again", "err", err)
	}
	if err := errors.Join(c.ebd.senders.load(ctx), c.api.accounts.load(ctx)); err != nil && ctx.Err() == nil {
		c.log.Warn("who was believed before is not known", "err", err)
	}
	every(time.Minute, c.reach.account, "airings could not be accounted for")
	every(time.Minute, c.logins.pushAccount, "the broker does not know who is revoked; they may still listen there")
	every(c.every, c.advance, "alerts could not be settled")
	if c.ebd.settings.Upstream != "" && c.ebd.settings.Heartbeat > 0 {
		every(c.ebd.settings.Heartbeat, c.ebd.heartbeat, "the emergency system did not take our heartbeat")
	}
	for _, f := range c.feeds {
		group.Go(func() { f.run(ctx) })
	}
	group.Go(func() { c.notices.run(ctx, c.every) })
	group.Wait()
	c.work.finish()
	for _, t := range []*link.Tally{&c.ebd.senders.refused, &c.ebd.strangers, &c.api.accounts.refused} {
		t.Flush()
	}
	return nil
}

// advance brings the alerts up to date and reports what is owed to senders.
// Every replica does so; what one has done first, the others find done.
func (c *County) advance(ctx context.Context) error {
	return errors.Join(c.alerts.advance(ctx), c.course.advance(ctx), c.ebd.tellAgain(ctx))
}
