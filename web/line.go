package web

import (
	"context"
	"net/netip"
	"sync"
)

// Line gives a few places to those that wait for one: first to those of the source that
// had one the longest ago, so that many of one source are no quicker than one of another.
type Line struct {
	Places int

	mu      sync.Mutex
	taken   int
	waiting []*waiter
	served  map[netip.Prefix]int64 // the turn that a source had last
	turns   int64
}

// waiter waits for a place.
type waiter struct {
	from  netip.Prefix
	ready chan struct{} // closed when it has one
}

// mostServed is how many sources a line remembers.
const mostServed = 5000

// Take waits for a place until ctx ends. If it returns true, the caller calls Leave when
// it no longer needs the place.
func (l *Line) Take(ctx context.Context, from netip.Prefix) bool {
	w := &waiter{from, make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, w)
	l.next()
	l.mu.Unlock()
	select {
	case <-w.ready:
		return true
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.waiting {
		if o == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return false
		}
	}
	return true // it got one at the last moment
}

// Try takes a place if one is free.
func (l *Line) Try(from netip.Prefix) bool {
	ended, end := context.WithCancel(context.Background())
	end()
	return l.Take(ended, from)
}

// Leave gives a place back.
func (l *Line) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	l.next()
}

// last returns the turn that a source had last; 0 if it had none.
func (l *Line) last(from netip.Prefix) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served[from]
}

// next gives the places that are free to those whose turn it is.
func (l *Line) next() {
	for l.taken < l.Places && len(l.waiting) > 0 {
		first := 0
		for i, w := range l.waiting {
			if l.served[w.from] < l.served[l.waiting[first].from] {
				first = i
			}
		}
		w := l.waiting[first]
		l.waiting = append(l.waiting[:first], l.waiting[first+1:]...)
		if l.served == nil || len(l.served) >= mostServed {
			l.served = map[netip.Prefix]int64{}
		}
		l.turns++
		l.served[w.from] = l.turns
		l.taken++
		close(w.ready)
	}
}
