package site

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"dalaba/controller/clock"
	"dalaba/controller/files"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Library tells the config reader which clips there are. It takes files that a
// playlist names into the store if Keep is set, else it only looks at them.
type Library struct {
	Ctx   context.Context
	Store *data.Store // nil if there is none yet
	Keep  bool

	Found map[playlist.ClipID]playlist.Clip // gets the clips of the files that were looked at; nil: they are not noted

	// Mixers refuses a level that a card cannot be told. It is set at the desk, by
	// check and reload, where a person reads why. The daemon itself never refuses
	// it: a pole that starts after a power cut, or takes up a clip, must sound, an
	// emergency above all. There the level is set in software, and the log says
	// so.
	Mixers bool
}

// NoScale returns the name of the mixer control of a card that has no scale in
// dB; empty if it has one.
func (l *Library) NoScale(device string) string {
	if !l.Mixers || !OnCard(device) {
		return ""
	}
	look, err := devices.Inspect(Card(l.Ctx, l.Store, playlist.Output{Device: device}).Device, false)
	if err != nil || look.Level == nil || look.Level.Scale {
		return ""
	}
	return look.Level.Name
}

// CardByNumber returns the device of a card that has a number at present.
func (l *Library) CardByNumber(number string) string {
	if !l.Mixers {
		return ""
	}
	all, err := devices.List()
	for _, c := range all.Cards {
		if err == nil && strconv.Itoa(c.Index) == number {
			return "plughw:CARD=" + c.ID
		}
	}
	return ""
}

// Stocked reports whether there is a store.
func (l *Library) Stocked() bool { return l.Store != nil }

// Now is the present, for what lies in the past.
func (l *Library) Now() time.Time { return clock.Wall()() }

// Clip returns a clip of the store.
func (l *Library) Clip(id playlist.ClipID) (playlist.Clip, bool) {
	if l.Store == nil {
		return playlist.Clip{}, false
	}
	c, _, err := l.Store.Clip(l.Ctx, id)
	return c, err == nil
}

// Series returns the clips of a series.
func (l *Library) Series(name string) []playlist.Clip {
	if l.Store == nil {
		return nil
	}
	clips, err := l.Store.Clips(l.Ctx, name)
	if err != nil {
		return nil
	}
	return clips
}

// Glob returns the clips in the files that match a pattern, by path.
func (l *Library) Glob(pattern string) ([]playlist.Clip, error) {
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

// file returns the clip in a file.
func (l *Library) file(path string) (c playlist.Clip, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return c, err
	}
	f, err := files.Open(path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	src := playlist.ClipSource{Path: path, Size: info.Size(), MTime: info.ModTime(), Recipe: "as is"}
	if l.Store != nil {
		if id, ok, err := l.Store.SourceKnown(l.Ctx, src); err == nil && ok {
			c, _, err := l.Store.Clip(l.Ctx, id)
			return c, err
		}
	}
	scan, err := player.Scan(f)
	if err != nil {
		return c, err
	}
	name := filepath.Base(path)
	c = playlist.Clip{ID: scan.ID, Title: name[:len(name)-len(filepath.Ext(name))], Frames: scan.Frames, Size: scan.Size}
	if !l.Keep {
		if l.Found != nil {
			l.Found[c.ID] = c
		}
		return c, nil
	}
	if known, _, err := l.Store.Clip(l.Ctx, c.ID); err == nil {
		return known, l.Store.NoteSource(l.Ctx, src, c.ID)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return c, err
	}
	if err := l.Store.AddClip(l.Ctx, c, f); err != nil {
		return c, err
	}
	return c, l.Store.NoteSource(l.Ctx, src, c.ID)
}
