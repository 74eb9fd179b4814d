package emergency_test

import (
	"slices"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func TestTheOutcomeOfAnAlert(t *testing.T) {
	outputs := []playlist.Output{{Name: "east"}, {Name: "west"}}
	row := func(output string, pass int, used playlist.Used, o playlist.Outcome, frames int64) playlist.Row {
		return playlist.Row{Output: output, Item: pass, Used: used, Outcome: o, Frames: frames}
	}
	const whole, cut = playlist.Complete, playlist.Preempted
	west := row("west", 1, playlist.UsedClip, whole, 9)
	for _, c := range []struct {
		name string
		rows []playlist.Row
		want emergency.State
		east int // passes heard whole there
	}{
		{"nothing", nil, emergency.StateFailed, 0},
		{"the tone alone", []playlist.Row{row("east", 1, playlist.UsedTone, whole, 9)}, emergency.StatePartial, 0},
		{"one of two", []playlist.Row{row("east", 1, playlist.UsedClip, whole, 9)}, emergency.StatePartial, 1},
		{"both, one of them by speech", []playlist.Row{row("east", 1, playlist.UsedSpeech, whole, 9), west}, emergency.StateDone, 1},
		{"cut off on one, whole the second time", []playlist.Row{
			row("east", 1, playlist.UsedClip, cut, 3), row("east", 2, playlist.UsedClip, whole, 9), west,
		}, emergency.StateDone, 1},
		{"a drill whose first word alone was heard whole", []playlist.Row{
			row("east", 1, playlist.UsedTone, whole, 9), row("east", 1, playlist.UsedPreamble, whole, 9), row("east", 1, playlist.UsedClip, cut, 3), west,
		}, emergency.StatePartial, 0},
		{"a drill heard whole", []playlist.Row{row("east", 1, playlist.UsedPreamble, whole, 9), row("east", 1, playlist.UsedClip, whole, 9), west}, emergency.StateDone, 1},
		{"a drill without its first word", []playlist.Row{row("east", 1, playlist.UsedPreamble, cut, 3), row("east", 1, playlist.UsedClip, whole, 9), west}, emergency.StatePartial, 0},
		{"one that still airs", []playlist.Row{row("east", 1, playlist.UsedClip, whole, 9), row("east", 2, playlist.UsedClip, "", 3), west}, emergency.StateDone, 1},
	} {
		if got := emergency.Outcome(c.rows, outputs); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		east := slices.DeleteFunc(slices.Clone(c.rows), func(r playlist.Row) bool { return r.Output != "east" })
		if got := emergency.Heard(east).Whole; got != c.east {
			t.Errorf("%s: %d passes heard whole, want %d", c.name, got, c.east)
		}
	}
}
