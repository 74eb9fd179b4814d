package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

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

// What becomes of a table in ever narrower terminals.
func TestColumnsGiveWayByWhatTheyMatter(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		want  string
	}{
		{"no terminal", 0, `
due       slot                   note on it              title                              n  version  outcome
07:30:00  the morning programme  a detail of the matter  a long title that matters to all   5  1.2.345  failed · no clip of the playlist could be aired
18:00:00  evening                x                       short                             12  1.2.345  complete
`},
		{"the long message goes below", 110, `
due       slot                   note on it            title                              n  version  outcome
07:30:00  the morning programme  a detail of the mat…  a long title that matters to all   5  1.2.345
    failed · no clip of the playlist could be aired
18:00:00  evening                x                     short                             12  1.2.345  complete
`},
		{"the detail is cut", 100, `
due       slot                   note on it  title                              n  version  outcome
07:30:00  the morning programme  a detail …  a long title that matters to all   5  1.2.345
    failed · no clip of the playlist could be aired
18:00:00  evening                x           short                             12  1.2.345  complete
`},
		{"and left out", 90, `
due       slot                   title                              n  version  outcome
07:30:00  the morning programme  a long title that matters to all   5  1.2.345
    failed · no clip of the playlist could be aired
18:00:00  evening                short                             12  1.2.345  complete
窄了，没有显示：note on it。加宽终端看全部
`},
		{"text is cut before a title", 75, `
due       slot      title                              n  version  outcome
07:30:00  the mor…  a long title that matters to all   5  1.2.345
    failed · no clip of the playlist could be aired
18:00:00  evening   short                             12  1.2.345  complete
窄了，没有显示：note on it。加宽终端看全部
`},
		{"then the title", 55, `
due       slot      title          n  version  outcome
07:30:00  the mor…  a long titl…   5  1.2.345
    failed · no clip of the playlist could be aired
18:00:00  evening   short         12  1.2.345  complete
窄了，没有显示：note on it。加宽终端看全部
`},
		{"an extra is left out, not cut", 50, `
due       slot      title              n  outcome
07:30:00  the mor…  a long title th…   5
    failed · no clip of the playlist could be
    aired
18:00:00  evening   short             12  complete
窄了，没有显示：note on it、version。
加宽终端看全部
`},
		{"what is always there goes below", 30, `
due       slot
07:30:00  the morning progra…
    title a long title that
    matters to all  n 5
    failed · no clip of the
    playlist could be aired
18:00:00  evening
    title short  n 12
    complete
窄了，没有显示：note on it、
version。加宽终端看全部
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := (&App{Out: &bytes.Buffer{}}).NewTable(Key("due"), "slot", Detail("note on it"), Title("title"), ">n", Extra("version"), Message("outcome"))
			tab.limit = c.limit
			tab.Add("07:30:00", "the morning programme", "a detail of the matter", "a long title that matters to all", 5, "1.2.345", "failed · no clip of the playlist could be aired")
			tab.Add("18:00:00", "evening", "x", "short", 12, "1.2.345", "complete")
			if got := "\n" + tab.Page(); got != c.want {
				t.Errorf("it is%swant%s", got, c.want)
			}
			if c.limit > 0 && !fitsAnyFont(c.want, c.limit) {
				t.Error("it is too wide in some fonts")
			}
		})
	}
}

func TestColumnsThatAreLeftOutAreNamedOnce(t *testing.T) {
	for _, c := range []struct {
		name, verb, want string
	}{
		{"a verb with CSV", "reach", "窄了，没有显示：频次。加宽终端，或用 --csv、--json 看全部\n"},
		{"a verb without", "status", "窄了，没有显示：频次。加宽终端看全部\n"},
	} {
		a := &App{Out: &bytes.Buffer{}}
		reach, form := a.JSONFlag(&cobra.Command{Use: "reach"}), CSVForm("")
		a.CSVFlag(reach, &form)
		for _, verb := range []*cobra.Command{reach, {Use: "status"}} {
			if verb.Name() == c.verb {
				a.verb = verb
			}
		}
		tab := a.NewTable(Key("输出"), Extra(">频次"))
		tab.limit = 82
		for range 2 {
			tab.Add(strings.Repeat("村", 40), "1/2 3")
			page := tab.Page()
			if !strings.HasSuffix(page, c.want) || strings.Contains(page, "频次") != (c.want != "") {
				t.Errorf("%s: %s", c.name, page)
			}
			c.want = "" // of the next page
		}
	}
}

func TestWhatIsCutKeepsItsHeading(t *testing.T) {
	tab := (&App{Out: &bytes.Buffer{}}).NewTable(Key("ID"), "the long heading", Message("where"))
	tab.limit = 40
	tab.Add("9b3a108f30cc", "a text that is longer than its heading", "somewhere else altogether")
	if got, want := tab.Page(), "ID            the long heading     where\n9b3a108f30cc  a text that is lon…\n    somewhere else altogether\n"; got != want {
		t.Errorf("it is\n%swant\n%s", got, want)
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
