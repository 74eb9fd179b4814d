package config

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// section reads one table key by key and remembers what it has read.
type section struct {
	r    *reader
	path string
	t    *table
	asks []string // every key that was asked for: what the table may hold

	forms map[string]form // of the values of these

	needs []string // of these, the ones that must be there and are not
}

// kind is the name of the table, as "slot".
func (s *section) kind() string {
	name, _, _ := strings.Cut(s.path, "[")
	return name
}

func (s *section) at(key string) string { return s.path + "." + key }

// fault puts a problem at the key's value, or at the table if the key is
// not there.
func (s *section) fault(key string, what, remedy say.Message) {
	s.r.fault(s.place(key), s.at(key), what, remedy)
}

func (s *section) place(key string) place {
	if e := s.t.find(key); e != nil {
		return e.val.at
	}
	return s.t.at
}

func (s *section) get(key string) *value {
	s.asks = append(s.asks, key)
	e := s.t.find(key)
	if e == nil {
		return nil
	}
	e.seen = true
	return e.val
}

// lacks reports whether a key that may be left out is, and notes that it was asked for.
func (s *section) lacks(key string) bool {
	if s.has(key) || s.r.learning {
		return false
	}
	s.asks = append(s.asks, key)
	return true
}

func (s *section) has(key string) bool { return s.t.find(key) != nil }

// want is the key's value if it is of the kind; another kind is reported.
func (s *section) want(key string, kind unstable.Kind, remedy say.Message) *value {
	v := s.get(key)
	if v == nil || v.kind == kind {
		if kind == unstable.String && v != nil {
			s.suspect(key, v)
		}
		return v
	}
	remedy = s.forms[key].rewriteOr(key, v, remedy)
	if kind == unstable.String && digits(v.text) && quotable[key] {
		remedy = say.M("config.quote_remedy", key, v.text)
	}
	s.r.fault(v.at, s.at(key), say.M("config.wrong_type", kindWord(kind), kindWord(v.kind)), remedy)
	return nil
}

// quotable are the keys whose texts may be a number.
var quotable = map[string]bool{"area": true, "name": true, "title": true, "playlist": true, "series": true}

func kindWord(k unstable.Kind) say.Message {
	switch k {
	case unstable.String:
		return say.M("config.kind_string")
	case unstable.Integer:
		return say.M("config.kind_integer")
	case unstable.Float:
		return say.M("config.kind_decimal")
	case unstable.Bool:
		return say.M("config.kind_bool")
	case unstable.Array:
		return say.M("config.kind_list")
	case unstable.LocalDate:
		return say.M("config.kind_date")
	case unstable.LocalTime:
		return say.M("config.kind_time")
	case unstable.LocalDateTime, unstable.DateTime:
		return say.M("config.kind_instant")
	case unstable.ArrayTable:
		return say.M("config.kind_tables")
	}
	return say.M("config.kind_table")
}

// need reports a key that must be there and is not.
func (s *section) need(key, example string) bool {
	if s.has(key) {
		return true
	}
	s.needs = append(s.needs, key)
	if s.r.learning {
		return true
	}
	s.asks = append(s.asks, key)
	s.r.fault(s.t.at, s.at(key), say.M("config.missing"), say.M("config.missing_remedy", example))
	return false
}

const maxText = 200 // characters in a name or title

// text is a string without control characters; empty if it is absent or
// bad. A string that is there must not be blank.
func (s *section) text(key, example string) string {
	s.form(key, asText)
	v := s.want(key, unstable.String, say.M("config.quote_remedy", key, example))
	if v == nil {
		return ""
	}
	return s.plain(key, v, example)
}

func (s *section) plain(key string, v *value, example string) string {
	t := strings.TrimSpace(v.text)
	switch {
	case t == "":
		s.r.fault(v.at, s.at(key), say.M("config.empty"), say.M("config.empty_remedy", example))
		return ""
	case strings.ContainsFunc(t, unicode.IsControl):
		s.misread(key, v, say.M("config.control"), say.M("config.control_remedy"))
		return ""
	case len([]rune(t)) > maxText:
		s.r.fault(v.at, s.at(key), say.M("config.long", maxText), say.M("config.long_remedy"))
		return ""
	}
	return t
}

// choice is one of the choices, preset if it is absent or bad.
func (s *section) choice(key, preset string, choices ...string) string {
	s.form(key, oneOf(choices...))
	v := s.want(key, unstable.String, say.M("config.choice_remedy", all(quoted(choices))))
	if v == nil {
		return preset
	}
	for _, c := range choices {
		if v.text == c {
			return c
		}
	}
	s.garbled(key, v, say.M("config.choice", shown(v.text)), s.advice(key, v.text, say.M("config.choice_remedy", all(quoted(choices)))))
	return preset
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = `"` + w + `"`
	}
	return out
}

// whole is an integer from lo to hi.
func (s *section) whole(key string, preset, lo, hi int) int {
	s.form(key, asWhole(lo, hi))
	v := s.want(key, unstable.Integer, say.M("config.whole_remedy", lo, hi))
	if v == nil {
		return preset
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, 64)
	if err != nil || n < int64(lo) || n > int64(hi) {
		s.r.fault(v.at, s.at(key), say.M("config.whole_range", shown(v.text), lo, hi), say.M("config.whole_remedy", lo, hi))
		return preset
	}
	return int(n)
}

// level is a gain in dB from lo to hi.
func (s *section) level(key string, preset, lo, hi float64) float64 {
	s.form(key, asLevel(lo, hi))
	v := s.get(key)
	if v == nil {
		return preset
	}
	remedy := say.M("config.level_remedy", lo, hi)
	if v.kind != unstable.Integer && v.kind != unstable.Float {
		s.r.fault(v.at, s.at(key), say.M("config.wrong_type", say.M("config.kind_number"), kindWord(v.kind)), s.forms[key].rewriteOr(key, v, remedy))
		return preset
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(v.text, "_", ""), 64)
	if err != nil || math.IsNaN(f) || f < lo || f > hi {
		s.r.fault(v.at, s.at(key), say.M("config.level_range", shown(v.text), lo, hi), remedy)
		return preset
	}
	return f
}

func (s *section) yes(key string, preset bool) bool {
	s.form(key, asYes)
	v := s.want(key, unstable.Bool, say.M("config.bool_remedy", key))
	if v == nil {
		return preset
	}
	return v.text == "true"
}

// span is a length of time such as "2m", from lo to hi.
func (s *section) span(key string, preset, lo, hi time.Duration) time.Duration {
	s.form(key, asSpan(lo, hi))
	remedy := say.M("config.span_remedy", Brief(lo), Brief(hi))
	v := s.want(key, unstable.String, remedy)
	if v == nil {
		return preset
	}
	d, err := time.ParseDuration(strings.TrimSpace(v.text))
	switch {
	case err != nil:
		s.garbled(key, v, say.M("config.span", shown(v.text)), s.advice(key, v.text, remedy))
	case d < lo || d > hi:
		s.r.fault(v.at, s.at(key), say.M("config.span_range", shown(v.text), Brief(lo), Brief(hi)), remedy)
	default:
		return d
	}
	return preset
}

// Brief writes a duration as people write it in the file: 1h, not 1h0m0s.
func Brief(d time.Duration) string {
	t := d.String()
	t = strings.TrimSuffix(t, "0s")
	if t == "" {
		return "0s"
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	if strings.HasSuffix(t, "h") || strings.HasSuffix(t, "m") {
		return t
	}
	return d.String()
}

// words is a list of strings that is not empty; ok is false if something
// was reported.
func (s *section) words(key string, example any) (list []*value, ok bool) {
	list, ok = s.strings(key, example)
	if v := s.t.find(key); ok && v != nil && len(list) == 0 {
		s.r.fault(v.val.at, s.at(key), say.M("config.empty_list"), say.M("config.empty_list_remedy", key, example))
		ok = false
	}
	return list, ok
}

// strings is a list of strings; ok is false if something was reported.
func (s *section) strings(key string, example any) (list []*value, ok bool) {
	s.form(key, asList)
	remedy := say.M("config.list_remedy", key, example)
	v := s.want(key, unstable.Array, remedy)
	if v == nil {
		return nil, false
	}
	ok = true
	for _, w := range v.list {
		if w.kind != unstable.String {
			if ok {
				s.r.fault(w.at, s.at(key), say.M("config.wrong_type", kindWord(unstable.String), kindWord(w.kind)), remedy)
			}
			ok = false
			continue
		}
		if key != "clips" { // which are looked for as they are written
			s.suspect(key, w)
		}
		list = append(list, w)
	}
	return list, ok
}

// clockSource is what makes the site's clock good: a word, or a path or
// program behind "file:" or "command:".
func (s *section) clockSource() playlist.ClockSource {
	s.form("clock", scalar(func(text string) string {
		if c := playlist.ClockSource(text); c.File() != "" || c.Command() != "" {
			return quote(text)
		}
		return quote(choiceAsMeant(text, []string{string(playlist.ClockNTP), string(playlist.ClockBattery)}))
	}))
	v := s.want("clock", unstable.String, say.M("config.clock_source_remedy"))
	if v == nil {
		return playlist.ClockNTP
	}
	switch c := playlist.ClockSource(v.text); {
	case c == playlist.ClockNTP || c == playlist.ClockBattery:
		return c
	case c.File() != "":
		path := s.r.path(c.File())
		// What lies in /run is made anew at each start, once the clock is set.
		if m, ok := s.r.lib.(Machine); !s.foreign("clock", v, c.File()) && ok && filepath.IsAbs(c.File()) && !m.HasFile(path) && !inside(path, "/run") {
			s.r.problem(Warning, v.at, s.at("clock"), say.M("config.no_file", shown(path)), say.M("config.clock_file_remedy"))
		}
		return playlist.ClockSource(playlist.ClockFile + path)
	case c.Command() != "":
		words := strings.Fields(c.Command())
		if m, ok := s.r.lib.(Machine); ok && len(words) > 0 && !m.HasProgram(words[0]) {
			s.r.problem(Warning, v.at, s.at("clock"), say.M("config.no_program", shown(words[0])), say.M("config.no_program_remedy"))
		}
		return c
	}
	s.garbled("clock", v, say.M("config.choice", shown(v.text)), s.advice("clock", v.text, say.M("config.clock_source_remedy")))
	return playlist.ClockNTP
}

// clock is a time of day, quoted or as a TOML time.
func (s *section) clock(key string) (t playlist.TimeOfDay, ok bool) {
	s.form(key, asClock)
	v := s.get(key)
	if v == nil {
		return 0, false
	}
	text := v.text
	if v.kind == unstable.LocalTime && len(text) > len("15:04") {
		text = strings.TrimSuffix(text, ":00")
	}
	if v.kind == unstable.String || v.kind == unstable.LocalTime {
		if t, err := playlist.ParseTimeOfDay(text); err == nil {
			return t, true
		}
	}
	remedy := s.advice(key, v.text, say.M("config.clock_remedy", key))
	switch v.kind {
	case unstable.String, unstable.LocalTime:
		s.garbled(key, v, say.M("config.clock", shown(v.text)), remedy)
	default:
		s.r.fault(v.at, s.at(key), say.M("config.wrong_type", kindWord(unstable.LocalTime), kindWord(v.kind)), s.forms[key].rewriteOr(key, v, remedy))
	}
	return 0, false
}

// day is one calendar day, quoted or as a TOML date.
func (s *section) day(key string, v *value) playlist.Date {
	if v.kind == unstable.String || v.kind == unstable.LocalDate {
		if d, err := playlist.ParseDate(v.text); err == nil {
			return d
		}
	}
	what, remedy := explainDate(v.text, s.r.now())
	switch v.kind {
	case unstable.String, unstable.LocalDate:
		s.garbled(key, v, what, remedy)
	default:
		s.r.fault(v.at, s.at(key), say.M("config.wrong_type", kindWord(unstable.LocalDate), kindWord(v.kind)), remedy)
	}
	return ""
}

func (s *section) date(key string) playlist.Date {
	s.form(key, asDate)
	v := s.get(key)
	if v == nil {
		return ""
	}
	return s.day(key, v)
}

func (s *section) dates(key string) []playlist.Date {
	s.form(key, asDates)
	v := s.want(key, unstable.Array, say.M("config.dates_remedy", key))
	if v == nil || s.noDates(key, v.list) {
		return nil
	}
	var days []playlist.Date
	for _, w := range v.list {
		if d := s.day(key, w); d != "" {
			days = append(days, d)
		}
	}
	return days
}

// dayWords are the words for the days of the week. The first of each is that of remedies.
var dayWords = [...]string{
	"周日 周天 星期日 星期天 sun sunday", "周一 星期一 mon monday", "周二 星期二 tue tuesday", "周三 星期三 wed wednesday",
	"周四 星期四 thu thursday", "周五 星期五 fri friday", "周六 星期六 sat saturday",
}

// noDates reports a list of dates of which several are written in another way, or one
// is a stretch of days or two dates in one: once, with the whole list. It returns false
// if there is no such thing in it.
func (s *section) noDates(key string, list []*value) bool {
	var parts []string
	var first *value
	bad, yearless := 0, 0
	for _, v := range list {
		text := v.text
		if year, month, day, ok := dateAsMeant(text); ok && year == 0 {
			yearless++
			if now := s.r.now(); !now.IsZero() {
				text = fmt.Sprintf("%04d-%02d-%02d", now.Year(), month, day)
			}
		}
		if _, err := playlist.ParseDate(v.text); err != nil || v.kind != unstable.String && v.kind != unstable.LocalDate {
			if bad++; first == nil {
				first = v
			}
			if severalDays.MatchString(plainly(v.text)) {
				s.r.fault(v.at, s.at(key), say.M("config.date_stretch", shown(v.text)), say.M("config.date_stretch_remedy"))
				return true
			}
			if twoDates.MatchString(plainly(v.text)) {
				bad++
			}
		}
		parts = append(parts, text)
	}
	whole, _ := datesAsMeant(strings.Join(parts, ","))
	if bad < 2 || whole == "" && yearless < bad {
		return false
	}
	what, _ := explainDate(first.text, s.r.now())
	remedy := say.M("config.dates_remedy", key)
	if whole != "" {
		remedy = say.M("config.syntax_write_remedy", key, whole)
	}
	s.misread(key, first, what, remedy)
	return true
}

// noDay reports what is no day in a list of days. It returns true if that tells how to
// write the whole list.
func (s *section) noDay(key string, v *value, list []*value) bool {
	what := say.M("config.weekday", shown(v.text))
	var all []string
	for _, w := range list {
		if _, named := dayNames[strings.ToLower(strings.TrimSpace(w.text))]; named {
			all = append(all, quote(w.text))
			continue
		}
		value, instead := daysAsMeant(w.text)
		if instead.Key != "" {
			s.garbled(key, v, what, instead)
			return true
		}
		if value == "" {
			s.garbled(key, v, what, say.M("config.weekday_remedy"))
			return false
		}
		all = append(all, strings.Trim(value, "[]"))
	}
	s.garbled(key, v, what, say.M("config.syntax_write_remedy", key, "["+strings.Join(all, ", ")+"]"))
	return true
}

var dayNames = map[string]time.Weekday{}

func init() {
	for i, words := range dayWords {
		for _, w := range strings.Fields(words) {
			dayNames[w] = time.Weekday(i)
		}
	}
}

// rest reports the keys that nothing asked for.
func (s *section) rest() {
	for _, e := range s.t.entries {
		if e.seen {
			continue
		}
		remedy := say.M("config.known_remedy", all(s.asks))
		if n := Near(e.key, s.asks); n != "" {
			remedy = say.M("config.near_remedy", n)
		}
		s.r.unknownKey(s.path, e, remedy)
	}
}

// strange reports whether the table has a key that is not known, and may be one that
// is missed.
func (s *section) strange() bool {
	return slices.ContainsFunc(s.t.entries, func(e *entry) bool { return !e.seen && !slices.Contains(s.r.keys.known[s.kind()], e.key) })
}
