package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/config"
)

// A folder is what its links lead to, and a pattern reaches where it matches.
func TestNothingOfTheControllersOwnLiesWhereFilesAreTaken(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"state/clips", "media/a/lessons", "in", "stick"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"data": "state", "box": "state/clips", "usb": "stick", "other": "media"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, inbox, clips string
		fits               bool
	}{
		{"beside everything else", "in", "lessons/*.mp3", true},
		{"a link to a stick", "usb", "lessons/*.mp3", true},
		{"not made yet, behind a link", "usb/new", "lessons/*.mp3", true},
		{"a name that only begins like data_dir's", "database", "lessons/*.mp3", true},
		{"beside the folder that a pattern names", "media/b", "media/a/*.mp3", true},
		{"below a folder that a pattern looks through for files alone", "media/in", "media/*.mp3", true},
		{"where a pattern looks into each folder", "media/in", "media/*/*.mp3", false},
		{"where a pattern looks into some folders", "media/b", "media/a*/*.mp3", true},
		{"where a pattern looks through a link", "media/a", "other/a/lessons/*.mp3", false},
		{"a link into data_dir", "box", "lessons/*.mp3", false},
		{"data_dir by its true name", "state", "lessons/*.mp3", false},
		{"not made yet, within data_dir by its true name", "state/new/in", "lessons/*.mp3", false},
		{"around everything", ".", "lessons/*.mp3", false},
		{"the whole machine", "/", "lessons/*.mp3", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "[site]\nname = \"村\"\narea = \"341523100201\"\ndata_dir = \"data\"\ninbox = \"" + c.inbox + "\"\n" +
				"[[output]]\nname = \"村口\"\n[[playlist]]\nname = \"健康\"\nclips = [\"" + c.clips + "\"]\n" +
				"[[slot]]\nname = \"早间\"\nplaylist = \"健康\"\ncron = \"30 7 * * *\"\n"
			_, problems := config.Read(filepath.Join(dir, "dalaba.toml"), []byte(text), full{})
			if config.Refused(problems) == c.fits {
				t.Errorf("problems %v", problems)
			}
			for _, p := range problems {
				if p.Key != "site.inbox" || !strings.HasPrefix(p.What.Key, "config.watched_") {
					t.Errorf("unlooked-for: %v", p)
				}
			}
		})
	}
}

func TestADataFolderThatIsAFileIsAFault(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "d"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/below"} {
		c, problems := config.Read(filepath.Join(dir, "dalaba.toml"), []byte(strings.Replace(base, `"d"`, `"`+name+`"`, 1)), shelf{})
		if c != nil || len(problems) != 1 || problems[0].Key != "site.data_dir" || problems[0].Line != 4 || problems[0].What.Key != "config.data_dir" {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// The folder that the config lies in may have any name.
func TestPatternsMatchInAFolderWhoseNameLooksLikeOne(t *testing.T) {
	for _, name := range []string{"plain", "村[东]", "a*b", "who?", `back\slash`, "[a-z]*"} {
		dir := filepath.Join(t.TempDir(), name)
		for _, f := range []string{"clips/1.mp3", "clips/2.mp3", "anchors/cap.pem"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		lib := &globbing{}
		c, problems := config.Read(filepath.Join(dir, "dalaba.toml"), []byte(good+`[alert]
anchors = ["anchors/*.pem"]
[[playlist]]
name = "文件"
clips = ["clips/*.mp3", "clips/[12].mp3"]
`), lib)
		for _, p := range problems {
			if p.Severity == config.Fault {
				t.Errorf("%s: %v", name, p)
			}
		}
		if c == nil || len(c.Alert.Anchors) != 1 || len(lib.found) != 4 {
			t.Errorf("%s: found %v", name, lib.found)
		}
	}
}

// globbing is a library that looks for files as the real one does.
type globbing struct {
	shelf
	found []string
}

func (g *globbing) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := filepath.Glob(pattern)
	g.found = append(g.found, paths...)
	if len(paths) == 0 {
		return nil, err
	}
	return []playlist.Clip{clip(1)}, err
}

// full is a library in which every pattern matches.
type full struct{ shelf }

func (full) Glob(string) ([]playlist.Clip, error) { return []playlist.Clip{clip(1)}, nil }
