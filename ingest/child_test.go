package ingest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dalaba/ingest"
)

// telling makes a program that writes its own nice value to a file, before it
// does anything else, and then runs the program of that name.
func telling(t *testing.T, name, file string) string {
	t.Helper()
	real, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	text := fmt.Sprintf("#!/bin/sh\necho %s $(cut -d ' ' -f 19 /proc/$$/stat) >>'%s'\nexec '%s' \"$@\"\n", name, file, real)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// niceOf returns the nice value in a stat file of /proc.
func niceOf(stat string) (int, error) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return strconv.Atoi(fields[16])
}

func TestChildrenHaveLowerPriorityThanThePlayerAndImportsTheLowest(t *testing.T) {
	ours, err := niceOf("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		of   func(*ingest.Ingester) *ingest.Ingester
		more int
	}{
		{"an import", func(g *ingest.Ingester) *ingest.Ingester { return g }, 10},
		{"an alert", (*ingest.Ingester).Urgent, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "nice")
			g := importer(t)
			g.FFmpeg, g.FFprobe = telling(t, "ffmpeg", file), telling(t, "ffprobe", file)
			g.Speech.Command = []string{telling(t, "espeak-ng", file), "-v", "cmn-latn-pinyin", "--stdin", "--stdout"}
			res, err := c.of(g).Text(t.Context(), "请立即撤离。", ingest.Meta{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(res.Path); err != nil {
				t.Error(err)
			}
			want := strconv.Itoa(min(max(ours, 0)+c.more, 19))
			ran := map[string]bool{}
			for line := range strings.Lines(string(read(t, file))) {
				program, nice, _ := strings.Cut(strings.TrimSpace(line), " ")
				ran[program] = true
				if nice != want {
					t.Errorf("%s runs at nice %s, want %s; this program runs at %d", program, nice, want, ours)
				}
			}
			if len(ran) != 3 {
				t.Errorf("of ffmpeg, ffprobe and espeak-ng only %v ran", ran)
			}
		})
	}
	// The threads that took on a child's priority have ended.
	var slow []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		stats, err := filepath.Glob("/proc/self/task/*/stat")
		if err != nil {
			t.Fatal(err)
		}
		slow = slices.DeleteFunc(stats, func(stat string) bool {
			nice, err := niceOf(stat)
			return err != nil || nice == ours // an error: it has ended
		})
		if len(slow) == 0 {
			return
		}
	}
	t.Errorf("threads of this program that are not at nice %d after a minute: %v", ours, slow)
}
