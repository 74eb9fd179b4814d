//go:build cgo && !noalsa

package devices_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dalaba/devices"
	"dalaba/playlist"
)

// sound server is a PulseAudio of our own, with a sink that is no hardware,
// and a recorder of what that sink plays.
type soundServer struct {
	dir          string
	server, tape *exec.Cmd
	tapes        int
	tapeName     string
}

func (s *soundServer) child(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_RUNTIME_DIR="+s.dir, "XDG_CONFIG_HOME="+s.dir, "PULSE_SERVER=unix:"+s.dir+"/native")
	return cmd
}

func (s *soundServer) start(t *testing.T) {
	t.Helper()
	s.server = s.child("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+s.dir+"/native",
		"-L", "module-null-sink sink_name=spk rate=48000 format=s16le channels=2 norewinds=1")
	must(t, s.server.Start())
	poll(t, "the sound server", func() bool { return s.child("pactl", "info").Run() == nil })
	s.tapes++
	s.tapeName = filepath.Join(s.dir, fmt.Sprint("tape", s.tapes))
	f, err := os.Create(s.tapeName)
	must(t, err)
	defer shut(t, f)
	s.tape = s.child("parec", "-d", "spk.monitor", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20")
	s.tape.Stdout = f
	must(t, s.tape.Start())
	poll(t, "the recorder", func() bool { return len(s.recorded(t)) > 0 })
}

// kill ends server and recorder as a crash would.
func (s *soundServer) kill() {
	for _, cmd := range []*exec.Cmd{s.server, s.tape} {
		if cmd != nil && cmd.Process != nil && cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
}

func (s *soundServer) recorded(t *testing.T) []int16 {
	t.Helper()
	b, err := os.ReadFile(s.tapeName)
	must(t, err)
	f := make([]int16, len(b)/2)
	for i := range f {
		f[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return f
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tone is a period of 1 kHz at half of full scale.
func tone() []int16 {
	f := make([]int16, devices.Period)
	for i := range f {
		f[i] = int16(16384 * math.Sin(2*math.Pi*1000*float64(i)/playlist.Rate))
	}
	return f
}

// loud is how many of the frames are tone.
func loud(frames []int16) int {
	n := 0
	for _, f := range frames {
		if f > 4000 || f < -4000 {
			n++
		}
	}
	return n
}

func TestSoundServerIsKilledAndComesBack(t *testing.T) {
	for _, program := range []string{"pulseaudio", "pactl", "parec"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v; apt-get install pulseaudio pulseaudio-utils libasound2-plugins", err)
		}
	}
	s := &soundServer{dir: t.TempDir()}
	t.Cleanup(s.kill)
	config := filepath.Join(s.dir, "asound.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "pcm.speaker { type pulse server \"unix:%s/native\" device \"spk\" }\n", s.dir), 0o644))
	t.Setenv("ALSA_CONFIG_PATH", config)
	t.Setenv("HOME", s.dir)
	t.Setenv("XDG_RUNTIME_DIR", s.dir)
	t.Setenv("XDG_CONFIG_HOME", s.dir)

	s.start(t)
	d := open(t, "speaker")
	second := func() error {
		for range 100 {
			if err := d.Write(tone()); err != nil {
				return err
			}
		}
		return nil
	}
	play := func() {
		t.Helper()
		err := second()
		// A server that is starved, as on a busy machine, is a device that stalls.
		for tries := 2; errors.Is(err, devices.ErrStalled) && tries > 0; tries-- {
			t.Logf("once more: %v", err)
			must(t, d.Close())
			d = open(t, "speaker")
			err = second()
		}
		must(t, err)
		p := position(t, d)
		if p.Consumed < playlist.Rate/2 || p.Consumed > playlist.Rate {
			t.Errorf("of a second written, %d frames consumed", p.Consumed)
		}
		poll(t, "the tone on tape", func() bool { return loud(s.recorded(t)) > playlist.Rate/4 })
	}
	play()

	s.kill()
	var err error
	for n := 0; err == nil; n++ {
		if n > 1000 {
			t.Fatal("the death of the sound server goes unnoticed")
		}
		err = d.Write(tone())
	}
	t.Logf("lost: %v", err)
	must(t, d.Close())
	if d, err := devices.Open(t.Context(), playlist.Output{Device: "speaker"}, devices.Options{}); err == nil {
		_ = d.Close()
		t.Fatal("opened a dead sound server")
	}

	s.start(t)
	poll(t, "the device", func() bool {
		d, err = devices.Open(t.Context(), playlist.Output{Device: "speaker"}, devices.Options{})
		return err == nil
	})
	play()
	must(t, d.Close())
}
