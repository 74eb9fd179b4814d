package data_test

import (
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func TestRowsOfAnUntrustedClockAreCorrectedOnceTheTimeIsKnown(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	ctx := t.Context()
	lost := time.Date(1970, 1, 1, 0, 10, 0, 0, time.UTC) // ten minutes after a boot without a battery
	row := asrun.Row{
		Airing: "alert-1", Output: "east", Item: 1, Part: 1, Slot: "alert", Due: lost, Cued: lost,
		Clip: playlist.ClipID("0000000000000000000000000000000000000000000000000000000000000001"), OfFrames: 1000,
		Clock: playlist.ClockUntrusted, Boot: "b1", MonoMS: 600_000,
	}
	if err := s.Claim(ctx, asrun.Claim{Row: row}); err != nil {
		t.Fatal(err)
	}
	end := asrun.End{Started: lost.Add(time.Second), Ended: lost.Add(3 * time.Second), Frames: 1000, Outcome: asrun.Complete}
	if err := s.End(ctx, row.Key(), end); err != nil {
		t.Fatal(err)
	}
	// The clock was corrected while these rows were open: one ended by the
	// correct time; the other was left open by a power cut and closed at the
	// next start.
	across, cut := row, row
	across.Airing, cut.Airing = "alert-3", "alert-4"
	for _, r := range []asrun.Row{across, cut} {
		if err := s.Claim(ctx, asrun.Claim{Row: r}); err != nil {
			t.Fatal(err)
		}
	}
	other := row
	other.Airing, other.Boot = "alert-2", "b2"
	if err := s.Claim(ctx, asrun.Claim{Row: other}); err != nil {
		t.Fatal(err)
	}

	booted := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	for _, began := range []time.Time{booted, booted.Add(time.Hour)} { // the second call changes nothing
		if err := s.NoteBoot(ctx, "b1", began); err != nil {
			t.Fatal(err)
		}
	}
	right := booted.Add(10 * time.Minute)
	if err := s.End(ctx, across.Key(), asrun.End{Started: lost.Add(time.Second), Ended: right.Add(3 * time.Second), Frames: 1000, Outcome: asrun.Complete}); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(ctx, cut.Key(), lost.Add(time.Second), 0, 480); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CloseOpen(ctx, right.Add(time.Hour), asrun.ReasonPowerLost); err != nil {
		t.Fatal(err)
	}
	want := map[playlist.AiringID]struct {
		clock          playlist.ClockState
		started, ended time.Time
	}{
		"alert-1": {playlist.ClockRepaired, right.Add(time.Second), right.Add(3 * time.Second)},
		"alert-2": {playlist.ClockUntrusted, time.Time{}, lost},
		"alert-3": {playlist.ClockRepaired, right.Add(time.Second), right.Add(3 * time.Second)},
		"alert-4": {playlist.ClockRepaired, right.Add(time.Second), right.Add(time.Second + 10*time.Millisecond)},
	}
	for r, err := range s.AsRun(ctx, data.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		w := want[r.Airing]
		if r.Clock != w.clock || !r.Started.Equal(w.started) || !r.Ended.Equal(w.ended) {
			t.Errorf("%s: %v to %v by a clock %s, want %+v", r.Airing, r.Started, r.Ended, r.Clock, w)
		}
	}
}
