package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/playlist/config"
)

// checkCmd validates the config without running anything.
func (a *app) checkCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "check",
		Short: a.Say("run.check_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.check(c.Context()) },
	})
}

// checked is `dalaba check --json`.
type checked struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Problems []problem `json:"problems"`
}

type problem struct {
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Key      string `json:"key"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
}

func (a *app) check(ctx context.Context) error {
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	store, err := site.OpenToLook(ctx, config.DataDir(a.config.Path, text))
	if err != nil {
		return err
	}
	if store != nil {
		defer func() { _ = store.Close() }()
	}
	cfg, problems := config.Read(a.config.Path, text, &site.Library{Ctx: ctx, Store: store, AtDesk: true})
	ok := !config.Refused(problems)
	if a.JSON {
		report := checked{File: a.config.Path, OK: ok, Problems: []problem{}}
		for _, p := range problems {
			severity := "error"
			if p.Severity == config.Warning {
				severity = "warning"
			}
			report.Problems = append(report.Problems, problem{p.Line, p.Column, p.Key, severity, p.In(a.Language())})
		}
		if err := json.NewEncoder(a.Out).Encode(report); err != nil {
			return err
		}
	} else {
		a.tell(problems)
	}
	if !ok {
		if !a.JSON {
			faults := len(config.Faults(problems))
			if reminders := len(problems) - faults; reminders > 0 {
				a.Println(a.Say("run.check_bad_reminded", a.config.Path, faults, reminders))
			} else {
				a.Println(a.Say("run.check_bad", a.config.Path, faults))
			}
		}
		return cli.Refuse(cli.ErrTold)
	}
	if !a.JSON {
		a.Println(a.Say("run.check_ok", a.config.Path, len(cfg.Outputs), len(cfg.Playlists), len(cfg.Slots)))
	}
	return nil
}
