package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/cmd/cli"
	"dalaba/controller/diagnose"
	"dalaba/data"
	"dalaba/devices/vcard"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// technicianCmds are what the scripts of the technician's verbs need.
var technicianCmds = map[string]func(*testscript.TestScript, bool, []string){
	"tone":     toneHeard,
	"waittone": waitTone,
	"rejoined": rejoined,
	"vcard":    virtualCard,
	"ask":      askSocket,
	"harm":     harmClip,
	"waitlog":  waitLog,
}

// steady finds the longest stretch of a steady sine in a recording, in whole
// blocks of 10 ms: what is a sine of that frequency and no more.
func steady(tape []int16, hz float64) (from, to int) {
	const block = playlist.Rate / 100
	begin := -1
	for at := 0; at+block <= len(tape); at += block {
		var sv, cv, ss, cc, sc, all float64
		for i, v := range tape[at : at+block] {
			sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / playlist.Rate)
			x := float64(v)
			sv, cv, all = sv+sin*x, cv+cos*x, all+x*x
			ss, cc, sc = ss+sin*sin, cc+cos*cos, sc+sin*cos
		}
		// The part of the block that the best sine of hz explains.
		fit := (sv*sv*cc - 2*sv*cv*sc + cv*cv*ss) / (ss*cc - sc*sc)
		pure := all > 0 && fit > 0.98*all
		if pure && begin < 0 {
			begin = at
		}
		if pure && at+block-begin > to-from {
			from, to = begin, at+block
		}
		if !pure {
			begin = -1
		}
	}
	return from, to
}

// toneIn holds a stretch of a recording against the tone wished for: how often
// it crosses zero, how loud it is, how long.
func toneIn(ts *testscript.TestScript, tape []int16, args []string) {
	want := make([]float64, 3)
	for i := range want {
		var err error
		want[i], err = strconv.ParseFloat(args[i], 64)
		ts.Check(err)
	}
	hz, db, seconds := want[0], want[1], want[2]
	from, to := steady(tape, hz)
	run := tape[from:to]
	length := float64(len(run)) / playlist.Rate
	if math.Abs(length-seconds) > 0.05 {
		ts.Fatalf("%.2f s of a tone of %g Hz, want %g", length, hz, seconds)
	}
	crossings, power := 0, 0.0
	for i, v := range run {
		power += float64(v) * float64(v)
		if i > 0 && (run[i-1] < 0) != (v < 0) {
			crossings++
		}
	}
	if got := float64(crossings) / 2 / length; math.Abs(got-hz) > 2/length {
		ts.Fatalf("it crosses zero like %.1f Hz, want %g", got, hz)
	}
	if got := 10*math.Log10(2*power/float64(len(run))) - 20*math.Log10(1<<15); math.Abs(got-db) > 0.5 {
		ts.Fatalf("it is %.1f dB loud, want %g", got, db)
	}
}

// tone FILE HZ DB SECONDS finds a tone in a recording.
func toneHeard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: tone file hz db seconds")
	}
	toneIn(ts, recorded(ts, ts.MkAbs(args[0])), args[1:])
}

// waittone FILE HZ waits until a recording holds a tone.
func waitTone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waittone file hz")
	}
	hz, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	await(ts, fmt.Sprintf("a tone of %g Hz in %s", hz, args[0]), func() bool {
		from, to := steady(recorded(ts, ts.MkAbs(args[0])), hz)
		return to-from > playlist.Rate/4
	})
}

// rejoined DATA_DIR waits until a preempted clip has gone on to its end, and
// sees that it lost no frame by it and that each part was heard where the log
// says.
func rejoined(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rejoined data_dir")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	var parts map[playlist.AiringID][]asrun.Row
	await(ts, "a clip that was preempted and went on to its end", func() bool {
		parts = map[playlist.AiringID][]asrun.Row{}
		for r, err := range store.AsRun(context.Background(), data.Query{}) {
			ts.Check(err)
			parts[r.Airing] = append(parts[r.Airing], r)
		}
		for _, rows := range parts {
			if rows[0].Outcome == asrun.Preempted && rows[len(rows)-1].Outcome == asrun.Complete {
				wholeInParts(ts, store, rows)
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprint(parts) })
}

func wholeInParts(ts *testscript.TestScript, store *data.Store, rows []asrun.Row) {
	sum := int64(0)
	for _, r := range rows {
		if r.FromFrame != sum {
			ts.Fatalf("part %d begins at frame %d, %d were heard before", r.Part, r.FromFrame, sum)
		}
		sum += r.Frames
		tape := recorded(ts, ts.MkAbs(r.Output+".wav"))
		if r.AtFrame > int64(len(tape)) {
			ts.Fatalf("part %d: from frame %d of a recording of %d", r.Part, r.AtFrame, len(tape))
		}
		tape = tape[r.AtFrame:]
		_, path, err := store.Clip(context.Background(), r.Clip)
		ts.Check(err)
		clip, differ := decode(ts, path)[r.FromFrame:r.FromFrame+r.Frames], 0
		for i := range clip {
			if i >= len(tape) || tape[i] != clip[i] {
				differ++
			}
		}
		if differ > fades {
			ts.Fatalf("part %d: %d of %d frames from %d on are not those of the clip from %d on", r.Part, differ, r.Frames, r.AtFrame, r.FromFrame)
		}
	}
	if sum != rows[0].OfFrames {
		ts.Fatalf("%d of %d frames were heard", sum, rows[0].OfFrames)
	}
}

var vcards sync.Map // by the script's folder and the card's name

// vcard make NAME [mixer|noscale] makes a virtual sound card and has the script's
// programs find it; unplug, plug and mute change it; vcard tone NAME HZ DB
// SECONDS finds a tone in what it has heard.
func virtualCard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: vcard make|unplug|plug|mute|tone name ...")
	}
	name := args[1]
	key := ts.MkAbs(name)
	if args[0] == "make" {
		dir := ts.MkAbs(".vcard")
		ts.Check(os.MkdirAll(dir, 0o755))
		lib, err := vcard.Build(dir)
		ts.Check(err)
		config, cards, err := vcard.Make(lib, dir, vcard.Spec{Name: name, Mixer: len(args) > 2, NoScale: slices.Contains(args[2:], "noscale")})
		ts.Check(err)
		ts.Setenv("ALSA_CONFIG_PATH", config)
		vcards.Store(key, cards[0])
		return
	}
	v, _ := vcards.Load(key)
	card := v.(*vcard.Card)
	switch args[0] {
	case "unplug":
		ts.Check(card.Unplug())
	case "plug":
		ts.Check(card.Plug())
	case "mute": // as somebody would with alsamixer: -2000 hundredths of a dB, off
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(".vcard"), name, "mixer"), []byte("-2000 0\n"), 0o644))
	case "tone":
		tape, err := card.Heard()
		ts.Check(err)
		toneIn(ts, tape, args[2:])
	default:
		ts.Fatalf("vcard %s?", args[0])
	}
}

// ask SOCKET PATH BODY WANT posts a body to the control socket and looks for what it
// is answered.
func askSocket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: ask socket path body want")
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", ts.MkAbs(args[0]))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://dalaba"+args[1], "application/json", strings.NewReader(args[2]))
	ts.Check(err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.Contains(string(said), args[3]) {
		ts.Fatalf("it answers %q, want %q", said, args[3])
	}
}

// harm DATA_DIR TITLE remove|spoil harms a clip's file.
func harmClip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: harm data_dir title remove|spoil")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	clips, err := store.Clips(context.Background(), "")
	ts.Check(err)
	for _, c := range clips {
		if c.Title != args[1] {
			continue
		}
		if args[2] == "remove" {
			ts.Check(os.Remove(store.ClipPath(c.ID)))
		} else {
			ts.Check(os.WriteFile(store.ClipPath(c.ID), []byte("worn out"), 0o644))
		}
		return
	}
	ts.Fatalf("no clip is called %q", args[1])
}

// waitlog DATA_DIR MESSAGE waits until the device log of the daemon that runs
// now holds the message.
func waitLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitlog data_dir message")
	}
	await(ts, fmt.Sprintf("%q in the log", args[1]), func() bool {
		store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
		if err != nil {
			return false
		}
		events, err := store.Events(context.Background(), 0, 0)
		_ = store.Close()
		ts.Check(err)
		said := false
		for _, e := range events {
			switch e.Message {
			case "started", "stopped":
				said = false
			case args[1]:
				said = true
			}
		}
		return said
	})
}

func TestADaemonThatIsToldToEndAsItStartsEndsWithoutAFault(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "dalaba.toml")
	text := "[site]\nname = \"x\"\narea = \"320924100201\"\ndata_dir = \"data\"\nclock = \"battery\"\n[[output]]\nname = \"east\"\ndevice = \"null:\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"run", "-c", conf}, nil, &out, &errs); code != cli.ExitOK {
		t.Errorf("code %d: %s%s, want none", code, out.String(), errs.String())
	}
}

func TestClipsGoByManyNames(t *testing.T) {
	clips := []playlist.Clip{
		{ID: "abcdef0123", Title: "发热怎么办", Series: "健康微课堂", Issue: 1},
		{ID: "abcdef9999", Title: "测体温", Series: "健康微课堂", Issue: 12},
		{ID: "123456aaaa", Title: "Wash your hands", Series: "other", Issue: 12},
		{ID: "777777aaaa", Title: "测体温（二）"},
	}
	for what, want := range map[string]int{
		"abcdef": 2, "ABCDEF0": 1, "abcde": 0, "1": 1, "第1期": 1, "第 1 期": 1, "1期": 1, "#1": 1, "issue 1": 1, "12": 2, "第3期": 0,
		"测体温": 1, "体温": 2, "wash YOUR hands": 1, "hands": 1, "123456": 1, "": 0, "  ": 0,
	} {
		if got := called(what, clips); len(got) != want {
			t.Errorf("%q: %v, want %d", what, got, want)
		}
	}
	for what, want := range map[string]bool{"./12": true, "a.mp3": true, "A.MP3": true, "12": false, "发热怎么办": false, "technician_test.go": true, "none": false} {
		if got := isPath(what, clips); got != want {
			t.Errorf("%q is a path: %v", what, got)
		}
	}
}

func TestDoctorReadsTheStore(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	store, err := data.Open(ctx, filepath.Join(dir, "data"), data.Options{Log: slog.New(slog.DiscardHandler), Boot: "b"})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(store.LogHandler(nil))
	for range 6 {
		log.Info("started", "pid", 1)
	}
	log.Error("output lost", "output", "east", "err", "gone")
	log.Error("output lost", "output", "east", "err", "gone")
	if err := store.SetStarted(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	missed := asrun.Row{Airing: "a@1", Output: "east", Item: 1, Slot: "a", Due: time.Now().UTC(), Outcome: asrun.Missed}
	if err := store.Record(ctx, missed); err != nil {
		t.Fatal(err)
	}
	b, err := store.Batch(ctx, asrun.Mark{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	first := asrun.Mark{Epoch: b.Epoch, Seq: 1}
	if err := errors.Join(store.SetAside(ctx, first, "less than none"), store.SetMark(ctx, first)); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "dalaba.toml")
	text := "[site]\nname = \"x\"\narea = \"320924100201\"\ndata_dir = \"data\"\nclock = \"battery\"\n[[output]]\nname = \"east\"\ndevice = \"wav:east.wav\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	examine := func() (int, map[string]string) {
		var out, errs bytes.Buffer
		code := run(ctx, []string{"doctor", "--json", "--lang", "en", "-c", conf}, nil, &out, &errs)
		var said diagnosis
		if err := json.Unmarshal(out.Bytes(), &said); err != nil {
			t.Fatalf("%v: %s %s", err, out.String(), errs.String())
		}
		all := map[string]string{}
		for _, f := range said.Findings {
			all[f.Check] += string(f.Result) + " " + f.Found + " → " + f.Remedy + "\n"
			if (f.Result == diagnose.Fail || f.Result == diagnose.Warn) && f.Remedy == "" && f.Check != "config" {
				t.Errorf("no remedy for %+v", f)
			}
		}
		if said.OK != (code == cli.ExitOK) {
			t.Errorf("ok %v, but code %d", said.OK, code)
		}
		return code, all
	}
	code, all := examine()
	for check, want := range map[string]string{
		"daemon": "fail the daemon does not run",
		"store":  "ok every page is in order",
		"backup": "warn there is no backup yet",
		"log":    "6 starts in 24 hours",
		"output": "ok \"east\" is recorded",
		"unsent": "warn the county could not keep 1 receipt",
	} {
		if !strings.Contains(all[check], want) {
			t.Errorf("%s: %q lacks %q", check, all[check], want)
		}
	}
	if !strings.Contains(all["log"], "2 errors in 24 hours") || !strings.Contains(all["log"], "2×") {
		t.Errorf("log: %q", all["log"])
	}
	if code != cli.ExitFailed {
		t.Errorf("code %d", code)
	}
	var out, errs bytes.Buffer
	if run(ctx, []string{"status", "--lang", "en", "-c", conf}, nil, &out, &errs); !strings.Contains(out.String(), "1 receipt that the county could not keep") {
		t.Errorf("status: %s%s", out.String(), errs.String())
	}
	// A page is damaged: nothing is put right, only told.
	path := filepath.Join(dir, "data", "dalaba.db")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(file[len(file)/2/4096*4096:], bytes.Repeat([]byte{0xA5}, 8192))
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, all = examine(); !strings.Contains(all["store"], "fail") {
		t.Errorf("damaged: %q", all["store"])
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, file) {
		t.Errorf("the doctor changed the database (%v)", err)
	}
}
