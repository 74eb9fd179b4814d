package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// shake has a client with a certificate call a server that wants one of an authority.
func shake(t *testing.T, server, client tls.Certificate, roots *x509.CertPool) error {
	t.Helper()
	a, b := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
		err := s.Handshake()
		ended <- err
		_ = a.Close() // the client reads on until then
	}()
	c := tls.Client(b, &tls.Config{Certificates: []tls.Certificate{client}, RootCAs: roots, ServerName: "county.example"})
	if err := c.Handshake(); err == nil {
		_, _ = c.Read(make([]byte, 1))
	}
	_ = b.Close()
	return <-ended
}

func TestTheCountysCertificateIsForServersOnly(t *testing.T) {
	s := &settings{}
	s.County.Name, s.County.DataDir = "舒城县融媒体中心", t.TempDir()
	now := time.Now()
	own := filepath.Join(s.County.DataDir, "tls")
	names := []string{"county.example"}

	// As earlier programs made it: good for clients, too.
	old, err := issueCert(s, own, names, member, now)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := loadPair(old.cert, old.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(old.ca))
	if err := shake(t, stolen, stolen, roots); err != nil {
		t.Fatalf("the earlier certificate was no client's: %v", err)
	}

	c, err := ensureCerts(s, names, now)
	if err != nil {
		t.Fatal(err)
	}
	if c.ca != old.ca {
		t.Error("the authority changed: controllers know the county no more")
	}
	pair, err := loadPair(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(pair.Leaf.ExtKeyUsage, serverOnly) || pair.Leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("it is for %v, %v", pair.Leaf.ExtKeyUsage, pair.Leaf.KeyUsage)
	}
	if err := shake(t, pair, pair, roots); err == nil {
		t.Error("the server's certificate passed as a client's")
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "county.example", Roots: roots}); err != nil {
		t.Errorf("a controller does not believe it: %v", err)
	}
	before, err := os.ReadFile(c.cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ensureCerts(s, names, now); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(c.cert); err != nil || !slices.Equal(before, after) {
		t.Errorf("a good certificate was made again, %v", err)
	}
}

// The authority vouches for servers, and for no other authority.
func TestTheAuthorityMakesNoAuthorities(t *testing.T) {
	s := &settings{}
	s.County.Name, s.County.DataDir = "舒城县融媒体中心", t.TempDir()
	if _, err := ensureCerts(s, []string{"county.example"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	ca, key, text, err := authority(filepath.Join(s.County.DataDir, "tls"), s.County.Name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || ca.MaxPathLen != 0 || !ca.MaxPathLenZero || ca.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the authority may %v, chains of %d", ca.KeyUsage, ca.MaxPathLen)
	}
	sign := func(t1, by *x509.Certificate, with *ecdsa.PrivateKey) *x509.Certificate {
		t.Helper()
		der, err := x509.CreateCertificate(rand.Reader, t1, by, &key.PublicKey, with)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	between := template("between", time.Now(), serverLife)
	between.IsCA, between.KeyUsage = true, x509.KeyUsageCertSign
	between = sign(between, ca, key)
	leaf := template("leaf", time.Now(), serverLife)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{"county.example"}, serverOnly
	leaf = sign(leaf, between, key)
	roots, chain := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	chain.AddCert(between)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "county.example", Roots: roots, Intermediates: chain}); err == nil {
		t.Error("a certificate by way of another authority is believed")
	}
}
