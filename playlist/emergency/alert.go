package emergency

import (
	"slices"
	"time"

	"dalaba/playlist"
)

// Kind is what a message does.
type Kind string

const (
	KindRequest Kind = "request" // sound it
	KindUpdate  Kind = "update"  // sound it, and retire what it refers to
	KindCancel  Kind = "cancel"  // retire what it refers to
	KindAnswer  Kind = "answer"  // someone's acknowledgement or complaint: logged, nothing else
)

// Class is how serious a message is meant.
type Class string

const (
	ClassEmergency      Class = "emergency"
	ClassDrillActual    Class = "drill_actual"    // 实际演练: sounds if the site allows it
	ClassDrillSimulated Class = "drill_simulated" // 模拟演练: sounds if the site allows it
	ClassDrillSystem    Class = "drill_system"    // 系统演练: logged and answered, never sounds
	ClassTest           Class = "test"            // logged and answered, never sounds
	ClassNotPublic      Class = "not_public"      // for named recipients: logged, never sounds
	ClassDaily          Class = "daily"           // an everyday message: ranks as a scheduled airing
)

// Drill reports whether the class begins with the spoken word 演练.
func (c Class) Drill() bool { return c == ClassDrillActual || c == ClassDrillSimulated }

// Level is 1 red, 2 orange, 3 yellow, 4 blue.
type Level int

// The levels of an emergency.
const (
	Red    Level = 1
	Orange Level = 2
	Yellow Level = 3
	Blue   Level = 4
)

// Alert is an emergency message (应急消息), whatever format it came in.
type Alert struct {
	ID         playlist.AlertID `json:"id"`
	Format     string           `json:"format"`               // "CAP 1.2", "EBM", "hand", ...
	Identifier string           `json:"identifier,omitempty"` // as its sender wrote it
	Sender     string           `json:"sender"`
	SenderName string           `json:"sender_name,omitempty"`
	Sent       time.Time        `json:"sent"`
	Kind       Kind             `json:"kind"`
	Class      Class            `json:"class"`
	Level      Level            `json:"level"`
	Event      string           `json:"event,omitempty"`      // in words
	EventCode  string           `json:"event_code,omitempty"` // as its format has it

	Areas  []playlist.Area `json:"areas,omitempty"`
	Shapes []Shape         `json:"shapes,omitempty"` // CAP polygons and circles

	// Elsewhere is what the message calls places that are neither: others'
	// geocodes, and the words of an area that has nothing else.
	Elsewhere []string `json:"elsewhere,omitempty"`

	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"` // zero: the receiver's policy

	Texts []Text             `json:"texts,omitempty"` // in the order of the message
	Audio []Audio            `json:"audio,omitempty"`
	Refs  []playlist.AlertID `json:"refs,omitempty"` // what an update or cancel retires

	Passes int           `json:"passes,omitempty"` // how often it is to sound; 0: as each site has it
	Gap    time.Duration `json:"gap,omitempty"`    // between two passes; 0: the receiver's policy

	// Silent is a message that is never to sound whatever its class: there is
	// nothing in it, or no place that it is for.
	Silent bool `json:"silent,omitempty"`

	Signature Signature `json:"signature"`
}

// Shape is a CAP polygon, or a circle where RadiusKM is above zero.
// Points are latitude and longitude in degrees, WGS 84.
type Shape struct {
	Points   [][2]float64 `json:"points"` // of a polygon, first = last; of a circle its centre
	RadiusKM float64      `json:"radius_km,omitempty"`
}

// Text is what an alert says in one language.
type Text struct {
	Language string `json:"language"` // BCP 47
	Title    string `json:"title,omitempty"`
	Text     string `json:"text"`                  // what is to be spoken
	Advice   string `json:"instruction,omitempty"` // what people should do
}

// Audio is a sound that came with an alert, or that it names.
type Audio struct {
	Name      string          `json:"name"`
	MediaType string          `json:"media_type,omitempty"`
	URI       string          `json:"uri,omitempty"`    // to fetch it from, if it did not come along
	SHA256    playlist.ClipID `json:"sha256,omitempty"` // of Data
	Size      int64           `json:"size,omitempty"`
	Digest    string          `json:"digest,omitempty"`  // as declared
	Matched   string          `json:"matched,omitempty"` // what Digest is of: "bytes", "base64", "none"; empty: none was declared
	Data      []byte          `json:"-"`
	Inline    bool            `json:"-"` // Data stands in the message, whose signature covers it

	// Unfit is what came in place of Data: its digest does not match (Matched is
	// "none"), or its base64 text was damaged (Matched is empty).
	Unfit []byte `json:"-"`
}

// SignatureState is what became of a message's signature.
type SignatureState string

const (
	SignatureAbsent   SignatureState = "absent"
	SignatureVerified SignatureState = "verified"
	SignatureBad      SignatureState = "bad"
	SignatureUnknown  SignatureState = "unknown" // it holds, or could not be checked, but its signer is not trusted here
)

// Signature says who signed a message, as far as that is proven.
type Signature struct {
	State SignatureState `json:"state"`
	By    string         `json:"by,omitempty"` // subject or certificate number

	// Key is the start of the SHA-256 of the key of the EBD certificate that signed, in
	// hex, if the signature is verified. It is not part of a document of alerts.
	Key string `json:"-"`

	Counter uint32 `json:"counter,omitempty"` // EBD's, above the last of its certificate
	Why     string `json:"why,omitempty"`     // of one that is not verified: a key of playlist/say
}

// Rank is the alert's place on the ladder; ok is false for one that never
// sounds: tests, system drills, cancels, replies, and messages not for the public.
func (a Alert) Rank() (r playlist.Rank, ok bool) {
	if a.Kind == KindCancel || a.Kind == KindAnswer || a.Silent {
		return 0, false
	}
	switch a.Class {
	case ClassEmergency:
		return playlist.RankEmergency1 - 10*playlist.Rank(a.Level.Ranked()-Red), true
	case ClassDrillActual:
		return playlist.RankActualDrill, true
	case ClassDrillSimulated:
		return playlist.RankSimulatedDrill, true
	case ClassDaily:
		return playlist.RankTopScheduled, true
	}
	return 0, false
}

// Concerns reports whether the alert is for a place: one of its areas covers
// the place's, or the place lies in one of its shapes. An alert that names no
// place at all is for all of them. at is nil if the position is unknown.
func (a Alert) Concerns(area playlist.Area, at *playlist.Place) bool {
	if len(a.Areas) == 0 && len(a.Shapes) == 0 {
		return len(a.Elsewhere) == 0
	}
	if slices.ContainsFunc(a.Areas, func(b playlist.Area) bool { return b.Covers(area) }) {
		return true
	}
	return at != nil && slices.ContainsFunc(a.Shapes, func(s Shape) bool { return s.Holds(*at) })
}

// For reports whether the alert is for an output there: it concerns one of the areas
// in which the output may be.
func (a Alert) For(w playlist.Whereabouts, at *playlist.Place) bool {
	return slices.ContainsFunc(w.Hears(), func(area playlist.Area) bool { return a.Concerns(area, at) })
}

// MayBeFor is [Alert.For] for an output whose position is not known: an alert with
// shapes may be for it, the controller there decides.
func (a Alert) MayBeFor(w playlist.Whereabouts) bool { return len(a.Shapes) > 0 || a.For(w, nil) }

// Concerned returns the outputs of a site that the alert is for. An output
// without an area of its own has the site's.
func (a Alert) Concerned(p *playlist.Programme) []playlist.Output {
	var out []playlist.Output
	for _, o := range p.Outputs {
		if a.For(p.PlaceOf(o), p.Alerts.Place) {
			out = append(out, o)
		}
	}
	return out
}
