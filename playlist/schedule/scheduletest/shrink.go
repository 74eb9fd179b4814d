package scheduletest

import (
	"slices"

	"dalaba/playlist"
)

// Shrink takes away from the programme what it can, as long as fails still reports
// true of what is left, and returns that.
func Shrink(p *playlist.Programme, fails func(*playlist.Programme) bool) *playlist.Programme {
	for again := true; again; {
		again = false
		for _, change := range changesTo(p) {
			q := clone(p)
			if change(q); !fails(q) {
				continue
			}
			p, again = q, true
			break
		}
	}
	return p
}

// clone copies all that a change may change.
func clone(p *playlist.Programme) *playlist.Programme {
	q := *p
	q.Outputs, q.Quiet = slices.Clone(p.Outputs), slices.Clone(p.Quiet)
	q.Playlists, q.Slots = slices.Clone(p.Playlists), slices.Clone(p.Slots)
	for i := range q.Playlists {
		q.Playlists[i].Clips = slices.Clone(q.Playlists[i].Clips)
	}
	for i := range q.Slots {
		q.Slots[i].Outputs = slices.Clone(q.Slots[i].Outputs)
	}
	return &q
}

// changesTo returns the single steps that make a programme smaller.
func changesTo(p *playlist.Programme) (steps []func(*playlist.Programme)) {
	step := func(f func(*playlist.Programme)) { steps = append(steps, f) }
	for i := range p.Slots {
		step(func(q *playlist.Programme) { q.Slots = slices.Delete(q.Slots, i, i+1) })
	}
	for i := range p.Quiet {
		step(func(q *playlist.Programme) { q.Quiet = slices.Delete(q.Quiet, i, i+1) })
	}
	for i, o := range p.Outputs {
		named := func(name string) bool { return name == o.Name }
		if slices.ContainsFunc(p.Slots, func(s playlist.Slot) bool { return slices.ContainsFunc(s.Outputs, named) && len(s.Outputs) == 1 }) {
			continue
		}
		step(func(q *playlist.Programme) {
			q.Outputs = slices.Delete(q.Outputs, i, i+1)
			for j := range q.Slots {
				q.Slots[j].Outputs = slices.DeleteFunc(q.Slots[j].Outputs, named)
			}
		})
	}
	for i, l := range p.Playlists {
		for j := range l.Clips {
			if len(l.Clips) > 1 {
				step(func(q *playlist.Programme) { q.Playlists[i].Clips = slices.Delete(q.Playlists[i].Clips, j, j+1) })
			}
		}
	}
	for i := range p.Slots {
		steps = append(steps, changesToSlot(p.Slots[i], i)...)
	}
	return steps
}

func changesToSlot(s playlist.Slot, i int) (steps []func(*playlist.Programme)) {
	step := func(unlike bool, f func(*playlist.Slot)) {
		if unlike {
			steps = append(steps, func(q *playlist.Programme) { f(&q.Slots[i]) })
		}
	}
	for j := range s.Outputs {
		step(len(s.Outputs) > 1, func(s *playlist.Slot) { s.Outputs = slices.Delete(s.Outputs, j, j+1) })
	}
	step(s.Count > 1, func(s *playlist.Slot) { s.Count-- })
	step(s.Chime, func(s *playlist.Slot) { s.Chime = false })
	step(s.From != "" || s.To != "" || s.Except != nil || s.Days != 0, func(s *playlist.Slot) { s.From, s.To, s.Except, s.Days, s.Calendar = "", "", nil, 0, nil })
	step(s.Missed != playlist.MissedSkip, func(s *playlist.Slot) { s.Missed, s.Until = playlist.MissedSkip, 0 })
	step(s.Until != 0, func(s *playlist.Slot) { s.Until = 0 })
	step(s.IntoQuiet != playlist.QuietCut, func(s *playlist.Slot) { s.IntoQuiet = playlist.QuietCut })
	step(s.After != playlist.AfterRejoin, func(s *playlist.Slot) { s.After = playlist.AfterRejoin })
	step(s.Priority != playlist.DefaultPriority, func(s *playlist.Slot) { s.Priority = playlist.DefaultPriority })
	step(s.Window != playlist.DefaultWindow, func(s *playlist.Slot) { s.Window = playlist.DefaultWindow })
	return steps
}
