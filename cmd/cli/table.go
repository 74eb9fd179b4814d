package cli

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

// Columns measures text as terminals show it. Characters that are wide in some
// fonts only (“”, …, ·, █) count as narrow.
var Columns = &runewidth.Condition{}

// Tone is a meaning that is shown by colour.
type Tone string

// The tones.
const (
	Plain Tone = ""
	Good  Tone = "32"
	Warn  Tone = "33"
	Bad   Tone = "31"
	Faint Tone = "2"
)

// Cell is text with a tone.
type Cell struct {
	Text string
	Tone Tone
}

// Tint makes a cell of text with a tone.
func Tint(text string, t Tone) Cell { return Cell{text, t} }

const (
	tablePage = 500 // rows whose widths are measured together
	between   = "  "
	leastText = 12 // least width of a shortened column
)

// Table writes rows in columns that line up. It holds at most a page of rows; a
// later page is at least as wide as the one before.
type Table struct {
	head   []string
	right  []bool
	limit  int // width of the terminal; 0: no limit
	colour bool

	rows   [][]Cell
	widths []int
	begun  bool
}

// NewTable makes a table. A heading that begins with ">" is that of a column of
// numbers, which are aligned to the right.
func (a *App) NewTable(head ...string) *Table {
	t := &Table{colour: a.Colour(), widths: make([]int, len(head)), limit: Width(a.Out)}
	for _, h := range head {
		text, right := strings.CutPrefix(h, ">")
		t.head, t.right = append(t.head, text), append(t.right, right)
	}
	return t
}

// Add adds a row of strings and cells, and returns true when a page is full:
// then the caller should write Page.
func (t *Table) Add(cells ...any) bool {
	row := make([]Cell, len(t.head))
	for i, c := range cells {
		switch c := c.(type) {
		case Cell:
			row[i] = Cell{Printable(c.Text), c.Tone}
		default:
			row[i] = Cell{Text: Printable(fmt.Sprint(c))}
		}
	}
	t.rows = append(t.rows, row)
	return len(t.rows) >= tablePage
}

// Printable removes what would move the cursor from text that comes from
// elsewhere.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}

// Fold breaks a line of text that does not fit the terminal; what follows begins in
// the given column, as the line does.
func (a *App) Fold(text string, column int) string {
	width := Width(a.Out) - column
	if width < leastText {
		return text
	}
	var b strings.Builder
	for Columns.StringWidth(text) > width {
		head := Columns.Truncate(text, width, "")
		if i := strings.LastIndexByte(head, ' '); i > len(head)/2 {
			head = head[:i]
		}
		b.WriteString(head + "\n" + strings.Repeat(" ", column))
		text = strings.TrimLeft(text[len(head):], " ")
	}
	return b.String() + text
}

// Page returns the rows since the last page, with the headings above the first
// page.
func (t *Table) Page() string {
	for i, h := range t.head {
		t.widths[i] = max(t.widths[i], Columns.StringWidth(h))
	}
	for _, row := range t.rows {
		for i, c := range row {
			t.widths[i] = max(t.widths[i], Columns.StringWidth(c.Text))
		}
	}
	t.fit()
	var b strings.Builder
	if !t.begun {
		t.begun = true
		row := make([]Cell, len(t.head))
		for i, h := range t.head {
			row[i] = Cell{h, "1"}
		}
		t.line(&b, row)
	}
	for _, row := range t.rows {
		t.line(&b, row)
	}
	t.rows = t.rows[:0]
	return b.String()
}

// fit shortens the last column of text so that a line fits the terminal and, if that is
// not enough, the widest ones.
func (t *Table) fit() {
	if t.limit == 0 {
		return
	}
	all, text := len(between)*(len(t.widths)-1), 0
	for i, w := range t.widths {
		all += w
		if !t.right[i] {
			text = i
		}
	}
	over := all - t.limit
	if less := min(over, t.widths[text]-leastText); less > 0 {
		t.widths[text] -= less
		over -= less
	}
	for ; over > 0; over-- {
		widest := -1
		for i, w := range t.widths {
			if !t.right[i] && w > leastText && (widest < 0 || w > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return // no narrower
		}
		t.widths[widest]--
	}
}

func (t *Table) line(b *strings.Builder, row []Cell) {
	pad := ""
	for i, c := range row {
		if i > 0 {
			pad += between
		}
		text := c.Text
		if Columns.StringWidth(text) > t.widths[i] {
			text = Columns.Truncate(text, t.widths[i], "…")
		}
		rest := strings.Repeat(" ", t.widths[i]-Columns.StringWidth(text))
		if t.right[i] {
			pad, rest = pad+rest, ""
		}
		if text != "" {
			b.WriteString(pad)
			b.WriteString(Paint(text, c.Tone, t.colour))
			pad = ""
		}
		pad += rest
	}
	b.WriteByte('\n')
}

// Paint returns text in the colour of a tone, if colour is set.
func Paint(text string, t Tone, colour bool) string {
	if !colour || t == Plain {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// OutcomeTone returns the tone of an outcome.
func OutcomeTone(o asrun.Outcome) Tone {
	switch o {
	case asrun.Complete, "":
		return Good
	case asrun.Partial, asrun.Preempted:
		return Warn
	case asrun.Suppressed:
		return Faint
	}
	return Bad
}

// ClipName returns the name of a clip for people.
func (a *App) ClipName(id playlist.ClipID, title string, issue int) string {
	switch {
	case title == "":
		return id.Short()
	case issue > 0 && !playlist.SaysIssue(title, issue):
		return a.Say("run.issue", issue) + title
	}
	return title
}

// Percent returns a rate together with its two numbers.
func Percent(part, whole int64, rate func() (float64, bool)) string {
	v, ok := rate()
	if !ok {
		return fmt.Sprintf("%d/%d –", part, whole)
	}
	return fmt.Sprintf("%d/%d %s", part, whole, web.Percent(v))
}
