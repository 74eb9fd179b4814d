// Package e2e_test runs a county and its villages as they run in the field: as
// programs of their own, on loopback, with recordings instead of loudspeakers.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// programs holds both programs, built once.
var programs struct {
	dir string
	err error
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "dalaba-e2e-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		build := exec.Command("go", "build", "-o", dir+"/", "dalaba/cmd/dalaba", "dalaba/cmd/dalaba-county")
		if out, err := build.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("%w: %s", err, out)
		}
		programs.dir = dir
		if err := os.Setenv("RUNTIME_DIRECTORY", dir+"/run"); err != nil { // for control sockets
			panic(err)
		}
		return m.Run()
	}())
}

// program is a program that was started.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
}

// pathOf returns the path of a program: today's, unless the name is a path.
func pathOf(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(programs.dir, name)
}

func start(t *testing.T, dir, name string, args ...string) *program {
	t.Helper()
	return launch(t, dir, nil, pathOf(name), args...)
}

// launch starts a program with additions to its environment.
func launch(t *testing.T, dir string, env []string, path string, args ...string) *program {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "log.txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.Command(path, args...), done: make(chan struct{}), log: log}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // no child outlives a test that was killed
	p.cmd.Env = append(append(os.Environ(), "LANG=en_US.UTF-8"), env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// end ends the program and waits for it.
func (p *program) end(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	_ = p.log.Close()
}

// run runs a verb until it ends.
func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	out, err := try(dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}

func try(dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, pathOf(name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LANG=en_US.UTF-8")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, out, errs.String())
	}
	return out, err
}

// county is a county's server.
type county struct {
	t       *testing.T
	dir     string
	http    string
	nats    string // of its broker
	toneMax string // for its villages
	release string // folder of its program; empty: today's
	*program
}

func freePort(t *testing.T) string {
	t.Helper()
	// The kernel gives none of these to a connection: it stays free while a program that
	// has it is started again.
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if _, taken := portsTaken.LoadOrStore(port, true); taken {
			continue
		}
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// portsTaken are the ports that tests of this process have.
var portsTaken sync.Map

func newCounty(t *testing.T, more string) *county {
	t.Helper()
	return newCountyOf(t, "", more)
}

// newCountyOf starts a county with the program of a release.
func newCountyOf(t *testing.T, release, more string) *county {
	t.Helper()
	c := configure(t, release, more)
	c.serve()
	return c
}

// configure makes a county that does not run yet.
func configure(t *testing.T, release, more string) *county {
	t.Helper()
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	c := &county{t: t, dir: folder(t), toneMax: "6s", release: release, http: "127.0.0.1:" + freePort(t), nats: "127.0.0.1:" + freePort(t)}
	write(t, filepath.Join(c.dir, "county.toml"), fmt.Sprintf(`
[county]
name = "测试县"
area = "320924000000"
data_dir = "data"
language = "en"
[http]
listen = %q
url = "https://%s"
[nats]
listen = %q
%s`, c.http, c.http, c.nats, more))
	return c
}

func (c *county) path() string { return filepath.Join(c.release, "dalaba-county") }

func (c *county) serve() {
	c.t.Helper()
	c.program = start(c.t, c.dir, c.path(), "-c", "county.toml", "serve")
	wait(c.t, "the county serves", func() bool {
		_, err := try(c.dir, c.path(), "-c", "county.toml", "status", "--json")
		return err == nil
	})
}

// verb runs one of the county's verbs and reads its JSON.
func (c *county) verb(into any, args ...string) {
	c.t.Helper()
	out := run(c.t, c.dir, c.path(), append([]string{"-c", "county.toml"}, args...)...)
	if into == nil {
		return
	}
	if err := json.Unmarshal(out, into); err != nil {
		c.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// village is a controller.
type village struct {
	t         *testing.T
	dir       string
	area      playlist.Area
	residents int
	id        playlist.ControllerID
	release   string // folder of its program; empty: today's
	*program
}

const villageConfig = `
[site]
name = "village %[1]s"
area = "%[1]s"
data_dir = "data"
clock = "battery"
language = "en"
[[output]]
name = "pole"
device = "wav:out.wav"
residents = %[2]d
[alert]
tone_min = "1s"
tone_max = "%[3]s"
passes = 1
gap = "1s"
`

func (c *county) village(area playlist.Area, residents int) *village {
	c.t.Helper()
	return c.villageOf("", area, residents)
}

// villageOf makes a village with the program of a release.
func (c *county) villageOf(release string, area playlist.Area, residents int) *village {
	c.t.Helper()
	v := &village{t: c.t, dir: folder(c.t), area: area, residents: residents, release: release}
	write(c.t, filepath.Join(v.dir, "dalaba.toml"), fmt.Sprintf(villageConfig, area, residents, c.toneMax))
	var code struct {
		Code       string                `json:"code"`
		Controller playlist.ControllerID `json:"controller"`
	}
	c.verb(&code, "enrol", "--approve", "--area", string(area), "--json")
	v.id = code.Controller
	run(c.t, v.dir, v.path(), "enrol", "https://"+c.http, code.Code)
	return v
}

func (v *village) path() string { return filepath.Join(v.release, "dalaba") }

func (v *village) run() {
	v.t.Helper()
	v.program = start(v.t, v.dir, v.path(), "run")
}

// rows returns the village's own as-run log.
func (v *village) rows() []asrun.Row {
	v.t.Helper()
	store, err := data.OpenReadOnly(v.t.Context(), filepath.Join(v.dir, "data"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	var all []asrun.Row
	for r, err := range store.AsRun(v.t.Context(), data.Query{}) {
		if err != nil {
			v.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// alerts returns the alerts that the village has.
func (v *village) alerts() []emergency.Record {
	v.t.Helper()
	store, err := data.OpenReadOnly(v.t.Context(), filepath.Join(v.dir, "data"))
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	all, err := store.Alerts(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	return all
}

func (v *village) state(id playlist.AlertID) emergency.State {
	v.t.Helper()
	for _, r := range v.alerts() {
		if r.ID == id {
			return r.State
		}
	}
	return ""
}

// accepted reports whether the village got a document of a kind in that way: by
// a push, or by a sync.
func (v *village) accepted(by, kind string) bool {
	v.t.Helper()
	log, err := os.ReadFile(filepath.Join(v.dir, "log.txt"))
	if err != nil {
		v.t.Fatal(err)
	}
	return bytes.Contains(log, fmt.Appendf(nil, `msg="document accepted" by=%s kind=%s `, by, kind))
}

// each calls f for all villages, a few at a time.
func each(villages []*village, f func(*village)) {
	var work sync.WaitGroup
	places := make(chan struct{}, 4)
	for _, v := range villages {
		work.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			f(v)
		})
	}
	work.Wait()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must happen. No machine is so busy
// that it takes longer.
const patience = 5 * time.Minute

// wait polls until is returns true. If it never does, found reports what was
// there instead.
func wait(t *testing.T, what string, is func() bool, found ...func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			for _, f := range found {
				what += "; there is " + f()
			}
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// waitAll waits until is returns true for every village. found reports the
// state of a village for which it does not.
func waitAll(t *testing.T, what string, all []*village, found func(*village) string, is func(*village) bool) {
	t.Helper()
	var left []*village
	wait(t, what+" in every village", func() bool {
		left = slices.DeleteFunc(slices.Clone(all), is)
		return len(left) == 0
	}, func() string {
		text := fmt.Sprintf("none in %d of %d:", len(left), len(all))
		for _, v := range left[:min(len(left), 4)] {
			text += fmt.Sprintf("\n  %s: %s", v.id, found(v))
		}
		return text
	})
}

// waitState waits until an alert has a state in every village.
func waitState(t *testing.T, all []*village, id playlist.AlertID, state emergency.State) {
	t.Helper()
	waitAll(t, fmt.Sprintf("alert %s is %s", id, state), all,
		func(v *village) string { return fmt.Sprintf("%q, %s", v.state(id), v.log()) },
		func(v *village) bool { return v.state(id) == state })
}

// log returns the end of the village's as-run log as text.
func (v *village) log() string {
	rows := v.rows()
	text := fmt.Sprintf("%d rows", len(rows))
	for _, r := range rows[max(0, len(rows)-3):] {
		text += fmt.Sprintf("; %s item %d part %d %s%s from %d, %d of %d frames, outcome %q", r.Airing, r.Item, r.Part, r.Used, r.Clip.Short(), r.FromFrame, r.Frames, r.OfFrames, r.Outcome)
	}
	return text
}

var folders sync.Map // *testing.T -> folder

// folder makes a folder for a program. Those of a test are side by side, and
// are kept if it fails.
func folder(t *testing.T) string {
	t.Helper()
	root, ok := folders.Load(t)
	if !ok {
		dir, err := os.MkdirTemp("", "dalaba-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the programs' logs and databases, and what villages sounded, lie in %s", dir)
			} else if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		folders.Store(t, dir)
		root = dir
	}
	dir, err := os.MkdirTemp(root.(string), "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
