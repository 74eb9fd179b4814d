// Package shared works in folders into which other people put things: a stick, an
// inbox, the drop folder for alerts. The folder itself is named by the operator and may
// be reached through links. Nothing below it is: no link is followed, even one that
// is put there while the program looks, so that nothing is read, written, moved or deleted elsewhere. No
// pipe or device is opened, and nothing is overwritten.
//
// [os.Root] does less: it follows links that stay inside, and its OpenRoot waits for the
// writer of a pipe.
package shared

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The kinds of things that are not taken for a file or a folder. The errors have a
// [say.Message] that names the thing and says what to do.
var (
	ErrLink    = errors.New("a symbolic link")
	ErrTwice   = errors.New("a second name of a private file")
	ErrSpecial = errors.New("a pipe, a socket or a device")
	ErrFolder  = errors.New("a folder in the place of a file")
	ErrFile    = errors.New("a file in the place of a folder")
	ErrDeep    = errors.New("too many folders inside each other")
	ErrMany    = errors.New("too many files")
)

// fault is one of those.
type fault struct {
	kind error
	say.Message
}

func (f fault) Unwrap() error        { return f.Message }
func (f fault) Is(target error) bool { return target == f.kind }

func wrong(kind error, key, name string, args ...any) error {
	return fault{kind, say.M(key, append([]any{playlist.Legible(name)}, args...)...)}
}

// Misplaced reports whether an error is that something else lies where a file or a
// folder ought to be, which no further try will mend.
func Misplaced(err error) bool {
	for _, kind := range []error{ErrLink, ErrTwice, ErrSpecial, ErrFolder, ErrFile} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// Folder is an open folder. The names that its methods get are relative to it, and
// lead to nothing outside of it.
type Folder struct{ dir *os.File }

// Open opens a folder.
func Open(path string) (*Folder, error) {
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0) // which needs no right to list it
	if err != nil {
		return nil, err
	}
	return &Folder{dir}, nil
}

// Make is [Open] of a folder that is made if there is none.
func Make(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	return Open(path)
}

// Close closes the folder.
func (f *Folder) Close() error { return f.dir.Close() }

// Path returns the path of a thing in the folder, to name it.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir.Name(), name) }

// Rel returns the name in the folder of a file with that path, as the operator or the
// file system has it; ok is false if it is not in the folder.
func Rel(dir, path string) (name string, ok bool) {
	dir, err1 := filepath.Abs(dir)
	path, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return "", false
	}
	for _, at := range []func(string) (string, error){filepath.Abs, filepath.EvalSymlinks} {
		if top, err := at(dir); err == nil {
			if name, err = filepath.Rel(top, path); err == nil && filepath.IsLocal(name) {
				return name, true
			}
		}
	}
	return "", false
}

func (f *Folder) at() int { return int(f.dir.Fd()) }

// Sub opens a folder in the folder; "." is the folder itself.
func (f *Folder) Sub(name string) (*Folder, error) { return f.walkTo(name, false) }

// MakeSub is [Folder.Sub] of a folder that is made if there is none.
func (f *Folder) MakeSub(name string) (*Folder, error) { return f.walkTo(name, true) }

func (f *Folder) walkTo(name string, create bool) (*Folder, error) {
	name = filepath.Clean(name)
	if !filepath.IsLocal(name) {
		return nil, &fs.PathError{Op: "open", Path: f.Path(name), Err: fs.ErrInvalid}
	}
	at, path := f, f.dir.Name()
	for part := range strings.SplitSeq(name, "/") {
		path = filepath.Join(path, part)
		next, err := at.step(part, path, create)
		if at != f {
			err = errors.Join(err, at.Close())
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// step opens the folder of one name in the folder.
func (f *Folder) step(part, path string, create bool) (*Folder, error) {
	if create {
		if err := again(func() error { return unix.Mkdirat(f.at(), part, 0o755) }); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, &fs.PathError{Op: "mkdir", Path: path, Err: err}
		}
	}
	fd, err := openat(f.at(), part, unix.O_PATH|unix.O_DIRECTORY, 0)
	switch {
	case err == nil:
		return &Folder{os.NewFile(uintptr(fd), path)}, nil
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		if info, err := f.lstat(part, path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, wrong(ErrLink, "shared.link", path)
		}
		return nil, wrong(ErrFile, "shared.file", path)
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: err}
}

// openat opens a thing in a folder, if it is no link.
func openat(at int, name string, flags int, perm uint32) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		return err
	})
	return fd, err
}

// again calls f again if a signal interrupted it.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// parent opens the folder in which a thing is.
func (f *Folder) parent(name string) (dir *Folder, base string, err error) {
	dir, err = f.Sub(filepath.Dir(name))
	return dir, filepath.Base(name), err
}

func (f *Folder) lstat(base, path string) (fs.FileInfo, error) {
	fd, err := openat(f.at(), base, unix.O_PATH, 0) // which opens nothing, not even a pipe
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	info, err := file.Stat()
	return info, errors.Join(err, file.Close())
}

// Lstat describes a thing in the folder, a link too.
func (f *Folder) Lstat(name string) (info fs.FileInfo, err error) {
	dir, base, err := f.parent(name)
	if err != nil {
		return nil, err
	}
	info, err = dir.lstat(base, f.Path(name))
	return info, errors.Join(err, dir.Close())
}

// Open opens a regular file to read.
func (f *Folder) Open(name string) (file *os.File, err error) {
	dir, base, err := f.parent(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	path := f.Path(name)
	info, err := dir.lstat(base, path)
	if err == nil {
		err = dir.regular(info, path)
	}
	if err != nil {
		return nil, err
	}
	fd, err := openat(dir.at(), base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, wrong(ErrLink, "shared.link", path)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file = os.NewFile(uintptr(fd), path)
	if info, err = file.Stat(); err == nil { // it may have been exchanged
		err = dir.regular(info, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// regular returns an error for what is not a file to be read. A second name of a file
// (a hard link) is given to private files of others by those who may not read them, and
// want to hear or see what is in them. In a folder that is its owner's alone, the owner
// made it; in one that others may write, any of them may have.
func (f *Folder) regular(info fs.FileInfo, path string) error {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return wrong(ErrLink, "shared.link", path)
	case mode.IsDir():
		return wrong(ErrFolder, "shared.folder", path)
	case !mode.IsRegular():
		return wrong(ErrSpecial, "shared.special", path)
	}
	own, err := f.dir.Stat()
	if err != nil {
		return err
	}
	file, ok1 := info.Sys().(*syscall.Stat_t)
	dir, ok2 := own.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && file.Nlink > 1 && mode&0o004 == 0 && (file.Uid != dir.Uid || secret.Open(own)) {
		return wrong(ErrTwice, "shared.twice", path)
	}
	return nil
}

// Create makes a file that was not there before, and the folders above it. If the name
// is in use the error is fs.ErrExist.
func (f *Folder) Create(name string) (file *os.File, err error) {
	dir, err := f.MakeSub(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	fd, err := openat(dir.at(), filepath.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o644)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: f.Path(name), Err: err}
	}
	return os.NewFile(uintptr(fd), f.Path(name)), nil
}

// Replace writes a file whole, or leaves the one that is there. A link by that name is
// replaced, and what it leads to is not touched.
func (f *Folder) Replace(name string, fill func(io.Writer) error) (err error) {
	dir, err := f.MakeSub(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	base, fresh := filepath.Base(name), "."+rand.Text()+".tmp"
	if info, err := dir.lstat(base, f.Path(name)); err == nil && info.IsDir() {
		return wrong(ErrFolder, "shared.folder", f.Path(name))
	}
	file, err := dir.Create(fresh)
	if err != nil {
		return err
	}
	_ = file.Chmod(0o644) // whatever the umask: it is for others, too. A stick may have no modes
	if err = fill(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = dir.rename(fresh, dir, base, 0)
	}
	if err != nil {
		_ = unix.Unlinkat(dir.at(), fresh, 0)
	}
	return err
}

// rename renames a thing of one name in the folder.
func (f *Folder) rename(base string, to *Folder, other string, flags uint) error {
	err := again(func() error { return unix.Renameat2(f.at(), base, to.at(), other, flags) })
	if flags != 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)) { // a file system without that
		if _, err := to.lstat(other, to.Path(other)); !errors.Is(err, fs.ErrNotExist) {
			return &os.LinkError{Op: "rename", Old: f.Path(base), New: to.Path(other), Err: errors.Join(err, fs.ErrExist)}
		}
		flags = 0
		err = again(func() error { return unix.Renameat(f.at(), base, to.at(), other) })
	}
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: "rename", Old: f.Path(base), New: to.Path(other), Err: err}
}

// Move moves a thing to another name, or to one that is like it if that is in use; it
// makes the folders above it and returns the name. Of a link it moves the link itself.
func (f *Folder) Move(name, to string) (now string, err error) {
	from, base, err := f.parent(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	dir, err := f.MakeSub(filepath.Dir(to))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return free(to, func(to string) error { return from.rename(base, dir, filepath.Base(to), unix.RENAME_NOREPLACE) })
}

// free calls use with a name, and with other such names as long as they are in use:
// name.mp3, name (2).mp3, ... It returns the one that was free.
func free(name string, use func(name string) error) (string, error) {
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 2; ; n++ {
		err := use(name)
		if !errors.Is(err, fs.ErrExist) || n > mostAlike {
			return name, err
		}
		name = fmt.Sprintf("%s (%d)%s", stem, n, ext)
	}
}

// mostAlike bounds how many things have one name but for a number.
const mostAlike = 10_000

// Note writes a text to a new file of that name, or of one like it. The file bears the
// time, unless that is zero.
func (f *Folder) Note(name, text string, at time.Time) error {
	var file *os.File
	name, err := free(name, func(name string) (err error) {
		file, err = f.Create(name)
		return err
	})
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil || at.IsZero() {
		return err
	}
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	t := unix.NsecToTimespec(at.UnixNano())
	return errors.Join(unix.UtimesNanoAt(dir.at(), base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW), dir.Close())
}

// Remove removes a file, or a link; a folder it leaves.
func (f *Folder) Remove(name string) error {
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := again(func() error { return unix.Unlinkat(dir.at(), base, 0) }); err != nil {
		return &fs.PathError{Op: "remove", Path: f.Path(name), Err: err}
	}
	return nil
}

// Each calls do with each entry of the folder, in no order, and with at most so many:
// if there are more the error is [ErrMany]. A folder may be larger than the memory.
func (f *Folder) Each(most int, do func(fs.DirEntry) error) (err error) {
	fd, err := openat(f.at(), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0) // each reading has a place of its own
	if err != nil {
		return &fs.PathError{Op: "open", Path: f.dir.Name(), Err: err}
	}
	dir := os.NewFile(uintptr(fd), f.dir.Name())
	defer func() { err = errors.Join(err, dir.Close()) }()
	for n := 0; ; {
		some, err := dir.ReadDir(256)
		for _, e := range some {
			if n++; n > most {
				return wrong(ErrMany, "shared.many", f.dir.Name(), most)
			}
			if err := do(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// MostDeep is how many folders may be inside each other.
const MostDeep = 32

// Walk calls do with each thing in the folder and in the folders inside it, but for the
// folder itself. The names are relative to it; err says why what is in a folder is not
// looked at. Of a folder for which do returns fs.SkipDir the content is passed over.
// It is called at most so many times: if there is more the error is [ErrMany].
func (f *Folder) Walk(most int, do func(name string, e fs.DirEntry, err error) error) error {
	left := most
	err := f.walk("", MostDeep, &left, do)
	if errors.Is(err, ErrMany) { // wherever it was found
		return wrong(ErrMany, "shared.many", f.dir.Name(), most)
	}
	return err
}

func (f *Folder) walk(above string, deep int, left *int, do func(string, fs.DirEntry, error) error) error {
	return f.Each(*left, func(e fs.DirEntry) error {
		if *left--; *left < 0 {
			return ErrMany
		}
		name := filepath.Join(above, e.Name())
		err := do(name, e, nil)
		switch {
		case err == fs.SkipDir && e.IsDir():
			return nil
		case err != nil || !e.IsDir():
			return err
		case deep == 0:
			return do(name, e, wrong(ErrDeep, "shared.deep", name, MostDeep))
		}
		sub, err := f.Sub(e.Name())
		if err != nil {
			return do(name, e, err)
		}
		defer func() { _ = sub.Close() }()
		if err = sub.walk(name, deep-1, left, do); err != nil && !errors.Is(err, ErrMany) {
			var at *fs.PathError // the folder cannot be read
			if errors.As(err, &at) && at.Path == sub.dir.Name() {
				return do(name, e, err)
			}
		}
		return err
	})
}
