package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func clipID(n int) playlist.ClipID { return playlist.ClipID(fmt.Sprintf("%064x", n)) }

func addController(t testing.TB, s *store.Store, id string, area playlist.Area, outputs ...store.Output) {
	t.Helper()
	err := s.AddController(t.Context(), store.Controller{
		ID: playlist.ControllerID(id), Name: "终端 " + id, Area: area, State: store.Active, Outputs: outputs, Key: "key-" + id,
	})
	if err != nil {
		t.Fatal(err)
	}
}

var morning = time.Date(2026, 11, 23, 7, 30, 0, 0, shanghai)

// row is one whole airing of a clip.
func row(slot string, due time.Time, output string, clip int, outcome asrun.Outcome) asrun.Row {
	r := asrun.Row{
		Airing: playlist.NewAiringID(slot, due), Output: output, Item: 1, Part: 1, Slot: slot, Playlist: "健康微课堂",
		Clip: clipID(clip), Title: fmt.Sprintf("第%d期", clip), Series: "健康微课堂", Issue: clip, Rank: playlist.RankScheduled + 5,
		Due: due.UTC(), Cued: due.Add(-time.Second).UTC(), Started: due.UTC(), Ended: due.Add(time.Minute).UTC(),
		Frames: 2880000, OfFrames: 2880000, Residents: 100, Area: "341523100201", Outcome: outcome, Clock: playlist.ClockTrusted,
		Boot: "b", MonoMS: 7, LevelDB: -3.5,
	}
	if outcome != asrun.Complete {
		r.Frames = 1000
	}
	if outcome == asrun.Missed {
		r.Part, r.Frames, r.Cued, r.Started, r.Ended = 0, 0, time.Time{}, time.Time{}, time.Time{}
	}
	return r
}

func receipts(from int64, rows ...asrun.Row) []link.Receipt {
	var all []link.Receipt
	for i, r := range rows {
		r.Seq = from + int64(i)
		all = append(all, link.Receipt{Receipt: asrun.Receipt{Row: r}})
	}
	return all
}

func addReceipts(t testing.TB, s *store.Store, id, epoch string, list []link.Receipt) int64 {
	t.Helper()
	mark, err := s.AddReceipts(t.Context(), link.Batch{Controller: playlist.ControllerID(id), Epoch: epoch, Receipts: list})
	if err != nil && !errors.Is(err, link.ErrGap) {
		t.Fatal(err)
	}
	return mark
}

func total(t testing.TB, s *store.Store, q store.ReachQuery) asrun.Reach {
	t.Helper()
	q.By = cmp.Or(q.By, store.ByClip)
	rep, err := s.Reach(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	// Each grouping looks at sums and sets of its own.
	for _, by := range []store.Grouping{store.ByDay, store.ByArea} {
		other := q
		other.By = by
		if got, err := s.Reach(t.Context(), other); err != nil || got.Total != rep.Total {
			t.Errorf("by %s the total is %+v, by %s %+v, %v", by, got.Total, q.By, rep.Total, err)
		}
	}
	return rep.Total
}

func TestAReceiptThatCannotBeKeptIsPassedOver(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		list := receipts(1,
			row("早", morning, "村口", 1, asrun.Complete), asrun.Row{},
			row("早", morning.AddDate(0, 0, 2), "村口", 3, asrun.Partial), asrun.Row{})
		list[1].Wrong, list[3].Wrong = playlist.ErrInvalid, playlist.ErrInvalid
		for range 2 { // the answer may be lost
			if mark := addReceipts(t, s, "c1", "e", list); mark != 4 {
				t.Errorf("mark %d", mark)
			}
		}
		if mark := addReceipts(t, s, "c1", "f", list[1:2]); mark != 0 {
			t.Errorf("one that others are missing before: mark %d", mark)
		}
		alone := receipts(5, asrun.Row{})
		alone[0].Wrong = playlist.ErrInvalid
		if mark := addReceipts(t, s, "c1", "e", alone); mark != 5 {
			t.Errorf("one alone: mark %d", mark)
		}
		if got := total(t, s, store.ReachQuery{}); got.Planned != 2 || got.Completed != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReceiptsAreKeptOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		list := receipts(1,
			row("早", morning, "村口", 1, asrun.Complete),
			row("早", morning.AddDate(0, 0, 1), "村口", 2, asrun.Complete),
			row("早", morning.AddDate(0, 0, 2), "村口", 3, asrun.Partial))
		for _, step := range []struct {
			name string
			list []link.Receipt
			mark int64
			kept int
		}{
			{"a gap at the start stores nothing", list[1:], 0, 0},
			{"the first two", list[:2], 2, 2},
			{"the same again", list[:2], 2, 2},
			{"an overlap keeps what is new", list[1:], 3, 3},
			{"a gap stores nothing, not even what comes before it", append(receipts(4, row("早", morning.AddDate(0, 0, 3), "村口", 4, asrun.Complete)),
				receipts(6, row("早", morning.AddDate(0, 0, 4), "村口", 5, asrun.Complete))...), 3, 3},
			{"none at all", nil, 3, 3},
		} {
			if mark := addReceipts(t, s, "c1", "e1", step.list); mark != step.mark {
				t.Errorf("%s: mark %d, want %d", step.name, mark, step.mark)
			}
			rows, err := s.Rows(t.Context(), store.RowQuery{Controller: "c1"})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != step.kept {
				t.Errorf("%s: %d rows kept, want %d", step.name, len(rows), step.kept)
			}
			if got := total(t, s, store.ReachQuery{}); got.Planned != step.kept {
				t.Errorf("%s: %d planned, want %d", step.name, got.Planned, step.kept)
			}
		}
		if mark := addReceipts(t, s, "c1", "e2", list[:1]); mark != 1 {
			t.Errorf("another epoch begins at mark %d", mark)
		}
		if _, err := s.AddReceipts(t.Context(), link.Batch{Controller: "c1", Epoch: "e1", Receipts: list[1:]}); err != nil {
			t.Errorf("what is there already: %v", err)
		}
		beyond := receipts(9, row("早", morning.AddDate(0, 0, 9), "村口", 9, asrun.Complete))
		if mark, err := s.AddReceipts(t.Context(), link.Batch{Controller: "c1", Epoch: "e1", Receipts: beyond}); !errors.Is(err, link.ErrGap) || mark != 3 {
			t.Errorf("a gap: mark %d, %v", mark, err)
		}
		if mark, err := s.AddReceipts(t.Context(), link.Batch{Controller: "c1", Epoch: "e1", Gone: 8, Receipts: beyond}); err != nil || mark != 9 {
			t.Errorf("a gap for good: mark %d, %v", mark, err)
		}
		if _, err := s.AddReceipts(t.Context(), link.Batch{Controller: "nobody", Epoch: "e", Receipts: list}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a stranger's receipts: %v", err)
		}
	})
}

func TestARowComesBackAsItWasSent(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		slot := row("早", morning, "村口", 1, asrun.Preempted)
		slot.Reason, slot.FromFrame, slot.AtFrame, slot.LevelDB = asrun.ReasonPreempted, 48000, 99, -6.25
		missed := row("晚", morning, "村口", 1, asrun.Missed)
		missed.Clip, missed.Title, missed.Series, missed.Issue = "", "", "", 0
		alert := row("", morning.Add(time.Hour), "村口", 0, asrun.Complete)
		alert.Alert, alert.Airing, alert.Playlist, alert.Slot, alert.Used = "a,b,c", playlist.AlertID("a,b,c").Airing(), "", "", asrun.UsedSpeech
		odd := row("乱\x00码\xff", morning.Add(2*time.Hour), "村口", 4, asrun.Complete)
		want := []asrun.Row{slot, missed, alert}
		addReceipts(t, s, "c1", "e", receipts(1, append(want, odd)...))
		got, err := s.Rows(t.Context(), store.RowQuery{Controller: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			w.Seq = int64(i + 1)
			if got[i].Row != w {
				t.Errorf("row %d:\n got %+v\nwant %+v", i, got[i].Row, w)
			}
		}
		if strings.ContainsRune(got[3].Slot, 0) || !strings.HasPrefix(got[3].Slot, "乱") {
			t.Errorf("a slot's name that no database takes came back as %q", got[3].Slot)
		}
		only, err := s.Rows(t.Context(), store.RowQuery{Alert: "a,b,c"})
		if err != nil || len(only) != 1 || only[0].Used != asrun.UsedSpeech {
			t.Errorf("rows of the alert: %+v, %v", only, err)
		}
	})
}

func TestAnAlertsRowAndItsCorrectionMayComeTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		r := row("", morning, "村口", 0, asrun.Complete)
		r.Alert, r.Airing, r.Playlist, r.Slot, r.Used, r.Clock = "a", playlist.AlertID("a").Airing(), "", "", asrun.UsedTone, playlist.ClockRepaired
		// What was not sent before its clock was put right is right both times.
		both := receipts(1, r, r)
		both[1].Corrects = &link.Mark{Epoch: "e", Seq: 1}
		addReceipts(t, s, "c1", "e", both)
		got, err := s.Rows(t.Context(), store.RowQuery{Alert: "a"})
		if err != nil || len(got) != 1 || got[0].Seq != 2 {
			t.Errorf("rows of the alert: %+v, %v", got, err)
		}
	})
}

// The county's sums must be those that asrun.Tally finds in the rows.
func TestReachIsWhatTheRowsProve(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		rng := rand.New(rand.NewPCG(7, 11))
		var all []asrun.Row
		areas := []playlist.Area{"341523100201", "341523100202", "341523101001", "341523102007"}
		for c := range 8 {
			id := fmt.Sprintf("c%d", c)
			area := areas[c%len(areas)]
			outs := []store.Output{{Name: id + "甲", Area: area, Residents: 100 + c}, {Name: id + "乙", Area: area, Residents: 300 + c}}
			addController(t, s, id, area, outs...)
			var rows []asrun.Row
			for day := range 20 {
				for hour := range 3 {
					due := morning.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
					for i := range outs {
						o := &outs[i]
						if c%3 > 0 && hour == 1 && rng.IntN(6) == 0 { // people come and go
							o.Residents = 100*(1+rng.IntN(3)) + c
						}
						clip := 1 + rng.IntN(5)
						outcome := []asrun.Outcome{asrun.Complete, asrun.Complete, asrun.Partial, asrun.Missed, asrun.Preempted}[rng.IntN(5)]
						r := row(fmt.Sprintf("时段%d", hour), due, o.Name, clip, outcome)
						r.Residents, r.Area = o.Residents, area
						rows = append(rows, r)
						if outcome == asrun.Preempted && rng.IntN(2) == 0 {
							r.Part, r.Outcome, r.Frames, r.FromFrame = 2, asrun.Complete, r.OfFrames-1000, 1000
							if c%3 == 2 {
								r.Residents += 10 // changed while it was interrupted
							}
							rows = append(rows, r)
						}
					}
				}
			}
			all = append(all, rows...)
			list := receipts(1, rows...)
			for len(list) > 0 { // batches of odd sizes, as the line has it
				n := min(len(list), 1+rng.IntN(60))
				addReceipts(t, s, id, "of "+id, list[:n])
				list = list[n:]
			}
		}
		slices.SortStableFunc(all, func(a, b asrun.Row) int {
			return cmp.Or(a.Due.Compare(b.Due), strings.Compare(string(a.Airing), string(b.Airing)), strings.Compare(a.Output, b.Output), cmp.Compare(a.Part, b.Part))
		})
		for _, q := range []store.ReachQuery{
			{By: store.ByClip}, {By: store.BySeries}, {By: store.ByDay},
			{By: store.ByClip, From: "2026-11-26", To: "2026-12-03"},
			{By: store.ByDay, From: "2026-11-26", To: "2026-11-26"},
			{By: store.ByClip, Area: "341523100000"},
			{By: store.ByClip, Area: "341523100202", From: "2026-11-25"},
			{By: store.ByDay, Area: "341523101000"},
			{By: store.ByDay, Area: "341523100202"},
			{By: store.ByDay, Area: "341523000000", From: "2026-12-01"},
			{By: store.ByClip, Area: "341523000000"},
			{By: store.BySeries, Area: "340000000000"},
			{By: store.ByDay, Area: "341524000000"},
		} {
			tally := asrun.NewTally(asrun.Grouping(q.By), shanghai)
			for _, r := range all {
				day := playlist.Date(r.Due.In(shanghai).Format(time.DateOnly))
				if q.From != "" && day < q.From || q.To != "" && day > q.To || q.Area != "" && !r.Area.Within(q.Area) {
					continue
				}
				tally.Add(r)
			}
			lines, want := tally.Lines()
			got, err := s.Reach(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if got.Total != want {
				t.Errorf("%+v: total\n got %+v\nwant %+v", q, got.Total, want)
			}
			if !slices.Equal(got.Lines, lines) {
				t.Errorf("%+v: lines\n got %+v\nwant %+v", q, got.Lines, lines)
			}
			for _, l := range append(got.Lines, got.Total) {
				f, ok := l.Frequency()
				if l.Reached > l.Residents || ok && (f < 1 || f > float64(l.Completed)) {
					t.Errorf("%+v: %+v", q, l)
				}
			}
			changed := tally.Changed()
			changed = slices.DeleteFunc(changed, func(c asrun.Change) bool { return c.Output[:2] == "c2" || c.Output[:2] == "c5" }) // several times a day
			if got, want := changesOf(got.Changed), changesIn(changed); got != want {
				t.Errorf("%+v: changed\n got %s\nwant %s", q, got, want)
			}
		}
		// The lines of the areas add up, and drill down.
		for _, q := range []store.ReachQuery{{By: store.ByArea}, {By: store.ByArea, Area: "341523100000"}, {By: store.ByIssue}} {
			rep, err := s.Reach(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			sum := asrun.Reach{}
			for _, l := range rep.Lines {
				sum.Planned += l.Planned
				sum.Completed += l.Completed
				sum.PersonAirings += l.PersonAirings
				sum.Residents += l.Residents
			}
			if q.By == store.ByIssue {
				sum.Residents = rep.Total.Residents // clips share their listeners, areas do not
			}
			if sum.Planned != rep.Total.Planned || sum.Completed != rep.Total.Completed || sum.PersonAirings != rep.Total.PersonAirings || sum.Residents != rep.Total.Residents {
				t.Errorf("%+v: lines sum to %+v, total is %+v", q, sum, rep.Total)
			}
			if want := map[store.ReachQuery]int{{By: store.ByArea}: 3, {By: store.ByArea, Area: "341523100000"}: 2, {By: store.ByIssue}: 5}[q]; len(rep.Lines) != want {
				t.Errorf("%+v: %d lines, want %d", q, len(rep.Lines), want)
			}
		}
	})
}

func changesIn(all []asrun.Change) string {
	list := []string{}
	for _, c := range all {
		for _, f := range c.Figures {
			list = append(list, fmt.Sprintf("%s %d@%s", c.Output, f.Residents, f.Since.In(shanghai).Format(time.DateOnly)))
		}
	}
	return strings.Join(list, ", ")
}

func changesOf(all []store.Change) string {
	list := []string{}
	for _, c := range all {
		for _, f := range c.Figures {
			if c.Controller != "c2" && c.Controller != "c5" {
				list = append(list, fmt.Sprintf("%s %d@%s", c.Output, f.Residents, f.Since))
			}
		}
	}
	return strings.Join(list, ", ")
}

func at(n int, r asrun.Row) asrun.Row { r.Residents = n; return r }

// Ten airings, a day each; the output has 400 residents for five of them and 300 for
// the others. What the controller says today does not matter.
func TestResidentsCountAsTheyWereAtTheAiring(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		output := store.Output{Name: "村口", Area: "341523100201", Residents: 400}
		addController(t, s, "c1", "341523100201", output)
		var list []asrun.Row
		for day := range 10 {
			list = append(list, at(400-day/5*100, row("早", morning.AddDate(0, 0, day), "村口", 1, asrun.Complete)))
		}
		addReceipts(t, s, "c1", "e", receipts(1, list...))
		output.Residents = 257
		if err := s.Seen(t.Context(), "c1", store.Report{Outputs: []store.Output{output}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			from, to playlist.Date
			want     string
			changed  string
		}{
			{"", "", "3500/400 of 400 8.75", "村口 400@2026-11-23, 村口 300@2026-11-28"},
			{"2026-11-23", "2026-11-27", "2000/400 of 400 5.00", ""},
			{"2026-11-27", "2026-11-28", "700/400 of 400 1.75", "村口 400@2026-11-27, 村口 300@2026-11-28"},
			{"2026-11-28", "2026-12-02", "1500/300 of 300 5.00", ""},
		} {
			got := total(t, s, store.ReachQuery{From: c.from, To: c.to})
			f, _ := got.Frequency()
			if figures := fmt.Sprintf("%d/%d of %d %.2f", got.PersonAirings, got.Reached, got.Residents, f); figures != c.want {
				t.Errorf("%s to %s: %s, want %s", c.from, c.to, figures, c.want)
			}
			for _, by := range []store.Grouping{store.ByClip, store.ByDay, store.ByArea} {
				rep, err := s.Reach(t.Context(), store.ReachQuery{By: by, From: c.from, To: c.to})
				if list := changesOf(rep.Changed); err != nil || list != c.changed {
					t.Errorf("%s to %s by %s: changed %s, want %s; %v", c.from, c.to, by, list, c.changed, err)
				}
			}
		}
	})
}

// Due ten minutes before midnight of the county, it sounded after: at 16:00 UTC the day ends.
func TestAnAiringBelongsToTheDayOnWhichItFellDue(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		var list []asrun.Row
		for _, due := range []time.Time{
			time.Date(2026, 11, 23, 0, 0, 0, 0, shanghai), time.Date(2026, 11, 23, 23, 50, 0, 0, shanghai), time.Date(2026, 11, 24, 0, 0, 0, 0, shanghai),
		} {
			r := row("夜", due, "村口", 1, asrun.Complete)
			r.Started, r.Ended = r.Due.Add(20*time.Minute), r.Due.Add(21*time.Minute)
			list = append(list, r)
		}
		addReceipts(t, s, "c1", "e", receipts(1, list...))
		for day, want := range map[playlist.Date]int{"2026-11-22": 0, "2026-11-23": 2, "2026-11-24": 1} {
			if got := total(t, s, store.ReachQuery{From: day, To: day}); got.Completed != want {
				t.Errorf("%s: %d completed, want %d", day, got.Completed, want)
			}
		}
	})
}

// A correction that changes the residents takes the figure away that it corrects, but
// not one that another airing of the day has.
func TestACorrectionOfResidentsLeavesNoTrace(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		early, late := row("早", morning, "村口", 1, asrun.Complete), row("晚", morning.Add(time.Hour), "村口", 1, asrun.Complete)
		for i, step := range []struct {
			row  asrun.Row
			want string
		}{
			{at(900, early), "900/900 of 900"},
			{at(400, early), "400/400 of 400"},
			{at(400, late), "800/400 of 400"},
			{at(300, early), "700/400 of 400"},
			{at(300, late), "600/300 of 300"},
		} {
			addReceipts(t, s, "c1", "e", receipts(int64(i+1), step.row))
			got := total(t, s, store.ReachQuery{})
			if figures := fmt.Sprintf("%d/%d of %d", got.PersonAirings, got.Reached, got.Residents); figures != step.want {
				t.Errorf("after receipt %d: %s, want %s", i+1, figures, step.want)
			}
		}
	})
}

func TestACorrectionSupersedesAndNothingIsEdited(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201", store.Output{Name: "村口", Area: "341523100201", Residents: 100})
		first := row("早", morning, "村口", 1, asrun.Complete)
		first.Clock = playlist.ClockUntrusted
		addReceipts(t, s, "c1", "e", receipts(1, first))
		for _, step := range []struct {
			name      string
			change    func(*asrun.Row)
			completed int
			reached   int
		}{
			{"the clock is repaired", func(r *asrun.Row) { r.Clock, r.Started = playlist.ClockRepaired, r.Started.Add(3*time.Second) }, 1, 100},
			{"it was not complete after all", func(r *asrun.Row) { r.Outcome, r.Frames = asrun.Partial, 1000 }, 0, 0},
			{"it was", func(r *asrun.Row) { r.Outcome = asrun.Complete }, 1, 100},
			{"and of another clip", func(r *asrun.Row) { r.Clip, r.Title, r.Issue = clipID(2), "第2期", 2 }, 1, 100},
		} {
			step.change(&first)
			mark, _, err := s.Mark(t.Context(), "c1", "e")
			if err != nil {
				t.Fatal(err)
			}
			addReceipts(t, s, "c1", "e", receipts(mark+1, first))
			rep, err := s.Reach(t.Context(), store.ReachQuery{By: store.ByClip})
			if err != nil {
				t.Fatal(err)
			}
			if got := rep.Total; got.Planned != 1 || got.Completed != step.completed || got.Reached != step.reached || got.Residents != 100 || len(rep.Lines) != 1 {
				t.Errorf("%s: %+v", step.name, rep)
			}
			rows, err := s.Rows(t.Context(), store.RowQuery{})
			if err != nil || len(rows) != 1 || rows[0].Clock != first.Clock || rows[0].Clip != first.Clip {
				t.Errorf("%s: rows %+v, %v", step.name, rows, err)
			}
		}
		// A correction that names what it corrects, which fell due at another time.
		other := row("夜", time.Unix(3600, 0), "村口", 7, asrun.Complete)
		mark, _, _ := s.Mark(t.Context(), "c1", "e")
		addReceipts(t, s, "c1", "e", receipts(mark+1, other))
		moved := row("夜", morning.Add(12*time.Hour), "村口", 7, asrun.Complete)
		moved.Seq = 1
		_, err := s.AddReceipts(t.Context(), link.Batch{Controller: "c1", Epoch: "f", Receipts: []link.Receipt{{Receipt: asrun.Receipt{Row: moved, Corrects: &link.Mark{Epoch: "e", Seq: mark + 1}}}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := total(t, s, store.ReachQuery{To: "2000-01-01"}); got.Planned != 0 || got.Residents != 0 {
			t.Errorf("what was corrected still counts: %+v", got)
		}
		if got := total(t, s, store.ReachQuery{}); got.Planned != 2 || got.Completed != 2 {
			t.Errorf("after a correction by name: %+v", got)
		}
		// A correction in the same batch as what it corrects.
		a := row("晚", morning, "村口", 3, asrun.Partial)
		b := a
		b.Outcome, b.Frames = asrun.Complete, b.OfFrames
		mark, _, _ = s.Mark(t.Context(), "c1", "e")
		addReceipts(t, s, "c1", "e", receipts(mark+1, a, b))
		if got := total(t, s, store.ReachQuery{}); got.Planned != 3 || got.Completed != 3 || got.PersonAirings != 300 {
			t.Errorf("corrected in one batch: %+v", got)
		}
	})
}

func TestWhatNoReceiptSpeaksOfIsUnknownUntilOneDoes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for i, id := range []string{"c1", "c2"} {
			addController(t, s, id, "341523100201", store.Output{Name: "村口", Area: "341523100201", Residents: 100 * (i + 1)})
		}
		addReceipts(t, s, "c1", "e", receipts(1, row("早", morning, "村口", 1, asrun.Complete)))
		var outputs []int64
		fleet, err := s.Fleet(t.Context(), store.FleetQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range fleet {
			outputs = append(outputs, c.Outputs[0].ID)
		}
		for range 2 { // once more changes nothing
			err = s.Account(t.Context(), []store.Due{{Slot: "早", Due: morning, Items: 2, Outputs: outputs}}, morning.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
		}
		if at, err := s.Accounted(t.Context()); err != nil || !at.Equal(morning.Add(time.Hour)) {
			t.Errorf("accounted up to %v, %v", at, err)
		}
		for _, by := range []store.Grouping{store.ByClip, store.ByDay, store.ByArea, store.BySeries, store.ByIssue} {
			got := total(t, s, store.ReachQuery{By: by})
			if got.Planned != 3 || got.Unknown != 2 || got.Completed != 1 || got.Reached != 100 || got.Residents != 300 {
				t.Errorf("by %s, before it spoke: %+v", by, got)
			}
		}
		late := row("早", morning, "村口", 1, asrun.Complete)
		late.Residents = 200
		second := late
		second.Item, second.Clip, second.Issue = 2, clipID(2), 2
		addReceipts(t, s, "c2", "of c2", receipts(1, late, second))
		if got := total(t, s, store.ReachQuery{}); got.Planned != 3 || got.Unknown != 0 || got.Completed != 3 || got.Reached != 300 {
			t.Errorf("after it spoke: %+v", got)
		}
	})
}

// When it was found that no receipt had come, the output had 300 residents.
func TestWhatNoReceiptSpeaksOfKeepsItsResidents(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		output := store.Output{Name: "村口", Area: "341523100201", Residents: 300}
		addController(t, s, "c1", "341523100201", output)
		fleet, err := s.Fleet(t.Context(), store.FleetQuery{})
		if err != nil {
			t.Fatal(err)
		}
		due := []store.Due{{Slot: "早", Due: morning, Items: 2, Outputs: []int64{fleet[0].Outputs[0].ID}}}
		if err := s.Account(t.Context(), due, morning.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		output.Residents = 500
		if err := s.Seen(t.Context(), "c1", store.Report{Outputs: []store.Output{output}}); err != nil {
			t.Fatal(err)
		}
		check := func(from playlist.Date, planned, unknown, residents int) {
			t.Helper()
			got := total(t, s, store.ReachQuery{From: from})
			if got.Planned != planned || got.Unknown != unknown || got.Residents != residents || got.Reached > got.Residents {
				t.Errorf("%+v", got)
			}
		}
		check("", 2, 2, 300)
		next := at(500, row("早", morning.AddDate(0, 0, 1), "村口", 1, asrun.Complete))
		addReceipts(t, s, "c1", "e", receipts(1, next))
		check("", 3, 2, 500)
		check("2026-11-24", 1, 0, 500)
		change := at(200, row("晚", morning.AddDate(0, 0, 1), "村口", 1, asrun.Complete))
		addReceipts(t, s, "c1", "e", receipts(2, change))
		check("2026-11-24", 2, 0, 500)
	})
}

func TestManyWriteAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		const many = 40
		for c := range many {
			addController(t, s, fmt.Sprintf("c%d", c), "341523100201", store.Output{Name: "村口", Area: "341523100201", Residents: 10})
		}
		var work sync.WaitGroup
		for c := range many {
			work.Go(func() {
				id := playlist.ControllerID(fmt.Sprintf("c%d", c))
				for day := range 5 {
					due := morning.AddDate(0, 0, day)
					list := receipts(int64(day+1), row("早", due, "村口", day, asrun.Complete))
					for range 2 { // each batch twice, as after a lost answer
						if mark, err := s.AddReceipts(t.Context(), link.Batch{Controller: id, Epoch: "of " + string(id), Receipts: list}); err != nil || mark != int64(day+1) {
							t.Errorf("%s: mark %d, %v", id, mark, err)
						}
					}
					// One that fails must not take the others' work with it.
					if _, err := s.AddReceipts(t.Context(), link.Batch{Controller: "nobody", Epoch: "e", Receipts: list}); !errors.Is(err, store.ErrNotFound) {
						t.Errorf("a stranger's receipts: %v", err)
					}
				}
			})
		}
		work.Wait()
		if got := total(t, s, store.ReachQuery{}); got.Planned != 5*many || got.Completed != 5*many || got.Reached != 100*many {
			t.Errorf("%+v", got)
		}
	})
}
