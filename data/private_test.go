package data_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/say"
)

const stranger = 65534

// attack is what a stranger does to a data folder: he reads and locks what he can open,
// takes the names that stand for it, tells of each, and holds it all until he is killed.
// command is the one that locks.
func attack(dir string, command int) error {
	var held []any // so that nothing is closed
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		fmt.Println("opened", filepath.Base(path))
		lock := unix.Flock_t{Type: unix.F_RDLCK}
		if err := unix.FcntlFlock(f.Fd(), command, &lock); err == nil {
			fmt.Println("locked", filepath.Base(path))
		}
		held = append(held, f)
		return nil
	})
	var st unix.Stat_t
	if serr := unix.Stat(dir, &st); serr == nil {
		name := fmt.Sprintf("@dalaba-%x-%x", st.Dev, st.Ino)
		for _, n := range []string{name, name + "-A"} {
			if ln, lerr := net.Listen("unix", n); lerr == nil {
				fmt.Println("took a name")
				held = append(held, ln)
			}
		}
	}
	memory := data.Aside(dir)
	for _, p := range []string{"", ".control", ".control.new", ".lock"} {
		held = append(held, os.Mkdir(memory+p, 0o777))
	}
	fmt.Println("done")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, p := range []string{"", ".control", ".control.new", ".lock"} {
		_ = os.Remove(memory + p)
	}
	_ = held
	return err
}

// stranded makes a folder that another user can reach, and starts tasks of the test
// program as another user.
func stranded(t *testing.T) (dir string, as func(uid uint32, dir, task string) []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	top, err := os.MkdirTemp("", "dalaba-private-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(top)) })
	must(t, os.Chmod(top, 0o755))
	text, err := os.ReadFile(os.Args[0])
	must(t, err)
	program := filepath.Join(top, "test")
	must(t, os.WriteFile(program, text, 0o755))
	return filepath.Join(top, "data"), func(uid uint32, dir, task string) (told []string) {
		t.Helper()
		cmd := child(context.WithoutCancel(t.Context()), dir, task)
		cmd.Path, cmd.Dir = program, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		t.Cleanup(func() {
			must(t, in.Close())
			must(t, cmd.Wait())
		})
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "done" {
				return told
			}
			told = append(told, lines.Text())
		}
		t.Fatalf("%s ended: %q", task, told)
		return nil
	}
}

// leftOpen makes the data folder of an earlier program whose daemon was killed.
func leftOpen(t *testing.T, dir string) {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "data"))
	addClip(t, s, "sound", "发热", 1)
	record(t, s, 1)
	must(t, os.CopyFS(dir, os.DirFS(s.Dir())))
	must(t, os.WriteFile(filepath.Join(dir, "dalaba.lock"), []byte("1\n"), 0o600))
	must(t, s.Close())
	opened := 0
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		mode := fs.FileMode(0o644)
		if e.IsDir() {
			mode = 0o755
		}
		opened++
		return errors.Join(err, os.Chmod(path, mode))
	}))
	if opened < 8 {
		t.Fatalf("only %d files", opened)
	}
}

// openToOthers returns each file and folder that users other than the owner may use.
func openToOthers(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if fi.Mode().Perm()&0o077 != 0 {
			all = append(all, fi.Mode().String()+" "+path)
		}
		return err
	}))
	return all
}

func TestAllThatTheStoreMakesIsForItsOwnerAlone(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	dir := filepath.Join(t.TempDir(), "above", "data")
	held, err := data.Lock(dir)
	must(t, err)
	s := open(t, dir)
	addClip(t, s, "sound", "发热", 1)
	record(t, s, 1)
	if path, err := s.BackupDue(t.Context(), due, 7); path == "" || err != nil {
		t.Fatal(path, err)
	}
	must(t, data.NoteFailedStart(filepath.Join(dir, "x.toml"), dir, data.FailedStart{Kind: "x", Why: map[say.Lang]string{}}))
	if all := openToOthers(t, dir); len(all) > 0 {
		t.Errorf("while it is open: %q", all)
	}
	must(t, s.Close())
	// A damaged database is set aside, and the backup copied into its place.
	scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
	o := options()
	o.Lock = held
	s, err = data.Open(t.Context(), dir, o)
	must(t, err)
	if len(health(t, s).Losses) != 1 {
		t.Error("it was not restored")
	}
	if all := openToOthers(t, dir); len(all) > 0 {
		t.Errorf("restored: %q", all)
	}
	must(t, s.Close())
	must(t, held.Release())
	if fi, err := os.Stat(filepath.Dir(dir)); err != nil || fi.Mode().Perm()&0o055 != 0o055 {
		t.Errorf("the folder above is closed: %v, %v", fi.Mode(), err)
	}
}

func TestWhatAnEarlierProgramLeftOpenIsClosedAndTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	leftOpen(t, dir)
	linked := filepath.Join(t.TempDir(), "linked")
	must(t, os.Symlink(dir, linked))
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, nil, 0o644))
	must(t, os.Chmod(outside, 0o644))
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	held, err := data.Lock(dir)
	must(t, err)
	defer func() { must(t, held.Release()) }()
	var told strings.Builder
	p := data.MakePrivate(linked)
	p.Tell(slog.New(slog.NewTextHandler(&told, nil)), dir)
	if p.Mended < 8 || p.Left != nil || strings.Count(told.String(), "\n") != 1 || !strings.Contains(told.String(), "was open to other users") {
		t.Errorf("%+v: %s", p, told.String())
	}
	must(t, os.Remove(filepath.Join(dir, "link")))
	if all := openToOthers(t, dir); len(all) > 0 {
		t.Errorf("%q", all)
	}
	if fi, err := os.Stat(outside); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("a file outside, behind a link: %v, %v", fi.Mode(), err)
	}
	told.Reset()
	data.MakePrivate(dir).Tell(slog.New(slog.NewTextHandler(&told, nil)), dir)
	if told.Len() > 0 {
		t.Errorf("the second time: %s", told.String())
	}
	s := open(t, dir)
	if n := rowCount(t, s); n != 1 {
		t.Errorf("%d rows are left", n)
	}
	must(t, s.Close())
}

func TestADiskWhoseModesCannotBeChangedIsTold(t *testing.T) {
	dir := mounted(t, "32m")
	leftOpen(t, dir)
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	var told strings.Builder
	p := data.MakePrivate(dir)
	p.Tell(slog.New(slog.NewTextHandler(&told, nil)), dir)
	if p.Mended != 0 || !errors.Is(p.Left, data.ErrReadOnly) || strings.Count(told.String(), "\n") != 1 || !strings.Contains(told.String(), "stays open") {
		t.Errorf("%+v: %s", p, told.String())
	}
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, ""))
}

func TestAStrangerOpensNothingInADataFolder(t *testing.T) {
	dir, as := stranded(t)
	held, err := data.Lock(dir)
	must(t, err)
	s := open(t, dir)
	if got := as(stranger, dir, "attack"); len(got) != 2 || got[0] != "took a name" {
		t.Errorf("he %q", got)
	}
	record(t, s, 1)
	must(t, s.Close())
	must(t, held.Release())
}

// A stranger who came while the folder was open holds what he holds, though an earlier
// start may have closed it since.
func TestAStrangerKeepsNoDaemonFromStartingNorFromWriting(t *testing.T) {
	for _, c := range []struct {
		name, task string
		closed     bool
	}{
		{"locks of a process", "attack", false},
		{"locks of a process, in a folder that is closed by now", "attack", true},
		{"locks of an open file", "attack by file", false},
		{"locks of an open file, in a folder that is closed by now", "attack by file", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, as := stranded(t)
			leftOpen(t, dir)
			strangerComes(t, dir, as(stranger, dir, c.task), c.closed)
		})
	}
}

func strangerComes(t *testing.T, dir string, told []string, closed bool) {
	t.Helper()
	got := strings.Join(told, ", ")
	for _, want := range []string{"locked dalaba.db", "locked dalaba.db-shm", "locked dalaba.lock", "took a name, took a name"} {
		if !strings.Contains(got, want) {
			t.Fatalf("the attack is none: %s", got)
		}
	}
	if pid, ok := data.Running(dir); ok {
		t.Errorf("the stranger, %d, is taken for a daemon", pid)
	}
	if closed {
		for _, path := range openToOthers(t, dir) {
			path = path[strings.Index(path, "/"):]
			fi, err := os.Stat(path)
			must(t, errors.Join(err, os.Chmod(path, fi.Mode().Perm()&0o700)))
		}
	}
	held, err := data.Lock(dir)
	must(t, err)
	if p := data.MakePrivate(dir); p.Left != nil || closed == (p.Mended > 0) {
		t.Error(p)
	}
	if pid, ok := data.Running(dir); !ok || pid != os.Getpid() {
		t.Errorf("running: %d, %v", pid, ok)
	}
	if _, err := data.Lock(dir); !errors.Is(err, data.ErrLocked) {
		t.Errorf("a second daemon: %v", err)
	}
	o := options()
	o.Lock, o.Spare = held, true
	s, err := data.Open(t.Context(), dir, o)
	must(t, err)
	record(t, s, 2)
	if h := health(t, s); h.Volatile || rowCount(t, s) != 2 || len(h.Losses) > 0 {
		t.Errorf("%+v, %d rows", h, rowCount(t, s))
	}
	must(t, s.Close())
	must(t, held.Release())
	if pid, ok := data.Running(dir); ok {
		t.Errorf("%d still runs", pid)
	}
}

// The owner's own programs may read the database while the daemon starts.
func TestTheLocksOfTheOwnersProgramsStay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	record(t, s, 1)
	before, err := os.Stat(filepath.Join(dir, "dalaba.db-shm"))
	must(t, err)
	must(t, child(t.Context(), dir, "private").Run())
	after, err := os.Stat(filepath.Join(dir, "dalaba.db-shm"))
	must(t, err)
	if !os.SameFile(before, after) {
		t.Error("the file of locks was replaced")
	}
	must(t, s.Close())
}

func TestADatabaseThatRootHasLockedIsToldAsThat(t *testing.T) {
	dir, as := stranded(t)
	leftOpen(t, dir)
	held, err := data.Lock(dir)
	must(t, err)
	as(0, dir, "attack")
	data.MakePrivate(dir)
	o := options()
	o.Lock = held
	_, err = data.Open(t.Context(), dir, o)
	if !errors.Is(err, data.ErrInUse) || !strings.Contains(err.Error(), "another program holds locks on the database") {
		t.Errorf("%v", err)
	}
	must(t, held.Release())
}

// A disk that fails has the store go on in memory, where anybody may make files.
func TestAStrangerInTheSharedMemoryDoesNotKeepAStoreFromIt(t *testing.T) {
	dir, as := stranded(t)
	backedUp(t, dir)
	as(stranger, dir, "attack")
	s, err := data.OpenVolatile(t.Context(), dir, options())
	must(t, err)
	record(t, s, 50)
	must(t, s.Close())
}

// The daemon one version back holds the lock file, or a name if its disk could not be
// written.
func TestAnOldDaemonAndANewOneExcludeEachOther(t *testing.T) {
	oldLock := func(dir string) (*os.File, error) {
		f, err := os.OpenFile(filepath.Join(dir, "dalaba.lock"), os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		return f, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
	}
	dir, as := stranded(t)
	must(t, os.Mkdir(dir, 0o755))
	as(stranger, dir, "attack") // he has the name
	f, err := oldLock(dir)
	must(t, err)
	if _, err := data.Lock(dir); !errors.Is(err, data.ErrLocked) {
		t.Errorf("beside an old daemon: %v", err)
	}
	must(t, f.Close())
	held, err := data.Lock(dir)
	must(t, err)
	if f, err = oldLock(dir); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an old daemon beside a new one: %v", err)
	}
	must(t, f.Close())
	must(t, held.Release())

	dir = t.TempDir()
	var st unix.Stat_t
	must(t, unix.Stat(dir, &st))
	ln, err := net.Listen("unix", fmt.Sprintf("@dalaba-%x-%x", st.Dev, st.Ino))
	must(t, err)
	if _, err := data.Lock(dir); !errors.Is(err, data.ErrLocked) {
		t.Errorf("beside an old daemon with a name: %v", err)
	}
	must(t, ln.Close())
}

// importAsOwner is a verb that root runs on the folder of another user.
func importAsOwner(dir string) error {
	as, err := data.WorkAsOwner(dir, "")
	if err != nil {
		return err
	}
	s, err := data.Open(context.Background(), dir, options())
	if err == nil {
		err = s.Close()
	}
	self, serr := os.Stat("/proc/self/fd")
	if err = errors.Join(err, serr); err != nil {
		return err
	}
	groups, err := os.Getgroups()
	fmt.Println(as.User != "", os.Getuid(), os.Geteuid(), os.Getegid(), groups, self.Sys().(*syscall.Stat_t).Uid, syscall.Setuid(0) != nil,
		data.CanRead("/proc/1/environ"))
	fmt.Println(as.Given > 0, as.Left)
	fmt.Println("done")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestAVerbOfRootWorksAsTheOwnerOfTheFolder(t *testing.T) {
	dir, as := stranded(t)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, stranger, stranger))
	got := strings.Join(as(0, dir, "import"), "\n")
	if want := "true 65534 65534 65534 [65534] 65534 true the user nobody may not read /proc/1/environ; copy it to"; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if fi.Sys().(*syscall.Stat_t).Uid != stranger {
			t.Errorf("%s belongs to %d", path, fi.Sys().(*syscall.Stat_t).Uid)
		}
		return err
	}))
	must(t, os.Chown(dir, 0, 0))
	if got := as(0, dir, "import"); !strings.HasPrefix(got[0], "false 0 0 0") {
		t.Errorf("in a folder of root: %q", got)
	}
}

// A program of release 0.1 that root ran left its files to root, though the folder is another's.
func TestTheOwnerOfAFolderGetsWhatRootHasMadeThereAndNothingElse(t *testing.T) {
	dir, as := stranded(t)
	leftOpen(t, dir)
	must(t, os.Chown(dir, stranger, stranger))
	outside := filepath.Join(filepath.Dir(dir), "outside")
	must(t, os.Mkdir(outside, 0o700))
	shadow, linked := filepath.Join(outside, "shadow"), filepath.Join(dir, "hard")
	must(t, os.WriteFile(shadow, nil, 0o600))
	must(t, os.Link(shadow, linked))
	must(t, os.Symlink(outside, filepath.Join(dir, "soft")))
	other := filepath.Join(dir, "other")
	must(t, os.WriteFile(other, nil, 0o600))
	must(t, os.Chown(other, 4321, 4321))
	told := as(0, dir, "import")
	if !strings.HasPrefix(told[0], "true 65534") || !strings.Contains(told[len(told)-1], "hard: too many links") {
		t.Errorf("%q", told)
	}
	uid := func(path string) uint32 {
		fi, err := os.Lstat(path)
		must(t, err)
		return fi.Sys().(*syscall.Stat_t).Uid
	}
	for path, want := range map[string]uint32{shadow: 0, linked: 0, outside: 0, filepath.Join(dir, "soft"): 0, other: 4321} {
		if got := uid(path); got != want {
			t.Errorf("%s belongs to %d", path, got)
		}
	}
	for _, name := range []string{"dalaba.db", "dalaba.lock", "clips", "backup"} {
		if got := uid(filepath.Join(dir, name)); got != stranger {
			t.Errorf("%s belongs to %d", name, got)
		}
	}
}
