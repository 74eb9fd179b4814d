package county_test

import (
	"reflect"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/playlist"
)

func TestADiffNamesWhatWasAddedChangedAndRemoved(t *testing.T) {
	cron := func(spec string) playlist.Cron { return must[playlist.Cron](t)(playlist.ParseCron(spec)) }
	slot := func(name, spec string) playlist.Slot {
		return playlist.Slot{
			Name: name, Playlist: "lessons", Cron: cron(spec), Count: 1, Priority: 5, Window: 2 * time.Minute,
			Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
		}
	}
	before := playlist.Manifest{
		Slots: []playlist.Slot{slot("morning", "0 7 * * *"), slot("noon", "0 12 * * *"), slot("night", "0 21 * * *")},
		Playlists: []playlist.Playlist{
			{Name: "lessons", Order: playlist.Sequence, Clips: []playlist.ClipID{"a", "b"}}, {Name: "songs", Order: playlist.Sequence, Clips: []playlist.ClipID{"a", "c"}},
		},
		Clips: []playlist.Clip{{ID: "a", Title: "A", Frames: 1}, {ID: "b", Title: "B"}, {ID: "c", Title: "C"}},
	}
	noon := slot("noon", "30 12 * * *")
	noon.Count, noon.Days, noon.To, noon.Missed, noon.Until = 2, 0b0111110, "2026-12-31", playlist.MissedLate, 13*60
	after := playlist.Manifest{
		Slots: []playlist.Slot{slot("evening", "0 18 * * *"), noon, slot("morning", "0 7 * * *")},
		Playlists: []playlist.Playlist{
			{Name: "lessons", Order: playlist.Sequence, Clips: []playlist.ClipID{"b", "a"}}, {Name: "songs", Order: playlist.Shuffle, Clips: []playlist.ClipID{"a", "d"}},
		},
		Clips: []playlist.Clip{{ID: "d", Title: "D"}, {ID: "b", Title: "B2", Series: "S", Issue: 2}, {ID: "a", Title: "A", Frames: 2}},
	}
	want := []county.Change{
		{What: "slot", How: "added", Name: "evening", Fields: []county.Field{
			{Name: "cron", Now: "0 18 * * *"}, {Name: "playlist", Now: "lessons"},
		}},
		{What: "slot", How: "changed", Name: "noon", Fields: []county.Field{
			{Name: "cron", Was: "0 12 * * *", Now: "30 12 * * *"}, {Name: "days", Now: "mon, tue, wed, thu, fri"}, {Name: "count", Was: "1", Now: "2"},
			{Name: "to", Now: "2026-12-31"}, {Name: "missed", Was: "skip", Now: "late"}, {Name: "until", Now: "13:00"},
		}},
		{What: "slot", How: "removed", Name: "night"},
		{What: "playlist", How: "changed", Name: "lessons", Fields: []county.Field{{Name: "sequence", Was: "A, B2", Now: "B2, A"}}},
		{What: "playlist", How: "changed", Name: "songs", Fields: []county.Field{
			{Name: "order", Was: "sequence", Now: "shuffle"}, {Name: "clip", Was: "C"}, {Name: "clip", Now: "D"},
		}},
		{What: "clip", How: "added", Name: "D", Clip: "d"},
		{What: "clip", How: "changed", Name: "B2", Clip: "b", Fields: []county.Field{{Name: "title", Was: "B", Now: "B2"}, {Name: "series", Now: "S"}, {Name: "issue", Now: "2"}}},
		{What: "clip", How: "removed", Name: "C", Clip: "c"},
	}
	if got := county.Diff(before, after); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := county.Diff(after, after); got == nil || len(got) > 0 {
		t.Errorf("of the same: %+v", got)
	}
}

// Every field of a slot that makes it another one is told.
func TestADiffTellsEachFieldOfASlot(t *testing.T) {
	was := playlist.Slot{Name: "morning", Cron: must[playlist.Cron](t)(playlist.ParseCron("0 7 * * *"))}
	skipped := map[string]bool{"Name": true, "Outputs": true, "Since": true, "Calendar": true, "Above": true} // a county's slot has none
	for _, f := range reflect.VisibleFields(reflect.TypeFor[playlist.Slot]()) {
		if skipped[f.Name] {
			continue
		}
		now := was
		v := reflect.ValueOf(&now).Elem().FieldByIndex(f.Index)
		switch {
		case f.Name == "Cron":
			now.Cron = must[playlist.Cron](t)(playlist.ParseCron("30 7 * * *"))
		case v.Kind() == reflect.String:
			v.SetString("2026-12-01")
		case v.Kind() == reflect.Slice:
			now.Except = []playlist.Date{"2026-12-01"}
		case v.CanInt():
			v.SetInt(7)
		case v.CanUint():
			v.SetUint(2)
		case v.CanFloat():
			v.SetFloat(-3)
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		}
		got := county.Diff(playlist.Manifest{Slots: []playlist.Slot{was}}, playlist.Manifest{Slots: []playlist.Slot{now}})
		if len(got) != 1 || len(got[0].Fields) != 1 {
			t.Errorf("%s: %+v", f.Name, got)
		}
	}
}
