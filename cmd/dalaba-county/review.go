package main

import (
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
)

// alertUpdateCmd puts another alert in the place of one.
func (a *app) alertUpdateCmd() *cobra.Command {
	var (
		h county.ByHand
		o alertFlags
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "update " + a.Say("county.use_alert"), Short: a.Say("county.alert_update_short"), Long: a.Say("county.alert_update_long"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := o.written(h)
			if err == nil && !o.target.empty() {
				h.Scopes, err = o.target.scopes()
			}
			if err != nil {
				return err
			}
			return a.alert(c.Context(), "/api/alerts/update", url.Values{"id": {args[0]}}, h, o)
		},
	})
	a.alertFlags(c, &h, &o)
	return c
}

// alertReleaseCmd has an alert sounded that waits for a person.
func (a *app) alertReleaseCmd() *cobra.Command {
	var (
		yes  bool
		wait time.Duration
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "release " + a.Say("county.use_alert"), Short: a.Say("county.alert_release_short"), Long: a.Say("county.alert_release_long"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			id := url.Values{"id": {args[0]}}
			var v county.Verdict
			if err := k.post(c.Context(), "/api/alerts/release", url.Values{"id": {args[0]}, "dry": {"1"}}, nil, &v); err != nil {
				return err
			}
			if !a.JSON {
				a.verdict(k, v)
			}
			if err := a.Confirm(c.Context(), a.question(v), yes); err != nil {
				return err
			}
			if err := k.post(c.Context(), "/api/alerts/release", id, nil, &v); err != nil {
				return err
			}
			return a.taken(c.Context(), k, v, wait)
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	c.Flags().DurationVar(&wait, "wait", 0, a.Say("county.flag_wait_alert"))
	return c
}

// alertRefuseCmd ends an alert that waits for a person.
func (a *app) alertRefuseCmd() *cobra.Command {
	var (
		why string
		yes bool
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "refuse " + a.Say("county.use_alert"), Short: a.Say("county.alert_refuse_short"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			if err := a.Confirm(c.Context(), a.Say("county.refuse_ask", args[0]), yes); err != nil {
				return err
			}
			var v county.Verdict
			if err := k.post(c.Context(), "/api/alerts/decline", url.Values{"id": {args[0]}, "why": {why}}, nil, &v); err != nil {
				return err
			}
			if a.JSON {
				return a.show(v)
			}
			a.Println(a.Say("county.alert_taken", args[0], a.Say("county.refused_"+v.Why)))
			return nil
		},
	})
	c.Flags().StringVar(&why, "why", "", a.Say("county.flag_why"))
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	return c
}

// alertTemplatesCmd lists the templates.
func (a *app) alertTemplatesCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "templates", Short: a.Say("county.alert_templates_short"), Long: a.Say("county.alert_templates_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var all []county.Template
			if err := k.get(c.Context(), "/api/templates", nil, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			if len(all) == 0 {
				a.Println(a.Say("county.templates_none"))
				return nil
			}
			t := a.NewTable(cli.Key(a.Say("county.head_template")), cli.Key(a.Say("county.head_level")), cli.Title(a.Say("county.head_what")), cli.Message(a.Say("county.head_blanks")))
			for _, v := range all {
				if len(v.Wrong) > 0 {
					t.Add(cli.Printable(v.Name), cli.Tint(a.Say("county.template_unusable"), cli.Bad), "", cli.Printable(strings.Join(v.Wrong, "; ")))
					continue
				}
				t.Add(cli.Printable(v.Name), cli.Tint(a.level(v.Alert.Level), levelTones[v.Alert.Level]), cli.Printable(v.Alert.Title), cli.Printable(strings.Join(v.Blanks, a.Say("county.between"))))
			}
			a.Println(t.Page())
			return nil
		},
	})
}
