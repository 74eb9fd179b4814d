package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
)

// report prints what was seen.
func (j *judgement) report(due int) {
	j.reportKills()
	j.line("rows due", "%d", due)
	j.reportRows()
	j.line("sound on tape that rows claim", "%.1f s in %d pieces", float64(j.sound)/playlist.Rate, j.spans)
	j.line("most that a row cut off lacks", "%.2f s", float64(j.behind)/playlist.Rate)
	j.line("first frame, log against card", "within %v", j.off.Round(time.Microsecond))
	if j.foreign > 0 {
		j.line("off, by a config of another hour", "%d", j.foreign)
	}
	if j.torn > 0 {
		j.line("clips held to the wall clock", "%d", j.torn)
	}
	if j.dry > 0 {
		j.line("rows whose output ran dry", "%d, held to their clips but not frame by frame", j.dry)
	}
	slices.Sort(j.figures.opened)
	if n := len(j.figures.opened); n > 0 {
		j.line("start of the process to sound card", "median %v, longest %v", j.figures.opened[n/2].Round(time.Millisecond), j.figures.opened[n-1].Round(time.Millisecond))
	}
	j.line("SIGTERM to the end", "%v", j.figures.closing.Round(time.Millisecond))
}

func (j *judgement) line(what, format string, args ...any) {
	fmt.Fprintf(j.out, "  %-34s %s\n", what, fmt.Sprintf(format, args...))
}

func (j *judgement) reportKills() {
	var kinds []string
	for _, k := range j.kinds {
		if n := j.figures.byKind[k.name]; n > 0 {
			kinds = append(kinds, fmt.Sprintf("%s %d", k.name, n))
		}
	}
	first, last := j.lives[0].start, j.lives[len(j.lives)-1].end
	j.line("kills", "%d in %v: %s", j.kills, last.Sub(first).Round(time.Second), strings.Join(kinds, ", "))
}

func (j *judgement) reportRows() {
	outcomes := map[string]int{}
	late := 0
	for _, r := range j.rows {
		outcomes[strings.TrimSpace(string(r.Outcome)+" "+string(r.Reason))]++
		late += b2i(r.late)
	}
	j.line("rows in the log", "%d, of which cut off and closed later %d", len(j.rows), late)
	var names []string
	for o := range outcomes {
		names = append(names, o)
	}
	slices.Sort(names)
	for _, o := range names {
		j.line("", "%5d %s", outcomes[o], o)
	}
}
