package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"dalaba/link"
	"dalaba/playlist"
)

// What the playlist key signs on another machine airs at a controller, and the server never
// has that key.
func TestAManifestThatWasSignedElsewhereAirs(t *testing.T) {
	t.Parallel()
	c := configure(t, "", "")
	other := folder(t) // the other machine: no config, no server
	there := func(args ...string) { t.Helper(); run(t, other, "dalaba-county", args...) }
	at := func(name string) string { return filepath.Join(other, name) }
	there("keys", "root-1.key", "root-2.key", "root-3.key", "playlist.key")

	c.verb(nil, "trust", "draft", "--root", at("root-1.pub"), "--root", at("root-2.pub"), "--root", at("root-3.pub"), "--playlist", at("playlist.pub"), "--out", at("trust.json"))
	there("sign", "trust.json", "--key", "root-1.key", "--key", "root-3.key")
	c.verb(nil, "trust", "add", at("trust.json"))
	c.serve()
	v := c.village("320924102201", 420)
	v.run()
	c.verb(nil, "push", pushFile(t, c.dir, "daily", "*/10 * * * * *", "clip1.mp3"), "--area", string(v.area), "--unsigned", at("manifest.json"))
	there("sign", "manifest.json", "--key", "playlist.key")
	c.verb(nil, "push", "--signed", at("manifest.json"), "--yes", "--wait", "5m")
	wait(t, "an airing of it", func() bool { return len(v.rows()) > 0 }, v.log)

	// The keys are exchanged while all run: the controller follows.
	there("keys", "next.key")
	c.verb(nil, "trust", "draft", "--playlist", at("next.pub"), "--out", at("second.json"))
	there("sign", "second.json", "--key", "root-2.key", "--key", "root-3.key")
	c.verb(nil, "trust", "add", at("second.json"))
	c.verb(nil, "push", pushFile(t, c.dir, "later", "*/10 * * * * *", "clip2.mp3"), "--area", string(v.area), "--unsigned", at("manifest.json"))
	there("sign", "manifest.json", "--key", "next.key")
	c.verb(nil, "push", "--signed", at("manifest.json"), "--yes", "--wait", "5m")
	had := map[playlist.ClipID]bool{}
	wait(t, "an airing of the later one", func() bool {
		for _, r := range v.rows() {
			had[r.Clip] = true
		}
		return len(had) > 1
	}, v.log)
	v.end(syscall.SIGTERM)

	var secrets [][]byte
	for _, name := range []string{"root-1.key", "root-2.key", "root-3.key", "playlist.key", "next.key"} {
		if _, err := link.ReadKey(at(name)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		_, seed, _ := bytes.Cut(text, []byte(`"seed": `))
		secrets = append(secrets, bytes.Trim(seed, "\"}\n "))
	}
	if err := filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && slices.ContainsFunc(secrets, func(s []byte) bool { return bytes.Contains(text, s) }) {
			t.Errorf("%s holds a private key of the other machine", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
