package emergency_test

import (
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func TestOnlyWhatIsMeantInEarnestEndsAnEmergency(t *testing.T) {
	for _, c := range []struct {
		class, old emergency.Class
		silent     bool
		want       bool
	}{
		{emergency.ClassEmergency, emergency.ClassEmergency, false, true},
		{emergency.ClassDaily, emergency.ClassEmergency, false, true},
		{emergency.ClassEmergency, emergency.ClassEmergency, true, false},
		{emergency.ClassTest, emergency.ClassEmergency, true, false},
		{emergency.ClassDrillSystem, emergency.ClassEmergency, false, false},
		{emergency.ClassDrillSimulated, emergency.ClassEmergency, false, false},
		{emergency.ClassDrillActual, emergency.ClassEmergency, false, false},
		{emergency.ClassNotPublic, emergency.ClassEmergency, false, false},
		{emergency.ClassTest, emergency.ClassTest, true, true},
		{emergency.ClassDrillActual, emergency.ClassDrillSimulated, false, true},
		{emergency.ClassEmergency, emergency.ClassDrillActual, false, true},
		{emergency.ClassNotPublic, emergency.ClassNotPublic, true, true},
	} {
		a, old := emergency.Alert{Class: c.class, Silent: c.silent}, emergency.Alert{Class: c.old}
		if got := a.MayRetire(old); got != c.want {
			t.Errorf("%s (silent %v) ends %s: %v", c.class, c.silent, c.old, got)
		}
	}
}

// An empty reference, as broken senders write them, means no alert.
func TestAnEmptyReferenceRetiresNothing(t *testing.T) {
	b := emergency.NewBook(nil, nil)
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b.Receive(message("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{""} }), p)
	if got := b.Receive(message("A"), p).Records[0]; got.State != emergency.StateWaiting {
		t.Errorf("%s (%s)", got.State, got.Reason)
	}
}
