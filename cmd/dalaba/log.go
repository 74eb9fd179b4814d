package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// logCmd shows the device log.
func (a *app) logCmd() *cobra.Command {
	var (
		follow bool
		level  string
		n      int
	)
	c := a.JSONFlag(&cobra.Command{
		Use:   "log",
		Short: a.Say("view.log_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.log(c.Context(), follow, level, n) },
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, a.Say("view.flag_follow"))
	c.Flags().StringVar(&level, "level", "info", a.Say("view.flag_level"))
	c.Flags().IntVarP(&n, "lines", "n", 50, a.Say("view.flag_lines"))
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
	zone   *time.Location     // of the site
	end    func() error       // nil: nothing is to be closed
}

// openLog returns where to read the device log: in the store or, for a user who may
// not read that, from the running daemon. The log of a site whose config is refused
// can be read as long as its data folder is known. failed is set beside an error, too.
func (a *app) openLog(ctx context.Context) (l deviceLog, err error) {
	if l.zone, err = time.LoadLocation(config.DefaultZone); err != nil { // until the config tells
		l.zone = time.Local
	}
	text, err := a.readConfig()
	dir := config.DataDir(a.config, text)
	if dir == "" { // the daemon that runs by that file knows it
		if st, ok := control.ByConfig(ctx, a.config, a.Language()); ok {
			dir = st.DataDir
		}
	}
	l.failed = data.FailedStarts(a.config, dir)
	if err != nil {
		return l, err
	}
	s, problems, fellBack, err := site.Look(ctx, a.config, text)
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
		store, l.zone = s.Store, s.Site.Zone
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
func (a *app) log(ctx context.Context, follow bool, levelText string, n int) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(levelText)); err != nil {
		return cli.Refuse(say.M("view.bad_level", levelText))
	}
	a.Stream = true
	l, fault := a.openLog(ctx)
	if l.end != nil {
		defer func() { _ = l.end() }()
	}
	var (
		events []asrun.Event
		seen   int64
	)
	if fault == nil {
		limit := 0
		if level <= slog.LevelInfo && n > 0 {
			limit = n
		}
		if events, fault = l.events(ctx, 0, limit); len(events) > 0 {
			seen = events[len(events)-1].ID
		}
	}
	events = inOrder(events, a.failures(l.failed))
	events = slices.DeleteFunc(events, func(e asrun.Event) bool { return e.Level < int(level) })
	if n >= 0 && len(events) > n {
		events = events[len(events)-n:]
	}
	for _, e := range events {
		if err := a.event(e, l.zone); err != nil {
			return err
		}
	}
	switch {
	case !follow && errors.Is(fault, errNoStore) && (a.JSON || len(l.failed) > 0):
		return nil // there is no more than that
	case fault != nil:
		return fault
	case follow:
		return a.followLog(ctx, l.events, seen, level, l.zone)
	case len(events) == 0 && !a.JSON:
		a.Println(a.Say("view.log_empty"))
	}
	return nil
}

// followLog shows events after an ID as they come, until ctx ends.
func (a *app) followLog(ctx context.Context, source eventSource, seen int64, level slog.Level, zone *time.Location) error {
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
		events, err := source(ctx, seen, limit)
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
			if err := a.event(e, zone); err != nil {
				return err
			}
		}
	}
}

func (a *app) event(e asrun.Event, zone *time.Location) error {
	if a.JSON {
		l := logLine{e.ID, e.At.UTC(), strings.ToLower(slog.Level(e.Level).String()), e.Message, e.Attrs, e.Boot, e.MonoMS}
		if l.Attrs == nil {
			l.Attrs = map[string]any{}
		}
		return json.NewEncoder(a.Out).Encode(l)
	}
	text := e.Message
	if m, ok := say.Log(e.Message); ok {
		text = m.In(a.Language())
	}
	t, mark := cli.Plain, " "
	switch {
	case e.Level >= int(slog.LevelError):
		t, mark = cli.Bad, "✗"
	case e.Level >= int(slog.LevelWarn):
		t, mark = cli.Warn, "!"
	}
	var below []string // a text of several lines
	line := cli.Paint(e.At.In(zone).Format("2006-01-02 15:04:05.000"), cli.Faint, a.Colour()) + " " + cli.Paint(mark+" "+cli.Printable(text), t, a.Colour())
	for _, k := range slices.Sorted(maps.Keys(e.Attrs)) {
		if e.Attrs[k] == nil || e.Attrs[k] == "" {
			continue
		}
		if text, ok := e.Attrs[k].(string); ok && k == "why" {
			below = strings.Split(text, "\n")
			continue
		}
		line += "  " + cli.Paint(k+"=", cli.Faint, a.Colour()) + cli.Printable(a.attr(k, e.Attrs[k], zone))
	}
	for _, l := range below {
		line += "\n    " + cli.Printable(l)
	}
	_, err := fmt.Fprintln(a.Out, line)
	return err
}

// attr is an attribute's value for people.
func (a *app) attr(key string, v any, zone *time.Location) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		at, err := time.Parse(time.RFC3339Nano, v)
		switch {
		case err == nil:
			return at.In(zone).Format("2006-01-02T15:04:05")
		case (key == "outcome" || key == "reason") && say.Has(key+"."+v):
			return a.Say(key + "." + v)
		case key == "clip" && len(v) == 64:
			return v[:12]
		case strings.ContainsAny(v, " \n\t\"="):
			return strconv.Quote(v)
		}
		return v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(b)
	}
}
