package main

import (
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// checkParts checks the rows of each item against each other and against the
// policies of the slot.
func (j *judgement) checkParts(may map[asrun.RowKey]playlist.Airing) {
	items := map[asrun.RowKey][]*row{}
	for _, r := range j.rows {
		k := asrun.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}
		items[k] = append(items[k], r)
	}
	for k, rows := range items {
		if a, ok := may[k]; ok {
			slices.SortFunc(rows, func(a, b *row) int { return a.Part - b.Part })
			j.checkItem(rows, a)
		}
	}
}

// checkItem checks the rows of one item, in the order of their parts.
func (j *judgement) checkItem(rows []*row, a playlist.Airing) {
	madeGood := false
	for i, r := range rows {
		if r.Part == 0 && (len(rows) > 1 || r.Frames > 0 || !r.Started.IsZero()) {
			j.breach("%v: did not sound, it says, beside %d rows that may have", r, len(rows)-1)
		}
		if r.Part > 0 && r.Part != i+1 {
			j.breach("%v: part %d is missing", r, i+1)
		}
		j.checkClosed(r)
		j.checkWindow(r, a)
		if i == 0 {
			continue
		}
		before := rows[i-1]
		forbidden, makeGood := again(before, r, a)
		if makeGood && madeGood {
			forbidden = "it was made good already"
		}
		madeGood = madeGood || makeGood
		if forbidden != "" {
			j.breach("%v follows %v, yet %s", r, before, forbidden)
		}
	}
}

// checkClosed checks that a row says "power lost" if and only if a later life
// closed it after a kill.
func (j *judgement) checkClosed(r *row) {
	if r.late && r.Outcome != asrun.Complete && r.Reason != asrun.ReasonPowerLost || !r.late && r.Reason == asrun.ReasonPowerLost && r.Part > 0 {
		j.breach("%v: closed %v, which its reason does not tell", r, map[bool]string{true: "at a later start", false: "in the life that claimed it"}[r.late])
	}
	if r.late && !r.life.killed {
		j.breach("%v: left open by a controller that ended in order", r)
	}
}

// checkWindow checks that an airing which may not be late began in its window.
func (j *judgement) checkWindow(r *row, a playlist.Airing) {
	if r.Part == 1 && !r.Started.IsZero() && a.Slot.Missed == playlist.MissedSkip && r.Item == 1 && r.Lateness() > a.Slot.Window+j.slowly(time.Second) {
		j.breach("%v: began %v late in a window of %v", r, r.Lateness(), a.Slot.Window)
	}
}

// again says why a row may not follow another of the same item; it returns ""
// if it may. makeGood reports whether it may only as the one make-good of the
// airing.
func again(before, r *row, a playlist.Airing) (forbidden string, makeGood bool) {
	switch {
	case before.Outcome == asrun.Complete:
		return "it was complete", false
	case before.Reason == asrun.ReasonPreempted:
		return afterPreemption(before, r, a), false
	case before.Reason != asrun.ReasonPowerLost && before.Reason != asrun.ReasonStopped:
		return "nothing asks for more", false
	case before.Reason == asrun.ReasonStopped && before.Frames == 0:
		return "", false
	case a.Slot.Missed != playlist.MissedMakeGood:
		return "the slot makes nothing good", false
	}
	return "", true
}

// afterPreemption says why a row may not go on after one that was preempted.
func afterPreemption(before, r *row, a playlist.Airing) string {
	switch {
	case a.Slot.After == playlist.AfterDrop:
		return "the slot drops what was interrupted"
	case a.Slot.After == playlist.AfterRejoin && r.FromFrame != before.FromFrame+before.Frames:
		return fmt.Sprintf("it goes on at frame %d", r.FromFrame)
	case a.Slot.After == playlist.AfterRestart && r.FromFrame != 0:
		return "the slot begins anew"
	}
	return ""
}
