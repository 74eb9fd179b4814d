package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// ingester returns an ingester with the player's door and decoder, as the
// programs have it. It is one for alerts, whose children get processor time
// even if the machine is busy.
func ingester(t testing.TB) *ingest.Ingester { return importer(t).Urgent() }

func importer(t testing.TB) *ingest.Ingester {
	return &ingest.Ingester{
		TempDir: t.TempDir(),
		Door: func(r io.Reader) (playlist.Clip, error) {
			info, err := player.Scan(r)
			return playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, err
		},
		Decode: func(r io.Reader) (ingest.Samples, error) { return player.OpenClip(r) },
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func write(t testing.TB, path string, parts ...[]byte) {
	t.Helper()
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// spoken holds a second and a half of Mandarin as a 48 kHz mono WAV, and a word
// of it.
var spoken struct {
	once       sync.Once
	long, word []byte
}

// speech writes a second and a half of Mandarin as a 48 kHz mono WAV.
func speech(t testing.TB, dir string) string {
	t.Helper()
	return sayFrom(t, dir, func() []byte { return spoken.long })
}

// word writes the beginning of it, for a test in which the sound does not
// matter.
func word(t testing.TB, dir string) string {
	t.Helper()
	return sayFrom(t, dir, func() []byte { return spoken.word })
}

func sayFrom(t testing.TB, dir string, which func() []byte) string {
	t.Helper()
	spoken.once.Do(func() {
		made := t.TempDir()
		raw, wav := filepath.Join(made, "espeak.wav"), filepath.Join(made, "speech.wav")
		run(t, "espeak-ng", "-v", "cmn", "-w", raw, "乡亲们，天冷了，多开窗通风，勤洗手。")
		run(t, "ffmpeg", "-v", "error", "-i", raw, "-ar", "48000", "-t", "1.5", wav)
		spoken.long = read(t, wav)
		run(t, "ffmpeg", "-v", "error", "-y", "-i", raw, "-ar", "48000", "-t", "0.75", wav)
		spoken.word = read(t, wav)
	})
	if len(which()) == 0 {
		t.Fatal("the speech could not be made; an earlier test says why")
	}
	wav := filepath.Join(dir, "speech.wav")
	write(t, wav, which())
	return wav
}

// ffmpeg converts the file with the arguments; out is the name of the result.
func ffmpeg(t testing.TB, in, out string, args ...string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(in), out)
	run(t, "ffmpeg", append(append([]string{"-v", "error", "-y", "-i", in}, args...), path)...)
	return path
}

var (
	integrated = regexp.MustCompile(`I:\s+(-?[\d.]+|-inf) LUFS`)
	peakLevel  = regexp.MustCompile(`Peak:\s+(-?[\d.]+|-inf) dBFS`)
)

// peer returns a file's loudness and true peak as ffmpeg measures them.
func peer(t testing.TB, path string) (lufs, peak float64) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-nostdin", "-hide_banner", "-i", path, "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	number := func(re *regexp.Regexp) float64 {
		all := re.FindAllSubmatch(out, -1)
		if len(all) == 0 {
			t.Fatalf("no loudness in %s", out)
		}
		v, err := strconv.ParseFloat(string(all[len(all)-1][1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return number(integrated), number(peakLevel)
}

// empty fails the test if files are left in the temporary folder.
func empty(t testing.TB, g *ingest.Ingester) {
	t.Helper()
	left, err := os.ReadDir(g.TempDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("left behind: %s", f.Name())
	}
}

// input is a file that people might import.
type input struct {
	name  string
	make  func(t *testing.T, wav string) string // makes it from a speech WAV in a folder of its own
	want  string                                // the refusal's key; empty: accepted
	other bool                                  // its length is not that of the speech
	also  string                                // the key of a change that must be reported
}

func with(out string, args ...string) func(*testing.T, string) string {
	return func(t *testing.T, wav string) string { return ffmpeg(t, wav, out, args...) }
}

func lame(args ...string) func(*testing.T, string) string {
	return func(t *testing.T, wav string) string {
		out := filepath.Join(filepath.Dir(wav), "lame.mp3")
		run(t, "lame", append(append([]string{"--quiet"}, args...), wav, out)...)
		return out
	}
}

func sox(out string, args ...string) func(*testing.T, string) string {
	return func(t *testing.T, wav string) string {
		path := filepath.Join(filepath.Dir(wav), out)
		run(t, "sox", append(append([]string{wav}, args...), path)...)
		return path
	}
}

// bytesOf changes the bytes of the file that another maker made.
func bytesOf(make func(*testing.T, string) string, change func([]byte) []byte) func(*testing.T, string) string {
	return func(t *testing.T, wav string) string {
		path := make(t, wav)
		write(t, path, change(read(t, path)))
		return path
	}
}

// raw writes floats or bytes that no program makes.
func raw(name string, content func() []byte) func(*testing.T, string) string {
	return func(t *testing.T, wav string) string {
		path := filepath.Join(filepath.Dir(wav), name)
		write(t, path, content())
		return path
	}
}

func inputs() []input {
	all := []input{}
	for _, rate := range []string{"8000", "11025", "12000", "16000", "22050", "24000", "32000", "44100", "48000", "64000", "88200", "96000"} {
		all = append(all, input{name: "WAV at " + rate + " Hz", make: with("in.wav", "-ar", rate)})
	}
	for _, codec := range []string{"pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav"} {
		all = append(all, input{name: "WAV as " + codec, make: with("in.wav", "-c:a", codec)})
	}
	cover := func(t *testing.T, wav string) string {
		art := filepath.Join(filepath.Dir(wav), "art.png")
		run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "nullsrc=s=1600x1600,geq=random(1)*255:128:128", "-frames:v", "1", art)
		out := filepath.Join(filepath.Dir(wav), "in.mp3")
		run(t, "ffmpeg", "-v", "error", "-i", wav, "-i", art, "-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic", out)
		return out
	}
	mp3 := with("in.mp3", "-b:a", "64k")
	air := func(args ...string) func(*testing.T, string) string {
		return with("in.mp3", append([]string{"-ac", "1", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0", "-map_metadata", "-1"}, args...)...)
	}
	return append(all, []input{
		{name: "stereo", make: with("in.wav", "-ac", "2"), also: "ingest.mixed"},
		{name: "5.1 in FLAC", make: with("in.flac", "-ac", "6"), also: "ingest.mixed"},
		{name: "5.1 in AAC", make: with("in.m4a", "-ac", "6"), also: "ingest.mixed"},
		{name: "one side only", make: with("in.wav", "-af", "pan=stereo|c0=c0|c1=0*c0"), also: "ingest.mixed"},
		{name: "channels that cancel each other", make: with("in.wav", "-af", "pan=stereo|c0=c0|c1=-1*c0"), also: "ingest.antiphase"},
		{name: "MP3 of 22.05 kHz, constant rate", make: lame("-m", "m", "-b", "32", "--cbr", "--resample", "22.05")},
		{name: "MP3 of 24 kHz", make: lame("-m", "m", "-b", "24", "--cbr", "--resample", "24")},
		{name: "MP3 of 8 kHz, MPEG-2.5", make: lame("-m", "m", "-b", "16", "--cbr", "--resample", "8")},
		{name: "MP3 of 44.1 kHz, joint stereo", make: with("in.mp3", "-ac", "2", "-ar", "44100", "-b:a", "128k", "-joint_stereo", "1")},
		{name: "MP3 of 320 kbit/s", make: with("in.mp3", "-b:a", "320k")},
		{name: "MP3 of variable rate", make: lame("-V", "4")},
		{name: "MP3 of average rate", make: lame("--abr", "90")},
		{name: "MP3 of free format", make: lame("-m", "m", "--freeformat", "-b", "100", "--resample", "44.1"), want: "ingest.not_sound"},
		{name: "MP2", make: with("in.mp2", "-b:a", "128k")},
		{name: "AAC in ADTS", make: with("in.aac")},
		{name: "AAC in M4A", make: with("in.m4a")},
		{name: "ALAC in M4A", make: with("in.m4a", "-c:a", "alac")},
		{name: "AMR narrow band", make: sox("in.amr-nb", "-r", "8000", "-c", "1")},
		{name: "AMR wide band, of noise", make: raw("in.amr", func() []byte {
			b := []byte("#!AMR-WB\n")
			for i, x := 0, uint32(1); i < 150; i++ {
				b = append(b, 0x04) // 20 ms at 6.6 kbit/s
				for range 17 {
					x = x*1664525 + 1013904223
					b = append(b, byte(x>>24))
				}
			}
			return b
		}), want: "ingest.unlike"},
		{name: "AMR in 3GP, as phones record", make: func(t *testing.T, wav string) string {
			return ffmpeg(t, sox("in.amr-nb", "-r", "8000", "-c", "1")(t, wav), "in.3gp", "-c", "copy")
		}},
		{name: "GSM in WAV", make: sox("gsm.wav", "-r", "8000", "-c", "1", "-e", "gsm-full-rate")},
		{name: "Ogg Vorbis", make: with("in.ogg", "-c:a", "libvorbis")},
		{name: "Opus", make: with("in.opus", "-c:a", "libopus")},
		{name: "FLAC", make: with("in.flac")},
		{name: "FLAC of 24 bits", make: with("in.flac", "-sample_fmt", "s32")},
		{name: "WavPack", make: with("in.wv")},
		{name: "AIFF", make: with("in.aiff")},
		{name: "AU", make: with("in.au")},
		{name: "CAF", make: with("in.caf")},
		{name: "Windows Media", make: with("in.wma")},
		{name: "AC-3", make: with("in.ac3")},
		{name: "Matroska", make: with("in.mka", "-c:a", "libopus")},
		{name: "MP4 video", make: with("in.mp4", "-f", "lavfi", "-i", "testsrc=s=320x240:d=4", "-shortest")},
		{name: "a large picture in the tag", make: cover},
		{name: "two ID3 tags", make: bytesOf(mp3, func(b []byte) []byte {
			return bytes.Join([][]byte{[]byte("ID3\x03\x00\x00\x00\x00\x00\x0a0123456789"), b, []byte("TAG"), make([]byte, 125)}, nil)
		})},
		{name: "an MP3 cut off in a frame", make: bytesOf(mp3, func(b []byte) []byte { return b[:len(b)*3/4-55] }), other: true},
		{name: "a WAV cut off at a third", make: bytesOf(with("in.wav"), func(b []byte) []byte { return b[:len(b)/3] }), want: "ingest.incomplete"},
		{name: "an M4A cut off", make: bytesOf(with("in.m4a"), func(b []byte) []byte { return b[:len(b)*3/4] }), want: "ingest.not_sound"},
		{name: "garbage in the middle of an MP3", make: bytesOf(mp3, func(b []byte) []byte {
			return bytes.Join([][]byte{b[:len(b)/2], bytes.Repeat([]byte{0x55, 0xff, 0xe1, 7}, 100), b[len(b)/2:]}, nil)
		}), other: true},
		{name: "far too loud", make: with("in.wav", "-af", "volume=40dB", "-c:a", "pcm_f32le")},
		{name: "very faint", make: with("in.wav", "-af", "volume=-28dB", "-c:a", "pcm_s24le"), also: "ingest.faint"},
		{name: "silence at both ends", make: with("in.wav", "-af", "adelay=3000,apad=pad_dur=5"), also: "ingest.trimmed", other: true},
		{name: "a hiss at both ends", make: with("in.wav", "-filter_complex", "anoisesrc=a=0.0003:r=48000:d=9[n];[0]adelay=2000[s];[n][s]amix=normalize=0"), also: "ingest.trimmed", other: true},
		{name: "an air clip that is not levelled", make: air("-af", "volume=-20dB")},
		{name: "floats that are not numbers", make: bytesOf(with("in.wav", "-c:a", "pcm_f32le"), func(b []byte) []byte {
			copy(b[len(b)/2:], bytes.Repeat([]byte{0, 0, 0xc0, 0x7f}, 100))
			return b
		})},
		{name: "music with a beat", make: with("in.wav", "-f", "lavfi", "-i",
			"aevalsrc='0.3*sin(2*PI*220*t)+0.2*sin(2*PI*330*t)+0.5*sin(2*PI*60*t)*exp(-20*mod(t,0.5))':s=44100:d=4", "-map", "1:a"), other: true},
		{name: "clicks that are only short peaks", make: with("in.wav", "-f", "lavfi", "-i", "aevalsrc='0.9*sin(2*PI*900*t)*lt(mod(t,0.7),0.004)':s=48000:d=5", "-map", "1:a"), other: true, want: "ingest.level"},
		{name: "a whistle above the band of a horn", make: with("in.wav", "-f", "lavfi", "-i", "sine=f=13000:r=48000:d=3", "-map", "1:a"), want: "ingest.unlike"},
		{name: "silence", make: with("in.mp3", "-af", "volume=0"), want: "ingest.silent"},
		{name: "one sample", make: with("in.wav", "-af", "atrim=end_sample=1"), want: "ingest.short"},
		{name: "a tenth of a second", make: with("in.wav", "-ss", "1", "-t", "0.1"), want: "ingest.short"},
		{name: "zero bytes", make: raw("in.mp3", func() []byte { return nil }), want: "ingest.empty"},
		{name: "text named .mp3", make: raw("in.mp3", func() []byte { return []byte(strings.Repeat("健康微课堂 ", 500)) }), want: "ingest.no_media"},
		{name: "a picture", make: func(t *testing.T, wav string) string {
			return ffmpeg(t, wav, "in.png", "-f", "lavfi", "-i", "testsrc=s=320x240", "-map", "1:v", "-frames:v", "1")
		}, want: "ingest.no_media"},
		{name: "a picture named .mp3", make: func(t *testing.T, wav string) string {
			return ffmpeg(t, wav, "pic.mp3", "-f", "lavfi", "-i", "testsrc=s=320x240", "-map", "1:v", "-frames:v", "1", "-c:v", "mjpeg", "-f", "image2")
		}, want: "ingest.no_media"},
		{name: "a video without sound", make: with("in.mp4", "-f", "lavfi", "-i", "testsrc=s=320x240:d=1", "-map", "1:v"), want: "ingest.no_audio"},
		{name: "a list named .mp3", make: raw("in.mp3", func() []byte { return []byte("ffconcat version 1.0\nfile /etc/passwd\n") }), want: "ingest.no_media"},
		{name: "an HLS list named .mp3", make: raw("in.mp3", func() []byte {
			return []byte("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
		}), want: "ingest.no_media"},
		{name: "nothing but noise bytes", make: raw("in.mp3", func() []byte {
			b := make([]byte, 50_000)
			for i, x := 0, uint32(1); i < len(b); i++ {
				x = x*1664525 + 1013904223
				b[i] = byte(x >> 24)
			}
			return b
		}), want: "ingest.not_sound"},
	}...)
}

func TestCommonFilesBecomeClipsOrAreRefused(t *testing.T) {
	said := read(t, speech(t, t.TempDir()))
	rows := make(chan string, len(inputs()))
	t.Cleanup(func() {
		close(rows)
		table := slices.Sorted(func(yield func(string) bool) {
			for r := range rows {
				if !yield(r) {
					return
				}
			}
		})
		t.Logf("%d inputs\n%s", len(inputs()), strings.Join(table, ""))
	})
	for _, in := range inputs() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			wav := filepath.Join(t.TempDir(), "speech.wav")
			write(t, wav, said)
			path := in.make(t, wav)
			g := ingester(t)
			res, err := g.File(t.Context(), path, ingest.Meta{}, nil)
			if in.want != "" {
				key := refused(t, err)
				if key != in.want {
					t.Errorf("refused with %s: %v; want %s", key, err, in.want)
				}
				empty(t, g)
				rows <- fmt.Sprintf("%-36s refused: %s\n", in.name, say.In(say.English, err))
				return
			}
			if err != nil {
				t.Fatalf("refused: %s", say.In(say.English, err))
			}
			f := res.Figures
			rows <- fmt.Sprintf("%-36s %-24s %5.2f s, %6.1f -> %5.1f LUFS, %5.1f dBTP, SNR %4.1f dB, like its source %.3f (worst %.3f)\n", in.name, f.Format,
				res.Clip.Length().Seconds(), f.LUFSBefore, f.LUFS, f.Peak, f.SNR, f.Correlation, f.Worst)
			told := false
			for _, c := range f.Changes {
				told = told || c.Key == in.also
			}
			if in.also != "" && !told {
				t.Errorf("changes %v do not tell %s", f.Changes, in.also)
			}
			// The speech lasts 1.5 s; codecs, ours too, add some padding.
			if d := res.Clip.Length(); !in.other && (d < 1350*time.Millisecond || d > 1700*time.Millisecond) {
				t.Errorf("sounds for %v", d)
			}
			lufs, peak := peer(t, res.Path)
			if math.Abs(lufs-ingest.TargetLUFS) > 1 || math.Abs(lufs-float64(f.LUFS)) > 0.15 {
				t.Errorf("%.1f LUFS says ffmpeg, %.1f says ingest", lufs, f.LUFS)
			}
			if peak > ingest.CeilingDBTP+0.3 {
				t.Errorf("peaks at %.1f dBTP", peak)
			}
			if f.SNR < 50 || f.Correlation < 0.9 && f.Correlation != 0 {
				t.Errorf("figures %+v", f)
			}
			if res.Clip.Title == "" || res.Clip.Language == "" {
				t.Errorf("clip %+v", res.Clip)
			}
		})
	}
}

// refused returns the key of a refusal's message, which must exist.
func refused(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		t.Fatal("taken")
	}
	key := keyOf(err)
	if !say.Has(key) {
		t.Fatalf("no ErrRefused with words: %v", err)
	}
	for _, l := range []say.Lang{say.Chinese, say.English} {
		if text := say.In(l, err); strings.Contains(text, "%!") {
			t.Errorf("reads %q", text)
		}
	}
	return key
}

// keyOf returns the key of an ErrRefused's message, else empty.
func keyOf(err error) string {
	var m say.Message
	if !errors.Is(err, ingest.ErrRefused) || !errors.As(err, &m) {
		return ""
	}
	return m.Key
}
