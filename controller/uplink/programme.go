package uplink

import (
	"context"
	"slices"
	"strings"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// WithCounty returns the config with what the store adds to its programme: the
// area that the county gave, the county's manifests in force, and which clips of its playlists replaced others. It
// does not change cfg, and returns cfg itself if there is nothing to add or, with the
// error, if that cannot be read.
func WithCounty(ctx context.Context, store *data.Store, cfg *config.Config) (*config.Config, error) {
	if store == nil {
		return cfg, nil
	}
	inForce, err := store.Manifests(ctx)
	if err != nil {
		return cfg, err
	}
	lineage, err := store.Lineage(ctx)
	if err != nil {
		return cfg, err
	}
	docs, err := Wire{Store: store}.Documents(ctx)
	if err != nil {
		return cfg, err
	}
	member := link.MemberOf(docs)
	if member.Controller == "" && len(inForce) == 0 && len(lineage) == 0 {
		return cfg, nil
	}
	var manifests []playlist.Manifest
	for _, m := range inForce {
		manifests = append(manifests, m)
	}
	slices.SortFunc(manifests, func(a, b playlist.Manifest) int { return strings.Compare(string(a.Scope), string(b.Scope)) })
	merged := *cfg
	if !member.Retired {
		merged.Programme = *cfg.With(member.Follower(), manifests)
	}
	merged.Lessons = lineage.First()
	merged.Playlists = slices.Clone(merged.Playlists)
	for i, list := range merged.Playlists {
		merged.Playlists[i] = list.WithLessons(merged.Lessons)
	}
	return &merged, nil
}

// Coming lists the county's manifests that wait for their day: from then on another
// programme airs.
func Coming(ctx context.Context, store *data.Store) (all []playlist.Manifest, err error) {
	if store == nil {
		return nil, nil
	}
	inForce, err := store.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := Wire{Store: store}.Documents(ctx)
	trust := trustOf(docs)
	for _, s := range docs {
		if s.Kind != link.KindManifest || s.Version <= inForce[s.Scope].Version {
			continue
		}
		if d, oerr := link.Open(s.Raw, trust); oerr == nil && !d.Manifest.NotBefore.IsZero() {
			all = append(all, *d.Manifest)
		}
	}
	return all, err
}

func isMember(s link.Stored) bool { return s.Kind == link.KindMember }

// trustOf returns the trust document kept, which was verified when it came.
func trustOf(docs []link.Stored) link.Trust {
	for _, s := range docs {
		if s.Kind == link.KindTrust {
			if t, err := link.AcceptTrust(s.Raw, nil); err == nil {
				return t
			}
		}
	}
	return link.Trust{}
}
