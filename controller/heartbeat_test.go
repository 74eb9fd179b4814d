package controller

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
)

// sticky is a device whose driver, once told, comes back only when let go.
type sticky struct {
	player.Device
	told  *atomic.Bool
	letGo <-chan struct{}
}

func (s sticky) Write(b []int16) error {
	if s.told.Load() {
		<-s.letGo
	}
	return s.Device.Write(b)
}

// What else a daemon does, reload and maintenance, does not take part here: it
// hangs, as far as systemd can tell, for as long as a disk pleases.
func TestTheHeartbeatIsThatOfTheSound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	// heard is what was told in so much time. The socket holds but few words.
	heard := func(d time.Duration) string {
		var all []string
		for b := make([]byte, 256); ; {
			n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
			switch {
			case err == nil:
				all = append(all, string(b[:n]))
			case d <= 0:
				return strings.Join(all, " ")
			default:
				time.Sleep(time.Second)
				d -= time.Second
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		store, err := data.Open(t.Context(), t.TempDir(), data.Options{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		var stick atomic.Bool
		letGo := make(chan struct{})
		p := player.New(&playlist.Programme{Outputs: []playlist.Output{{Name: "east", Device: "null:"}}}, player.Options{
			Ledger: store, Log: quiet,
			Open: func(ctx context.Context, o playlist.Output) (player.Device, error) {
				d, err := devices.Open(ctx, o, devices.Options{})
				return sticky{d, &stick, letGo}, err
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() {
			beat(ctx, p, quiet)
			ended <- nil
		}()
		if got := heard(4 * time.Second); strings.Contains(got, "READY=1") {
			t.Errorf("before anything can air: %s", got)
		}
		go func() { ended <- p.Run(ctx) }()
		if got := heard(2 * time.Second); !strings.HasPrefix(strings.TrimPrefix(got, "WATCHDOG=1 "), "READY=1") {
			t.Errorf("once it can: %s", got)
		}
		for range 10 {
			if n := strings.Count(heard(time.Minute), "WATCHDOG=1"); n < 59 {
				t.Errorf("%d beats in a minute", n)
			}
		}
		stick.Store(true)
		heard(watchdogGrace + 5*time.Second)
		if got := heard(time.Minute); got != "" {
			t.Errorf("it beats for an output that is stuck: %s", got)
		}
		close(letGo)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := strings.TrimPrefix(heard(0), "WATCHDOG=1 "); got != "STOPPING=1" { // a beat may fall into the same instant
			t.Errorf("at the end: %s", got)
		}
	})
}
