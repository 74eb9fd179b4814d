package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"dalaba/web"
)

// address is a source as these tests have them.
func address(remote string) netip.Prefix {
	a := netip.MustParseAddrPort(remote).Addr()
	return netip.PrefixFrom(a, a.BitLen())
}

// guarded serves h behind a guard.
func guarded(t *testing.T, g *web.Guard, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.Listener = l
	srv := httptest.NewUnstartedServer(h)
	_ = srv.Listener.Close()
	srv.Listener = g
	srv.Config.ConnContext = web.ConnContext
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// from opens a connection from an address of this machine.
func from(t *testing.T, address string, srv *httptest.Server) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := d.DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// asks reports whether a request on a connection is answered.
func asks(conn net.Conn, path string) bool {
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return err == nil && resp.StatusCode == http.StatusOK
}

// isClosed waits until the other side has closed a connection.
func isClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Error("it stays open")
	} else if ne := (net.Error)(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("it stays open")
	}
}

func TestStrangersDoNotKeepOthersFromAServer(t *testing.T) {
	srv := guarded(t, &web.Guard{Strangers: 6, PerSource: 4, Most: 8, Source: address, Closed: func(netip.Prefix) {}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			web.Known(r)
		}
	}))
	known := from(t, "127.0.0.1", srv)
	if !asks(known, "/known") {
		t.Fatal("one that is known is not served")
	}
	var silent []net.Conn
	for range 20 {
		silent = append(silent, from(t, "127.0.0.1", srv))
	}
	if !asks(from(t, "127.0.0.1", srv), "/") {
		t.Error("behind many silent ones, who comes next is not served")
	}
	for _, c := range silent[:17] {
		isClosed(t, c)
	}
	for range 20 {
		silent = append(silent, from(t, "127.0.0.3", srv))
	}
	if !asks(from(t, "127.0.0.2", srv), "/") {
		t.Error("behind those of other sources, one of a source of its own is not served")
	}
	if !asks(known, "/") {
		t.Error("one that is known was closed")
	}
}

func TestAStrangerBeyondAllRoomIsClosedAtOnce(t *testing.T) {
	srv := guarded(t, &web.Guard{Strangers: 2, PerSource: 2, Most: 2, Source: address, Closed: func(netip.Prefix) {}}, known)
	first, second := from(t, "127.0.0.1", srv), from(t, "127.0.0.2", srv)
	if !asks(first, "/") || !asks(second, "/") {
		t.Fatal("not served")
	}
	isClosed(t, from(t, "127.0.0.3", srv))
	_ = first.Close()
	for { // until the server has seen that there is room again
		if c := from(t, "127.0.0.3", srv); asks(c, "/") {
			break
		}
	}
}

func TestKnownClientsOfOneSourceLeaveRoomForThoseOfOthers(t *testing.T) {
	srv := guarded(t, &web.Guard{Strangers: 4, PerSource: 4, Most: 4, Source: address, Closed: func(netip.Prefix) {}}, known)
	var many []net.Conn
	for range 4 {
		c := from(t, "127.0.0.1", srv)
		if !asks(c, "/") {
			t.Fatal("not served")
		}
		many = append(many, c)
	}
	if other := from(t, "127.0.0.2", srv); !asks(other, "/") {
		t.Error("a client of another source is not served")
	}
	isClosed(t, many[2])
	if !asks(many[0], "/") || !asks(many[1], "/") {
		t.Error("known clients were closed")
	}
}

// known takes every client for one that has proven who it is.
var known = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { web.Known(r) })
