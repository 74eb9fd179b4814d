package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/data"
)

// stranger is a program for scripts: as another user, it opens and locks what it can of
// the data folder that it is given, takes the names that stand for that folder, tells of
// each on standard output, and holds it all until it is interrupted.
func stranger() {
	const nobody = 65534
	for _, err := range []error{syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)} {
		if err != nil {
			panic(err)
		}
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	dir := os.Args[1]
	var held []any
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		held = append(held, f)
		lock := unix.Flock_t{Type: unix.F_RDLCK}
		if unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock) == nil {
			fmt.Println("locked", filepath.Base(path))
		}
		return nil
	})
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		panic(err)
	}
	for _, end := range []string{"", "-A"} {
		if l, err := net.Listen("unix", fmt.Sprintf("@dalaba-%x-%x%s", st.Dev, st.Ino, end)); err == nil {
			fmt.Println("took a name")
			held = append(held, l)
		}
	}
	for _, end := range []string{"", ".control", ".control.new"} {
		if path := data.Aside(dir) + end; os.Mkdir(path, 0o777) == nil {
			fmt.Println("made", path)
			defer func() { _ = os.Remove(path) }()
		}
	}
	fmt.Println("ready")
	<-interrupted
	runtime.KeepAlive(held)
}
