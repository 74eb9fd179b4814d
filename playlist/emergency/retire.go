package emergency

// Retires reports whether a message ends the alerts that it refers to, given
// what was decided about it. An update does so too if it is for other places
// or over: then the alert before it is.
func (a Alert) Retires(state State, reason Reason) bool {
	switch a.Kind {
	case KindCancel:
		return state != StateRefused
	case KindUpdate:
		return state != StateRefused || reason == ReasonArea || reason == ReasonExpired
	}
	return false
}

// Ending is why an alert ends that the message retires.
func (k Kind) Ending() Reason {
	if k == KindUpdate {
		return ReasonSuperseded
	}
	return ReasonCancelled
}

// MayRetire reports whether an update or a cancel may end an alert that it
// refers to. A drill or a test, what is not for the public and what has
// nothing to say end no emergency; each of them may end what is none: a
// drill's cancel its drill, whatever class either of them names.
func (a Alert) MayRetire(old Alert) bool {
	if old.Class != ClassEmergency {
		return true
	}
	switch a.Class {
	case ClassTest, ClassDrillSystem, ClassDrillSimulated, ClassDrillActual, ClassNotPublic:
		return false
	}
	return !a.Silent
}

// RetiresAll reports whether there is no alert that the message may not end.
func (a Alert) RetiresAll() bool { return a.MayRetire(Alert{Class: ClassEmergency}) }
