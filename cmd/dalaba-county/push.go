package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// target is whom a verb means: --area, --group or --controller.
type target struct{ areas, groups, controllers []string }

func (a *app) targetFlags(c *cobra.Command, t *target) {
	c.Flags().StringSliceVar(&t.areas, "area", nil, a.Say("county.flag_to_area"))
	c.Flags().StringSliceVar(&t.groups, "group", nil, a.Say("county.flag_to_group"))
	c.Flags().StringSliceVar(&t.controllers, "controller", nil, a.Say("county.flag_to_controller"))
}

// scopes reads the flags.
func (t target) scopes() ([]playlist.Scope, error) {
	var all []playlist.Scope
	for _, v := range t.areas {
		all = append(all, playlist.AreaScope(playlist.Area(v)))
	}
	for _, v := range t.groups {
		all = append(all, playlist.GroupScope(v))
	}
	for _, v := range t.controllers {
		all = append(all, playlist.ControllerScope(playlist.ControllerID(v)))
	}
	if len(all) == 0 {
		return nil, cli.Refuse(sayM("county.no_target"))
	}
	for _, s := range all {
		if _, err := playlist.ParseScope(string(s)); err != nil {
			return nil, cli.Refuse(err)
		}
	}
	return all, nil
}

// library is the county's clips as the config reader asks for them; what a
// pattern matches is handed in.
type library struct {
	ctx  context.Context
	app  *app
	k    *client
	errs []error
}

func (l *library) Clip(id playlist.ClipID) (c playlist.Clip, ok bool) {
	err := l.k.get(l.ctx, "/api/clips/"+string(id), nil, &c)
	return c, err == nil
}

func (l *library) Series(name string) (all []playlist.Clip) {
	if err := l.k.get(l.ctx, "/api/clips", url.Values{"series": {name}}, &all); err != nil {
		l.errs = append(l.errs, err)
	}
	return all
}

func (l *library) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var all []playlist.Clip
	var failed error
	for _, p := range paths {
		out, err := l.app.upload(l.ctx, l.k, ingest.Item{Path: p})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p, err))
			continue
		}
		all = append(all, out.Clip)
	}
	return all, failed
}

// upload hands a file in, with what lies beside it.
func (a *app) upload(ctx context.Context, k *client, item ingest.Item) (out county.AddedClip, err error) {
	var maker ingest.Ingester
	f, err := maker.OpenSource(item.Path)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }()
	m, err := maker.Said(item)
	if err != nil {
		return out, err
	}
	q := url.Values{"name": {filepath.Base(item.Path)}, "tag": m.Tags}
	for key, v := range map[string]string{"title": m.Title, "series": m.Series, "language": m.Language, "text": m.Text} {
		if v != "" {
			q.Set(key, v)
		}
	}
	if m.Issue != 0 {
		q.Set("issue", strconv.Itoa(m.Issue))
	}
	return out, k.post(ctx, "/api/clips", q, f, &out)
}

func (a *app) importCmd() *cobra.Command {
	var meta ingest.Meta
	c := a.JSONFlag(&cobra.Command{
		Use: "import FILES...", Short: a.Say("county.import_short"), Long: a.Say("county.import_long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Refuse(sayM("import.nothing"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if n := meta.Issue; c.Flags().Changed("issue") && (n < 1 || n > ingest.MaxIssue) {
				return cli.Refuse(say.M("ingest.issue", n, ingest.MaxIssue))
			}
			return a.importFiles(c.Context(), args, meta)
		},
	})
	f := c.Flags()
	f.StringVar(&meta.Title, "title", "", a.Say("import.flag_title"))
	f.StringVar(&meta.Series, "series", "", a.Say("import.flag_series"))
	f.IntVar(&meta.Issue, "issue", 0, a.Say("import.flag_issue"))
	f.StringVar(&meta.Language, "language", "", a.Say("import.flag_language"))
	return c
}

// importFiles hands files in, or takes back what a carrier brought.
func (a *app) importFiles(ctx context.Context, args []string, meta ingest.Meta) error {
	k, err := a.ask()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		if fi, err := os.Stat(filepath.Join(args[0], "receipts")); err == nil && fi.IsDir() {
			return a.importCarrier(ctx, k, args[0])
		}
	}
	files, refused := new(ingest.Ingester).Collect(args)
	if len(files) > 1 && (meta.Title != "" || meta.Issue != 0) {
		return cli.Refuse(sayM("import.one_only", len(files)))
	}
	type line struct {
		File string            `json:"file"`
		Why  string            `json:"why,omitempty"`
		Clip *county.AddedClip `json:"clip,omitempty"`
	}
	var all []line
	bad := 0
	t := a.NewTable(a.Say("import.head_file"), a.Say("import.head_verdict"), a.Say("import.head_clip"), a.Say("import.head_length"))
	refuse := func(file string, err error) {
		bad++
		all = append(all, line{File: file, Why: say.In(a.Language(), err)})
		t.Add(filepath.Base(file), a.Say("import.refused"), "", "")
	}
	for _, f := range files {
		f.Meta = meta
		out, err := a.upload(ctx, k, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			refuse(f.Path, err)
			continue
		}
		verdict := "taken"
		switch {
		case out.Changed:
			verdict = "changed"
		case out.Known:
			verdict = "known"
		}
		all = append(all, line{File: f.Path, Clip: &out})
		t.Add(filepath.Base(f.Path), a.Say("import."+verdict), a.ClipName(out.Clip.ID, out.Clip.Title, out.Clip.Issue), out.Clip.Length().Round(100*time.Millisecond).String())
	}
	for _, r := range refused {
		refuse(r.Name, r.Err)
	}
	if a.JSON {
		if err := a.show(all); err != nil {
			return err
		}
	} else {
		a.Println(t.Page())
		for _, l := range all {
			if l.Why != "" {
				a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), l.Why))
			}
		}
	}
	if bad > 0 {
		return cli.ErrTold
	}
	return nil
}

func (a *app) importCarrier(ctx context.Context, k *client, dir string) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var got carriedBack
	if err := k.post(ctx, "/api/import", url.Values{"dir": {full}}, nil, &got); err != nil {
		return err
	}
	if a.JSON {
		if err := a.show(got); err != nil {
			return err
		}
	} else {
		a.Println(a.Say("county.carried_back", got.Receipts, len(got.Gaps), len(got.Refused)))
		for _, name := range slices.Sorted(maps.Keys(got.Refused)) {
			a.Println("  " + cli.Printable(name+": "+got.Refused[name]))
		}
	}
	if len(got.Refused) > 0 {
		return cli.ErrTold
	}
	return nil
}

// notHere are the tables of a controller's config that a push has no use for.
var notHere = regexp.MustCompile(`(?m)^[ \t]*\[+[ \t]*(site|output|quiet|daypart|ingest|store|amplifier|alert|county|mic)\b`)

// pretended completes a push file to a config that the strict reader takes.
const pretended = `
[site]
name = "push"
area = "%s"
data_dir = "."
timezone = "%s"
[[output]]
name = "push"
device = "null:"
residents = 1
`

// readPush reads a push file: playlists and slots as in a controller's config.
func (a *app) readPush(ctx context.Context, k *client, s county.CountyStatus, path string) (county.Draft, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return county.Draft{}, cli.Refuse(sayM("county.no_file", path, err))
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if at := notHere.FindSubmatchIndex(text); at != nil {
		line := 1 + bytes.Count(text[:at[2]], []byte("\n"))
		p := config.Problem{File: path, Line: line, Column: 1, Key: string(text[at[2]:at[3]]), What: sayM("county.push_table"), Remedy: sayM("county.push_table_remedy")}
		fmt.Fprintln(a.Err, p.In(a.Language()))
		return county.Draft{}, cli.Refuse(cli.ErrTold)
	}
	lines := bytes.Count(text, []byte("\n")) + 1
	whole := append(bytes.Clone(text), fmt.Sprintf(pretended, string(s.Area), s.Zone)...)
	lib := &library{ctx: ctx, app: a, k: k}
	cfg, problems := config.Read(path, whole, lib)
	refused := false
	for _, p := range problems {
		if p.Line > lines {
			continue
		}
		fmt.Fprintln(a.Err, p.In(a.Language()))
		refused = refused || p.Severity == config.Fault
	}
	if cfg == nil || refused {
		if !refused {
			return county.Draft{}, errors.Join(append([]error{sayM("county.push_unread", path)}, lib.errs...)...)
		}
		return county.Draft{}, cli.Refuse(cli.ErrTold)
	}
	d := county.Draft{Playlists: cfg.Playlists, Slots: cfg.Slots}
	if d.Playlists == nil {
		d.Playlists = []playlist.Playlist{}
	}
	for i := range d.Slots {
		d.Slots[i].Outputs = nil // all that a scope holds
	}
	if d.Slots == nil {
		d.Slots = []playlist.Slot{}
	}
	return d, nil
}

// pushed is `push --json`.
type pushed struct {
	Proposals []county.Proposal  `json:"proposals"`
	Issued    []store.Envelope   `json:"issued"`
	Unsigned  []string           `json:"unsigned,omitempty"` // files to be signed
	Delivery  []county.Delivered `json:"delivery,omitempty"`
}

func (a *app) pushCmd() *cobra.Command {
	var (
		t                         target
		note, notBefore, unsigned string
		partial, dry, yes, signed bool
		wait                      time.Duration
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "push FILE", Short: a.Say("county.push_short"), Long: a.Say("county.push_long"), Args: a.oneArg("file"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			k, err := a.ask()
			if err != nil {
				return err
			}
			if signed {
				return a.publishSigned(ctx, k, args[0], wait)
			}
			scopes, err := t.scopes()
			if err != nil {
				return err
			}
			var s county.CountyStatus
			if err := k.get(ctx, "/api/status", nil, &s); err != nil {
				return err
			}
			d, err := a.readPush(ctx, k, s, args[0])
			if err != nil {
				return err
			}
			d.Note, d.Partial = note, partial
			if notBefore != "" {
				zone, err := time.LoadLocation(s.Zone)
				if err != nil {
					return err
				}
				if d.NotBefore, _, err = cli.ParseWhen(notBefore, time.Now(), zone); err != nil {
					return cli.Refuse(err)
				}
			}
			var out pushed
			for _, scope := range scopes {
				d.Scope = scope
				var p county.Proposal
				if err := k.post(ctx, "/api/propose", nil, d, &p); err != nil {
					return err
				}
				out.Proposals = append(out.Proposals, p)
				if !a.JSON {
					a.proposal(k, p)
				}
			}
			return a.issue(ctx, k, out, unsigned, dry, yes, wait, func(i int) (e store.Envelope, err error) {
				d.Scope = scopes[i]
				return e, k.post(ctx, "/api/push", nil, d, &e)
			})
		},
	})
	a.targetFlags(c, &t)
	f := c.Flags()
	f.StringVar(&note, "note", "", a.Say("county.flag_note"))
	f.StringVar(&notBefore, "not-before", "", a.Say("county.flag_not_before"))
	f.BoolVar(&partial, "partial", false, a.Say("county.flag_partial"))
	f.BoolVar(&dry, "dry-run", false, a.Say("county.flag_dry"))
	f.BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	f.StringVar(&unsigned, "unsigned", "", a.Say("county.flag_unsigned"))
	f.BoolVar(&signed, "signed", false, a.Say("county.flag_signed"))
	f.DurationVar(&wait, "wait", 0, a.Say("county.flag_wait"))
	return c
}

// issue asks, has the server issue, or writes what is to be signed elsewhere,
// and follows the delivery.
func (a *app) issue(ctx context.Context, k *client, out pushed, unsigned string, dry, yes bool, wait time.Duration,
	do func(int) (store.Envelope, error)) error {
	out.Issued = []store.Envelope{}
	if dry {
		if a.JSON {
			return a.show(out)
		}
		a.Println(a.Say("county.dry"))
		return nil
	}
	if unsigned != "" {
		for i, p := range out.Proposals {
			name := unsigned
			if len(out.Proposals) > 1 {
				name = strings.TrimSuffix(unsigned, filepath.Ext(unsigned)) + fmt.Sprintf("-%d", i+1) + filepath.Ext(unsigned)
			}
			var raw rawJSON
			if err := k.post(ctx, "/api/unsigned", nil, p.Manifest, &raw); err != nil {
				return err
			}
			if err := renameio.WriteFile(name, raw, 0o644); err != nil {
				return err
			}
			out.Unsigned = append(out.Unsigned, name)
			if !a.JSON {
				a.Println(a.Say("county.unsigned", name, name, name))
			}
		}
		if a.JSON {
			return a.show(out)
		}
		return nil
	}
	if err := a.confirm(a.Say("county.push_ask"), yes); err != nil {
		return err
	}
	for i := range out.Proposals {
		e, err := do(i)
		if err != nil {
			return err
		}
		out.Issued = append(out.Issued, e)
		if !a.JSON {
			a.Println(a.Say("county.issued", string(e.Scope), e.Version))
		}
	}
	return a.follow(ctx, k, out, wait)
}

// rawJSON keeps an answer as it is.
type rawJSON []byte

// UnmarshalJSON keeps it.
func (r *rawJSON) UnmarshalJSON(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// follow shows how far controllers are, until all that are online air by it or
// the time is over.
func (a *app) follow(ctx context.Context, k *client, out pushed, wait time.Duration) error {
	for _, e := range out.Issued {
		end := time.Now().Add(wait)
		for {
			var all []county.Delivered
			err := k.get(ctx, "/api/delivery", url.Values{"scope": {string(e.Scope)}, "version": {strconv.FormatInt(e.Version, 10)}}, &all)
			if err != nil {
				return err
			}
			count := map[county.Step]int{}
			left := 0
			for _, d := range all {
				count[d.Step]++
				if d.Online && d.Step != county.StepActive {
					left++
				}
			}
			line := a.Say("county.delivery", len(all), count[county.StepWaiting], count[county.StepDelivered], count[county.StepFetched], count[county.StepActive])
			done := left == 0 || !time.Now().Before(end)
			if cli.IsTerminal(a.Out) && !a.JSON {
				fmt.Fprint(a.Out, "\r\x1b[K"+line)
				if done {
					fmt.Fprintln(a.Out)
				}
			} else if done && !a.JSON {
				a.Println(line)
			}
			if done {
				out.Delivery = append(out.Delivery, all...)
				if left > 0 && wait > 0 && !a.JSON {
					a.Println(a.Say("county.delivery_left", left, string(e.Scope), e.Version))
				}
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	if a.JSON {
		return a.show(out)
	}
	return nil
}

// proposal shows what a push would do.
func (a *app) proposal(k *client, p county.Proposal) {
	r := p.Reaches
	a.Println(a.Say("county.proposal", string(p.Manifest.Scope), p.Manifest.Version, p.Over))
	a.Println(a.Say("county.reaches", r.Controllers, r.Online, r.Outputs, r.Residents, len(r.Areas)))
	if len(p.Changes) == 0 {
		a.Println(a.Say("county.no_change"))
	}
	for _, c := range p.Changes {
		mark := map[string]string{"added": "+", "removed": "-", "changed": "~"}[c.How]
		tone := map[string]cli.Tone{"+": cli.Good, "-": cli.Bad, "~": cli.Warn}[mark]
		a.Println(cli.Paint("  "+mark+" "+a.Say("county.change_"+c.What)+" "+cli.Printable(c.Name), tone, a.Colour()))
	}
	a.Println(a.Say("county.adds", float64(p.Bytes)/(1<<20)))
	if len(p.Conflicts) > 0 {
		a.Println(a.Say("county.conflicts", len(p.Conflicts)))
		t := a.NewTable(a.Say("county.head_first"), a.Say("county.head_slot"), a.Say("county.head_conflict"), a.Say("county.head_other"), ">"+a.Say("county.head_times"))
		for _, c := range p.Conflicts {
			t.Add(k.local(c.Due).Format("01-02 15:04"), c.Slot, a.Say("county.flag_kind_"+string(c.Kind)), c.Other, strconv.Itoa(c.Times))
		}
		a.Println(t.Page())
	}
	if !p.Signed {
		a.Println(a.Say("county.no_key_here"))
	}
}

// publishSigned hands in what was signed elsewhere.
func (a *app) publishSigned(ctx context.Context, k *client, path string, wait time.Duration) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return cli.Refuse(sayM("county.no_file", path, err))
	}
	var e store.Envelope
	if err := k.post(ctx, "/api/publish", nil, raw, &e); err != nil {
		return err
	}
	if !a.JSON {
		a.Println(a.Say("county.issued", string(e.Scope), e.Version))
	}
	return a.follow(ctx, k, pushed{Issued: []store.Envelope{e}}, wait)
}

// signCmd signs an envelope with a key that lies here; it asks no server.
func (a *app) signCmd() *cobra.Command {
	var key, out string
	c := &cobra.Command{
		Use: "sign FILE", Short: a.Say("county.sign_short"), Long: a.Say("county.sign_long"), Args: a.oneArg("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return cli.Refuse(sayM("county.need_key"))
			}
			signer, err := link.ReadKey(key)
			if err != nil {
				return err
			}
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return cli.Refuse(sayM("county.no_file", args[0], err))
			}
			env, err := unsignedEnvelope(raw)
			if err != nil {
				return err
			}
			if err := env.Sign(signer); err != nil {
				return err
			}
			to := orElse(out, args[0])
			if err := renameio.WriteFile(to, env.Bytes(), 0o644); err != nil {
				return err
			}
			a.Println(a.Say("county.signed", to, signer.Public().Fingerprint(), len(env.Signatures)))
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", a.Say("county.flag_key"))
	c.Flags().StringVar(&out, "out", "", a.Say("county.flag_out"))
	return c
}

func (a *app) rollbackCmd() *cobra.Command {
	var (
		t        target
		version  int64
		dry, yes bool
		unsigned string
		wait     time.Duration
	)
	c := a.JSONFlag(&cobra.Command{
		Use: "rollback", Short: a.Say("county.rollback_short"), Long: a.Say("county.rollback_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
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
			return a.issue(ctx, k, out, unsigned, dry, yes, wait, func(i int) (e store.Envelope, err error) {
				return e, k.post(ctx, "/api/rollback", q(i), nil, &e)
			})
		},
	})
	a.targetFlags(c, &t)
	c.Flags().Int64Var(&version, "to", 0, a.Say("county.flag_to_version"))
	c.Flags().BoolVar(&dry, "dry-run", false, a.Say("county.flag_dry"))
	c.Flags().BoolVar(&yes, "yes", false, a.Say("county.flag_yes"))
	c.Flags().StringVar(&unsigned, "unsigned", "", a.Say("county.flag_unsigned"))
	c.Flags().DurationVar(&wait, "wait", 0, a.Say("county.flag_wait"))
	return c
}

// versionsCmd lists all versions that were issued.
func (a *app) versionsCmd() *cobra.Command {
	var t target
	c := a.JSONFlag(&cobra.Command{
		Use: "versions", Short: a.Say("county.versions_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			scopes := []playlist.Scope{""}
			if len(t.areas)+len(t.groups)+len(t.controllers) > 0 {
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
			tab := a.NewTable(a.Say("county.head_scope"), ">"+a.Say("county.head_v"), a.Say("county.head_at"), a.Say("county.head_note"))
			for _, e := range list {
				tab.Add(string(e.Scope), strconv.FormatInt(e.Version, 10), k.local(e.At).Format("2006-01-02 15:04"), e.Note)
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
			for _, s := range scopes {
				var versions []store.Envelope
				if err := k.get(c.Context(), "/api/manifests", url.Values{"scope": {string(s)}}, &versions); err != nil {
					return err
				}
				if len(versions) == 0 {
					continue
				}
				var some []county.Delivered
				err := k.get(c.Context(), "/api/delivery", url.Values{"scope": {string(s)}, "version": {strconv.FormatInt(versions[0].Version, 10)}}, &some)
				if err != nil {
					return err
				}
				list = append(list, some...)
			}
			if a.JSON {
				return a.show(list)
			}
			tab := a.NewTable(a.Say("county.head_controller"), a.Say("county.head_name"), a.Say("county.head_step"), ">"+a.Say("county.head_clips"), a.Say("county.head_faults"))
			for _, d := range list {
				tab.Add(string(d.Controller), d.Name, a.Say("county.step_"+string(d.Step)), fmt.Sprintf("%d/%d", d.Present, d.Clips), d.Why)
			}
			a.Println(tab.Page())
			return nil
		},
	})
	a.targetFlags(c, &t)
	return c
}

// exportCmd lays on a folder what controllers without a line need.
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

// export writes documents, all or what the controllers of the targets follow
// with trust and what each controller is, and the clips that they name. A
// document that no controller would take stays here.
func (a *app) export(s *settings, docs []county.Held, to link.Carrier, t target) error {
	var only []playlist.Scope
	if len(t.areas)+len(t.groups)+len(t.controllers) > 0 {
		var err error
		if only, err = t.scopes(); err != nil {
			return err
		}
	}
	var trust *link.Trust
	for _, d := range docs {
		if d.Kind == link.KindTrust {
			v, err := link.AcceptTrust(d.Raw, nil)
			if err != nil {
				return err
			}
			trust = &v
		}
	}
	if trust == nil {
		return link.ErrNoTrust
	}
	var good []link.Document
	out := exported{Skipped: map[string]string{}}
	for _, d := range docs {
		doc := link.Document{Have: d.Have, Raw: d.Raw}
		if d.Kind != link.KindTrust {
			var err error
			if doc, err = link.Open(d.Raw, *trust); err != nil {
				out.Skipped[string(d.Kind)+" "+string(d.Scope)] = say.In(a.Language(), err)
				continue
			}
		}
		good = append(good, doc)
	}
	followers, err := followersOf(only, good)
	if err != nil {
		return err
	}
	wanted := map[playlist.ClipID]bool{}
	for _, d := range good {
		routine := d.Kind == link.KindManifest || d.Kind == link.KindAlerts
		follows := func(f playlist.Follower) bool { return f.Follows(d.Scope) }
		if routine && only != nil && !slices.ContainsFunc(followers, follows) {
			continue
		}
		if err := to.PutDocument(link.Stored{Have: d.Have, Raw: d.Raw}); err != nil {
			return err
		}
		out.Documents++
		for _, clip := range d.Clips() {
			wanted[clip.ID] = true
		}
	}
	for id := range wanted {
		f, err := os.Open(filepath.Join(s.County.DataDir, "clips", string(id)+".mp3"))
		if err != nil {
			return err
		}
		err = to.PutClip(id, f)
		if err = errors.Join(err, f.Close()); err != nil {
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

// followersOf are the controllers that follow any of the scopes. A scope that
// nobody follows is refused: who typed it means another.
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
