// Command lint runs the project's static checks on the packages that its
// arguments name. "make lint" builds and runs it.
//
// Each check is here for a fault that has bitten in this kind of program.
// "go vet" and gofmt run beside it, so their checks are not repeated. To keep
// code that a check reports, write "//lint:ignore CHECK reason" above it. The
// program reports such a comment if the check finds nothing there.
package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/golangci/rowserrcheck/passes/rowserr"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inline"
	"honnef.co/go/tools/lintcmd"
	"honnef.co/go/tools/quickfix"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

// unwanted lists the checks of staticcheck that we do not use: those of
// package comments, names, receiver names, and how a comment begins.
var unwanted = []string{"ST1000", "ST1003", "ST1016", "ST1020", "ST1021", "ST1022"}

func main() {
	cmd := lintcmd.NewCommand("lint")
	cmd.ParseFlags(append([]string{"-checks=all"}, os.Args[1:]...))
	for _, a := range slices.Concat(staticcheck.Analyzers, simple.Analyzers, stylecheck.Analyzers, quickfix.Analyzers) {
		if !slices.Contains(unwanted, a.Analyzer.Name) {
			cmd.AddAnalyzers(a)
		}
	}
	cmd.AddAnalyzers(unused.Analyzer)
	cmd.AddBareAnalyzers(
		adapt(uncheckedErrors, skipTests), // a write that failed is sound or a record lost
		adapt(bodyclose.Analyzer, skipTests),
		adapt(rowserr.NewAnalyzer()),
		adapt(ineffassign.Analyzer, parseAgain),
		adapt(spelling, parseAgain),
		adapt(conversions),
		adapt(inline.Analyzer), // calls that "go fix" would replace
	)
	cmd.Run()
}

// adapt returns a copy of an analyzer that works under lintcmd. lintcmd sets
// no ReadFile, and drops a report whose category is not the analyzer's name.
// The copy also drops reports in files that the go command generates, and
// applies changes to each pass before the analyzer runs.
func adapt(original *analysis.Analyzer, changes ...func(*analysis.Pass) error) *analysis.Analyzer {
	a := *original
	a.Run = func(pass *analysis.Pass) (any, error) {
		p := *pass
		p.ReadFile = os.ReadFile
		p.Report = func(d analysis.Diagnostic) {
			if isSource(pass.Fset.Position(d.Pos).Filename) {
				d.Category = a.Name
				pass.Report(d)
			}
		}
		for _, change := range changes {
			if err := change(&p); err != nil {
				return nil, err
			}
		}
		return original.Run(&p)
	}
	return &a
}

// isSource reports whether a file is source code, not one that the go command
// generated: that one has no ".go" at the end of its name in the build cache.
func isSource(name string) bool {
	return filepath.Ext(name) == ".go"
}

// skipTests drops reports in test files.
func skipTests(pass *analysis.Pass) error {
	report := pass.Report
	pass.Report = func(d analysis.Diagnostic) {
		if !strings.HasSuffix(pass.Fset.Position(d.Pos).Filename, "_test.go") {
			report(d)
		}
	}
	return nil
}
