package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"dalaba/controller/wording"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

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
	below     = 4 // columns by which a line below its row is indented

	leastTitle = 12 // least width of a column that is cut
	leastText  = 8
	shortest   = 16 // a message as short as that has its place beside its row
)

// Column is a column of a table: its heading, and what becomes of it if the terminal is
// too narrow for the table.
type Column struct {
	head  string
	right bool
	rank  rank
	out   bool // it is left out
	under bool // it stands below its row
}

// rank is what becomes of a column if there is too little room. Columns give way in this
// order; where two are alike, the wider is cut first and the later left out first.
type rank int

const (
	message rank = iota // never cut: what does not fit beside its row is folded below it
	detail              // cut, then left out
	text                // cut
	title               // cut
	extra               // left out, never cut
	key                 // never cut or left out; at worst it stands below its row
)

// column makes a column. A heading that begins with ">" is that of numbers, which are
// aligned to the right.
func column(head string, r rank) Column {
	head, right := strings.CutPrefix(head, ">")
	return Column{head: head, right: right, rank: r}
}

// Message is a column of what is to be read whole: a note, a reason, an ID to copy.
func Message(head string) Column { return column(head, message) }

// Detail is a column that one can do without.
func Detail(head string) Column { return column(head, detail) }

// Title is a column of text that matters most.
func Title(head string) Column { return column(head, title) }

// Extra is a column that one can do without, but that is of no use when it is cut.
func Extra(head string) Column { return column(head, extra) }

// Key is a column of what is always there, whole: a time, an outcome, a number.
func Key(head string) Column { return column(head, key) }

// Table writes rows in columns that line up and, on a terminal, in lines that fit. It
// holds at most a page of rows; a later page is at least as wide as the one before.
type Table struct {
	columns []Column
	say     func(key string, args ...any) string
	whole   string // how else the user gets all columns
	limit   int    // width of the terminal; 0: no limit
	room    int    // that lines take of it
	colour  bool

	rows   [][]Cell
	wants  []int // the widths of the columns, uncut
	short  []int // the same without messages that are long
	widths []int
	begun  bool
	told   int // columns left out that a line below the table has named
}

// NewTable makes a table of columns, each a [Column] or a heading alone: of text or, if it
// begins with ">", of numbers.
func (a *App) NewTable(columns ...any) *Table {
	n := len(columns)
	t := &Table{say: a.Say, whole: a.whole(), colour: a.Colour(), limit: Width(a.Out), wants: make([]int, n), short: make([]int, n), widths: make([]int, n)}
	for _, c := range columns {
		col, ok := c.(Column)
		if head := fmt.Sprint(c); !ok && strings.HasPrefix(head, ">") {
			col = column(head, key)
		} else if !ok {
			col = column(head, text)
		}
		t.columns = append(t.columns, col)
	}
	return t
}

// Add adds a row of strings and cells, and returns true when a page is full:
// then the caller should write Page.
func (t *Table) Add(cells ...any) bool {
	row := make([]Cell, len(t.columns))
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

// Page returns the rows since the last page, with the headings above the first
// page.
func (t *Table) Page() string {
	head := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = Cell{c.head, "1"}
	}
	t.measure(head)
	for _, row := range t.rows {
		t.measure(row)
	}
	text := ""
	for t.room = t.limit; ; t.room-- {
		t.fit()
		text = t.text(head) + t.leftOut()
		if t.limit == 0 || t.room < leastFold || fitsAnyFont(text, t.limit) {
			break
		}
	}
	t.begun = true
	t.told = len(t.outs())
	t.rows = t.rows[:0]
	return text
}

// outs are the headings of the columns that are left out.
func (t *Table) outs() (heads []string) {
	for _, c := range t.columns {
		if c.out {
			heads = append(heads, c.head)
		}
	}
	return heads
}

// leftOut is the line that names the columns that are left out, unless an earlier page
// has.
func (t *Table) leftOut() string {
	outs := t.outs()
	if len(outs) == t.told {
		return ""
	}
	return Paint(fold(t.say("cli.left_out", strings.Join(outs, t.say("view.comma")), t.whole), t.limit, 0, 0), Faint, t.colour) + "\n"
}

// text is the rows, with the headings above the first page.
func (t *Table) text(head []Cell) string {
	var b strings.Builder
	if !t.begun {
		t.line(&b, head)
	}
	for _, row := range t.rows {
		t.under(&b, row, t.line(&b, row))
	}
	return b.String()
}

func fitsAnyFont(text string, width int) bool {
	for line := range strings.Lines(text) {
		if widest.StringWidth(colour.ReplaceAllString(strings.TrimRight(line, "\n"), "")) > width {
			return false
		}
	}
	return true
}

func (t *Table) measure(row []Cell) {
	for i, c := range row {
		w := Columns.StringWidth(c.Text)
		t.wants[i] = max(t.wants[i], w)
		if w <= shortest {
			t.short[i] = max(t.short[i], w)
		}
	}
}

// fit sets the widths so that a line fits the terminal.
func (t *Table) fit() {
	for t.shrink() > 0 && t.giveWay() {
	}
}

// shrink cuts the columns that may be cut, as far as needed, and returns by how much a
// line is still too wide.
func (t *Table) shrink() (over int) {
	over = -len(between) - t.room
	for i, c := range t.columns {
		t.widths[i] = t.wants[i]
		if c.out || c.under {
			t.widths[i] = 0
			continue
		}
		over += t.wants[i] + len(between)
	}
	if t.limit == 0 || over <= 0 {
		return 0
	}
	for i, c := range t.columns {
		if c.rank == message && !c.under {
			over -= t.wants[i] - t.short[i]
			t.widths[i] = t.short[i]
		}
	}
	over = t.narrow(detail, leastText, over)
	if over > 0 && t.last(detail) >= 0 {
		return over
	}
	over = t.narrow(text, leastText, over)
	over = t.narrow(title, leastTitle, over)
	for i, c := range t.columns { // what is left is for messages
		if more := min(-over, t.wants[i]-t.widths[i]); c.rank == message && !c.under && more > 0 {
			t.widths[i] += more
			over += more
		}
	}
	return over
}

// narrow cuts the columns of a rank, the widest first, but none below its heading, and
// returns by how much a line is still too wide.
func (t *Table) narrow(r rank, least, over int) int {
	for ; over > 0; over-- {
		widest := -1
		for i, c := range t.columns {
			if c.rank == r && t.widths[i] > max(least, Columns.StringWidth(c.head)) && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		t.widths[widest]--
	}
	return over
}

// last returns the last column of the ranks that has a place in the line, but not the
// first column; -1 if there is none.
func (t *Table) last(ranks ...rank) int {
	for i, c := range slices.Backward(t.columns) {
		if i > 0 && !c.out && !c.under && slices.Contains(ranks, c.rank) {
			return i
		}
	}
	return -1
}

// giveWay takes a column out of the line; false: there is only one.
func (t *Table) giveWay() bool {
	for _, r := range []rank{detail, extra} {
		if i := t.last(r); i >= 0 {
			t.columns[i].out = true
			return true
		}
	}
	i := t.last(message, text, title, key)
	if i < 0 {
		return false
	}
	t.columns[i].under = true
	return true
}

// line writes the line of a row, and returns which of its columns have no place in it.
func (t *Table) line(b *strings.Builder, row []Cell) (left []int) {
	pad, first := "", true
	for i, c := range row {
		if t.columns[i].out {
			continue
		}
		text, w := c.Text, Columns.StringWidth(c.Text)
		if t.columns[i].under || w > t.widths[i] && t.columns[i].rank == message {
			left = append(left, i)
			text = ""
		}
		if t.columns[i].under {
			continue
		}
		if !first {
			pad += between
		}
		first = false
		if Columns.StringWidth(text) > t.widths[i] {
			text = Columns.Truncate(text, t.widths[i], "…")
		}
		rest := strings.Repeat(" ", t.widths[i]-Columns.StringWidth(text))
		if t.columns[i].right {
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
	return left
}

// under writes below a row what has no place in its line, with the heading unless it is
// plain what that is.
func (t *Table) under(b *strings.Builder, row []Cell, left []int) {
	messages := 0
	for _, c := range t.columns {
		if c.rank == message {
			messages++
		}
	}
	write := func(text string, tone Tone) {
		b.WriteString(strings.Repeat(" ", below) + Paint(fold(text, t.limit, below, below), tone, t.colour) + "\n")
	}
	var short []string
	for _, i := range left {
		if text := row[i].Text; text != "" && t.columns[i].rank != message {
			short = append(short, t.columns[i].head+" "+text)
		}
	}
	if len(short) > 0 {
		write(strings.Join(short, between), Plain)
	}
	for _, i := range left {
		text := row[i].Text
		if text == "" || t.columns[i].rank != message {
			continue
		}
		if messages > 1 {
			text = t.columns[i].head + between + text
		}
		write(text, row[i].Tone)
	}
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
	return wording.ClipTitle(id, title, issue).In(a.Language())
}

// Percent returns a rate together with its two numbers.
func Percent(part, whole int64, rate func() (float64, bool)) string {
	v, ok := rate()
	if !ok {
		return fmt.Sprintf("%d/%d –", part, whole)
	}
	return fmt.Sprintf("%d/%d %s", part, whole, web.Percent(v))
}
