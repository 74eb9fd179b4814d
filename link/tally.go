package link

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dalaba/playlist"
)

const (
	tallyEvery  = time.Minute
	tallyCauses = 1024 // causes that are counted apart; all others of a message count as one
)

// Tally logs what others can cause as often as they like. It logs the first of a
// cause at once, and then, once a minute, one line with the number of those that
// followed.
type Tally struct {
	mu     sync.Mutex
	causes map[cause]*counted
}

// cause is what counts as the same: who caused which message by which kind of error.
type cause struct{ who, message, kind string }

// counted are the events of one cause that are not logged yet.
type counted struct {
	more  int
	log   *slog.Logger
	level slog.Level
	args  []any // of the last of them
	timer *time.Timer
}

// Warn logs an event, or counts it if its cause was logged less than a minute ago. who
// is who or what has caused it.
func (t *Tally) Warn(log *slog.Logger, who, message string, err error, args ...any) {
	t.add(log, slog.LevelWarn, who, message, err, args...)
}

// add is [Tally.Warn] for any level.
func (t *Tally) add(log *slog.Logger, level slog.Level, who, message string, err error, args ...any) {
	if err != nil {
		args = append(args, "err", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.causes == nil {
		t.causes = map[cause]*counted{}
	}
	c := cause{who, message, errorKind(err)}
	n := t.causes[c]
	if n == nil && len(t.causes) >= tallyCauses {
		c = cause{message: message}
		n = t.causes[c]
	}
	if n != nil {
		n.more++
		n.log, n.level, n.args = log, level, args
		return
	}
	n = &counted{}
	n.timer = time.AfterFunc(tallyEvery, func() { t.minute(c, n) })
	t.causes[c] = n
	log.Log(context.Background(), level, message, args...)
}

// minute logs what was counted of a cause in a minute. A cause of which there was
// nothing is forgotten.
func (t *Tally) minute(c cause, n *counted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.causes[c] != n:
	case n.more == 0:
		delete(t.causes, c)
	default:
		n.flush(c)
		n.timer.Reset(tallyEvery)
	}
}

// Flush logs all that was counted and not logged yet.
func (t *Tally) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c, n := range t.causes {
		n.timer.Stop()
		n.flush(c)
	}
	clear(t.causes)
}

func (n *counted) flush(c cause) {
	if n.more > 0 {
		n.log.Log(context.Background(), n.level, c.message, append(n.args, "times", n.more)...)
	}
	n.more, n.log, n.args = 0, nil, nil
}

// errorKind returns what kind of error it is: there are few kinds, but the texts of
// errors are without number.
func errorKind(err error) string {
	for _, k := range []error{
		ErrOversized, ErrTruncated, ErrMalformed, ErrSignature, ErrWrongType, ErrUnknown, ErrDisabled, ErrImposter, ErrGap, ErrTaken, ErrCode, ErrCodeUsed,
		ErrProof, errTooMany, errSource, errStrangers, errGuests, playlist.ErrInvalid,
	} {
		if errors.Is(err, k) {
			return k.Error()
		}
	}
	return ""
}
