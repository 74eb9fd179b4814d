package alert

import (
	"crypto/sha1" // the digest that both formats declare; clip IDs are SHA-256
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// What a declared digest is the digest of.
const (
	OfBytes  = "bytes"  // of the sound
	OfBase64 = "base64" // of the base64 text of the sound, which some issuers digest instead
	OfNone   = "none"   // of neither: the sound is not the one that its issuer meant
)

// Digest returns what a declared SHA-1, in hex or base64, is the digest of: the sound
// (data), or the base64 text that it was decoded from (carried; "" if there was
// none). It returns "" if no digest is declared. A caller that fetches a sound that
// an alert names uses it too.
func Digest(data []byte, carried, declared string) string {
	if declared = strings.TrimSpace(declared); declared == "" {
		return ""
	}
	want, err := hex.DecodeString(declared)
	if err != nil {
		want, err = base64.StdEncoding.DecodeString(declared)
	}
	if err != nil || len(want) != sha1.Size {
		return OfNone
	}
	is := func(b []byte) bool {
		got := sha1.Sum(b)
		return subtle.ConstantTimeCompare(got[:], want) == 1
	}
	switch {
	case is(data):
		return OfBytes
	case carried != "" && (is([]byte(carried)) || is([]byte(unspaced(carried)))):
		return OfBase64
	}
	return OfNone
}

// withData adds the data to an alert's sound, unless its declared digest does not
// match. Then the sound has no data, and the alert's text is spoken instead.
func withData(s emergency.Audio, data []byte, carried, where string, r *report) emergency.Audio {
	s.Matched = Digest(data, carried, s.Digest)
	if s.Matched == OfNone {
		r.warn("alert.audio_digest", where, printable(s.Digest))
		return s
	}
	sum := sha256.Sum256(data)
	s.Data, s.Size, s.SHA256 = data, int64(len(data)), playlist.ClipID(hex.EncodeToString(sum[:]))
	return s
}

func unspaced(s string) string { return strings.Join(strings.Fields(s), "") }

func fromBase64(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(unspaced(text))
}
