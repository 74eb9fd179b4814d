package store_test

import (
	"errors"
	"testing"
	"time"

	"dalaba/county/notice"
	"dalaba/county/store"
)

func TestNoticesAreKeptUntilTheyAreTold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx, now := t.Context(), time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC)
		add := func(key string) notice.Notice {
			t.Helper()
			n := notice.Notice{Key: key, To: "值班", Kind: notice.Silent, Level: 1, Text: "一\n二", At: now, State: notice.Due, Next: now}
			if added, err := s.AddNotice(ctx, n); !added || err != nil {
				t.Fatal(added, err)
			}
			kept, err := s.NoticeByKey(ctx, key)
			if n.ID = kept.ID; err != nil || kept != n {
				t.Fatalf("kept %+v, %v; want %+v", kept, err, n)
			}
			return kept
		}
		a, b, c := add("a"), add("b"), add("c")
		if added, err := s.AddNotice(ctx, a); added || err != nil {
			t.Errorf("the same was kept twice: %v, %v", added, err)
		}
		claim := func(id int64, at time.Time) bool {
			t.Helper()
			ok, err := s.ClaimNotice(ctx, id, at, at.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if !claim(a.ID, now) || claim(a.ID, now.Add(59*time.Second)) || !claim(a.ID, now.Add(time.Minute)) {
			t.Error("one is in the hands of two, or in those of one that died")
		}
		a.State, a.Ended, a.Why = notice.Told, now, ""
		if err := s.EndNotice(ctx, a); err != nil || claim(a.ID, now.Add(time.Hour)) {
			t.Errorf("told twice, %v", err)
		}
		b.Why, c.Why = notice.HeldQuiet, notice.HeldQuiet
		if err := s.HoldNotices(ctx, []notice.Notice{b, c}); err != nil {
			t.Fatal(err)
		}
		sum := notice.Notice{Key: "sum", To: "值班", Kind: notice.Summary, Text: "s", At: now, State: notice.Due, Next: now}
		if err := s.GatherNotices(ctx, []notice.Notice{b, c}, sum); err != nil {
			t.Fatal(err)
		}
		if err := s.GatherNotices(ctx, []notice.Notice{c}, notice.Notice{Key: "again"}); !errors.Is(err, store.ErrStale) {
			t.Errorf("gathered twice: %v", err)
		}
		open, err := s.OpenNotices(ctx)
		if err != nil || len(open) != 1 || open[0].Key != "sum" {
			t.Errorf("%+v, %v", open, err)
		}
		told, err := s.EndedNotices(ctx, notice.Told, now.Add(-time.Second))
		if err != nil || len(told) != 1 || told[0].Key != "a" {
			t.Errorf("%+v, %v", told, err)
		}
		if n, err := s.PruneNotices(ctx, now.Add(time.Second)); n != 3 || err != nil {
			t.Errorf("deleted %d, %v", n, err)
		}
		if all, err := s.Notices(ctx, 10); err != nil || len(all) != 1 || all[0].Key != "sum" {
			t.Errorf("what is still to be told was deleted: %+v, %v", all, err)
		}
	})
}

func TestWhatIsKnownAndWhatIsToldAreKeptTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		broken := errors.New("broken")
		for i, c := range []struct {
			changed []store.Watch
			fail    error
			want    []store.Watch
			notices int
		}{
			{[]store.Watch{{"b", "{}"}, {"a", "1"}}, nil, []store.Watch{{"a", "1"}, {"b", "{}"}}, 1},
			{[]store.Watch{{"b", ""}}, broken, []store.Watch{{"a", "1"}, {"b", "{}"}}, 1},
			{[]store.Watch{{"b", ""}, {"a", "2"}}, nil, []store.Watch{{"a", "2"}}, 2},
		} {
			err := s.Attend(t.Context(), notice.Silent, func([]store.Watch) ([]store.Watch, []notice.Notice, error) {
				return c.changed, []notice.Notice{{Key: string(rune('a' + i)), State: notice.Due}}, c.fail
			})
			if !errors.Is(err, c.fail) {
				t.Fatal(err)
			}
			known, err := s.Watched(t.Context(), notice.Silent)
			if err != nil || len(known) != len(c.want) || known[0] != c.want[0] {
				t.Errorf("%d: known %v, %v; want %v", i, known, err, c.want)
			}
			if all, err := s.Notices(t.Context(), 10); err != nil || len(all) != c.notices {
				t.Errorf("%d: %d notices, %v", i, len(all), err)
			}
		}
		if other, err := s.Watched(t.Context(), notice.Fault); err != nil || len(other) != 0 {
			t.Errorf("%v, %v", other, err)
		}
	})
}
