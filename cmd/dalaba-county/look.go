package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func sortStrings(s []string) { slices.Sort(s) }

// unsignedEnvelope reads an envelope that may bear no signature yet.
func unsignedEnvelope(raw []byte) (link.Envelope, error) {
	var e link.Envelope
	if len(raw) > link.MaxEnvelope {
		return e, link.ErrOversized
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.PayloadType == "" || len(e.Payload) == 0 {
		return e, sayM("county.no_envelope")
	}
	return e, nil
}

// secret reads a password from a file, or from a person.
func (a *app) secret(file string) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", cli.Refuse(sayM("county.no_file", file, err))
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	f, ok := a.In.(*os.File)
	if !ok || !cli.IsTerminal(f) {
		return "", cli.Refuse(sayM("county.need_password_file"))
	}
	return readPassword(f, a.Out, a.Say("county.password_prompt"))
}

func (a *app) reachCmd() *cobra.Command {
	var by, from, to, area string
	var asCSV bool
	c := a.JSONFlag(&cobra.Command{
		Use: "reach", Short: a.Say("county.reach_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.JSON && asCSV {
				return cli.Refuse(sayM("view.json_or_csv"))
			}
			if _, err := store.ParseGrouping(by); err != nil {
				return cli.Refuse(sayM("county.bad_grouping", by))
			}
			for _, d := range []string{from, to} {
				if _, err := playlist.ParseDate(d); d != "" && err != nil {
					return cli.Refuse(sayM("cli.bad_time", d))
				}
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			var rep county.ReachReport
			if err := k.get(c.Context(), "/api/reach", url.Values{"by": {by}, "from": {from}, "to": {to}, "area": {area}}, &rep); err != nil {
				return err
			}
			switch {
			case a.JSON:
				return a.show(rep)
			case asCSV:
				return reachCSV(a.Out, rep)
			}
			a.reachTable(rep)
			return nil
		},
	})
	f := c.Flags()
	f.StringVar(&by, "by", string(store.BySeries), a.Say("county.flag_by"))
	f.StringVar(&from, "from", "", a.Say("county.flag_from"))
	f.StringVar(&to, "to", "", a.Say("county.flag_to"))
	f.StringVar(&area, "area", "", a.Say("county.flag_area"))
	f.BoolVar(&asCSV, "csv", false, a.Say("view.flag_csv"))
	return c
}

func (a *app) reachTable(rep county.ReachReport) {
	t := a.NewTable(a.Say("county.head_by_"+string(rep.By)), ">"+a.Say("county.head_planned"), ">"+a.Say("county.head_completed"), ">"+a.Say("county.head_unknown"),
		a.Say("county.head_completion"), ">"+a.Say("county.head_persons"), ">"+a.Say("county.head_reached"), ">"+a.Say("county.head_targeted"),
		a.Say("county.head_reach_rate"), ">"+a.Say("county.head_frequency"))
	add := func(name string, l county.ReachLine) {
		freq := ""
		if l.Frequency != nil {
			freq = strconv.FormatFloat(*l.Frequency, 'f', 1, 64)
		}
		if t.Add(name, strconv.Itoa(l.Planned), strconv.Itoa(l.Completed), strconv.Itoa(l.Unknown),
			cli.Percent(int64(l.Completed), int64(l.Planned), l.Reach.Completion), strconv.FormatInt(l.PersonAirings, 10), strconv.Itoa(l.Reached), strconv.Itoa(l.Residents),
			cli.Percent(int64(l.Reached), int64(l.Residents), l.Rate), freq) {
			a.Println(t.Page())
		}
	}
	for _, l := range rep.Lines {
		name := l.Title
		switch {
		case l.Key == store.KeyUnknown:
			name = a.Say("county.no_receipt")
		case l.Key == "" && rep.By == store.BySeries:
			name = a.Say("view.no_series")
		case l.Key == "":
			name = a.Say("county.no_clip_chosen")
		case rep.By == store.ByClip || rep.By == store.ByIssue:
			name = a.ClipName("", l.Title, l.Issue)
		}
		add(cli.Printable(name), l)
	}
	add(a.Say("county.total"), rep.Total)
	a.Println(t.Page())
	a.Println("")
	a.Println(cli.Paint(a.Say("county.reach_notes"), cli.Faint, a.Colour()))
}

// byteOrderMark has spreadsheets read UTF-8.
const byteOrderMark = "\ufeff"

// inert keeps a spreadsheet from computing what is text.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func reachCSV(out io.Writer, rep county.ReachReport) error {
	if _, err := io.WriteString(out, byteOrderMark); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	_ = w.Write([]string{
		"key", "title", "series", "issue", "planned", "delivered", "started", "completed", "unknown",
		"person_airings", "reached", "residents", "completion", "reach_rate", "frequency",
	})
	share := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'f', 4, 64)
	}
	for _, l := range rep.Lines {
		_ = w.Write([]string{
			inert(l.Key), inert(l.Title), inert(l.Series), strconv.Itoa(l.Issue), strconv.Itoa(l.Planned), strconv.Itoa(l.Delivered),
			strconv.Itoa(l.Started), strconv.Itoa(l.Completed), strconv.Itoa(l.Unknown), strconv.FormatInt(l.PersonAirings, 10),
			strconv.Itoa(l.Reached), strconv.Itoa(l.Residents), share(l.Completion.Value), share(l.ReachRate.Value), share(l.Frequency),
		})
	}
	w.Flush()
	return w.Error()
}

// alertCmd sounds an alert by hand, and looks at those there were.
func (a *app) alertCmd() *cobra.Command {
	var (
		t                    target
		h                    county.ByHand
		file, audio, message string
		level                int
		class                string
		dry, yes             bool
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "alert", Short: a.Say("county.alert_short"), Long: a.Say("county.alert_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			k, err := a.ask()
			if err != nil {
				return err
			}
			path, body := "/api/alerts", any(nil)
			if message != "" {
				raw, err := os.ReadFile(message)
				if err != nil {
					return cli.Refuse(sayM("county.no_file", message, err))
				}
				path, body = "/api/alerts/message", raw
			} else {
				scopes, err := t.scopes()
				if err != nil {
					return err
				}
				if file != "" {
					text, err := os.ReadFile(file)
					if err != nil {
						return cli.Refuse(sayM("county.no_file", file, err))
					}
					h.Text = strings.TrimSpace(string(text))
				}
				if audio != "" {
					if h.Audio, err = os.ReadFile(audio); err != nil {
						return cli.Refuse(sayM("county.no_file", audio, err))
					}
					h.AudioName = audio
				}
				h.Level, h.Class, h.Scopes = emergency.Level(level), emergency.Class(class), scopes
				body = h
			}
			var v county.Verdict
			if err := k.post(ctx, path, url.Values{"dry": {"1"}}, body, &v); err != nil {
				return err
			}
			if !a.JSON {
				a.verdict(v)
			}
			if dry {
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
			if err := a.confirm(question, yes); err != nil {
				return err
			}
			if err := k.post(ctx, path, nil, body, &v); err != nil {
				return err
			}
			if a.JSON {
				return a.show(v)
			}
			a.Println(a.Say("county.alert_taken", string(v.ID), a.Say("county.alert_"+string(v.State))))
			return nil
		},
	})
	a.targetFlags(c, &t)
	f := c.Flags()
	f.StringVar(&h.Text, "text", "", a.Say("county.flag_text"))
	f.StringVar(&file, "text-file", "", a.Say("county.flag_text_file"))
	f.StringVar(&audio, "audio", "", a.Say("county.flag_audio"))
	f.StringVar(&message, "message", "", a.Say("county.flag_message"))
	f.StringVar(&h.Title, "title", "", a.Say("county.flag_title"))
	f.StringVar(&h.Event, "event", "", a.Say("county.flag_event"))
	f.IntVar(&level, "level", 0, a.Say("county.flag_level"))
	f.StringVar(&class, "class", string(emergency.ClassEmergency), a.Say("county.flag_class"))
	f.IntVar(&h.Passes, "repeat", 0, a.Say("county.flag_repeat"))
	f.DurationVar(&h.Life, "for", 0, a.Say("county.flag_life"))
	f.BoolVar(&dry, "dry-run", false, a.Say("county.flag_dry"))
	f.BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	c.AddCommand(a.alertListCmd(), a.alertAccountCmd(), a.alertCancelCmd())
	return c
}

func (a *app) verdict(v county.Verdict) {
	r := v.Reaches
	if v.Duplicate {
		a.Println(a.Say("county.alert_known", a.Say("county.alert_"+string(v.State))))
	}
	if v.State.Over() && v.Why != "" {
		a.Println(a.Say("county.alert_not", a.Say("county.refused_"+v.Why)))
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
			var all []store.Alert
			if err := k.get(c.Context(), "/api/alerts", url.Values{"n": {strconv.Itoa(n)}}, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			t := a.NewTable(a.Say("county.head_at"), a.Say("county.head_alert"), a.Say("county.head_source"), a.Say("county.head_state"), a.Say("county.head_what"))
			for _, v := range all {
				text, _ := v.Text("zh-CN")
				t.Add(k.local(v.Received).Format("01-02 15:04:05"), string(v.ID), v.Source, a.Say("county.alert_"+string(v.State)),
					cli.Printable(strings.TrimSpace(v.Event+" "+text.Title)))
			}
			a.Println(t.Page())
			return nil
		},
	})
	c.Flags().IntVar(&n, "n", 20, a.Say("county.flag_n"))
	return c
}

func (a *app) alertAccountCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "account ALERT", Short: a.Say("county.alert_account_short"), Args: a.oneArg("alert"),
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
			a.Println(a.Say("county.alert_taken", string(acc.Alert.ID), a.Say("county.alert_"+string(acc.Alert.State))))
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
				a.Println(a.Say("county.silent", string(s.Controller), s.Name, s.Residents))
			}
			return nil
		},
	})
}

func (a *app) alertCancelCmd() *cobra.Command {
	var yes bool
	c := a.JSONFlag(&cobra.Command{
		Use: "cancel ALERT", Short: a.Say("county.alert_cancel_short"), Args: a.oneArg("alert"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			if err := a.confirm(a.Say("county.cancel_ask", args[0]), yes); err != nil {
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
			return nil
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	return c
}

func (a *app) checkCmd() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: a.Say("county.check_short"), Args: a.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			if _, err := trustOptions(s); err != nil {
				return err
			}
			if _, err := ebdSigner(s); err != nil {
				return err
			}
			a.Println(a.Say("county.check_good", a.config))
			return nil
		},
	}
}

func (a *app) sampleCmd() *cobra.Command {
	return &cobra.Command{
		Use: "sample", Short: a.Say("county.sample_short"), Args: a.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Out.Write(sample)
			return err
		},
	}
}

// copyStoreCmd moves a county from one database to another.
func (a *app) copyStoreCmd() *cobra.Command {
	var to string
	c := a.JSONFlag(&cobra.Command{
		Use: "copy-store", Short: a.Say("county.copy_short"), Long: a.Say("county.copy_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			ctx := c.Context()
			s, err := a.load()
			if err != nil {
				return err
			}
			if !strings.HasPrefix(to, "postgres://") && !strings.HasPrefix(to, "postgresql://") {
				return cli.Refuse(sayM("county.need_to"))
			}
			held, err := lock(s)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, held.Release()) }()
			log := slog.New(slog.NewTextHandler(a.Err, nil))
			from, err := store.Open(ctx, store.Options{Dir: s.County.DataDir, Zone: s.zone, Log: log})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, from.Close()) }()
			into, err := store.Open(ctx, store.Options{Dir: s.County.DataDir, URL: to, Zone: s.zone, Log: log})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, into.Close()) }()
			began := time.Now()
			rows, err := store.Copy(ctx, from, into)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.show(rows)
			}
			t := a.NewTable(a.Say("county.head_table"), ">"+a.Say("county.head_rows"))
			for _, r := range rows {
				t.Add(r.Table, strconv.FormatInt(r.Rows, 10))
			}
			a.Println(t.Page())
			a.Println(a.Say("county.copied", time.Since(began).Round(time.Second).String()))
			return nil
		},
	})
	c.Flags().StringVar(&to, "to", "", a.Say("county.flag_copy_to"))
	return c
}
