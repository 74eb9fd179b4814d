package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/tools/attack"
	"dalaba/web"
)

// What strangers may cost a county, whatever they do. Most are more than twice what was
// measured.
const (
	mostMemory = 640 << 20 // the broker is in the same process
	mostStored = 24 << 20  // database, while it is kept
	mostLogged = 64 << 10  // bytes of the log for all attacks together
	mostFiles  = 64        // descriptors after the attacks, more than before
)

// client makes HTTP requests to the county from an address of this machine.
func (c *county) client(from string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: d.DialContext, DisableKeepAlives: true,
	}}
}

// login tries a password once, as the county's pages do.
func (c *county) login(from, password string) int {
	resp, err := c.client(from).Post("https://"+c.http+"/api/login", "application/json", strings.NewReader(fmt.Sprintf(`{"name":"admin","password":%q}`, password)))
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// setPassword makes an administrator, through the operator's socket.
func (c *county) setPassword(password string) {
	c.t.Helper()
	socket := web.OverSocket(filepath.Join(c.dir, "data", "county.sock"))
	resp, err := socket.Post("http://county/api/admin", "application/json", strings.NewReader(fmt.Sprintf(`{"name":"admin","password":%q}`, password)))
	if err != nil {
		c.t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		c.t.Fatal(resp.Status)
	}
}

// admits reports whether the broker lets a client in that connects now.
func (c *county) admits(ca string, creds []byte) bool {
	in := make(chan struct{})
	nc, err := link.Dial("attacked", []string{"tls://" + c.nats}, ca, creds, nats.ConnectHandler(func(*nats.Conn) { close(in) }))
	if err != nil {
		return false
	}
	defer nc.Close()
	select {
	case <-in:
		return nc.FlushTimeout(patience) == nil
	case <-time.After(patience):
		return false
	}
}

// hears posts a package from an address, and reports whether it was received.
func (c *county) hears(from string, p alert.Package) bool {
	resp, err := c.client(from).Post("https://"+c.http+"/ebd", "application/x-tar", bytes.NewReader(p.Tar))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	m, err := alert.Parse(context.Background(), raw, alert.Options{})
	return err == nil && m.Result.Code == alert.ResultReceived
}

// number reads a number of the county's process, as /proc/PID/status names it.
func (c *county) number(name string) (n int) {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		c.t.Fatal(name, err)
	}
	return n
}

// files counts the descriptors of the county's process.
func (c *county) files() int {
	c.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	return len(all)
}

// size is that of files in the county's folder together, in bytes.
func (c *county) size(names ...string) (n int64) {
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(c.dir, name)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// TestACountyUnderAttackGoesOn has strangers do what they like to a county, one thing
// after the other, and meanwhile does what has to work: its operator asks for its state
// and has an alert sounded, a program logs in to the broker, a sender that it trusts and
// an administrator are heard.
func TestACountyUnderAttackGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute")
	}
	p, config := newProvince(t)
	c := newCountyOf(t, os.Getenv("DALABA_ATTACKED"), config) // the folder of another program, to see what it withstands
	c.end(syscall.SIGTERM)
	// As few descriptors as a service may have to do with.
	c.program = start(t, c.dir, "/bin/sh", "-c", `ulimit -n 450; exec "$@"`, "sh", pathOf(c.path()), "-c", "county.toml", "serve")
	wait(t, "the county serves", func() bool {
		_, err := try(c.dir, c.path(), "-c", "county.toml", "status", "--json")
		return err == nil
	})
	v := c.village("320924100201", 100)
	v.run()
	const password = "correct horse battery"
	c.setPassword(password)
	if code := c.login("127.0.0.99", password); code != http.StatusOK {
		t.Fatalf("login: %d", code)
	}
	authority, err := link.ReadAuthority(filepath.Join(c.dir, "data", "keys", "broker.json"))
	if err != nil {
		t.Fatal(err)
	}
	creds, err := authority.Creds(link.UserEdge)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(c.dir, "data", "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	message := func() alert.Package {
		p.counter++
		head := alert.EBD{Version: "1.0", ID: alert.EBDID(ebrid, uint64(p.counter)), From: ebrid, To: "320924000000000001", Time: time.Now()}
		pack, err := alerttest.Request(head, p.message("", "320924999000"), alert.Sign{By: p.signer, Counter: p.counter})
		if err != nil {
			t.Fatal(err)
		}
		return pack
	}
	const sender = "127.0.0.77"
	if !c.hears(sender, message()) {
		t.Fatal("the province is not heard")
	}
	var fleet []member
	wait(t, "the village is there", func() bool {
		c.verb(&fleet, "fleet", "--json")
		return len(fleet) == 1 && fleet[0].Online
	})
	files, logged := c.files(), c.size("log.txt")
	peak := 0
	for _, k := range append(slices.Clone(attack.Kinds), attack.All) {
		ctx, stop := context.WithCancel(t.Context())
		made := make(chan int64)
		go func() { made <- k.Run(ctx, c.http) }()
		began := time.Now()
		var took []string
		step := func(what string, is func() bool) {
			since := time.Now()
			wait(t, what+" while "+k.Name, is)
			took = append(took, fmt.Sprintf("%s after %v", what, time.Since(since).Round(time.Millisecond)))
		}
		step("the operator sees the state", func() bool {
			_, err := try(c.dir, c.path(), "-c", "county.toml", "status", "--json")
			return err == nil
		})
		step("the broker lets a program in", func() bool { return c.admits(string(ca), creds) })
		var v0 struct {
			ID playlist.AlertID `json:"id"`
		}
		step("the operator's alert is accepted", func() bool {
			out, err := try(c.dir, c.path(), "-c", "county.toml", "alert", "--level", "1", "--title", "转移", "--text", "请转移", "--area", string(v.area), "--yes", "--json")
			return err == nil && json.Unmarshal(out, &v0) == nil
		})
		step("it sounds", func() bool {
			return slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return r.Alert == v0.ID && !r.Started.IsZero() })
		})
		m := message()
		step("the province is heard", func() bool { return c.hears(sender, m) })
		step("the administrator logs in", func() bool { return c.login("127.0.0.99", password) == http.StatusOK })
		time.Sleep(time.Until(began.Add(2 * time.Second)))
		during := c.files()
		stop()
		n := <-made
		step("the alert is cancelled", func() bool {
			_, err := try(c.dir, c.path(), "-c", "county.toml", "alert", "cancel", string(v0.ID), "--yes")
			return err == nil
		})
		// On a busy machine it may have sounded to its end by then.
		wait(t, "the alert is over in the village", func() bool { return v.state(v0.ID).Over() }, v.log)
		peak = max(peak, c.number("VmHWM"))
		t.Logf("%s: %d in %v; memory %d MiB now, at most %d MiB; %d descriptors; log %d KiB, database %d KiB\n\t%s", k.Name, n, time.Since(began).Round(time.Millisecond),
			c.number("VmRSS")>>10, c.number("VmHWM")>>10, during, c.size("log.txt")>>10, c.size("data/county.db", "data/county.db-wal")>>10, strings.Join(took, "; "))
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.cmd.Process.Pid), []byte("5"), 0)
	}
	if peak<<10 > mostMemory {
		t.Errorf("the county took %d MiB, more than %d", peak>>10, mostMemory>>20)
	}
	if n := c.size("log.txt") - logged; n > mostLogged {
		t.Errorf("%d KiB of log, more than %d", n>>10, mostLogged>>10)
	}
	if n := c.size("data/county.db", "data/county.db-wal"); n > mostStored {
		t.Errorf("%d MiB in the database, more than %d", n>>20, mostStored>>20)
	}
	wait(t, "its descriptors are free again", func() bool { return c.files() <= files+mostFiles }, func() string { return fmt.Sprint(c.files()) })
	// Who knows the county by its broker alone comes back too.
	v.end(syscall.SIGTERM)
	v.run()
	var last struct {
		ID playlist.AlertID `json:"id"`
	}
	c.verb(&last, "alert", "--level", "1", "--title", "转移", "--text", "请转移", "--area", string(v.area), "--yes", "--json")
	wait(t, "the village sounds an alert", func() bool {
		return slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return r.Alert == last.ID && !r.Started.IsZero() })
	}, v.log)
	v.end(syscall.SIGTERM)

}
