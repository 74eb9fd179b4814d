package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"dalaba/cmd/cli"
	"dalaba/playlist/asrun"
)

// What the table says of a rate, the spreadsheet says too.
func TestAFigureIsRoundedAlikeInTheTableAndInTheSpreadsheet(t *testing.T) {
	var lines []asrun.Reach
	for i, c := range [][2]int{{0, 3}, {1, 3}, {2, 3}, {5, 8}, {1, 1000}, {999, 1000}, {29, 200}, {420, 680}, {7, 7}, {0, 0}} {
		lines = append(lines, asrun.Reach{
			Key: fmt.Sprint("line", i), Completed: c[0], Planned: c[1], Reached: 10 * c[0], Residents: 10 * c[1], PersonAirings: int64(13 * c[0] * (i + 1)),
		})
	}
	var out bytes.Buffer
	a := &app{App: cli.New("dalaba", []string{"--lang=en"}, nil, &out, &out)}
	table := map[string][]string{}
	for _, l := range strings.Split(a.reachTable(lines, asrun.Reach{}, asrun.ByOutput), "\n") {
		table[strings.Fields(l)[0]] = strings.Fields(l)
	}
	if err := a.ReachCSV(cli.CSVSheet, a.reachNames(asrun.ByOutput), lines, asrun.Reach{}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, head := range rows[0] {
		column[head] = i
	}
	for _, row := range rows[1:] {
		cells := table[row[0]]
		for i, head := range map[int]string{7: "completion", 9: "reach rate", 11: "frequency"} { // each behind its numbers
			want := cells[i]
			if want == "–" {
				want = ""
			}
			if got := row[column[head]]; got != want {
				t.Errorf("%s of %s: %q in the spreadsheet, %q in the table", head, row[0], got, want)
			}
		}
	}
	if len(rows) != len(lines)+2 {
		t.Errorf("%d rows", len(rows))
	}
}
