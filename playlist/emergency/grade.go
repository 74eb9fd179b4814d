package emergency

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Classes lists the classes that there are, the most serious first.
func Classes() []Class {
	return []Class{ClassEmergency, ClassDrillActual, ClassDrillSimulated, ClassDaily, ClassTest, ClassDrillSystem, ClassNotPublic}
}

// Known reports whether there is such a class.
func (c Class) Known() bool { return slices.Contains(Classes(), c) }

// levelNames are the words for the levels, that of red first.
var levelNames = [][]string{
	{"red", "红", "一级", "Ⅰ级"}, {"orange", "橙", "二级", "Ⅱ级"}, {"yellow", "黄", "三级", "Ⅲ级"}, {"blue", "蓝", "四级", "Ⅳ级"},
}

// ParseLevel reads a level as people write it: a number, or a colour in English or
// Chinese. ok is false if there is no such level.
func ParseLevel(text string) (l Level, ok bool) {
	text = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "色")
	for i, names := range levelNames {
		l := Red + Level(i)
		if text == strconv.Itoa(int(l)) || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, text) }) {
			return l, true
		}
	}
	return 0, false
}

// Ranked is the level by which an alert ranks: one that is none counts as blue.
func (l Level) Ranked() Level {
	if l < Red || l > Blue {
		return Blue
	}
	return l
}

// HasWords reports whether there is anything in a text that can be spoken: a letter or a
// digit, not signs alone.
func HasWords(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
}
