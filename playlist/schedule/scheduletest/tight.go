package scheduletest

import (
	"fmt"
	"time"

	"dalaba/playlist"
)

// Scene is a programme, and a time in which it is compared with the model.
type Scene struct {
	Name      string
	Programme *playlist.Programme
	Lengths   map[playlist.ClipID]time.Duration
	From, To  time.Time // what falls due in between is compared
}

// Tight returns scenes that are rarely made at random. All are of a minute or two
// after seven.
func Tight() []Scene {
	const frame = 24 * time.Millisecond
	drop := func(s *playlist.Slot) { s.After = playlist.AfterDrop }
	return []Scene{
		tight("an equal that falls due between two airings goes behind the one that waits", "",
			[]time.Duration{868 * frame, 500 * frame},
			tightSlot("a", "0 0 7 * * *"), tightSlot("waits", "5 0 7 * * *"), tightSlot("due in the gap", "21 0 7 * * *")),
		tight("of two that begin at one instant the one due earlier takes its clip first, not the slot listed first", "",
			[]time.Duration{834 * frame, 500 * frame, 250 * frame},
			tightSlot("on both", "0 0 7 * * *", onOutputs("east", "west")), tightSlot("listed first", "10 0 7 * * *"), tightSlot("due first", "5 0 7 * * *", onOutputs("west"))),
		tight("what was interrupted shortly before its end is complete", "",
			[]time.Duration{2500 * frame, 250 * frame},
			tightSlot("a", "0 0 7 * * *"), tightSlot("higher", "58 0 7 * * *", higher)),
		tight("what was interrupted shortly before the end of a clip goes on with the next, under drop too", "",
			[]time.Duration{2500 * frame, 250 * frame},
			tightSlot("a", "0 0 7 * * *", drop, count2), tightSlot("higher", "58 0 7 * * *", higher)),
		tight("what quiet hours cut shortly before the end of a clip ends", "07:01-07:02",
			[]time.Duration{2500 * frame, 250 * frame},
			tightSlot("a", "2 0 7 * * *", count2, func(s *playlist.Slot) { s.Missed = playlist.MissedLate })),
		tight("what waited past its window as quiet hours began", "07:01-07:02",
			[]time.Duration{3400 * frame, 500 * frame, 250 * frame},
			tightSlot("a", "0 0 7 * * *"), tightSlot("owed", "5 0 7 * * *", shift, func(s *playlist.Slot) { s.Missed, s.Window = playlist.MissedMakeGood, 10*time.Second }),
			tightSlot("lower", "0 2 7 * * *", func(s *playlist.Slot) { s.Priority = playlist.MinPriority })),
		tight("the rest of what had begun before quiet hours has an hour after them", "07:01-07:02",
			[]time.Duration{625 * frame, 1250 * frame},
			tightSlot("a", "40 0 7 * * *", count2, shift, func(s *playlist.Slot) { s.Window = 5 * time.Second }),
			tightSlot("higher", "0 2 7 * * *", higher)),
		tight("the clip that follows is not taken before the last second and a half", "",
			[]time.Duration{400 * frame, 250 * frame, 200 * frame, 300 * frame},
			tightSlot("a", "0 0 7 * * *", count2), tightSlot("higher", "8 0 7 * * *", higher, count2)),
	}
}

func shift(s *playlist.Slot)  { s.IntoQuiet = playlist.QuietShift }
func higher(s *playlist.Slot) { s.Priority = playlist.DefaultPriority + 1 }
func count2(s *playlist.Slot) { s.Count = 2 }

func onOutputs(o ...string) func(*playlist.Slot) {
	return func(s *playlist.Slot) { s.Outputs = o }
}

func tightSlot(name, spec string, change ...func(*playlist.Slot)) playlist.Slot {
	cron, err := playlist.ParseCron(spec)
	if err != nil {
		panic(err)
	}
	s := playlist.Slot{
		Name: name, Playlist: "list", Cron: cron, Outputs: []string{"east"}, Count: 1, Priority: playlist.DefaultPriority,
		Window: playlist.DefaultWindow, Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func tight(name, quiet string, lengths []time.Duration, slots ...playlist.Slot) Scene {
	from := time.Date(2026, 11, 23, 6, 59, 0, 0, time.UTC)
	p := &playlist.Programme{Site: playlist.Site{Name: "site", Area: "320924000000", Zone: time.UTC, Clock: playlist.ClockBattery}, Slots: slots}
	for _, o := range []string{"east", "west"} {
		p.Outputs = append(p.Outputs, playlist.Output{Name: o, Device: "null:", Area: "320924000000"})
	}
	x := Scene{Name: name, Programme: p, Lengths: map[playlist.ClipID]time.Duration{}, From: from, To: from.Add(10 * time.Minute)}
	list := playlist.Playlist{Name: "list", Order: playlist.Sequence}
	for i, d := range lengths {
		id := playlist.ClipID(fmt.Sprintf("%064x", i+1))
		x.Lengths[id] = d
		list.Clips = append(list.Clips, id)
	}
	p.Playlists = []playlist.Playlist{list}
	if quiet != "" {
		var span playlist.Span
		var err, err2 error
		span.From, err = playlist.ParseTimeOfDay(quiet[:5])
		span.To, err2 = playlist.ParseTimeOfDay(quiet[6:])
		if err != nil || err2 != nil {
			panic(quiet)
		}
		p.Quiet = []playlist.Quiet{{Span: span}}
	}
	return x
}
