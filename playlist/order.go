package playlist

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// CompareNames orders names and paths as people do: 2 before 10, 第九期 before
// 第十期, （上） before （中） and （下）, and the files of a folder together.
func CompareNames(a, b string) int {
	return cmp.Or(slices.CompareFunc(pieces(a), pieces(b), piece.compare), strings.Compare(a, b))
}

// CompareClips orders clips by series and number, then by title as [CompareNames]
// does.
func CompareClips(a, b Clip) int {
	return cmp.Or(strings.Compare(a.Series, b.Series), cmp.Compare(a.Number(), b.Number()), CompareNames(a.Title, b.Title), cmp.Compare(a.ID, b.ID))
}

// piece is a character of a name, or a number in it.
type piece struct {
	char   rune   // '0' for a number, '上' for a part
	number string // without leading zeros; "0" for zero
}

func (p piece) compare(q piece) int {
	return cmp.Or(cmp.Compare(p.char, q.char), cmp.Compare(len(p.number), len(q.number)), strings.Compare(p.number, q.number))
}

func pieces(name string) []piece {
	text := []rune(fold(Legible(name)))
	var all []piece
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		n := strings.TrimLeft(string(text[i:end]), "0")
		if end == i {
			if end = numeralsAt(text, i); end > i {
				n = strconv.Itoa(number(string(text[i:end])))
			}
		}
		switch {
		case end > i:
			all = append(all, piece{'0', cmp.Or(n, "0")})
			i = end
			continue
		case text[i] == '/':
			all = append(all, piece{})
		case isPartAt(text, i):
			all = append(all, piece{'上', strconv.Itoa(strings.IndexRune(threeParts, text[i]))})
		default:
			all = append(all, piece{char: text[i]})
		}
		i++
	}
	return all
}

// numeralsAt returns where the Chinese number ends that begins at i, if it counts
// something: 第九期, 九、, （九）. Else it returns i.
func numeralsAt(text []rune, i int) int {
	end := i
	for end < len(text) && numeral(text[end]) >= 0 {
		end++
	}
	begins := i == 0 || text[i-1] == '/'
	switch {
	case end == i, end-i > 9:
		return i
	case i > 0 && (strings.ContainsRune("第之", text[i-1]) || text[i-1] == '(' && end < len(text) && text[end] == ')'), begins && end < len(text) && text[end] == '、':
		return end
	}
	return i
}

const threeParts = "上中下"

// isPartAt reports whether the character at i names one of two or three parts: it
// stands at the end of a word, or before 集 and the like.
func isPartAt(text []rune, i int) bool {
	if !strings.ContainsRune(threeParts, text[i]) {
		return false
	}
	return i+1 == len(text) || strings.ContainsRune("集篇编部册", text[i+1]) || !unicode.IsLetter(text[i+1]) && !unicode.IsDigit(text[i+1])
}
