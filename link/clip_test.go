package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/link"
	"dalaba/playlist"
)

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// clipServer serves clips and records the requests.
type clipServer struct {
	mu    sync.Mutex
	clips map[playlist.ClipID][]byte
	asked []string // "<ID> <range>"
}

func (s *clipServer) open(id playlist.ClipID) (io.ReadSeekCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.clips[id]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return reader{bytes.NewReader(b)}, int64(len(b)), nil
}

func (s *clipServer) serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	h := link.ClipHandler(s.open, nil)
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, filepath.Base(r.URL.Path)+" "+r.Header.Get("Range"))
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// cut passes n bytes of each response and then drops the connection.
func cut(n int) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&cutter{w, n}, r)
		})
	}
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func (c *cutter) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

// fetcher runs a [link.Clips] that retries almost at once.
func fetcher(t *testing.T, store link.ClipStore, sources ...string) *link.Clips {
	t.Helper()
	c := &link.Clips{Dir: filepath.Join(t.TempDir(), "parts"), Store: store, Log: quiet(),
		Sources: func() []string { return sources }, Backoff: func(int) time.Duration { return time.Millisecond }}
	return c
}

func running(t *testing.T, c *link.Clips) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAClipArrivesInPiecesOverALineThatBreaks(t *testing.T) {
	clip, data := sound(300_000, 1)
	s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
	m := newMemory()
	c := fetcher(t, m, s.serve(t, cut(70_000)))
	got := make(chan playlist.ClipID, 1)
	c.Got = func(id playlist.ClipID) { got <- id }
	running(t, c)
	c.Want([]link.Wanted{{Clip: clip}})
	if id := await(t, "a clip", got); id != clip.ID || !bytes.Equal(m.clips[id], data) {
		t.Fatal("other bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) < 3 || len(s.asked) > 8 || s.asked[0] != string(clip.ID)+" " {
		t.Errorf("asked %v", s.asked)
	}
	for _, a := range s.asked[1:] {
		if a == string(clip.ID)+" " {
			t.Error("it began anew")
		}
	}
	if left, _ := os.ReadDir(c.Dir); len(left) != 0 {
		t.Errorf("%d parts left over", len(left))
	}
}

func TestAPartialDownloadSurvivesARestart(t *testing.T) {
	clip, data := sound(100_000, 1)
	s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
	c := fetcher(t, newMemory(), s.serve(t, nil))
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{string(clip.ID): 60_000, "of a clip that is not wanted": 10} {
		if err := os.WriteFile(filepath.Join(c.Dir, name+".part"), data[:n], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan playlist.ClipID, 1)
	c.Got = func(id playlist.ClipID) { got <- id }
	c.Want([]link.Wanted{{Clip: clip}})
	running(t, c)
	await(t, "the clip", got)
	if want := string(clip.ID) + " bytes=60000-"; len(s.asked) != 1 || s.asked[0] != want {
		t.Errorf("asked %v", s.asked)
	}
	if left, _ := os.ReadDir(c.Dir); len(left) != 0 {
		t.Errorf("%d parts left over", len(left))
	}
}

func TestAClipWithOtherBytesIsNeverStored(t *testing.T) {
	clip, data := sound(50_000, 1)
	wrong := bytes.Clone(data)
	wrong[40_000] ^= 1
	for _, c := range []struct {
		name  string
		liar  http.HandlerFunc
		first []byte // of the clip, already there
	}{
		{"other bytes of the same length", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(wrong) }, nil},
		{"more bytes than the clip has", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = w.Write(data)
			}
		}, nil},
		{"a web page instead of the clip", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>sorry</html>") }, nil},
		{"not found", http.NotFound, nil},
		{"another range than asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-49999/50000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data)
		}, data[:1000]},
		{"a part that was spoilt before", http.NotFound, wrong[:45_000]},
		{"a part that is too long", http.NotFound, append(bytes.Clone(data), 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.liar)
			defer srv.Close()
			honest := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
			m := newMemory()
			f := fetcher(t, m, srv.URL, honest.serve(t, nil))
			if c.first != nil {
				if err := os.MkdirAll(f.Dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(f.Dir, string(clip.ID)+".part"), c.first, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got := make(chan playlist.ClipID, 1)
			f.Got = func(id playlist.ClipID) { got <- id }
			running(t, f)
			f.Want([]link.Wanted{{Clip: clip}})
			await(t, "the clip", got)
			if !bytes.Equal(m.clips[clip.ID], data) {
				t.Error("other bytes were put away")
			}
		})
	}
}

func TestAnAlertsClipIsFetchedBeforeTheOthers(t *testing.T) {
	s := &clipServer{clips: map[playlist.ClipID][]byte{}}
	var lessons []link.Wanted
	for i := range 6 {
		clip, data := sound(1000, byte(i))
		s.clips[clip.ID] = data
		lessons = append(lessons, link.Wanted{Clip: clip})
	}
	urgent, data := sound(2000, 99)
	s.clips[urgent.ID] = data
	held := make(chan struct{}) // the other clips are held back until the alert's clip is there
	m := newMemory()
	c := fetcher(t, m, s.serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if filepath.Base(r.URL.Path) != string(urgent.ID) {
				select {
				case <-held:
				case <-r.Context().Done():
				}
			}
			h.ServeHTTP(w, r)
		})
	}))
	got := make(chan playlist.ClipID, 16)
	c.Got = func(id playlist.ClipID) { got <- id }
	running(t, c)
	c.Want(lessons)
	eventually(t, "both other downloads are held back", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) == 2 })
	c.Want(append(slices.Clone(lessons), link.Wanted{Clip: urgent, Urgent: true}))
	if id := await(t, "a clip", got); id != urgent.ID {
		t.Errorf("%s came first", id.Short())
	}
	close(held)
	for range lessons {
		await(t, "the clip", got)
	}
}

func TestTheDownloadOfAClipNoLongerWantedIsCancelled(t *testing.T) {
	clip, data := sound(1000, 1)
	other, more := sound(1000, 2)
	s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data, other.ID: more}}
	dropped := make(chan struct{})
	c := fetcher(t, newMemory(), s.serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if filepath.Base(r.URL.Path) == string(clip.ID) {
				<-r.Context().Done()
				close(dropped)
				return
			}
			h.ServeHTTP(w, r)
		})
	}))
	c.Fetchers = 1
	got := make(chan playlist.ClipID, 1)
	c.Got = func(id playlist.ClipID) { got <- id }
	running(t, c)
	c.Want([]link.Wanted{{Clip: clip}})
	eventually(t, "the download is held back", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) == 1 })
	c.Want([]link.Wanted{{Clip: other}})
	await(t, "the first download is cancelled", dropped)
	if id := await(t, "a clip", got); id != other.ID {
		t.Errorf("got %s", id.Short())
	}
}

func TestClipHandlerServesClipsAndNothingElse(t *testing.T) {
	clip, data := sound(1000, 1)
	s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
	key, stranger := link.NewKey(), link.NewKey()
	disabled := false
	gate := link.ClipGate(func(_ context.Context, id playlist.ControllerID) (link.Registered, error) {
		if id != "daba-1" {
			return link.Registered{}, link.ErrUnknown
		}
		return link.Registered{Key: key.Public(), Disabled: disabled}, nil
	})
	other, _ := sound(10, 3)
	path := "/clips/" + string(clip.ID)
	signed := func(id playlist.ControllerID, k *link.Key, c playlist.ClipID) func(*http.Request) {
		return func(r *http.Request) { link.SignClip(id, k)(r, c) }
	}
	mine := signed("daba-1", key, clip.ID)
	for _, c := range []struct {
		name, method, path string
		with               func(*http.Request)
		disabled           bool
		want, bytes        int
	}{
		{"a clip", "GET", path, mine, false, 200, 1000},
		{"its header only", "HEAD", path, mine, false, 200, 0},
		{"its last 100 bytes", "GET", path, func(r *http.Request) { mine(r); r.Header.Set("Range", "bytes=900-") }, false, 206, 100},
		{"a range beyond its end", "GET", path, func(r *http.Request) { mine(r); r.Header.Set("Range", "bytes=1000-") }, false, 416, -1},
		{"a clip that is not there", "GET", "/clips/" + string(other.ID), signed("daba-1", key, other.ID), false, 404, -1},
		{"a path out of the folder", "GET", "/clips/../../etc/passwd", mine, false, 404, -1},
		{"a name that is no clip ID", "GET", "/clips/x", mine, false, 404, -1},
		{"a PUT", "PUT", path, mine, false, 405, -1},
		{"a request without a signature", "GET", path, func(*http.Request) {}, false, 403, -1},
		{"signed by another key", "GET", path, signed("daba-1", stranger, clip.ID), false, 403, -1},
		{"in the name of another controller", "GET", path, signed("daba-2", key, clip.ID), false, 403, -1},
		{"a signature for another clip", "GET", path, signed("daba-1", key, other.ID), false, 403, -1},
		{"a disabled controller", "GET", path, mine, true, 403, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			disabled = c.disabled
			r := httptest.NewRequest(c.method, path, nil)
			r.URL.Path = c.path
			c.with(r)
			w := httptest.NewRecorder()
			link.ClipHandler(s.open, gate).ServeHTTP(w, r)
			if w.Code != c.want || c.bytes >= 0 && w.Body.Len() != c.bytes {
				t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
			}
			if w.Code == 200 && w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestAnUrgentClipDoesNotWaitForItsBackoff(t *testing.T) {
	clip, data := sound(1000, 1)
	s := &clipServer{clips: map[playlist.ClipID][]byte{}}
	c := fetcher(t, newMemory(), s.serve(t, nil))
	c.Backoff = func(int) time.Duration { return time.Hour }
	waits, got := make(chan struct{}, 1), make(chan playlist.ClipID, 1)
	c.Log = slog.New(slog.NewTextHandler(writer(func() {
		select {
		case waits <- struct{}{}:
		default:
		}
	}), &slog.HandlerOptions{Level: slog.LevelWarn}))
	c.Got = func(id playlist.ClipID) { got <- id }
	running(t, c)
	c.Want([]link.Wanted{{Clip: clip}})
	await(t, "the clip is found missing", waits)
	s.mu.Lock()
	s.clips[clip.ID] = data
	s.mu.Unlock()
	c.Want([]link.Wanted{{Clip: clip, Urgent: true}})
	await(t, "the clip", got)
}

type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

// silentAddress returns an address that neither accepts nor refuses a connection.
func silentAddress(t *testing.T) string {
	t.Helper()
	fd := must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at := must[unix.Sockaddr](t)(unix.Getsockname(fd)).(*unix.SockaddrInet4)
	for range 4 { // more than fit into the listen queue
		c := must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0))
		t.Cleanup(func() { _ = unix.Close(c) })
		if err := unix.Connect(c, at); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("http://127.0.0.1:%d", at.Port)
}

// The operating system would give up after two minutes. The fetcher must do so
// earlier, and the error must be that of its own limit.
func TestASourceThatDoesNotRespondIsGivenUpSoon(t *testing.T) {
	defer link.SetClipDial(500 * time.Millisecond)()
	clip, data := sound(1000, 1)
	s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
	neighbour := silentAddress(t)
	c := fetcher(t, newMemory(), neighbour, s.serve(t, nil))
	dial, failed := link.ClipClient(nil).Transport, make(chan error, 1)
	c.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := dial.RoundTrip(r)
		if "http://"+r.URL.Host == neighbour {
			select {
			case failed <- err:
			default:
			}
		}
		return resp, err
	})}
	got := make(chan playlist.ClipID, 1)
	c.Got = func(id playlist.ClipID) { got <- id }
	running(t, c)
	c.Want([]link.Wanted{{Clip: clip, Urgent: true}})
	await(t, "the clip, from another", got)
	err := await(t, "the source is given up", failed)
	if limit := net.Error(nil); !errors.As(err, &limit) || !limit.Timeout() || errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("the neighbour is given up for %v, want a time limit of the fetcher's own", err)
	}
}

func TestAControllerThatAsksForManyClipsAtOnceKeepsNoOtherFromThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := map[playlist.ControllerID]*link.Key{"daba-1": link.NewKey(), "daba-2": link.NewKey()}
		gate := link.ClipGate(func(_ context.Context, id playlist.ControllerID) (link.Registered, error) {
			return link.Registered{Key: keys[id].Public()}, nil
		})
		clip, data := sound(1000, 1)
		s := &clipServer{clips: map[playlist.ClipID][]byte{clip.ID: data}}
		ask := func(ctx context.Context, id playlist.ControllerID) int {
			r := httptest.NewRequestWithContext(ctx, "GET", "/clips/"+string(clip.ID), nil)
			link.SignClip(id, keys[id])(r, clip.ID)
			w := httptest.NewRecorder()
			link.ClipHandler(s.open, gate).ServeHTTP(w, r)
			return w.Code
		}
		open, end := context.WithCancel(t.Context()) // what it asks for never ends
		for i := range 100 {
			want := 200
			if i >= 32 {
				want = 429
			}
			if got := ask(open, "daba-1"); got != want {
				t.Fatalf("request %d: %d, want %d", i, got, want)
			}
		}
		if got := ask(open, "daba-2"); got != 200 {
			t.Errorf("another: %d", got)
		}
		end()
		synctest.Wait()
		began := time.Now()
		for range 400 {
			one, end := context.WithCancel(t.Context())
			if got := ask(one, "daba-1"); got != 200 {
				t.Fatalf("after its requests ended: %d", got)
			}
			end()
			synctest.Wait()
		}
		if took := time.Since(began); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("400 requests took %v", took)
		}
	})
}
