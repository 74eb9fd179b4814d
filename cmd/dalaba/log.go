package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// logOptions are which events of the device log are shown, and how.
type logOptions struct {
	follow bool
	level  string
	n      int
	all    bool // with what only a programmer makes use of
}

// levels are what --level may be.
var levels = map[string]slog.Level{
	"info": slog.LevelInfo, "信息": slog.LevelInfo,
	"warn": slog.LevelWarn, "warning": slog.LevelWarn, "注意": slog.LevelWarn, "警告": slog.LevelWarn,
	"error": slog.LevelError, "错误": slog.LevelError,
}

// logCmd shows the device log.
func (a *app) logCmd() *cobra.Command {
	var o logOptions
	c := a.JSONFlag(&cobra.Command{
		Use:   "log",
		Short: a.Say("view.log_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.log(c.Context(), o) },
	})
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, a.Say("view.flag_follow"))
	c.Flags().StringVar(&o.level, "level", "info", a.Say("view.flag_level"))
	c.Flags().IntVarP(&o.n, "lines", "n", 50, a.Say("view.flag_lines"))
	c.Flags().BoolVar(&o.all, "verbose", false, a.Say("view.flag_log_all"))
	return c
}

// logLine is a line of `dalaba log --json`. Times are UTC.
type logLine struct {
	ID      int64          `json:"id"`
	At      time.Time      `json:"at"`
	Level   string         `json:"level"` // info, warn or error
	Message string         `json:"message"`
	Attrs   map[string]any `json:"attrs"`
	Boot    string         `json:"boot"`
	MonoMS  int64          `json:"mono_ms"` // since that boot
}

const (
	followEvery = 500 * time.Millisecond
	followBatch = 1000
)

// eventSource returns at most limit events of the device log after an ID, or the
// last ones if it is 0. A limit of 0 is none.
type eventSource func(ctx context.Context, after int64, limit int) ([]asrun.Event, error)

// deviceLog is where the device log is read.
type deviceLog struct {
	events eventSource        // nil: there is no log yet
	failed []data.FailedStart // that the log does not have
	words  wording.Log        // for people: the site's zone, and the names that the store knows
	day    string             // of the event that was last shown
	end    func() error       // nil: nothing is to be closed
}

// openLog returns where to read the device log: in the store or, for a user who may
// not read that, from the running daemon. The log of a site whose config is refused
// can be read as long as its data folder is known. failed is set beside an error, too.
func (a *app) openLog(ctx context.Context) (l deviceLog, err error) {
	if l.words.Zone, err = time.LoadLocation(config.DefaultZone); err != nil { // until the config tells
		l.words.Zone = time.Local
	}
	text, err := a.readConfig()
	dir := config.DataDir(a.config.Path, text)
	if dir == "" { // the daemon that runs by that file knows it
		if st, ok := control.ByConfig(ctx, a.config.Path, a.Language()); ok {
			dir = st.DataDir
		}
	}
	l.failed = data.FailedStarts(a.config.Path, dir)
	if err != nil {
		return l, err
	}
	s, problems, fellBack, err := site.Look(ctx, a.config.Path, text)
	if errors.Is(err, fs.ErrPermission) {
		if daemon, aerr := a.ask(ctx); aerr == nil {
			l.events = daemon.Events
			return l, nil
		}
	}
	if err != nil {
		return l, err
	}
	if s == nil || fellBack {
		a.tell(problems)
	}
	var store *data.Store
	switch {
	case s != nil:
		store, l.words.Zone = s.Store, s.Site.Zone
	case dir == "" || !config.CanBeFolder(dir):
		return l, cli.Refuse(cli.ErrTold)
	default:
		if store, err = site.OpenToLook(ctx, dir); err != nil {
			return l, err
		}
	}
	if store == nil {
		return l, a.noStore(dir)
	}
	l.events, l.end = store.Events, store.Close
	l.words.Clip, l.words.Alert = clipNames(ctx, store), alertNames(ctx, store)
	return l, nil
}

// failures returns starts that failed as events of the device log. They have no ID
// before the log has them.
func (a *app) failures(all []data.FailedStart) (events []asrun.Event) {
	for _, f := range all {
		e := asrun.Event{
			At: f.Last, Boot: f.Boot, MonoMS: f.MonoMS, Level: int(slog.LevelError), Message: "start failed",
			Attrs: map[string]any{"times": f.Times, "first": f.First.Format(time.RFC3339Nano), "why": f.Why[a.Language()], "user": f.User},
		}
		if f.User == "" {
			delete(e.Attrs, "user")
		}
		events = append(events, e)
	}
	return events
}

// inOrder puts events among others, each before the first that is later. The others
// stay in their order, which a clock that was set back has made.
func inOrder(events, more []asrun.Event) []asrun.Event {
	for _, e := range more {
		at := len(events)
		for at > 0 && events[at-1].At.After(e.At) {
			at--
		}
		events = slices.Insert(events, at, e)
	}
	return events
}

// log shows the last n events of the level or above and, with follow, those
// that come, until ctx ends. With --json each is a line of its own.
func (a *app) log(ctx context.Context, o logOptions) error {
	level, ok := levels[strings.ToLower(o.level)]
	if !ok {
		return cli.Refuse(say.M("view.bad_level", o.level))
	}
	if o.n < 1 {
		return cli.Refuse(say.M("view.bad_lines", o.n))
	}
	a.Stream = true
	l, fault := a.openLog(ctx)
	l.words.Lang, l.words.All = a.Language(), o.all
	if l.end != nil {
		defer func() { _ = l.end() }()
	}
	var (
		events []asrun.Event
		seen   int64
	)
	if fault == nil {
		limit := 0
		if level == slog.LevelInfo {
			limit = o.n
		}
		if events, fault = l.events(ctx, 0, limit); len(events) > 0 {
			seen = events[len(events)-1].ID
		}
	}
	events = inOrder(events, a.failures(l.failed))
	events = slices.DeleteFunc(events, func(e asrun.Event) bool { return e.Level < int(level) })
	if len(events) > o.n {
		events = events[len(events)-o.n:]
	}
	for _, e := range events {
		if err := a.event(&l, e); err != nil {
			return err
		}
	}
	switch {
	case !o.follow && errors.Is(fault, errNoStore) && (a.JSON || len(l.failed) > 0):
		return nil // there is no more than that
	case fault != nil:
		return fault
	case o.follow:
		return a.followLog(ctx, &l, seen, level)
	case len(events) == 0 && !a.JSON:
		a.Println(a.Say("view.log_empty"))
	}
	return nil
}

// followLog shows events after an ID as they come, until ctx ends.
func (a *app) followLog(ctx context.Context, l *deviceLog, seen int64, level slog.Level) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		limit := followBatch
		if seen == 0 {
			limit = 0 // all, not the last ones
		}
		events, err := l.events(ctx, seen, limit)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for _, e := range events {
			seen = e.ID
			if e.Level < int(level) {
				continue
			}
			if err := a.event(l, e); err != nil {
				return err
			}
		}
	}
}

// event shows an event, under its date if that is another one than before.
func (a *app) event(l *deviceLog, e asrun.Event) error {
	if a.JSON {
		line := logLine{e.ID, e.At.UTC(), strings.ToLower(slog.Level(e.Level).String()), e.Message, map[string]any{}, e.Boot, e.MonoMS}
		for k, v := range e.Attrs {
			if !strings.HasSuffix(k, asrun.InChinese) {
				line.Attrs[k] = v
			}
		}
		return json.NewEncoder(a.Out).Encode(line)
	}
	at := e.At.In(l.words.Zone)
	if day := at.Format(time.DateOnly); day != l.day {
		l.day = day
		if _, err := fmt.Fprintln(a.Out, cli.Paint(day, cli.Faint, a.Colour())); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(a.Out, cli.LogLine(l.words, e, cli.Width(a.Out), a.Colour()))
	return err
}

// clipNames returns a function that finds clips in a store.
func clipNames(ctx context.Context, store *data.Store) func(playlist.ClipID) (playlist.Clip, bool) {
	return func(id playlist.ClipID) (playlist.Clip, bool) {
		c, _, err := store.Clip(ctx, id)
		return c, err == nil || errors.Is(err, data.ErrNoFile)
	}
}

// alertNames returns a function that finds the titles of alerts in a store, which it reads
// once it is asked for one that it does not know.
func alertNames(ctx context.Context, store *data.Store) func(playlist.AlertID) (string, bool) {
	titles := map[playlist.AlertID]string{}
	return func(id playlist.AlertID) (string, bool) {
		if _, known := titles[id]; !known {
			titles[id] = "" // not looked for again
			records, _ := store.Alerts(ctx)
			for _, r := range records {
				titles[r.ID] = r.Headline()
			}
		}
		return titles[id], titles[id] != ""
	}
}
