package link_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Bytes from outside, signed or not: no target may panic, accept what was not signed,
// or return more than the limits allow. Some targets sign the payload, to reach the
// reader behind the verification.

func FuzzAccept(f *testing.F) {
	o := newCountyKeys()
	clip, _ := sound(100, 1)
	f.Add(o.manifest(f, "group:g", 1, clip))
	f.Add(o.alerts(f, "group:g", 1, flood("a")))
	f.Add(o.sealTrust(f, o.trust, o.roots[0], o.roots[1]))
	f.Add([]byte(`{"payloadType":"x","payload":"AA==","signatures":[{"keyid":"k","sig":"AA=="}]}`))
	stranger := newCountyKeys()
	f.Fuzz(func(t *testing.T, raw []byte) {
		who := playlist.Follower{ID: "daba-1", Groups: []string{"g"}}
		none := func(link.Kind, playlist.Scope) (link.Have, bool) { return link.Have{}, false }
		if d, err := link.Accept(raw, stranger.trust, who, none); err == nil {
			t.Fatalf("%s was accepted unsigned", d.Kind)
		}
		if e, err := link.ParseEnvelope(raw); err == nil {
			again, err := link.ParseEnvelope(e.Bytes())
			if err != nil || again.Digest() != e.Digest() {
				t.Fatalf("it does not outlive a journey: %v", err)
			}
		}
	})
}

func FuzzSignedDocument(f *testing.F) {
	o := newCountyKeys()
	clip, _ := sound(100, 1)
	for _, raw := range [][]byte{
		o.manifest(f, "group:g", 1, clip), o.alerts(f, "group:g", 1, flood("a")), o.sealTrust(f, o.trust, o.roots[0], o.roots[1]),
		must[link.Envelope](f)(link.SealMember(link.Member{Controller: "d", Version: 1, Areas: []playlist.Area{village}}, o.fleet)).Bytes(),
	} {
		e := must[link.Envelope](f)(link.ParseEnvelope(raw))
		f.Add(e.PayloadType, must[[]byte](f)(link.Unpack(e.Payload, link.MaxPayload)))
	}
	f.Fuzz(func(t *testing.T, typ string, doc []byte) {
		e := link.Envelope{PayloadType: typ, Payload: link.Pack(doc)}
		for _, k := range []*link.Key{o.roots[0], o.roots[1], o.playlist, o.alert, o.fleet} {
			if err := e.Sign(k); err != nil {
				t.Fatal(err)
			}
		}
		d, err := link.Open(e.Bytes(), o.trust)
		if err != nil {
			return
		}
		if d.Kind.Type() != typ || d.Version < 1 {
			t.Fatalf("%+v of %s", d.Have, typ)
		}
		if d.Manifest != nil && d.Manifest.Check() != nil || d.Alerts != nil && d.Alerts.Check() != nil {
			t.Fatal("it makes no sense and was accepted")
		}
	})
}

func FuzzReceipts(f *testing.F) {
	key := link.NewKey()
	b := link.Batch{Controller: "daba-1", Epoch: "e", Nonce: "n", Receipts: []link.Receipt{{Receipt: asrun.Receipt{Row: asrun.Row{Seq: 4, Clip: "c"}}}}}
	f.Add(must[[]byte](f)(json.Marshal(b)), int64(3))
	b.Gone, b.Receipts[0].Corrects = 3, &link.Mark{Epoch: "e", Seq: 1}
	f.Add(must[[]byte](f)(json.Marshal(b)), int64(0))
	f.Fuzz(func(t *testing.T, doc []byte, mark int64) {
		if mark < 0 || mark > 1<<40 {
			return
		}
		e := link.Envelope{PayloadType: link.TypeReceipts, Payload: link.Pack(doc)}
		if err := e.Sign(key); err != nil {
			t.Fatal(err)
		}
		b, err := link.OpenBatch(e, key.Public())
		if err != nil {
			return
		}
		rest, next, lost, err := b.After(mark)
		if next < mark || lost < 0 || err == nil && int64(len(rest))+lost != next-mark {
			t.Fatalf("mark %d, then %d with %d receipts, %d lost", mark, next, len(rest), lost)
		}
		if _, err := link.OpenBatch(e, link.NewKey().Public()); err == nil {
			t.Fatal("accepted with another key")
		}
	})
}

func FuzzSync(f *testing.F) {
	f.Add([]byte(`{"controller":"daba-1","nonce":"n","have":[{"kind":"manifest","scope":"group:g","version":1,"digest":"d"}],` +
		`"marks":[{"epoch":"e","seq":3}],"health":{"outputs":[{"name":"村口"}]},"events":[{"id":1,"message":"m","attrs":{"a":1}}],"proof":[{}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, _ = link.ParseSync(doc) // rarely valid gzip
		q, err := link.ParseSync(link.Pack(doc))
		if err == nil && (!playlist.IsToken(string(q.Controller)) || len(q.Events) > link.MaxEvents) {
			t.Fatalf("%q with %d events was accepted", q.Controller, len(q.Events))
		}
	})
}

func FuzzAnswer(f *testing.F) {
	o := newCountyKeys()
	f.Add([]byte(`{"stamp":{},"envelopes":[{}],"more":true,"want":[{"kind":"trust","version":1}]}`), []byte(`{"controller":"d","nonce":"n","marks":[{"epoch":"e","seq":1}]}`))
	f.Fuzz(func(t *testing.T, answer, stamp []byte) {
		_, _ = link.ParseAnswer(answer)
		_, _ = link.ParseAnswer(link.Pack(answer))
		if _, err := link.OpenStamp(answer, o.trust, "d", "n"); err == nil {
			t.Fatal("an unsigned stamp was accepted")
		}
		e := link.Envelope{PayloadType: link.TypeStamp, Payload: link.Pack(stamp)}
		if err := e.Sign(o.edge); err != nil {
			t.Fatal(err)
		}
		if s, err := link.OpenStamp(e.Bytes(), o.trust, "d", "n"); err == nil && (s.Controller != "d" || s.Nonce != "n") {
			t.Fatal("another's stamp was accepted")
		}
	})
}

func FuzzEnrolment(f *testing.F) {
	text, code := link.NewCode(time.Now())
	f.Add([]byte(`{"code":"`+code.ID+`"}`), text)
	f.Add([]byte(`{"code":"`+code.ID+`","nonce":"AA==","request":"e30=","sig":"AA==","proof":"AA=="}`), "ABCD-EFGH")
	f.Fuzz(func(t *testing.T, body []byte, typed string) {
		d := &enrolmentStore{codes: map[string]link.Code{code.ID: code}, by: map[string]link.EnrolRequest{}}
		d.decision = func(link.EnrolRequest) link.Decision {
			t.Fatal("let in without a proof")
			return link.Decision{}
		}
		h := &link.EnrolHandler{Store: d, Log: quiet()}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/enrol", bytes.NewReader(body)))
		if w.Code == http.StatusServiceUnavailable {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if c, err := link.ParseCode(typed); err == nil && len(c.Secret) != 32 {
			t.Fatal("half a code")
		}
		if k, err := link.ParsePublicKey(typed); err == nil && k.String() != typed {
			t.Fatalf("%q reads as %q", typed, k)
		}
	})
}
