package web

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Guard is a listener that strangers cannot fill. Clients are strangers until
// [Known] is called for one of their requests. When there are too many strangers, of
// one source or in all, the oldest of the source that has the most is closed, so
// that who comes next is let in.
type Guard struct {
	net.Listener

	Strangers int // connections of strangers in all
	PerSource int // connections of strangers from one source
	Most      int // connections in all; a stranger beyond them is closed at once
	Log       *slog.Logger

	mu        sync.Mutex
	sources   map[netip.Prefix][]*guarded // the strangers, the oldest first
	strangers int
	all       int
	closed    Counted
}

// guarded is a connection that a [Guard] accepted.
type guarded struct {
	net.Conn
	guard  *Guard
	source netip.Prefix

	known bool // guarded by the guard's mutex, as is the next
	gone  bool
}

// Accept waits for a connection that there is room for.
func (g *Guard) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := g.admit(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

// admit makes room for a connection; nil if there is none.
func (g *Guard) admit(conn net.Conn) net.Conn {
	c := &guarded{Conn: conn, guard: g, source: Source(conn.RemoteAddr().String())}
	g.mu.Lock()
	var out *guarded
	switch {
	case len(g.sources[c.source]) >= g.PerSource:
		out = g.sources[c.source][0]
	case g.strangers >= g.Strangers || g.all >= g.Most && g.strangers > 0:
		out = g.sources[g.crowded()][0]
	}
	if out != nil {
		g.forget(out)
		out.gone = true
	}
	room := g.all < g.Most
	if room {
		if g.sources == nil {
			g.sources = map[netip.Prefix][]*guarded{}
		}
		g.sources[c.source] = append(g.sources[c.source], c)
		g.strangers++
		g.all++
	}
	g.mu.Unlock()
	if out != nil {
		_ = out.Conn.Close()
	}
	if out != nil || !room {
		if n := g.closed.Add(time.Now()); n > 0 && g.Log != nil {
			g.Log.Warn("too many connections of strangers; the oldest were closed", "from", c.source.String(), "count", n)
		}
	}
	if !room {
		return nil
	}
	return c
}

// crowded is the source that has the most strangers.
func (g *Guard) crowded() (source netip.Prefix) {
	for s, list := range g.sources {
		if len(list) > len(g.sources[source]) {
			source = s
		}
	}
	return source
}

// forget takes a connection out of what is counted.
func (g *Guard) forget(c *guarded) {
	if c.gone {
		return
	}
	g.all--
	if c.known {
		return
	}
	g.strangers--
	list := g.sources[c.source]
	for i, o := range list {
		if o == c {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if g.sources[c.source] = list; len(list) == 0 {
		delete(g.sources, c.source)
	}
}

// Close ends the connection.
func (c *guarded) Close() error {
	c.guard.mu.Lock()
	c.guard.forget(c)
	c.gone = true
	c.guard.mu.Unlock()
	return c.Conn.Close()
}

type guardedKey struct{}

// ConnContext is what a server that listens by a guard sets as its ConnContext, so
// that [Known] finds the connection of a request.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if c, ok := conn.(*guarded); ok {
		return context.WithValue(ctx, guardedKey{}, c)
	}
	return ctx
}

// Known notes that the client of a request has proven who it is: its connection is
// no longer a stranger's.
func Known(r *http.Request) {
	c, ok := r.Context().Value(guardedKey{}).(*guarded)
	if !ok {
		return
	}
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	if c.known || c.gone {
		return
	}
	c.guard.forget(c)
	c.known = true
	c.guard.all++
}

// IsKnown reports whether [Known] was called for the connection of a request.
func IsKnown(r *http.Request) bool {
	c, ok := r.Context().Value(guardedKey{}).(*guarded)
	if !ok {
		return false
	}
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	return c.known
}

// Source is what counts as one source of requests: an IPv4 address, or the /64
// network of an IPv6 address, which usually belongs to one customer. remote is an
// address with or without a port; the zero prefix if it is neither.
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

// Counted counts what happens often, to be logged once a minute.
type Counted struct {
	mu   sync.Mutex
	n    int
	told time.Time
}

// Add counts one more. It returns how many there were since it last returned any,
// at most once a minute; else 0.
func (c *Counted) Add(now time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if now.Sub(c.told).Abs() < time.Minute {
		return 0
	}
	n, c.n, c.told = c.n, 0, now
	return n
}
