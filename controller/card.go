package controller

import (
	"context"
	"log/slog"
	"slices"

	"dalaba/controller/site"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// cardFacts remembers the card chosen for "auto". data.Store implements it.
type cardFacts interface {
	AutoCard(ctx context.Context) (string, error)
	SetAutoCard(ctx context.Context, card string) error
}

// card opens outputs, and stays with the sound card once chosen for "auto": the
// sound must not move to another card that happens to come first after a power
// cut. The choice is forgotten once no output of the config says "auto" any more.
type card struct {
	facts  cardFacts
	log    *slog.Logger
	opener *devices.Opener
	kept   string // the choice as the store has it
}

func newCard(ctx context.Context, facts cardFacts, log *slog.Logger) *card {
	kept, err := facts.AutoCard(ctx)
	if err != nil {
		log.Error("fact not read", "key", "auto_card", "err", err)
	}
	return &card{facts: facts, log: log, opener: devices.NewOpener(devices.Options{Log: log}, kept), kept: kept}
}

func (c *card) open(ctx context.Context, o playlist.Output) (player.Device, error) {
	return c.opener.Open(ctx, o)
}

// available refuses to play into nothing: if an output wants any sound card and
// there is none, the operator must say what else. A card that was chosen before is
// waited for.
func (c *card) available(outputs []playlist.Output) error {
	for _, o := range outputs {
		if o.Device == site.AutoDevice && c.kept == "" && !site.HasCard() {
			return say.M("run.no_card", o.Name)
		}
	}
	return nil
}

// keep notes what the opener has chosen, or forgets it.
func (c *card) keep(ctx context.Context, outputs []playlist.Output) {
	if !slices.ContainsFunc(outputs, func(o playlist.Output) bool { return o.Device == site.AutoDevice }) {
		c.opener.Forget()
	}
	chosen := c.opener.Chosen()
	if chosen == c.kept {
		return
	}
	c.kept = chosen
	if err := c.facts.SetAutoCard(ctx, chosen); err != nil && ctx.Err() == nil {
		c.log.Error("fact not stored", "key", "auto_card", "err", err)
	}
}
