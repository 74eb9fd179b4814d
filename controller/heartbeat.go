package controller

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// watchdogGrace is how long the player may give no sign of life before the watchdog
// of systemd is left to run out.
const watchdogGrace = 30 * time.Second

// alive is what the heartbeat asks. player.Player implements it.
type alive interface {
	Ready() bool
	Answered() time.Time
}

func (c *Controller) heartbeat(ctx context.Context) error {
	beat(ctx, c.player, c.log)
	return nil
}

// beat tells systemd that the daemon is ready once the schedule is asked, and from
// then on that it lives, as long as what makes the sound does. Other work of the
// daemon may take as long as a slow disk makes it.
func beat(ctx context.Context, p alive, log *slog.Logger) {
	defer notify(sd.SdNotifyStopping, log)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for ready := false; ; {
		select {
		case <-second.C:
		case <-ctx.Done():
			return
		}
		if !ready && p.Ready() {
			ready = true
			notify(sd.SdNotifyReady, log)
		}
		if time.Since(p.Answered()) < watchdogGrace {
			notify(sd.SdNotifyWatchdog, log)
		}
	}
}

// notify tells systemd, if it started the daemon.
func notify(state string, log *slog.Logger) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("no systemd notify socket", "err", err)
	}
}
