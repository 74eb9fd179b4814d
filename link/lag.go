package link

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"dalaba/playlist"
)

// Lag is a document that is in force for a controller, as the county's signed stamp
// says, and that the controller does not have: it did not arrive, or was refused.
type Lag struct {
	Have
	Here int64 `json:"here"` // the version that the controller has; 0: none

	// Why is why the controller refused it: "scope", "unreadable", "signature", "older",
	// "forked", "oversized" or "store". Empty: it did not arrive, or its program is of
	// release 0.1.
	Why string `json:"why,omitempty"`
}

// refused is a document that the controller refused.
type refused struct {
	Have
	why string
}

// noteRefused remembers why a document was refused, for [Lag.Why].
func (c *Controller) noteRefused(d Document, err error) {
	if d.Kind == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[docKey]refused{}
	}
	if _, known := c.refused[d.key()]; known || len(c.refused) < maxHave {
		c.refused[d.key()] = refused{d.Have, reasonFor(err)}
	}
}

// reasonFor is why a document was refused, in a word.
func reasonFor(err error) string {
	for _, r := range []struct {
		err error
		why string
	}{
		{ErrWrongScope, "scope"}, {ErrSignature, "signature"}, {ErrWrongRole, "signature"}, {ErrRolledBack, "older"}, {ErrForked, "forked"},
		{ErrOversized, "oversized"}, {ErrMalformed, "unreadable"}, {ErrTruncated, "unreadable"}, {ErrWrongType, "unreadable"}, {playlist.ErrInvalid, "unreadable"},
	} {
		if errors.Is(err, r.err) {
			return r.why
		}
	}
	return "store"
}

// noteLags compares what the county's stamp names as in force with what the
// controller has, after a sync that brought all that the county sends. A county that
// was frozen, or a broker that withholds documents, is noticed so. If the result
// changed, it is logged and reported, and another sync follows soon. A county of
// release 0.1 names nothing; then nothing is compared.
func (c *Controller) noteLags(inForce []Have) {
	if len(inForce) == 0 {
		return
	}
	lags := c.lagsOf(inForce)
	if c.compared && slices.Equal(lags, c.lags) {
		return
	}
	first := !c.compared
	c.compared, c.lags = true, lags
	for _, l := range lags {
		c.Log.Warn("county has a newer document that did not arrive", "kind", l.Kind, "scope", l.Scope, "version", l.Version, "has", l.Here)
	}
	switch {
	case len(lags) > 0:
		signal(c.soon)
	case !first:
		c.Log.Info("documents are those of the county again")
	}
	if c.Behind != nil {
		c.Behind(lags)
	}
}

// lagsOf returns the documents among those in force that the controller does not
// have, in an order of its own.
func (c *Controller) lagsOf(inForce []Have) (all []Lag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range inForce[:min(len(inForce), maxHave)] {
		if urgency(h.Kind) < 0 || !concerns(c.member.Follower(), h) {
			continue
		}
		mine := c.held[h.key()]
		if u, ok := c.unkept[h.key()]; ok {
			mine = u.Have
		}
		if mine.Version < h.Version || mine.Version == h.Version && mine.Digest != h.Digest {
			l := Lag{Have: h, Here: mine.Version}
			if r := c.refused[h.key()]; r.Version == h.Version {
				l.Why = r.why
			}
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Lag) int { return cmp.Or(urgency(a.Kind)-urgency(b.Kind), cmp.Compare(a.Scope, b.Scope)) })
	return all
}

// stampSkew is how far the clocks of two edges may differ.
const stampSkew = time.Minute

// timely reports whether the time of a verified stamp may be used. While the clock is
// trusted, a time is not used that is both older than an earlier stamp's and behind
// the clock: the clock of an edge may have been set back.
func (c *Controller) timely(at time.Time) bool {
	oldest := at.Add(stampSkew)
	if c.Clock() != playlist.ClockUntrusted && oldest.Before(c.stampTime) && oldest.Before(c.Now()) {
		if !c.setBack {
			c.Log.Warn("county's time goes back, ignored", "sent", at, "last", c.stampTime)
		}
		c.setBack = true
		return false
	}
	c.stampTime, c.setBack = at, false
	return true
}

// walkAgain is how long a controller waits after a pushed trust document that it
// cannot verify before another one makes it sync at once.
const walkAgain = time.Minute

// missesTrust reports whether err may mean that a pushed trust document cannot be
// verified yet: if root keys were replaced more than once while the controller was
// away, it needs the versions in between, and a sync brings them.
func missesTrust(d Document, err error) bool {
	return d.Kind == KindTrust && (errors.Is(err, ErrSignature) || errors.Is(err, ErrWrongRole))
}
