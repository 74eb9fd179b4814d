package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// look reads the config and opens its store to look only. Problems of the config
// are shown; they end the verb unless the daemon has a last good one.
func (a *app) look(ctx context.Context) (*site.Site, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	s, problems, fellBack, err := site.Look(ctx, a.config.Path, text)
	if err != nil {
		return nil, err
	}
	if err := a.tellRefused(s, problems, fellBack); err != nil {
		return nil, err
	}
	if _, running := data.Running(s.Site.DataDir); !running {
		if st, ok := control.ByConfig(ctx, a.config.Path, a.Language()); ok {
			a.Remark(control.DirChanged(st, s.Site.DataDir).In(a.Language()))
		}
	}
	return s, nil
}

// tellRefused shows the problems of a config that is refused. They end the verb unless
// there is a last good one.
func (a *app) tellRefused(s *site.Site, problems []config.Problem, fellBack bool) error {
	if s == nil || fellBack {
		a.tell(problems)
	}
	if s == nil {
		return cli.Refuse(cli.ErrTold)
	}
	if fellBack {
		a.Remark(a.Say("cli.last_good"))
	}
	return nil
}

// lookToAsk is look for a verb that then asks the daemon. A user who may ask it, such as
// one of its group, need not be able to read its store: then the site has none.
func (a *app) lookToAsk(ctx context.Context) (*site.Site, error) {
	s, err := a.look(ctx)
	if !errors.Is(err, fs.ErrPermission) {
		return s, err
	}
	if _, aerr := a.ask(ctx); aerr != nil {
		return nil, err
	}
	s, problems, fellBack := site.LookWithout(ctx, a.config.Path, a.text)
	return s, a.tellRefused(s, problems, fellBack)
}

// daemonRuns reports whether a daemon holds the data folder. If this user may not look
// there, lookToAsk has asked it.
func daemonRuns(dir string) bool {
	_, running := data.Running(dir)
	return running || data.Hidden(dir)
}

// lookStore is look for a verb that is of no use without a store.
func (a *app) lookStore(ctx context.Context) (*site.Site, error) {
	s, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	if s.Store == nil {
		return nil, a.noStore(s.Site.DataDir)
	}
	return s, nil
}

// errNoStore says that there is no store yet.
var errNoStore = errors.New("no store")

// noStore is an error for a data folder without a store: why there cannot be one, or
// how to get one. That this user cannot make it says nothing of the daemon's.
func (a *app) noStore(dir string) error {
	if data.Hidden(dir) {
		return noStore{say.M("store.permission", dir)}
	}
	if err := data.CheckFolder(dir, data.Me()); err != nil && !errors.Is(err, fs.ErrPermission) {
		return noStore{err}
	}
	return noStore{say.M("cli.no_store", dir)}
}

type noStore struct{ error }

func (noStore) Is(target error) bool { return target == errNoStore }
func (n noStore) Unwrap() error      { return n.error }

// readConfig returns the text of the config. From then on the program works as the owner
// of the data folder that it names: see [data.WorkAsOwner].
func (a *app) readConfig() ([]byte, error) {
	if a.text != nil { // the owner need not be able to read it
		return a.text, nil
	}
	text, err := a.configText()
	if err != nil {
		return nil, err
	}
	a.user = unixUser()
	dir := config.DataDir(a.config.Path, text)
	if a.daemon {
		control.GiveFolder(dir)
	}
	if err := a.workAsOwner(dir); err != nil {
		return nil, err
	}
	a.text = text
	return text, nil
}

func (a *app) workAsOwner(dir string) error {
	as, err := data.WorkAsOwner(dir, control.Group)
	if as.User != "" {
		a.owner, a.Owner = as, as.User
	}
	return err
}

// configText returns the text of the config. From then on the program speaks the language
// that it names, whatever else is wrong with it.
func (a *app) configText() ([]byte, error) {
	if why := a.config.Passed(); why != nil {
		a.Remark(say.In(a.Language(), why))
	}
	text, err := site.ReadConfig(a.config.Path)
	if err != nil {
		return nil, cli.Refuse(err)
	}
	a.Site = config.Language(text)
	return text, nil
}

// tell shows problems of the config, one a line.
func (a *app) tell(problems []config.Problem) {
	a.problems = append(a.problems, problems...)
	for _, p := range problems {
		a.Tell(p.In(a.Language()))
	}
}

// dataDir returns the data folder that a config names. If it names none, that and
// all else that is wrong with it is shown.
func (a *app) dataDir(ctx context.Context, text []byte) (string, error) {
	dir, problems := site.DataDir(ctx, a.config.Path, text)
	if dir != "" {
		return dir, nil
	}
	a.tell(problems)
	return "", cli.Refuse(cli.ErrTold)
}

// outlook is what a plan of the site needs: how its daemon stands, or, if none runs, what
// the store has. Why the daemon cannot be asked is shown. now is the instant for which
// that holds.
func (a *app) outlook(ctx context.Context, s *site.Site, now time.Time) (schedule.Outlook, time.Time, error) {
	state := a.state(ctx, s, now)
	if state != nil {
		now = state.At
	}
	o, err := s.Outlook(ctx, now, state)
	return o, now, err
}

// state asks the daemon how it stands; nil if none runs.
func (a *app) state(ctx context.Context, s *site.Site, now time.Time) *schedule.State {
	if _, running := data.Running(s.Site.DataDir); !running {
		return nil
	}
	daemon, err := control.Ask(ctx, s.Site.DataDir, a.Language())
	var state *schedule.State
	if err == nil {
		state, err = daemon.State(ctx)
	}
	if err != nil {
		a.Remark(say.In(a.Language(), err))
	}
	if state == nil {
		unknown := schedule.Unknown(now)
		return &unknown
	}
	return state
}
