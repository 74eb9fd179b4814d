package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Calendars is what a [Library] may be besides: it has the files of [calendar].
type Calendars interface {
	// Calendar returns the text of a file.
	Calendar(file string) ([]byte, error)

	// LastCalendar returns the calendar that stands in if a file is at fault: the
	// one that was in force last, nil if there was none. ok is false if the config is
	// refused instead, because a person reads why.
	LastCalendar(dataDir string) (c *playlist.Calendar, ok bool)
}

// calendarDays are the words for days that go by the calendar.
var calendarDays = map[string]playlist.Weekdays{
	"工作日": playlist.Workdays, "workday": playlist.Workdays, "节假日": playlist.Holidays, "holiday": playlist.Holidays,
}

// calendar is one reading of the files of [calendar].
type calendar struct {
	days   map[playlist.Date]dayOff
	faults []calendarFault
}

// dayOff is what a file says of a day.
type dayOff struct {
	off  bool
	file string // its name for people
	line int
}

type calendarFault struct {
	at           place // of the file's name in the config
	what, remedy say.Message
}

func (r *reader) calendar(s *section) {
	if s == nil || s.t == nil {
		return
	}
	const example = "节假日2026.csv"
	c := &calendar{days: map[playlist.Date]dayOff{}}
	if s.need("files", `files = ["`+example+`"]`) {
		list, _ := s.words("files", example)
		for _, v := range list {
			if name := s.plain("files", v, example); name != "" {
				r.calendarFile(c, v, name)
			}
		}
	}
	s.rest()
	if len(c.faults) == 0 {
		r.out.Calendar = c.calendar()
		return
	}
	var last *playlist.Calendar
	severity := Fault
	if lib, ok := r.lib.(Calendars); ok {
		if last, ok = lib.LastCalendar(r.out.Site.DataDir); ok {
			severity = Warning
		}
	}
	if r.out.Calendar = last; severity == Warning {
		what := "config.calendar_none"
		if last != nil {
			what = "config.calendar_last"
		}
		r.problem(Warning, s.place("files"), "calendar.files", say.M(what), say.M("config.calendar_last_remedy"))
	}
	for _, f := range c.faults {
		r.problem(severity, f.at, "calendar.files", f.what, f.remedy)
	}
}

// calendar returns what has been read, nil if that is nothing.
func (c *calendar) calendar() *playlist.Calendar {
	if len(c.days) == 0 {
		return nil
	}
	out := &playlist.Calendar{}
	for _, day := range slices.Sorted(maps.Keys(c.days)) {
		if c.days[day].off {
			out.Off = append(out.Off, day)
		} else {
			out.On = append(out.On, day)
		}
	}
	return out
}

// calendarFile reads one file, which the config names.
func (r *reader) calendarFile(c *calendar, v *value, name string) {
	path := r.path(name)
	r.files = append(r.files, path)
	fault := func(what, remedy say.Message) {
		c.faults = append(c.faults, calendarFault{v.at, what, remedy})
	}
	raw, err := []byte(nil), fs.ErrNotExist
	if lib, ok := r.lib.(Calendars); ok {
		raw, err = lib.Calendar(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fault(say.M("config.no_file", shown(path)), say.M("config.no_file_remedy"))
		return
	case err != nil:
		fault(say.M("config.calendar_unreadable", shown(path), err), say.M("config.calendar_unreadable_remedy"))
		return
	}
	text, ok := decodedCalendar(raw)
	if !ok {
		fault(say.M("config.calendar_encoding", shown(path)), say.M("config.calendar_encoding_remedy"))
		return
	}
	f := &calendarText{calendar: c, file: shown(filepath.Base(path)), fault: fault}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		f.json(text)
	} else {
		f.lines(text)
	}
	if f.wrong == 0 && f.named == 0 {
		fault(say.M("config.calendar_empty", f.file), say.M("config.calendar_line_remedy"))
	}
}

// decodedCalendar is the text of a file in UTF-8 or, as Excel writes it, GBK.
func decodedCalendar(raw []byte) (text string, ok bool) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		var err error
		if raw, err = simplifiedchinese.GB18030.NewDecoder().Bytes(raw); err != nil {
			return "", false
		}
	}
	return string(raw), !bytes.ContainsAny(raw, "\x00"+string(utf8.RuneError))
}

// calendarText is one reading of one file.
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

func (f *calendarText) put(day playlist.Date, d dayOff) {
	if was, ok := f.days[day]; ok && was.off != d.off {
		f.bad(d.line, say.M("config.calendar_both", string(day), was.file, was.line), say.M("config.calendar_both_remedy"))
		return
	}
	f.days[day] = d
}

// kinds are the words by which a line says that a day is off or worked.
var kinds = map[string]bool{} // off

func init() {
	for _, w := range strings.Fields("休 休息 休息日 假 假期 放假 节假日 法定节假日 holiday off") {
		kinds[w] = true
	}
	for _, w := range strings.Fields("班 上班 调休 调休上班 补班 补班日 工作日 workday on") {
		kinds[w] = false
	}
}

// through is what stands between the first and the last day of a stretch.
var through = regexp.MustCompile(`([\d日号])\s*(?:~|～|至|到|—+|–|--)\s*(\d)`)

// lines reads a list: a line for each day or stretch of days.
func (f *calendarText) lines(text string) {
	remedy := say.M("config.calendar_line_remedy")
	first := true
	for n, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.FieldsFunc(through.ReplaceAllString(line, "$1~$2"), func(c rune) bool {
			return strings.ContainsRune(`,，;；、"“”`, c) || unicode.IsSpace(c)
		})
		if len(fields) == 0 {
			continue
		}
		header := first && !strings.ContainsFunc(fields[0], unicode.IsDigit)
		if first = false; header {
			continue
		}
		from, to, ok := stretchOfDays(fields[0])
		if !ok {
			f.bad(n+1, say.M("config.calendar_date", shown(fields[0])), remedy)
			continue
		}
		on, off := false, false
		for _, w := range fields[1:] {
			if isOff, known := kinds[strings.ToLower(w)]; known {
				on, off = on || !isOff, off || isOff
			}
		}
		length := int(to.Sub(from)/(24*time.Hour)) + 1
		switch {
		case on && off:
			f.bad(n+1, say.M("config.calendar_kinds"), remedy)
		case !on && !off:
			f.bad(n+1, say.M("config.calendar_kind"), remedy)
		case length < 1 || length > longestHoliday:
			f.bad(n+1, say.M("config.calendar_stretch", shown(fields[0]), longestHoliday), say.M("config.calendar_stretch_remedy"))
		default:
			f.named++
			for d := range length {
				f.put(playlist.Date(from.AddDate(0, 0, d).Format(time.DateOnly)), dayOff{off, f.file, n + 1})
			}
		}
	}
}

// longestHoliday is the most days that a line may name: a longer stretch is a typing
// error in a year or month.
const longestHoliday = 31

// stretchOfDays reads one day, or the first and the last of several.
func stretchOfDays(field string) (from, to time.Time, ok bool) {
	first, last, several := strings.Cut(field, "~")
	from, ok = dayOf(first)
	if !several {
		return from, from, ok
	}
	to, also := dayOf(last)
	return from, to, ok && also
}

var dateMarks = strings.NewReplacer("年", "-", "月", "-", "日", "", "号", "", "/", "-", ".", "-")

// dayOf reads a day as people and Excel write it.
func dayOf(s string) (time.Time, bool) {
	for _, layout := range []string{"2006-1-2", "20060102"} {
		if day, err := time.Parse(layout, dateMarks.Replace(s)); err == nil {
			return day, true
		}
	}
	return time.Time{}, false
}

// json reads the form in which lists of holidays are often published:
// {"year": 2026, "days": [{"name": "元旦", "date": "2026-01-01", "isOffDay": true}]}.
func (f *calendarText) json(text string) {
	var doc struct {
		Days []json.RawMessage `json:"days"`
	}
	remedy := say.M("config.calendar_json_remedy")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		line := 1
		if at := (*json.SyntaxError)(nil); errors.As(err, &at) {
			line += strings.Count(text[:min(int(at.Offset), len(text))], "\n")
		}
		f.bad(line, say.M("config.calendar_json"), remedy)
		return
	}
	rest, line := text, 1
	for _, raw := range doc.Days {
		// The days stand in the text as they were read, in that order.
		before, after, _ := strings.Cut(rest, string(raw))
		line += strings.Count(before, "\n")
		var d struct {
			Date string
			Off  *bool `json:"isOffDay"`
		}
		day, err := time.Time{}, json.Unmarshal(raw, &d)
		if err == nil {
			day, err = time.Parse(time.DateOnly, d.Date)
		}
		switch {
		case err != nil:
			f.bad(line, say.M("config.calendar_date", shown(d.Date)), remedy)
		case d.Off == nil:
			f.bad(line, say.M("config.calendar_kind"), remedy)
		default:
			f.named++
			f.put(playlist.Date(day.Format(time.DateOnly)), dayOff{*d.Off, f.file, line})
		}
		line += strings.Count(string(raw), "\n")
		rest = after
	}
}

// covered is how far ahead the calendar should reach: the next year's days off are
// made known in November.
const covered = 60 // days

// uncovered warns of days that go by a calendar which does not reach far enough.
func (r *reader) uncovered() {
	clock, ok := r.lib.(Clock)
	if !ok || r.byCalendar == nil || r.out.Calendar == nil && r.root.find("calendar") != nil {
		return // or the files are at fault, as has been told
	}
	now := clock.Now()
	if years := r.out.Uncovered(now, now.AddDate(0, 0, covered)); len(years) > 0 {
		r.problem(Warning, r.byCalendar.at, r.byCalendar.key, say.M("config.uncovered", Years(years)), say.M("config.uncovered_remedy"))
	}
}

// Years lists years for people.
func Years(years []int) any {
	list := make([]string, len(years))
	for i, y := range years {
		list[i] = itoa(y)
	}
	return all(list)
}

// firstByCalendar is where the config first speaks of workdays or holidays.
type firstByCalendar struct {
	at  place
	key string
}

// days is a set of days; every day if the key is absent or bad.
func (s *section) days(key string) playlist.Weekdays {
	s.form(key, asDays)
	if s.lacks(key) {
		return 0
	}
	list, _ := s.words(key, say.M("config.day_example"))
	var set playlist.Weekdays
	for _, v := range list {
		word := strings.ToLower(strings.TrimSpace(v.text))
		if d, known := dayNames[word]; known {
			set |= 1 << d
		} else if d, known := calendarDays[word]; known {
			set |= d
			if s.r.byCalendar == nil {
				s.r.byCalendar = &firstByCalendar{v.at, s.at(key)}
			}
		} else if s.noDay(key, v, list) {
			break
		}
	}
	return set
}
