package controller

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"syscall"
	"time"

	"dalaba/controller/hand"
	"dalaba/devices"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// liveAlarm puts a voice on every output. player.Alarm implements it.
type liveAlarm interface {
	Speak(ctx context.Context, r io.Reader, title string, progress func(frames int64)) (int64, error)
}

// microphone is the emergency microphone.
type microphone struct {
	config func() *config.Config
	alarm  liveAlarm
	now    func() time.Time
	log    *slog.Logger
	lang   func() say.Lang
}

// speak runs the capture program and puts what it hears on every output until ctx
// ends.
func (m *microphone) speak(ctx context.Context, report func(hand.Report)) (r hand.Report, err error) {
	words := m.config().Mic.Capture
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
	r.Started = m.now().UTC()
	m.log.Warn("emergency microphone open")
	r.Frames, err = m.alarm.Speak(ctx, out, say.M("alerts.mic").In(m.lang()), func(frames int64) {
		r.Frames = frames
		report(r)
	})
	_ = cmd.Cancel() // gone already is as good
	ended := cmd.Wait()
	m.log.Warn("emergency microphone closed", "frames", r.Frames)
	r.OfFrames, r.Complete = r.Frames, true
	if err == nil && r.Frames == 0 && ctx.Err() == nil {
		return r, say.M("alerts.mic_fails", words[0], ended)
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	return r, err
}

const (
	triggerEvery = 50 * time.Millisecond
	micAgain     = time.Second // before a capture program that ended is started again
)

// trigger opens the microphone while the line that the config names is on.
func (m *microphone) trigger(ctx context.Context, cfg *config.Config) error {
	if cfg.Mic.Trigger == "" {
		return nil
	}
	line := devices.NewTrigger(cfg.Mic.Trigger)
	defer func() { _ = line.Close() }()
	h := held{log: m.log, pressed: line.On, speak: func(ctx context.Context) error {
		_, err := m.speak(ctx, func(hand.Report) {})
		return err
	}}
	h.run(ctx)
	return nil
}

// held is a microphone that is open while a switch is on. If the capture program
// ends meanwhile, it is started again.
type held struct {
	log     *slog.Logger
	pressed func() (bool, error)
	speak   func(context.Context) error

	unread, broken string // what the log says of the switch and of the program
}

func (h *held) run(ctx context.Context) {
	for pause(ctx, triggerEvery) == nil {
		on, err := h.read()
		switch {
		case err != nil:
			if pause(ctx, time.Second) != nil {
				return
			}
		case !on:
			h.broken = ""
		case !h.open(ctx):
			if pause(ctx, micAgain) != nil {
				return
			}
		}
	}
}

// read reads the switch, and logs a new fault of it.
func (h *held) read() (bool, error) {
	on, err := h.pressed()
	switch {
	case err == nil:
		h.unread = ""
	case err.Error() != h.unread:
		h.unread = err.Error()
		h.log.Error("microphone trigger cannot be read", "err", err)
	}
	return on, err
}

// open speaks until the switch is off, or cannot be read, or ctx ends; false if
// the program ended before.
func (h *held) open(ctx context.Context) bool {
	speaking, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- h.speak(speaking) }()
	for {
		stopped := pause(ctx, triggerEvery) != nil
		if !stopped {
			on, err := h.pressed()
			stopped = !on || err != nil
		}
		select {
		case err := <-done:
			h.ended(err)
			return false
		default:
		}
		if stopped {
			stop()
			h.ended(<-done)
			return true
		}
	}
}

// ended logs why the program ended, once.
func (h *held) ended(err error) {
	if err != nil && !errors.Is(err, context.Canceled) && err.Error() != h.broken {
		h.broken = err.Error()
		h.log.Error("emergency microphone failed", "err", err)
	}
}

// pause waits for a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
