package link

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// Bounds of what a controller tells.
const (
	MaxBatch     = 200       // receipts in one batch
	MaxEvents    = 50        // events in one sync
	maxEventSize = 2 << 10   // bytes of one of them
	maxEpochs    = 16        // epochs in one sync
	maxHave      = 256       // documents in one sync
	maxFeatures  = 256       // names of features in one sync
	maxTold      = 256 << 10 // bytes of a sync beside the documents it shows
	maxUnpacked  = 4 << 20   // bytes of a sync or its answer, unpacked
)

// Mark is how far the county has an epoch.
type Mark = asrun.Mark

// Receipt is a receipt as it comes over the wire.
type Receipt struct {
	asrun.Receipt

	// Wrong is why the county cannot keep it, found as it was read; nil: it
	// can. Of such a receipt only Row.Seq counts.
	Wrong error `json:"-"`
}

// check reports why a county cannot keep the receipt.
func (r Receipt) check() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", playlist.ErrInvalid, what) }
	switch row := r.Row; {
	case row.Airing == "" || row.Output == "":
		return bad("no airing or no output")
	case row.Clip != "" && !playlist.IsClipID(string(row.Clip)):
		return bad("no name for a clip")
	case row.Item < 0 || row.Part < 0 || row.Issue < 0 || row.Residents < 0 || row.FromFrame < 0 || row.Frames < 0 || row.OfFrames < 0:
		return bad("less than none")
	case r.Corrects != nil && (!playlist.IsToken(r.Corrects.Epoch) || r.Corrects.Seq < 1):
		return bad("a correction of nothing")
	}
	return nil
}

// Refused is a receipt that the county cannot keep, and why. All others of its
// batch it keeps.
type Refused struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
	Why   string `json:"why"` // for those who look for the fault
}

// maxWhy is how many bytes of a reason are told.
const maxWhy = 200

// refused are the receipts of a batch that the county cannot keep.
func (b Batch) refused() []Refused {
	var all []Refused
	for _, r := range b.Receipts {
		if r.Wrong != nil {
			why := r.Wrong.Error()
			all = append(all, Refused{b.Epoch, r.Row.Seq, strings.ToValidUTF8(why[:min(len(why), maxWhy)], "")})
		}
	}
	return all
}

// Batch is receipts of one epoch with numbers that follow one another. Which
// come first is the controller's store's concern: numbers are given out in the
// order in which receipts are to travel, and never leave one out.
type Batch struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"` // the answer repeats it; empty on a stick
	Epoch      string                `json:"epoch"`

	// Gone says that the controller no longer has the receipts up to this
	// number, sent or not: a gap that ends there is one for good.
	Gone int64 `json:"gone,omitempty"`

	Receipts []Receipt `json:"receipts"`
}

// Check reports what is wrong with the batch itself, whatever its receipts
// say.
func (b Batch) Check() error {
	bad := func(what string) error {
		return fmt.Errorf("%w: receipts of %s: %s", playlist.ErrInvalid, b.Controller, what)
	}
	switch {
	case !playlist.IsToken(string(b.Controller)) || !playlist.IsToken(b.Epoch) || len(b.Nonce) > 64:
		return bad("no name for a controller, an epoch or a nonce")
	case len(b.Receipts) < 1 || len(b.Receipts) > MaxBatch:
		return bad(fmt.Sprintf("%d in a batch", len(b.Receipts)))
	case b.Gone < 0 || b.Gone >= b.Receipts[0].Row.Seq:
		return bad("gone, and yet here")
	}
	for i, r := range b.Receipts {
		if r.Row.Seq != b.Receipts[0].Row.Seq+int64(i) || r.Row.Seq < 1 {
			return bad("numbers do not follow one another")
		}
	}
	return nil
}

// After is what of the batch a county lacks that has all up to mark, and the
// mark once it has that too. lost is how many receipts before it are gone for
// good. Where others are still to come first, the answer is [ErrGap] and
// nothing may be stored.
func (b Batch) After(mark int64) (rest []Receipt, next, lost int64, err error) {
	if len(b.Receipts) == 0 {
		return nil, mark, 0, nil
	}
	first := b.Receipts[0].Row.Seq
	if first > mark+1 {
		if b.Gone != first-1 {
			return nil, mark, 0, fmt.Errorf("%w: %d wanted, %d found", ErrGap, mark+1, first)
		}
		lost = first - 1 - mark
	}
	last := b.Receipts[len(b.Receipts)-1].Row.Seq
	if last <= mark {
		return nil, mark, 0, nil
	}
	if first <= mark {
		b.Receipts = b.Receipts[mark+1-first:]
	}
	return b.Receipts, last, lost, nil
}

// Event is a line of a controller's device log.
type Event struct {
	ID      int64          `json:"id"` // grows; names the event together with Boot and MonoMS
	At      time.Time      `json:"at"`
	Boot    string         `json:"boot"`
	MonoMS  int64          `json:"mono_ms"`
	Level   int            `json:"level"` // as log/slog counts
	Message string         `json:"message"`
	Attrs   map[string]any `json:"attrs,omitempty"`
}

// Health is how a controller is.
type Health struct {
	Program string `json:"program"` // its version

	// Understands names the features of documents that the program knows beyond
	// release 0.1; see [Feature]. Release 0.1 itself says nothing here. Names that
	// the county does not know are of a later program.
	Understands []string `json:"understands"`

	Site    string         `json:"site"` // its name on the spot
	Area    playlist.Area  `json:"area"`
	Started time.Time      `json:"started,omitzero"`
	Outputs []OutputHealth `json:"outputs"`

	Store      string    `json:"store"` // "ok", "volatile", "damaged", "full"
	StoreBytes int64     `json:"store_bytes"`
	FreeBytes  int64     `json:"free_bytes"`
	Unsent     int       `json:"unsent"`
	Oldest     time.Time `json:"oldest,omitzero"` // of the unsent
	Clips      int       `json:"clips"`           // files at hand

	Progress []Progress      `json:"progress,omitempty"`
	Alerts   []AlertProgress `json:"alerts,omitempty"`
}

// OutputHealth is one loudspeaker zone's.
type OutputHealth struct {
	Name      string        `json:"name"`
	Device    string        `json:"device"`
	State     string        `json:"state"` // "ok", or what is wrong
	Area      playlist.Area `json:"area"`
	Residents int           `json:"residents"`
	Airing    string        `json:"airing,omitempty"` // what sounds now
	Underruns int64         `json:"underruns,omitempty"`
}

// Progress is how far a controller is with a manifest.
type Progress struct {
	Scope   playlist.Scope `json:"scope"`
	Version int64          `json:"version"`
	Clips   int            `json:"clips"`   // that it needs
	Present int            `json:"present"` // fetched, their hashes right
	Active  bool           `json:"active"`
	Why     string         `json:"why,omitempty"` // not active
}

// AlertProgress is how far a controller is with an alert.
type AlertProgress struct {
	ID    playlist.AlertID `json:"id"`
	State string           `json:"state"` // as its lifecycle has it
	Why   string           `json:"why,omitempty"`
	At    time.Time        `json:"at"`
}

// SyncRequest is what a controller tells when it asks what is new.
type SyncRequest struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"`
	Have       []Have                `json:"have"`
	Marks      []Mark                `json:"marks"`   // what it believes the county has, by epoch
	At         time.Time             `json:"at"`      // by its clock
	Clock      playlist.ClockState   `json:"clock"`   // and how far that may be believed
	Boot       string                `json:"boot"`    // ID of the machine's boot
	MonoMS     int64                 `json:"mono_ms"` // since that boot
	Health     Health                `json:"health"`
	Events     []Event               `json:"events,omitempty"`

	// Proof are envelopes that the last answer asked for: what this
	// controller holds and the county has lost.
	Proof []json.RawMessage `json:"proof,omitempty"`
}

// SyncAnswer is what it is answered.
type SyncAnswer struct {
	Stamp     json.RawMessage   `json:"stamp"`               // an envelope of a [Stamp]
	Envelopes []json.RawMessage `json:"envelopes,omitempty"` // above what it has
	More      bool              `json:"more,omitempty"`      // there were too many: ask again
	Want      []Have            `json:"want,omitempty"`      // show these: the county does not have them
}

// TypeStamp is the payload type of a [Stamp].
const TypeStamp = "application/vnd.dalaba.stamp.v1+json+gzip"

// Stamp is what the edge signs for one controller: what time it is and what
// has been stored. It answers a sync and a batch of receipts alike.
type Stamp struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"` // the request's; empty on a stick
	Time       time.Time             `json:"time"`
	Marks      []Mark                `json:"marks,omitempty"`
	Events     int64                 `json:"events,omitempty"`  // the last event noted
	Refused    string                `json:"refused,omitempty"` // "disabled", "unknown", "gap", "invalid", "later"
	Aside      []Refused             `json:"aside,omitempty"`   // receipts up to the marks that the county cannot keep
}

// TypeReceipts is the payload type of a [Batch].
const TypeReceipts = "application/vnd.dalaba.receipts.v1+json+gzip"

func newNonce() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// SealBatch signs receipts with the controller's own key.
func SealBatch(b Batch, key Signer) (Envelope, error) {
	return seal(TypeReceipts, b, b.Check(), []Signer{key})
}

// OpenBatch verifies receipts by their controller's key and reads them. Each
// is read by itself: what one says must not keep the others from the county.
func OpenBatch(e Envelope, key PublicKey) (Batch, error) {
	var b struct {
		Batch
		Receipts []json.RawMessage `json:"receipts"` // instead of the batch's
	}
	if e.PayloadType != TypeReceipts {
		return b.Batch, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	if !e.Valid(key) {
		return b.Batch, fault{ErrSignature, say.M("link.signature", 0, 1, "controller")}
	}
	// A later controller may say more of an airing than this county knows.
	if err := e.openLenient(&b); err != nil || len(b.Receipts) > MaxBatch {
		return b.Batch, errors.Join(err, b.Check())
	}
	for _, text := range b.Receipts {
		b.Batch.Receipts = append(b.Batch.Receipts, readReceipt(text))
	}
	return b.Batch, b.Check()
}

// readReceipt reads a receipt, or its number and what is wrong with it.
func readReceipt(text []byte) (r Receipt) {
	err := lenient(text, &r)
	if err == nil {
		r.Wrong = r.check()
		return r
	}
	var bare struct {
		Row struct {
			Seq int64 `json:"seq"`
		} `json:"row"`
	}
	_ = json.Unmarshal(text, &bare) // no number: its batch does not pass
	return Receipt{Receipt: asrun.Receipt{Row: asrun.Row{Seq: bare.Row.Seq}}, Wrong: err}
}

// OpenStamp verifies a stamp and that it is meant for this controller and
// this question.
func OpenStamp(raw []byte, t Trust, id playlist.ControllerID, nonce string) (Stamp, error) {
	e, err := ParseEnvelope(raw)
	if err != nil {
		return Stamp{}, err
	}
	if e.PayloadType != TypeStamp {
		return Stamp{}, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	if err := t.Verify(e, RoleEdge); err != nil {
		return Stamp{}, err
	}
	// A stamp is a response: a later county may say more in it.
	var s Stamp
	if err := e.openLenient(&s); err != nil {
		return s, err
	}
	if s.Controller != id || s.Nonce != nonce {
		return s, fault{ErrImposter, say.M("link.imposter")}
	}
	return s, nil
}

// parseSync reads a packed sync request and holds it to its bounds.
func parseSync(b []byte) (SyncRequest, error) {
	var q SyncRequest
	text, err := unpack(b, maxUnpacked)
	if err == nil {
		err = lenient(text, &q)
	}
	if err != nil {
		return q, err
	}
	told := len(text)
	for _, p := range q.Proof {
		told -= len(p)
	}
	switch {
	case told > maxTold, !playlist.IsToken(string(q.Controller)), len(q.Nonce) > 64, len(q.Boot) > 64, len(q.Have) > maxHave,
		len(q.Marks) > maxEpochs, len(q.Events) > MaxEvents, len(q.Proof) > len(q.Have),
		len(q.Health.Outputs) > 64, len(q.Health.Progress) > maxHave, len(q.Health.Alerts) > 4*MaxAlerts,
		len(q.Health.Understands) > maxFeatures:
		return q, malformed(fmt.Errorf("a sync of %q beyond its bounds", q.Controller))
	}
	return q, nil
}

// parseAnswer reads a packed answer to a sync.
func parseAnswer(b []byte) (SyncAnswer, error) {
	var a SyncAnswer
	text, err := unpack(b, maxUnpacked)
	if err == nil {
		err = lenient(text, &a)
	}
	if err == nil && (len(a.Envelopes) > maxHave || len(a.Want) > maxHave) {
		err = malformed(fmt.Errorf("%d envelopes, %d wanted", len(a.Envelopes), len(a.Want)))
	}
	return a, err
}
