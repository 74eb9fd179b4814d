package playlist_test

import (
	"slices"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
)

func TestALessonThatIsReplacedKeepsItsPlace(t *testing.T) {
	for _, order := range []playlist.Order{playlist.Sequence, playlist.Shuffle} {
		ids := playlisttest.Lessons(9)
		old := playlist.Playlist{Name: "健康", Clips: ids[:8], Order: order}
		for at := range 8 {
			lineage := playlist.Lineage{ids[at]: ids[8]}
			now := old
			now.Clips = slices.Clone(old.Clips)
			now.Clips[at], now.First = ids[8], lineage.First()
			for taken := range 8 {
				heard, c := take(t, old, playlist.Cursor{}, taken)
				rest, _ := take(t, now, c, 8-taken)
				want, _ := take(t, old, c, 8-taken)
				for i := range want {
					if want[i] == ids[at] {
						want[i] = ids[8]
					}
				}
				if !slices.Equal(rest, want) {
					t.Fatalf("%s, lesson %d replaced after %v: %v, want %v", order, at, heard, rest, want)
				}
			}
		}
	}
}

func TestAReplacedLessonIsNotHeardTwiceRunning(t *testing.T) {
	ids := playlisttest.Lessons(6)
	old := playlist.Playlist{Name: "健康", Clips: ids[:5], Order: playlist.Shuffle}
	c := playlist.Cursor{}
	for range 200 {
		_, c = take(t, old, c, 5) // a round is over
		now := old
		now.First = playlist.Lineage{c.Last: ids[5]}.First()
		now.Clips = slices.Clone(old.Clips)
		now.Clips[slices.Index(now.Clips, c.Last)] = ids[5]
		if next, _ := take(t, now, c, 1); next[0] == ids[5] {
			t.Fatalf("round %d: the lesson just heard is heard again, as its new clip", c.Round)
		}
	}
}

func TestALineage(t *testing.T) {
	id := playlisttest.Lessons(6)
	clip := func(ids ...playlist.ClipID) (all []playlist.Clip) {
		for _, i := range ids {
			all = append(all, playlist.Clip{ID: i})
		}
		return all
	}
	for _, c := range []struct {
		name    string
		lineage playlist.Lineage
		clips   []playlist.Clip
		current []playlist.Clip
	}{
		{"nothing was replaced", nil, clip(id[0], id[1]), clip(id[0], id[1])},
		{"one was replaced", playlist.Lineage{id[0]: id[1]}, clip(id[0], id[1], id[2]), clip(id[1], id[2])},
		{"twice over", playlist.Lineage{id[0]: id[1], id[1]: id[2]}, clip(id[0], id[1], id[2]), clip(id[2])},
		{"the one between is gone", playlist.Lineage{id[0]: id[1], id[1]: id[2]}, clip(id[0], id[2]), clip(id[2])},
		{"the new one was removed", playlist.Lineage{id[0]: id[1]}, clip(id[0], id[2]), clip(id[0], id[2])},
		{"two were replaced by one", playlist.Lineage{id[0]: id[2], id[1]: id[2]}, clip(id[0], id[1], id[2]), clip(id[2])},
	} {
		got := c.lineage.Current(c.clips)
		if !slices.EqualFunc(got, c.current, func(a, b playlist.Clip) bool { return a.ID == b.ID }) {
			t.Errorf("%s: %v", c.name, got)
		}
		first := c.lineage.First()
		for old, by := range c.lineage {
			if first[old] == "" || first[old] != first[by] {
				t.Errorf("%s: %s and %s are not one lesson: %v", c.name, old.Short(), by.Short(), first)
			}
		}
	}
}

func TestClipsOfOneLesson(t *testing.T) {
	lesson := playlist.Clip{ID: "1", Title: "洗手", Series: "健康微课堂", Issue: 3, Language: "zh-CN"}
	for _, c := range []struct {
		name   string
		change func(*playlist.Clip)
		same   bool
	}{
		{"recorded anew", func(*playlist.Clip) {}, true},
		{"with a remark in the title", func(c *playlist.Clip) { c.Title = "洗手（更正）" }, true},
		{"with the number in the title", func(c *playlist.Clip) { c.Title = "第3期 洗手" }, true},
		{"with nothing but the number as title", func(c *playlist.Clip) { c.Title = "第3期" }, true},
		{"under a title that is much the same", func(c *playlist.Clip) { c.Title = "怎样洗手" }, true},
		{"under quite another title", func(c *playlist.Clip) { c.Title = "刷牙" }, false},
		{"as the other half of a title", func(c *playlist.Clip) { c.Title = "洗手下" }, true},
		{"as a part of the issue", func(c *playlist.Clip) { c.Title = "洗手（下）" }, false},
		{"of another issue", func(c *playlist.Clip) { c.Issue = 4 }, false},
		{"of no issue", func(c *playlist.Clip) { c.Issue = 0 }, false},
		{"of another series", func(c *playlist.Clip) { c.Series = "安全微课堂" }, false},
		{"in another language", func(c *playlist.Clip) { c.Language = "en" }, false},
		{"in a language that is not said", func(c *playlist.Clip) { c.Language = "" }, true},
	} {
		other := lesson
		other.ID = "2"
		c.change(&other)
		if lesson.SameLesson(other) != c.same || other.SameLesson(lesson) != c.same {
			t.Errorf("%s: %v", c.name, !c.same)
		}
	}
	for _, titles := range [][2]string{{"洗手（上）", "洗手（下）"}, {"（上）", "(下)"}, {"洗手 上集", "洗手 下集"}, {"洗手（一）", "洗手（二）"}, {"洗手(1)", "洗手（２）"}} {
		first, second := lesson, lesson
		first.Title, second.Title = titles[0], titles[1]
		if first.SameLesson(second) || !first.SameLesson(first) {
			t.Errorf("parts of an issue: %v", titles)
		}
	}
	for _, titles := range [][2]string{{"乙课上", "乙课下"}, {"第5期-1", "第5期-2"}, {"第6期A", "第6期B"}, {"第9期 第1部分", "第9期 第2部分"}, {"洗手（上）", "洗手（下）"}} {
		a, b := lesson, lesson
		a.Title, b.Title = titles[0], titles[1]
		if a.SameLesson(b) || b.SameLesson(a) {
			t.Errorf("%s and %s are one lesson", a.Title, b.Title)
		}
	}
	old := playlist.Clip{ID: "1", Title: "第3期 洗手", Series: "健康微课堂"} // of a library that has no numbers
	if !lesson.SameLesson(old) || !old.SameLesson(lesson) {
		t.Error("a number that only the title says is none")
	}
	plain := playlist.Clip{ID: "1", Title: "洗手", Series: "健康微课堂"}
	other := playlist.Clip{ID: "2", Title: "洗手", Series: "健康微课堂"}
	if !plain.SameLesson(other) {
		t.Error("one title without an issue number is not one lesson")
	}
	if other.Title = "刷牙"; plain.SameLesson(other) {
		t.Error("two titles without an issue number are one lesson")
	}
	if plain.Series, other = "", plain; plain.SameLesson(other) {
		t.Error("clips of no series are one lesson")
	}
}
