package data_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func idOf(content string) playlist.ClipID {
	h := sha256.Sum256([]byte(content))
	return playlist.ClipID(hex.EncodeToString(h[:]))
}

func addClip(t *testing.T, s *data.Store, content, title string, issue int) playlist.Clip {
	t.Helper()
	c := playlist.Clip{
		ID: idOf(content), Title: title, Series: "健康微课堂", Issue: issue, Language: "zh-CN",
		Text: "发热了怎么办", Tags: []string{"fever", "home"}, Frames: 48000, Size: int64(len(content)),
	}
	must(t, s.AddClip(t.Context(), c, strings.NewReader(content)))
	return c
}

func TestAClipIsStoredWithItsFileAndMetadata(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	want := addClip(t, s, "sound", "发热", 1)
	got, path, err := s.Clip(ctx, want.ID)
	if err != nil || !reflect.DeepEqual(got, want) || path != filepath.Join(dir, "clips", string(want.ID)+".mp3") {
		t.Fatalf("%+v, %q, %v", got, path, err)
	}
	if b, err := os.ReadFile(path); string(b) != "sound" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	must(t, s.VerifyClip(ctx, want.ID))
	if left, _ := filepath.Glob(filepath.Join(dir, "clips", ".*")); len(left) > 0 {
		t.Error("left behind:", left)
	}
	if _, _, err := s.Clip(ctx, clipID("f")); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
	// Added again, it gets the new title.
	renamed := addClip(t, s, "sound", "发热怎么办", 1)
	if got, _, err := s.Clip(ctx, want.ID); got.Title != renamed.Title || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err := s.Clips(ctx, ""); len(all) != 1 || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestBytesThatAreNotTheClipsAreRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	c := playlist.Clip{ID: idOf("sound"), Title: "x"}
	if err := s.AddClip(t.Context(), c, strings.NewReader("noise")); !errors.Is(err, data.ErrWrongHash) {
		t.Error(err)
	}
	for _, id := range []playlist.ClipID{"", "../../etc/passwd", playlist.ClipID(strings.ToUpper(string(c.ID)))} {
		if err := s.AddClip(t.Context(), playlist.Clip{ID: id}, strings.NewReader("sound")); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "clips")); len(left) > 0 {
		t.Error("left behind:", left)
	}
	if all, _ := s.Clips(t.Context(), ""); len(all) > 0 {
		t.Error(all)
	}
}

func TestAddingAClipAgainRestoresItsFile(t *testing.T) {
	tests := []struct {
		name string
		harm func(t *testing.T, path string)
		want error
	}{
		{"when it is gone", func(t *testing.T, path string) { must(t, os.Remove(path)) }, data.ErrNoFile},
		{"when a bit of it has flipped", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("soune"), 0o600))
		}, data.ErrWrongHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			c := addClip(t, s, "sound", "发热", 1)
			tt.harm(t, s.ClipPath(c.ID))
			if err := s.VerifyClip(t.Context(), c.ID); !errors.Is(err, tt.want) {
				t.Error(err)
			}
			addClip(t, s, "sound", "发热", 1)
			must(t, s.VerifyClip(t.Context(), c.ID))
		})
	}
}

func TestClipsAreOrderedBySeriesIssueAndTitle(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	for _, c := range []struct {
		title string
		issue int
	}{{"b", 2}, {"c", 10}, {"a", 2}, {"d", 1}, {"10e", 0}, {"9e", 0}} {
		addClip(t, s, c.title, c.title, c.issue)
	}
	c := playlist.Clip{ID: idOf("other"), Title: "x", Series: "农时"}
	must(t, s.AddClip(ctx, c, strings.NewReader("other")))
	all, err := s.Clips(ctx, "健康微课堂")
	must(t, err)
	var got string
	for _, c := range all {
		got += c.Title
	}
	if got != "9e10edabc" {
		t.Error(got)
	}
	if all, err := s.Clips(ctx, ""); len(all) != 7 || err != nil {
		t.Error(len(all), err)
	}
}

func TestASourceImportedAgainIsKnown(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	c := addClip(t, s, "sound", "发热", 1)
	src := playlist.ClipSource{Path: "/in/a.wav", Size: 9, MTime: due, SHA256: string(clipID("9")), Recipe: "air 1"}
	must(t, s.NoteSource(ctx, src, c.ID))
	other := func(f func(*playlist.ClipSource)) playlist.ClipSource {
		o := src
		f(&o)
		return o
	}
	tests := []struct {
		name string
		ask  playlist.ClipSource
		want bool
	}{
		{"the same file, not modified", other(func(s *playlist.ClipSource) { s.SHA256 = "" }), true},
		{"modified, its hash not given", other(func(s *playlist.ClipSource) { s.SHA256, s.MTime = "", due.Add(1) }), false},
		{"modified, its hash the same", other(func(s *playlist.ClipSource) { s.MTime = due.Add(1) }), true},
		{"a copy elsewhere", other(func(s *playlist.ClipSource) { s.Path = "/in/b.wav" }), true},
		{"by other settings", other(func(s *playlist.ClipSource) { s.Recipe = "air 2" }), false},
		{"of another size", other(func(s *playlist.ClipSource) { s.Size, s.SHA256 = 10, "" }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, ok, err := s.SourceKnown(ctx, tt.ask)
			if ok != tt.want || err != nil || ok && id != c.ID {
				t.Errorf("%s, %v, %v", id, ok, err)
			}
		})
	}
	must(t, os.Remove(s.ClipPath(c.ID)))
	if _, ok, err := s.SourceKnown(ctx, src); ok || err != nil {
		t.Error("known though the clip is gone", err)
	}
}

func TestFiguresAreStoredAsJSON(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	c := addClip(t, s, "sound", "发热", 1)
	if f, err := s.Figures(ctx, c.ID); f != nil || err != nil {
		t.Errorf("%s, %v", f, err)
	}
	want := json.RawMessage(`{"lufs":-16.1}`)
	must(t, s.SetFigures(ctx, c.ID, want))
	if f, err := s.Figures(ctx, c.ID); string(f) != string(want) || err != nil {
		t.Errorf("%s, %v", f, err)
	}
	if err := s.SetFigures(ctx, c.ID, json.RawMessage("{")); err == nil {
		t.Error("kept what is not JSON")
	}
	if err := s.SetFigures(ctx, clipID("f"), want); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
}

func TestShedDeletesClipsNotAiredForLongestAndKeepsTheNeeded(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	var ids []playlist.ClipID
	for i := range 4 {
		ids = append(ids, addClip(t, s, fmt.Sprint("sound", i), "x", i).ID)
	}
	// Clip 0 aired recently, clip 1 must be kept.
	r := row("square", 1, 0, ids[0])
	r.Due, r.Outcome = due.AddDate(0, 0, 30), asrun.Complete
	must(t, s.Record(ctx, r))
	keep := func(id playlist.ClipID) bool { return id == ids[1] }
	freed, err := s.Shed(ctx, 12, keep)
	if freed != 12 || err != nil {
		t.Errorf("freed %d, %v", freed, err)
	}
	for i, want := range []error{nil, nil, data.ErrNoFile, data.ErrNoFile} {
		c, _, err := s.Clip(ctx, ids[i])
		if !errors.Is(err, want) || c.Title != "x" {
			t.Errorf("clip %d: %+v, %v", i, c, err)
		}
	}
	freed, err = s.Shed(ctx, 1000, keep)
	if freed != 6 || err != nil {
		t.Errorf("freed %d, %v", freed, err)
	}
	for row, err := range s.AsRun(ctx, data.Query{}) {
		if row.Title != "发热" || err != nil {
			t.Errorf("the log forgot the title: %+v, %v", row, err)
		}
	}
	if all, _ := s.Clips(ctx, ""); len(all) != 1 {
		t.Error(all)
	}
}

func TestOrphansAreFilesThatBelongToNoClip(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	now := time.Now().Add(time.Minute)
	o := options()
	o.Now = func() time.Time { return now }
	s, err := data.Open(ctx, dir, o)
	must(t, err)
	defer func() { _ = s.Close() }()
	addClip(t, s, "sound", "发热", 1)
	half := filepath.Join(dir, "clips", ".abc-1.tmp")
	must(t, os.WriteFile(half, nil, 0o600))
	if all, err := s.Orphans(ctx); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	now = now.Add(2 * time.Hour)
	stray := filepath.Join(dir, "clips", "holiday.mp3")
	must(t, os.WriteFile(stray, nil, 0o600))
	if all, err := s.Orphans(ctx); len(all) != 2 || all[0] != half || all[1] != stray || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	must(t, s.Tend(ctx))
	if all, err := s.Orphans(ctx); len(all) != 1 || all[0] != stray || err != nil {
		t.Errorf("after tending: %v, %v", all, err)
	}
}

func TestARemovedClipWhoseFileStillExistsIsPresentAgain(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	o := options()
	o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	s, err := data.Open(ctx, dir, o)
	must(t, err)
	defer func() { _ = s.Close() }()
	whole, torn, gone := addClip(t, s, "whole", "a", 1), addClip(t, s, "torn", "b", 2), addClip(t, s, "gone", "c", 3)
	for _, c := range []playlist.Clip{whole, torn, gone} {
		must(t, s.RemoveClipFile(ctx, c.ID))
	}
	// As if power had failed before the files were deleted.
	must(t, os.WriteFile(s.ClipPath(whole.ID), []byte("whole"), 0o644))
	must(t, os.WriteFile(s.ClipPath(torn.ID), []byte("to"), 0o644))
	stray := s.ClipPath(clipID("f"))
	must(t, os.WriteFile(stray, nil, 0o644))
	must(t, s.Tend(ctx))
	if all, err := s.Clips(ctx, ""); err != nil || len(all) != 1 || all[0].ID != whole.ID {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := s.Orphans(ctx); err != nil || len(all) != 1 || all[0] != stray {
		t.Errorf("%v, %v", all, err)
	}
	if freed, err := s.Shed(ctx, 100, func(playlist.ClipID) bool { return false }); err != nil || freed != whole.Size {
		t.Errorf("freed %d, %v", freed, err)
	}
}

func TestShedSkipsAFileThatCannotBeDeleted(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	stuck := addClip(t, s, "stuck", "a", 1)
	must(t, os.Remove(s.ClipPath(stuck.ID)))
	must(t, os.MkdirAll(filepath.Join(s.ClipPath(stuck.ID), "more"), 0o755))
	later := playlist.Clip{ID: idOf("later"), Title: "b"}
	must(t, s.AddClip(ctx, later, strings.NewReader("later")))
	r := row("square", 1, 0, later.ID)
	r.Due, r.Outcome = due.AddDate(0, 0, 30), asrun.Complete
	must(t, s.Record(ctx, r))
	freed, err := s.Shed(ctx, 5, func(playlist.ClipID) bool { return false })
	if freed != 5 || err == nil {
		t.Errorf("freed %d, %v", freed, err)
	}
	if all, err := s.Clips(ctx, ""); err != nil || len(all) != 1 || all[0].ID != stuck.ID {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhichClipsReplacedWhich(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	a, b := addClip(t, s, "old", "洗手", 3), addClip(t, s, "new", "洗手", 3)
	must(t, s.ReplaceClip(ctx, a.ID, b.ID))
	check := func(want playlist.Lineage) {
		t.Helper()
		if l, err := s.Lineage(ctx); err != nil || !maps.Equal(l, want) {
			t.Errorf("%v, %v; want %v", l, err, want)
		}
	}
	check(playlist.Lineage{a.ID: b.ID})
	must(t, s.ReplaceClip(ctx, b.ID, a.ID)) // back to the old one: never each by the other
	check(playlist.Lineage{b.ID: a.ID})
	must(t, s.ReplaceClip(ctx, b.ID, ""))
	check(playlist.Lineage{})

	must(t, s.NoteSource(ctx, playlist.ClipSource{Path: "/x.mp3", Size: 3, Recipe: "r"}, a.ID))
	if id, err := s.SourceClip(ctx, "/x.mp3"); id != a.ID || err != nil {
		t.Errorf("%s, %v", id, err)
	}
	if id, err := s.SourceClip(ctx, "/y.mp3"); id != "" || err != nil {
		t.Errorf("%s, %v", id, err)
	}
	a.Title, a.Series, a.Issue, a.Tags = "洗手七步", "安全", 0, nil
	must(t, s.DescribeClip(ctx, a))
	if got, _, err := s.Clip(ctx, a.ID); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("%+v, %v", got, err)
	}
	a.ID = clipID("f")
	if err := s.DescribeClip(ctx, a); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
}

func TestAClipThatIsForgottenIsNewWhenItComesAgain(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	a, b, c := addClip(t, s, "a", "洗手", 3), addClip(t, s, "b", "洗手", 3), addClip(t, s, "c", "洗手", 3)
	must(t, s.ReplaceClip(ctx, a.ID, b.ID))
	must(t, s.ReplaceClip(ctx, b.ID, c.ID))
	src := playlist.ClipSource{Path: "/b.mp3", Size: 1, SHA256: "5a", Recipe: "r"}
	must(t, s.NoteSource(ctx, src, b.ID))
	must(t, s.ForgetClip(ctx, b.ID))
	if _, _, err := s.Clip(ctx, b.ID); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
	if _, ok, err := s.SourceKnown(ctx, src); ok || err != nil {
		t.Errorf("its source is known: %v, %v", ok, err)
	}
	if l, err := s.Lineage(ctx); err != nil || !maps.Equal(l, playlist.Lineage{a.ID: c.ID}) {
		t.Errorf("%v, %v", l, err)
	}
	must(t, s.ForgetClip(ctx, c.ID))
	if l, err := s.Lineage(ctx); err != nil || len(l) > 0 {
		t.Errorf("%v, %v", l, err)
	}
	if err := s.ForgetClip(ctx, c.ID); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
}
