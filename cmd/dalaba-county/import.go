package main

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

// upload hands a file in, with what the file beside it says of it.
func (a *app) upload(ctx context.Context, k *client, item ingest.Item) (out county.AddedClip, err error) {
	var maker ingest.Ingester
	f, err := maker.Open(item)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }()
	m, err := maker.Said(item)
	if err != nil {
		return out, err
	}
	q := url.Values{"name": {filepath.Base(playlist.Legible(item.Path))}, "tag": m.Tags}
	if m.AsIs {
		q.Set("as_is", "true")
	}
	for key, v := range map[string]string{"title": m.Title, "series": m.Series, "language": m.Language, "text": m.Text, "folder": item.Folder} {
		if v != "" {
			q.Set(key, v)
		}
	}
	if m.Issue != 0 {
		q.Set("issue", strconv.Itoa(m.Issue))
	}
	if !item.Since.IsZero() {
		q.Set("began_ms_ago", strconv.FormatInt(max(time.Since(item.Since).Milliseconds(), 1), 10))
	}
	return out, k.post(ctx, "/api/clips", q, f, &out)
}

func (a *app) importCmd() *cobra.Command {
	var meta ingest.Meta
	c := a.JSONFlag(&cobra.Command{
		Use: "import " + a.Say("county.use_files"), Short: a.Say("county.import_short"), Long: a.Say("county.import_long"),
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
	f.BoolVar(&meta.AsIs, "as-is", false, a.Say("import.flag_as_is", ingest.MaxMissing))
	return c
}

// imported is a file of `import --json`.
type imported struct {
	File string            `json:"file"`
	Why  string            `json:"why,omitempty"` // refused
	Clip *county.AddedClip `json:"clip,omitempty"`
}

// importFiles hands files in, or takes back what a carrier brought.
func (a *app) importFiles(ctx context.Context, args []string, meta ingest.Meta) error {
	k, err := a.ask()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		switch {
		case holds(args[0], "receipts"):
			return a.importCarrier(ctx, k, args[0])
		case holds(args[0], "documents"): // a stick that was at no controller
			return cli.Refuse(sayM("county.no_receipts", args[0]))
		}
	}
	found := new(ingest.Ingester).Collect(args)
	files := found.Items
	if len(files) > 1 && (meta.Title != "" || meta.Issue != 0) {
		return cli.Refuse(sayM("import.one_only", len(files)))
	}
	began := time.Now()
	var all []imported
	t := a.NewTable(a.Say("import.head_file"), cli.Key(a.Say("import.head_verdict")), cli.Title(a.Say("import.head_clip")), cli.Key(a.Say("import.head_length")))
	refuse := func(file string, err error) {
		file = playlist.Legible(file)
		all = append(all, imported{File: file, Why: say.In(a.Language(), err)})
		t.Add(filepath.Base(file), a.Say("import.refused"), "", "")
	}
	for _, f := range files {
		f.Meta, f.Since = meta, began
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
		file := playlist.Legible(f.Path)
		all = append(all, imported{File: file, Clip: &out})
		t.Add(filepath.Base(file), a.Say("import."+verdict), a.ClipName(out.Clip.ID, out.Clip.Title, out.Clip.Issue), web.Length(out.Clip.Length()))
	}
	for _, r := range found.Refused {
		refuse(r.Name, r.Err)
	}
	return a.showImported(all, t, found.Passed)
}

// holds reports whether there is a folder of that name in a folder, as there is on a stick.
func holds(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.IsDir()
}

// showImported prints what became of files. The verb fails if one was refused.
func (a *app) showImported(all []imported, t *cli.Table, passed int) error {
	if a.JSON {
		if err := a.show(all); err != nil {
			return err
		}
	} else {
		a.Println(t.Page())
		if passed > 0 {
			a.Println(a.Say("import.passed", passed))
		}
	}
	bad := false
	for _, l := range all {
		if l.Clip != nil && !a.JSON {
			name := func(c playlist.Clip) string { return a.ClipName(c.ID, cli.Printable(c.Title), c.Issue) }
			note := func(text string) { a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), text)) }
			for _, old := range l.Clip.Replaced {
				note(a.Say("county.clip_replaces", name(old), old.ID.Short()))
			}
			for _, other := range l.Clip.Beside {
				note(a.Say("county.clip_beside", other.Series, other.Issue, name(other)))
			}
			if by := l.Clip.By; by != nil {
				note(a.Say("county.clip_by", name(*by), by.ID.Short()))
			}
			for _, m := range l.Clip.Figures.Warnings() {
				note(m.In(a.Language()))
			}
		}
		if l.Why == "" {
			continue
		}
		bad = true
		if !a.JSON {
			a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), l.Why))
		}
	}
	if bad {
		return cli.ErrTold
	}
	return nil
}

func (a *app) importCarrier(ctx context.Context, k *client, dir string) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var got county.CarriedBack
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
