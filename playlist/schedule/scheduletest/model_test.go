package scheduletest_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/schedule/scheduletest"
)

// village is a programme in the making: its list "lessons" has clips of these
// lengths, all slots air on all outputs.
type village struct {
	zone    string // default Shanghai
	day     string // default 2026-11-23, a Monday
	lengths []string
	outputs []string // default one
	quiet   []string // "21:30-06:00"
	slots   []playlist.Slot
}

// courses is one line each: slot, output if there are several, due, fate, and the
// parts: item.clip+place start-end. Instants are as the clocks show them, with the
// day of the month before it on other days than the first.
func (v village) courses(t *testing.T) string {
	t.Helper()
	name := v.zone
	if name == "" {
		name = "Asia/Shanghai"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	day := v.day
	if day == "" {
		day = "2026-11-23"
	}
	from := playlisttest.At(t, zone, day+" 00:00")
	p := &playlist.Programme{Site: playlist.Site{Zone: zone}}
	if v.outputs == nil {
		v.outputs = []string{"east"}
	}
	for _, o := range v.outputs {
		p.Outputs = append(p.Outputs, playlist.Output{Name: o})
	}
	ids, lengths := playlisttest.Lessons(len(v.lengths)), map[playlist.ClipID]time.Duration{}
	for i, l := range v.lengths {
		if lengths[ids[i]], err = time.ParseDuration(l); err != nil {
			t.Fatal(err)
		}
	}
	p.Playlists = []playlist.Playlist{{Name: "lessons", Clips: ids, Order: playlist.Sequence}}
	for _, q := range v.quiet {
		a, b, _ := strings.Cut(q, "-")
		span := playlist.Span{}
		span.From, err = playlist.ParseTimeOfDay(a)
		if err == nil {
			span.To, err = playlist.ParseTimeOfDay(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Quiet = append(p.Quiet, playlist.Quiet{Span: span})
	}
	p.Slots = v.slots
	for i := range p.Slots {
		if p.Slots[i].Outputs == nil {
			p.Slots[i].Outputs = v.outputs
		}
		if err := p.Slots[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	clock := func(at time.Time) string {
		layout := "15:04:05.999"
		if at = at.In(zone); at.Day() != from.Day() {
			layout = "2 " + layout
		}
		return at.Format(layout)
	}
	var lines []string
	for _, c := range scheduletest.Model(p, lengths, from, from.AddDate(0, 0, 1)) {
		line := c.Slot + " "
		if len(v.outputs) > 1 {
			line += c.Output + " "
		}
		line += clock(c.Due) + " " + string(c.Fate)
		for _, q := range c.Parts {
			line += fmt.Sprint("; ", q.Item, ".", slices.Index(ids, q.Clip)+1)
			if q.From > 0 {
				line += fmt.Sprint("+", q.From)
			}
			line += " " + clock(q.Start) + "-" + clock(q.End)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func slot(t *testing.T, name, cron string, change ...func(*playlist.Slot)) playlist.Slot {
	s := playlisttest.Slot(t, name, cron)
	s.IntoQuiet = playlist.QuietCut
	for _, f := range change {
		f(&s)
	}
	return s
}

func count(n int) func(*playlist.Slot)            { return func(s *playlist.Slot) { s.Count = n } }
func priority(n int) func(*playlist.Slot)         { return func(s *playlist.Slot) { s.Priority = n } }
func window(d time.Duration) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Window = d } }
func chime(s *playlist.Slot)                      { s.Chime = true }
func after(a playlist.AfterPolicy) func(*playlist.Slot) {
	return func(s *playlist.Slot) { s.After = a }
}
func intoQuiet(q playlist.QuietPolicy) func(*playlist.Slot) {
	return func(s *playlist.Slot) { s.IntoQuiet = q }
}
func missed(m playlist.MissedPolicy, h, min int) func(*playlist.Slot) {
	return func(s *playlist.Slot) { s.Missed, s.Until = m, playlist.TimeOfDay(60*h+min) }
}
func outputs(o ...string) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Outputs = o } }

func TestModel(t *testing.T) {
	s := func(name, cron string, change ...func(*playlist.Slot)) playlist.Slot {
		return slot(t, name, cron, change...)
	}
	minute, two := []string{"1m"}, []string{"1m", "2m"}
	for _, test := range []struct {
		name string
		village
		want string
	}{
		// Rule 1.
		{"a second past the hour", village{lengths: minute, slots: []playlist.Slot{s("a", "1 0 7 * * *")}},
			"a 07:00:01 complete; 1.1 07:00:01-07:01:01"},
		{"the day of the month or of the week", village{lengths: minute, slots: []playlist.Slot{s("a", "0 7 1 * mon"), s("b", "0 8 23 * sun"), s("c", "0 9 1 * sun")}},
			"a 07:00:00 complete; 1.1 07:00:00-07:01:00\nb 08:00:00 complete; 1.1 08:00:00-08:01:00"},
		{"days, first and last day, and excepted days", village{lengths: minute, slots: []playlist.Slot{
			s("a", "0 7 * * *", func(s *playlist.Slot) { s.Days = 1 << time.Sunday }),
			s("b", "0 7 * * *", func(s *playlist.Slot) { s.To = "2026-11-22" }),
			s("c", "0 7 * * *", func(s *playlist.Slot) { s.From = "2026-11-24" }),
			s("d", "0 7 * * *", func(s *playlist.Slot) { s.Except = []playlist.Date{"2026-11-23"} }),
			s("e", "0 7 * * *", func(s *playlist.Slot) { s.From, s.To, s.Days = "2026-11-23", "2026-11-23", 1<<time.Monday }),
		}}, "e 07:00:00 complete; 1.1 07:00:00-07:01:00"},
		{"a time that is skipped", village{zone: "America/New_York", day: "2026-03-08", lengths: minute, slots: []playlist.Slot{s("a", "30 2,3 * * *")}},
			"a 03:30:00 complete; 1.1 03:30:00-03:31:00"},
		{"a time that is shown twice", village{zone: "America/New_York", day: "2026-11-01", lengths: minute, slots: []playlist.Slot{s("a", "30 1 * * *")}},
			"a 01:30:00 complete; 1.1 01:30:00-01:31:00\na 01:30:00 complete; 1.1 01:30:00-01:31:00"},
		{"due in quiet hours, and at their end", village{lengths: minute, quiet: []string{"21:30-06:00"}, slots: []playlist.Slot{
			s("a", "30 21 * * *", intoQuiet(playlist.QuietShift)), s("b", "59 5 * * *", missed(playlist.MissedLate, 9, 0)), s("c", "0 6 * * *")}},
			"b 05:59:00 suppressed\nc 06:00:00 complete; 1.1 06:00:00-06:01:00\na 21:30:00 suppressed"},

		// Rule 2.
		{"higher first, then as listed", village{lengths: minute, slots: []playlist.Slot{
			s("a", "0 7 * * *", window(time.Hour)), s("b", "0 7 * * *", window(time.Hour)), s("c", "0 7 * * *", priority(6), window(time.Hour))}},
			"a 07:00:00 complete; 1.1 07:01:00.3-07:02:00.3\nb 07:00:00 complete; 1.1 07:02:00.6-07:03:00.6\nc 07:00:00 complete; 1.1 07:00:00-07:01:00"},
		{"the one due earlier first", village{lengths: minute, slots: []playlist.Slot{
			s("a", "2 7 * * *", window(time.Hour)), s("b", "1 7 * * *", window(time.Hour)), s("c", "0 7 * * *", count(3))}},
			"c 07:00:00 complete; 1.1 07:00:00-07:01:00; 2.1 07:01:00.3-07:02:00.3; 3.1 07:02:00.6-07:03:00.6\n" +
				"b 07:01:00 complete; 1.1 07:03:00.9-07:04:00.9\na 07:02:00 complete; 1.1 07:04:01.2-07:05:01.2"},
		{"a chime", village{lengths: minute, slots: []playlist.Slot{s("a", "0 7 * * *", chime, count(2))}},
			"a 07:00:00 complete; 1.1 07:00:01.4-07:01:01.4; 2.1 07:01:01.7-07:02:01.7"},

		// Rule 3.
		{"past its window", village{lengths: []string{"10m"}, slots: []playlist.Slot{
			s("a", "0 7 * * *", count(2)), s("b", "1 7 * * *"), s("c", "1 7 * * *", missed(playlist.MissedLate, 7, 20)), s("d", "1 7 * * *", missed(playlist.MissedLate, 7, 40)),
			s("e", "1 7 * * *", missed(playlist.MissedMakeGood, 0, 0)), s("f", "21 7 * * *", priority(1), window(time.Hour))}},
			"a 07:00:00 complete; 1.1 07:00:00-07:10:00; 2.1 07:10:00.3-07:20:00.3\nb 07:01:00 missed\nc 07:01:00 missed\n" +
				"d 07:01:00 complete; 1.1 07:20:00.6-07:30:00.6\ne 07:01:00 complete; 1.1 07:40:01.2-07:50:01.2\nf 07:21:00 complete; 1.1 07:30:00.9-07:40:00.9"},
		{"every slot interrupts what is owed", village{lengths: []string{"10m"}, slots: []playlist.Slot{
			s("a", "0 7 * * *"), s("b", "1 7 * * *", priority(4), missed(playlist.MissedMakeGood, 8, 0)), s("c", "15 7 * * *", priority(1))}},
			"a 07:00:00 complete; 1.1 07:00:00-07:10:00\nb 07:01:00 complete; 1.1 07:10:00.3-07:15:00; 1.1+4m59.7s 07:25:00.3-07:30:00.6\nc 07:15:00 complete; 1.1 07:15:00-07:25:00"},

		// Rule 4.
		{"slots that share a list take turns", village{lengths: two, slots: []playlist.Slot{s("a", "0 7,9 * * *"), s("b", "0 8 * * *", count(3))}},
			"a 07:00:00 complete; 1.1 07:00:00-07:01:00\nb 08:00:00 complete; 1.2 08:00:00-08:02:00; 2.1 08:02:00.3-08:03:00.3; 3.2 08:03:00.6-08:05:00.6\n" +
				"a 09:00:00 complete; 1.1 09:00:00-09:01:00"},
		{"on two outputs the higher takes its clip first", village{outputs: []string{"east", "west"}, lengths: two, slots: []playlist.Slot{
			s("a", "0 7 * * *", outputs("east")), s("b", "0 7 * * *", outputs("west"), priority(6)), s("c", "0 8 * * *")}},
			"a east 07:00:00 complete; 1.2 07:00:00-07:02:00\nb west 07:00:00 complete; 1.1 07:00:00-07:01:00\n" +
				"c east 08:00:00 complete; 1.1 08:00:00-08:01:00\nc west 08:00:00 complete; 1.1 08:00:00-08:01:00"},
		{"an output that was busy airs the same clip", village{outputs: []string{"east", "west"}, lengths: []string{"1m", "2m", "3m"}, slots: []playlist.Slot{
			s("a", "0 7 * * *", outputs("east"), count(2)), s("b", "2 7 * * *")}},
			"a east 07:00:00 complete; 1.1 07:00:00-07:01:00; 2.2 07:01:00.3-07:03:00.3\n" +
				"b east 07:02:00 complete; 1.3 07:03:00.6-07:06:00.6\nb west 07:02:00 complete; 1.3 07:02:00-07:05:00"},
		{"what was not begun goes back", village{lengths: []string{"3m", "1m"}, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{
			s("a", "58 11 * * *", intoQuiet(playlist.QuietSuppress)), s("b", "0 13 * * *")}},
			"a 11:58:00 suppressed\nb 13:00:00 complete; 1.1 13:00:00-13:03:00"},

		// Rule 5.
		{"cut", village{lengths: two, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{s("a", "58 11 * * *", count(3))}},
			"a 11:58:00 ended; 1.1 11:58:00-11:59:00; 2.2 11:59:00.3-12:00:00"},
		{"suppressed after the first clip", village{lengths: two, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{s("a", "58 11 * * *", count(3), intoQuiet(playlist.QuietSuppress))}},
			"a 11:58:00 ended; 1.1 11:58:00-11:59:00"},
		{"shifted, the rest with it", village{lengths: two, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{s("a", "58 11 * * *", count(3), intoQuiet(playlist.QuietShift))}},
			"a 11:58:00 complete; 1.1 11:58:00-11:59:00; 2.2 13:00:00-13:02:00; 3.1 13:02:00.3-13:03:00.3"},
		{"shifted past a free stretch that is too short", village{lengths: []string{"5m"}, quiet: []string{"12:00-13:00", "13:04-14:00"}, slots: []playlist.Slot{
			s("a", "56 11 * * *", intoQuiet(playlist.QuietShift)), s("b", "56 11 * * *", intoQuiet(playlist.QuietShift), chime, window(time.Second))}},
			"a 11:56:00 complete; 1.1 14:00:00-14:05:00\nb 11:56:00 missed"},
		{"no stretch is long enough", village{lengths: []string{"5m"}, quiet: []string{"12:00-11:56"}, slots: []playlist.Slot{s("a", "56 11 * * *", intoQuiet(playlist.QuietShift))}},
			"a 11:56:00 suppressed"},
		{"still waiting as they begin", village{lengths: []string{"10m", "1m"}, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{
			s("a", "50 11 * * *"), s("b", "55 11 * * *", window(time.Hour), missed(playlist.MissedSkip, 0, 0)),
			s("c", "55 11 * * *", window(time.Hour), missed(playlist.MissedLate, 13, 0)), s("d", "55 11 * * *", window(10*time.Minute), missed(playlist.MissedLate, 13, 1)),
			s("e", "55 11 * * *", window(10*time.Minute), intoQuiet(playlist.QuietShift))}},
			"a 11:50:00 complete; 1.1 11:50:00-12:00:00\nb 11:55:00 missed\nc 11:55:00 missed\n" +
				"d 11:55:00 complete; 1.2 13:00:00-13:01:00\ne 11:55:00 complete; 1.1 13:01:00.3-13:11:00.3"},
		{"suppress waits on past its window", village{lengths: []string{"9m", "5m"}, quiet: []string{"12:00-13:00"}, slots: []playlist.Slot{
			s("a", "47 11 * * *"), s("b", "50 11 * * *", window(time.Minute), missed(playlist.MissedLate, 15, 0), intoQuiet(playlist.QuietSuppress)),
			s("c", "50 11 * * *", window(9*time.Minute), missed(playlist.MissedLate, 15, 0), intoQuiet(playlist.QuietSuppress))}},
			"a 11:47:00 complete; 1.1 11:47:00-11:56:00\nb 11:50:00 complete; 1.2 13:00:00-13:05:00\nc 11:50:00 suppressed"},

		// Rule 6.
		{"rejoin, restart, drop", village{lengths: []string{"10m"}, slots: []playlist.Slot{
			s("a", "0 7 * * *", count(2)), s("b", "0 8 * * *", count(2), after(playlist.AfterRestart)), s("c", "0 9 * * *", count(2), after(playlist.AfterDrop)),
			s("h", "4 7-9 * * *", priority(9))}},
			"a 07:00:00 complete; 1.1 07:00:00-07:04:00; 1.1+4m0s 07:14:00.3-07:20:00.3; 2.1 07:20:00.6-07:30:00.6\n" +
				"h 07:04:00 complete; 1.1 07:04:00-07:14:00\n" +
				"b 08:00:00 complete; 1.1 08:00:00-08:04:00; 1.1 08:14:00.3-08:24:00.3; 2.1 08:24:00.6-08:34:00.6\n" +
				"h 08:04:00 complete; 1.1 08:04:00-08:14:00\nc 09:00:00 ended; 1.1 09:00:00-09:04:00\nh 09:04:00 complete; 1.1 09:04:00-09:14:00"},
		{"an hour is enough", village{lengths: []string{"20m"}, slots: []playlist.Slot{s("a", "0 7 * * *"), s("h", "10 7 * * *", priority(9), count(3))}},
			"a 07:00:00 ended; 1.1 07:00:00-07:10:00\nh 07:10:00 complete; 1.1 07:10:00-07:30:00; 2.1 07:30:00.3-07:50:00.3; 3.1 07:50:00.6-08:10:00.6"},
		{"quiet hours do not count", village{lengths: []string{"20m"}, quiet: []string{"12:00-14:00"}, slots: []playlist.Slot{
			s("a", "30 11 * * *", intoQuiet(playlist.QuietShift)), s("h", "40 11 * * *", priority(9)), s("i", "0 14 * * *", priority(9), count(2))}},
			"a 11:30:00 complete; 1.1 11:30:00-11:40:00; 1.1+10m0s 14:40:00.6-14:50:00.6\nh 11:40:00 complete; 1.1 11:40:00-12:00:00\n" +
				"i 14:00:00 complete; 1.1 14:00:00-14:20:00; 2.1 14:20:00.3-14:40:00.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.courses(t); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestEmpty is about a list without clips, of which nothing can sound.
func TestEmpty(t *testing.T) {
	v := village{slots: []playlist.Slot{slot(t, "a", "0 7 * * *")}}
	if got := v.courses(t); got != "a 07:00:00 empty" {
		t.Error(got)
	}
}

// TestRandom holds the made programmes to what they are for: that each is one that a
// config's reader would pass, that most airings complete, and that among the rest
// there is enough of everything.
func TestRandom(t *testing.T) {
	seen := map[string]int{}
	for seed := range int64(200) {
		p, lengths, from := scheduletest.Random(rand.New(rand.NewSource(seed)))
		for _, s := range p.Slots {
			if err := s.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for _, c := range scheduletest.Model(p, lengths, from, from.Add(scheduletest.Days*24*time.Hour)) {
			seen["all"]++
			seen[string(c.Fate)]++
			for i, q := range c.Parts {
				if q.End.Sub(q.Start)+q.From > lengths[q.Clip] {
					t.Errorf("seed %d: %+v is longer than its clip", seed, q)
				}
				if i > 0 && q.Start.Before(c.Parts[i-1].End) {
					t.Errorf("seed %d: %+v begins before the one before it ends", seed, q)
				}
				if q.From > 0 {
					seen["goes on"]++
				}
			}
			if len(c.Parts) > 0 && c.Parts[0].Start.Sub(c.Due) > 2*time.Second {
				seen["late"]++
			}
		}
	}
	t.Log(seen)
	for _, kind := range []string{"complete", "ended", "missed", "suppressed", "goes on", "late"} {
		if seen[kind] < 100 {
			t.Errorf("only %d %s", seen[kind], kind)
		}
	}
	if seen["complete"] < seen["all"]/3 {
		t.Errorf("only %d of %d complete", seen["complete"], seen["all"])
	}
}
