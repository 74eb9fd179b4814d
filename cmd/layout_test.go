// Package cmd_test checks rules that hold for the whole tree: imports, words.
package cmd_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "dalaba"

// allowed lists, for each top-level folder, which other folders of this module
// it may import. A folder may import its own subfolders, unless rooms limits
// that.
var allowed = map[string][]string{
	"cmd":        {"playlist", "player", "devices", "data", "alert", "ingest", "link", "controller", "county", "web"},
	"playlist":   {},
	"player":     {"playlist"},
	"devices":    {"playlist"},
	"data":       {"playlist"},
	"alert":      {"playlist"},
	"ingest":     {"playlist"},
	"link":       {"playlist"},
	"controller": {"playlist", "player", "devices", "data", "alert", "ingest", "link", "web"},
	"county":     {"playlist", "link", "alert", "ingest", "web"},
	"web":        {"playlist/say"},
	"tools":      {}, // for developers: may import anything, and nothing imports it
}

// rooms lists, for a folder with ordered subfolders, what of the same top-level
// folder it may import.
var rooms = map[string][]string{
	"playlist":           {},
	"playlist/say":       {},
	"playlist/asrun":     {"playlist"},
	"playlist/emergency": {"playlist", "playlist/asrun"},
	"playlist/schedule":  {"playlist", "playlist/asrun"},
	"playlist/config":    {"playlist", "playlist/say"},

	"county/notice":      {}, // pure: what is told and when, not how it goes out
	"county/notice/send": {"county/notice"},

	"controller/clock":    {},
	"controller/files":    {},
	"controller/wording":  {},
	"controller/demo":     {"controller/clock", "controller/files", "controller/site"},
	"controller/uplink":   {"controller/clock", "controller/files"},
	"controller/site":     {"controller/clock", "controller/files", "controller/uplink"},
	"controller/hand":     {"controller/files", "controller/site"},
	"controller/status":   {"controller/site", "controller/uplink"},
	"controller/control":  {"controller/hand", "controller/status"},
	"controller/diagnose": {"controller/clock", "controller/control", "controller/site", "controller/status", "controller/uplink", "controller/wording"},
	"controller": {
		"controller/clock", "controller/control", "controller/files", "controller/hand", "controller/site", "controller/status", "controller/uplink",
	},
}

// exceptions are single imports allowed besides those.
var exceptions = map[[2]string]bool{
	{"county/store", "data/sqlite"}:  true, // the one opener of both stores
	{"county/store", "data/clips"}:   true, // and the one folder of clips
	{"link", "data/shared"}:          true, // the one way into folders of others
	{"ingest", "data/shared"}:        true,
	{"ingest", "data/secret"}:        true, // whose links are the operator's own
	{"county", "data/secret"}:        true,
	{"link", "data/secret"}:          true, // one rule for all files of keys and tokens
	{"cmd/dalaba", "cmd/cli"}:        true, // what the two command lines share
	{"cmd/dalaba-county", "cmd/cli"}: true,
}

// outside lists the outside packages that may be imported from one place only.
var outside = map[string]string{
	"github.com/faiface/beep":         "player",
	"github.com/hajimehoshi/go-mp3":   "player",
	"github.com/robfig/cron/v3":       "playlist",
	"github.com/mattn/go-sqlite3":     "data",
	"github.com/nats-io/nats-server/": "cmd/dalaba-county",
	"github.com/wneessen/go-mail":     "county/notice/send",
	"github.com/mattn/go-runewidth":   "cmd/cli", // one measure of text on a terminal
}

// faults returns the imports of a tree that the plan does not allow.
func faults(t *testing.T, tree fs.FS) []string {
	t.Helper()
	var bad []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if base == "testdata" || base == "build" || name != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			if !strings.Contains(name, "/") && name != "." {
				if _, ok := allowed[name]; !ok {
					bad = append(bad, name+" is no room of the house")
				}
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from := path.Dir(name)
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := fault(from, to); why != "" {
				bad = append(bad, name+": "+why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

func fault(from, to string) string {
	// Packages such as alert/alerttest serve the tests of several packages.
	if strings.HasPrefix(to, module+"/") && strings.HasSuffix(to, "test") {
		return "only tests may import " + to
	}
	if top(from) == "tools" {
		return ""
	}
	for prefix, room := range outside {
		if (to == prefix || strings.HasPrefix(to, strings.TrimSuffix(prefix, "/")+"/")) && from != room && !strings.HasPrefix(from, room+"/") {
			return "only " + room + " may import " + to
		}
	}
	to, ours := strings.CutPrefix(to, module+"/")
	if !ours || exceptions[[2]string{from, to}] {
		return ""
	}
	a, b := top(from), top(to)
	if lower, ok := rooms[from]; ok && a == b {
		if slices.Contains(lower, to) {
			return ""
		}
		return from + " may not import " + to
	}
	if a == b && a != "cmd" || slices.Contains(allowed[a], b) || slices.Contains(allowed[a], to) {
		return ""
	}
	return a + " may not import " + to
}

func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

func TestThePlanAllowsEveryImport(t *testing.T) {
	for _, f := range faults(t, os.DirFS("..")) {
		t.Error(f)
	}
}

func TestAWrongImportIsFound(t *testing.T) {
	for _, c := range []struct{ name, file, imports string }{
		{"the domain imports another room", "playlist/x.go", "dalaba/data"},
		{"two parts import each other", "player/x.go", "dalaba/devices"},
		{"a part imports a program", "ingest/x.go", "dalaba/cmd/dalaba"},
		{"a program imports a tool", "cmd/dalaba/x.go", "dalaba/tools/bench"},
		{"the domain imports one of its rooms", "playlist/x.go", "dalaba/playlist/emergency"},
		{"the domain imports sentences", "playlist/schedule/x.go", "dalaba/playlist/say"},
		{"the log imports what decides", "playlist/asrun/x.go", "dalaba/playlist/schedule"},
		{"the controller imports the county", "controller/x.go", "dalaba/county"},
		{"the county imports the controller", "county/x.go", "dalaba/controller/status"},
		{"the shared pages import the domain", "web/x.go", "dalaba/playlist"},
		{"a lower room of the controller imports a higher one", "controller/site/x.go", "dalaba/controller/control"},
		{"a part imports the controller", "player/x.go", "dalaba/controller/hand"},
		{"a program imports what is for tests", "cmd/dalaba-county/x.go", "dalaba/alert/alerttest"},
		{"a tool imports what is for tests", "tools/bench/x.go", "dalaba/alert/alerttest"},
		{"a second measure of text", "cmd/dalaba/x.go", "github.com/mattn/go-runewidth"},
		{"beep outside the player", "devices/x.go", "github.com/faiface/beep/effects"},
		{"a folder that is not in the plan", "util/x.go", "fmt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, filepath.FromSlash(c.file))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			src := "package x\n\nimport _ " + strconv.Quote(c.imports) + "\n"
			if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
				t.Fatal(err)
			}
			if len(faults(t, os.DirFS(dir))) == 0 {
				t.Errorf("%s may import %s, says the test", c.file, c.imports)
			}
		})
	}
}
