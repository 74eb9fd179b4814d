package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
)

func (a *app) rollbackCmd() *cobra.Command {
	var (
		t       target
		version int64
		o       issueFlags
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "rollback", Short: a.Say("county.rollback_short"), Long: a.Say("county.rollback_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rollback(c.Context(), t, version, o) },
	})
	a.targetFlags(c, &t)
	c.Flags().Int64Var(&version, "to", 0, a.Say("county.flag_to_version"))
	a.issueFlags(c, &o)
	return c
}

// rollback issues an earlier version again for each scope.
func (a *app) rollback(ctx context.Context, t target, version int64, o issueFlags) error {
	scopes, err := t.scopes()
	if err != nil {
		return err
	}
	if version < 1 {
		return cli.Refuse(sayM("county.need_version"))
	}
	k, err := a.ask()
	if err != nil {
		return err
	}
	q := func(i int) url.Values {
		return url.Values{"scope": {string(scopes[i])}, "version": {strconv.FormatInt(version, 10)}}
	}
	var out pushed
	for i := range scopes {
		var p county.Proposal
		if err := k.get(ctx, "/api/earlier", q(i), &p); err != nil {
			return err
		}
		out.Proposals = append(out.Proposals, p)
		if !a.JSON {
			a.proposal(k, p)
		}
	}
	return a.issue(ctx, k, out, o, func(i int) (e store.Envelope, err error) {
		over := q(i)
		over.Set("over", strconv.FormatInt(out.Proposals[i].Over, 10))
		if o.anyway {
			over.Set("anyway", "1")
		}
		return e, k.post(ctx, "/api/rollback", over, nil, &e)
	})
}

// versionsCmd lists all versions that were issued.
func (a *app) versionsCmd() *cobra.Command {
	var t target
	c := a.JSONFlag(&cobra.Command{
		Use: "versions", Short: a.Say("county.versions_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			scopes := []playlist.Scope{""}
			if !t.empty() {
				var err error
				if scopes, err = t.scopes(); err != nil {
					return err
				}
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			list := []store.Envelope{}
			for _, s := range scopes {
				var some []store.Envelope
				if err := k.get(c.Context(), "/api/manifests", url.Values{"scope": {string(s)}}, &some); err != nil {
					return err
				}
				list = append(list, some...)
			}
			if a.JSON {
				return a.show(list)
			}
			tab := a.NewTable(cli.Key(a.Say("county.head_scope")), ">"+a.Say("county.head_v"), cli.Key(a.Say("county.head_at")), a.Say("county.head_by"), cli.Message(a.Say("county.head_note")))
			for _, e := range list {
				tab.Add(string(e.Scope), strconv.FormatInt(e.Version, 10), k.local(e.At).Format("2006-01-02 15:04"), cli.Printable(e.By), e.Note)
			}
			a.Println(tab.Page())
			return nil
		},
	})
	a.targetFlags(c, &t)
	return c
}

// deliveryCmd shows how far each controller is with the latest version.
func (a *app) deliveryCmd() *cobra.Command {
	var t target
	c := a.JSONFlag(&cobra.Command{
		Use: "delivery", Short: a.Say("county.delivery_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			scopes, err := t.scopes()
			if err != nil {
				return err
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			list := []county.Delivered{}
			var sums []string
			for _, s := range scopes {
				var versions []store.Envelope
				if err := k.get(c.Context(), "/api/manifests", url.Values{"scope": {string(s)}}, &versions); err != nil {
					return err
				}
				if len(versions) == 0 {
					continue
				}
				some, err := delivery(c.Context(), k, versions[0])
				if err != nil {
					return err
				}
				list = append(list, some...)
				sums = append(sums, a.deliverySum(versions[0], some))
			}
			if a.JSON {
				return a.show(list)
			}
			a.Println(strings.Join(sums, "\n"))
			tab := a.NewTable(cli.Key(a.Say("county.head_controller")), cli.Title(a.Say("county.head_name")), ">"+a.Say("county.head_v"), cli.Message(a.Say("county.head_step")),
				">"+a.Say("county.head_clips"), cli.Extra(">"+a.Say("county.head_in_force")))
			for _, d := range list {
				tab.Add(string(d.Controller), d.Name, strconv.FormatInt(d.Version, 10), a.stepOf(d), fmt.Sprintf("%d/%d", d.Present, d.Clips), versionText(d.InForce))
			}
			a.Println(tab.Page())
			return nil
		},
	})
	a.targetFlags(c, &t)
	return c
}

// versionText is a version in a table; empty if there is none.
func versionText(v int64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatInt(v, 10)
}
