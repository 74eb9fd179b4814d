// Package attack does to a county's server what strangers might do, from this
// machine and within bounds. None of it needs a password, a key or a certificate that
// the county trusts.
package attack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is a kind of attack.
type Kind struct {
	Name string
	run  func(*attack)
}

// Run attacks the server that serves HTTPS at that address, until ctx ends. It returns
// how many requests and connections it made.
func (k Kind) Run(ctx context.Context, address string) int64 {
	a := &attack{ctx: ctx, address: address}
	k.run(a)
	a.all.Wait()
	return a.made.Load()
}

// attack is one that goes on.
type attack struct {
	ctx     context.Context
	address string
	all     sync.WaitGroup
	made    atomic.Int64
}

// packageSize is nearly as much as a county reads of a package, in bytes.
const packageSize = 47 << 20

// Kinds are all of them.
var Kinds = []Kind{
	{"64 connections send packages of 47 MB each", (*attack).packages},
	{"100 streams of one HTTP/2 connection send packages of 47 MB each", (*attack).streams},
	{"64 forms whose heads have 9 MB each", (*attack).heads},
	{"1000 heads of forms, of thousands of lines each, do not end", (*attack).endlessHeads},
	{"a few addresses send what is no message, as fast as they can", (*attack).flood},
	{"500 bodies come a byte a second", (*attack).slowBodies},
	{"600 connections say nothing", (*attack).silence},
	{"300 connections say nothing after the handshake", (*attack).silenceBehindTLS},
	{"heads of requests come a byte a second", (*attack).slowHeads},
	{"messages that cost much to judge", (*attack).heavy},
	{"messages that are not believed, as large as may be", (*attack).unbelieved},
	{"packages that are none, with long names", (*attack).nonsense},
	{"wrong passwords", (*attack).passwords},
	{"deep and huge JSON", (*attack).json},
}

// All are the attacks of all kinds at once.
var All = Kind{"all attacks at once", func(a *attack) {
	for _, k := range Kinds {
		k.run(a)
	}
}}

// each starts n attackers, each from a source of its own as far as there are that
// many, and each again and again.
func (a *attack) each(n, sources int, once func(i int, from string) error) {
	for i := range n {
		from := fmt.Sprintf("127.%d.%d.%d", 2, i%sources/250, 1+i%sources%250)
		a.all.Go(func() {
			for a.ctx.Err() == nil {
				a.made.Add(1)
				if err := once(i, from); err != nil {
					a.sleep(10 * time.Millisecond)
				}
			}
		})
	}
}

func (a *attack) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-a.ctx.Done():
	case <-t.C:
	}
}

// dial opens a connection from a source. It is closed when the attack ends.
func (a *attack) dial(from string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.DialContext(a.ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(a.ctx, func() { _ = c.Close() })
	return c, nil
}

func config(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols} //nolint:gosec // an attacker does not care
}

func (a *attack) dialTLS(from string) (net.Conn, error) {
	c, err := a.dial(from)
	if err != nil {
		return nil, err
	}
	t := tls.Client(c, config())
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if err := t.HandshakeContext(a.ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return t, nil
}

// client makes HTTP requests from a source.
func (a *attack) client(from string) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: config(), MaxIdleConnsPerHost: 64,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return a.dial(from) },
	}}
}

// post sends a body; length is -1 if it is not said.
func (a *attack) post(c *http.Client, path, kind string, body io.Reader, length int64) error {
	r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, "https://"+a.address+path, body)
	if err != nil {
		return err
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", kind)
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return cmp.Or(err, resp.Body.Close())
}

// zeros is that many bytes, of which the last comes only when the attack ends, or
// half a minute later.
type zeros struct {
	ctx  context.Context
	left int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 1 {
		t := time.NewTimer(30 * time.Second)
		defer t.Stop()
		select {
		case <-z.ctx.Done():
			return 0, z.ctx.Err()
		case <-t.C:
		}
	}
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), max(z.left-1, 1))
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// forms are the ways in which a package may come: the type of the body, and what is
// before the package in it.
var forms = []struct {
	kind, before string
	length       bool
}{
	{"application/x-tar", "", true},
	{"application/x-tar", "", false},
	{"multipart/form-data; boundary=x", formHead, true},
	{"multipart/form-data; boundary=x", formHead, false},
}

const formHead = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"EBDT_1.tar\"\r\nContent-Type: application/x-tar\r\n\r\n"

func (a *attack) largePackage(c *http.Client, i int) error {
	f := forms[i%len(forms)]
	body, length := io.MultiReader(strings.NewReader(f.before), &zeros{a.ctx, packageSize}), int64(-1)
	if f.length {
		length = int64(len(f.before)) + packageSize
	}
	return a.post(c, "/ebd", f.kind, body, length)
}

func (a *attack) packages() {
	a.each(64, 16, func(i int, from string) error {
		c := a.client(from)
		defer c.CloseIdleConnections()
		return a.largePackage(c, i)
	})
}

// streaming makes HTTP/2 requests from a source, all by one connection.
func (a *attack) streaming(from string) *http.Client {
	conf := config("h2")
	t := &http.Transport{
		TLSClientConfig: conf, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true},
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			c, err := a.dial(from)
			if err != nil {
				return nil, err
			}
			return tls.Client(c, conf), nil
		},
	}
	t.Protocols.SetHTTP2(true)
	return &http.Client{Timeout: time.Minute, Transport: t}
}

func (a *attack) streams() {
	c := a.streaming("127.0.0.1")
	a.each(100, 1, func(i int, _ string) error { return a.largePackage(c, i) })
}

func (a *attack) endlessHeads() {
	const connections = 80
	var head strings.Builder
	head.WriteString(formHead[:3+2])
	for i := 0; head.Len() < 60<<10; i++ {
		fmt.Fprintf(&head, "x%d:\r\n", i)
	}
	var clients []*http.Client
	for i := range connections {
		clients = append(clients, a.streaming(fmt.Sprintf("127.3.0.%d", 1+i%4)))
	}
	a.each(1000, 4, func(i int, _ string) error {
		body := io.MultiReader(strings.NewReader(head.String()), &zeros{a.ctx, 1})
		return a.post(clients[i%connections], "/ebd", "multipart/form-data; boundary=x", body, -1)
	})
}

func (a *attack) flood() {
	a.each(80, 5, func(_ int, from string) error {
		c := a.client(from)
		defer c.CloseIdleConnections()
		for range 20 {
			if err := a.post(c, "/cap", "application/cap+xml", strings.NewReader(strings.Repeat("<x>", 300)), 900); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *attack) heads() {
	head := formHead[:3+2] + strings.Repeat("X-"+strings.Repeat("y", 1000)+": "+strings.Repeat("z", 1000)+"\r\n", 4500)
	a.each(64, 16, func(_ int, from string) error {
		c := a.client(from)
		defer c.CloseIdleConnections()
		body := io.MultiReader(strings.NewReader(head), &zeros{a.ctx, 1})
		return a.post(c, "/ebd", "multipart/form-data; boundary=x", body, -1)
	})
}

// trickle sends the first text, and then a byte a second of the rest, until the
// server hangs up. It returns no error if the server took its time.
func (a *attack) trickle(c net.Conn, first, rest string) error {
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, first); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	for i := 0; ; i++ {
		t := time.NewTimer(time.Second)
		select {
		case <-t.C:
		case <-gone:
			t.Stop()
			return net.ErrClosed
		}
		if _, err := io.WriteString(c, rest[i%len(rest):i%len(rest)+1]); err != nil {
			<-gone
			return err
		}
	}
}

// doors are those that take a body.
var doors = []string{"/api/login", "/cap", "/ebd", "/enrol", "/api/push", "/api/alerts", "/clips/x", "/nowhere"}

func (a *attack) slowBodies() {
	a.each(500, 10, func(i int, from string) error {
		c, err := a.dialTLS(from)
		if err != nil {
			return err
		}
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: county\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{", doors[i%len(doors)])
		return a.trickle(c, head, " ")
	})
}

func (a *attack) slowHeads() {
	a.each(200, 10, func(_ int, from string) error {
		c, err := a.dialTLS(from)
		if err != nil {
			return err
		}
		return a.trickle(c, "GET /ca.pem HTTP/1.1\r\nHost: ", "x")
	})
}

// hold keeps a connection until the server closes it.
func (a *attack) hold(c net.Conn) error {
	defer func() { _ = c.Close() }()
	_, err := io.Copy(io.Discard, c)
	return cmp.Or(err, net.ErrClosed)
}

func (a *attack) silence() {
	a.each(600, 12, func(i int, from string) error {
		if i%2 == 0 {
			from = "127.0.0.1"
		}
		c, err := a.dial(from)
		if err != nil {
			return err
		}
		if i%3 == 0 { // a handshake that stops after its first bytes
			_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1})
		}
		return a.hold(c)
	})
}

func (a *attack) silenceBehindTLS() {
	a.each(300, 12, func(_ int, from string) error {
		c, err := a.dialTLS(from)
		if err != nil {
			return err
		}
		return a.hold(c)
	})
}

func (a *attack) heavy() {
	messages := heavyMessages()
	a.each(8, 4, func(i int, from string) error {
		c := a.client(from)
		defer c.CloseIdleConnections()
		return a.post(c, "/cap", "application/cap+xml", strings.NewReader(messages[i%len(messages)]), -1)
	})
}

func (a *attack) unbelieved() {
	var corners strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&corners, "%.3f,%.3f ", 30+float64(i%100)/1000, 118+float64(i)/20_000)
	}
	shape := "<polygon>" + corners.String() + "30.000,118.000</polygon>"
	text, clients := strings.Repeat("水", 8000), a.clients(8, 4)
	a.each(8, 4, func(i int, _ string) error {
		m := strings.Replace(Message(longName(200), text), "</areaDesc>", "</areaDesc>"+shape, 1)
		return a.post(clients[i], "/cap", "application/cap+xml", strings.NewReader(m), -1)
	})
}

func (a *attack) clients(n, sources int) (all []*http.Client) {
	for i := range n {
		all = append(all, a.client(fmt.Sprintf("127.3.0.%d", 1+i%sources)))
	}
	return all
}

// longName is a name that no other message has.
func longName(length int) string { return fmt.Sprintf("%0*x", length, rand.Uint64()) }

func (a *attack) nonsense() {
	clients := a.clients(8, 4)
	a.each(8, 4, func(i int, _ string) error {
		kind, inside := "EBMStateRequest", "<EBMStateRequest><EBM><EBMID>"+longName(30)+"</EBMID></EBM></EBMStateRequest>"
		if i%4 == 0 {
			kind, inside = strings.Repeat("x", 500_000), ""
		}
		body := fmt.Sprintf(`<EBD><EBDVersion>1.0</EBDVersion><EBDID>%s</EBDID><EBDType>%s</EBDType><SRC><EBRID>%s</EBRID><URL>http://127.0.0.1:1/</URL></SRC>`+
			`<DEST><EBRID>2</EBRID></DEST><EBDTime>2026-11-27 08:00:00</EBDTime>%s</EBD>`, longName(200), kind, longName(100), inside)
		if i == 1 {
			body = "<" + longName(250) + "/>"
		}
		return a.post(clients[i], "/ebd", "application/x-tar", strings.NewReader(body), -1)
	})
}

func (a *attack) passwords() {
	var clients []*http.Client
	for i := range 64 {
		clients = append(clients, a.client(fmt.Sprintf("127.3.0.%d", 1+i%32)))
	}
	a.each(64, 32, func(i int, _ string) error {
		name := "admin"
		if i%2 == 0 {
			name = longName(16)
		}
		return a.post(clients[i], "/api/login", "application/json", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":"guess %d"}`, name, i)), -1)
	})
}

func (a *attack) json() {
	bodies := [][]byte{
		bytes.Repeat([]byte("["), 1<<20), bytes.Repeat([]byte(`{"name":`), 1<<17),
		[]byte(`{"name":"` + strings.Repeat("x", 16<<20) + `"}`), []byte(`{"name":"admin","password":"` + strings.Repeat(`\u0000`, 600) + `"}`),
	}
	a.each(32, 8, func(i int, from string) error {
		c := a.client(from)
		defer c.CloseIdleConnections()
		return a.post(c, doors[i%len(doors)], "application/json", bytes.NewReader(bodies[i%len(bodies)]), -1)
	})
}
