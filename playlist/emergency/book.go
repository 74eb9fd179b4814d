package emergency

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
)

// Record is an alert as a controller remembers it.
type Record struct {
	Alert
	Clip     *playlist.Clip       `json:"clip,omitempty"`  // the air clip made of it, if there is one
	Scope    playlist.Scope       `json:"scope,omitempty"` // of the envelope it came in
	Source   playlist.AlertSource `json:"source"`
	Received time.Time            `json:"received"`
	Clock    playlist.ClockState  `json:"clock"`
	Boot     string               `json:"boot,omitempty"`
	MonoMS   int64                `json:"mono_ms,omitempty"`
	State    State                `json:"state"`
	Reason   Reason               `json:"reason,omitempty"`
	By       playlist.AlertID     `json:"by,omitempty"`   // the message that retired it
	Rank     playlist.Rank        `json:"rank,omitempty"` // of its own, or inherited
	Ended    time.Time            `json:"ended,omitzero"`

	Dropped []Dropped `json:"dropped,omitempty"` // of its sounds, those that are not aired, or only in need

	// Until is when the alert may no longer sound, as it was found when it came.
	// Records of earlier programs have none: see [Record.Expires].
	Until time.Time `json:"until,omitzero"`
	Late  bool      `json:"late,omitempty"` // its time was over when it came, and yet it sounds: see [Alert.Ends]
}

// Sounding is [Alert.Sounding] of a message that came by r.Source.
func (r Record) Sounding(rules playlist.AlertRules) Sounding {
	f := r.way(rules)
	return r.Alert.Sounding(f.Vouched || f.Unsigned)
}

// way is what the rules say of the way by which the message came.
func (r Record) way(rules playlist.AlertRules) Facts {
	return Facts{
		Vouched:  r.Source == playlist.AlertByLink || r.Source == playlist.AlertAtSite,
		Unsigned: slices.Contains(rules.Unsigned, r.Source),
		Drills:   rules.Drills,
	}
}

// keepSounds leaves those of the alert's sounds that are expected to be made a
// clip of, without their bytes, and notes the others.
func (r *Record) keepSounds(rules playlist.AlertRules) {
	s := r.Sounding(rules)
	if !s.Words {
		s.Own = append(s.Own, s.Damaged...)
	}
	r.Audio = slices.DeleteFunc(slices.Clone(r.Audio), func(x Audio) bool { return len(x.Data)+len(x.Unfit) > 0 })
	for _, x := range s.Own {
		x.Data = nil
		r.Audio = append(r.Audio, x)
	}
	r.drop(s.Dropped)
}

// drop notes sounds that are not aired, each once.
func (r *Record) drop(dropped []Dropped) (changed bool) {
	for _, d := range dropped {
		if !slices.Contains(r.Dropped, d) {
			r.Dropped = append(slices.Clone(r.Dropped), d)
			changed = true
		}
	}
	return changed
}

// Expires is when the alert may no longer sound. An alert that an earlier program
// took in keeps the end that it had then: if it named none, a life from when it
// came, or from when it may sound.
func (r Record) Expires(rules playlist.AlertRules) time.Time {
	life := rules.Filled().Life
	switch {
	case !r.Until.IsZero():
		return r.Until
	case !r.NotAfter.IsZero():
		return r.NotAfter
	case r.Early(r.Received):
		return r.NotBefore.Add(life)
	}
	return r.Received.Add(life)
}

// arrival is how the message came.
func (r Record) arrival(rules playlist.AlertRules) Arrival {
	return Arrival{
		At: r.Received, Trusted: r.Clock == playlist.ClockTrusted,
		Sealed: r.Source == playlist.AlertByLink, Life: rules.Filled().Life,
	}
}

// Cut reports whether the alert names a later end than it was given.
func (r Record) Cut() bool { return !r.Until.IsZero() && r.NotAfter.After(r.Until) }

// Retired is an alert that a cancel or an update has named, whether or not it
// has come.
type Retired struct {
	ID     playlist.AlertID `json:"id"`
	By     playlist.AlertID `json:"by"`
	Reason Reason           `json:"reason"` // cancelled or superseded
	At     time.Time        `json:"at"`
}

// Book is all that a controller knows of alerts. Its methods return what they
// changed, so that the caller can store it. Only one goroutine may use it.
type Book struct {
	records  map[playlist.AlertID]Record
	retired  map[playlist.AlertID]Retired
	counters map[string]uint32 // highest of each certificate
}

// NewBook opens the book with what was kept of it.
func NewBook(records []Record, retired []Retired) *Book {
	b := &Book{records: map[playlist.AlertID]Record{}, retired: map[playlist.AlertID]Retired{}, counters: map[string]uint32{}}
	for _, r := range records {
		b.records[r.ID] = r
		b.count(r)
	}
	for _, r := range retired {
		b.retired[r.ID] = r
	}
	return b
}

func (b *Book) count(r Record) {
	if s := r.Signature; s.State == SignatureVerified && s.Counter > 0 && r.Reason != ReasonReplay {
		b.counters[s.By] = max(b.counters[s.By], s.Counter)
	}
}

// Record returns what the book has of an alert.
func (b *Book) Record(id playlist.AlertID) (Record, bool) {
	r, ok := b.records[id]
	return r, ok
}

// Records returns all alerts, the latest received first.
func (b *Book) Records() []Record {
	return slices.SortedFunc(maps.Values(b.records), func(x, y Record) int {
		return cmp.Or(y.Received.Compare(x.Received), cmp.Compare(x.ID, y.ID))
	})
}

// Change is what a message did to the book.
type Change struct {
	Records []Record // as they now stand; the message's own first
	Retired []Retired
	Known   bool // the message was there before, and not refused; nothing but its clip may be new
}

// Receive enters a message that came by r.Source at r.Received, when the clock
// was in the state r.Clock. p is the site's programme.
func (b *Book) Receive(r Record, p *playlist.Programme) Change {
	r.Until, r.Late = r.Ends(r.arrival(p.Alerts))
	r.keepSounds(p.Alerts)
	r.State, r.Reason = b.decide(r, p)
	if old, ok := b.records[r.ID]; ok && (r.State == StateRefused || !old.replaceable(r)) {
		return b.update(old, r)
	}
	b.count(r)
	var c Change
	if r.Retires(r.State, r.Reason) {
		c = b.retire(&r)
	}
	if r.State.Over() {
		r.Ended = r.Received
	}
	b.records[r.ID] = r
	c.Records = append([]Record{r}, c.Records...)
	return c
}

// replaceable reports whether a copy of the message may take its place: a
// forged or early copy that was refused must not keep out the true one. A copy
// that comes while the clock is not trusted does not start what was over by a
// trusted clock.
func (r Record) replaceable(by Record) bool {
	expired := r.Reason == ReasonExpired && by.Clock != playlist.ClockTrusted
	return r.State == StateRefused && !expired
}

// update takes over what may be new in a message that came before: its sound.
func (b *Book) update(old, r Record) Change {
	c := Change{Known: true}
	changed := old.drop(r.Dropped)
	switch {
	case old.Clip == nil && r.Clip != nil:
		old.Clip, changed = r.Clip, true
	case old.Clip == nil && len(old.Audio) > 0 && len(r.Audio) == 0:
		old.Audio, changed = nil, true // none is to come any more
	}
	if changed {
		b.records[old.ID] = old
		c.Records = []Record{old}
	}
	return c
}

// decide is [Decide] with what the book and the site know of the message.
func (b *Book) decide(r Record, p *playlist.Programme) (State, Reason) {
	retired, ok := b.retired[r.ID]
	if !ok {
		retired = b.retired[r.ID.Timeless()]
	}
	f := r.way(p.Alerts)
	f.Replayed = r.Signature.Counter > 0 && r.Signature.Counter <= b.counters[r.Signature.By]
	f.Retired = retired.Reason
	f.Concerned = len(r.Concerned(p)) > 0
	f.Expired = r.Clock == playlist.ClockTrusted && r.Received.After(r.Expires(p.Alerts))
	return Decide(r.Alert, f)
}

// retire ends the alerts that a cancel or an update refers to and may end. An
// update inherits the highest rank among them.
func (b *Book) retire(r *Record) (c Change) {
	reason := r.Kind.Ending()
	r.Rank = r.EffectiveRank()
	for _, id := range r.Refs {
		if _, ok := b.retired[id]; ok || id == r.ID || id == "" {
			continue
		}
		if r.RetiresAll() { // else an alert that is yet to come may be one that it must not retire
			gone := Retired{ID: id, By: r.ID, Reason: reason, At: r.Received}
			b.retired[id] = gone
			c.Retired = append(c.Retired, gone)
		}
		for _, old := range b.referred(id) {
			if old.ID == r.ID || !r.MayRetire(old.Alert) {
				continue
			}
			if r.Kind == KindUpdate {
				r.Rank = max(r.Rank, old.EffectiveRank())
			}
			if !old.State.Over() {
				old.State, old.Reason, old.By, old.Ended = StateCancelled, reason, r.ID, r.Received
				b.records[old.ID] = old
				c.Records = append(c.Records, old)
			}
		}
	}
	return c
}

// referred returns the alerts that a reference means.
func (b *Book) referred(ref playlist.AlertID) (all []Record) {
	if r, ok := b.records[ref]; ok {
		return []Record{r}
	}
	if !strings.HasSuffix(string(ref), ",") {
		return nil
	}
	for id, r := range b.records {
		if ref.Means(id) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y Record) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

// EffectiveRank is the alert's place on the ladder: its own, or the one that it
// inherited from an alert whose place it took.
func (r Record) EffectiveRank() playlist.Rank {
	own, _ := r.Alert.Rank()
	return max(own, r.Rank)
}

// Withdraw ends alerts of a scope that its county no longer has in force.
func (b *Book) Withdraw(scope playlist.Scope, inForce []playlist.AlertID, now time.Time) (c Change) {
	for id, r := range b.records {
		if r.Scope != scope || r.Source != playlist.AlertByLink || r.State.Over() || slices.Contains(inForce, id) {
			continue
		}
		r.State, r.Reason, r.Ended = StateCancelled, ReasonWithdrawn, now
		b.records[id] = r
		c.Records = append(c.Records, r)
	}
	return c
}

// Advance notes how far an alert has come. One that is over stays as it is.
func (b *Book) Advance(id playlist.AlertID, s State, now time.Time) (r Record, changed bool) {
	r, ok := b.records[id]
	if !ok || r.State.Over() || r.State == s {
		return r, false
	}
	r.State = s
	if s.Over() {
		r.Ended = now
	}
	b.records[id] = r
	return r, true
}

// InForce returns the alerts that are to sound, in the order in which they may:
// the highest rank first; of equal ones that for the larger area, then the
// one received earlier.
func (b *Book) InForce() []Record {
	all := slices.Collect(maps.Values(b.records))
	all = slices.DeleteFunc(all, func(r Record) bool { return r.State.Over() })
	slices.SortFunc(all, func(x, y Record) int {
		return cmp.Or(cmp.Compare(y.EffectiveRank(), x.EffectiveRank()), cmp.Compare(x.breadth(), y.breadth()),
			x.Received.Compare(y.Received), cmp.Compare(x.ID, y.ID))
	})
	return all
}

// breadth is how many digits name the largest of its areas: the fewer, the
// larger.
func (r Record) breadth() int {
	least := 12
	for _, a := range r.Areas {
		least = min(least, a.Breadth())
	}
	return least
}

// stale is when a copy of the message that comes again is refused for its age,
// even if the book has forgotten it.
func (r Record) stale(rules playlist.AlertRules) time.Time {
	return latest(r.Expires(rules), r.NotAfter, r.NotBefore, r.Sent)
}

// Forget drops the alerts that were over before then and cannot come again, and
// the references to alerts that were retired before then and have not come. It
// returns the IDs of both.
func (b *Book) Forget(before time.Time, rules playlist.AlertRules) (gone []playlist.AlertID) {
	for id, r := range b.records {
		if r.State.Over() && r.Ended.Before(before) && r.stale(rules).Before(before) {
			delete(b.records, id)
			gone = append(gone, id)
		}
	}
	for id, r := range b.retired {
		if _, kept := b.records[id]; !kept && r.At.Before(before) {
			delete(b.retired, id)
			gone = append(gone, id)
		}
	}
	return gone
}
