package data

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/playlist/say"
)

// AsOwner is what [WorkAsOwner] did.
type AsOwner struct {
	User  string // as whom the process works now; empty: nothing has changed
	Given int    // files and folders in the data folder that were root's and are that user's now
	Left  error  // the first that is not
}

// Tell logs what was given to the owner of the data folder, and what was not.
func (o AsOwner) Tell(log *slog.Logger, dir string) {
	if o.User == "" {
		return
	}
	log.Info("root given up for the owner of the data folder", "user", o.User)
	if o.Given > 0 {
		log.Warn("files of root in the data folder given to its owner", "path", dir, "user", o.User, "files", o.Given)
	}
	if o.Left != nil {
		log.Warn("files of root in the data folder stay root's", "path", dir, "err", o.Left)
	}
}

// WorkAsOwner has a process of root work as the owner of the data folder dir from now
// on, for good: what it makes there can then be used by the daemon of that user. What root
// has made there, it first gives to that user. It changes nothing if this is not root, or
// if root owns the folder or has yet to make it. The process has the group of that name,
// too, if there is one. A program calls it once it knows the folder, before it opens
// anything in it.
func WorkAsOwner(dir, group string) (as AsOwner, err error) {
	if os.Geteuid() != 0 || dir == "" {
		return as, nil
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return as, nil // who opens the folder tells what is wrong with it
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid == 0 {
		return as, nil
	}
	o := ownerOf(st.Uid, st.Gid)
	if g, err := user.LookupGroup(group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			o.groups = append(o.groups, gid)
		}
	}
	if err := syscall.Setgroups(o.groups); errors.Is(err, unix.EPERM) {
		return as, nil // a root that may not become anybody else, as in some containers
	} else if err != nil {
		return as, say.M("store.not_owner", dir, o.name, err)
	}
	as.User = o.name
	as.give(fd, dir, &st)
	err = errors.Join(syscall.Setgid(o.gid), syscall.Setuid(int(st.Uid)))
	if err == nil {
		// Else the user's other programs, such as "dalaba devices", do not see which files
		// this process has open.
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err != nil {
		return AsOwner{}, say.M("store.not_owner", dir, o.name, err)
	}
	if o.home != "" {
		err = os.Setenv("HOME", o.home) // of root's, nothing can be read
	}
	if unix.Access(os.TempDir(), toMake) != nil {
		err = errors.Join(err, os.Unsetenv("TMPDIR"))
	}
	return as, err
}

// give gives root's files and folders in an open folder to the owner and group of the data
// folder. That owner may change the folder meanwhile: so each is looked at once it is held,
// and no links are followed. A file that has another name, too, stays: it may be one of the
// system's, for which the owner has made a name here. Other disks are left alone.
func (o *AsOwner) give(folder int, path string, top *unix.Stat_t) {
	fd, err := unix.Openat(folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		o.left("open", path, err)
		return
	}
	dir := os.NewFile(uintptr(fd), path)
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		o.left("read", path, err)
	}
	for _, name := range names {
		o.giveOne(fd, name, filepath.Join(path, name), top)
	}
}

func (o *AsOwner) giveOne(folder int, name, path string, top *unix.Stat_t) {
	fd, err := unix.Openat(folder, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.left("open", path, err)
		}
		return
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Dev != top.Dev {
		return
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if st.Uid == 0 && (isDir || st.Mode&unix.S_IFMT == unix.S_IFREG) {
		err := error(unix.EMLINK)
		if isDir || st.Nlink == 1 {
			err = unix.Fchownat(fd, "", int(top.Uid), int(top.Gid), unix.AT_EMPTY_PATH)
		}
		if err != nil {
			o.left("chown", path, err)
		} else {
			o.Given++
		}
	}
	if isDir {
		o.give(fd, path, top)
	}
}

func (o *AsOwner) left(op, path string, err error) {
	if o.Left == nil {
		o.Left = &fs.PathError{Op: op, Path: path, Err: err}
	}
}

// owner is a user as whom a process can work.
type owner struct {
	name, home string
	gid        int
	groups     []int
}

// ownerOf returns the owner of a folder. One that the machine does not know has the
// folder's group.
func ownerOf(uid, gid uint32) owner {
	o := owner{name: UserName(uid), gid: int(gid)}
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
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

// errUnread says that this user may not read a file; the text says what to do.
var errUnread = errors.New("the user may not read the file")

// CanRead returns an error for the operator if this user may not read a file or folder
// that the operator names. Whatever else is wrong with it is left to who reads it.
func CanRead(path string) error {
	mode, key := uint32(unix.R_OK), "store.unread_file"
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		mode, key = mode|unix.X_OK, "store.unread_folder"
	}
	if err := Me().May(path, mode); errors.Is(err, fs.ErrPermission) {
		return fault{errUnread, say.M(key, path, Me().Name)}
	}
	return nil
}

// Unread says that a user may not read the config or a file that it names, which stays
// where it is, and how to allow it.
type Unread struct{ What, Do say.Message }

func (u Unread) text() say.Message { return say.M("store.bad_folder", u.What, u.Do) }
func (u Unread) Error() string     { return u.text().Error() }
func (u Unread) Unwrap() error     { return u.text() }

// CanReadNamed is [CanRead] of the config or of a file that it names, for a user. The
// error is an [Unread].
func CanReadNamed(path string, u User) error {
	path = absolute(path)
	if err := u.May(path, unix.R_OK); !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if shut := closed(filepath.Dir(path), u); shut != "" {
		return Unread{say.M("store.unread_inside", path, u.Name, shut), say.M("store.unread_inside_do", path, u.Name, shut)}
	}
	return Unread{say.M("store.unread_named", path, u.Name), say.M("store.unread_named_do", path)}
}

// Mine reports whether this user owns a data folder, so that its daemon may read what
// this program may.
func Mine(dir string) bool {
	fi, err := os.Stat(dir)
	return err == nil && fi.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid())
}
