package shared_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/shared"
	"dalaba/playlist/say"
)

// ground makes a folder of others and one elsewhere, with links from the one to the
// other and all kinds of things that are no files.
func ground(t *testing.T) (f *shared.Folder, dir, elsewhere string) {
	t.Helper()
	dir, elsewhere = t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if err := errors.Join(
		os.WriteFile(filepath.Join(elsewhere, "secret"), []byte("a secret"), 0o600),
		os.WriteFile(at("file"), []byte("a file"), 0o600),
		os.MkdirAll(at("sub/deeper"), 0o755),
		os.WriteFile(at("sub/file"), []byte("a file"), 0o600),
		os.Symlink(filepath.Join(elsewhere, "secret"), at("link")),
		os.Symlink(filepath.Join(elsewhere, "new"), at("nowhere")),
		os.Symlink(elsewhere, at("away")),
		os.Symlink("sub", at("inside")),
		os.Symlink("file", at("same")),
		syscall.Mkfifo(at("pipe"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if f, err = shared.Open(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir, elsewhere
}

func read(f *shared.Folder, name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

func TestNothingIsDoneThroughALinkOrToWhatIsNoFile(t *testing.T) {
	open := func(f *shared.Folder, name string) error {
		file, err := f.Open(name)
		if err == nil {
			err = file.Close()
		}
		return err
	}
	create := func(f *shared.Folder, name string) error {
		file, err := f.Create(name)
		if err == nil {
			err = file.Close()
		}
		return err
	}
	replace := func(f *shared.Folder, name string) error {
		return f.Replace(name, func(w io.Writer) error {
			_, err := io.WriteString(w, "of the attacker")
			return err
		})
	}
	makeSub := func(f *shared.Folder, name string) error {
		sub, err := f.MakeSub(name)
		if err == nil {
			err = sub.Close()
		}
		return err
	}
	remove := func(f *shared.Folder, name string) error { return f.Remove(name) }
	moveTo := func(f *shared.Folder, name string) error {
		_, err := f.Move("file", name)
		return err
	}
	moveFrom := func(f *shared.Folder, name string) error {
		_, err := f.Move(name, "moved")
		return err
	}
	note := func(f *shared.Folder, name string) error { return f.Note(name, "a note", time.Unix(1, 0)) }
	for _, tt := range []struct {
		name string
		do   func(*shared.Folder, string) error
		at   string
		want error // nil: it is done
	}{
		{"a file is read", open, "file", nil},
		{"a file in a folder is read", open, "sub/file", nil},
		{"a link to a file elsewhere is not read", open, "link", shared.ErrLink},
		{"a link to a file beside it is not read", open, "same", shared.ErrLink},
		{"a file is not read through a link to a folder elsewhere", open, "away/secret", shared.ErrLink},
		{"a file is not read through a link to a folder beside it", open, "inside/file", shared.ErrLink},
		{"a pipe is not waited for", open, "pipe", shared.ErrSpecial},
		{"a socket is not read", open, "socket", shared.ErrSpecial},
		{"a folder is not read", open, "sub", shared.ErrFolder},
		{"a file is no folder", open, "file/a", shared.ErrFile},
		{"a pipe is no folder, and is not waited for", open, "pipe/a", shared.ErrFile},
		{"nothing above is read", open, "../a", fs.ErrInvalid},
		{"nothing is read by its full path", open, "/etc/passwd", fs.ErrInvalid},
		{"a file that is there is not made", create, "file", fs.ErrExist},
		{"a file is not made through a link that leads nowhere", create, "nowhere", fs.ErrExist},
		{"a file is not made in a folder elsewhere", create, "away/new", shared.ErrLink},
		{"a file is made in a new folder", create, "a/b/new", nil},
		{"a link is replaced, and what it leads to is not", replace, "link", nil},
		{"a folder is not replaced", replace, "sub", shared.ErrFolder},
		{"nothing is replaced in a folder elsewhere", replace, "away/secret", shared.ErrLink},
		{"a folder is not made elsewhere", makeSub, "away/new", shared.ErrLink},
		{"a folder is not made in the place of a link", makeSub, "nowhere", shared.ErrLink},
		{"nothing elsewhere is removed", remove, "away/secret", shared.ErrLink},
		{"a link is removed itself", remove, "link", nil},
		{"a folder is not removed", remove, "sub/deeper", fs.ErrPermission},
		{"nothing is moved elsewhere", moveTo, "away/file", shared.ErrLink},
		{"nothing is moved onto a file elsewhere, but beside the link", moveTo, "link", nil},
		{"nothing is moved from elsewhere", moveFrom, "away/secret", shared.ErrLink},
		{"of a link the link is moved", moveFrom, "link", nil},
		{"a note is not written into a file elsewhere, but beside the link", note, "link", nil},
		{"a note is not written elsewhere", note, "away/note", shared.ErrLink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _, elsewhere := ground(t)
			err := tt.do(f, tt.at)
			if tt.want == fs.ErrPermission && errors.Is(err, syscall.EISDIR) {
				err = tt.want // Linux says so of a folder
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v", err)
			}
			if shared.Misplaced(tt.want) && (!shared.Misplaced(err) || say.In(say.Chinese, err) == say.In(say.English, err)) {
				t.Errorf("it says %q", say.In(say.Chinese, err))
			}
			left, err := os.ReadDir(elsewhere)
			if err != nil || len(left) != 1 {
				t.Errorf("elsewhere there is %v, %v", left, err)
			}
			if text, err := os.ReadFile(filepath.Join(elsewhere, "secret")); string(text) != "a secret" {
				t.Errorf("the file elsewhere is %q, %v", text, err)
			}
		})
	}
}

func TestAThingThatIsMovedOverwritesNothing(t *testing.T) {
	f, dir, _ := ground(t)
	for n, want := range []string{"sub/file (2)", "sub/file (3)"} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("another"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Move("file", "sub/file"); got != want || err != nil {
			t.Errorf("move %d: %q, %v", n, got, err)
		}
	}
	if text, err := read(f, "sub/file"); string(text) != "a file" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestANoteBearsTheTimeThatItIsGiven(t *testing.T) {
	f, _, _ := ground(t)
	at := time.Unix(1e9, 123456789)
	if err := f.Note("a.txt", "text", at); err != nil {
		t.Fatal(err)
	}
	info, err := f.Lstat("a.txt")
	if err != nil || !info.ModTime().Equal(at) {
		t.Errorf("%v, %v", info.ModTime(), err)
	}
}

func TestAWalkFollowsNoLinkAndEnds(t *testing.T) {
	f, dir, _ := ground(t)
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", shared.MostDeep+5)), 0o755); err != nil {
		t.Fatal(err)
	}
	walk := func(most int) (names []string, deep int, err error) {
		err = f.Walk(most, func(name string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, shared.ErrDeep):
				deep++
			case err != nil:
				return err
			case strings.HasPrefix(name, "d/"):
			default:
				names = append(names, name)
			}
			return nil
		})
		slices.Sort(names)
		return names, deep, err
	}
	names, deep, err := walk(1000)
	want := []string{"away", "d", "file", "inside", "link", "nowhere", "pipe", "same", "socket", "sub", "sub/deeper", "sub/file"}
	if !slices.Equal(names, want) || deep != 1 || err != nil {
		t.Errorf("%v, %d too deep, %v", names, deep, err)
	}
	for n := range 50 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("sub/deeper/%d", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if names, _, err := walk(20); !errors.Is(err, shared.ErrMany) || len(names) > 20 {
		t.Errorf("%d things, %v", len(names), err)
	}
}

// The top folder is the operator's choice, however it is reached.
func TestTheFolderItselfMayBeReachedByALink(t *testing.T) {
	_, dir, _ := ground(t)
	link := filepath.Join(t.TempDir(), "stick")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	f, err := shared.Make(link)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := read(f, "sub/file"); string(text) != "a file" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, tt := range []struct {
		dir, path, name string
		ok              bool
	}{
		{link, filepath.Join(link, "sub/file"), "sub/file", true},
		{link, filepath.Join(dir, "sub/file"), "sub/file", true},
		{link, filepath.Join(dir, "../file"), "", false},
	} {
		if name, ok := shared.Rel(tt.dir, tt.path); ok != tt.ok || ok && name != tt.name {
			t.Errorf("%s in %s is %q, %v", tt.path, tt.dir, name, ok)
		}
	}
}

// A folder that this user may enter and not list gives the file whose name is known.
func TestAFolderNeedNotBeListedToBeEntered(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may list every folder")
	}
	f, dir, _ := ground(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Chmod(sub, 0o100); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(sub, 0o700) }()
	if text, err := read(f, "sub/file"); string(text) != "a file" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	within, err := f.Sub("sub")
	if err != nil {
		t.Fatal(err)
	}
	defer within.Close()
	if err := within.Each(10, func(fs.DirEntry) error { return nil }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("it was listed: %v", err)
	}
}

// A program exchanges a folder for a link, and back, as fast as it can.
func TestARaceLeadsNowhereElse(t *testing.T) {
	f, dir, elsewhere := ground(t)
	if err := errors.Join(os.WriteFile(filepath.Join(elsewhere, "file"), []byte("a secret"), 0o600), os.Symlink(elsewhere, filepath.Join(dir, "evil"))); err != nil {
		t.Fatal(err)
	}
	sub, evil := filepath.Join(dir, "sub"), filepath.Join(dir, "evil")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, sub, unix.AT_FDCWD, evil, unix.RENAME_EXCHANGE); err != nil {
				stopped <- err
				return
			}
		}
	}()
	times := 0
	for range 3000 {
		if text, err := read(f, "sub/file"); err == nil {
			times++
			if string(text) != "a file" {
				t.Fatalf("it read %q", text)
			}
		}
		_ = f.Note("sub/new", "", time.Time{})
		_ = f.Remove("sub/new")
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 2 {
		t.Errorf("elsewhere there is %v, %v", left, err)
	}
	t.Logf("the file was read %d times", times)
}

// In a folder that others may write, a second name of root's private file may be theirs,
// whoever has the folder.
func TestASecondNameOfAPrivateFileIsNotReadWhereOthersMayHaveMadeIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder to a group")
	}
	for _, tt := range []struct {
		name   string
		folder fs.FileMode
		group  int
		file   fs.FileMode
		names  int
		read   bool
	}{
		{"in one's own folder it is read", 0o755, 0, 0o600, 2, true},
		{"in a folder that one's own group may write it is read", 0o775, 0, 0o600, 2, true},
		{"in a folder that all may write it is not", 0o777, 0, 0o600, 2, false},
		{"in a folder like /tmp it is not", 0o777 | fs.ModeSticky, 0, 0o600, 2, false},
		{"in a folder that a group may write it is not", 0o775, 65534, 0o600, 2, false},
		{"nor if a group may read the file", 0o777, 0, 0o640, 2, false},
		{"a file that all may read is", 0o777, 0, 0o644, 2, true},
		{"a private file of one name is", 0o777, 0, 0o600, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			dir, file := filepath.Join(base, "inbox"), filepath.Join(base, "private")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, -1, tt.group), os.Chmod(dir, tt.folder),
				os.WriteFile(file, []byte("text"), 0o600), os.Chmod(file, tt.file), os.Link(file, filepath.Join(dir, "second"))); err != nil {
				t.Fatal(err)
			}
			if tt.names == 1 {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			f, err := shared.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if text, err := read(f, "second"); tt.read != (err == nil) || !tt.read && (!errors.Is(err, shared.ErrTwice) || len(text) > 0) {
				t.Errorf("it read %q, %v", text, err)
			}
		})
	}
}
