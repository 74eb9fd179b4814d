package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist/say"
)

func noteFailure(t *testing.T, file, dir, why string, at time.Time) {
	t.Helper()
	f := data.FailedStart{Kind: why, Why: map[say.Lang]string{say.English: why}, Last: at, Boot: "b"}
	if err := data.NoteFailedStart(file, dir, f); err != nil {
		t.Fatal(err)
	}
}

// failures is a config file whose failures in memory go with the test.
func failures(t *testing.T, dir string) (file string) {
	file = filepath.Join(t.TempDir(), "dalaba.toml")
	t.Cleanup(func() { _, _ = data.ForgetFailedStarts(file, dir) })
	return file
}

// A start that fails every two seconds for a day is one failure with its count, and
// the disk is hardly written.
func TestStartsThatFailAlikeAreCountedAndDoNotWearTheDisk(t *testing.T) {
	dir := t.TempDir()
	file := failures(t, dir)
	begun := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	inDir := func() string {
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, e := range all {
			fi, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprint(e.Name(), fi.ModTime(), fi.Size())
		}
		return text
	}
	noteFailure(t, file, dir, "no card", begun)
	first := inDir()
	if first == "" {
		t.Fatal("nothing was kept in the data folder: a power cut loses it")
	}
	const times = 500
	for i := 1; i < times; i++ {
		noteFailure(t, file, dir, "no card", begun.Add(time.Duration(i)*2*time.Second))
	}
	if now := inDir(); now != first {
		t.Errorf("the data folder was written again: %s, then %s", first, now)
	}
	all := data.FailedStarts(file, dir)
	last := begun.Add((times - 1) * 2 * time.Second)
	if len(all) != 1 || all[0].Times != times || !all[0].First.Equal(begun) || !all[0].Last.Equal(last) {
		t.Errorf("%+v", all)
	}
}

// Two reasons that take turns stay two, with their counts, and neither grows without
// end.
func TestEachReasonOfAFailedStartIsKept(t *testing.T) {
	dir := t.TempDir()
	file := failures(t, dir)
	at := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	for i := range 20 {
		noteFailure(t, file, dir, fmt.Sprint("reason ", i%2), at.Add(time.Duration(i)*time.Second))
	}
	all := data.FailedStarts(file, dir)
	if len(all) != 2 || all[0].Times != 10 || all[1].Times != 10 || all[1].Kind != "reason 1" {
		t.Fatalf("%+v", all)
	}
	for i := range 50 {
		noteFailure(t, file, dir, fmt.Sprint("other ", i, strings.Repeat("长", 10000)), at.Add(time.Duration(i)*time.Minute))
	}
	all = data.FailedStarts(file, dir)
	if len(all) == 0 || len(all) > 8 || len(all[len(all)-1].Why[say.English]) > 5000 {
		t.Errorf("%d failures, the last of %d bytes", len(all), len(all[len(all)-1].Why[say.English]))
	}
}

// Without a data folder, or with one that cannot be made, the reason is found all
// the same; a start that succeeds takes it over, once.
func TestAFailedStartIsKeptWithoutADataFolder(t *testing.T) {
	at := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "none", "data")} {
		file := failures(t, dir)
		noteFailure(t, file, dir, "why", at)
		noteFailure(t, file, dir, "why", at.Add(time.Second))
		all := data.FailedStarts(file, dir)
		if len(all) != 1 || all[0].Times != 2 || all[0].Why[say.English] != "why" {
			t.Errorf("%q: %+v", dir, all)
		}
		taken, err := data.ForgetFailedStarts(file, dir)
		if err != nil || len(taken) != 1 || taken[0].Times != 2 {
			t.Errorf("%q: %+v, %v", dir, taken, err)
		}
		if all := data.FailedStarts(file, dir); len(all) != 0 {
			t.Errorf("%q: %+v", dir, all)
		}
	}
}

// What another user lays down in memory is said to be that user's.
func TestAFailedStartOfAnotherUserIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	file := failures(t, "")
	noteFailure(t, file, "", "forged", time.Now())
	path := data.Aside(file) + ".failed-"
	if err := os.Rename(path+"0", path+"65534"); err != nil {
		t.Fatal(err)
	}
	if all := data.FailedStarts(file, ""); len(all) != 0 {
		t.Errorf("a file under another user's number counts: %+v", all)
	}
	if err := os.Chown(path+"65534", 65534, -1); err != nil {
		t.Fatal(err)
	}
	if all := data.FailedStarts(file, ""); len(all) != 1 || all[0].User == "" {
		t.Errorf("%+v", all)
	}
}
