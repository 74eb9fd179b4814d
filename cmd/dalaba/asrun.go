package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/web"
)

// asrunCmd shows the as-run log.
func (a *app) asrunCmd() *cobra.Command {
	var (
		p   cli.Period
		q   data.Query
		csv cli.CSVForm
	)
	c := a.JSONFlag(&cobra.Command{
		Use:   "asrun",
		Short: a.Say("view.asrun_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.asrun(c.Context(), time.Now(), p, q, csv) },
	})
	a.PeriodFlags(c, &p)
	c.Flags().StringVar(&q.Output, "output", "", a.Say("view.flag_output"))
	c.Flags().StringVar(&q.Slot, "slot", "", a.Say("view.flag_slot"))
	a.CSVFlag(c, &csv)
	return c
}

// asrun shows rows by due instant as they come from the disk. `--json` is a
// list of asrun.Row; `--csv=raw` has the same keys in its first line.
func (a *app) asrun(ctx context.Context, now time.Time, p cli.Period, q data.Query, csv cli.CSVForm) error {
	if a.JSON && csv != "" {
		return cli.Refuse(say.M("view.json_or_csv"))
	}
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := a.outputNamed(ctx, s, q.Output); err != nil {
		return err
	}
	if q.Slot, err = a.slotNamed(ctx, s, q.Slot); err != nil {
		return err
	}
	if s.Store == nil && !a.JSON {
		return a.noStore(s.Site.DataDir)
	}
	if q.Since, q.Until, err = p.Span(now, s.Site.Zone); err != nil {
		return err
	}
	if p.Since == "" {
		q.Since = cli.Midnight(now, s.Site.Zone, 0)
		if !q.Until.IsZero() && !q.Since.Before(q.Until) {
			q.Since = time.Time{}
		}
	}
	if s.Store == nil {
		return newList(a.Out).end() // nothing has aired yet
	}
	rows := s.Store.AsRun(ctx, q)
	switch {
	case a.JSON:
		return rowsJSON(a.Out, rows)
	case csv == cli.CSVRaw:
		return a.rowsRaw(rows)
	case csv == cli.CSVSheet:
		return a.rowsSheet(ctx, s, rows)
	}
	return a.rowsTable(s, rows, now, q)
}

func rowsJSON(out io.Writer, rows iter.Seq2[asrun.Row, error]) error {
	l := newList(out)
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := l.add(r); err != nil {
			return err
		}
	}
	return l.end()
}

func (a *app) rowsTable(s *site.Site, rows iter.Seq2[asrun.Row, error], now time.Time, q data.Query) error {
	t := a.NewTable(cli.Key(a.Say("view.due")), a.Say("view.slot"), a.Say("view.by_output"), cli.Title(a.Say("view.by_clip")),
		cli.Extra(a.Say("view.started")), ">"+a.Say("view.heard"), cli.Message(a.Say("view.outcome")))
	_, alive := data.Running(s.Site.DataDir)
	n := 0
	for r, err := range rows {
		if err != nil {
			return err
		}
		n++
		started, sounded := "–", "–"
		if !r.Started.IsZero() {
			started = r.Started.In(s.Site.Zone).Format(time.TimeOnly)
			sounded = heardOf(r)
		}
		clip := "–"
		if r.Clip != "" {
			clip = a.ClipName(r.Clip, r.Title, r.Issue)
		}
		if t.Add(web.Stamp(r.Due, now, s.Site.Zone), a.rowSlot(r), r.Output, clip, started, sounded, a.outcome(r, alive)) {
			fmt.Fprint(a.Out, t.Page())
		}
	}
	if n == 0 {
		if q.Since.IsZero() {
			a.Println(a.Say("view.asrun_empty"))
		} else {
			a.Println(a.Say("view.asrun_none", web.Stamp(q.Since, now, s.Site.Zone)))
		}
		return nil
	}
	fmt.Fprint(a.Out, t.Page())
	return nil
}

// outcome is how a row ended, and why.
func (a *app) outcome(r asrun.Row, alive bool) cli.Cell {
	c := a.ending(r, alive)
	if r.Outcome == "" {
		return c
	}
	if r.Reason != asrun.ReasonNone {
		c.Text += " · " + a.Word("reason.", string(r.Reason))
	}
	c.Text += a.rejoined(r)
	if r.Clock == playlist.ClockUntrusted {
		c.Text += a.Say("view.untrusted")
	}
	return c
}

// heardOf is how much of its clip a part was, and how long the clip is.
func heardOf(r asrun.Row) string {
	return web.Length(playlist.Length(r.Frames)) + "/" + web.Length(playlist.Length(r.OfFrames))
}

// rejoined says from where a part went on that followed an interruption.
func (a *app) rejoined(r asrun.Row) string {
	if !r.Rejoins() {
		return ""
	}
	return a.Say("view.rejoined", web.Length(playlist.Length(r.FromFrame)))
}

// ending is how a row ended, or how it stands.
func (a *app) ending(r asrun.Row, alive bool) cli.Cell {
	switch {
	case r.Outcome != "":
		return cli.Tint(a.Word("outcome.", string(r.Outcome)), cli.OutcomeTone(r.Outcome))
	case !alive:
		return cli.Tint(a.Say("view.broke_off"), cli.OutcomeTone(asrun.Partial))
	case r.Started.IsZero():
		return cli.Tint(a.Say("view.waiting"), cli.Plain)
	}
	return cli.Tint(a.Say("outcome.airing"), cli.Good)
}

// rowSlot is what a row belongs to, for people: its slot, or an alert.
func (a *app) rowSlot(r asrun.Row) string {
	if r.Alert != "" {
		return a.Say("view.alert_row", a.Word("why.used_", string(r.Used)))
	}
	return wording.SlotTitle(r.Slot).In(a.Language())
}
