package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/schedule"
)

func minutes(playlist.ClipID) (playlist.Clip, bool) {
	return playlist.Clip{Frames: 60 * playlist.Rate}, true
}

// oneSlot has one output, and a slot that airs two clips of a minute at each half hour.
func oneSlot(t *testing.T, change ...func(*playlist.Slot)) *playlist.Programme {
	t.Helper()
	s := playlisttest.Slot(t, "早", "0,30 * * * *", "a")
	s.Count = 2
	for _, c := range change {
		c(&s)
	}
	return &playlist.Programme{
		Site: playlist.Site{Zone: playlisttest.Shanghai(t)}, Outputs: []playlist.Output{{Name: "a"}}, Slots: []playlist.Slot{s},
		Playlists: []playlist.Playlist{{Name: "lessons", Clips: playlisttest.Lessons(5), Order: playlist.Sequence}},
	}
}

func check(t *testing.T, p *playlist.Programme, plan []schedule.Planned, want ...string) {
	t.Helper()
	if got := planned(plan, p.Site.Zone); !slices.Equal(got, want) {
		t.Errorf("planned\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestAPlanGoesOnFromWhatSoundsWaitsAndSleeps(t *testing.T) {
	p := oneSlot(t)
	at := func(s string) time.Time { return playlisttest.At(t, p.Site.Zone, "2026-11-23 "+s) }
	taken := playlisttest.Lessons(5)
	open := func(due string, change func(*schedule.Open)) schedule.Open {
		d := at(due)
		o := schedule.Open{
			Course: schedule.NewCourse(playlist.Airing{ID: playlist.NewAiringID("早", d), Slot: p.Slots[0], Due: d}), Output: "a", Item: 1,
		}
		change(&o)
		return o
	}
	cursor := map[string]playlist.Cursor{"lessons": {Index: 1, Last: taken[1]}}
	for _, c := range []struct {
		name  string
		quiet []playlist.Quiet
		state schedule.State
		want  []string
	}{
		{
			"a clip sounds, and the next one is taken already", nil,
			schedule.State{At: at("08:00:59"), Asked: at("08:01:02"), Open: []schedule.Open{open("08:00", func(o *schedule.Open) {
				o.Course.Begun, o.Taken, o.Began, o.Sounds = true, taken[:2], at("08:00"), at("08:00")
			})}},
			[]string{"早/a 08:00:00 08:00:00-08:02:00.3 1 2 on_air", "早/a 08:30:00 08:30:00-08:32:00.3 3 4"},
		},
		{
			"a clip sounds, and the next one is not taken", nil,
			schedule.State{At: at("08:00:10"), Asked: at("08:00:13"), Open: []schedule.Open{open("08:00", func(o *schedule.Open) {
				o.Course.Begun, o.Taken, o.Began, o.Sounds = true, taken[1:2], at("08:00"), at("08:00")
			})}},
			[]string{"早/a 08:00:00 08:00:00-08:02:00.3 2 3 on_air", "早/a 08:30:00 08:30:00-08:32:00.3 4 5"},
		},
		{
			"it was interrupted, by an alert that nobody knows the end of", nil,
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"),
				Held: []schedule.Held{{Output: "a", By: "alert/x"}},
				Open: []schedule.Open{open("08:00", func(o *schedule.Open) {
					o.Course.Begun, o.Course.Broken, o.Taken, o.Began = true, at("08:00:30"), taken[1:2], at("08:00")
					o.Heard, o.Resumed = 30*time.Second, true
				})}},
			[]string{"早/a 08:00:00 08:00:00-08:02:10.9 2 3 broken waits:alert/x", "早/a 08:30:00 08:30:00-08:32:00.3 4 5"},
		},
		{
			"it waits for a sound by hand", nil,
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"),
				Held: []schedule.Held{{Output: "a", By: playlist.ByHand("root")}},
				Open: []schedule.Open{open("08:00", func(*schedule.Open) {})}},
			[]string{"早/a 08:00:00 08:00:40.6-08:02:40.9 3 4 waits:hand/root", "早/a 08:30:00 08:30:00-08:32:00.3 5 1"},
		},
		{
			"quiet hours end for it in a while", []playlist.Quiet{{Span: playlist.Span{From: 7*60 + 45, To: 8*60 + 15}}},
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"), Open: []schedule.Open{open("07:44:30", func(o *schedule.Open) {
				o.Until, o.Course.Slot.IntoQuiet = at("08:15"), playlist.QuietShift
			})}},
			[]string{"早/a 07:44:30 08:15:00-08:17:00.3 3 4 shifted", "早/a 08:30:00 08:30:00-08:32:00.3 5 1"},
		},
		{
			"it sleeps, and the clock was set back to before it is due", []playlist.Quiet{{Span: playlist.Span{From: 7*60 + 45, To: 8*60 + 15}}},
			schedule.State{At: at("07:20"), Asked: at("07:20:03"), Open: []schedule.Open{open("07:30", func(o *schedule.Open) {
				o.Until, o.Course.Slot.IntoQuiet = at("08:15"), playlist.QuietShift
			})}},
			[]string{"早/a 07:30:00 08:15:00-08:17:00.3 3 4 shifted", "早/a 08:00:00 --- quiet", "早/a 08:30:00 08:30:00-08:32:00.3 5 1"},
		},
		{
			"a higher one has its clip, and begins in a moment over what sounds", nil,
			schedule.State{At: at("08:00:29"), Asked: at("08:00:32"), Open: []schedule.Open{
				open("08:00", func(o *schedule.Open) {
					o.Course.Begun, o.Taken, o.Began, o.Sounds = true, taken[1:2], at("08:00"), at("08:00")
				}),
				open("08:00:30", func(o *schedule.Open) {
					o.Course.Slot.Name, o.Course.ID, o.Course.Slot.Priority, o.Course.Slot.Count = "急", "急@x", 9, 1
					o.Course.Begun, o.Taken, o.Began, o.Sounds = true, taken[4:], at("08:00:30"), at("08:00:30")
				}),
			}},
			[]string{
				"早/a 08:00:00 08:00:00-08:03:00.6 2 3 on_air preempted:急", "急/a 08:00:30 08:00:30-08:01:30 5",
				"早/a 08:30:00 08:30:00-08:32:00.3 4 5",
			},
		},
		{
			"it is owed from its second clip on, which went back to the playlist", nil,
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"), Open: []schedule.Open{open("07:30", func(o *schedule.Open) {
				o.Course.Slot.Missed, o.Course.MakeGood, o.Item, o.Taken = playlist.MissedMakeGood, true, 2, taken[:1]
			})}},
			[]string{"早/a 07:30:00 08:00:40-08:01:40.3 1 3 owed", "早/a 08:30:00 08:30:00-08:32:00.3 4 5"},
		},
		{
			"nothing is known of the clips that it had", nil,
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"), Open: []schedule.Open{open("07:30", func(o *schedule.Open) {
				o.Course.Slot.Missed, o.Course.MakeGood, o.Item = playlist.MissedMakeGood, true, 2
			})}},
			[]string{"早/a 07:30:00 08:00:40-08:01:40.3 3 owed", "早/a 08:30:00 08:30:00-08:32:00.3 4 5"},
		},
		{
			"it is owed", nil,
			schedule.State{At: at("08:00:40"), Asked: at("08:00:43"), Open: []schedule.Open{open("07:30", func(o *schedule.Open) {
				o.Course.Slot.Missed, o.Course.MakeGood, o.Item, o.Taken = playlist.MissedMakeGood, true, 2, taken[:2]
			})}},
			[]string{"早/a 07:30:00 08:00:40-08:01:40.3 1 2 owed", "早/a 08:30:00 08:30:00-08:32:00.3 3 4"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.Quiet = c.quiet
			o := schedule.Outlook{Clip: minutes, Cursors: cursor, State: c.state}
			check(t, p, schedule.Plan(p, c.state.At, at("08:45"), o), c.want...)
		})
	}
}

func TestTheEndOfAPlanChangesNothingInIt(t *testing.T) {
	p := oneSlot(t, func(s *playlist.Slot) { s.Count, s.Cron = 3, playlisttest.Cron(t, "59 23 * * *") })
	high := playlisttest.Slot(t, "零点", "30 0 0 * * *", "a")
	high.Priority = 9
	p.Slots = append(p.Slots, high)
	from := playlisttest.At(t, p.Site.Zone, "2026-11-23 12:00")
	all := planned(schedule.Plan(p, from, from.AddDate(0, 0, 3), schedule.Outlook{Clip: minutes}), p.Site.Zone)
	for d := 12 * time.Hour; d < 72*time.Hour; d += 29 * time.Minute {
		part := planned(schedule.Plan(p, from, from.Add(d), schedule.Outlook{Clip: minutes}), p.Site.Zone)
		if len(part) == 0 || !slices.Equal(part, all[:len(part)]) {
			t.Fatalf("to %v:\n\t%s\nof\n\t%s", d, strings.Join(part, "\n\t"), strings.Join(all, "\n\t"))
		}
	}
}

func TestAPlanOfALaterTimeRollsForward(t *testing.T) {
	p := oneSlot(t)
	now := playlisttest.At(t, p.Site.Zone, "2026-11-23 07:10")
	o := schedule.Outlook{Clip: minutes, State: schedule.State{At: now, Asked: now}}
	check(t, p, schedule.Plan(p, playlisttest.At(t, p.Site.Zone, "2026-11-23 08:31"), playlisttest.At(t, p.Site.Zone, "2026-11-23 09:00"), o),
		"早/a 08:30:00 08:30:00-08:32:00.3 5 1", // it sounds then
		"早/a 09:00:00 09:00:00-09:02:00.3 2 3",
	)
}

func TestAPlanWithoutADaemonIsThatOfOneThatStartsNow(t *testing.T) {
	p := oneSlot(t, func(s *playlist.Slot) { s.Missed, s.Until = playlist.MissedMakeGood, 9*60 })
	at := func(s string) time.Time { return playlisttest.At(t, p.Site.Zone, "2026-11-23 "+s) }
	part := func(due string, item int, o asrun.Outcome, why asrun.Reason) asrun.Row {
		d := at(due)
		return asrun.Row{
			Airing: playlist.NewAiringID("早", d), Output: "a", Item: item, Part: 1, Clip: playlisttest.Lessons(5)[item-1], Due: d,
			Started: d, Ended: d.Add(time.Minute), Frames: 30 * playlist.Rate, OfFrames: 60 * playlist.Rate, Outcome: o, Reason: why,
		}
	}
	rows := map[playlist.AiringID][]asrun.Row{
		playlist.NewAiringID("早", at("07:00")): {part("07:00", 1, asrun.Complete, ""), part("07:00", 2, "", "")},
	}
	state, err := schedule.StateOff(p, at("06:59:59"), at("08:40"), func(id playlist.AiringID) ([]asrun.Row, error) { return rows[id], nil })
	if err != nil {
		t.Fatal(err)
	}
	o := schedule.Outlook{Clip: minutes, Cursors: map[string]playlist.Cursor{"lessons": {Index: 1, Last: playlisttest.Lessons(5)[1]}}, State: state}
	check(t, p, schedule.Plan(p, at("08:40"), at("09:00"), o),
		"早/a 07:00:00 08:40:00-08:41:00.3 1 2 owed", // power was lost in its second clip
		"早/a 07:30:00 08:41:00.6-08:43:00.9 3 4 owed waits:早",
		"早/a 08:00:00 08:43:01.2-08:45:01.5 5 1 owed waits:早",
		"早/a 08:30:00 08:45:01.8-08:47:02.1 2 3 owed waits:早",
		"早/a 09:00:00 09:00:00-09:02:00.3 4 5",
	)
}
