package store_test

import (
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// A store that was damaged must not keep the alerts quiet that it has whole.
func TestAnAlertThatCannotBeReadHidesNoOther(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for _, id := range []playlist.AlertID{"damaged", "whole"} {
			a := store.Alert{Received: time.Now(), Ends: time.Now().Add(time.Hour), Raw: []byte("as it came"), Alert: emergency.Alert{
				ID: id, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			}}
			if _, _, err := s.AddAlert(t.Context(), a, emergency.Facts{Vouched: true, Concerned: true}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Damage(t.Context(), s, "damaged"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			all, err := s.AlertsInForce(t.Context())
			if err != nil || len(all) != 1 || all[0].ID != "whole" || all[0].Raw != nil {
				t.Errorf("%+v, %v", all, err)
			}
		}
		if a, err := s.Alert(t.Context(), "whole"); err != nil || string(a.Raw) != "as it came" {
			t.Errorf("%q, %v", a.Raw, err)
		}
		if _, err := s.Alert(t.Context(), "damaged"); err == nil {
			t.Error("it can be read")
		}
		cancel := store.Alert{Received: time.Now(), Alert: emergency.Alert{ID: "cancel", Kind: emergency.KindCancel, Refs: []playlist.AlertID{"whole"}}}
		_, ended, err := s.AddAlert(t.Context(), cancel, emergency.Facts{Vouched: true}, nil)
		if err != nil || len(ended) != 1 {
			t.Errorf("a cancel: %d ended, %v", len(ended), err)
		}
	})
}
