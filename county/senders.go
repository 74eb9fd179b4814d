package county

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"dalaba/link"
	"dalaba/playlist/emergency"
	"dalaba/web"
)

// senders are those who send messages to the county over the network. Of strangers it
// reads little at once, so that they neither use up the memory nor keep out those that
// it has believed before.
type senders struct {
	base
	bodies  web.Bodies
	refused link.Tally

	mu    sync.Mutex
	known map[netip.Prefix]time.Time // the sources of messages that were believed, and when the last came
}

// The bounds of what is read at once. A message is seldom larger than a few
// kilobytes; one that carries its sound may be. Together they take 8 + 3·48 MiB at
// the most, and what is made of four of them while they are worked on.
const (
	smallMessage     = 256 << 10 // bytes
	strangersAtOnce  = 32
	perSourceAtOnce  = 8
	knownAtOnce      = 2
	messagesWorkedOn = 2 // of strangers, and as many of known senders
)

// mostSenders is how many sources are remembered, and rememberedFor for how long.
const (
	mostSenders   = 1000
	rememberedFor = 31 * 24 * time.Hour
)

func newSenders(b base) *senders {
	return &senders{
		base: b, known: map[netip.Prefix]time.Time{},
		bodies: web.Bodies{Small: smallMessage, PerSource: perSourceAtOnce, Strangers: strangersAtOnce, Known: knownAtOnce, Work: messagesWorkedOn, Source: link.Source},
	}
}

// read reads a message of up to most bytes; see [web.Bodies.Read].
func (s *senders) read(w http.ResponseWriter, r *http.Request, most int64) (raw []byte, done func(), err error) {
	raw, done, err = s.bodies.Read(w, r, most, s.knows(r))
	if err != nil {
		s.refuse(r, err)
	}
	return raw, done, err
}

// doubted is the error of a message that is not believed.
func doubted(why emergency.Reason) error { return invalid("county.refused_" + string(why)) }

// refuse logs that a message was not read, is none or is not believed.
func (s *senders) refuse(r *http.Request, err error) {
	s.refused.Warn(s.log, r.URL.Path, "messages of strangers refused", err, "path", r.URL.Path, "from", r.RemoteAddr)
}

// knows reports whether a message that came from where this request comes from was
// believed before.
func (s *senders) knows(r *http.Request) bool {
	if web.IsKnown(r) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.known[link.Source(r.RemoteAddr)]
	return ok && s.now().Sub(at) < rememberedFor
}

// believe notes that a message was believed. A copy of one that came before says
// nothing of who sent it.
func (s *senders) believe(r *http.Request, v Verdict) {
	if v.doubt != emergency.ReasonNone || v.Duplicate || v.Why == string(emergency.ReasonReplay) {
		return
	}
	web.Known(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= mostSenders {
		var oldest netip.Prefix
		for from, at := range s.known {
			if last, ok := s.known[oldest]; !ok || at.Before(last) {
				oldest = from
			}
		}
		delete(s.known, oldest)
	}
	s.known[link.Source(r.RemoteAddr)] = s.now()
}
