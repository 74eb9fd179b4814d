package asrun_test

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/playlisttest"
)

func ended(o asrun.Outcome, from, frames int64) func(*asrun.Row) {
	return func(r *asrun.Row) { r.Outcome, r.FromFrame, r.Frames = o, from, frames }
}

func silent(r *asrun.Row) { r.Frames, r.Started = 0, time.Time{} }

func stillOpen(r *asrun.Row) { r.Outcome, r.Ended, r.Frames = "", time.Time{}, 300 }

func TestReachOfRows(t *testing.T) {
	for _, c := range []struct {
		name string
		rows []asrun.Row
		want asrun.Reach
	}{
		{name: "nothing aired"},
		{
			"one clip heard on one output",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1)},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 420},
		},
		{
			"two outputs, one of which heard too little",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1, ended(asrun.Partial, 0, 900))},
			asrun.Reach{Planned: 2, Delivered: 2, Started: 2, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 680},
		},
		{
			"heard three times: three person-airings each, reached once",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "08:30", "东", 1, 1), playlisttest.Row(t, "09:30", "东", 1, 1)},
			asrun.Reach{Planned: 3, Delivered: 3, Started: 3, Completed: 3, PersonAirings: 1260, Reached: 420, Residents: 420},
		},
		{
			"two clips of one airing",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "东", 2, 1)},
			asrun.Reach{Planned: 2, Delivered: 2, Started: 2, Completed: 2, PersonAirings: 840, Reached: 420, Residents: 420},
		},
		{
			"the parts of an interrupted clip are one",
			[]asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400)),
				playlisttest.Row(t, "07:30", "东", 1, 2, ended(asrun.Preempted, 400, 200)),
				playlisttest.Row(t, "07:30", "东", 1, 3, ended(asrun.Complete, 600, 400)),
			},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 420},
		},
		{
			"the parts of two outputs come mixed",
			[]asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400)),
				playlisttest.Row(t, "07:30", "西", 1, 1, ended(asrun.Preempted, 0, 400)),
				playlisttest.Row(t, "07:30", "东", 1, 2, ended(asrun.Complete, 400, 600)),
				playlisttest.Row(t, "07:30", "西", 1, 2, ended(asrun.Partial, 400, 100)),
			},
			asrun.Reach{Planned: 2, Delivered: 2, Started: 2, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 680},
		},
		{
			"interrupted and dropped",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400))},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Residents: 420},
		},
		{
			"power lost, then made good: one airing, completed once",
			[]asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Partial, 0, 400)),
				playlisttest.Row(t, "07:30", "东", 1, 2),
			},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 420},
		},
		{
			"called missed, then aired after all: the clip's line, once",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 0), playlisttest.Row(t, "07:30", "东", 1, 1)},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Completed: 1, PersonAirings: 420, Reached: 420, Residents: 420},
		},
		{
			"missed: planned, and no more is known of it",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 0)},
			asrun.Reach{Planned: 1, Residents: 420},
		},
		{
			"cued but the device was gone: delivered, not started",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Missed, 0, 0), silent)},
			asrun.Reach{Planned: 1, Delivered: 1, Residents: 420},
		},
		{
			"airing now: unknown, neither failed nor reached",
			[]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, stillOpen)},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Unknown: 1, Residents: 420, ResidentsUnknown: 420},
		},
		{
			"interrupted, and the next part is still open",
			[]asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400)),
				playlisttest.Row(t, "07:30", "东", 1, 2, stillOpen),
			},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Unknown: 1, Residents: 420, ResidentsUnknown: 420},
		},
		{
			"nobody lives within earshot",
			[]asrun.Row{playlisttest.Row(t, "07:30", "车", 1, 1)},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Completed: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tally := asrun.NewTally(asrun.ByOutput, playlisttest.Shanghai(t))
			for _, r := range c.rows {
				tally.Add(r)
			}
			_, total := tally.Lines()
			if !reflect.DeepEqual(total, c.want) {
				t.Errorf("total %+v\nwant  %+v", total, c.want)
			}
			_, again := tally.Lines()
			if !reflect.DeepEqual(again, total) {
				t.Errorf("asked again: %+v", again)
			}
		})
	}
}

func TestReachLines(t *testing.T) {
	rows := []asrun.Row{
		playlisttest.Row(t, "00:30", "东", 2, 1), // 22 November in UTC
		playlisttest.Row(t, "07:30", "东", 1, 1),
		playlisttest.Row(t, "07:30", "西", 1, 1, ended(asrun.Partial, 0, 100)),
		playlisttest.Row(t, "08:30", "东", 1, 0),
		playlisttest.Row(t, "08:30", "西", 1, 1),
		playlisttest.Row(t, "09:30", "东", 3, 1, func(r *asrun.Row) { r.Series, r.Issue = "", 0 }),
	}
	for _, c := range []struct {
		by   asrun.Grouping
		want []string
	}{
		{asrun.ByClip, []string{
			"''  1/0/0/0 pa=0 420", // the missed one chose no clip
			"4 第3课 1/1/1/1 pa=420 420/420",
			"2 第1课 健康微课堂1 3/3/3/2 pa=680 680/680",
			"3 第2课 健康微课堂2 1/1/1/1 pa=420 420/420",
		}},
		{asrun.BySeries, []string{
			"'' 2/1/1/1 pa=420 420/420",
			"健康微课堂 4/4/4/3 pa=1100 680/680",
		}},
		{asrun.ByDay, []string{"2026-11-23 6/5/5/4 pa=1520 680/680"}},
		{asrun.ByOutput, []string{
			"东 4/3/3/3 pa=1260 420/420",
			"西 2/2/2/1 pa=260 260/260",
		}},
	} {
		tally := asrun.NewTally(c.by, playlisttest.Shanghai(t))
		for _, r := range rows {
			tally.Add(r)
		}
		lines, total := tally.Lines()
		if len(lines) != len(c.want) {
			t.Fatalf("by %s: %d lines: %+v", c.by, len(lines), lines)
		}
		sum := 0
		for i, l := range lines {
			key := l.Key
			if c.by == asrun.ByClip {
				key = number(playlist.ClipID(l.Key))
			}
			if key == "" {
				key = "''"
			}
			if c.by == asrun.ByClip {
				key += " " + l.Title
			}
			if c.by == asrun.ByClip && l.Issue > 0 {
				key += fmt.Sprint(" ", l.Series, l.Issue)
			}
			got := fmt.Sprintf("%s %d/%d/%d/%d pa=%d %d/%d", key, l.Planned, l.Delivered, l.Started, l.Completed, l.PersonAirings, l.Reached, l.Residents)
			want := c.want[i]
			if l.Reached == 0 {
				got = fmt.Sprintf("%s %d/%d/%d/%d pa=%d %d", key, l.Planned, l.Delivered, l.Started, l.Completed, l.PersonAirings, l.Residents)
			}
			if got != want {
				t.Errorf("by %s, line %d: %s, want %s", c.by, i, got, want)
			}
			sum += l.Planned
		}
		if sum != 6 || total.Planned != 6 || total.Completed != 4 || total.PersonAirings != 1520 || total.Reached != 680 || total.Residents != 680 {
			t.Errorf("by %s: total %+v of %d", c.by, total, sum)
		}
	}
}

func TestRatesNameWhatTheyDivide(t *testing.T) {
	near := func(got float64, ok bool, want float64) bool { return ok && math.Abs(got-want) < 1e-9 }
	r := asrun.Reach{Planned: 8, Completed: 6, PersonAirings: 1520, Reached: 420, Residents: 680}
	if v, ok := r.Rate(); !near(v, ok, 420.0/680) {
		t.Errorf("rate %v, %v", v, ok)
	}
	if v, ok := r.Frequency(); !near(v, ok, 1520.0/420) {
		t.Errorf("frequency %v, %v", v, ok)
	}
	if v, ok := r.Completion(); !near(v, ok, 0.75) {
		t.Errorf("completion %v, %v", v, ok)
	}
	for name, rate := range map[string]func() (float64, bool){
		"rate": asrun.Reach{}.Rate, "frequency": asrun.Reach{}.Frequency, "completion": asrun.Reach{}.Completion,
	} {
		if v, ok := rate(); ok || v != 0 {
			t.Errorf("%s of nothing: %v, %v", name, v, ok)
		}
	}
	if v, ok := (asrun.Reach{Residents: 420}).Rate(); !near(v, ok, 0) {
		t.Errorf("nobody of 420: %v, %v", v, ok)
	}
}

func TestCompleteIsNineteenTwentieths(t *testing.T) {
	for _, c := range []struct {
		from, frames, of int64
		want             asrun.Outcome
	}{
		{0, 950, 1000, asrun.Complete},
		{0, 949, 1000, asrun.Partial},
		{500, 450, 1000, asrun.Complete},
		{500, 449, 1000, asrun.Partial},
		{0, 0, 0, asrun.Partial},
	} {
		if got := (asrun.Row{FromFrame: c.from, Frames: c.frames, OfFrames: c.of}).Judge(); got != c.want {
			t.Errorf("%d from %d of %d: %s", c.frames, c.from, c.of, got)
		}
	}
}

func each(rows []asrun.Row, fault error) iter.Seq2[asrun.Row, error] {
	return func(yield func(asrun.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if fault != nil {
			yield(asrun.Row{}, fault)
		}
	}
}

func TestWhatNoRowSpeaksForIsUnknown(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	daily := playlisttest.Slot(t, "早", "30 7-10 * * *", "东", "西")
	for _, c := range []struct {
		name               string
		slots              []playlist.Slot
		rows               []asrun.Row
		since, until, now  string
		planned, unknown   int
		completed, reached int
	}{
		{
			name: "every due has its rows", now: "09:00",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1),
				playlisttest.Row(t, "08:30", "东", 1, 1), playlisttest.Row(t, "08:30", "西", 1, 1),
			},
			planned: 4, completed: 4, reached: 680,
		},
		{
			name: "rows are missing in between, of one output or of both", now: "10:40",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1),
				playlisttest.Row(t, "08:30", "东", 1, 1),
				playlisttest.Row(t, "10:30", "东", 1, 1), playlisttest.Row(t, "10:30", "西", 1, 1),
			},
			planned: 8, unknown: 3, completed: 5, reached: 680,
		},
		{
			name: "nothing since the last row: the daemon is off", now: "10:40",
			rows:    []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1)},
			planned: 8, unknown: 6, completed: 2, reached: 680,
		},
		{
			name: "one that may still start is not unknown yet", now: "08:32",
			rows:    []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1)},
			planned: 2, completed: 2, reached: 680,
		},
		{
			name: "one that may wait for the end of quiet hours is not unknown yet", now: "10:40",
			slots: []playlist.Slot{func() playlist.Slot {
				s := playlisttest.Slot(t, "早", "30 7,8 * * *", "东")
				s.IntoQuiet = playlist.QuietShift
				return s
			}()},
			rows:    []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1)},
			planned: 1, completed: 1, reached: 420,
		},
		{
			name: "what was due before the slot's first row is nobody's business", now: "09:00",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, func(r *asrun.Row) { r.Airing, r.Slot = "旧@x", "旧" }),
				playlisttest.Row(t, "08:30", "西", 1, 1),
			},
			planned: 2, completed: 2, reached: 680,
		},
		{
			name: "a slot whose times were changed is judged by its new ones only", now: "08:40",
			slots: []playlist.Slot{playlisttest.Slot(t, "早", "0,30 8 * * *", "东")},
			rows: []asrun.Row{
				playlisttest.Row(t, "07:00", "东", 1, 1), playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "08:30", "东", 1, 1),
			},
			planned: 3, completed: 3, reached: 420,
		},
		{
			name: "every clip of an unknown airing counts", now: "08:40",
			slots: []playlist.Slot{func() playlist.Slot { s := playlisttest.Slot(t, "早", "30 7,8 * * *", "东"); s.Count = 3; return s }()},
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "东", 2, 1), playlisttest.Row(t, "07:30", "东", 3, 1),
			},
			planned: 6, unknown: 3, completed: 3, reached: 420,
		},
		{
			name: "a period in the middle", since: "08:00", until: "09:30", now: "10:40",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "07:30", "西", 1, 1),
				playlisttest.Row(t, "08:30", "东", 1, 1),
				playlisttest.Row(t, "09:30", "东", 1, 1), playlisttest.Row(t, "09:30", "西", 1, 1),
			},
			planned: 2, unknown: 1, completed: 1, reached: 420,
		},
		{name: "an empty log knows of nothing", now: "10:40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &playlist.Programme{
				Site: playlist.Site{Zone: zone}, Slots: c.slots,
				Outputs: []playlist.Output{{Name: "东", Residents: 420}, {Name: "西", Residents: 260}},
			}
			if p.Slots == nil {
				p.Slots = []playlist.Slot{daily}
			}
			instant := func(s string) time.Time {
				if s == "" {
					return time.Time{}
				}
				return playlisttest.At(t, zone, "2026-11-23 "+s)
			}
			got, err := asrun.Report(p, each(c.rows, nil), asrun.ByOutput, instant(c.since), instant(c.until), instant(c.now))
			if err != nil {
				t.Fatal(err)
			}
			if total := got.Total; total.Planned != c.planned || total.Unknown != c.unknown || total.Completed != c.completed || total.Reached != c.reached {
				t.Errorf("%+v", total)
			}
			for _, l := range got.Lines {
				if l.Key != "东" && l.Key != "西" {
					t.Errorf("line %+v", l)
				}
			}
		})
	}
}

func TestReachEndsWithTheLogsError(t *testing.T) {
	broken := errors.New("page 7")
	p := &playlist.Programme{Site: playlist.Site{Zone: playlisttest.Shanghai(t)}}
	_, err := asrun.Report(p, each([]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1)}, broken), asrun.ByClip, time.Time{}, time.Time{}, time.Now())
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestGroupings(t *testing.T) {
	for _, g := range []asrun.Grouping{asrun.ByClip, asrun.ByIssue, asrun.BySeries, asrun.ByDay, asrun.ByOutput, asrun.BySlot} {
		if got, err := asrun.ParseGrouping(g.String()); got != g || err != nil {
			t.Errorf("%s: %s, %v", g, got, err)
		}
	}
	if _, err := asrun.ParseGrouping("week"); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("week: %v", err)
	}
}

func TestALessonThatWasReplacedIsOneInReach(t *testing.T) {
	bill := func(id playlist.ClipID, title string, issue int) func(*asrun.Row) {
		return func(r *asrun.Row) { r.Clip, r.Title, r.Series, r.Issue = id, title, "健康微课堂", issue }
	}
	old, anew, other := playlist.ClipID("aa"), playlist.ClipID("bb"), playlist.ClipID("cc")
	rows := []asrun.Row{
		playlisttest.Row(t, "07:30", "东", 1, 1, bill(old, "洗手", 3)),
		playlisttest.Row(t, "08:30", "东", 1, 1, bill(other, "刷牙", 4)),
		playlisttest.Row(t, "09:30", "东", 1, 1, bill(anew, "洗手七步", 3)),
	}
	lessons := playlist.Lineage{old: anew}.First()
	for _, c := range []struct {
		name    string
		by      asrun.Grouping
		lessons map[playlist.ClipID]playlist.ClipID
		want    []string
	}{
		{"by clip, nothing known", asrun.ByClip, nil, []string{"aa 洗手 3 ×1", "bb 洗手七步 3 ×1", "cc 刷牙 4 ×1"}},
		{"by clip", asrun.ByClip, lessons, []string{"bb 洗手七步 3 ×2", "cc 刷牙 4 ×1"}},
		{"by issue, whatever is known", asrun.ByIssue, nil, []string{"健康微课堂/3 洗手七步 3 ×2", "健康微课堂/4 刷牙 4 ×1"}},
	} {
		tally := asrun.NewTally(c.by, time.UTC).Lessons(c.lessons)
		for _, r := range rows {
			tally.Add(r)
		}
		lines, _ := tally.Lines()
		var got []string
		for _, l := range lines {
			got = append(got, fmt.Sprintf("%s %s %d ×%d", l.Key, l.Title, l.Issue, l.Completed))
			if l.Reached != 420 || l.Residents != 420 {
				t.Errorf("%s: %+v", c.name, l)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func residents(n int) func(*asrun.Row) { return func(r *asrun.Row) { r.Residents = n } }

// hours are airings on 东 at half past, from 07:30 on: a figure of residents each.
func hours(t *testing.T, from int, figures ...int) (rows []asrun.Row) {
	t.Helper()
	for i, n := range figures {
		rows = append(rows, playlisttest.Row(t, fmt.Sprintf("%02d:30", from+i), "东", 1, 1, residents(n)))
	}
	return rows
}

func repeat(n, times int) []int { return slices.Repeat([]int{n}, times) }

func TestResidentsCountAsTheyWereAtTheAiring(t *testing.T) {
	missed := func(rows []asrun.Row) []asrun.Row {
		for i := range rows {
			rows[i].Outcome, rows[i].Frames, rows[i].Started = asrun.Missed, 0, time.Time{}
		}
		return rows
	}
	join := slices.Concat[[]asrun.Row]
	for _, c := range []struct {
		name      string
		rows      []asrun.Row
		want      string // person-airings/reached of targeted
		frequency float64
		changed   string
	}{
		{"400 for ten airings", hours(t, 7, repeat(400, 10)...), "4000/400 of 400", 10, "[]"},
		{"400 for five airings, then 300 for five", hours(t, 7, append(repeat(400, 5), repeat(300, 5)...)...), "3500/400 of 400", 8.75,
			"[东 400@07:30 300@12:30]"},
		{"300 for five airings, then 400 for five", hours(t, 7, append(repeat(300, 5), repeat(400, 5)...)...), "3500/400 of 400", 8.75,
			"[东 300@07:30 400@12:30]"},
		{"a slip of one airing, put right", hours(t, 7, 420, 42, 420), "882/420 of 420", 2.1, "[东 420@07:30 42@08:30 420@09:30]"},
		{"none were known at first", hours(t, 7, 0, 0, 420, 420), "840/420 of 420", 2, "[东 0@07:30 420@09:30]"},
		{"what fell due before the change was missed", join(missed(hours(t, 7, repeat(400, 5)...)), hours(t, 12, repeat(300, 5)...)),
			"1500/300 of 400", 5, "[东 400@07:30 300@12:30]"},
		{"what fell due after the change was missed", join(hours(t, 7, repeat(400, 5)...), missed(hours(t, 12, repeat(500, 5)...))),
			"2000/400 of 500", 5, "[东 400@07:30 500@12:30]"},
		{"each output by itself", join(hours(t, 7, 400, 300), []asrun.Row{playlisttest.Row(t, "09:30", "西", 1, 1)}),
			"960/660 of 660", 960.0 / 660, "[东 400@07:30 300@08:30]"},
		{
			"an interrupted clip whose output had changed when it went on", []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400), residents(400)),
				playlisttest.Row(t, "07:30", "东", 1, 2, ended(asrun.Complete, 400, 600), residents(300)),
			},
			"300/300 of 300", 1, "[]",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, by := range []asrun.Grouping{asrun.ByClip, asrun.ByIssue, asrun.BySeries, asrun.ByDay, asrun.ByOutput, asrun.BySlot} {
				tally := asrun.NewTally(by, playlisttest.Shanghai(t))
				for _, r := range c.rows {
					tally.Add(r)
				}
				_, got := tally.Lines()
				if figures := fmt.Sprintf("%d/%d of %d", got.PersonAirings, got.Reached, got.Residents); figures != c.want {
					t.Errorf("by %s: %s, want %s", by, figures, c.want)
				}
				if f, ok := got.Frequency(); !ok || math.Abs(f-c.frequency) > 1e-9 {
					t.Errorf("by %s: frequency %v, want %v", by, f, c.frequency)
				}
				if list := changes(t, tally.Changed()); list != c.changed {
					t.Errorf("by %s: changed %s, want %s", by, list, c.changed)
				}
			}
		})
	}
}

func changes(t *testing.T, all []asrun.Change) string {
	t.Helper()
	list := []string{}
	for _, c := range all {
		s := c.Output
		for _, f := range c.Figures {
			s += fmt.Sprintf(" %d@%s", f.Residents, f.Since.In(playlisttest.Shanghai(t)).Format("15:04"))
		}
		list = append(list, s)
	}
	return fmt.Sprint(list)
}

// Three airings on the evening of the 23rd and two on the 24th, a change between: each
// day has its own figure, and of both the larger one counts.
func TestADayCountsTheResidentsOfItsOwnAirings(t *testing.T) {
	tally := asrun.NewTally(asrun.ByDay, playlisttest.Shanghai(t))
	for _, r := range slices.Concat(hours(t, 20, 400, 400, 400), hours(t, 7, 300, 300)) {
		if r.Residents == 300 {
			r.Due = r.Due.AddDate(0, 0, 1)
			r.Airing = playlist.NewAiringID(r.Slot, r.Due)
		}
		tally.Add(r)
	}
	lines, total := tally.Lines()
	var got []string
	for _, l := range append(lines, total) {
		f, _ := l.Frequency()
		got = append(got, fmt.Sprintf("%s %d/%d %.2f", l.Key, l.PersonAirings, l.Reached, f))
	}
	if want := []string{"2026-11-23 1200/400 3.00", "2026-11-24 600/300 2.00", " 1800/400 4.50"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Due ten minutes before midnight of the site, it sounded after: at 16:00 UTC the day ends.
func TestAnAiringBelongsToTheDayOnWhichItFellDue(t *testing.T) {
	tally := asrun.NewTally(asrun.ByDay, playlisttest.Shanghai(t))
	for _, due := range []string{"00:00", "23:50"} {
		tally.Add(playlisttest.Row(t, due, "东", 1, 1, func(r *asrun.Row) {
			r.Started, r.Ended = r.Due.Add(20*time.Minute), r.Due.Add(21*time.Minute)
		}))
	}
	if lines, _ := tally.Lines(); len(lines) != 1 || lines[0].Key != "2026-11-23" || lines[0].Completed != 2 {
		t.Errorf("%+v", lines)
	}
}

// The last row before an airing that nobody recorded has 400 residents, the config of
// today 260 or 900.
func TestAnAiringThatNobodyRecordedHasTheResidentsOfTheLast(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	for _, today := range []int{260, 900} {
		p := &playlist.Programme{
			Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{playlisttest.Slot(t, "早", "30 7-10 * * *", "东")},
			Outputs: []playlist.Output{{Name: "东", Residents: today}},
		}
		now := playlisttest.At(t, zone, "2026-11-23 10:40")
		for _, c := range []struct {
			name, since, want string
		}{
			{"of the period", "2026-11-23 00:00", "4/1 400/400 of 400"},
			{"before the period", "2026-11-23 08:00", "3/0 0/0 of 400"},
		} {
			got, err := asrun.Report(p, each(hours(t, 7, 400), nil), asrun.ByDay, playlisttest.At(t, zone, c.since), time.Time{}, now)
			if err != nil {
				t.Fatal(err)
			}
			r := got.Total
			if s := fmt.Sprintf("%d/%d %d/%d of %d", r.Planned, r.Completed, r.PersonAirings, r.Reached, r.Residents); s != c.want || len(got.Changed) > 0 {
				t.Errorf("%d today, the last row %s: %s, want %s; changed %v", today, c.name, s, c.want, got.Changed)
			}
		}
	}
}

func number(id playlist.ClipID) string { return strings.TrimLeft(string(id), "0") }

// What fell due at 09:30 has no row.
func TestASlotHasALineAndSoundsByHandHaveOne(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{
		Site: playlist.Site{Zone: zone}, Slots: []playlist.Slot{playlisttest.Slot(t, "早", "30 7-9 * * *", "东")},
		Outputs: []playlist.Output{{Name: "东", Residents: 420}},
	}
	evening := func(r *asrun.Row) { r.Slot, r.Airing = "晚", playlist.NewAiringID("晚", r.Due) }
	byHand := func(user string) func(*asrun.Row) {
		return func(r *asrun.Row) { r.Slot, r.Airing, r.Residents = "", playlist.ByHand(user), 100 }
	}
	rows := []asrun.Row{
		playlisttest.Row(t, "07:30", "东", 1, 1), playlisttest.Row(t, "08:00", "东", 1, 1, byHand("li")), playlisttest.Row(t, "08:10", "东", 1, 1, byHand("")),
		playlisttest.Row(t, "08:30", "东", 1, 1), playlisttest.Row(t, "19:30", "东", 1, 1, evening),
	}
	got, err := asrun.Report(p, each(rows, nil), asrun.BySlot, time.Time{}, time.Time{}, playlisttest.At(t, zone, "2026-11-23 20:00"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range got.Lines {
		lines = append(lines, fmt.Sprintf("%s %d/%d %d unknown, %d", l.Key, l.Completed, l.Planned, l.Unknown, l.Reached))
	}
	if want := []string{"hand/ 2/2 0 unknown, 100", "早 2/3 1 unknown, 420", "晚 1/1 0 unknown, 420"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}
