package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
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

	Source func(remote string) netip.Prefix // what counts as one source of connections
	Closed func(from netip.Prefix)          // called when a connection was closed to make room for one of this source

	mu        sync.Mutex
	sources   map[netip.Prefix][]*guarded // the strangers, the oldest first
	known     map[netip.Prefix]int        // connections of known clients
	strangers int
	all       int
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
	c := &guarded{Conn: conn, guard: g, source: g.Source(conn.RemoteAddr().String())}
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
			g.sources, g.known = map[netip.Prefix][]*guarded{}, map[netip.Prefix]int{}
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
		g.Closed(c.source)
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
		if g.known[c.source]--; g.known[c.source] == 0 {
			delete(g.known, c.source)
		}
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
// no longer a stranger's, unless those of its source are half of all that there may be.
func Known(r *http.Request) {
	c, ok := r.Context().Value(guardedKey{}).(*guarded)
	if !ok {
		return
	}
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	g := c.guard
	if c.known || c.gone || g.known[c.source] >= (g.Most+1)/2 {
		return
	}
	g.forget(c)
	c.known = true
	g.known[c.source]++
	g.all++
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
