package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/wording"
	"dalaba/playlist/config"
)

// reloadCmd makes a running daemon read its config again.
func (a *app) reloadCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "reload",
		Short: a.Say("run.reload_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.reload(c.Context()) },
	})
}

// reloaded is `dalaba reload --json`.
type reloaded struct {
	Config  string `json:"config"`
	SHA256  string `json:"sha256"` // of the file that is in force now
	Outputs int    `json:"outputs"`
	Slots   int    `json:"slots"`

	NextStart []string `json:"next_start"` // changed keys that take effect only then

	Changes []config.Change `json:"changes"` // null: the daemon is of an earlier version
}

// reload has the daemon put the file in force as it stands.
func (a *app) reload(ctx context.Context) error {
	daemon, err := a.ask(ctx)
	if err != nil {
		return err
	}
	r, err := daemon.Reload(ctx, control.Reload{Config: a.config.Path})
	if err != nil {
		if !a.refused(err) {
			return err
		}
		if !a.JSON {
			a.Println(a.Say("run.reload_refused"))
		}
		return cli.Refuse(cli.ErrTold)
	}
	for _, w := range r.Warnings {
		a.Tell(w)
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(reloaded{a.config.Path, r.SHA256, r.Outputs, r.Slots, r.NextStart, r.Changes})
	}
	a.Println(a.Say("run.reloaded", r.Outputs, r.Slots))
	if r.Changes != nil {
		a.Println(a.Say("run.changes", wording.Changes(r.Changes)))
	}
	if len(r.NextStart) > 0 {
		a.Println(a.Say("run.next_start", strings.Join(r.NextStart, a.Say("view.comma"))))
	}
	return nil
}
