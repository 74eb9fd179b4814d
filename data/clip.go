package data

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/clips"
	"dalaba/data/sqlite"
	"dalaba/playlist"
)

// Errors of [clips.Folder] about a clip's file.
var (
	ErrNoFile    = clips.ErrNoFile
	ErrWrongHash = clips.ErrWrongHash
)

// ClipPath returns the path of a clip's file, whether or not the file exists.
func (s *Store) ClipPath(id playlist.ClipID) string {
	return s.clips.Path(id)
}

// AddClip stores a clip and its file. If the bytes do not hash to the clip's ID
// it returns [ErrWrongHash] and stores nothing. Adding a clip again replaces
// its title, series and so on, and restores its file if that is missing or has
// changed.
func (s *Store) AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	size, err := s.clips.Put(c.ID, src)
	if err != nil {
		return err
	}
	tags, err := tagList(c.Tags)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO clip
			(id, title, series, issue, language, text, tags, frames, size, present, added)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
			ON CONFLICT DO UPDATE SET title = excluded.title, series = excluded.series, issue = excluded.issue,
			language = excluded.language, text = excluded.text, tags = excluded.tags, frames = excluded.frames,
			size = excluded.size, present = 1`,
			c.ID, c.Title, c.Series, c.Issue, c.Language, c.Text, tags, c.Frames, size, micros(s.now()))
		return err
	})
}

// DescribeClip gives a clip another title, series, issue, language and tags. It
// returns [ErrNotFound] if the clip was never added.
func (s *Store) DescribeClip(ctx context.Context, c playlist.Clip) error {
	tags, err := tagList(c.Tags)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE clip SET title = ?, series = ?, issue = ?, language = ?, tags = ? WHERE id = ?",
			c.Title, c.Series, c.Issue, c.Language, tags, c.ID)
		return oneClip(res, err, c.ID)
	})
}

func tagList(tags []string) (string, error) {
	if len(tags) == 0 {
		return "[]", nil
	}
	list, err := json.Marshal(tags)
	return string(list), err
}

const clipColumns = "SELECT id, title, series, issue, language, text, tags, frames, size, added FROM clip "

// Clip returns a clip and the path of its file. It returns [ErrNotFound] if the
// clip was never added; if only the file is missing, it returns the clip with
// [ErrNoFile]. Both errors are [playlist.ErrNoClip].
func (s *Store) Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	c, err := scanClip(s.db().Reader().QueryRowContext(ctx, clipColumns+"WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return playlist.Clip{}, "", fmt.Errorf("%w: %w: %s", ErrNotFound, playlist.ErrNoClip, id.Short())
	}
	if err != nil {
		return playlist.Clip{}, "", err
	}
	if !s.clips.Has(id) {
		return c.Clip, "", fmt.Errorf("%w: %w: %s", ErrNoFile, playlist.ErrNoClip, id.Short())
	}
	return c.Clip, s.ClipPath(id), nil
}

// Clips returns the clips of a series whose files exist, or those of all series
// if series is empty; in the order of [playlist.CompareClips].
func (s *Store) Clips(ctx context.Context, series string) ([]playlist.Clip, error) {
	shelf, err := s.Shelf(ctx, series)
	var all []playlist.Clip
	for _, c := range shelf {
		all = append(all, c.Clip)
	}
	return all, err
}

// Shelf is [Store.Clips] with when each clip came into the library.
func (s *Store) Shelf(ctx context.Context, series string) ([]playlist.Shelved, error) {
	rows, err := s.db().Reader().QueryContext(ctx, clipColumns+`WHERE present AND (?1 = '' OR series = ?1)`, series)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []playlist.Shelved
	for rows.Next() {
		c, err := scanClip(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b playlist.Shelved) int { return playlist.CompareClips(a.Clip, b.Clip) })
	return all, rows.Err()
}

func scanClip(row interface{ Scan(...any) error }) (c playlist.Shelved, err error) {
	var tags []byte
	var added sql.NullInt64
	err = row.Scan(&c.ID, &c.Title, &c.Series, &c.Issue, &c.Language, &c.Text, &tags, &c.Frames, &c.Size, &added)
	if err != nil {
		return c, err
	}
	c.Added = instant(added)
	err = json.Unmarshal(tags, &c.Tags)
	if len(c.Tags) == 0 {
		c.Tags = nil
	}
	return c, err
}

// Lineage returns which clips were replaced by which.
func (s *Store) Lineage(ctx context.Context) (playlist.Lineage, error) {
	facts, err := s.factsNamed(ctx, factReplaced)
	l := playlist.Lineage{}
	for key, by := range facts {
		if by != "" {
			l[playlist.ClipID(strings.TrimPrefix(key, factReplaced))] = playlist.ClipID(by)
		}
	}
	return l, err
}

// ReplaceClip notes that a clip was replaced by another, which itself is replaced by
// none. If by is empty, the clip was replaced by none.
func (s *Store) ReplaceClip(ctx context.Context, old, by playlist.ClipID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if by != "" {
			if err := setFact(ctx, tx, factReplaced+string(by), ""); err != nil {
				return err
			}
		}
		return setFact(ctx, tx, factReplaced+string(old), string(by))
	})
}

// SourceClip returns the clip that was last made from the file at a path; empty if
// none was.
func (s *Store) SourceClip(ctx context.Context, path string) (id playlist.ClipID, err error) {
	err = s.db().Reader().QueryRowContext(ctx, "SELECT clip FROM source WHERE path = ?", path).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// SetFigures stores, as JSON, what ingest measured and changed.
func (s *Store) SetFigures(ctx context.Context, id playlist.ClipID, figures json.RawMessage) error {
	if !json.Valid(figures) {
		return fmt.Errorf("figures of clip %s: not JSON", id.Short())
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE clip SET figures = ? WHERE id = ?", string(figures), id)
		return oneClip(res, err, id)
	})
}

// Figures returns what [Store.SetFigures] stored; nil if nothing was.
func (s *Store) Figures(ctx context.Context, id playlist.ClipID) (json.RawMessage, error) {
	var text sql.NullString
	err := s.db().Reader().QueryRowContext(ctx, "SELECT figures FROM clip WHERE id = ?", id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: clip %s", ErrNotFound, id.Short())
	}
	if err != nil || !text.Valid {
		return nil, err
	}
	return json.RawMessage(text.String), nil
}

func oneClip(res sql.Result, err error, id playlist.ClipID) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return fmt.Errorf("%w: clip %s", ErrNotFound, id.Short())
}

// SourceKnown finds the clip that was made from a source, by path, size and
// modification time, or by hash if one is given; by whatever recipe if none is
// given. ok is false if there is none or the clip's file no longer exists.
func (s *Store) SourceKnown(ctx context.Context, src playlist.ClipSource) (id playlist.ClipID, ok bool, err error) {
	err = s.db().Reader().QueryRowContext(ctx, `SELECT clip FROM source JOIN clip ON clip.id = source.clip
		WHERE (recipe = ?1 OR ?1 = '') AND present AND (path = ?2 AND source.size = ?3 AND mtime = ?4 OR ?5 != '' AND sha256 = ?5)
		ORDER BY path = ?2 DESC LIMIT 1`,
		src.Recipe, src.Path, src.Size, src.MTime.UnixNano(), src.SHA256).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return id, s.clips.Has(id), nil
}

// NoteSource records which clip was made from a source.
func (s *Store) NoteSource(ctx context.Context, src playlist.ClipSource, id playlist.ClipID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO source (path, size, mtime, sha256, recipe, clip)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
			sha256 = excluded.sha256, recipe = excluded.recipe, clip = excluded.clip`,
			src.Path, src.Size, src.MTime.UnixNano(), src.SHA256, src.Recipe, id)
		return err
	})
}

// VerifyClip reads a clip's file and returns [ErrNoFile] or [ErrWrongHash] if
// it may not air.
func (s *Store) VerifyClip(_ context.Context, id playlist.ClipID) error { return s.clips.Verify(id) }

// RemoveClipFile deletes a clip's file and keeps what is known about the clip.
// If the file cannot be deleted, the clip still counts as present.
func (s *Store) RemoveClipFile(ctx context.Context, id playlist.ClipID) error {
	if err := s.setPresent(ctx, id, false); err != nil {
		return err
	}
	if err := os.Remove(s.ClipPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(sqlite.Classify(err), s.setPresent(context.WithoutCancel(ctx), id, true))
	}
	return sqlite.SyncDir(string(s.clips))
}

// ForgetClip deletes a clip's file and all that the library knows of the clip: handed in
// again, it is a new one. The as-run log keeps it as it was called.
func (s *Store) ForgetClip(ctx context.Context, id playlist.ClipID) error {
	lineage, err := s.Lineage(ctx)
	if err != nil {
		return err
	}
	if err := s.RemoveClipFile(ctx, id); err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		for old, by := range lineage {
			if by == id { // what it replaced is replaced by what replaced it, if anything did
				if err := setFact(ctx, tx, factReplaced+string(old), string(lineage[id])); err != nil {
					return err
				}
			}
		}
		if err := setFact(ctx, tx, factReplaced+string(id), ""); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM source WHERE clip = ?", id); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM clip WHERE id = ?", id)
		return oneClip(res, err, id)
	})
}

func (s *Store) setPresent(ctx context.Context, id playlist.ClipID, present bool) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE clip SET present = ? WHERE id = ?", present, id)
		return oneClip(res, err, id)
	})
}

// restoreClip marks a removed clip as present again if its file still exists:
// power failed before the file was deleted, or the clip was added again after
// the backup that was later restored. A file with the wrong bytes is deleted. A
// clip never added is left alone.
func (s *Store) restoreClip(ctx context.Context, id playlist.ClipID) error {
	var known bool
	err := s.db().Reader().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM clip WHERE id = ?)", id).Scan(&known)
	if err != nil || !known {
		return err
	}
	err = s.clips.Verify(id)
	switch {
	case err == nil:
		return s.setPresent(ctx, id, true)
	case errors.Is(err, ErrWrongHash):
		err = os.Remove(s.ClipPath(id))
	}
	if errors.Is(err, ErrNoFile) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Orphans returns the files in the clip folder that belong to no clip: left
// behind by a power cut, or put there by hand. Files younger than an hour are
// left out, because their clip may still be being added.
func (s *Store) Orphans(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(string(s.clips))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if age := s.now().Sub(fi.ModTime()); age >= 0 && age < time.Hour {
			continue
		}
		id, isClip := strings.CutSuffix(e.Name(), ".mp3")
		var known bool
		if isClip {
			err := s.db().Reader().QueryRowContext(ctx,
				"SELECT EXISTS (SELECT 1 FROM clip WHERE id = ? AND present)", id).Scan(&known)
			if err != nil {
				return nil, err
			}
		}
		if !known {
			all = append(all, filepath.Join(string(s.clips), e.Name()))
		}
	}
	return all, nil
}

// Shed deletes clip files until at least need bytes are freed: those not aired
// for longest first, never one that keep reports true for. It returns how many
// bytes it freed, which may be fewer. If the disk is read-only it deletes none
// and returns [ErrReadOnly].
func (s *Store) Shed(ctx context.Context, need int64, keep func(playlist.ClipID) bool) (freed int64, err error) {
	type clip struct {
		id   playlist.ClipID
		size int64
	}
	if err := unix.Access(string(s.clips), unix.W_OK); err != nil {
		return 0, sqlite.Classify(err)
	}
	var all []clip
	rows, err := s.db().Reader().QueryContext(ctx, `SELECT c.id, c.size FROM clip c WHERE c.present
		ORDER BY max(c.added, coalesce((SELECT max(b.last) FROM billing b WHERE b.clip = c.id), 0)), c.id`)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c clip
		if err := rows.Scan(&c.id, &c.size); err != nil {
			return 0, err
		}
		all = append(all, c)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	var stuck error
	for _, c := range all {
		if freed >= need {
			break
		}
		if keep(c.id) {
			continue
		}
		if err := s.RemoveClipFile(ctx, c.id); err != nil {
			if errors.Is(err, ErrReadOnly) || errors.Is(err, ErrFull) || ctx.Err() != nil {
				return freed, err
			}
			stuck = cmp.Or(stuck, err) // one file that cannot be deleted must not keep the others
			continue
		}
		s.log.Warn("clip deleted to make room", "clip", c.id, "bytes", c.size)
		freed += c.size
	}
	return freed, stuck
}
