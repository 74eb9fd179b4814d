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
	"time"

	"dalaba/controller/wording"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// TestEveryLogMessageHasWords walks the source for what is logged at Info and
// above, and for the messages kept in constants.
func TestEveryLogMessageHasWords(t *testing.T) {
	found, keys := map[string]string{}, map[string]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "build" || name == "bench") {
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
		for key, pos := range attributes(f) {
			keys[key] = fset.Position(pos).String()
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
	if len(keys) < 60 || keys["output"] == "" || keys["away_ms"] == "" || keys["lateness_ms"] == "" || keys["level_db"] == "" {
		t.Fatalf("only %d attributes found: the walk is broken", len(keys))
	}
	words := wording.Log{Lang: say.English, Zone: time.UTC}
	for key, where := range keys {
		text, _ := words.Say(asrun.Event{Message: "ready", Attrs: map[string]any{key: 3}})
		if strings.Contains(text, key+"=") {
			t.Errorf("%s: %q has no words in playlist/say/words/attr.toml: it is told as %q", where, key, text)
		}
	}
}

// attributes are the keys of a file's log records: literals in snake case that follow
// the message, or are handed to With, or stand in a list named what.
func attributes(f *ast.File) map[string]token.Pos {
	found := map[string]token.Pos{}
	add := func(all []ast.Expr) {
		for i := 0; i < len(all); i += 2 {
			if lit, ok := all[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					found[s] = lit.Pos()
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "append" && len(n.Args) > 1 {
				if list, ok := n.Args[0].(*ast.Ident); ok && list.Name == "what" {
					add(n.Args[1:])
				}
			}
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !logger(sel.X) {
				return true
			}
			switch skip, known := map[string]int{"With": 0, "Info": 1, "Warn": 1, "Error": 1, "Log": 3}[sel.Sel.Name]; {
			case known && len(n.Args) > skip:
				add(n.Args[skip:])
			}
		case *ast.AssignStmt:
			if list, ok := n.Lhs[0].(*ast.Ident); ok && list.Name == "what" {
				if lit, ok := n.Rhs[0].(*ast.CompositeLit); ok {
					add(lit.Elts)
				}
			}
		}
		return true
	})
	return found
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
