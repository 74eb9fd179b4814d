package main

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Passwords and tokens go to the server that --server names.
func TestNoPasswordOrTokenGoesOverPlainHTTP(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	// Would the program ask, it would ask this proxy for all but an address of this machine.
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	redirect := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://county.example"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer redirect.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: redirect.Certificate().Raw})
	for name, text := range map[string][]byte{"token": []byte("t"), "password": []byte("long enough for anybody"), "ca": ca} {
		if err := os.WriteFile(at(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const plain = "write https://HOST:PORT"
	for _, tt := range []struct{ name, server, says string }{
		{"http", "http://county.example:8443", plain},
		{"HTTP", "HTTP://county.example", plain},
		{"http by number", "http://10.1.2.3", plain},
		{"a name that begins like this machine's", "http://localhost.example", plain},
		{"a user in the address", "http://localhost@county.example", plain},
		{"a redirect from https to http", redirect.URL, plain},
		{"no scheme", "county.example:8443", plain},
		{"another scheme", "ftp://county.example", plain},
		{"this machine", "http://127.9.9.9:1", "does not answer"},
		{"this machine by IPv6", "http://[::1]:1", "does not answer"},
		{"this machine by name", "http://localhost:1", "does not answer"},
		{"https", "https://127.0.0.1:1", "does not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, verb := range [][]string{{"login", "boss", "--password-file", at("password")}, {"fleet", "--token-file", at("token")}} {
				var out, errs bytes.Buffer
				args := append([]string{"--lang", "en", "--ca-file", at("ca"), "--server", tt.server}, verb...)
				code := run(t.Context(), args, strings.NewReader(""), &out, &errs)
				text := strings.Join(strings.Fields(errs.String()), " ")
				if code == 0 || !strings.Contains(text, tt.says) {
					t.Errorf("%s: %d, %q", verb[0], code, text)
				}
			}
			select {
			case url := <-asked:
				t.Errorf("%s was asked", url)
			default:
			}
		})
	}
}
