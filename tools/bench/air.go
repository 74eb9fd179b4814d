package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dalaba/playlist"
)

// air measures what a minute of airing costs the machine: the daemon playing
// clip after clip on one output without sound, beside mpg123 decoding the same
// clips into a sink of the same pace; at the same time the daemon, mpg123 and
// MPD each on a virtual card of its own.
func (b *bench) air(ctx context.Context) (figures []Figure, err error) {
	length := 60 * time.Second
	if b.short {
		length = 10 * time.Second
	}
	clips, err := b.clips()
	if err != nil {
		return nil, err
	}
	cards, env, err := b.cards("air-cards", "pole", "mpg123", "mpd")
	if err != nil {
		return nil, err
	}
	// End all that was started, even after an error.
	var ends []func() error
	defer func() {
		for _, end := range ends {
			err = errors.Join(err, end())
		}
	}()
	var daemons []*daemon
	var pids []int
	for i, device := range []string{"null:", "alsa:pole"} {
		s, err := b.newSite(fmt.Sprintf("air%d", i))
		if err != nil {
			return nil, err
		}
		d, err := b.airOn(ctx, s, device, env)
		if err != nil {
			return nil, err
		}
		ends = append(ends, d.end)
		daemons, pids = append(daemons, d), append(pids, d.cmd.Process.Pid)
	}
	pid, endPeer, err := b.startPeer(ctx)
	if err != nil {
		return nil, err
	}
	ends = append(ends, endPeer)
	onCard, err := mpg123On(ctx, "mpg123", env, append([]string{"--loop", "-1"}, clips...)...)
	if err != nil {
		return nil, err
	}
	ends = append(ends, onCard.end)
	m, err := b.startMPD(ctx, "mpd-air", "mpd", env, clips...)
	if err != nil {
		return nil, err
	}
	ends = append(ends, m.end)
	if err := m.do("repeat 1", "play 0"); err != nil {
		return nil, err
	}
	for _, c := range cards {
		if err := sounding(ctx, c); err != nil {
			return nil, err
		}
	}
	took, err := spend(ctx, length, append(pids, pid, onCard.pid(), m.pid())...)
	if err != nil {
		return nil, err
	}
	for _, d := range daemons {
		if aired := d.count(`msg="clip ended"`); aired < int(length/(6*time.Second)) {
			return nil, fmt.Errorf("only %d clips aired in %v", aired, length)
		}
	}
	for name, c := range cards {
		t, err := readTape(c)
		if err != nil {
			return nil, err
		}
		// mpg123 is silent for a moment between two files.
		if least := playlist.FramesIn(length * 9 / 10); int64(len(t.heard)) < least {
			return nil, fmt.Errorf("card %s heard only %v", name, playlist.Length(int64(len(t.heard))))
		}
	}
	n := int(length / time.Second)
	null, card, piped, carded, mpd := took[0], took[1], took[2], took[3], took[4]
	for _, of := range []struct {
		where  string
		ours   spending
		peer   string
		theirs spending
	}{
		{"", null, "mpg123 decoding into a paced pipe", piped},
		{" on a virtual card", card, "mpg123 on a virtual card", carded},
		{" on a virtual card", card, "MPD on a virtual card", mpd},
	} {
		figures = append(figures,
			figure(fmt.Sprintf("processor of one core, airing %d s%s", n, of.where), of.ours.percent, "%", of.peer, of.theirs.percent, n),
			figure(fmt.Sprintf("peak memory, airing %d s%s", n, of.where), of.ours.mib, "MiB", of.peer, of.theirs.mib, 1))
	}
	return figures, nil
}

// shanghai is the zone of all benchmark sites; the program carries the zone
// data.
func shanghai() *time.Location {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return zone
}

type spending struct{ percent, mib float64 }

// spend measures what processes use in that time, all at the same time.
func spend(ctx context.Context, length time.Duration, pids ...int) ([]spending, error) {
	before := make([]time.Duration, len(pids))
	for i, pid := range pids {
		var err error
		if before[i], err = processor(pid); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := wait(ctx, length); err != nil {
		return nil, err
	}
	took := time.Since(began)
	var all []spending
	for i, pid := range pids {
		after, err := processor(pid)
		if err != nil {
			return nil, err
		}
		bytes, err := peakMemory(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, spending{100 * float64(after-before[i]) / float64(took), float64(bytes) / (1 << 20)})
	}
	return all, nil
}

// startPeer makes mpg123 play the clips into a sink, again and again.
func (b *bench) startPeer(ctx context.Context) (pid int, end func() error, err error) {
	clips, err := b.clips()
	if err != nil {
		return 0, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := mpg123(ctx, append([]string{"-s", "-m", "--loop", "-1"}, clips...)...)
	pipe, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		stop()
		return 0, nil, err
	}
	sunk := make(chan error, 1)
	go func() {
		_, _, err := sink(pipe)
		sunk <- err
	}()
	return c.Process.Pid, func() error {
		stop()
		err := <-sunk
		_ = c.Wait() // the error is that it was told to end
		return err
	}, nil
}
