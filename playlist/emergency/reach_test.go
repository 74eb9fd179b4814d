package emergency_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestWhomAnAlertReached(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	p := &playlist.Programme{Site: playlist.Site{Area: "341523100201"}, Outputs: []playlist.Output{{Name: "east", Residents: 420}, {Name: "west", Residents: 260}}}
	row := func(output string, pass int, used asrun.Used, o asrun.Outcome, frames int64) asrun.Row {
		return asrun.Row{
			Alert: "A", Title: "as the row has it", Output: output, Item: pass, Used: used, Outcome: o, Frames: frames,
			Due: at, Cued: at, Residents: map[string]int{"east": 400, "west": 250, "old": 90}[output],
		}
	}
	record := func(change func(*emergency.Record)) []emergency.Record {
		r := emergency.Record{Received: at, State: emergency.StateDone, Alert: emergency.Alert{
			ID: "A", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Texts: []emergency.Text{{Title: "洪水"}},
		}}
		if change != nil {
			change(&r)
		}
		return []emergency.Record{r}
	}
	state := func(s emergency.State) []emergency.Record { return record(func(r *emergency.Record) { r.State = s }) }
	const whole, cut = asrun.Complete, asrun.Preempted
	east := row("east", 1, asrun.UsedSpeech, whole, 9)
	for _, c := range []struct {
		name    string
		records []emergency.Record
		rows    []asrun.Row
		want    string
	}{
		{"heard whole on both", record(nil), []asrun.Row{east, row("west", 1, asrun.UsedSpeech, whole, 9)}, "洪水: east whole 1, west whole 1; 650/650, 0 unknown"},
		{"twice on one, the tone alone on the other", record(nil), []asrun.Row{
			east, row("east", 2, asrun.UsedSpeech, whole, 9), row("west", 1, asrun.UsedTone, whole, 9),
		}, "洪水: east whole 2, west tone 0; 400/650, 0 unknown"},
		{"the tone, and a part", record(nil), []asrun.Row{row("east", 1, asrun.UsedTone, whole, 9), row("east", 1, asrun.UsedSpeech, cut, 5)},
			"洪水: east part 0, west unknown 0; 0/660, 1 unknown"},
		{"cut off each time", record(nil), []asrun.Row{row("east", 1, asrun.UsedSpeech, cut, 5), row("east", 2, asrun.UsedSpeech, cut, 5)},
			"洪水: east part 0, west unknown 0; 0/660, 1 unknown"},
		{"without a device", record(nil), []asrun.Row{east, row("west", 1, asrun.UsedTone, asrun.Failed, 0)}, "洪水: east whole 1, west none 0; 400/650, 0 unknown"},
		{"only just begun", state(emergency.StateAiring), []asrun.Row{row("east", 1, asrun.UsedTone, "", 0)}, "洪水: east unknown 0, west unknown 0; 0/660, 2 unknown"},
		{"no row tells", record(nil), nil, "洪水: east unknown 0, west unknown 0; 0/680, 2 unknown"},
		{"on an output that is gone", record(nil), []asrun.Row{row("old", 1, asrun.UsedSpeech, whole, 9)},
			"洪水: east unknown 0, west unknown 0, old whole 1; 90/770, 2 unknown"},
		{"a pass of what stood under its ID before", record(func(r *emergency.Record) { r.Anew = at.Add(time.Minute) }), []asrun.Row{east},
			"洪水: east part 0, west unknown 0; 0/660, 1 unknown"},
		{"forgotten by the store", nil, []asrun.Row{east}, "as the row has it: east whole 1; 400/400, 0 unknown"},
		{"refused", state(emergency.StateRefused), nil, ""},
		{"yet to come", state(emergency.StateWaiting), nil, ""},
		{"a cancel", record(func(r *emergency.Record) { r.Kind = emergency.KindCancel }), nil, ""},
		{"received before", record(func(r *emergency.Record) { r.Received = at.Add(-time.Hour) }), nil, ""},
	} {
		each := func(yield func(asrun.Row, error) bool) {
			for _, r := range c.rows {
				if !yield(r, nil) {
					return
				}
			}
		}
		all, err := emergency.Report(p, c.records, each, at, at.Add(time.Hour))
		got := ""
		for _, r := range all {
			got += r.Title + ":"
			for i, o := range r.Outputs {
				if i > 0 {
					got += ","
				}
				got += fmt.Sprintf(" %s %s %d", o.Output, o.Reached, o.Whole)
			}
			got += fmt.Sprintf("; %d/%d, %d unknown", r.Reached, r.Residents, r.Unknown)
			if _, known := r.Rate(); known != (r.Unknown < len(r.Outputs)) {
				t.Errorf("%s: a rate is known: %v", c.name, known)
			}
		}
		if got != c.want || err != nil {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	broken := errors.New("page 7")
	if _, err := emergency.Report(p, nil, func(yield func(asrun.Row, error) bool) { yield(asrun.Row{}, broken) }, at, at); !errors.Is(err, broken) {
		t.Errorf("the log's error: %v", err)
	}
}
