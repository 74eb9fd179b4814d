package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// total is the last line of `dalaba-county reach --json`.
type total struct {
	Total struct {
		Planned       int   `json:"planned"`
		Started       int   `json:"started"`
		Completed     int   `json:"completed"`
		Unknown       int   `json:"unknown"`
		PersonAirings int64 `json:"person_airings"`
		Reached       int64 `json:"reached"`
		Residents     int64 `json:"residents"`
	} `json:"total"`
}

// member is a line of `dalaba-county fleet --json`.
type member struct {
	ID     playlist.ControllerID `json:"id"`
	Online bool                  `json:"online"`
}

func pushFile(t *testing.T, dir, name, cron string, clips ...string) string {
	t.Helper()
	list := ""
	for _, c := range clips {
		path := c
		if !filepath.IsAbs(c) {
			var err error
			if path, err = filepath.Abs(filepath.Join("..", "..", "data", "course", "testdata", c)); err != nil {
				t.Fatal(err)
			}
		}
		list += fmt.Sprintf("%q, ", path)
	}
	path := filepath.Join(dir, name+".toml")
	write(t, path, fmt.Sprintf(`
[[playlist]]
name = %[1]q
clips = [%[2]s]
[[slot]]
name = "often-%[1]s"
playlist = %[1]q
cron = %[3]q
`, name, list, cron))
	return path
}

func TestTwoTownsAirWhatTheCountyPushedAndTheSumsAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("eight villages for a minute")
	}
	t.Parallel()
	c := newCounty(t, "")
	const villages = 8
	var all []*village
	for i := range villages {
		all = append(all, c.village(playlist.Area(fmt.Sprintf("320924%03d%03d", 100+i%2, 201+i)), 100+i))
	}
	each(all, (*village).run)
	push := func(crons ...string) {
		t.Helper()
		for i, town := range []playlist.Area{"320924100000", "320924101000"} {
			file := pushFile(t, c.dir, fmt.Sprintf("town%d", i), crons[i], "clip1.mp3", "clip2.mp3")
			c.verb(nil, "push", file, "--area", string(town), "--yes", "--wait", "5m")
		}
	}
	push("0,20,40 * * * * *", "10,30,50 * * * * *")
	waitAll(t, "two lessons have aired", all, (*village).log, func(v *village) bool {
		var s sums
		s.add(v)
		return s.completed >= 2
	})
	push(never, never) // once nothing airs any more, both sides can be added up
	var got total
	var mine sums
	wait(t, "the county's sums are the villages'", func() bool {
		mine = sums{}
		for _, v := range all {
			mine.add(v)
		}
		c.verb(&got, "reach", "--by", "area", "--json")
		g := got.Total
		return !mine.open && g.Started == mine.started && g.Completed == mine.completed && g.PersonAirings == mine.people && g.Reached == mine.reached
	}, func() string { return fmt.Sprintf("the villages' %+v, the county's %+v", mine, got.Total) })
	t.Logf("the villages' logs: %+v; the county: %+v", mine, got.Total)
	if mine.completed < 2*villages || got.Total.Planned < mine.started {
		t.Errorf("%d lessons aired", mine.completed)
	}
	var fleet []member
	c.verb(&fleet, "fleet", "--json")
	if len(fleet) != villages {
		t.Errorf("%d controllers", len(fleet))
	}
	each(all, func(v *village) { v.end(syscall.SIGTERM) })
}

// A bit flipped on a disk costs one airing: the damaged clip does not sound,
// and is fetched from the county again.
func TestADamagedClipIsFetchedAgain(t *testing.T) {
	t.Parallel()
	c := newCounty(t, "")
	v := c.village("320924102201", 420)
	v.run()
	c.verb(nil, "push", pushFile(t, c.dir, "daily", "*/10 * * * * *", "clip1.mp3"), "--area", string(v.area), "--yes", "--wait", "5m")
	// next returns the first row of an outcome that fell due later.
	next := func(o asrun.Outcome, after time.Time) (found asrun.Row) {
		wait(t, "an airing that is "+string(o), func() bool {
			for _, r := range v.rows() {
				if r.Due.After(after) && r.Outcome == o {
					found = r
					return true
				}
			}
			return false
		}, v.log)
		return found
	}
	good := next(asrun.Complete, time.Time{})
	path := filepath.Join(v.dir, "data", "clips", string(good.Clip)+".mp3")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(whole)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(path, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	failed := next(asrun.Failed, good.Due)
	if failed.Frames != 0 || failed.Reason != asrun.ReasonClip {
		t.Errorf("%+v", failed)
	}
	next(asrun.Complete, failed.Due)
	if now, err := os.ReadFile(path); err != nil || !slices.Equal(now, whole) {
		t.Errorf("the clip is not as it was, %v", err)
	}
	var got total
	wait(t, "the county knows of all three", func() bool {
		c.verb(&got, "reach", "--by", "clip", "--json")
		return got.Total.Completed >= 2 && got.Total.Planned > got.Total.Completed
	}, func() string { return fmt.Sprintf("%+v", got.Total) })
	v.end(syscall.SIGTERM)
}

// sums are the totals of the villages' own logs.
type sums struct {
	started, completed int
	people, reached    int64
	open               bool // a row is still open
}

func (s *sums) add(v *village) {
	rows := v.rows()
	s.open = s.open || slices.ContainsFunc(rows, func(r asrun.Row) bool { return r.Outcome == "" })
	heard := false
	for _, i := range items(rows) {
		if i.frames > 0 {
			s.started++
		}
		if i.complete {
			s.completed++
			s.people += int64(v.residents)
			heard = true
		}
	}
	if heard {
		s.reached += int64(v.residents)
	}
}

type itemKey struct {
	airing playlist.AiringID
	item   int
	due    time.Time
}

type itemOf struct {
	frames   int64
	complete bool
}

// items returns the clips of the airings, with the frames of their parts added
// up.
func items(rows []asrun.Row) map[itemKey]itemOf {
	all := map[itemKey]itemOf{}
	for _, r := range rows {
		if r.Alert != "" {
			continue
		}
		k := itemKey{r.Airing, r.Item, r.Due}
		i := all[k]
		i.frames += r.Frames
		i.complete = i.complete || r.Outcome == asrun.Complete
		all[k] = i
	}
	return all
}
