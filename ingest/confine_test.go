package ingest_test

import (
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/ingest"
)

// attempts are what a child that was taken over might try; each returns nil if it
// worked. The arguments are a folder, an address and this process.
var attempts = map[string]func(dir, addr string, pid int) error{
	"write a file": func(dir, _ string, _ int) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) },
	"overwrite a file": func(dir, _ string, _ int) error {
		f, err := os.OpenFile(filepath.Join(dir, "old"), os.O_WRONLY, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	},
	"empty a file":  func(dir, _ string, _ int) error { return os.Truncate(filepath.Join(dir, "old"), 0) },
	"remove a file": func(dir, _ string, _ int) error { return os.Remove(filepath.Join(dir, "old")) },
	"move a file": func(dir, _ string, _ int) error {
		return os.Rename(filepath.Join(dir, "old"), filepath.Join(os.TempDir(), "moved"))
	},
	"make a link": func(dir, _ string, _ int) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "link")) },
	"connect": func(_, addr string, _ int) error {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			err = c.Close()
		}
		return err
	},
	"open a unix socket":          func(string, string, int) error { _, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
	"send a datagram":             func(string, string, int) error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); return err },
	"signal its parent":           func(_, _ string, pid int) error { return syscall.Kill(pid, syscall.SIGURG) }, // which Go ignores
	"lower its parent's priority": func(_, _ string, pid int) error { return unix.Setpriority(unix.PRIO_PROCESS, pid, 19) },
	"lower the priority of all of its user's": func(string, string, int) error {
		return unix.Setpriority(unix.PRIO_USER, 0, 19)
	},
	"make its parent idle": func(_, _ string, pid int) error {
		return unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	},
	"limit its parent": func(_, _ string, pid int) error {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &old); err != nil {
			return err
		}
		return unix.Prlimit(pid, unix.RLIMIT_CORE, &old, nil)
	},
	"open a file's mode": func(dir, _ string, _ int) error { return os.Chmod(filepath.Join(dir, "old"), 0o644) },
	"give a file away": func(dir, _ string, _ int) error {
		return os.Lchown(filepath.Join(dir, "old"), os.Getuid(), os.Getgid())
	},
	"change a file's times": func(dir, _ string, _ int) error {
		return os.Chtimes(filepath.Join(dir, "old"), time.Unix(0, 0), time.Unix(0, 0))
	},
	"mark a file": func(dir, _ string, _ int) error {
		return unix.Setxattr(filepath.Join(dir, "old"), "user.x", []byte("x"), 0)
	},
	"make a namespace": func(string, string, int) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"name the machine": func(string, string, int) error {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return err
		}
		return unix.Sethostname([]byte(unix.ByteSliceToString(u.Nodename[:])))
	},
	"type into a terminal": func(string, string, int) error {
		err := unix.IoctlSetInt(0, unix.TIOCSTI, 0)
		if err == unix.EACCES {
			return err
		}
		return nil // it was allowed, and failed as there is no terminal
	},
	"trace its parent": func(_, _ string, pid int) error { return unix.PtraceSeize(pid) },
	"read its parent's memory": func(_, _ string, pid int) error {
		b := make([]byte, 1)
		_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 1}}, []unix.RemoteIovec{{Base: 1, Len: 1}}, 0)
		if err == unix.EFAULT { // it was allowed
			return nil
		}
		return err
	},
}

// TestBreakOut is no test: it is the child of the next one, and writes which attempts
// worked.
func TestBreakOut(t *testing.T) {
	if flag.NArg() != 4 {
		t.Skip("the child of another test")
	}
	pid, err := strconv.Atoi(flag.Arg(2))
	if err != nil {
		t.Fatal(err)
	}
	worked := map[string]bool{}
	for name, try := range attempts {
		worked[name] = try(flag.Arg(0), flag.Arg(1), pid) == nil
	}
	text, err := json.Marshal(worked)
	if err == nil {
		err = os.WriteFile(flag.Arg(3), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAChildThatIsTakenOverReachesNothing(t *testing.T) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		version = 0
		t.Log("this kernel has no Landlock: files are not tried")
	}
	// Temporary folders are among the few places where a child may write.
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(cache, "dalaba-confine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if strings.HasPrefix(dir, "/tmp/") {
		version = 0
		t.Log("there is no folder but temporary ones: files are not tried")
	}
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	result := filepath.Join(t.TempDir(), "result")
	g := ingester(t)
	g.Speech.Command = []string{os.Args[0], "-test.run=^TestBreakOut$", dir, l.Addr().String(), strconv.Itoa(os.Getpid()), result}
	if _, err := g.Text(t.Context(), "咳嗽", ingest.Meta{Title: "咳嗽"}, nil); err == nil {
		t.Error("what is no sound was taken for one")
	}
	worked := map[string]bool{}
	if err := json.Unmarshal(read(t, result), &worked); err != nil || len(worked) != len(attempts) {
		t.Fatalf("%v: %v", worked, err)
	}
	needs := map[string]uintptr{
		"write a file": 1, "overwrite a file": 1, "remove a file": 1, "move a file": 1, "make a link": 1, "empty a file": 3, "signal its parent": 6,
	}
	for name, ok := range worked {
		if ok && version >= needs[name] {
			t.Errorf("it could %s", name)
		}
	}
	if text := read(t, filepath.Join(dir, "old")); version >= 3 && string(text) != "old" {
		t.Errorf("the file now says %q", text)
	}
}
