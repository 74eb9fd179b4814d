package playlist

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// CompareNames orders names and paths as people do: 2 before 10, 第九期 before
// 第十期, and the files of a folder together.
func CompareNames(a, b string) int {
	return cmp.Or(slices.CompareFunc(pieces(a), pieces(b), piece.compare), strings.Compare(a, b))
}

// CompareClips orders clips by series and issue, then by title as [CompareNames]
// does.
func CompareClips(a, b Clip) int {
	return cmp.Or(strings.Compare(a.Series, b.Series), cmp.Compare(a.Issue, b.Issue), CompareNames(a.Title, b.Title), cmp.Compare(a.ID, b.ID))
}

// piece is a character of a name, or a number in it.
type piece struct {
	char   rune   // '0' for a number
	number string // without leading zeros; "0" for zero
}

func (p piece) compare(q piece) int {
	return cmp.Or(cmp.Compare(p.char, q.char), cmp.Compare(len(p.number), len(q.number)), strings.Compare(p.number, q.number))
}

func pieces(name string) []piece {
	text := []rune(fold(name))
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
	case i > 0 && (text[i-1] == '第' || text[i-1] == '(' && end < len(text) && text[end] == ')'), begins && end < len(text) && text[end] == '、':
		return end
	}
	return i
}
