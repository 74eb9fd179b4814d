package cli

import (
	"bytes"
	"strings"
	"testing"

	"dalaba/playlist/asrun"
)

func TestColumnsLineUp(t *testing.T) {
	a := &App{Out: &bytes.Buffer{}}
	tab := a.NewTable("输出", ">count", "name")
	rows := [][]any{{"村口", 1, "“体温”怎么量…"}, {"West pole", 12345, "Oxygen"}, {"", 7, ""}, {"ｆｕｌｌ宽", 0, "é"}}
	for _, r := range rows {
		tab.Add(r...)
	}
	lines := strings.Split(strings.TrimSuffix(tab.Page(), "\n"), "\n")
	if len(lines) != 5 {
		t.Fatal(lines)
	}
	for i, line := range lines[1:] {
		name := rows[i][2].(string)
		at := strings.Index(line, name)
		if name == "" {
			continue
		}
		if w := Columns.StringWidth(line[:at]); w != 10+2+5+2 {
			t.Errorf("%q begins at column %d", line, w)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("%q ends in spaces", line)
		}
	}
	if w := Columns.StringWidth(lines[3]); w != 10+2+5 {
		t.Errorf("%q is %d wide", lines[3], w)
	}
}

func TestTheLastTextIsShortenedToFit(t *testing.T) {
	a := &App{Out: &bytes.Buffer{}}
	tab := a.NewTable("name", "note", ">n")
	tab.limit = 40
	tab.Add("一二三四", strings.Repeat("很长的说明", 10), 5)
	tab.Add("x", "short", 1234)
	for _, line := range strings.Split(strings.TrimSuffix(tab.Page(), "\n"), "\n") {
		if w := Columns.StringWidth(line); w > 40 {
			t.Errorf("%d columns: %q", w, line)
		}
	}
	tab = a.NewTable("name")
	tab.limit = 5
	tab.Add("longer than that")
	if got := tab.Page(); !strings.Contains(got, "longer than…") {
		t.Errorf("%q", got)
	}
}

func TestALaterPageHasNoHeadingAndIsNoNarrower(t *testing.T) {
	a := &App{Out: &bytes.Buffer{}}
	tab := a.NewTable("a", "b")
	for range tablePage - 1 {
		if tab.Add("wide enough", "x") {
			t.Fatal("full too early")
		}
	}
	if !tab.Add("wide enough", "x") {
		t.Fatal("not full")
	}
	if n := strings.Count(tab.Page(), "\n"); n != tablePage+1 {
		t.Errorf("%d lines", n)
	}
	tab.Add("y", "x")
	if got := tab.Page(); got != "y            x\n" {
		t.Errorf("%q", got)
	}
}

func TestTextFromElsewhereCannotMoveTheCursor(t *testing.T) {
	if got := Printable("a\x1b[2J\nb\u202ec"); got != "a [2J b c" {
		t.Errorf("%q", got)
	}
}

func TestColourDoesNotCountAsWidth(t *testing.T) {
	a := &App{Out: &bytes.Buffer{}}
	tab := a.NewTable("a", "b")
	tab.colour = true
	tab.Add(Cell{"完整", Good}, "x")
	tab.Add("longer", "x")
	if got := tab.Page(); got != "\x1b[1ma\x1b[0m       \x1b[1mb\x1b[0m\n\x1b[32m完整\x1b[0m    x\nlonger  x\n" {
		t.Errorf("%q", got)
	}
}

func TestARateIsNotRoundedUpTo100OrDownTo0(t *testing.T) {
	for _, c := range []struct {
		part, whole int
		want        string
	}{{0, 0, "0/0 –"}, {0, 5, "0/5 0%"}, {1, 1000, "1/1000 1%"}, {999, 1000, "999/1000 99%"}, {5, 5, "5/5 100%"}, {2, 3, "2/3 67%"}} {
		r := asrun.Reach{Completed: c.part, Planned: c.whole}
		if got := Percent(int64(c.part), int64(c.whole), r.Completion); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
