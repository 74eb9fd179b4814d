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

// Kinds are the kinds of state documents, the most urgent first. A document may be
// needed to verify those of the kinds after it.
var Kinds = []Kind{KindTrust, KindMember, KindAlerts, KindManifest}

// The payload types of state documents; see [TypeTrust].
const (
	TypeMember   = "application/vnd.dalaba.member.v1+json+gzip"
	TypeAlerts   = "application/vnd.dalaba.alerts.v1+json+gzip"
	TypeManifest = "application/vnd.dalaba.manifest.v1+json+gzip"
)

var typeOf = map[Kind]string{KindTrust: TypeTrust, KindMember: TypeMember, KindAlerts: TypeAlerts, KindManifest: TypeManifest}

// Type returns the payload type of the kind's envelopes.
func (k Kind) Type() string { return typeOf[k] }

// Words returns the name of the kind for people.
func (k Kind) Words() say.Message { return say.M("attr.kind_" + string(k)) }

// Role returns the role whose keys must sign documents of the kind.
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

// Limits of an [AlertsState].
const (
	MaxAlerts      = 64
	MaxInline      = 100 << 10 // bytes of one clip inside the document
	MaxInlineTotal = 512 << 10 // bytes of all of them
)

// AlertsState is the document of all alerts in force for a scope. An alert that was in
// an earlier version and is not in this one is cancelled.
type AlertsState struct {
	Scope   playlist.Scope `json:"scope"`
	Version int64          `json:"version"`
	Issued  time.Time      `json:"issued"`
	Alerts  []AlertInForce `json:"alerts"`
}

// AlertInForce is an alert of an [AlertsState].
type AlertInForce struct {
	Alert    emergency.Alert `json:"alert"`
	Received time.Time       `json:"received"` // by the county; of two alerts of the same rank the earlier one goes first

	// Order says that the alert was sent before its clip was ready: the controller
	// takes over the output and sounds the tone. A later version may bring the
	// clip.
	Order bool `json:"order,omitempty"`

	Clip   *playlist.Clip `json:"clip,omitempty"`   // the air clip, if there is one yet
	Inline []byte         `json:"inline,omitempty"` // the clip's bytes, if they are at most MaxInline
}

// Check returns what is wrong with the state, or nil if it may be signed.
func (s AlertsState) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: alerts of %s, version %d: %s", playlist.ErrInvalid, s.Scope, s.Version, fmt.Sprintf(what, args...))
	}
	if err := s.checkSelf(); err != nil {
		return err
	}
	if len(s.Alerts) > MaxAlerts {
		return bad("more than %d alerts", MaxAlerts)
	}
	seen, inline := map[playlist.AlertID]bool{}, 0
	for _, a := range s.Alerts {
		if err := a.check(); err != nil {
			return fmt.Errorf("alerts of %s, version %d: %w", s.Scope, s.Version, err)
		}
		if seen[a.Alert.ID] {
			return bad("alert %s stands there twice", a.Alert.ID)
		}
		seen[a.Alert.ID] = true
		if inline += len(a.Inline); inline > MaxInlineTotal {
			return bad("more than %d bytes of clips inside", MaxInlineTotal)
		}
	}
	return nil
}

// checkSelf returns what is wrong with the state itself, whatever its alerts.
func (s AlertsState) checkSelf() error {
	if _, err := playlist.ParseScope(string(s.Scope)); err != nil {
		return err
	}
	if !playlist.IsVersion(s.Version) {
		return fmt.Errorf("%w: alerts of %s, version %d: versions count from 1 to %d", playlist.ErrInvalid, s.Scope, s.Version, playlist.MaxVersion)
	}
	return nil
}

// Member is the document that tells a controller its areas and groups, and how it
// connects to its county. A new login is a new version of it.
type Member struct {
	Controller playlist.ControllerID `json:"controller"`
	Version    int64                 `json:"version"`
	Issued     time.Time             `json:"issued"`
	Areas      []playlist.Area       `json:"areas"`           // the first is the one that the county gave
	Hears      []playlist.Area       `json:"hears,omitempty"` // areas whose alerts alone it follows: see [playlist.Follower]
	Groups     []string              `json:"groups,omitempty"`
	County     string                `json:"county,omitempty"`  // its name, for people
	Retired    bool                  `json:"retired,omitempty"` // it no longer belongs to the county: what the county sent is no longer in force

	JWT     string   `json:"jwt"`     // the broker login, useless without the controller's key
	Servers []string `json:"servers"` // the broker's addresses, tls://host:port
	Clips   []string `json:"clips"`   // addresses to which "/clips/<ID>" is appended, the nearest first
	CA      string   `json:"ca"`      // the county's CA, PEM; empty: the system's CAs
}

// Follower returns the controller's ID, areas and groups.
func (m Member) Follower() playlist.Follower {
	return playlist.Follower{ID: m.Controller, Areas: m.Areas, Groups: m.Groups, Hears: m.Hears}
}

// Check returns what is wrong with the document itself.
func (m Member) Check() error {
	bad := func(what string) error {
		return fmt.Errorf("%w: member %s, version %d: %s", playlist.ErrInvalid, m.Controller, m.Version, what)
	}
	switch {
	case !playlist.IsToken(string(m.Controller)):
		return bad("no name for a controller")
	case len(m.County) > 200:
		return bad("a county's name of more than 200 bytes")
	case !playlist.IsVersion(m.Version):
		return bad(fmt.Sprintf("versions count from 1 to %d", playlist.MaxVersion))
	case len(m.Areas)+len(m.Hears) > playlist.MaxAreas || len(m.Groups) > 64 || len(m.Servers) > 16 || len(m.Clips) > 16:
		return bad("more than 16 areas, servers or clip addresses, or 64 groups")
	}
	for _, a := range slices.Concat(m.Areas, m.Hears) {
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

// Have identifies a state document that one of the two ends holds.
type Have struct {
	Kind    Kind           `json:"kind"`
	Scope   playlist.Scope `json:"scope,omitempty"` // trust has none
	Version int64          `json:"version"`
	Digest  string         `json:"digest"` // [Envelope.Digest]
}

// Document is a state document that was verified, now or before it was kept.
type Document struct {
	Have
	Issued time.Time
	Raw    []byte // the envelope as it was received

	// One of these is set, according to Kind.
	Trust    *Trust
	Member   *Member
	Alerts   *AlertsState
	Manifest *playlist.Manifest

	// Faults is what was wrong with single alerts of Alerts, which cost no other one.
	// Unread are the alerts that the document names and that are not in Alerts: they
	// are not cancelled.
	Faults []error
	Unread []playlist.AlertID

	// Voids lists the kept documents that a new trust document no longer accepts,
	// because the keys that signed them have lost the role. The store deletes them
	// and their versions in the transaction that keeps the trust document.
	Voids []Have
}

// Open verifies an envelope against a trust document and reads it, for whichever
// controller it is meant. Its errors are those of [ParseEnvelope] and
// [Trust.Verify], [ErrWrongType], and [playlist.ErrInvalid] for a document that is
// signed but makes no sense. One alert that makes no sense does not make one of the
// others: see [Document.Faults].
func Open(raw []byte, t Trust) (Document, error) {
	e, d, err := identify(raw)
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
	return d, d.decodePayload(e)
}

// OpenKept reads a document that was verified before it was kept. It does not verify
// the signatures again, because the signers may have lost their role since. If the
// content is not that of the kind, scope and version under which the store kept it,
// the error is [ErrMalformed].
func OpenKept(s Stored) (Document, error) {
	e, d, err := identify(s.Raw)
	if err == nil {
		err = d.decodePayload(e)
	}
	if err == nil && d.Have != s.Have {
		err = malformed(fmt.Errorf("%s of %q, version %d, was kept as %s of %q, version %d", d.Kind, d.Scope, d.Version, s.Kind, s.Scope, s.Version))
	}
	return d, err
}

// MemberOf returns the member document among those kept; the zero Member if there is
// none. It stays in use until the next one comes, even if its signer has lost the role
// meanwhile. Of several the latest counts: releases up to 0.1 kept those of earlier
// enrolments.
func MemberOf(docs []Stored) (m Member) {
	for _, s := range docs {
		if s.Kind != KindMember {
			continue
		}
		if d, err := OpenKept(s); err == nil && !d.Issued.Before(m.Issued) {
			m = *d.Member
		}
	}
	return m
}

// Preview reads an envelope for the people who are to sign it. It verifies no signature
// and needs none.
func Preview(raw []byte) (Envelope, Document, error) {
	e, err := parseEnvelope(raw, 0)
	if err != nil {
		return e, Document{}, err
	}
	d, err := kindOf(e, raw)
	if err == nil {
		err = d.decodePayload(e)
	}
	return e, d, err
}

// identify parses an envelope and finds its kind. It verifies no signature.
func identify(raw []byte) (Envelope, Document, error) {
	e, err := ParseEnvelope(raw)
	if err != nil {
		return e, Document{}, err
	}
	d, err := kindOf(e, raw)
	return e, d, err
}

func kindOf(e Envelope, raw []byte) (Document, error) {
	d := Document{Have: Have{Digest: e.Digest()}, Raw: raw}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Type() == e.PayloadType })
	if i < 0 {
		return d, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	d.Kind = Kinds[i]
	return d, nil
}

// decodePayload unpacks and checks the envelope's payload, by the document's kind.
func (d *Document) decodePayload(e Envelope) (err error) {
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
		err = d.decodeAlerts(e)
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

// Accept decides whether a controller accepts an envelope. [Open] must accept it, the
// controller must follow its scope, and its version must be higher than that of the
// document that held returns for its kind and scope (ok is false if there is none).
// Besides those of Open its errors are [ErrWrongScope], [ErrReplayed] if the
// controller has this document, [ErrForked] if it has another document of the same
// version, and [ErrRolledBack] if it has a higher version.
func Accept(raw []byte, t Trust, who playlist.Follower, held func(Kind, playlist.Scope) (h Have, ok bool)) (Document, error) {
	d, err := Open(raw, t)
	if err != nil {
		return d, err
	}
	switch d.Kind {
	case KindTrust: // it is for every controller
	case KindMember: // it says which scopes the controller follows, so it needs none
		if d.Member.Controller != who.ID {
			return d, fault{ErrWrongScope, say.M("link.wrong_scope", string(d.Scope))}
		}
	default:
		if !concerns(who, d.Have) {
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

// SealTrust makes the envelope of a trust document, signed by the given signers.
// Others may sign it later; see [Envelope.Sign].
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

// seal is [Seal] for a document whose Check returned wrong.
func seal(payloadType string, doc any, wrong error, by []Signer) (Envelope, error) {
	if wrong != nil {
		return Envelope{}, wrong
	}
	return Seal(payloadType, doc, by...)
}

// digest returns the first 32 hex digits of the SHA-256 of b.
func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}
