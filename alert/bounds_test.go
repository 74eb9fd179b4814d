package alert_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dalaba/alert"
	"dalaba/playlist"
)

func TestHostileXMLIsRefusedWithinBounds(t *testing.T) {
	bomb := `<!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa">` + func() (s string) {
		for i := range 20 {
			s += fmt.Sprintf(`<!ENTITY a%d "&a;&a;&a;&a;&a;&a;&a;&a;">`, i)
		}
		return s
	}() + `]>`
	for _, c := range []struct {
		name string
		raw  string
		why  error
	}{
		{"an external entity", strings.Replace(flood, "<alert", `<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert`, 1), alert.ErrForbidden},
		{"a document type that declares nothing", strings.Replace(flood, "<alert", `<!DOCTYPE alert><alert`, 1), alert.ErrForbidden},
		{"an entity bomb", strings.Replace(flood, "<alert", bomb+"<alert", 1), alert.ErrForbidden},
		{"an undeclared entity", strings.Replace(flood, "暴雨", "&x;", 1), alert.ErrForbidden},
		{"a character that XML does not allow", strings.Replace(flood, "暴雨", "&#x0;", 1), alert.ErrInvalid},
		{"too many bytes", flood + strings.Repeat(" ", alert.MaxXML), alert.ErrTooLarge},
		{"too many bytes after conversion to UTF-8", "\xff\xfe" + strings.Repeat("\x00\x4e", alert.MaxXML/2-1), alert.ErrTooLarge},
		{"too deep", strings.Repeat("<a>", 1000), alert.ErrTooLarge},
		{"too many elements", "<a>" + strings.Repeat("<b/>", 200_000) + "</a>", alert.ErrTooLarge},
		{"too much text", "<a>" + strings.Repeat("x", 7<<20) + "</a>", alert.ErrTooLarge},
		{"a long name", "<" + strings.Repeat("a", 1000) + "/>", alert.ErrTooLarge},
		{"a long attribute", "<a b='" + strings.Repeat("a", 10_000) + "'/>", alert.ErrTooLarge},
		{"many attributes", "<a " + func() (s string) {
			for i := range 100 {
				s += fmt.Sprintf("b%d='' ", i)
			}
			return s
		}() + "/>", alert.ErrTooLarge},
		{"the same attribute twice", "<a b='1' b='2'/>", alert.ErrInvalid},
		{"a second root", flood + "<alert/>", alert.ErrInvalid},
		{"text after the root", flood + "and more", alert.ErrInvalid},
		{"an end tag that does not match", strings.Replace(flood, "</event>", "</evnt>", 1), alert.ErrInvalid},
		{"XML 2.0", strings.Replace(flood, `"1.0"`, `"2.0"`, 1), alert.ErrInvalid},
		{"nothing", "", alert.ErrTruncated},
		{"a declaration only", `<?xml version="1.0"?>`, alert.ErrTruncated},
		{"some other XML", "<html/>", alert.ErrUnknown},
		{"no XML and no tar", "hello, world", alert.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := alert.Parse(t.Context(), []byte(c.raw), alert.Options{})
			if !errors.Is(err, c.why) || !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("got %v, want %v", err, c.why)
			}
		})
	}
}

func TestAMessageCutShortIsRefused(t *testing.T) {
	for n := range len(flood) - 1 {
		if _, err := alert.Parse(t.Context(), []byte(flood[:n]), alert.Options{}); err == nil {
			t.Fatalf("the first %d bytes pass for a message", n)
		}
	}
	if _, err := alert.Parse(t.Context(), []byte(flood[:len(flood)-20]), alert.Options{}); !errors.Is(err, alert.ErrTruncated) {
		t.Errorf("got %v", err)
	}
}

// packed returns a tar made of pairs of name and content.
func packed(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileTarIsRefusedWithinBounds(t *testing.T) {
	const body = "<EBD/>"
	special := func(h tar.Header) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		return append(out.Bytes(), make([]byte, 1024)...)
	}
	many := []string{}
	for i := range 100 {
		many = append(many, fmt.Sprintf("EBDR_%d.mp3", i), "x")
	}
	whole := packed(t, "EBDB_1.xml", body)
	for _, c := range []struct {
		name string
		raw  []byte
		why  error
	}{
		{"a path out of the folder", packed(t, "../EBDB_1.xml", body), alert.ErrInvalid},
		{"a path from the root", packed(t, "/etc/EBDB_1.xml", body), alert.ErrInvalid},
		{"a folder inside", packed(t, "a/EBDB_1.xml", body), alert.ErrInvalid},
		{"a path out of the folder with a backslash", packed(t, `..\EBDB_1.xml`, body), alert.ErrInvalid},
		{"a link", special(tar.Header{Name: "EBDB_1.xml", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}), alert.ErrInvalid},
		{"a device", special(tar.Header{Name: "EBDB_1.xml", Typeflag: tar.TypeChar}), alert.ErrInvalid},
		{"a member that claims a terabyte", special(tar.Header{Name: "EBDB_1.xml", Size: 1 << 40}), alert.ErrTooLarge},
		{"a member twice", packed(t, "EBDB_1.xml", body, "EBDB_1.xml", body), alert.ErrInvalid},
		{"two bodies", packed(t, "EBDB_1.xml", body, "EBDB_2.xml", body), alert.ErrInvalid},
		{"too many members", packed(t, many...), alert.ErrTooLarge},
		{"too many bytes", make([]byte, alert.MaxTar+1), alert.ErrTooLarge},
		{"no body", packed(t, "EBDR_1.mp3", "x"), alert.ErrMissing},
		{"only the signature of a body", packed(t, "EBDS_EBDB_1.xml", "<Signature/>"), alert.ErrMissing},
		{"a body that is no EBD", packed(t, "EBDB_1.xml", flood), alert.ErrInvalid},
		{"a body with a document type", packed(t, "EBDB_1.xml", "<!DOCTYPE EBD><EBD/>"), alert.ErrForbidden},
		{"a long name", packed(t, "EBDB_"+strings.Repeat("1", 300)+".xml", body), alert.ErrInvalid},
		{"cut short in a member", whole[:514], alert.ErrTruncated},
		{"an empty tar", packed(t), alert.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := alert.Parse(t.Context(), c.raw, alert.Options{})
			if !errors.Is(err, c.why) || !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("got %v, want %v", err, c.why)
			}
		})
	}
}
