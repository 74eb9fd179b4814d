package player

import (
	"context"
	"time"

	"dalaba/playlist"
)

// Ledger is the as-run log as the player writes it. Each call is one
// transaction, durable when it returns. An error that the calls do not name
// means that the disk does not answer: the player tries again. data.Store is
// one.
type Ledger interface {
	// Claim opens a row before its first sample, and moves the playlist's
	// cursor from Before to After where they are given. Where another output
	// has claimed the same item with another clip, or the cursor no longer
	// stands at Before, it answers [playlist.ErrStale]; where the row exists,
	// [playlist.ErrClaimed].
	Claim(ctx context.Context, c playlist.Claim) error

	// Checkpoint notes how far an open row has come.
	Checkpoint(ctx context.Context, k playlist.RowKey, started time.Time, atFrame, frames int64) error

	// End closes an open row and makes its receipt. Where nothing of the item
	// sounded on any output and the cursor has not moved since, the clip is
	// given back to the playlist. Ending a closed row changes nothing.
	End(ctx context.Context, k playlist.RowKey, e playlist.End) error

	// Record writes rows that never sounded, and their receipts. Where a row
	// exists nothing changes.
	Record(ctx context.Context, rows ...playlist.Row) error

	// Rows of one airing, all outputs, by output, item and part.
	Rows(ctx context.Context, id playlist.AiringID) ([]playlist.Row, error)

	// Cursor is where a playlist stands; the zero Cursor where it never aired.
	Cursor(ctx context.Context, list string) (playlist.Cursor, error)

	// Clip finds a clip and the path of its file. Where another clip should air
	// instead it answers [playlist.ErrNoClip].
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)

	// Watermark is the instant up to which all that fell due is accounted
	// for; zero in a new store. It only ever moves when set.
	Watermark(ctx context.Context) (time.Time, error)
	SetWatermark(ctx context.Context, at time.Time) error
}
