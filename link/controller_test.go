package link_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
)

// now returns a function that reports whether a time lies between the call of now and
// its own.
func now(t *testing.T) (holds func(at time.Time) bool) {
	t.Helper()
	began := time.Now().Truncate(time.Second)
	return func(at time.Time) bool { return !at.Before(began) && !at.After(time.Now()) }
}

func TestAControllerIsCurrentSoonAfterItConnects(t *testing.T) {
	during := now(t)
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village}, "hongqi")
	clip, _ := sound(4000, 1)
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 3, clip))
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(otherTown), 9))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.GroupScope("hongqi"), 5, flood("a")))
	b.memory.events = []link.Event{{ID: 1, At: time.Now(), Message: "started"}, {ID: 2, At: time.Now(), Message: "aired"}}
	told := make(chan time.Time, 16)
	b.c.Time = func(at time.Time, took time.Duration) {
		if took <= 0 {
			t.Errorf("the round trip took %v", took)
		}
		select {
		case told <- at:
		default:
		}
	}
	w.run(b.c.Run)
	eventually(t, "manifest and alerts arrive", func() bool {
		return b.memory.version(link.KindManifest, playlist.AreaScope(town)) == 3 &&
			b.memory.version(link.KindAlerts, playlist.GroupScope("hongqi")) == 5
	})
	if at := await(t, "the county's time", told); !during(at) {
		t.Errorf("the county's time is %v, and now it is %v", at, time.Now())
	}
	eventually(t, "it asks once more", func() bool { return w.ledger.syncs() >= 2 })
	if v := b.memory.version(link.KindManifest, playlist.AreaScope(otherTown)); v != 0 {
		t.Errorf("it has version %d of another town's manifest", v)
	}
	eventually(t, "events are acknowledged", func() bool {
		b.memory.mu.Lock()
		defer b.memory.mu.Unlock()
		return b.memory.eventAt == 2
	})
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	q := w.ledger.seen[0].Request
	if q.Controller != "daba-1" || q.Health.Program != "test" || len(q.Events) != 2 || len(q.Have) != 2 || q.Boot != "boot-1" {
		t.Errorf("the county got %+v", q)
	}
}

func TestAPushedAlertIsAcceptedAtOnceWithItsInlineClip(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	got := make(chan link.Document, 8)
	b.c.Accepted = func(d link.Document) { got <- d }
	w.run(b.c.Run)
	eventually(t, "it is connected and has synced", func() bool { return w.ledger.syncs() >= 2 })
	pub := &link.Publisher{Conn: w.user(link.UserPublisher), Log: quiet()}
	scope := playlist.AreaScope(county)
	order := flood("f")
	push := func(raw []byte) {
		t.Helper()
		if err := pub.Publish(t.Context(), scope, link.KindAlerts, raw); err != nil {
			t.Fatal(err)
		}
	}
	push(w.countyKeys.alerts(t, scope, 1, order))
	if d := await(t, "the order", got); d.Version != 1 || !d.Alerts.Alerts[0].Order || d.Alerts.Alerts[0].Clip != nil {
		t.Errorf("took %+v", d.Alerts)
	}
	clip, bytes := sound(20000, 2)
	order.Clip, order.Inline = &clip, bytes
	push(w.countyKeys.alerts(t, scope, 2, order))
	await(t, "the order with its sound", got)
	eventually(t, "its clip is stored", func() bool { ok, _ := b.memory.HasClip(t.Context(), clip.ID); return ok })
	push(w.countyKeys.alerts(t, scope, 1, flood("replayed")))
	push(w.countyKeys.alerts(t, scope, 3)) // all cancelled
	if d := await(t, "the cancel", got); d.Version != 3 || len(d.Alerts.Alerts) != 0 {
		t.Errorf("after a replay it took version %d", d.Version)
	}
}

func TestAlertsAreInForceThoughTheyCannotBeKept(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	var inForce []int64
	b.c.Accepted = func(d link.Document) { inForce = append(inForce, d.Version) }
	full := errors.New("the disk is full")
	b.memory.disk = func(link.Document) error { return full }
	scope := playlist.AreaScope(town)
	versions := map[int64][]byte{}
	for v := int64(1); v <= 3; v++ {
		versions[v] = w.countyKeys.alerts(t, scope, v, flood(fmt.Sprint(v)))
	}
	for _, c := range []struct {
		name    string
		version int64
		want    error
		inForce []int64
	}{
		{"a new version", 2, full, []int64{2}},
		{"the same once more: it is tried again, and sounds once", 2, full, []int64{2}},
		{"an older one", 1, link.ErrRolledBack, []int64{2}},
		{"a newer one", 3, full, []int64{2, 3}},
		{"the one before", 2, link.ErrRolledBack, []int64{2, 3}},
	} {
		if _, err := b.c.Take(t.Context(), versions[c.version]); !errors.Is(err, c.want) || !slices.Equal(inForce, c.inForce) {
			t.Errorf("%s: %v, in force %v, want %v", c.name, err, inForce, c.inForce)
		}
	}
	b.memory.disk = nil
	if _, err := b.c.Take(t.Context(), versions[3]); err != nil || b.memory.version(link.KindAlerts, scope) != 3 || len(inForce) != 2 {
		t.Errorf("once there is room: %v, in force %v", err, inForce)
	}
	if _, err := b.c.Take(t.Context(), versions[3]); !errors.Is(err, link.ErrReplayed) {
		t.Errorf("once it is kept: %v", err)
	}
}

func TestADiskThatHangsHoldsUpNoAlertOfTheCounty(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village}, "hongqi")
	got := make(chan link.Document, 8)
	b.c.Accepted = func(d link.Document) { got <- d }
	works := make(chan struct{})
	mend := sync.OnceFunc(func() { close(works) })
	b.memory.disk = func(link.Document) error { <-works; return nil }
	w.run(b.c.Run)
	defer mend()
	eventually(t, "it is connected and has synced", func() bool { return w.ledger.syncs() >= 2 })
	pub := &link.Publisher{Conn: w.user(link.UserPublisher), Log: quiet()}
	push := func(scope playlist.Scope, version int64, some ...link.AlertInForce) {
		t.Helper()
		if err := pub.Publish(t.Context(), scope, link.KindAlerts, w.countyKeys.alerts(t, scope, version, some...)); err != nil {
			t.Fatal(err)
		}
	}
	all, group := playlist.AreaScope(county), playlist.GroupScope("hongqi")
	push(all, 1, flood("a"))
	await(t, "the first alert", got)
	push(group, 1, flood("b"))
	await(t, "an alert for another scope", got)
	push(all, 2)
	if d := await(t, "the cancel of the first", got); d.Version != 2 {
		t.Errorf("version %d", d.Version)
	}
	if v := b.memory.version(link.KindAlerts, all); v != 0 {
		t.Errorf("version %d is kept on a disk that hangs", v)
	}
	for _, h := range w.ledger.has() {
		if h.Kind == link.KindAlerts {
			t.Errorf("the county is told that %s is kept", h.Scope)
		}
	}
	mend()
	eventually(t, "the latest of both are kept", func() bool {
		return b.memory.version(link.KindAlerts, all) == 2 && b.memory.version(link.KindAlerts, group) == 1
	})
}

func TestAnInlineClipThatAPowerCutKeptFromTheStoreIsStoredLater(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	a := flood("f")
	clip, bytes := sound(300, 2)
	a.Clip, a.Inline = &clip, bytes
	d := must[link.Document](t)(link.Open(w.countyKeys.alerts(t, playlist.AreaScope(town), 1, a), w.countyKeys.trust))
	if err := b.memory.Keep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := b.c.Member(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, _ := b.memory.HasClip(t.Context(), clip.ID); !ok {
		t.Error("the clip is lost")
	}
}

func TestReceiptsArriveExactlyOnceThoughTheBrokerGoesAway(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("e1", 450)
	w.run(b.c.Run)
	eventually(t, "all receipts are sent", func() bool { return b.memory.unsent() == 0 })
	port := w.port()
	w.broker.Shutdown()
	w.broker.WaitForShutdown()
	b.memory.air("e1", 300)
	b.memory.air("e2", 7)
	b.c.Wake()
	w.serve(port)
	eventually(t, "the rest is sent", func() bool { return b.memory.unsent() == 0 })
	w.ledger.once(t, "daba-1", b.memory)
	b.memory.air("e2", 1)
	b.c.Wake()
	eventually(t, "Wake is enough to send them", func() bool { return b.memory.unsent() == 0 })
}

func TestReceiptsThatTheCountyCannotKeepDelayNoOthers(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("e1", 430)
	rows := b.memory.out["e1"]
	rows[0].Row.Clip = "no name for a clip"
	rows[77].Row.LevelDB = math.Inf(-1) // JSON cannot express it
	rows[78].Row.Output = ""
	rows[250].Corrects = &link.Mark{Epoch: "e 0", Seq: 1}
	rows[429].Row.Frames = -1
	want := []string{"e1/1", "e1/78", "e1/79", "e1/251", "e1/430"}
	w.run(b.c.Run)
	eventually(t, "all others are sent", func() bool { return b.memory.unsent() == 0 })
	if got := b.memory.setAside(); !slices.Equal(got, want) {
		t.Errorf("set aside: %v, want %v", got, want)
	}
	for _, r := range b.memory.aside {
		if r.Why == "" {
			t.Errorf("receipt %d is set aside without a word", r.Seq)
		}
	}
	w.ledger.once(t, "daba-1", b.memory)
	b.memory.air("e1", 3)
	b.c.Wake()
	eventually(t, "the receipts after it are sent too", func() bool { return b.memory.unsent() == 0 })
	w.ledger.once(t, "daba-1", b.memory)
	if got := b.memory.setAside(); !slices.Equal(got, want) {
		t.Errorf("later set aside: %v, want %v", got, want)
	}
}

func TestAReceiptTooLargeForAnEnvelopeDelaysNoOthers(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("e1", 3)
	noise := make([]byte, link.MaxEnvelope)
	_, _ = rand.Read(noise)
	b.memory.out["e1"][1].Row.Title = base64.StdEncoding.EncodeToString(noise)
	w.run(b.c.Run)
	eventually(t, "all others are sent", func() bool { return b.memory.unsent() == 0 })
	if got := b.memory.setAside(); !slices.Equal(got, []string{"e1/2"}) {
		t.Errorf("set aside: %v", got)
	}
	w.ledger.once(t, "daba-1", b.memory)
}

func TestARequestIsSentAgainAfterItsConnectionBreaks(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	b.c.Pace.Answer = time.Hour
	deaf := w.user(link.UserEdge)
	asked := make(chan *nats.Msg, 8)
	if _, err := deaf.ChanQueueSubscribe(link.SyncSubject("*"), "edge", asked); err != nil {
		t.Fatal(err)
	}
	if err := deaf.Flush(); err != nil {
		t.Fatal(err)
	}
	w.run(b.c.Run)
	await(t, "a request", asked)
	deaf.Close()
	port := w.port()
	w.broker.Shutdown()
	w.broker.WaitForShutdown()
	w.serve(port)
	w.edge()
	eventually(t, "it asks the next edge", func() bool { return w.ledger.syncs() > 0 })
}

func TestARequestIsSentAgainIfItsEdgeCrashes(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	b.c.Pace.Answer = time.Hour
	b.c.Pace.Repeat = func() time.Duration { return 10 * time.Millisecond }
	deaf := w.user(link.UserEdge)
	asked := make(chan *nats.Msg, 1<<16)
	if _, err := deaf.ChanQueueSubscribe(link.SyncSubject("*"), "edge", asked); err != nil {
		t.Fatal(err)
	}
	if err := deaf.Flush(); err != nil {
		t.Fatal(err)
	}
	w.run(b.c.Run)
	// The response to either request counts.
	if first, again := await(t, "a request", asked), await(t, "the same request again", asked); first.Reply != again.Reply || string(first.Data) != string(again.Data) {
		t.Error("the second question is another")
	}
	w.edge()
	deaf.Close()
	eventually(t, "it asks the next edge, and goes on syncing", func() bool { return w.ledger.syncs() > 2 })
}

func TestAControllerNoticesAtOnceThatNoEdgeRuns(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	b.c.Pace.Answer = time.Hour
	b.c.Pace.Repeat = func() time.Duration { return time.Hour }
	said := make(chan struct{}, 1)
	again := b.c.Pace.Again
	b.c.Pace.Again = func() time.Duration {
		select {
		case said <- struct{}{}:
		default:
		}
		return again()
	}
	w.run(b.c.Run)
	await(t, "the controller learns that its request reached no edge", said)
	w.edge()
	eventually(t, "it asks again once an edge runs", func() bool { return w.ledger.syncs() > 0 })
}

func TestACountyRestoredFromABackupGetsEverythingBack(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	scope := playlist.AreaScope(town)
	w.ledger.issue(t, w.countyKeys.manifest(t, scope, 7))
	second := w.countyKeys.trust
	second.Version = 2
	w.ledger.issue(t, w.countyKeys.sealTrust(t, second, w.countyKeys.roots[0], w.countyKeys.roots[2]))
	b.memory.air("e1", 500)
	b.memory.air("e2", 30)
	stop := w.run(b.c.Run)
	eventually(t, "it is current", func() bool {
		return b.memory.unsent() == 0 && b.memory.version(link.KindManifest, scope) == 7 && b.memory.version(link.KindTrust, "") == 2
	})
	stop()

	// The backup has one document at version 5, another version 7 than the controller has, and
	// 120 of 500 receipts.
	l := w.ledger
	l.mu.Lock()
	l.trust, l.trusts = w.countyKeys.trust, nil
	l.docs, l.rows = map[string]link.Stored{}, map[string]int{}
	l.marks = map[string]int64{"daba-1/e1": 120}
	for i := range 120 {
		l.rows[fmt.Sprintf("daba-1/e1/%d", i+1)] = 1
	}
	l.mu.Unlock()
	l.issue(t, w.countyKeys.sealTrust(t, w.countyKeys.trust, w.countyKeys.roots[0], w.countyKeys.roots[1]))
	w.issueMember(b)
	l.issue(t, w.countyKeys.manifest(t, scope, 5))

	c := w.restart(b)
	w.run(c.Run)
	eventually(t, "the county has its receipts again", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.marks["daba-1/e1"] == 500 && l.marks["daba-1/e2"] == 30
	})
	eventually(t, "the county has its documents again", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.trust.Version == 2 && l.docs[docKey(link.Have{Kind: link.KindManifest, Scope: scope})].Version == 7
	})
	if v := b.memory.version(link.KindManifest, scope); v != 7 {
		t.Errorf("the controller went back to version %d", v)
	}
	l.once(t, "daba-1", b.memory)
}

// failingRecover is a county's store whose Recover fails at first.
type failingRecover struct {
	*ledger
	asked atomic.Int64
}

func (p *failingRecover) Recover(ctx context.Context, d link.Document) error {
	if p.asked.Add(1) == 1 {
		return errors.New("the database is busy")
	}
	return p.ledger.Recover(ctx, d)
}

func TestADocumentIsShownAgainIfTheCountyCouldNotStoreIt(t *testing.T) {
	w := newWorld(t)
	e := &link.Edge{Conn: w.user(link.UserEdge), Store: &failingRecover{ledger: w.ledger}, Key: w.countyKeys.edge, Log: quiet()}
	w.run(e.Run)
	w.flushed(e.Conn)
	b := w.enrol("daba-1", []playlist.Area{village})
	scope := playlist.AreaScope(town)
	if _, err := b.c.Take(t.Context(), w.countyKeys.manifest(t, scope, 7)); err != nil {
		t.Fatal(err)
	}
	w.run(b.c.Run)
	eventually(t, "the county has its document again", func() bool {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		return len(w.ledger.recovered) == 1 && w.ledger.recovered[0].Version == 7
	})
}

func TestReceiptsPrunedOnBothSidesLeaveAGapThatIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.gone["e1"] = 40
	b.memory.air("e1", 10)
	b.memory.marks["e1"] = 45 // the county was restored from a backup without receipts
	w.run(b.c.Run)
	eventually(t, "the remaining receipts are sent", func() bool {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		return w.ledger.marks["daba-1/e1"] == 50 && w.ledger.lost == 40
	})
	eventually(t, "and acknowledged", func() bool { return b.memory.unsent() == 0 })
	w.ledger.once(t, "daba-1", b.memory)
}

func TestANewMemberDocumentTakesEffectWithoutARestart(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(otherTown), 4))
	w.run(b.c.Run)
	eventually(t, "it is connected and has synced", func() bool { return w.ledger.syncs() >= 2 })
	b.member.Version, b.member.Areas = 2, []playlist.Area{"320924101203"}
	raw := w.issueMember(b)
	pub := &link.Publisher{Conn: w.user(link.UserPublisher), Log: quiet()}
	if err := pub.Publish(t.Context(), playlist.ControllerScope(b.id), link.KindMember, raw); err != nil {
		t.Fatal(err)
	}
	scope := playlist.AreaScope(otherTown)
	eventually(t, "it has the new town's manifest", func() bool { return b.memory.version(link.KindManifest, scope) == 4 })
	n := w.ledger.syncs()
	eventually(t, "it has subscribed again", func() bool { return w.ledger.syncs() > n || w.ledger.syncs() >= 4 })
	eventually(t, "pushes of the new town reach it", func() bool {
		if err := pub.Publish(t.Context(), scope, link.KindAlerts, w.countyKeys.alerts(t, scope, 1, flood("x"))); err != nil {
			t.Fatal(err)
		}
		return b.memory.version(link.KindAlerts, scope) == 1
	})
}

func TestADisabledControllerIsRefusedAndAnUnknownOneToo(t *testing.T) {
	w := newWorld(t)
	w.edge()
	for _, c := range []struct {
		name string
		do   func(map[playlist.ControllerID]link.Registered, playlist.ControllerID)
	}{
		{"disabled", func(m map[playlist.ControllerID]link.Registered, id playlist.ControllerID) {
			r := m[id]
			r.Disabled = true
			m[id] = r
		}},
		{"unknown", func(m map[playlist.ControllerID]link.Registered, id playlist.ControllerID) { delete(m, id) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := w.enrol(playlist.ControllerID(c.name), []playlist.Area{village})
			w.ledger.mu.Lock()
			c.do(w.ledger.members, b.id)
			w.ledger.mu.Unlock()
			w.ledger.issue(t, w.countyKeys.manifest(t, playlist.ControllerScope(b.id), 1))
			b.memory.air("e1", 3)
			var refusals atomic.Int64
			b.c.Time = func(time.Time, time.Duration) { refusals.Add(1) } // called for the refusal too, which is signed
			stop := w.run(b.c.Run)
			nc := must[*nats.Conn](t)(w.login(b, b.key))
			defer nc.Close()
			e := must[link.Envelope](t)(link.SealBatch(link.Batch{Controller: b.id, Epoch: "e1", Nonce: "n", Receipts: onWire(b.memory.out["e1"])}, b.key))
			m, err := nc.Request(link.ReceiptSubject(b.id), e.Bytes(), patience)
			if err != nil {
				t.Fatal(err)
			}
			if s := must[link.Stamp](t)(link.OpenStamp(m.Data, w.countyKeys.trust, b.id, "n")); s.Refused != c.name {
				t.Errorf("refused as %q, want %q", s.Refused, c.name)
			}
			eventually(t, "it asks twice and is refused", func() bool { return refusals.Load() >= 2 })
			stop()
			if b.memory.unsent() != 3 || b.memory.version(link.KindManifest, playlist.ControllerScope(b.id)) != 0 {
				t.Error("it was served all the same")
			}
			w.ledger.mu.Lock()
			defer w.ledger.mu.Unlock()
			if w.ledger.marks[string(b.id)+"/e1"] != 0 {
				t.Error("its receipts were stored")
			}
		})
	}
}

func TestRunEndsOnlyWithItsContextOrWithoutEnrolment(t *testing.T) {
	c := &link.Controller{Key: link.NewKey(), Store: newMemory(), Log: quiet()}
	if err := c.Run(context.Background()); !errors.Is(err, link.ErrNoTrust) {
		t.Errorf("Run = %v", err)
	}
}

func TestReconnectWaitsLongerAndNeverGivesUp(t *testing.T) {
	if d := link.Reconnect(1); d != time.Second {
		t.Errorf("first after %v", d)
	}
	tops := []time.Duration{30 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute}
	for i, top := range tops {
		longest := time.Duration(0)
		for range 2000 {
			d := link.Reconnect(i + 2)
			if d < 0 || d >= top {
				t.Fatalf("attempt %d after %v", i+2, d)
			}
			longest = max(longest, d)
		}
		if longest < top*3/4 {
			t.Errorf("attempt %d: no longer than %v of %v", i+2, longest, top)
		}
	}
	if d := link.Reconnect(100000); d >= 5*time.Minute {
		t.Errorf("attempt 100000 after %v", d)
	}
}

// A controller whose clock starts in 1970 must be able to connect to learn the time.
func TestAControllerWithoutTheTimeConnectsAndOneWithTheWrongTimeDoesNot(t *testing.T) {
	during := now(t)
	w := newWorld(t)
	w.edge()
	for _, c := range []struct {
		name    string
		clock   playlist.ClockState
		servers []string
		ca      string
		want    bool
	}{
		{"untrusted", playlist.ClockUntrusted, nil, "", true},
		{"trusted, and wrong", playlist.ClockTrusted, nil, "", false},
		{"untrusted, and another CA", playlist.ClockUntrusted, nil, newWorld(t).ca, false},
		{"untrusted, and another host", playlist.ClockUntrusted, []string{strings.Replace(w.url, "127.0.0.1", "localhost", 1)}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := w.enrol("daba-1", []playlist.Area{village})
			m := b.member
			if c.servers != nil {
				m.Servers = c.servers
			}
			if c.ca != "" {
				m.CA = c.ca
			}
			conf := must[*tls.Config](t)(link.MemberTLS(m, func() time.Time { return time.Unix(300, 0) },
				func() bool { return c.clock != playlist.ClockUntrusted }))
			conn, err := nats.Connect(m.Servers[0], nats.Timeout(patience), nats.Secure(conf), nats.UserJWT(func() (string, error) { return m.JWT, nil }, link.LoginSigner(b.key)))
			if conn != nil {
				conn.Close()
			}
			if (err == nil) != c.want {
				t.Errorf("connected: %v", err)
			}
		})
	}
	b := w.enrol("daba-2", []playlist.Area{village})
	b.c.Now, b.c.Clock = func() time.Time { return time.Unix(300, 0) }, func() playlist.ClockState { return playlist.ClockUntrusted }
	told := make(chan time.Time, 8)
	b.c.Time = func(at time.Time, _ time.Duration) {
		select {
		case told <- at:
		default:
		}
	}
	w.run(b.c.Run)
	if at := await(t, "the county's time", told); !during(at) {
		t.Errorf("it learnt that it is %v, and it is %v", at, time.Now())
	}
}

// The county sees batches in any order, twice and at once, through two edges.
func TestBatchesDoubledAndReorderedAreStoredOnce(t *testing.T) {
	w := newWorld(t)
	w.edge()
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("e1", 100)
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	send := func(from, to int64) link.Stamp {
		e := must[link.Envelope](t)(link.SealBatch(link.Batch{Controller: b.id, Epoch: "e1", Nonce: "n", Receipts: onWire(b.memory.out["e1"][from-1 : to])}, b.key))
		m, err := nc.Request(link.ReceiptSubject(b.id), e.Bytes(), patience)
		if err != nil {
			t.Error(err)
			return link.Stamp{}
		}
		return must[link.Stamp](t)(link.OpenStamp(m.Data, w.countyKeys.trust, b.id, "n"))
	}
	for _, c := range []struct {
		from, to, mark int64
		refused        string
	}{
		{1, 10, 10, ""}, {1, 10, 10, ""}, {21, 30, 10, "gap"}, {11, 20, 20, ""}, {5, 25, 25, ""}, {1, 3, 3, ""}, {26, 26, 26, ""}, {50, 60, 26, "gap"},
	} {
		s := send(c.from, c.to)
		if s.Refused != c.refused || len(s.Marks) != 1 || s.Marks[0].Seq != c.mark {
			t.Errorf("%d to %d: %+v", c.from, c.to, s)
		}
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := int64(27); n <= 91; n += 8 {
				send(n, n+9)
				if i%2 == 0 {
					send(max(1, n-20), n)
				}
			}
		})
	}
	wait.Wait()
	b.memory.marks["e1"] = 26
	w.run(b.c.Run) // the controller sends what is still missing itself
	eventually(t, "all receipts are acknowledged", func() bool { return b.memory.unsent() == 0 })
	w.ledger.once(t, b.id, b.memory)
}
