package alert

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// What a declared digest is the digest of.
const (
	OfBytes  = "bytes"  // of the sound
	OfBase64 = "base64" // of the base64 text of the sound, which some issuers digest instead
	OfNone   = "none"   // of neither: the sound is not the one that its issuer meant
)

// Digest returns what a declared digest is the digest of: the sound (data), or the
// base64 text that it was decoded from (carried, exactly as it stands in the document;
// "" if there was none). It returns "" if no digest is declared. A caller that fetches
// a sound that an alert names uses it too.
//
// The digest is in hex, in capitals or not, or in base64. Both formats name SHA-1; one
// of SHA-2 is recognised by its length.
func Digest(data []byte, carried, declared string) string {
	of, _ := digestOf(data, carried, declared)
	return of
}

// digestOf is [Digest]. If the digest is that of the base64 text, form is the key of
// the sentence that says which form of it.
func digestOf(data []byte, carried, declared string) (of, form string) {
	if declared = unspaced(declared); declared == "" {
		return "", ""
	}
	want, hash, ok := readDigest(declared)
	if !ok {
		return OfNone, ""
	}
	is := func(b []byte) bool {
		h := hash.New()
		h.Write(b)
		return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
	}
	if is(data) {
		return OfBytes, ""
	}
	if carried == "" {
		return OfNone, ""
	}
	for _, f := range textForms(carried) {
		// A document has its line ends as LF once it is read as XML, whatever its
		// issuer digested.
		if is([]byte(f.text)) || strings.Contains(f.text, "\n") && is([]byte(strings.ReplaceAll(f.text, "\n", "\r\n"))) {
			return OfBase64, f.name
		}
	}
	return OfNone, ""
}

// readDigest reads a digest and recognises its kind by its length.
func readDigest(text string) (sum []byte, hash crypto.Hash, ok bool) {
	kinds := map[int]crypto.Hash{20: crypto.SHA1, 32: crypto.SHA256, 48: crypto.SHA384, 64: crypto.SHA512}
	for _, read := range []func(string) ([]byte, error){
		func(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, ":", "")) },
		func(s string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "=")) },
	} {
		b, err := read(text)
		if hash, ok := kinds[len(b)]; err == nil && ok {
			return b, hash, true
		}
	}
	return nil, 0, false
}

// textForm is a form of base64 text that an issuer may have digested; name is the key
// of the sentence for it.
type textForm struct{ name, text string }

// textForms are the forms of base64 text: without any blanks, as it stands, without
// the blanks around it, without the indentation of its lines.
func textForms(carried string) []textForm {
	carried = strings.ReplaceAll(strings.ReplaceAll(carried, "\r\n", "\n"), "\r", "\n")
	plain := strings.Join(strings.Fields(carried), "\n")
	return []textForm{
		{"alert.form_bare", unspaced(carried)},
		{"alert.form_exact", carried},
		{"alert.form_trimmed", strings.TrimSpace(carried)},
		{"alert.form_lines", plain},
		{"alert.form_lines", plain + "\n"},
	}
}

// withData adds the data to an alert's sound. If its declared digest does not match,
// the data is kept as unfit: see [emergency.Audio].
func withData(s emergency.Audio, data []byte, carried, where string, r *report) emergency.Audio {
	var form string
	s.Matched, form = digestOf(data, carried, s.Digest)
	if s.Matched == OfNone {
		r.warn("alert.audio_digest", where, printable(s.Digest))
		s.Unfit = data
		return s
	}
	if form != "" {
		r.note("alert.audio_base64_digest", where, say.M(form))
	}
	sum := sha256.Sum256(data)
	s.Data, s.Size, s.SHA256 = data, int64(len(data)), playlist.ClipID(hex.EncodeToString(sum[:]))
	return s
}

func unspaced(s string) string { return strings.Join(strings.Fields(s), "") }

// fromBase64 decodes base64 text. If it is damaged, whole is false and data is what can
// be read of it.
func fromBase64(text string) (data []byte, whole bool) {
	text = strings.TrimRight(unspaced(text), "=")
	if data, err := base64.RawStdEncoding.DecodeString(text); err == nil {
		return data, true
	}
	text = strings.Map(func(r rune) rune {
		if r < 128 && strings.ContainsRune(alphabet, r) {
			return r
		}
		return -1
	}, text)
	data, _ = base64.RawStdEncoding.DecodeString(text[:len(text)&^3])
	return data, false
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
