package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

// statusCmd tells how the controller is.
func (a *app) statusCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "status",
		Short: a.Say("view.status_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.status(c.Context(), time.Now()) },
	})
}

func (a *app) status(ctx context.Context, now time.Time) error {
	st, err := a.readStatus(ctx, now)
	if err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(st)
	}
	a.showStatus(st)
	return nil
}

// readStatus asks the running daemon or, if none runs, reads the store. A user who
// may ask the daemon need not be able to read its store.
func (a *app) readStatus(ctx context.Context, now time.Time) (status.Status, error) {
	s, err := a.look(ctx)
	if errors.Is(err, fs.ErrPermission) {
		if text, rerr := a.readConfig(); rerr == nil {
			if daemon, aerr := control.Ask(ctx, config.DataDir(a.config.Path, text), a.Language()); aerr == nil {
				return daemon.Status(ctx)
			}
		}
	}
	if err != nil {
		return status.Status{}, err
	}
	defer func() { _ = s.Close() }()
	return a.statusOf(ctx, s, now)
}

// statusOf returns the status of a site: the daemon's or, if it does not run or
// cannot be asked, the store's. Why it cannot be asked is shown.
func (a *app) statusOf(ctx context.Context, s *site.Site, now time.Time) (status.Status, error) {
	pid, running := data.Running(s.Site.DataDir)
	if running {
		daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
		if err == nil {
			return daemon.Status(ctx)
		}
		a.Remark(say.In(a.Language(), err))
	}
	st, err := status.Of(ctx, s, a.config.Path, now, running, nil)
	st.PID = pid
	return st, err
}

func (a *app) showStatus(st status.Status) {
	now := st.At
	zone, err := time.LoadLocation(st.Timezone)
	if err != nil {
		zone = time.Local
	}
	when := func(t time.Time) string { return web.Stamp(t, now, zone) }
	a.Println(cli.Paint(a.Say("run.welcome", st.Site, st.Area), "1", a.Colour()))
	a.showRunning(st, when)
	a.Println("")
	t := a.NewTable(a.Say("view.by_output"), cli.Key(a.Say("view.state")), cli.Title(a.Say("view.now_playing")), cli.Key(a.Say("view.progress")))
	for _, o := range st.Outputs {
		t.Add(o.Name, cli.Tint(a.Word("view.state_", string(o.State)), stateTone(o.State)), a.playing(o), progress(a, o))
	}
	fmt.Fprint(a.Out, t.Page())
	for _, v := range st.Alerts {
		a.Println(cli.Paint(a.Say("alerts.in_force", v.Headline(), a.alertKind(v.Record), a.alertState(v.Record, zone), when(v.Expires), v.ID), cli.Bad, a.Colour()))
	}
	a.Println("")
	a.showNext(st.Next, when)
	a.Println("")
	a.showStore(st, when)
}

// showRunning tells whether the daemon runs, by which config and clock.
func (a *app) showRunning(st status.Status, when func(time.Time) string) {
	switch {
	case st.Running && st.Started.IsZero():
		a.Println(cli.Paint(a.Say("view.running_pid", st.PID), cli.Good, a.Colour()))
	case st.Running:
		a.Println(cli.Paint(a.Say("view.running", st.PID, when(st.Started), web.Age(st.Started, st.At)), cli.Good, a.Colour()))
	case st.Started.IsZero():
		a.Println(cli.Paint(a.Say("view.never_ran"), cli.Warn, a.Colour()))
	default:
		a.Println(cli.Paint(a.Say("view.not_running", when(st.Started)), cli.Bad, a.Colour()))
	}
	if st.Config.Since.IsZero() {
		a.Println(a.Say("view.config", st.Config.File))
	} else {
		a.Println(a.Say("view.config_since", st.Config.File, when(st.Config.Since)))
	}
	if st.Running {
		tone := map[string]cli.Tone{"trusted": cli.Good, "untrusted": cli.Bad}[st.Clock]
		a.Println(cli.Paint(a.Word("view.clock_", st.Clock), tone, a.Colour()))
	} else if st.CutOff > 0 {
		a.Println(cli.Paint(a.Say("view.cut_off", st.CutOff), cli.Warn, a.Colour()))
	}
}

func (a *app) showNext(next []status.Next, when func(time.Time) string) {
	if len(next) == 0 {
		a.Println(a.Say("view.nothing_next"))
		return
	}
	a.Println(cli.Paint(a.Say("view.next"), "1", a.Colour()))
	t := a.NewTable(cli.Key(a.Say("view.due")), a.Say("view.slot"), cli.Title(a.Say("view.playlist")), cli.Message(a.Say("view.outputs")))
	for _, n := range next {
		outputs := strings.Join(n.Outputs, a.Say("view.comma"))
		switch {
		case n.Quiet:
			outputs += a.Say("view.next_quiet")
		case n.Reason != "":
			outputs += a.Say("view.next_silent", say.Word("reason.", string(n.Reason)))
		case n.Start.Sub(n.Due) > schedule.LateBy:
			outputs += a.Say("view.next_late", when(n.Start))
		}
		t.Add(when(n.Due), wording.SlotTitle(n.Slot).In(a.Language()), n.Title, outputs)
	}
	fmt.Fprint(a.Out, t.Page())
}

// showCounty tells which county the controller is enrolled with, and how far the two
// agree.
func (a *app) showCounty(st status.Status, when func(time.Time) string) {
	c := st.County
	if c == nil {
		return
	}
	name := cmp.Or(c.Name, strings.Join(c.Servers, " "))
	switch {
	case c.Retired:
		a.Println(cli.Paint(a.Say("view.county_retired", name, c.Controller), cli.Bad, a.Colour()))
		return
	case c.Last.IsZero():
		a.Println(cli.Paint(a.Say("view.county_never", name, c.Controller, c.Area, when(c.Since)), cli.Warn, a.Colour()))
	default:
		a.Println(a.Say("view.county", name, c.Controller, c.Area, when(c.Since), when(c.Last)))
	}
	if len(c.Astray) > 0 {
		a.Println(cli.Paint(a.Say("view.astray", c.Area, strings.Join(c.Astray, a.Say("view.comma"))), cli.Warn, a.Colour()))
	}
}

// showStore tells how the store is, and what the county does not have yet.
func (a *app) showStore(st status.Status, when func(time.Time) string) {
	if st.Store == nil {
		a.Println(say.In(a.Language(), a.noStore(st.DataDir)))
		return
	}
	h := st.Store
	backup := a.Say("view.no_backup")
	if !h.LastBackup.IsZero() {
		backup = a.Say("view.backup", when(h.LastBackup), h.Backups)
	}
	a.Println(a.Say("view.store", web.Size(h.Size), backup, web.Size(h.Free)))
	switch {
	case h.InUse:
		a.Println(cli.Paint(a.Say("store.in_use", st.DataDir), cli.Bad, a.Colour()))
	case h.Volatile:
		a.Println(cli.Paint(a.Say("view.volatile"), cli.Bad, a.Colour()))
	}
	for _, l := range h.Losses {
		a.Println(cli.Paint(a.Say("view.loss", when(l.At), l.Why), cli.Warn, a.Colour()))
	}
	a.showCounty(st, when)
	switch {
	case st.Unsent.NoCounty:
		a.Println(a.Say("doctor.unsent_no_county"))
	case st.Unsent.Receipts == 0:
		a.Println(a.Say("view.all_sent"))
	default:
		a.Println(a.Say("view.unsent", st.Unsent.Receipts, when(st.Unsent.Oldest), web.Age(st.Unsent.Oldest, st.At)))
	}
	if st.Unsent.Aside > 0 {
		a.Println(cli.Paint(a.Say("view.aside", st.Unsent.Aside), cli.Warn, a.Colour()))
	}
}

func stateTone(state status.State) cli.Tone {
	switch state {
	case status.Airing:
		return cli.Good
	case status.Away:
		return cli.Bad
	case status.Idle:
		return cli.Plain
	}
	return cli.Faint
}

func (a *app) playing(o status.Output) string {
	n := o.Airing
	switch {
	case n == nil:
		return o.Problem
	case n.Clip == "" && n.Title == "":
		return a.Say("view.held", wording.Other(n.Airing))
	case n.Clip == "":
		return n.Title
	case n.Started.IsZero():
		return a.Say("view.ready", a.billed(n.Clip, n.Series, n.Title, n.Issue))
	}
	return a.billed(n.Clip, n.Series, n.Title, n.Issue)
}

func progress(a *app, o status.Output) string {
	if o.Airing == nil || o.Airing.Started.IsZero() || o.Airing.LengthS == 0 {
		return ""
	}
	at, whole := seconds(o.Airing.PositionS), seconds(o.Airing.LengthS)
	return cli.Gauge(8, at, whole) + " " + a.Say("view.about", web.Length(at), web.Length(whole))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// billed is a clip with its series, for people.
func (a *app) billed(id playlist.ClipID, series, title string, issue int) string {
	if series == "" {
		return a.ClipName(id, title, issue)
	}
	return series + " " + a.ClipName(id, title, issue)
}
