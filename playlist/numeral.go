package playlist

import (
	"strconv"
	"strings"
	"unicode"
)

// The numbers that people write, in folded text.
const (
	digits   = `[0-9]{1,5}`
	numerals = `[零〇一二三四五六七八九十百千两兩廿卅壹贰貳叁參肆伍陆陸柒捌玖拾佰仟]{1,9}`
)

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
	case '两', '兩':
		return 2
	case '十', '拾':
		return 10
	case '廿':
		return 20
	case '卅':
		return 30
	case '百', '佰':
		return 100
	case '千', '仟':
		return 1000
	}
	for _, row := range []string{"一二三四五六七八九", "壹贰叁肆伍陆柒捌玖", "壹貳參肆伍陸柒捌玖"} {
		if i := strings.IndexRune(row, r); i >= 0 {
			return i/len("一") + 1
		}
	}
	return -1
}
