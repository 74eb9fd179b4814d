package emergency

import (
	"cmp"
	"time"

	"dalaba/playlist"
)

// Precedence says which of several alerts goes first: the highest rank; of equal
// ones that for the larger area, then the one received earlier.
type Precedence struct {
	Rank     playlist.Rank
	Breadth  int // how many digits name the largest of its areas: the fewer, the larger
	Received time.Time
	ID       playlist.AlertID
}

// Precedence is that of the alert. inherited is the rank of an alert whose place it
// took; zero: it took none.
func (a Alert) Precedence(inherited playlist.Rank, received time.Time) Precedence {
	own, _ := a.Rank()
	p := Precedence{Rank: max(own, inherited), Breadth: 12, Received: received, ID: a.ID}
	for _, area := range a.Areas {
		p.Breadth = min(p.Breadth, area.Breadth())
	}
	return p
}

// Compare is below zero if the alert of p goes before that of q.
func (p Precedence) Compare(q Precedence) int {
	return cmp.Or(cmp.Compare(q.Rank, p.Rank), cmp.Compare(p.Breadth, q.Breadth), p.Received.Compare(q.Received), cmp.Compare(p.ID, q.ID))
}
