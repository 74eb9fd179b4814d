package store_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestTheFleetIsFoundByAreaGroupAndState(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for _, c := range []store.Controller{
			{ID: "a", Name: "甲", Area: "341523100201", Groups: []string{"schools"}, State: store.Active, Key: "ka"},
			{ID: "b", Name: "乙", Area: "341523101202", State: store.Active},
			{ID: "c", Name: "丙", Area: "341523100202", State: store.Pending},
		} {
			if err := s.AddController(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddController(t.Context(), store.Controller{ID: "a", State: store.Active}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("one that is active was replaced: %v", err)
		}
		retire := func(k *store.Controller) error {
			k.State = store.Retired
			return nil
		}
		if k, err := s.ChangeController(t.Context(), "b", retire); err != nil || k.State != store.Retired || k.Name != "乙" {
			t.Fatal(k, err)
		}
		if _, err := s.ChangeController(t.Context(), "nobody", retire); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a stranger's state: %v", err)
		}
		refused := errors.New("no")
		_, err := s.ChangeController(t.Context(), "a", func(k *store.Controller) error {
			k.Name = "x"
			return refused
		})
		if k, _ := s.Controller(t.Context(), "a"); !errors.Is(err, refused) || k.Name != "甲" {
			t.Errorf("refused: %v, and now %+v", err, k)
		}
		for _, q := range []struct {
			q    store.FleetQuery
			want string
		}{
			{store.FleetQuery{}, "[a c]"},
			{store.FleetQuery{Area: "341523100000"}, "[a c]"},
			{store.FleetQuery{Area: "341523100201"}, "[a]"},
			{store.FleetQuery{Group: "schools"}, "[a]"},
			{store.FleetQuery{State: store.Retired}, "[b]"},
			{store.FleetQuery{State: store.Pending}, "[c]"},
			{store.FleetQuery{IDs: []playlist.ControllerID{"c"}}, "[c]"},
		} {
			fleet, err := s.Fleet(t.Context(), q.q)
			if err != nil {
				t.Fatal(err)
			}
			var ids []playlist.ControllerID
			for _, c := range fleet {
				ids = append(ids, c.ID)
			}
			if got := fmt.Sprint(ids); got != q.want {
				t.Errorf("%+v: %s, want %s", q.q, got, q.want)
			}
		}
		err = s.Seen(t.Context(), "a", store.Report{
			Version: "1.0\x00", Have: map[string]int64{"manifest area:341523000000": 3}, Health: json.RawMessage(`{"store":"ok"}`), Unsent: 7, Clock: "trusted", Fault: true,
			Outputs: []store.Output{{Name: "村口", Area: "341523100201", Residents: 5}, {Name: "村东", Area: "341523100201", Residents: 6}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Seen(t.Context(), "a", store.Report{Outputs: []store.Output{{Name: "村东", Area: "341523100201", Residents: 9}}}); err != nil {
			t.Fatal(err)
		}
		c, err := s.Controller(t.Context(), "a")
		if err != nil || c.Seen.IsZero() || c.Residents() != 9 || len(c.Outputs) != 2 || !c.Outputs[0].Gone {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := s.Controller(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a stranger: %v", err)
		}
	})
}

// What the box before it understood says nothing of the new one.
func TestAControllerThatIsEnrolledAnewHasSaidNothingYet(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for range 2 {
			if err := s.AddController(t.Context(), store.Controller{ID: "a", Area: "341523100201", State: store.Pending}); err != nil {
				t.Fatal(err)
			}
			if k, err := s.Controller(t.Context(), "a"); err != nil || string(k.Health) != "{}" {
				t.Errorf("%s, %v", k.Health, err)
			}
			if err := s.Seen(t.Context(), "a", store.Report{Health: json.RawMessage(`{"understands":["x"]}`)}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestACodeMakesOneController(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			now := morning
			o := options(t, kind)
			o.Now = func() time.Time { return now }
			s := open(t, o)
			add := func(id string, approve bool) {
				err := s.AddCode(t.Context(), store.Code{
					ID: id, Secret: []byte{1, 0, 255}, Controller: playlist.ControllerID("box-" + id), Area: "341523100201", Groups: []string{"g"}, Approve: approve, Expires: now.Add(24 * time.Hour),
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			add("1", false)
			add("2", true)
			add("3", false)
			use := func(id, key string) (store.Controller, error) {
				return s.UseCode(t.Context(), id, store.Controller{Name: "大坝村", Key: key, User: "U" + key})
			}
			c, err := use("1", "k1")
			if err != nil || c.State != store.Pending || c.ID != "box-1" || c.Name != "大坝村" || c.User != "Uk1" || !slices.Equal(c.Groups, []string{"g"}) {
				t.Errorf("%+v, %v", c, err)
			}
			if c, err := use("2", "k2"); err != nil || c.State != store.Active {
				t.Errorf("approved by its code: %+v, %v", c, err)
			}
			if _, err := use("1", "thief"); !errors.Is(err, store.ErrConflict) {
				t.Errorf("another key: %v", err)
			}
			if _, err := use("9", "k"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("no such code: %v", err)
			}
			if err := s.AddCode(t.Context(), store.Code{ID: "4", Secret: []byte{1}, Controller: "box-2", Area: "341523100201", Expires: now}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("a code for one that is active: %v", err)
			}
			if codes, err := s.Codes(t.Context()); err != nil || len(codes) != 1 || codes[0].Controller != "box-3" || !bytes.Equal(codes[0].Secret, []byte{1, 0, 255}) {
				t.Errorf("%+v, %v", codes, err)
			}
			now = now.Add(25 * time.Hour)
			if _, err := use("3", "k3"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after its time: %v", err)
			}
			if c, err := use("1", "k1"); err != nil || c.State != store.Pending {
				t.Errorf("the same key after its time: %+v, %v", c, err)
			}
		})
	}
}

func TestVersionsOnlyEverRise(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		scope := playlist.AreaScope("341523000000")
		add := func(v int64) error {
			return s.AddEnvelope(t.Context(), store.Envelope{Kind: "manifest", Scope: scope, Version: v, Digest: fmt.Sprint(v), Bytes: []byte{0, byte(v)}, Note: "n"})
		}
		for _, c := range []struct {
			v  int64
			ok bool
		}{{1, true}, {2, true}, {2, false}, {1, false}, {5, true}} {
			if err := add(c.v); (err == nil) != c.ok || err != nil && !errors.Is(err, store.ErrStale) {
				t.Errorf("version %d: %v", c.v, err)
			}
		}
		next := func() int64 {
			v, err := s.NextVersion(t.Context(), "manifest", scope)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := next(); v != 6 {
			t.Errorf("next %d", v)
		}
		for v, want := range map[int64]int64{0: 5, 2: 2} {
			e, err := s.Envelope(t.Context(), "manifest", scope, v)
			if err != nil || e.Version != want || !bytes.Equal(e.Bytes, []byte{0, byte(want)}) {
				t.Errorf("version %d: %+v, %v", v, e, err)
			}
		}
		if _, err := s.Envelope(t.Context(), "manifest", scope, 3); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a version that never was: %v", err)
		}
		in, err := s.InForce(t.Context(), []playlist.Scope{"", scope, "group:x"})
		if err != nil || len(in) != 1 || in[0].Version != 5 || in[0].Digest != "5" {
			t.Errorf("in force %+v, %v", in, err)
		}
		all, err := s.Versions(t.Context(), "manifest", "")
		if err != nil || len(all) != 3 || all[0].Version != 5 {
			t.Errorf("versions %+v, %v", all, err)
		}
	})
}

func TestClipsAreInOrderOfSeriesIssueAndTitle(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for _, c := range []playlist.Clip{
			{Title: "c", Issue: 10}, {Title: "b", Issue: 2}, {Title: "第十讲"}, {Title: "第九讲"}, {Title: "x", Series: "农时"},
		} {
			h := sha256.Sum256([]byte(c.Title))
			c.ID, c.Series = playlist.ClipID(hex.EncodeToString(h[:])), cmp.Or(c.Series, "健康")
			if err := s.AddClip(t.Context(), c, strings.NewReader(c.Title)); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		all, err := s.Clips(t.Context(), "")
		for _, c := range all {
			got = append(got, c.Title)
		}
		if want := []string{"b", "第九讲", "c", "第十讲", "x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, want %q; %v", got, want, err)
		}
	})
}

func TestClipsLieUnderTheirHash(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		raw := []byte("sound")
		h := sha256.Sum256(raw)
		c := playlist.Clip{ID: playlist.ClipID(hex.EncodeToString(h[:])), Title: "第1期", Series: "健康", Issue: 1, Frames: 9, Tags: []string{"a"}}
		if err := s.AddClip(t.Context(), c, bytes.NewReader([]byte("other"))); !errors.Is(err, store.ErrWrongHash) {
			t.Errorf("other bytes: %v", err)
		}
		for _, title := range []string{"第1期", "第一期"} {
			c.Title = title
			if err := s.AddClip(t.Context(), c, bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := s.Clip(t.Context(), c.ID)
		if err != nil || got.Title != "第一期" || got.Size != 5 || !slices.Equal(got.Tags, []string{"a"}) {
			t.Errorf("%+v, %v", got, err)
		}
		f, err := s.OpenClip(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if b, err := io.ReadAll(f); err != nil || string(b) != "sound" {
			t.Errorf("%q, %v", b, err)
		}
		for _, id := range []playlist.ClipID{"../../etc/passwd", "", clipID(1)} {
			if _, err := s.OpenClip(id); err == nil {
				t.Errorf("%q opens", id)
			}
		}
		if err := s.VerifyClip(t.Context(), c.ID); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(s.ClipPath(c.ID), []byte("saund"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyClip(t.Context(), c.ID); !errors.Is(err, store.ErrWrongHash) {
			t.Errorf("damaged: %v", err)
		}
		if err := os.Remove(s.ClipPath(c.ID)); err != nil {
			t.Fatal(err)
		}
		if lost, _, err := s.Clip(t.Context(), c.ID); lost.Title != got.Title || !errors.Is(err, store.ErrNotFound) {
			t.Errorf("lost: %+v, %v", lost, err)
		}
		if err := s.AddClip(t.Context(), c, bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		src := playlist.ClipSource{Path: "/a", Size: 5, MTime: morning, SHA256: "ff", Recipe: "r"}
		if err := s.NoteSource(t.Context(), src, c.ID); err != nil {
			t.Fatal(err)
		}
		for _, q := range []struct {
			name string
			src  playlist.ClipSource
			ok   bool
		}{
			{"the same", playlist.ClipSource{Path: "/a", Size: 5, MTime: morning, Recipe: "r"}, true},
			{"elsewhere, by its hash", playlist.ClipSource{Path: "/b", SHA256: "ff", Recipe: "r"}, true},
			{"another recipe", playlist.ClipSource{Path: "/a", Size: 5, MTime: morning, Recipe: "s"}, false},
			{"changed", playlist.ClipSource{Path: "/a", Size: 6, MTime: morning, Recipe: "r"}, false},
		} {
			if id, ok, err := s.SourceKnown(t.Context(), q.src); err != nil || ok != q.ok || ok && id != c.ID {
				t.Errorf("%s: %s %v %v", q.name, id, ok, err)
			}
		}
	})
}

// believed are the facts of a message that is to sound.
var believed = emergency.Facts{Unsigned: true, Concerned: true, Drills: true}

func TestAlertsAreKeptOnceAndRetiredBeforeTheyCome(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		alert := func(id playlist.AlertID, kind emergency.Kind, refs ...playlist.AlertID) store.Alert {
			return store.Alert{
				Alert: emergency.Alert{ID: id, Kind: kind, Class: emergency.ClassEmergency, Sent: morning, Refs: refs}, Received: morning, Source: "ebd",
				State: emergency.StateWaiting, Raw: []byte{0, 1}, Ends: morning.Add(time.Hour), Detail: store.AlertDetail{Scopes: []playlist.Scope{"area:341523000000"}},
			}
		}
		add := func(a store.Alert, targets ...store.Target) (store.Alert, []store.Alert) {
			t.Helper()
			facts := believed
			facts.Vouched = a.Source == store.FromLink
			kept, ended, err := s.AddAlert(t.Context(), a, facts, targets)
			if err != nil {
				t.Fatal(err)
			}
			return kept, ended
		}
		cancel := alert("cancel", emergency.KindCancel, "late", "x", "")
		cancel.State = emergency.StateLogged
		if kept, ended := add(cancel); kept.State != emergency.StateLogged || len(ended) != 0 {
			t.Errorf("%s, ended %+v", kept.State, ended)
		}
		if kept, _ := add(alert("late", emergency.KindRequest), store.Target{Controller: "c1"}); kept.State != emergency.StateCancelled || kept.Detail.By != "cancel" {
			t.Errorf("retired before it came, it is %s by %q", kept.State, kept.Detail.By)
		}
		if _, _, err := s.AddAlert(t.Context(), alert("late", emergency.KindRequest), believed, nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("twice: %v", err)
		}
		got, err := s.Alert(t.Context(), "late")
		if err != nil || got.State != emergency.StateCancelled || got.Detail.By != "cancel" || !bytes.Equal(got.Raw, []byte{0, 1}) || !got.Ends.Equal(morning.Add(time.Hour)) {
			t.Errorf("%+v, %v", got, err)
		}
		if to, err := s.Targets(t.Context(), "late"); err != nil || len(to) != 0 {
			t.Errorf("what never sounds is for %+v, %v", to, err)
		}

		// What is in force ends with the message that names it, in CAP 1.0 without
		// its time.
		add(alert("first", emergency.KindRequest))
		add(alert("met,two,2026-11-26T07:30:00+08:00", emergency.KindRequest))
		add(alert("met,two,", emergency.KindRequest))
		update, ended := add(alert("update", emergency.KindUpdate, "first", "update", "met,two,"), store.Target{Controller: "c1", Online: true})
		if len(ended) != 3 || ended[0].State != emergency.StateCancelled || ended[0].Why != string(emergency.ReasonSuperseded) || ended[0].Detail.By != "update" {
			t.Errorf("ended %+v", ended)
		}
		if in, err := s.AlertsInForce(t.Context()); err != nil || len(in) != 1 || in[0].ID != update.ID {
			t.Errorf("in force %+v, %v", in, err)
		}
		add(alert("cap10", emergency.KindCancel, "met,three,"))
		if kept, _ := add(alert("met,three,2026-11-26T07:30:00+08:00", emergency.KindRequest)); kept.State != emergency.StateCancelled || kept.Detail.By != "cap10" {
			t.Errorf("named without its time before it came, it is %s by %q", kept.State, kept.Detail.By)
		}
		refused := alert("refused", emergency.KindCancel, "update")
		if kept, ended, err := s.AddAlert(t.Context(), refused, emergency.Facts{Concerned: true}, nil); err != nil || kept.State != emergency.StateRefused || len(ended) != 0 {
			t.Errorf("an unsigned message is %s and ended %+v, %v", kept.State, ended, err)
		}

		// An update that moves an alert away, or says that it is over, ends it
		// here, unless it is a replay.
		counted := alert("counted", emergency.KindRequest)
		counted.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "mover", Counter: 7}
		add(counted)
		for i, why := range []emergency.Reason{emergency.ReasonArea, emergency.ReasonExpired} {
			old, _ := add(alert(playlist.AlertID("old"+why), emergency.KindRequest))
			moved := alert(playlist.AlertID("moved"+why), emergency.KindUpdate, old.ID)
			moved.Signature = counted.Signature
			facts := believed
			facts.Concerned, facts.Expired = why != emergency.ReasonArea, why == emergency.ReasonExpired
			if kept, ended, err := s.AddAlert(t.Context(), moved, facts, nil); err != nil || len(ended) != 0 || kept.Why != string(emergency.ReasonReplay) {
				t.Errorf("%s: a replay is refused for %s and ended %+v, %v", why, kept.Why, ended, err)
			}
			moved.ID, moved.Signature.Counter = "anew"+moved.ID, uint32(8+i)
			weighed, err := s.WeighAlert(t.Context(), moved, facts)
			if err != nil || weighed.Why != string(why) {
				t.Errorf("%s: weighed as %s, %v", why, weighed.Why, err)
			}
			if kept, ended, err := s.AddAlert(t.Context(), moved, facts, nil); err != nil || len(ended) != 1 || ended[0].ID != old.ID || kept.Why != string(why) {
				t.Errorf("%s: refused for %s it ended %+v, %v", why, kept.Why, ended, err)
			}
		}

		// A test or a drill ends no emergency, nor one that has yet to come, and
		// is in no real cancel's way.
		add(alert("real", emergency.KindRequest))
		drill := alert("drill", emergency.KindRequest)
		drill.Class = emergency.ClassDrillActual
		add(drill)
		for _, class := range []emergency.Class{emergency.ClassTest, emergency.ClassDrillActual} {
			a := alert(playlist.AlertID(class), emergency.KindCancel, "real", "drill", "real later", "real last", "drill later")
			a.State, a.Class = emergency.StateLogged, class
			if _, ended := add(a); class == emergency.ClassTest && (len(ended) != 1 || ended[0].ID != "drill") || class != emergency.ClassTest && len(ended) != 0 {
				t.Errorf("a cancel of class %s ended %+v", class, ended)
			}
		}
		if kept, _ := add(alert("real later", emergency.KindRequest)); kept.State != emergency.StateWaiting {
			t.Errorf("an emergency that tests had named is %s", kept.State)
		}
		drill.ID = "drill later"
		if kept, _ := add(drill); kept.State != emergency.StateCancelled || kept.Detail.By != playlist.AlertID(emergency.ClassTest) {
			t.Errorf("a drill cancelled before it came is %s by %q", kept.State, kept.Detail.By)
		}
		cancel = alert("in earnest", emergency.KindCancel, "real last")
		cancel.State = emergency.StateLogged
		add(cancel)
		if kept, _ := add(alert("real last", emergency.KindRequest)); kept.State != emergency.StateCancelled || kept.Detail.By != "in earnest" {
			t.Errorf("an emergency cancelled before it came is %s by %q", kept.State, kept.Detail.By)
		}

		for range 2 {
			if err := s.Delivered(t.Context(), "c1", []playlist.AlertID{"update", "unheard-of"}, []store.Standing{{Alert: "update", State: emergency.StateRefused, Why: emergency.ReasonArea}}); err != nil {
				t.Fatal(err)
			}
		}
		if to, err := s.Targets(t.Context(), "update"); err != nil || len(to) != 1 || !to[0].Online || to[0].Delivered.IsZero() {
			t.Errorf("%+v, %v", to, err)
		}

		if changed, err := s.ChangeAlert(t.Context(), "update", func(a *store.Alert) bool { a.Why = "no"; return false }); changed || err != nil {
			t.Errorf("changed %v, %v", changed, err)
		}
		if changed, err := s.ChangeAlert(t.Context(), "update", func(a *store.Alert) bool { a.State, a.Why = emergency.StateDone, "yes"; return true }); !changed || err != nil {
			t.Errorf("changed %v, %v", changed, err)
		}
		if got, err := s.Alert(t.Context(), "update"); err != nil || got.State != emergency.StateDone || got.Why != "yes" {
			t.Errorf("%+v, %v", got, err)
		}
		if changed, err := s.ChangeAlert(t.Context(), "stranger", func(*store.Alert) bool { return true }); changed || !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a stranger: %v, %v", changed, err)
		}

		for i, c := range []struct {
			key     string
			counter uint32
			source  string
			ok      bool
		}{
			{"", 5, "ebd", true}, {"", 5, "ebd", false}, {"", 4, "ebd", false}, {"", 4, store.FromLink, true}, {"", 6, "ebd", true},
			{"north", 6, "ebd", false}, // as the program one version back has kept it, by the number alone
			{"north", 7, "ebd", true}, {"north", 7, "ebd", false}, {"north", 0, "ebd", false}, {"north", 1<<32 - 1, "ebd", true},
			{"south", 8, "ebd", true}, {"south", 8, "ebd", false}, // of another authority, with the same number
			{"", 1<<32 - 1, "ebd", true},
		} {
			a := alert(playlist.AlertID(fmt.Sprint("signed", i)), emergency.KindRequest)
			a.Source = c.source
			a.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "cert", Key: c.key, Counter: c.counter}
			kept, _ := add(a)
			if ok := kept.State == emergency.StateWaiting; ok != c.ok || !ok && (kept.Why != string(emergency.ReasonReplay) || kept.Detail.Scopes != nil) {
				t.Errorf("counter %d of %q: %s %s", c.counter, c.key, kept.State, kept.Why)
			}
		}
		// What was refused is in nobody's way, unless it was a replay.
		addController(t, s, "c2", "341523100202")
		for _, c := range []struct {
			why     emergency.Reason
			kind    emergency.Kind
			counter uint32
			now     emergency.State
			ok      bool
		}{
			{emergency.ReasonSignature, emergency.KindRequest, 1, emergency.StateWaiting, true},
			{emergency.ReasonUnsigned, emergency.KindCancel, 2, emergency.StateLogged, true},
			{emergency.ReasonSignature, emergency.KindRequest, 1, emergency.StateWaiting, false}, // overtaken meanwhile
			{emergency.ReasonReplay, emergency.KindRequest, 2, emergency.StateWaiting, false},
			{emergency.ReasonDrill, emergency.KindRequest, 3, emergency.StateRefused, false},
			{emergency.ReasonArea, emergency.KindUpdate, 4, emergency.StateWaiting, true}, // which has spent it
			{emergency.ReasonArea, emergency.KindUpdate, 4, emergency.StateWaiting, false},
		} {
			a := alert(playlist.AlertID(fmt.Sprint("forged", c.why, c.counter, c.ok)), c.kind)
			a.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "forger's victim", Counter: c.counter}
			first, then := believed, believed
			forged := a
			forged.Source = "cap"
			switch c.why {
			case emergency.ReasonSignature:
				forged.Signature = emergency.Signature{State: emergency.SignatureBad}
			case emergency.ReasonUnsigned:
				forged.Signature, first.Unsigned = emergency.Signature{State: emergency.SignatureAbsent}, false
			case emergency.ReasonDrill:
				a.Class, forged.Class, first.Drills, then.Drills = emergency.ClassDrillActual, emergency.ClassDrillActual, false, false
			case emergency.ReasonArea:
				first.Concerned = false
			}
			before, _, err := s.AddAlert(t.Context(), forged, first, nil)
			if err != nil || before.State != emergency.StateRefused {
				t.Fatalf("%s, want it refused for %s, %v", before.State, c.why, err)
			}
			kept, _, err := s.AddAlert(t.Context(), a, then, []store.Target{{Controller: "c2"}})
			if ok := err == nil && kept.State == c.now; ok != c.ok || !ok && !errors.Is(err, store.ErrConflict) {
				t.Errorf("refused for %s, then %s: %s, %v", c.why, c.now, kept.State, err)
			}
			want := before
			if c.ok {
				want = kept
			}
			got, err := s.Alert(t.Context(), a.ID)
			if err != nil || got.State != want.State || got.Why != want.Why || got.Source != want.Source {
				t.Errorf("refused for %s, then %s: kept as %+v, %v", c.why, c.now, got, err)
			}
			if to, err := s.Targets(t.Context(), a.ID); err != nil || len(to) == 1 != (c.ok && c.now == emergency.StateWaiting) {
				t.Errorf("refused for %s, then %s: for %+v, %v", c.why, c.now, to, err)
			}
			if _, _, err := s.AddAlert(t.Context(), a, then, nil); !errors.Is(err, store.ErrConflict) {
				t.Errorf("refused for %s, then %s, once more: %v", c.why, c.now, err)
			}
		}
		for want := uint32(1); want < 4; want++ {
			if n, err := s.NextCounter(t.Context(), "own"); err != nil || n != want {
				t.Errorf("own counter %d, want %d, %v", n, want, err)
			}
		}
		if err := s.LogEBD(t.Context(), store.EBD{ID: "e", Type: "EBM", Raw: []byte{9}}); err != nil {
			t.Fatal(err)
		}
		if log, err := s.EBDs(t.Context(), 5); err != nil || len(log) != 1 || log[0].Out {
			t.Errorf("%+v, %v", log, err)
		}
	})
}

// Replicas have one database, and none may undo what another has just done.
func TestTwoProcessesChangeAlertsBesideEachOther(t *testing.T) {
	o := options(t, "postgres")
	one := open(t, o)
	o.Dir = t.TempDir()
	two := open(t, o)
	both := []*store.Store{one, two}
	const n = 40
	alert := func(id playlist.AlertID, kind emergency.Kind, refs ...playlist.AlertID) store.Alert {
		return store.Alert{Alert: emergency.Alert{ID: id, Kind: kind, Class: emergency.ClassEmergency, Sent: morning, Refs: refs}, Received: morning, State: emergency.StateWaiting, Ends: morning.Add(time.Hour)}
	}
	if _, _, err := one.AddAlert(t.Context(), alert("counted", emergency.KindRequest), believed, nil); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var issued atomic.Int64
	do := func(f func() error) {
		work.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range n {
		a := playlist.AlertID(fmt.Sprint("a", i))
		for j, s := range both {
			do(func() error {
				_, err := s.ChangeAlert(t.Context(), "counted", func(a *store.Alert) bool { a.Detail.Told.Started++; return true })
				return err
			})
			do(func() error { // an alert by one process, its cancel by the other
				msg := alert(a, emergency.KindRequest)
				if j == i%2 {
					msg = alert("cancel of "+a, emergency.KindCancel, a)
					msg.State = emergency.StateLogged
				}
				_, _, err := s.AddAlert(t.Context(), msg, believed, nil)
				return err
			})
			do(func() error {
				err := s.AddEnvelope(t.Context(), store.Envelope{Kind: "alerts", Scope: "area:341523000000", Version: int64(i + 1), Bytes: []byte{1}})
				if errors.Is(err, store.ErrStale) {
					return nil
				}
				issued.Add(1)
				return err
			})
		}
	}
	work.Wait()
	got, err := two.Alert(t.Context(), "counted")
	if err != nil || got.Detail.Told.Started != 2*n {
		t.Errorf("%d of %d changes stand, %v", got.Detail.Told.Started, 2*n, err)
	}
	if in, err := two.AlertsInForce(t.Context()); err != nil || len(in) != 1 {
		t.Errorf("%d are in force beside the one that nobody cancelled: %+v, %v", len(in)-1, in, err)
	}
	if all, err := two.Versions(t.Context(), "alerts", "area:341523000000"); err != nil || int64(len(all)) != issued.Load() || all[0].Version != n {
		t.Errorf("%d versions kept, %d said to be, %v", len(all), issued.Load(), err)
	}
}

// A process that hangs with the lock in its hand, as one whose machine is
// paused or cut off, must not keep the others from an alert.
func TestAProcessThatHangsIsOvertaken(t *testing.T) {
	o := options(t, "postgres")
	well := open(t, o)
	o.Dir = t.TempDir()
	o.URL += "&idle_in_transaction_session_timeout=1s"
	// On a slow machine its second may be over before it is to hang: then again.
	end := time.Now().Add(patience)
	hung, err := store.Open(t.Context(), o)
	for err != nil && time.Now().Before(end) {
		hung, err = store.Open(t.Context(), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hung.Close() })
	msg := store.Alert{Alert: emergency.Alert{ID: "a", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Sent: morning}, Received: morning, State: emergency.StateWaiting, Ends: morning.Add(time.Hour)}
	if _, _, err := well.AddAlert(t.Context(), msg, believed, nil); err != nil {
		t.Fatal(err)
	}
	within, wake := make(chan struct{}), make(chan struct{})
	late := make(chan error, 1)
	go func() {
		for hangs := false; ; {
			_, err := hung.ChangeAlert(t.Context(), "a", func(a *store.Alert) bool {
				hangs = true
				close(within)
				<-wake
				a.Detail.Told.Started = 1
				return true
			})
			if hangs || time.Now().After(end) {
				late <- err
				return
			}
		}
	}()
	select {
	case <-within:
	case err := <-late:
		t.Fatalf("it did not come to hang: %v", err)
	}
	msg.ID = "b"
	added := make(chan error, 1)
	go func() {
		_, _, err := well.AddAlert(t.Context(), msg, believed, nil)
		added <- err
	}()
	select {
	case err = <-added:
	case <-time.After(patience):
		err = fmt.Errorf("it still waits after %v", patience)
	}
	close(wake)
	if err != nil {
		t.Errorf("an alert, while another process hangs: %v", err)
	}
	if err := <-late; err == nil {
		t.Error("what was undone is said to be kept")
	}
	if a, err := hung.Alert(t.Context(), "a"); err != nil || a.Detail.Told.Started != 0 {
		t.Errorf("%+v, %v", a.Detail, err)
	}
}

func TestWhoWasRevokedStaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for _, at := range []time.Time{morning, morning.Add(time.Hour), morning.Add(time.Minute)} {
			if err := s.Revoke(t.Context(), "UA", at); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Revoke(t.Context(), "UB", morning); err != nil {
			t.Fatal(err)
		}
		all, err := s.Revoked(t.Context())
		if err != nil || len(all) != 2 || !all["UA"].Equal(morning.Add(time.Hour)) || !all["UB"].Equal(morning) {
			t.Errorf("%v, %v", all, err)
		}
	})
}

func TestEventsAreKeptOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		e := []link.Event{{At: morning, Level: 8, Message: "card gone", Attrs: map[string]any{"a": 1}, Boot: "b", MonoMS: 5, ID: 1},
			{At: morning.Add(time.Second), Message: "card back", Boot: "b", MonoMS: 6, ID: 2}}
		for range 2 {
			if err := s.AddEvents(t.Context(), "c1", e); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Events(t.Context(), "c1", 10)
		if err != nil || len(got) != 2 || got[0].Message != "card gone" || got[0].Level != 8 || string(got[0].Attrs) != `{"a":1}` {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestPasswordsAndSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		if err := s.SetAdmin(t.Context(), "admin", "correct horse"); err != nil {
			t.Fatal(err)
		}
		in := time.Now().Add(time.Hour)
		for _, c := range []struct{ name, password string }{{"admin", "wrong"}, {"admin", ""}, {"nobody", ""}} {
			if _, err := s.Login(t.Context(), c.name, c.password, in); !errors.Is(err, store.ErrDenied) {
				t.Errorf("%+v: %v", c, err)
			}
		}
		token, err := s.Login(t.Context(), "admin", "correct horse", in)
		if err != nil {
			t.Fatal(err)
		}
		if who, err := s.Session(t.Context(), token); err != nil || who != "admin" {
			t.Error(who, err)
		}
		if err := s.SetAdmin(t.Context(), "admin", "another horse"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(t.Context(), token); !errors.Is(err, store.ErrDenied) {
			t.Errorf("a session outlives its password: %v", err)
		}
		old, err := s.Login(t.Context(), "admin", "another horse", time.Now().Add(-time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(t.Context(), old); !errors.Is(err, store.ErrDenied) {
			t.Errorf("a session outlives its time: %v", err)
		}
	})
}

// The other tests set theirs at next to no cost.
func TestAPasswordTakesItsTimeToGuess(t *testing.T) {
	defer store.AtFullCost()()
	s := open(t, options(t, "sqlite"))
	if err := s.SetAdmin(t.Context(), "admin", "correct horse"); err != nil {
		t.Fatal(err)
	}
	hash, err := store.Hash(t.Context(), s, "admin")
	if want := "argon2id$2$65536$2$"; err != nil || !strings.HasPrefix(hash, want) {
		t.Errorf("%q is kept, %v; want %s...", hash, err, want)
	}
	if _, err := s.Login(t.Context(), "admin", "correct horse", time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestACopyAnswersTheSame(t *testing.T) {
	from := open(t, options(t, "sqlite"))
	o := options(t, "postgres")
	o.Dir = from.Dir()
	to := open(t, o)
	addController(t, from, "c1", "341523100201", store.Output{Name: "村口", Area: "341523100201", Residents: 100})
	var rows []asrun.Row
	for day := range 300 {
		rows = append(rows, row("早", morning.AddDate(0, 0, day), "村口", day%7, asrun.Complete))
	}
	addReceipts(t, from, "c1", "e", receipts(1, rows...))
	if err := from.AddEnvelope(t.Context(), store.Envelope{Kind: "trust", Version: 1, Digest: "d", Bytes: []byte{0, 255}}); err != nil {
		t.Fatal(err)
	}
	if err := from.SetSetting(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	copied, err := store.Copy(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copied {
		if want := map[string]int64{"receipt": 300, "controller": 1, "output": 1, "envelope": 1}[c.Table]; want != 0 && c.Rows != want {
			t.Errorf("%s: %d rows, want %d", c.Table, c.Rows, want)
		}
	}
	for _, by := range []store.Grouping{store.ByClip, store.ByDay, store.ByArea} {
		a, aerr := from.Reach(t.Context(), store.ReachQuery{By: by})
		b, berr := to.Reach(t.Context(), store.ReachQuery{By: by})
		if err := errors.Join(aerr, berr); err != nil {
			t.Fatal(err)
		}
		if a.Total != b.Total || !slices.Equal(a.Lines, b.Lines) {
			t.Errorf("by %s: %+v, copied %+v", by, a, b)
		}
	}
	// It goes on where the other was.
	addController(t, to, "c2", "341523100201")
	addReceipts(t, to, "c2", "of c2", receipts(1, row("晚", morning, "新的", 90, asrun.Complete)))
	if mark := addReceipts(t, to, "c1", "e", receipts(301, row("早", morning.AddDate(0, 0, 300), "村口", 1, asrun.Complete))); mark != 301 {
		t.Errorf("mark %d", mark)
	}
	if got := total(t, to, store.ReachQuery{}); got.Planned != 302 {
		t.Errorf("%+v", got)
	}
	if _, err := store.Copy(t.Context(), from, to); !errors.Is(err, store.ErrConflict) {
		t.Errorf("onto what is there: %v", err)
	}
}

func TestWhatWasWrittenIsThereAfterARestart(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			addController(t, s, "c1", "341523100201")
			addReceipts(t, s, "c1", "e", receipts(1, row("早", morning, "村口", 1, asrun.Complete)))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.SetSetting(t.Context(), "k", "v"); err == nil {
				t.Error("a closed store takes writes")
			}
			s = open(t, o)
			if mark, _, err := s.Mark(t.Context(), "c1", "e"); err != nil || mark != 1 {
				t.Errorf("mark %d, %v", mark, err)
			}
			if mark := addReceipts(t, s, "c1", "e", receipts(2, row("早", morning.AddDate(0, 0, 1), "村口", 1, asrun.Complete))); mark != 2 {
				t.Errorf("mark %d", mark)
			}
			if got := total(t, s, store.ReachQuery{}); got.Planned != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestASeriesHasTheClipThatReplacedAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		add := func(content string) playlist.ClipID {
			h := sha256.Sum256([]byte(content))
			c := playlist.Clip{ID: playlist.ClipID(hex.EncodeToString(h[:])), Title: "洗手", Series: "健康", Issue: 3, Frames: 9}
			if err := s.AddClip(t.Context(), c, strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			return c.ID
		}
		old, anew := add("old"), add("new")
		replace := func(old, by playlist.ClipID) {
			t.Helper()
			if err := s.ReplaceClip(t.Context(), old, by); err != nil {
				t.Fatal(err)
			}
		}
		series := func() (ids []playlist.ClipID) {
			t.Helper()
			all, err := s.Clips(t.Context(), "健康")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				ids = append(ids, c.ID)
			}
			return ids
		}
		if got := series(); len(got) != 2 {
			t.Errorf("before: %v", got)
		}
		replace(old, anew)
		if got := series(); len(got) != 1 || got[0] != anew {
			t.Errorf("replaced: %v", got)
		}
		replace(anew, old) // and back
		if got := series(); len(got) != 1 || got[0] != old {
			t.Errorf("and back: %v", got)
		}
		if all, err := s.Clips(t.Context(), ""); len(all) != 2 || err != nil {
			t.Errorf("the library: %v, %v", all, err)
		}
		if shelf, err := s.Shelf(t.Context(), "健康"); len(shelf) != 2 || shelf[0].Added.IsZero() || err != nil {
			t.Errorf("the shelf: %v, %v", shelf, err)
		}
	})
}

func TestACopyLeavesNothingOut(t *testing.T) {
	missing, err := store.Uncopied(t.Context(), open(t, options(t, "sqlite")))
	if own := []string{"added.number"}; err != nil || !slices.Equal(missing, own) { // the migrations that a store has
		t.Errorf("not copied: %q, %v; want %q", missing, err, own)
	}
}

func TestAlertsBetweenTwoInstants(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for i, id := range []playlist.AlertID{"third", "first", "second"} {
			a := store.Alert{Alert: emergency.Alert{ID: id, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Sent: morning}, Source: "ebd", Ends: morning.Add(time.Hour)}
			a.Received = morning.Add(time.Duration((i+2)%3) * time.Hour)
			if _, _, err := s.AddAlert(t.Context(), a, believed, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			name     string
			from, to time.Time
			want     string
		}{
			{"no bounds", time.Time{}, time.Time{}, "first second third"},
			{"from the instant on", morning.Add(time.Hour), time.Time{}, "second third"},
			{"before the instant", time.Time{}, morning.Add(2 * time.Hour), "first second"},
			{"between", morning.Add(time.Hour), morning.Add(2 * time.Hour), "second"},
		} {
			all, err := s.AlertsBetween(t.Context(), c.from, c.to)
			var ids []string
			for _, a := range all {
				ids = append(ids, string(a.ID))
			}
			if got := strings.Join(ids, " "); err != nil || got != c.want {
				t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
			}
		}
	})
}
