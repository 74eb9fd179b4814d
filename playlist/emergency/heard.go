package emergency

import (
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Passes is what one output has sounded of an alert.
type Passes struct {
	Last    int       // number of the latest pass that was begun; 0: none
	Whole   int       // passes in which all that the alert says was heard
	Sounded bool      // some frame was heard, if only of the tone
	Said    bool      // some frame was heard that was not of the tone
	Started time.Time // when the first frame was heard
	Ended   time.Time // when the last one was
	Used    []asrun.Used
}

// Heard sums up the as-run rows of an alert on one output. A pass counts as
// heard if the alert's clip, speech or microphone sounded to its end, and, in a
// drill, the words before it too: neither the tone nor the word 演练 alone says
// anything.
func Heard(rows []asrun.Row) (p Passes) {
	said, cut := map[int]bool{}, map[int]bool{}
	for _, r := range rows {
		p.Last = max(p.Last, r.Item)
		if r.Used != "" && !slices.Contains(p.Used, r.Used) {
			p.Used = append(p.Used, r.Used)
		}
		if r.Frames > 0 {
			p.Sounded = true
			p.Said = p.Said || r.Used != asrun.UsedTone
			if p.Started.IsZero() || r.Started.Before(p.Started) {
				p.Started = r.Started
			}
			if r.Ended.After(p.Ended) {
				p.Ended = r.Ended
			}
		}
		switch {
		case r.Used == asrun.UsedTone:
		case r.Outcome != asrun.Complete:
			cut[r.Item] = true
		case r.Used != asrun.UsedPreamble:
			said[r.Item] = true
		}
	}
	for item := range said {
		if !cut[item] {
			p.Whole++
		}
	}
	return p
}

// Heard is [Heard] of the alert as it now stands: passes that sounded before
// another message took its place under the same ID have said nothing of it.
func (r Record) Heard(rows []asrun.Row) Passes {
	p := Heard(rows)
	p.Whole = Heard(r.counted(rows)).Whole
	return p
}

// counted are the rows in which the alert as it now stands was sounded.
func (r Record) counted(rows []asrun.Row) []asrun.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(x asrun.Row) bool { return x.Cued.Before(r.Anew) })
}

// Outcome is [Outcome] of the alert as it now stands.
func (r Record) Outcome(rows []asrun.Row, outputs []playlist.Output) State {
	return Outcome(r.counted(rows), outputs)
}

// Outcome is what became of an alert, by its as-run rows: done if each output
// has sounded a whole pass, failed if none has sounded at all, else partial.
func Outcome(rows []asrun.Row, outputs []playlist.Output) State {
	whole, some := 0, false
	for _, o := range outputs {
		p := Heard(slices.DeleteFunc(slices.Clone(rows), func(r asrun.Row) bool { return r.Output != o.Name }))
		some = some || p.Sounded
		if p.Whole > 0 {
			whole++
		}
	}
	switch {
	case whole > 0 && whole == len(outputs):
		return StateDone
	case some:
		return StatePartial
	}
	return StateFailed
}
