package alert

import (
	"bytes"
	"crypto/x509"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Options say whom to believe. The zero value believes nobody: signatures are
// then checked as far as they can be and reported as unknown.
type Options struct {
	// Anchors vouch for signed CAP: issuers' own certificates, which are then
	// believed as they are, or those of authorities that issued them.
	Anchors []*x509.Certificate

	// Certificates are the EBD senders whose packages are believed, and
	// Authorities the keys one of which must have signed each of them. Without
	// any authority the certificates are believed as they are.
	Certificates []Certificate
	Authorities  []PublicKey

	// Now, where a trusted clock knows it, refuses certificates that are not
	// valid yet. Zero: nobody knows.
	Now time.Time
}

// Kind is what a document is.
type Kind string

const (
	KindAlert  Kind = "alert"  // CAP: sound it, update it or cancel it
	KindAnswer Kind = "answer" // CAP: an Ack or Error about someone's message
	KindFeed   Kind = "feed"   // Atom or RSS: see Message.Feed

	// EBD, by its EBDType.
	KindEBM           Kind = "EBM" // an emergency message, in Message.Alert
	KindResponse      Kind = "EBDResponse"
	KindStateRequest  Kind = "EBMStateRequest"
	KindStateResponse Kind = "EBMStateResponse"
	KindOMDRequest    Kind = "OMDRequest"
	KindHeartbeat     Kind = "ConnectionCheck"
	KindBroadcastLog  Kind = "EBMBrdLog"
)

// Verdict is how well a document that was taken keeps to its schema.
type Verdict string

const (
	Valid     Verdict = "valid"
	Tolerated Verdict = "tolerated" // Message.Warnings say why
)

// Message is a document that was taken.
type Message struct {
	Kind    Kind
	Verdict Verdict

	Alert  emergency.Alert // of KindAlert, KindAnswer and KindEBM
	Silent say.Message     // why what it is never sounds; no key: it may

	// Of CAP.
	Status     string            // as written: Actual, Exercise, ...
	Scope      string            // as written: Public, ...
	Parameters map[string]string // the first of a repeated name
	Issuer     playlist.Area     // from an identifier of 12379, China's warning platform

	// Of EBD. The body that goes with Kind is set.
	EBD          EBD
	Result       Result
	StateOf      playlist.AlertID // of KindStateRequest
	State        State
	OMD          OMD
	Unsupplied   []string // members that the message names and the package lacks
	SignedMember string   // the name of the signature's member, if there is one

	Feed *Feed

	Warnings []say.Message // the slips that were tolerated
	Notes    []say.Message // no slips, but worth knowing
	Raw      []byte        // as received
}

// Parse reads a CAP message, a feed of such messages or an EBD package (a tar,
// or its XML member alone). Raw is kept, not copied. A bad signature is no
// error: it stands in the message, and what follows from it is the caller's
// rule.
func Parse(raw []byte, o Options) (Message, error) {
	if !looksXML(raw) {
		return parseTar(raw, o)
	}
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
		err = refuse(ErrUnknown, say.M("alert.unknown_root", shown(root.qualified())))
	}
	if err != nil {
		return Message{}, err
	}
	return m.graded(raw, &r), nil
}

// graded completes a message with what its reading met.
func (m Message) graded(raw []byte, r *report) Message {
	m.Raw, m.Warnings, m.Notes, m.Verdict = raw, r.warnings, r.notes, Valid
	if len(r.warnings) > 0 {
		m.Verdict = Tolerated
	}
	return m
}

// looksXML reports whether a document begins as XML does, in UTF-8 or UTF-16.
func looksXML(raw []byte) bool {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return true
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) == 0 || raw[0] == '<'
}
