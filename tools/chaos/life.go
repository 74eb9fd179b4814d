package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/asrun"
)

// life is one run of the controller, from its start to its end.
type life struct {
	n          int
	start, end time.Time
	up, down   time.Duration    // the same as times since the machine booted
	killed     bool             // by the harness
	watermark  time.Time        // of the store at the start
	version    int              // of the config that it started with
	base       map[string]int64 // frames on each tape at the start
	ends       map[string]int64 // and at the end

	cmd *exec.Cmd
	log *os.File

	mu    sync.Mutex
	lines []line
	more  chan struct{} // closed and replaced with each line
	over  bool
	read  chan struct{}
}

type line struct {
	at   time.Time
	text string
}

// Lines of the controller's log.
const (
	saidStarted  = "msg=started"
	saidReady    = "msg=ready" // it has looked up what is due for the first time
	saidReloaded = `msg="config in force"`
	saidOnAir    = `msg="clip on air"`
	saidDry      = "msg=underrun"
)

// patience is the longest time to wait for a line of the log.
const patience = 2 * time.Minute

// begin starts the controller, and with it a new life.
func (h *harness) begin(ctx context.Context) (*life, error) {
	l := &life{
		n: len(h.lives) + 1, version: h.site.latest(),
		more: make(chan struct{}), read: make(chan struct{}), ends: map[string]int64{},
	}
	var err error
	if l.watermark, err = h.watermark(ctx); err != nil {
		return nil, err
	}
	if l.base, err = h.site.tapes(); err != nil {
		return nil, err
	}
	if l.log, err = os.Create(filepath.Join(h.dir, fmt.Sprintf("life-%04d.log", l.n))); err != nil {
		return nil, err
	}
	l.cmd = h.dalaba(h.program, h.site.config())
	pipe, err := l.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	l.start, l.up = time.Now(), uptime()
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	if v := &h.site.versions[l.version]; v.known.IsZero() {
		v.known = l.start
	}
	go l.listen(pipe)
	h.lives = append(h.lives, l)
	return l, nil
}

// dalaba is the command that runs a controller. The kernel kills the controller
// if the harness ends.
func (h *harness) dalaba(program, config string) *exec.Cmd {
	c := exec.Command(program, "run", "--lang", "en", "--config", config)
	c.Dir = h.dir
	c.Env = append(os.Environ(), "ALSA_CONFIG_PATH="+h.site.alsa, "RUNTIME_DIRECTORY="+filepath.Join(h.dir, "run"))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// listen collects the lines of the log until it ends.
func (l *life) listen(from io.Reader) {
	defer close(l.read)
	for s := bufio.NewScanner(from); s.Scan(); {
		fmt.Fprintln(l.log, s.Text())
		l.mu.Lock()
		l.lines = append(l.lines, line{time.Now(), s.Text()})
		close(l.more)
		l.more = make(chan struct{})
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.over = true
	close(l.more)
	l.mu.Unlock()
}

// dry returns how often an output ran dry between two instants, by the log.
func (l *life) dry(output string, from, to time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lines {
		if !one.at.Before(from) && !one.at.After(to) && strings.Contains(one.text, saidDry) && strings.Contains(one.text, "output="+output+" ") {
			n++
		}
	}
	return n
}

// said waits for a line of the log that was written after since and contains
// all the words, and returns its time.
func (l *life) said(ctx context.Context, since time.Time, words ...string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		l.mu.Lock()
		lines, more, over := l.lines, l.more, l.over
		l.mu.Unlock()
		for _, x := range lines {
			if x.at.After(since) && holds(x.text, words) {
				return x.at, nil
			}
		}
		if over {
			return time.Time{}, fmt.Errorf("the controller ended before it said %q; its log ends:\n%s", words, tail(lines))
		}
		select {
		case <-more:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the controller did not say %q: %w; its log ends:\n%s", words, ctx.Err(), tail(lines))
		}
	}
}

func holds(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func tail(lines []line) string {
	var text []string
	for _, l := range lines[max(0, len(lines)-12):] {
		text = append(text, l.text)
	}
	return strings.Join(text, "\n")
}

// kill ends the controller as a power cut would.
func (h *harness) kill(l *life) error {
	l.killed = true
	return h.finish(l, syscall.SIGKILL)
}

// finish sends the signal, waits until the controller has ended, and checks that
// it ended by that signal.
func (h *harness) finish(l *life, how syscall.Signal) error {
	if err := l.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-l.read
	err := l.cmd.Wait()
	l.end, l.down = time.Now(), uptime()
	status := l.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case l.killed && status.Signaled() && status.Signal() == syscall.SIGKILL:
	case !l.killed && err == nil:
	default:
		return fmt.Errorf("the controller ended by itself (%v); its log ends:\n%s", err, tail(l.lines))
	}
	if l.ends, err = h.site.tapes(); err != nil {
		return err
	}
	return l.log.Close()
}

// tapes returns how many frames each card has consumed so far.
func (s *site) tapes() (map[string]int64, error) {
	all := map[string]int64{}
	for name := range s.cards {
		fi, err := os.Stat(filepath.Join(s.dir, name, "heard"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[name] = fi.Size() / 4
	}
	return all, nil
}

// watermark reads the watermark of the store, which no controller may have open.
func (h *harness) watermark(ctx context.Context) (time.Time, error) {
	store, err := data.OpenReadOnly(ctx, h.site.data())
	if errors.Is(err, data.ErrNoStore) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	at, err := store.Watermark(ctx)
	return at, errors.Join(err, store.Close())
}

// uptime returns the time since boot, by the same clock as the rows.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// firstLife runs the controller until it has set its first watermark. Airings
// due before that are not judged.
func (h *harness) firstLife(ctx context.Context) error {
	l, err := h.begin(ctx)
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if at, err := h.watermark(ctx); err == nil && !at.IsZero() {
			return h.kill(l)
		}
	}
	return errors.Join(errors.New("the controller set no watermark"), h.kill(l))
}

// lastLife runs the controller until everything owed has aired, and ends it with
// SIGTERM.
func (h *harness) lastLife(ctx context.Context) (breaches []string, err error) {
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	// It must have looked up what is due before the reload empties the schedule.
	if _, err := l.said(ctx, l.start, saidReady); err != nil {
		return nil, err
	}
	if err := h.reload(ctx, l, ""); err != nil {
		return nil, err
	}
	// It now airs what is still owed, as nothing else is due.
	idle := min(h.slowly(time.Minute), 5*time.Minute)
	if h.plant != "" {
		idle = 5 * time.Second // with a bug, that may never end
	}
	rows := 0
	for end := time.Now().Add(idle); time.Now().Before(end); {
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
		n, settled, err := h.settled(ctx)
		if err != nil {
			return nil, err
		}
		if settled {
			break
		}
		if n > rows {
			rows, end = n, time.Now().Add(idle)
		}
	}
	told := time.Now()
	if err := h.finish(l, syscall.SIGTERM); err != nil {
		return nil, err
	}
	h.figures.closing = l.end.Sub(told)
	if limit := h.slowly(5 * time.Second); h.figures.closing > limit {
		breaches = append(breaches, fmt.Sprintf("the controller took %v to end, more than %v", h.figures.closing, limit))
	}
	return breaches, nil
}

// reload changes the slots of the config and waits until they are in force.
func (h *harness) reload(ctx context.Context, l *life, slots string) error {
	if err := h.site.setConfig(slots); err != nil {
		return err
	}
	told := time.Now()
	if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	at, err := l.said(ctx, told, saidReloaded)
	if err == nil {
		h.site.versions[h.site.latest()].known = at
	}
	return err
}

// settled returns the number of rows in the log, and whether all are closed and
// every airing that was due has its rows.
func (h *harness) settled(ctx context.Context) (rows int, settled bool, err error) {
	store, err := data.OpenReadOnly(ctx, h.site.data())
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = store.Close() }()
	have := map[asrun.RowKey]bool{}
	settled = true
	for r, err := range store.AsRun(ctx, data.Query{}) {
		if err != nil {
			return rows, false, err
		}
		rows++
		settled = settled && r.Outcome != ""
		have[asrun.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}] = true
	}
	wanted, _ := h.due()
	for k := range wanted {
		settled = settled && have[k]
	}
	return rows, settled, nil
}
