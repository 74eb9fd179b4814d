package schedule

import (
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// State is how a controller stands at an instant: what a plan begins from. It goes over
// the control API as JSON.
type State struct {
	At    time.Time `json:"at"`
	Asked time.Time `json:"asked"` // what falls due up to then is handed out: it is in Open, or over
	Open  []Open    `json:"open"`
	Held  []Held    `json:"held"`

	Cursors map[string]playlist.Cursor `json:"cursors,omitempty"` // by playlist, as they stood with the clips in Open taken

	Clock playlist.ClockState `json:"clock,omitempty"` // untrusted: routine airings are held until it is trusted
}

// Open is an airing on an output that was handed out and is not over.
type Open struct {
	Course  Course            `json:"course"`
	Above   bool              `json:"above,omitempty"` // [playlist.Slot].Above, which the slot's own JSON leaves out
	Output  string            `json:"output"`
	Item    int               `json:"item"`              // it is at, from 1
	Taken   []playlist.ClipID `json:"taken,omitempty"`   // the clips taken from the playlist, by item
	Heard   time.Duration     `json:"heard,omitempty"`   // of the clip it is at, before the present part; nanoseconds
	Resumed bool              `json:"resumed,omitempty"` // the clip was interrupted: nothing leads in to it again
	Began   time.Time         `json:"began,omitzero"`    // its first sound, station tone included
	Sounds  time.Time         `json:"sounds,omitzero"`   // the first frame of the present part; zero: it waits
	Until   time.Time         `json:"until,omitzero"`    // it sleeps until then, out of line; zero: it does not
}

// Held is an output that something else than an airing has: an alert, the microphone,
// a sound by hand. Until when is not known: a plan takes it that it is over at once.
type Held struct {
	Output string            `json:"output"`
	By     playlist.AiringID `json:"by"` // an alert's airing, or [playlist.ByHand]
}

// Unknown is the state of a controller that cannot say how it stands: as if nothing
// sounded and nothing was owed.
func Unknown(at time.Time) State { return State{At: at, Asked: at} }

// StateOff is the state of a controller whose daemon is off, if it started now: all up to
// the mark is accounted for, and rows returns what the as-run log has of an airing.
func StateOff(p *playlist.Programme, mark, now time.Time, rows func(playlist.AiringID) ([]asrun.Row, error)) (State, error) {
	desk := NewDesk(p, mark)
	due, _ := desk.Ask(Reading{Wall: now, Trust: playlist.ClockTrusted})
	s := State{At: now, Asked: desk.Asked(), Open: []Open{}, Held: []Held{}}
	for _, d := range due {
		if !Stand(p, d, nil, now).Perform {
			continue // nor whatever its rows say
		}
		all, err := rows(d.ID)
		if err != nil {
			return s, err
		}
		for i, r := range all {
			if r.Outcome == "" { // the next start closes it so
				all[i].Outcome, all[i].Reason = asrun.Partial, asrun.ReasonPowerLost
			}
		}
		taken := Taken(all)
		for _, out := range d.Slot.Outputs {
			mine := slices.DeleteFunc(slices.Clone(all), func(r asrun.Row) bool { return r.Output != out })
			if stand := Stand(p, d, mine, now); stand.Perform {
				s.Open = append(s.Open, Open{Course: stand.Course, Above: d.Slot.Above, Output: out, Item: stand.First, Taken: taken})
			}
		}
	}
	return s, nil
}

// Taken are the clips that an airing has taken from its playlist, by item, by its rows on
// all outputs: not those of which nothing sounded, which went back. Empty: none.
func Taken(rows []asrun.Row) (clips []playlist.ClipID) {
	for _, r := range rows {
		wentBack := r.Outcome != "" && r.Frames == 0 && r.Started.IsZero()
		if r.Clip == "" || wentBack {
			continue
		}
		for len(clips) < r.Item {
			clips = append(clips, "")
		}
		clips[r.Item-1] = r.Clip
	}
	return clips
}

// resume puts the state's airings on their lanes.
func (f *foresight) resume(s State) {
	for _, h := range s.Held {
		l := f.lane(h.Output)
		l.holder, l.held = h.By, s.At.Add(Gap)
	}
	for _, o := range s.Open {
		o.Course.Slot.Above = o.Above
		j := f.add(o.Course.Airing, o.Output)
		f.inHand[hand{j.ID, j.Output}] = true
		j.course, j.item, j.pos, j.resumed, j.Start = o.Course, max(1, o.Item), o.Heard, o.Resumed, o.Began
		f.took(j, o.Taken)
		f.place(s, o, j)
	}
}

// took gives a job the clips that its airing has taken.
func (f *foresight) took(j *job, taken []playlist.ClipID) {
	for i := len(j.shared.items); i < max(len(taken), j.item-1); i++ {
		var c choice
		if i < len(taken) && taken[i] != "" {
			c.clip, _ = f.find(taken[i])
			c.clip.ID, c.ok = taken[i], true
		}
		j.shared.items = append(j.shared.items, c)
	}
	for i, c := range j.shared.items {
		if i < j.item && c.ok {
			j.Clips = append(j.Clips, c.clip.ID)
		}
	}
}

// place has a job sound, sleep or wait, as the state says.
func (f *foresight) place(s State, o Open, j *job) {
	l := f.lane(j.Output)
	switch {
	case !o.Sounds.IsZero() && j.taken(j.item):
		j.begins, j.sounds = o.Sounds.Add(-j.course.LeadIn(j.item, j.pos > 0)), o.Sounds
		j.ends = j.sounds.Add(j.length() - j.pos)
		if start, ok := f.programme.QuietFrom(s.At, j.ends); ok {
			j.quiet, j.ends = true, start
		}
		j.clear, j.told, j.followed = s.At, true, j.taken(j.item+1)
		if j.begins.After(s.At) { // it has its clip, and its instant is near
			l.commit(j)
			return
		}
		j.flag(FlagOnAir, "")
		l.running, l.holder = j, j.ID
		return
	case o.Until.After(s.At):
		j.putOff(o.Until)
		f.asleep = append(f.asleep, j)
	default:
		j.from, j.clear = later(j.course.From, j.course.Broken), s.At
		if j.from.After(s.At) {
			j.clear = j.from
		}
		l.wait(j)
	}
	switch {
	case j.course.MakeGood:
		j.flag(FlagOwed, "")
	case j.course.Begun:
		j.flag(FlagBroken, "")
	}
}
