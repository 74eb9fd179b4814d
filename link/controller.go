package link

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// Pace says when a controller does what. The zero Pace has the times that the
// protocol prescribes, which the comments below name.
type Pace struct {
	Again     func() time.Duration            // between the first sync of a connection and the second: 5 to 10 s
	Every     func() time.Duration            // between later syncs: 60 s, +-50 %
	Wake      time.Duration                   // at least this between two exchanges if [Controller.Wake] asked for the second; also its jitter: 1 s
	Told      func() time.Duration            // between a push and the sync that reports it: up to 3 s, so that not all controllers sync at once
	Answer    time.Duration                   // how long to wait for a response: 2 min
	Repeat    func() time.Duration            // how long to wait before a request without response is sent again: 30 to 60 s
	Reconnect func(attempt int) time.Duration // see [Reconnect]
}

func (p Pace) filled() Pace {
	if p.Again == nil {
		p.Again = func() time.Duration { return 5*time.Second + rand.N(5*time.Second) }
	}
	if p.Every == nil {
		p.Every = func() time.Duration { return 30*time.Second + rand.N(60*time.Second) }
	}
	if p.Wake == 0 {
		p.Wake = time.Second
	}
	if p.Told == nil {
		p.Told = func() time.Duration { return rand.N(3 * time.Second) }
	}
	if p.Answer == 0 {
		p.Answer = 2 * time.Minute
	}
	if p.Repeat == nil {
		p.Repeat = func() time.Duration { return 30*time.Second + rand.N(30*time.Second) }
	}
	if p.Reconnect == nil {
		p.Reconnect = Reconnect
	}
	return p
}

const (
	maxRounds  = 32        // requests of one sync
	maxProof   = 512 << 10 // bytes of documents that one sync request shows to the county
	proveAgain = time.Hour // how long to wait before the same document is shown again
	pushQueue  = 256
)

// Controller is the controller's end of the link. Set its fields before Run and
// do not change them afterwards. Key, Store, Log, Health, Clock, Boot and Mono
// are required.
type Controller struct {
	Key   *Key
	Store ControllerStore
	Log   *slog.Logger

	Health func(context.Context) Health
	Local  func(context.Context) playlist.Local // default: it is not told
	Clock  func() playlist.ClockState
	Boot   string
	Mono   func() time.Duration
	Now    func() time.Time // default time.Now
	Pace   Pace

	// Time is called with the county's time and with how long the request and its
	// response took together. The time is signed, and the response belongs to the
	// request just sent.
	Time func(county time.Time, roundTrip time.Duration)

	// Accepted is called once with each document, before its inline clips are stored.
	// It is called after the store has kept the document, but for alerts before that:
	// they must sound even if the disk fails or hangs. Accepted must return quickly, and
	// Wake is the only method of the controller that it may call.
	Accepted func(Document)

	// Behind is called after the first sync, and after each that changes the result,
	// with the documents that the county has in force for the controller and that the
	// controller does not have. Wake is the only method of the controller that it may
	// call.
	Behind func([]Lag)

	// Synced is called after each sync in which the county sent all that it has for the
	// controller. It must return quickly.
	Synced func()

	once          sync.Once
	wake          chan struct{}
	soon          chan struct{} // a document was pushed, or did not come with a sync
	memberChanged chan struct{}

	storing sync.Mutex     // held while the store keeps a document; locked before mu
	work    sync.WaitGroup // alerts that are being kept

	mu     sync.Mutex
	loaded bool
	trust  Trust
	member Member
	held   map[docKey]Have    // kept
	unkept map[docKey]*unkept // alerts that are accepted, and not kept yet

	refused map[docKey]refused // the last one of each

	// These are used by exchange's goroutine only.
	shownAt   map[Have]time.Time // when each document was last shown to the county
	localTold string             // the local rules that the county has, from this session
	lags      []Lag              // as last compared
	compared  bool
	stampTime time.Time // of the last stamp whose time was used
	setBack   bool      // the log says that a stamp's time was not used

	walkedAt time.Time // when a pushed trust document last caused a sync; used by listen's goroutine only
}

type docKey struct {
	kind  Kind
	scope playlist.Scope
}

func (h Have) key() docKey { return docKey{h.Kind, h.Scope} }

// unkept is an accepted document of alerts that the store does not have yet.
type unkept struct {
	Document
	busy bool // the store is told to keep it
}

func (c *Controller) init() {
	c.once.Do(func() {
		c.wake, c.soon, c.memberChanged = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
		c.held, c.unkept, c.shownAt = map[docKey]Have{}, map[docKey]*unkept{}, map[Have]time.Time{}
		if c.Now == nil {
			c.Now = time.Now
		}
		c.Pace = c.Pace.filled()
	})
}

// Wake tells the controller that it has something to report, such as a receipt or
// a manifest that came into force. Wake returns at once. The report follows about
// a second later, so that reports are not more frequent than that and do not come
// from all villages at once.
func (c *Controller) Wake() {
	c.init()
	signal(c.wake)
}

// signal sends to a channel with a buffer of one. If a signal is waiting in it, that
// one is enough.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// load reads the documents in the store, once.
func (c *Controller) load(ctx context.Context) error {
	c.init()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return nil
	}
	docs, err := c.Store.Documents(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(docs, func(a, b Stored) int { return urgency(a.Kind) - urgency(b.Kind) })
	for _, s := range docs {
		e, err := ParseEnvelope(s.Raw)
		if err != nil {
			c.Log.Error("stored document damaged", "kind", s.Kind, "scope", s.Scope, "err", err)
			continue
		}
		switch s.Kind {
		case KindTrust:
			// It was verified before it was kept. By now the older trust document that
			// verified it is gone.
			err = e.open(&c.trust)
		}
		if err != nil {
			c.Log.Error("stored document damaged", "kind", s.Kind, "scope", s.Scope, "err", err)
			continue
		}
		// A member document stays in use even if its signer has lost the role, so
		// that the controller still has a login. Its version then does not count: it
		// is not in held, so any version can replace it. Nor does a version count that
		// no document may have: release 0.1 accepted those.
		if s.Kind == KindTrust || playlist.IsVersion(s.Version) && c.trust.Verify(e, s.Kind.Role()) == nil {
			c.held[s.key()] = s.Have
		}
		if s.Kind == KindAlerts {
			c.restoreInlineClips(ctx, s.Raw)
		}
	}
	c.member = MemberOf(docs)
	if len(c.trust.Roles) == 0 || c.member.Controller == "" {
		return fault{ErrNoTrust, say.M("link.no_trust")}
	}
	c.loaded = true
	return nil
}

// restoreInlineClips stores the inline clips of kept alerts. They are missing from
// the store if the power was cut after the alerts were kept and before the clips
// were stored.
func (c *Controller) restoreInlineClips(ctx context.Context, raw []byte) {
	d, err := Open(raw, c.trust)
	if err != nil {
		return
	}
	c.storeInlineClips(ctx, d)
}

// storeInlineClips stores the clips that travel inside a document of alerts, if
// the store does not have them.
func (c *Controller) storeInlineClips(ctx context.Context, d Document) {
	if d.Alerts == nil {
		return
	}
	for _, a := range d.Alerts.Alerts {
		if a.Clip == nil || len(a.Inline) == 0 {
			continue
		}
		if ok, err := c.Store.HasClip(ctx, a.Clip.ID); ok && err == nil {
			continue
		}
		if err := c.Store.PutClip(ctx, *a.Clip, bytes.NewReader(a.Inline)); err != nil {
			c.Log.Error("inline clip not stored", "clip", a.Clip.ID, "alert", a.Alert.ID, "err", err)
		}
	}
}

// Member returns the latest member document of the controller.
func (c *Controller) Member(ctx context.Context) (Member, error) {
	err := c.load(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.member, err
}

// Has reports whether the controller has accepted a document of a kind and scope that is
// signed by keys in force.
func (c *Controller) Has(k Kind, s playlist.Scope) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := docKey{k, s}
	_, kept := c.held[key]
	_, accepted := c.unkept[key]
	return kept || accepted
}

// urgency returns a number that is lower for kinds that are handled earlier.
func urgency(k Kind) int { return slices.Index(Kinds, k) }

// Take checks an envelope, however it arrived, and keeps the document if it is
// accepted. The errors are those of [Accept] and the store's. Alerts that the store
// could not keep are in force all the same.
func (c *Controller) Take(ctx context.Context, raw []byte) (Document, error) {
	d, keep, err := c.take(ctx, raw)
	if err == nil && keep != nil {
		err = keep()
	}
	return d, err
}

// take is [Controller.Take], but leaves it to the caller to keep alerts: keep does so,
// and may take as long as the disk does. It is nil for other documents.
func (c *Controller) take(ctx context.Context, raw []byte) (d Document, keep func() error, err error) {
	if err := c.load(ctx); err != nil {
		return Document{}, nil, err
	}
	_, d, err = identify(raw)
	switch {
	case err != nil:
		return d, nil, err
	case d.Kind == KindAlerts:
		return c.takeAlerts(ctx, raw)
	}
	d, err = c.takeOther(ctx, raw)
	return d, nil, err
}

// accept is [Accept] for this controller. mu is locked.
func (c *Controller) accept(raw []byte) (Document, error) {
	return Accept(raw, c.trust, c.member.Follower(), func(k Kind, s playlist.Scope) (Have, bool) {
		key := docKey{k, s}
		if u, ok := c.unkept[key]; ok {
			return u.Have, true
		}
		h, ok := c.held[key]
		return h, ok
	})
}

// takeAlerts puts alerts in force. If they are, but could not be kept, it lets the
// caller try that again.
func (c *Controller) takeAlerts(ctx context.Context, raw []byte) (d Document, keep func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err = c.accept(raw)
	u := c.unkept[d.key()]
	switch {
	case err == nil:
		u = &unkept{Document: d}
		c.unkept[d.key()] = u
		if c.Accepted != nil {
			c.Accepted(d)
		}
	case !errors.Is(err, ErrReplayed) || u == nil || u.busy:
		return d, nil, err
	}
	u.busy = true
	return d, func() error { return c.keepAlerts(ctx, u) }, nil
}

// keepAlerts has the store keep accepted alerts, unless they are out of date by now.
func (c *Controller) keepAlerts(ctx context.Context, u *unkept) error {
	c.storing.Lock()
	defer c.storing.Unlock()
	key := u.key()
	c.mu.Lock()
	current := c.unkept[key] == u
	c.mu.Unlock()
	if !current {
		return nil
	}
	err := c.Store.Keep(ctx, u.Document)
	c.mu.Lock()
	u.busy = false
	if err == nil {
		c.held[key] = u.Have
		if c.unkept[key] == u {
			delete(c.unkept, key)
		}
	}
	c.mu.Unlock()
	c.storeInlineClips(ctx, u.Document)
	if err != nil {
		return fmt.Errorf("alerts are in force, but not stored: %w", err)
	}
	return nil
}

// takeOther keeps a document that is not of alerts, and puts it in force.
func (c *Controller) takeOther(ctx context.Context, raw []byte) (Document, error) {
	c.storing.Lock()
	defer c.storing.Unlock()
	c.mu.Lock()
	d, err := c.accept(raw)
	c.mu.Unlock()
	if err != nil {
		return d, err
	}
	var gone []Have
	if d.Trust != nil {
		if gone, err = docsNotCovered(ctx, c.Store, *d.Trust); err != nil {
			return d, err
		}
		for _, h := range gone {
			if h.Kind != KindMember {
				d.Voids = append(d.Voids, h)
			}
		}
	}
	if err := c.Store.Keep(ctx, d); err != nil {
		return d, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range gone {
		delete(c.held, h.key())
	}
	c.held[d.key()] = d.Have
	switch {
	case d.Trust != nil:
		c.trust = *d.Trust
		maps.DeleteFunc(c.unkept, func(_ docKey, u *unkept) bool { return !c.trust.Covers(u.Kind, u.Raw) })
	case d.Member != nil:
		c.member = *d.Member
		signal(c.memberChanged)
	}
	for _, fault := range d.Faults {
		c.Log.Error("alert in a document is faulty; the others count", "scope", d.Scope, "version", d.Version, "err", fault)
	}
	if c.Accepted != nil {
		c.Accepted(d)
	}
	return d, nil
}

// docsNotCovered returns the stored documents whose signatures a new trust document
// does not accept.
func docsNotCovered(ctx context.Context, store ControllerStore, t Trust) ([]Have, error) {
	docs, err := store.Documents(ctx)
	if err != nil {
		return nil, err
	}
	var all []Have
	for _, s := range docs {
		if !t.Covers(s.Kind, s.Raw) {
			all = append(all, s.Have)
		}
	}
	return all, nil
}

// acceptAndLog is [Controller.Take] for documents that were pushed or came with a
// sync. It does not wait until alerts are kept, so that those after them sound. It logs
// the result, and reports whether the document was accepted.
func (c *Controller) acceptAndLog(ctx context.Context, raw []byte, by string) bool {
	d, keep, err := c.take(ctx, raw)
	log := c.Log.With("by", by, "kind", d.Kind, "scope", d.Scope, "version", d.Version)
	switch {
	case err == nil && keep != nil:
		log.Info("document accepted")
		c.work.Go(func() {
			if err := keep(); err != nil && ctx.Err() == nil {
				log.Error("alerts in force, but not stored", "err", err)
			}
		})
	case err == nil:
		log.Info("document accepted")
	case errors.Is(err, ErrReplayed), d.Kind == KindTrust && errors.Is(err, ErrRolledBack):
		log.Debug("document repeated")
	case ctx.Err() != nil:
	case by == "push" && missesTrust(d, err):
		log.Info("trust document cannot be verified yet, syncing", "err", err)
		if time.Since(c.walkedAt) > walkAgain {
			c.walkedAt = time.Now()
			signal(c.soon)
		}
	default:
		c.noteRefused(d, err)
		log.Warn("document refused", "bytes", len(raw), "err", err)
	}
	return err == nil
}

// Run keeps the link up until ctx ends. It returns earlier only if the store cannot
// be read or the controller was never enrolled.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.load(ctx); err != nil {
		return err
	}
	defer c.work.Wait()
	for ctx.Err() == nil {
		if err := c.session(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("link cannot be set up", "err", err)
			select {
			case <-ctx.Done():
			case <-c.memberChanged:
			case <-time.After(c.Pace.Every()):
			}
		}
	}
	return nil
}

// session logs in once and keeps the connection until ctx ends or the member
// document changes.
func (c *Controller) session(ctx context.Context) error {
	select {
	case <-c.memberChanged: // the member document read below is the new one
	default:
	}
	m, err := c.Member(ctx)
	if err != nil {
		return err
	}
	if m.Retired || len(m.Servers) == 0 { // no servers: documents come on a carrier only
		c.Log.Warn("link stopped: controller retired", "retired", m.Retired)
		select {
		case <-ctx.Done():
		case <-c.memberChanged:
		}
		return nil
	}
	conf, err := MemberTLS(m, c.Now, func() bool { return c.Clock() != playlist.ClockUntrusted })
	if err != nil {
		return err
	}
	login, up := c.Key.brokerKey(), make(chan struct{}, 1)
	var current currentExchange
	nc, err := dial(m.Servers, []nats.Option{
		nats.Secure(conf),
		nats.Name(string(m.Controller)),
		nats.UserJWT(
			func() (string, error) { return m.JWT, nil },
			func(nonce []byte) ([]byte, error) { return login.Sign(nonce) }),
		nats.CustomInboxPrefix(InboxPrefix(m.Controller)),
		nats.CustomReconnectDelay(c.Pace.Reconnect),
		nats.ConnectHandler(func(*nats.Conn) { c.Log.Info("link is up"); signal(up) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.Log.Info("link is up"); signal(up) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.Log.Warn("link is down", "err", err)
			}
			current.end() // no response can arrive any more
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.Log.Warn("broker error", "err", err) }),
	})
	if err != nil {
		return err
	}
	defer nc.Close()
	pushes := make(chan *nats.Msg, pushQueue)
	for _, s := range FollowedScopes(m.Follower()) {
		kinds := "*"
		if !m.Follower().Follows(s) {
			kinds = string(KindAlerts)
		}
		if _, err := nc.ChanSubscribe("st."+scopeToken(s)+"."+kinds, pushes); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { c.listen(ctx, pushes) })
	c.exchange(ctx, nc, m, up, &current)
	stop()
	wait.Wait()
	return nil
}

// listen accepts the documents that are pushed. Of those that wait together, it
// takes alerts before manifests.
func (c *Controller) listen(ctx context.Context, pushes <-chan *nats.Msg) {
	for {
		var some []*nats.Msg
		select {
		case <-ctx.Done():
			return
		case m := <-pushes:
			some = append(some, m)
		}
		for more := true; more; {
			select {
			case m := <-pushes:
				some = append(some, m)
			default:
				more = false
			}
		}
		kind := func(m *nats.Msg) int { return urgency(Kind(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])) }
		slices.SortStableFunc(some, func(a, b *nats.Msg) int { return cmp.Compare(kind(a), kind(b)) })
		for _, m := range some {
			if c.acceptAndLog(ctx, m.Data, "push") {
				signal(c.soon) // so that the county soon learns that the document arrived
			}
		}
	}
}

// currentExchange holds the cancel function of the exchange in progress. The
// exchange ends when its connection is lost; after the next connection its
// requests are sent again.
type currentExchange struct {
	mu   sync.Mutex
	stop context.CancelFunc
}

func (e *currentExchange) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop = stop
	return ctx, stop
}

func (e *currentExchange) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop != nil {
		e.stop()
	}
}

// exchangeTimer decides when the next exchange with the county is due.
type exchangeTimer struct {
	pace      Pace
	timer     *time.Timer
	next      time.Time // when timer fires
	connected bool      // the connection is new: its first exchange has not succeeded yet
	failed    int       // exchanges that failed since the last that succeeded
}

// in sets the time of the next exchange.
func (t *exchangeTimer) in(d time.Duration) {
	t.next = time.Now().Add(d)
	t.timer.Reset(d)
}

// within makes the next exchange come no later than after d.
func (t *exchangeTimer) within(d time.Duration) {
	if time.Until(t.next) > d {
		t.in(d)
	}
}

// ended sets the time of the next exchange by how the last one ended. After the
// first of a connection, and after each of three failures in a row, it comes
// soon.
func (t *exchangeTimer) ended(err error) {
	soon := false
	if err != nil {
		t.failed++
		soon = t.failed <= 3
	} else {
		soon = t.connected
		t.connected, t.failed = false, 0
	}
	if soon {
		t.in(t.pace.Again())
	} else {
		t.in(t.pace.Every())
	}
}

// exchange syncs and sends receipts until ctx ends or the member document
// changes.
func (c *Controller) exchange(ctx context.Context, nc *nats.Conn, m Member, up <-chan struct{}, current *currentExchange) {
	var (
		due   = exchangeTimer{pace: c.Pace, timer: time.NewTimer(time.Hour)}
		last  time.Time // when the last exchange ended
		woken bool
	)
	defer due.timer.Stop()
	c.localTold = ""  // the county may have lost it
	due.in(time.Hour) // the connection comes first
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.memberChanged:
			return
		case <-up:
			due.connected = true
		case <-c.wake:
			woken = true
			due.within(max(rand.N(c.Pace.Wake), c.Pace.Wake-time.Since(last)))
			continue
		case <-c.soon:
			due.within(c.Pace.Told())
			continue
		case <-due.timer.C:
		}
		bounded, stop := current.begin(ctx)
		if !nc.IsConnected() {
			stop()
			continue // until up reports the next connection
		}
		err := c.exchangeOnce(bounded, nc, m, woken)
		stop()
		if ctx.Err() != nil {
			return
		}
		last, woken = time.Now(), false
		if err != nil && due.failed == 0 {
			c.Log.Warn("no reply from the county", "err", err)
		}
		due.ended(err)
	}
}

// exchangeOnce syncs once and sends the receipts. If it was woken, it sends the
// receipts first as well, because a sync can be slow.
func (c *Controller) exchangeOnce(ctx context.Context, nc *nats.Conn, m Member, woken bool) error {
	bounded, cancel := context.WithTimeout(ctx, c.Pace.Answer)
	defer cancel()
	if err := nc.FlushWithContext(bounded); err != nil { // so that the broker has our subscriptions before we ask
		return err
	}
	if woken {
		if err := c.handIn(ctx, nc, m); err != nil {
			return err
		}
	}
	if err := c.sync(ctx, nc, m); err != nil {
		return err
	}
	return c.handIn(ctx, nc, m)
}

// request sends a request and waits for its response. It sends the request again
// if no response comes, because the edge that received it may have crashed; the
// first response to either counts.
func (c *Controller) request(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Pace.Answer)
	defer cancel()
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	for {
		if err := nc.PublishRequest(subject, inbox, body); err != nil {
			return nil, err
		}
		once, stop := context.WithTimeout(ctx, c.Pace.Repeat())
		m, err := answers.NextMsgWithContext(once)
		stop()
		switch {
		case err == nil:
			return m.Data, nil
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		}
	}
}

// sync asks the county for new documents until there are no more, and compares what
// it then has with what is in force.
func (c *Controller) sync(ctx context.Context, nc *nats.Conn, m Member) error {
	inForce, err := c.syncRounds(ctx, nc, m)
	if err != nil {
		return err
	}
	c.noteLags(inForce)
	if c.Synced != nil {
		c.Synced()
	}
	return nil
}

// syncRounds asks the county for new documents until there are no more. inForce are
// the documents that the last stamp names.
func (c *Controller) syncRounds(ctx context.Context, nc *nats.Conn, m Member) (inForce []Have, err error) {
	var want []Have
	for range maxRounds {
		q, shown, err := c.syncRequest(ctx, m, want)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		asked := time.Now()
		answer, err := c.request(ctx, nc, SyncSubject(m.Controller), pack(text))
		if err != nil {
			return nil, err
		}
		took := time.Since(asked)
		a, err := parseAnswer(answer)
		if err != nil {
			return nil, err
		}
		// Accept the documents before checking the stamp: a new trust document may
		// hold the key that signed it.
		news := false
		for _, raw := range a.Envelopes {
			news = c.acceptAndLog(ctx, raw, "sync") || news
		}
		s, err := c.applyStamp(ctx, a.Stamp, q, took)
		if news && a.More && errors.Is(err, ErrSignature) {
			continue // the trust document that holds the edge's key is still to come
		}
		if err != nil {
			return nil, err
		}
		inForce = s.InForce
		if q.Local != nil {
			c.localTold = string(q.Local)
		}
		for _, h := range shown { // only now: without a valid response the county may not have seen them
			c.shownAt[h] = time.Now()
		}
		want = slices.DeleteFunc(a.Want, func(h Have) bool { return time.Since(c.shownAt[h]) < proveAgain })
		if (!a.More || !news) && len(want) == 0 {
			break
		}
	}
	return inForce, nil
}

// syncRequest makes the next sync request. want are the documents that the county
// asked to see; shown are those of them that are in the request.
func (c *Controller) syncRequest(ctx context.Context, m Member, want []Have) (q SyncRequest, shown []Have, err error) {
	q = SyncRequest{
		Controller: m.Controller, Nonce: newNonce(), At: c.Now().UTC(), Clock: c.Clock(),
		Boot: c.Boot, MonoMS: c.Mono().Milliseconds(), Health: c.Health(ctx),
	}
	c.mu.Lock()
	for _, h := range c.held {
		q.Have = append(q.Have, h)
	}
	c.mu.Unlock()
	slices.SortFunc(q.Have, func(a, b Have) int {
		return cmp.Or(urgency(a.Kind)-urgency(b.Kind), cmp.Compare(a.Scope, b.Scope))
	})
	if len(q.Have) > maxHave {
		q.Have = q.Have[:maxHave]
	}
	if q.Marks, err = c.Store.Marks(ctx); err != nil {
		return q, nil, err
	}
	if len(q.Marks) > maxEpochs {
		q.Marks = q.Marks[:maxEpochs]
	}
	if q.Events, err = c.Store.Events(ctx, MaxEvents); err != nil {
		return q, nil, err
	}
	for i := range q.Events {
		q.Events[i] = truncated(q.Events[i])
	}
	if c.Local != nil {
		raw, err := localRules(c.Local(ctx))
		if err != nil {
			return q, nil, err
		}
		if string(raw) != c.localTold {
			q.Local = raw
		}
	}
	if len(want) == 0 {
		return q, shown, nil
	}
	docs, err := c.Store.Documents(ctx)
	if err != nil {
		return q, nil, err
	}
	size := 0
	for _, s := range docs {
		if !slices.Contains(want, s.Have) || size > 0 && size+len(s.Raw) > maxProof {
			continue
		}
		size += len(s.Raw)
		q.Proof = append(q.Proof, s.Raw)
		shown = append(shown, s.Have)
	}
	return q, shown, nil
}

// localRules encodes a site's rules, without its slots if they are too long with them, and
// without its exceptions if they still are.
func localRules(l playlist.Local) ([]byte, error) {
	raw, err := json.Marshal(l)
	if err == nil && len(raw) > maxLocal {
		l.Slots, l.More = nil, l.More+len(l.Slots)
		raw, err = json.Marshal(l)
	}
	if err == nil && len(raw) > maxLocal {
		l.Exceptions = nil
		raw, err = json.Marshal(l)
	}
	return raw, err
}

// truncated returns an event, cut to the protocol's size limit if it is larger: it
// then loses its attributes and the end of its message.
func truncated(e Event) Event {
	if b, err := json.Marshal(e); err == nil && len(b) <= maxEventSize {
		return e
	}
	e.Attrs = map[string]any{"cut": true}
	e.Message = e.Message[:min(len(e.Message), maxEventSize/4)]
	e.Message = strings.ToValidUTF8(e.Message, "")
	return e
}

// applyStamp verifies the stamp in the response to a sync and acts on it.
func (c *Controller) applyStamp(ctx context.Context, raw []byte, q SyncRequest, took time.Duration) (Stamp, error) {
	s, err := OpenStamp(raw, c.trusted(), q.Controller, q.Nonce)
	if err != nil {
		return s, err
	}
	if c.timely(s.Time) && c.Time != nil {
		c.Time(s.Time, took)
	}
	if s.Refused != "" {
		return s, fault{refusal(s.Refused), say.M("link.refused", s.Refused)}
	}
	for _, mine := range q.Marks {
		for _, theirs := range s.Marks {
			if theirs.Epoch != mine.Epoch || theirs.Seq == mine.Seq {
				continue
			}
			if theirs.Seq < mine.Seq {
				c.Log.Warn("county lost receipts, sending them again", "epoch", mine.Epoch, "had", mine.Seq, "has", theirs.Seq)
			}
			if err := c.Store.SetMark(ctx, theirs); err != nil {
				return s, err
			}
		}
	}
	if n := len(q.Events); n > 0 && s.Events >= q.Events[n-1].ID {
		return s, c.Store.EventsSent(ctx, q.Events[n-1].ID)
	}
	return s, nil
}

// refusal returns the error for the Refused field of a stamp.
func refusal(why string) error {
	switch why {
	case "disabled":
		return ErrDisabled
	case "unknown":
		return ErrUnknown
	case "gap":
		return ErrGap
	case "taken":
		return ErrTaken
	}
	return ErrRefused
}

func (c *Controller) trusted() Trust {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust
}

// handIn sends receipts to the county, one batch at a time, until none are left.
func (c *Controller) handIn(ctx context.Context, nc *nats.Conn, m Member) error {
	gaps, taken := 0, 0
	for {
		b, e, err := c.batch(ctx, m, newNonce(), Mark{})
		if err != nil || len(b.Receipts) == 0 {
			return err
		}
		answer, err := c.request(ctx, nc, ReceiptSubject(m.Controller), e.Bytes())
		if err != nil {
			return err
		}
		s, err := OpenStamp(answer, c.trusted(), m.Controller, b.Nonce)
		if err != nil {
			return err
		}
		mark, ok := s.mark(b.Epoch)
		if ok {
			if err := c.setAside(ctx, s.Aside, mark); err != nil {
				return err
			}
			if err := c.Store.SetMark(ctx, mark); err != nil {
				return err
			}
		}
		last := b.Receipts[len(b.Receipts)-1].Row.Seq
		switch {
		case s.Refused == "gap" && ok && gaps < 3:
			gaps++
			c.Log.Warn("county lacks earlier receipts, sending them again", "epoch", b.Epoch, "has", mark.Seq)
		case s.Refused == "taken" && taken < maxEpochs:
			taken++
			if err := c.renumber(ctx, b.Epoch); err != nil {
				return err
			}
		case s.Refused != "":
			return fault{refusal(s.Refused), say.M("link.refused", s.Refused)}
		case !ok || mark.Seq < last:
			return fmt.Errorf("%w: a mark of %d after receipt %d", ErrMalformed, mark.Seq, last)
		}
	}
}

// renumber begins a new epoch with the receipts of one that are not acknowledged.
func (c *Controller) renumber(ctx context.Context, epoch string) error {
	c.Log.Error("county has other receipts under these numbers, sending them under new ones: "+
		"another controller uses a copy of this one's card, or the store here is an old copy", "epoch", epoch)
	return c.Store.Renumber(ctx, epoch)
}

// setAside records and logs the receipts that the county cannot keep. The caller
// does so before it moves the mark past them.
func (c *Controller) setAside(ctx context.Context, all []Refused, mark Mark) error {
	for _, r := range all {
		if r.Epoch != mark.Epoch || r.Seq > mark.Seq {
			continue
		}
		if err := c.Store.SetAside(ctx, r); err != nil {
			return err
		}
		c.Log.Error("county cannot store a receipt, it is set aside", "epoch", r.Epoch, "seq", r.Seq, "err", r.Why)
	}
	return nil
}

// batch returns the next receipts after a mark, and the signed envelope with them.
// If they do not fit into one envelope, it takes fewer; if even one does not fit or
// cannot be encoded, it sends its number only, see [Controller.stripUnsendable].
func (c *Controller) batch(ctx context.Context, m Member, nonce string, after Mark) (Batch, Envelope, error) {
	some, err := c.Store.Batch(ctx, after, MaxBatch)
	b := Batch{Controller: m.Controller, Nonce: nonce, Epoch: some.Epoch, Gone: some.Gone}
	for _, r := range some.Receipts {
		b.Receipts = append(b.Receipts, Receipt{Receipt: r})
	}
	if err != nil || len(b.Receipts) == 0 {
		return b, Envelope{}, err
	}
	for stripped := false; ; {
		e, err := SealBatch(b, c.Key)
		switch n := len(b.Receipts); {
		case err == nil:
			return b, e, nil
		case errors.Is(err, ErrOversized) && n > 1:
			b.Receipts = b.Receipts[:n/2]
		case !stripped:
			stripped = true
			c.stripUnsendable(b)
		default:
			return b, e, err
		}
	}
}

// stripUnsendable removes everything but the number from the receipts that cannot
// be sent. The county cannot keep such a receipt and reports it as refused, so that
// the receipts after it can follow.
func (c *Controller) stripUnsendable(b Batch) {
	for i, r := range b.Receipts {
		text, err := json.Marshal(r)
		if err == nil && len(b.Receipts) > 1 { // a single receipt is here because it is too large
			continue
		}
		c.Log.Error("receipt cannot be sent", "epoch", b.Epoch, "seq", r.Row.Seq, "airing", r.Row.Airing, "bytes", len(text), "err", err)
		b.Receipts[i] = Receipt{Receipt: asrun.Receipt{Row: asrun.Row{Seq: r.Row.Seq}}}
	}
}

// mark returns the mark of an epoch, if the stamp has one.
func (s Stamp) mark(epoch string) (Mark, bool) {
	i := slices.IndexFunc(s.Marks, func(m Mark) bool { return m.Epoch == epoch })
	if i < 0 {
		return Mark{}, false
	}
	return s.Marks[i], true
}
