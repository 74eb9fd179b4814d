package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// underruns counts how often a virtual card runs empty while it plays and a
// process that never sleeps runs on every core, all at the same priority. The
// peer is mpg123 on such a card at the same time.
func (b *bench) underruns(ctx context.Context) ([]Figure, error) {
	length := 60 * time.Second
	if b.short {
		length = 10 * time.Second
	}
	s, err := b.newSite("underruns")
	if err != nil {
		return nil, err
	}
	cards, env, err := b.cards("underruns-cards", "pole", "peer")
	if err != nil {
		return nil, err
	}
	// The peer plays a single file: between two it might be silent.
	lessons, err := b.reel("underruns.mp3", length+time.Minute)
	if err != nil {
		return nil, err
	}
	d, err := b.airOn(ctx, s, "alsa:pole", env)
	if err != nil {
		return nil, err
	}
	peer, err := mpg123On(ctx, "peer", env, lessons)
	if err != nil {
		return nil, errors.Join(err, d.end())
	}
	from, to, err := busy(ctx, func() error {
		return errors.Join(sounding(ctx, cards["pole"]), sounding(ctx, cards["peer"]))
	}, length)
	logged := d.count("msg=underrun")
	if err := errors.Join(err, peer.end(), d.end()); err != nil {
		return nil, err
	}
	ours, theirs := 0, 0
	for _, c := range []struct {
		card string
		gaps *int
	}{{"pole", &ours}, {"peer", &theirs}} {
		t, err := readTape(cards[c.card])
		if err != nil {
			return nil, err
		}
		if t.ends().Before(to.Add(-time.Second)) {
			return nil, fmt.Errorf("%s fell silent at %v", c.card, t.ends())
		}
		*c.gaps = t.gaps(from, to)
	}
	if logged != ours {
		fmt.Fprintf(b.log, "underruns: the card had %d, the log tells of %d\n", ours, logged)
	}
	seconds := int(length.Seconds())
	return []Figure{figure(fmt.Sprintf("underruns in %d s, %d busy cores", seconds, runtime.NumCPU()),
		float64(ours), "", "mpg123 on a virtual card", float64(theirs), seconds)}, nil
}

// busy keeps every core busy for a time, once ready returns. It returns from
// when to when.
func busy(ctx context.Context, ready func() error, length time.Duration) (from, to time.Time, err error) {
	if err := ready(); err != nil {
		return from, to, err
	}
	var load []*child
	for range runtime.NumCPU() {
		var c *child
		if c, err = launch(ctx, "", "sh", "-c", "while :; do :; done"); err != nil {
			break
		}
		load = append(load, c)
	}
	from = time.Now()
	if err == nil {
		err = wait(ctx, length)
	}
	to = time.Now()
	return from, to, errors.Join(err, endAll(load))
}
