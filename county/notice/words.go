package notice

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// few is of how many things a notice has the names, and mostTowns of how many towns it has
// the counts.
const (
	few       = 5
	mostTowns = 8
)

// Names lists what has a name, in one line: the first few, and how many more there are.
type Names []say.Message

// NamesOf lists names.
func NamesOf(names ...string) (all Names) {
	for _, n := range names {
		all = append(all, say.M("cli.as_it_is", n))
	}
	return all
}

// In puts the list into a language.
func (n Names) In(l say.Lang) string {
	text := joined(n[:min(len(n), few)], l, say.M("notice.comma").In(l))
	if more := len(n) - few; more > 0 {
		return say.M("notice.and_more", text, more).In(l)
	}
	return text
}

// Lines lists sentences, each in a line of its own: the first few, and how many more there
// are.
type Lines []say.Message

// In puts the list into a language.
func (a Lines) In(l say.Lang) string {
	text := joined(a[:min(len(a), few)], l, "\n")
	if more := len(a) - few; more > 0 {
		text += "\n" + say.M("notice.more", more).In(l)
	}
	return text
}

func joined(all []say.Message, l say.Lang, between string) string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = m.In(l)
	}
	return strings.Join(texts, between)
}

// With is a sentence with lines below it.
func With(text say.Message, lines ...say.Message) say.Message {
	if len(lines) == 0 {
		return text
	}
	return say.M("notice.lines", text, Lines(lines))
}

// Tell says what is new of troubles of a kind. Those of a controller follow each other.
func Tell(k Kind, n News, list []Trouble) say.Message {
	var names Names
	var lines []say.Message
	for i, t := range list {
		switch {
		case k == County:
			names = append(names, t.What.Message())
		case i == 0 || list[i-1].Name != t.Name:
			names = append(names, NamesOf(t.Name)...)
		}
		switch {
		case n == Flaps:
			now := "notice.now_well"
			if t.Bad {
				now = "notice.now_" + string(k)
			}
			lines = append(lines, say.M("notice.flapped", t.Name, t.Turns, say.M(now)))
		case k == Fault, k == Silent && n == IsBad && len(list) <= few: // of more, the towns tell
			lines = append(lines, say.M("notice.of", t.Name, t.What.Message()))
		}
	}
	text := say.M("notice."+string(k)+string(n), len(names), names)
	if len(list) > few {
		if towns := townsOf(list); len(towns) > 1 {
			text = say.M("notice.in_towns", text, len(towns), towns)
		} else if len(towns) == 1 {
			text = say.M("notice.in_town", text, towns)
		}
	}
	return With(text, lines...)
}

// towns are how many of something there are in each town, the most first.
type towns []town

type town struct {
	area  playlist.Area
	count int
}

// townsOf counts troubles by town.
func townsOf(list []Trouble) (all towns) {
	count := map[playlist.Area]int{}
	for _, t := range list {
		if len(t.Area) == len("341523100201") {
			count[t.Area[:9]+"000"]++
		}
	}
	for _, a := range slices.Sorted(maps.Keys(count)) {
		all = append(all, town{a, count[a]})
	}
	slices.SortStableFunc(all, func(a, b town) int { return cmp.Compare(b.count, a.count) })
	return all
}

// In puts the list into a language.
func (a towns) In(l say.Lang) string {
	var all []say.Message
	for _, t := range a[:min(len(a), mostTowns)] {
		all = append(all, say.M("notice.in_one", string(t.area), t.count))
	}
	return joined(all, l, say.M("notice.comma").In(l))
}
