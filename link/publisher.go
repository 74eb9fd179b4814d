package link

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/playlist"
)

// Standing is a scope's alerts as they are in force, and until when they are
// to be repeated: the last expiry in it, or, where all was cancelled, the last
// expiry of what was.
type Standing struct {
	Scope   playlist.Scope
	Version int64
	Raw     []byte
	Until   time.Time
}

// Publisher says new documents at once, and alerts again and again.
type Publisher struct {
	Conn *nats.Conn // as the user "pub"
	Log  *slog.Logger

	// Standing is asked every second what is to be repeated.
	Standing func(context.Context) ([]Standing, error)

	Now   func() time.Time // default time.Now
	Every time.Duration    // default a second
}

// Repeats of an alert after it was first seen: then, and each minute after
// the last.
var repeats = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}

const (
	repeatEvery = time.Minute
	publishWait = 10 * time.Second // for the broker to have it
)

// repeatAfter is when, after it was first said, a document is to be said for
// the nth time more, from 0.
func repeatAfter(n int) time.Duration {
	if n < len(repeats) {
		return repeats[n]
	}
	return time.Duration(n-len(repeats)+1) * repeatEvery
}

// Publish says a document to all who follow its scope and are there. Whoever
// is not finds it in his next sync.
func (p *Publisher) Publish(ctx context.Context, scope playlist.Scope, k Kind, raw []byte) error {
	if len(raw) > MaxEnvelope {
		return ErrOversized
	}
	if _, err := playlist.ParseScope(string(scope)); err != nil {
		return err
	}
	if err := p.Conn.Publish(StateSubject(scope, k), raw); err != nil {
		return fmt.Errorf("%s of %s: %w", k, scope, err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	return p.Conn.FlushWithContext(ctx)
}

type saying struct {
	version int64
	first   time.Time
	n       int // times repeated
}

// Run repeats what Standing answers, at 1, 5 and 30 s and then each minute,
// until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	now := p.Now
	if now == nil {
		now = time.Now
	}
	every := p.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := map[playlist.Scope]saying{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		standing, err := p.Standing(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.Log.Error("alerts in force cannot be read", "err", err)
			}
			continue
		}
		for _, s := range p.due(said, standing, now()) {
			if err := p.Publish(ctx, s.Scope, KindAlerts, s.Raw); err != nil && ctx.Err() == nil {
				p.Log.Warn("alerts not repeated", "scope", s.Scope, "version", s.Version, "err", err)
			}
		}
	}
}

// due picks what is to be said now and notes it. A version not seen before is
// said at once: whoever published it may have died over it.
func (p *Publisher) due(said map[playlist.Scope]saying, standing []Standing, now time.Time) (some []Standing) {
	still := map[playlist.Scope]bool{}
	for _, s := range standing {
		if now.After(s.Until) {
			continue
		}
		still[s.Scope] = true
		w, known := said[s.Scope]
		if !known || w.version != s.Version {
			said[s.Scope] = saying{s.Version, now, 0}
			some = append(some, s)
			continue
		}
		if now.Sub(w.first) < repeatAfter(w.n) {
			continue
		}
		for now.Sub(w.first) >= repeatAfter(w.n) { // a step of the clock is one repeat, not many
			w.n++
		}
		said[s.Scope] = w
		some = append(some, s)
	}
	for scope := range said {
		if !still[scope] {
			delete(said, scope)
		}
	}
	return some
}
