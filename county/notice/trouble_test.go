package notice_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dalaba/county/notice"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

func village(n int) notice.Trouble {
	return notice.Trouble{
		Subject: fmt.Sprintf("v%03d", n), Name: fmt.Sprintf("村%d", n), Area: playlist.Area(fmt.Sprintf("341523%03d%03d", 100+n/60, 200+n%60)),
		What: notice.What{Key: "notice.last_seen", Args: []string{"07-01 12:00"}},
	}
}

// watched follows troubles, each ten seconds.
type watched struct {
	kind  notice.Kind
	now   time.Time
	known []notice.Trouble
	told  []string // "12:05 bad v001"
}

// pass lets time go by, with the troubles of present.
func (w *watched) pass(d time.Duration, present ...notice.Trouble) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(10 * time.Second)
		next, told := notice.Follow(w.kind, w.known, present, w.now)
		w.known = next
		for _, n := range []notice.News{notice.IsBad, notice.IsWell, notice.Flaps} {
			if list := told[n]; len(list) > 0 {
				w.told = append(w.told, fmt.Sprintf("%s %s %d", w.now.Format("15:04"), strings.TrimPrefix(string(n), "_"), len(list)))
			}
		}
	}
}

func TestWhatIsToldOfATrouble(t *testing.T) {
	one := village(1)
	for _, c := range []struct {
		name string
		do   func(w *watched)
		want string
	}{
		{"it is told once it has lasted, and when it is over", func(w *watched) { w.pass(time.Hour, one); w.pass(time.Hour) }, "12:05 bad 1, 13:02 well 1"},
		{"a short one is never told", func(w *watched) { w.pass(4*time.Minute, one); w.pass(2 * time.Hour) }, ""},
		{"a short end is not told", func(w *watched) { w.pass(30*time.Minute, one); w.pass(time.Minute); w.pass(30*time.Minute, one) }, "12:05 bad 1"},
		{"one that comes again is told as coming and going, at most hourly", func(w *watched) {
			for range 12 {
				w.pass(10*time.Minute, one)
				w.pass(5 * time.Minute)
			}
		}, "12:05 bad 1, 12:12 well 1, 13:05 flaps 1, 14:05 flaps 1"},
		{"one that never lasts but comes often is told", func(w *watched) {
			for range 12 {
				w.pass(2*time.Minute, one)
				w.pass(3 * time.Minute)
			}
		}, "12:15 flaps 1"},
		{"when it has stopped coming and going, its end is told", func(w *watched) {
			for range 5 {
				w.pass(2*time.Minute, one)
				w.pass(2 * time.Minute)
			}
			w.pass(5*time.Minute, one)
			w.pass(3 * time.Hour)
		}, "12:12 flaps 1, 13:12 flaps 1"},
		{"many at once are one message", func(w *watched) {
			w.pass(10*time.Second, village(1))
			w.pass(80*time.Second, village(1), village(2))
			w.pass(time.Hour, village(1), village(2), village(3))
		}, "12:05 bad 3"},
		{"one that comes later is another", func(w *watched) {
			w.pass(10*time.Minute, village(1))
			w.pass(10*time.Minute, village(1), village(2))
		}, "12:05 bad 1, 12:15 bad 1"},
		{"the county's own are told sooner", func(w *watched) { w.kind = notice.County; w.pass(5*time.Minute, one) }, "12:01 bad 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &watched{kind: notice.Silent, now: at("12:00:00")}
			c.do(w)
			if got := strings.Join(w.told, ", "); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func TestATroubleThatIsLongOverIsForgotten(t *testing.T) {
	w := &watched{kind: notice.Silent, now: at("12:00:00")}
	w.pass(10*time.Minute, village(1))
	w.pass(3 * time.Hour)
	if len(w.known) != 0 {
		t.Errorf("%+v", w.known)
	}
}

func TestManySilentVillagesReadAsOneMessage(t *testing.T) {
	var all []notice.Trouble
	for i := range 100 {
		all = append(all, village(i))
	}
	for lang, want := range map[say.Lang][]string{
		say.Chinese: {"失联 100 台：村0、村1、村2、村3、村4等，另有 95 个\n分布在 2 个乡镇：341523100000 有 60 台、341523101000 有 40 台"},
		say.English: {"100 controllers silent: 村0, 村1, 村2, 村3, 村4 and 95 more\nin 2 towns: 341523100000: 60, 341523101000: 40"},
	} {
		text := notice.Tell(notice.Silent, notice.IsBad, all).In(lang)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in:\n%s", part, text)
			}
		}
		if strings.Count(text, "\n") > 1 {
			t.Errorf("too long for a phone:\n%s", text)
		}
	}
}

func TestEveryNewsOfEveryKindHasWords(t *testing.T) {
	for _, k := range notice.Kinds()[1:] {
		for _, n := range []notice.News{notice.IsBad, notice.IsWell, notice.Flaps} {
			for _, bad := range []bool{true, false} {
				v := village(1)
				v.Bad, v.Turns = bad, 3
				for _, lang := range []say.Lang{say.Chinese, say.English} {
					if text := notice.Tell(k, n, []notice.Trouble{v}).In(lang); strings.Contains(text, "%!") || strings.Contains(text, "notice.") {
						t.Errorf("%s %s: %s", k, n, text)
					}
				}
			}
		}
	}
}
