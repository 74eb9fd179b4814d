package data

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/sqlite"
	"dalaba/playlist/say"
)

// ErrLocked says that another process holds the folder. Its text names the
// process.
var ErrLocked = errors.New("the store is in use")

// Held is a process's lock on a data folder, a controller's or a county's. It
// ends when the process ends, for whatever reason.
type Held struct {
	f    *os.File
	name net.Listener // if there is no lock on the file
	work sync.WaitGroup
}

// Lock locks the store in dir for this process and makes dir if it does not
// exist. Programs that only write beside a running daemon need no lock. It
// returns [ErrLocked] if another process holds the store, and a [BadFolder] if
// the folder cannot be made or belongs to another user. If the disk cannot
// be written, or another user has locked the lock file to read, the lock is a
// socket name made from the folder, which is known on this machine only.
//
// Only root and the owner of the folder can hold it: whatever other users lock
// and whichever names they take, they do not keep a daemon from starting.
func Lock(dir string) (*Held, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFileName(dir), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, privateFile)
	if err != nil {
		err = sqlite.Classify(err)
		if errors.Is(err, sqlite.ErrReadOnly) || errors.Is(err, sqlite.ErrFull) || errors.Is(err, sqlite.ErrDisk) {
			return lockName(dir, err)
		}
		if werr := CheckFolder(dir, Me()); werr != nil {
			return nil, werr
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, foreignFile(dir, lockFileName(dir), err)
		}
		return nil, explain(dir, err)
	}
	// A lock of the open file rather than of the process: others can test it
	// without taking it, and closing another descriptor does not drop it.
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		pid, held := fileHolder(f)
		err = errors.Join(err, f.Close())
		switch {
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			return nil, err
		case held:
			return nil, fault{ErrLocked, say.M("store.locked", pid, dir)}
		}
		return lockName(dir, err)
	}
	// Not before: see lockName.
	if pid, ok := nameHolder(dir, ""); ok {
		return nil, errors.Join(fault{ErrLocked, say.M("store.locked", pid, dir)}, f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	// On a full disk the lock holds without a process number in the file.
	if err != nil && !errors.Is(sqlite.Classify(err), sqlite.ErrFull) {
		return nil, errors.Join(err, f.Close())
	}
	return &Held{f: f}, nil
}

// lockName locks the folder by a socket name, because its disk takes no lock
// file or another user has locked that.
//
// It looks for the other holders once it has the name, as Lock does once it has
// the file: of two daemons that start at once, one at least sees the other.
func lockName(dir string, why error) (*Held, error) {
	if pid, ok := Running(dir); ok {
		return nil, fault{ErrLocked, say.M("store.locked", pid, dir)}
	}
	name, err := nameOf(dir)
	if err != nil {
		return nil, explain(dir, errors.Join(why, err))
	}
	ln, err := net.Listen("unix", name)
	if errors.Is(err, unix.EADDRINUSE) { // by another user, who cannot guess this one
		name += "-" + rand.Text()
		ln, err = net.Listen("unix", name)
	}
	if err != nil {
		return nil, explain(dir, errors.Join(why, err))
	}
	h := &Held{name: ln}
	h.work.Go(func() {
		for { // accept and close: the kernel tells the caller our process ID
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	pid, ok := nameHolder(dir, name)
	if f, err := os.Open(lockFileName(dir)); err == nil && !ok {
		pid, ok = fileHolder(f)
		_ = f.Close()
	}
	if ok {
		return nil, errors.Join(fault{ErrLocked, say.M("store.locked", pid, dir)}, h.Release())
	}
	return h, nil
}

// nameOf returns the socket name that stands for the folder, by whatever path
// it is reached.
func nameOf(dir string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", err
	}
	return fmt.Sprintf("@dalaba-%x-%x", st.Dev, st.Ino), nil
}

// Release releases the lock.
func (h *Held) Release() error {
	if h.name != nil {
		err := h.name.Close()
		h.work.Wait()
		return err
	}
	return h.f.Close()
}

// Running reports whether a daemon holds the store in dir, and its process ID;
// pid is 0 if that is not known.
func Running(dir string) (pid int, ok bool) {
	if f, err := os.Open(lockFileName(dir)); err == nil {
		pid, ok = fileHolder(f)
		_ = f.Close()
	}
	if ok {
		return pid, true
	}
	return nameHolder(dir, "")
}

// Hidden reports whether this user may not look into the folder, so that [Running]
// need not know of its daemon.
func Hidden(dir string) bool {
	return errors.Is(Me().May(existing(dir), toEnter), fs.ErrPermission)
}

// fileHolder reports whether a daemon holds the lock file. It looks for a lock to
// write only: a user who may just read the file can lock it to read.
func fileHolder(f *os.File) (pid int, ok bool) {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0, false
	}
	return holder(f), true
}

// nameHolder reports whether a daemon holds one of the folder's socket names, except
// our own.
func nameHolder(dir, own string) (pid int, ok bool) {
	name, err := nameOf(dir)
	if err != nil {
		return 0, false
	}
	for _, n := range namesLike(name) {
		if n == own {
			continue
		}
		if pid, ok := listenerAt(dir, n); ok {
			return pid, true
		}
	}
	return 0, false
}

// namesLike returns a socket name and all names in use that are made from it.
func namesLike(name string) []string {
	all := []string{name}
	text, _ := os.ReadFile("/proc/net/unix")
	for line := range strings.Lines(string(text)) {
		if i := strings.Index(line, name+"-"); i >= 0 {
			all = append(all, strings.TrimSuffix(line[i:], "\n"))
		}
	}
	return all
}

// listenerAt reports whether a user who may hold the folder dir listens at a socket
// name, which any user may take.
func listenerAt(dir, name string) (pid int, ok bool) {
	c, err := net.DialTimeout("unix", name, time.Second)
	if err != nil {
		return 0, false
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil && trusts(dir, cred.Uid) {
			pid, ok = int(cred.Pid), true
		}
	})
	return pid, ok
}

// trusts reports whether a user is root, the one of this process or the owner of the
// folder dir: what another has made stands for no daemon of it.
func trusts(dir string, uid uint32) bool {
	if uid == 0 || uid == uint32(os.Geteuid()) {
		return true
	}
	fi, err := os.Stat(dir)
	return err == nil && fi.Sys().(*syscall.Stat_t).Uid == uid
}

func holder(f *os.File) int {
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(b[:n])))
	return pid
}
