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
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// runOptions are how long and with what shown the daemon runs.
type runOptions struct {
	length     time.Duration // it ends by itself after this; 0: never
	reachAfter int           // the reach table is shown once after so many clips; 0: never
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
	c.Flags().IntVar(&o.reachAfter, "reach-after", 0, a.Say("run.flag_reach"))
	return c
}

func (a *app) run(ctx context.Context, o runOptions) (err error) {
	a.Stream = true
	a.Detach()
	if o.length < 0 {
		return cli.Refuse(say.M("run.bad_length"))
	}
	text, err := a.readConfig()
	begun := false
	defer func() {
		if err != nil && !begun {
			a.noteFailedStart(text, err)
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
	c, err := a.controller(ctx, text, controller.Options{Console: a.console(), Hangup: hangup, Watch: show.watch})
	if errors.Is(err, controller.ErrRefused) {
		return cli.Refuse(cli.ErrTold) // the problems are on the screen
	}
	if err != nil {
		return err
	}
	begun = true // from here on its log tells
	defer func() { err = errors.Join(err, c.Close()) }()
	a.ReportScreens(slog.New(c.Store().LogHandler(a.console())))
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

// noteFailedStart keeps for `dalaba log` why the daemon did not start.
func (a *app) noteFailedStart(text []byte, err error) {
	if errors.Is(err, cli.ErrTold) { // with the problems of the config
		err = controller.ErrRefused
	}
	if nerr := controller.NoteFailedStart(a.config, text, a.problems, err); nerr != nil {
		slog.New(a.console()).Warn("failed start not stored", "err", nerr)
	}
}

// controller makes the controller of a config.
func (a *app) controller(ctx context.Context, text []byte, o controller.Options) (*controller.Controller, error) {
	o.File, o.Text, o.Program = a.config, text, cli.Version()
	o.Language = func(site string) say.Lang { return a.Language(site) }
	o.Problems = func(all []config.Problem) { a.tell(all) }
	return controller.New(ctx, o)
}

// console is where log lines go beside the store. A terminal shows what airs
// instead, and of the log only errors.
func (a *app) console() slog.Handler {
	level := slog.LevelInfo
	if cli.IsTerminal(a.Err) || cli.IsTerminal(a.Out) {
		level = slog.LevelError
	}
	return slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level})
}
