package county

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"time"

	"dalaba/alert"
	"dalaba/county/notice"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// What tests say of the parts of a county.
type (
	Incoming    = incoming
	Envelopes   = envelopes
	AlertStore  = alertStore
	CourseStore = courseStore
)

// Diff lists what a manifest changes of the one before it.
var Diff = diffOf

// These have a part of a county use another store than its own.
func WithEnvelopes(c *County, f func(Envelopes) Envelopes) {
	c.documents.envelopes = f(c.documents.envelopes)
}

func WithAlertStore(c *County, f func(AlertStore) AlertStore) {
	c.alerts.store = f(c.alerts.store)
}

func WithCourseStore(c *County, f func(CourseStore) CourseStore) {
	c.course.store = f(c.course.store)
}

// WithFeatures has the county know these features of documents. It is to be
// called before Run.
func WithFeatures(c *County, features ...link.Feature) {
	c.programmes.features, c.orders.features = features, features
}

// WithFollowers has the store fail to say who follows the scope of an alert if
// fail returns an error. It is to be called before Run.
func WithFollowers(c *County, fail func() error) {
	c.orders.fleet = &fleet{base: c.base, store: failingFleet{c.fleet.store, fail}}
}

type failingFleet struct {
	fleetStore
	fail func() error
}

func (f failingFleet) Fleet(ctx context.Context, q store.FleetQuery) ([]store.Controller, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.fleetStore.Fleet(ctx, q)
}

// AccountOf is the account of an alert by what is known of it.
func AccountOf(a store.Alert, fleet []store.Controller, targets []store.Target, rows []store.RowOf, now time.Time) AlertAccount {
	return outcome{a, fleet, targets, rows, now}.account()
}

// TonesOf is how long an alert took at each controller, by what is known of it.
func TonesOf(a store.Alert, fleet []store.Controller, targets []store.Target, rows []store.RowOf, now time.Time) []Tone {
	return outcome{a, fleet, targets, rows, now}.tones()
}

// Turns has few clips of alerts made at once.
type Turns struct{ q turns }

// Wait waits for the turn of an alert.
func (t *Turns) Wait(ctx context.Context, of emergency.Precedence) (done func(), ok bool) {
	return t.q.wait(ctx, of)
}

// AccountNow accounts for what fell due, as Run does each minute.
func AccountNow(ctx context.Context, c *County) error { return c.reach.account(ctx) }

// IssueMember tells a controller anew who it is.
func IssueMember(c *County, ctx context.Context, id playlist.ControllerID) error {
	return c.members.issue(ctx, id)
}

// SettleNow advances alerts, as Run does each second.
func SettleNow(ctx context.Context, c *County) error { return c.advance(ctx) }

// SettleOften has Run advance alerts more often than each second. It is to be
// called before Run.
func SettleOften(c *County, d time.Duration) { c.every = d }

// PushAccountNow has the broker know who is revoked, as Run does each minute.
func PushAccountNow(ctx context.Context, c *County) error { return c.logins.pushAccount(ctx) }

// Poll reads a feed until ctx ends, as Run does.
func Poll(c *County, ctx context.Context, f Feed) {
	newFeed(c.base, f, c.ebd.settings.client(), c.alerts).run(ctx)
}

// Wait waits for what goes on after its request was answered.
func (c *County) Wait() { c.work.group.Wait() }

// What the API and the network ask of the parts.

func (c *County) AddTrust(ctx context.Context, raw []byte) error {
	return c.documents.addTrust(ctx, raw)
}

func (c *County) Online(k store.Controller) bool { return c.online(k) }

func (c *County) Revoke(ctx context.Context, id playlist.ControllerID) error {
	return c.fleet.revoke(ctx, id)
}

func (c *County) Move(ctx context.Context, id playlist.ControllerID, m Moved) error {
	return c.fleet.move(ctx, id, m)
}

func (c *County) Propose(ctx context.Context, d Draft) (Proposal, error) {
	return c.programmes.propose(ctx, d)
}

func (c *County) Unsigned(m playlist.Manifest) ([]byte, error) { return unsigned(m) }

func (c *County) Issue(ctx context.Context, d Draft) (store.Envelope, error) {
	p, err := c.programmes.propose(ctx, d)
	if err != nil {
		return store.Envelope{}, err
	}
	d.Over, d.Anyway = &p.Over, true
	return c.programmes.issue(ctx, d)
}

func (c *County) Earlier(ctx context.Context, scope playlist.Scope, version int64) (playlist.Manifest, error) {
	return c.programmes.earlier(ctx, scope, version)
}

func (c *County) Rollback(ctx context.Context, scope playlist.Scope, version int64) (store.Envelope, error) {
	p, err := c.programmes.proposeEarlier(ctx, scope, version)
	if err != nil {
		return store.Envelope{}, err
	}
	return c.programmes.rollback(ctx, scope, version, p.Over, true)
}

func (c *County) Reach(ctx context.Context, q store.ReachQuery) (ReachReport, error) {
	return c.reach.report(ctx, q)
}

func (c *County) Take(ctx context.Context, in Incoming) (Verdict, error) {
	return c.alerts.take(ctx, in)
}

func (c *County) Weigh(ctx context.Context, in Incoming) (Verdict, error) {
	return c.alerts.weigh(ctx, in)
}

func (c *County) TakeByHand(ctx context.Context, h ByHand, dry bool) (Verdict, error) {
	return c.alerts.takeByHand(ctx, h, Desk{Dry: dry, Anyway: true})
}

func (c *County) CancelByHand(ctx context.Context, id playlist.AlertID) (Verdict, error) {
	return c.alerts.cancelByHand(ctx, id)
}

func (c *County) TakeCAP(ctx context.Context, raw []byte, source string) (Verdict, error) {
	return c.alerts.takeCAP(ctx, raw, source)
}

func (c *County) TakeEBD(ctx context.Context, raw []byte, peer string) (alert.Package, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/ebd", nil)
	r.RemoteAddr = peer
	return c.ebd.take(r, raw)
}

// Route is an entry of the API, and who may use it.
type Route struct {
	Method, Path           string
	Anyone, OnlyByOperator bool
}

// Routes lists the whole API.
func Routes() (all []Route) {
	for _, r := range routes {
		all = append(all, Route{r.method, r.path, r.who == anyone, r.who == operator})
	}
	return all
}

// Carried lists what a carrier takes to controllers.
func Carried(c *County, ctx context.Context) ([]Held, error) { return c.documents.held(ctx) }

// Remembers reports whether a sender, and an administrator, at an address were believed
// before.
func (c *County) Remembers(from, admin string) bool {
	r := httptest.NewRequest(http.MethodPost, "/ebd", nil)
	r.RemoteAddr = from
	for _, g := range c.api.accounts.tries.Good(c.now()) {
		if g.From == link.Source(from) && g.Name == admin {
			return c.ebd.senders.knows(r)
		}
	}
	return false
}

// Hurry has messages wait only briefly for their turn.
func (c *County) Hurry() { c.ebd.senders.bodies.Wait = 100 * time.Millisecond }

// Push is a push of a draft as it is.
func Push(ctx context.Context, c *County, d Draft) (store.Envelope, error) {
	return c.programmes.issue(ctx, d)
}

// UpdateByHand puts what an operator wrote in the place of an alert.
func (c *County) UpdateByHand(ctx context.Context, id playlist.AlertID, h ByHand) (Verdict, error) {
	return c.alerts.updateByHand(ctx, id, h, Desk{Anyway: true})
}

// Release has an alert sounded that waits for a person.
func (c *County) Release(ctx context.Context, id playlist.AlertID) (Verdict, error) {
	return c.alerts.release(ctx, id, false)
}

// Decline ends an alert that waits for a person.
func (c *County) Decline(ctx context.Context, id playlist.AlertID, why string) (Verdict, error) {
	return c.alerts.decline(ctx, id, why)
}

// StateOf is what the emergency system is told of an alert.
func (c *County) StateOf(ctx context.Context, id playlist.AlertID) (alert.State, error) {
	return c.ebd.stateOf(ctx, id)
}

// NoticesNow watches and tells once, as Run does again and again.
func NoticesNow(ctx context.Context, c *County) error {
	err := c.notices.watch(ctx)
	for _, to := range c.notices.to {
		err = errors.Join(err, c.notices.deliver(ctx, to))
	}
	return err
}

// SendTest sends a recipient a notice now.
func SendTest(ctx context.Context, c *County, name string) (notice.Notice, error) {
	return c.notices.test(ctx, name, say.English)
}
