package controller

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// ClockIsRight takes a person's word that the clock is right, in the store that a
// config file names: what was recorded ahead of it, when it was wrong, holds
// nothing up any more. It returns the config, if it is readable.
func ClockIsRight(ctx context.Context, file string, text []byte, now time.Time) (*config.Config, error) {
	dir := config.DataDir(file, text)
	if _, err := os.Stat(dir); dir == "" || err != nil {
		return nil, say.M("cli.no_store", dir)
	}
	store, err := data.Open(ctx, dir, data.Options{Log: slog.New(slog.DiscardHandler), Boot: clock.Boot(), Mono: clock.Uptime})
	if err != nil {
		return nil, err
	}
	cfg, _ := config.Read(file, text, &site.Library{Ctx: ctx, Store: store})
	return cfg, errors.Join(store.SetFloor(ctx, now), store.Close())
}
