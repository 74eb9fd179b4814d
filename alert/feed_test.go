package alert_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/playlist/emergency"
)

func feed(t testing.TB, raw []byte, o alert.Options) alert.Feed {
	t.Helper()
	m, err := alert.Parse(t.Context(), raw, o)
	if err != nil || m.Feed == nil {
		t.Fatalf("%s, %v", m.Kind, err)
	}
	return *m.Feed
}

const atom = `<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-07-01T00:30:00Z</updated>
<entry><id>e1</id><title>t1</title><updated>2026-07-01T08:30:00+08:00</updated><link rel="self" href="http://h/self"/>
<link href="http://h/page"/><link type="application/cap+xml" href="http://h/1.cap"/></entry></feed>`

func TestAFeedReturnsItsAlertsOrTheirLinks(t *testing.T) {
	f := feed(t, []byte(atom), alert.Options{})
	at := time.Date(2026, 7, 1, 0, 30, 0, 0, time.UTC)
	if f.Format != "Atom" || f.ID != "f" || !f.Updated.Equal(at) || len(f.Entries) != 1 {
		t.Fatalf("%+v", f)
	}
	e := f.Entries[0]
	if e.ID != "e1" || e.Title != "t1" || !e.Updated.Equal(at) || !slices.Equal(e.Links, []string{"http://h/1.cap", "http://h/page"}) {
		t.Errorf("%+v", e)
	}

	f = feed(t, vector(t, "cap/google-cap-library/ny_index.rss"), alert.Options{})
	if f.Format != "RSS" || len(f.Entries) != 2 || f.Entries[1].ID != "NYAlert-ALLHAZALERT-3162202" ||
		!f.Entries[1].Updated.Equal(time.Date(2011, 1, 28, 16, 13, 0, 0, time.UTC)) || len(f.Entries[1].Links) != 1 {
		t.Errorf("%+v", f)
	}
	f = feed(t, vector(t, "cap/google-cap-library/weather_index.atom"), alert.Options{})
	if len(f.Entries) != 2 || !strings.Contains(f.Entries[0].Links[0], "wwacapget.php?x=CT2010") {
		t.Errorf("%+v", f)
	}
	f = feed(t, vector(t, "cap/google-cap-library/amber.atom"), alert.Options{})
	if len(f.Entries) != 1 || len(f.Entries[0].Alerts) != 1 || f.Entries[0].Alerts[0].Alert.Event != "Child Abduction" {
		t.Errorf("%+v", f)
	}
}

func TestAnAlertInsideAFeedIsReadLikeADocumentOfItsOwn(t *testing.T) {
	of := newIssuer(t, ecKey(t), "of", nil, "2026-01-01", "2027-01-01")
	o := alert.Options{}
	o.Anchors = append(o.Anchors, of.cert)
	within := strings.Replace(atom, "</entry>", `<content type="text/xml">`+strings.TrimPrefix(sealed(bare, of.signature(t, bare, "")), "\n")+`</content></entry>`, 1)
	f := feed(t, []byte(within), o)
	if len(f.Entries[0].Alerts) != 1 {
		t.Fatalf("%+v", f.Entries[0])
	}
	m := f.Entries[0].Alerts[0]
	if m.Alert.Signature.State != emergency.SignatureVerified || m.Verdict != alert.Valid || m.Alert.Event != "暴雨" {
		t.Errorf("%v, %s %v", m.Alert.Signature, m.Verdict, m.Warnings)
	}
	alone, err := alert.Parse(t.Context(), m.Raw, o)
	if err != nil || alone.Alert.ID != m.Alert.ID {
		t.Errorf("its raw bytes are no message: %v", err)
	}

	// The alert uses a prefix that only the feed declares.
	prefixed := strings.NewReplacer("</", "</cap:", "<", "<cap:").Replace(strings.Replace(bare, ` xmlns="urn:oasis:names:tc:emergency:cap:1.2"`, "", 1))
	within = strings.Replace(strings.Replace(atom, "<feed ", `<feed xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2" `, 1),
		"</entry>", "<content>"+prefixed+"</content></entry>", 1)
	f = feed(t, []byte(within), o)
	if e := f.Entries[0]; e.Err != nil || len(e.Alerts) != 1 || e.Alerts[0].Alert.Event != "暴雨" {
		t.Errorf("%+v", e)
	} else if _, err := alert.Parse(t.Context(), e.Alerts[0].Raw, o); err != nil {
		t.Errorf("its raw bytes are no message: %v", err)
	}
}

func TestOneBadEntryDoesNotHideTheOthers(t *testing.T) {
	bad := `<entry><id>e2</id><title>t</title><updated>2026-07-01T00:30:00Z</updated><content>` + strings.Replace(bare, ">Actual<", ">?<", 1) + `</content></entry>`
	m, err := alert.Parse(t.Context(), []byte(strings.Replace(atom, "</feed>", bad+"</feed>", 1)), alert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != alert.KindFeed || m.Verdict != alert.Tolerated || len(m.Feed.Entries) != 2 {
		t.Fatalf("%+v", m)
	}
	if e := m.Feed.Entries; e[0].Err != nil || !errors.Is(e[1].Err, alert.ErrInvalid) {
		t.Errorf("%v, %v", e[0].Err, e[1].Err)
	}
}

func TestWhichFeedsAreRefused(t *testing.T) {
	many := strings.Repeat(`<entry><id>e</id></entry>`, alert.MaxEntries+1)
	for _, c := range []struct {
		name, raw string
		why       error
	}{
		{"too many entries", strings.Replace(atom, "</feed>", many+"</feed>", 1), alert.ErrTooLarge},
		{"entries that lead nowhere", strings.ReplaceAll(atom, "href", "x"), alert.ErrInvalid},
		{"an invalid alert, although there is a link", strings.Replace(atom, "</entry>",
			`<content><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"/></content></entry>`, 1), alert.ErrInvalid},
		{"a document type", strings.Replace(atom, "<feed", "<!DOCTYPE feed><feed", 1), alert.ErrForbidden},
	} {
		if _, err := alert.Parse(t.Context(), []byte(c.raw), alert.Options{}); !errors.Is(err, c.why) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
