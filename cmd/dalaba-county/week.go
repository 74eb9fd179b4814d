package main

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// scopeArg reads a scope as people write it: an area code, the ID of a controller, or its
// text form.
func scopeArg(text string) (playlist.Scope, error) {
	scope := playlist.Scope(text)
	if !strings.Contains(text, ":") {
		scope = playlist.ControllerScope(playlist.ControllerID(text))
		if _, err := playlist.ParseArea(text); err == nil {
			scope = playlist.AreaScope(playlist.Area(text))
		}
	}
	if _, err := playlist.ParseScope(string(scope)); err != nil {
		return "", cli.Refuse(sayM("county.bad_scope", text))
	}
	return scope, nil
}

// askOf reads a scope, and finds the county that is asked about it.
func (a *app) askOf(text string) (playlist.Scope, *client, error) {
	scope, err := scopeArg(text)
	if err != nil {
		return "", nil, err
	}
	k, err := a.ask()
	return scope, k, err
}

// showCmd shows the week of a scope.
func (a *app) showCmd() *cobra.Command {
	var (
		at  string
		all bool
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "show " + a.Say("county.use_scope"), Short: a.Say("county.week_short"), Long: a.Say("county.week_long"), Args: a.oneArg("scope"),
		RunE: func(c *cobra.Command, args []string) error {
			scope, k, err := a.askOf(args[0])
			if err != nil {
				return err
			}
			q := url.Values{"scope": {string(scope)}}
			if at != "" {
				from, err := a.instant(c.Context(), k, at)
				if err != nil {
					return err
				}
				q.Set("from", from.UTC().Format(time.RFC3339))
			}
			var w county.Week
			if err := k.get(c.Context(), "/api/week", q, &w); err != nil {
				return err
			}
			if a.JSON {
				return a.show(w)
			}
			a.week(k, w, all)
			return nil
		},
	})
	c.Flags().StringVar(&at, "at", "", a.Say("county.flag_week_at"))
	c.Flags().BoolVar(&all, "all", false, a.Say("county.flag_week_all"))
	return c
}

// instant reads a day or time by the county's clock.
func (a *app) instant(ctx context.Context, k *client, text string) (time.Time, error) {
	var s county.CountyStatus
	if err := k.get(ctx, "/api/status", nil, &s); err != nil {
		return time.Time{}, err
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return time.Time{}, err
	}
	at, _, err := cli.ParseWhen(text, cli.Ahead, time.Now(), zone)
	if err != nil {
		return at, cli.Refuse(err)
	}
	return at, nil
}

// week shows what is in force, slot by slot, and the airings that do not go as their slots
// say; or all airings.
func (a *app) week(k *client, w county.Week, all bool) {
	a.Println(a.Say("county.week", string(w.Scope), cli.Printable(strings.TrimSpace(w.Name+" "+string(w.Controller))), k.local(w.From).Format("2006-01-02 15:04"), k.local(w.To).Format("2006-01-02 15:04")))
	if w.Nobody != "" {
		a.Println(cli.Paint(a.Word("county.doubt_", string(w.Nobody)), cli.Warn, a.Colour()))
	}
	switch {
	case w.Own != nil:
		a.Println(a.Say("county.week_own", len(w.Own.Slots)+w.Own.More, a.spans(w.Own.Quiet), a.spans(w.Own.Protected)))
		if w.Part {
			a.Println(cli.Paint(a.Say("county.week_part"), cli.Warn, a.Colour()))
		}
	case w.Controller != "":
		a.Println(cli.Paint(a.Say("county.week_untold"), cli.Warn, a.Colour()))
	}
	if len(w.Sources) == 0 {
		a.Println(a.Say("county.week_none"))
	}
	for _, s := range w.Sources {
		a.Println(a.source(k, s))
	}
	for _, s := range w.Later {
		a.Println(a.Say("county.week_later", k.local(s.Begins).Format("2006-01-02 15:04"), a.source(k, s)))
	}
	if len(w.Narrower) > 0 {
		var names []string
		for _, s := range w.Narrower[:min(len(w.Narrower), mostNamed)] {
			names = append(names, string(s))
		}
		a.Println(a.Say("county.week_narrower", len(w.Narrower), strings.Join(names, ", ")))
	}
	if len(w.Slots) > 0 {
		t := a.NewTable(cli.Title(a.Say("county.head_slot")), cli.Message(a.Say("county.head_when")), cli.Title(a.Say("county.head_playlist")),
			">"+a.Say("county.head_count"), ">"+a.Say("county.head_priority"), cli.Key(a.Say("county.head_of")))
		for _, s := range w.Slots {
			name := cli.Printable(s.Slot.Name)
			if s.Replaced {
				name = a.Say("county.week_replaced", name)
			}
			when := a.when(s.Slot)
			if !s.Begins.IsZero() {
				when = a.Say("county.slot_begins", when, k.local(s.Begins).Format("01-02 15:04"))
			}
			if !s.Ends.IsZero() {
				when = a.Say("county.slot_ends", when, k.local(s.Ends).Format("01-02 15:04"))
			}
			t.Add(name, when, cli.Printable(s.Title), strconv.Itoa(s.Slot.Count), strconv.Itoa(s.Slot.Priority), a.sourceOf(s.Scope))
		}
		a.Println(t.Page())
	}
	for _, s := range w.Slots {
		for _, e := range s.Exceptions {
			a.Println(a.exempt(s, e))
		}
	}
	a.airings(k, w, all)
}

// airings shows the airings of a week; unless all are wanted, only those that do not go as
// their slots say.
func (a *app) airings(k *client, w county.Week, all bool) {
	t := a.NewTable(cli.Key(a.Say("county.head_due")), cli.Title(a.Say("county.head_slot")), cli.Key(a.Say("county.head_of")), cli.Extra(a.Say("county.head_zone")),
		cli.Message(a.Say("county.head_conflict")))
	n := 0
	for _, s := range w.Airings {
		if !all && len(s.Flags) == 0 {
			continue
		}
		var flags []string
		for _, f := range s.Flags {
			text := a.Word("county.flag_kind_", string(f.Kind))
			if f.Other != "" {
				text = a.Say("county.flag_with", text, a.slotOf(f.OtherScope, f.Other, w.Scope))
			}
			flags = append(flags, text)
		}
		local := k.local(s.Due)
		n++
		t.Add(local.Format("01-02 ")+a.Word("why.day", strconv.Itoa(int(local.Weekday())))+local.Format(" 15:04"), cli.Printable(s.Slot), a.sourceOf(s.Scope),
			cli.Printable(s.Output), strings.Join(flags, "; "))
	}
	switch {
	case n == 0 && len(w.Airings) > 0:
		a.Println(a.Say("county.week_smooth", len(w.Airings)))
	case n == 0:
		a.Println(a.Say("county.week_silent"))
	default:
		if !all {
			a.Println(a.Say("county.week_not_so", n, len(w.Airings)))
		}
		a.Println(t.Page())
	}
}

// when is when a slot falls due, in words.
func (a *app) when(s playlist.Slot) string {
	text := config.InWords(s.Cron).In(a.Language())
	if s.Days != 0 {
		text = a.Say("county.when_days", text, a.fieldValue("days", county.DaysText(s.Days)))
	}
	if s.From != "" || s.To != "" {
		text = a.Say("county.when_dates", text, a.dates(s.From, s.To))
	}
	if len(s.Except) > 0 {
		text = a.Say("county.when_except", text, county.Joined(s.Except))
	}
	return text
}

// dates are the days from one to another; either may be left open.
func (a *app) dates(from, to playlist.Date) string {
	switch {
	case from == "":
		return a.Say("county.dates_to", string(to))
	case to == "":
		return a.Say("county.dates_from", string(from))
	}
	return a.Say("county.dates", string(from), string(to))
}

// exempt tells of an exception.
func (a *app) exempt(s county.WeekSlot, e county.WeekExempt) string {
	days := county.Joined(e.Days)
	if len(e.Days) == 0 {
		days = a.dates(e.From, e.To)
	}
	of, by := cli.Printable(s.Slot.Name), a.sourceOf(e.By)
	if len(e.On) > 0 {
		of = a.Say("county.exempt_on", of, cli.Printable(strings.Join(e.On, ", ")))
	}
	switch {
	case e.Instead && e.From == "" && e.To == "":
		return a.Say("county.exempt_replaced", of, by)
	case e.Instead:
		return a.Say("county.exempt_replaced_on", of, days, by)
	case len(e.At) == 0:
		return a.Say("county.exempt_out", of, days, by)
	}
	return a.Say("county.exempt_moved", of, days, county.TimesText(e.At), by)
}

// sourceOf names where a slot or exception comes from.
func (a *app) sourceOf(scope playlist.Scope) string {
	if scope == "" {
		return a.Say("county.week_here")
	}
	return string(scope)
}

func (a *app) source(k *client, s county.Source) string {
	text := a.Say("county.week_source", string(s.Scope), s.Version, k.local(s.At).Format("2006-01-02 15:04"))
	if s.By != "" {
		text = a.Say("county.week_by", text, cli.Printable(s.By))
	}
	if s.Note != "" {
		text += "  " + cli.Printable(s.Note)
	}
	return text
}

// spans lists hours of the day.
func (a *app) spans(list []playlist.Span) string {
	var all []string
	for _, s := range list {
		text := s.From.String() + "-" + s.To.String()
		if s.Days != 0 {
			text = a.Say("county.when_days", text, a.fieldValue("days", county.DaysText(s.Days)))
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return a.Say("county.field_none")
	}
	return strings.Join(all, ", ")
}

// diffCmd compares two versions of a scope.
func (a *app) diffCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "diff " + a.Say("county.use_diff"), Short: a.Say("county.diff_short"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 && len(args) != 3 {
				return cli.Refuse(sayM("county.diff_args"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			scope, k, err := a.askOf(args[0])
			if err != nil {
				return err
			}
			q := url.Values{"scope": {string(scope)}}
			for i, key := range []string{"was", "now"} {
				if i+1 < len(args) {
					v, err := strconv.ParseInt(strings.TrimPrefix(strings.ToLower(args[i+1]), "v"), 10, 64)
					if err != nil || v < 1 {
						return cli.Refuse(sayM("county.diff_args"))
					}
					q.Set(key, strconv.FormatInt(v, 10))
				}
			}
			var d county.Difference
			if err := k.get(c.Context(), "/api/difference", q, &d); err != nil {
				return err
			}
			if a.JSON {
				return a.show(d)
			}
			a.Println("- " + a.source(k, d.Was))
			a.Println("+ " + a.source(k, d.Now))
			if len(d.Changes) == 0 {
				a.Println(a.Say("county.diff_same"))
			}
			for _, ch := range d.Changes {
				a.change(ch)
			}
			return nil
		},
	})
}

// withdrawCmd has nothing air by the programme of a scope.
func (a *app) withdrawCmd() *cobra.Command {
	var (
		o    issueFlags
		note string
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "withdraw " + a.Say("county.use_scope"), Short: a.Say("county.withdraw_short"), Long: a.Say("county.withdraw_long"), Args: a.oneArg("scope"),
		RunE: func(c *cobra.Command, args []string) error {
			scope, k, err := a.askOf(args[0])
			if err != nil {
				return err
			}
			d := county.Draft{Scope: scope, Note: note, Withdraw: true, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}}
			var p county.Proposal
			if err := k.post(c.Context(), "/api/propose", nil, d, &p); err != nil {
				return err
			}
			if !a.JSON {
				a.proposal(k, p)
			}
			return a.issue(c.Context(), k, pushed{Proposals: []county.Proposal{p}}, o, func(int) (e store.Envelope, err error) {
				d.Over, d.Anyway = &p.Over, o.anyway
				return e, k.post(c.Context(), "/api/push", nil, d, &e)
			})
		},
	})
	c.Flags().StringVar(&note, "note", "", a.Say("county.flag_note"))
	a.issueFlags(c, &o)
	return c
}
