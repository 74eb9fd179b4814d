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
	clockLike = regexp.MustCompile(`^(凌晨|清晨|早晨|早上|早|上午|中午|午后|下午|傍晚|晚上|晚|夜里|am|pm)?(\d{1,2})(?:[:.;,点时h](\d{1,2})?分?(?::\d{1,2})?)?(am|pm)?$`)
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
	for _, c := range rest {
		n += digit(c)
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
		m = []string{m[0], "", m[1], m[2], ""}
	}
	hour, _ = strconv.Atoi(m[2])
	minute, _ = strconv.Atoi(m[3])
	switch part := m[1] + m[4]; part {
	case "下午", "午后", "傍晚", "晚上", "晚", "夜里", "pm":
		if hour == 12 && part != "pm" {
			return "" // noon or midnight
		}
		if hour < 12 {
			hour += 12
		}
	case "中午":
		if hour < 4 {
			hour += 12
		}
	case "am":
		hour %= 12
	}
	if hour == 24 && minute > 0 {
		hour = 0
	}
	if hour > 24 || minute > 59 {
		return ""
	}
	return fmt.Sprintf("%02d:%02d", hour, minute)
}

var (
	fullDate = regexp.MustCompile(`^(\d{4}|\d{2})(?:[-/.年]\s*(\d{1,2})[-/.月]\s*(\d{1,2})|(\d{2})(\d{2}))[日号]?(?:[ t]\d.*)?$`)
	monthDay = regexp.MustCompile(`^(\d{1,2})[-/.月](\d{1,2})[日号]?$`)
)

// dateAsMeant finds year, month and day, as of 2026年12月1日. A year of 0 is not given.
func dateAsMeant(text string) (year, month, day int, ok bool) {
	t := strings.ToLower(plainly(text))
	var parts []string
	if m := fullDate.FindStringSubmatch(t); m != nil {
		parts = []string{m[1], m[2] + m[4], m[3] + m[5]}
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

var units = strings.NewReplacer("毫秒", "ms", "小时", "h", "分钟", "m", "秒钟", "s", "hours", "h", "hour", "h", "hr", "h", "minutes", "m", "minute", "m", "mins", "m", "min", "m",
	"seconds", "s", "second", "s", "secs", "s", "sec", "s", "时", "h", "分", "m", "秒", "s")

// spanAsMeant is a length of time, as 2m for 2分钟.
func spanAsMeant(text string) string {
	t := units.Replace(strings.ToLower(strings.Join(strings.Fields(plainly(text)), "")))
	if d, err := time.ParseDuration(t); err == nil && d >= 0 && !digits(t) {
		return brief(d)
	}
	return ""
}

var (
	everyDay     = regexp.MustCompile(`每天|每日|天天|every ?day|daily|at `)
	chineseDs    = regexp.MustCompile(`每?(?:周|星期|礼拜)[一二三四五六日天1-7](?:[,和-]?(?:周|星期|礼拜)?[一二三四五六日天])*`)
	dayField     = regexp.MustCompile(`^\d(-\d)?(,\d(-\d)?)*$`)
	longNames    = regexp.MustCompile(`\b(sun|mon|tue|wed|thu|fri|sat)[a-z]*`)
	timeField    = regexp.MustCompile(`^\d{1,2}:\d{1,2}$`)
	severalTimes = regexp.MustCompile(`[,和与及;]|\band\b`)
	yearField    = regexp.MustCompile(`^(\*|\?|\d{4}(-\d{4})?)$`)
)

// cronAsMeant is a cron spec, as "30 7 * * 1-5" for 周一到周五7点半.
func cronAsMeant(text string) string {
	t := strings.ToLower(plainly(text))
	t = strings.NewReplacer("至", "-", "到", "-", "~", "-", "工作日", " 1-5 ", "周末", " 0,6 ").Replace(t)
	t = chineseDs.ReplaceAllStringFunc(t, func(s string) string { return " " + chineseDays(s) + " " })
	t = longNames.ReplaceAllString(t, "$1")
	var good string
	fields := strings.Fields(t)
	if len(fields) > 1 {
		good = fieldsAsMeant(fields)
	}
	if _, _, found := hourly(good); found {
		good = strings.Join(strings.Fields(good)[:5], " ")
	}
	if good == "" {
		good = wordsAsMeant(everyDay.ReplaceAllString(t, " "))
	}
	if _, err := playlist.ParseCron(good); err != nil || good == "" {
		return ""
	}
	if _, _, bad := faultOfCron(good); bad {
		return ""
	}
	return good
}

// chineseDays is the field of weekdays for words such as 周一、三 or 周一-周五.
func chineseDays(s string) string {
	var b strings.Builder
	for _, c := range s {
		if n := strings.IndexRune("日一二三四五六", c); n >= 0 || c == '天' {
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

// daysAsMeant is a list of days, as ["周一", "周二"] for 周一至周二.
func daysAsMeant(text string) string {
	if good := otherDays[strings.TrimSuffix(strings.ToLower(plainly(text)), "s")]; good != "" {
		return good
	}
	t := strings.NewReplacer("至", "-", "到", "-", "~", "-", "周末", "六,日").Replace(plainly(text))
	field := chineseDays(t)
	if !dayField.MatchString(field) || strings.Trim(t, "一二三四五六日天周星期礼拜每,- ") != "" {
		return ""
	}
	var days []string
	for _, item := range strings.Split(field, ",") {
		from, to, ranged := strings.Cut(item, "-")
		a, _ := weekday.number(from)
		b, _ := weekday.number(to)
		if !ranged {
			b = a
		}
		for d := a; ; d = (d + 1) % 7 {
			days = append(days, strings.Fields(dayWords[d])[0])
			if d == b {
				break
			}
		}
	}
	return "[" + strings.Join(quoted(days), ", ") + "]"
}

// wordsAsMeant is a spec for a time of day with or without weekdays.
func wordsAsMeant(t string) string {
	days, rest := "*", []string{}
	for _, word := range strings.Fields(t) {
		if weekday.valid(word) && (len(rest) > 0 || len(strings.Fields(t)) > 1) && !digits(word) {
			days = word
		} else if weekday.valid(word) && digits(word) && len(rest) == 0 && len(strings.Fields(t)) == 2 {
			days = word
		} else {
			rest = append(rest, word)
		}
	}
	minute, hours := "", []string{}
	for _, text := range severalTimes.Split(strings.Join(rest, " "), -1) {
		clock := clockAsMeant(text)
		h, m, _ := strings.Cut(clock, ":")
		if clock == "" || minute != "" && m != minute {
			return ""
		}
		hour, _ := strconv.Atoi(h)
		minute, hours = m, append(hours, strconv.Itoa(hour%24))
	}
	m, _ := strconv.Atoi(minute)
	return strings.Join([]string{strconv.Itoa(m), strings.Join(hours, ","), "*", "*", sundays(days)}, " ")
}

// fieldsAsMeant is a spec for fields of which some are missing, too many or swapped.
func fieldsAsMeant(parts []string) string {
	parts = slices.Clone(parts)
	for i, p := range parts {
		if timeField.MatchString(p) && i == 0 {
			h, m, _ := strings.Cut(p, ":")
			parts = slices.Concat([]string{strings.TrimPrefix(m, "0"), strings.TrimPrefix(h, "0")}, parts[1:])
			for j := range 2 {
				parts[j] = cmp.Or(parts[j], "0")
			}
			break
		}
	}
	plain := func(i, most int) bool {
		n, err := strconv.Atoi(parts[i])
		return err == nil && n <= most
	}
	switch {
	case len(parts) == 7 && yearField.MatchString(parts[6]):
		parts = parts[:6]
	case len(parts) < 5 && plain(0, 59) && plain(1, 23):
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
		parts[i] = f.asMeant(strings.TrimRight(parts[i], "分时点月日号"))
	}
	return strings.Join(parts, " ")
}

// asMeant is a field with its ranges put right: Sunday is 0, midnight is hour 0, and a
// range that runs backwards goes over the end.
func (f field) asMeant(text string) string {
	if f.word == weekday.word {
		if strings.ContainsAny(text, "一二三四五六日天") {
			text = chineseDays(text)
		}
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
