package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/files"
	"dalaba/controller/hand"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// playCmd sounds a clip now, by hand.
func (a *app) playCmd() *cobra.Command {
	output := ""
	c := a.JSONFlag(&cobra.Command{
		Use:   a.Say("technician.play_use"),
		Short: a.Say("technician.play_short"),
		Long:  a.Say("technician.play_long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Refuse(say.M("technician.one_clip"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.play(c.Context(), args[0], output) },
	})
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		all, _ := a.completeClip(c, args, begun)
		return all, cobra.ShellCompDirectiveDefault // or a file
	}
	c.Flags().StringVarP(&output, "output", "o", "", a.Say("technician.flag_output"))
	return c
}

func (a *app) play(ctx context.Context, what, output string) (err error) {
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	out, err := a.oneOutput(s.Config, output)
	if err != nil {
		return err
	}
	clips, lineage, err := a.clipsToPlay(ctx, s)
	if err != nil {
		return err
	}
	var o hand.Order
	if isPath(what, clips) {
		if o.File, err = filepath.Abs(what); err != nil {
			return err
		}
		if _, err := files.Scan(o.File); err != nil {
			return cli.Refuse(say.M("technician.bad_file", what, err))
		}
		return a.sound(ctx, s, out, o, filepath.Base(what), "")
	}
	clip, err := a.clipCalled(ctx, what, clips, lineage)
	if err != nil {
		return cli.Refuse(err)
	}
	o.Clip = clip.ID
	return a.sound(ctx, s, out, o, a.billed(clip.ID, clip.Series, clip.Title, clip.Issue), clip.Title)
}

// lineage tells which clips were replaced by which.
type lineage interface {
	Lineage(ctx context.Context) (playlist.Lineage, error)
}

// clipsToPlay returns the clips of the store or, for a user who may not read that, as the
// daemon tells them.
func (a *app) clipsToPlay(ctx context.Context, s *site.Site) ([]playlist.Clip, lineage, error) {
	if s.Store != nil {
		clips, err := s.Store.Clips(ctx, "")
		return clips, s.Store, err
	}
	if !data.Hidden(s.Site.DataDir) {
		return nil, nil, nil
	}
	daemon, err := a.ask(ctx)
	if err != nil {
		return nil, nil, err
	}
	shelf, err := daemon.Clips(ctx)
	return shelf.Clips, shelf, err
}

// isPath reports whether what names a file rather than a clip of the library.
func isPath(what string, clips []playlist.Clip) bool {
	if strings.ContainsRune(what, filepath.Separator) || strings.EqualFold(filepath.Ext(what), ".mp3") {
		return true
	}
	if len(called(what, clips)) > 0 {
		return false
	}
	fi, err := os.Stat(what)
	return err == nil && !fi.IsDir()
}

var (
	hexDigits = regexp.MustCompile(`^[0-9a-fA-F]{6,64}$`)
	issue     = regexp.MustCompile(`^(?:第|#|(?i:issue)?\s*)\s*([0-9]{1,6})\s*期?$`)
)

// called are the clips that go by what: by ID or its beginning, else by issue,
// else by their whole title, else by a part of it.
func called(what string, clips []playlist.Clip) []playlist.Clip {
	what = strings.TrimSpace(what)
	if what == "" {
		return nil
	}
	number := 0
	if m := issue.FindStringSubmatch(what); m != nil {
		number, _ = strconv.Atoi(m[1])
	} else if named := playlist.ReadName(what); named.Title == what && named.Series == "" {
		number = named.Issue // 第三期
	}
	for _, is := range []func(playlist.Clip) bool{
		func(c playlist.Clip) bool {
			return hexDigits.MatchString(what) && strings.HasPrefix(string(c.ID), strings.ToLower(what))
		},
		func(c playlist.Clip) bool { return number > 0 && c.Issue == number },
		func(c playlist.Clip) bool { return strings.EqualFold(c.Title, what) },
		func(c playlist.Clip) bool { return strings.Contains(strings.ToLower(c.Title), strings.ToLower(what)) },
	} {
		var found []playlist.Clip
		for _, c := range clips {
			if is(c) {
				found = append(found, c)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

const clipsNamed = 8 // of those that go by one name

// clipCalled returns the one clip that goes by what. If another has replaced it, and goes
// by it too, that one is meant.
func (a *app) clipCalled(ctx context.Context, what string, clips []playlist.Clip, of lineage) (playlist.Clip, error) {
	found := called(what, clips)
	if len(found) > 1 {
		replaced, err := of.Lineage(ctx)
		if err != nil {
			return playlist.Clip{}, err
		}
		found = replaced.Current(found)
	}
	switch len(found) {
	case 0:
		return playlist.Clip{}, say.M("technician.no_clip", what, len(clips))
	case 1:
		return found[0], nil
	}
	var names []string
	for _, c := range found[:min(len(found), clipsNamed)] {
		names = append(names, "  "+c.ID.Short()+"  "+cli.Printable(a.billed(c.ID, c.Series, c.Title, c.Issue)))
	}
	return playlist.Clip{}, say.M("technician.many_clips", what, len(found), strings.Join(names, "\n"))
}
