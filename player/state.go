package player

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// heldWaits is how long outputs are waited for at most to tell what has them.
const heldWaits = 500 * time.Millisecond

// State is how the player stands: what sounds, waits and is owed, and what the ledger has
// of that. If the ledger fails, it is how the player stands all the same.
func (p *Player) State(ctx context.Context) schedule.State {
	var s schedule.State
	for range stateTries { // a clip that is taken meanwhile would be in one of the two only
		before, err := p.cursors(ctx)
		s = p.stands()
		for i, o := range s.Open {
			if err == nil {
				var rows []asrun.Row
				rows, err = p.Ledger.Rows(ctx, o.Course.ID)
				s.Open[i].Taken = schedule.Taken(rows)
			}
		}
		if err == nil {
			s.Cursors, err = p.cursors(ctx)
		}
		if err != nil {
			p.Log.Error("state not read", "err", err)
			return s
		}
		if maps.Equal(before, s.Cursors) {
			break
		}
	}
	return s
}

const stateTries = 5

// cursors are the places that the playlists have reached.
func (p *Player) cursors(ctx context.Context) (map[string]playlist.Cursor, error) {
	all := map[string]playlist.Cursor{}
	for _, l := range p.Programme().Playlists {
		c, err := p.Ledger.Cursor(ctx, l.Name)
		if err != nil {
			return nil, err
		}
		all[l.Name] = c
	}
	return all, nil
}

// stands is how the player stands, without what only the ledger has.
func (p *Player) stands() schedule.State {
	p.mu.Lock()
	s := schedule.State{At: p.Wall(), Asked: p.handedOut, Open: []schedule.Open{}, Held: []schedule.Held{}, Clock: p.Trust()}
	var performing []*performance
	for _, f := range p.performing {
		performing = append(performing, f)
	}
	channels := make(map[string]*Channel, len(p.channels))
	for name, c := range p.channels {
		channels[name] = c
	}
	p.mu.Unlock()
	if s.Asked.IsZero() {
		s.Asked = s.At
	}
	for _, f := range performing {
		if o, ok := f.stands(); ok {
			s.Open = append(s.Open, o)
		}
	}
	slices.SortFunc(s.Open, func(a, b schedule.Open) int {
		return cmp.Or(a.Course.Due.Compare(b.Course.Due), cmp.Compare(b.Course.Rank(), a.Course.Rank()),
			cmp.Compare(a.Course.Order, b.Course.Order), cmp.Compare(a.Output, b.Output))
	})
	s.Held = append(s.Held, held(channels)...)
	return s
}

// held are the outputs that something else than an airing has, by name. Of an output
// whose driver hangs nothing is known: others are not kept waiting for it.
func held(channels map[string]*Channel) (all []schedule.Held) {
	told := make(chan schedule.Held, len(channels))
	waits := 0
	for name, c := range channels {
		if c.post(func() { told <- schedule.Held{Output: name, By: c.heldBy()} }) {
			waits++
		}
	}
	patience := time.NewTimer(heldWaits)
	defer patience.Stop()
	for waits > 0 {
		select {
		case h := <-told:
			if waits--; h.By != "" {
				all = append(all, h)
			}
		case <-patience.C:
			waits = 0
		}
	}
	slices.SortFunc(all, func(a, b schedule.Held) int { return cmp.Compare(a.Output, b.Output) })
	return all
}

// heldBy is what has the output, or is about to, if that is no airing: an alert, the
// microphone, a sound by hand; empty if nothing is.
func (c *Channel) heldBy() (of playlist.AiringID) {
	rank := playlist.RankFiller
	for _, t := range c.turns {
		if !t.rank.Scheduled() && t.rank > rank && (t.begun || len(t.queue) > 0) {
			rank, of = t.rank, t.of
		}
	}
	return of
}

// stands is how the airing stands; ok is false if it is over.
func (f *performance) stands() (o schedule.Open, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown, !f.over
}

// hide says that the airing is over: all that is left is to write its rows.
func (f *performance) hide() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

// show changes what others see of how the airing stands.
func (f *performance) show(change func(*schedule.Open)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = false
	change(&f.shown)
	f.shown.Course, f.shown.Above = f.course, f.due.Slot.Above
}
