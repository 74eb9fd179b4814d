package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalaba/data/sqlite"
	"dalaba/playlist"
)

// ErrWrongHash says that bytes are not those the clip's ID stands for.
var ErrWrongHash = errors.New("the bytes are not those of the clip")

// ClipPath is where the file of a clip lies, or would.
func (s *Store) ClipPath(id playlist.ClipID) string {
	return filepath.Join(s.clips, string(id)+".mp3")
}

// AddClip keeps a clip and its file. Bytes that do not hash to the clip's ID
// are [ErrWrongHash] and nothing is kept. Adding a clip again gives it what
// title, series and so on are said now, and its file back where that is
// missing or has changed.
func (s *Store) AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	if !playlist.IsClipID(string(c.ID)) || strings.ToLower(string(c.ID)) != string(c.ID) {
		return fmt.Errorf("%w: %q is no clip ID", playlist.ErrInvalid, c.ID)
	}
	size, err := s.keepClip(c.ID, src)
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

// keepClip puts a clip's bytes under their name and answers how many.
func (s *Store) keepClip(id playlist.ClipID, src io.Reader) (int64, error) {
	f, err := os.CreateTemp(s.clips, "."+id.Short()+"-*.tmp")
	if err != nil {
		return 0, sqlite.Classify(err)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), src)
	if err == nil {
		err = f.Chmod(0o644)
	}
	err = errors.Join(err, f.Close())
	if got := hex.EncodeToString(hash.Sum(nil)); err == nil && got != string(id) {
		err = fmt.Errorf("%w: %s wanted, %s found", ErrWrongHash, id.Short(), playlist.ClipID(got).Short())
	}
	if err == nil {
		err = sqlite.Keep(f.Name(), s.ClipPath(id))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return n, sqlite.Classify(err)
}

// OpenClip opens a clip's file to send it.
func (s *Store) OpenClip(id playlist.ClipID) (*os.File, error) {
	if !playlist.IsClipID(string(id)) {
		return nil, fmt.Errorf("%w: %q is no clip ID", playlist.ErrInvalid, id)
	}
	f, err := os.Open(s.ClipPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: clip %s", ErrNotFound, id.Short())
	}
	return f, err
}

const clipColumns = "SELECT id, title, series, issue, language, text, tags, frames, size FROM clip "

func scanClip(scan func(...any) error) (c playlist.Clip, err error) {
	var tags []byte
	if err = scan(&c.ID, &c.Title, &c.Series, &c.Issue, &c.Language, &c.Text, &tags, &c.Frames, &c.Size); err != nil {
		return c, err
	}
	err = json.Unmarshal(tags, &c.Tags)
	if len(c.Tags) == 0 {
		c.Tags = nil
	}
	return c, err
}

// Clip finds a clip and the path of its file. Where only the file is missing
// the clip comes with [ErrNotFound].
func (s *Store) Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	c, err := scanClip(s.read().row(ctx, clipColumns+"WHERE id = ?1", string(id)).Scan)
	if err != nil {
		return c, "", found(err, "clip", id.Short())
	}
	if _, err := os.Stat(s.ClipPath(id)); err != nil {
		return c, "", fmt.Errorf("%w: the file of clip %s", ErrNotFound, id.Short())
	}
	return c, s.ClipPath(id), nil
}

// VerifyClip reads a clip's file and answers [ErrWrongHash] where it may not
// air.
func (s *Store) VerifyClip(id playlist.ClipID) error {
	f, err := s.OpenClip(id)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	got, err := playlist.ClipIDOf(f)
	if err == nil && got != id {
		err = fmt.Errorf("%w: %s wanted, %s found", ErrWrongHash, id.Short(), got.Short())
	}
	return err
}

// Clips are the clips of one series or, where series is empty, of all; by
// series, issue and title.
func (s *Store) Clips(ctx context.Context, series string) (all []playlist.Clip, err error) {
	err = s.read().each(ctx, clipColumns+"WHERE (?1 = '' OR series = ?1) ORDER BY series, issue, title, id",
		[]any{series}, func(scan func(...any) error) error {
			c, err := scanClip(scan)
			all = append(all, c)
			return err
		})
	return all, err
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

// Source is a file that was handed in to become a clip.
type Source struct {
	Path   string
	Size   int64
	MTime  time.Time
	SHA256 string // lower-case hex; may be empty when only asking
	Recipe string // names the ingest settings: another recipe makes another clip
}

// SourceKnown finds the clip that a source became, by path, size and time of
// change, or by its hash where that is given.
func (s *Store) SourceKnown(ctx context.Context, src Source) (id playlist.ClipID, ok bool, err error) {
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
	if _, err := os.Stat(s.ClipPath(id)); err != nil {
		return "", false, nil
	}
	return id, true, nil
}

// NoteSource keeps which clip a source became.
func (s *Store) NoteSource(ctx context.Context, src Source, id playlist.ClipID) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, `INSERT INTO source (path, size, mtime, sha256, recipe, clip)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
			sha256 = excluded.sha256, recipe = excluded.recipe, clip = excluded.clip`,
			clean(src.Path), src.Size, src.MTime.UnixNano(), src.SHA256, clean(src.Recipe), string(id))
	})
}
