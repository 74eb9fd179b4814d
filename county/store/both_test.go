package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"dalaba/county/store"
)

var shanghai = time.FixedZone("CST", 8*3600)

// onBoth runs a test on a fresh store of each kind.
func onBoth(t *testing.T, f func(t *testing.T, s *store.Store)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) { f(t, open(t, options(t, kind))) })
	}
}

func options(t testing.TB, kind string) store.Options {
	t.Helper()
	o := store.Options{Dir: t.TempDir(), Zone: shanghai, Log: slog.New(slog.DiscardHandler)}
	if kind == "postgres" {
		o.URL = newDatabase(t)
	}
	return o
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// postgres is a server of ours, on a Unix socket in a folder of its own.
var postgres struct {
	once sync.Once
	dir  string
	cmd  *exec.Cmd
	err  error // why it does not run
	made atomic.Int64
}

// errNone says that no PostgreSQL is installed to test with.
var errNone = errors.New("/usr/lib/postgresql holds none")

// patience is how long the server may take to come up: long enough for a
// machine that does much else.
const patience = 5 * time.Minute

func TestMain(m *testing.M) {
	store.CheapPasswords()
	code := m.Run()
	if c := postgres.cmd; c != nil {
		_ = c.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = c.Wait()
	}
	if postgres.dir != "" {
		_ = os.RemoveAll(postgres.dir)
	}
	os.Exit(code)
}

func newDatabase(t testing.TB) string {
	t.Helper()
	postgres.once.Do(func() { postgres.err = startPostgres() })
	switch {
	case errors.Is(postgres.err, errNone):
		t.Skip("no PostgreSQL to test with: ", postgres.err)
	case postgres.err != nil:
		t.Fatal("PostgreSQL does not start: ", postgres.err)
	}
	name := fmt.Sprintf("county%d", postgres.made.Add(1))
	db, err := sql.Open("pgx", postgresURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE "+name)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return postgresURL(name)
}

func postgresURL(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=postgres", database, postgres.dir)
}

// startPostgres starts a server as another user if we are root, for it refuses
// to be root's.
func startPostgres() error {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return errNone
	}
	slices.Sort(found)
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return err
	}
	postgres.dir = dir
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return err
			}
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	program := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr, c.Env = dir, attr, append(os.Environ(), "LC_ALL=C.UTF-8")
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := program("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// The tests prove what is kept over a restart of the store, not of the
	// machine: fsync would only cost time.
	c := program("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	postgres.cmd = c
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open("pgx", postgresURL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		if err = db.PingContext(ctx); err == nil || ctx.Err() != nil {
			tick.Stop()
			break
		}
	}
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("no answer in %v: %w; it says:\n%s", patience, err, said)
	}
	return nil
}
