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

// How a message was sealed, in XML's own way (XML-DSig, enveloped).
//
// The canonical forms are goxmldsig's. The rest of the way is ours, because
// what issuers do is not what it knows: several signatures beside each other,
// bare RSA keys, ECDSA as XML writes it, seals put on before the message was
// indented. Whatever was verified is kept as the bytes that the digest is of,
// and only those are read on: an element that was moved, wrapped or added says
// nothing.
//
// SHA-1 is accepted and noted. Forging a message that exists needs a second
// preimage, which nobody has; collisions help only whoever has the issuer
// sign what he wrote himself.

// maxSeals bounds the signatures of one message that are looked at.
const maxSeals = 4

// seal is what one signature came to.
type seal struct {
	state emergency.SignatureState
	why   string // a key of the catalogue
	by    string
	weak  bool
	tree  *node // what was verified, where the digest holds
}

func broken(why string) seal { return seal{state: emergency.SignatureBad, why: why} }

// checkSeal looks at a message's signatures. The tree it answers is what the
// one that counts was put under, nil where none holds.
func checkSeal(doc document, sent time.Time, o Options, r *report) (emergency.Signature, *node) {
	n := 0
	for _, k := range doc.root.kids {
		if k.space == signatureSpace && k.name == "Signature" {
			n++
		}
	}
	switch {
	case n == 0:
		return emergency.Signature{State: emergency.SignatureAbsent}, nil
	case n > maxSeals:
		return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_many"}, nil
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc.utf8); err != nil || tree.Root() == nil {
		return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_form"}, nil
	}
	s := sealed{doc: tree, sent: sent, o: o, single: n == 1, forms: map[string][]byte{}}
	var seals []seal
	for i, child := range tree.Root().Child {
		if el, ok := child.(*etree.Element); ok && el.Tag == "Signature" && el.NamespaceURI() == signatureSpace {
			seals = append(seals, s.check(el, i))
		}
	}
	// One that is verified is enough: each of them covers the whole message.
	for _, state := range []emergency.SignatureState{emergency.SignatureVerified, emergency.SignatureBad, emergency.SignatureUnknown} {
		if i := slices.IndexFunc(seals, func(s seal) bool { return s.state == state }); i >= 0 {
			if seals[i].weak {
				r.note("alert.seal_sha1")
			}
			return emergency.Signature{State: state, By: seals[i].by, Why: seals[i].why}, seals[i].tree
		}
	}
	return emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_form"}, nil
}

// sealed is a message with its signatures.
type sealed struct {
	doc  *etree.Document
	sent time.Time
	o    Options

	single bool              // there is one signature
	forms  map[string][]byte // canonical forms made so far
}

// method is a way to sign or to digest.
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

// canonicalizer knows the canonical forms. 1.1 is 1.0 but for xml:id and
// xml:base, which no CAP message has; goxmldsig's 1.0 also sees the namespaces
// that an element inherits, which its 1.1 does not.
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

// check looks at one signature, the root's child number at.
func (s sealed) check(el *etree.Element, at int) seal {
	part := func(name string) []*etree.Element {
		return slices.DeleteFunc(el.ChildElements(), func(c *etree.Element) bool {
			return c.Tag != name || c.NamespaceURI() != signatureSpace
		})
	}
	infos, values, keyInfos := part("SignedInfo"), part("SignatureValue"), part("KeyInfo")
	if len(infos) != 1 || len(values) != 1 || len(keyInfos) > 1 {
		return broken("alert.seal_form")
	}
	keys, why := s.keys(keyInfos)
	if why != "" {
		return broken(why)
	}
	value, err := strict64(values[0].Text())
	if err != nil {
		return broken("alert.seal_signature")
	}

	// What was signed is read from the canonical bytes, not beside them. Some
	// issuers indent a message after they signed it: then it holds without the
	// blanks.
	canonical, prefixes := "", ""
	if c := infos[0].SelectElement("CanonicalizationMethod"); c != nil {
		canonical = c.SelectAttrValue("Algorithm", "")
		if k := c.SelectElement("InclusiveNamespaces"); k != nil {
			prefixes = k.SelectAttrValue("PrefixList", "")
		}
	}
	var signer *key
	var info *node
	for _, blanks := range []bool{true, false} {
		form, known := canonicalizer(canonical, prefixes, true)
		if !known {
			return broken("alert.seal_method")
		}
		// Canonicalizers change what they are given, and find inherited
		// namespaces through the parents: work on a whole copy.
		whole := s.doc.Copy().Root()
		copied := whole.Child[at].(*etree.Element).ChildElements()
		i := slices.IndexFunc(copied, func(c *etree.Element) bool {
			return c.Tag == "SignedInfo" && c.NamespaceURI() == signatureSpace
		})
		if !blanks {
			stripBlanks(copied[i])
		}
		part, err := detached(copied[i], canonical)
		if err != nil {
			return broken("alert.seal_form")
		}
		text, err := form.Canonicalize(part)
		if err != nil {
			return broken("alert.seal_form")
		}
		if info, err = readTree(text); err != nil {
			return broken("alert.seal_form")
		}
		m, known := methods[attribute(info.kid("SignatureMethod"), "Algorithm")]
		if !known {
			return broken("alert.seal_method")
		}
		if signer = verifyAny(keys, m, text, value); signer != nil {
			break
		}
	}
	ref, refWhy := s.reference(info)
	switch {
	case refWhy != "":
		return broken(refWhy)
	case signer == nil && len(keys) > 0:
		return broken("alert.seal_signature")
	}
	tree, why := s.verified(ref, at)
	if why != "" {
		return broken(why)
	}
	out := seal{state: emergency.SignatureUnknown, why: "alert.seal_no_key"}
	if signer != nil {
		out = s.vouch(*signer, keys)
	}
	sha1 := methods[attribute(info.kid("SignatureMethod"), "Algorithm")].hash == crypto.SHA1
	out.weak = sha1 || ref.hash == crypto.SHA1
	if out.state != emergency.SignatureBad {
		out.tree = tree
	}
	return out
}

// detached is an element as its canonicalizer wants it: the exclusive one looks
// at no parents, and wants what they declare on the element itself.
func detached(el *etree.Element, algorithm string) (*etree.Element, error) {
	if !strings.HasPrefix(algorithm, exclusive) {
		return el, nil
	}
	parents, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	return etreeutils.NSDetatch(parents, el)
}

// reference is what a signature says it is of.
type reference struct {
	hash           crypto.Hash
	want           []byte
	form, prefixes string
}

// reference finds the signed reference to the message.
func (s sealed) reference(info *node) (r reference, why string) {
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
	if r.want, err = strict64(ref.at("DigestValue")); err != nil {
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
		return r, "alert.seal_reference" // it would cover itself
	}
	return r, ""
}

// verified is the message as a reference's digest has it.
//
// By the standard only the signature itself is left out, and the instructions
// beside the root are in. Issuers who sign twice leave out all signatures;
// others never sign what stands beside the root. All of these cover every
// element of the message.
func (s sealed) verified(r reference, at int) (tree *node, why string) {
	for _, v := range []struct{ all, blanks, beside bool }{
		{false, true, false}, {false, true, true}, {true, true, false}, {true, true, true}, {true, false, false},
	} {
		if v.all {
			at = -1
		}
		text, err := s.form(r.form, r.prefixes, at, v.blanks)
		if errors.Is(err, errForms) {
			return nil, "alert.seal_many"
		}
		if err != nil {
			return nil, "alert.seal_form"
		}
		signed := text
		if v.beside {
			signed = s.beside(text)
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

// maxForms bounds the canonical forms made of one message, which is what
// checking it costs.
const maxForms = 6

var errForms = errors.New("more forms than anybody needs")

// form is the message in canonical form, without the signature at that place (-1:
// without any), with or without the blanks between elements. Comments are never
// part of what an empty URI refers to.
func (s sealed) form(algorithm, prefixes string, at int, blanks bool) ([]byte, error) {
	if s.single {
		at = -1
	}
	key := fmt.Sprint(algorithm, " ", prefixes, " ", at, blanks)
	if done, ok := s.forms[key]; ok {
		return done, nil
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

// beside puts the instructions that stand beside the root round it.
func (s sealed) beside(root []byte) []byte {
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

// stripBlanks takes out what only indents: blank text beside elements.
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

// key is a public key that may have signed, with its certificate if one came.
type key struct {
	public crypto.PublicKey
	cert   *x509.Certificate
}

// keys are those that the signature brings; where it brings none, the anchors'.
func (s sealed) keys(infos []*etree.Element) (keys []key, why string) {
	if len(infos) == 1 {
		for _, c := range infos[0].FindElements(".//X509Certificate") {
			der, err := strict64(c.Text())
			if err != nil {
				return nil, "alert.seal_certificate"
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, "alert.seal_certificate"
			}
			keys = append(keys, key{cert.PublicKey, cert})
			if len(keys) > 8 {
				return nil, "alert.seal_certificate"
			}
		}
		if v := infos[0].FindElement(".//RSAKeyValue"); v != nil && len(keys) == 0 {
			public, ok := rsaKey(v)
			if !ok {
				return nil, "alert.seal_certificate"
			}
			keys = append(keys, key{public: public})
		}
	}
	if len(keys) == 0 {
		for _, a := range s.o.Anchors {
			keys = append(keys, key{a.PublicKey, a})
		}
	}
	return keys, ""
}

func rsaKey(v *etree.Element) (*rsa.PublicKey, bool) {
	var parts [2]*big.Int
	for i, name := range []string{"Modulus", "Exponent"} {
		el := v.SelectElement(name)
		if el == nil {
			return nil, false
		}
		b, err := strict64(el.Text())
		if err != nil || len(b) > 1024 {
			return nil, false
		}
		parts[i] = new(big.Int).SetBytes(b)
	}
	if parts[0].BitLen() < 1024 || parts[1].BitLen() > 31 || parts[1].Int64() < 3 {
		return nil, false
	}
	return &rsa.PublicKey{N: parts[0], E: int(parts[1].Int64())}, true
}

// verifyAny is the key that made the signature, nil if none did.
func verifyAny(keys []key, m method, signed, value []byte) *key {
	h := m.hash.New()
	h.Write(signed)
	sum := h.Sum(nil)
	for i, k := range keys {
		switch public := k.public.(type) {
		case *rsa.PublicKey:
			if !m.ecdsa && public.N.BitLen() <= 8192 && rsa.VerifyPKCS1v15(public, m.hash, sum, value) == nil {
				return &keys[i]
			}
		case *ecdsa.PublicKey:
			// XML writes r and s one after the other, not in ASN.1.
			if half := len(value) / 2; m.ecdsa && half > 0 && len(value)%2 == 0 &&
				ecdsa.Verify(public, sum, new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])) {
				return &keys[i]
			}
		}
	}
	return nil
}

// vouch says whether anybody here vouches for a key that signed.
//
// The certificate must not have ended before the message says it was sent:
// whoever has an old key could else date a message back, and one dated back far
// has expired. It may have begun after it was sent, as with issuers that seal
// on request with the certificate of the day, but not after Now.
func (s sealed) vouch(signer key, brought []key) seal {
	cert := signer.cert
	for _, a := range s.o.Anchors {
		if cert != nil && cert.Equal(a) || cert == nil && samePublic(signer.public, a.PublicKey) {
			return s.inTime(a)
		}
	}
	if cert == nil {
		return seal{state: emergency.SignatureUnknown, why: "alert.seal_unknown"}
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
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return seal{state: emergency.SignatureUnknown, by: nameOf(cert), why: "alert.seal_unknown"}
	}
	return s.inTime(cert)
}

func (s sealed) inTime(cert *x509.Certificate) seal {
	by := nameOf(cert)
	switch {
	case cert.NotAfter.Before(s.sent):
		return seal{state: emergency.SignatureBad, by: by, why: "alert.seal_expired"}
	case !s.o.Now.IsZero() && cert.NotBefore.After(s.o.Now):
		return seal{state: emergency.SignatureBad, by: by, why: "alert.seal_early"}
	}
	return seal{state: emergency.SignatureVerified, by: by}
}

func nameOf(cert *x509.Certificate) string {
	return cmp.Or(cert.Subject.CommonName, cert.Subject.String())
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// strict64 reads base64 that could be written in no other way: a last character
// with bits to spare is a change that someone made.
func strict64(text string) ([]byte, error) {
	return base64.StdEncoding.Strict().DecodeString(unspaced(text))
}

func attribute(n *node, name string) string {
	if n == nil {
		return ""
	}
	return n.attr(name)
}
