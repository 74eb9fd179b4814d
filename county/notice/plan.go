package notice

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// The reasons for which a notice is held.
const (
	HeldQuiet = "quiet"
	HeldLimit = "limit"
)

// Plan is what is to be done now about the notices of a recipient.
type Plan struct {
	Send   []Notice // the most urgent first
	Hold   []Notice // Why says for which reason
	Gather []Notice // they go out as one summary
}

// LimitSpan is the time for which [Rule.Limit] counts.
const LimitSpan = time.Hour

// Plan decides about the notices that are due or held. lately is how many were told within
// [LimitSpan].
//
// Quiet hours hold all but those about a red or an orange alert, the limit all but those
// about a red one. What was tried before is held by neither. When they no longer hold it,
// what was held goes out as one summary.
func (r Rule) Plan(open []Notice, lately int, now time.Time) (p Plan) {
	open = slices.SortedStableFunc(slices.Values(open), func(a, b Notice) int { return cmp.Compare(urgency(a), urgency(b)) })
	quiet := r.Quiet.At(now, r.Zone)
	room := r.Limit - lately
	for _, n := range open {
		if n.State == Held && !quiet && room > 0 {
			p.Gather = append(p.Gather, n)
		}
	}
	switch {
	case len(p.Gather) == 1:
		p.Gather[0].State = Due
		open = append(slices.DeleteFunc(open, func(n Notice) bool { return n.ID == p.Gather[0].ID }), p.Gather[0])
		p.Gather = nil
	case len(p.Gather) > 1:
		room--
	}
	for _, n := range open {
		switch {
		case n.State != Due:
		case quiet && !n.passesQuiet():
			n.State, n.Why = Held, HeldQuiet
			p.Hold = append(p.Hold, n)
		case room <= 0 && !n.passesLimit():
			n.State, n.Why = Held, HeldLimit
			p.Hold = append(p.Hold, n)
		default:
			room--
			if !n.Next.After(now) {
				p.Send = append(p.Send, n)
			}
		}
	}
	return p
}

// urgency sorts notices: those about alerts come first, by their level.
func urgency(n Notice) int {
	switch {
	case n.Level > 0:
		return int(n.Level)
	case n.Kind == Alert:
		return int(emergency.Blue) + 1
	}
	return int(emergency.Blue) + 2
}

// mostInSummary is of how many notices a summary has the first line.
const mostInSummary = 20

// Summary is one notice in the place of several that were held.
func (r Rule) Summary(held []Notice, now time.Time) Notice {
	held = slices.SortedStableFunc(slices.Values(held), func(a, b Notice) int { return cmp.Compare(a.ID, b.ID) })
	since, first := held[0].At, held[0]
	// What a person must look after comes first, then the latest.
	held = slices.SortedStableFunc(slices.Values(held), func(a, b Notice) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), cmp.Compare(b.ID, a.ID))
	})
	var lines []string
	for _, n := range held[:min(len(held), mostInSummary)] {
		lines = append(lines, n.At.In(r.Zone).Format("15:04")+" "+n.Headline())
	}
	if more := len(held) - mostInSummary; more > 0 {
		lines = append(lines, say.M("notice.more", more).In(r.Language))
	}
	text := say.M("notice.summary", len(held), since.In(r.Zone).Format("01-02 15:04"), say.M("notice.held_"+first.Why), strings.Join(lines, "\n"))
	return r.Notice(Summary, "summary/"+first.Key, text, now)
}

// weight sorts the notices of a summary: what is about red and orange alerts, then troubles,
// then what is about other alerts, by their level.
func (n Notice) weight() int {
	switch {
	case n.Level == emergency.Red || n.Level == emergency.Orange:
		return 0
	case n.Kind != Alert:
		return 1
	case n.Level > 0:
		return 1 + int(n.Level)
	}
	return 2 + int(emergency.Blue)
}

// giveUpAfter is for how long a notice is tried again.
const giveUpAfter = time.Hour

// Again returns how long after a number of tries that failed a notice is tried once more;
// ok is false if it is given up.
func Again(tries int) (wait time.Duration, ok bool) {
	var since time.Duration
	for range tries {
		since += wait
		wait = min(max(2*wait, 5*time.Second), 5*time.Minute)
	}
	return wait, since < giveUpAfter
}
