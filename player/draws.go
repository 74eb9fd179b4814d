package player

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

const (
	drawAtOnce  = 50 * time.Millisecond  // instants closer than this are one
	drawSettles = 120 * time.Millisecond // for what has waited: others that became free at that instant have shown by then
	drawClaims  = 60 * time.Millisecond  // for the claim, before outputs begin together
	drawWaits   = 500 * time.Millisecond // at most, for those that go first: a slow disk must not hold up another output
)

// draws has the airings that take clips from one playlist at one instant, on whatever
// outputs, take them in the order of the rules: the higher rank first, then the place.
type draws struct {
	mu  sync.Mutex
	all []*draw
}

// draw is a clip that an airing will take.
type draw struct {
	list  string    // the playlist
	at    time.Time // zero: not known, it waits for its output
	rank  playlist.Rank
	place schedule.Place
	done  chan struct{} // closed once it is taken, or will not be
}

// announce says that a clip will be taken at that instant, which is monotonic.
func (d *draws) announce(w draw) *draw {
	w.done = make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, &w)
	return &w
}

// over says that the clip is taken, or will not be. It may be called again.
func (d *draws) over(w *draw) {
	if w == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.all, w); i >= 0 {
		d.all = slices.Delete(d.all, i, i+1)
		close(w.done)
	}
}

// turn waits until those that go before the draw are over, but not for long: one that
// keeps it waiting until then is not waited for by others either.
func (d *draws) turn(ctx context.Context, w *draw) {
	if w == nil {
		return
	}
	patience := time.NewTimer(drawWaits)
	defer patience.Stop()
	for {
		first := d.before(w)
		if first == nil {
			return
		}
		select {
		case <-first.done:
		case <-patience.C:
			d.over(first)
			return
		case <-ctx.Done():
			return
		}
	}
}

func (d *draws) before(w *draw) *draw {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(o *draw) bool { return o.list == w.list && !o.at.IsZero() && o.compare(w) < 0 })
	if i < 0 {
		return nil
	}
	return d.all[i]
}

// contested reports whether another airing will take a clip from the same playlist.
func (d *draws) contested(w *draw) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.all, func(o *draw) bool { return o.list == w.list && (o.rank != w.rank || o.place != w.place) })
}

func (w *draw) compare(o *draw) int {
	if gap := w.at.Sub(o.at); gap.Abs() > drawAtOnce {
		return cmp.Compare(gap, 0)
	}
	return cmp.Or(cmp.Compare(o.rank, w.rank), w.place.Compare(o.place))
}
