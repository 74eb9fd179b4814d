package ingest_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/ingest"
	"dalaba/playlist/say"
)

// TestConformanceStreams imports streams of the standard with their reference
// sound: each is refused for a reason, or airs as the reference does.
func TestConformanceStreams(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "shared", "vectors", "mp3", "minimp3")
	streams, err := filepath.Glob(filepath.Join(dir, "*.bit"))
	if err != nil || len(streams) == 0 {
		t.Skipf("no conformance streams in %s", dir)
	}
	for _, s := range streams {
		verdict := ""
		g := ingester(t)
		res, err := g.File(t.Context(), s, ingest.Meta{}, nil)
		if err != nil {
			refused(t, err)
			verdict = "refused: " + say.In(say.English, err)
		} else {
			rate, channels := res.Figures.SourceRate, res.Figures.Channels
			pcm := strings.TrimSuffix(s, ".bit") + ".pcm"
			if filepath.Base(s) == "l3-he_mode.bit" {
				pcm = filepath.Join(t.TempDir(), "mono.pcm")
				write(t, pcm, mono(read(t, s), read(t, strings.TrimSuffix(s, ".bit")+".pcm")))
			}
			want := band(t, pcm, "-f", "s16le", "-ar", fmt.Sprint(rate), "-ac", fmt.Sprint(channels))
			like := alike(want, band(t, res.Path))
			verdict = fmt.Sprintf("airs %.2f s, like its reference %.3f", res.Clip.Length().Seconds(), like)
			if like < 0.9 {
				t.Errorf("%s is taken, and airs like its reference by %.3f only", filepath.Base(s), like)
			}
		}
		t.Logf("%-40s %s", filepath.Base(s), verdict)
	}
}

// mono mixes the reference of a 44.1 kHz stream whose frames change from one
// channel to two and back.
func mono(stream, pcm []byte) []byte {
	kbps := []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	var out []byte
	for at := 0; at+4 <= len(stream) && len(pcm) > 0; {
		for range 1152 {
			x := int(int16(binary.LittleEndian.Uint16(pcm)))
			pcm = pcm[2:]
			if stream[at+3]>>6 != 3 {
				x = (x + int(int16(binary.LittleEndian.Uint16(pcm)))) / 2
				pcm = pcm[2:]
			}
			out = binary.LittleEndian.AppendUint16(out, uint16(x))
		}
		at += 144000*kbps[stream[at+2]>>4]/44100 + int(stream[at+2]>>1&1)
	}
	return out
}

// band returns a file's sound from 80 Hz to 4 kHz at 16 kHz.
func band(t *testing.T, path string, format ...string) []float64 {
	t.Helper()
	args := append([]string{"-v", "error"}, format...)
	args = append(args, "-i", path, "-af", "aformat=channel_layouts=mono,aresample=48000,highpass=80,lowpass=4000,lowpass=4000,lowpass=4000,aresample=16000", "-f", "f32le", "pipe:1")
	out, err := exec.Command("ffmpeg", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	frames := make([]float32, len(out)/4)
	if err := binary.Read(bytes.NewReader(out), binary.LittleEndian, frames); err != nil {
		t.Fatal(err)
	}
	wide := make([]float64, len(frames))
	for i, x := range frames {
		wide[i] = float64(x)
	}
	return wide
}

// alike returns the greatest correlation of the first two seconds of two
// sounds, over lags of a quarter second either way, because the beginning may
// be trimmed.
func alike(x, y []float64) float64 {
	n := min(len(x), 2*16000)
	at := func(lag, step int) float64 {
		var xy, xx, yy float64
		for i := max(0, -lag); i < n && i+lag < len(y); i += step {
			a, b := x[i], y[i+lag]
			xy, xx, yy = xy+a*b, xx+a*a, yy+b*b
		}
		return xy / math.Sqrt(xx*yy+1e-12)
	}
	lag, most := 0, 0.0
	for l := -4000; l <= 4000; l++ {
		if c := at(l, 8); c > most {
			lag, most = l, c
		}
	}
	return at(lag, 1)
}
