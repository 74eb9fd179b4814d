package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

// clipsCmd shows the library and changes what clips are called.
func (a *app) clipsCmd() *cobra.Command {
	series := ""
	list := func(c *cobra.Command, args []string) error { return a.listClips(c, series, args) }
	c := a.JSONFlag(&cobra.Command{
		Use: "clips " + a.Say("clips.words"), Short: a.Say("clips.short"), Long: a.Say("clips.long"),
		Args: cobra.ArbitraryArgs, RunE: list,
	})
	c.Flags().StringVar(&series, "series", "", a.Say("clips.flag_series"))
	find := a.JSONFlag(&cobra.Command{
		Use: "list " + a.Say("clips.words"), Aliases: []string{"find", "ls"}, Short: a.Say("clips.list_short"),
		Args: cobra.ArbitraryArgs, RunE: list,
	})
	find.Flags().StringVar(&series, "series", "", a.Say("clips.flag_series"))
	show := a.JSONFlag(&cobra.Command{
		Use: "show " + a.Say("clips.one"), Short: a.Say("clips.show_short"), Args: a.aClip,
		RunE: func(c *cobra.Command, args []string) error { return a.showClip(c.Context(), args[0]) },
	})
	of := []*cobra.Command{show, a.renameClipCmd(), a.setClipCmd(), a.removeClipCmd(), a.replaceClipCmd(), a.restoreClipCmd()}
	for _, v := range of {
		v.ValidArgsFunction = a.completeClip
	}
	c.AddCommand(find)
	c.AddCommand(of...)
	return c
}

// aClip wants one clip named.
func (a *app) aClip(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Refuse(say.M("clips.one_wanted"))
	}
	return nil
}

func (a *app) renameClipCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "rename " + a.Say("clips.one_title"), Short: a.Say("clips.rename_short"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Refuse(say.M("clips.title_wanted"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.describeClip(c.Context(), args[0], func(m *ingest.Meta) { m.Title = args[1] })
		},
	})
}

func (a *app) setClipCmd() *cobra.Command {
	var given ingest.Meta
	c := a.JSONFlag(&cobra.Command{
		Use: "set " + a.Say("clips.one"), Short: a.Say("clips.set_short"), Args: a.aClip,
		RunE: func(c *cobra.Command, args []string) error {
			fields := map[string]func(*ingest.Meta){
				"title":    func(m *ingest.Meta) { m.Title = given.Title },
				"series":   func(m *ingest.Meta) { m.Series = given.Series },
				"issue":    func(m *ingest.Meta) { m.Issue = given.Issue },
				"language": func(m *ingest.Meta) { m.Language = given.Language },
				"tag":      func(m *ingest.Meta) { m.Tags = given.Tags },
			}
			changed := false
			for name := range fields {
				changed = changed || c.Flags().Changed(name)
			}
			if !changed {
				return cli.Refuse(say.M("clips.nothing_to_set"))
			}
			return a.describeClip(c.Context(), args[0], func(m *ingest.Meta) {
				for name, set := range fields {
					if c.Flags().Changed(name) {
						set(m)
					}
				}
			})
		},
	})
	f := c.Flags()
	f.StringVar(&given.Title, "title", "", a.Say("clips.flag_title"))
	f.StringVar(&given.Series, "series", "", a.Say("clips.flag_new_series"))
	f.IntVar(&given.Issue, "issue", 0, a.Say("clips.flag_issue"))
	f.StringVar(&given.Language, "language", "", a.Say("import.flag_language"))
	f.StringSliceVar(&given.Tags, "tag", nil, a.Say("import.flag_tag"))
	return c
}

func (a *app) removeClipCmd() *cobra.Command {
	yes := false
	c := a.JSONFlag(&cobra.Command{
		Use: "remove " + a.Say("clips.one"), Aliases: []string{"rm", "delete"}, Short: a.Say("clips.remove_short"), Args: a.aClip,
		RunE: func(c *cobra.Command, args []string) error { return a.removeClip(c.Context(), args[0], yes) },
	})
	c.Flags().BoolVarP(&yes, "yes", "y", false, a.Say("clips.flag_yes"))
	return c
}

func (a *app) replaceClipCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "replace " + a.Say("clips.old_new"), Short: a.Say("clips.replace_short"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Refuse(say.M("clips.two_wanted"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.replaceClip(c.Context(), args[0], args[1]) },
	})
}

func (a *app) restoreClipCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "restore " + a.Say("clips.one"), Short: a.Say("clips.restore_short"), Args: a.aClip,
		RunE: func(c *cobra.Command, args []string) error { return a.restoreClip(c.Context(), args[0]) },
	})
}

// shelved is a clip of `dalaba clips --json`. Times are UTC.
type shelved struct {
	playlist.Clip
	Short      string            `json:"short_id"`
	LengthS    float64           `json:"length_s"`
	Added      time.Time         `json:"added"`
	Playlists  []string          `json:"playlists"`             // of the config, that it is in; null if the config is broken
	ReplacedBy playlist.ClipID   `json:"replaced_by,omitempty"` // airs in its place
	Replaces   []playlist.ClipID `json:"replaces,omitempty"`
}

// shelf is the library as the verb shows it.
type shelf struct {
	*site.Shelf
	clips []playlist.Clip // its clips
}

// openShelf reads the library to look only, even if the config is broken: often the
// clips are what it lacks.
func (a *app) openShelf(ctx context.Context) (*shelf, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	dir, err := a.dataDir(ctx, text)
	if err != nil {
		return nil, err
	}
	s, err := site.OpenShelf(ctx, a.config.Path, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, a.noStore(dir)
	}
	if s.Programme == nil {
		a.Tell(a.Say("clips.broken_config"))
	}
	l := &shelf{Shelf: s}
	for _, c := range s.Clips {
		l.clips = append(l.clips, c.Clip)
	}
	return l, nil
}

func (l *shelf) here(id playlist.ClipID) bool {
	return slices.ContainsFunc(l.clips, func(c playlist.Clip) bool { return c.ID == id })
}

func (l *shelf) named(id playlist.ClipID) playlist.Clip {
	i := slices.IndexFunc(l.clips, func(c playlist.Clip) bool { return c.ID == id })
	if i < 0 {
		return playlist.Clip{ID: id}
	}
	return l.clips[i]
}

func (l *shelf) line(c playlist.Shelved) shelved {
	line := shelved{Clip: c.Clip, Short: c.ID.Short(), LengthS: c.Length().Seconds(), Added: c.Added, Playlists: []string{}}
	if l.Programme == nil {
		line.Playlists = nil
	} else {
		for _, p := range l.Programme.Playlists {
			if slices.Contains(p.Clips, c.ID) {
				line.Playlists = append(line.Playlists, cmp.Or(p.Title, p.Name))
			}
		}
	}
	line.ReplacedBy, _ = l.Lineage.Replacement(c.ID, l.here)
	for _, old := range l.Clips {
		if by, ok := l.Lineage.Replacement(old.ID, l.here); ok && by == c.ID {
			line.Replaces = append(line.Replaces, old.ID)
		}
	}
	return line
}

func (a *app) listClips(verb *cobra.Command, series string, words []string) (err error) {
	l, err := a.openShelf(verb.Context())
	if errors.Is(err, errNoStore) {
		return a.printClips(nil)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Store.Close()) }()
	if series != "" && !slices.ContainsFunc(l.clips, func(c playlist.Clip) bool { return c.Series == series }) {
		return cli.Refuse(say.M("clips.no_series", series, strings.Join(seriesOf(l.clips), a.Say("view.comma"))))
	}
	found := l.clips
	if what := strings.Join(words, " "); what != "" {
		if found = called(what, l.clips); len(found) == 0 {
			if len(words) > 1 { // clips remov 第1期
				if err := cli.VerbMeant(verb, words[0]); err != nil {
					return err
				}
			}
			return say.M("technician.no_clip", what, len(l.clips))
		}
	}
	var lines []shelved
	for _, c := range l.Clips {
		if (series == "" || c.Series == series) && slices.ContainsFunc(found, func(f playlist.Clip) bool { return f.ID == c.ID }) {
			lines = append(lines, l.line(c))
		}
	}
	return a.printClips(lines)
}

func (a *app) printClips(lines []shelved) error {
	switch {
	case a.JSON:
		return json.NewEncoder(a.Out).Encode(append([]shelved{}, lines...))
	case len(lines) == 0:
		a.Println(a.Say("clips.none"))
		return nil
	}
	t := a.NewTable(cli.Key(a.Say("clips.head_id")), cli.Title(a.Say("import.head_clip")), a.Say("view.by_series"),
		">"+a.Say("import.head_length"), cli.Message(a.Say("clips.head_where")))
	var b strings.Builder
	for _, c := range lines {
		if t.Add(c.Short, a.ClipName(c.ID, c.Title, c.Issue), c.Series, web.Length(c.Length()), a.whereAired(c)) {
			b.WriteString(t.Page())
		}
	}
	b.WriteString(t.Page())
	a.Println(strings.TrimRight(b.String(), "\n"))
	a.Println(a.Say("clips.sum", len(lines)))
	return nil
}

func (l *shelf) zone() *time.Location {
	if l.Programme == nil {
		return time.Local
	}
	return l.Programme.Site.Zone
}

func seriesOf(clips []playlist.Clip) []string {
	var all []string
	for _, c := range clips {
		if c.Series != "" && !slices.Contains(all, c.Series) {
			all = append(all, c.Series)
		}
	}
	return all
}

// whereAired says in what playlists a clip is, or why in none.
func (a *app) whereAired(c shelved) cli.Cell {
	switch {
	case c.ReplacedBy != "" && len(c.Playlists) == 0:
		return cli.Tint(a.Say("clips.replaced_by", c.ReplacedBy.Short()), cli.Faint)
	case c.Playlists == nil:
		return cli.Tint("–", cli.Faint)
	case len(c.Playlists) == 0:
		return cli.Tint(a.Say("clips.nowhere"), cli.Warn)
	}
	return cli.Tint(strings.Join(c.Playlists, a.Say("view.comma")), cli.Plain)
}

func (a *app) showClip(ctx context.Context, what string) (err error) {
	l, err := a.openShelf(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Store.Close()) }()
	clip, err := a.clipCalled(ctx, what, l.clips, l.Store)
	if err != nil {
		return cli.Refuse(err)
	}
	c := l.line(l.Clips[slices.IndexFunc(l.Clips, func(s playlist.Shelved) bool { return s.ID == clip.ID })])
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(c)
	}
	a.Println(a.ClipName(c.ID, cli.Printable(c.Title), c.Issue))
	row := func(key string, text string) {
		if text != "" {
			a.Println(a.Say("clips.row", a.Say(key), cli.Printable(text)))
		}
	}
	row("clips.head_id", string(c.ID))
	row("view.by_series", c.Series)
	row("import.head_length", web.Length(c.Length()))
	row("clips.head_added", c.Added.In(l.zone()).Format("2006-01-02 15:04"))
	row("clips.head_language", c.Language)
	row("clips.head_tags", strings.Join(c.Tags, a.Say("view.comma")))
	row("clips.head_where", a.whereAired(c).Text)
	for _, old := range c.Replaces {
		row("clips.head_replaces", a.clipLine(l.named(old)))
	}
	if c.ReplacedBy != "" {
		row("clips.head_replaced_by", a.clipLine(l.named(c.ReplacedBy)))
		a.Println(a.Say("clips.restore_hint", c.Short))
	}
	row("clips.head_file", l.Store.ClipPath(c.ID))
	row("clips.head_text", c.Text)
	return nil
}

// clipLine is a clip's short ID and its name.
func (a *app) clipLine(c playlist.Clip) string {
	return c.ID.Short() + " " + a.ClipName(c.ID, cli.Printable(c.Title), c.Issue)
}

// chosen finds the clip that an operator names, and opens the store to change it.
func (a *app) chosen(ctx context.Context, what string) (playlist.Clip, *data.Store, error) {
	store, err := a.openLibrary(ctx)
	if err != nil {
		return playlist.Clip{}, nil, err
	}
	clip, err := a.clipIn(ctx, store, what)
	if err != nil {
		return playlist.Clip{}, nil, errors.Join(err, store.Close())
	}
	return clip, store, nil
}

// clipIn finds the clip of a store that an operator names.
func (a *app) clipIn(ctx context.Context, store *data.Store, what string) (playlist.Clip, error) {
	clips, err := store.Clips(ctx, "")
	if err != nil {
		return playlist.Clip{}, err
	}
	clip, err := a.clipCalled(ctx, what, clips, store)
	if err != nil {
		err = cli.Refuse(err)
	}
	return clip, err
}

// describeClip changes what a clip is called.
func (a *app) describeClip(ctx context.Context, what string, change func(*ingest.Meta)) (err error) {
	clip, store, err := a.chosen(ctx, what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	was := clip
	if clip, err = ingest.Redescribe(clip, change); err != nil {
		return cli.Refuse(err)
	}
	if err := store.DescribeClip(ctx, clip); err != nil {
		return err
	}
	a.askReload(ctx, store.Dir())
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(clip)
	}
	a.Println(a.Say("clips.renamed", a.clipLine(was), a.billed(clip.ID, clip.Series, clip.Title, clip.Issue)))
	if n := playlist.ReadName(clip.Title).Issue; n > 0 && clip.Issue > 0 && n != clip.Issue {
		a.Println(a.Say("clips.title_says", n, clip.Issue, clip.ID.Short(), n))
	}
	series, err := store.Clips(ctx, clip.Series)
	if err != nil {
		return err
	}
	lineage, err := store.Lineage(ctx)
	if err != nil {
		return err
	}
	for _, other := range lineage.Current(series) {
		if other.ID != clip.ID && other.SameNumber(clip) {
			a.Println(a.Say("import.beside", other.Series, other.Issue, a.clipLine(other), clip.ID.Short(), other.ID.Short(), clip.ID.Short()))
		}
	}
	return nil
}

// removeClip deletes a clip's file, after saying what still needs it.
func (a *app) removeClip(ctx context.Context, what string, yes bool) (err error) {
	clip, store, err := a.chosen(ctx, what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	uses, err := a.usesOf(ctx, text, clip)
	if err != nil {
		return err
	}
	for _, line := range a.usesWords(uses) {
		a.Tell("  " + line)
	}
	lineage, err := store.Lineage(ctx)
	if err != nil {
		return err
	}
	clips, err := store.Clips(ctx, "")
	if err != nil {
		return err
	}
	for _, old := range lineage.Freed(clips, clip.ID) {
		a.Tell("  " + a.Say("clips.back", a.clipLine(old)))
	}
	if uses.Kept() {
		a.tell(uses.Faults)
		return cli.Refuse(say.M("clips.kept", a.clipLine(clip)))
	}
	if err := a.Confirm(ctx, a.Say("clips.confirm", a.clipLine(clip)), yes); err != nil {
		return err
	}
	if err := store.ForgetClip(ctx, clip.ID); err != nil {
		return err
	}
	a.askReload(ctx, store.Dir())
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(clip)
	}
	a.Println(a.Say("clips.removed", a.clipLine(clip)))
	return nil
}

func (a *app) usesOf(ctx context.Context, text []byte, clip playlist.Clip) (site.Uses, error) {
	s, err := a.lookStore(ctx)
	if err != nil {
		return site.Uses{}, err
	}
	uses, err := s.Uses(ctx, a.config.Path, text, clip.ID)
	return uses, errors.Join(err, s.Close())
}

func (a *app) usesWords(u site.Uses) (lines []string) {
	var lists []string
	for _, l := range u.Playlists {
		lists = append(lists, cmp.Or(l.Title, l.Name))
	}
	if len(lists) > 0 {
		lines = append(lines, a.Say("clips.in_lists", strings.Join(lists, a.Say("view.comma"))))
	}
	if len(u.Slots) > 0 {
		lines = append(lines, a.Say("clips.in_slots", strings.Join(u.Slots, a.Say("view.comma"))))
	}
	for _, title := range u.Alerts {
		lines = append(lines, a.Say("clips.in_alert", cli.Printable(title)))
	}
	if u.County {
		lines = append(lines, a.Say("clips.in_county"))
	}
	return lines
}

// replaceClip has a clip take the place of another.
func (a *app) replaceClip(ctx context.Context, what, by string) (err error) {
	old, store, err := a.chosen(ctx, what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	anew, err := a.clipIn(ctx, store, by)
	switch {
	case err != nil:
		return err
	case anew.ID == old.ID:
		return cli.Refuse(say.M("clips.itself", a.clipLine(old)))
	case anew.Series != old.Series || old.Series == "":
		return cli.Refuse(say.M("clips.other_series", a.clipLine(old), a.clipLine(anew)))
	}
	if err := store.ReplaceClip(ctx, old.ID, anew.ID); err != nil {
		return err
	}
	a.askReload(ctx, store.Dir())
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(anew)
	}
	a.Println(a.Say("clips.replaced", a.clipLine(anew), a.clipLine(old)))
	return nil
}

// restoreClip has a clip air again that another has replaced.
func (a *app) restoreClip(ctx context.Context, what string) (err error) {
	store, err := a.openLibrary(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	clips, err := store.Clips(ctx, "")
	if err != nil {
		return err
	}
	lineage, err := store.Lineage(ctx)
	if err != nil {
		return err
	}
	replaced := slices.DeleteFunc(slices.Clone(clips), func(c playlist.Clip) bool { return lineage[c.ID] == "" })
	if len(called(what, replaced)) == 0 {
		clip, err := a.clipCalled(ctx, what, clips, store)
		if err == nil {
			err = say.M("clips.not_replaced", a.clipLine(clip))
		}
		return cli.Refuse(err)
	}
	clip, err := a.clipCalled(ctx, what, replaced, store)
	if err != nil {
		return cli.Refuse(err)
	}
	if err := store.ReplaceClip(ctx, clip.ID, ""); err != nil {
		return err
	}
	a.askReload(ctx, store.Dir())
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(clip)
	}
	a.Println(a.Say("clips.restored", a.clipLine(clip)))
	return nil
}
