package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"dalaba/web"
)

const most = 100 << 10

// reader serves bodies: what it answers tells what became of each.
func reader(t *testing.T, b *web.Bodies, d web.Deadlines, work func()) *httptest.Server {
	t.Helper()
	h := d.Bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, done, err := b.Read(w, r, most, r.Header.Get("Known") != "")
		switch {
		case errors.Is(err, web.ErrBusy):
			w.WriteHeader(http.StatusServiceUnavailable)
		case errors.Is(err, web.ErrTooLarge):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		default:
			defer done()
			if work != nil {
				work()
			}
			if r.Context().Err() == nil {
				_, _ = w.Write(body[:min(len(body), 10)])
			}
		}
	}))
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

var soon = web.Deadlines{Read: time.Minute, Answer: time.Minute}

// sends posts a body and returns the status.
func sends(t *testing.T, srv *httptest.Server, size int, known, chunked bool) int {
	t.Helper()
	var body io.Reader = bytes.NewReader(make([]byte, size))
	if chunked {
		body = io.MultiReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	if known {
		r.Header.Set("Known", "yes")
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		return 0 // the server need not read what it refuses
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// begins sends the head of a request and the beginning of its body.
func begins(t *testing.T, srv *httptest.Server, size, sent int) net.Conn {
	t.Helper()
	return beginsFrom(t, "127.0.0.1", srv, size, sent)
}

func beginsFrom(t *testing.T, address string, srv *httptest.Server, size, sent int) net.Conn {
	t.Helper()
	conn := from(t, address, srv)
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n"
	if _, err := conn.Write(append([]byte(head), make([]byte, sent)...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// gets returns the status that comes back on a connection.
func gets(t *testing.T, conn net.Conn) string {
	t.Helper()
	b := make([]byte, 12)
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	return string(b[9:])
}

func TestAStrangersBodyIsSmallUnlessItIsTheOnlyLargeOne(t *testing.T) {
	b := &web.Bodies{Small: 1 << 10, PerSource: 4, Strangers: 4, Known: 1, Work: 1, Source: address}
	srv := reader(t, b, soon, nil)
	for _, c := range []struct {
		name           string
		size           int
		known, chunked bool
		want           int
	}{
		{"none", 0, false, false, 200},
		{"a small one", 1 << 10, false, false, 200},
		{"a large one, with no other", most, false, false, 200},
		{"a large one of unknown length", most, false, true, 200},
		{"one that is too large", most + 1, false, false, 413},
		{"one of unknown length that is too large", most + 1, false, true, 413},
		{"a large one of who is known", most, true, false, 200},
		{"a too large one of who is known", most + 1, true, true, 413},
	} {
		if got := sends(t, srv, c.size, c.known, c.chunked); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}

	slow := begins(t, srv, most, 2<<10)
	if got := sends(t, srv, 1<<10, false, false); got != 200 {
		t.Errorf("beside a large one, a small one: %d", got)
	}
	if got := sends(t, srv, most, true, false); got != 200 {
		t.Errorf("beside a large one, that of who is known: %d", got)
	}
	if _, err := slow.Write(make([]byte, most-(2<<10))); err != nil || gets(t, slow) != "200" {
		t.Errorf("the slow one is not read to its end: %v", err)
	}
}

func TestALargeBodyThatStallsGivesWayToThoseOfOtherSources(t *testing.T) {
	was := *web.PaceWithin
	t.Cleanup(func() { *web.PaceWithin = was })
	*web.PaceWithin = 100 * time.Millisecond
	b := &web.Bodies{Small: 1 << 10, PerSource: 4, Strangers: 8, Known: 1, Work: 1, Source: address}
	srv := reader(t, b, soon, nil)
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 3 { // each takes the place again and again, and lets it stall
		work.Go(func() {
			for ctx.Err() == nil {
				c := begins(t, srv, most, 2<<10)
				unhook := context.AfterFunc(ctx, func() { _ = c.Close() })
				_, _ = io.ReadAll(c)
				unhook()
				_ = c.Close()
			}
		})
	}
	for range 5 {
		c := beginsFrom(t, "127.0.0.2", srv, most, most)
		if got := gets(t, c); got != "200" {
			t.Errorf("behind those that stall: %s", got)
		}
	}
	stop()
	work.Wait()
}

func TestSlowBodiesGiveWayToWhoComesNext(t *testing.T) {
	b := &web.Bodies{Small: 1 << 10, PerSource: 2, Strangers: 3, Known: 1, Work: 1, Source: address}
	srv := reader(t, b, soon, nil)
	slow := []net.Conn{begins(t, srv, 100, 10)}
	for range 5 {
		slow = append(slow, begins(t, srv, 100, 10))
	}
	for range 3 {
		if got := sends(t, srv, 100, false, false); got != 200 {
			t.Errorf("behind slow ones: %d", got)
		}
	}
	refused := 0
	for _, c := range slow[:4] {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 12)
		if _, err := io.ReadFull(c, b); err == nil && string(b[9:]) == "503" {
			refused++
		}
	}
	if refused < 4 {
		t.Errorf("%d of 4 slow ones were told to come again", refused)
	}
}

func TestABodyHasToComeInTimeAndItsWorkMayTakeLonger(t *testing.T) {
	b := &web.Bodies{Small: 1 << 10, PerSource: 4, Strangers: 4, Known: 1, Work: 1, Source: address}
	const short = 50 * time.Millisecond
	worked := 0
	srv := reader(t, b, web.Deadlines{Read: short, Answer: time.Minute}, func() {
		<-time.After(2 * short) //nolint:forbidigo // the deadline of the body passes meanwhile
		worked++
	})
	if got := sends(t, srv, 100, false, false); got != 200 || worked != 1 {
		t.Errorf("%d, worked on %d times", got, worked)
	}

	api := httptest.NewServer(web.Deadlines{Read: short, Answer: time.Minute, Pace: 10}.Bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})))
	t.Cleanup(api.Close)
	if got := gets(t, begins(t, api, 100, 5)); got != "408" {
		t.Errorf("a body that stalls: %s", got)
	}
}

// TestAFloodLeavesRoomForOtherSources has a few addresses fill all places, with bodies
// that never end and with ones that are read and wait for their turn.
func TestAFloodLeavesRoomForOtherSources(t *testing.T) {
	for name, ends := range map[string]bool{"bodies that never end": false, "bodies that wait for their turn": true} {
		t.Run(name, func(t *testing.T) {
			b := &web.Bodies{Small: 1 << 10, PerSource: 4, Strangers: 8, Known: 1, Work: 1, Source: address}
			free := make(chan struct{})
			srv := reader(t, b, soon, func() {
				select {
				case <-free:
				case <-time.After(20 * time.Millisecond): // the work of a message
				}
			})
			ctx, stop := context.WithCancel(t.Context())
			var flood sync.WaitGroup
			for i := range 32 {
				flood.Go(func() {
					for ctx.Err() == nil {
						sent := 100
						if !ends {
							sent = 10
						}
						c := beginsFrom(t, "127.0.1."+strconv.Itoa(1+i%4), srv, 100, sent)
						unhook := context.AfterFunc(ctx, func() { _ = c.Close() })
						_, _ = c.Read(make([]byte, 12)) // it is answered, or displaced
						unhook()
						_ = c.Close()
					}
				})
			}
			for i := range 10 {
				c := beginsFrom(t, "127.0.2."+strconv.Itoa(1+i), srv, 100, 50)
				<-time.After(5 * time.Millisecond) //nolint:forbidigo // its body comes in two parts
				_, err := c.Write(make([]byte, 50))
				if got := gets(t, c); err != nil || got != "200" {
					t.Errorf("sender %d: %s, %v", i, got, err)
				}
			}
			stop()
			close(free)
			flood.Wait()
		})
	}
}
