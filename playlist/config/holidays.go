package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// calendarText is one reading of one file of [calendar].
type calendarText struct {
	*calendar
	file  string // its name for people
	fault func(what, remedy say.Message)
	named int // lines that name days
	wrong int // lines at fault
}

// enoughWrong is how many lines at fault are told of: more are a wrong file.
const enoughWrong = 5

func (f *calendarText) bad(line int, what, remedy say.Message) {
	if f.wrong++; f.wrong <= enoughWrong {
		f.fault(say.M("config.calendar_line", f.file, line, what), remedy)
	}
}

// put says of each day of some stretches that it is off or worked.
func (f *calendarText) put(line int, off bool, stretches ...stretchOfDays) {
	f.named++
	for _, s := range stretches {
		for d := range s.length() {
			day := playlist.Date(s.from.AddDate(0, 0, d).Format(time.DateOnly))
			if was, ok := f.days[day]; ok && was.off != off {
				f.bad(line, say.M("config.calendar_both", string(day), was.file, was.line), say.M("config.calendar_both_remedy"))
			} else {
				f.days[day] = dayOff{off, f.file, line}
			}
		}
	}
}

// stretchOfDays is one day, or several in a row.
type stretchOfDays struct {
	from, to time.Time
	text     string // as it is written
}

// length is how many days it has; less than 1 if it runs backwards.
func (s stretchOfDays) length() int { return int(s.to.Sub(s.from)/(24*time.Hour)) + 1 }

// longestHoliday is the most days that a stretch may have: a longer one is a typing error
// in a year or month.
const longestHoliday = 31

// Days as people and Excel write them.
const (
	dayForm = `(\d{4}) *[-/.年] *(\d{1,2}) *[-/.月] *(\d{1,2})|(\d{4})(\d{2})(\d{2})`
	dayTail = `(?: *[日号]|\b)(?: *\(?(?:周|星期|礼拜)[一二三四五六日天]\)?| +\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)*`
)

var (
	daysForm = regexp.MustCompile(`\b(?:` + dayForm + `)` + dayTail +
		`(?: *起? *(?:~|〜|至|到|-+|—+|–+) *(?:` + dayForm + `|(?:(\d{1,2}) *[-/.月] *)?(\d{1,2}))` + dayTail + `)?`)
	isoTime = regexp.MustCompile(`(\d)T(\d)`)

	// partOfDay is what may be a day that cannot be read.
	partOfDay = regexp.MustCompile(`(?i)\d *月 *\d|\b\d{1,2} *[-/] *\d{1,2}\b|^\d{1,2}\.\d{1,2}$|^\d{1,2} *[日号]$|[〇一二三四五六七八九十]+月[〇一二三四五六七八九十]+[日号]` +
		`|\b\d{1,2}[- ](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[- ]\d{1,2}\b`)
	partOfYear = regexp.MustCompile(`\d{4} *[-/.]|\d{4} *年 *\d`)

	countOfDays = regexp.MustCompile(`(第?)(\d+) *(?:天|days?\b)`)
	joined      = regexp.MustCompile(`^[ 、和与及&]*$`)
)

// readDays reads a match of daysForm.
func readDays(m []string) (s stretchOfDays, ok bool) {
	day := func(year, month, date string) (time.Time, bool) {
		t, err := time.Parse("2006-1-2", year+"-"+month+"-"+date)
		return t, err == nil
	}
	s.text = strings.TrimSpace(m[0])
	s.from, ok = day(m[1]+m[4], m[2]+m[5], m[3]+m[6])
	year, month, date := m[7]+m[10], m[8]+m[11]+m[13], m[9]+m[12]+m[14]
	switch {
	case !ok || date == "":
		s.to = s.from
		return s, ok
	case year != "":
		s.to, ok = day(year, month, date)
		return s, ok
	case month == "":
		month = strconv.Itoa(int(s.from.Month()))
	}
	s.to, ok = day(strconv.Itoa(s.from.Year()), month, date)
	if m[13] != "" && s.to.Before(s.from) {
		s.to, ok = day(strconv.Itoa(s.from.Year()+1), month, date)
	}
	return s, ok
}

// holidayRow is a line of a list.
type holidayRow struct {
	cells  []holidayCell
	broken string // a day that there is not; empty: none
}

type holidayCell struct {
	text string // but for its days
	days []stretchOfDays
}

// dayMark stands for days in a line that is being read: flat lets no such character pass.
const dayMark = '\x01'

// flat is a line with plain characters for full-width ones, and without those that are
// not seen.
func flat(line string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c > 0xff00 && c < 0xff5f:
			return c - 0xff00 + ' '
		case wideSpace(c):
			return ' '
		case unseen(c) || strings.ContainsRune(`"“”`, c):
			return -1
		}
		return c
	}, line)
}

// readHolidayRow finds the days and the cells of a line.
func readHolidayRow(line string) (r holidayRow) {
	line, _, _ = strings.Cut(flat(line), "#")
	var found []stretchOfDays
	line = daysForm.ReplaceAllStringFunc(isoTime.ReplaceAllString(line, "$1 $2"), func(text string) string {
		s, ok := readDays(daysForm.FindStringSubmatch(text))
		if !ok && r.broken == "" {
			r.broken = s.text
		}
		found = append(found, s)
		return string(dayMark)
	})
	split := strings.Fields
	if strings.ContainsAny(line, ",;\t") {
		split = func(s string) []string {
			return strings.Split(strings.NewReplacer(";", ",", "\t", ",").Replace(s), ",")
		}
	}
	for _, text := range split(line) {
		n := strings.Count(text, string(dayMark))
		r.cells = append(r.cells, holidayCell{strings.TrimSpace(strings.ReplaceAll(text, string(dayMark), "")), found[:n]})
		found = found[n:]
	}
	return r
}

func (c holidayCell) blank() bool { return c.text == "" && len(c.days) == 0 }

func (r holidayRow) blank() bool {
	return !slices.ContainsFunc(r.cells, func(c holidayCell) bool { return !c.blank() })
}

// cell returns a cell, which is blank if the row is too short.
func (r holidayRow) cell(n int) (c holidayCell) {
	if n >= 0 && n < len(r.cells) {
		c = r.cells[n]
	}
	return c
}

// dayKind is what a line says of its days.
type dayKind int

const (
	kindNone  dayKind = iota
	kindOff           // 休
	kindOn            // 班
	kindMoved         // 调休: some call the day off so, others the day that is worked for it
	kindBoth          // it contradicts itself
)

// kinds are the words by which a line says that a day is off or worked.
var (
	kinds     = map[string]dayKind{}
	kindWords *regexp.Regexp // those that are found within a longer text
)

func init() {
	var within []string
	for kind, words := range map[dayKind]string{
		kindOff:   "休 休息 休息日 休假 公休 补休 假 假期 假日 放假 放假调休 节假日 法定假日 法定节假日 holiday off",
		kindOn:    "班 上班 上班日 调休上班 调休补班 补班 补班日 工作日 workday on",
		kindMoved: "调休 调休日",
	} {
		for _, w := range strings.Fields(words) {
			kinds[w] = kind
			if c := []rune(w); len(c) > 1 && unicode.Is(unicode.Han, c[0]) {
				within = append(within, w)
			}
		}
	}
	slices.SortFunc(within, func(a, b string) int { return len(b) - len(a) })
	kindWords = regexp.MustCompile(`[不非无未没]?(?:` + strings.Join(within, "|") + `)`)
}

// kind returns what cells say, and whether only words within longer texts say so. A cell
// that is such a word decides, then a word of its own within a cell.
func kindOf(cells ...holidayCell) (kind dayKind, loose bool) {
	var exact, apart, inside []dayKind
	for _, c := range cells {
		text := strings.ToLower(strings.Trim(c.text, " 、:："))
		head, _, _ := strings.Cut(text, "(")
		exact = append(exact, kinds[text], kinds[strings.TrimSpace(head)])
		for _, w := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || strings.ContainsRune("、:()", c) }) {
			apart = append(apart, kinds[w])
		}
		for _, w := range kindWords.FindAllString(text, -1) {
			inside = append(inside, kinds[w]) // none if it is denied
		}
	}
	for _, found := range [][]dayKind{exact, apart} {
		if kind := oneKind(found); kind != kindNone {
			return kind, false
		}
	}
	kind = oneKind(inside)
	if kind == kindOff && slices.Contains(inside, kindMoved) {
		kind = kindBoth
	}
	return kind, true
}

// oneKind is what all say, but for those that may mean either.
func oneKind(all []dayKind) dayKind {
	off, on := slices.Contains(all, kindOff), slices.Contains(all, kindOn)
	switch {
	case off && on:
		return kindBoth
	case off:
		return kindOff
	case on:
		return kindOn
	case slices.Contains(all, kindMoved):
		return kindMoved
	}
	return kindNone
}

// holidayColumns are what the head of a list says of its columns; -1: nothing.
type holidayColumns struct {
	start, end, kind int
	worked           map[int]bool // of days that are worked, whatever a line says
}

var (
	startTitle = regexp.MustCompile(`(?i)开始|起始|^起|起$|从|首日|第一天|\b(?:start|from|begin|first)`)
	endTitle   = regexp.MustCompile(`(?i)结束|截|终|止|到|至|末|最后|\b(?:end|to|until|last)\b`)
	kindTitle  = regexp.MustCompile(`(?i)类型|类别|性质|状态|休/班|\b(?:type|kind)\b`)

	// A cell of a head, and what the text of one may hold.
	titleCell = regexp.MustCompile(`(?i)^(?:日期|时间|开始|结束|类型|类别|名称|节日|备注|说明|序号|date|day|start|end|from|to|type|kind|name)$`)
	titleText = regexp.MustCompile(`(?i)日期|时间|开始|结束|起|止|类型|类别|性质|名称|备注|说明|安排|通知|是否|一览|日历|年|表$|\b(?:dates?|type|kind|name|start|end)\b`)
)

// head reports whether the row stands above a list: it has no day, and does not say that
// one is off or worked.
func (r holidayRow) head() bool {
	title := titleText
	kind, loose := kindOf(r.cells...)
	if kind != kindNone && !loose {
		title = titleCell
	}
	titled := kind == kindNone
	for _, c := range r.cells {
		if len(c.days) > 0 || partOfDay.MatchString(c.text) {
			return false
		}
		titled = titled || title.MatchString(c.text)
	}
	return titled
}

// note takes what a head says of the columns.
func (h *holidayColumns) note(r holidayRow) {
	first, last := -1, -1
	for i, c := range r.cells {
		start, end := startTitle.MatchString(c.text), endTitle.MatchString(c.text)
		if kind, _ := kindOf(c); kind == kindOn || kind == kindMoved {
			h.worked[i] = true
		}
		switch {
		case start && !end && first < 0:
			first = i
		case end && !start && last < 0:
			last = i
		case kindTitle.MatchString(c.text):
			h.kind = i
		}
	}
	if first >= 0 && last >= 0 {
		h.start, h.end = first, last
	}
}

// apart reports whether some cells of a row have days and others a stretch, or days that
// are worked.
func (h holidayColumns) apart(r holidayRow) bool {
	for i, c := range r.cells {
		if len(c.days) > 0 && (h.worked[i] || slices.ContainsFunc(c.days, func(s stretchOfDays) bool { return s.length() != 1 })) {
			return true
		}
	}
	return false
}

// lines reads a list: a line for each day or stretch of days.
func (f *calendarText) lines(text string) {
	columns, begun := holidayColumns{-1, -1, -1, map[int]bool{}}, false
	for n, line := range strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n") {
		switch row := readHolidayRow(line); {
		case row.blank():
		case !begun && row.head():
			columns.note(row)
		default:
			begun = true
			f.row(n+1, row, columns)
		}
	}
}

// row takes what a line says, or reports what is wrong with it.
func (f *calendarText) row(line int, r holidayRow, columns holidayColumns) {
	remedy := say.M("config.calendar_line_remedy")
	if r.broken != "" {
		f.bad(line, say.M("config.calendar_date", shown(r.broken)), remedy)
		return
	}
	kind, _ := kindOf(r.cell(columns.kind))
	if kind == kindNone {
		kind, _ = kindOf(r.cells...)
	}
	days, ok := r.days(columns, kind)
	switch {
	case !ok:
		f.bad(line, say.M("config.calendar_doubt"), say.M("config.calendar_doubt_remedy"))
		return
	case len(days) == 0:
		what := say.M("config.calendar_date", shown(r.first()))
		if text, found := r.unread(); found {
			what = say.M("config.calendar_part", shown(text))
		}
		f.bad(line, what, remedy)
		return
	}
	length := 0
	for _, s := range days {
		if n := s.length(); n < 1 || n > longestHoliday {
			f.bad(line, say.M("config.calendar_stretch", shown(s.text), longestHoliday), say.M("config.calendar_stretch_remedy"))
			return
		}
		length += s.length()
	}
	if kind == kindMoved && weekends(days) {
		kind = kindOn // from Saturday to Sunday no other day can be meant
	}
	part, isPart := r.unread()
	count, counted := r.otherCount(length, days[0].from.Year())
	switch {
	case isPart:
		f.bad(line, say.M("config.calendar_part", shown(part)), remedy)
	case counted:
		f.bad(line, say.M("config.calendar_count", shown(count), length), say.M("config.calendar_doubt_remedy"))
	case kind == kindBoth:
		f.bad(line, say.M("config.calendar_kinds"), remedy)
	case kind == kindMoved:
		f.bad(line, say.M("config.calendar_moved"), say.M("config.calendar_moved_remedy"))
	case kind == kindNone:
		f.bad(line, say.M("config.calendar_kind"), remedy)
	default:
		f.put(line, kind == kindOff, days...)
	}
}

// first returns the text of the first cell that has any.
func (r holidayRow) first() string {
	for _, c := range r.cells {
		if c.text != "" {
			return c.text
		}
	}
	return ""
}

// days returns the days that the row names; ok is false if it may mean others.
func (r holidayRow) days(columns holidayColumns, kind dayKind) (all []stretchOfDays, ok bool) {
	var at []int // cells with days
	plain, list := true, false
	for i, c := range slices.DeleteFunc(slices.Clone(r.cells), holidayCell.blank) {
		if len(c.days) > 0 {
			at, all = append(at, i), append(all, c.days...)
			plain, list = plain && joined.MatchString(c.text), list || c.text != ""
		}
	}
	if columns.start >= 0 {
		start, end := r.cell(columns.start), r.cell(columns.end)
		switch {
		case len(all) == 0:
			return nil, true
		case len(start.days) != 1 || len(all) != 1+len(end.days) || len(end.days) == 0 && end.text != "":
			return nil, false
		case len(end.days) == 0:
			return all, true
		}
		return span(slices.Concat(start.days, end.days))
	}
	if len(all) < 2 {
		return all, true
	}
	if !plain || at[len(at)-1]-at[0] != len(at)-1 || len(at) > 1 && columns.apart(r) {
		return nil, false // they do not stand side by side, or are of different kinds
	}
	if len(all) == 3 && kind == kindOff && all[1].from.Sub(all[0].from) > 24*time.Hour && weekends(all[2:]) {
		return nil, false // the last may be the day that is worked for a stretch
	}
	if one, both := span(all); both && !list {
		// Two days that are worked, such as those for one holiday, are seldom a stretch.
		return one, kind == kindOff || one[0].length() <= 2
	}
	return all, true
}

// span makes one stretch of its first and its last day; ok is false if they are not two
// days.
func span(ends []stretchOfDays) (all []stretchOfDays, ok bool) {
	if len(ends) != 2 || ends[0].length() != 1 || ends[1].length() != 1 {
		return nil, false
	}
	return []stretchOfDays{{ends[0].from, ends[1].to, ends[0].text + "~" + ends[1].text}}, true
}

// unread returns what may be a day in the row and was not read as one.
func (r holidayRow) unread() (text string, found bool) {
	for _, c := range r.cells {
		rest := countOfDays.ReplaceAllString(c.text, "")
		if partOfDay.MatchString(rest) || partOfYear.MatchString(rest) || len(c.days) > 0 && strings.ContainsFunc(rest, unicode.IsDigit) {
			return c.text, true
		}
	}
	return "", false
}

// otherCount returns a number of days in the row that is not how many it names. The first
// cell may number the rows.
func (r holidayRow) otherCount(length, year int) (text string, found bool) {
	cells := slices.DeleteFunc(slices.Clone(r.cells), holidayCell.blank)
	for i, c := range cells {
		for _, m := range countOfDays.FindAllStringSubmatch(c.text, -1) {
			if n, err := strconv.Atoi(m[2]); m[1] == "" && (err != nil || n != length) {
				return m[0], true
			}
		}
		if n, err := strconv.Atoi(c.text); i > 0 && digits(c.text) && (err != nil || n != length && n != year) {
			return c.text, true
		}
	}
	return "", false
}

// weekends reports whether every day is a Saturday or a Sunday.
func weekends(all []stretchOfDays) bool {
	return !slices.ContainsFunc(all, func(s stretchOfDays) bool {
		for day := s.from; !day.After(s.to); day = day.AddDate(0, 0, 1) {
			if w := day.Weekday(); w != time.Saturday && w != time.Sunday {
				return true
			}
		}
		return false
	})
}

// json reads the forms in which lists of holidays are often published: a list of days, or
// {"days": [{"name": "元旦", "date": "2026-01-01", "isOffDay": true}]}, or
// {"holiday": {"01-01": {"holiday": true, "name": "元旦", "date": "2026-01-01"}}}.
func (f *calendarText) json(text string) {
	var all any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		line := 1
		if at := (*json.SyntaxError)(nil); errors.As(err, &at) {
			line += strings.Count(text[:min(int(at.Offset), len(text))], "\n")
		}
		f.bad(line, say.M("config.calendar_json"), say.M("config.calendar_json_remedy"))
		return
	}
	days := jsonParts([]byte(text), 1)
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		document := days
		days = nil
		for _, p := range document {
			if p.key == "days" || p.key == "holiday" {
				days = append(days, jsonParts(p.raw, p.line)...)
			}
		}
	}
	for _, p := range days {
		f.jsonDay(p)
	}
}

// jsonPart is what stands in an object or a list.
type jsonPart struct {
	key  string // in an object
	raw  json.RawMessage
	line int
}

// jsonParts lists what stands in an object or a list that begins in a line.
func jsonParts(raw []byte, line int) (all []jsonPart) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, _ := d.Token()
	if open != json.Delim('{') && open != json.Delim('[') {
		return nil
	}
	for counted := 0; d.More(); {
		var p jsonPart
		if open == json.Delim('{') {
			key, _ := d.Token()
			p.key, _ = key.(string)
		}
		if d.Decode(&p.raw) != nil {
			return all
		}
		begins := int(d.InputOffset()) - len(p.raw)
		line += bytes.Count(raw[counted:begins], []byte("\n"))
		p.line, counted = line, begins
		all = append(all, p)
	}
	return all
}

// jsonDay takes what JSON says of one day, or reports what is wrong with it.
func (f *calendarText) jsonDay(p jsonPart) {
	remedy := say.M("config.calendar_json_remedy")
	var d struct {
		Date, IsOffDay, Holiday any
	}
	if json.Unmarshal(p.raw, &d) != nil {
		f.bad(p.line, say.M("config.calendar_date", shown(strings.Trim(string(p.raw), `"`))), remedy)
		return
	}
	date, _ := d.Date.(string)
	day, err := time.Parse("2006-1-2", date)
	key, value := "isOffDay", d.IsOffDay
	if value == nil {
		key, value = "holiday", d.Holiday
	}
	off, isBool := value.(bool)
	switch {
	case err != nil:
		f.bad(p.line, say.M("config.calendar_date", shown(date)), remedy)
	case value == nil:
		f.bad(p.line, say.M("config.calendar_kind"), remedy)
	case !isBool:
		f.bad(p.line, say.M("config.calendar_json_kind", key), say.M("config.calendar_json_kind_remedy", key, key))
	default:
		f.put(p.line, off, stretchOfDays{from: day, to: day})
	}
}
