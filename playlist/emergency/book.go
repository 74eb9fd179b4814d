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

	Key string `json:"key,omitempty"` // [Signature.Key]

	// Others are further scopes whose documents name it.
	Others []playlist.Scope `json:"others,omitempty"`

	// Spared are alerts in force that the message refers to and may not end.
	Spared []playlist.AlertID `json:"spared,omitempty"`

	// Anew is when this message took the place of another one that said something
	// else under the same ID; zero: none has.
	Anew time.Time `json:"anew,omitzero"`

	// Until is when the alert may no longer sound, as it was found when it came.
	// Records of earlier programs have none: see [Record.Expires].
	Until time.Time `json:"until,omitzero"`
	Late  bool      `json:"late,omitempty"` // its time was over when it came, and yet it sounds: see [Alert.Ends]
}

// Proof is how well it is proven who sent the message, which was accepted.
func (r Record) Proof() Proof { return ProofOf(r.Signature, r.vouched()) }

func (r Record) vouched() bool {
	return r.Source == playlist.AlertByLink || r.Source == playlist.AlertAtSite
}

// Sounding is [Alert.Sounding] of a message that came by r.Source.
func (r Record) Sounding(rules playlist.AlertRules) Sounding {
	f := r.way(rules)
	return r.Alert.Sounding(f.Vouched || f.Unsigned)
}

// way is what the rules say of the way by which the message came.
func (r Record) way(rules playlist.AlertRules) Facts {
	return Facts{
		Vouched:  r.vouched(),
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
// has come. What stands behind that is in the record of the message that did it.
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
	named    map[playlist.AlertID][]playlist.AlertID // by ID, the messages that end it or would
	counters Counters
}

// Kept is what survives a restart of a book.
type Kept struct {
	Records  []Record
	Retired  []Retired
	Counters Counters
}

// NewBook opens the book with what was kept of it.
func NewBook(k Kept) *Book {
	b := &Book{records: map[playlist.AlertID]Record{}, retired: map[playlist.AlertID]Retired{}, counters: Counters{}}
	maps.Copy(b.counters, k.Counters)
	for _, r := range k.Records {
		r.Signature.Key = r.Key
		b.records[r.ID] = r
		b.count(r)
	}
	b.index()
	for _, r := range k.Retired {
		b.retired[r.ID] = r
	}
	return b
}

// index finds anew which messages name which alerts. In each list the one received
// first comes first.
func (b *Book) index() {
	b.named = map[playlist.AlertID][]playlist.AlertID{}
	for _, r := range slices.Backward(b.Records()) {
		b.name(r)
	}
}

// name notes what a message refers to, if it may end that.
func (b *Book) name(r Record) {
	if !r.Retires(r.State, r.Reason) {
		return
	}
	for _, id := range r.Refs {
		if id != "" && id != r.ID && !slices.Contains(b.named[id], r.ID) {
			b.named[id] = append(b.named[id], r.ID)
		}
	}
}

// count raises the counter of the key that signed an accepted message, and returns it
// if that changed it.
func (b *Book) count(r Record) Counters {
	if r.Reason == ReasonReplay || !b.counters.spend(r.Signature) || r.Key == "" {
		return nil
	}
	return Counters{r.Key: r.Signature.Counter}
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
	Records  []Record // as they now stand; the message's own first
	Retired  []Retired
	Counters Counters           // that the message has raised
	Restored []playlist.AlertID // alerts that were named before they came, by what may not end them
	Known    bool               // the message was there before, and not refused; nothing but its clip and its proof may be new
	Replaces bool               // it took the place of a copy that was not refused, and may have sounded
	Anew     bool               // and says something else than that
}

// Receive enters a message that came by r.Source at r.Received, when the clock
// was in the state r.Clock. p is the site's programme.
func (b *Book) Receive(r Record, p *playlist.Programme) Change {
	r.Key = r.Signature.Key
	r.Until, r.Late = r.Ends(r.arrival(p.Alerts))
	r.keepSounds(p.Alerts)
	r.State, r.Reason, r.By = b.decide(r, p)
	r.Late = r.Late && r.State != StateRefused
	old, known := b.records[r.ID]
	back := known && r.returns(old)
	if known && !back && (r.State == StateRefused || !old.replaceable(r)) {
		return b.update(old, r)
	}
	var c Change
	if known && old.State != StateRefused {
		c.Replaces, c.Anew = true, !r.Same(old.Alert, r.vouched())
		c.Known = r.follow(old)
	}
	c.Counters = b.count(r)
	if r.Retires(r.State, r.Reason) {
		b.retire(&r, p.Alerts.Retirers, &c)
	}
	if _, named := b.retired[r.ID]; named && !r.State.Over() {
		delete(b.retired, r.ID)
		c.Restored = append(c.Restored, r.ID)
	}
	if r.State.Over() && r.Ended.IsZero() {
		r.Ended = r.Received
	}
	b.records[r.ID] = r
	b.name(r)
	c.Records = append([]Record{r}, c.Records...)
	return c
}

// replaceable reports whether a copy of the message may take its place: a
// forged or early copy that was refused must not keep out the true one, nor one
// that is less well proven. A copy that comes while the clock is not trusted does
// not start what was over by a trusted clock.
func (r Record) replaceable(by Record) bool {
	if r.State != StateRefused {
		return by.outweighs(r)
	}
	return r.Reason != ReasonExpired || by.Clock == playlist.ClockTrusted
}

// returns reports whether a document of the county names an alert that none named
// any more. There may have been no room for it in between. A controller accepts no
// older document of a scope than it has: whichever scope names it, it does so now.
func (r Record) returns(old Record) bool {
	return old.State == StateCancelled && old.Reason == ReasonWithdrawn && !r.State.Over() && r.Source == playlist.AlertByLink
}

// outweighs reports whether a copy of a message is better proven than another. Of
// two that the county sends, that is the one whose signature it has verified.
func (r Record) outweighs(old Record) bool {
	if p, before := r.Proof(), old.Proof(); p != before {
		return p > before
	}
	return r.Signature.State == SignatureVerified && old.Signature.State != SignatureVerified
}

// follow has the record go on where a copy of its message stands, if it says the
// same, which known reports: what was heard of it was heard. If the copy was
// retired by what may not end this one, it begins again.
func (r *Record) follow(old Record) (known bool) {
	r.Anew, r.Rank, r.Others = old.Anew, old.Rank, old.Others
	if !r.Same(old.Alert, r.vouched()) {
		r.Anew, r.Rank = r.Received, 0
		return false
	}
	if r.Clip == nil {
		r.Clip = old.Clip
	}
	if r.State == StateCancelled || old.State == StateCancelled {
		return false
	}
	r.State, r.Reason, r.By, r.Ended = old.State, old.Reason, old.By, old.Ended
	r.Received, r.Clock, r.Boot, r.MonoMS = old.Received, old.Clock, old.Boot, old.MonoMS
	r.Until, r.Late = old.Until, old.Late
	return true
}

// update takes over what may be new in a message that came before: its sound.
func (b *Book) update(old, r Record) Change {
	c := Change{Known: true}
	copied := r.Source == old.Source && r.Signature == old.Signature
	doubted := r.Reason == ReasonSignature || r.Reason == ReasonUnsigned
	if !copied && (doubted || old.outweighs(r)) {
		return c
	}
	changed := old.drop(r.Dropped)
	if r.Source == playlist.AlertByLink && r.Scope != old.Scope && !slices.Contains(old.Others, r.Scope) {
		old.Others, changed = append(slices.Clone(old.Others), r.Scope), true
	}
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

// decide is [Decide] with what the book and the site know of the message. by is the
// message that has retired it.
func (b *Book) decide(r Record, p *playlist.Programme) (s State, why Reason, by playlist.AlertID) {
	why, by = b.retiredBy(r, p.Alerts.Retirers)
	f := r.way(p.Alerts)
	f.Replayed = b.counters.Replayed(r.Signature)
	f.Retired = why
	f.Concerned = len(r.Concerned(p)) > 0
	f.Expired = r.Clock == playlist.ClockTrusted && r.Received.After(r.Expires(p.Alerts))
	if s, why = Decide(r.Alert, f); s != StateCancelled {
		by = ""
	}
	return s, why, by
}

// retiredBy returns the message that ends the alert, and why; none if there is none.
// What an earlier program noted ends the alert as it did then: no sender was asked
// for. The record of such a message has no [Record.Until].
func (b *Book) retiredBy(r Record, authorities []string) (Reason, playlist.AlertID) {
	ids := []playlist.AlertID{r.ID, r.ID.Timeless()}
	for _, id := range ids {
		for _, by := range b.named[id] {
			if m := b.records[by]; m.MayEnd(m.Proof(), r.Alert, r.Proof(), authorities) {
				return m.Kind.Ending(), by
			}
		}
	}
	for _, id := range ids {
		if g, ok := b.retired[id]; ok && b.records[g.By].Until.IsZero() {
			return g.Reason, g.By
		}
	}
	return ReasonNone, ""
}

// retire ends the alerts that a cancel or an update refers to and may end, and
// notes what it refers to for those that are yet to come. An update inherits the
// highest rank among those that it ends.
func (b *Book) retire(r *Record, authorities []string, c *Change) {
	r.Rank, r.Spared = r.EffectiveRank(), nil
	for _, id := range r.Refs {
		if id == r.ID || id == "" {
			continue
		}
		spared := len(r.Spared)
		for _, old := range b.referred(id) {
			if old.ID == r.ID {
				continue
			}
			if !r.MayEnd(r.Proof(), old.Alert, old.Proof(), authorities) {
				if !old.State.Over() {
					r.Spared = append(r.Spared, old.ID)
				}
				continue
			}
			if r.Kind == KindUpdate {
				r.Rank = max(r.Rank, old.EffectiveRank())
			}
			if !old.State.Over() {
				old.State, old.Reason, old.By, old.Ended = StateCancelled, r.Kind.Ending(), r.ID, r.Received
				b.records[old.ID] = old
				c.Records = append(c.Records, old)
			}
		}
		// The program one version back knows no more than this of what is retired, and
		// ends nothing that was.
		if _, ok := b.retired[id]; !ok && len(r.Spared) == spared && r.RetiresAll() {
			gone := Retired{ID: id, By: r.ID, Reason: r.Kind.Ending(), At: r.Received}
			b.retired[id] = gone
			c.Retired = append(c.Retired, gone)
		}
	}
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
	return r.Precedence(r.Rank, r.Received).Rank
}

// Withdraw ends alerts of a scope that its county no longer has in force there, nor
// in another scope.
func (b *Book) Withdraw(scope playlist.Scope, inForce []playlist.AlertID, now time.Time) Change {
	c := Change{Known: true}
	for id, r := range b.records {
		if r.Source != playlist.AlertByLink || r.State.Over() || slices.Contains(inForce, id) {
			continue
		}
		other := slices.Index(r.Others, scope)
		switch {
		case other >= 0:
			r.Others = slices.Delete(slices.Clone(r.Others), other, other+1)
		case r.Scope != scope:
			continue
		case len(r.Others) > 0: // it stands there yet
			r.Scope, r.Others = r.Others[0], r.Others[1:]
		default:
			r.State, r.Reason, r.Ended = StateCancelled, ReasonWithdrawn, now
		}
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
	slices.SortFunc(all, Record.compare)
	return all
}

func (r Record) compare(s Record) int {
	return r.Precedence(r.Rank, r.Received).Compare(s.Precedence(s.Rank, s.Received))
}

// Foremost returns the records with those first that are to sound, in the order of
// [Book.InForce]; then those that are over, the latest received first.
func Foremost(records []Record) []Record {
	return slices.SortedFunc(slices.Values(records), func(x, y Record) int {
		switch {
		case x.State.Over() != y.State.Over():
			if x.State.Over() {
				return 1
			}
			return -1
		case x.State.Over():
			return cmp.Or(y.Received.Compare(x.Received), cmp.Compare(x.ID, y.ID))
		}
		return x.compare(y)
	})
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
	b.index()
	return gone
}
