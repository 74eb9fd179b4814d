package county

import (
	"context"
	"encoding/json"
	"errors"
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
	store   settingStore

	mu    sync.Mutex
	known map[netip.Prefix]time.Time // the sources of messages that were believed, and when the last came
}

// settingStore keeps small facts by name.
type settingStore interface {
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
}

// recall reads a value that was kept as a setting; nothing if there is none.
func recall(ctx context.Context, s settingStore, key string, into any) error {
	text, err := s.Setting(ctx, key)
	if err != nil || text == "" {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// retain keeps a value as a setting.
func retain(ctx context.Context, s settingStore, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.SetSetting(ctx, key, string(text))
}

// knownSenders is the name of the setting that keeps the sources: they come first also
// after a restart.
const knownSenders = "known senders"

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
	keptEach      = 24 * time.Hour // when a source that comes often is kept once more
)

func newSenders(b base, st settingStore) *senders {
	return &senders{
		base: b, store: st, known: map[netip.Prefix]time.Time{},
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
	from, now := link.Source(r.RemoteAddr), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.known[from]; ok && now.Sub(at) < keptEach {
		return
	}
	ctx := context.WithoutCancel(r.Context())
	err := s.recall(ctx) // another replica may have kept others
	s.known[from] = now
	for len(s.known) > mostSenders {
		var oldest netip.Prefix
		for from, at := range s.known {
			if last, ok := s.known[oldest]; !ok || at.Before(last) {
				oldest = from
			}
		}
		delete(s.known, oldest)
	}
	if err := errors.Join(err, retain(ctx, s.store, knownSenders, s.known)); err != nil {
		s.log.Warn("who was believed is not kept for a restart", "err", err)
	}
}

// load takes up what an earlier run knew.
func (s *senders) load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recall(ctx)
}

func (s *senders) recall(ctx context.Context) error {
	var kept map[netip.Prefix]time.Time
	err := recall(ctx, s.store, knownSenders, &kept)
	for from, at := range kept {
		if at.After(s.known[from]) {
			s.known[from] = at
		}
	}
	return err
}
