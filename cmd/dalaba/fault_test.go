package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/data/sqlite"
	"dalaba/playlist/asrun"
)

// faultCmds put faults into what the program stands on.
var faultCmds = map[string]func(*testscript.TestScript, bool, []string){
	"overwrite": overwrite,
	"flip":      flipBit,
	"halve":     halve,
	"smalldisk": smallDisk,
	"remount":   remount,
	"fill":      fill,
	"cram":      cram,
	"once":      once,
	"clockat":   clockAt,
	"waitrows":  waitRows,
	"endsin":    endsIn,
	"newer":     newer,
}

// condition is what a script may ask: [mounts], whether disks can be mounted.
func condition(cond string) (bool, error) {
	if cond != "mounts" {
		return false, fmt.Errorf("no condition %q", cond)
	}
	dir, err := os.MkdirTemp("", "mounts")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k") != nil {
		return false, nil
	}
	return true, unix.Unmount(dir, unix.MNT_DETACH)
}

// overwrite FILE writes noise over all pages of a database but the first,
// each in its middle.
func overwrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: overwrite file")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	const page = 4096
	if len(b) < 3*page {
		ts.Fatalf("%s has no page to spare", args[0])
	}
	for at := page; at+page <= len(b); at += page {
		for i := at; i < at+page/2; i++ {
			b[i] = byte(i*7 + 3)
		}
	}
	ts.Check(os.WriteFile(path, b, 0o600))
}

// newer DATA_DIR makes a store one that a later version has brought forward.
func newer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newer data_dir")
	}
	ctx := context.Background()
	later := fstest.MapFS{} // the first ones count as those that the store has
	for i := range 50 {
		later[fmt.Sprintf("%04d_later.sql", i+1)] = &fstest.MapFile{Data: []byte("CREATE TABLE IF NOT EXISTS later (id INTEGER) STRICT;")}
	}
	db, err := sqlite.Open(ctx, filepath.Join(ts.MkAbs(args[0]), "dalaba.db"), later, sqlite.Options{})
	ts.Check(err)
	ts.Check(db.Close())
}

// flip PATTERN flips one bit in the middle of the first file that matches.
func flipBit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip pattern")
	}
	all, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(all) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	b, err := os.ReadFile(all[0])
	ts.Check(err)
	b[len(b)/2] ^= 0x10
	ts.Check(os.WriteFile(all[0], b, 0o600))
}

// halve FILE cuts a file off in its middle.
func halve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: halve file")
	}
	path := ts.MkAbs(args[0])
	fi, err := os.Stat(path)
	ts.Check(err)
	if fi.Size() == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
	ts.Check(os.Truncate(path, fi.Size()/2+1))
}

// smalldisk DIR SIZE mounts a disk of that size.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: smalldisk dir size")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			ts.Logf("%v", err)
		}
	})
}

// remount DIR ro|rw changes how a disk is mounted.
func remount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remount dir ro|rw")
	}
	flags := uintptr(unix.MS_REMOUNT)
	if args[1] == "ro" {
		flags |= unix.MS_RDONLY
	}
	ts.Check(unix.Mount("tmpfs", ts.MkAbs(args[0]), "tmpfs", flags, ""))
}

// fill FILE writes until the disk is full.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill file")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	ts.Check(f.Close())
}

// cram DIR FILE LOG fills the disk again and again, until the log tells that
// the store has gone on in memory.
func cram(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cram dir file log")
	}
	var b []byte
	await(ts, "a store that has no room to go on in memory", func() bool {
		var err error
		b, err = os.ReadFile(ts.MkAbs(args[2]))
		ts.Check(err)
		if strings.Contains(string(b), "records go to memory") {
			return true
		}
		fill(ts, false, []string{filepath.Join(args[0], args[1])})
		return false
	}, func() string { return last(b) })
}

// once DATA_DIR holds that nothing of a clip aired twice in one airing, in
// however many parts, and that the receipts of each epoch count from 1 without
// a gap.
func once(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: once data_dir")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	heard := map[string]int64{} // frames of the clip, up to there
	for r, err := range store.AsRun(context.Background(), data.Query{}) {
		ts.Check(err)
		key := fmt.Sprint(r.Airing, r.Output, r.Item)
		if r.Frames == 0 {
			continue
		}
		if r.FromFrame < heard[key] {
			ts.Fatalf("%s aired twice on %s: frame %d after frame %d", r.Airing, r.Output, r.FromFrame, heard[key])
		}
		heard[key] = r.FromFrame + r.Frames
	}
	for at := (asrun.Mark{}); ; {
		b, err := store.Batch(context.Background(), at, 100)
		ts.Check(err)
		if len(b.Receipts) == 0 {
			return
		}
		for _, r := range b.Receipts {
			if want := at.Seq + 1; b.Epoch == at.Epoch && r.Row.Seq != want || b.Epoch != at.Epoch && r.Row.Seq != 1 {
				ts.Fatalf("receipt %d of %s follows %d of %s", r.Row.Seq, b.Epoch, at.Seq, at.Epoch)
			}
			at = asrun.Mark{Epoch: b.Epoch, Seq: r.Row.Seq}
		}
	}
}

// clockat FILE TIME makes the program's clock show that time, by
// DALABA_CLOCK_OFFSET_FILE.
func clockAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: clockat file time")
	}
	at, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path+".new", []byte(time.Until(at).String()+"\n"), 0o600))
	ts.Check(os.Rename(path+".new", path))
}

// waitrows DATA_DIR OUTCOME REASON N waits until the as-run log has so many
// such rows; * stands for any outcome or reason, and for rows that are open
// still. With ! it fails if it has as many now.
func waitRows(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: waitrows data_dir outcome reason n")
	}
	want, err := strconv.Atoi(args[3])
	ts.Check(err)
	var all []string
	count := func() (n int) {
		all = nil
		store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
		if err != nil {
			return 0
		}
		for r, err := range store.AsRun(context.Background(), data.Query{}) {
			if err != nil {
				continue
			}
			all = append(all, fmt.Sprintf("%s on %s item %d part %d: %s %s", r.Airing, r.Output, r.Item, r.Part, r.Outcome, r.Reason))
			if (args[1] == "*" || string(r.Outcome) == args[1]) && (args[2] == "*" || string(r.Reason) == args[2]) {
				n++
			}
		}
		ts.Check(store.Close())
		return n
	}
	if neg {
		if n := count(); n >= want {
			ts.Fatalf("%d rows are %s %s, fewer than %d wanted:\n%s", n, args[1], args[2], want, strings.Join(all, "\n"))
		}
		return
	}
	await(ts, fmt.Sprintf("%d rows that are %s %s", want, args[1], args[2]), func() bool { return count() >= want },
		func() string { return strings.Join(all[max(0, len(all)-20):], "\n") })
}

// endsin LOG sends SIGTERM to the process whose ID the log tells, and waits
// for it to end.
func endsIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: endsin log")
	}
	log, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	found := regexp.MustCompile(`msg=started pid=(\d+)`).FindSubmatch(log)
	if found == nil {
		ts.Fatalf("%s tells no process:\n%s", args[0], last(log))
	}
	pid, err := strconv.Atoi(string(found[1]))
	ts.Check(err)
	ts.Check(unix.Kill(pid, unix.SIGTERM))
	told := time.Now()
	await(ts, fmt.Sprintf("process %d to end", pid), func() bool {
		// It stays in the process table until the script has waited for it.
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
	ts.Logf("ended within %v", time.Since(told))
}
