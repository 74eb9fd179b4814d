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

	"dalaba/controller/site"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// daemon looks whether the daemon runs, by the config as it is now.
func (d *examination) daemon(ctx context.Context) {
	if d.dir == "" {
		return
	}
	var started, read time.Time
	if d.store != nil {
		started, _ = d.store.Started(ctx)
		read, _ = d.store.ConfigRead(ctx)
	}
	switch {
	case d.running:
		d.add("daemon", OK, say.M("doctor.daemon_ok", d.pid))
	case started.IsZero():
		d.add("daemon", Warn, say.M("doctor.daemon_never"), d.start())
	default:
		d.add("daemon", Fail, say.M("doctor.daemon_off", started.In(d.zone()).Format(time.DateTime)), d.start())
	}
	if fi, err := os.Stat(d.file); err == nil && d.running && !read.IsZero() && fi.ModTime().After(read.Add(2*time.Second)) {
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
	if d.cfg == nil || d.cfg.Inbox == "" {
		return
	}
	dir := d.cfg.Inbox
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.add("inbox", Warn, say.M("doctor.inbox_none", dir), "mkdir -p "+dir)
		return
	case err != nil || !fi.IsDir():
		d.add("inbox", Fail, say.M("doctor.dir_bad", dir), "ls -ld "+dir)
		return
	case unix.Access(dir, unix.W_OK) != nil:
		d.add("inbox", Fail, say.M("doctor.dir_read_only", dir), "chmod u+w "+dir)
		return
	}
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

// programs looks for the programs that make clips. A pole airs without them.
func (d *examination) programs(context.Context) {
	var c config.Ingest
	if d.cfg != nil {
		c = d.cfg.Ingest
	}
	if err := site.NewIngester(c, "").Ready(); err != nil {
		d.add("ffmpeg", Warn, say.M("doctor.ffmpeg_none"), "apt-get install ffmpeg")
	} else {
		d.add("ffmpeg", OK, say.M("doctor.ffmpeg_ok"))
	}
	program := "espeak-ng"
	if len(c.Speech) > 0 {
		program = c.Speech[0]
	}
	if path, err := exec.LookPath(program); err != nil && program == "espeak-ng" {
		d.add("speech", Warn, say.M("doctor.speech_none", program), "apt-get install espeak-ng")
	} else if err != nil {
		d.add("speech", Warn, say.M("doctor.speech_none", program), say.M("doctor.speech_do"))
	} else {
		d.add("speech", OK, say.M("doctor.speech_ok", path))
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
