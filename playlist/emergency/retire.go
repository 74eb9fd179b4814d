package emergency

import "slices"

// Proof is how well it is proven who sent a message, in ascending order.
type Proof int

const (
	ProofWay       Proof = iota + 1 // the way by which it came is believed
	ProofSignature                  // its signature was verified
	ProofSealed                     // it was given at the site, or is in its county's signed state
)

// ProofOf is the proof of an accepted message. vouched says that the way by which
// it came stands for it, as in [Facts].
func ProofOf(s Signature, vouched bool) Proof {
	switch {
	case vouched:
		return ProofSealed
	case s.State == SignatureVerified:
		return ProofSignature
	}
	return ProofWay
}

// Same reports whether a better proven copy of a message says the same as the one
// before it. sealed says that it came from the county, which fills in an end and has
// the sound made a clip: those may differ.
func (a Alert) Same(b Alert, sealed bool) bool {
	ends := a.NotAfter.Equal(b.NotAfter) || a.NotAfter.IsZero() || b.NotAfter.IsZero()
	sounds := sealed || slices.EqualFunc(a.Audio, b.Audio, func(x, y Audio) bool { return x.SHA256 == y.SHA256 && x.Name == y.Name })
	return ends && sounds && a.Kind == b.Kind && a.Class == b.Class && a.Level == b.Level && a.EventCode == b.EventCode &&
		a.Silent == b.Silent && a.NotBefore.Equal(b.NotBefore) && slices.Equal(a.Texts, b.Texts) && slices.Equal(a.Areas, b.Areas) &&
		slices.Equal(a.Refs, b.Refs) && slices.EqualFunc(a.Shapes, b.Shapes, func(x, y Shape) bool {
		return x.RadiusKM == y.RadiusKM && slices.Equal(x.Points, y.Points)
	})
}

// MayEnd reports whether a cancel or an update, which came with the proof p, may end
// an alert that it refers to, which came with the proof of.
//
// What is given at the site or is in the county's signed state may end any. Else
// the sender must be that of the alert, or one of those authorities that the
// config names, and proven no worse than the alert: a weaker proof never ends
// what is better proven. No sender's drill or test ends an emergency.
func (a Alert) MayEnd(p Proof, old Alert, of Proof, authorities []string) bool {
	switch {
	case !a.MayRetire(old):
		return false
	case p == ProofSealed:
		return true
	}
	return p >= of && (a.Sender == old.Sender || slices.Contains(authorities, a.Sender))
}

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

// MayRetire reports whether an update or a cancel is of a class that may end an
// alert that it refers to; whose it is, is for [Alert.MayEnd]. A drill or a test,
// what is not for the public and what has nothing to say end no emergency; each of
// them may end what is none: a drill's cancel its drill, whatever class either of
// them names.
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
