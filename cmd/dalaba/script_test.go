package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
)

func TestMain(m *testing.M) {
	// Scripts wait most of their time, so that more of them run at once than the
	// machine has processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// In-process daemons are not to take the machine's control socket. A script has a
	// folder of its own.
	if os.Getenv("RUNTIME_DIRECTORY") == "" {
		if err := os.Setenv("RUNTIME_DIRECTORY", "/proc/nowhere"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"dalaba": main, "stranger": stranger})
}

// raced are the scripts whose program is built to find races: between them they
// go through all that runs side by side in a daemon. In the others processes
// wait for sounds and for each other, and are not to cost more than that.
var raced = []string{"alert", "alert_ebd", "card", "fulldisk", "inbox", "reload_parts", "technician_air"}

// buildRaced builds the program so, into a folder. The flags are those of the
// Makefile: both builds share what they compile.
func buildRaced(t *testing.T) (dir string) {
	dir = t.TempDir()
	build := exec.Command("go", "build", "-race", "-gcflags=github.com/hajimehoshi/go-mp3/...=-race=false",
		"-gcflags=github.com/faiface/beep/...=-race=false", "-gcflags=math=-race=false -d=checkptr=0", "-o", filepath.Join(dir, "dalaba"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// TestScripts runs the program as its users do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	path, pathRaced := os.Getenv("PATH"), ""
	if !testing.Short() {
		pathRaced = buildRaced(t) + string(filepath.ListSeparator) + path
	}
	clips, err := filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"waitfor":    waitFor,
		"waitexists": waitExists,
		"until":      until,
		"sounds":     sounds,
		"heard":      heard,
		"rows":       rowCount,
		"waitstate":  waitState,
	}
	maps.Copy(cmds, faultCmds)
	maps.Copy(cmds, libraryCmds)
	maps.Copy(cmds, technicianCmds)
	maps.Copy(cmds, cardCmds)
	maps.Copy(cmds, ebdCmds)
	root, err := os.MkdirTemp("", "dalaba-scripts-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		races, err := filepath.Glob(filepath.Join(root, "*", "race.*"))
		if err != nil || len(races) > 0 {
			t.Errorf("races were found: %v, %v", races, err)
		}
		if t.Failed() {
			t.Logf("databases, logs and recordings lie in %s", root)
		} else if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	testscript.Run(t, testscript.Params{
		Dir:         filepath.Join("testdata", "script"),
		WorkdirRoot: root,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLIPS", clips)
			e.Defer(func() { forgetFailures(e.WorkDir) })
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("RUNTIME_DIRECTORY", filepath.Join(e.WorkDir, "run"))
			e.Setenv("PATH", path)
			e.Setenv("GORACE", "log_path="+filepath.Join(e.WorkDir, "race"))
			if name := strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"); pathRaced != "" && slices.Contains(raced, name) {
				e.Setenv("PATH", pathRaced)
			}
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

// forgetFailures removes what failed starts of a script's configs have left in memory.
func forgetFailures(dir string) {
	configs, _ := filepath.Glob(filepath.Join(dir, "*.toml"))
	for _, file := range append(configs, filepath.Join(dir, "missing.toml")) {
		text, _ := site.ReadConfig(file) // it may be a FIFO
		_, _ = data.ForgetFailedStarts(file, "")
		_, _ = data.ForgetFailedStarts(file, config.DataDir(file, text))
	}
}

// patience is how long a command waits for what must come. No machine is so
// busy that it takes longer.
const patience = 3 * time.Minute

// await polls until ok. If it never is, found tells what was there instead.
func await(ts *testscript.TestScript, what string, ok func() bool, found ...func() string) {
	end, pause := time.Now().Add(patience), 50*time.Millisecond // to look costs something
	for ; !ok(); pause = min(pause*5/4, time.Second/2) {
		time.Sleep(pause)
		if time.Now().After(end) {
			for _, f := range found {
				what += "; there is\n" + f()
			}
			ts.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// waitfor FILE REGEXP waits until the file holds the pattern.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file regexp")
	}
	want := regexp.MustCompile(args[1])
	var b []byte
	await(ts, fmt.Sprintf("%q in %s", args[1], args[0]), func() (ok bool) {
		var err error
		b, err = os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && want.Match(b)
	}, func() string { return last(b) })
}

// last is the end of a long text.
func last(b []byte) string { return string(b[max(0, len(b)-4000):]) }

// waitexists PATTERN waits until a file matches.
func waitExists(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitexists pattern")
	}
	await(ts, args[0], func() bool {
		all, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return len(all) > 0
	})
}

// until REGEXP PROGRAM ARG... runs a program until its output holds the
// pattern.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until regexp program arg...")
	}
	want := regexp.MustCompile(args[0])
	await(ts, fmt.Sprintf("%q from %s", args[0], strings.Join(args[1:], " ")), func() bool {
		err := ts.Exec(args[1], args[2:]...)
		return err == nil && want.MatchString(ts.ReadFile("stdout"))
	}, func() string { return ts.ReadFile("stdout") + ts.ReadFile("stderr") })
}

// waitstate DATA_DIR STATE waits until the alert last received stands so.
func waitState(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitstate data_dir state")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	var all []emergency.Record
	await(ts, "the last alert to be "+args[1], func() bool {
		all, err = store.Alerts(context.Background())
		ts.Check(err)
		i := slices.IndexFunc(all, func(r emergency.Record) bool { return r.Kind != emergency.KindCancel })
		return i >= 0 && string(all[i].State) == args[1]
	}, func() string { return fmt.Sprintf("%+v", all) })
}

// sounds FILE waits until a recording holds half a second of sound.
func sounds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sounds file")
	}
	path := ts.MkAbs(args[0])
	await(ts, "half a second of sound in "+args[0], func() bool {
		b, err := os.ReadFile(path)
		if err != nil || len(b) <= 44 {
			return false
		}
		n := 0
		for _, c := range b[44:] {
			if c != 0 {
				n++
			}
		}
		return n > playlist.Rate
	})
}

// fades is how many frames of a row at most differ from its clip's, if it was
// cut off or went on in the middle.
const fades = 2000

// heard DATA_DIR AT_LEAST holds the as-run log against the recordings: of
// every row that sounded, the recording of its output (OUTPUT.wav) has the
// clip's frames at the row's frames, and at least so many rows are complete.
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
		if r.Outcome == asrun.Complete {
			complete++
		}
		if r.Frames == 0 || r.Used == asrun.UsedTone || r.Used == asrun.UsedMic {
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
		if cut := r.Outcome != asrun.Complete || r.FromFrame > 0; differ > 0 && !cut || differ > fades {
			ts.Fatalf("%s: %d of %d frames from %d on are not those of the clip from %d on", r.Airing, differ, r.Frames, r.AtFrame, r.FromFrame)
		}
		if end := r.AtFrame + r.Frames; r.Outcome == asrun.Complete && (tape[r.AtFrame-1] != 0 || end < int64(len(tape)) && tape[end] != 0) {
			ts.Fatalf("%s: more was heard than the log says", r.Airing)
		}
	}
	if complete < least {
		ts.Fatalf("%d complete airings, want %d", complete, least)
	}
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
