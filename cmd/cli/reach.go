package cli

import (
	"strconv"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

// Changed is an output whose residents changed in the period of a reach report.
type Changed struct {
	Output  string
	Figures []Figure // in order
}

// Figure is how many residents an output had, and since when: a date, or a date and time.
type Figure struct {
	Residents int
	Since     string
}

const (
	mostChanged = 8 // outputs that are listed
	mostFigures = 3 // the latest of an output; its largest is always listed
)

// ChangedResidents lists the outputs whose residents changed, to stand below a reach
// report; empty if there are none.
func (a *App) ChangedResidents(list []Changed) string {
	if len(list) == 0 {
		return ""
	}
	t := a.NewTable(a.Say("view.by_output"), ">"+a.Say("view.residents"), Key(a.Say("view.residents_since")))
	for _, c := range list[:min(mostChanged, len(list))] {
		name := c.Output
		largest := 0
		for i, f := range c.Figures {
			if f.Residents > c.Figures[largest].Residents {
				largest = i
			}
		}
		left := false
		for i, f := range c.Figures {
			if i != largest && i < len(c.Figures)-mostFigures {
				left = true
				continue
			}
			if left {
				t.Add(name, "…", "")
				name, left = "", false
			}
			t.Add(name, f.Residents, f.Since)
			name = ""
		}
	}
	lines := []string{a.Say("view.residents_changed"), strings.TrimRight(t.Page(), "\n")}
	if n := len(list) - mostChanged; n > 0 {
		lines = append(lines, a.Say("view.residents_more", n))
	}
	return strings.Join(append(lines, a.Say("view.residents_rule")), "\n")
}

// ReachNames is how a reach report names its lines in a spreadsheet.
type ReachNames struct {
	Head   string // of the column of names
	Of     func(asrun.Reach) string
	Series bool // a line has a series beside its name
	Clip   bool // and is of one clip
}

// ReachCSV writes a reach report as CSV. A spreadsheet has the total below the lines,
// since people whom two of them reached are no more than one of them says; programs
// have the lines alone.
func (a *App) ReachCSV(form CSVForm, names ReachNames, lines []asrun.Reach, total asrun.Reach) error {
	if form == CSVRaw {
		return a.reachRaw(lines)
	}
	head := []string{names.Head}
	if names.Series {
		head = append(head, a.Say("view.by_series"))
	}
	if names.Clip {
		head = append(head, a.Say("view.clip_id"))
	}
	for _, key := range []string{
		"planned", "delivered", "started_count", "completed", "unknown", "completion", "reached", "targeted", "reach_rate", "person_airings", "frequency", "residents_unknown",
	} {
		head = append(head, a.Say("view."+key))
	}
	w, err := NewCSV(a.Out, CSVSheet, head...)
	if err != nil {
		return err
	}
	add := func(name string, r asrun.Reach) error {
		row := []any{name}
		if names.Series {
			row = append(row, r.Series)
		}
		if names.Clip {
			row = append(row, playlist.ClipID(r.Key).Short())
		}
		return w.Add(append(row, r.Planned, r.Delivered, r.Started, r.Completed, r.Unknown,
			figure(r.Completion, web.Percent), r.Reached, r.Residents, figure(r.Rate, web.Percent), r.PersonAirings, figure(r.Frequency, web.Times), r.ResidentsUnknown)...)
	}
	for _, r := range lines {
		if err := add(names.Of(r), r); err != nil {
			return err
		}
	}
	if err := add(a.Say("view.total"), total); err != nil {
		return err
	}
	return w.End()
}

// reachRaw writes the lines of a reach report for programs.
func (a *App) reachRaw(lines []asrun.Reach) error {
	w, err := NewCSV(a.Out, CSVRaw, "key", "title", "series", "issue", "planned", "delivered", "started", "completed", "unknown",
		"person_airings", "reached", "residents", "completion", "reach_rate", "frequency", "residents_unknown")
	if err != nil {
		return err
	}
	rate := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	for _, r := range lines {
		err := w.Add(r.Key, r.Title, r.Series, r.Issue, r.Planned, r.Delivered, r.Started, r.Completed, r.Unknown,
			r.PersonAirings, r.Reached, r.Residents, figure(r.Completion, rate), figure(r.Rate, rate), figure(r.Frequency, rate), r.ResidentsUnknown)
		if err != nil {
			return err
		}
	}
	return w.End()
}

// figure is a rate in words, empty if there is none.
func figure(rate func() (float64, bool), words func(float64) string) Number {
	v, ok := rate()
	if !ok {
		return ""
	}
	return Number(words(v))
}
