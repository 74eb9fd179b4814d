package main

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
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/data/course"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// demoCmd shows the whole controller at work with nothing at hand: the sample
// course, a config whose slots fall due within seconds, and recordings where
// there is no sound card.
func (a *app) demoCmd() *cobra.Command {
	o := runOptions{reachAfter: 3}
	dir := ""
	c := a.JSONFlag(&cobra.Command{
		Use:   "demo",
		Short: a.Say("run.demo_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), dir, o) },
	})
	c.Flags().StringVar(&dir, "dir", "build/demo", a.Say("run.flag_dir"))
	c.Flags().DurationVar(&o.length, "for", 0, a.Say("run.flag_for"))
	return c
}

func (a *app) demo(ctx context.Context, dir string, o runOptions) error {
	a.Stream = true
	a.config = filepath.Join(dir, "dalaba.toml")
	if err := a.anew(ctx, dir); err != nil {
		return err
	}
	if err := a.course(ctx, filepath.Join(dir, "data")); err != nil {
		return err
	}
	text, err := a.demoConfig(dir, time.Now())
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(a.config, text, 0o644); err != nil {
		return err
	}
	return a.run(ctx, o)
}

// demoMark begins every config that a demo has made.
const demoMark = `# Made anew by each "dalaba demo".`

// demoTapes are the recordings of a demo.
var demoTapes = []string{"east.wav", "west.wav", "vehicle.wav"}

// anew leaves of an earlier demo in the folder nothing but the clips: what it
// would have aired since, had it run on, is nobody's concern. A folder that
// holds anything else by a demo's names is not touched.
func (a *app) anew(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	home := filepath.Join(dir, "data")
	text, err := os.ReadFile(a.config)
	ours := err == nil && bytes.HasPrefix(text, []byte(demoMark))
	_, found := os.Lstat(home)
	if err == nil && !ours || !ours && found == nil {
		return cli.Refuse(say.M("run.demo_not_ours", dir))
	}
	if found != nil {
		return renameio.WriteFile(a.config, []byte(demoMark+"\n"), 0o644)
	}
	held, err := data.Lock(home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	fresh := filepath.Join(dir, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := a.carryCourse(ctx, home, fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	for _, tape := range demoTapes {
		if err := os.Remove(filepath.Join(dir, tape)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(fresh, home)
}

// carryCourse takes the lessons of one store into another. Those that cannot
// be read any more are spoken again.
func (a *app) carryCourse(ctx context.Context, from, to string) (err error) {
	store, err := data.Open(ctx, to, data.Options{Log: slog.New(a.console()), Boot: clock.Boot()})
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

// course sees to it that the sample course is in the store.
func (a *app) course(ctx context.Context, dir string) error {
	lessons, err := course.Lessons()
	if err != nil {
		return err
	}
	store, err := data.Open(ctx, dir, data.Options{Log: slog.New(a.console()), Boot: clock.Boot()})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	maker := site.NewIngester(config.Ingest{}, dir)
	told := false
	for i, l := range lessons {
		src := lessonSource(maker, l)
		if _, ok, err := store.SourceKnown(ctx, src); err != nil {
			return err
		} else if ok {
			continue
		}
		if !told {
			a.note(a.Say("run.demo_course", len(lessons)))
			told = true
		}
		if cli.IsTerminal(a.Out) {
			fmt.Fprintf(a.Out, "\r\x1b[K  %s %d/%d %s", gauge(24, time.Duration(i), time.Duration(len(lessons))), i+1, len(lessons), l.Title)
		}
		if err := addLesson(ctx, store, maker, l, src); err != nil {
			return say.M("run.demo_failed", l.Issue, err)
		}
	}
	if told && cli.IsTerminal(a.Out) {
		fmt.Fprint(a.Out, "\r\x1b[K")
	}
	a.note(a.Say("run.demo_ready", len(lessons)))
	return nil
}

// demoConfig is a config of three outputs whose slots fall due a few seconds
// from now and then each minute.
func (a *app) demoConfig(dir string, now time.Time) ([]byte, error) {
	first := "auto"
	if !site.HasCard() {
		abs, err := filepath.Abs(filepath.Join(dir, "*.wav"))
		if err != nil {
			return nil, err
		}
		a.note(a.Say("run.demo_no_card", abs))
		first = "wav:" + demoTapes[0]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, demoMark+` "dalaba sample" prints a config to start from.
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
	}{{"村东大喇叭", first, 420}, {"村西音柱", "wav:" + demoTapes[1], 260}, {"移动广播车", "wav:" + demoTapes[2], 90}} {
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
