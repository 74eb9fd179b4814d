package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/clock"
	"dalaba/controller/control"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/playlist/say"
)

// enrolCmd makes the controller known to its county.
func (a *app) enrolCmd() *cobra.Command {
	var wait time.Duration
	c := a.JSONFlag(&cobra.Command{
		Use:   a.Say("enrol.use"),
		Short: a.Say("enrol.short"),
		Long:  a.Say("enrol.long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return cli.Refuse(say.M("enrol.two_args"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.enrol(c.Context(), args[0], strings.Join(args[1:], ""), wait)
		},
	})
	c.Flags().DurationVar(&wait, "wait", 24*time.Hour, a.Say("enrol.flag_wait"))
	return c
}

func (a *app) enrol(ctx context.Context, url, code string, wait time.Duration) (err error) {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	note := func(m say.Message) {
		if !a.JSON {
			a.Println(m.In(a.Language()))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	joined, err := uplink.Enrol(ctx, s.Config, uplink.Enrolment{
		URL: url, Code: code, Program: cli.Version(), Log: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError})),
		Key:     func(fingerprint string) { note(say.M("enrol.own_key", fingerprint)) },
		Pending: func() { note(say.M("enrol.pending")) },
		Busy:    func(wait time.Duration) { note(say.M("enrol.busy", wait)) },
	})
	if err != nil {
		return err
	}
	a.askReload(context.WithoutCancel(ctx), s.Site.DataDir)
	member := joined.Member
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{
			"controller": member.Controller, "areas": member.Areas, "groups": member.Groups, "key": joined.Key, "county": joined.County,
		})
	}
	a.Println(a.Say("enrol.done", member.Controller))
	if astray := s.Config.With(member.Follower(), nil).Astray(); len(astray) > 0 {
		a.Println(cli.Paint(a.Say("enrol.astray", member.Areas[0], strings.Join(astray, a.Say("view.comma"))), cli.Warn, a.Colour()))
	}
	a.Println(a.Say("enrol.county_key", joined.County))
	return nil
}

// isCarrier reports whether a folder is a stick from the county.
func isCarrier(dir string) bool {
	fi, err := os.Stat(filepath.Join(dir, "documents"))
	return err == nil && fi.IsDir()
}

// importCarrier is `dalaba import DIR` of a stick: through the daemon if one runs,
// so that what it brings is in force at once.
func (a *app) importCarrier(ctx context.Context, dir string) error {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	c, err := a.carry(ctx, s.Site.DataDir, dir)
	if err != nil {
		return err
	}
	if a.JSON {
		err = json.NewEncoder(a.Out).Encode(c)
	} else {
		a.Println(a.Say("enrol.carried", c.Accepted, c.Known, c.Others, c.Clips, c.Receipts))
		if c.Missing > 0 {
			a.Println(a.Say("enrol.carrier_lacks", c.Missing))
		}
		for _, name := range slices.Sorted(maps.Keys(c.Refused)) {
			a.Println("  " + cli.Printable(name+": "+c.Refused[name]))
		}
	}
	if err == nil && len(c.Refused) > 0 {
		return cli.ErrTold
	}
	return err
}

// carry has the daemon take in a stick or, if none runs, does so itself.
func (a *app) carry(ctx context.Context, dataDir, dir string) (control.Carried, error) {
	if _, ok := data.Running(dataDir); !ok {
		if err := data.CanRead(dir); err != nil {
			return control.Carried{}, err
		}
		log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError}))
		return controller.CarryAlone(ctx, dataDir, dir, a.Language(), data.Options{Log: log, Boot: clock.Boot(), Mono: clock.Uptime})
	}
	daemon, err := control.Ask(ctx, dataDir, a.Language())
	if err != nil {
		return control.Carried{}, err
	}
	return daemon.Carry(ctx, dir)
}
