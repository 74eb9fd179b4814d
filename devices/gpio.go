package devices

import (
	"bytes"
	"context"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"dalaba/playlist/say"
)

// From linux/gpio.h: golang.org/x/sys/unix lacks them.
const (
	gpioGetChipInfo   = 0x8044b401
	gpioFlagActiveLow = 1 << 1
	gpioFlagInput     = 1 << 2
	gpioFlagOutput    = 1 << 3
)

// gpioLine is one line of a GPIO character device, held from its first use.
type gpioLine struct {
	line string // "GPIO17", or "gpiochip0/17"
	low  bool
	dev  string // folder of the character devices
	fd   int    // file descriptor of the line; 0: not held
}

// gpioRelay is a line held as an output.
type gpioRelay struct{ gpioLine }

// Trigger is a GPIO line used as an input: a switch beside the microphone.
type Trigger struct{ gpioLine }

// NewTrigger makes a trigger from its name in the config, in the form that
// [OpenRelay] takes: "gpio:NAME", or "gpio:gpiochip0/17"; the suffix ",low"
// means that low is on. It does not touch the hardware before the first read.
func NewTrigger(spec string) *Trigger {
	name, options, _ := strings.Cut(strings.TrimPrefix(spec, "gpio:"), ",")
	return &Trigger{gpioLine{line: name, low: options == "low", dev: "/dev"}}
}

// On reports whether the line is on.
func (t *Trigger) On() (bool, error) {
	v := unix.GPIOV2LineValues{Mask: 1}
	err := t.hold(gpioFlagInput, 0)
	if err == nil {
		err = gpio(t.fd, unix.GPIO_V2_LINE_GET_VALUES_IOCTL, &v)
	}
	if err != nil {
		_ = t.Close()
		return false, say.M("device.trigger", t.line, err)
	}
	return v.Bits&1 != 0, nil
}

func (r *gpioRelay) Switch(_ context.Context, on bool) error {
	err := r.set(on)
	if err != nil {
		_ = r.Close()
		return say.M("device.relay_gpio", r.line, err)
	}
	return nil
}

func (r *gpioRelay) set(on bool) error {
	var bit uint64
	if on {
		bit = 1
	}
	if r.fd != 0 {
		return gpio(r.fd, unix.GPIO_V2_LINE_SET_VALUES_IOCTL, &unix.GPIOV2LineValues{Bits: bit, Mask: 1})
	}
	// The request carries the level, so that the relay never switches to the
	// wrong side for a moment.
	return r.hold(gpioFlagOutput, bit)
}

// hold requests the line if it is not held yet; an output with its level.
func (r *gpioLine) hold(flags, bit uint64) error {
	if r.fd != 0 {
		return nil
	}
	chip, offset, err := r.find()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(chip) }()
	q := unix.GPIOV2LineRequest{Num_lines: 1}
	q.Offsets[0] = offset
	copy(q.Consumer[:], "dalaba")
	q.Config.Flags = flags
	if r.low {
		q.Config.Flags |= gpioFlagActiveLow
	}
	if flags == gpioFlagOutput {
		q.Config.Num_attrs = 1
		q.Config.Attrs[0].Attr.Id = unix.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES
		q.Config.Attrs[0].Attr.Flags = bit
		q.Config.Attrs[0].Mask = 1
	}
	if err := gpio(chip, unix.GPIO_V2_GET_LINE_IOCTL, &q); err != nil {
		return err
	}
	r.fd = int(q.Fd)
	return nil
}

// find opens the chip that has the line and returns its file descriptor and the
// line's offset.
func (r *gpioLine) find() (chip int, offset uint32, err error) {
	if name, number, ok := strings.Cut(r.line, "/"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, 0, err
		}
		chip, err = unix.Open(filepath.Join(r.dev, name), unix.O_RDWR|unix.O_CLOEXEC, 0)
		return chip, uint32(n), err
	}
	chips, err := filepath.Glob(filepath.Join(r.dev, "gpiochip*"))
	if err != nil {
		return 0, 0, err
	}
	var broken error
	for _, path := range chips {
		chip, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			broken = err
			continue
		}
		var info unix.GPIOChipInfo
		if err := gpio(chip, gpioGetChipInfo, &info); err != nil {
			broken = err
		}
		for i := range info.Lines {
			line := unix.GPIOV2LineInfo{Offset: i}
			if gpio(chip, unix.GPIO_V2_GET_LINEINFO_IOCTL, &line) != nil {
				continue
			}
			if name, _, _ := bytes.Cut(line.Name[:], []byte{0}); string(name) == r.line {
				return chip, i, nil
			}
		}
		_ = unix.Close(chip)
	}
	if broken != nil {
		return 0, 0, broken
	}
	return 0, 0, say.M("device.gpio_none")
}

// Close releases the line.
func (r *gpioLine) Close() error {
	if r.fd == 0 {
		return nil
	}
	err := unix.Close(r.fd)
	r.fd = 0
	return err
}

func gpio[T any](fd int, request uint, arg *T) error {
	_, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(arg)))
	runtime.KeepAlive(arg)
	if no != 0 {
		return no
	}
	return nil
}
