package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

const (
	// changing is the time around a change of config in which an airing may
	// follow either config: the controller prepares an airing schedule.Lead
	// ahead, and a reload takes up to a second.
	changing = schedule.Lead + 2*time.Second

	// The most sound that a row may lack if it was cut off before its progress
	// was first saved, and if it was cut off later.
	beforeSaved = 1500 * time.Millisecond
	sinceSaved  = 5*time.Second + 1200*time.Millisecond

	// startOff is the most by which the start of a row may differ from the
	// instant at which the card played its first frame.
	startOff = 300 * time.Millisecond

	// dryFrames is the most sound that one underrun displaces. An output runs
	// dry on a busy machine, and its log says so; the sound after it is squeezed
	// to be on time again. The tape is not compared frame by frame there.
	dryFrames = playlist.Rate / 4
)

// judgement compares what was due, what the as-run log says and what the cards
// consumed, and collects every contradiction.
type judgement struct {
	*harness
	rows     []*row
	breaches []string
	spans    int           // pieces of clips on tape
	sound    int64         // frames on tape that rows account for
	behind   int64         // most frames that a row cut off lacks
	off      time.Duration // most that a row's start differs from the card's
	torn     int           // clips that gained or lost frames to keep time
	dry      int           // rows during which their output ran dry
	foreign  int           // rows of airings that were due by one of two possible configs only
}

// row is a row of the as-run log with what else is known of it.
type row struct {
	asrun.Row
	id    int64     // rows are numbered in the order of their claims
	made  time.Time // when its receipt was made
	life  *life     // the life that claimed it
	late  bool      // closed by a later life
	heard int64     // frames of the clip on tape
}

func (r *row) String() string {
	s := fmt.Sprintf("%s on %s item %d part %d (%s", r.Airing, r.Output, r.Item, r.Part, r.Outcome)
	if r.Reason != "" {
		s += " " + string(r.Reason)
	}
	s += fmt.Sprintf(", %d frames from %d, receipt %d", r.Frames, r.FromFrame, r.Seq)
	if r.life != nil {
		s += fmt.Sprintf(", life %d", r.life.n)
	}
	return s + ")"
}

// judge returns the contradictions that it finds, and prints a summary.
func (h *harness) judge(ctx context.Context) ([]string, error) {
	j := &judgement{harness: h, breaches: slices.Clone(h.lost)}
	if err := j.readStore(ctx); err != nil {
		return nil, err
	}
	must, may := h.due()
	j.checkDue(must, may)
	j.checkParts(may)
	if err := j.checkTapes(); err != nil {
		return nil, err
	}
	if err := j.checkCursors(ctx); err != nil {
		return nil, err
	}
	j.report(len(must))
	return j.breaches, nil
}

func (j *judgement) breach(format string, args ...any) {
	j.breaches = append(j.breaches, fmt.Sprintf(format, args...))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
