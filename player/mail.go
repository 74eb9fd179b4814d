package player

import "sync"

// requests are functions that other goroutines have the channel's run, in order.
type requests struct {
	ring   chan struct{} // something is waiting
	mu     sync.Mutex
	queue  []func()
	closed bool
}

// post has f run on the channel's goroutine, and does not wait for it; false
// if the channel has ended, and f will not run.
func (c *Channel) post(f func()) bool {
	c.mail.mu.Lock()
	defer c.mail.mu.Unlock()
	if c.mail.closed {
		return false
	}
	c.mail.queue = append(c.mail.queue, f)
	select {
	case c.mail.ring <- struct{}{}:
	default:
	}
	return true
}

// serve runs what was posted. The last call closes the channel to more.
func (c *Channel) serve(last bool) {
	c.mail.mu.Lock()
	all := c.mail.queue
	c.mail.queue, c.mail.closed = nil, last
	c.mail.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// ask has f run on the channel's goroutine and waits for it; false if the
// channel has ended.
func (c *Channel) ask(f func()) bool {
	ran := make(chan struct{})
	if !c.post(func() { defer close(ran); f() }) {
		return false
	}
	<-ran
	return true
}
