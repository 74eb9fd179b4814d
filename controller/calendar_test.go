package controller_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dalaba/controller"
	"dalaba/controller/control"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
	"dalaba/web"
)

// withWorkdays is a config of a slot of workdays.
func withWorkdays(t *testing.T) string {
	clip, err := filepath.Abs("../data/course/testdata/clip1.mp3")
	if err != nil {
		t.Fatal(err)
	}
	return village + `
[calendar]
files = ["holidays.csv"]

[[playlist]]
name = "lessons"
clips = ["` + clip + `"]

[[slot]]
name = "morning"
playlist = "lessons"
cron = "30 7 * * *"
days = ["工作日"]
`
}

// A pole must air after a power cut whatever became of the list of holidays.
func TestADaemonStartsWithTheLastGoodCalendar(t *testing.T) {
	workdays, dir := withWorkdays(t), t.TempDir()
	file, list := filepath.Join(dir, "dalaba.toml"), filepath.Join(dir, "holidays.csv")
	const (
		last = "list of holidays cannot be read, the last good one is in force"
		none = "list of holidays cannot be read, workdays are Monday to Friday"
	)
	var log []string
	for _, c := range []struct {
		name, text, list string // no list: it is gone
		off              playlist.Date
		problems         int
		log              string // what it tells of the list; empty: nothing
	}{
		{"gone from the beginning", workdays, "", "", 2, none + ": there is no file"},
		{"there", workdays, "2026-10-01 休", "2026-10-01", 0, ""},
		{"gone", workdays, "", "2026-10-01", 2, last + ": there is no file"},
		{"broken", workdays, "2026-10-01 休\n2026-10-99 休", "2026-10-01", 2, last + `: "holidays.csv", line 2: "2026-10-99" is no date`},
		{"gone, with a config that is refused", workdays + "colour = 1\n", "", "2026-10-01", 3, last + ": there is no file"},
		{"another", workdays, "2026-10-02 休", "2026-10-02", 0, ""},
		{"no longer named", strings.Replace(workdays, "[calendar]\nfiles = [\"holidays.csv\"]\n", "", 1), "", "", 0, ""},
		{"named again, and gone", workdays, "", "", 2, none + ": there is no file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(list)
			if c.list != "" {
				if err := os.WriteFile(list, []byte(c.list), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var problems []config.Problem
			k, err := controller.New(t.Context(), controller.Options{
				File: file, Text: []byte(c.text), Console: slog.DiscardHandler,
				Language: func(string) say.Lang { return say.English }, Problems: func(all []config.Problem) {
					for _, p := range all {
						if !strings.Contains(p.Error(), "no list of holidays covers") {
							problems = append(problems, p)
						}
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) != c.problems {
				t.Errorf("%d problems: %v", len(problems), problems)
			}
			s := k.Config().Slots[0]
			if c.off == "" && s.Calendar != nil || c.off != "" && (s.Calendar == nil || s.Calendar.Off[0] != c.off) {
				t.Errorf("%v, want %s", s.Calendar, c.off)
			}
			if c.log != "" {
				log = append(log, c.log)
			}
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	store, err := data.OpenReadOnly(t.Context(), filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	told := ofHolidays(t, store)
	if !slices.EqualFunc(told, log, func(line, want string) bool {
		message, why, _ := strings.Cut(want, ": ")
		return strings.HasPrefix(line, message) && strings.Contains(line, why)
	}) {
		t.Errorf("the log tells %q, want %q", told, log)
	}
}

func TestAReloadPutsAnotherCalendarInForce(t *testing.T) {
	r := start(t, village)
	put := func(text string) {
		if err := os.WriteFile(filepath.Join(r.dir, "holidays.csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.write(withWorkdays(t))
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("without its list: %v", err)
	}
	var before playlist.Slot
	for i, off := range []string{"2026-10-01", "2026-10-02"} {
		put(off + " 休\n")
		if err := r.reload(); err != nil {
			t.Fatal(err)
		}
		s := r.c.Config().Slots[0]
		if string(s.Calendar.Off[0]) != off {
			t.Errorf("%v, want %s", s.Calendar, off)
		}
		if i > 0 && !s.Since.After(before.Since) {
			t.Errorf("by the calendar of %s it is in force since %v, before that since %v", off, s.Since, before.Since)
		}
		before = s
	}
	put("2026-10-02 休\n2026-10-02 班\n")
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), `"holidays.csv", line 2: 2026-10-02 contradicts`) {
		t.Errorf("with a list that is broken: %v", err)
	}
	if s := r.c.Config().Slots[0]; !s.Equal(before) {
		t.Errorf("in force is %+v, was %+v", s, before)
	}
}

// A signal is a reload as a person asks for it; a daemon that reads the config again by
// itself goes on with what it has, and says so once.
func TestASignalRefusesAListOfHolidaysThatCannotBeRead(t *testing.T) {
	r := start(t, village)
	list := filepath.Join(r.dir, "holidays.csv")
	if err := os.WriteFile(list, []byte("2026-10-01 休\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(withWorkdays(t))
	r.hangup <- os.Interrupt
	if told := <-r.told; !strings.Contains(told, "{added calendar calendar}") || !strings.HasSuffix(told, "<nil>") {
		t.Errorf("with a list: %s", told)
	}
	before := r.c.Config().Slots[0]
	for _, text := range []string{"2026-10-99 休\n", ""} {
		if err := os.Remove(list); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.hangup <- os.Interrupt
		if told := <-r.told; strings.HasSuffix(told, "<nil>") {
			t.Errorf("with %q: %s", text, told)
		}
		for range 2 {
			if _, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file, Automatic: true}); err != nil {
				t.Errorf("by itself, with %q: %v", text, err)
			}
		}
		if s := r.c.Config().Slots[0]; !s.Equal(before) {
			t.Errorf("with %q in force is %+v, was %+v", text, s, before)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.await("the whole log", func() bool { return len(events(t, r.c.Store(), "stopped")) == 1 })
	if all := ofHolidays(t, r.c.Store()); len(all) > 0 { // by itself it reads no list
		t.Errorf("the log tells %q", all)
	}
}

// ofHolidays returns what the log tells of lists of holidays, and why.
func ofHolidays(t *testing.T, store *data.Store) []string {
	return events(t, store, "list of holidays")
}

// events returns the events of the log that begin so, and why.
func events(t *testing.T, store *data.Store, prefix string) (lines []string) {
	t.Helper()
	all, err := store.Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Message, prefix) {
			lines = append(lines, fmt.Sprint(e.Message, ": ", e.Attrs["why"]))
		}
	}
	return lines
}

// reload has the config read again; the error tells of its problems.
func (r *running) reload() error {
	_, err := r.daemon.Reload(r.t.Context(), control.Reload{Config: r.file})
	var f *web.Failed
	if errors.As(err, &f) {
		return errors.New(strings.Join(f.Problems, "\n"))
	}
	return err
}
