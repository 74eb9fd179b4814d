package playlist

import (
	"regexp"
	"strconv"
	"strings"
)

// partMarks are how people mark the parts of a lesson, in folded text. Each has one
// group that holds the mark.
var partMarks = []*regexp.Regexp{
	regexp.MustCompile(`[(\[【〔]\s*([上中下前后a-d]|` + numerals + `)\s*[集篇编部]?\s*[)\]】〕]`),         // （上）, (一), (A)
	regexp.MustCompile(`^([上中下前后])[集篇编](?:[^市团体合中]|$)`),                                       // 上集 丁课
	regexp.MustCompile(`(?:^|[^初高])([上中下前后])[集篇编]` + partEnd),                                 // 丁课下集, but not 高中篇
	regexp.MustCompile(`(?:^|[^分])之(` + numerals + `|[0-9]{1,2})` + partEnd),                  // 丁课之一, but not 百分之一
	regexp.MustCompile(`(?:^|[^a-z])(?:part|pt)[\s._-]*([0-9]{1,2}|[a-d])(?:$|[^a-z0-9%])`),   // Part 2
	regexp.MustCompile(`(?:` + digits + `|` + numerals + `)\s*[期课讲集回节章]\s*([上中下])` + partEnd), // 第3期上
	regexp.MustCompile(`(?:^|[\s_·—–-])([上中下])` + partEnd),                                    // 丁课 上, 上 丁课
	regexp.MustCompile(`[\s_·—–-]([a-d])$`),                                                   // 丁课 A
}

// partEnd is what follows a mark that is not part of a word.
const partEnd = `(?:$|[^\pL\pN])`

// wideNumber is a number in the brackets that people write and programs do not: (2)
// may stand for a copy.
var wideNumber = regexp.MustCompile(`[（【〔]\s*([0-9０-９]{1,2})\s*[）】〕]\s*$`)

// Part returns which part of a lesson a title names, if it names one: 上 for 丁课（上）
// and 丁课 上集, 二 for 丁课之二, 丁课（二） and 丁课 Part 2, A for 丁课（A). Else it returns
// the empty string. Two parts of a lesson are different lessons.
func Part(title string) string {
	text := fold(strings.TrimSpace(title))
	for _, mark := range partMarks {
		if at := mark.FindStringSubmatch(text); at != nil {
			return partCalled(at[1])
		}
	}
	if at := wideNumber.FindStringSubmatch(strings.TrimSpace(title)); at != nil {
		return partCalled(fold(at[1]))
	}
	return ""
}

// partCalled is a mark in the one form that it has for us.
func partCalled(mark string) string {
	n := number(mark)
	switch {
	case n >= 1 && n <= 10:
		return string([]rune("一二三四五六七八九十")[n-1])
	case n > 0:
		return strconv.Itoa(n)
	}
	return strings.ToUpper(mark)
}
