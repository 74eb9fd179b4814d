package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// site is a controller's folder: config, clips and data.
type site struct {
	dir  string
	text strings.Builder // the config
}

// newSite makes a folder with the three test clips of the sample course and a
// config that plays them.
func (b *bench) newSite(name string) (*site, error) {
	s := &site{dir: filepath.Join(b.dir, name)}
	if err := os.MkdirAll(filepath.Join(s.dir, "clips"), 0o755); err != nil {
		return nil, err
	}
	clips, err := b.clips()
	if err != nil {
		return nil, err
	}
	for _, clip := range clips {
		bytes, err := os.ReadFile(clip)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.dir, "clips", filepath.Base(clip)), bytes, 0o644); err != nil {
			return nil, err
		}
	}
	s.text.WriteString(`[site]
name = "bench"
area = "320924100201"
timezone = "Asia/Shanghai"
language = "en"
data_dir = "data"
clock = "battery"

[[playlist]]
name = "lessons"
clips = ["clips/*.mp3"]
`)
	return s, nil
}

// clips returns the paths of the test clips.
func (b *bench) clips() ([]string, error) {
	clips, err := filepath.Glob(filepath.Join(b.root, "data", "course", "testdata", "clip*.mp3"))
	if err == nil && len(clips) == 0 {
		err = fmt.Errorf("no clips in %s/data/course/testdata", b.root)
	}
	return clips, err
}

func (s *site) data() string { return filepath.Join(s.dir, "data") }

func (s *site) output(name, device string) {
	fmt.Fprintf(&s.text, "\n[[output]]\nname = %q\ndevice = %q\nresidents = 100\n", name, device)
}

// slot adds a slot that airs lessons on the outputs; more is further lines of
// config.
func (s *site) slot(name, cron string, more string, outputs ...string) {
	fmt.Fprintf(&s.text, "\n[[slot]]\nname = %q\nplaylist = \"lessons\"\ncron = %q\n%s", name, cron, more)
	if len(outputs) > 0 {
		fmt.Fprintf(&s.text, "outputs = [\"%s\"]\n", strings.Join(outputs, `", "`))
	}
}

// config writes the config and returns its path.
func (s *site) config() (string, error) {
	path := filepath.Join(s.dir, "dalaba.toml")
	return path, os.WriteFile(path, []byte(s.text.String()), 0o644)
}
