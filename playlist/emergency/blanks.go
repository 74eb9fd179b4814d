package emergency

import (
	"regexp"
	"slices"
)

// blank is a place in a text that is to be filled in, such as {时间}.
var blank = regexp.MustCompile(`\{([^{}\n]+)\}`)

// Blanks lists the names of the blanks in texts, each once, in their order.
func Blanks(texts ...string) (all []string) {
	for _, text := range texts {
		for _, m := range blank.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(all, m[1]) {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// Filled returns a text with its blanks filled in. Those without a value stay. What looks
// like a blank in a value is none.
func Filled(text string, values map[string]string) string {
	return blank.ReplaceAllStringFunc(text, func(b string) string {
		if v, ok := values[b[1:len(b)-1]]; ok {
			return v
		}
		return b
	})
}
