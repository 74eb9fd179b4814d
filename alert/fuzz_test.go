package alert_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// judge checks the result for any bytes: a refusal in words, or a message that keeps
// the promises of the package. Only a signed message may be verified.
func judge(t *testing.T, raw []byte, o alert.Options, signed bool) {
	m, err := alert.Parse(t.Context(), raw, o)
	if err != nil {
		if !errors.Is(err, playlist.ErrInvalid) || say.In(say.Chinese, err) == "" || say.In(say.English, err) == "" {
			t.Fatalf("%v is not fit for an operator", err)
		}
		return
	}
	judgeMessage(t, m, signed)
	if m.Feed != nil {
		for _, e := range m.Feed.Entries {
			for _, m := range e.Alerts {
				judgeMessage(t, m, signed)
			}
		}
	}
}

func judgeMessage(t *testing.T, m alert.Message, signed bool) {
	if (m.Verdict == alert.Valid) != (len(m.Warnings) == len(m.Cuts)) {
		t.Fatalf("%s with %d warnings", m.Verdict, len(m.Warnings))
	}
	a := m.Alert
	if m.Kind != alert.KindAlert && m.Kind != alert.KindAnswer && m.Kind != alert.KindEBM {
		if _, ok := a.Rank(); ok && a.Class != "" {
			t.Fatalf("a %s would sound", m.Kind)
		}
		return
	}
	if a.ID == "" || a.Sender == "" || a.Sent.IsZero() || a.Kind == "" || a.Class == "" {
		t.Fatalf("an alert without a name: %+v", a)
	}
	if _, ok := a.Rank(); ok && m.Silent.Key != "" && m.Silent.Key != "alert.silent_empty" {
		t.Fatalf("%s would sound, and should not: %s", a.ID, m.Silent)
	}
	if a.Signature.State == emergency.SignatureVerified && !signed || a.Signature.State == "" {
		t.Fatalf("signature %+v", a.Signature)
	}
	if a.Signature.Why != "" && !say.Has(a.Signature.Why) {
		t.Fatalf("no sentence under %q", a.Signature.Why)
	}
	for _, s := range a.Audio {
		if len(s.Data) > 0 && (s.Matched == alert.OfNone || !playlist.IsClipID(string(s.SHA256))) {
			t.Fatalf("a sound that its digest belies: %+v", s)
		}
	}
	for _, s := range a.Shapes {
		s.Holds(playlist.Place{Lat: 31.46, Lon: 116.94})
	}
	for _, code := range a.Areas {
		if _, err := playlist.ParseArea(string(code)); err != nil {
			t.Fatal(err)
		}
	}
}

// seeds adds the test vectors whose names end as given, if the vectors are there.
func seeds(f *testing.F, pattern string) {
	names, _ := filepath.Glob(filepath.Join(vectors, "cap", "*", pattern))
	for _, name := range names {
		if raw, err := os.ReadFile(name); err == nil && len(raw) < 32<<10 {
			f.Add(raw)
		}
	}
}

func FuzzCAP(f *testing.F) {
	of, o, costly := costlyOnes(f, 500)
	signed := sealed(flood, of.signature(f, bare, ""))
	f.Add([]byte(flood))
	f.Add([]byte(signed))
	seeds(f, "*.cap")
	for _, c := range costly {
		f.Add([]byte(sealed(flood, c.signatures...)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		judge(t, raw, o, true)
		// If a changed message still verifies, it must say what was signed.
		if m, err := alert.Parse(t.Context(), raw, o); err == nil && m.Alert.Signature.State == emergency.SignatureVerified {
			if a := m.Alert; len(a.Texts) != 1 || a.Texts[0].Text != "预计三小时内降雨超过五十毫米。" || a.Class != emergency.ClassEmergency {
				t.Fatalf("verified, and says %+v", a)
			}
		}
	})
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte(atom))
	seeds(f, "*.atom")
	seeds(f, "*.rss")
	f.Fuzz(func(t *testing.T, raw []byte) { judge(t, raw, alert.Options{}, false) })
}

// FuzzEBD puts bodies and signatures into well-formed packages. One sender is trusted,
// and it has signed only one body.
func FuzzEBD(f *testing.F) {
	authority, _ := sm2Key(f)
	s := newSender(f, authority, "\x00\x00\x00\x00\x00\x01")
	o := alert.Options{Certificates: []alert.Certificate{s.cert}}
	f.Add([]byte(quake), []byte(s.signs(f, quake, ebdID, 1)), mp3)
	f.Fuzz(func(t *testing.T, body, signature, sound []byte) {
		judge(t, packed(t, "EBDB_"+ebdID+".xml", string(body), "EBDS_EBDB_"+ebdID+".xml", string(signature), "EBDR_1.mp3", string(sound)),
			o, string(body) == quake)
	})
}

// FuzzTar changes the bytes of the tar.
func FuzzTar(f *testing.F) {
	f.Add(ebd(f, quake, "EBDR_1.mp3", string(mp3)))
	f.Add(packed(f, "EBDS_EBDB_1.xml", "<Signature/>", "EBDB_1.xml", quake))
	f.Fuzz(func(t *testing.T, raw []byte) { judge(t, raw, alert.Options{}, false) })
}
