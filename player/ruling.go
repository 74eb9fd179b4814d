package player

import (
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// then is what follows on a part of an airing.
type then int

const (
	thenNext    then = iota // the next item
	thenStop                // nothing: the airing ends
	thenRejoin              // another part, from the frame at which this one stopped
	thenRestart             // another part, from the start of the clip
	thenAgain               // the same row once more: nothing of it has sounded
)

// ruling is what became of a part and what follows.
type ruling struct {
	outcome asrun.Outcome
	reason  asrun.Reason
	then    then
}

// judge decides what became of a part and what follows.
func (f *performance) judge(c *entry, h Heard) ruling {
	outcome := c.heard(h).Judge()
	if outcome == asrun.Complete {
		return f.judgeComplete(c, h)
	}
	if h.Frames == 0 {
		outcome = asrun.Missed
	}
	switch h.Cut {
	case CutPreempt:
		return f.judgePreempted(c, h)
	case CutUntil:
		if outcome == asrun.Missed {
			outcome = asrun.Suppressed
		}
		return ruling{outcome: outcome, reason: asrun.ReasonQuiet, then: thenStop}
	case CutExpired:
		return ruling{outcome: outcome, reason: busyBehind(h.By), then: thenStop}
	case CutDevice:
		return ruling{outcome: outcome, reason: asrun.ReasonDevice, then: thenStop}
	case CutStopped:
		return ruling{outcome: outcome, reason: asrun.ReasonStopped, then: thenStop}
	}
	if h.Frames == 0 {
		outcome = asrun.Failed
	}
	return ruling{outcome: outcome, reason: asrun.ReasonDecode}
}

func (f *performance) judgeComplete(c *entry, h Heard) ruling {
	r := ruling{outcome: asrun.Complete}
	switch {
	case f.course.MakeGood:
		r.reason = asrun.ReasonMakeGood
	case c.row.Item == 1 && !f.sounded && f.course.Late(h.Started):
		r.reason = asrun.ReasonLate
	}
	if h.Cut == CutStopped || h.Cut == CutUntil {
		r.then = thenStop
	}
	return r
}

func (f *performance) judgePreempted(c *entry, h Heard) ruling {
	r := ruling{outcome: asrun.Preempted, reason: asrun.ReasonPreempted}
	follow := f.course.Interrupted(playlist.Length(c.row.FromFrame+h.Frames), playlist.Length(c.row.OfFrames))
	switch {
	case follow == schedule.FollowEnd:
		r.then = thenStop
	case h.Frames == 0:
		r.then = thenAgain
	case follow == schedule.FollowRestart:
		r.then = thenRestart
	default:
		r.then = thenRejoin
	}
	return r
}
