package link_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/link"
)

// callers is a listener without a network.
type callers chan net.Conn

func (c callers) Accept() (net.Conn, error) {
	conn, ok := <-c
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (c callers) Close() error   { close(c); return nil }
func (c callers) Addr() net.Addr { return &net.TCPAddr{} }

// call is a connection without a network.
type call struct {
	net.Conn
	from   *net.TCPAddr
	closed bool
}

func (c *call) RemoteAddr() net.Addr { return c.from }
func (c *call) Close() error         { c.closed = true; return nil }

// porch is a door and what it let in.
type porch struct {
	callers  callers
	door     *link.Door
	accepted chan net.Conn
	port     int
}

// newPorch makes a door. It goes with the synctest bubble.
func newPorch(t *testing.T) *porch {
	p := &porch{callers: make(callers), accepted: make(chan net.Conn, 1)}
	p.door = link.NewDoor(p.callers, 0, quiet())
	t.Cleanup(func() { _ = p.door.Close() })
	go func() {
		for {
			conn, err := p.door.Accept()
			if err != nil {
				return
			}
			p.accepted <- conn
		}
	}()
	return p
}

// come lets a connection come from an address. It reports whether the door lets it in.
func (p *porch) come(ip string) (*call, bool) {
	p.port++
	c := &call{from: &net.TCPAddr{IP: net.ParseIP(ip), Port: p.port}}
	p.callers <- c
	synctest.Wait()
	select {
	case <-p.accepted:
		return c, true
	default:
		return c, false
	}
}

// hello begins a connection's handshake; shaken is closed when it is its turn.
func (p *porch) hello(c *call) (shaken chan struct{}) {
	shaken = make(chan struct{})
	go func() {
		if _, err := p.door.Hello(&tls.ClientHelloInfo{Conn: c}); err == nil {
			close(shaken)
		}
	}()
	synctest.Wait()
	return shaken
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSilentConnectionsLoseTheirPlacesToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPorch(t)
		known, _ := p.come("198.51.100.1")
		p.door.LoggedIn(known.from)
		var silent []*call
		for i := range 8000 {
			if c, ok := p.come([]string{"203.0.113.1", "203.0.113.2"}[i%2]); ok {
				silent = append(silent, c)
			}
			time.Sleep(100 * time.Microsecond)
		}
		if len(silent) > 7500 {
			t.Errorf("%d silent connections came in", len(silent))
		}
		open := 0
		for _, c := range silent {
			if !c.closed {
				open++
			}
		}
		if open > 1536 {
			t.Errorf("%d silent connections are open", open)
		}
		if c, ok := p.come("198.51.100.1"); !ok || c.closed {
			t.Error("a connection from where a controller has logged in was refused")
		}
		time.Sleep(time.Second)
		other, ok := p.come("198.51.100.2")
		for range 3000 {
			p.come("203.0.113.1")
		}
		if !ok || other.closed {
			t.Error("another's first connection was refused, or lost its place to those that have many")
		}
		if known.closed {
			t.Error("a connection that had logged in was closed")
		}
	})
}

func TestKnownSourcesShakeHandsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPorch(t)
		known, _ := p.come("198.51.100.1")
		p.door.LoggedIn(known.from)
		var last chan struct{}
		for i := range 1000 {
			c, ok := p.come(fmt.Sprintf("203.0.113.%d", i%100))
			if !ok {
				t.Fatal("refused")
			}
			last = p.hello(c)
		}
		c, _ := p.come("198.51.100.1")
		first := p.hello(c)
		stranger, _ := p.come("198.51.100.2")
		second := p.hello(stranger)
		time.Sleep(10 * time.Millisecond)
		if !isClosed(first) {
			t.Error("a known source waits behind strangers")
		}
		time.Sleep(500 * time.Millisecond)
		if !isClosed(second) {
			t.Error("a source with one connection waits behind those with hundreds")
		}
		if isClosed(last) {
			t.Error("1,000 handshakes at once")
		}
		time.Sleep(4 * time.Second)
		if !isClosed(last) {
			t.Error("strangers wait for ever")
		}
	})
}

// After a restart of the county no source is known, and all controllers come within half
// a minute, here from behind two addresses.
func TestAllControllersComeBackAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPorch(t)
		refused := 0
		var all []*call
		for i := range 5000 {
			c, ok := p.come([]string{"198.51.100.1", "198.51.100.2"}[i%2])
			if !ok {
				refused++
				continue
			}
			all = append(all, c)
			go func() {
				time.Sleep(time.Second) // a slow line
				if _, err := p.door.Hello(&tls.ClientHelloInfo{Conn: c}); err != nil {
					return
				}
				time.Sleep(4 * time.Second)
				p.door.LoggedIn(c.from)
			}()
			time.Sleep(6 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		for _, c := range all {
			if c.closed {
				t.Fatal("a controller that was slow lost its place")
			}
		}
		if refused > 0 {
			t.Errorf("%d controllers were refused", refused)
		}
	})
}
