package asrun_test

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
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
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Unknown: 1, Residents: 420},
		},
		{
			"interrupted, and the next part is still open",
			[]asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, ended(asrun.Preempted, 0, 400)),
				playlisttest.Row(t, "07:30", "东", 1, 2, stillOpen),
			},
			asrun.Reach{Planned: 1, Delivered: 1, Started: 1, Unknown: 1, Residents: 420},
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
			lines, total, err := asrun.Report(p, each(c.rows, nil), asrun.ByOutput, instant(c.since), instant(c.until), instant(c.now))
			if err != nil {
				t.Fatal(err)
			}
			if total.Planned != c.planned || total.Unknown != c.unknown || total.Completed != c.completed || total.Reached != c.reached {
				t.Errorf("%+v", total)
			}
			for _, l := range lines {
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
	_, _, err := asrun.Report(p, each([]asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1)}, broken), asrun.ByClip, time.Time{}, time.Time{}, time.Now())
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestGroupings(t *testing.T) {
	for _, g := range []asrun.Grouping{asrun.ByClip, asrun.BySeries, asrun.ByDay, asrun.ByOutput} {
		if got, err := asrun.ParseGrouping(g.String()); got != g || err != nil {
			t.Errorf("%s: %s, %v", g, got, err)
		}
	}
	if _, err := asrun.ParseGrouping("week"); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("week: %v", err)
	}
}

func number(id playlist.ClipID) string { return strings.TrimLeft(string(id), "0") }
