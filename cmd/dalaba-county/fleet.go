package main

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/wording"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

func (a *app) statusCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "status", Short: a.Say("county.status_short"),
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var s county.CountyStatus
			if err := k.get(c.Context(), "/api/status", nil, &s); err != nil {
				return err
			}
			if a.JSON {
				return a.show(s)
			}
			a.Println(a.Say("county.status", s.Name, string(s.Area), s.Version))
			a.Println(a.Say("county.status_fleet", s.Fleet, s.Online, s.Pending, s.Residents))
			a.Println(a.Say("county.status_alerts", s.Alerts))
			if s.Unsent > 0 {
				a.Println(cli.Paint(a.Say("county.status_unsent", s.Unsent), cli.Warn, a.Colour()))
			}
			if s.Review > 0 {
				a.warn(a.Say("county.status_review", s.Review))
			}
			a.Println(a.Say("county.status_store", s.Store))
			when := func(t time.Time) string { return k.local(t).Format(time.DateTime) }
			switch {
			case s.Backups > 0:
				a.Println(a.Say("county.status_backup", when(s.LastBackup), s.Backups))
			case s.Database == "sqlite":
				a.Println(a.Say("county.status_no_backup"))
			}
			for _, l := range s.Losses {
				a.Println(cli.Paint(a.Say("county.status_loss", when(l.At), l.Why, when(l.Kept), l.Aside), cli.Warn, a.Colour()))
			}
			a.Println(a.Say("county.status_doors", s.URL, strings.Join(s.Servers, " ")))
			a.Println(a.Say("county.status_key", s.Print))
			if s.TrustAhead > 0 {
				a.Println(cli.Paint(a.Say("county.status_trust", s.TrustAhead, s.Trust), cli.Warn, a.Colour()))
			}
			t := a.NewTable(cli.Key(a.Say("county.head_role")), cli.Message(a.Say("county.head_fingerprint")))
			for _, key := range s.Keys {
				t.Add(string(key.Role), key.Fingerprint)
			}
			a.Println(t.Page())
			return nil
		},
	})
}

// adminCmd sets a password for the pages and for logins elsewhere.
func (a *app) adminCmd() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "admin " + a.Say("county.use_name"), Short: a.Say("county.admin_short"), Args: a.oneArg("name"),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := a.password(file)
			if err != nil {
				return err
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			if err := k.post(c.Context(), "/api/admin", nil, county.Login{Name: args[0], Password: password}, nil); err != nil {
				return err
			}
			a.Println(a.Say("county.admin_set", args[0]))
			return nil
		},
	}
	c.Flags().StringVar(&file, "password-file", "", a.Say("county.flag_password"))
	return c
}

// enrolCmd makes codes, and approves who came with one.
func (a *app) enrolCmd() *cobra.Command {
	var n county.NewCode
	c := a.JSONFlag(&cobra.Command{
		Use: "enrol", Short: a.Say("county.enrol_short"), Long: a.Say("county.enrol_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.enrol(c.Context(), n) },
	})
	f := c.Flags()
	f.StringVar((*string)(&n.Area), "area", "", a.Say("county.flag_area_of"))
	f.StringVar(&n.Name, "name", "", a.Say("county.flag_name"))
	f.StringVar((*string)(&n.Controller), "id", "", a.Say("county.flag_id"))
	f.StringSliceVar(&n.Groups, "group", nil, a.Say("county.flag_group_of"))
	f.BoolVar(&n.Approve, "approve", false, a.Say("county.flag_approve"))
	c.AddCommand(a.codesCmd(), a.stateCmd("approve"))
	return c
}

// enrol makes a code and says what to do with it.
func (a *app) enrol(ctx context.Context, n county.NewCode) error {
	if n.Area == "" {
		return cli.Refuse(sayM("county.enrol_area"))
	}
	k, err := a.ask()
	if err != nil {
		return err
	}
	var made county.MadeCode
	if err := k.post(ctx, "/api/codes", nil, n, &made); err != nil {
		return err
	}
	if a.JSON {
		return a.show(made)
	}
	var s county.CountyStatus
	if err := k.get(ctx, "/api/status", nil, &s); err != nil {
		return err
	}
	a.Println(a.Say("county.enrol_code", string(made.Controller), made.Code, k.local(made.Expires).Format("2006-01-02 15:04")))
	a.Println(a.Say("county.enrol_how", s.URL, made.Code))
	a.Println(a.Say("county.status_key", s.Print))
	if !n.Approve {
		a.Println(a.Say("county.enrol_then", string(made.Controller)))
	}
	return nil
}

func (a *app) codesCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "codes", Short: a.Say("county.codes_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var all []store.Code
			if err := k.get(c.Context(), "/api/codes", nil, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			t := a.NewTable(cli.Key(a.Say("county.head_controller")), cli.Key(a.Say("county.head_area")), cli.Key(a.Say("county.head_expires")), cli.Title(a.Say("county.head_name")))
			for _, code := range all {
				t.Add(string(code.Controller), string(code.Area), k.local(code.Expires).Format("2006-01-02 15:04"), code.Name)
			}
			a.Println(t.Page())
			return nil
		},
	})
}

// stateCmd approves, retires or revokes a controller.
func (a *app) stateCmd(verb string) *cobra.Command {
	var yes bool
	var agreed county.Approval
	c := a.JSONFlag(&cobra.Command{
		Use: verb + " " + a.Say("county.use_controller"), Short: a.Say("county." + verb + "_short"), Args: a.oneArg("controller"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			before, err := a.controller(c.Context(), k, args[0])
			if err != nil {
				return err
			}
			if !a.JSON {
				a.introduce(before, verb)
			}
			if err := a.Confirm(c.Context(), a.Say("county."+verb+"_ask", string(before.ID)), yes); err != nil {
				return err
			}
			var body any
			if verb == "approve" {
				agreed.Replace = len(before.Shares) > 0
				body = agreed
			}
			var after store.Controller
			if err := k.post(c.Context(), "/api/controllers/"+url.PathEscape(args[0])+"/"+verb, nil, body, &after); err != nil {
				return err
			}
			if a.JSON {
				return a.show(after)
			}
			a.Println(a.Say("county.now", string(after.ID), a.Word("county.state_", string(after.State))))
			return nil
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	if verb == "approve" {
		c.Flags().BoolVar(&agreed.Anyway, "anyway", false, a.Say("county.flag_anyway"))
	}
	return c
}

// introduce shows a controller to the person who is to decide about it: what the code
// says, and what it says of itself.
func (a *app) introduce(s county.Status, verb string) {
	a.Println(a.Say("county.controller", string(s.ID), s.Name, string(s.Area), s.Fingerprint, a.Word("county.state_", string(s.State))))
	if verb == "approve" {
		outputs := s.Said.Outputs
		var areas []string
		for _, w := range s.Places() {
			if area := string(w.Output); !slices.Contains(areas, area) {
				areas = append(areas, area)
			}
		}
		if outputs > 0 {
			a.Println(a.Say("county.approve_said", s.Said.Site, strings.Join(areas, ", "), outputs, s.Said.Residents, s.Version))
		}
		if len(s.Astray) > 0 {
			a.Println(cli.Paint(a.Say("county.fault_astray", county.Joined(s.Astray)), cli.Warn, a.Colour()))
		}
		if len(s.Shares) > 0 {
			a.Println(cli.Paint(a.Say("county.approve_replaces", county.Joined(s.Shares)), cli.Warn, a.Colour()))
		}
		return
	}
	if s.Unsent > 0 {
		a.Println(a.Say("county.unsent", s.Unsent))
	}
}

// controller finds one of the fleet, retired ones too.
func (a *app) controller(ctx context.Context, k *client, id string) (county.Status, error) {
	for _, state := range []string{"", string(store.Retired)} {
		var all []county.Status
		if err := k.get(ctx, "/api/fleet", url.Values{"state": {state}}, &all); err != nil {
			return county.Status{}, err
		}
		for _, s := range all {
			if string(s.ID) == id {
				return s, nil
			}
		}
	}
	return county.Status{}, sayM("county.no_controller", id)
}

func (a *app) moveCmd() *cobra.Command {
	var name, area string
	var groups []string
	var anyway bool
	c := a.JSONFlag(&cobra.Command{
		Use: "move " + a.Say("county.use_controller"), Short: a.Say("county.move_short"), Args: a.oneArg("controller"),
		RunE: func(c *cobra.Command, args []string) error {
			m := county.Moved{Anyway: anyway}
			if c.Flags().Changed("name") {
				m.Name = &name
			}
			if c.Flags().Changed("area") {
				m.Area = (*playlist.Area)(&area)
			}
			if c.Flags().Changed("group") {
				groups = trimmed(groups)
				m.Groups = &groups
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			var after store.Controller
			if err := k.post(c.Context(), "/api/controllers/"+url.PathEscape(args[0])+"/move", nil, m, &after); err != nil {
				return err
			}
			if a.JSON {
				return a.show(after)
			}
			a.Println(a.Say("county.moved", string(after.ID), after.Name, string(after.Area), strings.Join(after.Groups, ", ")))
			return nil
		},
	})
	c.Flags().StringVar(&name, "name", "", a.Say("county.flag_name"))
	c.Flags().StringVar(&area, "area", "", a.Say("county.flag_area_of"))
	c.Flags().StringSliceVar(&groups, "group", nil, a.Say("county.flag_group_of"))
	c.Flags().BoolVar(&anyway, "anyway", false, a.Say("county.flag_anyway"))
	return c
}

func trimmed(list []string) []string {
	out := []string{}
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (a *app) fleetCmd() *cobra.Command {
	var area, group, state string
	var silent, faulty bool
	c := a.JSONFlag(&cobra.Command{
		Use: "fleet", Short: a.Say("county.fleet_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			q := url.Values{"area": {area}, "group": {group}, "state": {state}}
			if silent {
				q.Set("silent", "1")
			}
			if faulty {
				q.Set("faulty", "1")
			}
			var all []county.Status
			if err := k.get(c.Context(), "/api/fleet", q, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			a.fleetTable(all)
			return nil
		},
	})
	f := c.Flags()
	f.StringVar(&area, "area", "", a.Say("county.flag_area"))
	f.StringVar(&group, "group", "", a.Say("county.flag_group"))
	f.StringVar(&state, "state", "", a.Say("county.flag_state"))
	f.BoolVar(&silent, "silent", false, a.Say("county.flag_silent"))
	f.BoolVar(&faulty, "faulty", false, a.Say("county.flag_faulty"))
	return c
}

func (a *app) fleetTable(all []county.Status) {
	t := a.NewTable(cli.Key(a.Say("county.head_controller")), cli.Title(a.Say("county.head_name")), cli.Extra(a.Say("county.head_area")),
		cli.Key(a.Say("county.head_state")), cli.Key(a.Say("county.head_seen")), cli.Extra(a.Say("county.head_clock")),
		cli.Detail(a.Say("county.head_manifest")), ">"+a.Say("county.head_unsent"), cli.Extra(">"+a.Say("county.head_residents")),
		cli.Extra(a.Say("county.head_version")), cli.Message(a.Say("county.head_faults")))
	now := time.Now()
	for _, s := range all {
		seen := a.Say("county.never")
		if !s.Seen.IsZero() {
			seen = web.Age(s.Seen, now).In(a.Language())
		}
		tone := cli.Good
		if !s.Online {
			tone = cli.Bad
		}
		if t.Add(string(s.ID), s.Name, string(s.Area), a.Word("county.state_", string(s.State)), cli.Tint(seen, tone), s.Clock, manifests(s.Have),
			strconv.FormatInt(s.Unsent, 10), strconv.Itoa(s.Residents()), s.Version, strings.Join(a.faults(s), "; ")) {
			a.Println(t.Page())
		}
	}
	a.Println(t.Page())
	a.Println(a.Say("county.fleet_sum", len(all)))
}

// faults are what is wrong with a controller, for people.
func (a *app) faults(s county.Status) []string {
	all := slices.Clone(s.Faults)
	if len(s.Astray) > 0 {
		all = append(all, a.Say("county.fault_astray", county.Joined(s.Astray)))
	}
	if s.Deaf {
		all = append(all, a.Say("county.fault_deaf"))
	}
	if len(s.Shares) > 0 {
		all = append(all, a.Say("county.fault_key", county.Joined(s.Shares)))
	}
	return all
}

// manifests are the versions of the manifests that a controller holds.
func manifests(have map[string]int64) string {
	var all []string
	for key, v := range have {
		if scope, ok := strings.CutPrefix(key, "manifest "); ok {
			all = append(all, scope+" v"+strconv.FormatInt(v, 10))
		}
	}
	sortStrings(all)
	return strings.Join(all, ", ")
}

func (a *app) logCmd() *cobra.Command {
	n, verbose := 0, false
	c := a.JSONFlag(&cobra.Command{
		Use: "log " + a.Say("county.use_controller"), Short: a.Say("county.log_short"), Args: a.oneArg("controller"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var all []county.LogLine
			err = k.get(c.Context(), "/api/controllers/"+url.PathEscape(args[0])+"/log", url.Values{"n": {strconv.Itoa(n)}}, &all)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			t := a.NewTable(cli.Key(a.Say("county.head_at")), cli.Key(a.Say("county.head_kind")), cli.Message(a.Say("county.head_what")))
			words := wording.Log{Lang: a.Language(), Zone: k.zone, Clip: titles(all), All: verbose}
			for _, l := range all {
				kind, what := a.Say("county.log_event"), ""
				switch {
				case l.Event != nil:
					what = eventText(words, *l.Event)
				case l.Row != nil:
					kind = a.Say("county.log_row")
					what = strings.Join([]string{l.Row.Output, a.ClipName(l.Row.Clip, l.Row.Title, l.Row.Issue), a.Word("outcome.", string(l.Row.Outcome))}, "  ")
				}
				if t.Add(k.local(l.At).Format(time.DateTime), kind, cli.Printable(what)) {
					a.Println(t.Page())
				}
			}
			a.Println(t.Page())
			return nil
		},
	})
	c.Flags().IntVar(&n, "n", 50, a.Say("county.flag_n"))
	c.Flags().BoolVar(&verbose, "verbose", false, a.Say("view.flag_log_all"))
	return c
}

// eventText returns what an event of a controller says.
func eventText(words wording.Log, e store.Event) string {
	told := asrun.Event{At: e.At, Level: e.Level, Message: e.Message}
	_ = json.Unmarshal(e.Attrs, &told.Attrs) // what a controller has sent is no reason to show nothing
	text, below := words.Say(told)
	return strings.Join(append([]string{text}, below...), " ")
}

// titles returns a function that finds the clips which rows of the list name.
func titles(all []county.LogLine) func(playlist.ClipID) (playlist.Clip, bool) {
	known := map[playlist.ClipID]playlist.Clip{}
	for _, l := range all {
		if l.Row != nil && l.Row.Title != "" {
			known[l.Row.Clip] = playlist.Clip{Title: l.Row.Title, Issue: l.Row.Issue}
		}
	}
	return func(id playlist.ClipID) (playlist.Clip, bool) {
		c, ok := known[id]
		return c, ok
	}
}
