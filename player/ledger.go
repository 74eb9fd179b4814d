package player

import (
	"context"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Ledger is the as-run log as the player writes it. Each call is one
// transaction, durable when it returns. An error that the comments here do not
// name means that the disk failed: the player tries again. data.Store is one.
type Ledger interface {
	// Claim opens a row before its first sample, and moves the playlist's
	// cursor from Before to After if they are given. If another output has
	// claimed the same item with another clip, or the cursor is not at Before
	// any more, the error is [asrun.ErrStale]; if the row exists,
	// [asrun.ErrClaimed].
	Claim(ctx context.Context, c asrun.Claim) error

	// Checkpoint notes how far an open row has come.
	Checkpoint(ctx context.Context, k asrun.RowKey, started time.Time, atFrame, frames int64) error

	// End closes an open row and makes its receipt. If nothing of the item
	// sounded on any output and the cursor has not moved since, the clip is
	// given back to the playlist. Ending a closed row changes nothing.
	End(ctx context.Context, k asrun.RowKey, e asrun.End) error

	// Record writes rows that never sounded, and their receipts. A row that
	// exists stays as it is.
	Record(ctx context.Context, rows ...asrun.Row) error

	// Rows of one airing, all outputs, by output, item and part.
	Rows(ctx context.Context, id playlist.AiringID) ([]asrun.Row, error)

	// Cursor is the place that a playlist has reached; the zero Cursor if it
	// never aired.
	Cursor(ctx context.Context, list string) (playlist.Cursor, error)

	// Clip finds a clip and the path of its file. If another clip should air
	// instead the error is [playlist.ErrNoClip].
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)

	// Watermark is the instant up to which all that fell due is accounted
	// for; zero in a new store. It only ever moves when set.
	Watermark(ctx context.Context) (time.Time, error)
	SetWatermark(ctx context.Context, at time.Time) error
}
