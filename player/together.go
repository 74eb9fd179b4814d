package player

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	lateWait    = 300 * time.Millisecond // a sound that is late anyway waits so long for the same on other outputs
	agreeLast   = 11 * time.Millisecond  // before an instant that was agreed on, an output that comes is too late for it
	alertWait   = 20 * time.Millisecond  // an alert on several outputs waits so long before its first tone
	starterWait = 80 * time.Millisecond  // and so long at most for those outputs that are about to be ready
)

// instants gives the outputs of the site one instant for what they begin
// together: neighbouring loudspeakers that are milliseconds apart are heard as
// an echo. Its instants are monotonic: a clock that is set moves none of them.
type instants struct {
	mu sync.Mutex
	at map[string]time.Time // agreed on, by what begins then
}

// agree returns the instant at which what goes by that name begins: the one that
// others have agreed on, if it is not before soonest and there is still time
// for it, else begin.
func (c *instants) agree(name string, soonest, begin time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for n, at := range c.at {
		if at.Sub(now) < agreeLast {
			delete(c.at, n)
		}
	}
	if at, ok := c.at[name]; ok && !at.Before(soonest) {
		return at
	}
	if c.at == nil {
		c.at = map[string]time.Time{}
	}
	c.at[name] = begin
	return begin
}

// starters are the outputs that an alert is about to begin on.
type starters struct {
	left atomic.Int32
	all  chan struct{} // closed once each is ready, or is known to be later
}

func newStarters(n int) *starters {
	p := &starters{all: make(chan struct{})}
	p.left.Store(int32(n))
	return p
}

// ready is called once for each of them.
func (p *starters) ready() {
	if p.left.Add(-1) == 0 {
		close(p.all)
	}
}

// wait waits a little for all of them.
func (p *starters) wait() {
	select {
	case <-p.all:
	case <-time.After(starterWait):
	}
}
