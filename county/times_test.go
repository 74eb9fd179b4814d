package county_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func (v *villages) tones() []county.Tone {
	return county.TonesOf(v.alert, v.fleet, v.targets, v.rows, v.now)
}

func TestHowLongAnAlertTookInAVillage(t *testing.T) {
	const heard, nothing, unknown = county.HeardTone, county.HeardNothing, county.HeardUnknown
	untrusted := func(v *villages, i int) *villages {
		v.rows[i].Clock = playlist.ClockUntrusted
		return v
	}
	for _, c := range []struct {
		name string
		of   *villages
		want county.Heard
		took time.Duration
	}{
		{"the tone of the first pass counts", newVillages().heard(0, 2, 1500*time.Millisecond), heard, 1500 * time.Millisecond},
		{"no receipt has come", newVillages(), unknown, 0},
		{"it does not air it", newVillages().told(0, emergency.StateRefused, emergency.ReasonDrill), nothing, 0},
		{"it is through, and no receipt has come", newVillages().told(0, emergency.StateDone, ""), unknown, 0},
		{"its device did not answer", func() *villages {
			v := newVillages().heard(0, 1, time.Second)
			for i := range v.rows {
				v.rows[i].Frames, v.rows[i].Outcome, v.rows[i].Reason = 0, asrun.Failed, asrun.ReasonDevice
			}
			return v
		}(), nothing, 0},
		{"its clock was not trusted when it began", untrusted(newVillages().heard(0, 2, time.Second), 0), unknown, 0},
		{"its clock was not trusted later", untrusted(newVillages().heard(0, 2, time.Second), 3), heard, time.Second},
		{"its times were put right", func() *villages {
			v := newVillages().heard(0, 1, time.Second)
			v.rows[0].Clock = playlist.ClockRepaired
			return v
		}(), heard, time.Second},
		{"its clock is a little behind", newVillages().heard(0, 1, -time.Second), heard, 0},
		{"its clock is far behind", newVillages().heard(0, 1, -time.Minute), unknown, 0},
		{"its quickest output counts", func() *villages {
			v := newVillages().heard(0, 1, 9*time.Second).heard(0, 1, 4*time.Second)
			for i := range v.rows[2:] {
				v.rows[2+i].Output = "村东"
			}
			return v
		}(), heard, 4 * time.Second},
		{"it waited for a person first", func() *villages {
			v := newVillages().heard(0, 1, 4*time.Minute+2*time.Second)
			v.alert.Detail.Released = v.alert.Received.Add(4 * time.Minute)
			return v
		}(), heard, 4*time.Minute + 2*time.Second},
		{"the alert named a later time itself", func() *villages {
			v := newVillages().heard(0, 1, time.Hour+3*time.Second)
			v.alert.NotBefore = v.alert.Received.Add(time.Hour)
			return v
		}(), heard, 3 * time.Second},
	} {
		if got := c.of.tones()[0]; got.Heard != c.want || got.Took != c.took {
			t.Errorf("%s: %s after %v, want %s after %v", c.name, got.Heard, got.Took, c.want, c.took)
		}
	}
}

func TestTimesAreAddedUp(t *testing.T) {
	var tones []county.Tone
	add := func(alert playlist.AlertID, k playlist.ControllerID, area playlist.Area, h county.Heard, took time.Duration) {
		tones = append(tones, county.Tone{Reviewed: alert == "bb", Alert: alert, Controller: k, Name: "村" + string(k), Area: area, Heard: h, Took: took, Ordered: time.Unix(int64(len(alert)), 0)})
	}
	add("a", "1", village, county.HeardTone, time.Second)
	add("a", "2", village, county.HeardTone, 61*time.Second)
	add("a", "3", other, county.HeardUnknown, 0)
	add("bb", "1", village, county.HeardTone, 60*time.Second)
	add("bb", "2", village, county.HeardTone, 301*time.Second)
	add("bb", "3", other, county.HeardNothing, 0)
	line := func(lines []county.TimesLine, key string) county.TimesLine {
		for _, l := range lines {
			if l.Key == key {
				return l
			}
		}
		t.Fatalf("no line of %s in %+v", key, lines)
		panic("unreachable")
	}
	check := func(name string, l county.TimesLine, targeted, heard, nothing, unknown int, in60, in300 string, p50, p99 float64) {
		t.Helper()
		text := func(r county.Rate) string { return fmt.Sprintf("%d/%d", r.Numerator, r.Denominator) }
		if l.Targeted != targeted || l.Heard != heard || l.Nothing != nothing || l.Unknown != unknown || text(l.Automatic) != in60 || text(l.Review) != in300 ||
			l.Automatic.Unknown+l.Review.Unknown != int64(unknown) {
			t.Errorf("%s: %+v", name, l)
		}
		if heard > 0 && (*l.P50 != p50 || *l.P99 != p99 || *l.Max != p99) || heard == 0 && (l.P50 != nil || l.Max != nil) {
			t.Errorf("%s: p50 %v, p99 %v, max %v", name, l.P50, l.P99, l.Max)
		}
	}
	lines, total := county.Times(tones, county.TimesByVillage)
	check("the total", total, 6, 4, 1, 1, "1/3", "1/3", 60, 301)
	check("village 1", line(lines, "1"), 2, 2, 0, 0, "1/1", "1/1", 1, 60)
	check("village 3", line(lines, "3"), 2, 0, 1, 1, "0/1", "0/1", 0, 0)
	lines, _ = county.Times(tones, county.TimesByTown)
	check("a town", line(lines, string(townArea)), 4, 4, 0, 0, "1/2", "1/2", 60, 301)
	lines, _ = county.Times(tones, county.TimesByAlert)
	check("an alert", line(lines, "a"), 3, 2, 0, 1, "1/3", "0/0", 1, 61)
	if len(lines) != 2 || lines[0].Key != "a" {
		t.Errorf("alerts are not in their order: %+v", lines)
	}
	if lines, total := county.Times(nil, county.TimesByTown); lines == nil || total.Automatic.Value != nil {
		t.Errorf("of nothing: %v %+v", lines, total)
	}
}

// Percentiles are the nearest rank: one of the times themselves.
func TestPercentilesAreTheNearestRank(t *testing.T) {
	for _, c := range []struct {
		n        int
		p50, p99 float64
	}{{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {99, 50, 99}, {100, 50, 99}, {101, 51, 100}, {1000, 500, 990}} {
		var tones []county.Tone
		for _, i := range rand.Perm(c.n) {
			tones = append(tones, county.Tone{Heard: county.HeardTone, Took: time.Duration(i+1) * time.Second})
		}
		if _, total := county.Times(tones, county.TimesByAlert); *total.P50 != c.p50 || *total.P99 != c.p99 || *total.Max != float64(c.n) {
			t.Errorf("of %d: p50 %v, p99 %v, max %v", c.n, *total.P50, *total.P99, *total.Max)
		}
	}
}

// The report is of one class of alerts, of the villages asked for, on the days asked for.
func TestTheReportOnTimes(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, []string{"flat"}, speaker("村口", village, 420))
	far := w.enrol(t, other, nil, speaker("村西", other, 60))
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Text: "预警", Title: "洪水预警", Level: emergency.Blue, Passes: 1, Scopes: []playlist.Scope{playlist.AreaScope(countyArea)}, Audio: course(t), AudioName: "a.mp3",
	}, false))
	b.sounded(v.ID, "村口", 420, asrun.Complete)
	eventually(t, "its rows are in", func() bool { return b.unsent() == 0 })
	report := func(q url.Values) (r county.TimesReport) {
		t.Helper()
		if s := w.call(t, "GET", "/api/times", q, nil, &r); s != http.StatusOK {
			t.Fatalf("%v: %d", q, s)
		}
		return r
	}
	today := w.clock().In(shanghai).Format(time.DateOnly)
	if r := report(url.Values{"from": {today}, "to": {today}}); len(r.Lines) != 2 || r.Total.Targeted != 2 || r.Total.Heard != 1 || r.Total.Unknown != 1 || r.Total.Automatic.Numerator != 1 {
		t.Errorf("the whole county: %+v", r)
	}
	if r := report(url.Values{"by": {"alert"}}); len(r.Lines) != 1 || r.Lines[0].Name != "洪水预警" || r.Lines[0].Targeted != 2 {
		t.Errorf("by alert: %+v", r)
	}
	if r := report(url.Values{"scope": {string(playlist.ControllerScope(far.id))}}); len(r.Lines) != 1 || r.Lines[0].Key != string(far.id) || r.Total.Unknown != 1 {
		t.Errorf("one controller: %+v", r)
	}
	if r := report(url.Values{"scope": {string(playlist.GroupScope("flat"))}}); len(r.Lines) != 1 || r.Total.Heard != 1 {
		t.Errorf("a group: %+v", r)
	}
	for _, q := range []url.Values{{"class": {"drill_actual"}}, {"from": {"2100-01-01"}}, {"to": {"2000-01-01"}}} {
		if r := report(q); len(r.Lines) != 0 || r.Total.Targeted != 0 {
			t.Errorf("%v: %+v", q, r)
		}
	}
	for _, q := range []url.Values{{"by": {"phase"}}, {"class": {"test"}}, {"from": {"x"}}, {"scope": {"x"}}} {
		if s := w.call(t, "GET", "/api/times", q, nil, nil); s != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", q, s)
		}
	}
}
