// Package demo makes a controller that shows itself at work with nothing at hand:
// the sample course, a config whose slots fall due within seconds, and recordings
// if there is no sound card.
package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/data/course"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// ErrNotOurs means that the folder holds something that no demo has made.
var ErrNotOurs = errors.New("not a demo's folder")

// Demo is a demo in a folder.
type Demo struct {
	Dir      string
	Log      *slog.Logger
	Note     func(say.Message)                // called with what the user should know
	Progress func(done, of int, title string) // called before each lesson is spoken, and at the end
}

// File is the config that Prepare writes.
func (d *Demo) File() string { return filepath.Join(d.Dir, "dalaba.toml") }

// DataDir is the data folder of a demo in a folder.
func DataDir(dir string) string { return filepath.Join(dir, "data") }

// Prepare makes the folder ready for a controller to run in. Of an earlier demo it
// keeps the lessons only.
func (d *Demo) Prepare(ctx context.Context, now func() time.Time) error {
	if err := d.clear(ctx); err != nil {
		return err
	}
	if err := d.course(ctx); err != nil {
		return err
	}
	text, err := d.config(now())
	if err != nil {
		return err
	}
	return renameio.WriteFile(d.File(), text, 0o644)
}

// mark begins every config that a demo has made.
const mark = `# Made anew by each "dalaba demo".`

// tapes are the recordings of a demo.
var tapes = []string{"east.wav", "west.wav", "vehicle.wav"}

// clear leaves of an earlier demo in the folder nothing but the clips: the airings
// that it would have had since then must not count as missed. A folder that holds
// anything else by a demo's names is not touched.
func (d *Demo) clear(ctx context.Context) (err error) {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return err
	}
	home := DataDir(d.Dir)
	text, err := os.ReadFile(d.File())
	ours := err == nil && bytes.HasPrefix(text, []byte(mark))
	_, found := os.Lstat(home)
	if err == nil && !ours || !ours && found == nil {
		return ErrNotOurs
	}
	if found != nil {
		return renameio.WriteFile(d.File(), []byte(mark+"\n"), 0o644)
	}
	held, err := data.Lock(home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	fresh := filepath.Join(d.Dir, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := d.carryCourse(ctx, home, fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	for _, tape := range tapes {
		if err := os.Remove(filepath.Join(d.Dir, tape)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(fresh, home)
}

// carryCourse takes the lessons of one store into another. Lessons that cannot be
// read any more are spoken again.
func (d *Demo) carryCourse(ctx context.Context, from, to string) (err error) {
	store, err := data.Open(ctx, to, data.Options{Log: d.Log, Boot: clock.Boot()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	old, err := data.OpenReadOnly(ctx, from)
	if err != nil {
		return ctx.Err() // no store, or one that is damaged
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	lessons, err := course.Lessons()
	if err != nil {
		return err
	}
	maker := site.NewIngester(config.Ingest{}, to)
	for _, l := range lessons {
		src := lessonSource(maker, l)
		id, ok, err := old.SourceKnown(ctx, src)
		if err != nil || !ok {
			continue
		}
		c, path, err := old.Clip(ctx, id)
		if err != nil {
			continue
		}
		err = keepLesson(ctx, store, c, path, src)
		if err != nil && !errors.Is(err, data.ErrWrongHash) {
			return err
		}
	}
	return nil
}

// lessonSource is a lesson as the store knows it again.
func lessonSource(maker *ingest.Ingester, l course.Lesson) playlist.ClipSource {
	return playlist.ClipSource{
		Path: fmt.Sprintf("course:%02d", l.Issue), SHA256: textHash(l.Text), Recipe: maker.Speech.Recipe(),
		Size: int64(len(l.Text)),
	}
}

// course puts the lessons of the sample course into the store that are not there.
func (d *Demo) course(ctx context.Context) error {
	lessons, err := course.Lessons()
	if err != nil {
		return err
	}
	home := DataDir(d.Dir)
	store, err := data.Open(ctx, home, data.Options{Log: d.Log, Boot: clock.Boot()})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	maker := site.NewIngester(config.Ingest{}, home)
	told := false
	for i, l := range lessons {
		src := lessonSource(maker, l)
		if _, ok, err := store.SourceKnown(ctx, src); err != nil {
			return err
		} else if ok {
			continue
		}
		if !told {
			d.Note(say.M("run.demo_course", len(lessons)))
			told = true
		}
		d.Progress(i, len(lessons), l.Title)
		if err := addLesson(ctx, store, maker, l, src); err != nil {
			return say.M("run.demo_failed", l.Issue, err)
		}
	}
	if told {
		d.Progress(len(lessons), len(lessons), "")
	}
	d.Note(say.M("run.demo_ready", len(lessons)))
	return nil
}

// config returns a config of three outputs whose slots fall due a few seconds from
// now and then each minute.
func (d *Demo) config(now time.Time) ([]byte, error) {
	first := "auto"
	if !site.HasCard() {
		abs, err := filepath.Abs(filepath.Join(d.Dir, "*.wav"))
		if err != nil {
			return nil, err
		}
		d.Note(say.M("run.demo_no_card", abs))
		first = "wav:" + tapes[0]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, mark+` "dalaba sample" prints a config to start from.
[site]
name = "大坝村（演示）"
area = "320924100201"
timezone = "Asia/Shanghai"
data_dir = "data"
clock = "battery"

[[playlist]]
name = "健康微课堂"
series = "健康微课堂"
order = "sequence"
`)
	for i, o := range []struct {
		name, device string
		residents    int
	}{{"村东大喇叭", first, 420}, {"村西音柱", "wav:" + tapes[1], 260}, {"移动广播车", "wav:" + tapes[2], 90}} {
		due := now.Add(time.Duration(5+3*i) * time.Second)
		fmt.Fprintf(&b, `
[[output]]
name = "%s"
device = "%s"
residents = %d

[[slot]]
name = "%s-每分钟"
playlist = "健康微课堂"
cron = "%d * * * * *"
window = "15s"
outputs = ["%s"]
`, o.name, o.device, o.residents, o.name, due.Second(), o.name)
	}
	return b.Bytes(), nil
}

func addLesson(ctx context.Context, store *data.Store, maker *ingest.Ingester, l course.Lesson, src playlist.ClipSource) error {
	res, err := maker.Text(ctx, l.Text, ingest.Meta{
		Title: l.Title, Series: l.Series, Issue: l.Issue, Language: l.Language, Text: l.Text,
	}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(res.Path) }()
	return keepLesson(ctx, store, res.Clip, res.Path, src)
}

func keepLesson(ctx context.Context, store *data.Store, c playlist.Clip, path string, src playlist.ClipSource) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := store.AddClip(ctx, c, f); err != nil {
		return err
	}
	return store.NoteSource(ctx, src, c.ID)
}

// textHash names a text as the source of a clip.
func textHash(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}
