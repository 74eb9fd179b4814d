// Package clock decides whether the wall clock of a controller may be trusted.
//
// A pole often has no clock battery: after a power cut its clock may show 1970,
// or the day on which it last knew better. Routine slots wait until a [Watch]
// says that the clock is trusted; emergencies do not.
package clock

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/devices"
	"dalaba/playlist"
)

const (
	commandTimeout = 5 * time.Second  // of the config's clock command
	commandEvery   = 30 * time.Second // between two runs of it
	maxStep        = 2 * time.Second  // a larger step against the time since boot: the clock was set
)

// Slack is how far the clock may lie behind the last recorded instant before it
// counts as having lost the time.
const Slack = time.Minute

// Facts is what a Watch remembers across restarts. data.Store implements it.
type Facts interface {
	// Floor returns the latest instant that a trusted clock is known to have
	// passed; zero if there is none.
	Floor(ctx context.Context) (time.Time, error)
	SetFloor(ctx context.Context, at time.Time) error

	// ClockVouched returns the boot in which something last vouched for the
	// clock, and when by that clock the boot began.
	ClockVouched(ctx context.Context) (boot string, began time.Time, err error)
	SetClockVouched(ctx context.Context, boot string, began time.Time) error
}

// Watch decides whether the wall clock may be trusted.
//
// Something must vouch for the clock: the kernel, which NTP sets, the program or
// the file that the config names, or the county. From then on the clock is
// trusted for as long as the machine runs, with or without a further word, until
// it is set without a word for that, or shows less than a trusted clock showed
// before. A word for the clock outranks that record, because a wrong time may
// once have put the record far ahead. A battery clock, which only the config
// calls good, does not outrank it.
//
// Look belongs to one goroutine; the other methods may be called by any.
type Watch struct {
	log    *slog.Logger
	now    func() time.Time
	mono   func() time.Duration // since boot, suspension included
	kernel func() bool          // whether NTP sets the clock
	boot   string
	facts  Facts

	source atomic.Value // playlist.ClockSource
	state  atomic.Value // playlist.ClockState

	mu      sync.Mutex
	agreed  bool // the county's time agreed since the last look
	differs bool // the county's time differed when it last came

	// The fields below belong to the goroutine that calls Look.
	vouched bool      // something has vouched for the clock in this boot
	began   time.Time // start of the boot by the clock, at the last look
	asked   time.Time // when the command last ran
	said    bool      // its result
	told    bool      // the log says that the clock is behind the record
	floor   time.Time // as last read
}

// NewWatch makes a watch of a clock that is untrusted until the first look.
func NewWatch(source playlist.ClockSource, now func() time.Time, facts Facts, log *slog.Logger) *Watch {
	w := &Watch{log: log, now: now, mono: Uptime, kernel: synchronised, boot: Boot(), facts: facts}
	w.source.Store(source)
	w.state.Store(playlist.ClockUntrusted)
	return w
}

// synchronised reports whether the kernel says that NTP sets the clock. It says
// nothing of a clock that a test has moved.
func synchronised() bool {
	ok, err := devices.Synchronised()
	return err == nil && ok && os.Getenv(offsetFile) == ""
}

// Trust returns the state at the last look.
func (w *Watch) Trust() playlist.ClockState { return w.state.Load().(playlist.ClockState) }

// Follow goes by another source from the next look on.
func (w *Watch) Follow(source playlist.ClockSource) { w.source.Store(source) }

// County takes in what time it is at the county, give or take within. A clock
// that agrees is vouched for. A clock that does not is untrusted until something
// else vouches for it.
func (w *Watch) County(at time.Time, within time.Duration) {
	off := w.now().Sub(at)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agreed = off.Abs() <= within
	if !w.agreed && !w.differs {
		w.log.Error("clock is off the county's time", "off_ms", off.Milliseconds())
	}
	w.differs = !w.agreed
}

// Look looks at the clock and reports whether its state has changed.
func (w *Watch) Look(ctx context.Context) (changed bool) {
	state := playlist.ClockUntrusted
	if w.good(ctx) {
		state = playlist.ClockTrusted
	}
	return w.state.Swap(state) != state
}

func (w *Watch) good(ctx context.Context) bool {
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
	if step.Abs() <= maxStep {
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
	case behind > Slack:
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
		w.log.Error("clock was set and no source confirms it", "by_s", int(step.Seconds()))
		w.vouched = false
	}
	return w.vouched
}

// vouch notes that something vouches for the clock as it is now.
func (w *Watch) vouch(ctx context.Context, now time.Time, behind time.Duration, anew bool) {
	w.mu.Lock()
	w.differs = false
	w.mu.Unlock()
	if behind > Slack {
		w.log.Warn("clock confirmed, earlier records were ahead of it", "floor", w.floor, "ahead_s", int(behind.Seconds()))
		if err := w.facts.SetFloor(ctx, now); err != nil {
			w.log.Error("fact not stored", "key", "floor", "err", err)
		}
	}
	w.told = false
	if w.vouched && !anew {
		return
	}
	w.vouched = true
	if err := w.facts.SetClockVouched(ctx, w.boot, w.began); err != nil && ctx.Err() == nil {
		w.log.Error("fact not stored", "key", "clock_vouched", "err", err)
	}
}

// recall remembers that an earlier run of the daemon found the clock vouched for,
// if that was in this boot and the clock has not been set since.
func (w *Watch) recall(ctx context.Context, began time.Time) {
	w.began = began
	boot, then, err := w.facts.ClockVouched(ctx)
	if err == nil && boot != "" && boot == w.boot && began.Sub(then).Abs() <= maxStep {
		w.vouched = true
	}
}

// word reports whether the config's file or program vouches for the clock.
func (w *Watch) word(ctx context.Context) bool {
	source := w.source.Load().(playlist.ClockSource)
	switch {
	case source.File() != "":
		_, err := os.Stat(source.File())
		return err == nil
	case source.Command() != "":
		if w.asked.IsZero() || time.Since(w.asked) > commandEvery {
			w.asked, w.said = time.Now(), w.command(ctx, source.Command())
		}
		return w.said
	}
	return false
}

func (w *Watch) command(ctx context.Context, line string) bool {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	words := strings.Fields(line)
	return exec.CommandContext(ctx, words[0], words[1:]...).Run() == nil
}
