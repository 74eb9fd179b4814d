package link

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Kind is a kind of state document.
type Kind string

const (
	KindTrust    Kind = "trust"
	KindMember   Kind = "member"
	KindAlerts   Kind = "alerts"
	KindManifest Kind = "manifest"
)

// Kinds of state documents, the most pressing first: each may be needed to
// judge those after it.
var Kinds = []Kind{KindTrust, KindMember, KindAlerts, KindManifest}

// The payload types of state documents; see [TypeTrust].
const (
	TypeMember   = "application/vnd.dalaba.member.v1+json+gzip"
	TypeAlerts   = "application/vnd.dalaba.alerts.v1+json+gzip"
	TypeManifest = "application/vnd.dalaba.manifest.v1+json+gzip"
)

var typeOf = map[Kind]string{KindTrust: TypeTrust, KindMember: TypeMember, KindAlerts: TypeAlerts, KindManifest: TypeManifest}

// Type is the payload type of the kind's envelopes.
func (k Kind) Type() string { return typeOf[k] }

// Role is whose signature documents of the kind need.
func (k Kind) Role() Role {
	switch k {
	case KindTrust:
		return RoleRoot
	case KindMember:
		return RoleFleet
	case KindAlerts:
		return RoleAlert
	}
	return RolePlaylist
}

// Bounds of an [AlertsState].
const (
	MaxAlerts      = 64
	MaxInline      = 100 << 10 // bytes of one clip that travels inside
	MaxInlineTotal = 512 << 10
)

// AlertsState is all that is in force of alerts for a scope. What an earlier
// version had and this one lacks is cancelled.
type AlertsState struct {
	Scope   playlist.Scope `json:"scope"`
	Version int64          `json:"version"`
	Issued  time.Time      `json:"issued"`
	Alerts  []AlertInForce `json:"alerts"`
}

// AlertInForce is one of them.
type AlertInForce struct {
	Alert    emergency.Alert `json:"alert"`
	Received time.Time       `json:"received"` // by the county: ties go to the earlier

	// Order says that this travels ahead of its sound: take the output and
	// sound the tone. A later version may bring the clip.
	Order bool `json:"order,omitempty"`

	Clip   *playlist.Clip `json:"clip,omitempty"`   // the air clip, where there is one yet
	Inline []byte         `json:"inline,omitempty"` // its bytes, where they are few
}

// Check reports what is wrong with the state, nil where it may be signed.
func (s AlertsState) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: alerts of %s, version %d: %s", playlist.ErrInvalid, s.Scope, s.Version, fmt.Sprintf(what, args...))
	}
	if _, err := playlist.ParseScope(string(s.Scope)); err != nil {
		return err
	}
	if s.Version < 1 {
		return bad("versions count from 1")
	}
	if len(s.Alerts) > MaxAlerts {
		return bad("more than %d alerts", MaxAlerts)
	}
	seen, inline := map[playlist.AlertID]bool{}, 0
	for _, a := range s.Alerts {
		switch {
		case a.Alert.ID == "":
			return bad("an alert has no ID")
		case seen[a.Alert.ID]:
			return bad("alert %s stands there twice", a.Alert.ID)
		case a.Clip == nil && len(a.Inline) > 0:
			return bad("alert %s has bytes of no clip", a.Alert.ID)
		}
		seen[a.Alert.ID] = true
		if a.Clip == nil {
			continue
		}
		if id, err := playlist.ParseClipID(string(a.Clip.ID)); err != nil || id != a.Clip.ID {
			return bad("alert %s: %q is no clip ID", a.Alert.ID, a.Clip.ID)
		}
		if a.Clip.Frames < 1 || a.Clip.Size < 1 {
			return bad("alert %s: clip %s has no frames or no bytes", a.Alert.ID, a.Clip.ID.Short())
		}
		if n := len(a.Inline); n > 0 {
			inline += n
			h := sha256.Sum256(a.Inline)
			if n > MaxInline || inline > MaxInlineTotal || hex.EncodeToString(h[:]) != string(a.Clip.ID) {
				return bad("alert %s: the bytes inside are too many, or not those of clip %s", a.Alert.ID, a.Clip.ID.Short())
			}
		}
	}
	return nil
}

// Member is who a controller is to its county, and how it gets there. A new
// login is a new version of it.
type Member struct {
	Controller playlist.ControllerID `json:"controller"`
	Version    int64                 `json:"version"`
	Issued     time.Time             `json:"issued"`
	Areas      []playlist.Area       `json:"areas"`
	Groups     []string              `json:"groups,omitempty"`
	Retired    bool                  `json:"retired,omitempty"` // it is one no longer: what the county sent goes out of force

	JWT     string   `json:"jwt"`     // the broker login, worth nothing without the controller's key
	Servers []string `json:"servers"` // of the broker, tls://host:port
	Clips   []string `json:"clips"`   // what "/clips/<ID>" is appended to, the nearest first
	CA      string   `json:"ca"`      // PEM; empty: the system's
}

// Follower is the controller as scopes see it.
func (m Member) Follower() playlist.Follower {
	return playlist.Follower{ID: m.Controller, Areas: m.Areas, Groups: m.Groups}
}

// Check reports what is wrong with the document itself.
func (m Member) Check() error {
	bad := func(what string) error {
		return fmt.Errorf("%w: member %s, version %d: %s", playlist.ErrInvalid, m.Controller, m.Version, what)
	}
	switch {
	case !playlist.IsToken(string(m.Controller)):
		return bad("no name for a controller")
	case m.Version < 1:
		return bad("versions count from 1")
	case len(m.Areas) > 16 || len(m.Groups) > 64 || len(m.Servers) > 16 || len(m.Clips) > 16:
		return bad("more than 16 areas, servers or clip addresses, or 64 groups")
	}
	for _, a := range m.Areas {
		if _, err := playlist.ParseArea(string(a)); err != nil {
			return err
		}
	}
	for _, g := range m.Groups {
		if !playlist.IsToken(g) {
			return bad("no name for a group")
		}
	}
	return nil
}

// Have names a state document that somebody holds.
type Have struct {
	Kind    Kind           `json:"kind"`
	Scope   playlist.Scope `json:"scope,omitempty"` // trust has none
	Version int64          `json:"version"`
	Digest  string         `json:"digest"` // [Envelope.Digest]
}

// Document is a state document that has been verified, now or when it was kept.
type Document struct {
	Have
	Issued time.Time
	Raw    []byte // the envelope as it came

	// One of these, by kind.
	Trust    *Trust
	Member   *Member
	Alerts   *AlertsState
	Manifest *playlist.Manifest

	// Voids are documents held until now that the trust document no longer
	// covers: whoever signed them has lost the role. They are to be forgotten
	// with their versions, in the transaction that keeps this one.
	Voids []Have
}

// Open verifies an envelope against a trust document and reads it, whoever it
// is for. Errors are the refusals of [ParseEnvelope], [Trust.Verify] and
// [ErrWrongType]; what is signed and yet makes no sense is
// [playlist.ErrInvalid].
func Open(raw []byte, t Trust) (Document, error) {
	e, d, err := begin(raw)
	switch {
	case err != nil:
		return d, err
	case len(t.Roles) == 0:
		return d, fault{ErrNoTrust, say.M("link.no_trust")}
	case d.Kind == KindTrust:
		n, err := acceptTrust(e, &t)
		d.Trust, d.Version, d.Issued = &n, n.Version, n.Issued
		return d, err
	}
	if err := t.Verify(e, d.Kind.Role()); err != nil {
		return d, err
	}
	return d, d.read(e)
}

// OpenKept reads a document that was verified when it was kept. It does not
// ask whether its signers may still sign such: they may have lost their role
// since. It must make sense, and be what it was kept as; what is not is
// [ErrMalformed].
func OpenKept(s Stored) (Document, error) {
	e, d, err := begin(s.Raw)
	if err == nil {
		err = d.read(e)
	}
	if err == nil && d.Have != s.Have {
		err = malformed(fmt.Errorf("%s of %q, version %d, was kept as %s of %q, version %d", d.Kind, d.Scope, d.Version, s.Kind, s.Scope, s.Version))
	}
	return d, err
}

// begin finds out of what kind an envelope is. Nothing in it is verified.
func begin(raw []byte) (Envelope, Document, error) {
	e, err := ParseEnvelope(raw)
	if err != nil {
		return e, Document{}, err
	}
	d := Document{Have: Have{Digest: e.Digest()}, Raw: raw}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Type() == e.PayloadType })
	if i < 0 {
		return e, d, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	d.Kind = Kinds[i]
	return e, d, nil
}

// read reads what the envelope holds.
func (d *Document) read(e Envelope) (err error) {
	switch d.Kind {
	case KindTrust:
		d.Trust = &Trust{}
		if err = e.open(d.Trust); err == nil {
			err = d.Trust.Check()
		}
		d.Version, d.Issued = d.Trust.Version, d.Trust.Issued
	case KindMember:
		d.Member = &Member{}
		if err = e.open(d.Member); err == nil {
			err = d.Member.Check()
		}
		d.Scope, d.Version, d.Issued = playlist.ControllerScope(d.Member.Controller), d.Member.Version, d.Member.Issued
	case KindAlerts:
		// An emergency is not refused for a field of a later county.
		d.Alerts = &AlertsState{}
		if err = e.openLenient(d.Alerts); err == nil {
			err = d.Alerts.Check()
		}
		d.Scope, d.Version, d.Issued = d.Alerts.Scope, d.Alerts.Version, d.Alerts.Issued
	default:
		d.Manifest = &playlist.Manifest{}
		if err = e.open(d.Manifest); err == nil {
			err = d.Manifest.Check()
		}
		d.Scope, d.Version, d.Issued = d.Manifest.Scope, d.Manifest.Version, d.Manifest.Issued
	}
	return err
}

// Accept decides whether a controller takes an envelope: it must [Open], be
// for a scope that the controller follows, and stand above what held answers
// for its kind and scope (ok false: nothing). Further errors are
// [ErrWrongScope], [ErrReplayed] for what is here already, [ErrForked] for
// another document of the same version, and [ErrRolledBack].
func Accept(raw []byte, t Trust, who playlist.Follower, held func(Kind, playlist.Scope) (h Have, ok bool)) (Document, error) {
	d, err := Open(raw, t)
	if err != nil {
		return d, err
	}
	switch d.Kind {
	case KindTrust: // it is for everybody
	case KindMember: // a controller's own comes before it follows anything
		if d.Member.Controller != who.ID {
			return d, fault{ErrWrongScope, say.M("link.wrong_scope", string(d.Scope))}
		}
	default:
		if !who.Follows(d.Scope) {
			return d, fault{ErrWrongScope, say.M("link.wrong_scope", string(d.Scope))}
		}
	}
	h, ok := held(d.Kind, d.Scope)
	switch {
	case !ok || d.Version > h.Version:
		return d, nil
	case d.Version < h.Version:
		return d, fault{ErrRolledBack, say.M("link.rolled_back", d.Version, h.Version)}
	case d.Digest != h.Digest:
		return d, fault{ErrForked, say.M("link.forked", d.Version)}
	}
	return d, fault{ErrReplayed, say.M("link.replayed", d.Version)}
}

// SealTrust makes the envelope of a trust document, signed by those at hand.
// Others may sign after them; see [Envelope.Sign].
func SealTrust(t Trust, by ...Signer) (Envelope, error) { return seal(TypeTrust, t, t.Check(), by) }

// SealMember makes the envelope of a member document.
func SealMember(m Member, by ...Signer) (Envelope, error) { return seal(TypeMember, m, m.Check(), by) }

// SealAlerts makes the envelope of a scope's alerts.
func SealAlerts(s AlertsState, by ...Signer) (Envelope, error) {
	if s.Alerts == nil {
		s.Alerts = []AlertInForce{}
	}
	return seal(TypeAlerts, s, s.Check(), by)
}

// SealManifest makes the envelope of a manifest.
func SealManifest(m playlist.Manifest, by ...Signer) (Envelope, error) {
	return seal(TypeManifest, m, m.Check(), by)
}

func seal(payloadType string, doc any, wrong error, by []Signer) (Envelope, error) {
	if wrong != nil {
		return Envelope{}, wrong
	}
	return Seal(payloadType, doc, by...)
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}
