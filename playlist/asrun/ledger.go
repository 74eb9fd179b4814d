package asrun

import (
	"errors"
	"time"

	"dalaba/playlist"
)

// ErrClaimed means that this part was claimed before, perhaps before a power cut: it
// must not air again.
var ErrClaimed = errors.New("already claimed")

// ErrStale means that the clip chosen is not the one that must air: another
// output of the airing, or another slot of the playlist, has moved the cursor
// meanwhile. Choose again.
var ErrStale = errors.New("the cursor has moved")

// Claim asks for the right to sound one part of an airing.
type Claim struct {
	Row Row // Outcome empty; Clip chosen

	// The cursor of the playlist before and after this clip was taken. Both are nil
	// if an earlier part or another output chose the clip.
	Before, After *playlist.Cursor
}

// RowKey names a row of the as-run log.
type RowKey struct {
	Airing playlist.AiringID
	Output string
	Item   int
	Part   int
}

// Key is what names the row.
func (r Row) Key() RowKey { return RowKey{r.Airing, r.Output, r.Item, r.Part} }

// End is how a claimed part ended.
type End struct {
	Started, Ended time.Time // Started is zero if nothing sounded
	Frames         int64
	AtFrame        int64
	Outcome        Outcome
	Reason         Reason
}
