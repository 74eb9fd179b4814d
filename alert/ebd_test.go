package alert_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// sender is an EBD platform for tests. It has its own SM2 key and a certificate of 143
// bytes. The certificate and the signatures are made without the code under test.
type sender struct {
	key    *sm2.PrivateKey
	pem    []byte
	serial [6]byte
	cert   alert.Certificate
}

func sm2Key(t testing.TB) (*sm2.PrivateKey, []byte) {
	t.Helper()
	k, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := smx509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// sm2Sign signs and returns r and s, 32 bytes each.
func sm2Sign(t testing.TB, key *sm2.PrivateKey, message []byte) []byte {
	t.Helper()
	der, err := key.SignWithSM2(rand.Reader, []byte("1234567812345678"), message)
	if err != nil {
		t.Fatal(err)
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		t.Fatal(err)
	}
	return append(pair.R.FillBytes(make([]byte, 32)), pair.S.FillBytes(make([]byte, 32))...)
}

// coordinates returns X and Y of a key.
func coordinates(t testing.TB, key *sm2.PrivateKey) []byte {
	t.Helper()
	der, err := smx509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der[len(der)-64:]
}

func newSender(t testing.TB, authority *sm2.PrivateKey, serial string) sender {
	t.Helper()
	key, file := sm2Key(t)
	s := sender{key: key, pem: file}
	copy(s.serial[:], serial)
	body := append([]byte{0, 1, 2, 3, 4, 5, 6}, s.serial[:]...)
	body = append(append(body, 0xff, 0xfe), coordinates(t, key)...)
	cert, err := alert.ParseCertificate(append(body, sm2Sign(t, authority, body)...))
	if err != nil {
		t.Fatal(err)
	}
	s.cert = cert
	return s
}

// signs returns an EBDS member for a body.
func (s sender) signs(t testing.TB, body, id string, counter uint32) string {
	t.Helper()
	count := binary.BigEndian.AppendUint32(nil, counter)
	value := append(append(bytes.Clone(count), s.serial[:]...), sm2Sign(t, s.key, append([]byte(body), count...))...)
	return `<?xml version="1.0" encoding="utf-8"?><Signature><Version>1.0</Version><RelatedEBD><EBDID>` + id + `</EBDID></RelatedEBD>` +
		`<SignatureCert><CertType>01</CertType><IssuerID>0</IssuerID><CertSN>0</CertSN></SignatureCert>` +
		`<SignatureTime>2026-07-01 08:30:00</SignatureTime><DigestAlgorithm>SM3</DigestAlgorithm><SignatureAlgorithm>SM2</SignatureAlgorithm>` +
		`<SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</SignatureValue></Signature>`
}

const ebdID = "10434152300000001032300000000000000000042"

var mp3 = []byte("\xff\xfb\x90\x00 a frame header and what is no sound at all")

func sha1Hex(b []byte) string { s := sha1.Sum(b); return hex.EncodeToString(s[:]) }

// quake is an EBM in the form that a province sends.
var quake = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<EBD xmlns:xs="http://www.w3.org/2001/XMLSchema"><EBDVersion>1.0</EBDVersion><EBDID>` + ebdID + `</EBDID><EBDType>EBM</EBDType>
<SRC><EBRID>43415230000000103230000</EBRID></SRC><DEST><EBRID>43415230000000103230001</EBRID></DEST>
<EBDTime>2026-07-01 08:30:00</EBDTime>
<EBM><EBMVersion>1.0</EBMVersion><EBMID>43415230000000103230000202607010001</EBMID>
<RelatedInfo><EBMID></EBMID><EBIID></EBIID></RelatedInfo>
<MsgBasicInfo><MsgType>1</MsgType><SenderName>舒城县应急管理局</SenderName><SenderCode>341523</SenderCode><SentTime>2026-07-01 08:29:00</SentTime>
<EventType>11B09</EventType><Severity>1</Severity><StartTime>2026-07-01 08:30:00</StartTime><EndTime>2026-07-01 09:30:00</EndTime></MsgBasicInfo>
<MsgContent><LanguageCode>zho</LanguageCode><MsgTitle>地震预警</MsgTitle><MsgDesc>请立即到空旷处避险。</MsgDesc>
<AreaCode>341523100000,341523101000</AreaCode><ProgramNum></ProgramNum>
<Auxiliary><AuxiliaryType>2</AuxiliaryType><AuxiliaryDesc>EBDR_1.mp3</AuxiliaryDesc><Size>` + "57" + `</Size><Digest>` + sha1Hex(mp3) + `</Digest></Auxiliary>
</MsgContent></EBM></EBD>`

// ebd returns a package with a body and more members.
func ebd(t testing.TB, body string, more ...string) []byte {
	t.Helper()
	return packed(t, append([]string{"EBDB_" + ebdID + ".xml", body}, more...)...)
}

func TestAnEBMBecomesAnAlert(t *testing.T) {
	m := parse(t, ebd(t, quake, "EBDR_1.mp3", string(mp3)))
	a := m.Alert
	if m.Kind != alert.KindEBM || m.Verdict != alert.Valid || m.Silent.Key != "" {
		t.Errorf("%s, %s, %v, silent %v", m.Kind, m.Verdict, m.Warnings, m.Silent)
	}
	want := alert.EBD{Version: "1.0", ID: ebdID, Type: "EBM", From: "43415230000000103230000", To: "43415230000000103230001",
		Time: time.Date(2026, 7, 1, 0, 30, 0, 0, time.UTC)}
	if m.EBD != want {
		t.Errorf("head %+v", m.EBD)
	}
	if a.ID != "43415230000000103230000202607010001" || a.Kind != emergency.KindRequest || a.Class != emergency.ClassEmergency || a.Level != emergency.Red {
		t.Errorf("%s, %s, %s, level %d", a.ID, a.Kind, a.Class, a.Level)
	}
	if a.Sent != time.Date(2026, 7, 1, 0, 29, 0, 0, time.UTC) || a.NotBefore != want.Time || a.NotAfter != want.Time.Add(time.Hour) {
		t.Errorf("sent %v, from %v to %v: times are Shanghai's", a.Sent, a.NotBefore, a.NotAfter)
	}
	if a.Sender != "341523" || a.SenderName != "舒城县应急管理局" || a.EventCode != "11B09" {
		t.Errorf("sender %s %s, event %s", a.Sender, a.SenderName, a.EventCode)
	}
	if !slices.Equal(a.Texts, []emergency.Text{{Language: "zh", Title: "地震预警", Text: "请立即到空旷处避险。"}}) {
		t.Errorf("texts %v", a.Texts)
	}
	if len(a.Audio) != 1 || !bytes.Equal(a.Audio[0].Data, mp3) || a.Audio[0].Matched != alert.OfBytes || a.Audio[0].MediaType != "audio/mpeg" {
		t.Errorf("sounds %v", a.Audio)
	}
	for _, c := range []struct {
		name  string
		where playlist.Area
		is    bool
	}{
		{"a village of the town", "341523100201", true},
		{"the county that holds it", "341523000000", true},
		{"another town", "341523102000", false},
		{"another county", "341524100201", false},
	} {
		if a.Concerns(c.where, nil) != c.is {
			t.Errorf("%s: concerned %v", c.name, !c.is)
		}
	}
	if a.Signature.State != emergency.SignatureAbsent {
		t.Errorf("signature %v", a.Signature)
	}
	// An expired message is read too. Whether it has expired matters when it should
	// sound.
	if late := parse(t, ebd(t, strings.ReplaceAll(quake, "2026-07-01", "2016-07-01"))); !late.Alert.NotAfter.Before(day("2016-07-02")) {
		t.Errorf("an old message ends %v", late.Alert.NotAfter)
	}
	alone := parse(t, []byte(quake))
	if alone.Alert.ID != a.ID || len(alone.Unsupplied) != 1 {
		t.Errorf("the body alone: %s, lacks %v", alone.Alert.ID, alone.Unsupplied)
	}
}

func TestTheKindClassAndRankOfAnEBM(t *testing.T) {
	const none = playlist.Rank(-1)
	everyday, _ := emergency.Alert{Class: emergency.ClassDaily}.Rank()
	severity := func(s string) []string { return []string{"<Severity>1<", "<Severity>" + s + "<"} }
	kind := func(s string) []string { return []string{"<MsgType>1<", "<MsgType>" + s + "<"} }
	refer := []string{"<RelatedInfo><EBMID><", "<RelatedInfo><EBMID>earlier<"}
	for _, c := range []struct {
		name  string
		pairs []string
		kind  emergency.Kind
		class emergency.Class
		rank  playlist.Rank
	}{
		{"red", nil, emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency1},
		{"blue", severity("4"), emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency4},
		{"of unknown severity", severity("0"), emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency4},
		{"of a severity that is not defined", severity("7"), emergency.KindRequest, emergency.ClassEmergency, playlist.RankEmergency4},
		{"a test", severity("15"), emergency.KindRequest, emergency.ClassTest, none},
		{"an everyday message", severity("10"), emergency.KindRequest, emergency.ClassDaily, everyday},
		{"a system drill", severity("21"), emergency.KindRequest, emergency.ClassDrillSystem, none},
		{"a simulated drill", severity("22"), emergency.KindRequest, emergency.ClassDrillSimulated, playlist.RankSimulatedDrill},
		{"an actual drill", severity("23"), emergency.KindRequest, emergency.ClassDrillActual, playlist.RankActualDrill},
		{"a drill of the platform", kind("3"), emergency.KindRequest, emergency.ClassDrillSystem, none},
		{"a drill of the front end", kind("4"), emergency.KindRequest, emergency.ClassDrillSimulated, playlist.RankSimulatedDrill},
		{"a drill of the terminals", kind("5"), emergency.KindRequest, emergency.ClassDrillActual, playlist.RankActualDrill},
		{"two kinds of drill: the less audible counts", append(kind("5"), severity("21")...), emergency.KindRequest, emergency.ClassDrillSystem, none},
		{"a drill with the severity of a test", append(kind("5"), severity("15")...), emergency.KindRequest, emergency.ClassTest, none},
		{"a cancel", append(kind("2"), refer...), emergency.KindCancel, emergency.ClassEmergency, none},
		{"an update", refer, emergency.KindUpdate, emergency.ClassEmergency, playlist.RankEmergency1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, ebd(t, string(with(t, quake, c.pairs...)), "EBDR_1.mp3", string(mp3)))
			rank, ok := m.Alert.Rank()
			if !ok {
				rank = none
			}
			if m.Alert.Kind != c.kind || m.Alert.Class != c.class || rank != c.rank {
				t.Errorf("%s, %s, rank %d; want %s, %s, %d", m.Alert.Kind, m.Alert.Class, rank, c.kind, c.class, c.rank)
			}
			if len(c.pairs) > 0 && c.pairs[len(c.pairs)-1] == refer[1] && !slices.Equal(m.Alert.Refs, []playlist.AlertID{"earlier"}) {
				t.Errorf("refs %v", m.Alert.Refs)
			}
		})
	}
}

func TestARefusalNamesTheWrongElementOfAnEBM(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		why   error
		says  string
	}{
		{"no ID", []string{"<EBMID>43415230000000103230000202607010001</EBMID>", ""}, alert.ErrMissing, "EBM/EBMID"},
		{"no package ID", []string{"<EBDID>" + ebdID + "</EBDID>", ""}, alert.ErrMissing, "EBD/EBDID"},
		{"no sender", []string{"<SRC><EBRID>43415230000000103230000</EBRID></SRC>", ""}, alert.ErrMissing, "SRC/EBRID"},
		{"no body of its type", []string{"<EBDType>EBM<", "<EBDType>OMDRequest<"}, alert.ErrMissing, "EBD/OMDRequest"},
		{"no area", []string{"341523100000,341523101000", ""}, alert.ErrMissing, "AreaCode"},
		{"no time", []string{"<SentTime>2026-07-01 08:29:00</SentTime>", ""}, alert.ErrMissing, "SentTime"},
		{"a cancel that names no message", []string{"<MsgType>1<", "<MsgType>2<"}, alert.ErrMissing, "RelatedInfo/EBMID"},
		{"a time in another form", []string{"08:29:00", "8 o'clock"}, alert.ErrInvalid, "SentTime"},
		{"an end before its start", []string{"2026-07-01 09:30:00", "2026-06-30 09:30:00"}, alert.ErrInvalid, "2026-06-30"},
		{"an unknown type", []string{"<MsgType>1<", "<MsgType>9<"}, alert.ErrInvalid, "MsgType"},
		{"neither text nor sound", []string{"<MsgTitle>地震预警</MsgTitle><MsgDesc>请立即到空旷处避险。</MsgDesc>", "",
			"<AuxiliaryType>2<", "<AuxiliaryType>9<"}, alert.ErrMissing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := alert.Parse(t.Context(), ebd(t, string(with(t, quake, c.pairs...)), "EBDR_1.mp3", string(mp3)), alert.Options{})
			if !errors.Is(err, c.why) || !strings.Contains(say.In(say.Chinese, err), c.says) {
				t.Errorf("got %v", err)
			}
			want := alert.ResultUnparseable
			if c.why == alert.ErrMissing {
				want = alert.ResultMissing
			}
			if got := alert.ResultOf(err, emergency.Signature{}); got != want {
				t.Errorf("ResultOf returns %d, want %d", got, want)
			}
		})
	}
}

func TestEBDDialectsAreTolerated(t *testing.T) {
	sound := []string{"EBDR_1.mp3", string(mp3)}
	for _, c := range []struct {
		name  string
		pairs []string
		more  []string
		key   string // of the only warning; empty: it is no slip
	}{
		{"SendTime", []string{"<SentTime>2026-07-01 08:29:00</SentTime>", "<SendTime>2026-07-01 08:29:00</SendTime>"}, sound, "alert.ebm_send_time"},
		{"EBDVersion 1", []string{"<EBDVersion>1.0<", "<EBDVersion>1<"}, sound, ""},
		{"no EBMVersion", []string{"<EBMVersion>1.0</EBMVersion>", ""}, sound, "alert.ebm_version"},
		{"an empty EBMVersion", []string{"<EBMVersion>1.0<", "<EBMVersion><"}, sound, "alert.ebm_version"},
		{"an empty Digest", []string{sha1Hex(mp3), ""}, sound, ""},
		{"SysTask", []string{"<EBMVersion>", "<SysTask>1</SysTask><EBMVersion>"}, sound, "alert.ebm_stranger"},
		{"ProcessType", []string{"<MsgType>", "<ProcessType>1</ProcessType><MsgType>"}, sound, "alert.ebm_stranger"},
		{"BroadcastTime", []string{"<MsgType>", "<BroadcastTime>1</BroadcastTime><MsgType>"}, sound, "alert.ebm_stranger"},
		{"LinkTypeSel", []string{"<MsgTitle>", "<LinkTypeSel>1</LinkTypeSel><MsgTitle>"}, sound, "alert.ebm_stranger"},
		{"Dispatch", []string{"</EBM></EBD>", "<Dispatch><EBRPS><EBRID>1</EBRID></EBRPS></Dispatch></EBM></EBD>"}, sound, ""},
		{"an EBRID of 18 digits", []string{"43415230000000103230001", "123456789012345678"}, sound, ""},
		{"areas of six digits", []string{"341523101000", "341524"}, sound, ""},
		{"an area code that is not valid", []string{"341523101000", "12"}, sound, "alert.ebm_area"},
		{"a member missing", nil, nil, "alert.ebm_member"},
		{"a digest that does not fit", []string{sha1Hex(mp3), sha1Hex([]byte("x"))}, sound, "alert.audio_digest"},
		{"a member named without its prefix", []string{"EBDR_1.mp3", "1.mp3"}, sound, ""},
		{"a stream beside it", []string{"<Auxiliary>", "<Auxiliary><AuxiliaryType>61</AuxiliaryType><AuxiliaryDesc>rtsp://h/1</AuxiliaryDesc></Auxiliary><Auxiliary>"}, sound, ""},
		{"a member with an unknown prefix", nil, append([]string{"readme.txt", "x"}, sound...), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, ebd(t, string(with(t, quake, c.pairs...)), c.more...))
			keys := []string{}
			for _, w := range m.Warnings {
				keys = append(keys, w.Key)
			}
			if want := strings.Fields(c.key); !slices.Equal(keys, want) {
				t.Errorf("warnings %v, want %v", keys, want)
			}
			if rank, ok := m.Alert.Rank(); !ok || rank != playlist.RankEmergency1 || m.Alert.Texts[0].Title != "地震预警" {
				t.Errorf("it no longer sounds: %d %v", rank, m.Alert.Texts)
			}
			usable := slices.ContainsFunc(m.Alert.Audio, func(a emergency.Audio) bool { return len(a.Data) > 0 })
			if want := c.key != "alert.ebm_member" && c.key != "alert.audio_digest"; usable != want {
				t.Errorf("a sound that can be used: %v, want %v", usable, want)
			}
		})
	}
	m := parse(t, ebd(t, string(with(t, quake, "341523100000,341523101000", "XX"))))
	if m.Alert.Concerns("341523100201", nil) {
		t.Error("a list of invalid area codes means every area")
	}
	if m := parse(t, packed(t, "EBDB_7.xml", quake)); m.Warnings[0].Key != "alert.ebd_name" {
		t.Errorf("a body of another name: %v", m.Warnings)
	}
}

func TestHowEBDSignaturesAreJudged(t *testing.T) {
	authority, _ := sm2Key(t)
	stranger, _ := sm2Key(t)
	province, forger := newSender(t, authority, "\x00\x00\x00\x00\x00\x2a"), newSender(t, stranger, "\x00\x00\x00\x00\x00\x2a")
	key, err := alert.ParsePublicKey(coordinates(t, authority))
	if err != nil {
		t.Fatal(err)
	}
	o := alert.Options{Certificates: []alert.Certificate{province.cert}, Authorities: []alert.PublicKey{key}}
	name := "EBDS_EBDB_" + ebdID + ".xml"
	good := province.signs(t, quake, ebdID, 7)
	value := good[strings.Index(good, "<SignatureValue>")+16 : strings.Index(good, "</SignatureValue>")]
	for _, c := range []struct {
		name  string
		body  string
		more  []string
		o     alert.Options
		state emergency.SignatureState
		why   string
	}{
		{"by a certificate that the authority signed", quake, []string{name, good}, o, emergency.SignatureVerified, ""},
		{"by a certificate, without authorities", quake, []string{name, good}, alert.Options{Certificates: o.Certificates}, emergency.SignatureVerified, ""},
		{"by an unknown certificate", quake, []string{name, good}, alert.Options{Authorities: o.Authorities}, emergency.SignatureUnknown, "alert.ebds_unknown"},
		{"by a certificate of another authority", quake, []string{name, forger.signs(t, quake, ebdID, 7)},
			alert.Options{Certificates: []alert.Certificate{forger.cert}, Authorities: o.Authorities}, emergency.SignatureBad, "alert.ebds_authority"},
		{"by another key with the same number", quake, []string{name, forger.signs(t, quake, ebdID, 7)}, o, emergency.SignatureBad, "alert.ebds_signature"},
		{"a word was changed", strings.Replace(quake, "立即", "不必", 1), []string{name, good}, o, emergency.SignatureBad, "alert.ebds_signature"},
		{"for another package", quake, []string{name, province.signs(t, quake, "other", 7)}, o, emergency.SignatureBad, "alert.ebds_other"},
		{"a value of another length", quake, []string{name, strings.Replace(good, value, value[4:], 1)}, o, emergency.SignatureBad, "alert.ebds_value"},
		{"a value that is no base64", quake, []string{name, strings.Replace(good, value, "?"+value[1:], 1)}, o, emergency.SignatureBad, "alert.ebds_value"},
		{"a character that XML does not allow", quake, []string{name, strings.Replace(good, "<IssuerID>0", "<IssuerID>&#x0;", 1)}, o, emergency.SignatureBad, "alert.ebds_nul"},
		{"no XML at all", quake, []string{name, "x"}, o, emergency.SignatureBad, "alert.ebds_form"},
		{"two signatures", quake, []string{name, good, "EBDS_2.xml", good}, o, emergency.SignatureBad, "alert.ebds_many"},
		{"no signature", quake, nil, o, emergency.SignatureAbsent, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := alert.Parse(t.Context(), ebd(t, c.body, c.more...), c.o)
			if err != nil {
				t.Fatal(err)
			}
			s := m.Alert.Signature
			if s.State != c.state || s.Why != c.why || s.Why != "" && !say.Has(s.Why) {
				t.Errorf("%s %q, want %s %q", s.State, s.Why, c.state, c.why)
			}
			if s.State == emergency.SignatureVerified && (s.Counter != 7 || s.By != "00000000002a") {
				t.Errorf("counter %d of %s", s.Counter, s.By)
			}
			want := alert.ResultReceived
			if c.state == emergency.SignatureBad {
				want = alert.ResultSignature
			}
			if got := alert.ResultOf(nil, s); got != want {
				t.Errorf("ResultOf returns %d, want %d", got, want)
			}
		})
	}
}

func TestWhichCertificatesAndKeysAreRead(t *testing.T) {
	authority, file := sm2Key(t)
	s := newSender(t, authority, "abcdef")
	raw := s.cert.Bytes()
	for name, form := range map[string][]byte{
		"raw": raw, "hex": []byte(hex.EncodeToString(raw) + "\n"), "base64": []byte(base64.StdEncoding.EncodeToString(raw)),
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "EBD CERTIFICATE", Bytes: raw}),
	} {
		c, err := alert.ParseCertificate(form)
		if err != nil || !bytes.Equal(c.Bytes(), raw) || c.Name() != hex.EncodeToString([]byte("abcdef")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	off := bytes.Clone(raw)
	off[40] ^= 1
	for name, form := range map[string][]byte{"short": raw[:142], "a point off the curve": off, "nothing": nil} {
		if _, err := alert.ParseCertificate(form); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	signer, err := alert.NewSigner(file, [6]byte{})
	if err != nil || !s.cert.SignedBy(signer.Public()) {
		t.Errorf("the authority's own file: %v", err)
	}
	if again, err := alert.ParsePublicKey(signer.Public().Bytes()); err != nil || !s.cert.SignedBy(again) {
		t.Errorf("a key that went out and came back: %v", err)
	}
	issued, err := signer.Issue([6]byte{1}, s.cert.Key)
	if err != nil || !issued.SignedBy(signer.Public()) || issued.SignedBy(s.cert.Key) {
		t.Errorf("a certificate issued here: %v", err)
	}
	if _, err := alert.NewSigner([]byte("x"), [6]byte{}); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("no key at all: %v", err)
	}
}

// sending returns a signer, and the options that trust it.
func sending(t *testing.T) (alert.Sign, alert.Options) {
	authority, file := sm2Key(t)
	s := newSender(t, authority, "\x01\x02\x03\x04\x05\x06")
	signer, err := alert.NewSigner(s.pem, s.serial)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := alert.NewSigner(file, [6]byte{})
	if err != nil {
		t.Fatal(err)
	}
	return alert.Sign{By: signer, Counter: 9},
		alert.Options{Certificates: []alert.Certificate{s.cert}, Authorities: []alert.PublicKey{ca.Public()}}
}

var head = alert.EBD{ID: alert.EBDID("43415230000000103230001", 8), From: "43415230000000103230001", FromURL: "http://h/ebd?a=1&b=2",
	To: "43415230000000103230000", Time: time.Date(2026, 7, 1, 0, 31, 0, 0, time.UTC), Related: ebdID}

func TestResponsesAreReadAsTheyWereWritten(t *testing.T) {
	sign, o := sending(t)
	state := alert.State{
		EBM: "43415230000000103230000202607010001", At: head.Time, Code: alert.BrdAiring, Desc: "播发中 <2 of 3>",
		Coverage: &alert.Coverage{Rate: 0.6667, Areas: []playlist.Area{"341523100000", "341523101000"}, Stat: [4]int{1, 0, 3, 17}},
		Items: []alert.StateItem{
			{Platform: "p", Adapter: "a", Device: "(341523,2,1)", At: head.Time, Start: head.Time, Code: alert.BrdAiring, Desc: "开播"},
			{Station: "s", Device: "x", At: head.Time, Start: head.Time, End: head.Time.Add(time.Minute), File: "http://h/1.mp3", Code: alert.BrdDone},
		},
	}
	write := map[alert.Kind]func(alert.Sign) (alert.Package, error){
		alert.KindResponse: func(s alert.Sign) (alert.Package, error) {
			return alert.Respond(head, alert.Result{Code: alert.ResultSignature, Desc: "签名不对"}, s)
		},
		alert.KindStateResponse: func(s alert.Sign) (alert.Package, error) { return alert.ReportState(head, state, s) },
		alert.KindHeartbeat:     func(s alert.Sign) (alert.Package, error) { return alert.Heartbeat(head, s) },
	}
	for kind, f := range write {
		for _, s := range []alert.Sign{{}, sign} {
			p, err := f(s)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != "EBDT_"+head.ID+".tar" {
				t.Errorf("%s is called %s", kind, p.Name)
			}
			m, err := alert.Parse(t.Context(), p.Tar, o)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			got := m.EBD
			got.Version, got.Type = "", ""
			if m.Kind != kind || m.Verdict != alert.Valid || got != head {
				t.Errorf("%s: %s %s %v, head %+v", kind, m.Kind, m.Verdict, m.Warnings, got)
			}
			want := emergency.Signature{State: emergency.SignatureAbsent}
			if s.By != nil {
				want = emergency.Signature{State: emergency.SignatureVerified, By: "010203040506", Key: m.Alert.Signature.Key, Counter: 9}
				if len(want.Key) != 32 {
					t.Errorf("%s: signed by key %q", kind, want.Key)
				}
			}
			if m.Alert.Signature != want {
				t.Errorf("%s: signature %+v", kind, m.Alert.Signature)
			}
			switch kind {
			case alert.KindResponse:
				if (m.Result != alert.Result{Code: alert.ResultSignature, Desc: "签名不对"}) {
					t.Errorf("result %+v", m.Result)
				}
			case alert.KindStateResponse:
				if !reflect.DeepEqual(m.State, state) {
					t.Errorf("state %+v\nwant %+v", m.State, state)
				}
			}
		}
	}
	bare := alert.State{EBM: "1", At: head.Time, Code: alert.BrdUntouched}
	p, err := alert.ReportState(head, bare, alert.Sign{})
	if err != nil {
		t.Fatal(err)
	}
	if m := parse(t, p.Tar); !reflect.DeepEqual(m.State, bare) || bytes.Contains(p.Tar, []byte("Coverage")) {
		t.Errorf("a state without measurements reads %+v", m.State)
	}
	if _, err := alert.ReportState(head, alert.State{Coverage: &alert.Coverage{Rate: 1.2}}, alert.Sign{}); err == nil {
		t.Error("a coverage of 120 % was sent")
	}
}

func TestAPackageAndItsIDFollowFromItsPartsOnly(t *testing.T) {
	one, err := alert.Heartbeat(head, alert.Sign{})
	if err != nil {
		t.Fatal(err)
	}
	two, _ := alert.Heartbeat(head, alert.Sign{})
	if !bytes.Equal(one.Tar, two.Tar) {
		t.Error("two packages of the same parts differ")
	}
	if id := alert.EBDID("43415230000000103230001", 8); id != "10434152300000001032300010000000000000008" || len(id) != 41 {
		t.Errorf("EBDID %s", id)
	}
	if id := alerttest.EBMID("43415230000000103230001", time.Date(2026, 6, 30, 16, 30, 0, 0, time.UTC), 3); id != "43415230000000103230001202607010003" {
		t.Errorf("EBMID %s: the day is China's", id)
	}
}

func TestARequestIsReadAsItWasWritten(t *testing.T) {
	sign, o := sending(t)
	sent := time.Date(2026, 7, 1, 0, 29, 0, 0, time.UTC)
	sound := emergency.Audio{Name: "EBDR_1.mp3", MediaType: "audio/mpeg", Data: mp3}
	base := emergency.Alert{
		ID: "1", Sender: "341523", SenderName: "舒城县", Sent: sent, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Yellow,
		EventCode: "11B09", Areas: []playlist.Area{"341523100000"}, NotBefore: sent, NotAfter: sent.Add(time.Hour),
		Texts: []emergency.Text{{Language: "zh", Title: "题", Text: "正文 & <完>"}}, Audio: []emergency.Audio{sound},
	}
	for _, c := range []struct {
		name   string
		change func(*emergency.Alert)
	}{
		{"a request", func(*emergency.Alert) {}},
		{"a cancel", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindCancel, []playlist.AlertID{"0"} }},
		{"an update", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindUpdate, []playlist.AlertID{"0"} }},
		{"a drill", func(a *emergency.Alert) { a.Class, a.Level = emergency.ClassDrillActual, emergency.Blue }},
		{"a test", func(a *emergency.Alert) { a.Class, a.Level = emergency.ClassTest, emergency.Blue }},
		{"an everyday message", func(a *emergency.Alert) { a.Class, a.Level = emergency.ClassDaily, emergency.Blue }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.change(&want)
			p, err := alerttest.Request(head, want, sign)
			if err != nil {
				t.Fatal(err)
			}
			m, err := alert.Parse(t.Context(), p.Tar, o)
			if err != nil {
				t.Fatal(err)
			}
			got := m.Alert
			if got.Signature.State != emergency.SignatureVerified || len(got.Audio) != 1 || got.Audio[0].Matched != alert.OfBytes || !bytes.Equal(got.Audio[0].Data, mp3) {
				t.Errorf("signature %v, sounds %v", got.Signature, got.Audio)
			}
			got.Audio, want.Audio, got.Signature = nil, nil, emergency.Signature{}
			want.Format, want.Identifier = "EBM", "1"
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read  %+v\nwrote %+v", got, want)
			}
		})
	}
}

func TestRequestsAndReportsOfOtherKindsAreRead(t *testing.T) {
	of := func(kind, body string) []byte {
		return []byte(`<EBD><EBDVersion>1</EBDVersion><EBDID>1</EBDID><EBDType>` + kind + `</EBDType><SRC><EBRID>2</EBRID></SRC>` +
			`<EBDTime>2026-07-01 08:30:00</EBDTime><` + kind + `>` + body + `</` + kind + `></EBD>`)
	}
	for _, body := range []string{"<EBM><EBMID>7</EBMID></EBM>", "<EBMID>7</EBMID>"} {
		if m := parse(t, of("EBMStateRequest", body)); m.Kind != alert.KindStateRequest || m.StateOf != "7" {
			t.Errorf("%s: %s of %q", body, m.Kind, m.StateOf)
		}
	}
	if _, err := alert.Parse(t.Context(), of("EBMStateRequest", "<EBM/>"), alert.Options{}); !errors.Is(err, alert.ErrMissing) {
		t.Errorf("the state of nothing: %v", err)
	}
	m := parse(t, of("OMDRequest", "<OMDType>EBRPSInfo</OMDType><Params><RptStartTime>2026-07-01 00:00:00</RptStartTime><RptType>Full</RptType></Params>"))
	if want := (alert.OMD{Type: "EBRPSInfo", From: time.Date(2026, 6, 30, 16, 0, 0, 0, time.UTC), ReportType: "Full"}); m.OMD != want {
		t.Errorf("%+v", m.OMD)
	}
	if m := parse(t, of("EBRPSInfo", "<x/>")); m.Kind != "EBRPSInfo" {
		t.Errorf("kind %s", m.Kind)
	}
	for rate, want := range map[string]float64{"0.5": 0.5, "50": 0.5, "50%": 0.5, "1": 1, "0": 0} {
		m := parse(t, of("EBMStateResponse", "<EBM><EBMID>7</EBMID></EBM><BrdStateCode>3</BrdStateCode><Coverage><CoverageRate>"+rate+"</CoverageRate></Coverage>"))
		if m.State.Coverage == nil || m.State.Coverage.Rate != want {
			t.Errorf("%s is read as %+v", rate, m.State.Coverage)
		}
	}
}
