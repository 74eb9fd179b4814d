package diagnose

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"dalaba/data"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/web"
)

const (
	logSpan     = 24 * time.Hour // that is looked at
	eventsBack  = 5000           // events that are looked at
	manyStarts  = 3              // in that time: more is a warning
	manyLosses  = 3              // of one output
	eventsShown = 5              // kinds of errors
)

// trouble is a kind of error in the log.
type trouble struct {
	message string
	output  string // empty: of no output
	n       int
	last    time.Time
}

// log sums up what the device log of the last day says: starts, lost outputs and
// errors.
func (d *examination) log(ctx context.Context) {
	d.failedStarts()
	if d.noStore("log") {
		return
	}
	events, err := d.store.Events(ctx, 0, eventsBack)
	if err != nil {
		d.add("log", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		return
	}
	events = slices.DeleteFunc(events, func(e asrun.Event) bool { return e.At.Before(d.now.Add(-logSpan)) })
	starts, lost := 0, map[string]int{}
	for _, e := range events {
		switch e.Message {
		case "started":
			starts++
		case "output lost":
			if o, ok := e.Attrs["output"].(string); ok {
				lost[o]++
			}
		}
	}
	for _, o := range slices.Sorted(maps.Keys(lost)) {
		if lost[o] >= manyLosses {
			d.add("output", Warn, say.M("doctor.output_flaps", o, lost[o]), say.M("doctor.output_flaps_do"))
		}
	}
	if starts > manyStarts {
		remedy := "dalaba log -n 200 -c " + d.file
		if unit() != "" {
			remedy = "journalctl -u dalaba -n 200"
		}
		d.add("log", Warn, say.M("doctor.log_starts", starts), remedy)
	}
	d.errors(events, starts)
}

// failedStarts tells why the daemon did not start. While one runs, another was tried
// beside it.
func (d *examination) failedStarts() {
	for _, f := range data.FailedStarts(d.file, d.dir) {
		found := []say.Message{say.M("doctor.failed_starts", f.Times, web.Stamp(f.Last, d.now, d.zone()))}
		if f.User != "" {
			found[0] = say.M("doctor.failed_starts_of", f.User, f.Times, web.Stamp(f.Last, d.now, d.zone()))
		}
		for l := range strings.SplitSeq(f.Why[d.lang], "\n") {
			found = append(found, say.M("cli.as_it_is", l))
		}
		switch {
		case d.running:
			d.addLines("log", Info, found)
		case f.User != "": // it may be none that should have started the daemon
			d.addLines("log", Warn, found, say.M("doctor.failed_starts_do"), d.start())
		default:
			d.addLines("log", Fail, found, say.M("doctor.failed_starts_do"), d.start())
		}
	}
}

// errors tells the latest kinds of errors among the events.
func (d *examination) errors(events []asrun.Event, starts int) {
	n, kinds := 0, []trouble(nil)
	for _, e := range events {
		if e.Level < int(slog.LevelError) {
			continue
		}
		n++
		output, _ := e.Attrs["output"].(string)
		i := slices.IndexFunc(kinds, func(t trouble) bool { return t.message == e.Message && t.output == output })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, trouble{message: e.Message, output: output})
		}
		kinds[i].n++
		kinds[i].last = e.At
	}
	if n == 0 {
		d.add("log", OK, say.M("doctor.log_ok", starts))
		return
	}
	slices.SortFunc(kinds, func(a, b trouble) int { return b.last.Compare(a.last) })
	found := []say.Message{say.M("doctor.log_errors", n)}
	for _, t := range kinds[:min(len(kinds), eventsShown)] {
		var text any = t.message
		if m, ok := say.Log(t.message); ok {
			text = m
		}
		at := web.Stamp(t.last, d.now, d.zone())
		if t.output == "" {
			found = append(found, say.M("doctor.log_kind", at, t.n, text))
		} else {
			found = append(found, say.M("doctor.log_kind_on", at, t.n, text, t.output))
		}
	}
	d.addLines("log", Warn, found, "dalaba log --level error -c "+d.file)
}
