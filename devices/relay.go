package devices

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Relay switches an amplifier's power. Only one goroutine may use it. After an
// error the next Switch starts from the beginning, so that a USB relay may be
// unplugged and plugged in again.
type Relay interface {
	Switch(ctx context.Context, on bool) error

	// Close releases the hardware and switches nothing.
	Close() error
}

// OpenRelay makes a relay from its name in the config. It does not touch the
// hardware before the first Switch; a name that it cannot parse is
// [playlist.ErrInvalid].
//
//   - "" is none: an amplifier that is always on.
//   - "command:PROGRAM ARG..." runs the program with a last argument, on or off.
//   - "serial:DEVICE" raises RTS and DTR of the port; "serial:DEVICE,rts" or
//     ",dtr" only that one.
//   - "serial:DEVICE,on=A00101A2,off=A00100A1,baud=9600" sends those bytes,
//     given in hex; without a baud rate, at 9600.
//   - "gpio:NAME" is the GPIO line of that name, such as GPIO17;
//     "gpio:gpiochip0/17" is the line by chip and offset. The suffix ",low"
//     means that low is on.
func OpenRelay(spec string) (Relay, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	options := strings.Split(rest, ",")
	bad := fault{playlist.ErrInvalid, say.M("device.relay_unknown", spec)}
	switch {
	case spec == "":
		return noRelay{}, nil
	case kind == "command" && strings.TrimSpace(rest) != "":
		return commandRelay(strings.Fields(rest)), nil
	case kind == "gpio" && options[0] != "":
		g := &gpioRelay{gpioLine{line: options[0], dev: "/dev"}}
		for _, o := range options[1:] {
			if o != "low" {
				return nil, bad
			}
			g.low = true
		}
		return g, nil
	case kind == "serial" && options[0] != "":
		s := &serialRelay{port: options[0], rts: true, dtr: true, baud: 9600}
		for _, o := range options[1:] {
			key, value, _ := strings.Cut(o, "=")
			var err error
			switch key {
			case "rts":
				s.dtr = false
			case "dtr":
				s.rts = false
			case "on":
				s.on, err = hex.DecodeString(value)
			case "off":
				s.off, err = hex.DecodeString(value)
			case "baud":
				s.baud, err = strconv.Atoi(value)
			default:
				return nil, bad
			}
			if err != nil {
				return nil, bad
			}
		}
		if (len(s.on) == 0) != (len(s.off) == 0) || !s.rts && !s.dtr || s.baud <= 0 {
			return nil, bad
		}
		return s, nil
	}
	return nil, bad
}

type noRelay struct{}

func (noRelay) Switch(context.Context, bool) error { return nil }
func (noRelay) Close() error                       { return nil }

// commandRelay is a program and its arguments.
type commandRelay []string

func (r commandRelay) Switch(ctx context.Context, on bool) error {
	said, err := r.run(ctx, on)
	if err != nil {
		return say.M("device.relay_command", strings.Join(r, " "), word(on), err, said)
	}
	return nil
}

// run returns how the program ended, and the beginning of its output. The
// output goes to a file: if it were a pipe, we would wait for its end as long
// as a child of the program kept it open.
func (r commandRelay) run(ctx context.Context, on bool) (said string, err error) {
	fd, err := unix.MemfdCreate("relay", unix.MFD_CLOEXEC)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), "relay")
	defer func() { _ = f.Close() }()
	cmd := exec.CommandContext(ctx, r[0], append(append([]string{}, r[1:]...), word(on))...)
	cmd.Stdout, cmd.Stderr = f, f
	if err = cmd.Run(); err == nil {
		return "", nil
	}
	b := make([]byte, 200)
	n, _ := f.ReadAt(b, 0)
	return string(bytes.TrimSpace(b[:n])), err
}

func (commandRelay) Close() error { return nil }

func word(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

type serialRelay struct {
	port     string
	rts, dtr bool // which lines switch the relay
	on, off  []byte
	baud     int

	open serial.Port
}

func (r *serialRelay) Switch(_ context.Context, on bool) error {
	err := r.set(on)
	if err != nil {
		// The device may have been unplugged; it may come back under the same
		// name.
		_ = r.Close()
		return say.M("device.relay_serial", r.port, err)
	}
	return nil
}

func (r *serialRelay) set(on bool) (err error) {
	if r.open == nil {
		mode := &serial.Mode{BaudRate: r.baud}
		if r.on == nil {
			mode.InitialStatusBits = &serial.ModemOutputBits{}
		}
		if r.open, err = serial.Open(r.port, mode); err != nil {
			r.open = nil
			return err
		}
	}
	if r.on != nil {
		bytes := r.off
		if on {
			bytes = r.on
		}
		if _, err := r.open.Write(bytes); err != nil {
			return err
		}
		return r.open.Drain()
	}
	if r.rts {
		if err := r.open.SetRTS(on); err != nil {
			return err
		}
	}
	if r.dtr {
		return r.open.SetDTR(on)
	}
	return nil
}

func (r *serialRelay) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
