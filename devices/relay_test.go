package devices_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/devices"
	"dalaba/playlist"
)

func TestRelayNamesAreParsedStrictly(t *testing.T) {
	for _, c := range []struct {
		spec string
		ok   bool
	}{
		{"", true},
		{"gpio:GPIO17", true},
		{"gpio:gpiochip0/17,low", true},
		{"serial:/dev/ttyUSB0", true},
		{"serial:/dev/ttyUSB0,rts", true},
		{"serial:/dev/ttyUSB0,on=A00101A2,off=A00100A1,baud=115200", true},
		{"command:relay --board 2", true},
		{"17", false},
		{"gpio:", false},
		{"gpio:GPIO17,high", false},
		{"serial:", false},
		{"serial:/dev/ttyUSB0,cts", false},
		{"serial:/dev/ttyUSB0,rts,dtr", false},
		{"serial:/dev/ttyUSB0,on=A001", false},
		{"serial:/dev/ttyUSB0,on=XY,off=00", false},
		{"serial:/dev/ttyUSB0,baud=0", false},
		{"command: ", false},
	} {
		r, err := devices.OpenRelay(c.spec)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%q: %v", c.spec, err)
		}
		if err == nil {
			must(t, r.Close())
		}
	}
}

func relay(t *testing.T, spec string) devices.Relay {
	t.Helper()
	r, err := devices.OpenRelay(spec)
	must(t, err)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestACommandRelayRunsItsProgram(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	program := filepath.Join(t.TempDir(), "relay")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>"+said+"\n[ \"$1\" = 2 ] || { echo no board; exit 3; }\n"), 0o755))
	r := relay(t, "command:"+program+" 2")
	must(t, r.Switch(t.Context(), true))
	must(t, r.Switch(t.Context(), false))
	got, err := os.ReadFile(said)
	must(t, err)
	if string(got) != "2 on\n2 off\n" {
		t.Errorf("it ran %q", got)
	}
	err = relay(t, "command:"+program).Switch(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), "no board") {
		t.Errorf("a program that fails: %v", err)
	}
}

func TestACommandRelayReturnsWhenItsProgramEnds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "relay")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\nsleep 1 &\n"), 0o755)) // which keeps the output open
	if err := relay(t, "command:"+program).Switch(t.Context(), true); err != nil {
		t.Errorf("a program that leaves a child behind: %v, want no error", err)
	}
}

// pty makes a pseudo terminal: what is written to the name can be read from the
// file.
func pty(t *testing.T) (*os.File, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	must(t, err)
	return f, fmt.Sprintf("/dev/pts/%d", n)
}

func TestSerialRelaySendsItsBytes(t *testing.T) {
	wire, name := pty(t)
	r := relay(t, "serial:"+name+",on=A00101A2,off=A00100A1")
	for _, c := range []struct {
		on   bool
		want string
	}{{true, "a00101a2"}, {false, "a00100a1"}, {true, "a00101a2"}} {
		must(t, r.Switch(t.Context(), c.on))
		got := make([]byte, len(c.want)/2)
		must(t, wire.SetReadDeadline(time.Now().Add(time.Minute)))
		n, err := io.ReadFull(wire, got)
		if err != nil || fmt.Sprintf("%x", got) != c.want {
			t.Errorf("on %v sent %x, %v; want %s", c.on, got[:n], err, c.want)
		}
	}
}

func TestMissingRelayHardwareIsReported(t *testing.T) {
	_, noLines := pty(t)
	for _, spec := range []string{
		"serial:/dev/nowhere",
		"serial:" + noLines, // a pty has neither RTS nor DTR
		"gpio:gpiochip99/4",
		"gpio:no such line",
	} {
		r := relay(t, spec)
		for range 2 {
			if err := r.Switch(t.Context(), true); err == nil || !strings.Contains(err.Error(), "relay") {
				t.Errorf("%s: %v", spec, err)
			}
		}
	}
}
