package county

import (
	"context"
	"slices"
	"sync"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// mostAtOnce is how many clips are made at once for alerts of a rank and of those
// above it.
const mostAtOnce = 2

// turns has few clips of alerts made at once, the highest rank first. However many
// alerts of a lower rank wait or have their clips made, one of a higher rank has its
// own made at once.
type turns struct {
	mu      sync.Mutex
	running []playlist.Rank
	waiting []*turn
}

// turn is that of an alert which waits.
type turn struct {
	of    emergency.Precedence
	ready chan struct{} // closed when it is its turn
}

// wait waits for the turn of an alert. If ctx ends before, ok is false; else the
// caller calls done when the clip is made.
func (q *turns) wait(ctx context.Context, of emergency.Precedence) (done func(), ok bool) {
	t := &turn{of, make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, t)
	q.next()
	q.mu.Unlock()
	select {
	case <-t.ready:
		return func() { q.done(t) }, true
	case <-ctx.Done():
		q.done(t)
		return nil, false
	}
}

// next has those begin whose turn it is.
func (q *turns) next() {
	slices.SortStableFunc(q.waiting, func(a, b *turn) int { return a.of.Compare(b.of) })
	q.waiting = slices.DeleteFunc(q.waiting, func(t *turn) bool {
		n := 0
		for _, r := range q.running {
			if r >= t.of.Rank {
				n++
			}
		}
		if n >= mostAtOnce {
			return false
		}
		q.running = append(q.running, t.of.Rank)
		close(t.ready)
		return true
	})
}

// done ends a turn, whether it had begun or not.
func (q *turns) done(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else if i := slices.Index(q.running, t.of.Rank); i >= 0 {
		q.running = slices.Delete(q.running, i, i+1)
	}
	q.next()
}
