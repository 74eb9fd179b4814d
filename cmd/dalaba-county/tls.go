package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalaba/data/secret"
)

// certs is the certificate of the server, and of the authority that signed it.
type certs struct {
	cert, key string // files, PEM
	ca        string // PEM; empty: the system's
	caFile    string // file of that
}

const (
	caLife     = 20 * 365 * 24 * time.Hour
	serverLife = 825 * 24 * time.Hour
	renewAhead = 90 * 24 * time.Hour
)

// ensureCerts returns the operator's certificates, or makes an authority of the
// county's own and a certificate for the names. The certificate is made again if
// a name is new, it soon expires or it is good for more than servers; the authority stays, for controllers know
// it.
func ensureCerts(s *settings, names []string, now time.Time) (certs, error) {
	if s.HTTP.Cert != "" {
		c := certs{cert: s.HTTP.Cert, key: s.HTTP.Key}
		if s.HTTP.CA != "" {
			text, err := os.ReadFile(s.HTTP.CA)
			if err != nil {
				return c, err
			}
			c.ca = string(text)
		}
		_, err := loadPair(c.cert, c.key)
		return c, err
	}
	return issueCert(s, filepath.Join(s.County.DataDir, "tls"), names, serverOnly, now)
}

// What a certificate is good for. The brokers of a cluster call each other, and accept
// every certificate of the county's authority that is for clients as one of them.
var (
	serverOnly = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	member     = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// issueCert makes a certificate for the names in dir, by the county's own
// authority, unless a good one is there.
func issueCert(s *settings, dir string, names []string, uses []x509.ExtKeyUsage, now time.Time) (certs, error) {
	own := filepath.Join(s.County.DataDir, "tls")
	for _, d := range []string{own, dir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return certs{}, err
		}
	}
	ca, caKey, caPEM, err := authority(own, s.County.Name, now)
	if err != nil {
		return certs{}, err
	}
	c := certs{cert: filepath.Join(dir, "server.pem"), key: filepath.Join(dir, "server.key"), ca: caPEM, caFile: filepath.Join(own, "ca.pem")}
	if dir != own {
		c.caFile = filepath.Join(dir, "ca.pem")
		if err := secret.Write(c.caFile, []byte(caPEM)); err != nil {
			return c, err
		}
	}
	if good(c, ca, names, uses, now) {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	t := template(s.County.Name, now, serverLife)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = uses
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, &key.PublicKey, caKey)
	if err != nil {
		return c, err
	}
	if err := writeKey(c.key, key); err != nil {
		return c, err
	}
	return c, secret.Write(c.cert, append(encodePEM("CERTIFICATE", der), []byte(caPEM)...))
}

// loadPair reads a certificate and its key, which is a secret.
func loadPair(cert, key string) (tls.Certificate, error) {
	public, err := os.ReadFile(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := secret.Read(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(public, private)
}

func good(c certs, ca *x509.Certificate, names []string, uses []x509.ExtKeyUsage, now time.Time) bool {
	pair, err := loadPair(c.cert, c.key)
	if err != nil || pair.Leaf == nil || pair.Leaf.CheckSignatureFrom(ca) != nil || now.Add(renewAhead).After(pair.Leaf.NotAfter) {
		return false
	}
	if !slices.Equal(pair.Leaf.ExtKeyUsage, uses) || len(pair.Leaf.UnknownExtKeyUsage) > 0 {
		return false
	}
	return !slices.ContainsFunc(names, func(n string) bool { return pair.Leaf.VerifyHostname(n) != nil })
}

func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // it never fails
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		// A controller's clock may be behind by a day and still has to get in.
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(life),
	}
}

func authority(dir, name string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, string, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	text, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, "", err
		}
		t := template(name+" CA", now, caLife)
		t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign // it signs servers, and no other authority
		der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
		if err != nil {
			return nil, nil, "", err
		}
		if err := writeKey(keyFile, key); err != nil {
			return nil, nil, "", err
		}
		text = encodePEM("CERTIFICATE", der)
		if err := secret.Write(certFile, text); err != nil {
			return nil, nil, "", err
		}
	} else if err != nil {
		return nil, nil, "", err
	}
	pair, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, nil, "", err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, "", fmt.Errorf("%s: not a key of ours", keyFile)
	}
	return pair.Leaf, key, string(text), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return secret.Write(path, encodePEM("PRIVATE KEY", der))
}
