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
	answerSize  = 192 << 10 // bytes of envelopes in one answer, so that a slow line sees progress
)

// Edge is the county's end that answers controllers. Any number of them may
// run beside one another: the broker hands each question to one.
type Edge struct {
	Conn  *nats.Conn // as the user "edge"
	Store EdgeStore
	Key   Signer // of role edge
	Log   *slog.Logger

	Now     func() time.Time // default time.Now
	Workers int              // questions answered at once; default 16
}

func (e *Edge) now() time.Time {
	if e.Now == nil {
		return time.Now().UTC()
	}
	return e.Now().UTC()
}

// Run answers until ctx ends. The connection stays open.
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
					e.answer(ctx, m)
				}
			}
		})
	}
	wait.Wait()
	return nil
}

// answer answers one question. Whoever is not what he says gets no answer.
func (e *Edge) answer(ctx context.Context, m *nats.Msg) {
	what, name, _ := strings.Cut(m.Subject, ".")
	id := playlist.ControllerID(name)
	log := e.Log.With("controller", id, "subject", m.Subject)
	// A controller that could name another's inbox, or st.>, would have the
	// edge publish there for it.
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

// stamp signs an answer. Where refused is set the error says what happened.
func (e *Edge) stamp(s Stamp) ([]byte, error) {
	s.Time = e.now()
	env, err := Seal(TypeStamp, s, e.Key)
	if err != nil {
		return nil, err
	}
	return env.Bytes(), nil
}

// admit finds the controller. why is what a stamp refuses it with.
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

func (e *Edge) sync(ctx context.Context, id playlist.ControllerID, body []byte) ([]byte, error) {
	q, err := parseSync(body)
	if err != nil {
		return nil, err
	}
	if q.Controller != id {
		return nil, ErrImposter
	}
	a, s, err := e.look(ctx, q)
	s.Controller, s.Nonce = id, q.Nonce
	stamp, serr := e.stamp(s)
	if serr != nil {
		return nil, errors.Join(err, serr)
	}
	a.Stamp = stamp
	text, merr := json.Marshal(a)
	return pack(text), errors.Join(err, merr)
}

// look finds what a controller lacks and notes what it tells.
func (e *Edge) look(ctx context.Context, q SyncRequest) (a SyncAnswer, s Stamp, err error) {
	reg, why, err := e.admit(ctx, q.Controller)
	if err != nil {
		return a, Stamp{Refused: why}, err
	}
	later := func(err error) (SyncAnswer, Stamp, error) { return SyncAnswer{}, Stamp{Refused: "later"}, err }
	if err := e.recover(ctx, reg, q); err != nil {
		return later(err)
	}
	inForce, err := e.Store.Versions(ctx, reg.Follower)
	if err != nil {
		return later(err)
	}
	theirs := map[docKey]Have{}
	for _, h := range q.Have {
		theirs[h.key()] = h
	}
	slices.SortStableFunc(inForce, func(a, b Have) int {
		return cmp.Or(urgency(a.Kind)-urgency(b.Kind), b.Scope.Narrowness()-a.Scope.Narrowness())
	})
	var trust Trust
	size := 0
	for _, h := range inForce {
		t, has := theirs[h.key()]
		delete(theirs, h.key())
		if has && t.Version >= h.Version {
			if t.Version > h.Version || t.Digest != h.Digest {
				a.Want = append(a.Want, t)
			}
			continue
		}
		raw, err := e.Store.Envelope(ctx, h)
		if err != nil {
			return later(err)
		}
		if trust.Version == 0 {
			if trust, err = e.Store.Trust(ctx); err != nil {
				return later(err)
			}
		}
		if !trust.covers(h.Kind, raw) {
			continue // nobody would take it: it has to be signed anew
		}
		if size > 0 && size+len(raw) > answerSize {
			a.More = true
			continue
		}
		size += len(raw)
		a.Envelopes = append(a.Envelopes, raw)
	}
	for _, t := range theirs { // what the county does not know at all
		if urgency(t.Kind) >= 0 && concerns(reg.Follower, t) {
			a.Want = append(a.Want, t)
		}
	}
	epochs := make([]string, 0, len(q.Marks))
	for _, m := range q.Marks {
		epochs = append(epochs, m.Epoch)
	}
	if s.Marks, err = e.Store.Marks(ctx, q.Controller, epochs); err != nil {
		return later(err)
	}
	q.Proof = nil // heard
	if err := e.Store.Seen(ctx, Seen{At: e.now(), Request: q}); err != nil {
		return later(err)
	}
	if n := len(q.Events); n > 0 {
		s.Events = q.Events[n-1].ID
	}
	return a, s, nil
}

func concerns(who playlist.Follower, h Have) bool {
	switch h.Kind {
	case KindTrust:
		return true
	case KindMember:
		return h.Scope == playlist.ControllerScope(who.ID)
	}
	return who.Follows(h.Scope)
}

// recover hands on what a controller proves to hold.
func (e *Edge) recover(ctx context.Context, reg Registered, q SyncRequest) error {
	if len(q.Proof) == 0 {
		return nil
	}
	t, err := e.Store.Trust(ctx)
	if err != nil {
		return err
	}
	for _, raw := range q.Proof { // trust comes first: others may need it
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
		s, err = e.commit(ctx, s, b, err)
	} else if n, nerr := nonceOf(env); nerr == nil {
		s.Nonce = n
	}
	answer, serr := e.stamp(s)
	return answer, errors.Join(err, serr)
}

// nonceOf reads the nonce of a batch whose signature nobody can verify, so
// that its sender learns that it is refused.
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

// aside are the receipts of a batch stored that could not be kept.
func (e *Edge) aside(b Batch) []Refused {
	all := b.refused()
	for _, r := range all {
		e.Log.Warn("receipt cannot be stored", "controller", b.Controller, "epoch", r.Epoch, "seq", r.Seq, "err", r.Why)
	}
	return all
}

// commit stores a batch and says so in the stamp.
func (e *Edge) commit(ctx context.Context, s Stamp, b Batch, wrong error) (Stamp, error) {
	if wrong != nil {
		s.Refused = "invalid"
		return s, wrong
	}
	m, err := e.Store.Commit(ctx, b)
	switch {
	case err == nil:
		s.Marks, s.Aside = []Mark{m}, e.aside(b)
	case errors.Is(err, ErrGap):
		s.Refused, s.Marks = "gap", []Mark{m}
	case errors.Is(err, playlist.ErrInvalid):
		s.Refused = "invalid"
	default:
		s.Refused = "later"
	}
	return s, err
}
