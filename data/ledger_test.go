package data_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

var due = time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)

func open(t *testing.T, dir string) *data.Store {
	t.Helper()
	s, err := data.Open(t.Context(), dir, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func options() data.Options {
	return data.Options{
		Log: slog.New(slog.DiscardHandler), Boot: "boot-1",
		Now: func() time.Time { return due }, Mono: func() time.Duration { return time.Minute },
	}
}

func clipID(letter string) playlist.ClipID { return playlist.ClipID(strings.Repeat(letter, 64)) }

// row returns a row of the morning's airing that can be claimed.
func row(output string, item, part int, clip playlist.ClipID) asrun.Row {
	return asrun.Row{
		Airing: playlist.NewAiringID("morning", due), Output: output, Item: item, Part: part,
		Slot: "morning", Playlist: "health", Clip: clip, Title: "发热", Series: "健康微课堂", Issue: 1,
		Rank: playlist.RankScheduled + 5, Due: due, Cued: due.Add(-2 * time.Second),
		OfFrames: 48000, LevelDB: -3.5, Residents: 420, Area: "330781105201",
		Clock: playlist.ClockTrusted, Boot: "boot-1", MonoMS: 61000,
	}
}

func at(index int, last playlist.ClipID) *playlist.Cursor {
	return &playlist.Cursor{Index: index, Last: last}
}

func heard(frames int64) asrun.End {
	return asrun.End{
		Started: due.Add(1500 * time.Microsecond), Ended: due.Add(playlist.Length(frames)),
		Frames: frames, AtFrame: 960, Outcome: asrun.Complete,
	}
}

var silent = asrun.End{Ended: due.Add(time.Second), Outcome: asrun.Failed, Reason: asrun.ReasonDevice}

func claim(t *testing.T, s *data.Store, r asrun.Row, before, after *playlist.Cursor) {
	t.Helper()
	if err := s.Claim(t.Context(), asrun.Claim{Row: r, Before: before, After: after}); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, s *data.Store, k asrun.RowKey, e asrun.End) {
	t.Helper()
	if err := s.End(t.Context(), k, e); err != nil {
		t.Fatal(err)
	}
}

// willBe checks where it is said that the next start leaves the cursor.
func willBe(t *testing.T, s *data.Store, want playlist.Cursor) {
	t.Helper()
	back, err := s.CursorsGivenBack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, ok := back["health"]
	if !ok {
		if got, err = s.Cursor(t.Context(), "health"); err != nil {
			t.Fatal(err)
		}
	}
	if got != want {
		t.Fatalf("the next start leaves the cursor at %+v, it is said, want %+v", got, want)
	}
}

func cursorIs(t *testing.T, s *data.Store, want playlist.Cursor) {
	t.Helper()
	got, err := s.Cursor(t.Context(), "health")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("cursor stands at %+v, want %+v", got, want)
	}
}

func TestARowIsReadAsItWasWritten(t *testing.T) {
	s := open(t, t.TempDir())
	want := row("square", 1, 1, clipID("a"))
	claim(t, s, want, at(0, ""), at(0, clipID("a")))
	rows, err := s.Rows(t.Context(), want.Airing)
	if err != nil || len(rows) != 1 || rows[0] != want {
		t.Fatalf("open row: %+v, %v", rows, err)
	}
	started := due.Add(1500 * time.Microsecond)
	if err := s.Checkpoint(t.Context(), want.Key(), started, 960, 24000); err != nil {
		t.Fatal(err)
	}
	want.Started, want.AtFrame, want.Frames = started, 960, 24000
	if rows, _ := s.OpenRows(t.Context()); len(rows) != 1 || rows[0] != want {
		t.Fatalf("checkpointed row: %+v", rows)
	}
	e := heard(48000)
	end(t, s, want.Key(), e)
	want.Ended, want.Frames, want.Outcome, want.Seq = e.Ended, e.Frames, e.Outcome, 1
	if rows, _ := s.Rows(t.Context(), want.Airing); len(rows) != 1 || rows[0] != want {
		t.Fatalf("closed row:\n%+v\n%+v", rows, want)
	}
	if rows, _ := s.OpenRows(t.Context()); len(rows) != 0 {
		t.Fatalf("still open: %+v", rows)
	}
}

func TestARowIsClaimedOnceAndMovesTheCursor(t *testing.T) {
	a, b := clipID("a"), clipID("b")
	tests := []struct {
		name   string
		first  func(*testing.T, *data.Store)
		claim  asrun.Claim
		want   error
		cursor playlist.Cursor
	}{
		{
			"the first claim of a playlist moves its cursor", nil,
			asrun.Claim{Row: row("square", 1, 1, a), Before: at(0, ""), After: at(0, a)}, nil, *at(0, a),
		},
		{
			"a cursor that stands elsewhere is stale and stays", nil,
			asrun.Claim{Row: row("square", 1, 1, b), Before: at(0, a), After: at(1, b)}, asrun.ErrStale, playlist.Cursor{},
		},
		{
			"the same part twice is claimed, even with a stale cursor",
			func(t *testing.T, s *data.Store) { claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a)) },
			asrun.Claim{Row: row("square", 1, 1, a), Before: at(0, ""), After: at(0, a)}, asrun.ErrClaimed, *at(0, a),
		},
		{
			"another output with another clip is stale",
			func(t *testing.T, s *data.Store) { claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a)) },
			asrun.Claim{Row: row("school", 1, 1, b), Before: at(0, a), After: at(1, b)}, asrun.ErrStale, *at(0, a),
		},
		{
			"another output with the same clip leaves the cursor",
			func(t *testing.T, s *data.Store) { claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a)) },
			asrun.Claim{Row: row("school", 1, 1, a)}, nil, *at(0, a),
		},
		{
			"another output does not move the cursor once more, be it to the same clip",
			func(t *testing.T, s *data.Store) { claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a)) },
			asrun.Claim{Row: row("school", 1, 1, a), Before: at(0, a), After: &playlist.Cursor{Round: 1, Last: a}},
			asrun.ErrStale, *at(0, a),
		},
		{
			"a rejoined part leaves the cursor",
			func(t *testing.T, s *data.Store) {
				claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a))
				end(t, s, row("square", 1, 1, a).Key(), heard(9000))
			},
			asrun.Claim{Row: row("square", 1, 2, a)}, nil, *at(0, a),
		},
		{
			"the next item may have the next clip",
			func(t *testing.T, s *data.Store) { claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a)) },
			asrun.Claim{Row: row("square", 2, 1, b), Before: at(0, a), After: at(1, b)}, nil, *at(1, b),
		},
		{
			"a part is claimed although the airing was recorded as missed",
			func(t *testing.T, s *data.Store) {
				r := row("square", 1, 0, "")
				r.Outcome, r.Reason = asrun.Missed, asrun.ReasonClock
				if err := s.Record(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			},
			asrun.Claim{Row: row("square", 1, 1, a), Before: at(0, ""), After: at(0, a)}, nil, *at(0, a),
		},
		{
			"a choice that was given back must be made again",
			func(t *testing.T, s *data.Store) {
				claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a))
				end(t, s, row("square", 1, 1, a).Key(), silent)
			},
			asrun.Claim{Row: row("school", 1, 1, a)}, asrun.ErrStale, playlist.Cursor{},
		},
		{
			"after a choice was given back the item may have another clip",
			func(t *testing.T, s *data.Store) {
				claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a))
				end(t, s, row("square", 1, 1, a).Key(), silent)
			},
			asrun.Claim{Row: row("square", 1, 2, b), Before: at(0, ""), After: at(0, b)}, nil, *at(0, b),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			if tt.first != nil {
				tt.first(t, s)
			}
			if err := s.Claim(t.Context(), tt.claim); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			cursorIs(t, s, tt.cursor)
		})
	}
}

func TestAClipThatDidNotSoundIsReturnedToItsPlaylist(t *testing.T) {
	a, b := clipID("a"), clipID("b")
	taken, untouched := *at(0, a), playlist.Cursor{}
	tests := []struct {
		name string
		do   func(*testing.T, *data.Store)
		want playlist.Cursor
	}{
		{"when nothing sounded", func(t *testing.T, s *data.Store) {
			end(t, s, row("square", 1, 1, a).Key(), silent)
		}, untouched},
		{"not when it sounded", func(t *testing.T, s *data.Store) {
			end(t, s, row("square", 1, 1, a).Key(), heard(100))
		}, taken},
		{"not while another output may still sound it", func(t *testing.T, s *data.Store) {
			claim(t, s, row("school", 1, 1, a), nil, nil)
			end(t, s, row("square", 1, 1, a).Key(), silent)
		}, taken},
		{"when the last output stayed silent too", func(t *testing.T, s *data.Store) {
			claim(t, s, row("school", 1, 1, a), nil, nil)
			end(t, s, row("square", 1, 1, a).Key(), silent)
			end(t, s, row("school", 1, 1, a).Key(), silent)
		}, untouched},
		{"not when another output sounded it", func(t *testing.T, s *data.Store) {
			claim(t, s, row("school", 1, 1, a), nil, nil)
			end(t, s, row("school", 1, 1, a).Key(), heard(48000))
			end(t, s, row("square", 1, 1, a).Key(), silent)
		}, taken},
		{"not when a later part fails after an earlier one sounded", func(t *testing.T, s *data.Store) {
			end(t, s, row("square", 1, 1, a).Key(), heard(100))
			claim(t, s, row("square", 1, 2, a), nil, nil)
			end(t, s, row("square", 1, 2, a).Key(), silent)
		}, taken},
		{"not when the cursor has moved since", func(t *testing.T, s *data.Store) {
			claim(t, s, row("square", 2, 1, b), at(0, a), at(1, b))
			end(t, s, row("square", 1, 1, a).Key(), silent)
		}, *at(1, b)},
		{"only once", func(t *testing.T, s *data.Store) {
			end(t, s, row("square", 1, 1, a).Key(), silent)
			other := row("square", 1, 1, a)
			other.Airing = "evening@x"
			claim(t, s, other, at(0, ""), at(0, a))
			end(t, s, row("square", 1, 1, a).Key(), silent)
		}, taken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a))
			tt.do(t, s)
			cursorIs(t, s, tt.want)
		})
	}
}

func TestEndingAndRecordingAgainChangesNothing(t *testing.T) {
	s, r := open(t, t.TempDir()), row("square", 1, 1, clipID("a"))
	claim(t, s, r, at(0, ""), at(0, r.Clip))
	end(t, s, r.Key(), heard(48000))
	end(t, s, r.Key(), silent)
	if err := s.Checkpoint(t.Context(), r.Key(), due, 1, 1); err != nil {
		t.Fatal(err)
	}
	missed := row("school", 1, 0, "")
	missed.Outcome, missed.Reason = asrun.Missed, asrun.ReasonBusy
	for range 2 {
		if err := s.Record(t.Context(), missed); err != nil {
			t.Fatal(err)
		}
		missed.Reason = asrun.ReasonOff
	}
	rows, err := s.Rows(t.Context(), r.Airing)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if rows[0].Output != "school" || rows[0].Reason != asrun.ReasonBusy || rows[0].Seq != 2 || rows[0].Clip != "" {
		t.Errorf("recorded twice: %+v", rows[0])
	}
	if rows[1].Frames != 48000 || rows[1].Outcome != asrun.Complete || rows[1].Seq != 1 {
		t.Errorf("ended twice: %+v", rows[1])
	}
	if n, oldest, err := s.Unsent(t.Context()); n != 2 || !oldest.Equal(due) || err != nil {
		t.Errorf("%d unsent since %v, %v", n, oldest, err)
	}
	nobody := row("nobody", 1, 1, "").Key()
	if err := s.End(t.Context(), nobody, silent); !errors.Is(err, data.ErrNotFound) {
		t.Errorf("end of a row never claimed: %v", err)
	}
	if err := s.Checkpoint(t.Context(), nobody, due, 0, 0); !errors.Is(err, data.ErrNotFound) {
		t.Errorf("checkpoint of a row never claimed: %v", err)
	}
}

func TestRowsLeftOpenAreClosedWithTheFramesLastRecorded(t *testing.T) {
	a, b := clipID("a"), clipID("b")
	tests := []struct {
		name    string
		frames  int64 // recorded before the cut; 0: none
		outcome asrun.Outcome
		reason  asrun.Reason
		ended   time.Time
		cursor  playlist.Cursor
	}{
		{"cut before the first checkpoint", 0, asrun.Partial, asrun.ReasonPowerLost, due.Add(-2 * time.Second), playlist.Cursor{}},
		{"cut half way", 24000, asrun.Partial, asrun.ReasonPowerLost, due.Add(500 * time.Millisecond), *at(0, a)},
		{"cut when almost over", 47000, asrun.Complete, asrun.ReasonNone, due.Add(playlist.Length(47000)), *at(0, a)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			r := row("square", 1, 1, a)
			claim(t, s, r, at(0, ""), at(0, a))
			if tt.frames > 0 {
				if err := s.Checkpoint(t.Context(), r.Key(), due, 0, tt.frames); err != nil {
					t.Fatal(err)
				}
			}
			willBe(t, s, tt.cursor)
			rows, err := s.CloseOpen(t.Context(), due.Add(time.Hour), asrun.ReasonPowerLost)
			if err != nil || len(rows) != 1 {
				t.Fatalf("%+v, %v", rows, err)
			}
			got := rows[0]
			if got.Outcome != tt.outcome || got.Reason != tt.reason || got.Frames != tt.frames || got.Seq != 1 {
				t.Errorf("%+v", got)
			}
			if !got.Ended.Equal(tt.ended.Truncate(time.Microsecond)) {
				t.Errorf("ended %v, want %v", got.Ended, tt.ended)
			}
			cursorIs(t, s, tt.cursor)
			if again, err := s.CloseOpen(t.Context(), due, asrun.ReasonPowerLost); len(again) != 0 || err != nil {
				t.Errorf("closed twice: %+v, %v", again, err)
			}
		})
	}
	t.Run("the clips of items that never sounded are given back in reverse order", func(t *testing.T) {
		s := open(t, t.TempDir())
		claim(t, s, row("square", 1, 1, a), at(0, ""), at(0, a))
		claim(t, s, row("square", 2, 1, b), at(0, a), at(1, b))
		willBe(t, s, playlist.Cursor{})
		if _, err := s.CloseOpen(t.Context(), due, asrun.ReasonPowerLost); err != nil {
			t.Fatal(err)
		}
		cursorIs(t, s, playlist.Cursor{})
	})
}

func TestTheFloorFollowsTrustedRowsAndTheWatermarkDoesNot(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	if f, err := s.Floor(ctx); !f.IsZero() || err != nil {
		t.Fatalf("new store: floor %v, %v", f, err)
	}
	wild := row("square", 1, 1, clipID("a"))
	wild.Clock, wild.Cued = playlist.ClockUntrusted, due.AddDate(60, 0, 0)
	claim(t, s, wild, at(0, ""), at(0, wild.Clip))
	if f, _ := s.Floor(ctx); !f.IsZero() {
		t.Errorf("an untrusted row raised the floor to %v", f)
	}
	r := row("square", 2, 1, clipID("b"))
	claim(t, s, r, at(0, wild.Clip), at(1, r.Clip))
	if f, _ := s.Floor(ctx); !f.Equal(r.Cued) {
		t.Errorf("after the claim: %v", f)
	}
	end(t, s, r.Key(), heard(48000))
	if f, _ := s.Floor(ctx); !f.Equal(due.Add(time.Second)) {
		t.Errorf("after the end: %v", f)
	}
	if err := s.RaiseFloor(ctx, due.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f, _ := s.Floor(ctx); !f.Equal(due.Add(time.Second)) {
		t.Errorf("it fell to %v", f)
	}
	if w, err := s.Watermark(ctx); !w.IsZero() || err != nil {
		t.Errorf("watermark %v, %v", w, err)
	}
	for _, want := range []time.Time{due, due.Add(-time.Hour)} {
		if err := s.SetWatermark(ctx, want); err != nil {
			t.Fatal(err)
		}
		if w, _ := s.Watermark(ctx); !w.Equal(want) {
			t.Errorf("watermark %v, want %v", w, want)
		}
	}
}

func TestAsRunYieldsTheRowsOfAQueryInDueOrder(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	// Written out of due order, as make-goods are.
	for i, hour := range []int{3, 1, 2, 4} {
		r := row([]string{"square", "school"}[i%2], 1, 0, clipID([]string{"a", "b"}[i/2]))
		r.Due = due.Add(time.Duration(hour) * time.Hour)
		r.Airing = playlist.NewAiringID("morning", r.Due)
		r.Outcome = asrun.Missed
		if err := s.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	claim(t, s, row("square", 1, 1, clipID("c")), at(0, ""), at(0, clipID("c")))
	tests := []struct {
		name  string
		query data.Query
		want  []int // hours after due
	}{
		{"everything, in due order, open rows too", data.Query{}, []int{0, 1, 2, 3, 4}},
		{"since an instant, that one included", data.Query{Since: due.Add(2 * time.Hour)}, []int{2, 3, 4}},
		{"until an instant, that one not", data.Query{Until: due.Add(2 * time.Hour)}, []int{0, 1}},
		{"one output", data.Query{Output: "school"}, []int{1, 4}},
		{"one clip", data.Query{Clip: clipID("a")}, []int{1, 3}},
		{"a slot that does not exist", data.Query{Slot: "noon"}, nil},
		{"what was closed after receipt 2", data.Query{After: 2}, []int{2, 4}},
		{"the first two", data.Query{Limit: 2}, []int{0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for r, err := range s.AsRun(ctx, tt.query) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, int(r.Due.Sub(due)/time.Hour))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("the store can be used after a loop that stops half way", func(t *testing.T) {
		for range 20 {
			for _, err := range s.AsRun(ctx, data.Query{}) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	})
	t.Run("a cancelled context ends the loop with one error", func(t *testing.T) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		n := 0
		for _, err := range s.AsRun(gone, data.Query{}) {
			if n++; err == nil {
				t.Error("no error")
			}
		}
		if n != 1 {
			t.Errorf("%d turns", n)
		}
	})
}

func TestReceiptsCountWithoutAGap(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	for i := range 5 {
		r := row("square", i+1, 0, "")
		r.Outcome = asrun.Missed
		if err := s.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.Batch(ctx, asrun.Mark{}, 3)
	box := first.Receipts
	if err != nil || len(box) != 3 || first.Gone != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	for i, r := range box {
		if r.Row.Seq != int64(i+1) || r.Row.Item != i+1 || first.Epoch == "" {
			t.Errorf("%+v", r)
		}
	}
	if err := s.Acknowledge(ctx, first.Epoch, 3); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := s.Unsent(ctx); n != 2 {
		t.Errorf("%d unsent", n)
	}
	// Rows are deleted when they are old and the county has them, never before.
	n, err := s.Prune(ctx, due.Add(48*time.Hour), 24*time.Hour, true)
	if n != 3 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if n, err := s.Prune(ctx, due.Add(time.Hour), 24*time.Hour, true); n != 0 || err != nil {
		t.Errorf("pruned %d young rows, %v", n, err)
	}
	rest, _ := s.Batch(ctx, asrun.Mark{}, 10)
	if len(rest.Receipts) != 2 || rest.Receipts[0].Row.Seq != 4 || rest.Gone != 3 {
		t.Errorf("%+v", rest)
	}
	// The county has more than was ever made here: the end of the log was lost,
	// and its numbers must not be used again.
	if err := s.Acknowledge(ctx, first.Epoch, 9); err != nil {
		t.Fatal(err)
	}
	h, err := s.Health(ctx)
	if err != nil || h.Epoch == first.Epoch || h.Seq != 0 || len(h.Losses) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

// If there is no county that waits for receipts, rows are deleted by age alone.
// A county that enrols the controller later gets what is left, even if rows are
// missing in the middle.
func TestWithoutACountyRowsAreDeletedByAgeAlone(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	add := func(item int, at time.Time, clock playlist.ClockState, boot string, mono time.Duration) {
		t.Helper()
		r := row("square", item, 0, "")
		r.Outcome, r.Due, r.Cued, r.Clock, r.Boot, r.MonoMS = asrun.Missed, at, time.Time{}, clock, boot, mono.Milliseconds()
		must(t, s.Record(ctx, r))
	}
	young, old, unset := due, due.AddDate(0, 0, -40), time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC)
	add(1, old, playlist.ClockTrusted, "boot-1", 0)
	add(2, unset, playlist.ClockUntrusted, "never known", 0) // before row 3: that is all that is known of its time
	add(3, old.Add(time.Hour), playlist.ClockTrusted, "boot-1", 0)
	add(4, young, playlist.ClockTrusted, "boot-1", 0)
	add(5, old, playlist.ClockTrusted, "boot-1", 0) // missed long ago, recorded later
	add(6, unset, playlist.ClockUntrusted, "known", time.Hour)
	add(7, unset, playlist.ClockUntrusted, "known long ago", time.Hour)
	add(8, unset, playlist.ClockUntrusted, "never known", time.Hour)
	add(9, young.Add(time.Minute), playlist.ClockTrusted, "boot-1", 0)
	add(10, unset, playlist.ClockUntrusted, "not known yet", 0)
	must(t, s.NoteBoot(ctx, "known", young.Add(-time.Hour)))
	must(t, s.NoteBoot(ctx, "known long ago", old.Add(-time.Hour)))
	if n, err := s.Prune(ctx, due.Add(time.Hour), 30*24*time.Hour, true); n != 0 || err != nil {
		t.Errorf("pruned %d rows that were not sent, %v", n, err)
	}
	if n, err := s.Prune(ctx, due.Add(time.Hour), 30*24*time.Hour, false); n != 5 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	var left []int
	for r, err := range s.AsRun(ctx, data.Query{}) {
		must(t, err)
		left = append(left, r.Item)
	}
	slices.Sort(left)
	if !slices.Equal(left, []int{4, 6, 8, 9, 10}) {
		t.Errorf("rows %v are left", left)
	}
	var told []int64
	after := asrun.Mark{}
	for {
		b, err := s.Batch(ctx, after, 10)
		must(t, err)
		if len(b.Receipts) == 0 {
			break
		}
		// The county takes receipts that follow its mark, or that follow the
		// last one that is gone.
		if first := b.Receipts[0].Row.Seq; first != after.Seq+1 && b.Gone != first-1 {
			t.Fatalf("receipts from %d after %d, gone up to %d", first, after.Seq, b.Gone)
		}
		for _, r := range b.Receipts {
			told = append(told, r.Row.Seq)
		}
		after = asrun.Mark{Epoch: b.Epoch, Seq: told[len(told)-1]}
		must(t, s.Acknowledge(ctx, after.Epoch, after.Seq))
	}
	if !slices.Equal(told, []int64{4, 6, 8, 9, 10, 11}) { // 11 corrects 6
		t.Errorf("receipts %v were told", told)
	}
}
