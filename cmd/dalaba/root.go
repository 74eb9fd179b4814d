package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
)

// app is what every verb has at hand.
type app struct {
	*cli.App

	config   cli.Config
	text     []byte           // of the config; nil: not read yet
	user     string           // who runs the verb, though it may work as another
	daemon   bool             // it is to be the daemon
	owner    data.AsOwner     // as whom it works
	problems []config.Problem // of the config, that were shown
}

// run is the program; tests are its callers too.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{App: cli.New("dalaba", args, in, out, errOut)}
	return a.Execute(ctx, a.root(), args)
}

func (a *app) root() *cobra.Command {
	root := a.Root(a.Say("cli.short"), a.Say("cli.long"), a.verbs()...)
	a.config.Flag(root, "dalaba.toml", "/etc/dalaba/dalaba.toml", a.Say("cli.flag_config"))
	a.Complete(root, "by", func(*cobra.Command) (names []string) {
		for _, g := range asrun.Groupings {
			names = append(names, string(g))
		}
		return names
	})
	a.Complete(root, "level", func(c *cobra.Command) []string {
		return map[string][]string{"log": {"info", "warn", "error"}, "alert": {"1", "2", "3", "4"}}[c.Name()]
	})
	a.Complete(root, "series", func(c *cobra.Command) []string { return seriesOf(a.clips(c.Context())) })
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

// completeClip has the shell complete a clip as the first argument of a verb: a title that
// begins so, or else an ID.
func (a *app) completeClip(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var ids, titles []string
	for _, clip := range a.clips(c.Context()) {
		ids = append(ids, cobra.CompletionWithDesc(clip.ID.Short(), cli.Printable(a.ClipName(clip.ID, clip.Title, clip.Issue))))
		if begun != "" && strings.HasPrefix(clip.Title, begun) {
			titles = append(titles, cli.Printable(clip.Title))
		}
	}
	if len(titles) > 0 {
		return titles, cobra.ShellCompDirectiveNoFileComp
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// clips is the library, as far as it can be read.
func (a *app) clips(ctx context.Context) (all []playlist.Clip) {
	text, err := a.readConfig()
	if err != nil {
		return nil
	}
	s, err := site.OpenShelf(ctx, a.config.Path, text)
	if err != nil || s == nil {
		return nil
	}
	defer func() { _ = s.Store.Close() }()
	for _, c := range s.Clips {
		all = append(all, c.Clip)
	}
	return all
}

// programme is what the site airs, as far as it can be read; nothing is said of what is
// wrong.
func (a *app) programme(ctx context.Context) playlist.Programme {
	text, err := a.readConfig()
	if err != nil {
		return playlist.Programme{}
	}
	s, _, _, err := site.Look(ctx, a.config.Path, text)
	if err != nil || s == nil {
		return playlist.Programme{}
	}
	defer func() { _ = s.Close() }()
	return s.Programme
}
