package emergency

import "cmp"

// Counters holds, for each certificate, the highest counter among the messages that
// were accepted with it. A message whose counter is not above it is a replay. Counters
// outlive the messages: however old a message is, it is accepted once.
type Counters map[string]uint32

// CounterName is the name under which [Counters] hold the counter of the certificate
// that signed. The certificate's number alone is no name: two authorities may give the
// same one, and then the counters of one sender would use up those of the other.
// Records of earlier programs have no more than the number.
func (s Signature) CounterName() string { return cmp.Or(s.Certificate, s.By) }

// Replayed reports whether the counter of a signature is not above the last of its
// certificate, nor above the last that an earlier program kept under the certificate's
// number. A sender that does not count, and writes 0 each time, replays nothing.
func (c Counters) Replayed(s Signature) bool {
	last := max(c[s.CounterName()], c[s.By])
	return last > 0 && s.Counter <= last
}

// spend raises the counter of the certificate that signed, if the signature is
// verified. It reports whether that changed it.
func (c Counters) spend(s Signature) bool {
	if s.State != SignatureVerified || s.Counter <= c[s.CounterName()] {
		return false
	}
	c[s.CounterName()] = s.Counter
	return true
}

// above returns the counters that are higher than those in kept.
func (c Counters) above(kept Counters) Counters {
	var all Counters
	for name, n := range c {
		if n > kept[name] {
			if all == nil {
				all = Counters{}
			}
			all[name] = n
		}
	}
	return all
}
