package player_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/playlist"
)

// What the recordings of two villages hold of a county's slots: in one of them the first is
// moved and the second left out; the town's slot stands instead of the second one once it
// comes into force.
func TestACountysSlotSoundsAsExceptionsHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east", "west")
		s.programme.Site.Area = "320924100000"
		s.programme.Outputs[0].Area, s.programme.Outputs[1].Area = "320924100201", "320924100202"
		manifest := func(scope playlist.Scope, cron string, clip int, change func(*playlist.Slot)) playlist.Manifest {
			s.slot("早", cron, change)
			n := len(s.programme.Slots) - 1
			slot := s.programme.Slots[n]
			s.programme.Slots, slot.Outputs = s.programme.Slots[:n], nil
			list := s.programme.Playlists[0]
			list.Clips = []playlist.ClipID{s.clips[clip].ID}
			return playlist.Manifest{Scope: scope, Version: 1, Playlists: []playlist.Playlist{list}, Slots: []playlist.Slot{slot}}
		}
		noon := func(x *playlist.Slot) { x.Name = "午" }
		county := manifest("area:320924000000", "10 0 * * *", 0, func(*playlist.Slot) {})
		county.Slots = append(county.Slots, manifest("area:320924000000", "12,22 0 * * *", 0, noon).Slots...)
		village := playlist.Manifest{Scope: "area:320924100201", Exceptions: []playlist.Exception{
			{Slot: "早", Days: []playlist.Date{"2000-01-01"}, At: []playlist.TimeOfDay{5, 15}}, {Slot: "午", From: "2000-01-01", To: "2000-01-01"},
		}}
		town := manifest("area:320924100000", "20 0 * * *", 1, func(x *playlist.Slot) { noon(x); x.Instead = true })
		f := playlist.Follower{Areas: []playlist.Area{"320924100000", "320924100201", "320924100202"}}
		own := s.programme
		s.programme = own.With(f, []playlist.Manifest{county, village})
		s.start()
		defer s.close()
		heard := func() (all []string) {
			for _, r := range s.rows() {
				all = append(all, r.Output+" "+r.Due.Format("15:04 ")+r.Title+" "+string(r.Outcome))
			}
			slices.Sort(all)
			return all
		}
		time.Sleep(17 * time.Minute)
		want := []string{"east 00:05 clip1 complete", "east 00:15 clip1 complete", "west 00:10 clip1 complete", "west 00:12 clip1 complete"}
		if got := heard(); !slices.Equal(got, want) {
			t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if err := s.player.Reload(t.Context(), own.With(f, []playlist.Manifest{county, village, town})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Minute)
		s.stop()
		want = append(want, "west 00:20 clip2 complete") // the village leaves that one out as well
		if got := heard(); !slices.Equal(got, want) {
			t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		s.verify()
	})
}
