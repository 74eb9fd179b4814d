package player

import (
	"context"

	"dalaba/playlist"
)

// Device is one loudspeaker output as a [Channel] drives it: a card, or
// something paced like one. It takes mono S16 frames at [playlist.Rate].
// Only one goroutine uses it. Any error means the device is lost: close it
// and open another.
type Device interface {
	// Write queues frames behind those already queued, waiting for room as
	// they sound. It waits no longer than the queue takes to sound; it returns
	// an error if the device stalls.
	Write(frames []int16) error

	// Position says how far the sound has come.
	Position() (playlist.Position, error)

	// Flush drops what is queued but not yet sounding. The next frame written
	// is the next one heard, give or take one device period.
	Flush() error

	// Levelled reports whether the output's level_db was set in hardware when
	// the device was opened. If not, the player applies it.
	Levelled() bool

	// Close stops at once.
	Close() error
}

// OpenDevice opens an output's device. It returns at once; a busy or missing
// card is an error, and the caller tries again.
type OpenDevice func(ctx context.Context, out playlist.Output) (Device, error)
