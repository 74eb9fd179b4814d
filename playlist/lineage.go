package playlist

import (
	"maps"
	"slices"
)

// Lineage says which clips were replaced, and by which: a lesson that is handed in
// anew is a new clip that replaces the old one.
type Lineage map[ClipID]ClipID

// Current returns the clips without those that another of them replaces, directly
// or through others. A clip whose replacement is not among them stays.
func (l Lineage) Current(clips []Clip) []Clip {
	here := map[ClipID]bool{}
	for _, c := range clips {
		here[c.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(clips), func(c Clip) bool {
		for id := range l.after(c.ID) {
			if here[id] {
				return true
			}
		}
		return false
	})
}

// Replacement returns the clip that replaces id, directly or through others, the
// last of those that here reports true for; ok is false if there is none.
func (l Lineage) Replacement(id ClipID, here func(ClipID) bool) (by ClipID, ok bool) {
	for next := range l.after(id) {
		if here(next) {
			by, ok = next, true
		}
	}
	return by, ok
}

// Freed returns those of the clips that nothing replaces any more once a clip is gone.
func (l Lineage) Freed(clips []Clip, gone ClipID) (freed []Clip) {
	rest := slices.DeleteFunc(slices.Clone(clips), func(c Clip) bool { return c.ID == gone })
	before := l.Current(clips)
	for _, c := range l.Current(rest) {
		if !slices.ContainsFunc(before, func(b Clip) bool { return b.ID == c.ID }) {
			freed = append(freed, c)
		}
	}
	return freed
}

// after yields the clips that replace id, the direct one first.
func (l Lineage) after(id ClipID) func(yield func(ClipID) bool) {
	return func(yield func(ClipID) bool) {
		seen := map[ClipID]bool{id: true}
		for next, ok := l[id]; ok && !seen[next]; next, ok = l[next] {
			seen[next] = true
			if !yield(next) {
				return
			}
		}
	}
}

// First returns, for each clip that replaced another or was replaced, one clip that
// stands for the lesson: the smallest ID of those that were replaced by none other.
func (l Lineage) First() map[ClipID]ClipID {
	if len(l) == 0 {
		return nil
	}
	last := func(id ClipID) ClipID {
		for next := range l.after(id) {
			id = next
		}
		return id
	}
	first := map[ClipID]ClipID{} // by the last clip of the lesson
	replacing := map[ClipID]bool{}
	for _, by := range l {
		replacing[by] = true
	}
	for _, id := range slices.Sorted(maps.Keys(l)) {
		if _, ok := first[last(id)]; !ok && !replacing[id] {
			first[last(id)] = id
		}
	}
	all := map[ClipID]ClipID{}
	for old, by := range l {
		for _, id := range []ClipID{old, by} {
			if f, ok := first[last(id)]; ok {
				all[id] = f
			}
		}
	}
	return all
}
