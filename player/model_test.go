package player_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule/scheduletest"
)

// silence is an MP3 file of that many frames of 24 ms, none of which makes a sound:
// MPEG-1 layer III, 48 kHz, mono, 64 kbit/s. The decoder passes over the mark, so
// that two clips of one length have different IDs.
func silence(frames int, mark string) []byte {
	frame := make([]byte, frameBytes)
	copy(frame, []byte{0xff, 0xfb, 0x54, 0xc0})
	copy(frame[4+17:], mark) // behind the side information, which says that no data follow
	return bytes.Repeat(frame, frames)
}

const frameBytes = 144 * 64000 / 48000

const (
	// brisk is how many times shorter the clips are than the made programme has
	// them, and longestPlay how much may sound in one run.
	brisk       = 8
	longestPlay = 30 * time.Minute

	// off is how far the player may be from the rules. A decision that was made by
	// less may go either way, and so may all that comes after it.
	off = time.Second
)

// modelRuns, if set, is how many programmes the player airs for three days each, instead
// of a few scenes.
const modelRuns = "DALABA_MODEL_RUNS"

// TestThePlayerKeepsTheRules has the player air scenes of programmes made at random
// and holds the as-run log against the model.
func TestThePlayerKeepsTheRules(t *testing.T) {
	runs, make := 8, newScene
	if text := os.Getenv(modelRuns); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		make = newDays
	} else if testing.Short() {
		runs = 2
	}
	var all, left int
	for seed := int64(0); runs > 0; seed++ {
		x, ok := make(seed)
		if !ok {
			continue
		}
		runs--
		for _, c := range x.courses() {
			if all++; c.Margin < off {
				left++
			}
		}
		synctest.Test(t, x.hold)
		if runs%25 == 0 && !testing.Short() {
			t.Logf("seed %d is done: %d airings, %d more programmes", seed, all, runs)
		}
	}
	t.Logf("%d airings, %d of them after a decision that was too close", all, left)
	if left > all/4 { // there is more of that where not all goes by the clock
		t.Errorf("of %d airings %d are left out, which is too many", all, left)
	}
}

// TestThePlayerKeepsTheRulesWhereItIsTight is about single rules that programmes made
// at random seldom come to.
func TestThePlayerKeepsTheRulesWhereItIsTight(t *testing.T) {
	for _, x := range scheduletest.Tight() {
		t.Run(x.Name, func(t *testing.T) {
			s := &scene{p: x.Programme, lengths: x.Lengths, from: x.From, to: x.To, end: x.To}
			synctest.Test(t, s.hold)
		})
	}
}

// scene is an hour of a programme made at random in which not all goes by the clock:
// something waits, is interrupted, or is missed.
type scene struct {
	seed     int64
	p        *playlist.Programme
	lengths  map[playlist.ClipID]time.Duration
	from, to time.Time // what falls due in between is compared
	end      time.Time // then it has aired
}

// newDays are all three days of a programme made at random.
func newDays(seed int64) (*scene, bool) {
	x := &scene{seed: seed}
	x.p, x.lengths, x.from = scheduletest.Random(rand.New(rand.NewSource(seed)))
	x.shorten()
	x.to = x.from.Add(scheduletest.Days * 24 * time.Hour)
	x.ends()
	return x, true
}

func (x *scene) shorten() {
	for id, d := range x.lengths {
		x.lengths[id] = max(d/brisk/(24*time.Millisecond), 100) * 24 * time.Millisecond
	}
}

// ends finds out when all that falls due in time has aired.
func (x *scene) ends() {
	x.end = x.to
	for _, c := range x.courses() {
		for _, q := range c.Parts {
			if q.End.After(x.end) {
				x.end = q.End
			}
		}
	}
	x.end = x.end.Add(2 * time.Minute)
}

func newScene(seed int64) (*scene, bool) {
	rng := rand.New(rand.NewSource(seed))
	x := &scene{seed: seed}
	x.p, x.lengths, x.from = scheduletest.Random(rng)
	x.shorten()
	x.to = x.from.Add(scheduletest.Days * 24 * time.Hour)
	var odd []scheduletest.Course
	for _, c := range x.courses() {
		waits := len(c.Parts) > 0 && c.Parts[0].Start.Sub(c.Due) > 2*time.Second
		if waits || c.Fate == scheduletest.Ended || c.Fate == scheduletest.Missed {
			odd = append(odd, c)
		}
	}
	if len(odd) == 0 {
		return nil, false
	}
	middle := odd[rng.Intn(len(odd))].Due
	x.from, x.to = middle.Add(-20*time.Minute), middle.Add(40*time.Minute)
	x.ends()
	var play time.Duration
	for _, c := range scheduletest.Model(x.p, x.lengths, x.from, x.end) {
		for _, q := range c.Parts {
			play += q.End.Sub(q.Start)
		}
	}
	return x, play < longestPlay
}

func (x *scene) courses() []scheduletest.Course {
	return scheduletest.Model(x.p, x.lengths, x.from, x.to)
}

// hold has a player air the scene, in a bubble.
func (x *scene) hold(t *testing.T) {
	s := newStage(t)
	x.lengths = s.silences(x.p, x.lengths)
	courses := x.courses()
	rows := s.air(x.p, x.from, x.end)
	zone := x.p.Site.Zone
	for _, c := range courses {
		if c.Margin < off {
			continue
		}
		slot, _ := x.p.Slot(c.Slot)
		aired := rows[c.Slot+c.Output+c.Due.String()]
		if what := aside(slot, c, aired); what != "" {
			t.Errorf("seed %d, from %s\n%s%s on %s: %s (margin %v)\nby the rules\n%s%sin the log\n%s", x.seed, x.from.In(zone),
				scheduletest.Text(x.p, x.lengths), c.Slot, c.Output, what, c.Margin,
				scheduletest.Context(courses, c, zone), c.Text(zone), rowsText(aired, zone))
			return
		}
	}
}

// silences puts clips of those lengths into the store, and their IDs into the
// programme.
func (s *stage) silences(p *playlist.Programme, lengths map[playlist.ClipID]time.Duration) map[playlist.ClipID]time.Duration {
	s.t.Helper()
	made := map[playlist.ClipID]time.Duration{}
	for _, l := range p.Playlists {
		for i, old := range l.Clips {
			b := silence(int(lengths[old]/(24*time.Millisecond)), string(old))
			c := s.clip(b, strings.TrimLeft(string(old), "0"))
			l.Clips[i], made[c.ID] = c.ID, c.Length()
		}
	}
	return made
}

// air runs the player from shortly before from until to, and returns what the log
// says of each airing: slot, output, due instant.
func (s *stage) air(p *playlist.Programme, from, to time.Time) map[string][]asrun.Row {
	s.t.Helper()
	for i := range p.Outputs {
		p.Outputs[i].CloseIdle = true // nothing is rendered while nothing airs
	}
	for i := range p.Slots {
		p.Slots[i].Since = from.Add(-time.Second)
	}
	s.programme, s.options.Sound = p, hush
	s.wall = time.Until(from.Add(-10 * time.Second))
	s.start()
	time.Sleep(to.Sub(s.now()))
	s.stop()
	airings := map[string][]asrun.Row{}
	for _, r := range s.rows() {
		key := r.Slot + r.Output + r.Due.UTC().String()
		airings[key] = append(airings[key], r)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	return airings
}

// aside says in what the rows of an airing on one output differ from its course, if
// in anything.
func aside(slot playlist.Slot, c scheduletest.Course, rows []asrun.Row) string {
	slices.SortFunc(rows, func(a, b asrun.Row) int { return 1000*(a.Item-b.Item) + a.Part - b.Part })
	var heard []asrun.Row
	complete := map[int]bool{}
	for _, r := range rows {
		if r.Frames > 0 {
			heard = append(heard, r)
		}
		complete[r.Item] = complete[r.Item] || r.Outcome == asrun.Complete
	}
	if len(rows) == 0 {
		return "it has no row"
	}
	switch first := rows[0]; c.Fate {
	case scheduletest.Missed:
		if first.Outcome != asrun.Missed {
			return "the outcome is " + string(first.Outcome)
		}
	case scheduletest.Suppressed:
		if first.Outcome != asrun.Suppressed {
			return "the outcome is " + string(first.Outcome)
		}
	case scheduletest.Complete:
		for item := range slot.Count {
			if !complete[item+1] {
				return fmt.Sprintf("item %d is not complete", item+1)
			}
		}
	}
	if len(heard) != len(c.Parts) {
		return fmt.Sprintf("%d parts sounded, not %d", len(heard), len(c.Parts))
	}
	for i, want := range c.Parts {
		r := heard[i]
		from := playlist.Length(r.FromFrame)
		if r.Item != want.Item || r.Clip != want.Clip || (from-want.From).Abs() > off || r.Started.Sub(want.Start).Abs() > off ||
			r.Ended.Sub(want.End).Abs() > off || (playlist.Length(r.Frames)-want.End.Sub(want.Start)).Abs() > off {
			return fmt.Sprintf("part %d differs", i+1)
		}
	}
	return ""
}

func rowsText(rows []asrun.Row, zone *time.Location) string {
	const layout = "02 15:04:05.000 -07"
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "    %d/%d %s from %v: %s to %s, %v: %s %s\n", r.Item, r.Part, r.Title, playlist.Length(r.FromFrame),
			r.Started.In(zone).Format(layout), r.Ended.In(zone).Format(layout), playlist.Length(r.Frames), r.Outcome, r.Reason)
	}
	return b.String()
}
