package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesOfTheSiteAreCompleted(t *testing.T) {
	inVillage(t, func(v *village) {
		v.history()
		for _, c := range []struct {
			args string
			want []string
		}{
			{"asrun --output ", []string{"村口", "West"}},
			{"tone -o ", []string{"村口", "West"}},
			{"asrun --slot ", []string{"早间", "夜间"}},
			{"reach --by ", []string{"clip", "issue", "series", "day", "output", "slot"}},
			{"st", []string{"status"}},
		} {
			for _, config := range []string{filepath.Join(v.dir, "dalaba.toml"), filepath.Join(v.dir, "none.toml")} {
				var out, errs bytes.Buffer
				code := run(v.t.Context(), append([]string{"__complete", "-c", config}, strings.Split(c.args, " ")...), nil, &out, &errs)
				if code != 0 || strings.Contains(errs.String(), "none.toml") {
					t.Errorf("%q: exit %d, %s", c.args, code, errs.String())
				}
				for _, want := range c.want {
					if !strings.Contains(out.String(), want) && filepath.Base(config) == "dalaba.toml" {
						t.Errorf("%q lacks %q: %s", c.args, want, out.String())
					}
				}
			}
		}
	})
}
