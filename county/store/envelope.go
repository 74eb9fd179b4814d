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
}

// AddEnvelope keeps an envelope. One whose version is not above all others of
// its kind and scope is [ErrStale].
func (s *Store) AddEnvelope(ctx context.Context, e Envelope) error {
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
	n, err := tx.change(ctx, `INSERT INTO envelope (kind, scope, version, bytes, at, note, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (kind, scope, version) DO NOTHING`, string(e.Kind), string(e.Scope), e.Version, e.Bytes, s.now().UnixMicro(), clean(e.Note), e.Digest)
	if err == nil && n == 0 { // by another process, since
		err = fmt.Errorf("%w: %s of %s has a version %d", ErrStale, e.Kind, e.Scope, e.Version)
	}
	return err
}

// floorOf is the key of the setting below which no version of a kind and scope
// is issued any more.
func floorOf(kind link.Kind, scope playlist.Scope) string {
	return "floor " + string(kind) + " " + string(scope)
}

// RaiseVersion makes the next version of a kind and scope be above v. That is
// needed if controllers hold a later one than this store knows of: it was
// restored from a backup.
func (s *Store) RaiseVersion(ctx context.Context, kind link.Kind, scope playlist.Scope, v int64) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error { return raise(ctx, tx, floorOf(kind, scope), v) })
}

// NextVersion is the version that the next envelope of a kind and scope should
// have.
func (s *Store) NextVersion(ctx context.Context, kind link.Kind, scope playlist.Scope) (int64, error) {
	var last, floor int64
	err := s.read().row(ctx, "SELECT coalesce(max(version), 0) FROM envelope WHERE kind = ?1 AND scope = ?2", string(kind), string(scope)).Scan(&last)
	if err != nil {
		return 0, err
	}
	v, err := s.Setting(ctx, floorOf(kind, scope))
	if err != nil {
		return 0, err
	}
	if v != "" {
		if _, err := fmt.Sscan(v, &floor); err != nil {
			return 0, err
		}
	}
	return max(last, floor) + 1, nil
}

const envelopeColumns = "SELECT kind, scope, version, bytes, at, note, digest FROM envelope "

func scanEnvelope(scan func(...any) error) (e Envelope, err error) {
	var at int64
	err = scan(&e.Kind, &e.Scope, &e.Version, &e.Bytes, &at, &e.Note, &e.Digest)
	e.At = time.UnixMicro(at).UTC()
	return e, err
}

// Latest is the envelope of the highest version of each scope of a kind, or of
// all kinds if kind is empty.
func (s *Store) Latest(ctx context.Context, kind link.Kind) (all []Envelope, err error) {
	err = s.read().each(ctx, envelopeColumns+`e WHERE (?1 = '' OR kind = ?1) AND version =
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
	err = s.read().each(ctx, `SELECT kind, scope, version, at, note, digest FROM envelope WHERE kind = ?1 AND (?2 = '' OR scope = ?2)
		ORDER BY scope, version DESC`, []any{string(kind), string(scope)}, func(scan func(...any) error) error {
		var e Envelope
		var at int64
		if err := scan(&e.Kind, &e.Scope, &e.Version, &at, &e.Note, &e.Digest); err != nil {
			return err
		}
		e.At = time.UnixMicro(at).UTC()
		all = append(all, e)
		return nil
	})
	return all, err
}

// ManifestsSince are the manifest envelopes that were the latest of their
// scope at some moment from since on, oldest first.
func (s *Store) ManifestsSince(ctx context.Context, since time.Time) (all []Envelope, err error) {
	err = s.read().each(ctx, envelopeColumns+`e WHERE kind = 'manifest' AND NOT EXISTS (SELECT 1 FROM envelope n
		WHERE n.kind = e.kind AND n.scope = e.scope AND n.version > e.version AND n.at <= ?1) ORDER BY scope, version`,
		[]any{since.UnixMicro()}, func(scan func(...any) error) error {
			e, err := scanEnvelope(scan)
			all = append(all, e)
			return err
		})
	return all, err
}

// InForce are the latest envelopes of the scopes named, of every kind, without
// their bytes.
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
		AND version = (SELECT max(version) FROM envelope m WHERE m.kind = e.kind AND m.scope = e.scope)`,
		args, func(scan func(...any) error) error {
			var e Envelope
			err := scan(&e.Kind, &e.Scope, &e.Version, &e.Digest)
			all = append(all, e)
			return err
		})
	return all, err
}
