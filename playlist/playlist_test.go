package playlist_test

import (
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
