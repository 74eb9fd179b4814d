package ingest

import (
	"context"
	"errors"
)

// BeingWritten and OpenToWrite are tested alone: a test cannot be another user.
var (
	BeingWritten = beingWritten
	OpenToWrite  = openToWrite
)

// Tags returns what the tags of a file say.
func (g *Ingester) Tags(ctx context.Context, ffprobe, path string) (Meta, error) {
	src, err := g.openSource(path)
	if err != nil {
		return Meta{}, err
	}
	s, err := g.probe(ctx, ffprobe, src)
	if err := errors.Join(err, src.Close()); err != nil {
		return Meta{}, err
	}
	return s.tags, nil
}
