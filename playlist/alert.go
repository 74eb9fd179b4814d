package playlist

import (
	"slices"
	"time"
)

// AlertID names an alert for deduplication: sender, identifier and sent of a
// CAP message, joined by commas as CAP's references are; the EBMID of an EBM.
type AlertID string

// AlertKind is what a message does.
type AlertKind string

const (
	AlertRequest AlertKind = "request" // sound it
	AlertUpdate  AlertKind = "update"  // sound it, and retire what it refers to
	AlertCancel  AlertKind = "cancel"  // retire what it refers to
	AlertAnswer  AlertKind = "answer"  // someone's acknowledgement or complaint: logged, nothing else
)

// AlertClass is how serious a message is meant.
type AlertClass string

const (
	AlertEmergency      AlertClass = "emergency"
	AlertDrillActual    AlertClass = "drill_actual"    // 实际演练: sounds where the site allows it
	AlertDrillSimulated AlertClass = "drill_simulated" // 模拟演练: sounds where the site allows it
	AlertDrillSystem    AlertClass = "drill_system"    // 系统演练: logged and answered, never sounds
	AlertTest           AlertClass = "test"            // logged and answered, never sounds
	AlertNotPublic      AlertClass = "not_public"      // for named recipients: logged, never sounds
	AlertDaily          AlertClass = "daily"           // an everyday message: ranks as a scheduled airing
)

// Drill reports whether the class begins with the spoken word 演练.
func (c AlertClass) Drill() bool { return c == AlertDrillActual || c == AlertDrillSimulated }

// AlertLevel is 1 red, 2 orange, 3 yellow, 4 blue.
type AlertLevel int

// The levels of an emergency.
const (
	AlertRed    AlertLevel = 1
	AlertOrange AlertLevel = 2
	AlertYellow AlertLevel = 3
	AlertBlue   AlertLevel = 4
)

// Alert is an emergency message (应急消息), whatever format it came in.
type Alert struct {
	ID         AlertID    `json:"id"`
	Format     string     `json:"format"`               // "CAP 1.2", "EBM", "hand", ...
	Identifier string     `json:"identifier,omitempty"` // as its sender wrote it
	Sender     string     `json:"sender"`
	SenderName string     `json:"sender_name,omitempty"`
	Sent       time.Time  `json:"sent"`
	Kind       AlertKind  `json:"kind"`
	Class      AlertClass `json:"class"`
	Level      AlertLevel `json:"level"`
	Event      string     `json:"event,omitempty"`      // in words
	EventCode  string     `json:"event_code,omitempty"` // as its format has it

	Areas  []Area       `json:"areas,omitempty"`
	Shapes []AlertShape `json:"shapes,omitempty"` // CAP polygons and circles

	// Elsewhere is what the message calls places that are neither: others'
	// geocodes, and the words of an area that has nothing else.
	Elsewhere []string `json:"elsewhere,omitempty"`

	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"` // zero: the receiver's policy

	Texts []AlertText  `json:"texts,omitempty"` // in the order of the message
	Audio []AlertAudio `json:"audio,omitempty"`
	Refs  []AlertID    `json:"refs,omitempty"` // what an update or cancel retires

	Passes int           `json:"passes,omitempty"` // how often it is to sound; 0: until NotAfter
	Gap    time.Duration `json:"gap,omitempty"`    // between two passes; 0: the receiver's policy

	// Silent is a message that is never to sound whatever its class: there is
	// nothing in it, or nobody it is for.
	Silent bool `json:"silent,omitempty"`

	Signature AlertSignature `json:"signature"`
}

// AlertShape is a CAP polygon, or a circle where RadiusKM is above zero.
// Points are latitude and longitude in degrees, WGS 84.
type AlertShape struct {
	Points   [][2]float64 `json:"points"` // of a polygon, first = last; of a circle its centre
	RadiusKM float64      `json:"radius_km,omitempty"`
}

// AlertText is what an alert says in one language.
type AlertText struct {
	Language string `json:"language"` // BCP 47
	Title    string `json:"title,omitempty"`
	Text     string `json:"text"`                  // what is to be spoken
	Advice   string `json:"instruction,omitempty"` // what people should do
}

// AlertAudio is a sound that came with an alert, or that it names.
type AlertAudio struct {
	Name      string `json:"name"`
	MediaType string `json:"media_type,omitempty"`
	URI       string `json:"uri,omitempty"`    // where it can be fetched, if it did not come along
	SHA256    ClipID `json:"sha256,omitempty"` // of Data
	Size      int64  `json:"size,omitempty"`
	Digest    string `json:"digest,omitempty"`  // as declared, SHA-1 in hex
	Matched   string `json:"matched,omitempty"` // what Digest is of: "bytes", "base64", "none"; empty: none was declared
	Data      []byte `json:"-"`
}

// SignatureState is what became of a message's signature.
type SignatureState string

const (
	SignatureAbsent   SignatureState = "absent"
	SignatureVerified SignatureState = "verified"
	SignatureBad      SignatureState = "bad"
	SignatureUnknown  SignatureState = "unknown" // it holds, or could not be checked, but nobody here vouches for the signer
)

// AlertSignature says who signed a message, as far as that is proven.
type AlertSignature struct {
	State   SignatureState `json:"state"`
	By      string         `json:"by,omitempty"`      // subject or certificate number
	Counter uint32         `json:"counter,omitempty"` // EBD's, above the last of its certificate
	Why     string         `json:"why,omitempty"`     // of one that is not verified: a key of playlist/say
}

// Rank is the alert's place on the ladder; ok is false for one that never
// sounds: tests, system drills, cancels, answers, what is not for the public.
func (a Alert) Rank() (r Rank, ok bool) {
	if a.Kind == AlertCancel || a.Kind == AlertAnswer || a.Silent {
		return 0, false
	}
	switch a.Class {
	case AlertEmergency:
		level := a.Level
		if level < AlertRed || level > AlertBlue {
			level = AlertBlue
		}
		return RankEmergency1 - 10*Rank(level-AlertRed), true
	case AlertDrillActual:
		return RankActualDrill, true
	case AlertDrillSimulated:
		return RankSimulatedDrill, true
	case AlertDaily:
		return topScheduled, true
	}
	return 0, false
}

// alertSkew is how far the clocks of a sender and a pole may be apart.
const alertSkew = time.Minute

// Early reports whether an alert that is there at that instant is to wait: it
// names a time that is yet to come, and later than it was sent. What is to
// sound from when it was sent does so at once, whatever its sender's clock.
func (a Alert) Early(at time.Time) bool {
	return a.NotBefore.After(at.Add(alertSkew)) && a.NotBefore.After(a.Sent.Add(alertSkew))
}

// Concerns reports whether the alert is for a place: one of its areas covers
// the place's, or the place lies in one of its shapes. Whoever names no place
// at all means everybody. at is nil where nobody knows the place's position.
func (a Alert) Concerns(area Area, at *Place) bool {
	if len(a.Areas) == 0 && len(a.Shapes) == 0 {
		return len(a.Elsewhere) == 0
	}
	if slices.ContainsFunc(a.Areas, func(b Area) bool { return b.Covers(area) }) {
		return true
	}
	return at != nil && slices.ContainsFunc(a.Shapes, func(s AlertShape) bool { return s.Holds(*at) })
}

// Text is what the alert says in the language wished for: that language, else
// one with the same first subtag, else the first.
func (a Alert) Text(language string) (AlertText, bool) {
	if len(a.Texts) == 0 {
		return AlertText{}, false
	}
	for _, same := range []func(string) bool{
		func(l string) bool { return l == language },
		func(l string) bool { return primary(l) == primary(language) },
	} {
		if i := slices.IndexFunc(a.Texts, func(t AlertText) bool { return same(t.Language) }); i >= 0 {
			return a.Texts[i], true
		}
	}
	return a.Texts[0], true
}
