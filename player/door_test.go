package player_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"dalaba/player"
	"dalaba/playlist/say"
)

// sound encodes two seconds of a sweep with ffmpeg, as the arguments say.
func sound(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	run(t, "ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i",
		"aevalsrc=0.4*sin(2*PI*(200+300*t)*t)+0.05*random(0):s=48000:d=2"}, args...), file)...)
	return read(t, file)
}

// lamed encodes the same with lame.
func lamed(t *testing.T, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	wav := filepath.Join(dir, "in.wav")
	if err := os.WriteFile(wav, sound(t, "in.wav"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "lame", append(append([]string{"--quiet"}, args...), wav, filepath.Join(dir, "out.mp3"))...)
	return read(t, filepath.Join(dir, "out.mp3"))
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clip is a clip of the air profile at 64 kbit/s: frames of 192 bytes.
func clip(t *testing.T, args ...string) []byte {
	return sound(t, "clip.mp3", append([]string{"-ac", "1", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0", "-map_metadata", "-1"}, args...)...)
}

const frameSize = 192

func TestTheDoorLetsInWhatTheDecoderPlays(t *testing.T) {
	clips := map[string][]byte{"ffmpeg at 64": clip(t)}
	for _, kbps := range []string{"32", "40", "48", "56", "80", "96", "112", "128", "160"} {
		clips["ffmpeg at "+kbps] = clip(t, "-b:a", kbps+"k")
	}
	clips["lame with check sums"] = lamed(t, "-m", "m", "-b", "64", "--cbr", "-t", "-p")
	clips["no bit reservoir"] = lamed(t, "-m", "m", "-b", "96", "--cbr", "-t", "--nores")
	for name, c := range clips {
		t.Run(name, func(t *testing.T) {
			info, err := player.Scan(bytes.NewReader(c))
			if err != nil {
				t.Fatal(say.In(say.English, err))
			}
			sum := sha256.Sum256(c)
			if string(info.ID) != hex.EncodeToString(sum[:]) || info.Size != int64(len(c)) {
				t.Errorf("info %+v of %d bytes", info, len(c))
			}
			if want := int64(len(c) / (info.Kbps * 3) * 1152); info.Frames != want {
				t.Errorf("%d frames at %d kbit/s, want %d", info.Frames, info.Kbps, want)
			}
			if got := decode(t, c); int64(len(got)) != info.Frames {
				t.Errorf("decoder gives %d frames, door says %d", len(got), info.Frames)
			} else if snr := against(got, peer(t, c)); snr < 50 {
				t.Errorf("%.1f dB against ffmpeg", snr)
			}
		})
	}
}

// decode plays a clip to its end, in uneven bites.
func decode(t *testing.T, c []byte) []int16 {
	t.Helper()
	d, err := player.OpenClip(bytes.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	var all []int16
	buf := make([]int16, 1000)
	for {
		n, err := d.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// peer is ffmpeg's decode of the same clip.
func peer(t *testing.T, c []byte) []int16 {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "mp3", "-i", "pipe:", "-ac", "1", "-f", "s16le", "pipe:")
	cmd.Stdin = bytes.NewReader(c)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, len(out)/2)
	for i := range pcm {
		pcm[i] = int16(out[2*i]) | int16(out[2*i+1])<<8
	}
	return pcm
}

// against is the signal to noise ratio in dB.
func against(got, want []int16) float64 {
	var signal, noise float64
	for i := range want {
		d := float64(want[i])
		signal += d * d
		if i < len(got) {
			d -= float64(got[i])
		}
		noise += d * d
	}
	return 10 * math.Log10(signal/(noise+1e-9))
}

// poke writes bits into frame n of a 64 kbit/s clip, counted from the start
// of its side information.
func poke(c []byte, n, bit, width, value int) []byte {
	out := bytes.Clone(c)
	side := out[n*frameSize+4:]
	for i := range width {
		at, mask := (bit+i)>>3, byte(0x80)>>((bit+i)&7)
		side[at] &^= mask
		if value>>(width-1-i)&1 == 1 {
			side[at] |= mask
		}
	}
	return out
}

func TestTheDoorKeepsOutTheRest(t *testing.T) {
	good := clip(t)
	// An encoder's frames differ; find one whose first granule has a long
	// block, where the faults below have their plain meaning.
	long := 0
	for n := 20; n < 40; n++ {
		side := good[n*frameSize+4:]
		if side[(18+12+9+8+4)/8]>>(7-(18+12+9+8+4)%8)&1 == 0 {
			long = n
			break
		}
	}
	const g0 = 18 // where the first granule begins
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name string
		file []byte
		want string // the message's key
	}{
		{"nothing at all", nil, "clip.empty"},
		{"text named .mp3", []byte("今天的健康微课堂\n"), "clip.not_mp3"},
		{"two bytes", []byte{0xff, 0xfb}, "clip.garbage"},
		{"a WAV", sound(t, "x.wav"), "clip.not_mp3"},
		{"AAC renamed", sound(t, "x.aac"), "clip.not_mp3"},
		{"layer II", sound(t, "x.mp2", "-ac", "1"), "clip.layer"},
		{"44.1 kHz", lamed(t, "-m", "m", "-t", "--resample", "44.1"), "clip.rate"},
		{"22.05 kHz", lamed(t, "-m", "m", "-t", "-b", "32", "--resample", "22.05"), "clip.rate"},
		{"11.025 kHz", lamed(t, "-m", "m", "-t", "-b", "16", "--resample", "11.025"), "clip.rate"},
		{"joint stereo", sound(t, "x.mp3", "-ac", "2", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"), "clip.stereo"},
		{"320 kbit/s", clip(t, "-b:a", "320k"), "clip.bitrate"},
		{"free format", lamed(t, "-m", "m", "-t", "--freeformat", "-b", "100"), "clip.free"},
		{"variable bit rate", lamed(t, "-m", "m", "-t", "-V", "4", "-B", "128"), "clip.vbr"},
		{"pre-emphasis", join(good[:3], []byte{good[3] | 1}, good[4:]), "clip.emphasis"},
		{"an encoder's tag", sound(t, "x.mp3", "-ac", "1", "-b:a", "64k", "-id3v2_version", "0"), "clip.tagged"},
		{"ID3v2 ahead", sound(t, "x.mp3", "-ac", "1", "-b:a", "64k", "-metadata", "title=x"), "clip.tagged"},
		{"ID3v2 that claims 256 MiB", []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), "clip.tagged"},
		{"ID3v1 behind", join(good, []byte("TAG"), make([]byte, 125)), "clip.tagged"},
		{"APE behind", join(good, []byte("APETAGEX"), make([]byte, 24)), "clip.tagged"},
		{"zeros behind", join(good, make([]byte, 10)), "clip.garbage"},
		{"zeros in the middle", join(good[:10*frameSize], make([]byte, 700), good[10*frameSize:]), "clip.garbage"},
		{"one byte lost", join(good[:5100], good[5101:]), "clip.garbage"},
		{"half a frame at the end", good[:len(good)-100], "clip.cut"},
		{"the beginning cut off", good[20*frameSize:], "clip.torn"},
		{"a check sum that does not match", join(good[:1], []byte{good[1] &^ 1}, good[2:]), "clip.damaged"},
		{"more from the reservoir than there is", poke(good, 1, 0, 9, 511), "clip.reservoir"},
		{"more values than a granule holds", poke(good, long, g0+12, 9, 289), "clip.damaged"},
		{"more bits than the frame holds", poke(good, long, g0, 12, 4095), "clip.damaged"},
		{"fewer bits than the scale factors take", poke(poke(good, long, g0+29, 4, 15), long, g0, 12, 20), "clip.damaged"},
		{"no bits, yet scale factors", poke(poke(good, long, g0+29, 4, 15), long, g0, 12, 0), "clip.damaged"},
		{"a forbidden block type", poke(good, long, g0+33, 3, 4), "clip.damaged"},
		{"a mixed block", poke(good, long, g0+33, 4, 0b1101), "clip.damaged"},
		{"an empty code table", poke(good, long, g0+34, 5, 4), "clip.damaged"},
		{"regions beyond the last band", poke(good, long, g0+49, 7, 127), "clip.damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := player.Scan(bytes.NewReader(c.file))
			if !errors.Is(err, player.ErrUnfit) {
				t.Fatalf("Scan = %+v, %v; want %s", info, err, c.want)
			}
			var m say.Message
			if !errors.As(err, &m) || m.Key != c.want {
				t.Errorf("says %q, want %s", say.In(say.English, err), c.want)
			}
			if !say.Has(m.Key) {
				t.Errorf("no words for %s", m.Key)
			}
			if zh := say.In(say.Chinese, err); strings.Contains(zh, "%!") || zh == m.Key {
				t.Errorf("reads %q", zh)
			}
		})
	}
}

func TestTheDoorSaysWhatAnImportConverts(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       bool
	}{
		{"a WAV", "RIFF\x24\x00\x00\x00WAVEfmt ", true},
		{"an M4A", "\x00\x00\x00\x20ftypM4A ", true},
		{"an MP3 with a tag", "ID3\x04\x00\x00\x00\x00\x00\x00", true},
		{"what is no sound", "<html><body>404</body></html>", false},
		{"nothing", "", false},
	} {
		_, err := player.Scan(strings.NewReader(c.file))
		var by interface{ Convertible() bool }
		if !errors.As(err, &by) || by.Convertible() != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTheDoorPassesReadErrorsOn(t *testing.T) {
	good, broken := clip(t), errors.New("input/output error")
	for _, n := range []int{0, 2, 100, 5000} {
		_, err := player.Scan(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, player.ErrUnfit) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestConformanceStreams hands the ISO streams straight to the door: what
// passes must then play as its reference does.
func TestConformanceStreams(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "vectors", "mp3", "minimp3")
	streams, err := filepath.Glob(filepath.Join(dir, "*.bit"))
	if err != nil || len(streams) == 0 {
		t.Skipf("no conformance streams in %s", dir)
	}
	for _, s := range streams {
		verdict := ""
		if info, err := player.Scan(bytes.NewReader(read(t, s))); err != nil {
			if !errors.Is(err, player.ErrUnfit) {
				t.Errorf("%s: %v", s, err)
			}
			verdict = say.In(say.English, err)
		} else {
			pcm := read(t, strings.TrimSuffix(s, ".bit")+".pcm")
			want := make([]int16, len(pcm)/2)
			for i := range want {
				want[i] = int16(pcm[2*i]) | int16(pcm[2*i+1])<<8
			}
			snr := against(decode(t, read(t, s)), want)
			if snr < 50 {
				t.Errorf("%s let in, but plays at %.1f dB of its reference", s, snr)
			}
			verdict = fmt.Sprintf("let in: %d frames, %.1f dB against its reference", info.Frames, snr)
		}
		t.Logf("%-42s %s", filepath.Base(s), verdict)
	}
}

func FuzzScan(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		info, err := player.Scan(bytes.NewReader(file))
		if err != nil {
			var m say.Message
			if !errors.Is(err, player.ErrUnfit) || !errors.As(err, &m) || !say.Has(m.Key) {
				t.Fatalf("speechless: %v", err)
			}
			return
		}
		if info.Size != int64(len(file)) {
			t.Fatalf("%d of %d bytes seen", info.Size, len(file))
		}
		d, err := player.OpenClip(bytes.NewReader(file))
		if err != nil {
			t.Fatalf("let in, but does not open: %v", err)
		}
		n, err := drain(d)
		if err != io.EOF || n != info.Frames {
			t.Fatalf("let in with %d frames, plays %d: %v", info.Frames, n, err)
		}
	})
}
