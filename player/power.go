package player

import (
	"context"
	"time"
)

// power is one performance's use of the amplifier.
type power struct {
	amp  Amplifier
	stop context.CancelFunc
	on   chan error // yields once; nil if there is no amplifier
	got  bool
	err  error
}

// power begins to switch the amplifier on for a sound at that instant.
func (p *Player) power(ctx context.Context, by time.Time) *power {
	if p.Amp == nil {
		return &power{}
	}
	ctx, stop := context.WithCancel(ctx)
	u := &power{amp: p.Amp, stop: stop, on: make(chan error, 1)}
	go func() { u.on <- p.Amp.On(ctx, time.Now().Add(by.Sub(p.Wall()))) }()
	return u
}

// warm waits until the amplifier is on if the sound's instant has passed; else
// it does not wait.
func (u *power) warm(ctx context.Context, ahead time.Duration) error {
	if u.on == nil || ahead > 0 {
		return nil
	}
	select {
	case u.err = <-u.on:
		u.got = true
		return u.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release ends the use, if it has not ended.
func (u *power) release() {
	if u == nil || u.on == nil {
		return
	}
	u.stop()
	if !u.got {
		u.err = <-u.on
	}
	u.on = nil
	if u.err == nil {
		u.amp.Off()
	}
}
