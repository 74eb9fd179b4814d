package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dalaba/data"
	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// micCmd opens the emergency microphone until it is interrupted.
func (a *app) micCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "mic",
		Short: a.Say("alerts.mic_short"),
		Long:  a.Say("alerts.mic_long"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.look(c.Context())
			if err != nil {
				return err
			}
			defer func() { _ = s.close() }()
			return a.mic(c.Context(), s)
		},
	})
}

func (a *app) mic(ctx context.Context, s *site) error {
	if _, ok := data.Running(s.Site.DataDir); !ok {
		return say.M("run.not_running", s.Site.DataDir)
	}
	told := a.JSON
	r, err := askDaemon(ctx, socketOf(s.Site.DataDir), handOrder{Do: "mic", Lang: a.Language()}, func(handReport) {
		if !told {
			told = true
			a.Println(a.Say("alerts.mic_opens"))
		}
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{"frames": r.Frames, "started": r.Started})
	}
	a.Println(a.Say("alerts.mic_closed", playlist.Length(r.Frames).Seconds()))
	return nil
}

// speakLive runs the capture program and puts what it hears on every output
// until ctx ends.
func (d *daemon) speakLive(ctx context.Context, tell func(handReport)) (r handReport, err error) {
	words := d.live.Load().Mic.Capture
	if len(words) == 0 {
		return r, say.M("alerts.no_mic")
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return r, say.M("alerts.mic_fails", words[0], err)
	}
	r.Started = d.now().UTC()
	d.log.Warn("emergency microphone open")
	r.Frames, err = d.alarm.alarm.Speak(ctx, out, say.M("alerts.mic").In(d.Language()), func(frames int64) {
		r.Frames = frames
		tell(r)
	})
	_ = cmd.Cancel() // gone already is as good
	ended := cmd.Wait()
	d.log.Warn("emergency microphone closed", "frames", r.Frames)
	r.OfFrames, r.Complete = r.Frames, true
	if err == nil && r.Frames == 0 && ctx.Err() == nil {
		return r, say.M("alerts.mic_fails", words[0], ended)
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	return r, err
}

const triggerEvery = 50 * time.Millisecond

// micTrigger opens the microphone while the line that the config names is on.
func (d *daemon) micTrigger(ctx context.Context, cfg *config.Config) error {
	if cfg.Mic.Trigger == "" {
		return nil
	}
	line := devices.NewTrigger(cfg.Mic.Trigger)
	defer func() { _ = line.Close() }()
	held(ctx, d.log, line.On, func(ctx context.Context) error {
		_, err := d.speakLive(ctx, func(handReport) {})
		return err
	})
	return nil
}

const micAgain = time.Second // before a capture program that ended is started again

// held lets somebody speak while the switch is on, until ctx ends. Where the
// capture program ends meanwhile, it is started again.
func held(ctx context.Context, log *slog.Logger, pressed func() (bool, error), speak func(context.Context) error) {
	unread, broken := "", ""
	for pause(ctx, triggerEvery) == nil {
		on, err := pressed()
		if err != nil {
			if err.Error() != unread {
				unread = err.Error()
				log.Error("microphone trigger cannot be read", "err", err)
			}
			if pause(ctx, time.Second) != nil {
				return
			}
			continue
		}
		unread = ""
		if !on {
			broken = ""
			continue
		}
		speaking, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- speak(speaking) }()
		var ended error
		open := true
		for open && on && err == nil && pause(ctx, triggerEvery) == nil {
			on, err = pressed()
			select {
			case ended = <-done:
				open = false
			default:
			}
		}
		stop()
		if open {
			ended = <-done
		}
		if ended != nil && !errors.Is(ended, context.Canceled) && ended.Error() != broken {
			broken = ended.Error()
			log.Error("emergency microphone fails", "err", ended)
		}
		if !open && pause(ctx, micAgain) != nil {
			return
		}
	}
}
