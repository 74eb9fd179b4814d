package config

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist/say"
)

// MaxSize is the most bytes a config may have.
const MaxSize = 16 << 20

// place is an offset in the text.
type place int

// value is one TOML value and where it stands.
type value struct {
	kind unstable.Kind // Table and ArrayTable are those written with headers
	at   place
	text string   // of scalars
	list []*value // of Array and ArrayTable
	keys *table   // of Table and InlineTable
}

// table holds its entries in the order of the file.
type table struct {
	at      place
	entries []*entry
	index   map[string]*entry
	opened  bool            // by a header of its own
	lost    map[string]bool // keys that stand there but could not be read
	torn    bool            // any key may have been lost
}

func (t *table) lose(key string) {
	if t.lost == nil {
		t.lost = map[string]bool{}
	}
	t.lost[key] = true
}

// misses reports whether a key that is not in the table may stand in the file.
func (t *table) misses(key string) bool { return t.torn || t.lost[key] }

// whole reports whether all of the table could be read.
func (t *table) whole() bool { return !t.torn && len(t.lost) == 0 }

type entry struct {
	key  string
	at   place
	val  *value
	seen bool // some rule of ours has read it
}

func (t *table) find(key string) *entry { return t.index[key] }

func (t *table) add(key string, at place, v *value) *entry {
	e := &entry{key: key, at: at, val: v}
	t.entries = append(t.entries, e)
	if t.index == nil {
		t.index = map[string]*entry{}
	}
	t.index[key] = e
	return e
}

// source is the text with what it takes to name places in it.
type source struct {
	text  []byte
	lines []int // offset at which each line begins
}

func newSource(text []byte) source {
	s := source{text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

func (s source) position(at place) (line, column int) {
	line = sort.SearchInts(s.lines, int(at)+1)
	return line, utf8.RuneCount(s.text[s.lines[line-1]:at]) + 1
}

// at is where a line begins; the end of the text for lines beyond it.
func (s source) at(line int) place {
	if line > len(s.lines) {
		return place(len(s.text))
	}
	return place(s.lines[line-1])
}

// lineAt is the text of the whole line in which the place lies.
func (s source) lineAt(at place) []byte {
	text, _, _ := bytes.Cut(s.text[s.lines[s.line(at)-1]:], []byte("\n"))
	return text
}

// unquoted reports whether the place follows a letter or digit at once, as
// the rest of 6:30 or 2m does.
func (s source) unquoted(at place) bool {
	if at == 0 || int(at) >= len(s.text) || s.text[at] == '"' {
		return false
	}
	c := s.text[at-1]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}

func (s source) line(at place) int {
	line, _ := s.position(at)
	return line
}

// parse makes the tree of the text. What is no TOML is reported and left out,
// and the tree remembers that something was there.
func (r *reader) parse() *table {
	b := builder{r: r, root: &table{}}
	b.open = b.root
	for {
		var p unstable.Parser
		p.Reset(r.src.text[b.base:])
		b.good = b.base
		for p.NextExpression() {
			b.take(&p, p.Expression())
		}
		if p.Error() == nil {
			break
		}
		b.slip(&p)
	}
	if len(r.problems) == 0 {
		r.refused()
	}
	return b.root
}

// Syntax is what keeps a text from being TOML, in the order of the text.
func Syntax(file string, text []byte) []Problem {
	r := newReader(file, text, ours)
	r.parse()
	r.finish()
	return r.problems
}

var (
	header = regexp.MustCompile(`(?m)^(\[[A-Za-z_]+\]|\[\[[A-Za-z_]+\]\])[ \t]*(#.*)?\r?$`)

	// What a line looks like with which an expression begins: a header, good or
	// bad, or a key with its equals sign.
	headed = regexp.MustCompile(`^[ \t]*\[+[ \t]*([A-Za-z_]+)[ \t]*\]*[ \t]*(#.*)?\r?$`)
	paired = regexp.MustCompile(`^[ \t]*("[^"]*"|'[^']*'|[^\s#"'\[\]={},]+)[ \t]*(=|＝)`)

	// The key of a line that may lack all else.
	keyed = regexp.MustCompile(`^[ \t]*["']?([A-Za-z0-9_-]+)`)
)

// slip reports the parser's error, and leaves out the lines of the expression
// in which it stands: reading goes on after them.
func (b *builder) slip(p *unstable.Parser) {
	src := b.r.src
	at := b.base + place(len(p.Data()))
	var pe *unstable.ParserError
	if errors.As(p.Error(), &pe) {
		at = b.base + place(p.Range(pe.Highlight).Offset)
	}
	what, remedy := b.r.explainSyntax(at, p.Error().Error())
	if strings.Contains(p.Error().Error(), "multiline") {
		b.slipText(what, remedy)
		return
	}
	line := src.line(at)
	from := b.begins(line)
	text := src.lineAt(src.at(from))
	to := line + 1
	next := line > from && opens(src.lineAt(at)) // the expression was not complete; this is the one after it
	if next && bytes.IndexByte(text, '[') >= 0 {
		what, remedy = say.M("config.syntax_array"), say.M("config.syntax_array_remedy")
	}
	b.r.fault(at, "", what, remedy)
	switch {
	case next:
		to = line
	case line > from || bytes.ContainsAny(text, "[{") && !headed.Match(text):
		for to <= len(src.lines) && !opens(src.lineAt(src.at(to))) {
			to++
		}
	}
	if m := headed.FindSubmatch(text); m != nil {
		b.guess(string(m[1]), src.at(from))
	} else if m := keyed.FindSubmatch(text); m != nil {
		b.open.lose(string(m[1]))
	} else if paired.Match(text) {
		b.open.torn = true // a key in Chinese, perhaps: it may be any
	}
	b.base = src.at(to)
}

// slipText reports a text in three quotes that does not end, where it begins,
// and leaves out all up to the next header.
func (b *builder) slipText(what, remedy say.Message) {
	src := b.r.src
	from := src.line(b.good)
	for l := from; l <= len(src.lines); l++ {
		if text := src.lineAt(src.at(l)); paired.Match(text) && (bytes.Contains(text, []byte(`"""`)) || bytes.Contains(text, []byte(`'''`))) {
			var p unstable.Parser
			p.Reset(src.text[src.at(l):])
			if p.NextExpression(); p.Error() != nil {
				from = l
				break
			}
		}
	}
	b.r.fault(src.at(from), "", what, remedy)
	b.open.torn = true
	b.base = place(len(src.text))
	if rest := src.at(from + 1); int(rest) < len(src.text) {
		if next := header.FindIndex(src.text[rest:]); next != nil {
			b.base = rest + place(next[0])
		}
	}
}

// opens reports whether an expression seems to begin with the line.
func opens(line []byte) bool { return headed.Match(line) || paired.Match(line) }

// begins is the line with which the expression begins in which the parser
// stumbled on that line.
func (b *builder) begins(line int) int {
	src := b.r.src
	from := src.at(src.line(b.good))
	tries := 0
	for l := line; l > src.line(from); l-- {
		if l != line && !opens(src.lineAt(src.at(l))) {
			continue
		}
		var p unstable.Parser
		p.Reset(src.text[from:src.at(l)])
		for p.NextExpression() {
			continue
		}
		if p.Error() == nil {
			return l
		}
		if tries++; tries == 50 {
			return line
		}
	}
	return src.line(from)
}

// guess opens the table that a broken header seems to have meant; where that
// is none of ours, what stands below it goes with it.
func (b *builder) guess(name string, at place) {
	e := b.root.find(name)
	fresh := &table{at: at, opened: true}
	switch {
	case slices.Contains(b.r.tables.lists, name) && e == nil:
		b.root.add(name, at, &value{kind: unstable.ArrayTable, at: at, list: []*value{{kind: unstable.Table, at: at, keys: fresh}}})
	case slices.Contains(b.r.tables.lists, name) && e.val.kind == unstable.ArrayTable:
		e.val.list = append(e.val.list, &value{kind: unstable.Table, at: at, keys: fresh})
	case slices.Contains(b.r.tables.singles, name) && e == nil:
		b.root.add(name, at, &value{kind: unstable.Table, at: at, keys: fresh})
	default:
		b.root.torn = true
	}
	b.open = fresh
}

var fullWidth = map[rune]string{
	'，': ",", '“': `"`, '”': `"`, '‘': "'", '’': "'", '：': ":", '＝': "=", '【': "[", '】': "]", '［': "[", '］': "]",
	'＃': "#", '＂': `"`, '．': ".", '。': ".", '、': ",", '；': ";", '－': "-", '　': " ", '\u00a0': " ",
}

// explainSyntax puts the parser's complaint into words of ours.
func (r *reader) explainSyntax(at place, complaint string) (what, remedy say.Message) {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(complaint, p) {
				return true
			}
		}
		return false
	}
	text := r.src.lineAt(at)
	// Chinese punctuation outside quotes is by far the most frequent slip.
	if wide, ok := wideIn(string(text)); ok && !has("not terminated") {
		return say.M("config.syntax_wide", string(wide)), say.M("config.syntax_wide_remedy", fullWidth[wide])
	}
	switch {
	case has("cannot have new lines", "unterminated", "not terminated"):
		return say.M("config.syntax_quote"), say.M("config.syntax_quote_remedy")
	case has("array is incomplete", "after array value"), has("start of value") && header.Match(text):
		return say.M("config.syntax_array"), say.M("config.syntax_array_remedy")
	case has("inline table"):
		return say.M("config.syntax_inline"), say.M("config.syntax_inline_remedy")
	case has("expected '=' after key"):
		return say.M("config.syntax_equals"), say.M("config.syntax_equals_remedy")
	case has("to close table name", "to close array table name"):
		return say.M("config.syntax_header"), say.M("config.syntax_header_remedy")
	case has("start of key", "expected key"):
		return say.M("config.syntax_key"), say.M("config.syntax_key_remedy")
	case has("escape", `character after \`):
		return say.M("config.syntax_escape"), say.M("config.syntax_escape_remedy")
	case has("control characters", "carriage return"):
		return say.M("config.syntax_control"), say.M("config.syntax_control_remedy")
	case has("expected newline") && !r.src.unquoted(at):
		return say.M("config.syntax_rest"), say.M("config.syntax_rest_remedy")
	case has("leading zeroes"):
		return say.M("config.syntax_zero"), say.M("config.syntax_zero_remedy")
	case has("expected newline", "start of value", "expected value", "expected keyword", "must be quoted", "expected digit", "number", "decimal", "exponent", "radix"):
		return say.M("config.syntax_value"), say.M("config.syntax_value_remedy")
	}
	return say.M("config.syntax"), say.M("config.syntax_remedy")
}

// wideIn finds full-width punctuation of the line that stands outside quotes
// and comments.
func wideIn(line string) (rune, bool) {
	var quote rune
	for _, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return 0, false
		case fullWidth[c] != "":
			return c, true
		}
	}
	return 0, false
}

// refused reports what the library's own reader alone finds wrong.
func (r *reader) refused() {
	var all map[string]any
	err := toml.Unmarshal(r.src.text, &all)
	if err == nil {
		return
	}
	at := place(0)
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := de.Position()
		if row >= 1 && row <= len(r.src.lines) {
			at = place(min(r.src.lines[row-1]+max(column-1, 0), len(r.src.text)))
		}
	}
	r.lack = &Problem{What: say.M("config.refused"), Remedy: say.M("config.refused_remedy")}
	r.lackAt = at
}

// builder puts expressions into the tree as TOML says where they belong.
type builder struct {
	r    *reader
	root *table
	open *table // where key = value lines go now
	base place  // where the parser's text begins
	good place  // of the last expression that was read
}

func (b *builder) take(p *unstable.Parser, n *unstable.Node) {
	if it := n.Key(); it.Next() {
		b.good = b.offset(it.Node())
	}
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		b.header(n)
	case unstable.KeyValue:
		b.pair(p, b.open, n)
	}
}

func (b *builder) offset(n *unstable.Node) place { return b.base + place(n.Raw.Offset) }

func (b *builder) header(n *unstable.Node) {
	t := b.root
	b.open = &table{} // a header that cannot stand takes its keys with it
	if b.deep(n) {
		return
	}
	for it := n.Key(); it.Next(); {
		k := it.Node()
		key, at := string(k.Data), b.offset(k)
		e := t.find(key)
		if !it.IsLast() {
			if e == nil {
				e = t.add(key, at, &value{kind: unstable.Table, at: at, keys: &table{at: at}})
			}
			next := e.val.keys
			if e.val.kind == unstable.ArrayTable {
				next = e.val.list[len(e.val.list)-1].keys
			}
			if next == nil {
				b.r.fault(at, pathTo(n, k), say.M("config.no_table", b.r.src.line(e.at)), say.M("config.no_table_remedy"))
				return
			}
			t = next
			continue
		}
		fresh := &table{at: at, opened: true}
		switch {
		case e == nil && n.Kind == unstable.Table:
			t.add(key, at, &value{kind: unstable.Table, at: at, keys: fresh})
		case e == nil:
			t.add(key, at, &value{kind: unstable.ArrayTable, at: at, list: []*value{{kind: unstable.Table, at: at, keys: fresh}}})
		case n.Kind == unstable.ArrayTable && e.val.kind == unstable.ArrayTable:
			e.val.list = append(e.val.list, &value{kind: unstable.Table, at: at, keys: fresh})
		case n.Kind == unstable.Table && e.val.kind == unstable.Table && !e.val.keys.opened:
			e.val.keys.opened = true
			fresh = e.val.keys
		default:
			what, remedy := b.twice(n.Kind, e)
			b.r.fault(at, pathTo(n, k), what, remedy)
			return
		}
		b.open = fresh
	}
}

// twice says why a header cannot stand where the entry stands already.
func (b *builder) twice(now unstable.Kind, e *entry) (what, remedy say.Message) {
	line := b.r.src.line(e.at)
	switch {
	case e.val.kind != unstable.Table && e.val.kind != unstable.ArrayTable:
		return say.M("config.no_table", line), say.M("config.no_table_remedy")
	case now == unstable.ArrayTable || e.val.kind == unstable.ArrayTable:
		return say.M("config.table_twice", line), say.M("config.brackets_remedy", b.r.tables.brackets(shown(e.key)))
	}
	return say.M("config.table_twice", line), say.M("config.table_twice_remedy")
}

// maxParts is the most parts of a dotted key; ours have two.
const maxParts = 8

// deep reports a dotted key of more parts than any of ours could have.
func (b *builder) deep(n *unstable.Node) bool {
	parts := 0
	for it := n.Key(); it.Next(); {
		if parts++; parts > maxParts {
			at := b.offset(it.Node())
			b.r.fault(at, pathTo(n, it.Node()), say.M("config.key_deep", maxParts), say.M("config.key_deep_remedy"))
			return true
		}
	}
	return false
}

// pathTo is the node's dotted key up to one of its parts.
func pathTo(n, last *unstable.Node) string {
	var parts []string
	for it := n.Key(); it.Next(); {
		parts = append(parts, shown(string(it.Node().Data)))
		if it.Node() == last {
			break
		}
	}
	return strings.Join(parts, ".")
}

func (b *builder) pair(p *unstable.Parser, t *table, n *unstable.Node) {
	if b.deep(n) {
		return
	}
	for it := n.Key(); it.Next(); {
		k := it.Node()
		key, at := string(k.Data), b.offset(k)
		e := t.find(key)
		switch {
		case it.IsLast() && e == nil:
			t.add(key, at, b.value(p, n.Value(), at))
		case it.IsLast():
			b.r.fault(at, pathTo(n, k), say.M("config.key_twice", b.r.src.line(e.at)), say.M("config.key_twice_remedy"))
		case e == nil:
			next := &table{at: at}
			t.add(key, at, &value{kind: unstable.Table, at: at, keys: next})
			t = next
		case e.val.kind == unstable.Table:
			t = e.val.keys
		default:
			b.r.fault(at, pathTo(n, k), say.M("config.no_table", b.r.src.line(e.at)), say.M("config.no_table_remedy"))
			return
		}
	}
}

// value copies a node. Arrays and inline tables have no place of their own
// and take their key's.
func (b *builder) value(p *unstable.Parser, n *unstable.Node, at place) *value {
	v := &value{kind: n.Kind, at: at, text: string(n.Data)}
	if n.Raw.Length > 0 {
		v.at = b.offset(n)
	}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.list = append(v.list, b.value(p, it.Node(), at))
		}
	case unstable.InlineTable:
		v.keys = &table{at: at, opened: true}
		for it := n.Children(); it.Next(); {
			b.pair(p, v.keys, it.Node())
		}
	}
	return v
}
