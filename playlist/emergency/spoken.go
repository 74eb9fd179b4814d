package emergency

import (
	"cmp"
	"slices"
	"strings"
)

// Spoken is what is read out of an alert in a language: its headline, what it
// says and what people should do, each on a line of its own and none too long to
// listen to. It is empty if the alert has no text, or none with a word in it.
func (a Alert) Spoken(language string) string {
	t, _ := a.Text(language)
	t = new(cutter).one(t, spoken)
	var lines []string
	for _, l := range []string{t.Title, t.Text, t.Advice} {
		if l = strings.TrimSpace(l); l != "" && (len(lines) == 0 || lines[len(lines)-1] != l) {
			lines = append(lines, l)
		}
	}
	words := strings.Join(lines, "\n")
	if !HasWords(words) {
		return ""
	}
	return words
}

// Headline is the alert in a few words, for logs and tables.
func (a Alert) Headline() string {
	t, _ := a.Text("zh-CN")
	return cmp.Or(t.Title, a.Event, a.SenderName, string(a.ID))
}

// Text returns what the alert says in the language wished for: that language,
// else one with the same first subtag, else the first. ok is false if it has no
// text at all.
func (a Alert) Text(language string) (t Text, ok bool) {
	if len(a.Texts) == 0 {
		return Text{}, false
	}
	for _, same := range []func(string) bool{
		func(l string) bool { return l == language },
		func(l string) bool { return primary(l) == primary(language) },
	} {
		if i := slices.IndexFunc(a.Texts, func(t Text) bool { return same(t.Language) }); i >= 0 {
			return a.Texts[i], true
		}
	}
	return a.Texts[0], true
}

// primary is the first subtag of a BCP 47 language tag.
func primary(tag string) string {
	first, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if first == "cmn" || first == "zho" || first == "chi" {
		return "zh"
	}
	return first
}
