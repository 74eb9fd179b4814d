package main

import (
	"fmt"
	"strings"

	"dalaba/cmd/cli"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

// reachTable is a reach report for people, without a line break at its end.
func (a *app) reachTable(lines []asrun.Reach, total asrun.Reach, by asrun.Grouping) string {
	t := a.NewTable(cli.Title(a.Word("view.by_", string(by))), ">"+a.Say("view.planned"), cli.Extra(">"+a.Say("view.delivered")),
		cli.Extra(">"+a.Say("view.started_count")), ">"+a.Say("view.completed"), ">"+a.Say("view.unknown"),
		">"+a.Say("view.completion"), ">"+a.Say("view.reach_rate"), cli.Extra(">"+a.Say("view.frequency")))
	var b strings.Builder
	add := func(name any, r asrun.Reach) {
		full := t.Add(name, r.Planned, r.Delivered, r.Started, r.Completed, r.Unknown,
			cli.Percent(int64(r.Completed), int64(r.Planned), r.Completion),
			cli.Percent(int64(r.Reached), int64(r.Residents), r.Rate), times(r))
		if full {
			b.WriteString(t.Page())
		}
	}
	for _, r := range lines {
		add(a.reachName(r, by), r)
	}
	add(cli.Tint(a.Say("view.total"), "1"), total)
	b.WriteString(t.Page())
	return strings.TrimRight(b.String(), "\n")
}

// reachNames is how a report has its lines named in a spreadsheet.
func (a *app) reachNames(by asrun.Grouping) cli.ReachNames {
	return cli.ReachNames{
		Head: a.Word("view.by_", string(by)), Of: func(r asrun.Reach) string { return a.reachName(r, by).Text },
		Series: by == asrun.ByClip || by == asrun.ByIssue, Clip: by == asrun.ByClip,
	}
}

func (a *app) reachName(r asrun.Reach, by asrun.Grouping) cli.Cell {
	switch {
	case r.Key == "" && (by == asrun.ByClip || by == asrun.ByIssue):
		return cli.Tint(a.Say("view.no_clip"), cli.Faint)
	case r.Key == "":
		return cli.Tint(a.Say("view.no_series"), cli.Faint)
	case by == asrun.ByIssue && r.Issue > 0:
		return cli.Tint(a.billed("", r.Series, r.Title, r.Issue), cli.Plain)
	case by == asrun.ByClip || by == asrun.ByIssue:
		return cli.Tint(a.ClipName(playlist.ClipID(r.Key), r.Title, r.Issue), cli.Plain)
	}
	if by == asrun.BySlot {
		return cli.Tint(a.rowName(asrun.Row{Airing: playlist.AiringID(r.Key), Slot: r.Key}), cli.Plain)
	}
	return cli.Tint(r.Key, cli.Plain)
}

func times(r asrun.Reach) string {
	v, ok := r.Frequency()
	if !ok {
		return fmt.Sprintf("%d/%d –", r.PersonAirings, r.Reached)
	}
	return fmt.Sprintf("%d/%d %s", r.PersonAirings, r.Reached, web.Times(v))
}
