//go:build cgo && !noalsa

package devices_test

import (
	"encoding/binary"
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

// soundServer is a PulseAudio started by the test, with a sink that is not
// hardware, and a recorder of what that sink plays.
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
	poll(t, "the sound server", func() string {
		if err := s.child("pactl", "info").Run(); err != nil {
			return fmt.Sprint("pactl info: ", err)
		}
		return ""
	})
	s.tapes++
	s.tapeName = filepath.Join(s.dir, fmt.Sprint("tape", s.tapes))
	f, err := os.Create(s.tapeName)
	must(t, err)
	defer shut(t, f)
	s.tape = s.child("parec", "-d", "spk.monitor", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20")
	s.tape.Stdout = f
	must(t, s.tape.Start())
	poll(t, "the recorder", func() string {
		if len(s.recorded(t)) == 0 {
			return "the tape is empty"
		}
		return ""
	})
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

// poll waits until missing returns nothing; if it never does, poll reports what
// was missing.
func poll(t *testing.T, what string, missing func() string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		m := missing()
		if m == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s; at last: %s", what, m)
		}
	}
}

// tone returns a period of 1 kHz at half of full scale.
func tone() []int16 {
	f := make([]int16, devices.Period)
	for i := range f {
		f[i] = int16(16384 * math.Sin(2*math.Pi*1000*float64(i)/playlist.Rate))
	}
	return f
}

// loud returns how many of the frames are tone.
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

	// sound writes tone to a new device, and tries as often as needed: with a
	// server that gets no processor time, as on a busy machine, a device stalls
	// or does not open.
	const periods, written = 60, 60 * devices.Period
	sound := func() (d devices.Device) {
		t.Helper()
		try := func() (err error) {
			if d, err = devices.Open(t.Context(), playlist.Output{Device: "speaker"}, devices.Options{}); err != nil {
				return err
			}
			for range periods {
				if err := d.Write(tone()); err != nil {
					return err
				}
			}
			p, err := d.Position()
			if err == nil && (p.Consumed < written/2 || p.Consumed > written) {
				err = fmt.Errorf("%d frames consumed, want %d to %d", p.Consumed, written/2, written)
			}
			return err
		}
		poll(t, "a device that takes the tone", func() string {
			err := try()
			if err == nil {
				return ""
			}
			t.Logf("once more: %v", err)
			if d != nil {
				_ = d.Close()
			}
			return err.Error()
		})
		return d
	}
	// play continues until enough of the tone is recorded.
	play := func() {
		t.Helper()
		poll(t, "the tone on tape", func() string {
			d := sound()
			defer shut(t, d)
			n := 0
			for range 100 {
				if n = loud(s.recorded(t)); n > written/4 {
					return ""
				}
				time.Sleep(20 * time.Millisecond)
			}
			return fmt.Sprintf("%d loud frames, want more than %d", n, written/4)
		})
	}
	s.start(t)
	play()

	d := sound()
	s.kill()
	var err error
	for n := 0; err == nil; n++ {
		if n > 1000 {
			t.Fatalf("a dead sound server took %d periods, want an error", n)
		}
		err = d.Write(tone())
	}
	t.Logf("lost: %v", err)
	must(t, d.Close())
	if d, err := devices.Open(t.Context(), playlist.Output{Device: "speaker"}, devices.Options{}); err == nil {
		_ = d.Close()
		t.Fatal("opened a dead sound server, want an error")
	}

	s.start(t)
	play()
}
