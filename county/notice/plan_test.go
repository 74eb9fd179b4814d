package notice_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dalaba/county/notice"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

var shanghai = time.FixedZone("CST", 8*3600)

// at is an instant of a day in Shanghai.
func at(clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", "2026-07-01 "+clock, shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

var rule = notice.Rule{
	Name: "duty", Language: say.English, About: notice.Kinds(), Limit: 3, Zone: shanghai,
	Quiet: notice.Quiet{From: 22 * 60, To: 6 * 60},
}

func open(id int64, k notice.Kind, level emergency.Level) notice.Notice {
	return notice.Notice{ID: id, To: "duty", Kind: k, Level: level, Text: fmt.Sprintf("notice %d\nmore", id), At: at("12:00:00").AddDate(0, 0, -1), State: notice.Due}
}

func held(n notice.Notice, why string) notice.Notice {
	n.State, n.Why = notice.Held, why
	return n
}

func tried(n notice.Notice) notice.Notice {
	n.Tries = 1
	return n
}

func ids(all []notice.Notice) string {
	var texts []string
	for _, n := range all {
		texts = append(texts, fmt.Sprint(n.ID))
	}
	return strings.Join(texts, " ")
}

func TestWhatGoesOutNowAndWhatIsHeld(t *testing.T) {
	later := open(1, notice.Silent, 0)
	later.Next = at("12:01:00")
	for _, c := range []struct {
		name               string
		clock              string
		lately             int
		open               []notice.Notice
		send, hold, gather string
	}{
		{"red comes before orange, alerts before the rest", "12:00:00", 0,
			[]notice.Notice{open(1, notice.Fault, 0), open(2, notice.Alert, emergency.Orange), open(3, notice.Alert, emergency.Red)}, "3 2 1", "", ""},
		{"what waits for another try is not sent yet", "12:00:00", 0, []notice.Notice{later}, "", "", ""},
		{"quiet hours hold all but red and orange", "23:00:00", 0,
			[]notice.Notice{open(1, notice.Fault, 0), open(2, notice.Alert, emergency.Orange), open(3, notice.Alert, emergency.Yellow), open(4, notice.Alert, emergency.Red)}, "4 2", "3 1", ""},
		{"quiet hours go over midnight", "05:59:59", 0, []notice.Notice{open(1, notice.Fault, 0)}, "", "1", ""},
		{"they end", "06:00:00", 0, []notice.Notice{open(1, notice.Fault, 0)}, "1", "", ""},
		{"they do not hold the daily report", "05:00:00", 0, []notice.Notice{open(1, notice.Daily, 0)}, "1", "", ""},
		{"what they held stays held", "05:00:00", 0, []notice.Notice{held(open(1, notice.Fault, 0), notice.HeldQuiet), held(open(2, notice.Fault, 0), notice.HeldQuiet)}, "", "", ""},
		{"what they held goes out as one", "06:00:00", 0, []notice.Notice{held(open(1, notice.Fault, 0), notice.HeldQuiet), held(open(2, notice.Fault, 0), notice.HeldQuiet)}, "", "", "1 2"},
		{"a single one goes out as it is", "06:00:00", 0, []notice.Notice{held(open(1, notice.Fault, 0), notice.HeldQuiet)}, "1", "", ""},
		{"the limit holds what is over it", "12:00:00", 1, []notice.Notice{open(1, notice.Fault, 0), open(2, notice.Fault, 0), open(3, notice.Fault, 0)}, "1 2", "3", ""},
		{"the limit holds orange, never red", "12:00:00", 3, []notice.Notice{open(1, notice.Alert, emergency.Orange), open(2, notice.Alert, emergency.Red)}, "2", "1", ""},
		{"what the limit held stays held", "12:00:00", 3, []notice.Notice{held(open(1, notice.Fault, 0), notice.HeldLimit), held(open(2, notice.Fault, 0), notice.HeldLimit)}, "", "", ""},
		{"what it held goes out as one, which counts too", "12:00:00", 2,
			[]notice.Notice{held(open(1, notice.Fault, 0), notice.HeldLimit), held(open(2, notice.Fault, 0), notice.HeldLimit), open(3, notice.Fault, 0)}, "", "3", "1 2"},
		{"what was tried is not held", "23:00:00", 9, []notice.Notice{tried(open(1, notice.Fault, 0))}, "1", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := rule.Plan(c.open, c.lately, at(c.clock))
			if ids(p.Send) != c.send || ids(p.Hold) != c.hold || ids(p.Gather) != c.gather {
				t.Errorf("sent %q, held %q, gathered %q; want %q, %q, %q", ids(p.Send), ids(p.Hold), ids(p.Gather), c.send, c.hold, c.gather)
			}
		})
	}
}

func TestASummaryLosesNothingUnsaid(t *testing.T) {
	var all []notice.Notice
	for i := range 23 {
		all = append(all, held(open(int64(i+1), notice.Fault, 0), notice.HeldQuiet))
	}
	all = append(all, held(open(29, notice.Alert, emergency.Blue), notice.HeldQuiet), held(open(30, notice.Alert, emergency.Orange), notice.HeldQuiet))
	n := rule.Summary(all, at("06:00:00"))
	for _, part := range []string{"25 notices since 06-30 12:00", "quiet hours", "(gathered in quiet hours)\n12:00 notice 30\n12:00 notice 23\n", "12:00 notice 5\n", "and 5 more"} {
		if !strings.Contains(n.Text, part) {
			t.Errorf("no %q in %q", part, n.Text)
		}
	}
	if strings.Contains(n.Text, "\nmore") || n.Kind != notice.Summary || n.State != notice.Due {
		t.Errorf("%+v", n)
	}
}

func TestANoticeIsTriedForAnHour(t *testing.T) {
	var sum, last time.Duration
	tries := 1
	for ; tries < 100; tries++ {
		wait, ok := notice.Again(tries)
		if !ok {
			break
		}
		if wait < last || wait > 5*time.Minute || tries == 1 && wait != 5*time.Second {
			t.Errorf("after %d tries %v", tries, wait)
		}
		last = wait
		sum += wait
	}
	if sum < time.Hour || sum > 70*time.Minute {
		t.Errorf("tried for %v, %d times", sum, tries)
	}
}

func TestTheDailyReportIsDueFromItsTimeOn(t *testing.T) {
	r, eight := rule, playlist.TimeOfDay(8*60)
	r.Daily = &eight
	if _, ok := r.DailyAt(at("07:59:59")); ok {
		t.Error("too early")
	}
	if due, ok := r.DailyAt(at("08:00:01")); !ok || !due.Equal(at("08:00:00")) {
		t.Errorf("%v, %v", due, ok)
	}
}

func TestARecipientIsToldOfItsAreas(t *testing.T) {
	r := rule
	if !r.Covers("341523100201") {
		t.Error("without areas all are covered")
	}
	r.Areas = []playlist.Area{"341523100000"}
	if !r.Covers("341523100201") || r.Covers("341523101201") {
		t.Error("not its areas")
	}
}
