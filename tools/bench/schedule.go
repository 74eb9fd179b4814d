package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"dalaba/playlist"
	"dalaba/playlist/schedule"
)

const (
	slots = 10_000
	lanes = 8 // outputs that share the slots
)

// slots returns how many slots the measured programme has.
func (b *bench) slots() int {
	if b.short {
		return slots / 10
	}
	return slots
}

// specs returns n schedules of the kind that villages have: most of them daily,
// some on working days, some on one day of the week or month.
func specs(n int) []string {
	all := make([]string, n)
	for i := range all {
		minute, hour := i*37%60, 6+i/60%15
		switch i % 10 {
		case 7, 8:
			all[i] = fmt.Sprintf("%d %d * * 1-5", minute, hour)
		case 9:
			all[i] = fmt.Sprintf("%d %d * * %d", minute, hour, i/10%7)
		case 6:
			all[i] = fmt.Sprintf("%d %d %d * *", minute, hour, 1+i/10%28)
		default:
			all[i] = fmt.Sprintf("%d %d * * *", minute, hour)
		}
	}
	return all
}

// programme returns a programme with n slots on eight outputs.
func programme(n int) (*playlist.Programme, error) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return nil, err
	}
	p := &playlist.Programme{
		Site:      playlist.Site{Zone: zone},
		Playlists: []playlist.Playlist{{Name: "lessons", Order: playlist.Sequence}},
	}
	for i := range lanes {
		p.Outputs = append(p.Outputs, playlist.Output{Name: fmt.Sprintf("pole-%d", i)})
	}
	for i := range 31 {
		p.Playlists[0].Clips = append(p.Playlists[0].Clips, playlist.ClipID(fmt.Sprintf("%064x", i+1)))
	}
	for i, spec := range specs(n) {
		c, err := playlist.ParseCron(spec)
		if err != nil {
			return nil, err
		}
		p.Slots = append(p.Slots, playlist.Slot{
			Name: fmt.Sprintf("slot-%d", i), Playlist: "lessons", Cron: c, Count: 1,
			Outputs: []string{p.Outputs[i%lanes].Name}, Priority: 1 + i%9, Window: playlist.DefaultWindow,
			Missed: playlist.MissedSkip, After: playlist.AfterRejoin,
		})
	}
	return p, nil
}

// schedules returns the same schedules in the peer's form.
func schedules(n int) ([]cron.Schedule, error) {
	all := make([]cron.Schedule, n)
	for i, spec := range specs(n) {
		s, err := cron.ParseStandard(spec)
		if err != nil {
			return nil, err
		}
		all[i] = s
	}
	return all, nil
}

// monday returns the instant for which the schedules are asked, a working
// morning.
func monday(zone *time.Location) time.Time { return time.Date(2026, 11, 23, 7, 0, 0, 0, zone) }

// due measures the question that the daemon asks every second.
func (b *bench) due(context.Context) ([]Figure, error) {
	n := b.slots()
	p, err := programme(n)
	if err != nil {
		return nil, err
	}
	peers, err := schedules(n)
	if err != nil {
		return nil, err
	}
	start := monday(p.Site.Zone)
	ticks, peerTicks := 3600, 120
	if b.short {
		ticks, peerTicks = 600, 10
	}
	table := p.Timetable()
	table.Due(start.Add(-time.Second), start) // the first question sorts the slots; see next
	now, found := start, 0
	ours := timed(ticks, func() {
		found += len(table.Due(now, now.Add(time.Second)))
		now = now.Add(time.Second)
	})
	now, peerFound := start, 0
	theirs := timed(peerTicks, func() {
		tick := now.Add(time.Second)
		for _, s := range peers {
			if !s.Next(now).After(tick) {
				peerFound++
			}
		}
		now = tick
	})
	// Check that both give the same for the first seconds.
	again, check := p.Timetable(), 0
	for t := start; t.Before(start.Add(time.Duration(peerTicks) * time.Second)); t = t.Add(time.Second) {
		check += len(again.Due(t, t.Add(time.Second)))
	}
	if check != peerFound || found < check {
		return nil, fmt.Errorf("the peer found %d airings due, we %d", peerFound, check)
	}
	const peer = "cron/v3 Next of every schedule"
	return []Figure{
		figure("due, a tick, "+thousands(n)+" slots, mean", mean(ours)*1000, "us", peer, mean(theirs)*1000, ticks),
		figure("due, a tick, "+thousands(n)+" slots, worst", quantile(ours, 1)*1000, "us", peer, quantile(theirs, 1)*1000, ticks),
	}, nil
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}

// next measures how long a new timetable takes to find the next airing. The
// peer's runner finds it when it starts.
func (b *bench) next(context.Context) ([]Figure, error) {
	rounds := 200
	if b.short {
		rounds = 10
	}
	var ours, theirs [2]float64
	for i, n := range []int{1_000, slots} {
		p, err := programme(n)
		if err != nil {
			return nil, err
		}
		peers, err := schedules(n)
		if err != nil {
			return nil, err
		}
		at := monday(p.Site.Zone)
		var first, peerFirst time.Time
		table := p.Timetable()
		ours[i] = median(timed(rounds, func() {
			for a := range table.After(at) {
				first = a.Due
				break
			}
		}))
		var all []float64
		for range rounds {
			c := cron.New(cron.WithLocation(p.Site.Zone))
			for _, s := range peers {
				c.Schedule(s, cron.FuncJob(func() {}))
			}
			all = append(all, timed(1, func() {
				c.Start()
				entries := c.Entries() // returns once every Next is known
				peerFirst = slices.MinFunc(entries, func(x, y cron.Entry) int { return x.Next.Compare(y.Next) }).Next
			})...)
			<-c.Stop().Done()
		}
		theirs[i] = median(all)
		if first.IsZero() || peerFirst.IsZero() {
			return nil, fmt.Errorf("no next airing among %d slots", n)
		}
	}
	const peer = "cron/v3 runner: Start, Entries, least Next"
	return []Figure{
		figure("next airing, 10,000 slots, p50", ours[1], "ms", peer, theirs[1], rounds),
		figure("next airing, 1,000 slots, p50", ours[0], "ms", peer, theirs[0], rounds),
		figure("next airing, cost of 10x the slots", ours[1]/ours[0], "x", peer, theirs[1]/theirs[0], 2*rounds),
	}, nil
}

// plan measures a week's plan. The peer lists the same instants in order,
// without outputs, clips or conflicts.
func (b *bench) plan(context.Context) ([]Figure, error) {
	rounds, days, n := 3, 7, b.slots()
	if b.short {
		rounds = 1
	}
	p, err := programme(n)
	if err != nil {
		return nil, err
	}
	peers, err := schedules(n)
	if err != nil {
		return nil, err
	}
	from := monday(p.Site.Zone)
	to := from.AddDate(0, 0, days)
	find := func(playlist.ClipID) (playlist.Clip, bool) {
		return playlist.Clip{Frames: 30 * playlist.Rate}, true
	}
	var planned []schedule.Planned
	ours := timed(rounds, func() { planned = schedule.Plan(p, from, to, schedule.Outlook{Clip: find}) })
	var instants []time.Time
	theirs := timed(rounds, func() {
		instants = instants[:0]
		for _, s := range peers {
			for at := s.Next(from); !at.After(to); at = s.Next(at) {
				instants = append(instants, at)
			}
		}
		slices.SortFunc(instants, time.Time.Compare)
	})
	if len(planned) != len(instants) {
		return nil, fmt.Errorf("the peer foresees %d airings, we %d", len(instants), len(planned))
	}
	name := fmt.Sprintf("plan of %d days, %s slots, p50", days, thousands(n))
	return []Figure{figure(name, median(ours), "ms", "cron/v3 Next of all and a sort, no conflicts", median(theirs), rounds)}, nil
}
