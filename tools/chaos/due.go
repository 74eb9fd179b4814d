package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// due returns the rows that must be in the log, and those that may be. They
// differ for airings close to a change of config, which only one of the two
// configs may have.
func (h *harness) due() (must, may map[asrun.RowKey]playlist.Airing) {
	must, may = map[asrun.RowKey]playlist.Airing{}, map[asrun.RowKey]playlist.Airing{}
	s := h.site
	from, to := h.lives[1].watermark, s.versions[s.latest()].known.Add(changing)
	all := make([]map[playlist.AiringID]playlist.Airing, len(s.versions))
	for i, v := range s.versions {
		all[i] = map[playlist.AiringID]playlist.Airing{}
		for _, a := range v.programme.Timetable().Due(from, to) {
			all[i][a.ID] = a
		}
	}
	for i := range all {
		for id, a := range all[i] {
			in := h.inForce(a.Due)
			if !slices.Contains(in, i) {
				continue
			}
			certain := !slices.ContainsFunc(in, func(v int) bool { _, ok := all[v][id]; return !ok })
			for _, out := range a.Slot.Outputs {
				for item := 1; item <= a.Slot.Count; item++ {
					k := asrun.RowKey{Airing: id, Output: out, Item: item}
					may[k] = a
					if certain {
						must[k] = a
					}
				}
			}
		}
	}
	return must, may
}

// inForce returns the versions of the config that may have been in force at an
// instant.
func (h *harness) inForce(at time.Time) (all []int) {
	vs := h.site.versions
	for i, v := range vs {
		over := time.Time{} // when a later one was known to be in force
		for _, later := range vs[i+1:] {
			if !later.known.IsZero() {
				over = later.known.Add(changing)
				break
			}
		}
		if i > 0 && at.Before(v.since) || !over.IsZero() && at.After(over) {
			continue
		}
		all = append(all, i)
	}
	// At its start, the controller looks up what fell due while it was off, back
	// to its watermark, in the config that it starts with.
	for _, l := range h.lives {
		if at.After(l.watermark) && !at.After(l.start) && !l.watermark.IsZero() && !slices.Contains(all, l.version) {
			all = append(all, l.version)
		}
	}
	return all
}

// checkDue compares the log with what was due: each airing has its rows, and
// no other rows exist.
func (j *judgement) checkDue(must, may map[asrun.RowKey]playlist.Airing) {
	have := map[asrun.RowKey]bool{}
	for _, r := range j.rows {
		k := asrun.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}
		have[k] = true
		a, ok := may[k]
		if !ok {
			// The first life had no watermark yet: what it aired is not judged.
			if r.Due.After(j.lives[1].watermark) {
				j.breach("%v: nothing was due", r)
			}
			continue
		}
		if r.Part > 0 || r.Reason != asrun.ReasonOff {
			continue
		}
		if _, ok := must[k]; !ok {
			j.foreign++
			continue
		}
		j.checkOff(r, a)
	}
	var lost []asrun.RowKey
	for k := range must {
		if !have[k] {
			lost = append(lost, k)
		}
	}
	slices.SortFunc(lost, func(a, b asrun.RowKey) int {
		return cmp.Or(must[a].Due.Compare(must[b].Due), cmp.Compare(a.Airing, b.Airing), cmp.Compare(a.Output, b.Output), cmp.Compare(a.Item, b.Item))
	})
	for _, k := range lost {
		j.breach("%s on %s item %d: due and no row (%s)", k.Airing, k.Output, k.Item, j.around(must[k].Due))
	}
}

// checkOff checks a row that says that the controller was off: no life covers
// the whole window of its airing.
func (j *judgement) checkOff(r *row, a playlist.Airing) {
	for _, l := range j.lives {
		if l.start.Before(a.Due.Add(-j.slowly(changing))) && l.end.After(a.Due.Add(a.Slot.Window+j.slowly(time.Second))) {
			j.breach("%v: said to have been off, yet life %d went from %v before it to %v after", r, l.n,
				a.Due.Sub(l.start).Round(time.Millisecond), l.end.Sub(a.Due).Round(time.Millisecond))
		}
	}
}

// around says in which life, or between which lives, an instant lies.
func (j *judgement) around(at time.Time) string {
	for i, l := range j.lives {
		switch {
		case at.Before(l.start) && i == 0:
			return "before the first life"
		case at.Before(l.start):
			return fmt.Sprintf("between life %d and the next", j.lives[i-1].n)
		case at.Before(l.end):
			return fmt.Sprintf("%v into life %d, %v before its end", at.Sub(l.start).Round(time.Millisecond), l.n, l.end.Sub(at).Round(time.Millisecond))
		}
	}
	return "after the last life"
}
