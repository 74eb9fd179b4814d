package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"dalaba/cmd/cli"
	"dalaba/link"
	"dalaba/playlist"
)

// brokerAlone starts the embedded broker behind its door, and what goes by its reports.
func brokerAlone(t *testing.T) *centre {
	t.Helper()
	s := &settings{}
	s.County.DataDir, s.County.Name, s.NATS.Listen = t.TempDir(), "舒城县", "127.0.0.1:0"
	c := &centre{app: &app{App: &cli.App{}}, s: s, log: slog.New(slog.DiscardHandler)}
	var err error
	if c.options.Authority, err = link.NewAuthority(s.County.Name); err != nil {
		t.Fatal(err)
	}
	if c.certs, err = issueCert(s, filepath.Join(s.County.DataDir, "tls"), []string{"127.0.0.1"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.startBroker(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.broker.Shutdown(); c.broker.WaitForShutdown() })
	nc := dialed(t, c, link.UserSystem)
	sessions := &link.Sessions{Conn: nc, Account: c.options.Authority.Account, Log: c.log, LoggedIn: c.loggedIn}
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := sessions.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(wait.Wait) // the test's context has ended by then
	eventually(t, "the reports are subscribed to", func() bool { return nc.NumSubscriptions() == 2 && nc.Flush() == nil })
	return c
}

// dialed connects one of the county's own programs.
func dialed(t *testing.T, c *centre, user string) *nats.Conn {
	t.Helper()
	nc, err := c.dial(user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	eventually(t, user+" is connected", nc.IsConnected)
	return nc
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("after %v it is still not so: %s", patience, what)
}

// caller is a controller's login.
type caller struct {
	id  playlist.ControllerID
	key nkeys.KeyPair
	jwt string
}

func newUser(t *testing.T) nkeys.KeyPair {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func enrolled(t *testing.T, c *centre, id playlist.ControllerID) caller {
	t.Helper()
	m := caller{id: id, key: newUser(t)}
	user, err := m.key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	m.jwt, err = c.options.Authority.Controller(playlist.Follower{ID: id, Areas: []playlist.Area{"341523100000"}}, user, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// login connects a controller. nats.go tries again until it is connected.
func (m caller) login(t *testing.T, c *centre, more ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := m.connect(t, c, append([]nats.Option{nats.RetryOnFailedConnect(true)}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// tries connects a controller, which may fail so many times less one.
func (m caller) tries(t *testing.T, c *centre, n int) *nats.Conn {
	t.Helper()
	for {
		nc, err := m.connect(t, c)
		if err == nil {
			return nc
		}
		if n--; n == 0 {
			t.Fatal(err)
		}
	}
}

func (m caller) connect(t *testing.T, c *centre, more ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	conf, err := link.TLS(c.certs.ca)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(c.urls[0], append([]nats.Option{
		nats.Secure(conf), nats.Timeout(30 * time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.UserJWT(func() (string, error) { return m.jwt, nil }, m.key.Sign), nats.CustomInboxPrefix(link.InboxPrefix(m.id)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, more...)...)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

// Strangers hold silent connections, open others as fast as they can, shake hands and say
// nothing, and try wrong logins.
func TestStrangersKeepNoControllerFromTheBroker(t *testing.T) {
	for _, v := range []struct {
		name, from string
		tries      int // of a controller that connects meanwhile
	}{
		{"from elsewhere", "127.0.0.2", 3},
		{"from the address of the controllers", "127.0.0.1", 1000},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := brokerAlone(t)
			pub, orders := dialed(t, c, link.UserPublisher), make(chan *nats.Msg, 16)
			before := enrolled(t, c, "daba-0").login(t, c)
			eventually(t, "a controller is known", func() bool { return before.IsConnected() && before.Flush() == nil })
			defer flood(t, c, v.from)()
			for i := range 5 {
				after := enrolled(t, c, playlist.ControllerID(fmt.Sprint("daba-", i+1))).tries(t, c, v.tries)
				if _, err := after.ChanSubscribe("st.a.34.15.23.100._.*", orders); err != nil {
					t.Fatal(err)
				}
				eventually(t, "a controller connects meanwhile", func() bool { return after.IsConnected() && after.Flush() == nil })
			}
			if err := pub.Publish("st.a.34.15.23.100._.alerts", []byte("red")); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				select {
				case <-orders:
				case <-time.After(patience):
					t.Fatal("the alert does not arrive")
				}
			}
			if !before.IsConnected() || before.Reconnects > 0 {
				t.Error("the controller that was connected lost its connection")
			}
			if n := c.broker.NumClients(); n > 2048+2+6 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// flood attacks a broker from an address until stop is called.
func flood(t *testing.T, c *centre, from string) (stop func()) {
	address, dialer := strings.TrimPrefix(c.urls[0], "tls://"), &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	for range 3000 { // more than the door lets in
		if conn, err := dialer.Dial("tcp", address); err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	stranger := enrolled(t, c, "daba-9")
	stranger.key = newUser(t) // it has the login of another, and not its key
	attacks := []func(){
		func() {
			if conn, err := dialer.Dial("tcp", address); err == nil {
				_ = conn.Close()
			}
		},
		func() { greets(dialer, address) },
		func() {
			nc, err := nats.Connect(c.urls[0], nats.Secure(&tls.Config{InsecureSkipVerify: true}), nats.NoReconnect(), nats.Timeout(5*time.Second),
				nats.Dialer(dialer), nats.UserJWT(func() (string, error) { return stranger.jwt, nil }, stranger.key.Sign))
			if err == nil {
				nc.Close()
				t.Error("a wrong login was accepted")
			}
		},
	}
	ended := make(chan struct{})
	var wait sync.WaitGroup
	for i := range 200 {
		attack := attacks[min(2, i/4)] // four that open and close, four that say nothing after the handshake
		wait.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					attack()
				}
			}
		})
	}
	return func() { close(ended); wait.Wait() }
}

// greets makes a TLS connection and then says nothing until the county closes it, or
// for a second.
func greets(dialer *net.Dialer, address string) {
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	info := make([]byte, 4096)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(info); err != nil {
		return
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if secure.Handshake() == nil {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = secure.Read(info)
	}
}

// A controller whose line broke connects again while the broker still believes in the
// connection that is dead. What it has too many of is closed, the oldest first.
func TestAControllerThatComesBackIsLetInAndItsOldestConnectionCloses(t *testing.T) {
	c := brokerAlone(t)
	m, closed := enrolled(t, c, "daba-1"), make(chan int, 8)
	var conns []*nats.Conn
	for i := range 5 {
		nc := m.login(t, c, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { closed <- i }))
		eventually(t, fmt.Sprintf("connection %d is there", i), nc.IsConnected)
		conns = append(conns, nc)
		if i < 3 {
			continue
		}
		select { // before the next one connects: the client tells of what it lost in any order
		case got := <-closed:
			if got != i-3 {
				t.Errorf("connection %d closed, want %d", got, i-3)
			}
		case <-time.After(patience):
			t.Fatal("no connection closed")
		}
	}
	for i, nc := range conns[2:] {
		if err := nc.Flush(); err != nil {
			t.Errorf("connection %d: %v", i+2, err)
		}
	}
}

func TestTheBrokerOfTheCountyListensWhereTheConfigSays(t *testing.T) {
	c := brokerAlone(t)
	s := *c.s
	s.NATS.Listen = strings.TrimPrefix(c.urls[0], "tls://")
	other := &centre{app: c.app, s: &s, log: c.log, options: c.options, certs: c.certs}
	var op *net.OpError
	if err := other.startBroker(); !errors.As(err, &op) {
		t.Errorf("a second broker at %s: %v", s.NATS.Listen, err)
	}
}
