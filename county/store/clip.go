package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"dalaba/data/clips"
	"dalaba/playlist"
)

// ErrWrongHash says that bytes are not those the clip's ID stands for.
var ErrWrongHash = clips.ErrWrongHash

// ClipPath is the path of the file of a clip, whether or not it exists.
func (s *Store) ClipPath(id playlist.ClipID) string {
	return s.clips.Path(id)
}

// AddClip keeps a clip and its file. Bytes that do not hash to the clip's ID
// are [ErrWrongHash] and nothing is kept. Adding a clip again gives it what
// title, series and so on are given now, and its file back if that is missing or
// has changed.
func (s *Store) AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	size, err := s.clips.Put(c.ID, src)
	if err != nil {
		return err
	}
	tags, err := json.Marshal(append([]string{}, c.Tags...))
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, `INSERT INTO clip (id, title, series, issue, language, text, tags, frames, size, added)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
			ON CONFLICT (id) DO UPDATE SET title = excluded.title, series = excluded.series, issue = excluded.issue,
			language = excluded.language, text = excluded.text, tags = excluded.tags`,
			string(c.ID), clean(c.Title), clean(c.Series), int64(c.Issue), clean(c.Language), clean(c.Text), clean(string(tags)),
			c.Frames, size, s.now().UnixMicro())
	})
}

// OpenClip opens a clip's file to send it.
func (s *Store) OpenClip(id playlist.ClipID) (*os.File, error) {
	f, err := s.clips.Open(id)
	return f, lost(err)
}

// lost is the error of a clip's file that is not there as the store's own.
func lost(err error) error {
	if errors.Is(err, clips.ErrNoFile) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

const clipColumns = "SELECT id, title, series, issue, language, text, tags, frames, size, added FROM clip "

func scanClip(scan func(...any) error) (c playlist.Shelved, err error) {
	var tags []byte
	var added int64
	if err = scan(&c.ID, &c.Title, &c.Series, &c.Issue, &c.Language, &c.Text, &tags, &c.Frames, &c.Size, &added); err != nil {
		return c, err
	}
	c.Added = time.UnixMicro(added).UTC()
	err = json.Unmarshal(tags, &c.Tags)
	if len(c.Tags) == 0 {
		c.Tags = nil
	}
	return c, err
}

// Clip finds a clip and the path of its file. If only the file is missing, the
// clip comes with [ErrNotFound].
func (s *Store) Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	c, err := scanClip(s.read().row(ctx, clipColumns+"WHERE id = ?1", string(id)).Scan)
	if err != nil {
		return c.Clip, "", found(err, "clip", id.Short())
	}
	if !s.clips.Has(id) {
		return c.Clip, "", fmt.Errorf("%w: the file of clip %s", ErrNotFound, id.Short())
	}
	return c.Clip, s.ClipPath(id), nil
}

// VerifyClip reads a clip's file and returns [ErrNotFound] or [ErrWrongHash]
// if it may not air.
func (s *Store) VerifyClip(_ context.Context, id playlist.ClipID) error {
	return lost(s.clips.Verify(id))
}

// Clips are the clips of one series, without those that others replace, or, if series
// is empty, all clips; in the order of [playlist.CompareClips].
func (s *Store) Clips(ctx context.Context, series string) (all []playlist.Clip, err error) {
	shelf, err := s.Shelf(ctx, series)
	if err != nil {
		return nil, err
	}
	for _, c := range shelf {
		all = append(all, c.Clip)
	}
	if series == "" {
		return all, nil
	}
	lineage, err := s.Lineage(ctx)
	return lineage.Current(all), err
}

// Shelf returns the clips of a series with when each came into the library; all clips
// if series is empty.
func (s *Store) Shelf(ctx context.Context, series string) (all []playlist.Shelved, err error) {
	err = s.read().each(ctx, clipColumns+"WHERE (?1 = '' OR series = ?1)",
		[]any{series}, func(scan func(...any) error) error {
			c, err := scanClip(scan)
			all = append(all, c)
			return err
		})
	slices.SortFunc(all, func(a, b playlist.Shelved) int { return playlist.CompareClips(a.Clip, b.Clip) })
	return all, err
}

// replacedBy is before a clip's ID in the key of the setting that names the clip which
// replaced it.
const replacedBy = "replaced/"

// Lineage returns which clips were replaced by which.
func (s *Store) Lineage(ctx context.Context) (playlist.Lineage, error) {
	l := playlist.Lineage{}
	err := s.read().each(ctx, "SELECT key, value FROM setting WHERE value != '' AND key LIKE '"+replacedBy+"%'", nil, func(scan func(...any) error) error {
		var key, by string
		err := scan(&key, &by)
		l[playlist.ClipID(strings.TrimPrefix(key, replacedBy))] = playlist.ClipID(by)
		return err
	})
	return l, err
}

// ReplaceClip notes that a clip was replaced by another, which itself is replaced by
// none.
func (s *Store) ReplaceClip(ctx context.Context, old, by playlist.ClipID) error {
	return s.write(ctx, func(ctx context.Context, c conn) error {
		if err := setSetting(ctx, c, replacedBy+string(by), ""); err != nil {
			return err
		}
		return setSetting(ctx, c, replacedBy+string(old), string(by))
	})
}

// SetFigures keeps, as JSON, what ingest measured and changed.
func (s *Store) SetFigures(ctx context.Context, id playlist.ClipID, figures json.RawMessage) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		n, err := tx.change(ctx, "UPDATE clip SET figures = ?2 WHERE id = ?1", string(id), clean(string(figures)))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: clip %s", ErrNotFound, id.Short())
		}
		return err
	})
}

// SourceKnown finds the clip that a source became, by path, size and time of
// change, or by its hash if that is given.
func (s *Store) SourceKnown(ctx context.Context, src playlist.ClipSource) (id playlist.ClipID, ok bool, err error) {
	err = s.read().row(ctx, `SELECT clip FROM source
		WHERE recipe = ?1 AND (path = ?2 AND size = ?3 AND mtime = ?4 OR ?5 != '' AND sha256 = ?5)
		ORDER BY CASE WHEN path = ?2 THEN 0 ELSE 1 END LIMIT 1`,
		clean(src.Recipe), clean(src.Path), src.Size, src.MTime.UnixNano(), src.SHA256).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return id, s.clips.Has(id), nil
}

// NoteSource keeps which clip a source became.
func (s *Store) NoteSource(ctx context.Context, src playlist.ClipSource, id playlist.ClipID) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, `INSERT INTO source (path, size, mtime, sha256, recipe, clip)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
			sha256 = excluded.sha256, recipe = excluded.recipe, clip = excluded.clip`,
			clean(src.Path), src.Size, src.MTime.UnixNano(), src.SHA256, clean(src.Recipe), string(id))
	})
}
