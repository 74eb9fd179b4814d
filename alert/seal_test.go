package alert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// issuer signs CAP without the code under test: the canonical forms are written by
// hand.
type issuer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func newIssuer(t testing.TB, key crypto.Signer, name string, by *issuer, from, to string) issuer {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: day(from), NotAfter: day(to), IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{key, cert}
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const dsigSpace = "http://www.w3.org/2000/09/xmldsig#"

// signature returns an enveloped signature over canonical text.
func (i issuer) signature(t testing.TB, canonical, uri string, swap ...string) string {
	t.Helper()
	method := "rsa-sha256"
	if _, ok := i.key.(*ecdsa.PrivateKey); ok {
		method = "ecdsa-sha256"
	}
	sum := sha256.Sum256([]byte(canonical))
	inner := `<CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#` + method + `"></SignatureMethod>` +
		`<Reference URI="` + uri + `"><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></Transform>` +
		`<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>` +
		`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod>` +
		`<DigestValue>` + base64.StdEncoding.EncodeToString(sum[:]) + `</DigestValue></Reference>`
	inner = strings.NewReplacer(swap...).Replace(inner)
	digest := sha256.Sum256([]byte(`<SignedInfo xmlns="` + dsigSpace + `">` + inner + `</SignedInfo>`))
	var value []byte
	switch k := i.key.(type) {
	case *rsa.PrivateKey:
		v, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		value = v
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		value = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return `<Signature xmlns="` + dsigSpace + `"><SignedInfo>` + inner + `</SignedInfo><SignatureValue>` +
		base64.StdEncoding.EncodeToString(value) + `</SignatureValue><KeyInfo><X509Data><X509Certificate>` +
		base64.StdEncoding.EncodeToString(i.cert.Raw) + `</X509Certificate></X509Data></KeyInfo></Signature>`
}

// bare is flood in canonical form.
var bare = flood[strings.Index(flood, "<alert"):]

// sealed returns a message with the signatures added.
func sealed(message string, signatures ...string) string {
	return strings.Replace(message, "</alert>", strings.Join(signatures, "")+"</alert>", 1)
}

func TestHowCAPSignaturesAreJudged(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := newIssuer(t, ecKey(t), "省气象局", nil, "2020-01-01", "2030-01-01")
	of := newIssuer(t, ecKey(t), "舒城县气象台", &ca, "2026-01-01", "2027-01-01")
	other := newIssuer(t, rsaKey, "another", nil, "2026-01-01", "2027-01-01")
	lapsed := newIssuer(t, ecKey(t), "lapsed", nil, "2024-01-01", "2026-06-30")
	brief := newIssuer(t, ecKey(t), "brief", nil, "2020-01-01", "2026-07-02")
	outlived := newIssuer(t, ecKey(t), "outlived", &brief, "2026-01-01", "2027-01-01")
	later := newIssuer(t, ecKey(t), "later", nil, "2026-07-02", "2027-01-01")

	trust := func(i ...issuer) alert.Options {
		var o alert.Options
		for _, i := range i {
			o.Anchors = append(o.Anchors, i.cert)
		}
		return o
	}
	at := func(o alert.Options, now string) alert.Options { o.Now = day(now); return o }
	signed := sealed(flood, of.signature(t, bare, ""))
	const state = "舒城县气象台"
	for _, c := range []struct {
		name    string
		message string
		o       alert.Options
		state   emergency.SignatureState
		why     string
	}{
		{"by a trusted certificate", signed, trust(of), emergency.SignatureVerified, ""},
		{"by a certificate of a trusted authority", signed, trust(ca), emergency.SignatureVerified, ""},
		{"by an RSA key", sealed(flood, other.signature(t, bare, "")), trust(other), emergency.SignatureVerified, ""},
		{"by an unknown certificate", signed, trust(other), emergency.SignatureUnknown, "alert.seal_unknown"},
		{"without trusted certificates", signed, alert.Options{}, emergency.SignatureUnknown, "alert.seal_unknown"},
		{"by a certificate that had expired", sealed(flood, lapsed.signature(t, bare, "")), trust(lapsed), emergency.SignatureBad, "alert.seal_expired"},
		{"by a certificate that begins the day after the message was sent", sealed(flood, later.signature(t, bare, "")), trust(later), emergency.SignatureVerified, ""},
		{"by a certificate that begins after Now", sealed(flood, later.signature(t, bare, "")), at(trust(later), "2026-07-01"), emergency.SignatureBad, "alert.seal_early"},
		{"by a certificate that has expired by now", signed, at(trust(of), "2027-01-02"), emergency.SignatureBad, "alert.seal_lapsed"},
		{"by a certificate whose authority has expired by now", sealed(flood, outlived.signature(t, bare, "")), at(trust(brief), "2026-07-03"), emergency.SignatureBad, "alert.seal_lapsed"},
		{"by the same, without a clock", sealed(flood, outlived.signature(t, bare, "")), trust(brief), emergency.SignatureVerified, ""},
		{"by a certificate that is valid now", signed, at(trust(of), "2026-12-31"), emergency.SignatureVerified, ""},
		{"twice, once by an unknown certificate", sealed(flood, other.signature(t, bare, ""), of.signature(t, bare, "")), trust(of), emergency.SignatureVerified, ""},
		{"with a comment added later", strings.Replace(signed, "三小时内", "三<!-- x -->小时内", 1), trust(of), emergency.SignatureVerified, ""},
		{"indented later", strings.ReplaceAll(sealed(flood, of.signature(t, strings.ReplaceAll(bare, "\n", ""), "")), "\n", "\n   "), trust(of), emergency.SignatureVerified, ""},

		{"a word was changed", strings.Replace(signed, "三小时", "九小时", 1), trust(of), emergency.SignatureBad, "alert.seal_digest"},
		{"an area was added", strings.Replace(signed, "<geocode>", "<geocode><valueName>行政区划</valueName><value>340000000000</value></geocode><geocode>", 1), trust(of), emergency.SignatureBad, "alert.seal_digest"},
		{"the digest was changed to fit", sealed(strings.Replace(flood, "三小时", "九小时", 1), forged(t, of)), trust(of), emergency.SignatureBad, "alert.seal_signature"},
		{"wrapped: the signed message put into an object", wrapped(t, of, ""), trust(of), emergency.SignatureBad, "alert.seal_digest"},
		{"wrapped: and referred to by name", wrapped(t, of, "#original"), trust(of), emergency.SignatureBad, "alert.seal_reference"},
		{"a secret in place of a key", sealed(flood, of.signature(t, bare, "", "xmldsig-more#ecdsa-sha256", "xmldsig-more#hmac-sha256")), trust(of), emergency.SignatureBad, "alert.seal_method"},
		{"a transform that picks what to sign", sealed(flood, of.signature(t, bare, "", "http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/TR/1999/REC-xpath-19991116")), trust(of), emergency.SignatureBad, "alert.seal_method"},
		{"two signed infos", strings.Replace(signed, "<SignedInfo>", "<SignedInfo></SignedInfo><SignedInfo>", 1), trust(of), emergency.SignatureBad, "alert.seal_form"},
		{"five signatures", sealed(flood, strings.Repeat(of.signature(t, bare, ""), 5)), trust(of), emergency.SignatureBad, "alert.seal_many"},
		{"a damaged certificate", strings.Replace(signed, "<X509Certificate>", "<X509Certificate>AAAA", 1), trust(of), emergency.SignatureBad, "alert.seal_certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := alert.Parse(t.Context(), []byte(c.message), c.o)
			if err != nil {
				t.Fatal(say.In(say.English, err))
			}
			s := m.Alert.Signature
			if s.State != c.state || s.Why != c.why {
				t.Errorf("%s %q, want %s %q", s.State, s.Why, c.state, c.why)
			}
			if s.Why != "" && !say.Has(s.Why) {
				t.Errorf("no sentence under %q", s.Why)
			}
			if c.state == emergency.SignatureVerified && m.Alert.Texts[0].Text != "预计三小时内降雨超过五十毫米。" {
				t.Errorf("verified, and says %q", m.Alert.Texts[0].Text)
			}
		})
	}
	m, err := alert.Parse(t.Context(), []byte(signed), trust(ca))
	if err != nil || m.Alert.Signature.By != state {
		t.Errorf("signed by %q, want %q (%v)", m.Alert.Signature.By, state, err)
	}
}

// forged returns a signature whose digest was replaced by that of a changed message.
func forged(t *testing.T, of issuer) string {
	changed := sha256.Sum256([]byte(strings.Replace(bare, "三小时", "九小时", 1)))
	was := sha256.Sum256([]byte(bare))
	return strings.Replace(of.signature(t, bare, ""),
		base64.StdEncoding.EncodeToString(was[:]), base64.StdEncoding.EncodeToString(changed[:]), 1)
}

// wrapped returns an attacker's message that has the signature of a genuine message,
// with the genuine message inside an element of the signature.
func wrapped(t *testing.T, of issuer, uri string) string {
	original := strings.Replace(bare, "<alert ", `<alert Id="original" `, 1)
	s := of.signature(t, strings.Replace(original, `<alert Id="original" xmlns="urn:oasis:names:tc:emergency:cap:1.2">`,
		`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2" Id="original">`, 1), uri)
	s = strings.Replace(s, "</Signature>", "<Object>"+original+"</Object></Signature>", 1)
	return sealed(strings.Replace(flood, "三小时", "九小时", 1), s)
}

func TestASignatureWithSHA1IsNoted(t *testing.T) {
	m, err := alert.Parse(t.Context(), vector(t, "cap/google-cap-library/canada_signed.cap"), alert.Options{
		Anchors: []*x509.Certificate{certificate(t, "cap/google-cap-library/naads_x509_cert.pem")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Alert.Signature; s.State != emergency.SignatureVerified || s.By != "dss1.pelmorex.com" {
		t.Errorf("%+v", s)
	}
	if len(m.Notes) != 1 || m.Notes[0].Key != "alert.seal_sha1" {
		t.Errorf("notes %v", m.Notes)
	}
	if len(m.Alert.Texts) == 0 || m.Alert.Texts[0].Title != "snowfall warning" {
		t.Errorf("texts %v", m.Alert.Texts)
	}
}
