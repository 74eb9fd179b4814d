package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/web"
)

// alertsReport is `dalaba reach --alerts --json`. Times are UTC.
type alertsReport struct {
	Since  *time.Time   `json:"since"` // null: from the first row on
	Until  *time.Time   `json:"until"` // null: up to now
	Alerts []alertReach `json:"alerts"`
}

type alertReach struct {
	emergency.Reach
	ReachRate *float64 `json:"reach_rate"` // reached / residents; null if there are none
}

// reachAlerts reports on which outputs each alert was heard whole, and by how many.
func (a *app) reachAlerts(ctx context.Context, now time.Time, p cli.Period, csv cli.CSVForm) (err error) {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Store == nil && !a.JSON {
		return a.noStore(s.Site.DataDir)
	}
	since, until, err := p.Span(now, s.Site.Zone)
	if err != nil {
		return err
	}
	var all []emergency.Reach
	if s.Store != nil {
		records, err := s.Store.Alerts(ctx)
		if err != nil {
			return err
		}
		rows := s.Store.AsRun(ctx, data.Query{Since: since, Until: until})
		if all, err = emergency.Report(&s.Programme, records, rows, since, until); err != nil {
			return err
		}
	}
	switch {
	case a.JSON:
		report := alertsReport{Since: utc(since), Until: utc(until), Alerts: []alertReach{}}
		for _, r := range all {
			e := alertReach{Reach: r}
			if v, ok := r.Rate(); ok {
				e.ReachRate = &v
			}
			report.Alerts = append(report.Alerts, e)
		}
		return json.NewEncoder(a.Out).Encode(report)
	case csv == cli.CSVRaw:
		return a.alertsRaw(all)
	case csv == cli.CSVSheet:
		return a.alertsSheet(s, all)
	case len(all) == 0:
		a.Println(a.Say("view.alerts_none"))
		return nil
	}
	a.alertsTable(s, all, now)
	return nil
}

// utc is an instant for JSON; nil if it is zero.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *app) alertsTable(s *site.Site, all []emergency.Reach, now time.Time) {
	t := a.NewTable(cli.Key(a.Say("alerts.received")), cli.Message(a.Say("alerts.title")), cli.Key(a.Say("alerts.kind")),
		">"+a.Say("view.reach_rate"), cli.Message(a.Say("view.heard_on")), cli.Message(a.Say("view.heard_else")))
	for _, r := range all {
		var whole, rest []string
		for _, o := range r.Outputs {
			if o.Reached == emergency.ReachedWhole {
				whole = append(whole, o.Output)
			} else {
				rest = append(rest, a.Say("view.output_heard", o.Output, a.Word("view.heard_", string(o.Reached))))
			}
		}
		full := t.Add(web.Stamp(r.Received, now, s.Site.Zone), a.alertName(r), a.alertKindOf(r),
			cli.Percent(int64(r.Reached), int64(r.Residents), r.Rate),
			cmp.Or(strings.Join(whole, a.Say("view.comma")), "–"), strings.Join(rest, a.Say("view.comma")))
		if full {
			fmt.Fprint(a.Out, t.Page())
		}
	}
	fmt.Fprintln(a.Out, t.Page())
	a.Println(cli.Paint(a.Say("view.alerts_notes"), cli.Faint, a.Colour()))
}

// alertRow is a row of the alert, as far as it names it.
func alertRow(r emergency.Reach) asrun.Row {
	return asrun.Row{Airing: r.ID.Airing(), Alert: r.ID, Title: r.Title, Rank: r.Rank}
}

func (a *app) alertName(r emergency.Reach) string { return a.rowName(alertRow(r)) }

func (a *app) alertKindOf(r emergency.Reach) string {
	return a.rowKind(alertRow(r), r.Record, r.Record.ID != "")
}

// alertsSheet writes a line for each output of each alert, for a person with a
// spreadsheet.
func (a *app) alertsSheet(s *site.Site, all []emergency.Reach) error {
	w, err := cli.NewCSV(a.Out, cli.CSVSheet, a.Say("alerts.received"), a.Say("alerts.title"), a.Say("alerts.kind"),
		a.Say("view.by_output"), a.Say("view.residents"), a.Say("view.heard_how"), a.Say("view.passes_whole"))
	if err != nil {
		return err
	}
	for _, r := range all {
		for _, o := range r.Outputs {
			err := w.Add(cli.Local(r.Received, s.Site.Zone), a.alertName(r), a.alertKindOf(r),
				o.Output, o.Residents, a.Word("view.heard_", string(o.Reached)), o.Whole)
			if err != nil {
				return err
			}
		}
	}
	return w.End()
}

// alertsRaw writes the same for programs.
func (a *app) alertsRaw(all []emergency.Reach) error {
	w, err := cli.NewCSV(a.Out, cli.CSVRaw, "id", "title", "received", "output", "residents", "reached", "whole")
	if err != nil {
		return err
	}
	for _, r := range all {
		for _, o := range r.Outputs {
			if err := w.Add(string(r.ID), r.Title, rfc3339(r.Received), o.Output, o.Residents, string(o.Reached), o.Whole); err != nil {
				return err
			}
		}
	}
	return w.End()
}
