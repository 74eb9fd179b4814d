package e2e_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to query the county's database directly

	centre "dalaba/county" // the name county is that of a type here
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// clusterVariable must be 1 for the test of the move to a cluster: see "make
// e2e-cluster".
const clusterVariable = "DALABA_CLUSTER"

// pole is a controller without sound: the code of package link with a store in
// memory. It makes a row now and then.
type pole struct {
	*link.Controller
	id playlist.ControllerID

	mu     sync.Mutex
	docs   map[string]link.Stored
	member link.Member
	alerts map[playlist.AlertID]bool
	made   int64
	mark   int64
}

func newPole(id playlist.ControllerID) *pole {
	p := &pole{id: id, docs: map[string]link.Stored{}, alerts: map[playlist.AlertID]bool{}}
	between := func() time.Duration { return 2*time.Second + rand.N(2*time.Second) }
	began := time.Now()
	p.Controller = &link.Controller{
		Key: link.NewKey(), Store: p, Log: slog.New(slog.DiscardHandler), Boot: "pole", Accepted: p.accepted,
		Clock: func() playlist.ClockState { return playlist.ClockTrusted },
		Mono:  func() time.Duration { return time.Since(began) },
		Health: func(context.Context) link.Health {
			return link.Health{Program: "pole", Store: "ok", Outputs: []link.OutputHealth{{Name: "pole", State: "ok", Residents: 100}}}
		},
		// A request that was lost with the replica that had it is sent again
		// after Repeat.
		Pace: link.Pace{Again: between, Every: between, Repeat: func() time.Duration { return 10 * time.Second }, Reconnect: func(int) time.Duration { return 200*time.Millisecond + rand.N(2*time.Second) }},
	}
	return p
}

// accepted is called with each document once it is stored.
func (p *pole) accepted(d link.Document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Member != nil {
		p.member = *d.Member
	}
	if d.Alerts != nil {
		clear(p.alerts) // all are of the county's scope
		for _, a := range d.Alerts.Alerts {
			p.alerts[a.Alert.ID] = true
		}
	}
}

// air makes a row about every second until ctx ends.
func (p *pole) air(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500*time.Millisecond + rand.N(time.Second)):
		}
		p.mu.Lock()
		p.made++
		p.mu.Unlock()
		p.Wake()
	}
}

func (p *pole) version() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.docs["manifest "+string(countyScope)].Version
}

func (p *pole) Documents(context.Context) ([]link.Stored, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.docs)), nil
}

func (p *pole) Keep(_ context.Context, d link.Document) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.docs[string(d.Kind)+" "+string(d.Scope)] = link.Stored{Have: d.Have, Raw: d.Raw}
	return nil
}

func (p *pole) Adopt(ctx context.Context, e link.Enrolled) error {
	p.mu.Lock()
	clear(p.docs)
	p.mu.Unlock()
	return errors.Join(p.Keep(ctx, e.Trust), p.Keep(ctx, e.Member))
}

func (p *pole) SetAside(_ context.Context, r link.Refused) error {
	return fmt.Errorf("receipt %d is set aside: %s", r.Seq, r.Why)
}

var poleDue = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

func (p *pole) Batch(_ context.Context, after link.Mark, limit int) (asrun.Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := asrun.Batch{Epoch: p.epoch()}
	for seq := max(p.mark, after.Seq) + 1; seq <= p.made && len(all.Receipts) < limit; seq++ {
		due := poleDue.Add(time.Duration(seq) * time.Second)
		all.Receipts = append(all.Receipts, asrun.Receipt{Row: asrun.Row{
			Airing: playlist.NewAiringID("pole", due), Slot: "pole", Output: "pole", Item: 1, Part: 1, Seq: seq, Due: due, Started: due, Ended: due.Add(time.Second),
			Frames: playlist.Rate, OfFrames: playlist.Rate, Residents: 100, Area: "320924100201", Outcome: asrun.Complete, Clock: playlist.ClockTrusted,
		}})
	}
	return all, nil
}

func (p *pole) Marks(context.Context) ([]link.Mark, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == 0 {
		return nil, nil
	}
	return []link.Mark{{Epoch: p.epoch(), Seq: p.mark}}, nil
}

func (p *pole) SetMark(_ context.Context, m link.Mark) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mark = m.Seq
	return nil
}

// epoch names the one epoch of the pole.
func (p *pole) epoch() string { return "pole-" + string(p.id) }

func (p *pole) Renumber(context.Context, string) error {
	return errors.New("a pole's receipts have new numbers")
}

func (p *pole) Events(context.Context, int) ([]link.Event, error)       { return nil, nil }
func (p *pole) EventsSent(context.Context, int64) error                 { return nil }
func (p *pole) HasClip(context.Context, playlist.ClipID) (bool, error)  { return true, nil }
func (p *pole) PutClip(context.Context, playlist.Clip, io.Reader) error { return nil }

// post calls the county's API as an operator on its machine does.
func post(dir, path string, body, to any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, "data", "county.sock"))
	}}}
	resp, err := client.Post("http://county"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err = io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return json.Unmarshal(text, to)
}

// private starts a PostgreSQL of its own, not as root, and returns the address
// of a database in it.
func private(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		t.Skip("no PostgreSQL in /usr/lib/postgresql")
	}
	bin := filepath.Dir(slices.Max(found))
	dir, err := os.MkdirTemp("", "pg") // the path of its socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	program := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr, c.Env = dir, attr, append(os.Environ(), "LC_ALL=C.UTF-8")
		return c
	}
	folder := filepath.Join(dir, "data")
	if out, err := program("initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	server := program("postgres", "-D", folder, "-k", dir, "-c", "listen_addresses=")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = server.Wait()
	})
	address := func(name string) string { return fmt.Sprintf("postgres:///%s?host=%s&user=postgres", name, dir) }
	wait(t, "PostgreSQL takes a database", func() bool {
		db, err := sql.Open("pgx", address("postgres"))
		if err == nil {
			_, err = db.ExecContext(t.Context(), "CREATE DATABASE county")
			err = errors.Join(err, db.Close())
		}
		return err == nil
	})
	return address("county")
}

// cluster is three stock nats-servers with the configs that `dalaba-county
// broker` wrote.
type cluster struct {
	t       *testing.T
	program string
	dirs    []string
	ports   []string
	servers []*program
}

func newCluster(c *county) *cluster {
	t := c.t
	t.Helper()
	k := &cluster{t: t, program: filepath.Join(t.TempDir(), "nats-server"), servers: make([]*program, 3)}
	if out, err := exec.Command("go", "build", "-o", k.program, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var routes []string
	for range k.servers {
		k.ports = append(k.ports, freePort(t))
		routes = append(routes, freePort(t))
	}
	for i := range k.servers {
		dir := t.TempDir()
		args := []string{"broker", dir, "--name", fmt.Sprintf("n%d", i+1), "--also", "127.0.0.1",
			"--listen", "127.0.0.1:" + k.ports[i], "--cluster", "127.0.0.1:" + routes[i]}
		for j, port := range routes {
			if j != i {
				args = append(args, "--route", "tls://127.0.0.1:"+port)
			}
		}
		c.verb(nil, args...)
		k.dirs = append(k.dirs, dir)
		k.start(i)
	}
	return k
}

func (k *cluster) start(i int) {
	k.t.Helper()
	k.servers[i] = launch(k.t, k.dirs[i], nil, k.program, "-c", filepath.Join(k.dirs[i], "nats.conf"))
}

// urls returns the addresses, quoted and separated by commas.
func (k *cluster) urls() string {
	var all []string
	for _, port := range k.ports {
		all = append(all, fmt.Sprintf("%q", "tls://127.0.0.1:"+port))
	}
	return strings.Join(all, ", ")
}

// TestAGrowingCountyMovesToAClusterAndLosesNothing goes through the steps that
// the README gives, with live controllers that nothing else changes.
func TestAGrowingCountyMovesToAClusterAndLosesNothing(t *testing.T) {
	if os.Getenv(clusterVariable) != "1" {
		t.Skip("a few minutes: make e2e-cluster")
	}
	database := private(t)
	c := newCounty(t, "")
	const poles = 200
	var all []*pole
	for i := range poles {
		p := newPole(playlist.ControllerID(fmt.Sprintf("pole-%03d", i)))
		var code centre.MadeCode
		n := centre.NewCode{Controller: p.id, Area: playlist.Area(fmt.Sprintf("320924%03d%03d", 100+i%4, 201+i/4)), Approve: true}
		if err := post(c.dir, "/api/codes", n, &code); err != nil {
			t.Fatal(err)
		}
		got, err := link.Enrol(t.Context(), link.Enrolment{URL: "https://" + c.http, Code: code.Code, Key: p.Key, Self: link.EnrolRequest{Site: string(p.id), Program: "pole"}})
		if err == nil {
			err = p.Adopt(t.Context(), got)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	ctx, stop := context.WithCancel(context.Background())
	airing, quiet := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	defer quiet()
	var ended atomic.Int64
	for _, p := range all {
		work.Go(func() {
			if err := p.Run(ctx); err != nil || ctx.Err() == nil {
				ended.Add(1)
			}
		})
		work.Go(func() { p.air(airing) })
	}
	every := func(what string, is func(*pole) bool) {
		t.Helper()
		began := time.Now()
		wait(t, what, func() bool {
			return !slices.ContainsFunc(all, func(p *pole) bool { return !is(p) })
		})
		t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
	}
	pushed := int64(0)
	push := func(dir string) {
		t.Helper()
		pushed++
		file := pushFile(t, dir, "lessons", fmt.Sprintf("%d 7 * * *", pushed), "clip1.mp3")
		run(t, dir, "dalaba-county", "-c", "county.toml", "push", file, "--area", "320924000000", "--yes")
		every(fmt.Sprintf("all have push %d", pushed), func(p *pole) bool { return p.version() == pushed })
	}
	push(c.dir)

	// 1. Three brokers, and the controllers learn of them while the old one
	// still serves.
	k := newCluster(c)
	config := filepath.Join(c.dir, "county.toml")
	old, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	listen := "tls://" + between(string(old), "[nats]\nlisten = \"", "\"")
	write(t, config, string(old)+fmt.Sprintf("servers = [%q, %s]\n", listen, k.urls()))
	c.end(syscall.SIGTERM)
	c.serve()
	every("all know of the cluster", func(p *pole) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.member.Servers) == 4
	})

	// 2. The store moves while no county runs; the controllers keep what they
	// have to send.
	c.end(syscall.SIGTERM)
	var copied []struct {
		Table string `json:"table"`
		Rows  int64  `json:"rows"`
	}
	c.verb(&copied, "copy-store", "--to", database, "--json")
	t.Logf("copied %+v", copied)

	// 3. The same program on the cluster and PostgreSQL.
	text := strings.Replace(string(old), "[county]\n", fmt.Sprintf("[county]\nstore = %q\n", database), 1)
	write(t, config, text+fmt.Sprintf("urls = [%s]\n", k.urls()))
	c.serve()
	push(c.dir)
	every("all have forgotten the old broker", func(p *pole) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.member.Servers) == 3
	})

	// 4. A second replica: the same keys, clips and database.
	second := &county{t: t, dir: t.TempDir(), http: "127.0.0.1:" + freePort(t)}
	for _, name := range []string{"keys", "clips", "tls"} {
		copyAll(t, filepath.Join(c.dir, "data", name), filepath.Join(second.dir, "data", name))
	}
	write(t, filepath.Join(second.dir, "county.toml"), strings.Replace(text, fmt.Sprintf("listen = %q", c.http), fmt.Sprintf("listen = %q", second.http), 1)+
		fmt.Sprintf("urls = [%s]\n", k.urls()))
	second.serve()
	push(second.dir)

	// A broker dies, then the first replica; the rest carries on.
	k.servers[1].end(syscall.SIGKILL)
	push(c.dir)
	k.start(1)
	alert := centre.ByHand{Title: "大风", Text: "请留在屋里。", Level: emergency.Orange, Scopes: []playlist.Scope{countyScope}}
	var orphan, v centre.Verdict
	if err := post(c.dir, "/api/alerts", alert, &orphan); err != nil {
		t.Fatal(err)
	}
	c.end(syscall.SIGKILL)
	push(second.dir)
	if err := post(second.dir, "/api/alerts", alert, &v); err != nil {
		t.Fatal(err)
	}
	has := func(id playlist.AlertID) func(*pole) bool {
		return func(p *pole) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.alerts[id]
		}
	}
	every("all have the alert", has(v.ID))
	every("all have that of the one that died", has(orphan.ID))
	if err := post(second.dir, "/api/cancel?id="+string(orphan.ID), nil, new(centre.Verdict)); err != nil {
		t.Fatal(err)
	}
	every("none has it any more, when it was cancelled", func(p *pole) bool { return !has(orphan.ID)(p) && has(v.ID)(p) })
	c.serve()

	// All rows that the controllers made are there, once.
	quiet()
	every("all receipts are in", func(p *pole) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.mark == p.made
	})
	made := map[string]int64{}
	sum := int64(0)
	for _, p := range all {
		made[string(p.id)] = p.made
		sum += p.made
	}
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), `SELECT e.controller, e.mark, e.lost, count(*), count(DISTINCT r.seq) FROM epoch e JOIN receipt r ON r.epoch = e.id
		WHERE r.superseded = 0 GROUP BY e.id, e.controller, e.mark, e.lost`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		var mark, lost, n, different int64
		if err := rows.Scan(&id, &mark, &lost, &n, &different); err != nil {
			t.Fatal(err)
		}
		if mark != made[id] || lost != 0 || n != mark || different != mark {
			t.Errorf("%s made %d receipts; the county has %d, %d of them different, mark %d, lost %d", id, made[id], n, different, mark, lost)
		}
		delete(made, id)
	}
	if err := rows.Err(); err != nil || len(made) > 0 {
		t.Errorf("nothing of %v: %v", made, err)
	}
	var got total
	c.verb(&got, "reach", "--by", "area", "--from", "2026-11-25", "--to", "2026-11-27", "--json")
	if got.Total.Completed != int(sum) || got.Total.PersonAirings != 100*sum {
		t.Errorf("%d airings made, the county adds up %+v", sum, got.Total)
	}
	if n := ended.Load(); n > 0 {
		t.Errorf("%d controllers ended", n)
	}
	t.Logf("%d receipts of %d controllers", sum, len(all))
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
