package config_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// FuzzRead wants no panic, a config or a fault, and problems in the order of
// the file that stand within it and speak both languages.
func FuzzRead(f *testing.F) {
	sample, err := os.ReadFile("../../cmd/dalaba/dalaba.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	f.Add([]byte(whole))
	for _, b := range broken {
		f.Add([]byte(b.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, problems := config.Read("dalaba.toml", text, shelf{})
		if (c == nil) != config.Refused(problems) {
			t.Errorf("config %v with problems %v", c, problems)
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Column < 1 {
				t.Errorf("%v stands at %d:%d of %d lines", p, p.Line, p.Column, lines)
			}
			for _, l := range []say.Lang{say.Chinese, say.English} {
				if s := p.In(l); strings.Contains(s, "%!") || strings.Contains(s, "\n") {
					t.Errorf("%s: %q", l, s)
				}
			}
		}
		if !slices.IsSortedFunc(problems, func(a, b config.Problem) int { return a.Line - b.Line }) {
			t.Errorf("out of order: %v", problems)
		}
	})
}
