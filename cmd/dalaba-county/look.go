package main

import (
	"errors"
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
	"dalaba/data"
	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

func sortStrings(s []string) { slices.Sort(s) }

// password reads a password from a file, or from a person.
func (a *app) password(file string) (string, error) {
	if file != "" {
		text, err := secret.Read(file)
		if err != nil {
			return "", cli.Refuse(unread(file, err))
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
	var csv cli.CSVForm
	c := a.JSONFlag(&cobra.Command{
		Use: "reach", Short: a.Say("county.reach_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.JSON && csv != "" {
				return cli.Refuse(sayM("view.json_or_csv"))
			}
			if _, err := store.ParseGrouping(by); err != nil {
				return cli.Refuse(sayM("county.bad_grouping", by))
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			if err := k.days(c.Context(), time.Now(), &from, &to); err != nil {
				return err
			}
			var rep county.ReachReport
			if err := k.get(c.Context(), "/api/reach", url.Values{"by": {by}, "from": {from}, "to": {to}, "area": {area}}, &rep); err != nil {
				return err
			}
			switch {
			case a.JSON:
				return a.show(rep)
			case csv != "":
				if changed := a.changedResidents(rep.Changed); changed != "" {
					a.Remark(changed)
				}
				return a.reachCSV(csv, rep)
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
	a.CSVFlag(c, &csv)
	return c
}

func (a *app) reachTable(rep county.ReachReport) {
	t := a.NewTable(cli.Title(a.Word("county.head_by_", string(rep.By))), cli.Extra(">"+a.Say("view.planned")), cli.Extra(">"+a.Say("view.completed")),
		">"+a.Say("view.unknown"), cli.Key(a.Say("view.completion")), ">"+a.Say("view.person_airings"), cli.Extra(">"+a.Say("view.reached")),
		cli.Extra(">"+a.Say("view.targeted")), cli.Extra(">"+a.Say("view.residents_unknown")), cli.Key(a.Say("view.reach_rate")), cli.Extra(">"+a.Say("view.frequency")))
	add := func(name string, l county.ReachLine) {
		freq := ""
		if l.Frequency != nil {
			freq = web.Times(*l.Frequency)
		}
		if t.Add(name, strconv.Itoa(l.Planned), strconv.Itoa(l.Completed), strconv.Itoa(l.Unknown),
			cli.Percent(int64(l.Completed), int64(l.Planned), l.Reach.Completion), strconv.FormatInt(l.PersonAirings, 10), strconv.Itoa(l.Reached), strconv.Itoa(l.Residents), strconv.Itoa(l.ResidentsUnknown),
			cli.Percent(int64(l.Reached), int64(l.Residents), l.Rate), freq) {
			a.Println(t.Page())
		}
	}
	for _, l := range rep.Lines {
		add(a.reachName(rep.By, l.Reach), l)
	}
	add(a.Say("view.total"), rep.Total)
	a.Println(t.Page())
	a.Println("")
	if changed := a.changedResidents(rep.Changed); changed != "" {
		a.Println(changed)
		a.Println("")
	}
	a.Println(cli.Paint(a.Say("county.reach_notes"), cli.Faint, a.Colour()))
}

// reachName is what a line is of, for people.
func (a *app) reachName(by store.Grouping, r asrun.Reach) string {
	switch {
	case r.Key == store.KeyUnknown:
		return a.Say("county.no_receipt")
	case r.Key == "" && by == store.BySeries:
		return a.Say("view.no_series")
	case r.Key == "":
		return a.Say("county.no_clip_chosen")
	case by == store.ByClip:
		return a.ClipName(playlist.ClipID(r.Key), r.Title, r.Issue)
	case by == store.ByIssue:
		return a.ClipName("", r.Title, r.Issue)
	}
	return r.Title
}

func (a *app) reachCSV(form cli.CSVForm, rep county.ReachReport) error {
	var lines []asrun.Reach
	for _, l := range rep.Lines {
		lines = append(lines, l.Reach)
	}
	clips := rep.By == store.ByClip
	return a.ReachCSV(form, cli.ReachNames{
		Head: a.Word("county.head_by_", string(rep.By)), Of: func(r asrun.Reach) string { return a.reachName(rep.By, r) },
		Series: clips || rep.By == store.ByIssue, Clip: clips,
	}, lines, rep.Total.Reach)
}

func (a *app) changedResidents(all []store.Change) string {
	var list []cli.Changed
	for _, c := range all {
		row := cli.Changed{Output: string(c.Controller) + " " + c.Output}
		for _, f := range c.Figures {
			row.Figures = append(row.Figures, cli.Figure{Residents: f.Residents, Since: string(f.Since)})
		}
		list = append(list, row)
	}
	return a.ChangedResidents(list)
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
			if _, err := recipients(s); err != nil {
				return err
			}
			a.Println(a.Say("county.check_good", a.config.Path))
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
			if u, err := url.Parse(to); err == nil {
				for _, path := range passwordFiles(u) {
					if err := secret.Check(path); err != nil {
						return cli.Refuse(err)
					}
				}
			}
			held, err := lock(s)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, held.Release()) }()
			log := slog.New(data.TextHandler(a.Err))
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
			t := a.NewTable(cli.Key(a.Say("county.head_table")), ">"+a.Say("county.head_rows"))
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
