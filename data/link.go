package data

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Document is a document that the county has signed, in the envelope in which
// it came. The store does not verify it: the caller has done so.
type Document struct {
	Kind    string
	Scope   playlist.Scope // empty for a document of kind trust
	Version int64
	Digest  string
	Raw     []byte
}

const kindManifest = "manifest" // of [Document]

// Documents returns all stored documents.
func (s *Store) Documents(ctx context.Context) ([]Document, error) {
	rows, err := s.db().Reader().QueryContext(ctx, "SELECT kind, scope, version, digest, raw FROM document ORDER BY kind, scope")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Document
	for rows.Next() {
		var d Document
		if err := rows.Scan(&d.Kind, &d.Scope, &d.Version, &d.Digest, &d.Raw); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// ErrEnrolledAnew means that a document belongs to an earlier enrolment.
var ErrEnrolledAnew = errors.New("the controller was enrolled anew")

// KeepDocument replaces the document of the same kind and scope, and deletes
// the documents in forget, in one transaction. A manifest that is deleted so is
// out of force: the next one of its scope may have the same version. enrolled is
// what [Store.Enrolled] returned when the document was asked for; if the controller
// was enrolled anew since, the error is [ErrEnrolledAnew].
func (s *Store) KeepDocument(ctx context.Context, d Document, forget []Document, enrolled time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		now, err := enrolledAt(ctx, tx)
		if err == nil && !now.IsZero() && !now.Equal(enrolled) { // zero: the store was lost since
			err = ErrEnrolledAnew
		}
		if err != nil {
			return err
		}
		for _, f := range forget {
			if err := dropDocument(ctx, tx, f); err != nil {
				return err
			}
		}
		return s.putDocument(ctx, tx, d)
	})
}

// Adopt notes that the controller was enrolled at that instant, and puts the
// documents that came with it in the place of all others, in one transaction:
// documents and their versions belong to one enrolment. No manifest is in force then.
func (s *Store) Adopt(ctx context.Context, at time.Time, docs ...Document) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM document"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM state WHERE key GLOB ?", factManifest+"*"); err != nil {
			return err
		}
		for _, d := range docs {
			if err := s.putDocument(ctx, tx, d); err != nil {
				return err
			}
		}
		for _, name := range []string{factLags, factSynced} {
			if err := setFact(ctx, tx, name, ""); err != nil {
				return err
			}
		}
		return setFact(ctx, tx, factEnrolled, at.UTC().Format(time.RFC3339Nano))
	})
}

func (s *Store) putDocument(ctx context.Context, tx *sql.Tx, d Document) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO document (kind, scope, version, digest, raw, kept) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET version = excluded.version, digest = excluded.digest, raw = excluded.raw, kept = excluded.kept`,
		d.Kind, d.Scope, d.Version, d.Digest, d.Raw, micros(s.now()))
	return err
}

// dropDocument deletes a document, and puts it out of force if it is a manifest.
func dropDocument(ctx context.Context, tx *sql.Tx, d Document) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM document WHERE kind = ? AND scope = ?", d.Kind, d.Scope); err != nil {
		return err
	}
	if d.Kind != kindManifest {
		return nil
	}
	return setFact(ctx, tx, factManifest+string(d.Scope), "")
}

// marksKept is how many epochs [Store.Marks] returns.
const marksKept = 16

// Marks returns, for each epoch of which receipts are still stored, the highest
// number up to which all are acknowledged; the newest epochs first.
func (s *Store) Marks(ctx context.Context) ([]asrun.Mark, error) {
	rows, err := s.db().Reader().QueryContext(ctx, `SELECT e.name,
		coalesce((SELECT min(seq) - 1 FROM receipt WHERE epoch = e.id AND sent IS NULL),
			(SELECT max(seq) FROM receipt WHERE epoch = e.id), 0)
		FROM epoch e WHERE EXISTS (SELECT 1 FROM receipt WHERE epoch = e.id) ORDER BY e.id DESC LIMIT ?`, marksKept)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []asrun.Mark
	for rows.Next() {
		var m asrun.Mark
		if err := rows.Scan(&m.Epoch, &m.Seq); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// SetMark records that the county has the receipts of the epoch up to m.Seq and
// lacks the later ones that are still stored here: a county restored from a
// backup lowers its mark, and receipts that it could not keep are sent again.
// If the mark is higher than any receipt made here, that is a loss; see
// [Store.Acknowledge].
func (s *Store) SetMark(ctx context.Context, m asrun.Mark) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE receipt SET sent = NULL, refused = NULL WHERE sent IS NOT NULL AND seq > ?
			AND epoch = (SELECT id FROM epoch WHERE name = ?)`, m.Seq, m.Epoch)
		return err
	})
	if err != nil {
		return err
	}
	return s.Acknowledge(ctx, m.Epoch, m.Seq)
}

// SetAside records why the county cannot keep a receipt, so that
// [Store.SetMark] can move past it. Its row stays in the as-run log like any
// other.
func (s *Store) SetAside(ctx context.Context, receipt asrun.Mark, why string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE receipt SET refused = ? WHERE seq = ?
			AND epoch = (SELECT id FROM epoch WHERE name = ?)`, why, receipt.Seq, receipt.Epoch)
		return err
	})
}

// Aside returns how many receipts the county could not keep, and the reason for
// the latest of them.
func (s *Store) Aside(ctx context.Context) (n int, why string, err error) {
	err = s.db().Reader().QueryRowContext(ctx, `SELECT count(*), coalesce((SELECT refused FROM receipt WHERE refused IS NOT NULL
		ORDER BY epoch DESC, seq DESC LIMIT 1), '') FROM receipt WHERE refused IS NOT NULL`).Scan(&n, &why)
	return n, why, err
}

// Batch returns the oldest receipts after a mark that are not acknowledged: all
// of the oldest epoch that has any, at most limit, with consecutive numbers. If
// the receipt before the first of them is no longer stored, Gone is its number;
// else Gone is the number before the first receipt of that epoch that is still
// stored.
func (s *Store) Batch(ctx context.Context, after asrun.Mark, limit int) (b asrun.Batch, err error) {
	// If there is no epoch of that name this is 0: from the start.
	const from = `coalesce((SELECT id FROM epoch WHERE name = ?1), 0)`
	rows, err := s.db().Reader().QueryContext(ctx, `WITH next AS (
			SELECT epoch, seq, asrun, corrects_epoch, corrects_seq FROM receipt
			WHERE sent IS NULL AND (epoch > `+from+` OR epoch = `+from+` AND seq > ?2) ORDER BY epoch, seq LIMIT ?3)
		SELECT e.name, n.seq, n.asrun, coalesce(c.name, ''), coalesce(n.corrects_seq, 0),
			CASE WHEN EXISTS (SELECT 1 FROM receipt WHERE epoch = n.epoch AND seq = n.seq - 1)
				THEN (SELECT min(seq) - 1 FROM receipt WHERE epoch = n.epoch) ELSE n.seq - 1 END
		FROM next n JOIN epoch e ON e.id = n.epoch LEFT JOIN epoch c ON c.id = n.corrects_epoch
		WHERE n.epoch = (SELECT min(epoch) FROM next) ORDER BY n.seq`, after.Epoch, after.Seq, limit)
	if err != nil {
		return b, err
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var (
			r        asrun.Receipt
			corrects asrun.Mark
			id, gone int64
		)
		if err := rows.Scan(&b.Epoch, &r.Row.Seq, &id, &corrects.Epoch, &corrects.Seq, &gone); err != nil {
			return b, err
		}
		if n := len(b.Receipts); n == 0 {
			b.Gone = gone
		} else if r.Row.Seq != b.Receipts[n-1].Row.Seq+1 {
			break
		}
		if corrects.Seq > 0 {
			r.Corrects = &corrects
		}
		b.Receipts, ids = append(b.Receipts, r), append(ids, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return b, err
	}
	for i, id := range ids {
		row, err := s.rows(ctx, "WHERE a.id = ?", id)
		if err != nil {
			return b, err
		}
		if len(row) != 1 {
			return b, fmt.Errorf("receipt %d of epoch %s has no row", b.Receipts[i].Row.Seq, b.Epoch)
		}
		row[0].Seq = b.Receipts[i].Row.Seq
		b.Receipts[i].Row = row[0]
	}
	return b, nil
}

// UnsentEvents returns the oldest events of at least the given level that the
// county does not have, at most limit. Events below that level are skipped.
func (s *Store) UnsentEvents(ctx context.Context, least, limit int) ([]asrun.Event, error) {
	text, err := s.fact(ctx, factEventsSent)
	if err != nil {
		return nil, err
	}
	sent, _ := strconv.ParseInt(text, 10, 64) // 0: none
	return s.readEvents(ctx, "WHERE id > ? AND level >= ? ORDER BY id LIMIT ?", sent, least, limit)
}

// EventsSent records that the county has the events up to id.
func (s *Store) EventsSent(ctx context.Context, id int64) error {
	return s.setFact(ctx, factEventsSent, strconv.FormatInt(id, 10))
}

// HasClip reports whether the clip is known, its file exists and its bytes are
// right.
func (s *Store) HasClip(ctx context.Context, id playlist.ClipID) (bool, error) {
	_, _, err := s.Clip(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoFile):
		return false, nil
	case err != nil:
		return false, err
	}
	return s.clips.Verify(id) == nil, nil
}

// PutClip stores a clip that was fetched. It does not change the metadata of a
// known clip: a manifest holds less of it than the site may.
func (s *Store) PutClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	known, _, err := s.Clip(ctx, c.ID)
	switch {
	case err == nil || errors.Is(err, ErrNoFile):
		c = known
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return s.AddClip(ctx, c, src)
}
