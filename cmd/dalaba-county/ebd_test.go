package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/alert"
	"dalaba/playlist/emergency"
)

// newSM2 writes a private key as its owner keeps it.
func newSM2(t *testing.T, path string) []byte {
	t.Helper()
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return text
}

// conf writes a config with what is to stand in its [ebd].
func conf(t *testing.T, dir, ebd string) string {
	t.Helper()
	path := filepath.Join(dir, "county.toml")
	text := fmt.Sprintf("[county]\nname = \"舒城县融媒体中心\"\narea = \"341523000000\"\ndata_dir = \"data\"\n"+
		"[http]\nlisten = \"127.0.0.1:0\"\n[nats]\nlisten = \"127.0.0.1:0\"\n[ebd]\n%s\n", ebd)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEBDAnswersAreSignedByTheKeyOfTheConfig(t *testing.T) {
	dir := t.TempDir()
	serial := [6]byte{1, 2, 3, 4, 5, 0xab}
	signer, err := alert.NewSigner(newSM2(t, filepath.Join(dir, "ebd.pem")), serial)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := signer.Issue(serial, signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"-c", conf(t, dir, "key = \"ebd.pem\"\nserial = \"0102030405ab\""), "serve"}, strings.NewReader(""), out, t.Output())
		_ = out.Close()
	}()
	defer func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("it ended with %d", code)
		}
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`https://[^\s　]+`).FindString(line)
	ca, err := os.ReadFile(filepath.Join(dir, "data", "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	last := uint32(0)
	for range 2 {
		resp, err := client.Post(url+"/ebd", "application/x-tar", strings.NewReader("no package at all"))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		m, err := alert.Parse(t.Context(), raw, alert.Options{Certificates: []alert.Certificate{cert}})
		if err != nil || m.Kind != alert.KindResponse {
			t.Fatalf("%s, %v", m.Kind, err)
		}
		s := m.Alert.Signature
		if s.State != emergency.SignatureVerified || s.By != cert.Name() || s.Counter <= last {
			t.Errorf("signature %+v after counter %d", s, last)
		}
		last = s.Counter
	}
}

func TestTheKeyOfTheConfigIsLookedAtWithCare(t *testing.T) {
	dir := t.TempDir()
	newSM2(t, filepath.Join(dir, "good.pem"))
	newSM2(t, filepath.Join(dir, "open.pem"))
	if err := os.Chmod(filepath.Join(dir, "open.pem"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other.pem"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	const serial = "serial = \"0102030405ab\""
	for _, c := range []struct{ name, ebd, says string }{
		{"good", "key = \"good.pem\"\n" + serial, ""},
		{"a key alone", "key = \"good.pem\"", `county.toml:10: ebd.key: a signature needs its key and the serial number`},
		{"a serial number alone", serial, `county.toml:9: ebd.key: a signature needs its key and the serial number`},
		{"no serial number", "key = \"good.pem\"\nserial = \"12345\"", `county.toml:11: ebd.serial: "12345" is no serial number.*12 hexadecimal digits`},
		{"a longer one", "key = \"good.pem\"\nserial = \"0102030405abcd\"", `county.toml:11: ebd.serial: "0102030405abcd" is no serial number`},
		{"absent", "key = \"absent.pem\"\n" + serial, `county.toml:10: ebd.key: the file .*absent.pem cannot be used`},
		{"a folder", "key = \"folder\"\n" + serial, `county.toml:10: ebd.key: .*folder is no regular file`},
		{"others may read it", "key = \"open.pem\"\n" + serial, `county.toml:10: ebd.key: other users can read or change the file .*open.pem .*mode 0640.*chmod 600`},
		{"no key in it", "key = \"other.pem\"\n" + serial, `ebd.key: .*other.pem: holds no SM2 private key`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errOut strings.Builder
			code := run(t.Context(), []string{"--lang", "en", "-c", conf(t, dir, c.ebd), "check"}, strings.NewReader(""), &out, &errOut)
			if (code == 0) != (c.says == "") || !regexp.MustCompile(c.says).MatchString(errOut.String()) {
				t.Errorf("code %d: %s", code, errOut.String())
			}
		})
	}
}
