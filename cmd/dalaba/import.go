package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
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
	"dalaba/web"
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

	Replaced []playlist.Clip `json:"replaced,omitempty"` // earlier clips of the lesson, whose place it takes
	Beside   []playlist.Clip `json:"beside,omitempty"`   // others with its issue number
	By       *playlist.Clip  `json:"replaced_by,omitempty"`
	Named    *playlist.Clip  `json:"named,omitempty"` // as the new name of a known file has it; it keeps what it had
}

func (a *app) importFiles(ctx context.Context, args []string, meta ingest.Meta) (err error) {
	if len(args) == 1 && isCarrier(args[0]) {
		return a.importCarrier(ctx, args[0])
	}
	settings, err := a.making(ctx)
	if err != nil {
		return err
	}
	store, err := a.openLibrary(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var all []imported
	unread := func(path string) bool {
		err := data.CanRead(path)
		if err != nil {
			all = append(all, a.importLine(path, ingest.Outcome{}, err))
		}
		return err != nil
	}
	maker := site.NewIngester(settings, "")
	found := maker.Collect(slices.DeleteFunc(args, unread))
	shut := len(all)
	items := found.Items
	if len(items) > 1 && (meta.Title != "" || meta.Issue != 0) {
		return cli.Refuse(say.M("import.one_only", len(items)))
	}
	began := time.Now()
	for _, r := range found.Refused {
		all = append(all, imported{File: playlist.Legible(r.Name), Verdict: "refused", Why: say.In(a.Language(), r.Err)})
	}
	for i, item := range items {
		if unread(item.Path) {
			continue
		}
		item.Meta, item.Since = meta, began
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
		if found.Passed > 0 {
			a.Println(a.Say("import.passed", found.Passed))
		}
		a.sayPlaylists(ctx, store, all)
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
		return say.M("import.cancelled", len(items)+len(found.Refused)+shut-len(all))
	}
	if bad > 0 {
		return cli.ErrTold
	}
	return nil
}

// sayPlaylists tells which series of the clips are in no playlist, and where a clip
// that was replaced airs all the same.
func (a *app) sayPlaylists(ctx context.Context, store *data.Store, all []imported) {
	text, err := a.readConfig()
	if err != nil {
		return
	}
	cfg, _ := config.Read(a.config.Path, text, &site.Library{Ctx: ctx, Store: store})
	if cfg == nil {
		return // it is not known what the playlists name
	}
	told := map[string]bool{}
	for _, l := range all {
		for _, old := range l.Replaced {
			for _, p := range cfg.Uses(old.ID) {
				a.Println(a.Say("import.by_id", cmp.Or(p.Title, p.Name), a.clipLine(old), l.Clip.ID.Short()))
			}
		}
		if l.Clip != nil && !cfg.Lists(l.Clip.Series) && !told[l.Clip.Series] {
			told[l.Clip.Series] = true
			a.Println(a.Say("import.unlisted", cli.Printable(l.Clip.Series), a.config.Path, config.ListOf(l.Clip.Series)))
		}
	}
}

// making returns how the config makes clips. Clips that it lacks keep no others out: often
// they are what is imported. Any other fault may be in what was meant for the making, so it
// is told, and the last good config says how.
func (a *app) making(ctx context.Context) (config.Ingest, error) {
	text, err := a.readConfig()
	if err != nil {
		return config.Ingest{}, err
	}
	if _, err := a.dataDir(ctx, text); err != nil {
		return config.Ingest{}, err
	}
	s, problems, fellBack := site.LookWithout(ctx, a.config.Path, text)
	if err := a.tellRefused(s, problems, fellBack); err != nil {
		return config.Ingest{}, err
	}
	return s.Ingest, nil
}

// openLibrary opens the store that the config names, beside a daemon
// that may be running, whatever else is wrong with the config.
func (a *app) openLibrary(ctx context.Context) (*data.Store, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	dir, err := a.dataDir(ctx, text)
	if err != nil {
		return nil, err
	}
	return data.Open(ctx, dir, data.Options{Log: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError})), Boot: clock.Boot(), Mono: clock.Uptime})
}

func (a *app) importLine(path string, out ingest.Outcome, err error) imported {
	l := imported{File: playlist.Legible(path), Verdict: "taken"}
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
	l.Clip, l.Replaced, l.Beside, l.By, l.Named = &out.Clip, out.Replaced, out.Beside, out.By, out.Named
	return l
}

// importBar shows on a terminal how far the present file has come.
func (a *app) importBar(i, n int, path string) ingest.Progress {
	if !cli.IsTerminal(a.Out) || a.JSON {
		return nil
	}
	return func(percent float64) {
		done := time.Duration((float64(i) + percent/100) * 1000)
		a.Redraw(a.Bar("", done, time.Duration(n)*1000, fmt.Sprintf("%d/%d %4s", i+1, n, web.Percent(percent/100)), filepath.Base(playlist.Legible(path))))
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

// placeWords says what became of other clips of the same lesson.
func (a *app) placeWords(l imported) (lines []string) {
	for _, old := range l.Replaced {
		lines = append(lines, a.Say("import.replaces", a.clipLine(old), old.ID.Short()))
	}
	for _, other := range l.Beside {
		lines = append(lines, a.Say("import.beside", other.Series, other.Issue, a.clipLine(other), l.Clip.ID.Short(), other.ID.Short(), l.Clip.ID.Short()))
	}
	if l.By != nil {
		lines = append(lines, a.Say("import.by", a.clipLine(*l.By), l.Clip.ID.Short()))
	}
	if n := l.Named; n != nil {
		lines = append(lines, a.Say("import.named", a.billed(n.ID, n.Series, n.Title, n.Issue), n.ID.Short(), n.Series, n.Issue, n.Title))
	}
	return lines
}

func (a *app) importTable(all []imported) {
	t := a.NewTable(a.Say("import.head_file"), cli.Key(a.Say("import.head_verdict")), cli.Key(a.Say("clips.head_id")), cli.Title(a.Say("import.head_clip")),
		cli.Key(a.Say("import.head_length")), cli.Message(a.Say("import.head_note")))
	count := map[string]int{}
	for _, l := range all {
		count[l.Verdict]++
		id, clip, length, note := "", "", "", ""
		if l.Clip != nil {
			id = l.Clip.ID.Short()
			clip = a.ClipName(l.Clip.ID, l.Clip.Title, l.Clip.Issue)
			length = web.Length(l.Clip.Length())
		}
		if l.Figures != nil {
			note = a.proofNote(*l.Figures)
		}
		t.Add(filepath.Base(l.File), a.Word("import.", l.Verdict), id, clip, length, note)
	}
	a.Println(t.Page())
	for _, l := range all {
		if l.Why != "" {
			a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), l.Why))
		}
		for _, mind := range append(l.Mind, a.placeWords(l)...) {
			a.Println(a.Say("cli.bad_clip", cli.Printable(l.File), mind))
		}
	}
	a.Println(a.Say("import.sum", count["taken"], count["changed"], count["known"], count["refused"]))
}
