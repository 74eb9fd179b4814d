package control

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASocketPathThatIsTooLongIsRefused(t *testing.T) {
	_, err := listenAt(filepath.Join(t.TempDir(), strings.Repeat("long", 30), socketName), access{})
	if err == nil || !strings.Contains(err.Error(), "shorter path") {
		t.Errorf("listen: %v", err)
	}
}

func TestAStaleSocketIsReplacedAndOnlyItsOwnerMayUseItIfThereIsNoGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), socketName)
	for range 2 { // the first is left behind, as by a power cut
		ln, err := listenAt(path, access{owner: uint32(os.Geteuid()), group: -1})
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", fi, err)
		}
		go func() {
			if c, err := ln.Accept(); err == nil {
				c.Close()
			}
		}()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		ln.Close()
	}
}
