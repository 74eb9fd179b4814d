package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"time"

	"dalaba/devices/vcard"
	"dalaba/player"
	"dalaba/playlist"
)

// tape holds what a card consumed, and when.
type tape struct {
	frames []int16
	runs   []vcard.Run
}

func readTape(c *vcard.Card) (*tape, error) {
	t := &tape{}
	var err error
	if t.frames, err = c.Heard(); err != nil {
		return nil, err
	}
	if t.runs, err = c.Log(); err != nil {
		return nil, err
	}
	return t, nil
}

// when returns the instant at which the card played a frame; false if the card
// played no such frame.
func (t *tape) when(frame int64) (time.Time, bool) {
	i := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].First > frame }) - 1
	if i < 0 || frame >= t.runs[i].First+t.runs[i].Frames {
		return time.Time{}, false
	}
	return t.runs[i].At.Add(playlist.Length(frame - t.runs[i].First)), true
}

// span is a stretch of tape that holds a stretch of a clip.
type span struct {
	at, end  int64 // on tape
	clip     *clip
	from, to int64 // of the clip
	torn     bool  // frames were added or left out to keep time with the wall clock
	taken    bool  // a row claimed it
}

func (s *span) String() string {
	return fmt.Sprintf("frames %d to %d on tape, %s from %d to %d", s.at, s.end, s.clip.name, s.from, s.to)
}

const (
	sample = 32                        // frames that identify a place in a clip
	every  = 16                        // frames between places that are indexed
	strong = 40                        // a place is indexed if a frame there is louder than this
	atCut  = 20 * playlist.Rate / 1000 // the longest fade at a cut
)

// index maps frames to the clips, and the places in them, that contain them.
type index map[[sample]int16][]place

type place struct {
	clip *clip
	at   int64
}

func newIndex(clips map[playlist.ClipID]*clip) index {
	x := index{}
	for _, c := range clips {
		for at := 0; at+sample <= len(c.frames); at += every {
			if w := [sample]int16(c.frames[at : at+sample]); loud(w[:]) {
				x[w] = append(x[w], place{c, int64(at)})
			}
		}
	}
	return x
}

func loud(frames []int16) bool {
	for _, f := range frames {
		if f > strong || f < -strong {
			return true
		}
	}
	return false
}

// explain returns the spans of clips on a stretch of tape, and the beginning and
// end of each piece that is neither a clip, nor silence, nor a fade.
func (x index) explain(frames []int16, from, to int64) (spans []*span, unknown [][2]int64) {
	next := from // all frames before are explained
	for at := from; at+sample <= to; at++ {
		w := [sample]int16(frames[at : at+sample])
		places := x[w]
		var best *span
		for _, p := range places {
			if s := grow(frames, p, at, next, to); best == nil || s.end-s.at > best.end-best.at {
				best = s
			}
		}
		if best == nil || best.end-best.at < 4*sample {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].goesOn(best) {
			l := spans[n-1]
			l.end, l.to, l.torn = best.end, best.to, true
		} else {
			unknown = append(unknown, sounding(frames, next, best.at)...)
			spans = append(spans, best)
		}
		next = best.end
		at = next - 1
	}
	return spans, append(unknown, sounding(frames, next, to)...)
}

// grow returns the longest span around a place that was found: the frames equal
// to the clip's, and faded ones at both ends, without the silence beyond.
func grow(frames []int16, p place, at, low, high int64) *span {
	c := p.clip.frames
	s := &span{clip: p.clip, at: at, end: at, from: p.at, to: p.at}
	for s.end < high && s.to < int64(len(c)) && frames[s.end] == c[s.to] {
		s.end, s.to = s.end+1, s.to+1
	}
	for more := true; more; more = s.overRun(frames, low) {
		for s.at > low && s.from > 0 && frames[s.at-1] == c[s.from-1] {
			s.at, s.from = s.at-1, s.from-1
		}
	}
	faded := func(a, b int16) bool {
		x, y := int32(a), int32(b)
		return x == 0 || y != 0 && (x < 0) == (y < 0) && max(x, -x) <= max(y, -y)
	}
	last := s.end
	for i := int64(0); i < atCut && s.end+i < high && s.to+i < int64(len(c)) && faded(frames[s.end+i], c[s.to+i]); i++ {
		if frames[s.end+i] != 0 {
			last = s.end + i + 1
		}
	}
	// Silence at the end may not be of this clip.
	for last > at+sample && frames[last-1] == 0 {
		last--
	}
	s.to, s.end = s.to+last-s.end, last
	first := s.at
	for i := int64(1); i <= atCut && s.at-i >= low && s.from-i >= 0 && faded(frames[s.at-i], c[s.from-i]); i++ {
		if frames[s.at-i] != 0 {
			first = s.at - i
		}
	}
	for first < at && frames[first] == 0 {
		first++
	}
	s.from, s.at = s.from-(s.at-first), first
	return s
}

// overRun makes a span begin before a run of frames that was squeezed or stretched
// to keep time; false if there is none. Right behind a fade nothing else leads to
// it.
func (s *span) overRun(frames []int16, low int64) bool {
	const alike = 64 // frames at the run's end that may be as in the clip
	for in := range min(int64(alike), s.end-s.at) {
		end, to := s.at+in, s.from+in
		for _, by := range []int64{1, -1} {
			at, from := end-slipRun, to-slipRun-by
			if at >= low && from >= 0 && slices.Equal(frames[at:end], keepTime(s.clip.frames[from:to])) {
				s.at, s.from, s.torn = at, from, true
				return true
			}
		}
	}
	return false
}

// keepTime returns the run of slipRun frames that the player makes of one frame
// more or less.
func keepTime(frames []int16) []int16 {
	run := make([]int16, slipRun)
	scale := float64(len(frames)-1) / (slipRun - 1)
	for i := range run {
		x := float64(i) * scale
		j := min(int(x), len(frames)-2)
		f := x - float64(j)
		run[i] = int16(math.Round(float64(frames[j])*(1-f) + float64(frames[j+1])*f))
	}
	return run
}

// slipRun is the length of a run of frames that has one frame more or less than
// its clip, to keep time with the wall clock.
const slipRun = 480

// differing returns how many frames of a clip are not on tape at their place, and
// how many runs there have one frame more or less.
func differing(tape, clip []int16) (differ, slips int) {
	for i := 0; i < len(clip); i++ {
		if i < len(tape) && tape[i] == clip[i] {
			continue
		}
		if differ <= 2*atCut && i < len(tape) { // with more, it is another sound
			if run, by := slipped(tape[i:], clip[i:]); run > 0 {
				d, s := differing(tape[i+run:], clip[i+run+by:])
				return differ + d, slips + s + 1
			}
		}
		differ++
	}
	return differ, slips
}

// slipped returns the length of the run after which the tape equals the clip
// again, and by how many frames the clip is ahead there. run is 0 if there is no
// such run.
func slipped(tape, clip []int16) (run, by int) {
	for run := 1; run <= slipRun; run++ {
		for _, by := range []int{1, -1} {
			if run > len(tape) || run+by > len(clip) {
				continue
			}
			on, rest := tape[run:], clip[run+by:]
			n := min(4*sample, len(on), len(rest))
			if n == min(4*sample, len(rest)) && slices.Equal(on[:n], rest[:n]) {
				return run, by
			}
		}
	}
	return 0, 0
}

// goesOn reports whether t continues s, apart from frames left out or added to
// keep time with the wall clock. Passages too soft to be indexed may lie between
// them.
func (s *span) goesOn(t *span) bool {
	gap, skip := t.at-s.end, t.from-s.to
	few := 4 + gap/400
	return s.clip == t.clip && gap < playlist.Rate/2 && skip >= 0 && skip-gap <= few && gap-skip <= few
}

// sounding returns the pieces of a stretch of tape that are not silent and are
// longer than a fade.
func sounding(frames []int16, from, to int64) (all [][2]int64) {
	const apart = playlist.Rate / 10
	for at := from; at < to; at++ {
		if frames[at] == 0 {
			continue
		}
		if n := len(all); n > 0 && at-all[n-1][1] < apart {
			all[n-1][1] = at + 1
		} else {
			all = append(all, [2]int64{at, at + 1})
		}
	}
	kept := all[:0]
	for _, u := range all {
		if u[1]-u[0] > atCut+sample {
			kept = append(kept, u)
		}
	}
	return kept
}

// decode returns the frames of a clip, by the player's own decoder.
func decode(path string) (all []int16, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := player.OpenClip(f)
	if err != nil {
		return nil, err
	}
	for buf := make([]int16, 4096); ; {
		n, err := d.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
