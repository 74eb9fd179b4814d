package main

import (
	"context"
	"reflect"

	"dalaba/playlist/config"
)

// part is something of the daemon that hangs on a few keys of the config: it
// ends and begins anew where a reload has changed them. One that has nothing to
// do by them returns nil.
type part struct {
	keys    func(*config.Config) any // what it is made of
	run     func(context.Context, *config.Config) error
	changed chan struct{}
}

// parts of a daemon; the log tells what does not hang on one, see lasting.
func (d *daemon) parts() []part {
	return []part{
		{func(c *config.Config) any { return []any{c.Inbox, c.Ingest, c.Site.Language} }, d.inbox, make(chan struct{}, 1)},
		{func(c *config.Config) any { return []any{c.Alert.Drop, c.Site.Language} }, d.alertDrop, make(chan struct{}, 1)},
		{func(c *config.Config) any { return c.Mic.Trigger }, d.micTrigger, make(chan struct{}, 1)},
		{func(c *config.Config) any { return c.Cache.Serve }, d.serveClips, make(chan struct{}, 1)},
	}
}

// follow runs a part by the config in force, whichever that is.
func (d *daemon) follow(ctx context.Context, p part) error {
	for ctx.Err() == nil {
		cfg := d.live.Load()
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- p.run(running, cfg) }()
		for same := true; same && ctx.Err() == nil; {
			select {
			case <-p.changed:
				same = reflect.DeepEqual(p.keys(cfg), p.keys(d.live.Load()))
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

// lasting are the keys that a new config has other than the daemon began with
// and that it goes on with until it ends, in their order.
func lasting(begun, now *config.Config) []string {
	var keys []string
	for _, k := range []struct {
		key      string
		was, now any
	}{
		{"site.language", begun.Site.Language, now.Site.Language},
		{"amplifier.relay", begun.Amplifier.Relay, now.Amplifier.Relay},
		{"amplifier.warm_up", begun.Amplifier.WarmUp, now.Amplifier.WarmUp},
		{"amplifier.hold", begun.Amplifier.Hold, now.Amplifier.Hold},
	} {
		if k.was != k.now {
			keys = append(keys, k.key)
		}
	}
	return keys
}
