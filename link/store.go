package link

import (
	"context"
	"io"
	"time"

	"dalaba/playlist"
)

// ControllerStore is what a controller remembers for the link. All of it must
// outlive a power cut: a method that returned nil has put it on the disk.
type ControllerStore interface {
	// Documents are the envelopes kept, one a kind and scope.
	Documents(ctx context.Context) ([]Stored, error)

	// Keep puts a verified document in the place of the one of its kind and
	// scope, and forgets d.Voids, in one transaction. What it means for what
	// airs is the caller's: after a [KindMember], only documents whose scope
	// its follower follows are in force, and none once it is retired. The
	// bytes of inline clips follow in [ClipStore.PutClip].
	Keep(ctx context.Context, d Document) error

	// Outbox is the next batch after a receipt (zero: from the start): the
	// oldest unacknowledged receipts of the oldest epoch that has any, at most
	// limit of them, their numbers following one another. Where the store no
	// longer has the one before them, gone is its number; else it is the number
	// before the first of that epoch that it still has, acknowledged or not. No
	// receipts: there is nothing to send.
	Outbox(ctx context.Context, after Mark, limit int) (epoch string, gone int64, batch []Receipt, err error)

	// Marks are, for each epoch of which receipts are still there, the highest
	// number up to which all are acknowledged; the newest epochs, 16 at most.
	Marks(ctx context.Context) ([]Mark, error)

	// SetMark notes that the county has the receipts of the epoch up to m.Seq
	// and, as far as they are still here, lacks those after it. A mark may go
	// back: the county was restored from a backup.
	SetMark(ctx context.Context, m Mark) error

	// SetAside notes that the county cannot keep a receipt, before the mark
	// passes it. A mark that goes back below it takes that back: it is to be
	// tried again.
	SetAside(ctx context.Context, r Refused) error

	// Events are the oldest events that were not acknowledged, at most limit.
	Events(ctx context.Context, limit int) ([]Event, error)

	// EventsSent notes that the county has the events up to an ID.
	EventsSent(ctx context.Context, id int64) error

	ClipStore
}

// ClipStore is where clips end up.
type ClipStore interface {
	// HasClip reports whether the clip's file is there, with the right bytes.
	HasClip(ctx context.Context, id playlist.ClipID) (bool, error)

	// PutClip keeps a clip. Its bytes have been checked against its ID.
	PutClip(ctx context.Context, c playlist.Clip, src io.Reader) error
}

// Stored is a document's envelope as a store keeps it.
type Stored struct {
	Have
	Raw []byte
}

// EdgeStore is what the county remembers for its edge. Several edges may use
// one at once.
type EdgeStore interface {
	// Registered is a controller as the county knows it, else [ErrUnknown].
	Registered(ctx context.Context, id playlist.ControllerID) (Registered, error)

	// Trust is the trust document in force.
	Trust(ctx context.Context) (Trust, error)

	// Versions are the documents in force for a follower, trust and its own
	// member document among them. It is asked at every sync.
	Versions(ctx context.Context, who playlist.Follower) ([]Have, error)

	// Envelope is one of those.
	Envelope(ctx context.Context, h Have) ([]byte, error)

	// Seen notes what a controller told: its health, its events, what it has
	// and that it was there. Events may come twice.
	Seen(ctx context.Context, s Seen) error

	// Marks are how far the county has the receipts of these epochs; 0 where
	// it has none.
	Marks(ctx context.Context, id playlist.ControllerID, epochs []string) ([]Mark, error)

	// Commit stores what of a batch is not stored yet and answers the mark
	// once that is on the disk; [Batch.After] says which that is. Where
	// receipts are missing before it, it stores nothing and answers the mark
	// with [ErrGap]. A receipt that is [Receipt.Wrong] counts as stored and is
	// not kept.
	Commit(ctx context.Context, b Batch) (Mark, error)

	// Recover is told of a document that a controller holds and the county
	// does not, its signatures verified: the county has lost it, having been
	// restored from a backup. The next version issued for its kind and scope
	// must stand above it. It may come more than once.
	Recover(ctx context.Context, d Document) error
}

// Registered is a controller as the county knows it.
type Registered struct {
	Key      PublicKey
	Follower playlist.Follower
	Disabled bool // or retired, or revoked
}

// Seen is what an edge saw of a controller.
type Seen struct {
	At      time.Time // by the edge's clock
	Request SyncRequest
}
