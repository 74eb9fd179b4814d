package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// muteDir is an environment variable with the data folder of a controller
// without sound: this test program then runs as that controller. It is the code
// of package link on the controller's own store, and makes as-run rows as fast
// as a dozen loudspeakers would.
const muteDir = "DALABA_MUTE_DIR"

func init() {
	dir := os.Getenv(muteDir)
	if dir == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := mute(ctx, dir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// quietFile in its folder stops a mute controller from making more rows.
const quietFile = "quiet"

func mute(ctx context.Context, dir string) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := data.Open(ctx, dir, data.Options{Log: log, Boot: "mute"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := store.CloseOpen(ctx, time.Now(), asrun.ReasonPowerLost); err != nil {
		return err
	}
	key, err := link.ReadKey(filepath.Join(dir, "controller.key"))
	if err != nil {
		return err
	}
	enrolled, err := store.Enrolled(ctx)
	if err != nil {
		return err
	}
	between := func() time.Duration { return 500*time.Millisecond + rand.N(time.Second) }
	began := time.Now()
	c := &link.Controller{
		Key: key, Store: forgetful{uplink.Wire{Store: store, Since: enrolled}}, Log: log, Boot: "mute",
		Clock: func() playlist.ClockState { return playlist.ClockTrusted },
		Mono:  func() time.Duration { return time.Since(began) },
		Health: func(ctx context.Context) link.Health {
			h := link.Health{Program: "mute", Store: "ok", Outputs: []link.OutputHealth{{Name: "pole", State: "ok", Residents: 100}}}
			h.Unsent, h.Oldest, _ = store.Unsent(ctx)
			return h
		},
		Pace: link.Pace{Again: between, Every: between, Told: between, Wake: 50 * time.Millisecond, Answer: 20 * time.Second,
			Reconnect: func(int) time.Duration { return rand.N(time.Second) }},
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() {
		if err := air(ctx, store, filepath.Join(dir, quietFile), c.Wake); err != nil && ctx.Err() == nil {
			log.Error("rows cannot be made", "err", err)
			stop()
		}
	})
	return c.Run(ctx)
}

// air makes rows: some complete, some not, some open when the power is cut.
func air(ctx context.Context, store *data.Store, quiet string, wake func()) error {
	for item := 1; ctx.Err() == nil; {
		if _, err := os.Stat(quiet); err == nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		due := time.Now().UTC().Truncate(time.Second)
		row := asrun.Row{
			Airing: playlist.NewAiringID("mute", due), Slot: "mute", Output: "pole", Item: item, Part: 1, Due: due, Cued: due,
			OfFrames: playlist.Rate, Residents: 100, Area: "320924100299", Clock: playlist.ClockTrusted, Boot: "mute", Title: "无声", Series: "测试",
		}
		err := store.Claim(ctx, asrun.Claim{Row: row})
		if errors.Is(err, asrun.ErrClaimed) {
			item++ // an earlier run made rows in the same second
			continue
		}
		if err != nil {
			return err
		}
		time.Sleep(rand.N(60 * time.Millisecond))
		end := asrun.End{Started: due, Ended: due.Add(time.Second), Frames: playlist.Rate, Outcome: asrun.Complete}
		if item%5 == 0 {
			end = asrun.End{Started: due, Ended: due.Add(time.Second / 4), Frames: playlist.Rate / 4, Outcome: asrun.Partial, Reason: asrun.ReasonPreempted}
		}
		if err := store.End(ctx, row.Key(), end); err != nil {
			return err
		}
		wake()
		item = item%1000 + 1
	}
	return nil
}

// forgetful is a controller's store for package link that loses marks of the
// county and mixes up the order: it gives receipts twice, and some before
// earlier ones.
type forgetful struct{ uplink.Wire }

func (f forgetful) SetAside(_ context.Context, r link.Refused) error {
	return fmt.Errorf("receipt %d of %s is set aside: %s", r.Seq, r.Epoch, r.Why)
}

func (f forgetful) Batch(ctx context.Context, after link.Mark, limit int) (asrun.Batch, error) {
	b, err := f.Wire.Batch(ctx, after, limit)
	if n := len(b.Receipts); err == nil && n > 1 && after == (link.Mark{}) && rand.N(10) == 0 {
		b.Receipts = b.Receipts[n/2:] // the rest come later
	}
	return b, err
}

// SetMark drops one mark in ten, as a power cut at that instant would.
func (f forgetful) SetMark(ctx context.Context, m link.Mark) error {
	if rand.N(10) == 0 {
		return nil
	}
	return f.Wire.SetMark(ctx, m)
}

func (f forgetful) Events(context.Context, int) ([]link.Event, error) { return nil, nil }
