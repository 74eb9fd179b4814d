package site

import (
	"context"
	"errors"
	"os"
	"slices"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// Uses are what still needs a clip.
type Uses struct {
	Playlists []playlist.Playlist // that it is in
	Slots     []string            // that air those
	Alerts    []string            // titles of alerts in force that it belongs to
	County    bool                // the county's programme needs it

	// Faults are what the config would be refused for without the clip.
	Faults []config.Problem
}

// Kept reports whether the clip must not be removed.
func (u Uses) Kept() bool { return len(u.Faults) > 0 || len(u.Alerts) > 0 || u.County }

// Uses returns what still needs a clip of the store.
func (s *Site) Uses(ctx context.Context, file string, text []byte, id playlist.ClipID) (u Uses, err error) {
	u.Playlists = s.Programme.Uses(id)
	for _, l := range u.Playlists {
		for _, slot := range s.Slots {
			if slot.Playlist == l.Name {
				u.Slots = append(u.Slots, slot.Name)
			}
		}
	}
	book, err := s.AlertBook(ctx)
	if err != nil {
		return u, err
	}
	for _, r := range book.InForce() {
		if r.Clip != nil && r.Clip.ID == id {
			u.Alerts = append(u.Alerts, r.Headline())
		}
	}
	manifests, err := s.Store.Manifests(ctx)
	if err != nil {
		return u, err
	}
	for _, m := range manifests {
		u.County = u.County || slices.ContainsFunc(m.Clips, func(c playlist.Clip) bool { return c.ID == id })
	}
	u.Faults = s.faultsWithout(ctx, file, text, id)
	return u, nil
}

// faultsWithout returns what the config in force would be refused for without a clip: the
// text or, if that is refused anyway, the last good config.
func (s *Site) faultsWithout(ctx context.Context, file string, text []byte, id playlist.ClipID) (faults []config.Problem) {
	from := file
	if _, problems := config.Read(file, text, &Library{Ctx: ctx, Store: s.Store}); config.Refused(problems) {
		var err error
		from = LastGood(s.Site.DataDir)
		if text, err = os.ReadFile(from); err != nil {
			return nil
		}
	}
	_, problems := config.Read(file, text, &Library{Ctx: ctx, Store: s.Store, Without: id})
	for _, p := range problems {
		if p.Severity == config.Fault {
			p.File = from
			faults = append(faults, p)
		}
	}
	return faults
}

// Shelf is the library as it stands.
type Shelf struct {
	Store     *data.Store
	Programme *playlist.Programme // nil: the config is refused
	Clips     []playlist.Shelved  // those whose files exist
	Lineage   playlist.Lineage
}

// OpenShelf reads the library of the store that a config names, to look only; nil if
// there is no store.
func OpenShelf(ctx context.Context, file string, text []byte) (*Shelf, error) {
	s, _, _, err := Look(ctx, file, text)
	if err != nil {
		return nil, err
	}
	l := &Shelf{}
	if s != nil {
		l.Store, l.Programme = s.Store, &s.Programme
	} else if l.Store, err = OpenToLook(ctx, config.DataDir(file, text)); err != nil {
		return nil, err
	}
	if l.Store == nil {
		return nil, nil
	}
	if l.Clips, err = l.Store.Shelf(ctx, ""); err == nil {
		l.Lineage, err = l.Store.Lineage(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Store.Close())
	}
	return l, nil
}
