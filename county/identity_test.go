package county_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// status is how the county has a controller.
func (w *world) status(t *testing.T, id playlist.ControllerID) county.Status {
	t.Helper()
	var fleet, retired []county.Status
	w.call(t, "GET", "/api/fleet", nil, nil, &fleet)
	w.call(t, "GET", "/api/fleet", url.Values{"state": {"retired"}}, nil, &retired)
	fleet = append(fleet, retired...)
	i := slices.IndexFunc(fleet, func(s county.Status) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("%s is not of the fleet", id)
	}
	return fleet[i]
}

// request asks for the enrolment of a box and returns the ID of its code. It does not wait
// for the approval.
func (w *world) request(t *testing.T, n county.NewCode, key *link.Key, self link.EnrolRequest) playlist.ControllerID {
	t.Helper()
	var code county.MadeCode
	if s := w.call(t, "POST", "/api/codes", nil, n, &code); s != http.StatusOK {
		t.Fatalf("no code: %d", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := link.Enrol(ctx, link.Enrolment{URL: w.http.URL, Code: code.Code, Key: key, Self: self, Poll: time.Millisecond, Pending: cancel})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("it does not wait for an approval: %v", err)
	}
	return code.Controller
}

func (w *world) approve(t *testing.T, id playlist.ControllerID, a county.Approval) int {
	t.Helper()
	return w.call(t, "POST", "/api/controllers/"+string(id)+"/approve", nil, a, nil)
}

func TestABoxThatItsOwnConfigHasElsewhereIsToldOf(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	self := link.EnrolRequest{
		Site: "大坝村", Area: other, Areas: []playlist.Area{other}, Outputs: 1, Residents: 420, Program: "test",
		Zones: []link.Zone{{Name: "村口", Area: other, Residents: 420}},
	}
	id := w.request(t, county.NewCode{Area: village, Approve: true}, link.NewKey(), self)
	k := w.status(t, id)
	if !slices.Equal(k.Astray, []playlist.Area{other}) || k.Said.Site != "大坝村" || k.Said.Residents != 420 || k.Residents() != 420 {
		t.Errorf("it says of itself %+v, astray %v, %d residents", k.Said, k.Astray, k.Residents())
	}
	if s := w.approve(t, id, county.Approval{}); s != http.StatusUnprocessableEntity {
		t.Errorf("approved without a question: %d", s)
	}
	if s := w.approve(t, id, county.Approval{Anyway: true}); s != http.StatusOK {
		t.Errorf("not approved: %d", s)
	}
	if k := w.status(t, id); len(k.Astray) == 0 || k.Faults == nil {
		t.Errorf("it is not told of any more: %+v", k)
	}
}

// A controller that was moved hears alerts for the area that the county gave it and for
// the one of its own config, and the county counts it as a target of both.
func TestAMovedControllerHearsTheAlertsOfBothAreas(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	w.understands(t, b, link.MemberHears)
	area := other
	if s := w.call(t, "POST", "/api/controllers/"+string(b.id)+"/move", nil, county.Moved{Area: &area}, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("moved without a question: %d", s)
	}
	if s := w.call(t, "POST", "/api/controllers/"+string(b.id)+"/move", nil, county.Moved{Area: &area, Anyway: true}, nil); s != http.StatusOK {
		t.Fatalf("not moved: %d", s)
	}
	eventually(t, "it is told that it was moved", func() bool {
		m, err := b.Member(t.Context())
		return err == nil && slices.Equal(m.Areas, []playlist.Area{other}) && slices.Equal(m.Hears, []playlist.Area{village})
	})
	if k := w.status(t, b.id); !slices.Equal(k.Astray, []playlist.Area{village}) || k.Deaf {
		t.Errorf("astray %v, deaf: %v", k.Astray, k.Deaf)
	}
	for _, a := range []playlist.Area{village, other} {
		var v county.Verdict
		w.call(t, "POST", "/api/alerts", nil, county.ByHand{Text: "洪水", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(a)}}, &v)
		if v.Reaches.Controllers != 1 || v.Reaches.Residents != 420 {
			t.Errorf("an alert for %s is said to reach %+v", a, v.Reaches)
		}
		eventually(t, "it has the alert for "+string(a), func() bool { _, ok := b.holds(v.ID); return ok })
		var acc county.AlertAccount
		w.call(t, "GET", "/api/account", url.Values{"id": {string(v.ID)}}, nil, &acc)
		if acc.Controllers.Targeted != 1 || acc.Residents.Targeted != 420 {
			t.Errorf("the account of the one for %s: %+v", a, acc.Controllers)
		}
	}

	// Its programme is that of the area that the county gave it.
	clip := w.clip(t, "clip1.mp3")
	for _, a := range []playlist.Area{village, other} {
		w.push(t, draft(t, playlist.AreaScope(a), clip), nil)
	}
	eventually(t, "it has the programme of its area", func() bool { return b.has(link.KindManifest, playlist.AreaScope(other)) == 1 })
	if b.has(link.KindManifest, playlist.AreaScope(village)) != 0 {
		t.Error("it has the programme of where it is not")
	}
}

// A program of release 0.1 does not know which alerts are for an area that its member
// document does not name. The county tells of it, and sends what it may hear to it alone.
func TestAMovedControllerOfTheReleaseBeforeIsToldAsDeaf(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	area := other
	w.call(t, "POST", "/api/controllers/"+string(b.id)+"/move", nil, county.Moved{Area: &area, Anyway: true}, nil)
	eventually(t, "it is told that it was moved", func() bool {
		m, err := b.Member(t.Context())
		return err == nil && slices.Equal(m.Areas, []playlist.Area{other}) && len(m.Hears) == 0
	})
	if k := w.status(t, b.id); !k.Deaf {
		t.Error("it is not told as deaf")
	}
	var v county.Verdict
	w.call(t, "POST", "/api/alerts", nil, county.ByHand{Text: "洪水", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(village)}}, &v)
	eventually(t, "it has the alert for the area of its config", func() bool { _, ok := b.holds(v.ID); return ok })
}

// The county tells in the account why a controller does not sound an alert.
func TestTheAccountTellsWhyAControllerDoesNotSoundAnAlert(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	var v county.Verdict
	w.call(t, "POST", "/api/alerts", nil, county.ByHand{Text: "洪水", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(village)}}, &v)
	b.mu.Lock()
	b.health.Alerts = []link.AlertProgress{{ID: v.ID, State: string(emergency.StateRefused), Why: string(emergency.ReasonExpired)}}
	b.mu.Unlock()
	eventually(t, "the account has the reason", func() bool {
		var acc county.AlertAccount
		w.call(t, "GET", "/api/account", url.Values{"id": {string(v.ID)}}, nil, &acc)
		return len(acc.All) == 1 && acc.All[0].State == emergency.StateRefused && acc.All[0].Why == emergency.ReasonExpired
	})
}

func TestAKeyInUseIsReplacedOnlyWhenThatIsAgreed(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	self := link.EnrolRequest{Site: "大坝村", Area: village, Areas: []playlist.Area{village}, Program: "test"}
	id := w.request(t, county.NewCode{Area: village, Approve: true}, b.Key, self)
	if k := w.status(t, id); !slices.Equal(k.Shares, []playlist.ControllerID{b.id}) {
		t.Errorf("its key is that of %v", k.Shares)
	}
	if s := w.approve(t, id, county.Approval{}); s != http.StatusConflict {
		t.Errorf("approved without a question: %d", s)
	}
	if k := w.status(t, b.id); k.State != "active" {
		t.Errorf("the first is %s", k.State)
	}
	if s := w.approve(t, id, county.Approval{Replace: true}); s != http.StatusOK {
		t.Fatalf("not approved: %d", s)
	}
	if old, k := w.status(t, b.id), w.status(t, id); old.State != "retired" || k.State != "active" {
		t.Errorf("the first is %s, the second %s", old.State, k.State)
	}
}

// A village that has never called is in the coverage, as unknown.
func TestAVillageThatNeverCalledIsUnknown(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	heard := w.enrol(t, village, nil, speaker("村口", village, 420))
	silent := link.EnrolRequest{
		Site: "小坝村", Area: other, Areas: []playlist.Area{other}, Outputs: 1, Residents: 300, Program: "test",
		Zones: []link.Zone{{Name: "村口", Area: other, Residents: 300}},
	}
	w.approve(t, w.request(t, county.NewCode{Area: other}, link.NewKey(), silent), county.Approval{})
	eventually(t, "one is seen", func() bool { return online(t, w, heard.id) })
	var v county.Verdict
	w.call(t, "POST", "/api/alerts", nil, county.ByHand{Text: "洪水", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(countyArea)}}, &v)
	if v.Reaches.Controllers != 2 || v.Reaches.Residents != 720 {
		t.Errorf("it is said to reach %+v", v.Reaches)
	}
	heard.sounded(v.ID, "村口", 420, "complete")
	var acc county.AlertAccount
	eventually(t, "it was heard", func() bool {
		w.call(t, "GET", "/api/account", url.Values{"id": {string(v.ID)}}, nil, &acc)
		return acc.Residents.Completed == 420
	})
	if c := acc.CoverageRate; c.Numerator != 420 || c.Denominator != 720 || c.Unknown != 300 {
		t.Errorf("coverage %+v", c)
	}
}
