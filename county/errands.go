package county

import (
	"context"
	"sync"
)

// errands are what goes on after its request was answered. A county that ends waits for
// them.
type errands struct {
	group sync.WaitGroup
	life  context.Context
	end   context.CancelFunc
}

func newErrands() *errands {
	var w errands
	w.life, w.end = context.WithCancel(context.Background())
	return &w
}

// do calls f in a goroutine. Its context ends with the county: it is for what the next
// run takes up again.
func (w *errands) do(f func(context.Context)) { w.group.Go(func() { f(w.life) }) }

// finish ends the errands and waits until they have ended.
func (w *errands) finish() {
	w.end()
	w.group.Wait()
}
