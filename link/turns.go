package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"dalaba/playlist"
)

// How much one controller may ask of an edge. A controller sends the next request
// after the response to the last one, so its requests are delayed by these limits, but
// none is lost. It syncs about once a second while it has something to report, and
// hands in 200 receipts with each request.
const (
	syncRate     = 4 // a second
	syncBurst    = 60
	receiptRate  = 20
	receiptBurst = 200

	costUnit = 64 << 10 // so many bytes, unpacked, of a request and its response count as one request more

	maxWaiting      = 8         // requests of one controller that wait
	maxWaitingBytes = 256 << 20 // bytes of requests that wait, of all controllers
	forgetSenders   = time.Minute
)

// errTooMany is why a request is dropped unread: its sender has too many waiting. A
// controller that gets no response sends the request again after [Pace.Repeat].
var errTooMany = errors.New("more requests than one controller may have waiting")

// turns puts requests in order: controllers take turns, each has one request handled at
// a time, and none more often than the limits allow. So one controller delays no other,
// however much it sends.
type turns struct {
	mu      sync.Mutex
	more    *sync.Cond // line has changed, or the edge ends
	senders map[playlist.ControllerID]*sender
	line    []*sender // those whose first request may be handled now
	bytes   int       // of all requests that wait
	forgot  time.Time // when senders that are idle were last forgotten
}

// sender is a controller that has sent requests.
type sender struct {
	waiting  []*nats.Msg
	busy     bool // in the line, or will be; or its request is being handled
	syncs    *rate.Limiter
	receipts *rate.Limiter
}

func newTurns() *turns {
	t := &turns{senders: map[playlist.ControllerID]*sender{}}
	t.more = sync.NewCond(&t.mu)
	return t
}

// limiter returns what limits requests of this kind.
func (s *sender) limiter(m *nats.Msg) *rate.Limiter {
	if isSync(m) {
		return s.syncs
	}
	return s.receipts
}

// put adds a request of a controller, or returns errTooMany.
func (t *turns) put(id playlist.ControllerID, m *nats.Msg) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	s := t.senders[id]
	if s == nil {
		s = &sender{syncs: rate.NewLimiter(syncRate, syncBurst), receipts: rate.NewLimiter(receiptRate, receiptBurst)}
		t.senders[id] = s
	}
	if len(s.waiting) >= maxWaiting || t.bytes+len(m.Data) > maxWaitingBytes {
		return errTooMany
	}
	t.bytes += len(m.Data)
	s.waiting = append(s.waiting, m)
	t.schedule(s)
	return nil
}

// schedule puts a sender with a request in the line, at once or when its limit allows.
func (t *turns) schedule(s *sender) {
	if s.busy || len(s.waiting) == 0 {
		return
	}
	s.busy = true
	wait := s.limiter(s.waiting[0]).Reserve().Delay()
	if wait <= 0 {
		t.enter(s)
		return
	}
	time.AfterFunc(wait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.enter(s)
	})
}

func (t *turns) enter(s *sender) {
	t.line = append(t.line, s)
	t.more.Signal()
}

// next waits for the next request to handle. ok is false once ctx has ended. The caller
// calls done with the sender when it has handled the request.
func (t *turns) next(ctx context.Context) (m *nats.Msg, s *sender, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.line) == 0 && ctx.Err() == nil {
		t.more.Wait()
	}
	if ctx.Err() != nil {
		return nil, nil, false
	}
	s, t.line = t.line[0], t.line[1:]
	m, s.waiting = s.waiting[0], s.waiting[1:]
	t.bytes -= len(m.Data)
	return m, s, true
}

// done says that a request of a sender was handled, and how many bytes it and its
// response had. The sender's next request waits the longer the more these were.
func (t *turns) done(m *nats.Msg, s *sender, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := s.limiter(m)
	if n := min(bytes/costUnit, l.Burst()); n > 0 {
		l.ReserveN(time.Now(), n)
	}
	s.busy = false
	t.schedule(s)
}

// end wakes those that wait in next, whose ctx has ended.
func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.more.Broadcast()
}

// forget deletes the senders that have asked for nothing lately.
func (t *turns) forget(now time.Time) {
	if now.Sub(t.forgot) < forgetSenders {
		return
	}
	t.forgot = now
	for id, s := range t.senders {
		if !s.busy && s.syncs.TokensAt(now) >= syncBurst && s.receipts.TokensAt(now) >= receiptBurst {
			delete(t.senders, id)
		}
	}
}
