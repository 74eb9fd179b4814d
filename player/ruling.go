package player

import (
	"dalaba/playlist"
)

type then int

const (
	goOn then = iota
	stop
	rejoin
	restart
	again // the same row, nothing of it has sounded
)

type ruling struct {
	outcome playlist.Outcome
	reason  playlist.Reason
	then    then
	cue     Cue
}

// judge says what became of a part and what follows.
func (f *performance) judge(c *part, h Heard) ruling {
	row := c.row
	row.Frames = h.Frames
	outcome := row.Judge()
	if h.Frames == 0 {
		outcome = playlist.Missed
	}
	after := f.due.Slot.After
	if outcome == playlist.Complete {
		r := ruling{outcome: outcome}
		switch {
		case f.makeGood:
			r.reason = playlist.ReasonMakeGood
		case row.Item == 1 && !f.sounded && h.Started.Sub(f.due.Due) > lateBy+f.preamble():
			r.reason = playlist.ReasonLate
		}
		if h.Cut == CutStopped {
			r.then = stop
		}
		return r
	}
	switch h.Cut {
	case CutPreempt:
		r := ruling{outcome: playlist.Preempted, reason: playlist.ReasonPreempted, then: rejoin}
		switch {
		case after == playlist.AfterDrop:
			r.then = stop
		case h.Frames == 0:
			r.then, r.cue = again, Cue{At: f.p.Wall(), Deadline: f.p.Wall().Add(playlist.RejoinWithin), First: true}
		case after == playlist.AfterRestart:
			r.then = restart
		}
		return r
	case CutUntil:
		if outcome == playlist.Missed {
			outcome = playlist.Suppressed
		}
		return ruling{outcome: outcome, reason: playlist.ReasonQuiet, then: stop}
	case CutExpired:
		return ruling{outcome: outcome, reason: busyBehind(h.By), then: stop}
	case CutDevice:
		return ruling{outcome: outcome, reason: playlist.ReasonDevice, then: stop}
	case CutStopped:
		return ruling{outcome: outcome, reason: playlist.ReasonStopped, then: stop}
	}
	if h.Frames == 0 {
		outcome = playlist.Failed
	}
	return ruling{outcome: outcome, reason: playlist.ReasonDecode}
}
