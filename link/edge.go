package link

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/playlist"
)

const (
	edgeWorkers = 16
	edgeQueue   = 16384
	answerSize  = 192 << 10 // bytes of envelopes in one response: with small ones a slow line makes progress
)

// Edge is the county's end that responds to controllers. Any number of edges may
// run at once: the broker gives each request to one of them.
type Edge struct {
	Conn  *nats.Conn // as the user "edge"
	Store EdgeStore
	Key   Signer // of role edge
	Log   *slog.Logger

	Now     func() time.Time // default time.Now
	Workers int              // requests handled at once; default 16

	coverage coverage
	refusals Tally
}

func (e *Edge) now() time.Time {
	if e.Now == nil {
		return time.Now().UTC()
	}
	return e.Now().UTC()
}

// Run responds to controllers until ctx ends. It leaves the connection open.
func (e *Edge) Run(ctx context.Context) error {
	questions := make(chan *nats.Msg, edgeQueue)
	for _, subject := range []string{SyncSubject("*"), ReceiptSubject("*")} {
		s, err := e.Conn.ChanQueueSubscribe(subject, "edge", questions)
		if err != nil {
			return err
		}
		defer func() { _ = s.Unsubscribe() }()
	}
	defer e.refusals.Flush()
	turns := newTurns()
	defer context.AfterFunc(ctx, turns.end)()
	var wait sync.WaitGroup
	for range max(1, cmp.Or(e.Workers, edgeWorkers)) {
		wait.Go(func() {
			for {
				m, sender, ok := turns.next(ctx)
				if !ok {
					return
				}
				turns.done(m, sender, e.respond(ctx, m))
			}
		})
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case m := <-questions:
			e.enqueue(turns, m)
		}
	}
	wait.Wait()
	return nil
}

// isSync reports whether a request is a sync; the others are receipts.
func isSync(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, "sync.") }

// sentBy returns the controller that sent a request: the broker lets each one publish
// on subjects of its own only.
func sentBy(m *nats.Msg) playlist.ControllerID {
	_, name, _ := strings.Cut(m.Subject, ".")
	return playlist.ControllerID(name)
}

// enqueue lets a request wait for its turn. It drops a request that the edge must not
// respond to, and those of a controller that sends too many, and looks into none.
func (e *Edge) enqueue(turns *turns, m *nats.Msg) {
	id := sentBy(m)
	// If the edge replied to any subject, a controller could make it publish to
	// another controller's inbox, or to st.>.
	if !playlist.IsToken(string(id)) || !strings.HasPrefix(m.Reply, InboxPrefix(id)+".") {
		e.refuse(m, "request refused: reply subject of another controller", nil, "reply", m.Reply)
		return
	}
	if err := turns.put(id, m); err != nil {
		e.refuse(m, "request refused", err)
	}
}

// refuse logs a request that is refused.
func (e *Edge) refuse(m *nats.Msg, message string, err error, args ...any) {
	id := sentBy(m)
	e.refusals.Warn(e.Log, string(id), message, err, append([]any{"controller", id, "subject", m.Subject, "bytes", len(m.Data)}, args...)...)
}

// respond handles one request and sends the response. A request that names a
// controller other than its sender gets no response. bytes is how long the request,
// unpacked, and the response are.
func (e *Edge) respond(ctx context.Context, m *nats.Msg) (bytes int) {
	reply := e.receipts
	if isSync(m) {
		reply = e.sync
	}
	body, bytes, err := reply(ctx, sentBy(m), m.Data)
	switch {
	case ctx.Err() != nil:
		return bytes
	case err != nil:
		e.refuse(m, "request refused", err)
	}
	if body == nil {
		return bytes
	}
	if err := m.Respond(body); err != nil {
		e.refuse(m, "reply not sent", err)
	}
	return bytes + len(body)
}

// stamp adds the time to a stamp and signs it.
func (e *Edge) stamp(s Stamp) ([]byte, error) {
	s.Time = e.now()
	env, err := Seal(TypeStamp, s, e.Key)
	if err != nil {
		return nil, err
	}
	return env.Bytes(), nil
}

// admit returns the controller if the county knows it and has not disabled it.
// Otherwise why is for the Refused field of the stamp.
func (e *Edge) admit(ctx context.Context, id playlist.ControllerID) (reg Registered, why string, err error) {
	reg, err = e.Store.Registered(ctx, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return reg, "unknown", err
	case err != nil:
		return reg, "later", err
	case reg.Disabled:
		return reg, "disabled", ErrDisabled
	}
	return reg, "", nil
}

// sync responds to a sync request. size is how long the request is, unpacked.
func (e *Edge) sync(ctx context.Context, id playlist.ControllerID, body []byte) (answer []byte, size int, err error) {
	q, size, err := parseSync(body)
	if err != nil {
		return nil, size, err
	}
	if q.Controller != id {
		return nil, size, ErrImposter
	}
	a, s, err := e.handleSync(ctx, q)
	s.Controller, s.Nonce = id, q.Nonce
	stamp, serr := e.stamp(s)
	if serr != nil {
		return nil, size, errors.Join(err, serr)
	}
	a.Stamp = stamp
	text, merr := json.Marshal(a)
	return pack(text), size, errors.Join(err, merr)
}

// handleSync finds the documents that a controller lacks and records what it
// reported. If the county cannot record all of it, the controller is told to come
// later, but it gets the documents: a new trust document may be what mends the fault.
func (e *Edge) handleSync(ctx context.Context, q SyncRequest) (a SyncAnswer, s Stamp, err error) {
	reg, why, err := e.admit(ctx, q.Controller)
	if err != nil {
		return a, Stamp{Refused: why}, err
	}
	later := func(err error) (SyncAnswer, Stamp, error) { return SyncAnswer{}, Stamp{Refused: "later"}, err }
	lost := e.restoreDocuments(ctx, reg, q)
	d, err := e.compareDocuments(ctx, reg.Follower, q.Have)
	if err != nil {
		return later(errors.Join(lost, err))
	}
	a.Want = d.want
	if slices.Contains(q.Health.Understands, stampInForce) {
		s.InForce = d.inForce
	}
	if a.Envelopes, a.More, err = e.envelopes(ctx, d.newer); err != nil {
		return later(errors.Join(lost, err))
	}
	err = lost
	if err == nil {
		err = e.record(ctx, q, &s)
	}
	if err != nil {
		s = Stamp{Refused: "later", InForce: s.InForce}
	}
	return a, s, err
}

// record records what a controller reported, and puts into the stamp what the county
// has of it.
func (e *Edge) record(ctx context.Context, q SyncRequest, s *Stamp) (err error) {
	epochs := make([]string, 0, len(q.Marks))
	for _, m := range q.Marks {
		epochs = append(epochs, m.Epoch)
	}
	if s.Marks, err = e.Store.Marks(ctx, q.Controller, epochs); err != nil {
		return err
	}
	// What the county has above the controller's mark may have come from a copy of the
	// controller's store. The controller sends its own receipts, and those are compared.
	for i := range s.Marks {
		for _, mine := range q.Marks {
			if mine.Epoch == s.Marks[i].Epoch {
				s.Marks[i].Seq = min(s.Marks[i].Seq, mine.Seq)
			}
		}
	}
	q.Proof = nil // restoreDocuments has used it
	q.Have = slices.DeleteFunc(slices.Clone(q.Have), func(h Have) bool { return !playlist.IsVersion(h.Version) })
	if err := e.Store.Seen(ctx, Seen{At: e.now(), Request: q}); err != nil {
		return err
	}
	if n := len(q.Events); n > 0 {
		s.Events = q.Events[n-1].ID
	}
	return nil
}

// comparison is what differs between the documents in force for a controller and
// those that it has.
type comparison struct {
	inForce []Have // those that the controller is to have in the end, the most urgent first
	newer   []Have // those that it lacks, in the order in which it must accept them
	want    []Have // those that it has and the county does not know
}

// compareDocuments compares the documents in force for a controller with those
// that it has. What the trust document in force does not cover is in neither inForce
// nor newer: every controller would refuse it until it is signed again. Of trust
// documents the controller gets all versions after its own, because each is verified
// by the one before.
func (e *Edge) compareDocuments(ctx context.Context, who playlist.Follower, have []Have) (d comparison, err error) {
	all, err := e.Store.Versions(ctx, who)
	if err != nil {
		return d, err
	}
	all = slices.DeleteFunc(all, func(h Have) bool { return !concerns(who, h) })
	slices.SortStableFunc(all, func(a, b Have) int {
		return cmp.Or(urgency(a.Kind)-urgency(b.Kind), b.Scope.Narrowness()-a.Scope.Narrowness(), cmp.Compare(a.Version, b.Version))
	})
	theirs := map[docKey]Have{}
	for _, h := range have {
		theirs[h.key()] = h
	}
	var trust Have // the one in force
	for i, h := range all {
		t, has := theirs[h.key()]
		if h.Kind == KindTrust {
			if trust = h; i+1 < len(all) && all[i+1].Kind == KindTrust {
				if has && t.Version < h.Version {
					d.newer = append(d.newer, h)
				}
				continue
			}
		}
		delete(theirs, h.key())
		covered, err := e.covered(ctx, trust, h)
		if err != nil {
			return d, err
		}
		if covered && len(d.inForce) < maxHave {
			d.inForce = append(d.inForce, h)
		}
		switch {
		case t.Version > playlist.MaxVersion: // release 0.1 accepted it; it stays there until its key loses the role
		case !has || t.Version < h.Version:
			if covered {
				d.newer = append(d.newer, h)
			}
		case t.Version > h.Version || t.Digest != h.Digest:
			d.want = append(d.want, t)
		}
	}
	for _, t := range theirs { // the county has no document of this kind and scope
		if urgency(t.Kind) >= 0 && concerns(who, t) && playlist.IsVersion(t.Version) {
			d.want = append(d.want, t)
		}
	}
	return d, nil
}

// coverage remembers which documents the trust document in force covers, so that an
// edge verifies each once and not at every sync.
type coverage struct {
	mu    sync.Mutex
	trust Have // the map is for this one
	known map[Have]bool
}

// maxCovered is how many documents a coverage remembers.
const maxCovered = 1 << 16

// covered reports whether the trust document in force covers a document.
func (e *Edge) covered(ctx context.Context, trust, h Have) (bool, error) {
	if h.Kind == KindTrust {
		return true, nil
	}
	c := &e.coverage
	c.mu.Lock()
	if c.trust != trust || len(c.known) >= maxCovered {
		c.trust, c.known = trust, map[Have]bool{}
	}
	ok, known := c.known[h]
	c.mu.Unlock()
	if known {
		return ok, nil
	}
	raw, err := e.Store.Envelope(ctx, h)
	if err != nil {
		return false, err
	}
	t, err := e.Store.Trust(ctx)
	if err != nil {
		return false, err
	}
	ok = t.Covers(h.Kind, raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trust == trust {
		c.known[h] = ok
	}
	return ok, nil
}

// envelopes reads the envelopes of documents that a controller lacks, up to
// answerSize bytes but at least one. more reports that some were left out: all that
// follow a trust document that did not fit, because it may be needed to verify them.
func (e *Edge) envelopes(ctx context.Context, newer []Have) (raws []json.RawMessage, more bool, err error) {
	size := 0
	for _, h := range newer {
		raw, err := e.Store.Envelope(ctx, h)
		if err != nil {
			return nil, false, err
		}
		if size > 0 && size+len(raw) > answerSize {
			if more = true; h.Kind == KindTrust {
				return raws, more, nil
			}
			continue
		}
		size += len(raw)
		raws = append(raws, raw)
	}
	return raws, more, nil
}

// concerns reports whether a document is for the controller.
func concerns(who playlist.Follower, h Have) bool {
	switch h.Kind {
	case KindTrust:
		return true
	case KindMember:
		return h.Scope == playlist.ControllerScope(who.ID)
	case KindAlerts:
		return who.FollowsAlerts(h.Scope)
	}
	return who.Follows(h.Scope)
}

// restoreDocuments verifies the documents that a controller shows because the
// county lost them, and gives them back to the store. It takes only those that the
// county asks for when it compares what the controller says that it has with what is
// in force, each once. The comparison is made again here because another edge may
// have asked.
func (e *Edge) restoreDocuments(ctx context.Context, reg Registered, q SyncRequest) error {
	if len(q.Proof) == 0 {
		return nil
	}
	asked, err := e.compareDocuments(ctx, reg.Follower, q.Have)
	if err != nil {
		return err
	}
	t, err := e.Store.Trust(ctx)
	if err != nil {
		return err
	}
	log := e.Log.With("controller", q.Controller)
	want, size, others := asked.want, 0, 0
	for _, raw := range q.Proof { // trust comes first: the others may need it
		_, d, err := identify(raw)
		i := slices.IndexFunc(want, func(h Have) bool { return h.Kind == d.Kind && h.Digest == d.Digest })
		if err != nil || i < 0 || size > 0 && size+len(raw) > maxProof {
			others++
			continue
		}
		size += len(raw)
		h := want[i]
		want = slices.Delete(want, i, i+1)
		d, err = Open(raw, t)
		switch {
		case h.Kind == KindTrust && err != nil:
			e.refusals.add(log, slog.LevelError, string(q.Controller), "trust document of a controller cannot be verified: versions in between are missing here",
				err, "version", h.Version, "has", t.Version)
			continue
		case err != nil || d.Have != h:
			e.refusals.Warn(log, string(q.Controller), "document from controller invalid", err, "kind", h.Kind, "scope", h.Scope)
			continue
		}
		if d.Trust != nil {
			t = *d.Trust
		}
		log.Error("county lost a document, restored from a controller", "kind", d.Kind, "scope", d.Scope, "version", d.Version)
		if err := e.Store.Recover(ctx, d); err != nil {
			return err
		}
	}
	if others > 0 {
		log.Info("documents from controller dropped: not asked for", "documents", others)
	}
	return nil
}

// receipts responds to a batch of receipts. size is how long the batch is, unpacked.
func (e *Edge) receipts(ctx context.Context, id playlist.ControllerID, body []byte) (answer []byte, size int, err error) {
	env, err := ParseEnvelope(body)
	if err != nil {
		return nil, len(body), err
	}
	reg, why, err := e.admit(ctx, id)
	s := Stamp{Controller: id, Refused: why}
	if err == nil {
		var b Batch
		b, size, err = openBatch(env, reg.Key)
		if b.Controller != id {
			return nil, size, errors.Join(ErrImposter, err)
		}
		s.Nonce = b.Nonce
		s, err = e.commitBatch(ctx, s, b, err)
	} else if n, nerr := nonceOf(env); nerr == nil {
		s.Nonce = n
	}
	answer, serr := e.stamp(s)
	return answer, size, errors.Join(err, serr)
}

// nonceOf reads the nonce of a batch that [Edge.admit] refused, without verifying
// its signature. The response needs the nonce, so that the sender learns that it is
// refused.
func nonceOf(env Envelope) (string, error) {
	var b struct {
		Nonce string `json:"nonce"`
	}
	err := env.openLenient(&b)
	if len(b.Nonce) > 64 {
		return "", ErrMalformed
	}
	return b.Nonce, err
}

// logRefused returns, and logs, the receipts of a stored batch that the county
// cannot keep.
func (e *Edge) logRefused(b Batch) []Refused {
	all := b.refused()
	for _, r := range all {
		e.refusals.Warn(e.Log, string(b.Controller), "receipt cannot be stored", nil, "controller", b.Controller, "epoch", r.Epoch, "seq", r.Seq, "err", r.Why)
	}
	return all
}

// commit stores a batch. The mark is not above the last receipt of the batch: the county
// may have more of the epoch, from a copy of the controller's store.
func (e *Edge) commit(ctx context.Context, b Batch) (Mark, error) {
	m, err := e.Store.Commit(ctx, b)
	m.Seq = min(m.Seq, b.Receipts[len(b.Receipts)-1].Row.Seq)
	return m, err
}

// commitBatch stores a batch and puts the result into the stamp. If wrong is set,
// the batch is invalid and is refused.
func (e *Edge) commitBatch(ctx context.Context, s Stamp, b Batch, wrong error) (Stamp, error) {
	if wrong != nil {
		s.Refused = "invalid"
		return s, wrong
	}
	m, err := e.commit(ctx, b)
	switch {
	case err == nil:
		s.Marks, s.Aside = []Mark{m}, e.logRefused(b)
	case errors.Is(err, ErrGap):
		s.Refused, s.Marks = "gap", []Mark{m}
	case errors.Is(err, ErrTaken):
		s.Refused = "taken"
	case errors.Is(err, playlist.ErrInvalid):
		s.Refused = "invalid"
	default:
		s.Refused = "later"
	}
	return s, err
}
