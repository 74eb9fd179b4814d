package schedule

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// Planned is what is expected of one airing on one output.
type Planned struct {
	playlist.Airing
	Output     string
	Start, End time.Time         // of its sound, station tone included; zero if it will not sound
	Clips      []playlist.ClipID // that will sound, at least in part
	Parts      []Part            // of the clips, as they will sound
	Outcome    asrun.Outcome     // of all its clips together
	Flags      []Flag
}

// Begun reports whether it sounds at the plan's start, or did.
func (p Planned) Begun() bool {
	return slices.ContainsFunc(p.Flags, func(f Flag) bool { return f.Kind == FlagOnAir || f.Kind == FlagBroken })
}

// Silent reports whether nothing of it will sound.
func (p Planned) Silent() bool { return p.Start.IsZero() }

// Reason says why it will not sound; [asrun.ReasonNone] if it will.
func (p Planned) Reason() asrun.Reason {
	if !p.Silent() {
		return asrun.ReasonNone
	}
	for _, f := range p.Flags {
		switch f.Kind {
		case FlagLocal:
			return asrun.ReasonLocalHours
		case FlagQuiet:
			return asrun.ReasonQuiet
		case FlagEmpty:
			return asrun.ReasonClip
		}
	}
	return asrun.ReasonBusy
}

// Part is a stretch of a clip that sounds without a break.
type Part struct {
	Item       int // of the airing, from 1
	Clip       playlist.ClipID
	From       time.Duration // where in the clip it begins
	Start, End time.Time
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
	FlagQuiet     FlagKind = "quiet"       // falls due in quiet hours, or would rather not run into them: suppressed
	FlagLocal     FlagKind = "local_hours" // the county's, it falls due in hours that are the site's own: suppressed
	FlagIntoQuiet FlagKind = "into_quiet"  // has more than quiet hours leave room for: ends with them, or before
	FlagShifted   FlagKind = "shifted"     // would run into quiet hours, or waits as they begin: airs, or goes on, when they are over
	FlagWaits     FlagKind = "waits"       // starts late, behind Other
	FlagMissed    FlagKind = "missed_busy" // Other holds the output past its deadline
	FlagPreempted FlagKind = "preempted"   // Other, of higher rank, interrupts it, and it goes on after
	FlagRestarted FlagKind = "restarted"   // Other, of higher rank, interrupts it, and the clip begins again after
	FlagDropped   FlagKind = "dropped"     // Other interrupts it and it does not go on
	FlagUnready   FlagKind = "unready"     // Clip is not in the library or its file is gone
	FlagEmpty     FlagKind = "empty"       // no clip can be aired
	FlagOnAir     FlagKind = "on_air"      // it sounds now
	FlagBroken    FlagKind = "broken"      // it has begun and does not sound now: it was interrupted, or quiet hours hold
	FlagOwed      FlagKind = "owed"        // it takes the next moment that nothing else wants
)

// Collides reports whether the flag is about something else that wants the output: it has
// Other.
func (k FlagKind) Collides() bool {
	switch k {
	case FlagWaits, FlagMissed, FlagPreempted, FlagRestarted, FlagDropped:
		return true
	}
	return false
}

// Outlook is what a plan needs to know beside the programme.
type Outlook struct {
	Clip    func(playlist.ClipID) (c playlist.Clip, ready bool)
	Cursors map[string]playlist.Cursor // by playlist, as they stand at the plan's start
	State   State                      // of the controller; zero: at the plan's start nothing sounds and nothing is owed
}

// Plan foresees the airings that fall due in (from, to], and those due before that
// are not over at from, by due instant, then rank, then the config's order, then
// output. It plays the schedule through clip by clip, by the rules that the player
// goes by, from the outlook's state on, or from an idle controller at from. It
// assumes that all goes well from there.
func Plan(p *playlist.Programme, from, to time.Time, o Outlook) []Planned {
	f := &foresight{
		programme: p, find: o.Clip, cursors: make(map[string]playlist.Cursor, len(o.Cursors)),
		lanes: map[string]*lane{}, inHand: map[hand]bool{}, airings: map[playlist.AiringID]*shared{}, to: to,
	}
	for k, v := range o.Cursors {
		f.cursors[k] = v
	}
	asked := from
	if !o.State.At.IsZero() {
		asked = o.State.Asked
		f.now = o.State.At
		f.resume(o.State)
		f.decide()
	}
	f.run(asked)
	slices.SortStableFunc(f.jobs, func(a, b *job) int { return a.Due.Compare(b.Due) })
	var plan []Planned
	for _, j := range f.jobs {
		if j.Due.After(to) || !j.Due.After(from) && !j.over.After(from) {
			continue
		}
		plan = append(plan, j.Planned)
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
	airings   map[playlist.AiringID]*shared
	inHand    map[hand]bool // at the start
	jobs      []*job        // by due instant
	asleep    []*job        // until quiet hours are over
	now       time.Time
	to        time.Time // the end of what is asked for
	open      int       // jobs that are not over and fall due by then
}

// hand is an airing on an output.
type hand struct {
	airing playlist.AiringID
	output string
}

// shared is what all outputs of an airing have in common: its clips, which the first
// output that needs them chooses.
type shared struct{ items []choice }

type choice struct {
	clip    playlist.Clip
	unready []playlist.ClipID // passed over
	ok      bool
}

// job is a planned airing as it moves through its output's lane.
type job struct {
	Planned
	course  Course
	shared  *shared
	item    int           // the clip it is at, from 1
	pos     time.Duration // how much of that was heard already
	resumed bool          // that was interrupted: nothing leads in to it again
	from    time.Time     // it begins no sooner
	clear   time.Time     // no quiet hours lie between its coming and then
	told    bool          // why it waits
	cutter  Flag          // what interrupted it

	// While it has its lane, or is about to.
	begins, sounds, ends time.Time // what leads in, the clip, the end of it
	quiet                bool      // quiet hours end it
	followed             bool      // the next clip is taken, or was looked at

	over time.Time // nothing more happens to it; zero: not yet
}

// lane is one output's future.
type lane struct {
	running *job
	next    []*job            // that have a clip and their instant, by that
	waiting []*job            // by the order of the line
	holder  playlist.AiringID // what held it last
	left    time.Time         // when it last became free
	held    time.Time         // something that is no airing has it until then
}

// run goes on from event to event until all that falls due in time is over.
func (f *foresight) run(asked time.Time) {
	arrivals, stop := iter.Pull(f.programme.Timetable().After(asked))
	defer stop()
	due, more := arrivals()
	for {
		at, ok := f.nextEvent()
		if come := due.Due.Add(-ClaimAhead); more && (!ok || come.Before(at)) && (ok && f.open > 0 || !due.Due.After(f.to)) {
			at, ok = come, true
		}
		if !ok || f.open == 0 && (!more || due.Due.After(f.to)) {
			return
		}
		f.now = later(f.now, at)
		for _, l := range f.order {
			if !l.held.IsZero() && !l.held.After(f.now) {
				l.left, l.held = l.held, time.Time{}
			}
			f.finish(l)
			f.begin(l)
		}
		f.wake()
		for ; more && !due.Due.Add(-ClaimAhead).After(f.now); due, more = arrivals() {
			f.arrive(due)
		}
		f.decide()
	}
}

// nextEvent is when something happens on some lane, or a job wakes.
func (f *foresight) nextEvent() (at time.Time, ok bool) {
	earlier := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	for _, l := range f.order {
		if l.running != nil {
			earlier(l.running.ends)
			if d, ok := l.running.looks(); ok {
				earlier(d)
			}
		}
		if len(l.next) > 0 {
			earlier(l.next[0].begins)
		}
		if l.held.After(f.now) {
			earlier(l.held)
		}
		for _, j := range l.waiting {
			if !j.told && j.from.After(f.now) {
				earlier(j.from)
			}
			if claims := j.from.Add(-ClaimAhead); claims.After(f.now) {
				earlier(claims)
			}
		}
	}
	for _, j := range f.asleep {
		earlier(j.from.Add(-ClaimAhead))
	}
	return at, ok
}

// looks is when the next clip is taken while this one sounds.
func (j *job) looks() (time.Time, bool) {
	if j.followed || j.item >= j.Slot.Count {
		return time.Time{}, false
	}
	at := later(j.sounds, j.sounds.Add(j.length()-j.pos-NextAhead))
	return at, at.Before(j.ends)
}

// length is the whole of the clip that the job is at.
func (j *job) length() time.Duration { return j.shared.items[j.item-1].clip.Length() }

func (f *foresight) lane(output string) *lane {
	l := f.lanes[output]
	if l == nil {
		l = &lane{}
		f.lanes[output] = l
		f.order = append(f.order, l)
	}
	return l
}

func (f *foresight) add(a playlist.Airing, output string) *job {
	s := f.airings[a.ID]
	if s == nil {
		s = &shared{}
		f.airings[a.ID] = s
	}
	j := &job{Planned: Planned{Airing: a, Output: output}, course: NewCourse(a), shared: s, item: 1, from: a.Due, clear: a.Due}
	f.jobs = append(f.jobs, j)
	if !a.Due.After(f.to) {
		f.open++
	}
	return j
}

// end says that nothing more happens to a job.
func (f *foresight) end(j *job, outcome asrun.Outcome) {
	j.over, j.Outcome = later(f.now, j.End), outcome
	if !j.Due.After(f.to) {
		f.open--
	}
}

func (f *foresight) arrive(a playlist.Airing) {
	for _, out := range a.Slot.Outputs {
		if f.inHand[hand{a.ID, out}] {
			continue // the clock was set back: it falls due again
		}
		j := f.add(a, out)
		switch forbidden(f.programme, a) {
		case asrun.ReasonNone:
			f.lane(out).wait(j)
		case asrun.ReasonLocalHours:
			j.flag(FlagLocal, "")
			f.end(j, asrun.Suppressed)
		default:
			j.flag(FlagQuiet, "")
			f.end(j, asrun.Suppressed)
		}
	}
}

// wait puts a job into line.
func (l *lane) wait(j *job) {
	i, _ := slices.BinarySearchFunc(l.waiting, j, (*job).compare)
	l.waiting = slices.Insert(l.waiting, i, j)
}

// compare is the order of the line.
func (j *job) compare(k *job) int {
	return cmp.Or(cmp.Compare(k.course.Rank(), j.course.Rank()), j.course.Place().Compare(k.course.Place()))
}

func (j *job) flag(kind FlagKind, other playlist.AiringID) {
	if g := (Flag{Kind: kind, Other: other}); !slices.Contains(j.Flags, g) {
		j.Flags = append(j.Flags, g)
	}
}

func (j *job) unwait() {
	j.Flags = slices.DeleteFunc(j.Flags, func(g Flag) bool { return g.Kind == FlagWaits })
}

// wake puts jobs back into line that waited for the end of quiet hours.
func (f *foresight) wake() {
	f.asleep = slices.DeleteFunc(f.asleep, func(j *job) bool {
		if j.from.Add(-ClaimAhead).After(f.now) {
			return false
		}
		f.lane(j.Output).wait(j)
		return true
	})
}

// finish ends the clip that is over, and goes on with the next one of its airing.
func (f *foresight) finish(l *lane) {
	j := l.running
	if j == nil || j.ends.After(f.now) {
		return
	}
	j.heard(j.ends)
	heard := !j.quiet || j.course.Interrupted(j.pos, j.length()) == FollowNext
	switch {
	case j.quiet && (!heard || j.item < j.Slot.Count):
		j.flag(FlagIntoQuiet, "")
		f.leave(l)
		f.end(j, j.broken(asrun.Partial))
	case j.item == j.Slot.Count:
		f.leave(l)
		f.end(j, asrun.Complete)
	default:
		at := j.ends
		j.item, j.pos, j.resumed, j.from, j.course.Broken = j.item+1, 0, false, at, time.Time{}
		if f.ready(l, j, at) {
			f.sound(j, at)
		} else {
			f.leave(l)
		}
	}
}

// leave makes the lane free for what waits.
func (f *foresight) leave(l *lane) { l.running, l.left = nil, f.now }

// heard notes what of the clip has sounded up to an instant.
func (j *job) heard(until time.Time) {
	j.End = until
	if until.After(j.sounds) {
		j.Parts = append(j.Parts, Part{Item: j.item, Clip: j.shared.items[j.item-1].clip.ID, From: j.pos, Start: j.sounds, End: until})
		j.pos += until.Sub(j.sounds)
	}
}

// broken is the outcome of an airing that ends before its time: that, if some of it
// was heard.
func (j *job) broken(heard asrun.Outcome) asrun.Outcome {
	if !j.course.Begun {
		return asrun.Missed
	}
	return heard
}

// begin lets the jobs sound whose instant has come.
func (f *foresight) begin(l *lane) {
	for len(l.next) > 0 && !l.next[0].begins.After(f.now) {
		j := l.next[0]
		l.next = l.next[1:]
		if l.running != nil {
			f.interrupt(l, j)
		}
		if !j.course.Begun {
			j.course.Begun, j.Start = true, j.begins
		}
		if j.cutter = (Flag{}); !j.resumed {
			j.course.Broken = time.Time{}
		}
		l.running, l.holder = j, j.ID
	}
}

// interrupt takes the lane from the job that runs.
func (f *foresight) interrupt(l *lane, by *job) {
	j := l.running
	l.running = nil
	if by.begins.After(j.begins) {
		j.heard(by.begins)
	}
	j.cutter = Flag{}
	switch j.course.Interrupted(j.pos, j.length()) {
	case FollowEnd:
		j.flag(FlagDropped, by.ID)
		f.end(j, asrun.Preempted)
		return
	case FollowNext:
		if j.item == j.Slot.Count {
			f.end(j, asrun.Complete)
			return
		}
		j.item, j.pos, j.resumed, j.course.Broken = j.item+1, 0, false, time.Time{}
		j.cutter = Flag{Kind: FlagPreempted, Other: by.ID}
	case FollowRestart:
		j.pos, j.resumed = 0, true
		j.cutter = Flag{Kind: FlagRestarted, Other: by.ID}
	default:
		j.resumed = true
		j.cutter = Flag{Kind: FlagPreempted, Other: by.ID}
	}
	j.flag(j.cutter.Kind, j.cutter.Other)
	j.course = j.course.Breaks(by.begins)
	j.from, j.clear, j.told = by.begins, by.begins, true
	l.wait(j)
}

// decide takes clips from the playlists for what is about to sound, on all lanes, in
// the order in which the rules have it.
func (f *foresight) decide() {
	for {
		var first *job
		var of *lane
		for _, l := range f.order {
			if j := f.candidate(l); j != nil && (first == nil || j.compare(first) < 0) {
				first, of = j, l
			}
		}
		if first == nil {
			break
		}
		if first == of.running {
			f.lookAhead(of)
			continue
		}
		of.waiting = slices.DeleteFunc(of.waiting, func(j *job) bool { return j == first })
		at := of.start(first, f.now)
		if at.After(first.from) {
			of.tell(first)
		}
		if f.ready(of, first, at) {
			f.sound(first, at)
			of.commit(first)
			of.holder = first.ID
		}
	}
	for _, l := range f.order {
		for _, j := range l.waiting {
			if !j.from.After(f.now) {
				l.tell(j)
			}
		}
	}
}

// commit has a job begin at its instant.
func (l *lane) commit(j *job) {
	i, _ := slices.BinarySearchFunc(l.next, j, func(a, b *job) int { return a.begins.Compare(b.begins) })
	l.next = slices.Insert(l.next, i, j)
}

// tell notes what keeps a job waiting.
func (l *lane) tell(j *job) {
	if !j.told && l.holder != "" {
		j.told = true
		j.flag(FlagWaits, l.holder)
	}
}

// candidate is the job of the lane that takes a clip now, if any: the one that runs,
// shortly before it goes on with its next clip, or one that waits and has nothing
// before it.
func (f *foresight) candidate(l *lane) *job {
	f.expire(l)
	if !l.held.IsZero() {
		return nil
	}
	if l.running != nil {
		if at, ok := l.running.looks(); ok && !at.After(f.now) {
			return l.running
		}
	}
	for i, j := range l.waiting {
		at := l.start(j, f.now)
		free := l.running == nil || j.course.Rank() > l.running.course.Rank()
		behind := slices.ContainsFunc(l.waiting[:i], func(k *job) bool { return !k.from.After(at) })
		if free && !behind && !at.Add(-ClaimAhead).After(f.now) && !l.taken(j, at) {
			return j
		}
	}
	return nil
}

// taken reports whether what is about to begin keeps the job waiting.
func (l *lane) taken(j *job, at time.Time) bool {
	return slices.ContainsFunc(l.next, func(n *job) bool { return n.compare(j) < 0 && !n.from.After(at) })
}

// start is when a job that waits would begin, if it got the lane now.
func (l *lane) start(j *job, now time.Time) time.Time {
	at := later(j.from, now)
	if j.from.Before(l.left) {
		at = later(at, l.left.Add(Gap))
	}
	return at
}

// lookAhead takes the next clip of the job that runs, if that may follow.
func (f *foresight) lookAhead(l *lane) {
	j := l.running
	j.followed = true
	if j.quiet {
		return
	}
	c, after := f.choose(j, j.item+1)
	if c.ok && j.course.Clear(f.programme, j.ends, j.course.LeadIn(j.item+1, false)+c.clip.Length()).Begin {
		f.take(j, j.item+1, c, after)
	}
}

// expire ends the jobs that have waited too long, and puts make-goods last.
func (f *foresight) expire(l *lane) {
	owing := []*job{}
	l.waiting = slices.DeleteFunc(l.waiting, func(j *job) bool {
		at := l.start(j, f.now)
		switch {
		case j.course.Owes(at):
			j.course.MakeGood = true
			owing = append(owing, j)
			return true
		case !at.After(j.course.Deadline(f.programme.Site.Zone)):
			return false
		case j.cutter.Kind != "":
			i := slices.Index(j.Flags, j.cutter)
			j.Flags[i].Kind = FlagDropped
			f.end(j, j.broken(asrun.Preempted))
		default:
			f.miss(l, j)
		}
		return true
	})
	for _, j := range owing {
		l.wait(j)
	}
	if len(owing) > 0 {
		f.expire(l)
	}
}

// miss ends a job that waited, and whose time is over.
func (f *foresight) miss(l *lane, j *job) {
	j.unwait()
	j.flag(FlagMissed, l.holder)
	f.end(j, j.broken(asrun.Partial))
}

// ready reports whether the job may sound at that instant and takes its clip. If not,
// the job sleeps or is over.
func (f *foresight) ready(l *lane, j *job, at time.Time) bool {
	for {
		start, ok := f.programme.QuietFrom(j.clear, at.Add(1))
		if !ok {
			break
		}
		until := j.course.Clear(f.programme, start, 0).Until
		switch {
		case until.IsZero() && j.course.Begun:
			j.flag(FlagIntoQuiet, "")
			f.end(j, j.broken(asrun.Partial))
			return false
		case until.IsZero():
			f.miss(l, j)
			return false
		}
		j.putOff(until)
		if until.After(at) {
			f.asleep = append(f.asleep, j)
			return false
		}
	}
	c, after := f.choose(j, j.item)
	if !c.ok {
		f.empty(j)
		return false
	}
	clear := j.course.Clear(f.programme, at, j.course.LeadIn(j.item, j.resumed)+c.clip.Length()-j.pos)
	if !clear.Begin {
		f.refuse(j, clear.Until)
		return false
	}
	f.take(j, j.item, c, after)
	if j.item > len(j.Clips) {
		j.Clips = append(j.Clips, c.clip.ID)
	}
	j.clear, j.quiet, j.ends = at, !clear.Until.IsZero(), clear.Until
	return true
}

// refuse puts a job off, or ends it, whose clip would run into quiet hours.
func (f *foresight) refuse(j *job, until time.Time) {
	switch {
	case !until.IsZero():
		j.putOff(until)
		f.asleep = append(f.asleep, j)
	case j.course.Begun:
		j.flag(FlagIntoQuiet, "")
		f.end(j, j.broken(asrun.Partial))
	default:
		j.unwait()
		j.flag(FlagQuiet, "")
		f.end(j, asrun.Suppressed)
	}
}

func (j *job) putOff(until time.Time) {
	j.flag(FlagShifted, "")
	j.course = j.course.PutOff(until)
	j.from, j.clear, j.told = until, until, true
}

// empty ends a job for which no clip can be aired.
func (f *foresight) empty(j *job) {
	if j.course.Begun {
		f.end(j, j.broken(asrun.Partial))
		return
	}
	j.unwait()
	j.flag(FlagEmpty, "")
	f.end(j, asrun.Failed)
}

// sound gives the job its instants. [foresight.ready] has said when quiet hours end it.
func (f *foresight) sound(j *job, at time.Time) {
	j.begins, j.followed = at, false
	j.sounds = at.Add(j.course.LeadIn(j.item, j.resumed))
	if !j.quiet {
		j.ends = j.sounds.Add(j.length() - j.pos)
	}
}

// choose is the clip of an item, as the player will choose it, and the cursor once it
// is taken.
func (f *foresight) choose(j *job, item int) (c choice, after playlist.Cursor) {
	after = f.cursors[j.Slot.Playlist]
	if j.taken(item) {
		c = j.shared.items[item-1]
	} else {
		list, _ := f.programme.Playlist(j.Slot.Playlist)
		for range list.Clips {
			var id playlist.ClipID
			id, after, _ = list.Next(after)
			if c.clip, c.ok = f.find(id); c.ok {
				c.clip.ID = id
				break
			}
			c.unready = append(c.unready, id)
		}
	}
	for _, id := range c.unready {
		if g := (Flag{Kind: FlagUnready, Clip: id}); !slices.Contains(j.Flags, g) {
			j.Flags = append(j.Flags, g)
		}
	}
	return c, after
}

// take takes the clip of an item from its playlist, if no output has.
func (f *foresight) take(j *job, item int, c choice, after playlist.Cursor) {
	if j.taken(item) {
		return
	}
	j.shared.items = append(j.shared.items[:item-1], c)
	f.cursors[j.Slot.Playlist] = after
}

// taken reports whether an output of the airing has taken the clip of an item.
func (j *job) taken(item int) bool {
	return item <= len(j.shared.items) && j.shared.items[item-1].ok
}
