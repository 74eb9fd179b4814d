package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// bars are the lines at the end of a terminal that are drawn again and again. What else
// goes to the terminal is written above them: they are wiped before it and drawn after.
type bars struct {
	out io.Writer

	mu    sync.Mutex
	lines []string // on the screen
}

// draw puts other bars in the place of those on the screen.
func (b *bars) draw(lines ...string) {
	b.above(func() {}, lines)
}

// above has something written above the bars, which are these from then on.
func (b *bars) above(write func(), lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
	write()
	b.lines = lines
	b.put()
}

// Write writes a line of the log above the bars. Any goroutine may call it.
func (b *bars) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
	defer b.put()
	return b.out.Write(p)
}

func (b *bars) wipe() {
	if n := len(b.lines); n > 0 {
		fmt.Fprintf(b.out, "\x1b[%dA\x1b[J", n)
	}
}

func (b *bars) put() {
	if len(b.lines) > 0 {
		fmt.Fprint(b.out, strings.Join(b.lines, "\n")+"\n")
	}
}
