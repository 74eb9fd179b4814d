package link

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	wrongBurst  = 30   // failed requests that one address may make at once
	wrongRate   = 1.0  // and per second after that
	enrolBurst  = 2000 // requests that all addresses together may make at once
	enrolRate   = 1000 // and per second after that
	gateSources = 4096 // addresses that have a bucket of their own; all others share one
)

// gate limits how often clients may ask to be enrolled: for each address it
// limits the failed requests, for all addresses together every request. Many
// controllers may share one address: those that know their codes make no failed
// requests, so they do not use up its limit.
type gate struct {
	mu       sync.Mutex
	bySource map[netip.Prefix]*bucket
	all      bucket
}

// bucket is a token bucket: how many requests are left, and when it was last
// refilled.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) refill(now time.Time, rate, most float64) {
	if b.at.IsZero() {
		b.left = most
	} else if gone := now.Sub(b.at).Seconds(); gone > 0 {
		b.left = min(most, b.left+gone*rate)
	}
	b.at = now
}

// Source returns what counts as one source of requests: an IPv4 address, or the /64 network
// of an IPv6 address, which usually belongs to one customer. remote is an address with
// or without a port; the zero prefix if it is neither.
func Source(remote string) netip.Prefix {
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
	p, _ := a.Prefix(bits) // cannot fail: the length fits the address
	return p
}

// bucketOf returns the refilled bucket of an address. If there are too many
// addresses, it removes the full buckets; if that is not enough, the address
// gets the shared bucket.
func (g *gate) bucketOf(from netip.Prefix, now time.Time) *bucket {
	if g.bySource == nil {
		g.bySource = map[netip.Prefix]*bucket{}
	}
	b := g.bySource[from]
	if b == nil && len(g.bySource) >= gateSources {
		for k, o := range g.bySource {
			if o.refill(now, wrongRate, wrongBurst); o.left >= wrongBurst {
				delete(g.bySource, k)
			}
		}
		if len(g.bySource) >= gateSources {
			from = netip.Prefix{}
			b = g.bySource[from]
		}
	}
	if b == nil {
		b = &bucket{}
		g.bySource[from] = b
	}
	b.refill(now, wrongRate, wrongBurst)
	return b
}

// admit counts a request as failed; the caller undoes that by [gate.refund] if
// the request was right. If there were too many requests, admit returns how long
// the client must wait.
func (g *gate) admit(from netip.Prefix, now time.Time) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.bucketOf(from, now)
	g.all.refill(now, enrolRate, enrolBurst)
	lack := max((1-b.left)/wrongRate, (1-g.all.left)/enrolRate)
	if lack <= 0 {
		b.left--
		g.all.left--
		return 0
	}
	return time.Duration(lack * float64(time.Second))
}

// refund undoes that a request was counted as failed.
func (g *gate) refund(from netip.Prefix, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.bucketOf(from, now)
	b.left = min(b.left+1, wrongBurst)
}
