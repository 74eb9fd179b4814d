package county_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// fromOutside is a message that came over the network and is believed.
func fromOutside(id playlist.AlertID, l emergency.Level) county.Incoming {
	return county.Incoming{Source: county.FromCAP, Alert: emergency.Alert{
		ID: id, Sender: "met", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: l, Sent: time.Now(),
		Texts: []emergency.Text{{Language: "zh-CN", Title: "暴雨", Text: "今晚有暴雨。"}},
	}}
}

// reviewing is a county in which yellow messages wait for a person, and red ones for the
// whole county for a second one.
func reviewing(t *testing.T) *world {
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		c.Alerts.Unsigned = []string{county.FromCAP}
		c.Alerts.Review, c.Alerts.ReviewWait, c.Alerts.SecondWait = []emergency.Level{emergency.Yellow}, time.Minute, time.Minute
	})
	w.freeze()
	return w
}

func TestAMessageOfALevelToBeReviewedWaitsForAPerson(t *testing.T) {
	w := reviewing(t)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	take := func(id playlist.AlertID, l emergency.Level) county.Verdict {
		return must[county.Verdict](t)(w.Take(t.Context(), fromOutside(id, l)))
	}
	if v := take("red", emergency.Red); v.State != emergency.StateWaiting {
		t.Errorf("red: %s", v.State)
	}
	eventually(t, "red sounds at once", func() bool { _, ok := b.holds("red"); return ok })
	released, refused, alone := take("released", emergency.Yellow), take("refused", emergency.Yellow), take("alone", emergency.Yellow)
	for _, v := range []county.Verdict{released, refused, alone} {
		if v.State != emergency.StateReview || v.Held.Sub(w.clock()).Round(time.Second) != time.Minute {
			t.Errorf("%s: %s until %v", v.ID, v.State, v.Held)
		}
	}
	if v := take("released", emergency.Yellow); !v.Duplicate || v.State != emergency.StateReview {
		t.Errorf("the same again: %+v", v)
	}
	var list []county.Listed
	w.call(t, "GET", "/api/alerts", nil, nil, &list)
	if len(list) != 4 || list[0].State != emergency.StateReview || list[0].Held.IsZero() || list[3].ID != "red" {
		t.Errorf("what waits for a person is not listed first: %+v", list)
	}

	if s := must[alert.State](t)(w.StateOf(t.Context(), "refused")); s.Code != alert.BrdWaiting || !strings.HasPrefix(s.Desc, "等待人工审核") {
		t.Errorf("its sender is told %d %s", s.Code, s.Desc)
	}
	if s := w.call(t, "POST", "/api/alerts/decline", url.Values{"id": {"refused"}}, nil, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("refused for no reason: %d", s)
	}
	if s := w.call(t, "POST", "/api/alerts/decline", url.Values{"id": {"refused"}, "why": {"误报"}}, nil, nil); s != http.StatusOK {
		t.Errorf("not refused: %d", s)
	}
	if a := must[store.Alert](t)(w.Store.Alert(t.Context(), "refused")); a.State != emergency.StateRefused || a.Why != string(emergency.ReasonDeclined) || a.Detail.Declined != "误报" || a.Detail.Decider != "token" {
		t.Errorf("refused: %+v", a)
	}
	if s := must[alert.State](t)(w.StateOf(t.Context(), "refused")); s.Code != alert.BrdUntouched || !strings.Contains(s.Desc, "值班员决定不播") {
		t.Errorf("after that its sender is told %d %s", s.Code, s.Desc)
	}
	if v := take("refused", emergency.Yellow); !v.Duplicate || v.State != emergency.StateRefused {
		t.Errorf("a copy of what was refused: %+v", v)
	}

	var v county.Verdict
	if s := w.call(t, "POST", "/api/alerts/release", url.Values{"id": {"released"}, "dry": {"1"}}, nil, &v); s != http.StatusOK || v.State != emergency.StateReview || v.Preview == nil || v.Preview.Title != "暴雨" || v.Preview.Cut {
		t.Errorf("looked at: %d %+v", s, v)
	}
	if s := w.call(t, "POST", "/api/alerts/release", url.Values{"id": {"released"}}, nil, &v); s != http.StatusOK || v.State != emergency.StateWaiting || v.Reaches.Residents != 420 {
		t.Errorf("released: %d %+v", s, v)
	}
	if s := w.call(t, "POST", "/api/alerts/release", url.Values{"id": {"released"}}, nil, nil); s != http.StatusConflict {
		t.Errorf("released twice: %d", s)
	}
	eventually(t, "what was released sounds", func() bool { _, ok := b.holds("released"); return ok })
	if a := must[store.Alert](t)(w.Store.Alert(t.Context(), "released")); a.Detail.Released.IsZero() || a.Ordered() != a.Detail.Released || a.Detail.Decider != "token" {
		t.Errorf("released: %+v", a.Detail)
	}
	if targets := must[[]store.Target](t)(w.Store.Targets(t.Context(), "released")); len(targets) != 1 || !targets[0].Online {
		t.Errorf("targets %+v", targets)
	}
	if _, ok := b.holds("alone"); ok {
		t.Error("what waits for a person sounds")
	}
	w.shift.Add(int64(time.Minute + time.Second))
	eventually(t, "what nobody released sounds by itself", func() bool { _, ok := b.holds("alone"); return ok })
	if _, ok := b.holds("refused"); ok {
		t.Error("what was refused sounds")
	}
}

func TestNothingIsForgottenOfAReviewWhenTheCountyStartsAgain(t *testing.T) {
	w := reviewing(t)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	must[county.Verdict](t)(w.Take(t.Context(), fromOutside("yellow", emergency.Yellow)))
	w.die()
	w.shift.Add(int64(time.Minute + time.Second))
	for range 2 { // of several replicas one releases it
		w.replica(t)
	}
	eventually(t, "it sounds", func() bool { _, ok := b.holds("yellow"); return ok })
	if a := must[store.Alert](t)(w.Store.Alert(t.Context(), "yellow")); !a.Held.IsZero() || a.Detail.Released.IsZero() || a.Detail.Decider != "" {
		t.Errorf("%+v", a)
	}
}

func TestTheWaitOfAMessageForAPerson(t *testing.T) {
	w := reviewing(t)
	for _, c := range []struct {
		name string
		of   func(*emergency.Alert)
		want time.Duration // 0: it does not wait
	}{
		{"yellow", func(*emergency.Alert) {}, time.Minute},
		{"no longer than half of the time left to it", func(a *emergency.Alert) { a.NotAfter = w.clock().Add(40 * time.Second) }, 20 * time.Second},
		{"orange", func(a *emergency.Alert) { a.Level = emergency.Orange }, 0},
		{"an update by its own level", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindUpdate, []playlist.AlertID{"x"} }, time.Minute},
		{"a cancel", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindCancel, []playlist.AlertID{"x"} }, 0},
		{"a test", func(a *emergency.Alert) { a.Class = emergency.ClassTest }, 0},
	} {
		in := fromOutside(playlist.AlertID(c.name), emergency.Yellow)
		c.of(&in.Alert)
		v := must[county.Verdict](t)(w.Weigh(t.Context(), in))
		if (v.State == emergency.StateReview) != (c.want > 0) || c.want > 0 && v.Held.Sub(w.clock()).Round(time.Second) != c.want {
			t.Errorf("%s: %s until %v", c.name, v.State, v.Held)
		}
	}
	in := fromOutside("by hand", emergency.Yellow)
	in.Source = county.FromHand
	if v := must[county.Verdict](t)(w.Weigh(t.Context(), in)); v.State != emergency.StateWaiting {
		t.Errorf("handed in by an operator: %s", v.State)
	}
}

func TestAnUpdateThatWaitsLetsTheOldOneSoundOn(t *testing.T) {
	w := reviewing(t)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	must[county.Verdict](t)(w.Take(t.Context(), fromOutside("old", emergency.Red)))
	update := fromOutside("new", emergency.Yellow)
	update.Alert.Kind, update.Alert.Refs = emergency.KindUpdate, []playlist.AlertID{"old"}
	must[county.Verdict](t)(w.Take(t.Context(), update))
	eventually(t, "the old one sounds", func() bool { _, ok := b.holds("old"); return ok })
	if s := w.state(t, "old"); s != emergency.StateWaiting {
		t.Errorf("the old one: %s", s)
	}
	must[county.Verdict](t)(w.Release(t.Context(), "new"))
	if s := w.state(t, "old"); s != emergency.StateCancelled {
		t.Errorf("the old one after that: %s", s)
	}
	eventually(t, "the new one takes its place", func() bool {
		_, old := b.holds("old")
		_, is := b.holds("new")
		return is && !old
	})
}

// What ends an update that waits also ends what that would have ended.
func TestWhatAWaitingUpdateNamesEndsWithIt(t *testing.T) {
	w := reviewing(t)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	take := func(id playlist.AlertID, l emergency.Level, k emergency.Kind, refs ...playlist.AlertID) {
		t.Helper()
		in := fromOutside(id, l)
		in.Alert.Kind, in.Alert.Refs = k, refs
		must[county.Verdict](t)(w.Take(t.Context(), in))
	}
	want := func(states map[playlist.AlertID]emergency.State) {
		t.Helper()
		for id, s := range states {
			if got := w.state(t, id); got != s {
				t.Errorf("%s: %s, want %s", id, got, s)
			}
		}
	}
	gone, waits := emergency.StateCancelled, emergency.StateReview
	take("a1", emergency.Red, emergency.KindRequest)
	take("a2", emergency.Yellow, emergency.KindUpdate, "a1")
	take("a3", emergency.Yellow, emergency.KindUpdate, "a2")
	want(map[playlist.AlertID]emergency.State{"a1": emergency.StateWaiting, "a2": waits, "a3": waits})
	take("cancel", emergency.Red, emergency.KindCancel, "a3")
	want(map[playlist.AlertID]emergency.State{"a1": gone, "a2": gone, "a3": gone})

	take("b1", emergency.Red, emergency.KindRequest)
	take("b2", emergency.Yellow, emergency.KindUpdate, "b1")
	take("b3", emergency.Red, emergency.KindUpdate, "b2")
	want(map[playlist.AlertID]emergency.State{"b1": gone, "b2": gone, "b3": emergency.StateWaiting})
	eventually(t, "the last one alone sounds", func() bool {
		_, last := b.holds("b3")
		_, first := b.holds("b1")
		_, other := b.holds("a1")
		return last && !first && !other
	})
}

func TestAWaitEndsOtherwise(t *testing.T) {
	w := reviewing(t)
	must[county.Verdict](t)(w.Take(t.Context(), fromOutside("cancelled", emergency.Yellow)))
	cancel := fromOutside("cancel", emergency.Yellow)
	cancel.Alert.Kind, cancel.Alert.Refs = emergency.KindCancel, []playlist.AlertID{"cancelled"}
	must[county.Verdict](t)(w.Take(t.Context(), cancel))
	if _, err := w.Release(t.Context(), "cancelled"); w.state(t, "cancelled") != emergency.StateCancelled || !errors.Is(err, store.ErrConflict) {
		t.Errorf("%s, released: %v", w.state(t, "cancelled"), err)
	}
	in := fromOutside("expired", emergency.Yellow)
	in.Alert.NotAfter = w.clock().Add(30 * time.Minute)
	must[county.Verdict](t)(w.Take(t.Context(), in))
	w.die()
	w.shift.Add(int64(time.Hour))
	if v := must[county.Verdict](t)(w.Release(t.Context(), "expired")); v.State != emergency.StateRefused || v.Why != string(emergency.ReasonExpired) {
		t.Errorf("its time is over: %+v", v)
	}
}

func TestRedForTheWholeCountyTakesTwoPersons(t *testing.T) {
	w := reviewing(t)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	red := county.ByHand{Text: "全县防汛", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(countyArea)}}
	for name, change := range map[string]func(*county.ByHand){
		"orange":       func(h *county.ByHand) { h.Level = emergency.Orange },
		"for one town": func(h *county.ByHand) { h.Scopes = []playlist.Scope{playlist.AreaScope(townArea)} },
		"a daily one":  func(h *county.ByHand) { h.Class = emergency.ClassDaily },
	} {
		h := red
		change(&h)
		if v := must[county.Verdict](t)(w.TakeByHand(county.As(t.Context(), "first"), h, true)); v.State != emergency.StateWaiting || v.Second {
			t.Errorf("%s: %+v", name, v)
		}
	}
	first, second := county.As(t.Context(), "first"), county.As(t.Context(), "second")
	v := must[county.Verdict](t)(w.TakeByHand(first, red, false))
	if v.State != emergency.StateReview || !v.Second {
		t.Fatalf("%+v", v)
	}
	for _, ctx := range []struct{ name string }{{"first"}, {""}} {
		_, err := w.Release(county.As(t.Context(), ctx.name), v.ID)
		if !errors.Is(err, playlist.ErrInvalid) || w.state(t, v.ID) != emergency.StateReview {
			t.Errorf("released by %q: %v", ctx.name, err)
		}
	}
	if got := must[county.Verdict](t)(w.Release(second, v.ID)); got.State != emergency.StateWaiting {
		t.Errorf("released by another: %+v", got)
	}
	eventually(t, "it sounds", func() bool { _, ok := b.holds(v.ID); return ok })

	v = must[county.Verdict](t)(w.TakeByHand(first, red, false))
	w.shift.Add(int64(time.Minute + time.Second))
	eventually(t, "without a second person it is over", func() bool { return w.state(t, v.ID) == emergency.StateRefused })
	if a := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID)); a.Why != string(emergency.ReasonSingle) {
		t.Errorf("%+v", a)
	}
	if _, ok := b.holds(v.ID); ok {
		t.Error("it sounds")
	}
}

func TestWhatIsShownOfAnAlertBeforeItSounds(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *county.Options) { c.Alerts.Drills = true })
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	broken := speaker("村西", other, 60)
	broken.State = "lost"
	w.enrol(t, other, nil, broken)
	eventually(t, "both are seen", func() bool { return online(t, w, w.boxes[0].id) && online(t, w, w.boxes[1].id) })
	h := county.ByHand{Title: "洪水", Text: "河水上涨。", Class: emergency.ClassDrillActual, Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(countyArea)}, Passes: 2}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, true))
	p := v.Preview
	if p.Class != h.Class || p.Level != h.Level || p.Words != "洪水\n河水上涨。" || p.Sound.Used != "speech" || p.Passes != 2 || p.Name != "洪水" || p.Ends.Sub(w.clock()).Round(time.Minute) != time.Hour {
		t.Errorf("%+v", p)
	}
	if p.Faulty.Controllers != 1 || p.Faulty.Residents != 60 || p.Offline.Controllers != 0 {
		t.Errorf("faulty %+v, offline %+v", p.Faulty, p.Offline)
	}
	b.stop()
	w.shift.Add(int64(10 * time.Minute))
	eventually(t, "one is offline", func() bool {
		p := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, true)).Preview
		return p.Offline.Controllers >= 1 && p.Offline.Residents >= 420
	})
	h.Audio, h.AudioName = course(t), "a.mp3"
	if s := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, true)).Preview.Sound; s.Used != "clip" || s.Name != "a.mp3" || s.Length < time.Second || s.Format == "" {
		t.Errorf("its sound: %+v", s)
	}
	if all := must[[]playlist.Clip](t)(w.Store.Clips(t.Context(), "")); len(all) != 0 {
		t.Errorf("a dry run kept a clip: %+v", all)
	}
}

func TestWhatIsRefusedOfAnAlertByHand(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	good := county.ByHand{Text: "洪水", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(village)}}
	for _, c := range []struct {
		name   string
		change func(*county.ByHand)
		want   string
	}{
		{"an unknown class", func(h *county.ByHand) { h.Class = "drill" }, "there are: emergency, drill_actual"},
		{"an unknown level", func(h *county.ByHand) { h.Level = 7 }, `no level "7": 1 red`},
		{"no level", func(h *county.ByHand) { h.Level = 0 }, "give a level"},
		{"signs alone", func(h *county.ByHand) { h.Text, h.Title = "！！🚨", "洪水" }, "no word"},
		{"a sound that is none, though there is text", func(h *county.ByHand) { h.Audio, h.AudioName = []byte(strings.Repeat("no sound ", 1000)), "a.mp3" }, "the sound cannot be aired"},
		{"silence", func(h *county.ByHand) { h.Audio, h.AudioName = silence(), "a.wav" }, "the sound cannot be aired"},
		{"for no controller", func(*county.ByHand) {}, "add --anyway"},
	} {
		h := good
		c.change(&h)
		var said struct{ Error string }
		if s := w.call(t, "POST", "/api/alerts", nil, h, &said); s != http.StatusUnprocessableEntity || !strings.Contains(said.Error, c.want) {
			t.Errorf("%s: %d %q, want %q", c.name, s, said.Error, c.want)
		}
	}
	if all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10)); len(all) != 0 {
		t.Errorf("kept: %+v", all)
	}
	if s := w.call(t, "POST", "/api/alerts", url.Values{"anyway": {"1"}}, good, nil); s != http.StatusOK {
		t.Errorf("for no controller, and meant so: %d", s)
	}
}

// silence is a WAV file of two seconds in which nothing sounds.
func silence() []byte {
	head := "RIFF\x24\xee\x02\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\xbb\x00\x00\x00\x77\x01\x00\x02\x00\x10\x00data\x00\xee\x02\x00"
	return append([]byte(head), make([]byte, 0x2ee00)...)
}
