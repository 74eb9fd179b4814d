package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// What people write for times, dates and lengths, and what this file wants instead.
// Each function returns "" if that is not known.

// written is a remedy: write that.
func written(text string) say.Message { return say.M("config.write_remedy", `"`+text+`"`) }

var (
	numerals  = regexp.MustCompile(`[〇零一二两三四五六七八九十]+`)
	clockLike = regexp.MustCompile(`^(凌晨|清晨|早晨|早上|早|上午|中午|午后|下午|傍晚|晚上|晚|夜里|am|pm)?(\d{1,2})(?:([:.;,点时h])(?:(\d{2})分?|(\d)分)?(?::\d{1,2})?)?(am|pm)?$`)
	spacedOut = regexp.MustCompile(`\d\s+\d`)
	fourDigit = regexp.MustCompile(`^([0-2]?\d)([0-5]\d)$`)
)

// numeral is a Chinese number below 100.
func numeral(s string) string {
	const figures = "〇一二三四五六七八九"
	digit := func(c rune) int {
		switch c {
		case '零':
			return 0
		case '两':
			return 2
		}
		return slices.Index([]rune(figures), c)
	}
	tens, rest, ten := strings.Cut(s, "十")
	n := 0
	if ten {
		n = 10
		if tens != "" {
			n = 10 * digit([]rune(tens)[0])
		}
	} else {
		rest = s
	}
	figure := []rune(rest)
	if len(figure) > 1 && (len(figure) != 2 || digit(figure[0]) != 0) {
		return s // figures in a row are no number
	}
	for _, c := range figure {
		n += digit(c)
	}
	if len(figure) == 2 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// clockAsMeant is a time of day, as 07:30 for 7点半.
func clockAsMeant(text string) string {
	t := strings.ToLower(plainly(text))
	if spacedOut.MatchString(t) {
		return ""
	}
	t = strings.Join(strings.Fields(t), "")
	t = strings.NewReplacer("点整", "点", "点钟", "点", "半", "30", "一刻", "15", "三刻", "45", "a.m.", "am", "p.m.", "pm").Replace(t)
	t = numerals.ReplaceAllStringFunc(t, numeral)
	var hour, minute int
	m := clockLike.FindStringSubmatch(t)
	if m == nil {
		if m = fourDigit.FindStringSubmatch(t); m == nil {
			return ""
		}
		m = []string{m[0], "", m[1], "", m[2], "", ""}
	}
	hour, _ = strconv.Atoi(m[2])
	minute, _ = strconv.Atoi(m[4] + m[5])
	if hour = hourOfPart(m[1]+m[6], hour); hour < 0 {
		return ""
	}
	if hour == 24 && minute > 0 {
		hour = 0
	}
	if hour > 24 || minute > 59 {
		return ""
	}
	return fmt.Sprintf("%02d:%02d", hour, minute)
}

// hourOfPart is the hour that is called so in a part of the day; -1 if that is not clear, as
// 12 at night is not, or wrong.
func hourOfPart(part string, hour int) int {
	least, most := map[string]int{"am": 0, "凌晨": 0, "清晨": 3, "中午": 11, "傍晚": 4, "晚上": 5, "晚": 5, "夜里": 8, "pm": 1}[part], 11
	after := false // hours count from noon
	switch part {
	case "":
		return hour
	case "凌晨":
		most = 6
	case "am":
		if hour == 12 {
			return 0
		}
	case "pm":
		if hour == 12 {
			return 12
		}
		after = true
	case "中午":
		if hour >= 1 && hour < 4 {
			return hour + 12
		}
		most = 14
	case "下午", "午后":
		least, after = 1, true
	case "傍晚", "晚上", "晚", "夜里":
		after = true
	case "早晨", "早上", "早", "上午":
		least = 4
	}
	if after && hour > 12 && hour < 24 && hour-12 >= least {
		return hour
	}
	if hour < least || hour > most {
		return -1
	}
	if after {
		hour += 12
	}
	return hour
}

var (
	dayFirst = regexp.MustCompile(`^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$`)
	fullDate = regexp.MustCompile(`^(\d{4}|\d{2})(?:[-/.年]\s*(\d{1,2})[-/.月]\s*(\d{1,2})|(\d{2})(\d{2}))[日号]?(?:[ t]\d.*)?$`)
	monthDay = regexp.MustCompile(`^(\d{1,2})[-/.月](\d{1,2})[日号]?$`)
)

// dateAsMeant finds year, month and day, as of 2026年12月1日. A year of 0 is not given.
func dateAsMeant(text string) (year, month, day int, ok bool) {
	t := strings.ToLower(plainly(text))
	var parts []string
	if m := fullDate.FindStringSubmatch(t); m != nil {
		parts = []string{m[1], m[2] + m[4], m[3] + m[5]}
	} else if m := dayFirst.FindStringSubmatch(t); m != nil {
		// Which is the month is clear if the other one is none.
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		switch {
		case b > 12:
			parts = []string{m[3], m[1], m[2]}
		case a > 12 || a == b:
			parts = []string{m[3], m[2], m[1]}
		default:
			return 0, 0, 0, false
		}
	} else if m := monthDay.FindStringSubmatch(t); m != nil {
		parts = []string{"0", m[1], m[2]}
	} else {
		return 0, 0, 0, false
	}
	year, _ = strconv.Atoi(parts[0])
	month, _ = strconv.Atoi(parts[1])
	day, _ = strconv.Atoi(parts[2])
	if len(parts[0]) == 2 {
		year += 2000
	}
	return year, month, day, true
}

// explainDate says what is wrong with a date. now is the present, if it is known.
func explainDate(text string, now time.Time) (what, remedy say.Message) {
	year, month, day, ok := dateAsMeant(text)
	if !ok {
		return say.M("config.date", shown(text)), say.M("config.date_remedy")
	}
	leap := year
	if year == 0 {
		leap = 2024
	}
	last := time.Date(leap, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	switch {
	case month < 1 || month > 12:
		return say.M("config.date_month", shown(text), month), say.M("config.date_remedy")
	case day > last && year == 0:
		return say.M("config.date_day", month, day), say.M("config.date_remedy")
	case day > last:
		return say.M("config.date_year_day", year, month, day), say.M("config.date_last_remedy", fmt.Sprintf("%04d-%02d-%02d", year, month, last))
	case day < 1:
		return say.M("config.date", shown(text)), say.M("config.date_remedy")
	case year == 0 && now.IsZero():
		return say.M("config.date_no_year", shown(text)), say.M("config.date_remedy")
	case year == 0:
		return say.M("config.date_no_year", shown(text)), written(fmt.Sprintf("%04d-%02d-%02d", now.Year(), month, day))
	}
	return say.M("config.date_form", shown(text)), written(fmt.Sprintf("%04d-%02d-%02d", year, month, day))
}

var units = strings.NewReplacer("毫秒", "ms", "半小时", "30m", "半个小时", "30m", "一刻钟", "15m", "个小时", "h", "小时", "h", "分钟", "m", "秒钟", "s", "hours", "h", "hour", "h", "hr", "h", "minutes", "m", "minute", "m", "mins", "m", "min", "m",
	"seconds", "s", "second", "s", "secs", "s", "sec", "s", "时", "h", "分", "m", "秒", "s")

var wholeDays = regexp.MustCompile(`^(\d{1,3})(?:天|d|days?)$`)

// spanAsMeant is a length of time, as 2m for 2分钟.
func spanAsMeant(text string) string {
	t := units.Replace(strings.ToLower(strings.Join(strings.Fields(plainly(text)), "")))
	t = numerals.ReplaceAllStringFunc(t, numeral)
	if m := wholeDays.FindStringSubmatch(t); m != nil {
		n, _ := strconv.Atoi(m[1])
		t = strconv.Itoa(24*n) + "h"
	}
	if d, err := time.ParseDuration(t); err == nil && d >= 0 && !digits(t) {
		return Brief(d)
	}
	return ""
}

var (
	everyDay     = regexp.MustCompile(`每天|每日|天天|every ?day|daily`)
	dayNamed     = regexp.MustCompile(`每?(?:周|星期|礼拜)[一二三四五六日天1-7]`)
	dayAfter     = regexp.MustCompile(`^(?:[,和与及-]?(?:周|星期|礼拜)[一二三四五六日天1-7]|[,和与及-]?[一二三四五六日天])`)
	dayGap       = regexp.MustCompile(`((?:周|星期|礼拜)[一二三四五六日天])\s*([-,、]|\s)\s*((?:周|星期|礼拜))`)
	englishDays  = regexp.MustCompile(`\b(?:sun|mon|tue|wed|thu|fri|sat)[a-z]*(?:\s*(?:-|,|\bto\b|\band\b)\s*(?:sun|mon|tue|wed|thu|fri|sat)[a-z]*)*`)
	longNames    = regexp.MustCompile(`\b(sun|mon|tue|wed|thu|fri|sat)[a-z]*`)
	dayField     = regexp.MustCompile(`^\d(-\d)?(,\d(-\d)?)*$`)
	dayNumbers   = regexp.MustCompile(`^[1-7](-[1-7])?(,[1-7](-[1-7])?)*$`)
	timeField    = regexp.MustCompile(`^\d{1,2}:\d{1,2}$`)
	cronField    = regexp.MustCompile(`^(?:[\d*?/,-]+[分时点月日号]?|(?:[,-]?(?:sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)+)$`)
	severalTimes = regexp.MustCompile(`[,和与及;]|\band\b`)
	clockMark    = regexp.MustCompile(`[:点时]|am|pm|^\s*\d{3,4}\s*$|^\s*(?:凌晨|清晨|早|上午|中午|午后|下午|傍晚|晚)`)
	filling      = regexp.MustCompile(`的|在|播出|播放|播|\bat\b`)
	yearField    = regexp.MustCompile(`^(\*|\?|\d{4}(-\d{4})?)$`)
	byCalendar   = regexp.MustCompile(`每个?(?:法定)?(?:工作日|节假日)|(?:法定)?(?:工作日|节假日)|上班日|(?:\bevery )?\b(?:workday|holiday)s?\b`)
	excepted     = regexp.MustCompile(`除|非|不|\bexcept\b|\bnot?\b`)
)

// daySayings are other words for stretches of days.
var daySayings = strings.NewReplacer("至", "-", "到", "-", "~", "-", "週", "周", "双休日", "周末", "平日", "周一-周五")

// cronAsMeant is a cron spec, as "30 7 * * 1-5" for 周一到周五7点半. Without a time of day
// in the text there is none: instead asks for one. Days that go by the calendar are no
// weekdays: they belong in the key days, beside a spec for each day.
func cronAsMeant(text string) (good string, instead say.Message) {
	t := strings.ToLower(plainly(text))
	if found := byCalendar.FindAllString(t, -1); len(found) > 0 {
		if len(found) > 1 || excepted.MatchString(t) || dayNamed.MatchString(t) {
			return "", instead
		}
		word := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(found[0], "every "), "每"), "个"), "s")
		days := cmp.Or(otherDays[word], "["+quote(word)+"]")
		good, instead = cronAsMeant(byCalendar.ReplaceAllString(t, "每天"))
		switch {
		case good != "":
			return "", say.M("config.cron_days_remedy", quote(good), days)
		case instead.Key != "":
			instead = say.M("config.cron_time_days_remedy", "30 7 * * *", days)
		}
		return "", instead
	}
	t = daySayings.Replace(t)
	t = dayGap.ReplaceAllStringFunc(dayGap.ReplaceAllString(t, "$1$2$3"), func(s string) string { return strings.ReplaceAll(s, " ", ",") })
	if fields, ok := cronFields(t); ok {
		good = fieldsAsMeant(fields)
		if _, _, found := hourly(good); found {
			good = strings.Join(strings.Fields(good)[:5], " ")
		}
		return soundCron(good), instead
	}
	days, rest, ok := daysIn(t)
	if !ok {
		return "", instead
	}
	if rest = strings.Trim(filling.ReplaceAllString(rest, " "), " ,"); rest != "" {
		return soundCron(atTimes(rest, days)), instead
	}
	if days == "" {
		return "", instead
	}
	return "", say.M("config.cron_time_remedy", "30 7 * * "+days)
}

// soundCron is a spec if it is a good one, and empty otherwise.
func soundCron(spec string) string {
	if _, err := playlist.ParseCron(spec); err != nil || spec == "" {
		return ""
	}
	if _, _, bad := faultOfCron(spec); bad {
		return ""
	}
	return spec
}

// cronFields are the fields of a text that is written as fields of a spec, if it is.
func cronFields(t string) (fields []string, ok bool) {
	fields = strings.Fields(t)
	if len(fields) == 4 && timeField.MatchString(fields[0]) {
		h, m, _ := strings.Cut(fields[0], ":")
		fields = slices.Concat([]string{cmp.Or(strings.TrimPrefix(m, "0"), "0"), cmp.Or(strings.TrimPrefix(h, "0"), "0")}, fields[1:])
	}
	for i, f := range fields {
		switch {
		case i >= 4 && everyDay.MatchString(f):
			fields[i] = "*"
		case i >= 4:
			days, rest, ok := daysIn(f)
			if ok && days != "" && strings.Trim(rest, " ") == "" {
				fields[i] = days
			} else if bare := chineseDays(f); strings.Trim(f, "一二三四五六日天,-") == "" && bare != "" {
				fields[i] = bare
			} else if !cronField.MatchString(f) {
				return nil, false
			}
		case !cronField.MatchString(f):
			return nil, false
		}
		fields[i] = longNames.ReplaceAllString(fields[i], "$1")
	}
	return fields, len(fields) > 1 && !slices.ContainsFunc(fields[:2], func(f string) bool { return weekday.valid(f) && !digits(f) && !strings.ContainsAny(f, "-,/") })
}

// daysIn finds the weekdays that a text names, as the field of a spec, and what else
// stands there. ok is false if it is not clear which days are meant.
func daysIn(t string) (field, rest string, ok bool) {
	t = strings.ReplaceAll(t, "周末", " @0,6@ ")
	var fields []string
	for {
		at := dayNamed.FindStringIndex(t)
		if at == nil {
			break
		}
		end := at[1]
		loose := false // the last day stands without 周
		for {
			next := dayAfter.FindString(t[end:])
			if next == "" {
				break
			}
			loose = !strings.ContainsAny(next, "周星期礼拜,和与及-")
			end += len(next)
		}
		tail := strings.TrimLeft(t[end:], " ")
		if loose && tail != "" && end == len(t)-len(tail) && strings.ContainsAny(firstRune(tail), "点时十") {
			// The last figure is an hour; of several it is not clear how many are.
			if end-len("一") != at[1] || firstRune(tail) == "十" {
				return "", t, false
			}
			end -= len("一")
		}
		if c := t[end-1]; c >= '1' && c <= '7' && end < len(t) && strings.ContainsAny(t[end:end+1], "0123456789:点时") {
			return "", t, false
		}
		fields = append(fields, chineseDays(t[at[0]:end]))
		t = t[:at[0]] + " " + t[end:]
	}
	t = englishDays.ReplaceAllStringFunc(t, func(s string) string {
		fields = append(fields, englishField(s))
		return " "
	})
	if strings.Contains(t, "@0,6@") {
		fields, t = append(fields, "0,6"), strings.ReplaceAll(t, "@0,6@", " ")
	}
	if everyDay.MatchString(t) {
		if len(fields) > 0 {
			return "", t, false
		}
		fields, t = append(fields, "*"), everyDay.ReplaceAllString(t, " ")
	}
	for i, f := range fields {
		fields[i] = weekday.asMeant(f)
	}
	return strings.Join(fields, ","), t, true
}

// englishField is the field of weekdays for words such as Monday to Friday.
func englishField(s string) string {
	return strings.NewReplacer("to", "-", "and", ",", " ", "").Replace(longNames.ReplaceAllString(s, "$1"))
}

func firstRune(s string) string { return string([]rune(s)[:1]) }

// atTimes is a spec for times of day on weekdays.
func atTimes(text, days string) string {
	minute, hours := "", []string{}
	for _, part := range severalTimes.Split(text, -1) {
		clock := clockAsMeant(part)
		h, m, _ := strings.Cut(clock, ":")
		if clock == "" || !clockMark.MatchString(part) || minute != "" && m != minute || h == "24" && days != "" && days != "*" {
			return ""
		}
		hour, _ := strconv.Atoi(h)
		minute, hours = m, append(hours, strconv.Itoa(hour%24))
	}
	m, _ := strconv.Atoi(minute)
	return strings.Join([]string{strconv.Itoa(m), strings.Join(hours, ","), "*", "*", cmp.Or(days, "*")}, " ")
}

// chineseDays is the field of weekdays for words such as 周一、三 or 周一-周五.
func chineseDays(s string) string {
	var b strings.Builder
	for _, c := range s {
		n := strings.IndexRune("日一二三四五六", c)
		if c >= '1' && c <= '7' {
			n = int(c-'0') % 7 * len("日")
		}
		if n >= 0 || c == '天' {
			if last := b.String(); last != "" && last[len(last)-1] != '-' {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(max(n, 0) / len("日")))
		}
		if c == '-' {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// otherDays are the lists for words that come near to those for days.
var otherDays = map[string]string{
	"weekday": `["mon", "tue", "wed", "thu", "fri"]`, "weekend": `["sat", "sun"]`, "workday": `["workday"]`, "work day": `["workday"]`,
	"working day": `["workday"]`, "holiday": `["holiday"]`, "public holiday": `["holiday"]`, "上班日": `["工作日"]`, "法定工作日": `["工作日"]`,
	"节日": `["节假日"]`, "假日": `["节假日"]`, "休息日": `["节假日"]`, "法定假日": `["节假日"]`, "法定节假日": `["节假日"]`,
}

// daysAsMeant is a list of weekdays in the language of the text, as ["周一", "周二"] for 周一至周二. Every day needs
// no list.
func daysAsMeant(text string) (value string, instead say.Message) {
	t := strings.ToLower(plainly(text))
	if everything[t] || everyDay.FindString(t) == t && t != "" {
		return "", say.M("config.all_remedy", "days")
	}
	if good := otherDays[strings.TrimSuffix(t, "s")]; good != "" {
		return good, instead
	}
	if _, known := calendarDays[t]; known {
		return "[" + quote(t) + "]", instead
	}
	t = strings.NewReplacer("周末", "六,日", "/", ",").Replace(daySayings.Replace(t))
	field := chineseDays(t)
	if dayNumbers.MatchString(t) {
		field = t
	} else if strings.Trim(dayNamed.ReplaceAllString(t, ""), "一二三四五六日天周星期礼拜每,;- ") != "" {
		if field = englishDays.FindString(t); field != t || field == "" {
			return "", instead
		}
		field = englishField(field)
	} else if !dayField.MatchString(field) {
		return "", instead
	}
	names, all := []string{}, []string{}
	for _, words := range dayWords {
		names = append(names, strings.Fields(words)[0])
	}
	if englishDays.MatchString(t) {
		names = weekday.names
	}
	for _, item := range strings.Split(field, ",") {
		from, to, ranged := strings.Cut(item, "-")
		a, _ := weekday.number(from)
		b, _ := weekday.number(to)
		a, b = a%7, b%7
		if !ranged {
			b = a
		}
		for d := a; ; d = (d + 1) % 7 {
			if name := quote(names[d]); !slices.Contains(all, name) {
				all = append(all, name)
			}
			if d == b {
				break
			}
		}
	}
	return "[" + strings.Join(all, ", ") + "]", instead
}

// marks are what stands behind the number of a field.
var marks = map[string]string{minute.word: "分", hour.word: "时点", day.word: "日号", month.word: "月"}

// fieldsAsMeant is a spec for fields of which some are missing, too many or swapped.
func fieldsAsMeant(parts []string) string {
	parts = slices.Clone(parts)
	plain := func(i, most int) bool {
		n, err := strconv.Atoi(parts[i])
		return err == nil && n <= most
	}
	switch {
	case len(parts) == 7 && yearField.MatchString(parts[6]):
		parts = parts[:6]
	case len(parts) < 5 && plain(0, 59) && plain(1, 23) && strings.Trim(strings.Join(parts[2:], ""), "*?") == "":
		for len(parts) < 5 {
			parts = append(parts, "*")
		}
	case len(parts) == 5 && parts[0] != "0" && plain(0, 23) && plain(1, 59) && !plain(1, 23):
		parts[0], parts[1] = parts[1], parts[0]
	}
	fields := fieldsOf(len(parts))
	if fields == nil {
		return ""
	}
	if n := len(parts); strings.Contains(parts[n-4], "24") && (parts[n-3] != "*" || parts[n-1] != "*") {
		return "" // it is not clear of which day
	}
	for i, f := range fields {
		parts[i] = f.asMeant(strings.TrimRight(parts[i], marks[f.word]))
	}
	return strings.Join(parts, " ")
}

// asMeant is a field with its ranges put right: Sunday is 0, midnight is hour 0, and a
// range that runs backwards goes over the end.
func (f field) asMeant(text string) string {
	if f.word == weekday.word {
		text = sundays(text)
	}
	var items []string
	for _, item := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(item, "-")
		a, okA := f.number(from)
		b, okB := f.number(to)
		switch {
		case item == "":
			continue
		case f.word == hour.word && item == "24":
			item = "0"
		case ranged && okA && okB && a > b && a <= f.hi && b >= f.lo:
			items = append(items, stretch(f.lo, b))
			item = stretch(a, f.hi)
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}

func stretch(from, to int) string {
	if from == to {
		return strconv.Itoa(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

// sundays is a field of weekdays with 0 for 7.
func sundays(text string) string {
	var items []string
	for _, item := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(item, "-")
		switch a, ok := weekday.number(from); {
		case item == "7":
			item = "0"
		case ranged && to == "7" && ok && a <= 1:
			item = "*"
		case ranged && to == "7" && ok && a < 7:
			items = append(items, "0")
			item = stretch(a, 6)
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}
