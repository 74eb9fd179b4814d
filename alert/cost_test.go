package alert_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/playlist/emergency"
)

// claims returns a certificate for a key that says that issuer issued it. By is the key
// that signs it.
func claims(t testing.TB, name, issuer string, public, by any) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: day("2020-01-01"), NotAfter: day("2030-01-01"),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, public, by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// giant is an RSA key of that many bytes. Its private half is unknown, as it is to one
// who sends it.
func giant(t testing.TB, size int) *rsa.PublicKey {
	t.Helper()
	n := make([]byte, size)
	_, _ = rand.Read(n)
	n[0], n[size-1] = n[0]|0x80, n[size-1]|1
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 1<<31 - 1}
}

// costly is a message that took seconds of processor time for a few kilobytes.
type costly struct {
	name       string
	signatures []string
	o          alert.Options
	state      emergency.SignatureState
	why        string // of the signature, or of the refusal if the state is empty
}

// costlyOnes makes such messages, the widest with so many elements. of is who is
// trusted by trusting.
func costlyOnes(t testing.TB, elements int) (of issuer, trusting alert.Options, all []costly) {
	t.Helper()
	ca := newIssuer(t, ecKey(t), "省气象局", nil, "2020-01-01", "2030-01-01")
	of = newIssuer(t, ecKey(t), "舒城县气象台", &ca, "2026-01-01", "2027-01-01")
	stranger := newIssuer(t, ecKey(t), "a stranger", nil, "2020-01-01", "2030-01-01")
	trusting = alert.Options{Anchors: []*x509.Certificate{ca.cert}}
	encode := base64.StdEncoding.EncodeToString
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(claims(t, "leaf", "giant", of.key.Public(), large))
	if err != nil {
		t.Fatal(err)
	}
	certificates := func(all ...[]byte) string {
		s := ""
		for _, der := range all {
			s += "<X509Certificate>" + encode(der) + "</X509Certificate>"
		}
		return s + "</X509Data>"
	}
	// brings returns a stranger's valid signature with more certificates beside its own.
	brings := func(all ...[]byte) string {
		return strings.Replace(issuer{of.key, leaf}.signature(t, bare, ""), "</X509Data>", certificates(all...), 1)
	}
	bare64 := func(size int) string {
		s := of.signature(t, bare, "")
		from, to := strings.Index(s, "<X509Data>"), strings.Index(s, "</X509Data>")
		return s[:from] + "<KeyValue><RSAKeyValue><Modulus>" + encode(giant(t, size).N.Bytes()) + "</Modulus><Exponent>AQAB</Exponent></RSAKeyValue></KeyValue>" + s[to+len("</X509Data>"):]
	}
	declarations := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf(" xmlns:p%d='u'", i)
		}
		return s
	}
	wide := strings.Repeat("<b/>", elements)
	deep := strings.Repeat("<a"+declarations(20)+">", 12) + wide + strings.Repeat("</a>", 12)
	object := func(s, inside string) string {
		return strings.Replace(s, "</Signature>", "<Object>"+inside+"</Object></Signature>", 1)
	}
	wrong := func(i issuer) string { return i.signature(t, "something else", "") }
	return of, trusting, []costly{
		{"no one is trusted, and the digest is wrong", []string{wrong(stranger)}, alert.Options{}, emergency.SignatureUnknown, "alert.seal_unknown"},
		{"no one is trusted, and the certificates are giants", []string{brings(claims(t, "giant", "giant", giant(t, 8000), large))}, alert.Options{}, emergency.SignatureUnknown, "alert.seal_unknown"},
		{"a stranger's, and the digest is wrong", []string{object(wrong(stranger), wide), wrong(stranger), wrong(stranger), wrong(stranger)}, trusting, emergency.SignatureUnknown, "alert.seal_unknown"},
		{"issued by a giant", []string{brings(claims(t, "giant", "giant", giant(t, 8000), large))}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"issued by one slightly too large", []string{brings(claims(t, "giant", "giant", giant(t, 1025), large))}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"a certificate larger than any", []string{brings(claims(t, strings.Repeat("x", 17<<10), "giant", of.key.Public(), large))}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"a chain of five", []string{brings(ca.cert.Raw, ca.cert.Raw, ca.cert.Raw, ca.cert.Raw)}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"a bare key of a giant", []string{bare64(60_000)}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"a bare key too small to be trusted", []string{bare64(128)}, trusting, emergency.SignatureBad, "alert.seal_certificate"},
		{"a value larger than any", []string{strings.Replace(of.signature(t, bare, ""), "<SignatureValue>", "<SignatureValue>"+strings.Repeat("AAAA", 4000), 1)}, trusting, emergency.SignatureBad, "alert.seal_signature"},
		{"a signed info larger than any", []string{strings.Replace(of.signature(t, bare, ""), "<SignedInfo>", "<SignedInfo>"+strings.Repeat("<Reference/>", 8000), 1)}, trusting, emergency.SignatureBad, "alert.seal_form"},
		{"namespaces in every element", []string{object(wrong(of), deep), wrong(of), wrong(of), wrong(of)}, trusting, "", "more than 32 namespaces"},
		{"genuine, and large", []string{object(of.signature(t, bare, ""), wide)}, trusting, emergency.SignatureVerified, ""},
	}
}

// TestASignatureCostsNoMoreThanAGenuineOne holds if the message is refused, or its
// signature is not worked out: then the result does not depend on whether that is right.
func TestASignatureCostsNoMoreThanAGenuineOne(t *testing.T) {
	of, trusting, all := costlyOnes(t, 50_000)
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			m, err := alert.Parse(t.Context(), []byte(sealed(flood, c.signatures...)), c.o)
			if c.state == "" {
				if err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("got %v, want %s", err, c.why)
				}
				return
			}
			if s := m.Alert.Signature; err != nil || s.State != c.state || s.Why != c.why {
				t.Errorf("%s %q, want %s %q (%v)", s.State, s.Why, c.state, c.why, err)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := alert.Parse(gone, []byte(sealed(flood, of.signature(t, bare, ""))), trusting); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller that does not wait: %v", err)
	}
}
