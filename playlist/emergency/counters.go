package emergency

import "cmp"

// Counters holds, for the key of each EBD certificate, the highest counter among the
// messages that were accepted with it. A message whose counter is not above it is a
// replay. Counters outlive the messages: however old a message is, it is accepted once.
type Counters map[string]uint32

// CounterName is the name under which [Counters] hold the counter of the key that
// signed. The number of its certificate is no name: two authorities may give the same
// one, and then the counters of one sender would use up those of the other. Records of
// the program one version back have no more than the number. They count until they are
// forgotten.
func (s Signature) CounterName() string { return cmp.Or(s.Key, s.By) }

// Replayed reports whether the counter of a signature is not above the last of its key,
// nor above the last that was kept under the certificate's number. A sender that does
// not count, and writes 0 each time, replays nothing.
func (c Counters) Replayed(s Signature) bool {
	last := max(c[s.CounterName()], c[s.By])
	return last > 0 && s.Counter <= last
}

// spend raises the counter of the key that signed, if the signature is verified. It
// reports whether that changed it.
func (c Counters) spend(s Signature) bool {
	if s.State != SignatureVerified || s.Counter <= c[s.CounterName()] {
		return false
	}
	c[s.CounterName()] = s.Counter
	return true
}
