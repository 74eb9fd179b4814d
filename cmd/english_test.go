package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// dialect are the words that doc comments do without, and what to write instead.
var dialect = []struct {
	words   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\banswers\b`), `"returns", "responds" or "replies"`},
	{regexp.MustCompile(`(?i)\b(whoever|somebody|nobody)\b`), "who it is: the caller, the sender, the county"},
	{conditionalWhere, `"if"`},
}

// conditionalWhere finds "where" in the sense of "if": at the beginning of a
// sentence; after a value ("empty where ..."); and in a clause such as ", where
// given" or ", where that is set". A place ("the folder where it lies") is not
// found.
var conditionalWhere = regexp.MustCompile(`(?:^|[.!?;:]\s+)Where\b` +
	`|(?:\b(?:nil|null|NULL|zero|empty|none|true|false|only|but|\d+)|"")[,;]? where\b` +
	`|[,;(:]\s?where (?:asked|given|set|known|needed|wanted|absent|missing|possible|none|nothing|neither|no)\b` +
	`|[,;(:]\s?where (?:that|this|one|both|all) (?:is|are|was|were|has|have|does|do|did|can|cannot|may|will)\b` +
	`|[,;(:]\s?where it (?:has|does|can|cannot|may|will)\b` +
	`|\bwhere there (?:is|are|was|were)\b`)

// plainEnglishFaults returns, by room, the doc comments of a tree that use
// dialect. A room is a top-level folder, or a folder below cmd or tools.
func plainEnglishFaults(t *testing.T, tree fs.FS) map[string][]string {
	t.Helper()
	bad := map[string][]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); d.IsDir() {
			if base == "testdata" || base == "build" || name != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
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
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, src, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, doc := range docComments(file) {
			text := strings.Join(strings.Fields(doc.Text()), " ")
			for _, w := range dialect {
				if found := w.words.FindString(text); found != "" {
					bad[roomOf(name)] = append(bad[roomOf(name)], files.Position(doc.Pos()).String()+`: "`+strings.TrimSpace(found)+`": write `+w.instead)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

// docComments returns the comments that belong to a file's package clause and
// declarations, those of fields and methods included.
func docComments(file *ast.File) (all []*ast.CommentGroup) {
	add := func(groups ...*ast.CommentGroup) {
		for _, g := range groups {
			if g != nil {
				all = append(all, g)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.File:
			add(n.Doc)
		case *ast.FuncDecl:
			add(n.Doc)
		case *ast.GenDecl:
			if n.Tok != token.IMPORT { // which may hold C
				add(n.Doc)
			}
		case *ast.TypeSpec:
			add(n.Doc, n.Comment)
		case *ast.ValueSpec:
			add(n.Doc, n.Comment)
		case *ast.Field:
			add(n.Doc, n.Comment)
		}
		return true
	})
	return all
}

func roomOf(file string) string {
	parts := strings.Split(path.Dir(file), "/")
	if len(parts) > 1 && (parts[0] == "cmd" || parts[0] == "tools") {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func TestDocCommentsAreInPlainEnglish(t *testing.T) {
	bad := plainEnglishFaults(t, os.DirFS(".."))
	for _, room := range slices.Sorted(maps.Keys(bad)) {
		for _, f := range bad[room] {
			t.Error(f)
		}
	}
}

func TestDialectIsFoundInDocComments(t *testing.T) {
	for _, c := range []struct {
		name, src string
		found     bool
	}{
		{"a function that answers", "// F answers 3.\nfunc F() int { return 3 }", true},
		{"across two lines", "// F is 3, and false\n// where there is none.\nfunc F() {}", true},
		{"nobody", "// V is what nobody reads.\nvar V int", true},
		{"somebody in a field's comment", "type T struct {\n\tA int // set by somebody\n}", true},
		{"whoever in an interface", "type I interface {\n\t// M is for whoever asks.\n\tM()\n}", true},
		{"a sentence that begins with where", "// F returns 3. Where it cannot, it returns 0.\nfunc F() int { return 3 }", true},
		{"a value where", "// F returns the name, empty where it has none.\nfunc F() {}", true},
		{"where given", "// F uses the zone, where given.\nfunc F() {}", true},
		{"where that is set", "// F uses the zone, where that is set.\nfunc F() {}", true},
		{"only where", "// F runs only where the error is nil.\nfunc F() {}", true},
		{"the package's comment", "", true},
		{"a place", "// F returns the folder where the file lies.\nfunc F() {}", false},
		{"a place that a sentence explains", "// F finds where the sound begins, and where it ends.\nfunc F() {}", false},
		{"a place after a comma", "// F opens /run/dalaba, where the socket is.\nfunc F() {}", false},
		{"a comment inside a function", "func F() {\n\t// Nobody waits for it.\n}", false},
		{"a plain comment", "// F returns 3 if there is an answer.\nfunc F() int { return 3 }", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := "package room\n\n" + c.src + "\n"
			if c.src == "" {
				src = "// Package room answers questions.\npackage room\n"
			}
			bad := plainEnglishFaults(t, fstest.MapFS{"room/x.go": {Data: []byte(src)}})
			if found := len(bad["room"]) > 0; found != c.found {
				t.Errorf("found %v, want %v: %q", found, c.found, bad["room"])
			}
		})
	}
}
