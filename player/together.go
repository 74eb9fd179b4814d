package player

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	companyWait = 300 * time.Millisecond // a sound that is late anyway waits so long for the same on other outputs
	companyLast = 11 * time.Millisecond  // before an instant that was agreed on, an output that comes is too late for it
	alertWait   = 20 * time.Millisecond  // an alert on several outputs waits so long before its first tone
	partyWait   = 80 * time.Millisecond  // and so long at most for those outputs that are about to be ready
)

// company gives the outputs of the site one instant for what they begin
// together: neighbouring loudspeakers that are milliseconds apart are heard as
// an echo. Its instants are monotonic: a clock that is set moves none of them.
type company struct {
	mu sync.Mutex
	at map[string]time.Time // agreed on, by what begins then
}

// join returns the instant at which what goes by that name begins: the one that
// others have agreed on, if it is not before soonest and there is still time
// for it, else begin.
func (c *company) join(name string, soonest, begin time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for n, at := range c.at {
		if at.Sub(now) < companyLast {
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

// party are those who are about to begin something together.
type party struct {
	left atomic.Int32
	all  chan struct{} // closed once each has come, or said that it will be later
}

func newParty(n int) *party {
	p := &party{all: make(chan struct{})}
	p.left.Store(int32(n))
	return p
}

// comes is called once for each of them.
func (p *party) comes() {
	if p.left.Add(-1) == 0 {
		close(p.all)
	}
}

// wait waits a little for all to come.
func (p *party) wait() {
	select {
	case <-p.all:
	case <-time.After(partyWait):
	}
}
