package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/playlist/emergency"
)

// alertFlags are the flags of alert beside the fields of the alert itself.
type alertFlags struct {
	target               target
	file, audio, message string
	level, class         string
	set                  []string
	anyway, dry, yes     bool
	wait                 time.Duration
}

// alertCmd has an alert sounded, and shows those there were.
func (a *app) alertCmd() *cobra.Command {
	var (
		h county.ByHand
		o alertFlags
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "alert", Short: a.Say("county.alert_short"), Long: a.Say("county.alert_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path, body, err := o.request(h)
			if err != nil {
				return err
			}
			return a.alert(c.Context(), path, url.Values{}, body, o)
		},
	})
	a.alertFlags(c, &h, &o)
	c.Flags().StringVar(&o.message, "message", "", a.Say("county.flag_message"))
	c.AddCommand(a.alertListCmd(), a.alertAccountCmd(), a.alertTimesCmd(), a.alertCancelCmd(), a.alertUpdateCmd(), a.alertReleaseCmd(), a.alertRefuseCmd(), a.alertTemplatesCmd())
	return c
}

// alertFlags are the flags of the verbs by which a person writes an alert.
func (a *app) alertFlags(c *cobra.Command, h *county.ByHand, o *alertFlags) {
	a.targetFlags(c, &o.target)
	f := c.Flags()
	f.StringVar(&h.Text, "text", "", a.Say("county.flag_text"))
	f.StringVar(&o.file, "text-file", "", a.Say("county.flag_text_file"))
	f.StringVar(&o.audio, "audio", "", a.Say("county.flag_audio"))
	f.StringVar(&h.Title, "title", "", a.Say("county.flag_title"))
	f.StringVar(&h.Event, "event", "", a.Say("county.flag_event"))
	f.StringVar(&o.level, "level", "", a.Say("county.flag_level"))
	f.StringVar(&o.class, "class", "", a.Say("county.flag_class", county.Joined(emergency.Classes())))
	f.IntVar(&h.Passes, "repeat", 0, a.Say("county.flag_repeat"))
	f.DurationVar(&h.Life, "for", 0, a.Say("county.flag_life"))
	f.StringVar(&h.Template, "template", "", a.Say("county.flag_template"))
	f.StringArrayVar(&o.set, "set", nil, a.Say("county.flag_set"))
	f.BoolVar(&o.anyway, "anyway", false, a.Say("county.flag_anyway_alert"))
	f.BoolVar(&o.dry, "dry-run", false, a.Say("county.flag_dry"))
	f.BoolVar(&o.yes, "yes", false, a.Say("county.flag_yes"))
	f.DurationVar(&o.wait, "wait", 0, a.Say("county.flag_wait_alert"))
}

// alert shows an alert as people will hear it, asks, and has it sounded.
func (a *app) alert(ctx context.Context, path string, q url.Values, body any, o alertFlags) error {
	k, err := a.ask()
	if err != nil {
		return err
	}
	q.Set("dry", "1")
	var v county.Verdict
	if err := k.post(ctx, path, q, body, &v); err != nil {
		return err
	}
	if !a.JSON {
		a.verdict(k, v)
		if v.Second {
			a.warn(a.Say("county.preview_second"))
		}
	}
	if o.dry {
		if a.JSON {
			return a.show(v)
		}
		a.Println(a.Say("county.dry"))
		return nil
	}
	if len(v.Doubts) > 0 && !o.anyway {
		return cli.Refuse(sayM("county.alert_doubtful", a.Word("county.doubt_", string(v.Doubts[0]))))
	}
	if err := a.Confirm(ctx, a.question(v), o.yes); err != nil {
		return err
	}
	q.Del("dry")
	if o.anyway {
		q.Set("anyway", "1")
	}
	if err := k.post(ctx, path, q, body, &v); err != nil {
		return err
	}
	return a.taken(ctx, k, v, o.wait)
}

// taken shows what became of an alert, and follows it if wait is not 0.
func (a *app) taken(ctx context.Context, k *client, v county.Verdict, wait time.Duration) error {
	if !a.JSON {
		a.Println(a.Say("county.alert_taken", string(v.ID), a.Word("county.alert_", string(v.State))))
		a.held(k, v)
		a.shortfalls(v.Short)
	}
	if wait == 0 || v.State.Over() {
		if a.JSON {
			return a.show(v)
		}
		return nil
	}
	acc, err := a.await(ctx, k, v.ID, wait)
	if a.JSON {
		return errors.Join(err, a.show(followed{v, acc}))
	}
	return err
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
	if h, err = o.written(h); err != nil {
		return "", nil, err
	}
	if h.Template == "" || !o.target.empty() {
		h.Scopes, err = o.target.scopes()
	}
	return "/api/alerts", h, err
}

// written is an alert with what the flags say of it, except whom it is for.
func (o alertFlags) written(h county.ByHand) (_ county.ByHand, err error) {
	if o.file != "" {
		text, err := os.ReadFile(o.file)
		if err != nil {
			return h, cli.Refuse(sayM("county.no_file", o.file, err))
		}
		h.Text = strings.TrimSpace(string(text))
	}
	if o.audio != "" {
		if h.Audio, err = os.ReadFile(o.audio); err != nil {
			return h, cli.Refuse(sayM("county.no_file", o.audio, err))
		}
		h.AudioName = filepath.Base(o.audio)
	}
	if o.level != "" {
		if h.Level, err = county.ParseLevel(o.level); err != nil {
			return h, cli.Refuse(err)
		}
	}
	for _, text := range o.set {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return h, cli.Refuse(sayM("county.set_form", text))
		}
		if h.Set == nil {
			h.Set = map[string]string{}
		}
		h.Set[name] = value
	}
	h.Class = emergency.Class(o.class)
	return h, nil
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
