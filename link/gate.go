package link

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	wrongBurst  = 30   // wrong enrolments of one address at once
	wrongRate   = 1.0  // and a second after that
	enrolBurst  = 2000 // enrolments of all at once
	enrolRate   = 1000 // and a second after that
	gateSources = 4096 // addresses told apart; the rest count as one
)

// gate bounds how often strangers may ask to be enrolled: each address by what
// it asked wrongly, all together by what they ask. Many controllers may stand
// behind one address, and those that know their codes do not get into one
// another's way.
type gate struct {
	mu   sync.Mutex
	from map[netip.Prefix]*bucket
	all  bucket
	told time.Time // when the log last heard that somebody was turned away
}

// bucket is what may still be asked.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) fill(now time.Time, rate, most float64) {
	if b.at.IsZero() {
		b.left = most
	} else if gone := now.Sub(b.at).Seconds(); gone > 0 {
		b.left = min(most, b.left+gone*rate)
	}
	b.at = now
}

// source is what counts as one address: of IPv6 the network that one customer
// has.
func source(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // it fits
	return p
}

// of finds an address's bucket.
func (g *gate) of(from netip.Prefix, now time.Time) *bucket {
	if g.from == nil {
		g.from = map[netip.Prefix]*bucket{}
	}
	b := g.from[from]
	if b == nil && len(g.from) >= gateSources {
		for k, o := range g.from {
			if o.fill(now, wrongRate, wrongBurst); o.left >= wrongBurst {
				delete(g.from, k)
			}
		}
		if len(g.from) >= gateSources {
			from = netip.Prefix{}
			b = g.from[from]
		}
	}
	if b == nil {
		b = &bucket{}
		g.from[from] = b
	}
	b.fill(now, wrongRate, wrongBurst)
	return b
}

// enter counts a question as a wrong one until [gate.right] takes that back.
// Where too much was asked it answers how long to wait; first says that the
// log should hear of it.
func (g *gate) enter(from netip.Prefix, now time.Time) (wait time.Duration, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.of(from, now)
	g.all.fill(now, enrolRate, enrolBurst)
	lack := max((1-b.left)/wrongRate, (1-g.all.left)/enrolRate)
	if lack <= 0 {
		b.left--
		g.all.left--
		return 0, false
	}
	if first = g.told.IsZero() || now.Sub(g.told) >= time.Minute || now.Before(g.told); first {
		g.told = now
	}
	return time.Duration(lack * float64(time.Second)), first
}

// right takes back that a question was a wrong one.
func (g *gate) right(from netip.Prefix, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.of(from, now)
	b.left = min(b.left+1, wrongBurst)
}
