package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A county that breaks off in the middle of a push is told as that, and not as a fault of
// the file.
func TestACountyThatBreaksOffIsNoFaultOfTheFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	clip, err := os.ReadFile(filepath.Join("..", "..", "data", "course", "testdata", "clip1.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	const week = `
[[playlist]]
name = "健康"
clips = ["*.mp3"]
[[slot]]
name = "早"
cron = "30 7 * * *"
playlist = "健康"
`
	for name, text := range map[string][]byte{"token": []byte("t"), "week.toml": []byte(week), "clip1.mp3": clip} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ breaksAt, says, not string }{
		{"/api/clips", "nothing is published", "playlist["},
		{"/api/push", "not certain whether area:341523000000 was published", "nothing is published"},
	} {
		county := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case c.breaksAt:
				panic(http.ErrAbortHandler)
			case "/api/status":
				_, _ = w.Write([]byte(`{"zone": "Asia/Shanghai"}`))
			case "/api/clips":
				_, _ = w.Write([]byte(`{"clip": {"id": "` + strings.Repeat("ab", 32) + `", "title": "clip1", "frames": 480000, "size": 80000}}`))
			default:
				_, _ = w.Write([]byte(`{"manifest": {"scope": "area:341523000000", "version": 1}}`))
			}
		}))
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{
			"--lang", "en", "--server", county.URL, "--token-file", filepath.Join(dir, "token"),
			"push", filepath.Join(dir, "week.toml"), "--area", "341523000000", "--yes", "--anyway",
		}, strings.NewReader(""), &out, &errs)
		county.Close()
		text := strings.Join(strings.Fields(errs.String()), " ")
		if code == 0 || !strings.Contains(text, c.says) || strings.Contains(text, c.not) {
			t.Errorf("broken off at %s: %d, %s", c.breaksAt, code, text)
		}
	}
}
