package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// private makes a folder and in it a file as they should be.
func private(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "key")
	must(t, os.Chmod(dir, 0o700), secret.Create(file, []byte("secret")))
	return dir, file
}

func TestASecretThatOthersCanReadOrExchangeIsRefused(t *testing.T) {
	stranger := func(t *testing.T, paths ...string) {
		t.Helper()
		if os.Geteuid() != 0 {
			t.Skip("only root can give files away")
		}
		for _, p := range paths {
			must(t, os.Lchown(p, 65534, 65534))
		}
	}
	grouped := func(t *testing.T, path string, gid int) {
		t.Helper()
		if os.Geteuid() != 0 {
			t.Skip("only root can give files away")
		}
		must(t, os.Chown(path, -1, gid))
	}
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, dir, file string) string // returns what is read
		says  string                                      // empty: it is read
	}{
		{"as it should be", func(_ *testing.T, _, file string) string { return file }, ""},
		{"readable by all", func(t *testing.T, _, file string) string { must(t, os.Chmod(file, 0o644)); return file }, "(mode 0644)"},
		{"readable by the group", func(t *testing.T, _, file string) string { must(t, os.Chmod(file, 0o640)); return file }, "(mode 0640)"},
		{"writable by the group", func(t *testing.T, _, file string) string { must(t, os.Chmod(file, 0o620)); return file }, "(mode 0620)"},
		{"writable by others", func(t *testing.T, _, file string) string { must(t, os.Chmod(file, 0o602)); return file }, "(mode 0602)"},
		{"in a folder that all can write", func(t *testing.T, dir, file string) string { must(t, os.Chmod(dir, 0o777)); return file }, "can exchange it in the folder"},
		{"in a folder that a group can write", func(t *testing.T, dir, file string) string {
			grouped(t, dir, 65534)
			must(t, os.Chmod(dir, 0o770))
			return file
		}, "can exchange it in the folder"},
		{"in a folder that the group 0 can write", func(t *testing.T, dir, file string) string {
			grouped(t, dir, 0)
			must(t, os.Chmod(dir, 0o775))
			return file
		}, ""},
		{"in a folder like /tmp", func(t *testing.T, dir, file string) string { must(t, os.Chmod(dir, 0o777|fs.ModeSticky)); return file }, ""},
		{"behind a link of one's own", func(t *testing.T, _, file string) string {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(file, link))
			return link
		}, ""},
		{"behind a link to an open file", func(t *testing.T, _, file string) string {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Chmod(file, 0o644), os.Symlink(file, link))
			return link
		}, "(mode 0644)"},
		{"behind a link in a folder that all can write", func(t *testing.T, _, file string) string {
			open := t.TempDir()
			link := filepath.Join(open, "link")
			must(t, os.Symlink(file, link), os.Chmod(open, 0o777))
			return link
		}, "can exchange it in the folder"},
		{"behind a link through a folder that all can write", func(t *testing.T, _, file string) string {
			open := t.TempDir()
			first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(open, "second")
			must(t, os.Symlink(second, first), os.Symlink(file, second), os.Chmod(open, 0o777))
			return first
		}, "can exchange it in the folder"},
		{"in another user's folder", func(t *testing.T, dir, file string) string { stranger(t, dir); return file }, "can exchange it in the folder"},
		{"behind a link of another user's folder", func(t *testing.T, _, file string) string {
			theirs := t.TempDir()
			link := filepath.Join(theirs, "link")
			must(t, os.Symlink(file, link))
			stranger(t, theirs)
			return link
		}, "can exchange it in the folder"},
		{"behind a link of another user in a folder like /tmp", func(t *testing.T, _, file string) string {
			shared := t.TempDir()
			link := filepath.Join(shared, "link")
			must(t, os.Symlink(file, link), os.Chmod(shared, 0o777|fs.ModeSticky))
			stranger(t, link)
			return link
		}, "can exchange it in the folder"},
		{"of another user", func(t *testing.T, _, file string) string { stranger(t, file); return file }, "belongs to another user, nobody"},
		{"a pipe", func(t *testing.T, dir, _ string) string {
			pipe := filepath.Join(dir, "pipe")
			must(t, syscall.Mkfifo(pipe, 0o600))
			return pipe
		}, "no regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SUDO_UID", "")
			dir, file := private(t)
			path := c.plant(t, dir, file)
			text, err := secret.Read(path)
			if c.says == "" {
				if err != nil || string(text) != "secret" {
					t.Errorf("read %q, %v", text, err)
				}
				return
			}
			if !errors.Is(err, playlist.ErrInvalid) || !strings.Contains(say.In(say.English, err), c.says) || len(text) > 0 {
				t.Errorf("read %q, %v; want %q", text, err, c.says)
			}
			if zh := say.In(say.Chinese, err); !strings.Contains(zh, path) || !strings.Contains(zh, "，") {
				t.Errorf("the operator reads %q", zh)
			}
			if err := secret.Check(path); !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestARefusedSecretIsMendedByTheCommandThatIsTold(t *testing.T) {
	_, file := private(t)
	must(t, os.Chmod(file, 0o664))
	_, err := secret.Read(file)
	if err == nil || !strings.Contains(err.Error(), `"chmod 600 `+file+`"`) {
		t.Fatalf("told %v", err)
	}
	must(t, os.Chmod(file, 0o600))
	if _, err := secret.Read(file); err != nil {
		t.Error(err)
	}
}

// A key on a stick that keeps no modes is used where it is, and it is told.
func TestAnOpenSecretOnADiskThatCannotBeMendedIsReadAndTold(t *testing.T) {
	dir, file := private(t)
	must(t, os.Chmod(file, 0o644))
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("no disk can be mounted here: ", err)
	}
	defer func() { must(t, syscall.Unmount(dir, 0)) }()
	if _, err := secret.Read(file); err == nil {
		t.Error("it is read though its disk keeps modes")
	}
	must(t, syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if text, err := secret.Read(file); err != nil || string(text) != "secret" {
		t.Errorf("read %q, %v", text, err)
	}
	if err := secret.Warning(file); err == nil || !strings.Contains(say.In(say.Chinese, err), "改不了权限") {
		t.Errorf("told %v", err)
	}
	_, good := private(t)
	if err := secret.Warning(good); err != nil {
		t.Errorf("of a good one it is told %v", err)
	}
}

func TestAFileTooLargeForASecretIsNotRead(t *testing.T) {
	dir, _ := private(t)
	file := filepath.Join(dir, "sparse")
	must(t, os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<40))
	if _, err := secret.Read(file); !errors.Is(err, syscall.EFBIG) {
		t.Error(err)
	}
}

// What is written is for its owner alone, whatever lay there before.
func TestASecretIsWrittenForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir, _ := private(t)
	victim := filepath.Join(dir, "victim")
	must(t, os.WriteFile(victim, []byte("untouched"), 0o644))
	for _, c := range []struct {
		name  string
		plant func(path string) error
	}{
		{"nothing", func(string) error { return nil }},
		{"an open file", func(path string) error { return os.WriteFile(path, nil, 0o666) }},
		{"a link", func(path string) error { return os.Symlink(victim, path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
			must(t, c.plant(path))
			if c.name != "nothing" {
				if err := secret.Create(path, []byte("new")); !errors.Is(err, fs.ErrExist) {
					t.Errorf("Create: %v", err)
				}
			}
			must(t, secret.Write(path, []byte("new")))
			fi, err := os.Lstat(path)
			if err != nil || fi.Mode() != 0o600 {
				t.Errorf("it is %v, %v", fi.Mode(), err)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "untouched" {
				t.Errorf("the link's target holds %q, %v", text, err)
			}
		})
	}
}

func TestWhoCalledRootBySudoIsTrustedWithHisOwnFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, file := private(t)
	must(t, os.Chown(dir, 65534, 65534), os.Chown(file, 65534, 65534))
	t.Setenv("SUDO_UID", "65534")
	if _, err := secret.Read(file); err != nil {
		t.Error(err)
	}
	t.Setenv("SUDO_UID", "1")
	if _, err := secret.Read(file); err == nil {
		t.Error("another user's file was read")
	}
}

// Debian and Ubuntu give each user a group of the same number, and let it write what the
// user makes.
func TestTheGroupOfAUserAloneIsNoOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Setenv("SUDO_UID", "65533")
	dir, file := private(t)
	must(t, os.Chown(dir, 65533, 65533), os.Chmod(dir, 0o775))
	if _, err := secret.Read(file); err != nil {
		t.Error(err)
	}
	must(t, os.Chown(dir, 65533, 65534))
	if _, err := secret.Read(file); err == nil {
		t.Error("a file in a folder that another group can write was read")
	}
}
