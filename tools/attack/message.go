package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Message returns a CAP message that is not signed.
func Message(id, text string) string { return message(id, text, "") }

func message(id, text, signature string) string {
	now, form := time.Now(), "2006-01-02T15:04:05-07:00"
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a Builder takes all
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>%s</identifier><sender>stranger@example.cn</sender><sent>%s</sent>
<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
<expires>%s</expires><headline>%[4]s</headline><description>%[4]s</description><area><areaDesc>all</areaDesc></area></info>%s</alert>`,
		id, now.Format(form), now.Add(time.Hour).Format(form), escaped.String(), signature)
}

// heavyMessages are small, and took a long time to judge, or look as if they did:
// giant keys, many elements and namespaces below what is signed, many signatures.
func heavyMessages() []string {
	giant := certificate(8000)
	wide := strings.Repeat("<b/>", 20_000)
	namespaces := ""
	for i := range 20 {
		namespaces += fmt.Sprintf(" xmlns:p%d='u'", i)
	}
	deep := "<a" + namespaces + ">" + strings.Repeat("<a>", 40) + wide + strings.Repeat("</a>", 41)
	var all []string
	for _, s := range []string{
		signature("<X509Data><X509Certificate>"+giant+"</X509Certificate></X509Data>", ""),
		strings.Repeat(signature("<X509Data>"+strings.Repeat("<X509Certificate>"+giant+"</X509Certificate>", 4)+"</X509Data>", ""), 4),
		signature("", wide),
		strings.Repeat(signature("", ""), 64) + signature("", deep),
	} {
		all = append(all, message(longName(30), "x", s))
	}
	return all
}

func signature(key, object string) string {
	digest, value := base64.StdEncoding.EncodeToString(make([]byte, 32)), base64.StdEncoding.EncodeToString(make([]byte, 256))
	return `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><Reference URI=""><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></Transforms>` +
		`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>` + digest + `</DigestValue></Reference></SignedInfo><SignatureValue>` + value + `</SignatureValue>` +
		`<KeyInfo>` + key + `</KeyInfo><Object>` + object + `</Object></Signature>`
}

// certificate returns one in base64 whose RSA key has that many bytes.
func certificate(size int) string {
	n := make([]byte, size)
	_, _ = crand.Read(n) // it never fails
	n[0], n[size-1] = n[0]|0x80, n[size-1]|1
	by, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "giant"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, c, c, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 1<<31 - 1}, by)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}
