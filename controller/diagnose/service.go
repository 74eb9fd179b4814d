package diagnose

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// daemon looks whether the daemon runs, by the config as it is now.
func (d *examination) daemon(ctx context.Context) {
	if d.noFolder("daemon") {
		return
	}
	var started, read time.Time
	if d.store != nil {
		started, _ = d.store.Started(ctx)
		read, _ = d.store.ConfigRead(ctx)
	}
	other, found := status.Status{}, false
	if !d.running {
		other, found = control.ByConfig(ctx, d.file, d.lang)
	}
	switch {
	case d.running:
		d.add("daemon", OK, say.M("doctor.daemon_ok", d.pid))
	case found:
		d.add("daemon", Fail, say.M("doctor.as_is", control.DirChanged(other, d.dir)), d.restart())
	case !config.CanBeFolder(d.dir):
		d.add("daemon", Skip, say.M("doctor.no_config"))
	case errors.Is(unix.Access(filepath.Join(d.dir, "dalaba.lock"), unix.R_OK), unix.EACCES): // the lock tells whether it runs
		d.add("daemon", Skip, say.M("doctor.store_unread"))
	case d.unread != nil:
		d.add("daemon", Fail, say.M("doctor.daemon_off_unread"), d.start())
	case started.IsZero():
		d.add("daemon", Warn, say.M("doctor.daemon_never"), d.start())
	default:
		d.add("daemon", Fail, say.M("doctor.daemon_off", started.In(d.zone()).Format(time.DateTime)), d.start())
	}
	if fi, err := os.Stat(d.file); err == nil && d.running && !read.IsZero() && fi.ModTime().After(read.Add(2*time.Second)) && site.Edited(d.file, d.dir) {
		d.add("config", Warn, say.M("doctor.config_stale", d.file), "dalaba reload -c "+d.file)
	}
}

// start returns the command that starts the daemon here.
func (d *examination) start() string {
	if unit() != "" {
		return "systemctl start dalaba"
	}
	return "dalaba run -c " + d.file
}

// restart returns the command that starts the daemon again here.
func (d *examination) restart() string {
	if unit() != "" {
		return "systemctl restart dalaba"
	}
	return "dalaba run -c " + d.file
}

// inbox looks at the drop folder for clips.
func (d *examination) inbox(context.Context) {
	if d.noConfig("inbox") || d.cfg.Inbox == "" || !d.dropFolder("inbox", d.cfg.Inbox) {
		return
	}
	dir := d.cfg.Inbox
	refused, _ := os.ReadDir(filepath.Join(dir, "refused"))
	n := 0
	for _, e := range refused {
		if _, err := os.Stat(filepath.Join(dir, "refused", e.Name()+".txt")); err == nil { // why it was
			n++
		}
	}
	if n > 0 {
		d.add("inbox", Warn, say.M("doctor.inbox_refused", n), "ls "+filepath.Join(dir, "refused"))
		return
	}
	d.add("inbox", OK, say.M("doctor.inbox_ok", dir))
}

// drop looks at the drop folder for alerts.
func (d *examination) drop(context.Context) {
	if d.noConfig("drop") || d.cfg.Alert.Drop == "" || !d.dropFolder("drop", d.cfg.Alert.Drop) {
		return
	}
	d.add("drop", OK, say.M("doctor.drop_ok", d.cfg.Alert.Drop))
}

// senders looks that the daemon can use what proves the senders of alerts: else it refuses
// their alerts.
func (d *examination) senders(context.Context) {
	if d.cfg == nil {
		return
	}
	u := d.user()
	check := func(key string, paths []string) {
		for _, path := range paths {
			if _, err := os.Stat(path); err != nil { // perhaps it is only we who cannot look there
				continue
			}
			var unread data.Unread
			if errors.As(data.CanReadNamed(path, data.User{Name: u.name, May: u.may}), &unread) {
				d.add("senders", Fail, say.M("doctor.senders_unread", unread.What), unread.Do)
			} else if err := site.CheckSender(key, path); err != nil && !errors.Is(err, fs.ErrPermission) {
				d.add("senders", Fail, say.M("doctor.senders_unread", say.M("alerts.bad_sender", path, err)), say.M("alerts.bad_sender_do"))
			}
		}
	}
	check("anchors", d.cfg.Alert.Anchors)
	check("ebd", d.cfg.Alert.EBD)
	check("ebd_ca", d.cfg.Alert.EBDCA)
}

// dropFolder reports whether a folder out of which the daemon takes files is there and
// can be written; else it says why not.
func (d *examination) dropFolder(check, dir string) bool {
	if !d.canWrite(check, dir, "") {
		return false
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		d.add(check, Warn, say.M("doctor.drop_none", dir), "mkdir -p "+dir)
		return false
	}
	return true
}

// ffmpeg looks for the program that makes clips. A pole airs without it.
func (d *examination) ffmpeg(context.Context) {
	var c config.Ingest
	if d.cfg != nil {
		c = d.cfg.Ingest
	}
	switch err := site.NewIngester(c, "").Ready(); {
	case err == nil:
		d.add("ffmpeg", OK, say.M("doctor.ffmpeg_ok"))
	case !d.noConfig("ffmpeg"): // the config may name it
		d.add("ffmpeg", Warn, say.M("doctor.ffmpeg_none"), "apt-get install ffmpeg")
	}
}

// speech looks for the program that speaks text. A pole airs without it.
func (d *examination) speech(context.Context) {
	if d.noConfig("speech") {
		return
	}
	program := "espeak-ng"
	if len(d.cfg.Ingest.Speech) > 0 {
		program = d.cfg.Ingest.Speech[0]
	}
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		d.add("speech", OK, say.M("doctor.speech_ok", path))
	case program == "espeak-ng":
		d.add("speech", Warn, say.M("doctor.speech_none", program), "apt-get install espeak-ng")
	default:
		d.add("speech", Warn, say.M("doctor.speech_none", program), say.M("doctor.speech_do"))
	}
}

// unit returns the file of our systemd unit; empty if there is none.
func unit() string {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		path := filepath.Join(dir, "dalaba.service")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// service looks whether systemd starts the daemon with the machine.
func (d *examination) service(context.Context) {
	path := unit()
	if path == "" {
		d.add("service", Info, say.M("doctor.service_none"))
		return
	}
	links, _ := filepath.Glob("/etc/systemd/system/*.wants/dalaba.service")
	if len(links) == 0 {
		d.add("service", Warn, say.M("doctor.service_off", path), "systemctl enable --now dalaba")
		return
	}
	d.add("service", OK, say.M("doctor.service_ok", path))
}
