package config

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	wide "golang.org/x/text/encoding/unicode"

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
	r.out.CalendarFaulty = true
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
		r.out.CalendarFaults = append(r.out.CalendarFaults, r.problems[len(r.problems)-1])
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
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		f.json(text)
	} else {
		f.lines(text)
	}
	if f.wrong == 0 && f.named == 0 {
		fault(say.M("config.calendar_empty", f.file), say.M("config.calendar_line_remedy"))
	}
}

// decodedCalendar is the text of a file in UTF-8 or, as Excel writes it, UTF-16 or GBK.
func decodedCalendar(raw []byte) (text string, ok bool) {
	var err error
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		raw, err = wide.UTF16(wide.LittleEndian, wide.ExpectBOM).NewDecoder().Bytes(raw)
	} else if !utf8.Valid(raw) {
		raw, err = simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	return string(raw), err == nil && !bytes.ContainsAny(raw, "\x00"+string(utf8.RuneError))
}

// covered is how far ahead the calendar should reach: the next year's days off are
// made known in November.
const covered = 60 // days

// uncovered warns of days that go by a calendar which does not reach far enough.
func (r *reader) uncovered() {
	clock, ok := r.lib.(Clock)
	if !ok || r.byCalendar == nil || r.out.CalendarFaulty || r.out.Calendar == nil && r.root.find("calendar") != nil {
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
