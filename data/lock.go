package data

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
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
	name net.Listener // if the disk takes no lock file
	work sync.WaitGroup
}

// Lock locks the store in dir for this process and makes dir if it does not
// exist. Programs that only write beside a running daemon need no lock. It
// returns [ErrLocked] if another process holds the store, and a [BadFolder] if
// the folder cannot be made or belongs to another user. If the disk cannot
// be written, the lock is a socket name made from the folder, which is known on
// this machine only.
func Lock(dir string) (*Held, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFileName(dir), os.O_RDWR|os.O_CREATE, 0o644)
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
	if pid, ok := nameHolder(dir); ok { // that daemon started while the disk could not be written
		return nil, errors.Join(fault{ErrLocked, say.M("store.locked", pid, dir)}, f.Close())
	}
	// A lock of the open file rather than of the process: others can test it
	// without taking it, and closing another descriptor does not drop it.
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		pid := holder(f)
		err = errors.Join(err, f.Close())
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fault{ErrLocked, say.M("store.locked", pid, dir)}
		}
		return nil, err
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
// file.
func lockName(dir string, why error) (*Held, error) {
	if pid, ok := Running(dir); ok {
		return nil, fault{ErrLocked, say.M("store.locked", pid, dir)}
	}
	name, err := nameOf(dir)
	if err != nil {
		return nil, explain(dir, errors.Join(why, err))
	}
	ln, err := net.Listen("unix", name)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fault{ErrLocked, say.M("store.locked", 0, dir)}
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
	f, err := os.Open(lockFileName(dir))
	if err != nil {
		return nameHolder(dir)
	}
	defer func() { _ = f.Close() }()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return nameHolder(dir)
	}
	return holder(f), true
}

// nameHolder reports whether a daemon holds the folder's socket name.
func nameHolder(dir string) (pid int, ok bool) {
	name, err := nameOf(dir)
	if err != nil {
		return 0, false
	}
	c, err := net.DialTimeout("unix", name, time.Second)
	if err != nil {
		return 0, false
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, true
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid, true
}

func holder(f *os.File) int {
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(b[:n])))
	return pid
}
