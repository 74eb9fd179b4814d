package config

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	r.exact(Fault, at, "", what, remedy)
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
	if in, what, remedy, found := r.habit(line, int(at-line), has); found {
		return line + place(in), what, remedy
	}
	good := r.rewritten(at)
	open := has("cannot have new lines", "unterminated", "not terminated")
	// Characters that are not what they seem are by far the most frequent mistake.
	if c, in, ok := oddIn(string(text)); ok && !has("not terminated") && !hanText.Match(text) {
		switch wide := ascii(c); {
		case wide == "":
			return line + place(in), say.M("config.hidden", called(c)), mendHidden(c)
		case good.Key == "":
			good = say.M("config.syntax_wide_remedy", wide)
		}
		return line + place(in), say.M("config.syntax_wide", string(c)), good
	}
	if quote, end := unclosed(string(text)); end != "" && open {
		return line + place(strings.LastIndex(string(text), end)), say.M("config.syntax_close", quote, end), say.M("config.syntax_close_remedy", quote)
	}
	if c, _ := utf8.DecodeRune(r.src.text[at:]); int(at) < len(r.src.text) && unseen(c) {
		return at, say.M("config.hidden", called(c)), mendHidden(c)
	}
	if good.Key != "" && has(unreadable...) {
		if has("leading zeroes") {
			return at, say.M("config.syntax_zero"), good
		}
		return at, say.M("config.syntax_value"), good
	}
	if m := slashDate.FindIndex(text); m != nil && line < at && !open && r.takesDates(line, text) {
		if what, remedy := explainDate(string(text[m[0]:m[1]]), time.Time{}); what.Key != "config.date" {
			return line + place(m[0]), what, remedy
		}
	}
	what, remedy = r.complaint(at, has)
	return at, what, remedy
}

// habit finds what other languages have and TOML has not, up to the place of the
// parser's error in the line: their comments, marks at the end of a line unless it is
// one of a list, colons behind keys, lists without brackets, and lines of words.
func (r *reader) habit(begin place, at int, has func(...string) bool) (in int, what, remedy say.Message, found bool) {
	line := string(r.src.lineAt(begin))
	if m := semicolon.FindStringSubmatchIndex(line); m != nil && m[2] == at {
		return at, say.M("config.syntax_semicolon", line[m[2]:m[3]]), say.M("config.syntax_semicolon_remedy"), true
	}
	if sign, in := commentSign(line); sign != "" && in <= at {
		return in, say.M("config.syntax_comment", sign), say.M("config.syntax_comment_remedy"), true
	}
	if sign, in := tail(line); sign != "" && !has("array") && in == at {
		return in, say.M("config.syntax_tail", sign), say.M("config.syntax_tail_remedy"), true
	}
	if m := colon.FindStringSubmatchIndex(line); m != nil {
		return m[2], say.M("config.syntax_equals"), say.M("config.syntax_equals_remedy"), true
	}
	if m := listless.FindStringSubmatchIndex(line); m != nil && at >= m[4] {
		what, remedy = r.severalTexts(begin, line[m[2]:m[3]], line[m[4]:m[5]])
		return m[4], what, remedy, true
	}
	if has("start of key", "expected key") && !has("expected keyword") && remark.MatchString(line) {
		return at, say.M("config.syntax_key"), say.M("config.remark_remedy"), true
	}
	return 0, what, remedy, false
}

// severalTexts says how several texts behind a key that are no list are to be written, by
// the form of the key.
func (r *reader) severalTexts(line place, key, texts string) (what, remedy say.Message) {
	one := false // the key takes one text
	for _, in := range r.tablesOf(line, key) {
		f, _ := r.formIn(in, key)
		if one = f.mean != nil && !f.list; !one {
			break
		}
	}
	items := strings.TrimSpace(strings.NewReplacer("，", ",", "、", ",").Replace(texts))
	if one {
		first, _, _ := strings.Cut(strings.TrimPrefix(items, `"`), `"`)
		return say.M("config.syntax_several"), say.M("config.syntax_one_remedy", key, key, `"`+first+`"`)
	}
	return say.M("config.syntax_list"), say.M("config.syntax_write_remedy", key, "["+items+"]")
}

// takesDates reports whether a line may hold a date: the value of its key is one, or there
// is no key in it.
func (r *reader) takesDates(line place, text []byte) bool {
	m := paired.FindSubmatch(text)
	if m == nil {
		return true
	}
	key := string(m[1])
	return slices.ContainsFunc(r.tablesOf(line, key), func(in string) bool {
		f, _ := r.formIn(in, key)
		return f.dates
	})
}

// complaint says in our words what the parser complains of.
func (r *reader) complaint(at place, has func(...string) bool) (what, remedy say.Message) {
	badKey := has("start of key", "expected key") && !has("expected keyword")
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
	case badKey && bytes.HasPrefix(bytes.TrimSpace(r.src.lineAt(at)), []byte("[")),
		has("expected newline") && tooMany.Match(r.src.lineAt(at)):
		return say.M("config.syntax_header_name"), say.M("config.syntax_header_remedy")
	case badKey && r.inWords(at):
		return say.M("config.syntax_key"), say.M("config.words_remedy")
	case badKey:
		return say.M("config.syntax_key"), say.M("config.syntax_key_remedy")
	case has("escape", `character after \`):
		return say.M("config.syntax_escape"), say.M("config.syntax_escape_remedy")
	case has("expected newline") && !r.src.unquoted(at):
		return say.M("config.syntax_rest"), say.M("config.syntax_rest_remedy")
	case has("leading zeroes"):
		return say.M("config.syntax_zero"), say.M("config.syntax_zero_remedy")
	case has(unreadable...):
		return say.M("config.syntax_value"), say.M("config.syntax_value_remedy")
	}
	return say.M("config.syntax"), say.M("config.syntax_remedy")
}

// tooMany is a header with more brackets at its end than at its beginning.
var tooMany = regexp.MustCompile(`^[ \t]*\[\w+\]\][ \t]*(#|\r?$)`)

// inWords reports whether a place is in the table of words, whose keys are Chinese.
func (r *reader) inWords(at place) bool {
	if !paired.Match(r.src.lineAt(at)) {
		return false
	}
	before := r.src.text[:r.src.at(r.src.line(at))]
	header := bytes.LastIndex(before, []byte("\n["))
	return header >= 0 && bytes.HasPrefix(before[header+1:], []byte("[ingest.words]"))
}

// unreadable are complaints of a value.
var unreadable = []string{
	"expected newline", "start of value", "expected value", "expected keyword", "must be quoted", "expected digit", "number", "decimal", "exponent", "radix", "leading zeroes",
}

var (
	// A key with a colon for its equals sign.
	colon = regexp.MustCompile(`^[ \t]*[A-Za-z_]+[ \t]*([:：])`)
	// Several texts that are no list.
	listless = regexp.MustCompile(`^[ \t]*([A-Za-z_]+)[ \t]*=[ \t]*((?:"[^"]*"[ \t]*[,，、][ \t]*)+"[^"]*")`)
	// A semicolon between the items of a list.
	semicolon = regexp.MustCompile(`^[^#]*=[ \t]*\[[^\]#]*["'\d][ \t]*([;；])[ \t]*["'\d\]]`)
	// A whole line of words.
	remark = regexp.MustCompile(`^[ \t]*[^\x00-\x7f\pZ\p{Cf}＃【［Ａ-Ｚａ-ｚ＿][^=＝]*$`)
	// A date in the way of people, and a key whose value is Chinese text.
	slashDate = regexp.MustCompile(`\d{4}[/.年]\d{1,2}[/.月]\d{1,2}日?`)
	hanText   = regexp.MustCompile(`^[ \t]*[A-Za-z_]+[ \t]*=[ \t]*\p{Han}`)
)

// outside yields the characters of a line that stand outside quotes and comments, with
// their places.
func outside(line string) func(func(int, rune) bool) {
	return func(yield func(int, rune) bool) {
		var quote rune
		for i, c := range line {
			switch {
			case quote != 0:
				if c != quote {
					continue
				}
				quote = 0
			case c == '"' || c == '\'':
				quote = c
			case c == '#' || c == '\r' && i == len(line)-1:
				return
			}
			if !yield(i, c) {
				return
			}
		}
	}
}

// oddIn finds the first character of a line, outside quotes and comments, that is not
// what it seems or not to be seen.
func oddIn(line string) (odd rune, at int, ok bool) {
	for i, c := range outside(line) {
		if ascii(c) != "" || wideSpace(c) || unseen(c) {
			return c, i, true
		}
	}
	return 0, 0, false
}

var signs = []string{"；", ";", "//", "／／", "（", "--", "——", "－－", "/*", "<!--", "%", "※", "REM ", "注：", "注:"}

// commentSign finds what other languages begin a comment with, at the beginning of a
// line or behind a value.
func commentSign(line string) (sign string, at int) {
	before := ' ' // the last character
	value := true // one has ended, or nothing has begun
	for i, c := range outside(line) {
		for _, s := range signs {
			if strings.HasPrefix(line[i:], s) && value && (before == ' ' || s == ";" || s == "；" || strings.ContainsRune(`"']`, before)) {
				return strings.TrimSpace(s), i
			}
		}
		switch {
		case c == '=' || c == ',' || c == '[':
			value = false
		case !unicode.IsSpace(c):
			value = true
		}
		if before = c; unicode.IsSpace(c) {
			before = ' '
		}
	}
	return "", 0
}

// tail finds a mark at the end of a line, behind its value.
func tail(line string) (sign string, at int) {
	for i, c := range outside(line) {
		switch {
		case strings.ContainsRune(",，、。.；;:：", c):
			if sign == "" {
				sign, at = string(c), i
			}
		case !unicode.IsSpace(c):
			sign = ""
		}
	}
	return sign, at
}

// unclosed returns with what a text of the line begins that does not end, and what was
// meant to end it.
func unclosed(line string) (open, end string) {
	var quote rune
	for _, c := range line {
		switch {
		case quote == 0 && c == '#':
			return "", ""
		case quote == 0 && (c == '"' || c == '\''):
			quote, end = c, ""
		case c == quote:
			quote = 0
		case quote != 0 && strings.ContainsRune("”“’‘＂「」\"'", c):
			end = string(c)
		}
	}
	if quote == 0 {
		return "", ""
	}
	return string(quote), end
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
	if good := r.rewritten(at); good.Key != "" {
		r.lack = &Problem{What: say.M("config.syntax_value"), Remedy: good}
	}
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
