package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/ingest"
	"dalaba/playlist/say"
)

// secrets makes a folder that is not the inbox's. It may be read, but nothing in it is
// handed in.
func secrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"good.mp3", "secret.txt", "good.toml"} {
		write(t, filepath.Join(dir, name), []byte("a secret"))
	}
	return dir
}

func unharmed(t *testing.T, dir string) {
	t.Helper()
	if got := tree(t, dir); !slices.Equal(got, []string{"good.mp3", "good.toml", "secret.txt"}) {
		t.Errorf("elsewhere there is %q", got)
	}
	for _, name := range tree(t, dir) {
		if text := string(read(t, filepath.Join(dir, name))); text != "a secret" {
			t.Errorf("%s is %q", name, text)
		}
	}
}

func TestTheInboxReachesNothingElsewhere(t *testing.T) {
	link := func(at string, to func(elsewhere string) string) func(*testing.T, string, string) {
		return func(t *testing.T, dir, elsewhere string) {
			path := filepath.Join(dir, at)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to(elsewhere), path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	itself := func(elsewhere string) string { return elsewhere }
	file := func(name string) func(string) string {
		return func(elsewhere string) string { return filepath.Join(elsewhere, name) }
	}
	const both = "refused/bad.mp3 taken/good.mp3 taken/sub/more.mp3"
	for _, tt := range []struct {
		name  string
		put   func(t *testing.T, dir, elsewhere string)
		there string // files that are there in the end
	}{
		{"nothing is wrong", func(*testing.T, string, string) {}, both},
		{"taken is a link to another folder", link("taken", itself), "refused/bad.mp3 good.mp3 sub/more.mp3"},
		{"refused is a link to another folder", link("refused", itself), "bad.mp3 taken/good.mp3"},
		{"a folder in taken is a link to another folder", link("taken/sub", itself), "taken/good.mp3 sub/more.mp3"},
		{"a folder in taken is a link to the inbox", link("taken/sub", func(string) string { return "../.." }), "taken/good.mp3 sub/more.mp3"},
		{"a note is a link to a file elsewhere", link("refused/bad.mp3.txt", file("secret.txt")), both},
		{"a note is a link to what is not there", link("refused/bad.mp3.txt", file("new.txt")), both},
		{"a taken file is a link to a file elsewhere", link("taken/good.mp3", file("secret.txt")), "taken/good (2).mp3 refused/bad.mp3"},
		{"a folder is a link to another folder", link("album.link", itself), both},
		{"a list names a file through a link", func(t *testing.T, dir, elsewhere string) {
			link("album.link", itself)(t, dir, elsewhere)
			put(t, dir, "all.m3u", "album.link/good.mp3\n")
		}, both + " refused/all.m3u refused/all.m3u.txt"},
		{"what belongs to a sound is a link to a file elsewhere", link("good.toml", file("good.toml")), both + " taken/good.toml"},
		{"folders are very deep", func(t *testing.T, dir, _ string) {
			put(t, dir, strings.Repeat("d/", 200)+"deep.mp3", "good")
		}, both + " " + strings.Repeat("d/", 200) + "deep.mp3"},
		{"a name has bytes that are no letters", func(t *testing.T, dir, _ string) { put(t, dir, "\xff\x1b[2J\n.mp3", "bad") }, both + " refused/\xff\x1b[2J\n.mp3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			elsewhere := secrets(t)
			dir, err := os.MkdirTemp("", "inbox") // watch goes by the path
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			watch(t, dir, func(taken func() []string) {
				tt.put(t, dir, elsewhere)
				put(t, dir, "good.mp3", "good")
				put(t, dir, "sub/more.mp3", "good")
				put(t, dir, "bad.mp3", "bad")
				pause(30 * time.Second)
				if got := taken(); !slices.Equal(got, []string{"good.mp3", "more.mp3"}) {
					t.Errorf("taken: %q", got)
				}
			})
			unharmed(t, elsewhere)
			got := tree(t, dir)
			names := strings.Split(tt.there, " ")
			for n, name := range names {
				if name == "(2).mp3" {
					continue
				}
				if n+1 < len(names) && names[n+1] == "(2).mp3" {
					name += " (2).mp3"
				}
				if !slices.Contains(got, name) {
					t.Errorf("%s is not in %q", name, got)
				}
			}
		})
	}
}

// become exchanges a folder for a link to another one.
func become(t *testing.T, dir, elsewhere string) {
	t.Helper()
	if err := errors.Join(os.Rename(dir, dir+".was"), os.Symlink(elsewhere, dir)); err != nil {
		t.Fatal(err)
	}
}

// A program may exchange a folder for a link after its files were found.
func TestAFolderThatBecomesALinkIsNotFollowed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		collect func(g *ingest.Ingester, dir string) ingest.Collection
	}{
		{"a file in an inbox", func(g *ingest.Ingester, dir string) ingest.Collection {
			return g.CollectIn(dir, []string{filepath.Join(dir, "sub", "good.mp3")})
		}},
		{"a file in a folder that is imported", func(g *ingest.Ingester, dir string) ingest.Collection {
			return g.Collect([]string{dir})
		}},
		{"a file that a list names", func(g *ingest.Ingester, dir string) ingest.Collection {
			return g.Collect([]string{filepath.Join(dir, "all.m3u")})
		}},
		{"a file that a list in an inbox names", func(g *ingest.Ingester, dir string) ingest.Collection {
			return g.CollectIn(dir, []string{filepath.Join(dir, "all.m3u")})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, dir, elsewhere := &ingest.Ingester{}, t.TempDir(), secrets(t)
			put(t, dir, "sub/good.mp3", "good")
			put(t, dir, "all.m3u", "sub/good.mp3\n")
			found := tt.collect(g, dir)
			if len(found.Items) != 1 {
				t.Fatalf("%+v", found)
			}
			f, err := g.Open(found.Items[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			become(t, filepath.Join(dir, "sub"), elsewhere)
			if f, err := g.Open(found.Items[0]); !errors.Is(err, ingest.ErrRefused) {
				t.Errorf("opened: %v, %v", f, err)
			}
			if m, err := g.Said(found.Items[0]); !errors.Is(err, ingest.ErrRefused) {
				t.Errorf("the file beside it was read: %v, %v", m, err)
			}
			if out, err := g.Take(t.Context(), found.Items[0], newShelf(t), nil); !errors.Is(err, ingest.ErrRefused) {
				t.Errorf("taken: %v, %v", out, err)
			}
		})
	}
}

func TestAFolderThatBecomesALinkIsNotMovedFrom(t *testing.T) {
	dir, elsewhere := t.TempDir(), secrets(t)
	synctest.Test(t, func(t *testing.T) {
		b := &ingest.Inbox{
			Dir: dir, Collect: new(ingest.Ingester).CollectIn, Language: say.Chinese, Log: slog.New(slog.DiscardHandler),
			Take: func(context.Context, ingest.Item) (ingest.Outcome, error) {
				become(t, filepath.Join(dir, "sub"), elsewhere)
				return ingest.Outcome{}, nil
			},
		}
		put(t, dir, "sub/good.mp3", "12345678") // as long as the other, and as old
		if err := os.Chtimes(filepath.Join(elsewhere, "good.mp3"), time.Time{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		pause(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	unharmed(t, elsewhere)
}

// A hard link is a second name: it gives away a file that its maker may not read.
func TestAPrivateFileOfAnotherUserIsNotReadByASecondName(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "good.mp3")
	write(t, path, []byte("good"))
	for _, tt := range []struct {
		name    string
		mode    os.FileMode
		owner   int
		names   int
		refused bool
	}{
		{"a private file of another user", 0o600, 4711, 2, true},
		{"a file of another user that everybody may read", 0o644, 4711, 2, false},
		{"a file of the user to whom the folder belongs", 0o600, 0, 2, false},
		{"a file with one name", 0o600, 4711, 1, false},
	} {
		err := errors.Join(os.Chown(path, tt.owner, 0), os.Chmod(path, tt.mode))
		if tt.names == 2 {
			err = errors.Join(err, os.Link(path, path+".2"))
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := new(ingest.Ingester).Open(ingest.Item{Path: path})
		if errors.Is(err, ingest.ErrRefused) != tt.refused || !tt.refused && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			f.Close()
		}
		if tt.names == 2 {
			if err := os.Remove(path + ".2"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnInboxWithTooManyFilesIsTold(t *testing.T) {
	dir := t.TempDir()
	for n := range 20_010 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%05d.mp3", n)))
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		b := &ingest.Inbox{Dir: dir, Settle: 100 * 365 * 24 * time.Hour, Every: time.Minute, Language: say.Chinese, Log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		pause(150 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if n := strings.Count(log.String(), "inbox holds too many files"); n != 1 || !strings.Contains(log.String(), "count=20000") {
		t.Errorf("the log has %s", log.String())
	}
}
