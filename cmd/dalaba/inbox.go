package main

import (
	"context"

	"dalaba/data"
	"dalaba/ingest"
	"dalaba/playlist"
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
			out, err := maker.Take(ctx, item, shelf{d.site.store}, nil)
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

// shelf is the store as ingest sees it.
type shelf struct{ *data.Store }

// Clip takes a damaged file for a missing one, so that who imports the clip
// again gets it back.
func (s shelf) Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	c, path, err := s.Store.Clip(ctx, id)
	if err == nil {
		err = s.VerifyClip(ctx, id)
	}
	return c, path, err
}

func (s shelf) SourceKnown(ctx context.Context, src ingest.Source) (playlist.ClipID, bool, error) {
	return s.Store.SourceKnown(ctx, data.Source(src))
}

func (s shelf) NoteSource(ctx context.Context, src ingest.Source, id playlist.ClipID) error {
	return s.Store.NoteSource(ctx, data.Source(src), id)
}
