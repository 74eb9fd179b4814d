package data

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/playlist/say"
)

// WorkAsOwner has a process of root work as the owner of the data folder dir from now
// on, for good: what it makes there can then be used by the daemon of that user. It
// changes nothing if this is not root, or if root owns the folder or has yet to make it.
// A program calls it once it knows the folder, before it opens anything in it. It returns
// the name of the user as whom the process now works; empty if nothing has changed.
func WorkAsOwner(dir string) (name string, err error) {
	fi, err := os.Stat(dir)
	if os.Geteuid() != 0 || dir == "" || err != nil || !fi.IsDir() {
		return "", nil // who opens the folder tells what is wrong with it
	}
	st := fi.Sys().(*syscall.Stat_t)
	if st.Uid == 0 {
		return "", nil
	}
	o := ownerOf(st)
	if err := syscall.Setgroups(o.groups); errors.Is(err, unix.EPERM) {
		return "", nil // a root that may not become anybody else, as in some containers
	} else if err != nil {
		return "", say.M("store.not_owner", dir, o.name, err)
	}
	err = errors.Join(syscall.Setgid(o.gid), syscall.Setuid(int(st.Uid)))
	if err == nil {
		// Else the user's other programs, such as "dalaba devices", do not see which files
		// this process has open.
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err != nil {
		return "", say.M("store.not_owner", dir, o.name, err)
	}
	if o.home != "" {
		err = os.Setenv("HOME", o.home) // of root's, nothing can be read
	}
	if unix.Access(os.TempDir(), toMake) != nil {
		err = errors.Join(err, os.Unsetenv("TMPDIR"))
	}
	return o.name, err
}

// owner is a user as whom a process can work.
type owner struct {
	name, home string
	gid        int
	groups     []int
}

// ownerOf returns the owner of a folder. One that the machine does not know has the
// folder's group.
func ownerOf(st *syscall.Stat_t) owner {
	o := owner{name: UserName(st.Uid), gid: int(st.Gid)}
	if u, err := user.LookupId(strconv.FormatUint(uint64(st.Uid), 10)); err == nil {
		o.home = u.HomeDir
		if gid, err := strconv.Atoi(u.Gid); err == nil {
			o.gid = gid
		}
		all, _ := u.GroupIds() // such as audio
		for _, g := range all {
			if gid, err := strconv.Atoi(g); err == nil {
				o.groups = append(o.groups, gid)
			}
		}
	}
	if len(o.groups) == 0 {
		o.groups = []int{o.gid}
	}
	return o
}

// CanRead returns an error for the operator if this user may not read a file or folder
// that the operator names. Whatever else is wrong with it is left to who reads it.
func CanRead(path string) error {
	mode := uint32(unix.R_OK)
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		mode |= unix.X_OK
	}
	if err := Me().May(path, mode); errors.Is(err, fs.ErrPermission) {
		return fault{err, say.M("store.unread_file", path, Me().Name)}
	}
	return nil
}
