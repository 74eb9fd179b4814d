package main

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/playlist/emergency"
)

// alertFlags are the flags of alert beside the fields of the alert itself.
type alertFlags struct {
	target               target
	file, audio, message string
	level                int
	class                string
	dry, yes             bool
}

// alertCmd has an alert sounded, and shows those there were.
func (a *app) alertCmd() *cobra.Command {
	var (
		h county.ByHand
		o alertFlags
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "alert", Short: a.Say("county.alert_short"), Long: a.Say("county.alert_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.alert(c.Context(), h, o) },
	})
	a.targetFlags(c, &o.target)
	f := c.Flags()
	f.StringVar(&h.Text, "text", "", a.Say("county.flag_text"))
	f.StringVar(&o.file, "text-file", "", a.Say("county.flag_text_file"))
	f.StringVar(&o.audio, "audio", "", a.Say("county.flag_audio"))
	f.StringVar(&o.message, "message", "", a.Say("county.flag_message"))
	f.StringVar(&h.Title, "title", "", a.Say("county.flag_title"))
	f.StringVar(&h.Event, "event", "", a.Say("county.flag_event"))
	f.IntVar(&o.level, "level", 0, a.Say("county.flag_level"))
	f.StringVar(&o.class, "class", string(emergency.ClassEmergency), a.Say("county.flag_class"))
	f.IntVar(&h.Passes, "repeat", 0, a.Say("county.flag_repeat"))
	f.DurationVar(&h.Life, "for", 0, a.Say("county.flag_life"))
	f.BoolVar(&o.dry, "dry-run", false, a.Say("county.flag_dry"))
	f.BoolVar(&o.yes, "yes", false, a.Say("county.flag_yes"))
	c.AddCommand(a.alertListCmd(), a.alertAccountCmd(), a.alertTimesCmd(), a.alertCancelCmd())
	return c
}

// alert shows whom an alert reaches, asks, and has it sounded.
func (a *app) alert(ctx context.Context, h county.ByHand, o alertFlags) error {
	k, err := a.ask()
	if err != nil {
		return err
	}
	path, body, err := o.request(h)
	if err != nil {
		return err
	}
	var v county.Verdict
	if err := k.post(ctx, path, url.Values{"dry": {"1"}}, body, &v); err != nil {
		return err
	}
	if !a.JSON {
		a.verdict(v)
	}
	if o.dry {
		if a.JSON {
			return a.show(v)
		}
		a.Println(a.Say("county.dry"))
		return nil
	}
	question := a.Say("county.alert_ask", v.Reaches.Controllers, v.Reaches.Residents)
	if v.State.Over() || v.Duplicate {
		question = a.Say("county.alert_ask_silent")
	}
	if err := a.Confirm(ctx, question, o.yes); err != nil {
		return err
	}
	if err := k.post(ctx, path, nil, body, &v); err != nil {
		return err
	}
	if a.JSON {
		return a.show(v)
	}
	a.Println(a.Say("county.alert_taken", string(v.ID), a.Word("county.alert_", string(v.State))))
	a.shortfalls(v.Short)
	return nil
}

// shortfalls shows where an alert is not sent, or otherwise than it came.
func (a *app) shortfalls(all []county.Shortfall) {
	for _, s := range all {
		a.Println(cli.Paint(a.Say("county.alert_short_at", string(s.Scope), a.Say(s.Why)), cli.Warn, a.Colour()))
	}
}

// request returns the path of the API that takes the alert and the body for it:
// a message as it lies in a file, or what the flags say.
func (o alertFlags) request(h county.ByHand) (path string, body any, err error) {
	if o.message != "" {
		raw, err := os.ReadFile(o.message)
		if err != nil {
			return "", nil, cli.Refuse(sayM("county.no_file", o.message, err))
		}
		return "/api/alerts/message", raw, nil
	}
	if h.Scopes, err = o.target.scopes(); err != nil {
		return "", nil, err
	}
	if o.file != "" {
		text, err := os.ReadFile(o.file)
		if err != nil {
			return "", nil, cli.Refuse(sayM("county.no_file", o.file, err))
		}
		h.Text = strings.TrimSpace(string(text))
	}
	if o.audio != "" {
		if h.Audio, err = os.ReadFile(o.audio); err != nil {
			return "", nil, cli.Refuse(sayM("county.no_file", o.audio, err))
		}
		h.AudioName = o.audio
	}
	h.Level, h.Class = emergency.Level(o.level), emergency.Class(o.class)
	return "/api/alerts", h, nil
}

func (a *app) verdict(v county.Verdict) {
	r := v.Reaches
	if v.Duplicate {
		a.Println(a.Say("county.alert_known", a.Word("county.alert_", string(v.State))))
	}
	if v.State.Over() && v.Why != "" {
		a.Println(a.Say("county.alert_not", a.Say("county.refused_"+v.Why)))
	}
	for _, c := range v.Cuts {
		a.Println(a.Say("county.alert_cut", a.Say(c.What, c.Had, c.Kept)))
	}
	a.Println(a.Say("county.reaches", r.Controllers, r.Online, r.Outputs, r.Residents, len(r.Areas)))
	names := r.Names
	const most = 20
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "…")
	}
	a.Println("  " + cli.Printable(strings.Join(names, "、")))
}

func (a *app) alertCancelCmd() *cobra.Command {
	var yes bool
	c := a.JSONFlag(&cobra.Command{
		Use: "cancel " + a.Say("county.use_alert"), Short: a.Say("county.alert_cancel_short"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			if err := a.Confirm(c.Context(), a.Say("county.cancel_ask", args[0]), yes); err != nil {
				return err
			}
			var v county.Verdict
			if err := k.post(c.Context(), "/api/cancel", url.Values{"id": {args[0]}}, nil, &v); err != nil {
				return err
			}
			if a.JSON {
				return a.show(v)
			}
			a.Println(a.Say("county.cancelled", args[0]))
			a.shortfalls(v.Short)
			return nil
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	return c
}
