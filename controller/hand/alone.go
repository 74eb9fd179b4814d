package hand

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dalaba/controller/site"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Alone plays an order with no daemon: it opens the output as the config says,
// and closes it when the order is over.
func Alone(ctx context.Context, s *site.Site, out playlist.Output, o Order, log *slog.Logger, report func(Report)) (r Report, err error) {
	if err := o.Check(); err != nil {
		return r, err
	}
	out = site.Card(ctx, s.Store, out)
	opener := devices.NewOpener(devices.Options{}, "")
	// Opened at once, so that a fault shows as itself.
	first := make(chan player.Device, 1)
	dev, err := opener.Open(ctx, out)
	if err != nil {
		return r, err
	}
	first <- dev
	defer func() {
		select {
		case unused := <-first:
			err = errors.Join(err, unused.Close())
		default:
		}
	}()
	h := Hand{Ceiling: s.Site.CeilingDB, Wall: time.Now}
	if s.Store != nil {
		h.Find = s.Store.Clip
	}
	// A relay that fails does not stop the sound, but it would not be heard.
	if c := s.Amplifier; c.Relay != "" {
		relay, err := devices.OpenRelay(c.Relay)
		if err != nil {
			return r, err
		}
		amp := devices.NewAmplifier(relay, c.WarmUp, c.Hold, log)
		defer func() { err = errors.Join(err, amp.Close()) }()
		h.Amp = amp
	}
	ch := player.NewChannel(out, func(ctx context.Context, out playlist.Output) (player.Device, error) {
		select {
		case dev := <-first:
			return dev, nil
		default:
			return opener.Open(ctx, out)
		}
	}, time.Now, log)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { _ = ch.Run(running) })
	defer work.Wait()
	defer stop()
	r, err = h.Play(ctx, ch, o, report)
	if errors.Is(err, ErrAway) {
		err = say.M("technician.away", out.Name, devices.Describe(out))
	}
	return r, err
}
