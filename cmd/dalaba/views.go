package main

import (
	"fmt"
	"strings"

	"dalaba/cmd/cli"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
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

func (a *app) reachName(r asrun.Reach, by asrun.Grouping) any {
	switch {
	case r.Key == "" && by == asrun.ByClip:
		return cli.Tint(a.Say("view.no_clip"), cli.Faint)
	case r.Key == "":
		return cli.Tint(a.Say("view.no_series"), cli.Faint)
	case by == asrun.ByClip:
		return a.ClipName(playlist.ClipID(r.Key), r.Title, r.Issue)
	}
	return r.Key
}

func times(r asrun.Reach) string {
	v, ok := r.Frequency()
	if !ok {
		return fmt.Sprintf("%d/%d –", r.PersonAirings, r.Reached)
	}
	return fmt.Sprintf("%d/%d %.1f", r.PersonAirings, r.Reached, v)
}
