package config

import (
	"slices"
	"strings"
	"unicode"

	"dalaba/playlist/say"
)

// Severity says whether a problem refuses the config.
type Severity int

const (
	Fault   Severity = iota // the config is refused
	Warning                 // it is taken, but will hardly do what was meant
)

// Problem is one thing wrong with a config.
type Problem struct {
	File     string
	Line     int    // from 1
	Column   int    // from 1, in characters
	Key      string // such as slot[2].cron, counted from 1; empty if no key is to blame
	Severity Severity
	Exact    bool // its column is told, too: it is that of one character
	What     say.Message
	Remedy   say.Message
}

// In is the problem as one line: "file:line: key: what; remedy" or, if one character
// is to blame, "file:line:column: key: what; remedy". An error of the syntax has no
// key.
func (p Problem) In(l say.Lang) string {
	what := p.What
	if p.Severity == Warning {
		what = say.M("config.warning", what)
	}
	if p.Key != "" {
		what = say.M("config.at_key", p.Key, what)
	}
	if p.Exact {
		return say.M("config.problem_at", p.File, p.Line, p.Column, what, p.Remedy).In(l)
	}
	return say.M("config.problem", p.File, p.Line, what, p.Remedy).In(l)
}

// Error is the problem in English.
func (p Problem) Error() string { return p.In(say.English) }

// Refused reports whether a problem is there that refuses the config.
func Refused(problems []Problem) bool { return len(Faults(problems)) > 0 }

// Faults returns the problems that refuse the config.
func Faults(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Severity != Fault })
}

// shown makes a stranger's text fit to stand in a message: no control
// characters, no more than 60 characters.
func shown(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == 60 {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// all strings words together as "a, b, c".
func all(words []string) any {
	if len(words) == 0 {
		return ""
	}
	var list any = words[0]
	for _, w := range words[1:] {
		list = say.M("config.and", list, w)
	}
	return list
}

// Near returns the word most like s among those known, empty if none comes close
// enough to have been meant.
func Near(s string, known []string) string {
	best, found := max(1, len([]rune(s))/3)+1, ""
	for _, k := range known {
		if d := distance(s, k); d < best {
			best, found = d, k
		}
	}
	return found
}

// distance counts the letters to insert, drop, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	const far = 1 << 20
	if len(x) > 64 || len(y) > 64 {
		return far
	}
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
