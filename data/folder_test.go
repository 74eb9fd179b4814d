package data_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalaba/data"
	"dalaba/playlist/say"
)

// What stands in the way of a data folder is named, with the remedy, before anything
// is made.
func TestAFolderThatCannotBeMadeSaysWhy(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Symlink("/nowhere/disk", filepath.Join(dir, "link")),
		os.MkdirAll(filepath.Join(dir, "shut", "in"), 0o700)); err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(dir, "shut")
	all := func(string, uint32) error { return nil }
	fails := func(err error) func(string, uint32) error {
		return func(_ string, mode uint32) error {
			if mode&2 == 0 { // it may be entered
				return nil
			}
			return err
		}
	}
	for _, c := range []struct {
		name, dir string
		may       func(string, uint32) error
		is        error
		want      string
	}{
		{"all is well", "a/b", all, nil, ""},
		{"the folder above belongs to another user", "a/b", fails(syscall.EACCES), fs.ErrPermission, "sudo install -d -o dalaba " + dir + "/a/b"},
		{"the folder belongs to another user", "shut", fails(syscall.EACCES), fs.ErrPermission, "sudo chown -R dalaba " + dir + "/shut"},
		{"a folder above may not be entered", "shut/in/data", func(p string, _ uint32) error {
			if strings.HasPrefix(p, shut) {
				return syscall.EACCES
			}
			return nil
		}, fs.ErrPermission, "may not enter " + shut + ";"},
		{"the disk is read-only", "a", fails(syscall.EROFS), data.ErrReadOnly, "remount,rw"},
		{"the disk is full", "a", fails(syscall.ENOSPC), data.ErrFull, "is full; make room"},
		{"it is a file", "file", all, nil, dir + "/file is a file, not a folder"},
		{"it is below a file", "file/a/b", all, nil, dir + "/file is a file, not a folder"},
		{"it is below a link to nothing", "link/a", all, nil, dir + "/link is a link to /nowhere/disk"},
		{"it is a link to nothing", "link", all, nil, "it is a link to /nowhere/disk"},
	} {
		err := data.CheckFolder(filepath.Join(dir, c.dir), data.User{Name: "dalaba", May: c.may})
		text := say.In(say.English, err)
		if (err == nil) != (c.want == "") || !strings.Contains(text, c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if strings.Contains(say.In(say.Chinese, err), "%!") || strings.Contains(text, "%!") {
			t.Errorf("%s: %s", c.name, text)
		}
		if _, err := os.Lstat(filepath.Join(dir, "a")); err == nil {
			t.Fatalf("%s: it made the folder", c.name)
		}
	}
}

// To lock and to open a store say the same of it.
func TestAStoreBelowAFileOrALinkToNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/nowhere/disk", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "link", "data")
	_, locked := data.Lock(path)
	_, opened := data.Open(t.Context(), path, data.Options{Log: slog.New(slog.DiscardHandler)})
	for _, err := range []error{locked, opened} {
		if !errors.As(err, new(data.BadFolder)) || !strings.Contains(err.Error(), "link to /nowhere/disk") {
			t.Errorf("%v", err)
		}
	}
}
