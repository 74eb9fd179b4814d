package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist/say"
)

// punctuation is what a Chinese keyboard writes for characters that TOML knows.
var punctuation = map[rune]string{
	'“': `"`, '”': `"`, '„': `"`, '「': `"`, '」': `"`, '『': `"`, '』': `"`, '‘': "'", '’': "'", '《': `"`, '》': `"`,
	'【': "[", '】': "]", '〔': "[", '〕': "]", '。': ".", '、': ",", '—': "-", '–': "-", '−': "-", '‐': "-", '‑': "-", '～': "-", '〜': "-", '×': "*", '∗': "*", '※': "*",
}

// ascii is the character that one which looks like it should be; empty if it is not
// taken for another.
func ascii(c rune) string {
	if p := punctuation[c]; p != "" {
		return p
	}
	if c > 0xff00 && c < 0xff5f { // the full-width forms
		return string(c - 0xff00 + ' ')
	}
	return ""
}

// wideSpace reports whether a character looks like a space and is none to TOML.
func wideSpace(c rune) bool { return c > 0x7f && unicode.Is(unicode.Zs, c) }

// unseen reports whether a character takes no room at all, or is a mark that no
// line of a text should hold.
func unseen(c rune) bool {
	switch {
	case c == 0x034f, c == 0x115f, c == 0x1160, c == 0x2800, c == 0x3164, c == 0xffa0, c >= 0xfe00 && c <= 0xfe0f:
		return true
	}
	return unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.IsControl(c) && c != '\t' && c != '\n'
}

// plainly is a text with plain spaces and plain characters for those that look like
// them, and without those that are not seen.
func plainly(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch p := ascii(c); {
		case p != "":
			b.WriteString(p)
		case wideSpace(c):
			b.WriteByte(' ')
		case !unseen(c):
			b.WriteRune(c)
		}
	}
	return strings.TrimSpace(b.String())
}

// hidden finds the first character of a text that is not what it seems, or not to be
// seen.
func hidden(text string) (c rune, found bool) {
	for _, c := range text {
		if wideSpace(c) || unseen(c) && !unicode.IsControl(c) {
			return c, true
		}
	}
	return 0, false
}

// harmful finds a hidden character that a text for people should not hold: spaces
// within it are meant, and some languages join and part letters with marks that are
// not seen.
func harmful(text string) (c rune, found bool) {
	inner := strings.TrimFunc(text, wideSpace)
	from := strings.Index(text, inner)
	for i, c := range text {
		switch {
		case wideSpace(c) && i >= from && i < from+len(inner):
		case c >= 0x180b && c <= 0x180f, c >= 0x200c && c <= 0x200f, c >= 0xfe00 && c <= 0xfe0f:
		case wideSpace(c), unseen(c) && !unicode.IsControl(c):
			return c, true
		}
	}
	return 0, false
}

// knownAs are the words for hidden characters that have a name of their own.
var knownAs = map[rune]string{
	0x000d: "config.char_000d",
	0x00a0: "config.char_00a0",
	0x00ad: "config.char_00ad",
	0x200b: "config.char_200b",
	0x200c: "config.char_200c",
	0x200d: "config.char_200d",
	0x200e: "config.char_200e",
	0x200f: "config.char_200f",
	0x2028: "config.char_2028",
	0x2029: "config.char_2029",
	0x202a: "config.char_202a",
	0x202b: "config.char_202b",
	0x202c: "config.char_202c",
	0x202d: "config.char_202d",
	0x202e: "config.char_202e",
	0x202f: "config.char_202f",
	0x2060: "config.char_2060",
	0x3000: "config.char_3000",
	0xfeff: "config.char_feff",
}

// called is a hidden character in words, such as 全角空格 U+3000.
func called(c rune) say.Message {
	code := fmt.Sprintf("U+%04X", c)
	if key := knownAs[c]; key != "" {
		return say.M("config.char", say.M(key), code)
	}
	switch {
	case wideSpace(c):
		return say.M("config.char", say.M("config.char_space"), code)
	case unicode.IsControl(c):
		return say.M("config.char", say.M("config.char_control"), code)
	}
	return say.M("config.char", say.M("config.char_unseen"), code)
}

// mendHidden says what to do about a hidden character.
func mendHidden(c rune) say.Message {
	if wideSpace(c) {
		return say.M("config.hidden_space_remedy")
	}
	return say.M("config.hidden_remedy")
}

// spot is the place of a hidden character in a value; the value's if it is written in
// another way there.
func (r *reader) spot(v *value, c rune) place {
	text := r.src.text[v.at:]
	text = text[:min(len(text), 2*len(v.text)+8)]
	return v.at + place(max(bytes.IndexRune(text, c), 0))
}

// misread reports a value that means nothing. If it holds a hidden character, that is
// to blame.
func (s *section) misread(key string, v *value, what, remedy say.Message) {
	if c, found := hidden(v.text); found {
		s.r.exact(Fault, s.r.spot(v, c), s.at(key), say.M("config.hidden", called(c)), mendHidden(c))
		return
	}
	s.r.fault(v.at, s.at(key), what, remedy)
}

// garbled reports a value that means nothing and should be in plain characters. If it
// holds one that only looks like them, that is to blame; the remedy stays.
func (s *section) garbled(key string, v *value, what, remedy say.Message) {
	if _, found := hidden(v.text); !found && v.kind == unstable.String {
		for _, c := range v.text {
			if ascii(c) != "" {
				s.r.exact(Fault, s.r.spot(v, c), s.at(key), say.M("config.wide", string(c)), remedy)
				return
			}
		}
	}
	s.misread(key, v, what, remedy)
}

// grammar are the keys whose values are not for people: no space in them is meant but
// a plain one.
var grammar = map[string]bool{"cron": true, "device": true, "area": true, "timezone": true}

// suspect warns of a value that is taken although it holds what is not seen.
func (s *section) suspect(key string, v *value) {
	find := harmful
	if grammar[key] {
		find = hidden
	}
	if c, found := find(v.text); found {
		s.r.suspects = append(s.r.suspects, suspect{s.at(key), v, c})
	}
}

// suspect is a value with a hidden character.
type suspect struct {
	key string
	v   *value
	c   rune
}

// warnOfHidden warns of hidden characters in values that were taken.
func (r *reader) warnOfHidden() {
	faulty := map[int]bool{}
	for _, p := range r.problems {
		faulty[p.Line] = true
	}
	for _, x := range r.suspects {
		if !faulty[r.src.line(x.v.at)] {
			r.exact(Warning, r.spot(x.v, x.c), x.key, say.M("config.hidden", called(x.c)), mendHidden(x.c))
		}
	}
}
