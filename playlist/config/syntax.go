package config

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist/say"
)

// Syntax returns what keeps a text from being TOML: the first error of its
// syntax, and keys and tables that stand twice before that.
func Syntax(file string, text []byte) []Problem {
	r := newReader(file, text, ours)
	r.parse()
	r.finish()
	return r.problems
}

var (
	header = regexp.MustCompile(`(?m)^(\[[A-Za-z_]+\]|\[\[[A-Za-z_]+\]\])[ \t]*(#.*)?\r?$`)

	// The two kinds of lines with which an expression begins: a header, good or
	// bad, or a key with its equals sign.
	headed = regexp.MustCompile(`^[ \t]*\[+[ \t]*([A-Za-z_]+)[ \t]*\]*[ \t]*(#.*)?\r?$`)
	paired = regexp.MustCompile(`^[ \t]*("[^"]*"|'[^']*'|[^\s#"'\[\]={},]+)[ \t]*(=|＝)`)
)

// notTOML reports the parser's error: where it is, what is wrong and what is
// expected there. last is the place of the last expression that could be read.
func (r *reader) notTOML(p *unstable.Parser, last place) {
	at := place(len(p.Data()))
	var pe *unstable.ParserError
	if errors.As(p.Error(), &pe) {
		at = place(p.Range(pe.Highlight).Offset)
	}
	complaint := p.Error().Error()
	if strings.Contains(complaint, "multiline") && strings.Contains(complaint, "not terminated") {
		at = r.openText(last)
	}
	at, what, remedy := r.explainSyntax(at, complaint)
	r.fault(at, "", what, remedy)
	r.problems[len(r.problems)-1].Syntax = true
}

// openText returns where a text in three quotes begins that does not end. The
// parser reports such a text at the end of the file.
func (r *reader) openText(last place) place {
	src := r.src
	for l := src.line(last); l <= len(src.lines); l++ {
		from := src.at(l)
		text := src.lineAt(from)
		quotes := threeQuotes.FindIndex(text)
		if quotes == nil || !paired.Match(text) {
			continue
		}
		var p unstable.Parser
		p.Reset(src.text[from:])
		if p.NextExpression(); p.Error() != nil {
			return from + place(quotes[0])
		}
	}
	return last
}

var threeQuotes = regexp.MustCompile(`"""|'''`)

var fullWidth = map[rune]string{
	'，': ",", '“': `"`, '”': `"`, '‘': "'", '’': "'", '：': ":", '＝': "=", '【': "[", '】': "]", '［': "[", '］': "]",
	'＃': "#", '＂': `"`, '．': ".", '。': ".", '、': ",", '；': ";", '－': "-", '　': " ", '\u00a0': " ",
}

// explainSyntax says in our words what the parser complains of, and returns the
// place to look at.
func (r *reader) explainSyntax(at place, complaint string) (where place, what, remedy say.Message) {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(complaint, p) })
	}
	line := r.src.at(r.src.line(at))
	text := r.src.lineAt(at)
	// A new expression begins where a list should go on.
	if len(bytes.TrimSpace(r.src.text[line:at])) == 0 && (headed.Match(text) || paired.Match(text)) && !has("start of key", "not terminated") {
		return at, say.M("config.syntax_array"), say.M("config.syntax_array_remedy")
	}
	// Chinese punctuation outside quotes is by far the most frequent mistake.
	if wide, in, ok := wideIn(string(text)); ok && !has("not terminated") {
		return line + place(in), say.M("config.syntax_wide", string(wide)), say.M("config.syntax_wide_remedy", fullWidth[wide])
	}
	what, remedy = r.complaint(at, has)
	return at, what, remedy
}

// complaint says in our words what the parser complains of.
func (r *reader) complaint(at place, has func(...string) bool) (what, remedy say.Message) {
	switch {
	case has("cannot have new lines", "unterminated", "not terminated"):
		return say.M("config.syntax_quote"), say.M("config.syntax_quote_remedy")
	case has("array is incomplete", "after array value"), has("start of value") && header.Match(r.src.lineAt(at)):
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

// wideIn finds the first full-width punctuation of the line outside quotes and
// comments, and its offset.
func wideIn(line string) (wide rune, at int, ok bool) {
	var quote rune
	for i, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return 0, 0, false
		case fullWidth[c] != "":
			return c, i, true
		}
	}
	return 0, 0, false
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

// unquoted reports whether the place follows a letter or digit at once, as
// the rest of 6:30 or 2m does.
func (s source) unquoted(at place) bool {
	if at == 0 || int(at) >= len(s.text) || s.text[at] == '"' {
		return false
	}
	c := s.text[at-1]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}
