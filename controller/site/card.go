package site

import (
	"context"
	"strings"

	"dalaba/data"
	"dalaba/devices"
	"dalaba/playlist"
)

// AutoDevice is the device of an output that takes any sound card.
const AutoDevice = "auto"

// Card returns an output with the card that the daemon has chosen for "auto", if
// it has.
func Card(ctx context.Context, store *data.Store, o playlist.Output) playlist.Output {
	if o.Device != AutoDevice || store == nil {
		return o
	}
	if card, err := store.AutoCard(ctx); err == nil && card != "" {
		o.Device = card
	}
	return o
}

// OnCard reports whether a device is a sound card, and not a file or nothing.
func OnCard(device string) bool {
	kind, _, _ := strings.Cut(device, ":")
	return kind != "wav" && kind != "null"
}

// HasCard reports whether the machine has a sound card.
func HasCard() bool {
	l, err := devices.List()
	return err == nil && len(l.Cards) > 0
}
