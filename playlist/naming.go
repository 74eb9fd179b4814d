package playlist

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Named is what a title, or the name of a file, says of a clip.
type Named struct {
	Series string // what is before the number; empty if that is no series
	Issue  int    // 0: none
	Title  string // the rest; all of the name if there is no rest
}

// TitleIn returns the title of a clip that belongs to a series. What the name
// says before the number stays in the title if it is not that series.
func (n Named) TitleIn(series string) string {
	if n.Series == "" || n.Series == series || strings.Contains(n.Title, n.Series) {
		return n.Title
	}
	return n.Series + " " + n.Title
}

// SaysIssue reports whether a title says its issue number itself, so that the
// number must not be put before it. A bare number at its end says none: 洗手1.
func SaysIssue(title string, issue int) bool {
	text := fold(strings.TrimSpace(title))
	m := findMark(strings.TrimSpace(title), text, dateIn(text))
	return issue > 0 && m.issue == issue && (!m.last || ReadName(title).Series != "")
}

// How people write numbers and issues, in folded text.
var (
	// 第3期, 第十二课.
	ordinal = regexp.MustCompile(`第\s*(` + digits + `|` + numerals + `)\s*(期|课时|课|課|讲|講|集|回|章|节课|節課|节|節|篇|辑|輯|段|堂课|堂課|堂|单元|單元|單)`)

	// EP03, Lesson 3, No.3.
	latin = regexp.MustCompile(`(?:^|[^a-z0-9])((?:episode|eps?|lesson|no|volume|vol|issue|chapter|track|#|№)[\s._-]*([0-9]{1,4}))(?:$|[^a-z0-9%])`)

	// S01E05. The season belongs to the series.
	episode = regexp.MustCompile(`(?:^|[^a-z0-9])s[0-9]{1,2}[\s._-]*(ep?[\s._-]*([0-9]{1,4}))(?:$|[^a-z0-9%])`)

	// 3期, 健康微课堂4期.
	counted = regexp.MustCompile(`(([0-9]{1,3})\s*(?:期|集))(?:$|[^\pL\pN])`)

	// 3课 丁课.
	lesson = regexp.MustCompile(`^(([0-9]{1,3})\s*(?:课|課|讲|講))(?:$|[^\pL\pN])`)

	// （3）, [03], 【三】.
	bracketed = regexp.MustCompile(`\s*[(\[【〔]\s*([0-9]{1,3}|` + numerals + `)\s*[)\]】〕]`)

	// 三、
	listed = regexp.MustCompile(`^(` + numerals + `)、\s*`)

	// 3 with what separates it from the rest.
	leading = regexp.MustCompile(`^([0-9]{1,3})(\s*[、.,:)_|·–—-]*\s*)`)

	run = regexp.MustCompile(`[0-9]+`)

	// A date with which a name begins: 2026-11-23, 20261123, 2026年11月23日, or the
	// shorter 11-23.
	longDate  = regexp.MustCompile(`^(?:(?:19|20)[0-9]{2}\s*[-._/年]\s*[0-9]{1,2}\s*[-._/月]\s*[0-9]{1,2}日?|(?:19|20)[0-9]{6}|(?:(?:19|20)[0-9]{2}年)?[0-9]{1,2}月(?:[0-9]{1,2}[日号])?)[\s_,:·–—-]*`)
	shortDate = regexp.MustCompile(`^(?:0?[1-9]|1[0-2])[-.](?:0?[1-9]|[12][0-9]|3[01])(?:$|[\s_,:·–—-]+)`)

	// Nothing but which part of a lesson it is.
	onlyPart = regexp.MustCompile(`^[(\[【〔]?之?(?:[上中下前后a-d]|[0-9]{1,2}|` + numerals + `)[集篇编部]?[)\]】〕]?$`)

	// What the names of series end in, and those of lessons hardly.
	ofLessons = regexp.MustCompile(`(?:课堂|課堂|讲堂|講堂|学堂|學堂|讲座|講座|讲坛|講壇|系列|课程|課程|栏目|欄目|专栏|專欄|专题|專題|节目|節目|广播|廣播|播报|播報|之声|之聲|百科|第(?:[0-9]{1,2}|` + numerals + `)季)$`)
)

// goesOn are the characters that make another word of the last character of an
// ordinal: 第二课堂 is no lesson.
var goesOn = map[rune]string{
	'期': "间待刊盼", '课': "堂程题本间外文桌", '課': "堂程題本間外文桌", '节': "气目日奏约点", '節': "氣目日奏約點", '回': "合家来到应", '集': "团市体合中", '段': "落时",
	'章': "程", '篇': "章", '讲': "话座解", '講': "話座解", '元': "楼格", '單': "位",
}

// amount is what follows a number that counts something, so that it is no issue
// number: 24 小时, 10 tips.
var amount = regexp.MustCompile(`^(?:小时|分钟|秒|%|℃|°|周岁|公[斤里升分]|毫[克升米]|千克|节气|级|型|条|件|位|届|项|倍|次|克|斤` +
	`|岁(?:$|[^末月])|天(?:$|[^气然麻使空])|年(?:$|[^轻货糕夜终])|月(?:$|[^经饼子季])|日(?:$|[^常本光])|个(?:$|[^人体])|种(?:$|[^植子痘菜粮田])` +
	`|步(?:$|[^行])|招(?:$|[^聘生工募])|问(?:$|[^诊题答候])|人(?:$|[^体民工口员参流生类])|升(?:$|[^旗降])|度(?:$|[^过假])|[价價](?:$|[^格钱錢值])|元(?:$|[^旦宵])|米(?:$|[^饭粉])` +
	`|大(?:$|[^家蒜豆肠便腿脑米暑寒雪病风])|点(?:$|[^滴])|号(?:$|[^召])|后(?:$|[^遗期背天])` +
	`|(?:days?|hours?|hrs?|h|minutes?|mins?|seconds?|secs?|years?|weeks?|months?|kg|g|mg|ml|km|m|cm|tips?|steps?|ways?|questions?|things?|reasons?|times|people|am|pm)(?:$|[^a-z]))`)

// called are the numbers that people call for help.
var called = map[int]bool{110: true, 114: true, 119: true, 120: true, 122: true}

// names are other numbers that stand in names, such as 健康365.
var names = map[int]bool{100: true, 360: true, 365: true, 999: true}

// uncounted are words after which a number is no issue number: 新冠19, 定稿2.
var uncounted = regexp.MustCompile(`(?:新冠|双|雙|体温|血压|血糖|心率|拨打|热线|电话|版|稿|改|终|副本|备份|修订|copy)[\s_-]*$`)

// mark is the number of a lesson in a name, in folded text.
type mark struct {
	from, to, issue int // issue 0: there is none

	serial bool // what is before it is the name of a series
	last   bool // what is before it is the title, if it is no series
}

// ReadName reads the issue number, the series and the title from a title or from
// the name of a file without its extension: 第3期 丁课, 健康微课堂第4期, 01 发烧,
// 健康微课堂04. A number that counts or dates something is no issue number:
// 5分钟学会洗手, 2026-11-23 晨播.
//
// What is before the number, but for a date, is the series if the number is one of
// issues (第三期) or is written in digits with a unit (第3课), or if it ends in such
// a word as 课堂 or 讲座. Else it belongs to the title: 高血压 第三课 饮食, 洗手03.
func ReadName(name string) Named {
	name = strings.TrimSpace(name)
	text := fold(name)
	date := dateIn(text)
	m := findMark(name, text, date)
	if m.issue == 0 {
		return Named{Title: name}
	}
	before, after := unwrap(original(name, text, min(date, m.from), m.from)), unwrap(original(name, text, m.to, len(text)))
	n := Named{Issue: m.issue, Title: name}
	switch {
	case !IsSeries(before):
	case Part(before) == "" && (m.serial || isOfLessons(before)):
		n.Series = before
	case m.last && !hasWords(after):
		after = before
	default:
		return n
	}
	if hasWords(after) && !onlyPart.MatchString(fold(after)) {
		n.Title = after
	}
	return n
}

// original returns what a name has between two places of its folded text, which
// has as many characters, but not as many bytes.
func original(name, text string, from, to int) string {
	return string([]rune(name)[utf8.RuneCountInString(text[:from]):utf8.RuneCountInString(text[:to])])
}

func hasWords(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// isOfLessons reports whether a text ends as the names of series do.
func isOfLessons(s string) bool { return ofLessons.MatchString(fold(s)) }

// dateIn returns where the date ends with which a text begins, and what separates
// it from the rest; 0 if there is none.
func dateIn(text string) int {
	for _, date := range []*regexp.Regexp{longDate, shortDate} {
		if end := len(date.FindString(text)); end > 0 && !amount.MatchString(text[end:]) && (!isDigit(firstOf(text[end:])) || !isDigit(rune(text[end-1]))) {
			return end
		}
	}
	return 0
}

// findMark finds the number of a lesson in a name that begins with a date, which
// ends at date.
func findMark(name, text string, date int) mark {
	for _, find := range []func() mark{
		func() mark { return findOrdinal(text, date) },
		func() mark { return findLatin(text) },
		func() mark { return findCounted(text, date) },
		func() mark { return findLeading(text, date) },
		func() mark { return findBracketed(name, text, date) },
		func() mark { return findTrailing(text, date) },
	} {
		if m := find(); m.issue > 0 {
			return m
		}
	}
	return mark{}
}

// findOrdinal finds 第3期. 开学第一课 counts nothing.
func findOrdinal(text string, date int) mark {
	for _, at := range ordinal.FindAllStringSubmatchIndex(text, -1) {
		before, n := text[min(date, at[0]):at[0]], text[at[2]:at[3]]
		last, _ := utf8.DecodeLastRuneInString(before)
		unit, _ := utf8.DecodeLastRuneInString(text[:at[1]])
		next, _ := utf8.DecodeRuneInString(text[at[1]:])
		goes := at[1] < len(text) && strings.ContainsRune(goesOn[unit], next)
		idiom := n == "一" && strings.ContainsRune("课課", unit) && unicode.Is(unicode.Han, last) && !isOfLessons(before)
		if issue := number(n); issue > 0 && !goes && !idiom && last != '总' && last != '總' {
			return mark{from: at[0], to: at[1], issue: issue, serial: unit == '期' || isDigit(rune(n[0]))}
		}
	}
	return mark{}
}

// findLatin finds S01E05 and EP03.
func findLatin(text string) mark {
	for _, form := range []*regexp.Regexp{episode, latin} {
		if at := form.FindStringSubmatchIndex(text); at != nil && !joined(text[at[5]:]) {
			return mark{from: at[2], to: at[3], issue: number(text[at[4]:at[5]]), serial: true}
		}
	}
	return mark{}
}

// joined reports whether a number goes on: 4.5, 7:30, 3-5.
func joined(rest string) bool {
	return len(rest) > 1 && strings.IndexByte(".:-_/~", rest[0]) >= 0 && isDigit(rune(rest[1]))
}

// findCounted finds 3期. 全12集 counts them all.
func findCounted(text string, date int) mark {
	if at := lesson.FindStringSubmatchIndex(text[date:]); at != nil {
		return mark{from: date, to: date + at[3], issue: number(text[date+at[4] : date+at[5]])}
	}
	for _, at := range counted.FindAllStringSubmatchIndex(text, -1) {
		last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text[:at[0]], " "))
		if !strings.ContainsRune("0123456789.:/~-第共全总總每近前后後半", last) || at[0] == 0 {
			return mark{from: at[2], to: at[3], issue: number(text[at[4]:at[5]]), serial: true}
		}
	}
	return mark{}
}

// findLeading finds a number with which the text begins, or what is behind its
// date.
func findLeading(text string, date int) mark {
	to, issue := leadingIn(text[date:])
	if to += date; date > 0 && !hasWords(text[to:]) { // 20261123_2
		return mark{}
	}
	return mark{from: date, to: to, issue: issue}
}

// findBracketed finds a number in brackets behind a title or a series: 发烧(3),
// 健康微课堂（4）. Programs write " (2)" behind the names of copies, and people
// （二） behind those of parts.
func findBracketed(name, text string, date int) mark {
	at := bracketed.FindStringSubmatchIndex(text[date:])
	if at == nil {
		return mark{}
	}
	before, n := text[date:date+at[0]], text[date+at[2]:date+at[3]]
	m := mark{from: date + at[0], to: date + at[1], issue: number(n), last: true}
	copied := strings.HasPrefix(original(name, text, m.from, m.to), " (")
	if copied || called[m.issue] || run.MatchString(before) || !IsSeries(unwrap(before)) || uncounted.MatchString(before) {
		return mark{}
	}
	if !isOfLessons(unwrap(before)) && (m.to < len(text) || !isDigit(rune(n[0]))) {
		return mark{}
	}
	return m
}

// findTrailing finds a number behind a Chinese word: 洗手03, 健康微课堂_04_咳嗽.
func findTrailing(text string, date int) mark {
	for _, at := range run.FindAllStringIndex(text[date:], -1) {
		from, to := date+at[0], date+at[1]
		before := strings.TrimRight(text[date:from], " _·—–-")
		last, _ := utf8.DecodeLastRuneInString(before)
		n := number(text[from:to])
		if to-from <= 3 && unicode.Is(unicode.Han, last) && isTrailing(before, text[date+len(before):from], text[from:to], text[to:]) {
			return mark{from: date + len(before), to: to, issue: n, last: true}
		}
	}
	return mark{}
}

// isTrailing reports whether a number is that of a lesson, by what is before it,
// what separates it from that, and what follows.
func isTrailing(before, space, digits, rest string) bool {
	n, next := number(digits), firstOf(rest)
	series, padded, alone := isOfLessons(before), digits[0] == '0', space == "" && rest == ""
	switch {
	case !IsSeries(before), uncounted.MatchString(before), joined(rest), strings.ContainsRune("/~+%:.", next):
		return false
	case called[n], names[n]:
		return series && alone
	case !padded && amount.MatchString(strings.TrimLeft(rest, " ")):
		return false
	case unicode.IsLetter(next), unicode.IsDigit(next): // 健康微课堂04咳嗽
		return series && padded && startsWord(next)
	}
	return series || padded || alone
}

// startsWord reports whether a word begins with a character, and nothing that a
// number counts.
func startsWord(r rune) bool {
	return unicode.Is(unicode.Han, r) && !strings.ContainsRune("年月日号后点时分", r)
}

// circledNumbers are the first characters of rows such as ①②③, and how many there
// are.
var circledNumbers = map[rune]rune{'①': 20, '⑴': 20, '⒈': 20, '㈠': 10, '㊀': 10, '❶': 10, '➀': 10, '➊': 10}

// circled reads ① and the like; 0 if it is none.
func circled(r rune) int {
	for first, count := range circledNumbers {
		if r >= first && r < first+count {
			return int(r-first) + 1
		}
	}
	return 0
}

// leadingIn finds a number with which a text begins, and where it ends; issue is 0
// if there is none.
func leadingIn(text string) (to, issue int) {
	if r, size := utf8.DecodeRuneInString(text); circled(r) > 0 {
		return size, circled(r)
	}
	if at := bracketed.FindStringSubmatchIndex(text); at != nil && at[0] == 0 {
		return at[1], number(text[at[2]:at[3]])
	}
	if at := listed.FindStringSubmatchIndex(text); at != nil {
		if next, _ := utf8.DecodeRuneInString(text[at[1]:]); numeral(next) >= 0 {
			return 0, 0 // 三、四岁
		}
		return at[1], number(text[at[2]:at[3]])
	}
	at := leading.FindStringSubmatchIndex(text)
	if at == nil {
		return 0, 0
	}
	n, mark, rest := number(text[at[2]:at[3]]), text[at[4]:at[5]], text[at[1]:]
	next, _ := utf8.DecodeRuneInString(rest)
	padded := text[0] == '0' // 03 is a number in a row: people do not count like that
	switch {
	case rest == "":
		if called[n] {
			return 0, 0
		}
	case strings.ContainsRune("、.,:)", firstOf(strings.TrimSpace(mark))): // a mark of lists
		if strings.TrimRight(mark, " ") == mark && isDigit(next) {
			return 0, 0
		}
	case padded && mark == "":
		if !startsWord(next) {
			return 0, 0
		}
	case mark == "", isDigit(next) && (!padded || !strings.HasSuffix(mark, " ")), strings.ContainsRune("/~+%", next):
		return 0, 0
	case !padded && (called[n] || amount.MatchString(rest)):
		return 0, 0
	}
	return at[1], n
}

func firstOf(s string) rune {
	if s == "" {
		return ' '
	}
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// unwrap removes what separates a part of a name from its number, and the quotes
// around all of it.
func unwrap(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("-_–—~:：.。·•,，、|/／;；", r)
	})
	s = strings.TrimFunc(strings.TrimRight(s, "([（【〔"), unicode.IsSpace)
	s = strings.TrimFunc(strings.TrimLeft(s, ")]）】〕"), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("-_–—:：、", r) })
	for _, q := range []string{"《》", "「」", "“”", "\"\""} {
		open, size := utf8.DecodeRuneInString(q)
		in, ok := strings.CutPrefix(s, string(open))
		if in, shut := strings.CutSuffix(in, q[size:]); ok && shut && !strings.Contains(in, string(open)) {
			return strings.TrimSpace(in)
		}
	}
	return s
}
