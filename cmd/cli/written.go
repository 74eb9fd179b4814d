package cli

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	// partOfDay is a day and a part of it in two characters: 昨晚.
	partOfDay = regexp.MustCompile(`([今昨明])([早晚])上?`)
	alike     = strings.NewReplacer("今日", "今天", "昨日", "昨天", "明日", "明天", "点钟", "点", "点整", "点",
		"last night", "昨天晚上", "this morning", "今天早上", "this afternoon", "今天下午", "this evening", "今天晚上", "tonight", "今天晚上")
)

// plain is text as the patterns below have it: in small letters, full-width
// characters as the common ones, one blank between words, numbers of a date or a time
// in digits.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～': // the full-width forms stand in the order of ASCII
			return r - '！' + '!'
		case r == '–' || r == '—':
			return '-'
		}
		return r
	}, text)
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = alike.Replace(partOfDay.ReplaceAllString(text, "${1}天${2}上"))
	return inWords.ReplaceAllStringFunc(text, func(m string) string {
		r := []rune(m)
		last := len(r) - 1
		for i := range last { // "三三点" is of "周三三点"
			if n, ok := number(r[i:last]); ok {
				return string(r[:i]) + strconv.Itoa(n) + string(r[last])
			}
		}
		return m
	})
}

// inWords is a number in Chinese characters with what it counts.
var inWords = regexp.MustCompile(`[零一二两三四五六七八九十]+[点时分秒月日号天小个周星]`)

// number reads a number below 100 in Chinese characters: 七, 十二, 二十三, 零五.
func number(r []rune) (n int, ok bool) {
	digit := func(r rune) int { return slices.Index([]rune("零一二三四五六七八九"), r) }
	tens, ones := 0, r
	switch i := slices.Index(r, '十'); {
	case i == 0:
		tens, ones = 1, r[1:]
	case i == 1:
		tens, ones = digit(r[0]), r[2:]
	case len(r) == 2 && r[0] == '零':
		ones = r[1:]
	}
	switch {
	case tens < 0 || len(ones) > 1:
		return 0, false
	case len(ones) == 0:
		return 10 * tens, true
	case ones[0] == '两':
		return 2, tens == 0
	}
	one := digit(ones[0])
	return 10*tens + one, one >= 0
}

// days are the words for a day.
var days = []struct {
	word string
	on   int // days after today
}{
	{"大前天", -3}, {"前天", -2}, {"昨天", -1}, {"今天", 0}, {"明天", 1}, {"后天", 2}, {"大后天", 3},
	{"the day before yesterday", -2}, {"yesterday", -1}, {"today", 0}, {"tomorrow", 1},
}

var (
	fullDate  = regexp.MustCompile(`^(\d{4})(?:[-/.](\d{1,2})[-/.]|年(\d{1,2})月)(\d{1,2})(?:日|号)?`)
	digitDate = regexp.MustCompile(`^(20\d{2})(\d{2})(\d{2})`)
	shortYear = regexp.MustCompile(`^(\d{2})[-/.](\d{1,2})[-/.](\d{1,2})`)
	yearless  = regexp.MustCompile(`^(?:(\d{1,2})[-/.]|(\d{1,2})月)(\d{1,2})(?:日|号)?`)
	dayAlone  = regexp.MustCompile(`^(\d{1,2})(?:日|号)`)
	inTheWeek = regexp.MustCompile(`^(上上|上|这|本|下)?个?(?:周|星期|礼拜)([一二三四五六日天])`)
	weekday   = regexp.MustCompile(`^(last )?(?:mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b`)
)

// parseDay reads the day that a text begins with; rest is what follows. found is set
// if it begins with what must be a day: the zero date then is a day that no calendar
// has. Days are midnights in UTC.
func parseDay(s string, look Look, today time.Time) (date time.Time, rest string, found bool) {
	for _, d := range days {
		if rest, ok := strings.CutPrefix(s, d.word); ok {
			return today.AddDate(0, 0, d.on), strings.TrimSpace(rest), true
		}
	}
	for _, k := range []struct {
		pattern *regexp.Regexp
		day     func(m []string) time.Time
	}{
		{fullDate, func(m []string) time.Time { return day(atoi(m[1]), atoi(m[2]+m[3]), atoi(m[4])) }},
		{digitDate, func(m []string) time.Time { return day(atoi(m[1]), atoi(m[2]), atoi(m[3])) }},
		{shortYear, func(m []string) time.Time {
			if year := 2000 + atoi(m[1]); year-today.Year() <= nearYears && today.Year()-year <= nearYears {
				return day(year, atoi(m[2]), atoi(m[3]))
			}
			return time.Time{} // perhaps it begins with the day or the month
		}},
		{yearless, func(m []string) time.Time {
			return nearest(look, today, func(n int) time.Time { return day(today.Year()+n, atoi(m[1]+m[2]), atoi(m[3])) })
		}},
		{dayAlone, func(m []string) time.Time {
			return nearest(look, today, func(n int) time.Time {
				first := time.Date(today.Year(), today.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
				return day(first.Year(), int(first.Month()), atoi(m[1]))
			})
		}},
		{inTheWeek, func(m []string) time.Time {
			return dayOfWeek(m[1], strings.Index("日一二三四五六", strings.Replace(m[2], "天", "日", 1))/3, look, today)
		}},
		{weekday, func(m []string) time.Time {
			name := strings.TrimPrefix(m[0], "last ")
			on := strings.Index("sunmontuewedthufrisat", name[:3]) / 3
			if m[1] != "" { // the latest before today
				return dayOfWeek("", on, Back, today.AddDate(0, 0, -1))
			}
			return dayOfWeek("", on, look, today)
		}},
	} {
		m := k.pattern.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		rest := strings.TrimPrefix(s, m[0])
		if isDigit(s[len(m[0])-1]) && rest != "" && isDigit(rest[0]) { // where does the day end?
			break
		}
		return k.day(m), strings.TrimSpace(strings.TrimPrefix(rest, "t")), true
	}
	return time.Time{}, s, false
}

// nearYears is how far from today's a year in two digits may be: 28-11-26 is no date.
const nearYears = 1

var (
	aWeek  = regexp.MustCompile(`^(上上|上|这|本|下)个?(?:周|星期|礼拜)$|^(last|this|next) week$`)
	aMonth = regexp.MustCompile(`^(上上|上|这|本|下)个?月$|^(last|this|next) month$`)
	away   = map[string]int{"上上": -2, "上": -1, "last": -1, "这": 0, "本": 0, "this": 0, "下": 1, "next": 1}
)

// parseSpan reads a week or a month as its first day and the one after its last.
func parseSpan(s string, today time.Time) (from, to time.Time, ok bool) {
	if m := aWeek.FindStringSubmatch(s); m != nil {
		from = dayOfWeek("本", 1, Back, today).AddDate(0, 0, 7*away[m[1]+m[2]])
		return from, from.AddDate(0, 0, 7), true
	}
	if m := aMonth.FindStringSubmatch(s); m != nil {
		from = time.Date(today.Year(), today.Month()+time.Month(away[m[1]+m[2]]), 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0), true
	}
	return from, to, false
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func atoi(digits string) int {
	n, _ := strconv.Atoi(digits) // at most four, as the patterns have it
	return n
}

// day returns a day of the calendar; zero if it has none such.
func day(year, month, d int) time.Time {
	t := time.Date(year, time.Month(month), d, 0, 0, 0, 0, time.UTC)
	if month != int(t.Month()) || d != t.Day() {
		return time.Time{}
	}
	return t
}

// nearest returns the first day that a verb sees which looks from today on: nth gives
// that of the nth year or month from now. 29 February comes once in eight years at
// least.
func nearest(look Look, today time.Time, nth func(int) time.Time) time.Time {
	if look == Near {
		back, ahead := nearest(Back, today, nth), nearest(Ahead, today, nth)
		if back.IsZero() || !ahead.IsZero() && ahead.Sub(today) < today.Sub(back) {
			return ahead
		}
		return back
	}
	for n := range 9 {
		if look == Back {
			n = -n
		}
		t := nth(n)
		if !t.IsZero() && (t.Equal(today) || t.Before(today) == (look == Back)) {
			return t
		}
	}
	return time.Time{}
}

// dayOfWeek returns the day of a week, which begins on Monday; without a week, the
// nearest that the verb sees.
func dayOfWeek(week string, weekday int, look Look, today time.Time) time.Time {
	on := weekday - int(today.Weekday())
	switch week {
	case "":
		if look != Ahead {
			return today.AddDate(0, 0, -((7 - on) % 7))
		}
		return today.AddDate(0, 0, (7+on)%7)
	case "上上":
		on -= 14
	case "上":
		on -= 7
	case "下":
		on += 7
	}
	if weekday == 0 {
		on += 7
	}
	if today.Weekday() == time.Sunday {
		on -= 7
	}
	return today.AddDate(0, 0, on)
}

var (
	byColon = regexp.MustCompile(`^(\D*?) ?(\d{1,2}):(\d{2})(?::(\d{2}))? ?(am|pm)?$`)
	byHour  = regexp.MustCompile(`^(\D*?) ?(\d{1,2}) ?(am|pm)$`)
	byWord  = regexp.MustCompile(`^(\D*?) ?(\d{1,2})[点时] ?(?:(半)|([一三])刻|(\d{2})分?|(\d)分)?(?:(\d{1,2})秒)?$`)
)

// halves are parts of a day with the first and the last hour that people call so. An
// hour that is said of two days, such as 晚上12点, is in none.
var halves = map[string]struct{ from, to int }{
	"凌晨": {0, 6}, "清晨": {4, 9}, "早晨": {4, 11}, "早上": {4, 11}, "早": {4, 11}, "上午": {6, 12}, "am": {0, 11},
	"中午": {11, 14}, "下午": {12, 19}, "傍晚": {16, 20}, "晚上": {17, 23}, "晚": {17, 23}, "pm": {12, 23},
}

// parseClock reads a time of day as how long after midnight it is.
func parseClock(s string) (time.Duration, bool) {
	if s == "noon" || s == "中午" || s == "正午" {
		return 12 * time.Hour, true
	}
	var half, hour, minute, second string
	if m := byColon.FindStringSubmatch(s); m != nil {
		half, hour, minute, second = m[1]+m[5], m[2], m[3], m[4]
	} else if m := byHour.FindStringSubmatch(s); m != nil {
		half, hour = m[1]+m[3], m[2]
	} else if m := byWord.FindStringSubmatch(s); m != nil {
		half, hour, minute, second = m[1], m[2], m[5]+m[6], m[7]
		switch {
		case m[3] != "":
			minute = "30"
		case m[4] == "一":
			minute = "15"
		case m[4] == "三":
			minute = "45"
		}
	} else {
		return 0, false
	}
	h, ok := hourOf(half, atoi(hour))
	at := time.Duration(h)*time.Hour + time.Duration(atoi(minute))*time.Minute + time.Duration(atoi(second))*time.Second
	return at, ok && atoi(minute) < 60 && atoi(second) < 60 && at <= 24*time.Hour
}

// parsePart reads a part of a day (下午, 晚上) as how long after midnight it begins and
// ends.
func parsePart(s string) (from, to time.Duration, ok bool) {
	part, ok := halves[s]
	return time.Duration(part.from) * time.Hour, time.Duration(part.to+1) * time.Hour, ok && !strings.HasSuffix(s, "m")
}

// hourOf is the hour of the day that is called so in a part of it.
func hourOf(half string, hour int) (int, bool) {
	if half == "" {
		return hour, hour <= 24 // 24:00 is the end of the day
	}
	part, ok := halves[half]
	if !ok {
		return 0, false
	}
	if strings.HasSuffix(half, "m") && (hour < 1 || hour > 12) { // am and pm are of the clock with 12
		return 0, false
	}
	within := func(h int) bool { return h >= part.from && h <= part.to }
	switch {
	case within(hour):
		return hour, true
	case within(hour + 12):
		return hour + 12, true
	case hour == 12 && within(0):
		return 0, true
	}
	return 0, false
}
