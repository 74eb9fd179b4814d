package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
)

// sources returns the addresses to ask for clips: neighbours first.
func (u *Uplink) sources() []string {
	all := slices.Clone(u.Config().Cache.Peers)
	if m, err := u.member(context.Background()); err == nil {
		all = append(all, m.Clips...)
	}
	return all
}

// clipTransport fetches clips as the member document in force says.
type clipTransport struct {
	link *Uplink

	mu     sync.Mutex
	of     string       // what client was made of
	client *http.Client // nil: none yet
}

// RoundTrip implements http.RoundTripper.
func (t *clipTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	client, err := t.current()
	if err != nil {
		return nil, err
	}
	return client.Transport.RoundTrip(r)
}

// current returns the client, and makes a new one if the member document or the
// neighbours have changed.
func (t *clipTransport) current() (*http.Client, error) {
	m, err := t.link.member(context.Background())
	if err != nil {
		return nil, err
	}
	m.Clips = append(slices.Clone(t.link.Config().Cache.Peers), m.Clips...) // a neighbour may show a certificate of the county's
	t.mu.Lock()
	defer t.mu.Unlock()
	of := fmt.Sprintf("%q %q %q", m.CA, m.Servers, m.Clips)
	if t.client != nil && t.of == of {
		return t.client, nil
	}
	conf, err := link.MemberTLS(m, t.link.Now, func() bool { return t.link.Clock.Trust() != playlist.ClockUntrusted })
	if err != nil {
		return nil, err
	}
	if t.client != nil {
		t.client.CloseIdleConnections()
	}
	t.of, t.client = of, link.ClipClient(conf)
	return t.client, nil
}

// ServeClips makes the controller a cache for its neighbours at an address, until
// ctx ends. A clip's name is the hash of its bytes, so that neighbours need not
// trust the cache. If it cannot listen, it says so in the log and returns.
func ServeClips(ctx context.Context, addr string, store *data.Store, log *slog.Logger) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Error("clip server failed", "addr", addr, "err", err)
		return
	}
	handler := link.ClipHandler(func(id playlist.ClipID) (io.ReadSeekCloser, int64, error) { return openClip(ctx, store, id) }, nil)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	log.Info("clip server started", "addr", ln.Addr().String())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		log.Error("clip server failed", "addr", addr, "err", err)
	}
}

func openClip(ctx context.Context, store *data.Store, id playlist.ClipID) (io.ReadSeekCloser, int64, error) {
	_, path, err := store.Clip(ctx, id)
	if err != nil {
		return nil, 0, fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}
