package emergency

import (
	"time"
)

const (
	// longestLife is the longest time that an alert may sound after it came, or
	// after the instant from which it may. A later end is cut, not refused.
	longestLife = 30 * 24 * time.Hour

	// stillNews is how old a message without an end may be and yet sound once:
	// what was under way for so long may still matter.
	stillNews = 12 * time.Hour
)

// Arrival is how a message came, as far as its life depends on that.
type Arrival struct {
	At      time.Time
	Trusted bool          // the clock that At was read from is trusted
	Sealed  bool          // it came in its county's signed state, by the link or on a stick
	Life    time.Duration // of a message that names no end
}

// Ends is when an alert may no longer sound.
//
// One that names its end lives until then, however old it is, but for no more
// than 30 days from when it came or may begin to sound. One that names none
// lives for c.Life from when it was sent or, if that is later, takes effect.
// If that is over when it comes, but it was sent less than 12 hours before, it
// is late: it lives for c.Life from when it came, which is time for its passes.
//
// The age counts only by a trusted clock, and never in what came sealed: the
// county has judged that. Without it, the life begins when the message comes.
// So it does if the message was sent in the future: then its sender's clock is
// wrong, and it sounds at once (see [Alert.Early]).
func (a Alert) Ends(c Arrival) (ends time.Time, late bool) {
	start := c.At
	if a.Early(c.At) {
		start = a.NotBefore
	}
	if !a.NotAfter.IsZero() {
		if !c.Trusted {
			start = latest(c.At, a.Sent, a.NotBefore) // At may be long before either
		}
		return earlier(a.NotAfter, start.Add(longestLife)), false
	}
	if sent := latest(a.Sent, a.NotBefore); c.Trusted && !c.Sealed && !sent.IsZero() && sent.Before(start) {
		ends = sent.Add(c.Life)
		late = !ends.After(c.At) && c.At.Sub(a.Sent) < stillNews
		if !late {
			return ends, false
		}
	}
	return start.Add(c.Life), late
}

// Never reports whether the message says that it ends before it begins.
func (a Alert) Never() bool { return !a.NotAfter.IsZero() && a.NotBefore.After(a.NotAfter) }

// Early reports whether an alert that is there at that instant is to wait: it
// names a time that is yet to come, and later than it was sent. What is to
// sound from when it was sent does so at once, whatever its sender's clock.
func (a Alert) Early(at time.Time) bool {
	return a.NotBefore.After(at.Add(alertSkew)) && a.NotBefore.After(a.Sent.Add(alertSkew))
}

// alertSkew is how far the clocks of a sender and a pole may be apart.
const alertSkew = time.Minute

func latest(times ...time.Time) (t time.Time) {
	for _, u := range times {
		if u.After(t) {
			t = u
		}
	}
	return t
}

func earlier(t, u time.Time) time.Time {
	if u.Before(t) {
		return u
	}
	return t
}
