// Package diagnose examines a controller and says what is wrong with it, by what
// evidence, and what to do. It changes nothing: `dalaba doctor` and pages show its
// findings.
package diagnose

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// Result is how a check came out.
type Result string

// The results of a check.
const (
	OK   Result = "ok"
	Info Result = "info" // neither good nor bad
	Warn Result = "warn"
	Fail Result = "fail"
)

// Finding is what a check found. Check is one of config, daemon, output, mixer,
// relay, clock, zone, disk, permissions, store, backup, clips, unsent, link, log,
// inbox, ffmpeg, speech and service.
type Finding struct {
	Check  string
	Result Result
	Found  []say.Message // the evidence, one a line
	Remedy []Remedy      // with Warn and Fail
}

// Remedy is something to do: a command or a line of the config, else a sentence.
type Remedy struct {
	Command  string
	Sentence say.Message
}

// In returns the remedy in a language.
func (r Remedy) In(l say.Lang) string {
	if r.Command != "" {
		return r.Command
	}
	return r.Sentence.In(l)
}

// Diagnosis is all that was found.
type Diagnosis struct {
	Config   *config.Config // that was examined; nil if there is none
	Findings []Finding
}

// OK reports whether nothing has failed.
func (d Diagnosis) OK() bool {
	return !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Result == Fail })
}

// examination is what the checks look at. What could not be had is nil, and the
// checks that need it find nothing.
type examination struct {
	file    string // the config file
	lang    say.Lang
	now     time.Time
	dir     string // the data folder; empty if the config does not tell
	cfg     *config.Config
	store   *data.Store
	health  data.Health
	pid     int
	running bool
	status  *status.Status // as the running daemon tells it

	all []Finding
}

// Examine examines the controller of a config file. The running daemon is asked in
// lang. The error is ctx's.
func Examine(ctx context.Context, file string, lang say.Lang, now time.Time) (Diagnosis, error) {
	d := &examination{file: file, lang: lang, now: now}
	d.config(ctx)
	if d.store != nil {
		defer func() { _ = d.store.Close() }()
	}
	for _, check := range []func(context.Context){
		d.daemon, d.outputs, d.relay, d.clock, d.timeZone, d.disk, d.permissions, d.database, d.clips, d.log, d.unsent, d.link, d.inbox,
		d.programs, d.service,
	} {
		if ctx.Err() != nil {
			return Diagnosis{}, ctx.Err()
		}
		check(ctx)
	}
	return Diagnosis{d.cfg, d.all}, nil
}

// add notes a finding. Its remedies are sentences or, as strings, commands.
func (d *examination) add(check string, r Result, found say.Message, remedies ...any) {
	d.addLines(check, r, []say.Message{found}, remedies...)
}

func (d *examination) addLines(check string, r Result, found []say.Message, remedies ...any) {
	f := Finding{Check: check, Result: r, Found: found}
	for _, m := range remedies {
		switch m := m.(type) {
		case say.Message:
			f.Remedy = append(f.Remedy, Remedy{Sentence: m})
		case string:
			f.Remedy = append(f.Remedy, Remedy{Command: m})
		}
	}
	d.all = append(d.all, f)
}

// config reads what there is. A faulty config does not end the examination: the
// last good one stands in for it, as it does in the daemon.
func (d *examination) config(ctx context.Context) {
	text, err := site.ReadConfig(d.file)
	if err != nil {
		d.add("config", Fail, say.M("doctor.config_none", err))
		return
	}
	d.folder(ctx, text)
	lib := &site.Library{Ctx: ctx, Store: d.store}
	cfg, problems := config.Read(d.file, text, lib)
	for _, p := range problems {
		d.problem(p)
	}
	if !config.Refused(problems) {
		d.cfg = cfg
		d.add("config", OK, say.M("doctor.config_ok", d.file, len(cfg.Outputs), len(cfg.Playlists), len(cfg.Slots)))
		return
	}
	if d.dir == "" {
		return
	}
	good, err := os.ReadFile(site.LastGood(d.dir))
	if err != nil {
		return
	}
	if cfg, problems = config.Read(d.file, good, lib); !config.Refused(problems) {
		d.cfg = cfg
		d.add("config", Info, say.M("doctor.config_last", site.LastGood(d.dir)))
	}
}

// folder opens the store in the data folder that a config names, and asks the
// daemon that holds it.
func (d *examination) folder(ctx context.Context, text []byte) {
	if d.dir = config.DataDir(d.file, text); d.dir == "" {
		d.add("config", Fail, say.M("doctor.config_no_dir", d.file), say.M("doctor.config_no_dir_do"))
		return
	}
	var err error
	d.store, err = data.OpenReadOnly(ctx, d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.add("store", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
	}
	if d.store != nil {
		if d.health, err = d.store.Health(ctx); err != nil {
			d.add("store", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		}
	}
	if d.pid, d.running = data.Running(d.dir); !d.running {
		return
	}
	daemon, err := control.Ask(ctx, d.dir, d.lang)
	if err == nil {
		var st status.Status
		if st, err = daemon.Status(ctx); err == nil {
			d.status = &st
		}
	}
	if err != nil {
		remedy := d.restart()
		if os.Geteuid() != 0 {
			remedy = "sudo dalaba doctor -c " + d.file
		}
		d.add("daemon", Warn, say.M("doctor.as_is", err), remedy)
	}
}

// problem notes a problem of the config.
func (d *examination) problem(p config.Problem) {
	r := Fail
	if p.Severity == config.Warning {
		r = Warn
	}
	at := p.File
	if p.Line > 0 {
		at += ":" + strconv.Itoa(p.Line)
	}
	if p.Key != "" {
		at += ": " + p.Key
	}
	d.add("config", r, say.M("doctor.config_problem", at, p.What), p.Remedy)
}

// zone returns the site's zone.
func (d *examination) zone() *time.Location {
	if d.cfg != nil {
		return d.cfg.Site.Zone
	}
	return time.Local
}

// clipName returns a clip's name for people.
func clipName(id playlist.ClipID, c playlist.Clip) any {
	switch {
	case c.Title == "":
		return id.Short()
	case c.Issue > 0:
		return say.M("doctor.clip_of_issue", c.Issue, c.Title)
	}
	return c.Title
}
