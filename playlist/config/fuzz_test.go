package config_test

import (
	"bytes"
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

// FuzzCalendar wants no panic, and a calendar or a fault of a list of holidays.
func FuzzCalendar(f *testing.F) {
	for _, text := range []string{
		"日期,类型,名称\r\n2026/10/1,休,国庆节", "2026年10月1日 至 2026年10月7日；班", "20261001\toff # x", "\xd0\xdd,\xb0\xe0", "2026-10-01,休\n2026-10-01,班",
		`{"days":[{"date":"2026-01-01","isOffDay":true},{}]}`, "{\"days\":[\n1", "",
		"开始,结束,类型\n2026-10-01,2026-10-07,休", "2026.10.1-2026.10.7 放假7天\r2026-10-10T00:00:00、2026-10-11(周日) 调休", "\xff\xfe1\x00", `[{"date":1,"holiday":""}]`, "0%!/", `{"holiday":{"10-01":{"date":"2026-10-01","holiday":true}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, problems := config.Read("dalaba.toml", []byte(workdays), dated{lists: map[string]string{"a.csv": string(text)}, desk: true})
		if (c == nil) != config.Refused(problems) || c != nil && (c.Calendar == nil || !slices.IsSorted(c.Calendar.Off) || !slices.IsSorted(c.Calendar.On)) {
			t.Errorf("config %+v with problems %v", c, problems)
		}
		for _, p := range problems {
			if s := p.In(say.Chinese); strings.Contains(s, "%!") && !bytes.Contains(text, []byte("%!")) || strings.Contains(s, "\n") {
				t.Errorf("%q", s)
			}
		}
	})
}
