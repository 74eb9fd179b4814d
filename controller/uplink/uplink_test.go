package uplink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// After a county has replaced its fleet key it may take a while until each
// controller has a member document of the new one.
func TestTheCountysSlotsStayThoughItsFleetKeyIsReplaced(t *testing.T) {
	store := must[*data.Store](t)(data.Open(t.Context(), t.TempDir(), data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	const village = playlist.Area("320924100201")
	root := link.NewKey()
	trust := func(version int64, fleet *link.Key) link.Document {
		d := link.Trust{Version: version}
		d.Grant(link.RoleRoot, 1, root.Public())
		d.Grant(link.RoleFleet, 1, fleet.Public())
		raw := must[link.Envelope](t)(link.SealTrust(d, root)).Bytes()
		return must[link.Document](t)(link.Open(raw, d))
	}
	fleet := link.NewKey()
	first := trust(1, fleet)
	raw := must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: []playlist.Area{village}}, fleet)).Bytes()
	for _, d := range []link.Document{first, must[link.Document](t)(link.Open(raw, *first.Trust)), trust(2, link.NewKey())} {
		if err := (Wire{Store: store}).Keep(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	scope := playlist.AreaScope(village)
	m := playlist.Manifest{Scope: scope, Version: 1, Slots: []playlist.Slot{{Name: "早间", Playlist: "健康", Cron: must[playlist.Cron](t)(playlist.ParseCron("30 7 * * *"))}}}
	if err := store.PutManifest(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{}
	cfg.Site.Area, cfg.Outputs = village, []playlist.Output{{Name: "村口"}}
	if got, err := WithCounty(t.Context(), store, cfg); err != nil || len(got.Slots) != 1 {
		t.Errorf("%d slots, %v", len(got.Slots), err)
	}
}

// clipServer serves a clip by a certificate that vouches for itself, made an
// hour ago.
func clipServer(t *testing.T) (url, ca string) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "county"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, c, key.Public(), key))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "clip") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestClipsAreFetchedAsTheMemberDocumentHasIt(t *testing.T) {
	dir := t.TempDir()
	store := must[*data.Store](t)(data.Open(t.Context(), dir, data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	if err := link.WriteKey(keyFile(dir), link.NewKey()); err != nil {
		t.Fatal(err)
	}
	first, firstCA := clipServer(t)
	second, secondCA := clipServer(t)
	root, fleet := link.NewKey(), link.NewKey()
	trust := link.Trust{Version: 1}
	trust.Grant(link.RoleRoot, 1, root.Public())
	trust.Grant(link.RoleFleet, 1, fleet.Public())
	member := func(version int64, url, ca string) []byte {
		m := link.Member{Controller: "daba-1", Version: version, Clips: []string{url}, CA: ca}
		return must[link.Envelope](t)(link.SealMember(m, fleet)).Bytes()
	}
	for _, raw := range [][]byte{must[link.Envelope](t)(link.SealTrust(trust, root)).Bytes(), member(1, first, firstCA)} {
		if err := (Wire{Store: store}).Keep(t.Context(), must[link.Document](t)(link.Open(raw, trust))); err != nil {
			t.Fatal(err)
		}
	}
	wall, trusted := time.Unix(300, 0), &told{state: playlist.ClockUntrusted} // where a box without a battery begins
	u := New(Options{
		Store: store, Dir: dir, Log: slog.New(slog.DiscardHandler), Clock: trusted, Now: func() time.Time { return wall },
		Config: func() *config.Config { return &config.Config{} },
	})
	ctl := must[*link.Controller](t)(u.connect(t.Context()))
	get := func(url string) error {
		t.Helper()
		resp, err := u.clips.Client.Get(url)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := get(first); err != nil {
		t.Errorf("with no time: %v", err)
	}
	if err := get(second); err == nil {
		t.Error("another CA was believed")
	}
	wall, trusted.state = time.Now(), playlist.ClockTrusted
	if _, err := ctl.Take(t.Context(), member(2, second, secondCA)); err != nil {
		t.Fatal(err)
	}
	if err := get(second); err != nil {
		t.Errorf("by the new member document: %v", err)
	}
	if err := get(first); err == nil {
		t.Error("the CA of the member document before is still believed")
	}
	wall = time.Unix(300, 0)
	u.clips.Client.Transport.(*clipTransport).client.CloseIdleConnections()
	if err := get(second); err == nil {
		t.Error("a certificate that is not valid yet was believed by a clock that is trusted")
	}
}

// told is a clock that is as it is told.
type told struct{ state playlist.ClockState }

func (c *told) Trust() playlist.ClockState    { return c.state }
func (*told) County(time.Time, time.Duration) {}

func TestReceiptsWaitOnlyForACountyThatThereIs(t *testing.T) {
	store, err := data.Open(t.Context(), t.TempDir(), data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	u := New(Options{Store: store, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if u.Waits(t.Context()) {
		t.Error("without an enrolment one is waited for")
	}
	if err := store.KeepDocument(t.Context(), data.Document{Kind: string(link.KindMember), Version: 1, Raw: []byte("{}")}, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !u.Waits(t.Context()) {
		t.Error("with one, none is")
	}
}

func TestAManifestsNewClipOfALessonTakesThePlaceOfTheOldOne(t *testing.T) {
	store := must[*data.Store](t)(data.Open(t.Context(), t.TempDir(), data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	clip := func(id playlist.ClipID, issue int) playlist.Clip {
		return playlist.Clip{ID: id, Series: "健康微课堂", Issue: issue}
	}
	i := &inspection{Uplink: &Uplink{store: Wire{Store: store}}}
	was := []playlist.Clip{clip("a1", 1), clip("a2", 2), clip("a3", 3), clip("a4", 4)}
	// Issue 2 was recorded anew, 3 has a second clip beside the first, 4 is gone.
	next := []playlist.Clip{clip("a1", 1), clip("b2", 2), clip("a3", 3), clip("b3", 3)}
	if err := i.replace(t.Context(), was, next); err != nil {
		t.Fatal(err)
	}
	if l, err := store.Lineage(t.Context()); err != nil || !maps.Equal(l, playlist.Lineage{"a2": "b2"}) {
		t.Errorf("%v, %v", l, err)
	}
	cfg := &config.Config{}
	others := playlist.Playlist{Name: "农技", Clips: []playlist.ClipID{"c1"}}
	cfg.Playlists = []playlist.Playlist{{Name: "健康", Clips: []playlist.ClipID{"a1", "b2", "a3"}}, others}
	got, err := WithCounty(t.Context(), store, cfg)
	if err != nil || cfg.Playlists[0].First != nil {
		t.Fatalf("%+v, %v", cfg.Playlists[0], err)
	}
	if _, c, _ := got.Playlists[0].Next(playlist.Cursor{Index: 1, Last: "a2"}); c.Last != "a3" {
		t.Errorf("after the old clip of issue 2 comes %+v", c)
	}
	if !got.Playlists[1].Equal(others) {
		t.Errorf("a playlist without that lesson changes: %+v", got.Playlists[1])
	}
	if want := (playlist.Lineage{"a2": "b2"}).First(); !maps.Equal(got.Lessons, want) {
		t.Errorf("lessons %v, want %v", got.Lessons, want)
	}
}

// noAlarm has no alerts.
type noAlarm struct{ Alarm }

func (noAlarm) Records(context.Context) ([]emergency.Record, error) { return nil, nil }

// A stolen key signed a manifest, and the county issues its own with the same version
// once the key is withdrawn.
func TestAManifestOfAWithdrawnKeyGivesWayToOneOfTheSameVersion(t *testing.T) {
	dir := t.TempDir()
	store := must[*data.Store](t)(data.Open(t.Context(), dir, data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	if err := link.WriteKey(keyFile(dir), link.NewKey()); err != nil {
		t.Fatal(err)
	}
	root, fleet, lost, fresh := link.NewKey(), link.NewKey(), link.NewKey(), link.NewKey()
	trust := func(version int64, key *link.Key) (tr link.Trust, raw []byte) {
		tr.Version = version
		tr.Grant(link.RoleRoot, 1, root.Public())
		tr.Grant(link.RoleFleet, 1, fleet.Public())
		tr.Grant(link.RolePlaylist, 1, key.Public())
		return tr, must[link.Envelope](t)(link.SealTrust(tr, root)).Bytes()
	}
	const village = playlist.Area("320924100201")
	scope := playlist.AreaScope(village)
	manifest := func(note string, by *link.Key) []byte {
		return must[link.Envelope](t)(link.SealManifest(playlist.Manifest{
			Scope: scope, Version: 8, Note: note, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Clips: []playlist.Clip{},
		}, by)).Bytes()
	}
	first, raw := trust(1, lost)
	member := must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: []playlist.Area{village}}, fleet)).Bytes()
	for _, raw := range [][]byte{raw, member} {
		if err := (Wire{Store: store}).Keep(t.Context(), must[link.Document](t)(link.Open(raw, first))); err != nil {
			t.Fatal(err)
		}
	}
	u := New(Options{
		Store: store, Dir: dir, Log: slog.New(slog.DiscardHandler), Clock: &told{state: playlist.ClockTrusted}, Now: time.Now, Alarm: noAlarm{},
		Config: func() *config.Config { return &config.Config{} },
	})
	ctl := must[*link.Controller](t)(u.connect(t.Context()))
	inForce := func(want string) {
		t.Helper()
		changed := must[bool](t)(u.inspect(t.Context(), false))
		got, ok := must[map[playlist.Scope]playlist.Manifest](t)(store.Manifests(t.Context()))[scope]
		if got.Note != want || ok != (want != "") || !changed {
			t.Errorf("in force %q, want %q; the daemon is told: %v", got.Note, want, changed)
		}
	}
	must[link.Document](t)(ctl.Take(t.Context(), manifest("the thief's", lost)))
	inForce("the thief's")
	_, raw = trust(2, fresh)
	must[link.Document](t)(ctl.Take(t.Context(), raw))
	thief := must[link.Document](t)(link.Open(manifest("the thief's", lost), first))
	if err := store.PutManifest(t.Context(), *thief.Manifest); err != nil { // by an inspection that had read it before
		t.Fatal(err)
	}
	must[link.Document](t)(ctl.Take(t.Context(), manifest("the county's", fresh)))
	inForce("the county's")
	_, raw = trust(3, link.NewKey())
	must[link.Document](t)(ctl.Take(t.Context(), raw))
	inForce("")
}
