package cli

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Some characters (“ ” … · – █ ▶ ✓ ℃ ①) are one column wide in most fonts and two in some
// Chinese ones. No program can ask a terminal which. They count as one, whatever the locale
// is: so the C library counts them, and so do GNOME's and KDE's terminals, xterm, PuTTY
// and Windows Terminal unless told otherwise. A table that guesses wrong has a column
// that is off by one. But what is wider than a terminal would wrap, and what is redrawn
// in its place would leave its remnants: so tables, text that is folded, and bars fit
// either way, and a gauge is made of plain characters.

// Columns measures text as terminals show it.
var Columns = &runewidth.Condition{}

// widest measures text as the widest font shows it.
var widest = &runewidth.Condition{EastAsianWidth: true}

// usualWidth is the width for help that does not go to a terminal.
const usualWidth = 80

const leastFold = 12 // columns; in fewer, text is not folded

// Fold breaks a line of text that does not fit the terminal. The line begins in column at,
// in the widest font; what follows begins in column indent.
func (a *App) Fold(text string, at, indent int) string { return fold(text, Width(a.Out), at, indent) }

// laid folds the lines of a text that do not fit a width; what follows is indented as far
// as its line is. A command to copy, in a line of its own, is left whole.
func laid(text string, width int) string {
	if width == 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		plain := colour.ReplaceAllString(l, "")
		words := strings.TrimLeft(plain, " ")
		if widest.StringWidth(plain) <= width || strings.HasPrefix(plain, "  ") && strings.HasPrefix(words, "dalaba") {
			continue
		}
		lines[i] = fold(l, width, 0, len(plain)-len(words))
	}
	return strings.Join(lines, "\n")
}

// fold breaks a line of text that begins in column at; what follows begins in column
// indent. It breaks after punctuation or a space if there is one near the end of the line:
// between Chinese characters it may be within a word.
func fold(text string, width, at, indent int) string {
	if width-max(at, indent) < leastFold {
		return text
	}
	var lines []string
	var line []string // pieces
	used, room := at, width-indent
	end := func(keep int) {
		lines = append(lines, strings.TrimRight(strings.Join(line[:keep], ""), " "))
		line = slices.Clone(line[keep:])
		used = indent + shown(line...)
	}
	all := pieces(text)
	for i, p := range all {
		w := shown(strings.TrimRight(p, " "))
		if used > indent && used+w > width && w <= room {
			end(breakAt(line, room-w, i == len(all)-1 || shown(all[i:]...) <= orphan))
		}
		for word := strings.TrimRight(p, " "); w > width-used; w = shown(word) { // it is wider than a line
			head := widest.Truncate(word, max(width-used, 0), "")
			line = append(line, head)
			word, p = word[len(head):], p[len(head):]
			end(len(line))
		}
		line = append(line, p)
		used += shown(p)
	}
	lines = append(lines, strings.TrimRight(strings.Join(line, ""), " ")+text[len(strings.TrimRight(text, " ")):])
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

const orphan = 4 // columns: what stands alone in the last line is longer, if it can be

// shown is how wide pieces of text are at most.
func shown(text ...string) int {
	return widest.StringWidth(colour.ReplaceAllString(strings.Join(text, ""), ""))
}

// breakAt is how many pieces of a full line stay in it; room is what the next line has for
// the others. last: without them it would hold but a character or two.
func breakAt(line []string, room int, last bool) int {
	for keep := len(line); keep > 1; keep-- {
		if rest := shown(line[keep:]...); rest > room || rest > shown(line...)/4 {
			break
		}
		if piece := strings.TrimRight(colour.ReplaceAllString(line[keep-1], ""), `”’"`); strings.HasSuffix(piece, " ") ||
			strings.ContainsRune(clauses, lastRune(piece)) {
			return keep
		}
	}
	if keep := len(line) - 2; last && keep > 1 && shown(line[keep:]...) <= min(room, orphan) {
		return keep
	}
	return len(line)
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// What does not begin a line, what does not end one, and what clauses end in.
const (
	closing = "，。、；：？！）》」』】〉”’…—·,.;:?!)%℃\""
	clauses = "，。、；？！）》」』】〉…—"
	opening = "（《「『【〈“‘(\""
)

// pieces cuts a line where it may be broken: after spaces, and beside Chinese characters.
func pieces(text string) (all []string) {
	from, escape := 0, false
	var last rune
	for i, r := range text {
		if r == '\x1b' {
			escape = true
		}
		if escape {
			escape = r != 'm'
			continue
		}
		beside := last != 0 && (Columns.RuneWidth(last) == 2 || Columns.RuneWidth(r) == 2)
		if last == ' ' && r != ' ' || beside && r != ' ' && last != ' ' && !strings.ContainsRune(closing, r) && !strings.ContainsRune(opening, last) {
			all, from = append(all, text[from:i]), i
		}
		last = r
	}
	return append(all, text[from:])
}

// Gauge draws how much of a whole is done.
func Gauge(width int, part, whole time.Duration) string {
	n := 0
	if whole > 0 {
		n = min(width, int(int64(width)*int64(part)/int64(whole)))
	}
	return strings.Repeat("#", n) + strings.Repeat("-", width-n)
}

// Columns of a bar.
const (
	gaugeFull  = 24
	gaugeLeast = 8  // below it there is none
	titleLeast = 24 // that a gauge leaves to a longer title
)

// Bar is a line that is redrawn in its place: whose it is (may be empty), how much of the
// whole is done, in figures too, and the title of what is being done. The gauge shrinks
// before the title is cut.
func (a *App) Bar(name string, part, whole time.Duration, figures, title string) string {
	return bar(max(Width(a.Out), leastFold), name, part, whole, figures, title)
}

func bar(width int, name string, part, whole time.Duration, figures, title string) string {
	if name != "" { // it may be padded
		name = Columns.FillRight(cutWidest(strings.TrimRight(name, " "), width/3), min(Columns.StringWidth(name), width/3)) + " "
	}
	room := width - 1 - widest.StringWidth("  "+name+" "+figures+" ") // a full line wraps on some terminals
	title = Printable(title)
	long := widest.StringWidth(title)
	gauge := ""
	if n := min(gaugeFull, max(room-long, gaugeLeast)); room-n >= min(long, titleLeast) {
		gauge = Gauge(n, part, whole) + " "
	}
	return cutWidest("  "+name+gauge+figures+" "+title, width-1)
}

// cutWidest shortens a line so that it fits in every font.
func cutWidest(text string, width int) string {
	if widest.StringWidth(text) <= width {
		return text
	}
	return widest.Truncate(text, width, "…")
}

// wipeLine removes the line that the cursor is in.
const wipeLine = "\r\x1b[K"

// Redraw puts a line in the place of the one before it, on a terminal; an empty one only
// removes that.
func (a *App) Redraw(line string) {
	if !IsTerminal(a.Out) {
		return
	}
	if width := Width(a.Out); width > 1 {
		line = cutWidest(line, width-1)
	}
	_, _ = a.Out.Write([]byte(wipeLine + line))
}
