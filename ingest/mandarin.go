package ingest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Spoken writes Chinese text the way it is read aloud: numbers, dates, times,
// telephone numbers and units in words, without the signs that are not read. It
// leaves everything else as it is.
func Spoken(text string) string {
	text = narrow(text)
	var out strings.Builder
	for at := 0; at < len(text); {
		before, rest := text[:at], text[at:]
		said, n := read(before, rest)
		out.WriteString(said)
		at += n
	}
	return spaces.ReplaceAllString(out.String(), " ")
}

var spaces = regexp.MustCompile(`[ \t]+`)

// narrow converts full-width letters, digits and the signs that go with numbers
// to ASCII, and the many dashes to one.
func narrow(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９', r >= 'Ａ' && r <= 'Ｚ', r >= 'ａ' && r <= 'ｚ', strings.ContainsRune("％＋－．／＝＜＞～＆", r):
			return r - 0xfee0
		case strings.ContainsRune("−–‐‑", r):
			return '-'
		case r == '∼', r == '〜':
			return '~'
		case r == '\u00a0', r == '\u3000':
			return ' '
		case r == '\ufeff', r == '\u200b':
			return -1
		}
		return r
	}, text)
}

// rule reads one kind of expression at the start of the text. say returns "" if
// it is not of that kind.
type rule struct {
	re  *regexp.Regexp
	say func(m []string, before, after string) string
}

const num = `(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)`

// rules are tried in this order at the start of a number.
var rules = []rule{
	{begins(`(\d{4})(?:年|[-/.])(\d{1,2})(?:月|[-/.])(\d{1,2})(?:日|号)?`), sayDate},          // a date with its year
	{begins(`(\d{4})([-~至到])(\d{4})年`), sayYears},                                         // a span of years
	{begins(`(\d{4}|\d{2})年`), sayYear},                                                   // a year
	{begins(`(\d{1,2})月(\d{1,2})(日|号)?`), sayDay},                                         // a day of a month
	{begins(`(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*[-~至到]\s*(\d{1,2}):(\d{2}))?`), sayTime}, // a time of day, or a span of times
	{begins(`(\d+):(\d+)`), sayScore},                                                     // a score, or a ratio
	{begins(`(1[3-9]\d{9}|0\d{2,3}-?\d{7,8}|[48]00-?\d{3}-?\d{4}|\d{7,8})`), sayPhone},    // a telephone number
	{begins(`(1[02]\d{3}|9[56]\d{3,4}|1[12]\d)`), sayHotline},                             // a short telephone number
	{begins(`(\d{1,2})-(\d{2})`), sayShortDate},                                           // month and day with a dash
	{begins(`(\d{2,3})/(\d{2,3})(\s*mmHg)?`), sayPressure},                                // a blood pressure
	{begins(`(\d+)/(\d+)`), sayFraction},                                                  // a fraction
	{begins(num + `([%‰])(?:\s*[-~至到]\s*` + num + `([%‰]))?`), sayPercent},                // a percentage, or a span of two
	{begins(num + `\s*[-~至到]\s*` + num + `([%‰])`), sayPercents},                          // a span of percentages with one sign
	{begins(num + `(\s*(?:℃|°C|[a-zA-Zμ]{1,6}))?\s*[-~]\s*` + num), saySpan},              // a span of numbers
	{begins(num), sayNumber},                                                              // any other number
}

// begins matches text that begins with re.
func begins(re string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + re + `)`) }

func sayDate(m []string, _, after string) string {
	if digitNext(after) || !isDate(m[2], m[3]) {
		return ""
	}
	return digits(m[1]) + "年" + number(m[2]) + "月" + number(m[3]) + "日"
}

func sayYears(m []string, _, _ string) string {
	return digits(m[1]) + "到" + digits(m[3]) + "年"
}

func sayYear(m []string, before, after string) string {
	if len(m[1]) == 2 && !monthNext.MatchString(after) {
		return "" // twenty years, not the year '20
	}
	return digits(m[1]) + "年"
}

func sayDay(m []string, _, after string) string {
	if digitNext(after) || !isDate(m[1], m[2]) {
		return ""
	}
	return number(m[1]) + "月" + number(m[2]) + orElse(m[3], "日")
}

func sayTime(m []string, _, after string) string {
	if digitNext(after) || !isTime(m[1], m[2]) || m[4] != "" && !isTime(m[4], m[5]) {
		return ""
	}
	said := clock(m[1], m[2])
	if m[3] != "" && m[3] != "00" {
		if m[2] == "00" {
			said += "零分"
		}
		said += number(m[3]) + "秒"
	}
	if m[4] != "" {
		said += "到" + clock(m[4], m[5])
	}
	return said
}

func sayScore(m []string, _, _ string) string { return number(m[1]) + "比" + number(m[2]) }

func sayPhone(m []string, before, after string) string {
	called := phoneBefore.MatchString(before)
	if digitNext(after) || len(m[1]) < 9 && !called {
		return ""
	}
	return telephone(m[1])
}

func sayHotline(m []string, before, after string) string {
	if digitNext(after) || measured.MatchString(after) || numberGoesOn.MatchString(after) {
		return ""
	}
	sure := strings.HasPrefix(m[1], "12") && len(m[1]) == 5 && !strings.HasSuffix(m[1], "00")
	if !sure && !hotBefore.MatchString(before) && !hotAfter.MatchString(after) {
		return ""
	}
	return telephone(m[1])
}

func sayShortDate(m []string, _, after string) string {
	if len(m[1]) != 2 || digitNext(after) || !isDate(m[1], m[2]) || measured.MatchString(after) || strings.HasPrefix(after, "%") || strings.HasPrefix(after, ".") {
		return ""
	}
	return number(m[1]) + "月" + number(m[2]) + "日"
}

func sayPressure(m []string, before, after string) string {
	if digitNext(after) || m[3] == "" && !strings.HasSuffix(strings.TrimRight(before, "是为约在到了：: "), "血压") {
		return ""
	}
	said := number(m[1]) + "，" + number(m[2])
	if m[3] != "" {
		said += "毫米汞柱"
	}
	return said
}

func sayFraction(m []string, _, _ string) string { return number(m[2]) + "分之" + number(m[1]) }

func sayPercent(m []string, _, _ string) string {
	part := map[string]string{"%": "百分之", "‰": "千分之"}
	said := part[m[2]] + number(m[1])
	if m[3] != "" {
		said += "到" + part[m[4]] + number(m[3])
	}
	return said
}

func sayPercents(m []string, _, _ string) string {
	part := map[string]string{"%": "百分之", "‰": "千分之"}
	return part[m[3]] + number(m[1]) + "到" + number(m[2])
}

func saySpan(m []string, _, after string) string {
	unit, _ := unitAt(strings.TrimSpace(m[2]))
	if strings.TrimSpace(m[2]) != "" && unit == "" {
		return ""
	}
	next, _ := unitAt(strings.TrimLeft(after, " "))
	if unit == next {
		unit = "" // "2mg-4mg" is read as two to four mg
	}
	return count(m[1], unit != "" || measured.MatchString(after)) + unit + "到" + count(m[3], next != "" || measured.MatchString(after))
}

func sayNumber(m []string, before, after string) string {
	letter := before != "" && isLatin(rune(before[len(before)-1]))
	switch {
	case letter && !strings.Contains(m[1], "."):
		return digits(m[1]) // N95, H7N9
	case strings.HasPrefix(m[1], "0") && len(m[1]) > 1 && m[1][1] != '.':
		return digits(m[1])
	}
	unit, _ := unitAt(strings.TrimLeft(after, " "))
	two := (unit != "" && unit != "摄氏度" || measured.MatchString(after)) && !strings.HasSuffix(before, "第")
	return count(m[1], two)
}

var (
	monthNext    = regexp.MustCompile(`^\d{1,2}月`)
	phoneBefore  = regexp.MustCompile(`(?:电话|手机|热线|号码|拨打|打|拨|联系|咨询)[^。！？]{0,12}$`)
	numberGoesOn = regexp.MustCompile(`^\.\d|^%|^,\d{3}|^/\d`)
	measured     = regexp.MustCompile(`^\s*(?:个|天|日|次|片|粒|袋|支|瓶|度|岁|年|月|周|小时|分|秒|米|厘米|毫米|公里|里|斤|公斤|克|毫克|千克|升|毫升|人|户|元|块|毛|倍|遍|滴|包|盒|颗|杯|勺|层|种|位|名|条|件|台|亩|只|头|棵|口|家|场|期|步|样|成|点|下|顿|针|剂|例|平方|℃|°C|mg|g|kg|ml|mL|L|cm|mm|m|km|mmHg|kPa)`)
	// Emergency numbers are read digit by digit after such words; other numbers
	// as amounts.
	hotBefore = regexp.MustCompile(`(?:电话|热线|拨打|打|拨|呼叫|求助|联系|报警|急救)[^。！？，；]{0,10}$`)
	hotAfter  = regexp.MustCompile(`^\s*(?:急救|电话|热线|求助|报警|平台|救护)`)
	negative  = regexp.MustCompile(`^-\s?(\d+(?:\.\d+)?)\s*(?:(?:-|~|至|到)\s*-?(\d+(?:\.\d+)?)\s*)?(℃|°C|摄氏度|度)?`)
)

// read returns the words for what is at the start of rest, and how many bytes
// that was.
func read(before, rest string) (said string, n int) {
	c := rest[0]
	prev, _ := utf8.DecodeLastRuneInString(before)
	switch {
	case c >= '0' && c <= '9':
		for _, r := range rules {
			if m := r.re.FindStringSubmatch(rest); m != nil {
				if said := r.say(m, before, rest[len(m[0]):]); said != "" {
					return withUnit(said, rest, len(m[0]))
				}
			}
		}
	case c == '-':
		m := negative.FindStringSubmatch(rest)
		switch {
		case m != nil && !isLatin(prev) && !unicode.IsDigit(prev) && prev != '-':
			sign, unit := "负", ""
			if m[3] != "" {
				sign, unit = "零下", m[3]
				if unit != "度" {
					unit = "摄氏度"
				}
			}
			said := sign + number(m[1])
			if m[2] != "" {
				said += "到" + sign + number(m[2])
			}
			return said + unit, len(m[0])
		case isLatin(prev):
			return " ", 1 // COVID-19
		}
		return "，", 1
	}
	r, size := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError {
		return "", size
	}
	if r == '/' && unicode.Is(unicode.Han, prev) {
		return "每", size // 次/分
	}
	if s, ok := signs[r]; ok {
		return s, size
	}
	return string(r), size
}

// signs are read as words, or not at all.
var signs = map[rune]string{
	'℃': "摄氏度", '℉': "华氏度", '±': "正负", '+': "加", '=': "等于", '<': "小于", '>': "大于", '≤': "小于等于", '≥': "大于等于",
	'&': "和", '×': "乘", '÷': "除以", '~': "到", '%': "百分号", '°': "度",
	'*': "", '#': "", '_': "", '|': "，", '[': "", ']': "", '{': "", '}': "", '\\': "", '^': "", '`': "", '/': "，",
	'★': "", '☆': "", '●': "", '■': "", '◆': "", '▲': "", '※': "", '→': "，", '【': "，", '】': "，",
}

// units and how they are read. The longest match is used.
var units = map[string]string{
	"℃": "摄氏度", "°C": "摄氏度", "mg": "毫克", "μg": "微克", "ug": "微克", "g": "克", "kg": "公斤", "KG": "公斤", "Kg": "公斤",
	"ml": "毫升", "mL": "毫升", "ML": "毫升", "L": "升", "l": "升", "cm": "厘米", "mm": "毫米", "m": "米", "km": "公里",
	"mmHg": "毫米汞柱", "kPa": "千帕", "mmol": "毫摩尔", "kcal": "千卡", "h": "小时", "min": "分钟", "s": "秒", "d": "天",
	"m2": "平方米", "m²": "平方米", "m3": "立方米", "m³": "立方米", "W": "瓦", "kW": "千瓦", "V": "伏", "dB": "分贝", "Hz": "赫兹",
	"IU": "国际单位", "U": "单位",
}

var unitNames = func() []string {
	var names []string
	for u := range units {
		names = append(names, u)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	return names
}()

// unitAt returns the unit at the start of text, and how many bytes it takes.
func unitAt(text string) (said string, n int) {
	for _, u := range unitNames {
		if rest, ok := strings.CutPrefix(text, u); ok && (rest == "" || !isLatin(rune(rest[0]))) {
			return units[u], len(u)
		}
	}
	return "", 0
}

// withUnit adds the unit that follows a number, and what it is per.
func withUnit(said, rest string, n int) (string, int) {
	after := rest[n:]
	skip := len(after) - len(strings.TrimLeft(after, " "))
	unit, size := unitAt(after[skip:])
	if size == 0 {
		return said, n
	}
	n += skip + size
	said += unit
	if per, ok := strings.CutPrefix(rest[n:], "/"); ok {
		if unit, size := unitAt(per); size > 0 {
			return said + "每" + unit, n + 1 + size
		}
		return said + "每", n + 1
	}
	return said, n
}

func isLatin(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func digitNext(after string) bool { return after != "" && after[0] >= '0' && after[0] <= '9' }

func isDate(month, day string) bool {
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	return m >= 1 && m <= 12 && d >= 1 && d <= 31
}

func isTime(hour, minute string) bool {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	return h <= 24 && m < 60
}

func clock(hour, minute string) string {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	said := count(strconv.Itoa(h), true) + "点"
	switch {
	case m == 0:
	case m < 10:
		said += "零" + number(strconv.Itoa(m)) + "分"
	default:
		said += number(strconv.Itoa(m)) + "分"
	}
	return said
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var numerals = []string{"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"}

// digits returns digits read one by one.
func digits(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= '0' && c <= '9' {
			b.WriteString(numerals[c-'0'])
		}
	}
	return b.String()
}

// telephone returns digits as operators read them, with 幺 for one.
func telephone(s string) string {
	var groups []string
	for g := range strings.SplitSeq(s, "-") {
		groups = append(groups, strings.ReplaceAll(digits(g), "一", "幺"))
	}
	return strings.Join(groups, "，")
}

// count is number, with 两 for two if it counts something.
func count(s string, something bool) string {
	if s == "2" && something {
		return "两"
	}
	return number(s)
}

// number returns an amount, with or without a decimal point, in words.
func number(s string) string {
	s = strings.ReplaceAll(s, ",", "")
	whole, fraction, decimal := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n >= 1e16 {
		return digits(s)
	}
	said := integer(n)
	if decimal {
		said += "点" + digits(fraction)
	}
	return said
}

func integer(n int64) string {
	if n == 0 {
		return "零"
	}
	var b strings.Builder
	for _, g := range []struct {
		size int64
		name string
	}{{1e12, "万亿"}, {1e8, "亿"}, {1e4, "万"}, {1, ""}} {
		part := n / g.size % 1e4
		if g.size == 1e12 {
			part = n / g.size
		}
		if part == 0 {
			if b.Len() > 0 && n%g.size != 0 && !strings.HasSuffix(b.String(), "零") {
				b.WriteString("零")
			}
			continue
		}
		if b.Len() > 0 && part < 1000 && !strings.HasSuffix(b.String(), "零") {
			b.WriteString("零")
		}
		b.WriteString(thousands(part, b.Len() == 0) + g.name)
	}
	return b.String()
}

// thousands returns 1 to 9999 in words; first drops the one of ten to nineteen,
// and has 两 before 千.
func thousands(n int64, first bool) string {
	var b strings.Builder
	gap := false
	for _, p := range []struct {
		size int64
		name string
	}{{1000, "千"}, {100, "百"}, {10, "十"}, {1, ""}} {
		d := n / p.size % 10
		if d == 0 {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteString("零")
			gap = false
		}
		switch {
		case d == 2 && p.size == 1000:
			b.WriteString("两")
		case d == 1 && p.size == 10 && b.Len() == 0 && first:
		default:
			b.WriteString(numerals[d])
		}
		b.WriteString(p.name)
	}
	return b.String()
}
