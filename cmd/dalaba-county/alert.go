package main

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strconv"
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
	c.AddCommand(a.alertListCmd(), a.alertAccountCmd(), a.alertCancelCmd())
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

func (a *app) alertListCmd() *cobra.Command {
	var n int
	c := a.JSONFlag(&cobra.Command{
		Use: "list", Short: a.Say("county.alert_list_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var all []county.Listed
			if err := k.get(c.Context(), "/api/alerts", url.Values{"n": {strconv.Itoa(n)}}, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			t := a.NewTable(cli.Key(a.Say("county.head_at")), cli.Message(a.Say("county.head_alert")), cli.Detail(a.Say("county.head_source")),
				cli.Key(a.Say("county.head_state")), cli.Title(a.Say("county.head_what")))
			for _, v := range all {
				text, _ := v.Text("zh-CN")
				t.Add(k.local(v.Received).Format("01-02 15:04:05"), string(v.ID), v.Source, a.listedState(v),
					cli.Printable(strings.TrimSpace(v.Event+" "+text.Title)))
			}
			a.Println(t.Page())
			return nil
		},
	})
	c.Flags().IntVar(&n, "n", 20, a.Say("county.flag_alert_n"))
	return c
}

// listedState is the state of a message, and whether it is not sent where it
// should be.
func (a *app) listedState(v county.Listed) cli.Cell {
	state := a.Word("county.alert_", string(v.State))
	if slices.ContainsFunc(v.Short, func(s county.Shortfall) bool { return s.Unsent }) {
		return cli.Tint(a.Say("county.alert_unsent", state), cli.Warn)
	}
	return cli.Tint(state, cli.Plain)
}

func (a *app) alertAccountCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "account " + a.Say("county.use_alert"), Short: a.Say("county.alert_account_short"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var acc county.AlertAccount
			if err := k.get(c.Context(), "/api/account", url.Values{"id": {args[0]}}, &acc); err != nil {
				return err
			}
			if a.JSON {
				return a.show(acc)
			}
			a.Println(a.Say("county.alert_taken", string(acc.Alert.ID), a.Word("county.alert_", string(acc.Alert.State))))
			a.shortfalls(acc.Short)
			t := a.NewTable("", ">"+a.Say("county.head_targeted"), ">"+a.Say("county.head_online"), ">"+a.Say("county.head_delivered"), ">"+a.Say("county.head_started"), ">"+a.Say("county.head_completed"))
			for _, l := range []struct {
				name string
				county.Ladder
			}{
				{a.Say("county.of_controllers"), acc.Controllers}, {a.Say("county.of_outputs"), acc.Outputs}, {a.Say("county.of_residents"), acc.Residents},
			} {
				t.Add(l.name, strconv.Itoa(l.Targeted), strconv.Itoa(l.Online), strconv.Itoa(l.Delivered), strconv.Itoa(l.Started), strconv.Itoa(l.Completed))
			}
			a.Println(t.Page())
			a.Println(a.Say("county.coverage", acc.CoverageRate.Numerator, acc.CoverageRate.Denominator, acc.CoverageRate.Unknown,
				acc.ResBrdStat[0], acc.ResBrdStat[1], acc.ResBrdStat[2], acc.ResBrdStat[3]))
			for _, s := range acc.Silent {
				line := a.Say("county.silent", string(s.Controller), s.Name, s.Residents)
				if s.Why != emergency.ReasonNone {
					line = a.Say("county.silent_why", line, a.Word("alerts.reason_", string(s.Why)))
				}
				a.Println(line)
			}
			return nil
		},
	})
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
