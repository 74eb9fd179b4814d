package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"dalaba/controller/control"
	"dalaba/data"
	"dalaba/web"
)

// ask returns a client of the daemon that runs by the config.
func (a *app) ask(ctx context.Context) (*control.Client, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	dir, err := a.dataDir(ctx, text)
	if err != nil {
		return nil, err
	}
	daemon, err := control.Ask(ctx, dir, a.Language())
	if !errors.Is(err, control.ErrNotRunning) {
		return daemon, err
	}
	err = control.NotRunning(ctx, a.config.Path, dir, a.Language())
	if _, serr := os.Stat(dir); errors.Is(serr, fs.ErrNotExist) && errors.Is(err, control.ErrNotRunning) {
		return nil, a.noStore(dir)
	}
	return nil, err
}

// askReload has the daemon, if one runs, read its lists of clips again, or tells the
// user to do so.
func (a *app) askReload(ctx context.Context, dir string) {
	if _, running := data.Running(dir); !running {
		return
	}
	daemon, err := control.Ask(ctx, dir, a.Language())
	if err == nil {
		_, err = daemon.Reload(ctx, control.Reload{Config: a.config.Path, Automatic: true})
	}
	if f := new(web.Failed); errors.As(err, &f) {
		return // it was asked, and its log tells
	}
	if err != nil && !a.JSON {
		a.Println(a.Say("import.reload_by_hand"))
	}
}

// refused shows the problems with which the daemon has refused something, if the
// error has any.
func (a *app) refused(err error) (problems bool) {
	f := new(web.Failed)
	if !errors.As(err, &f) || len(f.Problems) == 0 {
		return false
	}
	for _, p := range f.Problems {
		a.Tell(p)
	}
	return true
}
