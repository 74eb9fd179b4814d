package alert

import (
	"crypto/sha1" // what both formats declare; we name sounds by SHA-256
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// What a declared digest turned out to be of.
const (
	OfBytes  = "bytes"  // of the sound
	OfBase64 = "base64" // of the text that carried it, as some issuers have it
	OfNone   = "none"   // of neither: the sound is not what its issuer meant
)

// Digest tells what a declared SHA-1, in hex or base64, is of: the sound, or
// the base64 text that carried it where there was one. Empty: none is declared.
// Whoever fetches a sound that an alert names asks this too.
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

// taken puts a sound into an alert, unless its digest belies it: then the
// alert's text must do.
func taken(s emergency.Audio, data []byte, carried, where string, r *report) emergency.Audio {
	s.Matched = Digest(data, carried, s.Digest)
	if s.Matched == OfNone {
		r.warn("alert.audio_digest", where, shown(s.Digest))
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
