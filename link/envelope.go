package link

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"dalaba/playlist/say"
)

// Size limits of everything that crosses the link.
const (
	MaxEnvelope = 896 << 10 // bytes of a signed document on the wire
	MaxPayload  = 8 << 20   // bytes of what it holds, unpacked
	MaxMessage  = 1 << 20   // bytes of any message: the broker's limit
	maxSigners  = 16
)

// Envelope is a signed document: a DSSE envelope. Its payload is
// gzip-compressed JSON, which is read only after the signatures have been
// verified.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an envelope.
type Signature struct {
	KeyID KeyID  `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Seal puts a document into an envelope and signs it; see [Envelope.Sign].
func Seal(payloadType string, doc any, by ...Signer) (Envelope, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{PayloadType: payloadType, Payload: pack(text), Signatures: []Signature{}}
	for _, s := range by {
		if err := e.Sign(s); err != nil {
			return Envelope{}, err
		}
	}
	if n := len(e.Bytes()); n > MaxEnvelope || len(text) > MaxPayload {
		return Envelope{}, fault{ErrOversized, say.M("link.oversized", max(n, len(text)))}
	}
	return e, nil
}

// Sign adds a signature, or replaces the signer's earlier one. Several people can
// sign one after another, each on their own machine: each of them passes
// [Envelope.Bytes] on to the next.
func (e *Envelope) Sign(s Signer) error {
	sig, err := s.Sign(pae(e.PayloadType, e.Payload))
	if err != nil {
		return err
	}
	id := s.Public().ID()
	for i := range e.Signatures {
		if e.Signatures[i].KeyID == id {
			e.Signatures[i].Sig = sig
			return nil
		}
	}
	e.Signatures = append(e.Signatures, Signature{id, sig})
	return nil
}

// Bytes returns the envelope as it is sent and stored.
func (e Envelope) Bytes() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // bytes and strings always marshal
	}
	return b
}

// Digest tells apart two documents with the same version: it returns the first
// 32 hex digits of the SHA-256 over type and payload. Signatures do not change it.
func (e Envelope) Digest() string { return digest(pae(e.PayloadType, e.Payload)) }

// Valid reports whether the key signed the envelope.
func (e Envelope) Valid(k PublicKey) bool {
	id, msg := k.ID(), pae(e.PayloadType, e.Payload)
	for _, s := range e.Signatures {
		if s.KeyID == id && k.Verify(msg, s.Sig) {
			return true
		}
	}
	return false
}

// ParseEnvelope reads an envelope. It verifies no signature. Its errors are
// [ErrOversized], [ErrTruncated] and [ErrMalformed].
func ParseEnvelope(b []byte) (Envelope, error) { return parseEnvelope(b, 1) }

// parseEnvelope reads an envelope that must have that many signatures.
func parseEnvelope(b []byte, signers int) (Envelope, error) {
	if len(b) > MaxEnvelope {
		return Envelope{}, fault{ErrOversized, say.M("link.oversized", len(b))}
	}
	var e Envelope
	if err := decodeStrict(b, &e); err != nil {
		return Envelope{}, err
	}
	if e.PayloadType == "" || len(e.Payload) == 0 || len(e.Signatures) < signers || len(e.Signatures) > maxSigners {
		return Envelope{}, malformed(errors.New("an envelope has a type, a payload and 1 to 16 signatures"))
	}
	return e, nil
}

// open unpacks the payload and decodes it by [decodeStrict]. The caller has
// verified the envelope.
func (e Envelope) open(v any) error {
	text, err := unpack(e.Payload, MaxPayload)
	if err != nil {
		return err
	}
	return decodeStrict(text, v)
}

// openLenient is open, but decodes by [decodeLenient].
func (e Envelope) openLenient(v any) error {
	text, err := unpack(e.Payload, MaxPayload)
	if err != nil {
		return err
	}
	return decodeLenient(text, v)
}

// pae returns DSSE's pre-authentication encoding, the bytes that are signed.
func pae(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(payload)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// packers reuses compressors: each has some hundred kilobytes, and an edge needs
// one for each response.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func pack(text []byte) []byte {
	var b bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&b)
	_, _ = z.Write(text) // cannot fail on a bytes.Buffer
	_ = z.Close()
	return b.Bytes()
}

// unpack decompresses b. If the result has more than limit bytes, it stops there
// and returns [ErrOversized].
func unpack(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, cutOrMalformed(err)
	}
	text, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, cutOrMalformed(err)
	case int64(len(text)) > limit:
		return nil, fault{ErrOversized, say.M("link.oversized", len(text))}
	}
	return text, nil
}

// decodeStrict decodes b, which must be one JSON value without fields that v does
// not know. It is used for envelopes and for signed documents other than alerts,
// because an unknown field could change what the others mean.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return decode(d, v)
}

// decodeLenient decodes b, which must be one JSON value, and ignores fields that v
// does not know. It is used for requests, reports and responses, because they
// come from programs of other versions and make no sound; and for alerts, because
// an alert that is in doubt should sound.
func decodeLenient(b []byte, v any) error { return decode(json.NewDecoder(bytes.NewReader(b)), v) }

func decode(d *json.Decoder, v any) error {
	if err := d.Decode(v); err != nil {
		return cutOrMalformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed(errors.New("something follows it"))
	}
	return nil
}

func cutOrMalformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault{ErrTruncated, say.M("link.truncated")}
	}
	return malformed(err)
}

func malformed(err error) error {
	return fmt.Errorf("%w: %w", fault{ErrMalformed, say.M("link.malformed")}, err)
}
