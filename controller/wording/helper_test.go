package wording_test

import (
	"fmt"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func shanghai(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func cronOf(t testing.TB, spec string) playlist.Cron {
	t.Helper()
	c, err := playlist.ParseCron(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func slotOf(t testing.TB, name, spec string, outputs ...string) playlist.Slot {
	return playlist.Slot{
		Name: name, Playlist: "lessons", Cron: cronOf(t, spec), Outputs: outputs, Count: 1,
		Priority: playlist.DefaultPriority, Window: playlist.DefaultWindow,
		Missed: playlist.MissedSkip, After: playlist.AfterRejoin,
	}
}

func at(t testing.TB, zone *time.Location, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if v, err := time.ParseInLocation(layout, s, zone); err == nil {
			return v
		}
	}
	t.Fatalf("no instant: %q", s)
	return time.Time{}
}

func lessons(n int) []playlist.ClipID {
	ids := make([]playlist.ClipID, n)
	for i := range ids {
		ids[i] = playlist.ClipID(fmt.Sprintf("%064x", i+1))
	}
	return ids
}

// aired is a row of the airing that fell due at that minute of 23 November.
func aired(t *testing.T, due, output string, item, part int, change ...func(*asrun.Row)) asrun.Row {
	instant := at(t, shanghai(t), "2026-11-23 "+due).UTC()
	r := asrun.Row{
		Airing: playlist.NewAiringID("早", instant), Slot: "早", Playlist: "lessons", Output: output, Item: item, Part: part,
		Clip: lessons(9)[item], Title: fmt.Sprint("第", item, "课"), Series: "健康微课堂", Issue: item, Due: instant,
		Residents: map[string]int{"东": 420, "西": 260, "车": 0}[output], OfFrames: 1000,
	}
	if part > 0 {
		r.Cued, r.Started, r.Ended = instant.Add(-time.Second), instant, instant.Add(time.Minute)
		r.Frames, r.Outcome = 1000, asrun.Complete
	} else {
		r.Clip, r.Title, r.Series, r.Issue, r.OfFrames = "", "", "", 0, 0
		r.Ended, r.Outcome, r.Reason = instant, asrun.Missed, asrun.ReasonBusy
	}
	for _, c := range change {
		c(&r)
	}
	return r
}
