package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
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
		p     cli.Period
		by    string
		asCSV bool
	)
	c := a.JSONFlag(&cobra.Command{
		Use:   "reach",
		Short: a.Say("view.reach_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.reach(c.Context(), time.Now(), p, by, asCSV) },
	})
	a.PeriodFlags(c, &p)
	c.Flags().StringVar(&by, "by", string(asrun.ByClip), a.Say("view.flag_by"))
	c.Flags().BoolVar(&asCSV, "csv", false, a.Say("view.flag_csv"))
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

func (a *app) reach(ctx context.Context, now time.Time, p cli.Period, grouping string, asCSV bool) error {
	by, err := asrun.ParseGrouping(grouping)
	if err != nil {
		return cli.Refuse(say.M("view.bad_grouping", grouping))
	}
	if a.JSON && asCSV {
		return cli.Refuse(say.M("view.json_or_csv"))
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
		if !since.IsZero() {
			since = since.UTC()
			report.Since = &since
		}
		if !until.IsZero() {
			until = until.UTC()
			report.Until = &until
		}
		return json.NewEncoder(a.Out).Encode(report)
	case asCSV:
		if changed != "" {
			a.Remark(changed)
		}
		return reachCSV(a.Out, r.Lines)
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

func reachCSV(out io.Writer, lines []asrun.Reach) error {
	if _, err := io.WriteString(out, byteOrderMark); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	_ = w.Write([]string{
		"key", "title", "series", "issue", "planned", "delivered", "started", "completed", "unknown",
		"person_airings", "reached", "residents", "completion", "reach_rate", "frequency",
	})
	rate := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'f', 4, 64)
	}
	for _, r := range lines {
		l := lineOf(r)
		_ = w.Write([]string{
			inert(r.Key), inert(r.Title), inert(r.Series), itoa(r.Issue), itoa(r.Planned), itoa(r.Delivered), itoa(r.Started),
			itoa(r.Completed), itoa(r.Unknown), itoa(r.PersonAirings), itoa(r.Reached), itoa(r.Residents),
			rate(l.Completion), rate(l.ReachRate), rate(l.Frequency),
		})
	}
	w.Flush()
	return w.Error()
}
