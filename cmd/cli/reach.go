package cli

import "strings"

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
