// Package say holds every sentence dalaba speaks to people, in Chinese and in
// English, and puts them together.
//
// The sentences live in words/*.toml, both languages side by side; a key is
// the file's name, a dot and the table's name. An argument that is itself a
// [Message], or has its method In, is put into the same language. In English, {clip|clips} is what is said
// of one and of several; the count before it decides.
package say

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Lang is a language that dalaba speaks.
type Lang string

const (
	Chinese Lang = "zh-CN"
	English Lang = "en"
)

// Choose takes the first of the wishes that names a language at all: "zh",
// "zh_CN.UTF-8" and "zh-Hans" are Chinese, "en_US" is English. Empty wishes,
// "C" and "POSIX" are none. If there is no wish it is Chinese.
func Choose(wishes ...string) Lang {
	for _, w := range wishes {
		switch tagOf(w) {
		case "", "c", "posix":
		case "zh", "cmn":
			return Chinese
		default:
			return English
		}
	}
	return Chinese
}

// Known reports whether a wish is for a language that there is, or for none.
func Known(wish string) bool {
	return slices.Contains([]string{"", "c", "posix", "zh", "cmn", "en"}, tagOf(wish))
}

// tagOf is the first part of a language's name.
func tagOf(wish string) string {
	tag, _, _ := strings.Cut(strings.ToLower(wish), ".")
	tag, _, _ = strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	return tag
}

// Message is a sentence whose language is not yet chosen. As an error it
// reads in English.
type Message struct {
	Key  string
	Args []any
}

// M makes a message. Args fill the sentence's verbs as in fmt.Sprintf.
func M(key string, args ...any) Message { return Message{Key: key, Args: args} }

// In puts the message into a language. A key that no file knows reads as the
// key and its arguments, so that a fault of ours still says something.
func (m Message) In(l Lang) string {
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		switch a := a.(type) {
		case interface{ In(l Lang) string }:
			args[i] = a.In(l)
		case error:
			args[i] = In(l, beside(a, m.Args[:i]))
		default:
			args[i] = a
		}
	}
	entry, ok := words()[m.Key]
	if !ok {
		return strings.TrimSpace(m.Key + " " + fmt.Sprintln(args...))
	}
	text := entry.Zh
	if l != Chinese {
		text = numbered(entry.En, args)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// chosen finds what is said of one thing and of several, {clip|clips}, and the verbs beside
// it.
var chosen = regexp.MustCompile(`\{([^{}|]*)\|([^{}|]*)\}|%(?:\[(\d+)\])?[-+# 0]*\d*(?:\.\d+)?([a-zA-Z%])`)

// numbered chooses the singular or the plural by the last count (%d) before it in the
// sentence or, if there is none, by the next.
func numbered(text string, args []any) string {
	if !strings.Contains(text, "|") {
		return text
	}
	type count struct {
		at  int
		one bool
	}
	var counts []count
	found := chosen.FindAllStringSubmatchIndex(text, -1)
	next := 0
	for _, m := range found {
		if m[8] < 0 || text[m[8]] == '%' {
			continue
		}
		if m[6] >= 0 {
			next, _ = strconv.Atoi(text[m[6]:m[7]])
			next--
		}
		if text[m[8]] == 'd' && next < len(args) {
			counts = append(counts, count{m[0], fmt.Sprint(args[next]) == "1"})
		}
		next++
	}
	var b strings.Builder
	from := 0
	for _, m := range found {
		if m[8] >= 0 || len(counts) == 0 {
			continue
		}
		by := counts[0]
		for _, c := range counts {
			if c.at < m[0] {
				by = c
			}
		}
		b.WriteString(text[from:m[0]])
		if by.one {
			b.WriteString(text[m[2]:m[3]])
		} else {
			b.WriteString(text[m[4]:m[5]])
		}
		from = m[1]
	}
	return b.String() + text[from:]
}

// Word is the word for a value such as a state, whose key is stem and value. A value
// that no file knows, from a newer program, reads as it is, and none as a dash.
func Word(stem, value string) Message {
	switch {
	case Has(stem + value):
		return M(stem + value)
	case value == "":
		return M("cli.nothing")
	}
	return M("cli.as_it_is", value)
}

func (m Message) Error() string { return m.In(English) }

// Has reports whether a sentence stands under the key.
func Has(key string) bool {
	_, ok := words()[key]
	return ok
}

// In puts an error into a language, as far as it is made of messages; joined
// errors read one a line.
func In(l Lang, err error) string {
	if err == nil {
		return ""
	}
	if m, ok := err.(interface{ In(l Lang) string }); ok {
		return m.In(l)
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		lines := make([]string, 0, 2)
		for _, e := range j.Unwrap() {
			lines = append(lines, In(l, e))
		}
		return strings.Join(lines, "\n")
	}
	var m Message
	if errors.As(err, &m) {
		return strings.Replace(err.Error(), m.Error(), m.In(l), 1)
	}
	if l == Chinese {
		return inChinese(err)
	}
	return err.Error()
}

// entry is one sentence in both languages, with the same verbs in both.
type entry struct {
	Zh string `toml:"zh"`
	En string `toml:"en"`
}

//go:embed words/*.toml
var files embed.FS

var words = sync.OnceValue(func() map[string]entry {
	all := map[string]entry{}
	names, err := files.ReadDir("words")
	if err != nil {
		panic(err)
	}
	for _, f := range names {
		text, err := files.ReadFile(path.Join("words", f.Name()))
		if err != nil {
			panic(err)
		}
		var entries map[string]entry
		if err := toml.Unmarshal(text, &entries); err != nil {
			panic(fmt.Errorf("words/%s: %w", f.Name(), err))
		}
		for k, e := range entries {
			all[strings.TrimSuffix(f.Name(), ".toml")+"."+k] = e
		}
	}
	return all
})
