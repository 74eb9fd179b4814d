package alert

import (
	"bytes"
	"context"
	"crypto/x509"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Options say whose signatures are trusted. With the zero value none are: signatures
// are checked as far as possible and reported as unknown.
type Options struct {
	// Anchors are the trusted certificates for signed CAP: those of issuers, or those
	// of authorities that issue the issuers' certificates.
	Anchors []*x509.Certificate

	// Certificates are those of the trusted EBD senders. Each of them must be signed
	// by one of the Authorities; if there are no Authorities, all of them are
	// trusted.
	Certificates []Certificate
	Authorities  []PublicKey

	// Now is the time, if the clock is trusted, and zero otherwise. A certificate
	// that begins after it or has expired by then is refused.
	Now time.Time

	ctx context.Context // of the call of Parse
}

// ended reports whether the caller of Parse does not wait any more: then what is left
// of the work is left out.
func (o Options) ended() bool { return o.ctx.Err() != nil }

// Kind is the kind of a document.
type Kind string

const (
	KindAlert  Kind = "alert"  // CAP: sound it, update it or cancel it
	KindAnswer Kind = "answer" // CAP: an Ack or Error about another message
	KindFeed   Kind = "feed"   // Atom or RSS: see Message.Feed

	// The kinds of EBD packages; the value is the EBDType.
	KindEBM           Kind = "EBM" // an emergency message, in Message.Alert
	KindResponse      Kind = "EBDResponse"
	KindStateRequest  Kind = "EBMStateRequest"
	KindStateResponse Kind = "EBMStateResponse"
	KindOMDRequest    Kind = "OMDRequest"
	KindHeartbeat     Kind = "ConnectionCheck"
	KindBroadcastLog  Kind = "EBMBrdLog"
)

// Verdict says whether a document that was accepted keeps to its schema.
type Verdict string

const (
	Valid     Verdict = "valid"
	Tolerated Verdict = "tolerated" // not quite; Message.Warnings say where it differs
)

// Message is a document that was accepted.
type Message struct {
	Kind    Kind
	Verdict Verdict

	Alert  emergency.Alert // for KindAlert, KindAnswer and KindEBM
	Silent say.Message     // why such a message never sounds; an empty key: it may sound

	// For CAP.
	Status     string            // as written: Actual, Exercise, ...
	Scope      string            // as written: Public, ...
	Parameters map[string]string // if a name is repeated, its first value
	Unread     []string          // the names of areas with nothing but a shape that cannot be read
	Issuer     playlist.Area     // from the identifier, if it is one of 12379, China's warning platform

	// For EBD. Of the bodies, the one for Kind is set.
	EBD          EBD
	Result       Result
	StateOf      playlist.AlertID // for KindStateRequest
	State        State
	OMD          OMD
	Unsupplied   []string // members that the message names and the package lacks
	SignedMember string   // the name of the signature's member, if there is one
	Unended      bool     // the package lacks the zeros at its end: it may be a part of one

	Feed *Feed

	Warnings []say.Message   // the differences from the schema that were tolerated, after what was left out of Alert
	Cuts     []emergency.Cut // what was left out of Alert
	Notes    []say.Message   // no differences, but worth knowing
	Raw      []byte          // as received
}

// Parse reads a CAP message, a feed of such messages or an EBD package (a tar, or its
// XML member alone). The message keeps raw without copying it. Its Alert holds no more
// than one alert may; a warning says what was left out of it. A bad signature is no
// error: Alert.Signature reports it, and the caller decides what follows. Parse ends
// soon after ctx does, and returns its error.
func Parse(ctx context.Context, raw []byte, o Options) (Message, error) {
	o.ctx = ctx
	parse := parseXML
	if !looksXML(raw) {
		parse = parseTar
	}
	m, err := parse(raw, o)
	if ctx.Err() != nil {
		return Message{}, ctx.Err()
	}
	return m, err
}

// parseXML reads a document that is XML.
func parseXML(raw []byte, o Options) (Message, error) {
	var r report
	doc, err := readXML(raw, &r)
	if err != nil {
		return Message{}, err
	}
	root := doc.root
	var m Message
	switch {
	case root.name == "EBD":
		m, err = parseEBD(doc, nil, o, &r)
	case root.name == "alert":
		m, err = parseCAP(doc, o, &r)
	case isFeed(root):
		var f Feed
		f, err = readFeed(doc, o, &r)
		m = Message{Kind: KindFeed, Feed: &f}
	default:
		err = refuse(ErrUnknown, say.M("alert.unknown_root", printable(root.qualified())))
	}
	if err != nil {
		return Message{}, err
	}
	return m.withReport(raw, &r), nil
}

// withReport returns the message within its bounds, with the raw bytes and with the
// warnings and notes of the report.
func (m Message) withReport(raw []byte, r *report) Message {
	m.Alert, m.Cuts = m.Alert.Bounded() // its signature has been checked
	var warnings []say.Message
	for _, c := range m.Cuts {
		warnings = append(warnings, say.M(c.What, c.Had, c.Kept))
	}
	m.Raw, m.Warnings, m.Notes, m.Verdict = raw, append(warnings, r.warnings...), r.notes, Valid
	if len(r.warnings) > 0 {
		m.Verdict = Tolerated
	}
	return m
}

// looksXML reports whether a document begins like XML, in UTF-8 or UTF-16.
func looksXML(raw []byte) bool {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return true
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) == 0 || raw[0] == '<'
}
