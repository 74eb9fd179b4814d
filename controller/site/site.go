// Package site is what a config means on this machine: the config with the store
// that it names, the clips that its playlists mean, and the county's programme
// beside its own. The daemon and the verbs that look read it in the same way.
package site

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalaba/controller/files"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// Site is a config with the store that it names.
type Site struct {
	*config.Config             // with the county's programme
	Store          *data.Store // nil if there is none yet

	found map[playlist.ClipID]playlist.Clip // in files that the config names
}

// Close closes the store.
func (s *Site) Close() error {
	if s.Store == nil {
		return nil
	}
	return s.Store.Close()
}

// Look reads a config file's text and opens its store to look only: it disturbs no
// daemon and makes nothing. If the text is refused, the site goes by the last good
// config, as the daemon does, and fellBack is set; if there is none, the site is
// nil. Problems come with either. The error tells of a store that cannot be read.
func Look(ctx context.Context, file string, text []byte) (s *Site, problems []config.Problem, fellBack bool, err error) {
	s = &Site{}
	dir := config.DataDir(file, text)
	if s.Store, err = OpenToLook(ctx, dir); err != nil {
		return nil, nil, false, err
	}
	s.found = map[playlist.ClipID]playlist.Clip{}
	lib := &Library{Ctx: ctx, Store: s.Store, Found: s.found}
	cfg, problems := config.Read(file, text, lib)
	if config.Refused(problems) {
		fellBack = true
		if cfg = readLastGood(file, dir, lib); cfg == nil {
			return nil, problems, false, s.Close()
		}
	}
	if s.Config, err = uplink.WithCounty(ctx, s.Store, cfg); err != nil {
		return nil, problems, fellBack, errors.Join(err, s.Close())
	}
	return s, problems, fellBack, nil
}

// LookWithout is [Look] for what does without the store: the site is the config alone, or
// the last good one if this user may read that, and nothing is said of clips that it lacks.
func LookWithout(ctx context.Context, file string, text []byte) (s *Site, problems []config.Problem, fellBack bool) {
	lib := Trusting{&Library{Ctx: ctx}}
	cfg, problems := config.Read(file, text, lib)
	if config.Refused(problems) {
		fellBack = true
		if cfg = readLastGood(file, config.DataDir(file, text), lib); cfg == nil {
			return nil, problems, false
		}
	}
	return &Site{Config: cfg}, problems, fellBack
}

// Trusting is a library of which the store cannot be read: it has every clip that a
// config names.
type Trusting struct{ *Library }

// Clip returns a clip of which only the ID is known.
func (Trusting) Clip(id playlist.ClipID) (playlist.Clip, bool) { return playlist.Clip{ID: id}, true }

// Series returns one clip, of which nothing is known.
func (Trusting) Series(string) []playlist.Clip { return []playlist.Clip{{}} }

// Glob returns one clip, of which nothing is known.
func (Trusting) Glob(string) ([]playlist.Clip, error) { return []playlist.Clip{{}}, nil }

func readLastGood(file, dir string, lib config.Library) *config.Config {
	text, err := os.ReadFile(LastGood(dir))
	if dir == "" || err != nil {
		return nil
	}
	cfg, _ := config.ReadGood(file, text, lib)
	return cfg
}

// OpenToLook opens the store in a folder to look only; nil if there is none, or no
// folder in which one could be.
func OpenToLook(ctx context.Context, dir string) (*data.Store, error) {
	if dir == "" || !config.CanBeFolder(dir) {
		return nil, nil // the config's reader tells of that
	}
	store, err := data.OpenReadOnly(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store, err
}

// LastGood is the file that holds the config in force, for a day on which the
// config itself is broken.
func LastGood(dir string) string { return filepath.Join(dir, "dalaba.toml.good") }

// CalendarInForce is the file that holds the calendar in force, for a day on which a
// list of holidays is broken or gone.
func CalendarInForce(dir string) string { return filepath.Join(dir, "calendar.good") }

// LastCalendar returns the calendar that was in force last, nil if there was none.
func LastCalendar(dir string) *playlist.Calendar {
	text, err := os.ReadFile(CalendarInForce(dir))
	var c playlist.Calendar
	if dir == "" || err != nil || json.Unmarshal(text, &c) != nil {
		return nil
	}
	return &c
}

// Edited reports whether a config file says other than the config in force. What cannot be
// read is taken to be as it was.
func Edited(file, dataDir string) bool {
	text, err1 := os.ReadFile(file)
	good, err2 := os.ReadFile(LastGood(dataDir))
	return err1 == nil && err2 == nil && !bytes.Equal(text, good)
}

// ReadConfig reads a config file. Errors say to the operator what is wrong with
// it.
func ReadConfig(file string) ([]byte, error) {
	f, err := files.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, say.M("cli.no_config", file)
	}
	var text []byte
	if err == nil {
		// The config's reader refuses a file with more.
		text, err = io.ReadAll(io.LimitReader(f, config.MaxSize+1))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, say.M("cli.config_unreadable", file, err)
	}
	return text, nil
}

// Outlook is what is known of clips and cursors, and how the controller stands, for a
// plan. live is what its daemon says of that; nil: none runs, and the plan is what
// happens if it starts now.
func (s *Site) Outlook(ctx context.Context, now time.Time, live *schedule.State) (o schedule.Outlook, err error) {
	o = schedule.Outlook{Clip: s.finder(ctx), Cursors: map[string]playlist.Cursor{}, State: schedule.Unknown(now)}
	if live != nil {
		o.State = *live
	}
	if s.Store == nil {
		return o, nil
	}
	for _, l := range s.Playlists {
		if c, ok := o.State.Cursors[l.Name]; ok {
			o.Cursors[l.Name] = c
		} else if o.Cursors[l.Name], err = s.Store.Cursor(ctx, l.Name); err != nil {
			return o, err
		}
	}
	if live != nil {
		return o, nil
	}
	back, err := s.Store.CursorsGivenBack(ctx)
	if err != nil {
		return o, err
	}
	maps.Copy(o.Cursors, back)
	mark, err := s.Store.Watermark(ctx)
	if err != nil {
		return o, err
	}
	o.State, err = schedule.StateOff(&s.Programme, mark, now, func(id playlist.AiringID) ([]asrun.Row, error) { return s.Store.Rows(ctx, id) })
	return o, err
}

// finder finds clips in the store, and those in files that the config names: the
// daemon takes these into the store as it starts.
func (s *Site) finder(ctx context.Context) func(playlist.ClipID) (playlist.Clip, bool) {
	type known struct {
		clip  playlist.Clip
		ready bool
	}
	clips := map[playlist.ClipID]known{}
	for id, c := range s.found {
		clips[id] = known{c, true}
	}
	return func(id playlist.ClipID) (playlist.Clip, bool) {
		k, ok := clips[id]
		if !ok && s.Store != nil {
			c, _, err := s.Store.Clip(ctx, id)
			k = known{c, err == nil}
			clips[id] = k
		}
		return k.clip, k.ready
	}
}

// Waits reports whether a county is to have the receipts. The store must be there.
func (s *Site) Waits(ctx context.Context) bool { return uplink.Wire{Store: s.Store}.Waits(ctx) }

// AlertBook returns the book of alerts as the store has it.
func (s *Site) AlertBook(ctx context.Context) (_ *emergency.Book, err error) {
	var kept emergency.Kept
	if s.Store != nil {
		kept, err = s.Store.KeptAlerts(ctx)
	}
	return emergency.NewBook(kept), err
}

// DataDir returns the data folder that a config names. If it names none that can be
// one, the folder is empty, and the problems say what is wrong with the config.
func DataDir(ctx context.Context, file string, text []byte) (string, []config.Problem) {
	dir := config.DataDir(file, text)
	if dir != "" && config.CanBeFolder(dir) {
		return dir, nil
	}
	_, problems := config.Read(file, text, &Library{Ctx: ctx})
	if dir != "" { // without a store, the rest would speak of clips that may be there
		problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return p.Key != "site.data_dir" })
	}
	return "", problems
}
