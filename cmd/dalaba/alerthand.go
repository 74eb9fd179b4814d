package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// soundFiles are the files that `dalaba alert` takes for a sound, by the ending of
// their names. Any other is a message.
var soundFiles = []string{
	".mp3", ".mp2", ".wav", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".mp4", ".aac", ".amr", ".wma", ".aif", ".aiff", ".3gp", ".webm",
}

// isText reports whether a file holds a text to be spoken.
func isText(path string) bool { return strings.EqualFold(filepath.Ext(path), ".txt") }

func isSound(path string) bool {
	return slices.Contains(soundFiles, strings.ToLower(filepath.Ext(path)))
}

// made reports whether the alert is made here: from a text, or from a file with one
// or with a sound.
func (o alertOptions) made() bool { return o.texted || isText(o.file) || isSound(o.file) }

// alertMake makes an alert here: it shows what will sound, asks, and has it sounded.
func (a *app) alertMake(ctx context.Context, o alertOptions) (err error) {
	if !o.check && !o.yes && (a.JSON || !a.CanAsk()) { // nothing is asked in JSON
		return cli.Refuse(say.M("cli.need_yes"))
	}
	s, err := a.lookToAsk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	h, frames, err := a.byHand(ctx, s, o)
	if err != nil {
		return err
	}
	raw, err := h.Message(&s.Programme, time.Now())
	if err != nil {
		return cli.Refuse(err)
	}
	m, err := controller.ReadAlert(ctx, raw, s.Alert)
	if err != nil {
		return cli.Refuse(err)
	}
	var retires []playlist.AlertID
	if h.Update != nil {
		retires = []playlist.AlertID{h.Update.ID}
	}
	v, err := a.wouldBe(ctx, s, m, controller.MadeRecord(m, retires))
	if err != nil {
		return err
	}
	if o.check || v.State == emergency.StateRefused {
		a.measure(ctx, s, &v, frames)
		return a.alertTell(s, v, o.check)
	}
	var daemon *control.Client
	if daemonRuns(s.Site.DataDir) {
		if daemon, err = control.Ask(ctx, s.Site.DataDir, a.Language()); err != nil {
			return err
		}
	}
	if !o.yes {
		a.measure(ctx, s, &v, frames)
		if !a.JSON {
			a.alertShow(s, v, true)
		}
		question := a.Say("alerts.ask")
		if daemon == nil {
			question = a.Say("alerts.ask_alone")
		}
		if err := a.Confirm(ctx, question, false); err != nil {
			return err
		}
	}
	tell := func(got control.Taken) error {
		now := s.AlertOf(got.Record)
		now.NotKept, now.Document, now.Verdict, now.Recordings, now.PassS = got.NotKept, v.Document, v.Verdict, v.Recordings, v.PassS
		if !o.yes && !a.JSON {
			a.alertVerdict(s, now, false)
			return nil
		}
		return a.alertTell(s, now, false)
	}
	if daemon == nil {
		return a.alertAlone(ctx, s, raw, retires, tell)
	}
	got, err := daemon.TakeMade(ctx, raw, retires)
	if err != nil {
		return err
	}
	return tell(got)
}

// alertAlone is the daemon until an alert has sounded, for when none runs.
func (a *app) alertAlone(ctx context.Context, s *site.Site, raw []byte, retires []playlist.AlertID, tell func(control.Taken) error) (err error) {
	a.Detach()
	text, err := a.readConfig()
	if err != nil {
		return err
	}
	console := slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelError})
	c, err := a.controller(ctx, text, controller.Options{Console: console})
	if errors.Is(err, controller.ErrRefused) {
		return cli.Refuse(cli.ErrTold)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	a.ReportScreens(slog.New(c.Store().LogHandler(console)))
	r, err := c.SoundMade(ctx, raw, retires, func(got control.Taken) { err = tell(got) })
	if err != nil || a.JSON {
		return err
	}
	if !r.State.Over() {
		a.Println(a.Say("alerts.alone_stopped"))
		return nil
	}
	a.Println(a.alertState(r, s.Site.Zone))
	return nil
}

// byHand makes the alert of the flags and the file. frames is the length of its
// sound, 0 if it has none.
func (a *app) byHand(ctx context.Context, s *site.Site, o alertOptions) (h controller.ByHand, frames int64, err error) {
	h = controller.ByHand{
		Text: o.text, Title: o.title, Level: emergency.Level(o.level), Drill: o.drill, Life: o.life, User: a.user,
	}
	if err := data.CanRead(o.file); o.file != "" && err != nil {
		return h, 0, cli.Refuse(err)
	}
	switch {
	case isText(o.file):
		if h.Text, err = controller.ReadHandText(o.file); err != nil {
			return h, 0, cli.Refuse(say.M("alerts.unreadable", o.file, err))
		}
	case o.file != "":
		var clip playlist.Clip
		h.SoundName = filepath.Base(o.file)
		if h.Sound, clip, err = controller.HandClip(ctx, s.Ingest, o.file); err != nil {
			return h, 0, cli.Refuse(say.M("alerts.unreadable", o.file, err))
		}
		frames = clip.Frames
	}
	if o.update == "" {
		return h, frames, nil
	}
	old, err := a.alertNamed(ctx, s, o.update)
	if err != nil {
		return h, 0, err
	}
	h.Update = &old
	return h, frames, nil
}

// alertRecords returns the alerts as the daemon knows them, which may be more than its
// store could take; of the store, if no daemon tells them.
func (a *app) alertRecords(ctx context.Context, s *site.Site) ([]emergency.Record, error) {
	daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
	if err == nil {
		all, derr := daemon.Alerts(ctx)
		if derr == nil || s.Store == nil {
			return all, derr
		}
	}
	switch {
	case s.Store != nil:
		return s.Store.Alerts(ctx)
	case !data.Hidden(s.Site.DataDir):
		return nil, a.noStore(s.Site.DataDir)
	}
	_, err = a.ask(ctx) // which tells what is in the way
	return nil, err
}

// alertNamed returns the alert in force that an operator means.
func (a *app) alertNamed(ctx context.Context, s *site.Site, which string) (r emergency.Record, err error) {
	records, err := a.alertRecords(ctx, s)
	if err != nil {
		return r, err
	}
	found := site.FindAlerts(records, which)
	switch {
	case len(found) == 0:
		return r, cli.Refuse(say.M("alerts.no_such", which))
	case len(found) > 1:
		var names []string
		for _, i := range found {
			names = append(names, a.Say("alerts.numbered", site.AlertNumber(records, i), records[i].Headline(), string(records[i].ID)))
		}
		return r, cli.Refuse(say.M("alerts.ambiguous", which, strings.Join(names, "\n  ")))
	}
	r = records[found[0]]
	if r.State.Over() {
		return r, cli.Refuse(say.M("alerts.over", which, say.Word("alerts.state_", string(r.State))))
	}
	return r, nil
}

// measure finds out how long one pass is, and whether it can be spoken. frames is
// the length of its own sound, 0 if it has none.
func (a *app) measure(ctx context.Context, s *site.Site, v *site.Alert, frames int64) {
	if frames == 0 {
		var err error
		if frames, err = controller.SpokenLength(ctx, s.Config, v.Alert); err != nil && ctx.Err() == nil {
			v.Warnings = append(v.Warnings, a.Say("alerts.unspoken", err))
		}
	}
	v.PassS = playlist.Length(frames).Seconds()
}

// unixUser is the user at the terminal, also behind sudo.
func unixUser() string {
	name := ""
	if os.Getuid() == 0 {
		name = os.Getenv("SUDO_USER")
	}
	if u, err := user.Current(); err == nil {
		name = cmp.Or(name, u.Username)
	}
	return name
}
