package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/uplink"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

// planCmd lists the coming airings.
func (a *app) planCmd() *cobra.Command {
	days, since := 1, ""
	c := a.JSONFlag(&cobra.Command{
		Use:   "plan",
		Short: a.Say("view.plan_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.plan(c.Context(), time.Now(), since, days) },
	})
	c.Flags().IntVar(&days, "days", days, a.Say("view.flag_days"))
	c.Flags().StringVar(&since, "since", "", a.Say("view.flag_plan_since"))
	return c
}

const maxPlanDays = 366

// plannedAiring is an element of `dalaba plan --json`: one airing on one
// output. Times are UTC.
type plannedAiring struct {
	Airing   playlist.AiringID `json:"airing"`
	Output   string            `json:"output"`
	Slot     string            `json:"slot"`
	Playlist string            `json:"playlist"`
	Priority int               `json:"priority"`
	Due      time.Time         `json:"due"`
	Start    time.Time         `json:"start,omitzero"` // expected; absent if it will not sound
	End      time.Time         `json:"end,omitzero"`
	Clips    []plannedClip     `json:"clips"`
	Parts    []plannedPart     `json:"parts"`
	Outcome  asrun.Outcome     `json:"outcome"` // of all its clips together
	Flags    []schedule.Flag   `json:"flags"`
}

// plannedPart is a stretch of a clip that sounds without a break.
type plannedPart struct {
	Item  int             `json:"item"`
	Clip  playlist.ClipID `json:"clip"`
	FromS float64         `json:"from_s"` // where in the clip
	Start time.Time       `json:"start"`
	End   time.Time       `json:"end"`
}

type plannedClip struct {
	ID     playlist.ClipID `json:"id"`
	Title  string          `json:"title"`
	Series string          `json:"series,omitempty"`
	Issue  int             `json:"issue,omitempty"`
}

func (a *app) plan(ctx context.Context, now time.Time, since string, days int) error {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if days < 1 || days > maxPlanDays {
		return cli.Refuse(say.M("view.bad_days", maxPlanDays))
	}
	outlook, now, err := a.outlook(ctx, s, now)
	if err != nil {
		return err
	}
	from := now
	if since != "" {
		if from, _, err = cli.ParseWhen(since, cli.Ahead, now, s.Site.Zone); err != nil {
			return err
		}
	}
	if from.Before(now) {
		outlook.State = schedule.State{}
	}
	if !a.JSON {
		a.tellState(s, outlook.State)
	}
	// What falls due at from itself belongs to it.
	to := from.In(s.Site.Zone).AddDate(0, 0, days).Add(-time.Nanosecond)
	plan := schedule.Plan(&s.Programme, from.Add(-time.Nanosecond), to, outlook)
	if a.JSON {
		return a.planJSON(plan, outlook)
	}
	if _, running := data.Running(s.Site.DataDir); running && site.Edited(a.config.Path, s.Site.DataDir) {
		a.Remark(a.Say("view.edited", a.config.Path))
	}
	if e, found := schedule.Uncovered(&s.Programme, from, to); found {
		a.Remark(wording.Why(e, now, s.Site.Zone).In(a.Language()))
	}
	if len(plan) == 0 {
		a.Println(a.Say("view.plan_empty", days))
	} else {
		a.planTable(s, plan, outlook, now)
	}
	return a.tellComing(ctx, s, now, to)
}

// tellComing tells of what the county has published for a day until then: the plan does not
// have it.
func (a *app) tellComing(ctx context.Context, s *site.Site, now, until time.Time) error {
	coming, err := uplink.Coming(ctx, s.Store)
	for _, m := range coming {
		if m.NotBefore.After(now) && !m.NotBefore.After(until) {
			a.Remark(a.Say("view.plan_coming", web.Stamp(m.NotBefore, now, s.Site.Zone), string(m.Scope), m.Version))
		}
	}
	return err
}

// tellState says what a plan that begins with a state takes for granted.
func (a *app) tellState(s *site.Site, state schedule.State) {
	if state.At.IsZero() { // of a time that is past
		a.Remark(a.Say("view.plan_past"))
		return
	}
	if _, running := data.Running(s.Site.DataDir); !running {
		a.Remark(a.Say("view.plan_off"))
	}
	if state.Clock == playlist.ClockUntrusted {
		a.Remark(a.Say("view.plan_untrusted"))
	}
	for _, h := range state.Held {
		a.Remark(a.Say("view.plan_held", h.Output, wording.Other(h.By)))
	}
}

func (a *app) planJSON(plan []schedule.Planned, o schedule.Outlook) error {
	list := newList(a.Out)
	for _, p := range plan {
		e := plannedAiring{
			Airing: p.ID, Output: p.Output, Slot: p.Slot.Name, Playlist: p.Slot.Playlist, Priority: p.Slot.Priority,
			Due: p.Due.UTC(), Start: p.Start.UTC(), End: p.End.UTC(), Clips: []plannedClip{}, Parts: []plannedPart{},
			Outcome: p.Outcome, Flags: p.Flags,
		}
		for _, part := range p.Parts {
			e.Parts = append(e.Parts, plannedPart{part.Item, part.Clip, part.From.Seconds(), part.Start.UTC(), part.End.UTC()})
		}
		if e.Flags == nil {
			e.Flags = []schedule.Flag{}
		}
		for _, id := range p.Clips {
			c, _ := o.Clip(id)
			e.Clips = append(e.Clips, plannedClip{id, c.Title, c.Series, c.Issue})
		}
		if err := list.add(e); err != nil {
			return err
		}
	}
	return list.end()
}

func (a *app) planTable(s *site.Site, plan []schedule.Planned, o schedule.Outlook, now time.Time) {
	t := a.NewTable(cli.Key(a.Say("view.due")), a.Say("view.slot"), a.Say("view.outputs"), cli.Key(a.Say("view.start")), cli.Key(a.Say("view.end")),
		cli.Title(a.Say("view.clips")), cli.Message(a.Say("view.notes")))
	// A time of another day than it fell due on has its date.
	clock := func(at, due time.Time) string {
		local := at.In(s.Site.Zone)
		switch {
		case at.IsZero():
			return "–"
		case local.Format(time.DateOnly) != due.In(s.Site.Zone).Format(time.DateOnly):
			return local.Format("01-02 15:04:05")
		}
		return local.Format(time.TimeOnly)
	}
	for len(plan) > 0 {
		p, outputs := plan[0], []string{plan[0].Output}
		rest := plan[1:]
		for len(rest) > 0 && alike(p, rest[0]) {
			outputs, rest = append(outputs, rest[0].Output), rest[1:]
		}
		plan = rest
		tone := cli.Plain
		switch {
		case p.Start.IsZero():
			tone = cli.Bad
		case len(p.Flags) > 0:
			tone = cli.Warn
		}
		due := a.Say("view.weekday_"+strconv.Itoa(int(p.Due.In(s.Site.Zone).Weekday()))) + " " + web.Stamp(p.Due, now, s.Site.Zone)
		if playlist.ShownTwice(p.Due, s.Site.Zone) {
			due += " " + offsetOf(p.Due.In(s.Site.Zone))
		}
		full := t.Add(due, wording.SlotTitle(p.Slot.Name).In(a.Language()), strings.Join(outputs, a.Say("view.comma")),
			clock(p.Start, p.Due), clock(p.End, p.Due), a.clipList(p.Clips, o), cli.Tint(a.flags(p, o), tone))
		if full {
			fmt.Fprint(a.Out, t.Page())
		}
	}
	fmt.Fprint(a.Out, t.Page())
}

// alike reports whether two outputs of an airing have the same ahead of them.
func alike(a, b schedule.Planned) bool {
	return a.ID == b.ID && a.Start.Equal(b.Start) && a.End.Equal(b.End) &&
		slices.Equal(a.Clips, b.Clips) && slices.Equal(a.Flags, b.Flags)
}

const clipsShown = 3

func (a *app) clipList(ids []playlist.ClipID, o schedule.Outlook) string {
	var names []string
	for i, id := range ids {
		if i == clipsShown && len(ids) > clipsShown+1 {
			names = append(names, a.Say("view.more_clips", len(ids)-i))
			break
		}
		c, _ := o.Clip(id)
		names = append(names, a.ClipName(id, c.Title, c.Issue))
	}
	return strings.Join(names, a.Say("view.comma"))
}

// flags puts what is wrong with a planned airing into words.
func (a *app) flags(p schedule.Planned, o schedule.Outlook) string {
	var notes []string
	for _, f := range p.Flags {
		key := "view.plan_flag_" + string(f.Kind)
		switch {
		case f.Clip != "":
			c, _ := o.Clip(f.Clip)
			notes = append(notes, a.Say(key, a.ClipName(f.Clip, c.Title, c.Issue)))
		case f.Kind.Collides():
			notes = append(notes, a.Say(key, wording.Other(f.Other)))
		default:
			notes = append(notes, a.Say(key))
		}
	}
	return strings.Join(notes, a.Say("view.semicolon"))
}

// list writes a JSON array as its elements come.
type list struct {
	out interface{ Write([]byte) (int, error) }
	n   int
}

func newList(out interface{ Write([]byte) (int, error) }) *list { return &list{out: out} }

func (l *list) add(e any) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	lead := ",\n"
	if l.n == 0 {
		lead = "[\n"
	}
	l.n++
	_, err = l.out.Write(append([]byte(lead), b...))
	return err
}

func (l *list) end() error {
	tail := "\n]\n"
	if l.n == 0 {
		tail = "[]\n"
	}
	_, err := l.out.Write([]byte(tail))
	return err
}
