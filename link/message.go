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

// Limits of what a controller sends.
const (
	MaxBatch     = 200       // receipts in one batch
	MaxEvents    = 50        // events in one sync
	maxEventSize = 2 << 10   // bytes of one of them
	maxEpochs    = 16        // epochs in one sync
	maxHave      = 256       // documents in one sync
	maxFeatures  = 256       // names of features in one sync
	maxLocal     = 32 << 10  // bytes of the local rules in one sync
	maxSyncSize  = 256 << 10 // bytes of a sync, without the documents in its Proof
	maxUnpacked  = 4 << 20   // bytes of a sync or its response, unpacked
)

// Mark says that the county has all receipts of a controller's epoch up to number
// Seq.
type Mark = asrun.Mark

// Receipt is a receipt as it comes over the wire.
type Receipt struct {
	asrun.Receipt

	// Wrong is why the county cannot keep the receipt, or nil if it can. It is set
	// when the receipt is read. If it is set, only Row.Seq means anything.
	Wrong error `json:"-"`
}

// check returns why a county cannot keep the receipt, or nil if it can.
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

// Refused is a receipt that the county cannot keep, and why. The county keeps all
// other receipts of the batch.
type Refused struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
	Why   string `json:"why"` // for the person who looks for the fault
}

// maxWhy is the longest reason, in bytes; a longer one is cut.
const maxWhy = 200

// refused returns the receipts of a batch that the county cannot keep.
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

// Batch is a list of receipts of one epoch with consecutive numbers. The
// controller's store decides which receipts are sent first: it numbers them in the
// order in which they are to be sent, and skips no number.
type Batch struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"` // the response repeats it; empty on a carrier
	Epoch      string                `json:"epoch"`

	// Gone says that the controller no longer has the receipts up to this number,
	// sent or not. If the county lacks some of them, it will never get them.
	Gone int64 `json:"gone,omitempty"`

	Receipts []Receipt `json:"receipts"`
}

// Check returns what is wrong with the batch as a whole. It does not check the
// content of its receipts.
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

// After returns the receipts of the batch that are new to a county whose mark is
// mark, and the county's next mark after it has stored them. lost is how many
// receipts between the mark and the batch the county will never get, because the
// controller no longer has them. If the controller still has to send earlier
// receipts first, the error is [ErrGap] and the county must store nothing.
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
type Event = asrun.Event

// Health is the state of a controller, as it reports it.
type Health struct {
	Program string `json:"program"` // its version

	// Understands names the features of documents that the program knows beyond
	// release 0.1; see [Feature]. Release 0.1 itself does not send it. A name that
	// the county does not know is that of a later program's feature.
	Understands []string `json:"understands"`

	Site    string         `json:"site"` // its name in its own configuration
	Area    playlist.Area  `json:"area"`
	Started time.Time      `json:"started,omitzero"`
	Outputs []OutputHealth `json:"outputs"`

	Store      string    `json:"store"` // "ok", "volatile", "damaged", "full"
	StoreBytes int64     `json:"store_bytes"`
	FreeBytes  int64     `json:"free_bytes"`
	Unsent     int       `json:"unsent"`
	Oldest     time.Time `json:"oldest,omitzero"` // the time of the oldest unsent receipt
	Clips      int       `json:"clips"`           // clip files in the store

	Progress []Progress      `json:"progress,omitempty"`
	Alerts   []AlertProgress `json:"alerts,omitempty"`
	Behind   []Lag           `json:"behind,omitempty"` // after the last sync
}

// OutputHealth is the state of one output, which serves one loudspeaker zone.
type OutputHealth struct {
	Name      string        `json:"name"`
	Device    string        `json:"device"`
	State     string        `json:"state"` // "ok", or what is wrong
	Area      playlist.Area `json:"area"`
	Residents int           `json:"residents"`
	Airing    string        `json:"airing,omitempty"` // what the output plays now
	Underruns int64         `json:"underruns,omitempty"`
}

// Progress says how many of a manifest's clips a controller has, and whether the
// manifest is active.
type Progress struct {
	Scope   playlist.Scope `json:"scope"`
	Version int64          `json:"version"`
	Clips   int            `json:"clips"`   // how many it needs
	Present int            `json:"present"` // how many of them the store has, with the right hash
	Active  bool           `json:"active"`  // the store has it in force

	// Planned says that some output airs by it, as the programme in force has it. Release
	// 0.1 does not send it.
	Planned bool   `json:"planned,omitempty"`
	Why     string `json:"why,omitempty"` // why it is not planned: "clips", "not_before", "no_output"; release 0.1: why it is not active
}

// AlertProgress is the state of an alert on a controller.
type AlertProgress struct {
	ID    playlist.AlertID `json:"id"`
	State string           `json:"state"` // a state of the alert's lifecycle
	Why   string           `json:"why,omitempty"`
	At    time.Time        `json:"at"`
}

// SyncRequest is what a controller sends to ask for new documents. It reports the
// controller's state too.
type SyncRequest struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"`
	Have       []Have                `json:"have"`
	Marks      []Mark                `json:"marks"`   // which receipts it believes the county has, by epoch
	At         time.Time             `json:"at"`      // by its clock
	Clock      playlist.ClockState   `json:"clock"`   // and whether that clock is trusted
	Boot       string                `json:"boot"`    // ID of the machine's boot
	MonoMS     int64                 `json:"mono_ms"` // since that boot
	Health     Health                `json:"health"`
	Events     []Event               `json:"events,omitempty"`

	// Local is a [playlist.Local]. It comes with the first sync of a session, and again if
	// it has changed.
	Local json.RawMessage `json:"local,omitempty"`

	// Proof holds the envelopes that the last response asked for: documents that
	// this controller has and the county lost.
	Proof []json.RawMessage `json:"proof,omitempty"`
}

// SyncAnswer is the response to a [SyncRequest].
type SyncAnswer struct {
	Stamp     json.RawMessage   `json:"stamp"`               // an envelope of a [Stamp]
	Envelopes []json.RawMessage `json:"envelopes,omitempty"` // documents newer than those it has
	More      bool              `json:"more,omitempty"`      // not all fitted: ask again at once
	Want      []Have            `json:"want,omitempty"`      // send these as Proof: the county does not have them
}

// TypeStamp is the payload type of a [Stamp].
const TypeStamp = "application/vnd.dalaba.stamp.v1+json+gzip"

// Stamp is what the edge signs for one controller: the time, and what the county has
// stored. It is part of the response to a sync, and is the response to a batch of
// receipts.
type Stamp struct {
	Controller playlist.ControllerID `json:"controller"`
	Nonce      string                `json:"nonce"` // the request's; empty on a carrier
	Time       time.Time             `json:"time"`
	Marks      []Mark                `json:"marks,omitempty"`
	Events     int64                 `json:"events,omitempty"`  // the ID of the last event recorded
	Refused    string                `json:"refused,omitempty"` // "disabled", "unknown", "gap", "taken", "invalid", "later"
	Aside      []Refused             `json:"aside,omitempty"`   // receipts up to the marks that the county cannot keep

	// InForce names the documents in force for the controller, in the response to a
	// sync; those that trust does not cover are not named. A broker that withholds
	// documents cannot change it. It is sent to controllers that understand
	// stamp-in-force: those of release 0.1 refuse a stamp with a field that they do not
	// know. Counties of release 0.1 do not send it.
	InForce []Have `json:"in_force,omitempty"`
}

// TypeReceipts is the payload type of a [Batch].
const TypeReceipts = "application/vnd.dalaba.receipts.v1+json+gzip"

func newNonce() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // cannot fail
	return hex.EncodeToString(b)
}

// SealBatch signs receipts with the controller's own key.
func SealBatch(b Batch, key Signer) (Envelope, error) {
	return seal(TypeReceipts, b, b.Check(), []Signer{key})
}

// OpenBatch verifies a batch by its controller's key and reads its receipts. It
// reads each of them separately, so that an unreadable one does not prevent the
// county from getting the others.
func OpenBatch(e Envelope, key PublicKey) (Batch, error) {
	b, _, err := openBatch(e, key)
	return b, err
}

// openBatch is [OpenBatch]. size is how long the batch is, unpacked.
func openBatch(e Envelope, key PublicKey) (batch Batch, size int, err error) {
	var b struct {
		Batch
		Receipts []json.RawMessage `json:"receipts"` // hides Batch.Receipts
	}
	if e.PayloadType != TypeReceipts {
		return b.Batch, 0, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	if !e.Valid(key) {
		return b.Batch, 0, fault{ErrSignature, say.M("link.signature", 0, 1, "controller")}
	}
	text, err := unpack(e.Payload, MaxPayload)
	if err == nil {
		err = decodeLenient(text, &b) // a later controller's receipts may have fields that this county does not know
	}
	if err != nil || len(b.Receipts) > MaxBatch {
		return b.Batch, len(text), errors.Join(err, b.Check())
	}
	for _, text := range b.Receipts {
		b.Batch.Receipts = append(b.Batch.Receipts, readReceipt(text))
	}
	return b.Batch, len(text), b.Check()
}

// readReceipt reads a receipt. If it cannot be read, only its number and Wrong are
// set.
func readReceipt(text []byte) (r Receipt) {
	err := decodeLenient(text, &r)
	if err == nil {
		r.Wrong = r.check()
		return r
	}
	var bare struct {
		Row struct {
			Seq int64 `json:"seq"`
		} `json:"row"`
	}
	_ = json.Unmarshal(text, &bare) // if there is no number, Batch.Check refuses the batch
	return Receipt{Receipt: asrun.Receipt{Row: asrun.Row{Seq: bare.Row.Seq}}, Wrong: err}
}

// OpenStamp verifies a stamp, and that it is for this controller and for the request
// with this nonce.
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
	// A stamp is a response: a later county's may have more fields.
	var s Stamp
	if err := e.openLenient(&s); err != nil {
		return s, err
	}
	if s.Controller != id || s.Nonce != nonce {
		return s, fault{ErrImposter, say.M("link.imposter")}
	}
	return s, nil
}

// parseSync reads a packed sync request and checks its limits. size is how long it is,
// unpacked.
func parseSync(b []byte) (q SyncRequest, size int, err error) {
	text, err := unpack(b, maxUnpacked)
	if err == nil {
		err = decodeLenient(text, &q)
	}
	if err != nil {
		return q, len(text), err
	}
	told := len(text)
	for _, p := range q.Proof {
		told -= len(p)
	}
	switch {
	case told > maxSyncSize, !playlist.IsToken(string(q.Controller)), len(q.Nonce) > 64, len(q.Boot) > 64, len(q.Have) > maxHave,
		len(q.Marks) > maxEpochs, len(q.Events) > MaxEvents, len(q.Proof) > len(q.Have),
		len(q.Health.Outputs) > 64, len(q.Health.Progress) > maxHave, len(q.Health.Alerts) > 4*MaxAlerts, len(q.Health.Behind) > maxHave,
		len(q.Health.Understands) > maxFeatures, len(q.Local) > maxLocal:
		return q, len(text), malformed(fmt.Errorf("a sync of %q beyond its bounds", q.Controller))
	}
	return q, len(text), nil
}

// parseAnswer reads the packed response to a sync and checks its limits.
func parseAnswer(b []byte) (SyncAnswer, error) {
	var a SyncAnswer
	text, err := unpack(b, maxUnpacked)
	if err == nil {
		err = decodeLenient(text, &a)
	}
	if err == nil && (len(a.Envelopes) > maxHave || len(a.Want) > maxHave) {
		err = malformed(fmt.Errorf("%d envelopes, %d wanted", len(a.Envelopes), len(a.Want)))
	}
	return a, err
}
