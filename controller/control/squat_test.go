package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"dalaba/data"
)

// Whoever has taken a place of the socket, the daemon listens in another, where its
// clients find it.
func TestNoStrangerKeepsTheDaemonFromItsSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make what belongs to another user")
	}
	const stranger = 65534
	foreign := func(path string) error {
		return errors.Join(os.Mkdir(path, 0o777), os.Chmod(path, 0o777), os.Chown(path, stranger, stranger))
	}
	type folders struct{ run, dir string }
	inRun := func(f folders) string { return filepath.Join(f.run, socketName) }
	inData := func(f folders) string { return filepath.Join(f.dir, socketName) }
	for _, c := range []struct {
		name   string
		attack func(f folders) error
		group  int
		want   func(f folders) string
	}{
		{"nobody attacks", func(folders) error { return nil }, -1, inRun},
		{"the run folder is the stranger's", func(f folders) error { return os.Chown(f.run, stranger, -1) }, -1, inData},
		{"anybody may write in the run folder", func(f folders) error { return os.Chmod(f.run, 0o1777) }, -1, inData},
		{"the lock is a link to another file", func(f folders) error {
			return os.Symlink(filepath.Join(f.dir, "victim"), filepath.Join(f.run, "control.lock"))
		}, -1, inData},
		{"the run folder is a link to nothing", func(f folders) error {
			return errors.Join(os.Remove(f.run), os.Symlink("/nowhere/run", f.run))
		}, -1, inData},
		{"there is a group, which cannot look into the data folder", func(f folders) error { return os.Chmod(f.run, 0o1777) }, 987,
			func(f folders) string { return inMemory(f.dir) }},
		{"there is a group, and a stranger has its place", func(f folders) error {
			return errors.Join(os.Chmod(f.run, 0o1777), foreign(inMemory(f.dir)+".new"), os.WriteFile(inMemory(f.dir)+".new/x", nil, 0o600))
		}, 987, inData},
	} {
		f := folders{t.TempDir(), t.TempDir()}
		t.Setenv("RUNTIME_DIRECTORY", f.run)
		t.Cleanup(func() {
			for _, end := range []string{"", ".new"} {
				_ = os.RemoveAll(inMemory(f.dir) + end)
			}
		})
		if err := c.attack(f); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		l, err := listen(f.dir, access{group: c.group})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if l.path != c.want(f) {
			t.Errorf("%s: it listens at %s, want %s", c.name, l.path, c.want(f))
		}
		if _, err := os.Stat(filepath.Join(f.dir, "victim")); err == nil {
			t.Errorf("%s: the link was followed", c.name)
		}
		found := false
		for _, path := range places(f.dir) {
			conn, err := net.Dial("unix", path)
			if found = err == nil; found {
				_ = conn.Close()
				break
			}
		}
		if !found {
			t.Errorf("%s: no client finds it", c.name)
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A socket that a stranger has put into the shared memory is not asked.
func TestAStrangersSocketIsNotAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make what belongs to another user")
	}
	dir := t.TempDir()
	path := inMemory(dir)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := unix.Lchown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, p := range places(dir) {
		if p == path {
			t.Errorf("%s is asked", p)
		}
	}
	if data.Ours(dir, path) {
		t.Error("it counts as the daemon's")
	}
}
