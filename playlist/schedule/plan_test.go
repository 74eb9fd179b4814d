package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/schedule"
)

// planned is a plan as lines: slot, output, due, start, end, clips, flags.
func planned(plan []schedule.Planned, zone *time.Location) []string {
	clock := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return strings.TrimSuffix(t.In(zone).Format("15:04:05.0"), ".0")
	}
	var lines []string
	for _, p := range plan {
		line := fmt.Sprintf("%s/%s %s %s-%s", p.Slot.Name, p.Output, clock(p.Due), clock(p.Start), clock(p.End))
		for _, c := range p.Clips {
			line += " " + number(c)
		}
		for _, f := range p.Flags {
			line += " " + string(f.Kind)
			if f.Other != "" {
				slot, _, _ := strings.Cut(string(f.Other), "@")
				line += ":" + slot
			}
			if f.Clip != "" {
				line += ":" + number(f.Clip)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func number(id playlist.ClipID) string { return strings.TrimLeft(string(id), "0") }

func TestPlan(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	// Every clip sounds for a minute.
	minute := func(playlist.ClipID) (playlist.Clip, bool) { return playlist.Clip{Frames: 60 * playlist.Rate}, true }
	gone := func(missing ...string) func(playlist.ClipID) (playlist.Clip, bool) {
		return func(id playlist.ClipID) (playlist.Clip, bool) {
			return playlist.Clip{Frames: 60 * playlist.Rate}, !slices.Contains(missing, number(id))
		}
	}
	slot := func(name, spec string, change ...func(*playlist.Slot)) playlist.Slot {
		s := playlisttest.Slot(t, name, spec, "a")
		for _, c := range change {
			c(&s)
		}
		return s
	}
	count := func(n int) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Count = n } }
	priority := func(n int) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Priority = n } }
	window := func(d time.Duration) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Window = d } }
	after := func(a playlist.AfterPolicy) func(*playlist.Slot) { return func(s *playlist.Slot) { s.After = a } }
	missed := func(m playlist.MissedPolicy, until playlist.TimeOfDay) func(*playlist.Slot) {
		return func(s *playlist.Slot) { s.Missed, s.Until = m, until }
	}
	on := func(outputs ...string) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Outputs = outputs } }
	list := func(name string) func(*playlist.Slot) { return func(s *playlist.Slot) { s.Playlist = name } }
	intoQuiet := func(q playlist.QuietPolicy) func(*playlist.Slot) {
		return func(s *playlist.Slot) { s.IntoQuiet = q }
	}
	chime := func(s *playlist.Slot) { s.Chime = true }
	noon := playlist.Quiet{Span: playlist.Span{From: 12 * 60, To: 14 * 60}}

	for _, c := range []struct {
		name    string
		slots   []playlist.Slot
		quiet   []playlist.Quiet
		find    func(playlist.ClipID) (playlist.Clip, bool)
		cursors map[string]playlist.Cursor
		from    string // 07:00 where empty
		to      string // 09:00 where empty
		want    []string
	}{
		{
			name:  "one airing by itself",
			slots: []playlist.Slot{slot("早", "30 7 * * *")},
			want:  []string{"早/a 07:30:00 07:30:00-07:31:00 1"},
		},
		{
			name:  "what falls due at from is past, at to is planned",
			slots: []playlist.Slot{slot("早", "0 7,9 * * *")},
			want:  []string{"早/a 09:00:00 09:00:00-09:01:00 1"},
		},
		{
			name:  "three clips with gaps, after a chime",
			slots: []playlist.Slot{slot("早", "30 7 * * *", count(3), chime)},
			want:  []string{"早/a 07:30:00 07:30:00-07:33:02 1 2 3"},
		},
		{
			name:    "the cursor goes on where it stands, and round again",
			slots:   []playlist.Slot{slot("早", "0,30 8 * * *", count(2))},
			cursors: map[string]playlist.Cursor{"lessons": {Index: 2, Last: playlisttest.Lessons(5)[2]}},
			want: []string{
				"早/a 08:00:00 08:00:00-08:02:00.3 4 5",
				"早/a 08:30:00 08:30:00-08:32:00.3 1 2",
			},
		},
		{
			name:  "slots of one playlist share its cursor, each playlist has its own",
			slots: []playlist.Slot{slot("早", "0 8 * * *"), slot("中", "10 8 * * *", list("more")), slot("晚", "20 8 * * *")},
			want: []string{
				"早/a 08:00:00 08:00:00-08:01:00 1",
				"中/a 08:10:00 08:10:00-08:11:00 101",
				"晚/a 08:20:00 08:20:00-08:21:00 2",
			},
		},
		{
			name:  "equals queue within the window",
			slots: []playlist.Slot{slot("甲", "0 8 * * *"), slot("乙", "0 8 * * *")},
			want: []string{
				"甲/a 08:00:00 08:00:00-08:01:00 1",
				"乙/a 08:00:00 08:01:00.3-08:02:00.3 2 waits:甲",
			},
		},
		{
			name:  "of two at the same instant the higher goes first and interrupts nobody",
			slots: []playlist.Slot{slot("低", "0 8 * * *"), slot("高", "0 8 * * *", priority(9))},
			want: []string{
				"高/a 08:00:00 08:00:00-08:01:00 1",
				"低/a 08:00:00 08:01:00.3-08:02:00.3 2 waits:高",
			},
		},
		{
			name:  "one that comes as another ends waits for nobody",
			slots: []playlist.Slot{slot("甲", "0 8 * * *"), slot("乙", "1 8 * * *")},
			want: []string{
				"甲/a 08:00:00 08:00:00-08:01:00 1",
				"乙/a 08:01:00 08:01:00-08:02:00 2",
			},
		},
		{
			name: "where a waiting one and a higher one could start at the same instant, the higher does",
			slots: []playlist.Slot{
				slot("先", "0 8 * * *"), slot("等", "0 8 * * *", window(3*time.Minute)), slot("高", "1 8 * * *", priority(9)),
			},
			want: []string{
				"先/a 08:00:00 08:00:00-08:01:00 1",
				"等/a 08:00:00 08:02:00.3-08:03:00.3 3 waits:先",
				"高/a 08:01:00 08:01:00-08:02:00 2",
			},
		},
		{
			name:  "one that waits past its window is missed, and takes no clip",
			slots: []playlist.Slot{slot("长", "0 8 * * *", count(4)), slot("短", "1 8 * * *"), slot("后", "10 8 * * *")},
			want: []string{
				"长/a 08:00:00 08:00:00-08:04:00.9 1 2 3 4",
				"短/a 08:01:00 --- missed_busy:长",
				"后/a 08:10:00 08:10:00-08:11:00 5",
			},
		},
		{
			name: "who held the output at the deadline is named",
			slots: []playlist.Slot{
				slot("一", "0 8 * * *"), slot("二", "0 8 * * *", count(5)), slot("三", "0 8 * * *"),
			},
			want: []string{
				"一/a 08:00:00 08:00:00-08:01:00 1",
				"二/a 08:00:00 08:01:00.3-08:06:01.5 2 3 4 5 1 waits:一",
				"三/a 08:00:00 --- missed_busy:二",
			},
		},
		{
			name:  "one that may be late waits longer",
			slots: []playlist.Slot{slot("长", "0 8 * * *", count(4)), slot("短", "1 8 * * *", missed(playlist.MissedLate, 9*60))},
			want: []string{
				"长/a 08:00:00 08:00:00-08:04:00.9 1 2 3 4",
				"短/a 08:01:00 08:04:01.2-08:05:01.2 5 waits:长",
			},
		},
		{
			name:  "late ends at until",
			slots: []playlist.Slot{slot("长", "0 8 * * *", count(5)), slot("短", "1 8 * * *", missed(playlist.MissedLate, 8*60+4))},
			want: []string{
				"长/a 08:00:00 08:00:00-08:05:01.2 1 2 3 4 5",
				"短/a 08:01:00 --- missed_busy:长",
			},
		},
		{
			name: "a make-good takes what no slot wants",
			slots: []playlist.Slot{
				slot("长", "0 8 * * *", count(4)), slot("补", "1 8 * * *", priority(8), missed(playlist.MissedMakeGood, 9*60)),
				slot("平", "4 8 * * *", priority(1)),
			},
			want: []string{
				"长/a 08:00:00 08:00:00-08:05:00.9 1 2 4 5 preempted:补",
				"补/a 08:01:00 08:01:00-08:02:00 3",
				"平/a 08:04:00 08:05:01.2-08:06:01.2 1 waits:长",
			},
		},
		{
			name: "a make-good past its window goes behind lower slots and gives way to them",
			slots: []playlist.Slot{
				slot("长", "0 8 * * *", priority(9), count(4)), slot("补", "1 8 * * *", priority(8), missed(playlist.MissedMakeGood, 9*60)),
				slot("平", "3 8 * * *", priority(1)), slot("插", "30 5 8 * * *", priority(1)),
			},
			want: []string{
				"长/a 08:00:00 08:00:00-08:04:00.9 1 2 3 4",
				"补/a 08:01:00 08:05:01.5-08:07:01.8 1 waits:长 preempted:插",
				"平/a 08:03:00 08:04:01.2-08:05:01.2 5 waits:长",
				"插/a 08:05:30 08:05:30-08:06:30 2",
			},
		},
		{
			name: "preempted and rejoined where it stopped",
			slots: []playlist.Slot{
				slot("低", "0 8 * * *", count(2)), slot("高", "30 0 8 * * *", priority(9)),
			},
			want: []string{
				"低/a 08:00:00 08:00:00-08:03:00.6 1 3 preempted:高",
				"高/a 08:00:30 08:00:30-08:01:30 2",
			},
		},
		{
			name: "preempted and begun again: that clip, not the airing",
			slots: []playlist.Slot{
				slot("低", "0 8 * * *", count(2), after(playlist.AfterRestart)), slot("高", "30 1 8 * * *", priority(9)),
			},
			want: []string{
				"低/a 08:00:00 08:00:00-08:03:30.3 1 2 restarted:高",
				"高/a 08:01:30 08:01:30-08:02:30 3",
			},
		},
		{
			name: "preempted and dropped: what it has not reached stays in the playlist",
			slots: []playlist.Slot{
				slot("低", "0 8 * * *", count(3), after(playlist.AfterDrop)), slot("高", "30 0 8 * * *", priority(9)),
			},
			want: []string{
				"低/a 08:00:00 08:00:00-08:00:30 1 dropped:高",
				"高/a 08:00:30 08:00:30-08:01:30 2",
			},
		},
		{
			name: "preempted twice",
			slots: []playlist.Slot{
				slot("低", "0 8 * * *"), slot("中", "15 0 8 * * *", priority(7)), slot("高", "30 0 8 * * *", priority(9)),
			},
			want: []string{
				"低/a 08:00:00 08:00:00-08:03:00.6 1 preempted:中",
				"中/a 08:00:15 08:00:15-08:02:15.3 2 preempted:高",
				"高/a 08:00:30 08:00:30-08:01:30 3",
			},
		},
		{
			name: "an interrupted one goes on before an equal that came meanwhile",
			slots: []playlist.Slot{
				slot("低", "0 8 * * *"), slot("高", "30 0 8 * * *", priority(9)), slot("等", "45 0 8 * * *"),
			},
			want: []string{
				"低/a 08:00:00 08:00:00-08:02:00.3 1 preempted:高",
				"高/a 08:00:30 08:00:30-08:01:30 2",
				"等/a 08:00:45 08:02:00.6-08:03:00.6 3 waits:高",
			},
		},
		{
			name: "an interruption of more than an hour is the end",
			slots: []playlist.Slot{
				slot("低", "30 7 * * *"), slot("高", "30 30 7 * * *", priority(9), count(62)),
			},
			want: []string{
				"低/a 07:30:00 07:30:00-07:30:30 1 dropped:高",
				"高/a 07:30:30 07:30:30-08:32:48.3 " + strings.TrimSpace(strings.Repeat("2 3 4 5 1 ", 13)[:len("2 3 4 5 1 ")*12+3]),
			},
		},
		{
			name:  "suppressed in quiet hours, and takes no clip",
			slots: []playlist.Slot{slot("午", "0,30 12,14 * * *")},
			quiet: []playlist.Quiet{noon}, from: "11:30", to: "14:30",
			want: []string{
				"午/a 12:00:00 --- quiet",
				"午/a 12:30:00 --- quiet",
				"午/a 14:00:00 14:00:00-14:01:00 1",
				"午/a 14:30:00 14:30:00-14:31:00 2",
			},
		},
		{
			name:  "runs into quiet hours and is cut there",
			slots: []playlist.Slot{slot("午", "30 58 11 * * *", count(3)), slot("晚", "0 18 * * *")},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "18:00",
			want: []string{
				"午/a 11:58:30 11:58:30-12:00:00 1 2 into_quiet",
				"晚/a 18:00:00 18:00:00-18:01:00 3",
			},
		},
		{
			name:  "a long airing that quiet hours cut holds nobody up after them",
			slots: []playlist.Slot{slot("长", "59 11 * * *", count(200)), slot("后", "0 14 * * *")},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "15:00",
			want: []string{
				"长/a 11:59:00 11:59:00-12:00:00 1 into_quiet",
				"后/a 14:00:00 14:00:00-14:01:00 2",
			},
		},
		{
			name: "one that waits as quiet hours begin goes on after them if it may be as late, else it is missed",
			slots: []playlist.Slot{
				slot("先", "30 58 11 * * *", count(2)), slot("等", "59 11 * * *", missed(playlist.MissedLate, 18*60)),
				slot("弃", "30 59 11 * * *", missed(playlist.MissedLate, 14*60)),
			},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "15:00",
			want: []string{
				"先/a 11:58:30 11:58:30-12:00:00 1 2 into_quiet",
				"等/a 11:59:00 14:00:00-14:01:00 3 waits:先 shifted",
				"弃/a 11:59:30 --- missed_busy:先",
			},
		},
		{
			name: "one interrupted before quiet hours does not go on in them",
			slots: []playlist.Slot{
				slot("低", "58 11 * * *", count(3)), slot("高", "30 58 11 * * *", priority(9), count(3)),
			},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "15:00",
			want: []string{
				"低/a 11:58:00 11:58:00-11:58:30 1 preempted:高 into_quiet",
				"高/a 11:58:30 11:58:30-12:00:00 2 3 into_quiet",
			},
		},
		{
			name: "a slot that would rather not run into quiet hours is suppressed, and takes no clip",
			slots: []playlist.Slot{
				slot("午", "30 59 11 * * *", intoQuiet(playlist.QuietSuppress)), slot("晚", "0 18 * * *"),
			},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "18:00",
			want: []string{
				"午/a 11:59:30 --- quiet",
				"晚/a 18:00:00 18:00:00-18:01:00 1",
			},
		},
		{
			name: "a slot that would rather not run into quiet hours airs the clips that fit",
			slots: []playlist.Slot{
				slot("午", "58 11 * * *", intoQuiet(playlist.QuietSuppress), count(3)), slot("晚", "0 18 * * *"),
			},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "18:00",
			want: []string{
				"午/a 11:58:00 11:58:00-11:59:00 1 into_quiet",
				"晚/a 18:00:00 18:00:00-18:01:00 2",
			},
		},
		{
			name: "a slot that shifts airs behind quiet hours",
			slots: []playlist.Slot{
				slot("午", "30 59 11 * * *", intoQuiet(playlist.QuietShift)), slot("后", "0 14 * * *", priority(9)),
			},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "18:00",
			want: []string{
				"午/a 11:59:30 14:01:00.3-14:02:00.3 2 shifted",
				"后/a 14:00:00 14:00:00-14:01:00 1",
			},
		},
		{
			name:  "a slot that shifts goes on behind quiet hours with the clips that did not fit",
			slots: []playlist.Slot{slot("午", "58 11 * * *", intoQuiet(playlist.QuietShift), count(3))},
			quiet: []playlist.Quiet{noon}, from: "11:00", to: "18:00",
			want: []string{"午/a 11:58:00 11:58:00-14:02:00.6 1 2 3 shifted"},
		},
		{
			name:  "a slot that shifts goes to the first time between quiet hours that is long enough",
			slots: []playlist.Slot{slot("午", "30 59 11 * * *", intoQuiet(playlist.QuietShift), count(2))},
			find: func(playlist.ClipID) (playlist.Clip, bool) {
				return playlist.Clip{Frames: 3600 * playlist.Rate}, true
			},
			quiet: []playlist.Quiet{noon, {Span: playlist.Span{From: 14*60 + 30, To: 15 * 60}}}, from: "11:00", to: "18:00",
			want: []string{"午/a 11:59:30 15:00:00-17:00:00.3 1 2 shifted"},
		},
		{
			name:  "a clip that is not ready is passed over and told of",
			slots: []playlist.Slot{slot("早", "0,30 8 * * *", count(2))},
			find:  gone("2", "3"),
			want: []string{
				"早/a 08:00:00 08:00:00-08:02:00.3 1 4 unready:2 unready:3",
				"早/a 08:30:00 08:30:00-08:32:00.3 5 1",
			},
		},
		{
			name:  "one good clip is aired again and again, the bad ones told of once",
			slots: []playlist.Slot{slot("早", "0 8 * * *", count(3))},
			find:  gone("2", "3", "4", "5"),
			want:  []string{"早/a 08:00:00 08:00:00-08:03:00.6 1 1 1 unready:2 unready:3 unready:4 unready:5"},
		},
		{
			name:  "no clip can be aired, and the cursor stays",
			slots: []playlist.Slot{slot("空", "0 8 * * *"), slot("无", "10 8 * * *", list("none"))},
			find:  gone("1", "2", "3", "4", "5"),
			want: []string{
				"空/a 08:00:00 --- unready:1 unready:2 unready:3 unready:4 unready:5 empty",
				"无/a 08:10:00 --- empty",
			},
		},
		{
			name:  "one without a clip interrupts nobody",
			slots: []playlist.Slot{slot("低", "0 8 * * *"), slot("空", "30 0 8 * * *", priority(9), list("none"))},
			want: []string{
				"低/a 08:00:00 08:00:00-08:01:00 1",
				"空/a 08:00:30 --- empty",
			},
		},
		{
			name:  "all outputs of an airing sound the same clips",
			slots: []playlist.Slot{slot("早", "0 8 * * *", count(2), on("a", "b")), slot("后", "10 8 * * *", on("b"))},
			want: []string{
				"早/a 08:00:00 08:00:00-08:02:00.3 1 2",
				"早/b 08:00:00 08:00:00-08:02:00.3 1 2",
				"后/b 08:10:00 08:10:00-08:11:00 3",
			},
		},
		{
			name: "an output that is busy joins later, with the clip the others have",
			slots: []playlist.Slot{
				slot("占", "0 8 * * *", on("b"), list("more")), slot("早", "30 0 8 * * *", count(2), on("a", "b")),
			},
			want: []string{
				"占/b 08:00:00 08:00:00-08:01:00 101",
				"早/a 08:00:30 08:00:30-08:02:30.3 1 2",
				"早/b 08:00:30 08:01:00.3-08:03:00.6 1 2 waits:占",
			},
		},
		{
			name: "missed on one output, aired on the other",
			slots: []playlist.Slot{
				slot("占", "0 8 * * *", on("b"), list("more"), count(4)), slot("早", "0 8 * * *", on("a", "b")),
			},
			want: []string{
				"占/b 08:00:00 08:00:00-08:04:00.9 101 102 103 101",
				"早/a 08:00:00 08:00:00-08:01:00 1",
				"早/b 08:00:00 --- missed_busy:占",
			},
		},
		{
			name:  "nothing falls due",
			slots: []playlist.Slot{slot("夜", "0 23 * * *")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &playlist.Programme{
				Site: playlist.Site{Zone: zone}, Outputs: []playlist.Output{{Name: "a"}, {Name: "b"}},
				Quiet: c.quiet, Slots: c.slots,
				Playlists: []playlist.Playlist{
					{Name: "lessons", Clips: playlisttest.Lessons(5), Order: playlist.Sequence},
					{Name: "more", Clips: []playlist.ClipID{
						playlist.ClipID(fmt.Sprintf("%064d", 101)), playlist.ClipID(fmt.Sprintf("%064d", 102)), playlist.ClipID(fmt.Sprintf("%064d", 103)),
					}, Order: playlist.Sequence},
					{Name: "none"},
				},
			}
			from, to, find := c.from, c.to, c.find
			if from == "" {
				from, to = "07:00", "09:00"
			}
			if find == nil {
				find = minute
			}
			before := fmt.Sprint(c.cursors)
			plan := schedule.Plan(p, playlisttest.At(t, zone, "2026-11-23 "+from), playlisttest.At(t, zone, "2026-11-23 "+to), schedule.Outlook{Clip: find, Cursors: c.cursors})
			got := planned(plan, zone)
			if !slices.Equal(got, c.want) {
				t.Errorf("planned\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
			if fmt.Sprint(c.cursors) != before {
				t.Error("the caller's cursors have moved")
			}
		})
	}
}

// crowd is 10,000 slots, each once a day, on four outputs.
func crowd(b *testing.B) *playlist.Programme {
	p := &playlist.Programme{
		Site:      playlist.Site{Zone: playlisttest.Shanghai(b)},
		Playlists: []playlist.Playlist{{Name: "lessons", Clips: playlisttest.Lessons(31), Order: playlist.Sequence}},
		Quiet:     []playlist.Quiet{{Span: playlist.Span{From: 21*60 + 30, To: 6 * 60}}},
	}
	for i := range 4 {
		p.Outputs = append(p.Outputs, playlist.Output{Name: fmt.Sprint("o", i), Residents: 400})
	}
	for i := range 10000 {
		s := playlisttest.Slot(b, fmt.Sprint("s", i), fmt.Sprintf("%d %d %d * * *", i%60, i/60%60, i%24), fmt.Sprint("o", i%4))
		s.Priority = 1 + i%9
		p.Slots = append(p.Slots, s)
	}
	return p
}

func BenchmarkPlanAWeekOf10000Slots(b *testing.B) {
	p := crowd(b)
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	find := func(playlist.ClipID) (playlist.Clip, bool) { return playlist.Clip{Frames: 30 * playlist.Rate}, true }
	for b.Loop() {
		if n := len(schedule.Plan(p, from, from.AddDate(0, 0, 7), schedule.Outlook{Clip: find})); n != 70000 {
			b.Fatal(n, "airings")
		}
	}
}

func BenchmarkNextDueOf10000Slots(b *testing.B) {
	tt := crowd(b).Timetable()
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		tt.Due(at, at.Add(time.Second))
		at = at.Add(time.Second)
	}
}
