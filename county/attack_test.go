package county_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// as sends a request to the county's public door from an address.
func (w *world) as(from, method, path string, body io.Reader, length int64, headers ...string) *httptest.ResponseRecorder {
	return w.until(context.Background(), from, method, path, body, length, headers...)
}

// until is as for a client that hangs up when ctx ends.
func (w *world) until(ctx context.Context, from, method, path string, body io.Reader, length int64, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, body)
	r.RemoteAddr, r.ContentLength = from, length
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	w.http.Config.Handler.ServeHTTP(out, r)
	return out
}

// The addresses of requests. All but the first are strangers'.
const (
	known     = "10.0.0.1:4000"
	stranger  = "10.0.0.2:4000"
	stranger2 = "10.0.0.3:4000"
)

// unfinished is a body of that many zeros whose end comes only when end is called.
// begun is closed once all else was read.
func unfinished(size int64) (body io.Reader, begun chan struct{}, end func()) {
	begun, over := make(chan struct{}), make(chan struct{})
	return io.MultiReader(bytes.NewReader(make([]byte, size)), read(func([]byte) (int, error) {
		close(begun)
		<-over
		return 0, io.EOF
	})), begun, sync.OnceFunc(func() { close(over) })
}

type read func([]byte) (int, error)

func (f read) Read(p []byte) (int, error) { return f(p) }

// occupy has bodies of requests from an address be read, and not end before the test.
func (w *world) occupy(t *testing.T, from, path string, n int, size int64) {
	t.Helper()
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	for range n {
		body, begun, end := unfinished(size)
		all.Go(func() { w.as(from, "POST", path, body, -1) })
		t.Cleanup(end)
		await(t, "the body is read", begun)
	}
}

func TestWhoSendsCAPIsToldNothingUnlessHeIsBelieved(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.Hurry()
	w.enrol(t, village, nil, speaker("村口", village, 420))
	message := capXML("stranger", string(townArea))
	for _, c := range []struct {
		name, method, body string
		length             int64 // 0: that of the body
		status             int
	}{
		{"no message", "GET", "", 0, http.StatusMethodNotAllowed},
		{"nonsense", "POST", "<nonsense/>", 0, http.StatusBadRequest},
		{"a name that is too long", "POST", capXML(strings.Repeat("x", 300), string(townArea)), 0, http.StatusBadRequest},
		{"one that is not signed", "POST", message, 0, http.StatusForbidden},
		{"the same again", "POST", message, 0, http.StatusForbidden},
		{"one that says that it is too large", "POST", "x", alert.MaxXML + 1, http.StatusRequestEntityTooLarge},
		{"one that is too large", "POST", strings.Repeat(" ", alert.MaxXML+1), -1, http.StatusRequestEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			length := c.length
			if length == 0 {
				length = int64(len(c.body))
			}
			got := w.as(stranger, c.method, "/cap", strings.NewReader(c.body), length, "Accept-Language", "zh")
			if got.Code != c.status || got.Body.Len() > 0 {
				t.Errorf("%d %q, want %d and nothing more", got.Code, got.Body, c.status)
			}
		})
	}
	t.Run("a second one that is large", func(t *testing.T) {
		w.occupy(t, stranger, "/cap", 1, 2<<20)
		got := w.as(stranger2, "POST", "/cap", strings.NewReader(strings.Repeat(" ", 2<<20)), -1)
		if got.Code != http.StatusServiceUnavailable || got.Body.Len() > 0 {
			t.Errorf("%d %q", got.Code, got.Body)
		}
	})
}

func TestWhoIsBelievedIsToldWhatBecameOfHisMessageAndNoMore(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	w.enrol(t, village, nil, speaker("村口", village, 420))
	for _, c := range []struct {
		name, message string
		keys          []string
	}{
		{"one that sounds", capXML("one", string(townArea)), []string{"id", "state"}},
		{"a copy", capXML("one", string(townArea)), []string{"duplicate", "id", "state"}},
		{"one for elsewhere", capXML("two", "341524100000"), []string{"id", "state", "why"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.as(known, "POST", "/cap", strings.NewReader(c.message), -1)
			var v map[string]any
			if err := json.Unmarshal(got.Body.Bytes(), &v); err != nil || got.Code != http.StatusOK {
				t.Fatalf("%d %s: %v", got.Code, got.Body, err)
			}
			if keys := slices.Sorted(maps.Keys(v)); !slices.Equal(keys, c.keys) {
				t.Errorf("%v", v)
			}
		})
	}
}

func TestOfRefusedMessagesLittleIsKept(t *testing.T) {
	var lines journal
	w := newWorld(t, t.TempDir(), func(o *county.Options) { o.Log = slog.New(slog.NewTextHandler(&lines, nil)) })
	const sent = 1200
	text := strings.Repeat("水", 20_000)
	var senders sync.WaitGroup
	var refused atomic.Int64
	for i := range 6 {
		senders.Go(func() {
			for n := range sent / 6 {
				m := strings.Replace(capXML(fmt.Sprintf("m%d-%d", i, n), string(townArea)), "<description>", "<description>"+text, 1)
				if w.as(fmt.Sprintf("10.0.1.%d:1", i), "POST", "/cap", strings.NewReader(m), -1).Code == http.StatusForbidden {
					refused.Add(1)
				}
			}
		})
	}
	senders.Wait()
	if refused.Load() != sent {
		t.Fatalf("%d of %d refused; %s", refused.Load(), sent, &lines)
	}
	all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 2*sent))
	if len(all) > 1010 || len(all) < 900 {
		t.Errorf("%d are kept", len(all))
	}
	for _, a := range all {
		whole := must[store.Alert](t)(w.Store.Alert(t.Context(), a.ID))
		if kept := len(whole.Raw) + len(must[[]byte](t)(json.Marshal(whole))); kept > 8<<10 || whole.State != emergency.StateRefused {
			t.Fatalf("%d bytes are kept of one that is %s", kept, whole.State)
		}
	}
	if n := strings.Count(lines.String(), "emergency message"); n > 0 {
		t.Errorf("%d of them have a line of the log each", n)
	}
}

func TestPackagesOfWhichNothingIsKeptArePruned(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	kept := store.EBD{ID: "genuine", Type: string(alert.KindEBM), Raw: []byte{1}}
	if err := w.Store.LogEBD(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	for range 50 {
		senders.Go(func() {
			for range 106 {
				if err := w.Store.LogEBD(t.Context(), store.EBD{ID: "x", Type: string(alert.KindEBM)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	all := must[[]store.EBD](t)(w.Store.EBDs(t.Context(), 10_000))
	if n := len(all); n < 5000 || n > 5100 || all[n-1].ID != kept.ID {
		t.Errorf("%d are kept, the first is %q", n, all[n-1].ID)
	}
}

// A package that was received and is sent again by whoever saw it is not kept again.
func TestACopyOfAPackageIsNotKept(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	p, _ := ebm(t, "a1", nil)
	for range 3 {
		if m := w.send(t, p); m.Result.Code != alert.ResultReceived {
			t.Fatalf("%+v", m.Result)
		}
	}
	n := 0
	for _, m := range must[[]store.EBD](t)(w.Store.EBDs(t.Context(), 10)) {
		if m.Size > 0 {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d copies are kept", n)
	}
}

func TestListsLoadNoMessagesAsTheyCame(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	const n, size = 4, 16 << 20
	for i := range n {
		raw := bytes.Repeat([]byte{byte(i)}, size)
		must[county.Verdict](t)(w.Take(t.Context(), county.Incoming{Source: county.FromEBD, Raw: raw, Alert: emergency.Alert{
			ID: playlist.AlertID(fmt.Sprint("a", i)), Kind: emergency.KindRequest, Class: emergency.ClassTest, Level: emergency.Red, Sent: time.Now(),
		}}))
		if err := w.Store.LogEBD(t.Context(), store.EBD{ID: "p", Type: string(alert.KindEBM), Raw: raw}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/api/alerts", "/api/ebd"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := w.as(known, "GET", path, nil, 0, "Authorization", "Bearer secret")
		runtime.ReadMemStats(&after)
		var all []any
		if err := json.Unmarshal(got.Body.Bytes(), &all); err != nil || len(all) != n {
			t.Errorf("%s: %d of %d, %v", path, len(all), n, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > n*size/2 {
			t.Errorf("%s took %d MiB", path, used>>20)
		}
	}
}

func TestReportsAndFeedsFollowNoRedirect(t *testing.T) {
	var asked, led atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { led.Add(1) }))
	t.Cleanup(elsewhere.Close)
	leads := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || r.URL.Path == "/feed" {
			asked.Add(1)
		}
		http.Redirect(rw, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(leads.Close)
	for _, c := range []struct {
		name string
		of   func(*county.Options)
	}{
		{"reports", func(o *county.Options) { o.EBD.Upstream, o.EBD.Heartbeat = leads.URL, 10*time.Millisecond }},
		{"a feed", func(o *county.Options) {
			o.Alerts.Feeds = []county.Feed{{URL: leads.URL + "/feed", Every: 10 * time.Millisecond}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked.Store(0)
			newWorld(t, t.TempDir(), c.of)
			eventually(t, "it is asked", func() bool { return asked.Load() > 2 })
			if n := led.Load(); n > 0 {
				t.Errorf("%d requests went elsewhere", n)
			}
		})
	}
}

// answer reads what the county answered to a package.
func answer(t *testing.T, got *httptest.ResponseRecorder) alert.Message {
	t.Helper()
	m, err := alert.Parse(t.Context(), got.Body.Bytes(), alert.Options{})
	if err != nil || got.Code != http.StatusOK || m.Kind != alert.KindResponse {
		t.Fatalf("%d, %d bytes: %v", got.Code, got.Body.Len(), err)
	}
	return m
}

func TestASenderThatIsKnownIsAnsweredInItsForm(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	w.Hurry()
	send := func(from string, body io.Reader, length int64) *httptest.ResponseRecorder {
		return w.as(from, "POST", "/ebd", body, length, "Content-Type", "application/x-tar")
	}
	pack := func(id string) io.Reader {
		p, _ := ebm(t, id, nil)
		return bytes.NewReader(p.Tar)
	}
	bare := func(what string, got *httptest.ResponseRecorder, status int) {
		t.Helper()
		if got.Code != status || got.Body.Len() > 0 {
			t.Errorf("%s: %d and %d bytes, want %d and nothing more", what, got.Code, got.Body.Len(), status)
		}
	}
	bare("a stranger's that is too large", send(known, pack("a1"), alert.MaxTar+1), http.StatusRequestEntityTooLarge)
	if m := answer(t, send(known, pack("a1"), -1)); m.Result.Code != alert.ResultReceived {
		t.Fatalf("%+v", m.Result)
	}
	if m := answer(t, send(known, pack("a2"), alert.MaxTar+1)); m.Result.Code != alert.ResultOther {
		t.Errorf("a known sender's that is too large: %+v", m.Result)
	}
	w.occupy(t, stranger, "/ebd", 1, 2<<20)
	bare("a stranger's while another is read", send(stranger2, bytes.NewReader(make([]byte, 2<<20)), -1), http.StatusServiceUnavailable)
	// Others at the address of a known sender keep it out only of what is large.
	w.occupy(t, known, "/ebd", 2, 2<<20)
	if m := answer(t, send(known, pack("a3"), -1)); m.Result.Code != alert.ResultReceived {
		t.Errorf("a known sender's while two from its address are read: %+v", m.Result)
	}
}

// meter counts what is read of a body.
type meter struct {
	io.Reader
	n int
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += n
	return n, err
}

func TestTheHeadOfAFormIsBounded(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	p, _ := ebm(t, "a1", nil)
	const file, note = "Content-Disposition: form-data; name=\"file\"; filename=\"a.tar\"\r\n\r\n", "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n"
	for i, c := range []struct {
		name, before string
		status       int
	}{
		{"a short one", note + "hello\r\n--x\r\n" + file, http.StatusOK},
		{"one of 9 MB", "--x\r\n" + strings.Repeat("X-"+strings.Repeat("y", 1000)+": z\r\n", 9000) + file, http.StatusBadRequest},
		{"9 MB of another field", note + strings.Repeat("x", 9<<20) + "\r\n--x\r\n" + file, http.StatusBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := &meter{Reader: io.MultiReader(strings.NewReader(c.before), bytes.NewReader(p.Tar), strings.NewReader("\r\n--x--\r\n"))}
			got := w.as(fmt.Sprintf("198.51.100.%d:1", 101+i), "POST", "/ebd", body, -1, "Content-Type", "multipart/form-data; boundary=x")
			if got.Code != c.status || c.status != http.StatusOK && (body.n > 128<<10 || got.Body.Len() > 0) {
				t.Errorf("%d, %d bytes read", got.Code, body.n)
			}
		})
	}
}

func TestGuessesKeepNobodyFromLoggingIn(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	const password = "correct horse battery"
	if err := w.Store.SetAdmin(t.Context(), "admin", password); err != nil {
		t.Fatal(err)
	}
	login := func(ctx context.Context, from, name, password, language string) *httptest.ResponseRecorder {
		body := strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
		return w.until(ctx, from, "POST", "/api/login", body, -1, "Accept-Language", language)
	}
	if got := login(t.Context(), known, "admin", password, "en"); got.Code != http.StatusOK {
		t.Fatal(got.Code, got.Body)
	}
	// More than may be read at once wait for their passwords to be hashed, from everywhere.
	guessing, stop := context.WithCancel(t.Context())
	var guessers sync.WaitGroup
	for i := range 160 {
		guessers.Go(func() {
			for n := 0; guessing.Err() == nil; n++ {
				name := "admin"
				if i%4 > 0 {
					name = fmt.Sprint("nobody", i, n)
				}
				if got := login(guessing, fmt.Sprintf("10.0.2.%d:1", i), name, "guess", "en"); got.Code == http.StatusOK {
					t.Error("guessed")
				}
			}
		})
	}
	for range 5 {
		if got := login(t.Context(), known, "admin", password, "en"); got.Code != http.StatusOK {
			t.Errorf("who logged in before from there: %d %s", got.Code, got.Body)
		}
	}
	stop()
	guessers.Wait()
	for language, words := range map[string]string{"zh": "登录失败次数太多", "en": "too many logins have failed: try again in"} {
		var got *httptest.ResponseRecorder
		for range 15 { // hashing may take longer than the first waits
			if got = login(t.Context(), stranger, "clerk", "guess", language); got.Code == http.StatusTooManyRequests {
				break
			}
		}
		if got.Code != http.StatusTooManyRequests || !strings.Contains(got.Body.String(), words) {
			t.Errorf("who guesses: %d %s", got.Code, got.Body)
		}
	}
}

// However many strangers send slowly, from everywhere, a login from where someone has
// logged in before is read to its end.
func TestStrangersTakeNoPlaceOfWhoHasLoggedIn(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	const password = "correct horse battery"
	if err := w.Store.SetAdmin(t.Context(), "admin", password); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"name":"admin","password":%q}`, password)
	if got := w.as(known, "POST", "/api/login", strings.NewReader(text), -1); got.Code != http.StatusOK {
		t.Fatal(got.Code, got.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	flood := sync.OnceFunc(func() {
		for i := range 100 {
			body, begun, end := unfinished(10)
			context.AfterFunc(ctx, end)
			strangers.Go(func() { w.as(fmt.Sprintf("10.0.2.%d:1", i), "POST", "/api/login", body, -1) })
			<-begun
		}
	})
	slow := io.MultiReader(strings.NewReader(text[:10]), read(func([]byte) (int, error) { flood(); return 0, io.EOF }), strings.NewReader(text[10:]))
	if got := w.as(known, "POST", "/api/login", slow, -1); got.Code != http.StatusOK {
		t.Errorf("a login from where someone has logged in before: %d %s", got.Code, got.Body)
	}
	cancel()
	strangers.Wait()
}

func TestWhoWasBelievedComesFirstAfterARestartToo(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, unsigned)
	p, _ := ebm(t, "a1", nil)
	if got := w.as(known, "POST", "/ebd", bytes.NewReader(p.Tar), -1); got.Code != http.StatusOK {
		t.Fatal(got.Code)
	}
	if err := w.Store.SetAdmin(t.Context(), "editor", "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	login := func(w *world) int {
		return w.as(known, "POST", "/api/login", strings.NewReader(`{"name":"editor","password":"correct horse battery"}`), -1).Code
	}
	if got := login(w); got != http.StatusOK {
		t.Fatal(got)
	}
	w.die()
	again := newWorld(t, dir, unsigned)
	eventually(t, "the county remembers", func() bool { return again.Remembers(known, "editor") })
	if again.Remembers(stranger, "editor") {
		t.Error("a stranger is taken for one it knows")
	}
}
