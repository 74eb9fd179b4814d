package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// lastRelease builds the programs of the latest release in RELEASES from the
// history, and returns their folder.
func lastRelease(t *testing.T) string {
	t.Helper()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "RELEASES"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	version, commit, ok := strings.Cut(lines[len(lines)-1], " ")
	if !ok {
		t.Fatalf("RELEASES ends in %q, want a version and a commit", lines[len(lines)-1])
	}
	if err := exec.Command("git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("this clone is shallow: it has no commit %s of release %s", commit, version)
	}
	dir := folder(t)
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		fmt.Sprintf("git archive %s | tar -x -C %q", commit, source),
		fmt.Sprintf("cd %q && go build -o %q ./cmd/dalaba ./cmd/dalaba-county", source, dir+"/"),
	} {
		c := exec.Command("bash", "-o", "pipefail", "-c", command)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	return dir
}

// Villages run old programs for years, and a county may have to go back to its
// last one: either opens and runs the store that the other has left, and they
// understand each other, whichever of them is on which side.
func TestTodaysProgramsAndThoseOneVersionBackGetOn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a release, and airs for a minute")
	}
	t.Parallel()
	before := lastRelease(t)
	const today = ""
	for _, c := range []struct {
		name         string
		county, pole string
	}{
		{"an old pole at today's county", today, before},
		{"today's pole at an old county", before, today},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			county := newCountyOf(t, c.county, "")
			v := county.villageOf(c.pole, "320924100201", 100)
			v.run()
			file := pushFile(t, county.dir, "lessons", "*/5 * * * * *", "clip1.mp3")
			county.verb(nil, "push", file, "--area", "320924000000", "--yes", "--wait", "5m")
			works := func(title string) {
				t.Helper()
				was := heardOf(v)
				waitAll(t, "two more lessons have aired", []*village{v}, (*village).log, func(v *village) bool { return heardOf(v) >= was+2 })
				county.verb(nil, "alert", "--level", "2", "--area", "320924000000", "--title", title, "--text", "请留在屋里。", "--yes")
				waitAll(t, "the alert was heard", []*village{v}, (*village).log, func(v *village) bool {
					for _, a := range v.alerts() {
						if a.Headline() == title && a.State == emergency.StateDone {
							return true
						}
					}
					return false
				})
				var got total
				was = heardOf(v)
				wait(t, "the county knows of what was heard", func() bool {
					county.verb(&got, "reach", "--by", "area", "--json")
					return got.Total.Completed >= was
				}, func() string { return fmt.Sprintf("%+v, want %d completed", got.Total, was) })
			}
			works("第一次")
			for _, change := range []struct {
				name         string
				county, pole string
			}{
				{"the pole's program is exchanged", c.county, c.county},
				{"the county's too", c.pole, c.county},
				{"both are as they were", c.county, c.pole},
			} {
				v.end(syscall.SIGTERM)
				if county.release != change.county {
					county.end(syscall.SIGTERM)
					county.release = change.county
					county.serve()
				}
				v.release = change.pole
				v.run()
				works(change.name)
			}
		})
	}
}

// heardOf is how many lessons a village has heard whole.
func heardOf(v *village) (n int) {
	for _, r := range v.rows() {
		if r.Alert == "" && r.Outcome == playlist.Complete {
			n++
		}
	}
	return n
}
