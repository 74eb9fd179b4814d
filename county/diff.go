package county

import (
	"cmp"
	"slices"
	"strings"

	"dalaba/playlist"
)

// Change is one line of the difference between two manifests.
type Change struct {
	What string `json:"what"` // slot, playlist or clip
	How  string `json:"how"`  // added, removed or changed
	Name string `json:"name"`
	Clip string `json:"clip,omitempty"` // its ID
}

// diffOf lists what a manifest changes of the one before it: slots, then
// playlists, then clips, each kind by how it changed and by name.
func diffOf(before, after playlist.Manifest) []Change {
	all := slices.Concat(
		diff(before.Slots, after.Slots, playlist.Slot.Equal, func(s playlist.Slot) (string, Change) {
			return s.Name, Change{What: "slot", Name: s.Name}
		}),
		diff(before.Playlists, after.Playlists, playlist.Playlist.Equal, func(l playlist.Playlist) (string, Change) {
			return l.Name, Change{What: "playlist", Name: l.Name}
		}),
		diff(before.Clips, after.Clips, func(a, b playlist.Clip) bool {
			return a.Title == b.Title && a.Series == b.Series && a.Issue == b.Issue
		}, func(k playlist.Clip) (string, Change) {
			return string(k.ID), Change{What: "clip", Name: k.Title, Clip: string(k.ID)}
		}),
	)
	rank := map[string]int{"slot": 0, "playlist": 1, "clip": 2}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(rank[a.What]-rank[b.What], strings.Compare(a.How, b.How), strings.Compare(a.Name, b.Name), strings.Compare(a.Clip, b.Clip))
	})
	return append([]Change{}, all...) // never nil: it goes out as JSON
}

// diff lists what was added, changed and removed among things of one kind.
// named returns the key of a thing and the change that names it.
func diff[T any](before, after []T, equal func(a, b T) bool, named func(T) (key string, ch Change)) []Change {
	var all []Change
	was := map[string]T{}
	note := func(ch Change, how string) {
		ch.How = how
		all = append(all, ch)
	}
	for _, x := range before {
		key, _ := named(x)
		was[key] = x
	}
	for _, x := range after {
		key, ch := named(x)
		old, there := was[key]
		delete(was, key)
		switch {
		case !there:
			note(ch, "added")
		case !equal(old, x):
			note(ch, "changed")
		}
	}
	for _, x := range was {
		_, ch := named(x)
		note(ch, "removed")
	}
	return all
}
