package site_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/alert"
	"dalaba/controller/site"
	"dalaba/playlist/config"
)

func TestOneBrokenFileDoesNotSilenceTheOtherSenders(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, raw []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "气象局"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := smx509.MarshalSM2PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := alert.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text}), [6]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue([6]byte{2}, ca.Public())
	if err != nil {
		t.Fatal(err)
	}
	anchor, sender := put("anchor.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), put("sender.cer", cert.Bytes())
	authority, broken := put("ca.key", ca.Public().Bytes()), put("broken", []byte("x"))
	for _, c := range []struct {
		name                              string
		alert                             config.Alert
		anchors, certificates, faultsWant int
	}{
		{"all are good", config.Alert{Anchors: []string{anchor}, EBD: []string{sender}, EBDCA: []string{authority}}, 1, 1, 0},
		{"a broken anchor", config.Alert{Anchors: []string{broken, anchor}, EBD: []string{sender}}, 1, 1, 1},
		{"a broken certificate", config.Alert{Anchors: []string{anchor}, EBD: []string{broken, sender}}, 1, 1, 1},
		{"the only authority is broken: no certificate is vouched for", config.Alert{Anchors: []string{anchor}, EBD: []string{sender}, EBDCA: []string{broken}}, 1, 0, 1},
		{"one of two authorities is broken", config.Alert{EBD: []string{sender}, EBDCA: []string{broken, authority}}, 0, 1, 1},
	} {
		o, faults := site.Senders(c.alert)
		if len(o.Anchors) != c.anchors || len(o.Certificates) != c.certificates || len(faults) != c.faultsWant {
			t.Errorf("%s: %d anchors, %d certificates, faults %v", c.name, len(o.Anchors), len(o.Certificates), faults)
		}
	}
	if site.CheckSender("ebd", broken) == nil || site.CheckSender("ebd", sender) != nil || site.CheckSender("drop", broken) != nil {
		t.Error("a broken certificate is good, or a good one is broken")
	}
}
