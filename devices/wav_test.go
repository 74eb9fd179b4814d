package devices_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/playlist"
)

// recorded reads a recording and checks that its header has the right size.
func recorded(t *testing.T, path string) []int16 {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[36:40]) != "data" {
		t.Fatalf("no WAV header in %d bytes", len(b))
	}
	riff, data := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[40:])
	if int(riff) != len(b)-8 || int(data) != len(b)-44 {
		t.Fatalf("the header tells %d and %d of a file of %d bytes", riff, data, len(b))
	}
	frames := make([]int16, data/2)
	must(t, binary.Read(bytes.NewReader(b[44:]), binary.LittleEndian, frames))
	return frames
}

func TestWAV(t *testing.T) {
	suite(t, func(t *testing.T, name string, f func(*testing.T, rig)) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "new", "folder", "square.wav")
			synctest.Test(t, func(t *testing.T) {
				f(t, bubble(
					func(t *testing.T) devices.Device { return open(t, "wav:"+path) },
					func(t *testing.T) []int16 { return recorded(t, path) },
				))
			})
		})
	})
}

func TestAnExistingRecordingIsContinued(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(b []byte) []byte
		kept int
	}{
		{"after a close", func(b []byte) []byte { return b }, 4800},
		{"after a crash left the header stale", func(b []byte) []byte {
			copy(b[40:], []byte{0, 0, 0, 0})
			return b
		}, 4800},
		{"after a crash left half a frame", func(b []byte) []byte { return b[:len(b)-1] }, 4799},
		{"after a crash left half a header", func(b []byte) []byte { return b[:20] }, 0},
		{"after a crash left an empty file", func(b []byte) []byte { return nil }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "square.wav")
			synctest.Test(t, func(t *testing.T) {
				d := open(t, "wav:"+path)
				must(t, d.Write(ramp(0, 4800)))
				time.Sleep(time.Second)
				must(t, d.Close())

				b, err := os.ReadFile(path)
				must(t, err)
				must(t, os.WriteFile(path, c.harm(b), 0o644))

				d = open(t, "wav:"+path)
				if p := position(t, d); p.Consumed != int64(c.kept) {
					t.Errorf("begins at frame %d, want %d", p.Consumed, c.kept)
				}
				must(t, d.Write(ramp(9000, 480)))
				time.Sleep(time.Second)
				must(t, d.Close())
				same(t, recorded(t, path), append(ramp(0, c.kept), ramp(9000, 480)...))
			})
		})
	}
}

func TestRecordingIsValidWhileItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "square.wav")
	synctest.Test(t, func(t *testing.T) {
		d := open(t, "wav:"+path)
		defer shut(t, d)
		for i := range 200 {
			must(t, d.Write(ramp(i*devices.Period, devices.Period)))
			if n := int64(len(recorded(t, path))); n > position(t, d).Consumed {
				t.Fatalf("%d frames recorded ahead of the device", n)
			}
		}
	})
}

func TestFullRecordingIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "square.wav")
	synctest.Test(t, func(t *testing.T) {
		must(t, open(t, "wav:"+path).Close())
		must(t, os.Truncate(path, 1<<31-200_000)) // sparse; the header says 0
		d := open(t, "wav:"+path)
		var err error
		for i := 0; err == nil && i < 100; i++ {
			err = d.Write(ramp(0, devices.Ring))
		}
		if !errors.Is(err, devices.ErrFull) {
			t.Fatalf("write: %v", err)
		}
		must(t, d.Close())
		info, err := os.Stat(path)
		must(t, err)
		if info.Size() >= 1<<31 || info.Size() < 1<<31-200_000 {
			t.Errorf("%d bytes", info.Size())
		}

		d = open(t, "wav:"+path)
		defer shut(t, d)
		if p := position(t, d); p.Consumed != 0 {
			t.Errorf("the new file begins at frame %d", p.Consumed)
		}
		kept, err := filepath.Glob(strings.TrimSuffix(path, ".wav") + "-*Z.wav")
		must(t, err)
		if len(kept) != 1 {
			t.Fatalf("set aside: %v", kept)
		}
	})
}

func TestARecordingIsRefusedForAFileOfAnotherKind(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.wav")
	must(t, os.WriteFile(foreign, []byte("RIFF....WAVEfmt and something else entirely, stereo"), 0o644))
	stereo := filepath.Join(dir, "stereo.wav")
	must(t, open(t, "wav:"+stereo).Close())
	b, err := os.ReadFile(stereo)
	must(t, err)
	b[22] = 2
	must(t, os.WriteFile(stereo, b, 0o644))
	held := filepath.Join(dir, "held.wav")
	holder := open(t, "wav:"+held)
	defer shut(t, holder)

	for _, c := range []struct {
		name, path string
		want       error
	}{
		{"a file of another kind", foreign, devices.ErrForeign},
		{"a stereo file", stereo, devices.ErrForeign},
		{"a folder", dir, nil},
		{"a path below a file", filepath.Join(foreign, "x.wav"), nil},
		{"a recording that another output writes", held, devices.ErrBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := os.ReadFile(c.path)
			d, err := devices.Open(t.Context(), playlist.Output{Device: "wav:" + c.path}, devices.Options{})
			if err == nil {
				shut(t, d)
				t.Fatal("opened")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), c.path) {
				t.Errorf("%q does not name the file", err)
			}
			if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func FuzzRecordingFound(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "square.wav")
	d, err := devices.Open(f.Context(), playlist.Output{Device: "wav:" + path}, devices.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if err := d.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:30])
	f.Add(append(b, 1, 2, 3))
	f.Add([]byte("RIFF"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, before []byte) {
		path := filepath.Join(t.TempDir(), "square.wav")
		must(t, os.WriteFile(path, before, 0o644))
		d, err := devices.Open(t.Context(), playlist.Output{Device: "wav:" + path}, devices.Options{})
		if err != nil {
			if after, _ := os.ReadFile(path); !errors.Is(err, devices.ErrForeign) || !bytes.Equal(before, after) {
				t.Fatalf("%v, and the file is %x", err, after)
			}
			return
		}
		p := position(t, d)
		must(t, d.Close())
		if n := int64(len(recorded(t, path))); n != p.Consumed || n != int64(max(0, len(before)-44)/2) {
			t.Fatalf("%d bytes became %d frames, and the device begins at %d", len(before), n, p.Consumed)
		}
	})
}
