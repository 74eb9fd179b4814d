package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"dalaba/playlist/say"
)

// Every key that the code uses is in the catalogue, and every sentence of the
// catalogue is used: by its whole key, or by the last word of a key that is put
// together from parts.
func TestEveryKeyIsInTheCatalogueAndEverySentenceIsUsed(t *testing.T) {
	literals := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "build" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil {
					literals[s] = true
				}
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.SelectorExpr:
					name = f.Sel.Name
				case *ast.Ident:
					name = f.Name
				}
				if (name == "M" || name == "Say" || name == "refuse") && len(n.Args) > 0 {
					if lit, ok := n.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						key, err := strconv.Unquote(lit.Value)
						if err == nil && strings.Contains(key, ".") && !strings.HasSuffix(key, ".") && !say.Has(key) {
							t.Errorf("%s: no sentence under %q", path, key)
						}
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range catalogue(t) {
		_, last, _ := strings.Cut(key, ".")
		stem := strings.TrimRight(key, "0123456789")
		if !literals[key] && !literals[last] && !literals[stem] && !literals[stem+"%d"] && !speltInParts(literals, key) {
			t.Errorf("%q is never spoken", key)
		}
	}
}

// catalogue returns the keys of all sentences.
func catalogue(t *testing.T) (keys []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "playlist", "say", "words", "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of sentences, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var sentences map[string]any
		if err := toml.Unmarshal(text, &sentences); err != nil {
			t.Fatal(err)
		}
		for k := range sentences {
			keys = append(keys, strings.TrimSuffix(filepath.Base(file), ".toml")+"."+k)
		}
	}
	return keys
}

// speltInParts reports whether a key consists of a literal that begins it and
// another that ends it, such as "import." + verdict or "why."+reason+"_future".
func speltInParts(literals map[string]bool, key string) bool {
	for i := 1; i < len(key); i++ {
		if !literals[key[:i]] {
			continue
		}
		for j := i; j < len(key); j++ {
			if literals[key[i:j]] && literals[key[j:]] || literals[key[i:]] {
				return true
			}
		}
	}
	return false
}
