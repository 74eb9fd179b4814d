package cli

import (
	"bytes"
	"testing"
	"time"
)

func TestASpreadsheetComputesNothingOfWhatIsText(t *testing.T) {
	for _, c := range []struct {
		name       string
		cell       any
		sheet, raw string
	}{
		{"words", "发烧了怎么办", "发烧了怎么办", "发烧了怎么办"},
		{"a formula", `=HYPERLINK("http://x")`, `"'=HYPERLINK(""http://x"")"`, `"'=HYPERLINK(""http://x"")"`},
		{"a plus", "+1", "'+1", "'+1"},
		{"a minus", "-1", "'-1", "'-1"},
		{"an at sign", "@SUM(A1)", "'@SUM(A1)", "'@SUM(A1)"},
		{"a tab", "\t=1", "'\t=1", "'\t=1"},
		{"a carriage return", "\r=1", `"'=1"`, `"'=1"`},
		{"a full-width equals sign", "＝1+1", "'＝1+1", "＝1+1"},
		{"a full-width plus", "＋1", "'＋1", "＋1"},
		{"a full-width minus", "－1", "'－1", "－1"},
		{"a full-width at sign", "＠x", "'＠x", "＠x"},
		{"a formula for people", Cell{Text: "=1"}, "'=1", "'=1"},
		{"a sign within", "1=1", "1=1", "1=1"},
		{"a real negative number", Number("-6.5"), "-6.5", "-6.5"},
		{"a negative count", -6, "-6", "-6"},
		{"an ID that looks like a number", "123e45678901", "'123e45678901", "123e45678901"},
		{"an area", "341523100201", "'341523100201", "341523100201"},
		{"a name with a zero in front", "0730", "'0730", "0730"},
		{"a year", "2026", "2026", "2026"},
		{"a share", Number("66%"), "66%", "66%"},
		{"an instant", Local(time.Date(2026, 11, 22, 23, 30, 5, 999, time.UTC), time.FixedZone("", 8*3600)), "2026-11-23 07:30:05", "2026-11-23 07:30:05"},
		{"no instant", Local(time.Time{}, time.UTC), "", ""},
	} {
		for form, want := range map[CSVForm]string{CSVSheet: c.sheet, CSVRaw: c.raw} {
			var out bytes.Buffer
			w, err := NewCSV(&out, form, "head")
			if err == nil {
				err = w.Add(c.cell)
			}
			if err == nil {
				err = w.End()
			}
			if want = "\ufeffhead\r\n" + want + "\r\n"; err != nil || out.String() != want {
				t.Errorf("%s, %s: %q, want %q; %v", c.name, form, out.String(), want, err)
			}
		}
	}
}
