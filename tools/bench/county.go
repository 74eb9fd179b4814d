package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

const (
	countyArea  = playlist.Area("320924000000")
	countyLimit = 30 * time.Minute // for all that is measured at the county
	countyTowns = 5                // each has a fifth of the controllers
	receiptsOf  = 60               // receipts of each controller
	downloads   = 100
)

// county measures a `dalaba-county serve` with thousands of controllers: they
// use the code of package link, on this machine, with a store in memory and no
// sound. The peers are a plain nats-server with as many plain clients,
// net/http's file server and SQLite by itself.
func (b *bench) county(ctx context.Context) (figures []Figure, err error) {
	n := cmp.Or(b.controllers, 5000)
	if b.short && b.controllers == 0 {
		n = 50
	}
	ctx, cancel := context.WithTimeout(ctx, countyLimit)
	defer cancel()
	c, err := b.newCentre(ctx)
	if err != nil {
		return nil, err
	}
	var pace link.Pace // the protocol's
	if b.short {
		pace.Told = func() time.Duration { return 50 * time.Millisecond }
	}
	f := newFleet(n, pace)
	defer func() { err = errors.Join(err, f.end(), c.end()) }()
	l := load{b: b, c: c, f: f, rounds: 3}
	if b.short {
		l.rounds = 1
	}
	for _, phase := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"enrol", l.enrol}, {"connect", l.connect}, {"push", l.push}, {"alert", l.alert}, {"restart", l.restart},
		{"receipts", l.receipts}, {"clips", l.clips}, {"peers", l.peers},
	} {
		began := time.Now()
		if err := phase.do(ctx); err != nil {
			return l.figures, fmt.Errorf("%s: %w", phase.name, err)
		}
		fmt.Fprintf(b.log, "# county, %s: %.1f s\n", phase.name, time.Since(began).Seconds())
	}
	return l.figures, nil
}

// load is one run against a county.
type load struct {
	b *bench
	c *centre
	f *fleet

	rounds  int           // pushes, and alerts of each kind
	clip    playlist.Clip // in the county's library
	pushed  int           // manifests so far
	over    int64         // the version pushed last
	sizes   struct{ manifest, alerts int }
	peak    float64 // MiB, of the county's process
	figures []Figure

	// Measured at the county, to compare with the peers.
	connected, restarted []float64 // s
	stored, fetched      float64
	late                 struct{ push, all, town []float64 } // ms
	lost                 float64
	rows                 int
}

// enrol makes all controllers known to the county, each with its own code.
func (l *load) enrol(ctx context.Context) error {
	began := time.Now()
	err := inParallel(ctx, 16, len(l.f.poles), func(ctx context.Context, i int) error {
		p := l.f.poles[i]
		var code county.MadeCode
		if err := l.c.post(ctx, "/api/codes", county.NewCode{Controller: p.id, Area: p.area, Approve: true}, &code); err != nil {
			return err
		}
		got, err := link.Enrol(ctx, link.Enrolment{
			URL: l.c.url, Code: code.Code, Key: p.Key, Client: l.c.public, Poll: 50 * time.Millisecond,
			Self: link.EnrolRequest{Site: string(p.id), Areas: []playlist.Area{p.area}, Outputs: 1, Residents: residents, Program: "bench"},
		})
		if err != nil {
			return err
		}
		return p.Adopt(ctx, got)
	})
	if err != nil {
		return err
	}
	n := len(l.f.poles)
	l.add(figure(fmt.Sprintf("county: %s controllers enrolled", thousands(n)), time.Since(began).Seconds(), "s", noPeer, 0, n))
	length := 5 * time.Minute
	if l.b.short {
		length = time.Minute
	}
	if l.clip, err = l.c.addClip(ctx, l.b, length); err != nil {
		return err
	}
	return l.issue(ctx)
}

const noPeer = "none: the peer does not do it"

func (l *load) add(f ...Figure) { l.figures = append(l.figures, f...) }

// issue pushes another manifest to all controllers.
func (l *load) issue(ctx context.Context) error {
	l.pushed++
	d := county.Draft{
		Scope: playlist.AreaScope(countyArea), Note: l.note(),
		Playlists: []playlist.Playlist{{Name: "lessons", Order: playlist.Sequence, Clips: []playlist.ClipID{l.clip.ID}}},
	}
	for hour := range 12 {
		cron, err := playlist.ParseCron(fmt.Sprintf("30 %d * * *", 7+hour))
		if err != nil {
			return err
		}
		d.Slots = append(d.Slots, playlist.Slot{
			Name: fmt.Sprintf("lesson at %d", 7+hour), Playlist: "lessons", Cron: cron, Count: 1, Priority: 5, Window: 2 * time.Minute,
			Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
		})
	}
	d.Over = &l.over
	var e store.Envelope
	err := l.c.post(ctx, "/api/push", d, &e)
	l.over = e.Version
	return err
}

// note returns the note in the manifest pushed last.
func (l *load) note() string { return fmt.Sprintf("push %d", l.pushed) }

// current returns a test that a controller was acknowledged by the county after
// an instant and has the manifest pushed last.
func (l *load) current(since time.Time) func(*pole) bool {
	note := l.note()
	return func(p *pole) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.acknowledged.After(since) && p.note == note
	}
}

// currentIn is current for the controllers in an area only: for all others the
// test is true. The county knows what such a controller has, because the
// controller reported it before that acknowledgement.
func (l *load) currentIn(area playlist.Area, since time.Time) func(*pole) bool {
	current := l.current(since)
	return func(p *pole) bool { return !p.area.Within(area) || current(p) }
}

// connect starts all controllers at once and waits for them.
func (l *load) connect(ctx context.Context) error {
	began := time.Now()
	l.f.start()
	var err error
	l.connected, err = l.f.until(ctx, "all are connected and current", l.current(began))
	return err
}

// push measures from the API call until each controller has stored the new
// manifest.
func (l *load) push(ctx context.Context) error {
	for range l.rounds {
		note := fmt.Sprintf("push %d", l.pushed+1)
		r := l.f.listen(len(l.f.poles), func(d link.Document) bool { return d.Manifest != nil && d.Manifest.Note == note })
		if err := l.issue(ctx); err != nil {
			return err
		}
		late, err := r.wait(ctx)
		if err != nil {
			return err
		}
		l.late.push = append(l.late.push, late...)
		l.sizes.manifest = r.bytes()
		// The county must know that all have it before the next push.
		if _, err := l.f.until(ctx, "the county knows of all", l.current(r.began)); err != nil {
			return err
		}
	}
	return nil
}

// alert measures from the API call until each controller has stored the order:
// just before its first sample, which none of these controllers plays.
func (l *load) alert(ctx context.Context) error {
	town := 0
	for _, p := range l.f.poles {
		if p.area.Within(townArea(0)) {
			town++
		}
	}
	for _, of := range []struct {
		area playlist.Area
		n    int
		late *[]float64
	}{{countyArea, len(l.f.poles), &l.late.all}, {townArea(0), town, &l.late.town}} {
		for round := range l.rounds {
			title := fmt.Sprintf("drill of %s, %d", of.area, round)
			ordered := l.f.listen(of.n, func(d link.Document) bool {
				return d.Alerts != nil && d.Scope == playlist.AreaScope(of.area) &&
					slices.ContainsFunc(d.Alerts.Alerts, func(a link.AlertInForce) bool { return a.Alert.Texts[0].Title == title })
			})
			var v county.Verdict
			if err := l.c.post(ctx, "/api/alerts", county.ByHand{
				Title: title, Text: "请马上往高处转移。", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(of.area)},
			}, &v); err != nil {
				return err
			}
			late, err := ordered.wait(ctx)
			if err != nil {
				return err
			}
			*of.late = append(*of.late, late...)
			l.sizes.alerts = ordered.bytes()
			if _, err := l.f.until(ctx, "the county knows of all", l.currentIn(of.area, ordered.began)); err != nil {
				return err
			}
			gone := l.f.listen(of.n, func(d link.Document) bool {
				return d.Alerts != nil && d.Scope == playlist.AreaScope(of.area) && len(d.Alerts.Alerts) == 0
			})
			if err := l.c.call(ctx, http.MethodPost, "/api/cancel?id="+url.QueryEscape(string(v.ID)), nil, nil); err != nil {
				return err
			}
			if _, err := gone.wait(ctx); err != nil {
				return err
			}
			if _, err := l.f.until(ctx, "the county knows of all", l.currentIn(of.area, gone.began)); err != nil {
				return err
			}
		}
	}
	return nil
}

// restart kills the county, starts it again with a new manifest, and waits
// until all controllers have come back and have it.
func (l *load) restart(ctx context.Context) error {
	killed := time.Now()
	if err := l.noteMemory(); err != nil {
		return err
	}
	if err := l.c.kill(); err != nil {
		return err
	}
	if err := l.c.serve(ctx); err != nil {
		return err
	}
	back := time.Now()
	if err := l.issue(ctx); err != nil {
		return err
	}
	down := time.Since(killed).Seconds()
	took, err := l.f.until(ctx, "all are back and current", l.current(back))
	for _, s := range took {
		l.restarted = append(l.restarted, s+down)
	}
	return err
}

// noteMemory records the most memory that the county's process has held so far.
func (l *load) noteMemory() error {
	bytes, err := peakMemory(l.c.cmd.Process.Pid)
	l.peak = max(l.peak, float64(bytes)/(1<<20))
	return err
}

// receipts lets all controllers send all their receipts at once, some of them
// twice: every twentieth acknowledgement is lost. Then it counts what the
// county has.
func (l *load) receipts(ctx context.Context) error {
	l.rows = receiptsOf * len(l.f.poles)
	began := time.Now()
	for _, p := range l.f.poles {
		p.air(receiptsOf)
	}
	_, err := l.f.until(ctx, "all receipts are acknowledged", func(p *pole) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.mark == p.aired
	})
	if err != nil {
		return err
	}
	l.stored = float64(l.rows) / time.Since(began).Seconds()
	stored, err := l.c.count(ctx, "SELECT count(*) FROM receipt")
	if err != nil {
		return err
	}
	var reach struct {
		Total struct {
			Started       int `json:"started"`
			PersonAirings int `json:"person_airings"`
		} `json:"total"`
	}
	q := url.Values{"by": {"area"}, "from": {firstDue.Format(time.DateOnly)}, "to": {firstDue.Add(48 * time.Hour).Format(time.DateOnly)}}
	if err := l.c.call(ctx, http.MethodGet, "/api/reach?"+q.Encode(), nil, &reach); err != nil {
		return err
	}
	for _, off := range []int{stored - l.rows, reach.Total.Started - l.rows, reach.Total.PersonAirings/residents - l.rows} {
		l.lost += float64(max(off, -off))
	}
	return nil
}

// clips lets a hundred controllers fetch the same clip at once, each more than
// once.
func (l *load) clips(ctx context.Context) (err error) {
	l.fetched, err = l.fetch(ctx, l.c.url, func(p *pole) func(*http.Request, playlist.ClipID) { return link.SignClip(p.id, p.Key) })
	return errors.Join(err, l.noteMemory())
}

// fetch returns how many MB/s come from a server.
func (l *load) fetch(ctx context.Context, base string, sign func(*pole) func(*http.Request, playlist.ClipID)) (float64, error) {
	const times = 3
	began := time.Now()
	err := inParallel(ctx, downloads, downloads, func(ctx context.Context, i int) error {
		p := l.f.poles[i%len(l.f.poles)]
		conf, err := link.TLS(l.c.ca)
		if err != nil {
			return err
		}
		client := link.ClipClient(conf)
		defer client.CloseIdleConnections()
		for range times {
			if err := get(ctx, client, base, l.clip, sign(p)); err != nil {
				return err
			}
		}
		return nil
	})
	return float64(times*downloads*l.clip.Size) / 1e6 / time.Since(began).Seconds(), err
}

// peers measures the same with programs that do the same job, and makes the
// figures.
func (l *load) peers(ctx context.Context) error {
	if err := errors.Join(l.f.end(), l.c.end()); err != nil {
		return err
	}
	n := len(l.f.poles)
	bare, err := l.bareBroker(ctx)
	if err != nil {
		return err
	}
	files, err := l.plainFiles(ctx)
	if err != nil {
		return err
	}
	rows, err := l.b.plainRows(ctx, min(l.rows, 100_000))
	if err != nil {
		return err
	}
	const (
		broker = "nats-server alone, clients that only listen"
		said   = "nats-server alone, one message of that size"
	)
	all, some := thousands(n), thousands(n/countyTowns)
	for _, q := range []struct {
		name string
		at   float64
	}{{"half of them", 0.5}, {"all", 1}} {
		l.add(
			figure(fmt.Sprintf("county: %s connect, %s current", all, q.name), quantile(l.connected, q.at), "s", broker, quantile(bare.connected, q.at), n),
			figure(fmt.Sprintf("county: kill -9 of it, %s of %s current", q.name, all), quantile(l.restarted, q.at), "s",
				"nats-server alone, nats.go's own reconnect", quantile(bare.restarted, q.at), n))
	}
	for _, of := range []struct {
		what         string
		ours, theirs []float64
	}{
		{"push to " + all + ", API call to kept", l.late.push, bare.manifest},
		{"alert to " + all + ", API call to accepted", l.late.all, bare.all},
		{"alert to " + some + ", API call to accepted", l.late.town, bare.town},
	} {
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			l.add(figure("county: "+of.what+", "+q.name, quantile(of.ours, q.at), "ms", said, quantile(of.theirs, q.at), len(of.ours)))
		}
	}
	l.add(
		figure("county: receipts stored and added up", l.stored, "/s", "SQLite alone, 200 rows a commit, no sums", rows, l.rows),
		figure("county: receipts lost or counted twice", l.lost, "", noPeer, 0, l.rows),
		figure(fmt.Sprintf("county: peak memory, %s controllers", all), l.peak, "MiB", broker, bare.peak, 1),
		figure(fmt.Sprintf("county: %d clip downloads at once", downloads), l.fetched, "MB/s", "net/http's file server, TLS too", files, 3*downloads),
	)
	return nil
}

// thousands writes 5000 as 5,000.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// centre is a `dalaba-county serve` started by us.
type centre struct {
	dir     string
	program string
	url, ca string
	broker  string // its address
	cmd     *exec.Cmd
	ended   chan struct{}
	socket  *http.Client // as the county's operator
	public  *http.Client // as a client from outside
}

// newCentre makes a county and starts it.
func (b *bench) newCentre(ctx context.Context) (*centre, error) {
	dir, err := os.MkdirTemp(b.dir, "county-")
	if err != nil {
		return nil, err
	}
	c := &centre{dir: dir, program: filepath.Join(b.dir, "dalaba-county")}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", c.program, "./cmd/dalaba-county")
	build.Dir = b.root
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./cmd/dalaba-county: %w\n%s", err, said)
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c.url, c.broker = "https://127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	text := fmt.Sprintf(`[county]
name = "bench"
area = %q
data_dir = "data"
language = "en"
[http]
listen = "127.0.0.1:%s"
url = %q
[nats]
listen = "127.0.0.1:%s"
[ingest]
speech = ["false"] # an order alone is what is measured
`, countyArea, ports[0], c.url, ports[1])
	if err := os.WriteFile(filepath.Join(c.dir, "county.toml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	c.socket = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(c.dir, "data", "county.sock"))
		},
	}}
	if err := c.serve(ctx); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(c.dir, "data", "tls", "ca.pem"))
	if err != nil {
		return nil, errors.Join(err, c.end())
	}
	c.ca = string(ca)
	conf, err := link.TLS(c.ca)
	if err != nil {
		return nil, errors.Join(err, c.end())
	}
	c.public = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: 16}}
	return c, nil
}

func freePorts(n int) (ports []string, err error) {
	for tries := 0; len(ports) < n; tries++ {
		// The kernel gives none of these to a connection while a program is started again.
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(20_000)))
		if err != nil && tries < 1000 {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // keep all ports taken until all are chosen
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func (c *centre) log() string { return filepath.Join(c.dir, "log.txt") }

// serve starts the program and waits until it accepts requests.
func (c *centre) serve(ctx context.Context) error {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	c.cmd, c.ended = exec.Command(c.program, "-c", "county.toml", "serve"), make(chan struct{})
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = c.dir, log, log
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // end reports how it ended
	}()
	for {
		if err := c.call(ctx, http.MethodGet, "/api/alerts?n=1", nil, nil); err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return fmt.Errorf("the county ended: %s", c.tail())
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), c.kill())
		}
	}
}

func (c *centre) tail() string {
	text, err := os.ReadFile(c.log())
	return string(text[max(0, len(text)-2000):]) + fmt.Sprint(err)
}

func (c *centre) kill() error {
	err := c.cmd.Process.Kill()
	<-c.ended
	return err
}

// end ends the county, unless it has ended.
func (c *centre) end() error {
	select {
	case <-c.ended:
		return nil
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(grace):
		return errors.Join(fmt.Errorf("the county did not end within %v", grace), c.kill())
	}
}

func (c *centre) post(ctx context.Context, path string, body, to any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, bytes.NewReader(text), to)
}

// call sends a request to the county as its operator.
func (c *centre) call(ctx context.Context, method, path string, body io.Reader, to any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://county"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.socket.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", path, resp.Status, strings.TrimSpace(string(text)))
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(text, to)
}

// addClip imports a recording at the county.
func (c *centre) addClip(ctx context.Context, b *bench, length time.Duration) (playlist.Clip, error) {
	path, err := b.reel("lesson.mp3", length)
	if err != nil {
		return playlist.Clip{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return playlist.Clip{}, err
	}
	defer f.Close()
	var added county.AddedClip
	err = c.call(ctx, http.MethodPost, "/api/clips?name=lesson.mp3&title=lesson&series=lessons&issue=1", f, &added)
	return added.Clip, err
}

// count queries the county's database directly.
func (c *centre) count(ctx context.Context, query string) (n int, err error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(c.dir, "data", "county.db")+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	return n, db.QueryRowContext(ctx, query).Scan(&n)
}
