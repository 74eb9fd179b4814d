package ingest_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dalaba/ingest"
)

func TestLoudnessAgreesWithFFmpeg(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := speech(t, dir)
	for name, filter := range map[string]string{
		"speech":                   "anull",
		"a reference tone":         "aevalsrc=0.1*sin(2*PI*997*t):s=48000:d=10",
		"bursts among silence":     "aevalsrc='0.5*sin(2*PI*700*t)*lt(mod(t,4),1)':s=48000:d=20",
		"bass":                     "sine=f=40:r=48000:d=8",
		"treble between samples":   "aevalsrc='0.9*min(1,min(t,5-t))*sin(2*PI*12000*t+0.785)':s=48000:d=5",
		"noise":                    "anoisesrc=a=0.2:r=48000:d=8:seed=1",
		"a very quiet recording":   "aevalsrc=0.001*sin(2*PI*440*t):s=48000:d=6",
		"a whisper before a shout": "aevalsrc='if(lt(t,8),0.01,0.8)*sin(2*PI*500*t)':s=48000:d=12",
	} {
		path := filepath.Join(dir, "x.wav")
		if filter == "anull" {
			path = wav
		} else {
			run(t, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", filter, "-c:a", "pcm_f32le", path)
		}
		out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "pipe:1").Output()
		if err != nil {
			t.Fatal(err)
		}
		frames := make([]float32, len(out)/4)
		if err := binary.Read(bytes.NewReader(out), binary.LittleEndian, frames); err != nil {
			t.Fatal(err)
		}
		meter := ingest.NewLoudness()
		for len(frames) > 0 {
			n := min(len(frames), 777)
			meter.Add(frames[:n])
			frames = frames[n:]
		}
		lufs, peak := peer(t, path)
		if math.Abs(meter.LUFS()-lufs) > 0.11 {
			t.Errorf("%s: %.2f LUFS, ffmpeg says %.1f", name, meter.LUFS(), lufs)
		}
		if math.Abs(meter.Peak()-peak) > 0.25 {
			t.Errorf("%s: %.2f dBTP, ffmpeg says %.1f", name, meter.Peak(), peak)
		}
	}
	if l := ingest.NewLoudness(); !math.IsInf(l.LUFS(), -1) || !math.IsInf(l.Peak(), -1) {
		t.Error("a meter that has heard nothing says something")
	}
}

// BenchmarkTenMinutes times the ingest of ten minutes of speech against plain
// ffmpeg with loudnorm in two passes, in the same run.
func BenchmarkTenMinutes(b *testing.B) {
	dir := b.TempDir()
	ten := filepath.Join(dir, "ten.mp3")
	run(b, "ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", speech(b, dir), "-t", "600", "-ar", "44100", "-ac", "2", "-b:a", "128k", ten)
	b.Run("ingest", func(b *testing.B) {
		var spent ingest.Spent
		for b.Loop() {
			res, err := ingester(b).File(b.Context(), ten, ingest.Meta{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := os.Remove(res.Path); err != nil {
				b.Fatal(err)
			}
			spent = res.Figures.Spent
		}
		b.ReportMetric(600*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
		b.ReportMetric(spent.Probe, "s-probe")
		b.ReportMetric(spent.Measure, "s-measure")
		b.ReportMetric(spent.Encode, "s-encode")
		b.ReportMetric(spent.Prove, "s-prove")
	})
	b.Run("ffmpeg", func(b *testing.B) {
		for b.Loop() {
			run(b, "ffmpeg", "-nostdin", "-v", "error", "-i", ten, "-af", "loudnorm=I=-16:TP=-1.5:print_format=json", "-f", "null", "-")
			run(b, "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", ten, "-af", "loudnorm=I=-16:TP=-1.5", "-ac", "1", "-ar", "48000", "-b:a", "64k",
				"-write_xing", "0", filepath.Join(dir, "out.mp3"))
		}
		b.ReportMetric(600*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
	})
}
