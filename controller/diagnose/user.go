package diagnose

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/say"
)

// runner is the user as whom the daemon runs, or would.
type runner struct {
	uid  uint32
	name string
}

// user returns who runs the daemon: the running one's user, else the one that its
// systemd unit names, else the user of this program. For root it is the owner of the
// data folder, as whom root's daemon works.
func (d *examination) user() runner {
	uid := uint32(os.Geteuid())
	if fi, err := os.Stat("/proc/" + strconv.Itoa(d.pid)); d.running && d.pid > 0 && err == nil {
		uid = owner(fi)
	} else if path := unit(); path != "" {
		uid = unitUser(path)
	}
	if fi, err := os.Stat(d.dir); uid == 0 && !d.running && err == nil {
		uid = owner(fi)
	}
	return runner{uid, data.UserName(uid)}
}

var (
	userLine  = regexp.MustCompile(`(?m)^[ \t]*User[ \t]*=[ \t]*(\S*)`)
	stateLine = regexp.MustCompile(`(?m)^[ \t]*StateDirectory[ \t]*=[ \t]*(.*)$`)
)

// unitText returns a unit with its drop-ins, the later ones of which count.
func unitText(path string) string {
	text, _ := os.ReadFile(path)
	all := []string{string(text)}
	for _, dir := range []string{path, "/etc/systemd/system/dalaba.service"} {
		parts, _ := filepath.Glob(dir + ".d/*.conf")
		for _, p := range parts {
			text, _ := os.ReadFile(p)
			all = append(all, string(text))
		}
	}
	return strings.Join(all, "\n")
}

// unitUser returns the user that a unit names; root if it names none.
func unitUser(path string) uint32 {
	all := userLine.FindAllStringSubmatch(unitText(path), -1)
	if len(all) == 0 {
		return 0
	}
	name := all[len(all)-1][1]
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return 0
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(uid)
}

// systemdMakes reports whether our unit has systemd make a folder before the daemon
// starts.
func systemdMakes(dir string) bool {
	path := unit()
	if path == "" {
		return false
	}
	for _, m := range stateLine.FindAllStringSubmatch(unitText(path), -1) {
		for name := range strings.FieldsSeq(m[1]) {
			if filepath.Join("/var/lib", name) == filepath.Clean(dir) {
				return true
			}
		}
	}
	return false
}

// may returns why the user cannot do to a file or folder what the mode asks for, such
// as unix.W_OK; nil if the user can. Of another user, the mode bits tell.
func (r runner) may(path string, mode uint32) error {
	if r.uid == uint32(os.Geteuid()) {
		return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
	}
	var disk unix.Statfs_t
	err := unix.Statfs(path, &disk)
	switch {
	case err != nil:
		return err
	case mode&unix.W_OK != 0 && disk.Flags&unix.ST_RDONLY != 0:
		return unix.EROFS
	case r.uid == 0:
		return nil
	}
	for at := path; ; at, mode = filepath.Dir(at), unix.X_OK {
		fi, err := os.Stat(at)
		if err != nil {
			return err
		}
		if r.bits(fi)&mode != mode {
			return unix.EACCES
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func owner(fi fs.FileInfo) uint32 { return fi.Sys().(*syscall.Stat_t).Uid }

// bits returns what of a file's mode is for the user.
func (r runner) bits(fi fs.FileInfo) uint32 {
	st := fi.Sys().(*syscall.Stat_t)
	perm := uint32(fi.Mode().Perm())
	if st.Uid == r.uid {
		return perm >> 6 & 7
	}
	if u, err := user.LookupId(strconv.Itoa(int(r.uid))); err == nil {
		if groups, err := u.GroupIds(); err == nil && slices.Contains(groups, strconv.Itoa(int(st.Gid))) {
			return perm >> 3 & 7
		}
	}
	return perm & 7
}

// canWrite reports whether the daemon can write in a folder, or make it; else it says
// why not, of an output if that is not empty.
func (d *examination) canWrite(check, dir, output string) bool {
	u := d.user()
	err := data.CheckFolder(dir, data.User{Name: u.name, May: u.may})
	if b := (data.BadFolder{}); errors.As(err, &b) {
		what := b.What
		if output != "" {
			what = say.M("doctor.output_bad", output, what)
		}
		if b.Command != "" {
			d.add(check, Fail, what, b.Command)
		} else {
			d.add(check, Fail, what, b.Do)
		}
	}
	return err == nil
}
