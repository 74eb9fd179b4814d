package player_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
)

type levelled struct{ player.Device }

func (levelled) Levelled() bool { return true }

func TestADeviceWithALevelOfItsOwnThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.programme.Outputs[0].LevelDB = -12
		s.slot("once", "1 0 * * *")
		s.start()
		s.stop()
		from := time.Now().Add(65 * time.Second)
		o := s.options
		o.Open = func(ctx context.Context, out playlist.Output) (player.Device, error) {
			if time.Now().Before(from) {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, out, devices.Options{})
			return levelled{d}, err
		}
		p := player.New(s.programme, o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		cancel()
		<-ended
		defer s.close()
		for _, r := range s.rows() {
			if r.LevelDB != 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestTheCeilingBindsAlikeWhereverTheLevelIsSet(t *testing.T) {
	for _, c := range []struct {
		name                  string
		out, want, ceiling    float64
		inSoftware, onTheCard float64
	}{
		{"below the ceiling", -12, -3, 0, -15, -3},
		{"at the ceiling", -12, -3, -20, -20, -8},
		{"lifted by a daypart", -12, 6, 0, -6, 0},
		{"lifted into the ceiling", -6, 6, -3, -3, 0},
		{"a card above its mark", 3, 0, -3, -3, -6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, card := range []bool{false, true} {
					r := newRoom(t, func(ctx context.Context, o playlist.Output) (player.Device, error) {
						d, err := devices.Open(ctx, o, devices.Options{})
						if card {
							return levelled{d}, err
						}
						return d, err
					}, func(o *playlist.Output) { o.LevelDB = c.out })
					time.Sleep(time.Second)
					want := c.inSoftware
					if card {
						want = c.onTheCard
					}
					if got := r.ch.Gain(c.want, c.ceiling); got != want {
						t.Errorf("on a card %v: %g dB, want %g", card, got, want)
					}
					r.stop()
				}
			})
		})
	}
}
