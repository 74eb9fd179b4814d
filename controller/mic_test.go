package controller

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheMicrophoneIsOpenedAgainWhileTheSwitchIsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			on     atomic.Bool
			starts atomic.Int32
			open   atomic.Bool
			log    strings.Builder
		)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			h := held{log: slog.New(slog.NewTextHandler(&log, nil)), pressed: func() (bool, error) { return on.Load(), nil }, speak: func(ctx context.Context) error {
				switch starts.Add(1) {
				case 1, 2:
					return errors.New("device busy")
				case 3:
					time.Sleep(time.Second) // it breaks off
					return nil
				}
				open.Store(true)
				defer open.Store(false)
				<-ctx.Done()
				return ctx.Err()
			}}
			h.run(ctx)
		}()
		time.Sleep(time.Second)
		on.Store(true)
		time.Sleep(5 * time.Second)
		if n := starts.Load(); n != 4 || !open.Load() {
			t.Errorf("started %d times, open: %v", n, open.Load())
		}
		on.Store(false)
		time.Sleep(time.Second)
		if open.Load() || starts.Load() != 4 {
			t.Errorf("open %v once let go, started %d times", open.Load(), starts.Load())
		}
		stop()
		<-ended
		if n := strings.Count(log.String(), "device busy"); n != 1 {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
	})
}
