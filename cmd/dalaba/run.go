package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// runOptions are how long and with what shown the daemon runs.
type runOptions struct {
	length     time.Duration // it ends by itself after this; 0: never
	reachAfter int           // the reach table is shown once after so many clips; 0: never
	verbose    bool          // log lines are shown on a terminal, too
}

// runCmd is the daemon.
func (a *app) runCmd() *cobra.Command {
	var o runOptions
	c := a.JSONFlag(&cobra.Command{
		Use:   "run",
		Short: a.Say("run.short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.run(c.Context(), o) },
	})
	c.Flags().DurationVar(&o.length, "for", 0, a.Say("run.flag_for"))
	c.Flags().BoolVar(&o.verbose, "verbose", false, a.Say("run.flag_verbose"))
	c.Flags().IntVar(&o.reachAfter, "reach-after", 0, a.Say("run.flag_reach"))
	return c
}

func (a *app) run(ctx context.Context, o runOptions) (err error) {
	a.Stream, a.daemon = true, true
	a.Detach()
	if o.length < 0 {
		return cli.Refuse(say.M("run.bad_length"))
	}
	text, err := a.readConfig()
	begun := false
	defer func() {
		if err != nil && !begun {
			a.noteFailedStart(text, err, o.verbose)
		}
	}()
	if err != nil {
		return err
	}
	if _, err := a.dataDir(ctx, text); err != nil {
		return err
	}
	defer func() {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) && !errors.Is(err, controller.ErrDamaged) {
			err = nil // it was told to end before it had begun
		}
	}()
	// Before the lock tells other programs whom to signal.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	show := newShow(a, o.reachAfter)
	console := a.console(o.verbose, show)
	c, err := a.controller(ctx, text, controller.Options{
		Console: console, Hangup: hangup, Watch: show.watch, Reloads: show.reloaded, Renewed: show.renewed, County: show.rearranged,
	})
	if err != nil {
		show.rest()
	}
	if errors.Is(err, controller.ErrRefused) {
		return cli.Refuse(cli.ErrTold) // the problems are on the screen
	}
	if err != nil {
		return err
	}
	begun = true // from here on its log tells
	defer func() { err = errors.Join(err, c.Close()) }()
	log := slog.New(c.Store().LogHandler(console))
	a.ReportScreens(log)
	a.tellOwner(log)
	show.begin(c)
	if o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.length)
		defer cancel()
	}
	shown := make(chan struct{})
	showing, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(shown)
		show.run(showing)
	}()
	err = c.Run(ctx)
	stop()
	<-shown
	show.end()
	return err
}

// tellOwner logs that a daemon of root works as the owner of the data folder, and what
// that user lacks.
func (a *app) tellOwner(log *slog.Logger) {
	if a.owner.User == "" {
		return
	}
	a.owner.Tell(log, config.DataDir(a.config.Path, a.text))
	if err := data.CanReadNamed(a.config.Path, data.Me()); err != nil {
		log.Warn("config cannot be read at a reload", "err", err)
	}
}

// noteFailedStart keeps for `dalaba log` why the daemon did not start.
func (a *app) noteFailedStart(text []byte, err error, verbose bool) {
	if errors.Is(err, cli.ErrTold) { // with the problems of the config
		err = controller.ErrRefused
	}
	if nerr := controller.NoteFailedStart(a.config.Path, text, a.problems, err); nerr != nil {
		slog.New(a.console(verbose, newShow(a, 0))).Warn("failed start not stored", "err", nerr)
	}
}

// controller makes the controller of a config.
func (a *app) controller(ctx context.Context, text []byte, o controller.Options) (*controller.Controller, error) {
	o.File, o.Text, o.Program = a.config.Path, text, cli.Version()
	o.Language = func(site string) say.Lang { return a.Language(site) }
	o.Problems = func(all []config.Problem) { a.tell(all) }
	return controller.New(ctx, o)
}

// console is where log lines go beside the store: to standard error, unless that is a
// terminal, which shows what airs instead, and of the log what a person must know of: see
// [show.logged]. verbose shows the lines there, too: above the bars, if there are any.
func (a *app) console(verbose bool, s *show) slog.Handler {
	screen, logs := cli.IsTerminal(a.Out), cli.IsTerminal(a.Err)
	switch {
	case logs && !verbose:
		return data.EventHandler(s.logged, nil)
	case logs && screen:
		return data.TextHandler(s.bars)
	case screen && !logs:
		return data.EventHandler(s.logged, data.TextHandler(a.Err))
	}
	return data.TextHandler(a.Err)
}
