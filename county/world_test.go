package county_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

const (
	countyArea = playlist.Area("341523000000")
	townArea   = playlist.Area("341523100000")
	village    = playlist.Area("341523100201")
	other      = playlist.Area("341523101202")
)

var shanghai = time.FixedZone("CST", 8*3600)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// patience is how long a test waits for what is to come from elsewhere: long
// enough for a machine that does much else.
const patience = 2 * time.Minute

// journal keeps the last lines that the parts under test logged, for a test
// that fails.
type journal struct {
	mu    sync.Mutex
	lines [][]byte
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, bytes.Clone(p))
	j.lines = j.lines[max(0, len(j.lines)-40):]
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(bytes.Join(j.lines, nil))
}

var logged journal

func quiet() *slog.Logger {
	if os.Getenv("LOUD") != "" {
		return slog.Default()
	}
	return slog.New(slog.NewTextHandler(&logged, nil))
}

// eventually asks until the answer is yes; the sockets under it are real.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("the last lines of the log:\n%safter %v it is still not so: %s", &logged, patience, what)
}

// await waits for what another goroutine sends.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("the last lines of the log:\n%safter %v this has not come: %s", &logged, patience, what)
		panic("unreachable")
	}
}

// world is a county with a broker and its doors open on loopback.
type world struct {
	*county.County
	county.Options                  // by which it was made, without what speaks to the broker
	http           *httptest.Server // the public door
	ca             string
	dir            string
	broker         *server.Server
	edge           *link.Edge
	die            func()       // what speaks to the broker ends
	shift          atomic.Int64 // of its clock, in nanoseconds
	still          atomic.Int64 // where its clock was stopped, in Unix nanoseconds; 0: it runs
	boxes          []*box
}

// freeze stops the county's clock, which only its shift moves from then on.
func (w *world) freeze() { w.still.Store(time.Now().UnixNano()) }

func (w *world) clock() time.Time {
	at := time.Now()
	if still := w.still.Load(); still != 0 {
		at = time.Unix(0, still)
	}
	return at.Add(time.Duration(w.shift.Load()))
}

// String is what a test that failed is to tell of the county and its
// controllers.
func (w *world) String() string {
	var s strings.Builder
	all, err := w.Store.Alerts(context.Background(), 20)
	fmt.Fprintf(&s, "the county's clock shows %v; its alerts (%v):", w.clock().UTC(), err)
	for _, a := range all {
		fmt.Fprintf(&s, "\n  %s: %s %s, with a clip: %v, told %+v, owed %v", a.ID, a.State, a.Why, a.Detail.Clip != nil, a.Detail.Told, a.Owed)
	}
	for _, b := range w.boxes {
		b.mu.Lock()
		fmt.Fprintf(&s, "\n%s has sent %d of %d receipts and heard %d states of alerts; it has", b.id, b.mark, len(b.out), len(b.states))
		for id, a := range b.alerts {
			fmt.Fprintf(&s, " alert %s, with a clip: %v;", id, a.Clip != nil)
		}
		for k, d := range b.docs {
			fmt.Fprintf(&s, " %q version %d;", k, d.Version)
		}
		b.mu.Unlock()
	}
	return s.String()
}

// newWorld starts a county on the store folder; change may set it up
// otherwise, and the others see it before it runs.
func newWorld(t *testing.T, dir string, change func(*county.Options), made ...func(*county.County)) *world {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Dir: dir, Zone: shanghai, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, Options: county.Options{
		Name: "舒城县融媒体中心", Area: countyArea, Zone: shanghai, Store: st, Log: quiet(), Ingest: &ingest.Ingester{
			TempDir: t.TempDir(),
			Door: func(r io.Reader) (playlist.Clip, error) {
				info, err := player.Scan(r)
				return playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, err
			},
			Decode: func(r io.Reader) (ingest.Samples, error) { return player.OpenClip(r) },
		},
		Token: "secret", Version: "test",
	}}
	w.Now = w.clock
	keys := filepath.Join(dir, "keys")
	if _, err := county.Found(t.Context(), st, keys); err != nil {
		t.Fatal(err)
	}
	w.Keys = must[county.Keys](t)(county.ReadKeys(keys))
	if change != nil {
		change(&w.Options)
	}
	file := filepath.Join(keys, "broker.json")
	if w.Authority, err = link.ReadAuthority(file); err != nil {
		w.Authority = must[*link.Authority](t)(link.NewAuthority("舒城县"))
		if err := link.WriteAuthority(file, w.Authority); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := w.certify(t)
	text, err := link.Broker{
		Name: "n1", Host: "127.0.0.1", Port: -1, Cert: cert, Key: key, Dir: t.TempDir(),
		Operator: w.Authority.Operator, System: w.Authority.System, Account: w.Authority.Account,
	}.Config()
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{NoLog: true, NoSigs: true, DisableShortFirstPing: true}
	if err := o.ProcessConfigString(text); err != nil {
		t.Fatal(err)
	}
	w.broker = must[*server.Server](t)(server.NewServer(o))
	w.broker.Start()
	if !w.broker.ReadyForConnections(patience) {
		t.Fatal("no broker")
	}
	w.Servers, w.CA = []string{"tls://" + w.broker.Addr().String()}, w.ca

	w.http = httptest.NewUnstartedServer(nil)
	pair := must[tls.Certificate](t)(tls.LoadX509KeyPair(cert, key))
	w.http.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	w.ClipURLs = []string{"https://" + w.http.Listener.Addr().String()}

	t.Cleanup(func() {
		w.http.Close()
		w.broker.Shutdown()
		w.broker.WaitForShutdown()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w.County, w.edge, w.die = w.serve(t, w.Options, made...)
	w.http.Config.Handler = w.Public()
	w.http.StartTLS()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w)
		}
	})
	return w
}

// serve makes a county and has it speak to the broker until it dies.
func (w *world) serve(t *testing.T, o county.Options, made ...func(*county.County)) (c *county.County, edge *link.Edge, die func()) {
	t.Helper()
	conns := map[string]*nats.Conn{}
	for _, user := range []string{link.UserPublisher, link.UserEdge, link.UserSystem} {
		conns[user] = must[*nats.Conn](t)(link.Dial(user, o.Servers, w.ca, must[[]byte](t)(o.Authority.Creds(user))))
	}
	publisher := &link.Publisher{Conn: conns[link.UserPublisher], Log: quiet(), Every: 20 * time.Millisecond}
	o.Publish = publisher.Publish
	o.PushAccount = func(_ context.Context, a *link.Authority) error {
		return link.PushAccount(conns[link.UserSystem], a, patience)
	}
	c = county.New(o)
	publisher.Standing = c.Standing
	county.SettleOften(c, 100*time.Millisecond)
	for _, f := range made {
		f(c)
	}
	edge = &link.Edge{Conn: conns[link.UserEdge], Store: c.Edge(), Key: o.Keys.Edge, Log: quiet()}
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = edge.Run(ctx) })
	parts.Go(func() { _ = publisher.Run(ctx) })
	parts.Go(func() { _ = c.Run(ctx) })
	die = sync.OnceFunc(func() {
		stop()
		parts.Wait()
		c.Wait()
		for _, nc := range conns {
			nc.Close()
		}
	})
	t.Cleanup(die)
	return c, edge, die
}

// replica is another county on the same store, broker and keys, with an
// authority of its own.
func (w *world) replica(t *testing.T) (c *county.County, a *link.Authority) {
	t.Helper()
	o := w.Options
	o.Authority = must[*link.Authority](t)(link.ReadAuthority(filepath.Join(w.dir, "keys", "broker.json")))
	c, _, _ = w.serve(t, o)
	return c, o.Authority
}

// alone puts a county that makes no clips and publishes nothing in the place of
// one that has died.
func (w *world) alone() {
	o := w.Options
	o.Ingest = nil
	w.County = county.New(o)
}

// certify makes a certificate for loopback that vouches for itself.
func (w *world) certify(t *testing.T) (cert, key string) {
	t.Helper()
	k := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "county"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k))
	w.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	keyDER := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(k))
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string][]byte{cert: []byte(w.ca), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// call asks the API as an operator does and decodes the answer.
func (w *world) call(t *testing.T, method, path string, q url.Values, body, to any) int {
	t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	default:
		r = bytes.NewReader(must[[]byte](t)(json.Marshal(body)))
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, w.http.URL+path+"?"+q.Encode(), r))
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Accept-Language", "en")
	resp := must[*http.Response](t)(w.http.Client().Do(req))
	defer func() { _ = resp.Body.Close() }()
	text := must[[]byte](t)(io.ReadAll(resp.Body))
	if to != nil {
		if err := json.Unmarshal(text, to); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
	}
	if resp.StatusCode != http.StatusOK && to == nil {
		t.Logf("%s %s: %s", method, path, text)
	}
	return resp.StatusCode
}

// post sends what somebody else's program would.
func (w *world) post(t *testing.T, path, contentType string, body io.Reader) (status int, raw []byte) {
	t.Helper()
	resp, err := w.http.Client().Post(w.http.URL+path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// box is a controller without sound: the link's end and a memory.
type box struct {
	*link.Controller
	mu     sync.Mutex
	docs   map[string]link.Stored
	clips  map[playlist.ClipID]bool
	out    []asrun.Receipt
	aside  []link.Refused
	mark   int64
	alerts map[playlist.AlertID]link.AlertInForce // as the last states had them
	states []link.AlertsState
	gone   bool // retired
	own    playlist.Local
	health link.Health
	stop   func()
	id     playlist.ControllerID
}

// enrol makes a controller of the county.
func (w *world) enrol(t *testing.T, area playlist.Area, groups []string, outputs ...link.OutputHealth) *box {
	t.Helper()
	var code county.MadeCode
	if s := w.call(t, "POST", "/api/codes", nil, county.NewCode{Area: area, Groups: groups}, &code); s != http.StatusOK {
		t.Fatalf("no code: %d", s)
	}
	b := newBox(outputs...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	approved := make(chan struct{})
	e, err := link.Enrol(ctx, link.Enrolment{
		URL: w.http.URL, Code: code.Code, Key: b.Key, Self: link.EnrolRequest{Site: "大坝村", Areas: []playlist.Area{area}, Program: "test"},
		Poll: 5 * time.Millisecond,
		Pending: func() {
			if s := w.call(t, "POST", "/api/controllers/"+string(code.Controller)+"/approve", nil, nil, nil); s != http.StatusOK {
				t.Errorf("not approved: %d", s)
			}
			close(approved)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	<-approved
	if err := b.Adopt(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	b.id = e.Member.Member.Controller
	w.boxes = append(w.boxes, b)
	b.start(t)
	if len(outputs) > 0 {
		eventually(t, "the county knows its outputs", func() bool {
			k, err := w.Store.Controller(t.Context(), b.id)
			return err == nil && !k.Seen.IsZero()
		})
	}
	return b
}

func newBox(outputs ...link.OutputHealth) *box {
	b := &box{docs: map[string]link.Stored{}, clips: map[playlist.ClipID]bool{}, alerts: map[playlist.AlertID]link.AlertInForce{}, health: link.Health{
		Program: "test", Site: "大坝村", Store: "ok", Outputs: outputs,
	}}
	pace := func() time.Duration { return 30 * time.Millisecond }
	b.Controller = &link.Controller{
		Key: link.NewKey(), Store: b, Log: quiet(), Clock: func() playlist.ClockState { return playlist.ClockTrusted }, Boot: "b1",
		Mono: func() time.Duration { return time.Second }, Health: b.told, Accepted: b.accepted,
		Local: b.local,
		Pace: link.Pace{Again: pace, Every: pace, Wake: time.Millisecond, Answer: 30 * time.Second,
			Reconnect: func(int) time.Duration { return 20 * time.Millisecond }},
	}
	return b
}

func (b *box) start(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	var once sync.Once
	b.stop = func() { once.Do(func() { stop(); <-done }) }
	t.Cleanup(b.stop)
}

func (b *box) told(context.Context) link.Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.health
	h.Outputs, h.Progress = slices.Clone(h.Outputs), slices.Clone(h.Progress)
	return h
}

func (b *box) local(context.Context) playlist.Local {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.own
}

// rules has the box tell what its site has of its own, and waits until the county knows it.
func (w *world) rules(t *testing.T, b *box, own playlist.Local) {
	t.Helper()
	b.mu.Lock()
	b.own = own
	b.mu.Unlock()
	eventually(t, "the county knows the site's rules", func() bool {
		all, err := w.Store.Locals(t.Context())
		return err == nil && reflect.DeepEqual(all[b.id], own)
	})
}

func (b *box) accepted(d link.Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case d.Alerts != nil:
		b.states = append(b.states, *d.Alerts)
		b.alerts = map[playlist.AlertID]link.AlertInForce{}
		for _, a := range d.Alerts.Alerts {
			b.alerts[a.Alert.ID] = a
		}
	case d.Member != nil:
		b.gone = d.Member.Retired
	}
}

func (b *box) has(k link.Kind, s playlist.Scope) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.docs[string(k)+" "+string(s)].Version
}

// aired hands receipts of rows in.
func (b *box) aired(rows ...asrun.Row) {
	b.mu.Lock()
	for _, r := range rows {
		r.Seq = int64(len(b.out)) + 1
		b.out = append(b.out, asrun.Receipt{Row: r})
	}
	b.mu.Unlock()
	b.Wake()
}

func (b *box) unsent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.out)) - b.mark
}

func (b *box) Documents(context.Context) ([]link.Stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.docs)), nil
}

func (b *box) Keep(_ context.Context, d link.Document) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range d.Voids {
		delete(b.docs, string(v.Kind)+" "+string(v.Scope))
	}
	b.docs[string(d.Kind)+" "+string(d.Scope)] = link.Stored{Have: d.Have, Raw: d.Raw}
	return nil
}

func (b *box) Adopt(ctx context.Context, e link.Enrolled) error {
	b.mu.Lock()
	clear(b.docs)
	b.mu.Unlock()
	return errors.Join(b.Keep(ctx, e.Trust), b.Keep(ctx, e.Member))
}

func (b *box) Marks(context.Context) ([]link.Mark, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.out) == 0 {
		return nil, nil
	}
	return []link.Mark{{Epoch: b.epoch(), Seq: b.mark}}, nil
}

func (b *box) SetMark(_ context.Context, m link.Mark) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark = m.Seq
	return nil
}

// epoch names the one epoch of the box.
func (b *box) epoch() string { return strings.ReplaceAll(b.Key.Public().Fingerprint(), " ", "") }

func (b *box) Renumber(context.Context, string) error {
	return errors.New("receipts of the box have new numbers")
}

func (b *box) SetAside(_ context.Context, r link.Refused) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aside = append(b.aside, r)
	return nil
}

func (b *box) Batch(_ context.Context, after link.Mark, limit int) (asrun.Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := max(b.mark, after.Seq)
	if from >= int64(len(b.out)) {
		return asrun.Batch{}, nil
	}
	rows := b.out[from:]
	return asrun.Batch{Epoch: b.epoch(), Receipts: slices.Clone(rows[:min(limit, len(rows))])}, nil
}

func (b *box) Events(context.Context, int) ([]link.Event, error) { return nil, nil }
func (b *box) EventsSent(context.Context, int64) error           { return nil }

func (b *box) HasClip(_ context.Context, id playlist.ClipID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clips[id], nil
}

func (b *box) PutClip(_ context.Context, c playlist.Clip, src io.Reader) error {
	_, err := io.Copy(io.Discard, src)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clips[c.ID] = err == nil
	return err
}

// speaker is an output as its controller tells of it.
func speaker(name string, area playlist.Area, residents int) link.OutputHealth {
	return link.OutputHealth{Name: name, Device: "null:", State: "ok", Area: area, Residents: residents}
}

// clip puts a clip of the sample course into the library.
func (w *world) clip(t *testing.T, n string) playlist.Clip {
	t.Helper()
	raw := must[[]byte](t)(os.ReadFile(filepath.Join("..", "data", "course", "testdata", n)))
	info, err := player.Scan(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := playlist.Clip{ID: info.ID, Title: n, Series: "健康微课堂", Issue: 1, Frames: info.Frames, Size: info.Size}
	if err := w.Store.AddClip(t.Context(), c, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return c
}

// draft airs one clip each morning.
func draft(t *testing.T, scope playlist.Scope, clips ...playlist.Clip) county.Draft {
	t.Helper()
	d := county.Draft{Scope: scope, Playlists: []playlist.Playlist{{Name: "健康微课堂", Order: playlist.Sequence}}}
	for _, c := range clips {
		d.Playlists[0].Clips = append(d.Playlists[0].Clips, c.ID)
	}
	d.Slots = []playlist.Slot{{
		Name: "早间健康", Playlist: "健康微课堂", Cron: must[playlist.Cron](t)(playlist.ParseCron("30 7 * * *")), Count: 1, Priority: 5,
		Window: 2 * time.Minute, Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
	}}
	return d
}

// push issues a draft over the version in force, and returns the status.
func (w *world) push(t *testing.T, d county.Draft, to any) int {
	t.Helper()
	var p county.Proposal
	if s := w.call(t, "POST", "/api/propose", nil, d, &p); s != http.StatusOK {
		return s
	}
	d.Over, d.Anyway = &p.Over, true
	return w.call(t, "POST", "/api/push", nil, d, to)
}

// redirect gives a controller that was away the member document of a county
// that has moved.
func redirect(t *testing.T, w *world, b *box) {
	t.Helper()
	b.mu.Lock()
	before := b.docs[string(link.KindMember)+" "+string(playlist.ControllerScope(b.id))]
	b.mu.Unlock()
	err := w.Store.AddEnvelope(t.Context(), store.Envelope{Kind: before.Kind, Scope: before.Scope, Version: before.Version, Digest: before.Digest, Bytes: before.Raw})
	if err != nil && !errors.Is(err, store.ErrStale) {
		t.Fatal(err)
	}
	if err := county.IssueMember(w.County, t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), "member", playlist.ControllerScope(b.id), 0))
	if _, err := b.Take(t.Context(), e.Bytes); err != nil {
		t.Fatal(err)
	}
}

func copyTree(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.CopyFS(filepath.Join(to, n), os.DirFS(filepath.Join(from, n))); err != nil {
			t.Fatal(err)
		}
		list := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(to, n)))
		for _, f := range list {
			if err := os.Chmod(filepath.Join(to, n, f.Name()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, must[[]byte](t)(os.ReadFile(from)), 0o600); err != nil {
		t.Fatal(err)
	}
}
