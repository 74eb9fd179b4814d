package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/say"
	"dalaba/web"
)

const (
	leastRoom  = 500 << 20 // bytes free, and
	leastShare = 0.05      // of the disk: less is a warning
	noRoom     = 20 << 20  // bytes free: less is a failure
)

// disk looks how full the disk is.
func (d *examination) disk(context.Context) {
	if d.noFolder("disk") {
		return
	}
	at := d.dir
	var st unix.Statfs_t
	err := unix.Statfs(at, &st)
	for ; (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) && at != filepath.Dir(at); err = unix.Statfs(at, &st) {
		at = filepath.Dir(at)
	}
	if err != nil {
		d.add("disk", Fail, say.M("doctor.as_is", err), "df -h "+at)
		return
	}
	free, size := int64(st.Bavail*uint64(st.Bsize)), int64(st.Blocks*uint64(st.Bsize))
	share := float64(free) / max(1, float64(size))
	remedy := "du -xh --max-depth=2 / | sort -h | tail -n 20"
	switch {
	case free < noRoom || st.Files > 0 && st.Ffree == 0:
		d.add("disk", Fail, say.M("doctor.disk_full", web.Size(free), web.Percent(share)), say.M("doctor.disk_do"), remedy)
	case free < leastRoom || share < leastShare:
		d.add("disk", Warn, say.M("doctor.disk_low", web.Size(free), web.Percent(share)), say.M("doctor.disk_do"), remedy)
	default:
		d.add("disk", OK, say.M("doctor.disk_ok", web.Size(free), web.Percent(share)))
	}
}

// permissions looks whether the daemon can write its data folder, or make it, for
// files of another user in it, and whether every user can write it.
func (d *examination) permissions(context.Context) {
	if d.noFolder("permissions") {
		return
	}
	fi, err := os.Stat(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if systemdMakes(d.dir) || d.canWrite("permissions", d.dir, "") {
			d.add("permissions", Warn, say.M("doctor.dir_none", d.dir), d.start())
		}
		return
	}
	if err != nil || !fi.IsDir() {
		if d.canWrite("permissions", d.dir, "") { // a file is told of there
			d.add("permissions", Fail, say.M("doctor.dir_bad", d.dir), "ls -ld "+d.dir)
		}
		return
	}
	uid := owner(fi) // who must be able to write: the daemon, else the folder's owner
	if d.running || unit() != "" {
		uid = d.user().uid
	}
	var foreign []string
	for _, name := range []string{"", "clips", "backup", "dalaba.db", "dalaba.db-wal", "dalaba.lock"} {
		path := filepath.Join(d.dir, name)
		if f, err := os.Stat(path); err == nil && uid != 0 && owner(f) != uid {
			foreign = append(foreign, path)
		}
	}
	switch {
	case errors.Is(unix.Access(d.dir, unix.W_OK), unix.EROFS):
		d.add("permissions", Fail, say.M("doctor.disk_read_only", d.dir), "mount -o remount,rw $(findmnt -nT "+d.dir+" -o TARGET)", "dmesg | tail -n 50")
	case len(foreign) > 0:
		d.add("permissions", Fail, say.M("doctor.dir_foreign", strings.Join(foreign, " "), data.UserName(uid)),
			fmt.Sprintf("chown -R %s %s", data.UserName(uid), d.dir))
	case !d.subfolders():
	case fi.Mode().Perm()&0o077 != 0:
		d.add("permissions", Warn, say.M("doctor.dir_open", d.dir), "sudo chmod 700 "+d.dir, say.M("doctor.dir_open_do"))
	case fi.Mode().Perm()&0o200 == 0 || uid == uint32(os.Geteuid()) && unix.Access(d.dir, unix.W_OK) != nil:
		d.add("permissions", Fail, say.M("doctor.dir_read_only", d.dir), "chmod u+w "+d.dir)
	case unix.Access(d.dir, unix.W_OK) != nil:
		d.add("permissions", Warn, say.M("doctor.dir_not_mine", d.dir, data.UserName(uid), data.UserName(uint32(os.Geteuid()))), "sudo dalaba doctor -c "+d.file)
	default:
		d.add("permissions", OK, say.M("doctor.dir_ok", d.dir, data.UserName(uid)))
	}
}

// subfolders reports whether the folders of the store are folders, if they are there:
// one may be a file, or a link to a disk that is not.
func (d *examination) subfolders() bool {
	anybody := data.User{May: func(string, uint32) error { return nil }}
	for _, name := range []string{"clips", "backup"} {
		path := filepath.Join(d.dir, name)
		if b := (data.BadFolder{}); errors.As(data.CheckFolder(path, anybody), &b) {
			d.add("permissions", Fail, b.What, b.Do)
			return false
		}
	}
	return true
}
