package playlist_test

import (
	"testing"

	"dalaba/playlist"
)

func TestOnlyWhatIsMeantInEarnestEndsAnEmergency(t *testing.T) {
	for _, c := range []struct {
		class, old playlist.AlertClass
		silent     bool
		want       bool
	}{
		{playlist.AlertEmergency, playlist.AlertEmergency, false, true},
		{playlist.AlertDaily, playlist.AlertEmergency, false, true},
		{playlist.AlertEmergency, playlist.AlertEmergency, true, false},
		{playlist.AlertTest, playlist.AlertEmergency, true, false},
		{playlist.AlertDrillSystem, playlist.AlertEmergency, false, false},
		{playlist.AlertDrillSimulated, playlist.AlertEmergency, false, false},
		{playlist.AlertDrillActual, playlist.AlertEmergency, false, false},
		{playlist.AlertNotPublic, playlist.AlertEmergency, false, false},
		{playlist.AlertTest, playlist.AlertTest, true, true},
		{playlist.AlertDrillActual, playlist.AlertDrillSimulated, false, true},
		{playlist.AlertEmergency, playlist.AlertDrillActual, false, true},
		{playlist.AlertNotPublic, playlist.AlertNotPublic, true, true},
	} {
		a, old := playlist.Alert{Class: c.class, Silent: c.silent}, playlist.Alert{Class: c.old}
		if got := a.MayRetire(old); got != c.want {
			t.Errorf("%s (silent %v) ends %s: %v", c.class, c.silent, c.old, got)
		}
	}
}
