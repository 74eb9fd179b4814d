package store_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

func TestNoVersionIsAboveTheHighest(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		const scope = playlist.Scope("group:x")
		add := func(v int64) error {
			return s.AddEnvelope(t.Context(), store.Envelope{Kind: "manifest", Scope: scope, Version: v, Bytes: []byte{1}})
		}
		for _, v := range []int64{math.MinInt64, 0, playlist.MaxVersion + 1, math.MaxInt64} {
			if err := add(v); !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("version %d: %v", v, err)
			}
		}
		if err := add(playlist.MaxVersion - 1); err != nil {
			t.Fatal(err)
		}
		if v, err := s.NextVersion(t.Context(), "manifest", scope); err != nil || v != playlist.MaxVersion {
			t.Errorf("next %d, %v", v, err)
		}
		if err := add(playlist.MaxVersion); err != nil {
			t.Fatal(err)
		}
		if v, err := s.NextVersion(t.Context(), "manifest", scope); !errors.Is(err, store.ErrUsedUp) {
			t.Errorf("next %d, %v", v, err)
		}
	})
}

func TestTheVersionsOfAWithdrawnKeyCountNoMore(t *testing.T) {
	root, kept, lost := link.NewKey(), link.NewKey(), link.NewKey()
	trust := func(version int64, keys ...*link.Key) (tr link.Trust) {
		tr.Version = version
		tr.Grant(link.RoleRoot, 1, root.Public())
		for _, k := range keys {
			tr.Grant(link.RolePlaylist, 1, k.Public())
			tr.Grant(link.RoleAlert, 1, k.Public())
		}
		return tr
	}
	both, after := trust(1, kept, lost), trust(2, kept)
	const top = playlist.MaxVersion
	type row struct {
		version int64
		by      *link.Key
	}
	cases := []struct {
		scope playlist.Scope
		rows  []row
		voids []int64
		next  int64
	}{
		{"group:a-theft", []row{{1, kept}, {2, kept}, {top, lost}}, []int64{top}, 3},
		{"group:the-county-went-on-above-it-by-the-same-key", []row{{1, lost}, {2, lost}, {top - 5, lost}, {top - 4, lost}}, []int64{top - 4, top - 5}, 3},
		{"group:a-key-in-force-signed-above-it", []row{{1, kept}, {top - 5, lost}, {top - 4, kept}}, nil, top - 3},
		{"group:only-below-that-one", []row{{1, kept}, {top / 2, lost}, {top/2 + 1, kept}, {top, lost}}, []int64{top}, top/2 + 2},
		{"group:two-thefts-at-once", []row{{1, kept}, {top / 2, lost}, {top, lost}}, []int64{top, top / 2}, 2},
		{"group:a-planned-rotation", []row{{1, lost}, {2, lost}, {3, lost}}, nil, 4},
		{"group:a-county-that-was-restored", []row{{1, lost}, {2, lost}, {90, lost}}, nil, 91},
		{"group:nothing-else", []row{{top, lost}}, []int64{top}, 1},
	}
	kinds := []link.Kind{link.KindManifest, link.KindAlerts}
	onBoth(t, func(t *testing.T, s *store.Store) {
		for _, c := range cases {
			for _, kind := range kinds {
				for _, r := range c.rows {
					raw := must[link.Envelope](t)(link.Seal(kind.Type(), r.version, r.by)).Bytes()
					if err := s.AddEnvelope(t.Context(), store.Envelope{Kind: kind, Scope: c.scope, Version: r.version, Bytes: raw}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if gone := must[[]store.Envelope](t)(s.Void(t.Context(), both)); len(gone) != 0 {
			t.Errorf("gone while all keys hold their roles: %+v", gone)
		}
		gone := must[[]store.Envelope](t)(s.Void(t.Context(), after))
		if again := must[[]store.Envelope](t)(s.Void(t.Context(), after)); len(again) != 0 {
			t.Errorf("gone again: %+v", again)
		}
		for _, c := range cases {
			for _, kind := range kinds {
				var voids []int64
				for _, e := range gone {
					if e.Kind == kind && e.Scope == c.scope {
						voids = append(voids, e.Version)
					}
				}
				if !slices.Equal(voids, c.voids) {
					t.Errorf("%s: gone %v, want %v", c.scope, voids, c.voids)
				}
				if v, err := s.NextVersion(t.Context(), kind, c.scope); err != nil || v != c.next {
					t.Errorf("%s: next %d, %v, want %d", c.scope, v, err, c.next)
				}
				e, err := s.Envelope(t.Context(), kind, c.scope, 0)
				if err == nil && e.Version != c.next-1 || err != nil && (c.next != 1 || !errors.Is(err, store.ErrNotFound)) {
					t.Errorf("%s: in force %d, %v", c.scope, e.Version, err)
				}
			}
		}
		for _, e := range must[[]store.Envelope](t)(s.Latest(t.Context(), "")) {
			if !slices.Contains(link.Kinds, e.Kind) {
				t.Errorf("a carrier would take %s of %s", e.Kind, e.Scope)
			}
		}
		// The next theft uses the same version.
		third := link.NewKey()
		raw := must[link.Envelope](t)(link.Seal(link.TypeManifest, top, third)).Bytes()
		if err := s.AddEnvelope(t.Context(), store.Envelope{Kind: link.KindManifest, Scope: "group:a-theft", Version: top, Bytes: raw}); err != nil {
			t.Fatal(err)
		}
		if gone, err := s.Void(t.Context(), after); err != nil || len(gone) != 1 {
			t.Errorf("the second theft: %+v, %v", gone, err)
		}
	})
}

func TestEveryTrustDocumentIsInForceForThoseWhoWereAway(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for v := range int64(3) {
			for _, e := range []store.Envelope{{Kind: "trust", Version: v + 1}, {Kind: "manifest", Scope: "group:x", Version: v + 1}} {
				e.Bytes, e.At = []byte{1}, time.Now()
				if err := s.AddEnvelope(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		var trusts, others []int64
		for _, e := range must[[]store.Envelope](t)(s.InForce(t.Context(), []playlist.Scope{"", "group:x"})) {
			if e.Kind == "trust" {
				trusts = append(trusts, e.Version)
			} else {
				others = append(others, e.Version)
			}
		}
		if slices.Sort(trusts); !slices.Equal(trusts, []int64{1, 2, 3}) || !slices.Equal(others, []int64{3}) {
			t.Errorf("trust %v, others %v", trusts, others)
		}
	})
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
