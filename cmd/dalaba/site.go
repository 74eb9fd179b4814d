package main

import (
	"context"
	"fmt"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// look reads the config and opens its store to look only. Problems of the config
// are shown; they end the verb unless the daemon has a last good one.
func (a *app) look(ctx context.Context) (*site.Site, error) {
	text, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	s, problems, fellBack, err := site.Look(ctx, a.config, text)
	if err != nil {
		return nil, err
	}
	if s == nil || fellBack {
		a.tell(problems)
	}
	if s == nil {
		return nil, cli.Refuse(cli.ErrTold)
	}
	if fellBack {
		fmt.Fprintln(a.Err, a.Say("cli.last_good"))
	}
	a.speak(s.Site.Language)
	return s, nil
}

// speak takes up the language of the site, if neither a flag nor the environment
// asks for another.
func (a *app) speak(language string) {
	if a.Lang == "" && a.Language() == say.Chinese {
		a.Lang = string(a.Language(language))
	}
}

// lookStore is look for a verb that is of no use without a store.
func (a *app) lookStore(ctx context.Context) (*site.Site, error) {
	s, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	if s.Store == nil {
		return nil, say.M("cli.no_store", s.Site.DataDir)
	}
	return s, nil
}

func (a *app) readConfig() ([]byte, error) {
	text, err := site.ReadConfig(a.config)
	if err != nil {
		return nil, cli.Refuse(err)
	}
	return text, nil
}

// tell shows problems of the config, one a line.
func (a *app) tell(problems []config.Problem) {
	for _, p := range problems {
		a.Tell(p.In(a.Language()))
	}
}

// dataDir returns the data folder that a config names. If it names none, that and
// all else that is wrong with it is shown.
func (a *app) dataDir(ctx context.Context, text []byte) (string, error) {
	dir, problems := site.DataDir(ctx, a.config, text)
	if dir != "" {
		return dir, nil
	}
	a.tell(problems)
	return "", cli.Refuse(cli.ErrTold)
}
