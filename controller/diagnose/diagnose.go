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
	Skip Result = "skip" // it could not be made, so that nothing is known
)

// Finding is what a check found. Check is one of config, daemon, output, mixer,
// relay, clock, zone, disk, permissions, store, backup, clips, unsent, link, log,
// inbox, drop, ffmpeg, speech and service.
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

// examination is what the checks look at. A check that needs what could not be had
// says that it cannot be made.
type examination struct {
	file    string // the config file
	lang    say.Lang
	now     time.Time
	dir     string         // the data folder; empty if the config does not tell
	cfg     *config.Config // nil: it is refused, and so is the last good one
	store   *data.Store    // nil: there is none yet, or it is unread
	unread  error          // why the store that there is cannot be read
	health  data.Health
	pid     int
	running bool
	slow    bool           // the store could not be read to its end in time
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
		d.daemon, d.outputs, d.relay, d.clock, d.timeZone, d.disk, d.permissions, d.database, d.backups, d.clips, d.log, d.unsent, d.link,
		d.inbox, d.drop, d.senders, d.ffmpeg, d.speech, d.service,
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

// noConfig notes that a check cannot be made without a config, if there is none.
func (d *examination) noConfig(check string) bool {
	if d.cfg == nil {
		d.add(check, Skip, say.M("doctor.no_config"))
	}
	return d.cfg == nil
}

// noFolder notes that a check cannot be made without the data folder, if the config
// does not tell it.
func (d *examination) noFolder(check string) bool {
	if d.dir == "" {
		d.add(check, Skip, say.M("doctor.no_config"))
	}
	return d.dir == ""
}

// noStore reports whether there is no store to look at, and notes that the check
// cannot be made if there should be one.
func (d *examination) noStore(check string) bool {
	if d.noFolder(check) {
		return true
	}
	if d.unread != nil {
		d.add(check, Skip, say.M("doctor.store_unread"))
	}
	return d.store == nil
}

// config reads what there is. A faulty config does not end the examination: the
// last good one stands in for it, as it does in the daemon.
func (d *examination) config(ctx context.Context) {
	text, err := site.ReadConfig(d.file)
	if err != nil {
		d.add("config", Fail, say.M("doctor.config_none", err))
	} else if d.dir = config.DataDir(d.file, text); d.dir == "" {
		d.add("config", Fail, say.M("doctor.config_no_dir", d.file), say.M("doctor.config_no_dir_do"))
	}
	if d.dir == "" { // the daemon that runs by that file knows it
		if st, ok := control.ByConfig(ctx, d.file, d.lang); ok {
			d.dir = st.DataDir
		}
	}
	if d.dir != "" && config.CanBeFolder(d.dir) { // permissions tells if it cannot
		d.open(ctx)
		d.ask(ctx)
	}
	lib := d.clipsOfStore(ctx)
	if err == nil {
		cfg, problems := config.Read(d.file, text, lib)
		for _, p := range problems {
			d.problem(p)
		}
		if !config.Refused(problems) {
			d.cfg = cfg
			d.add("config", OK, say.M("doctor.config_ok", d.file, len(cfg.Outputs), len(cfg.Playlists), len(cfg.Slots)))
			return
		}
	}
	if d.dir == "" {
		return
	}
	good, err := os.ReadFile(site.LastGood(d.dir))
	if err != nil {
		return
	}
	if cfg, problems := config.Read(d.file, good, lib); !config.Refused(problems) {
		d.cfg = cfg
		d.add("config", Info, say.M("doctor.config_last", site.LastGood(d.dir)))
	}
}

// clipsOfStore is what the config is read with. If the store cannot be read, nothing is
// known against the clips of it.
func (d *examination) clipsOfStore(ctx context.Context) config.Library {
	lib := &site.Library{Ctx: ctx, Store: d.store}
	if d.unread != nil {
		return site.Trusting{Library: lib}
	}
	return lib
}

// open opens the store in the data folder and reads all of it: what a damaged one says
// is worth nothing.
func (d *examination) open(ctx context.Context) {
	var err error
	d.store, err = data.OpenReadOnly(ctx, d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		checking, cancel := context.WithTimeout(ctx, checkTime)
		err = d.store.Check(checking)
		cancel()
		if d.slow = errors.Is(err, context.DeadlineExceeded); d.slow {
			err = nil
		}
	}
	if err == nil {
		d.health, err = d.store.Health(ctx)
	}
	if err == nil {
		return
	}
	if d.unread = err; d.store != nil {
		_ = d.store.Close()
	}
	d.store, d.health = nil, data.Health{}
}

// ask asks the daemon that holds the data folder, if one does. A user who may ask it
// need not be able to look into its folder.
func (d *examination) ask(ctx context.Context) {
	d.pid, d.running = data.Running(d.dir)
	daemon, err := control.Ask(ctx, d.dir, d.lang)
	if err == nil {
		var st status.Status
		if st, err = daemon.Status(ctx); err == nil {
			d.status, d.running, d.pid = &st, true, st.PID
		}
	}
	if err != nil && d.running {
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
