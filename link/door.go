package link

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many connections a door lets in. A guest is a connection that has not logged in
// yet. After a restart of the county all controllers come back within half a minute,
// hundreds of them from one address: those that a door turns away come again within
// another half minute, see [Reconnect].
const (
	maxGuests     = 2048 // at once
	guestReserve  = 4    // one in so many places is for sources that are known
	sourceRate    = 2000 // connections a second from one source
	sourceBurst   = 2048
	strangerRate  = 4000 // from all sources together that are not known
	strangerBurst = 4096

	shakeRate   = 350 // TLS handshakes a second
	shakeBurst  = 40
	strangeTurn = 8 // while known sources wait, one handshake in so many is a stranger's

	stalled    = 3 * time.Second    // a guest that has not logged in so long after its handshake may lose its place; before it, any guest may
	loggedIn   = 70 * time.Second   // the broker closes a connection that has not logged in by then
	knownFor   = 7 * 24 * time.Hour // after the last login from there
	knownShare = 8                  // a source that is known may have so many times as many guests as another before it is the first to lose one
	maxSources = 8192               // sources that are counted apart; all others count as one
)

// The reasons why a door turns a connection away.
var (
	errSource    = errors.New("too many connections a second from there")
	errStrangers = errors.New("too many connections a second from where no controller has logged in")
	errGuests    = errors.New("too many connections that have not logged in")
)

// Door is the listener in front of a broker. It bounds what those who cannot log in may
// use, so that controllers can: places, by closing the oldest silent connections of the
// source that has most; and handshakes, by letting sources take turns. Sources from which
// a controller has logged in come first. Connections that have logged in are not limited.
type Door struct {
	net.Listener
	log      *slog.Logger
	most     int // guests
	refusals Tally

	mu        sync.Mutex
	guests    map[netip.AddrPort]*guest
	sources   map[netip.Prefix]*doorSource
	strangers int // guests from sources that were not known when they came
	arrivals  *rate.Limiter

	shakes  *rate.Limiter
	lines   [2]shakeLine // of strangers, and of sources that are known
	turn    int
	granter *time.Timer // grants more turns; nil if no guest waits
}

// doorSource is an address, or a network, from which connections come.
type doorSource struct {
	guests   int
	loggedIn int       // connections that have logged in and are open
	last     time.Time // of the latest login
	arrivals *rate.Limiter
	waiting  []*guest // for their handshake
}

// known reports whether controllers log in from there.
func (s *doorSource) known(now time.Time) bool {
	return s.loggedIn > 0 || !s.last.IsZero() && now.Sub(s.last) < knownFor
}

// shakeLine is a line of sources with guests that wait for their handshake.
type shakeLine []*doorSource

// guest is a connection that a door let in.
type guest struct {
	net.Conn
	door     *Door
	addr     netip.AddrPort
	source   *doorSource
	stranger bool
	came     time.Time
	moved    time.Time     // when it came, or had its turn for the handshake
	waiting  bool          // for that turn
	shaken   bool          // has had it
	turn     chan struct{} // closed when it has its turn
	closed   chan struct{}
	gone     bool // closed
	in       bool // has logged in
}

// NewDoor returns a door that lets in what a listener accepts. At most most guests are in
// at once; 0 is the default.
func NewDoor(l net.Listener, most int, log *slog.Logger) *Door {
	if most <= 0 || most > maxGuests {
		most = maxGuests
	}
	return &Door{
		Listener: l, log: log, most: most, guests: map[netip.AddrPort]*guest{}, sources: map[netip.Prefix]*doorSource{},
		arrivals: rate.NewLimiter(strangerRate, strangerBurst), shakes: rate.NewLimiter(shakeRate, shakeBurst),
	}
}

// Accept returns the next connection that the door lets in.
func (d *Door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g, err := d.admit(c, time.Now())
		if err == nil {
			return g, nil
		}
		d.refusals.Warn(d.log, "", "connection to the broker refused", err, "from", c.RemoteAddr())
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // the kernel forgets it at once
		}
		_ = c.Close()
	}
}

// Close closes the listener. Connections stay open.
func (d *Door) Close() error {
	d.refusals.Flush()
	return d.Listener.Close()
}

// admit gives a connection a place, if there is one.
func (d *Door) admit(c net.Conn, now time.Time) (*guest, error) {
	addr := addrPort(c.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.source(Source(addr.String()), now)
	known := s.known(now)
	switch {
	case !s.arrivals.AllowN(now, 1):
		return nil, errSource
	case !known && !d.arrivals.AllowN(now, 1):
		return nil, errStrangers
	case !d.makeRoom(known, now):
		return nil, errGuests
	}
	g := &guest{
		Conn: c, door: d, addr: addr, source: s, stranger: !known, came: now, moved: now, turn: make(chan struct{}), closed: make(chan struct{}),
	}
	d.guests[addr] = g
	s.guests++
	if g.stranger {
		d.strangers++
	}
	return g, nil
}

// makeRoom makes room for one more guest, if need be by closing another: the oldest one of
// the source with the most. A controller begins its handshake at once, so what has been
// silent for longest is no controller.
func (d *Door) makeRoom(known bool, now time.Time) bool {
	full := len(d.guests) >= d.most
	if strangersFull := d.strangers >= d.most-d.most/guestReserve; !full && (known || !strangersFull) {
		return true
	}
	var victim *guest
	for _, g := range d.guests {
		switch {
		case g.waiting:
		case now.Sub(g.came) > loggedIn: // the report that it has logged in was lost
			d.enter(g, now)
			return d.makeRoom(known, now)
		case g.shaken && now.Sub(g.moved) < stalled, !known && !g.stranger:
		case victim == nil || d.worse(g, victim, now):
			victim = g
		}
	}
	if victim == nil {
		return false
	}
	d.refusals.Warn(d.log, "", "connection without login closed to make room", nil, "from", victim.addr)
	d.leave(victim)
	_ = victim.Conn.Close()
	return true
}

// worse reports whether a guest loses its place before another.
func (d *Door) worse(a, b *guest, now time.Time) bool {
	weight := func(g *guest) int {
		if g.source.known(now) {
			return g.source.guests
		}
		return g.source.guests * knownShare
	}
	if x, y := weight(a), weight(b); x != y {
		return x > y
	}
	return a.moved.Before(b.moved)
}

// source returns the record of a source.
func (d *Door) source(from netip.Prefix, now time.Time) *doorSource {
	if s := d.sources[from]; s != nil {
		return s
	}
	if len(d.sources) >= maxSources {
		for k, s := range d.sources {
			if s.guests == 0 && !s.known(now) && s.arrivals.TokensAt(now) >= sourceBurst {
				delete(d.sources, k)
			}
		}
		if len(d.sources) >= maxSources {
			from = netip.Prefix{}
		}
	}
	s := d.sources[from]
	if s == nil {
		s = &doorSource{arrivals: rate.NewLimiter(sourceRate, sourceBurst)}
		d.sources[from] = s
	}
	return s
}

// Hello holds up a TLS handshake until it is the client's turn. It is for
// [tls.Config.GetConfigForClient] of the broker.
func (d *Door) Hello(h *tls.ClientHelloInfo) (*tls.Config, error) {
	d.mu.Lock()
	g := d.guests[addrPort(h.Conn.RemoteAddr())]
	if g == nil || g.waiting {
		d.mu.Unlock()
		return nil, net.ErrClosed
	}
	g.waiting = true
	g.source.waiting = append(g.source.waiting, g)
	if len(g.source.waiting) == 1 {
		d.queue(g.source)
	}
	if d.granter == nil {
		d.grant()
	}
	d.mu.Unlock()
	select {
	case <-g.turn:
		return nil, nil
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

// queue puts a source at the end of its line.
func (d *Door) queue(s *doorSource) {
	line := &d.lines[0]
	if s.known(time.Now()) {
		line = &d.lines[1]
	}
	*line = append(*line, s)
}

// grant gives turns to those that wait for their handshake, as many as the rate allows,
// and comes back for the others.
func (d *Door) grant() {
	d.granter = nil
	for g := d.nextGuest(); g != nil; g = d.nextGuest() {
		wait := d.shakes.Reserve().Delay()
		if wait > 0 {
			d.granter = time.AfterFunc(wait, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.handshake(g)
				d.grant()
			})
			return
		}
		d.handshake(g)
	}
}

// handshake gives a guest its turn.
func (d *Door) handshake(g *guest) {
	g.waiting, g.shaken, g.moved = false, true, time.Now()
	close(g.turn)
}

// nextGuest returns whose turn it is: sources take turns, and those that are known have
// most of them.
func (d *Door) nextGuest() *guest {
	for len(d.lines[0])+len(d.lines[1]) > 0 {
		d.turn++
		line := &d.lines[1]
		if len(*line) == 0 || len(d.lines[0]) > 0 && d.turn%strangeTurn == 0 {
			line = &d.lines[0]
		}
		s := (*line)[0]
		*line = (*line)[1:]
		g := s.waiting[0]
		if s.waiting = s.waiting[1:]; len(s.waiting) > 0 {
			d.queue(s)
		}
		if !g.gone {
			return g
		}
	}
	return nil
}

// LoggedIn tells the door that the connection from this address has logged in.
func (d *Door) LoggedIn(remote net.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.guests[addrPort(remote)]; g != nil {
		d.enter(g, time.Now())
	}
}

// enter notes that a guest has logged in.
func (d *Door) enter(g *guest, now time.Time) {
	d.forget(g)
	g.in = true
	g.source.loggedIn++
	g.source.last = now
}

// forget takes a guest off the list.
func (d *Door) forget(g *guest) {
	delete(d.guests, g.addr)
	g.source.guests--
	if g.stranger {
		d.strangers--
	}
}

// leave notes that a connection is closed.
func (d *Door) leave(g *guest) {
	if g.gone {
		return
	}
	g.gone = true
	close(g.closed)
	if g.in {
		g.source.loggedIn--
		return
	}
	d.forget(g)
}

// Close closes the connection and gives its place back.
func (g *guest) Close() error {
	g.door.mu.Lock()
	g.door.leave(g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// addrPort returns an address as the door compares it; the zero one if it is not of TCP.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
