package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"

	"github.com/golangci/misspell"
	"github.com/golangci/unconvert"
	"github.com/kisielk/errcheck/errcheck"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/packages"
)

// parseAgain parses the source files of a pass once more. The files that
// lintcmd passes have no ast.Object, so ineffassign finds nothing in them,
// and cgo has rewritten those that import "C".
func parseAgain(pass *analysis.Pass) error {
	var files []*ast.File
	for _, f := range pass.Files {
		name := pass.Fset.Position(f.Package).Filename
		if !isSource(name) {
			continue
		}
		f, err := parser.ParseFile(pass.Fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	pass.Files = files
	return nil
}

// uncheckedErrors replaces errcheck's own analyzer, which does not name the
// call and reads the functions to exclude from a file only.
var uncheckedErrors = &analysis.Analyzer{
	Name: "errcheck",
	Doc:  "reports calls whose error is not checked",
	Run: func(pass *analysis.Pass) (any, error) {
		checker := errcheck.Checker{Exclusions: errcheck.Exclusions{
			BlankAssignments: true,
			TypeAssertions:   true,
			Symbols: slices.Concat(errcheck.DefaultExcludedSymbols, []string{
				"fmt.Fprint",
				"fmt.Fprintf",
				"fmt.Fprintln",
				"(*os.File).Close",
				"os.Remove",
				"os.RemoveAll",
			}),
		}}
		for _, f := range pass.Files {
			result := checker.CheckPackage(&packages.Package{
				Fset: pass.Fset, Syntax: []*ast.File{f}, Types: pass.Pkg, TypesInfo: pass.TypesInfo,
			})
			for _, e := range result.Unique().UncheckedErrors {
				pass.Reportf(pass.Fset.File(f.FileStart).Pos(e.Pos.Offset), "error of %s is not checked",
					cmp.Or(e.SelectorName, e.FuncName, "this call"))
			}
		}
		return nil, nil
	},
}

// spelling checks code and strings as well as comments.
var spelling = &analysis.Analyzer{
	Name: "misspell",
	Doc:  "reports English words that are often misspelled",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, f := range pass.Files {
			file := pass.Fset.File(f.FileStart)
			text, err := pass.ReadFile(file.Name())
			if err != nil {
				return nil, fmt.Errorf("misspell: %w", err)
			}
			_, words := replacer.Replace(string(text))
			for _, w := range words {
				pass.Reportf(file.LineStart(w.Line)+token.Pos(w.Column), "%q is a misspelling of %q", w.Original, w.Corrected)
			}
		}
		return nil, nil
	},
}

var replacer = misspell.New()

var conversions = &analysis.Analyzer{
	Name: "unconvert",
	Doc:  "reports conversions of a value to the type that it has",
	Run: func(pass *analysis.Pass) (any, error) {
		needless := map[token.Position]bool{} // where their "(" is, without the offset
		for _, p := range unconvert.Run(pass) {
			needless[p] = true
		}
		for _, f := range pass.Files {
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					p := pass.Fset.Position(call.Lparen)
					p.Offset = 0
					if needless[p] {
						pass.Reportf(call.Pos(), "needless conversion")
					}
				}
				return true
			})
		}
		return nil, nil
	},
}
