package emergency

import (
	"slices"
	"time"

	"dalaba/playlist"
)

// Proof is how well it is proven who sent a message, in ascending order.
type Proof int

const (
	ProofNone      Proof = iota // not at all, or it is not known how well: a program before this one took it in
	ProofWay                    // the way by which it came is believed
	ProofSignature              // its signature was verified
	ProofSealed                 // it was given at the site, or is in its county's signed state
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

// Retired is an alert that a cancel or an update has named, whether or not it
// has come, with what stands behind that. Which alert it ends is found when both
// are there: see [Retired.Ends].
type Retired struct {
	ID     playlist.AlertID `json:"id"`
	By     playlist.AlertID `json:"by"`
	Reason Reason           `json:"reason"` // cancelled or superseded
	At     time.Time        `json:"at"`
	Sender string           `json:"sender,omitempty"`
	Proof  Proof            `json:"proof,omitempty"`  // none: an earlier program noted it, and asked for no sender
	Lesser bool             `json:"lesser,omitempty"` // it may end no emergency: see [Alert.MayRetire]
}

// Retire is what the message, which came with that proof, notes about an alert
// that it refers to.
func (a Alert) Retire(id playlist.AlertID, p Proof, at time.Time) Retired {
	return Retired{ID: id, By: a.ID, Reason: a.Kind.Ending(), At: at, Sender: a.Sender, Proof: p, Lesser: !a.RetiresAll()}
}

// Ends reports whether a cancel or an update may end an alert, which came with
// that proof, and which it names.
//
// What is given at the site or is in the county's signed state may end any. Else
// the sender must be that of the alert, or one of those authorities that the
// config names, and proven no worse than the alert: a weaker proof never ends
// what is better proven. No sender's drill or test ends an emergency.
// What an earlier program noted ends what it names, as it did then.
func (g Retired) Ends(old Alert, p Proof, authorities []string) bool {
	switch {
	case g.Proof == ProofNone:
		return true
	case g.Lesser && old.Class == ClassEmergency:
		return false
	case g.Proof == ProofSealed:
		return true
	}
	return g.Proof >= p && (g.Sender == old.Sender || slices.Contains(authorities, g.Sender))
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
// alert that it refers to; whose it is, is for [Retired.Ends]. A drill or a test, what is not for the public and what has
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
