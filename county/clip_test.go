package county_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"testing"

	"dalaba/county"
)

func TestAClipHandedInAgain(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	take := func(series string) (out county.AddedClip) {
		t.Helper()
		q := url.Values{"name": {"clip1.mp3"}}
		if series != "" {
			q.Set("series", series)
		}
		if s := w.call(t, "POST", "/api/clips", q, course(t), &out); s != http.StatusOK {
			t.Fatalf("status %d", s)
		}
		return out
	}
	first := take("健康微课堂")
	if again := take(""); !again.Known || again.Changed || again.Clip.ID != first.Clip.ID {
		t.Errorf("again: %+v", again)
	}
	_, path, err := w.Store.Clip(t.Context(), first.Clip.ID)
	if err != nil {
		t.Fatal(err)
	}
	whole := must[[]byte](t)(os.ReadFile(path))
	bad := bytes.Clone(whole)
	bad[len(bad)/2] ^= 0x10
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if mended := take(""); mended.Known || mended.Clip.Series != "健康微课堂" {
		t.Errorf("a damaged clip: %+v", mended)
	}
	if !bytes.Equal(must[[]byte](t)(os.ReadFile(path)), whole) {
		t.Error("its file stays damaged")
	}
}

func TestAClipsNameAndItsFolderSaySeriesAndIssue(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	var out county.AddedClip
	if s := w.call(t, "POST", "/api/clips", url.Values{"name": {"第3期 丁课.mp3"}, "folder": {"健康微课堂"}}, course(t), &out); s != http.StatusOK {
		t.Fatalf("status %d", s)
	}
	if c := out.Clip; c.Series != "健康微课堂" || c.Issue != 3 || c.Title != "丁课" {
		t.Errorf("%+v", c)
	}
}

func TestNoClipBearsAnIssueOutOfBounds(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	for issue, want := range map[string]int{"0": http.StatusUnprocessableEntity, "100000": http.StatusUnprocessableEntity, "99999": http.StatusOK} {
		if s := w.call(t, "POST", "/api/clips", url.Values{"name": {"clip1.mp3"}, "issue": {issue}}, course(t), nil); s != want {
			t.Errorf("issue %s: status %d, want %d", issue, s, want)
		}
	}
}
