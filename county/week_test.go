package county_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/schedule"
)

// weekOf asks what is in force from an instant on.
func (w *world) weekOf(t *testing.T, scope playlist.Scope, from time.Time) (got county.Week) {
	t.Helper()
	if s := w.call(t, "GET", "/api/week", url.Values{"scope": {string(scope)}, "from": {from.Format(time.RFC3339)}}, nil, &got); s != http.StatusOK {
		t.Fatalf("the week of %s: %d", scope, s)
	}
	return got
}

// airs lists the airings of a week as "day time slot scope".
func airs(w county.Week, zone *time.Location) (all []string) {
	for _, a := range w.Airings {
		scope := "own"
		if a.Scope != "" {
			_, scope, _ = strings.Cut(string(a.Scope), ":")
		}
		line := fmt.Sprint(a.Due.In(zone).Format("02 15:04 "), a.Slot, " ", scope)
		for _, f := range a.Flags {
			line += fmt.Sprint(" ", f.Kind, " ", f.Other)
		}
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func cronOf(t *testing.T, spec string) playlist.Cron {
	return must[playlist.Cron](t)(playlist.ParseCron(spec))
}

func TestAWeekMergesAllThatIsInForce(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	zone := w.Zone
	b := w.enrol(t, village, []string{"schools"}, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	w.understands(t, b, link.Understood()...)
	second := w.enrol(t, village, nil, speaker("村西", village, 60)) // so that the area is no single controller's
	w.understands(t, second, link.Understood()...)
	clip := w.clip(t, "clip1.mp3")
	publish := func(by string, scope playlist.Scope, change func(*county.Draft)) store.Envelope {
		t.Helper()
		d := draft(t, scope, clip)
		change(&d)
		p := must[county.Proposal](t)(w.Propose(t.Context(), d))
		d.Over, d.Anyway = &p.Over, true
		return must[store.Envelope](t)(county.Push(county.As(t.Context(), by), w.County, d))
	}
	weekly := "30 7 * * 1" // on Mondays
	publish("王编辑", playlist.AreaScope(countyArea), func(d *county.Draft) { d.Slots[0].Cron, d.Note = cronOf(t, weekly), "冬季" })
	noon := publish("李编辑", playlist.AreaScope(townArea), func(d *county.Draft) { d.Slots[0].Name, d.Slots[0].Cron = "午间", cronOf(t, "0 12 * * 3") })
	publish("", playlist.GroupScope("schools"), func(d *county.Draft) { d.Slots[0].Name, d.Slots[0].Cron = "学校", cronOf(t, "0 9 * * 5") })
	publish("王编辑", playlist.ControllerScope(b.id), func(d *county.Draft) {
		d.Slots, d.Playlists = []playlist.Slot{}, []playlist.Playlist{}
		d.Exceptions = []playlist.Exception{{Slot: "午间", Days: []playlist.Date{"2088-03-03"}, At: []playlist.TimeOfDay{13 * 60}}}
	})
	own := draft(t, "", clip).Slots[0]
	own.Name, own.Cron, own.Outputs = "村务", cronOf(t, "0 7 * * 1"), []string{"村口"}
	w.rules(t, b, playlist.Local{
		Zone: zone.String(), Wins: playlist.WinsPriority, Quiet: []playlist.Span{{From: 12 * 60, To: 13 * 60, Days: 1 << time.Wednesday}},
		Slots: []playlist.LocalSlot{{Slot: own, Title: "村务公开", Length: 45 * time.Minute}},
	})

	monday := time.Date(2088, 3, 1, 0, 0, 0, 0, zone)
	got := w.weekOf(t, playlist.ControllerScope(b.id), monday)
	want := []string{"01 07:00 村务 own", "01 07:30 早间健康 341523000000 waits 村务", "03 13:00 午间 341523100000", "05 09:00 学校 schools"}
	if text := airs(got, zone); len(text) != 4 || text[0] != want[0] || !strings.HasPrefix(text[1], "01 07:30 早间健康 341523000000 missed_busy") || text[2] != want[2] || text[3] != want[3] {
		t.Errorf("%q\nwant %q", text, want)
	}
	var by []string
	for _, s := range got.Sources {
		by = append(by, fmt.Sprint(s.Scope, " ", s.Version, " ", s.By, " ", s.Note))
	}
	if want := []string{"area:341523000000 1 王编辑 冬季", "area:341523100000 1 李编辑 ", "group:schools 1  ", "controller:" + string(b.id) + " 1 王编辑 "}; !slices.Equal(by, want) {
		t.Errorf("sources %q\nwant %q", by, want)
	}
	if got.Own == nil || len(got.Own.Slots) != 1 || len(got.Slots) != 4 || got.Slots[0].Slot.Name != "村务" && got.Slots[3].Slot.Name != "村务" {
		t.Errorf("own %+v, slots %+v", got.Own, got.Slots)
	}

	// The town's programme of a later day: until then the one before it holds.
	publish("李编辑", playlist.AreaScope(townArea), func(d *county.Draft) {
		d.Slots[0].Cron, d.Slots[0].Instead, d.NotBefore = cronOf(t, "0 18 * * 2"), true, monday.AddDate(0, 0, 7)
	})
	if got = w.weekOf(t, playlist.AreaScope(village), monday); len(got.Airings) != 2 || len(got.Later) != 1 || got.Sources[1].Version != noon.Version {
		t.Errorf("before its day: %q, later %+v", airs(got, zone), got.Later)
	}
	got = w.weekOf(t, playlist.AreaScope(village), monday.AddDate(0, 0, 7))
	if text := airs(got, zone); !slices.Equal(text, []string{"09 18:00 早间健康 341523100000"}) || len(got.Narrower) != 2 {
		t.Errorf("from its day on: %q, narrower %q", text, got.Narrower)
	}
	replaced := slices.IndexFunc(got.Slots, func(s county.WeekSlot) bool { return s.Replaced })
	if replaced < 0 || got.Slots[replaced].Scope != playlist.AreaScope(countyArea) || !got.Slots[replaced].Exceptions[0].Instead {
		t.Errorf("the county's slot: %+v", got.Slots)
	}

	// What the county once had is told too.
	if got = w.weekOf(t, playlist.AreaScope(village), time.Now().AddDate(0, 0, -30)); len(got.Airings) != 0 || len(got.Sources) != 0 {
		t.Errorf("a month ago: %q", airs(got, zone))
	}
	var d county.Difference
	w.call(t, "GET", "/api/difference", url.Values{"scope": {string(playlist.AreaScope(townArea))}, "was": {"1"}}, nil, &d)
	if d.Was.Version != 1 || d.Now.Version != 2 || len(d.Changes) != 2 || d.Now.By != "李编辑" {
		t.Errorf("the difference: %+v", d)
	}
}

func TestAProgrammeIsWithdrawn(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	scope := playlist.AreaScope(townArea)
	draft1 := draft(t, scope, w.clip(t, "clip1.mp3"))
	must[store.Envelope](t)(w.Issue(t.Context(), draft1))
	none := county.Draft{Scope: scope, Withdraw: true, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}}
	e := must[store.Envelope](t)(w.Issue(t.Context(), none))
	eventually(t, "it arrives", func() bool { return b.has(link.KindManifest, scope) == e.Version })
	if got := w.weekOf(t, scope, time.Now().Add(time.Second)); len(got.Airings) != 0 || len(got.Slots) != 0 {
		t.Errorf("it airs %+v", got)
	}
	if s := w.call(t, "POST", "/api/propose", nil, none, nil); s != http.StatusUnprocessableEntity {
		t.Errorf("withdrawn twice: %d", s)
	}
	must[store.Envelope](t)(w.Rollback(t.Context(), scope, 1))
	if got := w.weekOf(t, scope, time.Now().Add(time.Second)); len(got.Airings) != 7 {
		t.Errorf("brought back: %d airings", len(got.Airings))
	}
}

// Each kind of village is planned by what it has of its own.
func TestConflictsAreThoseOfEachKindOfVillage(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	early := playlist.Local{Quiet: []playlist.Span{{From: 21 * 60, To: 8 * 60}}}
	late := playlist.Local{Quiet: []playlist.Span{{From: 22 * 60, To: 6 * 60}}}
	evening := draft(t, "", w.clip(t, "clip1.mp3")).Slots[0]
	evening.Name, evening.Outputs, evening.Priority = "村务", []string{"村口"}, 9
	for i, own := range []playlist.Local{early, early, late, {Quiet: late.Quiet, Slots: []playlist.LocalSlot{{Slot: evening, Length: time.Minute}}}} {
		b := w.enrol(t, village, nil, speaker("村口", village, 100*(i+1)))
		w.rules(t, b, own)
	}
	p := must[county.Proposal](t)(w.Propose(t.Context(), draft(t, playlist.AreaScope(countyArea), w.clip(t, "clip1.mp3"))))
	if len(p.Conflicts) != 2 || p.Foresight != (county.Foresight{}) {
		t.Fatalf("%+v, %+v", p.Conflicts, p.Foresight)
	}
	slices.SortFunc(p.Conflicts, func(a, b county.Conflict) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	quiet, waits := p.Conflicts[0], p.Conflicts[1]
	if quiet.Kind != schedule.FlagQuiet || quiet.Controllers != 2 || quiet.Residents != 300 || quiet.Times != 7 || len(quiet.Names) != 2 {
		t.Errorf("quiet hours: %+v", quiet)
	}
	if waits.Kind != schedule.FlagWaits || waits.Controllers != 1 || waits.Residents != 400 || waits.Other != "村务" || waits.OtherScope != "" {
		t.Errorf("a slot of the site's own: %+v", waits)
	}

	// What a controller tells is bounded: its slots may be a stranger's by now.
	dense := evening
	dense.Cron = cronOf(t, "* * * * * *")
	crowd := playlist.Local{Slots: slices.Repeat([]playlist.LocalSlot{{Slot: dense, Length: time.Second}}, 40)}
	crowd.Slots = append(crowd.Slots, playlist.LocalSlot{Slot: evening, Length: 100 * 365 * 24 * time.Hour})
	crowded := w.enrol(t, village, nil, speaker("村口", village, 10))
	w.rules(t, crowded, crowd)
	if p = must[county.Proposal](t)(w.Propose(t.Context(), draft(t, playlist.AreaScope(countyArea), w.clip(t, "clip1.mp3")))); p.Foresight.Untold != 1 || len(p.Conflicts) != 2 {
		t.Errorf("with a crowd of slots: %+v, %+v", p.Foresight, p.Conflicts)
	}
	if got := w.weekOf(t, playlist.ControllerScope(crowded.id), time.Now().Add(time.Second)); len(got.Airings) > 0 || !got.Part {
		t.Errorf("its week has %d airings", len(got.Airings))
	}

	// An old program does not tell, and what a later one tells is not understood.
	for i, said := range []json.RawMessage{nil, json.RawMessage(`{"quiet": "none"}`)} {
		id := playlist.ControllerID(fmt.Sprint("old-", i))
		code := store.Code{ID: string(id), Secret: []byte{1}, Controller: id, Area: village, Approve: true, Expires: time.Now().Add(time.Hour)}
		if err := w.Store.AddCode(t.Context(), code); err != nil {
			t.Fatal(err)
		}
		must[store.Controller](t)(w.Store.UseCode(t.Context(), code.ID, store.Controller{Key: string(id), State: store.Active, Outputs: []store.Output{{Name: "村口", Area: village}}}))
		if err := w.Store.Seen(t.Context(), id, store.Report{Local: said}); err != nil {
			t.Fatal(err)
		}
	}
	if p = must[county.Proposal](t)(w.Propose(t.Context(), draft(t, playlist.AreaScope(countyArea), w.clip(t, "clip1.mp3")))); p.Foresight.Untold != 3 || len(p.Conflicts) != 2 {
		t.Errorf("with an old program: %+v, %+v", p.Foresight, p.Conflicts)
	}
}

func TestAnExceptionFromNothingIsDoubted(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	w.understands(t, b, link.Understood()...)
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, playlist.AreaScope(countyArea), w.clip(t, "clip1.mp3"))))
	text := "[[exception]]\nslot = %q\ndays = [\"2088-03-03\"]\n"
	for _, c := range []struct {
		slot  string
		scope playlist.Scope
		doubt []county.Doubt
	}{
		{"早间健康", playlist.AreaScope(townArea), nil},
		{"早间健康", playlist.ControllerScope(b.id), nil},
		{"早间健康课", playlist.AreaScope(townArea), []county.Doubt{county.DoubtNoSlot}},
		{"早间健康", playlist.AreaScope(countyArea), []county.Doubt{county.DoubtNoSlot}},
	} {
		push, problems := config.ReadPush("push.toml", fmt.Appendf(nil, text, c.slot), w.Zone, nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		d := county.Draft{Scope: c.scope, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Exceptions: push.Exceptions}
		if p := must[county.Proposal](t)(w.Propose(t.Context(), d)); !slices.Equal(p.Doubts, c.doubt) {
			t.Errorf("%s for %s: %q, want %q", c.slot, c.scope, p.Doubts, c.doubt)
		}
	}

	// A program one version back would refuse the whole manifest.
	w.understands(t, b, "manifest-slots-days-calendar")
	d := county.Draft{Scope: playlist.AreaScope(townArea), Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Exceptions: []playlist.Exception{{Slot: "早间健康", From: "2088-03-03"}}}
	if _, err := w.Propose(t.Context(), d); err == nil || !strings.Contains(err.Error(), "manifest-exceptions") || !strings.Contains(err.Error(), string(b.id)) {
		t.Errorf("for an old program: %v", err)
	}
}

// What a village leaves out is not missed there, and what it moves is expected then.
func TestWhatIsLeftOutIsNotUnknown(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	due := time.Now().In(shanghai).Add(2 * time.Hour).Truncate(time.Minute) // once until the test ends
	day := playlist.Date(due.Format(time.DateOnly))
	var boxes []*box
	for i := range 5 {
		b := w.enrol(t, village, nil, speaker("村口", village, 1<<i))
		w.understands(t, b, link.Understood()...)
		boxes = append(boxes, b)
	}
	clip := w.clip(t, "clip1.mp3")
	d := draft(t, playlist.AreaScope(countyArea), clip)
	d.Slots[0].Cron = cronOf(t, fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour()))
	must[store.Envelope](t)(w.Issue(t.Context(), d))
	out := []playlist.Exception{{Slot: "早间健康", Days: []playlist.Date{day}}}
	w.rules(t, boxes[1], playlist.Local{Exceptions: out})
	none := county.Draft{Scope: playlist.ControllerScope(boxes[2].id), Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Exceptions: out}
	must[store.Envelope](t)(w.Issue(t.Context(), none))
	moved := out[0]
	moved.At = []playlist.TimeOfDay{playlist.TimeOfDay((due.Hour()*60 + due.Minute() + 5) % (24 * 60))}
	w.rules(t, boxes[3], playlist.Local{Exceptions: []playlist.Exception{moved}})
	d.Scope, d.Slots[0].Instead, d.Slots[0].Cron = playlist.ControllerScope(boxes[4].id), true, cronOf(t, fmt.Sprintf("%d %d * * *", due.Minute(), (due.Hour()+12)%24))
	must[store.Envelope](t)(w.Issue(t.Context(), d))

	w.shift.Store(int64(time.Until(due.Add(time.Hour))))
	if err := county.AccountNow(t.Context(), w.County); err != nil {
		t.Fatal(err)
	}
	rep := must[county.ReachReport](t)(w.Reach(t.Context(), store.ReachQuery{By: store.ByArea}))
	want := 2 // the first, and the one that moved it
	if due.Hour()*60+due.Minute()+5 >= 24*60 {
		want = 1 // it was moved to the beginning of that day
	}
	if rep.Total.Unknown != want || rep.Total.Planned != want {
		t.Errorf("%+v, want %d unknown", rep.Total, want)
	}
}

// A controller holds one version beside the one that it airs by. So one that waits for its
// day is lost if another is published by then, and the weeks, the previews and the unknown
// go by that.
func TestAVersionThatWaitsIsLostIfAnotherIsPublished(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	scope, clip := playlist.AreaScope(townArea), w.clip(t, "clip1.mp3")
	now := time.Now().In(w.Zone)
	first := playlist.StartOfDay(now.Year(), now.Month(), now.Day()+10, w.Zone) // any day will do
	// from the day before on, what airs at those hours
	daily := func(hours ...int) (all []string) {
		for i, h := range hours {
			all = append(all, fmt.Sprintf("%s %02d:00 早间健康 341523100000", first.AddDate(0, 0, i-1).Format("02"), h))
		}
		return all
	}
	publish := func(spec string, from time.Time) county.Proposal {
		t.Helper()
		d := draft(t, scope, clip)
		d.Slots[0].Cron, d.NotBefore = cronOf(t, spec), from
		p := must[county.Proposal](t)(w.Propose(t.Context(), d))
		must[store.Envelope](t)(w.Issue(t.Context(), d))
		return p
	}
	publish("0 7 * * *", time.Time{})
	publish("0 8 * * *", first)
	// In the week of its day, both have their part.
	before := first.AddDate(0, 0, -1)
	got := w.weekOf(t, scope, before)
	want := daily(7, 8, 8, 8, 8, 8, 8)
	if text := airs(got, w.Zone); !slices.Equal(text, want) || len(got.Slots) != 2 || !got.Slots[0].Ends.Equal(first) || !got.Slots[1].Begins.Equal(first) {
		t.Errorf("%q\nwant %q; slots %+v", text, want, got.Slots)
	}
	if p := publish("0 9 * * *", first.AddDate(0, 0, 3)); p.Waiting == nil || p.Waiting.Version != 2 {
		t.Errorf("the preview says of the version that waits: %+v", p.Waiting)
	}
	want = daily(7, 7, 7, 7, 9, 9, 9)
	if text := airs(w.weekOf(t, scope, before), w.Zone); !slices.Equal(text, want) {
		t.Errorf("once it was overtaken: %q\nwant %q", text, want)
	}

	// What should have aired is that of the versions that were in force.
	for at := first.AddDate(0, 0, -2); at.Before(first.AddDate(0, 0, 6)); at = at.AddDate(0, 0, 1) {
		w.shift.Store(int64(time.Until(at)))
		if err := county.AccountNow(t.Context(), w.County); err != nil {
			t.Fatal(err)
		}
	}
	day := func(n int) playlist.Date { return playlist.Date(first.AddDate(0, 0, n).Format(time.DateOnly)) }
	rep := must[county.ReachReport](t)(w.Reach(t.Context(), store.ReachQuery{By: store.ByDay, From: day(-1), To: day(4)}))
	if rep.Total.Unknown != 6 {
		t.Errorf("%d unknown, want one a day", rep.Total.Unknown)
	}
}

// A preview plans what a push does to the slots of wider scopes, too.
func TestAPreviewForeseesWhatExceptionsBringAbout(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	w.understands(t, b, link.Understood()...)
	w.rules(t, b, playlist.Local{Quiet: []playlist.Span{{From: 12 * 60, To: 14 * 60}}})
	clip := w.clip(t, "clip1.mp3")
	must[store.Envelope](t)(w.Issue(t.Context(), draft(t, playlist.AreaScope(countyArea), clip)))
	tomorrow := playlist.Date(time.Now().In(w.Zone).AddDate(0, 0, 1).Format(time.DateOnly))
	d := county.Draft{Scope: playlist.AreaScope(townArea), Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}}
	d.Exceptions = []playlist.Exception{{Slot: "早间健康", Days: []playlist.Date{tomorrow}, At: []playlist.TimeOfDay{13 * 60}}}
	p := must[county.Proposal](t)(w.Propose(t.Context(), d))
	if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != schedule.FlagQuiet || p.Conflicts[0].Scope != playlist.AreaScope(countyArea) || p.Conflicts[0].Times != 1 || len(p.Doubts) != 0 {
		t.Errorf("moved into quiet hours: %+v, doubts %q", p.Conflicts, p.Doubts)
	}
	must[store.Envelope](t)(w.Issue(t.Context(), d))
	if p = must[county.Proposal](t)(w.Propose(t.Context(), d)); len(p.Changes) != 0 || len(p.Conflicts) != 0 {
		t.Errorf("the same once more: %+v, %+v", p.Changes, p.Conflicts)
	}

	// Days that are over are doubted, and so is a slot that goes while others speak of it.
	d.Exceptions[0].Days = []playlist.Date{"2025-12-01"}
	if p = must[county.Proposal](t)(w.Propose(t.Context(), d)); !slices.Equal(p.Doubts, []county.Doubt{county.DoubtOver}) {
		t.Errorf("an exception that is over: %q", p.Doubts)
	}
	renamed := draft(t, playlist.AreaScope(countyArea), clip)
	renamed.Slots[0].Name = "晨间健康"
	p = must[county.Proposal](t)(w.Propose(t.Context(), renamed))
	if !slices.Equal(p.Orphans, []county.Orphan{{Slot: "早间健康", Scope: playlist.AreaScope(townArea)}}) || !slices.Equal(p.Doubts, []county.Doubt{county.DoubtOrphans}) {
		t.Errorf("a slot that is renamed: %+v, %q", p.Orphans, p.Doubts)
	}
}
