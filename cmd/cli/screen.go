package cli

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
)

const (
	screenHolds = 1 << 20          // bytes that wait for a slow reader; what comes after is left out
	screenSlow  = 5 * time.Second  // a write that takes longer is reported
	screenEnd   = 10 * time.Second // without a write that succeeds, after which the end of a program waits no longer
)

// Screen is the standard output or the standard error of a program: a terminal,
// a pipe or a file. Writes go straight to it, until [App.Detach]. From then on a
// write only queues the bytes: it never waits and never fails, whatever
// becomes of the reader.
type Screen struct {
	name string // stdout or stderr
	to   io.Writer

	mu       sync.Mutex
	fault    error // the first of a direct write
	detached bool
	queue    [][]byte
	size     int           // bytes in the queue
	wake     chan struct{} // holds one token: there is something in the queue
	writing  bool
	writes   int // that have ended

	log  *slog.Logger // nil: not known yet
	lost int          // writes that were left out since the screen was last in order
	bad  error        // why; nil: it is in order
	told bool         // the log has that
}

func newScreen(name string, to io.Writer) *Screen {
	return &Screen{name: name, to: to, wake: make(chan struct{}, 1)}
}

// Fd returns the file descriptor, or one that is never open if the screen is no
// file.
func (s *Screen) Fd() uintptr {
	if f, ok := s.to.(*os.File); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the columns of a terminal, 0 if w is none.
func Width(w io.Writer) int {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// Write writes to the screen or, once it is detached, has it written.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	if !s.detached {
		s.mu.Unlock()
		n, err := s.to.Write(b)
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.fault == nil {
				s.fault = err
			}
		}
		return n, err
	}
	if s.size+len(b) > screenHolds {
		s.lost++
		s.mu.Unlock()
		go s.report(errSlow) // who writes may hold what the log needs, to write here too
		return len(b), nil
	}
	s.queue = append(s.queue, bytes.Clone(b))
	s.size += len(b)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

var errSlow = errors.New("its reader does not read")

// failed returns the first error of a direct write.
func (s *Screen) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// drain writes what is queued, as long as the program lives: a write that the
// reader never takes cannot be ended.
func (s *Screen) drain() {
	for range s.wake {
		for {
			b := s.next()
			if b == nil {
				break
			}
			slow := time.AfterFunc(screenSlow, func() { s.report(errSlow) })
			_, err := s.to.Write(b)
			slow.Stop()
			s.wrote(err)
		}
	}
}

// next takes the oldest bytes out of the queue; nil: there are none.
func (s *Screen) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = len(s.queue) > 0
	if !s.writing {
		return nil
	}
	b := s.queue[0]
	s.queue = s.queue[1:]
	s.size -= len(b)
	return b
}

// wrote notes how a write ended. The screen is in order again once it has taken all
// that waited.
func (s *Screen) wrote(err error) {
	s.mu.Lock()
	s.writes++
	if err != nil {
		s.lost++
	}
	waits := len(s.queue) > 0
	s.mu.Unlock()
	if err != nil || !waits {
		s.report(err)
	}
}

// report has the log tell that the screen cannot be written, once, and that it
// can be again.
func (s *Screen) report(err error) {
	s.mu.Lock()
	log, lost := s.log, s.lost
	again := err == nil && s.bad != nil && s.told
	switch {
	case err == nil && s.bad != nil && (s.told || log == nil):
		s.bad, s.told, s.lost = nil, false, 0
	case err != nil && s.bad == nil:
		s.bad = err
	}
	now := s.bad != nil && !s.told && log != nil
	if now {
		s.told = true
	}
	err = s.bad
	s.mu.Unlock()
	if now {
		log.Warn("screen cannot be written", "stream", s.name, "err", err)
	}
	if again {
		log.Info("screen can be written again", "stream", s.name, "lost", lost)
	}
}

// detach has writes queued from now on.
func (s *Screen) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.detached {
		return
	}
	s.detached = true
	go s.drain()
}

// flush waits until all that was queued is written, or the reader takes nothing
// any more.
func (s *Screen) flush() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last, since := -1, time.Now()
	for {
		s.mu.Lock()
		idle, writes := len(s.queue) == 0 && !s.writing, s.writes
		s.mu.Unlock()
		if writes != last {
			last, since = writes, time.Now()
		}
		if idle || time.Since(since) > screenEnd {
			return
		}
		<-tick.C
	}
}

// Detach makes the program independent of its screen, for one that must not stop
// when a pipe is closed, a disk is full, or a terminal is stopped or hung up. What
// the screen does not take is left out.
func (a *App) Detach() {
	// A closed pipe is an error of the write. Notify, and not Ignore, which
	// children would inherit; nobody reads the channel.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
	signal.Ignore(syscall.SIGTTOU) // a terminal may stop those who write from the background
	for _, s := range a.screens {
		s.detach()
	}
}

// ReportScreens has faults of the screens logged, those before too.
func (a *App) ReportScreens(log *slog.Logger) {
	for _, s := range a.screens {
		s.mu.Lock()
		s.log = log
		bad := s.bad
		s.mu.Unlock()
		if bad != nil {
			s.report(bad)
		}
	}
}
