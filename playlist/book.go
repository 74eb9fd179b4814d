package playlist

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// AlertState is where an alert stands on a controller.
type AlertState string

const (
	AlertWaiting   AlertState = "waiting"   // it is to sound, and has not
	AlertAiring    AlertState = "airing"    // it sounds, or will again
	AlertDone      AlertState = "done"      // heard in full on each of its outputs
	AlertPartial   AlertState = "partial"   // heard, but not in full or not on all of them
	AlertFailed    AlertState = "failed"    // not heard
	AlertCancelled AlertState = "cancelled" // retired by a cancel, an update or its county
	AlertRefused   AlertState = "refused"   // not to be aired here; the reason says why
	AlertLogged    AlertState = "logged"    // a message that never sounds: a test, a cancel
)

// Over reports whether the alert is settled: it will not sound any more.
func (s AlertState) Over() bool { return s != AlertWaiting && s != AlertAiring }

// AlertReason says why an alert does not, or no longer, sound.
type AlertReason string

const (
	AlertReasonNone       AlertReason = ""
	AlertReasonArea       AlertReason = "area"       // it is for other places
	AlertReasonExpired    AlertReason = "expired"    // its time was over when it came
	AlertReasonSignature  AlertReason = "signature"  // its signature is bad
	AlertReasonUnsigned   AlertReason = "unsigned"   // it bears none, and must from there
	AlertReasonReplay     AlertReason = "replay"     // its counter is not above the last of its certificate
	AlertReasonDrill      AlertReason = "drill"      // the site allows no drills
	AlertReasonSilent     AlertReason = "silent"     // its class never sounds
	AlertReasonCancelled  AlertReason = "cancelled"  // a cancel named it, perhaps before it came
	AlertReasonSuperseded AlertReason = "superseded" // an update took its place
	AlertReasonWithdrawn  AlertReason = "withdrawn"  // it is no longer among those that its county has in force
)

// AlertSource is the way by which an alert came.
type AlertSource string

const (
	AlertByLink AlertSource = "link" // in a county's envelope, whose signature stands for it
	AlertByHand AlertSource = "hand" // the verb, by somebody who may talk to the daemon
	AlertByDrop AlertSource = "drop" // the drop folder
	AlertAtSite AlertSource = "site" // somebody at the pole, who could as well cut the cable
)

// AlertRecord is an alert as a controller remembers it.
type AlertRecord struct {
	Alert
	Clip     *Clip       `json:"clip,omitempty"`  // the air clip made of it, where there is one
	Scope    Scope       `json:"scope,omitempty"` // of the envelope it came in
	Source   AlertSource `json:"source"`
	Received time.Time   `json:"received"`
	Clock    ClockState  `json:"clock"`
	Boot     string      `json:"boot,omitempty"`
	MonoMS   int64       `json:"mono_ms,omitempty"`
	State    AlertState  `json:"state"`
	Reason   AlertReason `json:"reason,omitempty"`
	By       AlertID     `json:"by,omitempty"`   // the message that retired it
	Rank     Rank        `json:"rank,omitempty"` // of its own, or inherited
	Ended    time.Time   `json:"ended,omitzero"`
}

// AiringID names the alert's airing in the as-run log. Its items are the
// passes; the first part of each is the attention tone.
func (r AlertRecord) AiringID() AiringID { return AlertAiringID(r.ID) }

// AlertAiringID names an alert's airing.
func AlertAiringID(id AlertID) AiringID { return AiringID("alert/" + id) }

// Expires is when the alert may no longer sound. One that names no end lives
// from when it came, or from when it may sound.
func (r AlertRecord) Expires(rules AlertRules) time.Time {
	if !r.NotAfter.IsZero() {
		return r.NotAfter
	}
	life := rules.Life
	if life <= 0 {
		life = DefaultAlertLife
	}
	if r.Early(r.Received) {
		return r.NotBefore.Add(life)
	}
	return r.Received.Add(life)
}

// AlertRules say how a site deals with alerts.
type AlertRules struct {
	Drills   bool          // drills may sound here
	Unsigned []AlertSource // unsigned messages are accepted from there
	Life     time.Duration // of an alert that names no end
	Passes   int           // how often an alert sounds that does not say
	Gap      time.Duration // between two passes, where the alert does not say
	ToneMin  time.Duration // the attention tone is no shorter
	ToneMax  time.Duration // and no longer, while the sound is fetched
	LevelDB  float64       // of everything that an alert sounds
	Place    *Place        // of the site, for shapes; nil: unknown
}

// What holds where a site's rules are silent.
const (
	DefaultAlertLife    = time.Hour
	DefaultAlertPasses  = 3
	DefaultAlertGap     = 5 * time.Second
	DefaultAlertToneMin = 4 * time.Second
	DefaultAlertToneMax = 20 * time.Second
)

// Filled is the rules with what they leave open.
func (r AlertRules) Filled() AlertRules {
	r.Life = cmp.Or(r.Life, DefaultAlertLife)
	r.Passes = cmp.Or(r.Passes, DefaultAlertPasses)
	r.Gap = cmp.Or(r.Gap, DefaultAlertGap)
	r.ToneMin = cmp.Or(r.ToneMin, DefaultAlertToneMin)
	r.ToneMax = max(cmp.Or(r.ToneMax, DefaultAlertToneMax), r.ToneMin)
	return r
}

// Retired is an alert that a cancel or an update has named, whether or not it
// has come.
type Retired struct {
	ID     AlertID     `json:"id"`
	By     AlertID     `json:"by"`
	Reason AlertReason `json:"reason"` // cancelled or superseded
	At     time.Time   `json:"at"`
}

// AlertBook is all that a controller knows of alerts. Its methods answer what
// they changed, so that it can be kept. One goroutine uses it.
type AlertBook struct {
	records  map[AlertID]AlertRecord
	retired  map[AlertID]Retired
	counters map[string]uint32 // highest of each certificate
}

// NewAlertBook opens the book with what was kept of it.
func NewAlertBook(records []AlertRecord, retired []Retired) *AlertBook {
	b := &AlertBook{records: map[AlertID]AlertRecord{}, retired: map[AlertID]Retired{}, counters: map[string]uint32{}}
	for _, r := range records {
		b.records[r.ID] = r
		b.count(r)
	}
	for _, r := range retired {
		b.retired[r.ID] = r
	}
	return b
}

func (b *AlertBook) count(r AlertRecord) {
	if s := r.Signature; s.State == SignatureVerified && s.Counter > 0 && r.Reason != AlertReasonReplay {
		b.counters[s.By] = max(b.counters[s.By], s.Counter)
	}
}

// Record is what the book has of an alert.
func (b *AlertBook) Record(id AlertID) (AlertRecord, bool) {
	r, ok := b.records[id]
	return r, ok
}

// Records are all alerts, the latest received first.
func (b *AlertBook) Records() []AlertRecord {
	return slices.SortedFunc(maps.Values(b.records), func(x, y AlertRecord) int {
		return cmp.Or(y.Received.Compare(x.Received), cmp.Compare(x.ID, y.ID))
	})
}

// Change is what a message did to the book.
type Change struct {
	Records []AlertRecord // as they now stand; the message's own first
	Retired []Retired
	Known   bool // the message was there before, and not refused; nothing but its clip may be new
}

// Receive enters a message that came by r.Source at r.Received, when the clock
// was as r.Clock says. The site's programme settles whether it is for here.
func (b *AlertBook) Receive(r AlertRecord, p *Programme) Change {
	r.State, r.Reason = b.verdict(r, p)
	if old, ok := b.records[r.ID]; ok && (r.State == AlertRefused || !old.open(r)) {
		return b.again(old, r)
	}
	b.count(r)
	var c Change
	if r.State != AlertRefused || r.Reason == AlertReasonArea || r.Reason == AlertReasonExpired {
		// An update retires what it names even where itself is not for here.
		if r.Kind == AlertCancel || r.Kind == AlertUpdate {
			c = b.retire(&r)
		}
	}
	if r.State.Over() {
		r.Ended = r.Received
	}
	b.records[r.ID] = r
	c.Records = append([]AlertRecord{r}, c.Records...)
	return c
}

// open reports whether a copy of the message may take its place: one that was
// refused must not keep out the true one that a forged or early copy came
// before. What was over by a trusted clock is not begun by another.
func (r AlertRecord) open(again AlertRecord) bool {
	expired := r.Reason == AlertReasonExpired && again.Clock != ClockTrusted
	return r.State == AlertRefused && !expired
}

// again is a message that came before: its sound may have come since.
func (b *AlertBook) again(old, r AlertRecord) Change {
	c := Change{Known: true}
	switch {
	case old.Clip == nil && r.Clip != nil:
		old.Clip = r.Clip
	case old.Clip == nil && len(old.Audio) > 0 && len(r.Audio) == 0:
		old.Audio = nil // none is to come any more
	default:
		return c
	}
	b.records[old.ID] = old
	c.Records = []AlertRecord{old}
	return c
}

func (b *AlertBook) verdict(r AlertRecord, p *Programme) (AlertState, AlertReason) {
	rules := p.Alerts
	vouched := r.Source == AlertByLink || r.Source == AlertAtSite
	switch s := r.Signature; {
	case s.State == SignatureBad:
		return AlertRefused, AlertReasonSignature
	case !vouched && s.State == SignatureVerified && s.Counter > 0 && s.Counter <= b.counters[s.By]:
		return AlertRefused, AlertReasonReplay
	case !vouched && s.State != SignatureVerified && !slices.Contains(rules.Unsigned, r.Source):
		return AlertRefused, AlertReasonUnsigned
	}
	if r.Kind == AlertCancel {
		return AlertLogged, AlertReasonNone
	}
	if old, ok := b.retired[r.ID]; ok {
		return AlertCancelled, old.Reason
	}
	if old, ok := b.retired[r.ID.Timeless()]; ok {
		return AlertCancelled, old.Reason
	}
	if _, sounds := r.Alert.Rank(); !sounds {
		return AlertLogged, AlertReasonSilent
	}
	switch {
	case len(p.Concerned(r.Alert)) == 0:
		return AlertRefused, AlertReasonArea
	case r.Clock == ClockTrusted && r.Received.After(r.Expires(rules)):
		return AlertRefused, AlertReasonExpired
	case r.Class.Drill() && !rules.Drills:
		return AlertRefused, AlertReasonDrill
	}
	return AlertWaiting, AlertReasonNone
}

// retire ends what a cancel or an update names and may end. The update inherits the
// highest rank of what it took the place of.
func (b *AlertBook) retire(r *AlertRecord) (c Change) {
	reason := AlertReasonCancelled
	if r.Kind == AlertUpdate {
		reason = AlertReasonSuperseded
	}
	r.Rank = r.Standing()
	for _, id := range r.Refs {
		if _, ok := b.retired[id]; ok || id == r.ID {
			continue
		}
		if r.retiresAll() { // else what has not come yet may be what it must not retire
			gone := Retired{ID: id, By: r.ID, Reason: reason, At: r.Received}
			b.retired[id] = gone
			c.Retired = append(c.Retired, gone)
		}
		for _, old := range b.named(id) {
			if old.ID == r.ID || !r.MayRetire(old.Alert) {
				continue
			}
			if r.Kind == AlertUpdate {
				r.Rank = max(r.Rank, old.Standing())
			}
			if !old.State.Over() {
				old.State, old.Reason, old.By, old.Ended = AlertCancelled, reason, r.ID, r.Received
				b.records[old.ID] = old
				c.Records = append(c.Records, old)
			}
		}
	}
	return c
}

// named are the alerts that a reference means.
func (b *AlertBook) named(ref AlertID) (all []AlertRecord) {
	if r, ok := b.records[ref]; ok {
		return []AlertRecord{r}
	}
	if !strings.HasSuffix(string(ref), ",") {
		return nil
	}
	for id, r := range b.records {
		if ref.Means(id) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y AlertRecord) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

// Means reports whether the ID, as a reference, names an alert. CAP 1.0 leaves
// out the time that later versions end it with.
func (id AlertID) Means(alert AlertID) bool {
	return id != "" && (id == alert || id == alert.Timeless())
}

// Timeless is a CAP alert's ID as CAP 1.0 refers to it: up to its last comma,
// empty where there is none.
func (id AlertID) Timeless() AlertID { return id[:strings.LastIndexByte(string(id), ',')+1] }

// Standing is the alert's place on the ladder: its own, or what it inherited.
func (r AlertRecord) Standing() Rank {
	own, _ := r.Alert.Rank()
	return max(own, r.Rank)
}

// Withdraw ends alerts of a scope that its county no longer has in force.
func (b *AlertBook) Withdraw(scope Scope, inForce []AlertID, now time.Time) (c Change) {
	for id, r := range b.records {
		if r.Scope != scope || r.Source != AlertByLink || r.State.Over() || slices.Contains(inForce, id) {
			continue
		}
		r.State, r.Reason, r.Ended = AlertCancelled, AlertReasonWithdrawn, now
		b.records[id] = r
		c.Records = append(c.Records, r)
	}
	return c
}

// Settle notes how far an alert has come. A settled one stays as it is.
func (b *AlertBook) Settle(id AlertID, s AlertState, now time.Time) (r AlertRecord, changed bool) {
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

// InForce are the alerts that are to sound, in the order in which they may:
// the highest rank first; of equal ones that for the larger area, then the
// one received earlier.
func (b *AlertBook) InForce() []AlertRecord {
	all := slices.Collect(maps.Values(b.records))
	all = slices.DeleteFunc(all, func(r AlertRecord) bool { return r.State.Over() })
	slices.SortFunc(all, func(x, y AlertRecord) int {
		return cmp.Or(cmp.Compare(y.Standing(), x.Standing()), cmp.Compare(x.breadth(), y.breadth()),
			x.Received.Compare(y.Received), cmp.Compare(x.ID, y.ID))
	})
	return all
}

// breadth is how many digits name the largest of its areas: the fewer, the
// larger.
func (r AlertRecord) breadth() int {
	least := 12
	for _, a := range r.Areas {
		least = min(least, len(a.trim()))
	}
	return least
}

// Forget drops what was settled before then and can no longer come again, and
// what was retired before then and has not come. It answers the IDs of both.
func (b *AlertBook) Forget(before time.Time, rules AlertRules) (gone []AlertID) {
	for id, r := range b.records {
		if r.State.Over() && r.Ended.Before(before) && r.Expires(rules).Before(before) {
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

// Concerned are the outputs that the alert is for.
func (p *Programme) Concerned(a Alert) []Output {
	var out []Output
	for _, o := range p.Outputs {
		area := o.Area
		if area == "" {
			area = p.Site.Area
		}
		if a.Concerns(area, p.Alerts.Place) {
			out = append(out, o)
		}
	}
	return out
}

// AlertOutcome is what became of an alert, by its as-run rows: done where each
// output has sounded a whole pass of what it says, failed where none has
// sounded at all, partial in between, as where there was but the tone.
func AlertOutcome(rows []Row, outputs []Output) AlertState {
	whole, some := 0, false
	for _, o := range outputs {
		complete := false
		for _, r := range rows {
			if r.Output != o.Name {
				continue
			}
			some = some || r.Frames > 0
			complete = complete || r.Used != UsedTone && r.Outcome == Complete
		}
		if complete {
			whole++
		}
	}
	switch {
	case whole > 0 && whole == len(outputs):
		return AlertDone
	case some:
		return AlertPartial
	}
	return AlertFailed
}
