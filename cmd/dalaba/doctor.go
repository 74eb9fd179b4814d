package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/clock"
	"dalaba/controller/diagnose"
)

// doctorCmd looks for what is wrong with a controller, and says what to do.
func (a *app) doctorCmd() *cobra.Command {
	right := false
	c := a.JSONFlag(&cobra.Command{
		Use:   "doctor",
		Short: a.Say("doctor.short"),
		RunE: func(c *cobra.Command, _ []string) error {
			now := clock.Wall()()
			if right {
				return a.clockIsRight(c.Context(), now)
			}
			return a.doctor(c.Context(), now)
		},
	})
	c.Flags().BoolVar(&right, "clock-is-right", false, a.Say("doctor.flag_clock"))
	return c
}

// diagnosis is `dalaba doctor --json`.
type diagnosis struct {
	OK       bool      `json:"ok"` // nothing has failed
	Findings []finding `json:"findings"`
}

// finding is a diagnose.Finding in words.
type finding struct {
	Check  string          `json:"check"`
	Result diagnose.Result `json:"result"`
	Found  string          `json:"found"`
	Remedy string          `json:"remedy,omitempty"` // with warn and fail
}

func (a *app) doctor(ctx context.Context, now time.Time) error {
	_, _ = a.configText() // for the language; what is wrong with it is a finding
	d, err := diagnose.Examine(ctx, a.config.Path, a.Language(), now)
	if err != nil {
		return err
	}
	all := []finding{}
	for _, f := range d.Findings {
		all = append(all, a.inWords(f))
	}
	if a.JSON {
		if err := json.NewEncoder(a.Out).Encode(diagnosis{d.OK(), all}); err != nil {
			return err
		}
	} else {
		a.showDiagnosis(all)
	}
	if !d.OK() {
		return cli.ErrTold
	}
	return nil
}

func (a *app) inWords(f diagnose.Finding) finding {
	var found, remedy []string
	for _, m := range f.Found {
		found = append(found, m.In(a.Language()))
	}
	for _, r := range f.Remedy {
		remedy = append(remedy, r.In(a.Language()))
	}
	return finding{f.Check, f.Result, strings.Join(found, "\n"), strings.Join(remedy, "\n")}
}

// foundColumn is where what was found begins.
const foundColumn = 20

func (a *app) showDiagnosis(all []finding) {
	marks := map[diagnose.Result]cli.Cell{
		diagnose.OK: cli.Tint("✓", cli.Good), diagnose.Info: cli.Tint("·", cli.Faint), diagnose.Warn: cli.Tint("!", cli.Warn), diagnose.Fail: cli.Tint("✗", cli.Bad),
		diagnose.Skip: cli.Tint("?", cli.Faint),
	}
	count := map[diagnose.Result]int{}
	for _, f := range all {
		count[f.Result]++
		m := marks[f.Result]
		// The sign is enough for the eye; the word is for a search.
		head := cli.Paint(m.Text+" "+cli.Columns.FillRight(a.Word("doctor.is_", string(f.Result)), 4), m.Tone, a.Colour())
		name := cli.Columns.FillRight(a.Word("doctor.on_", f.Check), 10)
		lines := strings.Split(f.Found, "\n")
		a.Println(head + "  " + name + "  " + a.Fold(cli.Printable(lines[0]), foundColumn+1, foundColumn))
		for _, l := range lines[1:] {
			a.Println(strings.Repeat(" ", foundColumn) + cli.Printable(l))
		}
		if f.Remedy != "" {
			for l := range strings.SplitSeq(f.Remedy, "\n") {
				a.Println(strings.Repeat(" ", foundColumn) + cli.Paint("→ "+a.Fold(cli.Printable(l), foundColumn+3, foundColumn+2), m.Tone, a.Colour()))
			}
		}
	}
	a.Println("")
	switch {
	case count[diagnose.Fail] > 0:
		a.Println(cli.Paint(a.Say("doctor.sum_fail", count[diagnose.Fail], count[diagnose.Warn]), cli.Bad, a.Colour()))
	case count[diagnose.Warn] > 0:
		a.Println(cli.Paint(a.Say("doctor.sum_warn", count[diagnose.Warn]), cli.Warn, a.Colour()))
	default:
		a.Println(cli.Paint(a.Say("doctor.sum_ok"), cli.Good, a.Colour()))
	}
	if n := count[diagnose.Skip]; n > 0 {
		a.Println(a.Say("doctor.sum_skip", n))
	}
}

// clockIsRight takes the operator's word for the clock as it stands.
func (a *app) clockIsRight(ctx context.Context, now time.Time) error {
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	cfg, err := controller.ClockIsRight(ctx, a.config.Path, text, now)
	if err != nil {
		return err
	}
	if cfg != nil {
		now = now.In(cfg.Site.Zone)
	}
	a.Println(a.Say("doctor.clock_taken", now.Format(time.DateTime)))
	return nil
}
