package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/hand"
	"dalaba/playlist/say"
)

// toneCmd sounds a test tone.
func (a *app) toneCmd() *cobra.Command {
	var o hand.Order
	c := a.JSONFlag(&cobra.Command{
		Use:   "tone",
		Short: a.Say("technician.tone_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.tone(c.Context(), o) },
	})
	c.Flags().StringVarP(&o.Output, "output", "o", "", a.Say("technician.flag_output"))
	c.Flags().Float64Var(&o.Seconds, "seconds", 5, a.Say("technician.flag_seconds"))
	c.Flags().Float64Var(&o.HZ, "hz", 1000, a.Say("technician.flag_hz"))
	c.Flags().Float64Var(&o.LevelDB, "level", -20, a.Say("technician.flag_level"))
	return c
}

func (a *app) tone(ctx context.Context, o hand.Order) (err error) {
	if err := o.Check(); err != nil {
		return cli.Refuse(err)
	}
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	out, err := a.oneOutput(s.Config, o.Output)
	if err != nil {
		return err
	}
	return a.sound(ctx, s, out, o, say.M("technician.tone_name", o.HZ, o.LevelDB).In(a.Language()), "")
}
