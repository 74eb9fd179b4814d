package main

import (
	"context"
	"slices"

	"dalaba/data"
	"dalaba/devices"
	"dalaba/playlist"
)

// stateAutoCard is the store's fact of the card that "auto" chose: the sound
// does not move to another that happens to come first after a power cut. It is
// forgotten once no output of the config in force says "auto" any more.
const stateAutoCard = "auto_card"

const autoDevice = "auto"

// autoCard is an output with the card that the daemon stays with in the place
// of "auto", where it has chosen one.
func autoCard(ctx context.Context, store *data.Store, o playlist.Output) playlist.Output {
	if o.Device != autoDevice || store == nil {
		return o
	}
	if card, _, err := store.State(ctx, stateAutoCard); err == nil && card != "" {
		o.Device = card
	}
	return o
}

// recallCard makes the opener, which stays with the card chosen in an earlier
// life.
func (d *daemon) recallCard(ctx context.Context) {
	card, _, err := d.site.store.State(ctx, stateAutoCard)
	if err != nil {
		d.log.Error("state not read", "key", stateAutoCard, "err", err)
	}
	d.card, d.opener = card, devices.NewOpener(devices.Options{Log: d.log}, card)
}

// keepCard keeps what the opener has chosen, or forgets it.
func (d *daemon) keepCard(ctx context.Context) {
	if !slices.ContainsFunc(d.live.Load().Outputs, func(o playlist.Output) bool { return o.Device == autoDevice }) {
		d.opener.Forget()
	}
	if card := d.opener.Chosen(); card != d.card {
		d.card = card
		d.keep(ctx, stateAutoCard, card)
	}
}
