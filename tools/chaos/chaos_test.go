package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/devices/vcard"
	"dalaba/playlist"
)

func TestAFewKillsLoseAndDoubleNothing(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-n", "3", "-slack", "20", "-only", "start,sample,reload,migrate,backup"}, &out, &out); code != exitOK {
		t.Errorf("exit %d\n%s", code, out.String())
	}
}

// The harness is trusted because it finds this bug.
func TestAClaimAfterTheFirstSampleIsFound(t *testing.T) {
	var out bytes.Buffer
	code := run(t.Context(), []string{"-n", "1", "-only", "sample", "-plant", "claim-late"}, &out, &out)
	if code != exitOK || !strings.Contains(out.String(), "no row claims it") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
}

func TestEveryPlantFitsTheCodeAsItIs(t *testing.T) {
	for name, p := range plants {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", p.file))
			if err != nil {
				t.Fatal(err)
			}
			bad, err := p.patched(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.patched(bad); err == nil {
				t.Error("planted twice")
			}
		})
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	for _, args := range [][]string{{"-plant", "wow"}, {"-only", "air,wow"}, {"-n", "0"}, {"-slack", "0"}, {"wow"}, {"-wow"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if code := run(t.Context(), args, io.Discard, io.Discard); code != exitUsage {
				t.Errorf("exit %d", code)
			}
		})
	}
}

func TestTapeIsToldFrameByFrame(t *testing.T) {
	s := &site{dir: t.TempDir(), clips: map[playlist.ClipID]*clip{}}
	for _, name := range []string{"clip1", "clip2", "clip3"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "data", "course", "testdata", name+".mp3"))
		if err != nil {
			t.Fatal(err)
		}
		s.seeds = append(s.seeds, b)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "clips"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The first and the fourth are the same but for how loud they are.
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := s.addClip(name, 100); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Glob(filepath.Join(s.dir, "clips", "*.mp3"))
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	x := newIndex(s.clips)
	sound := func(i int, from, to int64) []int16 { return s.clips[all[i].ID].frames[from:to] }
	silence := make([]int16, 5000)
	faded := func(frames []int16) []int16 {
		f := slices.Clone(frames)
		for i := range atCut {
			at := len(f) - atCut + i
			f[at] = int16(int(f[at]) * (atCut - i) / atCut)
		}
		return f
	}
	fadedIn := func(frames []int16) []int16 {
		f := slices.Clone(frames)
		for i := range f {
			f[i] = int16(int(f[i]) * i / len(f))
		}
		return f
	}
	noise := make([]int16, 4000)
	for i := range noise {
		noise[i] = int16(i * 7919)
	}
	for _, c := range []struct {
		name  string
		tape  [][]int16
		spans string // clip:from-to, by thousands
		odd   int
	}{
		{"silence", [][]int16{silence}, "", 0},
		{"a whole clip", [][]int16{silence, sound(1, 0, 115200), silence}, "b:4-115", 0},
		{"one clip behind another", [][]int16{sound(0, 0, 60000), sound(2, 0, 60000)}, "a:4-60 c:4-60", 0},
		{"the same clip twice", [][]int16{sound(0, 0, 60000), sound(0, 0, 60000)}, "a:4-60 a:4-60", 0},
		{"the softer of two", [][]int16{silence, sound(3, 0, 60000)}, "d:4-60", 0},
		{"a clip faded out", [][]int16{faded(sound(0, 0, 60000)), silence}, "a:4-60", 0},
		{"a clip that goes on in its middle", [][]int16{silence, sound(0, 50000, 90000)}, "a:59-90", 0},
		{"a frame left out", [][]int16{sound(0, 0, 50000), sound(0, 50001, 90000)}, "a:4-90", 0},
		{"a clip that is squeezed as soon as it has faded in", [][]int16{
			silence, fadedIn(sound(1, 60000, 60960)), keepTime(sound(1, 60960, 60960+slipRun+1)), sound(1, 60960+slipRun+1, 90000),
		}, "b:60-90", 0},
		{"one that is stretched", [][]int16{
			silence, fadedIn(sound(1, 60000, 60960)), keepTime(sound(1, 60960, 60960+slipRun-1)), sound(1, 60960+slipRun-1, 90000),
		}, "b:60-90", 0},
		{"a second left out", [][]int16{sound(0, 0, 40000), sound(0, 88000, 110000)}, "a:4-40 a:88-110", 0},
		{"noise", [][]int16{silence, noise, sound(0, 0, 60000)}, "a:4-60", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tape []int16
			for _, part := range c.tape {
				tape = append(tape, part...)
			}
			spans, unknown := x.explain(tape, 0, int64(len(tape)))
			var got []string
			for _, s := range spans {
				got = append(got, s.clip.name+":"+thousands(s.from)+"-"+thousands(s.to))
			}
			if strings.Join(got, " ") != c.spans || len(unknown) != c.odd {
				t.Errorf("got %v and %v", got, unknown)
			}
		})
	}
}

// thousands rounds to thousands of frames, the silence around speech aside.
func thousands(n int64) string { return fmt.Sprint((n + 500) / 1000) }

func TestARunThatKeepsTimeIsNoGap(t *testing.T) {
	clip := make([]int16, 20_000)
	for i := range clip {
		clip[i] = int16(i*i%9973 - 5000)
	}
	squeezed := func(at int, by int) []int16 {
		run := make([]int16, slipRun)
		for i := range run {
			run[i] = clip[at+i] + 1
		}
		return slices.Concat(clip[:at], run, clip[at+slipRun+by:], make([]int16, 100))
	}
	for _, c := range []struct {
		name          string
		tape          []int16
		differ, slips int
	}{
		{"as it is", clip, 0, 0},
		{"squeezed", squeezed(9000, 1), 0, 1},
		{"stretched", squeezed(9000, -1), 0, 1},
		{"squeezed at its end", squeezed(len(clip)-slipRun-200, 1), 0, 1},
		{"one frame wrong", slices.Concat(clip[:500], []int16{clip[500] + 1}, clip[501:]), 1, 0},
		{"ten frames lost", slices.Concat(clip[:500], clip[510:], make([]int16, 10)), 19_500, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			differ, slips := differing(c.tape, clip)
			if slips != c.slips || (differ < c.differ*9/10 || differ > c.differ) {
				t.Errorf("%d frames differ, %d slips", differ, slips)
			}
		})
	}
}

// A process that is killed as it writes leaves frames on tape and no line of when
// they sounded. Those after it keep their instants.
func TestATapeWithoutALineOfItsLog(t *testing.T) {
	began := time.Unix(1000, 0)
	tape := &tape{runs: []vcard.Run{
		{At: began, Frames: 480}, {At: began.Add(10 * time.Millisecond), Frames: 480, First: 480},
		// 480 frames, of which nothing is known; then the next process has the card.
		{At: began.Add(4 * time.Second), Frames: 960, First: 1440},
	}}
	for _, c := range []struct {
		frame int64
		at    time.Duration
		known bool
	}{
		{0, 0, true}, {479, playlist.Length(479), true}, {480, 10 * time.Millisecond, true}, {960, 0, false}, {1439, 0, false},
		{1440, 4 * time.Second, true}, {2399, 4*time.Second + playlist.Length(959), true}, {2400, 0, false},
	} {
		at, known := tape.when(c.frame)
		if known != c.known || known && at.Sub(began) != c.at {
			t.Errorf("frame %d at %v, %v", c.frame, at.Sub(began), known)
		}
	}
}
