package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dalaba/playlist/say"
)

// TestEveryLogMessageHasWords walks the source for what is logged at Info and
// above, and for the messages kept in constants.
func TestEveryLogMessageHasWords(t *testing.T) {
	found := map[string]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "build" || name == "bench" || name == "dalaba-county" || name == "county") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for message, pos := range logged(f) {
			found[message] = fset.Position(pos).String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 40 || found["clip on air"] == "" || found["clock set back"] == "" || found["config in force"] == "" || found["log records dropped"] == "" {
		t.Fatalf("only %d messages found: the walk is broken", len(found))
	}
	for message, where := range found {
		if !say.Has("log." + message) {
			t.Errorf("%s: %q has no words in playlist/say/words/log.toml", where, message)
		}
	}
}

// logged is every message of a file: literals handed to a logger, and
// constants named note... or of the type Note, and the Message of an Event.
func logged(f *ast.File) map[string]token.Pos {
	found := map[string]token.Pos{}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && s != "" {
				found[s] = lit.Pos()
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !logger(sel.X) {
				return true
			}
			message := -1
			switch sel.Sel.Name {
			case "Info", "Warn", "Error":
				message = 0
			case "InfoContext", "WarnContext", "ErrorContext":
				message = 1
			case "Log":
				message = 2
			}
			if message >= 0 && len(n.Args) > message {
				add(n.Args[message])
			}
		case *ast.ValueSpec:
			typed, _ := n.Type.(*ast.Ident)
			for i, name := range n.Names {
				if i < len(n.Values) && (strings.HasPrefix(name.Name, "note") || typed != nil && typed.Name == "Note") {
					add(n.Values[i])
				}
			}
		case *ast.CompositeLit:
			if typ, ok := n.Type.(*ast.SelectorExpr); !ok || typ.Sel.Name != "Event" {
				return true
			}
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Message" {
					add(kv.Value)
				}
			}
		}
		return true
	})
	return found
}

// logger reports whether an expression looks like one: x.log, x.Log, x.raw,
// log, or a call of log().
func logger(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	case *ast.CallExpr:
		return logger(e.Fun)
	}
	return name == "log" || name == "Log" || name == "raw" || name == "logger"
}
