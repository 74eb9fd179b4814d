package player_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// speak speaks into the microphone for so long.
func (s *siren) speak(d time.Duration) {
	s.t.Helper()
	in, out := io.Pipe()
	go func() {
		block := make([]byte, 2*playlist.Rate/50)
		for i := 0; i < len(block); i += 2 {
			block[i+1] = 0x20
		}
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			_, _ = out.Write(block)
		}
		_ = out.Close()
	}()
	if _, err := s.alarm.Speak(s.t.Context(), in, "喊话", nil); err != nil {
		s.t.Error(err)
	}
}

func TestTheMicrophoneIsAsLoudOnACardThatOpensForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiren(t, "east")
		s.programme.Outputs[0].LevelDB, s.programme.Outputs[0].CloseIdle = -12, true
		s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			d, err := devices.Open(ctx, o, devices.Options{})
			return levelled{d}, err
		}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		s.speak(3 * time.Second)
		rows := s.rows()
		if len(rows) != 1 || rows[0].LevelDB != 0 || rows[0].Outcome != asrun.Complete {
			t.Errorf("%+v", rows)
		}
	})
}

func TestTheMicrophoneIsHeardAgainOnceTheCardIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		s := newSiren(t, "east")
		s.device = func(ctx context.Context, o playlist.Output) (player.Device, error) {
			if broken.Load() {
				return nil, errUnplugged
			}
			d, err := devices.Open(ctx, o, devices.Options{})
			return flaky{d, &broken}, err
		}
		s.start()
		defer s.close()
		time.Sleep(time.Second)
		time.AfterFunc(2*time.Second, func() { broken.Store(true) })
		time.AfterFunc(17*time.Second, func() { broken.Store(false) })
		s.speak(25 * time.Second)
		rows := s.rows()
		if len(rows) != 2 || rows[0].Reason != asrun.ReasonDevice || rows[1].Part != 2 || rows[1].Outcome != asrun.Complete {
			t.Fatalf("%+v", rows)
		}
		if n := rows[1].Frames; n < 6*playlist.Rate || n > 10*playlist.Rate {
			t.Errorf("%d frames once it was back", n)
		}
	})
}
