package site

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/controller/clock"
	"dalaba/controller/files"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// Library tells the config reader which clips there are. It takes files that a
// playlist names into the store if Keep is set, else it only looks at them.
type Library struct {
	Ctx   context.Context
	Store *data.Store // nil if there is none yet
	Keep  bool

	Without playlist.ClipID // is treated as if it were not there; empty: none

	Found map[playlist.ClipID]playlist.Clip // gets the clips of the files that were looked at; nil: they are not noted

	// AtDesk refuses a level that a card cannot be told, and a list of holidays or a
	// sender's certificate that cannot be read. It is set by check and reload, where a person reads why, and at SIGHUP. The
	// daemon itself never refuses them: a pole that starts after a power cut, or takes
	// up a clip, must sound, an emergency above all. There the level is set in
	// software, and the log says so; and the calendar that was in force last stands in.
	AtDesk bool
}

// NoScale returns the name of the mixer control of a card that has no scale in
// dB; empty if it has one.
func (l *Library) NoScale(device string) string {
	if !l.AtDesk || !OnCard(device) {
		return ""
	}
	look, err := devices.Inspect(Card(l.Ctx, l.Store, playlist.Output{Device: device}).Device, false)
	if err != nil || look.Level == nil || look.Level.Scale {
		return ""
	}
	return look.Level.Name
}

// Calendar returns the text of a list of holidays.
func (l *Library) Calendar(file string) ([]byte, error) { return files.Read(file, config.MaxSize) }

// LastCalendar returns the calendar that was in force last; at the desk none stands in.
func (l *Library) LastCalendar(dataDir string) (*playlist.Calendar, bool) {
	return LastCalendar(dataDir), !l.AtDesk
}

// HasFile reports whether there is such a file.
func (l *Library) HasFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// Unread returns what keeps the daemon of a data folder from using a file. A program of a
// user who does not own the folder cannot tell.
func (l *Library) Unread(dataDir, key, path string) (what, remedy say.Message, ok bool) {
	var u data.Unread
	switch {
	case !l.AtDesk || !data.Mine(dataDir):
		return what, remedy, false
	case errors.As(data.CanReadNamed(path, data.Me()), &u):
		return u.What, u.Do, true
	}
	if err := CheckSender(key, path); err != nil {
		return say.M("alerts.bad_sender", path, err), say.M("alerts.bad_sender_do"), true
	}
	return what, remedy, false
}

// HasProgram reports whether there is a program of that name or path.
func (l *Library) HasProgram(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// CardByNumber returns the device of a card that has a number at present.
func (l *Library) CardByNumber(number string) string {
	if !l.AtDesk {
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
	return c, err == nil && id != l.Without
}

// Beginning returns the clips whose IDs begin so.
func (l *Library) Beginning(digits string) []playlist.Clip {
	if l.Store == nil {
		return nil
	}
	clips, err := l.Store.Clips(l.Ctx, "")
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(clips, func(c playlist.Clip) bool {
		return c.ID == l.Without || !strings.HasPrefix(string(c.ID), digits)
	})
}

// Series returns the clips of a series, without those that others replace.
func (l *Library) Series(name string) []playlist.Clip {
	if l.Store == nil {
		return nil
	}
	clips, err := l.Store.Clips(l.Ctx, name)
	if err != nil {
		return nil
	}
	lineage, err := l.Store.Lineage(l.Ctx)
	if err != nil {
		return nil
	}
	clips = slices.DeleteFunc(clips, func(c playlist.Clip) bool { return c.ID == l.Without })
	return lineage.Current(clips)
}

// Glob returns the clips in the files that match a pattern, by path in natural
// order.
func (l *Library) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := ingest.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var (
		clips  []playlist.Clip
		faults []error
	)
	for _, path := range paths {
		c, err := l.file(path)
		if err != nil {
			faults = append(faults, say.M("cli.bad_clip", playlist.Legible(path), err))
			continue
		}
		clips = append(clips, c)
	}
	return clips, errors.Join(faults...)
}

// asIs is the recipe of clips that are the bytes of a file that the config names.
const asIs = "as is"

// file returns the clip in a file, or that was made of it by an import.
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
	src := playlist.ClipSource{Path: path, Size: info.Size(), MTime: info.ModTime()}
	if l.Store != nil { // it may have been imported, and so converted
		if id, ok, err := l.Store.SourceKnown(l.Ctx, src); err == nil && ok && id != l.Without {
			c, _, err := l.Store.Clip(l.Ctx, id)
			return c, err
		}
	}
	src.Recipe = asIs
	scan, err := player.Scan(f)
	if err != nil {
		return c, err
	}
	named := ingest.FileNamed(path)
	c = playlist.Clip{ID: scan.ID, Title: named.Title, Series: named.Series, Issue: named.Issue, Frames: scan.Frames, Size: scan.Size}
	if !l.Keep {
		if l.Found != nil {
			l.Found[c.ID] = c
		}
		return c, nil
	}
	before, err := l.Store.SourceClip(l.Ctx, path)
	if err != nil {
		return c, err
	}
	if known, _, err := l.Store.Clip(l.Ctx, c.ID); err == nil {
		c = known
	} else {
		if _, err := f.Seek(0, 0); err != nil {
			return c, err
		}
		if err := l.Store.AddClip(l.Ctx, c, f); err != nil {
			return c, err
		}
	}
	if before != "" && before != c.ID { // the file has changed
		if err := l.Store.ReplaceClip(l.Ctx, before, c.ID); err != nil {
			return c, err
		}
	}
	return c, l.Store.NoteSource(l.Ctx, src, c.ID)
}
