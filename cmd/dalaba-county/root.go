package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/data"
)

// app is what every verb has at hand.
type app struct {
	*cli.App
	config cli.Config
	server string // address of a county elsewhere; empty: the one that the config names
	token  string // file with the token for it
	ca     string // file with its certificates
	owner  data.AsOwner
}

// run is the program; tests are its callers too.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{App: cli.New("dalaba-county", args, in, out, errOut)}
	return a.Execute(ctx, a.root(), args)
}

func (a *app) root() *cobra.Command {
	root := a.Root(a.Say("county.short"), a.Say("county.long"),
		a.serveCmd(),
		a.statusCmd(),
		a.adminCmd(),
		a.loginCmd(),
		a.logoutCmd(),
		a.enrolCmd(),
		a.moveCmd(),
		a.stateCmd("retire"),
		a.stateCmd("revoke"),
		a.fleetCmd(),
		a.logCmd(),
		a.importCmd(),
		a.pushCmd(),
		a.showCmd(),
		a.withdrawCmd(),
		a.keysCmd(),
		a.trustCmd(),
		a.signCmd(),
		a.rollbackCmd(),
		a.versionsCmd(),
		a.diffCmd(),
		a.deliveryCmd(),
		a.exportCmd(),
		a.reachCmd(),
		a.alertCmd(),
		a.notifyCmd(),
		a.checkCmd(),
		a.sampleCmd(),
		a.copyStoreCmd(),
		a.brokerCmd(),
	)
	f := root.PersistentFlags()
	a.config.Flag(root, "dalaba-county.toml", "/etc/dalaba/dalaba-county.toml", a.Say("county.flag_config"))
	f.StringVar(&a.server, "server", "", a.Say("county.flag_server"))
	f.StringVar(&a.token, "token-file", "", a.Say("county.flag_token"))
	f.StringVar(&a.ca, "ca-file", "", a.Say("county.flag_ca"))
	a.Complete(root, "by", func(c *cobra.Command) []string {
		if c.Name() == "times" {
			return []string{string(county.TimesByVillage), string(county.TimesByTown), string(county.TimesByAlert)}
		}
		return []string{string(store.BySeries), string(store.ByIssue), string(store.ByClip), string(store.ByArea), string(store.ByDay)}
	})
	return root
}

// oneArg is for verbs that take just one.
func (a *app) oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return cli.Refuse(sayM("county.one_arg", sayM("county.arg_"+what)))
		}
		return nil
	}
}
