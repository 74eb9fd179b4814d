package emergency_test

import (
	"testing"

	"dalaba/playlist/emergency"
)

// One decision, whichever side decides: of several reasons the same is told.
func TestOfSeveralReasonsTheFirstIsTold(t *testing.T) {
	all := []struct {
		reason emergency.Reason
		state  emergency.State
		holds  func(*emergency.Alert, *emergency.Facts)
	}{
		{emergency.ReasonSignature, emergency.StateRefused, func(a *emergency.Alert, _ *emergency.Facts) { a.Signature.State = emergency.SignatureBad }},
		{emergency.ReasonReplay, emergency.StateRefused, func(a *emergency.Alert, f *emergency.Facts) { f.Replayed = true }},
		{emergency.ReasonSuperseded, emergency.StateCancelled, func(a *emergency.Alert, f *emergency.Facts) { f.Retired = emergency.ReasonSuperseded }},
		{emergency.ReasonSilent, emergency.StateLogged, func(a *emergency.Alert, f *emergency.Facts) { a.Silent = true }},
		{emergency.ReasonArea, emergency.StateRefused, func(a *emergency.Alert, f *emergency.Facts) { f.Concerned = false }},
		{emergency.ReasonExpired, emergency.StateRefused, func(a *emergency.Alert, f *emergency.Facts) { f.Expired = true }},
		{emergency.ReasonDrill, emergency.StateRefused, func(a *emergency.Alert, f *emergency.Facts) { f.Drills = false }},
	}
	for i := range all {
		a := message("A").Alert
		a.Class, a.Signature.State = emergency.ClassDrillActual, emergency.SignatureVerified
		f := emergency.Facts{Concerned: true, Drills: true}
		for _, c := range all[i:] {
			c.holds(&a, &f)
		}
		if state, reason := emergency.Decide(a, f); state != all[i].state || reason != all[i].reason {
			t.Errorf("%s (%s), want %s (%s)", state, reason, all[i].state, all[i].reason)
		}
	}
}
