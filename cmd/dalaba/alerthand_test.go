package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalaba/data"
)

// At a terminal an alert by hand is shown and asked about; only a yes has it
// sounded.
func TestAnAlertByHandSoundsOnlyOnceItIsConfirmed(t *testing.T) {
	for answer, rows := range map[string]int{"\n": 0, "n\n": 0, "y\n": 2, "是\n": 2} {
		t.Run(fmt.Sprintf("%q", answer), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			config := `[site]
name = "小李村"
area = "320924100201"
data_dir = "data"
clock = "battery"

[[output]]
name = "east"
device = "wav:east.wav"
residents = 100

[alert]
tone_min = "1s"
passes = 1
`
			if err := os.WriteFile(filepath.Join(dir, "dalaba.toml"), []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
			person, screen := terminal(t)
			verb := exec.Command("dalaba", "alert", "--text", "请往高处走。", "--lang", "zh-CN")
			verb.Dir, verb.Stdin, verb.Stdout, verb.Stderr = dir, screen, screen, screen
			verb.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+filepath.Join(dir, "run"), "NO_COLOR=1")
			verb.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := verb.Start(); err != nil {
				t.Fatal(err)
			}
			_ = screen.Close()
			seen, buf := "", make([]byte, 4096)
			for asked := false; ; { // until the terminal's last user is gone
				n, err := person.Read(buf)
				seen += string(buf[:n])
				if err != nil {
					break
				}
				if !asked && strings.Contains(seen, "[y/N]") {
					asked = true
					if _, err := io.WriteString(person, answer); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := verb.Wait()
			for _, want := range []string{"请往高处走。", "应急 · 红色（1级）", "本站现场发出", "1 遍，提示音 1 秒、内容", "会在这些输出抢播：east", "没有终端在运行"} {
				if !strings.Contains(seen, want) {
					t.Errorf("%q is not shown:\n%s", want, seen)
				}
			}
			if rows == 0 {
				if verb.ProcessState.ExitCode() != 2 || !strings.Contains(seen, "什么也没有做") {
					t.Errorf("%v:\n%s", err, seen)
				}
				if _, err := os.Stat(filepath.Join(dir, "east.wav")); err == nil {
					t.Error("the output was opened")
				}
				return
			}
			if err != nil {
				t.Fatalf("%v:\n%s", err, seen)
			}
			store, err := data.OpenReadOnly(context.Background(), filepath.Join(dir, "data"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			if n := complete(t, store); n != rows {
				t.Errorf("%d complete rows, want %d", n, rows)
			}
		})
	}
}
