package link_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// denied reports whether the broker's last refusal on a connection is this one. The
// broker sends it before it responds to a flush.
func denied(t *testing.T, nc *nats.Conn, what, subject string) bool {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint(nc.LastError())
	return strings.Contains(strings.ToLower(last), "permissions violation for "+what) && strings.Contains(last, `"`+subject+`"`)
}

func TestEachUserMayPublishAndSubscribeToItsOwnSubjectsOnly(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village}, "HongQi")
	w.enrol("daba-2", []playlist.Area{"320924101203"})
	users := map[string]*nats.Conn{"controller": must[*nats.Conn](t)(w.login(b, b.key, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))}
	defer users["controller"].Close()
	for _, u := range []string{link.UserPublisher, link.UserEdge} {
		users[u] = w.user(u)
	}
	for _, c := range []struct {
		user, verb, subject string
		allowed             bool
	}{
		{"controller", "publish", "sync.daba-1", true},
		{"controller", "publish", "rcpt.daba-1", true},
		{"controller", "publish", "sync.daba-2", false},
		{"controller", "publish", "rcpt.daba-2", false},
		{"controller", "publish", "st.d.daba-1.alerts", false},
		{"controller", "publish", "st.a.32._.alerts", false},
		{"controller", "publish", "_IN.daba-1.x", false},
		{"controller", "publish", "_IN.daba-2.x", false},
		{"controller", "publish", "$SYS.REQ.CLAIMS.UPDATE", false},
		{"controller", "subscription", "_IN.daba-1.>", true},
		{"controller", "subscription", "st.d.daba-1.*", true},
		{"controller", "subscription", "st.g.HongQi.*", true},
		{"controller", "subscription", "st.a.32.09.24.100.201._.*", true},
		{"controller", "subscription", "st.a.32.09.24._.alerts", true},
		{"controller", "subscription", "st.a.32.09.24.101._.alerts", false},
		{"controller", "subscription", "st.g.other.*", false},
		{"controller", "subscription", "st.d.daba-2.*", false},
		{"controller", "subscription", "st.>", false},
		{"controller", "subscription", "st.a.32.>", false},
		{"controller", "subscription", "_IN.daba-2.>", false},
		{"controller", "subscription", "_IN.>", false},
		{"controller", "subscription", "sync.*", false},
		{"controller", "subscription", "rcpt.daba-1", false},
		{"controller", "subscription", ">", false},
		{link.UserPublisher, "publish", "st.a.32._.alerts", true},
		{link.UserPublisher, "publish", "_IN.daba-1.x", false},
		{link.UserPublisher, "publish", "sync.daba-1", false},
		{link.UserPublisher, "subscription", "st.>", false},
		{link.UserPublisher, "subscription", "rcpt.*", false},
		{link.UserEdge, "publish", "_IN.daba-1.x", true},
		{link.UserEdge, "publish", "st.a.32._.alerts", false},
		{link.UserEdge, "subscription", "st.>", false},
		{link.UserEdge, "subscription", "_IN.>", false},
		{link.UserEdge, "subscription", "sync.*", false}, // only in the queue
	} {
		t.Run(c.user+" "+c.verb+" "+c.subject, func(t *testing.T) {
			nc := users[c.user]
			var err error
			if c.verb == "publish" {
				err = nc.Publish(c.subject, []byte("x"))
			} else {
				_, err = nc.SubscribeSync(c.subject)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := denied(t, nc, c.verb, c.subject); got == c.allowed {
				t.Errorf("denied: %v, the last that was denied: %v", got, nc.LastError())
			}
		})
	}
}

// With wider permissions a controller could make the edge publish for it: to the
// inbox of another controller, or on the subjects of state documents.
func TestAnEdgeRepliesOnlyToTheInboxOfTheControllerThatAsked(t *testing.T) {
	w := newWorld(t)
	w.edge()
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 1))
	thief, victim := w.enrol("daba-1", []playlist.Area{village}), w.enrol("daba-2", []playlist.Area{village})
	nc, other := must[*nats.Conn](t)(w.login(thief, thief.key)), must[*nats.Conn](t)(w.login(victim, victim.key))
	defer nc.Close()
	defer other.Close()
	inbox := must[*nats.Subscription](t)(other.SubscribeSync("_IN.daba-2.>"))
	orders := must[*nats.Subscription](t)(other.SubscribeSync("st.a.32._.*"))
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	ask := func(id playlist.ControllerID) []byte {
		return link.Pack([]byte(`{"controller":"` + string(id) + `","nonce":"n"}`))
	}
	batch := must[link.Envelope](t)(link.SealBatch(link.Batch{Controller: "daba-2", Epoch: "e", Nonce: "n",
		Receipts: []link.Receipt{{Receipt: asrun.Receipt{Row: asrun.Row{Seq: 1}}}}}, thief.key)).Bytes()
	for _, reply := range []string{"_IN.daba-2.x", "st.a.32._.alerts", "_IN.daba-10.x", "_IN.daba-1", "$SYS.REQ.CLAIMS.UPDATE", ""} {
		for _, subject := range []string{"sync.daba-1", "rcpt.daba-1"} {
			if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: ask("daba-1")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A body that names another controller than its subject gets no response either.
	mine := must[*nats.Subscription](t)(nc.SubscribeSync("_IN.daba-1.>"))
	for range 32 { // twice as many as the edge has workers
		for _, q := range []nats.Msg{
			{Subject: "sync.daba-1", Reply: "_IN.daba-1.wrong", Data: ask("daba-2")},
			{Subject: "rcpt.daba-1", Reply: "_IN.daba-1.wrong", Data: batch},
			{Subject: "sync.daba-1", Reply: "_IN.daba-1.right", Data: ask("daba-1")},
		} {
			if err := nc.PublishMsg(&q); err != nil {
				t.Fatal(err)
			}
		}
		m, err := mine.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "_IN.daba-1.right" {
			s, err := link.OpenStamp(m.Data, w.countyKeys.trust, "daba-1", "n")
			if err != nil || s.Refused == "" {
				t.Errorf("a body that names another got a response on %s", m.Subject)
			}
		}
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	for what, sub := range map[string]*nats.Subscription{"the victim's inbox": inbox, "where orders are given": orders} {
		if n, _, err := sub.Pending(); err != nil || n > 0 {
			t.Errorf("%d messages in %s, %v", n, what, err)
		}
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if w.ledger.commits > 0 || len(w.ledger.rows) > 0 {
		t.Error("receipts of another were stored")
	}
}

func TestAStolenLoginIsUselessWithoutItsKey(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	if nc, err := w.login(b, link.NewKey()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connected: %v, %v", nc, err)
	}
	if _, err := nats.Connect(w.url, nats.Timeout(patience), nats.Secure(must[*tls.Config](t)(link.TLS(w.ca)))); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without any login: %v", err)
	}
	if _, err := w.login(b, b.key, nats.Secure(&tls.Config{})); err == nil {
		t.Error("a broker that no CA of the county vouches for was believed")
	}
	must[*nats.Conn](t)(w.login(b, b.key)).Close()
}

func TestARevokedControllerIsDisconnectedAndStaysOut(t *testing.T) {
	w := newWorld(t)
	b, other := w.enrol("daba-1", []playlist.Area{village}), w.enrol("daba-2", []playlist.Area{village})
	gone := make(chan struct{})
	nc := must[*nats.Conn](t)(w.login(b, b.key, nats.ClosedHandler(func(*nats.Conn) { close(gone) })))
	defer nc.Close()
	sys := w.user(link.UserSystem)
	// A login made in the same second as its revocation is revoked too.
	if err := w.authority.Revoke(time.Now(), b.key.BrokerUser()); err != nil {
		t.Fatal(err)
	}
	if err := link.PushAccount(sys, w.authority, patience); err != nil {
		t.Fatal(err)
	}
	await(t, "the broker disconnects it", gone)
	if _, err := w.login(b, b.key); err == nil {
		t.Error("it connects again")
	}
	must[*nats.Conn](t)(w.login(other, other.key)).Close()
	// A broker that restarts from its config refuses the login too.
	port := w.port()
	w.broker.Shutdown()
	w.broker.WaitForShutdown()
	w.serve(port)
	if _, err := w.login(b, b.key); err == nil {
		t.Error("it connects again after the broker was restarted")
	}
	must[*nats.Conn](t)(w.login(other, other.key)).Close()
}

func TestAnExpiredLoginIsRefusedAndAKeyForControllersMakesNothingElse(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	b.member.JWT = must[string](t)(w.authority.Controller(b.member.Follower(), b.key.BrokerUser(), time.Now().Add(-time.Minute)))
	if _, err := w.login(b, b.key); err == nil {
		t.Error("an expired login connects")
	}
	stolen := *w.authority
	stolen.AccountSeed = stolen.ScopedSeed
	creds := must[[]byte](t)(stolen.Creds(link.UserPublisher))
	if nc, err := nats.Connect(w.url, nats.Timeout(patience), nats.Secure(must[*tls.Config](t)(link.TLS(w.ca))), nats.UserCredentialBytes(creds)); err == nil {
		nc.Close()
		t.Error("a publisher signed by the controllers' key connects")
	}
}

func TestTheBrokerIsSetUpAsTheDesignHasIt(t *testing.T) {
	w := newWorld(t)
	v := must[*server.Varz](t)(w.broker.Varz(nil))
	if v.MaxPayload != 1<<20 || v.MaxPending != 64<<20 || v.AuthTimeout != 30 || v.TLSTimeout != 30 || !v.TLSRequired {
		t.Errorf("payload %d, pending %d, timeouts %v and %v", v.MaxPayload, v.MaxPending, v.AuthTimeout, v.TLSTimeout)
	}
	if w.broker.JetStreamEnabled() || v.MQTT.Port != 0 || v.Websocket.Port != 0 || v.LeafNode.Port != 0 || v.Cluster.Port != 0 {
		t.Error("it offers more than it should")
	}
	b := w.enrol("daba-1", []playlist.Area{village})
	if nc, err := w.login(b, b.key, nats.Secure(&tls.Config{InsecureSkipVerify: true, MaxVersion: 0x0303})); err == nil {
		nc.Close()
		t.Error("it speaks TLS 1.2")
	}
	if _, err := (link.Broker{Name: "x\"\nport: 1", Operator: w.authority.Operator, System: w.authority.System, Account: w.authority.Account}).Config(); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("a name that is config: %v", err)
	}
}

func TestTheAuthorityWorksWithoutTheOperatorsKey(t *testing.T) {
	w := newWorld(t)
	bare, seed := w.authority.Offline()
	if seed == "" || bare.OperatorSeed != "" {
		t.Fatal("the key is still in it")
	}
	path := t.TempDir() + "/authority.json"
	if err := link.WriteAuthority(path, &bare); err != nil {
		t.Fatal(err)
	}
	w.authority = must[*link.Authority](t)(link.ReadAuthority(path))
	b := w.enrol("daba-1", []playlist.Area{village})
	must[*nats.Conn](t)(w.login(b, b.key)).Close()
	if err := w.authority.Revoke(time.Now(), b.key.BrokerUser()); err != nil {
		t.Fatal(err)
	}
	if err := link.PushAccount(w.user(link.UserSystem), w.authority, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := w.login(b, b.key); err == nil {
		t.Error("a revocation without the operator's key did nothing")
	}
}

// Once a key has lost its role, every controller refuses what it signed, so the edge
// does not send it.
func TestADocumentSignedByAKeyThatLostItsRoleIsNotSent(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 7))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.AreaScope(town), 3))
	w.ledger.issue(t, w.countyKeys.sealTrust(t, w.countyKeys.replaced(link.NewKey(), link.RolePlaylist), w.countyKeys.roots[0], w.countyKeys.roots[1]))
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	m := must[*nats.Msg](t)(nc.Request(link.SyncSubject(b.id), link.Pack([]byte(`{"controller":"daba-1","nonce":"n"}`)), patience))
	a := must[link.SyncAnswer](t)(link.ParseAnswer(m.Data))
	var sent []string
	for _, raw := range a.Envelopes {
		sent = append(sent, must[link.Envelope](t)(link.ParseEnvelope(raw)).PayloadType)
	}
	if want := []string{link.TypeTrust, link.TypeMember, link.TypeAlerts}; !slices.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}
