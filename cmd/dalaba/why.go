package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// whyCmd explains what sounded at a time, or did not.
func (a *app) whyCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   a.Say("why.use"),
		Short: a.Say("why.short"),
		Long:  a.Say("why.long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Refuse(say.M("why.no_time"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.why(c.Context(), time.Now(), strings.Join(args, " "))
		},
	})
}

// explained is `dalaba why --json`. Times are UTC.
type explained struct {
	At    time.Time   `json:"at"`
	Again time.Time   `json:"again,omitzero"` // set if clocks showed that time twice
	Said  []string    `json:"said"`           // in the user's language
	Rows  []asrun.Row `json:"rows"`           // of the as-run log, due or sounding at that time
}

func (a *app) why(ctx context.Context, now time.Time, text string) error {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	moments, day, err := cli.ParseMoments(text, now, s.Site.Zone)
	if err != nil {
		return err
	}
	if day {
		return cli.Refuse(say.M("why.no_time"))
	}
	e := explained{At: moments[0].Truncate(time.Second).UTC(), Said: []string{}, Rows: []asrun.Row{}}
	if len(moments) > 1 {
		e.Again = moments[1].Truncate(time.Second).UTC()
		e.Said = append(e.Said, a.Say("why.twice", offsetOf(moments[0]), offsetOf(moments[1])))
	}
	for _, at := range moments {
		at = at.Truncate(time.Second)
		if len(moments) > 1 {
			e.Said = append(e.Said, a.Say("why.of_them", offsetOf(at)))
		}
		ev, present, err := a.evidence(ctx, s, at, now)
		if err != nil {
			return err
		}
		for _, x := range schedule.Explain(&s.Programme, ev, at, present) {
			e.Said = append(e.Said, wording.Why(x, at, s.Site.Zone).In(a.Language()))
		}
		for _, r := range ev.Rows {
			if then(r, at, now) {
				e.Rows = append(e.Rows, r)
			}
		}
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(e)
	}
	for _, line := range e.Said {
		a.Println(cli.Printable(line))
	}
	return a.tellComing(ctx, s, now, moments[0])
}

// foresees is how far ahead it is told which clips will air: the plan is played through
// up to there.
const foresees = 62 * 24 * time.Hour

// evidence gathers what is known and expected about an instant. present is now, by the
// daemon if one runs.
func (a *app) evidence(ctx context.Context, s *site.Site, at, now time.Time) (ev schedule.Evidence, present time.Time, err error) {
	outlook, now, err := a.outlook(ctx, s, now)
	if err != nil {
		return ev, now, err
	}
	ev.Clip, ev.Held = outlook.Clip, outlook.State.Held
	from := now
	if at.Sub(now) > foresees { // from an idle day before it
		from, outlook.State = at.AddDate(0, 0, -1), schedule.State{}
	}
	if end := at.Add(time.Minute); end.After(now) || now.Sub(at) < playlist.ShiftWithin+time.Hour {
		ev.Planned = schedule.Plan(&s.Programme, from.Add(-time.Nanosecond), end, outlook)
	}
	_, ev.Alive = data.Running(s.Site.DataDir)
	if s.Store == nil {
		return ev, now, nil
	}
	for r, err := range s.Store.AsRun(ctx, data.Query{Since: at.Add(-24 * time.Hour), Until: at.Add(time.Hour)}) {
		if err != nil {
			return ev, now, err
		}
		ev.Rows = append(ev.Rows, r)
	}
	if ev.Mark, err = s.Store.Watermark(ctx); err != nil {
		return ev, now, err
	}
	if ev.Started, err = s.Store.Started(ctx); err != nil {
		return ev, now, err
	}
	ev.First, err = s.Store.FirstStarted(ctx)
	return ev, now, err
}

// then reports whether a row was due, or sounding, in the minute from at on.
func then(r asrun.Row, at, now time.Time) bool {
	ended := r.Ended
	if r.Outcome == "" {
		ended = now.Add(time.Second)
	}
	end := at.Add(time.Minute)
	return !r.Due.Before(at) && r.Due.Before(end) || !r.Started.IsZero() && r.Started.Before(end) && ended.After(at)
}

// offsetOf tells two instants apart that read the same.
func offsetOf(t time.Time) string { return "UTC" + t.Format("-07:00") }
