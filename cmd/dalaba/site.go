package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// site is a config with the store it names.
type site struct {
	*config.Config
	store *data.Store // nil where there is none yet
}

func (s *site) close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// look reads the config and opens its store to look only: what the daemon is
// doing goes on undisturbed, and what does not exist is not made. Problems of
// the config end the verb.
func (a *app) look(ctx context.Context) (*site, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	s := &site{}
	if s.store, err = openToLook(ctx, config.DataDir(a.config, text)); err != nil {
		return nil, err
	}
	cfg, problems := config.Read(a.config, text, &library{ctx: ctx, store: s.store})
	if config.Refused(problems) {
		a.tell(problems)
		// A daemon goes on by the last good one: so do those who look at it.
		if cfg = a.lastGood(ctx, s.store, config.DataDir(a.config, text)); cfg == nil {
			return nil, cli.Refuse(errors.Join(cli.ErrTold, s.close()))
		}
		fmt.Fprintln(a.Err, a.Say("cli.last_good"))
	}
	if s.Config, err = withCounty(ctx, s.store, cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if a.Lang == "" && a.Language() == say.Chinese {
		a.Lang = string(a.Language(cfg.Site.Language))
	}
	return s, nil
}

// openToLook opens the store in a folder to look only; nil where there is none,
// or no folder in which one could be.
func openToLook(ctx context.Context, dir string) (*data.Store, error) {
	if dir == "" || !config.CanBeFolder(dir) {
		return nil, nil // the config's reader tells of that
	}
	store, err := data.OpenReadOnly(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store, err
}

// lastGood is the config that was last in force, where it is kept.
func (a *app) lastGood(ctx context.Context, store *data.Store, dir string) *config.Config {
	text, err := os.ReadFile(lastGood(dir))
	if dir == "" || err != nil {
		return nil
	}
	cfg, _ := config.Read(a.config, text, &library{ctx: ctx, store: store})
	return cfg
}

// lookStore is look for a verb that is of no use without a store.
func (a *app) lookStore(ctx context.Context) (*site, error) {
	s, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	if s.store == nil {
		return nil, say.M("cli.no_store", s.Site.DataDir)
	}
	return s, nil
}

func (a *app) readConfig() ([]byte, error) {
	f, err := openRegular(a.config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Refuse(say.M("cli.no_config", a.config))
	}
	var text []byte
	if err == nil {
		// What lies beyond that is refused for its size.
		text, err = io.ReadAll(io.LimitReader(f, config.MaxSize+1))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, cli.Refuse(say.M("cli.config_unreadable", a.config, err))
	}
	return text, nil
}

// openRegular opens a regular file to read. Anything else that may go by the
// name, such as a pipe that nobody writes, is refused without a wait.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV): // a socket, a device that is none
		return nil, say.M("cli.not_a_file")
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = say.M("cli.not_a_file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// tell writes problems of the config, one a line.
func (a *app) tell(problems []config.Problem) {
	for _, line := range a.lines(problems) {
		a.Tell(line)
	}
}

// lines are problems of the config in the user's language.
func (a *app) lines(problems []config.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.In(a.Language()))
	}
	return all
}

// dataDir is the data folder that a config names. Where it names none, that
// and all else that is wrong with it is told.
func (a *app) dataDir(ctx context.Context, text []byte) (string, error) {
	dir := config.DataDir(a.config, text)
	if dir != "" && config.CanBeFolder(dir) {
		return dir, nil
	}
	_, problems := config.Read(a.config, text, &library{ctx: ctx})
	if dir != "" { // without a store, the rest would speak of clips that may be there
		problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return p.Key != "site.data_dir" })
	}
	a.tell(problems)
	return "", cli.Refuse(cli.ErrTold)
}

// library answers the config reader out of the store. Files that a playlist
// names are taken into the store where keep is set, else only looked at.
type library struct {
	ctx   context.Context
	store *data.Store
	keep  bool

	// A level that a card cannot be told is refused at the desk, by check and
	// reload, where somebody reads why. The daemon itself never refuses it: a
	// pole that starts after a power cut, or takes up a clip, must sound, an
	// emergency above all. There the level is set in software, and said to be.
	mixers bool
}

// NoScale names the mixer's control of a card that has no scale in dB.
func (l *library) NoScale(device string) string {
	if !l.mixers || !onCard(device) {
		return ""
	}
	look, err := devices.Inspect(autoCard(l.ctx, l.store, playlist.Output{Device: device}).Device, false)
	if err != nil || look.Level == nil || look.Level.Scale {
		return ""
	}
	return look.Level.Name
}

// Now is the present, for what lies in the past.
func (l *library) Now() time.Time { return wallClock()() }

func (l *library) Clip(id playlist.ClipID) (playlist.Clip, bool) {
	if l.store == nil {
		return playlist.Clip{}, false
	}
	c, _, err := l.store.Clip(l.ctx, id)
	return c, err == nil
}

func (l *library) Series(name string) []playlist.Clip {
	if l.store == nil {
		return nil
	}
	clips, err := l.store.Clips(l.ctx, name)
	if err != nil {
		return nil
	}
	return clips
}

func (l *library) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var (
		clips  []playlist.Clip
		faults []error
	)
	for _, path := range paths {
		c, err := l.file(path)
		if err != nil {
			faults = append(faults, say.M("cli.bad_clip", path, err))
			continue
		}
		clips = append(clips, c)
	}
	return clips, errors.Join(faults...)
}

// file is the clip that a file beside the config holds.
func (l *library) file(path string) (c playlist.Clip, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return c, err
	}
	f, err := openRegular(path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	src := playlist.ClipSource{Path: path, Size: info.Size(), MTime: info.ModTime(), Recipe: "as is"}
	if l.store != nil {
		if id, ok, err := l.store.SourceKnown(l.ctx, src); err == nil && ok {
			c, _, err := l.store.Clip(l.ctx, id)
			return c, err
		}
	}
	scan, err := player.Scan(f)
	if err != nil {
		return c, err
	}
	name := filepath.Base(path)
	c = playlist.Clip{ID: scan.ID, Title: name[:len(name)-len(filepath.Ext(name))], Frames: scan.Frames, Size: scan.Size}
	if !l.keep {
		return c, nil
	}
	if known, _, err := l.store.Clip(l.ctx, c.ID); err == nil {
		return known, l.store.NoteSource(l.ctx, src, c.ID)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return c, err
	}
	if err := l.store.AddClip(l.ctx, c, f); err != nil {
		return c, err
	}
	return c, l.store.NoteSource(l.ctx, src, c.ID)
}
