package config

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

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
	at        place
	entries   []*entry
	index     map[string]*entry
	opened    bool // by a header of its own
	elsewhere bool // it had the header of another kind, and is read as one of those
	mended    bool // it has keys that are reported, or some that were written elsewhere
}

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

func (s source) line(at place) int {
	line, _ := s.position(at)
	return line
}

// parse makes the tree of the text. If the text is no TOML, it reports the first
// error and returns nil.
func (r *reader) parse() *table {
	b := builder{r: r, root: &table{}}
	b.open = b.root
	var p unstable.Parser
	p.Reset(r.src.text)
	for p.NextExpression() {
		b.take(&p, p.Expression())
	}
	b.close()
	if p.Error() != nil {
		r.notTOML(&p, b.last)
		return nil
	}
	if len(r.problems) == 0 {
		r.refused()
	}
	return b.root
}

// builder puts expressions into the tree as TOML says where they belong.
type builder struct {
	r    *reader
	root *table
	open *table // where key = value lines go now
	last place  // of the last expression that was read

	name string // of the table at the top that is open; empty: another one is

	// What follows a key that the open table has already, or a header that stands
	// already, may be another table.
	loose *table
	from  *table // the table to which it belongs if it is none
	twice *entry // whose header it is; nil: it has none
}

// close decides whether keys behind one that stands twice, or behind a header that does,
// are a table of their own, and returns the one to which they belong.
func (b *builder) close() *table {
	t, from, twice := b.loose, b.from, b.twice
	b.loose, b.from, b.twice = nil, nil, nil
	if t == nil {
		return b.open
	}
	name := ""
	if b.r.keys != nil {
		name = b.r.fits(t.entries, b.name)
	}
	another := b.r.free(b.root, name)
	if another && twice == nil {
		b.r.headless(b.root, name, t.entries)
		return t
	}
	if twice != nil {
		remedy := say.M("config.table_twice_remedy")
		if another {
			remedy = say.M("config.near_remedy", b.r.tables.brackets(name))
			b.r.place(b.root, name, t)
		}
		b.r.fault(t.at, shown(twice.key), say.M("config.table_twice", b.r.src.line(twice.at)), remedy)
	}
	if another {
		return t
	}
	for _, e := range t.entries {
		if twice != nil && from.find(e.key) != nil {
			continue // the two are to be joined
		}
		if first := from.find(e.key); first != nil {
			b.r.fault(e.at, shown(e.key), say.M("config.key_twice", b.r.src.line(first.at)), say.M("config.key_twice_remedy"))
			continue
		}
		from.add(e.key, e.at, e.val)
	}
	return from
}

func (b *builder) take(p *unstable.Parser, n *unstable.Node) {
	if it := n.Key(); it.Next() {
		b.last = offset(it.Node())
	}
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		b.header(n)
	case unstable.KeyValue:
		b.pair(p, b.open, n)
	}
}

func offset(n *unstable.Node) place { return place(n.Raw.Offset) }

func (b *builder) header(n *unstable.Node) {
	t := b.root
	b.close()
	b.open, b.name = &table{}, "" // a header that cannot stand takes its keys with it
	if b.deep(n) || b.numbered(n) {
		return
	}
	for it := n.Key(); it.Next(); {
		k := it.Node()
		key, at := string(k.Data), offset(k)
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
		fresh, kind := &table{at: at, opened: true}, n.Kind
		if t == b.root {
			kind = b.kind(n.Kind, key, at, e)
			b.name = key
		}
		switch {
		case e == nil && kind == unstable.Table:
			t.add(key, at, &value{kind: unstable.Table, at: at, keys: fresh})
		case e == nil:
			t.add(key, at, &value{kind: unstable.ArrayTable, at: at, list: []*value{{kind: unstable.Table, at: at, keys: fresh}}})
		case kind == unstable.ArrayTable && e.val.kind == unstable.ArrayTable:
			e.val.list = append(e.val.list, &value{kind: unstable.Table, at: at, keys: fresh})
		case kind == unstable.Table && e.val.kind == unstable.Table && !e.val.keys.opened:
			e.val.keys.opened = true
			fresh = e.val.keys
		default:
			if kind == unstable.Table && e.val.kind == unstable.Table && t == b.root {
				b.loose, b.from, b.twice = fresh, e.val.keys, e
				break
			}
			what, remedy := b.stands(kind, e)
			b.r.fault(at, pathTo(n, k), what, remedy)
			return
		}
		b.open = fresh
	}
}

// numbered reports the header of a table that stands any number of times if it goes on
// behind the name, as that of a numbered one does, and opens such a table.
func (b *builder) numbered(n *unstable.Node) bool {
	it := n.Key()
	it.Next()
	key, at := string(it.Node().Data), offset(it.Node())
	if it.IsLast() || b.r.keys == nil || !slices.Contains(b.r.tables.lists, key) {
		return false
	}
	it.Next()
	e := b.root.find(key)
	if slices.Contains(b.r.keys.known[key], string(it.Node().Data)) || e != nil && e.val.kind != unstable.ArrayTable {
		return false
	}
	b.r.fault(at, key, say.M("config.syntax_header_name"), say.M("config.brackets_remedy", b.r.tables.brackets(key)))
	if e == nil {
		e = b.root.add(key, at, &value{kind: unstable.ArrayTable, at: at})
	}
	b.open, b.name = &table{at: at, opened: true}, key
	e.val.list = append(e.val.list, &value{kind: unstable.Table, at: at, keys: b.open})
	return true
}

// kind is what a table at the top is, whatever its brackets say. Wrong ones are
// reported, unless it stands twice.
func (b *builder) kind(written unstable.Kind, key string, at place, e *entry) unstable.Kind {
	switch {
	case written == unstable.Table && slices.Contains(b.r.tables.lists, key):
		b.r.fault(at, key, say.M("config.many", key), say.M("config.brackets_remedy", b.r.tables.brackets(key)))
		return unstable.ArrayTable
	case written == unstable.ArrayTable && slices.Contains(b.r.tables.singles, key):
		if e == nil {
			b.r.fault(at, key, say.M("config.only_once", key), say.M("config.brackets_remedy", b.r.tables.brackets(key)))
		}
		return unstable.Table
	}
	return written
}

// stands says why a header cannot stand where the entry stands already.
func (b *builder) stands(now unstable.Kind, e *entry) (what, remedy say.Message) {
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
			at := offset(it.Node())
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
		key, at := string(k.Data), offset(k)
		e := t.find(key)
		switch {
		case it.IsLast() && e == nil:
			t.add(key, at, b.value(p, n.Value(), at))
		case it.IsLast() && t == b.open && b.name != "" && b.r.keys != nil && len(t.entries) > 1:
			b.loose, b.from = &table{at: at}, b.close()
			b.open = b.loose
			b.open.add(key, at, b.value(p, n.Value(), at))
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
		v.at = offset(n)
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
