package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dalaba-county": main, "hook": hook})
}

// hook is a receiver of notices: "hook ADDRESS-FILE BODY-FILE". It writes the address with
// a key into one file, for its owner alone, and what it is sent into the other.
func hook() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte("http://"+l.Addr().String()+"/send?key=SECRETKEY\n"), 0o600)
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = io.Copy(f, r.Body)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})))
}

// TestScripts runs the program as its users do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	clips, err := filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor},
		Condition: func(cond string) (bool, error) { // [root], whether the test runs as root
			if cond != "root" {
				return false, fmt.Errorf("no condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLIPS", clips)
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("PATH", os.Getenv("PATH"))
			return nil
		},
	})
}

// patience is how long a command may take to succeed: long enough for a machine
// that does much else.
const patience = 3 * time.Minute

// waitFor waits until a command succeeds: "waitfor COMMAND ARGS...".
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: waitfor COMMAND ARGS...")
	}
	var out []byte
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		path, lerr := exec.LookPath(args[0])
		if p := ts.Getenv("PATH"); lerr != nil || p != "" {
			for _, dir := range filepath.SplitList(p) {
				if _, serr := os.Stat(filepath.Join(dir, args[0])); serr == nil {
					path = filepath.Join(dir, args[0])
					break
				}
			}
		}
		c := exec.Command(path, args[1:]...)
		c.Dir, c.Env = ts.Getenv("WORK"), append(os.Environ(), "LANG=C.UTF-8")
		if out, err = c.CombinedOutput(); err == nil {
			return
		}
	}
	ts.Fatalf("%v did not succeed within %v; the last time: %v\n%s", args, patience, err, out)
}
