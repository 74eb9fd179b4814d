package playlist

// MayRetire reports whether an update or a cancel may end an alert that it
// names. A drill or a test, what is not for the public and what has nothing to
// say end no emergency; what is none, any of them may end: a drill's cancel its
// drill, whatever either calls the drill.
func (a Alert) MayRetire(old Alert) bool {
	if old.Class != AlertEmergency {
		return true
	}
	switch a.Class {
	case AlertTest, AlertDrillSystem, AlertDrillSimulated, AlertDrillActual, AlertNotPublic:
		return false
	}
	return !a.Silent
}

// retiresAll reports whether there is nothing that the message may not end.
func (a Alert) retiresAll() bool { return a.MayRetire(Alert{Class: AlertEmergency}) }
