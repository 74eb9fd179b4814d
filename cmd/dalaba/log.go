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
	"dalaba/playlist/asrun"
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

// events returns where to read the device log: in the store or, for a user who may
// not read that, from the running daemon.
func (a *app) events(ctx context.Context) (from eventSource, zone *time.Location, end func() error, err error) {
	s, err := a.look(ctx)
	if errors.Is(err, fs.ErrPermission) {
		if daemon, aerr := a.ask(ctx); aerr == nil {
			return daemon.Events, time.Local, func() error { return nil }, nil
		}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if s.Store == nil {
		return nil, nil, nil, say.M("cli.no_store", s.Site.DataDir)
	}
	return s.Store.Events, s.Site.Zone, s.Close, nil
}

// log shows the last n events of the level or above and, with follow, those
// that come, until ctx ends. With --json each is a line of its own.
func (a *app) log(ctx context.Context, follow bool, levelText string, n int) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(levelText)); err != nil {
		return cli.Refuse(say.M("view.bad_level", levelText))
	}
	a.Stream = true
	source, zone, end, err := a.events(ctx)
	if err != nil {
		if m := (say.Message{}); errors.As(err, &m) && m.Key == "cli.no_store" && a.JSON && !follow {
			return nil // nothing was noted yet: no line
		}
		return err
	}
	defer func() { _ = end() }()
	limit := 0
	if level <= slog.LevelInfo && n > 0 {
		limit = n
	}
	events, err := source(ctx, 0, limit)
	if err != nil {
		return err
	}
	seen := int64(0)
	if len(events) > 0 {
		seen = events[len(events)-1].ID
	}
	events = slices.DeleteFunc(events, func(e asrun.Event) bool { return e.Level < int(level) })
	if n >= 0 && len(events) > n {
		events = events[len(events)-n:]
	}
	for _, e := range events {
		if err := a.event(e, zone); err != nil {
			return err
		}
	}
	if follow {
		return a.followLog(ctx, source, seen, level, zone)
	}
	if len(events) == 0 && !a.JSON {
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
	line := cli.Paint(e.At.In(zone).Format("2006-01-02 15:04:05.000"), cli.Faint, a.Colour()) + " " + cli.Paint(mark+" "+cli.Printable(text), t, a.Colour())
	for _, k := range slices.Sorted(maps.Keys(e.Attrs)) {
		if e.Attrs[k] == nil || e.Attrs[k] == "" {
			continue
		}
		line += "  " + cli.Paint(k+"=", cli.Faint, a.Colour()) + cli.Printable(a.attr(k, e.Attrs[k]))
	}
	_, err := fmt.Fprintln(a.Out, line)
	return err
}

// attr is an attribute's value for people.
func (a *app) attr(key string, v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		switch {
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
