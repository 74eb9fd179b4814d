package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

const here = "341523100201"

// daily makes receipts of airings, one a day, of a boot.
func daily(from int64, n int, boot string) []link.Receipt {
	var rows []asrun.Row
	for i := range n {
		r := row("早间", morning.AddDate(0, 0, int(from)+i), "村口", 1, asrun.Complete)
		r.Boot, r.MonoMS = boot, (from+int64(i))*86_400_000
		rows = append(rows, r)
	}
	return receipts(from, rows...)
}

// member is a controller with a key.
func member(t *testing.T, s *store.Store, id, key string, state store.State) {
	t.Helper()
	err := s.AddController(t.Context(), store.Controller{ID: playlist.ControllerID(id), Area: here, State: state, Key: key,
		Outputs: []store.Output{{Name: "村口", Area: here, Residents: 100}}})
	if err != nil {
		t.Fatal(err)
	}
}

func become(t *testing.T, s *store.Store, id playlist.ControllerID, state store.State) {
	t.Helper()
	if _, err := s.ChangeController(t.Context(), id, func(k *store.Controller) error { k.State = state; return nil }); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, s *store.Store, id playlist.ControllerID, list []link.Receipt) error {
	t.Helper()
	_, err := s.AddReceipts(t.Context(), link.Batch{Controller: id, Epoch: "epoch", Receipts: list})
	return err
}

func TestAnEpochBelongsToTheKeyThatFirstUsedIt(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		mark := func(id playlist.ControllerID, want int64, known bool) {
			t.Helper()
			if m, ok, err := s.Mark(t.Context(), id, "epoch"); err != nil || m != want || ok != known {
				t.Errorf("the mark of %s is %d, %v (%v), want %d, %v", id, m, ok, err, want, known)
			}
		}
		completed := func(want int) {
			t.Helper()
			if got := total(t, s, store.ReachQuery{}); got.Completed != want || got.PersonAirings != int64(100*want) {
				t.Errorf("%d completed, %d person-airings, want %d", got.Completed, got.PersonAirings, want)
			}
		}
		member(t, s, "a", "box 1", store.Active)
		if err := send(t, s, "a", daily(1, 5, "boot 1")); err != nil {
			t.Fatal(err)
		}

		// The same box under another ID goes on where it was.
		become(t, s, "a", store.Retired)
		member(t, s, "b", "box 1", store.Active)
		mark("b", 5, true)
		if err := send(t, s, "b", daily(4, 3, "boot 1")); err != nil {
			t.Fatal(err)
		}
		mark("a", 5, true)
		mark("b", 6, true)
		completed(6)

		// Another key cannot have it, under whatever ID.
		member(t, s, "c", "box 2", store.Active)
		mark("c", 0, false)
		if err := send(t, s, "c", daily(1, 7, "boot 1")); !errors.Is(err, link.ErrTaken) {
			t.Errorf("receipts of another key are kept: %v", err)
		}
		completed(6)

		// Another key takes the receipts of its ID over when it is approved.
		become(t, s, "b", store.Retired)
		member(t, s, "b", "box 1, key 2", store.Pending)
		if err := send(t, s, "b", daily(7, 1, "boot 1")); !errors.Is(err, link.ErrTaken) {
			t.Errorf("receipts of a key that is not approved are kept: %v", err)
		}
		become(t, s, "b", store.Active)
		mark("b", 6, true)
		if err := send(t, s, "b", daily(5, 4, "boot 1")); err != nil {
			t.Fatal(err)
		}
		completed(8)
	})
}

func TestOtherReceiptsUnderTheSameNumbersAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		member(t, s, "a", "box", store.Active)
		if err := send(t, s, "a", daily(1, 5, "boot 1")); err != nil {
			t.Fatal(err)
		}
		repaired := daily(3, 2, "boot 1")
		repaired[0].Row.Due, repaired[0].Row.Clock = repaired[0].Row.Due.Add(time.Hour), playlist.ClockRepaired
		if err := send(t, s, "a", repaired); err != nil {
			t.Errorf("the same receipts with a repaired clock: %v", err)
		}
		for name, list := range map[string][]link.Receipt{
			"all are there":   daily(4, 2, "boot 2"),
			"one is there":    append(daily(5, 1, "boot 2"), daily(6, 1, "boot 2")...),
			"the second only": append(daily(4, 1, "boot 1"), daily(5, 2, "boot 2")...),
		} {
			if err := send(t, s, "a", list); !errors.Is(err, link.ErrTaken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := total(t, s, store.ReachQuery{}); got.Completed != 5 {
			t.Errorf("%d completed, want 5", got.Completed)
		}
	})
}

// Release 0.1 took in the history of a box again when it was enrolled under another ID.
func TestWhatWasCountedTwiceIsCorrectedAtTheStart(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			member(t, s, "a", "box", store.Active)
			member(t, s, "b", "box, another key", store.Active)
			member(t, s, "c", "a box beside it", store.Active)
			list := daily(1, 5, "boot 1")
			alarm := row("", morning, "村口", 1, asrun.Complete)
			alarm.Alert, alarm.Airing, alarm.Boot = "alarm", "alert/alarm", "boot 1"
			list = append(list, receipts(6, alarm)...)
			for _, id := range []string{"a", "b", "c"} {
				all := list
				if id == "b" {
					all = append(slices.Clone(list), daily(7, 2, "boot 2")...)
				}
				addReceipts(t, s, id, "of "+id, all)
			}
			if err := store.Exec(t.Context(), s, "UPDATE epoch SET name = 'one', public_key = '' WHERE name IN ('of a', 'of b')"); err != nil {
				t.Fatal(err)
			}
			if got := total(t, s, store.ReachQuery{}); got.Completed != 17 {
				t.Fatalf("%d completed before it is corrected", got.Completed)
			}
			for range 2 { // the second time there is nothing left to do
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = store.Open(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				if got := total(t, s, store.ReachQuery{}); got.Completed != 12 || got.PersonAirings != 1200 || got.Reached != 300 {
					t.Errorf("%+v, want 12 completed, 1200 person-airings, 300 reached", got)
				}
			}
			defer func() { _ = s.Close() }()
			if rows, err := s.Rows(t.Context(), store.RowQuery{Controller: "b"}); err != nil || len(rows) != 2 {
				t.Errorf("%d rows of b are left, want its own 2: %v", len(rows), err)
			}
			mark, _, err := s.Mark(t.Context(), "b", "one")
			if err != nil || mark != 8 {
				t.Errorf("the mark of b is %d: %v", mark, err)
			}
		})
	}
}

func TestResidentsCountFromTheEnrolmentOn(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		zones := []store.Output{{Name: "村口", Area: here, Residents: 300}, {Name: "村东", Area: here, Residents: 120}}
		said := store.Said{Site: "大坝村", Areas: []playlist.Area{here}, Outputs: 2, Residents: 420}
		for _, c := range []struct {
			name    string
			outputs []store.Output
		}{{"today", zones}, {"before", nil}} {
			id := playlist.ControllerID(c.name)
			err := s.AddCode(t.Context(), store.Code{ID: c.name, Secret: []byte("s"), Controller: id, Area: here, Approve: true, Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			k, err := s.UseCode(t.Context(), c.name, store.Controller{Key: "key of " + c.name, Said: said, Outputs: c.outputs})
			if err != nil || k.State != store.Active || k.Residents() != 420 || len(k.Outputs) != 2 || k.Said.Residents != 420 {
				t.Errorf("%s: %+v, %v", c.name, k, err)
			}
			var silent []int64
			for _, o := range k.Outputs {
				silent = append(silent, o.ID)
			}
			if err := s.Account(t.Context(), []store.Due{{Slot: "早间", Due: morning, Items: 1, Outputs: silent}}, morning); err != nil {
				t.Fatal(err)
			}
			area := store.ReachQuery{By: store.ByDay}
			got := total(t, s, area)
			if got.Unknown == 0 || got.ResidentsUnknown != got.Residents {
				t.Errorf("%s: %+v, want all residents unknown", c.name, got)
			}
			if err := s.Seen(t.Context(), id, store.Report{Outputs: zones}); err != nil {
				t.Fatal(err)
			}
			if k, err := s.Controller(t.Context(), id); err != nil || k.Residents() != 420 {
				t.Errorf("%s, after its first sync: %d residents, %v", c.name, k.Residents(), err)
			}
		}
		// Of the one of release 0.1 it is known now which outputs it has.
		if got := total(t, s, store.ReachQuery{By: store.ByDay}); got.Unknown != 2 || got.Residents != 420 {
			t.Errorf("%+v, want the 2 outputs of one controller", got)
		}
	})
}

func TestAKeyInUseIsNotEnrolledAgainUnasked(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		use := func(id, key string) store.Controller {
			t.Helper()
			err := s.AddCode(t.Context(), store.Code{ID: "code of " + id, Secret: []byte("s"), Controller: playlist.ControllerID(id), Area: here, Approve: true, Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			k, err := s.UseCode(t.Context(), "code of "+id, store.Controller{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		if k := use("a", "key"); k.State != store.Active {
			t.Errorf("the first is %s", k.State)
		}
		b := use("b", "key")
		if b.State != store.Pending {
			t.Errorf("one with the key of an active one is %s", b.State)
		}
		if others, err := s.Sharing(t.Context(), b); err != nil || !slices.Equal(others, []playlist.ControllerID{"a"}) {
			t.Errorf("its key is that of %v, %v", others, err)
		}
		if keys, err := s.SharedKeys(t.Context()); err != nil || len(keys) != 1 || !slices.Equal(keys["key"], []playlist.ControllerID{"a"}) {
			t.Errorf("shared keys %v, %v", keys, err)
		}
		become(t, s, "a", store.Disabled)
		if k := use("c", "key"); k.State != store.Active {
			t.Errorf("one with the key of a revoked one is %s", k.State)
		}
	})
}
