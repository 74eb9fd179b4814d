package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"dalaba/controller/control"
	"dalaba/data"
	"dalaba/playlist/say"
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
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, say.M("cli.no_store", dir)
	}
	return control.Ask(ctx, dir, a.Language())
}

// askReload has the daemon, if one runs, read its config again, or tells the user to
// do so.
func (a *app) askReload(ctx context.Context, dir string) {
	if _, running := data.Running(dir); !running {
		return
	}
	daemon, err := control.Ask(ctx, dir, a.Language())
	if err == nil {
		_, err = daemon.Reload(ctx, control.Reload{Config: a.config, Automatic: true})
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
