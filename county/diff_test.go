package county_test

import (
	"slices"
	"testing"

	"dalaba/county"
	"dalaba/playlist"
)

func TestADiffNamesWhatWasAddedChangedAndRemoved(t *testing.T) {
	before := playlist.Manifest{
		Slots:     []playlist.Slot{{Name: "morning", Count: 1}, {Name: "noon", Count: 1}, {Name: "night", Count: 1}},
		Playlists: []playlist.Playlist{{Name: "lessons", Clips: []playlist.ClipID{"a", "b"}}, {Name: "songs"}},
		Clips:     []playlist.Clip{{ID: "a", Title: "A", Frames: 1}, {ID: "b", Title: "B"}, {ID: "c", Title: "C"}},
	}
	after := playlist.Manifest{
		Slots:     []playlist.Slot{{Name: "evening", Count: 1}, {Name: "noon", Count: 2}, {Name: "morning", Count: 1}},
		Playlists: []playlist.Playlist{{Name: "lessons", Clips: []playlist.ClipID{"b", "a"}}, {Name: "songs"}},
		Clips:     []playlist.Clip{{ID: "d", Title: "D"}, {ID: "b", Title: "B2"}, {ID: "a", Title: "A", Frames: 2}},
	}
	want := []county.Change{
		{What: "slot", How: "added", Name: "evening"},
		{What: "slot", How: "changed", Name: "noon"},
		{What: "slot", How: "removed", Name: "night"},
		{What: "playlist", How: "changed", Name: "lessons"},
		{What: "clip", How: "added", Name: "D", Clip: "d"},
		{What: "clip", How: "changed", Name: "B2", Clip: "b"},
		{What: "clip", How: "removed", Name: "C", Clip: "c"},
	}
	if got := county.Diff(before, after); !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := county.Diff(after, after); got == nil || len(got) > 0 {
		t.Errorf("of the same: %+v", got)
	}
}
