package link_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

var refusals = []error{
	link.ErrOversized, link.ErrTruncated, link.ErrMalformed, link.ErrSignature, link.ErrWrongRole, link.ErrWrongType,
	link.ErrWrongScope, link.ErrReplayed, link.ErrRolledBack, link.ErrForked, link.ErrNoTrust, playlist.ErrInvalid,
}

func TestAcceptAcceptsNewDocumentsAndRefusesEachFaultWithItsError(t *testing.T) {
	o := newCountyKeys()
	scope := playlist.AreaScope(town)
	good := o.manifest(t, scope, 8)
	held := must[link.Document](t)(link.Open(o.manifest(t, scope, 7), o.trust))
	who := playlist.Follower{ID: "daba-1", Areas: []playlist.Area{village}, Groups: []string{"hongqi"}}
	changed := func(f func(*link.Envelope)) []byte {
		e := must[link.Envelope](t)(link.ParseEnvelope(good))
		f(&e)
		return e.Bytes()
	}
	signed := func(typ string, doc any, by link.Signer) []byte {
		return must[link.Envelope](t)(link.Seal(typ, doc, by)).Bytes()
	}
	bomb := link.Envelope{PayloadType: link.TypeManifest, Payload: link.Pack(bytes.Repeat([]byte(" "), link.MaxPayload+1))}
	if err := bomb.Sign(o.playlist); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"a higher version of an ancestor's", good, nil},
		{"alerts of its group", o.alerts(t, "group:hongqi", 1, flood("a")), nil},
		{"alerts with a field of a later county", signed(link.TypeAlerts, map[string]any{
			"scope": scope, "version": 1, "issued": time.Now(), "alerts": []any{}, "siren": true}, o.alert), nil},
		{"the document that is held", held.Raw, link.ErrReplayed},
		{"another document under the same version", o.manifest(t, scope, 7), link.ErrForked},
		{"an older version", o.manifest(t, scope, 6), link.ErrRolledBack},
		{"another town's", o.manifest(t, playlist.AreaScope(otherTown), 8), link.ErrWrongScope},
		{"another group's", o.alerts(t, "group:other", 1), link.ErrWrongScope},
		{"another controller's", o.manifest(t, "controller:daba-2", 8), link.ErrWrongScope},
		{"another controller's member document", must[link.Envelope](t)(link.SealMember(
			link.Member{Controller: "daba-2", Version: 1}, o.fleet)).Bytes(), link.ErrWrongScope},
		{"a manifest signed by the alert role", signed(link.TypeManifest, playlist.Manifest{Scope: scope, Version: 8}, o.alert), link.ErrWrongRole},
		{"alerts signed by the playlist role", signed(link.TypeAlerts, link.AlertsState{Scope: scope, Version: 8}, o.playlist), link.ErrWrongRole},
		{"a manifest signed by a root key", signed(link.TypeManifest, playlist.Manifest{Scope: scope, Version: 8}, o.roots[0]), link.ErrWrongRole},
		{"signed by a stranger", signed(link.TypeManifest, playlist.Manifest{Scope: scope, Version: 8}, link.NewKey()), link.ErrSignature},
		{"a stranger under a known key's ID", changed(func(e *link.Envelope) {
			e.Signatures[0].Sig = must[[]byte](t)(link.NewKey().Sign([]byte("x")))
		}), link.ErrSignature},
		{"a changed payload", changed(func(e *link.Envelope) { e.Payload[len(e.Payload)/2] ^= 1 }), link.ErrSignature},
		{"alerts passed off as a manifest", changed(func(e *link.Envelope) { e.PayloadType = link.TypeAlerts }), link.ErrSignature},
		{"a stamp", signed(link.TypeStamp, link.Stamp{}, o.edge), link.ErrWrongType},
		{"one trust document signed by one root key", o.sealTrust(t, o.trust, o.roots[0]), link.ErrSignature},
		{"one root key twice", func() []byte {
			e := must[link.Envelope](t)(link.SealTrust(o.trust, o.roots[0]))
			e.Signatures = append(e.Signatures, e.Signatures[0])
			return e.Bytes()
		}(), link.ErrSignature},
		{"cut short", good[:len(good)-20], link.ErrTruncated},
		{"nothing", nil, link.ErrTruncated},
		{"no JSON", []byte("<xml/>"), link.ErrMalformed},
		{"bytes after the envelope", append(bytes.Clone(good), '{', '}'), link.ErrMalformed},
		{"an unknown field in the envelope", bytes.Replace(good, []byte(`{"payloadType"`), []byte(`{"x":1,"payloadType"`), 1), link.ErrMalformed},
		{"no signatures", changed(func(e *link.Envelope) { e.Signatures = []link.Signature{} }), link.ErrMalformed},
		{"an unknown field in the manifest", signed(link.TypeManifest, map[string]any{"scope": scope, "version": 8, "x": 1}, o.playlist), link.ErrMalformed},
		{"a payload that is not packed", func() []byte {
			e := link.Envelope{PayloadType: link.TypeManifest, Payload: []byte("{}")}
			_ = e.Sign(o.playlist)
			return e.Bytes()
		}(), link.ErrTruncated},
		{"a payload that unpacks to too much", bomb.Bytes(), link.ErrOversized},
		{"too large", append(bytes.Clone(good), bytes.Repeat([]byte(" "), link.MaxEnvelope)...), link.ErrOversized},
		{"a manifest that makes no sense", signed(link.TypeManifest, playlist.Manifest{Scope: scope, Version: 0}, o.playlist), playlist.ErrInvalid},
		{"alerts that make no sense", signed(link.TypeAlerts, link.AlertsState{Scope: scope, Version: 9, Alerts: []link.AlertInForce{{}}}, o.alert), playlist.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := link.Accept(c.raw, o.trust, who, func(k link.Kind, s playlist.Scope) (link.Have, bool) {
				return held.Have, k == link.KindManifest && s == scope
			})
			for _, r := range refusals {
				if is := errors.Is(err, r); is != (r == c.want) {
					t.Errorf("%v: is it %q? %v", err, r, is)
				}
			}
			if c.want == nil && (err != nil || d.Version == 0 || d.Digest == "") {
				t.Errorf("refused: %v, %+v", err, d.Have)
			}
			if err != nil && c.want != playlist.ErrInvalid && say.In(say.Chinese, err) == say.In(say.English, err) {
				t.Errorf("it speaks one language only: %v", err)
			}
		})
	}
	if _, err := link.Accept(good, link.Trust{}, who, nil); !errors.Is(err, link.ErrNoTrust) {
		t.Errorf("without trust: %v", err)
	}
}

func TestATrustDocumentNeedsTheOldRootAndTheNew(t *testing.T) {
	o, n := newCountyKeys(), newCountyKeys()
	next := func(version int64) link.Trust { // other root keys, all else stays
		tr := link.Trust{Version: version, Issued: time.Now().UTC()}
		tr.Grant(link.RoleRoot, 2, n.roots[0].Public(), n.roots[1].Public(), n.roots[2].Public())
		tr.Grant(link.RolePlaylist, 1, o.playlist.Public())
		return tr
	}
	held := o.trust
	held.Version = 4
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"two of each", o.sealTrust(t, next(5), o.roots[0], o.roots[2], n.roots[1], n.roots[2]), nil},
		{"only the old", o.sealTrust(t, next(5), o.roots[0], o.roots[1], o.roots[2]), link.ErrSignature},
		{"only the new", o.sealTrust(t, next(5), n.roots[0], n.roots[1], n.roots[2]), link.ErrSignature},
		{"one of each", o.sealTrust(t, next(5), o.roots[0], n.roots[0]), link.ErrSignature},
		{"two of each, and older", o.sealTrust(t, next(3), o.roots[0], o.roots[1], n.roots[0], n.roots[1]), link.ErrRolledBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := link.AcceptTrust(c.raw, &held); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	// Signed by one person after another, each on their own machine.
	e := must[link.Envelope](t)(link.SealTrust(next(6), o.roots[0]))
	for _, k := range []*link.Key{o.roots[1], n.roots[0], n.roots[2], n.roots[2]} {
		e = must[link.Envelope](t)(link.ParseEnvelope(e.Bytes()))
		if err := e.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := link.AcceptTrust(e.Bytes(), &held); err != nil || len(e.Signatures) != 4 {
		t.Errorf("%d signatures, %v", len(e.Signatures), err)
	}
	if o.trust.Fingerprint() == next(1).Fingerprint() || len(o.trust.Fingerprint()) != 39 {
		t.Errorf("fingerprint %q", o.trust.Fingerprint())
	}
}

func TestATrustDocumentThatMakesNoSenseIsNotSigned(t *testing.T) {
	for name, spoil := range map[string]func(*link.Trust){
		"no root":                   func(tr *link.Trust) { delete(tr.Roles, link.RoleRoot) },
		"more signatures than keys": func(tr *link.Trust) { tr.Grant(link.RoleAlert, 2) },
		"no signature needed":       func(tr *link.Trust) { tr.Grant(link.RoleAlert, 0) },
		"version zero":              func(tr *link.Trust) { tr.Version = 0 },
		"one key counted as two": func(tr *link.Trust) {
			h := tr.Roles[link.RoleAlert]
			h.Keys = append(h.Keys, h.Keys[0])
			h.Threshold = 2
			tr.Roles[link.RoleAlert] = h
		},
		"a key under another's name": func(tr *link.Trust) { tr.Keys[tr.Roles[link.RoleAlert].Keys[0]] = link.NewKey().Public() },
		"a role of a key not listed": func(tr *link.Trust) { delete(tr.Keys, tr.Roles[link.RoleAlert].Keys[0]) },
	} {
		o := newCountyKeys()
		spoil(&o.trust)
		if _, err := link.SealTrust(o.trust, o.roots[0], o.roots[1]); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A thief of a key may have signed a document with a huge version. Once the key has
// lost its role, both the document and its version must be deleted.
func TestDocumentsOfAKeyThatLostItsRoleAreDeletedWithTheirVersions(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	scope := playlist.AreaScope(town)
	for _, raw := range [][]byte{w.countyKeys.manifest(t, scope, 1<<53), w.countyKeys.alerts(t, scope, 3)} {
		if _, err := b.c.Take(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	fresh := link.NewKey()
	next := w.countyKeys.replaced(fresh, link.RolePlaylist, link.RoleFleet)
	if _, err := b.c.Take(t.Context(), w.countyKeys.sealTrust(t, next, w.countyKeys.roots[1], w.countyKeys.roots[2])); err != nil {
		t.Fatal(err)
	}
	if len(b.memory.voided) != 1 || b.memory.voided[0].Kind != link.KindManifest || b.memory.version(link.KindAlerts, scope) != 3 {
		t.Errorf("voided %+v", b.memory.voided)
	}
	if _, err := b.c.Take(t.Context(), w.countyKeys.manifest(t, scope, 1<<53)); !errors.Is(err, link.ErrSignature) {
		t.Errorf("the lost key still signs: %v", err)
	}
	w.countyKeys.playlist = fresh
	if _, err := b.c.Take(t.Context(), w.countyKeys.manifest(t, scope, 2)); err != nil {
		t.Errorf("version 2 after the reset: %v", err)
	}
	// The login is still there, and any version of the new key replaces it; after a restart too.
	c := w.restart(b)
	if m, err := c.Member(t.Context()); err != nil || m.Controller != b.id {
		t.Errorf("member %+v, %v", m, err)
	}
	if _, err := c.Take(t.Context(), must[link.Envelope](t)(link.SealMember(b.member, fresh)).Bytes()); err != nil {
		t.Errorf("the same member version from the new key: %v", err)
	}
}

// A kept document was verified before it was kept; its signer may have lost the role
// since.
func TestAKeptDocumentIsReadThoughItsSignerLostTheRole(t *testing.T) {
	o := newCountyKeys()
	kept := func(raw []byte) link.Stored {
		d := must[link.Document](t)(link.Open(raw, o.trust))
		return link.Stored{Have: d.Have, Raw: raw}
	}
	clip, _ := sound(100, 1)
	manifest := kept(o.manifest(t, playlist.AreaScope(town), 3, clip))
	for _, s := range []link.Stored{
		manifest, kept(o.alerts(t, playlist.AreaScope(town), 2, flood("f"))),
		kept(must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 4}, o.fleet)).Bytes()),
		kept(o.sealTrust(t, o.trust, o.roots[0], o.roots[1])),
	} {
		want := must[link.Document](t)(link.Open(s.Raw, o.trust))
		if d, err := link.OpenKept(s); err != nil || !reflect.DeepEqual(d, want) {
			t.Errorf("%s: %+v, %v", s.Kind, d.Have, err)
		}
	}
	for name, spoil := range map[string]func(*link.Stored){
		"another scope":    func(s *link.Stored) { s.Scope = playlist.AreaScope(county) },
		"another version":  func(s *link.Stored) { s.Version++ },
		"another kind":     func(s *link.Stored) { s.Kind = link.KindAlerts },
		"other bytes":      func(s *link.Stored) { s.Raw = o.manifest(t, s.Scope, s.Version) },
		"cut":              func(s *link.Stored) { s.Raw = s.Raw[:len(s.Raw)/2] },
		"what is no state": func(s *link.Stored) { s.Raw = must[link.Envelope](t)(link.Seal("x", 1, o.edge)).Bytes() },
	} {
		s := manifest
		spoil(&s)
		if d, err := link.OpenKept(s); err == nil {
			t.Errorf("%s: %+v", name, d.Have)
		}
	}
}

func TestAlertsThatMayNotBeSigned(t *testing.T) {
	o := newCountyKeys()
	clip, data := sound(link.MaxInline+1, 1)
	small, few := sound(100, 2)
	with := func(c *playlist.Clip, b []byte) link.AlertInForce {
		a := flood("a")
		a.Clip, a.Inline = c, b
		return a
	}
	for name, some := range map[string][]link.AlertInForce{
		"the same alert twice":    {flood("a"), flood("a")},
		"too large a clip inside": {with(&clip, data)},
		"the bytes of another":    {with(&small, append([]byte{1}, few[1:]...))},
		"bytes of no clip":        {with(nil, few)},
		"too many":                make([]link.AlertInForce, link.MaxAlerts+1),
	} {
		if _, err := link.SealAlerts(link.AlertsState{Scope: "group:g", Version: 1, Alerts: some}, o.alert); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := link.SealAlerts(link.AlertsState{Scope: "group:g", Version: 1, Alerts: []link.AlertInForce{with(&small, few)}}, o.alert); err != nil {
		t.Error(err)
	}
}

func TestAFullManifestFitsTheWire(t *testing.T) {
	o := newCountyKeys()
	m := playlist.Manifest{Scope: "group:g", Version: 1, Issued: time.Now()}
	list := playlist.Playlist{Name: "全部", Order: playlist.Sequence}
	for i := range playlist.MaxManifestClips {
		c, _ := sound(64+i, byte(i>>8))
		c.Series, c.Issue = "健康微课堂", i
		m.Clips, list.Clips = append(m.Clips, c), append(list.Clips, c.ID)
	}
	m.Playlists = []playlist.Playlist{list}
	e := must[link.Envelope](t)(link.SealManifest(m, o.playlist))
	t.Logf("%d clips are %d KiB", len(m.Clips), len(e.Bytes())>>10)
	if d, err := link.Open(e.Bytes(), o.trust); err != nil || len(d.Clips()) != len(m.Clips) {
		t.Error(err)
	}
}

func TestBatchAfter(t *testing.T) {
	rows := func(from, to int64) (some []link.Receipt) {
		for n := from; n <= to; n++ {
			some = append(some, link.Receipt{Receipt: asrun.Receipt{Row: asrun.Row{Seq: n}}})
		}
		return some
	}
	for _, c := range []struct {
		name             string
		from, to, gone   int64
		mark             int64
		first, next, lst int64
		err              error
	}{
		{"new receipts only", 11, 20, 0, 10, 11, 20, 0, nil},
		{"repeated receipts only", 11, 20, 0, 20, 0, 20, 0, nil},
		{"an old batch that arrives late", 1, 5, 0, 20, 0, 20, 0, nil},
		{"half of them repeated", 11, 20, 0, 15, 16, 20, 0, nil},
		{"a gap that can be filled", 12, 20, 0, 10, 0, 10, 0, link.ErrGap},
		{"a gap that can never be filled", 12, 20, 11, 10, 12, 20, 1, nil},
		{"some before it are gone, others are still to come", 14, 20, 11, 10, 0, 10, 0, link.ErrGap},
		{"some before it are gone, but were stored earlier", 12, 20, 11, 15, 16, 20, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := link.Batch{Controller: "d", Epoch: "e", Gone: c.gone, Receipts: rows(c.from, c.to)}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			rest, next, lost, err := b.After(c.mark)
			first := int64(0)
			if len(rest) > 0 {
				first = rest[0].Row.Seq
				if last := rest[len(rest)-1].Row.Seq; last != next || int64(len(rest)) != last-first+1 {
					t.Errorf("%d receipts to %d", len(rest), last)
				}
			}
			if first != c.first || next != c.next || lost != c.lst || !errors.Is(err, c.err) {
				t.Errorf("from %d, mark %d, lost %d, %v", first, next, lost, err)
			}
		})
	}
	for name, b := range map[string]link.Batch{
		"nothing in it":     {Controller: "d", Epoch: "e"},
		"too many":          {Controller: "d", Epoch: "e", Receipts: rows(1, 201)},
		"numbers left out":  {Controller: "d", Epoch: "e", Receipts: append(rows(1, 2), rows(4, 4)...)},
		"from zero":         {Controller: "d", Epoch: "e", Receipts: rows(0, 2)},
		"no epoch":          {Controller: "d", Receipts: rows(1, 2)},
		"gone and yet here": {Controller: "d", Epoch: "e", Gone: 5, Receipts: rows(5, 6)},
	} {
		if err := b.Check(); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAReceiptThatCannotBeReadIsNamedAndTheOthersAreRead(t *testing.T) {
	key := link.NewKey()
	open := func(receipts string) (link.Batch, error) {
		e := link.Envelope{PayloadType: link.TypeReceipts, Payload: link.Pack([]byte(`{"controller":"d","nonce":"n","epoch":"e","receipts":[` + receipts + `]}`))}
		if err := e.Sign(key); err != nil {
			t.Fatal(err)
		}
		return link.OpenBatch(e, key.Public())
	}
	const good = `"airing":"a","output":"o"`
	for _, c := range []struct {
		name, second string
		wrong        bool
	}{
		{"a valid receipt", `{"row":{"seq":2,` + good + `}}`, false},
		{"a field of a later program", `{"row":{"seq":2,"mood":"glad",` + good + `}}`, false},
		{"a number where a text belongs", `{"row":{"seq":2,"airing":7,"output":"o"}}`, true},
		{"a time that is none", `{"row":{"due":"yesterday","seq":2,` + good + `}}`, true},
		{"no airing", `{"row":{"seq":2,"output":"o"}}`, true},
		{"its number alone", `{"row":{"seq":2}}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := open(`{"row":{"seq":1,` + good + `}},` + c.second + `,{"row":{"seq":3,` + good + `}}`)
			if err != nil || len(b.Receipts) != 3 {
				t.Fatalf("%d receipts, %v", len(b.Receipts), err)
			}
			for i, r := range b.Receipts {
				if (r.Wrong != nil) != (c.wrong && i == 1) || r.Row.Seq != int64(i+1) {
					t.Errorf("receipt %d: %d, %v", i+1, r.Row.Seq, r.Wrong)
				}
			}
		})
	}
	for _, without := range []string{`7`, `{"row":{"seq":"2"}}`, `{"row":{"seq":9}}`} {
		if _, err := open(`{"row":{"seq":1,` + good + `}},` + without); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%s in the place of number 2: %v", without, err)
		}
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct {
		scope playlist.Scope
		want  string
	}{
		{"area:320924100201", "st.a.32.09.24.100.201._.alerts"},
		{"area:320924000000", "st.a.32.09.24._.alerts"},
		{"area:320000000000", "st.a.32._.alerts"},
		{"group:Hong-Qi", "st.g.Hong-Qi.alerts"},
		{"controller:daba_1", "st.d.daba_1.alerts"},
	} {
		if got := link.StateSubject(c.scope, link.KindAlerts); got != c.want {
			t.Errorf("%s: %s", c.scope, got)
		}
	}
	f := playlist.Follower{ID: "daba-1", Areas: []playlist.Area{village, town}, Groups: []string{"g"}}
	all := link.FollowedScopes(f)
	if len(all) != 7 {
		t.Errorf("follows %v", all)
	}
	for _, s := range all {
		if !f.Follows(s) {
			t.Errorf("hears %s and does not follow it", s)
		}
	}
}

func TestKeyFilesAreRefusedIfOthersCanReadThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "controller.key")
	k := link.NewKey()
	if err := link.WriteKey(path, k); err != nil {
		t.Fatal(err)
	}
	if err := link.WriteKey(path, link.NewKey()); !errors.Is(err, os.ErrExist) {
		t.Errorf("a key was overwritten: %v", err)
	}
	fi := must[os.FileInfo](t)(os.Stat(path))
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	again := must[*link.Key](t)(link.ReadKey(path))
	if !again.Public().Equal(k.Public()) || again.BrokerUser() != k.BrokerUser() {
		t.Error("another key was read")
	}
	sig := must[[]byte](t)(again.Sign([]byte("x")))
	if !k.Public().Verify([]byte("x"), sig) || k.Public().Verify([]byte("y"), sig) || link.NewKey().Public().Verify([]byte("x"), sig) {
		t.Error("signatures prove nothing")
	}
	if text := must[[]byte](t)(json.Marshal(k.Public())); !strings.HasPrefix(string(text), `"ed25519:`) {
		t.Errorf("public key %s", text)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := link.ReadKey(path); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("a key that others may read: %v", err)
	}
}

func TestAStampIsValidForOneRequestOfOneController(t *testing.T) {
	o := newCountyKeys()
	stamp := func(by *link.Key, s link.Stamp) []byte {
		return must[link.Envelope](t)(link.Seal(link.TypeStamp, s, by)).Bytes()
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"for this request", stamp(o.edge, link.Stamp{Controller: "daba-1", Nonce: "n1"}), nil},
		{"for an earlier request", stamp(o.edge, link.Stamp{Controller: "daba-1", Nonce: "n0"}), link.ErrImposter},
		{"from a carrier", stamp(o.edge, link.Stamp{Controller: "daba-1"}), link.ErrImposter},
		{"for another controller", stamp(o.edge, link.Stamp{Controller: "daba-2", Nonce: "n1"}), link.ErrImposter},
		{"signed by another role", stamp(o.fleet, link.Stamp{Controller: "daba-1", Nonce: "n1"}), link.ErrWrongRole},
		{"signed by a stranger", stamp(link.NewKey(), link.Stamp{Controller: "daba-1", Nonce: "n1"}), link.ErrSignature},
		{"a document that is no stamp", o.manifest(t, "group:g", 1), link.ErrWrongType},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := link.OpenStamp(c.raw, o.trust, "daba-1", "n1"); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestAKeyListedTwiceCountsOnce(t *testing.T) {
	o := newCountyKeys()
	id := o.alert.Public().ID()
	o.trust.Roles[link.RoleAlert] = link.RoleHolders{Keys: []link.KeyID{id, id}, Threshold: 2}
	e := must[link.Envelope](t)(link.Seal(link.TypeAlerts, link.AlertsState{}, o.alert))
	if err := o.trust.Verify(e, link.RoleAlert); !errors.Is(err, link.ErrSignature) {
		t.Error(err)
	}
}
