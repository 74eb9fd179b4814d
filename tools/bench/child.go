package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/playlist"
)

// grace is how long a child may take to end after it is told to; the machine
// may be busy.
const grace = time.Minute

// command makes a child that gets SIGTERM when ctx ends, and is killed after
// grace.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = grace
	return c
}

// daemon is a `dalaba run` started by us, and its log.
type daemon struct {
	cmd   *exec.Cmd
	stop  context.CancelFunc
	began time.Time // just before it was started

	mu    sync.Mutex
	lines []line
	more  chan struct{} // closed and made anew with every line of the log
	over  bool
	ended chan struct{}
}

type line struct {
	at   time.Time // when it was read
	text string
}

// startDaemon starts the program with the config; env is added to our own
// environment.
func (b *bench) startDaemon(ctx context.Context, config string, env ...string) (*daemon, error) {
	program, err := b.program(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	d := &daemon{stop: stop, more: make(chan struct{}), ended: make(chan struct{})}
	d.cmd = command(ctx, program, "run", "--lang", "en", "--config", config)
	d.cmd.Env = append(os.Environ(), env...)
	logged, err := d.cmd.StderrPipe()
	if err != nil {
		stop()
		return nil, err
	}
	d.began = time.Now()
	if err := d.cmd.Start(); err != nil {
		stop()
		return nil, err
	}
	go d.read(logged)
	return d, nil
}

func (d *daemon) read(logged io.Reader) {
	defer close(d.ended)
	for s := bufio.NewScanner(logged); s.Scan(); {
		d.mu.Lock()
		d.lines = append(d.lines, line{time.Now(), s.Text()})
		close(d.more)
		d.more = make(chan struct{})
		d.mu.Unlock()
	}
	d.mu.Lock()
	d.over = true
	close(d.more)
	d.mu.Unlock()
}

// waitForLog waits until the log has n lines with the text and returns when the
// last of them came.
func (d *daemon) waitForLog(ctx context.Context, text string, n int) (time.Time, error) {
	for {
		d.mu.Lock()
		left, more, over := n, d.more, d.over
		for _, l := range d.lines {
			if strings.Contains(l.text, text) {
				if left--; left == 0 {
					d.mu.Unlock()
					return l.at, nil
				}
			}
		}
		d.mu.Unlock()
		if over {
			return time.Time{}, fmt.Errorf("the daemon ended before it said %q:\n%s", text, d.tail())
		}
		select {
		case <-more:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the daemon did not say %q: %w\n%s", text, ctx.Err(), d.tail())
		}
	}
}

// count returns how many lines of the log have the text.
func (d *daemon) count(text string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lines {
		if strings.Contains(l.text, text) {
			n++
		}
	}
	return n
}

// tail returns the end of the log.
func (d *daemon) tail() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var text []string
	for _, l := range d.lines[max(0, len(d.lines)-10):] {
		text = append(text, l.text)
	}
	return strings.Join(text, "\n")
}

// end tells the daemon to end and waits for it.
func (d *daemon) end() error {
	d.stop()
	<-d.ended
	err := d.cmd.Wait()
	if errors.Is(err, context.Canceled) && d.cmd.ProcessState.Success() {
		return nil
	}
	return err
}

// processor returns the processor time that a process has used.
func processor(pid int) (time.Duration, error) {
	var t unix.Timespec
	// The kernel's number for another process's clock, see
	// clock_getcpuclockid(3).
	const scheduled = 2
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// peakMemory returns the most memory that a process has held, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "\nVmHWM:")
	if !ok {
		return 0, fmt.Errorf("no VmHWM of %d", pid)
	}
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, err
	}
	return kib << 10, nil
}

const (
	sinkPeriod = playlist.Rate / 100 // frames: 10 ms
	sinkRing   = 20                  // periods: 200 ms
)

// sink reads mono S16 frames at the pace of a sound card with a ring of 200 ms,
// as the paced outputs of package devices do: it starts once 10 ms have come,
// and returns when that was.
func sink(r io.Reader) (began time.Time, frames int64, err error) {
	period := make([]byte, 2*sinkPeriod)
	for n := int64(0); ; n++ {
		switch _, err := io.ReadFull(r, period); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return began, n * sinkPeriod, nil
		case err != nil:
			return began, n * sinkPeriod, err
		}
		if n == 0 {
			began = time.Now()
		}
		time.Sleep(time.Until(began.Add(playlist.Length((n + 1 - sinkRing) * sinkPeriod))))
	}
}

// mpg123 makes a child that decodes to S16 at playlist.Rate.
func mpg123(ctx context.Context, args ...string) *exec.Cmd {
	return command(ctx, "mpg123", append([]string{"-q", "-r", strconv.Itoa(playlist.Rate), "-e", "s16"}, args...)...)
}

// child is a process that runs until we end it.
type child struct {
	cmd    *exec.Cmd
	stop   context.CancelFunc
	output bytes.Buffer // read it only after the child has ended
	ended  chan struct{}
}

// launch starts a program; env is added to our own environment, unless it is
// empty.
func launch(ctx context.Context, env, name string, args ...string) (*child, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &child{cmd: command(ctx, name, args...), stop: stop, ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	if env != "" {
		c.cmd.Env = append(os.Environ(), env)
	}
	if err := c.cmd.Start(); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // end checks that it ran until then
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// end ends the child. It returns an error if the child had already ended by
// itself.
func (c *child) end() error {
	defer c.stop()
	select {
	case <-c.ended:
		return fmt.Errorf("%s ended by itself: %v: %s", c.cmd.Path, c.cmd.ProcessState, c.output.String())
	default:
	}
	c.stop()
	<-c.ended
	return nil
}

// kill kills the child at once.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
	c.stop()
}

// endAll ends all children.
func endAll[T interface{ end() error }](all []T) error {
	var faults []error
	for _, c := range all {
		faults = append(faults, c.end())
	}
	return errors.Join(faults...)
}

// mpg123On starts an mpg123 that plays files on a card.
func mpg123On(ctx context.Context, card, env string, args ...string) (*child, error) {
	return launch(ctx, env, "mpg123", append([]string{"-q", "-r", strconv.Itoa(playlist.Rate), "-e", "s16", "-o", "alsa", "-a", card}, args...)...)
}
