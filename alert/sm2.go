package alert

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// EBD packages are signed with SM2 and SM3, over the bytes of the XML member and then a
// counter of four bytes. The sizes below were checked against real packages of a
// province; that the counter is big-endian is from memory [R].
const (
	certificateSize = 143
	certificateBody = 79 // the bytes that the authority signs
	signatureSize   = 4 + 6 + 64
)

var userID = []byte("1234567812345678")

// PublicKey is a point of the SM2 curve.
type PublicKey struct{ key *ecdsa.PublicKey }

// pkixHead and then the two coordinates are an SM2 key in the form of PKIX.
var pkixHead = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00, 0x04,
}

// ParsePublicKey reads a key: X and Y of 32 bytes each, or a PEM file.
func ParsePublicKey(b []byte) (PublicKey, error) {
	der := append(pkixHead[:len(pkixHead):len(pkixHead)], b...)
	if block, _ := pem.Decode(b); block != nil {
		der = block.Bytes
	} else if len(b) != 64 {
		return PublicKey{}, refuse(ErrInvalid, say.M("alert.key_form"))
	}
	parsed, err := smx509.ParsePKIXPublicKey(der) // it also checks that the point is on the curve
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || !sm2.IsSM2PublicKey(key) {
		return PublicKey{}, refuse(ErrInvalid, say.M("alert.key_form"))
	}
	return PublicKey{key}, nil
}

// Bytes returns X and Y, 32 bytes each.
func (p PublicKey) Bytes() []byte {
	der, err := smx509.MarshalPKIXPublicKey(p.key)
	if err != nil {
		panic(err) // a key that was parsed can be written
	}
	return der[len(der)-64:]
}

// fingerprint is that of the key, as in [emergency.Signature].
func (p PublicKey) fingerprint() string {
	sum := sha256.Sum256(p.Bytes())
	return hex.EncodeToString(sum[:16])
}

// verify reports whether r and s, 32 bytes each, are the key's signature of the bytes.
func (p PublicKey) verify(signed, rs []byte) bool {
	return p.key != nil && len(rs) == 64 &&
		sm2.VerifyWithSM2(p.key, userID, signed, new(big.Int).SetBytes(rs[:32]), new(big.Int).SetBytes(rs[32:]))
}

// Certificate is the certificate of an EBD sender. Of its 143 bytes, 7 to 12 are the
// serial number, 15 to 78 the key, and 79 to the end the authority's signature over
// all bytes before it.
type Certificate struct {
	Serial [6]byte
	Key    PublicKey
	raw    [certificateSize]byte
}

// ParseCertificate reads a certificate as raw bytes, in hex, in base64 or in PEM.
func ParseCertificate(b []byte) (Certificate, error) {
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	if len(b) != certificateSize {
		text := unspaced(string(b[:min(len(b), 4096)]))
		if raw, err := hex.DecodeString(text); err == nil {
			b = raw
		} else if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			b = raw
		}
	}
	if len(b) != certificateSize {
		return Certificate{}, refuse(ErrInvalid, say.M("alert.certificate_size", len(b), certificateSize))
	}
	key, err := ParsePublicKey(b[15:79])
	if err != nil {
		return Certificate{}, err
	}
	c := Certificate{Key: key, Serial: [6]byte(b[7:13])}
	copy(c.raw[:], b)
	return c, nil
}

// Bytes returns the certificate's 143 bytes.
func (c Certificate) Bytes() []byte { return c.raw[:] }

// Name returns the serial number in hex, as in [emergency.Signature].
func (c Certificate) Name() string { return hex.EncodeToString(c.Serial[:]) }

// SignedBy reports whether an authority signed the certificate.
func (c Certificate) SignedBy(authority PublicKey) bool {
	return authority.verify(c.raw[:certificateBody], c.raw[certificateBody:])
}

// Signer signs packages.
type Signer struct {
	key    *sm2.PrivateKey
	serial [6]byte
	Issuer string // IssuerID, if the receiver wants one
}

// NewSigner reads a private key in PEM (PKCS #8 or SEC 1). serial is the number of its
// certificate.
func NewSigner(key []byte, serial [6]byte) (*Signer, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, refuse(ErrInvalid, say.M("alert.key_form"))
	}
	if parsed, err := smx509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if private, ok := parsed.(*sm2.PrivateKey); ok {
			return &Signer{key: private, serial: serial}, nil
		}
	}
	private, err := smx509.ParseSM2PrivateKey(block.Bytes)
	if err != nil {
		return nil, refuse(ErrInvalid, say.M("alert.key_form"))
	}
	return &Signer{key: private, serial: serial}, nil
}

// Public returns the key that verifies the signer's signatures.
func (s *Signer) Public() PublicKey { return PublicKey{&s.key.PublicKey} }

// Issue makes a certificate for a key, signed by the signer as its authority. The
// meaning of the first seven bytes and of the two before the key is not known; they are
// zero here [R].
func (s *Signer) Issue(serial [6]byte, key PublicKey) (Certificate, error) {
	b := make([]byte, certificateBody, certificateSize)
	copy(b[7:], serial[:])
	copy(b[15:], key.Bytes())
	rs, err := s.rs(b)
	if err != nil {
		return Certificate{}, err
	}
	return ParseCertificate(append(b, rs...))
}

// rs signs a message and returns r and s, 32 bytes each.
func (s *Signer) rs(message []byte) ([]byte, error) {
	der, err := s.key.SignWithSM2(rand.Reader, userID, message)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	pair.R.FillBytes(out[:32])
	pair.S.FillBytes(out[32:])
	return out, nil
}

// ebdSignature is the XML of an EBDS member, which holds a signature.
type ebdSignature struct {
	XMLName    xml.Name `xml:"Signature"`
	Version    string   `xml:"Version"`
	EBDID      string   `xml:"RelatedEBD>EBDID"`
	CertType   string   `xml:"SignatureCert>CertType"`
	IssuerID   string   `xml:"SignatureCert>IssuerID"`
	CertSN     string   `xml:"SignatureCert>CertSN"`
	Time       string   `xml:"SignatureTime"`
	DigestAlg  string   `xml:"DigestAlgorithm"`
	SignAlg    string   `xml:"SignatureAlgorithm"`
	SignedText string   `xml:"SignatureValue"`
}

// Sign signs the body of a package, and returns the content of the EBDS member
// that holds the signature. The counter must be higher than all that were used with
// the signer's certificate before.
func (s *Signer) Sign(body []byte, ebdID string, at time.Time, counter uint32) ([]byte, error) {
	count := binary.BigEndian.AppendUint32(nil, counter)
	rs, err := s.rs(append(body[:len(body):len(body)], count...))
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", ebdID, err)
	}
	value := append(append(count, s.serial[:]...), rs...)
	return marshal(ebdSignature{
		Version: "1.0", EBDID: ebdID, CertType: "01", IssuerID: s.Issuer, CertSN: hex.EncodeToString(s.serial[:]),
		Time: chinaTime(at), DigestAlg: "SM3", SignAlg: "SM2", SignedText: base64.StdEncoding.EncodeToString(value),
	})
}

// checkEBDSignature verifies the signature in an EBDS member over a body.
func checkEBDSignature(body, member []byte, ebdID string, o Options, r *report) emergency.Signature {
	bad := func(why string) emergency.Signature {
		return emergency.Signature{State: emergency.SignatureBad, Why: why}
	}
	var own report
	doc, err := readXML(member, &own)
	if err != nil {
		if nul.Match(member) {
			return bad("alert.ebds_nul")
		}
		return bad("alert.ebds_form")
	}
	n := doc.root
	if n.name != "Signature" {
		return bad("alert.ebds_form")
	}
	switch about := n.at("RelatedEBD", "EBDID"); about {
	case ebdID:
	case "":
		r.warn("alert.ebds_unrelated")
	default:
		return bad("alert.ebds_other")
	}
	value, err := strict64(n.at("SignatureValue"), maxSigned)
	if err != nil || len(value) != signatureSize {
		return bad("alert.ebds_value")
	}
	count, serial, rs := value[:4], [6]byte(value[4:10]), value[10:]
	out := emergency.Signature{
		State: emergency.SignatureUnknown, By: hex.EncodeToString(serial[:]),
		Counter: binary.BigEndian.Uint32(count), Why: "alert.ebds_unknown",
	}
	signed := append(body[:len(body):len(body)], count...)
	for _, c := range o.Certificates {
		if c.Serial != serial {
			continue
		}
		if !c.trustedBy(o.Authorities) {
			out.State, out.Why = emergency.SignatureBad, "alert.ebds_authority"
			continue
		}
		if c.Key.verify(signed, rs) {
			out.State, out.Why, out.Key = emergency.SignatureVerified, "", c.Key.fingerprint()
			return out
		}
		out.State, out.Why = emergency.SignatureBad, "alert.ebds_signature"
	}
	return out
}

// trustedBy reports whether one of the authorities signed the certificate, or there
// are none.
func (c Certificate) trustedBy(authorities []PublicKey) bool {
	for _, a := range authorities {
		if c.SignedBy(a) {
			return true
		}
	}
	return len(authorities) == 0
}
