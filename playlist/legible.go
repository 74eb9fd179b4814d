package playlist

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Legible returns the name of a file, or a path, as people read it. What is not
// UTF-8 in it is taken for GBK, as old sticks, shares and archives from Windows
// have it; what is neither stays as it is.
func Legible(path string) string {
	if utf8.ValidString(path) && !strange(path) {
		return path
	}
	names := strings.Split(path, "/")
	for i, name := range names {
		valid := utf8.ValidString(name)
		if valid && !strange(name) {
			continue
		}
		read, err := simplifiedchinese.GB18030.NewDecoder().String(name)
		if err == nil && !strings.ContainsFunc(read, func(r rune) bool {
			return r == utf8.RuneError || valid && r > unicode.MaxASCII && !unicode.Is(unicode.Han, r)
		}) {
			names[i] = read
		}
	}
	return strings.Join(names, "/")
}

// strange reports whether a text holds characters as they come about if GBK is
// taken for UTF-8: 通知 is then two marks without a letter. Names in the scripts of
// China are not strange.
func strange(text string) bool {
	last := '/'
	for _, r := range text {
		if unicode.In(r, unicode.Armenian, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko) || r >= 0x250 && r < 0x300 ||
			unicode.Is(unicode.Mn, r) && r < 0x370 && !unicode.IsLetter(last) && !unicode.Is(unicode.Mn, last) {
			return true
		}
		last = r
	}
	return false
}
