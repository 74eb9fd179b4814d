package config

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// form is how a key's value is written. The functions that read a key say which one it
// has, so that advice goes by the same rule as the reading.
type form struct {
	list  bool // the value is a list
	dates bool // it is a date, or a list of those

	// mean returns the value that a text must have meant, as it is written in TOML,
	// empty if that is not clear. instead, if it has a key, is what else to do.
	mean func(text string) (value string, instead say.Message)
}

// form notes the form of a key; the first that is said holds.
func (s *section) form(key string, f form) {
	if s.forms == nil {
		s.forms = map[string]form{}
	}
	if s.forms[key].mean == nil {
		s.forms[key] = f
	}
}

// scalar is a form whose values go by a function.
func scalar(mean func(text string) string) form {
	return form{mean: func(text string) (string, say.Message) { return mean(text), say.Message{} }}
}

// quote is a text as it is written in TOML; empty if it needs more than quotes.
func quote(text string) string {
	if text == "" || strings.ContainsAny(text, "\"\\\r\n\t") {
		return ""
	}
	return `"` + text + `"`
}

var (
	bareWord = regexp.MustCompile(`^[\p{Han}A-Za-z/][\p{Han}\w./:*+=,，-]*$`)

	asText = scalar(func(text string) string {
		if !bareWord.MatchString(text) {
			return ""
		}
		return quote(text)
	})
	asName  = scalar(nameAsMeant)
	asYes   = scalar(yesAsMeant)
	asClock = scalar(func(text string) string { return quote(clockAsMeant(text)) })
	asDate  = form{dates: true, mean: scalar(func(text string) string { return quote(wholeDate(text)) }).mean}
	asDays  = form{list: true, mean: daysAsMeant}
	asDates = form{list: true, dates: true, mean: datesAsMeant}
	asCron  = form{mean: func(text string) (string, say.Message) {
		good, instead := cronAsMeant(text)
		return quote(good), instead
	}}
	asArea = scalar(func(text string) string {
		if good := strings.NewReplacer(" ", "", "-", "").Replace(plainly(text)); len(good) == 12 && digits(good) {
			return quote(good)
		}
		return ""
	})
	asZone = scalar(func(text string) string {
		good := plainly(text)
		if _, err := time.LoadLocation(good); err != nil || good == "" || good == "Local" {
			return ""
		}
		return quote(good)
	})
	asDevice = scalar(func(text string) string { return quote(deviceAsMeant(text)) })

	// asList is a list of texts, asCommand one of a program and its arguments, asOutputs one of names, for which no list means all.
	asList = form{list: true, mean: func(text string) (string, say.Message) {
		return listed(parted(text, ","), func(p string) string {
			if strings.ContainsAny(p, " \t") {
				return ""
			}
			return p
		}), say.Message{}
	}}
	asCommand = form{list: true, mean: func(text string) (string, say.Message) {
		return listed(strings.Fields(text), func(p string) string { return p }), say.Message{}
	}}
	asOutputs = form{list: true, mean: func(text string) (string, say.Message) {
		if everything[strings.ToLower(plainly(text))] {
			return "", say.M("config.all_remedy", "outputs")
		}
		return listed(parted(text, ",; \t"), func(name string) string { return strings.Trim(nameAsMeant(name), `"`) }), say.Message{}
	}}
)

// everything are the words for all outputs.
var everything = map[string]bool{"*": true, "全部": true, "所有": true, "全部输出": true, "所有输出": true, "all": true, "any": true}

// parted is what stands between separators in a text.
func parted(text, separators string) []string {
	return strings.FieldsFunc(plainly(text), func(c rune) bool { return strings.ContainsRune(separators, c) })
}

// listed is a list in TOML of what is meant by each part; empty if one of them is not clear.
func listed(parts []string, mean func(string) string) string {
	var items []string
	for _, p := range parts {
		item := quote(mean(strings.TrimSpace(p)))
		if item == "" {
			return ""
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func nameAsMeant(text string) string {
	name := plainly(text)
	if strings.ContainsFunc(name, func(c rune) bool { return !nameRune(c) }) || len([]rune(name)) > maxName {
		return ""
	}
	return quote(name)
}

func yesAsMeant(text string) string {
	plain := strings.ToLower(plainly(text))
	switch plain {
	case "true", "yes", "on", "是", "开":
		return "true"
	case "false", "no", "off", "否", "关":
		return "false"
	}
	if len(plain) > 3 {
		return Near(plain, []string{"true", "false"})
	}
	return ""
}

// inWords are choices as people say them.
var inWords = map[string]string{
	"中文": "zh-CN", "汉语": "zh-CN", "简体中文": "zh-CN", "chinese": "zh-CN", "zh": "zh-CN", "英文": "en", "英语": "en", "english": "en",
	"补播": "make-good", "补": "make-good", "晚播": "late", "推迟": "late", "跳过": "skip", "不补": "skip", "不补播": "skip",
	"顺序": "sequence", "随机": "shuffle", "random": "shuffle", "自动": DefaultDevice, "不出声": "null:", "无": "null:", "null": "null:", "none": "null:",
}

// choiceAsMeant is the choice that a text is or is near to.
func choiceAsMeant(text string, choices []string) string {
	plain := strings.ToLower(plainly(text))
	if w := inWords[plain]; slices.Contains(choices, w) {
		return w
	}
	if n := Near(plain, choices); n != "" && (len(n) > 3 || strings.EqualFold(n, plain)) {
		return n
	}
	return ""
}

func oneOf(choices ...string) form {
	return scalar(func(text string) string { return quote(choiceAsMeant(text, choices)) })
}

// asClips is a list of files and IDs of clips. A series is none of them.
func asClips(lib Library) form {
	return form{list: true, mean: func(text string) (string, say.Message) {
		switch {
		case lib != nil && len(lib.Series(text)) > 0:
			return "", seriesInstead(text)
		case !strings.ContainsAny(text, "/.*"):
			return "", say.Message{}
		}
		return asList.mean(text)
	}}
}

// someOf is a list of choices.
func someOf(choices ...string) form {
	return form{list: true, mean: func(text string) (string, say.Message) {
		return listed(parted(text, ",; \t"), func(p string) string { return choiceAsMeant(p, choices) }), say.Message{}
	}}
}

var (
	counted  = regexp.MustCompile(`^\+?(-?\d+) ?(?:人|户|条|遍|天|份|级|次|字)?$`)
	decibels = regexp.MustCompile(`(?i)^\+?(-?\d+(?:\.\d+)?) ?(?:db|分贝)?$`)
)

func asWhole(lo, hi int) form {
	return scalar(func(text string) string {
		if m := counted.FindStringSubmatch(plainly(text)); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= lo && n <= hi {
				return strconv.Itoa(n)
			}
		}
		return ""
	})
}

func asLevel(lo, hi float64) form {
	return scalar(func(text string) string {
		if m := decibels.FindStringSubmatch(plainly(text)); m != nil {
			if f, err := strconv.ParseFloat(m[1], 64); err == nil && f >= lo && f <= hi {
				return strconv.FormatFloat(f, 'f', -1, 64)
			}
		}
		return ""
	})
}

func asSpan(lo, hi time.Duration) form {
	return scalar(func(text string) string {
		good := spanAsMeant(text)
		if d, err := time.ParseDuration(good); err != nil || d < lo || d > hi {
			return ""
		}
		return quote(good)
	})
}

// notAt is the clock's form where one time of day is not wanted.
func notAt(clock string) form {
	return scalar(func(text string) string {
		if good := clockAsMeant(text); good != clock {
			return quote(good)
		}
		return ""
	})
}

// deviceAsMeant is the name of a device as [section.device] takes it.
func deviceAsMeant(text string) string {
	t := strings.ReplaceAll(plainly(text), " ", "")
	if w := choiceAsMeant(t, []string{DefaultDevice, "null:"}); w != "" {
		return w
	}
	scheme, rest, colon := strings.Cut(t, ":")
	scheme = strings.ToLower(scheme)
	switch {
	case !colon || rest == "":
	case scheme == "wav", slices.Contains(cards, scheme) && !unnamedCard.MatchString(rest), scheme == "alsa" && pcm.MatchString(rest):
		return scheme + ":" + rest
	}
	return ""
}

// unnamedCard is a card whose name is not given.
var unnamedCard = regexp.MustCompile(`^CARD=?(,|$)`)

// mean is what to do about a value that was written as a text is: the value to write, or
// what else; both are empty if that is not clear.
func (s *section) mean(key, text string) (value string, instead say.Message) {
	if f := s.forms[key]; f.mean != nil {
		return f.mean(text)
	}
	return "", say.Message{}
}

// advice is the remedy for a value that is a text: the one to write, or what else; the
// one given if that is not clear.
func (s *section) advice(key, text string, otherwise say.Message) say.Message {
	switch value, instead := s.mean(key, text); {
	case instead.Key != "":
		return instead
	case value != "" && s.forms[key].list:
		return say.M("config.syntax_write_remedy", key, value)
	case value != "":
		return say.M("config.write_remedy", value)
	}
	return otherwise
}

// rewrite is the remedy for a value of another kind than the key's, which is written
// for the key meant: as key = value. Its key is empty if that is not clear.
func (f form) rewrite(key string, v *value) say.Message {
	if f.mean == nil {
		return say.Message{}
	}
	if v.keys == nil && len(v.list) == 1 && !f.list {
		v = v.list[0]
	}
	if v.keys != nil || len(v.list) > 0 || v.text == "" {
		return say.Message{}
	}
	value, instead := f.mean(v.text)
	switch {
	case instead.Key != "":
		return instead
	case v.kind == unstable.Bool && value == quote(v.text): // a switch, where a text is wanted
	case value != "":
		return say.M("config.syntax_write_remedy", key, value)
	}
	return instead
}

// rewriteOr is the remedy of rewrite, or the other one if that is not clear.
func (f form) rewriteOr(key string, v *value, otherwise say.Message) say.Message {
	if good := f.rewrite(key, v); good.Key != "" {
		return good
	}
	return otherwise
}

// The header of a table, and a key with a value or a list without quotes.
var (
	tableHeader = regexp.MustCompile(`(?m)^[ \t]*\[+[ \t]*(\w+)(\.\w+)?`)
	bare        = regexp.MustCompile(`^[ \t]*([A-Za-z_]+)[ \t]*[=＝]+\s*([^"'\[{(#\s][^#\r]*)`)
	bareList    = regexp.MustCompile(`^[ \t]*([A-Za-z_]+)[ \t]*[=＝]+\s*[\[(【（]([^"'\[\]{}#]*)[\])】）]\s*(?:#.*)?$`)
)

// rewritten says how a line whose value cannot be read is to be written, by the form of
// its key; the key of the message is empty if that is not clear.
func (r *reader) rewritten(line place) (remedy say.Message) {
	text := r.src.lineAt(line)
	m, listed := bare.FindSubmatch(text), false
	if m == nil {
		if m, listed = bareList.FindSubmatch(text), true; m == nil {
			return remedy
		}
	}
	key := string(m[1])
	for i, in := range r.tablesOf(line, key) {
		f, k := r.formIn(in, key)
		if f.mean == nil || listed && !f.list {
			return say.Message{}
		}
		value, instead := f.mean(strings.TrimSpace(string(m[2])))
		switch {
		case instead.Key != "":
		case value != "":
			instead = say.M("config.syntax_write_remedy", k, value)
		default:
			return say.Message{}
		}
		if i > 0 && fmt.Sprint(instead) != fmt.Sprint(remedy) {
			return say.Message{}
		}
		remedy = instead
	}
	return remedy
}

// formIn is the form of a key in a table, and the key that must have been meant.
func (r *reader) formIn(table, key string) (form, string) {
	if table == "" {
		return asText, key
	}
	forms := r.allKeys().forms[table]
	if _, known := forms[key]; !known {
		key = Near(key, r.allKeys().known[table])
	}
	return forms[key], key
}

// allKeys are the keys of the reader's tables or, where only the syntax is read, ours.
func (r *reader) allKeys() *keys {
	if r.keys == nil {
		return ourKeys()
	}
	return r.keys
}

// tablesOf are the tables in which a line with a key may stand: the one whose header
// goes before it or, if that is not known, those that have the key. A table whose keys
// are free is "".
func (r *reader) tablesOf(line place, key string) (in []string) {
	headers := tableHeader.FindAllSubmatch(r.src.text[:r.src.at(r.src.line(line))], -1)
	if len(headers) > 0 {
		last := headers[len(headers)-1]
		if len(last[2]) > 0 {
			return []string{""}
		}
		name := string(bytes.ToLower(last[1]))
		if Near(name, r.tables.all()) != "" {
			return []string{Near(name, r.tables.all())}
		}
	}
	for name, known := range r.allKeys().known {
		if slices.Contains(known, key) {
			in = append(in, name)
		}
	}
	return in
}

// wholeDate is a date of the calendar with its year; empty if a text is none.
func wholeDate(text string) string {
	year, month, day, ok := dateAsMeant(text)
	date := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	if _, err := playlist.ParseDate(date); err != nil || !ok || year == 0 {
		return ""
	}
	return date
}

// severalDays is a stretch of days, written with its first and its last.
var severalDays = regexp.MustCompile(`[\d日号]\s*(?:~|至|到|-{2,}|\s-\s)\s*\d`)

// datesAsMeant is a list of dates.
func datesAsMeant(text string) (value string, instead say.Message) {
	plain := plainly(text)
	if severalDays.MatchString(plain) {
		return "", say.M("config.date_stretch_remedy")
	}
	if good := wholeDate(plain); good != "" && !twoDates.MatchString(plain) {
		return listed([]string{good}, wholeDate), say.Message{}
	}
	return listed(parted(plain, ",; \t"), wholeDate), say.Message{}
}

// twoDates is a date with another one behind it, which TOML takes for a time.
var twoDates = regexp.MustCompile(`^\d{4}-\d\d-\d\d[ ,;]+\d{4}`)
