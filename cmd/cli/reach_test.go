package cli_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"dalaba/cmd/cli"
)

func TestChangedResidentsStayCalm(t *testing.T) {
	fell := []cli.Figure{{Residents: 400, Since: "2026-11-23"}, {Residents: 300, Since: "2026-11-28"}}
	long := []cli.Figure{{200, "a"}, {900, "b"}, {100, "c"}, {300, "d"}, {400, "e"}, {500, "f"}}
	var many []cli.Changed
	for n := range 11 {
		many = append(many, cli.Changed{Output: fmt.Sprint("c", n), Figures: fell})
	}
	for _, c := range []struct {
		lang string
		list []cli.Changed
		want []string
	}{
		{"zh_CN", nil, []string{""}},
		{"zh_CN", []cli.Changed{{"村\x1b口", fell}}, []string{
			"这段时间里，听得到的人数变过的输出：",
			"输出   人数  从何时起",
			"村 口   400  2026-11-23",
			"        300  2026-11-28",
			"人次按每次播出时的人数；到达和目标每路只算一次，取各次播出中最多的人数。",
		}},
		{"en_US", []cli.Changed{{"c1 West", long}}, []string{
			"Outputs whose residents in earshot changed in this period:",
			"output   residents  since",
			"c1 West          …",
			"               900  b",
			"                 …",
			"               300  d",
			"               400  e",
			"               500  f",
			"Person-airings take each airing's own figure; reached and targeted the largest.",
		}},
	} {
		t.Setenv("LC_ALL", c.lang+".UTF-8")
		got := strings.Split(cli.New("dalaba", nil, nil, io.Discard, io.Discard).ChangedResidents(c.list), "\n")
		if !slices.Equal(got, c.want) {
			t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	got := cli.New("dalaba", nil, nil, io.Discard, io.Discard).ChangedResidents(many)
	if lines := strings.Count(got, "\n"); lines != 1+1+8*2+1 || !strings.Contains(got, "and 3 more") || strings.Contains(got, "c8") {
		t.Errorf("of 11 outputs:\n%s", got)
	}
}
