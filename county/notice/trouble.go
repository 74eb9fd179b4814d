package notice

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Trouble is something that a person must look after, for as long as it is so and while it
// is remembered that it was.
type Trouble struct {
	Subject string        `json:"subject"` // what it is that has the trouble, and which trouble if there may be several
	Name    string        `json:"name"`    // for people
	Area    playlist.Area `json:"area,omitempty"`
	What    What          `json:"what"`

	Bad   bool      `json:"bad"`   // it is so now
	Since time.Time `json:"since"` // it is so, or is no longer so

	Told   bool      `json:"told"`             // the last that was told is that it is so
	ToldAt time.Time `json:"told_at,omitzero"` // when it was last told that it is so, or that it comes and goes
	Flaps  bool      `json:"flaps,omitempty"`  // the last that was told is that it comes and goes
	Turns  int       `json:"turns,omitempty"`  // how often it has come since then
	Turned time.Time `json:"turned,omitzero"`  // when it came the first of those times
}

// What is a sentence about a trouble that can be kept.
type What struct {
	Key  string   `json:"key"`
	Args []string `json:"args,omitempty"`
}

// Message is the sentence.
func (w What) Message() say.Message {
	args := make([]any, len(w.Args))
	for i, a := range w.Args {
		args[i] = a
	}
	return say.M(w.Key, args...)
}

// How long something has to stay as it is.
const (
	settled = time.Minute // before it can be told along with others

	badFor    = 5 * time.Minute // before it is told that a controller has a trouble
	countyFor = time.Minute     // before it is told that the county has one
	wellFor   = 2 * time.Minute // before it is told that a trouble is over
)

const (
	// flapsFor is how long nothing more is told of a trouble that comes again.
	flapsFor = time.Hour

	// flapsAt is how often a trouble has to come within flapsFor to be told, even if it
	// never stays.
	flapsAt = 4
)

// News is what is told of troubles. The keys of their sentences end in it.
type News string

const (
	IsBad  News = "_bad"
	IsWell News = "_well"
	Flaps  News = "_flaps"
)

// Follow returns what is known of the troubles of a kind from now on, by what was known and
// what there is at present, and what is to be told. All that is told at once is to be told
// in one message: a power cut makes many controllers silent.
//
// A trouble is told once it has lasted for a while, and so is that it is over. If one of
// them is told, the others that are as settled go along. One that comes again within
// flapsFor is not told again, but that it comes and goes, once in that time.
func Follow(k Kind, known, present []Trouble, now time.Time) (next []Trouble, told map[News][]Trouble) {
	was, all := map[string]Trouble{}, map[string]Trouble{}
	for _, t := range known {
		was[t.Subject], all[t.Subject] = t, t.step(false, now)
	}
	for _, p := range present {
		t := was[p.Subject]
		t.Subject, t.Name, t.Area, t.What = p.Subject, p.Name, p.Area, p.What
		all[p.Subject] = t.step(true, now)
	}
	due := map[News]bool{}
	for _, t := range all {
		if n, at := t.news(now); n != "" && at >= lasts(k, n) {
			due[n] = true
		}
	}
	told = map[News][]Trouble{}
	for _, subject := range slices.Sorted(maps.Keys(all)) {
		t := all[subject]
		if n, _ := t.news(now); due[n] {
			told[n] = append(told[n], t)
			t = t.tell(n, now)
		}
		if t.Bad || t.Told || t.Turns > 0 || now.Sub(t.ToldAt) < flapsFor {
			next = append(next, t)
		}
	}
	for n := range told {
		slices.SortStableFunc(told[n], func(a, b Trouble) int { return cmp.Compare(a.Area, b.Area) })
	}
	return next, told
}

// lasts is how long what is told must have lasted.
func lasts(k Kind, n News) time.Duration {
	switch {
	case n == Flaps:
		return 0
	case n == IsWell:
		return wellFor
	case k == County:
		return countyFor
	}
	return badFor
}

// step notes how it is now.
func (t Trouble) step(bad bool, now time.Time) Trouble {
	if t.Turns == 0 && now.Sub(t.ToldAt) >= flapsFor {
		t.Flaps = false // it has stayed as it was told
	}
	if bad != t.Bad {
		t.Bad, t.Since = bad, now
		if bad {
			if t.Turns == 0 {
				t.Turned = now
			}
			t.Turns++
		}
	}
	if t.Turns > 0 && now.Sub(t.Turned) >= flapsFor && now.Sub(t.ToldAt) >= flapsFor && !t.Bad && !t.Flaps {
		t.Turns = 0 // it came and went too seldom to be told
	}
	return t
}

// news is what can be told of the trouble, and for how long it has been so; empty if
// nothing can be, yet.
func (t Trouble) news(now time.Time) (n News, lasted time.Duration) {
	lasted = now.Sub(t.Since)
	again := now.Sub(t.ToldAt) >= flapsFor || t.ToldAt.IsZero()
	again = again || now.Before(t.ToldAt) // the clock was set back
	switch {
	case t.Flaps && !again:
		return "", 0
	case t.Flaps && t.Turns > 0, again && t.Turns >= flapsAt, again && t.Turns > 1 && !t.ToldAt.IsZero() && !t.Told:
		return Flaps, lasted
	case t.Bad == t.Told || lasted < settled:
		return "", 0
	case !t.Bad:
		return IsWell, lasted
	case !again:
		return "", 0
	}
	return IsBad, lasted
}

// tell notes what was told.
func (t Trouble) tell(n News, now time.Time) Trouble {
	t.Told, t.Turns, t.Flaps = t.Bad, 0, n == Flaps
	if n != IsWell {
		t.ToldAt = now
	}
	return t
}
