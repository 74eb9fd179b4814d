package player

import (
	"cmp"
	"slices"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

// State is how the player stands: what sounds, waits and is owed.
func (p *Player) State() schedule.State {
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
		f.mu.Lock()
		o := f.shown
		o.Taken = slices.Clone(o.Taken)
		f.mu.Unlock()
		s.Open = append(s.Open, o)
	}
	slices.SortFunc(s.Open, func(a, b schedule.Open) int {
		return cmp.Or(a.Course.Due.Compare(b.Course.Due), cmp.Compare(b.Course.Rank(), a.Course.Rank()),
			cmp.Compare(a.Course.Order, b.Course.Order), cmp.Compare(a.Output, b.Output))
	})
	for name, c := range channels {
		if by, ok := c.heldBy(); ok {
			s.Held = append(s.Held, schedule.Held{Output: name, By: by})
		}
	}
	slices.SortFunc(s.Held, func(a, b schedule.Held) int { return cmp.Compare(a.Output, b.Output) })
	return s
}

// heldBy is what has the output, or is about to, if that is no airing: an alert, the
// microphone, or, if the name is empty, a sound by hand.
func (c *Channel) heldBy() (of playlist.AiringID, ok bool) {
	c.ask(func() {
		rank := playlist.RankFiller
		for _, t := range c.turns {
			if !t.rank.Scheduled() && t.rank > rank && (t.begun || len(t.queue) > 0) {
				rank, of, ok = t.rank, t.of, true
			}
		}
	})
	return of, ok
}

// show changes what others see of how the airing stands.
func (f *performance) show(change func(*schedule.Open)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.shown)
	f.shown.Course, f.shown.Above = f.course, f.due.Slot.Above
}

// took shows the clip that was claimed for an item.
func (f *performance) took(c *entry) {
	f.show(func(o *schedule.Open) {
		for len(o.Taken) < c.row.Item {
			o.Taken = append(o.Taken, "")
		}
		o.Taken[c.row.Item-1] = c.row.Clip
	})
}
