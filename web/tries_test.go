package web_test

import (
	"net/netip"
	"testing"
	"time"

	"dalaba/web"
)

// TestGuessersLeaveATurnToOthers has guessers at many addresses go on without a pause.
// Someone at a new address who waits as long as he is told gets his turn, and someone
// who has logged in before has no need to wait.
func TestGuessersLeaveATurnToOthers(t *testing.T) {
	tries, start := web.NewTries(), time.Unix(1e9, 0)
	usual, elsewhere := web.Source("10.0.0.1:1"), web.Source("10.0.0.2:1")
	tries.Succeeded(usual, "admin", start)
	var guessers []netip.Prefix
	for i := range 16 {
		guessers = append(guessers, web.Source(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String()))
	}
	guesses := 0
	next, had := start.Add(time.Minute), false
	for now := start; now.Before(start.Add(10 * time.Minute)); now = now.Add(20 * time.Millisecond) {
		for _, g := range guessers {
			if wait, known := tries.Begin(g, "admin", now); wait == 0 {
				guesses++
				if known {
					t.Fatal("a guesser is known")
				}
			}
		}
		if wait, known := tries.Begin(usual, "admin", now); wait > 0 || !known {
			t.Fatalf("after %v, who logged in before waits %v", now.Sub(start), wait)
		}
		tries.Succeeded(usual, "admin", now)
		if !had && !now.Before(next) {
			wait, _ := tries.Begin(elsewhere, "admin", now)
			next, had = now.Add(wait), wait == 0
		}
	}
	if !had {
		t.Errorf("who comes from a new address never has a turn; the guessers had %d", guesses)
	}
}
