package playlist

import (
	"cmp"
	"container/heap"
	"iter"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Timetable says what falls due when. The same question always has the same answer;
// questions in order of time are fast. One goroutine uses it.
type Timetable struct {
	programme *Programme
	at        time.Time // upcoming holds each slot's first due instant after this
	upcoming  upcoming
}

// Timetable makes the programme's timetable. The programme must not change
// under it.
func (p *Programme) Timetable() *Timetable { return &Timetable{programme: p} }

// Due returns what fell due in (last, now], by due instant, then the higher
// priority, then the slots' order in the config. It is empty if now is not
// after last: after a clock was set back nothing falls due twice.
func (t *Timetable) Due(last, now time.Time) []Airing {
	last, now = last.Round(0), now.Round(0) // as the wall clock says, whatever passed between them
	if !now.After(last) {
		return nil
	}
	t.seek(last)
	var due []Airing
	for len(t.upcoming) > 0 && !t.upcoming[0].due.After(now) {
		due = append(due, t.pop())
	}
	t.at = now
	return due
}

// After yields what falls due strictly after at, in the order of [Due],
// without end unless the schedule has one.
func (t *Timetable) After(at time.Time) iter.Seq[Airing] {
	return func(yield func(Airing) bool) {
		t.seek(at)
		defer func() { t.upcoming = nil }() // the heap has moved past t.at
		for len(t.upcoming) > 0 {
			if !yield(t.pop()) {
				return
			}
		}
	}
}

func (t *Timetable) seek(at time.Time) {
	if t.upcoming != nil && t.at.Equal(at) {
		return
	}
	t.at = at
	// A thousand slots take a sixth of a millisecond: beyond, every core helps.
	const share = 1024
	slots := t.programme.Slots
	parts := make([]upcoming, min(runtime.GOMAXPROCS(0), len(slots)/share+1))
	var work sync.WaitGroup
	for n := range parts {
		work.Go(func() {
			from, to := n*len(slots)/len(parts), (n+1)*len(slots)/len(parts)
			part := make(upcoming, 0, to-from)
			for i := from; i < to; i++ {
				if due, ok := slots[i].Next(at, t.programme.Site.Zone); ok {
					part = append(part, turn{due, i, slots[i].Rank()})
				}
			}
			parts[n] = part
		})
	}
	work.Wait()
	t.upcoming = slices.Concat(parts...)
	if t.upcoming == nil {
		t.upcoming = upcoming{} // asked, and there is nothing
	}
	heap.Init(&t.upcoming)
}

func (t *Timetable) pop() Airing {
	head := &t.upcoming[0]
	slot := t.programme.Slots[head.slot]
	airing := Airing{ID: NewAiringID(slot.Name, head.due), Slot: slot.On(head.due, t.programme.Site.Zone), Order: head.slot, Due: head.due}
	if next, ok := slot.Next(head.due, t.programme.Site.Zone); ok {
		head.due = next
		heap.Fix(&t.upcoming, 0)
	} else {
		heap.Pop(&t.upcoming)
	}
	return airing
}

type turn struct {
	due  time.Time
	slot int
	rank Rank
}

type upcoming []turn

func (u upcoming) Len() int { return len(u) }
func (u upcoming) Less(i, j int) bool {
	return cmp.Or(u[i].due.Compare(u[j].due), cmp.Compare(u[j].rank, u[i].rank), cmp.Compare(u[i].slot, u[j].slot)) < 0
}
func (u upcoming) Swap(i, j int) { u[i], u[j] = u[j], u[i] }
func (u *upcoming) Push(x any)   { *u = append(*u, x.(turn)) }
func (u *upcoming) Pop() any {
	last := (*u)[len(*u)-1]
	*u = slices.Delete(*u, len(*u)-1, len(*u))
	return last
}
