package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// doctorCmd looks for what is wrong with a controller, and says what to do.
func (a *app) doctorCmd() *cobra.Command {
	right := false
	c := a.JSONFlag(&cobra.Command{
		Use:   "doctor",
		Short: a.Say("doctor.short"),
		RunE: func(c *cobra.Command, _ []string) error {
			now := wallClock()()
			if right {
				return a.clockIsRight(c.Context(), now)
			}
			return a.doctor(c.Context(), now)
		},
	})
	c.Flags().BoolVar(&right, "clock-is-right", false, a.Say("doctor.flag_clock"))
	return c
}

// result is how a check came out.
type result string

const (
	isOK   result = "ok"
	isInfo result = "info" // neither good nor bad
	isWarn result = "warn"
	isFail result = "fail"
)

// finding is a line of `dalaba doctor`. Check is one of config, daemon,
// output, mixer, relay, clock, zone, disk, permissions, store, backup, clips,
// unsent, link, log, inbox, ffmpeg, speech and service.
type finding struct {
	Check  string `json:"check"`
	Result result `json:"result"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"` // with warn and fail
}

// diagnosis is `dalaba doctor --json`.
type diagnosis struct {
	OK       bool      `json:"ok"` // nothing has failed
	Findings []finding `json:"findings"`
}

const (
	leastRoom  = 500 << 20
	leastShare = 0.05
	noRoom     = 20 << 20

	backupLate  = 48 * time.Hour
	manyStarts  = 3
	manyLosses  = 3
	rtcApart    = 5 * time.Second
	clipsTime   = 5 * time.Second // for reading clips
	storeTime   = time.Minute     // for reading the database
	relayTime   = 5 * time.Second
	levelApart  = 1.5 // dB, as a card's steps may leave it
	eventsShown = 5
)

// doctor is what the checks look at. What could not be had is nil, and what
// needs it is left out.
type doctor struct {
	*app
	now     time.Time
	dir     string // empty where the config does not tell
	cfg     *config.Config
	store   *data.Store
	health  data.Health
	pid     int
	running bool

	all []finding
}

func (a *app) doctor(ctx context.Context, now time.Time) error {
	d := &doctor{app: a, now: now}
	d.config(ctx)
	if d.store != nil {
		defer func() { _ = d.store.Close() }()
	}
	for _, check := range []func(context.Context){
		d.daemon, d.outputs, d.relay, d.clock, d.zone, d.disk, d.permissions, d.database, d.clips, d.log, d.unsent, d.link, d.inbox,
		d.programs, d.service,
	} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		check(ctx)
	}
	ok := !slices.ContainsFunc(d.all, func(f finding) bool { return f.Result == isFail })
	if a.JSON {
		if err := json.NewEncoder(a.Out).Encode(diagnosis{ok, d.all}); err != nil {
			return err
		}
	} else {
		d.show()
	}
	if !ok {
		return cli.ErrTold
	}
	return nil
}

// add notes a finding. Its remedies, one a line, are sentences, commands or
// lines of the config.
func (d *doctor) add(check string, r result, found say.Message, remedies ...any) {
	f := finding{Check: check, Result: r, Found: found.In(d.Language())}
	var lines []string
	for _, m := range remedies {
		switch m := m.(type) {
		case say.Message:
			lines = append(lines, m.In(d.Language()))
		case string:
			lines = append(lines, m)
		}
	}
	f.Remedy = strings.Join(lines, "\n")
	d.all = append(d.all, f)
}

func (d *doctor) show() {
	marks := map[result]cli.Cell{
		isOK: cli.Tint("✓", cli.Good), isInfo: cli.Tint("·", cli.Faint), isWarn: cli.Tint("!", cli.Warn), isFail: cli.Tint("✗", cli.Bad),
	}
	count := map[result]int{}
	for _, f := range d.all {
		count[f.Result]++
		m := marks[f.Result]
		// The sign is enough for the eye; the word is for a search.
		head := cli.Paint(m.Text+" "+cli.Columns.FillRight(d.Say("doctor.is_"+string(f.Result)), 4), m.Tone, d.Colour())
		name := cli.Columns.FillRight(d.Say("doctor.on_"+f.Check), 10)
		lines := strings.Split(f.Found, "\n")
		d.Println(head + "  " + name + "  " + cli.Printable(lines[0]))
		for _, l := range lines[1:] {
			d.Println(strings.Repeat(" ", 20) + cli.Printable(l))
		}
		if f.Remedy != "" {
			for l := range strings.SplitSeq(f.Remedy, "\n") {
				d.Println(strings.Repeat(" ", 20) + cli.Paint("→ "+cli.Printable(l), m.Tone, d.Colour()))
			}
		}
	}
	d.Println("")
	switch {
	case count[isFail] > 0:
		d.Println(cli.Paint(d.Say("doctor.sum_fail", count[isFail], count[isWarn]), cli.Bad, d.Colour()))
	case count[isWarn] > 0:
		d.Println(cli.Paint(d.Say("doctor.sum_warn", count[isWarn]), cli.Warn, d.Colour()))
	default:
		d.Println(cli.Paint(d.Say("doctor.sum_ok"), cli.Good, d.Colour()))
	}
}

// config reads what there is. A faulty config does not end the examination:
// the last good one stands in for it, as it does in the daemon.
func (d *doctor) config(ctx context.Context) {
	text, err := d.readConfig()
	if err != nil {
		d.add("config", isFail, say.M("doctor.config_none", err))
		return
	}
	if d.dir = config.DataDir(d.app.config, text); d.dir == "" {
		d.add("config", isFail, say.M("doctor.config_no_dir", d.app.config), say.M("doctor.config_no_dir_do"))
	} else {
		d.store, err = data.OpenReadOnly(ctx, d.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.add("store", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		}
		if d.store != nil {
			if d.health, err = d.store.Health(ctx); err != nil {
				d.add("store", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
			}
		}
		d.pid, d.running = data.Running(d.dir)
	}
	lib := &library{ctx: ctx, store: d.store}
	cfg, problems := config.Read(d.app.config, text, lib)
	if cfg != nil && d.Lang == "" && d.Language() == say.Chinese {
		d.Lang = string(d.Language(cfg.Site.Language))
	}
	for _, p := range problems {
		r := isFail
		if p.Severity == config.Warning {
			r = isWarn
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
	if !config.Refused(problems) {
		d.cfg = cfg
		d.add("config", isOK, say.M("doctor.config_ok", d.app.config, len(cfg.Outputs), len(cfg.Playlists), len(cfg.Slots)))
		return
	}
	if d.dir == "" {
		return
	}
	good, err := os.ReadFile(lastGood(d.dir))
	if err != nil {
		return
	}
	if cfg, problems = config.Read(d.app.config, good, lib); !config.Refused(problems) {
		d.cfg = cfg
		d.add("config", isInfo, say.M("doctor.config_last", lastGood(d.dir)))
	}
}

func (d *doctor) daemon(ctx context.Context) {
	if d.dir == "" {
		return
	}
	var started, read time.Time
	if d.store != nil {
		started, read = stateTime(ctx, d.store, stateStarted), stateTime(ctx, d.store, stateConfig)
	}
	switch {
	case d.running:
		d.add("daemon", isOK, say.M("doctor.daemon_ok", d.pid))
	case started.IsZero():
		d.add("daemon", isWarn, say.M("doctor.daemon_never"), d.start())
	default:
		d.add("daemon", isFail, say.M("doctor.daemon_off", started.In(d.site()).Format(time.DateTime)), d.start())
	}
	if fi, err := os.Stat(d.app.config); err == nil && d.running && !read.IsZero() && fi.ModTime().After(read.Add(2*time.Second)) {
		d.add("config", isWarn, say.M("doctor.config_stale", d.app.config), "dalaba reload -c "+d.app.config)
	}
}

// start is the command that starts the daemon here.
func (d *doctor) start() string {
	if unit() != "" {
		return "systemctl start dalaba"
	}
	return "dalaba run -c " + d.app.config
}

func (d *doctor) site() *time.Location {
	if d.cfg != nil {
		return d.cfg.Site.Zone
	}
	return time.Local
}

func (d *doctor) outputs(ctx context.Context) {
	if d.cfg == nil {
		d.cards()
		return
	}
	st, err := d.statusOf(ctx, &site{d.cfg, d.store}, d.now)
	if err != nil {
		d.add("store", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
	}
	for i, o := range d.cfg.Outputs {
		state := outputStatus{State: "unknown"}
		if i < len(st.Outputs) {
			state = st.Outputs[i]
		}
		d.output(ctx, o, state)
	}
	if len(d.cfg.Outputs) == 0 {
		d.cards()
	}
}

// cards is what can be said of sound where no output is known.
func (d *doctor) cards() {
	l, err := devices.List()
	switch {
	case err != nil:
		d.add("output", isFail, say.M("doctor.as_is", err), "dalaba devices")
	case len(l.Cards) == 0:
		d.add("output", isWarn, say.M("doctor.no_cards"), say.M("doctor.no_cards_do"))
	default:
		d.add("output", isOK, say.M("doctor.some_cards", len(l.Cards)))
	}
}

func (d *doctor) output(ctx context.Context, o playlist.Output, state outputStatus) {
	kind, path, _ := strings.Cut(o.Device, ":")
	switch {
	case d.running && state.State == "away":
		remedy := say.M("doctor.output_away_do")
		if o.Device == autoDevice {
			remedy = say.M("doctor.auto_gone_do")
		}
		d.add("output", isFail, say.M("doctor.output_away", o.Name, state.Problem), remedy)
	case d.running && (state.State == "idle" || state.State == "airing"):
		d.add("output", isOK, say.M("doctor.output_ours", o.Name, o.Device, d.pid))
	case d.running && onCard(o.Device):
		d.add("output", isInfo, say.M("doctor.output_unknown", o.Name))
	case kind == "wav":
		d.recording(o.Name, path)
	case kind == "null":
		d.add("output", isWarn, say.M("doctor.output_null", o.Name), say.M("doctor.output_null_do"))
	}
	if !onCard(o.Device) {
		return
	}
	// A card in use is not opened beside its user, and none is moved.
	look, err := devices.Inspect(autoCard(ctx, d.store, o).Device, !d.running)
	switch {
	case err != nil && d.running && state.State == "away":
		return // that has been told
	case err != nil:
		remedy := say.M("doctor.output_bad_do")
		if o.Device == autoDevice && errors.Is(err, devices.ErrNoCard) {
			remedy = say.M("doctor.auto_gone_do")
		}
		d.add("output", isFail, say.M("doctor.output_bad", o.Name, err), remedy)
		return
	case !d.running:
		d.add("output", isOK, say.M("doctor.output_opens", o.Name, look.Device))
	}
	d.mixer(o, look)
}

// recording looks at a WAV file without making one.
func (d *doctor) recording(output, path string) {
	at := path
	fi, err := os.Stat(at)
	for ; errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at); fi, err = os.Stat(at) {
		at = filepath.Dir(at)
	}
	switch {
	case err != nil || at == path && !fi.Mode().IsRegular():
		d.add("output", isFail, say.M("doctor.wav_bad", output, path), say.M("doctor.wav_bad_do"))
	case unix.Access(at, unix.W_OK) != nil:
		d.add("output", isFail, say.M("doctor.wav_denied", output, path), "chmod u+w "+at)
	default:
		d.add("output", isOK, say.M("doctor.wav_ok", output, path))
	}
}

// mixer holds a card's mixer against level_db. The daemon sets it whenever it
// opens the card; meanwhile anybody may turn it.
func (d *doctor) mixer(o playlist.Output, look devices.Look) {
	command := func(control, to string) string {
		return fmt.Sprintf("amixer -D %s sset '%s' %s", look.Mixer, control, to)
	}
	for _, name := range look.Muted {
		if d.running {
			d.add("mixer", isFail, say.M("doctor.mixer_muted", o.Name, name), command(name, "unmute"))
		} else {
			d.add("mixer", isWarn, say.M("doctor.mixer_muted_off", o.Name, name), command(name, "unmute"))
		}
	}
	c := look.Level
	switch {
	case c == nil:
		if len(look.Muted) == 0 {
			d.add("mixer", isOK, say.M("doctor.mixer_none", o.Name))
		}
		return
	case !c.Scale:
		state := isWarn
		if o.LevelDB != 0 {
			state = isFail // "dalaba check" refuses it
		}
		d.add("mixer", state, say.M("doctor.mixer_no_scale", o.Name, c.Name), "alsamixer -D "+look.Mixer+" && alsactl store")
		return
	}
	want := o.LevelDB
	if want < c.MinDB-levelApart || want > c.MaxDB+levelApart {
		want = max(c.MinDB, min(c.MaxDB, 0)) // the level is set in software
	}
	switch {
	case math.Abs(c.DB-want) <= levelApart:
		if len(look.Muted) == 0 {
			d.add("mixer", isOK, say.M("doctor.mixer_ok", o.Name, c.Name, c.DB))
		}
	case d.running:
		d.add("mixer", isWarn, say.M("doctor.mixer_level", o.Name, c.Name, c.DB, want), command(c.Name, fmt.Sprintf("%.2fdB", want)))
	default:
		d.add("mixer", isInfo, say.M("doctor.mixer_level_off", o.Name, c.Name, c.DB, want))
	}
}

// relay tries the amplifier's relay, switching it off, which it is while
// nothing runs.
func (d *doctor) relay(ctx context.Context) {
	if d.cfg == nil || d.cfg.Amplifier.Relay == "" || d.running {
		return
	}
	spec := d.cfg.Amplifier.Relay
	relay, err := devices.OpenRelay(spec)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, relayTime)
		err = errors.Join(relay.Switch(ctx, false), relay.Close())
		cancel()
	}
	if err != nil {
		d.add("relay", isFail, say.M("doctor.as_is", err), say.M("doctor.relay_do"))
		return
	}
	d.add("relay", isOK, say.M("doctor.relay_ok", spec))
}

func (d *doctor) clock(ctx context.Context) {
	source := playlist.ClockNTP
	if d.cfg != nil {
		source = d.cfg.Site.Clock
	}
	synced, err := devices.Synchronised()
	synced = synced && err == nil
	if behind := d.health.Floor.Sub(d.now); behind > floorSlack && !synced {
		d.add("clock", isFail, say.M("doctor.clock_behind", behind.Round(time.Second), d.health.Floor.In(d.site()).Format(time.DateTime)),
			"timedatectl set-ntp true", say.M("doctor.clock_set"), say.M("doctor.clock_right", d.now.In(d.site()).Format(time.DateTime)),
			"dalaba doctor --clock-is-right -c "+d.app.config)
		return
	}
	state := playlist.ClockUntrusted
	if d.running && d.store != nil {
		if v, ok, err := d.store.State(ctx, stateClock); err == nil && ok {
			state = playlist.ClockState(v)
		}
	} else {
		w := newClockWatch(source, func() time.Time { return d.now }, lookedAt{d.store, d.health.Floor}, slog.New(slog.DiscardHandler))
		w.look(ctx)
		state = w.trust()
	}
	switch {
	case state != playlist.ClockTrusted:
		d.add("clock", isFail, say.M("doctor.clock_untrusted", string(source)), "timedatectl set-ntp true", say.M("doctor.clock_do"))
		return
	case synced:
		d.add("clock", isOK, say.M("doctor.clock_ntp"))
		return
	case source == playlist.ClockBattery:
		d.battery()
		return
	}
	d.add("clock", isOK, say.M("doctor.clock_trusted", string(source)))
}

// lookedAt is a store that is only looked at, as a clock is held to it.
type lookedAt struct {
	store *data.Store // nil where there is none yet
	floor time.Time
}

func (l lookedAt) Floor(context.Context) (time.Time, error)       { return l.floor, nil }
func (l lookedAt) SetFloor(context.Context, time.Time) error      { return nil }
func (l lookedAt) SetState(context.Context, string, string) error { return nil }
func (l lookedAt) State(ctx context.Context, key string) (string, bool, error) {
	if l.store == nil {
		return "", false, nil
	}
	return l.store.State(ctx, key)
}

// clockIsRight takes an operator's word for the clock as it stands: what was
// recorded ahead of it, when it was wrong, holds nothing up any more.
func (a *app) clockIsRight(ctx context.Context, now time.Time) error {
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	dir := config.DataDir(a.config, text)
	if _, err := os.Stat(dir); dir == "" || err != nil {
		return say.M("cli.no_store", dir)
	}
	store, err := data.Open(ctx, dir, data.Options{Log: slog.New(slog.DiscardHandler), Boot: bootID(), Mono: uptime})
	if err != nil {
		return err
	}
	cfg, _ := config.Read(a.config, text, &library{ctx: ctx, store: store})
	if err := errors.Join(store.SetFloor(ctx, now), store.Close()); err != nil {
		return err
	}
	if cfg != nil {
		now = now.In(cfg.Site.Zone)
		if a.Lang == "" {
			a.Lang = string(a.Language(cfg.Site.Language))
		}
	}
	a.Println(a.Say("doctor.clock_taken", now.Format(time.DateTime)))
	return nil
}

// battery looks at the clock that the config trusts.
func (d *doctor) battery() {
	text, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch")
	if err != nil {
		d.add("clock", isWarn, say.M("doctor.clock_no_rtc"), say.M("doctor.clock_no_rtc_do"))
		return
	}
	s, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return
	}
	if apart := time.Since(time.Unix(s, 0)); apart.Abs() > rtcApart {
		d.add("clock", isWarn, say.M("doctor.clock_rtc_apart", apart.Round(time.Second).Abs()), "hwclock --systohc")
		return
	}
	d.add("clock", isOK, say.M("doctor.clock_battery"))
}

func (d *doctor) zone(context.Context) {
	if d.cfg == nil {
		return
	}
	at := d.now.In(d.cfg.Site.Zone)
	d.add("zone", isOK, say.M("doctor.zone_ok", d.cfg.Site.Zone.String(), at.Format("01-02 15:04:05")))
}

func (d *doctor) disk(context.Context) {
	if d.dir == "" {
		return
	}
	at := d.dir
	var st unix.Statfs_t
	err := unix.Statfs(at, &st)
	for ; errors.Is(err, unix.ENOENT) && at != filepath.Dir(at); err = unix.Statfs(at, &st) {
		at = filepath.Dir(at)
	}
	if err != nil {
		d.add("disk", isFail, say.M("doctor.as_is", err), "df -h "+at)
		return
	}
	free, size := int64(st.Bavail*uint64(st.Bsize)), int64(st.Blocks*uint64(st.Bsize))
	share := float64(free) / max(1, float64(size))
	remedy := "du -xh --max-depth=2 / | sort -h | tail -n 20"
	switch {
	case free < noRoom || st.Files > 0 && st.Ffree == 0:
		d.add("disk", isFail, say.M("doctor.disk_full", megabytes(free), share*100), say.M("doctor.disk_do"), remedy)
	case free < leastRoom || share < leastShare:
		d.add("disk", isWarn, say.M("doctor.disk_low", megabytes(free), share*100), say.M("doctor.disk_do"), remedy)
	default:
		d.add("disk", isOK, say.M("doctor.disk_ok", megabytes(free), share*100))
	}
}

// permissions looks for what the daemon could not write, because somebody else
// made it, and for what anybody could.
func (d *doctor) permissions(context.Context) {
	if d.dir == "" {
		return
	}
	fi, err := os.Stat(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.add("permissions", isWarn, say.M("doctor.dir_none", d.dir), d.start())
		return
	}
	if err != nil || !fi.IsDir() {
		d.add("permissions", isFail, say.M("doctor.dir_bad", d.dir), "ls -ld "+d.dir)
		return
	}
	who := fi // who must be able to write: the daemon, else the folder's owner
	if d.running && d.pid > 0 {
		if p, err := os.Stat("/proc/" + strconv.Itoa(d.pid)); err == nil {
			who = p
		}
	}
	uid := owner(who)
	var foreign []string
	for _, name := range []string{"", "clips", "backup", "dalaba.db", "dalaba.db-wal", "dalaba.lock"} {
		path := filepath.Join(d.dir, name)
		if f, err := os.Stat(path); err == nil && uid != 0 && owner(f) != uid {
			foreign = append(foreign, path)
		}
	}
	switch {
	case errors.Is(unix.Access(d.dir, unix.W_OK), unix.EROFS):
		d.add("permissions", isFail, say.M("doctor.disk_read_only", d.dir), "mount -o remount,rw $(findmnt -nT "+d.dir+" -o TARGET)", "dmesg | tail -n 50")
	case len(foreign) > 0:
		d.add("permissions", isFail, say.M("doctor.dir_foreign", strings.Join(foreign, " "), nameOf(uid)),
			fmt.Sprintf("chown -R %s %s", nameOf(uid), d.dir))
	case fi.Mode().Perm()&0o002 != 0:
		d.add("permissions", isWarn, say.M("doctor.dir_open", d.dir), "chmod o-w "+d.dir)
	case fi.Mode().Perm()&0o200 == 0 || uid == uint32(os.Geteuid()) && unix.Access(d.dir, unix.W_OK) != nil:
		d.add("permissions", isFail, say.M("doctor.dir_read_only", d.dir), "chmod u+w "+d.dir)
	case unix.Access(d.dir, unix.W_OK) != nil:
		d.add("permissions", isWarn, say.M("doctor.dir_read_only", d.dir), "sudo dalaba doctor")
	default:
		d.add("permissions", isOK, say.M("doctor.dir_ok", d.dir, nameOf(uid)))
	}
}

func owner(fi fs.FileInfo) uint32 { return fi.Sys().(*syscall.Stat_t).Uid }

func nameOf(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func (d *doctor) database(ctx context.Context) {
	if d.store == nil {
		return
	}
	h := d.health
	checking, cancel := context.WithTimeout(ctx, storeTime)
	err := d.store.Check(checking)
	cancel()
	switch {
	case errors.Is(err, data.ErrDamaged):
		d.add("store", isFail, say.M("doctor.store_damaged", err), say.M("doctor.store_damaged_do"), d.restart())
	case errors.Is(err, context.DeadlineExceeded):
		d.add("store", isWarn, say.M("doctor.store_slow", int(storeTime.Seconds())), say.M("doctor.store_slow_do"))
	case err != nil:
		d.add("store", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
	default:
		d.add("store", isOK, say.M("doctor.store_ok", megabytes(h.Size), h.Schema))
	}
	if h.Volatile {
		d.add("store", isFail, say.M("doctor.store_memory"), say.M("doctor.store_memory_do"), "df -h "+d.dir, "dmesg | tail -n 50")
	}
	if n := len(h.Losses); n > 0 {
		l := h.Losses[n-1]
		r := isInfo
		if d.now.Sub(l.At) < 30*24*time.Hour {
			r = isWarn
		}
		d.add("store", r, say.M("doctor.store_loss", l.At.In(d.site()).Format(time.DateTime), l.Why), say.M("doctor.store_loss_do"))
	}
	switch age := d.now.Sub(h.LastBackup); {
	case h.Backups == 0:
		d.add("backup", isWarn, say.M("doctor.backup_none"), say.M("doctor.backup_do"), d.start())
	case age > backupLate:
		d.add("backup", isWarn, say.M("doctor.backup_old", d.AgeOf(h.LastBackup, d.now)), say.M("doctor.backup_do"), d.start())
	default:
		d.add("backup", isOK, say.M("doctor.backup_ok", d.AgeOf(h.LastBackup, d.now), h.Backups))
	}
}

func (d *doctor) restart() string {
	if unit() != "" {
		return "systemctl restart dalaba"
	}
	return "dalaba run -c " + d.app.config
}

// clips looks that the clips of every playlist are there, and reads as many of
// them as the time allows.
func (d *doctor) clips(ctx context.Context) {
	if d.cfg == nil {
		return
	}
	var (
		ready   []playlist.ClipID
		waiting int
		seen    = map[playlist.ClipID]bool{}
	)
	for _, l := range d.cfg.Playlists {
		if len(l.Clips) == 0 {
			d.add("clips", isFail, say.M("doctor.clips_empty", l.Name), say.M("doctor.clips_empty_do"))
		}
		for _, id := range l.Clips {
			if seen[id] {
				continue
			}
			seen[id] = true
			if d.store == nil {
				waiting++
				continue
			}
			c, _, err := d.store.Clip(ctx, id)
			switch {
			case err == nil:
				ready = append(ready, id)
			case errors.Is(err, data.ErrNotFound):
				waiting++
			case errors.Is(err, data.ErrNoFile):
				d.add("clips", isFail, say.M("doctor.clip_missing", d.ClipName(id, c.Title, c.Issue), l.Name, d.store.ClipPath(id)), d.clipAgain())
			default:
				d.add("clips", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
			}
		}
	}
	if waiting > 0 && d.running {
		d.add("clips", isWarn, say.M("doctor.clips_new", waiting), "dalaba reload -c "+d.app.config)
	} else if waiting > 0 {
		d.add("clips", isInfo, say.M("doctor.clips_waiting", waiting))
	}
	// Each examination reads others first.
	rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	read, broken := 0, 0
	for end := time.Now().Add(clipsTime); read < len(ready) && (read == 0 || time.Now().Before(end)) && ctx.Err() == nil; read++ {
		id := ready[read]
		if err := d.store.VerifyClip(ctx, id); err != nil {
			broken++
			c, _, _ := d.store.Clip(ctx, id)
			d.add("clips", isFail, say.M("doctor.clip_damaged", d.ClipName(id, c.Title, c.Issue), err),
				"rm "+d.store.ClipPath(id), d.clipAgain())
		}
	}
	if len(ready) > 0 && broken == 0 {
		d.add("clips", isOK, say.M("doctor.clips_ok", len(ready), read))
	}
}

// clipAgain brings a clip back from where it came.
func (d *doctor) clipAgain() say.Message {
	if d.running {
		return say.M("doctor.clip_again", "dalaba reload -c "+d.app.config)
	}
	return say.M("doctor.clip_again", d.start())
}

// log is what the last day's device log tells.
func (d *doctor) log(ctx context.Context) {
	if d.store == nil {
		return
	}
	events, err := d.store.Events(ctx, 0, eventsBack)
	if err != nil {
		d.add("log", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		return
	}
	starts, errs := 0, 0
	type trouble struct {
		text string
		n    int
		last time.Time
	}
	var kinds []trouble
	for _, e := range events {
		if e.At.Before(d.now.Add(-24 * time.Hour)) {
			continue
		}
		if e.Message == "started" {
			starts++
		}
		if e.Level < slog.LevelError {
			continue
		}
		errs++
		text := e.Message
		if say.Has("log." + text) {
			text = d.Say("log." + text)
		}
		if o, ok := e.Attrs["output"].(string); ok {
			text += " (" + o + ")"
		}
		i := slices.IndexFunc(kinds, func(t trouble) bool { return t.text == text })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, trouble{text: text})
		}
		kinds[i].n++
		kinds[i].last = e.At
	}
	lost := map[string]int{}
	for _, e := range events {
		if o, ok := e.Attrs["output"].(string); ok && e.Message == "output lost" && !e.At.Before(d.now.Add(-24*time.Hour)) {
			lost[o]++
		}
	}
	for _, o := range slices.Sorted(maps.Keys(lost)) {
		if lost[o] >= manyLosses {
			d.add("output", isWarn, say.M("doctor.output_flaps", o, lost[o]), say.M("doctor.output_flaps_do"))
		}
	}
	if starts > manyStarts {
		remedy := "dalaba log -n 200 -c " + d.app.config
		if unit() != "" {
			remedy = "journalctl -u dalaba -n 200"
		}
		d.add("log", isWarn, say.M("doctor.log_starts", starts), remedy)
	}
	if errs == 0 {
		d.add("log", isOK, say.M("doctor.log_ok", starts))
		return
	}
	slices.SortFunc(kinds, func(a, b trouble) int { return b.last.Compare(a.last) })
	found := say.M("doctor.log_errors", errs).In(d.Language())
	for _, t := range kinds[:min(len(kinds), eventsShown)] {
		found += fmt.Sprintf("\n%s  %d× %s", cli.Stamp(t.last, d.now, d.site()), t.n, t.text)
	}
	d.add("log", isWarn, say.M("doctor.plain", found), "dalaba log --level error -c "+d.app.config)
}

func (d *doctor) unsent(ctx context.Context) {
	if d.store == nil {
		return
	}
	n, oldest, err := d.store.Unsent(ctx)
	aside, why, aerr := d.store.Aside(ctx)
	switch err := errors.Join(err, aerr); {
	case err != nil:
		d.add("unsent", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
	case aside > 0:
		d.add("unsent", isWarn, say.M("doctor.aside", aside, why, n), "dalaba log --level error -c "+d.app.config)
	case n == 0:
		d.add("unsent", isOK, say.M("doctor.unsent_none"))
	default:
		d.add("unsent", isInfo, say.M("doctor.unsent", n, cli.Stamp(oldest, d.now, d.site())))
	}
}

func (d *doctor) inbox(context.Context) {
	if d.cfg == nil || d.cfg.Inbox == "" {
		return
	}
	dir := d.cfg.Inbox
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.add("inbox", isWarn, say.M("doctor.inbox_none", dir), "mkdir -p "+dir)
		return
	case err != nil || !fi.IsDir():
		d.add("inbox", isFail, say.M("doctor.dir_bad", dir), "ls -ld "+dir)
		return
	case unix.Access(dir, unix.W_OK) != nil:
		d.add("inbox", isFail, say.M("doctor.dir_read_only", dir), "chmod u+w "+dir)
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
		d.add("inbox", isWarn, say.M("doctor.inbox_refused", n), "ls "+filepath.Join(dir, "refused"))
		return
	}
	d.add("inbox", isOK, say.M("doctor.inbox_ok", dir))
}

// programs looks for what makes clips. A pole airs without.
func (d *doctor) programs(context.Context) {
	var c config.Ingest
	if d.cfg != nil {
		c = d.cfg.Ingest
	}
	if err := newIngester(c, "").Ready(); err != nil {
		d.add("ffmpeg", isWarn, say.M("doctor.ffmpeg_none"), "apt-get install ffmpeg")
	} else {
		d.add("ffmpeg", isOK, say.M("doctor.ffmpeg_ok"))
	}
	program := "espeak-ng"
	if len(c.Speech) > 0 {
		program = c.Speech[0]
	}
	if path, err := exec.LookPath(program); err != nil && program == "espeak-ng" {
		d.add("speech", isWarn, say.M("doctor.speech_none", program), "apt-get install espeak-ng")
	} else if err != nil {
		d.add("speech", isWarn, say.M("doctor.speech_none", program), say.M("doctor.speech_do"))
	} else {
		d.add("speech", isOK, say.M("doctor.speech_ok", path))
	}
}

// unit is where systemd finds us; empty where it does not.
func unit() string {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		path := filepath.Join(dir, "dalaba.service")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

func (d *doctor) service(context.Context) {
	path := unit()
	if path == "" {
		d.add("service", isInfo, say.M("doctor.service_none"))
		return
	}
	links, _ := filepath.Glob("/etc/systemd/system/*.wants/dalaba.service")
	if len(links) == 0 {
		d.add("service", isWarn, say.M("doctor.service_off", path), "systemctl enable --now dalaba")
		return
	}
	d.add("service", isOK, say.M("doctor.service_ok", path))
}
