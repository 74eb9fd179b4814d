package config

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist/say"
)

// keys are those that each table may have, and of these the ones that it must have.
type keys struct {
	known, needed map[string][]string
	forms         map[string]map[string]form // of their values, by table
}

// ourKeys are the keys of dalaba.toml. Tables without a key are read to find out for
// which they are asked.
var ourKeys func() *keys

func init() { ourKeys = sync.OnceValue(readKeys) }

func readKeys() *keys {
	var text strings.Builder
	for _, name := range ours.all() {
		text.WriteString(ours.brackets(name) + "\n")
	}
	r := newReader("", []byte(text.String()), ours)
	r.learning = true
	r.config(r.parse())
	k := &keys{map[string][]string{}, map[string][]string{}, map[string]map[string]form{}}
	for _, s := range r.read {
		k.known[s.kind()], k.needed[s.kind()], k.forms[s.kind()] = s.asks, s.needs, s.forms
	}
	return k
}

// homes are the tables that may have a key.
func (r *reader) homes(key string) (all []string) {
	for _, name := range r.tables.all() {
		if slices.Contains(r.keys.known[name], key) {
			all = append(all, name)
		}
	}
	return all
}

// fits is the table that must have been meant if it has just these entries; empty if
// there is none. Of several it is the one of the kind given, else the one with the
// fewest keys.
func (r *reader) fits(entries []*entry, like string) (fit string) {
	for _, name := range r.tables.all() {
		known := func(key string) bool { return slices.Contains(r.keys.known[name], key) }
		fitting := len(entries) > 1
		for _, e := range entries {
			fitting = fitting && known(e.key)
		}
		for _, key := range r.keys.needed[name] {
			fitting = fitting && slices.ContainsFunc(entries, func(e *entry) bool { return e.key == key })
		}
		if fitting && (fit == "" || fit != like && (name == like || len(r.keys.known[name]) < len(r.keys.known[fit]))) {
			fit = name
		}
	}
	return fit
}

// mend reports what stands in a table that cannot have it, and puts it where it
// belongs, if that is clear, so that what is read afterwards finds it: one slip is one
// problem, and no table or key is missed that is there.
func (r *reader) mend(root *table) {
	r.mendTop(root)
	r.order(root)
	for _, name := range r.tables.all() {
		for i, t := range tablesAt(root, name) {
			path := name
			if slices.Contains(r.tables.lists, name) {
				path += "[" + itoa(i+1) + "]"
			}
			r.mendTable(root, name, path, t)
		}
	}
	r.order(root)
}

// order puts tables of one name into the order of the text, without those that are
// elsewhere now.
func (r *reader) order(root *table) {
	for _, name := range r.tables.lists {
		if e := root.find(name); e != nil {
			e.val.list = slices.DeleteFunc(e.val.list, func(v *value) bool { return v.keys != nil && v.keys.elsewhere })
			slices.SortStableFunc(e.val.list, func(a, b *value) int { return cmp.Compare(a.at, b.at) })
		}
	}
}

// tablesAt are the tables of a name.
func tablesAt(root *table, name string) (all []*table) {
	e := root.find(name)
	switch {
	case e == nil:
	case e.val.keys != nil:
		all = append(all, e.val.keys)
	default:
		for _, v := range e.val.list {
			if v.keys != nil {
				all = append(all, v.keys)
			}
		}
	}
	return all
}

// mendTop mends tables with a name that is none, and keys before the first header.
func (r *reader) mendTop(root *table) {
	var loose []*entry
	for _, e := range root.entries {
		if e.seen || slices.Contains(r.tables.all(), e.key) {
			continue
		}
		if e.val.kind != unstable.Table && e.val.kind != unstable.ArrayTable {
			loose = append(loose, e)
			continue
		}
		e.seen = true
		tables := e.val.list
		if e.val.keys != nil {
			tables = []*value{e.val}
		}
		name := Near(e.key, r.tables.all())
		if name == "" {
			name = r.fits(tables[0].keys.entries, "")
		}
		remedy := say.M("config.known_tables_remedy", all(r.tables.all()))
		if name == "" {
			r.lost = true
		} else {
			remedy = say.M("config.near_remedy", r.tables.brackets(name))
			for _, v := range tables {
				if len(v.keys.entries) > 0 {
					r.place(root, name, v.keys)
				}
			}
		}
		r.fault(e.at, shown(e.key), say.M("config.unknown_table", shown(e.key)), remedy)
	}
	if home := r.fits(loose, ""); r.free(root, home) {
		r.headless(root, home, loose)
		return
	}
	for _, e := range loose {
		e.seen = true
		remedy := say.M("config.known_tables_remedy", all(r.tables.all()))
		if n := Near(e.key, r.tables.all()); n != "" {
			remedy = say.M("config.near_remedy", r.tables.brackets(n))
			r.lost = true
		} else if homes := r.homes(e.key); len(homes) > 0 {
			remedy = r.moved(root, homes, e)
		}
		r.fault(e.at, shown(e.key), say.M("config.loose_key", shown(e.key)), remedy)
	}
}

// free reports whether there is room for a table of a name: it may stand several times,
// or has no header yet.
func (r *reader) free(root *table, name string) bool {
	if name == "" || slices.Contains(r.tables.lists, name) {
		return name != ""
	}
	e := root.find(name)
	return e == nil || e.val.keys != nil && !e.val.keys.opened
}

// place puts a table beside those of its name.
func (r *reader) place(root *table, name string, t *table) {
	e := root.find(name)
	if slices.Contains(r.tables.singles, name) {
		switch {
		case e == nil:
			root.add(name, t.at, &value{kind: unstable.Table, at: t.at, keys: t})
		case e.val.keys != nil:
			for _, x := range t.entries {
				if e.val.keys.find(x.key) == nil {
					e.val.keys.add(x.key, x.at, x.val)
				}
			}
		}
		return
	}
	v := &value{kind: unstable.Table, at: t.at, keys: t}
	switch {
	case e == nil:
		root.add(name, t.at, &value{kind: unstable.ArrayTable, at: t.at, list: []*value{v}})
	case e.val.kind == unstable.ArrayTable || e.val.kind == unstable.Array:
		e.val.list = append(e.val.list, v)
	}
}

// headless reports entries that lack the header of their table, and gives them one.
func (r *reader) headless(root *table, name string, entries []*entry) {
	t := &table{at: entries[0].at, opened: true}
	for _, e := range entries {
		e.seen = true
		t.add(e.key, e.at, e.val)
	}
	r.place(root, name, t)
	r.fault(t.at, shown(entries[0].key), say.M("config.headless", shown(entries[0].key)), say.M("config.headless_remedy", r.tables.brackets(name)))
}

// moved says where a key belongs, and puts it there if just one table lacks it.
func (r *reader) moved(root *table, homes []string, e *entry) say.Message {
	e.seen = true
	headers := make([]string, len(homes))
	for i, h := range homes {
		headers[i] = r.tables.brackets(h)
	}
	if h := root.find(homes[0]); len(homes) == 1 && h != nil && len(h.val.list) <= maxSpans { // more are too many to guess among
		var lacking []*table
		for _, t := range tablesAt(root, homes[0]) {
			if t.find(e.key) == nil {
				lacking = append(lacking, t)
			}
			if len(lacking) > 1 {
				break
			}
		}
		if len(lacking) == 1 {
			lacking[0].add(e.key, e.at, e.val).seen = true
			lacking[0].mended = true
		}
	}
	return say.M("config.home_remedy", all(headers))
}

// mendTable mends keys that their table cannot have.
func (r *reader) mendTable(root *table, name, path string, t *table) {
	r.mendFree(root, name, t)
	var strange []*entry
	for _, e := range t.entries {
		if !slices.Contains(r.keys.known[name], e.key) {
			strange = append(strange, e)
		}
	}
	if len(strange) == 0 || r.misheaded(root, name, t) {
		return
	}
	t.mended = true
	tail := t.entries[len(t.entries)-len(strange):]
	if home := r.fits(strange, name); slices.Equal(strange, tail) && r.free(root, home) {
		r.headless(root, home, strange)
		return
	}
	var lacking []string
	for _, key := range r.keys.needed[name] {
		if t.find(key) == nil {
			lacking = append(lacking, key)
		}
	}
	for i, e := range strange {
		meant := Near(plainly(e.key), r.keys.known[name])
		if (meant == "" || t.find(meant) != nil) && len(strange) == len(lacking) && t.find(lacking[i]) == nil {
			meant = lacking[i]
		}
		switch homes := r.homes(e.key); {
		case e.val.keys != nil && slices.Contains(r.tables.all(), e.key):
			e.seen = true
			r.place(root, e.key, e.val.keys)
			r.unknownKey(path, e, say.M("config.near_remedy", r.tables.brackets(e.key)))
		case len(homes) > 0 && len(lacking) == 0:
			r.unknownKey(path, e, r.moved(root, homes, e))
		case meant != "" && t.find(meant) == nil:
			t.index[meant] = e
			e.seen = true
			r.unknownKey(path, e, r.meant(name, meant, e.val))
		case len(homes) > 0:
			r.unknownKey(path, e, r.moved(root, homes, e))
		}
	}
}

// misheaded reports a table that has the header of another kind, and puts it among
// those.
func (r *reader) misheaded(root *table, name string, t *table) bool {
	meant := r.fits(t.entries, name)
	if len(t.entries) < 3 || !slices.Contains(r.tables.lists, name) || !slices.Contains(r.tables.lists, meant) {
		return false
	}
	t.elsewhere = true
	moved := *t
	moved.elsewhere = false
	r.place(root, meant, &moved)
	r.fault(t.at, name, say.M("config.wrong_header", r.tables.brackets(name)), say.M("config.near_remedy", r.tables.brackets(meant)))
	return true
}

// meant is the remedy for a key that was written for another: the key, with its value
// if that must be written in another way, too.
func (r *reader) meant(table, key string, v *value) say.Message {
	f := r.keys.forms[table][key]
	if table == "playlist" && key == "clips" {
		f = asClips(r.lib)
	}
	if isList := v.kind == unstable.Array; isList != f.list {
		if good := f.rewrite(key, v); good.Key != "" {
			return good
		}
	}
	return say.M("config.near_remedy", key)
}

// unknownKey reports a key that its table cannot have.
func (r *reader) unknownKey(path string, e *entry, remedy say.Message) {
	key := path + "." + shown(e.key)
	if c, found := hidden(e.key); found {
		r.exact(Fault, r.spot(&value{at: e.at, text: e.key}, c), key, say.M("config.hidden", called(c)), mendHidden(c))
		return
	}
	r.fault(e.at, key, say.M("config.unknown_key", shown(e.key)), remedy)
	r.strays[r.src.line(e.at)] = true
}

// mendFree looks into the tables of a table: their keys are free, so that the keys of
// a table whose header is missing end up in them.
func (r *reader) mendFree(root *table, name string, t *table) {
	for _, e := range t.entries {
		if e.val.kind != unstable.Table || e.val.keys == nil || !slices.Contains(r.keys.known[name], e.key) {
			continue
		}
		in := e.val.keys
		first := slices.IndexFunc(in.entries, func(e *entry) bool { return len(r.homes(e.key)) > 0 })
		if first < 0 {
			continue
		}
		tail := in.entries[first:]
		if home := r.fits(tail, ""); r.free(root, home) {
			r.headless(root, home, tail)
			in.entries = in.entries[:first]
		}
	}
}
