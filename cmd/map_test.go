package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a function in a list of the map: folder, receiver if any, name.
var named = regexp.MustCompile("`([a-z/]+)\\.(?:\\(\\*?(\\w+)\\)\\.)?(\\w+)`")

// functionsIn returns those of a folder, methods as "Receiver.Name".
func functionsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				of := fn.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if id, ok := of.(*ast.Ident); ok {
					name = id.Name + "." + name
				}
			}
			all[name] = true
		}
	}
	return all
}

// lost returns the functions that a text names in its numbered lists and that do
// not exist, and how many it names.
func lost(t *testing.T, text string) (gone []string, n int) {
	t.Helper()
	numbered := regexp.MustCompile(`^\d+\. `)
	for line := range strings.Lines(text) {
		if !numbered.MatchString(line) {
			continue
		}
		if strings.HasPrefix(line, "9.") {
			gone = append(gone, "a list of more than eight")
		}
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			n++
			name := m[3]
			if m[2] != "" {
				name = m[2] + "." + name
			}
			if !functionsIn(t, m[1])[name] {
				gone = append(gone, m[0])
			}
		}
	}
	return gone, n
}

func TestTheMapNamesFunctionsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	gone, n := lost(t, string(text))
	for _, g := range gone {
		t.Errorf("CONTRIBUTING.md: %s", g)
	}
	if n < 20 {
		t.Errorf("it names %d functions only", n)
	}
}

func TestAWrongMapIsSeen(t *testing.T) {
	for _, line := range []string{
		"1. `player.(*Channel).nothingOfTheKind` does it", "1. `player.NothingOfTheKind` does it", "1. `nowhere.Open` does it", "9. `player.New` is one too many",
	} {
		if gone, _ := lost(t, line); len(gone) != 1 {
			t.Errorf("%s: %v", line, gone)
		}
	}
	if gone, n := lost(t, "1. `player.New` and `player.(*Channel).render`"); len(gone) != 0 || n != 2 {
		t.Errorf("%v of %d", gone, n)
	}
}
