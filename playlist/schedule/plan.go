package schedule

import (
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Planned is what is expected of one airing on one output.
type Planned struct {
	playlist.Airing
	Output     string
	Start, End time.Time         // expected; zero if it will not sound
	Clips      []playlist.ClipID // that will sound, at least in part
	Flags      []Flag
}

// Flag is something an operator should know of a planned airing.
type Flag struct {
	Kind  FlagKind          `json:"kind"`
	Other playlist.AiringID `json:"other,omitempty"` // the airing it collides with
	Clip  playlist.ClipID   `json:"clip,omitempty"`  // the clip that is not ready
}

// FlagKind names what is wrong.
type FlagKind string

const (
	FlagQuiet     FlagKind = "quiet"       // falls due in quiet hours, must wait until they begin, or would rather not run into them: suppressed
	FlagLocal     FlagKind = "local_hours" // the county's, it falls due in hours that are the site's own: suppressed
	FlagIntoQuiet FlagKind = "into_quiet"  // has more than quiet hours leave room for: ends with them, or before
	FlagShifted   FlagKind = "shifted"     // would run into quiet hours: airs, or goes on, when they are over
	FlagWaits     FlagKind = "waits"       // starts late, behind Other
	FlagMissed    FlagKind = "missed_busy" // Other holds the output past its deadline
	FlagPreempted FlagKind = "preempted"   // Other, of higher rank, interrupts it
	FlagDropped   FlagKind = "dropped"     // Other interrupts it and it does not go on
	FlagUnready   FlagKind = "unready"     // Clip is not in the library or its file is gone
	FlagEmpty     FlagKind = "empty"       // no clip can be aired
)

// Gap is the silence between two clips of one airing.
const Gap = 300 * time.Millisecond

// ChimeLength is how long the station tone sounds, its own tail included.
const ChimeLength = 1400 * time.Millisecond

// RejoinWithin is how long an interrupted airing waits for its output; then
// it is over.
const RejoinWithin = time.Hour

// Outlook is what a plan needs to know beside the programme.
type Outlook struct {
	Clip    func(playlist.ClipID) (c playlist.Clip, ready bool)
	Cursors map[string]playlist.Cursor // by playlist, as they stand at the plan's start
}

// Plan foresees the airings that fall due in (from, to], by due instant,
// then priority, then output. It plays the schedule through clip by clip:
// waiting, preempting and quiet hours as the player would have them, with the
// clips that the cursors will reach if all goes well. It assumes that nothing is on
// the air at from.
func Plan(p *playlist.Programme, from, to time.Time, o Outlook) []Planned {
	f := &foresight{programme: p, find: o.Clip, cursors: make(map[string]playlist.Cursor, len(o.Cursors)), lanes: map[string]*lane{}}
	for k, v := range o.Cursors {
		f.cursors[k] = v
	}
	var all []*job
	due := p.Timetable().Due(from, to)
	for {
		at, ok := f.nextEvent()
		if !ok && len(due) == 0 {
			break
		}
		if len(due) > 0 && (!ok || !due[0].Due.After(at)) {
			at = due[0].Due
		}
		f.finish(at)
		f.wake(at)
		for ; len(due) > 0 && due[0].Due.Equal(at); due = due[1:] {
			s := &shared{airing: due[0]}
			for _, out := range due[0].Slot.Outputs {
				j := &job{Planned: Planned{Airing: due[0], Output: out}, shared: s, rank: due[0].Slot.Rank(), from: at, clear: at}
				all = append(all, j)
				f.arrive(j)
			}
		}
		for _, l := range f.order {
			f.assign(l, at)
		}
	}
	plan := make([]Planned, len(all))
	for i, j := range all {
		plan[i] = j.Planned
	}
	return plan
}

// foresight simulates a schedule.
type foresight struct {
	programme *playlist.Programme
	find      func(playlist.ClipID) (playlist.Clip, bool)
	cursors   map[string]playlist.Cursor
	lanes     map[string]*lane
	order     []*lane
	asleep    []*job // until quiet hours are over
	seq       int
}

// shared is what all outputs of an airing have in common: its clips, which the first
// output that needs them chooses.
type shared struct {
	airing playlist.Airing
	items  []choice
}

type choice struct {
	clip    playlist.Clip
	unready []playlist.ClipID // passed over
	ok      bool
}

// job is a planned airing as it moves through its output's lane.
type job struct {
	Planned
	shared *shared
	rank   playlist.Rank
	seq    int
	item   int           // the clip it is at, from 0
	left   time.Duration // of that clip when it last took the output; 0: all
	since  time.Time     // when it last took the output
	ends   time.Time     // when the clip will be over, or cut by quiet hours
	quiet  bool          // it will be cut
	cut    time.Time     // when it was interrupted; zero: it was not
	cutter playlist.AiringID
	from   time.Time // its window counts from here: due, or the end of quiet hours
	clear  time.Time // no quiet hours lie between its due instant and then
	told   bool      // why it waits
}

// lane is one output's future.
type lane struct {
	running *job
	holder  playlist.AiringID // what held it last
	waiting []*job
	changed bool // a job arrived, or the running one ended
}

// nextEvent is when the next clip is over anywhere, or the next job wakes.
func (f *foresight) nextEvent() (at time.Time, ok bool) {
	earlier := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	for _, l := range f.order {
		if l.running != nil {
			earlier(l.running.ends)
		}
	}
	for _, j := range f.asleep {
		earlier(j.from)
	}
	return at, ok
}

// wake puts jobs back into line that waited for the end of quiet hours.
func (f *foresight) wake(at time.Time) {
	f.asleep = slices.DeleteFunc(f.asleep, func(j *job) bool {
		if j.from.After(at) {
			return false
		}
		f.seq++
		j.seq = f.seq
		l := f.lanes[j.Output]
		l.waiting, l.changed = append(l.waiting, j), true
		return true
	})
}

// finish ends the clips that are over.
func (f *foresight) finish(at time.Time) {
	for _, l := range f.order {
		j := l.running
		if j == nil || j.ends.After(at) {
			continue
		}
		l.running, l.changed = nil, true
		j.End = j.ends
		switch {
		case j.quiet:
			j.Flags = append(j.Flags, Flag{Kind: FlagIntoQuiet})
		case j.item+1 < j.Slot.Count:
			j.item, j.left, j.cut = j.item+1, 0, time.Time{}
			l.waiting = append(l.waiting, j)
		}
	}
}

func (f *foresight) arrive(j *job) {
	switch forbidden(f.programme, j.Airing) {
	case asrun.ReasonNone:
	case asrun.ReasonLocalHours:
		j.Flags = append(j.Flags, Flag{Kind: FlagLocal})
		return
	default:
		j.Flags = append(j.Flags, Flag{Kind: FlagQuiet})
		return
	}
	l := f.lanes[j.Output]
	if l == nil {
		l = &lane{}
		f.lanes[j.Output] = l
		f.order = append(f.order, l)
	}
	f.seq++
	j.seq = f.seq
	l.waiting = append(l.waiting, j)
	l.changed = l.changed || l.running == nil || j.rank > l.running.rank
	if !l.changed {
		j.wait(l.holder)
	}
}

func (j *job) wait(other playlist.AiringID) {
	j.told = true
	j.Flags = append(j.Flags, Flag{Kind: FlagWaits, Other: other})
}

// assign gives the lane to the job that should have it.
func (f *foresight) assign(l *lane, at time.Time) {
	if !l.changed {
		return
	}
	l.changed = false
	f.expire(l, at)
	for len(l.waiting) > 0 {
		best := 0
		for i, j := range l.waiting {
			if b := l.waiting[best]; j.rank > b.rank || j.rank == b.rank && j.seq < b.seq {
				best = i
			}
		}
		j := l.waiting[best]
		if l.running != nil && j.rank <= l.running.rank {
			break
		}
		l.waiting = slices.Delete(l.waiting, best, best+1)
		if !f.ready(j, at) {
			continue
		}
		if l.running != nil {
			l.interrupt(j.ID, at)
		}
		f.start(j, at)
		l.running, l.holder = j, j.ID
	}
	for _, j := range l.waiting {
		switch {
		case j.told:
		case j.Start.IsZero():
			j.wait(l.holder)
		default: // between two of its clips
			j.told = true
			j.Flags = append(j.Flags, Flag{Kind: FlagPreempted, Other: l.holder})
		}
	}
}

// expire removes jobs that have waited too long, and puts make-goods last.
func (f *foresight) expire(l *lane, at time.Time) {
	l.waiting = slices.DeleteFunc(l.waiting, func(j *job) bool {
		switch {
		case !j.cut.IsZero():
			if at.Sub(j.cut) <= RejoinWithin {
				return false
			}
			i := slices.IndexFunc(j.Flags, func(g Flag) bool { return g == Flag{Kind: FlagPreempted, Other: j.cutter} })
			j.Flags[i].Kind = FlagDropped
			return true
		case !j.Start.IsZero() || !at.After(j.from.Add(j.Slot.Window)):
			return false
		case at.After(j.Slot.Deadline(j.Due, f.programme.Site.Zone)):
			j.unwait()
			j.Flags = append(j.Flags, Flag{Kind: FlagMissed, Other: l.holder})
			return true
		case j.Slot.Missed == playlist.MissedMakeGood && j.rank != playlist.RankScheduled:
			f.seq++
			j.rank, j.seq = playlist.RankScheduled, f.seq
		}
		return false
	})
}

func (j *job) unwait() {
	j.Flags = slices.DeleteFunc(j.Flags, func(g Flag) bool { return g.Kind == FlagWaits })
}

func (l *lane) interrupt(by playlist.AiringID, at time.Time) {
	j := l.running
	l.running, j.End = nil, at
	j.left -= at.Sub(j.since)
	if j.Slot.After == playlist.AfterDrop {
		j.Flags = append(j.Flags, Flag{Kind: FlagDropped, Other: by})
		return
	}
	j.Flags = append(j.Flags, Flag{Kind: FlagPreempted, Other: by})
	if j.Slot.After == playlist.AfterRestart {
		j.left = j.shared.items[j.item].clip.Length()
	}
	j.cut, j.cutter, j.told = at, by, true
	l.waiting = append(l.waiting, j)
}

// ready reports whether the job may sound now and has a clip.
func (f *foresight) ready(j *job, at time.Time) bool {
	if start, ok := f.programme.QuietFrom(j.clear, at.Add(time.Nanosecond)); ok {
		if j.Start.IsZero() {
			j.unwait()
			j.Flags = append(j.Flags, Flag{Kind: FlagQuiet})
		} else {
			j.Flags = append(j.Flags, Flag{Kind: FlagIntoQuiet})
			if start.Before(j.End) {
				j.End = start
			}
		}
		return false
	}
	drawn, cursor := j.item == len(j.shared.items), f.cursors[j.Slot.Playlist]
	if !f.draw(j) {
		return false
	}
	if j.left > 0 || f.fits(j, at) {
		return true
	}
	if drawn { // no output has taken it yet
		j.shared.items = j.shared.items[:j.item]
		f.cursors[j.Slot.Playlist] = cursor
	}
	j.Clips = j.Clips[:j.item]
	return false
}

// fits reports whether the job's next clip may begin at that instant, though
// quiet hours may be near. If it may not, the job waits for their end or is over.
func (f *foresight) fits(j *job, at time.Time) bool {
	if j.Slot.IntoQuiet != playlist.QuietShift && j.Slot.IntoQuiet != playlist.QuietSuppress {
		return true
	}
	length := j.length()
	cut, ok := f.programme.QuietFrom(at, at.Add(length))
	if !ok {
		return true
	}
	end := f.programme.QuietUntil(cut)
	_, narrow := f.programme.QuietFrom(end, end.Add(length))
	switch {
	case j.Slot.IntoQuiet == playlist.QuietShift && !narrow:
		j.Flags = append(j.Flags, Flag{Kind: FlagShifted})
		j.from, j.clear, j.told = end, end, true
		f.asleep = append(f.asleep, j)
	case j.Start.IsZero():
		j.unwait()
		j.Flags = append(j.Flags, Flag{Kind: FlagQuiet})
	default:
		j.Flags = append(j.Flags, Flag{Kind: FlagIntoQuiet})
	}
	return false
}

// length is how long the job's next clip takes, with what comes before it.
func (j *job) length() time.Duration {
	d := j.shared.items[j.item].clip.Length()
	switch {
	case j.item > 0:
		d += Gap
	case j.Slot.Chime:
		d += ChimeLength
	}
	return d
}

// start lets the job sound from at on.
func (f *foresight) start(j *job, at time.Time) {
	if j.Start.IsZero() {
		j.Start = at
	}
	if j.left == 0 {
		j.left = j.length()
	}
	j.since, j.ends, j.cut = at, at.Add(j.left), time.Time{}
	cut, ok := f.programme.QuietFrom(at, j.ends)
	if j.quiet = ok; ok {
		j.ends = cut
	}
	j.clear = j.ends
}

// draw decides which clip the job is at, as the player will.
func (f *foresight) draw(j *job) bool {
	s := j.shared
	if j.item == len(s.items) {
		s.items = append(s.items, f.choose(j.Slot.Playlist))
	}
	c := s.items[j.item]
	for _, id := range c.unready {
		if g := (Flag{Kind: FlagUnready, Clip: id}); !slices.Contains(j.Flags, g) {
			j.Flags = append(j.Flags, g)
		}
	}
	switch {
	case c.ok && len(j.Clips) == j.item:
		j.Clips = append(j.Clips, c.clip.ID)
	case !c.ok && j.item == 0:
		j.unwait()
		j.Flags = append(j.Flags, Flag{Kind: FlagEmpty})
	}
	return c.ok
}

// choose takes the next clip of the playlist that is ready.
func (f *foresight) choose(name string) (c choice) {
	list, _ := f.programme.Playlist(name)
	after := f.cursors[name]
	for range list.Clips {
		var id playlist.ClipID
		id, after, _ = list.Next(after)
		if c.clip, c.ok = f.find(id); c.ok {
			c.clip.ID = id
			f.cursors[name] = after
			return c
		}
		c.unready = append(c.unready, id)
	}
	return c
}
