package main

import (
	"cmp"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// stretch is the part of a card's tape that one life wrote.
type stretch struct {
	*tape
	base, end int64 // its first frame, and the one after its last
	spans     []*span
}

// checkTapes compares the log with what the cards consumed, frame by frame.
func (j *judgement) checkTapes() error {
	x := newIndex(j.site.clips)
	for name, card := range j.site.cards {
		t, err := readTape(card)
		if err != nil {
			return err
		}
		for _, l := range j.lives {
			j.checkTape(x, t, name, l)
		}
	}
	return nil
}

// checkTape compares the rows of one life on one output with its tape.
func (j *judgement) checkTape(x index, t *tape, output string, l *life) {
	on := &stretch{tape: t, base: l.base[output], end: min(l.ends[output], int64(len(t.frames)))}
	if on.end > on.base {
		if at, ok := t.when(on.base); ok {
			j.figures.opened = append(j.figures.opened, at.Sub(l.start))
		}
	}
	spans, unknown := x.explain(t.frames, on.base, on.end)
	on.spans = spans
	for _, u := range unknown {
		j.breach("%s, life %d: frames %d to %d on tape are of no clip", output, l.n, u[0]-on.base, u[1]-on.base)
	}
	j.spans += len(spans)
	var rows []*row
	for _, r := range j.rows {
		if r.life == l && r.Output == output && r.Part > 0 {
			rows = append(rows, r)
		}
	}
	// Rows whose place on tape is known claim their sound first.
	slices.SortStableFunc(rows, func(a, b *row) int {
		return cmp.Compare(b2i(a.Started.IsZero()), b2i(b.Started.IsZero()))
	})
	for _, r := range rows {
		j.checkRow(on, r)
	}
	for _, s := range spans {
		j.torn += b2i(s.torn)
		if !s.taken {
			at, _ := t.when(s.at)
			j.breach("%s, life %d: %v, at %s, and no row claims it", output, l.n, shifted(s, on.base), at.UTC().Format("15:04:05.000"))
		}
	}
}

// shifted is the span with its frames counted from base.
func shifted(s *span, base int64) *span {
	c := *s
	c.at, c.end = s.at-base, s.end-base
	return &c
}

// checkRow compares one row with the tape of its life.
func (j *judgement) checkRow(on *stretch, r *row) {
	c := j.site.clips[r.Clip]
	if c == nil {
		j.breach("%v: of a clip %s that there is not", r, r.Clip.Short())
		return
	}
	found := on.find(r, c)
	if found != nil {
		found.taken = true
		r.heard = found.to - r.FromFrame
		j.sound += found.end - found.at
	}
	if r.Started.IsZero() && r.Frames > 0 {
		j.breach("%v: frames that began at no instant", r)
		return
	}
	if n := ranDry(r); n > 0 {
		j.dry++
		j.checkSqueezed(on, r, c, found, int64(n)*dryFrames)
		return
	}
	if !r.Started.IsZero() {
		if d := r.Frames - r.OfFrames + r.FromFrame; d > 0 {
			j.breach("%v: %d frames more than the clip has", r, d)
		}
		j.compare(on, r, c, found)
		j.checkStart(on, r)
	}
	if r.late {
		j.checkProgress(r)
	}
}

// find returns the first span that may be the row's and that no row has
// claimed, or nil.
func (on *stretch) find(r *row, c *clip) *span {
	for _, s := range on.spans {
		if s.taken || s.clip != c {
			continue
		}
		ahead := s.from - r.FromFrame // what a fade or the silence that begins a clip hides
		if ahead < -atCut || ahead > playlist.Rate/2 {
			continue
		}
		if !r.Started.IsZero() {
			if d := s.at - ahead - on.base - r.AtFrame; d < -atCut || d > atCut {
				continue
			}
		} else if !r.late || on.end-s.end > playlist.Rate/2 {
			continue
		}
		return s
	}
	return nil
}

// checkStart compares the row's start with the instant at which the card
// played its first frame.
func (j *judgement) checkStart(on *stretch, r *row) {
	at, ok := on.when(on.base + r.AtFrame)
	if !ok {
		return
	}
	off := r.Started.Sub(at).Abs()
	j.off = max(j.off, off)
	if off > j.slowly(startOff) {
		j.breach("%v: began at %v, the card says %v", r, r.Started.Format("15:04:05.000"), at.UTC().Format("15:04:05.000"))
	}
}

// checkProgress checks that a row which was cut off lacks no more sound than
// the time between two checkpoints.
func (j *judgement) checkProgress(r *row) {
	lacks := r.heard - r.Frames
	j.behind = max(j.behind, lacks)
	limit := sinceSaved
	if r.Started.IsZero() {
		limit = beforeSaved
	}
	if lacks > playlist.FramesIn(j.slowly(limit)) {
		j.breach("%v: %d frames on tape are %.1f s more than it says", r, r.heard, float64(lacks)/playlist.Rate)
	}
}

// ranDry returns how often the row's output ran dry while it sounded or just
// before.
func ranDry(r *row) int {
	if r.life == nil || r.Started.IsZero() {
		return 0
	}
	to := r.Ended
	if r.late {
		to = r.life.end
	}
	return r.life.dry(r.Output, r.Started.Add(-2*time.Second), to.Add(time.Second))
}

// checkSqueezed compares a row with the tape if its output ran dry: its clip
// must be within slack frames of its place, and at most about slack frames
// shorter than the row says.
func (j *judgement) checkSqueezed(on *stretch, r *row, c *clip, found *span, slack int64) {
	from, to := on.base+r.AtFrame-slack, on.base+r.AtFrame+r.Frames+slack
	if r.late {
		to += playlist.FramesIn(sinceSaved)
	}
	heard := int64(0)
	for _, s := range on.spans {
		if s.clip == c && (s == found || !s.taken && s.at >= from && s.end <= to) {
			s.taken = true
			heard += s.to - s.from
		}
	}
	r.heard = heard
	if lacks := r.Frames - heard; lacks > slack+playlist.Rate/2 {
		j.breach("%v: its output ran dry, yet %d frames are not on tape", r, lacks)
	}
}

// compare compares the frames that a row counts with those on tape.
func (j *judgement) compare(on *stretch, r *row, c *clip, found *span) {
	at := on.base + r.AtFrame
	if found != nil && found.torn {
		if d := r.heard - r.Frames; !r.late && (d < -2*atCut || d > 4) {
			j.breach("%v: %d frames on tape", r, r.heard)
		}
		return
	}
	if at+r.Frames > on.end {
		j.breach("%v: from frame %d on, but the tape of its life ends at %d", r, r.AtFrame, on.end-on.base)
		return
	}
	differ, slips := differing(on.frames[at:on.end], c.frames[r.FromFrame:r.FromFrame+r.Frames])
	j.torn += b2i(slips > 0)
	whole := r.Outcome == asrun.Complete && r.FromFrame == 0 && r.FromFrame+r.Frames == r.OfFrames
	if whole && differ > 0 || differ > 2*atCut {
		j.breach("%v: %d of its frames are not on tape at frame %d of its life", r, differ, r.AtFrame)
	}
	if found != nil && !r.late && found.to > r.FromFrame+r.Frames+atCut {
		j.breach("%v: %d frames more on tape", r, found.to-r.FromFrame-r.Frames)
	}
}
