package send_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/county/notice"
	"dalaba/county/notice/send"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

var message = send.Message{County: "舒城县", Notice: notice.Notice{
	ID: 7, To: "duty", Kind: notice.Alert, Level: emergency.Red, Text: "第一行\n第二行", At: time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC),
}}

const key = "SECRETKEY"

// hook is a webhook of a server whose address holds a key.
func hook(t *testing.T, base string) *send.Webhook {
	t.Helper()
	u, err := url.Parse(base + "/hook?key=" + key)
	if err != nil {
		t.Fatal(err)
	}
	return send.NewWebhook(u)
}

func TestAWebhookGetsTheNotice(t *testing.T) {
	var got map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("key") != key || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	if err := hook(t, s.URL).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"text": "第一行\n第二行", "kind": "alert", "level": 1.0, "county": "舒城县", "notify": "duty", "id": 7.0, "at": "2026-07-01T04:00:00Z"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestALongTextIsCut(t *testing.T) {
	var size int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { size, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	long := message
	long.Text = strings.Repeat("长", 100_000)
	if err := hook(t, s.URL).Send(t.Context(), long); err != nil || size > 20_000 {
		t.Errorf("%d bytes, %v", size, err)
	}
}

func TestWhyAWebhookDoesNotGetIt(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed to another host") }))
	defer elsewhere.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
		want string
	}{
		{"an error of the server", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "replied 500"},
		{"an address that is not known", http.NotFound, "replied 404"},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?key="+key, http.StatusTemporaryRedirect)
		}, "redirects to another address"},
		{"a redirect without end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		}, "redirects"},
		{"no server", nil, "refused"},
		{"no HTTP", func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = fmt.Fprintf(c, "what? %s\r\n", r.URL)
			_ = c.Close()
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := closed.URL
			if c.do != nil {
				s := httptest.NewServer(c.do)
				defer s.Close()
				base = s.URL
			}
			err := hook(t, base).Send(t.Context(), message)
			if err == nil {
				t.Fatal("it was sent")
			}
			for _, lang := range []say.Lang{say.English, say.Chinese} {
				if text := say.In(lang, err); strings.Contains(text, key) || strings.Contains(err.Error(), key) {
					t.Errorf("it holds the key: %s", text)
				}
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestARedirectOnTheSameHostIsFollowed(t *testing.T) {
	got := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/new" {
			http.Redirect(w, r, "/new", http.StatusPermanentRedirect)
			return
		}
		text, _ := io.ReadAll(r.Body)
		got = string(text)
	}))
	defer s.Close()
	if err := hook(t, s.URL).Send(t.Context(), message); err != nil || !strings.Contains(got, "第一行") {
		t.Errorf("%q, %v", got, err)
	}
}

// hung is a network on which every connection is accepted and nothing is ever said.
func hung(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	return here, nil
}

func TestAReceiverThatHangsIsGivenUp(t *testing.T) {
	for name, to := range map[string]interface {
		Send(context.Context, send.Message) error
	}{
		"webhook": send.Over(hook(t, "http://127.0.0.1:1"), hung),
		"mail":    send.MailOver(send.Mail{Server: server("127.0.0.1", 1), To: []string{"a@example.org"}}, hung),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := to.Send(t.Context(), message)
				if took := time.Since(began); err == nil || took > send.Within+time.Second || !strings.Contains(err.Error(), "no reply within 10 s") {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

func server(host string, port int) send.Server {
	return send.Server{Host: host, Port: port, From: "dalaba@example.org", TLS: send.Plain, Language: say.Chinese}
}

// post is a mail server that takes mail, or fails as it is told to.
type post struct {
	mu       sync.Mutex
	host     string
	port     int
	greeting string
	data     string
	to       []string
	auth     string
	seal     *tls.Config // nil: it offers no STARTTLS
	sealed   *tls.Config // nil: it does not speak TLS from the beginning
}

// newPost starts one; prepare may change it before.
func newPost(t *testing.T, prepare ...func(*post)) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{host: "127.0.0.1", port: l.Addr().(*net.TCPAddr).Port, greeting: "220 ready"}
	for _, f := range prepare {
		f(p)
	}
	if p.sealed != nil {
		l = tls.NewListener(l, p.sealed)
	}
	var group sync.WaitGroup
	var conns sync.Map
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(c, true)
			group.Go(func() { p.serve(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(c, _ any) bool { return c.(net.Conn).Close() == nil || true })
		group.Wait()
	})
	return p
}

func (p *post) serve(c net.Conn) {
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	say(p.greeting)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		p.mu.Lock()
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "STARTTLS":
			say("220 go on")
			sealed := tls.Server(c, p.seal)
			c, r = sealed, bufio.NewReader(sealed)
		case "EHLO":
			say("250-here")
			if _, sealed := c.(*tls.Conn); p.seal != nil && !sealed {
				say("250-STARTTLS")
			}
			say("250-8BITMIME")
			say("250 AUTH PLAIN")
		case "AUTH":
			p.auth = strings.TrimSpace(line)
			say("235 ok")
		case "RCPT":
			p.to = append(p.to, strings.TrimSpace(line))
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				p.data += line
			}
			say("250 kept")
		case "QUIT":
			say("221 bye")
		default:
			say("250 ok")
		}
		p.mu.Unlock()
	}
}

func TestMailGoesToAll(t *testing.T) {
	p := newPost(t)
	s := server(p.host, p.port)
	s.User, s.Password = "dalaba", "PASSWORD"
	if err := (send.Mail{Server: s, To: []string{"a@example.org", "b@example.org"}}).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.to) != 2 || !strings.Contains(p.to[1], "b@example.org") || p.auth == "" {
		t.Errorf("to %q, login %q", p.to, p.auth)
	}
	for _, part := range []string{"From: <dalaba@example.org>", "=?UTF-8?q?=E8=88=92", "=E7=AC=AC=E4=B8=80=E8=A1=8C", "=E7=AC=AC=E4=BA=8C=E8=A1=8C"} {
		if !strings.Contains(p.data, part) {
			t.Errorf("no %q in:\n%s", part, p.data)
		}
	}
}

func TestMailGoesOutSealed(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots) // it is read once: no other test here verifies a certificate
	for _, way := range []string{send.StartTLS, send.TLS} {
		t.Run(way, func(t *testing.T) {
			p := newPost(t, func(p *post) {
				conf := &tls.Config{Certificates: s.TLS.Certificates}
				if way == send.TLS {
					p.sealed = conf
				} else {
					p.seal = conf
				}
			})
			to := server(p.host, p.port)
			to.TLS, to.User, to.Password = way, "dalaba", "PASSWORD"
			if err := (send.Mail{Server: to, To: []string{"a@example.org"}}).Send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.auth == "" || p.data == "" {
				t.Errorf("login %q, sent %q", p.auth, p.data)
			}
		})
	}
}

func TestMailDoesNotGoOutInTheClearUnlessTheConfigSaysSo(t *testing.T) {
	p := newPost(t) // it offers no STARTTLS
	s := server(p.host, p.port)
	s.TLS = send.StartTLS
	for _, user := range []string{"", "dalaba"} {
		s.User, s.Password = user, "PASSWORD"
		if err := (send.Mail{Server: s, To: []string{"a@example.org"}}).Send(t.Context(), message); err == nil {
			t.Error("it was sent")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.data != "" || p.auth != "" {
		t.Errorf("login %q, sent %q", p.auth, p.data)
	}
}

func TestAMailServerThatRefuses(t *testing.T) {
	p := newPost(t, func(p *post) { p.greeting = "554 not now" })
	s := server(p.host, p.port)
	s.User, s.Password = "dalaba", "PASSWORD"
	err := send.Mail{Server: s, To: []string{"a@example.org"}}.Send(t.Context(), message)
	if err == nil || strings.Contains(err.Error(), "PASSWORD") || !strings.Contains(err.Error(), "not now") {
		t.Error(err)
	}
}
