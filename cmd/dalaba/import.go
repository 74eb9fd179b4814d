package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// importCmd takes what people hand in into the library.
func (a *app) importCmd() *cobra.Command {
	var meta ingest.Meta
	c := a.JSONFlag(&cobra.Command{
		Use:   "import " + a.Say("import.args"),
		Short: a.Say("import.short"),
		Long:  a.Say("import.long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Refuse(say.M("import.nothing"))
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
	f.StringSliceVar(&meta.Tags, "tag", nil, a.Say("import.flag_tag"))
	f.BoolVar(&meta.AsIs, "as-is", false, a.Say("import.flag_as_is", ingest.MaxMissing))
	return c
}

// imported is a line of `dalaba import --json`.
type imported struct {
	File    string          `json:"file"`
	Verdict string          `json:"verdict"` // taken, known, changed or refused
	Why     string          `json:"why,omitempty"`
	Mind    []string        `json:"warnings,omitempty"` // in the user's language
	Clip    *playlist.Clip  `json:"clip,omitempty"`
	Figures *ingest.Figures `json:"figures,omitempty"`
}

func (a *app) importFiles(ctx context.Context, args []string, meta ingest.Meta) (err error) {
	if len(args) == 1 && isCarrier(args[0]) {
		return a.importCarrier(ctx, args[0])
	}
	store, settings, err := a.openLibrary(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	maker := site.NewIngester(settings, "")
	items, refusals := maker.Collect(args)
	if len(items) > 1 && (meta.Title != "" || meta.Issue != 0) {
		return cli.Refuse(say.M("import.one_only", len(items)))
	}
	var all []imported
	for _, r := range refusals {
		all = append(all, imported{File: r.Name, Verdict: "refused", Why: say.In(a.Language(), r.Err)})
	}
	for i, item := range items {
		item.Meta = meta
		out, err := maker.Take(ctx, item, store, a.importBar(i, len(items), item.Path))
		if ctx.Err() != nil {
			break
		}
		all = append(all, a.importLine(item.Path, out, err))
	}
	if !a.JSON {
		a.Redraw("")
	}
	if len(all) == 0 && ctx.Err() == nil {
		return say.M("import.empty")
	}
	if a.JSON {
		if err := json.NewEncoder(a.Out).Encode(all); err != nil {
			return err
		}
	} else {
		a.importTable(all)
	}
	bad, fresh := 0, false
	for _, l := range all {
		switch l.Verdict {
		case "refused":
			bad++
		case "taken", "changed":
			fresh = true
		}
	}
	if fresh {
		a.askReload(context.WithoutCancel(ctx), store.Dir()) // a series may have grown
	}
	if ctx.Err() != nil {
		return say.M("import.cancelled", len(items)+len(refusals)-len(all))
	}
	if bad > 0 {
		return cli.ErrTold
	}
	return nil
}

// openLibrary opens the store that the config names, beside a daemon
// that may be running. A config that is faulty elsewhere does not keep clips
// out: often they are what it lacks.
func (a *app) openLibrary(ctx context.Context) (*data.Store, config.Ingest, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, config.Ingest{}, err
	}
	dir, err := a.dataDir(ctx, text)
	if err != nil {
		return nil, config.Ingest{}, err
	}
	store, err := data.Open(ctx, dir, data.Options{Log: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError})), Boot: clock.Boot(), Mono: clock.Uptime})
	if err != nil {
		return nil, config.Ingest{}, err
	}
	var settings config.Ingest
	if cfg, _ := config.Read(a.config, text, &site.Library{Ctx: ctx, Store: store}); cfg != nil {
		settings = cfg.Ingest
	}
	return store, settings, nil
}

func (a *app) importLine(path string, out ingest.Outcome, err error) imported {
	l := imported{File: path, Verdict: "taken"}
	switch {
	case err != nil:
		l.Verdict, l.Why = "refused", say.In(a.Language(), err)
		return l
	case out.Changed:
		l.Verdict = "changed"
	case out.Known:
		l.Verdict = "known"
	default:
		l.Figures = &out.Figures
		for _, m := range out.Figures.Warnings() {
			l.Mind = append(l.Mind, m.In(a.Language()))
		}
	}
	l.Clip = &out.Clip
	return l
}

// importBar shows on a terminal how far the present file has come.
func (a *app) importBar(i, n int, path string) ingest.Progress {
	if !cli.IsTerminal(a.Out) || a.JSON {
		return nil
	}
	return func(percent float64) {
		done := time.Duration((float64(i) + percent/100) * 1000)
		a.Redraw(a.Bar("", done, time.Duration(n)*1000, fmt.Sprintf("%d/%d %3.0f%%", i+1, n, percent), filepath.Base(path)))
	}
}

// proofNote is what was measured of a clip that is new. One that was taken as
// it is was not compared with its source: it is its source.
func (a *app) proofNote(f ingest.Figures) string {
	switch {
	case f.Unproven:
		return a.Say("import.unproven", float64(f.LUFS))
	case f.Kept:
		return a.Say("import.kept", float64(f.LUFS), float64(f.SNR))
	}
	return a.Say("import.proof", float64(f.LUFS), float64(f.SNR), f.Correlation)
}

func (a *app) importTable(all []imported) {
	t := a.NewTable(a.Say("import.head_file"), cli.Key(a.Say("import.head_verdict")), cli.Title(a.Say("import.head_clip")),
		cli.Key(a.Say("import.head_length")), cli.Message(a.Say("import.head_note")))
	count := map[string]int{}
	for _, l := range all {
		count[l.Verdict]++
		clip, length, note := "", "", ""
		if l.Clip != nil {
			clip = a.ClipName(l.Clip.ID, l.Clip.Title, l.Clip.Issue)
			length = l.Clip.Length().Round(100 * time.Millisecond).String()
		}
		if l.Figures != nil {
			note = a.proofNote(*l.Figures)
		}
		t.Add(filepath.Base(l.File), a.Word("import.", l.Verdict), clip, length, note)
	}
	a.Println(t.Page())
	for _, l := range all {
		if l.Why != "" {
			a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), l.Why))
		}
		for _, mind := range l.Mind {
			a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), mind))
		}
	}
	a.Println(a.Say("import.sum", count["taken"], count["changed"], count["known"], count["refused"]))
}
