package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dalaba/link"
	"dalaba/playlist"
)

// Envelope is a signed state of a scope, as it goes to the controllers.
type Envelope struct {
	Kind    link.Kind      `json:"kind"`
	Scope   playlist.Scope `json:"scope,omitempty"` // trust has none
	Version int64          `json:"version"`
	Digest  string         `json:"digest"` // tells apart what claims one version
	Bytes   []byte         `json:"-"`
	At      time.Time      `json:"at"`
	Note    string         `json:"note,omitempty"`
	By      string         `json:"by,omitempty"` // the user who had it issued; empty: the county itself, or its program was of release 0.1
}

// AddEnvelope keeps an envelope. One whose version is not above all others of
// its kind and scope is [ErrStale]; one that no document may have is
// [playlist.ErrInvalid].
func (s *Store) AddEnvelope(ctx context.Context, e Envelope) error {
	if !playlist.IsVersion(e.Version) {
		return fmt.Errorf("%w: %s of %s, version %d", playlist.ErrInvalid, e.Kind, e.Scope, e.Version)
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error { return s.addEnvelope(ctx, tx, e) })
}

func (s *Store) addEnvelope(ctx context.Context, tx conn, e Envelope) error {
	var last int64
	err := tx.row(ctx, "SELECT coalesce(max(version), 0) FROM envelope WHERE kind = ?1 AND scope = ?2", string(e.Kind), string(e.Scope)).Scan(&last)
	if err != nil {
		return err
	}
	if e.Version <= last {
		return fmt.Errorf("%w: %s of %s is at version %d", ErrStale, e.Kind, e.Scope, last)
	}
	n, err := tx.change(ctx, `INSERT INTO envelope (kind, scope, version, bytes, at, note, digest, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (kind, scope, version) DO NOTHING`, string(e.Kind), string(e.Scope), e.Version, e.Bytes, s.now().UnixMicro(), clean(e.Note), e.Digest, clean(e.By))
	if err == nil && n == 0 { // by another process, since
		err = fmt.Errorf("%w: %s of %s has a version %d", ErrStale, e.Kind, e.Scope, e.Version)
	}
	return err
}

// NextVersion is the version that the next envelope of a kind and scope should
// have: above all that there are. If no higher one may be issued, the error is
// [ErrUsedUp].
func (s *Store) NextVersion(ctx context.Context, kind link.Kind, scope playlist.Scope) (int64, error) {
	var last int64
	err := s.read().row(ctx, "SELECT coalesce(max(version), 0) FROM envelope WHERE kind = ?1 AND scope = ?2", string(kind), string(scope)).Scan(&last)
	if err != nil {
		return 0, err
	}
	if last >= playlist.MaxVersion {
		return 0, fmt.Errorf("%w: %s of %s", ErrUsedUp, kind, scope)
	}
	return last + 1, nil
}

const (
	// maxLeap is how far apart two versions of a kind and scope may be that one county
	// issued: a county that was restored from a backup lacks some, and takes the next
	// from a controller. This many are two years of one a minute.
	maxLeap = 1 << 20

	// voidPrefix is put before the kind of an envelope that no longer counts.
	voidPrefix = "void "
)

// Void sets aside the envelopes above a leap of versions that no key of the trust
// document signed: their signer meant to use up the versions of the scope, and has
// lost the role. Controllers delete such a document, and its version with it,
// when they get the trust document. An envelope above them counts as long as its own
// signers hold the role. The envelopes stay in the store under another kind, for
// those who look into the theft; no method finds them. Void returns those that it set
// aside now, without their bytes.
func (s *Store) Void(ctx context.Context, t link.Trust) (all []Envelope, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		all = nil
		leaps, err := leaps(ctx, tx)
		if err != nil {
			return err
		}
		for _, from := range leaps {
			covered, above, err := coveredFrom(ctx, tx, t, from)
			if err != nil {
				return err
			}
			if covered || len(above) == 0 { // none: a lower leap of the scope took them
				continue
			}
			if err := voidFrom(ctx, tx, from); err != nil {
				return err
			}
			all = append(all, above...)
		}
		return nil
	})
	return all, err
}

// leaps lists the envelopes whose version is more than maxLeap above the one before,
// the lowest first.
func leaps(ctx context.Context, tx conn) (all []Envelope, err error) {
	err = tx.each(ctx, `SELECT kind, scope, version FROM (SELECT kind, scope, version,
			lag(version, 1, CAST(0 AS BIGINT)) OVER (PARTITION BY kind, scope ORDER BY version) AS below
			FROM envelope WHERE kind IN ('member', 'alerts', 'manifest')) v
		WHERE version - below > ?1 ORDER BY kind, scope, version`, []any{int64(maxLeap)}, func(scan func(...any) error) error {
		var e Envelope
		err := scan(&e.Kind, &e.Scope, &e.Version)
		all = append(all, e)
		return err
	})
	return all, err
}

// coveredFrom reports whether a trust document covers an envelope of the scope of
// from, of its version or a later one. above are those envelopes.
func coveredFrom(ctx context.Context, tx conn, t link.Trust, from Envelope) (covered bool, above []Envelope, err error) {
	err = tx.each(ctx, envelopeColumns+"WHERE kind = ?1 AND scope = ?2 AND version >= ?3 ORDER BY version DESC",
		[]any{string(from.Kind), string(from.Scope), from.Version}, func(scan func(...any) error) error {
			e, err := scanEnvelope(scan)
			covered = covered || err == nil && t.Covers(e.Kind, e.Bytes)
			e.Bytes = nil
			above = append(above, e)
			return err
		})
	return covered, above, err
}

func voidFrom(ctx context.Context, tx conn, from Envelope) error {
	args := []any{string(from.Kind), string(from.Scope), from.Version, voidPrefix + string(from.Kind)}
	// One of the same version may be there since an earlier theft.
	if err := tx.exec(ctx, "DELETE FROM envelope WHERE kind = ?4 AND scope = ?2 AND version IN (SELECT version FROM envelope WHERE kind = ?1 AND scope = ?2 AND version >= ?3)", args...); err != nil {
		return err
	}
	return tx.exec(ctx, "UPDATE envelope SET kind = ?4 WHERE kind = ?1 AND scope = ?2 AND version >= ?3", args...)
}

const envelopeColumns = "SELECT kind, scope, version, bytes, at, note, digest, author FROM envelope "

func scanEnvelope(scan func(...any) error) (e Envelope, err error) {
	var at int64
	err = scan(&e.Kind, &e.Scope, &e.Version, &e.Bytes, &at, &e.Note, &e.Digest, &e.By)
	e.At = time.UnixMicro(at).UTC()
	return e, err
}

// Latest is the envelope of the highest version of each scope of a kind, or of
// all kinds if kind is empty.
func (s *Store) Latest(ctx context.Context, kind link.Kind) (all []Envelope, err error) {
	err = s.read().each(ctx, envelopeColumns+`e WHERE (?1 = '' AND kind IN ('trust', 'member', 'alerts', 'manifest') OR kind = ?1) AND version =
		(SELECT max(version) FROM envelope m WHERE m.kind = e.kind AND m.scope = e.scope) ORDER BY kind, scope`,
		[]any{string(kind)}, func(scan func(...any) error) error {
			e, err := scanEnvelope(scan)
			all = append(all, e)
			return err
		})
	return all, err
}

// Envelope finds one version; 0 is the highest.
func (s *Store) Envelope(ctx context.Context, kind link.Kind, scope playlist.Scope, version int64) (Envelope, error) {
	e, err := scanEnvelope(s.read().row(ctx, envelopeColumns+`WHERE kind = ?1 AND scope = ?2 AND (CAST(?3 AS BIGINT) = 0 OR version = ?3)
		ORDER BY version DESC LIMIT 1`, string(kind), string(scope), version).Scan)
	return e, found(err, string(kind)+" of", scope)
}

// Versions are all versions of a kind and scope, the latest first, without
// their bytes; of every scope if scope is empty.
func (s *Store) Versions(ctx context.Context, kind link.Kind, scope playlist.Scope) (all []Envelope, err error) {
	err = s.read().each(ctx, `SELECT kind, scope, version, at, note, digest, author FROM envelope WHERE kind = ?1 AND (?2 = '' OR scope = ?2)
		ORDER BY scope, version DESC`, []any{string(kind), string(scope)}, func(scan func(...any) error) error {
		var e Envelope
		var at int64
		if err := scan(&e.Kind, &e.Scope, &e.Version, &at, &e.Note, &e.Digest, &e.By); err != nil {
			return err
		}
		e.At = time.UnixMicro(at).UTC()
		all = append(all, e)
		return nil
	})
	return all, err
}

// InForce are the latest envelopes of the scopes named, of every kind, and of trust
// documents, if their scope is named, every version; without their bytes.
func (s *Store) InForce(ctx context.Context, scopes []playlist.Scope) (all []Envelope, err error) {
	var list strings.Builder
	args := make([]any, 0, len(scopes))
	for i, scope := range scopes {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "?%d", i+1)
		args = append(args, string(scope))
	}
	err = s.read().each(ctx, `SELECT kind, scope, version, digest FROM envelope e
		WHERE kind IN ('trust', 'member', 'alerts', 'manifest') AND scope IN (`+list.String()+`)
		AND (kind = 'trust' OR version = (SELECT max(version) FROM envelope m WHERE m.kind = e.kind AND m.scope = e.scope))`,
		args, func(scan func(...any) error) error {
			var e Envelope
			err := scan(&e.Kind, &e.Scope, &e.Version, &e.Digest)
			all = append(all, e)
			return err
		})
	return all, err
}
