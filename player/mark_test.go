package player_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Else a later start would ask the new programme what fell due under the old
// one, and record as missed what nobody had planned.
func TestAReloadSettlesWhatFellDueBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("old", "1 0 * * *")
		s.start()
		defer s.close()
		time.Sleep(3 * time.Minute)
		next := *s.programme
		next.Slots = nil
		s.programme = &next
		s.slot("new", "* 0 * * *")
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		at, err := s.store.Watermark(t.Context())
		if err != nil || s.now().Sub(at) > time.Second {
			t.Errorf("settled up to %v, %v ago, %v", at, s.now().Sub(at), err)
		}
	})
}
