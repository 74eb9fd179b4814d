package playlist

import (
	"regexp"
	"strconv"
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
	if n.Series == "" || n.Series == series || strings.HasPrefix(n.Title, n.Series) {
		return n.Title
	}
	return n.Series + " " + n.Title
}

// SaysIssue reports whether a title says its issue number itself, so that the
// number must not be put before it.
func SaysIssue(title string, issue int) bool { return issue > 0 && ReadName(title).Issue == issue }

// part is the mark of one part of an issue, at the end of its title.
var part = regexp.MustCompile(`[(（]([上中下]|` + numerals + `|[0-9]{1,2})[)）]$|([上中下])[集篇部讲]$`)

// partIn returns which part of an issue a title is: 上 for 洗手（上） and 洗手上集; empty if
// it does not say.
func partIn(title string) string {
	m := part.FindStringSubmatch(fold(strings.TrimSpace(title)))
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// The numbers that people write.
const (
	digits   = `[0-9]{1,5}`
	numerals = `[零〇一二三四五六七八九十百千两廿卅]{1,9}`
)

var (
	// 第3期, 第十二课.
	ordinal = regexp.MustCompile(`第\s*(` + digits + `|` + numerals + `)\s*(期|课时|课|讲|集|回|章|节课|节|篇|辑|段|堂课|堂)`)

	// EP03, Lesson 3, No.3.
	latin = regexp.MustCompile(`(?:^|[^a-z0-9])((?:episode|eps?|lesson|no|volume|vol|issue|part|chapter|track|#|№)[\s._-]*([0-9]{1,4}))(?:$|[^a-z0-9%])`)

	// （3）, [03], 【三】.
	inBrackets = regexp.MustCompile(`^[(\[【〔]\s*([0-9]{1,3}|` + numerals + `)\s*[)\]】〕]`)

	// 三、
	listed = regexp.MustCompile(`^(` + numerals + `)、\s*`)

	// 3 with what separates it from the rest.
	leading = regexp.MustCompile(`^([0-9]{1,3})(\s*[、.:)_|·–—-]*\s*)`)
)

// goesOn are the characters that make another word of the last character of an
// ordinal: 第二课堂 is no lesson.
var goesOn = map[rune]string{
	'期': "间待刊盼", '课': "堂程题本间外文桌", '节': "气目日奏约点", '回': "合家来到应", '集': "团市体合中", '段': "落时", '章': "程", '篇': "章", '讲': "话座解",
}

// amount is what follows a number that counts something, so that it is no issue
// number: 24 小时, 10 tips.
var amount = regexp.MustCompile(`^(?:小时|分钟|秒|%|℃|°|周岁|公[斤里升分]|毫[克升米]|千克|节气|级|型|条|件|位|届|项|倍|次|克|斤` +
	`|岁(?:$|[^末月])|天(?:$|[^气然麻使空])|年(?:$|[^轻货糕夜终])|月(?:$|[^经饼子季])|日(?:$|[^常本光])|个(?:$|[^人体])|种(?:$|[^植子痘菜粮田])` +
	`|步(?:$|[^行])|招(?:$|[^聘生工募])|问(?:$|[^诊题答候])|人(?:$|[^体民工口员参流生类])|升(?:$|[^旗降])|度(?:$|[^过假])|元(?:$|[^旦宵])|米(?:$|[^饭粉])` +
	`|大(?:$|[^家蒜豆肠便腿脑米暑寒雪病风])|点(?:$|[^滴])|号(?:$|[^召])|后(?:$|[^遗期背天])` +
	`|(?:days?|hours?|hrs?|h|minutes?|mins?|seconds?|secs?|years?|weeks?|months?|kg|g|mg|ml|km|m|cm|tips?|steps?|ways?|questions?|things?|reasons?|times|people|am|pm)(?:$|[^a-z]))`)

// called are the numbers that people call for help.
var called = map[int]bool{110: true, 114: true, 119: true, 120: true, 122: true}

// ReadName reads the issue number, the series and the title from a title or from
// the name of a file without its extension: 第3期 丁课, 健康微课堂第4期, 01 发烧. A
// number that counts or dates something is no issue number: 5分钟学会洗手,
// 2026-11-23 晨播.
func ReadName(name string) Named {
	name = strings.TrimSpace(name)
	text := fold(name)
	from, to, issue := findOrdinal(text)
	if issue == 0 {
		from, to, issue = findLatin(text)
	}
	if issue == 0 {
		to, issue = findLeading(text)
	}
	if issue == 0 {
		return Named{Title: name}
	}
	// The folded text has as many characters, but not as many bytes.
	runes := []rune(name)
	before := unwrap(string(runes[:utf8.RuneCountInString(text[:from])]))
	after := unwrap(string(runes[utf8.RuneCountInString(text[:to]):]))
	n := Named{Issue: issue, Title: name}
	if IsSeries(before) {
		n.Series = before
	}
	if strings.ContainsFunc(after, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		n.Title = after
	}
	return n
}

// findOrdinal finds 第3期; issue is 0 if there is none.
func findOrdinal(text string) (from, to, issue int) {
	for _, at := range ordinal.FindAllStringSubmatchIndex(text, -1) {
		unit, _ := utf8.DecodeLastRuneInString(text[:at[1]])
		next, _ := utf8.DecodeRuneInString(text[at[1]:])
		before, _ := utf8.DecodeLastRuneInString(text[:at[0]])
		if strings.ContainsRune(goesOn[unit], next) && at[1] < len(text) || before == '总' {
			continue
		}
		if n := number(text[at[2]:at[3]]); n > 0 {
			return at[0], at[1], n
		}
	}
	return 0, 0, 0
}

// findLatin finds EP03; issue is 0 if there is none.
func findLatin(text string) (from, to, issue int) {
	at := latin.FindStringSubmatchIndex(text)
	if at == nil || joined(text[at[5]:]) {
		return 0, 0, 0
	}
	return at[2], at[3], number(text[at[4]:at[5]])
}

// joined reports whether a number goes on: 4.5, 7:30, 3-5.
func joined(rest string) bool {
	return len(rest) > 1 && strings.IndexByte(".:-_/~", rest[0]) >= 0 && isDigit(rune(rest[1]))
}

// findLeading finds a number with which the text begins; issue is 0 if there is
// none.
func findLeading(text string) (to, issue int) {
	if at := inBrackets.FindStringSubmatchIndex(text); at != nil {
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
	case strings.ContainsRune("、.:)", firstOf(strings.TrimSpace(mark))): // a mark of lists
		if strings.TrimRight(mark, " ") == mark && isDigit(next) {
			return 0, 0
		}
	case padded && mark == "":
		if !unicode.Is(unicode.Han, next) || strings.ContainsRune("年月日号后点时分", next) {
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

// nameless are the names of folders, in lower case, that say nothing of what is
// in them.
var nameless = func() map[string]bool {
	all := map[string]bool{}
	for _, s := range strings.Split("clip|clips|audio|audios|sound|sounds|music|my music|mp3|wav|m4a|wma|media|file|files|recording|recordings|rec|record|voice|"+
		"download|downloads|desktop|documents|tmp|temp|new folder|untitled folder|usb|data|upload|uploads|share|inbox|import|dcim|backup|taken|refused|unknown album|"+
		"音频|音频文件|录音|录音文件|录音机|语音|音乐|我的音乐|声音|媒体|文件|文件夹|新建文件夹|新文件夹|未命名文件夹|下载|桌面|文档|我的文档|临时|临时文件|"+
		"u盘|优盘|备份|上传|收件箱|待播|播出|节目|资料|素材|成品|微信|wechat|wechat files|未知专辑", "|") {
		all[s] = true
	}
	return all
}()

var (
	copyMark = regexp.MustCompile(`\s*\(?[0-9]*\)?$`)                                        // of 新建文件夹 (2)
	dateOnly = regexp.MustCompile(`^[0-9\s年月日号至到._~/-]*$`)                                   // 2026年11月
	season   = regexp.MustCompile(`^第?(?:[0-9]{1,4}|` + numerals + `)(?:季|学期|月|周|年|部|期|版)$`) // 第二季
)

// IsSeries reports whether a folder's name, or what a name says before its
// number, is the name of a series: not a date, and not a name such as a program
// or a camera gives a folder.
func IsSeries(name string) bool {
	name = fold(strings.TrimSpace(name))
	first := copyMark.ReplaceAllString(name, "")
	return strings.ContainsFunc(name, unicode.IsLetter) && !nameless[name] && !nameless[first] && !dateOnly.MatchString(name) && !season.MatchString(name)
}

// fold returns the text in lower case and with the ASCII form of full-width
// characters. It has as many characters as before.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			r -= '！' - '!'
		case unicode.IsSpace(r):
			return ' '
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// number reads digits or Chinese numerals; 0 if they are no number.
func number(s string) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	total, part, units := 0, 0, false
	var row strings.Builder // 二〇二六, digit by digit
	for _, r := range s {
		switch v := numeral(r); {
		case v < 0:
			return 0
		case v >= 10 && r != '廿' && r != '卅':
			total, part, units = total+max(part, 1)*v, 0, true
		case v >= 10:
			total, part, units = total+v, 0, true
		default:
			part = v
			row.WriteByte(byte('0' + v))
		}
	}
	if !units {
		n, _ := strconv.Atoi(row.String()[:min(row.Len(), 5)])
		return n
	}
	return total + part
}

// numeral returns the value of a Chinese numeral, -1 if it is none.
func numeral(r rune) int {
	switch r {
	case '〇', '零':
		return 0
	case '两':
		return 2
	case '十':
		return 10
	case '廿':
		return 20
	case '卅':
		return 30
	case '百':
		return 100
	case '千':
		return 1000
	}
	for i, d := range []rune("一二三四五六七八九") {
		if r == d {
			return i + 1
		}
	}
	return -1
}
