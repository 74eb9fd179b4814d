package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/web"
)

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
			t := a.NewTable(cli.Key(a.Say("county.head_at")), cli.Key(a.Say("county.head_state")), cli.Key(">"+a.Say("county.head_begun")),
				cli.Key(a.Say("county.head_level")), cli.Title(a.Say("county.head_what")),
				cli.Message(a.Say("county.head_alert")), cli.Message(a.Say("county.head_remark")))
			for _, v := range all {
				begun := ""
				if v.Controllers.Targeted > 0 {
					begun = fmt.Sprintf("%d/%d", v.Controllers.Started, v.Controllers.Targeted)
				}
				t.Add(k.local(v.Received).Format("01-02 15:04:05"), a.listedState(v), begun, a.alertLevel(v.Alert), a.alertTitle(v.Alert),
					string(v.ID), a.listedNote(k, v))
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

// alertLevel is how serious a message is: the level of an emergency, else its class. A
// cancel is none, whatever it is about.
func (a *app) alertLevel(v store.Alert) string {
	switch {
	case v.Kind == emergency.KindCancel || v.Kind == emergency.KindAnswer:
		return a.Word("alerts.kind_", string(v.Kind))
	case v.Class == emergency.ClassEmergency:
		return a.Word("alerts.level_", strconv.Itoa(int(v.Level)))
	}
	return a.Word("alerts.class_", cmp.Or(string(v.Class), "none"))
}

// alertKind is the class of a message that sounds and its level; of others, what it is.
func (a *app) alertKind(v store.Alert) string {
	if _, sounds := v.Rank(); !sounds || v.Level == 0 {
		return a.alertLevel(v)
	}
	return a.Word("alerts.class_", string(v.Class)) + " · " + a.Word("alerts.level_", strconv.Itoa(int(v.Level)))
}

// alertTitle is what a message is about, in a few words.
func (a *app) alertTitle(v store.Alert) string {
	text, _ := v.Text("zh-CN")
	title := strings.TrimSpace(text.Title)
	if !strings.Contains(title, v.Event) {
		title = strings.TrimSpace(v.Event + " " + title)
	}
	return cmp.Or(title, strings.Join(strings.Fields(text.Text), " "))
}

// listedNote is what else there is to know of a message: who ended it and when, what a
// cancel did, or why it does not sound.
func (a *app) listedNote(k *client, v county.Listed) string {
	switch {
	case v.Ended != nil:
		return a.ending(k, *v.Ended)
	case v.Cancels != "":
		return a.Say("county.cancels_"+string(v.Cancels), county.Joined(v.Refs))
	case v.State == emergency.StateReview:
		return a.waits(k, v.Alert)
	case v.State == emergency.StateRefused && v.Why != "":
		return a.refused(v.Alert)
	}
	return ""
}

// waits tells for whom an alert waits, and until when.
func (a *app) waits(k *client, v store.Alert) string {
	key := "county.listed_review"
	if v.Detail.Second {
		key = "county.listed_second"
	}
	return a.Say(key, k.local(v.Held).Format("15:04:05"))
}

// refused tells why a message does not sound.
func (a *app) refused(v store.Alert) string {
	why := a.Word("county.refused_", v.Why)
	if v.Detail.Declined != "" {
		why = a.Say("county.with_why", why, cmp.Or(v.Detail.Decider, "-")+a.Say("view.comma")+v.Detail.Declined)
	}
	return why
}

// released tells who had an alert sounded that waited for a person, and when.
func (a *app) released(k *client, v store.Alert) string {
	at := web.Stamp(v.Detail.Released, time.Now(), k.zone)
	if v.Detail.Decider == "" {
		return a.Say("county.released_alone", at)
	}
	return a.Say("county.released_by", at, v.Detail.Decider)
}

// ending tells who ended a message, and when.
func (a *app) ending(k *client, e county.Ending) string {
	who, at := cmp.Or(e.Sender, a.Word("county.source_", e.Source)), web.Stamp(e.At, time.Now(), k.zone)
	if e.Kind == emergency.KindUpdate {
		return a.Say("county.ended_update", at, who, string(e.By))
	}
	return a.Say("county.ended_cancel", at, who)
}

func (a *app) alertAccountCmd() *cobra.Command {
	var each bool
	c := a.JSONFlag(&cobra.Command{
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
			a.accountHead(k, acc)
			a.shortfalls(acc.Short)
			switch {
			case acc.Alert.State == emergency.StateReview:
				return nil
			case acc.Controllers.Targeted == 0:
				a.Println(a.Say("county.account_none"))
				return nil
			}
			a.accountLadder(acc)
			if each {
				a.eachSilent(k, acc)
			} else {
				a.silent(k, acc)
			}
			return nil
		},
	})
	c.Flags().BoolVar(&each, "all", false, a.Say("county.flag_account_all"))
	return c
}

// headColumn is where the texts of the head of an account begin.
const headColumn = 12

// accountHead tells which alert it is, and how it stands.
func (a *app) accountHead(k *client, acc county.AlertAccount) {
	line := func(key, text string, tone cli.Tone) {
		if text = cli.Printable(text); text != "" {
			a.Println("  " + cli.Columns.FillRight(a.Say(key), headColumn-2) + cli.Paint(a.Fold(text, headColumn, headColumn), tone, a.Colour()))
		}
	}
	v, now := acc.Alert, time.Now()
	a.Println(cli.Printable(cmp.Or(a.alertTitle(v), v.Headline())))
	line("alerts.id", string(v.ID), cli.Plain)
	line("alerts.kind", a.alertKind(v), cli.Plain)
	line("county.head_source", strings.TrimSpace(a.Word("county.source_", v.Source)+a.Say("view.comma")+cmp.Or(v.SenderName, v.Sender)+a.orderedBy(v)), cli.Plain)
	line("county.head_received", web.Stamp(v.Received, now, k.zone), cli.Plain)
	if !v.Detail.Released.IsZero() {
		line("county.head_order", a.released(k, v), cli.Plain)
	}
	line("alerts.expires", web.Stamp(v.Ends, now, k.zone), cli.Plain)
	state, tone := a.Word("county.alert_", string(v.State)), cli.Plain
	switch v.State {
	case emergency.StateDone:
		tone = cli.Good
	case emergency.StatePartial:
		tone = cli.Warn
	case emergency.StateFailed:
		tone = cli.Bad
	case emergency.StateReview:
		tone, state = cli.Warn, a.Say("county.with_why", state, a.waits(k, v))
	case emergency.StateRefused:
		state = a.Say("county.with_why", state, a.refused(v))
	}
	if acc.Ended != nil {
		state = a.Say("county.with_why", state, a.ending(k, *acc.Ended))
	}
	line("county.head_state", state, tone)
	if v.Detail.Spoken && v.Detail.NoClip != "" {
		line("county.head_remark", a.Say("county.sound_replaced", v.Detail.NoClip), cli.Warn)
	}
	if v.State.Over() && tone != cli.Plain && now.Before(v.Ends) && acc.Controllers.Completed < acc.Controllers.Targeted {
		line("county.head_remark", a.Say("county.alert_still"), cli.Faint)
	}
	a.Println("")
}

// orderedBy tells which account sent an alert by hand.
func (a *app) orderedBy(v store.Alert) string {
	if v.Detail.First == "" {
		return ""
	}
	return a.Say("view.comma") + cli.Printable(v.Detail.First)
}

// accountLadder shows how many came how far, and how many people heard it.
func (a *app) accountLadder(acc county.AlertAccount) {
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
	r := acc.CoverageRate
	a.Println(a.Say("county.coverage", percent(r), int(r.Unknown), int(r.Denominator-r.Numerator-r.Unknown)))
}

// percent is a rate with its two numbers.
func percent(r county.Rate) string {
	return cli.Percent(r.Numerator, r.Denominator, func() (float64, bool) {
		if r.Value == nil {
			return 0, false
		}
		return *r.Value, true
	})
}

// namesEach is how many silent controllers of a kind are named.
const namesEach = 3

// silent tells of the controllers at which nothing is known to have sounded, by the cause.
func (a *app) silent(k *client, acc county.AlertAccount) {
	a.silentTotal(acc)
	for _, g := range county.Gathered(acc.Silent) {
		a.Println("  " + a.Say("county.silent_group", a.silence(k, g.Targets[0], g.Since, len(g.Targets) > 1), len(g.Targets), g.Residents))
		var names []string
		for _, s := range g.Targets[:min(len(g.Targets), namesEach)] {
			names = append(names, cli.Printable(strings.TrimSpace(s.Name+" "+string(s.Controller))))
		}
		text := strings.Join(names, a.Say("view.comma"))
		if more := len(g.Targets) - namesEach; more > 0 {
			text = a.Say("county.silent_more", text, more)
		}
		a.Println(cli.Paint("    "+a.Fold(text, 4, 4), cli.Faint, a.Colour()))
	}
}

func (a *app) silentTotal(acc county.AlertAccount) {
	residents := 0
	for _, s := range acc.Silent {
		residents += s.Residents
	}
	if len(acc.Silent) > 0 {
		a.Println(a.Say("county.silent", len(acc.Silent), residents))
	}
}

// silence is why controllers are silent: one, or several of which the first was last in
// contact then.
func (a *app) silence(k *client, s county.AlertTarget, since time.Time, several bool) string {
	text := a.Word("county.silence_", string(s.Silent))
	if stem, value := s.Cause(); value != "" {
		return a.Say("county.with_why", text, a.Word(stem, value))
	}
	switch {
	case s.Silent != county.SilenceAway && s.Silent != county.SilenceLost || since.IsZero():
		return text
	case several:
		return a.Say("county.silence_longest", text, web.Stamp(since, time.Now(), k.zone))
	}
	return a.Say("county.silence_since", text, web.Stamp(since, time.Now(), k.zone))
}

// eachSilent lists the controllers at which nothing is known to have sounded.
func (a *app) eachSilent(k *client, acc county.AlertAccount) {
	a.silentTotal(acc)
	t := a.NewTable(cli.Title(a.Say("county.head_name")), cli.Key(a.Say("county.head_controller")), cli.Extra(a.Say("county.head_area")),
		cli.Key(">"+a.Say("county.head_residents")), cli.Message(a.Say("county.head_why")))
	for _, s := range acc.Silent {
		if t.Add(s.Name, string(s.Controller), string(s.Area), strconv.Itoa(s.Residents), a.silence(k, s, s.Seen, false)) {
			a.Println(t.Page())
		}
	}
	if len(acc.Silent) > 0 {
		a.Println(t.Page())
	}
}

// timesFlags are the flags of alert times.
type timesFlags struct {
	target              target
	by, class, from, to string
	csv                 cli.CSVForm
}

// alertTimesCmd reports how long alerts took from the order to the tone.
func (a *app) alertTimesCmd() *cobra.Command {
	var o timesFlags
	c := a.JSONFlag(&cobra.Command{
		Use: "times", Short: a.Say("county.alert_times_short"), Long: a.Say("county.alert_times_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.alertTimes(c.Context(), o) },
	})
	f := c.Flags()
	f.StringVar(&o.by, "by", string(county.TimesByVillage), a.Say("county.flag_times_by"))
	f.StringVar(&o.class, "class", string(emergency.ClassEmergency), a.Say("county.flag_times_class"))
	f.StringVar(&o.from, "from", "", a.Say("county.flag_from"))
	f.StringVar(&o.to, "to", "", a.Say("county.flag_to"))
	a.targetFlags(c, &o.target)
	a.CSVFlag(c, &o.csv)
	return c
}

func (a *app) alertTimes(ctx context.Context, o timesFlags) error {
	if a.JSON && o.csv != "" {
		return cli.Refuse(sayM("view.json_or_csv"))
	}
	q := url.Values{"by": {o.by}, "class": {o.class}}
	if !o.target.empty() {
		scopes, err := o.target.scopes()
		if err != nil {
			return err
		}
		for _, s := range scopes {
			q.Add("scope", string(s))
		}
	}
	k, err := a.ask()
	if err != nil {
		return err
	}
	if err := k.days(ctx, time.Now(), &o.from, &o.to); err != nil {
		return err
	}
	q.Set("from", o.from)
	q.Set("to", o.to)
	var rep county.TimesReport
	if err := k.get(ctx, "/api/times", q, &rep); err != nil {
		return err
	}
	switch {
	case a.JSON:
		return a.show(rep)
	case o.csv != "":
		return a.timesCSV(k, o.csv, rep)
	}
	a.timesTable(k, rep)
	return nil
}

func (a *app) timesTable(k *client, rep county.TimesReport) {
	t := a.NewTable(cli.Title(a.Word("county.head_times_", string(rep.By))), cli.Key(">"+a.Say("county.head_in_60")),
		cli.Extra(">"+a.Say("county.head_in_300")), cli.Key(">"+a.Say("county.head_p50")), cli.Key(">"+a.Say("county.head_p99")),
		cli.Extra(">"+a.Say("county.head_longest")), cli.Key(">"+a.Say("county.head_not_heard")), cli.Key(">"+a.Say("view.unknown")), cli.Extra(a.Say("county.head_times_key")))
	add := func(name, key string, l county.TimesLine) {
		if t.Add(name, percent(l.Automatic), percent(l.Review), tookSeconds(l.P50), tookSeconds(l.P99), tookSeconds(l.Max), strconv.Itoa(l.Nothing), strconv.Itoa(l.Unknown), key) {
			a.Println(t.Page())
		}
	}
	for _, l := range rep.Lines {
		add(a.timesName(k, rep.By, l), l.Key, l)
	}
	add(a.Say("view.total"), "", rep.Total)
	a.Println(t.Page())
	a.Println(cli.Paint(a.Say("county.times_notes", a.Word("alerts.class_", string(rep.Class))), cli.Faint, a.Colour()))
}

// timesName is what a line is of, for people.
func (a *app) timesName(k *client, by county.TimesBy, l county.TimesLine) string {
	if by == county.TimesByAlert {
		return strings.TrimSpace(web.Stamp(l.At, time.Now(), k.zone) + " " + l.Name)
	}
	return cmp.Or(l.Name, l.Key)
}

// tookSeconds is a time in seconds, or a dash if there is none.
func tookSeconds(s *float64) string {
	if s == nil {
		return "–"
	}
	return web.Seconds(time.Duration(*s * float64(time.Second)))
}

func (a *app) timesCSV(k *client, form cli.CSVForm, rep county.TimesReport) error {
	head := []string{"key", "name", "area", "ordered", "targeted", "reviewed", "heard", "within_60_s", "within_300_s", "not_heard", "unknown", "p50_s", "p99_s", "max_s"}
	if form == cli.CSVSheet {
		head = nil
		for _, key := range []string{"head_times_key", "head_times_" + string(rep.By), "head_area", "head_ordered", "head_targeted", "head_reviewed", "head_heard", "head_in_60", "head_in_300", "head_not_heard"} {
			head = append(head, a.Say("county."+key))
		}
		head = append(head, a.Say("view.unknown"), a.Say("county.head_p50"), a.Say("county.head_p99"), a.Say("county.head_longest"))
	}
	w, err := cli.NewCSV(a.Out, form, head...)
	if err != nil {
		return err
	}
	figure := func(s *float64) cli.Number {
		if s == nil {
			return ""
		}
		return cli.Number(strconv.FormatFloat(*s, 'f', 3, 64))
	}
	add := func(key, name string, area playlist.Area, l county.TimesLine) error {
		at := cli.Local(l.At, k.zone)
		if form == cli.CSVRaw && !l.At.IsZero() {
			at = l.At.Format(time.RFC3339)
		}
		return w.Add(key, name, string(area), at, l.Targeted, l.Review.Denominator, l.Heard, l.Automatic.Numerator, l.Review.Numerator, l.Nothing, l.Unknown, figure(l.P50), figure(l.P99), figure(l.Max))
	}
	for _, l := range rep.Lines {
		if err := add(l.Key, l.Name, l.Area, l); err != nil {
			return err
		}
	}
	if form == cli.CSVSheet { // percentiles do not add up
		if err := add("", a.Say("view.total"), "", rep.Total); err != nil {
			return err
		}
	}
	return w.End()
}
