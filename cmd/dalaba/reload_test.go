package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/cmd/cli"
	"dalaba/data"
)

// What a daemon says of another file, such as one of a moment ago, is no
// answer to this one.
func TestAReloadIsAnsweredForTheFileThatWasOffered(t *testing.T) {
	type note struct{ message, file string }
	for _, c := range []struct {
		name   string
		notes  []note
		now    string // what the file holds by then, where it has changed again
		answer string
	}{
		{"taken", []note{{noteReloaded, "new"}}, "", noteReloaded},
		{"refused", []note{{noteRefused, "new"}}, "", noteRefused},
		{"refused after an earlier file was taken", []note{{"started", ""}, {noteReloaded, "old"}, {noteRefused, "new"}}, "", noteRefused},
		{"taken after an earlier file was refused", []note{{noteRefused, "old"}, {noteReloaded, "new"}}, "", noteReloaded},
		{"taken after it was refused for clips that have come since", []note{{noteRefused, "new"}, {noteReloaded, "new"}}, "", noteReloaded},
		{"changed once more before the daemon read it", []note{{noteReloaded, "old"}, {noteRefused, "newer"}}, "newer", noteRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			store, err := data.Open(t.Context(), filepath.Join(dir, "data"), data.Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			a := &app{App: cli.New("dalaba", nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}), config: filepath.Join(dir, "dalaba.toml")}
			text := c.now
			if text == "" {
				text = "new"
			}
			if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			log := slog.New(store.LogHandler(slog.DiscardHandler))
			for _, n := range c.notes {
				log.Info(n.message, "sha256", digest([]byte(n.file)))
			}
			e, err := a.reloadAnswer(t.Context(), store, 0, digest([]byte("new")))
			if err != nil || e.Message != c.answer || e.Attrs["sha256"] != digest([]byte(text)) {
				t.Errorf("answered by %+v, %v", e, err)
			}
		})
	}
}
