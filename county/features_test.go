package county_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// The tests take these for features that came after release 0.1.
var (
	chime = link.Feature{Name: "slot-chime", InManifest: func(m playlist.Manifest) bool {
		return slices.ContainsFunc(m.Slots, func(s playlist.Slot) bool { return s.Chime })
	}}
	event = link.Feature{Name: "alert-event", LeaveOut: func(a *link.AlertInForce) bool {
		was := a.Alert.Event != ""
		a.Alert.Event = ""
		return was
	}}
)

// understands has a controller say what it understands, and waits until its
// county knows.
func (w *world) understands(t *testing.T, b *box, features ...string) {
	t.Helper()
	b.mu.Lock()
	b.health.Understands = features
	b.mu.Unlock()
	eventually(t, "the county knows what a controller understands", func() bool {
		var h link.Health
		k := must[store.Controller](t)(w.Store.Controller(t.Context(), b.id))
		return json.Unmarshal(k.Health, &h) == nil && slices.Equal(h.Understands, features)
	})
}

func TestAPushThatAControllerWouldNotUnderstandIsRefusedByName(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil, func(c *county.County) { county.WithFeatures(c, chime, event) })
	old, also, far := w.enrol(t, village, nil), w.enrol(t, village, nil), w.enrol(t, other, nil)
	clip, scope := w.clip(t, "clip1.mp3"), playlist.AreaScope(townArea)
	plain, with := draft(t, scope, clip), draft(t, scope, clip)
	with.Slots[0].Chime, with.Over = true, new(int64)
	signed := func() []byte {
		m := must[county.Proposal](t)(w.Propose(t.Context(), plain)).Manifest
		m.Slots = with.Slots
		return must[link.Envelope](t)(link.SealManifest(m, w.Keys.Playlist)).Bytes()
	}
	refused := func(names ...*box) {
		t.Helper()
		for path, body := range map[string]any{"/api/propose": with, "/api/push": with, "/api/publish": signed()} {
			var got map[string]string
			if s := w.call(t, "POST", path, nil, body, &got); s != http.StatusUnprocessableEntity || !strings.Contains(got["error"], `"slot-chime"`) {
				t.Errorf("%s: %d, %s", path, s, got)
			}
			for _, b := range []*box{old, also, far} {
				want := slices.Contains(names, b)
				if strings.Contains(got["error"], string(b.id)) != want {
					t.Errorf("%s names %s: %v, want %v: %s", path, b.id, !want, want, got["error"])
				}
			}
		}
	}
	refused(old, also)
	_, err := w.Propose(t.Context(), with)
	if zh := say.In(say.Chinese, err); !errors.Is(err, playlist.ErrInvalid) || !strings.Contains(zh, "“slot-chime”") || !strings.Contains(zh, "大坝村 ("+string(old.id)+")") {
		t.Errorf("in Chinese: %s", zh)
	}
	must[store.Envelope](t)(w.Issue(t.Context(), plain)) // it needs nothing new
	w.understands(t, also, "alert-event", "slot-chime", "of-a-later-program")
	refused(old)
	w.understands(t, old, "slot-chime")
	e := must[store.Envelope](t)(w.Issue(t.Context(), with))
	eventually(t, "it arrives", func() bool { return old.has(link.KindManifest, scope) == e.Version })

	// The program one version back was put in place again.
	must[store.Envelope](t)(w.Issue(t.Context(), plain))
	w.understands(t, old)
	refused(old)
	if _, err := w.Rollback(t.Context(), scope, e.Version); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("rolled back to what it does not understand: %v", err)
	}
}

func TestAPushOfWorkdaysNeedsControllersThatKnowTheCalendar(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	old, also := w.enrol(t, village, nil), w.enrol(t, village, nil)
	w.understands(t, also, link.Understood()...)
	d := draft(t, playlist.AreaScope(townArea), w.clip(t, "clip1.mp3"))
	for _, days := range []playlist.Weekdays{playlist.Workdays, playlist.Holidays | 1<<time.Saturday} {
		d.Slots[0].Days = days
		_, err := w.Issue(t.Context(), d)
		if !errors.Is(err, playlist.ErrInvalid) || !strings.Contains(err.Error(), `"manifest-slots-days-calendar"`) ||
			!strings.Contains(err.Error(), string(old.id)) || strings.Contains(err.Error(), string(also.id)) {
			t.Errorf("days %d: %v", days, err)
		}
	}
	d.Slots[0].Days = 1 << time.Saturday
	must[store.Envelope](t)(w.Issue(t.Context(), d))
	d.Slots[0].Days = playlist.Workdays
	w.understands(t, old, link.Understood()...)
	e := must[store.Envelope](t)(w.Issue(t.Context(), d))
	eventually(t, "it arrives", func() bool { return old.has(link.KindManifest, d.Scope) == e.Version })
}

func TestWhatAControllerDoesNotUnderstandIsLeftOutOfItsAlerts(t *testing.T) {
	var lines journal
	var failing atomic.Bool
	w := newWorld(t, t.TempDir(), func(o *county.Options) {
		o.Ingest, o.Log = nil, slog.New(slog.NewTextHandler(&lines, nil))
	}, func(c *county.County) {
		county.WithFeatures(c, chime, event)
		county.WithFollowers(c, func() error {
			if failing.Load() {
				return errors.New("disk is gone")
			}
			return nil
		})
	})
	near, far := w.enrol(t, village, nil), w.enrol(t, other, nil)
	w.understands(t, near, "alert-event")
	sent := func(id playlist.AlertID, area playlist.Area) string {
		t.Helper()
		a := emergency.Alert{
			ID: id, Format: "hand", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			Event: "洪水", Areas: []playlist.Area{area}, Sent: w.clock(), Texts: []emergency.Text{{Language: "zh-CN", Text: "请撤离"}},
		}
		if v, err := w.Take(t.Context(), county.Incoming{Alert: a, Source: county.FromHand}); err != nil || v.State != emergency.StateWaiting {
			t.Fatalf("not taken: %+v, %v", v, err)
		}
		if kept := must[store.Alert](t)(w.Store.Alert(t.Context(), id)); kept.Event != "洪水" {
			t.Errorf("the county itself has lost what it left out of %s", id)
		}
		eventually(t, "the alert arrives", func() bool { _, ok := near.holds(id); return ok })
		near.mu.Lock()
		defer near.mu.Unlock()
		return near.alerts[id].Alert.Event
	}
	if got := sent("all-understand", village); got != "洪水" {
		t.Errorf("all understand it, and it was left out: %q", got)
	}
	if log := lines.String(); strings.Contains(log, "left out") {
		t.Errorf("nothing was left out: %s", log)
	}
	if got := sent("some-do", countyArea); got != "" {
		t.Errorf("one controller does not understand it, and it was sent: %q", got)
	}
	if log := lines.String(); !strings.Contains(log, "left out") || !strings.Contains(log, "alert=some-do") || !strings.Contains(log, "feature=alert-event") ||
		!strings.Contains(log, string(far.id)) || strings.Contains(log, string(near.id)+")") {
		t.Errorf("the log does not say what was left out and for whom: %s", log)
	}
	w.understands(t, far, "alert-event")
	if got := sent("all-do-now", countyArea); got != "洪水" {
		t.Errorf("all understand it by now, and it was left out: %q", got)
	}
	failing.Store(true)
	if got := sent("not-known", village); got != "" {
		t.Errorf("it is not known who understands it, and it was sent: %q", got)
	}
}
