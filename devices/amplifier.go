package devices

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Amplifier switches a power amplifier on before the sound and off after it. If
// the relay fails, the amplifier logs an error and tries again; the sound waits
// for it at most 5 s, and nothing else waits. Any goroutine may use it.
type Amplifier struct {
	relay      Relay
	warm, hold time.Duration
	log        *slog.Logger

	turning chan struct{} // holds a token while no goroutine switches the relay
	life    context.Context
	end     context.CancelFunc // cancels life, which ends a switch in progress

	mu     sync.Mutex
	users  int
	ready  time.Time // when it is or was warm; zero: not switched on by this Amplifier
	idle   *time.Timer
	closed bool
}

// How long a relay may take, and how soon to try again if it failed to switch
// off.
const (
	relayTimeout = 5 * time.Second
	relayRetry   = 10 * time.Second
	relayLast    = time.Second // when the daemon ends
)

// NewAmplifier makes an amplifier that owns the relay. A relay that is on
// already, as a crash may leave it, is switched off if hold passes without a
// sound. A nil log discards.
func NewAmplifier(r Relay, warm, hold time.Duration, log *slog.Logger) *Amplifier {
	a := &Amplifier{relay: r, warm: warm, hold: hold, log: Options{Log: log}.log(), turning: make(chan struct{}, 1)}
	a.turning <- struct{}{}
	a.life, a.end = context.WithCancel(context.Background())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offAfter(hold)
	return a
}

// On keeps the amplifier on until the matching [Amplifier.Off]. It returns once
// the amplifier is warm: at by, if that leaves enough time to warm up; at once
// if it is warm already or its relay fails. If ctx ends first, On returns
// ctx.Err(), and Off must not be called for it.
func (a *Amplifier) On(ctx context.Context, by time.Time) error {
	a.mu.Lock()
	a.users++
	if a.idle != nil {
		a.idle.Stop()
	}
	on := !a.ready.IsZero()
	a.mu.Unlock()

	if !on {
		if err := until(ctx, by.Add(-a.warm)); err != nil {
			a.Off()
			return err
		}
	}
	warm, err := a.switchOn(ctx)
	if err == nil {
		err = until(ctx, warm)
	}
	if err != nil {
		a.Off()
	}
	return err
}

// switchOn returns when the amplifier will be warm. If ctx ends first, it
// returns ctx.Err(); the relay still completes its switch.
func (a *Amplifier) switchOn(ctx context.Context) (time.Time, error) {
	done := make(chan time.Time, 1)
	go func() {
		<-a.turning
		defer func() { a.turning <- struct{}{} }()
		a.mu.Lock()
		warm, wanted := a.ready, a.ready.IsZero() && !a.closed
		a.mu.Unlock()
		if wanted && a.switchRelay(a.life, true, relayTimeout) {
			warm = time.Now().Add(a.warm)
			a.mu.Lock()
			a.ready = warm
			if a.users == 0 {
				a.offAfter(a.hold) // the caller has left
			}
			a.mu.Unlock()
		}
		done <- warm
	}()
	select {
	case warm := <-done:
		return warm, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-time.After(relayTimeout): // the relay hangs and ignores its context
		a.log.Warn("relay does not respond, the sound starts without it", "timeout", relayTimeout)
		return time.Time{}, nil
	}
}

// Off ends one use that On began. After the last use the amplifier is switched
// off once the hold has passed.
func (a *Amplifier) Off() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users--
	if a.users == 0 {
		a.offAfter(a.hold)
	}
}

// offAfter switches off after d, unless the amplifier is used again before.
func (a *Amplifier) offAfter(d time.Duration) {
	if a.closed {
		return
	}
	if a.idle != nil {
		a.idle.Stop()
	}
	a.idle = time.AfterFunc(d, func() {
		<-a.turning
		defer func() { a.turning <- struct{}{} }()
		a.mu.Lock()
		unwanted := a.users == 0 && !a.closed
		if unwanted {
			a.ready = time.Time{} // a later On switches it on again after us
		}
		a.mu.Unlock()
		if !unwanted || a.switchRelay(a.life, false, relayTimeout) {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.users == 0 {
			a.offAfter(relayRetry)
		}
	})
}

// switchRelay switches the relay; the caller holds the token of turning. The
// context is not an airing's: a cancelled airing must not leave the relay half
// switched.
func (a *Amplifier) switchRelay(ctx context.Context, on bool, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := a.relay.Switch(ctx, on); err != nil {
		a.log.Error("relay failed", "on", on, "err", err)
		return false
	}
	a.log.Info("amplifier switched", "on", on)
	return true
}

// Close switches off at once and closes the relay. It cancels a switch in
// progress, and waits at most a second for a relay that hangs.
func (a *Amplifier) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	if a.idle != nil {
		a.idle.Stop()
	}
	a.ready = time.Time{}
	a.mu.Unlock()
	a.end()
	done := make(chan error, 1)
	go func() {
		<-a.turning
		a.switchRelay(context.Background(), false, relayLast*3/4)
		done <- a.relay.Close()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(relayLast):
		return errRelayHangs
	}
}

var errRelayHangs = errors.New("the relay does not answer")

// until waits for an instant; it returns at once if the instant has passed.
func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
