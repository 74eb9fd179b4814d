package controller

import (
	"context"
	"path/filepath"
	"reflect"

	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/controller/uplink"
	"dalaba/ingest"
	"dalaba/playlist/config"
)

// follower is a part of the daemon that depends on a few keys of the config: it
// ends and begins anew when a reload has changed them. If it has nothing to do by
// them it returns nil at once.
type follower struct {
	keys    func(*config.Config) any
	run     func(context.Context, *config.Config) error
	changed chan struct{} // another config is in force
}

// followers returns the parts that follow the config, and has them told of changes.
// [lasting] lists the keys that no part follows.
func (c *Controller) followers() []follower {
	all := []follower{
		{keys: func(cfg *config.Config) any { return []any{cfg.Inbox, cfg.Ingest, cfg.Site.Language} }, run: c.inbox},
		{keys: func(cfg *config.Config) any { return []any{cfg.Alert.Drop, cfg.Site.Language} }, run: c.dropFolder},
		{keys: func(cfg *config.Config) any { return cfg.Mic.Trigger }, run: c.mic.trigger},
		{keys: func(cfg *config.Config) any { return cfg.Cache.Serve }, run: c.serveClips},
	}
	for i := range all {
		all[i].changed = make(chan struct{}, 1)
		c.programme.listeners = append(c.programme.listeners, all[i].changed)
	}
	return all
}

// follow runs a part by the config in force until ctx ends.
func (p *programme) follow(ctx context.Context, f follower) error {
	for ctx.Err() == nil {
		cfg := p.inForce()
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- f.run(running, cfg) }()
		for same := true; same && ctx.Err() == nil; {
			select {
			case <-f.changed:
				same = reflect.DeepEqual(f.keys(cfg), f.keys(p.inForce()))
			case <-ctx.Done():
			}
		}
		stop()
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// inbox takes in what is put into the drop folder for clips.
func (c *Controller) inbox(ctx context.Context, cfg *config.Config) error {
	if cfg.Inbox == "" {
		return nil
	}
	maker := site.NewIngester(cfg.Ingest, "")
	told := map[string]bool{} // of these series
	box := &ingest.Inbox{
		Dir: cfg.Inbox, Language: c.Language(cfg.Site.Language), Log: c.log, Collect: maker.CollectIn,
		Attempts: c.attempts("inbox", false),
		Take: func(ctx context.Context, item ingest.Item) (ingest.Outcome, error) {
			out, err := maker.Take(ctx, item, c.store, nil)
			if err == nil {
				nudge(c.programme.clipArrived)
				if s := out.Clip.Series; !told[s] && !c.programme.inForce().Lists(s) {
					c.log.Warn("series is in no playlist, its clips do not air", "series", s)
					told[s] = true
				}
			}
			return out, err
		},
	}
	return box.Run(ctx)
}

// attempts remembers which files of a folder are being read.
func (c *Controller) attempts(folder string, forgive bool) *ingest.Attempts {
	a := &ingest.Attempts{Dir: filepath.Join(c.Config().Site.DataDir, "reading-"+folder), Boot: clock.Boot(), Forgive: forgive}
	if err := a.Tidy(); err != nil {
		c.log.Warn("records of files being read cannot be removed", "path", a.Dir, "err", err)
	}
	return a
}

// serveClips hands clips out to neighbours.
func (c *Controller) serveClips(ctx context.Context, cfg *config.Config) error {
	if addr := cfg.Cache.Serve; addr != "" {
		uplink.ServeClips(ctx, addr, c.store, c.log)
	}
	return nil
}
