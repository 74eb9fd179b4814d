// Package secret reads and writes files that are for one user alone: private keys, tokens
// and passwords.
//
// It refuses a file that another user can read or exchange, and says how to mend it. What
// it writes is for its owner alone from the first byte, and never goes through a link that
// another user has made.
package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

const (
	forOwner = fs.FileMode(0o600)
	others   = fs.FileMode(0o077)

	// most is the size of the largest such file, with room: a TLS key with its chain.
	most = 1 << 20
)

// Refused says why a file may not hold a secret, and what to do. It is a
// [playlist.ErrInvalid].
type Refused struct{ What, Do say.Message }

func (r Refused) text() say.Message    { return say.M("store.bad_folder", r.What, r.Do) }
func (r Refused) Error() string        { return r.text().Error() }
func (r Refused) Unwrap() error        { return r.text() }
func (r Refused) Is(target error) bool { return target == playlist.ErrInvalid }

// Read reads a file. It refuses one that is no regular file, that users other than its
// owner may read or write, that belongs to a user other than this one or root, or that
// another user can exchange. From a disk on which that cannot be mended, such as most
// sticks, it reads it all the same; see [Warning].
func Read(path string) ([]byte, error) {
	f, _, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%s: %w", path, unix.EFBIG)
	}
	return text, err
}

// Warning says that a file that [Read] accepts is open to others all the same, because its
// disk keeps no modes or cannot be written; nil if it is not.
func Warning(path string) error {
	f, warning, err := open(path)
	if err != nil {
		return nil // Read has told it
	}
	return errors.Join(warning, f.Close())
}

// Check returns why [Read] would refuse a file; nil if it would not. It also accepts what
// belongs to a user as whom the program is going to work.
func Check(path string, as ...uint32) error {
	f, _, err := open(path, as...)
	if err != nil {
		return err
	}
	return f.Close()
}

// open opens a file for reading. What it checks is the file that it has opened, not what
// has the name a moment later.
func open(path string, as ...uint32) (f *os.File, warning, err error) {
	f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe must not hold us up
	if err != nil {
		return nil, nil, err
	}
	ours := func(uid uint32) bool { return Trusted(uid) || slices.Contains(as, uid) }
	warning, err = judge(f, path, ours)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, warning, nil
}

func judge(f *os.File, path string, ours func(uid uint32) bool) (warning, err error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, Refused{say.M("store.secret_no_file", path), say.M("store.secret_no_file_do")}
	}
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &disk); err != nil {
		return nil, err
	}
	modeless := slices.Contains(noModes, int64(uint32(disk.Type)))
	uid, mode := fi.Sys().(*syscall.Stat_t).Uid, fi.Mode().Perm()
	switch {
	case !modeless && !ours(uid):
		return nil, Refused{say.M("store.secret_owner", path, UserName(uid)), say.M("store.secret_owner_do", UserName(uint32(os.Geteuid())), path)}
	case mode&others == 0:
	case modeless || disk.Flags&unix.ST_RDONLY != 0:
		warning = Refused{say.M("store.secret_no_modes", path), say.M("store.secret_no_modes_do")}
	default:
		return nil, Refused{say.M("store.secret_open", path, fmt.Sprintf("%04o", mode)), say.M("store.secret_open_do", path)}
	}
	if modeless {
		return warning, nil
	}
	return warning, exchangeable(path, ours)
}

// exchangeable returns an error if another user can put another file in the place of this
// one, or of a link on the way to it.
func exchangeable(named string, ours func(uid uint32) bool) error {
	way, err := Way(named)
	if err != nil {
		return err
	}
	for _, e := range way {
		entry, err := os.Lstat(e.Path)
		if err != nil {
			return err
		}
		dir, err := os.Stat(e.Folder)
		if err != nil {
			return err
		}
		switch {
		case !ours(dir.Sys().(*syscall.Stat_t).Uid),
			Open(dir) && dir.Mode()&fs.ModeSticky == 0,
			Open(dir) && !ours(entry.Sys().(*syscall.Stat_t).Uid): // anybody may have put it there
			return Refused{say.M("store.secret_folder", named, e.Folder), say.M("store.secret_folder_do")}
		}
	}
	return nil
}

// Entry is a link on the way to a file, or the file, and the folder it is in.
type Entry struct{ Path, Folder string }

// Way returns the links that lead to a file, and at last the file. Who can exchange one of
// them in its folder decides what is read.
func Way(path string) (way []Entry, err error) {
	for range 40 { // as many links as Linux follows
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		way = append(way, Entry{path, folder})
		entry, err := os.Lstat(path)
		if err != nil || entry.Mode()&fs.ModeSymlink == 0 {
			return way, err
		}
		to, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(folder, to)
		}
		path = to
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
}

// Open reports whether users other than its owner and root may write a file or folder.
// The group of the owner's own number is the owner's alone, as Debian and Ubuntu make it,
// and the group 0 is root's; any other is of others.
func Open(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0: // it has no mode of its own
		return false
	case mode&0o020 != 0 && (!ok || st.Gid != 0 && st.Gid != st.Uid):
		return true
	}
	return mode&0o002 != 0
}

// Own reports whether a user is root or this one.
func Own(uid uint32) bool { return uid == 0 || uid == uint32(os.Geteuid()) }

// Trusted reports whether what a user owns may be believed: root's, this user's, and those
// of who called root's program by sudo. It is for what the caller names: a caller whom sudo
// allows one verb alone could else choose what root does.
func Trusted(uid uint32) bool {
	if Own(uid) {
		return true
	}
	by, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	return os.Geteuid() == 0 && err == nil && uid == uint32(by)
}

// UserName is the name of a user; the number if it has none.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// noModes are the kinds of file systems that keep neither owner nor mode of a file, by
// their numbers in statfs(2).
var noModes = []int64{
	unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.ISOFS_SUPER_MAGIC, unix.UDF_SUPER_MAGIC,
	0x7366746e, 0x5346544e, unix.FUSE_SUPER_MAGIC, // NTFS, by its three programs
}

// Write writes a file in the place of one that exists, whatever the mode of that was. A
// link is replaced, not followed.
func Write(path string, text []byte) error {
	folder := filepath.Dir(path)
	f, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(forOwner), renameio.WithTempDir(folder)) // WriteFile would keep the mode
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncFolder(folder)
}

// Create writes a new file. If there is one, or a link, it is left as it is and the error
// is [fs.ErrExist].
func Create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, forOwner)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder syncs a folder, so that a file just made in it is still there after a power
// cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
