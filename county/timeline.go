package county

import (
	"context"
	"errors"
	"slices"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// published is a manifest as the county published it, and from when to when it is in force.
type published struct {
	playlist.Manifest
	by string
	at time.Time

	begins time.Time
	ends   time.Time // zero: no other one is published yet that takes its place
}

// holds reports whether it is in force at an instant.
func (m published) holds(at time.Time) bool {
	return !at.Before(m.begins) && (m.ends.IsZero() || at.Before(m.ends))
}

// timelineStore keeps the manifests.
type timelineStore interface {
	Latest(ctx context.Context, kind link.Kind) ([]store.Envelope, error)
	Envelope(ctx context.Context, kind link.Kind, scope playlist.Scope, version int64) (store.Envelope, error)
}

// timeline lists the manifests that are in force from an instant on, now or later, by scope
// and from the first to the last.
//
// A controller holds one version of a scope beside the one that it airs by. So one that
// waits for its day never comes into force if another one is published by then.
func (b base) timeline(ctx context.Context, st timelineStore, from time.Time) (all []published, err error) {
	latest, err := st.Latest(ctx, link.KindManifest)
	if err != nil {
		return nil, err
	}
	for _, last := range latest {
		var of []published // from the last to the first
		next := time.Time{}
		for version := last.Version; version > 0; version-- {
			e := last
			if version < last.Version {
				e, err = st.Envelope(ctx, link.KindManifest, last.Scope, version)
			}
			if errors.Is(err, store.ErrNotFound) {
				continue // versions may be missing
			}
			if err != nil {
				return nil, err
			}
			m, err := manifestOf(e)
			if err != nil {
				b.log.Warn("manifest cannot be read", "scope", e.Scope, "version", e.Version, "err", err)
				continue
			}
			p := published{Manifest: m, by: e.By, at: e.At, begins: later(e.At, m.NotBefore)}
			never := !next.IsZero() && !p.begins.Before(next)
			if next = e.At; never {
				continue
			}
			if len(of) > 0 {
				p.ends = of[len(of)-1].begins
			}
			of = append(of, p)
			if !p.begins.After(from) {
				break
			}
		}
		slices.Reverse(of)
		all = append(all, of...)
	}
	return all, nil
}

// inForce lists those of a timeline that are in force at an instant.
func inForce(all []published, at time.Time) (some []published) {
	for _, m := range all {
		if m.holds(at) {
			some = append(some, m)
		}
	}
	return some
}

// stretch is a time in which the same manifests are in force.
type stretch struct {
	from, to  time.Time
	manifests []published
}

// over is a timeline as it is once a manifest is published.
func over(all []published, m playlist.Manifest, now time.Time) (after []published, begins time.Time) {
	begins = later(now, m.NotBefore)
	for _, p := range all {
		if p.Scope == m.Scope {
			if p.begins.After(now) {
				continue // it waits, and never comes into force
			}
			if p.ends.IsZero() || p.ends.After(now) {
				p.ends = begins
			}
		}
		after = append(after, p)
	}
	return append(after, published{Manifest: m, at: now, begins: begins}), begins
}

// all lists the manifests of a stretch.
func (s stretch) all() (list []playlist.Manifest) {
	for _, m := range s.manifests {
		list = append(list, m.Manifest)
	}
	return list
}

// stretches cuts a time into those in which the same manifests are in force.
func stretches(all []published, from, to time.Time) (parts []stretch) {
	edges := []time.Time{from, to}
	for _, m := range all {
		for _, at := range []time.Time{m.begins, m.ends} {
			if at.After(from) && at.Before(to) {
				edges = append(edges, at)
			}
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	for i, end := range edges[1:] {
		if end.After(edges[i]) {
			parts = append(parts, stretch{edges[i], end, inForce(all, edges[i])})
		}
	}
	return parts
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
