package control

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalaba/playlist/say"
)

// strangerDir names, in the environment, the data folder whose daemon this test
// program, run again as another user, is to ask.
const strangerDir = "DALABA_TEST_STRANGER"

func TestMain(m *testing.M) {
	dir := os.Getenv(strangerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	_, err := Ask(context.Background(), dir, say.English)
	fmt.Println(err)
}

func TestOnlyRootTheOwnerAndTheGroupMayAsk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	// A folder that a stranger can enter, with the program in it.
	top, err := os.MkdirTemp("", "dalaba-peer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	dir, program := filepath.Join(top, "data"), filepath.Join(top, "test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(top, 0o755), os.Mkdir(dir, 0o700), os.WriteFile(program, text, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(top, "run"))
	serve(t, dir)
	const stranger, owner = 65534, 4321
	asks := func(uid, gid uint32) string {
		t.Helper()
		c := exec.Command(program)
		c.Env = append(os.Environ(), strangerDir+"="+dir)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: false}}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := asks(0, 0); got != "<nil>" {
		t.Errorf("root: %s", got)
	}
	if got := asks(stranger, stranger); !strings.Contains(got, "sudo, or join the group dalaba") {
		t.Errorf("a stranger: %s", got)
	}
	// The mode alone is not believed.
	if err := os.Chmod(filepath.Join(top, "run", socketName), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := asks(stranger, stranger); !strings.Contains(got, "sudo, or join the group dalaba") {
		t.Errorf("a stranger who can open the socket: %s", got)
	}
	a := access{owner: owner, group: 987}
	for _, c := range []struct {
		name     string
		uid, gid uint32
		may      bool
	}{
		{"root", 0, 0, true}, {"the owner", owner, 1, true}, {"of the group", 1, 987, true}, {"a stranger", stranger, 1, false},
	} {
		if got := a.may(c.uid, c.gid); got != c.may {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
