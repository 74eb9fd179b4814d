package wording

import (
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// mostNames is how many parts of a kind are named.
const mostNames = 5

var stems = map[string]string{"added": "run.added_", "changed": "run.changed_", "removed": "run.removed_"}

// Changes says what is new, otherwise or gone in a config, in one line.
func Changes(all []config.Change) say.Message {
	var line *say.Message
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].How == all[0].How && all[n].What == all[0].What {
			n++
		}
		names := say.M("why.own_slot", changed(all[0]))
		for _, c := range all[1:min(n, mostNames)] {
			names = say.M("run.and_name", names, changed(c))
		}
		if n > mostNames {
			names = say.M("run.more_names", names, n-mostNames)
		}
		part := names
		if key := stems[all[0].How] + all[0].What; say.Has(key) {
			part = say.M(key, names)
		}
		if line == nil {
			line = &part
		} else {
			*line = say.M("run.and_change", *line, part)
		}
		all = all[n:]
	}
	if line == nil {
		return say.M("run.no_change")
	}
	return *line
}

func changed(c config.Change) say.Message {
	if c.What == "setting" || c.What == "calendar" {
		return say.M("run.section", c.Name)
	}
	if playlist.FromCounty(c.Name) {
		return SlotTitle(c.Name)
	}
	return say.M("run.quoted", c.Name)
}
