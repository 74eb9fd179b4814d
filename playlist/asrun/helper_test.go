package asrun_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
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

func number(id playlist.ClipID) string { return strings.TrimLeft(string(id), "0") }
