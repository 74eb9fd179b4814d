package link

import (
	"context"
	"io"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// ControllerStore keeps a controller's state of the link. The state must survive
// a power cut: a method that returned nil has written it to the disk.
type ControllerStore interface {
	// Documents returns the envelopes kept, one for each kind and scope.
	Documents(ctx context.Context) ([]Stored, error)

	// Keep replaces the document of the same kind and scope by this verified one
	// and deletes d.Voids, in one transaction. The caller decides what airs then:
	// after a [KindMember], only documents whose scope the follower follows are in
	// force, and none if the member is retired. The caller passes the bytes of
	// inline clips to [ClipStore.PutClip] afterwards.
	Keep(ctx context.Context, d Document) error

	// Adopt keeps the documents of an enrolment and deletes all others, in one
	// transaction: those belong to an earlier enrolment, and so do their versions.
	Adopt(ctx context.Context, e Enrolled) error

	// Batch returns the next batch after a receipt (zero: from the start): the
	// oldest unacknowledged receipts of the oldest epoch that has any, at most
	// limit of them.
	Batch(ctx context.Context, after Mark, limit int) (asrun.Batch, error)

	// Marks returns, for each epoch that still has receipts in the store, the
	// number up to which all of them are acknowledged. It returns at most the 16
	// newest epochs.
	Marks(ctx context.Context) ([]Mark, error)

	// SetMark records that the county has the receipts of the epoch up to m.Seq
	// and lacks those after it that the store still has. A mark may go back, if
	// the county was restored from a backup.
	SetMark(ctx context.Context, m Mark) error

	// Renumber gives the receipts of an epoch that are not acknowledged the numbers of
	// a new epoch, in the same order.
	Renumber(ctx context.Context, epoch string) error

	// SetAside records that the county cannot keep a receipt. The caller does so
	// before it moves the mark past the receipt. If the mark later goes back below
	// the receipt, the store deletes the record and the receipt is sent again.
	SetAside(ctx context.Context, r Refused) error

	// Events returns the oldest events that were not acknowledged, at most limit.
	Events(ctx context.Context, limit int) ([]Event, error)

	// EventsSent records that the county has the events up to an ID.
	EventsSent(ctx context.Context, id int64) error

	ClipStore
}

// ClipStore keeps the clips of a controller.
type ClipStore interface {
	// HasClip reports whether the store has the clip's file, with the right bytes.
	HasClip(ctx context.Context, id playlist.ClipID) (bool, error)

	// PutClip stores a clip. The caller has checked its bytes against its ID.
	PutClip(ctx context.Context, c playlist.Clip, src io.Reader) error
}

// Stored is a document's envelope as a store keeps it.
type Stored struct {
	Have
	Raw []byte
}

// EdgeStore keeps the county's state of the link. Several edges may use it at
// once.
type EdgeStore interface {
	// Registered returns a controller as the county knows it, or [ErrUnknown].
	Registered(ctx context.Context, id playlist.ControllerID) (Registered, error)

	// Trust returns the trust document in force.
	Trust(ctx context.Context) (Trust, error)

	// Versions returns the documents in force for the scopes that a follower follows, if
	// only for their alerts, including its own member document, and all trust documents that there ever were: the highest
	// version is the one in force. The edge calls it at every sync.
	Versions(ctx context.Context, who playlist.Follower) ([]Have, error)

	// Envelope returns the envelope of one of these documents.
	Envelope(ctx context.Context, h Have) ([]byte, error)

	// Seen records what a controller reported in a sync: its health, its events,
	// what it has, and that it was connected. An event may come twice.
	Seen(ctx context.Context, s Seen) error

	// Marks returns up to which number the county has the receipts of these
	// epochs; 0 if it has none. It leaves out epochs that belong to another key.
	Marks(ctx context.Context, id playlist.ControllerID, epochs []string) ([]Mark, error)

	// Commit stores the receipts of a batch that are not stored yet, as
	// [Batch.After] selects them, and returns the mark once they are on the disk.
	// If receipts before the batch are missing, it stores nothing and returns the
	// mark with [ErrGap]. If the epoch belongs to another key, or other receipts are
	// stored under the numbers of the batch, it stores nothing and returns [ErrTaken]:
	// then a copy of the controller's store has sent those. A receipt with
	// [Receipt.Wrong] set counts as stored but is not kept.
	Commit(ctx context.Context, b Batch) (Mark, error)

	// Recover takes back a document that a controller holds and the county lost
	// because it was restored from a backup. Its signatures are verified. The next
	// version that the county issues for its kind and scope must be higher. The
	// same document may come more than once.
	Recover(ctx context.Context, d Document) error
}

// Registered is a controller as the county knows it.
type Registered struct {
	Key      PublicKey
	Follower playlist.Follower
	Disabled bool // or retired, or revoked
}

// Seen is a sync request and when the edge received it.
type Seen struct {
	At      time.Time // by the edge's clock
	Request SyncRequest
}
