// Package vcard makes virtual sound cards for tests and benchmarks: libasound
// opens them like any other card, they consume frames at the pace of their own
// clock, record what they consumed and when, and can be unplugged, stalled or
// made busy. Their clock is the machine's, or one that the test moves: then
// what a card has consumed does not depend on how busy the machine is.
//
// It needs gcc and libasound's headers, no hardware and no privileges.
package vcard

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed plugin/vcard.c
var source []byte

// Build compiles the plugin into a folder and returns the library's path. One
// library serves any number of cards and processes. The compiler is $CC, which
// may include arguments, or gcc.
func Build(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	c, lib := filepath.Join(dir, "vcard.c"), filepath.Join(dir, "libvcard.so")
	if err := os.WriteFile(c, source, 0o644); err != nil {
		return "", err
	}
	cc := strings.Fields(cmp.Or(os.Getenv("CC"), "gcc"))
	args := append(cc[1:], "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-DPIC", "-o", lib, c, "-lasound", "-lm")
	if said, err := exec.Command(cc[0], args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cc[0], err, said)
	}
	return lib, nil
}

// Spec describes a card to make.
type Spec struct {
	Name     string // of the ALSA PCM, and of the mixer
	PPM      int    // how much faster than the machine's clock it runs
	Channels int    // 0: 2
	Mixer    bool   // whether it has a mixer: a volume in steps of 0.5 dB and a switch, muted at first
	MinDB    int    // the mixer's range; both zero: -50 to 0
	MaxDB    int
	NoScale  bool   // the mixer has no dB scale
	Control  string // the mixer's name for its volume and switch; empty: Master

	// Clock gives the card a clock of its own, which moves only by
	// [Card.Advance], by Creep, and when a caller waits until the ring has
	// room: each wait takes a period.
	Clock bool
	Creep time.Duration // how far each reading of that clock by the card moves it
}

// Card is a virtual sound card.
type Card struct {
	Spec
	dir string
}

// Make writes dir/asound.conf with the cards of the specs. A process whose
// environment variable ALSA_CONFIG_PATH names that file finds those cards and
// no others, by name or as plug:NAME, which takes any rate and format.
func Make(lib, dir string, specs ...Spec) (config string, cards []*Card, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	var conf bytes.Buffer
	fmt.Fprintf(&conf, "pcm_type.vcard { lib %q }\nctl_type.vcard { lib %q }\n", lib, lib)
	conf.WriteString("pcm.plug { @args [ SLAVE ] @args.SLAVE { type string } type plug slave.pcm $SLAVE }\n")
	for _, s := range specs {
		if s.Channels == 0 {
			s.Channels = 2
		}
		if s.MinDB == 0 && s.MaxDB == 0 {
			s.MinDB = -50
		}
		c := &Card{s, filepath.Join(dir, s.Name)}
		if err := os.MkdirAll(c.dir, 0o755); err != nil {
			return "", nil, err
		}
		if s.Clock {
			if err := c.set(time.Unix(1, 0)); err != nil { // to the plugin, 0 is no instant
				return "", nil, err
			}
		}
		fmt.Fprintf(&conf, "pcm.%s { type vcard dir %q ppm %d channels %d creep %d hint { show on description %q } }\n",
			s.Name, c.dir, s.PPM, s.Channels, s.Creep, "a card that is not there")
		if s.Mixer {
			scale := 1
			if s.NoScale {
				scale = 0
			}
			fmt.Fprintf(&conf, "ctl.%s { type vcard dir %q control %q min %d max %d scale %d }\n",
				s.Name, c.dir, cmp.Or(s.Control, "Master"), 100*s.MinDB, 100*s.MaxDB, scale)
		}
		cards = append(cards, c)
	}
	config = filepath.Join(dir, "asound.conf")
	return config, cards, os.WriteFile(config, conf.Bytes(), 0o644)
}

// Now returns the instant that the card's own clock shows, if it has one.
func (c *Card) Now() (time.Time, error) {
	b, err := os.ReadFile(c.clock())
	if err != nil {
		return time.Time{}, err
	}
	if len(b) != 8 {
		return time.Time{}, fmt.Errorf("%s: %d bytes, want 8", c.clock(), len(b))
	}
	return time.Unix(0, int64(binary.NativeEndian.Uint64(b))), nil
}

// Advance moves the clock of a card that has one of its own. The card consumes
// the frames due by then when it is next asked.
func (c *Card) Advance(d time.Duration) error {
	now, err := c.Now()
	if err != nil {
		return err
	}
	return c.set(now.Add(d))
}

func (c *Card) set(now time.Time) error {
	f, err := os.OpenFile(c.clock(), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(now.UnixNano())), 0)
	return errors.Join(err, f.Close())
}

func (c *Card) clock() string { return filepath.Join(c.dir, "clock") }

// Heard returns the first channel of what the card has consumed. It is an error
// if another channel differs.
func (c *Card) Heard() ([]int16, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "heard"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	frames := make([]int16, 0, len(b)/2/c.Channels)
	for ; len(b) >= 2*c.Channels; b = b[2*c.Channels:] {
		first := binary.NativeEndian.Uint16(b)
		for i := 1; i < c.Channels; i++ {
			if binary.NativeEndian.Uint16(b[2*i:]) != first {
				return nil, fmt.Errorf("frame %d differs between channels", len(frames))
			}
		}
		frames = append(frames, int16(first))
	}
	return frames, nil
}

// Run is a number of frames that the card consumed without a gap.
type Run struct {
	At     time.Time // when the first of them began to sound
	Frames int64
	First  int64 // its place among all frames heard
}

// Log returns when the card consumed what it heard, by the card's own clock if
// it has one. The card writes the log when it is asked, so that the log may
// lag; the instants are exact. If a process was killed while it had the card, the
// last run before that may be missing.
func (c *Card) Log() ([]Run, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	zero := time.Unix(0, 0)
	if !c.Clock {
		if zero, err = boot(); err != nil {
			return nil, err
		}
	}
	var runs []Run
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var at, n, first int64
		if _, err := fmt.Sscan(s.Text(), &at, &n, &first); err != nil {
			return nil, err
		}
		runs = append(runs, Run{zero.Add(time.Duration(at)), n, first})
	}
	return runs, nil
}

// boot returns when the monotonic clock showed zero. It reads both clocks a few
// times and uses the quickest pair, because a busy machine may let time pass
// between the two readings.
func boot() (zero time.Time, err error) {
	quickest := time.Duration(math.MaxInt64)
	for range 5 {
		var mono unix.Timespec
		began := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
			return time.Time{}, err
		}
		if took := time.Since(began); took < quickest {
			quickest, zero = took, began.Add(took/2-time.Duration(mono.Nano()))
		}
	}
	return zero, nil
}

// When returns the instant at which the nth frame heard began to sound, and
// whether it did.
func (c *Card) When(n int64) (time.Time, bool, error) {
	runs, err := c.Log()
	for _, r := range runs {
		if n >= r.First && n < r.First+r.Frames {
			ns := float64(n-r.First) * 1e9 / 48000 / (1 + float64(c.PPM)/1e6)
			return r.At.Add(time.Duration(ns)), true, nil
		}
	}
	return time.Time{}, false, err
}

// Unplug makes the card disappear until it is plugged in again.
func (c *Card) Unplug() error { return c.setState("unplugged") }

// Stall makes the card run on without consuming anything.
func (c *Card) Stall() error { return c.setState("stalled") }

// Occupy makes the next open fail: the card is busy.
func (c *Card) Occupy() error { return c.setState("busy") }

// Hang makes the next open wait until [Card.Plug].
func (c *Card) Hang() error { return c.setState("hangs") }

// Dawdle makes the card sound on for 60 ms after it is told to drop what it
// holds.
func (c *Card) Dawdle() error { return c.setState("dawdles") }

// Fail makes every call return EIO.
func (c *Card) Fail() error { return c.setState("fails") }

// Suspend suspends the card, as a machine that sleeps would.
func (c *Card) Suspend() error { return c.setState("asleep") }

// SuspendFor is [Card.Suspend], but the given attempt to resume the card
// succeeds. Each attempt before it takes 40 ms.
func (c *Card) SuspendFor(attempts int) error { return c.setState(fmt.Sprint("asleep ", attempts)) }

// Plug ends what Unplug, Stall and the other methods began.
func (c *Card) Plug() error { return c.setState("") }

func (c *Card) setState(word string) error {
	tmp := filepath.Join(c.dir, "control.new")
	if err := os.WriteFile(tmp, []byte(word), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(c.dir, "control"))
}

// Level returns the level and the switch of the card's mixer.
func (c *Card) Level() (db float64, on bool, err error) {
	b, err := os.ReadFile(filepath.Join(c.dir, "mixer"))
	if errors.Is(err, fs.ErrNotExist) {
		return float64(c.MinDB), false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var hundredths, sw int
	_, err = fmt.Sscan(string(b), &hundredths, &sw)
	return float64(hundredths) / 100, sw == 1, err
}
