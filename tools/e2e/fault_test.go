package e2e_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	_ "github.com/mattn/go-sqlite3" // to query the county's database directly
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"dalaba/county/store"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Which faults happen, in which order and when, follows from a seed that is
// logged; DALABA_FAULT_SEED repeats the choices of a run. DALABA_FAULT_FOR=20m
// makes it run for that long (default 12 s): see "make faults".
const (
	seedVariable  = "DALABA_FAULT_SEED"
	faultVariable = "DALABA_FAULT_FOR"
)

// line is the connection from the controllers to one port of their county, and
// its present faults.
type line struct {
	t        *testing.T
	from, to string
	proxy    *toxiproxy.Proxy
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics have loggers of their own
	l := &line{t: t, from: "127.0.0.1:" + freePort(t), to: to}
	l.open()
	t.Cleanup(l.cut)
	return l
}

// open makes the line with its faults. It makes a new one each time: toxiproxy
// panics if it has to change one that is in use.
func (l *line) open(toxics ...string) {
	l.t.Helper()
	l.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "line", l.from, l.to)
	for _, toxic := range toxics {
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) cut() { l.proxy.Stop() }

// replace cuts the line and makes a new one.
func (l *line) replace(toxics ...string) {
	l.t.Helper()
	l.cut()
	l.open(toxics...)
}

// The faults that a line may have. TCP waits and repeats what is lost, so a
// fifth of the packets lost appears as pauses of a second or two and, if TCP
// gives up, as connections reset.
var (
	slow   = `{"type": "bandwidth", "stream": %q, "attributes": {"rate": 8}}` // KB/s: 64 kbit/s
	far    = `{"type": "latency", "stream": %q, "attributes": {"latency": 2000, "jitter": 1000}}`
	lossy  = `{"type": "slicer", "stream": %q, "attributes": {"average_size": 700, "size_variation": 500, "delay": 20000}}`
	resets = `{"type": "reset_peer", "stream": "downstream", "toxicity": 0.2, "attributes": {"timeout": 1500}}`
	drops  = `{"type": "limit_data", "stream": "downstream", "toxicity": 0.7, "attributes": {"bytes": 12000}}`
	stalls = `{"type": "timeout", "stream": "downstream", "toxicity": 0.2, "attributes": {"timeout": 3000}}`
)

func bothWays(toxics ...string) (all []string) {
	for _, t := range toxics {
		all = append(all, fmt.Sprintf(t, "upstream"), fmt.Sprintf(t, "downstream"))
	}
	return all
}

// weather is a county and its villages, with the faults that the test makes.
type weather struct {
	t        *testing.T
	r        *rand.Rand
	c        *county
	broker   string // the broker's own address, not the line's
	messages *line
	clips    *line

	real, mute []*village
	pushed     int
	newest     map[playlist.ControllerID]map[string]int64 // the highest version seen of each document
	log        []string
}

func (w *weather) all() []*village { return slices.Concat(w.real, w.mute) }

// enough is how many rows of a village prove that it works.
const enough = 3

const (
	realVillages = 3
	muteVillages = 4
)

// Real villages: one has no fault, one begins with a wrong clock, one has a
// small disk.
const (
	wrongClock = 1
	smallDisk  = 2
)

func newWeather(t *testing.T) *weather {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	w := &weather{t: t, r: rand.New(rand.NewPCG(seed, 0)), newest: map[playlist.ControllerID]map[string]int64{}}
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	http, broker := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	w.broker, w.messages, w.clips = broker, newLine(t, broker), newLine(t, http)
	w.c = &county{t: t, dir: folder(t), toneMax: "6s", http: w.clips.from}
	write(t, filepath.Join(w.c.dir, "county.toml"), fmt.Sprintf(`
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
servers = ["tls://%s"]
`, http, w.clips.from, broker, w.messages.from))
	w.c.serve()
	t.Cleanup(func() {
		if t.Failed() {
			path := filepath.Join(w.c.dir, "befell.txt")
			write(t, path, strings.Join(w.log, "\n"))
			t.Logf("what befell: %s", path)
		}
	})
	for i := range realVillages + muteVillages {
		v := w.c.village(playlist.Area(fmt.Sprintf("320924100%03d", 201+i)), 100)
		if i < realVillages {
			w.real = append(w.real, v)
			w.giveFault(v, i)
		} else {
			w.mute = append(w.mute, v)
		}
	}
	each(w.all(), w.start)
	return w
}

// giveFault gives a real village another output, and its own fault.
func (w *weather) giveFault(v *village, i int) {
	w.t.Helper()
	text := fmt.Sprintf(villageConfig, v.area, v.residents, w.c.toneMax) + "[[output]]\nname = \"more\"\ndevice = \"null:\"\nresidents = 50\n"
	switch i {
	case wrongClock:
		text = strings.Replace(text, `clock = "battery"`, `clock = "ntp"`, 1)
		write(w.t, filepath.Join(v.dir, "offset"), "-20000h")
	case smallDisk:
		w.shrink(v)
	}
	write(w.t, filepath.Join(v.dir, "dalaba.toml"), text)
}

// shrink moves a village's data to a small disk of its own.
func (w *weather) shrink(v *village) {
	w.t.Helper()
	dir := filepath.Join(v.dir, "data")
	aside := filepath.Join(v.dir, "aside")
	if err := os.Rename(dir, aside); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		w.t.Logf("no disk runs full in this run: they cannot be mounted here (%v); run as root", err)
	} else {
		w.t.Cleanup(func() {
			if v.program != nil {
				v.end(syscall.SIGKILL)
			}
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				w.t.Error(err)
			}
		})
	}
	copyAll(w.t, aside, dir)
}

// copyAll copies the content of a folder into another, with modes.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// start starts a village of either kind.
func (w *weather) start(v *village) {
	w.t.Helper()
	if i := slices.Index(w.real, v); i >= 0 {
		var env []string
		if i == wrongClock {
			env = []string{"DALABA_CLOCK_OFFSET_FILE=" + filepath.Join(v.dir, "offset")}
		}
		v.program = launch(w.t, v.dir, env, filepath.Join(programs.dir, "dalaba"), "run")
		return
	}
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	v.program = launch(w.t, v.dir, []string{muteDir + "=" + filepath.Join(v.dir, "data")}, self)
}

func (w *weather) note(format string, args ...any) {
	w.log = append(w.log, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

const never = "0 3 29 2 *"

// eachSecond returns a cron spec for every second of this hour and the next: a
// whole week of it would take the county long to check for conflicts.
func eachSecond() string {
	hour := time.Now().In(time.FixedZone("CST", 8*3600)).Hour()
	return fmt.Sprintf("* * %d,%d * * *", hour, (hour+1)%24)
}

// push makes all villages air lessons by a cron spec.
func (w *weather) push(cron string) {
	w.t.Helper()
	w.pushed++
	list := ""
	for _, c := range []string{"clip1.mp3", "clip2.mp3", "clip3.mp3"} {
		path, err := filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata", c))
		if err != nil {
			w.t.Fatal(err)
		}
		list += fmt.Sprintf("%q, ", path)
	}
	file := filepath.Join(w.c.dir, "push.toml")
	write(w.t, file, fmt.Sprintf(`
[[playlist]]
name = "lessons"
clips = [%s]
[[slot]]
name = "often"
playlist = "lessons"
cron = %q
window = "1s"
`, list, cron))
	w.c.verb(nil, "push", file, "--area", "320924000000", "--note", fmt.Sprintf("push %d", w.pushed), "--yes", "--wait", "0s")
	w.note("push %d", w.pushed)
}

// addFault makes one fault happen.
func (w *weather) addFault() {
	w.t.Helper()
	switch w.r.IntN(8) {
	case 0, 1:
		w.note("county killed")
		w.c.end(syscall.SIGKILL)
		w.c.serve()
	case 2, 3:
		v := w.all()[w.r.IntN(len(w.all()))]
		w.note("%s killed", v.id)
		v.end(syscall.SIGKILL)
		w.start(v)
	case 4:
		w.note("line cut")
		w.messages.cut()
		w.clips.cut()
		w.pass(2 * time.Second)
		w.messages.open()
		w.clips.open()
	case 5:
		w.note("bad line")
		w.messages.replace(append(bothWays(slow, far, lossy), resets)...)
		w.clips.replace(append(bothWays(slow, far), drops, stalls)...)
		w.pass(4 * time.Second)
		w.messages.replace()
		w.clips.replace()
	case 6:
		w.push(eachSecond())
	case 7:
		w.replay()
	}
	w.look(w.all()[w.r.IntN(len(w.all()))])
	w.pass(700 * time.Millisecond)
}

// pass waits for up to that long.
func (w *weather) pass(most time.Duration) {
	time.Sleep(time.Duration(w.r.Int64N(int64(most))))
}

const countyScope = playlist.Scope("area:320924000000")

// replay sends all manifests that ever were once more, in random order.
func (w *weather) replay() {
	w.t.Helper()
	ca, err := os.ReadFile(filepath.Join(w.c.dir, "data", "tls", "ca.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	authority, err := link.ReadAuthority(filepath.Join(w.c.dir, "data", "keys", "broker.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	creds, err := authority.Creds(link.UserPublisher)
	if err != nil {
		w.t.Fatal(err)
	}
	nc, err := link.Dial("replay", []string{"tls://" + w.broker}, string(ca), creds)
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	var old [][]byte
	w.query("SELECT bytes FROM envelope WHERE kind = 'manifest'", func(scan func(...any) error) error {
		var raw []byte
		err := scan(&raw)
		old = append(old, raw)
		return err
	})
	w.r.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
	wait(w.t, "the broker takes what is said again", nc.IsConnected)
	p := link.Publisher{Conn: nc, Log: slog.New(slog.DiscardHandler)}
	for _, raw := range old {
		for range 1 + w.r.IntN(2) {
			if err := p.Publish(w.t.Context(), countyScope, link.KindManifest, raw); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.note("%d manifests said again", len(old))
}

// query reads from the county's database.
func (w *weather) query(query string, row func(scan func(...any) error) error) {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.c.dir, "data", "county.db")+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(w.t.Context(), query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// latest returns the version of the manifest in force at the county.
func (w *weather) latest() (version int64) {
	w.t.Helper()
	w.query("SELECT max(version) FROM envelope WHERE kind = 'manifest'", func(scan func(...any) error) error { return scan(&version) })
	return version
}

// look checks that no version in a village has gone back since the last look,
// neither that of a document nor that of what is in force.
func (w *weather) look(v *village) {
	w.t.Helper()
	s, err := data.OpenReadOnly(w.t.Context(), filepath.Join(v.dir, "data"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		w.t.Fatalf("%s: %v", v.id, err)
	}
	defer func() { _ = s.Close() }()
	docs, err := s.Documents(w.t.Context())
	if err != nil {
		w.t.Fatalf("%s: %v", v.id, err)
	}
	now := map[string]int64{}
	for _, d := range docs {
		now[d.Kind+" "+string(d.Scope)] = d.Version
	}
	inForce, err := s.Manifests(w.t.Context())
	if err != nil {
		w.t.Fatalf("%s: %v", v.id, err)
	}
	for scope, m := range inForce {
		now["manifest/"+string(scope)] = m.Version
	}
	if w.newest[v.id] == nil {
		w.newest[v.id] = map[string]int64{}
	}
	for key, was := range w.newest[v.id] {
		if now[key] < was {
			w.t.Errorf("%s: version %d of %s has become %d", v.id, was, key, now[key])
		}
	}
	for key, version := range now {
		w.newest[v.id][key] = max(w.newest[v.id][key], version)
	}
}

// has returns the version of the county's manifest that a village had at the
// last look.
func (w *weather) has(v *village) int64 { return w.newest[v.id]["manifest "+string(countyScope)] }

// fill fills a village's disk until its store continues in memory, and keeps it
// full for some seconds more.
func (w *weather) fill(v *village) {
	w.t.Helper()
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Join(v.dir, "data"), &disk); err != nil {
		w.t.Fatal(err)
	}
	if disk.Type != unix.TMPFS_MAGIC || disk.Blocks*uint64(disk.Bsize) > 64<<20 {
		return // it was not shrunk
	}
	// A village that airs nothing yet, as its clips have not all come, has
	// nothing to record either.
	wait(w.t, fmt.Sprintf("%s airs lessons", v.id), func() bool {
		return slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return r.Alert == "" })
	}, v.log)
	w.note("%s has no room", v.id)
	logged := func(text string) int {
		log, err := os.ReadFile(filepath.Join(v.dir, "log.txt"))
		if err != nil {
			w.t.Fatal(err)
		}
		return strings.Count(string(log), text)
	}
	junk, before := filepath.Join(v.dir, "data", "junk"), logged("records go to memory")
	wait(w.t, "records go to memory", func() bool {
		f, err := os.OpenFile(junk, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		for err == nil { // also what was freed since
			_, err = f.Write(make([]byte, 4096))
		}
		_ = f.Close()
		return logged("records go to memory") > before
	})
	w.pass(4 * time.Second)
	if err := os.Remove(junk); err != nil {
		w.t.Fatal(err)
	}
	w.note("%s has room", v.id)
	// A crash before that would lose it, as the log then says.
	wait(w.t, "what was recorded in memory is on the disk", func() bool {
		return logged("records go to memory") == logged("store can be written again")
	})
}

func TestNothingIsLostOrDoubledInBadWeather(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of faults")
	}
	lasts := 12 * time.Second
	if text := os.Getenv(faultVariable); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", faultVariable, err)
		}
	}
	w := newWeather(t)
	w.push(eachSecond())
	storm := func() {
		for end := time.Now().Add(min(lasts/2, 30*time.Second)); time.Now().Before(end) && !t.Failed(); {
			w.addFault()
		}
	}
	for end := time.Now().Add(lasts); ; {
		storm()
		// The copy that will serve as yesterday's backup.
		w.c.end(syscall.SIGKILL)
		backup := t.TempDir()
		copyAll(t, filepath.Join(w.c.dir, "data"), backup)
		w.note("backup taken")
		w.c.serve()
		w.c.verb(nil, "alert", "--level", "2", "--area", "320924000000", "--title", "大风", "--text", "请留在屋里。", "--yes")
		w.note("alert")
		w.push(eachSecond())
		write(t, filepath.Join(w.real[wrongClock].dir, "offset"), "0s")
		w.fill(w.real[smallDisk])
		storm()
		w.push(eachSecond())
		for _, v := range w.mute {
			w.hold(v, w.latest())
		}
		for _, v := range w.all() { // a clock corrected late leaves few
			wait(t, fmt.Sprintf("%s has %d rows", v.id, enough), func() bool { return len(v.rows()) >= enough }, v.log)
		}

		w.c.end(syscall.SIGKILL)
		if err := os.RemoveAll(filepath.Join(w.c.dir, "data")); err != nil {
			t.Fatal(err)
		}
		copyAll(t, backup, filepath.Join(w.c.dir, "data"))
		w.messages.cut() // what is done now is done before any village tells the county what it lost
		w.c.serve()
		w.note("county restored from its backup")
		if time.Now().After(end) || t.Failed() {
			break
		}
		w.push(eachSecond())
		w.messages.open()
	}
	w.push(never)
	w.messages.open()
	for _, v := range w.mute {
		write(t, filepath.Join(v.dir, "data", quietFile), "")
	}
	w.finish()
	w.judge()
}

// hold waits until a village has a version.
func (w *weather) hold(v *village, version int64) {
	w.t.Helper()
	wait(w.t, fmt.Sprintf("%s has version %d", v.id, version), func() bool {
		w.look(v)
		return w.has(v) >= version
	}, func() string { return fmt.Sprintf("version %d", w.has(v)) })
}

// finish waits until all villages have the latest version and have sent
// everything. It restarts those that would wait for minutes before they try
// again.
func (w *weather) finish() {
	w.t.Helper()
	for _, v := range w.real {
		v.end(syscall.SIGKILL)
		w.start(v)
	}
	var left []string
	defer func() {
		if w.t.Failed() {
			w.t.Logf("not settled: %v", left)
		}
	}()
	wait(w.t, "all have the last push in force and have handed everything in", func() bool {
		version, pushed := w.latest(), fmt.Sprintf("push %d", w.pushed)
		left = nil
		for _, v := range w.all() {
			w.look(v)
			if w.has(v) != version {
				left = append(left, fmt.Sprintf("%s has version %d of %d", v.id, w.has(v), version))
			} else if why := w.unsettled(v, pushed); why != "" {
				left = append(left, string(v.id)+" "+why)
			}
		}
		return len(left) == 0
	})
	for _, v := range w.all() {
		v.end(syscall.SIGTERM)
	}
}

func (w *weather) unsettled(v *village, pushed string) string {
	s, err := data.OpenReadOnly(w.t.Context(), filepath.Join(v.dir, "data"))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = s.Close() }()
	open, err := s.OpenRows(w.t.Context())
	if err != nil || len(open) > 0 {
		return fmt.Sprintf("airs still: %d, %v", len(open), err)
	}
	if n, _, err := s.Unsent(w.t.Context()); err != nil || n > 0 {
		return fmt.Sprintf("has %d unsent receipts: %v", n, err)
	}
	if slices.Contains(w.mute, v) {
		return ""
	}
	inForce, err := s.Manifests(w.t.Context())
	m := inForce[countyScope]
	if note, _, _ := strings.Cut(m.Note, " ("); err != nil || note != pushed { // a manifest issued again says so in brackets
		return fmt.Sprintf("airs by %q, not %q: %v", m.Note, pushed, err)
	}
	return ""
}

// judge compares the county's rows with the villages' own, one by one, and
// checks every clip.
func (w *weather) judge() {
	w.t.Helper()
	w.c.end(syscall.SIGTERM)
	w.query("SELECT controller, lost, mark, (SELECT count(*) FROM receipt WHERE epoch = e.id) FROM epoch e", func(scan func(...any) error) error {
		var id string
		var lost, mark, n int64
		err := scan(&id, &lost, &mark, &n)
		if lost != 0 || n != mark {
			w.t.Errorf("%s: %d receipts of %d stored, %d given up", id, n, mark, lost)
		}
		return err
	})
	st, err := store.Open(w.t.Context(), store.Options{Dir: filepath.Join(w.c.dir, "data"), Zone: time.FixedZone("CST", 8*3600), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	total, alerts, repaired := 0, 0, 0
	for _, v := range w.all() {
		got, err := st.Rows(w.t.Context(), store.RowQuery{Controller: v.id, Limit: 10_000_000})
		if err != nil {
			w.t.Fatal(err)
		}
		theirs := map[asrun.RowKey]asrun.Row{}
		for _, r := range got {
			if _, twice := theirs[r.Key()]; twice {
				w.t.Errorf("%s: %v twice", v.id, r.Key())
			}
			theirs[r.Key()] = r.Row
		}
		own := v.rows()
		for _, mine := range own {
			r, ok := theirs[mine.Key()]
			delete(theirs, mine.Key())
			mine.Seq, r.Seq = 0, 0 // a correction has another number
			switch {
			case !ok:
				w.t.Errorf("%s: %v is lost", v.id, mine.Key())
			case r != mine:
				w.t.Errorf("%s: the village says\n%+v\nthe county says\n%+v", v.id, mine, r)
			}
			if mine.Alert != "" {
				alerts++
			}
			if mine.Clock == playlist.ClockRepaired {
				repaired++
			}
		}
		for key := range theirs {
			w.t.Errorf("%s: the county has %v, the village has not", v.id, key)
		}
		total += len(own)
		if len(own) < enough {
			w.t.Errorf("%s: %d rows prove nothing", v.id, len(own))
		}
	}
	for _, v := range w.real {
		w.whole(v)
	}
	w.t.Logf("%d rows of %d villages are the county's too, one by one; %d of alerts, %d of a clock put right; %d events",
		total, len(w.all()), alerts, repaired, len(w.log))
	if alerts == 0 {
		w.t.Error("no alert sounded")
	}
}

// whole checks the bytes of a village's clips.
func (w *weather) whole(v *village) {
	w.t.Helper()
	clips, err := filepath.Glob(filepath.Join(v.dir, "data", "clips", "*.mp3"))
	if err != nil || len(clips) < 3 {
		w.t.Errorf("%s: %d clips, %v", v.id, len(clips), err)
	}
	for _, path := range clips {
		b, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if name := strings.TrimSuffix(filepath.Base(path), ".mp3"); hex.EncodeToString(sum[:]) != name {
			w.t.Errorf("%s: clip %s has other bytes", v.id, name)
		}
	}
}
