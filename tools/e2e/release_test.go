package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"dalaba/data/sqlite"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

var root = filepath.Join("..", "..")

// lastRelease returns the commit of the latest release in RELEASES. It skips
// the test if the clone does not have that commit.
func lastRelease(t *testing.T) (commit string) {
	t.Helper()
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
		t.Skipf("this clone is shallow: it lacks commit %s of release %s", commit, version)
	}
	return commit
}

// shell runs a command at the root of the tree.
func shell(t *testing.T, format string, args ...any) string {
	t.Helper()
	command := fmt.Sprintf(format, args...)
	c := exec.Command("bash", "-o", "pipefail", "-c", command)
	c.Dir = root
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// buildRelease builds the programs of a commit, and returns their folder.
func buildRelease(t *testing.T, commit string) string {
	t.Helper()
	dir := folder(t)
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	shell(t, "git archive %s | tar -x -C %q", commit, source)
	shell(t, "cd %q && go build -o %q ./cmd/dalaba ./cmd/dalaba-county", source, dir+"/")
	return dir
}

// A released migration is never edited, and later ones only add: otherwise the
// program one version back could not be installed again.
func TestMigrationsSinceTheLastReleaseOnlyAdd(t *testing.T) {
	commit := lastRelease(t)
	for _, dir := range []string{"data/migrations/controller", "county/store/migrations/sqlite", "county/store/migrations/postgres"} {
		released := map[string]bool{}
		for _, name := range strings.Fields(shell(t, "git ls-tree --name-only %s %s/", commit, dir)) {
			released[path.Base(name)] = true
			if now := shell(t, "cat %s", name); now != shell(t, "git show %s:%s", commit, name) {
				t.Errorf("%s was edited after its release", name)
			}
		}
		all, err := sqlite.Migrations(os.DirFS(filepath.Join(root, dir)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if released[m.Name] {
				continue
			}
			if why := doesMore(m); why != "" {
				t.Errorf("%s/%s: %s", dir, m.Name, why)
			}
		}
	}
	for text, ok := range map[string]bool{
		"-- why\nCREATE TABLE a (b TEXT) STRICT;\nALTER TABLE a ADD COLUMN c TEXT;\nCREATE INDEX d ON a (b);\n": true,
		"ALTER TABLE a DROP COLUMN c;\n": false, "UPDATE a SET b = c;\n": false, "DROP TABLE a;\n": false,
	} {
		if why := doesMore(sqlite.Migration{Name: "0001_a.adds.sql", Text: text, Adds: true}); (why == "") != ok {
			t.Errorf("%q: %q", text, why)
		}
	}
}

var comment = regexp.MustCompile(`--[^\n]*`)

// doesMore returns what a migration does besides adding; empty if nothing.
func doesMore(m sqlite.Migration) string {
	if !m.Adds {
		return "its name does not end in .adds.sql"
	}
	for statement := range strings.SplitSeq(comment.ReplaceAllString(m.Text, ""), ";") {
		words := strings.Fields(strings.ToUpper(statement))
		start := strings.Join(words[:min(len(words), 2)], " ")
		switch {
		case len(words) == 0, start == "CREATE TABLE", start == "CREATE INDEX":
		case start == "ALTER TABLE" && len(words) > 3 && words[3] == "ADD":
		default:
			return strings.Join(words, " ") + " does more than add"
		}
	}
	return ""
}

// Villages run old programs for years, and a county may have to go back to its
// last version: each opens and runs the store that the other has left, and they
// understand each other, whichever of them is on which side.
func TestTodaysProgramsWorkWithThoseOneVersionBack(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a release, and airs for a minute")
	}
	t.Parallel()
	before := buildRelease(t, lastRelease(t))
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
			county.verb(nil, "push", file, "--area", "320924000000", "--yes")
			works := func(title string) {
				t.Helper()
				was := heardOf(v)
				waitAll(t, "two more lessons have aired", []*village{v}, (*village).log, func(v *village) bool { return heardOf(v) >= was+2 })
				// Today's verbs ask a daemon of today; an old one is to be restarted.
				_, err := try(v.dir, "dalaba", "tone", "--seconds", "0.2")
				if old := v.release != today; old && (err == nil || !strings.Contains(err.Error(), "restart it")) || !old && err != nil {
					t.Errorf("a verb of today while the pole runs %q: %v", v.release, err)
				}
				county.verb(nil, "alert", "--level", "2", "--area", "320924000000", "--title", title, "--text", "请留在屋里。", "--yes")
				waitAll(t, "the alert was heard", []*village{v}, (*village).log, func(v *village) bool {
					for _, a := range v.alerts() {
						if a.Headline() == title && a.State == emergency.StateDone {
							return true
						}
					}
					return false
				})
				var fleet []struct{ Health link.Health }
				names := v.release == today && county.release == today // else one of them does not know of the list
				wait(t, "the county knows what the pole understands", func() bool {
					fleet = nil
					county.verb(&fleet, "fleet", "--json")
					return (fleet[0].Health.Understands != nil) == names
				}, func() string { return fmt.Sprintf("%+v, want a list of features: %v", fleet, names) })
				var got total
				was = heardOf(v)
				wait(t, "the county knows of what was heard", func() bool {
					county.verb(&got, "reach", "--by", "area", "--json")
					return got.Total.Completed >= was
				}, func() string { return fmt.Sprintf("%+v, want %d completed", got.Total, was) })
			}
			works("第一次")
			if c.county == today { // it does not know whether an old pole airs by the push, and says so
				_, err := try(county.dir, county.path(), "-c", "county.toml", "push", file, "--area", "320924000000", "--yes", "--wait", "5m")
				if err == nil || !strings.Contains(err.Error(), "unknown") {
					t.Errorf("a push to an old pole, waited for: %v", err)
				}
			}
			for _, change := range []struct {
				name         string
				county, pole string
			}{
				{"the pole's program is replaced", c.county, c.county},
				{"the county's program is replaced too", c.pole, c.county},
				{"both have their first program again", c.county, c.pole},
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

// heardOf returns how many lessons a village has heard whole.
func heardOf(v *village) (n int) {
	for _, r := range v.rows() {
		if r.Alert == "" && r.Outcome == asrun.Complete {
			n++
		}
	}
	return n
}

const aloneConfig = `
[site]
name = "小李村"
area = "320924100201"
data_dir = "data"
clock = "battery"
[[output]]
name = "east"
device = "wav:out.wav"
residents = 100
[alert]
tone_min = "1s"
tone_max = "5s"
passes = 100
gap = "1s"
`

// cap12 is a CAP message by hand: of an identifier, a sender, a time, a type and
// references. It names no end.
const cap12 = `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>%[1]s</identifier><sender>%[2]s</sender><sent>%[3]s</sent><status>Actual</status><msgType>%[4]s</msgType><scope>Public</scope>%[5]s
  <info><language>zh-CN</language><category>Met</category><event>洪水</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
    <headline>%[1]s</headline><description>请转移。</description><area><areaDesc>小李村</areaDesc><geocode><valueName>行政区划</valueName><value>320924100201</value></geocode></area>
  </info>
</alert>`

// What an earlier program has put in force goes on sounding after an upgrade, with
// the life that it had then, and what that program retired stays retired; and
// the same when the earlier program is installed again.
func TestAlertsInForceOutliveAnUpgradeAndItsReturn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a release, and airs for half a minute")
	}
	t.Parallel()
	before := buildRelease(t, lastRelease(t))
	v := &village{t: t, dir: folder(t), release: before}
	write(t, filepath.Join(v.dir, "dalaba.toml"), aloneConfig)
	const long = "2021-11-23T07:30:00-00:00" // an earlier program had an alert live from when it came
	sent := long
	hand := func(id, sender, kind, refs string) emergency.State {
		t.Helper()
		if refs != "" {
			refs = "<references>" + refs + "," + sent + "</references>"
		}
		file := filepath.Join(v.dir, id+".xml")
		text := fmt.Sprintf(cap12, id, sender, sent, kind, refs)
		if id == "X" { // which is to wait for A
			text = strings.Replace(text, "Extreme", "Minor", 1)
		}
		write(t, file, text)
		out, err := try(v.dir, v.path(), "alert", "--json", file)
		var got struct{ State emergency.State }
		if jerr := json.Unmarshal(out, &got); jerr != nil {
			t.Fatalf("%s: %v (%v): %s", id, jerr, err, out)
		}
		return got.State
	}
	find := func(id string) (r emergency.Record) {
		t.Helper()
		for _, r = range v.alerts() {
			if r.Identifier == id {
				return r
			}
		}
		t.Fatalf("no alert %s", id)
		return r
	}
	passes := func() (n int) {
		for _, r := range v.rows() {
			if r.Alert == find("A").ID && r.Used != asrun.UsedTone && r.Outcome == asrun.Complete {
				n++
			}
		}
		return n
	}
	soundsOn := func(program string) {
		t.Helper()
		was := passes()
		wait(t, program+": two more passes were heard", func() bool { return passes() >= was+2 }, func() string { return v.log() })
		if n := figures(v.tape()); n == 0 {
			t.Errorf("%s: the recording holds no attention tone", program)
		}
		if r := find("A"); r.State != emergency.StateAiring {
			t.Errorf("%s: the alert is %s (%s)", program, r.State, r.Reason)
		}
	}
	up := func() {
		t.Helper()
		ready := func() int {
			log, _ := os.ReadFile(filepath.Join(v.dir, "log.txt")) // none before the first run
			return strings.Count(string(log), "msg=ready")
		}
		was := ready()
		v.run()
		wait(t, "the daemon is ready", func() bool { return ready() > was })
	}
	up()
	if s := hand("A", "met", "Alert", ""); s.Over() {
		t.Fatalf("A is %s", s)
	}
	if s := hand("C", "stranger", "Cancel", "met,B"); s != emergency.StateLogged {
		t.Errorf("C is %s", s)
	}
	soundsOn("before")
	ends := find("A").Expires(playlist.AlertRules{})
	v.end(syscall.SIGTERM)

	v.release = programs.dir
	up()
	soundsOn("after the upgrade")
	if now := find("A").Expires(playlist.AlertRules{}); !now.Equal(ends) {
		t.Errorf("it ends %v, and was to end %v", now, ends)
	}
	if s := hand("B", "met", "Alert", ""); s != emergency.StateCancelled {
		t.Errorf("what was retired before it came is %s", s)
	}
	if s := hand("old", "met", "Alert", ""); s != emergency.StateRefused {
		t.Errorf("a new one of five years ago is %s", s)
	}
	hand("D", "stranger", "Cancel", "met,A")
	sent = time.Now().UTC().Format("2006-01-02T15:04:05-00:00")
	hand("S", "stranger", "Cancel", "met,X") // before X comes
	if s := hand("X", "met", "Alert", ""); s.Over() {
		t.Errorf("X is %s", s)
	}
	x := sent
	sent = long
	soundsOn("after a stranger's cancel")
	v.end(syscall.SIGKILL) // a power cut
	up()
	soundsOn("after a power cut")
	v.end(syscall.SIGTERM)

	v.release = before
	up()
	soundsOn("with the earlier program again")
	hand("E", "met", "Cancel", "met,A")
	sent = x
	hand("F", "met", "Cancel", "met,X")
	sent = long
	wait(t, "both are cancelled", func() bool {
		return find("A").State == emergency.StateCancelled && find("X").State == emergency.StateCancelled
	}, func() string { return fmt.Sprintf("A %s, X %s", find("A").State, find("X").State) })
	v.end(syscall.SIGTERM)

	v.release = programs.dir
	up()
	if s := hand("A", "met", "Alert", ""); s != emergency.StateCancelled {
		t.Errorf("a copy of what was cancelled is %s", s)
	}
	seen := map[asrun.RowKey]bool{}
	for _, r := range v.rows() {
		if seen[r.Key()] {
			t.Errorf("two rows of %+v", r.Key())
		}
		seen[r.Key()] = true
	}
}
