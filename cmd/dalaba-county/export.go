package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// exportCmd writes to a folder what controllers without a network need.
func (a *app) exportCmd() *cobra.Command {
	var dir string
	var t target
	c := a.JSONFlag(&cobra.Command{
		Use: "export", Short: a.Say("county.export_short"), Long: a.Say("county.export_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return cli.Refuse(sayM("county.need_usb"))
			}
			if a.server != "" {
				return cli.Refuse(sayM("county.export_here"))
			}
			s, err := a.load()
			if err != nil {
				return err
			}
			k, err := a.ask()
			if err != nil {
				return err
			}
			var docs []county.Held
			if err := k.get(c.Context(), "/api/documents", nil, &docs); err != nil {
				return err
			}
			return a.export(s, docs, link.Carrier{Dir: dir}, t)
		},
	})
	c.Flags().StringVar(&dir, "usb", "", a.Say("county.flag_usb"))
	a.targetFlags(c, &t)
	return c
}

// exported is `export --json`.
type exported struct {
	Documents int               `json:"documents"`
	Clips     int               `json:"clips"`
	Skipped   map[string]string `json:"skipped,omitempty"` // why, by kind and scope
}

// export writes documents, and the clips that they name: all of them or, if
// there are targets, those that their controllers follow, with trust and what
// each controller is. A document that no controller would accept is skipped.
func (a *app) export(s *settings, docs []county.Held, to link.Carrier, t target) error {
	var only []playlist.Scope
	if !t.empty() {
		var err error
		if only, err = t.scopes(); err != nil {
			return err
		}
	}
	out := exported{Skipped: map[string]string{}}
	good, err := a.acceptable(docs, out.Skipped)
	if err != nil {
		return err
	}
	followers, err := followersOf(only, good)
	if err != nil {
		return err
	}
	wanted := map[playlist.ClipID]bool{}
	var trust int64 // version in force
	for _, d := range good {
		if d.Kind == link.KindTrust {
			trust = max(trust, d.Version)
		}
	}
	for _, d := range good {
		routine := d.Kind == link.KindManifest || d.Kind == link.KindAlerts
		follows := func(f playlist.Follower) bool {
			return f.Follows(d.Scope) || d.Kind == link.KindAlerts && f.FollowsAlerts(d.Scope)
		}
		if routine && only != nil && !slices.ContainsFunc(followers, follows) {
			continue
		}
		put := to.PutDocument
		if d.Kind == link.KindTrust && d.Version < trust {
			put = to.PutEarlierTrust
		}
		if err := put(link.Stored{Have: d.Have, Raw: d.Raw}); err != nil {
			return err
		}
		out.Documents++
		for _, clip := range d.Clips() {
			wanted[clip.ID] = true
		}
	}
	for id := range wanted {
		if err := exportClip(s, id, to); err != nil {
			return err
		}
	}
	out.Clips = len(wanted)
	if a.JSON {
		return a.show(out)
	}
	a.Println(a.Say("county.exported", to.Dir, out.Documents, out.Clips))
	for _, name := range slices.Sorted(maps.Keys(out.Skipped)) {
		a.Println("  " + cli.Printable(a.Say("county.export_skipped", name, out.Skipped[name])))
	}
	return nil
}

// acceptable returns the documents that a controller would accept, and notes
// why it would not accept the others.
func (a *app) acceptable(docs []county.Held, skipped map[string]string) (good []link.Document, err error) {
	var trust *link.Trust // the one in force comes after those before it
	for _, d := range docs {
		if d.Kind == link.KindTrust {
			v, err := link.AcceptTrust(d.Raw, nil)
			if err != nil {
				return nil, err
			}
			trust = &v
		}
	}
	if trust == nil {
		return nil, link.ErrNoTrust
	}
	for _, d := range docs {
		doc := link.Document{Have: d.Have, Raw: d.Raw}
		if d.Kind != link.KindTrust {
			if doc, err = link.Open(d.Raw, *trust); err != nil {
				skipped[string(d.Kind)+" "+string(d.Scope)] = say.In(a.Language(), err)
				continue
			}
		}
		good = append(good, doc)
	}
	return good, nil
}

func exportClip(s *settings, id playlist.ClipID, to link.Carrier) error {
	f, err := os.Open(filepath.Join(s.County.DataDir, "clips", string(id)+".mp3"))
	if err != nil {
		return err
	}
	err = to.PutClip(id, f)
	return errors.Join(err, f.Close())
}

// followersOf returns the controllers that follow any of the scopes. A scope
// that no controller follows is refused: it must be a typing error.
func followersOf(scopes []playlist.Scope, docs []link.Document) (all []playlist.Follower, err error) {
	for _, s := range scopes {
		n := len(all)
		for _, d := range docs {
			if d.Member != nil && !d.Member.Retired && d.Member.Follower().Follows(s) {
				all = append(all, d.Member.Follower())
			}
		}
		if len(all) == n {
			return nil, cli.Refuse(sayM("county.export_nobody", string(s)))
		}
	}
	return all, nil
}
