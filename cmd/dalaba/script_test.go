package main

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/data"
	"dalaba/player"
	"dalaba/playlist"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dalaba": main})
}

// TestScripts runs the program as its users do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	clips, err := filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"waitfor":   waitFor,
		"sounds":    sounds,
		"heard":     heard,
		"rows":      rowCount,
		"waitstate": waitState,
	}
	maps.Copy(cmds, faultCmds)
	maps.Copy(cmds, libraryCmds)
	maps.Copy(cmds, technicianCmds)
	maps.Copy(cmds, cardCmds)
	maps.Copy(cmds, ebdCmds)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLIPS", clips)
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("PATH", os.Getenv("PATH"))
			for _, name := range []string{"clip1.mp3", "clip2.mp3", "clip3.mp3"} {
				b, err := os.ReadFile(filepath.Join(clips, name))
				if err != nil {
					return err
				}
				if err := os.MkdirAll(filepath.Join(e.WorkDir, "clips"), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(e.WorkDir, "clips", name), b, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds:      cmds,
		Condition: condition,
	})
}

// waitfor FILE REGEXP waits until the file holds the pattern, 60 s at most.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file regexp")
	}
	want := regexp.MustCompile(args[1])
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err == nil && want.Match(b) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s never held %q:\n%s", args[0], args[1], b)
		}
	}
}

// waitstate DATA_DIR STATE waits until the alert last received stands so.
func waitState(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitstate data_dir state")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, _, err := store.Alerts(context.Background())
		ts.Check(err)
		i := slices.IndexFunc(all, func(r playlist.AlertRecord) bool { return r.Kind != playlist.AlertCancel })
		if i >= 0 && string(all[i].State) == args[1] {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the last alert never was %s: %+v", args[1], all)
		}
	}
}

// sounds FILE waits until a recording holds half a second of sound.
func sounds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sounds file")
	}
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && len(b) > 44 {
			n := 0
			for _, c := range b[44:] {
				if c != 0 {
					n++
				}
			}
			if n > playlist.Rate {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("%s holds no sound", args[0])
		}
	}
}

// heard DATA_DIR AT_LEAST holds the as-run log against the recordings: of
// every row that sounded, the recording of its output (OUTPUT.wav) has the
// clip's frames at the row's frames, and at least so many rows are complete.
// On a busy machine an output may run dry; the sound is then squeezed a little
// to be on time again, and is held to the clip as a listener would.
func heard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: heard data_dir at_least")
	}
	least, err := strconv.Atoi(args[1])
	ts.Check(err)
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	complete := 0
	for r, err := range store.AsRun(context.Background(), data.Query{}) {
		ts.Check(err)
		if r.Outcome == playlist.Complete {
			complete++
		}
		if r.Frames == 0 || r.Used == playlist.UsedTone || r.Used == playlist.UsedMic {
			continue
		}
		tape := recorded(ts, ts.MkAbs(r.Output+".wav"))
		if r.AtFrame+r.Frames > int64(len(tape)) {
			ts.Fatalf("%s: frames %d to %d of a recording of %d", r.Airing, r.AtFrame, r.AtFrame+r.Frames, len(tape))
		}
		_, path, err := store.Clip(context.Background(), r.Clip)
		ts.Check(err)
		clip := decode(ts, path)
		differ := 0
		for i := range r.Frames {
			if tape[r.AtFrame+i] != clip[r.FromFrame+i] {
				differ++
			}
		}
		if cut := r.Outcome != playlist.Complete || r.FromFrame > 0; differ > 0 && !cut || differ > 2000 {
			if at, ok := follows(tape[r.AtFrame:], clip[r.FromFrame:r.FromFrame+r.Frames]); !ok {
				ts.Fatalf("%s: %d of %d frames are not the clip's, and from frame %d on it is another sound", r.Airing, differ, r.Frames, at)
			}
			continue
		}
		if end := r.AtFrame + r.Frames; r.Outcome == playlist.Complete && (tape[r.AtFrame-1] != 0 || end < int64(len(tape)) && tape[end] != 0) {
			ts.Fatalf("%s: more was heard than the log says", r.Airing)
		}
	}
	if complete < least {
		ts.Fatalf("%d complete airings, want %d", complete, least)
	}
}

// follows reports whether a recording is the sound, gone through in short
// blocks that may each begin a few frames earlier or later than the one before
// would have it; else where it ceases to be.
func follows(tape, sound []int16) (at int, ok bool) {
	const block, most, alike = 1920, 4, 0.9
	shift := 0
	for at := block; at+2*block <= len(sound); at += block { // its first and last may be faded
		best, where := -1.0, shift
		for s := shift - most; s <= shift+most; s++ {
			if from := at + s; from >= 0 && from+block <= len(tape) {
				if c := likeness(tape[from:from+block], sound[at:at+block]); c > best {
					best, where = c, s
				}
			}
		}
		if best < alike {
			return at, false
		}
		shift = where
	}
	return len(sound), true
}

// likeness is the correlation of two runs of frames; that of silence with
// silence is 1.
func likeness(a, b []int16) float64 {
	var aa, bb, ab float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		aa, bb, ab = aa+x*x, bb+y*y, ab+x*y
	}
	const quiet = 16 * 16 // a frame's power, near silence
	if n := float64(len(a)); aa < quiet*n && bb < quiet*n {
		return 1
	}
	return ab / math.Sqrt(aa*bb+1)
}

// rows DATA_DIR OUTCOME REASON AT_LEAST counts rows of the as-run log.
func rowCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: rows data_dir outcome reason at_least")
	}
	least, err := strconv.Atoi(args[3])
	ts.Check(err)
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	n := 0
	for r, err := range store.AsRun(context.Background(), data.Query{}) {
		ts.Check(err)
		if string(r.Outcome) == args[1] && string(r.Reason) == args[2] {
			n++
		}
	}
	if n < least {
		ts.Fatalf("%d rows are %s %s, want %d", n, args[1], args[2], least)
	}
}

func recorded(ts *testscript.TestScript, path string) []int16 {
	b, err := os.ReadFile(path)
	ts.Check(err)
	b = b[44:]
	frames := make([]int16, len(b)/2)
	for i := range frames {
		frames[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return frames
}

func decode(ts *testscript.TestScript, path string) []int16 {
	f, err := os.Open(path)
	ts.Check(err)
	defer f.Close()
	d, err := player.OpenClip(f)
	ts.Check(err)
	var all []int16
	for buf := make([]int16, 4096); ; {
		n, err := d.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all
		}
		ts.Check(err)
	}
}

func TestASqueezedSoundIsTheSoundAndAnotherIsNot(t *testing.T) {
	sound := make([]int16, 2*playlist.Rate)
	for i := range sound {
		x := float64(i) / playlist.Rate
		sound[i] = int16(8000*math.Sin(2*math.Pi*(300*x+200*x*x)) + 4000*math.Sin(2*math.Pi*1100*x))
	}
	var squeezed []int16
	for i, v := range sound {
		if i%1440 != 1439 {
			squeezed = append(squeezed, v)
		}
	}
	if at, ok := follows(squeezed, sound); !ok {
		t.Errorf("squeezed, it is lost at %d", at)
	}
	other := append([]int16{}, sound...)
	for i := playlist.Rate; i < len(other); i++ {
		other[i] = sound[i-playlist.Rate/2]
	}
	if at, ok := follows(other, sound); ok || at < playlist.Rate-4000 || at > playlist.Rate+4000 {
		t.Errorf("another sound is taken for it: %d %v", at, ok)
	}
}
