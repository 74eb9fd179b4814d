package scheduletest

import (
	"fmt"
	"math/rand"
	"time"

	"dalaba/playlist"
)

// Days is for how long a programme of [Random] is made.
const Days = 3

// changes are days on which clocks change, by zone.
var changes = []struct {
	zone string
	days []string
}{
	{"America/New_York", []string{"2026-03-08", "2026-11-01", "2027-03-14", "2027-11-07"}},
	{"Europe/Berlin", []string{"2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31"}},
	{"Australia/Lord_Howe", []string{"2026-04-05", "2026-10-04", "2027-04-04", "2027-10-03"}},
	{"Africa/Cairo", []string{"2026-04-24", "2026-10-30", "2027-04-30", "2027-10-29"}},
	{"Asia/Beirut", []string{"2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31"}},
}

// Random makes a programme for the [Days] after from, as a site might have it and,
// in its instants, as nasty as it may be: slots fall due together, at the edges of
// quiet hours, and while the clocks change.
func Random(rng *rand.Rand) (p *playlist.Programme, lengths map[playlist.ClipID]time.Duration, from time.Time) {
	r := &dice{rng}
	p = &playlist.Programme{Site: playlist.Site{Name: "site", Area: "320924000000", Clock: playlist.ClockBattery}}
	p.Site.Zone, from = r.place()
	for i := range 1 + r.Intn(3) {
		name := []string{"east", "west", "van"}[i]
		p.Outputs = append(p.Outputs, playlist.Output{Name: name, Device: "null:", Area: "320924000000", Residents: 100 * (i + 1)})
	}
	lengths = map[playlist.ClipID]time.Duration{}
	for i := range 1 + r.Intn(3) {
		p.Playlists = append(p.Playlists, r.list(fmt.Sprint("list", i+1), lengths))
	}
	var edges []int
	p.Quiet, edges = r.quiet()
	moments := r.moments(edges)
	for i := range 1 + r.Intn(8) {
		p.Slots = append(p.Slots, r.slot(fmt.Sprint("slot", i+1), p, from, moments))
	}
	r.calendar(p, from.In(p.Site.Zone))
	return p, lengths, from
}

type dice struct{ *rand.Rand }

func (r *dice) oneIn(n int) bool { return r.Intn(n) == 0 }

func (r *dice) place() (*time.Location, time.Time) {
	name, day := "Asia/Shanghai", time.Date(2026, 1, 1+r.Intn(700), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	ahead := 0
	if r.oneIn(5) {
		c := changes[r.Intn(len(changes))]
		name, day, ahead = c.zone, c.days[r.Intn(len(c.days))], 1+r.Intn(2)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	from, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		panic(err)
	}
	from = from.AddDate(0, 0, -ahead)
	if r.oneIn(3) {
		from = from.Add(time.Duration(r.Intn(24*3600)) * time.Second)
	}
	return zone, from.UTC()
}

func (r *dice) list(name string, lengths map[playlist.ClipID]time.Duration) playlist.Playlist {
	l := playlist.Playlist{Name: name, Title: name, Order: playlist.Sequence}
	const frame = 24 * time.Millisecond
	for range 1 + r.Intn(7) {
		d := 20*time.Second + time.Duration(r.Intn(220_000))*time.Millisecond
		switch r.Intn(8) {
		case 0:
			d = 2400*time.Millisecond + time.Duration(r.Intn(20_000))*time.Millisecond
		case 1:
			d = 4*time.Minute + time.Duration(r.Intn(21*60))*time.Second
		}
		id := playlist.ClipID(fmt.Sprintf("%064x", len(lengths)+1))
		lengths[id] = max(d/frame, 100) * frame
		l.Clips = append(l.Clips, id)
	}
	return l
}

// quiet makes quiet hours, and tells at which minutes of the day they begin and end.
func (r *dice) quiet() (spans []playlist.Quiet, edges []int) {
	for len(spans) < 3 && !r.oneIn(3) {
		from := r.Intn(24*60/5) * 5
		length := []int{1, 5, 30, 90, 120, 8 * 60}[r.Intn(6)]
		if r.oneIn(3) {
			from, length = 21*60+30, 8*60+30
		}
		if len(spans) > 0 && r.oneIn(2) {
			from = int(spans[len(spans)-1].To) + []int{0, 1, 3, 10, 20}[r.Intn(5)]
		}
		q := playlist.Quiet{Span: playlist.Span{From: playlist.TimeOfDay(from % (24 * 60)), To: playlist.TimeOfDay((from + length) % (24 * 60))}}
		if r.oneIn(4) {
			q.Days = playlist.Weekdays(1 + r.Intn(127))
		}
		if q.To == 0 {
			q.To = 24 * 60
		}
		spans = append(spans, q)
		edges = append(edges, int(q.From), int(q.To)%(24*60))
	}
	return spans, edges
}

// calendar makes a calendar, which names some of the days and perhaps the one before,
// and has some slots and quiet hours go by it.
func (r *dice) calendar(p *playlist.Programme, from time.Time) {
	if !r.oneIn(4) {
		p.Calendar = &playlist.Calendar{}
		for d := -1; d <= Days; d++ {
			day := playlist.Date(from.AddDate(0, 0, d).Format(time.DateOnly))
			switch r.Intn(3) {
			case 0:
				p.Calendar.Off = append(p.Calendar.Off, day)
			case 1:
				p.Calendar.On = append(p.Calendar.On, day)
			}
		}
	}
	days := func(d playlist.Weekdays) playlist.Weekdays {
		switch r.Intn(12) {
		case 0:
			return playlist.Workdays
		case 1:
			return playlist.Holidays
		case 2:
			return d | playlist.Workdays
		}
		return d
	}
	for i := range p.Quiet {
		p.Quiet[i].Days = days(p.Quiet[i].Days)
	}
	for i, s := range p.Slots {
		s.Days = days(s.Days)
		p.Slots[i] = s.Under(p.Calendar)
	}
}

// moments are seconds of the day around which slots fall due.
func (r *dice) moments(edges []int) (at []int) {
	for _, m := range edges {
		if r.oneIn(2) {
			at = append(at, m*60)
		}
	}
	for range 1 + r.Intn(2) {
		at = append(at, r.Intn(24*60)*60)
	}
	if r.oneIn(4) {
		at = append(at, r.Intn(4*4)*15*60) // clocks change at night
	}
	return at
}

// slot makes a slot with every field set as the config's reader sets it.
func (r *dice) slot(name string, p *playlist.Programme, from time.Time, moments []int) playlist.Slot {
	s := playlist.Slot{
		Name: name, Playlist: p.Playlists[r.Intn(len(p.Playlists))].Name, Count: 1, Priority: playlist.DefaultPriority,
		Window: playlist.DefaultWindow, Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
		Chime: r.oneIn(3),
	}
	second := moments[r.Intn(len(moments))]
	var err error
	if s.Cron, err = playlist.ParseCron(r.spec(second, from.In(p.Site.Zone))); err != nil {
		panic(err)
	}
	outputs := 1 + r.Intn(len(p.Outputs))
	if r.oneIn(2) {
		outputs = len(p.Outputs)
	}
	for _, i := range r.Perm(len(p.Outputs))[:outputs] {
		s.Outputs = append(s.Outputs, p.Outputs[i].Name)
	}
	if r.oneIn(2) {
		s.Count = 1 + r.Intn(6)
	}
	if !r.oneIn(3) {
		s.Priority = 1 + r.Intn(9)
	}
	switch r.Intn(3) {
	case 0:
		s.Window = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute, 20 * time.Minute, time.Hour}[r.Intn(6)]
	case 1:
		s.Window = time.Duration(1+r.Intn(3600)) * time.Second
	}
	s.Missed = []playlist.MissedPolicy{playlist.MissedSkip, playlist.MissedLate, playlist.MissedMakeGood}[r.Intn(3)]
	s.After = []playlist.AfterPolicy{playlist.AfterRejoin, playlist.AfterRejoin, playlist.AfterRestart, playlist.AfterDrop}[r.Intn(4)]
	s.IntoQuiet = []playlist.QuietPolicy{playlist.QuietCut, playlist.QuietShift, playlist.QuietSuppress}[r.Intn(3)]
	if s.Missed != playlist.MissedSkip && !r.oneIn(3) {
		s.Until = playlist.TimeOfDay(r.Intn(24*60 + 1))
		if r.oneIn(2) { // soon after
			s.Until = playlist.TimeOfDay(min(24*60, second/60+1+r.Intn(240)))
		}
	}
	r.dates(&s, from.In(p.Site.Zone))
	return s
}

// spec makes a cron spec that falls due at that second of the day, or around it.
func (r *dice) spec(second int, from time.Time) string {
	second = (second + []int{0, 0, 0, 0, 60, -60, 120, 180, 300, 600, -200, 3, -5, 17, 1}[r.Intn(15)] + 24*3600) % (24 * 3600)
	h, m, s := second/3600, second/60%60, second%60
	minute := fmt.Sprint(m)
	switch r.Intn(8) {
	case 0:
		minute = fmt.Sprintf("%d,%d", m, (m+1+r.Intn(20))%60)
	case 1:
		minute = fmt.Sprintf("%d-59/%d", m%30, 15+r.Intn(16))
	}
	hour := fmt.Sprint(h)
	switch r.Intn(8) {
	case 0:
		hour = fmt.Sprintf("%d-23/%d", h%4, 2+r.Intn(6))
	case 1:
		hour = fmt.Sprintf("%d,%d", h, (h+1+r.Intn(12))%24)
	case 2:
		hour = "*"
	}
	days := "* * *"
	switch r.Intn(10) {
	case 0:
		days = fmt.Sprintf("%d,%d * %s", from.Day(), 1+r.Intn(28), []string{"*", "mon-fri", "0"}[r.Intn(3)])
	case 1:
		days = fmt.Sprintf("*/2 %d-12 1-5", max(1, int(from.Month())-1))
	case 2:
		days = "? * " + []string{"mon,wed,fri,sat", "sun-thu", "2-6/2"}[r.Intn(3)]
	}
	if s != 0 || r.oneIn(3) {
		return fmt.Sprint(s, " ", minute, " ", hour, " ", days)
	}
	return fmt.Sprint(minute, " ", hour, " ", days)
}

func (r *dice) dates(s *playlist.Slot, from time.Time) {
	day := func() playlist.Date {
		return playlist.Date(from.AddDate(0, 0, r.Intn(Days+1)).Format(time.DateOnly))
	}
	switch r.Intn(12) {
	case 0:
		s.From = day()
	case 1:
		s.To = day()
	case 2:
		s.Except = []playlist.Date{day()}
	case 3:
		s.Days = playlist.Weekdays(1 + r.Intn(127))
	}
}
