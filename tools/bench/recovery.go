package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// recovery measures from kill -9 of a daemon that airs until the next one,
// started at once, is ready. The peer is a full check of the same file by
// SQLite's own shell.
func (b *bench) recovery(ctx context.Context) ([]Figure, error) {
	const rows = 10_000
	rounds := 10
	if b.short {
		rounds = 3
	}
	s, err := b.newSite("recovery")
	if err != nil {
		return nil, err
	}
	for i := range cycle {
		pole := fmt.Sprintf("p%d", i)
		s.output(pole, "null:")
		s.slot(fmt.Sprintf("every-%d", i), fmt.Sprintf("%d/%d * * * * *", i, cycle), "window = \"1s\"\n", pole)
	}
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	if err := b.fillStore(ctx, s.data(), rows); err != nil {
		return nil, err
	}
	d, err := b.startDaemon(ctx, config)
	if err != nil {
		return nil, err
	}
	// The first daemon imports the clips and makes the day's backup.
	if _, err := d.waitForLog(ctx, `msg="backup made"`, 1); err != nil {
		return nil, errors.Join(err, d.end())
	}
	var ours, theirs []float64
	for range rounds {
		if _, err := d.waitForLog(ctx, `msg="clip on air"`, 1); err != nil {
			return nil, errors.Join(err, d.end())
		}
		killed := time.Now()
		if err := d.kill(); err != nil {
			return nil, err
		}
		if d, err = b.startDaemon(ctx, config); err != nil {
			return nil, err
		}
		at, err := d.ready(ctx)
		if err != nil {
			return nil, errors.Join(err, d.end())
		}
		ours = append(ours, millis(at.Sub(killed)))
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	for range rounds {
		took, err := quickCheck(ctx, s.data())
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, took)
	}
	const (
		name = "kill -9 to ready, 10,000 rows, "
		peer = "sqlite3 PRAGMA quick_check of the store"
	)
	return []Figure{
		figure(name+"p50", median(ours), "ms", peer, median(theirs), rounds),
		figure(name+"worst", quantile(ours, 1), "ms", peer, quantile(theirs, 1), rounds),
	}, nil
}

// kill ends the daemon by SIGKILL, which to the daemon is like a power cut.
func (d *daemon) kill() error {
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return errors.Join(err, d.end())
	}
	<-d.ended
	_ = d.cmd.Wait() // the error is that it was killed
	d.stop()
	return nil
}
