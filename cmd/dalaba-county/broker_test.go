package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dalaba/cmd/cli"
	"dalaba/link"
)

// Controllers believe who vouches for the county, and nobody else: where the
// operator brought certificates, a broker beside it must show them too.
func TestABrokerBesideTheCountyShowsWhatControllersBelieve(t *testing.T) {
	for _, c := range []struct {
		name  string
		names []string // of the operator's certificate; nil: none
		args  []string
		host  string // that it is dialled by; empty: refused
	}{
		{"the county's own authority", nil, []string{"--name", "n1", "--also", "n1.example"}, "n1.example"},
		{"the operator's certificate", []string{"county.example", "*.example"}, []string{"--name", "n1.example"}, "n1.example"},
		{"dialled by other names than its own", []string{"n1.example", "127.0.0.1"}, []string{"--name", "n1", "--also", "n1.example,127.0.0.1"}, "127.0.0.1"},
		{"not of its name", []string{"county.example"}, []string{"--name", "n1.example"}, ""},
		{"not of each name", []string{"n1.example"}, []string{"--name", "n1", "--also", "n1.example,n1.elsewhere"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			text := "[county]\nname = \"舒城县融媒体中心\"\narea = \"341523000000\"\ndata_dir = \"data\"\n[http]\n"
			if c.names != nil {
				operator := &settings{}
				operator.County.DataDir = filepath.Join(dir, "operator")
				crt, err := issueCert(operator, filepath.Join(dir, "operator", "tls"), c.names, serverOnly, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				text += fmt.Sprintf("cert = %q\nkey = %q\nca = %q\n", crt.cert, crt.key, crt.caFile)
			}
			config := filepath.Join(dir, "county.toml")
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, problems := readSettings(config, []byte(text))
			if s == nil {
				t.Fatal(problems)
			}
			s.County.DataDir = filepath.Join(dir, "data")
			if err := os.MkdirAll(keysDir(s), 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := readAuthority(s); err != nil {
				t.Fatal(err)
			}
			d := filepath.Join(dir, "n1")
			var out, errOut bytes.Buffer
			args := append([]string{"--lang", "en", "-c", config, "broker", d, "--cluster", "127.0.0.1:6222", "--route", "tls://n2.example:6222"}, c.args...)
			code := run(t.Context(), args, strings.NewReader(""), &out, &errOut)
			if c.host == "" {
				_, err := os.Stat(filepath.Join(d, "nats.conf"))
				if code != cli.ExitRefused || !strings.Contains(errOut.String(), "is not for n1.e") || !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("answered %d, %s, %v", code, errOut.String(), err)
				}
				return
			}
			if code != cli.ExitOK {
				t.Fatalf("answered %d: %s", code, errOut.String())
			}
			told, err := ensureCerts(s, []string{"county.example"}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			conf, err := link.TLS(told.ca)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := os.ReadFile(filepath.Join(d, "server.pem"))
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(shown)
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: c.host, Roots: conf.RootCAs}); err != nil {
				t.Errorf("a controller would not believe it: %v", err)
			}
			o, err := server.ProcessConfigFile(filepath.Join(d, "nats.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if err := filepath.WalkDir(d, func(path string, e fs.DirEntry, err error) error {
				if err == nil && filepath.Ext(path) == ".key" {
					if fi, err := e.Info(); err != nil || fi.Mode().Perm() != 0o600 {
						t.Errorf("%s: %v, %v", path, fi.Mode(), err)
					}
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			// To each other they are the county's, whatever others' certificates are for.
			between := o.Cluster.TLSConfig.Certificates[0].Leaf
			if _, err := between.Verify(x509.VerifyOptions{
				Roots: o.Cluster.TLSConfig.ClientCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}); err != nil {
				t.Errorf("another broker would not believe it: %v", err)
			}
		})
	}
}
