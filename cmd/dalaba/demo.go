package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/demo"
	"dalaba/playlist/say"
)

// demoCmd shows the whole controller at work with nothing at hand.
func (a *app) demoCmd() *cobra.Command {
	o := runOptions{reachAfter: 3}
	dir := ""
	c := a.JSONFlag(&cobra.Command{
		Use:   "demo",
		Short: a.Say("run.demo_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), dir, o) },
	})
	c.Flags().StringVar(&dir, "dir", "build/demo", a.Say("run.flag_dir"))
	c.Flags().BoolVar(&o.verbose, "verbose", false, a.Say("run.flag_verbose"))
	c.Flags().DurationVar(&o.length, "for", 0, a.Say("run.flag_for"))
	return c
}

func (a *app) demo(ctx context.Context, dir string, o runOptions) error {
	a.Stream = true
	a.Detach()
	before := newShow(a, 0)
	if err := a.workAsOwner(demo.DataDir(dir)); err != nil {
		return err
	}
	d := &demo.Demo{
		Dir: dir, Log: slog.New(a.console(o.verbose, before)), Progress: before.lesson,
		Note: func(m say.Message) { before.bars.above(func() { a.note(m.In(a.Language())) }, nil) },
	}
	err := d.Prepare(ctx, time.Now)
	before.rest()
	if err != nil {
		if errors.Is(err, demo.ErrNotOurs) {
			return cli.Refuse(say.M("run.demo_not_ours", dir))
		}
		return err
	}
	a.config.Path = d.File()
	return a.run(ctx, o)
}

// lesson shows on a terminal how many lessons have been spoken.
func (s *show) lesson(done, of int, title string) {
	switch {
	case !cli.IsTerminal(s.Out):
	case done < of:
		s.bars.draw(s.Bar("", time.Duration(done), time.Duration(of), fmt.Sprintf("%d/%d", done+1, of), title))
	default:
		s.bars.draw()
	}
}
