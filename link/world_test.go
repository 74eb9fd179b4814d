package link_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

const (
	village   = playlist.Area("320924100201")
	town      = playlist.Area("320924100000")
	otherTown = playlist.Area("320924101000")
	county    = playlist.Area("320924000000")
)

// patience is how long a test waits for something that another goroutine does. It is
// long enough for a busy machine.
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

// eventually polls until the condition holds. The sockets are real, so there is no
// fake clock.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("the last lines of the log:\n%safter %v it is still not so: %s", &logged, patience, what)
}

// await receives a value that another goroutine sends.
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

// countyKeys holds the keys that sign for a county.
type countyKeys struct {
	roots                                []*link.Key
	playlist, alert, fleet, edge, update *link.Key
	trust                                link.Trust
}

func newCountyKeys() *countyKeys {
	o := &countyKeys{
		roots:    []*link.Key{link.NewKey(), link.NewKey(), link.NewKey()},
		playlist: link.NewKey(), alert: link.NewKey(), fleet: link.NewKey(), edge: link.NewKey(), update: link.NewKey(),
	}
	o.trust = link.Trust{Version: 1, Issued: time.Now().UTC()}
	o.trust.Grant(link.RoleRoot, 2, o.roots[0].Public(), o.roots[1].Public(), o.roots[2].Public())
	o.trust.Grant(link.RolePlaylist, 1, o.playlist.Public())
	o.trust.Grant(link.RoleAlert, 1, o.alert.Public())
	o.trust.Grant(link.RoleFleet, 1, o.fleet.Public())
	o.trust.Grant(link.RoleEdge, 1, o.edge.Public())
	o.trust.Grant(link.RoleUpdate, 1, o.update.Public())
	return o
}

// replaced returns the next trust document, in which the key has the roles instead of
// the keys that had them.
func (o *countyKeys) replaced(key *link.Key, roles ...link.Role) link.Trust {
	next := link.Trust{Version: o.trust.Version + 1, Issued: time.Now().UTC()}
	for r, h := range o.trust.Roles {
		if slices.Contains(roles, r) {
			next.Grant(r, 1, key.Public())
			continue
		}
		for _, id := range h.Keys {
			next.Grant(r, h.Threshold, o.trust.Keys[id])
		}
	}
	return next
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (o *countyKeys) sealTrust(t testing.TB, tr link.Trust, by ...link.Signer) []byte {
	t.Helper()
	return must[link.Envelope](t)(link.SealTrust(tr, by...)).Bytes()
}

func sound(n int, seed byte) (playlist.Clip, []byte) {
	b := bytes.Repeat([]byte{0xff, 0xfb, seed, byte(n)}, n/4+1)[:n]
	h := sha256.Sum256(b)
	return playlist.Clip{ID: playlist.ClipID(hex.EncodeToString(h[:])), Title: "第1期 发烧先别慌", Frames: 48000, Size: int64(n)}, b
}

func (o *countyKeys) manifest(t testing.TB, scope playlist.Scope, version int64, clips ...playlist.Clip) []byte {
	t.Helper()
	m := playlist.Manifest{Scope: scope, Version: version, Issued: time.Now().UTC(), Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Clips: clips}
	if m.Clips == nil {
		m.Clips = []playlist.Clip{}
	}
	return must[link.Envelope](t)(link.SealManifest(m, o.playlist)).Bytes()
}

func (o *countyKeys) alerts(t testing.TB, scope playlist.Scope, version int64, some ...link.AlertInForce) []byte {
	t.Helper()
	s := link.AlertsState{Scope: scope, Version: version, Issued: time.Now().UTC(), Alerts: some}
	return must[link.Envelope](t)(link.SealAlerts(s, o.alert)).Bytes()
}

func flood(id string) link.AlertInForce {
	return link.AlertInForce{Order: true, Received: time.Now().UTC(), Alert: emergency.Alert{
		ID: playlist.AlertID(id), Format: "hand", Sender: "滨海县应急广播中心", Sent: time.Now().UTC(),
		Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Areas: []playlist.Area{town},
		Texts: []emergency.Text{{Language: "zh-CN", Text: "洪水预警"}},
	}}
}

// memory is a controller's store in memory.
type memory struct {
	mu      sync.Mutex
	docs    map[string]link.Stored
	clips   map[playlist.ClipID][]byte
	out     map[string][]asrun.Receipt // by epoch
	epochs  []string
	marks   map[string]int64
	gone    map[string]int64
	aside   []link.Refused
	events  []link.Event
	eventAt int64
	kept    []link.Document
	voided  []link.Have
	disk    func(link.Document) error // called by Keep first; nil: the disk works
}

func newMemory() *memory {
	return &memory{docs: map[string]link.Stored{}, clips: map[playlist.ClipID][]byte{}, out: map[string][]asrun.Receipt{},
		marks: map[string]int64{}, gone: map[string]int64{}}
}

func docKey(h link.Have) string { return string(h.Kind) + " " + string(h.Scope) }

func (m *memory) Documents(context.Context) ([]link.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []link.Stored
	for _, d := range m.docs {
		all = append(all, d)
	}
	return all, nil
}

func (m *memory) Keep(_ context.Context, d link.Document) error {
	m.mu.Lock()
	disk := m.disk
	m.mu.Unlock()
	if disk != nil {
		if err := disk(d); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range d.Voids {
		delete(m.docs, docKey(v))
		m.voided = append(m.voided, v)
	}
	m.docs[docKey(d.Have)] = link.Stored{Have: d.Have, Raw: d.Raw}
	m.kept = append(m.kept, d)
	return nil
}

func (m *memory) Adopt(ctx context.Context, e link.Enrolled) error {
	m.mu.Lock()
	clear(m.docs)
	m.mu.Unlock()
	return errors.Join(m.Keep(ctx, e.Trust), m.Keep(ctx, e.Member))
}

func (m *memory) version(k link.Kind, s playlist.Scope) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.docs[docKey(link.Have{Kind: k, Scope: s})].Version
}

func (m *memory) air(epoch string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.epochs, epoch) {
		m.epochs = append(m.epochs, epoch)
	}
	for range n {
		seq := m.gone[epoch] + int64(len(m.out[epoch])) + 1
		m.out[epoch] = append(m.out[epoch], asrun.Receipt{Row: asrun.Row{
			Airing: playlist.AiringID(fmt.Sprintf("早间@%d", seq)), Output: "村口", Item: 1, Part: 1, Outcome: asrun.Complete, Seq: seq}})
	}
}

func (m *memory) Batch(_ context.Context, after link.Mark, limit int) (asrun.Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.epochs {
		from := m.marks[e]
		if j := slices.Index(m.epochs, after.Epoch); j > i {
			continue
		} else if j == i {
			from = max(from, after.Seq)
		}
		rows := m.out[e][min(int64(len(m.out[e])), max(0, from-m.gone[e])):]
		if len(rows) > 0 {
			return asrun.Batch{Epoch: e, Gone: m.gone[e], Receipts: slices.Clone(rows[:min(limit, len(rows))])}, nil
		}
	}
	return asrun.Batch{}, nil
}

func (m *memory) Marks(context.Context) ([]link.Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []link.Mark
	for _, e := range m.epochs {
		all = append(all, link.Mark{Epoch: e, Seq: m.marks[e]})
	}
	return all, nil
}

func (m *memory) SetMark(_ context.Context, k link.Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks[k.Epoch] = k.Seq
	return nil
}

func (m *memory) Renumber(_ context.Context, epoch string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next, mark := epoch+"-next", m.marks[epoch]
	for _, r := range m.out[epoch][max(0, mark-m.gone[epoch]):] {
		r.Row.Seq -= mark
		m.out[next] = append(m.out[next], r)
	}
	m.out[epoch] = m.out[epoch][:max(0, mark-m.gone[epoch])]
	m.epochs = append(m.epochs, next)
	return nil
}

func (m *memory) SetAside(_ context.Context, r link.Refused) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Seq <= m.marks[r.Epoch] {
		return fmt.Errorf("receipt %d is set aside after the mark has passed it", r.Seq)
	}
	m.aside = append(m.aside, r)
	return nil
}

// setAside returns the receipts set aside, in order.
func (m *memory) setAside() (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.aside {
		all = append(all, fmt.Sprintf("%s/%d", r.Epoch, r.Seq))
	}
	return all
}

func (m *memory) unsent() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for _, e := range m.epochs {
		n += max(0, m.gone[e]+int64(len(m.out[e]))-max(m.marks[e], m.gone[e]))
	}
	return n
}

func (m *memory) Events(_ context.Context, limit int) ([]link.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var some []link.Event
	for _, e := range m.events {
		if e.ID > m.eventAt && len(some) < limit {
			some = append(some, e)
		}
	}
	return some, nil
}

func (m *memory) EventsSent(_ context.Context, id int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.eventAt = id
	return nil
}

func (m *memory) HasClip(_ context.Context, id playlist.ClipID) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.clips[id]
	return ok, nil
}

func (m *memory) PutClip(_ context.Context, c playlist.Clip, src io.Reader) error {
	b, err := io.ReadAll(src)
	if h := sha256.Sum256(b); err == nil && hex.EncodeToString(h[:]) != string(c.ID) {
		err = errors.New("wrong bytes put away")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.clips[c.ID] = b
	}
	return err
}

// ledger is a county's store in memory.
type ledger struct {
	mu        sync.Mutex
	trust     link.Trust
	trusts    []link.Stored // every version
	members   map[playlist.ControllerID]link.Registered
	docs      map[string]link.Stored
	marks     map[string]int64
	rows      map[string]int // controller/epoch/seq: times stored
	lost      int64
	seen      []link.Seen
	recovered []link.Document
	commits   int
	taken     []string // controller/epoch/seq of other receipts
	fail      error
}

func newLedger(tr link.Trust) *ledger {
	return &ledger{trust: tr, members: map[playlist.ControllerID]link.Registered{}, docs: map[string]link.Stored{},
		marks: map[string]int64{}, rows: map[string]int{}}
}

func (l *ledger) Registered(_ context.Context, id playlist.ControllerID) (link.Registered, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.members[id]
	if !ok {
		return r, link.ErrUnknown
	}
	return r, l.fail
}

func (l *ledger) Trust(context.Context) (link.Trust, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trust, nil
}

func (l *ledger) Versions(_ context.Context, who playlist.Follower) ([]link.Have, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []link.Have
	for _, d := range l.trusts {
		all = append(all, d.Have)
	}
	for _, d := range l.docs {
		if d.Kind != link.KindTrust && who.Follows(d.Scope) {
			all = append(all, d.Have)
		}
	}
	return all, nil
}

func (l *ledger) Envelope(_ context.Context, h link.Have) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.trusts {
		if d.Have == h {
			return d.Raw, nil
		}
	}
	return l.docs[docKey(h)].Raw, nil
}

func (l *ledger) issue(t testing.TB, raw []byte) link.Document {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	d := must[link.Document](t)(link.Open(raw, l.trust))
	l.follow(d)
	l.docs[docKey(d.Have)] = link.Stored{Have: d.Have, Raw: raw}
	return d
}

// follow puts a trust document in force.
func (l *ledger) follow(d link.Document) {
	if d.Trust != nil {
		l.trust, l.trusts = *d.Trust, append(l.trusts, link.Stored{Have: d.Have, Raw: d.Raw})
	}
}

func (l *ledger) Seen(_ context.Context, s link.Seen) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, s)
	return nil
}

func (l *ledger) syncs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// has returns the documents that the last sync said are kept.
func (l *ledger) has() []link.Have {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[len(l.seen)-1].Request.Have
}

func (l *ledger) Marks(_ context.Context, id playlist.ControllerID, epochs []string) ([]link.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []link.Mark
	for _, e := range epochs {
		all = append(all, link.Mark{Epoch: e, Seq: l.marks[string(id)+"/"+e]})
	}
	return all, nil
}

func (l *ledger) Commit(_ context.Context, b link.Batch) (link.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := string(b.Controller) + "/" + b.Epoch
	rest, next, lost, err := b.After(l.marks[key])
	for _, r := range b.Receipts {
		if slices.Contains(l.taken, fmt.Sprintf("%s/%d", key, r.Row.Seq)) {
			err = link.ErrTaken
		}
	}
	if err != nil {
		return link.Mark{Epoch: b.Epoch, Seq: l.marks[key]}, err
	}
	for _, r := range rest {
		if r.Wrong != nil {
			continue
		}
		l.rows[fmt.Sprintf("%s/%d", key, r.Row.Seq)]++
	}
	l.marks[key] = next
	l.lost += lost
	l.commits++
	return link.Mark{Epoch: b.Epoch, Seq: next}, nil
}

func (l *ledger) Recover(_ context.Context, d link.Document) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recovered = append(l.recovered, d)
	l.follow(d)
	l.docs[docKey(d.Have)] = link.Stored{Have: d.Have, Raw: d.Raw}
	return nil
}

// once fails unless every receipt of the store is in the county exactly once,
// or set aside.
func (l *ledger) once(t *testing.T, id playlist.ControllerID, m *memory) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	n, aside := 0, m.setAside()
	for e, rows := range m.out {
		for _, r := range rows {
			if slices.Contains(aside, fmt.Sprintf("%s/%d", e, r.Row.Seq)) {
				continue
			}
			n++
			if got := l.rows[fmt.Sprintf("%s/%s/%d", id, e, r.Row.Seq)]; got != 1 {
				t.Errorf("receipt %s/%d is there %d times", e, r.Row.Seq, got)
			}
		}
	}
	if n != len(l.rows) {
		t.Errorf("%d receipts made, the county has %d", n, len(l.rows))
	}
}

// world is a county with its broker.
type world struct {
	t          *testing.T
	countyKeys *countyKeys
	authority  *link.Authority
	ca         string
	cert, key  string
	broker     *server.Server
	dir        string
	url        string
	ledger     *ledger
	boxes      []*box
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, countyKeys: newCountyKeys(), authority: must[*link.Authority](t)(link.NewAuthority("滨海县")), dir: t.TempDir()}
	w.certificates()
	w.ledger = newLedger(w.countyKeys.trust)
	w.ledger.issue(t, w.countyKeys.sealTrust(t, w.countyKeys.trust, w.countyKeys.roots[0], w.countyKeys.roots[1]))
	w.serve(-1)
	t.Cleanup(func() { w.broker.Shutdown(); w.broker.WaitForShutdown() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w)
		}
	})
	return w
}

// String returns the state of the county and its controllers, for the message of a
// test that fails.
func (w *world) String() string {
	var s strings.Builder
	w.ledger.mu.Lock()
	fmt.Fprintf(&s, "the county saw %d syncs and %d batches, its marks are %v; it has", len(w.ledger.seen), w.ledger.commits, w.ledger.marks)
	for k, d := range w.ledger.docs {
		fmt.Fprintf(&s, " %q version %d", k, d.Version)
	}
	w.ledger.mu.Unlock()
	for _, b := range w.boxes {
		fmt.Fprintf(&s, "\n%s has %d receipts to hand in and", b.id, b.memory.unsent())
		b.memory.mu.Lock()
		for k, d := range b.memory.docs {
			fmt.Fprintf(&s, " %q version %d", k, d.Version)
		}
		b.memory.mu.Unlock()
	}
	return s.String()
}

func (w *world) certificates() {
	t := w.t
	caKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "县平台"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	caDER := must[[]byte](t)(x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey))
	leafKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER := must[[]byte](t)(x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey))
	keyDER := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(leafKey))
	w.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
	w.cert, w.key = filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	for path, block := range map[string]*pem.Block{w.cert: {Type: "CERTIFICATE", Bytes: leafDER}, w.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serve starts the broker from the text of its config.
func (w *world) serve(port int) {
	t := w.t
	t.Helper()
	text := must[string](t)(link.Broker{Name: "county", Host: "127.0.0.1", Port: port, Cert: w.cert, Key: w.key,
		Dir: filepath.Join(w.dir, "accounts"), Operator: w.authority.Operator, System: w.authority.System, Account: w.authority.Account}.Config())
	opts := &server.Options{DisableShortFirstPing: true}
	if err := opts.ProcessConfigString(text); err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.NoLog = true, true
	w.broker = must[*server.Server](t)(server.NewServer(opts))
	go w.broker.Start()
	if !w.broker.ReadyForConnections(patience) {
		t.Fatal("the broker does not start")
	}
	w.url = "tls://" + w.broker.Addr().String()
}

func (w *world) port() int { return w.broker.Addr().(*net.TCPAddr).Port }

// user connects one of the county's own programs.
func (w *world) user(name string) *nats.Conn {
	w.t.Helper()
	nc := must[*nats.Conn](w.t)(link.Dial(name, []string{w.url}, w.ca, must[[]byte](w.t)(w.authority.Creds(name)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))
	w.t.Cleanup(nc.Close)
	eventually(w.t, name+" connects", nc.IsConnected)
	return nc
}

// edge runs an edge until the test ends.
func (w *world) edge() {
	w.t.Helper()
	nc := w.user(link.UserEdge)
	e := &link.Edge{Conn: nc, Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}
	w.run(e.Run)
	w.flushed(nc)
}

func (w *world) flushed(nc *nats.Conn) {
	w.t.Helper()
	eventually(w.t, "the edge has subscribed", func() bool { return nc.NumSubscriptions() == 2 })
	if err := nc.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a part in a goroutine until the test ends or stop is called.
func (w *world) run(part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("Run: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// box is a controller under test.
type box struct {
	id     playlist.ControllerID
	key    *link.Key
	member link.Member
	memory *memory
	c      *link.Controller
}

// enrol makes a controller and registers it with the county.
func (w *world) enrol(id playlist.ControllerID, areas []playlist.Area, groups ...string) *box {
	w.t.Helper()
	b := &box{id: id, key: link.NewKey(), memory: newMemory()}
	w.boxes = append(w.boxes, b)
	b.member = link.Member{Controller: id, Version: 1, Issued: time.Now().UTC(), Areas: areas, Groups: groups, Servers: []string{w.url}, CA: w.ca}
	w.issueMember(b)
	ctx := context.Background()
	docs := w.ledger.docs
	tr := docs[docKey(link.Have{Kind: link.KindTrust})]
	me := docs[docKey(link.Have{Kind: link.KindMember, Scope: playlist.ControllerScope(id)})]
	trust := must[link.Trust](w.t)(link.AcceptTrust(tr.Raw, nil))
	member := must[link.Document](w.t)(link.Open(me.Raw, trust))
	if err := b.memory.Adopt(ctx, link.Enrolled{Trust: link.Document{Have: tr.Have, Raw: tr.Raw, Trust: &trust}, Member: member}); err != nil {
		w.t.Fatal(err)
	}
	b.c = &link.Controller{Key: b.key, Store: b.memory, Log: quiet(), Boot: "boot-1",
		Health: func(context.Context) link.Health { return link.Health{Program: "test", Store: "ok"} },
		Clock:  func() playlist.ClockState { return playlist.ClockTrusted },
		Mono:   func() time.Duration { return time.Hour },
		Pace: link.Pace{
			Again: func() time.Duration { return 20 * time.Millisecond }, Every: func() time.Duration { return 250 * time.Millisecond },
			Wake: time.Millisecond, Told: func() time.Duration { return time.Millisecond }, Answer: 30 * time.Second, Reconnect: func(int) time.Duration { return 20 * time.Millisecond },
		}}
	return b
}

// issueMember signs a member document for the controller, with a new login.
func (w *world) issueMember(b *box) []byte {
	w.t.Helper()
	b.member.JWT = must[string](w.t)(w.authority.Controller(b.member.Follower(), b.key.BrokerUser(), time.Now().Add(time.Hour)))
	raw := must[link.Envelope](w.t)(link.SealMember(b.member, w.countyKeys.fleet)).Bytes()
	w.ledger.issue(w.t, raw)
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.members[b.id] = link.Registered{Key: b.key.Public(), Follower: b.member.Follower()}
	return raw
}

// login connects to the broker with a controller's JWT and any key, without the code
// under test.
func (w *world) login(b *box, key *link.Key, more ...nats.Option) (*nats.Conn, error) {
	conf := must[*tls.Config](w.t)(link.TLS(w.ca))
	return nats.Connect(w.url, append([]nats.Option{nats.Secure(conf), nats.NoReconnect(), nats.Timeout(patience), nats.CustomInboxPrefix(link.InboxPrefix(b.id)),
		nats.UserJWT(func() (string, error) { return b.member.JWT, nil }, link.LoginSigner(key))}, more...)...)
}

// restart returns the same controller after its program was started again.
func (w *world) restart(b *box) *link.Controller {
	c := b.c
	b.c = &link.Controller{Key: c.Key, Store: c.Store, Log: c.Log, Boot: c.Boot, Health: c.Health, Clock: c.Clock, Mono: c.Mono, Pace: c.Pace}
	return b.c
}
