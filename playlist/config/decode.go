package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist/say"
)

// Document is a TOML text that was read into a struct, with all that is wrong
// with it.
type Document struct {
	r     *reader
	root  *table          // nil if the text is no TOML
	wrong map[string]bool // keys of which a problem was told
}

// Decode reads a text strictly into the struct that v points to. Its fields
// with a toml tag are tables: a struct one that stands once, a slice of structs
// one that stands any number of times. The fields of those are keys: strings,
// whole numbers, booleans, pointers to these, lists of strings, and maps of
// strings. Every problem is noted, with the remedy of its kind or, if its kind
// has none, the caller's, and all that is good is read. Of a text that is no
// TOML only the first error is noted, and nothing is read.
func Decode(file string, text []byte, v any, remedy say.Message) *Document {
	into := reflect.ValueOf(v).Elem()
	d := &Document{r: newReader(file, text, tablesOf(into.Type())), wrong: map[string]bool{}}
	d.r.keys = keysOf(into.Type())
	if d.r.legible() {
		d.root = d.r.parse()
	}
	if d.root != nil {
		d.r.mend(d.root)
		for f, name := range tagged(into.Type()) {
			to := into.FieldByIndex(f.Index)
			if to.Kind() == reflect.Struct {
				if s := d.r.one(d.root, name); s != nil {
					s.fill(to, remedy)
				}
				continue
			}
			for _, s := range d.r.many(d.root, name) {
				one := reflect.New(to.Type().Elem()).Elem()
				s.fill(one, remedy)
				to.Set(reflect.Append(to, one))
			}
		}
	}
	for _, p := range d.r.problems {
		d.wrong[p.Key] = true
	}
	return d
}

// tagged are the fields of a struct that stand in a file, with their names
// there.
func tagged(t reflect.Type) func(func(reflect.StructField, string) bool) {
	return func(yield func(reflect.StructField, string) bool) {
		for i := range t.NumField() {
			if name := t.Field(i).Tag.Get("toml"); name != "" && !yield(t.Field(i), name) {
				return
			}
		}
	}
}

func tablesOf(t reflect.Type) (all tables) {
	for f, name := range tagged(t) {
		if f.Type.Kind() == reflect.Struct {
			all.singles = append(all.singles, name)
		} else {
			all.lists = append(all.lists, name)
		}
	}
	return all
}

func keysOf(t reflect.Type) *keys {
	all, forms := map[string][]string{}, map[string]map[string]form{}
	for f, name := range tagged(t) {
		forms[name] = map[string]form{}
		of := f.Type
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		for in, key := range tagged(of) {
			all[name] = append(all[name], key)
			forms[name][key] = formOf(in.Type)
		}
	}
	return &keys{known: all, forms: forms}
}

// formOf is the form of a field; none for a number, of which the caller knows the range.
func formOf(t reflect.Type) form {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return asText
	case reflect.Bool:
		return asYes
	case reflect.Slice:
		return asList
	}
	return form{}
}

// fill reads the section into a struct.
func (s *section) fill(to reflect.Value, remedy say.Message) {
	for f, key := range tagged(to.Type()) {
		field := to.FieldByIndex(f.Index)
		of := f.Type
		if of.Kind() == reflect.Pointer {
			if !s.has(key) {
				s.asks = append(s.asks, key)
				continue
			}
			of = of.Elem()
			field.Set(reflect.New(of))
			field = field.Elem()
		}
		switch of.Kind() {
		case reflect.String:
			if v := s.want(key, unstable.String, say.M("config.quote_remedy", key, "...")); v != nil {
				field.SetString(v.text)
			}
		case reflect.Int:
			v := s.want(key, unstable.Integer, remedy)
			if v == nil {
				continue
			}
			// One too large is the largest: the caller knows the range.
			n, _ := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, strconv.IntSize)
			field.SetInt(n)
		case reflect.Bool:
			field.SetBool(s.yes(key, false))
		case reflect.Slice:
			if s.has(key) {
				list, _ := s.strings(key, "...")
				for _, v := range list {
					field.Set(reflect.Append(field, reflect.ValueOf(v.text)))
				}
			}
		case reflect.Map:
			field.Set(reflect.ValueOf(s.pairs(key)))
		default:
			panic(fmt.Sprintf("no %s of a config is read", of))
		}
	}
	s.rest()
}

// Fault notes what is wrong with a key, such as "feed[1].url", beyond what TOML
// asks of it. A key has one fault at most, and a text that is no TOML has none.
func (d *Document) Fault(key string, what, remedy say.Message) {
	if d.root == nil || d.wrong[key] {
		return
	}
	d.wrong[key] = true
	at, _, _ := d.find(key)
	d.r.fault(at, key, what, remedy)
}

// Need notes that a key whose text is blank must be there, unless something else
// stands in the place of its table.
func (d *Document) Need(key, text, example string) {
	if strings.TrimSpace(text) != "" {
		return
	}
	switch _, there, misplaced := d.find(key); {
	case there:
		d.Fault(key, say.M("config.empty"), say.M("config.empty_remedy", example))
	case !misplaced:
		name := key[strings.LastIndexByte(key, '.')+1:]
		d.Fault(key, say.M("config.missing"), say.M("config.missing_remedy", fmt.Sprintf("%s = %q", name, example)))
	}
}

// find returns the place of a key's value or, if the key is not there, of the
// innermost table around it. misplaced reports that something else stands in the
// place of a table.
func (d *Document) find(key string) (at place, there, misplaced bool) {
	t := d.root
	for part := range strings.SplitSeq(key, ".") {
		if t == nil {
			return at, false, true
		}
		name, number, _ := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		e := t.find(name)
		if e == nil {
			return at, false, false
		}
		v := e.val
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= len(v.list) {
			v = v.list[n-1]
		}
		at, t = v.at, v.keys
	}
	return at, true, false
}

// Problems are all that is wrong, in the order of the text.
func (d *Document) Problems() []Problem {
	d.r.finish()
	d.r.lack = nil
	return slices.Clone(d.r.problems)
}
