package alert_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// flood is a CAP message; tests change single lines of it.
const flood = `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>34152341600000_20260701083000</identifier>
<sender>yj.shucheng.gov.cn</sender>
<sent>2026-07-01T08:30:00+08:00</sent>
<status>Actual</status>
<msgType>Alert</msgType>
<scope>Public</scope>
<info>
<language>zh-CN</language>
<category>Met</category>
<event>暴雨</event>
<urgency>Immediate</urgency>
<severity>Severe</severity>
<certainty>Observed</certainty>
<eventCode><valueName>OET</valueName><value>11B03</value></eventCode>
<effective>2026-07-01T08:30:00+08:00</effective>
<expires>2026-07-01T12:00:00+08:00</expires>
<senderName>舒城县气象台</senderName>
<headline>暴雨橙色预警</headline>
<description>预计三小时内降雨超过五十毫米。</description>
<instruction>请低洼处村民转移。</instruction>
<area>
<areaDesc>舒城县城关镇</areaDesc>
<polygon>31.4,116.9 31.5,116.9 31.5,117.0 31.4,116.9</polygon>
<circle>31.46,116.94 5</circle>
<geocode><valueName>行政区划</valueName><value>341523100000</value></geocode>
</area>
</info>
</alert>`

// with returns the message with pairs of texts replaced.
func with(t testing.TB, message string, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(message, pairs[i]) {
			t.Fatalf("the message does not hold %q", pairs[i])
		}
		message = strings.Replace(message, pairs[i], pairs[i+1], 1)
	}
	return []byte(message)
}

func parse(t testing.TB, raw []byte) alert.Message {
	t.Helper()
	m, err := alert.Parse(t.Context(), raw, alert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestACAPMessageBecomesAnAlert(t *testing.T) {
	m := parse(t, []byte(flood))
	a := m.Alert
	if m.Kind != alert.KindAlert || m.Verdict != alert.Valid || m.Silent.Key != "" || m.Issuer != "341523000000" {
		t.Errorf("kind %s, %s, silent %q, issued by %s", m.Kind, m.Verdict, m.Silent.Key, m.Issuer)
	}
	if a.ID != "yj.shucheng.gov.cn,34152341600000_20260701083000,2026-07-01T00:30:00-00:00" {
		t.Errorf("id %s", a.ID)
	}
	at := func(s string) time.Time {
		u, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if !a.Sent.Equal(at("2026-07-01T08:30:00+08:00")) || !a.NotBefore.Equal(a.Sent) || !a.NotAfter.Equal(at("2026-07-01T12:00:00+08:00")) {
		t.Errorf("sent %v, from %v to %v", a.Sent, a.NotBefore, a.NotAfter)
	}
	if a.Format != "CAP 1.2" || a.Kind != emergency.KindRequest || a.Class != emergency.ClassEmergency || a.Level != emergency.Orange {
		t.Errorf("%s, %s, %s, level %d", a.Format, a.Kind, a.Class, a.Level)
	}
	if a.Event != "暴雨" || a.EventCode != "11B03" || a.SenderName != "舒城县气象台" {
		t.Errorf("event %s %s of %s", a.Event, a.EventCode, a.SenderName)
	}
	want := emergency.Text{Language: "zh-CN", Title: "暴雨橙色预警", Text: "预计三小时内降雨超过五十毫米。", Advice: "请低洼处村民转移。"}
	if !slices.Equal(a.Texts, []emergency.Text{want}) {
		t.Errorf("texts %+v", a.Texts)
	}
	if !slices.Equal(a.Areas, []playlist.Area{"341523100000"}) || len(a.Shapes) != 2 || a.Shapes[1].RadiusKM != 5 || len(a.Elsewhere) != 0 {
		t.Errorf("areas %v, shapes %v, elsewhere %v", a.Areas, a.Shapes, a.Elsewhere)
	}
	if !a.Concerns("341523100201", nil) || a.Concerns("341524100201", nil) ||
		!a.Concerns("341524100201", &playlist.Place{Lat: 31.47, Lon: 116.95}) {
		t.Error("it concerns the wrong places")
	}
	if a.Signature.State != emergency.SignatureAbsent || string(m.Raw) != flood {
		t.Errorf("signature %v, raw kept %v", a.Signature, string(m.Raw) == flood)
	}
}

func TestWhichCAPMessagesSoundAndWithWhichRank(t *testing.T) {
	const none = playlist.Rank(-1)
	for _, c := range []struct {
		name  string
		pairs []string
		kind  emergency.Kind
		class emergency.Class
		rank  playlist.Rank
	}{
		{"extreme is red", []string{">Severe<", ">Extreme<"}, emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency1},
		{"moderate is yellow", []string{">Severe<", ">Moderate<"}, emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency3},
		{"minor is blue", []string{">Severe<", ">Minor<"}, emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency4},
		{"unknown is blue", []string{">Severe<", ">Unknown<"}, emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency4},
		{"an exercise is a drill", []string{">Actual<", ">Exercise<"}, emergency.KindRequest, emergency.ClassDrillActual, playlist.RankActualDrill},
		{"a test never sounds", []string{">Actual<", ">Test<"}, emergency.KindRequest, emergency.ClassTest, none},
		{"a system message never sounds", []string{">Actual<", ">System<"}, emergency.KindRequest, emergency.ClassTest, none},
		{"a draft never sounds", []string{">Actual<", ">Draft<"}, emergency.KindRequest, emergency.ClassTest, none},
		{"restricted never sounds", []string{">Public</scope>", ">Restricted</scope><restriction>staff</restriction>"}, emergency.KindRequest, emergency.ClassNotPublic, none},
		{"private never sounds", []string{">Public</scope>", ">Private</scope><addresses>a@b</addresses>"}, emergency.KindRequest, emergency.ClassNotPublic, none},
		{"an acknowledgement never sounds", []string{">Alert<", ">Ack<"}, emergency.KindAnswer, emergency.ClassTest, none},
		{"an error never sounds", []string{">Alert<", ">Error<"}, emergency.KindAnswer, emergency.ClassTest, none},
		{"an update sounds", []string{">Alert<", ">Update<", "</scope>", "</scope><references>s,i,2026-07-01T08:00:00+08:00</references>"},
			emergency.KindUpdate, emergency.ClassEmergency, playlist.RankEmergency2},
		{"a cancel does not", []string{">Alert<", ">Cancel<", "</scope>", "</scope><references>s,i,2026-07-01T08:00:00+08:00</references>"},
			emergency.KindCancel, emergency.ClassEmergency, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, with(t, flood, c.pairs...))
			rank, ok := m.Alert.Rank()
			if !ok {
				rank = none
			}
			if m.Alert.Kind != c.kind || m.Alert.Class != c.class || rank != c.rank {
				t.Errorf("%s, %s, rank %d; want %s, %s, %d", m.Alert.Kind, m.Alert.Class, rank, c.kind, c.class, c.rank)
			}
			if silent := m.Silent.Key != ""; silent != (c.rank == none && c.kind != emergency.KindCancel) {
				t.Errorf("silent: %q", m.Silent)
			}
		})
	}
}

func TestARefusalNamesTheWrongElementOfACAPMessage(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		says  string
	}{
		{"no identifier", []string{"<identifier>34152341600000_20260701083000</identifier>", ""}, "alert/identifier"},
		{"an empty sender", []string{"yj.shucheng.gov.cn", ""}, "alert/sender"},
		{"a comma in the identifier", []string{"34152341600000_", "3415,"}, "alert/identifier"},
		{"UTC as Z in 1.2", []string{"08:30:00+08:00</sent>", "00:30:00Z</sent>"}, "alert/sent"},
		{"a time without an offset", []string{"+08:00</expires>", "</expires>"}, "alert/info/expires"},
		{"an impossible month", []string{"2026-07-01T08:30:00+08:00</sent>", "2026-13-01T08:30:00+08:00</sent>"}, "alert/sent"},
		{"an unknown status", []string{">Actual<", ">actual<"}, "alert/status"},
		{"an unknown category", []string{">Met<", ">Weather<"}, "alert/info/category"},
		{"elements in another order", []string{"<urgency>Immediate</urgency>\n<severity>Severe</severity>", "<severity>Severe</severity><urgency>Immediate</urgency>"}, "alert/info/urgency"},
		{"a foreign element", []string{"<event>", "<x xmlns='urn:x'/><event>"}, "{urn:x}x"},
		{"two events", []string{"<event>暴雨</event>", "<event>a</event><event>b</event>"}, "alert/info/event"},
		{"text between elements", []string{"<area>\n", "<area>hier"}, "alert/info/area"},
		{"references in another form", []string{"</scope>", "</scope><references>the last one</references>"}, "references"},
		{"an unknown version of CAP", []string{"cap:1.2", "cap:1.3"}, "cap:1.3"},
		{"no namespace", []string{`xmlns="urn:oasis:names:tc:emergency:cap:1.2"`, ""}, "1.0"},
		{"a resource without its type", []string{"<area>\n", "<resource><resourceDesc>r</resourceDesc></resource><area>\n"}, "mimeType"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := alert.Parse(t.Context(), with(t, flood, c.pairs...), alert.Options{})
			if !errors.Is(err, alert.ErrInvalid) || !errors.Is(err, playlist.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			if zh, en := say.In(say.Chinese, err), say.In(say.English, err); !strings.Contains(zh, c.says) || !strings.Contains(en, c.says) || zh == en {
				t.Errorf("%q, %q: want %q named in both", zh, en, c.says)
			}
		})
	}
}

// site is a place in the polygon and the circle of flood, outside its town.
var site = playlist.Place{Lat: 31.45, Lon: 116.95}

// A shape that breaks the rules of CAP keeps no alert from sounding: it is closed, or
// ignored where the alert names another place, and told of.
func TestABrokenShapeIsMendedOrIgnoredAndTold(t *testing.T) {
	const (
		code   = "<geocode><valueName>行政区划</valueName><value>341523100000</value></geocode>"
		ring   = "31.4,116.9 31.5,116.9 31.5,117.0 31.4,117.0 31.4,116.9"
		round  = "31.46,116.94 5"
		town   = playlist.Area("341523100201")
		beyond = playlist.Area("110101001001")
	)
	polygon := func(s string) string { return "<polygon>" + s + "</polygon>" }
	circle := func(s string) string { return "<circle>" + s + "</circle>" }
	area := func(s string) string { return "<area><areaDesc>某地</areaDesc>" + s + "</area>" }
	for _, c := range []struct {
		name                 string
		areas                string
		told                 []string // keys, in order
		inTown, there, quiet bool     // it concerns the town, a place in the shape, any other place
	}{
		{"whole", area(polygon(ring) + code), nil, true, true, false},
		{"not closed", area(polygon("31.4,116.9 31.5,116.9 31.5,117.0 31.4,117.0") + code), []string{"alert.cap_shape"}, true, true, false},
		{"not closed, and no code", area(polygon("31.4,116.9 31.5,116.9 31.5,117.0 31.4,117.0")), []string{"alert.cap_shape"}, false, true, false},
		{"three corners, not closed", area(polygon("31.4,116.9 31.5,116.9 31.45,117.0")), []string{"alert.cap_shape"}, false, true, false},
		{"crossing itself", area(polygon("31.4,116.9 31.5,117.0 31.5,116.9 31.4,117.0 31.4,116.9") + code), []string{"alert.cap_shape"}, true, false, false},
		{"going round twice", area(polygon(ring + " 31.5,116.9 31.5,117.0 31.4,117.0 31.4,116.9")), nil, false, true, false},
		{"two points", area(polygon("31.4,116.9 31.5,116.9 31.4,116.9") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"points on a line", area(polygon("31.4,116.9 31.5,116.9 31.6,116.9 31.4,116.9") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"a point off the earth", area(polygon(strings.Replace(ring, "31.5,117.0", "31.5,217.0", 1)) + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"latitude and longitude changed over", area(circle("116.94,31.46 5") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"a point that is no number", area(circle("NaN,116.94 5") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"a radius below zero", area(circle("31.46,116.94 -5") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"no radius", area(circle("31.46,116.94") + code), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"an empty circle", area(circle(" ") + code), []string{"alert.cap_blank"}, true, false, false},
		{"broken beside a good one", area(circle("31.46") + circle(round)), []string{"alert.cap_shape_ignored"}, false, true, false},
		{"broken in an area beside that of the town", area(code) + area(circle("31.46")), []string{"alert.cap_shape_ignored"}, true, false, false},
		{"nothing but broken", area(polygon("31.4,116.9 31.5,116.9")), []string{"alert.cap_shape_ignored", "alert.cap_nowhere"}, true, true, true},
		{"broken, with another's code", area(polygon("31.4,116.9") + "<geocode><valueName>SAME</valueName><value>006109</value></geocode>"),
			[]string{"alert.cap_shape_ignored"}, false, false, false},
		{"nothing but an empty polygon", area(polygon("")), []string{"alert.cap_blank"}, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, []byte(flood[:strings.Index(flood, "<area>")]+c.areas+flood[strings.Index(flood, "</info>"):]))
			var told []string
			for _, w := range m.Warnings {
				told = append(told, w.Key)
				if zh, en := w.In(say.Chinese), w.In(say.English); zh == en {
					t.Errorf("%q in both languages", zh)
				}
			}
			if !slices.Equal(told, c.told) {
				t.Errorf("told %q, want %q", told, c.told)
			}
			for _, p := range []struct {
				area playlist.Area
				at   *playlist.Place
				want bool
			}{{town, nil, c.inTown}, {beyond, &site, c.there}, {beyond, &playlist.Place{Lat: 10, Lon: 10}, c.quiet}} {
				if got := m.Alert.Concerns(p.area, p.at); got != p.want {
					t.Errorf("concerns %s at %v: %v", p.area, p.at, got)
				}
			}
		})
	}
}

func TestARefusalListsAllFaults(t *testing.T) {
	_, err := alert.Parse(t.Context(), with(t, flood, ">Actual<", "><", ">Met<", ">?<", "<event>暴雨</event>", "", "+08:00</expires>", "Z</expires>"), alert.Options{})
	if lines := strings.Split(say.In(say.Chinese, err), "\n"); len(lines) != 4 {
		t.Errorf("%d faults listed: %q", len(lines), lines)
	}
}

func TestCAPDialectsAreTolerated(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		key   string
	}{
		{"Very Likely, of CAP 1.0", []string{">Observed<", ">Very Likely<"}, "alert.cap_very_likely"},
		{"blanks round a value", []string{">Actual<", "> Actual <"}, "alert.cap_blanks"},
		{"an attribute", []string{"<info>", "<info id='1'>"}, "alert.cap_attr"},
		{"an update that names nothing", []string{">Alert<", ">Update<", "</scope>", "</scope><references/>"}, "alert.cap_no_references"},
		{"a cancel that names nothing", []string{">Alert<", ">Cancel<"}, "alert.cap_cancels_nothing"},
		{"a reference in Z", []string{"</scope>", "</scope><references>s,i,2026-07-01T00:00:00Z</references>"}, "alert.cap_reference_time"},
		{"blanks before the document", []string{"<?xml", "\n <?xml"}, "alert.xml_leading"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, with(t, flood, c.pairs...))
			if m.Verdict != alert.Tolerated || len(m.Warnings) != 1 || m.Warnings[0].Key != c.key {
				t.Errorf("%s: %v", m.Verdict, m.Warnings)
			}
		})
	}
}

func TestEachCAPVersionHasItsOwnRules(t *testing.T) {
	old := with(t, flood, "urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1", "08:30:00+08:00</sent>", "00:30:00.5Z</sent>")
	if m := parse(t, old); m.Verdict != alert.Valid || m.Alert.Format != "CAP 1.1" {
		t.Errorf("Z and fractions are fine in CAP 1.1: %s %v", m.Verdict, m.Warnings)
	}
	const first = `<alert xmlns="http://www.incident.com/cap/1.0"><identifier>a1</identifier><sender>s@x</sender>
<sent>2004-01-01T00:00:00-05:00</sent><status>Actual</status><msgType>Update</msgType><password>p</password>
<references>a0/s@x</references><info><event>e</event><urgency>Past</urgency><severity>Minor</severity><certainty>Very Likely</certainty>
<eventCode>SAME=SVR</eventCode><area><areaDesc>d</areaDesc><geocode>division=341523</geocode></area></info></alert>`
	m := parse(t, []byte(first))
	if m.Verdict != alert.Valid || m.Alert.Class != emergency.ClassEmergency || m.Alert.EventCode != "SVR" {
		t.Errorf("CAP 1.0: %s %v, %s, %s", m.Verdict, m.Warnings, m.Alert.Class, m.Alert.EventCode)
	}
	if !slices.Equal(m.Alert.Refs, []playlist.AlertID{"s@x,a0,"}) || !slices.Equal(m.Alert.Areas, []playlist.Area{"341523000000"}) {
		t.Errorf("CAP 1.0 refers to %v, for %v", m.Alert.Refs, m.Alert.Areas)
	}
	if _, err := alert.Parse(t.Context(), with(t, first, "http://www.incident.com/cap/1.0", "urn:oasis:names:tc:emergency:cap:1.2"), alert.Options{}); err == nil {
		t.Error("a message of CAP 1.0 passes for 1.2")
	}
}

func TestReferencesFindTheirMessageInAnyOffset(t *testing.T) {
	m := parse(t, with(t, flood, ">Alert<", ">Cancel<", "</scope>", `</scope><references>
		yj.shucheng.gov.cn,34152341600000_20260701083000,2026-07-01T00:30:00-00:00
		yj.shucheng.gov.cn,34152341600000_20260701083000,2026-07-01T08:30:00+08:00 b,c,2026-07-01T08:30:00+08:00</references>`))
	if want := []playlist.AlertID{parse(t, []byte(flood)).Alert.ID, "b,c,2026-07-01T00:30:00-00:00"}; !slices.Equal(m.Alert.Refs, want) {
		t.Errorf("refs %v, want %v", m.Alert.Refs, want)
	}
}

func TestTheFirstInfoOfALanguageAndTheFirstValueOfAParameterCount(t *testing.T) {
	info := flood[strings.Index(flood, "<info>") : strings.Index(flood, "</info>")+len("</info>")]
	second := strings.NewReplacer("zh-CN", "en", "Severe", "Extreme", "暴雨橙色预警", "Rainstorm").Replace(info)
	third := strings.NewReplacer("Severe", "Extreme", "暴雨橙色预警", "假的", "341523100000", "110000000000").Replace(info)
	param := func(v string) string {
		return "<parameter><valueName>repeat</valueName><value>" + v + "</value></parameter>"
	}
	m := parse(t, with(t, flood, "</info>", "</info>"+second+third, "</instruction>", "</instruction>"+param("3")+param("9")))
	if len(m.Alert.Texts) != 2 || m.Alert.Texts[0].Title != "暴雨橙色预警" || m.Alert.Texts[1].Title != "Rainstorm" {
		t.Errorf("texts %+v", m.Alert.Texts)
	}
	if m.Parameters["repeat"] != "3" {
		t.Errorf("parameters %v", m.Parameters)
	}
	if m.Alert.Level != emergency.Red || len(m.Alert.Areas) != 1 || m.Verdict != alert.Valid || len(m.Notes) != 1 {
		t.Errorf("level %d, areas %v, %s, notes %v", m.Alert.Level, m.Alert.Areas, m.Verdict, m.Notes)
	}
}

func TestAnAlertWithoutExpiryHasNone(t *testing.T) {
	m := parse(t, with(t, flood, "<expires>2026-07-01T12:00:00+08:00</expires>", "", "<effective>2026-07-01T08:30:00+08:00</effective>", ""))
	if !m.Alert.NotAfter.IsZero() || !m.Alert.NotBefore.Equal(m.Alert.Sent) {
		t.Errorf("from %v to %v", m.Alert.NotBefore, m.Alert.NotAfter)
	}
}

func TestAnAlertForPlacesThatWeDoNotKnowIsNotForOurs(t *testing.T) {
	for _, c := range []struct{ name, geocode, value string }{
		{"a county of the United States", "SAME", "348201"},
		{"a postcode", "postcode", "231300"},
		{"an unknown province", "division", "991523"},
		{"a code with an empty level", "division", "340023100000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, with(t, flood, "行政区划", c.geocode, "341523100000", c.value,
				"<polygon>31.4,116.9 31.5,116.9 31.5,117.0 31.4,116.9</polygon>", "", "<circle>31.46,116.94 5</circle>", ""))
			a := m.Alert
			if len(a.Areas) != 0 || !slices.Contains(a.Elsewhere, c.geocode+"="+c.value) || !slices.Contains(a.Elsewhere, "舒城县城关镇") {
				t.Errorf("areas %v, elsewhere %v", a.Areas, a.Elsewhere)
			}
			if a.Concerns("341523100201", nil) {
				t.Error("an alert for another place concerns ours")
			}
		})
	}
	whole := flood[:strings.Index(flood, "<area>")] + flood[strings.Index(flood, "</info>"):]
	if !parse(t, []byte(whole)).Alert.Concerns("341523100201", nil) {
		t.Error("an alert that names no place should concern every place")
	}
	for value, want := range map[string]playlist.Area{"341523": "341523000000", "341523100": "341523100000", "341523100201": "341523100201"} {
		if m := parse(t, with(t, flood, "341523100000", value)); !slices.Equal(m.Alert.Areas, []playlist.Area{want}) {
			t.Errorf("%s: areas %v", value, m.Alert.Areas)
		}
	}
}

func TestWhichInlineSoundsAreKept(t *testing.T) {
	data := []byte("ID3 not really a sound, but no test listens")
	text := base64.StdEncoding.EncodeToString(data)
	hexOf := func(b string) string { s := sha1.Sum([]byte(b)); return hex.EncodeToString(s[:]) }
	inBase64 := func(b string) string { s := sha1.Sum([]byte(b)); return base64.StdEncoding.EncodeToString(s[:]) }
	lines := "\n      " + text[:20] + "\n      " + text[20:] + "\n    "
	for _, c := range []struct {
		name, deref, digest, matched string
		sounds                       bool
	}{
		{"no digest", text, "", "", true},
		{"a digest of the bytes", text, hexOf(string(data)), alert.OfBytes, true},
		{"a digest in capitals", text, strings.ToUpper(hexOf(string(data))), alert.OfBytes, true},
		{"a digest of the base64", text, hexOf(text), alert.OfBase64, true},
		{"a digest of something else", text, hexOf("x"), alert.OfNone, false},
		{"a digest that is none", text, "none", alert.OfNone, false},
		{"base64 on several lines", text[:20] + "\n  " + text[20:], hexOf(text), alert.OfBase64, true},
		{"of the text as it stands", lines, hexOf(lines), alert.OfBase64, true},
		{"of the text as it stands, with CR LF", lines, hexOf(strings.ReplaceAll(lines, "\n", "\r\n")), alert.OfBase64, true},
		{"CR LF in the document, LF in the digest", strings.ReplaceAll(lines, "\n", "\r\n"), hexOf(lines), alert.OfBase64, true},
		{"CR LF in both", strings.ReplaceAll(lines, "\n", "\r\n"), hexOf(strings.ReplaceAll(lines, "\n", "\r\n")), alert.OfBase64, true},
		{"of the text without the blanks around it", lines, hexOf(strings.TrimSpace(lines)), alert.OfBase64, true},
		{"of the lines before they were indented", lines, hexOf(text[:20] + "\n" + text[20:]), alert.OfBase64, true},
		{"of a file that ends in a line end", lines, hexOf(text[:20] + "\n" + text[20:] + "\n"), alert.OfBase64, true},
		{"of other lines", lines, hexOf(text[:8] + "\n" + text[8:]), alert.OfNone, false},
		{"in base64", text, inBase64(string(data)), alert.OfBytes, true},
		{"SHA-256", text, fmt.Sprintf("%X", sha256.Sum256(data)), alert.OfBytes, true},
		{"SHA-256 of the text as it stands", lines, fmt.Sprintf("%x", sha256.Sum256([]byte(lines))), alert.OfBase64, true},
		{"a digest on two lines", text, hexOf(string(data))[:20] + "\n" + hexOf(string(data))[20:], alert.OfBytes, true},
		{"damaged base64", "!" + text, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := fmt.Sprintf("<resource><resourceDesc>r</resourceDesc><mimeType>audio/mpeg</mimeType><uri>http://h/a.mp3?x=1</uri>"+
				"<derefUri>%s</derefUri><digest>%s</digest></resource><area>\n", c.deref, c.digest)
			m := parse(t, with(t, flood, "<area>\n", res))
			if len(m.Alert.Audio) != 1 {
				t.Fatalf("sounds %v", m.Alert.Audio)
			}
			s := m.Alert.Audio[0]
			if s.Matched != c.matched || string(s.Data) == string(data) != c.sounds || s.Name != "a.mp3" || playlist.IsClipID(string(s.SHA256)) != c.sounds {
				t.Errorf("matched %q, %d bytes, %s, %s", s.Matched, len(s.Data), s.Name, s.SHA256)
			}
			if !c.sounds && len(s.Unfit) == 0 {
				t.Error("nothing is left of a sound that may have to do")
			}
			if c.sounds != (m.Verdict == alert.Valid) {
				t.Errorf("%s: %v", m.Verdict, m.Warnings)
			}
		})
	}
}

func TestDocumentsInOtherEncodingsAreRead(t *testing.T) {
	want := parse(t, []byte(flood)).Alert.Texts[0]
	as := func(name string) string { return strings.Replace(flood, "UTF-8", name, 1) }
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(as("GBK"))
	if err != nil {
		t.Fatal(err)
	}
	gb2312, _ := simplifiedchinese.GBK.NewEncoder().String(as("gb2312"))
	gb18030, _ := simplifiedchinese.GB18030.NewEncoder().String(as("GB18030"))
	utf16, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(as("UTF-16"))
	for name, text := range map[string]string{
		"a byte order mark": "\ufeff" + flood, "GBK": gbk, "GB2312": gb2312, "GB18030": gb18030, "UTF-16": utf16,
	} {
		m, err := alert.Parse(t.Context(), []byte(text), alert.Options{})
		if err != nil || m.Verdict != alert.Valid || m.Alert.Texts[0] != want {
			t.Errorf("%s: %v, %s %v", name, err, m.Verdict, m.Warnings)
		}
	}
	for name, text := range map[string]string{
		"GBK that says it is UTF-8": strings.Replace(gbk, "GBK", "UTF-8", 1), "an unknown encoding": as("klingon"),
		"UTF-8 that says it is GBK": strings.Replace(flood, "UTF-8", "GBK", 1) + "\xff\xff",
	} {
		if _, err := alert.Parse(t.Context(), []byte(text), alert.Options{}); !errors.Is(err, alert.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
