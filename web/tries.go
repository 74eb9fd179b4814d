package web

import (
	"net/netip"
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
// sources that never logged in to it, are limited to burstOfTries and then one
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
	return &Tries{pairs: map[pair]*tried{}, sources: map[netip.Prefix]*rate.Limiter{}, accounts: map[string]*rate.Limiter{}}
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
	known = !was.good.IsZero() && now.Sub(was.good) < goodFor
	if over := was.failed - freeTries; over >= 0 {
		pause := min(time.Second<<min(over, 20), longestTryWait)
		if left := was.last.Add(pause).Sub(now); left > 0 {
			return min(left, pause), known
		}
	}
	was.failed++
	was.last = now
	if !known {
		source, account := limiterOf(t.sources, from), limiterOf(t.accounts, name)
		if source.TokensAt(now) < 1 || account.TokensAt(now) < 1 {
			return tryEvery, false
		}
		source.AllowN(now, 1)
		account.AllowN(now, 1)
	}
	return 0, known
}

// Succeeded takes back what [Tries.Begin] counted.
func (t *Tries) Succeeded(from netip.Prefix, name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pairs[pair{from, name}] = &tried{last: now, good: now}
	delete(t.sources, from)
}

// forget makes room: pairs that were tried longest ago go, those that succeeded last.
func (t *Tries) forget(now time.Time) {
	var oldest pair
	var at time.Time
	for p, was := range t.pairs {
		last := was.last
		if !was.good.IsZero() && now.Sub(was.good) < goodFor {
			last = last.Add(goodFor)
		}
		if at.IsZero() || last.Before(at) {
			oldest, at = p, last
		}
	}
	delete(t.pairs, oldest)
}

// limiterOf is the limiter of a key. If there are too many, those that are full again
// go, and else any one.
func limiterOf[K comparable](all map[K]*rate.Limiter, key K) *rate.Limiter {
	l := all[key]
	if l != nil {
		return l
	}
	if len(all) >= mostTried {
		for k, o := range all {
			if o.Tokens() >= burstOfTries {
				delete(all, k)
			}
		}
		for k := range all {
			if len(all) < mostTried {
				break
			}
			delete(all, k)
		}
	}
	l = rate.NewLimiter(rate.Every(tryEvery), burstOfTries)
	all[key] = l
	return l
}
