package link

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

// Pace is how a controller times itself. The zero Pace is the protocol's.
type Pace struct {
	Again     func() time.Duration            // from the first sync of a connection to the second: 5 to 10 s
	Every     func() time.Duration            // from one to the next: 60 s, half more or less
	Wake      time.Duration                   // from one exchange to one that was asked for, and jitter: 1 s
	Told      func() time.Duration            // from a push to telling of it: up to 3 s, so that not all do at once
	Answer    time.Duration                   // waited for: 2 min
	Repeat    func() time.Duration            // from a question to the same once more, while no answer has come: 30 to 60 s
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
	maxRounds  = 32        // of one exchange
	maxProof   = 512 << 10 // bytes of documents shown in one sync
	proveAgain = time.Hour // before a document is shown once more
	pushQueue  = 256
)

// Controller is the controller's end of the link. Its fields are set before
// Run and left alone after; Health, Clock, Boot, Mono, Store, Key and Log must
// be given.
type Controller struct {
	Key   *Key
	Store ControllerStore
	Log   *slog.Logger

	Health func(context.Context) Health
	Clock  func() playlist.ClockState
	Boot   string
	Mono   func() time.Duration
	Now    func() time.Time // default time.Now
	Pace   Pace

	// Time is told what time the county had, and how long the question and
	// its answer took together. It is signed, and an answer to a question
	// asked just now.
	Time func(county time.Time, roundTrip time.Duration)

	// Accepted is told of each document after the store has kept it, and
	// before the bytes of its inline clips are put away. It is to be quick, and
	// of the controller it may call nothing but Wake.
	Accepted func(Document)

	once  sync.Once
	wake  chan struct{}
	told  chan struct{} // something was pushed
	moved chan struct{}

	mu     sync.Mutex // one document at a time
	loaded bool
	trust  Trust
	member Member
	held   map[docKey]Have

	proved map[Have]time.Time // of the exchanging goroutine
}

type docKey struct {
	kind  Kind
	scope playlist.Scope
}

func (h Have) key() docKey { return docKey{h.Kind, h.Scope} }

func (c *Controller) init() {
	c.once.Do(func() {
		c.wake, c.told, c.moved = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
		c.held, c.proved = map[docKey]Have{}, map[Have]time.Time{}
		if c.Now == nil {
			c.Now = time.Now
		}
		c.Pace = c.Pace.filled()
	})
}

// Wake says that there is something to tell: a receipt, a manifest in force.
// It never waits; telling does, a second or so, so that it comes no more often
// and not from all villages at once.
func (c *Controller) Wake() {
	c.init()
	signal(c.wake)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// load reads what the store has, once.
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
			// It was verified when it was kept; there is nothing to do so by now.
			err = e.open(&c.trust)
		case KindMember:
			err = e.open(&c.member)
		}
		if err != nil {
			c.Log.Error("stored document damaged", "kind", s.Kind, "scope", s.Scope, "err", err)
			continue
		}
		// A member document outlives its signer, so that a login is left; its
		// version does not.
		if s.Kind == KindTrust || c.trust.Verify(e, s.Kind.Role()) == nil {
			c.held[s.key()] = s.Have
		}
		if s.Kind == KindAlerts {
			c.keepInline(ctx, s.Raw)
		}
	}
	if len(c.trust.Roles) == 0 || c.member.Controller == "" {
		return fault{ErrNoTrust, say.M("link.no_trust")}
	}
	c.loaded = true
	return nil
}

// keepInline puts clips of alerts away that a power cut kept from it.
func (c *Controller) keepInline(ctx context.Context, raw []byte) {
	d, err := Open(raw, c.trust)
	if err != nil {
		return
	}
	c.putInline(ctx, d)
}

func (c *Controller) putInline(ctx context.Context, d Document) {
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

// Member is who the controller is, as it was last told.
func (c *Controller) Member(ctx context.Context) (Member, error) {
	err := c.load(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.member, err
}

func urgency(k Kind) int { return slices.Index(Kinds, k) }

// Take decides about an envelope, whatever carried it, and keeps it where it
// is to be taken. Errors are those of [Accept], or the store's.
func (c *Controller) Take(ctx context.Context, raw []byte) (Document, error) {
	if err := c.load(ctx); err != nil {
		return Document{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := Accept(raw, c.trust, c.member.Follower(), func(k Kind, s playlist.Scope) (Have, bool) {
		h, ok := c.held[docKey{k, s}]
		return h, ok
	})
	if err != nil {
		return d, err
	}
	var gone []Have
	if d.Trust != nil {
		if gone, err = lapsed(ctx, c.Store, *d.Trust); err != nil {
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
	for _, h := range gone {
		delete(c.held, h.key())
	}
	c.held[d.key()] = d.Have
	switch {
	case d.Trust != nil:
		c.trust = *d.Trust
	case d.Member != nil:
		c.member = *d.Member
		signal(c.moved)
	}
	if c.Accepted != nil {
		c.Accepted(d)
	}
	c.putInline(ctx, d)
	return d, nil
}

// lapsed are the documents held that a new trust document does not cover.
func lapsed(ctx context.Context, store ControllerStore, t Trust) ([]Have, error) {
	docs, err := store.Documents(ctx)
	if err != nil {
		return nil, err
	}
	var all []Have
	for _, s := range docs {
		if !t.covers(s.Kind, s.Raw) {
			all = append(all, s.Have)
		}
	}
	return all, nil
}

// take is [Controller.Take] for what nobody waits for.
func (c *Controller) take(ctx context.Context, raw []byte, by string) bool {
	d, err := c.Take(ctx, raw)
	log := c.Log.With("by", by, "kind", d.Kind, "scope", d.Scope, "version", d.Version)
	switch {
	case err == nil:
		log.Info("document accepted")
	case errors.Is(err, ErrReplayed):
		log.Debug("document repeated")
	case ctx.Err() != nil:
	default:
		log.Warn("document refused", "bytes", len(raw), "err", err)
	}
	return err == nil
}

// Run keeps the link up until ctx ends, and comes back only then, save where
// the store cannot be read or the controller was never enrolled.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.load(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := c.session(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("link cannot be set up", "err", err)
			select {
			case <-ctx.Done():
			case <-c.moved:
			case <-time.After(c.Pace.Every()):
			}
		}
	}
	return nil
}

// session is one login: it ends with ctx, or once the member document has
// changed.
func (c *Controller) session(ctx context.Context) error {
	select {
	case <-c.moved: // what follows knows of it
	default:
	}
	m, err := c.Member(ctx)
	if err != nil {
		return err
	}
	if m.Retired || len(m.Servers) == 0 { // or the county comes by stick alone
		c.Log.Warn("link stopped: controller retired", "retired", m.Retired)
		select {
		case <-ctx.Done():
		case <-c.moved:
		}
		return nil
	}
	conf, err := MemberTLS(m, c.Now, func() bool { return c.Clock() != playlist.ClockUntrusted })
	if err != nil {
		return err
	}
	login, up := c.Key.broker(), make(chan struct{}, 1)
	var talk talking
	nc, err := dial(m.Servers, conf, []nats.Option{
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
			talk.end() // nobody will answer
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.Log.Warn("broker error", "err", err) }),
	})
	if err != nil {
		return err
	}
	defer nc.Close()
	pushes := make(chan *nats.Msg, pushQueue)
	for _, s := range FollowedScopes(m.Follower()) {
		if _, err := nc.ChanSubscribe("st."+scopeToken(s)+".*", pushes); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { c.listen(ctx, pushes) })
	c.exchange(ctx, nc, m, up, &talk)
	stop()
	wait.Wait()
	return nil
}

// listen takes what is pushed, alerts before manifests.
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
			if c.take(ctx, m.Data, "push") {
				signal(c.told) // the county follows delivery
			}
		}
	}
}

// talking is an exchange that ends where its connection does: after the next
// one has been made the questions are asked anew.
type talking struct {
	mu   sync.Mutex
	stop context.CancelFunc
}

func (t *talking) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = stop
	return ctx, stop
}

func (t *talking) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
}

// exchange syncs and hands in receipts until ctx ends or the member document
// changes.
func (c *Controller) exchange(ctx context.Context, nc *nats.Conn, m Member, up <-chan struct{}, talk *talking) {
	var (
		timer   = time.NewTimer(time.Hour)
		next    time.Time
		last    time.Time
		again   bool // the next sync is the first of this connection
		woken   bool
		failing int
	)
	defer timer.Stop()
	due := func(d time.Duration) {
		next = time.Now().Add(d)
		timer.Reset(d)
	}
	within := func(d time.Duration) {
		if time.Until(next) > d {
			due(d)
		}
	}
	due(time.Hour) // up comes first
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.moved:
			return
		case <-up:
			again = true
		case <-c.wake:
			woken = true
			within(max(rand.N(c.Pace.Wake), c.Pace.Wake-time.Since(last)))
			continue
		case <-c.told:
			within(c.Pace.Told())
			continue
		case <-timer.C:
		}
		bounded, stop := talk.begin(ctx)
		if !nc.IsConnected() {
			stop()
			continue // up will tell
		}
		err := c.talk(bounded, nc, m, woken)
		stop()
		last, woken = time.Now(), false
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failing++; failing == 1 {
				c.Log.Warn("no reply from the county", "err", err)
			}
			if failing <= 3 {
				due(c.Pace.Again())
			} else {
				due(c.Pace.Every())
			}
		case again:
			again, failing = false, 0
			due(c.Pace.Again())
		default:
			failing = 0
			due(c.Pace.Every())
		}
	}
}

// talk is one exchange. Receipts that woke it go first: a sync can be slow.
func (c *Controller) talk(ctx context.Context, nc *nats.Conn, m Member, woken bool) error {
	bounded, cancel := context.WithTimeout(ctx, c.Pace.Answer)
	defer cancel()
	if err := nc.FlushWithContext(bounded); err != nil { // what is subscribed is so by now
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

// ask sends a question and waits for its answer. It repeats the question, since
// the edge that took it may have died over it; an answer to either is good.
func (c *Controller) ask(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
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

// sync asks what is new until nothing more is.
func (c *Controller) sync(ctx context.Context, nc *nats.Conn, m Member) error {
	var want []Have
	for range maxRounds {
		q, shown, err := c.question(ctx, m, want)
		if err != nil {
			return err
		}
		text, err := json.Marshal(q)
		if err != nil {
			return err
		}
		asked := time.Now()
		answer, err := c.ask(ctx, nc, SyncSubject(m.Controller), pack(text))
		if err != nil {
			return err
		}
		took := time.Since(asked)
		a, err := parseAnswer(answer)
		if err != nil {
			return err
		}
		// First what is new: the stamp's key may be.
		news := false
		for _, raw := range a.Envelopes {
			news = c.take(ctx, raw, "sync") || news
		}
		if err := c.heed(ctx, a.Stamp, q, took); err != nil {
			return err
		}
		for _, h := range shown { // and answered: a question may be lost, or put off
			c.proved[h] = time.Now()
		}
		want = slices.DeleteFunc(a.Want, func(h Have) bool { return time.Since(c.proved[h]) < proveAgain })
		if (!a.More || !news) && len(want) == 0 {
			return nil
		}
	}
	return nil
}

// question is what the next sync tells, and which documents it shows.
func (c *Controller) question(ctx context.Context, m Member, want []Have) (q SyncRequest, shown []Have, err error) {
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
		q.Events[i] = q.Events[i].fitted()
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

// fitted is the event within the protocol's bound: one that says too much
// loses what it says beside its message.
func (e Event) fitted() Event {
	if b, err := json.Marshal(e); err == nil && len(b) <= maxEventSize {
		return e
	}
	e.Attrs = map[string]any{"cut": true}
	e.Message = e.Message[:min(len(e.Message), maxEventSize/4)]
	e.Message = strings.ToValidUTF8(e.Message, "")
	return e
}

// heed acts on a stamp that answers a sync.
func (c *Controller) heed(ctx context.Context, raw []byte, q SyncRequest, took time.Duration) error {
	s, err := OpenStamp(raw, c.trusted(), q.Controller, q.Nonce)
	if err != nil {
		return err
	}
	if c.Time != nil {
		c.Time(s.Time, took)
	}
	if s.Refused != "" {
		return fault{refusal(s.Refused), say.M("link.refused", s.Refused)}
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
				return err
			}
		}
	}
	if n := len(q.Events); n > 0 && s.Events >= q.Events[n-1].ID {
		return c.Store.EventsSent(ctx, q.Events[n-1].ID)
	}
	return nil
}

func refusal(why string) error {
	switch why {
	case "disabled":
		return ErrDisabled
	case "unknown":
		return ErrUnknown
	case "gap":
		return ErrGap
	}
	return ErrRefused
}

func (c *Controller) trusted() Trust {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust
}

// handIn sends receipts, one batch in flight, until none is left.
func (c *Controller) handIn(ctx context.Context, nc *nats.Conn, m Member) error {
	gaps := 0
	for {
		b, e, err := c.batch(ctx, m, newNonce(), Mark{})
		if err != nil || len(b.Receipts) == 0 {
			return err
		}
		answer, err := c.ask(ctx, nc, ReceiptSubject(m.Controller), e.Bytes())
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
		case s.Refused != "":
			return fault{refusal(s.Refused), say.M("link.refused", s.Refused)}
		case !ok || mark.Seq < last:
			return fmt.Errorf("%w: a mark of %d after receipt %d", ErrMalformed, mark.Seq, last)
		}
	}
}

// setAside notes receipts of an epoch that the county cannot keep, before its
// mark passes them.
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

// batch is the next receipts after a mark, and as they go to the county.
func (c *Controller) batch(ctx context.Context, m Member, nonce string, after Mark) (Batch, Envelope, error) {
	epoch, gone, some, err := c.Store.Outbox(ctx, after, MaxBatch)
	b := Batch{Controller: m.Controller, Nonce: nonce, Epoch: epoch, Gone: gone, Receipts: some}
	if err != nil || len(some) == 0 {
		return b, Envelope{}, err
	}
	for bare := false; ; {
		e, err := SealBatch(b, c.Key)
		switch n := len(b.Receipts); {
		case err == nil:
			return b, e, nil
		case errors.Is(err, ErrOversized) && n > 1:
			b.Receipts = b.Receipts[:n/2]
		case !bare:
			bare = true
			c.bare(b)
		default:
			return b, e, err
		}
	}
}

// bare leaves of receipts that cannot be sent their numbers alone. The county
// cannot keep those, and says so: the others are to follow.
func (c *Controller) bare(b Batch) {
	for i, r := range b.Receipts {
		text, err := json.Marshal(r)
		if err == nil && len(b.Receipts) > 1 { // one alone may be too large
			continue
		}
		c.Log.Error("receipt cannot be sent", "epoch", b.Epoch, "seq", r.Row.Seq, "airing", r.Row.Airing, "bytes", len(text), "err", err)
		b.Receipts[i] = Receipt{Receipt: asrun.Receipt{Row: asrun.Row{Seq: r.Row.Seq}}}
	}
}

func (s Stamp) mark(epoch string) (Mark, bool) {
	i := slices.IndexFunc(s.Marks, func(m Mark) bool { return m.Epoch == epoch })
	if i < 0 {
		return Mark{}, false
	}
	return s.Marks[i], true
}
