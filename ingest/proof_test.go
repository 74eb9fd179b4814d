package ingest_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

const rate = playlist.Rate

// synth makes a recording of so many seconds from its value at each time in
// seconds.
func synth(seconds float64, at func(t float64) float64) []float64 {
	out := make([]float64, int(seconds*rate))
	for i := range out {
		out[i] = at(float64(i) / rate)
	}
	return out
}

func tone(hz, level float64) func(float64) float64 {
	return func(t float64) float64 { return level * math.Sin(2*math.Pi*hz*t) }
}

// murmur is something like speech: syllables of gliding harmonics and of hiss,
// with pauses. No part of it is like another.
func murmur(level float64) func(float64) float64 {
	r := rand.New(rand.NewPCG(1, 2))
	var phase, hz, loud float64
	var hiss bool
	next := 0.0
	return func(t float64) float64 {
		if t >= next {
			next = t + 0.08 + 0.15*r.Float64()
			hz, loud, hiss = 110+140*r.Float64(), r.Float64(), r.IntN(4) == 0
			if r.IntN(6) == 0 {
				loud = 0
			}
		}
		hz *= 1.000005
		phase += 2 * math.Pi * hz / rate
		v := 0.0
		for n := 1.0; n <= 8; n++ {
			v += math.Sin(n*phase) / n
		}
		if hiss {
			v = r.Float64()*2 - 1
		}
		return level * loud * v / 2
	}
}

func noise(level float64) func(float64) float64 {
	r := rand.New(rand.NewPCG(3, 4))
	return func(float64) float64 { return level * (r.Float64()*2 - 1) }
}

// sweep glides between two frequencies within a period, as a siren does.
func sweep(low, high, period, level float64) func(float64) float64 {
	phase := 0.0
	return func(t float64) float64 {
		phase += 2 * math.Pi * (low + (high-low)*(0.5-0.5*math.Cos(2*math.Pi*t/period))) / rate
		return level * math.Sin(phase)
	}
}

// bursts lets a sound through for the first part of each period, in seconds.
func bursts(on, period float64, at func(float64) float64) func(float64) float64 {
	return func(t float64) float64 {
		if v := at(t); math.Mod(t, period) < on {
			return v
		}
		return 0
	}
}

func chords(t float64) float64 {
	root := 220 * math.Pow(2, float64([]int{0, 5, 7, 3, 8, 2}[int(t/0.4)%6])/12)
	v := 0.0
	for _, n := range []float64{1, 1.26, 1.5, 2} {
		v += math.Sin(2 * math.Pi * root * n * t)
	}
	return 0.15 * v * math.Exp(-3*math.Mod(t, 0.4))
}

func dtmf(t float64) float64 {
	low, high := []float64{697, 770, 852, 941}, []float64{1209, 1336, 1477}
	n := int(t / 0.2)
	return 0.3*math.Sin(2*math.Pi*low[n*7%4]*t) + 0.3*math.Sin(2*math.Pi*high[n*5%3]*t)
}

func join(parts ...[]float64) (out []float64) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func each(x []float64, f func(float64) float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = f(v)
	}
	return out
}

// record writes channels as a WAV file of 16 bits.
func record(t testing.TB, path string, channels ...[]float64) string {
	t.Helper()
	n := len(channels)
	data := make([]byte, 0, 2*n*len(channels[0]))
	for i := range channels[0] {
		for _, c := range channels {
			data = binary.LittleEndian.AppendUint16(data, uint16(int16(math.Round(32767*min(max(c[i], -1), 1)))))
		}
	}
	head := []byte("RIFF____WAVEfmt ")
	binary.LittleEndian.PutUint32(head[4:], uint32(36+len(data)))
	head = binary.LittleEndian.AppendUint32(head, 16)
	head = binary.LittleEndian.AppendUint16(head, 1)
	head = binary.LittleEndian.AppendUint16(head, uint16(n))
	head = binary.LittleEndian.AppendUint32(head, rate)
	head = binary.LittleEndian.AppendUint32(head, uint32(2*n*rate))
	head = binary.LittleEndian.AppendUint16(head, uint16(2*n))
	head = binary.LittleEndian.AppendUint16(head, 16)
	head = binary.LittleEndian.AppendUint32(append(head, "data"...), uint32(len(data)))
	write(t, path, head, data)
	return path
}

// decoded returns a clip as the player decodes it.
func decoded(t testing.TB, path string) (out []float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := player.OpenClip(f)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]int16, 4096)
	for {
		n, err := d.Read(buf)
		for _, v := range buf[:n] {
			out = append(out, float64(v)/32768)
		}
		if err != nil {
			return out
		}
	}
}

// coding is how many frames LAME and a decoder are late together.
const coding = 1105

// likeness is the correlation of a source with the clip from a frame on, below
// some 3 kHz: the coding leaves high sound out.
func likeness(source, clip []float64, from int) float64 {
	return correlates(smooth(source), smooth(clip), from)
}

// correlates is the same of sound that is smooth.
//
//go:norace
func correlates(source, clip []float64, from int) float64 {
	from = min(from, len(clip))
	clip = clip[from:min(from+len(source), len(clip))]
	var xy, xx, yy float64
	for i, y := range clip {
		xy, xx, yy = xy+source[i]*y, xx+source[i]*source[i], yy+y*y
	}
	return xy / math.Sqrt(xx*yy)
}

// smooth is the mean of each 8 frames, taken twice.
//
//go:norace
func smooth(x []float64) []float64 {
	for range 2 {
		out, sum := make([]float64, len(x)), 0.0
		for i, v := range x {
			sum += v
			if i >= 8 {
				sum -= x[i-8]
			}
			out[i] = sum / 8
		}
		x = out
	}
	return x
}

func TestEveryHonestRecordingBecomesAClipOfItself(t *testing.T) {
	t.Parallel()
	speech := synth(4, murmur(0.3))
	long := synth(20, murmur(0.3))
	for _, c := range []struct {
		name  string
		sound []float64
		right []float64 // the second channel
		mixed bool      // the clip is the sum of both, else the first
	}{
		{"a tone louder than the speech after it", join(synth(4, tone(1050, 0.9)), each(speech, func(x float64) float64 { return x / 3 })), nil, false},
		{"a tone louder than the speech before it", join(speech, synth(3, tone(440, 0.9))), nil, false},
		{"a long tone before speech", join(synth(8, tone(1000, 0.8)), speech), nil, false},
		{"a deep tone before faint speech", join(synth(4, tone(125, 0.9)), each(speech, func(x float64) float64 { return x / 10 })), nil, false},
		{"a tone all the way", synth(4, tone(1050, 0.5)), nil, false},
		{"a high tone all the way", synth(4, tone(3700, 0.5)), nil, false},
		{"two tones at once", synth(4, func(t float64) float64 { return tone(853, 0.3)(t) + tone(960, 0.3)(t) }), nil, false},
		{"two tones by turns", synth(4, func(t float64) float64 { return tone(600+350*math.Floor(math.Mod(2*t, 2)), 0.5)(t) }), nil, false},
		{"a siren", synth(6, sweep(400, 1200, 3, 0.8)), nil, false},
		{"a siren above the band", synth(6, sweep(800, 7000, 3, 0.8)), nil, false},
		{"a siren, then speech", join(synth(4, sweep(400, 1200, 1, 0.9)), speech), nil, false},
		{"dialled digits", synth(4, dtmf), nil, false},
		{"bursts that repeat", synth(4, bursts(0.1, 0.5, tone(1000, 0.8))), nil, false},
		{"chirps that repeat", synth(4, bursts(0.2, 0.4, sweep(500, 3000, 0.4, 0.8))), nil, false},
		{"noise all the way", synth(4, noise(0.5)), nil, false},
		{"noise, then speech", join(synth(3, noise(0.5)), speech), nil, false},
		{"music", synth(5, chords), nil, false},
		{"speech", speech, nil, false},
		{"a long silence between words", join(speech, make([]float64, 6*rate), speech), nil, false},
		{"more speech", long, nil, false},
		{"half a second", synth(0.55, tone(700, 0.5)), nil, false},
		{"speech that is clipped", each(speech, func(x float64) float64 { return min(max(10*x, -0.99), 0.99) }), nil, false},
		{"two channels", speech, synth(4, chords), true},
		{"two channels that cancel each other", speech, each(speech, func(x float64) float64 { return -x }), false},
		{"a tone that cancels, before speech", join(synth(4, tone(1050, 0.9)), speech), join(synth(4, tone(1050, -0.9)), speech), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			channels, want := [][]float64{c.sound}, c.sound
			if c.right != nil {
				channels = append(channels, c.right)
				if c.mixed {
					want = make([]float64, len(c.sound))
					for i := range want {
						want[i] = (c.sound[i] + c.right[i]) / 2
					}
				}
			}
			res, err := ingester(t).File(t.Context(), record(t, filepath.Join(t.TempDir(), "in.wav"), channels...), ingest.Meta{}, nil)
			if err != nil {
				t.Fatalf("refused: %s", say.In(say.English, err))
			}
			clip := decoded(t, res.Path)
			if int64(len(clip)) != res.Clip.Frames {
				t.Errorf("%d frames in a clip that says %d", len(clip), res.Clip.Frames)
			}
			cut := int(math.Round(res.Figures.TrimmedHead * rate))
			end := len(want) - int(math.Round(res.Figures.TrimmedTail*rate))
			if d := len(clip) - (end - cut); d < coding || d > 4*1152 {
				t.Errorf("%d frames of %d", len(clip), end-cut)
			}
			if got := likeness(want[cut:end], clip, coding); got < 0.9 {
				t.Errorf("the clip is like its source to %.3f only", got)
			}
		})
	}
}

// TestAClipThatIsNotItsSourceIsRefused has an ffmpeg that encodes something else
// than it is given.
func TestAClipThatIsNotItsSourceIsRefused(t *testing.T) {
	t.Parallel()
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	speech := synth(4, murmur(0.3))
	recordings := map[string][]float64{
		"speech":                   speech,
		"a siren":                  synth(4, sweep(400, 1200, 3, 0.8)),
		"a tone":                   synth(4, tone(1050, 0.5)),
		"a loud tone, then speech": join(synth(1, tone(1050, 0.9)), each(speech[:3*rate], func(x float64) float64 { return x / 8 })),
	}
	all := slices.Sorted(maps.Keys(recordings))
	for name, c := range map[string]struct {
		filter string
		of     []string
	}{
		"later by 20 ms":           {"adelay=20.3", all},
		"earlier by 20 ms":         {"atrim=start_sample=977,apad=pad_len=977", []string{"a siren", "a loud tone, then speech"}},
		"backwards":                {"areverse", []string{"speech", "a siren"}}, // a tone is the same backwards
		"a part is silent":         {"volume=0:enable='between(t,2.5,2.7)'", []string{"speech", "a tone"}},
		"a part is missing":        {"aselect='not(between(t,1.51,1.56))',asetpts=N/SR/TB,apad=whole_len=192000", all},
		"a part is noise":          {"aeval='if(between(t,2.5,2.7),0.3*(random(0)*2-1),val(0))'", []string{"a tone", "a loud tone, then speech"}},
		"a part is something else": {"aeval='if(between(t,2.5,2.7),0.2*sin(2*PI*310*t),val(0))'", []string{"speech", "a siren"}},
		"noise":                    {"aeval='0.3*(random(0)*2-1)'", []string{"speech", "a tone"}},
		"the end is silent":        {"volume=0:enable='gt(t,3.7)'", []string{"a siren", "a loud tone, then speech"}},
	} {
		filter := c.filter
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			forger := filepath.Join(dir, "ffmpeg")
			script := fmt.Sprintf("#!/bin/bash\nargs=()\nfor a in \"$@\"; do\n[[ \"$*\" == *libmp3lame* && $a == -map_metadata ]] && args+=(-af %q)\nargs+=(\"$a\")\ndone\nexec %s \"${args[@]}\"\n", filter, real)
			if err := os.WriteFile(forger, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, what := range c.of {
				sound := recordings[what]
				g := ingester(t)
				g.FFmpeg = forger
				res, err := g.File(t.Context(), record(t, filepath.Join(dir, "in.wav"), sound), ingest.Meta{}, nil)
				if err == nil {
					t.Errorf("%s is taken: correlation %.2f, %.2f at worst", what, res.Figures.Correlation, res.Figures.Worst)
				} else if key := keyOf(err); key != "ingest.unlike" && key != "ingest.level" && key != "ingest.length" {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
