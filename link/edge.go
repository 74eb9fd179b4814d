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
	var wait sync.WaitGroup
	for range max(1, cmp.Or(e.Workers, edgeWorkers)) {
		wait.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-questions:
					e.respond(ctx, m)
				}
			}
		})
	}
	wait.Wait()
	return nil
}

// respond handles one request and sends the response. A request that names a
// controller other than its sender gets no response.
func (e *Edge) respond(ctx context.Context, m *nats.Msg) {
	what, name, _ := strings.Cut(m.Subject, ".")
	id := playlist.ControllerID(name)
	log := e.Log.With("controller", id, "subject", m.Subject)
	// If the edge replied to any subject, a controller could make it publish to
	// another controller's inbox, or to st.>.
	if !playlist.IsToken(name) || !strings.HasPrefix(m.Reply, InboxPrefix(id)+".") {
		log.Warn("request refused: reply subject of another controller", "reply", m.Reply)
		return
	}
	reply := e.receipts
	if what == "sync" {
		reply = e.sync
	}
	body, err := reply(ctx, id, m.Data)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		log.Warn("request refused", "bytes", len(m.Data), "err", err)
	}
	if body == nil {
		return
	}
	if err := m.Respond(body); err != nil {
		log.Warn("reply not sent", "err", err)
	}
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

// sync responds to a sync request.
func (e *Edge) sync(ctx context.Context, id playlist.ControllerID, body []byte) ([]byte, error) {
	q, err := parseSync(body)
	if err != nil {
		return nil, err
	}
	if q.Controller != id {
		return nil, ErrImposter
	}
	a, s, err := e.handleSync(ctx, q)
	s.Controller, s.Nonce = id, q.Nonce
	stamp, serr := e.stamp(s)
	if serr != nil {
		return nil, errors.Join(err, serr)
	}
	a.Stamp = stamp
	text, merr := json.Marshal(a)
	return pack(text), errors.Join(err, merr)
}

// handleSync finds the documents that a controller lacks and records what it
// reported.
func (e *Edge) handleSync(ctx context.Context, q SyncRequest) (a SyncAnswer, s Stamp, err error) {
	reg, why, err := e.admit(ctx, q.Controller)
	if err != nil {
		return a, Stamp{Refused: why}, err
	}
	later := func(err error) (SyncAnswer, Stamp, error) { return SyncAnswer{}, Stamp{Refused: "later"}, err }
	if err := e.restoreDocuments(ctx, reg, q); err != nil {
		return later(err)
	}
	newer, want, err := e.compareDocuments(ctx, reg.Follower, q.Have)
	if err != nil {
		return later(err)
	}
	a.Want = want
	if a.Envelopes, a.More, err = e.envelopes(ctx, newer); err != nil {
		return later(err)
	}
	epochs := make([]string, 0, len(q.Marks))
	for _, m := range q.Marks {
		epochs = append(epochs, m.Epoch)
	}
	if s.Marks, err = e.Store.Marks(ctx, q.Controller, epochs); err != nil {
		return later(err)
	}
	q.Proof = nil // restoreDocuments has used it
	if err := e.Store.Seen(ctx, Seen{At: e.now(), Request: q}); err != nil {
		return later(err)
	}
	if n := len(q.Events); n > 0 {
		s.Events = q.Events[n-1].ID
	}
	return a, s, nil
}

// compareDocuments compares the documents in force for a controller with those
// that it has. newer are the documents that it lacks, the most urgent first; want
// are those that it has and the county does not know.
func (e *Edge) compareDocuments(ctx context.Context, who playlist.Follower, have []Have) (newer, want []Have, err error) {
	inForce, err := e.Store.Versions(ctx, who)
	if err != nil {
		return nil, nil, err
	}
	theirs := map[docKey]Have{}
	for _, h := range have {
		theirs[h.key()] = h
	}
	slices.SortStableFunc(inForce, func(a, b Have) int {
		return cmp.Or(urgency(a.Kind)-urgency(b.Kind), b.Scope.Narrowness()-a.Scope.Narrowness())
	})
	for _, h := range inForce {
		t, has := theirs[h.key()]
		delete(theirs, h.key())
		switch {
		case !has || t.Version < h.Version:
			newer = append(newer, h)
		case t.Version > h.Version || t.Digest != h.Digest:
			want = append(want, t)
		}
	}
	for _, t := range theirs { // the county has no document of this kind and scope
		if urgency(t.Kind) >= 0 && concerns(who, t) {
			want = append(want, t)
		}
	}
	return newer, want, nil
}

// envelopes reads the envelopes of documents that a controller lacks, up to
// answerSize bytes but at least one. more reports that some were left out.
func (e *Edge) envelopes(ctx context.Context, newer []Have) (raws []json.RawMessage, more bool, err error) {
	var trust Trust
	size := 0
	for _, h := range newer {
		raw, err := e.Store.Envelope(ctx, h)
		if err != nil {
			return nil, false, err
		}
		if trust.Version == 0 {
			if trust, err = e.Store.Trust(ctx); err != nil {
				return nil, false, err
			}
		}
		if !trust.covers(h.Kind, raw) {
			continue // every controller would refuse it until it is signed again
		}
		if size > 0 && size+len(raw) > answerSize {
			more = true
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
	}
	return who.Follows(h.Scope)
}

// restoreDocuments verifies the documents that a controller shows because the
// county lost them, and gives them back to the store.
func (e *Edge) restoreDocuments(ctx context.Context, reg Registered, q SyncRequest) error {
	if len(q.Proof) == 0 {
		return nil
	}
	t, err := e.Store.Trust(ctx)
	if err != nil {
		return err
	}
	for _, raw := range q.Proof { // trust comes first: the others may need it
		d, err := Open(raw, t)
		if err != nil || !concerns(reg.Follower, d.Have) {
			e.Log.Warn("document from controller invalid", "controller", q.Controller, "kind", d.Kind, "scope", d.Scope, "err", err)
			continue
		}
		if d.Trust != nil {
			t = *d.Trust
		}
		e.Log.Error("county lost a document, restored from a controller",
			"controller", q.Controller, "kind", d.Kind, "scope", d.Scope, "version", d.Version)
		if err := e.Store.Recover(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// receipts responds to a batch of receipts.
func (e *Edge) receipts(ctx context.Context, id playlist.ControllerID, body []byte) ([]byte, error) {
	env, err := ParseEnvelope(body)
	if err != nil {
		return nil, err
	}
	reg, why, err := e.admit(ctx, id)
	s := Stamp{Controller: id, Refused: why}
	if err == nil {
		var b Batch
		b, err = OpenBatch(env, reg.Key)
		if b.Controller != id {
			return nil, errors.Join(ErrImposter, err)
		}
		s.Nonce = b.Nonce
		s, err = e.commitBatch(ctx, s, b, err)
	} else if n, nerr := nonceOf(env); nerr == nil {
		s.Nonce = n
	}
	answer, serr := e.stamp(s)
	return answer, errors.Join(err, serr)
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
		e.Log.Warn("receipt cannot be stored", "controller", b.Controller, "epoch", r.Epoch, "seq", r.Seq, "err", r.Why)
	}
	return all
}

// commitBatch stores a batch and puts the result into the stamp. If wrong is set,
// the batch is invalid and is refused.
func (e *Edge) commitBatch(ctx context.Context, s Stamp, b Batch, wrong error) (Stamp, error) {
	if wrong != nil {
		s.Refused = "invalid"
		return s, wrong
	}
	m, err := e.Store.Commit(ctx, b)
	switch {
	case err == nil:
		s.Marks, s.Aside = []Mark{m}, e.logRefused(b)
	case errors.Is(err, ErrGap):
		s.Refused, s.Marks = "gap", []Mark{m}
	case errors.Is(err, playlist.ErrInvalid):
		s.Refused = "invalid"
	default:
		s.Refused = "later"
	}
	return s, err
}
