package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/asrun"
)

// terminal opens a pseudo-terminal: what reads the screen, and the screen.
func terminal(t *testing.T) (reader, screen *os.File) {
	t.Helper()
	reader, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // this machine has no terminals
	}
	n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(reader.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reader, screen
}

// filled returns a pipe that takes nothing more.
func filled(t *testing.T) (reader, screen *os.File) {
	t.Helper()
	reader, screen, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(screen.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return reader, screen
}

// Whatever becomes of the one who reads what the daemon writes, it goes on airing
// and its log tells.
func TestTheSoundGoesOnWhateverBecomesOfTheScreen(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(t *testing.T) (reader, screen *os.File)
		lose func(reader, screen *os.File) error // once the daemon runs
	}{
		{"a pipe whose reader goes", func(t *testing.T) (reader, screen *os.File) {
			reader, screen, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return reader, screen
		}, func(reader, _ *os.File) error {
			_, err := io.ReadFull(reader, make([]byte, 20))
			return errors.Join(err, reader.Close())
		}},
		{"a pipe whose reader never reads", filled, func(_, _ *os.File) error { return nil }},
		{"a full disk", func(t *testing.T) (reader, screen *os.File) {
			screen, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return nil, screen
		}, func(_, _ *os.File) error { return nil }},
		{"a terminal that is stopped", terminal, func(_, screen *os.File) error {
			return unix.IoctlSetInt(int(screen.Fd()), unix.TCXONC, unix.TCOOFF)
		}},
		{"a terminal that hangs up", terminal, func(reader, _ *os.File) error { return reader.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reader, screen := c.open(t)
			t.Cleanup(func() { _ = reader.Close() })
			dir := t.TempDir()
			daemon, ended := startOn(t, dir, screen)
			store := waitStore(t, filepath.Join(dir, "data"), ended)
			waitComplete(t, store, 1, ended)
			if err := c.lose(reader, screen); err != nil {
				t.Fatal(err)
			}
			_ = screen.Close()
			waitEvent(t, store, "screen cannot be written", ended)
			waitComplete(t, store, complete(t, store)+2, ended)
			if err := daemon.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
			if tape, err := os.ReadFile(filepath.Join(dir, "east.wav")); err != nil || !slices.ContainsFunc(tape[len(tape)/2:], func(b byte) bool { return b != 0 }) {
				t.Errorf("nothing was heard after that: %v", err)
			}
		})
	}
}

// What a person sees of the daemon on a terminal is in people's words: no lines of the
// log, but what must be known of, and what a reload has changed.
func TestTheScreenShowsNoLogLinesButWhatMustBeKnown(t *testing.T) {
	const away = alwaysOn + "\n[[output]]\nname = \"west\"\ndevice = \"alsa:nosuchcard\"\n"
	const shown = "✗ west：声音设备打不开"
	for _, c := range []struct {
		name       string
		args       []string
		stderr     bool // is a file
		has, lacks []string
		file       []string // what the file has
	}{
		{"a terminal", nil, false, []string{"详情记在日志里：dalaba log", shown, "详见 dalaba log"}, []string{"level="}, nil},
		{"a terminal, and --verbose", []string{"--verbose"}, false, []string{"level=INFO", `level=ERROR msg="output does not open"`}, []string{shown}, nil},
		{"standard error in a file", nil, true, []string{shown}, []string{"level="}, []string{"level=INFO msg=started", `level=ERROR msg="output does not open"`}},
		{"JSON", []string{"--json"}, false, []string{shown}, []string{"level="}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reader, screen := terminal(t)
			t.Cleanup(func() { _ = reader.Close() })
			dir, stderr := t.TempDir(), screen
			if c.stderr {
				var err error
				if stderr, err = os.Create(filepath.Join(dir, "stderr")); err != nil {
					t.Fatal(err)
				}
			}
			daemon, ended := startWith(t, dir, away, screen, stderr, c.args...)
			_ = screen.Close()
			seen := watchScreen(reader)
			poll(t, "what must be known", ended, func() bool {
				return !slices.ContainsFunc(c.has, func(text string) bool { return !strings.Contains(seen(), text) })
			})
			for _, reload := range []struct{ config, want string }{
				{away + "\n[[slot]]\nname = \"noon\"\nplaylist = \"lessons\"\ncron = \"0 12 * * *\"\n", "配置已重新读取：新增时段“noon”"},
				{away + "\n[[quiet]]\nfrom = \"12:00\"\nto = \"13:00\"\ndays = [\"工作日\"]\ncolour = \"red\"\n", "新配置有误，没有采用，原来的继续有效：dalaba.toml:29: quiet[1].colour"},
				{away, "配置已重新读取：去掉时段“noon”"},
				{away, "配置已重新读取：没有变化"},
			} {
				writeSite(t, dir, reload.config)
				if err := daemon.Process.Signal(syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				poll(t, reload.want, ended, func() bool { return strings.Contains(seen(), reload.want) })
			}
			if err := daemon.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
			for _, text := range c.lacks {
				if strings.Contains(seen(), text) {
					t.Errorf("%q is on the screen:\n%s", text, seen())
				}
			}
			lines, _ := os.ReadFile(filepath.Join(dir, "stderr"))
			for _, text := range c.file {
				if !strings.Contains(string(lines), text) {
					t.Errorf("%q is not in the file:\n%s", text, lines)
				}
			}
		})
	}
}

// watchScreen reads a terminal on and on, and returns what has come so far.
func watchScreen(reader *os.File) (seen func() string) {
	var (
		mu   sync.Mutex
		text []byte
	)
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := reader.Read(b)
			mu.Lock()
			text = append(text, b[:n]...)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return string(text)
	}
}

// startOn starts a daemon that airs all the time, with a screen.
func startOn(t *testing.T, dir string, screen *os.File) (daemon *exec.Cmd, ended chan error) {
	t.Helper()
	return startWith(t, dir, alwaysOn, screen, screen)
}

// writeSite writes a config that has a place for the folder of clips.
func writeSite(t *testing.T, dir, text string) {
	t.Helper()
	clips, err := filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dalaba.toml"), fmt.Appendf(nil, text, clips), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startWith starts a daemon by a config.
func startWith(t *testing.T, dir, text string, screen, stderr *os.File, args ...string) (daemon *exec.Cmd, ended chan error) {
	t.Helper()
	writeSite(t, dir, text)
	daemon = exec.Command("dalaba", append([]string{"run"}, args...)...)
	daemon.Dir, daemon.Stdout, daemon.Stderr = dir, screen, stderr
	daemon.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+filepath.Join(dir, "run"), "LC_ALL=zh_CN.UTF-8", "NO_COLOR=1")
	if strings.HasPrefix(screen.Name(), "/dev/pts/") {
		daemon.Stdin = screen
		daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() { _ = daemon.Process.Kill() })
	return daemon, ended
}

const alwaysOn = `[site]
name = "小李村"
area = "320924100201"
data_dir = "data"
clock = "battery"

[[output]]
name = "east"
device = "wav:east.wav"

[[playlist]]
name = "lessons"
clips = ["%s/clip1.mp3"]

[[slot]]
name = "often"
playlist = "lessons"
cron = "*/2 * * * * *"
window = "1h"
`

// poll looks until ok, as long as the daemon runs.
func poll(t *testing.T, what string, ended <-chan error, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		select {
		case err := <-ended:
			t.Fatalf("the daemon ended before %s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func waitStore(t *testing.T, dir string, ended <-chan error) (store *data.Store) {
	t.Helper()
	poll(t, "its store", ended, func() (ok bool) {
		var err error
		store, err = data.OpenReadOnly(context.Background(), dir)
		return err == nil
	})
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func complete(t *testing.T, store *data.Store) (n int) {
	t.Helper()
	for r, err := range store.AsRun(context.Background(), data.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome == asrun.Complete {
			n++
		}
	}
	return n
}

func waitComplete(t *testing.T, store *data.Store, n int, ended <-chan error) {
	t.Helper()
	poll(t, fmt.Sprintf("%d complete rows", n), ended, func() bool { return complete(t, store) >= n })
}

func waitEvent(t *testing.T, store *data.Store, message string, ended <-chan error) {
	t.Helper()
	poll(t, "an event: "+message, ended, func() bool {
		all, err := store.Events(context.Background(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(e asrun.Event) bool { return e.Message == message })
	})
}
