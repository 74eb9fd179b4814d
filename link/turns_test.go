package link_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
)

// One enrolled controller sends 3,000 syncs and as many receipts at once, and has each
// response sent to it as often as it can.
func TestAControllerThatFloodsTheEdgeLoadsItNoMoreThanOthersMay(t *testing.T) {
	w := newWorld(t)
	var log journal
	nc := w.user(link.UserEdge)
	e := &link.Edge{Conn: nc, Store: w.ledger, Key: w.countyKeys.edge, Log: slog.New(slog.NewTextHandler(&log, nil))}
	stop := w.run(e.Run)
	w.flushed(nc)
	began := time.Now()
	rogue, honest := w.enrol("daba-1", []playlist.Area{village}), w.enrol("daba-2", []playlist.Area{village})
	bad := must[*nats.Conn](t)(w.login(rogue, rogue.key, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))
	good := must[*nats.Conn](t)(w.login(honest, honest.key))
	defer bad.Close()
	defer good.Close()
	for range 100 {
		must[*nats.Subscription](t)(bad.Subscribe("_IN.daba-1.>", func(*nats.Msg) {}))
	}
	ask := func(id playlist.ControllerID) []byte {
		return link.Pack([]byte(`{"controller":"` + string(id) + `","nonce":"n"}`))
	}
	for range 3000 {
		for _, subject := range []string{"sync.daba-1", "rcpt.daba-1"} {
			if err := bad.PublishRequest(subject, "_IN.daba-1.x", ask("daba-1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := bad.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		m, err := good.Request("sync.daba-2", ask("daba-2"), patience)
		if err != nil {
			t.Fatal(err)
		}
		a := must[link.SyncAnswer](t)(link.ParseAnswer(m.Data))
		if _, err := link.OpenStamp(a.Stamp, w.countyKeys.trust, "daba-2", "n"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	n := 0
	for _, s := range w.ledger.seen {
		if s.Request.Controller == "daba-1" {
			n++
		}
	}
	if most := 60 + 8 + 4*int(time.Since(began).Seconds()+1); n > most {
		t.Errorf("%d syncs of the one that floods were handled, %d are fair", n, most)
	}
	if lines := strings.Count(log.String(), "\n"); lines > 10 {
		t.Errorf("%d lines in the log:\n%s", lines, &log)
	}
	if !strings.Contains(log.String(), "times=") {
		t.Errorf("the log does not say how many were refused:\n%s", &log)
	}
}

func TestAControllerThatIsWeeksBehindHandsEverythingIn(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("e1", 60_000)
	b.c.Pace.Repeat = func() time.Duration { return time.Hour } // a request that is dropped would not be sent again
	w.run(b.c.Run)
	eventually(t, "all receipts are acknowledged", func() bool { return b.memory.unsent() == 0 })
	w.ledger.once(t, b.id, b.memory)
}

func TestWhatARequestHoldsCountsTowardsTheLimit(t *testing.T) {
	for _, c := range []struct {
		name, subject      string
		bytes, least, most int
	}{
		{"syncs", "sync.daba-1", 0, 295, 305},
		{"syncs with large responses", "sync.daba-1", 192 << 10, 70, 80},
		{"syncs that unpack to 4 MiB", "sync.daba-1", 4 << 20, 4, 7},
		{"receipts", "rcpt.daba-1", 16 << 10, 1395, 1405},
		{"receipts that unpack to 8 MiB", "rcpt.daba-1", 8 << 20, 9, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := link.Handled(c.subject, c.bytes, time.Minute); n < c.least || n > c.most {
					t.Errorf("%d in a minute, want %d to %d", n, c.least, c.most)
				}
			})
		})
	}
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what was logged since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return strings.TrimSpace(l.buf.String())
}

func TestALineAMinuteAndCauseIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if logged := out.take(); logged != strings.Join(want, "\n") {
				t.Errorf("%s: logged\n%s\nwant\n%s", when, logged, strings.Join(want, "\n"))
			}
		}
		var tally link.Tally
		for i := range 500 {
			tally.Warn(log, "daba-1", "request refused", fmt.Errorf("%w: %d", link.ErrMalformed, i))
		}
		tally.Warn(log, "daba-2", "request refused", link.ErrMalformed)
		tally.Warn(log, "daba-1", "request refused", link.ErrUnknown)
		expect("at once", `msg="request refused" err="not what the protocol says: 0"`, `msg="request refused" err="not what the protocol says"`,
			`msg="request refused" err="no such controller"`)
		time.Sleep(time.Minute)
		expect("after a minute", `msg="request refused" err="not what the protocol says: 499" times=499`)
		time.Sleep(time.Minute)
		expect("after another")
		tally.Warn(log, "daba-1", "request refused", link.ErrMalformed)
		tally.Warn(log, "daba-1", "request refused", link.ErrMalformed)
		expect("later", `msg="request refused" err="not what the protocol says"`)
		tally.Flush()
		expect("at the end", `msg="request refused" err="not what the protocol says" times=1`)
		for i := range 5000 {
			tally.Warn(log, fmt.Sprint("daba-", i), "request refused", errors.New("x"))
		}
		if n := strings.Count(out.take(), "\n"); n > 1100 {
			t.Errorf("%d lines at once", n)
		}
		tally.Flush()
	})
}
