package web

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Tries slows the guessing of passwords down. Who has logged in from somewhere is not
// kept out by what others try from elsewhere, or by what they try there for other
// accounts.
type Tries struct {
	mu       sync.Mutex
	pairs    map[pair]*tried
	sources  map[netip.Prefix]*rate.Limiter
	accounts map[string]*rate.Limiter
	good     map[netip.Prefix]time.Time // when a source last succeeded, whatever the account
}

// pair is an account, and where someone tries to log in to it from.
type pair struct {
	from netip.Prefix
	name string
}

// tried is what is known of a pair.
type tried struct {
	failed int       // times, since it last succeeded
	last   time.Time // when it was last tried
	good   time.Time // when it last succeeded; zero: never
}

// After freeTries, a pair waits a second before the next try, then twice that, up to
// longestTryWait. Besides, wrong passwords of one source, and those for one account from
// sources from which it was not logged in to, are limited to burstOfTries and then one
// each tryEvery.
const (
	freeTries      = 5
	longestTryWait = 5 * time.Minute
	burstOfTries   = 20
	tryEvery       = 10 * time.Second

	mostTried = 5000 // pairs, sources and accounts remembered, each
	goodFor   = 30 * 24 * time.Hour
)

// NewTries returns one that knows nothing yet.
func NewTries() *Tries {
	return &Tries{pairs: map[pair]*tried{}, sources: map[netip.Prefix]*rate.Limiter{}, accounts: map[string]*rate.Limiter{}, good: map[netip.Prefix]time.Time{}}
}

// Begin counts a try as failed, before the password is looked at: many may be made at
// once. If it has to wait, Begin returns how long. A try that comes too early for its
// pair is not counted; one that has to wait because of others is, so that who does not
// wait leaves the next turn to who does. known reports whether this account was logged
// in to from there before.
func (t *Tries) Begin(from netip.Prefix, name string, now time.Time) (wait time.Duration, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := pair{from, name}
	was := t.pairs[p]
	if was == nil {
		if len(t.pairs) >= mostTried {
			t.forget(now)
		}
		was = &tried{}
		t.pairs[p] = was
	}
	known = was.isGood(now)
	if over := was.failed - freeTries; over >= 0 {
		pause := min(time.Second<<min(over, 20), longestTryWait)
		if left := was.last.Add(pause).Sub(now); left > 0 {
			return min(left, pause), known
		}
	}
	was.failed++
	was.last = now
	if !known {
		source, account := limiterOf(t.sources, from, now), limiterOf(t.accounts, name, now)
		if source.TokensAt(now) < 1 || account.TokensAt(now) < 1 {
			return tryEvery, false
		}
		source.AllowN(now, 1)
		account.AllowN(now, 1)
	}
	return 0, known
}

// Succeeded takes back what [Tries.Begin] counted. It reports whether that is news: the
// pair has not succeeded for a day.
func (t *Tries) Succeeded(from netip.Prefix, name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := pair{from, name}
	was := t.pairs[p]
	t.pairs[p] = &tried{last: now, good: now}
	t.note(from, now)
	delete(t.sources, from)
	return was == nil || now.Sub(was.good) > 24*time.Hour
}

// note notes that a source has succeeded.
func (t *Tries) note(from netip.Prefix, at time.Time) {
	if at.After(t.good[from]) {
		t.good[from] = at
	}
	if len(t.good) > mostTried {
		maps.DeleteFunc(t.good, func(_ netip.Prefix, last time.Time) bool { return at.Sub(last) >= goodFor })
	}
}

// Knows reports whether any account was logged in to from there lately.
func (t *Tries) Knows(from netip.Prefix, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, ok := t.good[from]
	return ok && now.Sub(last) < goodFor
}

// Good is an account that was logged in to from a source.
type Good struct {
	From netip.Prefix `json:"from"`
	Name string       `json:"name"`
	At   time.Time    `json:"at"`
}

// Good lists who has logged in lately.
func (t *Tries) Good(now time.Time) (all []Good) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, was := range t.pairs {
		if was.isGood(now) {
			all = append(all, Good{p.from, p.name, was.good})
		}
	}
	return all
}

// Recall takes up what [Tries.Good] listed.
func (t *Tries) Recall(all []Good) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range all[:min(len(all), mostTried)] {
		t.note(g.From, g.At)
		p := pair{g.From, g.Name}
		if was := t.pairs[p]; was == nil {
			t.pairs[p] = &tried{last: g.At, good: g.At}
		} else if g.At.After(was.good) {
			was.good = g.At
		}
	}
}

// forget makes room: half of the pairs that have not succeeded lately go, those that
// were tried longest ago; half of all if there are none.
func (t *Tries) forget(now time.Time) {
	var all, bad []pair
	for p, was := range t.pairs {
		if all = append(all, p); !was.isGood(now) {
			bad = append(bad, p)
		}
	}
	if len(bad) > 0 {
		all = bad
	}
	slices.SortFunc(all, func(a, b pair) int { return t.pairs[a].last.Compare(t.pairs[b].last) })
	for _, p := range all[:(len(all)+1)/2] {
		delete(t.pairs, p)
	}
}

// isGood reports whether a pair has succeeded lately.
func (t *tried) isGood(now time.Time) bool { return !t.good.IsZero() && now.Sub(t.good) < goodFor }

// limiterOf is the limiter of a key. If there are too many, those that are full again
// go, and half of the others if there are none.
func limiterOf[K comparable](all map[K]*rate.Limiter, key K, now time.Time) *rate.Limiter {
	l := all[key]
	if l != nil {
		return l
	}
	if len(all) >= mostTried {
		for k, o := range all {
			if o.TokensAt(now) >= burstOfTries {
				delete(all, k)
			}
		}
		for k := range all {
			if len(all) <= mostTried/2 {
				break
			}
			delete(all, k)
		}
	}
	l = rate.NewLimiter(rate.Every(tryEvery), burstOfTries)
	all[key] = l
	return l
}
