package playlist

// Whereabouts is where an output is: by the site's config, and by the county. They are
// the same until a box or its config is moved.
type Whereabouts struct {
	Output Area // empty: the site's
	Site   Area
	Member Area // that the county gave the controller; empty: it is not enrolled
}

// PlaceOf returns the place of one of the outputs.
func (p *Programme) PlaceOf(o Output) Whereabouts { return Whereabouts{o.Area, p.Site.Area, p.Member} }

// Astray lists the outputs that the site's config has outside of the area that the county
// gave the controller.
func (p *Programme) Astray() (names []string) {
	for _, o := range p.Outputs {
		if p.PlaceOf(o).Astray() {
			names = append(names, o.Name)
		}
	}
	return names
}

// own is the output's area by the site's config.
func (w Whereabouts) own() Area {
	if w.Output == "" {
		return w.Site
	}
	return w.Output
}

// Astray reports whether the config has the output outside of the area that the county
// gave the controller.
func (w Whereabouts) Astray() bool { return w.Member != "" && !w.own().Within(w.Member) }

// Airs is the area by which the output airs the county's programmes. An output that is
// astray airs those of the area that the county gave.
func (w Whereabouts) Airs() Area {
	if w.Astray() {
		return w.Member
	}
	return w.own()
}

// Hears is the areas by which an alert concerns the output: all in which it may be. Once
// too often is better than silent.
func (w Whereabouts) Hears() []Area {
	all := []Area{w.own()}
	if w.Site != "" && !w.own().Within(w.Site) {
		all = append(all, w.Site)
	}
	if w.Astray() && w.Member != w.Site {
		all = append(all, w.Member)
	}
	return all
}
