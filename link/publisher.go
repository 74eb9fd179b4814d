package link

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/playlist"
)

// Standing is the document of the alerts in force for a scope, and until when it is
// repeated: until the last of its alerts expires or, if all are cancelled, until the
// last of those would have expired.
type Standing struct {
	Scope   playlist.Scope
	Version int64
	Raw     []byte
	Until   time.Time
}

// Publisher publishes new documents at once, and repeats documents of alerts.
type Publisher struct {
	Conn *nats.Conn // as the user "pub"
	Log  *slog.Logger

	// Standing returns the documents to repeat. Run calls it every second.
	Standing func(context.Context) ([]Standing, error)

	Now   func() time.Time // default time.Now
	Every time.Duration    // default a second
}

// repeats are the times, after a document was first published, at which it is
// repeated. After the last of them it is repeated every repeatEvery.
var repeats = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}

const (
	repeatEvery = time.Minute
	publishWait = 10 * time.Second // how long to wait until the broker has a document
)

// repeatAfter returns how long after its first publication a document is repeated;
// n is 0 for the first repeat.
func repeatAfter(n int) time.Duration {
	if n < len(repeats) {
		return repeats[n]
	}
	return time.Duration(n-len(repeats)+1) * repeatEvery
}

// Publish sends a document to all connected controllers that follow its scope. The
// others get it in their next sync.
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

// repeated says which version of a scope's alerts Run published last.
type repeated struct {
	version int64
	first   time.Time // when that version was first published
	n       int       // how often it was repeated
}

// Run repeats the documents that Standing returns, after 1, 5 and 30 s and then every
// minute, until ctx ends.
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
	published := map[playlist.Scope]repeated{}
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
		for _, s := range p.due(published, standing, now()) {
			if err := p.Publish(ctx, s.Scope, KindAlerts, s.Raw); err != nil && ctx.Err() == nil {
				p.Log.Warn("alerts not repeated", "scope", s.Scope, "version", s.Version, "err", err)
			}
		}
	}
}

// due returns the documents to publish now and records them in published. A version
// that is new to it is published at once, because the program that issued it may have
// crashed before it published it.
func (p *Publisher) due(published map[playlist.Scope]repeated, standing []Standing, now time.Time) (some []Standing) {
	still := map[playlist.Scope]bool{}
	for _, s := range standing {
		if now.After(s.Until) {
			continue
		}
		still[s.Scope] = true
		w, known := published[s.Scope]
		if !known || w.version != s.Version {
			published[s.Scope] = repeated{s.Version, now, 0}
			some = append(some, s)
			continue
		}
		if now.Sub(w.first) < repeatAfter(w.n) {
			continue
		}
		for now.Sub(w.first) >= repeatAfter(w.n) { // if the clock jumps, repeat once, not many times
			w.n++
		}
		published[s.Scope] = w
		some = append(some, s)
	}
	for scope := range published {
		if !still[scope] {
			delete(published, scope)
		}
	}
	return some
}
