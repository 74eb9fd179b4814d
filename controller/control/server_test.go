package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/controller/hand"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

// slow is a daemon that takes hours over a stick, and sounds what it is told to
// until that is stopped.
type slow struct{ ended chan string }

var errAtLast = errors.New("at last")

func (slow) Status(context.Context, say.Lang) (status.Status, error) {
	return status.Status{Site: "大坝村"}, nil
}
func (slow) State(context.Context) schedule.State {
	return schedule.State{At: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
}
func (slow) Reload(context.Context, bool, say.Lang) (Reloaded, error) { return Reloaded{}, nil }
func (s slow) Play(ctx context.Context, o hand.Order, report func(hand.Report)) (hand.Report, error) {
	report(hand.Report{Frames: 1, OfFrames: 2})
	<-ctx.Done()
	s.ended <- o.Output
	return hand.Report{Frames: 1, OfFrames: 2}, ctx.Err()
}
func (slow) SpeakLive(context.Context, func(hand.Report)) (hand.Report, error) {
	return hand.Report{}, nil
}
func (slow) TakeMade(context.Context, []byte, []playlist.AlertID) (Taken, error) {
	return Taken{}, nil
}
func (slow) TakeAlert(context.Context, []byte) (Taken, error)             { return Taken{}, nil }
func (slow) CancelAlert(context.Context, playlist.AlertID) (Taken, error) { return Taken{}, nil }
func (slow) Alerts(context.Context) ([]emergency.Record, error)           { return nil, nil }
func (slow) Clips(context.Context) (Shelf, error)                         { return Shelf{}, nil }
func (slow) Events(context.Context, int64, int) ([]asrun.Event, error)    { return nil, nil }
func (slow) Carry(ctx context.Context, _ string, _ say.Lang) (Carried, error) {
	select {
	case <-time.After(3 * time.Hour):
		return Carried{Clips: 3}, errAtLast
	case <-ctx.Done():
		return Carried{}, ctx.Err()
	}
}

// pipes is a listener within the process: it takes part in virtual time, as a
// socket does not.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// inPipes serves a daemon to a client over pipes.
func inPipes(t *testing.T, d Daemon) *Client {
	t.Helper()
	s := &Server{Daemon: d, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), stopping: t.Context()}
	ln := newPipes()
	server := &http.Server{Handler: s.routes()}
	go func() { _ = server.Serve(ln) }()
	transport := &http.Transport{DialContext: ln.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return &Client{web: web.Client{Base: "http://dalaba", Lang: say.English, HTTP: &http.Client{Transport: transport}}}
}

func TestALongImportIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inPipes(t, slow{})
		began := time.Now()
		got, err := c.Carry(t.Context(), "/stick")
		if err == nil || err.Error() != errAtLast.Error() || got.Clips != 3 || time.Since(began) < 3*time.Hour {
			t.Errorf("%+v after %v: %v", got, time.Since(began), err)
		}
	})
}

func TestASoundEndsWithTheOneWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slow{make(chan string, 1)}
		c := inPipes(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		got, err := c.Play(ctx, hand.Order{Output: "told", Clip: "ab"}, func(hand.Report) { cancel() })
		if err != nil || !got.Stopped || got.Frames != 1 || <-d.ended != "told" {
			t.Errorf("told to stop: %+v, %v", got, err)
		}
		// The client is gone without a word.
		resp, err := c.web.HTTP.Post("http://dalaba/v1/play", "application/json", strings.NewReader(`{"output":"gone","clip":"ab"}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := <-d.ended; got != "gone" {
			t.Error(got)
		}
	})
}

func TestManySoundsDoNotKeepOtherRequestsOut(t *testing.T) {
	d := slow{make(chan string, 2*maxSounds)}
	c := inPipes(t, d)
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, maxSounds)
	for range maxSounds {
		work.Go(func() {
			_, _ = c.Play(ctx, hand.Order{Output: "one", Clip: "ab"}, func(hand.Report) { begun <- struct{}{} })
		})
	}
	for range maxSounds {
		<-begun
	}
	if _, err := c.Play(ctx, hand.Order{Output: "more", Clip: "ab"}, func(hand.Report) {}); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("one more: %v", err)
	}
	if st, err := c.Status(ctx); err != nil || st.Site != "大坝村" {
		t.Errorf("%+v, %v", st, err)
	}
	cancel()
	work.Wait()
}

func TestARequestThatIsNoOrderIsRefused(t *testing.T) {
	c := inPipes(t, slow{})
	for _, r := range []struct{ name, path, body string }{
		{"no JSON", "/v1/tone", "nonsense"},
		{"an unknown key", "/v1/tone", `{"output":"east","colour":"red"}`},
		{"a clip as a tone", "/v1/tone", `{"output":"east","clip":"ab"}`},
		{"nothing to play", "/v1/play", `{"output":"east"}`},
		{"a path of the client's own", "/v1/play", `{"output":"east","file":"a.mp3"}`},
		{"no alert", "/v1/alerts/cancel", `{}`},
		{"no folder", "/v1/import", `{"dir":"stick"}`},
		{"too long", "/v1/tone", `{"output":"` + strings.Repeat("x", 2*maxRequest) + `"}`},
	} {
		resp, err := c.web.HTTP.Post("http://dalaba"+r.path, "application/json", strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		var f web.Fault
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil || resp.StatusCode != http.StatusBadRequest || f.Error == "" {
			t.Errorf("%s: %s %+v, %v", r.name, resp.Status, f, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// serve runs a server of a data folder until the test ends, and waits for it.
func serve(t *testing.T, dir string) {
	t.Helper()
	held, err := data.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Daemon: slow{}, Dir: dir, Config: filepath.Join(dir, "dalaba.toml"), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, held.Release()); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, err := Ask(t.Context(), dir, say.English)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestEachDataFolderIsAnsweredByItsOwnDaemon(t *testing.T) {
	run := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", run)
	one, two, none := t.TempDir(), t.TempDir(), t.TempDir()
	serve(t, one)
	serve(t, two)
	if _, err := os.Stat(filepath.Join(run, socketName)); err != nil {
		t.Errorf("the first is not in the machine's place: %v", err)
	}
	if _, err := os.Stat(filepath.Join(two, socketName)); err != nil {
		t.Errorf("the second is not in its data folder: %v", err)
	}
	if _, err := Ask(t.Context(), none, say.English); err == nil || !strings.Contains(err.Error(), "no daemon runs") {
		t.Errorf("where none runs: %v", err)
	}
}

func TestADaemonOfAnOlderVersionIsToBeRestarted(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	dir := t.TempDir()
	held, err := data.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Release() }()
	ln, err := net.Listen("unix", filepath.Join(dir, "dalaba.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if _, err := Ask(t.Context(), dir, say.English); err == nil || !strings.Contains(err.Error(), "restart it") {
		t.Error(err)
	}
}
