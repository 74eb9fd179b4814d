package web_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"dalaba/web"
)

func TestGuessingIsSlowAndKeepsOutWhoGuessesOnly(t *testing.T) {
	office, elsewhere := netip.MustParsePrefix("192.0.2.1/32"), func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(i / 256), byte(i)}), 32)
	}
	now := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	tries := web.NewTries()
	// guess tries for so long, as often as it may, and returns how many passwords were looked at.
	guess := func(from func(int) netip.Prefix, name func(int) string, within time.Duration) (looked int) {
		for i := 0; i < int(within/(100*time.Millisecond)); i++ {
			at := now.Add(time.Duration(i) * 100 * time.Millisecond)
			if wait, _ := tries.Begin(from(i), name(i), at); wait == 0 {
				looked++
			}
		}
		return looked
	}
	always := func(p netip.Prefix) func(int) netip.Prefix { return func(int) netip.Prefix { return p } }
	editor := func(int) string { return "editor" }
	login := func(from netip.Prefix, name string, at time.Time) bool {
		wait, _ := tries.Begin(from, name, at)
		if wait == 0 {
			tries.Succeeded(from, name, at)
		}
		return wait == 0
	}
	if !login(office, "editor", now) {
		t.Fatal("a first login has to wait")
	}
	for _, c := range []struct {
		name string
		from func(int) netip.Prefix
		who  func(int) string
		most int
	}{
		{"from one address", always(elsewhere(1)), editor, 30},
		{"from one address, for ever another account", always(elsewhere(2)), func(i int) string { return fmt.Sprint(i) }, 400},
		{"from ever another address", func(i int) netip.Prefix { return elsewhere(i + 3) }, editor, 400},
		{"from where others log in, for another account", always(office), func(int) string { return "leader" }, 30},
	} {
		if n := guess(c.from, c.who, time.Hour); n > c.most {
			t.Errorf("%s, %d passwords were looked at within an hour", c.name, n)
		}
		if !login(office, "editor", now.Add(time.Hour)) {
			t.Errorf("while someone guesses %s, who logs in there daily is kept out", c.name)
		}
		now = now.Add(24 * time.Hour)
	}
	again := web.NewTries()
	again.Recall(tries.Good(now))
	for _, known := range []*web.Tries{tries, again} {
		if !known.Knows(office, now) || known.Knows(elsewhere(1), now) || known.Knows(office, now.Add(31*24*time.Hour)) {
			t.Error("only the office has logged in, and lately")
		}
	}
	wrong := 0
	for i := range 5 {
		if wait, known := tries.Begin(office, "editor", now.Add(time.Duration(i)*time.Second)); wait == 0 && known {
			wrong++
		}
	}
	if wrong != 5 {
		t.Errorf("who mistypes a password has to wait after %d times", wrong)
	}
	if wait, _ := tries.Begin(office, "editor", now.Add(4*time.Second)); wait != time.Second {
		t.Errorf("after five, the wait is %v", wait)
	}
}

func TestWhatIsKnownOfGuessersStaysSmall(t *testing.T) {
	now := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	tries := web.NewTries()
	good := netip.MustParsePrefix("192.0.2.1/32")
	tries.Begin(good, "editor", now)
	tries.Succeeded(good, "editor", now)
	for i := range 20_000 {
		tries.Begin(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), fmt.Sprint(i), now.Add(time.Duration(i)*time.Millisecond))
	}
	if n := tries.Len(); n > 15_000 {
		t.Errorf("%d things are remembered", n)
	}
	if _, known := tries.Begin(good, "editor", now.Add(time.Hour)); !known {
		t.Error("who has logged in is forgotten over it")
	}
}

// TestGuessersLeaveATurnToOthers has guessers at many addresses go on without a pause.
// Someone at a new address who waits as long as he is told gets his turn, and someone
// who has logged in before has no need to wait.
func TestGuessersLeaveATurnToOthers(t *testing.T) {
	tries, start := web.NewTries(), time.Unix(1e9, 0)
	usual, elsewhere := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")
	tries.Succeeded(usual, "admin", start)
	var guessers []netip.Prefix
	for i := range 16 {
		guessers = append(guessers, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), 32))
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
