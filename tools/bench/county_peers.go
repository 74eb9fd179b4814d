package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
)

// bare holds the figures of a plain nats-server: over TLS, for clients that
// only connect and listen.
type bare struct {
	connected, restarted []float64 // s
	manifest, all, town  []float64 // ms
	peak                 float64   // MiB
}

// bareBroker measures a plain nats-server with as many clients, and messages as
// large, as the county has.
func (l *load) bareBroker(ctx context.Context) (m bare, err error) {
	b, c, n := l.b, l.c, len(l.f.poles)
	program := filepath.Join(b.dir, "nats-server")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "github.com/nats-io/nats-server/v2")
	build.Dir = b.root
	if said, err := build.CombinedOutput(); err != nil {
		return m, fmt.Errorf("go build nats-server: %w\n%s", err, said)
	}
	ports, err := freePorts(1)
	if err != nil {
		return m, err
	}
	certs := filepath.Join(c.dir, "data", "tls")
	config := filepath.Join(b.dir, "nats.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:%s\"\ntls { cert_file: %q, key_file: %q, min_version: \"1.3\", timeout: 30 }\nmax_pending: %d\n",
		ports[0], filepath.Join(certs, "server.pem"), filepath.Join(certs, "server.key"), 64<<20)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return m, err
	}
	server, err := launch(ctx, "", program, "-c", config)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, server.end()) }()
	address := "127.0.0.1:" + ports[0]
	if err := waitForServer(ctx, address); err != nil {
		return m, err
	}

	f := &listeners{back: make(chan struct{}, n)}
	defer f.close()
	conf, err := link.TLS(c.ca)
	if err != nil {
		return m, err
	}
	began := time.Now()
	var mu sync.Mutex
	err = inParallel(ctx, n, n, func(ctx context.Context, i int) error {
		err := f.add(ctx, "tls://"+address, conf, i)
		mu.Lock()
		defer mu.Unlock()
		m.connected = append(m.connected, time.Since(began).Seconds())
		return err
	})
	if err != nil {
		return m, err
	}
	say := func(subject string, size, to int) (late []float64, err error) {
		for range l.rounds {
			some, err := f.say(ctx, subject, make([]byte, size), to)
			if err != nil {
				return nil, err
			}
			late = append(late, some...)
		}
		return late, nil
	}
	if m.manifest, err = say("st.all", l.sizes.manifest, n); err != nil {
		return m, err
	}
	if m.all, err = say("st.all", l.sizes.alerts, n); err != nil {
		return m, err
	}
	if m.town, err = say("st.town", l.sizes.alerts, (n+countyTowns-1)/countyTowns); err != nil {
		return m, err
	}
	peak, err := peakMemory(server.pid())
	if err != nil {
		return m, err
	}
	m.peak = float64(peak) / (1 << 20)

	killed := time.Now()
	server.kill()
	if server, err = launch(ctx, "", program, "-c", config); err != nil {
		return m, err
	}
	for range n {
		select {
		case <-f.back:
			m.restarted = append(m.restarted, time.Since(killed).Seconds())
		case <-ctx.Done():
			return m, fmt.Errorf("%w: not all are back", ctx.Err())
		}
	}
	return m, nil
}

// waitForServer waits until a server listens at an address.
func waitForServer(ctx context.Context, address string) error {
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// listeners are clients of a plain nats-server.
type listeners struct {
	back chan struct{} // receives when one has reconnected

	mu    sync.Mutex
	conns []*nats.Conn
	began time.Time
	late  []float64
	left  int
	done  chan struct{}
}

func (f *listeners) add(ctx context.Context, address string, conf *tls.Config, i int) error {
	nc, err := nats.Connect(address, nats.Secure(conf), nats.Timeout(30*time.Second), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { f.back <- struct{}{} }))
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.conns = append(f.conns, nc)
	f.mu.Unlock()
	subjects := []string{"st.all"}
	if i%countyTowns == 0 {
		subjects = append(subjects, "st.town")
	}
	for _, s := range subjects {
		if _, err := nc.Subscribe(s, func(*nats.Msg) { f.heard() }); err != nil {
			return err
		}
	}
	return nc.FlushWithContext(ctx)
}

func (f *listeners) heard() {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, millis(now.Sub(f.began)))
	if f.left--; f.left == 0 {
		close(f.done)
	}
}

// say sends a message and returns how late each of the clients received it.
func (f *listeners) say(ctx context.Context, subject string, message []byte, to int) ([]float64, error) {
	f.mu.Lock()
	f.late, f.left, f.done, f.began = nil, to, make(chan struct{}), time.Now()
	first := f.conns[0]
	f.mu.Unlock()
	if err := errors.Join(first.Publish(subject, message), first.FlushWithContext(ctx)); err != nil {
		return nil, err
	}
	select {
	case <-f.done:
		return f.late, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *listeners) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, nc := range f.conns {
		nc.Close()
	}
}

// plainFiles returns how many MB/s of the same clip net/http's file server
// sends, with the same certificate and to the same clients.
func (l *load) plainFiles(ctx context.Context) (float64, error) {
	dir := filepath.Join(l.b.dir, "files")
	if err := os.MkdirAll(filepath.Join(dir, "clips"), 0o755); err != nil {
		return 0, err
	}
	from, err := os.Open(filepath.Join(l.c.dir, "data", "clips", string(l.clip.ID)+".mp3"))
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(dir, "clips", string(l.clip.ID)))
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: grace, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		certs := filepath.Join(l.c.dir, "data", "tls")
		_ = s.ServeTLS(listener, filepath.Join(certs, "server.pem"), filepath.Join(certs, "server.key")) // until it is closed
	}()
	speed, err := l.fetch(ctx, "https://"+listener.Addr().String(), func(*pole) func(*http.Request, playlist.ClipID) { return nil })
	err = errors.Join(err, s.Close())
	<-served
	return speed, err
}

// plainRows returns how many rows a second SQLite stores with the pragmas of
// our stores, as JSON, in batches of 200, without any sums.
func (b *bench) plainRows(ctx context.Context, n int) (speed float64, err error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.dir, "plain.db")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE receipt (epoch INTEGER, seq INTEGER, body TEXT, PRIMARY KEY (epoch, seq)) STRICT, WITHOUT ROWID"); err != nil {
		return 0, err
	}
	p := &pole{area: townArea(0)}
	began := time.Now()
	for at := 0; at < n; {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		for range min(200, n-at) {
			at++
			body, err := json.Marshal(p.row(int64(at)))
			if err == nil {
				_, err = tx.ExecContext(ctx, "INSERT INTO receipt VALUES (?, ?, ?)", at/receiptsOf, at, string(body))
			}
			if err != nil {
				return 0, errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
