package playlist_test

import (
	"fmt"
	"slices"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
)

func take(t *testing.T, p playlist.Playlist, c playlist.Cursor, n int) ([]playlist.ClipID, playlist.Cursor) {
	t.Helper()
	var taken []playlist.ClipID
	for range n {
		id, next, ok := p.Next(c)
		if !ok {
			t.Fatal("no clip")
		}
		taken, c = append(taken, id), next
	}
	return taken, c
}

func TestEachClipSoundsOnceARound(t *testing.T) {
	for _, order := range []playlist.Order{playlist.Sequence, playlist.Shuffle} {
		for _, n := range []int{1, 2, 3, 5, 8, 31} {
			p := playlist.Playlist{Name: "健康", Clips: playlisttest.Lessons(n), Order: order}
			var c playlist.Cursor
			var last playlist.ClipID
			for round := range 40 {
				var heard []playlist.ClipID
				heard, c = take(t, p, c, n)
				if n > 1 && heard[0] == last {
					t.Fatalf("%s of %d, round %d begins with the clip that ended the last", order, n, round)
				}
				last = heard[n-1]
				sorted := slices.Sorted(slices.Values(heard))
				if !slices.Equal(sorted, p.Clips) {
					t.Fatalf("%s of %d, round %d: %v", order, n, round, heard)
				}
				if order == playlist.Sequence && !slices.Equal(heard, p.Clips) {
					t.Fatalf("sequence of %d out of order: %v", n, heard)
				}
			}
		}
	}
}

func TestShuffledRoundsDiffer(t *testing.T) {
	p := playlist.Playlist{Name: "健康", Clips: playlisttest.Lessons(10), Order: playlist.Shuffle}
	first, c := take(t, p, playlist.Cursor{}, 10)
	second, _ := take(t, p, c, 10)
	if slices.Equal(first, second) || slices.Equal(first, p.Clips) {
		t.Errorf("rounds %v and %v", first, second)
	}
	again, _ := take(t, p, playlist.Cursor{}, 10)
	if !slices.Equal(first, again) {
		t.Error("the same cursor gave another order")
	}
}

func TestShuffleKeepsItsPromisesOverThousandsOfRounds(t *testing.T) {
	for n := 1; n <= 8; n++ {
		p := playlist.Playlist{Name: "健康", Clips: playlisttest.Lessons(n), Order: playlist.Shuffle}
		var c playlist.Cursor
		var before []playlist.ClipID
		orders := map[string]bool{}
		for round := range 2000 {
			var heard []playlist.ClipID
			heard, c = take(t, p, c, n)
			if !slices.Equal(slices.Sorted(slices.Values(heard)), p.Clips) {
				t.Fatalf("%d clips, round %d: %v", n, round, heard)
			}
			if n >= 2 && round > 0 && heard[0] == before[n-1] {
				t.Fatalf("%d clips, round %d begins with the clip that ended the one before", n, round)
			}
			if n >= 3 && slices.Equal(heard, before) {
				t.Fatalf("%d clips, round %d has the order of the one before: %v", n, round, heard)
			}
			before = heard
			orders[fmt.Sprint(heard)] = true
		}
		if want := []int{1, 1, 6, 24, 120, 600, 1500, 1900}[n-1]; len(orders) < want {
			t.Errorf("%d clips: %d different orders, want %d or more", n, len(orders), want)
		}
	}
}

// A county's list may name a clip twice: each still comes once a round.
func TestAClipListedTwiceIsShuffledOnce(t *testing.T) {
	ids := playlisttest.Lessons(3)
	for _, c := range []struct {
		list []playlist.ClipID
		want int
	}{
		{[]playlist.ClipID{ids[0], ids[0]}, 1},
		{[]playlist.ClipID{ids[0], ids[1], ids[0]}, 2},
		{[]playlist.ClipID{ids[0], ids[0], ids[1], ids[2], ids[1]}, 3},
	} {
		p := playlist.Playlist{Name: "健康", Clips: c.list, Order: playlist.Shuffle}
		var at playlist.Cursor
		for round := range 200 {
			var heard []playlist.ClipID
			heard, at = take(t, p, at, c.want)
			if !slices.Equal(slices.Sorted(slices.Values(heard)), ids[:c.want]) {
				t.Fatalf("%d places, round %d: %v", len(c.list), round, heard)
			}
		}
	}
}

func TestASequenceAirsAClipAtEachPlaceWhereItIsListed(t *testing.T) {
	ids := playlisttest.Lessons(3)
	list := []playlist.ClipID{ids[0], ids[1], ids[0], ids[0], ids[2]}
	p := playlist.Playlist{Name: "健康", Clips: list, Order: playlist.Sequence}
	if heard, _ := take(t, p, playlist.Cursor{}, 15); !slices.Equal(heard, slices.Repeat(list, 3)) {
		t.Errorf("%v", heard)
	}
}

// A playlist is edited at every place of its first round, in every way.
func TestAnEditUnderWaySkipsAndRepeatsNothing(t *testing.T) {
	const n = 7
	all := playlisttest.Lessons(n + 1)
	fresh := all[n]
	for _, order := range []playlist.Order{playlist.Sequence, playlist.Shuffle} {
		for heard := 1; heard < n; heard++ {
			p := playlist.Playlist{Name: "健康", Clips: slices.Clone(all[:n]), Order: order}
			before, c := take(t, p, playlist.Cursor{}, heard)

			for gone := range n { // one clip leaves, that just heard among them
				q := p
				q.Clips = slices.Delete(slices.Clone(p.Clips), gone, gone+1)
				want := n - heard
				if !slices.Contains(before, all[gone]) {
					want--
				}
				rest, _ := take(t, q, c, want)
				rest = slices.DeleteFunc(append(slices.Clone(before), rest...), func(id playlist.ClipID) bool { return id == all[gone] })
				if !slices.Equal(slices.Sorted(slices.Values(rest)), slices.Sorted(slices.Values(q.Clips))) {
					t.Errorf("%s, %d heard, clip %d gone: %v", order, heard, gone+1, rest)
				}
			}

			for at := range n + 1 { // one clip joins
				q := p
				q.Clips = slices.Insert(slices.Clone(p.Clips), at, fresh)
				rest, _ := take(t, q, c, n-heard)
				rest = append(slices.Clone(before), rest...)
				if slices.Contains(rest, fresh) { // it came within the round, so one more is left of it
					more, _ := take(t, q, c, n-heard+1)
					rest = append(slices.Clone(before), more...)
					rest = slices.DeleteFunc(rest, func(id playlist.ClipID) bool { return id == fresh })
				}
				if !slices.Equal(slices.Sorted(slices.Values(rest)), p.Clips) {
					t.Errorf("%s, %d heard, a clip joins at %d: %v", order, heard, at, rest)
				}
			}
		}
	}
}

func TestAPlaylistWithoutClipsHasNoNext(t *testing.T) {
	c := playlist.Cursor{Round: 3, Index: 2, Last: "x"}
	if id, after, ok := (playlist.Playlist{Order: playlist.Shuffle}).Next(c); ok || id != "" || after != c {
		t.Errorf("%s, %+v, %v", id, after, ok)
	}
}
