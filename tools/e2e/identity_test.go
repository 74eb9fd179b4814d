package e2e_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// join enrols a village with a new code.
func (c *county) join(v *village, args ...string) {
	c.t.Helper()
	var code struct {
		Code       string                `json:"code"`
		Controller playlist.ControllerID `json:"controller"`
	}
	c.verb(&code, append([]string{"enrol", "--json"}, args...)...)
	v.id = code.Controller
	run(c.t, v.dir, v.path(), "enrol", "https://"+c.http, code.Code)
}

// heardAlert reports whether a village has sounded an alert to its end.
func (v *village) heardAlert(title string) bool {
	v.t.Helper()
	for _, a := range v.alerts() {
		if a.Headline() != title || a.State != emergency.StateDone {
			continue
		}
		for _, r := range v.rows() {
			if r.Alert == a.ID && r.Used != asrun.UsedTone && r.Frames > 0 {
				return true
			}
		}
	}
	return false
}

// works has the village air a lesson and sound an alert, each for the area.
func (c *county) works(v *village, what string, areas ...playlist.Area) {
	c.t.Helper()
	was := heardOf(v)
	c.verb(nil, "push", pushFile(c.t, c.dir, string(v.id), "*/5 * * * * *", "clip1.mp3"), "--area", string(areas[0]), "--yes", "--wait", "5m")
	waitAll(c.t, what+": its programme airs", []*village{v}, (*village).log, func(v *village) bool { return heardOf(v) > was })
	for _, area := range areas {
		title := fmt.Sprintf("%s %s", what, area)
		c.verb(nil, "alert", "--level", "2", "--area", string(area), "--title", title, "--text", "请留在屋里。", "--yes")
		waitAll(c.t, what+": an alert for "+string(area)+" sounds", []*village{v}, (*village).log, func(v *village) bool { return v.heardAlert(title) })
		wait(c.t, "the county knows that the alert was heard", func() bool {
			var all []emergency.Alert
			c.verb(&all, "alert", "list", "--json")
			for _, a := range all {
				if a.Headline() != title {
					continue
				}
				acc := c.account(a.ID)
				return acc.Targeted == v.residents && acc.Completed == v.residents
			}
			return false
		})
	}
	c.verb(nil, "push", pushFile(c.t, c.dir, string(v.id), never, "clip1.mp3"), "--area", string(areas[0]), "--yes", "--wait", "5m")
}

// Boxes are retired, revoked, moved and enrolled again. None is deaf after it, and none
// is counted twice.
func TestABoxThatIsEnrolledAgainHearsAndCountsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("five villages for a minute")
	}
	t.Parallel()
	c := newCounty(t, "")
	area := func(n int) playlist.Area { return playlist.Area(fmt.Sprintf("3209241%02d%03d", n, 200+n)) }
	var all []*village
	for n := range 5 {
		all = append(all, c.village(area(n), 100+n))
	}
	each(all, func(v *village) {
		v.run()
		c.verb(nil, "push", pushFile(t, c.dir, string(v.id), "*/5 * * * * *", "clip1.mp3"), "--area", string(v.area), "--yes", "--wait", "5m")
	})
	waitAll(t, "it has airings that count", all, (*village).log, func(v *village) bool { return heardOf(v) > 1 })
	again, other, elsewhere, moved, replaced := all[0], all[1], all[2], all[3], all[4]

	var stories sync.WaitGroup
	stories.Go(func() { // under the same ID
		id := again.id
		c.verb(nil, "retire", string(id), "--yes")
		wait(t, "it knows that it is retired", func() bool {
			var st struct {
				County struct{ Retired bool } `json:"county"`
			}
			err := json.Unmarshal(run(t, again.dir, again.path(), "status", "--json"), &st)
			return err == nil && st.County.Retired
		})
		c.join(again, "--approve", "--id", string(id), "--area", string(again.area))
		if again.id != id {
			t.Errorf("it is %s, not %s", again.id, id)
		}
		c.works(again, "retired and enrolled again", again.area)
	})
	stories.Go(func() {
		id := other.id
		c.verb(nil, "retire", string(id), "--yes")
		c.join(other, "--approve", "--area", string(other.area))
		if other.id == id {
			t.Error("it has the ID that it had")
		}
		c.works(other, "retired and enrolled under another ID", other.area)
	})
	stories.Go(func() {
		c.verb(nil, "revoke", string(elsewhere.id), "--yes")
		var code struct {
			Code       string                `json:"code"`
			Controller playlist.ControllerID `json:"controller"`
		}
		c.verb(&code, "enrol", "--json", "--approve", "--area", string(area(12)))
		if _, err := try(elsewhere.dir, elsewhere.path(), "enrol", "https://"+c.http, code.Code, "--wait", "2s"); err == nil {
			t.Error("a code of another area was granted without a question")
		}
		if _, err := try(c.dir, c.path(), "-c", "county.toml", "enrol", "approve", string(code.Controller), "--yes"); err == nil || !strings.Contains(err.Error(), "--anyway") {
			t.Errorf("approved where its config does not have it: %v", err)
		}
		c.verb(nil, "enrol", "approve", string(code.Controller), "--yes", "--anyway")
		run(t, elsewhere.dir, elsewhere.path(), "enrol", "https://"+c.http, code.Code)
		elsewhere.id = code.Controller
		c.works(elsewhere, "revoked and enrolled elsewhere", area(12), elsewhere.area)
	})
	stories.Go(func() {
		if _, err := try(c.dir, c.path(), "-c", "county.toml", "move", string(moved.id), "--area", string(area(13))); err == nil || !strings.Contains(err.Error(), "--anyway") {
			t.Errorf("a move to where its config does not have it: %v", err)
		}
		c.verb(nil, "move", string(moved.id), "--area", string(area(13)), "--anyway")
		c.works(moved, "moved", area(13), moved.area)
	})
	stories.Go(func() { // while it is active, with a code that wants approval
		var code struct {
			Code       string                `json:"code"`
			Controller playlist.ControllerID `json:"controller"`
		}
		c.verb(&code, "enrol", "--json", "--approve", "--area", string(replaced.area))
		if _, err := try(replaced.dir, replaced.path(), "enrol", "https://"+c.http, code.Code, "--wait", "2s"); err == nil {
			t.Error("a key in use was enrolled again without a question")
		}
		if _, err := try(c.dir, c.path(), "-c", "county.toml", "enrol", "approve", string(code.Controller)); err == nil || !strings.Contains(err.Error(), "--yes") {
			t.Errorf("approved without a question: %v", err)
		}
		c.verb(nil, "enrol", "approve", string(code.Controller), "--yes")
		run(t, replaced.dir, replaced.path(), "enrol", "https://"+c.http, code.Code)
		replaced.id = code.Controller
		c.works(replaced, "enrolled under another ID while it was active", replaced.area)
	})
	stories.Wait()
	if t.Failed() {
		return
	}

	var mine sums
	for _, v := range all {
		mine.add(v)
	}
	var got struct {
		total
		Lines []struct {
			Planned, Completed int
			PersonAirings      int64 `json:"person_airings"`
		} `json:"lines"`
	}
	wait(t, "the county's sums are the villages'", func() bool {
		c.verb(&got, "reach", "--by", "area", "--json")
		return got.Total.Completed == mine.completed && got.Total.PersonAirings == mine.people
	}, func() string { return fmt.Sprintf("the villages' %+v, the county's %+v", mine, got) })
	completed, people := 0, int64(0)
	for _, l := range got.Lines {
		completed, people = completed+l.Completed, people+l.PersonAirings
	}
	if completed != got.Total.Completed || people != got.Total.PersonAirings {
		t.Errorf("the lines have %d airings and %d person-airings, the total %+v", completed, people, got.Total)
	}
	each(all, func(v *village) { v.end(syscall.SIGTERM) })
}

// A card is copied into a second box: both air and sound, and what both aired comes to
// the county.
func TestACopiedCardLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("two villages for half a minute")
	}
	t.Parallel()
	c := newCounty(t, "")
	v := c.village("320924100201", 100)
	v.run()
	c.works(v, "before", v.area)
	v.end(syscall.SIGTERM)
	twin := *v
	twin.dir = folder(t)
	if out, err := exec.Command("cp", "-a", v.dir+"/data", v.dir+"/dalaba.toml", twin.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	both := []*village{v, &twin}
	for _, v := range both {
		v.run()
	}
	was := map[*village]int{v: heardOf(v), &twin: heardOf(&twin)}
	c.verb(nil, "push", pushFile(t, c.dir, "both", "*/5 * * * * *", "clip1.mp3"), "--area", string(v.area), "--yes", "--wait", "5m")
	waitAll(t, "the programme airs", both, (*village).log, func(v *village) bool { return heardOf(v) > was[v]+2 })
	c.verb(nil, "alert", "--level", "2", "--area", string(v.area), "--title", "both", "--text", "请留在屋里。", "--yes")
	waitAll(t, "the alert sounds", both, (*village).log, func(v *village) bool { return v.heardAlert("both") })
	c.verb(nil, "push", pushFile(t, c.dir, "both", never, "clip1.mp3"), "--area", string(v.area), "--yes", "--wait", "5m")
	unsent := func(v *village) int {
		var st struct {
			Unsent struct{ Receipts int } `json:"unsent"`
		}
		if err := json.Unmarshal(run(t, v.dir, v.path(), "status", "--json"), &st); err != nil {
			t.Fatal(err)
		}
		return st.Unsent.Receipts
	}
	waitAll(t, "all receipts are with the county", both, (*village).log, func(v *village) bool { return unsent(v) == 0 })
	each(both, func(v *village) { v.end(syscall.SIGTERM) })
}
