package playlist_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"dalaba/playlist"
)

// vectors reads a table of test vectors without its head line; they lie
// beside the project, somewhere above this folder.
func vectors(t *testing.T, pattern string, head bool) [][]string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		found, err := filepath.Glob(filepath.Join(dir, "shared", "vectors", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			text, err := os.ReadFile(found[0])
			if err != nil {
				t.Fatal(err)
			}
			var rows [][]string
			for i, l := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
				if i > 0 || !head {
					rows = append(rows, strings.Split(l, "\t"))
				}
			}
			return rows
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skipf("no shared/vectors/%s above this folder", pattern)
		}
		dir = up
	}
}

// instant reads the vectors' ways to write a time.
func instant(t *testing.T, s string, zone *time.Location) time.Time {
	t.Helper()
	if name, rest, ok := strings.Cut(strings.TrimPrefix(s, "TZ="), " "); ok && strings.HasPrefix(s, "TZ=") {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zone, s = z, rest
	}
	for _, layout := range []string{"Mon Jan 2 15:04 2006", "Mon Jan 2 15:04:05 2006", "2006-01-02T15:04:05-0700"} {
		if at, err := time.ParseInLocation(layout, s, zone); err == nil {
			if strings.HasSuffix(layout, "-0700") && zone != time.UTC {
				at = at.In(zone)
			}
			return at
		}
	}
	t.Fatalf("no time: %q", s)
	return time.Time{}
}

func TestCronFiresAsTheVectorsSay(t *testing.T) {
	for _, row := range vectors(t, "cron/robfig-activation.tsv", true) {
		at := instant(t, row[0], time.UTC)
		c, err := playlist.ParseCron(row[1])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		next, ok := c.Next(at.Add(-time.Second))
		if fires := ok && next.Equal(at); fires != (row[2] == "true") {
			t.Errorf("%s at %s: fires %v, want %s", row[1], row[0], fires, row[2])
		}
	}
}

// Where ParseCron differs from the vectors on purpose: a zone within the spec
// is refused, because the site's zone rules them all. The rest of such a spec
// is read in that zone instead, and must then agree.
func TestCronNextComesAsTheVectorsSay(t *testing.T) {
	refused := 0
	for _, row := range vectors(t, "cron/robfig-next.tsv", true) {
		from, spec, want := row[0], row[1], ""
		if len(row) > 2 {
			want = row[2]
		}
		zone := time.UTC
		if i := strings.Index(spec, "TZ="); i >= 0 {
			if _, err := playlist.ParseCron(spec); !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("%s: taken with its zone: %v", spec, err)
			}
			refused++
			name, rest, _ := strings.Cut(spec[i+len("TZ="):], " ")
			var err error
			if zone, err = time.LoadLocation(name); err != nil {
				t.Fatal(err)
			}
			spec = rest
		}
		c, err := playlist.ParseCron(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		next, ok := c.Next(instant(t, from, zone))
		switch {
		case want == "" && ok:
			t.Errorf("%s after %s: %v, want never", spec, from, next)
		case want != "" && (!ok || !next.Equal(instant(t, want, zone))):
			t.Errorf("%s after %s: %v, want %s", spec, from, next, want)
		}
	}
	if refused == 0 {
		t.Error("no vector with a zone was met")
	}
}

func TestCronRefusesWhatTheVectorsRefuse(t *testing.T) {
	for _, row := range vectors(t, "cron/robfig-invalid.txt", false) {
		if _, err := playlist.ParseCron(row[0]); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%q: %v", row[0], err)
		}
	}
}

func TestCronRefusesWhatWouldNotMeanOneInstant(t *testing.T) {
	for _, spec := range []string{
		"", "   ", "TZ=UTC", "CRON_TZ=UTC", "TZ=UTC 0 0 * * *", "@every 5m", "@every", "@reboot", "@", "* * * *", "* * * * * * *",
		"0 0 * * 7", "0 0 * * L", "0 22-5 * * *", "0 0 0 * *", "*/0 * * * *", "-1 * * * *", "5/ * * * *", "1-2-3 * * * *", "1/2/3 * * * *",
		", * * * * *", "0 0,,1 * * *", "0 0, * * *", "*-5 * * * *", "?-5 * * * *", "0 0 * * *\x00", strings.Repeat("0,", 200) + "0 * * * *",
	} {
		if c, err := playlist.ParseCron(spec); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%q was taken as %v: %v", spec, c, err)
		}
	}
}

func FuzzParseCron(f *testing.F) {
	for _, spec := range []string{"30 7 * * *", "0 30 7 * * mon-fri", "@daily", "*/5,7 8-20/3 1,15 jan ?", "TZ=UTC", "0 0 30 2 *", ", * * * *", "@every 1s"} {
		f.Add(spec)
	}
	at := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		c, err := playlist.ParseCron(spec)
		if err != nil {
			if !errors.Is(err, playlist.ErrInvalid) {
				t.Errorf("%q: %v", spec, err)
			}
			return
		}
		if next, ok := c.Next(at); ok && !next.After(at) {
			t.Errorf("%q: %v does not come after %v", spec, next, at)
		}
		if again, err := playlist.ParseCron(c.String()); err != nil || again.String() != c.String() {
			t.Errorf("%q does not read back: %v", spec, err)
		}
	})
}

func TestASlotThatCanNeverAirHasNoNext(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	mondays, err := playlist.ParseCron("30 7 * * mon")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		slot playlist.Slot
	}{
		{"its days leave out the days of its spec", playlist.Slot{Cron: mondays, Days: 1 << time.Tuesday}},
		{"its last day has passed", playlist.Slot{Cron: mondays, To: "2026-11-22"}},
		{"its only day is an exception", playlist.Slot{Cron: mondays, From: "2026-11-23", To: "2026-11-29", Except: []playlist.Date{"2026-11-23"}}},
		{"it has no spec", playlist.Slot{}},
	} {
		if due, ok := c.slot.Next(at, time.UTC); ok {
			t.Errorf("%s: due %v", c.name, due)
		}
	}
}
