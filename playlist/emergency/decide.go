package emergency

// State is where an alert stands on a controller, or at the county.
type State string

const (
	StateReview    State = "review"    // at the county: it is to sound once a person has released it
	StateWaiting   State = "waiting"   // it is to sound, and has not
	StateAiring    State = "airing"    // it sounds, or will again
	StateDone      State = "done"      // heard in full on each of its outputs
	StatePartial   State = "partial"   // heard, but not in full or not on all of them
	StateFailed    State = "failed"    // not heard
	StateCancelled State = "cancelled" // retired by a cancel, an update or its county
	StateRefused   State = "refused"   // not to be aired here; the reason says why
	StateLogged    State = "logged"    // a message that never sounds: a test, a cancel
)

// Over reports whether the alert will not sound any more.
func (s State) Over() bool { return s != StateReview && s != StateWaiting && s != StateAiring }

// Reason says why an alert does not, or no longer, sound.
type Reason string

const (
	ReasonNone       Reason = ""
	ReasonArea       Reason = "area"       // it is for other places
	ReasonExpired    Reason = "expired"    // its time was over when it came
	ReasonNever      Reason = "never"      // it says that it ends before it begins
	ReasonSignature  Reason = "signature"  // its signature is bad
	ReasonUnsigned   Reason = "unsigned"   // it is not signed, and must be if it comes that way
	ReasonReplay     Reason = "replay"     // its counter is not above the last of its certificate
	ReasonDrill      Reason = "drill"      // the site allows no drills
	ReasonSilent     Reason = "silent"     // its class never sounds
	ReasonCancelled  Reason = "cancelled"  // a cancel named it, perhaps before it came
	ReasonSuperseded Reason = "superseded" // an update took its place
	ReasonWithdrawn  Reason = "withdrawn"  // it is no longer among those that its county has in force
	ReasonDeclined   Reason = "declined"   // a person at the county refused to have it sounded
	ReasonSingle     Reason = "single"     // no second person at the county confirmed it
)

// Facts is what a decision about a message depends on, beside the message.
type Facts struct {
	Vouched   bool   // the way it came by stands for it: no signature is asked for, no counter counts
	Unsigned  bool   // the way it came by needs no signature
	Replayed  bool   // the counter of its signature is not above the last of its certificate
	Retired   Reason // why an earlier message has ended it; empty: none has
	Concerned bool   // it is for a place here
	Expired   bool   // its time is over, by a trusted clock
	Drills    bool   // drills may sound here
	Held      bool   // a person is to look at it before it sounds

	Retirers []string // senders who may end the alerts of others: see [Alert.MayEnd]
}

// Doubt is why a message with this signature is not believed; none if it is.
func Doubt(s Signature, f Facts) Reason {
	switch {
	case s.State == SignatureBad:
		return ReasonSignature
	case f.Vouched:
		return ReasonNone
	case s.State == SignatureVerified && f.Replayed:
		return ReasonReplay
	case s.State != SignatureVerified && !f.Unsigned:
		return ReasonUnsigned
	}
	return ReasonNone
}

// Decide is the one decision about a message that has come in, at the county
// and on a controller: whether it is to sound (StateWaiting, or StateReview if a
// person is to look at it first), and if not, why. Of several reasons it is the first
// in this order.
func Decide(a Alert, f Facts) (State, Reason) {
	_, sounds := a.Rank()
	if doubt := Doubt(a.Signature, f); doubt != ReasonNone {
		return StateRefused, doubt
	}
	switch {
	case a.Kind == KindCancel:
		return StateLogged, ReasonNone
	case f.Retired != ReasonNone:
		return StateCancelled, f.Retired
	case !sounds:
		return StateLogged, ReasonSilent
	case !f.Concerned:
		return StateRefused, ReasonArea
	case a.Never():
		return StateRefused, ReasonNever
	case f.Expired:
		return StateRefused, ReasonExpired
	case a.Class.Drill() && !f.Drills:
		return StateRefused, ReasonDrill
	case f.Held:
		return StateReview, ReasonNone
	}
	return StateWaiting, ReasonNone
}
