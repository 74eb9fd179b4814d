package main

import (
	"context"

	"dalaba/ingest"
	"dalaba/playlist/config"
)

// inbox takes in what is put into the drop folder, beside everything else.
func (d *daemon) inbox(ctx context.Context, cfg *config.Config) error {
	if cfg.Inbox == "" {
		return nil
	}
	maker := newIngester(cfg.Ingest, "")
	box := &ingest.Inbox{
		Dir: cfg.Inbox, Language: d.Language(cfg.Site.Language), Log: d.log, Collect: maker.Collect,
		Take: func(ctx context.Context, item ingest.Item) (ingest.Outcome, error) {
			out, err := maker.Take(ctx, item, d.site.store, nil)
			if err == nil {
				select {
				case d.arrived <- struct{}{}:
				default: // it is known already that something came
				}
			}
			return out, err
		},
	}
	return box.Run(ctx)
}
