package devices

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Amplifier switches a power amplifier on ahead of the sound and off after
// it. A relay that fails is logged as an error and tried again; the sound waits
// for it no longer than 5 s, and nobody else does. Any goroutine may use it.
type Amplifier struct {
	relay      Relay
	warm, hold time.Duration
	log        *slog.Logger

	turning chan struct{} // holds one while nobody switches
	life    context.Context
	end     context.CancelFunc // what is being switched is given up

	mu     sync.Mutex
	users  int
	ready  time.Time // when it is or was warm; zero: not switched on by us
	idle   *time.Timer
	closed bool
}

// How long a relay may take, and how soon one that failed to switch off is
// tried again.
const (
	relayTimeout = 5 * time.Second
	relayRetry   = 10 * time.Second
	relayLast    = time.Second // as the daemon ends
)

// NewAmplifier takes charge of a relay. One found on, as a crash may leave
// it, is switched off once hold has passed without a sound. A nil log is none.
func NewAmplifier(r Relay, warm, hold time.Duration, log *slog.Logger) *Amplifier {
	a := &Amplifier{relay: r, warm: warm, hold: hold, log: Options{Log: log}.log(), turning: make(chan struct{}, 1)}
	a.turning <- struct{}{}
	a.life, a.end = context.WithCancel(context.Background())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rest(hold)
	return a
}

// On keeps the amplifier on until the matching [Amplifier.Off], and returns
// once it is warm: at by, where that lies far enough ahead; at once, where it
// is warm already or its relay fails. Where ctx ends first it answers
// ctx.Err() and wants no Off.
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

// switchOn answers when the amplifier will be warm. Where ctx ends meanwhile
// it answers its error; the relay is not left half switched for that.
func (a *Amplifier) switchOn(ctx context.Context) (time.Time, error) {
	done := make(chan time.Time, 1)
	go func() {
		<-a.turning
		defer func() { a.turning <- struct{}{} }()
		a.mu.Lock()
		warm, wanted := a.ready, a.ready.IsZero() && !a.closed
		a.mu.Unlock()
		if wanted && a.turn(a.life, true, relayTimeout) {
			warm = time.Now().Add(a.warm)
			a.mu.Lock()
			a.ready = warm
			if a.users == 0 {
				a.rest(a.hold) // whoever wanted it has gone
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
	case <-time.After(relayTimeout): // it hangs, and heeds no context
		a.log.Warn("relay hangs, the sound does not wait", "timeout", relayTimeout)
		return time.Time{}, nil
	}
}

// Off ends one use that On began. With the last one the amplifier is switched
// off after the hold.
func (a *Amplifier) Off() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users--
	if a.users == 0 {
		a.rest(a.hold)
	}
}

// rest switches off after d, unless somebody wants the amplifier before.
func (a *Amplifier) rest(d time.Duration) {
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
			a.ready = time.Time{} // whoever comes now switches it on behind us
		}
		a.mu.Unlock()
		if !unwanted || a.turn(a.life, false, relayTimeout) {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.users == 0 {
			a.rest(relayRetry)
		}
	})
}

// turn switches the relay; the caller has the turn. No airing's context ends
// it: a relay must not be left half switched because an airing was cancelled.
func (a *Amplifier) turn(ctx context.Context, on bool, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := a.relay.Switch(ctx, on); err != nil {
		a.log.Error("relay failed", "on", on, "err", err)
		return false
	}
	a.log.Info("amplifier switched", "on", on)
	return true
}

// Close switches off at once and closes the relay. What is being switched is
// given up, and a relay that hangs is not waited for longer than a second.
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
		a.turn(context.Background(), false, relayLast*3/4)
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

// until waits for an instant; one in the past is no wait.
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
