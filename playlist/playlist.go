package playlist

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Order says how a playlist moves on from one clip to the next.
type Order string

const (
	Sequence Order = "sequence" // as listed, remembering its place across restarts
	Shuffle  Order = "shuffle"  // every clip once a round, never one twice running; from three clips on no round has the order of the one before
)

// Playlist is an ordered list of clips.
type Playlist struct {
	Name  string   `json:"name"`
	Title string   `json:"title,omitempty"`
	Clips []ClipID `json:"clips"`
	Order Order    `json:"order"`

	// First has, of its lessons whose clips were replaced, what [Lineage.First] has: see
	// [Playlist.WithLessons]. A lesson keeps its place when its clip is replaced.
	First map[ClipID]ClipID `json:"-"`
}

// Equal reports whether the two playlists are the same in every field but First, which
// speaks of clips of other playlists too.
func (p Playlist) Equal(q Playlist) bool {
	return p.Name == q.Name && p.Title == q.Title && p.Order == q.Order && slices.Equal(p.Clips, q.Clips)
}

// WithLessons returns the playlist with what is known of its own lessons. What becomes of others
// does not change it.
func (p Playlist) WithLessons(lessons map[ClipID]ClipID) Playlist {
	own := map[ClipID]bool{}
	for _, id := range p.Clips {
		if first, ok := lessons[id]; ok {
			own[first] = true
		}
	}
	p.First = nil
	for id, first := range lessons {
		if !own[first] {
			continue
		}
		if p.First == nil {
			p.First = map[ClipID]ClipID{}
		}
		p.First[id] = first
	}
	return p
}

// Cursor is a playlist's place: the clip taken last, in which round. The zero
// Cursor stands before the first clip. It names a clip and not only a position,
// so that a playlist may grow or shrink under it and no lesson is skipped.
type Cursor struct {
	Round int    `json:"round"` // only ever grows, not always by one
	Index int    `json:"index"` // where Last stood, should it leave the list or be listed twice
	Last  ClipID `json:"last"`
}

// Next is the clip after c and the cursor once it is taken. ok is false for a
// playlist without clips.
func (p Playlist) Next(c Cursor) (id ClipID, after Cursor, ok bool) {
	if len(p.Clips) == 0 {
		return "", c, false
	}
	if c.Last == "" && c.Round == 0 {
		return p.at(0, 0)
	}
	order := p.round(c.Round)
	i := c.Index
	if i < 0 || i >= len(order) || order[i] != c.Last {
		i = slices.Index(order, c.Last)
	}
	if i < 0 { // it may have been replaced
		i = slices.IndexFunc(order, func(id ClipID) bool { return p.first(id) == p.first(c.Last) })
	}
	switch {
	case i >= 0:
		i++
	case p.Order == Shuffle:
		// The order is by hash, so the lost clip's neighbours are known.
		mark := p.mark(c.Round, c.Last)
		i = slices.IndexFunc(order, func(id ClipID) bool { return p.mark(c.Round, id) > mark })
		if i < 0 {
			i = len(order)
		}
	default:
		i = c.Index // what followed the lost clip has moved into its place
	}
	if i >= len(order) {
		return p.at(p.roundAfter(c), 0)
	}
	return p.at(c.Round, i)
}

// roundAfter passes over shuffled rounds that would begin with the clip that has
// just been heard or have the order of the round that ends. Two clips can only
// alternate.
func (p Playlist) roundAfter(c Cursor) int {
	next := c.Round + 1
	order := p.round(c.Round)
	if p.Order != Shuffle || len(order) < 2 {
		return next
	}
	for range 100 { // at least half of all rounds will do: none does once in 2^100
		if following := p.round(next); p.first(following[0]) != p.first(c.Last) && (len(order) == 2 || !slices.Equal(following, order)) {
			break
		}
		next++
	}
	return next
}

func (p Playlist) at(round, i int) (ClipID, Cursor, bool) {
	id := p.round(round)[i]
	return id, Cursor{Round: round, Index: i, Last: id}, true
}

// round is the order of one round. Shuffling sorts by a hash of round and
// clip: the same on every restart, and a clip that joins or leaves disturbs
// no other. A clip that is listed twice is shuffled once.
func (p Playlist) round(n int) []ClipID {
	if p.Order != Shuffle {
		return p.Clips
	}
	marks := make(map[ClipID]string, len(p.Clips))
	for _, id := range p.Clips {
		marks[id] = p.mark(n, id)
	}
	order := slices.Clone(p.Clips)
	slices.SortFunc(order, func(a, b ClipID) int { return strings.Compare(marks[a], marks[b]) })
	return slices.Compact(order)
}

// first is the clip in whose place id is.
func (p Playlist) first(id ClipID) ClipID {
	if f, ok := p.First[id]; ok {
		return f
	}
	return id
}

func (p Playlist) mark(round int, id ClipID) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", p.Name, round, p.first(id)))
	return string(h[:])
}
