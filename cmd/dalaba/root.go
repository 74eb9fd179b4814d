package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
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
	a.Complete(root, "by", func(*cobra.Command) (names []string) {
		for _, g := range asrun.Groupings {
			names = append(names, string(g))
		}
		return names
	})
	a.Complete(root, "output", func(c *cobra.Command) (names []string) {
		for _, o := range a.programme(c.Context()).Outputs {
			names = append(names, o.Name)
		}
		return names
	})
	a.Complete(root, "slot", func(c *cobra.Command) (names []string) {
		for _, s := range a.programme(c.Context()).Slots {
			names = append(names, s.Name)
		}
		return names
	})
	return root
}

// programme is what the site airs, as far as it can be read; nothing is said of what is
// wrong.
func (a *app) programme(ctx context.Context) playlist.Programme {
	text, err := a.readConfig()
	if err != nil {
		return playlist.Programme{}
	}
	s, _, _, err := site.Look(ctx, a.config, text)
	if err != nil || s == nil {
		return playlist.Programme{}
	}
	defer func() { _ = s.Close() }()
	return s.Programme
}

// defaultConfig is ./dalaba.toml if there is one, else the system's.
func defaultConfig() string {
	const here, system = "dalaba.toml", "/etc/dalaba/dalaba.toml"
	if _, err := os.Stat(here); err == nil {
		return here
	}
	return system
}
