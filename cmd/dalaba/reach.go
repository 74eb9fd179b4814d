package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// reachCmd reports whom the airings reached.
func (a *app) reachCmd() *cobra.Command {
	var (
		p      cli.Period
		by     string
		alerts bool
		csv    cli.CSVForm
	)
	c := a.JSONFlag(&cobra.Command{
		Use:   "reach",
		Short: a.Say("view.reach_short"),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case a.JSON && csv != "":
				return cli.Refuse(say.M("view.json_or_csv"))
			case alerts && c.Flags().Changed("by"):
				return cli.Refuse(say.M("view.by_or_alerts"))
			case alerts:
				return a.reachAlerts(c.Context(), time.Now(), p, csv)
			}
			return a.reach(c.Context(), time.Now(), p, by, csv)
		},
	})
	a.PeriodFlags(c, &p)
	c.Flags().StringVar(&by, "by", string(asrun.ByClip), a.Say("view.flag_by"))
	c.Flags().BoolVar(&alerts, "alerts", false, a.Say("view.flag_alerts"))
	a.CSVFlag(c, &csv)
	return c
}

// reachReport is `dalaba reach --json`. A rate is null if its denominator is
// 0. Times are UTC.
type reachReport struct {
	By    asrun.Grouping `json:"by"`
	Since *time.Time     `json:"since"` // null: from the first row on
	Until *time.Time     `json:"until"` // null: up to now
	Lines []reachLine    `json:"lines"`
	Total reachLine      `json:"total"`

	// Changed are the outputs that had not the same residents at all airings. The figures
	// go by airing: see [asrun.Reach].
	Changed []asrun.Change `json:"changed"`
}

func newReachReport(by asrun.Grouping, r asrun.Summary) reachReport {
	report := reachReport{By: by, Lines: []reachLine{}, Total: lineOf(r.Total), Changed: append([]asrun.Change{}, r.Changed...)}
	for _, l := range r.Lines {
		report.Lines = append(report.Lines, lineOf(l))
	}
	return report
}

type reachLine struct {
	asrun.Reach
	Audible    *int     `json:"audible"`    // always null: no sensor says so
	Completion *float64 `json:"completion"` // completed / planned
	ReachRate  *float64 `json:"reach_rate"` // reached / residents
	Frequency  *float64 `json:"frequency"`  // person_airings / reached
}

func lineOf(r asrun.Reach) reachLine {
	l := reachLine{Reach: r}
	for to, rate := range map[**float64]func() (float64, bool){
		&l.Completion: r.Completion, &l.ReachRate: r.Rate, &l.Frequency: r.Frequency,
	} {
		if v, ok := rate(); ok {
			*to = &v
		}
	}
	return l
}

func (a *app) reach(ctx context.Context, now time.Time, p cli.Period, grouping string, csv cli.CSVForm) error {
	by, err := asrun.ParseGrouping(grouping)
	if err != nil {
		return cli.Refuse(say.M("view.bad_grouping", grouping))
	}
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if s.Store == nil && !a.JSON {
		return a.noStore(s.Site.DataDir)
	}
	since, until, err := p.Span(now, s.Site.Zone)
	if err != nil {
		return err
	}
	q := data.Query{Since: since, Until: until}
	if !since.IsZero() {
		q.Since = since.Add(-schedule.Horizon) // tells which slots were in force
	}
	rows := func(func(asrun.Row, error) bool) {} // nothing has aired yet
	if s.Store != nil {
		rows = s.Store.AsRun(ctx, q)
	}
	r, err := asrun.Report(&s.Programme, rows, by, since, until, now)
	if err != nil {
		return err
	}
	changed := a.changedResidents(r.Changed, s.Site.Zone)
	switch {
	case a.JSON:
		report := newReachReport(by, r)
		report.Since, report.Until = utc(since), utc(until)
		return json.NewEncoder(a.Out).Encode(report)
	case csv != "":
		if changed != "" {
			a.Remark(changed)
		}
		return a.ReachCSV(csv, a.reachNames(by), r.Lines, r.Total)
	case len(r.Lines) == 0:
		a.Println(a.Say("view.reach_none"))
		return nil
	}
	a.Println(a.reachTable(r.Lines, r.Total, by))
	a.Println("")
	if changed != "" {
		a.Println(changed)
		a.Println("")
	}
	a.Println(cli.Paint(a.Say("view.reach_notes"), cli.Faint, a.Colour()))
	return nil
}

func (a *app) changedResidents(all []asrun.Change, zone *time.Location) string {
	var list []cli.Changed
	for _, c := range all {
		row := cli.Changed{Output: c.Output}
		for _, f := range c.Figures {
			row.Figures = append(row.Figures, cli.Figure{Residents: f.Residents, Since: f.Since.In(zone).Format("2006-01-02 15:04")})
		}
		list = append(list, row)
	}
	return a.ChangedResidents(list)
}
