package alert

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // see methods
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"dalaba/playlist/emergency"
)

// This file verifies the signatures of CAP messages: enveloped XML-DSig. The
// catalogue calls such a signature a seal.
//
// goxmldsig makes the canonical forms. The rest is our own code, because goxmldsig
// does not support what issuers do: several signatures in one message, bare RSA
// keys, ECDSA signatures in the form of XML-DSig, and messages that were indented
// after they were signed. After verification the message is read again from the very
// bytes that the digest covers, so an element that was moved, wrapped or added has no
// effect.
//
// SHA-1 is accepted, with a note. To change a signed message an attacker needs a
// second preimage, which no known attack finds. A collision helps only an attacker
// who can make the issuer sign a message that the attacker wrote.

// A stranger may send a message with any signature, so what it costs to verify one is
// bounded before it is verified. The largest certificates of issuers seen have 2 KB, and
// the largest SignedInfo 3 KB.
const (
	maxSignatures   = 4          // of one message
	maxCertificates = 4          // in one signature
	maxCertificate  = 16 << 10   // bytes of one of them
	maxSignedInfo   = 64 << 10   // bytes of a SignedInfo
	maxSigned       = 1 << 10    // bytes of a signature's value or of a digest
	minRSA, maxRSA  = 2048, 8192 // bits of an RSA key
)

// capSignature is the result of verifying one signature.
type capSignature struct {
	state emergency.SignatureState
	why   string // a key of the catalogue
	by    string
	weak  bool
	tree  *node // the message as it was verified; nil if the signature is bad
}

// badSignature is the result for a signature that is bad for the reason why.
func badSignature(why string) capSignature {
	return capSignature{state: emergency.SignatureBad, why: why}
}

// checkCAPSignatures verifies the signatures of a message. It returns the result of
// the best one, and the message as that signature covers it, or nil if no signature
// is valid.
func checkCAPSignatures(doc document, sent time.Time, o Options, r *report) (emergency.Signature, *node) {
	n, large := 0, false
	for _, k := range doc.root.kids {
		if k.space != signatureSpace || k.name != "Signature" {
			continue
		}
		n++
		for _, info := range k.all("SignedInfo") {
			large = large || info.to-info.from > maxSignedInfo
		}
	}
	switch {
	case n == 0:
		return emergency.Signature{State: emergency.SignatureAbsent}, nil
	case n > maxSignatures:
		return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_many"}, nil
	case large:
		return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_form"}, nil
	case len(o.Anchors) == 0: // nobody's signature is trusted: do not spend time on it
		return emergency.Signature{State: emergency.SignatureUnknown, Why: "alert.seal_unknown"}, nil
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc.utf8); err != nil || tree.Root() == nil {
		return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_form"}, nil
	}
	s := signedMessage{doc: tree, sent: sent, o: o, single: n == 1, forms: map[string][]byte{}}
	var results []capSignature
	for i, child := range tree.Root().Child {
		if el, ok := child.(*etree.Element); ok && el.Tag == "Signature" && el.NamespaceURI() == signatureSpace {
			results = append(results, s.check(el, i))
		}
	}
	// One verified signature is enough: each of them covers the whole message.
	for _, state := range []emergency.SignatureState{emergency.SignatureVerified, emergency.SignatureBad, emergency.SignatureUnknown} {
		if i := slices.IndexFunc(results, func(s capSignature) bool { return s.state == state }); i >= 0 {
			if results[i].weak {
				r.note("alert.seal_sha1")
			}
			return emergency.Signature{State: state, By: results[i].by, Why: results[i].why}, results[i].tree
		}
	}
	return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_form"}, nil
}

// signedMessage is a message with its signatures.
type signedMessage struct {
	doc  *etree.Document
	sent time.Time
	o    Options

	single bool              // there is one signature
	forms  map[string][]byte // canonical forms made so far
}

// method is a way to sign: the hash, and ECDSA or else RSA.
type method struct {
	hash  crypto.Hash
	ecdsa bool
}

var methods = map[string]method{
	"http://www.w3.org/2000/09/xmldsig#rsa-sha1":          {crypto.SHA1, false},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   {crypto.SHA256, false},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   {crypto.SHA384, false},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   {crypto.SHA512, false},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1":   {crypto.SHA1, true},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": {crypto.SHA256, true},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": {crypto.SHA384, true},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": {crypto.SHA512, true},
}

var digests = map[string]crypto.Hash{
	"http://www.w3.org/2000/09/xmldsig#sha1":        crypto.SHA1,
	"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
}

const (
	c14n10    = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	c14n11    = "http://www.w3.org/2006/12/xml-c14n11"
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// canonicalizer returns the canonicalizer of an algorithm, if it is known. For
// C14N 1.1 it returns that of 1.0: they differ only in xml:id and xml:base, which no
// CAP message has, and goxmldsig's 1.1 misses the namespaces that an element
// inherits.
func canonicalizer(algorithm, prefixes string, comments bool) (dsig.Canonicalizer, bool) {
	name, with := strings.CutSuffix(algorithm, "WithComments")
	comments = comments && with
	switch strings.TrimSuffix(name, "#") {
	case c14n10, c14n11:
		if comments {
			return dsig.MakeC14N10WithCommentsCanonicalizer(), true
		}
		return dsig.MakeC14N10RecCanonicalizer(), true
	case strings.TrimSuffix(exclusive, "#"):
		if comments {
			return dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList(prefixes), true
		}
		return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes), true
	}
	return nil, false
}

// check verifies one signature, which is child number at of the root.
func (s signedMessage) check(el *etree.Element, at int) capSignature {
	infos, values, keyInfos := signatureParts(el, "SignedInfo"), signatureParts(el, "SignatureValue"), signatureParts(el, "KeyInfo")
	if len(infos) != 1 || len(values) != 1 || len(keyInfos) > 1 {
		return badSignature("alert.seal_form")
	}
	brought, why := keysOf(keyInfos)
	if why != "" {
		return badSignature(why)
	}
	keys, strangers := s.trusted(brought)
	if len(keys) == 0 {
		return capSignature{state: emergency.SignatureUnknown, by: strangers, why: "alert.seal_unknown"}
	}
	value, err := strict64(values[0].Text(), maxSigned)
	if err != nil {
		return badSignature("alert.seal_signature")
	}
	info, signer, why := s.verifyInfo(infos[0], at, keys, value)
	if why != "" {
		return badSignature(why)
	}
	ref, why := s.reference(info)
	switch {
	case why != "":
		return badSignature(why)
	case signer == nil && strangers != "": // it may be by one of those
		return capSignature{state: emergency.SignatureUnknown, by: strangers, why: "alert.seal_unknown"}
	case signer == nil:
		return badSignature("alert.seal_signature")
	}
	tree, why := s.matchDigest(ref, at)
	if why != "" {
		return badSignature(why)
	}
	out := signer.judged
	sha1 := methods[attribute(info.kid("SignatureMethod"), "Algorithm")].hash == crypto.SHA1
	out.weak = sha1 || ref.hash == crypto.SHA1
	if out.state != emergency.SignatureBad {
		out.tree = tree
	}
	return out
}

// signatureParts returns the children of a signature that have the name.
func signatureParts(el *etree.Element, name string) []*etree.Element {
	return slices.DeleteFunc(el.ChildElements(), func(c *etree.Element) bool {
		return c.Tag != name || c.NamespaceURI() != signatureSpace
	})
}

// verifyInfo verifies the value of a signature over its SignedInfo. It returns the
// SignedInfo, read from the canonical bytes that were signed and not from the
// document, and the key that signed it, or nil if none of the keys did.
//
// Some issuers indent a message after they signed it. So if no key fits, it tries
// again without the blanks between elements.
func (s signedMessage) verifyInfo(el *etree.Element, at int, keys []key, value []byte) (info *node, signer *key, why string) {
	canonical, prefixes := "", ""
	if c := el.SelectElement("CanonicalizationMethod"); c != nil {
		canonical = c.SelectAttrValue("Algorithm", "")
		if k := c.SelectElement("InclusiveNamespaces"); k != nil {
			prefixes = k.SelectAttrValue("PrefixList", "")
		}
	}
	for _, blanks := range []bool{true, false} {
		if s.o.ended() {
			return nil, nil, "alert.seal_form"
		}
		text, why := s.canonicalInfo(canonical, prefixes, at, blanks)
		if why != "" {
			return nil, nil, why
		}
		var err error
		if info, err = readTree(text); err != nil {
			return nil, nil, "alert.seal_form"
		}
		m, known := methods[attribute(info.kid("SignatureMethod"), "Algorithm")]
		if !known {
			return nil, nil, "alert.seal_method"
		}
		if signer = verifyAny(keys, m, text, value); signer != nil {
			break
		}
	}
	return info, signer, ""
}

// canonicalInfo returns the SignedInfo of the signature at that place in canonical
// form, with or without the blanks between its elements.
func (s signedMessage) canonicalInfo(algorithm, prefixes string, at int, blanks bool) (text []byte, why string) {
	form, known := canonicalizer(algorithm, prefixes, true)
	if !known {
		return nil, "alert.seal_method"
	}
	// Canonicalizers change the element that they are given, and look for inherited
	// namespaces in its parents. So give them a part of a copy of the whole document.
	whole := s.doc.Copy().Root()
	info := signatureParts(whole.Child[at].(*etree.Element), "SignedInfo")[0]
	if !blanks {
		stripBlanks(info)
	}
	part, err := detach(info, algorithm)
	if err != nil {
		return nil, "alert.seal_form"
	}
	if text, err = form.Canonicalize(part); err != nil {
		return nil, "alert.seal_form"
	}
	return text, ""
}

// detach returns the element as its canonicalizer needs it. The exclusive one does not
// look at the parents, so it needs the namespaces that they declare on the element
// itself.
func detach(el *etree.Element, algorithm string) (*etree.Element, error) {
	if !strings.HasPrefix(algorithm, exclusive) {
		return el, nil
	}
	parents, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	return etreeutils.NSDetatch(parents, el)
}

// reference is the part of a SignedInfo that refers to the message: the digest that it
// must have, and the form in which it is digested.
type reference struct {
	hash           crypto.Hash
	want           []byte
	form, prefixes string
}

// reference finds the Reference to the message in a SignedInfo.
func (s signedMessage) reference(info *node) (r reference, why string) {
	root := s.doc.Root()
	var ref *node
	for _, candidate := range info.all("Reference") {
		uri, named := strings.CutPrefix(candidate.attr("URI"), "#")
		if !named && uri == "" || named && uri != "" && slices.Contains([]string{
			root.SelectAttrValue("ID", ""), root.SelectAttrValue("Id", ""), root.SelectAttrValue("id", ""), root.SelectAttrValue("xml:id", ""),
		}, uri) {
			ref = candidate
			break
		}
	}
	if ref == nil {
		return r, "alert.seal_reference"
	}
	r.form = c14n10
	known, cut := false, false
	if r.hash, known = digests[attribute(ref.kid("DigestMethod"), "Algorithm")]; !known {
		return r, "alert.seal_method"
	}
	var err error
	if r.want, err = strict64(ref.at("DigestValue"), maxSigned); err != nil {
		return r, "alert.seal_digest"
	}
	for _, t := range ref.kid("Transforms").all("Transform") {
		algorithm := t.attr("Algorithm")
		if algorithm == enveloped {
			cut = true
			continue
		}
		if _, known := canonicalizer(algorithm, "", false); !known {
			return r, "alert.seal_method"
		}
		r.form = algorithm
		if k := t.kid("InclusiveNamespaces"); k != nil {
			r.prefixes = k.attr("PrefixList")
		}
	}
	if !cut {
		return r, "alert.seal_reference" // without this transform the digest would cover the signature itself
	}
	return r, ""
}

// matchDigest returns the message in the form whose digest is that of the reference.
//
// By the standard, the digest leaves out this signature only, and covers the
// processing instructions before and after the root element. Some issuers that sign
// twice leave out all signatures, and some leave out the processing instructions. So
// matchDigest tries these forms one after another. Each of them covers every element
// of the message.
func (s signedMessage) matchDigest(r reference, at int) (tree *node, why string) {
	for _, v := range []struct{ all, blanks, beside bool }{
		{false, true, false}, {false, true, true}, {true, true, false}, {true, true, true}, {true, false, false},
	} {
		if v.all {
			at = -1
		}
		text, err := s.canonicalForm(r.form, r.prefixes, at, v.blanks)
		if errors.Is(err, errForms) {
			return nil, "alert.seal_many"
		}
		if err != nil {
			return nil, "alert.seal_form"
		}
		signed := text
		if v.beside {
			signed = s.withInstructions(text)
		}
		h := r.hash.New()
		h.Write(signed)
		if string(h.Sum(nil)) != string(r.want) {
			continue
		}
		if tree, err = readTree(text); err != nil {
			return nil, "alert.seal_form"
		}
		return tree, ""
	}
	return nil, "alert.seal_digest"
}

// maxForms is the largest number of canonical forms made of one message. They are most
// of the cost of checking it.
const maxForms = 6

var errForms = errors.New("more forms than anybody needs")

// canonicalForm returns the message in canonical form, without the signature at that
// place (-1: without any signature), with or without the blanks between elements, and
// without comments, which a reference with an empty URI never covers.
func (s signedMessage) canonicalForm(algorithm, prefixes string, at int, blanks bool) ([]byte, error) {
	if s.single {
		at = -1
	}
	key := fmt.Sprint(algorithm, " ", prefixes, " ", at, blanks)
	if done, ok := s.forms[key]; ok {
		return done, nil
	}
	if s.o.ended() {
		return nil, s.o.ctx.Err()
	}
	if len(s.forms) == maxForms {
		return nil, errForms
	}
	root := s.doc.Root().Copy()
	for i := len(root.Child) - 1; i >= 0; i-- {
		el, ok := root.Child[i].(*etree.Element)
		if ok && el.Tag == "Signature" && el.NamespaceURI() == signatureSpace && (at < 0 || i == at) {
			root.RemoveChildAt(i)
		}
	}
	if !blanks {
		stripBlanks(root)
	}
	c, _ := canonicalizer(algorithm, prefixes, false)
	out, err := c.Canonicalize(root)
	if err == nil {
		s.forms[key] = out
	}
	return out, err
}

// withInstructions adds the document's processing instructions before and after the
// root element.
func (s signedMessage) withInstructions(root []byte) []byte {
	var out bytes.Buffer
	before := true
	for _, child := range s.doc.Child {
		switch c := child.(type) {
		case *etree.Element:
			out.Write(root)
			before = false
		case *etree.ProcInst:
			text := "<?" + strings.TrimSpace(c.Target+" "+c.Inst) + "?>"
			if before {
				out.WriteString(text + "\n")
			} else {
				out.WriteString("\n" + text)
			}
		}
	}
	return out.Bytes()
}

// stripBlanks removes the blank text between elements, which only indents them.
func stripBlanks(el *etree.Element) {
	kids := el.ChildElements()
	if len(kids) == 0 {
		return
	}
	for i := len(el.Child) - 1; i >= 0; i-- {
		if text, ok := el.Child[i].(*etree.CharData); ok && strings.TrimSpace(text.Data) == "" {
			el.RemoveChildAt(i)
		}
	}
	for _, k := range kids {
		stripBlanks(k)
	}
}

// key is a public key that may have signed, with its certificate if there is one.
type key struct {
	public crypto.PublicKey
	cert   *x509.Certificate
	judged capSignature // the result if it did; see [signedMessage.judgeKey]
}

// keysOf returns the keys that a signature contains.
func keysOf(infos []*etree.Element) (keys []key, why string) {
	if len(infos) == 0 {
		return nil, ""
	}
	certs := infos[0].FindElements(".//X509Certificate")
	if len(certs) > maxCertificates {
		return nil, "alert.seal_certificate"
	}
	for _, c := range certs {
		der, err := strict64(c.Text(), maxCertificate)
		if err != nil {
			return nil, "alert.seal_certificate"
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil || !fits(cert.PublicKey) {
			return nil, "alert.seal_certificate"
		}
		keys = append(keys, key{public: cert.PublicKey, cert: cert})
	}
	if v := infos[0].FindElement(".//RSAKeyValue"); v != nil && len(keys) == 0 {
		public, ok := rsaKey(v)
		if !ok {
			return nil, "alert.seal_certificate"
		}
		keys = append(keys, key{public: public})
	}
	return keys, ""
}

// fits reports whether the key is neither too small to be trusted nor so large that
// verifying with it takes long.
func fits(public crypto.PublicKey) bool {
	k, ok := public.(*rsa.PublicKey)
	return !ok || k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA
}

// trusted returns those of the keys in a signature, or if it contains none, those of
// the anchors, whose signature would not be a stranger's. Only these are worth the time
// that it takes to verify the message. strangers names one of the others, if there are
// any.
func (s signedMessage) trusted(brought []key) (keys []key, strangers string) {
	all := brought
	if len(all) == 0 {
		for _, a := range s.o.Anchors {
			all = append(all, key{public: a.PublicKey, cert: a})
		}
	}
	for _, k := range all {
		k.judged = s.judgeKey(k, brought)
		switch {
		case k.judged.state != emergency.SignatureUnknown:
			keys = append(keys, k)
		case strangers == "":
			strangers = cmp.Or(k.judged.by, "RSA")
		}
	}
	return keys, strangers
}

// rsaKey reads an RSAKeyValue.
func rsaKey(v *etree.Element) (*rsa.PublicKey, bool) {
	var parts [2]*big.Int
	for i, name := range []string{"Modulus", "Exponent"} {
		el := v.SelectElement(name)
		if el == nil {
			return nil, false
		}
		b, err := strict64(el.Text(), maxSigned)
		if err != nil {
			return nil, false
		}
		parts[i] = new(big.Int).SetBytes(b)
	}
	if parts[1].BitLen() > 31 || parts[1].Int64() < 3 {
		return nil, false
	}
	public := &rsa.PublicKey{N: parts[0], E: int(parts[1].Int64())}
	return public, fits(public)
}

// verifyAny returns the key that made the signature, or nil if none of the keys did.
func verifyAny(keys []key, m method, signed, value []byte) *key {
	h := m.hash.New()
	h.Write(signed)
	sum := h.Sum(nil)
	for i, k := range keys {
		switch public := k.public.(type) {
		case *rsa.PublicKey:
			if !m.ecdsa && fits(public) && rsa.VerifyPKCS1v15(public, m.hash, sum, value) == nil {
				return &keys[i]
			}
		case *ecdsa.PublicKey:
			// XML-DSig has r and s one after the other, not in ASN.1.
			if half := len(value) / 2; m.ecdsa && half > 0 && len(value)%2 == 0 &&
				ecdsa.Verify(public, sum, new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])) {
				return &keys[i]
			}
		}
	}
	return nil
}

// judgeKey decides whether a key that signed is trusted: whether it is that of an
// anchor, or an anchor issued its certificate.
//
// The certificate, and those above it, must not have expired before the time at which
// the message says it was sent, nor before Now: an expired key may have been lost, and
// with it a message can be dated back. The certificate may begin after the message was
// sent, because some issuers sign on request with the certificate of the day, but not
// after Now.
func (s signedMessage) judgeKey(signer key, brought []key) capSignature {
	cert := signer.cert
	for _, a := range s.o.Anchors {
		if cert != nil && cert.Equal(a) || cert == nil && samePublic(signer.public, a.PublicKey) {
			return s.inTime(a)
		}
	}
	if cert == nil {
		return capSignature{state: emergency.SignatureUnknown, why: "alert.seal_unknown"}
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, a := range s.o.Anchors {
		roots.AddCert(a)
	}
	for _, k := range brought {
		if k.cert != nil {
			between.AddCert(k.cert)
		}
	}
	at := s.sent
	if at.Before(cert.NotBefore) {
		at = cert.NotBefore
	}
	if at.After(cert.NotAfter) {
		at = cert.NotAfter
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return capSignature{state: emergency.SignatureUnknown, by: nameOf(cert), why: "alert.seal_unknown"}
	}
	if !cert.NotAfter.Before(s.sent) && !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool { return !slices.ContainsFunc(chain, s.lapsed) }) {
		return capSignature{state: emergency.SignatureBad, by: nameOf(cert), why: "alert.seal_lapsed"}
	}
	return s.inTime(cert)
}

// lapsed reports whether a certificate has expired by now, as far as that is known.
func (s signedMessage) lapsed(cert *x509.Certificate) bool {
	return !s.o.Now.IsZero() && cert.NotAfter.Before(s.o.Now)
}

// inTime returns the result for a trusted certificate: verified, unless the certificate
// was not valid at the time.
func (s signedMessage) inTime(cert *x509.Certificate) capSignature {
	by := nameOf(cert)
	switch {
	case cert.NotAfter.Before(s.sent):
		return capSignature{state: emergency.SignatureBad, by: by, why: "alert.seal_expired"}
	case s.lapsed(cert):
		return capSignature{state: emergency.SignatureBad, by: by, why: "alert.seal_lapsed"}
	case !s.o.Now.IsZero() && cert.NotBefore.After(s.o.Now):
		return capSignature{state: emergency.SignatureBad, by: by, why: "alert.seal_early"}
	}
	return capSignature{state: emergency.SignatureVerified, by: by}
}

func nameOf(cert *x509.Certificate) string {
	return cmp.Or(cert.Subject.CommonName, cert.Subject.String())
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// strict64 reads base64 of at most limit bytes in which the unused bits of the last
// character are zero. If they are not, the text was changed after it was written.
func strict64(text string, limit int) ([]byte, error) {
	if len(text) > 4*limit { // more than its length in base64, and the blanks of any layout
		return nil, errLong
	}
	b, err := base64.StdEncoding.Strict().DecodeString(unspaced(text))
	if err == nil && len(b) > limit {
		err = errLong
	}
	return b, err
}

var errLong = errors.New("longer than any that is genuine")

// attribute is n.attr, or "" if n is nil.
func attribute(n *node, name string) string {
	if n == nil {
		return ""
	}
	return n.attr(name)
}
