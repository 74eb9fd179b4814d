package main

import (
	"context"
	"time"

	"dalaba/data"
	"dalaba/playlist"
)

// outlook is what the store knows of clips and cursors.
func (s *site) outlook(ctx context.Context) (playlist.Outlook, error) {
	o := playlist.Outlook{
		Clip: func(playlist.ClipID) (c playlist.Clip, ready bool) { return c, false }, Cursors: map[string]playlist.Cursor{},
	}
	if s.store == nil {
		return o, nil
	}
	type known struct {
		clip  playlist.Clip
		ready bool
	}
	clips := map[playlist.ClipID]known{}
	o.Clip = func(id playlist.ClipID) (playlist.Clip, bool) {
		k, ok := clips[id]
		if !ok {
			c, _, err := s.store.Clip(ctx, id)
			k = known{c, err == nil}
			clips[id] = k
		}
		return k.clip, k.ready
	}
	for _, l := range s.Playlists {
		c, err := s.store.Cursor(ctx, l.Name)
		if err != nil {
			return o, err
		}
		o.Cursors[l.Name] = c
	}
	return o, nil
}

// stateTime is an instant kept under a name; zero where there is none.
func stateTime(ctx context.Context, s *data.Store, key string) time.Time {
	v, _, err := s.State(ctx, key)
	if err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}
	}
	return t
}
