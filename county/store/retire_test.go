package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// said is a message that came by a way, from a sender, signed or not.
func said(id playlist.AlertID, source, sender string, signed bool, refs ...playlist.AlertID) store.Alert {
	a := store.Alert{
		Alert: emergency.Alert{
			ID: id, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Sender: sender, Sent: morning,
			Texts: []emergency.Text{{Language: "zh-CN", Text: "撤离"}}, Signature: emergency.Signature{State: emergency.SignatureAbsent}, Refs: refs,
		},
		Received: morning, Source: source, Raw: []byte(source), Ends: morning.Add(time.Hour), Detail: store.AlertDetail{Scopes: []playlist.Scope{"area:341523000000"}},
	}
	if signed {
		a.Signature = emergency.Signature{State: emergency.SignatureVerified, By: sender}
	}
	if len(refs) > 0 {
		a.Kind = emergency.KindCancel
	}
	return a
}

func factsOf(a store.Alert) emergency.Facts {
	f := believed
	f.Vouched, f.Retirers = a.Source == store.FromHand, []string{"duty"}
	return f
}

func TestWhoMayEndAnAlertAtTheCounty(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		take := func(a store.Alert) store.Alert {
			t.Helper()
			kept, _, err := s.AddAlert(t.Context(), a, factsOf(a), nil)
			if err != nil {
				t.Fatal(err)
			}
			return kept
		}
		for i, c := range []struct {
			name              string
			source, sender    string
			signed            bool
			endSource, ending string
			endSigned         bool
			ended             bool
		}{
			{"its sender, both signed", "ebd", "met", true, "ebd", "met", true, true},
			{"its sender, unsigned, of a signed one", "ebd", "met", true, "cap", "met", false, false},
			{"its sender, signed, of an unsigned one", "cap", "met", false, "ebd", "met", true, true},
			{"another, both signed", "ebd", "met", true, "ebd", "fire", true, false},
			{"one that the config names", "ebd", "met", true, "ebd", "duty", true, true},
			{"one that the config names, unsigned, of a signed one", "ebd", "met", true, "cap", "duty", false, false},
			{"an operator", "ebd", "met", true, store.FromHand, "county", false, true},
			{"the sender, of what an operator wrote", store.FromHand, "county", false, "ebd", "county", true, false},
		} {
			for _, first := range []bool{true, false} {
				id := playlist.AlertID(fmt.Sprint("alert", i, first))
				by := "end " + id
				stranger := said("stranger "+id, "cap", "x", false, id)
				a, end := said(id, c.source, c.sender, c.signed), said(by, c.endSource, c.ending, c.endSigned, id)
				if first {
					take(a)
					take(stranger)
					take(end)
				} else {
					take(stranger)
					take(end)
					take(a)
				}
				got, err := s.Alert(t.Context(), id)
				if ended := got.State == emergency.StateCancelled; err != nil || ended != c.ended || ended && got.Detail.By != by {
					t.Errorf("%s, the alert first %v: %s by %q (%v)", c.name, first, got.State, got.Detail.By, err)
				}
				if kept, err := s.Alert(t.Context(), by); err != nil || first && len(kept.Detail.Spared) > 0 == c.ended {
					t.Errorf("%s: spared %q (%v)", c.name, kept.Detail.Spared, err)
				}
			}
		}
	})
}

func TestABetterProvenCopyTakesThePlaceOfAWeakerOneAtTheCounty(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		targets := []store.Target{{Controller: "c1"}}
		add := func(a store.Alert) (store.Alert, []store.Alert, error) {
			return s.AddAlert(t.Context(), a, factsOf(a), targets)
		}
		for _, id := range []playlist.AlertID{"same", "other"} {
			if kept, _, err := add(said(id, "cap", "met", false)); err != nil || kept.State != emergency.StateWaiting {
				t.Fatalf("%s, %v", kept.State, err)
			}
			_, err := s.ChangeAlert(t.Context(), id, func(a *store.Alert) bool {
				a.State, a.Detail.NoClip = emergency.StateAiring, "kept"
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// It says the same: nothing but its proof is new.
		same := said("same", "ebd", "met", true)
		if _, err := s.WeighAlert(t.Context(), same, factsOf(same)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("weighed: %v", err)
		}
		if _, ended, err := add(same); !errors.Is(err, store.ErrConflict) || len(ended) > 0 {
			t.Errorf("ended %+v, %v", ended, err)
		}
		got, err := s.Alert(t.Context(), "same")
		if err != nil || got.State != emergency.StateAiring || got.Detail.NoClip != "kept" || got.Signature.State != emergency.SignatureVerified || got.Source != "ebd" || string(got.Raw) != "ebd" {
			t.Errorf("%+v, %v", got, err)
		}
		if to, err := s.Targets(t.Context(), "same"); err != nil || len(to) != 1 {
			t.Errorf("targets %+v, %v", to, err)
		}
		// It says something else: it takes the place.
		other := said("other", "ebd", "met", true)
		other.Texts = []emergency.Text{{Language: "zh-CN", Text: "留在屋里"}}
		kept, ended, err := add(other)
		if err != nil || kept.State != emergency.StateWaiting || len(ended) != 1 || ended[0].ID != "other" || ended[0].Texts[0].Text != "撤离" {
			t.Errorf("%s, ended %+v, %v", kept.State, ended, err)
		}
		if got, err := s.Alert(t.Context(), "other"); err != nil || got.Texts[0].Text != "留在屋里" || got.Detail.NoClip != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if in, err := s.AlertsInForce(t.Context()); err != nil || len(in) != 2 {
			t.Errorf("in force %+v, %v", in, err)
		}
		// A weaker copy, or one that is no better, changes nothing.
		for _, a := range []store.Alert{said("other", "cap", "met", false), said("other", "ebd", "met", true)} {
			if _, _, err := add(a); !errors.Is(err, store.ErrConflict) {
				t.Errorf("from %s: %v", a.Source, err)
			}
		}
	})
}

// What the program one version back has noted of a cancel that came first.
func TestWhatAnEarlierProgramRetiredAtTheCountyStaysRetired(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		cancel := said("cancel", "cap", "x", false, "late")
		if _, _, err := s.AddAlert(t.Context(), cancel, factsOf(cancel), nil); err != nil {
			t.Fatal(err)
		}
		if err := store.ForgetRetirements(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		late := said("late", "ebd", "met", true)
		if kept, _, err := s.AddAlert(t.Context(), late, factsOf(late), nil); err != nil || kept.State != emergency.StateCancelled || kept.Detail.By != "cancel" {
			t.Errorf("%s by %q, %v", kept.State, kept.Detail.By, err)
		}
	})
}

func TestAnAlertThatWaitsForAPerson(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		take := func(id playlist.AlertID, kind emergency.Kind, held time.Time, refs ...playlist.AlertID) store.Alert {
			t.Helper()
			a := store.Alert{Received: time.Now(), Ends: time.Now().Add(time.Hour), Source: "cap", Held: held, Alert: emergency.Alert{
				ID: id, Sender: "met", Kind: kind, Class: emergency.ClassEmergency, Level: emergency.Yellow, Refs: refs,
			}}
			kept, _, err := s.AddAlert(t.Context(), a, emergency.Facts{Unsigned: true, Concerned: true, Held: !held.IsZero()}, []store.Target{{Controller: "c1"}})
			if err != nil {
				t.Fatal(err)
			}
			return kept
		}
		until := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
		take("old", emergency.KindRequest, time.Time{})
		if a := take("new", emergency.KindUpdate, until, "old"); a.State != emergency.StateReview {
			t.Errorf("it is %s", a.State)
		}
		take("other", emergency.KindRequest, until.Add(-time.Second))
		names := func(all []store.Alert, err error) (ids []playlist.AlertID) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range all {
				ids = append(ids, a.ID)
			}
			return ids
		}
		if got := names(s.AlertsInForce(t.Context())); !slices.Equal(got, []playlist.AlertID{"old"}) {
			t.Errorf("in force: %v", got)
		}
		if got := names(s.AlertsInReview(t.Context())); !slices.Equal(got, []playlist.AlertID{"other", "new"}) {
			t.Errorf("waiting: %v", got)
		}
		if a, err := s.Alert(t.Context(), "new"); err != nil || a.State != emergency.StateReview || !a.Held.Equal(until) {
			t.Errorf("%s until %v, %v", a.State, a.Held, err)
		}
		// The program one version back has it sounded.
		if _, err := s.ChangeAlert(t.Context(), "old", func(a *store.Alert) bool {
			a.State, a.Held = emergency.StateAiring, until
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if got := names(s.AlertsInForce(t.Context())); !slices.Equal(got, []playlist.AlertID{"old"}) {
			t.Errorf("in force, taken up by an earlier program: %v", got)
		}
		refused := errors.New("not now")
		if _, _, err := s.EndReview(t.Context(), "new", nil, nil, func(*store.Alert) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("decided otherwise: %v", err)
		}
		release := func(a *store.Alert) error {
			a.State, a.Held = emergency.StateWaiting, time.Time{}
			return nil
		}
		kept, ended, err := s.EndReview(t.Context(), "new", nil, []store.Target{{Controller: "c1", Online: true}}, release)
		if err != nil || kept.State != emergency.StateWaiting || len(ended) != 1 || ended[0].ID != "old" {
			t.Errorf("released: %+v, ended %+v, %v", kept, ended, err)
		}
		if _, _, err := s.EndReview(t.Context(), "new", nil, nil, release); !errors.Is(err, store.ErrConflict) {
			t.Errorf("released again: %v", err)
		}
		if targets, err := s.Targets(t.Context(), "new"); err != nil || len(targets) != 1 || !targets[0].Online {
			t.Errorf("targets %+v, %v", targets, err)
		}
		take("cancel", emergency.KindCancel, time.Time{}, "other")
		if a, err := s.Alert(t.Context(), "other"); err != nil || a.State != emergency.StateCancelled || !a.Held.IsZero() {
			t.Errorf("cancelled: %s until %v, %v", a.State, a.Held, err)
		}
	})
}
