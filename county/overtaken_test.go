package county_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
)

// Of editors who have seen the same version, one publishes, and the others are told by
// whom they were overtaken.
func TestAPushIsOverTheVersionThatWasPreviewed(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	scope := playlist.AreaScope(townArea)
	d := draft(t, scope, w.clip(t, "clip1.mp3"))
	if s := w.call(t, "POST", "/api/push", nil, d, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("without the version that was previewed: %d", s)
	}
	d.Anyway = true
	replica, _ := w.replica(t)
	for round := range int64(3) {
		d.Over = &round
		var wait sync.WaitGroup
		said := make([]error, 8)
		for i := range said {
			c := w.County
			if i%2 == 1 {
				c = replica
			}
			wait.Go(func() { _, said[i] = county.Push(county.As(t.Context(), "editor"), c, d) })
		}
		wait.Wait()
		published := 0
		for _, err := range said {
			switch {
			case err == nil:
				published++
			case !strings.Contains(err.Error(), "was published meanwhile by editor"):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if published != 1 {
			t.Errorf("round %d: %d editors have published", round, published)
		}
	}
	var all []store.Envelope
	w.call(t, "GET", "/api/manifests", url.Values{"scope": {string(scope)}}, nil, &all)
	if len(all) != 3 || slices.ContainsFunc(all, func(e store.Envelope) bool { return e.By != "editor" }) {
		t.Errorf("versions %+v", all)
	}
	rollback := url.Values{"scope": {string(scope)}, "version": {"1"}, "anyway": {"1"}}
	if s := w.call(t, "POST", "/api/rollback", rollback, nil, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("a rollback without the version that was previewed: %d", s)
	}
	rollback.Set("over", "2")
	if s := w.call(t, "POST", "/api/rollback", rollback, nil, nil); s != http.StatusConflict {
		t.Errorf("a rollback that was overtaken: %d", s)
	}
	rollback.Set("over", "3")
	var e store.Envelope
	if s := w.call(t, "POST", "/api/rollback", rollback, nil, &e); s != http.StatusOK || e.Version != 4 || e.By != "token" {
		t.Errorf("a rollback: %d, %+v", s, e)
	}
}
