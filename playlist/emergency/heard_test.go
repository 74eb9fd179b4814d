package emergency_test

import (
	"slices"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestTheOutcomeOfAnAlert(t *testing.T) {
	outputs := []playlist.Output{{Name: "east"}, {Name: "west"}}
	row := func(output string, pass int, used asrun.Used, o asrun.Outcome, frames int64) asrun.Row {
		return asrun.Row{Output: output, Item: pass, Used: used, Outcome: o, Frames: frames}
	}
	const whole, cut = asrun.Complete, asrun.Preempted
	west := row("west", 1, asrun.UsedClip, whole, 9)
	for _, c := range []struct {
		name string
		rows []asrun.Row
		want emergency.State
		east int // passes heard whole there
	}{
		{"nothing", nil, emergency.StateFailed, 0},
		{"the tone alone", []asrun.Row{row("east", 1, asrun.UsedTone, whole, 9)}, emergency.StatePartial, 0},
		{"one of two", []asrun.Row{row("east", 1, asrun.UsedClip, whole, 9)}, emergency.StatePartial, 1},
		{"both, one of them by speech", []asrun.Row{row("east", 1, asrun.UsedSpeech, whole, 9), west}, emergency.StateDone, 1},
		{"cut off on one, whole the second time", []asrun.Row{
			row("east", 1, asrun.UsedClip, cut, 3), row("east", 2, asrun.UsedClip, whole, 9), west,
		}, emergency.StateDone, 1},
		{"a drill whose first word alone was heard whole", []asrun.Row{
			row("east", 1, asrun.UsedTone, whole, 9), row("east", 1, asrun.UsedPreamble, whole, 9), row("east", 1, asrun.UsedClip, cut, 3), west,
		}, emergency.StatePartial, 0},
		{"a drill heard whole", []asrun.Row{row("east", 1, asrun.UsedPreamble, whole, 9), row("east", 1, asrun.UsedClip, whole, 9), west}, emergency.StateDone, 1},
		{"a drill without its first word", []asrun.Row{row("east", 1, asrun.UsedPreamble, cut, 3), row("east", 1, asrun.UsedClip, whole, 9), west}, emergency.StatePartial, 0},
		{"one that still airs", []asrun.Row{row("east", 1, asrun.UsedClip, whole, 9), row("east", 2, asrun.UsedClip, "", 3), west}, emergency.StateDone, 1},
	} {
		if got := emergency.Outcome(c.rows, outputs); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		east := slices.DeleteFunc(slices.Clone(c.rows), func(r asrun.Row) bool { return r.Output != "east" })
		if got := emergency.Heard(east).Whole; got != c.east {
			t.Errorf("%s: %d passes heard whole, want %d", c.name, got, c.east)
		}
	}
}
