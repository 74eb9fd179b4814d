package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// scribble writes over pages of a file, from a share of it on.
func scribble(t *testing.T, path string, from float64, pages int) {
	t.Helper()
	const page = 4096
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := int(from*float64(len(b))) / page * page
	copy(b[at:], bytes.Repeat([]byte{0xa5}, pages*page))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// countyOf makes a county with a backup of each of two days, the second after
// more receipts had come in, and some more since.
func countyOf(t *testing.T, o store.Options) (now time.Time) {
	t.Helper()
	now = morning
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	addController(t, s, "c1", "341523100201")
	for day := range 3 {
		var rows []asrun.Row
		for n := range 100 {
			rows = append(rows, row("早", morning.AddDate(0, 0, 100*day+n), "村口", n, asrun.Complete))
		}
		addReceipts(t, s, "c1", "e", receipts(int64(100*day+1), rows...))
		if day < 2 {
			now = now.Add(25 * time.Hour)
			if path, err := s.BackupDue(t.Context(), now, 7); err != nil || path == "" {
				t.Fatalf("backup: %q, %v", path, err)
			}
		}
	}
	if n, err := s.NextCounter(t.Context(), "own signatures"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return now
}

func TestADamagedDatabaseIsSetAsideAndTheLastGoodBackupRestored(t *testing.T) {
	newest := func(t *testing.T, dir string) string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "backup", "county-*.db"))
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		return all[1]
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		mark   int64
		aside  bool
	}{
		{"a page overwritten", func(t *testing.T, dir string) { scribble(t, filepath.Join(dir, "county.db"), 0.5, 2) }, 200, true},
		{"no database any more", func(t *testing.T, dir string) { scribble(t, filepath.Join(dir, "county.db"), 0, 1) }, 200, true},
		{"an empty file", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "county.db"), 0); err != nil {
				t.Fatal(err)
			}
		}, 200, true},
		{"the file gone", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "county.db")); err != nil {
				t.Fatal(err)
			}
		}, 200, false},
		{"the newest backup damaged too", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "county.db"), 0.5, 2)
			scribble(t, newest(t, dir), 0.5, 2)
		}, 100, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, "sqlite")
			made := countyOf(t, o)
			c.damage(t, o.Dir)
			var log strings.Builder
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if mark, _, err := s.Mark(t.Context(), "c1", "e"); err != nil || mark != c.mark {
				t.Errorf("mark %d, want %d, %v", mark, c.mark, err)
			}
			if !strings.Contains(log.String(), "level=ERROR msg=\"store was damaged or missing") {
				t.Errorf("no word of it in the log: %s", log.String())
			}
			all, err := s.Losses(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("losses %+v, %v", all, err)
			}
			kept := made
			if c.mark == 100 {
				kept = made.Add(-25 * time.Hour)
			}
			l := all[0]
			if l.Why == "" || l.Backup == "" || !l.Kept.Equal(kept) || (l.Aside != "") != c.aside {
				t.Errorf("%+v", l)
			}
			if l.Aside != "" {
				if _, err := os.Stat(l.Aside); err != nil {
					t.Error(err)
				}
			}
			if n, err := s.NextCounter(t.Context(), "own signatures"); n < 2 && c.mark == 200 && err == nil {
				t.Errorf("counter %d is given out twice", n)
			}
			// What the controllers send again is taken in, and counted once.
			var rows []asrun.Row
			for n := range 300 {
				rows = append(rows, row("早", morning.AddDate(0, 0, n), "村口", n%100, asrun.Complete))
			}
			if mark := addReceipts(t, s, "c1", "e", receipts(1, rows...)); mark != 300 {
				t.Errorf("afterwards mark %d", mark)
			}
			if got := total(t, s, store.ReachQuery{}); got.Planned != 300 || got.Completed != 300 {
				t.Errorf("%+v", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if all, err := open(t, o).Losses(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("after another start: %+v, %v", all, err)
			}
		})
	}
}

func TestADamagedDatabaseWithoutAGoodBackupIsLeftAsItIs(t *testing.T) {
	o := options(t, "sqlite")
	countyOf(t, o)
	path := filepath.Join(o.Dir, "county.db")
	scribble(t, path, 0.5, 2)
	all, err := filepath.Glob(filepath.Join(o.Dir, "backup", "*"))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, b := range all {
		scribble(t, b, 0, 1)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%v, %v", s, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was touched (%v)", err)
	}
}

func TestDamageFoundWhileOpenIsPutRightAtTheNextStart(t *testing.T) {
	o := options(t, "sqlite")
	now := countyOf(t, o)
	found := make(chan error, 1)
	o.OnDamage = func(err error) { found <- err }
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	scribble(t, filepath.Join(o.Dir, "county.db"), 0.5, 2)
	if path, err := s.BackupDue(t.Context(), now.Add(48*time.Hour), 7); !errors.Is(err, store.ErrDamaged) || path != "" {
		t.Errorf("a backup of a damaged database: %q, %v", path, err)
	}
	select {
	case err := <-found:
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("the owner was told %v, want %v", err, store.ErrDamaged)
		}
	case <-time.After(patience):
		t.Fatalf("the owner was not told of the damage in %v", patience)
	}
	_ = s.Close()
	if all, err := open(t, o).Losses(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAnEarlierStoreReportsAsBefore(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			var want []store.ReachReport
			queries := []store.ReachQuery{
				{By: store.ByClip}, {By: store.ByDay}, {By: store.ByArea}, {By: store.ByDay, Area: "341523101000"},
				{By: store.BySeries, Area: "341523000000"}, {By: store.ByDay, Area: "341523000000"},
			}
			for n, area := range []playlist.Area{"341523100201", "341523101202", "341524100201"} {
				id := string(rune('a' + n))
				addController(t, s, id, area, store.Output{Name: "村口", Area: area, Residents: 100})
				var rows []asrun.Row
				for day := range 12 {
					r := row("早", morning.AddDate(0, 0, day), "村口", day%5+n, asrun.Complete)
					r.Area = area
					if day%4 == n {
						r.Outcome = asrun.Partial
					}
					rows = append(rows, r)
				}
				addReceipts(t, s, id, "of "+id, receipts(1, rows...))
			}
			for _, q := range queries {
				rep, err := s.Reach(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, rep)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			back := "PRAGMA user_version = 2"
			if kind == "postgres" {
				back = "DELETE FROM migration WHERE number > 2"
			}
			change(t, o, "DROP INDEX alert_owed", "ALTER TABLE alert DROP COLUMN owed", "DROP TABLE presence_day", "DELETE FROM tally WHERE level > 2",
				"DELETE FROM tally_area WHERE level > 2", back)
			s = open(t, o)
			for i, q := range queries {
				if rep, err := s.Reach(t.Context(), q); err != nil || !reflect.DeepEqual(rep, want[i]) {
					t.Errorf("%+v: %+v, was %+v, %v", q, rep, want[i], err)
				}
			}
		})
	}
}

// The program one version back keeps sets by output alone. Where it took receipts in, or
// all of them were taken in before there were others, the next start finds the residents
// in the receipts, and counts those of today where they are deleted.
func TestWhatAnEarlierProgramTookInCountsItsResidents(t *testing.T) {
	const day6 = "(SELECT max(day) - 5 FROM presence)"
	for _, c := range []struct {
		name string
		undo []string // what that program would not have written, or has deleted
		want string
	}{
		{"nothing", nil, "3500/400 of 400"},
		{"all of it", []string{
			"DELETE FROM earshot_presence", "DELETE FROM earshot_presence_day", "DELETE FROM earshot", "UPDATE epoch SET earshot_mark = 0",
		}, "3500/400 of 400"},
		{"all of it, the receipts are deleted", []string{
			"DELETE FROM earshot_presence", "DELETE FROM earshot_presence_day", "DELETE FROM earshot", "UPDATE epoch SET earshot_mark = 0",
			"DELETE FROM receipt",
		}, "3500/257 of 257"},
		{"the first five days", []string{
			"DELETE FROM earshot_presence WHERE day <= " + day6, "DELETE FROM earshot_presence_day WHERE day <= " + day6,
			"UPDATE epoch SET earshot_mark = 0",
		}, "3500/400 of 400"},
		{"the last five days", []string{
			"DELETE FROM earshot_presence WHERE day > " + day6, "DELETE FROM earshot_presence_day WHERE day > " + day6,
			"UPDATE epoch SET earshot_mark = 5",
		}, "3500/400 of 400"},
		{"that it completed", []string{
			"UPDATE earshot_presence SET reached = substr(reached, 1, 0)",
			"UPDATE earshot_presence_day SET reached = substr(reached, 1, 0)", "UPDATE epoch SET earshot_mark = 5",
		}, "3500/300 of 400"},
	} {
		for _, kind := range []string{"sqlite", "postgres"} {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				o := options(t, kind)
				s, err := store.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				output := store.Output{Name: "村口", Area: "341523100201", Residents: 257}
				addController(t, s, "c1", "341523100201", output)
				var rows []asrun.Row
				for day := range 10 {
					rows = append(rows, at(400-day/5*100, row("早", morning.AddDate(0, 0, day), "村口", 1, asrun.Complete)))
				}
				addReceipts(t, s, "c1", "e", receipts(1, rows...))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				change(t, o, c.undo...)
				for range 2 {
					s, err = store.Open(t.Context(), o)
					if err != nil {
						t.Fatal(err)
					}
					got := total(t, s, store.ReachQuery{})
					if figures := fmt.Sprintf("%d/%d of %d", got.PersonAirings, got.Reached, got.Residents); figures != c.want {
						t.Errorf("%s, want %s", figures, c.want)
					}
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// change runs statements on a store that is closed.
func change(t *testing.T, o store.Options, statements ...string) {
	t.Helper()
	driver, dsn := "sqlite3", filepath.Join(o.Dir, "county.db")
	if o.URL != "" {
		driver, dsn = "pgx", o.URL
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range statements {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOldReceiptsGoAndWhatReportsCountStays(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			now := morning
			o.Now = func() time.Time { return now }
			s := open(t, o)
			addController(t, s, "c1", "341523100201")
			seq := int64(1)
			add := func(rows ...asrun.Row) {
				t.Helper()
				list := receipts(seq, rows...)
				seq += int64(len(rows))
				if mark := addReceipts(t, s, "c1", "e", list); mark != seq-1 {
					t.Fatalf("mark %d", mark)
				}
			}
			reports := func() (all []store.ReachReport) {
				t.Helper()
				for _, by := range []store.Grouping{store.BySeries, store.ByIssue, store.ByClip, store.ByArea, store.ByDay} {
					rep, err := s.Reach(t.Context(), store.ReachQuery{By: by})
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, rep)
				}
				return all
			}
			kept := func() (n int) {
				t.Helper()
				rows, err := s.Rows(t.Context(), store.RowQuery{Controller: "c1", Limit: 1e6})
				if err != nil {
					t.Fatal(err)
				}
				return len(rows)
			}
			old := []asrun.Row{}
			for n := range 2100 { // more than goes at once
				old = append(old, row("早", morning.Add(time.Duration(n)*time.Second), "村口", n%7, asrun.Complete))
			}
			for len(old) > 0 {
				n := min(len(old), 1000)
				add(old[:n]...)
				old = old[n:]
			}
			alert := asrun.Row{Airing: "alert/a", Alert: "a", Output: "村口", Item: 1, Part: 1, Due: morning, Outcome: asrun.Complete, Area: "341523100201"}
			ahead := row("早", morning.AddDate(0, 0, 90), "村口", 9, asrun.Complete) // by a clock that was wrong
			add(alert, ahead)
			twice := row("晚", morning, "村口", 3, asrun.Complete)
			add(twice)
			now = now.AddDate(0, 0, 60)
			cut := now.AddDate(0, 0, -31)
			if n, err := s.Prune(t.Context(), cut); n != 0 || err != nil {
				t.Errorf("with nothing since %d went, %v", n, err)
			}
			add(row("早", now, "村口", 1, asrun.Partial))
			before := reports()
			if n, err := s.Prune(t.Context(), cut); n != 2101 || err != nil {
				t.Errorf("%d went, %v", n, err)
			}
			if n := kept(); n != 3 {
				t.Errorf("%d are left", n)
			}
			if after := reports(); !reflect.DeepEqual(before, after) {
				t.Errorf("reports were %+v and are %+v", before, after)
			}
			if n, err := s.Prune(t.Context(), cut); n != 0 || err != nil {
				t.Errorf("again %d went, %v", n, err)
			}
			// A batch that comes once more is known by the mark.
			if mark := addReceipts(t, s, "c1", "e", receipts(1, row("早", morning, "村口", 0, asrun.Complete))); mark != seq-1 {
				t.Errorf("mark %d", mark)
			}
			if after := reports(); !reflect.DeepEqual(before, after) {
				t.Errorf("reports were %+v and are %+v", before, after)
			}
		})
	}
}

func TestACorrectionForgetsNoProofThatWasDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		addController(t, s, "c1", "341523100201")
		past := time.Now().AddDate(0, 0, -50).Truncate(time.Second)
		first := row("早", past, "村口", 1, asrun.Complete)
		late := row("晚", past.Add(time.Minute), "村口", 1, asrun.Complete)
		addReceipts(t, s, "c1", "e", receipts(1, first))
		between := time.Now()
		addReceipts(t, s, "c1", "e", receipts(2, late))
		if n, err := s.Prune(t.Context(), between); n != 1 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		// That receipts are now kept for longer brings none back.
		if n, err := s.Prune(t.Context(), past.AddDate(0, 0, -40)); n != 0 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		late.Outcome = asrun.Partial
		addReceipts(t, s, "c1", "e", receipts(3, late))
		if got := total(t, s, store.ReachQuery{}); got.Planned != 2 || got.Completed != 1 || got.Reached != 100 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOldMessagesOfTheEmergencySystemGo(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			now := morning
			o.Now = func() time.Time { return now }
			s := open(t, o)
			log := func(n int) {
				t.Helper()
				var all sync.WaitGroup
				for range n {
					all.Go(func() {
						if err := s.LogEBD(t.Context(), store.EBD{ID: "e", Type: "EBM"}); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
			}
			prune := func(want int64) {
				t.Helper()
				if n, err := s.PruneEBD(t.Context(), now.AddDate(0, 0, -31)); n != want || err != nil {
					t.Errorf("%d went of %d, %v", n, want, err)
				}
			}
			prune(0)
			log(2100) // more than goes at once
			now = now.AddDate(0, 0, 20)
			log(3)
			now = now.AddDate(0, 0, 20)
			prune(2100)
			prune(0)
			now = now.AddDate(0, 0, 200) // the clock is wrong, or nobody needs the room
			prune(0)
			log(1)
			prune(3)
			if all, err := s.EBDs(t.Context(), 10); err != nil || len(all) != 1 {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}
