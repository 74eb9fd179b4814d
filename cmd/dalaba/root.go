package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/playlist/config"
)

// app is what every verb has at hand.
type app struct {
	*cli.App

	config   string           // the config file's path
	problems []config.Problem // of the config, that were shown
}

// run is the program; tests are its callers too.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{App: cli.New("dalaba", args, in, out, errOut)}
	return a.Execute(ctx, a.root(), args)
}

func (a *app) root() *cobra.Command {
	root := a.Root(a.Say("cli.short"), a.Say("cli.long"), a.verbs()...)
	root.PersistentFlags().StringVarP(&a.config, "config", "c", defaultConfig(), a.Say("cli.flag_config"))
	return root
}

// defaultConfig is ./dalaba.toml if there is one, else the system's.
func defaultConfig() string {
	const here, system = "dalaba.toml", "/etc/dalaba/dalaba.toml"
	if _, err := os.Stat(here); err == nil {
		return here
	}
	return system
}
