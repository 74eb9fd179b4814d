package data

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/data/sqlite"
)

// A data folder, a controller's or a county's, is for its owner alone: a user who can
// open a file of the database can lock it, and then no alert can be recorded.
const (
	privateFolder = fs.FileMode(0o700)
	privateFile   = fs.FileMode(0o600)
	forOthers     = fs.FileMode(0o077)
)

// Private is what [MakePrivate] did.
type Private struct {
	Mended int   // files and folders that were open to other users
	Left   error // the first that stays open to others, such as on a disk without modes; nil: none
}

// MakePrivate takes the rights of other users from a data folder and from all files and
// folders in it, and throws off the locks that they hold on a database there. The caller
// holds the folder and has not opened its store. It follows no links within the folder,
// and leaves alone a disk that is mounted there.
func MakePrivate(dir string) (p Private) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Private{Left: err}
	}
	var disk any
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var fi fs.FileInfo
		if err == nil {
			fi, err = e.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it went away meanwhile
		case err != nil:
			p.left(err)
			return nil
		}
		if path == dir {
			disk = device(fi)
		}
		if fi.IsDir() && device(fi) != disk {
			return fs.SkipDir
		}
		if !fi.IsDir() && !fi.Mode().IsRegular() {
			return nil
		}
		if fi.Mode().Perm()&forOthers != 0 {
			if err := closeToOthers(path, fi); err != nil {
				p.left(err)
				return nil
			}
			p.Mended++
		}
		if strings.HasSuffix(path, "-shm") {
			p.left(unlockShared(path))
		}
		return nil
	})
	p.left(err)
	return p
}

// Tell logs what was mended, and what could not be.
func (p Private) Tell(log *slog.Logger, dir string) {
	if p.Mended > 0 {
		log.Warn("data folder was open to other users and is closed", "path", dir, "files", p.Mended)
	}
	if p.Left != nil {
		log.Warn("data folder stays open to other users", "path", dir, "err", p.Left)
	}
}

func (p *Private) left(err error) {
	if p.Left == nil {
		p.Left = sqlite.Classify(err)
	}
}

func device(fi fs.FileInfo) any { return fi.Sys().(*syscall.Stat_t).Dev } // a number, of more or fewer bits

// closeToOthers takes the rights of other users from a file or folder. Some disks say
// that they did and do nothing.
func closeToOthers(path string, fi fs.FileInfo) error {
	mode := privateFile
	if fi.IsDir() {
		mode = privateFolder
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	fi, err := os.Lstat(path)
	if err == nil && fi.Mode().Perm()&forOthers != 0 {
		err = &fs.PathError{Op: "chmod", Path: path, Err: unix.EOPNOTSUPP}
	}
	return err
}

// unlockShared removes a database's file of locks: who could once open it can hold locks
// on it for as long as he likes, whatever its mode is now. The next program that opens the
// database makes a new one. It stays if a program of root or of the owner uses it.
func unlockShared(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	// If the lock can be had, nobody has any, and no program begins to use the file before
	// it is gone.
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock) != nil && lockedByUs(f) {
		return nil
	}
	return os.Remove(path)
}

// lockedByUs reports whether a process of root or of a file's owner holds a lock on it, as
// each does that has the database open. A lock of an open file rather than of a process,
// which no such program takes, may be a stranger's.
func lockedByUs(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil {
		return true
	}
	st := fi.Sys().(*syscall.Stat_t)
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(text)) {
		// 1: POSIX  ADVISORY  READ 26699 fe:00:9977889 128 128
		at := strings.Fields(line)
		if len(at) < 6 || at[1] != "POSIX" || !strings.HasSuffix(at[5], ":"+strconv.FormatUint(st.Ino, 10)) {
			continue
		}
		if uid, ok := realUser(at[4]); ok && (uid == 0 || uid == st.Uid) {
			return true
		}
	}
	return false
}

// realUser returns who started a process, whichever rights its program has, and whether
// that can be seen. A process can have its folder in /proc
// be root's.
func realUser(pid string) (uid uint32, ok bool) {
	text, _ := os.ReadFile(filepath.Join("/proc", pid, "status"))
	for line := range strings.Lines(string(text)) {
		if ids, is := strings.CutPrefix(line, "Uid:"); is {
			first, _, _ := strings.Cut(strings.TrimSpace(ids), "\t")
			n, err := strconv.ParseUint(first, 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}
