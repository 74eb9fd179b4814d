package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/devices"
	"dalaba/playlist"
)

const (
	clockProgram = 5 * time.Second  // a clock command may take this long
	clockAsk     = 30 * time.Second // and is asked this often
	floorSlack   = time.Minute      // a clock this far behind the record has lost the time
	clockStep    = 2 * time.Second  // a clock that goes apart from the time since boot by more was set
)

// clockFacts is what a clock is held to, as the store keeps it. data.Store is
// one.
type clockFacts interface {
	// Floor is the latest instant that a trusted clock is known to have passed.
	Floor(ctx context.Context) (time.Time, error)

	// SetFloor puts it forward or back.
	SetFloor(ctx context.Context, at time.Time) error

	State(ctx context.Context, key string) (value string, ok bool, err error)
	SetState(ctx context.Context, key, value string) error
}

// stateVouched is the store's fact of the boot in which somebody last vouched
// for the clock: its ID and when, by that clock, it began.
const stateVouched = "clock_vouched"

// clockWatch settles whether the wall clock may be believed. Somebody must
// vouch for it: the kernel, which NTP keeps, the program or the file that the
// config names, or the county. From then on it is believed for as long as the
// machine runs, whether or not anybody says so again, until it is set and
// nobody vouches for that, or shows less than what a trusted clock showed
// before. A word for the clock outranks that record, which a wrong time may
// once have put far ahead; a battery clock, of which the config only says that
// it is good, does not.
type clockWatch struct {
	log    *slog.Logger
	now    func() time.Time
	mono   func() time.Duration // since boot, suspension included
	kernel func() bool          // NTP keeps the clock
	boot   string
	facts  clockFacts

	source atomic.Value // playlist.ClockSource
	state  atomic.Value // playlist.ClockState

	mu      sync.Mutex
	agreed  bool // the county's time agrees: not looked at yet
	differs bool // it did not, the last time

	// The rest belongs to whoever looks.
	vouched bool      // somebody has vouched for the clock in this boot
	began   time.Time // when the boot began, by the clock as last looked at
	asked   time.Time // when the command was last asked
	said    bool      // and what it said
	told    bool      // that the clock is behind the record
	floor   time.Time // as last read
}

func newClockWatch(source playlist.ClockSource, now func() time.Time, facts clockFacts, log *slog.Logger) *clockWatch {
	w := &clockWatch{log: log, now: now, mono: uptime, kernel: synchronised, boot: bootID(), facts: facts}
	w.source.Store(source)
	w.state.Store(playlist.ClockUntrusted)
	return w
}

// synchronised is the kernel's word. Of a clock that a test has moved it says
// nothing.
func synchronised() bool {
	ok, err := devices.Synchronised()
	return err == nil && ok && os.Getenv(offsetFile) == ""
}

// trust is the state as last looked at.
func (w *clockWatch) trust() playlist.ClockState { return w.state.Load().(playlist.ClockState) }

// county is told what time it is at the county, give or take within. A clock
// that agrees has its word; one that does not is not believed until somebody
// else vouches for it.
func (w *clockWatch) county(at time.Time, within time.Duration) {
	off := w.now().Sub(at)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agreed = off.Abs() <= within
	if !w.agreed && !w.differs {
		w.log.Error("clock is off the county's time", "off_ms", off.Milliseconds())
	}
	w.differs = !w.agreed
}

// look looks at the clock and says whether its state has changed.
func (w *clockWatch) look(ctx context.Context) (changed bool) {
	state := playlist.ClockUntrusted
	if w.good(ctx) {
		state = playlist.ClockTrusted
	}
	return w.state.Swap(state) != state
}

func (w *clockWatch) good(ctx context.Context) bool {
	w.mu.Lock()
	agreed, differs := w.agreed, w.differs
	w.agreed = false
	w.mu.Unlock()
	now := w.now().Round(0)
	began := now.Add(-w.mono())
	if w.began.IsZero() {
		w.recall(ctx, began)
	}
	step := began.Sub(w.began)
	if step.Abs() <= clockStep {
		step = 0
	}
	w.began = began
	if floor, err := w.facts.Floor(ctx); err == nil {
		w.floor = floor
	}
	behind := w.floor.Sub(now)
	if w.kernel() || agreed || !differs && w.word(ctx) {
		w.vouch(ctx, now, behind, step != 0)
		return true
	}
	switch {
	case behind > floorSlack:
		if !w.told {
			w.told = true
			w.log.Error("clock is behind what was recorded", "floor", w.floor, "behind_s", int(behind.Seconds()))
		}
		w.vouched = false
		return false
	case differs:
		w.vouched = false
		return false
	case w.source.Load() == playlist.ClockBattery:
		return true
	case w.vouched && step != 0:
		w.log.Error("clock was set and nobody vouches for it", "by_s", int(step.Seconds()))
		w.vouched = false
	}
	return w.vouched
}

// vouch takes somebody's word for the clock.
func (w *clockWatch) vouch(ctx context.Context, now time.Time, behind time.Duration, anew bool) {
	w.mu.Lock()
	w.differs = false
	w.mu.Unlock()
	if behind > floorSlack {
		w.log.Warn("clock is right and what was recorded was ahead of it", "floor", w.floor, "ahead_s", int(behind.Seconds()))
		if err := w.facts.SetFloor(ctx, now); err != nil {
			w.log.Error("state not kept", "key", "floor", "err", err)
		}
	}
	w.told = false
	if w.vouched && !anew {
		return
	}
	w.vouched = true
	if err := w.facts.SetState(ctx, stateVouched, w.boot+" "+w.began.UTC().Format(time.RFC3339Nano)); err != nil && ctx.Err() == nil {
		w.log.Error("state not kept", "key", stateVouched, "err", err)
	}
}

// recall finds whether an earlier run of the daemon, in this boot of the
// machine, had somebody's word for the clock, which has not been set since.
func (w *clockWatch) recall(ctx context.Context, began time.Time) {
	w.began = began
	v, _, err := w.facts.State(ctx, stateVouched)
	boot, at, ok := strings.Cut(v, " ")
	if err != nil || !ok || boot != w.boot || boot == "" {
		return
	}
	if then, err := time.Parse(time.RFC3339Nano, at); err == nil && began.Sub(then).Abs() <= clockStep {
		w.vouched = true
	}
}

// word is what the config's file or program says.
func (w *clockWatch) word(ctx context.Context) bool {
	source := w.source.Load().(playlist.ClockSource)
	switch {
	case source.File() != "":
		_, err := os.Stat(source.File())
		return err == nil
	case source.Command() != "":
		if w.asked.IsZero() || time.Since(w.asked) > clockAsk {
			w.asked, w.said = time.Now(), w.command(ctx, source.Command())
		}
		return w.said
	}
	return false
}

func (w *clockWatch) command(ctx context.Context, line string) bool {
	ctx, cancel := context.WithTimeout(ctx, clockProgram)
	defer cancel()
	words := strings.Fields(line)
	return exec.CommandContext(ctx, words[0], words[1:]...).Run() == nil
}

// offsetFile is the environment's name of a file that holds a duration, such
// as "-1h", which is added to the wall clock and read each second. It is for
// tests alone: they must not set the machine's clock.
const offsetFile = "DALABA_CLOCK_OFFSET_FILE"

// wallClock is the clock that everything in the daemon goes by.
func wallClock() func() time.Time {
	path := os.Getenv(offsetFile)
	if path == "" {
		return time.Now
	}
	var (
		mu     sync.Mutex
		read   time.Time
		offset time.Duration
	)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if read.IsZero() || time.Since(read) >= time.Second {
			read = time.Now()
			if b, err := os.ReadFile(path); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(b))); err == nil {
					offset = d
				}
			}
		}
		return time.Now().Add(offset)
	}
}

// bootID names this boot of the machine.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// uptime is the time since boot, suspension included.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
