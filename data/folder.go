package data

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/data/secret"
	"dalaba/data/sqlite"
	"dalaba/playlist/say"
)

// BadFolder says that a folder cannot be made or written, and why. It is
// [fs.ErrPermission], [ErrReadOnly] or [ErrFull] if that is the reason.
type BadFolder struct {
	What    say.Message // which folder, and what is in the way
	Do      say.Message // the remedy
	Command string      // the same as a command; empty: there is none
	is      error
}

// text is the whole of it for the operator.
func (b BadFolder) text() say.Message { return say.M("store.bad_folder", b.What, b.Do) }

func (b BadFolder) Error() string        { return b.text().Error() }
func (b BadFolder) Unwrap() error        { return b.text() }
func (b BadFolder) Is(target error) bool { return errors.Is(b.is, target) }

// User is who makes and writes folders.
type User struct {
	Name string

	// May returns why the user cannot do in an existing folder what the mode
	// says: unix.X_OK enters it, and unix.W_OK|unix.X_OK makes entries. nil if
	// the user can.
	May func(folder string, mode uint32) error
}

const toEnter, toMake = unix.X_OK, unix.W_OK | unix.X_OK

// Me is the user of this process.
func Me() User {
	return User{UserName(uint32(os.Geteuid())), func(folder string, mode uint32) error {
		return unix.Faccessat(unix.AT_FDCWD, folder, mode, unix.AT_EACCESS)
	}}
}

// UserName is the name of a user; the number if it has none.
func UserName(uid uint32) string { return secret.UserName(uid) }

// CheckFolder returns a [BadFolder] if the user could not write in the folder dir,
// nor make it if it does not exist. It makes nothing.
func CheckFolder(dir string, u User) error {
	at := existing(dir)
	if err := u.May(at, toMake); err != nil {
		return badFolder(dir, at, u, err)
	}
	if fi, err := os.Stat(at); err != nil || !fi.IsDir() {
		return badFolder(dir, at, u, errors.Join(err, syscall.ENOTDIR))
	}
	return nil
}

// makeFolder makes a folder for its owner alone, and those above it for all. Errors are a
// [BadFolder].
func makeFolder(dir string) error {
	err := os.MkdirAll(filepath.Dir(dir), 0o755)
	if err == nil {
		err = os.MkdirAll(dir, privateFolder)
	}
	if err != nil {
		return badFolder(dir, existing(dir), Me(), err)
	}
	return nil
}

// existing returns the nearest of dir and the folders above it that this process can
// see: it may be no folder, or a link to nothing.
func existing(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); err == nil || at == filepath.Dir(at) {
			return at
		}
	}
}

// closed returns the highest of a folder and those above it that the user may not
// enter; empty if there is none.
func closed(at string, u User) (found string) {
	for ; ; at = filepath.Dir(at) {
		if errors.Is(u.May(at, toEnter), fs.ErrPermission) {
			found = at
		}
		if at == filepath.Dir(at) {
			return found
		}
	}
}

// badFolder explains an error of making or writing the folder dir, of which at is
// the part that exists.
func badFolder(dir, at string, u User, err error) BadFolder {
	err = sqlite.Classify(err)
	b := BadFolder{is: err}
	dir, at = absolute(dir), absolute(at)
	kind, more := "store.not_made_", any(u.Name)
	if at == dir {
		kind = "store.not_written_"
	}
	to, lerr := os.Readlink(at)
	fi, serr := os.Stat(at)
	other := say.M("store.other_folder")
	switch {
	case lerr == nil && serr != nil:
		kind, more, b.Do = kind+"link", to, say.M("store.mend_link")
	case serr == nil && !fi.IsDir():
		kind, b.Do = kind+"file", other
	case errors.Is(err, sqlite.ErrReadOnly):
		kind, b.Command = kind+"read_only", "sudo mount -o remount,rw $(findmnt -nT "+at+" -o TARGET)"
	case errors.Is(err, sqlite.ErrFull):
		kind, b.Do = kind+"full", say.M("store.make_room")
	case errors.Is(err, fs.ErrPermission):
		if shut := closed(at, u); shut != "" && shut != dir && fi != nil && fi.IsDir() {
			kind, at, b.Do = "store.not_entered_", shut, say.M("store.name_another")
		} else if b.Command = "sudo install -d -o " + u.Name + " " + dir; at == dir {
			b.Command = "sudo chown -R " + u.Name + " " + dir
		}
		kind += "denied"
	default:
		kind, more, b.Do = kind+"other", err, say.M("store.name_another")
	}
	if b.Command != "" {
		b.Do = say.M("store.command_first", b.Command)
	}
	b.What = say.M(kind, dir, at, more)
	return b
}

// foreignFile explains that this user cannot write a file in the folder dir.
func foreignFile(dir, path string, err error) BadFolder {
	me := Me().Name
	dir, path = absolute(dir), absolute(path)
	b := BadFolder{Command: "sudo chown -R " + me + " " + dir, is: err}
	b.What, b.Do = say.M("store.file_denied", path, me), say.M("store.command_first", b.Command)
	return b
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
