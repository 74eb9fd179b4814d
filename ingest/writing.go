package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"dalaba/data/shared"

	"golang.org/x/sys/unix"
)

// beingWritten reports whether a program on this machine, as far as that can be
// known, has a file open to write it. The kernel says so of a file that is ours,
// on most file systems, by refusing a read lease (fcntl(2)); of others, the open
// files of the programs whose /proc may be read do.
func beingWritten(dir *shared.Folder, name string) bool {
	f, err := dir.Open(name)
	if err != nil {
		return false // importing it says what is wrong
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) // closing it does the same
		return false
	} else if errors.Is(err, unix.EAGAIN) {
		return true
	}
	return openToWrite(info)
}

// openToWrite looks for a file among the open files of all programs.
func openToWrite(info os.FileInfo) bool {
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, fd := range open {
		if of, err := os.Stat(fd); err != nil || !os.SameFile(of, info) {
			continue
		}
		about, err := os.ReadFile(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
		if err != nil {
			continue // it was closed
		}
		_, rest, _ := strings.Cut(string(about), "flags:")
		line, _, _ := strings.Cut(rest, "\n")
		flags, err := strconv.ParseInt(strings.TrimSpace(line), 8, 64)
		if err == nil && flags&int64(os.O_WRONLY|os.O_RDWR) != 0 {
			return true
		}
	}
	return false
}
