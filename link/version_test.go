package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
)

// ask sends one sync request as a controller would and returns the response.
func ask(t *testing.T, nc *nats.Conn, q link.SyncRequest) link.SyncAnswer {
	t.Helper()
	m := must[*nats.Msg](t)(nc.Request(link.SyncSubject(q.Controller), link.Pack(must[[]byte](t)(json.Marshal(q))), patience))
	return must[link.SyncAnswer](t)(link.ParseAnswer(m.Data))
}

func TestAVersionAboveTheHighestIsNeitherSealedNorAccepted(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	scope, o := playlist.AreaScope(town), w.countyKeys
	for _, c := range []struct {
		version int64
		ok      bool
	}{
		{-1, false}, {0, false}, {playlist.MaxVersion, true}, {playlist.MaxVersion + 1, false}, {math.MaxInt64, false},
	} {
		trust, member := o.trust, b.member
		trust.Version, member.Version = c.version, c.version
		manifest := playlist.Manifest{Scope: scope, Version: c.version, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Clips: []playlist.Clip{}}
		alerts := link.AlertsState{Scope: scope, Version: c.version, Alerts: []link.AlertInForce{}}
		for kind, d := range map[link.Kind]struct {
			sealed error
			doc    any
			by     []link.Signer
		}{
			link.KindMember:   {second(link.SealMember(member, o.fleet)), member, []link.Signer{o.fleet}},
			link.KindAlerts:   {second(link.SealAlerts(alerts, o.alert)), alerts, []link.Signer{o.alert}},
			link.KindManifest: {second(link.SealManifest(manifest, o.playlist)), manifest, []link.Signer{o.playlist}},
			link.KindTrust:    {second(link.SealTrust(trust, o.roots[0], o.roots[1])), trust, []link.Signer{o.roots[0], o.roots[1]}},
		} {
			if c.ok != (d.sealed == nil) || !c.ok && !errors.Is(d.sealed, playlist.ErrInvalid) {
				t.Errorf("%s of version %d is sealed: %v", kind, c.version, d.sealed)
			}
			raw := must[link.Envelope](t)(link.Seal(kind.Type(), d.doc, d.by...)).Bytes()
			if _, err := link.Open(raw, o.trust); c.ok != (err == nil) || !c.ok && !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("%s of version %d is accepted: %v", kind, c.version, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A program of release 0.1 accepts any version. After its update the controller must
// not be locked, and the county must not believe that it has what it says.
func TestAVersionThatRelease01AcceptedLocksNothing(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	scope := playlist.AreaScope(town)
	huge := playlist.Manifest{Scope: scope, Version: math.MaxInt64, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Clips: []playlist.Clip{}}
	e := must[link.Envelope](t)(link.Seal(link.TypeManifest, huge, w.countyKeys.playlist))
	had := link.Have{Kind: link.KindManifest, Scope: scope, Version: math.MaxInt64, Digest: e.Digest()}
	b.memory.docs[docKey(had)] = link.Stored{Have: had, Raw: e.Bytes()}
	w.ledger.issue(t, w.countyKeys.manifest(t, scope, 5))

	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	a := ask(t, nc, link.SyncRequest{Controller: b.id, Nonce: "n", Have: []link.Have{had}, Proof: []json.RawMessage{e.Bytes()}})
	if len(a.Want) != 0 || len(w.ledger.recovered) != 0 {
		t.Errorf("wanted %+v, recovered %d", a.Want, len(w.ledger.recovered))
	}
	for _, raw := range a.Envelopes {
		if strings.Contains(string(raw), link.TypeManifest) {
			t.Error("a program of release 0.1 is sent at each sync what it must refuse")
		}
	}
	if seen := w.ledger.seen[len(w.ledger.seen)-1].Request.Have; len(seen) != 0 {
		t.Errorf("the county believes that it has %+v", seen)
	}
	w.run(b.c.Run)
	eventually(t, "the updated program accepts version 5", func() bool { return b.memory.version(link.KindManifest, scope) == 5 })
}

// A controller may show only what the county asks for. Everything else, though it is
// signed as it should be, is dropped.
func TestTheCountyTakesOnlyTheProofsThatItAskedFor(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	scope, other, o := playlist.AreaScope(town), playlist.AreaScope(village), w.countyKeys
	w.ledger.issue(t, o.manifest(t, scope, 5))
	w.ledger.issue(t, o.alerts(t, scope, 5))
	have := func(raw []byte) link.Have { return must[link.Document](t)(link.Open(raw, o.trust)).Have }
	lower, same, higher, none := o.manifest(t, scope, 4), o.alerts(t, scope, 5, flood("x")), o.manifest(t, scope, 9), o.manifest(t, other, 3)
	foreign := o.manifest(t, playlist.AreaScope(otherTown), 3)
	current := w.ledger.docs[docKey(link.Have{Kind: link.KindManifest, Scope: scope})].Raw
	claim := have(higher)
	claim.Digest = have(lower).Digest
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	for _, c := range []struct {
		name  string
		have  []link.Have
		proof [][]byte
		taken int
	}{
		{"one that it does not say it has", []link.Have{have(current)}, [][]byte{higher}, 0},
		{"a lower version", []link.Have{have(lower)}, [][]byte{lower}, 0},
		{"what the county has", []link.Have{have(current)}, [][]byte{current}, 0},
		{"another document under the digest asked for", []link.Have{claim}, [][]byte{lower}, 0},
		{"of a scope that it does not follow", []link.Have{have(foreign)}, [][]byte{foreign}, 0},
		{"the same version with other content: the county is told", []link.Have{have(same)}, [][]byte{same}, 1},
		{"what the county has not, thrice", []link.Have{have(none), have(current), {Kind: "x"}}, [][]byte{none, none, none}, 1},
		{"a higher version", []link.Have{have(higher)}, [][]byte{higher}, 1},
	} {
		w.ledger.mu.Lock()
		before := len(w.ledger.recovered)
		w.ledger.mu.Unlock()
		q := link.SyncRequest{Controller: b.id, Nonce: "n", Have: c.have}
		for _, raw := range c.proof {
			q.Proof = append(q.Proof, raw)
		}
		ask(t, nc, q)
		w.ledger.mu.Lock()
		if n := len(w.ledger.recovered) - before; n != c.taken {
			t.Errorf("%s: %d taken, want %d", c.name, n, c.taken)
		}
		w.ledger.mu.Unlock()
	}
}

// failingSeen is a county's store that cannot record what a controller reports.
type failingSeen struct{ *ledger }

func (failingSeen) Seen(context.Context, link.Seen) error { return errors.New("versions used up") }

// If what is wrong at the county needs a new trust document, that one must arrive.
func TestDocumentsArriveThoughTheCountyCannotRecordTheSync(t *testing.T) {
	w := newWorld(t)
	e := &link.Edge{Conn: w.user(link.UserEdge), Store: failingSeen{w.ledger}, Key: w.countyKeys.edge, Log: quiet()}
	w.run(e.Run)
	w.flushed(e.Conn)
	b := w.enrol("daba-1", []playlist.Area{village})
	w.ledger.issue(t, w.countyKeys.sealTrust(t, w.countyKeys.replaced(link.NewKey(), link.RoleAlert), w.countyKeys.roots[0], w.countyKeys.roots[1]))
	w.run(b.c.Run)
	eventually(t, "the trust document arrives", func() bool { return b.memory.version(link.KindTrust, "") == 2 })
}

// rotate replaces all root keys n times, and returns the trust documents.
func (w *world) rotate(n int) (all [][]byte) {
	w.t.Helper()
	o := w.countyKeys
	for range n {
		fresh := []*link.Key{link.NewKey(), link.NewKey(), link.NewKey()}
		next := link.Trust{Version: o.trust.Version + 1, Issued: time.Now().UTC()}
		for r, h := range o.trust.Roles {
			for _, id := range h.Keys {
				if r != link.RoleRoot {
					next.Grant(r, h.Threshold, o.trust.Keys[id])
				}
			}
		}
		next.Grant(link.RoleRoot, 2, fresh[0].Public(), fresh[1].Public(), fresh[2].Public())
		raw := o.sealTrust(w.t, next, o.roots[0], o.roots[1], fresh[0], fresh[1])
		o.trust, o.roots = next, fresh
		w.ledger.issue(w.t, raw)
		all = append(all, raw)
	}
	return all
}

func TestAControllerThatWasAwayWalksThroughEveryTrustDocument(t *testing.T) {
	for _, n := range []int{2, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t)
			w.edge()
			b := w.enrol("daba-1", []playlist.Area{village})
			w.rotate(n)
			w.countyKeys.edge = link.NewKey()
			last := w.countyKeys.replaced(w.countyKeys.edge, link.RoleEdge)
			w.ledger.issue(t, w.countyKeys.sealTrust(t, last, w.countyKeys.roots[0], w.countyKeys.roots[1]))
			w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 2))
			w.edge() // by the key that only the last document names
			w.run(b.c.Run)
			eventually(t, "it has the last one, and what comes after", func() bool {
				return b.memory.version(link.KindTrust, "") == last.Version && b.memory.version(link.KindManifest, playlist.AreaScope(town)) == 2
			})
			var order []int64
			for _, d := range b.memory.kept {
				if d.Trust != nil {
					order = append(order, d.Version)
				}
			}
			if !slices.IsSorted(order) || len(order) != n+2 {
				t.Errorf("trust documents kept: %v", order)
			}
		})
	}
}

// words keeps the messages that are logged.
type words struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (h *words) Enabled(context.Context, slog.Level) bool { return true }
func (h *words) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *words) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r.Level.String()+" "+r.Message)
	return nil
}

func (h *words) count(line string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.all {
		if l == line {
			n++
		}
	}
	return n
}

func TestAPushedTrustDocumentThatCannotBeVerifiedYetCausesASync(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	heard := &words{}
	b.c.Log, b.c.Pace.Every = slog.New(heard), func() time.Duration { return time.Hour }
	w.run(b.c.Run)
	eventually(t, "its first two syncs are over", func() bool { return w.ledger.syncs() == 2 })
	all := w.rotate(3)
	pub := w.user(link.UserPublisher)
	if err := pub.Publish("st.a.32.09.24._.trust", all[2]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it walks to the one that was pushed", func() bool { return b.memory.version(link.KindTrust, "") == 4 })
	for _, raw := range [][]byte{all[0], w.rotate(1)[0]} { // it has heard the old one when it has the new one
		if err := pub.Publish("st.a.32.09.24._.trust", raw); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it has the last", func() bool { return b.memory.version(link.KindTrust, "") == 5 })
	if n := heard.count("INFO trust document cannot be verified yet, syncing"); n != 1 {
		t.Errorf("it missed %d trust documents", n)
	}
	if heard.count("WARN document refused") != 0 {
		t.Errorf("it gave an alarm: %q", heard.all)
	}
}

func TestACarrierBringsEveryTrustDocumentInAnyOrder(t *testing.T) {
	all := []string{"trust.json", "trust.0000000000000002.json", "trust.0000000000000003.json", "trust.0000000000000004.json"}
	byHand := []string{"trust.z.json", "trust.y.json", "trust.b.json", "trust.a.json"}
	for name, files := range map[string][]string{"as exported": nil, "the last first": byHand} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.enrol("daba-1", []playlist.Area{village})
			stick := load(t, w, nil)
			first := w.countyKeys.trust.Version
			var want []string
			for i, raw := range w.rotate(4) {
				h := link.Have{Kind: link.KindTrust, Version: first + int64(i) + 1}
				var err error
				switch {
				case files != nil:
					err = os.WriteFile(filepath.Join(stick.Dir, "documents", files[i]), raw, 0o644)
				case i == 3:
					err = stick.PutDocument(link.Stored{Have: h, Raw: raw})
				default:
					err = stick.PutEarlierTrust(link.Stored{Have: h, Raw: raw})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if files == nil {
				list, _ := filepath.Glob(filepath.Join(stick.Dir, "documents", "trust*"))
				for _, f := range list {
					want = append(want, filepath.Base(f))
				}
				if slices.Sort(want); len(want) != 4 || !slices.Equal(want[:3], all[1:]) || want[3] != all[0] {
					t.Errorf("a program of release 0.1 reads them in the order %v", want)
				}
			}
			if r, err := b.c.Import(t.Context(), stick); err != nil || len(r.Refused) != 0 || b.memory.version(link.KindTrust, "") != first+4 {
				t.Errorf("%+v, %v, version %d", r, err, b.memory.version(link.KindTrust, ""))
			}
			again := w.restart(b)
			if r, err := again.Import(t.Context(), stick); err != nil || len(r.Accepted) != 0 || len(r.Refused) != 0 || r.Known < 4 {
				t.Errorf("again: %+v, %v", r, err)
			}
			strangers := newCountyKeys()
			strangers.trust.Version = first + 5
			newer := strangers.sealTrust(t, strangers.trust, strangers.roots[0], strangers.roots[1])
			if err := os.WriteFile(filepath.Join(stick.Dir, "documents", "trust.c.json"), newer, 0o644); err != nil {
				t.Fatal(err)
			}
			if r, err := again.Import(t.Context(), stick); err != nil || len(r.Refused) != 1 || !errors.Is(r.Refused["documents/trust.c.json"], link.ErrSignature) {
				t.Errorf("a newer one of strangers: %+v, %v", r, err)
			}
		})
	}
}

// between is what stands between controllers and their county: it passes stamps on as
// the edge signs them, and withholds what it likes.
type between struct {
	mu       sync.Mutex
	withhold bool
	nameless bool // as a county of release 0.1: the stamp names nothing in force
	time     time.Time
}

func (m *between) run(w *world) {
	w.t.Helper()
	e := w.user(link.UserEdge)
	s := must[*nats.Subscription](w.t)(e.QueueSubscribe(link.SyncSubject("*"), "edge", func(q *nats.Msg) {
		m.mu.Lock()
		defer m.mu.Unlock()
		var r link.SyncRequest
		text, err := link.Unpack(q.Data, 1<<20)
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		a, stamp := link.SyncAnswer{}, link.Stamp{Controller: r.Controller, Nonce: r.Nonce, Time: m.time}
		w.ledger.mu.Lock()
		for _, d := range w.ledger.docs {
			if !m.nameless {
				stamp.InForce = append(stamp.InForce, d.Have)
			}
			if !m.withhold {
				a.Envelopes = append(a.Envelopes, d.Raw)
			}
		}
		w.ledger.seen = append(w.ledger.seen, link.Seen{Request: r})
		w.ledger.mu.Unlock()
		sealed, serr := link.Seal(link.TypeStamp, stamp, w.countyKeys.edge)
		a.Stamp = sealed.Bytes()
		text, terr := json.Marshal(a)
		if err := errors.Join(err, serr, terr); err != nil {
			w.t.Error(err)
		}
		_ = q.Respond(link.Pack(text)) // the test may have ended
	}))
	w.t.Cleanup(func() { _ = s.Unsubscribe() })
	if err := e.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

func (m *between) set(f func(*between)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func TestACountyThatFreezesStateIsNoticed(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	scope := playlist.AreaScope(town)
	must[link.Document](t)(b.c.Take(t.Context(), w.countyKeys.manifest(t, scope, 5)))
	w.ledger.issue(t, w.countyKeys.manifest(t, scope, 7))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.AreaScope(village), 2, flood("f")))
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(otherTown), 3)) // not for it
	m := &between{withhold: true, nameless: true, time: time.Now()}
	m.run(w)
	heard, told := &words{}, make(chan []link.Lag, 16)
	b.c.Log, b.c.Behind = slog.New(heard), func(l []link.Lag) { told <- l }
	w.run(b.c.Run)
	eventually(t, "it asks a county of release 0.1", func() bool { return w.ledger.syncs() > 2 })
	if len(told) != 0 {
		t.Errorf("a county of release 0.1 names nothing, and yet: %+v", <-told)
	}
	m.set(func(m *between) { m.nameless = false })
	lags := await(t, "what did not arrive", told)
	got := map[link.Kind]string{}
	for _, l := range lags {
		got[l.Kind] = fmt.Sprint(l.Scope, " ", l.Version, " ", l.Here)
	}
	if len(got) != 2 || got[link.KindManifest] != fmt.Sprint(scope, " 7 5") || got[link.KindAlerts] != "area:320924100201 2 0" {
		t.Errorf("behind: %v", got)
	}
	n := w.ledger.syncs()
	eventually(t, "it goes on to ask", func() bool { return w.ledger.syncs() > n+3 })
	if n := heard.count("WARN county has a newer document that did not arrive"); n != 2 {
		t.Errorf("told %d times", n)
	}
	m.set(func(m *between) { m.withhold = false })
	if l := await(t, "the end of it", told); len(l) != 0 || b.memory.version(link.KindManifest, scope) != 7 {
		t.Errorf("behind: %+v", l)
	}
}

// The real edge names what is in force, and only what trust covers.
func TestAStampNamesWhatIsInForce(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 7))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.AreaScope(town), 3))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.AreaScope(otherTown), 3))
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	names := func() (all []string) {
		a := ask(t, nc, link.SyncRequest{Controller: b.id, Nonce: "n", Health: link.Health{Understands: link.Understood()}})
		for _, h := range must[link.Stamp](t)(link.OpenStamp(a.Stamp, w.countyKeys.trust, b.id, "n")).InForce {
			all = append(all, fmt.Sprint(h.Kind, " ", h.Scope, " ", h.Version, " ", len(h.Digest)))
		}
		return all
	}
	if got, want := names(), []string{"trust  1 32", "member controller:daba-1 1 32", "alerts area:320924100000 3 32", "manifest area:320924100000 7 32"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.ledger.issue(t, w.countyKeys.sealTrust(t, w.countyKeys.replaced(link.NewKey(), link.RolePlaylist), w.countyKeys.roots[0], w.countyKeys.roots[1]))
	if got, want := names(), []string{"trust  2 32", "member controller:daba-1 1 32", "alerts area:320924100000 3 32"}; !slices.Equal(got, want) {
		t.Errorf("without the playlist key: %q, want %q", got, want)
	}
}

func TestTheCountysTimeDoesNotGoBack(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	began := time.Now().UTC().Truncate(time.Second)
	m := &between{time: began}
	m.run(w)
	var clock sync.Map
	clock.Store("state", playlist.ClockTrusted)
	told := make(chan time.Time, 1000)
	b.c.Clock = func() playlist.ClockState { v, _ := clock.Load("state"); return v.(playlist.ClockState) }
	b.c.Time = func(at time.Time, _ time.Duration) { told <- at }
	w.run(b.c.Run)
	for at := range told {
		if at.Equal(began) {
			break
		}
	}
	old := began.Add(-time.Hour)
	m.set(func(m *between) { m.time = old })
	n := w.ledger.syncs()
	eventually(t, "it is told the old time", func() bool { return w.ledger.syncs() > n+2 })
	for len(told) > 0 {
		if at := <-told; at.Equal(old) {
			t.Fatal("a clock that is trusted was told an older time")
		}
	}
	clock.Store("state", playlist.ClockUntrusted) // then the county may have been wrong before
	for at := range told {
		if at.Equal(old) {
			break
		}
	}
}

// Whoever holds the edge's key or the broker can repeat what the county once signed.
func TestOldEnvelopesRepeatedChangeNothing(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	scope, o := playlist.AreaScope(town), w.countyKeys
	fresh := link.NewKey()
	older := [][]byte{o.manifest(t, scope, 2), o.alerts(t, scope, 2, flood("cancelled")), w.ledger.docs[docKey(link.Have{Kind: link.KindTrust})].Raw}
	next := o.sealTrust(t, o.replaced(fresh, link.RoleUpdate), o.roots[0], o.roots[1])
	for _, raw := range [][]byte{next, o.manifest(t, scope, 3), o.alerts(t, scope, 3)} {
		must[link.Document](t)(b.c.Take(t.Context(), raw))
	}
	m := &between{time: time.Now()}
	m.run(w)
	w.ledger.mu.Lock()
	for _, raw := range older {
		d := must[link.Document](t)(link.Open(raw, o.trust))
		w.ledger.docs[docKey(d.Have)] = link.Stored{Have: d.Have, Raw: raw}
	}
	w.ledger.mu.Unlock()
	b.memory.mu.Lock()
	kept := len(b.memory.kept)
	b.memory.mu.Unlock()
	w.run(b.c.Run)
	pub := w.user(link.UserPublisher)
	for _, kind := range []string{"manifest", "alerts", "trust"} {
		for _, raw := range older {
			if err := pub.Publish("st.a.32.09.24.100._."+kind, raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "it has asked a few times", func() bool { return w.ledger.syncs() > 4 })
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	if len(b.memory.kept) != kept {
		t.Errorf("kept %+v", b.memory.kept[kept:])
	}
}
