package player_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
)

// slow keeps a disk that takes its time.
type slow struct {
	player.Ledger
	letGo <-chan struct{}
}

func (d slow) SetWatermark(ctx context.Context, at time.Time) error {
	<-d.letGo
	return d.Ledger.SetWatermark(ctx, at)
}

// frozen is a device whose driver, once held, never comes back.
type frozen struct {
	player.Device
	held, letGo <-chan struct{}
}

func (d frozen) Write(b []int16) error {
	select {
	case <-d.held:
		<-d.letGo
	default:
	}
	return d.Device.Write(b)
}

func TestThePlayerAnswersWhateverDiskAndCardsDoAndNotWhereItIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east", "gone", "hung", "resting")
		s.programme.Outputs[3].CloseIdle = true
		held, letGo := make(chan struct{}), make(chan struct{})
		s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			switch o.Name {
			case "gone":
				return nil, errUnplugged
			case "hung":
				<-letGo
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return frozen{d, held, letGo}, err
		}
		s.ledger = slow{s.store, letGo}
		s.slot("each", "* * * * *")
		s.start()
		if player.New(s.programme, s.options).Ready() {
			t.Error("ready before the schedule was asked")
		}
		fresh := func() bool { return time.Since(s.player.Answered()) < 5*time.Second }
		// Longer than the watermark rests.
		for range 11 * 60 {
			time.Sleep(time.Second)
			if !fresh() {
				t.Fatalf("no sign of life since %v", s.player.Answered())
			}
		}
		if !s.player.Ready() {
			t.Error("never ready")
		}
		close(held)
		for range 20 {
			time.Sleep(time.Second)
			s.player.Answered()
		}
		if fresh() {
			t.Error("an output is stuck and the player is said to live")
		}
		close(letGo)
		time.Sleep(2 * time.Second)
		s.player.Answered()
		time.Sleep(time.Second)
		if !fresh() {
			t.Error("the output goes on and the player is not said to live")
		}
		s.close()
	})
}

func TestAReloadOnASlowDiskHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		letGo := make(chan struct{})
		answer := sync.OnceFunc(func() { close(letGo) })
		s.ledger = slow{s.store, letGo}
		s.slot("each", "* * * * *")
		s.start()
		defer s.close()
		defer answer()
		time.Sleep(90 * time.Second)
		// Programmes of their own: the first is in force.
		first, second := *s.programme, *s.programme
		first.Slots, second.Slots = nil, nil
		s.programme = &first
		s.slot("each", "* * * * *")
		s.slot("other", "30 * * * * *")
		s.programme = &second
		s.slot("last", "* * * * *")
		begun, reloaded := s.now(), make(chan error, 2)
		for _, next := range []*playlist.Programme{&first, &second} {
			go func() { reloaded <- s.player.Reload(t.Context(), next) }()
			for range 45 {
				time.Sleep(time.Second)
				if at := s.player.Answered(); time.Since(at) > 5*time.Second {
					t.Fatalf("no sign of life since %v", at)
				}
			}
		}
		if len(reloaded) > 0 {
			t.Error("the disk was not waited for")
		}
		answer()
		time.Sleep(15 * time.Second)
		for range 2 {
			if err := <-reloaded; err != nil {
				t.Error(err)
			}
		}
		if at, err := s.store.Watermark(t.Context()); err != nil || at.Before(begun.Add(44*time.Second)) {
			t.Errorf("settled up to %v, %v", at, err)
		}
		s.stop()
		if got, want := s.summary(), "each/east/clip1:complete each/east/clip2:complete last/east/clip3:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
