// Package playlisttest holds what the tests of several rooms of the domain begin
// with: slots, lessons and rows of a village in Shanghai's zone. Only tests import
// it.
package playlisttest

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // a test machine may have no zone files

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Shanghai returns the zone of the tests.
func Shanghai(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Cron parses a spec.
func Cron(t testing.TB, spec string) playlist.Cron {
	t.Helper()
	c, err := playlist.ParseCron(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Slot returns a slot of the playlist "lessons" with the defaults of a config.
func Slot(t testing.TB, name, spec string, outputs ...string) playlist.Slot {
	t.Helper()
	return playlist.Slot{
		Name: name, Playlist: "lessons", Cron: Cron(t, spec), Outputs: outputs, Count: 1,
		Priority: playlist.DefaultPriority, Window: playlist.DefaultWindow,
		Missed: playlist.MissedSkip, After: playlist.AfterRejoin,
	}
}

// At parses a date with a time, in a zone.
func At(t testing.TB, zone *time.Location, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if v, err := time.ParseInLocation(layout, s, zone); err == nil {
			return v
		}
	}
	t.Fatalf("no instant: %q", s)
	return time.Time{}
}

// Lessons returns the IDs of n clips, which are their numbers from 1.
func Lessons(n int) []playlist.ClipID {
	ids := make([]playlist.ClipID, n)
	for i := range ids {
		ids[i] = playlist.ClipID(fmt.Sprintf("%064x", i+1))
	}
	return ids
}

// Row returns the row of an airing of the slot "早" that fell due at that time of
// 23 November 2026: complete or, with part 0, missed.
func Row(t testing.TB, due, output string, item, part int, change ...func(*asrun.Row)) asrun.Row {
	t.Helper()
	instant := At(t, Shanghai(t), "2026-11-23 "+due).UTC()
	r := asrun.Row{
		Airing: playlist.NewAiringID("早", instant), Slot: "早", Playlist: "lessons", Output: output, Item: item, Part: part,
		Clip: Lessons(9)[item], Title: fmt.Sprint("第", item, "课"), Series: "健康微课堂", Issue: item, Due: instant,
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
