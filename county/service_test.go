package county_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

func TestAControllerEnrolsAndIsSeen(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, []string{"schools"}, speaker("村口", village, 420), speaker("镇上", other, 50))
	eventually(t, "it is seen", func() bool {
		var fleet []county.Status
		w.call(t, "GET", "/api/fleet", nil, nil, &fleet)
		return len(fleet) == 1 && fleet[0].Online && len(fleet[0].Outputs) == 2
	})
	var fleet []county.Status
	w.call(t, "GET", "/api/fleet", nil, nil, &fleet)
	k := fleet[0]
	if k.Fingerprint != b.Key.Public().Fingerprint() || k.State != store.Active || k.Version != "test" || k.Name != "大坝村" || k.Residents() != 470 || len(k.Faults) != 0 {
		t.Errorf("%+v", k)
	}
	// An output elsewhere does not widen what the county gave it.
	if f := k.Follower(); f.Follows(playlist.AreaScope(other)) || !f.Follows(playlist.AreaScope(village)) || !f.Follows(playlist.GroupScope("schools")) {
		t.Errorf("it follows %+v", f)
	}

	b.mu.Lock()
	b.health.Outputs[0].State = "no sound card"
	b.health.Progress = []link.Progress{
		{Scope: playlist.AreaScope(village), Version: 1, Why: "not_before"}, {Scope: playlist.GroupScope("schools"), Version: 1, Why: "no room"},
	}
	b.mu.Unlock()
	eventually(t, "its faults are told", func() bool {
		w.call(t, "GET", "/api/fleet", url.Values{"faulty": {"1"}}, nil, &fleet)
		return len(fleet) == 1 && len(fleet[0].Faults) > 0
	})
	// A programme that waits for its day is none of them. That an output is elsewhere is told apart.
	if !slices.Equal(fleet[0].Astray, []playlist.Area{other}) {
		t.Errorf("astray %q", fleet[0].Astray)
	}
	if want := []string{"村口: no sound card", "group:schools: no room"}; !slices.Equal(fleet[0].Faults, want) {
		t.Errorf("faults %q, want %q", fleet[0].Faults, want)
	}
}

// What the table of routes says of access holds at the door to the network.
func TestAStrangerIsRefusedByEachRouteThatAsksForMore(t *testing.T) {
	st := must[*store.Store](t)(store.Open(t.Context(), store.Options{Dir: t.TempDir(), Zone: shanghai, Log: quiet()}))
	t.Cleanup(func() { _ = st.Close() })
	c := county.New(county.Options{Area: countyArea, Zone: shanghai, Store: st, Log: quiet(), Token: "secret"})
	public, operator := c.Public(), c.Operator()
	ask := func(h http.Handler, r county.Route, token string) int {
		q := httptest.NewRequest(r.Method, strings.ReplaceAll(r.Path, "{id}", "x"), strings.NewReader("{}"))
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		return w.Code
	}
	routes := county.Routes()
	if len(routes) < 30 {
		t.Fatalf("only %d routes", len(routes))
	}
	for _, r := range routes {
		name := r.Method + " " + r.Path
		if r.OnlyByOperator != (r.Path == "/api/import") { // which reads a folder of this machine
			t.Errorf("%s is for the operator alone: %v", name, r.OnlyByOperator)
		}
		switch stranger := ask(public, r, ""); {
		case r.OnlyByOperator:
			if holder := ask(public, r, "secret"); stranger != http.StatusNotFound || holder != http.StatusNotFound {
				t.Errorf("%s: %d and with the token %d from the network", name, stranger, holder)
			}
		case r.Anyone && r.Path != "/api/login":
			t.Errorf("%s is open to all", name)
		case stranger != http.StatusUnauthorized: // a login without a name is refused as well
			t.Errorf("%s: %d", name, stranger)
		case !r.Anyone && ask(public, r, "secret") == http.StatusUnauthorized:
			t.Errorf("%s refuses the token", name)
		}
		if got := ask(operator, r, ""); got == http.StatusUnauthorized && r.Path != "/api/login" {
			t.Errorf("%s refuses the operator", name)
		}
	}
}

func TestAReportForWhatIsNoAreaIsRefused(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	for area, want := range map[string]int{
		"": http.StatusOK, string(village): http.StatusOK,
		"3415231002010": http.StatusUnprocessableEntity, "341523": http.StatusUnprocessableEntity, "大坝村": http.StatusUnprocessableEntity,
	} {
		if s := w.call(t, "GET", "/api/reach", url.Values{"area": {area}}, nil, nil); s != want {
			t.Errorf("area %q: %d, want %d", area, s, want)
		}
	}
}

func TestWhoIsMovedRetiredOrRevoked(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	area := other
	if s := w.call(t, "POST", "/api/controllers/"+string(b.id)+"/move", nil, county.Moved{Area: &area, Anyway: true}, nil); s != http.StatusOK {
		t.Fatalf("not moved: %d", s)
	}
	eventually(t, "it hears that it was moved", func() bool {
		m, err := b.Member(t.Context())
		return err == nil && len(m.Areas) == 1 && m.Areas[0] == other
	})
	stranger := playlist.Area("341524100201")
	if s := w.call(t, "POST", "/api/controllers/"+string(b.id)+"/move", nil, county.Moved{Area: &stranger}, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("moved out of the county: %d", s)
	}

	w.call(t, "POST", "/api/controllers/"+string(b.id)+"/retire", nil, nil, nil)
	eventually(t, "it hears that it is retired", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.gone
	})

	c := w.enrol(t, village, nil, speaker("村东", village, 100))
	clip := w.clip(t, "clip1.mp3")
	get := func() int {
		r := must[*http.Request](t)(http.NewRequest("GET", w.http.URL+"/clips/"+string(clip.ID), nil))
		link.SignClip(c.id, c.Key)(r, clip.ID)
		resp := must[*http.Response](t)(w.http.Client().Do(r))
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if s := get(); s != http.StatusOK {
		t.Errorf("clip before: %d", s)
	}
	eventually(t, "it is seen", func() bool { return online(t, w, c.id) })
	w.call(t, "POST", "/api/controllers/"+string(c.id)+"/revoke", nil, nil, nil)
	if s := get(); s != http.StatusForbidden {
		t.Errorf("clip after it was revoked: %d", s)
	}
	eventually(t, "the broker has thrown it out", func() bool { return w.broker.NumClients() == 3 }) // ours
	if _, err := w.Edge().Registered(t.Context(), "nobody"); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("a stranger: %v", err)
	}
}

// A controller that was retired can come back with another key, as one whose
// card was swapped does, and is given a login of that key.
func TestARetiredControllerComesBackWithAnotherKey(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	w.call(t, "POST", "/api/controllers/"+string(b.id)+"/retire", nil, nil, nil)
	b.stop()
	var code county.MadeCode
	if s := w.call(t, "POST", "/api/codes", nil, county.NewCode{Controller: b.id, Area: village, Approve: true}, &code); s != http.StatusOK {
		t.Fatalf("no code: %d", s)
	}
	key := link.NewKey()
	e, err := link.Enrol(t.Context(), link.Enrolment{
		URL: w.http.URL, Code: code.Code, Key: key, Self: link.EnrolRequest{Site: "大坝村", Areas: []playlist.Area{village}, Program: "test"}, Poll: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if m := e.Member.Member; m.Retired || m.User() != key.BrokerUser() || m.Controller != b.id {
		t.Errorf("retired: %v, of %s, user %s; want %s", m.Retired, m.Controller, m.User(), key.BrokerUser())
	}
}

// No approval gives back what was revoked, for the broker takes no login made
// until then. Once it is retired a new code does, with the key it has too, and in the same
// second.
func TestARevokedControllerComesBackByANewCodeAlone(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	post := func(verb string) int {
		t.Helper()
		return w.call(t, "POST", "/api/controllers/"+string(b.id)+"/"+verb, nil, nil, nil)
	}
	if s := post("revoke"); s != http.StatusOK {
		t.Fatalf("not revoked: %d", s)
	}
	b.stop()
	if s := post("approve"); s != http.StatusUnprocessableEntity {
		t.Errorf("approved after it was revoked: %d", s)
	}
	if k := must[store.Controller](t)(w.Store.Controller(t.Context(), b.id)); k.State != store.Disabled {
		t.Errorf("it is %s", k.State)
	}
	n := county.NewCode{Controller: b.id, Area: village, Approve: true}
	if s := w.call(t, "POST", "/api/codes", nil, n, nil); s != http.StatusConflict {
		t.Errorf("a code for one that is not retired: %d", s)
	}
	if s := post("retire"); s != http.StatusOK {
		t.Fatalf("not retired: %d", s)
	}
	var code county.MadeCode
	if s := w.call(t, "POST", "/api/codes", nil, n, &code); s != http.StatusOK {
		t.Fatalf("no code: %d", s)
	}
	again := newBox(speaker("村口", village, 420))
	again.Key = b.Key
	e, err := link.Enrol(t.Context(), link.Enrolment{
		URL: w.http.URL, Code: code.Code, Key: again.Key, Self: link.EnrolRequest{Site: "大坝村", Areas: []playlist.Area{village}, Program: "test"}, Poll: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Adopt(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	seen := must[store.Controller](t)(w.Store.Controller(t.Context(), b.id)).Seen
	again.start(t)
	eventually(t, "it is seen again", func() bool {
		return must[store.Controller](t)(w.Store.Controller(t.Context(), b.id)).Seen.After(seen)
	})
}

// Each replica has an account of its own to give the broker, made before the
// others revoked anybody.
func TestNoReplicaUndoesWhatAnotherRevoked(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	second, theirs := w.replica(t)
	one, two := w.enrol(t, village, nil, speaker("村口", village, 420)), w.enrol(t, other, nil, speaker("村西", other, 80))
	eventually(t, "both are seen", func() bool { return online(t, w, one.id) && online(t, w, two.id) })
	outs := func(t *testing.T, a *link.Authority, want ...*box) {
		t.Helper()
		revoked := must[map[string]time.Time](t)(a.Revoked())
		for _, b := range want {
			if _, ok := revoked[b.Key.BrokerUser()]; !ok {
				t.Errorf("%s is let in", b.id)
			}
		}
		if len(revoked) != len(want) {
			t.Errorf("%d are revoked, want %d", len(revoked), len(want))
		}
	}
	if err := w.Revoke(t.Context(), one.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker has thrown it out", func() bool { return w.broker.NumClients() == 7 }) // 3 of each replica
	if err := second.Revoke(t.Context(), two.id); err != nil {
		t.Fatal(err)
	}
	outs(t, theirs, one, two)
	eventually(t, "the broker keeps both out", func() bool { return w.broker.NumClients() == 6 })

	// What the first gives the broker next is by what the second did.
	if err := county.PushAccountNow(t.Context(), w.County); err != nil {
		t.Fatal(err)
	}
	outs(t, w.Authority, one, two)

	// A replica that was away begins with an account in which nobody is revoked.
	failed, pushed := errors.New("no broker"), 0
	answer := failed
	stale := must[*link.Authority](t)(link.ReadAuthority(filepath.Join(w.dir, "keys", "broker.json")))
	late := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys,
		Authority: stale, PushAccount: func(context.Context, *link.Authority) error { pushed++; return answer }})
	outs(t, stale)
	if err := county.PushAccountNow(t.Context(), late); !errors.Is(err, failed) {
		t.Errorf("a broker that does not take it: %v", err)
	}
	answer = nil
	for range 2 {
		if err := county.PushAccountNow(t.Context(), late); err != nil {
			t.Fatal(err)
		}
	}
	outs(t, stale, one, two)
	if pushed != 2 {
		t.Errorf("pushed %d times, want once in vain and once", pushed)
	}
}

// What was revoked while the store did not keep that is found in the account,
// and among the controllers.
func TestWhoWasRevokedIsRecollected(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.die()
	users := []string{link.NewKey().BrokerUser(), link.NewKey().BrokerUser()}
	if err := w.Authority.Revoke(time.Now(), users[0]); err != nil {
		t.Fatal(err)
	}
	code := store.Code{ID: "code", Secret: []byte{1}, Controller: "gone", Area: village, Approve: true, Expires: time.Now().Add(time.Hour)}
	if err := w.Store.AddCode(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	must[store.Controller](t)(w.Store.UseCode(t.Context(), code.ID, store.Controller{Key: "key", User: users[1]}))
	must[store.Controller](t)(w.Store.ChangeController(t.Context(), "gone", func(k *store.Controller) error {
		k.State = store.Disabled
		return nil
	}))
	pushes := 0
	again := county.New(county.Options{Store: w.Store, Log: quiet(), Authority: w.Authority, PushAccount: func(context.Context, *link.Authority) error { pushes++; return nil }})
	if err := county.PushAccountNow(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	revoked := must[map[string]time.Time](t)(w.Authority.Revoked())
	if len(revoked) != 2 || revoked[users[0]].IsZero() || revoked[users[1]].IsZero() || pushes != 1 {
		t.Errorf("%v in %d pushes, want %v", revoked, pushes, users)
	}
}

// A controller that one replica has moved hears of it once.
func TestAReplicaDoesNotTellAgainWhatAnotherHasTold(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	second := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys,
		Authority: w.Authority, Servers: w.Servers, ClipURLs: w.ClipURLs, CA: w.CA})
	seen := func() {
		t.Helper()
		q := link.SyncRequest{Controller: b.id, Health: link.Health{Outputs: []link.OutputHealth{speaker("村口", village, 420)}}}
		if err := second.Edge().Seen(t.Context(), link.Seen{At: time.Now(), Request: q}); err != nil {
			t.Fatal(err)
		}
	}
	version := func() int64 {
		return must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindMember, playlist.ControllerScope(b.id), 0)).Version
	}
	seen()
	area := playlist.Area("341523100202")
	if err := w.Move(t.Context(), b.id, county.Moved{Area: &area, Anyway: true}); err != nil {
		t.Fatal(err)
	}
	before := version()
	if seen(); version() != before {
		t.Errorf("told in version %d, and again in %d", before, version())
	}
}

func online(t *testing.T, w *world, id playlist.ControllerID) bool {
	t.Helper()
	k, err := w.Store.Controller(t.Context(), id)
	return err == nil && w.Online(k)
}

// row is a whole airing of a county slot.
func row(slot string, due time.Time, output string, residents int, o asrun.Outcome) asrun.Row {
	due = due.UTC().Truncate(time.Second)
	name := playlist.CountyName(playlist.AreaScope(countyArea), slot)
	return asrun.Row{
		Airing: playlist.NewAiringID(name, due), Output: output, Item: 1, Part: 1, Slot: name, Playlist: "p", Clip: playlist.ClipID(strings.Repeat("c1", 32)), Title: "第1期",
		Series: "健康微课堂", Issue: 1, Due: due, Cued: due, Started: due, Ended: due.Add(time.Minute), Frames: 100, OfFrames: 100, Residents: residents,
		Area: village, Outcome: o, Clock: playlist.ClockTrusted,
	}
}

func TestAPushArrivesAndIsFollowed(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	clip, second := w.clip(t, "clip1.mp3"), w.clip(t, "clip2.mp3")
	scope := playlist.AreaScope(countyArea)

	var p county.Proposal
	if s := w.call(t, "POST", "/api/propose", nil, draft(t, scope, clip), &p); s != http.StatusOK {
		t.Fatalf("no proposal: %d", s)
	}
	if p.Manifest.Version != 1 || p.Over != 0 || p.Reaches.Controllers != 1 || p.Reaches.Online != 1 || p.Reaches.Residents != 420 || len(p.Changes) != 3 || p.Bytes != clip.Size {
		t.Errorf("proposal %+v", p)
	}
	var none []store.Envelope
	if w.call(t, "GET", "/api/manifests", nil, nil, &none); len(none) != 0 {
		t.Error("a proposal was issued")
	}
	var e store.Envelope
	if s := w.push(t, draft(t, scope, clip), &e); s != http.StatusOK || e.Version != 1 {
		t.Fatalf("push: %d, %+v", s, e)
	}
	eventually(t, "the manifest arrives", func() bool { return b.has(link.KindManifest, scope) == 1 })

	step := func() county.Step {
		var all []county.Delivered
		w.call(t, "GET", "/api/delivery", url.Values{"scope": {string(scope)}, "version": {"1"}}, nil, &all)
		return all[0].Step
	}
	eventually(t, "it is delivered", func() bool { return step() == county.StepDelivered })
	for _, s := range []struct {
		p    link.Progress
		want county.Step
	}{
		{link.Progress{Scope: scope, Version: 1, Clips: 1, Present: 1}, county.StepFetched},
		{link.Progress{Scope: scope, Version: 1, Clips: 1, Present: 1, Active: true}, county.StepUnknown}, // of release 0.1
		{link.Progress{Scope: scope, Version: 1, Clips: 1, Present: 1, Active: true, Why: "no_output"}, county.StepFetched},
		{link.Progress{Scope: scope, Version: 1, Clips: 1, Present: 1, Active: true, Planned: true}, county.StepActive},
	} {
		b.mu.Lock()
		b.health.Progress = []link.Progress{s.p}
		b.mu.Unlock()
		eventually(t, string(s.want), func() bool { return step() == s.want })
	}

	// It refuses the next.
	w.push(t, draft(t, scope, clip, second), &e)
	b.mu.Lock()
	b.health.Behind = []link.Lag{{Have: link.Have{Kind: link.KindManifest, Scope: scope, Version: 2}, Here: 1, Why: "unreadable"}}
	b.mu.Unlock()
	eventually(t, "it refuses version 2, and airs by version 1", func() bool {
		var all []county.Delivered
		w.call(t, "GET", "/api/delivery", url.Values{"scope": {string(scope)}, "version": {"2"}}, nil, &all)
		d := all[0]
		return d.Step == county.StepRefused && d.Why == "unreadable" && d.InForce == 1 && d.Version == 2
	})

	// Back to the first, and one that was signed elsewhere.
	if err := w.call(t, "POST", "/api/rollback", url.Values{"scope": {string(scope)}, "version": {"1"}, "over": {"2"}}, nil, &e); err != http.StatusOK || e.Version != 3 {
		t.Fatalf("rollback: %d, %+v", err, e)
	}
	eventually(t, "the rollback arrives", func() bool { return b.has(link.KindManifest, scope) == 3 })
	w.call(t, "POST", "/api/propose", nil, draft(t, scope, clip), &p)
	if p.Over != 3 || len(p.Changes) != 0 {
		t.Errorf("what was rolled back to differs from the first: %+v", p.Changes)
	}
}

func TestAManifestSignedElsewhere(t *testing.T) {
	var away link.Signer
	w := newWorld(t, t.TempDir(), func(o *county.Options) { away, o.Keys.Playlist = o.Keys.Playlist, nil })
	clip := w.clip(t, "clip1.mp3")
	scope := playlist.AreaScope(townArea)
	if s := w.push(t, draft(t, scope, clip), nil); s != http.StatusConflict {
		t.Errorf("a push without the key: %d", s)
	}
	p := must[county.Proposal](t)(w.Propose(t.Context(), draft(t, scope, clip)))
	if p.Signed {
		t.Error("it says that it can sign")
	}
	raw := must[[]byte](t)(w.Unsigned(p.Manifest))
	if s := w.call(t, "POST", "/api/publish", nil, raw, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("unsigned: %d", s)
	}
	for _, c := range []struct {
		name string
		by   link.Signer
		want int
	}{
		{"a stranger's signature", link.NewKey(), http.StatusUnprocessableEntity},
		{"the wrong role", w.Keys.Alert, http.StatusUnprocessableEntity},
		{"the playlist key", away, http.StatusOK},
		{"the same once more", away, http.StatusConflict},
	} {
		env := must[link.Envelope](t)(link.SealManifest(p.Manifest, c.by))
		if s := w.call(t, "POST", "/api/publish", url.Values{"anyway": {"1"}}, env.Bytes(), nil); s != c.want {
			t.Errorf("%s: %d, want %d", c.name, s, c.want)
		}
	}
}

func TestConflictsAreForeseen(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	clip := w.clip(t, "clip1.mp3")
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, playlist.AreaScope(countyArea), clip)))
	d := draft(t, playlist.AreaScope(village), clip)
	d.Slots[0].Priority = 9
	p := must[county.Proposal](t)(w.Propose(t.Context(), d))
	if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != schedule.FlagWaits || p.Conflicts[0].Scope != playlist.AreaScope(countyArea) || p.Conflicts[0].Times != 7 {
		t.Errorf("conflicts %+v", p.Conflicts)
	}
	d.Scope = playlist.AreaScope(other) // where nobody follows both
	p = must[county.Proposal](t)(w.Propose(t.Context(), d))
	if len(p.Conflicts) != 0 {
		t.Errorf("conflicts between strangers %+v", p.Conflicts)
	}
}

func TestReceiptsMakeReachAndSilenceMakesUnknown(t *testing.T) {
	now := time.Now()
	w := newWorld(t, t.TempDir(), nil)
	clip := w.clip(t, "clip1.mp3")
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	mute := w.enrol(t, other, nil, speaker("村西", other, 80))
	eventually(t, "both are seen", func() bool { return online(t, w, b.id) && online(t, w, mute.id) })
	scope := playlist.AreaScope(countyArea)
	d := draft(t, scope, clip)
	due := now.In(shanghai).Add(2 * time.Hour).Truncate(time.Minute) // once until the test ends, at whatever hour it runs
	d.Slots[0].Cron = must[playlist.Cron](t)(playlist.ParseCron(fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour())))
	must[store.Envelope](t)(w.Issue(t.Context(), d))

	var rep county.ReachReport
	reach := func(by string) county.ReachReport {
		if s := w.call(t, "GET", "/api/reach", url.Values{"by": {by}}, nil, &rep); s != http.StatusOK {
			t.Fatalf("no reach by %s: %d", by, s)
		}
		return rep
	}
	b.aired(row("早间健康", due, "村口", 420, asrun.Complete))
	eventually(t, "the receipt is in", func() bool { return b.unsent() == 0 })
	for _, by := range []string{"series", "issue", "clip", "area", "day"} {
		got := reach(by).Total
		if got.Planned != 1 || got.Completed != 1 || got.Reached != 420 || got.Residents != 420 || got.ReachRate.Numerator != 420 {
			t.Errorf("by %s: %+v", by, got)
		}
	}
	// One that says nothing of use holds up no others.
	broken := row("晚间健康", due, "村口", 420, asrun.Complete)
	broken.Airing = ""
	b.aired(broken, row("早间健康", due.Add(-48*time.Hour), "村口", 420, asrun.Complete))
	eventually(t, "what follows it is in", func() bool { return b.unsent() == 0 })
	if got := reach("series").Total; len(b.aside) != 1 || b.aside[0].Seq != 2 || got.Planned != 2 || got.Completed != 2 {
		t.Errorf("set aside: %+v, total %+v", b.aside, got)
	}
	// Days later nobody has heard of the other.
	w.shift.Store(int64(due.Add(time.Hour).Sub(now)))
	eventually(t, "the silent one is accounted for", func() bool {
		if err := county.AccountNow(t.Context(), w.County); err != nil {
			t.Fatal(err)
		}
		return reach("area").Total.Unknown == 1
	})
	got := reach("area").Total
	if got.Planned != 3 || got.Residents != 500 || got.Reached != 420 || got.ReachRate.Unknown != 80 || got.Completion.Denominator != 3 {
		t.Errorf("%+v", got)
	}
	mute.aired(row("早间健康", due, "村西", 80, asrun.Missed))
	eventually(t, "it speaks", func() bool { return mute.unsent() == 0 })
	if got := reach("day").Total; got.Unknown != 0 || got.Planned != 3 || got.Completed != 2 {
		t.Errorf("after it spoke: %+v", got)
	}
}

func TestACountyRestoredFromYesterdayForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	clip := w.clip(t, "clip1.mp3")
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	scope := playlist.AreaScope(countyArea)
	backup := t.TempDir() + "/yesterday.db"
	if err := w.Store.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, scope, clip)))
	b.aired(row("早间健康", time.Now().Add(-time.Hour), "村口", 420, asrun.Complete))
	eventually(t, "manifest and receipt are there", func() bool { return b.has(link.KindManifest, scope) == 1 && b.unsent() == 0 })
	b.stop()

	// Yesterday's county, with its keys, in another folder.
	again := t.TempDir()
	copyTree(t, dir, again, "keys", "clips")
	copyFile(t, backup, again+"/county.db")
	v := newWorld(t, again, nil)
	if _, err := v.Store.Envelope(t.Context(), "manifest", scope, 0); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("yesterday's county knows today's manifest: %v", err)
	}
	c := newBox(speaker("村口", village, 420))
	c.Key, c.docs, c.out, c.mark, c.id = b.Key, b.docs, b.out, b.mark, b.id
	// It finds the county at another address, as it would after a move.
	redirect(t, v, c)
	c.start(t)
	eventually(t, "the manifest is back, of the same version", func() bool {
		e, err := v.Store.Envelope(t.Context(), "manifest", scope, 0)
		return err == nil && e.Version == 1
	})
	eventually(t, "so is the receipt", func() bool {
		rep, err := v.Reach(t.Context(), store.ReachQuery{By: store.ByDay})
		return err == nil && rep.Total.Completed == 1
	})
	e := must[store.Envelope](t)(v.Issue(t.Context(), draft(t, scope, clip)))
	if e.Version != 2 {
		t.Errorf("the next version is %d", e.Version)
	}
	eventually(t, "which it takes", func() bool { return c.has(link.KindManifest, scope) == 2 })
}

func TestWhatARestoredCountyIssuesIsTheLastWord(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	clip, other := w.clip(t, "clip1.mp3"), w.clip(t, "clip2.mp3")
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	scope := playlist.AreaScope(countyArea)
	backup := t.TempDir() + "/yesterday.db"
	if err := w.Store.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		must[store.Envelope](t)(w.Issue(t.Context(), draft(t, scope, clip)))
	}
	eventually(t, "it has the third", func() bool { return b.has(link.KindManifest, scope) == 3 })
	b.stop()

	again := t.TempDir()
	copyTree(t, dir, again, "keys", "clips")
	copyFile(t, backup, again+"/county.db")
	v := newWorld(t, again, nil)
	// The operator pushes before anybody could tell the county what it lost.
	e := must[store.Envelope](t)(v.Issue(t.Context(), draft(t, scope, other)))
	if e.Version != 1 {
		t.Fatalf("version %d after the restore", e.Version)
	}
	c := newBox(speaker("村口", village, 420))
	c.Key, c.docs, c.id = b.Key, b.docs, b.id
	redirect(t, v, c)
	c.start(t)
	eventually(t, "it has what was pushed last, above all that it had", func() bool {
		e, err := v.Store.Envelope(t.Context(), "manifest", scope, 0)
		return err == nil && e.Version > 3 && c.has(link.KindManifest, scope) == e.Version
	})
	m, err := v.Earlier(t.Context(), scope, 0)
	if err != nil || m.Clips[0].ID != other.ID {
		t.Errorf("in force is %+v, %v", m.Clips, err)
	}
}

// replace gives a role to another key, as the holders of the root keys do once
// the old one is lost.
func (w *world) replace(t *testing.T, r link.Role) link.Signer {
	t.Helper()
	fresh := link.NewKey()
	w.grant(t, r, fresh.Public())
	return fresh
}

// grant gives a role to these keys and to no others.
func (w *world) grant(t *testing.T, r link.Role, keys ...link.PublicKey) {
	t.Helper()
	held := must[link.Trust](t)(w.Edge().Trust(t.Context()))
	next := link.Trust{Version: held.Version + 1, Issued: time.Now().UTC()}
	for role, h := range held.Roles {
		for _, id := range h.Keys {
			if role != r {
				next.Grant(role, h.Threshold, held.Keys[id])
			}
		}
	}
	next.Grant(r, 1, keys...)
	var roots []link.Signer
	for n := range 2 {
		roots = append(roots, must[*link.Key](t)(link.ReadKey(filepath.Join(w.dir, "keys", county.RootKey(n+1)))))
	}
	if err := w.AddTrust(t.Context(), must[link.Envelope](t)(link.SealTrust(next, roots...)).Bytes()); err != nil {
		t.Fatal(err)
	}
}

func TestTheProgrammeGoesOnWithAnotherPlaylistKey(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	clip, second := w.clip(t, "clip1.mp3"), w.clip(t, "clip2.mp3")
	scope, below := playlist.AreaScope(countyArea), playlist.AreaScope(townArea)
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, scope, clip)))
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, below, clip)))
	eventually(t, "the manifests arrive", func() bool { return b.has(link.KindManifest, scope) == 1 && b.has(link.KindManifest, below) == 1 })
	w.Keys.Playlist = w.replace(t, link.RolePlaylist)
	next, _ := w.replica(t)
	eventually(t, "the new trust document arrives", func() bool { return b.has(link.KindTrust, "") == 2 })

	p, err := next.Propose(t.Context(), draft(t, scope, clip, second))
	if err != nil || p.Over != 1 || len(p.Changes) == 0 || len(p.Conflicts) == 0 {
		t.Errorf("proposal over version %d, %d changes, %d conflicts, %v", p.Over, len(p.Changes), len(p.Conflicts), err)
	}
	if e, err := next.Issue(t.Context(), draft(t, scope, clip, second)); err != nil || e.Version != 2 {
		t.Errorf("push: version %d, %v", e.Version, err)
	}
	if e, err := next.Rollback(t.Context(), scope, 1); err != nil || e.Version != 3 {
		t.Errorf("rollback: version %d, %v", e.Version, err)
	}
	eventually(t, "what the new key signed arrives", func() bool { return b.has(link.KindManifest, scope) == 3 })
}
